/* utf8.h - UTF-8 validation that can stop and go on at any byte (RFC 3629;
 * RFC 6455 8.1 demands it for text messages and close reasons).
 */
#ifndef NWS_UTF8_H
#define NWS_UTF8_H

#include <nws/base.h>

NWS_BEGIN_DECLS

/** Where a validation stands between two calls. Start it at NWS_UTF8_START.
 *  It is NWS_UTF8_START again whenever the text so far ends at the end of a
 *  character; every other value means that a character is cut. */
typedef uint8_t nws_utf8;

#define NWS_UTF8_START ((nws_utf8)0)

/** Validates the next `len` bytes of a text.
 *
 *  Stops at the first byte that no valid text can have at its place: surrogate
 *  halves, overlong forms and code points above U+10FFFF are refused at the
 *  byte that gives them away, not at the end of the character.
 *
 *  @param state  in and out; after a refusal it is where it was before the
 *                refused byte
 *  @param text   `len` bytes, borrowed for the call; may be NULL with 0
 *  @param len    bytes
 *  @return how many bytes can be part of a valid text: `len` when all can, else
 *          the index of the first that cannot. */
NWS_API size_t nws_utf8_check(nws_utf8 *state, const void *text, size_t len);

/** Says whether `len` bytes are a whole, valid text; 1 or 0. */
NWS_API int nws_utf8_valid(const void *text, size_t len);

NWS_END_DECLS

#endif
