/* dial.c - looking a name up, and trying its addresses in turn.
 */
#include "net_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIX_SCHEME "ws+unix:"
#define UNIX_SCHEME_LEN (sizeof(UNIX_SCHEME) - 1)
#define UNIX_HOST "ws://localhost"

/* --- Attempts --- */

/* Each address gets its share of the time that is left. */
static void share_time(nws_peer *peer, const nws__dial *dial) {
  uint64_t now = uv_hrtime();
  uint64_t count = 1;
  if (dial->deadline == NWS_NEVER) {
    return;
  }
  for (const struct addrinfo *a = dial->next; a != NULL; a = a->ai_next) {
    count++;
  }
  uint64_t left = dial->deadline > now ? dial->deadline - now : 0;
  nws__timer_set(peer, now + left / count);
}

static int attempt(nws_peer *peer, const struct addrinfo *address) {
  int fd;
  int rc = nws__socket_connect(address->ai_addr, address->ai_addrlen, &fd);
  if (rc == NWS_OK) {
    nws__address to;
    memset(&to, 0, sizeof(to));
    /* Of a Unix socket's path only the family is kept. */
    size_t len = address->ai_addrlen;
    memcpy(&to, address->ai_addr, len < sizeof(to) ? len : sizeof(to));
    rc = nws__peer_attach(peer, fd, &to);
  }
  return rc;
}

/* Goes on with the next address, if there is one. */
void nws__client_try_next(nws_peer *peer) {
  nws__dial *dial = peer->opening->dial;
  while (dial->next != NULL) {
    const struct addrinfo *address = dial->next;
    dial->next = address->ai_next;
    int rc = attempt(peer, address);
    if (rc == NWS_OK) {
      share_time(peer, dial);
      return;
    }
    dial->error = rc;
  }
  nws__peer_die(peer, dial->error);
}

static void start_attempts(nws_peer *peer, struct addrinfo *first) {
  nws__dial *dial = peer->opening->dial;
  dial->next = first;
  dial->error = UV_EAI_NODATA;
  nws__peer_enter(peer, NWS__CONNECTING);
  nws__client_try_next(peer);
}

/* --- Names --- */

static void on_lookup(uv_getaddrinfo_t *lookup, int status,
                      struct addrinfo *found) {
  nws_peer *peer = lookup->data;
  nws_loop *loop = peer->loop;
  nws__loop_enter(loop);
  peer->opening->dial->found = found;
  if (peer->state == NWS__RESOLVING) {
    peer->flags |= NWS__BUSY;
    if (status != 0) {
      nws__peer_die(peer, status);
    } else {
      start_attempts(peer, found);
    }
    nws__peer_leave(peer);
  }
  nws__peer_unhold(peer);
  nws__loop_leave(loop);
}

static int look_up(nws_peer *peer, const char *host, const char *port) {
  nws__dial *dial = peer->opening->dial;
  struct addrinfo hints;
  memset(&hints, 0, sizeof(hints));
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  dial->lookup.data = peer;
  int rc = uv_getaddrinfo(peer->loop->uv, &dial->lookup, on_lookup, host, port,
                          &hints);
  if (rc == 0) {
    peer->holds++;
  }
  return rc;
}

/* Addresses in numbers need no thread to be looked up. */
static int is_literal(nws__dial *dial, const char *host) {
  struct sockaddr_storage *out = &dial->literal_address;
  if (dial->literal.ai_addr != NULL) {
    return 1; /* a Unix socket */
  }
  int port = dial->uri.port;
  if (uv_ip4_addr(host, port, (struct sockaddr_in *)out) == 0) {
    dial->literal.ai_addrlen = sizeof(struct sockaddr_in);
  } else if (uv_ip6_addr(host, port, (struct sockaddr_in6 *)out) == 0) {
    dial->literal.ai_addrlen = sizeof(struct sockaddr_in6);
  } else {
    return 0;
  }
  dial->literal.ai_addr = (struct sockaddr *)out;
  return 1;
}

static void begin(nws_peer *peer) {
  nws__dial *dial = peer->opening->dial;
  char host[NWS__HOST_MAX + 1];
  char port[8];
  peer->flags |= NWS__BUSY;
  memcpy(host, dial->uri.host.ptr, dial->uri.host.len);
  host[dial->uri.host.len] = '\0';
  snprintf(port, sizeof(port), "%u", (unsigned)dial->uri.port);
  if (is_literal(dial, host)) {
    start_attempts(peer, &dial->literal);
  } else {
    int rc = look_up(peer, host, port);
    if (rc != 0) {
      nws__peer_die(peer, rc);
    }
  }
  nws__peer_leave(peer);
}

/* --- Options --- */

/* "ws+unix:PATH" or "ws+unix:PATH:/TARGET", as npm's ws has it, becomes the
 * address of PATH, and ws://localhost/TARGET for the handshake. */
static int take_unix(nws__dial *dial, const char *rest) {
  struct sockaddr_un *to = (struct sockaddr_un *)&dial->literal_address;
  char path[NWS__PATH_MAX];
  size_t len = strcspn(rest, ":");
  const char *target = rest[len] == ':' ? rest + len + 1 : "/";
  if (len >= sizeof(path)) {
    return UV_ENAMETOOLONG;
  }
  memcpy(path, rest, len);
  path[len] = '\0';
  int rc = nws__socket_path(path, to);
  if (rc != NWS_OK) {
    return rc == NWS_ERROR_ARGUMENT ? NWS_ERROR_URI_AUTHORITY : rc;
  }
  if (*target != '/') {
    return NWS_ERROR_URI_PATH;
  }
  dial->literal.ai_addr = (struct sockaddr *)to;
  dial->literal.ai_addrlen = sizeof(*to);
  size_t cap = sizeof(UNIX_HOST) + strlen(target);
  dial->url = malloc(cap);
  if (dial->url == NULL) {
    return NWS_ERROR_MEMORY;
  }
  snprintf(dial->url, cap, UNIX_HOST "%s", target);
  return NWS_OK;
}

static int copy_url(nws__dial *dial, const char *url) {
  size_t len = strlen(url);
  if (len >= UNIX_SCHEME_LEN &&
      memcmp(url, UNIX_SCHEME, UNIX_SCHEME_LEN) == 0) {
    return take_unix(dial, url + UNIX_SCHEME_LEN);
  }
  dial->url = malloc(len + 1);
  if (dial->url == NULL) {
    return NWS_ERROR_MEMORY;
  }
  memcpy(dial->url, url, len + 1);
  return NWS_OK;
}

static int take_url(nws__dial *dial, const char *url) {
  if (url == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  int rc = copy_url(dial, url);
  if (rc != NWS_OK) {
    return rc;
  }
  size_t len = strlen(dial->url);
  rc = nws_uri_parse(&dial->uri, dial->url, len, NULL);
  if (rc != NWS_OK) {
    return rc;
  }
  /* What stands before an @ would be lost: there is no way to send it yet. */
  if (dial->uri.userinfo.ptr != NULL) {
    return NWS_ERROR_URI_AUTHORITY;
  }
  return dial->uri.host.len > NWS__HOST_MAX ? NWS_ERROR_URI_AUTHORITY : NWS_OK;
}

/* Whoever brings no trust of its own shares what the system trusts. */
static int take_tls(nws__dial *dial, nws_loop *loop, nws_tls *tls) {
  if (!dial->uri.secure) {
    return NWS_OK;
  }
  if (tls == NULL && loop->tls == NULL) {
    nws_tls_options none = {.size = sizeof(none)};
    int rc = nws_tls_new(&none, &loop->tls, NULL, 0);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  dial->tls = nws__tls_keep(tls != NULL ? tls : loop->tls);
  return NWS_OK;
}

static int take_offer(nws__dial *dial, const nws_client_offer *offer) {
  nws_client_offer none = {.size = sizeof(none)};
  if (offer == NULL) {
    offer = &none;
  }
  int rc = nws__setup_options(&dial->offer, sizeof(dial->offer), offer);
  dial->offer.uri = &dial->uri;
  return rc;
}

static int take_setup(nws_loop *loop, const nws_client_options *options,
                      const nws__dial *dial, nws__setup **out) {
  nws__setup *setup = calloc(1, sizeof(*setup));
  if (setup == NULL) {
    return NWS_ERROR_MEMORY;
  }
  *out = setup;
  return nws__setup_copy(setup, loop, options->handler, options->conn,
                         &options->limits, dial->offer.extension_count);
}

void nws__client_free(nws__dial *dial) {
  if (dial->found != NULL) {
    uv_freeaddrinfo(dial->found);
  }
  nws_extension_release(dial->hs.extensions, dial->hs.extension_count);
  nws_tls_drop(dial->tls);
  free(dial->url);
  free(dial);
}

static int start(nws_loop *loop, nws__setup *setup, nws__dial *dial, void *user,
                 nws_peer **out) {
  nws__opening *opening = calloc(1, sizeof(*opening));
  if (opening == NULL) {
    return NWS_ERROR_MEMORY;
  }
  nws_peer *peer = nws__peer_new(loop, setup, NULL, NWS__RESOLVING);
  if (peer == NULL) {
    free(opening);
    return NWS_ERROR_MEMORY;
  }
  uint64_t limit = nws__setup_handshake_ns(setup);
  dial->deadline = limit == NWS_NEVER ? NWS_NEVER : uv_hrtime() + limit;
  opening->dial = dial;
  peer->opening = opening;
  peer->user = user;
  peer->flags |= NWS__TOLD;
  nws__timer_set(peer, dial->deadline);
  if (out != NULL) {
    *out = peer;
  }
  begin(peer);
  return NWS_OK;
}

int nws_client_connect(nws_loop *loop, const nws_client_options *given,
                       nws_peer **peer) {
  nws_client_options options;
  nws__setup *setup = NULL;
  if (peer != NULL) {
    *peer = NULL;
  }
  if (loop == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  int rc = nws__setup_options(&options, sizeof(options), given);
  if (rc != NWS_OK) {
    return rc;
  }
  nws__dial *dial = calloc(1, sizeof(*dial));
  if (dial == NULL) {
    return NWS_ERROR_MEMORY;
  }
  rc = take_url(dial, options.url);
  if (rc == NWS_OK) {
    rc = take_tls(dial, loop, options.tls);
  }
  if (rc == NWS_OK) {
    rc = take_offer(dial, options.offer);
  }
  if (rc == NWS_OK) {
    rc = take_setup(loop, &options, dial, &setup);
  }
  if (rc == NWS_OK) {
    rc = nws__client_check(dial, setup);
  }
  if (rc == NWS_OK) {
    rc = start(loop, setup, dial, options.user, peer);
  }
  if (rc != NWS_OK) {
    free(setup);
    nws__client_free(dial);
  }
  return rc;
}
