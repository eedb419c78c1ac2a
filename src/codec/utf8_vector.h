/* utf8_vector.h - UTF-8 in vectors, written once for all of them.
 *
 * The algorithm is the "lookup" of John Keiser and Daniel Lemire, "Validating
 * UTF-8 In Less Than One Instruction Per Byte" (2021). Everything that can be
 * wrong with two neighbouring bytes shows in three of their four nibbles: the
 * two of the first byte and the high one of the second. Each kind of mistake
 * is a bit. Three tables tell which mistakes a nibble is compatible with; a
 * mistake was made where all three agree. What is left are the third and
 * fourth bytes of characters: TWO_TAILS is no mistake exactly there, which the
 * lead two or three bytes before decides.
 *
 * The paper keeps the vector before and shifts the two together; here the
 * bytes before are loaded again at their own addresses. That serves any width,
 * and the last vector can end with the text and overlap the one before.
 *
 * Includers define `vec`, VEC, VEC_FN and the operations: vec_utf8 …().
 */
#ifndef NWS_UTF8_VECTOR_H
#define NWS_UTF8_VECTOR_H

#include "utf8_variants.h"

/* The mistakes. Bit 6 stands for two that have the second byte 80 to 8F in
 * common and differ in the first. Bit 7 must be TWO_TAILS, see vec_thirds(). */
enum {
  NO_TAIL = 1 << 0,      /* a lead, then something other than a tail */
  STRAY_TAIL = 1 << 1,   /* ASCII, then a tail */
  OVERLONG_2 = 1 << 2,   /* C0 or C1, then a tail */
  OVERLONG_3 = 1 << 3,   /* E0, then 80 to 9F */
  SURROGATE = 1 << 4,    /* ED, then A0 to BF */
  TOO_GREAT = 1 << 5,    /* F4 and up, then 90 to BF */
  TOO_GREAT_80 = 1 << 6, /* F5 and up, then 80 to 8F */
  OVERLONG_4 = 1 << 6,   /* F0, then 80 to 8F */
  TWO_TAILS = 1 << 7,    /* a tail, then a tail */
  ANY_LOW = NO_TAIL | STRAY_TAIL | TWO_TAILS /* whatever the low nibble */
};

enum {
  LOW_5_UP = ANY_LOW | TOO_GREAT | TOO_GREAT_80,
  LEAD_E = NO_TAIL | OVERLONG_3 | SURROGATE,
  LEAD_F = NO_TAIL | TOO_GREAT | TOO_GREAT_80 | OVERLONG_4,
  TAIL = STRAY_TAIL | TWO_TAILS | OVERLONG_2,
  TAIL_8 = TAIL | OVERLONG_3 | TOO_GREAT_80 | OVERLONG_4,
  TAIL_9 = TAIL | OVERLONG_3 | TOO_GREAT,
  TAIL_AB = TAIL | SURROGATE | TOO_GREAT
};

/* clang-format off */
/* By the high nibble of the first byte: 0-7, 8-B, C, D, E, F. */
static const uint8_t first_high[16] = {
  STRAY_TAIL, STRAY_TAIL, STRAY_TAIL, STRAY_TAIL,
  STRAY_TAIL, STRAY_TAIL, STRAY_TAIL, STRAY_TAIL,
  TWO_TAILS, TWO_TAILS, TWO_TAILS, TWO_TAILS,
  NO_TAIL | OVERLONG_2, NO_TAIL, LEAD_E, LEAD_F};

/* By its low nibble, which only matters behind C, E or F. */
static const uint8_t first_low[16] = {
  ANY_LOW | OVERLONG_2 | OVERLONG_3 | OVERLONG_4, ANY_LOW | OVERLONG_2,
  ANY_LOW, ANY_LOW, ANY_LOW | TOO_GREAT, LOW_5_UP, LOW_5_UP, LOW_5_UP,
  LOW_5_UP, LOW_5_UP, LOW_5_UP, LOW_5_UP,
  LOW_5_UP, LOW_5_UP | SURROGATE, LOW_5_UP, LOW_5_UP};

/* By the high nibble of the second byte. */
static const uint8_t second_high[16] = {
  NO_TAIL, NO_TAIL, NO_TAIL, NO_TAIL, NO_TAIL, NO_TAIL, NO_TAIL, NO_TAIL,
  TAIL_8, TAIL_9, TAIL_AB, TAIL_AB, NO_TAIL, NO_TAIL, NO_TAIL, NO_TAIL};
/* clang-format on */

typedef struct tables {
  vec first_high;
  vec first_low;
  vec second_high;
} tables;

VEC_FN tables load_tables(void) {
  tables t;
  t.first_high = vec_table(first_high);
  t.first_low = vec_table(first_low);
  t.second_high = vec_table(second_high);
  return t;
}

/* Bit 7 where the byte two before is a lead of three or four, or the one three
 * before a lead of four. */
VEC_FN vec vec_thirds(vec before2, vec before3) {
  return vec_high_bits(
      vec_or(vec_less(before2, 0xE0 - 0x80), vec_less(before3, 0xF0 - 0x80)));
}

/* Not 0 at a byte that is wrong behind the three before it. */
VEC_FN vec mistakes(const tables *t, vec bytes, vec before1, vec before2,
                    vec before3) {
  const vec in_first = vec_and(vec_lookup(t->first_high, vec_shr4(before1)),
                               vec_lookup(t->first_low, vec_low4(before1)));
  const vec in_pair =
      vec_and(in_first, vec_lookup(t->second_high, vec_shr4(bytes)));
  return vec_xor(in_pair, vec_thirds(before2, before3));
}

/* The vector at `at`, which has three bytes of the text before it. */
VEC_FN vec mistakes_at(const tables *t, const uint8_t *at) {
  return mistakes(t, vec_load(at), vec_load(at - 1), vec_load(at - 2),
                  vec_load(at - 3));
}

/* A vector that begins with a character. */
VEC_FN vec mistakes_first(const tables *t, const uint8_t *text) {
  const vec bytes = vec_load(text);
  return mistakes(t, bytes, vec_before1(bytes), vec_before2(bytes),
                  vec_before3(bytes));
}

enum { STRIDE = 4 * VEC };

VEC_FN int stride_is_ascii(const uint8_t *at) {
  const vec a = vec_or(vec_load(at), vec_load(at + VEC));
  const vec b = vec_or(vec_load(at + 2 * VEC), vec_load(at + 3 * VEC));
  return !vec_high(vec_or(a, b));
}

/* How much of the text is ASCII, to the vector. */
VEC_FN size_t ascii_part(const uint8_t *text, size_t len) {
  size_t at = 0;
  while (len - at >= STRIDE && stride_is_ascii(text + at)) {
    at += STRIDE;
  }
  for (; len - at >= VEC; at += VEC) {
    if (vec_high(vec_load(text + at))) {
      return at;
    }
  }
  return vec_high(vec_load(text + len - VEC)) ? at : len;
}

enum { PAIR = 2 * VEC };

VEC_FN int pair_is_ascii(const uint8_t *at) {
  return !vec_high(vec_or(vec_load(at), vec_load(at + VEC)));
}

VEC_FN int pair_is_good(const tables *t, const uint8_t *at) {
  return !vec_any(vec_or(mistakes_at(t, at), mistakes_at(t, at + VEC)));
}

/* Goes on in pairs of vectors, more of which do not fit the registers. ASCII is
 * passed over, but for the first pair behind others: a character may have been
 * cut there. */
VEC_FN size_t check_pairs(const tables *t, const uint8_t *text, size_t at,
                          size_t len) {
  int calm = 0;
  for (; len - at >= PAIR; at += PAIR) {
    const int ascii = pair_is_ascii(text + at);
    if ((!ascii || !calm) && !pair_is_good(t, text + at)) {
      break;
    }
    calm = ascii;
  }
  return at;
}

/* Less than a pair: a vector, and one that ends with the text. */
VEC_FN size_t check_rest(const tables *t, const uint8_t *text, size_t at,
                         size_t len) {
  for (; len - at >= VEC; at += VEC) {
    if (vec_any(mistakes_at(t, text + at))) {
      return at;
    }
  }
  if (at < len && len >= VEC + 3 &&
      !vec_any(mistakes_at(t, text + len - VEC))) {
    return len;
  }
  return at;
}

/* A kernel, for texts of VEC bytes and more. */
VEC_FN size_t check_vectors(const uint8_t *text, size_t len) {
  const tables t = load_tables();
  size_t at = ascii_part(text, len);
  if (at == len) {
    return len;
  }
  /* Any place within the ASCII will do to begin at. */
  at = at < len - VEC ? at : len - VEC;
  if (vec_any(mistakes_first(&t, text + at))) {
    return at;
  }
  at = check_pairs(&t, text, at + VEC, len);
  return len - at < PAIR ? check_rest(&t, text, at, len) : at;
}

#endif
