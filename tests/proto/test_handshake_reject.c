/* test_handshake_reject.c - a server's answers other than 101.
 */
#include "handshake_fixture.h"
#include <stdio.h>

/* --- Rejecting --- */

static void assert_reject(const nws_rejection *why, const char *text) {
  size_t need = strlen(text);
  for (size_t cap = 0; cap <= need; cap++) {
    char *out = malloc(cap ? cap : 1);
    assert_non_null(out);
    memset(out, UNTOUCHED, cap);
    size_t len = 0;
    int rc = nws_server_handshake_reject(why, out, cap, &len);
    assert_int_equal(rc, cap < need ? NWS_ERROR_BUFFER : NWS_OK);
    assert_int_equal(len, need);
    if (cap < need)
      assert_true(is_untouched(out, cap));
    else
      assert_memory_equal(out, text, need);
    free(out);
  }
}

static void rejecting(void **state) {
  (void)state;
  nws_rejection why = {.size = sizeof why};
  why.status = 403;
  assert_reject(&why, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n"
                      "Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n");
  why.status = 599;
  why.body = nws_str_of("no");
  assert_reject(&why, "HTTP/1.1 599 \r\nConnection: close\r\n"
                      "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n"
                      "no");
  why.head = 1;
  assert_reject(&why, "HTTP/1.1 599 \r\nConnection: close\r\n"
                      "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n");
  why.head = 0;
  const nws_header headers[] = {
      {nws_str_of("content-type"), nws_str_of("text/html")},
      {nws_str_of("Location"), nws_str_of("/x")},
      {nws_str_of("allow"), nws_str_of("GET, HEAD")}};
  why.status = 405;
  why.reason = nws_str_of("My \xc3\xa9\tway");
  why.headers = headers;
  why.header_count = 3;
  why.body = nws_str_make("\0\r\n\xff", 4);
  char out[ROOM];
  size_t len;
  static const char want[] =
      "HTTP/1.1 405 My \xc3\xa9\tway\r\nConnection: close\r\n"
      "Content-Length: 4\r\ncontent-type: text/html\r\nLocation: /x\r\n"
      "allow: GET, HEAD\r\n\r\n\0\r\n\xff";
  assert_int_equal(nws_server_handshake_reject(&why, out, sizeof out, &len),
                   NWS_OK);
  assert_int_equal(len, sizeof want - 1);
  assert_memory_equal(out, want, len);
}

static void rejecting_errors(void **state) {
  (void)state;
  nws_rejection why = {.size = sizeof why};
  char want[ROOM];
  why.error = NWS_ERROR_VERSION;
  snprintf(want, sizeof want,
           "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"
           "Connection: close, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
           strlen(nws_error_text(why.error)), nws_error_text(why.error));
  assert_reject(&why, want);
  why.error = NWS_ERROR_METHOD;
  snprintf(want, sizeof want,
           "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n"
           "Allow: GET\r\n"
           "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
           strlen(nws_error_text(why.error)), nws_error_text(why.error));
  assert_reject(&why, want);
  /* A body of one's own, be it empty, takes the place of the text. */
  why.body = nws_str_of("");
  why.status = 404;
  assert_reject(&why, "HTTP/1.1 404 Not Found\r\nConnection: close\r\n"
                      "Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n");
  /* Every error gives a response that parses, with the table's status. */
  for (size_t i = 0; nws_error_at(i) != NULL; i++) {
    const nws_error_info *info = nws_error_at(i);
    if (info->error >= 0)
      continue;
    nws_rejection each = {.size = sizeof each, .error = info->error};
    char out[ROOM];
    size_t len;
    nws_header headers[8];
    nws_http_head head;
    memset(&head, 0, sizeof head);
    head.headers = headers;
    head.max_headers = 8;
    assert_int_equal(nws_server_handshake_reject(&each, out, sizeof out, &len),
                     NWS_OK);
    assert_int_equal(nws_http_parse_response(&head, out, len), NWS_OK);
    assert_int_equal(head.status, info->http_status ? info->http_status : 500);
    assert_true(head.reason.len > 0);
    assert_int_equal(len - head.len, strlen(info->text));
  }
}

/* RFC 9110: 204 and 304 tell no length, none of these three has a body. */
static void rejecting_without_body(void **state) {
  (void)state;
  nws_rejection why = {.size = sizeof why, .error = NWS_ERROR_ORIGIN};
  size_t len;
  char out[ROOM];
  why.status = 204;
  assert_reject(&why, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
  why.status = 304;
  assert_reject(&why, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
  why.status = 205;
  assert_reject(&why, "HTTP/1.1 205 \r\nConnection: close\r\n"
                      "Content-Length: 0\r\n\r\n");
  why.body = nws_str_of("x");
  for (why.status = 204; why.status <= 205; why.status++)
    assert_int_equal(nws_server_handshake_reject(&why, out, sizeof out, &len),
                     NWS_ERROR_ARGUMENT);
}

static void assert_no_reject(const nws_rejection *why, int error) {
  char out[ROOM];
  size_t len = 4711;
  memset(out, UNTOUCHED, sizeof out);
  assert_int_equal(nws_server_handshake_reject(why, out, sizeof out, &len),
                   error);
  assert_int_equal(len, 4711);
  assert_true(is_untouched(out, sizeof out));
}

static void refused_rejections(void **state) {
  (void)state;
  nws_rejection why = {.size = sizeof why};
  assert_no_reject(NULL, NWS_ERROR_ARGUMENT);
  why.status = 400;
  size_t need;
  assert_int_equal(nws_server_handshake_reject(&why, NULL, 1, &need),
                   NWS_ERROR_ARGUMENT);
  for (why.status = 0; why.status < 1000; why.status++) {
    if (why.status < 200 || why.status > 599) {
      assert_no_reject(&why, NWS_ERROR_ARGUMENT);
      continue;
    }
    char out[ROOM];
    size_t len;
    assert_int_equal(nws_server_handshake_reject(&why, out, sizeof out, &len),
                     NWS_OK);
  }
  why.status = 400;
  why.size++;
  assert_no_reject(&why, NWS_ERROR_ARGUMENT);
  why.size--;
  static const char *const reserved[] = {"Connection", "content-LENGTH",
                                         "Upgrade", "Transfer-Encoding",
                                         "Sec-WebSocket-Version"};
  nws_header header = {nws_str_of("X"), nws_str_of("y")};
  why.headers = &header;
  why.header_count = 1;
  for (size_t i = 0; i < COUNT_OF(reserved); i++) {
    header.name = nws_str_of(reserved[i]);
    assert_no_reject(&why, NWS_ERROR_HEADER_RESERVED);
  }
  why.headers = NULL;
  assert_no_reject(&why, NWS_ERROR_ARGUMENT);
}

static void all_bytes_in_rejection(void **state) {
  (void)state;
  for (int byte = 0; byte < 256; byte++) {
    for (int i = 0; i < 12; i++) {
      const int where = i / 3, place = i % 3;
      char text[3] = {'a', 'b', 'c'};
      text[place] = (char)byte;
      nws_str mine = nws_str_make(text, 3);
      nws_header header = {nws_str_of("X-Mine"), nws_str_of("y")};
      nws_rejection why = {.size = sizeof why, .status = 400};
      why.headers = &header;
      why.header_count = 1;
      int good = byte >= 0x80 || is_in(VCHARS " \t", byte);
      if (where == 1 && place != 1)
        good = byte >= 0x80 || is_in(VCHARS, byte);
      if (where == 0)
        why.reason = mine;
      else if (where == 1)
        header.value = mine;
      else if (where == 2)
        header.name = mine;
      else
        why.body = mine;
      if (where == 2)
        good = is_in(TCHARS, byte);
      if (!good && where < 3) {
        assert_no_reject(&why, NWS_ERROR_FIELD);
        continue;
      }
      char out[ROOM];
      size_t len;
      nws_header headers[8];
      nws_http_head head;
      memset(&head, 0, sizeof head);
      head.headers = headers;
      head.max_headers = 8;
      assert_int_equal(nws_server_handshake_reject(&why, out, sizeof out, &len),
                       NWS_OK);
      assert_int_equal(nws_http_parse_response(&head, out, len), NWS_OK);
      assert_int_equal(head.count, 4);
      assert_int_equal(head.len + (where == 3 ? 3 : 0), len);
      if (where == 3)
        assert_memory_equal(out + head.len, text, 3);
      if (where == 0)
        assert_true(nws_str_equal(head.reason, mine));
      else if (where == 1)
        assert_true(nws_str_equal(headers[3].value, mine));
      else if (where == 2)
        assert_true(nws_str_equal(headers[3].name, mine));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rejecting),
      cmocka_unit_test(rejecting_errors),
      cmocka_unit_test(rejecting_without_body),
      cmocka_unit_test(refused_rejections),
      cmocka_unit_test(all_bytes_in_rejection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
