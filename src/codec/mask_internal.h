/* mask_internal.h - masking that also says whether the result is ASCII: what
 * nws_mask() and nws__text_unmask() are made of.
 *
 * Most payloads are short, and for them a loop costs more than the work. So
 * up to 32 bytes are done in at most four words, which overlap where the
 * length is not a multiple: every word is read before the first is written,
 * thus a byte that two words cover gets the same value twice, in place too.
 * Each function returns the bits of all that it wrote.
 */
#ifndef NWS_MASK_INTERNAL_H
#define NWS_MASK_INTERNAL_H

#include "mask_variants.h"

/* What two words hold. */
#define NWS__MASK_TINY 16

/* First, middle and last byte: they are all there is, up to three. */
NWS__INLINE uint64_t nws__mask_1_to_3(uint8_t *dst, const uint8_t *src,
                                      size_t len, uint64_t pattern) {
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
  return a | b | c;
}

NWS__INLINE uint64_t nws__mask_4_to_7(uint8_t *dst, const uint8_t *src,
                                      size_t len, uint64_t pattern) {
  const uint64_t turned = nws__mask_turn(pattern, len);
  uint32_t a, b;
  memcpy(&a, src, 4);
  memcpy(&b, src + len - 4, 4);
  /* Either half of a pattern is the key, whatever the byte order. */
  a ^= (uint32_t)pattern;
  b ^= (uint32_t)turned;
  memcpy(dst, &a, 4);
  memcpy(dst + len - 4, &b, 4);
  return a | b;
}

NWS__INLINE uint64_t nws__mask_8_to_16(uint8_t *dst, const uint8_t *src,
                                       size_t len, uint64_t pattern) {
  const uint64_t turned = nws__mask_turn(pattern, len);
  const uint64_t a = nws__mask_load(src) ^ pattern;
  const uint64_t b = nws__mask_load(src + len - 8) ^ turned;
  nws__mask_store(dst, a);
  nws__mask_store(dst + len - 8, b);
  return a | b;
}

NWS__INLINE uint64_t nws__mask_17_to_32(uint8_t *dst, const uint8_t *src,
                                        size_t len, uint64_t pattern) {
  const uint64_t turned = nws__mask_turn(pattern, len);
  const uint64_t a = nws__mask_load(src) ^ pattern;
  const uint64_t b = nws__mask_load(src + 8) ^ pattern;
  const uint64_t c = nws__mask_load(src + len - 16) ^ turned;
  const uint64_t d = nws__mask_load(src + len - 8) ^ turned;
  nws__mask_store(dst, a);
  nws__mask_store(dst + 8, b);
  nws__mask_store(dst + len - 16, c);
  nws__mask_store(dst + len - 8, d);
  return a | b | c | d;
}

/* Up to two words. Not 0 if some byte of the result is not ASCII. */
NWS__INLINE int nws__mask_tiny(uint8_t *dst, const uint8_t *src, size_t len,
                               uint64_t pattern) {
  uint64_t seen = 0;
  if (len >= 8) {
    seen = nws__mask_8_to_16(dst, src, len, pattern);
  } else if (len >= 4) {
    seen = nws__mask_4_to_7(dst, src, len, pattern);
  } else if (len > 0) {
    seen = nws__mask_1_to_3(dst, src, len, pattern);
  }
  return (seen & NWS__HIGH_BITS) != 0;
}

/* Up to NWS__MASK_SHORT bytes. */
NWS__INLINE int nws__mask_short(uint8_t *dst, const uint8_t *src, size_t len,
                                uint64_t pattern) {
  if (len <= NWS__MASK_TINY) {
    return nws__mask_tiny(dst, src, len, pattern);
  }
  return (nws__mask_17_to_32(dst, src, len, pattern) & NWS__HIGH_BITS) != 0;
}

/* The key twice, turned to the offset. */
static inline uint64_t nws__mask_pattern(const uint8_t key[4],
                                         uint64_t offset) {
  uint32_t word;
  memcpy(&word, key, sizeof(word));
  return nws__mask_turn((uint64_t)word << 32 | word, (size_t)(offset & 3));
}

/* Any number of bytes. Not 0 if some byte of the result is not ASCII. */
NWS__INLINE int nws__mask_run(uint8_t *dst, const uint8_t *src, size_t len,
                              uint64_t pattern) {
  return len <= NWS__MASK_SHORT ? nws__mask_short(dst, src, len, pattern)
                                : NWS__MASK_KERNEL(dst, src, len, pattern);
}

#endif
