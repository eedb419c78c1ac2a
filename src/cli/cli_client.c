/* cli_client.c - what connect and ping share: the options of a client, the run
 * of its loop, Ctrl-C, and the one place that turns the way a connection ended
 * into words and an exit code.
 */
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "cli.h"

#define MAX_BODY_SHOWN 1024

void nws__cli_client_init(cli_client *client, const char *command) {
  memset(client, 0, sizeof(*client));
  client->command = command;
  client->handler.size = sizeof(client->handler);
  client->conn.size = sizeof(client->conn);
  client->offer.size = sizeof(client->offer);
  client->offer.headers = client->headers;
  client->offer.subprotocols = client->subprotocols;
  client->options.size = sizeof(client->options);
  client->options.handler = &client->handler;
  client->options.user = client;
  client->options.offer = &client->offer;
  client->options.conn = &client->conn;
  client->exit_code = CLI_EXIT_OK;
}

/* --- Options --- */

static nws_str trim(nws_str text) {
  while (text.len && (*text.ptr == ' ' || *text.ptr == '\t')) {
    text.ptr++;
    text.len--;
  }
  while (text.len &&
         (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
    text.len--;
  }
  return text;
}

static int no_randomness(void *user, void *out, size_t len) {
  (void)user;
  memset(out, 0, len);
  return 0;
}

/* Lets the library judge the offer so far: what it has against it is the fault
 * of the option that was taken last, which can so be named. */
static int judge(const cli_client *client) {
  const nws_random random = {no_randomness, NULL};
  nws_header headers[CLI_MAX_HEADERS + 16];
  nws_client_handshake scratch;
  nws_client_offer offer = client->offer;
  nws_uri uri;
  size_t count;
  nws_uri_parse(&uri, "ws://a/", 7, NULL);
  offer.uri = &uri;
  return nws_client_handshake_start_headers(
      &scratch, &offer, &random, headers, sizeof(headers) / sizeof(headers[0]),
      &count);
}

static int judge_header(const cli_client *client, nws_str name) {
  int rc = judge(client);
  const char *instead = "";
  if (rc == NWS_OK) {
    return CLI_EXIT_OK;
  }
  if (rc != NWS_ERROR_HEADER_RESERVED) {
    return nws__cli_misuse(client->command, "--header '%.*s': %s",
                           (int)name.len, name.ptr, nws_error_text(rc));
  }
  if (nws_str_equal_nocase(name, nws_str_of("Origin"))) {
    instead = "; use --origin";
  }
  if (nws_str_equal_nocase(name, nws_str_of("Sec-WebSocket-Protocol"))) {
    instead = "; use --subprotocol";
  }
  return nws__cli_misuse(client->command,
                         "the handshake sets '%.*s' itself, --header cannot%s",
                         (int)name.len, name.ptr, instead);
}

/* Complaints about headers never repeat a value: it may be a secret. */
static int add_header(cli_client *client, const char *arg) {
  const char *colon = strchr(arg, ':');
  if (!colon) {
    return nws__cli_misuse(client->command, "--header wants 'Name: value'");
  }
  nws_header header;
  header.name = nws_str_make(arg, (size_t)(colon - arg));
  header.value = trim(nws_str_of(colon + 1));
  if (!nws_http_token_valid(header.name)) {
    return nws__cli_misuse(client->command,
                           "the name of a --header is no token");
  }
  if (!nws_http_value_valid(header.value)) {
    return nws__cli_misuse(
        client->command, "the value of --header '%.*s' has a control character",
        (int)header.name.len, header.name.ptr);
  }
  if (client->offer.header_count == CLI_MAX_HEADERS) {
    return nws__cli_misuse(client->command, "more than %d headers",
                           CLI_MAX_HEADERS);
  }
  if (client->auth[0] &&
      nws_str_equal_nocase(header.name, nws_str_of("Authorization"))) {
    return nws__cli_misuse(client->command, "one Authorization only");
  }
  client->headers[client->offer.header_count++] = header;
  return judge_header(client, header.name);
}

static int add_auth(cli_client *client, int basic, const char *arg) {
  static const char name[] = "Authorization";
  for (size_t i = 0; i < client->offer.header_count; i++) {
    if (nws_str_equal_nocase(client->headers[i].name, nws_str_of(name))) {
      return nws__cli_misuse(client->command, "one Authorization only");
    }
  }
  if (client->offer.header_count == CLI_MAX_HEADERS) {
    return nws__cli_misuse(client->command, "more than %d headers",
                           CLI_MAX_HEADERS);
  }
  int code = nws__cli_authorize(client->command, basic, arg, client->auth);
  if (code == CLI_EXIT_OK) {
    client->headers[client->offer.header_count++] =
        (nws_header){nws_str_of(name), nws_str_of(client->auth)};
  }
  return code;
}

static int add_subprotocol(cli_client *client, const char *arg) {
  nws_str name = nws_str_of(arg);
  if (!nws_http_token_valid(name)) {
    return nws__cli_misuse(client->command, "'%s' cannot name a subprotocol",
                           arg);
  }
  for (size_t i = 0; i < client->offer.subprotocol_count; i++) {
    if (nws_str_equal(client->subprotocols[i], name)) {
      return nws__cli_misuse(client->command,
                             "subprotocol '%s' is offered twice", arg);
    }
  }
  if (client->offer.subprotocol_count == CLI_MAX_SUBPROTOCOLS) {
    return nws__cli_misuse(client->command, "more than %d subprotocols",
                           CLI_MAX_SUBPROTOCOLS);
  }
  client->subprotocols[client->offer.subprotocol_count++] = name;
  int rc = judge(client);
  return rc == NWS_OK ? CLI_EXIT_OK
                      : nws__cli_misuse(client->command, "subprotocol '%s': %s",
                                        arg, nws_error_text(rc));
}

static int set_origin(cli_client *client, const char *arg) {
  client->offer.origin = nws_str_of(arg);
  if (!*arg) {
    return nws__cli_misuse(client->command,
                           "--origin is empty; leave it out to send none");
  }
  return judge(client) == NWS_OK
             ? CLI_EXIT_OK
             : nws__cli_misuse(client->command,
                               "--origin wants one such as "
                               "https://example.org, without blanks");
}

/* One limit for both handshakes; 0 is none. */
static int set_timeout(cli_client *client, const char *arg) {
  uint32_t ms;
  if (!nws__cli_read_seconds(arg, UINT32_MAX - 1, &ms)) {
    return nws__cli_misuse(client->command,
                           "'%s' is no number of seconds, such as 2.5", arg);
  }
  client->timeout_ms = ms;
  client->options.limits.handshake_timeout_ms = ms ? ms : UINT32_MAX;
  client->conn.close_timeout_ms = ms ? ms : UINT32_MAX;
  return CLI_EXIT_OK;
}

int nws__cli_client_option(cli_client *client, int option, const char *arg) {
  switch (option) {
  case 'v':
    client->verbose = 1;
    return CLI_EXIT_OK;
  case 'H':
    return add_header(client, arg);
  case 's':
    return add_subprotocol(client, arg);
  case 'o':
    return set_origin(client, arg);
  case 't':
    return set_timeout(client, arg);
  case CLI_AUTH:
  case CLI_BEARER:
    return add_auth(client, option == CLI_AUTH, arg);
  default:
    return nws__cli_tls_option(&client->tls, option, arg);
  }
}

static int bad_url(const cli_client *client, const char *url, int error,
                   size_t at) {
  const char *command = client->command;
  const int https = strncasecmp(url, "https:", 6) == 0;
  if (https || strncasecmp(url, "http:", 5) == 0) {
    return nws__cli_misuse(command, "%.*s is for pages; write %s:// instead",
                           (int)strcspn(url, "/"), url, https ? "wss" : "ws");
  }
  if (error == NWS_ERROR_URI_SCHEME) {
    return nws__cli_misuse(command,
                           "the URL must begin with ws:// or wss://, as in "
                           "ws://localhost:8080/");
  }
  return nws__cli_misuse(command, "the URL is wrong at character %zu: %s",
                         at + 1, nws_error_text(error));
}

/* What is judged here of a URL for a Unix socket is its path; the library reads
 * the rest. */
static const char *visible_url(cli_client *client, const char *url) {
  if (strncmp(url, CLI_UNIX_SCHEME, sizeof(CLI_UNIX_SCHEME) - 1) != 0) {
    return url;
  }
  const char *path = strchr(url + sizeof(CLI_UNIX_SCHEME) - 1, ':');
  snprintf(client->unix_url, sizeof(client->unix_url), "ws://localhost%s",
           path ? path + 1 : "/");
  return client->unix_url;
}

int nws__cli_client_url(cli_client *client, const char *url) {
  size_t at = 0;
  const char *shown = visible_url(client, url);
  int error = nws_uri_parse(&client->uri, shown, strlen(shown), &at);
  if (error != NWS_OK) {
    return bad_url(client, url, error, at);
  }
  if (client->uri.userinfo.ptr) {
    return nws__cli_misuse(client->command,
                           "a user in the URL is not sent; write "
                           "--auth USER:PASSWORD instead");
  }
  client->options.url = url;
  int code = nws__cli_tls_check_client(&client->tls, client->command,
                                       client->uri.secure);
  return code == CLI_EXIT_OK ? CLI_GO_ON : code;
}

int nws__cli_client_options(cli_client *client, int argc, char **argv,
                            const char *shorts, const struct option *longs,
                            cli_take *take) {
  int code = nws__cli_options(argc, argv, shorts, longs, take, client);
  if (code != CLI_GO_ON) {
    return code;
  }
  if (optind == argc) {
    return nws__cli_misuse(client->command, "which URL? (ws://host:port/path)");
  }
  if (optind + 1 < argc) {
    return nws__cli_misuse(client->command,
                           "one URL only; '%s' is one too many",
                           argv[optind + 1]);
  }
  return nws__cli_client_url(client, argv[optind]);
}

/* --- The end --- */

static int report_refused(const cli_client *client, const nws_closed *how) {
  const nws_http_head *head = how->response;
  if (!head) {
    nws__cli_say("the server refused the handshake");
    return CLI_EXIT_HANDSHAKE;
  }
  if (client->verbose) {
    nws__cli_put_response(head);
  }
  fprintf(stderr, "nws: the server refused the handshake: %u ",
          (unsigned)head->status);
  nws__cli_put_text(stderr, head->reason.ptr, head->reason.len, CLI_TEXT_PLAIN);
  fputc('\n', stderr);
  size_t len = how->body.len < MAX_BODY_SHOWN ? how->body.len : MAX_BODY_SHOWN;
  nws__cli_put_text(stderr, how->body.ptr, len, CLI_TEXT_LINES);
  if (len) {
    fputc('\n', stderr);
  }
  nws__cli_tls_hint(client, how);
  return CLI_EXIT_HANDSHAKE;
}

/* Says whether an error is one of the core's, and not of the system's. */
static int of_core(int error) {
  return strcmp(nws_error_get(error)->name, "unknown") != 0;
}

int nws__cli_is_violation(int error) {
  const nws_error_info *info = nws_error_get(error);
  return of_core(error) && info->kind == NWS_ERROR_KIND_PEER &&
         info->close_code && error != NWS_ERROR_EOF &&
         error != NWS_ERROR_PONG_TIMEOUT && error != NWS_ERROR_CLOSE_TIMEOUT;
}

int nws__cli_unopened_code(int error) {
  const nws_error_info *info = nws_error_get(error);
  if (error == NWS_ERROR_STATUS || nws__cli_is_tls(error)) {
    return CLI_EXIT_HANDSHAKE;
  }
  if (of_core(error) && info->kind == NWS_ERROR_KIND_USAGE) {
    return CLI_EXIT_USAGE;
  }
  return of_core(error) && info->kind == NWS_ERROR_KIND_PEER &&
                 error != NWS_ERROR_HANDSHAKE_TIMEOUT
             ? CLI_EXIT_HANDSHAKE
             : CLI_EXIT_CONNECT;
}

static int report_unopened(const cli_client *client, const nws_closed *how) {
  if (how->error == NWS_ERROR_STATUS) {
    return report_refused(client, how);
  }
  if (nws__cli_is_tls(how->error)) {
    return nws__cli_tls_report(client, how);
  }
  const nws_error_info *info = nws_error_get(how->error);
  int code = nws__cli_unopened_code(how->error);
  if (code == CLI_EXIT_USAGE) {
    return nws__cli_misuse(client->command, "%s", info->text);
  }
  if (code == CLI_EXIT_HANDSHAKE) {
    nws__cli_say("the handshake failed: %s%s%s%s", info->text,
                 *info->rule ? " (" : "", info->rule, *info->rule ? ")" : "");
    nws__cli_tls_hint(client, how);
    return CLI_EXIT_HANDSHAKE;
  }
  fputs("nws: cannot connect to ", stderr);
  nws__cli_put_host(stderr, client);
  fprintf(stderr, ": %s\n",
          client->interrupts ? "interrupted" : nws_net_text(how->error));
  nws__cli_tls_hint(client, how);
  return CLI_EXIT_CONNECT;
}

/* What is said unasked begins a line of its own. Where that is not known, a
 * line that is empty does less harm than one that is mixed up. */
static void end_typed_line(const cli_client *client) {
  if (client->typing && client->interrupts == 0) {
    fflush(stdout);
    fputc('\n', stderr);
  }
}

static int report_close(const cli_client *client, const nws_closed *how) {
  int usual = how->code == NWS_CLOSE_NORMAL ||
              how->code == NWS_CLOSE_GOING_AWAY ||
              how->code == NWS_CLOSE_NO_STATUS;
  int ours = client->closing && how->code == how->code_sent;
  if (client->verbose || !(usual || ours)) {
    end_typed_line(client);
    fputs(client->closing ? "nws: closed: " : "nws: closed by the server: ",
          stderr);
    nws__cli_put_close(stderr, how->code, how->reason);
    fputc('\n', stderr);
  }
  return usual || ours ? CLI_EXIT_OK : CLI_EXIT_CLOSED;
}

static int report_lost(const cli_client *client, const nws_closed *how) {
  const nws_error_info *info = nws_error_get(how->error);
  end_typed_line(client);
  if (client->interrupts > 1) {
    nws__cli_say("connection dropped");
  } else if (nws__cli_is_violation(how->error)) {
    nws__cli_say("the server broke a rule at byte %llu of its stream: %s%s%s%s;"
                 " closed with %u",
                 (unsigned long long)how->offset, info->text,
                 *info->rule ? " (" : "", info->rule, *info->rule ? ")" : "",
                 (unsigned)info->close_code);
  } else {
    nws__cli_say("connection lost: %s: %s%s%s", client->options.url,
                 nws_net_text(how->error), *how->detail ? ": " : "",
                 how->detail);
  }
  return CLI_EXIT_LOST;
}

int nws__cli_client_report(const cli_client *client, const nws_closed *how) {
  fflush(stdout);
  if (!how->opened) {
    return report_unopened(client, how);
  }
  return how->error == NWS_OK ? report_close(client, how)
                              : report_lost(client, how);
}

void nws__cli_client_closed(cli_client *client, const nws_closed *how) {
  int code = nws__cli_client_report(client, how);
  if (client->exit_code == CLI_EXIT_OK) {
    client->exit_code = code;
  }
  client->peer = NULL;
  uv_stop(&client->uv);
}

/* --- The run --- */

static void on_signal(uv_signal_t *handle, int number) {
  cli_client *client = handle->data;
  const int tty = isatty(STDERR_FILENO);
  client->interrupts++;
  if (client->signalled) {
    client->signalled(client, number);
    return;
  }
  if (tty) {
    fputc('\n', stderr); /* behind the ^C that the terminal shows */
  }
  if (tty && client->open && client->interrupts == 1) {
    nws__cli_say("closing; Ctrl-C again drops it");
  }
  if (!client->peer || (client->interrupts == 1 && client->open)) {
    client->interrupted(client);
  } else {
    nws_peer_abort(client->peer);
  }
}

static int catch_signals(cli_client *client) {
  static const int numbers[2] = {SIGINT, SIGTERM};
  for (size_t i = 0; i < 2; i++) {
    uv_signal_t *handle = &client->signals[i];
    handle->data = client;
    int rc = uv_signal_init(&client->uv, handle);
    if (rc == 0) {
      rc = uv_signal_start(handle, on_signal, numbers[i]);
    }
    if (rc < 0) {
      return rc;
    }
    uv_unref((uv_handle_t *)handle);
  }
  return 0;
}

int nws__cli_client_prepare(cli_client *client) {
  int rc = uv_loop_init(&client->uv);
  if (rc == 0) {
    rc = catch_signals(client);
  }
  if (rc == 0) {
    rc = nws_loop_new(&client->uv, &client->loop);
  }
  if (rc != 0) {
    nws__cli_say("cannot start: %s", nws_net_text(rc));
    return CLI_EXIT_USAGE;
  }
  if (nws__cli_tls_start(&client->tls) != CLI_EXIT_OK) {
    return CLI_EXIT_USAGE;
  }
  nws__cli_tls_warn(&client->tls);
  client->options.tls = client->tls.tls;
  return CLI_EXIT_OK;
}

int nws__cli_client_connect(cli_client *client) {
  if (client->verbose) {
    nws__cli_put_request(client);
  }
  int rc = nws_client_connect(client->loop, &client->options, &client->peer);
  nws_tls_drop(client->tls.tls); /* the peer holds it */
  if (rc == NWS_OK) {
    return CLI_EXIT_OK;
  }
  if (rc == NWS_ERROR_HEADER_RESERVED || rc == NWS_ERROR_FIELD) {
    return nws__cli_misuse(client->command, "%s", nws_net_text(rc));
  }
  nws__cli_say("cannot connect: %s", nws_net_text(rc));
  return CLI_EXIT_USAGE;
}

int nws__cli_client_start(cli_client *client) {
  int code = nws__cli_client_prepare(client);
  return code == CLI_EXIT_OK ? nws__cli_client_connect(client) : code;
}

int nws__cli_client_run(cli_client *client) {
  uv_run(&client->uv, UV_RUN_DEFAULT);
  return client->exit_code;
}

void nws__cli_client_close(cli_client *client, unsigned code, nws_str reason) {
  if (client->closing || !client->peer) {
    return;
  }
  int rc = nws_peer_close(client->peer, code, reason);
  if (rc == NWS_ERROR_STATE) {
    return;
  }
  if (rc != NWS_OK) {
    nws__cli_say("cannot close: %s", nws_net_text(rc));
    nws_peer_abort(client->peer);
    return;
  }
  client->closing = 1;
  if (client->verbose) {
    fputs("> close ", stderr);
    nws__cli_put_close(stderr, code, reason);
    fputc('\n', stderr);
  }
}
