/* utf8_variants.h - the kernels behind nws_utf8_check(), and what joins them
 * to the state machine.
 *
 * A kernel is fast and approximate: it says how far a text is surely fine, in
 * whole vectors, and leaves it to the state machine to name the byte that is
 * wrong or the state in which the text ends. That needs three bytes of looking
 * back at most, as no character has more than four.
 */
#ifndef NWS_UTF8_VARIANTS_H
#define NWS_UTF8_VARIANTS_H

#include <nws/utf8.h>

#include "cpu.h"

/* How many states the machine has; greater numbers are none. */
#define NWS__UTF8_STATES 8

/* Kernels get at least this much text. */
#define NWS__UTF8_SHORT 16

/* Looks at `len` >= NWS__UTF8_SHORT bytes that begin with a character. Returns
 * how many are good: `len`, or fewer if something behind is wrong or left to
 * others. Good means that no valid text is refused and that whatever is wrong
 * would show in the last character, if that is cut there. */
typedef size_t nws__utf8_kernel(const uint8_t *text, size_t len);

nws__utf8_kernel nws__utf8_portable NWS__HIDDEN;
nws__utf8_kernel nws__utf8_ssse3 NWS__HIDDEN;  /* NWS__X86, if the CPU has it */
nws__utf8_kernel nws__utf8_avx2 NWS__HIDDEN;   /* NWS__X86, if the CPU has it */
nws__utf8_kernel nws__utf8_neon NWS__HIDDEN;   /* NWS__NEON */
nws__utf8_kernel nws__utf8_chosen NWS__HIDDEN; /* NWS__IFUNC */

#if NWS__IFUNC
#define NWS__UTF8_KERNEL nws__utf8_chosen
#elif NWS__AVX2_SURE
#define NWS__UTF8_KERNEL nws__utf8_avx2
#elif NWS__SSSE3_SURE
#define NWS__UTF8_KERNEL nws__utf8_ssse3
#elif NWS__NEON
#define NWS__UTF8_KERNEL nws__utf8_neon
#else
#define NWS__UTF8_KERNEL nws__utf8_portable
#endif

/* The state machine: nws_utf8_check() without vectors. */
size_t nws__utf8_walk(nws_utf8 *state, const uint8_t *text, size_t len);

/* Where the last character of text[0..end) begins if `end` cuts it, else
 * `end`. Only the lead bytes matter: tails that lead nowhere are not good. */
static inline size_t nws__utf8_cut(const uint8_t *text, size_t end) {
  static const uint8_t leads[3] = {0xC0, 0xE0, 0xF0};
  if (end > 0 && text[end - 1] < 0x80) {
    return end; /* as most texts end */
  }
  for (size_t back = 1; back <= 3 && back <= end; back++) {
    if (text[end - back] >= leads[back - 1]) {
      return end - back;
    }
  }
  return end;
}

/* nws_utf8_check() with a kernel of one's choice. */
static inline size_t nws__utf8_run(nws__utf8_kernel *kernel, nws_utf8 *state,
                                   const uint8_t *text, size_t len) {
  size_t at = 0;
  while (*state != NWS_UTF8_START && at < len) {
    if (nws__utf8_walk(state, text + at, 1) == 0) {
      return at;
    }
    at++;
  }
  if (len - at >= NWS__UTF8_SHORT) {
    const size_t good = kernel(text + at, len - at);
    at += nws__utf8_cut(text + at, good);
  }
  return at == len ? at : at + nws__utf8_walk(state, text + at, len - at);
}

#endif
