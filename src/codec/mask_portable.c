/* mask_portable.c - masking in words, for any architecture.
 *
 * The last 32 bytes are read before the loop and written after it: the loop
 * can then run in whole blocks and overlap with them, and no byte is ever
 * masked alone. In a block all loads come before all stores, which lets
 * compilers use vectors without proving that source and result are apart.
 */
#include "mask_variants.h"

enum { BLOCK = 32 };

typedef struct block {
  uint64_t word[4];
} block;

static inline block load_masked(const uint8_t *from, uint64_t pattern) {
  block b;
  b.word[0] = nws__mask_load(from) ^ pattern;
  b.word[1] = nws__mask_load(from + 8) ^ pattern;
  b.word[2] = nws__mask_load(from + 16) ^ pattern;
  b.word[3] = nws__mask_load(from + 24) ^ pattern;
  return b;
}

/* Returns the bits of all that it stores. */
static inline uint64_t store(uint8_t *to, const block *b) {
  nws__mask_store(to, b->word[0]);
  nws__mask_store(to + 8, b->word[1]);
  nws__mask_store(to + 16, b->word[2]);
  nws__mask_store(to + 24, b->word[3]);
  return b->word[0] | b->word[1] | b->word[2] | b->word[3];
}

int nws__mask_portable(uint8_t *dst, const uint8_t *src, size_t len,
                       uint64_t pattern) {
  const size_t last = len - BLOCK;
  const block tail = load_masked(src + last, nws__mask_turn(pattern, last));
  uint64_t seen = 0;
  for (size_t i = 0; i < last; i += BLOCK) {
    const block b = load_masked(src + i, pattern);
    seen |= store(dst + i, &b);
  }
  seen |= store(dst + last, &tail);
  return (seen & NWS__HIGH_BITS) != 0;
}
