/* fuzz_rules.c - rules of the protocol, written a second time and plainly, for
 * the library's own reading of them to be held against.
 */
#include "fuzz.h"

/* The second byte of a character has a range of its own (RFC 3629 4). */
static int second_fits(uint8_t first, uint8_t second) {
  switch (first) {
  case 0xe0:
    return second >= 0xa0 && second <= 0xbf;
  case 0xed:
    return second >= 0x80 && second <= 0x9f;
  case 0xf0:
    return second >= 0x90 && second <= 0xbf;
  case 0xf4:
    return second >= 0x80 && second <= 0x8f;
  default:
    return second >= 0x80 && second <= 0xbf;
  }
}

static size_t character_len(uint8_t first) {
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    return 2;
  }
  if (first >= 0xe0 && first <= 0xef) {
    return 3;
  }
  return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

size_t fuzz_utf8(const uint8_t *text, size_t len, int *cut) {
  size_t at = 0;
  *cut = 0;
  while (at < len) {
    const size_t whole = character_len(text[at]);
    if (whole == 0) {
      return at;
    }
    for (size_t i = 1; i < whole; i++) {
      if (at + i == len) {
        *cut = 1;
        return len;
      }
      if (i == 1 ? !second_fits(text[at], text[at + 1])
                 : (text[at + i] & 0xc0) != 0x80) {
        return at + i;
      }
    }
    at += whole;
  }
  return at;
}

int fuzz_close_code(unsigned code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}
