/* ext_recv.c - extensions on the receiving side: each stream in every cutting
 * and with every size of scratch, and what they say at the limits.
 */
#include "ext_help.h"
#include "ext_tests.h"

#include <stdlib.h>
#include <string.h>

/* First bytes of frames. */
enum {
  FIN = 0x80,
  TEXT = NWS_OPCODE_TEXT,
  BINARY = NWS_OPCODE_BINARY,
  PING = FIN | NWS_OPCODE_PING,
  ASCII = EXT_OPCODE_ASCII,
  TIME = FIN | EXT_OPCODE_TIME
};

static const char *const names[16] = {
    [EXT_OPCODE_TIME] = "time", [EXT_OPCODE_ASCII] = "ascii"};

static ext_setup server(const ext_sample *a, const ext_sample *b,
                        const ext_sample *c) {
  ext_setup setup = {NWS_ROLE_SERVER, {0}, {a, b, c, NULL}};
  setup.config.opcode_names = names;
  return setup;
}

/* Adds a masked frame with a payload of text without zero bytes. */
static void frame(ext_bytes *stream, unsigned first, const char *payload) {
  ext_frame(stream, first, payload, strlen(payload), 1);
}

static void time_is_a_control_event(void **unused) {
  ext_setup setup = server(&ext_time, NULL, NULL);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, TIME, "\x01\x02\x03\x04\x05\x06\x07\x08");
  frame(&stream, TEXT, "a");
  frame(&stream, TIME, "");
  frame(&stream, FIN, "b");
  ext_sweep(&setup, &stream,
            "time \"\\01\\02\\03\\04\\05\\06\\07\\08\"\n"
            "text 1 rsv 0 Bbe wire 1 \"a\"\n"
            "time \"\"\n"
            "text 0 rsv 0 beE wire 1 \"b\"\n");
  setup.samples[0] = NULL;
  ext_sweep(&setup, &stream, "fault opcode 1002\n");
  ext_bytes_free(&stream);
}

static void ascii_is_a_message(void **unused) {
  const ext_setup setup = server(&ext_ascii, &ext_time, NULL);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, ASCII, "hel");
  frame(&stream, PING, "p");
  frame(&stream, 0, "");
  frame(&stream, TIME, "12345678");
  frame(&stream, FIN, "lo");
  frame(&stream, FIN | ASCII, "");
  frame(&stream, FIN | BINARY, "\x80");
  ext_sweep(&setup, &stream,
            "ascii 3 rsv 0 Bbe wire 3 \"hel\"\n"
            "ping \"p\"\n"
            "ascii 0 rsv 0 be wire 0 \"\"\n"
            "time \"12345678\"\n"
            "ascii 0 rsv 0 beE wire 2 \"lo\"\n"
            "ascii 3 rsv 0 BbeE wire 0 \"\"\n"
            "binary 2 rsv 0 BbeE wire 1 \"\\80\"\n");
  ext_bytes_free(&stream);
}

static void ascii_refuses_at_the_byte(void **unused) {
  const ext_setup setup = server(&ext_ascii, NULL, NULL);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, ASCII, "abcdefghi");
  frame(&stream, FIN, "jk\x80lm");
  ext_sweep(&setup, &stream,
            "ascii 3 rsv 0 Bbe wire 9 \"abcdefghi\"\n"
            "ascii 0 rsv 0 b wire 5 \"jk\"\n"
            "fault extension 1007\n");
  stream.len = 0;
  frame(&stream, FIN | ASCII, "\xff");
  ext_sweep(&setup, &stream, "fault extension 1007\n");
  ext_bytes_free(&stream);
}

/* Where a stream's fault is, or 0. */
static uint64_t fault_of(const ext_setup *setup, const ext_bytes *stream,
                         size_t at, size_t scratch_len) {
  const ext_cut cut = {at, at == 1 ? 1 : stream->len, 0, 0, 0};
  ext_bytes log = {0};
  uint64_t offset;
  ext_rig rig;
  ext_rig_open(&rig, setup, scratch_len);
  ext_feed(&rig, stream, &cut, &log);
  assert_int_not_equal(nws_conn_fault(&rig.conn).error, NWS_OK);
  offset = nws_conn_fault(&rig.conn).offset;
  ext_rig_close(&rig);
  ext_bytes_free(&log);
  return offset;
}

/* The place of a fault in what is decoded does not depend on the cutting and
 * the scratch, and lies in the frame, which is the whole stream. */
static void faults_keep_their_place(void **unused) {
  static const struct {
    const ext_sample *sample;
    unsigned first;
    const char *payload;
  } cases[] = {{&ext_ascii, FIN | ASCII, "abcdefg\x80xyz"},
               {&ext_rle, FIN | NWS_RSV1 | BINARY, "\x03good\x80\x05x\xff\xff"},
               {&ext_rle, FIN | NWS_RSV1 | TEXT,
                "\x03good\x03"
                "bad\xffxyz"},
               {&ext_rle, FIN | NWS_RSV1 | BINARY, "\x03good\x80\xfex\x01xyz"},
               {&ext_rle_min, FIN | NWS_RSV1 | BINARY, "\x80\xff"}};
  (void)unused;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ext_setup setup = server(cases[i].sample, NULL, NULL);
    ext_sample modest = *cases[i].sample;
    ext_bytes stream = {0};
    uint64_t want;
    setup.config.max_message = 200;
    modest.max_run = 254;
    setup.samples[0] = &modest;
    frame(&stream, cases[i].first, cases[i].payload);
    want = fault_of(&setup, &stream, stream.len, 4096);
    assert_in_range(want, 6, stream.len);
    for (size_t at = 1; at <= stream.len; at++) {
      assert_int_equal(fault_of(&setup, &stream, at, 1), want);
      assert_int_equal(fault_of(&setup, &stream, at, 3), want);
      assert_int_equal(fault_of(&setup, &stream, at, 4096), want);
    }
    ext_bytes_free(&stream);
  }
}

static void rle_messages(void **unused) {
  const ext_setup setup = server(&ext_rle, NULL, NULL);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, FIN | NWS_RSV1 | TEXT, "\x80\x64x\x01yz\x80\x05w");
  frame(&stream, FIN | TEXT, "\x02plain");
  frame(&stream, FIN | NWS_RSV1 | BINARY, "\x80\xff\xfe");
  ext_sweep(&setup, &stream,
            "text 1 rsv 40 BbeE wire 9 \"x{100}yzwwwww\"\n"
            "text 1 rsv 0 BbeE wire 6 \"\\02plain\"\n"
            "binary 2 rsv 40 BbeE wire 3 \"\\fe{255}\"\n");
  ext_bytes_free(&stream);
}

/* Each run and each literal is cut by the fragments, and what comes between
 * them does not disturb: pings, times, and plain continuations of a plain
 * message. */
static void rle_fragments(void **unused) {
  const ext_setup setup = server(&ext_rle, &ext_time, NULL);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, NWS_RSV1 | TEXT, "\x80");
  frame(&stream, PING, "one");
  frame(&stream, 0, "\x0c");
  frame(&stream, TIME, "two");
  frame(&stream, 0,
        "a\x02"
        "bc");
  frame(&stream, PING, "");
  frame(&stream, FIN, "d");
  frame(&stream, TEXT, "p");
  frame(&stream, FIN, "\x80");
  ext_sweep(&setup, &stream,
            "text 1 rsv 40 Bbe wire 1 \"\"\n"
            "ping \"one\"\n"
            "text 0 rsv 0 be wire 1 \"\"\n"
            "time \"two\"\n"
            "text 0 rsv 0 be wire 4 \"a{12}bc\"\n"
            "ping \"\"\n"
            "text 0 rsv 0 beE wire 1 \"d\"\n"
            "text 1 rsv 0 Bbe wire 1 \"p\"\n"
            "fault text 1007\n");
  ext_bytes_free(&stream);
}

static void rle_empty_frames(void **unused) {
  const ext_setup setup = server(&ext_rle, NULL, NULL);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, FIN | NWS_RSV1 | TEXT, "");
  frame(&stream, NWS_RSV1 | BINARY, "");
  frame(&stream, 0, "");
  frame(&stream, 0, "\x80\x05z");
  frame(&stream, PING, "q");
  frame(&stream, FIN, "");
  frame(&stream, FIN | TEXT, "");
  ext_sweep(&setup, &stream,
            "text 1 rsv 40 BbeE wire 0 \"\"\n"
            "binary 2 rsv 40 Bbe wire 0 \"\"\n"
            "binary 0 rsv 0 be wire 0 \"\"\n"
            "binary 0 rsv 0 be wire 3 \"zzzzz\"\n"
            "ping \"q\"\n"
            "binary 0 rsv 0 beE wire 0 \"\"\n"
            "text 1 rsv 0 BbeE wire 0 \"\"\n");
  ext_bytes_free(&stream);
}

/* The bit where the extension does not allow it: a fault at the header. */
static void rle_refuses_the_bit(void **unused) {
  const ext_setup setup = server(&ext_rle, NULL, NULL);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, NWS_RSV1 | TEXT, "\x80\x05z");
  frame(&stream, NWS_RSV1 | FIN, "");
  ext_sweep(&setup, &stream,
            "text 1 rsv 40 Bbe wire 3 \"zzzzz\"\n"
            "fault rsv 1002\n");
  stream.len = 0;
  frame(&stream, TEXT, "z");
  frame(&stream, NWS_RSV1 | FIN, "\x80\x05z");
  ext_sweep(&setup, &stream,
            "text 1 rsv 0 Bbe wire 1 \"z\"\n"
            "fault rsv 1002\n");
  stream.len = 0;
  frame(&stream, NWS_RSV1 | PING, "z");
  ext_sweep(&setup, &stream, "fault rsv 1002\n");
  stream.len = 0;
  frame(&stream, NWS_RSV2 | TEXT, "z");
  ext_sweep(&setup, &stream, "fault rsv 1002\n");
  ext_bytes_free(&stream);
}

static void rle_faults_within(void **unused) {
  const ext_setup setup = server(&ext_rle, NULL, NULL);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, FIN | NWS_RSV1 | BINARY, "\x80\x06z\x01xy\x82\x01xy");
  ext_sweep(&setup, &stream,
            "binary 2 rsv 40 Bb wire 10 \"zzzzzzxy\"\n"
            "fault extension 1007\n");
  stream.len = 0; /* the message ends within a run */
  frame(&stream, NWS_RSV1 | BINARY, "\x80\x06z\x05xy");
  frame(&stream, FIN, "z");
  ext_sweep(&setup, &stream,
            "binary 2 rsv 40 Bbe wire 6 \"zzzzzzxy\"\n"
            "binary 0 rsv 0 b wire 1 \"z\"\n"
            "fault extension 1007\n");
  stream.len = 0;
  frame(&stream, FIN | NWS_RSV1 | BINARY, "\x80");
  ext_sweep(&setup, &stream, "fault extension 1007\n");
  ext_bytes_free(&stream);
}

/* The limit counts decoded bytes, and is exact to the byte. */
static void bombs_end_at_the_limit(void **unused) {
  ext_setup setup = server(&ext_rle, NULL, NULL);
  ext_bytes stream = {0};
  (void)unused;
  setup.config.max_message = 300;
  frame(&stream, FIN | NWS_RSV1 | BINARY, "\x80\xffz\x80\x2dz");
  ext_sweep(&setup, &stream, "binary 2 rsv 40 BbeE wire 6 \"z{300}\"\n");
  stream.len = 0;
  frame(&stream, FIN | NWS_RSV1 | BINARY, "\x80\xffz\x80\x2ez");
  ext_sweep(&setup, &stream,
            "binary 2 rsv 40 Bb wire 6 \"z{300}\"\n"
            "fault message_limit 1009\n");
  stream.len = 0; /* over fragments, and plain messages count afresh */
  frame(&stream, FIN | BINARY, "abc");
  frame(&stream, NWS_RSV1 | BINARY, "\x80\xffz");
  frame(&stream, PING, "");
  frame(&stream, 0, "\x80\x2dz");
  frame(&stream, 0, "");
  frame(&stream, FIN, "\x80\xffz\x80\xffz\x80\xffz");
  ext_sweep(&setup, &stream,
            "binary 2 rsv 0 BbeE wire 3 \"abc\"\n"
            "binary 2 rsv 40 Bbe wire 3 \"z{255}\"\n"
            "ping \"\"\n"
            "binary 0 rsv 0 be wire 3 \"z{45}\"\n"
            "binary 0 rsv 0 be wire 0 \"\"\n"
            "fault message_limit 1009\n");
  ext_bytes_free(&stream);
}

/* max_message counts decoded bytes: a message of just that size is welcome,
 * also where its encoding is longer. */
static void incompressible_at_the_limit(void **unused) {
  ext_setup setup = server(&ext_rle, NULL, NULL);
  ext_bytes stream = {0};
  (void)unused;
  setup.config.max_message = 8;
  frame(&stream, FIN | NWS_RSV1 | BINARY,
        "\x07"
        "abcdefgh");
  ext_sweep(&setup, &stream, "binary 2 rsv 40 BbeE wire 9 \"abcdefgh\"\n");
  setup.config.max_frame = 8; /* but one may limit frames themselves */
  ext_sweep(&setup, &stream, "fault frame_limit 1009\n");
  ext_bytes_free(&stream);
}

static void decoded_text_is_validated(void **unused) {
  ext_setup setup = server(&ext_rle, NULL, NULL);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, NWS_RSV1 | TEXT, "\x80\x04z\x01y\xc3");
  frame(&stream, FIN, "\x02\xa4zz\x80\x02z\x02z\xffz");
  ext_sweep(&setup, &stream,
            "text 1 rsv 40 Bbe wire 6 \"zzzzy\\c3\"\n"
            "text 0 rsv 0 b wire 11 \"\\a4zzzzz\"\n"
            "fault text 1007\n");
  stream.len = 0; /* the end cuts a character */
  frame(&stream, FIN | NWS_RSV1 | TEXT, "\x02y\xe2\x82");
  ext_sweep(&setup, &stream,
            "text 1 rsv 40 Bb wire 4 \"y\\e2\\82\"\n"
            "fault text 1007\n");
  setup.config.accept_any_text = 1;
  ext_sweep(&setup, &stream, "text 1 rsv 40 BbeE wire 4 \"y\\e2\\82\"\n");
  ext_bytes_free(&stream);
}

/* Turns bytes as x-xor does. */
static void turn(uint8_t *key, ext_bytes *bytes) {
  for (size_t i = 0; i < bytes->len; i++) {
    bytes->data[i] ^= *key;
    *key = (uint8_t)(*key * 5 + 1);
  }
}

static void xored(ext_bytes *stream, uint8_t *key, unsigned first,
                  const char *payload) {
  ext_bytes turned = {0};
  ext_bytes_add(&turned, payload, strlen(payload));
  turn(key, &turned);
  ext_frame(stream, first, turned.data, turned.len, 1);
  ext_bytes_free(&turned);
}

static void stacked(void **unused) {
  const ext_setup setup = server(&ext_rle, &ext_xor, &ext_time);
  ext_bytes stream = {0};
  uint8_t key = 0x5a;
  (void)unused;
  xored(&stream, &key, FIN | NWS_RSV1 | NWS_RSV2 | TEXT, "\x80\x20x\x01yz");
  frame(&stream, FIN | NWS_RSV1 | TEXT, "\x80\x03x");
  xored(&stream, &key, NWS_RSV1 | NWS_RSV2 | TEXT, "\x80\x10x\x01");
  frame(&stream, TIME, "now");
  frame(&stream, 0, "a");
  xored(&stream, &key, NWS_RSV2, "");
  frame(&stream, PING, "ping");
  xored(&stream, &key, NWS_RSV2 | FIN, "b\x80\x80z");
  xored(&stream, &key, NWS_RSV2 | FIN | TEXT, "only turned");
  xored(&stream, &key, NWS_RSV1 | NWS_RSV2 | FIN | BINARY, "\x80\x0cx\x90");
  ext_sweep(&setup, &stream,
            "text 1 rsv 60 BbeE wire 6 \"x{32}yz\"\n"
            "text 1 rsv 40 BbeE wire 3 \"xxx\"\n"
            "text 1 rsv 60 Bbe wire 4 \"x{16}\"\n"
            "time \"now\"\n"
            "text 0 rsv 0 be wire 1 \"a\"\n"
            "text 0 rsv 20 be wire 0 \"\"\n"
            "ping \"ping\"\n"
            "text 0 rsv 20 beE wire 4 \"bz{128}\"\n"
            "text 1 rsv 20 BbeE wire 11 \"only turned\"\n"
            "binary 2 rsv 60 Bb wire 4 \"x{12}\"\n"
            "fault extension 1007\n");
  ext_bytes_free(&stream);
}

static void stacked_threefold(void **unused) {
  const ext_setup setup = server(&ext_ascii, &ext_rle, &ext_xor);
  ext_bytes stream = {0};
  uint8_t key = 0x5a;
  (void)unused;
  xored(&stream, &key, NWS_RSV1 | NWS_RSV2 | ASCII, "\x80\x20x\x01y");
  xored(&stream, &key, NWS_RSV2, "z");
  frame(&stream, PING, "");
  frame(&stream, FIN, "\x80\x0ax\x02yy\xffz");
  ext_sweep(&setup, &stream,
            "ascii 3 rsv 60 Bbe wire 5 \"x{32}y\"\n"
            "ascii 0 rsv 20 be wire 1 \"z\"\n"
            "ping \"\"\n"
            "ascii 0 rsv 0 b wire 8 \"x{10}yy\"\n"
            "fault extension 1007\n");
  ext_bytes_free(&stream);
}

static void clients_decode_too(void **unused) {
  ext_setup setup = server(&ext_rle, &ext_xor, NULL);
  ext_bytes stream = {0};
  (void)unused;
  setup.role = NWS_ROLE_CLIENT;
  ext_frame(&stream, NWS_RSV1 | TEXT, "\x80\x20x\x01", 4, 0);
  ext_frame(&stream, PING, "p", 1, 0);
  ext_frame(&stream, FIN, "yz", 2, 0);
  ext_sweep(&setup, &stream,
            "text 1 rsv 40 Bbe wire 4 \"x{32}\"\n"
            "ping \"p\"\n"
            "text 0 rsv 0 beE wire 2 \"yz\"\n");
  ext_bytes_free(&stream);
}

/* Decoders that would keep the engine for ever, or write where they may not,
 * end the connection instead. */
static void broken_decoders(void **unused) {
  static const ext_sample *const broken[] = {&ext_stuck, &ext_lazy, &ext_odd,
                                             &ext_greedy};
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, NWS_RSV3 | FIN | BINARY, "abc");
  for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
    ext_setup setup = server(broken[i], NULL, NULL);
    ext_sweep(&setup, &stream, "fault extension 1007\n");
    setup = server(&ext_rle, broken[i], &ext_xor);
    ext_sweep(&setup, &stream, "fault extension 1007\n");
  }
  stream.len = 0; /* with nothing to take, but an end to give */
  frame(&stream, NWS_RSV3 | FIN | BINARY, "");
  ext_setup setup = server(&ext_stuck, NULL, NULL);
  ext_sweep(&setup, &stream, "fault extension 1007\n");
  setup = server(&ext_odd, NULL, NULL);
  ext_sweep(&setup, &stream, "fault extension 1007\n");
  ext_bytes_free(&stream);
}

static void memory_can_fail(void **unused) {
  const ext_setup setup = server(&ext_poor, NULL, NULL);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, FIN | BINARY, "abc");
  frame(&stream, NWS_RSV3 | FIN | BINARY, "abc");
  ext_sweep(&setup, &stream,
            "binary 2 rsv 0 BbeE wire 3 \"abc\"\n"
            "fault memory 1011\n");
  ext_bytes_free(&stream);
}

/* Feeds bytes and counts what comes of them: data, closes. */
static void count_events(ext_rig *rig, const uint8_t *data, size_t len,
                         size_t counts[2]) {
  uint8_t *block = malloc(len + 1);
  nws_input in = {block, len, 0};
  nws_event event;
  int type;
  assert_non_null(block);
  memcpy(block, data, len);
  while ((type = nws_conn_recv(&rig->conn, &in, &event)) > 0) {
    counts[0] += type == NWS_EVENT_DATA ? event.len : 0;
    counts[1] += type == NWS_EVENT_CLOSE;
  }
  assert_int_equal(type, 0);
  free(block);
}

/* Nothing waits for more input that could be given already. */
static void output_is_not_kept_back(void **unused) {
  const ext_setup setup = server(&ext_rle, &ext_xor, NULL);
  ext_bytes stream = {0};
  uint8_t key = 0x5a;
  (void)unused;
  xored(&stream, &key, FIN | NWS_RSV1 | NWS_RSV2 | TEXT, "\x80\x20x\x01yz");
  for (size_t len = 0; len <= stream.len; len++) {
    static const size_t want[] = {0, 0, 32, 32, 33, 34};
    size_t counts[2] = {0, 0};
    ext_rig rig;
    ext_rig_open(&rig, &setup, 2);
    count_events(&rig, stream.data, len, counts);
    assert_int_equal(counts[0], len <= 6 ? 0 : want[len - 7]);
    ext_rig_close(&rig);
  }
  ext_bytes_free(&stream);
}

/* Frames larger than anything that is there to hold them; what is decoded is
 * longer than what came, or shorter, or hardly anything. */
static void large_frames(void **unused) {
  static const size_t sizes[] = {2, 7, 64, 4096};
  const ext_setup setup = server(&ext_rle, &ext_xor, NULL);
  ext_bytes wire[3] = {{0}, {0}, {0}}, want[3] = {{0}, {0}, {0}};
  (void)unused;
  for (unsigned i = 0; i < 10000; i++) {
    const uint8_t value = (uint8_t)(i * 7 >> 3);
    const uint8_t token[3] = {0x80, i % 100 == 0 ? 200 : 4, value};
    const uint8_t single[3] = {0x80, 1, value};
    ext_bytes_add(&wire[0], token, 3);
    ext_bytes_fill(&want[0], value, token[1]);
    ext_bytes_add(&wire[1], single, 3);
    ext_bytes_add(&want[1], &value, 1);
  }
  ext_bytes_fill(&wire[2], 0x81, 30000);
  ext_bytes_add(&wire[2], "\0z", 2);
  ext_bytes_add(&want[2], "z", 1);
  for (size_t i = 0; i < 3; i++) {
    ext_bytes stream = {0};
    ext_frame(&stream, FIN | NWS_RSV1 | BINARY, wire[i].data, wire[i].len, 1);
    for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
      ext_expect_message(&setup, &stream, &want[i], sizes[j]);
    }
    ext_bytes_free(&stream);
    ext_bytes_free(&wire[i]);
    ext_bytes_free(&want[i]);
  }
}

/* We close at every place in a stream: what is encoded is discarded unless it
 * is wanted, and the peer's close is found behind it. */
static void closing_amid_what_is_encoded(void **unused) {
  ext_setup setup = server(&ext_rle, &ext_xor, NULL);
  ext_bytes stream = {0};
  uint8_t key = 0x5a;
  (void)unused;
  xored(&stream, &key, NWS_RSV1 | NWS_RSV2 | TEXT, "\x80\x20x\x01");
  frame(&stream, FIN, "yz");
  frame(&stream, FIN | NWS_RSV1 | TEXT, "\x80\x10x");
  frame(&stream, FIN | NWS_OPCODE_CLOSE, "\x03\xe8");
  for (size_t i = 0; i < 2 * stream.len; i++) {
    const size_t at = i / 2;
    size_t before[2] = {0, 0}, after[2] = {0, 0};
    uint8_t out[NWS_CONTROL_FRAME_MAX];
    size_t out_len;
    ext_rig rig;
    setup.config.deliver_in_closing = i & 1;
    ext_rig_open(&rig, &setup, 7);
    nws_conn_lend(&rig.conn, &rig.spill);
    count_events(&rig, stream.data, at, before);
    assert_int_equal(nws_conn_close(&rig.conn, 1000, nws_str_of("bye"), out,
                                    sizeof(out), &out_len),
                     NWS_OK);
    count_events(&rig, stream.data + at, stream.len - at, after);
    assert_int_equal(before[0] + after[0], i & 1 ? 32 + 2 + 16 : before[0]);
    assert_int_equal(after[1], 1);
    assert_true(nws_conn_clean(&rig.conn));
    ext_rig_close(&rig);
  }
  ext_bytes_free(&stream);
}

/* Headers are shown in the order of decoding, the last negotiated first, those
 * of control frames too. */
static void headers_are_shown(void **unused) {
  const ext_setup setup = server(&ext_watch_1, &ext_rle, &ext_watch_2);
  ext_bytes stream = {0};
  (void)unused;
  frame(&stream, NWS_RSV1 | TEXT, "\x80\x20x");
  frame(&stream, PING, "ping");
  frame(&stream, FIN, "");
  ext_seen[0] = 0;
  ext_once(&setup, &stream,
           "text 1 rsv 40 Bbe wire 3 \"x{32}\"\n"
           "ping \"ping\"\n"
           "text 0 rsv 0 beE wire 0 \"\"\n");
  assert_string_equal(ext_seen, "2<1:40:3 1<1:40:3 2<9:0:4 1<9:0:4 "
                                "2<0:0:0 1<0:0:0 ");
  ext_bytes_free(&stream);
}

/* --- Work --- */

/* A decoder that copies, `grows` times over, and counts what it is shown. */
typedef struct counter {
  unsigned grows;
  unsigned left; /* copies of the byte at hand still to be given */
  uint64_t calls;
  uint64_t shown;
} counter;

static int count_frame(void *state, const nws_frame *frame) {
  (void)state;
  return (frame->opcode & 8) != 0 ? NWS_EXTENSION_PASS
                                  : NWS_EXTENSION_TRANSFORM;
}

static int count_decode(void *state, nws_extension_data *data) {
  counter *c = state;
  c->calls++;
  c->shown += data->in_len;
  while (data->in_len > 0 && data->out_len < data->out_cap) {
    c->left = c->left > 0 ? c->left : c->grows;
    data->out[data->out_len++] = *data->in;
    if (--c->left == 0) {
      data->in++;
      data->in_len--;
    }
  }
  return data->in_len > 0 ? NWS_MORE : NWS_OK;
}

/* Receives a masked message of one frame; gives how long it was, decoded. */
static uint64_t count_message(counter *c, size_t len, size_t scratch_len) {
  static const nws_extension ext = {.size = sizeof(ext),
                                    .name = "x-count",
                                    .rsv = NWS_RSV1,
                                    .frame_in = count_frame,
                                    .decode = count_decode};
  uint8_t *scratch = malloc(scratch_len);
  nws_extension_use use = {.ext = &ext, .state = c};
  nws_conn_config config = {.size = sizeof(config),
                            .max_frame = NWS_UNLIMITED,
                            .max_message = NWS_UNLIMITED,
                            .scratch = scratch,
                            .scratch_len = scratch_len};
  ext_bytes payload = {0}, stream = {0};
  nws_conn conn;
  nws_event event;
  uint64_t total = 0;
  int type;
  assert_non_null(scratch);
  ext_bytes_fill(&payload, 'x', len);
  ext_frame(&stream, FIN | BINARY, payload.data, len, 1);
  assert_int_equal(nws_conn_init(&conn, NWS_ROLE_SERVER, &config, &use, 1),
                   NWS_OK);
  nws_input in = {stream.data, stream.len, 0};
  while ((type = nws_conn_recv(&conn, &in, &event)) > 0) {
    for (size_t i = 0; i < event.len; i++) {
      assert_int_equal(event.data[i], 'x');
    }
    total += event.len;
  }
  assert_int_equal(type, 0);
  ext_bytes_free(&payload);
  ext_bytes_free(&stream);
  free(scratch);
  return total;
}

/* What a decoder leaves is masked again and shown again. That is done for about
 * as much as fits into the scratch, not for all that has arrived, so that large
 * inputs cost no more for each byte than small ones. */
static void work_is_linear(void **unused) {
  static const size_t scratches[] = {1, 64, 1000, 4096};
  static const unsigned growths[] = {1, 3, 100};
  enum { LEN = 1 << 18, WINDOW_MIN = 64 };
  (void)unused;
  for (size_t i = 0; i < 12; i++) {
    const size_t scratch_len = scratches[i / 3];
    const size_t window = scratch_len > WINDOW_MIN ? scratch_len : WINDOW_MIN;
    counter c = {.grows = growths[i % 3]};
    /* Few bytes where each gives much: the test should be quick, too. */
    const size_t len = LEN / c.grows / (window / scratch_len);
    const uint64_t total = count_message(&c, len, scratch_len);
    assert_int_equal(total, len * (uint64_t)c.grows);
    assert_true(c.calls <= total / scratch_len + len / window + 4);
    assert_true(c.shown <= c.calls * window);
  }
}

int ext_recv_tests(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(time_is_a_control_event),
      cmocka_unit_test(ascii_is_a_message),
      cmocka_unit_test(ascii_refuses_at_the_byte),
      cmocka_unit_test(faults_keep_their_place),
      cmocka_unit_test(rle_messages),
      cmocka_unit_test(rle_fragments),
      cmocka_unit_test(rle_empty_frames),
      cmocka_unit_test(rle_refuses_the_bit),
      cmocka_unit_test(rle_faults_within),
      cmocka_unit_test(bombs_end_at_the_limit),
      cmocka_unit_test(incompressible_at_the_limit),
      cmocka_unit_test(decoded_text_is_validated),
      cmocka_unit_test(stacked),
      cmocka_unit_test(stacked_threefold),
      cmocka_unit_test(clients_decode_too),
      cmocka_unit_test(broken_decoders),
      cmocka_unit_test(memory_can_fail),
      cmocka_unit_test(output_is_not_kept_back),
      cmocka_unit_test(large_frames),
      cmocka_unit_test(closing_amid_what_is_encoded),
      cmocka_unit_test(headers_are_shown),
      cmocka_unit_test(work_is_linear),
  };
  return cmocka_run_group_tests_name("receiving", tests, NULL, NULL);
}
