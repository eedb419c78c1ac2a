/* test_net_client.c - the client against servers that are not ours, and against
 * none at all.
 */
#include "client_stage.h"
#include <nws/mask.h>

/* A 101 with two frames right behind it, cut in two at every place. */
static void test_every_split(void **state) {
  stage st;
  size_t len = 1;
  (void)state;
  stage_init(&st);
  for (size_t i = 1; i <= len; i++) {
    char all[512];
    stage_connect(&st);
    len = put_101(&st, all, sizeof(all));
    memcpy(all + len,
           "\x81\x05"
           "first\x82\x03two",
           12);
    len += 12;
    raw_send(&st.fx, &st.r, all, i);
    step(&st.fx);
    step(&st.fx);
    raw_send(&st.fx, &st.r, all + i, len - i);
    step_until(&st.fx, st.fx.c.messages == 2);
    assert_int_equal(st.fx.c.opens, 1);
    assert_string_equal(st.fx.c.last, "two");
    nws_peer_abort(st.fx.c.peer);
    step_until(&st.fx, st.fx.c.closes == 1);
    raw_free(&st.r);
  }
  assert_true(len > 100);
  stage_end(&st);
}

static int response_status;
static nws_str response_server;

static void look_at_response(nws_peer *peer) {
  const nws_http_head *head = nws_peer_response(peer);
  note_open(peer);
  assert_non_null(head);
  response_status = head->status;
  size_t at =
      nws_header_find(head->headers, head->count, nws_str_of("X-Server"), 0);
  assert_true(at < head->count);
  response_server = head->headers[at].value;
  assert_true(nws_str_equal(response_server, nws_str_of("raw")));
}

/* The server says close, gets the answer, and is waited for. */
static void test_server_closes(void **state) {
  char text[512];
  stage st;
  (void)state;
  stage_init(&st);
  st.fx.client_handler.open = look_at_response;
  stage_connect(&st);
  raw_send(&st.fx, &st.r, text, put_101(&st, text, sizeof(text)));
  step_until(&st.fx, st.fx.c.opens == 1);
  assert_int_equal(response_status, 101);
  assert_null(nws_peer_response(st.fx.c.peer));
  st.r.len = 0;
  raw_send(&st.fx, &st.r, "\x88\x04\x0f\xa1ok", 6);
  raw_until(&st.fx, &st.r, st.r.len == 8);
  assert_int_equal(st.r.data[0], 0x88);
  assert_int_equal(st.r.data[1], 0x82);
  step_for(&st.fx, 20);
  assert_int_equal(st.fx.c.closes, 0);
  assert_int_equal(st.r.ended, 0); /* RFC 6455 7.1.1 */
  close(st.r.fd);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(st.fx.c.error, NWS_OK);
  assert_int_equal(st.fx.c.code, 4001);
  assert_string_equal(st.fx.c.reason, "ok");
  st.r.fd = -1;
  raw_free(&st.r);
  stage_end(&st);
}

/* A server that never closes TCP is not waited for longer than configured. */
static void test_server_lingers(void **state) {
  char text[512];
  stage st;
  (void)state;
  stage_init(&st);
  st.fx.client_conn.close_timeout_ms = 50;
  stage_connect(&st);
  raw_send(&st.fx, &st.r, text, put_101(&st, text, sizeof(text)));
  raw_send(&st.fx, &st.r, "\x88\x00", 2);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(st.fx.c.error, NWS_OK);
  assert_int_equal(st.fx.c.opened, 1);
  assert_int_equal(st.fx.c.code, 1005);
  raw_free(&st.r);
  stage_end(&st);
}

/* Answers that are no WebSocket: what the client is told of each. */
static void expect(stage *st, const char *sent, size_t len, int ends, int error,
                   int status, const char *body) {
  stage_connect(st);
  raw_send(&st->fx, &st->r, sent, len);
  if (ends)
    shutdown(st->r.fd, SHUT_WR);
  step_until(&st->fx, st->fx.c.closes == 1);
  assert_int_equal(st->fx.c.error, error);
  assert_int_equal(st->fx.c.status, status);
  assert_string_equal(st->fx.c.body, body);
  assert_int_equal(st->fx.c.opens, 0);
  raw_free(&st->r);
}

#define EXPECT(st, text, ...) expect(st, text, sizeof(text) - 1, __VA_ARGS__)

static void test_refusals(void **state) {
  stage st;
  (void)state;
  stage_init(&st);
  EXPECT(&st, "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnope\nmore",
         0, NWS_ERROR_STATUS, 404, "nope\n");
  EXPECT(&st, "HTTP/1.1 200 OK\r\n\r\nuntil the end", 1, NWS_ERROR_STATUS, 200,
         "until the end");
  EXPECT(&st, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", 0,
         NWS_ERROR_STATUS, 401, "");
  EXPECT(&st, "HTTP/1.1 500 No\r\nContent-Length: 99\r\n\r\ncut", 1,
         NWS_ERROR_STATUS, 500, "cut");
  EXPECT(&st, "SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, NWS_ERROR_HTTP_START_LINE, 0,
         "");
  EXPECT(&st, "HTTP/1.1 101 Fine\r\n", 1, NWS_ERROR_HTTP_EOF, 0, "");
  EXPECT(&st, "", 1, NWS_ERROR_HTTP_EOF, 0, "");
  EXPECT(&st,
         "HTTP/1.1 101 Fine\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         0, NWS_ERROR_ACCEPT, 0, "");
  char *large = malloc(20000);
  memset(large, 'a', 20000);
  memcpy(large, "HTTP/1.1 101 Fine\r\nX: ", 22);
  expect(&st, large, 20000, 0, NWS_ERROR_HTTP_HEAD_LIMIT, 0, "");
  free(large);
  stage_end(&st);
}

/* --- The response, asked for --- */

static int response_seen; /* its status in the last callback; 0: NULL */

static void see_response(nws_peer *peer) {
  const nws_http_head *response = nws_peer_response(peer);
  response_seen = response == NULL ? 0 : response->status;
}

static void open_and_see(nws_peer *peer) {
  see_response(peer);
  note_open(peer);
}

static void close_and_see(nws_peer *peer, const nws_closed *how) {
  see_response(peer);
  note_closed(peer, how);
}

static void test_response(void **state) {
  static const char no[] = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
  stage st;
  char out[512];
  (void)state;
  stage_init(&st);
  st.fx.client_handler.open = open_and_see;
  st.fx.client_handler.closed = close_and_see;
  stage_connect(&st);
  assert_null(nws_peer_response(st.fx.c.peer));
  raw_send(&st.fx, &st.r, out, put_101(&st, out, sizeof(out)));
  step_until(&st.fx, st.fx.c.opens == 1);
  assert_int_equal(response_seen, 101);
  assert_null(nws_peer_response(st.fx.c.peer));
  raw_reset(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(response_seen, 0);
  stage_connect(&st);
  raw_send(&st.fx, &st.r, no, sizeof(no) - 1);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(response_seen, 403);
  raw_free(&st.r);
  stage_connect(&st); /* half a head, and no more */
  raw_send(&st.fx, &st.r, no, 20);
  step(&st.fx);
  raw_reset(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(response_seen, 0);
  stage_end(&st);
}

/* The server closes while we have much to say that it does not read: our answer
 * takes its place in the queue all the same, and is the last of it. */
static void test_close_answered_behind_queue(void **state) {
  enum { LEN = 16000 * 1024 };
  stage st;
  char out[512];
  (void)state;
  stage_init(&st);
  st.fx.client_limits.high_water = 64 * 1024;
  stage_connect(&st);
  raw_send(&st.fx, &st.r, out, put_101(&st, out, sizeof(out)));
  step_until(&st.fx, st.fx.c.opens == 1);
  nws_peer *peer = st.fx.c.peer;
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_BINARY, data, LEN), NWS_OK);
  free(data);
  step_for(&st.fx, 50);
  size_t before = nws_peer_queued(peer);
  assert_true(before > 64 * 1024);
  raw_send(&st.fx, &st.r, "\x88\x02\x03\xe8", 4);
  step_until(&st.fx, st.fx.c.controls == 1);
  step(&st.fx);
  assert_int_equal(nws_peer_queued(peer), before + 8);
  st.r.len = 0;
  raw_until(&st.fx, &st.r, st.r.len == LEN + 14 + 8);
  assert_memory_equal(st.r.data + LEN + 14, "\x88\x82", 2);
  raw_free(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(st.fx.c.error, NWS_OK);
  assert_int_equal(st.fx.c.code, 1000);
  stage_end(&st);
}

/* A body that does not end is not waited for long. */
static void test_endless_body(void **state) {
  static const char head[] = "HTTP/1.1 503 No\r\n\r\nstart";
  stage st;
  (void)state;
  stage_init(&st);
  stage_connect(&st);
  raw_send(&st.fx, &st.r, head, sizeof(head) - 1);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(st.fx.c.error, NWS_ERROR_STATUS);
  assert_string_equal(st.fx.c.body, "start");
  raw_free(&st.r);
  stage_end(&st);
}

static void test_reset(void **state) {
  stage st;
  (void)state;
  stage_init(&st);
  stage_connect(&st);
  raw_reset(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(st.fx.c.error, UV_ECONNRESET);
  stage_end(&st);
}

static void test_silent(void **state) {
  stage st;
  (void)state;
  stage_init(&st);
  st.fx.client_limits.handshake_timeout_ms = 50;
  stage_connect(&st);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(st.fx.c.error, NWS_ERROR_HANDSHAKE_TIMEOUT);
  raw_free(&st.r);
  stage_end(&st);
}

/* --- Nobody there --- */

static void expect_error(const char *url, int *error) {
  fixture fx;
  fixture_init(&fx);
  fx.client_limits.handshake_timeout_ms = 1000;
  fixture_connect_to(&fx, url, NULL);
  assert_int_equal(fx.c.closes, 0); /* not from inside the call */
  step_until(&fx, fx.c.closes == 1);
  assert_int_equal(fx.c.opened, 0);
  *error = fx.c.error;
  fixture_end(&fx);
}

static void test_nobody(void **state) {
  char url[64];
  uint16_t port;
  int error;
  (void)state;
  int fd = listen_on(&port);
  close(fd);
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", (unsigned)port);
  expect_error(url, &error);
  assert_int_equal(error, UV_ECONNREFUSED);
  snprintf(url, sizeof(url), "ws://localhost:%u/", (unsigned)port);
  expect_error(url, &error);
  assert_true(error == UV_ECONNREFUSED || error == UV_EADDRNOTAVAIL);
  expect_error("ws://255.255.255.255/", &error);
  assert_true(error == UV_ENETUNREACH || error == UV_EACCES);
  expect_error("ws://nonexistent.invalid/", &error);
  assert_true(error == UV_EAI_NONAME || error == UV_EAI_AGAIN ||
              error == UV_EAI_FAIL || error == NWS_ERROR_HANDSHAKE_TIMEOUT);
  assert_true(strlen(nws_net_text(error)) > 0);
}

/* Given up while the name is being looked up. */
static void test_abort_lookup(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  nws_peer *peer = fixture_connect_to(&fx, "ws://nonexistent.invalid/", NULL);
  nws_peer_close(peer, 1000, nws_str_of("never mind"));
  step_until(&fx, fx.c.closes == 1);
  assert_int_equal(fx.c.error, UV_ECANCELED);
  fixture_end(&fx);
}

static int connect_error(fixture *fx, const char *url,
                         const nws_client_offer *offer) {
  nws_peer *peer = (nws_peer *)&peer;
  nws_client_options options = {.size = sizeof(options),
                                .handler = &fx->client_handler,
                                .url = url,
                                .offer = offer};
  int rc = nws_client_connect(fx->loop, &options, &peer);
  assert_null(peer);
  return rc;
}

static void test_options(void **state) {
  nws_header header = {nws_str_of("Upgrade"), nws_str_of("x")};
  nws_client_offer offer = {.size = sizeof(offer)};
  fixture fx;
  (void)state;
  fixture_init(&fx);
  offer.headers = &header;
  offer.header_count = 1;
  assert_int_equal(connect_error(&fx, "ws://a:b/", NULL), NWS_ERROR_URI_PORT);
  assert_int_equal(connect_error(&fx, "http://a/", NULL), NWS_ERROR_URI_SCHEME);
  assert_int_equal(connect_error(&fx, NULL, NULL), NWS_ERROR_ARGUMENT);
  assert_int_equal(connect_error(&fx, "ws://a/", &offer),
                   NWS_ERROR_HEADER_RESERVED);
  header.name = nws_str_of("X-A");
  header.value = nws_str_of("b\r\nc: d");
  assert_int_equal(connect_error(&fx, "ws://a/", &offer), NWS_ERROR_FIELD);
  nws_client_options none = {.size = 0};
  assert_int_equal(nws_client_connect(fx.loop, &none, NULL),
                   NWS_ERROR_ARGUMENT);
  fixture_end(&fx);
}

/* --- Addresses --- */

static void test_port_in_use(void **state) {
  fixture fx;
  nws_server *second = NULL;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  nws_server_options options = fx.options;
  options.port = nws_server_port(fx.server);
  assert_int_equal(nws_server_start(fx.loop, &options, &second), UV_EADDRINUSE);
  assert_null(second);
  options.address = "not an address";
  assert_int_equal(nws_server_start(fx.loop, &options, &second), UV_EINVAL);
  fixture_end(&fx);
}

/* One server for both families; the peers' addresses look as they should. */
static void test_dual_stack(void **state) {
  fixture fx;
  char url[64], address[64];
  (void)state;
  fixture_init(&fx);
  fx.options.address = "::";
  int rc = nws_server_start(fx.loop, &fx.options, &fx.server);
  if (rc == UV_EAFNOSUPPORT || rc == UV_EADDRNOTAVAIL) {
    fixture_end(&fx);
    skip();
  }
  assert_int_equal(rc, NWS_OK);
  fixture_connect(&fx);
  step_until(&fx, fx.c.opens == 1 && fx.s.opens == 1);
  nws_peer_address(fx.s.peer, address, sizeof(address));
  assert_memory_equal(address, "127.0.0.1:", 10);
  snprintf(url, sizeof(url), "ws://[::1]:%u/",
           (unsigned)nws_server_port(fx.server));
  fixture_connect_to(&fx, url, NULL);
  step_until(&fx, fx.c.opens == 2 || fx.c.closes == 1);
  if (fx.c.opens == 2) { /* there is an IPv6 loopback */
    step_until(&fx, fx.s.opens == 2);
    nws_peer_address(fx.s.peer, address, sizeof(address));
    assert_memory_equal(address, "[::1]:", 6);
  }
  fixture_end(&fx);
}

/* What a client sends is masked with a fresh key each time. */
static void test_masks(void **state) {
  char text[512];
  stage st;
  (void)state;
  stage_init(&st);
  stage_connect(&st);
  raw_send(&st.fx, &st.r, text, put_101(&st, text, sizeof(text)));
  step_until(&st.fx, st.fx.c.opens == 1);
  st.r.len = 0;
  for (int i = 0; i < 100; i++)
    nws_peer_send(st.fx.c.peer, NWS_OPCODE_TEXT, "same", 4);
  raw_until(&st.fx, &st.r, st.r.len == 1000);
  int equal = 0;
  for (size_t i = 10; i < 1000; i += 10)
    equal += memcmp(st.r.data + 2, st.r.data + i + 2, 4) == 0;
  assert_true(equal < 3);
  raw_reset(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  stage_end(&st);
}

/* RFC 6455 4.1: behind the request nothing is sent until the answer is there.
 */
static void test_waits_for_the_answer(void **state) {
  char text[512];
  stage st;
  (void)state;
  stage_init(&st);
  stage_connect(&st);
  nws_peer *peer = st.fx.c.peer;
  assert_non_null(peer);
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, "early", 5),
                   NWS_ERROR_STATE);
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_PING, NULL, 0),
                   NWS_ERROR_STATE);
  size_t len = put_101(&st, text, sizeof(text));
  raw_send(&st.fx, &st.r, text, len - 1);
  step_for(&st.fx, 20);
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, "early", 5),
                   NWS_ERROR_STATE);
  raw_send(&st.fx, &st.r, text + len - 1, 1);
  step_until(&st.fx, st.fx.c.opens == 1);
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, "now", 3), NWS_OK);
  raw_until(&st.fx, &st.r, st.r.len >= raw_head(&st.r) + 9);
  assert_int_equal(st.r.len, raw_head(&st.r) + 9);
  assert_int_equal(st.r.data[raw_head(&st.r)], 0x81);
  raw_reset(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  stage_end(&st);
}

/* RFC 6455 10.3: once a frame is under way its payload stays as it was. */
static void test_payload_is_copied(void **state) {
  enum { LEN = 16000 * 1024, HEADER = 14 };
  char text[512];
  stage st;
  (void)state;
  stage_init(&st);
  stage_connect(&st);
  raw_send(&st.fx, &st.r, text, put_101(&st, text, sizeof(text)));
  step_until(&st.fx, st.fx.c.opens == 1);
  st.r.len = 0;
  uint8_t *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(st.fx.c.peer, NWS_OPCODE_BINARY, data, LEN),
                   NWS_OK);
  step(&st.fx);
  assert_true(nws_peer_queued(st.fx.c.peer) > 0); /* the rest is yet to leave */
  memset(data, 'x', LEN);
  raw_until(&st.fx, &st.r, st.r.len == HEADER + LEN);
  nws_mask(data, st.r.data + HEADER, LEN, st.r.data + HEADER - 4, 0);
  for (size_t i = 0; i < LEN; i++)
    assert_int_equal(data[i], 0);
  free(data);
  raw_reset(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  stage_end(&st);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_split),
      cmocka_unit_test(test_server_closes),
      cmocka_unit_test(test_server_lingers),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_response),
      cmocka_unit_test(test_close_answered_behind_queue),
      cmocka_unit_test(test_endless_body),
      cmocka_unit_test(test_reset),
      cmocka_unit_test(test_silent),
      cmocka_unit_test(test_nobody),
      cmocka_unit_test(test_abort_lookup),
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_port_in_use),
      cmocka_unit_test(test_dual_stack),
      cmocka_unit_test(test_masks),
      cmocka_unit_test(test_waits_for_the_answer),
      cmocka_unit_test(test_payload_is_copied),
  };
  return run_without_leaks(tests);
}
