/* base64.c - base64 with padding (RFC 4648 4), in both directions.
 *
 * Decoding is strict, so that each byte string has exactly one text: that is
 * what lets a server say "this key is 16 bytes" and mean it. All is checked
 * before anything is written.
 */
#include <nws/digest.h>
#include <nws/error.h>

static const char ALPHABET[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { NOT_BASE64 = 64 };

static unsigned value_of(char c) {
  if (c >= 'A' && c <= 'Z') {
    return (unsigned)(c - 'A');
  }
  if (c >= 'a' && c <= 'z') {
    return (unsigned)(c - 'a') + 26;
  }
  if (c >= '0' && c <= '9') {
    return (unsigned)(c - '0') + 52;
  }
  if (c == '+') {
    return 62;
  }
  return c == '/' ? 63 : NOT_BASE64;
}

size_t nws_base64_len(size_t len) {
  return len / 3 * 4 + (len % 3 ? 4 : 0);
}

size_t nws_base64_encode(const void *data, size_t len, char *out) {
  const uint8_t *in = data;
  char *at = out;
  for (; len >= 3; len -= 3, in += 3, at += 4) {
    at[0] = ALPHABET[in[0] >> 2];
    at[1] = ALPHABET[(in[0] & 3) << 4 | in[1] >> 4];
    at[2] = ALPHABET[(in[1] & 15) << 2 | in[2] >> 6];
    at[3] = ALPHABET[in[2] & 63];
  }
  if (len > 0) {
    unsigned first = in[0], second = len == 2 ? in[1] : 0;
    at[0] = ALPHABET[first >> 2];
    at[1] = ALPHABET[(first & 3) << 4 | second >> 4];
    at[2] = len == 2 ? ALPHABET[(second & 15) << 2] : '=';
    at[3] = '=';
    at += 4;
  }
  return (size_t)(at - out);
}

/* How many characters of a text are data: its length without the padding. */
static size_t data_len(const char *text, size_t len) {
  if (len > 0 && text[len - 1] == '=') {
    len--;
  }
  if (len > 0 && len % 4 == 3 && text[len - 1] == '=') {
    len--;
  }
  return len;
}

/* Canonical means alphabet only, and no bits set that belong to no byte (RFC
 * 4648 3.5). */
static int is_canonical(const char *text, size_t chars) {
  for (size_t i = 0; i < chars; i++) {
    if (value_of(text[i]) == NOT_BASE64) {
      return 0;
    }
  }
  if (chars % 4 == 2) {
    return (value_of(text[chars - 1]) & 15) == 0;
  }
  if (chars % 4 == 3) {
    return (value_of(text[chars - 1]) & 3) == 0;
  }
  return chars % 4 == 0;
}

int nws_base64_decode(const char *text, size_t len, void *out, size_t cap,
                      size_t *used) {
  size_t chars = data_len(text, len);
  if (len % 4 != 0 || !is_canonical(text, chars)) {
    return NWS_ERROR_FIELD;
  }
  size_t need = chars / 4 * 3 + (chars % 4 ? chars % 4 - 1 : 0);
  *used = need;
  if (need > cap) {
    return NWS_ERROR_BUFFER;
  }
  uint8_t *at = out;
  uint32_t bits = 0;
  unsigned held = 0;
  for (size_t i = 0; i < chars; i++) {
    bits = bits << 6 | value_of(text[i]);
    held += 6;
    if (held >= 8) {
      held -= 8;
      *at++ = (uint8_t)(bits >> held);
    }
  }
  return NWS_OK;
}
