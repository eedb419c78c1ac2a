/* listen.c - listening, letting connections in, and stopping.
 */
#include "net_internal.h"
#include <stdlib.h>

#define BACKLOG 511
#define MAX_PEERS ((size_t)65536)
/* Connections let in per turn of the loop, so that those that are open get
 * theirs. */
#define ACCEPTS 64
/* Without descriptors or memory, connections wait in the backlog. */
#define RETRY_MS 100
#define NS_PER_MS UINT64_C(1000000)

static void on_listen(uv_poll_t *poll, int status, int events);

static void look_again(uv_timer_t *timer) {
  nws_server *server = timer->data;
  uv_poll_start(&server->poll, UV_READABLE, on_listen);
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

/* The listening socket stays readable when accept fails: looking away for a
 * moment keeps the loop from spinning. */
static void look_away(nws_server *server, int error) {
  int known = server->trouble == error;
  uv_poll_stop(&server->poll);
  uv_timer_start(&server->timer, look_again, RETRY_MS, 0);
  server->trouble = error;
  if (!known) {
    nws__server_trouble(server, error, NULL, "");
  }
}

static void admit(nws_server *server, int fd, const nws__address *from) {
  size_t max = server->options.max_peers;
  int surplus = server->count >= max;
  nws_peer *peer = NULL;
  if (!surplus || server->count - max < NWS__SURPLUS_PEERS) {
    peer = nws__peer_new(server->loop, &server->setup, server);
  }
  if (peer == NULL) {
    nws__socket_close(fd);
    nws__server_trouble(server, surplus ? UV_EBUSY : NWS_ERROR_MEMORY, from,
                        "");
    return;
  }
  peer->address = *from;
  peer->user = server->options.user;
  peer->flags |= NWS__BUSY;
  nws__timer_in(peer, nws__setup_handshake_ns(&server->setup));
  int rc = nws__peer_attach(peer, fd, from);
  if (rc != NWS_OK) {
    nws__peer_die(peer, rc);
  } else if (surplus) {
    nws__server_refuse(peer, UV_EBUSY, 503);
  } else if (server->options.tls != NULL) {
    nws__secure_start(peer, server->options.tls, NULL);
  }
  nws__peer_leave(peer);
}

static void accept_some(nws_server *server) {
  for (int i = 0; i < ACCEPTS && !server->stopping; i++) {
    nws__address from;
    int fd;
    int rc = nws__socket_accept(server->fd, &from, &fd);
    if (rc == UV_EAGAIN) {
      return;
    }
    if (rc != NWS_OK) {
      look_away(server, rc);
      return;
    }
    server->trouble = 0;
    admit(server, fd, &from);
  }
}

static void on_listen(uv_poll_t *poll, int status, int events) {
  nws_server *server = poll->data;
  nws_loop *loop = server->loop;
  (void)events;
  nws__loop_enter(loop);
  if (status < 0) {
    look_away(server, status);
  } else {
    accept_some(server);
  }
  nws__loop_leave(loop);
}

/* --- Starting --- */

static int parse_address(const char *text, uint16_t port,
                         struct sockaddr_storage *out) {
  if (text == NULL) {
    text = "127.0.0.1";
  }
  if (uv_ip4_addr(text, port, (struct sockaddr_in *)out) == 0) {
    return NWS_OK;
  }
  return uv_ip6_addr(text, port, (struct sockaddr_in6 *)out);
}

static int take_options(nws_server *server, const nws_server_options *given) {
  nws_server_options *options = &server->options;
  int rc = nws__setup_options(options, sizeof(*options), given);
  if (rc != NWS_OK) {
    return rc;
  }
  if (options->tls != NULL && !nws__tls_serves(options->tls)) {
    return NWS_ERROR_TLS_CONFIG; /* no certificate to show */
  }
  if (options->max_peers == 0) {
    options->max_peers = MAX_PEERS;
  }
  if (options->backlog == 0 || options->backlog > INT32_MAX) {
    options->backlog = BACKLOG;
  }
  const nws_server_policy *policy = options->policy;
  size_t extensions = policy == NULL ? 0 : policy->extension_count;
  return nws__setup_copy(&server->setup, server->loop, options->handler,
                         options->conn, &options->limits, extensions);
}

static int listen_on(nws_server *server) {
  const nws_server_options *options = &server->options;
  struct sockaddr_storage address;
  int rc = parse_address(options->address, options->port, &address);
  if (rc != 0) {
    return rc;
  }
  rc = nws__socket_listen((struct sockaddr *)&address, (int)options->backlog,
                          &server->fd);
  if (rc != NWS_OK) {
    return rc;
  }
  rc = nws__socket_port(server->fd, &server->port);
  if (rc == NWS_OK) {
    rc = uv_poll_init(server->loop->uv, &server->poll, server->fd);
  }
  if (rc != NWS_OK) {
    nws__socket_close(server->fd);
  }
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
    rc = listen_on(server);
  }
  if (rc != NWS_OK) {
    free(server);
    return rc;
  }
  nws__tls_keep(server->options.tls);
  server->poll.data = server;
  uv_timer_init(loop->uv, &server->timer);
  server->timer.data = server;
  server->handles = 2;
  uv_poll_start(&server->poll, UV_READABLE, on_listen);
  nws__loop_hold(loop);
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

static void on_closed(uv_handle_t *handle) {
  nws_server *server = handle->data;
  nws_loop *loop = server->loop;
  nws__loop_enter(loop);
  server->handles--;
  nws__server_settle(server);
  nws__loop_leave(loop);
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
  if (server->options.stopped != NULL) {
    server->options.stopped(server, server->options.user);
  }
  nws_tls_drop(server->options.tls);
  free(server);
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
  uv_close((uv_handle_t *)&server->poll, on_closed);
  nws__socket_close(server->fd);
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
