/* utf8.c - UTF-8 for everybody: what utf8_variants.h puts together from the
 * state machine and a kernel.
 */
#include <nws/utf8.h>

#include <string.h>

#include "utf8_variants.h"

enum { SHORT = 8, LONG = 32 };

static uint64_t load(const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, sizeof(word));
  return word;
}

/* Whether SHORT to LONG bytes are all ASCII, in words that overlap: most texts
 * are that short, and a call of a kernel costs more than this. */
static int is_short_ascii(const uint8_t *text, size_t len) {
  uint64_t seen = load(text) | load(text + len - 8);
  if (len > 16) {
    seen |= load(text + 8) | load(text + len - 16);
  }
  return (seen & 0x8080808080808080u) == 0;
}

size_t nws_utf8_check(nws_utf8 *state, const void *text, size_t len) {
  if (*state >= NWS__UTF8_STATES) {
    return 0; /* not a state: no text can follow it */
  }
  if (*state == NWS_UTF8_START && len >= SHORT && len <= LONG &&
      is_short_ascii(text, len)) {
    return len;
  }
  return nws__utf8_run(NWS__UTF8_KERNEL, state, text, len);
}

int nws_utf8_valid(const void *text, size_t len) {
  nws_utf8 state = NWS_UTF8_START;
  return nws_utf8_check(&state, text, len) == len && state == NWS_UTF8_START;
}
