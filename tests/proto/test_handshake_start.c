/* test_handshake_start.c - the request of a client: what it writes, and what it
 * refuses to write.
 */
#include "handshake_asker.h"

/* Starting fails, and has left no trace. */
static void assert_no_start(fixture *f, int error) {
  assert_int_equal(start(f), error);
  assert_int_equal(f->len, 98765);
  assert_int_equal(f->draws, 0);
  assert_true(is_untouched(f->out, sizeof f->out));
  assert_int_equal(nws_client_handshake_read(&f->hs, "", 0), NWS_ERROR_STATE);
}

static void assert_request(fixture *f, const char *want) {
  assert_int_equal(start(f), NWS_OK);
  assert_int_equal(f->len, strlen(want));
  assert_memory_equal(f->out, want, f->len);
  assert_true(is_untouched(f->out + f->len, sizeof f->out - f->len));
  assert_int_equal(f->draws, 1);
}

#define CORE                                                                   \
  "Upgrade: websocket\r\nConnection: Upgrade\r\n"                              \
  "Sec-WebSocket-Key: " SAMPLE_KEY "\r\nSec-WebSocket-Version: 13\r\n"

static void smallest_request(void **state) {
  (void)state;
  fixture f;
  ready(&f);
  assert_request(&f, "GET / HTTP/1.1\r\nHost: h\r\n" CORE "\r\n");
  assert_memory_equal(f.hs.key, SAMPLE_KEY, NWS_HANDSHAKE_KEY_LEN);
}

static void largest_request(void **state) {
  (void)state;
  int alive = 0;
  fixture f;
  ready(&f);
  fake deflate =
      make_fake("x-deflate", "x-deflate; bits=15, x-deflate", NWS_RSV1, &alive);
  fake quiet = make_fake("x-quiet", "", 0, &alive);
  fake mux = make_fake("x-mux", "x-mux; q=\"a\\b\"", NWS_RSV2, &alive);
  const nws_extension *extensions[] = {&deflate.ext, &quiet.ext, &mux.ext};
  const nws_str protocols[] = {nws_str_of("chat"), nws_str_of("superchat")};
  const nws_header headers[] = {
      {nws_str_of("Cookie"), nws_str_of("a=b; c=\"d\"")},
      {nws_str_of("X-Empty"), nws_str_of("")},
  };
  set_uri(&f, "wss://u:p@example.com:8443/a%20b/?c=d?e");
  f.offer.origin = nws_str_of("https://example.org");
  f.offer.extensions = extensions;
  f.offer.extension_count = 3;
  f.offer.subprotocols = protocols;
  f.offer.subprotocol_count = 2;
  f.offer.headers = headers;
  f.offer.header_count = 2;
  assert_request(&f,
                 "GET /a%20b/?c=d?e HTTP/1.1\r\nHost: example.com:8443\r\n" CORE
                 "Origin: https://example.org\r\n"
                 "Sec-WebSocket-Protocol: chat, superchat\r\n"
                 "Sec-WebSocket-Extensions: x-deflate; bits=15, x-deflate, "
                 "x-mux; q=\"a\\b\"\r\n"
                 "Cookie: a=b; c=\"d\"\r\nX-Empty: \r\n\r\n");
}

static void hosts_and_targets(void **state) {
  (void)state;
  static const struct {
    const char *uri, *host, *target;
  } cases[] = {
      {"ws://h:80", "h", "/"},
      {"ws://h:443", "h:443", "/"},
      {"wss://h:443/", "h", "/"},
      {"wss://h:80/", "h:80", "/"},
      {"ws://h:65535/", "h:65535", "/"},
      {"ws://[::1]/", "[::1]", "/"},
      {"ws://[1:2::3.4.5.6]:1/", "[1:2::3.4.5.6]:1", "/"},
      {"ws://127.0.0.1/", "127.0.0.1", "/"},
      {"ws://h%41!/", "h%41!", "/"},
      {"ws://h?", "h", "/?"},
      {"ws://h?q", "h", "/?q"},
      {"ws://h//x?", "h", "//x?"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char want[512] = "GET ";
    strcat(strcat(want, cases[i].target), " HTTP/1.1\r\nHost: ");
    strcat(strcat(want, cases[i].host), "\r\n" CORE "\r\n");
    fixture f;
    ready(&f);
    set_uri(&f, cases[i].uri);
    assert_request(&f, want);
  }
}

/* --- All bytes in all fields --- */

typedef enum field {
  PATH,
  QUERY,
  HOST,
  HOST_IPV6,
  ORIGIN,
  SUBPROTOCOL,
  HEADER_NAME,
  HEADER_VALUE,
  EXTENSION,
  FIELDS
} field;

#define UNRESERVED                                                             \
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
#define SUB_DELIMS "!$&'()*+,;="

/* For each field a text, with ^ where each byte value is put in turn, and the
 * bytes that are good there. */
static const struct {
  field where;
  const char *pattern;
  const char *good;
  int high; /* 1: bytes of 0x80 and above are good too */
} BYTE_CASES[] = {
    {PATH, "^a", "/", 0},
    {PATH, "/^a", UNRESERVED SUB_DELIMS ":@/", 0},
    {PATH, "/a^", UNRESERVED SUB_DELIMS ":@/", 0},
    {PATH, "/%^A", "0123456789abcdefABCDEF", 0},
    {QUERY, "^", UNRESERVED SUB_DELIMS ":@/?", 0},
    {QUERY, "a^b", UNRESERVED SUB_DELIMS ":@/?", 0},
    {HOST, "^", UNRESERVED SUB_DELIMS, 0},
    {HOST, "a^b", UNRESERVED SUB_DELIMS, 0},
    {HOST, "a^", UNRESERVED SUB_DELIMS, 0},
    {HOST_IPV6, "1:^::2", "0123456789abcdefABCDEF", 0},
    {HOST_IPV6, "::^", "0123456789abcdefABCDEF", 0},
    {ORIGIN, "^", VCHARS, 0},
    {ORIGIN, "http://a^", VCHARS, 0},
    {SUBPROTOCOL, "^", TCHARS, 0},
    {SUBPROTOCOL, "a^b", TCHARS, 0},
    {HEADER_NAME, "^", TCHARS, 0},
    {HEADER_NAME, "X-a^", TCHARS, 0},
    {HEADER_VALUE, "^", VCHARS, 1},
    {HEADER_VALUE, "a^b", VCHARS " \t", 1},
    {HEADER_VALUE, "ab^", VCHARS, 1},
    {EXTENSION, "x^", "x, \t", 0},
    {EXTENSION, "x; a^b", TCHARS "=;", 0},
    {EXTENSION, "x; a=b^", TCHARS ", \t", 0},
    {EXTENSION, "x; a=\"b^c\"", TCHARS "\\", 0},
    {EXTENSION, "x; a=\"\\^\"", TCHARS, 0},
};

static void set_field(fixture *f, field where, nws_str text, nws_header *header,
                      nws_str *subprotocol, fake *extension) {
  header->name = nws_str_of("X-Mine");
  header->value = nws_str_of("value");
  *subprotocol = text;
  f->offer.headers = header;
  f->offer.header_count = 1;
  if (where == PATH)
    f->uri.path = text;
  else if (where == QUERY)
    f->uri.query = text;
  else if (where == HOST || where == HOST_IPV6)
    f->uri.host = text;
  else if (where == ORIGIN)
    f->offer.origin = text;
  else if (where == HEADER_NAME)
    header->name = text;
  else if (where == HEADER_VALUE)
    header->value = text;
  f->uri.ipv6 = where == HOST_IPV6;
  f->offer.subprotocols = subprotocol;
  f->offer.subprotocol_count = where == SUBPROTOCOL;
  extension->text = text.ptr;
  extension->text_len = text.len;
}

/* What was written is one head, with the field in it as it was given. */
static void assert_safe(const fixture *f, field where, nws_str text) {
  static const char *const names[FIELDS] = {
      [HOST] = "Host",
      [ORIGIN] = "Origin",
      [SUBPROTOCOL] = "Sec-WebSocket-Protocol",
      [HEADER_VALUE] = "X-Mine",
      [EXTENSION] = "Sec-WebSocket-Extensions",
  };
  nws_header headers[16];
  nws_http_head head;
  memset(&head, 0, sizeof head);
  head.headers = headers;
  head.max_headers = COUNT_OF(headers);
  assert_int_equal(nws_http_parse_request(&head, f->out, f->len), NWS_OK);
  assert_int_equal(head.len, f->len);
  int more = where == ORIGIN || where == SUBPROTOCOL || where == EXTENSION;
  assert_int_equal(head.count, 6 + more);
  if (where == HEADER_NAME)
    assert_true(nws_str_equal(headers[5].name, text));
  if (names[where] == NULL)
    return;
  size_t index =
      nws_header_find(headers, head.count, nws_str_of(names[where]), 0);
  assert_true(index < head.count);
  /* White space may stand at the end of a list, and is not part of a value. */
  while (where == EXTENSION && text.len > 0 &&
         (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
    text.len--;
  assert_true(nws_str_equal(headers[index].value, text));
}

/* Starting into a list gives what starting into text gives: the same headers,
 * or the same refusal of the same byte. */
static void assert_same_in_list(fixture *f) {
  nws_client_handshake list;
  nws_header got[16], want[16];
  nws_http_head head;
  size_t count = 0;
  const int rc = start(f);
  memset(&list, UNTOUCHED, sizeof list);
  memset(got, UNTOUCHED, sizeof got);
  assert_int_equal(nws_client_handshake_start_headers(&list, &f->offer,
                                                      &f->random, got,
                                                      COUNT_OF(got), &count),
                   rc);
  assert_int_equal(list.error_at, f->hs.error_at);
  if (rc != NWS_OK) {
    assert_true(is_untouched(got, sizeof got));
    return;
  }
  memset(&head, 0, sizeof head);
  head.headers = want;
  head.max_headers = COUNT_OF(want);
  assert_int_equal(nws_http_parse_request(&head, f->out, f->len), NWS_OK);
  assert_int_equal(count, head.count);
  for (size_t i = 0; i < count; i++) {
    nws_str value = got[i].value;
    while (value.len > 0 && is_in(" \t", value.ptr[value.len - 1]))
      value.len--; /* of an extension's list, as in assert_safe() */
    assert_true(nws_str_equal(got[i].name, want[i].name));
    assert_true(nws_str_equal(value, want[i].value));
  }
}

static void check_byte(size_t index, int byte) {
  int alive = 0;
  size_t at;
  char text[64];
  nws_header header;
  nws_str subprotocol;
  fake extension = make_fake("x", "", 0, &alive);
  const nws_extension *list = &extension.ext;
  fixture f;
  ready(&f);
  /* The mark becomes the byte. */
  size_t len = take_mark(BYTE_CASES[index].pattern, text, &at) + 1;
  memmove(text + at + 1, text + at, len - at);
  text[at] = (char)byte;
  field where = BYTE_CASES[index].where;
  set_field(&f, where, nws_str_make(text, len), &header, &subprotocol,
            &extension);
  if (where == EXTENSION) {
    extension.ext.name = byte == 'x' && len == 2 ? "xx" : "x";
    f.offer.extensions = &list;
    f.offer.extension_count = 1;
  }
  int good = byte >= 0x80 ? BYTE_CASES[index].high
                          : is_in(BYTE_CASES[index].good, byte);
  if (good) {
    assert_int_equal(start(&f), NWS_OK);
    assert_safe(&f, where, nws_str_make(text, len));
    assert_same_in_list(&f);
    return;
  }
  assert_no_start(&f, NWS_ERROR_FIELD);
  assert_true(f.hs.error_at <= len);
  /* Of a percent-encoding and of too many colons it is a later byte that is
   * wrong, and an extension's text has tests of its own. */
  if (where != EXTENSION && byte != '%' && !(where == HOST_IPV6 && byte == ':'))
    assert_int_equal(f.hs.error_at, at);
  assert_same_in_list(&f);
}

/* What is in a URI for the caller's eyes does not go out. */
static void all_bytes_in_userinfo(void **state) {
  (void)state;
  for (int byte = 0; byte < 256; byte++) {
    const char text[3] = {'a', (char)byte, 'b'};
    fixture f;
    ready(&f);
    f.uri.userinfo = nws_str_make(text, 3);
    assert_request(&f, "GET / HTTP/1.1\r\nHost: h\r\n" CORE "\r\n");
  }
}

static void all_bytes_in_all_fields(void **state) {
  (void)state;
  for (size_t index = 0; index < COUNT_OF(BYTE_CASES); index++)
    for (int byte = 0; byte < 256; byte++)
      check_byte(index, byte);
}

static void refused_fields(void **state) {
  (void)state;
  fixture f;
  const nws_str empty = nws_str_of("");
  ready(&f);
  f.uri.path = empty;
  assert_no_start(&f, NWS_ERROR_FIELD);
  ready(&f);
  f.uri.host = empty;
  assert_no_start(&f, NWS_ERROR_FIELD);
  ready(&f);
  f.uri.host = nws_str_of("h:80");
  assert_no_start(&f, NWS_ERROR_FIELD);
  assert_int_equal(f.hs.error_at, 1);
  ready(&f);
  f.uri.host = nws_str_of("h:");
  assert_no_start(&f, NWS_ERROR_FIELD);
  ready(&f);
  f.uri.host = nws_str_of("[::1]");
  assert_no_start(&f, NWS_ERROR_FIELD);
  ready(&f);
  f.uri.host = nws_str_of("::1]:99/");
  f.uri.ipv6 = 1;
  assert_no_start(&f, NWS_ERROR_FIELD);
  ready(&f);
  f.offer.origin = empty;
  assert_no_start(&f, NWS_ERROR_FIELD);
  ready(&f);
  f.offer.subprotocols = &empty;
  f.offer.subprotocol_count = 1;
  assert_no_start(&f, NWS_ERROR_FIELD);
  ready(&f);
  nws_header header = {empty, empty};
  f.offer.headers = &header;
  f.offer.header_count = 1;
  assert_no_start(&f, NWS_ERROR_FIELD);
}

static void reserved_headers(void **state) {
  (void)state;
  static const char *const names[] = {
      "Host",
      "hOST",
      "Upgrade",
      "connection",
      "ORIGIN",
      "Content-Length",
      "transfer-encoding",
      "Sec-WebSocket-Key",
      "sec-websocket-version",
      "Sec-WebSocket-Accept",
      "Sec-WebSocket-Protocol",
      "Sec-WebSocket-Extensions",
      "SEC-WEBSOCKET-",
      "Sec-WebSocket-Anything",
  };
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    nws_header header = {nws_str_of(names[i]), nws_str_of("x")};
    fixture f;
    ready(&f);
    f.offer.headers = &header;
    f.offer.header_count = 1;
    assert_no_start(&f, NWS_ERROR_HEADER_RESERVED);
  }
  static const char *const free_names[] = {
      "Sec-WebSocket", "Hosts", "Sec-Fetch-Mode", "Upgrade-Insecure"};
  for (size_t i = 0; i < COUNT_OF(free_names); i++) {
    nws_header header = {nws_str_of(free_names[i]), nws_str_of("x")};
    fixture f;
    ready(&f);
    f.offer.headers = &header;
    f.offer.header_count = 1;
    assert_int_equal(start(&f), NWS_OK);
  }
}

/* --- Extensions that misbehave --- */

static void wrong_offers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t at;
  } cases[] = {
      {"y", 0},     {"xy", 0},        {"x, y", 3},         {"x;", 2},
      {"x; =1", 3}, {"x\r\nY: z", 1}, {"x; a=\"\"", 6},    {",", 1},
      {" ", 1},     {"x; a=\"b", 7},  {"x; a=\"b\\\"", 8}, {"x y", 2},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    int alive = 0;
    fake x = make_fake("x", cases[i].text, 0, &alive);
    const nws_extension *list = &x.ext;
    fixture f;
    ready(&f);
    f.offer.extensions = &list;
    f.offer.extension_count = 1;
    assert_no_start(&f, NWS_ERROR_FIELD);
    assert_int_equal(f.hs.error_at, cases[i].at);
  }
  int alive = 0;
  fake x = make_fake("x", "x", 0, &alive);
  const nws_extension *list = &x.ext;
  fixture f;
  ready(&f);
  x.rc = NWS_ERROR_MEMORY;
  f.offer.extensions = &list;
  f.offer.extension_count = 1;
  assert_no_start(&f, NWS_ERROR_MEMORY);
  ready(&f);
  x.ext.offer = lying_offer;
  f.offer.extensions = &list;
  f.offer.extension_count = 1;
  assert_no_start(&f, NWS_ERROR_LENGTH);
}

/* The first of two extensions leaves no room for the comma of the second. */
static void no_room_for_a_comma(void **state) {
  (void)state;
  int alive = 0;
  char name[NWS_HANDSHAKE_TEXT_MAX - 2]; /* the host takes one of the two */
  memset(name, 'x', sizeof name);
  memcpy(name, "x; p=", 5);
  fake x = make_fake("x", "", 0, &alive), y = make_fake("y", "y", 0, &alive);
  x.text = name;
  x.text_len = sizeof name;
  const nws_extension *list[] = {&x.ext, &y.ext};
  fixture f;
  ready(&f);
  f.offer.extensions = list;
  f.offer.extension_count = 2;
  assert_no_start(&f, NWS_ERROR_LENGTH);
  f.offer.extension_count = 1;
  assert_int_equal(start(&f), NWS_OK);
}

/* Host, subprotocols and extensions share the room for composed texts. */
static void composed_texts_have_a_limit(void **state) {
  (void)state;
  char name[NWS_HANDSHAKE_TEXT_MAX + 1];
  memset(name, 'x', sizeof name);
  for (int where = 0; where < 3; where++) {
    for (size_t over = 0; over < 2; over++) {
      int alive = 0;
      fake x = make_fake("x", "x; p=", 0, &alive);
      const nws_extension *list = &x.ext;
      fixture f;
      ready(&f);
      /* the host "h" takes one byte */
      size_t room = NWS_HANDSHAKE_TEXT_MAX - 1 + over;
      nws_str text = nws_str_make(name, room);
      if (where == 0) {
        f.uri.host = nws_str_make(name, room + 1);
      } else if (where == 1) {
        f.offer.subprotocols = &text;
        f.offer.subprotocol_count = 1;
      } else {
        memcpy(name, "x; p=", 5);
        x.text = name;
        x.text_len = room;
        f.offer.extensions = &list;
        f.offer.extension_count = 1;
      }
      if (over)
        assert_no_start(&f, NWS_ERROR_LENGTH);
      else
        assert_int_equal(start(&f), NWS_OK);
    }
  }
}

static void every_size_of_buffer(void **state) {
  (void)state;
  fixture f;
  ready(&f);
  assert_int_equal(start(&f), NWS_OK);
  size_t need = f.len;
  for (size_t cap = 0; cap <= need; cap++) {
    ready(&f);
    char *out = malloc(cap ? cap : 1);
    assert_non_null(out);
    memset(out, UNTOUCHED, cap);
    int rc = nws_client_handshake_start(&f.hs, &f.offer, &f.random, out, cap,
                                        &f.len);
    assert_int_equal(rc, cap < need ? NWS_ERROR_BUFFER : NWS_OK);
    assert_int_equal(f.len, need);
    assert_int_equal(f.draws, cap < need ? 0 : 1);
    assert_int_equal(is_untouched(out, cap), cap < need);
    free(out);
  }
  assert_int_equal(
      nws_client_handshake_start(&f.hs, &f.offer, &f.random, NULL, 0, &f.len),
      NWS_ERROR_BUFFER);
}

static void random_source_fails(void **state) {
  (void)state;
  fixture f;
  ready(&f);
  f.random.fill = fill_nothing;
  assert_int_equal(start(&f), NWS_ERROR_RANDOM);
  assert_int_equal(f.draws, 1);
  assert_int_equal(f.len, 98765);
  assert_true(is_untouched(f.out, sizeof f.out));
  assert_int_equal(nws_client_handshake_read(&f.hs, "", 0), NWS_ERROR_STATE);
}

static void misuse(void **state) {
  (void)state;
  const nws_str twice[] = {nws_str_of("a"), nws_str_of("b"), nws_str_of("a")};
  int alive = 0;
  fake x = make_fake("x", "x", 0, &alive);
  const nws_extension *list[NWS_EXTENSIONS_MAX + 1] = {&x.ext, &x.ext, &x.ext,
                                                       &x.ext, &x.ext};
  for (int i = 0; i < 14; i++) {
    fixture f;
    ready(&f);
    f.offer.size = i == 0 ? sizeof f.offer - 1 : sizeof f.offer;
    f.offer.uri = i == 1 ? NULL : &f.uri;
    f.random.fill = i == 2 ? NULL : fill_sample;
    f.offer.subprotocols = i == 3 ? twice : NULL;
    f.offer.subprotocol_count = i == 3 || i == 4 ? 3 : 0;
    f.offer.header_count = i == 5 ? 1 : 0;
    f.offer.extension_count = i == 6 ? 1 : 0;
    f.offer.header_room = i == 7 ? f.hs.room : NULL;
    if (i == 8)
      f.uri.port = 0;
    if (i >= 9) {
      f.offer.extensions = list;
      f.offer.extension_count = i == 9 ? NWS_EXTENSIONS_MAX + 1 : 1;
      list[0] = i == 10 ? NULL : &x.ext;
      x.ext.size = i == 11 ? 1 : sizeof x.ext;
      x.ext.offer = i == 12 ? NULL : fake_offer;
      x.ext.confirm = i == 13 ? NULL : fake_confirm;
    }
    assert_no_start(&f, NWS_ERROR_ARGUMENT);
  }
  fixture f;
  ready(&f);
  assert_int_equal(nws_client_handshake_start(NULL, &f.offer, &f.random, f.out,
                                              ROOM, &f.len),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(
      nws_client_handshake_start(&f.hs, NULL, &f.random, f.out, ROOM, &f.len),
      NWS_ERROR_ARGUMENT);
  assert_int_equal(
      nws_client_handshake_start(&f.hs, &f.offer, NULL, f.out, ROOM, &f.len),
      NWS_ERROR_ARGUMENT);
  assert_int_equal(
      nws_client_handshake_start(&f.hs, &f.offer, &f.random, NULL, 1, &f.len),
      NWS_ERROR_ARGUMENT);
  assert_int_equal(
      nws_client_handshake_start(&f.hs, &f.offer, &f.random, f.out, ROOM, NULL),
      NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_client_handshake_read(NULL, "", 0), NWS_ERROR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(smallest_request),
      cmocka_unit_test(largest_request),
      cmocka_unit_test(hosts_and_targets),
      cmocka_unit_test(all_bytes_in_all_fields),
      cmocka_unit_test(all_bytes_in_userinfo),
      cmocka_unit_test(refused_fields),
      cmocka_unit_test(reserved_headers),
      cmocka_unit_test(wrong_offers),
      cmocka_unit_test(no_room_for_a_comma),
      cmocka_unit_test(composed_texts_have_a_limit),
      cmocka_unit_test(every_size_of_buffer),
      cmocka_unit_test(random_source_fails),
      cmocka_unit_test(misuse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
