/* chars.h - one table that knows which grammar rule each byte belongs to.
 *
 * HTTP and URI parsing spend their time asking "may this byte stand here?".
 * One lookup in 256 bytes answers it for every rule, and the rules stand in
 * one place. Percent signs of URIs are in no class: they need their two hex
 * digits looked at, so every scanner stops there.
 */
#ifndef NWS_CODEC_CHARS_H
#define NWS_CODEC_CHARS_H

#include <stddef.h>
#include <stdint.h>

enum {
  NWS__CHAR_TOKEN = 0x01,    /* tchar (RFC 9110 5.6.2) */
  NWS__CHAR_TEXT = 0x02,     /* in a header value: tab, space, visible ASCII,
                                0x80 and above (RFC 9110 5.5) */
  NWS__CHAR_VISIBLE = 0x04,  /* VCHAR (RFC 5234 B.1) */
  NWS__CHAR_REGNAME = 0x08,  /* unreserved, sub-delims (RFC 3986 3.2.2) */
  NWS__CHAR_USERINFO = 0x10, /* the same and : (RFC 3986 3.2.1) */
  NWS__CHAR_PATH = 0x20,     /* pchar and / (RFC 3986 3.3) */
  NWS__CHAR_QUERY = 0x40,    /* pchar, / and ? (RFC 3986 3.4) */
  NWS__CHAR_HEX = 0x80       /* HEXDIG in either case */
};

extern const uint8_t nws__chars[256];

/* Finds the first byte from `from` on that is neither of `mask`'s classes nor
 * part of a whole percent-encoding (RFC 3986 2.1), in `len` bytes in all.
 * Returns its offset, which for a bad percent-encoding is that of the byte
 * that should have been a hex digit, or `len` itself; `*cut` tells whether an
 * encoding was broken rather than a byte of another class met. */
size_t nws__chars_skip(const char *text, size_t len, size_t from, uint8_t mask,
                       int *cut);

#endif
