/* test_handshake_client.c - what a client makes of the answer.
 */
#include "handshake_asker.h"

/* --- Responses --- */

/* A client that has asked for two subprotocols and three extensions, of which
 * the first two claim the same reserved bit. */
typedef struct asker {
  fixture f;
  nws_str protocols[2];
  fake one, same, other, quiet;
  const nws_extension *extensions[4];
  int alive;
} asker;

static void ask(asker *a) {
  ready(&a->f);
  a->alive = 0;
  a->protocols[0] = nws_str_of("chat");
  a->protocols[1] = nws_str_of("superchat");
  a->one = make_fake("x-one", "x-one", NWS_RSV1, &a->alive);
  a->same = make_fake("x-same", "x-same", NWS_RSV1, &a->alive);
  a->other = make_fake("x-other", "x-other; a; b=1", NWS_RSV2, &a->alive);
  a->quiet = make_fake("x-quiet", "", 0, &a->alive);
  a->extensions[0] = &a->one.ext;
  a->extensions[1] = &a->same.ext;
  a->extensions[2] = &a->quiet.ext;
  a->extensions[3] = &a->other.ext;
  a->f.offer.subprotocols = a->protocols;
  a->f.offer.subprotocol_count = 2;
  a->f.offer.extensions = a->extensions;
  a->f.offer.extension_count = 4;
  assert_int_equal(start(&a->f), NWS_OK);
}

#define STATUS "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n"
#define GOOD STATUS UPGRADE CONNECTION ACCEPT
#define END "\r\n"

static void good_responses(void **state) {
  (void)state;
  static const struct {
    const char *text, *subprotocol;
    size_t extensions;
  } cases[] = {
      {GOOD END, NULL, 0},
      {"HTTP/1.1 101\r\n" ACCEPT CONNECTION UPGRADE END, NULL, 0},
      {STATUS "UPGRADE:WebSocket\r\nconnection: \tuPGRADE\t\r\n"
              "sec-websocket-ACCEPT:" SAMPLE_ACCEPT " \r\n" END,
       NULL, 0},
      {STATUS UPGRADE "Connection: keep-alive, Upgrade\r\n" ACCEPT END, NULL,
       0},
      {STATUS UPGRADE "Connection: x\r\nconnection:,upgrade,\r\n" ACCEPT END,
       NULL, 0},
      {GOOD "Sec-WebSocket-Protocol: chat\r\n" END, "chat", 0},
      {GOOD "sec-websocket-protocol:superchat\r\n" END, "superchat", 0},
      {GOOD "Sec-WebSocket-Extensions: x-one\r\n" END, NULL, 1},
      {GOOD "Sec-WebSocket-Extensions: X-Other;p=\"q\" , ,x-ONE\r\n" END, NULL,
       2},
      {GOOD "Sec-WebSocket-Extensions: x-one; a=\"t\\o\\ken\"; b\r\n" END, NULL,
       1},
      {GOOD "Content-Length: 0\r\n" END, NULL, 0},
      {GOOD "Sec-WebSocket-Version: 13\r\nSet-Cookie: a=b\r\n" END, NULL, 0},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    asker a;
    ask(&a);
    size_t len = strlen(cases[i].text);
    assert_int_equal(nws_client_handshake_read(&a.f.hs, cases[i].text, len),
                     NWS_OK);
    assert_int_equal(a.f.hs.head.len, len);
    assert_str(a.f.hs.subprotocol, cases[i].subprotocol);
    assert_int_equal(a.f.hs.extension_count, cases[i].extensions);
    assert_int_equal(a.alive, cases[i].extensions);
    for (size_t j = 0; j < NWS_EXTENSIONS_MAX; j++)
      assert_int_equal(a.f.hs.extensions[j].ext != NULL,
                       j < cases[i].extensions);
    assert_int_equal(nws_client_handshake_read(&a.f.hs, cases[i].text, len),
                     NWS_ERROR_STATE);
    nws_extension_release(a.f.hs.extensions, a.f.hs.extension_count);
    assert_int_equal(a.alive, 0);
  }
}

/* The order of the answer is the order of use (RFC 6455 9.1). */
static void order_of_extensions(void **state) {
  (void)state;
  static const char text[] =
      GOOD "Sec-WebSocket-Extensions: x-other, x-same\r\n" END;
  asker a;
  ask(&a);
  assert_int_equal(nws_client_handshake_read(&a.f.hs, text, sizeof text - 1),
                   NWS_OK);
  assert_ptr_equal(a.f.hs.extensions[0].ext, &a.other.ext);
  assert_ptr_equal(a.f.hs.extensions[1].ext, &a.same.ext);
  assert_ptr_equal(a.f.hs.extensions[0].state, &a.alive);
}

static void bad_responses(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int error;
  } cases[] = {
      {"HTTP/1.^0 101 x\r\n" UPGRADE CONNECTION ACCEPT END,
       NWS_ERROR_HTTP_VERSION},
      {"HTTP/1.0 ^200 x\r\n\r\n", NWS_ERROR_STATUS},
      {"^SSH-2.0-x\r\n", NWS_ERROR_HTTP_START_LINE},
      {STATUS CONNECTION ACCEPT END "^", NWS_ERROR_UPGRADE},
      {STATUS "Upgrade:^\r\n" CONNECTION ACCEPT END, NWS_ERROR_UPGRADE},
      {STATUS "Upgrade: ^h2c\r\n" CONNECTION ACCEPT END, NWS_ERROR_UPGRADE},
      {STATUS "Upgrade: ^websocket, h2c\r\n" CONNECTION ACCEPT END,
       NWS_ERROR_UPGRADE},
      {STATUS "Upgrade: ^websockets\r\n" CONNECTION ACCEPT END,
       NWS_ERROR_UPGRADE},
      {STATUS UPGRADE "^" UPGRADE CONNECTION ACCEPT END, NWS_ERROR_DUPLICATE},
      {STATUS UPGRADE ACCEPT END "^", NWS_ERROR_CONNECTION},
      {STATUS UPGRADE "Connection: ^close\r\n" ACCEPT END,
       NWS_ERROR_CONNECTION},
      {STATUS UPGRADE "Connection: ^\"Upgrade\"\r\n" ACCEPT END,
       NWS_ERROR_CONNECTION},
      {STATUS UPGRADE "Connection: ^no upgrade\r\n" ACCEPT END,
       NWS_ERROR_CONNECTION},
      {STATUS UPGRADE CONNECTION END "^", NWS_ERROR_ACCEPT},
      {STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: ^" SAMPLE_KEY
                                 "\r\n" END,
       NWS_ERROR_ACCEPT},
      {STATUS UPGRADE CONNECTION
       "Sec-WebSocket-Accept: ^S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" END,
       NWS_ERROR_ACCEPT},
      {STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept:^\r\n" END,
       NWS_ERROR_ACCEPT},
      {STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: ^" SAMPLE_ACCEPT
                                 ", x\r\n" END,
       NWS_ERROR_ACCEPT},
      {GOOD "^" ACCEPT END, NWS_ERROR_DUPLICATE},
      {GOOD "Content-Length: ^5\r\n" END, NWS_ERROR_BODY},
      {GOOD "Content-Length: ^-0\r\n" END, NWS_ERROR_BODY},
      {GOOD "Content-Length: ^0, 0\r\n" END, NWS_ERROR_BODY},
      {GOOD "Content-Length:^\r\n" END, NWS_ERROR_BODY},
      {GOOD "Content-Length: 0\r\n^content-length: 0\r\n" END,
       NWS_ERROR_DUPLICATE},
      {GOOD "Transfer-Encoding: ^chunked\r\n" END, NWS_ERROR_BODY},
      {GOOD "Sec-WebSocket-Protocol: ^other\r\n" END, NWS_ERROR_SUBPROTOCOL},
      {GOOD "Sec-WebSocket-Protocol: ^Chat\r\n" END, NWS_ERROR_SUBPROTOCOL},
      {GOOD "Sec-WebSocket-Protocol: ^chat, superchat\r\n" END,
       NWS_ERROR_SUBPROTOCOL},
      {GOOD "Sec-WebSocket-Protocol:^\r\n" END, NWS_ERROR_SUBPROTOCOL},
      {GOOD
       "Sec-WebSocket-Protocol: chat\r\n^Sec-WebSocket-Protocol: chat\r\n" END,
       NWS_ERROR_DUPLICATE},
      {GOOD "Sec-WebSocket-Extensions: ^x-new\r\n" END,
       NWS_ERROR_EXTENSION_UNASKED},
      {GOOD "Sec-WebSocket-Extensions: ^x-quiet\r\n" END,
       NWS_ERROR_EXTENSION_UNASKED},
      {GOOD "Sec-WebSocket-Extensions: x-one, ^x-new; a\r\n" END,
       NWS_ERROR_EXTENSION_UNASKED},
      {GOOD "Sec-WebSocket-Extensions: x-one, ^x-one\r\n" END,
       NWS_ERROR_EXTENSION_HEADER},
      {GOOD "Sec-WebSocket-Extensions: x-one, ^x-same\r\n" END,
       NWS_ERROR_EXTENSION_HEADER},
      {GOOD "Sec-WebSocket-Extensions:^\r\n" END, NWS_ERROR_EXTENSION_HEADER},
      {GOOD "Sec-WebSocket-Extensions: ,^\r\n" END, NWS_ERROR_EXTENSION_HEADER},
      {GOOD "Sec-WebSocket-Extensions: x-one;^\r\n" END,
       NWS_ERROR_EXTENSION_HEADER},
      {GOOD "Sec-WebSocket-Extensions: x-one; a=\"b^ c\"\r\n" END,
       NWS_ERROR_EXTENSION_HEADER},
      {GOOD "Sec-WebSocket-Extensions: x-one\r\n"
            "^Sec-WebSocket-Extensions: x-other\r\n" END,
       NWS_ERROR_DUPLICATE},
      {GOOD "Sec-WebSocket-Extensions: ^x-one;1;2;3;4;5;6;7;8;9;10;11;12;13;14"
            ";15;16;17\r\n" END,
       NWS_ERROR_EXTENSION_HEADER},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char text[ROOM];
    size_t at, len = take_mark(cases[i].text, text, &at);
    asker a;
    ask(&a);
    assert_int_equal(nws_client_handshake_read(&a.f.hs, text, len),
                     cases[i].error);
    assert_int_equal(a.f.hs.error_at, at);
    assert_int_equal(a.f.hs.extension_count, 0);
    assert_int_equal(a.alive, 0);
    /* Asked again, it says the same. */
    assert_int_equal(nws_client_handshake_read(&a.f.hs, text, len),
                     cases[i].error);
    assert_int_equal(a.f.hs.error_at, at);
  }
}

/* What one extension has set up is given back when the next one refuses. */
static void refusing_extension(void **state) {
  (void)state;
  char text[ROOM];
  size_t at,
      len = take_mark(GOOD "Sec-WebSocket-Extensions: x-one, ^x-other\r\n" END,
                      text, &at);
  asker a;
  ask(&a);
  a.other.rc = 1;
  assert_int_equal(nws_client_handshake_read(&a.f.hs, text, len),
                   NWS_ERROR_EXTENSION_HEADER);
  assert_int_equal(a.f.hs.error_at, at);
  assert_int_equal(a.alive, 0);
}

static void subprotocol_policy(void **state) {
  (void)state;
  static const char without[] = GOOD END;
  static const char with[] = GOOD "Sec-WebSocket-Protocol: chat\r\n" END;
  asker a;
  ask(&a);
  a.f.offer.require_subprotocol = 1;
  assert_int_equal(
      nws_client_handshake_read(&a.f.hs, without, sizeof without - 1),
      NWS_ERROR_SUBPROTOCOL_MISSING);
  assert_int_equal(a.f.hs.error_at, sizeof without - 1);
  ask(&a);
  a.f.offer.require_subprotocol = 1;
  assert_int_equal(nws_client_handshake_read(&a.f.hs, with, sizeof with - 1),
                   NWS_OK);
  fixture f;
  ready(&f);
  assert_int_equal(start(&f), NWS_OK);
  assert_int_equal(nws_client_handshake_read(&f.hs, with, sizeof with - 1),
                   NWS_ERROR_SUBPROTOCOL);
}

/* Only 101 makes a connection; all else leaves a readable response. */
static void every_status(void **state) {
  (void)state;
  for (unsigned status = 100; status <= 999; status++) {
    char text[] = "HTTP/1.1 xxx Whatever\r\n" UPGRADE CONNECTION ACCEPT
                  "Content-Length: 0\r\n" END "body";
    text[9] = (char)('0' + status / 100);
    text[10] = (char)('0' + status / 10 % 10);
    text[11] = (char)('0' + status % 10);
    fixture f;
    ready(&f);
    assert_int_equal(start(&f), NWS_OK);
    int rc = nws_client_handshake_read(&f.hs, text, sizeof text - 1);
    assert_int_equal(rc, status == 101 ? NWS_OK : NWS_ERROR_STATUS);
    assert_int_equal(f.hs.head.status, status);
    assert_str(f.hs.head.reason, "Whatever");
    assert_int_equal(f.hs.head.count, 4);
    assert_int_equal(f.hs.head.len, sizeof text - 1 - 4);
    if (status != 101)
      assert_int_equal(f.hs.error_at, 9);
  }
}

/* Frames right behind the head: their offset is exact at every split, and no
 * byte of theirs is looked at. */
static void every_split(void **state) {
  (void)state;
  static const char text[] =
      GOOD "Sec-WebSocket-Protocol: chat\r\n"
           "Sec-WebSocket-Extensions: x-one\r\n" END "\x81\x02hi\r\n\r\n\xff";
  size_t len = sizeof text - 1, head_len = len - 9;
  for (size_t cut = 0; cut <= len; cut++) {
    for (size_t step = 1; step <= len; step += len - 1) {
      asker a;
      ask(&a);
      size_t have = cut;
      int rc;
      for (;;) {
        char *copy = malloc(have ? have : 1);
        assert_non_null(copy);
        memcpy(copy, text, have);
        rc = nws_client_handshake_read(&a.f.hs, copy, have);
        assert_int_equal(rc, have < head_len ? NWS_MORE : NWS_OK);
        if (rc == NWS_OK)
          assert_str(a.f.hs.subprotocol, "chat");
        free(copy);
        if (rc == NWS_OK)
          break;
        have = len - have < step ? len : have + step;
      }
      assert_int_equal(a.f.hs.head.len, head_len);
      assert_int_equal(a.f.hs.extension_count, 1);
      assert_int_equal(a.alive, 1);
    }
  }
}

static void limits(void **state) {
  (void)state;
  static const char text[] = GOOD END;
  for (size_t room = 1; room <= 4; room++) {
    nws_header headers[4];
    fixture f;
    ready(&f);
    f.offer.header_room = headers;
    f.offer.max_headers = room;
    assert_int_equal(start(&f), NWS_OK);
    assert_int_equal(nws_client_handshake_read(&f.hs, text, sizeof text - 1),
                     room < 3 ? NWS_ERROR_HTTP_COUNT_LIMIT : NWS_OK);
    if (room >= 3)
      assert_ptr_equal(f.hs.head.headers, headers);
  }
  for (size_t max = sizeof text - 2; max <= sizeof text; max++) {
    fixture f;
    ready(&f);
    f.offer.max_head = max;
    assert_int_equal(start(&f), NWS_OK);
    assert_int_equal(nws_client_handshake_read(&f.hs, text, sizeof text - 1),
                     max < sizeof text - 1 ? NWS_ERROR_HTTP_HEAD_LIMIT
                                           : NWS_OK);
    if (max < sizeof text - 1)
      assert_int_equal(f.hs.error_at, max);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_responses),
      cmocka_unit_test(order_of_extensions),
      cmocka_unit_test(bad_responses),
      cmocka_unit_test(refusing_extension),
      cmocka_unit_test(subprotocol_policy),
      cmocka_unit_test(every_status),
      cmocka_unit_test(every_split),
      cmocka_unit_test(limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
