/* text_internal.h - receiving text: unmasking and validating in one go. */
#ifndef NWS_TEXT_INTERNAL_H
#define NWS_TEXT_INTERNAL_H

#include <nws/utf8.h>

/* Long texts are done in blocks of so many bytes. A multiple of four, so that
 * each block meets the key where the first did. */
enum { NWS__TEXT_BLOCK = 32768 };

/* Unmasks `len` bytes of a text at `data`, in place, as nws_mask() does, and
 * validates them, as nws_utf8_check() does: the same state, the same result.
 * What comes behind a refused byte may stay masked. */
size_t nws__text_unmask(nws_utf8 *state, uint8_t *data, size_t len,
                        const uint8_t key[4], uint64_t offset);

#endif
