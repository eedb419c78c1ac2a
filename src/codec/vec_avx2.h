/* vec_avx2.h - vectors of 32 bytes, where the CPU has AVX2. */
#ifndef NWS_VEC_AVX2_H
#define NWS_VEC_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "cpu.h"

typedef __m256i vec;

enum { VEC = 32 };

#define VEC_FN static inline NWS__TARGET("avx2")

VEC_FN vec vec_load(const uint8_t *from) {
  return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

VEC_FN void vec_store(uint8_t *to, vec v) {
  _mm256_storeu_si256((__m256i *)(void *)to, v);
}

VEC_FN vec vec_fill(uint64_t word) {
  return _mm256_set1_epi64x((long long)word);
}

VEC_FN vec vec_xor(vec a, vec b) {
  return _mm256_xor_si256(a, b);
}

VEC_FN vec vec_or(vec a, vec b) {
  return _mm256_or_si256(a, b);
}

/* Not 0 if some byte is not ASCII. */
VEC_FN int vec_high(vec v) {
  return _mm256_movemask_epi8(v);
}

#endif
