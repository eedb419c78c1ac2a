/* text.c - receiving text: unmasking and validating in one go.
 *
 * Masking says whether its result is ASCII, so most text is never looked at
 * again. The other is validated block by block, each while it is in a near
 * cache. A block of a few times 10 KiB is in the second one; blocks for the
 * first would be so small that their beginnings and ends cost more than that
 * saves, as validating takes longer than loading.
 */
#include "text_internal.h"

#include "mask_internal.h"
#include "utf8_variants.h"

static size_t check_block(nws_utf8 *state, const uint8_t *text, size_t len,
                          int beyond_ascii) {
  if (!beyond_ascii && *state == NWS_UTF8_START) {
    return len;
  }
  return nws_utf8_check(state, text, len);
}

static size_t unmask_long(nws_utf8 *state, uint8_t *data, size_t len,
                          uint64_t pattern) {
  size_t at = 0;
  while (at < len) {
    const size_t part = len - at < NWS__TEXT_BLOCK ? len - at : NWS__TEXT_BLOCK;
    uint8_t *text = data + at;
    const int beyond_ascii = nws__mask_run(text, text, part, pattern);
    const size_t good = check_block(state, text, part, beyond_ascii);
    at += good;
    if (good < part) {
      break;
    }
  }
  return at;
}

size_t nws__text_unmask(nws_utf8 *state, uint8_t *data, size_t len,
                        const uint8_t key[4], uint64_t offset) {
  const uint64_t pattern = nws__mask_pattern(key, offset);
  if (len > NWS__MASK_SHORT) {
    return unmask_long(state, data, len, pattern);
  }
  return check_block(state, data, len,
                     nws__mask_short(data, data, len, pattern));
}
