/* test_net_syscalls.c - what the system may answer to a socket's calls: fewer
 * bytes than asked for, nothing yet, a signal came, and every error it knows.
 *
 *     test_net_syscalls plain|tls
 *
 * Our own server and client talk, and both work through calls that follow a
 * plan. What arrives is right, or each end is told once that it is over, and
 * the one whose call failed hears of that error.
 */
#include "client_stage.h"
#include "talk.h"

/* The plan in force. */
static struct {
  faults_call call;
  long at;
  int error;
  size_t cut;
  size_t max;
  uint32_t seed;
  int hit;
  int hit_server;
} now;

typedef struct result {
  int clean;
  int client, server; /* errors */
  int accept_troubles, trouble_error;
} result;

static int patient; /* nothing times out */
static int warm;    /* OpenSSL and libuv have what they keep for good */

static result try(faults_plan plan, size_t len, const char *what) {
  faults_live before = faults_live_now();
  int fds = count_fds();
  result r;
  talk t;
  now.hit = 0;
  faults_sockets(NULL);
  talk_prepare(&t, len);
  if (patient)
    talk_patiently(&t);
  assert_int_equal(nws_loop_new(NULL, &t.fx.loop), NWS_OK);
  assert_int_equal(nws_loop_free(t.fx.loop), NWS_OK);
  faults_sockets(plan);
  (void)talk_begin(&t);
  talk_on(&t);
  talk_end(&t);
  r.clean = talk_clean(&t);
  r.client = t.fx.c.error;
  r.server = t.troubles > 0 ? t.trouble_error : t.fx.s.error;
  r.accept_troubles = t.accept_troubles;
  r.trouble_error = t.trouble_error;
  faults_sockets(NULL);
  if (warm)
    talk_compare(&before, fds, what, now.at, 0);
  warm = 1;
  return r;
}

static void expect_clean(faults_plan plan, size_t len, const char *what,
                         long number) {
  result r = try(plan, len, what);
  if (!r.clean)
    fail_msg("%s, %ld: client %d, server %d", what, number, r.client, r.server);
}

/* --- Cut --- */

static int plan_none(faults_call call, long number, int fd, size_t *max) {
  (void)call;
  (void)number;
  (void)fd;
  (void)max;
  return 0;
}

/* Sending stops at one place in all that is sent, and there once more. */
static int plan_cut(faults_call call, long number, int fd, size_t *max) {
  (void)number;
  (void)fd;
  if (call != FAULTS_SENDMSG || faults_sent() > now.cut)
    return 0;
  if (faults_sent() < now.cut)
    *max = now.cut - faults_sent();
  else if (!now.hit++)
    return EAGAIN;
  return 0;
}

static void test_cut(void **state) {
  size_t stride = talk_server_tls != NULL ? FAULTS_STRIDE : 1;
  (void)state;
  expect_clean(plan_none, 10, "warm", 0);
  memset(&now, 0, sizeof(now));
  for (now.cut = 0;; now.cut += stride) {
    expect_clean(plan_cut, 10, "cut at", (long)now.cut);
    if (!now.hit)
      break;
  }
  assert_true(now.cut > 300); /* two heads, messages and closes */
}

static int plan_pieces(faults_call call, long number, int fd, size_t *max) {
  (void)call;
  (void)number;
  (void)fd;
  *max = now.max;
  return 0;
}

static void test_pieces(void **state) {
  static const size_t sizes[] = {1,   2,   3,    5,    13,    100,
                                 255, 999, 4096, 5000, 16400, 100000};
  (void)state;
  memset(&now, 0, sizeof(now));
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    size_t len = sizes[i] * 300;
    now.max = sizes[i];
    expect_clean(plan_pieces, len < TALK_MAX ? len : TALK_MAX, "pieces of",
                 (long)now.max);
  }
}

/* --- Held up --- */

static int plan_once(faults_call call, long number, int fd, size_t *max) {
  (void)max;
  if (call != now.call || number != now.at)
    return 0;
  now.hit = 1;
  now.hit_server = fd == faults_accepted_fd();
  return now.error;
}

static void hold_up(faults_call call, int error, const char *what) {
  memset(&now, 0, sizeof(now));
  now.call = call;
  now.error = error;
  for (;; now.at++) {
    expect_clean(plan_once, 60000, what, now.at);
    if (!now.hit)
      break;
  }
  assert_true(now.at > 0);
}

static void test_held_up(void **state) {
  (void)state;
  hold_up(FAULTS_SENDMSG, EAGAIN, "send: not now");
  hold_up(FAULTS_SENDMSG, EINTR, "send: a signal");
  hold_up(FAULTS_RECV, EAGAIN, "receive: not now");
  hold_up(FAULTS_RECV, EINTR, "receive: a signal");
  hold_up(FAULTS_ACCEPT, EAGAIN, "accept: not now");
  hold_up(FAULTS_ACCEPT, EINTR, "accept: a signal");
  hold_up(FAULTS_ACCEPT, ECONNABORTED, "accept: it has gone");
  hold_up(FAULTS_CONNECT, EINTR, "connect: a signal");
  hold_up(FAULTS_CONNECT, EINPROGRESS, "connect: under way");
}

static uint32_t draw(void) {
  now.seed = now.seed * 1664525u + 1013904223u;
  return now.seed >> 8;
}

/* Most calls are held up, the rest get a few bytes. */
static int plan_random(faults_call call, long number, int fd, size_t *max) {
  (void)number;
  (void)fd;
  if (call == FAULTS_SOCKET || call == FAULTS_CONNECT)
    return 0;
  uint32_t luck = draw() % 8;
  if (luck < 3)
    return EAGAIN;
  if (luck == 3)
    return EINTR;
  *max = 1 + draw() % (draw() % 4 == 0 ? 20000 : 300);
  return 0;
}

static void test_random(void **state) {
  (void)state;
  memset(&now, 0, sizeof(now));
  for (uint32_t i = 1; i <= 60; i++) {
    now.seed = i * 7919;
    expect_clean(plan_random, 60000 + i * 5000, "seed", (long)i);
  }
}

/* --- Refused --- */

/* The call fails once, wherever it is made; both ends are told, without having
 * to wait until something times out. */
static void refuse(faults_call call, int error) {
  char what[64];
  memset(&now, 0, sizeof(now));
  now.call = call;
  now.error = error;
  snprintf(what, sizeof(what), "call %d: %s", (int)call, strerror(error));
  for (;; now.at++) {
    result r = try(plan_once, 60000, what);
    if (!now.hit)
      break;
    int told = now.hit_server ? r.server : r.client;
    if (!r.clean && told != NWS_OK && told != uv_translate_sys_error(error))
      fail_msg("%s, %ld (server %d): %d", what, now.at, now.hit_server, told);
  }
  assert_true(now.at > 0);
}

static void test_refused(void **state) {
  static const int sending[] = {ECONNRESET, EPIPE,     ENOBUFS,
                                ENOMEM,     ETIMEDOUT, ENETUNREACH,
                                EACCES,     EMSGSIZE,  EHOSTUNREACH};
  static const int receiving[] = {ECONNRESET, ETIMEDOUT, ENOMEM, ENOBUFS,
                                  EHOSTUNREACH};
  (void)state;
  patient = 1;
  for (size_t i = 0; i < sizeof(sending) / sizeof(sending[0]); i++)
    refuse(FAULTS_SENDMSG, sending[i]);
  for (size_t i = 0; i < sizeof(receiving) / sizeof(receiving[0]); i++)
    refuse(FAULTS_RECV, receiving[i]);
  patient = 0;
}

/* A client that cannot even begin. */
static void test_no_start(void **state) {
  static const int creating[] = {EMFILE, ENFILE, ENOBUFS,
                                 ENOMEM, EACCES, EAFNOSUPPORT};
  static const int connecting[] = {ECONNREFUSED, ENETUNREACH,   EACCES,
                                   EPERM,        EADDRNOTAVAIL, ETIMEDOUT,
                                   EAGAIN,       EHOSTUNREACH};
  (void)state;
  memset(&now, 0, sizeof(now));
  now.call = FAULTS_SOCKET;
  now.at = 1; /* the first is the listener's */
  for (size_t i = 0; i < sizeof(creating) / sizeof(creating[0]); i++) {
    now.error = creating[i];
    result r = try(plan_once, 10, "socket");
    assert_int_equal(now.hit, 1);
    assert_int_equal(r.client, uv_translate_sys_error(now.error));
  }
  now.call = FAULTS_CONNECT;
  now.at = 0;
  for (size_t i = 0; i < sizeof(connecting) / sizeof(connecting[0]); i++) {
    now.error = connecting[i];
    result r = try(plan_once, 10, "connect");
    assert_int_equal(now.hit, 1);
    assert_int_equal(r.client, uv_translate_sys_error(now.error));
  }
}

static int plan_no_sending(faults_call call, long number, int fd, size_t *max) {
  (void)number;
  (void)fd;
  (void)max;
  return call == FAULTS_SENDMSG ? ENOBUFS : 0;
}

/* A proxy that nothing can be said to, and that says nothing, is not waited
 * for. */
static void test_silent_proxy(void **state) {
  static const char *const schemes[] = {"http", "socks5"};
  char proxy[64];
  stage st;
  (void)state;
  stage_init(&st);
  for (int i = 0; i < 2; i++) {
    nws_client_options options = {.size = sizeof(options),
                                  .handler = &st.fx.client_handler,
                                  .url = "ws://example.org/",
                                  .proxy = proxy,
                                  .user = &st.fx.c};
    snprintf(proxy, sizeof(proxy), "%s://127.0.0.1:%u", schemes[i],
             (unsigned)st.port);
    options.limits.handshake_timeout_ms = UINT32_MAX;
    faults_sockets(plan_no_sending);
    assert_int_equal(nws_client_connect(st.fx.loop, &options, NULL), NWS_OK);
    step_until(&st.fx, st.fx.c.closes == i + 1);
    assert_int_equal(st.fx.c.error, UV_ENOBUFS);
    faults_sockets(NULL);
  }
  stage_end(&st);
}

/* A server that cannot take a connection says so once, and takes it later. */
static int plan_thrice(faults_call call, long number, int fd, size_t *max) {
  (void)fd;
  (void)max;
  return call == FAULTS_ACCEPT && number < 3 ? now.error : 0;
}

static void test_not_taken(void **state) {
  static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM,
                               EPROTO, EPERM,  ENETDOWN};
  (void)state;
  memset(&now, 0, sizeof(now));
  for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
    now.error = errors[i];
    result r = try(plan_thrice, 10, "accept");
    assert_int_equal(r.clean, 1);
    assert_int_equal(r.accept_troubles, 1);
    assert_int_equal(r.trouble_error, uv_translate_sys_error(now.error));
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cut),          cmocka_unit_test(test_pieces),
      cmocka_unit_test(test_held_up),      cmocka_unit_test(test_random),
      cmocka_unit_test(test_refused),      cmocka_unit_test(test_no_start),
      cmocka_unit_test(test_silent_proxy), cmocka_unit_test(test_not_taken),
  };
  if (argc != 2) {
    fprintf(stderr, "usage: test_net_syscalls plain|tls\n");
    return 2;
  }
  faults_install();
  faults_forward(0);
  signal(SIGPIPE, SIG_DFL);
  talk_fill();
  if (strcmp(argv[1], "tls") == 0)
    talk_certify();
  int rc = run_without_leaks(tests);
  if (strcmp(argv[1], "tls") == 0)
    talk_uncertify();
  return rc;
}
