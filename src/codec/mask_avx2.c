/* mask_avx2.c - masking with AVX2; empty elsewhere. */
#include "mask_variants.h"

#if NWS__X86

#include "vec_avx2.h"

#include "mask_vector.h"

NWS__TARGET("avx2")
int nws__mask_avx2(uint8_t *dst, const uint8_t *src, size_t len,
                   uint64_t pattern) {
  return mask_vectors(dst, src, len, pattern);
}

#endif
