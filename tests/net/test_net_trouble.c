/* test_net_trouble.c - what a server tells its log: connections that its
 * handler never hears of, and those that it cannot take.
 */
#include "net_fixture.h"
#include <nws/stats.h>
#include <sys/resource.h>

static struct {
  int calls;
  int error;
  int has_address;
  char address[64];
  int stop; /* stops the server from inside */
} told;

static void note_trouble(nws_server *server, const nws_trouble *what,
                         void *user) {
  assert_ptr_equal(user, nws_server_user(server));
  told.calls++;
  told.error = what->error;
  told.has_address = what->address != NULL;
  if (what->address != NULL)
    copy_text(told.address, sizeof(told.address), what->address,
              strlen(what->address));
  if (told.stop)
    nws_server_stop(server, NWS_CLOSE_GOING_AWAY);
}

static void prepare(fixture *fx) {
  memset(&told, 0, sizeof(told));
  fixture_init(fx);
  fx->options.trouble = note_trouble;
}

static void name_of(const raw *r, char *out, size_t cap) {
  struct sockaddr_in at;
  socklen_t len = sizeof(at);
  assert_int_equal(getsockname(r->fd, (struct sockaddr *)&at, &len), 0);
  snprintf(out, cap, "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
}

/* One connection says `sent` and perhaps shuts its side; `error` is told. */
static void expect(fixture *fx, const char *sent, size_t len, int shut,
                   int error) {
  char name[64];
  raw r;
  int calls = told.calls;
  raw_connect(&r, fx);
  name_of(&r, name, sizeof(name));
  raw_send(fx, &r, sent, len);
  if (shut)
    shutdown(r.fd, SHUT_WR);
  raw_until(fx, &r, r.ended);
  raw_free(&r);
  step_until(fx, told.calls > calls);
  step_until(fx, nws_server_peers(fx->server) == 0);
  assert_int_equal(told.calls, calls + 1);
  assert_int_equal(told.error, error);
  assert_true(told.has_address);
  assert_string_equal(told.address, name);
}

#define expect_text(fx, text, shut, error)                                     \
  expect(fx, text, sizeof(text) - 1, shut, error)

static void test_unheard(void **state) {
  static const char old_version[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                    "Upgrade: websocket\r\n"
                                    "Connection: Upgrade\r\n"
                                    "Sec-WebSocket-Version: 8\r\n"
                                    "Sec-WebSocket-Key: "
                                    "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  fixture fx;
  (void)state;
  prepare(&fx);
  fx.options.limits.handshake_timeout_ms = 100;
  fixture_serve(&fx);
  assert_ptr_equal(nws_server_user(fx.server), &fx.s);
  expect_text(&fx, "hello, server?\r\n\r\n", 0, NWS_ERROR_HTTP_START_LINE);
  expect_text(&fx, old_version, 0, NWS_ERROR_VERSION);
  expect_text(&fx, "GET / HTTP/1.1\r\nHost", 1, NWS_ERROR_HTTP_EOF);
  expect_text(&fx, "GET / HTTP/1.1\r\nHost", 0, NWS_ERROR_HANDSHAKE_TIMEOUT);
  expect_text(&fx, "", 1, NWS_ERROR_HTTP_EOF);
  char *large = malloc(100000);
  memset(large, 'a', 100000);
  memcpy(large, "GET / HTTP/1.1\r\nX: ", 19);
  expect(&fx, large, 100000, 0, NWS_ERROR_HTTP_HEAD_LIMIT);
  free(large);
  assert_int_equal(fx.s.closes, 0);
  fixture_end(&fx);
}

static void turn_away(nws_peer *peer, const nws_server_handshake *request,
                      int error) {
  nws_rejection answer = {.size = sizeof(answer), .status = 404};
  note_http(peer, request, error);
  nws_peer_respond(peer, &answer);
}

static char closed_name[64];

static void note_name(nws_peer *peer, const nws_closed *how) {
  assert_int_equal(nws_peer_address(peer, closed_name, sizeof(closed_name)),
                   NWS_OK);
  note_closed(peer, how);
}

/* What the handler hears of is not told a second time. Its `closed` still knows
 * who it was. */
static void test_heard(void **state) {
  static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  char name[64];
  fixture fx;
  raw r;
  (void)state;
  prepare(&fx);
  fx.server_handler.http = turn_away;
  fx.server_handler.closed = note_name;
  fixture_serve(&fx);
  raw_connect(&r, &fx);
  name_of(&r, name, sizeof(name));
  raw_send(&fx, &r, get, sizeof(get) - 1);
  raw_until(&fx, &r, r.ended);
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_string_equal(closed_name, name);
  raw_open(&fx, &r);
  name_of(&r, name, sizeof(name));
  raw_reset(&r);
  step_until(&fx, fx.s.closes == 2);
  assert_string_equal(closed_name, name);
  fixture_end(&fx);
  assert_int_equal(told.calls, 0);
}

static void test_too_many(void **state) {
  fixture fx;
  raw r[2];
  char name[64];
  (void)state;
  prepare(&fx);
  fx.options.max_peers = 1;
  fixture_serve(&fx);
  raw_open(&fx, &r[0]);
  raw_connect(&r[1], &fx);
  name_of(&r[1], name, sizeof(name));
  raw_until(&fx, &r[1], r[1].ended);
  assert_memory_equal(r[1].data, "HTTP/1.1 503 ", 13);
  raw_free(&r[1]);
  step_until(&fx, told.calls == 1);
  assert_int_equal(told.error, NWS_ERROR_PEER_LIMIT);
  assert_string_equal(told.address, name);
  raw_free(&r[0]);
  fixture_end(&fx);
}

/* Told once, however long it lasts; and again when it comes back. */
static void test_no_descriptors(void **state) {
  struct rlimit old;
  fixture fx;
  raw r[2];
  uint64_t errors = 0;
  (void)state;
  prepare(&fx);
  fixture_serve(&fx);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  for (int i = 0; i < 2; i++) {
    raw_connect(&r[i], &fx);
    struct rlimit low = {.rlim_cur = 3, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    step_for(&fx, 350);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(told.calls, i + 1);
    assert_int_equal(told.error, UV_EMFILE);
    assert_false(told.has_address);
    nws_stats s;
    nws_server_stats(fx.server, &s);
    assert_true(s.accept_errors > errors); /* each try counts */
    assert_int_equal(s.accepted, i);
    errors = s.accept_errors;
    step_until(&fx, nws_server_peers(fx.server) == (size_t)i + 1);
  }
  for (int i = 0; i < 2; i++)
    raw_free(&r[i]);
  step_until(&fx, nws_server_peers(fx.server) == 0);
  fixture_end(&fx);
}

/* Both kinds of trouble may be too much for the application. */
static void test_stop_inside(void **state) {
  struct rlimit old;
  fixture fx;
  raw r;
  (void)state;
  for (int descriptors = 0; descriptors < 2; descriptors++) {
    prepare(&fx);
    told.stop = 1;
    fixture_serve(&fx);
    raw_connect(&r, &fx);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    if (descriptors) {
      struct rlimit low = {.rlim_cur = 3, .rlim_max = old.rlim_max};
      assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    } else {
      raw_send(&fx, &r, "?\r\n\r\n", 5);
      raw_until(&fx, &r, r.ended);
      raw_free(&r);
    }
    step_until(&fx, fx.stops == 1);
    setrlimit(RLIMIT_NOFILE, &old);
    raw_free(&r);
    assert_int_equal(told.calls, 1);
    fixture_end(&fx);
  }
}

/* What is told has a text, whoever's error it is. */
static void test_texts(void **state) {
  (void)state;
  assert_string_equal(nws_error_get(UV_EMFILE)->name, "unknown");
  assert_string_equal(nws_error_get(UV_EAI_NONAME)->name, "unknown");
  assert_string_equal(nws_net_text(UV_EMFILE), uv_strerror(UV_EMFILE));
  assert_string_equal(nws_net_text(NWS_ERROR_HTTP_EOF),
                      nws_error_text(NWS_ERROR_HTTP_EOF));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_unheard),     cmocka_unit_test(test_heard),
      cmocka_unit_test(test_too_many),    cmocka_unit_test(test_no_descriptors),
      cmocka_unit_test(test_stop_inside), cmocka_unit_test(test_texts),
  };
  return run_without_leaks(tests);
}
