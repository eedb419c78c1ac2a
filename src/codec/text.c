/* text.c - receiving text: unmasking and validating in one go.
 *
 * Masking says whether its result is ASCII, so most text is never looked at
 * again. The other is validated block by block, each while it is in the
 * nearest cache.
 */
#include "text_internal.h"

#include "mask_internal.h"
#include "utf8_variants.h"

/* A fourth of the smallest first-level cache around. A multiple of four, so
 * that each block meets the key where the first did. */
enum { BLOCK = 8192 };

static size_t check_block(nws_utf8 *state, const uint8_t *text, size_t len,
                          int beyond_ascii) {
  if (!beyond_ascii && *state == NWS_UTF8_START) {
    return len;
  }
  return nws_utf8_check(state, text, len);
}

size_t nws__text_unmask(nws_utf8 *state, uint8_t *data, size_t len,
                        const uint8_t key[4], uint64_t offset) {
  const uint64_t pattern = nws__mask_pattern(key, offset);
  size_t at = 0;
  while (at < len) {
    const size_t part = len - at < BLOCK ? len - at : BLOCK;
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
