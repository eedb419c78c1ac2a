/* cmd_serve.c - `nws serve`: a server to talk to, that says everything back.
 *
 * For trying out clients, proxies and browsers: an echo on every path, and a
 * page at / to do it by hand.
 */
#include <stdlib.h>
#include <string.h>
#include "cli.h"

#define MAX_NAMES 32
/* Queued bytes beyond the largest message that a slow reader may cost. */
#define QUEUE_ROOM ((size_t)16 << 20)
#define SIGNALS 3

enum {
  OPTION_PORT = 256,
  OPTION_ECHO,
  OPTION_ORIGIN,
  OPTION_DEFLATE,
  OPTION_MAX_MESSAGE
};

typedef struct server server;

/* What is remembered of an open connection, for the log: the system forgets an
 * address when the other end is gone. */
typedef struct guest {
  server *server;
  uint64_t number;
  char address[64];
} guest;

struct server {
  const char *program; /* as the user called it, so that it can be repeated */
  const char *command;
  nws_server_options options;
  nws_server_policy policy;
  cli_deflate deflate;
  cli_tls tls;
  nws_conn_config conn;
  nws_handler handler;
  nws_str origins[MAX_NAMES];
  nws_str subprotocols[MAX_NAMES];
  char address[CLI_ADDRESS_MAX]; /* without brackets */
  uint64_t port;
  int quiet;
  int verbose;
  char *page;
  size_t page_len;
  uint64_t peers; /* connections opened so far, to number them */
  int interrupts;
  uv_loop_t uv;
  uv_signal_t signals[SIGNALS];
  nws_loop *loop;
  nws_server *running; /* NULL once stopped */
  guest nobody;        /* whom a peer has until its request has been read */
};

/* --- The log --- */

static void log_guest(const guest *g) {
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

static void log_target(const nws_server_handshake *request) {
  const nws_http_head *head = &request->head;
  nws__cli_put_text(stderr, head->method.ptr, head->method.len, CLI_TEXT_PLAIN);
  fputc(' ', stderr);
  nws__cli_put_text(stderr, head->target.ptr, head->target.len, CLI_TEXT_PLAIN);
}

/* --- Refusals --- */

/* Refuses, and gives up whom even that cannot be told. The body says what was
 * wrong and where that is written, for the person at the other end.
 * `status` 0 takes it from the error. */
static void refuse(nws_peer *peer, const nws_http_head *head, int error,
                   unsigned status) {
  char body[256];
  const nws_error_info *info = nws_error_get(error);
  const int rule = info->rule[0] != '\0';
  int len = snprintf(body, sizeof(body), "%s%s%s%s\n", info->text,
                     rule ? " (" : "", info->rule, rule ? ")" : "");
  if (nws_str_equal(head->method, nws_str_of("HEAD"))) {
    len = 0; /* RFC 9110 9.3.2: no content */
  }
  nws_rejection why = {.size = sizeof(why),
                       .status = status,
                       .error = error,
                       .body = nws_str_make(body, (size_t)len)};
  if (nws_peer_respond(peer, &why) != NWS_OK) {
    nws_peer_abort(peer);
  }
}

/* --- WebSockets --- */

static void on_request(nws_peer *peer, const nws_server_handshake *request) {
  server *s = ((guest *)nws_peer_user(peer))->server;
  guest *g = calloc(1, sizeof(*g));
  if (!g) {
    refuse(peer, &request->head, NWS_ERROR_MEMORY, 503);
    return;
  }
  g->server = s;
  g->number = ++s->peers;
  nws_peer_address(peer, g->address, sizeof(g->address));
  nws_peer_set_user(peer, g);
  if (s->verbose) {
    log_guest(g);
    log_target(request);
    if (request->origin.ptr) {
      fputs(" from ", stderr);
      nws__cli_put_text(stderr, request->origin.ptr, request->origin.len,
                        CLI_TEXT_PLAIN);
    }
    log_tls(peer);
    fputc('\n', stderr);
  }
  int rc = nws_peer_accept(peer, NULL);
  if (rc != NWS_OK) {
    nws__cli_say("cannot accept %s: %s", g->address, nws_net_text(rc));
    refuse(peer, &request->head, rc, 503);
  }
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  guest *g = nws_peer_user(peer);
  int rc = nws_peer_send(peer, opcode, data, len);
  if (g->server->verbose) {
    log_guest(g);
    fprintf(stderr, "%s, %zu bytes\n",
            nws_conn_opcode_name(nws_peer_conn(peer), opcode), len);
  }
  if (rc == NWS_OK || rc == NWS_ERROR_STATE) {
    return;
  }
  nws__cli_say("cannot answer %s: %s", g->address, nws_net_text(rc));
  nws_peer_close(peer, NWS_CLOSE_INTERNAL_ERROR, nws_str_make("", 0));
}

static void log_closed(const guest *g, const nws_closed *how) {
  log_guest(g);
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

static void on_closed(nws_peer *peer, const nws_closed *how) {
  guest *g = nws_peer_user(peer);
  if (g == &g->server->nobody) {
    return;
  }
  if (g->server->verbose) {
    log_closed(g, how);
  }
  free(g);
}

/* --- Plain HTTP --- */

/* Says whether this is a request of the simple kind: a good GET, and no attempt
 * at a WebSocket. What is wrong with a request as HTTP, Host for one (RFC 9112
 * 3.2), is found before the absence of Upgrade. */
static int plain_get(const nws_server_handshake *request, int error) {
  const nws_http_head *head = &request->head;
  return error == NWS_ERROR_UPGRADE &&
         nws_header_find(head->headers, head->count, nws_str_of("Upgrade"),
                         0) == head->count;
}

static int is_root(nws_str target) {
  return target.len > 0 && target.ptr[0] == '/' &&
         (target.len == 1 || target.ptr[1] == '?');
}

static int send_page(const server *s, nws_peer *peer) {
  const nws_header headers[] = {
      {nws_str_of("Content-Type"), nws_str_of("text/html; charset=utf-8")},
      {nws_str_of("Content-Security-Policy"),
       nws_str_of("default-src 'none'; style-src 'unsafe-inline'; "
                  "script-src 'unsafe-inline'; connect-src 'self' ws: wss:; "
                  "img-src data:; base-uri 'none'; form-action 'none'; "
                  "frame-ancestors 'none'")},
      {nws_str_of("X-Content-Type-Options"), nws_str_of("nosniff")},
      {nws_str_of("Cache-Control"), nws_str_of("no-store")},
  };
  nws_rejection page = {.size = sizeof(page),
                        .status = 200,
                        .headers = headers,
                        .header_count = sizeof(headers) / sizeof(headers[0]),
                        .body = nws_str_make(s->page, s->page_len)};
  return nws_peer_respond(peer, &page);
}

static int send_directions(nws_peer *peer) {
  nws_rejection answer = {
      .size = sizeof(answer),
      .status = 404,
      .body = nws_str_of("Here is the page at /, and a WebSocket echo on "
                         "every path.\n")};
  return nws_peer_respond(peer, &answer);
}

static void on_http(nws_peer *peer, const nws_server_handshake *request,
                    int error) {
  const server *s = ((guest *)nws_peer_user(peer))->server;
  const int plain = plain_get(request, error);
  if (s->verbose) {
    fputs("http: ", stderr);
    log_target(request);
    fprintf(stderr, "%s%s\n", plain ? "" : ": ",
            plain ? "" : nws_error_text(error));
  }
  if (!plain) {
    refuse(peer, &request->head, error, 0);
    return;
  }
  int rc = is_root(request->head.target) ? send_page(s, peer)
                                         : send_directions(peer);
  if (rc != NWS_OK) {
    nws_peer_abort(peer);
  }
}

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

/* The page's pieces as one. */
static int join_page(server *s) {
  size_t len = 0;
  for (size_t i = 0; nws__cli_page[i]; i++) {
    len += strlen(nws__cli_page[i]);
  }
  s->page = malloc(len + 1);
  if (!s->page) {
    return 0;
  }
  for (size_t i = 0; nws__cli_page[i]; i++) {
    size_t part = strlen(nws__cli_page[i]);
    memcpy(s->page + s->page_len, nws__cli_page[i], part);
    s->page_len += part;
  }
  return 1;
}

/* --- Life --- */

static void on_signal(uv_signal_t *handle, int number) {
  server *s = handle->data;
  (void)number;
  if (!s->running) {
    return;
  }
  s->interrupts++;
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
  for (size_t i = 0; i < SIGNALS; i++) {
    uv_close((uv_handle_t *)&s->signals[i], NULL);
  }
}

/* SIGHUP stays what it is, the end, where there are no files to read again. */
static int catch_signals(server *s) {
  static const struct {
    int number;
    uv_signal_cb call;
  } ours[SIGNALS] = {
      {SIGINT, on_signal}, {SIGTERM, on_signal}, {SIGHUP, on_hangup}};
  for (size_t i = 0; i < SIGNALS; i++) {
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
  nws__cli_tls_name(&s->tls, s->address);
  if (nws__cli_deflate_start(&s->deflate) != NWS_OK ||
      nws__cli_tls_start(&s->tls) != CLI_EXIT_OK) {
    return CLI_EXIT_USAGE;
  }
  s->options.tls = s->tls.tls;
  s->policy.extensions = s->deflate.list;
  s->policy.extension_count = s->deflate.count;
  int rc = uv_loop_init(&s->uv);
  if (rc == 0) {
    rc = nws_loop_new(&s->uv, &s->loop);
  }
  if (rc != 0 || !join_page(s)) {
    nws__cli_say("cannot start: %s",
                 nws_net_text(rc != 0 ? rc : NWS_ERROR_MEMORY));
    return CLI_EXIT_USAGE;
  }
  rc = nws_server_start(s->loop, &s->options, &s->running);
  if (rc != NWS_OK) {
    return nws__cli_cannot_listen(s->address, (unsigned)s->port, rc);
  }
  rc = catch_signals(s);
  if (rc == 0) {
    return CLI_EXIT_OK;
  }
  nws__cli_say("cannot catch signals: %s", nws_net_text(rc));
  return CLI_EXIT_USAGE;
}

static int run(server *s) {
  s->handler = (nws_handler){.size = sizeof(s->handler),
                             .request = on_request,
                             .http = on_http,
                             .message = on_message,
                             .closed = on_closed};
  s->options.address = s->address;
  s->options.port = (uint16_t)s->port;
  uint64_t max = s->conn.max_message;
  s->options.limits.max_queue =
      max > SIZE_MAX - QUEUE_ROOM ? SIZE_MAX : (size_t)max + QUEUE_ROOM;
  int rc = start(s);
  if (rc == CLI_EXIT_OK) {
    if (!s->quiet) {
      nws__cli_put_welcome(s->program, s->address, nws_server_port(s->running),
                           &s->tls);
    }
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

/* --- Options --- */

static int read_port(server *s, const char *arg) {
  if (nws__cli_read_number(arg, UINT16_MAX, &s->port)) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(s->command, "'%s' is no port; 0 to 65535 are", arg);
}

static int read_origins(server *s, const char *arg) {
  if (strcmp(arg, "any") == 0 || strcmp(arg, "same-host") == 0) {
    s->policy.origin = *arg == 'a' ? NWS_ORIGIN_ANY : NWS_ORIGIN_SAME_HOST;
    return CLI_EXIT_OK;
  }
  static const char wanted[] = "--origin wants same-host, any, or origins such "
                               "as https://example.org";
  nws_str rest = nws_str_of(arg);
  nws_str origin;
  int found = 0;
  s->policy.origin = NWS_ORIGIN_LIST;
  while (nws_list_next(&rest, &origin)) {
    found = 1;
    if (!nws__cli_is_origin(origin)) {
      return nws__cli_misuse(s->command, "'%.*s' is no origin; %s",
                             (int)origin.len, origin.ptr, wanted);
    }
    if (s->policy.origin_count == MAX_NAMES) {
      return nws__cli_misuse(s->command, "more than %d origins", MAX_NAMES);
    }
    s->origins[s->policy.origin_count++] = origin;
  }
  return found ? CLI_EXIT_OK : nws__cli_misuse(s->command, "%s", wanted);
}

static int read_subprotocol(server *s, const char *arg) {
  if (!nws_http_token_valid(nws_str_of(arg))) {
    return nws__cli_misuse(s->command, "'%s' cannot name a subprotocol", arg);
  }
  if (s->policy.subprotocol_count == MAX_NAMES) {
    return nws__cli_misuse(s->command, "more than %d subprotocols", MAX_NAMES);
  }
  s->subprotocols[s->policy.subprotocol_count++] = nws_str_of(arg);
  return CLI_EXIT_OK;
}

static int read_max_message(server *s, const char *arg) {
  if (nws__cli_read_size(arg, &s->conn.max_message)) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(s->command, "'%s' is no number of bytes, such as 64K",
                         arg);
}

static int take_option(void *state, int option, const char *arg) {
  server *s = state;
  switch (option) {
  case 'l':
    return nws__cli_read_listen(s->command, arg, s->address, &s->port);
  case 'p':
    return read_port(s, arg);
  case OPTION_ECHO:
    return CLI_EXIT_OK;
  case 'o':
    return read_origins(s, arg);
  case 's':
    return read_subprotocol(s, arg);
  case OPTION_DEFLATE:
    return nws__cli_deflate_read(&s->deflate, s->command, arg);
  case OPTION_MAX_MESSAGE:
    return read_max_message(s, arg);
  case 'q':
    s->quiet = 1;
    return CLI_EXIT_OK;
  case 'v':
    s->verbose = 1;
    return CLI_EXIT_OK;
  default: {
    int code = nws__cli_tls_option(&s->tls, option, arg);
    return code == CLI_GO_ON ? CLI_EXIT_USAGE : code;
  }
  }
}

static void set_defaults(server *s, const char *command) {
  s->command = command;
  s->port = 8080;
  memcpy(s->address, "127.0.0.1", sizeof("127.0.0.1"));
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
  static const struct option longs[] = {
      {"help", no_argument, NULL, 'h'},
      {"listen", required_argument, NULL, 'l'},
      {"port", required_argument, NULL, 'p'},
      {"echo", no_argument, NULL, OPTION_ECHO},
      {"origin", required_argument, NULL, 'o'},
      {"subprotocol", required_argument, NULL, 's'},
      {"deflate", optional_argument, NULL, OPTION_DEFLATE},
      {"max-message", required_argument, NULL, OPTION_MAX_MESSAGE},
      {"cert", required_argument, NULL, CLI_TLS_CERT},
      {"key", required_argument, NULL, CLI_TLS_KEY},
      {"self-signed", optional_argument, NULL, CLI_TLS_SELF_SIGNED},
      {"client-ca", required_argument, NULL, CLI_TLS_CLIENT_CA},
      {"quiet", no_argument, NULL, 'q'},
      {"verbose", no_argument, NULL, 'v'},
      {NULL, 0, NULL, 0}};
  static server state;
  server *s = &state;
  set_defaults(s, argv[0]);
  s->program = argv[-1]; /* main() passes what stands behind it */
  int code =
      nws__cli_options(argc, argv, ":hl:p:o:s:qv", longs, take_option, s);
  if (code != CLI_GO_ON) {
    return code;
  }
  if (optind < argc) {
    return nws__cli_misuse(s->command, "what is '%s'?", argv[optind]);
  }
  if (s->quiet && s->verbose) {
    return nws__cli_misuse(s->command,
                           "--quiet and --verbose exclude each other; give "
                           "one");
  }
  code = nws__cli_tls_check_server(&s->tls, s->command);
  return code == CLI_EXIT_OK ? run(s) : code;
}
