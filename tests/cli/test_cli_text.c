/* The parts of the program that stand on their own: text made safe to show, and
 * the reader of hex text. Built from the sources, which no library holds.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream(), and for uv.h */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../src/cli/cli_escape.c"
#include "../../src/cli/cli_hex.c"

/* What nws__cli_put_text() writes; to be freed. */
static char *shown(const void *text, size_t len, unsigned how,
                   size_t *out_len) {
  char *out = NULL;
  FILE *file = open_memstream(&out, out_len);
  assert_non_null(file);
  nws__cli_put_text(file, text, len, how);
  assert_int_equal(fclose(file), 0);
  return out;
}

static void expect(const char *text, size_t len, unsigned how,
                   const char *expected) {
  size_t out_len;
  char *out = shown(text, len, how, &out_len);
  assert_string_equal(out, expected);
  free(out);
}

static size_t encode(uint32_t point, uint8_t out[4]) {
  if (point < 0x80) {
    out[0] = (uint8_t)point;
    return 1;
  }
  size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--, point >>= 6)
    out[i] = (uint8_t)(0x80 | (point & 0x3f));
  out[0] = (uint8_t)((0xf00 >> len) & 0xff) | (uint8_t)point;
  return len;
}

static void test_known_texts(void **state) {
  (void)state;
  expect("plain \"text\" \\", 14, CLI_TEXT_PLAIN, "plain \"text\" \\");
  expect("a\"b\\c", 5, CLI_TEXT_QUOTE, "\"a\\\"b\\\\c\"");
  expect("a\tb\nc\r", 6, CLI_TEXT_LINES, "a\tb\nc\\r");
  expect("a\tb\nc\r", 6, CLI_TEXT_PLAIN, "a\\tb\\nc\\r");
  expect("\0\x1b\x7f", 3, CLI_TEXT_PLAIN, "\\x00\\x1b\\x7f");
  expect("\xc2\x9b", 2, CLI_TEXT_PLAIN, "\\u{9b}");
  expect("\xe2\x80\xae", 3, CLI_TEXT_PLAIN, "\\u{202e}");
  expect("\xf0\x9d\x84\x9e!", 5, CLI_TEXT_PLAIN, "\xf0\x9d\x84\x9e!");
  expect("\xed\xa0\x80", 3, CLI_TEXT_PLAIN, "\\xed\\xa0\\x80");
  expect("\xc3", 1, CLI_TEXT_PLAIN, "\\xc3");
  expect("\xe2\x82(", 3, CLI_TEXT_PLAIN, "\\xe2\\x82(");
  expect("\xff\xc0\x80", 3, CLI_TEXT_PLAIN, "\\xff\\xc0\\x80");
  expect(NULL, 0, CLI_TEXT_QUOTE, "\"\"");
}

/* Every character comes out as itself or as an escape in plain ASCII, and none
 * of those that control a terminal as itself. */
static void test_every_character(void **state) {
  (void)state;
  size_t passed = 0;
  for (uint32_t point = 0; point < 0x110000; point++) {
    uint8_t text[4];
    size_t out_len;
    if (point >= 0xd800 && point < 0xe000)
      continue;
    size_t len = encode(point, text);
    char *out = shown(text, len, CLI_TEXT_PLAIN, &out_len);
    int itself = out_len == len && memcmp(out, text, len) == 0;
    passed += (size_t)itself;
    if (point < 0x20 || (point >= 0x7f && point < 0xa0))
      assert_false(itself);
    if (!itself)
      for (size_t i = 0; i < out_len; i++)
        assert_in_range(out[i], 0x20, 0x7e);
    free(out);
  }
  assert_in_range(passed, 1000000, 1112064 - 65);
}

/* Every pair of bytes, valid or not, is safe. */
static void test_every_pair(void **state) {
  (void)state;
  for (unsigned pair = 0; pair < 0x10000; pair++) {
    uint8_t text[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
    size_t out_len;
    char *out = shown(text, 2, CLI_TEXT_QUOTE, &out_len);
    assert_true(nws_utf8_valid(out, out_len));
    for (size_t i = 0; i < out_len; i++)
      assert_false((uint8_t)out[i] < 0x20 || out[i] == 0x7f);
    free(out);
  }
}

/* Reads hex text cut in two; the number of bytes, or -1 at a fault. */
static int read_hex(const char *text, size_t cut, uint8_t *out, cli_hex *hex) {
  uint8_t copy[64];
  size_t len = strlen(text);
  memset(hex, 0, sizeof(*hex));
  hex->line = hex->column = 1;
  memcpy(copy, text, len);
  size_t got = nws__cli_hex_read(hex, copy, cut);
  memcpy(out, copy, got);
  if (!hex->fault) {
    size_t more = nws__cli_hex_read(hex, copy + cut, len - cut);
    memcpy(out + got, copy + cut, more);
    got += more;
  }
  if (!hex->fault)
    nws__cli_hex_end(hex);
  return hex->fault ? -1 : (int)got;
}

static void test_hex_at_every_cut(void **state) {
  (void)state;
  static const char text[] = "0x81,00 # ff\n:0X0f 00";
  static const uint8_t expected[] = {0x81, 0, 0x0f, 0};
  for (size_t cut = 0; cut < sizeof(text); cut++) {
    uint8_t out[64];
    cli_hex hex;
    assert_int_equal(read_hex(text, cut, out, &hex), sizeof(expected));
    assert_memory_equal(out, expected, sizeof(expected));
    assert_int_equal(hex.line, 2);
  }
}

static void test_hex_faults_at_every_cut(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t line;
    uint64_t column;
  } cases[] = {{"81\n 0", 2, 3},  {"8 1", 1, 2},     {"0xx1", 1, 3},
               {"8x", 1, 2},      {"81\n\ng", 3, 1}, {"00x0", 1, 3},
               {"#x\n1#", 2, 2},  {"0x", 1, 3},      {"0X ", 1, 3},
               {"81,0x# 1", 1, 6}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    for (size_t cut = 0; cut <= strlen(cases[i].text); cut++) {
      uint8_t out[64];
      cli_hex hex;
      assert_int_equal(read_hex(cases[i].text, cut, out, &hex), -1);
      assert_int_equal(hex.line, cases[i].line);
      assert_int_equal(hex.column, cases[i].column);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_texts),
      cmocka_unit_test(test_every_character),
      cmocka_unit_test(test_every_pair),
      cmocka_unit_test(test_hex_at_every_cut),
      cmocka_unit_test(test_hex_faults_at_every_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
