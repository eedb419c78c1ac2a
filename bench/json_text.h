/* json_text.h - JSON messages as services send them, the same in every run. */
#ifndef NWS_JSON_TEXT_H
#define NWS_JSON_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Writes one message of exactly `len` bytes, at least 160. `seed` makes the
 * next one differ in its values, as one event differs from the one before. */
void json_text(char *out, size_t len, uint64_t *seed);

#endif
