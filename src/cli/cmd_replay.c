/* cmd_replay.c - `nws replay`: says to a server what the client in a recording
 * said, when it said it, and holds what the server answers against what it
 * answered then.
 */
#include <stdlib.h>
#include <string.h>
#include "session.h"

#define NS_PER_MS 1000000u
#define MAX_SHOWN 64u

enum { OPTION_SPEED = 256, OPTION_WAIT, OPTION_PATIENCE };

typedef struct replayer {
  cli_client client; /* first: the peer's user pointer is both */
  session session;
  double speed; /* 0: no pauses */
  int wait;     /* for the answers that came before a message */
  uint32_t wait_ms;
  size_t send_at;   /* the next entry to look at for sending, */
  size_t expect_at; /* and for what comes */
  uint64_t sent;
  uint64_t received;
  uint64_t same;
  uint64_t different;
  uint64_t missing;
  uint64_t extra;
  uint64_t opened_at;
  int waiting; /* the timer counts the time that answers have */
  int gave_up; /* that time was over */
  int over;    /* the timer need not be set any more */
  uv_timer_t timer;
} replayer;

static void go_on(replayer *r);

/* --- Telling differences --- */

static void put_message(enum session_type type, const void *data, size_t len) {
  printf("%s, %zu bytes: ", type == SESSION_TEXT ? "text" : "binary", len);
  if (type == SESSION_BINARY) {
    nws__cli_put_hex(stdout, data, len, MAX_SHOWN);
    return;
  }
  size_t shown = len < MAX_SHOWN ? len : MAX_SHOWN;
  nws__cli_put_text(stdout, data, shown, CLI_TEXT_QUOTE);
  if (shown < len) {
    printf(" and %zu more", len - shown);
  }
}

static void put_recorded(const session_entry *e, const char *what) {
  printf("line %llu: %s: ", (unsigned long long)e->line, what);
  put_message(e->type, e->data, e->len);
  putchar('\n');
}

static void finish(replayer *r, unsigned code, nws_str reason) {
  r->over = 1;
  uv_timer_stop(&r->timer);
  nws__cli_client_close(&r->client, code, reason);
}

static void on_interrupt(cli_client *client) {
  finish((replayer *)client, NWS_CLOSE_GOING_AWAY, nws_str_make("", 0));
}

/* Shows what there is to see, if somebody still looks. */
static void show(replayer *r) {
  int rc = nws__cli_flush();
  if (rc < 0) {
    r->client.exit_code = CLI_EXIT_USAGE;
  }
  if (rc != 1) {
    finish(r, NWS_CLOSE_GOING_AWAY, nws_str_make("", 0));
  }
}

/* --- Sending --- */

/* The next of an entry of one side, from `at` on, or NULL. */
static session_entry *find(const replayer *r, int from_client, size_t *at) {
  for (; *at < r->session.count; ++*at) {
    if (r->session.entries[*at].from_client == from_client) {
      return &r->session.entries[*at];
    }
  }
  return NULL;
}

static void on_timer(uv_timer_t *timer) {
  replayer *r = timer->data;
  if (r->waiting) {
    r->gave_up = 1;
    finish(r, NWS_CLOSE_NORMAL, nws_str_make("", 0));
  } else {
    go_on(r);
  }
}

static void set_timer(replayer *r, uint64_t ms, int waiting) {
  r->waiting = waiting;
  uv_update_time(&r->client.uv);
  uv_timer_start(&r->timer, on_timer, ms, 0);
}

/* How long an entry has to wait still. */
static uint64_t ms_left(const replayer *r, const session_entry *e) {
  uint64_t now = uv_hrtime();
  uint64_t due = r->opened_at;
  if (r->speed > 0) {
    due += (uint64_t)((double)e->ns / r->speed);
  }
  return due > now ? (due - now + NS_PER_MS - 1) / NS_PER_MS : 0;
}

/* Says what the client said. Returns 1, or 0 when there is to be a pause. */
static int send_entry(replayer *r, const session_entry *e) {
  unsigned opcode =
      e->type == SESSION_TEXT ? NWS_OPCODE_TEXT : NWS_OPCODE_BINARY;
  if (e->type == SESSION_CLOSE) {
    finish(r, e->code == NWS_CLOSE_NO_STATUS ? 0 : e->code,
           nws_str_make(e->data, e->len));
    return 0;
  }
  if (e->type == SESSION_LOST) {
    finish(r, NWS_CLOSE_GOING_AWAY, nws_str_make("", 0));
    return 0;
  }
  int rc = nws_peer_send(r->client.peer, opcode, e->data, e->len);
  if (rc == NWS_OK) {
    r->sent++;
    r->send_at++;
    return 1;
  }
  if (rc != NWS_ERROR_QUEUE && rc != NWS_ERROR_STATE) {
    nws__cli_say("cannot send line %llu: %s", (unsigned long long)e->line,
                 nws_net_text(rc));
    r->client.exit_code = CLI_EXIT_USAGE;
    finish(r, NWS_CLOSE_GOING_AWAY, nws_str_make("", 0));
  }
  return 0; /* a drain or the end will come */
}

/* When all has been said: waits for what the server said then, its close
 * included, and closes if it did not. */
static void end(replayer *r) {
  const session_entry *e = find(r, 0, &r->expect_at);
  if (e && e->type != SESSION_LOST) {
    set_timer(r, r->wait_ms, 1);
  } else {
    finish(r, NWS_CLOSE_NORMAL, nws_str_make("", 0));
  }
}

/* Sends what it is time for. */
static void go_on(replayer *r) {
  const session_entry *e;
  if (!r->client.open || r->over) {
    return;
  }
  while ((e = find(r, 1, &r->send_at)) != NULL) {
    int early = r->received < e->before;
    if (early && (r->wait || e->type >= SESSION_CLOSE)) {
      set_timer(r, r->wait_ms, 1);
      return;
    }
    uint64_t ms = ms_left(r, e);
    if (ms) {
      set_timer(r, ms, 0);
      return;
    }
    if (!send_entry(r, e)) {
      return;
    }
  }
  end(r);
}

/* --- Receiving --- */

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  replayer *r = nws_peer_user(peer);
  const session_entry *e = find(r, 0, &r->expect_at);
  enum session_type type =
      opcode == NWS_OPCODE_TEXT ? SESSION_TEXT : SESSION_BINARY;
  r->received++;
  if (!e || e->type >= SESSION_CLOSE) {
    r->extra++;
    fputs("not recorded: ", stdout);
    put_message(type, data, len);
    putchar('\n');
  } else {
    r->expect_at++;
    if (e->type == type && e->len == len &&
        (len == 0 || memcmp(e->data, data, len) == 0)) {
      r->same++;
    } else {
      r->different++;
      put_recorded(e, "recorded");
      fputs("    received: ", stdout);
      put_message(type, data, len);
      putchar('\n');
    }
  }
  show(r);
  go_on(r);
}

static void on_open(nws_peer *peer) {
  replayer *r = nws_peer_user(peer);
  nws__cli_client_opened(&r->client);
  r->opened_at = uv_hrtime();
  go_on(r);
}

static void on_drain(nws_peer *peer) {
  go_on(nws_peer_user(peer));
}

/* --- The end --- */

/* Says whether the server closed as it did then. */
static int closed_as_recorded(const replayer *r, const session_entry *e,
                              const nws_closed *how) {
  return e && e->type == SESSION_CLOSE && !r->gave_up && how->error == NWS_OK &&
         how->code == e->code &&
         nws_str_equal(how->reason, nws_str_make(e->data, e->len));
}

/* Tells of what did not come. Returns how the server ended it then, or NULL. */
static const session_entry *tell_missing(replayer *r) {
  const session_entry *e;
  while ((e = find(r, 0, &r->expect_at)) != NULL && e->type < SESSION_CLOSE) {
    r->missing++;
    put_recorded(e, "not received");
    r->expect_at++;
  }
  while ((e = find(r, 1, &r->send_at)) != NULL && e->type < SESSION_CLOSE) {
    r->different++;
    put_recorded(e, "not sent");
    r->send_at++;
  }
  return find(r, 0, &r->expect_at);
}

static void tell_end(replayer *r, const session_entry *e) {
  r->different++;
  printf("line %llu: recorded: close ", (unsigned long long)e->line);
  nws__cli_put_close(stdout, e->code, nws_str_make(e->data, e->len));
  putchar('\n');
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  replayer *r = nws_peer_user(peer);
  uv_timer_stop(&r->timer);
  r->over = 1;
  if (!how->opened) {
    nws__cli_client_closed(&r->client, how);
    return;
  }
  const session_entry *e = r->client.interrupts ? NULL : tell_missing(r);
  int as_recorded = closed_as_recorded(r, e, how);
  if (e && e->type == SESSION_CLOSE && !as_recorded) {
    tell_end(r, e);
  }
  printf("%llu sent, %llu received as recorded, %llu missing, %llu not "
         "recorded, %llu otherwise different\n",
         (unsigned long long)r->sent, (unsigned long long)r->same,
         (unsigned long long)r->missing, (unsigned long long)r->extra,
         (unsigned long long)r->different);
  if (as_recorded) {
    r->client.peer = NULL;
    uv_stop(&r->client.uv);
  } else {
    nws__cli_client_closed(&r->client, how);
  }
  if (r->client.exit_code == CLI_EXIT_OK &&
      (r->missing || r->extra || r->different)) {
    r->client.exit_code = CLI_EXIT_LOST;
  }
}

/* --- Options --- */

static int read_speed(replayer *r, const char *arg) {
  char *end;
  if (strcmp(arg, "max") == 0) {
    r->speed = 0;
    return CLI_EXIT_OK;
  }
  r->speed = strtod(arg, &end);
  if (!arg[strspn(arg, "0123456789.")] && end != arg && !*end &&
      r->speed >= 0.001 && r->speed <= 1e6) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(r->client.command,
                         "'%s' is no speed, such as 0.5, 10 or max", arg);
}

static int take_option(void *state, int option, const char *arg) {
  replayer *r = state;
  switch (option) {
  case OPTION_SPEED:
    return read_speed(r, arg);
  case OPTION_WAIT:
    r->wait = 1;
    return CLI_EXIT_OK;
  case OPTION_PATIENCE:
    return nws__cli_read_seconds(arg, UINT32_MAX - 1, &r->wait_ms)
               ? CLI_EXIT_OK
               : nws__cli_misuse(r->client.command,
                                 "'%s' is no number of seconds, such as 2.5",
                                 arg);
  default:
    return nws__cli_client_option(&r->client, option, arg);
  }
}

static int run(replayer *r) {
  cli_client *c = &r->client;
  c->handler.open = on_open;
  c->handler.message = on_message;
  c->handler.drain = on_drain;
  c->handler.closed = on_closed;
  c->interrupted = on_interrupt;
  c->conn.max_message = NWS_UNLIMITED; /* as were those recorded */
  c->conn.deliver_in_closing = 1;
  if (!c->offer.subprotocol_count && *r->session.subprotocol) {
    c->subprotocols[0] = nws_str_of(r->session.subprotocol);
    c->offer.subprotocol_count = 1;
  }
  int code = nws__cli_client_prepare(c);
  if (code != CLI_EXIT_OK) {
    return code;
  }
  uv_timer_init(&c->uv, &r->timer);
  r->timer.data = r;
  code = nws__cli_client_connect(c);
  return code == CLI_EXIT_OK ? nws__cli_client_run(c) : code;
}

int nws__cli_replay(int argc, char **argv) {
  static const struct option longs[] = {
      CLI_CLIENT_LONGS,
      {"speed", required_argument, NULL, OPTION_SPEED},
      {"wait", no_argument, NULL, OPTION_WAIT},
      {"patience", required_argument, NULL, OPTION_PATIENCE},
      {NULL, 0, NULL, 0}};
  static replayer state = {.speed = 1, .wait_ms = 5000};
  replayer *r = &state;
  const char *words[2] = {NULL, NULL};
  nws__cli_client_init(&r->client, argv[0]);
  int code = nws__cli_options(argc, argv, ":" CLI_CLIENT_SHORTS, longs,
                              take_option, r);
  if (code == CLI_GO_ON) {
    code = nws__cli_two_words(argc, argv, "FILE URL", words);
  }
  if (code == CLI_GO_ON) {
    code = nws__cli_client_url(&r->client, words[1]);
  }
  if (code == CLI_GO_ON) {
    code = nws__cli_session_read(&r->session, words[0]);
    code = code == CLI_EXIT_OK ? run(r) : code;
  }
  nws__cli_session_free(&r->session);
  return code;
}
