/* test_handshake_values.c - the two kinds of lists within headers that a user
 * may want to read alone: extensions and cookies.
 */
#include "handshake_fixture.h"

/* --- Extensions in a value --- */

/* Writes what was read in a plain form: name(param|param=value|param="value"),
 * with a ! behind escaped values. */
static int read_extensions(nws_str value, char *got, size_t *fault_at) {
  nws_extension_offer offer;
  nws_str rest = value;
  size_t len = 0;
  int rc;
  while ((rc = nws_extension_offer_next(&rest, &offer)) == 1) {
    memcpy(got + len, offer.name.ptr, offer.name.len);
    len += offer.name.len;
    got[len++] = '(';
    for (size_t i = 0; i < offer.param_count; i++) {
      const nws_extension_param *p = &offer.params[i];
      if (i > 0)
        got[len++] = '|';
      memcpy(got + len, p->name.ptr, p->name.len);
      len += p->name.len;
      if (p->value.ptr == NULL)
        continue;
      got[len++] = '=';
      if (p->quoted)
        got[len++] = '"';
      memcpy(got + len, p->value.ptr, p->value.len);
      len += p->value.len;
      if (p->quoted)
        got[len++] = '"';
      if (p->escaped)
        got[len++] = '!';
    }
    if (offer.overflow)
      got[len++] = '+';
    got[len++] = ')';
    assert_true(offer.text.ptr >= value.ptr &&
                offer.text.ptr + offer.text.len <= value.ptr + value.len);
    assert_ptr_equal(offer.text.ptr, offer.name.ptr);
    assert_true(offer.text.ptr[offer.text.len - 1] != ' ');
  }
  got[len] = 0;
  *fault_at = (size_t)(rest.ptr - value.ptr);
  return rc;
}

static void good_extensions(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"", ""},
      {" \t, ,", ""},
      {"x", "x()"},
      {" x ,\ty\t", "x()y()"},
      {",x,,y,", "x()y()"},
      {"x;a", "x(a)"},
      {"x ; a ; b", "x(a|b)"},
      {"x; a=1; b=\"2\"", "x(a=1|b=\"2\")"},
      {"x; a = 1 ; b\t=\t\"2\" , y", "x(a=1|b=\"2\")y()"},
      {"x; a=\"\\1\\2\"", "x(a=\"\\1\\2\"!)"},
      {"x;a;a", "x(a|a)"},
      {"!#$%&'*+-.^_`|~;~=!", "!#$%&'*+-.^_`|~(~=!)"},
      {"x;1;2;3;4;5;6;7;8;9;a;b;c;d;e;f;g",
       "x(1|2|3|4|5|6|7|8|9|a|b|c|d|e|f|g)"},
      {"x;1;2;3;4;5;6;7;8;9;a;b;c;d;e;f;g;h, y",
       "x(1|2|3|4|5|6|7|8|9|a|b|c|d|e|f|g+)y()"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char got[256];
    size_t at, len = strlen(cases[i][0]);
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, cases[i][0], len);
    assert_int_equal(read_extensions(nws_str_make(copy, len), got, &at), 0);
    assert_string_equal(got, cases[i][1]);
    assert_int_equal(at, len);
    free(copy);
  }
}

static void text_of_an_offer(void **state) {
  (void)state;
  nws_extension_offer offer;
  nws_str rest = nws_str_of(" , x ; a = \"b\" \t, y");
  assert_int_equal(nws_extension_offer_next(&rest, &offer), 1);
  assert_str(offer.text, "x ; a = \"b\"");
  assert_int_equal(nws_extension_offer_next(&rest, &offer), 1);
  assert_str(offer.text, "y");
  assert_int_equal(nws_extension_offer_next(&rest, &offer), 0);
  rest = nws_str_of("x; a \t; b\t , y");
  assert_int_equal(nws_extension_offer_next(&rest, &offer), 1);
  assert_str(offer.text, "x; a \t; b");
  rest = nws_str_make(NULL, 0);
  assert_int_equal(nws_extension_offer_next(&rest, &offer), 0);
}

static void bad_extensions(void **state) {
  (void)state;
  /* @ stands before the byte at fault, and for the end at the end */
  static const char *const cases[] = {
      "@;",
      "x @y",
      "x;@",
      "x; @;a",
      "x;a;@",
      "x;@,y",
      "x;@=1",
      "x;a=@",
      "x;a=@;b",
      "x;a=@,y",
      "x;a=1@=2",
      "x;a=1 @2",
      "x;a @b",
      "x@=1",
      "@\"x\"",
      "x;@\"a\"",
      "x;a=@(",
      "x;a=\"@\"",
      "x;a=\"b@",
      "x;a=\"b@ c\"",
      "x;a=\"b@,c\"",
      "x;a=\"\\@\"",
      "x;a=\"b\\@",
      "x;a=\"b\"@c",
      "x;a=\"b\"@\"c\"",
      "x;a=1@\"b\"",
      "x;a=\"\\@ \"",
      "x;a=\"\\@\\\"",
      "y, x;@",
      "x@\x01",
      "x;a@\x80",
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const char *mark = strchr(cases[i], '@');
    size_t at = (size_t)(mark - cases[i]), len = strlen(cases[i]) - 1, found;
    char got[256], *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, cases[i], at);
    memcpy(copy + at, mark + 1, len - at);
    assert_int_equal(read_extensions(nws_str_make(copy, len), got, &found),
                     NWS_ERROR_EXTENSION_HEADER);
    assert_int_equal(found, at);
    free(copy);
  }
}

/* Long runs of what a parser might go back over (linear, or it would never
 * end). */
static void long_values(void **state) {
  (void)state;
  enum { LEN = 1 << 20 };
  static const char runs[] = {' ', ',', ';', '\\', '"', 'x', '=', '\t'};
  char *text = malloc(LEN);
  assert_non_null(text);
  for (size_t i = 0; i < COUNT_OF(runs); i++) {
    nws_extension_offer offer;
    nws_str element, rest;
    memset(text, runs[i], LEN);
    rest = nws_str_make(text, LEN);
    while (nws_extension_offer_next(&rest, &offer) == 1)
      assert_int_equal(runs[i], 'x');
    memcpy(text, "x;a=\"", 5);
    rest = nws_str_make(text, LEN);
    assert_int_equal(nws_extension_offer_next(&rest, &offer),
                     NWS_ERROR_EXTENSION_HEADER);
    rest = nws_str_make(text, LEN);
    while (nws_list_next(&rest, &element))
      assert_true(element.len > 0);
    rest = nws_str_make(text, LEN);
    while (nws_cookie_next(&rest, &element, &offer.name))
      assert_true(element.len <= LEN);
  }
  free(text);
}

/* --- Cookies --- */

static void cookies(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"", ""},
      {"a=b", "a:b."},
      {"a=b; c=d", "a:b.c:d."},
      {"a=b;c=d ;\te=f;", "a:b.c:d.e:f."},
      {"a=; b=c", "a:.b:c."},
      {"a=b=c", "a:b=c."},
      {"junk; a=b; ; more junk", "a:b."},
      {"a=\"b c\"; d=\"\"; e=\"f; g=h", "a:b c.d:.e:\"f.g:h."},
      {" a = b ", "a:b."},
      {"=b", ":b."},
      {"a=\"", "a:\"."},
      {";;;", ""},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    size_t len = strlen(cases[i][0]), at = 0;
    char got[128], *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, cases[i][0], len);
    nws_str rest = nws_str_make(copy, len), name, value;
    while (nws_cookie_next(&rest, &name, &value)) {
      memcpy(got + at, name.ptr, name.len);
      at += name.len;
      got[at++] = ':';
      memcpy(got + at, value.ptr, value.len);
      at += value.len;
      got[at++] = '.';
    }
    got[at] = 0;
    assert_string_equal(got, cases[i][1]);
    assert_int_equal(rest.len, 0);
    free(copy);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_extensions), cmocka_unit_test(text_of_an_offer),
      cmocka_unit_test(bad_extensions),  cmocka_unit_test(long_values),
      cmocka_unit_test(cookies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
