/* test_net_vanish.c - the other end disappears, at every byte that it sends: in
 * TLS, in the opening handshake, in a frame, in a message of several with a
 * ping between, in the closing handshake.
 *
 *     test_net_vanish server|client plain|tls
 *
 * says which end is ours, and over what. The other end is moved byte by byte in
 * the same thread. Whatever comes, the application hears of the end once, with
 * the error that it is, and afterwards every byte and descriptor is back.
 */
#include "faults.h"
#include "tls_raw.h"
#include <sys/wait.h>

typedef enum way {
  COMPLETE, /* its side of TCP is shut, and all was read */
  HALF,     /* the same, but it reads on */
  RESET,
  ABANDONED, /* closed with unread bytes */
  NOTIFIED,  /* as HALF, after close_notify */
  SILENT,
  KILLED
} way;

static int ours_is_server, with_tls, listener;
static cert root, own;
static nws_tls *tls;
static SSL_CTX *raw_tls;

/* One connection, until it is over. */
typedef struct trial {
  fixture fx;
  wire w;
  way how;
  int stage;
  size_t opened, closed; /* `made` when the head, the close frame was said */
  size_t opened_text, closed_text;
} trial;

static int troubles, trouble_error;

static void note_trouble(nws_server *server, const nws_trouble *what,
                         void *user) {
  (void)server;
  (void)user;
  troubles++;
  trouble_error = what->error;
}

static int ends(const trial *t) {
  return ours_is_server ? t->fx.s.closes + troubles : t->fx.c.closes;
}

static int end_error(const trial *t) {
  if (!ours_is_server)
    return t->fx.c.error;
  return troubles > 0 ? trouble_error : t->fx.s.error;
}

/* --- The conversation --- */

static void begin(trial *t) {
  fixture *fx = &t->fx;
  char url[64];
  nws_client_options client = {.size = sizeof(client),
                               .handler = &fx->client_handler,
                               .user = &fx->c,
                               .url = url,
                               .conn = &fx->client_conn,
                               .limits = {.handshake_timeout_ms = 3000}};
  fixture_init(fx);
  fx->client_handler.message = echo_message;
  fx->conn.ping_interval_ms = fx->conn.pong_timeout_ms = 1000;
  fx->conn.close_timeout_ms = 1000;
  fx->client_conn = fx->conn;
  troubles = 0;
  if (ours_is_server) {
    fx->options.trouble = note_trouble;
    fx->options.tls = tls;
    fx->options.limits = client.limits;
    fixture_serve(fx);
    wire_init(&t->w, raw_socket(nws_server_port(fx->server)), raw_tls, 0);
    return;
  }
  struct sockaddr_in at;
  socklen_t len = sizeof(at);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
  snprintf(url, sizeof(url), "%s://127.0.0.1:%u/", with_tls ? "wss" : "ws",
           (unsigned)ntohs(at.sin_port));
  client.tls = tls;
  assert_int_equal(nws_client_connect(fx->loop, &client, NULL), NWS_OK);
  wire_init(&t->w, accept(listener, NULL, NULL), raw_tls, 1);
}

static size_t put(uint8_t *out, unsigned head, const char *payload,
                  size_t len) {
  if (ours_is_server)
    return put_frame(out, head, payload, len);
  out[0] = (uint8_t)head;
  out[1] = (uint8_t)len;
  memcpy(out + 2, payload, len);
  return len + 2;
}

/* What a frame of `len` bytes from our end takes. */
static size_t frame_len(size_t len) {
  return len + (ours_is_server ? 2 : 6);
}

static int got(trial *t, size_t len) {
  if (t->w.len < len)
    return 0;
  t->w.len = 0;
  return 1;
}

static int got_head(const trial *t) {
  return t->w.len > 0 && strstr((char *)t->w.data, "\r\n\r\n") != NULL;
}

static int say_head(trial *t) {
  wire *w = &t->w;
  if (ours_is_server) {
    wire_say(w, raw_request, RAW_REQUEST_LEN);
  } else {
    nws_server_handshake hs;
    char out[512];
    size_t len = 0;
    if (!got_head(t))
      return 0;
    memset(&hs, 0, sizeof(hs));
    assert_int_equal(
        nws_server_handshake_read(&hs, NULL, (char *)w->data, w->len), NWS_OK);
    assert_int_equal(
        nws_server_handshake_accept(&hs, NULL, out, sizeof(out), &len), NWS_OK);
    w->len = 0;
    wire_say(w, out, len);
  }
  t->opened = w->made;
  t->opened_text = w->asked;
  return 1;
}

/* Goes on as far as what has come allows; says whether all is said and done. */
static int converse(trial *t) {
  uint8_t out[128];
  size_t len = 0;
  if (!wire_ready(&t->w))
    return 0;
  switch (t->stage) {
  case 0:
    if (!say_head(t))
      return 0;
    break;
  case 1:
    if (ours_is_server && !got_head(t))
      return 0;
    t->w.len = 0;
    wire_say(&t->w, out, put(out, 0x81, "hello", 5));
    break;
  case 2:
    if (!got(t, frame_len(5)))
      return 0;
    len = put(out, 0x01, "frag", 4);
    len += put(out + len, 0x89, "ping", 4);
    len += put(out + len, 0x80, "ment", 4);
    wire_say(&t->w, out, len);
    break;
  case 3:
    if (!got(t, frame_len(8) + frame_len(4)))
      return 0;
    wire_say(&t->w, out, put(out, 0x88, "\x03\xe8", 2));
    t->closed = t->w.made;
    t->closed_text = t->w.asked;
    break;
  default:
    return got(t, frame_len(2));
  }
  t->stage++;
  return 0;
}

/* Says whether the other end may say no more. */
static int cut(const trial *t) {
  const wire *w = &t->w;
  return w->sent == w->limit || w->vanished ||
         (w->text == w->max_text && w->sent == w->made && wire_ready(w));
}

static void turn(trial *t, int count) {
  uv_run(nws_loop_uv(t->fx.loop), UV_RUN_NOWAIT);
  if (count > 100) /* the machine is busy */
    usleep(500);
  if (count > 20000)
    fail_msg("waited in vain");
}

static int has_opened(const trial *t) {
  if (t->how == NOTIFIED)
    return t->opened != 0 && t->w.text >= t->opened_text;
  return t->opened != 0 && t->w.sent >= t->opened;
}

static int has_closed(const trial *t) {
  if (t->how == NOTIFIED)
    return t->closed != 0 && t->w.text >= t->closed_text;
  return t->closed != 0 && t->w.sent >= t->closed;
}

/* Until the end has come; says whether the conversation was over. */
static int talk(trial *t) {
  int over = 0;
  for (int i = 0; !cut(t) && !over; i++) {
    turn(t, i);
    wire_pull(&t->w);
    over = converse(t);
  }
  if (t->how == ABANDONED) {
    turn(t, 0);
    return over;
  }
  /* What was sent is to be dealt with, above all a close. */
  for (int i = 0; i < 3 || (has_closed(t) && !over); i++) {
    turn(t, i);
    wire_pull(&t->w);
    over |= has_closed(t) && t->w.len >= frame_len(2);
  }
  return over && t->w.limit > t->w.made && t->w.max_text > t->w.text;
}

/* --- Ends --- */

static void read_on(trial *t) {
  wire_shut(&t->w);
  for (int i = 0; !t->w.r.ended && t->w.r.error == 0; i++) {
    turn(t, i);
    wire_pull(&t->w);
  }
  wire_free(&t->w);
}

/* The process that has the socket is killed. */
static void kill_it(trial *t) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    for (;;)
      pause();
  close(t->w.r.fd);
  t->w.r.fd = -1;
  for (int i = 0; i < 3; i++)
    turn(t, 0);
  assert_int_equal(ends(t), 0);
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  wire_free(&t->w);
}

static void be_silent(trial *t) {
  for (int i = 0; ends(t) == 0; i++) {
    faults_forward(600);
    usleep(1200);
    turn(t, i);
    raw_read(&t->w.r);
    if (i > 1000)
      fail_msg("silence is not noticed");
  }
  wire_free(&t->w);
}

static void vanish(trial *t) {
  switch (t->how) {
  case RESET:
    wire_reset(&t->w);
    return;
  case NOTIFIED:
    SSL_shutdown(t->w.ssl);
    t->w.limit = SIZE_MAX;
    wire_push(&t->w);
    read_on(t);
    return;
  case HALF:
    read_on(t);
    return;
  case KILLED:
    kill_it(t);
    return;
  case SILENT:
    be_silent(t);
    return;
  default:
    wire_free(&t->w);
  }
}

static int is_reset(int error) {
  return error == UV_ECONNRESET || error == UV_EPIPE;
}

/* What the application is to be told. Kills and closing with unread bytes look
 * like the one or the other. */
static int is_right(way how, int opened, int closed, int error) {
  int eof = opened ? NWS_ERROR_EOF : NWS_ERROR_HTTP_EOF;
  int either = how == ABANDONED || how == KILLED;
  if (closed)
    return error == NWS_OK || (either && is_reset(error));
  if (how == SILENT)
    return error ==
           (opened ? NWS_ERROR_PONG_TIMEOUT : NWS_ERROR_HANDSHAKE_TIMEOUT);
  if (with_tls && how != NOTIFIED)
    eof = NWS_ERROR_TLS_CUT;
  if (how == RESET)
    return is_reset(error);
  return error == eof || (either && is_reset(error));
}

/* OpenSSL keeps the texts of its last errors, longer or shorter ones. */
static void compare(const faults_live *before, int fds) {
  faults_live after = faults_live_now();
  for (int i = 0; i < FAULTS_OWNERS; i++) {
    long slack = i == FAULTS_OPENSSL ? 4096 : 0;
    if (after.blocks[i] != before->blocks[i])
      fail_msg("owner %d: %ld blocks more", i,
               after.blocks[i] - before->blocks[i]);
    if (labs(after.bytes[i] - before->bytes[i]) > slack)
      fail_msg("owner %d: %ld bytes more", i,
               after.bytes[i] - before->bytes[i]);
  }
  assert_int_equal(count_fds(), fds);
}

/* Returns whether the limits were not met. */
static int try(way how, size_t limit, size_t max_text) {
  faults_live before = faults_live_now();
  int fds = count_fds();
  trial t;
  memset(&t, 0, sizeof(t));
  t.how = how;
  begin(&t);
  t.w.limit = limit;
  t.w.max_text = max_text;
  int over = talk(&t);
  int opened = has_opened(&t);
  int closed = has_closed(&t);
  vanish(&t);
  for (int i = 0; ends(&t) == 0; i++)
    turn(&t, i);
  int error = end_error(&t);
  if (!is_right(how, opened, closed, error))
    fail_msg(
        "way %d after %zu bytes, %zu of text (opened %d, closed %d): %d %s",
        (int)how, limit, max_text, opened, closed, error,
        nws_error_get(error)->text);
  fixture_end(&t.fx);
  assert_int_equal(ends(&t), 1);
  compare(&before, fds);
  return over;
}

static void everywhere(way how) {
  size_t stride = with_tls ? FAULTS_STRIDE : 1;
  size_t limit = (size_t)how % stride;
  while (!try(how, limit, SIZE_MAX))
    limit += stride;
  assert_true(limit > 150); /* bytes of the head alone */
}

/* --- Tests --- */

static void test_complete(void **state) {
  (void)state;
  everywhere(COMPLETE);
}

static void test_half(void **state) {
  (void)state;
  everywhere(HALF);
}

static void test_reset(void **state) {
  (void)state;
  everywhere(RESET);
}

static void test_abandoned(void **state) {
  (void)state;
  everywhere(ABANDONED);
}

static void test_silent(void **state) {
  (void)state;
  everywhere(SILENT);
}

/* After close_notify the end is no cut: TLS is over, and what lacks is the rest
 * of HTTP or of the WebSocket. */
static void test_notified(void **state) {
  (void)state;
  if (!with_tls)
    return;
  size_t text = 0;
  while (!try(NOTIFIED, SIZE_MAX, text))
    text++;
  assert_true(text > 150);
}

static void test_killed(void **state) {
  static const size_t places[] = {0, 1, 100, 160, 170, 200, 300, 700, 1000};
  (void)state;
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
    try(KILLED, places[i], SIZE_MAX);
  try(KILLED, SIZE_MAX, SIZE_MAX);
}

/* --- Setting up --- */

static int set_up(void **state) {
  cert_plan plan = {.name = "Test root", .is_root = 1};
  cert_plan server = {
      .name = "server", .names = "IP:127.0.0.1", .issuer = &root, .serial = 1};
  struct sockaddr_in at = {.sin_family = AF_INET};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
  assert_int_equal(listen(listener, 8), 0);
  if (with_tls) {
    cert_make(&root, &plan);
    cert_make(&own, &server);
    tls = ours_is_server ? cert_tls(&own, NULL, NULL)
                         : cert_tls(NULL, &root, NULL);
    raw_tls = wire_context(ours_is_server ? NULL : &own);
  }
  return fds_remember(state);
}

/* What libuv and OpenSSL keep for good is there after one conversation. */
static void test_warm_up(void **state) {
  (void)state;
  trial t;
  memset(&t, 0, sizeof(t));
  begin(&t);
  assert_int_equal(talk(&t), 1);
  vanish(&t);
  for (int i = 0; ends(&t) == 0; i++)
    turn(&t, i);
  assert_int_equal(end_error(&t), NWS_OK);
  fixture_end(&t.fx);
}

static int tear_down(void **state) {
  int rc = fds_compare(state);
  close(listener);
  nws_tls_drop(tls);
  SSL_CTX_free(raw_tls);
  if (with_tls) {
    cert_free(&root);
    cert_free(&own);
  }
  return rc;
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_warm_up),   cmocka_unit_test(test_complete),
      cmocka_unit_test(test_half),      cmocka_unit_test(test_reset),
      cmocka_unit_test(test_abandoned), cmocka_unit_test(test_notified),
      cmocka_unit_test(test_killed),    cmocka_unit_test(test_silent),
  };
  if (argc != 3) {
    fprintf(stderr, "usage: test_net_vanish server|client plain|tls\n");
    return 2;
  }
  faults_install();
  faults_forward(0);
  ours_is_server = strcmp(argv[1], "server") == 0;
  with_tls = strcmp(argv[2], "tls") == 0;
  /* Nobody ignores it: whoever writes to one who has left dies of it. */
  signal(SIGPIPE, SIG_DFL);
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
