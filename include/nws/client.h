/* client.h - WebSocket clients of libnws_net; net.h includes it.
 *
 *     nws_client_options options = {.size = sizeof(options),
 *                                   .handler = &handler,
 *                                   .url = "wss://example.org/chat"};
 *     nws_client_connect(loop, &options, &peer);
 *
 * A client looks the name up and tries all its addresses, the families in turn,
 * each a moment after the last, until one answers (RFC 8305); speaks TLS where
 * the scheme is wss; and shakes hands.
 *
 * Cookies: send them with a header of the offer named Cookie, and find new ones
 * in nws_peer_response().
 */
#ifndef NWS_CLIENT_H
#define NWS_CLIENT_H

#include <nws/net.h>

NWS_BEGIN_DECLS

/** A client's options; copied, also the strings. What else they point to is
 *  borrowed until `closed` has returned. */
typedef struct nws_client_options {
  size_t size;                   /**< sizeof(nws_client_options) */
  const nws_handler *handler;    /**< not NULL */
  void *user;                    /**< what nws_peer_user() gives at first */
  const char *url;               /**< "ws://host:port/path?query", wss likewise,
                                      or "ws+unix:SOCKET:/path?query". A name
                                      and a password, percent-encoded, before
                                      the host ("ws://name:password@…") are sent
                                      as Basic (RFC 7617) */
  const nws_client_offer *offer; /**< subprotocols, headers and so on; its `uri`
                                      is not read. NULL: nothing special */
  const nws_conn_config *conn;   /**< NULL: defaults */
  nws_net_limits limits; /**< its handshake timeout is for all that comes before
                              `open` together */
  nws_tls *tls; /**< for wss://: whom to trust, and what to show; held until
                     `closed`. NULL: what the system trusts */

  const char *bearer; /**< a token for Authorization: Bearer (RFC 6750), instead
                           of a name in the URL and of an Authorization header
                           in the offer. Neither it nor a password shows up in
                           any text that the library makes */
  const char *const *addresses; /**< instead of looking the URL's host up: IPv4
                                     and IPv6 addresses in numbers, tried in
                                     this order */
  size_t address_count;
  uint32_t connect_timeout_ms; /**< how long TCP may take to connect to any of
                                    the addresses, UV_ETIMEDOUT after that; 0:
                                    what the handshake timeout leaves */
  uint32_t attempt_delay_ms; /**< how long an address is tried alone before the
                                  next is tried as well; 0: 250; UINT32_MAX:
                                  until it has failed */
  unsigned max_redirects; /**< how often to go where the server sends us (301,
                               302, 303, 307, 308; http and https count as ws
                               and wss). 0: never, such an answer is
                               NWS_ERROR_STATUS. Never from wss to ws
                               (NWS_ERROR_REDIRECT_INSECURE). To another origin
                               (scheme, host or port) goes nothing of what logs
                               us in, of the offer's headers only User-Agent,
                               and none of `addresses`; but TLS is as for the
                               first, a certificate of our own included, and
                               the subprotocols and `origin` go along: no place
                               for secrets */
  const char *proxy; /**< to go through a proxy: "http://host:port" (by CONNECT,
                          port 80 if none) or "socks5://host:port" (1080;
                          "socks5h" is the same), with "name:password@" before
                          the host if need be. It looks names up. Without a
                          scheme it is http. NULL: none. With `addresses` or a
                          Unix socket NWS_ERROR_CONFIG */
  int proxy_from_environment; /**< 1: the proxy is what the environment says:
                          ws_proxy or http_proxy, wss_proxy or https_proxy, then
                          all_proxy, but none for hosts in no_proxy (names,
                          domains, addresses, address/bits, or one star). All in
                          capitals too but HTTP_PROXY, as with curl. With
                          `addresses` and Unix sockets it is not asked */
} nws_client_options;

/** Connects.
 *
 *  @param peer  the result, valid until `closed`; may be NULL
 *  @return NWS_OK: the rest is told by callbacks; NWS_ERROR_URI_… and other
 *          errors in the options: nothing was started. NWS_ERROR_CONFIG: two
 *          ways to log in at once, or addresses for a Unix socket;
 *          NWS_ERROR_FIELD: a token that cannot be sent. */
NWS_API int nws_client_connect(nws_loop *loop,
                               const nws_client_options *options,
                               nws_peer **peer);

/** Client: where it is connected, or was trying to: the URL of the options
 *  without what stands before the @. NULL for a server's peer. Valid as long as
 *  the peer. */
NWS_API const char *nws_peer_url(const nws_peer *peer);

NWS_END_DECLS

#endif
