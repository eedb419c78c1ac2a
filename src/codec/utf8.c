/* utf8.c - UTF-8 for everybody: what utf8_variants.h puts together from the
 * state machine and a kernel.
 */
#include <nws/utf8.h>

#include "utf8_variants.h"

size_t nws_utf8_check(nws_utf8 *state, const void *text, size_t len) {
  if (*state >= NWS__UTF8_STATES) {
    return 0; /* not a state: no text can follow it */
  }
  return nws__utf8_run(NWS__UTF8_KERNEL, state, text, len);
}

int nws_utf8_valid(const void *text, size_t len) {
  nws_utf8 state = NWS_UTF8_START;
  return nws_utf8_check(&state, text, len) == len && state == NWS_UTF8_START;
}
