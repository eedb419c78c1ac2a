/* test_net_authorize.c - how a client logs in, and that nobody is told.
 */
#include "client_stage.h"

/* What a server is sent for a URL with this before the @. */
static void expect_header(const char *userinfo, const char *token,
                          const char *header) {
  char url[256], shown[64], line[256];
  stage st;
  stage_init(&st);
  snprintf(url, sizeof(url), "ws://%s127.0.0.1:%u/a@b?c=d@e", userinfo,
           (unsigned)st.port);
  snprintf(shown, sizeof(shown), "ws://127.0.0.1:%u/a@b?c=d@e",
           (unsigned)st.port);
  nws_client_options options = client_options(&st.fx, url);
  options.bearer = token;
  nws_peer *peer = client_start(&st.fx, &options);
  assert_string_equal(nws_peer_url(peer), shown);
  stage_accept(&st);
  snprintf(line, sizeof(line), "\r\nAuthorization: %s\r\n", header);
  if (header[0] == '\0')
    assert_false(has(&st.r, "Authorization"));
  else if (!has(&st.r, line))
    fail_msg("no %s in %s", line, (char *)st.r.data);
  snprintf(line, sizeof(line), "GET /a@b?c=d@e HTTP/1.1\r\nHost: 127.0.0.1:%u",
           (unsigned)st.port);
  assert_true(has(&st.r, line));
  raw_free(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  stage_end(&st);
}

/* The first is the example of RFC 7617 2, the second that of 2.1. */
static void test_basic(void **state) {
  (void)state;
  expect_header("Aladdin:open%20sesame@", NULL,
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  expect_header("test:123%C2%A3@", NULL, "Basic dGVzdDoxMjPCow==");
  expect_header("a@", NULL, "Basic YTo=");
  expect_header("a:@", NULL, "Basic YTo=");
  expect_header(":@", NULL, "Basic Og==");
  expect_header("a:b:c@", NULL, "Basic YTpiOmM=");
  expect_header("a:%3a%3A@", NULL, "Basic YTo6Og==");
  expect_header("@", NULL, "");
  expect_header("", NULL, "");
}

static void test_bearer(void **state) {
  (void)state;
  expect_header("", "mF_9.B5f-4.1JqM", "Bearer mF_9.B5f-4.1JqM");
  expect_header("", "a~+/==", "Bearer a~+/==");
  expect_header("@", "x", "Bearer x");
}

/* Further headers stay in front. */
static void test_with_headers(void **state) {
  nws_header headers[] = {{nws_str_of("Cookie"), nws_str_of("a=b")},
                          {nws_str_of("X-Y"), nws_str_of("z")}};
  nws_client_offer offer = {
      .size = sizeof(offer), .headers = headers, .header_count = 2};
  char url[64];
  stage st;
  (void)state;
  stage_init(&st);
  snprintf(url, sizeof(url), "ws://u:p@127.0.0.1:%u/", (unsigned)st.port);
  nws_client_options options = client_options(&st.fx, url);
  options.offer = &offer;
  client_start(&st.fx, &options);
  stage_accept(&st);
  assert_true(has(&st.r, "Cookie: a=b\r\nX-Y: z\r\n"
                         "Authorization: Basic dTpw\r\n"));
  raw_free(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  stage_end(&st);
}

static void test_options(void **state) {
  static const char *const tokens[] = {"",          "a b", "a=b",
                                       "a\r\nX: y", "=",   "\xc3\xa9"};
  static const char *const names[] = {"ws://a%3ab:c@h/", "ws://a:%0d%0ab@h/",
                                      "ws://a%00:b@h/",  "ws://a%7f@h/",
                                      "ws://a%2@h/",     "ws://a@b@h/"};
  nws_header header = {nws_str_of("authorization"), nws_str_of("x y")};
  nws_client_offer offer = {
      .size = sizeof(offer), .headers = &header, .header_count = 1};
  fixture fx;
  (void)state;
  fixture_init(&fx);
  nws_client_options options = client_options(&fx, "ws://h/");
  for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
    options.bearer = tokens[i];
    assert_int_equal(client_error(&fx, &options), NWS_ERROR_FIELD);
  }
  options.bearer = "x";
  options.offer = &offer;
  assert_int_equal(client_error(&fx, &options), NWS_ERROR_CONFIG);
  options.offer = NULL;
  options.url = "ws://u:p@h/";
  assert_int_equal(client_error(&fx, &options), NWS_ERROR_CONFIG);
  options.bearer = NULL;
  options.offer = &offer;
  assert_int_equal(client_error(&fx, &options), NWS_ERROR_CONFIG);
  options.offer = NULL;
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    options.url = names[i];
    assert_int_equal(client_error(&fx, &options), NWS_ERROR_URI_AUTHORITY);
  }
  /* To OpenSSL all names below h would do. */
  options.url = "wss://.h/";
  assert_int_equal(client_error(&fx, &options), NWS_ERROR_URI_AUTHORITY);
  offer.headers = NULL;
  options.url = "ws://h/";
  options.offer = &offer;
  assert_int_equal(client_error(&fx, &options), NWS_ERROR_ARGUMENT);
  fixture_end(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_basic),
      cmocka_unit_test(test_bearer),
      cmocka_unit_test(test_with_headers),
      cmocka_unit_test(test_options),
  };
  return run_without_leaks(tests);
}
