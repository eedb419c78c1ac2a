/* utf8_portable.c - UTF-8 as a state machine (RFC 3629 4), one byte of state.
 * It has the last word on every byte: the kernels for vectors only say how far
 * there is nothing to ask it.
 *
 * The syntax of RFC 3629 becomes eight states, which say what the next byte
 * may be, and twelve classes of bytes. A class is one word that holds for
 * each state the one that follows, six bits apart: "word >> state" is a step,
 * without a branch or a look-up that waits for the step before. This form is
 * Per Vognsen's "shift-based DFA"; what it steps through is written as a
 * table below, to be read against the RFC:
 *
 *   UTF8-2 = %xC2-DF UTF8-tail
 *   UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) /
 *            %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
 *   UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) /
 *            %xF4 %x80-8F 2( UTF8-tail )
 *
 * Blocks of ASCII are passed over whole. A refusal is noticed at the end of a
 * block, which is then gone through again to find the byte.
 */
#include "utf8_variants.h"

#include <string.h>

enum { BLOCK = 16, BITS = 6, MASK = 63 };

/* The number is what nws_utf8 holds. NO never leaves this file. */
enum state {
  GO = NWS_UTF8_START,  /* between characters */
  T1,                   /* one UTF8-tail is missing */
  T2,                   /* two */
  T3,                   /* three */
  E0,                   /* behind E0: A0 to BF, then one tail */
  ED,                   /* behind ED: 80 to 9F, then one tail */
  F0,                   /* behind F0: 90 to BF, then two tails */
  F4,                   /* behind F4: 80 to 8F, then two tails */
  NO = NWS__UTF8_STATES /* refused, for good */
};

#define STEP(from, to) ((uint64_t)((to)*BITS) << ((from)*BITS))
#define ROW(go, t1, t2, t3, e0, ed, f0, f4)                                    \
  (STEP(GO, go) | STEP(T1, t1) | STEP(T2, t2) | STEP(T3, t3) | STEP(E0, e0) |  \
   STEP(ED, ed) | STEP(F0, f0) | STEP(F4, f4) | STEP(NO, NO))

/* clang-format off */
static const uint64_t rows[] = {
  /*              in state:  GO  T1  T2  T3  E0  ED  F0  F4 */
  /*  0: 00-7F          */ ROW(GO, NO, NO, NO, NO, NO, NO, NO),
  /*  1: 80-8F          */ ROW(NO, GO, T1, T2, NO, T1, NO, T2),
  /*  2: 90-9F          */ ROW(NO, GO, T1, T2, NO, T1, T2, NO),
  /*  3: A0-BF          */ ROW(NO, GO, T1, T2, T1, NO, T2, NO),
  /*  4: C2-DF          */ ROW(T1, NO, NO, NO, NO, NO, NO, NO),
  /*  5: E0             */ ROW(E0, NO, NO, NO, NO, NO, NO, NO),
  /*  6: E1-EC, EE-EF   */ ROW(T2, NO, NO, NO, NO, NO, NO, NO),
  /*  7: ED             */ ROW(ED, NO, NO, NO, NO, NO, NO, NO),
  /*  8: F0             */ ROW(F0, NO, NO, NO, NO, NO, NO, NO),
  /*  9: F1-F3          */ ROW(T3, NO, NO, NO, NO, NO, NO, NO),
  /* 10: F4             */ ROW(F4, NO, NO, NO, NO, NO, NO, NO),
  /* 11: C0-C1, F5-FF   */ ROW(NO, NO, NO, NO, NO, NO, NO, NO),
};

/* The row of each byte. */
static const uint8_t classes[256] = {
  /* 00 */  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
  /* 10 */  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
  /* 20 */  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
  /* 30 */  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
  /* 40 */  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
  /* 50 */  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
  /* 60 */  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
  /* 70 */  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
  /* 80 */  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,
  /* 90 */  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
  /* A0 */  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,
  /* B0 */  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,
  /* C0 */ 11, 11,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
  /* D0 */  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
  /* E0 */  5,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  7,  6,  6,
  /* F0 */  8,  9,  9,  9, 10, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11,
};
/* clang-format on */

/* States here are bit positions; only the low six bits count. */
static inline uint64_t step(uint64_t state, uint8_t byte) {
  return rows[classes[byte]] >> (state & MASK);
}

static inline int block_is_ascii(const uint8_t *at) {
  uint64_t a, b;
  memcpy(&a, at, 8);
  memcpy(&b, at + 8, 8);
  return ((a | b) & 0x8080808080808080u) == 0;
}

static uint64_t step_block(uint64_t state, const uint8_t *at) {
  for (size_t i = 0; i < BLOCK; i++) {
    state = step(state, at[i]);
  }
  return state & MASK;
}

/* Passes whole blocks; stops before one that holds a refusal. */
static size_t check_blocks(uint64_t *state, const uint8_t *text, size_t len) {
  size_t at = 0;
  while (len - at >= BLOCK) {
    if (*state != GO || !block_is_ascii(text + at)) {
      const uint64_t next = step_block(*state, text + at);
      if (next == NO * BITS) {
        break;
      }
      *state = next;
    }
    at += BLOCK;
  }
  return at;
}

size_t nws__utf8_walk(nws_utf8 *state, const uint8_t *text, size_t len) {
  uint64_t now = (uint64_t)*state * BITS;
  size_t at = check_blocks(&now, text, len);
  for (; at < len; at++) {
    const uint64_t next = step(now, text[at]) & MASK;
    if (next == NO * BITS) {
      break;
    }
    now = next;
  }
  *state = (nws_utf8)((unsigned)now / BITS);
  return at;
}

size_t nws__utf8_portable(const uint8_t *text, size_t len) {
  nws_utf8 state = NWS_UTF8_START;
  return nws__utf8_walk(&state, text, len);
}
