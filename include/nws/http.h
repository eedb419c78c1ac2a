/* http.h - the head of an HTTP/1.1 message: start line and headers (RFC 9112).
 *
 * Strict, as the opening handshake wants it: CRLF ends each line, no empty line
 * comes first, nothing is folded, no control bytes, names are tokens directly
 * followed by a colon.
 * Nothing is allocated or copied; the slices point into the caller's bytes.
 */
#ifndef NWS_HTTP_H
#define NWS_HTTP_H

#include <nws/base.h>

NWS_BEGIN_DECLS

#define NWS_HTTP_MAX_HEAD_DEFAULT 8192
#define NWS_HTTP_MAX_HEADERS_DEFAULT 64

/** The head of a request or a response.
 *
 *  The caller sets `headers`, `max_headers` and `max_head` (all others zero)
 *  before the first call, and then calls nws_http_parse_request() or
 *  nws_http_parse_response() whenever more bytes have come, each time with the
 *  whole head so far from its first byte on. The bytes may have moved between
 *  calls. The work is linear in the length of the head however it drips in
 *  (what is remembered between calls is `scanned`). */
typedef struct nws_http_head {
  nws_header *headers; /**< room for `max_headers`; filled in wire order */
  size_t max_headers;  /**< room in `headers`; a message with more is refused */
  size_t max_head;     /**< most bytes of a head, the blank line included; 0
                            means NWS_HTTP_MAX_HEAD_DEFAULT */

  nws_str method;  /**< request: a token, such as GET */
  nws_str target;  /**< request: as sent, visible ASCII, not interpreted */
  uint16_t status; /**< response: 100 to 999 */
  nws_str reason;  /**< response: the phrase behind the status, maybe empty */
  uint8_t minor;   /**< the minor version: 1 for HTTP/1.1, 0 for HTTP/1.0 */
  size_t count;    /**< headers found */
  size_t len;      /**< bytes of the head, blank line included: what belongs
                        to the body or the frames begins here */
  size_t error_at; /**< after a failure: the offset of the byte at fault, the
                        first that no head can have at its place */
  size_t scanned;  /**< private: how far the end has been looked for */
} nws_http_head;

/** Parses the head of a request from its first `len` bytes (RFC 9112 3).
 *
 *  Garbage is refused as soon as its first line, or a byte that no head can
 *  hold, has arrived, and no later than at `max_head` bytes.
 *
 *  @return NWS_OK with every output set; NWS_MORE when the blank line has not
 *          come yet (outputs unspecified); NWS_ERROR_HTTP_… on failure with
 *          `error_at` set. Only HTTP/1.0 and 1.1 are known here; others give
 *          NWS_ERROR_HTTP_VERSION. */
NWS_API int nws_http_parse_request(nws_http_head *head, const char *data,
                                   size_t len);

/** Parses the head of a response (RFC 9112 4); otherwise like
 *  nws_http_parse_request(). */
NWS_API int nws_http_parse_response(nws_http_head *head, const char *data,
                                    size_t len);

/** Finds the next header of a name, compared without case.
 *  @param headers  `count` of them
 *  @param count    how many
 *  @param name     the name
 *  @param from     index to start at: 0, or one more than the last result
 *  @return the index, or `count` when there is none (left). */
NWS_API size_t nws_header_find(const nws_header *headers, size_t count,
                               nws_str name, size_t from);

/** Takes the next element from a comma-separated list (RFC 9110 5.6.1). White
 *  space around elements is dropped, empty elements are skipped, and commas
 *  inside quoted strings do not separate.
 *  @param rest     in: what is left of the value; out: what is left behind the
 *                  element
 *  @param element  the element
 *  @return 1 when there was an element, 0 at the end. */
NWS_API int nws_list_next(nws_str *rest, nws_str *element);

/** Says whether a text is a token (RFC 9110 5.6.2): not empty, only letters,
 *  digits and !#$%&'*+-.^_`|~ in it. 1 or 0. */
NWS_API int nws_http_token_valid(nws_str text);

/** Says whether a text may be the value of a header (RFC 9110 5.5): no control
 *  bytes but tab, no white space at either end. 1 or 0. */
NWS_API int nws_http_value_valid(nws_str text);

NWS_END_DECLS

#endif
