/* test_utf8.c - the UTF-8 validator against an oracle of another make: one that
 * knows encoding alone. A byte string can begin a text if some sequence of
 * code points (no surrogates, up to U+10FFFF) encodes to something that starts
 * with it; so the set of all encodings, and their beginnings, is the oracle.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <nws/utf8.h>

#include <stdlib.h>
#include <string.h>

/* Which byte strings of 1, 2 and 3 bytes are the proper beginning of a
 * character, or one that is whole. Indexed by the bytes, first one highest. */
enum { WRONG = 0, CUT = 1, WHOLE = 2 };
static uint8_t one[1 << 8], two[1 << 16], three[1 << 24];

static size_t encode(uint32_t point, uint8_t out[4]) {
  if (point < 0x80) {
    out[0] = (uint8_t)point;
    return 1;
  }
  if (point < 0x800) {
    out[0] = (uint8_t)(0xC0 + point / 64);
    out[1] = (uint8_t)(0x80 + point % 64);
    return 2;
  }
  if (point < 0x10000) {
    out[0] = (uint8_t)(0xE0 + point / 4096);
    out[1] = (uint8_t)(0x80 + point / 64 % 64);
    out[2] = (uint8_t)(0x80 + point % 64);
    return 3;
  }
  out[0] = (uint8_t)(0xF0 + point / 262144);
  out[1] = (uint8_t)(0x80 + point / 4096 % 64);
  out[2] = (uint8_t)(0x80 + point / 64 % 64);
  out[3] = (uint8_t)(0x80 + point % 64);
  return 4;
}

static int encodable(uint32_t point) {
  return point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
}

static int learn_all_characters(void **unused) {
  (void)unused;
  for (uint32_t point = 0; point <= 0x10FFFF; point++) {
    uint8_t c[4] = {0, 0, 0, 0};
    size_t len;
    if (!encodable(point)) {
      continue;
    }
    len = encode(point, c);
    one[c[0]] = len == 1 ? WHOLE : CUT;
    if (len > 1) {
      two[c[0] << 8 | c[1]] = len == 2 ? WHOLE : CUT;
    }
    if (len > 2) {
      three[c[0] << 16 | c[1] << 8 | c[2]] = len == 3 ? WHOLE : CUT;
    }
  }
  return 0;
}

/* What may stand before the end of `text`: the longest prefix that can begin a
 * text; `*whole` says whether it ends with a character. Never needs more than
 * the sets, as the fourth byte of a character is a plain 80 to BF. */
static size_t oracle(const uint8_t *text, size_t len, int *whole) {
  size_t at = 0;
  *whole = 1;
  while (at < len) {
    const uint8_t *c = text + at;
    const size_t left = len - at;
    size_t n = 1;
    int kind = one[c[0]];
    if (kind == CUT && left > 1 && two[c[0] << 8 | c[1]] != WRONG) {
      kind = two[c[0] << 8 | c[1]];
      n = 2;
    }
    if (n == 2 && kind == CUT && left > 2 &&
        three[c[0] << 16 | c[1] << 8 | c[2]] != WRONG) {
      kind = three[c[0] << 16 | c[1] << 8 | c[2]];
      n = 3;
    }
    if (n == 3 && kind == CUT && left > 3 && c[3] >= 0x80 && c[3] <= 0xBF) {
      kind = WHOLE;
      n = 4;
    }
    if (kind == WRONG) {
      return at;
    }
    at += n;
    if (kind == CUT) {
      *whole = 0;
      return at;
    }
  }
  return at;
}

/* One string: the index, whether it ends with a character, validity. Returns 0
 * when all is as the oracle says. */
static int differs(const uint8_t *text, size_t len) {
  nws_utf8 state = NWS_UTF8_START;
  int whole;
  const size_t want = oracle(text, len, &whole);
  const size_t got = nws_utf8_check(&state, text, len);
  return got != want || (state == NWS_UTF8_START) != whole ||
         nws_utf8_valid(text, len) != (want == len && whole);
}

static void expect_like_oracle(const uint8_t *text, size_t len) {
  if (differs(text, len)) {
    for (size_t i = 0; i < len; i++) {
      print_error("%02x ", text[i]);
    }
    fail_msg("the oracle says otherwise");
  }
}

static void every_string_up_to_three_bytes(void **unused) {
  (void)unused;
  for (uint32_t n = 0; n < 1u << 24; n++) {
    const uint8_t text[3] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    if (n < 1u << 8) {
      expect_like_oracle(text + 2, 1);
    }
    if (n < 1u << 16) {
      expect_like_oracle(text + 1, 2);
    }
    expect_like_oracle(text, 3);
  }
}

static void every_character_is_valid(void **unused) {
  (void)unused;
  for (uint32_t point = 0; point <= 0x10FFFF; point++) {
    uint8_t c[4];
    if (encodable(point)) {
      assert_true(nws_utf8_valid(c, encode(point, c)));
    }
  }
}

/* Four bytes of which each stands at the edge of a range of RFC 3629. */
static void every_edge_in_four_bytes(void **unused) {
  static const uint8_t edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0,
                                  0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1,
                                  0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3,
                                  0xF4, 0xF5, 0xF7, 0xF8, 0xFE, 0xFF};
  const size_t n = sizeof(edges);
  (void)unused;
  for (size_t i = 0; i < n * n * n * n; i++) {
    const uint8_t text[4] = {edges[i / n / n / n], edges[i / n / n % n],
                             edges[i / n % n], edges[i % n]};
    expect_like_oracle(text, 4);
  }
}

/* The states that valid text can reach, each by a text that reaches it. */
static const char *const ways[] = {
    "",     "\xC2", "\xE1",     "\xE0", "\xED",         "\xF0",
    "\xF4", "\xF1", "\xF1\x80", "a",    "\xF1\x80\x80", "\xE0\xA0\x80"};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* From each state, each byte: refused with the state kept, or accepted; and
 * fed alone or with what comes before, it is all the same. */
static void each_byte_from_each_state(void **unused) {
  (void)unused;
  for (size_t way = 0; way < WAYS; way++) {
    const size_t before = strlen(ways[way]);
    for (unsigned byte = 0; byte < 256; byte++) {
      uint8_t text[8];
      nws_utf8 state = NWS_UTF8_START, kept;
      int whole;
      memcpy(text, ways[way], before);
      text[before] = (uint8_t)byte;
      assert_int_equal(nws_utf8_check(&state, text, before), before);
      kept = state;
      if (oracle(text, before + 1, &whole) == before + 1) {
        assert_int_equal(nws_utf8_check(&state, text + before, 1), 1);
        assert_int_equal(state == NWS_UTF8_START, whole);
      } else {
        assert_int_equal(nws_utf8_check(&state, text + before, 1), 0);
        assert_int_equal(state, kept);
      }
    }
  }
}

/* Text of all widths, long enough for the fast path and for what is between
 * two blocks of it. */
static const char sample[] =
    "Some ASCII first, and then \xC2\xA2\xE2\x82\xAC\xF0\x90\x8D\x88 "
    "\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\xE0\xA0\x80\xF0\x90\x80\x80 "
    "a long way of plain letters again, \xC3\xA4.";
enum { SAMPLE = sizeof(sample) - 1 };

static void every_split_of_a_text(void **unused) {
  (void)unused;
  assert_true(nws_utf8_valid(sample, SAMPLE));
  for (size_t a = 0; a <= SAMPLE; a++) {
    for (size_t b = a; b <= SAMPLE; b++) {
      nws_utf8 state = NWS_UTF8_START;
      assert_int_equal(nws_utf8_check(&state, sample, a), a);
      assert_int_equal(nws_utf8_check(&state, sample + a, b - a), b - a);
      assert_int_equal(nws_utf8_check(&state, sample + b, SAMPLE - b),
                       SAMPLE - b);
      assert_int_equal(state, NWS_UTF8_START);
    }
  }
}

/* Checks that however `text` is cut in two, the refusal falls on byte `bad`
 * and leaves the state that the bytes before it make. */
static void expect_refusal(const uint8_t *text, size_t len, size_t bad) {
  nws_utf8 before = NWS_UTF8_START;
  assert_int_equal(nws_utf8_check(&before, text, bad), bad);
  for (size_t cut = 0; cut <= len; cut++) {
    nws_utf8 state = NWS_UTF8_START;
    size_t at = nws_utf8_check(&state, text, cut);
    if (at == cut) {
      at += nws_utf8_check(&state, text + cut, len - cut);
    }
    assert_int_equal(at, bad);
    assert_int_equal(state, before);
  }
}

/* One byte of the sample made wrong, at every place: found there or where the
 * oracle says, at every split. */
static void finds_the_very_byte(void **unused) {
  static const uint8_t wrong[] = {0xFF, 0xC0, 0x80, 0xF5, 0xED, 'a'};
  (void)unused;
  for (size_t at = 0; at < SAMPLE; at++) {
    for (size_t i = 0; i < sizeof(wrong); i++) {
      uint8_t text[SAMPLE];
      int whole;
      size_t bad;
      memcpy(text, sample, SAMPLE);
      text[at] = wrong[i];
      bad = oracle(text, SAMPLE, &whole);
      if (bad < SAMPLE) {
        expect_refusal(text, SAMPLE, bad);
      } else {
        expect_like_oracle(text, SAMPLE);
      }
    }
  }
}

/* Exact heap blocks at every length and width: no byte beyond is read. */
static void stays_within_the_block(void **unused) {
  (void)unused;
  for (size_t len = 1; len <= SAMPLE; len++) {
    uint8_t *text = malloc(len);
    assert_non_null(text);
    memcpy(text, sample, len);
    expect_like_oracle(text, len);
    memcpy(text, sample + SAMPLE - len, len);
    expect_like_oracle(text, len);
    free(text);
  }
}

static void random_mixtures(void **unused) {
  uint32_t seed = 7;
  (void)unused;
  for (int round = 0; round < 20000; round++) {
    uint8_t text[80];
    size_t len = 0;
    while (len < 70) {
      seed = seed * 1664525u + 1013904223u;
      if (encodable(seed >> 11)) {
        len += encode(seed >> 11 >> (seed >> 5) % 15, text + len);
      } else {
        text[len++] = (uint8_t)(seed >> 20 & 0x7F);
      }
    }
    if (round % 2 != 0) {
      text[seed >> 8 & 63] = (uint8_t)(seed >> 16);
    }
    expect_like_oracle(text, len);
  }
}

static void edges_of_the_interface(void **unused) {
  nws_utf8 state = NWS_UTF8_START;
  (void)unused;
  assert_int_equal(nws_utf8_check(&state, NULL, 0), 0);
  assert_int_equal(state, NWS_UTF8_START);
  assert_int_equal(nws_utf8_valid(NULL, 0), 1);
  assert_int_equal(nws_utf8_valid("\xC2", 1), 0);
  /* What was never a state takes no byte, rather than running wild. */
  for (unsigned made_up = 8; made_up < 256; made_up++) {
    state = (nws_utf8)made_up;
    assert_int_equal(nws_utf8_check(&state, "a", 1), 0);
    assert_int_equal(state, made_up);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_string_up_to_three_bytes),
      cmocka_unit_test(every_character_is_valid),
      cmocka_unit_test(every_edge_in_four_bytes),
      cmocka_unit_test(each_byte_from_each_state),
      cmocka_unit_test(every_split_of_a_text),
      cmocka_unit_test(finds_the_very_byte),
      cmocka_unit_test(stays_within_the_block),
      cmocka_unit_test(random_mixtures),
      cmocka_unit_test(edges_of_the_interface),
  };
  return cmocka_run_group_tests(tests, learn_all_characters, NULL);
}
