/* connect_tcp.c - `nws connect --tcp-listen`: a WebSocket for each TCP
 * connection that comes in; the other end of `nws serve --to`.
 */
#include <stdlib.h>
#include <string.h>
#include "connect.h"

#define BACKLOG 511
#define MAX_QUEUE ((size_t)1 << 20)

/* One TCP connection and its WebSocket. */
typedef struct line {
  cli_cable cable;
  connection *connection;
  nws_peer *peer;
  uint64_t number;
  struct line *next;
  struct line *previous;
} line;

static connection *of_client(cli_client *client) {
  return (connection *)client; /* its first member */
}

static void tell(const line *l, const char *what, const char *more) {
  if (l->connection->client.verbose) {
    nws__cli_say("#%llu %s%s", (unsigned long long)l->number, what, more);
  }
}

/* --- The WebSocket --- */

static void on_open(nws_peer *peer) {
  line *l = nws_peer_user(peer);
  tell(l, "open", "");
  if (nws__cli_cable_plug(&l->cable) != NWS_OK) {
    nws_peer_abort(peer);
  }
}

static void on_piece(nws_peer *peer, const nws_event *event) {
  line *l = nws_peer_user(peer);
  if (event->opcode == NWS_OPCODE_TEXT) {
    nws_peer_close(peer, NWS_CLOSE_UNSUPPORTED_DATA,
                   nws_str_of("binary messages only"));
    return;
  }
  nws__cli_bridge_bytes(&l->cable.bridge, event->data, event->len);
}

static void on_drain(nws_peer *peer) {
  line *l = nws_peer_user(peer);
  nws__cli_bridge_drain(&l->cable.bridge);
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  line *l = nws_peer_user(peer);
  l->peer = NULL;
  if (how->error == NWS_ERROR_STATUS && how->response) {
    nws__cli_say("#%llu: the server refused the handshake: %u",
                 (unsigned long long)l->number,
                 (unsigned)how->response->status);
  } else if (how->error != NWS_OK && !l->connection->client.interrupts) {
    nws__cli_say("#%llu: %s%s%s", (unsigned long long)l->number,
                 nws_net_text(how->error), *how->detail ? ": " : "",
                 how->detail);
  } else {
    tell(l, "closed", "");
  }
  nws__cli_cable_part(&l->cable);
  if (l->connection->client.interrupts > 1) {
    nws__cli_cable_drop(&l->cable);
  }
}

static void on_gone(cli_cable *cable) {
  line *l = cable->user;
  connection *c = l->connection;
  *(l->previous ? &l->previous->next : &c->lines) = l->next;
  if (l->next) {
    l->next->previous = l->previous;
  }
  free(l);
}

/* --- The socket --- */

static void on_connection(uv_stream_t *listener, int status) {
  connection *c = listener->data;
  line *l = status == 0 ? calloc(1, sizeof(*l)) : NULL;
  if (!l) {
    nws__cli_say("cannot take a connection: %s",
                 status ? nws_net_text(status) : "out of memory");
    return;
  }
  l->connection = c;
  l->number = ++c->taken;
  l->next = c->lines;
  if (l->next) {
    l->next->previous = l;
  }
  c->lines = l;
  l->cable.user = l;
  l->cable.gone = on_gone;
  nws__cli_cable_init(&l->cable, &c->client.uv);
  nws__cli_cable_socket(&l->cable, 0);
  int rc = uv_accept(listener, &l->cable.socket.stream);
  if (rc == 0) {
    c->client.options.user = l;
    rc = nws_client_connect(c->client.loop, &c->client.options, &l->peer);
  }
  if (rc != 0) {
    nws__cli_say("cannot connect: %s", nws_net_text(rc));
    nws__cli_cable_part(&l->cable);
    return;
  }
  l->cable.bridge.peer = l->peer;
  tell(l, "connecting to ", c->client.options.url);
}

/* --- Life --- */

/* The first closes, the second drops. */
static void on_signal(cli_client *client, int number) {
  connection *c = of_client(client);
  (void)number;
  if (client->interrupts == 1) {
    uv_close((uv_handle_t *)&c->listener, NULL);
  }
  for (line *l = c->lines, *next; l; l = next) {
    next = l->next;
    if (!l->peer) {
      nws__cli_cable_drop(&l->cable);
    } else if (client->interrupts > 1 ||
               nws_peer_close(l->peer, NWS_CLOSE_GOING_AWAY,
                              nws_str_make("", 0)) != NWS_OK) {
      nws_peer_abort(l->peer);
    }
  }
}

static int start_listening(connection *c) {
  struct sockaddr_storage address;
  const uint16_t port = (uint16_t)c->listen_port;
  uv_tcp_init(&c->client.uv, &c->listener);
  c->listener.data = c;
  int rc = strchr(c->listen_address, ':')
               ? uv_ip6_addr(c->listen_address, port,
                             (struct sockaddr_in6 *)&address)
               : uv_ip4_addr(c->listen_address, port,
                             (struct sockaddr_in *)&address);
  if (rc == 0) {
    rc = uv_tcp_bind(&c->listener, (struct sockaddr *)&address, 0);
  }
  if (rc == 0) {
    rc = uv_listen((uv_stream_t *)&c->listener, BACKLOG, on_connection);
  }
  return rc;
}

static void put_welcome(connection *c) {
  struct sockaddr_storage address;
  int len = sizeof(address);
  uv_tcp_getsockname(&c->listener, (struct sockaddr *)&address, &len);
  const int v6 = address.ss_family == AF_INET6;
  const uint16_t port = v6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                           : ((struct sockaddr_in *)&address)->sin_port;
  printf("Listening on %s%s%s:%u for %s\n", v6 ? "[" : "", c->listen_address,
         v6 ? "]" : "", (unsigned)ntohs(port), c->client.options.url);
  nws__connect_flush(c);
}

int nws__connect_tcp(connection *c) {
  nws_handler *handler = &c->client.handler;
  memset(handler, 0, sizeof(*handler));
  handler->size = sizeof(*handler);
  handler->open = on_open;
  handler->piece = on_piece;
  handler->drain = on_drain;
  handler->closed = on_closed;
  c->client.signalled = on_signal;
  c->client.options.limits.high_water = MAX_QUEUE;
  c->client.options.limits.max_queue = MAX_QUEUE;
  int rc = nws__cli_client_prepare(&c->client);
  if (rc != CLI_EXIT_OK) {
    return rc;
  }
  rc = start_listening(c);
  if (rc != 0) {
    nws__cli_say("cannot listen on %s: %s", c->tcp_listen, nws_net_text(rc));
    return CLI_EXIT_CONNECT;
  }
  put_welcome(c);
  uv_run(&c->client.uv, UV_RUN_DEFAULT);
  nws_tls_drop(c->client.tls.tls);
  return CLI_EXIT_OK;
}
