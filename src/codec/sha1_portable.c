/* sha1_portable.c - SHA-1's compression function in plain C (FIPS 180-4 6.1).
 *
 * The message schedule is kept as a ring of 16 words (FIPS 180-4 6.1.3), which
 * fits in registers and the first cache line; bytes are put together with
 * shifts, so that neither alignment nor byte order matters.
 */
#include "sha1_internal.h"

static uint32_t rotate(uint32_t x, unsigned n) {
  return x << n | x >> (32 - n);
}

static uint32_t load_be(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
         p[3];
}

/* The next word of the schedule, W(t) for t >= 16. */
static uint32_t expand(uint32_t w[16], unsigned t) {
  uint32_t x = w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[t & 15];
  return w[t & 15] = rotate(x, 1);
}

typedef struct words {
  uint32_t a, b, c, d, e;
} words;

static inline void round_step(words *s, uint32_t f, uint32_t k, uint32_t w) {
  uint32_t next = rotate(s->a, 5) + f + s->e + k + w;
  s->e = s->d;
  s->d = s->c;
  s->c = rotate(s->b, 30);
  s->b = s->a;
  s->a = next;
}

static void one_block(uint32_t state[5], const uint8_t *block) {
  uint32_t w[16];
  words s = {state[0], state[1], state[2], state[3], state[4]};
  unsigned t = 0;
  for (; t < 16; t++) {
    w[t] = load_be(block + t * 4);
    round_step(&s, s.d ^ (s.b & (s.c ^ s.d)), 0x5a827999U, w[t]);
  }
  for (; t < 20; t++) {
    round_step(&s, s.d ^ (s.b & (s.c ^ s.d)), 0x5a827999U, expand(w, t));
  }
  for (; t < 40; t++) {
    round_step(&s, s.b ^ s.c ^ s.d, 0x6ed9eba1U, expand(w, t));
  }
  for (; t < 60; t++) {
    round_step(&s, (s.b & s.c) | (s.d & (s.b | s.c)), 0x8f1bbcdcU,
               expand(w, t));
  }
  for (; t < 80; t++) {
    round_step(&s, s.b ^ s.c ^ s.d, 0xca62c1d6U, expand(w, t));
  }
  state[0] += s.a;
  state[1] += s.b;
  state[2] += s.c;
  state[3] += s.d;
  state[4] += s.e;
}

void nws__sha1_block(uint32_t state[5], const uint8_t *blocks, size_t count) {
  for (; count > 0; count--, blocks += 64) {
    one_block(state, blocks);
  }
}
