/* ext_send.c - extensions on the sending side: what they make of frames, how
 * much room that takes, and that a failure changes nothing.
 */
#include "ext_help.h"
#include "ext_tests.h"

#include <stdlib.h>
#include <string.h>

enum {
  TEXT = NWS_OPCODE_TEXT,
  BINARY = NWS_OPCODE_BINARY,
  NEXT = NWS_OPCODE_CONTINUATION,
  MORE = NWS_SEND_MORE,
  PLAIN = NWS_SEND_PLAIN,
  SCRATCH = 512
};

static const nws_role roles[] = {NWS_ROLE_CLIENT, NWS_ROLE_SERVER};

static ext_setup setup_of(nws_role role, const ext_sample *a,
                          const ext_sample *b, const ext_sample *c) {
  const ext_setup setup = {role, {0}, {a, b, c, NULL}};
  return setup;
}

static ext_setup peer_of(const ext_setup *setup) {
  ext_setup peer = *setup;
  peer.role =
      setup->role == NWS_ROLE_CLIENT ? NWS_ROLE_SERVER : NWS_ROLE_CLIENT;
  return peer;
}

static void send(ext_rig *rig, unsigned what, const char *payload,
                 ext_bytes *stream) {
  ext_send(rig, what, payload, strlen(payload), stream);
}

/* A mix of messages through x-rle, as the peer's log shows it. */
static void encode_alone(void **unused) {
  (void)unused;
  for (size_t i = 0; i < 2; i++) {
    const ext_setup setup = setup_of(roles[i], &ext_rle_min, &ext_time, NULL);
    const ext_setup peer = peer_of(&setup);
    ext_bytes stream = {0};
    ext_rig rig;
    ext_rig_open(&rig, &setup, SCRATCH);
    send(&rig, TEXT, "xxxxxxxxxxxxyz", &stream);
    send(&rig, TEXT, "short", &stream); /* below the minimum */
    send(&rig, TEXT | PLAIN, "xxxxxxxxxxxxyz", &stream);
    send(&rig, BINARY | MORE, "zzzzzzzzzzzzzzzz", &stream);
    send(&rig, EXT_OPCODE_TIME, "12345678", &stream);
    send(&rig, NEXT | MORE, "", &stream);
    send(&rig, NEXT | MORE, "zz", &stream);
    send(&rig, NWS_OPCODE_PING, "p", &stream);
    send(&rig, NEXT, "", &stream);
    send(&rig, BINARY | MORE | PLAIN, "zzzzzzzzzzzz", &stream);
    send(&rig, NEXT, "zzzzzzzzzzzz", &stream); /* goes on as it began */
    send(&rig, TEXT | MORE, "short", &stream);
    send(&rig, NEXT, "zzzzzzzzzzzz", &stream);
    send(&rig, TEXT, "", &stream);
    ext_rig_close(&rig);
    ext_sweep(&peer, &stream,
              "text 1 rsv 40 BbeE wire 6 \"x{12}yz\"\n"
              "text 1 rsv 0 BbeE wire 5 \"short\"\n"
              "text 1 rsv 0 BbeE wire 14 \"x{12}yz\"\n"
              "binary 2 rsv 40 Bbe wire 3 \"z{16}\"\n"
              "0xb \"12345678\"\n"
              "binary 0 rsv 0 be wire 0 \"\"\n"
              "binary 0 rsv 0 be wire 3 \"zz\"\n"
              "ping \"p\"\n"
              "binary 0 rsv 0 beE wire 0 \"\"\n"
              "binary 2 rsv 0 Bbe wire 12 \"z{12}\"\n"
              "binary 0 rsv 0 beE wire 12 \"z{12}\"\n"
              "text 1 rsv 0 Bbe wire 5 \"short\"\n"
              "text 0 rsv 0 beE wire 12 \"z{12}\"\n"
              "text 1 rsv 0 BbeE wire 0 \"\"\n");
    ext_bytes_free(&stream);
  }
}

/* Three deep; the innermost cannot encode, the others do so by turns. */
static void encode_stacked(void **unused) {
  (void)unused;
  for (size_t i = 0; i < 2; i++) {
    const ext_setup setup =
        setup_of(roles[i], &ext_ascii, &ext_rle_min, &ext_xor);
    const ext_setup peer = peer_of(&setup);
    ext_bytes stream = {0};
    ext_rig rig;
    ext_rig_open(&rig, &setup, SCRATCH);
    send(&rig, TEXT, "xxxxxxxxxxxxyz", &stream);
    send(&rig, TEXT, "short", &stream);
    send(&rig, TEXT | PLAIN, "xxxxxxxxxxxxyz", &stream);
    send(&rig, EXT_OPCODE_ASCII | MORE, "aaaaaaaaaaaa", &stream);
    send(&rig, NWS_OPCODE_PONG, "p", &stream);
    send(&rig, NEXT, "b", &stream);
    send(&rig, TEXT, "", &stream);
    send(&rig, BINARY | MORE | PLAIN, "zzzzzzzzzzzz", &stream);
    send(&rig, NEXT | PLAIN, "zz", &stream);
    ext_rig_close(&rig);
    ext_sweep(&peer, &stream,
              "text 1 rsv 60 BbeE wire 6 \"x{12}yz\"\n"
              "text 1 rsv 20 BbeE wire 5 \"short\"\n"
              "text 1 rsv 0 BbeE wire 14 \"x{12}yz\"\n"
              "0x3 3 rsv 60 Bbe wire 3 \"a{12}\"\n"
              "pong \"p\"\n"
              "0x3 0 rsv 20 beE wire 2 \"b\"\n"
              "text 1 rsv 20 BbeE wire 0 \"\"\n"
              "binary 2 rsv 0 Bbe wire 12 \"z{12}\"\n"
              "binary 0 rsv 0 beE wire 2 \"zz\"\n");
    ext_bytes_free(&stream);
  }
}

/* Adds a run that x-rle encodes to three bytes. */
static size_t add_run(uint8_t *payload, size_t len) {
  memset(payload + len, len > 0 ? payload[len - 1] ^ 0x80 : 0xee, 200);
  return len + 200;
}

/* Fills a payload that x-rle encodes to just `encoded` bytes: literals, with
 * a run at the end, and one before where literals alone cannot come out. */
static size_t payload_for(size_t encoded, uint8_t *payload) {
  const int two_runs = (encoded - 3) % 129 == 1;
  size_t len = two_runs ? add_run(payload, 0) : 0;
  size_t left = encoded - (two_runs ? 6 : 3);
  while (left > 0) {
    const size_t part = left < 129 ? left - 1 : 128;
    for (size_t i = 0; i < part; i++, len++) {
      payload[len] = (uint8_t)len;
    }
    left -= part + 1;
  }
  return add_run(payload, len);
}

/* The header is as long as the encoded payload wants it, not the given one. */
static void header_fits_what_is_encoded(void **unused) {
  static const size_t lens[] = {124, 125, 126, 127, 65534, 65535, 65536, 65537};
  uint8_t *payload = malloc(70000);
  (void)unused;
  assert_non_null(payload);
  for (size_t i = 0; i < 2 * sizeof(lens) / sizeof(lens[0]); i++) {
    const ext_setup setup = setup_of(roles[i & 1], &ext_rle, &ext_xor, NULL);
    const ext_setup peer = peer_of(&setup);
    const size_t want = lens[i / 2], len = payload_for(want, payload);
    const int masked = setup.role == NWS_ROLE_CLIENT;
    const ext_cut cut = {5, 1000, 0, 0, 0};
    ext_bytes stream = {0}, log = {0};
    nws_frame frame;
    ext_rig rig;
    ext_rig_open(&rig, &setup, SCRATCH);
    ext_send(&rig, BINARY, payload, len, &stream);
    ext_rig_close(&rig);
    assert_int_equal(nws_frame_parse(&frame, stream.data, stream.len), NWS_OK);
    assert_int_equal(frame.payload_len, want);
    assert_int_equal(frame.header_len, nws_frame_header_len(want, masked));
    assert_int_equal(stream.len, frame.header_len + want);
    ext_rig_open(&rig, &peer, SCRATCH);
    ext_feed(&rig, &stream, &cut, &log);
    assert_int_equal(nws_conn_fault(&rig.conn).error, NWS_OK);
    ext_rig_close(&rig);
    ext_bytes_free(&log);
    ext_bytes_free(&stream);
  }
  free(payload);
}

/* What cannot be made smaller still fits the room that was told, through three
 * encoders, and comes out as it went in. */
static void room_suffices_for_the_worst(void **unused) {
  uint8_t payload[1200];
  (void)unused;
  for (size_t i = 0; i < sizeof(payload); i++) {
    payload[i] = (uint8_t)(i * 7);
  }
  for (size_t len = 0; len <= sizeof(payload); len += len < 300 ? 1 : 37) {
    const ext_setup setup =
        setup_of(roles[len & 1], &ext_rle, &ext_xor, &ext_xor3);
    const ext_setup peer = peer_of(&setup);
    const ext_bytes want = {payload, len, len};
    ext_bytes stream = {0};
    ext_rig rig;
    ext_rig_open(&rig, &setup, SCRATCH);
    assert_true(nws_conn_send_room(&rig.conn, len) >= len);
    ext_send(&rig, BINARY, payload, len, &stream);
    ext_rig_close(&rig);
    ext_expect_message(&peer, &stream, &want, SCRATCH);
    ext_bytes_free(&stream);
  }
}

/* So it is for the frames that go on with an encoded message. */
static void room_for_continuations(void **unused) {
  const ext_setup setup = setup_of(NWS_ROLE_CLIENT, &ext_rle, &ext_xor, NULL);
  const ext_setup peer = peer_of(&setup);
  ext_bytes stream = {0};
  uint8_t out[64];
  size_t room, out_len = 0;
  nws_conn before;
  ext_rig rig;
  (void)unused;
  ext_rig_open(&rig, &setup, SCRATCH);
  send(&rig, TEXT | MORE, "aaaaaa", &stream);
  room = nws_conn_send_room(&rig.conn, 6);
  assert_true(room <= sizeof(out));
  before = rig.conn;
  assert_int_equal(
      nws_conn_send(&rig.conn, NEXT, "bcdefg", 6, out, room - 1, &out_len),
      NWS_ERROR_BUFFER);
  assert_int_equal(out_len, room);
  assert_memory_equal(&rig.conn, &before, sizeof(before));
  assert_int_equal(
      nws_conn_send(&rig.conn, NEXT, "bcdefg", 6, out, room, &out_len), NWS_OK);
  ext_bytes_add(&stream, out, out_len);
  ext_rig_close(&rig);
  ext_once(&peer, &stream,
           "text 1 rsv 60 Bbe wire 3 \"aaaaaa\"\n"
           "text 0 rsv 20 beE wire 7 \"bcdefg\"\n");
  ext_bytes_free(&stream);
}

static void room_without_encoders_is_exact(void **unused) {
  const ext_setup setup =
      setup_of(NWS_ROLE_SERVER, &ext_ascii, &ext_time, NULL);
  ext_rig rig;
  nws_conn unopened = {0};
  (void)unused;
  ext_rig_open(&rig, &setup, SCRATCH);
  assert_int_equal(nws_conn_send_room(&rig.conn, 125), 127);
  assert_int_equal(nws_conn_send_room(&rig.conn, 126), 130);
  assert_int_equal(nws_conn_send_room(&unopened, 1), 0);
  ext_rig_close(&rig);
}

static void expect_send(ext_rig *rig, unsigned what, const char *payload,
                        int want) {
  uint8_t out[512];
  size_t out_len = 1;
  const nws_conn before = rig->conn;
  memset(out, 0x77, sizeof(out));
  assert_int_equal(nws_conn_send(&rig->conn, what, payload, strlen(payload),
                                 out, sizeof(out), &out_len),
                   want);
  assert_int_equal(out_len, 0);
  assert_memory_equal(&rig->conn, &before, sizeof(before));
}

static int begin(ext_rig *rig, unsigned what, uint64_t len, ext_bytes *stream) {
  uint8_t header[NWS_FRAME_HEADER_MAX];
  size_t header_len = 0;
  const int status = nws_conn_send_begin(&rig->conn, what, len, header,
                                         sizeof(header), &header_len);
  ext_bytes_add(stream, header, header_len);
  return status;
}

/* Header first means plain: possible for whole messages, not for the rest of
 * an encoded one. */
static void begun_frames_are_plain(void **unused) {
  const ext_setup setup = setup_of(NWS_ROLE_SERVER, &ext_rle, &ext_time, NULL);
  const ext_setup peer = peer_of(&setup);
  ext_bytes stream = {0};
  nws_conn before;
  ext_rig rig;
  (void)unused;
  ext_rig_open(&rig, &setup, SCRATCH);
  assert_int_equal(begin(&rig, TEXT | MORE, 6, &stream), NWS_OK);
  assert_int_equal(nws_conn_send_payload(&rig.conn, NULL, "aaaaaa", 6), NWS_OK);
  ext_bytes_add(&stream, "aaaaaa", 6);
  send(&rig, NEXT, "bbbbbb", &stream);
  send(&rig, TEXT | MORE, "cccccc", &stream);
  before = rig.conn;
  assert_int_equal(begin(&rig, NEXT, 6, &stream), NWS_ERROR_NO_ENCODING);
  assert_memory_equal(&rig.conn, &before, sizeof(before));
  expect_send(&rig, NEXT | PLAIN, "dddddd", NWS_ERROR_NO_ENCODING);
  send(&rig, NEXT, "dddddd", &stream);
  ext_rig_close(&rig);
  ext_sweep(&peer, &stream,
            "text 1 rsv 0 Bbe wire 6 \"aaaaaa\"\n"
            "text 0 rsv 0 beE wire 6 \"bbbbbb\"\n"
            "text 1 rsv 40 Bbe wire 3 \"cccccc\"\n"
            "text 0 rsv 0 beE wire 3 \"dddddd\"\n");
  ext_bytes_free(&stream);
}

/* Bits that an extension owns are its own to set; its opcodes are enabled by
 * it; text is checked before it is encoded. */
static void rules_hold_before_encoding(void **unused) {
  const ext_setup setup = setup_of(NWS_ROLE_SERVER, &ext_rle, NULL, NULL);
  ext_bytes stream = {0};
  ext_rig rig;
  (void)unused;
  ext_rig_open(&rig, &setup, SCRATCH);
  expect_send(&rig, TEXT | NWS_RSV1, "aaaaaa", NWS_ERROR_RSV_DISABLED);
  expect_send(&rig, TEXT | NWS_RSV2, "aaaaaa", NWS_ERROR_RSV_DISABLED);
  expect_send(&rig, EXT_OPCODE_ASCII, "aaaa", NWS_ERROR_OPCODE_DISABLED);
  expect_send(&rig, EXT_OPCODE_TIME, "aaaa", NWS_ERROR_OPCODE_DISABLED);
  expect_send(&rig, TEXT, "aaaaaa\xff", NWS_ERROR_TEXT_SEND);
  expect_send(&rig, TEXT, "aaaaaa\xc3", NWS_ERROR_TEXT_SEND);
  send(&rig, TEXT | MORE, "aaaaaa\xc3", &stream);
  expect_send(&rig, NEXT, "aaaaaa", NWS_ERROR_TEXT_SEND);
  send(&rig, NEXT, "\xa4", &stream);
  ext_rig_close(&rig);
  ext_bytes_free(&stream);
}

/* No key, no frame: and the extensions' states are as they were, for what is
 * sent next can be read. */
static void random_can_fail(void **unused) {
  const ext_setup setup = setup_of(NWS_ROLE_CLIENT, &ext_rle, &ext_xor, NULL);
  const ext_setup peer = peer_of(&setup);
  ext_bytes stream = {0};
  ext_rig rig;
  (void)unused;
  ext_rig_open(&rig, &setup, SCRATCH);
  send(&rig, TEXT | MORE, "aaaaaa", &stream);
  rig.random_fails = 1;
  expect_send(&rig, NEXT, "bbbbbb", NWS_ERROR_RANDOM);
  rig.random_fails = 0;
  send(&rig, NEXT | MORE, "cccccc", &stream);
  rig.random_fails = 1;
  expect_send(&rig, NEXT, "dddddd", NWS_ERROR_RANDOM);
  rig.random_fails = 0;
  send(&rig, NEXT, "eeeeee", &stream);
  ext_rig_close(&rig);
  ext_sweep(&peer, &stream,
            "text 1 rsv 60 Bbe wire 3 \"aaaaaa\"\n"
            "text 0 rsv 20 be wire 3 \"cccccc\"\n"
            "text 0 rsv 20 beE wire 3 \"eeeeee\"\n");
  ext_bytes_free(&stream);
}

static void memory_can_fail(void **unused) {
  const ext_setup setup = setup_of(NWS_ROLE_SERVER, &ext_poor, NULL, NULL);
  ext_bytes stream = {0};
  ext_rig rig;
  (void)unused;
  ext_rig_open(&rig, &setup, SCRATCH);
  expect_send(&rig, TEXT, "aaaaaa", NWS_ERROR_MEMORY);
  send(&rig, TEXT | PLAIN, "aaaaaa", &stream);
  assert_int_equal(stream.data[0], 0x80 | TEXT);
  ext_rig_close(&rig);
  ext_bytes_free(&stream);
}

/* One encoder has done its work when the next one fails: either nothing can be
 * sent any more, or what is sent next can be read. */
static void second_encoder_fails(void **unused) {
  const ext_setup setup = setup_of(NWS_ROLE_SERVER, &ext_rle, &ext_poor, NULL);
  const ext_setup peer = peer_of(&setup);
  uint8_t out[512];
  size_t out_len;
  ext_bytes stream = {0};
  ext_rig rig;
  (void)unused;
  ext_rig_open(&rig, &setup, SCRATCH);
  assert_int_equal(nws_conn_send(&rig.conn, TEXT | MORE, "aaaaaa", 6, out,
                                 sizeof(out), &out_len),
                   NWS_ERROR_MEMORY);
  assert_int_equal(out_len, 0);
  if (nws_conn_send(&rig.conn, TEXT | MORE | PLAIN, "bbbbbb", 6, out,
                    sizeof(out), &out_len) == NWS_OK) {
    ext_bytes_add(&stream, out, out_len);
    send(&rig, NEXT | PLAIN, "cccccc", &stream);
    ext_once(&peer, &stream,
             "text 1 rsv 0 Bbe wire 6 \"bbbbbb\"\n"
             "text 0 rsv 0 beE wire 6 \"cccccc\"\n");
  } else {
    assert_true(nws_conn_owed(&rig.conn) > 0);
    assert_int_equal(nws_conn_close_sent(&rig.conn), NWS_CLOSE_INTERNAL_ERROR);
  }
  ext_rig_close(&rig);
  ext_bytes_free(&stream);
}

/* NWS_SEND_PLAIN is said of a message, at its beginning. */
static void plain_is_for_the_message(void **unused) {
  const ext_setup setup = setup_of(NWS_ROLE_SERVER, &ext_xor, NULL, NULL);
  const ext_setup peer = peer_of(&setup);
  ext_bytes stream = {0};
  ext_rig rig;
  (void)unused;
  ext_rig_open(&rig, &setup, SCRATCH);
  send(&rig, TEXT | MORE | PLAIN, "plain", &stream);
  send(&rig, NEXT, "plain", &stream);
  send(&rig, TEXT, "turned", &stream);
  ext_rig_close(&rig);
  ext_once(&peer, &stream,
           "text 1 rsv 0 Bbe wire 5 \"plain\"\n"
           "text 0 rsv 0 beE wire 5 \"plain\"\n"
           "text 1 rsv 20 BbeE wire 6 \"turned\"\n");
  ext_bytes_free(&stream);
}

/* Headers are shown in the order of negotiation, with the length before any
 * encoding and the bits that those before have set. */
static void headers_are_shown(void **unused) {
  const ext_setup setup =
      setup_of(NWS_ROLE_CLIENT, &ext_watch_1, &ext_rle, &ext_watch_2);
  ext_bytes stream = {0};
  ext_rig rig;
  (void)unused;
  ext_rig_open(&rig, &setup, SCRATCH);
  ext_seen[0] = 0;
  send(&rig, TEXT | PLAIN, "abc", &stream);
  send(&rig, NWS_OPCODE_PING, "hi", &stream);
  assert_int_equal(begin(&rig, TEXT, 0, &stream), NWS_OK);
  assert_string_equal(ext_seen, "1>1:0:3! 2>1:0:3! 1>9:0:2! 2>9:0:2! "
                                "1>1:0:0! 2>1:0:0! ");
  ext_rig_close(&rig);
  ext_bytes_free(&stream);
}

/* Extensions that insist on encoding what may not be encoded, or that cannot
 * encode at all, make the call fail; they cannot make it write too far. */
static void stubborn_encoders(void **unused) {
  ext_setup setup = setup_of(NWS_ROLE_SERVER, &ext_stubborn, NULL, NULL);
  uint8_t *out = malloc(8);
  size_t out_len = 0;
  ext_bytes stream = {0};
  ext_rig rig;
  (void)unused;
  assert_non_null(out);
  ext_rig_open(&rig, &setup, SCRATCH);
  assert_int_equal(begin(&rig, TEXT, 6, &stream), NWS_ERROR_NO_ENCODING);
  expect_send(&rig, TEXT | PLAIN, "aaaaaa", NWS_ERROR_NO_ENCODING);
  assert_true(
      nws_conn_send(&rig.conn, NWS_OPCODE_PING, "hi", 2, out, 8, &out_len) < 0);
  ext_rig_close(&rig);
  setup = setup_of(NWS_ROLE_SERVER, &ext_no_code, NULL, NULL);
  ext_rig_open(&rig, &setup, SCRATCH);
  expect_send(&rig, TEXT, "aaaaaa", NWS_ERROR_NO_ENCODING);
  ext_rig_close(&rig);
  ext_bytes_free(&stream);
  free(out);
}

static int set_all(void *state, nws_frame *frame, int may_transform) {
  (void)state;
  (void)may_transform;
  frame->rsv = NWS_RSV1 | NWS_RSV2 | NWS_RSV3;
  return NWS_EXTENSION_PASS;
}

/* Whatever bits an extension sets: those that it owns go out. */
static void bits_of_others_stay_clear(void **unused) {
  static const nws_extension grasping = {.size = sizeof(grasping),
                                         .name = "x-all",
                                         .rsv = NWS_RSV3,
                                         .frame_out = set_all};
  static const char text[] = "Hello";
  nws_extension_use use = {.ext = &grasping};
  nws_conn conn;
  uint8_t out[16];
  size_t len;
  (void)unused;
  assert_int_equal(nws_conn_init(&conn, NWS_ROLE_SERVER, NULL, &use, 1),
                   NWS_OK);
  assert_int_equal(nws_conn_send(&conn, TEXT, text, 5, out, sizeof(out), &len),
                   NWS_OK);
  assert_int_equal(len, 7);
  assert_int_equal(out[0], 0x80 | NWS_RSV3 | TEXT);
  assert_int_equal(
      nws_conn_send_begin(&conn, BINARY, 0, out, sizeof(out), &len), NWS_OK);
  assert_int_equal(out[0], 0x80 | NWS_RSV3 | BINARY);
}

int ext_send_tests(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(encode_alone),
      cmocka_unit_test(encode_stacked),
      cmocka_unit_test(header_fits_what_is_encoded),
      cmocka_unit_test(room_suffices_for_the_worst),
      cmocka_unit_test(room_for_continuations),
      cmocka_unit_test(room_without_encoders_is_exact),
      cmocka_unit_test(begun_frames_are_plain),
      cmocka_unit_test(rules_hold_before_encoding),
      cmocka_unit_test(random_can_fail),
      cmocka_unit_test(memory_can_fail),
      cmocka_unit_test(second_encoder_fails),
      cmocka_unit_test(plain_is_for_the_message),
      cmocka_unit_test(headers_are_shown),
      cmocka_unit_test(stubborn_encoders),
      cmocka_unit_test(bits_of_others_stay_clear),
  };
  return cmocka_run_group_tests_name("sending", tests, NULL, NULL);
}
