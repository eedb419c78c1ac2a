/* test_handshake_misuse.c - NULL where a pointer must be, in every call of the
 * opening handshake: an error or an absent answer, and nothing written. Also
 * the one deadline of a handshake.
 */
#include "handshake_asker.h"
#include "handshake_request.h"

/* A slice of that length with nothing at it. */
static nws_str hollow(size_t len) {
  return nws_str_make(NULL, len);
}

/* --- Client --- */

static void assert_refused(fixture *f) {
  nws_header list[16];
  size_t count = 4711;
  memset(list, UNTOUCHED, sizeof list);
  assert_int_equal(start(f), NWS_ERROR_ARGUMENT);
  assert_true(is_untouched(f->out, sizeof f->out));
  assert_int_equal(nws_client_handshake_start_headers(
                       &f->hs, &f->offer, &f->random, list, 16, &count),
                   NWS_ERROR_ARGUMENT);
  assert_true(is_untouched(list, sizeof list));
  assert_int_equal(f->draws, 0);
}

static void hollow_offers(void **state) {
  (void)state;
  const nws_str none = hollow(3);
  nws_header headers[] = {{hollow(3), nws_str_of("v")},
                          {nws_str_of("X-Mine"), hollow(3)}};
  for (int i = 0; i < 11; i++) {
    fixture f;
    ready(&f);
    if (i == 0)
      f.uri.host = hollow(3);
    else if (i == 1)
      f.uri.path = hollow(1);
    else if (i == 2)
      f.uri.query = hollow(3);
    else if (i == 3)
      f.offer.origin = hollow(3);
    else if (i == 4)
      f.offer.subprotocols = &none;
    else if (i == 6 || i == 7)
      f.offer.headers = &headers[i - 6];
    else if (i == 9)
      f.uri.path = hollow(0);
    else if (i == 10)
      f.uri.host = hollow(0);
    f.offer.subprotocol_count = i == 4 || i == 5;
    f.offer.header_count = i >= 6 && i <= 8;
    assert_refused(&f);
  }
}

static void client_without(void **state) {
  (void)state;
  fixture f;
  ready(&f);
  nws_client_handshake *hs = &f.hs;
  const nws_client_offer *offer = &f.offer;
  const nws_random none = {NULL, NULL}, *random = &f.random;
  nws_header list[16];
  size_t len = 4711;
  const int got[] = {
      nws_client_handshake_start(NULL, offer, random, f.out, ROOM, &len),
      nws_client_handshake_start(hs, NULL, random, f.out, ROOM, &len),
      nws_client_handshake_start(hs, offer, NULL, f.out, ROOM, &len),
      nws_client_handshake_start(hs, offer, &none, f.out, ROOM, &len),
      nws_client_handshake_start(hs, offer, random, NULL, ROOM, &len),
      nws_client_handshake_start(hs, offer, random, f.out, ROOM, NULL),
      nws_client_handshake_start_headers(NULL, offer, random, list, 16, &len),
      nws_client_handshake_start_headers(hs, NULL, random, list, 16, &len),
      nws_client_handshake_start_headers(hs, offer, NULL, list, 16, &len),
      nws_client_handshake_start_headers(hs, offer, random, NULL, 16, &len),
      nws_client_handshake_start_headers(hs, offer, random, list, 16, NULL),
      nws_client_handshake_read(NULL, "", 0),
      nws_client_handshake_read_headers(NULL, 101, list, 0),
  };
  for (size_t i = 0; i < COUNT_OF(got); i++)
    assert_int_equal(got[i], NWS_ERROR_ARGUMENT);
  assert_int_equal(len, 4711);
  assert_int_equal(start(&f), NWS_OK);
  assert_int_equal(nws_client_handshake_read(hs, NULL, 5), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_client_handshake_read_headers(hs, 101, NULL, 1),
                   NWS_ERROR_ARGUMENT);
}

/* --- Server --- */

static void server_without(void **state) {
  (void)state;
  const nws_str get = nws_str_of("GET"), slash = nws_str_of("/");
  nws_server_handshake hs;
  nws_header list[8];
  char out[ROOM];
  unsigned status;
  size_t len = 4711;
  memset(&hs, 0, sizeof hs);
  const int before[] = {
      nws_server_handshake_read(NULL, NULL, "", 0),
      nws_server_handshake_read(&hs, NULL, NULL, 5),
      nws_server_handshake_read_headers(NULL, NULL, get, slash, list, 0),
      nws_server_handshake_read_headers(&hs, NULL, get, slash, NULL, 1),
  };
  for (size_t i = 0; i < COUNT_OF(before); i++)
    assert_int_equal(before[i], NWS_ERROR_ARGUMENT);
  assert_int_equal(read_text(&hs, NULL, GOOD END), NWS_OK);
  const int after[] = {
      nws_server_handshake_accept(NULL, NULL, out, ROOM, &len),
      nws_server_handshake_accept(&hs, NULL, NULL, ROOM, &len),
      nws_server_handshake_accept(&hs, NULL, out, ROOM, NULL),
      nws_server_handshake_accept_headers(NULL, NULL, &status, list, 8, &len),
      nws_server_handshake_accept_headers(&hs, NULL, NULL, list, 8, &len),
      nws_server_handshake_accept_headers(&hs, NULL, &status, NULL, 8, &len),
      nws_server_handshake_accept_headers(&hs, NULL, &status, list, 8, NULL),
  };
  for (size_t i = 0; i < COUNT_OF(after); i++)
    assert_int_equal(after[i], NWS_ERROR_ARGUMENT);
  assert_int_equal(len, 4711);
  /* None of that has used the handshake up. */
  assert_int_equal(nws_server_handshake_accept(&hs, NULL, out, ROOM, &len),
                   NWS_OK);
}

static void hollow_acceptances(void **state) {
  (void)state;
  nws_header headers[] = {{hollow(3), nws_str_of("v")},
                          {nws_str_of("X-Mine"), hollow(3)},
                          {hollow(0), nws_str_of("v")}};
  const int want[] = {NWS_ERROR_ARGUMENT, NWS_ERROR_ARGUMENT, NWS_ERROR_FIELD};
  for (size_t i = 0; i < COUNT_OF(headers); i++) {
    nws_acceptance how = {.size = sizeof how, .headers = &headers[i]};
    nws_rejection why = {.size = sizeof why, .status = 400};
    nws_server_handshake hs;
    char out[ROOM];
    size_t len = 4711;
    how.header_count = why.header_count = 1;
    why.headers = &headers[i];
    memset(out, UNTOUCHED, sizeof out);
    assert_int_equal(read_text(&hs, NULL, GOOD END), NWS_OK);
    assert_int_equal(nws_server_handshake_accept(&hs, &how, out, ROOM, &len),
                     want[i]);
    assert_int_equal(nws_server_handshake_reject(&why, out, ROOM, &len),
                     want[i]);
    assert_true(is_untouched(out, sizeof out));
    assert_int_equal(len, 4711);
  }
}

static void hollow_rejections(void **state) {
  (void)state;
  char out[ROOM];
  size_t len = 4711;
  nws_rejection why = {.size = sizeof why, .status = 400};
  memset(out, UNTOUCHED, sizeof out);
  assert_int_equal(nws_server_handshake_reject(NULL, out, ROOM, &len),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_server_handshake_reject(&why, NULL, ROOM, &len),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_server_handshake_reject(&why, out, ROOM, NULL),
                   NWS_ERROR_ARGUMENT);
  why.header_count = 1;
  assert_int_equal(nws_server_handshake_reject(&why, out, ROOM, &len),
                   NWS_ERROR_ARGUMENT);
  why.header_count = 0;
  why.body = hollow(5);
  assert_int_equal(nws_server_handshake_reject(&why, out, ROOM, &len),
                   NWS_ERROR_ARGUMENT);
  why.error = NWS_ERROR_KEY; /* whose text would be the body */
  assert_int_equal(nws_server_handshake_reject(&why, out, ROOM, &len),
                   NWS_ERROR_ARGUMENT);
  assert_true(is_untouched(out, sizeof out));
  assert_int_equal(len, 4711);
  why.body = hollow(0);
  assert_int_equal(nws_server_handshake_reject(&why, NULL, 0, &len),
                   NWS_ERROR_BUFFER);
}

/* What is asked of nothing is absent. */
static void questions(void **state) {
  (void)state;
  const nws_str host = nws_str_of("Host");
  nws_server_handshake hs;
  nws_str name = nws_str_of("untouched");
  size_t cursor = 0;
  assert_str(nws_server_handshake_header(NULL, host), NULL);
  assert_str(nws_server_handshake_cookie(NULL, host), NULL);
  assert_int_equal(nws_server_handshake_offered(NULL, &cursor, &name), 0);
  assert_int_equal(
      read_text(&hs, NULL, GOOD "Sec-WebSocket-Protocol: a\r\n" END), NWS_OK);
  assert_int_equal(nws_server_handshake_offered(&hs, NULL, &name), 0);
  assert_int_equal(nws_server_handshake_offered(&hs, &cursor, NULL), 0);
  assert_int_equal(cursor, 0);
  assert_str(name, "untouched");
  memset(&hs, 0, sizeof hs);
  assert_str(nws_server_handshake_header(&hs, host), NULL);
  assert_str(nws_server_handshake_cookie(&hs, host), NULL);
  assert_int_equal(nws_server_handshake_offered(&hs, &cursor, &name), 0);
}

/* --- Time --- */

static void deadlines(void **state) {
  (void)state;
  static const uint64_t ms = 1000000, never = NWS_NEVER;
  static const struct {
    uint64_t started, now, next;
    uint32_t timeout_ms;
    int rc;
  } cases[] = {
      {1, 1, 1 + 10000 * ms, 0, NWS_OK},
      {1, 10000 * ms, 1 + 10000 * ms, 0, NWS_OK},
      {1, 1 + 10000 * ms, 1 + 10000 * ms, 0, NWS_ERROR_HANDSHAKE_TIMEOUT},
      {1, never, 1 + 10000 * ms, 0, NWS_ERROR_HANDSHAKE_TIMEOUT},
      {5 * ms, 5 * ms, 12 * ms, 7, NWS_OK},
      {5 * ms, 12 * ms - 1, 12 * ms, 7, NWS_OK},
      {5 * ms, 12 * ms, 12 * ms, 7, NWS_ERROR_HANDSHAKE_TIMEOUT},
      {5 * ms, 1 * ms, 12 * ms, 7, NWS_OK}, /* a clock that jumped back */
      {1, never, never, UINT32_MAX, NWS_OK},
      {1, 1, 1 + (UINT32_MAX - 1) * ms, UINT32_MAX - 1, NWS_OK},
      {never - 7 * ms - 1, never - 8 * ms, never - 1, 7, NWS_OK},
      {never - 7 * ms, never, never, 7, NWS_OK},
      {never, never, never, 7, NWS_OK},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    uint64_t next = 4711;
    assert_int_equal(nws_handshake_tick(cases[i].started, cases[i].now,
                                        cases[i].timeout_ms, &next),
                     cases[i].rc);
    assert_true(next == cases[i].next);
  }
  assert_int_equal(nws_handshake_tick(1, 1, 0, NULL), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_error_get(NWS_ERROR_HANDSHAKE_TIMEOUT)->http_status,
                   408);
}

static void hollow_slices(void **state) {
  static const char request[] =
      "GET / HTTP/1.1\r\nHost: a\r\n"
      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      "Sec-WebSocket-Version: 13\r\nCookie: a=b\r\n"
      "Sec-WebSocket-Protocol: abc\r\n\r\n";
  const nws_header headers[] = {{hollow(4), nws_str_of("v")},
                                {nws_str_of("Host"), hollow(3)}};
  const nws_str get = nws_str_of("GET"), path = nws_str_of("/");
  const nws_str none = hollow(3);
  nws_server_policy policy = {
      .size = sizeof policy, .subprotocols = &none, .subprotocol_count = 1};
  nws_server_handshake hs = {0};
  nws_extension_offer offer;
  nws_str rest = hollow(5), name, value;
  char accept[NWS_HANDSHAKE_ACCEPT_LEN], empty[NWS_HANDSHAKE_ACCEPT_LEN];
  (void)state;
  assert_int_equal(
      nws_server_handshake_read(&hs, &policy, request, sizeof request - 1),
      NWS_OK);
  assert_null(hs.subprotocol.ptr);
  assert_null(nws_server_handshake_header(&hs, hollow(4)).ptr);
  assert_null(nws_server_handshake_cookie(&hs, hollow(1)).ptr);
  for (size_t i = 0; i < COUNT_OF(headers); i++) {
    memset(&hs, 0, sizeof hs);
    assert_int_equal(
        nws_server_handshake_read_headers(&hs, NULL, get, path, &headers[i], 1),
        NWS_ERROR_ARGUMENT);
  }
  assert_int_equal(
      nws_server_handshake_read_headers(&hs, NULL, none, path, NULL, 0),
      NWS_ERROR_ARGUMENT);
  assert_int_equal(
      nws_server_handshake_read_headers(&hs, NULL, get, none, NULL, 0),
      NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_cookie_next(&rest, &name, &value), 0);
  assert_int_equal(nws_list_next(&rest, &name), 0);
  assert_int_equal(nws_extension_offer_next(&rest, &offer), 0);
  nws_handshake_accept_key(hollow(24), accept);
  nws_handshake_accept_key(hollow(0), empty);
  assert_memory_equal(accept, empty, sizeof accept);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hollow_offers),     cmocka_unit_test(client_without),
      cmocka_unit_test(server_without),    cmocka_unit_test(hollow_acceptances),
      cmocka_unit_test(hollow_rejections), cmocka_unit_test(questions),
      cmocka_unit_test(deadlines),         cmocka_unit_test(hollow_slices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
