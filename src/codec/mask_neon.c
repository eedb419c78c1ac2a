/* mask_neon.c - masking with NEON; empty elsewhere. */
#include "mask_variants.h"

#if NWS__NEON

#include "vec_neon.h"

#include "mask_vector.h"

int nws__mask_neon(uint8_t *dst, const uint8_t *src, size_t len,
                   uint64_t pattern) {
  return mask_vectors(dst, src, len, pattern);
}

#endif
