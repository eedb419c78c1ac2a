/* utf8_avx2.c - UTF-8 with AVX2; empty elsewhere. */
#include "utf8_variants.h"

#if NWS__X86

#include "vec_avx2.h"

VEC_FN vec vec_table(const uint8_t table[16]) {
  return _mm256_broadcastsi128_si256(
      _mm_loadu_si128((const __m128i *)(const void *)table));
}

VEC_FN vec vec_lookup(vec table, vec nibbles) {
  return _mm256_shuffle_epi8(table, nibbles);
}

VEC_FN vec vec_low4(vec v) {
  return _mm256_and_si256(v, _mm256_set1_epi8(0x0F));
}

VEC_FN vec vec_shr4(vec v) {
  return vec_low4(_mm256_srli_epi16(v, 4));
}

VEC_FN vec vec_and(vec a, vec b) {
  return _mm256_and_si256(a, b);
}

VEC_FN vec vec_high_bits(vec v) {
  return _mm256_and_si256(v, _mm256_set1_epi8((char)0x80));
}

/* Less `by`, but not less than 0. */
VEC_FN vec vec_less(vec v, int by) {
  return _mm256_subs_epu8(v, _mm256_set1_epi8((char)by));
}

/* Shifting is done in each half; what it shifts in to the upper one comes from
 * here: zeros, and the lower half. */
VEC_FN vec half_before(vec v) {
  return _mm256_permute2x128_si256(v, v, 0x08);
}

VEC_FN vec vec_before1(vec v) {
  return _mm256_alignr_epi8(v, half_before(v), 15);
}

VEC_FN vec vec_before2(vec v) {
  return _mm256_alignr_epi8(v, half_before(v), 14);
}

VEC_FN vec vec_before3(vec v) {
  return _mm256_alignr_epi8(v, half_before(v), 13);
}

VEC_FN int vec_any(vec v) {
  return !_mm256_testz_si256(v, v);
}

#include "utf8_vector.h"

/* Whoever has AVX2 has SSSE3. */
NWS__TARGET("avx2")
size_t nws__utf8_avx2(const uint8_t *text, size_t len) {
  return len < VEC ? nws__utf8_ssse3(text, len) : check_vectors(text, len);
}

#endif
