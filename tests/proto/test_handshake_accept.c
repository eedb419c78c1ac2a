/* test_handshake_accept.c - a server's answer with 101, and what it agrees on.
 */
#include "handshake_request.h"

/* --- Accepting --- */

#define YES                                                                    \
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"                 \
  "Connection: Upgrade\r\nSec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n"

/* Accepts, at every size of buffer, and wants `text` in the end. */
static void assert_accept(nws_server_handshake *hs, const nws_acceptance *how,
                          const char *text, const int *alive) {
  size_t need = strlen(text);
  for (size_t cap = 0; cap <= need; cap++) {
    char *out = malloc(cap ? cap : 1);
    assert_non_null(out);
    memset(out, UNTOUCHED, cap);
    size_t len = 0;
    int rc = nws_server_handshake_accept(hs, how, out, cap, &len);
    assert_int_equal(len, need);
    if (cap < need) {
      assert_int_equal(rc, NWS_ERROR_BUFFER);
      assert_true(is_untouched(out, cap));
      assert_int_equal(hs->extension_count, 0);
      assert_true(alive == NULL || *alive == 0);
    } else {
      assert_int_equal(rc, NWS_OK);
      assert_memory_equal(out, text, need);
    }
    free(out);
  }
  char again[ROOM];
  size_t len = 4711;
  assert_int_equal(
      nws_server_handshake_accept(hs, how, again, sizeof again, &len),
      NWS_ERROR_STATE);
  assert_int_equal(len, 4711);
}

static void accepting(void **state) {
  (void)state;
  const nws_str spoken[] = {nws_str_of("chat"), nws_str_of("superchat")};
  const nws_header headers[] = {{nws_str_of("Set-Cookie"), nws_str_of("a=b")},
                                {nws_str_of("X"), nws_str_of("")}};
  static const char text[] =
      GOOD "Sec-WebSocket-Protocol: x, superchat, chat\r\n" END;
  nws_server_policy policy = {.size = sizeof policy};
  policy.subprotocols = spoken;
  policy.subprotocol_count = 2;
  nws_server_handshake hs;
  assert_int_equal(read_text(&hs, NULL, GOOD END), NWS_OK);
  assert_accept(&hs, NULL, YES END, NULL);
  assert_int_equal(read_text(&hs, &policy, text), NWS_OK);
  assert_accept(&hs, NULL, YES "Sec-WebSocket-Protocol: superchat\r\n" END,
                NULL);
  assert_str(hs.subprotocol, "superchat");
  nws_acceptance how = {.size = sizeof how};
  how.subprotocol = nws_str_of("x"); /* offered, not in the policy */
  how.headers = headers;
  how.header_count = 2;
  assert_int_equal(read_text(&hs, &policy, text), NWS_OK);
  assert_accept(
      &hs, &how,
      YES "Sec-WebSocket-Protocol: x\r\nSet-Cookie: a=b\r\nX: \r\n" END, NULL);
  assert_str(hs.subprotocol, "x");
  how.subprotocol = nws_str_of("");
  how.header_count = 0;
  assert_int_equal(read_text(&hs, &policy, text), NWS_OK);
  assert_accept(&hs, &how, YES END, NULL);
  assert_str(hs.subprotocol, NULL);
}

/* Accepting fails with `error` and leaves no trace; a good call then works. */
static void assert_no_accept(nws_server_handshake *hs,
                             const nws_acceptance *how, int error) {
  char out[ROOM];
  memset(out, UNTOUCHED, sizeof out);
  size_t len = 4711;
  nws_str before = hs->subprotocol;
  assert_int_equal(nws_server_handshake_accept(hs, how, out, sizeof out, &len),
                   error);
  assert_int_equal(len, 4711);
  assert_true(is_untouched(out, sizeof out));
  assert_int_equal(hs->extension_count, 0);
  assert_ptr_equal(hs->subprotocol.ptr, before.ptr);
}

static void refused_acceptances(void **state) {
  (void)state;
  static const char *const reserved[] = {
      "Host",           "upgrade",
      "Connection",     "Origin",
      "content-length", "Transfer-Encoding",
      "Sec-WebSocket-", "sec-websocket-accept"};
  nws_server_handshake hs;
  char out[8];
  size_t len;
  assert_int_equal(
      read_text(&hs, NULL, GOOD "Sec-WebSocket-Protocol: chat\r\n" END),
      NWS_OK);
  nws_acceptance how = {.size = sizeof how};
  static const char *const names[] = {"Chat", "cha", "chatt", "chat, x",
                                      "chat\r\nX: y"};
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    how.subprotocol = nws_str_of(names[i]);
    assert_no_accept(&hs, &how, NWS_ERROR_NOT_OFFERED);
  }
  how.subprotocol = nws_str_make(NULL, 0);
  nws_header header = {nws_str_of("X"), nws_str_of("y")};
  how.headers = &header;
  how.header_count = 1;
  for (size_t i = 0; i < COUNT_OF(reserved); i++) {
    header.name = nws_str_of(reserved[i]);
    assert_no_accept(&hs, &how, NWS_ERROR_HEADER_RESERVED);
  }
  how.headers = NULL;
  assert_no_accept(&hs, &how, NWS_ERROR_ARGUMENT);
  how.header_count = 0;
  how.size--;
  assert_no_accept(&hs, &how, NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_server_handshake_accept(NULL, NULL, out, 8, &len),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_server_handshake_accept(&hs, NULL, NULL, 8, &len),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_server_handshake_accept(&hs, NULL, out, 8, NULL),
                   NWS_ERROR_ARGUMENT);
  assert_accept(&hs, NULL, YES END, NULL);
  memset(&hs, 0, sizeof hs);
  assert_no_accept(&hs, NULL, NWS_ERROR_STATE);
}

/* Accepts into text and into a list, which must both be refused with the same
 * error, or be one head of `count` headers that are the same in both; the last
 * of them is `last`. Each way has a handshake of its own. */
static void assert_both_ways(nws_server_handshake *text_hs,
                             nws_server_handshake *list_hs,
                             const nws_acceptance *how, int rc, size_t count,
                             nws_header last) {
  char out[ROOM];
  nws_header list[8], parsed[8];
  size_t len = 0, list_count = 0;
  unsigned status = 0;
  memset(list, UNTOUCHED, sizeof list);
  assert_int_equal(nws_server_handshake_accept_headers(list_hs, how, &status,
                                                       list, 8, &list_count),
                   rc);
  if (rc != NWS_OK) {
    assert_no_accept(text_hs, how, rc);
    assert_int_equal(list_hs->error_at, text_hs->error_at);
    assert_true(is_untouched(list, sizeof list));
    return;
  }
  assert_int_equal(
      nws_server_handshake_accept(text_hs, how, out, sizeof out, &len), NWS_OK);
  nws_http_head head;
  memset(&head, 0, sizeof head);
  head.headers = parsed;
  head.max_headers = 8;
  assert_int_equal(nws_http_parse_response(&head, out, len), NWS_OK);
  assert_int_equal(head.len, len);
  assert_int_equal(head.count, count);
  assert_int_equal(list_count, count);
  for (size_t i = 0; i < count; i++) {
    assert_true(nws_str_equal(parsed[i].name, list[i].name));
    assert_true(nws_str_equal(parsed[i].value, list[i].value));
  }
  assert_true(nws_str_equal(parsed[count - 1].name, last.name));
  assert_true(nws_str_equal(parsed[count - 1].value, last.value));
}

/* Every byte value in the name and value of a header: what is written is one
 * head with that header in it, or nothing. */
static void all_bytes_in_acceptance(void **state) {
  (void)state;
  for (int byte = 0; byte < 256; byte++) {
    for (int place = 0; place < 4; place++) {
      char text[3] = {'a', 'a', 'a'};
      text[place % 3] = (char)byte;
      nws_str mine = nws_str_make(text, 3);
      nws_header header = {nws_str_of("X-Mine"), mine};
      nws_acceptance how = {.size = sizeof how};
      how.headers = &header;
      how.header_count = 1;
      int good = byte >= 0x80 || is_in(VCHARS, byte) ||
                 (place == 1 && is_in(" \t", byte));
      if (place == 3) {
        header.name = nws_str_make(text, 1);
        good = is_in(TCHARS, byte);
      }
      nws_server_handshake hs, other;
      assert_int_equal(read_text(&hs, NULL, GOOD END), NWS_OK);
      assert_int_equal(read_text(&other, NULL, GOOD END), NWS_OK);
      assert_both_ways(&hs, &other, &how, good ? NWS_OK : NWS_ERROR_FIELD, 4,
                       header);
      if (!good)
        assert_int_equal(hs.error_at, place % 3);
    }
  }
}

/* Reads a request, given as a list, that offers a subprotocol. */
static int read_offer(nws_server_handshake *hs, const nws_server_policy *policy,
                      nws_str offered, nws_header list[6]) {
  static const char *const lines[][2] = {
      {"Host", "h"},
      {"Upgrade", "websocket"},
      {"Connection", "Upgrade"},
      {"Sec-WebSocket-Key", SAMPLE_KEY},
      {"Sec-WebSocket-Version", "13"},
      {"Sec-WebSocket-Protocol", ""},
  };
  for (size_t i = 0; i < 6; i++) {
    list[i].name = nws_str_of(lines[i][0]);
    list[i].value = nws_str_of(lines[i][1]);
  }
  list[5].value = offered;
  memset(hs, 0, sizeof *hs);
  return nws_server_handshake_read_headers(hs, policy, nws_str_of("GET"),
                                           nws_str_of("/"), list, 6);
}

/* A name that is a token is agreed on where both sides say it; any other is
 * not, whoever says it. */
static void check_subprotocol(nws_str name, int good) {
  const nws_str offers[] = {nws_str_of("aaa"), name};
  const nws_header last = {nws_str_of("Sec-WebSocket-Protocol"), name};
  const nws_header none = {nws_str_of("Sec-WebSocket-Accept"),
                           nws_str_of(SAMPLE_ACCEPT)};
  nws_server_policy policy = {.size = sizeof policy};
  policy.subprotocols = &name;
  policy.subprotocol_count = 1;
  nws_acceptance chosen = {.size = sizeof chosen, .subprotocol = name};
  for (size_t i = 0; i < 2; i++) {
    nws_server_handshake hs, other;
    const int agreed = good && nws_str_equal(name, offers[i]);
    nws_header list[6];
    const int rc = read_offer(&hs, &policy, offers[i], list);
    assert_int_equal(read_offer(&other, &policy, offers[i], list), rc);
    if (rc != NWS_OK) {
      assert_true(i == 1 && !good);
      assert_int_equal(rc, NWS_ERROR_SUBPROTOCOL);
      continue;
    }
    if (agreed)
      assert_true(nws_str_equal(hs.subprotocol, name));
    else
      assert_null(hs.subprotocol.ptr);
    if (!agreed)
      assert_both_ways(&hs, &other, &chosen, NWS_ERROR_NOT_OFFERED, 0, none);
    assert_both_ways(&hs, &other, agreed ? &chosen : NULL, NWS_OK,
                     agreed ? 4 : 3, agreed ? last : none);
  }
}

static void all_bytes_in_subprotocol(void **state) {
  (void)state;
  for (int byte = 0; byte < 256; byte++) {
    for (int place = 0; place < 3; place++) {
      char text[3] = {'a', 'a', 'a'};
      text[place] = (char)byte;
      check_subprotocol(nws_str_make(text, 3), is_in(TCHARS, byte));
    }
  }
}

/* --- Extensions --- */

static void agreeing_on_extensions(void **state) {
  (void)state;
  static const struct {
    const char *offers, *answer;
    size_t count;
  } cases[] = {
      {"x-one", "Sec-WebSocket-Extensions: x-one; a=1\r\n", 1},
      {"X-ONE;q=\"v\", x-one", "Sec-WebSocket-Extensions: x-one; a=1\r\n", 1},
      {"x-two, x-one", "Sec-WebSocket-Extensions: x-two, x-one; a=1\r\n", 2},
      {"x-unknown", "", 0},
      {"x-unknown, x-two", "Sec-WebSocket-Extensions: x-two\r\n", 1},
      /* x-same wants the bit that x-one has, and the other way round */
      {"x-one, x-same", "Sec-WebSocket-Extensions: x-one; a=1\r\n", 1},
      {"x-same, x-one", "Sec-WebSocket-Extensions: x-same\r\n", 1},
      {"x-two\r\nsec-websocket-extensions: x-one",
       "Sec-WebSocket-Extensions: x-two, x-one; a=1\r\n", 2},
      /* 16 parameters are fine, 17 are declined */
      {"x-one;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16",
       "Sec-WebSocket-Extensions: x-one; a=1\r\n", 1},
      {"x-one;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17", "", 0},
      {"x-declines, x-two", "Sec-WebSocket-Extensions: x-two\r\n", 1},
  };
  int alive = 0;
  fake one = make_fake("x-one", "x-one; a=1", NWS_RSV1, &alive);
  fake same = make_fake("x-same", "x-same", NWS_RSV1, &alive);
  fake two = make_fake("x-two", "x-two", NWS_RSV2, &alive);
  fake declines = make_fake("x-declines", "x-declines", 0, &alive);
  declines.rc = NWS_EXTENSION_DECLINED;
  const nws_extension *known[] = {&declines.ext, &same.ext, &one.ext, &two.ext};
  nws_server_policy policy = {.size = sizeof policy};
  policy.extensions = known;
  policy.extension_count = 4;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char text[ROOM] = GOOD "Sec-WebSocket-Extensions: ", want[ROOM] = YES;
    strcat(strcat(text, cases[i].offers), "\r\n" END);
    strcat(strcat(want, cases[i].answer), END);
    nws_server_handshake hs;
    assert_int_equal(read_text(&hs, &policy, text), NWS_OK);
    assert_accept(&hs, NULL, want, &alive);
    assert_int_equal(hs.extension_count, cases[i].count);
    assert_int_equal(alive, cases[i].count);
    nws_extension_release(hs.extensions, hs.extension_count);
    assert_int_equal(alive, 0);
    nws_acceptance how = {.size = sizeof how};
    how.no_extensions = 1;
    assert_int_equal(read_text(&hs, &policy, text), NWS_OK);
    assert_accept(&hs, &how, YES END, &alive);
    assert_int_equal(hs.extension_count, 0);
  }
}

/* Extensions that fail or write what they must not: the ones before are
 * released, and nothing is sent. */
static void failing_extensions(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int rc, error;
  } cases[] = {
      {"x-two", NWS_ERROR_MEMORY, NWS_ERROR_MEMORY},
      {"x-two", NWS_ERROR_BUFFER, NWS_ERROR_LENGTH},
      {"", 0, NWS_ERROR_FIELD},
      {"x-other", 0, NWS_ERROR_FIELD},
      {"x-two, x-two", 0, NWS_ERROR_FIELD},
      {"x-two;", 0, NWS_ERROR_FIELD},
      {"x-two\r\nX: y", 0, NWS_ERROR_FIELD},
      {"x-two; a=\"b c\"", 0, NWS_ERROR_FIELD},
  };
  int alive = 0;
  fake one = make_fake("x-one", "x-one", 0, &alive);
  fake two = make_fake("x-two", "x-two", 0, &alive);
  const nws_extension *known[] = {&one.ext, &two.ext};
  nws_server_policy policy = {.size = sizeof policy};
  policy.extensions = known;
  policy.extension_count = 2;
  nws_server_handshake hs;
  assert_int_equal(read_text(&hs, &policy,
                             GOOD
                             "Sec-WebSocket-Extensions: x-one, x-two\r\n" END),
                   NWS_OK);
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    two.text = cases[i].text;
    two.text_len = strlen(two.text);
    two.rc = cases[i].rc;
    assert_no_accept(&hs, NULL, cases[i].error);
    assert_int_equal(alive, 0);
  }
  two.ext.accept = lying_accept;
  assert_no_accept(&hs, NULL, NWS_ERROR_LENGTH);
  assert_int_equal(alive, 0);
  two.ext.accept = fake_accept;
  /* The composed list has a limit: "x-one, " and this is all of it. */
  char name[NWS_HANDSHAKE_TEXT_MAX];
  memset(name, 'x', sizeof name);
  memcpy(name, "x-two; ", 7);
  two.rc = 0;
  two.text = name;
  two.text_len = NWS_HANDSHAKE_TEXT_MAX - 6;
  assert_no_accept(&hs, NULL, NWS_ERROR_LENGTH);
  one.text = name;
  one.text_len = NWS_HANDSHAKE_TEXT_MAX;
  memcpy(name, "x-one; ", 7);
  assert_no_accept(&hs, NULL, NWS_ERROR_LENGTH); /* no room for the comma */
  memcpy(name, "x-two; ", 7);
  one.text = "x-one";
  one.text_len = 5;
  two.text_len--;
  char out[ROOM];
  size_t len;
  assert_int_equal(
      nws_server_handshake_accept(&hs, NULL, out, sizeof out, &len), NWS_OK);
  assert_int_equal(alive, 2);
}

/* Every byte value in an extension's answer: one head, or nothing. */
static void all_bytes_in_extension(void **state) {
  (void)state;
  int alive = 0;
  char answer[] = "x; a?b";
  fake x = make_fake("x", answer, 0, &alive);
  const nws_extension *known = &x.ext;
  nws_server_policy policy = {.size = sizeof policy};
  policy.extensions = &known;
  policy.extension_count = 1;
  for (int byte = 0; byte < 256; byte++) {
    nws_server_handshake hs;
    answer[4] = (char)byte;
    assert_int_equal(
        read_text(&hs, &policy, GOOD "Sec-WebSocket-Extensions: x\r\n" END),
        NWS_OK);
    if (!is_in(TCHARS "=;", byte)) {
      assert_no_accept(&hs, NULL, NWS_ERROR_FIELD);
      assert_int_equal(alive, 0);
      continue;
    }
    char out[ROOM];
    size_t len;
    assert_int_equal(
        nws_server_handshake_accept(&hs, NULL, out, sizeof out, &len), NWS_OK);
    assert_int_equal(len, strlen(YES END) + 34);
    nws_extension_release(hs.extensions, hs.extension_count);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accepting),
      cmocka_unit_test(refused_acceptances),
      cmocka_unit_test(all_bytes_in_acceptance),
      cmocka_unit_test(all_bytes_in_subprotocol),
      cmocka_unit_test(agreeing_on_extensions),
      cmocka_unit_test(failing_extensions),
      cmocka_unit_test(all_bytes_in_extension),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
