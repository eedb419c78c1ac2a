/* test_close.c - close payloads: every code, reasons that are whole, cut and
 * wrong, and the edges of the lengths, read and written.
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

/* RFC 6455 7.4.1 and IANA's registry, code by code, then 7.4.2. */
static int may_travel(unsigned code) {
  static const unsigned listed[] = {1000, 1001, 1002, 1003, 1007, 1008,
                                    1009, 1010, 1011, 1012, 1013, 1014};
  for (size_t i = 0; i < sizeof(listed) / sizeof(listed[0]); i++) {
    if (listed[i] == code) {
      return 1;
    }
  }
  return code / 1000 == 3 || code / 1000 == 4;
}

/* Parses from a heap block of exactly the size, and wants a refusal that
 * changes nothing. */
static void expect_refused(const char *payload, size_t len, int error,
                           size_t bad_at) {
  char *data = malloc(len + 1);
  uint16_t code = 42;
  nws_str reason = nws_str_of("before");
  const nws_str before = reason;
  size_t at = 999;
  assert_non_null(data);
  memcpy(data + 1, payload, len);
  assert_int_equal(nws_close_parse(data + 1, len, &code, &reason, &at), error);
  assert_int_equal(at, bad_at);
  assert_int_equal(nws_close_parse(data + 1, len, &code, &reason, NULL), error);
  assert_int_equal(code, 42);
  assert_ptr_equal(reason.ptr, before.ptr);
  assert_int_equal(reason.len, before.len);
  free(data);
}

static void expect_parsed(const char *payload, size_t len, unsigned want) {
  char *data = malloc(len + 1);
  uint16_t code = 0;
  nws_str reason = {NULL, 0};
  assert_non_null(data);
  memcpy(data + 1, payload, len);
  assert_int_equal(nws_close_parse(data + 1, len, &code, &reason, NULL),
                   NWS_OK);
  assert_int_equal(code, want);
  assert_int_equal(reason.len, len - 2);
  assert_ptr_equal(reason.ptr, data + 3);
  free(data);
}

static void every_code_read(void **unused) {
  (void)unused;
  for (unsigned code = 0; code <= 65535; code++) {
    const char payload[] = {(char)(code >> 8), (char)code, 'b', 'y', 'e'};
    assert_int_equal(nws_close_code_valid(code), may_travel(code));
    if (may_travel(code)) {
      expect_parsed(payload, 2, code);
      expect_parsed(payload, 5, code);
    } else {
      expect_refused(payload, 2, NWS_ERROR_CLOSE_CODE, 0);
      expect_refused(payload, 5, NWS_ERROR_CLOSE_CODE, 0);
    }
  }
}

static void every_code_written(void **unused) {
  (void)unused;
  for (unsigned code = 1; code <= 70000; code++) {
    char out[8] = "ZZZZZZZ";
    const int allowed = may_travel(code);
    assert_int_equal(nws_close_build(code, nws_str_of(NULL), out),
                     allowed ? 2 : NWS_ERROR_CLOSE_CODE_SEND);
    assert_int_equal(nws_close_build(code, nws_str_of("bye"), out),
                     allowed ? 5 : NWS_ERROR_CLOSE_CODE_SEND);
    if (allowed) {
      const char want[] = {(char)(code >> 8), (char)code, 'b', 'y', 'e', 'Z'};
      assert_memory_equal(out, want, sizeof(want));
    } else {
      assert_string_equal(out, "ZZZZZZZ");
    }
  }
}

/* Beyond 16 bits nothing is valid, whatever the low bits say. */
static void no_code_beyond_sixteen_bits(void **unused) {
  (void)unused;
  assert_int_equal(nws_close_code_valid(65536 + 1000), 0);
  assert_int_equal(nws_close_code_valid(0x80000000u + 1000), 0);
  assert_int_equal(nws_close_code_valid(UINT32_MAX), 0);
}

static void empty_payload(void **unused) {
  uint16_t code = 7;
  nws_str reason = nws_str_of("before");
  char byte = 'Z';
  (void)unused;
  assert_int_equal(nws_close_parse(NULL, 0, &code, &reason, NULL), NWS_OK);
  assert_int_equal(code, NWS_CLOSE_NO_STATUS);
  assert_int_equal(reason.len, 0);
  assert_int_equal(nws_close_build(0, nws_str_of(NULL), &byte), 0);
  assert_int_equal(nws_close_build(0, nws_str_of(""), NULL), 0);
  assert_int_equal(byte, 'Z');
}

static void one_byte(void **unused) {
  (void)unused;
  for (unsigned byte = 0; byte < 256; byte++) {
    const char payload = (char)byte;
    expect_refused(&payload, 1, NWS_ERROR_CLOSE_LENGTH, 1);
  }
}

typedef struct wrong {
  const char *reason;
  size_t bad_at; /* counted from the reason's first byte */
} wrong;

/* With `bad_at` at the end where the last character is cut. */
static const wrong wrongs[] = {
    {"\x80", 0},
    {"ab\xFF"
     "cd",
     2},
    {"ab\xC0\x80", 2},
    {"a\xED\xA0\x80", 2},
    {"a\xE0\x9F\xBF", 2},
    {"\xF4\x90\x80\x80", 1},
    {"\xF0\x8F\xBF\xBF", 1},
    {"\xC3", 1},
    {"ab\xE2\x82", 4},
    {"\xF0\x9F\x98", 3},
    {"ab\xE2\x82z", 4},
    {"0123456789abcdefghijklmnopqrstuvwxyz\xF8", 36},
};

static void wrong_reasons(void **unused) {
  (void)unused;
  for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
    const nws_str reason = nws_str_of(wrongs[i].reason);
    char payload[64] = "\x03\xE8";
    char out[64] = "ZZ";
    memcpy(payload + 2, reason.ptr, reason.len);
    expect_refused(payload, 2 + reason.len, NWS_ERROR_CLOSE_TEXT,
                   2 + wrongs[i].bad_at);
    assert_int_equal(nws_close_build(1000, reason, out), NWS_ERROR_TEXT_SEND);
    assert_string_equal(out, "ZZ");
  }
}

/* A bad code is told before a bad reason, as it comes first on the wire. */
static void code_before_reason(void **unused) {
  (void)unused;
  expect_refused("\x03\xED\xFF", 3, NWS_ERROR_CLOSE_CODE, 0);
}

static void right_reasons(void **unused) {
  static const char *const reasons[] = {
      "", "going", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"};
  (void)unused;
  for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
    const nws_str reason = nws_str_of(reasons[i]);
    char out[32];
    assert_int_equal(nws_close_build(4999, reason, out), 2 + reason.len);
    assert_memory_equal(out, "\x13\x87", 2);
    assert_memory_equal(out + 2, reason.ptr, reason.len);
    expect_parsed(out, 2 + reason.len, 4999);
  }
}

static void longest_payload(void **unused) {
  char payload[200], out[200];
  (void)unused;
  memset(payload, 'x', sizeof(payload));
  memcpy(payload, "\x03\xE8", 2);
  memset(out, 'Z', sizeof(out));
  expect_parsed(payload, 125, 1000);
  expect_refused(payload, 126, NWS_ERROR_CONTROL_LENGTH, 125);
  expect_refused(payload, 127, NWS_ERROR_CONTROL_LENGTH, 125);
  assert_int_equal(nws_close_build(1000, nws_str_make(payload + 2, 123), out),
                   125);
  assert_memory_equal(out, payload, 125);
  assert_int_equal(out[125], 'Z');
  assert_int_equal(nws_close_build(1000, nws_str_make(payload + 2, 124), out),
                   NWS_ERROR_CONTROL_LONG);
  assert_int_equal(
      nws_close_build(1000, nws_str_make(payload + 2, SIZE_MAX), out),
      NWS_ERROR_CONTROL_LONG);
}

/* The reason may lie where the payload is to be written. */
static void reason_in_the_output(void **unused) {
  for (size_t shift = 0; shift < 5; shift++) {
    char out[32] = "";
    (void)unused;
    memcpy(out + shift, "restart", 7);
    assert_int_equal(nws_close_build(1012, nws_str_make(out + shift, 7), out),
                     9);
    assert_memory_equal(out, "\x03\xF4restart", 9);
  }
}

static void nonsense_arguments(void **unused) {
  uint16_t code;
  nws_str reason;
  size_t at = 9;
  char out[8];
  (void)unused;
  assert_int_equal(nws_close_parse(NULL, 2, &code, &reason, &at),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(at, 0);
  assert_int_equal(nws_close_parse("\x03\xE8", 2, NULL, &reason, NULL),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_close_parse("\x03\xE8", 2, &code, NULL, NULL),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_close_build(0, nws_str_of("why"), out),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_close_build(1000, nws_str_make(NULL, 3), out),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_close_build(1000, nws_str_of("why"), NULL),
                   NWS_ERROR_ARGUMENT);
}

/* Every code that has a meaning of its own has a name, and no other has. */
static void names(void **unused) {
  (void)unused;
  for (unsigned code = 0; code <= 65536; code++) {
    const int named = (code >= 1000 && code <= 1015 && code != 1004) ||
                      code == 3000 || code == 3003 || code == 3008;
    assert_non_null(nws_close_code_name(code));
    assert_int_equal(nws_close_code_name(code)[0] != '\0', named);
  }
  assert_string_equal(nws_close_code_name(1001), "going away");
  assert_string_equal(nws_close_code_name(1009), "message too big");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_code_read),
      cmocka_unit_test(every_code_written),
      cmocka_unit_test(no_code_beyond_sixteen_bits),
      cmocka_unit_test(empty_payload),
      cmocka_unit_test(one_byte),
      cmocka_unit_test(wrong_reasons),
      cmocka_unit_test(code_before_reason),
      cmocka_unit_test(right_reasons),
      cmocka_unit_test(longest_payload),
      cmocka_unit_test(reason_in_the_output),
      cmocka_unit_test(nonsense_arguments),
      cmocka_unit_test(names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
