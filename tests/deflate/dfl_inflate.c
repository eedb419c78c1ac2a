/* dfl_inflate.c - DEFLATE (RFC 1951) taken apart by hand, slowly, for one
 * purpose: to see how far a compressor refers back. It shares no code with what
 * it judges.
 */
#include "dfl_help.h"

typedef struct reader {
  const uint8_t *data;
  size_t len;
  size_t bit; /* the next one */
} reader;

/* The codes of one alphabet, in canonical order (RFC 1951 3.2.2). */
typedef struct codes {
  unsigned count[16];
  unsigned symbol[288];
} codes;

static unsigned take_bit(reader *r) {
  unsigned bit;
  assert_true(r->bit < r->len * 8);
  bit = r->data[r->bit / 8] >> (r->bit & 7) & 1;
  r->bit++;
  return bit;
}

static unsigned take_bits(reader *r, unsigned count) {
  unsigned value = 0;
  for (unsigned i = 0; i < count; i++) {
    value |= take_bit(r) << i;
  }
  return value;
}

static void make_codes(codes *c, const uint8_t *lengths, unsigned count) {
  unsigned next = 0;
  for (unsigned len = 0; len < 16; len++) {
    c->count[len] = 0;
    for (unsigned i = 0; i < count; i++) {
      if (len > 0 && lengths[i] == len) {
        c->symbol[next++] = i;
        c->count[len]++;
      }
    }
  }
}

static unsigned take_symbol(reader *r, const codes *c) {
  unsigned code = 0, first = 0, index = 0;
  for (unsigned len = 1; len < 16; len++) {
    code = code << 1 | take_bit(r);
    first <<= 1;
    if (code - first < c->count[len]) {
      return c->symbol[index + code - first];
    }
    index += c->count[len];
    first += c->count[len];
  }
  fail_msg("no such code");
  return 0;
}

static void fixed_codes(codes *lit, codes *dist) {
  uint8_t lengths[288];
  for (unsigned i = 0; i < 288; i++) {
    lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  }
  make_codes(lit, lengths, 288);
  for (unsigned i = 0; i < 30; i++) {
    lengths[i] = 5;
  }
  make_codes(dist, lengths, 30);
}

static void dynamic_codes(reader *r, codes *lit, codes *dist) {
  static const uint8_t order[] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                  11, 4,  12, 3, 13, 2, 14, 1, 15};
  const unsigned lits = take_bits(r, 5) + 257, dists = take_bits(r, 5) + 1;
  const unsigned own = take_bits(r, 4) + 4;
  uint8_t lengths[320] = {0};
  codes lens;
  for (unsigned i = 0; i < own; i++) {
    lengths[order[i]] = (uint8_t)take_bits(r, 3);
  }
  make_codes(&lens, lengths, 19);
  for (unsigned i = 0; i < lits + dists;) {
    const unsigned symbol = take_symbol(r, &lens);
    unsigned repeat = 1;
    uint8_t len = (uint8_t)symbol;
    if (symbol >= 16) {
      len = symbol == 16 ? lengths[i - 1] : 0;
      repeat = symbol == 16   ? 3 + take_bits(r, 2)
               : symbol == 17 ? 3 + take_bits(r, 3)
                              : 11 + take_bits(r, 7);
    }
    assert_true(i + repeat <= lits + dists);
    while (repeat-- > 0) {
      lengths[i++] = len;
    }
  }
  make_codes(lit, lengths, lits);
  make_codes(dist, lengths + lits, dists);
}

static void copy_match(reader *r, const codes *dist, unsigned symbol,
                       dfl_bytes *out, size_t *farthest) {
  static const uint16_t len_base[] = {
      3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
      31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
  static const uint8_t len_more[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
                                     1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
                                     4, 4, 4, 4, 5, 5, 5, 5, 0};
  static const uint16_t dist_base[] = {
      1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
      33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
      1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
  unsigned len, code;
  size_t distance;
  symbol -= 257;
  assert_true(symbol < 29);
  len = len_base[symbol] + take_bits(r, len_more[symbol]);
  code = take_symbol(r, dist);
  assert_true(code < 30);
  distance = dist_base[code] + take_bits(r, code < 4 ? 0 : code / 2 - 1);
  assert_true(distance <= out->len);
  *farthest = distance > *farthest ? distance : *farthest;
  while (len-- > 0) {
    const uint8_t byte = out->data[out->len - distance];
    dfl_add(out, &byte, 1);
  }
}

static void stored(reader *r, dfl_bytes *out) {
  size_t at = (r->bit + 7) / 8;
  unsigned len, not_len;
  assert_true(at + 4 <= r->len);
  len = r->data[at] | (unsigned)r->data[at + 1] << 8;
  not_len = r->data[at + 2] | (unsigned)r->data[at + 3] << 8;
  assert_int_equal(len ^ not_len, 0xffff);
  at += 4;
  assert_true(at + len <= r->len);
  dfl_add(out, r->data + at, len);
  r->bit = (at + len) * 8;
}

static void coded(reader *r, int fixed, dfl_bytes *out, size_t *farthest) {
  codes lit, dist;
  unsigned symbol;
  if (fixed) {
    fixed_codes(&lit, &dist);
  } else {
    dynamic_codes(r, &lit, &dist);
  }
  while ((symbol = take_symbol(r, &lit)) != 256) {
    if (symbol < 256) {
      const uint8_t byte = (uint8_t)symbol;
      dfl_add(out, &byte, 1);
    } else {
      copy_match(r, &dist, symbol, out, farthest);
    }
  }
}

void dfl_inflate(const uint8_t *data, size_t len, dfl_bytes *out,
                 size_t *farthest) {
  reader r = {data, len, 0};
  while (r.bit < r.len * 8) {
    unsigned type;
    assert_int_equal(take_bit(&r), 0); /* we never end a stream */
    type = take_bits(&r, 2);
    assert_true(type < 3);
    if (type == 0) {
      stored(&r, out);
    } else {
      coded(&r, type == 1, out, farthest);
    }
  }
}
