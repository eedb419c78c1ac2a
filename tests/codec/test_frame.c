/* test_frame.c - frame headers. Every header goes through one check, which
 * parses all its prefixes and compares each verdict with an oracle that reads
 * the whole header at leisure: the earliest refusal must be the final one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <nws/error.h>
#include <nws/frame.h>

#include <stdlib.h>
#include <string.h>

enum { MAX = NWS_FRAME_HEADER_MAX };

static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};

/* A header as numbers: length form (0, 2 or 8 further bytes) and value. */
typedef struct header {
  uint8_t first;
  uint8_t masked;
  uint8_t form;
  uint64_t length;
} header;

static size_t encode(const header *h, uint8_t out[MAX]) {
  size_t at = 2;
  const unsigned length_7 = h->form == 0   ? (unsigned)h->length
                            : h->form == 2 ? 126u
                                           : 127u;
  out[0] = h->first;
  out[1] = (uint8_t)(h->masked * 128u + length_7);
  for (unsigned i = 0; i < h->form; i++) {
    out[at++] = (uint8_t)(h->length >> 8 * (h->form - 1 - i));
  }
  if (h->masked) {
    memcpy(out + at, key, 4);
    at += 4;
  }
  return at;
}

/* The verdict, and with how many bytes at hand it has to be given. */
static int oracle(const header *h, size_t *at) {
  const int control = h->first % 16 >= 8;
  *at = 1;
  if (control && h->first < 128) {
    return NWS_ERROR_CONTROL_FRAGMENTED;
  }
  *at = 2;
  if (control && h->form != 0) {
    return NWS_ERROR_CONTROL_LENGTH;
  }
  *at = 3;
  if (h->form == 8 && h->length > INT64_MAX) {
    return NWS_ERROR_LENGTH_63;
  }
  /* Up to the byte before which all that follows is too little to matter. */
  *at = h->form == 8 ? 8 : 4;
  if ((h->form == 8 && h->length < 65536) ||
      (h->form == 2 && h->length < 126)) {
    return NWS_ERROR_LENGTH_MINIMAL;
  }
  *at = 2u + h->form + 4u * h->masked;
  return NWS_OK;
}

static void expect_parsed(const nws_frame *frame, const header *h, size_t len) {
  static const uint8_t none[4];
  assert_int_equal(frame->payload_len, h->length);
  assert_int_equal(frame->opcode, h->first % 16);
  assert_int_equal(frame->fin, h->first / 128);
  assert_int_equal(frame->rsv, h->first & 0x70);
  assert_int_equal(frame->masked, h->masked);
  assert_memory_equal(frame->key, h->masked ? key : none, 4);
  assert_int_equal(frame->header_len, len);
}

/* What a prefix that does not yet tell must say about the header's length. */
static size_t promised(const header *h, size_t have) {
  return have < 2 ? 2 : 2u + h->form + 4u * h->masked;
}

/* Parses every prefix, each in a heap block of its size for the sanitizer. */
static void check(const header *h) {
  uint8_t bytes[MAX + 4];
  size_t decides;
  const size_t len = encode(h, bytes);
  const int want = oracle(h, &decides);
  memset(bytes + len, 0xEE, sizeof(bytes) - len);
  for (size_t have = 0; have <= len + 2; have++) {
    uint8_t *data = malloc(have + 1);
    nws_frame frame;
    int got;
    assert_non_null(data);
    memcpy(data + 1, bytes, have);
    memset(&frame, 0xAA, sizeof(frame));
    got = nws_frame_parse(&frame, data + 1, have);
    if (have < decides) {
      assert_int_equal(got, NWS_MORE);
      assert_int_equal(frame.header_len, promised(h, have));
    } else {
      assert_int_equal(got, want);
      if (want == NWS_OK) {
        expect_parsed(&frame, h, len);
      }
    }
    free(data);
  }
}

/* All first bytes × mask bit × the length given in one form. */
static void check_all_firsts(uint8_t form, uint64_t length) {
  for (unsigned first = 0; first < 256; first++) {
    for (uint8_t masked = 0; masked < 2; masked++) {
      const header h = {(uint8_t)first, masked, form, length};
      check(&h);
    }
  }
}

static void all_two_byte_headers(void **unused) {
  (void)unused;
  for (uint64_t length = 0; length <= 125; length++) {
    check_all_firsts(0, length);
  }
  check_all_firsts(2, 126);
  check_all_firsts(8, 65536);
}

static void all_edges_in_all_forms(void **unused) {
  static const uint64_t edges[] = {0,
                                   1,
                                   124,
                                   125,
                                   126,
                                   127,
                                   255,
                                   256,
                                   65534,
                                   65535,
                                   65536,
                                   65537,
                                   0x7FFFFFFF,
                                   0x80000000,
                                   0xFFFFFFFF,
                                   0x100000000,
                                   INT64_MAX - 1,
                                   INT64_MAX,
                                   (uint64_t)INT64_MAX + 1,
                                   UINT64_MAX - 1,
                                   UINT64_MAX};
  (void)unused;
  for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
    if (edges[i] <= 65535) {
      check_all_firsts(2, edges[i]);
    }
    check_all_firsts(8, edges[i]);
  }
}

static void all_lengths_in_two_bytes(void **unused) {
  (void)unused;
  for (uint64_t length = 0; length <= 65535; length++) {
    const header plain = {0x82, 0, 2, length};
    const header masked = {0x01, 1, 2, length};
    check(&plain);
    check(&masked);
  }
}

/* Also in the eight-byte form all of these are too long a form. */
static void no_short_length_in_eight_bytes(void **unused) {
  (void)unused;
  for (uint64_t length = 0; length <= 65535; length++) {
    const header h = {0x82, 1, 8, length};
    check(&h);
  }
}

static void each_bit_of_eight_bytes(void **unused) {
  (void)unused;
  for (unsigned bit = 0; bit < 64; bit++) {
    const uint64_t length = (uint64_t)1 << bit;
    check_all_firsts(8, length);
    check_all_firsts(8, length - 1);
    check_all_firsts(8, length | 1);
    check_all_firsts(8, ~length);
  }
}

/* The first two bytes alone, all of them: what the length forms above do not
 * reach is nothing, but this says so without an oracle in between. */
static void every_pair_of_first_bytes(void **unused) {
  (void)unused;
  for (unsigned n = 0; n < 65536; n++) {
    const uint8_t bytes[2] = {(uint8_t)(n >> 8), (uint8_t)n};
    const unsigned length_7 = n % 128;
    nws_frame frame;
    int want = length_7 < 126 && n % 256 < 128 ? NWS_OK : NWS_MORE;
    if ((n >> 8) % 16 >= 8 && length_7 > 125) {
      want = NWS_ERROR_CONTROL_LENGTH;
    }
    if ((n >> 8) % 16 >= 8 && n < 32768) {
      want = NWS_ERROR_CONTROL_FRAGMENTED;
    }
    assert_int_equal(nws_frame_parse(&frame, bytes, 2), want);
  }
}

/* A failed or unfinished call leaves what it did not promise to set. */
static void refusals_leave_the_frame_alone(void **unused) {
  static const uint8_t bad[][10] = {{0x09, 0},
                                    {0x89, 126},
                                    {0x82, 126, 0, 125},
                                    {0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255},
                                    {0x82, 127, 0x80}};
  nws_frame frame, before;
  (void)unused;
  memset(&before, 0xAA, sizeof(before));
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    frame = before;
    assert_true(nws_frame_parse(&frame, bad[i], sizeof(bad[i])) < 0);
    assert_memory_equal(&frame, &before, sizeof(frame));
  }
}

static void parse_takes_no_nonsense(void **unused) {
  nws_frame frame;
  (void)unused;
  assert_int_equal(nws_frame_parse(NULL, "\x82", 1), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_frame_parse(&frame, NULL, 1), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_frame_parse(&frame, NULL, 0), NWS_MORE);
  assert_int_equal(frame.header_len, 2);
}

/* --- building --- */

static const uint64_t lengths[] = {
    0,          1,           124,    125,           126,
    127,        65535,       65536,  0x7FFFFFFF,    0x80000000,
    0xFFFFFFFF, 0x100000000, 999999, INT64_MAX - 1, INT64_MAX};
enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

static size_t shortest(uint64_t length, int masked) {
  const size_t extended = length > 65535 ? 8 : length > 125 ? 2 : 0;
  return 2 + extended + (masked ? 4 : 0);
}

/* Builds, looks at what was written and what was not, and parses it back. */
static void check_round_trip(const nws_frame *in) {
  uint8_t out[MAX + 2];
  nws_frame back;
  int len;
  memset(out, 0x5A, sizeof(out));
  len = nws_frame_build(in, out);
  assert_int_equal(len, shortest(in->payload_len, in->masked));
  assert_int_equal(len, nws_frame_header_len(in->payload_len, in->masked));
  for (size_t i = (size_t)len; i < sizeof(out); i++) {
    assert_int_equal(out[i], 0x5A);
  }
  assert_int_equal(nws_frame_parse(&back, out, (size_t)len), NWS_OK);
  assert_int_equal(back.payload_len, in->payload_len);
  assert_int_equal(back.opcode, in->opcode);
  assert_int_equal(back.fin, in->fin);
  assert_int_equal(back.rsv, in->rsv);
  assert_int_equal(back.masked, in->masked);
  assert_memory_equal(back.key, in->masked ? in->key : (uint8_t[4]){0}, 4);
  assert_int_equal(back.header_len, len);
}

static int build_verdict(const nws_frame *frame) {
  if (frame->opcode < 8) {
    return NWS_OK;
  }
  if (!frame->fin) {
    return NWS_ERROR_CONTROL_FRAGMENT;
  }
  return frame->payload_len > 125 ? NWS_ERROR_CONTROL_LONG : NWS_OK;
}

static void builds_what_it_parses(void **unused) {
  (void)unused;
  for (unsigned first = 0; first < 256; first++) {
    for (size_t i = 0; i < 2 * LENGTHS; i++) {
      nws_frame frame = {lengths[i / 2],
                         (uint8_t)(first % 16),
                         (uint8_t)(first / 128),
                         (uint8_t)(first & 0x70),
                         (uint8_t)(i % 2),
                         {1, 2, 3, 4},
                         77};
      uint8_t out[MAX];
      const int want = build_verdict(&frame);
      if (want == NWS_OK) {
        check_round_trip(&frame);
      } else {
        assert_int_equal(nws_frame_build(&frame, out), want);
      }
    }
  }
}

/* Unlike a bit in a bit field, flags count as set when they are not 0. */
static void flags_are_set_when_not_zero(void **unused) {
  const nws_frame frame = {3, 2, 2, 0, 200, {9, 8, 7, 6}, 0};
  static const uint8_t want[] = {0x82, 0x83, 9, 8, 7, 6};
  uint8_t out[MAX];
  (void)unused;
  assert_int_equal(nws_frame_build(&frame, out), 6);
  assert_memory_equal(out, want, 6);
}

static void expect_refused(const nws_frame *frame, int want) {
  uint8_t out[MAX], before[MAX];
  memset(out, 0x5A, sizeof(out));
  memcpy(before, out, sizeof(out));
  assert_int_equal(nws_frame_build(frame, out), want);
  assert_memory_equal(out, before, sizeof(out));
}

static void build_refuses_what_cannot_be(void **unused) {
  const nws_frame good = {0, 1, 1, 0, 0, {0}, 0};
  nws_frame frame;
  uint8_t out[MAX];
  (void)unused;
  for (unsigned opcode = 16; opcode < 256; opcode++) {
    frame = good;
    frame.opcode = (uint8_t)opcode;
    expect_refused(&frame, NWS_ERROR_ARGUMENT);
  }
  for (unsigned rsv = 0; rsv < 256; rsv++) {
    frame = good;
    frame.rsv = (uint8_t)rsv;
    if ((rsv & 0x8F) != 0) {
      expect_refused(&frame, NWS_ERROR_ARGUMENT);
    } else {
      assert_int_equal(nws_frame_build(&frame, out), 2);
    }
  }
  for (unsigned bit = 0; bit < 64; bit++) {
    frame = good;
    frame.payload_len = ((uint64_t)1 << 63) | ((uint64_t)1 << bit);
    expect_refused(&frame, NWS_ERROR_LENGTH);
  }
  expect_refused(NULL, NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_frame_build(&good, NULL), NWS_ERROR_ARGUMENT);
}

/* RFC 6455 5.7, the headers of its examples. */
static void agrees_with_the_rfc(void **unused) {
  static const header examples[] = {
      {0x81, 0, 0, 5}, {0x81, 1, 0, 5},   {0x01, 0, 0, 3},    {0x80, 0, 0, 2},
      {0x89, 0, 0, 5}, {0x82, 0, 2, 256}, {0x82, 0, 8, 65536}};
  static const uint8_t big[] = {0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0};
  const nws_frame frame = {65536, NWS_OPCODE_BINARY, 1, 0, 0, {0}, 0};
  uint8_t out[MAX];
  (void)unused;
  for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
    check(&examples[i]);
  }
  assert_int_equal(nws_frame_build(&frame, out), sizeof(big));
  assert_memory_equal(out, big, sizeof(big));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_two_byte_headers),
      cmocka_unit_test(all_edges_in_all_forms),
      cmocka_unit_test(all_lengths_in_two_bytes),
      cmocka_unit_test(no_short_length_in_eight_bytes),
      cmocka_unit_test(each_bit_of_eight_bytes),
      cmocka_unit_test(every_pair_of_first_bytes),
      cmocka_unit_test(refusals_leave_the_frame_alone),
      cmocka_unit_test(parse_takes_no_nonsense),
      cmocka_unit_test(builds_what_it_parses),
      cmocka_unit_test(flags_are_set_when_not_zero),
      cmocka_unit_test(build_refuses_what_cannot_be),
      cmocka_unit_test(agrees_with_the_rfc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
