/* client_internal.h - what the files of the client share: where it goes, and
 * how far it got.
 *
 * It lives only until the connection is open. dial.c takes the options,
 * attempt.c finds addresses and connects to them, tunnel.c goes through a
 * proxy, client_shake.c asks for the WebSocket, redirect.c starts over.
 */
#ifndef NWS_CLIENT_INTERNAL_H
#define NWS_CLIENT_INTERNAL_H

#include "net_internal.h"
#include "proxy.h"

/* One TCP connection that is tried. It holds the loop, not the peer. */
typedef struct nws__attempt {
  uv_poll_t poll;
  nws_loop *loop;
  nws_peer *peer;
  int fd;
  nws__address address;
  struct nws__attempt *next;
} nws__attempt;

struct nws__dial {
  char *url; /* owned; `uri` points into it */
  nws_uri uri;
  nws_client_offer offer; /* its headers are these: */
  nws_header *headers;    /* owned: the application's and ours */
  char *authorization;    /* owned; NULL: none of ours */
  nws_client_handshake hs;
  nws_tls *tls_given;    /* the application's; held */
  nws_tls *tls;          /* in use; held; NULL for ws:// */
  nws__proxy proxy;      /* on this way; its host may be empty: none */
  int proxy_environment; /* look for one there */
  nws__socks_step socks_step;
  const char *detail; /* static; more about what ended it, or NULL */
  unsigned max_redirects;
  unsigned redirects; /* so far */
  uv_getaddrinfo_t lookup;
  nws__local *targets; /* owned: the addresses to try, in order */
  size_t target_count;
  size_t target_next;
  int fixed;              /* the targets are the application's */
  int local;              /* the target is a Unix socket */
  nws__attempt *attempts; /* those under way */
  uint64_t deadline;      /* of everything */
  uint64_t connect_by;
  uint64_t next_at;       /* when the next address is to be tried */
  uint64_t connect_limit; /* ns; NWS_NEVER: none */
  uint64_t attempt_delay; /* ns; NWS_NEVER: none */
  size_t request_len;     /* bytes that the request takes */
  int error;              /* of the last attempt */
};

/* authorize.c */
int nws__authorize(const nws_uri *uri, const char *token,
                   const nws_client_offer *offer, char **out);

/* dial.c */
int nws__client_reaches(const nws_uri *uri);
int nws__client_show(nws__setup *setup, const char *url);
int nws__client_tls(nws__dial *dial, nws_loop *loop);
int nws__client_proxy(nws__dial *dial);

/* redirect.c */
int nws__redirect_resolve(const char *text, const nws_uri *base, nws_str to,
                          char **out);
int nws__redirect_follow(nws_peer *peer);

/* attempt.c */
size_t nws__targets_sort(const struct addrinfo *found, nws__local *out);
int nws__targets_literal(const char *host, uint16_t port, nws__local *out);
void nws__attempt_timeout(nws_peer *peer, uint64_t now);
void nws__attempt_drop_all(nws__dial *dial);

/* client_shake.c */
int nws__client_check(nws__dial *dial, const nws__setup *setup);
void nws__client_connected(nws_peer *peer);
void nws__client_arrived(nws_peer *peer);
void nws__client_refused(nws_peer *peer, int error, const uint8_t *rest,
                         size_t len);

/* tunnel.c */
void nws__tunnel_start(nws_peer *peer);

#endif
