/* handshake.h - the opening handshake (RFC 6455 4), both roles.
 *
 * A handshake is an object of its own: it turns bytes into a request or a
 * response and a decision into bytes, and knows nothing of the connection that
 * follows. What it leaves behind is the offset at which frames begin, the
 * subprotocol, and the extensions in use.
 *
 * Reading works like http.h: keep the bytes of the head together, and call
 * with all of them whenever more have come, until the result is not NWS_MORE.
 * Slices in the objects point into those bytes; keep them as long as you look
 * at the slices.
 *
 * The …_headers functions do the same on lists of names and values, for those
 * whose HTTP comes from elsewhere (an HTTP/1.1 parser, or an HTTP/2 or HTTP/3
 * stack with extended CONNECT: RFC 8441, RFC 9220).
 */
#ifndef NWS_HANDSHAKE_H
#define NWS_HANDSHAKE_H

#include <nws/base.h>
#include <nws/error.h>
#include <nws/extension.h>
#include <nws/http.h>
#include <nws/uri.h>

NWS_BEGIN_DECLS

/* Characters in Sec-WebSocket-Key and Sec-WebSocket-Accept. */
#define NWS_HANDSHAKE_KEY_LEN 24
#define NWS_HANDSHAKE_ACCEPT_LEN 28
/* Room in the objects for the texts they compose: lists of subprotocols and
 * extensions. More than that is NWS_ERROR_LENGTH. */
#define NWS_HANDSHAKE_TEXT_MAX 1024

/** Computes Sec-WebSocket-Accept from Sec-WebSocket-Key as received
 *  (RFC 6455 4.2.2): base64(SHA-1(key + GUID)).
 *  @param key     usually 24 characters, hashed as it is
 *  @param accept  28 characters; no zero byte is added */
NWS_API void nws_handshake_accept_key(nws_str key,
                                      char accept[NWS_HANDSHAKE_ACCEPT_LEN]);

/** Takes the next cookie from the value of a Cookie header (RFC 6265 4.2.1).
 *  @param rest   in: what is left; out: what is left behind the cookie
 *  @param name   its name
 *  @param value  its value, without surrounding quotes
 *  @return 1 for a cookie, 0 at the end. Pieces without `=` are skipped. */
NWS_API int nws_cookie_next(nws_str *rest, nws_str *name, nws_str *value);

/** Watches the time of an opening handshake, which the connection that follows
 *  knows nothing of.
 *
 *  @param started     when the transport was there, in ns
 *  @param now         the time, in ns of the same clock
 *  @param timeout_ms  how long it may take; 0: 10,000; UINT32_MAX: no limit
 *  @param next        when to ask again, in ns; NWS_NEVER: not at all
 *  @return NWS_OK; NWS_ERROR_HANDSHAKE_TIMEOUT (a server answers 408);
 *          NWS_ERROR_ARGUMENT. */
NWS_API int nws_handshake_tick(uint64_t started, uint64_t now,
                               uint32_t timeout_ms, uint64_t *next);

/* --- Client --- */

/** What a client asks for. Everything is borrowed until the handshake is
 *  over. */
typedef struct nws_client_offer {
  size_t size;        /**< sizeof(nws_client_offer) */
  const nws_uri *uri; /**< where to; required */
  nws_str origin;     /**< Origin, as browsers send it; absent by default */
  const nws_str *subprotocols; /**< in order of preference; distinct tokens */
  size_t subprotocol_count;    /**< 0: none is asked for */
  const nws_extension *const *extensions; /**< in order of preference */
  size_t extension_count;                 /**< at most NWS_EXTENSIONS_MAX */
  const nws_header *headers; /**< further headers: Authorization, Cookie, … */
  size_t header_count;       /**< those the handshake owns (Host, Upgrade,
                                  Connection, Origin, Sec-WebSocket-…,
                                  Content-Length, Transfer-Encoding) are
                                  refused */
  int require_subprotocol;   /**< 1: fail when the server agrees to none */
  size_t max_head;           /**< most bytes in the response's head; 0: 8192 */
  nws_header *header_room; /**< where the response's headers go; NULL: room for
                                NWS_HTTP_MAX_HEADERS_DEFAULT in the object */
  size_t max_headers;      /**< room in `header_room` */
} nws_client_offer;

/** A client's handshake. Set up by nws_client_handshake_start(); the fields
 *  are for reading. */
typedef struct nws_client_handshake {
  const nws_client_offer *offer; /**< borrowed */
  nws_http_head head;  /**< the response: status, reason, headers; `len` is
                            where frames (or a refusal's body) begin */
  nws_str subprotocol; /**< what the server chose; absent when none */
  nws_extension_use extensions[NWS_EXTENSIONS_MAX]; /**< in use, in order */
  size_t extension_count;
  size_t error_at; /**< after a violation: the offset of the fault in the head,
                        or the index of the header in …_headers; their end when
                        something is missing */
  char key[NWS_HANDSHAKE_KEY_LEN];   /**< Sec-WebSocket-Key */
  char text[NWS_HANDSHAKE_TEXT_MAX]; /**< private: composed values */
  nws_header room[NWS_HTTP_MAX_HEADERS_DEFAULT]; /**< private */
} nws_client_handshake;

/** Draws the nonce and writes the request (RFC 6455 4.1).
 *
 *  Every field is checked before it is written: no value can end a line or
 *  start another header.
 *
 *  @param hs      set up from scratch
 *  @param offer   borrowed until the handshake is over
 *  @param random  asked for 16 bytes
 *  @param out     where the request goes
 *  @param cap     room at `out`
 *  @param len     bytes written; with NWS_ERROR_BUFFER the bytes needed
 *  @return NWS_OK; NWS_ERROR_ARGUMENT; NWS_ERROR_FIELD (a byte that may not
 *          stand where it is, `error_at` its offset in the field);
 *          NWS_ERROR_HEADER_RESERVED; NWS_ERROR_LENGTH; NWS_ERROR_RANDOM;
 *          NWS_ERROR_BUFFER. */
NWS_API int nws_client_handshake_start(nws_client_handshake *hs,
                                       const nws_client_offer *offer,
                                       const nws_random *random, char *out,
                                       size_t cap, size_t *len);

/** Like nws_client_handshake_start(), but gives the headers as a list, Host
 *  included; the request line is GET, path and query of the URI.
 *  @param out    room for `cap` headers; slices point into `hs` and the offer
 *  @param count  headers written; with NWS_ERROR_BUFFER the room needed
 *  @return as nws_client_handshake_start() */
NWS_API int nws_client_handshake_start_headers(nws_client_handshake *hs,
                                               const nws_client_offer *offer,
                                               const nws_random *random,
                                               nws_header *out, size_t cap,
                                               size_t *count);

/** Reads the response from its first `len` bytes (RFC 6455 4.1, 4.2.2).
 *
 *  @param data  the head so far, from its first byte on, and maybe more: what
 *               stands behind `hs->head.len` is not touched
 *  @return NWS_MORE; NWS_OK when the connection is established, frames begin at
 *          `hs->head.len`; NWS_ERROR_STATUS when the server answered something
 *          but 101 (status and headers are in `hs->head`, a body begins at
 *          `hs->head.len`); any other error when it broke a rule: no
 *          connection, close the transport. */
NWS_API int nws_client_handshake_read(nws_client_handshake *hs,
                                      const char *data, size_t len);

/** Reads a response that somebody else has parsed.
 *  @param headers  `count` of them; borrowed as long as `hs` is looked at
 *  @return as nws_client_handshake_read(), but never NWS_MORE */
NWS_API int nws_client_handshake_read_headers(nws_client_handshake *hs,
                                              unsigned status,
                                              const nws_header *headers,
                                              size_t count);

/* --- Server --- */

/** Which origins a browser's page may come from (RFC 6455 10.2). Requests
 *  without Origin do not come from browsers and pass, unless
 *  `require_origin`. */
typedef enum nws_origin_policy {
  NWS_ORIGIN_SAME_HOST = 0, /**< host and port of Origin equal those of Host */
  NWS_ORIGIN_LIST = 1,      /**< exactly one of `origins` */
  NWS_ORIGIN_ANY = 2        /**< all: other sites' pages can connect with their
                                 visitors' cookies, so check those yourself */
} nws_origin_policy;

/** What a server is willing to do. May be shared by any number of handshakes;
 *  borrowed by them. */
typedef struct nws_server_policy {
  size_t size; /**< sizeof(nws_server_policy) */
  nws_origin_policy origin;
  const nws_str *origins; /**< for NWS_ORIGIN_LIST: "https://example.org",
                               compared without case */
  size_t origin_count;
  int require_origin;          /**< 1: refuse requests without Origin */
  const nws_str *subprotocols; /**< those spoken here; the client's first that
                                    is among them is chosen */
  size_t subprotocol_count;
  int require_subprotocol; /**< 1: refuse with 400 when none is common */
  const nws_extension *const *extensions; /**< those known here */
  size_t extension_count;                 /**< at most NWS_EXTENSIONS_MAX */
  size_t max_head;         /**< most bytes in a request's head; 0: 8192 */
  nws_header *header_room; /**< where headers go; NULL: room for
                                NWS_HTTP_MAX_HEADERS_DEFAULT in the object */
  size_t max_headers;      /**< room in `header_room` */
} nws_server_policy;

/** A server's handshake. Zero it before the first read; the fields are for
 *  reading. */
typedef struct nws_server_handshake {
  const nws_server_policy *policy; /**< borrowed */
  nws_http_head head; /**< the request: method, target, headers; `len` is where
                           frames begin */
  nws_str path;       /**< of the target, percent-encoding kept */
  nws_str query;  /**< behind the question mark; absent when there is none */
  nws_str host;   /**< as sent, with its port if any */
  nws_str origin; /**< absent when not sent */
  nws_str key;    /**< Sec-WebSocket-Key; absent with extended CONNECT */
  int extended_connect; /**< 1 when RFC 8441 and not RFC 6455 is followed */
  nws_str subprotocol;  /**< what the policy chooses; absent when none */
  nws_extension_use extensions[NWS_EXTENSIONS_MAX]; /**< set by accepting */
  size_t extension_count;
  size_t error_at; /**< after a failure: the offset of the fault in the head, or
                        the index of the header in …_headers; their end when
                        something is missing or the request line is at fault
                        in …_headers */
  char accept[NWS_HANDSHAKE_ACCEPT_LEN]; /**< private */
  char text[NWS_HANDSHAKE_TEXT_MAX];     /**< private: composed values */
  nws_header room[NWS_HTTP_MAX_HEADERS_DEFAULT]; /**< private */
} nws_server_handshake;

/** Reads a request from its first `len` bytes and checks it against
 *  RFC 6455 4.2.1 and the policy.
 *
 *  @param hs      all zero before the first call
 *  @param policy  borrowed; NULL for all defaults
 *  @param data    the head so far, from its first byte on, and maybe more: what
 *                 stands behind `hs->head.len` is not touched
 *  @return NWS_MORE; NWS_OK: now accept or reject; an error: answer with
 *          nws_server_handshake_reject() and close. After an error in the
 *          handshake proper (not in HTTP itself) `hs->head` is complete, so
 *          that a plain GET can be served. */
NWS_API int nws_server_handshake_read(nws_server_handshake *hs,
                                      const nws_server_policy *policy,
                                      const char *data, size_t len);

/** Reads a request that somebody else has parsed.
 *
 *  For extended CONNECT (RFC 8441 4) `method` is CONNECT, `target` the :path,
 *  and the list holds :protocol, :scheme and :authority (or Host).
 *
 *  @param method   as received
 *  @param target   origin-form: path and query
 *  @param headers  `count` of them; borrowed as long as `hs` is looked at
 *  @return as nws_server_handshake_read(), but never NWS_MORE */
NWS_API int nws_server_handshake_read_headers(nws_server_handshake *hs,
                                              const nws_server_policy *policy,
                                              nws_str method, nws_str target,
                                              const nws_header *headers,
                                              size_t count);

/** The value of the first header of a name; absent when there is none. */
NWS_API nws_str nws_server_handshake_header(const nws_server_handshake *hs,
                                            nws_str name);

/** The value of a cookie; absent when there is none. */
NWS_API nws_str nws_server_handshake_cookie(const nws_server_handshake *hs,
                                            nws_str name);

/** Takes the next subprotocol that the client offers, in its order.
 *  @param cursor  start at 0
 *  @param name    the subprotocol
 *  @return 1 for one, 0 at the end */
NWS_API int nws_server_handshake_offered(const nws_server_handshake *hs,
                                         size_t *cursor, nws_str *name);

/** How to accept. Zero but for `size` follows the policy. */
typedef struct nws_acceptance {
  size_t size;         /**< sizeof(nws_acceptance) */
  nws_str subprotocol; /**< one of the client's; absent: `hs->subprotocol`; of
                            length 0 with `ptr` set: none */
  int no_extensions;   /**< 1: decline all of them */
  const nws_header *headers; /**< further headers: Set-Cookie, … */
  size_t header_count;
} nws_acceptance;

/** Agrees on extensions and writes the response with status 101 (RFC 6455
 *  4.2.2). Call it once per handshake that was read well; after an error it may
 *  be called again.
 *
 *  @param how  NULL for all defaults
 *  @param len  bytes written; with NWS_ERROR_BUFFER the bytes needed
 *  @return NWS_OK, `hs->subprotocol` and `hs->extensions` are now final;
 *          NWS_ERROR_ARGUMENT;
 *          NWS_ERROR_STATE (no request was read well, or extended CONNECT);
 *          NWS_ERROR_NOT_OFFERED; NWS_ERROR_FIELD; NWS_ERROR_HEADER_RESERVED;
 *          NWS_ERROR_LENGTH; NWS_ERROR_MEMORY; NWS_ERROR_BUFFER. */
NWS_API int nws_server_handshake_accept(nws_server_handshake *hs,
                                        const nws_acceptance *how, char *out,
                                        size_t cap, size_t *len);

/** Like nws_server_handshake_accept(), but gives the response's headers as a
 *  list. With extended CONNECT the status is 200 and Upgrade, Connection and
 *  Sec-WebSocket-Accept are left out (RFC 8441 5); otherwise it is 101.
 *  @param status  101 or 200
 *  @param out     room for `cap` headers; slices point into `hs` and `how`
 *  @param count   headers written; with NWS_ERROR_BUFFER the room needed
 *  @return as nws_server_handshake_accept() */
NWS_API int nws_server_handshake_accept_headers(nws_server_handshake *hs,
                                                const nws_acceptance *how,
                                                unsigned *status,
                                                nws_header *out, size_t cap,
                                                size_t *count);

/** How to reject. */
typedef struct nws_rejection {
  size_t size;     /**< sizeof(nws_rejection) */
  unsigned status; /**< 200 to 599; 0 takes it from `error` */
  int error;       /**< what reading returned; its text becomes the body when
                        there is no other */
  nws_str reason;  /**< absent: the status's usual phrase */
  const nws_header *headers; /**< further headers: Location,
                                  WWW-Authenticate, Content-Type, … */
  size_t header_count;
  nws_str body; /**< sent as it is */
  int head;     /**< 1: the request was HEAD: the body is not sent, only its
                     length (RFC 9110 9.3.2) */
} nws_rejection;

/** Writes a response other than 101 that ends the HTTP connection.
 *
 *  Adds Connection: close and Content-Length; with 426 Upgrade and
 *  Sec-WebSocket-Version: 13 (RFC 6455 4.4); with 405 Allow: GET; Content-Type
 *  text/plain unless given.
 *
 *  @param len  bytes written; with NWS_ERROR_BUFFER the bytes needed
 *  @return NWS_OK; NWS_ERROR_ARGUMENT (status); NWS_ERROR_FIELD;
 *          NWS_ERROR_HEADER_RESERVED; NWS_ERROR_BUFFER. */
NWS_API int nws_server_handshake_reject(const nws_rejection *why, char *out,
                                        size_t cap, size_t *len);

NWS_END_DECLS

#endif
