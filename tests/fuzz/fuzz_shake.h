/* fuzz_shake.h - what the harnesses of the opening handshake share.
 */
#ifndef FUZZ_SHAKE_H
#define FUZZ_SHAKE_H

#include "fuzz.h"

#include <nws/handshake.h>

/** Two extensions, x-a and y-b, that are negotiated and do nothing. */
extern const nws_extension *const fuzz_shakers[2];

/** How many states of theirs have not been released. */
extern size_t fuzz_shaking;

/** The most bytes in heads: small, since faults show at the latest there. */
#define FUZZ_HEAD_MAX 1200

/** A copy of a head so far, as long as heads may be. */
char *fuzz_shake_full(const char *data, size_t len);

/** Where the next piece of a head that drips in ends. */
size_t fuzz_shake_step(size_t at, size_t len, uint32_t *seed);

/** The status of a response that must be well-formed, and end where a body of
 *  Content-Length ends. */
unsigned fuzz_shake_status(const char *data, size_t len);

#endif
