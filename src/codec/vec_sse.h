/* vec_sse.h - vectors of 16 bytes, with what every x86-64 has (SSE2). */
#ifndef NWS_VEC_SSE_H
#define NWS_VEC_SSE_H

#include <emmintrin.h>
#include <stdint.h>

typedef __m128i vec;

enum { VEC = 16 };

#define VEC_FN static inline

VEC_FN vec vec_load(const uint8_t *from) {
  return _mm_loadu_si128((const __m128i *)(const void *)from);
}

VEC_FN void vec_store(uint8_t *to, vec v) {
  _mm_storeu_si128((__m128i *)(void *)to, v);
}

VEC_FN vec vec_fill(uint64_t word) {
  return _mm_set1_epi64x((long long)word);
}

VEC_FN vec vec_xor(vec a, vec b) {
  return _mm_xor_si128(a, b);
}

VEC_FN vec vec_or(vec a, vec b) {
  return _mm_or_si128(a, b);
}

/* Not 0 if some byte is not ASCII. */
VEC_FN int vec_high(vec v) {
  return _mm_movemask_epi8(v);
}

#endif
