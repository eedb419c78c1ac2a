/* mask.c - masking for everybody (RFC 6455 5.3). The work is done by the short
 * forms of mask_internal.h and the kernels of mask_variants.h.
 */
#include <nws/mask.h>

#include "mask_internal.h"

void nws_mask(void *dst, const void *src, size_t len, const uint8_t key[4],
              uint64_t offset) {
  if (len > 0) {
    (void)nws__mask_run(dst, src, len, nws__mask_pattern(key, offset));
  }
}
