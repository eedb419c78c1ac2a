/* listen.c - listening, letting connections in, and stopping.
 */
#include "net_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Connections let in per turn of the loop, so that those that are open get
 * theirs. */
#define ACCEPTS 64
/* Without descriptors or memory, connections wait in the backlog. */
#define RETRY_MS 100
#define NS_PER_MS UINT64_C(1000000)

static void on_listen(uv_poll_t *poll, int status, int events);

static void look(nws_server *server) {
  for (size_t i = 0; i < server->ear_count; i++) {
    uv_poll_start(&server->ears[i].poll, UV_READABLE, on_listen);
  }
}

static void look_again(uv_timer_t *timer) {
  look(timer->data);
}

void nws__server_trouble(nws_server *server, int error,
                         const nws__address *address, const char *detail) {
  char name[64];
  nws_trouble what = {error, address != NULL ? name : NULL, detail};
  if (server->options.trouble == NULL) {
    return;
  }
  if (address != NULL &&
      nws__socket_name(address, name, sizeof(name)) != NWS_OK) {
    name[0] = '\0';
  }
  server->options.trouble(server, &what, server->options.user);
}

/* A listening socket stays readable when accept fails: looking away for a
 * moment keeps the loop from spinning. What one lacks the others lack too. */
static void look_away(nws_server *server, int error) {
  int known = server->trouble == error;
  for (size_t i = 0; i < server->ear_count; i++) {
    uv_poll_stop(&server->ears[i].poll);
  }
  uv_timer_start(&server->timer, look_again, RETRY_MS, 0);
  server->trouble = error;
  server->stats.accept_errors++;
  if (!known) {
    nws__log_blocked(server, error);
    nws__server_trouble(server, error, NULL, "");
  }
}

/* What is to come first on a new connection. */
static nws__peer_state first_state(const nws_listener *listener) {
  if (nws__listener_proxied(listener)) {
    return NWS__PROXIED;
  }
  return nws__listener_tls(listener) != NULL ? NWS__SECURING : NWS__SHAKING;
}

/* Starts with what is to come first. Behind a proxy's header TLS begins when
 * the listener may be gone. */
static int begin(nws_peer *peer, const nws_listener *listener) {
  nws_tls *tls = nws__listener_tls(listener);
  if (peer->state == NWS__PROXIED) {
    nws__opening *opening = nws__peer_opening(peer);
    if (opening == NULL) {
      return NWS_ERROR_MEMORY;
    }
    opening->tls = nws__tls_keep(tls);
  } else if (peer->state == NWS__SECURING) {
    nws__secure_start(peer, tls, NULL);
  }
  return NWS_OK;
}

/* The time of a new peer's life begins. */
static void start_clock(nws_peer *peer, uint64_t now) {
  uint64_t limit = nws__setup_handshake_ns(peer->setup);
  peer->life = now;
  nws__timer_set(peer, limit == NWS_NEVER ? NWS_NEVER : peer->life + limit);
}

/* Makes the peer of a connection that `limit` speaks against, or nothing. */
static nws_peer *make_peer(const nws__ear *ear, const nws__address *from,
                           int limit) {
  nws_server *server = ear->server;
  if (limit != NWS_OK && !nws__limits_tells(server)) {
    return NULL;
  }
  nws_peer *peer = nws__peer_new(server->loop, &server->setup, server,
                                 first_state(ear->listener));
  if (peer != NULL) {
    peer->address = *from;
    peer->user = server->options.user;
    peer->flags |= NWS__BUSY;
  }
  return peer;
}

static void start(nws_peer *peer, const nws_listener *listener, int limit) {
  if (limit != NWS_OK) {
    nws__limits_turn_away(peer, limit);
    return;
  }
  int rc = begin(peer, listener);
  if (rc != NWS_OK) {
    nws__peer_die(peer, rc);
  }
}

static void admit(const nws__ear *ear, int fd, const nws__address *from) {
  nws_server *server = ear->server;
  int proxied = nws__listener_proxied(ear->listener);
  uint64_t now = uv_hrtime();
  uint32_t tallied;
  server->stats.accepted++;
  int limit = nws__limits_check(server, proxied ? NULL : from, now, &tallied);
  nws_peer *peer = make_peer(ear, from, limit);
  if (peer == NULL) {
    int error = limit != NWS_OK ? limit : NWS_ERROR_MEMORY;
    nws__socket_close(fd);
    if (tallied != 0) {
      nws__limits_leave(server, from);
    }
    nws__stats_turned(server, error);
    nws__log_turned(server, error, from);
    nws__server_trouble(server, error, from, "");
    return;
  }
  peer->flags |= tallied;
  start_clock(peer, now);
  int rc = nws__peer_attach(peer, fd, from);
  if (limit == NWS_OK || rc != NWS_OK) { /* not turned away: it fails */
    nws__stats_begin(peer);
  }
  if (rc == NWS_OK) {
    start(peer, ear->listener, limit);
  } else {
    nws__peer_die(peer, rc);
  }
  nws__peer_leave(peer);
}

static void accept_some(const nws__ear *ear) {
  nws_server *server = ear->server;
  int listener = nws_listener_fd(ear->listener);
  for (int i = 0; i < ACCEPTS && !server->stopping; i++) {
    nws__address from;
    int fd;
    int rc = nws__socket_accept(listener, &from, &fd);
    if (rc == UV_EAGAIN) {
      return;
    }
    if (rc != NWS_OK) {
      look_away(server, rc);
      return;
    }
    int again = server->trouble != 0;
    server->trouble = 0;
    admit(ear, fd, &from);
    if (again) {
      nws__log_resumed(server);
    }
  }
}

static void on_listen(uv_poll_t *poll, int status, int events) {
  const nws__ear *ear = poll->data;
  nws_loop *loop = ear->server->loop;
  (void)events;
  nws__loop_enter(loop);
  if (status < 0) {
    look_away(ear->server, status);
  } else {
    accept_some(ear);
  }
  nws__loop_leave(loop);
}

static void free_server(nws_server *server) {
  free(server->ears);
  free(server->routes);
  nws__quota_free(&server->quota);
  free(server);
}

/* --- Starting --- */

static int take_options(nws_server *server, const nws_server_options *given) {
  nws_server_options *options = &server->options;
  int rc = nws__setup_options(options, sizeof(*options), given);
  if (rc != NWS_OK) {
    return rc;
  }
  rc = nws__limits_take(server);
  if (rc == NWS_OK) {
    rc = nws__log_take(server);
  }
  if (rc != NWS_OK) {
    return rc;
  }
  const nws_server_policy *policy = options->policy;
  rc = nws__setup_policy(policy);
  if (rc != NWS_OK) {
    return rc;
  }
  size_t extensions = policy == NULL ? 0 : policy->extension_count;
  return nws__setup_copy(&server->setup, server->loop, options->handler,
                         options->conn, &options->limits, extensions);
}

/* The one listener of a server that was given an address. */
static int open_own(const nws_server_options *options, nws_listener **out) {
  nws_listener_options how = {
      .size = sizeof(how), .tls = options->tls, .backlog = options->backlog};
  char where[INET6_ADDRSTRLEN + sizeof("[]:65535")];
  const char *host = options->address;
  if (host == NULL) {
    host = "127.0.0.1";
  }
  int six = strchr(host, ':') != NULL;
  int n = snprintf(where, sizeof(where), "%s%s%s:%u", six ? "[" : "", host,
                   six ? "]" : "", (unsigned)options->port);
  if (n < 0 || (size_t)n >= sizeof(where)) {
    return UV_EINVAL;
  }
  int rc = nws_listener_open(where, &how, out);
  return rc == NWS_ERROR_ARGUMENT ? UV_EINVAL : rc;
}

static int add_ear(nws_server *server, nws_listener *listener) {
  nws__ear *ear = &server->ears[server->ear_count];
  int fd = nws_listener_fd(listener);
  int rc = uv_poll_init(server->loop->uv, &ear->poll, fd);
  if (rc != 0) {
    return rc;
  }
  ear->poll.data = ear;
  ear->server = server;
  ear->listener = nws__listener_hold(listener);
  server->ear_count++;
  server->handles++;
  return uv_poll_start(&ear->poll, UV_READABLE, on_listen);
}

static int listen_on(nws_server *server, nws_listener *const *listeners,
                     size_t count) {
  server->ears = calloc(count, sizeof(*server->ears));
  if (server->ears == NULL) {
    return NWS_ERROR_MEMORY;
  }
  server->port = nws_listener_port(listeners[0]);
  for (size_t i = 0; i < count; i++) {
    int rc = add_ear(server, listeners[i]);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  return NWS_OK;
}

static int start_listening(nws_server *server) {
  const nws_server_options *options = &server->options;
  nws_listener *own = NULL;
  if (options->listener_count > 0) {
    return listen_on(server, options->listeners, options->listener_count);
  }
  int rc = open_own(options, &own);
  if (rc == NWS_OK) {
    rc = listen_on(server, &own, 1);
  }
  nws_listener_drop(own);
  return rc;
}

int nws_server_start(nws_loop *loop, const nws_server_options *options,
                     nws_server **out) {
  if (out != NULL) {
    *out = NULL;
  }
  if (loop == NULL || options == NULL || out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  nws_server *server = calloc(1, sizeof(*server));
  if (server == NULL) {
    return NWS_ERROR_MEMORY;
  }
  server->loop = loop;
  int rc = take_options(server, options);
  if (rc == NWS_OK) {
    rc = nws__routes_take(server);
  }
  if (rc == NWS_OK) {
    rc = start_listening(server);
  }
  if (rc != NWS_OK && server->handles == 0) {
    free_server(server);
    return rc;
  }
  uv_timer_init(loop->uv, &server->timer);
  server->timer.data = server;
  server->handles++;
  nws__loop_hold(loop);
  if (rc != NWS_OK) { /* some listeners of several: the loop closes them */
    server->options.stopped = NULL;
    server->options.log = NULL;
    nws_server_stop(server, NWS_CLOSE_GOING_AWAY);
    return rc;
  }
  *out = server;
  return NWS_OK;
}

/* --- Questions --- */

uint16_t nws_server_port(const nws_server *server) {
  return server->port;
}

size_t nws_server_peers(const nws_server *server) {
  return server->count;
}

void *nws_server_user(const nws_server *server) {
  return server->options.user;
}

/* Peers leave the list only when the loop closes their handles: no callback can
 * pull one from under this. */
void nws_server_each(nws_server *server,
                     void (*visit)(nws_peer *peer, void *arg), void *arg) {
  nws_peer *peer = server->first;
  for (; peer != NULL; peer = peer->next) {
    if (peer->state == NWS__OPEN && (peer->flags & NWS__OPENED) != 0) {
      visit(peer, arg);
    }
  }
}

/* --- Stopping --- */

static void handle_closed(nws_server *server) {
  nws_loop *loop = server->loop;
  nws__loop_enter(loop);
  server->handles--;
  nws__server_settle(server);
  nws__loop_leave(loop);
}

static void on_closed(uv_handle_t *handle) {
  handle_closed(handle->data);
}

static void on_ear_closed(uv_handle_t *handle) {
  const nws__ear *ear = handle->data;
  handle_closed(ear->server);
}

/* Frees the server once it is stopped and nothing belongs to it any more. */
void nws__server_settle(nws_server *server) {
  nws_loop *loop = server->loop;
  if (!server->stopping || server->count > 0) {
    return;
  }
  if (!uv_is_closing((uv_handle_t *)&server->timer)) {
    uv_close((uv_handle_t *)&server->timer, on_closed);
  }
  if (server->handles > 0) {
    return;
  }
  nws__log_stopped(server);
  if (server->options.stopped != NULL) {
    server->options.stopped(server, server->options.user);
  }
  free_server(server);
  nws__loop_release(loop);
}

static void on_overdue(uv_timer_t *timer) {
  nws_server *server = timer->data;
  for (nws_peer *peer = server->first; peer != NULL; peer = peer->next) {
    nws__peer_die(peer, NWS_ERROR_CLOSE_TIMEOUT);
  }
}

/* Peers with a lot to read still, however diligent, do not hold it up. */
static void start_stopping(nws_server *server) {
  uint64_t limit = nws__setup_close_ns(&server->setup);
  for (size_t i = 0; i < server->ear_count; i++) {
    nws__ear *ear = &server->ears[i];
    uv_close((uv_handle_t *)&ear->poll, on_ear_closed);
    nws_listener_drop(ear->listener);
    ear->listener = NULL;
  }
  uv_timer_stop(&server->timer);
  if (limit != NWS_NEVER) {
    uv_update_time(server->loop->uv); /* lest it be cut short */
    uv_timer_start(&server->timer, on_overdue, limit / NS_PER_MS, 0);
  }
  nws__server_settle(server);
}

static void stop_peer(nws_peer *peer, unsigned code) {
  nws_str none = {NULL, 0};
  int rc = nws_peer_close(peer, code, none);
  /* Those that are closing already will come to their end; those that cannot
   * be closed would not. */
  if (rc != NWS_OK && rc != NWS_ERROR_STATE) {
    nws_peer_abort(peer);
  }
}

void nws_server_stop(nws_server *server, unsigned code) {
  int again = server->stopping;
  server->stopping = 1;
  for (nws_peer *peer = server->first; peer != NULL; peer = peer->next) {
    if (again) {
      nws_peer_abort(peer);
    } else {
      stop_peer(peer, code);
    }
  }
  if (!again) {
    start_stopping(server);
  }
}
