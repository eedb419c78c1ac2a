/* test_net_close.c - every way in which a connection can end.
 */
#include "net_fixture.h"

static const nws_str no_reason = {NULL, 0};

/* --- Orderly ends --- */

/* The client closes, and goes on sending junk: what it is owed still arrives,
 * because the server lingers instead of resetting the connection. */
static void test_client_closes(void **state) {
  fixture fx;
  raw r;
  char junk[100000];
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  raw_frame(&fx, &r, 0x81, "last", 4);
  raw_frame(&fx, &r, 0x88,
            "\x03\xe8"
            "bye",
            5);
  memset(junk, 0, sizeof(junk));
  raw_send(&fx, &r, junk, sizeof(junk));
  step_for(&fx, 10);
  raw_send(&fx, &r, junk, 100);
  raw_until(&fx, &r, r.ended);
  assert_int_equal(r.error, 0);
  assert_int_equal(r.len, 6 + 4);
  assert_memory_equal(r.data, "\x81\x04last\x88\x02\x03\xe8", 10);
  assert_int_equal(fx.s.closes, 0); /* our end of TCP is open still */
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, NWS_OK);
  assert_int_equal(fx.s.code, 1000);
  assert_int_equal(fx.s.code_sent, 1000);
  assert_string_equal(fx.s.reason, "bye");
  fixture_end(&fx);
}

static void test_server_closes(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  nws_peer *peer = fx.s.peer;
  assert_int_equal(nws_peer_close(peer, 1005, no_reason),
                   NWS_ERROR_CLOSE_CODE_SEND);
  assert_int_equal(nws_peer_close(peer, 4000, nws_str_of("enough")), NWS_OK);
  assert_int_equal(nws_peer_close(peer, 4000, no_reason), NWS_ERROR_STATE);
  assert_int_equal(nws_peer_send(peer, 1, "x", 1), NWS_ERROR_STATE);
  raw_until(&fx, &r, r.len == 10);
  assert_memory_equal(r.data,
                      "\x88\x08\x0f\xa0"
                      "enough",
                      10);
  assert_int_equal(r.ended, 0); /* waits for the answer */
  raw_frame(&fx, &r, 0x88, "\x0f\xa0", 2);
  raw_until(&fx, &r, r.ended);
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, NWS_OK);
  assert_int_equal(fx.s.code_sent, 4000);
  fixture_end(&fx);
}

/* After a fault: first the echoes that were owed, then the close frame, then
 * the end; and none of it is lost to a reset. */
static void test_fault(void **state) {
  fixture fx;
  raw r;
  uint8_t out[64];
  char junk[200000];
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  size_t len = put_frame(out, 0x81, "good", 4);
  len += put_frame(out + len, 0x83, "bad", 3);
  raw_send(&fx, &r, out, len);
  memset(junk, 'j', sizeof(junk));
  raw_send(&fx, &r, junk, sizeof(junk));
  raw_until(&fx, &r, r.ended);
  assert_int_equal(r.error, 0);
  assert_true(r.len >= 6 + 4);
  assert_memory_equal(r.data, "\x81\x04good\x88", 7);
  assert_memory_equal(r.data + 8, "\x03\xea", 2);
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, NWS_ERROR_OPCODE);
  assert_int_equal(fx.s.offset, 10);
  assert_int_equal(fx.s.code, 1006);
  assert_int_equal(fx.s.code_sent, 1002);
  fixture_end(&fx);
}

/* A client that does not close its end gets a few seconds, no more. */
static void test_linger_ends(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  raw_frame(&fx, &r, 0x88, "", 0);
  raw_until(&fx, &r, r.ended);
  uint64_t start = uv_hrtime();
  step_until(&fx, fx.s.closes == 1);
  assert_true(uv_hrtime() - start > UINT64_C(1000000000));
  assert_int_equal(fx.s.error, NWS_OK);
  assert_int_equal(fx.s.code, 1005);
  raw_free(&r);
  fixture_end(&fx);
}

/* --- Half-closed --- */

static void test_half_close_open(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  raw_frame(&fx, &r, 0x81, "hear me", 7);
  shutdown(r.fd, SHUT_WR);
  raw_until(&fx, &r, r.ended);
  assert_in_range(r.len, 13, 9 + 127);
  assert_memory_equal(r.data, "\x81\x07hear me", 9); /* the echo still came */
  assert_int_equal(r.data[9], 0x88); /* and a close that says what was wrong */
  assert_memory_equal(r.data + 11, "\x03\xea", 2);
  assert_int_equal(r.len, 11 + (size_t)r.data[10]);
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, NWS_ERROR_EOF);
  assert_int_equal(fx.s.code, 1006);
  fixture_end(&fx);
}

static void test_half_close_closing(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  nws_peer_close(fx.s.peer, 1000, no_reason);
  step(&fx);
  shutdown(r.fd, SHUT_WR);
  raw_until(&fx, &r, r.ended);
  assert_int_equal(r.len, 4);
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, NWS_ERROR_EOF);
  assert_int_equal(fx.s.code_sent, 1000);
  fixture_end(&fx);
}

/* --- Vanishing --- */

static void test_reset_idle(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  raw_reset(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, UV_ECONNRESET);
  fixture_end(&fx);
}

static void test_reset_paused(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  nws_peer_pause(fx.s.peer);
  step(&fx);
  raw_reset(&r);
  step_for(&fx, 20);
  if (fx.s.peer != NULL)
    nws_peer_resume(fx.s.peer);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, UV_ECONNRESET);
  fixture_end(&fx);
}

static void test_reset_closing(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  nws_peer_close(fx.s.peer, 1000, no_reason);
  step(&fx);
  raw_reset(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, UV_ECONNRESET);
  raw_open(&fx, &r); /* and while the server lingers */
  raw_frame(&fx, &r, 0x88, "", 0);
  raw_until(&fx, &r, r.ended);
  raw_reset(&r);
  step_until(&fx, fx.s.closes == 2);
  assert_int_equal(fx.s.error, NWS_OK);
  fixture_end(&fx);
}

/* Nothing here may raise SIGPIPE, which would end this process. The kernel has
 * it for those who write after a FIN and then a RST have come in; a paused peer
 * notices neither. */
static void test_sigpipe(void **state) {
  fixture fx;
  raw r;
  (void)state;
  signal(SIGPIPE, SIG_DFL);
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  nws_peer *peer = fx.s.peer;
  nws_peer_pause(peer);
  nws_peer_send(peer, NWS_OPCODE_TEXT, "unread", 6);
  step_for(&fx, 5);
  shutdown(r.fd, SHUT_WR);
  step_for(&fx, 5);
  raw_free(&r); /* with unread data: RST */
  step_for(&fx, 5);
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, "knock", 5), NWS_OK);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, UV_EPIPE);
  fixture_end(&fx);
}

/* Writing to a peer that goes away, until that is noticed. */
static void test_knocking(void **state) {
  enum { BIG = 4 * 1024 * 1024 };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  char *data = calloc(1, BIG);
  for (int round = 0; round < 4; round++) {
    raw_open(&fx, &r);
    nws_peer *peer = fx.s.peer;
    if (round % 2 == 0) /* blocked in the queue */
      nws_peer_send(peer, NWS_OPCODE_BINARY, data, BIG);
    step(&fx);
    if (round < 2)
      raw_reset(&r);
    else
      raw_free(&r); /* FIN now, RST for what is written later */
    while (fx.s.closes == round) {
      nws_peer_send(peer, NWS_OPCODE_TEXT, "knock", 5);
      nws_peer_ping(peer);
      step(&fx);
    }
    assert_int_not_equal(fx.s.error, NWS_OK);
  }
  free(data);
  fixture_end(&fx);
}

/* --- Time --- */

static void test_close_timeout(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.conn.close_timeout_ms = 50;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  nws_peer_close(fx.s.peer, 1000, no_reason);
  uint64_t start = uv_hrtime();
  step_until(&fx, fx.s.closes == 1);
  assert_true(uv_hrtime() - start > UINT64_C(40000000));
  assert_int_equal(fx.s.error, NWS_ERROR_CLOSE_TIMEOUT);
  raw_free(&r);
  fixture_end(&fx);
}

static void test_pong_timeout(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.conn.ping_interval_ms = 30;
  fx.conn.pong_timeout_ms = 30;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  raw_until(&fx, &r, fx.s.closes == 1);
  assert_int_equal(fx.s.error, NWS_ERROR_PONG_TIMEOUT);
  assert_true(r.len > 2);
  assert_int_equal(r.data[0], 0x89);
  raw_free(&r);
  fixture_end(&fx);
}

/* Whoever answers pings is kept, here our own client. */
static void test_kept_alive(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.conn.ping_interval_ms = 20;
  fx.conn.pong_timeout_ms = 200;
  fixture_pair(&fx);
  step_until(&fx, fx.s.controls >= 5);
  assert_int_equal(fx.s.closes, 0);
  assert_true(nws_conn_rtt(nws_peer_conn(fx.s.peer)) > 0);
  assert_int_equal(nws_peer_ping(fx.s.peer), NWS_OK);
  fixture_end(&fx);
}

/* Our own pause is not the peer's silence. */
static void test_pause(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.conn.ping_interval_ms = 20;
  fx.conn.pong_timeout_ms = 20;
  fixture_pair(&fx);
  nws_peer_ping(fx.s.peer); /* whose pong will have to wait */
  nws_peer_pause(fx.s.peer);
  nws_peer_send(fx.c.peer, NWS_OPCODE_TEXT, "wait", 4);
  step_for(&fx, 150);
  assert_int_equal(fx.s.messages, 0);
  assert_int_equal(fx.s.closes, 0);
  nws_peer_resume(fx.s.peer);
  step_until(&fx, fx.s.messages == 1);
  step_until(&fx, fx.s.controls > 2);
  assert_int_equal(fx.s.closes, 0);
  fixture_end(&fx);
}

/* --- Stopping a server --- */

static void test_stop(void **state) {
  fixture fx;
  raw half, silent;
  (void)state;
  fixture_init(&fx);
  fx.conn.close_timeout_ms = 100;
  fixture_pair(&fx);
  raw_open(&fx, &silent);
  raw_connect(&half, &fx);
  raw_send(&fx, &half, raw_request, 30);
  step_until(&fx, nws_server_peers(fx.server) == 3);
  nws_server_stop(fx.server, NWS_CLOSE_GOING_AWAY);
  raw_until(&fx, &half, half.ended);
  assert_memory_equal(half.data, "HTTP/1.1 503 ", 13);
  raw_free(&half);
  step_until(&fx, fx.stops == 1);
  assert_int_equal(fx.c.closes, 1);
  assert_int_equal(fx.c.error, NWS_OK);
  assert_int_equal(fx.c.code, 1001);
  assert_int_equal(fx.s.closes, 2);
  raw_read(&silent);
  assert_memory_equal(silent.data, "\x88\x02\x03\xe9", 4);
  raw_free(&silent);
  fixture_end(&fx);
}

static void test_stop_twice(void **state) {
  fixture fx;
  raw silent, deciding;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &silent);
  raw_connect(&deciding, &fx);
  step_until(&fx, nws_server_peers(fx.server) == 2);
  uint64_t start = uv_hrtime();
  nws_server_stop(fx.server, NWS_CLOSE_GOING_AWAY);
  nws_server_stop(fx.server, NWS_CLOSE_GOING_AWAY);
  assert_int_equal(fx.stops, 0);
  assert_int_equal(fx.s.closes, 0);
  step_until(&fx, fx.stops == 1);
  assert_true(uv_hrtime() - start < UINT64_C(1000000000));
  assert_int_equal(fx.s.closes, 1);
  assert_int_equal(fx.s.error, UV_ECANCELED);
  raw_free(&silent);
  raw_free(&deciding);
  fixture_end(&fx);
}

/* A client's own end: it waits for the server to close TCP first. */
static void test_abort(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fixture_pair(&fx);
  nws_peer_abort(fx.c.peer);
  nws_peer_abort(fx.c.peer);
  assert_int_equal(fx.c.closes, 0); /* not from inside the call */
  step_until(&fx, fx.c.closes == 1 && fx.s.closes == 1);
  assert_int_equal(fx.c.error, UV_ECANCELED);
  assert_int_equal(fx.s.error, NWS_ERROR_EOF);
  fixture_end(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_client_closes),
      cmocka_unit_test(test_server_closes),
      cmocka_unit_test(test_fault),
      cmocka_unit_test(test_linger_ends),
      cmocka_unit_test(test_half_close_open),
      cmocka_unit_test(test_half_close_closing),
      cmocka_unit_test(test_reset_idle),
      cmocka_unit_test(test_reset_paused),
      cmocka_unit_test(test_reset_closing),
      cmocka_unit_test(test_sigpipe),
      cmocka_unit_test(test_knocking),
      cmocka_unit_test(test_close_timeout),
      cmocka_unit_test(test_pong_timeout),
      cmocka_unit_test(test_kept_alive),
      cmocka_unit_test(test_pause),
      cmocka_unit_test(test_stop),
      cmocka_unit_test(test_stop_twice),
      cmocka_unit_test(test_abort),
  };
  return run_without_leaks(tests);
}
