/* cli_hex.c - bytes written as hex text: "81 05 48,0x65:6c  # a comment".
 *
 * The text comes in pieces of any length, and may go on for ever; what must be
 * remembered between two pieces is one digit and where we are.
 */
#include "cli.h"

static int digit(unsigned c) {
  if (c >= '0' && c <= '9') {
    return (int)(c - '0');
  }
  c |= 0x20u;
  if (c >= 'a' && c <= 'f') {
    return (int)(c - 'a' + 10);
  }
  return -1;
}

static int separates(unsigned c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == ',' || c == ':' ||
         c == '#';
}

/* What has been begun and must not end here; NULL for nothing. */
static const char *missing(const cli_hex *hex) {
  if (hex->pending) {
    return "the second digit of a byte is missing";
  }
  return hex->promised ? "no digits behind 0x" : NULL;
}

/* Takes one character; 1 when it completes a byte in `hex->high`. */
static int take(cli_hex *hex, unsigned c) {
  if (hex->comment) {
    hex->comment = c != '\n';
    return 0;
  }
  int value = digit(c);
  if (value >= 0) {
    hex->promised = 0;
  }
  if (value >= 0 && hex->pending) {
    hex->pending = 0;
    hex->high = hex->high << 4 | (unsigned)value;
    return 1;
  }
  if (value >= 0) {
    hex->pending = 1;
    hex->prefix = value == 0;
    hex->high = (unsigned)value;
    return 0;
  }
  if ((c | 0x20u) == 'x' && hex->pending && hex->prefix) {
    hex->pending = 0;
    hex->promised = 1;
    return 0;
  }
  if (!separates(c)) {
    hex->fault = "not a hex digit";
  } else {
    hex->fault = missing(hex);
  }
  hex->comment = c == '#';
  return 0;
}

size_t nws__cli_hex_read(cli_hex *hex, uint8_t *text, size_t len) {
  size_t out = 0;
  for (size_t i = 0; i < len; i++) {
    uint8_t c = text[i];
    if (take(hex, c)) {
      text[out++] = (uint8_t)hex->high;
    }
    if (hex->fault) {
      hex->bad = c;
      break;
    }
    hex->column++;
    if (c == '\n') {
      hex->line++;
      hex->column = 1;
    }
  }
  return out;
}

void nws__cli_hex_end(cli_hex *hex) {
  if (hex->fault) {
    return;
  }
  hex->fault = missing(hex);
  hex->bad = -1;
}
