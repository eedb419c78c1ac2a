/* mask_sse2.c - masking with SSE2; empty elsewhere. */
#include "mask_variants.h"

#if NWS__X86

#include "vec_sse.h"

#include "mask_vector.h"

int nws__mask_sse2(uint8_t *dst, const uint8_t *src, size_t len,
                   uint64_t pattern) {
  return mask_vectors(dst, src, len, pattern);
}

#endif
