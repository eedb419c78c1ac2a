/* engine_bound.c - the least that receiving and sending can cost: headers, the
 * XOR, and for text the test for ASCII within it, with the full validation of
 * what is not. No rule is checked, no limit, no state; nothing may be cut.
 *
 * Short payloads are done in words that overlap, longer ones in vectors of
 * AVX2 of which the last overlaps: that was the fastest of what was tried.
 */
#include "engine_sides.h"

#include <nws/utf8.h>

#include <immintrin.h>
#include <string.h>

enum { BLOCK_LEN = 32 * 1024, VEC = 32 };

#define FAST static inline __attribute__((always_inline))
#define AVX2 __attribute__((target("avx2")))

FAST uint64_t load64(const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, sizeof(word));
  return word;
}

FAST void store64(uint8_t *to, uint64_t word) {
  memcpy(to, &word, sizeof(word));
}

FAST uint64_t turn(uint64_t key, size_t by) {
  const unsigned shift = 8 * (unsigned)(by & 3);
  return key >> shift | key << 1 << (63 - shift);
}

/* Up to 7 bytes, which no case has many of. */
static uint64_t mask_tiny(uint8_t *to, const uint8_t *from, size_t len,
                          uint64_t key) {
  uint64_t seen = 0;
  for (size_t i = 0; i < len; i++) {
    to[i] = from[i] ^ (uint8_t)(key >> (8 * i));
    seen |= (uint64_t)to[i] << 56;
  }
  return seen;
}

/* 8 to 32 bytes. */
FAST uint64_t mask_short(uint8_t *to, const uint8_t *from, size_t len,
                         uint64_t key) {
  const uint64_t turned = turn(key, len);
  const uint64_t a = load64(from) ^ key;
  const uint64_t d = load64(from + len - 8) ^ turned;
  uint64_t seen = a | d;
  if (len > 16) {
    const uint64_t b = load64(from + 8) ^ key;
    const uint64_t c = load64(from + len - 16) ^ turned;
    seen |= b | c;
    store64(to + 8, b);
    store64(to + len - 16, c);
  }
  store64(to, a);
  store64(to + len - 8, d);
  return seen;
}

FAST AVX2 __m256i mask_vec(uint8_t *to, const uint8_t *from, __m256i key) {
  const __m256i v = _mm256_xor_si256(
      _mm256_loadu_si256((const __m256i *)(const void *)from), key);
  _mm256_storeu_si256((__m256i *)(void *)to, v);
  return v;
}

FAST AVX2 __m256i join(__m256i a, __m256i b) {
  return _mm256_or_si256(a, b);
}

/* More than 32 bytes. Not 0 if some are not ASCII. */
static AVX2 int mask_long(uint8_t *to, const uint8_t *from, size_t len,
                          uint64_t word) {
  const size_t last = len - VEC;
  const __m256i key = _mm256_set1_epi64x((long long)word);
  const __m256i turned = _mm256_set1_epi64x((long long)turn(word, last));
  const __m256i tail = _mm256_xor_si256(
      _mm256_loadu_si256((const __m256i *)(const void *)(from + last)), turned);
  __m256i seen = tail;
  size_t i = 0;
  for (; i + 4 * VEC <= last; i += 4 * VEC) {
    const __m256i a = mask_vec(to + i, from + i, key);
    const __m256i b = mask_vec(to + i + VEC, from + i + VEC, key);
    const __m256i c = mask_vec(to + i + 2 * VEC, from + i + 2 * VEC, key);
    const __m256i d = mask_vec(to + i + 3 * VEC, from + i + 3 * VEC, key);
    seen = join(seen, join(join(a, b), join(c, d)));
  }
  for (; i < last; i += VEC) {
    seen = join(seen, mask_vec(to + i, from + i, key));
  }
  _mm256_storeu_si256((__m256i *)(void *)(to + last), tail);
  return _mm256_movemask_epi8(seen);
}

/* Not 0 if some byte of the result is not ASCII. */
FAST int mask(uint8_t *to, const uint8_t *from, size_t len, uint64_t key) {
  if (len > VEC) {
    return mask_long(to, from, len, key);
  }
  return ((len < 8 ? mask_tiny(to, from, len, key)
                   : mask_short(to, from, len, key)) &
          0x8080808080808080u) != 0;
}

/* While the bytes are in the cache. Returns how many are good. */
FAST size_t mask_text(uint8_t *text, size_t len, uint64_t key) {
  nws_utf8 state = NWS_UTF8_START;
  size_t good = 0;
  for (size_t at = 0; at < len; at += BLOCK_LEN) {
    const size_t part = len - at < BLOCK_LEN ? len - at : (size_t)BLOCK_LEN;
    if (mask(text + at, text + at, part, key) || state != NWS_UTF8_START) {
      good += nws_utf8_check(&state, text + at, part);
    } else {
      good += part;
    }
  }
  return state == NWS_UTF8_START ? good : 0;
}

FAST uint64_t load_key(const uint8_t *from) {
  uint32_t key;
  memcpy(&key, from, sizeof(key));
  return (uint64_t)key << 32 | key;
}

/* Where the payload begins. */
FAST uint8_t *read_header(uint8_t *at, size_t *len, uint64_t *key) {
  const unsigned short_len = at[1] & 127u;
  *len = short_len;
  at += 2;
  if (short_len == 126) {
    *len = (size_t)at[0] << 8 | at[1];
    at += 2;
  } else if (short_len == 127) {
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    *len = __builtin_bswap64(word);
    at += 8;
  }
  *key = load_key(at);
  return at + 4;
}

void bound_receive(void *user) {
  receiver *side = user;
  uint8_t *at = side->from->input, *end = at + side->from->len;
  const int text = side->from->text;
  tally found = {0, 0};
  while (at < end) {
    uint64_t key;
    size_t len;
    at = read_header(at, &len, &key);
    if (text) {
      found.bytes += mask_text(at, len, key);
    } else {
      mask(at, at, len, key);
      found.bytes += len;
    }
    found.messages++;
    at += len;
  }
  side->found = found;
}

/* --- Sending --- */

FAST size_t write_header(uint8_t *to, size_t len, unsigned masked) {
  to[0] = 0x82;
  if (len < 126) {
    to[1] = (uint8_t)(masked | len);
    return 2;
  }
  to[1] = (uint8_t)(masked | 126u);
  to[2] = (uint8_t)(len >> 8);
  to[3] = (uint8_t)len;
  return 4;
}

size_t bound_header(uint8_t *to, size_t len) {
  return write_header(to, len, 0);
}

size_t bound_frame(uint8_t *to, const uint8_t *payload, size_t len) {
  const size_t header_len = write_header(to, len, 0);
  memcpy(to + header_len, payload, len);
  return header_len + len;
}

size_t bound_masked_frame(uint8_t *to, const uint8_t *payload, size_t len,
                          const uint8_t key[4]) {
  const size_t header_len = write_header(to, len, 0x80) + 4;
  memcpy(to + header_len - 4, key, 4);
  mask(to + header_len, payload, len, load_key(key));
  return header_len + len;
}
