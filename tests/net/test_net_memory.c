/* test_net_memory.c - memory runs out, at every place where it is asked for,
 * for a moment or for good.
 *
 *     test_net_memory plain|tls
 *
 * Our own server and client are made, talk, close and go; each request for
 * memory of ours, of libuv and of OpenSSL fails in turn. Whatever comes of it:
 * a function says so, or each end is told once that it is over; what arrives is
 * right; nothing hangs, and everything is given back.
 */
#include "talk.h"

/* OpenSSL 3.0 loses a block or two itself where memory runs out while it parses
 * a certificate; a connection of ours that was not freed would be dozens. */
#define OPENSSL_LOSES 2

/* What LeakSanitizer need not tell, for the same reason. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *
__lsan_default_suppressions(void) {
  return "leak:libcrypto\nleak:libssl\n";
}

static const char *const owners[] = {"ours", "libuv", "OpenSSL"};

static int with_tls;

/* For failures of libuv. It calls abort() where it makes a loop or has to grow
 * the loop's table of descriptors, which both have been done here. */
static uv_loop_t ready;

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)poll;
  (void)status;
  (void)events;
}

static void make_ready(void) {
  int pair[2];
  uv_poll_t poll;
  assert_int_equal(uv_loop_init(&ready), 0);
  assert_int_equal(pipe(pair), 0);
  int fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 120);
  assert_true(fd >= 120);
  assert_int_equal(uv_poll_init(&ready, &poll, fd), 0);
  assert_int_equal(uv_poll_start(&poll, UV_READABLE, on_ready), 0);
  uv_close((uv_handle_t *)&poll, NULL);
  uv_run(&ready, UV_RUN_DEFAULT);
  close(fd);
  close(pair[0]);
  close(pair[1]);
}

static int warm; /* OpenSSL and libuv have what they keep for good */

/* Returns whether the request was met. */
static int try(faults_owner owner, long at, int onwards) {
  faults_live before = faults_live_now();
  int fds = count_fds();
  talk t;
  faults_sockets(NULL);
  talk_prepare(&t, owner == FAULTS_OPENSSL ? 10 : 390000);
  talk_patiently(&t);
  if (owner == FAULTS_UV) { /* which asks for memory to look a name up */
    t.uv = &ready;
    t.host = "localhost";
  }
  faults_memory(owner, at, onwards);
  int rc = talk_begin(&t);
  talk_on(&t);
  int hit = at >= 0 && faults_requests() > at;
  faults_memory(owner, -1, 0);
  talk_end(&t);
  if (rc != NWS_OK && rc != NWS_ERROR_MEMORY && rc != UV_ENOMEM &&
      rc != NWS_ERROR_TLS_CONFIG)
    fail_msg("%s, %ld: %d", owners[owner], at, rc);
  if (!hit && !talk_clean(&t))
    fail_msg("%s, %ld: client %d, server %d, not for lack of memory",
             owners[owner], at, t.fx.c.error, t.fx.s.error);
  if (warm)
    talk_compare(&before, fds, owners[owner], at,
                 owner == FAULTS_OPENSSL ? OPENSSL_LOSES : 0);
  warm = 1;
  return hit;
}

static void each(faults_owner owner, int onwards) {
  long stride = owner == FAULTS_OPENSSL ? FAULTS_STRIDE : 1;
  long at = onwards * stride / 2;
  try(owner, -1, 0);
  while (try(owner, at, onwards))
    at += stride;
  assert_true(at > 0);
  printf("%s: %ld requests\n", owners[owner], at);
}

static void test_ours_once(void **state) {
  (void)state;
  each(FAULTS_OURS, 0);
}

static void test_ours_for_good(void **state) {
  (void)state;
  each(FAULTS_OURS, 1);
}

static void test_uv_once(void **state) {
  (void)state;
  each(FAULTS_UV, 0);
}

static void test_uv_for_good(void **state) {
  (void)state;
  each(FAULTS_UV, 1);
}

static void test_openssl_once(void **state) {
  (void)state;
  if (with_tls)
    each(FAULTS_OPENSSL, 0);
}

static void test_openssl_for_good(void **state) {
  (void)state;
  if (with_tls)
    each(FAULTS_OPENSSL, 1);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ours_once),
      cmocka_unit_test(test_ours_for_good),
      cmocka_unit_test(test_uv_once),
      cmocka_unit_test(test_uv_for_good),
      cmocka_unit_test(test_openssl_once),
      cmocka_unit_test(test_openssl_for_good),
  };
  if (argc != 2) {
    fprintf(stderr, "usage: test_net_memory plain|tls\n");
    return 2;
  }
  faults_install();
  make_ready();
  faults_forward(0);
  signal(SIGPIPE, SIG_DFL);
  talk_fill();
  with_tls = strcmp(argv[1], "tls") == 0;
  if (with_tls)
    talk_certify();
  int rc = run_without_leaks(tests);
  assert_int_equal(uv_loop_close(&ready), 0);
  if (with_tls)
    talk_uncertify();
  return rc;
}
