/* forwarded.h - where a request comes from that proxies have passed on
 * (libnws_net): the headers Forwarded (RFC 7239) and X-Forwarded-For.
 *
 *     static nws_network trusted[2];
 *
 *     static void request(nws_peer *peer, const nws_server_handshake *asked) {
 *       char near[64];
 *       char client[NWS_FORWARDED_CLIENT_MAX];
 *       nws_peer_address(peer, near, sizeof(near));
 *       int rc = nws_forwarded_client(near, &asked->head, NWS_X_FORWARDED_FOR,
 *                                     trusted, 2, client, sizeof(client));
 *       if (rc == NWS_OK && strcmp(client, "192.0.2.66") != 0) {
 *         nws_peer_accept(peer, NULL);
 *         return;
 *       }
 *       nws_rejection no = {.size = sizeof(no), .status = 403};
 *       nws_peer_respond(peer, &no);
 *     }
 *
 *     nws_network_parse(nws_str_of("10.0.0.0/8"), &trusted[0]);
 *     nws_network_parse(nws_str_of("::1"), &trusted[1]);
 *     handler.request = request;
 *
 * Anybody can send these headers. A proxy adds, at the right, whom it was
 * talking to. So what the rightmost proxy says is true if it is one of ours,
 * and what it names is a proxy of ours in turn or the client; what stands to
 * the left of the client's address is what the client likes to say, and is not
 * looked at.
 *
 * Which of the two headers is read is for you to say: the one that your proxies
 * write. The other one they may pass on as the client has written it.
 */
#ifndef NWS_FORWARDED_H
#define NWS_FORWARDED_H

#include <nws/error.h>
#include <nws/http.h>

NWS_BEGIN_DECLS

/** A block of addresses; made by nws_network_parse(). */
typedef struct nws_network {
  uint8_t bytes[16]; /**< private: IPv4 as IPv4-mapped IPv6 */
  uint8_t bits;      /**< private */
} nws_network;

/** Reads "10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "::1", or "unix": whoever
 *  comes by a Unix socket.
 *  @return NWS_OK; NWS_ERROR_ARGUMENT, also where an address has bits beyond
 *          those that count, as in "10.0.0.1/8": one of the two is a mistake.
 */
NWS_API int nws_network_parse(nws_str text, nws_network *out);

/** Says whether an address, as nws_peer_address() or nws_forwarded_client()
 *  write it, is in one of `count` blocks; 1 or 0. IPv4 and IPv6 are apart:
 *  "::/0" has no IPv4 addresses. */
NWS_API int nws_network_has(const nws_network *networks, size_t count,
                            const char *address);

/** The header that proxies write. */
typedef enum nws_forwarded_header {
  NWS_FORWARDED = 1,      /**< Forwarded, RFC 7239, by its grammar */
  NWS_X_FORWARDED_FOR = 2 /**< X-Forwarded-For: addresses, between commas, with
                               or without port, IPv6 in brackets or not */
} nws_forwarded_header;

/** Room for every address, with its zero byte. */
#define NWS_FORWARDED_CLIENT_MAX 46

/** Proxies, one behind the other, that are followed. */
#define NWS_FORWARDED_PROXIES_MAX 32

/** Finds out where a request comes from: the first address, counted from the
 *  near end, that is none of the trusted proxies; the farthest one when all
 *  are.
 *
 *  @param peer     who has connected, as nws_peer_address() writes it
 *  @param head     the request's
 *  @param trusted  `count` blocks of addresses of proxies
 *  @param out      the address, without port or brackets: "192.0.2.7",
 *                  "2001:db8::7", or "unix"; with a zero byte. What is mapped
 *                  from IPv4 to IPv6 is written as IPv4
 *  @return NWS_OK; NWS_ERROR_FIELD: a trusted proxy does not say where the
 *          request came from ("unknown", a name such as "_hidden", something
 *          malformed), or there are more than NWS_FORWARDED_PROXIES_MAX: `out`
 *          is that proxy then, and not the client; NWS_ERROR_BUFFER;
 *          NWS_ERROR_ARGUMENT. */
NWS_API int nws_forwarded_client(const char *peer, const nws_http_head *head,
                                 nws_forwarded_header which,
                                 const nws_network *trusted, size_t count,
                                 char *out, size_t cap);

NWS_END_DECLS

#endif
