/* test_message.c - whole messages out of pieces: when nothing is copied, what
 * memory it costs, what limits and failing allocators do, and that one message
 * lost does not spoil the next.
 */
#include "conn_help.h"

#include <nws/message.h>

/* An allocator that counts, checks the sizes it is told, and can fail. */
typedef struct heap {
  nws_allocator allocator;
  size_t live;    /* bytes out */
  size_t peak;    /* most of them */
  unsigned calls; /* that wanted memory */
  unsigned fail;  /* this one of them fails, from 1; 0: none */
} heap;

static void *heap_resize(void *user, void *ptr, size_t old_len,
                         size_t new_len) {
  heap *h = user;
  assert_int_equal(ptr == NULL, old_len == 0);
  assert_int_equal(old_len, h->live); /* one block at a time */
  if (new_len == 0) {
    free(ptr);
    h->live = 0;
    return NULL;
  }
  if (++h->calls == h->fail) {
    return NULL;
  }
  /* Always moves, so that a stale pointer is found. */
  uint8_t *block = malloc(new_len);
  assert_non_null(block);
  if (old_len > 0) {
    memcpy(block, ptr, old_len < new_len ? old_len : new_len);
  }
  free(ptr);
  h->live = new_len;
  h->peak = new_len > h->peak ? new_len : h->peak;
  return block;
}

static void heap_init(heap *h) {
  memset(h, 0, sizeof(*h));
  h->allocator.resize = heap_resize;
  h->allocator.user = h;
}

/* A piece of a message, made by hand. */
static nws_event piece(unsigned flags, const void *data, size_t len) {
  nws_event event;
  memset(&event, 0, sizeof(event));
  event.type = NWS_EVENT_DATA;
  event.opcode = NWS_OPCODE_BINARY;
  event.frame_opcode = NWS_OPCODE_BINARY;
  event.flags = (uint8_t)flags;
  memcpy(&event.data, &data, sizeof(event.data));
  event.len = len;
  return event;
}

/* Adds a piece from memory that is gone afterwards. */
static int add(nws_message *message, unsigned flags, const void *data,
               size_t len) {
  uint8_t *copy = malloc(len + 1);
  assert_non_null(copy);
  if (len > 0) {
    memcpy(copy, data, len);
  }
  const nws_event event = piece(flags, copy, len);
  const int rc = nws_message_add(message, &event);
  free(copy);
  return rc;
}

enum {
  BEGIN = NWS_MESSAGE_BEGIN | NWS_FRAME_BEGIN,
  MIDDLE = 0,
  END = NWS_MESSAGE_END | NWS_FRAME_END
};

static void expect_message(const nws_message *message, const void *data,
                           size_t len) {
  assert_int_equal(message->len, len);
  if (len > 0) {
    assert_memory_equal(message->data, data, len);
  }
}

/* --- Copies --- */

static void whole_is_not_copied(void **unused) {
  heap h;
  nws_message m;
  const char text[] = "hello";
  (void)unused;
  heap_init(&h);
  nws_message_init(&m, &h.allocator, 5);
  for (size_t len = 0; len <= 5; len++) {
    const nws_event event = piece(NWS_MESSAGE_WHOLE, text, len);
    assert_int_equal(nws_message_add(&m, &event), NWS_OK);
    assert_ptr_equal(m.data, text);
    assert_int_equal(m.len, len);
    assert_int_equal(m.opcode, NWS_OPCODE_BINARY);
  }
  assert_int_equal(h.calls, 0);
  /* Also without any allocator. */
  nws_message_init(&m, NULL, 0);
  const nws_event event = piece(NWS_MESSAGE_WHOLE, text, 5);
  assert_int_equal(nws_message_add(&m, &event), NWS_OK);
  assert_int_equal(add(&m, BEGIN, "ab", 2), NWS_ERROR_MEMORY);
  nws_message_free(&m);
}

/* Out of a connection, cut everywhere, with control frames in between. */
static void out_of_a_connection(void **unused) {
  uint8_t stream[128], b[128];
  heap h;
  nws_message m;
  end probe = {0};
  (void)unused;
  heap_init(&h);
  nws_message_init(&m, &h.allocator, 0);
  end_open(&probe, NWS_ROLE_SERVER);
  size_t n = put_peer(&probe, stream, 1, "gr\xc3", 3);
  n += put_peer(&probe, stream + n, FIN | 9, "ping", 4);
  n += put_peer(&probe, stream + n, 0, "", 0);
  n += put_peer(&probe, stream + n, FIN | 10, "pong", 4);
  n += put_peer(&probe, stream + n, FIN, "\xbc\xc3\x9f", 3);
  n += put_peer(&probe, stream + n, FIN | 2, "whole", 5);
  n += put_peer(&probe, stream + n, FIN | 1, "", 0);
  for (size_t a = 0; a <= n; a++) {
    for (size_t c = a; c <= n; c++) {
      static const struct {
        const char *text;
        unsigned opcode;
      } want[] = {{"gr\xc3\xbc\xc3\x9f", 1}, {"whole", 2}, {"", 1}};
      const size_t cuts[] = {0, a, c, n};
      unsigned got = 0;
      end e = {0};
      end_open(&e, NWS_ROLE_SERVER);
      memcpy(b, stream, n);
      for (size_t i = 0; i < 3; i++) {
        nws_input in = {b + cuts[i], cuts[i + 1] - cuts[i], 0};
        nws_event event;
        while (end_take(&e, &in, &event) > 0) {
          const int rc = nws_message_add(&m, &event);
          assert_true(rc == NWS_OK || rc == NWS_MORE);
          if (rc == NWS_OK) {
            assert_true(got < 3);
            assert_int_equal(m.opcode, want[got].opcode);
            expect_message(&m, want[got].text, strlen(want[got].text));
            got++;
          }
        }
      }
      assert_int_equal(got, 3);
    }
  }
  nws_message_free(&m);
  assert_int_equal(h.live, 0);
}

static void others_are_ignored(void **unused) {
  heap h;
  nws_message m;
  (void)unused;
  heap_init(&h);
  nws_message_init(&m, &h.allocator, 4);
  assert_int_equal(add(&m, BEGIN, "ab", 2), NWS_MORE);
  for (unsigned type = NWS_EVENT_PING; type <= NWS_EVENT_CONTROL; type++) {
    nws_event event = piece(NWS_MESSAGE_WHOLE, "much longer", 11);
    event.type = (uint8_t)type;
    assert_int_equal(nws_message_add(&m, &event), NWS_MORE);
  }
  assert_int_equal(add(&m, END, "cd", 2), NWS_OK);
  expect_message(&m, "abcd", 4);
  nws_message_free(&m);
}

static void empty_pieces(void **unused) {
  heap h;
  nws_message m;
  (void)unused;
  heap_init(&h);
  nws_message_init(&m, &h.allocator, 0);
  assert_int_equal(add(&m, BEGIN | NWS_FRAME_END, NULL, 0), NWS_MORE);
  assert_int_equal(add(&m, END, NULL, 0), NWS_OK);
  expect_message(&m, NULL, 0);
  assert_int_equal(h.calls, 0);
  assert_int_equal(add(&m, BEGIN, "a", 1), NWS_MORE);
  assert_int_equal(add(&m, NWS_FRAME_END, NULL, 0), NWS_MORE);
  assert_int_equal(add(&m, END, NULL, 0), NWS_OK);
  expect_message(&m, "a", 1);
  nws_message_free(&m);
}

/* --- Limits and failures --- */

static void limit_at_the_edge(void **unused) {
  static const char text[] = "0123456789a";
  (void)unused;
  for (size_t len = 9; len <= 11; len++) {
    const int rc = len <= 10 ? NWS_OK : NWS_ERROR_MESSAGE_LIMIT;
    heap h;
    nws_message m;
    heap_init(&h);
    nws_message_init(&m, &h.allocator, 10);
    assert_int_equal(add(&m, NWS_MESSAGE_WHOLE, text, len), rc);
    for (size_t cut = 0; cut < len; cut++) {
      assert_int_equal(add(&m, BEGIN, text, cut), NWS_MORE);
      assert_int_equal(add(&m, END, text + cut, len - cut), rc);
      if (rc == NWS_OK) {
        expect_message(&m, text, len);
      }
    }
    assert_true(h.peak <= 10);
    nws_message_free(&m);
  }
}

static void default_and_no_limit(void **unused) {
  static uint8_t data[(1 << 20) + 1];
  heap h;
  nws_message m;
  (void)unused;
  heap_init(&h);
  nws_message_init(&m, &h.allocator, 0);
  assert_int_equal(add(&m, NWS_MESSAGE_WHOLE, data, 1 << 20), NWS_OK);
  assert_int_equal(add(&m, NWS_MESSAGE_WHOLE, data, sizeof(data)),
                   NWS_ERROR_MESSAGE_LIMIT);
  assert_int_equal(add(&m, BEGIN, data, 1 << 19), NWS_MORE);
  assert_int_equal(add(&m, MIDDLE, data, 1 << 19), NWS_MORE);
  assert_int_equal(add(&m, END, data, 1), NWS_ERROR_MESSAGE_LIMIT);
  nws_message_free(&m);
  nws_message_init(&m, &h.allocator, NWS_UNLIMITED);
  assert_int_equal(add(&m, BEGIN, data, sizeof(data)), NWS_MORE);
  assert_int_equal(add(&m, END, data, sizeof(data)), NWS_OK);
  assert_int_equal(m.len, 2 * sizeof(data));
  nws_message_free(&m);
}

/* Each allocation fails in turn; the rest of that message is refused, the next
 * one comes through. */
static void allocator_fails(void **unused) {
  uint8_t data[100], whole[2000];
  unsigned failed = 0;
  (void)unused;
  for (unsigned i = 0; i < sizeof(whole); i++) {
    whole[i] = (uint8_t)(i * 7 / 3);
  }
  for (unsigned fail = 1; fail < 20; fail++) {
    heap h;
    nws_message m;
    heap_init(&h);
    h.fail = fail;
    nws_message_init(&m, &h.allocator, 0);
    int sticky = NWS_MORE;
    for (unsigned i = 0; i < 20; i++) {
      const unsigned flags = i == 0 ? BEGIN : i == 19 ? END : MIDDLE;
      memcpy(data, whole + i * 100, 100);
      const int rc = add(&m, flags, data, 100);
      if (sticky == NWS_ERROR_MEMORY) {
        assert_int_equal(rc, NWS_ERROR_MEMORY);
      } else if (rc != NWS_ERROR_MEMORY) {
        assert_int_equal(rc, i == 19 ? NWS_OK : NWS_MORE);
      }
      sticky = rc;
    }
    failed += sticky == NWS_ERROR_MEMORY;
    assert_int_equal(sticky == NWS_ERROR_MEMORY, h.calls >= fail);
    /* The next message is not spoiled. */
    assert_int_equal(add(&m, BEGIN, whole, 1500), NWS_MORE);
    assert_int_equal(add(&m, END, whole + 1500, 500), NWS_OK);
    expect_message(&m, whole, sizeof(whole));
    nws_message_free(&m);
    assert_int_equal(h.live, 0);
  }
  assert_true(failed >= 2);
}

static void limit_sticks_until_the_next(void **unused) {
  heap h;
  nws_message m;
  (void)unused;
  heap_init(&h);
  nws_message_init(&m, &h.allocator, 5);
  assert_int_equal(add(&m, BEGIN, "abc", 3), NWS_MORE);
  assert_int_equal(add(&m, MIDDLE, "def", 3), NWS_ERROR_MESSAGE_LIMIT);
  assert_int_equal(add(&m, MIDDLE, "g", 1), NWS_ERROR_MESSAGE_LIMIT);
  assert_int_equal(add(&m, MIDDLE, NULL, 0), NWS_ERROR_MESSAGE_LIMIT);
  assert_int_equal(add(&m, END, NULL, 0), NWS_ERROR_MESSAGE_LIMIT);
  assert_int_equal(add(&m, BEGIN, "xy", 2), NWS_MORE);
  assert_int_equal(add(&m, END, "z", 1), NWS_OK);
  expect_message(&m, "xyz", 3);
  assert_int_equal(add(&m, NWS_MESSAGE_WHOLE, "abcdef", 6),
                   NWS_ERROR_MESSAGE_LIMIT);
  const nws_event event = piece(NWS_MESSAGE_WHOLE, "whole", 5);
  assert_int_equal(nws_message_add(&m, &event), NWS_OK);
  expect_message(&m, "whole", 5);
  nws_message_free(&m);
}

/* --- Memory --- */

/* A million pieces of one byte: at most two bytes of memory for each, and few
 * moves. */
static void million_tiny_pieces(void **unused) {
  heap h;
  nws_message m;
  (void)unused;
  heap_init(&h);
  nws_message_init(&m, &h.allocator, 0);
  for (unsigned i = 0; i < 1000000; i++) {
    const uint8_t byte = (uint8_t)(i * 31 >> 3);
    const nws_event event = piece(i == 0        ? BEGIN
                                  : i == 999999 ? END
                                                : MIDDLE,
                                  &byte, 1);
    assert_int_equal(nws_message_add(&m, &event),
                     i == 999999 ? NWS_OK : NWS_MORE);
    assert_true(h.live <= 2 * (i + 1) + 256);
  }
  assert_int_equal(m.len, 1000000);
  for (unsigned i = 0; i < 1000000; i++) {
    assert_true(m.data[i] == (uint8_t)(i * 31 >> 3));
  }
  assert_true(h.calls < 60);
  nws_message_free(&m);
  assert_int_equal(h.live, 0);
}

/* What a frame announces is not allocated. */
static void announced_is_not_allocated(void **unused) {
  heap h;
  nws_message m;
  uint8_t b[64];
  end e = {.config = {.max_message = NWS_UNLIMITED}};
  nws_event event;
  (void)unused;
  heap_init(&h);
  nws_message_init(&m, &h.allocator, NWS_UNLIMITED);
  end_open(&e, NWS_ROLE_CLIENT);
  const size_t n = put_header(b, FIN | 2, NULL, UINT64_C(1) << 40);
  nws_input in = {b, n + 20, 0};
  assert_int_equal(end_take(&e, &in, &event), NWS_EVENT_DATA);
  assert_int_equal(nws_message_add(&m, &event), NWS_MORE);
  assert_true(h.peak <= 1024);
  nws_message_free(&m);
}

static void trim_and_free(void **unused) {
  static uint8_t data[1000];
  heap h;
  nws_message m;
  (void)unused;
  heap_init(&h);
  nws_message_init(&m, &h.allocator, 0);
  nws_message_trim(&m, 0); /* nothing there */
  nws_message_free(&m);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(add(&m, BEGIN, data, 999), NWS_MORE);
    assert_int_equal(add(&m, END, data, 1), NWS_OK);
    const size_t held = h.live;
    assert_true(held >= 1000);
    nws_message_trim(&m, held);
    assert_int_equal(h.live, held);
    nws_message_trim(&m, held - 1);
    assert_int_equal(h.live, 0);
  }
  /* A block is used again for the next message. */
  assert_int_equal(add(&m, BEGIN, data, 500), NWS_MORE);
  assert_int_equal(add(&m, END, data, 400), NWS_OK);
  const unsigned calls = h.calls;
  assert_int_equal(add(&m, BEGIN, "new", 3), NWS_MORE);
  assert_int_equal(add(&m, END, "er", 2), NWS_OK);
  expect_message(&m, "newer", 5);
  assert_int_equal(h.calls, calls);
  /* Freed in the middle of a message, it can be used again. */
  assert_int_equal(add(&m, BEGIN, data, 500), NWS_MORE);
  nws_message_free(&m);
  assert_int_equal(h.live, 0);
  assert_int_equal(m.len, 0);
  assert_null(m.data);
  assert_int_equal(add(&m, BEGIN, "a", 1), NWS_MORE);
  assert_int_equal(add(&m, END, "b", 1), NWS_OK);
  expect_message(&m, "ab", 2);
  nws_message_free(&m);
  nws_message_free(&m);
  assert_int_equal(h.live, 0);
}

static void null_pointers(void **unused) {
  heap h;
  nws_message m;
  const nws_event event = piece(NWS_MESSAGE_WHOLE, "x", 1);
  (void)unused;
  heap_init(&h);
  nws_message_init(&m, &h.allocator, 0);
  assert_int_equal(nws_message_add(NULL, &event), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_message_add(&m, NULL), NWS_ERROR_ARGUMENT);
  nws_message_init(NULL, &h.allocator, 0);
  nws_message_trim(NULL, 0);
  nws_message_free(NULL);
  assert_int_equal(h.calls, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_is_not_copied),
      cmocka_unit_test(out_of_a_connection),
      cmocka_unit_test(others_are_ignored),
      cmocka_unit_test(empty_pieces),
      cmocka_unit_test(limit_at_the_edge),
      cmocka_unit_test(default_and_no_limit),
      cmocka_unit_test(allocator_fails),
      cmocka_unit_test(limit_sticks_until_the_next),
      cmocka_unit_test(million_tiny_pieces),
      cmocka_unit_test(announced_is_not_allocated),
      cmocka_unit_test(trim_and_free),
      cmocka_unit_test(null_pointers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
