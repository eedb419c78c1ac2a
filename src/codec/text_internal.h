/* text_internal.h - receiving text: unmasking and validating in one go. */
#ifndef NWS_TEXT_INTERNAL_H
#define NWS_TEXT_INTERNAL_H

#include <nws/utf8.h>

/* Unmasks `len` bytes of a text at `data`, in place, as nws_mask() does, and
 * validates them, as nws_utf8_check() does: the same state, the same result.
 * What comes behind a refused byte may stay masked. */
size_t nws__text_unmask(nws_utf8 *state, uint8_t *data, size_t len,
                        const uint8_t key[4], uint64_t offset);

#endif
