/* connect_exec.c - `nws connect --exec`: a process instead of standard input
 * and output.
 *
 * The process is started when the connection is open. When it ends, its status
 * says with which code to close; when the connection ends, it is ended.
 */
#include <signal.h>
#include "connect.h"

static void on_ended(cli_child *child, int error) {
  connection *c = child->user;
  if (error == NWS_ERROR_STATE) { /* the peer is closing */
    return;
  }
  if (error != NWS_OK) {
    nws__cli_split_complain(&child->bridge.split, "the command's output",
                            error);
    c->client.exit_code = CLI_EXIT_USAGE;
  }
  const unsigned code = c->client.interrupts          ? NWS_CLOSE_GOING_AWAY
                        : error || child->status != 0 ? NWS_CLOSE_INTERNAL_ERROR
                                                      : NWS_CLOSE_NORMAL;
  nws__connect_finish(c, code);
}

static void on_gone(cli_child *child) {
  ((connection *)child->user)->child_known = 0;
}

static void on_open(nws_peer *peer) {
  connection *c = nws_peer_user(peer);
  cli_child *child = &c->child;
  nws__cli_client_opened(&c->client);
  child->user = c;
  child->ended = on_ended;
  child->gone = on_gone;
  child->bridge.peer = peer;
  child->bridge.split.framing = c->split.framing;
  child->bridge.split.binary = c->split.binary;
  c->child_known = 1;
  int rc = nws__cli_child_start(child, &c->client.uv, c->command, NULL);
  if (rc != NWS_OK) {
    nws__cli_say("cannot start the command: %s", nws_net_text(rc));
    nws__connect_give_up(c);
  }
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  connection *c = nws_peer_user(peer);
  (void)opcode;
  nws__cli_bridge_message(&c->child.bridge, data, len);
}

static void on_drain(nws_peer *peer) {
  connection *c = nws_peer_user(peer);
  nws__cli_bridge_drain(&c->child.bridge);
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  connection *c = nws_peer_user(peer);
  nws__cli_client_closed(&c->client, how);
  if (c->child_known) {
    nws__cli_child_part(&c->child);
  }
}

/* The first goes to the process, whose end then closes; the second ends all. */
static void on_signal(cli_client *client, int number) {
  connection *c = (connection *)client;
  if (client->interrupts == 1 && c->child.running) {
    nws__cli_child_signal(&c->child, number);
    return;
  }
  nws__cli_child_signal(&c->child, SIGKILL);
  if (client->peer) {
    nws_peer_abort(client->peer);
  }
}

void nws__connect_exec(connection *c) {
  nws_handler *handler = &c->client.handler;
  handler->open = on_open;
  handler->message = on_message;
  handler->drain = on_drain;
  handler->closed = on_closed;
  c->client.signalled = on_signal;
}

int nws__connect_exec_end(connection *c, int code) {
  while (c->child_known && uv_run(&c->client.uv, UV_RUN_ONCE)) {
  }
  /* What we have ended, as the connection has, has not failed. */
  const int own = c->child.ending ? CLI_EXIT_OK : c->child.status;
  return code == CLI_EXIT_OK ? own : code;
}
