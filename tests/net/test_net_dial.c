/* test_net_dial.c - which addresses a client tries, in what order, and for how
 * long.
 *
 * An address that does not answer is one of 127.0.0.0/8 with a listener whose
 * backlog is full: Linux drops what comes then.
 */
#include "../../src/net/client_internal.h"
#include "client_stage.h"

/* --- The order --- */

static void expect_order(const char *families, const char *order) {
  struct addrinfo list[8];
  struct sockaddr_in6 six[8];
  nws__local out[8];
  size_t count = strlen(families);
  memset(list, 0, sizeof(list));
  memset(six, 0, sizeof(six));
  for (size_t i = 0; i < count; i++) {
    list[i].ai_family = families[i] == '6' ? AF_INET6 : AF_INET;
    list[i].ai_addr = (struct sockaddr *)&six[i];
    list[i].ai_addrlen = families[i] == '6' ? sizeof(struct sockaddr_in6)
                                            : sizeof(struct sockaddr_in);
    list[i].ai_next = i + 1 < count ? &list[i + 1] : NULL;
    six[i].sin6_family = (sa_family_t)list[i].ai_family;
    six[i].sin6_port = (in_port_t)i;
  }
  const struct addrinfo *first = count > 0 ? list : NULL;
  assert_int_equal(nws__targets_sort(first, NULL), count);
  assert_int_equal(nws__targets_sort(first, out), count);
  assert_int_equal(strlen(order), count);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(out[i].ip.four.sin_port, order[i] - '0');
}

/* RFC 8305 4 */
static void test_order(void **state) {
  (void)state;
  expect_order("", "");
  expect_order("6", "0");
  expect_order("444", "012");
  expect_order("64", "01");
  expect_order("6644", "0213");
  expect_order("4466", "0213");
  expect_order("64646", "01234");
  expect_order("66664", "04123");
  expect_order("46666", "01234");
  expect_order("644444", "012345");
}

/* --- Attempts --- */

/* What never answers: a listener on another address of the loopback net. */
typedef struct hole {
  int listener;
  int waiting[4];
} hole;

static void hole_dig(hole *h, const char *address, uint16_t port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  assert_int_equal(inet_pton(AF_INET, address, &at.sin_addr), 1);
  h->listener = socket(AF_INET, type, 0);
  assert_int_equal(bind(h->listener, (struct sockaddr *)&at, sizeof(at)), 0);
  assert_int_equal(listen(h->listener, 0), 0);
  for (size_t i = 0; i < 4; i++) {
    h->waiting[i] = socket(AF_INET, type, 0);
    int rc = connect(h->waiting[i], (struct sockaddr *)&at, sizeof(at));
    assert_true(rc == 0 || errno == EINPROGRESS);
  }
}

static void hole_fill(hole *h) {
  for (size_t i = 0; i < 4; i++)
    close(h->waiting[i]);
  close(h->listener);
}

typedef struct dial {
  fixture fx;
  char url[64];
  hole h[2];
  nws_client_options options;
} dial;

/* A server at 127.0.0.1; 127.0.0.2 and 127.0.0.3 do not answer, 127.0.0.4
 * refuses. */
static void dial_init(dial *d, const char *const *addresses, size_t count) {
  fixture_init(&d->fx);
  fixture_serve(&d->fx);
  uint16_t port = nws_server_port(d->fx.server);
  hole_dig(&d->h[0], "127.0.0.2", port);
  hole_dig(&d->h[1], "127.0.0.3", port);
  snprintf(d->url, sizeof(d->url), "ws://name.invalid:%u/", (unsigned)port);
  d->options = client_options(&d->fx, d->url);
  d->options.addresses = addresses;
  d->options.address_count = count;
  d->options.attempt_delay_ms = UINT32_MAX;
}

static void dial_end(dial *d) {
  fixture_end(&d->fx);
  hole_fill(&d->h[0]);
  hole_fill(&d->h[1]);
}

static void expect_open(dial *d) {
  char address[64];
  client_start(&d->fx, &d->options);
  step_until(&d->fx, d->fx.c.opens + d->fx.c.closes > 0);
  if (d->fx.c.opens != 1)
    fail_msg("%s", nws_net_text(d->fx.c.error));
  assert_int_equal(nws_peer_address(d->fx.c.peer, address, sizeof(address)),
                   NWS_OK);
  assert_memory_equal(address, "127.0.0.1:", 10);
  assert_string_equal(nws_peer_url(d->fx.c.peer), d->url);
  step_until(&d->fx, d->fx.s.opens == 1);
  assert_int_equal(nws_server_peers(d->fx.server), 1);
}

static void expect_failure(dial *d, int error) {
  client_start(&d->fx, &d->options);
  step_until(&d->fx, d->fx.c.closes == 1);
  assert_int_equal(d->fx.c.error, error);
  assert_int_equal(d->fx.c.opens, 0);
}

/* The next address is tried while the first has not answered. */
static void test_silent_address(void **state) {
  static const char *const list[] = {"127.0.0.2", "127.0.0.3", "127.0.0.1"};
  dial d;
  (void)state;
  dial_init(&d, list, 3);
  d.options.attempt_delay_ms = 5;
  expect_open(&d);
  dial_end(&d);
}

/* One that refuses is left at once: no delay would ever end. */
static void test_refusing_address(void **state) {
  static const char *const list[] = {"127.0.0.4", "255.255.255.255",
                                     "127.0.0.4", "127.0.0.1"};
  dial d;
  (void)state;
  dial_init(&d, list, 4);
  expect_open(&d);
  dial_end(&d);
}

/* One that refuses while another is waited for. */
static void test_mixed_addresses(void **state) {
  static const char *const list[] = {"127.0.0.2", "127.0.0.4", "127.0.0.1",
                                     "127.0.0.3"};
  dial d;
  (void)state;
  dial_init(&d, list, 4);
  d.options.attempt_delay_ms = 20;
  expect_open(&d);
  dial_end(&d);
}

/* The first that answers is the only one that is asked. */
static void test_first_wins(void **state) {
  static const char *const list[] = {"127.0.0.1", "127.0.0.1", "127.0.0.1"};
  dial d;
  (void)state;
  dial_init(&d, list, 3);
  d.options.attempt_delay_ms = 8000;
  expect_open(&d);
  dial_end(&d);
}

static void test_nobody_answers(void **state) {
  static const char *const list[] = {"127.0.0.2", "127.0.0.3"};
  static const char *const refusing[] = {"127.0.0.4", "127.0.0.5"};
  dial d;
  (void)state;
  dial_init(&d, list, 2);
  d.options.attempt_delay_ms = 1;
  d.options.connect_timeout_ms = 40;
  expect_failure(&d, UV_ETIMEDOUT);
  d.options.connect_timeout_ms = 0;
  d.options.limits.handshake_timeout_ms = 40;
  memset(&d.fx.c, 0, sizeof(d.fx.c));
  expect_failure(&d, NWS_ERROR_HANDSHAKE_TIMEOUT);
  d.options.addresses = refusing;
  d.options.limits.handshake_timeout_ms = 0;
  memset(&d.fx.c, 0, sizeof(d.fx.c));
  expect_failure(&d, UV_ECONNREFUSED);
  dial_end(&d);
}

/* The time to connect is over once it is connected. */
static void test_connected_in_time(void **state) {
  static const char *const list[] = {"127.0.0.1"};
  stage st;
  char url[64], out[512];
  (void)state;
  stage_init(&st);
  snprintf(url, sizeof(url), "ws://a:%u/", (unsigned)st.port);
  nws_client_options options = client_options(&st.fx, url);
  options.addresses = list;
  options.address_count = 1;
  options.connect_timeout_ms = 400;
  client_start(&st.fx, &options);
  stage_accept(&st);
  step_for(&st.fx, 500);
  raw_send(&st.fx, &st.r, out, put_101(&st, out, sizeof(out)));
  step_until(&st.fx, st.fx.c.opens == 1);
  raw_free(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  stage_end(&st);
}

/* Given up in the middle of several attempts. */
static void test_abort(void **state) {
  static const char *const list[] = {"127.0.0.2", "127.0.0.3", "127.0.0.2"};
  char address[64];
  dial d;
  (void)state;
  dial_init(&d, list, 3);
  d.options.attempt_delay_ms = 1;
  client_start(&d.fx, &d.options);
  step_for(&d.fx, 20);
  assert_int_equal(nws_peer_address(d.fx.c.peer, address, sizeof(address)),
                   NWS_OK);
  nws_peer_abort(d.fx.c.peer);
  step_until(&d.fx, d.fx.c.closes == 1);
  assert_int_equal(d.fx.c.error, UV_ECANCELED);
  client_start(&d.fx, &d.options);
  nws_str none = {NULL, 0};
  assert_int_equal(nws_peer_close(d.fx.c.peer, 1000, none), NWS_OK);
  step_until(&d.fx, d.fx.c.closes == 2);
  dial_end(&d);
}

/* A name that has both families where the system has. */
static void test_localhost(void **state) {
  dial d;
  (void)state;
  dial_init(&d, NULL, 0);
  snprintf(d.url, sizeof(d.url), "ws://localhost:%u/?q",
           (unsigned)nws_server_port(d.fx.server));
  expect_open(&d);
  dial_end(&d);
}

static void test_options(void **state) {
  static const char *const names[] = {"127.0.0.1", "localhost"};
  static const char *const hole[] = {NULL};
  static const char *const good[] = {"127.0.0.1"};
  dial d;
  (void)state;
  dial_init(&d, names, 2);
  assert_int_equal(client_error(&d.fx, &d.options), NWS_ERROR_ARGUMENT);
  d.options.addresses = hole;
  d.options.address_count = 1;
  assert_int_equal(client_error(&d.fx, &d.options), NWS_ERROR_ARGUMENT);
  d.options.addresses = NULL;
  assert_int_equal(client_error(&d.fx, &d.options), NWS_ERROR_ARGUMENT);
  d.options.addresses = good;
  d.options.url = "ws+unix:/nowhere:/";
  assert_int_equal(client_error(&d.fx, &d.options), NWS_ERROR_CONFIG);
  dial_end(&d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_order),
      cmocka_unit_test(test_silent_address),
      cmocka_unit_test(test_refusing_address),
      cmocka_unit_test(test_mixed_addresses),
      cmocka_unit_test(test_first_wins),
      cmocka_unit_test(test_nobody_answers),
      cmocka_unit_test(test_connected_in_time),
      cmocka_unit_test(test_abort),
      cmocka_unit_test(test_localhost),
      cmocka_unit_test(test_options),
  };
  return run_without_leaks(tests);
}
