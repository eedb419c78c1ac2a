/* test_net_queue.c - readers slower than the writer.
 */
#include "net_fixture.h"

enum { KIB = 1024 };

/* A peer that never reads cannot make the queue grow without end; when it reads
 * at last, everything that was taken arrives. */
static void test_bounded(void **state) {
  enum { MAX = 1024 * KIB, PART = 10000 };
  fixture fx;
  raw r;
  char part[PART];
  size_t sent = 0;
  int rc = NWS_OK;
  (void)state;
  fixture_init(&fx);
  fx.options.limits.high_water = 256 * KIB;
  fx.options.limits.low_water = 64 * KIB;
  fx.options.limits.max_queue = MAX;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  memset(part, 'q', sizeof(part));
  while (rc == NWS_OK && sent < 100000) {
    rc = nws_peer_send(fx.s.peer, NWS_OPCODE_BINARY, part, PART);
    sent += rc == NWS_OK;
    if (sent % 50 == 0)
      step(&fx);
    assert_true(nws_peer_queued(fx.s.peer) <= MAX);
  }
  assert_int_equal(rc, NWS_ERROR_QUEUE);
  step_for(&fx, 20);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, part, PART), NWS_ERROR_QUEUE);
  assert_int_equal(fx.s.drains, 0);
  raw_until(&fx, &r, r.len == sent * (PART + 4));
  assert_int_equal(fx.s.drains, 1);
  assert_int_equal(nws_peer_queued(fx.s.peer), 0);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, part, PART), NWS_OK);
  raw_free(&r);
  fixture_end(&fx);
}

/* An echo server stops reading from a client that does not read. */
static void test_backpressure(void **state) {
  enum { HIGH = 128 * KIB, COUNT = 4000, PART = 4000 };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.options.limits.high_water = HIGH;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  uint8_t frame[PART + 8];
  char part[PART];
  memset(part, 'b', sizeof(part));
  size_t len = put_frame(frame, 0x82, part, PART);
  size_t total = COUNT * len;
  size_t at = 0;
  int idle = 0;
  while (at < total && idle < 100) { /* write until nothing more goes in */
    ssize_t n = send(r.fd, frame + at % len, len - at % len, MSG_NOSIGNAL);
    at += n > 0 ? (size_t)n : 0;
    idle = n > 0 ? 0 : idle + 1;
    step(&fx);
    /* What one read brings may come on top. */
    assert_true(nws_peer_queued(fx.s.peer) <= HIGH + 300 * KIB);
  }
  assert_true(at < total);
  int stuck_at = fx.s.messages;
  step_for(&fx, 20);
  assert_int_equal(fx.s.messages, stuck_at);
  while (at < total) {
    ssize_t n = send(r.fd, frame + at % len, len - at % len, MSG_NOSIGNAL);
    at += n > 0 ? (size_t)n : 0;
    raw_read(&r);
    step(&fx);
  }
  raw_until(&fx, &r, r.len == COUNT * (PART + 4));
  assert_int_equal(fx.s.messages, COUNT);
  assert_true(fx.s.drains > 0);
  raw_free(&r);
  fixture_end(&fx);
}

/* One message may be larger than the queue, when it waits alone. */
static void test_large_message(void **state) {
  enum { LEN = 12000 * KIB };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.options.limits.high_water = 16 * KIB;
  fx.options.limits.max_queue = 64 * KIB;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, 1), NWS_ERROR_QUEUE);
  raw_until(&fx, &r, r.len == LEN + 10);
  step_until(&fx, fx.s.drains == 1);
  free(data);
  raw_free(&r);
  fixture_end(&fx);
}

/* Refused although little is queued: `drain` comes all the same. */
static void test_refused_below_low_water(void **state) {
  fixture fx;
  raw r;
  char part[1000];
  (void)state;
  fixture_init(&fx);
  fx.options.limits.high_water = 1000;
  fx.options.limits.max_queue = 1000;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  memset(part, 0, sizeof(part));
  assert_int_equal(nws_peer_send(fx.s.peer, 2, part, 10), NWS_OK);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, part, 1000), NWS_ERROR_QUEUE);
  assert_int_equal(fx.s.drains, 0);
  step_until(&fx, fx.s.drains == 1);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, part, 1000), NWS_OK);
  raw_until(&fx, &r, r.len == 12 + 1004);
  raw_free(&r);
  fixture_end(&fx);
}

/* Somebody who reads nothing is given up... */
static void test_stalled(void **state) {
  enum { LEN = 8000 * KIB };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.conn.ping_interval_ms = 50;
  fx.conn.pong_timeout_ms = 50;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, NWS_ERROR_PONG_TIMEOUT);
  free(data);
  raw_free(&r);
  fixture_end(&fx);
}

/* ...but not somebody who reads slowly, though a pong could not come for
 * longer than the time-outs. */
static void test_slow(void **state) {
  enum { LEN = 12000 * KIB, PIECE = 64 * KIB };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  /* The system itself waits for 200 ms before it sends a packet again. */
  fx.conn.ping_interval_ms = 300;
  fx.conn.pong_timeout_ms = 300;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  char *sink = malloc(PIECE);
  size_t got = 0;
  uint64_t start = uv_hrtime();
  while (got < LEN + 10) {
    ssize_t n = recv(r.fd, sink, PIECE, 0);
    if (n <= 0 && errno != EAGAIN)
      fail_msg("dropped after %zu bytes", got);
    got += n > 0 ? (size_t)n : 0;
    step_for(&fx, 6);
  }
  assert_true(uv_hrtime() - start > UINT64_C(1000000000));
  assert_int_equal(fx.s.closes, 0);
  free(sink);
  free(data);
  raw_free(&r);
  fixture_end(&fx);
}

/* A close waits behind what is queued, and arrives. */
static void test_close_behind_queue(void **state) {
  enum { LEN = 6000 * KIB };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  char *data = calloc(1, LEN);
  nws_str reason = nws_str_of("bye");
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  assert_int_equal(nws_peer_close(fx.s.peer, 1000, reason), NWS_OK);
  raw_until(&fx, &r, r.len == LEN + 10 + 7);
  assert_memory_equal(r.data + LEN + 10,
                      "\x88\x05\x03\xe8"
                      "bye",
                      7);
  raw_frame(&fx, &r, 0x88, "\x03\xe8", 2);
  raw_until(&fx, &r, r.ended);
  free(data);
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, NWS_OK);
  fixture_end(&fx);
}

/* Pings without end from somebody who reads none of the pongs. */
static void test_ping_flood(void **state) {
  enum { COUNT = 200 };
  fixture fx;
  raw r;
  uint8_t *out = malloc(COUNT * 131);
  char payload[125];
  size_t len = 0;
  (void)state;
  fixture_init(&fx);
  fx.conn.max_controls = NWS_UNLIMITED;
  fx.options.limits.high_water = 64 * KIB;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  memset(payload, 'p', sizeof(payload));
  for (int i = 0; i < COUNT; i++)
    len += put_frame(out + len, 0x89, payload, sizeof(payload));
  size_t at = 0;
  int idle = 0;
  while (idle < 100 && at < 2000 * len) {
    ssize_t n = send(r.fd, out + at % len, len - at % len, MSG_NOSIGNAL);
    at += n > 0 ? (size_t)n : 0;
    idle = n > 0 ? 0 : idle + 1;
    step(&fx);
    assert_true(nws_peer_queued(fx.s.peer) <= 400 * KIB);
  }
  assert_int_equal(idle, 100); /* reading has stopped */
  free(out);
  raw_reset(&r);
  fixture_end(&fx);
}

static void test_limits(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.options.limits.high_water = 10;
  fx.options.limits.low_water = 11;
  assert_int_equal(nws_server_start(fx.loop, &fx.options, &fx.server),
                   NWS_ERROR_CONFIG);
  fx.options.limits.low_water = 0;
  fx.options.limits.max_queue = 9;
  assert_int_equal(nws_server_start(fx.loop, &fx.options, &fx.server),
                   NWS_ERROR_CONFIG);
  assert_null(fx.server);
  fx.options.limits = (nws_net_limits){.max_queue = 64 * KIB};
  fixture_serve(&fx); /* high_water is what fits */
  fixture_end(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bounded),
      cmocka_unit_test(test_backpressure),
      cmocka_unit_test(test_large_message),
      cmocka_unit_test(test_refused_below_low_water),
      cmocka_unit_test(test_stalled),
      cmocka_unit_test(test_slow),
      cmocka_unit_test(test_close_behind_queue),
      cmocka_unit_test(test_ping_flood),
      cmocka_unit_test(test_limits),
  };
  return run_without_leaks(tests);
}
