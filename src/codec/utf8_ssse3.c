/* utf8_ssse3.c - UTF-8 with SSSE3; empty elsewhere. */
#include "utf8_variants.h"

#if NWS__X86

#include "vec_sse.h"

#include <immintrin.h>

#undef VEC_FN
#define VEC_FN static inline NWS__TARGET("ssse3")

VEC_FN vec vec_table(const uint8_t table[16]) {
  return vec_load(table);
}

VEC_FN vec vec_lookup(vec table, vec nibbles) {
  return _mm_shuffle_epi8(table, nibbles);
}

VEC_FN vec vec_low4(vec v) {
  return _mm_and_si128(v, _mm_set1_epi8(0x0F));
}

VEC_FN vec vec_shr4(vec v) {
  return vec_low4(_mm_srli_epi16(v, 4));
}

VEC_FN vec vec_and(vec a, vec b) {
  return _mm_and_si128(a, b);
}

VEC_FN vec vec_high_bits(vec v) {
  return _mm_and_si128(v, _mm_set1_epi8((char)0x80));
}

/* Less `by`, but not less than 0. */
VEC_FN vec vec_less(vec v, int by) {
  return _mm_subs_epu8(v, _mm_set1_epi8((char)by));
}

VEC_FN vec vec_before1(vec v) {
  return _mm_slli_si128(v, 1);
}

VEC_FN vec vec_before2(vec v) {
  return _mm_slli_si128(v, 2);
}

VEC_FN vec vec_before3(vec v) {
  return _mm_slli_si128(v, 3);
}

VEC_FN int vec_any(vec v) {
  return _mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_setzero_si128())) != 0xFFFF;
}

#include "utf8_vector.h"

NWS__TARGET("ssse3")
size_t nws__utf8_ssse3(const uint8_t *text, size_t len) {
  return check_vectors(text, len);
}

#endif
