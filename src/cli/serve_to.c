/* serve_to.c - `nws serve --to`: a TCP connection, or one to a Unix socket, for
 * each WebSocket. Binary messages carry the bytes, as websockify has it.
 *
 * A request is accepted when the connection behind it is there, and answered
 * with 502 when it cannot be had.
 */
#include <string.h>
#include "serve.h"

#define MAX_QUEUE ((size_t)1 << 20)
#define BAD_GATEWAY 502

typedef struct to_guest {
  guest base;
  cli_cable cable;
  int known; /* its handles are open */
} to_guest;

static void on_connected(cli_cable *cable, int error) {
  to_guest *g = cable->user;
  const nws_http_head *head = &nws_peer_request(g->base.peer)->head;
  if (error == NWS_OK && nws__serve_accept(&g->base, head)) {
    error = nws__cli_cable_plug(cable);
    if (error != NWS_OK) {
      nws_peer_abort(g->base.peer);
    }
    return;
  }
  if (error != NWS_OK) {
    nws__cli_say("cannot connect to %s: %s", g->base.server->to,
                 nws_net_text(error));
    nws__serve_refuse(g->base.peer, head, error, BAD_GATEWAY);
  }
}

static void on_gone(cli_cable *cable) {
  to_guest *g = cable->user;
  nws__serve_leave(&g->base);
}

static void on_request(guest *base, const nws_server_handshake *request) {
  to_guest *g = (to_guest *)base;
  nws__cli_cable_init(&g->cable, &base->server->uv);
  g->known = 1;
  g->cable.user = g;
  g->cable.connected = on_connected;
  g->cable.gone = on_gone;
  g->cable.bridge.peer = base->peer;
  int rc = nws__cli_cable_connect(&g->cable, &base->server->target);
  if (rc != NWS_OK) {
    nws__serve_refuse(base->peer, &request->head, rc, BAD_GATEWAY);
  }
}

static void on_piece(guest *base, const nws_event *event) {
  to_guest *g = (to_guest *)base;
  if (event->opcode == NWS_OPCODE_TEXT) {
    nws_peer_close(base->peer, NWS_CLOSE_UNSUPPORTED_DATA,
                   nws_str_of("binary messages only"));
    return;
  }
  nws__cli_bridge_bytes(&g->cable.bridge, event->data, event->len);
}

static void on_drain(guest *base) {
  nws__cli_bridge_drain(&((to_guest *)base)->cable.bridge);
}

static int on_closed(guest *base) {
  to_guest *g = (to_guest *)base;
  if (!g->known) {
    return 1;
  }
  nws__cli_cable_part(&g->cable);
  return 0;
}

static void drop(guest *base) {
  to_guest *g = (to_guest *)base;
  if (!base->peer && g->known) {
    nws__cli_cable_drop(&g->cable);
  }
}

/* What those speak that expect websockify. */
static int start(server *s) {
  s->conn.deliver_in_closing = 1;
  if (s->policy.subprotocol_count == 0) {
    s->subprotocols[s->policy.subprotocol_count++] = nws_str_of("binary");
  }
  return CLI_EXIT_OK;
}

const serve_mode nws__serve_to = {.name = "to another server",
                                  .option = "to",
                                  .guest_len = sizeof(to_guest),
                                  .max_queue = MAX_QUEUE,
                                  .start = start,
                                  .request = on_request,
                                  .piece = on_piece,
                                  .drain = on_drain,
                                  .closed = on_closed,
                                  .drop = drop};
