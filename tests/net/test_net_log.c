/* test_net_log.c - a server's log: what comes into it at which level, how
 * often, and that nothing of what the other end says does.
 */
#include "net_fixture.h"
#include <sys/resource.h>

enum { LINES = 64 };

static struct {
  int counts[5]; /* by level */
  char lines[LINES][256];
  int len;
  int stop; /* stops the server from inside */
} heard;

static void hear(nws_server *server, nws_log_level level, const char *text,
                 void *user) {
  assert_ptr_equal(user, nws_server_user(server));
  assert_in_range(level, NWS_LOG_ERROR, NWS_LOG_DEBUG);
  assert_null(strpbrk(text, "\r\n"));
  heard.counts[level]++;
  if (heard.len < LINES)
    snprintf(heard.lines[heard.len++], sizeof(heard.lines[0]), "%s %s",
             nws_log_name(level), text);
  if (heard.stop)
    nws_server_stop(server, NWS_CLOSE_GOING_AWAY);
}

static void prepare(fixture *fx, nws_log_level level) {
  memset(&heard, 0, sizeof(heard));
  fixture_init(fx);
  fx->options.log = hear;
  fx->options.log_level = level;
}

/* The last line but `after`, without the port of the other end. */
static void assert_line(int after, const char *level, const char *rest) {
  char begin[64];
  assert_true(heard.len > after);
  const char *line = heard.lines[heard.len - 1 - after];
  snprintf(begin, sizeof(begin), "%s 127.0.0.1:", level);
  if (strncmp(line, begin, strlen(begin)) != 0)
    fail_msg("%s", line);
  assert_string_equal(
      line + strlen(begin) + strspn(line + strlen(begin), "0123456789"), rest);
}

static void test_levels(void **state) {
  fixture fx;
  nws_log_level level;
  (void)state;
  assert_string_equal(nws_log_name(NWS_LOG_ERROR), "error");
  assert_string_equal(nws_log_name(0), "unknown");
  prepare(&fx, 5);
  assert_int_equal(nws_server_start(fx.loop, &fx.options, &fx.server),
                   NWS_ERROR_ARGUMENT);
  fixture_end(&fx);
  for (level = 0; level <= NWS_LOG_DEBUG; level++) {
    raw r;
    prepare(&fx, level);
    fixture_serve(&fx);
    raw_open(&fx, &r); /* two lines of debugging, one of them the end */
    raw_free(&r);
    step_until(&fx, fx.s.closes == 1);
    raw_connect(&r, &fx); /* one of information */
    raw_send(&fx, &r, "?\r\n\r\n", 5);
    raw_until(&fx, &r, r.ended);
    raw_free(&r);
    step_until(&fx, nws_server_peers(fx.server) == 0);
    assert_int_equal(heard.counts[NWS_LOG_DEBUG],
                     level == NWS_LOG_DEBUG ? 2 : 0);
    assert_int_equal(heard.counts[NWS_LOG_INFO],
                     level == 0 || level >= NWS_LOG_INFO);
    assert_int_equal(heard.counts[NWS_LOG_WARNING], 0);
    fixture_end(&fx);
    if (level == 0)
      assert_string_equal(heard.lines[heard.len - 1], "info stopped");
  }
}

static void test_lines(void **state) {
  fixture fx;
  raw r;
  (void)state;
  prepare(&fx, NWS_LOG_DEBUG);
  fx.conn.ping_interval_ms = fx.conn.pong_timeout_ms = 1000;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  assert_line(0, "debug", ": open");
  raw_frame(&fx, &r, 0x88, "\x03\xe9", 2);
  raw_until(&fx, &r, r.ended);
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_line(0, "debug",
              ": closed; no error; status codes: 1001 came, 1001 "
              "went");
  raw_connect(&r, &fx);
  step_until(&fx, nws_server_peers(fx.server) == 1);
  raw_free(&r);
  step_until(&fx, nws_server_peers(fx.server) == 0);
  assert_line(0, "debug",
              ": no connection; the transport ended inside the head");
  raw_open(&fx, &r);
  step_until(&fx, fx.s.closes == 2); /* no pong */
  assert_line(1, "info", ": given up; the peer did not answer a ping in time");
  assert_line(0, "debug",
              ": closed; the peer did not answer a ping in time; "
              "status codes: 1006 came, 1011 went");
  raw_free(&r);
  fixture_end(&fx);
}

static void test_slow(void **state) {
  enum { LEN = 8000 * 1024 };
  fixture fx;
  raw r;
  (void)state;
  prepare(&fx, 0);
  fx.conn.ping_interval_ms = fx.conn.pong_timeout_ms = 50;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(heard.len, 1);
  assert_non_null(strstr(heard.lines[0], ": given up; it takes nothing of "));
  free(data);
  raw_free(&r);
  fixture_end(&fx);
}

/* Whatever is said, and however it ends, none of it is in the log. */
static void test_secrets(void **state) {
  static const char request[] = "GET /secret?token=secret HTTP/1.1\r\n"
                                "Host: secret\r\n"
                                "Authorization: secret\r\n"
                                "Cookie: secret\r\n"
                                "Upgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
                                "\r\n\r\n";
  fixture fx;
  raw r;
  (void)state;
  prepare(&fx, NWS_LOG_DEBUG);
  fixture_serve(&fx);
  for (int i = 0; i < 4; i++) {
    raw_connect(&r, &fx);
    /* A whole one, two broken ones, half of one. */
    raw_send(&fx, &r, request + (i == 1), sizeof(request) - 1 - (i == 1));
    if (i == 0) {
      raw_until(&fx, &r, raw_head(&r) > 0);
      raw_frame(&fx, &r, 0x81, "secret", 6);
      raw_frame(&fx, &r, 0x89, "secret", 6);
      raw_frame(&fx, &r, 0x88, "\x0f\xa0secret", 8);
    } else if (i == 2) {
      raw_frame(&fx, &r, 0xf1, "secret", 6);
    }
    if (i == 3)
      raw_frame(&fx, &r, 0x83, "secret", 6);
    raw_until(&fx, &r, r.ended || r.error);
    raw_free(&r);
    step_until(&fx, nws_server_peers(fx.server) == 0);
  }
  fixture_end(&fx);
  assert_true(heard.len >= 7);
  for (int i = 0; i < heard.len; i++)
    assert_null(strstr(heard.lines[i], "secret"));
}

/* --- Limits --- */

/* A crowd is not told one by one, but for who asks for it. */
static void test_crowd(void **state) {
  enum { COUNT = 300 };
  static raw r[COUNT];
  fixture fx;
  unsigned long long sum = 0;
  (void)state;
  prepare(&fx, NWS_LOG_DEBUG);
  fx.options.max_peers = 1;
  fixture_serve(&fx);
  for (int i = 0; i < COUNT; i++)
    raw_connect(&r[i], &fx);
  step_until(&fx, heard.counts[NWS_LOG_DEBUG] == COUNT - 1);
  assert_in_range(heard.counts[NWS_LOG_WARNING], 1, 20);
  for (int i = 0; i < heard.len; i++) {
    unsigned long long count = 0;
    sscanf(heard.lines[i],
           "warning connections turned away since the last such line: %llu;",
           &count);
    sum += count;
  }
  assert_in_range(sum, 1, COUNT - 1);
  assert_string_equal(
      heard.lines[0],
      "warning connections turned away since the last such line: 1; the "
      "server has as many connections as it takes");
  for (int i = 0; i < COUNT; i++)
    raw_free(&r[i]);
  step_until(&fx, nws_server_peers(fx.server) == 0);
  assert_int_equal(heard.counts[NWS_LOG_DEBUG], COUNT); /* and one has gone */
  fixture_end(&fx);
}

static void test_no_descriptors(void **state) {
  struct rlimit old;
  fixture fx;
  raw r;
  (void)state;
  prepare(&fx, 0);
  fixture_serve(&fx);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  raw_connect(&r, &fx);
  struct rlimit low = {.rlim_cur = 3, .rlim_max = old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
  step_for(&fx, 250);
  setrlimit(RLIMIT_NOFILE, &old);
  assert_int_equal(heard.len, 1);
  assert_string_equal(heard.lines[0], "error no connection can be taken: too "
                                      "many open files");
  step_until(&fx, heard.len == 2);
  assert_string_equal(heard.lines[1], "info connections can be taken again");
  raw_free(&r);
  fixture_end(&fx);
}

/* Every line may be too much for the application. */
static void test_stop_inside(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    fixture fx;
    raw r;
    prepare(&fx, NWS_LOG_DEBUG);
    heard.stop = 1;
    fx.options.max_peers = i == 0 ? 1 : 0;
    fixture_serve(&fx);
    if (i == 0) { /* the second one is turned away */
      raw other;
      raw_connect(&other, &fx);
      raw_connect(&r, &fx);
      step_until(&fx, heard.len > 0);
      raw_free(&other);
    } else if (i == 1) { /* opens */
      raw_connect(&r, &fx);
      raw_send(&fx, &r, raw_request, RAW_REQUEST_LEN);
    } else { /* comes to nothing */
      raw_connect(&r, &fx);
      raw_send(&fx, &r, "?\r\n\r\n", 5);
    }
    raw_until(&fx, &r, r.ended);
    raw_free(&r);
    step_until(&fx, fx.stops == 1);
    fixture_end(&fx);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_levels),      cmocka_unit_test(test_lines),
      cmocka_unit_test(test_slow),        cmocka_unit_test(test_secrets),
      cmocka_unit_test(test_crowd),       cmocka_unit_test(test_no_descriptors),
      cmocka_unit_test(test_stop_inside),
  };
  return run_without_leaks(tests);
}
