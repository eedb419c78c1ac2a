/* test_net_echo.c - messages there and back, over loopback.
 */
#include "net_fixture.h"

static uint8_t *pattern(size_t len, int text) {
  uint8_t *data = malloc(len + 1);
  assert_non_null(data);
  for (size_t i = 0; i < len; i++)
    data[i] = (uint8_t)(text ? 'a' + i % 26 : (i * 7 + i / 251) & 255);
  return data;
}

/* A client that holds its echo against what it sent. */
static const uint8_t *expected;

static void compare(nws_peer *peer, unsigned opcode, uint8_t *data,
                    size_t len) {
  note_message(peer, opcode, data, len);
  assert_true(len == 0 || memcmp(data, expected, len) == 0);
}

static void round_trip(fixture *fx, unsigned opcode, size_t len) {
  uint8_t *data = pattern(len, opcode == NWS_OPCODE_TEXT);
  int before = fx->c.messages;
  expected = data;
  assert_int_equal(nws_peer_send(fx->c.peer, opcode, data, len), NWS_OK);
  step_until(fx, fx->c.messages == before + 1);
  assert_int_equal(fx->c.last_opcode, opcode);
  assert_int_equal(fx->c.last_len, len);
  free(data);
}

static void test_sizes(void **state) {
  static const size_t sizes[] = {
      0, 1, 125, 126, 127, 65535, 65536, 262144, 1024 * 1024, 4 * 1024 * 1024};
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.client_handler.message = compare;
  fixture_pair(&fx);
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    round_trip(&fx, NWS_OPCODE_TEXT, sizes[i]);
    round_trip(&fx, NWS_OPCODE_BINARY, sizes[i]);
  }
  assert_int_equal(nws_peer_queued(fx.c.peer), 0);
  assert_int_equal(nws_peer_queued(fx.s.peer), 0);
  nws_peer_close(fx.c.peer, 1000, nws_str_of("done"));
  step_until(&fx, fx.c.closes == 1 && fx.s.closes == 1);
  assert_int_equal(fx.c.error, NWS_OK);
  assert_int_equal(fx.s.error, NWS_OK);
  assert_int_equal(fx.s.code, 1000);
  assert_string_equal(fx.s.reason, "done");
  assert_int_equal(fx.c.code, 1000);
  assert_int_equal(fx.c.opened, 1);
  fixture_end(&fx);
}

/* A 9 MiB message of fragments, with pings between them. */
static void test_fragments(void **state) {
  enum { PART = 100000, PARTS = 90 };
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.client_handler.message = compare;
  fixture_pair(&fx);
  uint8_t *data = pattern(PART * PARTS, 0);
  expected = data;
  for (unsigned i = 0; i < PARTS; i++) {
    unsigned what = i == 0 ? NWS_OPCODE_BINARY : NWS_OPCODE_CONTINUATION;
    if (i < PARTS - 1)
      what |= NWS_SEND_MORE;
    assert_int_equal(nws_peer_send(fx.c.peer, what, data + i * PART, PART),
                     NWS_OK);
    assert_int_equal(nws_peer_send(fx.c.peer, NWS_OPCODE_PING, "x", 1), NWS_OK);
    if (i % 10 == 0)
      step(&fx);
  }
  step_until(&fx, fx.c.messages == 1);
  assert_int_equal(fx.c.last_len, PART * PARTS);
  assert_int_equal(fx.s.controls, PARTS);
  step_until(&fx, fx.c.controls == PARTS);
  free(data);
  fixture_end(&fx);
}

/* Many cut messages of several peers, with the default limits. */
static void test_defaults(void **state) {
  fixture fx;
  raw r[2];
  (void)state;
  fixture_init(&fx);
  fx.options.conn = NULL;
  fixture_serve(&fx);
  raw_open(&fx, &r[0]);
  raw_open(&fx, &r[1]);
  for (int i = 0; i < 5; i++) {
    for (int k = 0; k < 2; k++)
      raw_frame(&fx, &r[k], 0x01, k == 0 ? "ab" : "xy", 2);
    step_for(&fx, 2);
    for (int k = 0; k < 2; k++)
      raw_frame(&fx, &r[k], 0x80, "cd", 2);
    raw_until(&fx, &r[0], r[0].len == 6);
    raw_until(&fx, &r[1], r[1].len == 6);
    assert_memory_equal(r[0].data,
                        "\x81\x04"
                        "abcd",
                        6);
    assert_memory_equal(r[1].data,
                        "\x81\x04"
                        "xycd",
                        6);
    r[0].len = r[1].len = 0;
  }
  uint8_t *large = pattern(1100000, 1); /* more than 1 MiB */
  raw_frame(&fx, &r[0], 0x01, large, 600000);
  raw_frame(&fx, &r[0], 0x80, large, 500000);
  raw_until(&fx, &r[0], r[0].ended);
  assert_memory_equal(r[0].data + 2, "\x03\xf1", 2); /* 1009 */
  assert_int_equal(fx.s.error, 0);
  free(large);
  raw_free(&r[0]);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.error, NWS_ERROR_MESSAGE_LIMIT);
  raw_free(&r[1]);
  fixture_end(&fx);
}

static size_t piece_begins, piece_ends;

static void echo_piece(nws_peer *peer, const nws_event *event) {
  side *s = nws_peer_user(peer);
  s->pieces++;
  s->bytes += event->len;
  piece_begins += (event->flags & NWS_MESSAGE_BEGIN) != 0;
  piece_ends += (event->flags & NWS_MESSAGE_END) != 0;
  unsigned what = event->opcode;
  if ((event->flags & NWS_MESSAGE_BEGIN) == 0)
    what = NWS_OPCODE_CONTINUATION;
  if ((event->flags & NWS_MESSAGE_END) == 0)
    what |= NWS_SEND_MORE;
  assert_int_equal(nws_peer_send(peer, what, event->data, event->len), NWS_OK);
}

static void test_pieces(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.server_handler.piece = echo_piece;
  fx.client_handler.message = compare;
  fixture_pair(&fx);
  piece_begins = piece_ends = 0;
  round_trip(&fx, NWS_OPCODE_BINARY, 3000000);
  assert_int_equal(fx.s.messages, 0);
  assert_true(fx.s.pieces > 1);
  assert_int_equal(fx.s.bytes, 3000000);
  assert_int_equal(piece_begins, 1);
  assert_int_equal(piece_ends, 1);
  fixture_end(&fx);
}

/* What one read has caused leaves in one write: a thousand echoes come back in
 * a handful of packets. */
static void test_gathering(void **state) {
  enum { COUNT = 1000 };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  uint8_t *out = malloc(COUNT * 32);
  size_t len = 0;
  for (int i = 0; i < COUNT; i++)
    len += put_frame(out + len, 0x81, "0123456789", 10);
  assert_int_equal(send(r.fd, out, len, MSG_NOSIGNAL), (ssize_t)len);
  unsigned before = raw_packets(&r);
  raw_until(&fx, &r, r.len == COUNT * 12);
  assert_int_equal(fx.s.messages, COUNT);
  assert_true(raw_packets(&r) - before <= 4);
  free(out);
  raw_free(&r);
  fixture_end(&fx);
}

/* What a turn of the loop has sent leaves in one write too. */
static void test_batching(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  for (int i = 0; i < 100; i++)
    assert_int_equal(nws_peer_send(fx.s.peer, NWS_OPCODE_TEXT, "tick", 4),
                     NWS_OK);
  assert_int_equal(nws_peer_queued(fx.s.peer), 600);
  unsigned before = raw_packets(&r);
  raw_until(&fx, &r, r.len == 600);
  assert_int_equal(raw_packets(&r) - before, 1);
  assert_int_equal(nws_peer_queued(fx.s.peer), 0);
  raw_free(&r);
  fixture_end(&fx);
}

/* Each byte a read of its own. */
static void test_dripping(void **state) {
  fixture fx;
  raw r;
  uint8_t out[256];
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  size_t len = put_frame(out, 0x01, "hel", 3);
  len += put_frame(out + len, 0x89, "are you there?", 14);
  len += put_frame(out + len, 0x80, "lo", 2);
  for (size_t i = 0; i < len; i++) {
    raw_send(&fx, &r, out + i, 1);
    step(&fx);
    step(&fx);
  }
  raw_until(&fx, &r, r.len == 16 + 7);
  assert_int_equal(memcmp(r.data,
                          "\x8a\x0e"
                          "are you there?",
                          16),
                   0);
  assert_int_equal(memcmp(r.data + 16, "\x81\x05hello", 7), 0);
  raw_free(&r);
  fixture_end(&fx);
}

/* Ten pings in one packet are ten pongs, in order, in one packet. */
static void test_pings(void **state) {
  fixture fx;
  raw r;
  uint8_t out[256];
  size_t len = 0;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  for (int i = 0; i < 10; i++) {
    char digit = (char)('0' + i);
    len += put_frame(out + len, 0x89, &digit, 1);
  }
  raw_send(&fx, &r, out, len);
  unsigned before = raw_packets(&r);
  raw_until(&fx, &r, r.len == 30);
  for (int i = 0; i < 10; i++)
    assert_int_equal(r.data[i * 3 + 2], '0' + i);
  assert_int_equal(raw_packets(&r) - before, 1);
  raw_free(&r);
  fixture_end(&fx);
}

/* A hundred connections, and a broadcast among them. */
static void shout(nws_peer *peer, void *arg) {
  (void)arg;
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, "all", 3), NWS_OK);
}

static void broadcast(nws_peer *peer, unsigned opcode, uint8_t *data,
                      size_t len) {
  note_message(peer, opcode, data, len);
  nws_server_each(nws_peer_server(peer), shout, NULL);
}

static void test_broadcast(void **state) {
  enum { COUNT = 100 };
  fixture fx;
  nws_peer *one = NULL;
  (void)state;
  fixture_init(&fx);
  fx.server_handler.message = broadcast;
  fixture_serve(&fx);
  for (int i = 0; i < COUNT; i++)
    one = fixture_connect(&fx);
  step_until(&fx, fx.s.opens == COUNT && fx.c.opens == COUNT);
  assert_int_equal(nws_server_peers(fx.server), COUNT);
  nws_peer_send(one, NWS_OPCODE_TEXT, "hi", 2);
  step_until(&fx, fx.c.messages == COUNT);
  assert_string_equal(fx.c.last, "all");
  fixture_end(&fx);
  assert_int_equal(fx.c.closes, COUNT);
  assert_int_equal(fx.s.closes, COUNT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sizes),     cmocka_unit_test(test_fragments),
      cmocka_unit_test(test_defaults),  cmocka_unit_test(test_pieces),
      cmocka_unit_test(test_gathering), cmocka_unit_test(test_batching),
      cmocka_unit_test(test_dripping),  cmocka_unit_test(test_pings),
      cmocka_unit_test(test_broadcast),
  };
  return run_without_leaks(tests);
}
