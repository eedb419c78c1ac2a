/* cmd_connect.c - `nws connect`: standard input and output over a WebSocket.
 *
 * The options and the life of the connection; what is sent is connect_input.c's
 * and what is printed connect_output.c's.
 */
#include <string.h>
#include <unistd.h>
#include "connect.h"

/* Queued bytes beyond which nothing is sent and so nothing read. */
#define MAX_QUEUE ((size_t)1 << 20)

/* Behind the last short option. */
enum {
  OPTION_RAW = 256,
  OPTION_CLOSE,
  OPTION_PING,
  OPTION_DEFLATE,
  OPTION_MAX_MESSAGE,
  OPTION_NULL,
  OPTION_LENGTH,
  OPTION_JSON,
  OPTION_EXEC,
  OPTION_TCP_LISTEN
};

/* --- Ending --- */

void nws__connect_finish(connection *c, unsigned code) {
  if (c->close_given) {
    nws__cli_client_close(&c->client, c->close_code, c->close_reason);
  } else {
    nws__cli_client_close(&c->client, code, nws_str_make("", 0));
  }
}

void nws__connect_give_up(connection *c) {
  c->ended = 1;
  c->client.exit_code = CLI_EXIT_USAGE;
  nws__cli_client_close(&c->client, NWS_CLOSE_GOING_AWAY, nws_str_make("", 0));
}

static void on_interrupt(cli_client *client) {
  nws__connect_finish((connection *)client, NWS_CLOSE_GOING_AWAY);
}

/* --- Expected messages --- */

static void on_nothing_came(uv_timer_t *timer) {
  connection *c = timer->data;
  nws__cli_say("%llu of %llu expected messages came in time",
               (unsigned long long)c->received, (unsigned long long)c->expect);
  c->client.exit_code = CLI_EXIT_LOST;
  c->ended = 1;
  nws__connect_finish(c, NWS_CLOSE_GOING_AWAY);
}

/* The time that -t gives is for each of them. */
static void await(connection *c) {
  if (c->expect && c->client.timeout_ms) {
    uv_timer_start(&c->timer, on_nothing_came, c->client.timeout_ms, 0);
  }
}

static void on_prepare(uv_prepare_t *handle) {
  nws__connect_flush(handle->data);
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  connection *c = nws_peer_user(peer);
  if (c->output_gone || (c->expect && c->received >= c->expect)) {
    return;
  }
  nws__connect_print(c, opcode, data, len);
  c->received++;
  if (!c->expect || c->client.exit_code != CLI_EXIT_OK) {
    return;
  }
  if (c->received < c->expect) {
    await(c);
    return;
  }
  uv_timer_stop(&c->timer);
  c->ended = 1;
  nws__connect_finish(c, NWS_CLOSE_NORMAL);
}

static void on_control(nws_peer *peer, const nws_event *event) {
  connection *c = nws_peer_user(peer);
  if (c->client.verbose) {
    nws__connect_print_control(c, event);
  }
}

/* --- Life --- */

static void on_open(nws_peer *peer) {
  connection *c = nws_peer_user(peer);
  nws__cli_client_opened(&c->client);
  if (c->client.typing) {
    nws__cli_colour(stderr, CLI_COLOUR_NOTICE);
    fputs("Connected. Each line is a message; Ctrl-D closes.", stderr);
    nws__cli_colour(stderr, CLI_COLOUR_NONE);
    fputc('\n', stderr);
  }
  await(c);
  nws__connect_pump(c);
}

static void on_drain(nws_peer *peer) {
  nws__connect_pump(nws_peer_user(peer));
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  connection *c = nws_peer_user(peer);
  c->ended = 1;
  nws__cli_client_closed(&c->client, how);
  if (c->received < c->expect && c->client.exit_code == CLI_EXIT_OK &&
      !c->client.interrupts) {
    nws__cli_say("%llu of %llu expected messages came before the close",
                 (unsigned long long)c->received,
                 (unsigned long long)c->expect);
    c->client.exit_code = CLI_EXIT_LOST;
  }
}

static void set_handlers(connection *c) {
  nws_handler *handler = &c->client.handler;
  handler->open = on_open;
  handler->message = on_message;
  handler->control = on_control;
  handler->drain = on_drain;
  handler->closed = on_closed;
  c->client.interrupted = on_interrupt;
  c->client.options.limits.high_water = MAX_QUEUE;
  c->client.options.limits.max_queue = MAX_QUEUE;
  /* Answers to what we sent last come behind our close. */
  c->client.conn.deliver_in_closing = 1;
  if (c->command) {
    nws__connect_exec(c);
  }
}

/* --- Options --- */

static int read_close(connection *c, const char *arg) {
  char number[8] = "";
  const char *colon = strchr(arg, ':');
  size_t len = colon ? (size_t)(colon - arg) : strlen(arg);
  const char *command = c->client.command;
  uint64_t code = 0;
  if (len < sizeof(number)) {
    memcpy(number, arg, len);
  }
  if (!nws__cli_read_number(number, 4999, &code) ||
      !nws_close_code_valid((unsigned)code)) {
    return nws__cli_misuse(command,
                           "'%.*s' cannot be sent; --close wants 1000-1003, "
                           "1007-1014 or 3000-4999",
                           (int)len, arg);
  }
  c->close_code = (unsigned)code;
  c->close_reason = nws_str_of(colon ? colon + 1 : "");
  c->close_given = 1;
  if (c->close_reason.len <= NWS_CLOSE_REASON_MAX &&
      nws_utf8_valid(c->close_reason.ptr, c->close_reason.len)) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(command,
                         "the reason in --close has at most %d bytes of UTF-8",
                         NWS_CLOSE_REASON_MAX);
}

static int read_seconds(connection *c, const char *arg, uint32_t *ms) {
  if (nws__cli_read_seconds(arg, UINT32_MAX - 1, ms)) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(c->client.command,
                         "'%s' is no number of seconds, such as 2.5", arg);
}

static int read_wait(connection *c, const char *arg) {
  c->wait = 1;
  return read_seconds(c, arg, &c->wait_ms);
}

static int read_ping_interval(connection *c, const char *arg) {
  uint32_t *ms = &c->client.conn.ping_interval_ms;
  int rc = read_seconds(c, arg, ms);
  if (*ms == 0) {
    *ms = UINT32_MAX;
  }
  return rc;
}

static int read_max_message(connection *c, const char *arg) {
  if (nws__cli_read_size(arg, &c->client.conn.max_message)) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(c->client.command,
                         "'%s' is no number of bytes, such as 64K", arg);
}

static int set_framing(connection *c, unsigned framing) {
  if (c->split.framing != CLI_FRAMING_LINES && c->split.framing != framing) {
    return nws__cli_misuse(c->client.command,
                           "--null, --length-prefixed and --raw exclude each "
                           "other; give one");
  }
  c->split.framing = framing;
  return CLI_EXIT_OK;
}

static int add_message(connection *c, const char *arg) {
  if (c->message_count == CONNECT_MAX_MESSAGES) {
    return nws__cli_misuse(c->client.command,
                           "more than %d messages; use standard input",
                           CONNECT_MAX_MESSAGES);
  }
  c->messages[c->message_count++] = arg;
  return CLI_EXIT_OK;
}

static int read_expect(connection *c, const char *arg) {
  if (nws__cli_read_number(arg, UINT32_MAX, &c->expect) && c->expect) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(c->client.command,
                         "'%s' is no count of messages; try 1", arg);
}

/* A port alone is meant for this machine, as with ssh -L. */
static int read_tcp_listen(connection *c, const char *arg) {
  c->tcp_listen = arg;
  memcpy(c->listen_address, "127.0.0.1", sizeof("127.0.0.1"));
  if (nws__cli_read_number(arg, UINT16_MAX, &c->listen_port)) {
    return CLI_EXIT_OK;
  }
  c->listen_port = UINT64_MAX;
  int code = nws__cli_read_listen(c->client.command, arg, c->listen_address,
                                  &c->listen_port);
  if (code == CLI_EXIT_OK && c->listen_port == UINT64_MAX) {
    code = nws__cli_misuse(c->client.command, "--tcp-listen wants a port");
  }
  return code;
}

/* What is sent and printed, and how. Returns CLI_GO_ON for other options. */
static int take_traffic(connection *c, int option, const char *arg) {
  switch (option) {
  case 'b':
    c->split.binary = 1;
    return CLI_EXIT_OK;
  case OPTION_RAW:
    c->split.binary = 1;
    return set_framing(c, CLI_FRAMING_RAW);
  case OPTION_NULL:
    return set_framing(c, CLI_FRAMING_NULL);
  case OPTION_LENGTH:
    return set_framing(c, CLI_FRAMING_LENGTH);
  case OPTION_JSON:
    c->json = 1;
    return CLI_EXIT_OK;
  case OPTION_EXEC:
    c->command = arg;
    return CLI_EXIT_OK;
  case OPTION_TCP_LISTEN:
    return read_tcp_listen(c, arg);
  case 'm':
    return add_message(c, arg);
  case 'c':
    return read_expect(c, arg);
  default:
    return CLI_GO_ON;
  }
}

/* What connect has and ping has not. */
static int take_own(connection *c, int option, const char *arg) {
  int code = take_traffic(c, option, arg);
  if (code != CLI_GO_ON) {
    return code;
  }
  switch (option) {
  case 'n':
    c->stay = 1;
    return CLI_EXIT_OK;
  case 'w':
    return read_wait(c, arg);
  case OPTION_CLOSE:
    return read_close(c, arg);
  case OPTION_PING:
    return read_ping_interval(c, arg);
  case OPTION_DEFLATE:
    return nws__cli_deflate_read(&c->deflate, c->client.command, arg);
  case OPTION_MAX_MESSAGE:
    return read_max_message(c, arg);
  default:
    return CLI_EXIT_USAGE;
  }
}

static int take_option(void *state, int option, const char *arg) {
  connection *c = state;
  int code = nws__cli_client_option(&c->client, option, arg);
  return code == CLI_GO_ON ? take_own(c, option, arg) : code;
}

static int run(connection *c) {
  if (!nws__connect_input_start(c)) {
    nws__cli_say("out of memory");
    return CLI_EXIT_USAGE;
  }
  set_handlers(c);
  if (nws__cli_deflate_start(&c->deflate) != NWS_OK) {
    return CLI_EXIT_USAGE;
  }
  c->client.offer.extensions = c->deflate.list;
  c->client.offer.extension_count = c->deflate.count;
  if (c->tcp_listen) {
    return nws__connect_tcp(c);
  }
  int rc = nws__cli_client_start(&c->client);
  if (rc != CLI_EXIT_OK) {
    return rc;
  }
  uv_timer_init(&c->client.uv, &c->timer);
  c->timer.data = c;
  uv_prepare_init(&c->client.uv, &c->flusher);
  c->flusher.data = c;
  uv_prepare_start(&c->flusher, on_prepare);
  uv_unref((uv_handle_t *)&c->flusher);
  rc = nws__cli_client_run(&c->client);
  if (c->command) {
    rc = nws__connect_exec_end(c, rc);
  }
  nws__cli_split_free(&c->split);
  nws__cli_deflate_free(&c->deflate);
  return rc;
}

static int check_exec(const connection *c, int messages, int ends) {
  if (c->command && (c->json || messages || ends)) {
    return nws__cli_misuse(c->client.command,
                           "--exec excludes --message, --expect, --json-lines, "
                           "--stay and --wait");
  }
  if (c->tcp_listen && (c->json || messages || ends || c->command ||
                        c->split.framing || c->close_given)) {
    return nws__cli_misuse(c->client.command, "--tcp-listen goes with no other "
                                              "option about messages");
  }
  return CLI_EXIT_OK;
}

static int check_options(const connection *c) {
  const int messages = c->expect || c->message_count;
  const int ends = c->stay || c->wait;
  if (c->stay && c->wait) {
    return nws__cli_misuse(c->client.command,
                           "--stay and --wait exclude each other; give one");
  }
  if (c->expect && ends) {
    return nws__cli_misuse(c->client.command,
                           "--expect says when to close; it excludes --stay "
                           "and --wait");
  }
  return check_exec(c, messages, ends);
}

int nws__cli_connect(int argc, char **argv) {
  static const struct option longs[] = {
      CLI_CLIENT_LONGS,
      {"binary", no_argument, NULL, 'b'},
      {"raw", no_argument, NULL, OPTION_RAW},
      {"null", no_argument, NULL, OPTION_NULL},
      {"length-prefixed", no_argument, NULL, OPTION_LENGTH},
      {"json-lines", no_argument, NULL, OPTION_JSON},
      {"exec", required_argument, NULL, OPTION_EXEC},
      {"tcp-listen", required_argument, NULL, OPTION_TCP_LISTEN},
      {"message", required_argument, NULL, 'm'},
      {"expect", required_argument, NULL, 'c'},
      {"stay", no_argument, NULL, 'n'},
      {"wait", required_argument, NULL, 'w'},
      {"close", required_argument, NULL, OPTION_CLOSE},
      {"ping-interval", required_argument, NULL, OPTION_PING},
      {"deflate", optional_argument, NULL, OPTION_DEFLATE},
      {"max-message", required_argument, NULL, OPTION_MAX_MESSAGE},
      {NULL, 0, NULL, 0}};
  /* Not on the stack: a read may still be writing to it at the very end. */
  static connection state;
  connection *c = &state;
  nws__cli_client_init(&c->client, argv[0]);
  c->deflate.on = 1;
  c->tty = isatty(STDOUT_FILENO);
  int code = nws__cli_client_options(&c->client, argc, argv,
                                     ":" CLI_CLIENT_SHORTS "bc:m:nw:", longs,
                                     take_option);
  if (code != CLI_GO_ON) {
    return code;
  }
  c->client.typing = !c->message_count && !c->command && isatty(STDIN_FILENO) &&
                     isatty(STDERR_FILENO);
  code = check_options(c);
  return code == CLI_EXIT_OK ? run(c) : code;
}
