/* test_net_silence.c - who is ended for silence, and who is not: slow readers,
 * dead ones, pauses short and long, and both ends writing at once.
 */
#include "../../src/net/net_internal.h"
#include "net_fixture.h"

enum { KIB = 1024 };

static const nws_str no_reason = {NULL, 0};

static void set_buffers(int fd, int len) {
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &len, sizeof(len));
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &len, sizeof(len));
}

/* --- Both ends write --- */

enum { PUMP_PART = 16 * KIB, PUMP_PARTS = 400 };
static int pumped;

static void pump(nws_peer *peer) {
  static const char part[PUMP_PART];
  while (pumped < PUMP_PARTS &&
         nws_peer_send(peer, NWS_OPCODE_BINARY, part, PUMP_PART) == NWS_OK)
    pumped++;
}

/* A client sends all it can and goes on at `drain`; the server echoes. When
 * everything between them is full one of the two must still read. */
static void test_both_full(void **state) {
  fixture fx;
  (void)state;
  pumped = 0;
  fixture_init(&fx);
  fx.options.limits.high_water = fx.client_limits.high_water = 64 * KIB;
  fx.client_limits.max_queue = 256 * KIB;
  fx.client_handler.drain = pump;
  fixture_pair(&fx);
  set_buffers(fx.s.peer->fd, 32 * KIB);
  set_buffers(fx.c.peer->fd, 32 * KIB);
  pump(fx.c.peer);
  assert_true(pumped < PUMP_PARTS);
  step_until(&fx, fx.c.messages == PUMP_PARTS);
  assert_int_equal(fx.c.bytes, PUMP_PART * PUMP_PARTS);
  fixture_end(&fx);
}

/* --- Slow readers --- */

/* Opens a raw peer that has little room, so that what it is slow to read waits
 * at the server's end. */
static void open_narrow(fixture *fx, raw *r) {
  raw_open(fx, r);
  set_buffers(r->fd, 64 * KIB);
}

/* Packets that the system drops it sends again after 200 ms at the earliest: a
 * time-out has to be longer. Reads one bit after the other up to `len` bytes;
 * the last ones are in `tail`. */
static void read_slowly(fixture *fx, raw *r, size_t len, uint8_t tail[16]) {
  enum { BIT = 16 * KIB };
  static uint8_t bit[16 + BIT];
  size_t got = 0;
  while (got < len) {
    size_t want = len - got < BIT ? len - got : BIT;
    ssize_t n = recv(r->fd, bit + 16, want, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
      fail_msg("dropped after %zu of %zu bytes", got, len);
    if (n > 0) {
      got += (size_t)n;
      memmove(bit, bit + n, 16);
    }
    step_for(fx, 8);
  }
  memcpy(tail, bit, 16);
}

/* Everything is with the operating system, nothing in the queue; still no
 * answer to a ping can be expected before all was read. */
static void test_slow_kept_alive(void **state) {
  enum { LEN = 2500 * KIB };
  fixture fx;
  raw r;
  uint8_t tail[16];
  (void)state;
  fixture_init(&fx);
  fx.conn.ping_interval_ms = fx.conn.pong_timeout_ms = 300;
  fixture_serve(&fx);
  open_narrow(&fx, &r);
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  uint64_t start = uv_hrtime();
  read_slowly(&fx, &r, LEN + 10, tail);
  assert_true(uv_hrtime() - start > UINT64_C(1000000000));
  assert_int_equal(fx.s.closes, 0);
  raw_until(&fx, &r, r.len > 0); /* and now a ping is in order... */
  assert_int_equal(r.data[0], 0x89);
  raw_until(&fx, &r, fx.s.closes == 1); /* ...which nobody answers */
  assert_int_equal(fx.s.error, NWS_ERROR_PONG_TIMEOUT);
  free(data);
  raw_free(&r);
  fixture_end(&fx);
}

static void test_slow_closing(void **state) {
  enum { LEN = 2500 * KIB };
  fixture fx;
  raw r;
  uint8_t tail[16];
  (void)state;
  fixture_init(&fx);
  fx.conn.close_timeout_ms = 500;
  fixture_serve(&fx);
  open_narrow(&fx, &r);
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  assert_int_equal(nws_peer_close(fx.s.peer, 1000, no_reason), NWS_OK);
  read_slowly(&fx, &r, LEN + 10 + 4, tail);
  assert_memory_equal(tail + 12, "\x88\x02\x03\xe8", 4);
  raw_frame(&fx, &r, 0x88, "\x03\xe8", 2);
  raw_until(&fx, &r, r.ended);
  free(data);
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, NWS_OK);
  assert_int_equal(fx.s.code, 1000);
  fixture_end(&fx);
}

/* --- Dead ones --- */

static uint64_t end_of(fixture *fx) {
  uint64_t start = uv_hrtime();
  step_until(fx, fx->s.closes == 1);
  return (uv_hrtime() - start) / 1000000;
}

/* One that takes nothing is not waited for any longer because it is closing. */
static void test_stalled_closing(void **state) {
  enum { LEN = 12000 * KIB };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.conn.close_timeout_ms = 100;
  fixture_serve(&fx);
  open_narrow(&fx, &r);
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  assert_int_equal(nws_peer_close(fx.s.peer, 1000, no_reason), NWS_OK);
  assert_in_range(end_of(&fx), 90, 3000);
  assert_int_equal(fx.s.error, NWS_ERROR_CLOSE_TIMEOUT);
  free(data);
  raw_free(&r);
  fixture_end(&fx);
}

/* What the system takes from us proves nothing as long as it keeps it. */
static void test_writing_is_no_life(void **state) {
  enum { LEN = 1000 * KIB };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.conn.ping_interval_ms = fx.conn.pong_timeout_ms = 100;
  fixture_serve(&fx);
  open_narrow(&fx, &r);
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  free(data);
  uint64_t end = uv_hrtime() + UINT64_C(4000000000);
  while (fx.s.closes == 0 && uv_hrtime() < end) {
    assert_int_equal(nws_peer_send(fx.s.peer, 2, "more", 4), NWS_OK);
    step_for(&fx, 10);
  }
  assert_int_equal(fx.s.closes, 1);
  assert_int_equal(fx.s.error, NWS_ERROR_PONG_TIMEOUT);
  raw_free(&r);
  fixture_end(&fx);
}

/* Whoever never reads cannot hold on by sending, neither while open nor once
 * we have closed. */
static void holds_on(int closing, int error) {
  enum { LEN = 8000 * KIB };
  fixture fx;
  raw r;
  fixture_init(&fx);
  fx.conn.ping_interval_ms = fx.conn.pong_timeout_ms = 100;
  fx.conn.close_timeout_ms = 200;
  fx.options.limits.high_water = 2 * LEN;
  fixture_serve(&fx);
  open_narrow(&fx, &r);
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  free(data);
  if (closing)
    assert_int_equal(nws_peer_close(fx.s.peer, 1000, no_reason), NWS_OK);
  uint64_t end = uv_hrtime() + UINT64_C(4000000000);
  while (fx.s.closes == 0 && uv_hrtime() < end) {
    raw_frame(&fx, &r, 0x8a, "here", 4);
    step_for(&fx, 10);
  }
  assert_int_equal(fx.s.closes, 1);
  assert_int_equal(fx.s.error, error);
  raw_free(&r);
  fixture_end(&fx);
}

static void test_sending_is_no_reading(void **state) {
  (void)state;
  holds_on(0, NWS_ERROR_PONG_TIMEOUT);
  holds_on(1, NWS_ERROR_CLOSE_TIMEOUT);
}

/* --- Pauses --- */

/* Sent to while paused, and slow to read it afterwards. */
static void test_pause_send_resume(void **state) {
  enum { LEN = 12000 * KIB, BIT = 16 * KIB };
  fixture fx;
  raw r;
  static char bit[BIT];
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  open_narrow(&fx, &r);
  nws_peer *peer = fx.s.peer;
  char *data = calloc(1, LEN);
  nws_peer_pause(peer);
  assert_int_equal(nws_peer_send(peer, 2, data, LEN), NWS_OK);
  free(data);
  step_for(&fx, 20);
  nws_peer_resume(peer);
  uint64_t end = uv_hrtime() + UINT64_C(1500000000);
  while (uv_hrtime() < end) {
    assert_true(recv(r.fd, bit, BIT, 0) != 0);
    step_for(&fx, 30);
  }
  assert_int_equal(fx.s.closes, 0);
  assert_true(nws_peer_queued(peer) > 0);
  raw_reset(&r);
  fixture_end(&fx);
}

static void pause_and_resume(fixture *fx) {
  uint64_t end = uv_hrtime() + UINT64_C(4000000000);
  while (fx->s.closes == 0 && uv_hrtime() < end) {
    nws_peer_pause(fx->s.peer);
    step_for(fx, 5);
    nws_peer_resume(fx->s.peer);
    step_for(fx, 5);
  }
  assert_int_equal(fx->s.closes, 1);
  assert_int_equal(fx->s.error, NWS_ERROR_PONG_TIMEOUT);
}

/* Pauses do not count, but what is between them does: neither somebody silent
 * nor somebody who takes nothing hides behind them. */
static void test_pauses_hide_nothing(void **state) {
  enum { LEN = 8000 * KIB };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.conn.ping_interval_ms = fx.conn.pong_timeout_ms = 100;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  uint64_t start = uv_hrtime();
  pause_and_resume(&fx);
  assert_true(uv_hrtime() - start > UINT64_C(200000000));
  raw_free(&r);
  fx.s.closes = 0;
  open_narrow(&fx, &r);
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  pause_and_resume(&fx);
  free(data);
  raw_free(&r);
  fixture_end(&fx);
}

/* What has waited in the socket for longer than anybody's patience is read
 * before it is judged. */
static void test_read_before_judged(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.conn.ping_interval_ms = fx.conn.pong_timeout_ms = 100;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  raw_until(&fx, &r, r.len > 0);
  assert_int_equal(r.data[0], 0x89);
  raw_frame(&fx, &r, 0x81, "here", 4);
  usleep(300000); /* the application is busy with something else */
  step_until(&fx, fx.s.messages == 1);
  step_for(&fx, 5);
  assert_int_equal(fx.s.closes, 0);
  raw_free(&r);
  fixture_end(&fx);
}

/* --- Stopping --- */

enum { PAGE_LEN = 16000 * KIB };

static void large_page(nws_peer *peer, const nws_server_handshake *request,
                       int error) {
  nws_rejection answer = {.size = sizeof(answer), .status = 200};
  char *body = calloc(1, PAGE_LEN);
  note_http(peer, request, error);
  set_buffers(peer->fd, 64 * KIB);
  answer.body = nws_str_make(body, PAGE_LEN);
  assert_int_equal(nws_peer_respond(peer, &answer), NWS_OK);
  free(body);
}

/* However diligently somebody reads, frames or a page, the server stops in
 * time. */
static void test_stop_is_bounded(void **state) {
  static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  enum { BIT = 16 * KIB };
  fixture fx;
  raw r[2];
  static char bit[BIT];
  (void)state;
  fixture_init(&fx);
  fx.conn.close_timeout_ms = 300;
  fx.server_handler.http = large_page;
  fixture_serve(&fx);
  open_narrow(&fx, &r[0]);
  set_buffers(fx.s.peer->fd, 64 * KIB);
  char *data = calloc(1, PAGE_LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, PAGE_LEN), NWS_OK);
  free(data);
  raw_connect(&r[1], &fx);
  set_buffers(r[1].fd, 64 * KIB);
  raw_send(&fx, &r[1], get, sizeof(get) - 1);
  step_until(&fx, fx.s.https == 1);
  uint64_t start = uv_hrtime();
  nws_server_stop(fx.server, NWS_CLOSE_GOING_AWAY);
  while (fx.stops == 0 && uv_hrtime() - start < UINT64_C(3000000000)) {
    (void)!recv(r[0].fd, bit, BIT, 0);
    (void)!recv(r[1].fd, bit, BIT, 0);
    step_for(&fx, 10);
  }
  assert_int_equal(fx.stops, 1);
  assert_true(uv_hrtime() - start > UINT64_C(290000000));
  assert_int_equal(fx.s.closes, 2);
  raw_free(&r[0]);
  raw_free(&r[1]);
  fixture_end(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_both_full),
      cmocka_unit_test(test_slow_kept_alive),
      cmocka_unit_test(test_slow_closing),
      cmocka_unit_test(test_stalled_closing),
      cmocka_unit_test(test_writing_is_no_life),
      cmocka_unit_test(test_sending_is_no_reading),
      cmocka_unit_test(test_pause_send_resume),
      cmocka_unit_test(test_pauses_hide_nothing),
      cmocka_unit_test(test_read_before_judged),
      cmocka_unit_test(test_stop_is_bounded),
  };
  return run_without_leaks(tests);
}
