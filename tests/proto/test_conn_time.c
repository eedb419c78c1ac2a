/* test_conn_time.c - the clock is a parameter: keep-alive pings, what counts
 * as a sign of life, round trips, closing timeouts, and deadlines that never
 * stand still.
 */
#include "conn_help.h"

static const nws_role both_roles[] = {NWS_ROLE_CLIENT, NWS_ROLE_SERVER};

enum { INTERVAL = 1000, PONG = 500, CLOSING = 300 }; /* milliseconds */

#define T0 UINT64_C(123456789012345)

static uint64_t ms(uint64_t n) {
  return n * MILLI;
}

static end start(nws_role role) {
  end e = {.config = {.ping_interval_ms = INTERVAL,
                      .pong_timeout_ms = PONG,
                      .close_timeout_ms = CLOSING}};
  e.role = role;
  return e;
}

/* Wants the tick to give this result and this deadline. */
static void expect_tick(end *e, uint64_t now, int rc, uint64_t deadline) {
  uint64_t next = 77;
  assert_int_equal(nws_conn_tick(&e->conn, now, &next), rc);
  assert_true(nws__conn_valid(&e->conn));
  assert_int_equal(next, deadline);
}

static void say_close(end *e) {
  uint8_t out[140];
  size_t len;
  assert_int_equal(
      nws_conn_close(&e->conn, 1000, nws_str_of(NULL), out, 140, &len), NWS_OK);
}

/* Flushes the ping that is owed; its payload is the engine's choice. */
static size_t take_ping(end *e, uint8_t payload[125]) {
  uint8_t out[512];
  const size_t len = end_flush(e, out);
  const wire w = wire_read(out, len);
  assert_int_equal(w.size, len);
  assert_int_equal(w.first, FIN | NWS_OPCODE_PING);
  memcpy(payload, w.payload, w.len);
  return w.len;
}

static void hear_at(end *e, uint64_t now, unsigned opcode, const void *payload,
                    size_t len) {
  e->now = now;
  assert_int_equal(end_hear(e, FIN | opcode, payload, len), 0);
}

/* --- Keep-alive --- */

static void ping_when_silent(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    uint8_t payload[125];
    end e = start(both_roles[r]);
    end_open(&e, e.role);
    expect_tick(&e, T0, NWS_OK, T0 + ms(INTERVAL));
    expect_tick(&e, T0 + ms(INTERVAL) - 1, NWS_OK, T0 + ms(INTERVAL));
    assert_int_equal(nws_conn_owed(&e.conn), 0);
    const uint64_t ping = T0 + ms(INTERVAL);
    expect_tick(&e, ping, NWS_OK, ping + ms(PONG));
    const size_t len = take_ping(&e, payload);
    expect_tick(&e, ping + 1, NWS_OK, ping + ms(PONG));
    assert_int_equal(nws_conn_owed(&e.conn), 0);
    assert_int_equal(nws_conn_rtt(&e.conn), 0);
    const uint64_t pong = ping + ms(123);
    hear_at(&e, pong, NWS_OPCODE_PONG, payload, len);
    const uint64_t rtt = nws_conn_rtt(&e.conn);
    assert_true(rtt >= ms(123) - 1024 && rtt <= ms(123) + 1024);
    expect_tick(&e, pong + 1, NWS_OK, pong + ms(INTERVAL));
  }
}

/* Whatever arrives postpones the ping, be it one byte of a header. */
static void traffic_postpones_ping(void **unused) {
  uint8_t b[64];
  end e = start(NWS_ROLE_SERVER);
  (void)unused;
  end_open(&e, e.role);
  expect_tick(&e, T0, NWS_OK, T0 + ms(INTERVAL));
  const size_t n = put_peer(&e, b, FIN | 2, "some payload", 12);
  for (size_t i = 0; i < n; i++) {
    e.now = T0 + ms(900) * (i + 1);
    assert_int_equal(end_feed(&e, b + i, 1, NULL), 0);
    expect_tick(&e, e.now + ms(100), NWS_OK, e.now + ms(INTERVAL));
    assert_int_equal(nws_conn_owed(&e.conn), 0);
  }
}

/* After a ping, too, anything at all counts; but only the right pong makes a
 * round trip. */
static void traffic_counts_as_life(void **unused) {
  static const unsigned kinds[] = {NWS_OPCODE_BINARY, NWS_OPCODE_PING,
                                   NWS_OPCODE_PONG};
  (void)unused;
  for (size_t i = 0; i < 3; i++) {
    uint8_t payload[125];
    end e = start(NWS_ROLE_CLIENT);
    end_open(&e, e.role);
    expect_tick(&e, T0, NWS_OK, T0 + ms(INTERVAL));
    const uint64_t ping = T0 + ms(INTERVAL);
    expect_tick(&e, ping, NWS_OK, ping + ms(PONG));
    const size_t len = take_ping(&e, payload);
    const uint64_t heard = ping + ms(PONG) - 1;
    hear_at(&e, heard, kinds[i], "unasked", 7);
    expect_tick(&e, ping + ms(PONG), NWS_OK, heard + ms(INTERVAL));
    assert_int_equal(nws_conn_rtt(&e.conn), 0);
    /* The pong is late but still tells the round trip. */
    hear_at(&e, ping + ms(700), NWS_OPCODE_PONG, payload, len);
    const uint64_t rtt = nws_conn_rtt(&e.conn);
    assert_true(rtt >= ms(700) - 1024 && rtt <= ms(700) + 1024);
    /* Told twice, it tells nothing new. */
    hear_at(&e, ping + ms(800), NWS_OPCODE_PONG, payload, len);
    assert_int_equal(nws_conn_rtt(&e.conn), rtt);
  }
}

/* A ping that an open frame of ours holds back has not been written, so that
 * nothing is late, however long the frame takes; its time runs from when the
 * frame has ended. */
static void open_frame_holds_ping_back(void **unused) {
  (void)unused;
  for (int i = 0; i < 4; i++) {
    uint8_t out[16], payload[125];
    size_t len;
    uint64_t now = T0 + ms(INTERVAL);
    end e = start(both_roles[i % 2]);
    end_open(&e, e.role);
    expect_tick(&e, T0, NWS_OK, T0 + ms(INTERVAL));
    assert_int_equal(nws_conn_send_begin(&e.conn, 2, 100, out, 14, &len),
                     NWS_OK);
    if (i / 2) {
      assert_int_equal(nws_conn_ping(&e.conn, now), NWS_OK);
    }
    for (size_t left = 100; left > 0; left--) {
      expect_tick(&e, now, NWS_OK, now + ms(PONG));
      assert_int_equal(nws_conn_owed(&e.conn), 0);
      assert_int_equal(nws_conn_send_payload(&e.conn, out, "x", 1), NWS_OK);
      now += left % 2 ? ms(PONG) : ms(INTERVAL) * 50;
    }
    /* The frame is over: now it goes out, and now it can be late. */
    const uint64_t last = now - ms(PONG);
    assert_int_equal(take_ping(&e, payload), 4);
    expect_tick(&e, now - 1, NWS_OK, last + ms(PONG));
    expect_tick(&e, now, NWS_ERROR_PONG_TIMEOUT, now + ms(CLOSING));
  }
}

/* No answer: the connection has failed, and 1011 is its last word. */
static void pong_timeout(void **unused) {
  (void)unused;
  for (int i = 0; i < 4; i++) {
    const int flushed = i / 2;
    end e = start(both_roles[i % 2]);
    end_open(&e, e.role);
    uint8_t payload[125];
    expect_tick(&e, T0, NWS_OK, T0 + ms(INTERVAL));
    const uint64_t ping = T0 + ms(INTERVAL), dead = ping + ms(PONG);
    expect_tick(&e, ping, NWS_OK, dead);
    take_ping(&e, payload);
    expect_tick(&e, dead - 1, NWS_OK, dead);
    expect_tick(&e, dead, NWS_ERROR_PONG_TIMEOUT, dead + ms(CLOSING));
    assert_int_equal(nws_conn_fault(&e.conn).error, NWS_ERROR_PONG_TIMEOUT);
    assert_int_equal(end_hear(&e, FIN | 2, "late", 4), NWS_ERROR_PONG_TIMEOUT);
    assert_int_equal(nws_conn_finished(&e.conn), 0);
    if (flushed) {
      expect_close(&e, 1011);
      expect_tick(&e, dead + 1, NWS_ERROR_PONG_TIMEOUT, NWS_NEVER);
    } else {
      expect_tick(&e, dead + ms(CLOSING), NWS_ERROR_PONG_TIMEOUT, NWS_NEVER);
      assert_int_equal(nws_conn_owed(&e.conn), 0);
    }
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    assert_int_equal(nws_conn_fault(&e.conn).error, NWS_ERROR_PONG_TIMEOUT);
  }
}

static void ping_on_request(void **unused) {
  uint8_t payload[125], second[125], out[512];
  end e = start(NWS_ROLE_SERVER);
  (void)unused;
  end_open(&e, e.role);
  expect_tick(&e, T0, NWS_OK, T0 + ms(INTERVAL));
  assert_int_equal(nws_conn_ping(&e.conn, T0 + ms(10)), NWS_OK);
  assert_int_equal(nws_conn_ping(&e.conn, T0 + ms(20)), NWS_OK);
  size_t len = take_ping(&e, payload); /* one serves both */
  assert_int_equal(nws_conn_ping(&e.conn, T0 + ms(30)), NWS_OK);
  assert_int_equal(end_flush(&e, out), 0);
  expect_tick(&e, T0 + ms(30), NWS_OK, T0 + ms(10 + PONG));
  hear_at(&e, T0 + ms(40), NWS_OPCODE_PONG, payload, len);
  uint64_t rtt = nws_conn_rtt(&e.conn);
  assert_true(rtt >= ms(30) - 1024 && rtt <= ms(30) + 1024);
  /* The next one is another ping, which the old pong does not answer. */
  assert_int_equal(nws_conn_ping(&e.conn, T0 + ms(50)), NWS_OK);
  const size_t second_len = take_ping(&e, second);
  assert_true(second_len != len || memcmp(payload, second, len) != 0);
  hear_at(&e, T0 + ms(51), NWS_OPCODE_PONG, payload, len);
  assert_int_equal(nws_conn_rtt(&e.conn), rtt);
  hear_at(&e, T0 + ms(55), NWS_OPCODE_PONG, second, second_len);
  rtt = nws_conn_rtt(&e.conn);
  assert_true(rtt >= ms(5) - 1024 && rtt <= ms(5) + 1024);
  say_close(&e);
  assert_int_equal(nws_conn_ping(&e.conn, T0 + ms(60)), NWS_ERROR_STATE);
  assert_int_equal(end_flush(&e, out), 0);
}

/* Bytes that came before the ping, if in the same instant, are no answer. */
static void ping_right_after_traffic(void **unused) {
  end e = start(NWS_ROLE_SERVER);
  (void)unused;
  end_open(&e, e.role);
  hear_at(&e, T0, NWS_OPCODE_BINARY, "x", 1);
  assert_int_equal(nws_conn_ping(&e.conn, T0), NWS_OK);
  expect_tick(&e, T0 + 1, NWS_OK, T0 + ms(PONG));
}

/* A ping that was asked for before the first tick is waited for as well. */
static void ping_before_first_tick(void **unused) {
  end e = start(NWS_ROLE_SERVER);
  (void)unused;
  end_open(&e, e.role);
  assert_int_equal(nws_conn_ping(&e.conn, T0), NWS_OK);
  expect_tick(&e, T0 + 1, NWS_OK, T0 + ms(PONG));
  expect_tick(&e, T0 + ms(PONG), NWS_ERROR_PONG_TIMEOUT,
              T0 + ms(PONG + CLOSING));
}

/* A round trip below the resolution is not "none". */
static void tiny_round_trip(void **unused) {
  uint8_t payload[125];
  end e = start(NWS_ROLE_SERVER);
  (void)unused;
  end_open(&e, e.role);
  assert_int_equal(nws_conn_ping(&e.conn, T0), NWS_OK);
  const size_t len = take_ping(&e, payload);
  hear_at(&e, T0 + 1, NWS_OPCODE_PONG, payload, len);
  assert_true(nws_conn_rtt(&e.conn) > 0 && nws_conn_rtt(&e.conn) <= 1024);
}

/* --- Closing --- */

static void close_timeout(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    end e = start(both_roles[r]);
    end_open(&e, e.role);
    expect_tick(&e, T0, NWS_OK, T0 + ms(INTERVAL));
    say_close(&e);
    const uint64_t first = T0 + ms(50), dead = first + ms(CLOSING);
    expect_tick(&e, first, NWS_OK, dead);
    hear_at(&e, first + ms(200), NWS_OPCODE_BINARY, "data", 4);
    expect_tick(&e, dead - 1, NWS_OK, dead); /* data does not prolong it */
    assert_int_equal(nws_conn_finished(&e.conn), 0);
    expect_tick(&e, dead, NWS_ERROR_CLOSE_TIMEOUT, NWS_NEVER);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    assert_int_equal(nws_conn_clean(&e.conn), 0);
    assert_int_equal(nws_conn_owed(&e.conn), 0);
    assert_int_equal(nws_conn_fault(&e.conn).error, NWS_ERROR_CLOSE_TIMEOUT);
    expect_tick(&e, dead + 1, NWS_ERROR_CLOSE_TIMEOUT, NWS_NEVER);
  }
}

/* RFC 6455 7.1.1: a client waits for the server's end of file, but not for
 * ever; that is no error. A server is done at once. */
static void waits_for_the_server(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    end e = start(both_roles[r]);
    end_open(&e, e.role);
    say_close(&e);
    hear_at(&e, T0, NWS_OPCODE_CLOSE, "\x03\xe8", 2);
    if (e.role == NWS_ROLE_SERVER) {
      expect_tick(&e, T0, NWS_OK, NWS_NEVER);
      continue;
    }
    expect_tick(&e, T0, NWS_OK, T0 + ms(CLOSING));
    assert_int_equal(nws_conn_finished(&e.conn), 0);
    expect_tick(&e, T0 + ms(CLOSING), NWS_OK, NWS_NEVER);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_clean(&e.conn), 1);
    assert_int_equal(nws_conn_eof(&e.conn), NWS_OK);
  }
}

/* A close that is owed and cannot be written does not keep the connection. */
static void reply_never_flushed(void **unused) {
  (void)unused;
  for (int i = 0; i < 4; i++) {
    end e = start(both_roles[i % 2]);
    const int fault = i / 2;
    end_open(&e, e.role);
    e.now = T0;
    (void)end_hear(&e, FIN | (fault ? 3 : 8), "", 0);
    expect_tick(&e, T0, NWS_OK, T0 + ms(CLOSING));
    assert_true(nws_conn_owed(&e.conn) > 0);
    uint64_t next = 0;
    (void)nws_conn_tick(&e.conn, T0 + ms(CLOSING), &next);
    assert_int_equal(next, NWS_NEVER);
    assert_int_equal(nws_conn_owed(&e.conn), 0);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_clean(&e.conn), 0);
    assert_int_equal(nws_conn_close_sent(&e.conn), 1006); /* never went out */
    assert_int_equal(nws_conn_close_code(&e.conn), fault ? 1006 : 1005);
    assert_int_equal(nws_conn_fault(&e.conn).error,
                     fault ? NWS_ERROR_OPCODE : NWS_ERROR_CLOSE_TIMEOUT);
  }
}

/* --- Settings --- */

static void defaults(void **unused) {
  end e = {0};
  (void)unused;
  end_open(&e, NWS_ROLE_SERVER);
  expect_tick(&e, T0, NWS_OK, T0 + ms(20000));
  expect_tick(&e, T0 + ms(20000), NWS_OK, T0 + ms(40000));
  expect_tick(&e, T0 + ms(40000), NWS_ERROR_PONG_TIMEOUT, T0 + ms(45000));
}

static void turned_off(void **unused) {
  uint8_t payload[125];
  end e = start(NWS_ROLE_CLIENT);
  (void)unused;
  e.config.ping_interval_ms = UINT32_MAX;
  end_open(&e, e.role);
  expect_tick(&e, T0, NWS_OK, NWS_NEVER);
  expect_tick(&e, T0 + ms(UINT32_MAX) * 2, NWS_OK, NWS_NEVER);
  assert_int_equal(nws_conn_owed(&e.conn), 0);

  end f = start(NWS_ROLE_CLIENT);
  f.config.pong_timeout_ms = UINT32_MAX;
  f.config.close_timeout_ms = UINT32_MAX;
  end_open(&f, f.role);
  expect_tick(&f, T0, NWS_OK, T0 + ms(INTERVAL));
  expect_tick(&f, T0 + ms(INTERVAL), NWS_OK, NWS_NEVER);
  take_ping(&f, payload);
  expect_tick(&f, T0 + ms(UINT32_MAX) * 2, NWS_OK, NWS_NEVER);
  say_close(&f);
  expect_tick(&f, T0 + ms(UINT32_MAX) * 3, NWS_OK, NWS_NEVER);
  expect_tick(&f, T0 + ms(UINT32_MAX) * 9, NWS_OK, NWS_NEVER);
  assert_int_equal(nws_conn_finished(&f.conn), 0);
}

/* Without a clock nothing is ever due. */
static void no_clock(void **unused) {
  uint8_t out[512];
  end e = {0};
  (void)unused;
  end_open(&e, NWS_ROLE_SERVER);
  for (int i = 0; i < 5000; i++) {
    assert_int_equal(end_hear(&e, FIN | 9, "p", 1), 0);
    assert_int_equal(end_flush(&e, out), 3);
  }
  assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_OPEN);
}

/* The last moments of the clock: deadlines beyond it never come. */
static void end_of_time(void **unused) {
  (void)unused;
  for (uint64_t back = 1; back < ms(4000); back = back * 3 + 1) {
    const uint64_t now = UINT64_MAX - back;
    for (int closing = 0; closing < 2; closing++) {
      end e = start(NWS_ROLE_SERVER);
      uint64_t next = 0;
      end_open(&e, e.role);
      if (closing) {
        say_close(&e);
      }
      const uint64_t wait = ms(closing ? CLOSING : INTERVAL);
      expect_tick(&e, now, NWS_OK, wait < back ? now + wait : NWS_NEVER);
      assert_int_equal(nws_conn_tick(&e.conn, UINT64_MAX - 1, &next),
                       closing && wait < back ? NWS_ERROR_CLOSE_TIMEOUT
                                              : NWS_OK);
      assert_int_equal(next, NWS_NEVER);
    }
  }
}

/* A clock that jumps back does no harm. */
static void clock_jumps_back(void **unused) {
  uint8_t payload[125];
  end e = start(NWS_ROLE_SERVER);
  uint64_t next;
  (void)unused;
  end_open(&e, e.role);
  assert_int_equal(nws_conn_ping(&e.conn, T0), NWS_OK);
  const size_t len = take_ping(&e, payload);
  hear_at(&e, T0 - ms(100), NWS_OPCODE_PONG, payload, len);
  assert_int_equal(nws_conn_rtt(&e.conn), 0);
  assert_int_equal(nws_conn_tick(&e.conn, T0 - ms(5000), &next), NWS_OK);
  assert_true(next > T0 - ms(5000));
  assert_int_equal(nws_conn_owed(&e.conn), 0);
}

/* --- Progress --- */

/* One thing that may happen between two ticks. */
static void something(end *e, uint64_t *seed, uint64_t now) {
  uint8_t out[512];
  size_t len;
  e->now = now;
  switch (dice_below(seed, 12)) {
  case 0:
    (void)end_hear(e, FIN | 2, "data", 4);
    break;
  case 1:
    (void)end_hear(e, FIN | 9, "ping", 4);
    break;
  case 2:
    (void)end_hear(e, FIN | 10, "\0\0\0\1", 4);
    break;
  case 3:
    (void)end_hear(e, FIN | 8, "\x03\xe8", dice_below(seed, 3) * 2 % 4);
    break;
  case 4:
    (void)nws_conn_ping(&e->conn, now);
    break;
  case 5:
    (void)nws_conn_close(&e->conn, 1000, nws_str_of(NULL), out, 140, &len);
    break;
  case 6:
    (void)end_hear(e, FIN | 3, "", 0);
    break;
  case 7:
    (void)nws_conn_eof(&e->conn);
    break;
  default:
    end_flush(e, out);
  }
}

/* After each tick the deadline lies ahead; and left alone, an end that always
 * waits for its deadline is done after a few. */
static void deadlines_lie_ahead(void **unused) {
  (void)unused;
  for (uint64_t run = 0; run < 20000; run++) {
    uint64_t seed = run * 104729, now = 1 + dice_below(&seed, 2000), next;
    end e = start(both_roles[run % 2]);
    end_open(&e, e.role);
    for (unsigned i = dice_below(&seed, 12); i > 0; i--) {
      if (dice_below(&seed, 3) > 0) {
        something(&e, &seed, now);
      }
      (void)nws_conn_tick(&e.conn, now, &next);
      assert_true(nws__conn_valid(&e.conn));
      assert_true(next > now);
      now = next != NWS_NEVER && dice_below(&seed, 2)
                ? next
                : now + ms(dice_below(&seed, 400));
    }
    unsigned ticks = 0;
    while (nws_conn_tick(&e.conn, now, &next), next != NWS_NEVER) {
      assert_true(next > now);
      assert_true(ticks++ < 4); /* ping, pong, close */
      now = next;
    }
    assert_int_equal(nws_conn_finished(&e.conn), 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ping_when_silent),
      cmocka_unit_test(traffic_postpones_ping),
      cmocka_unit_test(traffic_counts_as_life),
      cmocka_unit_test(open_frame_holds_ping_back),
      cmocka_unit_test(pong_timeout),
      cmocka_unit_test(ping_on_request),
      cmocka_unit_test(ping_right_after_traffic),
      cmocka_unit_test(ping_before_first_tick),
      cmocka_unit_test(tiny_round_trip),
      cmocka_unit_test(close_timeout),
      cmocka_unit_test(waits_for_the_server),
      cmocka_unit_test(reply_never_flushed),
      cmocka_unit_test(defaults),
      cmocka_unit_test(turned_off),
      cmocka_unit_test(no_clock),
      cmocka_unit_test(end_of_time),
      cmocka_unit_test(clock_jumps_back),
      cmocka_unit_test(deadlines_lie_ahead),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
