/* test_error.c - the table of errors against the header that declares them:
 * the test reads include/nws/error.h, so an enumerator without a row, or a row
 * with another name, cannot slip in. The slices and the version of base.h are
 * tested here as well.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <nws/error.h>
#include <nws/frame.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>

#ifndef NWS_SOURCE_DIR
#error "NWS_SOURCE_DIR must be the path of the source tree, as a string"
#endif

/* The text of the header, ended by a zero. */
static char header_text[65536];

static int read_header(void **unused) {
  FILE *file = fopen(NWS_SOURCE_DIR "/include/nws/error.h", "r");
  size_t len;
  (void)unused;
  if (file == NULL) {
    return -1;
  }
  len = fread(header_text, 1, sizeof(header_text) - 1, file);
  fclose(file);
  /* A full buffer would be a header that was not read to its end. */
  return len > 0 && len < sizeof(header_text) - 1 ? 0 : -1;
}

/* Calls `visit` for each "NWS_ERROR_<NAME> = <negative number>", over however
 * many lines it goes; gives their number. */
static size_t each_enumerator(void (*visit)(const char *name, int value)) {
  const char *at = header_text;
  size_t found = 0;
  while ((at = strstr(at, "NWS_ERROR_")) != NULL) {
    char name[64];
    int value;
    if (sscanf(at, "NWS_ERROR_%63[A-Z0-9_] = %d", name, &value) == 2 &&
        value < 0) {
      found++;
      visit(name, value);
    }
    at++;
  }
  return found;
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void expect_row(const char *name, int value) {
  const nws_error_info *row = nws_error_get(value);
  if (row->error != value) {
    fail_msg("no row for NWS_ERROR_%s", name);
  }
  assert_int_equal(strlen(row->name), strlen(name));
  for (size_t i = 0; name[i] != '\0'; i++) {
    assert_int_equal(row->name[i], lower(name[i]));
  }
  assert_ptr_equal(nws_error_text(value), row->text);
}

/* Each has a row; and since there are as many rows as enumerators (and that of
 * "no error"), each has one only. */
static void one_row_for_each_enumerator(void **unused) {
  const size_t found = each_enumerator(expect_row);
  (void)unused;
  assert_true(found > 70);
  assert_non_null(nws_error_at(found));
  assert_null(nws_error_at(found + 1));
  assert_null(nws_error_at(SIZE_MAX));
}

/* Walking and looking up meet at the same rows. */
static void walk_and_lookup_agree(void **unused) {
  const nws_error_info *row;
  (void)unused;
  for (size_t i = 0; (row = nws_error_at(i)) != NULL; i++) {
    assert_ptr_equal(nws_error_get(row->error), row);
  }
}

static void no_error_comes_first(void **unused) {
  const nws_error_info *row = nws_error_at(0);
  (void)unused;
  assert_int_equal(row->error, 0);
  assert_int_equal(row->kind, NWS_ERROR_KIND_NONE);
  assert_int_equal(row->close_code, 0);
  assert_int_equal(row->http_status, 0);
  assert_ptr_equal(nws_error_get(NWS_OK), row);
  assert_ptr_equal(nws_error_get(NWS_MORE), row);
  assert_ptr_equal(nws_error_get(INT_MAX), row);
}

static void unknown_numbers(void **unused) {
  static const int numbers[] = {-1,     -22,    -4095,  -9999,  -10000, -10021,
                                -10039, -10047, -10099, -10123, -10199, -10209,
                                -10228, -10299, -10306, -20000, INT_MIN};
  (void)unused;
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    const nws_error_info *row = nws_error_get(numbers[i]);
    assert_string_equal(row->name, "unknown");
    assert_int_equal(row->error, INT_MIN);
    assert_int_equal(row->kind, NWS_ERROR_KIND_NONE);
    assert_true(row->text[0] != '\0');
  }
}

static nws_error_kind kind_of_range(int error) {
  if (error > -10040 || error <= -10300) {
    return NWS_ERROR_KIND_USAGE;
  }
  return error > -10100 ? NWS_ERROR_KIND_RESOURCE : NWS_ERROR_KIND_PEER;
}

static void kinds_follow_the_ranges(void **unused) {
  const nws_error_info *row;
  (void)unused;
  for (size_t i = 1; (row = nws_error_at(i)) != NULL; i++) {
    assert_int_equal(row->kind, kind_of_range(row->error));
  }
}

static int ends_without_close(int error) {
  return error == NWS_ERROR_CLOSE_TIMEOUT ||
         error == NWS_ERROR_HANDSHAKE_TIMEOUT;
}

/* Whatever a peer does wrong on a connection has a close code that may be
 * sent; nothing else has any. */
static void close_codes_can_be_sent(void **unused) {
  const nws_error_info *row;
  (void)unused;
  for (size_t i = 0; (row = nws_error_at(i)) != NULL; i++) {
    const int on_connection = row->error <= -10100 && row->error > -10200;
    if (on_connection && !ends_without_close(row->error)) {
      assert_true(nws_close_code_valid(row->close_code));
    } else {
      assert_int_equal(row->close_code, 0);
    }
  }
}

static int only_a_client_finds(int error) {
  return error == NWS_ERROR_STATUS || error == NWS_ERROR_ACCEPT ||
         error == NWS_ERROR_EXTENSION_UNASKED;
}

static void statuses_belong_to_the_handshake(void **unused) {
  const nws_error_info *row;
  (void)unused;
  for (size_t i = 0; (row = nws_error_at(i)) != NULL; i++) {
    const int in_handshake = (row->error <= -10200 && row->error > -10250) ||
                             row->error == NWS_ERROR_TLS_PLAIN ||
                             row->error == NWS_ERROR_HANDSHAKE_TIMEOUT;
    if (in_handshake && !only_a_client_finds(row->error)) {
      assert_in_range(row->http_status, 400, 505);
    } else {
      assert_int_equal(row->http_status, 0);
    }
  }
}

/* The answers that RFC 6455 or HTTP name for a case. */
static void answers_that_are_written_down(void **unused) {
  (void)unused;
  assert_int_equal(nws_error_get(NWS_ERROR_TEXT)->close_code, 1007);
  assert_int_equal(nws_error_get(NWS_ERROR_CLOSE_TEXT)->close_code, 1007);
  assert_int_equal(nws_error_get(NWS_ERROR_MESSAGE_LIMIT)->close_code, 1009);
  assert_int_equal(nws_error_get(NWS_ERROR_CLOSE_LENGTH)->close_code, 1002);
  assert_int_equal(nws_error_get(NWS_ERROR_MASK_MISSING)->close_code, 1002);
  assert_int_equal(nws_error_get(NWS_ERROR_CONTROL_LIMIT)->close_code, 1008);
  assert_int_equal(nws_error_get(NWS_ERROR_VERSION)->http_status, 426);
  assert_int_equal(nws_error_get(NWS_ERROR_ORIGIN)->http_status, 403);
  assert_int_equal(nws_error_get(NWS_ERROR_METHOD)->http_status, 405);
  assert_int_equal(nws_error_get(NWS_ERROR_KEY)->http_status, 400);
  assert_int_equal(nws_error_get(NWS_ERROR_HTTP_HEAD_LIMIT)->http_status, 431);
  assert_int_equal(nws_error_get(NWS_ERROR_HTTP_VERSION)->http_status, 505);
}

/* Texts are for people: none empty, none twice, no full stop, and short
 * enough to be the reason of a close frame. Rules name an RFC or nothing. */
static void texts_are_fit_to_print(void **unused) {
  const nws_error_info *row, *other;
  (void)unused;
  for (size_t i = 0; (row = nws_error_at(i)) != NULL; i++) {
    const size_t len = strlen(row->text);
    assert_in_range(len, 1, NWS_CLOSE_REASON_MAX);
    assert_true(row->text[len - 1] != '.');
    assert_true(row->rule[0] == '\0' || strncmp(row->rule, "RFC ", 4) == 0 ||
                strncmp(row->rule, "PROXY protocol ", 15) == 0);
    assert_true(row->kind != NWS_ERROR_KIND_PEER || row->rule[0] != '\0');
    for (size_t j = 0; j < i; j++) {
      other = nws_error_at(j);
      assert_string_not_equal(row->text, other->text);
      assert_string_not_equal(row->name, other->name);
    }
  }
}

/* --- base.h --- */

static void slices_of_strings(void **unused) {
  static const char text[] = "text";
  (void)unused;
  assert_null(nws_str_of(NULL).ptr);
  assert_int_equal(nws_str_of(NULL).len, 0);
  assert_non_null(nws_str_of("").ptr);
  assert_int_equal(nws_str_of("").len, 0);
  assert_ptr_equal(nws_str_of(text).ptr, text);
  assert_int_equal(nws_str_of(text).len, 4);
}

static void equal_slices(void **unused) {
  const nws_str zeros = nws_str_make("a\0b", 3);
  (void)unused;
  assert_true(nws_str_equal(nws_str_of("abc"), nws_str_of("abc")));
  assert_false(nws_str_equal(nws_str_of("abc"), nws_str_of("abC")));
  assert_false(nws_str_equal(nws_str_of("abc"), nws_str_of("ab")));
  assert_false(nws_str_equal(nws_str_of("abc"), nws_str_of("Abc")));
  assert_false(nws_str_equal(zeros, nws_str_make("a\0c", 3)));
  assert_true(nws_str_equal(nws_str_of(NULL), nws_str_of("")));
  assert_true(nws_str_equal_nocase(nws_str_of(NULL), nws_str_of("")));
  assert_false(nws_str_equal_nocase(nws_str_of("abc"), nws_str_of("abcd")));
}

/* All pairs of bytes: only the 26 letters have two cases. */
static void case_is_that_of_ascii(void **unused) {
  (void)unused;
  for (int a = 0; a < 256; a++) {
    for (int b = 0; b < 256; b++) {
      const char x = (char)a, y = (char)b;
      const int same = lower(x) == lower(y);
      assert_int_equal(
          nws_str_equal_nocase(nws_str_make(&x, 1), nws_str_make(&y, 1)), same);
      assert_int_equal(nws_str_equal(nws_str_make(&x, 1), nws_str_make(&y, 1)),
                       a == b);
    }
  }
  assert_true(nws_str_equal_nocase(nws_str_of("Sec-WebSocket-Key"),
                                   nws_str_of("sec-websocket-KEY")));
}

static void version_is_that_of_the_header(void **unused) {
  char want[32];
  (void)unused;
  snprintf(want, sizeof(want), "%d.%d.%d", NWS_VERSION_MAJOR, NWS_VERSION_MINOR,
           NWS_VERSION_PATCH);
  assert_string_equal(nws_version(), want);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_row_for_each_enumerator),
      cmocka_unit_test(walk_and_lookup_agree),
      cmocka_unit_test(no_error_comes_first),
      cmocka_unit_test(unknown_numbers),
      cmocka_unit_test(kinds_follow_the_ranges),
      cmocka_unit_test(close_codes_can_be_sent),
      cmocka_unit_test(statuses_belong_to_the_handshake),
      cmocka_unit_test(answers_that_are_written_down),
      cmocka_unit_test(texts_are_fit_to_print),
      cmocka_unit_test(slices_of_strings),
      cmocka_unit_test(equal_slices),
      cmocka_unit_test(case_is_that_of_ascii),
      cmocka_unit_test(version_is_that_of_the_header),
  };
  return cmocka_run_group_tests(tests, read_header, NULL);
}
