/* test_handshake_server.c - which requests a server takes, and where the fault
 * is in others. What it answers is in test_handshake_accept.c and
 * test_handshake_reject.c.
 */
#include "handshake_request.h"
#include <stdio.h>
#include <nws/digest.h>

static void accept_key(void **state) {
  (void)state;
  char accept[NWS_HANDSHAKE_ACCEPT_LEN];
  nws_handshake_accept_key(nws_str_of(SAMPLE_KEY), accept);
  assert_memory_equal(accept, SAMPLE_ACCEPT, sizeof accept);
  /* Keys of all lengths are hashed as they are. */
  for (size_t len = 0; len < 200; len++) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[256], want[NWS_HANDSHAKE_ACCEPT_LEN];
    uint8_t digest[NWS_SHA1_LEN];
    memset(text, 'k', len);
    memcpy(text + len, guid, sizeof guid - 1);
    nws_sha1(text, len + sizeof guid - 1, digest);
    nws_base64_encode(digest, sizeof digest, want);
    nws_handshake_accept_key(nws_str_make(text, len), accept);
    assert_memory_equal(accept, want, sizeof want);
  }
}

/* --- Requests --- */

static void good_request(void **state) {
  (void)state;
  nws_server_handshake hs;
  static const char text[] = GOOD "Origin: http://example.com\r\n"
                                  "Sec-WebSocket-Protocol: chat, superchat\r\n"
                                  "Cookie: a=1; b=\"2\"\r\nX-Mine: x\r\n" END;
  assert_int_equal(read_text(&hs, NULL, text), NWS_OK);
  assert_str(hs.head.method, "GET");
  assert_str(hs.head.target, "/chat?room=1");
  assert_str(hs.path, "/chat");
  assert_str(hs.query, "room=1");
  assert_str(hs.host, "example.com");
  assert_str(hs.origin, "http://example.com");
  assert_str(hs.key, SAMPLE_KEY);
  assert_str(hs.subprotocol, NULL);
  assert_int_equal(hs.extended_connect, 0);
  assert_int_equal(hs.extension_count, 0);
  assert_int_equal(hs.head.len, sizeof text - 1);
  assert_str(nws_server_handshake_header(&hs, nws_str_of("x-MINE")), "x");
  assert_str(nws_server_handshake_header(&hs, nws_str_of("x-min")), NULL);
  assert_str(nws_server_handshake_cookie(&hs, nws_str_of("b")), "2");
  assert_str(nws_server_handshake_cookie(&hs, nws_str_of("B")), NULL);
  assert_int_equal(nws_server_handshake_read(&hs, NULL, text, sizeof text - 1),
                   NWS_ERROR_STATE);
}

static void good_variants(void **state) {
  (void)state;
  static const char *const texts[] = {
      GOOD END,
      LINE "HOST:example.com\r\nUPGRADE:WebSocket\r\nconnection:uPGRADE\r\n"
           "sec-websocket-KEY:" SAMPLE_KEY
           "\r\nSEC-websocket-VERSION:13 \r\n" END,
      LINE HOST "Upgrade: h2c, websocket\r\n" CONNECTION KEY VERSION END,
      LINE HOST
      "Upgrade: h2c\r\nUpgrade: websocket\r\n" CONNECTION KEY VERSION END,
      LINE HOST UPGRADE "Connection: keep-alive, Upgrade\r\n" KEY VERSION END,
      LINE HOST UPGRADE
      "Connection: keep-alive\r\nConnection: x,,upgrade,\r\n" KEY VERSION END,
      LINE "Host: example.com:8080\r\n" UPGRADE CONNECTION KEY VERSION END,
      LINE "Host: [::1]:8080\r\n" UPGRADE CONNECTION KEY VERSION END,
      LINE "Host: h:\r\n" UPGRADE CONNECTION KEY VERSION END,
      "GET / HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
      "GET /? HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
      "GET //a/%zz|{}?[]^ HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
      GOOD "Content-Length: 0\r\n" END,
      GOOD "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Other: y\r\n" END,
      GOOD "Sec-WebSocket-Extensions: x; a=\"b\\c\", , y\r\n"
           "sec-websocket-extensions:z;q=1\r\n" END,
  };
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    nws_server_handshake hs;
    assert_int_equal(read_text(&hs, NULL, texts[i]), NWS_OK);
    assert_int_equal(hs.head.len, strlen(texts[i]));
    assert_int_equal(hs.path.ptr == hs.head.target.ptr, 1);
    if (strchr(texts[i], '?') == NULL)
      assert_null(hs.query.ptr);
    else
      assert_ptr_equal(hs.query.ptr, strchr(texts[i], '?') + 1);
  }
}

typedef struct bad_case {
  const char *text;
  int error;
} bad_case;

static const bad_case BAD[] = {
    /* the request line */
    {"^\r\n" GOOD END, NWS_ERROR_HTTP_START_LINE},
    {"GET /chat HTTP/1.^0\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
     NWS_ERROR_HTTP_VERSION},
    {"GET /chat HTTP/^2.0\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
     NWS_ERROR_HTTP_VERSION},
    {"^POST / HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
     NWS_ERROR_METHOD},
    {"^get / HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
     NWS_ERROR_METHOD},
    {"^HEAD / HTTP/1.1\r\n" HOST END, NWS_ERROR_METHOD},
    {"^CONNECT / HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
     NWS_ERROR_METHOD},
    {"GET ^http://example.com/ HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION
         END,
     NWS_ERROR_TARGET},
    {"GET ^* HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
     NWS_ERROR_TARGET},
    {"GET ^example.com:80 HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
     NWS_ERROR_TARGET},
    {"GET /a^#b HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END,
     NWS_ERROR_TARGET},
    /* Host */
    {LINE UPGRADE CONNECTION KEY VERSION END "^", NWS_ERROR_HOST},
    {GOOD "^host: example.com\r\n" END, NWS_ERROR_HOST},
    {LINE "Host:^\r\n" UPGRADE CONNECTION KEY VERSION END, NWS_ERROR_HOST},
    {LINE "Host: a^ b\r\n" UPGRADE CONNECTION KEY VERSION END, NWS_ERROR_HOST},
    {LINE "Host: a^/b\r\n" UPGRADE CONNECTION KEY VERSION END, NWS_ERROR_HOST},
    {LINE "Host: u^@h\r\n" UPGRADE CONNECTION KEY VERSION END, NWS_ERROR_HOST},
    {LINE "Host: a,^ b\r\n" UPGRADE CONNECTION KEY VERSION END, NWS_ERROR_HOST},
    {LINE "Host: h:6553^6\r\n" UPGRADE CONNECTION KEY VERSION END,
     NWS_ERROR_HOST},
    {LINE "Host: h:^x\r\n" UPGRADE CONNECTION KEY VERSION END, NWS_ERROR_HOST},
    {LINE "Host: [::1^\r\n" UPGRADE CONNECTION KEY VERSION END, NWS_ERROR_HOST},
    {LINE "Host: ^::1\r\n" UPGRADE CONNECTION KEY VERSION END, NWS_ERROR_HOST},
    {LINE "Host: h^\xc3\xa9\r\n" UPGRADE CONNECTION KEY VERSION END,
     NWS_ERROR_HOST},
    /* Upgrade and Connection */
    {LINE HOST CONNECTION KEY VERSION END "^", NWS_ERROR_UPGRADE},
    {LINE HOST END "^", NWS_ERROR_UPGRADE},
    {LINE HOST "Upgrade: ^h2c\r\n" CONNECTION KEY VERSION END,
     NWS_ERROR_UPGRADE},
    {LINE HOST "Upgrade:^\r\n" CONNECTION KEY VERSION END, NWS_ERROR_UPGRADE},
    {LINE HOST "Upgrade: ^websocket/13\r\n" CONNECTION KEY VERSION END,
     NWS_ERROR_UPGRADE},
    {LINE HOST "Upgrade: ^\"websocket\"\r\n" CONNECTION KEY VERSION END,
     NWS_ERROR_UPGRADE},
    {LINE HOST UPGRADE KEY VERSION END "^", NWS_ERROR_CONNECTION},
    {LINE HOST UPGRADE
     "Connection: ^keep-alive\r\nConnection: close\r\n" KEY VERSION END,
     NWS_ERROR_CONNECTION},
    {LINE HOST UPGRADE "Connection: ^Upgrade websocket\r\n" KEY VERSION END,
     NWS_ERROR_CONNECTION},
    /* Sec-WebSocket-Version */
    {LINE HOST UPGRADE CONNECTION KEY END "^", NWS_ERROR_VERSION},
    {LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: ^8\r\n" END,
     NWS_ERROR_VERSION},
    {LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: ^013\r\n" END,
     NWS_ERROR_VERSION},
    {LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: ^13, 8\r\n" END,
     NWS_ERROR_VERSION},
    {LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version:^\r\n" END,
     NWS_ERROR_VERSION},
    {GOOD "^" VERSION END, NWS_ERROR_DUPLICATE},
    /* Sec-WebSocket-Key */
    {LINE HOST UPGRADE CONNECTION VERSION END "^", NWS_ERROR_KEY},
    {LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key:^\r\n" END,
     NWS_ERROR_KEY},
    {GOOD "^" KEY END, NWS_ERROR_DUPLICATE},
    /* bodies */
    {GOOD "Content-Length: ^5\r\n" END "hello", NWS_ERROR_BODY},
    {GOOD "Content-Length: ^00\r\n" END, NWS_ERROR_BODY},
    {GOOD "Content-Length: ^+0\r\n" END, NWS_ERROR_BODY},
    {GOOD "Content-Length: ^-1\r\n" END, NWS_ERROR_BODY},
    {GOOD "Content-Length: ^18446744073709551616\r\n" END, NWS_ERROR_BODY},
    {GOOD "Content-Length: ^0, 0\r\n" END, NWS_ERROR_BODY},
    {GOOD "Content-Length:^\r\n" END, NWS_ERROR_BODY},
    {GOOD "Content-Length: 0\r\n^CONTENT-LENGTH: 0\r\n" END,
     NWS_ERROR_DUPLICATE},
    {GOOD "Content-Length: 0\r\nTransfer-Encoding: ^chunked\r\n" END,
     NWS_ERROR_BODY},
    {GOOD "Transfer-Encoding: ^identity\r\n" END, NWS_ERROR_BODY},
    {GOOD "Transfer-Encoding:^\r\n" END, NWS_ERROR_BODY},
    /* Origin */
    {GOOD "Origin: http://example.com\r\n^Origin: http://example.com\r\n" END,
     NWS_ERROR_DUPLICATE},
    {GOOD "Origin: ^http://evil.example\r\n" END, NWS_ERROR_ORIGIN},
    /* Sec-WebSocket-Protocol */
    {GOOD "Sec-WebSocket-Protocol:^\r\n" END, NWS_ERROR_SUBPROTOCOL},
    {GOOD "Sec-WebSocket-Protocol: ^,,\r\nsec-websocket-protocol:\r\n" END,
     NWS_ERROR_SUBPROTOCOL},
    {GOOD "Sec-WebSocket-Protocol: a, ^b c\r\n" END, NWS_ERROR_SUBPROTOCOL},
    {GOOD "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: ^\"b\"\r\n" END,
     NWS_ERROR_SUBPROTOCOL},
    {GOOD "Sec-WebSocket-Protocol: a, ^\xc3\xa9\r\n" END,
     NWS_ERROR_SUBPROTOCOL},
    /* Sec-WebSocket-Extensions */
    {GOOD "Sec-WebSocket-Extensions:^\r\n" END, NWS_ERROR_EXTENSION_HEADER},
    {GOOD "Sec-WebSocket-Extensions: ^,\r\nSec-WebSocket-Extensions: ,\r\n" END,
     NWS_ERROR_EXTENSION_HEADER},
    {GOOD "Sec-WebSocket-Extensions: x;^\r\n" END, NWS_ERROR_EXTENSION_HEADER},
    {GOOD "Sec-WebSocket-Extensions: ^;x\r\n" END, NWS_ERROR_EXTENSION_HEADER},
    {GOOD "Sec-WebSocket-Extensions: x\r\n"
          "Sec-WebSocket-Extensions: y; a=^\r\n" END,
     NWS_ERROR_EXTENSION_HEADER},
    {GOOD "Sec-WebSocket-Extensions: x; a=\"b^,\r\n" END,
     NWS_ERROR_EXTENSION_HEADER},
};

static void bad_requests(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(BAD); i++) {
    char text[ROOM], out[ROOM];
    size_t at, len = take_mark(BAD[i].text, text, &at);
    nws_server_handshake hs;
    memset(&hs, 0, sizeof hs);
    int rc = nws_server_handshake_read(&hs, NULL, text, len);
    assert_int_equal(rc, BAD[i].error);
    assert_int_equal(hs.error_at, at);
    size_t out_len = 4711;
    assert_int_equal(
        nws_server_handshake_accept(&hs, NULL, out, sizeof out, &out_len),
        NWS_ERROR_STATE);
    assert_int_equal(out_len, 4711);
    /* Asked again, it says the same. */
    assert_int_equal(nws_server_handshake_read(&hs, NULL, text, len), rc);
    assert_int_equal(hs.error_at, at);
  }
}

/* A plain GET can be served after the refusal. */
static void plain_get(void **state) {
  (void)state;
  nws_server_handshake hs;
  static const char text[] = LINE HOST "Accept: */*\r\n" END;
  assert_int_equal(read_text(&hs, NULL, text), NWS_ERROR_UPGRADE);
  assert_int_equal(hs.head.len, sizeof text - 1);
  assert_int_equal(hs.head.count, 2);
  assert_str(hs.path, "/chat");
  assert_str(hs.query, "room=1");
  assert_str(hs.host, "example.com");
  assert_str(nws_server_handshake_header(&hs, nws_str_of("accept")), "*/*");
}

static void keys(void **state) {
  (void)state;
  static const struct {
    const char *key;
    int rc;
  } cases[] = {
      {"AAAAAAAAAAAAAAAAAAAAAA==", NWS_OK},
      {"//////////////////////==", NWS_OK}, /* unused bits are set */
      {"AQIDBAUGBwgJCgsMDQ4PEC==", NWS_OK}, /* as RFC 6455 4.1 prints it */
      {"AQIDBAUGBwgJCgsMDQ4PEA==", NWS_OK},
      {"AAAAAAAAAAAAAAAAAAAAAAA=", NWS_ERROR_KEY}, /* 17 bytes */
      {"AAAAAAAAAAAAAAAAAAAAAAAA", NWS_ERROR_KEY}, /* 18 */
      {"AAAAAAAAAAAAAAAAAAAA", NWS_ERROR_KEY},     /* 15 */
      {"AAAAAAAAAAAAAAAAAAAAAA=", NWS_ERROR_KEY},
      {"AAAAAAAAAAAAAAAAAAAAAA", NWS_ERROR_KEY},
      {"AAAAAAAAAAAAAAAAAAAAA===", NWS_ERROR_KEY},
      {"AAAAAAAAAAAAAAAAAAAAAA==A", NWS_ERROR_KEY},
      {"AAAAAAAAAAAAAAAAAAAA=A==", NWS_ERROR_KEY},
      {"AAAAAAAAAAA-AAAAAAAAAA==", NWS_ERROR_KEY},
      {"AAAAAAAAAAA AAAAAAAAAA==", NWS_ERROR_KEY},
      {"the sample nonce", NWS_ERROR_KEY},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char text[ROOM] =
        LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: ";
    strcat(strcat(text, cases[i].key), "\r\n\r\n");
    nws_server_handshake hs;
    assert_int_equal(read_text(&hs, NULL, text), cases[i].rc);
    if (cases[i].rc != NWS_OK)
      assert_int_equal(hs.error_at, strstr(text, cases[i].key) - text);
    else
      assert_str(hs.key, cases[i].key);
  }
}

/* --- Origins --- */

static void origin_matrix(void **state) {
  (void)state;
  static const struct {
    const char *host, *origin;
    int same;
  } cases[] = {
      {"example.com", "http://example.com", 1},
      {"example.com", "https://example.com", 1},
      {"EXAMPLE.com", "HTTPS://example.COM", 1},
      {"example.com:443", "https://example.com", 1},
      {"example.com:80", "http://example.com", 1},
      {"example.com", "http://example.com:80", 1},
      {"example.com:8080", "http://example.com:8080", 1},
      {"[::1]:8080", "http://[::1]:8080", 1},
      {"example.com:80", "https://example.com", 0},
      {"example.com:443", "http://example.com", 0},
      {"example.com:8080", "http://example.com", 0},
      {"example.com", "http://example.com:8080", 0},
      {"example.com", "http://example.com.evil.com", 0},
      {"example.com", "http://evil-example.com", 0},
      {"example.com", "http://evil.com", 0},
      {"example.com", "http://sub.example.com", 0},
      {"example.com", "http://example.com@evil.com", 0},
      {"example.com", "http://evil.com/example.com", 0},
      {"example.com", "http://example.com/", 0},
      {"example.com", "http://example.com#", 0},
      {"example.com", "http://example.com:x", 0},
      {"example.com", "http://example.com http://evil.com", 0},
      {"example.com", "http://", 0},
      {"example.com", "http:/example.com", 0},
      {"example.com", "//example.com", 0},
      {"example.com", "example.com", 0},
      {"example.com", "ftp://example.com", 0},
      {"example.com", "chrome-extension://example.com", 0},
      {"example.com", "file://", 0},
      {"example.com", "null", 0},
      {"null", "null", 0},
      {"example.com", "", 0},
      {"[::1]", "http://::1", 0},
  };
  const nws_str listed[] = {nws_str_of("null"),
                            nws_str_of("http://EXAMPLE.com:8080"),
                            nws_str_of("chrome-extension://example.com")};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (int policy = NWS_ORIGIN_SAME_HOST; policy <= NWS_ORIGIN_ANY;
         policy++) {
      char text[ROOM];
      snprintf(text, sizeof text,
               LINE
               "Host: %s\r\nOrigin: %s\r\n" UPGRADE CONNECTION KEY VERSION END,
               cases[i].host, cases[i].origin);
      nws_server_policy p = {.size = sizeof p};
      p.origin = (nws_origin_policy)policy;
      p.origins = listed;
      p.origin_count = COUNT_OF(listed);
      p.require_origin = (int)i & 1;
      int fine = policy == NWS_ORIGIN_ANY ||
                 (policy == NWS_ORIGIN_SAME_HOST && cases[i].same);
      for (size_t j = 0; policy == NWS_ORIGIN_LIST && j < COUNT_OF(listed); j++)
        fine |= nws_str_equal_nocase(listed[j], nws_str_of(cases[i].origin));
      nws_server_handshake hs;
      assert_int_equal(read_text(&hs, &p, text),
                       fine ? NWS_OK : NWS_ERROR_ORIGIN);
      assert_str(hs.origin, cases[i].origin);
      if (!fine)
        assert_int_equal(hs.error_at, hs.origin.ptr - text);
    }
  }
}

/* Every byte in an Origin: only the one that makes it equal passes. */
static void origin_bytes(void **state) {
  (void)state;
  for (int byte = 0; byte < 256; byte++) {
    char text[] = LINE HOST UPGRADE CONNECTION KEY VERSION
        "Origin: http://ex?mple.com\r\n" END;
    nws_server_handshake hs;
    memset(&hs, 0, sizeof hs);
    char *place = strstr(text, "ex?mple");
    place[2] = (char)byte;
    int rc = nws_server_handshake_read(&hs, NULL, text, sizeof text - 1);
    if (byte == 'a' || byte == 'A')
      assert_int_equal(rc, NWS_OK);
    else
      assert_true(rc == NWS_ERROR_ORIGIN || rc == NWS_ERROR_HTTP_LINE_END ||
                  rc == NWS_ERROR_HTTP_HEADER_VALUE);
  }
}

static void origin_absent(void **state) {
  (void)state;
  nws_server_handshake hs;
  for (int policy = NWS_ORIGIN_SAME_HOST; policy <= NWS_ORIGIN_ANY; policy++) {
    nws_server_policy p = {.size = sizeof p};
    p.origin = (nws_origin_policy)policy;
    assert_int_equal(read_text(&hs, &p, GOOD END), NWS_OK);
    assert_null(hs.origin.ptr);
    p.require_origin = 1;
    assert_int_equal(read_text(&hs, &p, GOOD END), NWS_ERROR_ORIGIN);
    assert_int_equal(hs.error_at, strlen(GOOD END));
  }
}

/* --- Splits and limits --- */

static void every_split(void **state) {
  (void)state;
  static const char text[] =
      GOOD "Sec-WebSocket-Protocol: chat\r\n" END "\x81\x82\r\n\r\nhi\xff";
  size_t len = sizeof text - 1, head_len = len - 9;
  const nws_str chat = nws_str_of("chat");
  nws_server_policy policy = {.size = sizeof policy};
  policy.subprotocols = &chat;
  policy.subprotocol_count = 1;
  for (size_t cut = 0; cut <= len; cut++) {
    for (size_t step = 1; step <= len; step += len - 1) {
      nws_server_handshake hs;
      memset(&hs, 0, sizeof hs);
      for (size_t have = cut;; have = len - have < step ? len : have + step) {
        char *copy = malloc(have ? have : 1);
        assert_non_null(copy);
        memcpy(copy, text, have);
        int rc = nws_server_handshake_read(&hs, &policy, copy, have);
        assert_int_equal(rc, have < head_len ? NWS_MORE : NWS_OK);
        if (rc == NWS_OK) {
          assert_str(hs.subprotocol, "chat");
          assert_str(hs.path, "/chat");
        }
        free(copy);
        if (rc == NWS_OK)
          break;
      }
      assert_int_equal(hs.head.len, head_len);
    }
  }
}

static void limits(void **state) {
  (void)state;
  static const char text[] = GOOD END;
  nws_server_handshake hs;
  for (size_t room = 1; room <= 6; room++) {
    nws_header headers[6];
    nws_server_policy policy = {.size = sizeof policy};
    policy.header_room = headers;
    policy.max_headers = room;
    assert_int_equal(read_text(&hs, &policy, text),
                     room < 5 ? NWS_ERROR_HTTP_COUNT_LIMIT : NWS_OK);
    if (room >= 5)
      assert_ptr_equal(hs.head.headers, headers);
  }
  for (size_t max = sizeof text - 2; max <= sizeof text; max++) {
    nws_server_policy policy = {.size = sizeof policy};
    policy.max_head = max;
    int over = max < sizeof text - 1;
    assert_int_equal(read_text(&hs, &policy, text),
                     over ? NWS_ERROR_HTTP_HEAD_LIMIT : NWS_OK);
    if (over)
      assert_int_equal(hs.error_at, max);
  }
  /* 64 headers by default */
  for (int extra = 58; extra <= 60; extra++) {
    char many[ROOM] = GOOD;
    for (int i = 0; i < extra; i++)
      strcat(many, "a: b\r\n");
    strcat(many, END);
    assert_int_equal(read_text(&hs, NULL, many),
                     extra < 60 ? NWS_OK : NWS_ERROR_HTTP_COUNT_LIMIT);
  }
}

/* --- Subprotocols --- */

static void subprotocols(void **state) {
  (void)state;
  static const struct {
    const char *headers, *chosen;
  } cases[] = {
      {"", NULL},
      {"Sec-WebSocket-Protocol: other\r\n", NULL},
      {"Sec-WebSocket-Protocol: CHAT\r\n", NULL},
      {"Sec-WebSocket-Protocol: chat\r\n", "chat"},
      {"Sec-WebSocket-Protocol: superchat, chat\r\n", "superchat"},
      {"Sec-WebSocket-Protocol: x, chat,superchat\r\n", "chat"},
      {"Sec-WebSocket-Protocol: x\r\nA: b\r\nsec-websocket-protocol: "
       "y,\tchat\r\n",
       "chat"},
      {"Sec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: chat\r\n", "chat"},
  };
  const nws_str spoken[] = {nws_str_of("chat"), nws_str_of("superchat")};
  nws_server_policy policy = {.size = sizeof policy};
  policy.subprotocols = spoken;
  policy.subprotocol_count = 2;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char text[ROOM] = GOOD;
    strcat(strcat(text, cases[i].headers), END);
    nws_server_handshake hs;
    policy.require_subprotocol = 0;
    assert_int_equal(read_text(&hs, &policy, text), NWS_OK);
    assert_str(hs.subprotocol, cases[i].chosen);
    policy.require_subprotocol = 1;
    assert_int_equal(read_text(&hs, &policy, text),
                     cases[i].chosen ? NWS_OK : NWS_ERROR_SUBPROTOCOL_MISSING);
  }
}

static void offered(void **state) {
  (void)state;
  static const char *const want[] = {"a", "b", "c", "d", "e", "f"};
  nws_server_handshake hs;
  assert_int_equal(
      read_text(&hs, NULL,
                GOOD "Sec-WebSocket-Protocol: a,b ,\tc\r\nX: y\r\n"
                     "Sec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: ,\r\n"
                     "sec-websocket-protocol:d\r\n"
                     "SEC-WEBSOCKET-PROTOCOL: ,e,,f,\r\n" END),
      NWS_OK);
  size_t cursor = 0, count = 0;
  nws_str name;
  while (nws_server_handshake_offered(&hs, &cursor, &name)) {
    assert_true(count < COUNT_OF(want));
    assert_str(name, want[count++]);
  }
  assert_int_equal(count, COUNT_OF(want));
  assert_int_equal(nws_server_handshake_offered(&hs, &cursor, &name), 0);
  assert_int_equal(read_text(&hs, NULL, GOOD END), NWS_OK);
  cursor = 0;
  assert_int_equal(nws_server_handshake_offered(&hs, &cursor, &name), 0);
}

static void misuse(void **state) {
  (void)state;
  int alive = 0;
  fake x = make_fake("x", "x", 0, &alive);
  const nws_extension *known[NWS_EXTENSIONS_MAX + 1] = {&x.ext};
  for (int i = 0; i < 10; i++) {
    nws_server_handshake hs;
    nws_header room;
    nws_server_policy policy = {.size = sizeof policy};
    policy.size += i == 0;
    policy.origin = (nws_origin_policy)(i == 1 ? 3 : 0);
    policy.origin_count = i == 2;
    policy.subprotocol_count = i == 3;
    policy.header_room = i == 4 ? &room : NULL;
    policy.extension_count = i == 5;
    if (i > 5) {
      policy.extensions = known;
      policy.extension_count = i == 6 ? NWS_EXTENSIONS_MAX + 1 : 1;
      known[0] = i == 7 ? NULL : &x.ext;
      x.ext.accept = i == 8 ? NULL : fake_accept;
      x.ext.name = i == 9 ? NULL : "x";
    }
    assert_int_equal(read_text(&hs, &policy, GOOD END), NWS_ERROR_ARGUMENT);
  }
  nws_server_handshake hs;
  memset(&hs, 0, sizeof hs);
  assert_int_equal(nws_server_handshake_read(NULL, NULL, "G", 1),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_server_handshake_read(&hs, NULL, NULL, 1),
                   NWS_ERROR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accept_key),    cmocka_unit_test(good_request),
      cmocka_unit_test(good_variants), cmocka_unit_test(bad_requests),
      cmocka_unit_test(plain_get),     cmocka_unit_test(keys),
      cmocka_unit_test(origin_matrix), cmocka_unit_test(origin_bytes),
      cmocka_unit_test(origin_absent), cmocka_unit_test(every_split),
      cmocka_unit_test(limits),        cmocka_unit_test(subprotocols),
      cmocka_unit_test(offered),       cmocka_unit_test(misuse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
