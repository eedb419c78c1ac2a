/* test_conn_recv.c - bytes in, events out: what each call takes and tells,
 * unmasking in place, cut frames, limits, and a hundred thousand random
 * streams that must give the same whole and byte by byte.
 */
#include "conn_help.h"

#include <pthread.h>

/* Wants the next event to be of this type. */
static nws_event expect_event(end *e, nws_input *in, int type) {
  nws_event event;
  memset(&event, 0xee, sizeof(event));
  assert_int_equal(end_take(e, in, &event), type);
  assert_int_equal(event.type, type);
  return event;
}

/* --- What is taken, and what is touched --- */

static void unmask_one(size_t align, size_t len) {
  uint8_t plain[80], wire_bytes[160], buffer[200];
  uint64_t seed = align * 1000 + len;
  end e = {0};
  end_open(&e, NWS_ROLE_SERVER);
  for (size_t i = 0; i < sizeof(plain); i++) {
    plain[i] = (uint8_t)dice(&seed);
  }
  size_t first = put_peer(&e, wire_bytes, FIN | 2, plain, len);
  size_t total = first + put_peer(&e, wire_bytes + first, FIN | 2, plain, 60);
  memset(buffer, 0xcc, sizeof(buffer));
  memcpy(buffer + align, wire_bytes, total);

  nws_input in = {buffer + align, total, 0};
  const nws_event event = expect_event(&e, &in, NWS_EVENT_DATA);
  assert_ptr_equal(in.data, buffer + align + first);
  assert_int_equal(in.len, total - first);
  assert_int_equal(event.len, len);
  assert_memory_equal(event.data, plain, len);
  if (len > 0) {
    assert_ptr_equal(event.data, buffer + align + first - len);
  }
  /* Nothing before the payload or behind it was written to. */
  assert_memory_equal(in.data, wire_bytes + first, total - first);
  for (size_t i = 0; i < align; i++) {
    assert_int_equal(buffer[i], 0xcc);
  }
  for (size_t i = align + total; i < sizeof(buffer); i++) {
    assert_int_equal(buffer[i], 0xcc);
  }
}

static void unmasks_in_place(void **unused) {
  (void)unused;
  for (size_t align = 0; align < 17; align++) {
    for (size_t len = 0; len <= 70; len++) {
      unmask_one(align, len);
    }
  }
}

/* A payload in three reads at every pair of cuts: the key goes on turning. */
static void unmasks_across_reads(void **unused) {
  uint8_t plain[24], frame[40];
  (void)unused;
  for (size_t i = 0; i < sizeof(plain); i++) {
    plain[i] = (uint8_t)(i * 7);
  }
  for (size_t a = 0; a <= 30; a++) {
    for (size_t b = a; b <= 30; b++) {
      uint8_t got[24];
      size_t len = 0;
      end e = {0};
      end_open(&e, NWS_ROLE_SERVER);
      assert_int_equal(put_peer(&e, frame, FIN | 2, plain, 24), 30);
      const size_t cuts[] = {0, a, b, 30};
      for (size_t i = 0; i < 3; i++) {
        nws_input in = {frame + cuts[i], cuts[i + 1] - cuts[i], 0};
        nws_event event;
        while (end_take(&e, &in, &event) > 0) {
          assert_int_equal(event.message_offset, len);
          assert_int_equal(event.frame_left, 24 - len - event.len);
          memcpy(got + len, event.data, event.len);
          len += event.len;
        }
      }
      assert_int_equal(len, 24);
      assert_memory_equal(got, plain, 24);
    }
  }
}

/* --- Event fields --- */

/* One event, as a table wants it. */
typedef struct row {
  unsigned opcode, frame_opcode, flags;
  size_t len, frame_len, frame_left, offset;
} row;

static void expect_row(end *e, nws_input *in, const row *want) {
  const nws_event event = expect_event(e, in, NWS_EVENT_DATA);
  assert_int_equal(event.opcode, want->opcode);
  assert_int_equal(event.frame_opcode, want->frame_opcode);
  assert_int_equal(event.flags, want->flags);
  assert_int_equal(event.len, want->len);
  assert_int_equal(event.frame_len, want->frame_len);
  assert_int_equal(event.frame_left, want->frame_left);
  assert_int_equal(event.message_offset, want->offset);
}

static void fields_of_pieces(void **unused) {
  enum { FB = NWS_FRAME_BEGIN, FE = NWS_FRAME_END };
  enum { MB = NWS_MESSAGE_BEGIN, ME = NWS_MESSAGE_END };
  static const row rows[] = {
      {2, 2, FB | MB, 4, 10, 6, 0},     /* 4 of a first frame of 10 */
      {2, 2, 0, 5, 10, 1, 4},           /* 5 more */
      {2, 2, FE, 1, 10, 0, 9},          /* its last byte */
      {2, 0, FB | FE, 0, 0, 0, 10},     /* an empty continuation */
      {2, 0, FB | FE, 3, 3, 0, 10},     /* a whole one */
      {2, 0, FB, 1, 2, 1, 13},          /* half of the last one */
      {2, 0, FE | ME, 1, 2, 0, 14},     /* the rest */
      {1, 1, FB | FE | MB, 0, 0, 0, 0}, /* an empty first frame */
      {1, 0, FB | FE | ME, 0, 0, 0, 0}, /* an empty last one */
      {2, 2, NWS_MESSAGE_WHOLE, 0, 0, 0, 0},
      {1, 1, NWS_MESSAGE_WHOLE, 2, 2, 0, 0}};
  (void)unused;
  for (nws_role role = NWS_ROLE_CLIENT; role <= NWS_ROLE_SERVER; role++) {
    uint8_t b[128];
    end e = {0};
    end_open(&e, role);
    const size_t head = role == NWS_ROLE_SERVER ? 6 : 2;
    size_t n = put_peer(&e, b, 2, "0123456789", 10);
    n += put_peer(&e, b + n, 0, "", 0);
    n += put_peer(&e, b + n, 0, "abc", 3);
    n += put_peer(&e, b + n, FIN, "de", 2);
    const size_t text = n;
    n += put_peer(&e, b + n, 1, "", 0);
    n += put_peer(&e, b + n, FIN, "", 0);
    n += put_peer(&e, b + n, FIN | 2, "", 0);
    n += put_peer(&e, b + n, FIN | 1, "hi", 2);
    const size_t cuts[] = {0, head + 4, head + 9, text - 1, n};
    size_t next = 0;
    for (size_t i = 0; i + 1 < sizeof(cuts) / sizeof(cuts[0]); i++) {
      nws_input in = {b + cuts[i], cuts[i + 1] - cuts[i], 0};
      while (in.len > 0) {
        assert_true(next < sizeof(rows) / sizeof(rows[0]));
        expect_row(&e, &in, &rows[next++]);
      }
      nws_event event;
      assert_int_equal(end_take(&e, &in, &event), 0);
    }
    assert_int_equal(next, sizeof(rows) / sizeof(rows[0]));
  }
}

static void fields_of_reserved(void **unused) {
  uint8_t b[64];
  end e = {.config = {.rsv_in = NWS_RSV1 | NWS_RSV3,
                      .opcodes_in = 1 << 3 | 1 << 15}};
  (void)unused;
  end_open(&e, NWS_ROLE_SERVER);
  size_t n = put_peer(&e, b, FIN | NWS_RSV1 | NWS_RSV3 | 3, "abc", 3);
  n += put_peer(&e, b + n, FIN | NWS_RSV3 | 15, "xy", 2);
  n += put_peer(&e, b + n, 3, "", 0);
  n += put_peer(&e, b + n, FIN, "\xff", 1);
  nws_input in = {b, n, 0};
  nws_event event = expect_event(&e, &in, NWS_EVENT_DATA);
  assert_int_equal(event.opcode, 3);
  assert_int_equal(event.frame_opcode, 3);
  assert_int_equal(event.rsv, NWS_RSV1 | NWS_RSV3);
  event = expect_event(&e, &in, NWS_EVENT_CONTROL);
  assert_int_equal(event.opcode, 15);
  assert_int_equal(event.rsv, NWS_RSV3);
  assert_int_equal(event.flags, NWS_MESSAGE_WHOLE);
  assert_memory_equal(event.data, "xy", 2);
  expect_event(&e, &in, NWS_EVENT_DATA);
  event = expect_event(&e, &in, NWS_EVENT_DATA);
  assert_int_equal(event.opcode, 3);
  assert_int_equal(event.frame_opcode, 0);
}

/* 2^40 bytes announced and 100 given: nothing but counters grows. */
static void huge_lengths(void **unused) {
  (void)unused;
  for (unsigned bit = 16; bit < 63; bit++) {
    uint8_t b[120] = {0};
    const uint64_t len = UINT64_C(1) << bit;
    end e = {.config = {.max_message = NWS_UNLIMITED}};
    end_open(&e, NWS_ROLE_SERVER);
    const size_t head = put_header(b, 2, peer_key, len);
    nws_input in = {b, head + 100, 0};
    nws_event event = expect_event(&e, &in, NWS_EVENT_DATA);
    assert_int_equal(event.len, 100);
    assert_int_equal(event.flags, NWS_FRAME_BEGIN | NWS_MESSAGE_BEGIN);
    assert_true(event.frame_len == len);
    assert_true(event.frame_left == len - 100);
    assert_int_equal(in.len, 0);
    in = (nws_input){b, 10, 0};
    event = expect_event(&e, &in, NWS_EVENT_DATA);
    assert_true(event.frame_left == len - 110);
    assert_int_equal(event.message_offset, 100);
  }
}

/* --- Control frames and the spill --- */

static int within(const uint8_t *p, const void *area, size_t len) {
  const uint8_t *from = area;
  return p >= from && p < from + len;
}

/* Cuts a control frame at every byte, behind a data frame. With and without a
 * spill lent in advance, it comes whole; asking for the spill loses nothing. */
static void cut_control(nws_role role, unsigned opcode, const char *payload,
                        size_t len, size_t skip) {
  const size_t head = role == NWS_ROLE_SERVER ? 6 : 2;
  const size_t data = head + 3;
  for (size_t cut = 0; cut <= data + head + len; cut++) {
    for (int lazy = 0; lazy < 2; lazy++) {
      uint8_t b[160];
      end e = {.lazy = lazy};
      nws_event event;
      end_open(&e, role);
      size_t n = put_peer(&e, b, 2, "abc", 3);
      n += put_peer(&e, b + n, FIN | opcode, payload, len);
      nws_input in = {b, cut, 0};
      int type = 0;
      unsigned controls = 0;
      for (int part = 0; part < 2; part++) {
        while ((type = end_take(&e, &in, &event)) > 0) {
          if (type == NWS_EVENT_DATA) {
            continue;
          }
          controls++;
          assert_int_equal(event.opcode, opcode);
          assert_int_equal(event.flags, NWS_MESSAGE_WHOLE);
          assert_int_equal(event.frame_len, len);
          assert_int_equal(event.frame_left, 0);
          assert_int_equal(event.len, len - skip);
          assert_memory_equal(event.data, payload + skip, len - skip);
          const int inside = cut <= data + head || cut == n;
          assert_int_equal(within(event.data, b, n), inside);
          assert_int_equal(within(event.data, &e.spill, sizeof(e.spill)),
                           !inside);
        }
        assert_int_equal(type, 0);
        in = (nws_input){b + cut, n - cut, 0};
      }
      assert_int_equal(controls, 1);
    }
  }
}

static void control_at_every_cut(void **unused) {
  char longest[125];
  (void)unused;
  memset(longest, 'x', sizeof(longest));
  for (nws_role role = NWS_ROLE_CLIENT; role <= NWS_ROLE_SERVER; role++) {
    cut_control(role, NWS_OPCODE_PING, "ping!", 5, 0);
    cut_control(role, NWS_OPCODE_PING, longest, 125, 0);
    cut_control(role, NWS_OPCODE_PONG, "pong", 4, 0);
    cut_control(role, NWS_OPCODE_CLOSE, "\x03\xe8gr\xc3\xbc\xc3\x9f", 8, 2);
    cut_control(role, NWS_OPCODE_CLOSE,
                "\x03\xe8"
                "bye",
                5, 2);
  }
}

/* What never needs a spill: whole frames whose reply is not owed from it. */
static void whole_control_needs_no_spill(void **unused) {
  uint8_t b[64];
  nws_event event;
  end e = {.lazy = 1, .config = {.manual_pong = 1}};
  (void)unused;
  end_open(&e, NWS_ROLE_SERVER);
  size_t n = put_peer(&e, b, FIN | 9, "a", 1);
  n += put_peer(&e, b + n, FIN | 10, "b", 1);
  n += put_peer(&e, b + n, FIN | 8, "\x03\xe8", 2);
  nws_input in = {b, n, 0};
  assert_int_equal(nws_conn_recv(&e.conn, &in, &event), NWS_EVENT_PING);
  assert_int_equal(nws_conn_recv(&e.conn, &in, &event), NWS_EVENT_PONG);
  assert_int_equal(nws_conn_recv(&e.conn, &in, &event), NWS_EVENT_CLOSE);
  assert_int_equal(nws_conn_recv(&e.conn, &in, &event), 0);
  expect_owed(&e, NWS_OPCODE_CLOSE, "\x03\xe8", 2);
  assert_null(nws_conn_reclaim(&e.conn));
}

/* Asked for a spill again and again, the connection keeps asking. */
static void spill_refused(void **unused) {
  uint8_t b[64];
  nws_event event;
  end e = {.lazy = 1};
  (void)unused;
  end_open(&e, NWS_ROLE_SERVER);
  const size_t n = put_peer(&e, b, FIN | 9, "abc", 3);
  nws_input in = {b, n, 0};
  for (int i = 0; i < 5; i++) {
    assert_int_equal(nws_conn_recv(&e.conn, &in, &event), NWS_ERROR_SPILL);
  }
  assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_OPEN);
  assert_int_equal(nws_conn_fault(&e.conn).error, NWS_OK);
  assert_int_equal(nws_conn_lend(&e.conn, &e.spill), 1);
  event = expect_event(&e, &in, NWS_EVENT_PING);
  assert_memory_equal(event.data, "abc", 3);
  expect_owed(&e, NWS_OPCODE_PONG, "abc", 3);
}

/* The header of an empty ping uses its input up; what the spill is then lent
 * for may come without bytes, and so without an address. */
static void empty_ping_from_no_input(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    uint8_t b[16];
    nws_event event;
    end e = {.lazy = 1};
    end_open(&e, r ? NWS_ROLE_SERVER : NWS_ROLE_CLIENT);
    nws_input in = {b, put_peer(&e, b, FIN | 9, "", 0), 0};
    assert_int_equal(nws_conn_recv(&e.conn, &in, &event), NWS_ERROR_SPILL);
    assert_int_equal(in.len, 0);
    in.data = NULL;
    assert_int_equal(nws_conn_recv(&e.conn, &in, &event), NWS_ERROR_SPILL);
    assert_int_equal(nws_conn_lend(&e.conn, &e.spill), 1);
    assert_int_equal(nws_conn_recv(&e.conn, &in, &event), NWS_EVENT_PING);
    assert_true(nws__conn_valid(&e.conn));
    assert_int_equal(event.len, 0);
    assert_int_equal(nws_conn_recv(&e.conn, &in, &event), 0);
    expect_owed(&e, NWS_OPCODE_PONG, "", 0);
  }
}

static void reclaimed_unless_needed(void **unused) {
  uint8_t b[64], out[512];
  end e = {.lazy = 1};
  (void)unused;
  end_open(&e, NWS_ROLE_SERVER);
  e.lazy = 0;
  assert_null(nws_conn_reclaim(&e.conn)); /* there is none */
  assert_int_equal(nws_conn_lend(&e.conn, &e.spill), 1);
  assert_int_equal(nws_conn_lend(&e.conn, &e.spill), 0);
  assert_ptr_equal(nws_conn_reclaim(&e.conn), &e.spill);
  assert_null(nws_conn_reclaim(&e.conn));

  /* A cut data frame needs none; a cut control payload does. */
  assert_int_equal(nws_conn_lend(&e.conn, &e.spill), 1);
  size_t n = put_peer(&e, b, FIN | 2, "abcdef", 6);
  for (size_t i = 0; i < n; i++) {
    assert_int_equal(end_feed(&e, b + i, 1, NULL), 0);
    assert_ptr_equal(nws_conn_reclaim(&e.conn), &e.spill);
    assert_int_equal(nws_conn_lend(&e.conn, &e.spill), 1);
  }
  n = put_peer(&e, b, FIN | 9, "abc", 3);
  assert_int_equal(end_feed(&e, b, 7, NULL), 0);
  assert_null(nws_conn_reclaim(&e.conn));
  assert_int_equal(end_feed(&e, b + 7, 1, NULL), 0);
  assert_null(nws_conn_reclaim(&e.conn));
  assert_int_equal(end_feed(&e, b + 8, n - 8, NULL), 0);
  assert_null(nws_conn_reclaim(&e.conn)); /* the pong is owed */
  end_flush(&e, out);
  assert_ptr_equal(nws_conn_reclaim(&e.conn), &e.spill);

  /* An unanswered ping holds it until the connection is finished. */
  assert_int_equal(nws_conn_lend(&e.conn, &e.spill), 1);
  end_hear(&e, FIN | 9, "abc", 3);
  assert_null(nws_conn_reclaim(&e.conn));
  size_t len = 0;
  assert_int_equal(
      nws_conn_close(&e.conn, 1000, nws_str_of(NULL), out, sizeof(out), &len),
      NWS_OK);
  assert_null(nws_conn_reclaim(&e.conn));
  end_hear(&e, FIN | 8, "\x03\xe8", 2);
  assert_int_equal(nws_conn_finished(&e.conn), 1);
  assert_ptr_equal(nws_conn_reclaim(&e.conn), &e.spill);
  assert_int_equal(nws_conn_owed(&e.conn), 0);
}

/* --- Floods --- */

static void million_pings(void **unused) {
  static uint8_t b[16000];
  uint8_t payload[4] = {0};
  end e = {0};
  (void)unused;
  end_open(&e, NWS_ROLE_SERVER);
  for (unsigned i = 0; i < 1000; i++) {
    size_t n = 0;
    for (unsigned j = 0; j < 1000; j++) {
      const unsigned id = i * 1000 + j;
      memcpy(payload, &id, 4);
      n += put_peer(&e, b + n, FIN | 9, payload, 4);
    }
    assert_int_equal(end_feed(&e, b, n, NULL), 0);
    assert_int_equal(nws_conn_owed(&e.conn), 6);
  }
  expect_owed(&e, NWS_OPCODE_PONG, payload, 4);
}

/* A million frames in one buffer, taken on a stack of 64 KiB. */
static void *take_million(void *count) {
  static uint8_t b[7 * 1000000];
  size_t n = 0;
  nws_event event;
  static end e;
  end_open(&e, NWS_ROLE_SERVER);
  for (unsigned i = 0; i < 1000000; i++) {
    n += put_peer(&e, b + n, FIN | (1 + i % 2), "x", 1);
  }
  nws_input in = {b, n, 0};
  while (nws_conn_recv(&e.conn, &in, &event) == NWS_EVENT_DATA) {
    *(size_t *)count += event.data[0] == 'x';
  }
  return NULL;
}

static void million_frames_small_stack(void **unused) {
  pthread_attr_t attr;
  pthread_t thread;
  size_t count = 0;
  (void)unused;
  assert_int_equal(pthread_attr_init(&attr), 0);
  assert_int_equal(pthread_attr_setstacksize(&attr, 65536), 0);
  assert_int_equal(pthread_create(&thread, &attr, take_million, &count), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(pthread_attr_destroy(&attr), 0);
  assert_int_equal(count, 1000000);
}

/* --- Moving, sticking, discarding --- */

/* The connection moves to new memory before each byte. */
static void moves_in_memory(void **unused) {
  uint8_t b[256], out[512];
  trace still = {.len = 0}, moving = {.len = 0};
  (void)unused;
  for (int move = 0; move < 2; move++) {
    nws_conn *conn = malloc(sizeof(*conn));
    end e = {0};
    nws_event event;
    assert_non_null(conn);
    end_open(&e, NWS_ROLE_SERVER);
    size_t n = put_peer(&e, b, 1, "gr\xc3", 3);
    n += put_peer(&e, b + n, FIN | 9, "ping", 4);
    n += put_peer(&e, b + n, FIN, "\xbc\xc3\x9f", 3);
    n += put_peer(&e, b + n, FIN | 8,
                  "\x03\xe8"
                  "bye",
                  5);
    *conn = e.conn;
    for (size_t i = 0; i < n; i++) {
      nws_input in = {b + i, 1, 0};
      while (nws_conn_recv(conn, &in, &event) > 0) {
        trace_event(move ? &moving : &still, &event);
        nws_conn *other = malloc(sizeof(*other));
        assert_non_null(other);
        *other = *conn;
        free(conn);
        conn = other;
      }
    }
    size_t len = 0;
    assert_int_equal(nws_conn_flush(conn, out, sizeof(out), &len), NWS_OK);
    assert_int_equal(len, 6 + 4);
    assert_int_equal(nws_conn_finished(conn), 1);
    free(conn);
  }
  assert_int_equal(still.len, moving.len);
  assert_memory_equal(still.bytes, moving.bytes, still.len);
}

static void faults_stick(void **unused) {
  uint8_t b[64], behind[6];
  nws_event event;
  end e = {0};
  (void)unused;
  end_open(&e, NWS_ROLE_SERVER);
  size_t n = put_peer(&e, b, FIN | 2, "ok", 2);
  n += put_peer(&e, b + n, FIN | 3, "", 0);
  assert_int_equal(end_feed(&e, b, n, NULL), NWS_ERROR_OPCODE);
  assert_int_equal(nws_conn_fault(&e.conn).offset, 8);
  for (int i = 0; i < 3; i++) {
    put_peer(&e, behind, FIN | 9, "", 0);
    nws_input in = {behind, 6, 0};
    memset(&event, 0xee, sizeof(event));
    assert_int_equal(nws_conn_recv(&e.conn, &in, &event), NWS_ERROR_OPCODE);
    assert_int_equal(nws_conn_fault(&e.conn).error, NWS_ERROR_OPCODE);
    assert_int_equal(nws_conn_fault(&e.conn).offset, 8);
  }
  expect_close(&e, 1002);
  nws_input in = {b, 1, 0};
  assert_int_equal(nws_conn_recv(&e.conn, &in, &event), NWS_ERROR_OPCODE);
}

/* RFC 6455 5.5.1, 1.4: after a close frame further bytes mean nothing. */
static void discards_after_close(void **unused) {
  (void)unused;
  for (size_t junk = 0; junk < 40; junk++) {
    uint8_t b[64];
    trace t = {.len = 0};
    end e = {0};
    end_open(&e, NWS_ROLE_SERVER);
    const size_t n = put_peer(&e, b, FIN | 8, "\x03\xe8", 2);
    memset(b + n, (int)(junk * 13), 40);
    assert_int_equal(end_feed(&e, b, n + junk, &t), 0);
    assert_int_equal(end_feed(&e, b + n, 40, &t), 0);
    assert_int_equal(t.len, 7 + 8 + 1); /* the close and no more */
    assert_int_equal(nws_conn_fault(&e.conn).error, NWS_OK);
    expect_owed(&e, NWS_OPCODE_CLOSE, "\x03\xe8", 2);
  }
}

/* --- Random streams --- */

/* Writes a random frame, mostly one that fits what came before. */
static size_t random_frame(const end *e, uint64_t *seed, int *open,
                           uint8_t *out) {
  static const char *const words[] = {"",
                                      "a",
                                      "gr\xc3\xbc\xc3\x9f",
                                      "\xf0\x9f\x98\x80!",
                                      "\x03\xe8ok",
                                      "\xc3",
                                      "\x9f",
                                      "\x03\xec"};
  const unsigned kind = dice_below(seed, 16);
  const char *word = words[dice_below(seed, kind < 12 ? 4 : 8)];
  unsigned first = *open ? 0 : 1 + dice_below(seed, 2);
  size_t len = strlen(word);
  uint8_t filled[300];
  memset(filled, 'z', sizeof(filled));
  memcpy(filled, word, len);
  if (kind < 4) {
    first = FIN | (9 + dice_below(seed, 2));
  } else if (kind < 10) {
    first |= FIN * dice_below(seed, 2);
  } else if (kind < 13) {
    len = dice_below(seed, 300);
  } else if (kind == 13) {
    first = (unsigned)dice(seed) & 0xff;
  } else {
    first = FIN | 8;
  }
  if (first < 8 || (first & FIN) != 0) {
    *open = (first & 8) != 0 ? *open : (first & FIN) == 0;
  }
  const size_t n = put_peer(e, out, first, filled, len);
  if (dice_below(seed, 24) == 0) {
    out[dice_below(seed, (unsigned)n)] ^= (uint8_t)(1u << dice_below(seed, 8));
  }
  return n;
}

static void random_stream(uint64_t seed, trace *whole, trace *bytes) {
  uint8_t stream[4096], copy[4096], out[2][512];
  end e = {.config = {.max_message = 500,
                      .rsv_in = NWS_RSV2,
                      .opcodes_in = 1 << 5 | 1 << 12}};
  end f = e;
  const nws_role role =
      dice_below(&seed, 2) ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
  int open = 0;
  size_t n = 0;
  f.lazy = (int)dice_below(&seed, 2);
  end_open(&e, role);
  end_open(&f, role);
  for (unsigned frames = 1 + dice_below(&seed, 10); frames > 0; frames--) {
    n += random_frame(&e, &seed, &open, stream + n);
  }
  memcpy(copy, stream, n);
  whole->len = bytes->len = 0;
  const int verdict = end_feed(&e, stream, n, whole);
  int rc = 0;
  for (size_t at = 0, step = 0; at < n; at += step) {
    step = f.lazy ? 1 + dice_below(&seed, 20) : 1;
    step = step > n - at ? n - at : step;
    rc = end_feed(&f, copy + at, step, bytes);
    assert_true(rc == 0 || rc == verdict);
  }
  assert_int_equal(rc, verdict);
  assert_int_equal(whole->len, bytes->len);
  assert_memory_equal(whole->bytes, bytes->bytes, whole->len);
  assert_int_equal(nws_conn_fault(&e.conn).offset,
                   nws_conn_fault(&f.conn).offset);
  assert_int_equal(nws_conn_state(&e.conn), nws_conn_state(&f.conn));
  assert_int_equal(nws_conn_close_code(&e.conn), nws_conn_close_code(&f.conn));
  const size_t owed = end_flush(&e, out[0]);
  assert_int_equal(end_flush(&f, out[1]), owed);
  assert_memory_equal(out[0], out[1], owed);
}

static void random_streams(void **unused) {
  static trace whole, bytes;
  (void)unused;
  for (uint64_t seed = 0; seed < 100000; seed++) {
    random_stream(seed * 1000003, &whole, &bytes);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(unmasks_in_place),
      cmocka_unit_test(unmasks_across_reads),
      cmocka_unit_test(fields_of_pieces),
      cmocka_unit_test(fields_of_reserved),
      cmocka_unit_test(huge_lengths),
      cmocka_unit_test(control_at_every_cut),
      cmocka_unit_test(whole_control_needs_no_spill),
      cmocka_unit_test(spill_refused),
      cmocka_unit_test(empty_ping_from_no_input),
      cmocka_unit_test(reclaimed_unless_needed),
      cmocka_unit_test(million_pings),
      cmocka_unit_test(million_frames_small_stack),
      cmocka_unit_test(moves_in_memory),
      cmocka_unit_test(faults_stick),
      cmocka_unit_test(discards_after_close),
      cmocka_unit_test(random_streams),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
