/* digest.h - SHA-1 (FIPS 180-4) and base64 (RFC 4648 4), as far as the opening
 * handshake needs them. SHA-1 is broken for signatures; RFC 6455 uses it as a
 * check that the peer speaks WebSocket, which is all it is good for here.
 */
#ifndef NWS_DIGEST_H
#define NWS_DIGEST_H

#include <nws/base.h>

NWS_BEGIN_DECLS

#define NWS_SHA1_LEN 20

/** Computes the SHA-1 of `len` bytes.
 *  @param data    borrowed for the call; may be NULL with 0
 *  @param len     bytes
 *  @param digest  the 20 bytes of the result */
NWS_API void nws_sha1(const void *data, size_t len,
                      uint8_t digest[NWS_SHA1_LEN]);

/** How many characters the base64 of `len` bytes has, padding included. */
NWS_API size_t nws_base64_len(size_t len);

/** Writes base64 with padding and without line breaks (RFC 4648 4).
 *  @param data  `len` bytes, not overlapping `out`
 *  @param out   nws_base64_len(len) characters; no zero byte is added
 *  @return the number of characters written */
NWS_API size_t nws_base64_encode(const void *data, size_t len, char *out);

/** Reads base64, strictly: canonical padding, no white space, unused bits zero.
 *  @param text  `len` characters, borrowed
 *  @param out   where the bytes go
 *  @param cap   room at `out`
 *  @param used  the number of bytes written
 *  @return NWS_OK; NWS_ERROR_FIELD when it is not base64; NWS_ERROR_BUFFER when
 *          it does not fit (`used` then tells the need) */
NWS_API int nws_base64_decode(const char *text, size_t len, void *out,
                              size_t cap, size_t *used);

NWS_END_DECLS

#endif
