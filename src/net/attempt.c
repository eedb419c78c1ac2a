/* attempt.c - finding the addresses of a name, and connecting to whichever of
 * them answers first: "happy eyeballs", RFC 8305.
 *
 * The system sorts the addresses by RFC 6724; the families are made to take
 * turns (RFC 8305 4). One is tried; a while later, or as soon as that has
 * failed, the next as well; the first that connects is the peer's, and all
 * others are dropped.
 */
#include "client_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Addresses --- */

static const struct addrinfo *skip_to(const struct addrinfo *at, int family,
                                      int same) {
  while (at != NULL && (at->ai_family == family) != same) {
    at = at->ai_next;
  }
  return at;
}

static void copy_target(nws__local *out, const struct addrinfo *from) {
  size_t len = from->ai_addrlen;
  memset(out, 0, sizeof(*out));
  memcpy(out, from->ai_addr, len < sizeof(*out) ? len : sizeof(*out));
}

/* Puts the addresses in the order in which they are tried. Returns how many
 * there are; `out` is NULL to ask that only. */
size_t nws__targets_sort(const struct addrinfo *found, nws__local *out) {
  size_t count = 0;
  int family = found == NULL ? AF_UNSPEC : found->ai_family;
  const struct addrinfo *turn = found;
  const struct addrinfo *other = skip_to(found, family, 0);
  int same = 1;
  while (turn != NULL || other != NULL) {
    const struct addrinfo *take = turn != NULL ? turn : other;
    if (out != NULL) {
      copy_target(&out[count], take);
    }
    count++;
    if (turn == NULL) {
      other = skip_to(other->ai_next, family, !same);
      continue;
    }
    turn = skip_to(turn->ai_next, family, same);
    const struct addrinfo *next = other;
    other = turn;
    turn = next;
    same = !same;
  }
  return count;
}

/* An address in numbers; 0 when it is none. */
int nws__targets_literal(const char *host, uint16_t port, nws__local *out) {
  memset(out, 0, sizeof(*out));
  return uv_ip4_addr(host, port, &out->ip.four) == 0 ||
         uv_ip6_addr(host, port, &out->ip.six) == 0;
}

static socklen_t target_len(const nws__local *target) {
  switch (target->any.sa_family) {
  case AF_INET:
    return sizeof(target->ip.four);
  case AF_INET6:
    return sizeof(target->ip.six);
  default:
    return sizeof(target->local);
  }
}

/* --- Attempts --- */

static void on_attempt_closed(uv_handle_t *handle) {
  nws__attempt *attempt = handle->data;
  nws_loop *loop = attempt->loop;
  free(attempt);
  nws__loop_release(loop);
}

/* Takes an attempt out of the list. Returns its socket. */
static int release(nws__dial *dial, nws__attempt *attempt) {
  nws__attempt **link = &dial->attempts;
  while (*link != attempt) {
    link = &(*link)->next;
  }
  *link = attempt->next;
  uv_close((uv_handle_t *)&attempt->poll, on_attempt_closed);
  return attempt->fd;
}

void nws__attempt_drop_all(nws__dial *dial) {
  while (dial->attempts != NULL) {
    nws__socket_close(release(dial, dial->attempts));
  }
}

static void try_more(nws_peer *peer);

static void won(nws_peer *peer, nws__attempt *attempt) {
  nws__dial *dial = peer->opening->dial;
  nws__address address = attempt->address;
  int fd = release(dial, attempt);
  nws__attempt_drop_all(dial);
  int rc = nws__peer_attach(peer, fd, &address);
  if (rc != NWS_OK) {
    nws__peer_die(peer, rc);
    return;
  }
  nws__timer_set(peer, dial->deadline);
  nws__client_connected(peer);
}

static void on_attempt(uv_poll_t *poll, int status, int events) {
  nws__attempt *attempt = poll->data;
  nws_peer *peer = attempt->peer;
  nws_loop *loop = attempt->loop;
  (void)events;
  if (peer->state != NWS__CONNECTING) {
    return; /* dead: finish() drops it */
  }
  nws__loop_enter(loop);
  peer->flags |= NWS__BUSY;
  int error = nws__socket_error(attempt->fd);
  if (error == 0 && status < 0) {
    error = status;
  }
  if (error == 0) {
    won(peer, attempt);
  } else {
    peer->opening->dial->error = error;
    nws__socket_close(release(peer->opening->dial, attempt));
    try_more(peer);
  }
  nws__peer_leave(peer);
  nws__loop_leave(loop);
}

static int watch(nws_peer *peer, int fd, const nws__address *address) {
  nws__dial *dial = peer->opening->dial;
  nws__attempt *attempt = calloc(1, sizeof(*attempt));
  int rc = NWS_ERROR_MEMORY;
  if (attempt != NULL) {
    rc = uv_poll_init(peer->loop->uv, &attempt->poll, fd);
  }
  if (rc != 0) {
    free(attempt);
    nws__socket_close(fd);
    return rc;
  }
  attempt->poll.data = attempt;
  attempt->loop = peer->loop;
  attempt->peer = peer;
  attempt->fd = fd;
  attempt->address = *address;
  attempt->next = dial->attempts;
  dial->attempts = attempt;
  nws__loop_hold(peer->loop);
  uv_poll_start(&attempt->poll, UV_WRITABLE, on_attempt);
  return NWS_OK;
}

static int attempt_one(nws_peer *peer, const nws__local *target) {
  nws__address to;
  int fd;
  memset(&to, 0, sizeof(to));
  /* Of a Unix socket's path only the family is kept. */
  memcpy(&to, target, sizeof(to));
  peer->address = to;
  int rc = nws__socket_connect(&target->any, target_len(target), &fd);
  return rc == NWS_OK ? watch(peer, fd, &to) : rc;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

static uint64_t from_now(uint64_t ns) {
  return ns == NWS_NEVER ? NWS_NEVER : uv_hrtime() + ns;
}

static void set_timer(nws_peer *peer) {
  const nws__dial *dial = peer->opening->dial;
  uint64_t limit = earlier(dial->deadline, dial->connect_by);
  nws__timer_set(peer, earlier(limit, dial->next_at));
}

/* Tries the next address, if there is one. */
static void try_more(nws_peer *peer) {
  nws__dial *dial = peer->opening->dial;
  int started = 0;
  dial->next_at = NWS_NEVER;
  while (!started && dial->target_next < dial->target_count) {
    int rc = attempt_one(peer, &dial->targets[dial->target_next++]);
    started = rc == NWS_OK;
    if (!started) {
      dial->error = rc;
    }
  }
  if (dial->attempts == NULL) {
    nws__peer_die(peer, dial->error);
    return;
  }
  if (dial->target_next < dial->target_count) {
    dial->next_at = from_now(dial->attempt_delay);
  }
  set_timer(peer);
}

void nws__attempt_timeout(nws_peer *peer, uint64_t now) {
  const nws__dial *dial = peer->opening->dial;
  if (now >= dial->deadline) {
    nws__peer_die(peer, NWS_ERROR_HANDSHAKE_TIMEOUT);
  } else if (now >= dial->connect_by) {
    nws__peer_die(peer, UV_ETIMEDOUT);
  } else if (now >= dial->next_at) {
    try_more(peer);
  } else {
    set_timer(peer);
  }
}

static void start_attempts(nws_peer *peer) {
  nws__dial *dial = peer->opening->dial;
  dial->target_next = 0;
  dial->error = UV_EAI_NODATA;
  dial->connect_by = from_now(dial->connect_limit);
  nws__peer_enter(peer, NWS__CONNECTING);
  try_more(peer);
}

/* --- Names --- */

static void found_some(nws_peer *peer, const struct addrinfo *found) {
  nws__dial *dial = peer->opening->dial;
  size_t count = nws__targets_sort(found, NULL);
  free(dial->targets);
  dial->target_count = 0;
  dial->targets = calloc(count + 1, sizeof(*dial->targets));
  if (dial->targets == NULL) {
    nws__peer_die(peer, NWS_ERROR_MEMORY);
    return;
  }
  dial->target_count = nws__targets_sort(found, dial->targets);
  start_attempts(peer);
}

static void on_lookup(uv_getaddrinfo_t *lookup, int status,
                      struct addrinfo *found) {
  nws_peer *peer = lookup->data;
  nws_loop *loop = peer->loop;
  nws__loop_enter(loop);
  if (peer->state == NWS__RESOLVING) {
    peer->flags |= NWS__BUSY;
    if (status != 0) {
      nws__peer_die(peer, status);
    } else {
      found_some(peer, found);
    }
    nws__peer_leave(peer);
  }
  uv_freeaddrinfo(found);
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
static int look_at(nws_peer *peer, const char *host, uint16_t port) {
  nws__dial *dial = peer->opening->dial;
  char port_text[8];
  nws__local target;
  if (!nws__targets_literal(host, port, &target)) {
    snprintf(port_text, sizeof(port_text), "%u", (unsigned)port);
    return look_up(peer, host, port_text);
  }
  free(dial->targets);
  dial->target_count = 0;
  dial->targets = malloc(sizeof(*dial->targets));
  if (dial->targets == NULL) {
    return NWS_ERROR_MEMORY;
  }
  dial->targets[0] = target;
  dial->target_count = 1;
  start_attempts(peer);
  return NWS_OK;
}

/* Begins in the state RESOLVING. */
void nws__client_begin(nws_peer *peer) {
  const nws__dial *dial = peer->opening->dial;
  char host[NWS__HOST_MAX + 1];
  if (dial->fixed) {
    start_attempts(peer);
    return;
  }
  int rc;
  if (dial->proxy.host[0] != '\0') {
    rc = look_at(peer, dial->proxy.host, dial->proxy.port);
  } else {
    memcpy(host, dial->uri.host.ptr, dial->uri.host.len);
    host[dial->uri.host.len] = '\0';
    rc = look_at(peer, host, dial->uri.port);
  }
  if (rc != NWS_OK) {
    nws__peer_die(peer, rc);
  }
}
