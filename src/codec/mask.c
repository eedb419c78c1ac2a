/* mask.c - the entry to masking (RFC 6455 5.3): turns the key to the offset,
 * does short payloads itself and leaves long ones to a kernel.
 *
 * Most payloads are short, and for them a loop costs more than the work. So
 * up to 32 bytes are done in at most four words, which overlap where the
 * length is not a multiple: every word is read before the first is written,
 * thus a byte that two words cover gets the same value twice, in place too.
 */
#include <nws/mask.h>

#include "mask_variants.h"

/* First, middle and last byte: they are all there is, up to three. */
static void mask_1_to_3(uint8_t *dst, const uint8_t *src, size_t len,
                        uint64_t pattern) {
  uint8_t key[8];
  const size_t mid = len / 2;
  const size_t last = len - 1;
  nws__mask_store(key, pattern);
  const uint8_t a = src[0] ^ key[0];
  const uint8_t b = src[mid] ^ key[mid];
  const uint8_t c = src[last] ^ key[last];
  dst[0] = a;
  dst[mid] = b;
  dst[last] = c;
}

static void mask_4_to_7(uint8_t *dst, const uint8_t *src, size_t len,
                        uint64_t pattern) {
  const uint64_t turned = nws__mask_turn(pattern, len);
  uint32_t a, b;
  memcpy(&a, src, 4);
  memcpy(&b, src + len - 4, 4);
  /* Either half of a pattern is the key, whatever the byte order. */
  a ^= (uint32_t)pattern;
  b ^= (uint32_t)turned;
  memcpy(dst, &a, 4);
  memcpy(dst + len - 4, &b, 4);
}

static void mask_8_to_16(uint8_t *dst, const uint8_t *src, size_t len,
                         uint64_t pattern) {
  const uint64_t a = nws__mask_load(src) ^ pattern;
  const uint64_t b =
      nws__mask_load(src + len - 8) ^ nws__mask_turn(pattern, len);
  nws__mask_store(dst, a);
  nws__mask_store(dst + len - 8, b);
}

static void mask_17_to_32(uint8_t *dst, const uint8_t *src, size_t len,
                          uint64_t pattern) {
  const uint64_t turned = nws__mask_turn(pattern, len);
  const uint64_t a = nws__mask_load(src) ^ pattern;
  const uint64_t b = nws__mask_load(src + 8) ^ pattern;
  const uint64_t c = nws__mask_load(src + len - 16) ^ turned;
  const uint64_t d = nws__mask_load(src + len - 8) ^ turned;
  nws__mask_store(dst, a);
  nws__mask_store(dst + 8, b);
  nws__mask_store(dst + len - 16, c);
  nws__mask_store(dst + len - 8, d);
}

static void mask_short(uint8_t *dst, const uint8_t *src, size_t len,
                       uint64_t pattern) {
  if (len > 16) {
    mask_17_to_32(dst, src, len, pattern);
  } else if (len >= 8) {
    mask_8_to_16(dst, src, len, pattern);
  } else if (len >= 4) {
    mask_4_to_7(dst, src, len, pattern);
  } else if (len > 0) {
    mask_1_to_3(dst, src, len, pattern);
  }
}

void nws_mask(void *dst, const void *src, size_t len, const uint8_t key[4],
              uint64_t offset) {
  uint32_t word;
  uint64_t pattern;
  if (len == 0) {
    return;
  }
  memcpy(&word, key, sizeof(word));
  pattern = nws__mask_turn((uint64_t)word << 32 | word, (size_t)(offset & 3));
  if (len <= NWS__MASK_SHORT) {
    mask_short(dst, src, len, pattern);
    return;
  }
  NWS__MASK_KERNEL(dst, src, len, pattern);
}
