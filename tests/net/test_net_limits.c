/* test_net_limits.c - who is turned away, how he is told, and that it costs
 * nobody else anything.
 */
#include "../../src/net/net_internal.h"
#include "net_fixture.h"

static struct { int calls, error; } told;

static void note_trouble(nws_server *server, const nws_trouble *what,
                         void *user) {
  (void)server;
  (void)user;
  told.calls++;
  told.error = what->error;
}

static void prepare(fixture *fx) {
  memset(&told, 0, sizeof(told));
  fixture_init(fx);
  fx->options.trouble = note_trouble;
}

static nws_stats stats_of(const fixture *fx) {
  nws_stats s;
  nws_server_stats(fx->server, &s);
  return s;
}

/* Connects from an address of this machine. */
static void raw_from(raw *r, const fixture *fx, const char *address) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(inet_pton(AF_INET, address, &at.sin_addr), 1);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
  at.sin_port = htons(nws_server_port(fx->server));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
  raw_init(r, fd);
}

static void shake(fixture *fx, raw *r, const char *status) {
  raw_send(fx, r, raw_request, RAW_REQUEST_LEN);
  raw_until(fx, r, raw_head(r) > 0);
  assert_memory_equal(r->data, status, strlen(status));
}

/* Is told why not, and that is the end. */
static void turned_away(fixture *fx, raw *r, const char *status, int error) {
  int calls = told.calls;
  raw_until(fx, r, r->ended);
  assert_memory_equal(r->data, status, strlen(status));
  assert_non_null(strstr((char *)r->data, nws_error_text(error)));
  raw_free(r);
  step_until(fx, told.calls == calls + 1);
  assert_int_equal(told.error, error);
}

/* --- Addresses --- */

static void test_per_address(void **state) {
  fixture fx;
  raw r[4];
  (void)state;
  prepare(&fx);
  fx.options.max_per_address = 2;
  fixture_serve(&fx);
  raw_from(&r[0], &fx, "127.0.0.1");
  raw_from(&r[1], &fx, "127.0.0.1");
  step_until(&fx, nws_server_peers(fx.server) == 2);
  raw_from(&r[2], &fx, "127.0.0.1");
  turned_away(&fx, &r[2], "HTTP/1.1 429 ", NWS_ERROR_ADDRESS_LIMIT);
  raw_from(&r[3], &fx, "127.0.0.2"); /* somebody else */
  shake(&fx, &r[3], "HTTP/1.1 101 ");
  raw_free(&r[0]); /* one goes, another may come */
  step_until(&fx, nws_server_peers(fx.server) == 2);
  raw_from(&r[0], &fx, "127.0.0.1");
  shake(&fx, &r[0], "HTTP/1.1 101 ");
  nws_stats s = stats_of(&fx);
  assert_int_equal(s.turned_address, 1);
  assert_int_equal(s.accepted, 5);
  for (int i = 0; i < 4; i++)
    if (i != 2)
      raw_free(&r[i]);
  step_until(&fx, nws_server_peers(fx.server) == 0);
  assert_null(fx.server->quota.places);
  fixture_end(&fx);
}

static void proxied(raw *r, fixture *fx, const char *header, int ok) {
  raw_connect(r, fx);
  raw_send(fx, r, header, strlen(header));
  if (ok)
    shake(fx, r, "HTTP/1.1 101 ");
}

/* What the proxy says counts: of IPv6 the first half, and of nobody whom it
 * does not name. */
static void test_proxied(void **state) {
  static const char *const known[] = {
      "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
      "PROXY TCP4 192.0.2.8 198.51.100.1 4711 443\r\n",
      "PROXY TCP6 2001:db8::7 ::1 1 443\r\n",
      "PROXY TCP6 2001:db8:0:1::7 ::1 1 443\r\n",
      "PROXY UNKNOWN\r\n",
      "PROXY UNKNOWN\r\n"};
  static const char *const again[] = {
      "PROXY TCP4 192.0.2.7 198.51.100.1 12 443\r\n",
      "PROXY TCP6 2001:db8::ffff:0:0:8 ::1 1 443\r\n",
      "PROXY TCP6 ::ffff:192.0.2.8 ::1 1 443\r\n"};
  nws_listener_options how = {.size = sizeof(how), .proxy_header = 1};
  nws_listener *listener;
  fixture fx;
  raw r[6], more;
  (void)state;
  prepare(&fx);
  assert_int_equal(nws_listener_open("127.0.0.1:0", &how, &listener), NWS_OK);
  fx.options.listeners = &listener;
  fx.options.listener_count = 1;
  fx.options.max_per_address = 1;
  fixture_serve(&fx);
  nws_listener_drop(listener);
  for (int i = 0; i < 6; i++)
    proxied(&r[i], &fx, known[i], 1);
  for (int i = 0; i < 3; i++) {
    proxied(&more, &fx, again[i], 0);
    turned_away(&fx, &more, "HTTP/1.1 429 ", NWS_ERROR_ADDRESS_LIMIT);
  }
  nws_stats s = stats_of(&fx);
  assert_int_equal(s.turned_address, 3);
  assert_int_equal(s.opened, 6);
  assert_int_equal(s.handshakes, 0);
  for (int i = 0; i < 6; i++)
    raw_free(&r[i]);
  step_until(&fx, nws_server_peers(fx.server) == 0);
  fixture_end(&fx);
}

/* --- Handshakes --- */

static void test_handshakes(void **state) {
  fixture fx;
  raw r[4];
  (void)state;
  prepare(&fx);
  fx.options.max_handshakes = 2;
  fixture_serve(&fx);
  raw_connect(&r[0], &fx);
  raw_connect(&r[1], &fx);
  step_until(&fx, nws_server_peers(fx.server) == 2);
  raw_connect(&r[2], &fx);
  turned_away(&fx, &r[2], "HTTP/1.1 503 ", NWS_ERROR_HANDSHAKE_LIMIT);
  shake(&fx, &r[0], "HTTP/1.1 101 "); /* that one is over */
  raw_connect(&r[2], &fx);
  shake(&fx, &r[2], "HTTP/1.1 101 ");
  raw_connect(&r[3], &fx); /* and here both places are taken again */
  step_until(&fx, stats_of(&fx).handshakes == 2);
  raw more;
  raw_connect(&more, &fx);
  turned_away(&fx, &more, "HTTP/1.1 503 ", NWS_ERROR_HANDSHAKE_LIMIT);
  assert_int_equal(stats_of(&fx).turned_handshakes, 2);
  for (int i = 0; i < 4; i++)
    raw_free(&r[i]);
  fixture_end(&fx);
}

/* With times made up. */
static void test_bucket(void **state) {
  const uint64_t second = UINT64_C(1000000000);
  nws_loop loop;
  nws_server server;
  uint64_t now = 7 * second;
  (void)state;
  memset(&loop, 0, sizeof(loop));
  memset(&server, 0, sizeof(server));
  server.loop = &loop;
  server.options.handshake_burst = 3;
  assert_int_equal(nws__limits_take(&server), NWS_ERROR_CONFIG);
  server.options.handshake_rate = 10;
  assert_int_equal(nws__limits_take(&server), NWS_OK);
  for (int i = 0; i < 3; i++)
    assert_int_equal(nws__limits_rate(&server, now), NWS_OK);
  assert_int_equal(nws__limits_rate(&server, now), NWS_ERROR_RATE_LIMIT);
  now += second / 10 - 1;
  assert_int_equal(nws__limits_rate(&server, now), NWS_ERROR_RATE_LIMIT);
  now += 1;
  assert_int_equal(nws__limits_rate(&server, now), NWS_OK);
  assert_int_equal(nws__limits_rate(&server, now), NWS_ERROR_RATE_LIMIT);
  int taken = 0;
  for (int i = 0; i < 10000; i++, now += second / 1000)
    taken += nws__limits_rate(&server, now) == NWS_OK;
  assert_in_range(taken, 99, 100); /* ten a second, for ten seconds */
  now += second;                   /* what was not used adds up to the burst */
  for (int i = 0; i < 4; i++)
    assert_int_equal(nws__limits_rate(&server, now) == NWS_OK, i < 3);
}

static void test_rate(void **state) {
  enum { COUNT = 60 };
  fixture fx;
  raw r[COUNT];
  int away = 0;
  (void)state;
  prepare(&fx);
  fx.options.handshake_rate = 1;
  fx.options.handshake_burst = 2;
  fixture_serve(&fx);
  for (int i = 0; i < COUNT; i++) {
    raw_connect(&r[i], &fx);
    step_until(&fx, stats_of(&fx).accepted == (uint64_t)i + 1);
    if (i < 2)
      shake(&fx, &r[i], "HTTP/1.1 101 ");
  }
  for (int i = 2; i < COUNT && away == 0; i++) {
    step_for(&fx, 1);
    raw_read(&r[i]);
    away = r[i].len > 0;
    if (away) {
      assert_memory_equal(r[i].data, "HTTP/1.1 503 ", 13);
      raw_free(&r[i]);
    }
  }
  assert_true(away);
  step_until(&fx, told.calls > 0);
  assert_int_equal(told.error, NWS_ERROR_RATE_LIMIT);
  nws_stats s = stats_of(&fx);
  assert_true(s.turned_rate > 0);
  assert_int_equal(s.accepted, s.turned_rate + s.handshakes + s.opened);
  for (int i = 0; i < COUNT; i++)
    raw_free(&r[i]);
  fixture_end(&fx);
}

/* --- Many --- */

/* Those who are turned away take nobody's place, and beyond some they are
 * dropped. */
static void test_flood(void **state) {
  enum { COUNT = 300 };
  static raw r[COUNT];
  fixture fx;
  raw other;
  (void)state;
  prepare(&fx);
  fx.options.max_peers = 2;
  fx.options.max_per_address = 1;
  fixture_serve(&fx);
  for (int i = 0; i < COUNT; i++)
    raw_from(&r[i], &fx, "127.0.0.2");
  step_until(&fx, stats_of(&fx).accepted == COUNT);
  assert_true(nws_server_peers(fx.server) <= 1 + NWS__SURPLUS_PEERS);
  raw_from(&other, &fx, "127.0.0.3");
  shake(&fx, &other, "HTTP/1.1 101 ");
  int answered = 0;
  for (int i = 1; i < COUNT; i++) {
    raw_until(&fx, &r[i], r[i].ended || r[i].error);
    answered += r[i].len > 0;
  }
  assert_true(answered >= (int)NWS__SURPLUS_PEERS);
  assert_int_equal(stats_of(&fx).turned_address, COUNT - 1);
  for (int i = 0; i < COUNT; i++)
    raw_free(&r[i]);
  step_until(&fx, told.calls == COUNT); /* the first one has said nothing */
  assert_int_equal(stats_of(&fx).failed_gone, 1);
  raw_free(&other);
  step_until(&fx, nws_server_peers(fx.server) == 0);
  assert_null(fx.server->quota.places);
  fixture_end(&fx);
}

/* --- The table --- */

/* From OpenSSL: openssl mac -macopt hexkey:… -macopt size:8 SIPHASH */
static void ignore(uv_poll_t *poll, int status, int events) {
  (void)poll;
  (void)status;
  (void)events;
}

/* One that is beyond a limit, and cannot even be told so, is not taken off the
 * number of handshakes under way: that would go below nothing, and nobody would
 * get in any more. */
static void test_cannot_be_told(void **state) {
  fixture fx;
  raw first, second, third;
  uv_poll_t poll;
  (void)state;
  prepare(&fx);
  fx.options.max_peers = 1;
  fixture_serve(&fx);
  raw_from(&first, &fx, "127.0.0.1");
  shake(&fx, &first, "HTTP/1.1 101");
  /* The descriptor that the second will get is watched already, from before it
   * was closed: libuv does not watch it twice. */
  int fd = dup(first.fd);
  assert_int_equal(uv_poll_init(nws_loop_uv(fx.loop), &poll, fd), 0);
  assert_int_equal(uv_poll_start(&poll, UV_READABLE, ignore), 0);
  step(&fx);
  raw_from(&second, &fx, "127.0.0.1");
  assert_int_equal(close(fd), 0);
  step_until(&fx, told.calls == 1);
  assert_int_equal(told.error, UV_EEXIST);
  assert_int_equal(stats_of(&fx).handshakes, 0);
  uv_close((uv_handle_t *)&poll, NULL);
  raw_free(&second);
  raw_free(&first);
  step_until(&fx, nws_server_peers(fx.server) == 0);
  raw_from(&third, &fx, "127.0.0.1");
  shake(&fx, &third, "HTTP/1.1 101");
  raw_free(&third);
  fixture_end(&fx);
}

static void test_hash(void **state) {
  const uint64_t a[2] = {UINT64_C(0x0706050403020100),
                         UINT64_C(0x0f0e0d0c0b0a0908)};
  const uint64_t b[2] = {UINT64_MAX, UINT64_C(0x0100000000000000)};
  (void)state;
  assert_int_equal(nws__quota_hash(a, a[0]), UINT64_C(0x93f5f5799a932462));
  assert_int_equal(nws__quota_hash(b, UINT64_C(0x0123456789abcdef)),
                   UINT64_C(0x8540f91dd87b9ce6));
}

static uint64_t who(const char *text) {
  nws__address at = {0};
  uint64_t value = 0;
  int six = strchr(text, ':') != NULL;
  if (six)
    assert_int_equal(uv_ip6_addr(text, 1, &at.six), 0);
  else
    assert_int_equal(uv_ip4_addr(text, 1, &at.four), 0);
  assert_int_equal(nws__quota_who(&at, &value), 1);
  return value;
}

static void test_who(void **state) {
  nws__address none = {0};
  uint64_t value;
  (void)state;
  assert_int_equal(nws__quota_who(&none, &value), 0);
  none.any.sa_family = AF_UNIX;
  assert_int_equal(nws__quota_who(&none, &value), 0);
  assert_int_equal(who("192.0.2.1"), who("::ffff:192.0.2.1"));
  assert_int_equal(who("2001:db8::1"), who("2001:db8::ffff:ffff:ffff:ffff"));
  assert_int_not_equal(who("192.0.2.1"), who("192.0.2.2"));
  assert_int_not_equal(who("192.0.2.1"), who("::1"));
  assert_int_not_equal(who("2001:db8::1"), who("2001:db8:0:1::1"));
  assert_int_not_equal(who("0.0.0.1"), who("::ff01:0:1"));
}

/* Against a plain array, with few places and many removals. */
static void test_table(void **state) {
  enum { NAMES = 500, STEPS = 200000, MAX = 3 };
  static size_t counts[NAMES];
  nws__quota quota = {.seed = {1, 2}};
  uint32_t random = 1;
  size_t used = 0;
  (void)state;
  for (int i = 0; i < STEPS; i++) {
    random = random * 1664525u + 1013904223u;
    unsigned name = (random >> 8) % NAMES;
    /* It fills up, and empties again. */
    int take = (random >> 28) < (i / 20000 % 2 == 0 ? 11 : 5);
    if (take) {
      int rc = nws__quota_take(&quota, name, MAX);
      int full = counts[name] == MAX;
      assert_int_equal(rc, full ? NWS_ERROR_ADDRESS_LIMIT : NWS_OK);
      used += counts[name] == 0;
      counts[name] += !full;
    } else if (counts[name] > 0) {
      nws__quota_give(&quota, name);
      used -= --counts[name] == 0;
    }
    assert_int_equal(quota.used, used);
    assert_true(quota.cap <= 1024);
  }
  for (unsigned name = 0; name < NAMES; name++)
    while (counts[name]-- > 0)
      nws__quota_give(&quota, name);
  assert_null(quota.places);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_per_address),
      cmocka_unit_test(test_proxied),
      cmocka_unit_test(test_handshakes),
      cmocka_unit_test(test_bucket),
      cmocka_unit_test(test_rate),
      cmocka_unit_test(test_flood),
      cmocka_unit_test(test_cannot_be_told),
      cmocka_unit_test(test_hash),
      cmocka_unit_test(test_who),
      cmocka_unit_test(test_table),
  };
  return run_without_leaks(tests);
}
