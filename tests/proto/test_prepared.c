/* test_prepared.c - prepared messages: what is made, who holds it, and when a
 * connection may send it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <nws/nws.h>

static size_t live;
static int fails;

static void *resize(void *user, void *ptr, size_t old_len, size_t new_len) {
  (void)user;
  if (fails) {
    return NULL;
  }
  live = live - old_len + new_len;
  if (new_len == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, new_len);
}

static const nws_allocator allocator = {resize, NULL};

static int fill(void *user, void *out, size_t len) {
  (void)user;
  memset(out, 1, len);
  return 0;
}

static const nws_random zeros = {fill, NULL};
static const nws_conn_config config = {.size = sizeof(config),
                                       .random = &zeros};

static nws_prepared *make(unsigned opcode, const char *text, size_t len) {
  nws_prepared *message = NULL;
  assert_int_equal(nws_prepared_make(&allocator, opcode, text, len, &message),
                   NWS_OK);
  return message;
}

/* Sends, and checks what is to be written. */
static void sends(nws_conn *conn, nws_prepared *message, const void *want,
                  size_t want_len) {
  const uint8_t *frame;
  size_t len;
  assert_int_equal(nws_conn_send_prepared(conn, message, &frame, &len), NWS_OK);
  assert_int_equal(len, want_len);
  assert_memory_equal(frame, want, want_len);
}

static int refuses(nws_conn *conn, nws_prepared *message) {
  const uint8_t *frame;
  size_t len = 1;
  const int status = nws_conn_send_prepared(conn, message, &frame, &len);
  assert_int_equal(len, 0);
  return status;
}

static void the_same_bytes_for_all(void **unused) {
  nws_prepared *message = make(NWS_OPCODE_TEXT, "Hello", 5);
  nws_conn conns[3];
  (void)unused;
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(nws_conn_init(&conns[i], NWS_ROLE_SERVER, NULL, NULL, 0),
                     NWS_OK);
    sends(&conns[i], message, "\x81\x05Hello", 7);
    sends(&conns[i], message, "\x81\x05Hello", 7);
  }
  assert_int_equal(message->payload_len, 5);
  nws_prepared_drop(message);
  assert_int_equal(live, 0);
}

static void as_long_as_frames_are(void **unused) {
  static const size_t lens[] = {0, 125, 126, 65535, 65536};
  char *bytes = calloc(1, 65536);
  (void)unused;
  for (size_t i = 0; i < 5; i++) {
    nws_prepared *message = make(NWS_OPCODE_BINARY, bytes, lens[i]);
    nws_frame frame;
    assert_int_equal(
        nws_frame_parse(&frame, message->frame, message->frame_len), NWS_OK);
    assert_int_equal(frame.payload_len, lens[i]);
    assert_int_equal(frame.header_len + lens[i], message->frame_len);
    assert_int_equal(frame.fin, 1);
    assert_int_equal(frame.masked | frame.rsv, 0);
    nws_prepared_drop(message);
  }
  assert_int_equal(live, 0);
  free(bytes);
}

static void held_until_dropped(void **unused) {
  nws_prepared *message = make(NWS_OPCODE_TEXT, NULL, 0);
  (void)unused;
  nws_prepared_keep(message);
  nws_prepared_keep(NULL);
  nws_prepared_drop(message);
  assert_true(live > 0);
  assert_memory_equal(message->frame, "\x81\0", 2);
  nws_prepared_drop(message);
  nws_prepared_drop(NULL);
  assert_int_equal(live, 0);
}

static void what_cannot_be_made(void **unused) {
  const nws_allocator broken = {NULL, NULL};
  nws_prepared *message = NULL;
  (void)unused;
#define REFUSED(allocator, opcode, payload, len, error)                        \
  assert_int_equal(                                                            \
      nws_prepared_make(allocator, opcode, payload, len, &message), error);    \
  assert_null(message)
  REFUSED(NULL, NWS_OPCODE_TEXT, "", 0, NWS_ERROR_ARGUMENT);
  REFUSED(&broken, NWS_OPCODE_TEXT, "", 0, NWS_ERROR_ARGUMENT);
  REFUSED(&allocator, NWS_OPCODE_TEXT, NULL, 1, NWS_ERROR_ARGUMENT);
  REFUSED(&allocator, NWS_OPCODE_CONTINUATION, "", 0, NWS_ERROR_ARGUMENT);
  REFUSED(&allocator, NWS_OPCODE_PING, "", 0, NWS_ERROR_ARGUMENT);
  REFUSED(&allocator, 16, "", 0, NWS_ERROR_ARGUMENT);
  REFUSED(&allocator, NWS_OPCODE_TEXT, "\xc3", 1, NWS_ERROR_TEXT_SEND);
  REFUSED(&allocator, NWS_OPCODE_TEXT, "a\xff", 2, NWS_ERROR_TEXT_SEND);
  REFUSED(&allocator, NWS_OPCODE_BINARY, "", SIZE_MAX, NWS_ERROR_LENGTH);
  fails = 1;
  REFUSED(&allocator, NWS_OPCODE_BINARY, "\xff", 1, NWS_ERROR_MEMORY);
  fails = 0;
  assert_int_equal(nws_prepared_make(&allocator, NWS_OPCODE_TEXT, "", 0, NULL),
                   NWS_ERROR_ARGUMENT);
}

/* The rules of nws_conn_send() hold. */
static void when_it_may_be_sent(void **unused) {
  nws_prepared *message = make(NWS_OPCODE_TEXT, "Hello", 5);
  nws_prepared *custom = make(3, "x", 1);
  nws_prepared wrong = *message;
  nws_conn conn = {0};
  const uint8_t *frame;
  uint8_t out[64];
  size_t len;
  (void)unused;
  assert_int_equal(refuses(&conn, message), NWS_ERROR_STATE);
  assert_int_equal(nws_conn_init(&conn, NWS_ROLE_CLIENT, &config, NULL, 0),
                   NWS_OK);
  assert_int_equal(nws_conn_send_prepared(&conn, message, &frame, &len),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_conn_init(&conn, NWS_ROLE_SERVER, &config, NULL, 0),
                   NWS_OK);
  assert_int_equal(nws_conn_send_prepared(&conn, NULL, &frame, &len),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_conn_send_prepared(&conn, message, NULL, &len),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_conn_send_prepared(&conn, message, &frame, NULL),
                   NWS_ERROR_ARGUMENT);
  wrong.size--;
  assert_int_equal(nws_conn_send_prepared(&conn, &wrong, &frame, &len),
                   NWS_ERROR_ARGUMENT);
  wrong = *message;
  wrong.opcode = NWS_OPCODE_PING;
  assert_int_equal(nws_conn_send_prepared(&conn, &wrong, &frame, &len),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(refuses(&conn, custom), NWS_ERROR_OPCODE_DISABLED);

  assert_int_equal(nws_conn_send(&conn, NWS_OPCODE_TEXT | NWS_SEND_MORE, "a", 1,
                                 out, sizeof(out), &len),
                   NWS_OK);
  assert_int_equal(refuses(&conn, message), NWS_ERROR_MESSAGE_OPEN);
  assert_int_equal(nws_conn_send_begin(&conn, NWS_OPCODE_CONTINUATION, 1, out,
                                       sizeof(out), &len),
                   NWS_OK);
  assert_int_equal(refuses(&conn, message), NWS_ERROR_FRAME_OPEN);
  assert_int_equal(nws_conn_send_payload(&conn, NULL, "b", 1), NWS_OK);
  sends(&conn, message, "\x81\x05Hello", 7);
  assert_int_equal(nws_conn_send(&conn, NWS_OPCODE_CONTINUATION, "c", 1, out,
                                 sizeof(out), &len),
                   NWS_ERROR_NO_MESSAGE);
  assert_int_equal(
      nws_conn_close(&conn, 1000, nws_str_of(""), out, sizeof(out), &len),
      NWS_OK);
  assert_int_equal(refuses(&conn, message), NWS_ERROR_STATE);
  nws_prepared_drop(message);
  nws_prepared_drop(custom);
  assert_int_equal(live, 0);
}

/* --- Extensions --- */

static int shown, answer;

static int frame_out(void *state, nws_frame *frame, int may_transform) {
  (void)state;
  assert_int_equal(may_transform, 0);
  assert_int_equal(frame->opcode, NWS_OPCODE_TEXT);
  assert_int_equal(frame->payload_len, 5);
  shown++;
  if (answer == 2) {
    frame->rsv = NWS_RSV1;
    return NWS_EXTENSION_PASS;
  }
  return answer;
}

static int prepared(void *state, nws_prepared *message, const uint8_t **frame,
                    size_t *frame_len) {
  (void)state;
  (void)message;
  shown += 100;
  if (answer == NWS_EXTENSION_TRANSFORM) {
    *frame = (const uint8_t *)"\xc1\x01!";
    *frame_len = 3;
  }
  return answer;
}

static void extensions_choose(void **unused) {
  const nws_extension plain = {.size = sizeof(plain),
                               .name = "x-plain",
                               .rsv = NWS_RSV1,
                               .frame_out = frame_out};
  const nws_extension own = {.size = sizeof(own),
                             .name = "x-own",
                             .rsv = NWS_RSV1,
                             .frame_out = frame_out,
                             .prepared = prepared};
  const nws_extension *exts[] = {&plain, &own, &own};
  (void)unused;
  for (size_t i = 0; i < 3; i++) { /* the third is the message's own */
    nws_extension_use use = {.ext = exts[i]};
    nws_prepared *message = make(NWS_OPCODE_TEXT, "Hello", 5);
    nws_conn conn;
    message->ext = i == 2 ? &own : NULL;
    assert_int_equal(nws_conn_init(&conn, NWS_ROLE_SERVER, &config, &use, 1),
                     NWS_OK);
    shown = 0;
    answer = NWS_EXTENSION_PASS;
    sends(&conn, message, "\x81\x05Hello", 7);
    assert_int_equal(shown, i == 2 ? 100 : 1);
    answer = NWS_ERROR_NO_ENCODING;
    assert_int_equal(refuses(&conn, message), NWS_ERROR_NO_ENCODING);
    answer = NWS_ERROR_MEMORY;
    assert_int_equal(refuses(&conn, message), NWS_ERROR_MEMORY);
    answer = NWS_EXTENSION_TRANSFORM;
    if (i == 2) {
      sends(&conn, message, "\xc1\x01!", 3);
    } else {
      assert_int_equal(refuses(&conn, message), NWS_ERROR_NO_ENCODING);
      answer = 2; /* passes, but wants its bit */
      assert_int_equal(refuses(&conn, message), NWS_ERROR_NO_ENCODING);
    }
    answer = NWS_EXTENSION_PASS;
    sends(&conn, message, "\x81\x05Hello", 7);
    nws_prepared_drop(message);
  }
  assert_int_equal(live, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_bytes_for_all),
      cmocka_unit_test(as_long_as_frames_are),
      cmocka_unit_test(held_until_dropped),
      cmocka_unit_test(what_cannot_be_made),
      cmocka_unit_test(when_it_may_be_sent),
      cmocka_unit_test(extensions_choose),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
