/* test_net_handshake.c - the opening handshake of a server: requests good and
 * bad, whole and in parts, answered at once and later.
 */
#include "net_fixture.h"

/* --- Deciding later --- */

static void test_deferred_accept(void **state) {
  fixture fx;
  raw r;
  uint8_t out[64];
  (void)state;
  fixture_init(&fx);
  fx.server_handler.request = note_request;
  fixture_serve(&fx);
  raw_connect(&r, &fx);
  raw_send(&fx, &r, raw_request, RAW_REQUEST_LEN);
  size_t len = put_frame(out, 0x81, "early", 5);
  raw_send(&fx, &r, out, len);
  step_until(&fx, fx.s.requests == 1);
  raw_send(&fx, &r, out, len); /* stays in the socket meanwhile */
  step_for(&fx, 20);
  assert_int_equal(fx.s.messages, 0);
  const nws_server_handshake *request = nws_peer_request(fx.s.peer);
  assert_non_null(request);
  assert_true(nws_str_equal(request->path, nws_str_of("/chat")));
  nws_acceptance how = {.size = sizeof(how)};
  nws_header header = {nws_str_of("X-Late"), nws_str_of("yes")};
  how.headers = &header;
  how.header_count = 1;
  assert_int_equal(nws_peer_accept(fx.s.peer, &how), NWS_OK);
  assert_int_equal(nws_peer_accept(fx.s.peer, &how), NWS_ERROR_STATE);
  assert_int_equal(fx.s.opens, 0); /* not from inside the call */
  raw_until(&fx, &r, raw_head(&r) > 0 && r.len == raw_head(&r) + 14);
  assert_int_equal(fx.s.opens, 1);
  assert_int_equal(fx.s.messages, 2);
  assert_non_null(strstr((char *)r.data, "X-Late: yes\r\n"));
  assert_int_equal(memcmp(r.data + raw_head(&r),
                          "\x81\x05"
                          "early",
                          7),
                   0);
  assert_null(nws_peer_request(fx.s.peer));
  raw_free(&r);
  fixture_end(&fx);
  assert_int_equal(fx.s.closes, 1);
}

static void test_deferred_respond(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.server_handler.request = note_request;
  fixture_serve(&fx);
  fixture_connect(&fx);
  step_until(&fx, fx.s.requests == 1);
  nws_rejection no = {.size = sizeof(no), .status = 403};
  no.body = nws_str_of("not you");
  nws_peer *peer = fx.s.peer;
  assert_int_equal(nws_peer_respond(peer, NULL), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_peer_respond(peer, &no), NWS_OK);
  assert_null(nws_peer_request(peer)); /* answered */
  assert_int_equal(nws_peer_respond(peer, &no), NWS_ERROR_STATE);
  assert_int_equal(nws_peer_accept(peer, NULL), NWS_ERROR_STATE);
  assert_int_equal(nws_peer_send(peer, 1, "x", 1), NWS_ERROR_STATE);
  step_until(&fx, fx.s.closes == 1 && fx.c.closes == 1);
  assert_int_equal(fx.c.error, NWS_ERROR_STATUS);
  assert_int_equal(fx.c.status, 403);
  assert_string_equal(fx.c.body, "not you");
  assert_int_equal(fx.c.opened, 0);
  assert_int_equal(fx.s.error, NWS_ERROR_STATUS);
  assert_int_equal(fx.s.opened, 0);
  fixture_end(&fx);
}

static void test_client_leaves_while_deciding(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.server_handler.request = note_request;
  fixture_serve(&fx);
  raw_connect(&r, &fx);
  raw_send(&fx, &r, raw_request, RAW_REQUEST_LEN);
  step_until(&fx, fx.s.requests == 1);
  raw_reset(&r);
  step_for(&fx, 20);
  if (fx.s.peer != NULL)
    nws_peer_accept(fx.s.peer, NULL);
  step_until(&fx, fx.s.closes == 1);
  fixture_end(&fx);
}

/* --- HTTP that is no handshake --- */

static void page(nws_peer *peer, const nws_server_handshake *request,
                 int error) {
  note_http(peer, request, error);
  nws_rejection answer = {.size = sizeof(answer), .status = 200};
  nws_header type = {nws_str_of("Content-Type"), nws_str_of("text/html")};
  answer.headers = &type;
  answer.header_count = 1;
  answer.body = nws_str_of("<h1>hello</h1>");
  assert_true(nws_str_equal(request->head.target, nws_str_of("/page")));
  assert_int_equal(nws_peer_accept(peer, NULL), NWS_ERROR_STATE);
  assert_int_equal(nws_peer_respond(peer, &answer), NWS_OK);
}

/* RFC 9110 9.3.2: the same answer, without its body. */
static void test_head(void **state) {
  static const char head[] = "HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n";
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.server_handler.http = page;
  fixture_serve(&fx);
  raw_connect(&r, &fx);
  raw_send(&fx, &r, head, sizeof(head) - 1);
  raw_until(&fx, &r, r.ended);
  assert_int_equal(memcmp(r.data, "HTTP/1.1 200 ", 13), 0);
  assert_non_null(strstr((char *)r.data, "\r\nContent-Length: 14\r\n"));
  assert_int_equal(raw_head(&r), r.len);
  raw_free(&r);
  fixture_end(&fx);
}

static void test_page(void **state) {
  static const char get[] = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.server_handler.http = page;
  fixture_serve(&fx);
  for (size_t i = 1; i < sizeof(get); i++) {
    fx.s.https = fx.s.closes = 0;
    raw_connect(&r, &fx);
    raw_send(&fx, &r, get, i);
    step(&fx);
    step(&fx);
    raw_send(&fx, &r, get + i, sizeof(get) - 1 - i);
    if (i % 2 == 0)
      shutdown(r.fd, SHUT_WR);
    raw_until(&fx, &r, r.ended);
    assert_int_equal(r.error, 0);
    assert_int_equal(memcmp(r.data, "HTTP/1.1 200 ", 13), 0);
    assert_string_equal((char *)r.data + raw_head(&r), "<h1>hello</h1>");
    raw_free(&r);
    step_until(&fx, fx.s.closes == 1);
    assert_int_equal(fx.s.https, 1);
    assert_int_equal(fx.s.error, fx.s.http_error);
    assert_int_equal(fx.s.error, NWS_ERROR_UPGRADE);
  }
  fixture_end(&fx);
}

/* A response goes out whole, however large, to one that reads slowly. */
static char *large_body;
enum { LARGE_BODY = 4000000 };

static void large_page(nws_peer *peer, const nws_server_handshake *request,
                       int error) {
  note_http(peer, request, error);
  nws_rejection answer = {.size = sizeof(answer), .status = 200};
  answer.body = nws_str_make(large_body, LARGE_BODY);
  assert_int_equal(nws_peer_respond(peer, &answer), NWS_OK);
}

static void test_large_page(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  large_body = calloc(1, LARGE_BODY);
  memset(large_body, 'x', LARGE_BODY);
  fx.server_handler.http = large_page;
  fixture_serve(&fx);
  raw_connect(&r, &fx);
  const char get[] = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";
  raw_send(&fx, &r, get, sizeof(get) - 1);
  step_for(&fx, 50);
  assert_int_equal(fx.s.closes, 0);
  raw_until(&fx, &r, r.ended);
  assert_int_equal(r.len, raw_head(&r) + LARGE_BODY);
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  free(large_body);
  fixture_end(&fx);
}

/* --- Refusals --- */

static void expect_refusal(fixture *fx, const char *sent, size_t len,
                           const char *status, const char *body) {
  raw r;
  raw_connect(&r, fx);
  raw_send(fx, &r, sent, len);
  raw_until(fx, &r, r.ended);
  assert_int_equal(r.error, 0);
  assert_true(raw_head(&r) > 0);
  assert_memory_equal(r.data + 9, status, 3);
  if (strstr((char *)r.data + raw_head(&r), body) == NULL)
    fail_msg("no '%s' in: %s", body, r.data);
  raw_free(&r);
  step_until(fx, nws_server_peers(fx->server) == 0);
}

static void test_refusals(void **state) {
  static const char tls[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n";
  static const char garbage[] = "hello, is this a server?\r\n\r\n";
  static const char post[] = "POST / HTTP/1.1\r\nHost: a\r\n\r\n";
  static const char plain[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  expect_refusal(&fx, tls, sizeof(tls) - 1, "400", "(RFC ");
  expect_refusal(&fx, garbage, sizeof(garbage) - 1, "400", "(RFC ");
  expect_refusal(&fx, post, sizeof(post) - 1, "405", "(RFC ");
  expect_refusal(&fx, plain, sizeof(plain) - 1, "426", "(RFC ");
  char *large = malloc(100000);
  memset(large, 'a', 100000);
  memcpy(large, "GET / HTTP/1.1\r\nX: ", 19);
  expect_refusal(&fx, large, 100000, "431", "");
  free(large);
  assert_int_equal(fx.s.closes, 0); /* nobody was told of these */
  fixture_end(&fx);
}

/* An oversized head in small parts; its buffer stays bounded. */
static void test_dripped_head(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_connect(&r, &fx);
  raw_send(&fx, &r, "GET / HTTP/1.1\r\nX: ", 19);
  for (int i = 0; i < 9000 && !r.ended; i += 100) {
    char part[100];
    memset(part, 'b', sizeof(part));
    (void)send(r.fd, part, sizeof(part), MSG_NOSIGNAL);
    step(&fx);
    raw_read(&r);
  }
  raw_until(&fx, &r, r.ended);
  assert_memory_equal(r.data, "HTTP/1.1 431 ", 13);
  raw_free(&r);
  fixture_end(&fx);
}

static void test_timeout(void **state) {
  fixture fx;
  raw silent, half;
  (void)state;
  fixture_init(&fx);
  fx.options.limits.handshake_timeout_ms = 60;
  fixture_serve(&fx);
  raw_connect(&silent, &fx);
  raw_connect(&half, &fx);
  raw_send(&fx, &half, raw_request, 40);
  raw_until(&fx, &silent, silent.ended);
  raw_until(&fx, &half, half.ended);
  assert_memory_equal(silent.data, "HTTP/1.1 408 ", 13);
  assert_memory_equal(half.data, "HTTP/1.1 408 ", 13);
  raw_free(&silent);
  raw_free(&half);
  fixture_end(&fx);
}

/* An application that never decides. */
static void test_undecided(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.server_handler.request = note_request;
  fx.options.limits.handshake_timeout_ms = 60;
  fixture_serve(&fx);
  fixture_connect(&fx);
  step_until(&fx, fx.c.closes == 1 && fx.s.closes == 1);
  assert_int_equal(fx.c.status, 503); /* not the client's fault */
  assert_int_equal(fx.s.error, UV_ETIMEDOUT);
  fixture_end(&fx);
}

static void test_half_closed(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_connect(&r, &fx); /* nothing at all */
  shutdown(r.fd, SHUT_WR);
  raw_until(&fx, &r, r.ended);
  assert_int_equal(r.len, 0);
  raw_free(&r);
  raw_connect(&r, &fx); /* half a head */
  raw_send(&fx, &r, raw_request, 50);
  shutdown(r.fd, SHUT_WR);
  raw_until(&fx, &r, r.ended);
  assert_memory_equal(r.data, "HTTP/1.1 400 ", 13);
  raw_free(&r);
  raw_connect(&r, &fx); /* vanishes */
  raw_send(&fx, &r, raw_request, 50);
  step(&fx);
  raw_reset(&r);
  step_until(&fx, nws_server_peers(fx.server) == 0);
  assert_int_equal(fx.s.closes, 0);
  fixture_end(&fx);
}

static void test_max_peers(void **state) {
  fixture fx;
  raw r[3];
  (void)state;
  fixture_init(&fx);
  fx.options.max_peers = 2;
  fixture_serve(&fx);
  raw_open(&fx, &r[0]);
  raw_open(&fx, &r[1]);
  raw_connect(&r[2], &fx);
  raw_send(&fx, &r[2], raw_request, RAW_REQUEST_LEN);
  raw_until(&fx, &r[2], r[2].ended);
  assert_memory_equal(r[2].data, "HTTP/1.1 503 ", 13);
  raw_free(&r[2]);
  raw_free(&r[0]);
  step_until(&fx, nws_server_peers(fx.server) == 1);
  raw_open(&fx, &r[0]);
  assert_int_equal(fx.s.opens, 3);
  raw_free(&r[0]);
  raw_free(&r[1]);
  fixture_end(&fx);
}

/* --- Splits --- */

/* A request with two frames right behind it, cut in two at every place. */
static void test_every_split(void **state) {
  fixture fx;
  uint8_t all[512];
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  memcpy(all, raw_request, RAW_REQUEST_LEN);
  size_t len = RAW_REQUEST_LEN;
  len += put_frame(all + len, 0x81, "first", 5);
  len += put_frame(all + len, 0x89, "second", 6);
  for (size_t i = 1; i <= len; i++) {
    raw r;
    raw_connect(&r, &fx);
    raw_send(&fx, &r, all, i);
    step(&fx);
    step(&fx);
    raw_send(&fx, &r, all + i, len - i);
    raw_until(&fx, &r, raw_head(&r) > 0 && r.len == raw_head(&r) + 7 + 8);
    const uint8_t *frames = r.data + raw_head(&r);
    assert_memory_equal(frames,
                        "\x81\x05"
                        "first",
                        7);
    assert_memory_equal(frames + 7, "\x8a\x06second", 8);
    raw_reset(&r);
  }
  assert_int_equal(fx.s.opens, len);
  step_until(&fx, nws_server_peers(fx.server) == 0);
  fixture_end(&fx);
  assert_int_equal(fx.s.closes, len);
}

/* --- Negotiation --- */

static void test_subprotocol(void **state) {
  nws_str ours[] = {nws_str_of("chat.v2"), nws_str_of("chat.v1")};
  nws_str theirs[] = {nws_str_of("chat.v1")};
  nws_server_policy policy = {.size = sizeof(policy)};
  nws_client_offer offer = {.size = sizeof(offer)};
  fixture fx;
  char url[64], address[64];
  (void)state;
  fixture_init(&fx);
  policy.subprotocols = ours;
  policy.subprotocol_count = 2;
  fx.options.policy = &policy;
  fixture_serve(&fx);
  offer.subprotocols = theirs;
  offer.subprotocol_count = 1;
  snprintf(url, sizeof(url), "ws://localhost:%u/",
           (unsigned)nws_server_port(fx.server));
  fixture_connect_to(&fx, url, &offer);
  step_until(&fx, fx.c.opens == 1 && fx.s.opens == 1);
  nws_str agreed = nws_peer_subprotocol(fx.s.peer);
  assert_true(nws_str_equal(agreed, theirs[0]));
  agreed = nws_peer_subprotocol(fx.c.peer);
  assert_true(nws_str_equal(agreed, theirs[0]));
  assert_int_equal(nws_peer_address(fx.c.peer, address, sizeof(address)), 0);
  snprintf(url, sizeof(url), "127.0.0.1:%u",
           (unsigned)nws_server_port(fx.server));
  assert_string_equal(address, url);
  assert_int_equal(nws_peer_address(fx.c.peer, address, 9), NWS_ERROR_BUFFER);
  fixture_end(&fx);
}

static int offer_nothing(const nws_extension *ext, char *out, size_t cap) {
  static const char offer[] = "x-nothing";
  (void)ext;
  assert_true(cap >= sizeof(offer));
  memcpy(out, offer, sizeof(offer) - 1);
  return sizeof(offer) - 1;
}

static int accept_nothing(const nws_extension *ext,
                          const nws_extension_offer *offer, char *out,
                          size_t cap, size_t *len, void **state) {
  (void)offer;
  (void)state;
  *len = (size_t)offer_nothing(ext, out, cap);
  return NWS_OK;
}

static int confirm_nothing(const nws_extension *ext,
                           const nws_extension_offer *answer, void **state) {
  (void)ext;
  (void)answer;
  (void)state;
  return NWS_OK;
}

/* Before the connection is open there are none; then both ends have it. */
static void test_extensions(void **state) {
  const nws_extension nothing = {.size = sizeof(nothing),
                                 .name = "x-nothing",
                                 .offer = offer_nothing,
                                 .accept = accept_nothing,
                                 .confirm = confirm_nothing};
  const nws_extension *known[] = {&nothing};
  nws_server_policy policy = {
      .size = sizeof(policy), .extensions = known, .extension_count = 1};
  nws_client_offer offer = {
      .size = sizeof(offer), .extensions = known, .extension_count = 1};
  fixture fx;
  char url[64];
  (void)state;
  fixture_init(&fx);
  fx.options.policy = &policy;
  fixture_serve(&fx);
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/",
           (unsigned)nws_server_port(fx.server));
  fixture_connect_to(&fx, url, &offer);
  size_t count = 7;
  assert_null(nws_peer_extensions(fx.c.peer, &count));
  assert_int_equal(count, 0);
  step_until(&fx, fx.c.opens == 1 && fx.s.opens == 1);
  nws_peer *ends[] = {fx.c.peer, fx.s.peer};
  for (size_t i = 0; i < 2; i++) {
    const nws_extension_use *uses = nws_peer_extensions(ends[i], &count);
    assert_int_equal(count, 1);
    assert_ptr_equal(uses[0].ext, &nothing);
  }
  fixture_end(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_deferred_accept),
      cmocka_unit_test(test_deferred_respond),
      cmocka_unit_test(test_client_leaves_while_deciding),
      cmocka_unit_test(test_page),
      cmocka_unit_test(test_head),
      cmocka_unit_test(test_large_page),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_dripped_head),
      cmocka_unit_test(test_timeout),
      cmocka_unit_test(test_undecided),
      cmocka_unit_test(test_half_closed),
      cmocka_unit_test(test_max_peers),
      cmocka_unit_test(test_every_split),
      cmocka_unit_test(test_subprotocol),
      cmocka_unit_test(test_extensions),
  };
  return run_without_leaks(tests);
}
