/* cmd_connect.c - `nws connect`: standard input and output over a WebSocket.
 *
 * Standard input is read by libuv's threads rather than polled: that works the
 * same for terminals, pipes and files, and leaves their modes alone, which
 * others may share. One read is under way at a time, and the next begins when
 * all that the last one gave has been taken by the write queue; so memory is
 * bounded.
 *
 * Standard output is written with stdio and flushed before the loop waits. When
 * its reader is slow, everything waits, and in the end so does the peer.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

/* A line longer than this leaves as a fragmented message (RFC 6455 5.4). */
#define MAX_PIECE ((size_t)1 << 20)
#define CHUNK ((size_t)1 << 16)
/* Queued bytes beyond which nothing is sent and so nothing read. */
#define MAX_QUEUE ((size_t)1 << 20)
#define MAX_HEX_SHOWN 32
/* Behind the last short option. */
enum {
  OPTION_RAW = 256,
  OPTION_CLOSE,
  OPTION_PING,
  OPTION_DEFLATE,
  OPTION_MAX_MESSAGE
};

typedef struct connection {
  cli_client client; /* first: the peer's user pointer is both */
  cli_deflate deflate;
  int binary;       /* send binary messages */
  int raw;          /* send what each read gives, not lines */
  int stay;         /* the end of the input does not close */
  int wait;         /* it does, but after a while */
  uint32_t wait_ms; /* how long that is */
  unsigned close_code;
  nws_str close_reason;
  int close_given;
  int tty;          /* output goes to a terminal */
  int reading;      /* a read is under way */
  int ended;        /* no more input */
  int output_gone;  /* nothing can be written any more */
  int fragmented;   /* the begin of the line has been sent */
  uint64_t line;    /* number of the line being read */
  size_t line_len;  /* bytes of it in `piece` */
  uint8_t *piece;   /* MAX_PIECE bytes */
  uint8_t *chunk;   /* CHUNK bytes: what has been read */
  size_t chunk_len; /* bytes in it */
  size_t chunk_at;  /* how many of them have been dealt with */
  int at_end;       /* the last read found the end of the input */
  uv_fs_t read;
  uv_timer_t timer;
  uv_prepare_t flusher;
} connection;

/* --- Ending --- */

static void finish(connection *c, unsigned code) {
  if (c->close_given) {
    nws__cli_client_close(&c->client, c->close_code, c->close_reason);
  } else {
    nws__cli_client_close(&c->client, code, nws_str_make("", 0));
  }
}

/* A failure on this side: the message has been given. */
static void give_up(connection *c) {
  c->ended = 1;
  c->client.exit_code = CLI_EXIT_USAGE;
  nws__cli_client_close(&c->client, NWS_CLOSE_GOING_AWAY, nws_str_make("", 0));
}

static void on_interrupt(cli_client *client) {
  finish((connection *)client, NWS_CLOSE_GOING_AWAY);
}

static void on_wait_over(uv_timer_t *timer) {
  finish(timer->data, NWS_CLOSE_NORMAL);
}

static void end_of_input(connection *c) {
  c->ended = 1;
  if (c->stay) {
    return;
  }
  if (c->wait_ms) {
    uv_timer_start(&c->timer, on_wait_over, c->wait_ms, 0);
  } else {
    finish(c, NWS_CLOSE_NORMAL);
  }
}

/* --- Input --- */

/* Sends a message, or the next fragment of one. Returns 0 when it did not: the
 * queue is full and a drain will come, or no more can be sent at all. */
static int send_piece(connection *c, const void *data, size_t len, int more) {
  unsigned what = c->binary ? NWS_OPCODE_BINARY : NWS_OPCODE_TEXT;
  if (c->fragmented) {
    what = NWS_OPCODE_CONTINUATION;
  }
  if (more) {
    what |= NWS_SEND_MORE;
  }
  int rc = nws_peer_send(c->client.peer, what, data, len);
  if (rc == NWS_OK) {
    c->fragmented = more;
    return 1;
  }
  if (rc == NWS_ERROR_QUEUE) {
    return 0;
  }
  if (rc == NWS_ERROR_STATE) { /* the peer is closing */
    c->ended = 1;
    return 0;
  }
  if (rc == NWS_ERROR_TEXT_SEND) {
    nws__cli_say("line %llu of the input is not UTF-8, as text messages must "
                 "be; --binary sends anything",
                 (unsigned long long)c->line);
  } else {
    nws__cli_say("cannot send: %s", nws_net_text(rc));
  }
  give_up(c);
  return 0;
}

/* Moves bytes from the chunk to the line. */
static int add_to_line(connection *c, size_t len) {
  while (len) {
    if (c->line_len == MAX_PIECE) {
      if (!send_piece(c, c->piece, c->line_len, 1)) {
        return 0;
      }
      c->line_len = 0;
    }
    size_t room = MAX_PIECE - c->line_len;
    size_t part = len < room ? len : room;
    memcpy(c->piece + c->line_len, c->chunk + c->chunk_at, part);
    c->line_len += part;
    c->chunk_at += part;
    len -= part;
  }
  return 1;
}

/* Sends what is in the line, and `len` more bytes of the chunk. */
static int end_line(connection *c, size_t len) {
  if (c->line_len == 0) {
    if (!send_piece(c, c->chunk + c->chunk_at, len, 0)) {
      return 0;
    }
    c->chunk_at += len;
  } else if (!add_to_line(c, len) || !send_piece(c, c->piece, c->line_len, 0)) {
    return 0;
  }
  c->line_len = 0;
  c->line++;
  return 1;
}

/* Takes a line from the chunk, or what there is of one. */
static int take_line(connection *c) {
  size_t left = c->chunk_len - c->chunk_at;
  const uint8_t *from = c->chunk + c->chunk_at;
  if (c->raw) {
    return end_line(c, left);
  }
  const uint8_t *end = memchr(from, '\n', left);
  if (!end) {
    return add_to_line(c, left);
  }
  if (!end_line(c, (size_t)(end - from))) {
    return 0;
  }
  c->chunk_at++;
  return 1;
}

static void read_chunk(connection *c);

/* Sends what has been read, as far as the queue takes it, and reads on when all
 * has been sent. Called again by `drain`, it goes on where it stopped. */
static void pump(connection *c) {
  if (c->reading || c->ended || c->client.closing || !c->client.peer) {
    return;
  }
  while (c->chunk_at < c->chunk_len) {
    if (!take_line(c)) {
      return;
    }
  }
  if (!c->at_end) {
    read_chunk(c);
  } else if (c->line_len == 0 || end_line(c, 0)) {
    end_of_input(c);
  }
}

static void on_read(uv_fs_t *request) {
  connection *c = request->data;
  ssize_t result = request->result;
  uv_fs_req_cleanup(request);
  c->reading = 0;
  if (c->ended) {
    return;
  }
  if (result < 0) {
    nws__cli_say("cannot read standard input: %s", uv_strerror((int)result));
    give_up(c);
    return;
  }
  c->at_end = result == 0;
  c->chunk_at = 0;
  c->chunk_len = (size_t)result;
  pump(c);
}

static void read_chunk(connection *c) {
  uv_buf_t buffer = uv_buf_init((char *)c->chunk, (unsigned)CHUNK);
  c->read.data = c;
  int rc = uv_fs_read(&c->client.uv, &c->read, STDIN_FILENO, &buffer, 1, -1,
                      on_read);
  if (rc == 0) {
    c->reading = 1;
    return;
  }
  nws__cli_say("cannot read standard input: %s", uv_strerror(rc));
  give_up(c);
}

/* --- Output --- */

static void flush(connection *c) {
  if (c->output_gone) {
    return;
  }
  int rc = nws__cli_flush();
  if (rc == 1) {
    return;
  }
  c->output_gone = 1;
  if (rc < 0) {
    give_up(c);
  } else {
    finish(c, NWS_CLOSE_GOING_AWAY);
  }
}

static void on_prepare(uv_prepare_t *handle) {
  flush(handle->data);
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  connection *c = nws_peer_user(peer);
  if (c->output_gone) {
    return;
  }
  if (opcode != NWS_OPCODE_TEXT && c->binary && !c->tty) {
    fwrite(data, 1, len, stdout);
    return;
  }
  if (opcode != NWS_OPCODE_TEXT) {
    printf("%s, %zu bytes: ", nws_conn_opcode_name(nws_peer_conn(peer), opcode),
           len);
    nws__cli_put_hex(stdout, data, len, MAX_HEX_SHOWN);
  } else if (c->tty) {
    nws__cli_put_text(stdout, data, len, CLI_TEXT_LINES);
  } else {
    fwrite(data, 1, len, stdout);
  }
  putchar('\n');
}

static void on_control(nws_peer *peer, const nws_event *event) {
  connection *c = nws_peer_user(peer);
  if (!c->client.verbose) {
    return;
  }
  flush(c);
  fprintf(stderr, "< %s ",
          nws_conn_opcode_name(nws_peer_conn(peer), event->opcode));
  if (event->type == NWS_EVENT_CLOSE) {
    nws__cli_put_close(stderr, event->code,
                       nws_str_make((const char *)event->data, event->len));
  } else {
    nws__cli_put_text(stderr, event->data, event->len, CLI_TEXT_QUOTE);
  }
  fputc('\n', stderr);
}

/* --- Life --- */

static void on_open(nws_peer *peer) {
  connection *c = nws_peer_user(peer);
  nws__cli_client_opened(&c->client);
  if (c->client.typing) {
    fputs("Connected. Each line is a message; Ctrl-D closes.\n", stderr);
  }
  pump(c);
}

static void on_drain(nws_peer *peer) {
  pump(nws_peer_user(peer));
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  connection *c = nws_peer_user(peer);
  c->ended = 1;
  nws__cli_client_closed(&c->client, how);
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

static int take_option(void *state, int option, const char *arg) {
  connection *c = state;
  int code = nws__cli_client_option(&c->client, option, arg);
  if (code != CLI_GO_ON) {
    return code;
  }
  switch (option) {
  case 'b':
    c->binary = 1;
    return CLI_EXIT_OK;
  case OPTION_RAW:
    c->raw = c->binary = 1;
    return CLI_EXIT_OK;
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

static int run(connection *c) {
  c->piece = malloc(MAX_PIECE);
  c->chunk = malloc(CHUNK);
  if (!c->piece || !c->chunk) {
    nws__cli_say("out of memory");
    return CLI_EXIT_USAGE;
  }
  set_handlers(c);
  if (nws__cli_deflate_start(&c->deflate) != NWS_OK) {
    return CLI_EXIT_USAGE;
  }
  c->client.offer.extensions = c->deflate.list;
  c->client.offer.extension_count = c->deflate.count;
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
  nws__cli_deflate_free(&c->deflate);
  return rc;
}

int nws__cli_connect(int argc, char **argv) {
  static const struct option longs[] = {
      CLI_CLIENT_LONGS,
      {"binary", no_argument, NULL, 'b'},
      {"raw", no_argument, NULL, OPTION_RAW},
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
  c->line = 1;
  c->deflate.on = 1;
  c->tty = isatty(STDOUT_FILENO);
  c->client.typing = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
  int code = nws__cli_client_options(
      &c->client, argc, argv, ":" CLI_CLIENT_SHORTS "bnw:", longs, take_option);
  if (code != CLI_GO_ON) {
    return code;
  }
  if (c->stay && c->wait) {
    return nws__cli_misuse(argv[0],
                           "--stay and --wait exclude each other; give one");
  }
  return run(c);
}
