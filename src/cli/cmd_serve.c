/* cmd_serve.c - `nws serve`: a server to talk to, that says everything back, or
 * does what else the user wants (serve_mode).
 *
 * For trying out clients, proxies and browsers, and for bringing programs to
 * them: the same on every path, and a page at / to do it by hand.
 */
#include <stdlib.h>
#include <string.h>
#include "serve.h"

/* --- The log --- */

void nws__serve_log(const guest *g) {
  fprintf(stderr, "#%llu %s ", (unsigned long long)g->number, g->address);
}

/* How a guest came, and who it has shown to be. */
static void log_tls(nws_peer *peer) {
  nws_tls_info info;
  if (nws_peer_tls(peer, &info) != NWS_OK) {
    return;
  }
  fprintf(stderr, " over %s", info.version);
  if (info.verified) {
    fputs(" as ", stderr);
    nws__cli_put_text(stderr, info.subject, strlen(info.subject),
                      CLI_TEXT_PLAIN);
  }
}

/* --- WebSockets --- */

static void log_request(const guest *g, const nws_server_handshake *request) {
  nws__serve_log(g);
  nws__serve_log_target(request);
  if (request->origin.ptr) {
    fputs(" from ", stderr);
    nws__cli_put_text(stderr, request->origin.ptr, request->origin.len,
                      CLI_TEXT_PLAIN);
  }
  log_tls(g->peer);
  fputc('\n', stderr);
}

int nws__serve_accept(guest *g, const nws_http_head *head) {
  int rc = nws_peer_accept(g->peer, NULL);
  if (rc == NWS_OK) {
    return 1;
  }
  nws__cli_say("cannot accept %s: %s", g->address, nws_net_text(rc));
  nws__serve_refuse(g->peer, head, rc, 503);
  return 0;
}

static void on_request(nws_peer *peer, const nws_server_handshake *request) {
  server *s = ((guest *)nws_peer_user(peer))->server;
  guest *g = calloc(1, s->mode->guest_len);
  if (!g) {
    nws__serve_refuse(peer, &request->head, NWS_ERROR_MEMORY, 503);
    return;
  }
  g->server = s;
  g->peer = peer;
  g->number = ++s->peers;
  g->next = s->guests;
  if (g->next) {
    g->next->previous = g;
  }
  s->guests = g;
  nws_peer_address(peer, g->address, sizeof(g->address));
  nws_peer_set_user(peer, g);
  if (s->verbose) {
    log_request(g, request);
  }
  if (s->mode->request) {
    s->mode->request(g, request);
  } else {
    nws__serve_accept(g, &request->head);
  }
}

static void on_open(nws_peer *peer) {
  guest *g = nws_peer_user(peer);
  if (g->server->mode->open) {
    g->server->mode->open(g);
  }
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  guest *g = nws_peer_user(peer);
  if (g->server->verbose) {
    nws__serve_log(g);
    fprintf(stderr, "%s, %zu bytes\n",
            nws_conn_opcode_name(nws_peer_conn(peer), opcode), len);
  }
  g->server->mode->message(g, opcode, data, len);
}

static void on_piece(nws_peer *peer, const nws_event *event) {
  guest *g = nws_peer_user(peer);
  g->server->mode->piece(g, event);
}

static void on_drain(nws_peer *peer) {
  guest *g = nws_peer_user(peer);
  if (g->server->mode->drain) {
    g->server->mode->drain(g);
  }
}

static void log_closed(const guest *g, const nws_closed *how) {
  nws__serve_log(g);
  if (how->error == NWS_OK) {
    fputs("closed ", stderr);
    nws__cli_put_close(stderr, how->code, how->reason);
  } else {
    const nws_error_info *info = nws_error_get(how->error);
    fprintf(stderr, "lost: %s", nws_net_text(how->error));
    if (nws__cli_is_violation(how->error)) {
      fprintf(stderr, " at byte %llu (%s), closed with %u",
              (unsigned long long)how->offset, info->rule,
              (unsigned)info->close_code);
    }
  }
  fputc('\n', stderr);
}

static void close_signals(server *s) {
  for (size_t i = 0; i < SERVE_SIGNALS; i++) {
    uv_close((uv_handle_t *)&s->signals[i], NULL);
  }
}

void nws__serve_leave(guest *g) {
  server *s = g->server;
  *(g->previous ? &g->previous->next : &s->guests) = g->next;
  if (g->next) {
    g->next->previous = g->previous;
  }
  free(g);
  if (!s->running && !s->guests) {
    close_signals(s);
  }
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  guest *g = nws_peer_user(peer);
  if (g == &g->server->nobody) {
    return;
  }
  if (g->server->verbose) {
    log_closed(g, how);
  }
  g->peer = NULL;
  if (!g->server->mode->closed || g->server->mode->closed(g)) {
    nws__serve_leave(g);
  } else if (g->server->interrupts > 1) {
    g->server->mode->drop(g);
  }
}

/* --- The echo --- */

static void echo(guest *g, unsigned opcode, uint8_t *data, size_t len) {
  int rc = nws_peer_send(g->peer, opcode, data, len);
  if (rc == NWS_OK || rc == NWS_ERROR_STATE) {
    return;
  }
  nws__cli_say("cannot answer %s: %s", g->address, nws_net_text(rc));
  nws_peer_close(g->peer, NWS_CLOSE_INTERNAL_ERROR, nws_str_make("", 0));
}

const serve_mode nws__serve_echo = {.name = "echo",
                                    .option = "echo",
                                    .guest_len = sizeof(guest),
                                    .message = echo};

/* --- Trouble --- */

/* Where there is no TLS, those who speak it are the likeliest to be no HTTP. */
static void on_trouble(nws_server *running, const nws_trouble *what,
                       void *user) {
  const server *s = ((guest *)user)->server;
  (void)running;
  if (!what->address) {
    nws__cli_say("cannot take connections for now: %s",
                 nws_net_text(what->error));
  } else if (s->verbose) {
    fprintf(stderr, "%s: %s: %s%s%s\n",
            nws__cli_is_tls(what->error) ? "tls" : "http", what->address,
            what->error == NWS_ERROR_HTTP_START_LINE && !s->tls.tls
                ? "not HTTP; if the client used wss://, use ws://"
                : nws_net_text(what->error),
            what->detail[0] ? ": " : "", what->detail);
  }
}

/* --- Life --- */

static void on_signal(uv_signal_t *handle, int number) {
  server *s = handle->data;
  (void)number;
  s->interrupts++;
  for (guest *g = s->guests; s->interrupts > 1 && g; g = g->next) {
    if (s->mode->drop) {
      s->mode->drop(g);
    }
  }
  if (!s->running) {
    return;
  }
  const size_t peers = nws_server_peers(s->running);
  if (s->interrupts == 1 && !s->quiet && peers > 0) {
    fprintf(stderr, "Closing %zu connection%s; once more drops them.\n", peers,
            peers == 1 ? "" : "s");
  }
  nws_server_stop(s->running, NWS_CLOSE_GOING_AWAY);
}

static void on_hangup(uv_signal_t *handle, int number) {
  server *s = handle->data;
  (void)number;
  nws__cli_tls_reload(&s->tls, s->quiet);
}

static void on_stopped(nws_server *running, void *user) {
  server *s = ((guest *)user)->server;
  (void)running;
  s->running = NULL;
  if (!s->guests) {
    close_signals(s);
  }
}

/* SIGHUP stays what it is, the end, where there are no files to read again. */
static int catch_signals(server *s) {
  static const struct {
    int number;
    uv_signal_cb call;
  } ours[SERVE_SIGNALS] = {
      {SIGINT, on_signal}, {SIGTERM, on_signal}, {SIGHUP, on_hangup}};
  for (size_t i = 0; i < SERVE_SIGNALS; i++) {
    const int wanted =
        ours[i].number != SIGHUP || s->tls.identity.certificate_file != NULL;
    s->signals[i].data = s;
    int rc = uv_signal_init(&s->uv, &s->signals[i]);
    if (rc == 0 && wanted) {
      rc = uv_signal_start(&s->signals[i], ours[i].call, ours[i].number);
    }
    if (rc < 0) {
      return rc;
    }
  }
  return 0;
}

static int start(server *s) {
  nws__cli_tls_name(&s->tls,
                    s->where_count ? s->where[0].address : "127.0.0.1");
  if (nws__cli_deflate_start(&s->deflate) != NWS_OK ||
      nws__cli_tls_start(&s->tls) != CLI_EXIT_OK) {
    return CLI_EXIT_USAGE;
  }
  s->policy.extensions = s->deflate.list;
  s->policy.extension_count = s->deflate.count;
  int rc = uv_loop_init(&s->uv);
  if (rc == 0) {
    rc = nws_loop_new(&s->uv, &s->loop);
  }
  if (rc == 0 && s->mode->start) {
    int code = s->mode->start(s);
    if (code != CLI_EXIT_OK) {
      return code;
    }
  }
  if (rc != 0 || !nws__serve_page(s)) {
    nws__cli_say("cannot start: %s",
                 nws_net_text(rc != 0 ? rc : NWS_ERROR_MEMORY));
    return CLI_EXIT_USAGE;
  }
  int code = nws__serve_listen(s);
  if (code != CLI_EXIT_OK) {
    return code;
  }
  rc = nws_server_start(s->loop, &s->options, &s->running);
  if (rc != NWS_OK) {
    nws__cli_say("cannot start: %s", nws_net_text(rc));
    return CLI_EXIT_CONNECT;
  }
  rc = catch_signals(s);
  if (rc == 0) {
    return CLI_EXIT_OK;
  }
  nws__cli_say("cannot catch signals: %s", nws_net_text(rc));
  return CLI_EXIT_USAGE;
}

static int run(server *s) {
  const serve_mode *mode = s->mode;
  s->handler = (nws_handler){.size = sizeof(s->handler),
                             .request = on_request,
                             .http = nws__serve_http,
                             .open = on_open,
                             .message = mode->message ? on_message : NULL,
                             .piece = mode->piece ? on_piece : NULL,
                             .drain = on_drain,
                             .closed = on_closed};
  const uint64_t max = s->conn.max_message;
  s->options.limits.max_queue = max > SIZE_MAX - SERVE_QUEUE_ROOM
                                    ? SIZE_MAX
                                    : (size_t)max + SERVE_QUEUE_ROOM;
  if (mode->max_queue) {
    s->options.limits.max_queue = mode->max_queue;
    s->options.limits.high_water = mode->max_queue;
  }
  int rc = start(s);
  if (rc == CLI_EXIT_OK) {
    if (!s->quiet) {
      nws__serve_welcome(s);
    }
    nws__serve_drop_listeners(s); /* the server holds them */
    uv_run(&s->uv, UV_RUN_DEFAULT);
    nws_loop_free(s->loop);
    uv_run(&s->uv, UV_RUN_DEFAULT); /* its handles close only then */
    uv_loop_close(&s->uv);
  }
  nws__cli_deflate_free(&s->deflate);
  nws_tls_drop(s->tls.tls);
  free(s->page);
  return rc;
}

static void set_defaults(server *s, const char *command) {
  s->command = command;
  s->port = 8080;
  s->policy.size = sizeof(s->policy);
  s->policy.origins = s->origins;
  s->policy.subprotocols = s->subprotocols;
  s->conn.size = sizeof(s->conn);
  s->options.size = sizeof(s->options);
  s->options.handler = &s->handler;
  s->nobody.server = s;
  s->options.user = &s->nobody;
  s->options.policy = &s->policy;
  s->options.conn = &s->conn;
  s->options.stopped = on_stopped;
  s->options.trouble = on_trouble;
}

int nws__cli_serve(int argc, char **argv) {
  static server state;
  server *s = &state;
  set_defaults(s, argv[0]);
  s->program = argv[-1]; /* main() passes what stands behind it */
  int code = nws__serve_options(s, argc, argv);
  if (code != CLI_GO_ON) {
    return code;
  }
  if (!s->mode) {
    s->mode = &nws__serve_echo;
  }
  return run(s);
}
