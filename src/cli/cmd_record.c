/* cmd_record.c - `nws record`: stands between a program and a server, passes
 * on what each says to the other, and writes it down.
 *
 * So the session of any program can be recorded: it only has to be told another
 * address. One session makes a recording, the first; then the command ends.
 * Both connections are ours, with pings of their own; what is recorded are
 * messages, and how each side ended.
 */
#include <errno.h>
#include <string.h>
#include "session.h"

/* Queued bytes beyond which the other side is not read from. */
#define HIGH_WATER ((size_t)1 << 20)

enum { OPTION_ANY_ORIGIN = 256, OPTION_MAX_MESSAGE };

typedef struct recorder {
  cli_client client; /* first: the connection to the server */
  char address[CLI_ADDRESS_MAX];
  uint64_t port;
  nws_server_policy policy;
  nws_handler handler; /* of the program's connection */
  nws_server *server;
  nws_peer *program; /* NULL: none yet, or no more */
  const char *name;
  FILE *out;
  uint64_t opened_at;
  uint64_t count; /* messages */
  int taken;      /* there has been a program */
  int ended[2];   /* the end of what the server, the client says is recorded */
} recorder;

/* --- The recording --- */

static void fail(recorder *r, const char *what) {
  nws__cli_say("cannot %s %s: %s", what, r->name, strerror(errno));
  r->client.exit_code = CLI_EXIT_USAGE;
}

static void stop(recorder *r);

static void put(recorder *r, session_entry *e) {
  if (!r->client.open || r->ended[e->from_client] ||
      r->client.exit_code == CLI_EXIT_USAGE) {
    return;
  }
  e->ns = uv_hrtime() - r->opened_at;
  r->ended[e->from_client] = e->type >= SESSION_CLOSE;
  nws__cli_session_put(r->out, e);
  if (fflush(r->out) != 0) {
    fail(r, "write");
    stop(r);
  }
}

static void put_lost(recorder *r, int from_client, int error) {
  const char *why = nws_net_text(error);
  session_entry e = {.from_client = from_client,
                     .type = SESSION_LOST,
                     .data = (char *)why, /* only read from */
                     .len = strlen(why)};
  if (error != NWS_OK) {
    put(r, &e);
  }
}

/* --- Passing on --- */

/* Closes one side as the other was; with `otherwise` if that cannot be said. */
static void close_as(nws_peer *peer, unsigned code, nws_str reason,
                     unsigned otherwise) {
  if (code == NWS_CLOSE_NO_STATUS) {
    code = 0;
  }
  if (peer && nws_peer_close(peer, code, reason) != NWS_OK) {
    nws_peer_close(peer, otherwise, nws_str_make("", 0));
  }
}

/* Closes are passed on, and answered when the other side has answered: what it
 * says before that has to go by still. */
static void pass_close(recorder *r, int from_client, nws_peer *to,
                       const nws_event *event) {
  if (event->type != NWS_EVENT_CLOSE) {
    return;
  }
  session_entry e = {.from_client = from_client,
                     .type = SESSION_CLOSE,
                     .code = event->code,
                     .data = (char *)event->data,
                     .len = event->len};
  put(r, &e);
  close_as(to, event->code, nws_str_make((const char *)event->data, event->len),
           NWS_CLOSE_GOING_AWAY);
}

static void on_program_control(nws_peer *peer, const nws_event *event) {
  recorder *r = nws_peer_user(peer);
  if (peer == r->program) {
    pass_close(r, 1, r->client.peer, event);
  }
}

static void on_control(nws_peer *peer, const nws_event *event) {
  recorder *r = nws_peer_user(peer);
  pass_close(r, 0, r->program, event);
}

static void pass(recorder *r, nws_peer *from, nws_peer *to, unsigned opcode,
                 uint8_t *data, size_t len) {
  session_entry e = {.from_client = from == r->program,
                     .type = opcode == NWS_OPCODE_TEXT ? SESSION_TEXT
                                                       : SESSION_BINARY,
                     .data = (char *)data,
                     .len = len};
  put(r, &e);
  r->count++;
  if (!to) {
    return;
  }
  nws_peer_send(to, opcode, data, len); /* else it is about to end */
  if (nws_peer_queued(to) > HIGH_WATER) {
    nws_peer_pause(from);
  }
}

static void on_program_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                               size_t len) {
  recorder *r = nws_peer_user(peer);
  pass(r, peer, r->client.peer, opcode, data, len);
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  recorder *r = nws_peer_user(peer);
  pass(r, peer, r->program, opcode, data, len);
}

static void on_program_drain(nws_peer *peer) {
  recorder *r = nws_peer_user(peer);
  if (r->client.peer) {
    nws_peer_resume(r->client.peer);
  }
}

static void on_drain(nws_peer *peer) {
  recorder *r = nws_peer_user(peer);
  if (r->program) {
    nws_peer_resume(r->program);
  }
}

/* --- The program's handshake --- */

static void refuse(nws_peer *peer, unsigned status, const char *text) {
  nws_rejection why = {.size = sizeof(why),
                       .status = status,
                       .error = NWS_ERROR_STATUS,
                       .body = nws_str_of(text)};
  if (nws_peer_respond(peer, &why) != NWS_OK) {
    nws_peer_abort(peer);
  }
}

/* Headers that are between the program and us: those of the handshake, and of
 * one hop (RFC 9110 7.6.1). */
static int is_ours(nws_str name) {
  static const char *const names[] = {
      "host",    "connection",        "upgrade",        "origin",
      "te",      "transfer-encoding", "content-length", "keep-alive",
      "trailer", "proxy-connection",  "expect",         "proxy-authorization"};
  static const char prefix[] = "sec-websocket-";
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (nws_str_equal_nocase(name, nws_str_of(names[i]))) {
      return 1;
    }
  }
  const size_t len = sizeof(prefix) - 1;
  return name.len > len &&
         nws_str_equal_nocase(nws_str_make(name.ptr, len), nws_str_of(prefix));
}

static int offer_subprotocols(cli_client *c, nws_str list) {
  nws_str name;
  while (nws_list_next(&list, &name)) {
    if (c->offer.subprotocol_count == CLI_MAX_SUBPROTOCOLS) {
      return 0;
    }
    c->subprotocols[c->offer.subprotocol_count++] = name;
  }
  return 1;
}

/* Asks the server what the program asks us. The user's headers come instead of
 * the program's. Returns 0 when there are too many. */
static int copy_request(recorder *r, const nws_server_handshake *request) {
  cli_client *c = &r->client;
  const size_t own = c->offer.header_count;
  if (!c->offer.origin.ptr) {
    c->offer.origin = request->origin;
  }
  for (size_t i = 0; i < request->head.count; i++) {
    const nws_header *h = &request->head.headers[i];
    if (nws_str_equal_nocase(h->name, nws_str_of("Sec-WebSocket-Protocol")) &&
        !offer_subprotocols(c, h->value)) {
      return 0;
    }
    if (is_ours(h->name) ||
        nws_header_find(c->headers, own, h->name, 0) < own) {
      continue;
    }
    if (c->offer.header_count == CLI_MAX_HEADERS) {
      return 0;
    }
    c->headers[c->offer.header_count++] = *h;
  }
  return 1;
}

static void on_request(nws_peer *peer, const nws_server_handshake *request) {
  recorder *r = nws_peer_user(peer);
  if (r->taken) {
    refuse(peer, 503, "A session is being recorded, and one is all.\n");
    return;
  }
  r->taken = 1;
  r->program = peer;
  if (!copy_request(r, request)) {
    refuse(peer, 431, "Too many headers to pass on.\n");
    r->client.exit_code = CLI_EXIT_USAGE;
    nws__cli_say("the program sends too many headers");
    return;
  }
  if (nws__cli_client_connect(&r->client) != CLI_EXIT_OK) {
    refuse(peer, 502, "Cannot connect to the server.\n");
    r->client.exit_code = CLI_EXIT_USAGE;
  }
}

static void on_program_closed(nws_peer *peer, const nws_closed *how) {
  recorder *r = nws_peer_user(peer);
  if (peer != r->program) {
    return;
  }
  r->program = NULL;
  put_lost(r, 1, how->error);
  close_as(r->client.peer, NWS_CLOSE_GOING_AWAY, nws_str_make("", 0), 0);
  stop(r);
}

/* --- The server's side --- */

static void on_open(nws_peer *peer) {
  recorder *r = nws_peer_user(peer);
  nws_str subprotocol = nws_peer_subprotocol(peer);
  nws_acceptance how = {.size = sizeof(how), .subprotocol = subprotocol};
  if (!subprotocol.ptr) {
    how.subprotocol = nws_str_make("", 0);
  }
  nws__cli_client_opened(&r->client);
  r->opened_at = uv_hrtime();
  nws__cli_session_begin(r->out, r->client.options.url, subprotocol);
  if (r->program && nws_peer_accept(r->program, &how) != NWS_OK) {
    nws_peer_abort(r->program);
  }
}

/* Gives the program the server's refusal, or says that there is none. */
static void answer_unopened(recorder *r, const nws_closed *how) {
  nws_rejection why = {
      .size = sizeof(why), .status = 502, .error = NWS_ERROR_STATUS};
  if (how->response && how->response->status >= 200) {
    why.status = how->response->status;
    why.body = how->body;
  }
  if (nws_peer_respond(r->program, &why) != NWS_OK) {
    nws_peer_abort(r->program);
  }
}

static void report(recorder *r, const nws_closed *how) {
  int code = CLI_EXIT_LOST;
  if (r->client.exit_code == CLI_EXIT_USAGE) {
    return; /* we have dropped it, and said why */
  }
  r->client.closing |= r->ended[1];
  if (how->opened || r->program) {
    code = nws__cli_client_report(&r->client, how);
  } else {
    nws__cli_say("the program went away before the server answered");
  }
  if (r->client.exit_code == CLI_EXIT_OK) {
    r->client.exit_code = code;
  }
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  recorder *r = nws_peer_user(peer);
  report(r, how);
  put_lost(r, 0, how->error);
  r->client.peer = NULL;
  if (r->program && !how->opened) {
    answer_unopened(r, how);
  } else {
    close_as(r->program, NWS_CLOSE_INTERNAL_ERROR, nws_str_make("", 0), 0);
  }
  stop(r);
}

/* --- Life --- */

/* Takes no more programs, and lets the loop end when the connections have. */
static void stop(recorder *r) {
  if (r->client.exit_code == CLI_EXIT_USAGE && r->client.peer) {
    nws_peer_abort(r->client.peer);
  }
  if (r->server) {
    nws_server *server = r->server;
    r->server = NULL;
    nws_server_stop(server, NWS_CLOSE_GOING_AWAY);
  }
}

static void on_interrupt(cli_client *client) {
  recorder *r = (recorder *)client;
  r->ended[0] = r->ended[1] = 1; /* by neither of the two */
  nws__cli_client_close(client, NWS_CLOSE_GOING_AWAY, nws_str_make("", 0));
  stop(r);
}

static int listen_there(recorder *r) {
  nws_server_options options = {.size = sizeof(options)};
  r->policy.size = sizeof(r->policy);
  r->handler.size = sizeof(r->handler);
  r->handler.request = on_request;
  r->handler.message = on_program_message;
  r->handler.control = on_program_control;
  r->handler.drain = on_program_drain;
  r->handler.closed = on_program_closed;
  options.handler = &r->handler;
  options.user = r;
  options.address = r->address;
  options.port = (uint16_t)r->port;
  options.policy = &r->policy;
  options.conn = &r->client.conn;
  options.limits = r->client.options.limits;
  int rc = nws_server_start(r->client.loop, &options, &r->server);
  if (rc != NWS_OK) {
    return nws__cli_cannot_listen(r->address, (unsigned)r->port, rc);
  }
  int v6 = strchr(r->address, ':') != NULL;
  fprintf(stderr, "Listening: connect to ws://%s%s%s:%u/ to record.\n",
          v6 ? "[" : "", r->address, v6 ? "]" : "",
          (unsigned)nws_server_port(r->server));
  return CLI_EXIT_OK;
}

static void set_handlers(recorder *r) {
  cli_client *c = &r->client;
  c->handler.open = on_open;
  c->handler.message = on_message;
  c->handler.control = on_control;
  c->handler.drain = on_drain;
  c->handler.closed = on_closed;
  c->interrupted = on_interrupt;
  c->conn.deliver_in_closing = 1;
  c->conn.manual_close = 1;
  c->options.limits.high_water = HIGH_WATER;
  c->options.limits.max_queue = SIZE_MAX;
}

static int run(recorder *r) {
  set_handlers(r);
  r->out = strcmp(r->name, "-") == 0 ? stdout : fopen(r->name, "w");
  if (!r->out) {
    fail(r, "write");
    return CLI_EXIT_USAGE;
  }
  int code = nws__cli_client_prepare(&r->client);
  if (code == CLI_EXIT_OK) {
    code = listen_there(r);
  }
  if (code == CLI_EXIT_OK) {
    code = nws__cli_client_run(&r->client);
  }
  if (r->client.open) {
    fprintf(stderr, "Recorded %llu message%s.\n", (unsigned long long)r->count,
            r->count == 1 ? "" : "s");
  }
  if (r->out != stdout && fclose(r->out) != 0 && code == CLI_EXIT_OK) {
    fail(r, "write");
    code = CLI_EXIT_USAGE;
  }
  return code;
}

/* --- Options --- */

static int take_option(void *state, int option, const char *arg) {
  recorder *r = state;
  const char *command = r->client.command;
  switch (option) {
  case 'l':
    return nws__cli_read_listen(command, arg, r->address, &r->port);
  case 'p':
    return nws__cli_read_number(arg, UINT16_MAX, &r->port)
               ? CLI_EXIT_OK
               : nws__cli_misuse(command, "'%s' is no port; 0 to 65535 are",
                                 arg);
  case OPTION_ANY_ORIGIN:
    r->policy.origin = NWS_ORIGIN_ANY;
    return CLI_EXIT_OK;
  case OPTION_MAX_MESSAGE:
    return nws__cli_read_size(arg, &r->client.conn.max_message)
               ? CLI_EXIT_OK
               : nws__cli_misuse(
                     command, "'%s' is no number of bytes, such as 64K", arg);
  default:
    return nws__cli_client_option(&r->client, option, arg);
  }
}

int nws__cli_record(int argc, char **argv) {
  static const struct option longs[] = {
      CLI_CONNECTING_LONGS,
      {"listen", required_argument, NULL, 'l'},
      {"port", required_argument, NULL, 'p'},
      {"any-origin", no_argument, NULL, OPTION_ANY_ORIGIN},
      {"max-message", required_argument, NULL, OPTION_MAX_MESSAGE},
      {NULL, 0, NULL, 0}};
  static recorder state = {.address = "127.0.0.1", .port = 9000};
  recorder *r = &state;
  const char *files[2] = {NULL, NULL};
  nws__cli_client_init(&r->client, argv[0]);
  int code =
      nws__cli_options(argc, argv, ":hvkH:o:t:l:p:", longs, take_option, r);
  if (code == CLI_GO_ON) {
    code = nws__cli_two_words(argc, argv, "URL FILE", files);
  }
  if (code == CLI_GO_ON) {
    code = nws__cli_client_url(&r->client, files[0]);
  }
  r->name = files[1];
  return code == CLI_GO_ON ? run(r) : code;
}
