/* test_conn_control.c - what the engine does by itself: pongs, the closing
 * handshake from either side, faults with their close frames, and the end of
 * the transport.
 */
#include "conn_help.h"

static const nws_role both_roles[] = {NWS_ROLE_CLIENT, NWS_ROLE_SERVER};

/* Begins the closing handshake and throws the frame away. */
static void say_close(end *e, unsigned code) {
  uint8_t out[140];
  size_t len;
  assert_int_equal(
      nws_conn_close(&e->conn, code, nws_str_of(NULL), out, 140, &len), NWS_OK);
  assert_true(nws__conn_valid(&e->conn));
}

/* --- Pongs --- */

/* RFC 6455 5.5.3: the pong has the ping's payload; the latest is enough. */
static void pongs(void **unused) {
  uint8_t payload[125];
  (void)unused;
  for (size_t i = 0; i < 125; i++) {
    payload[i] = (uint8_t)(i * 5);
  }
  for (size_t r = 0; r < 2; r++) {
    end e = {0};
    end_open(&e, both_roles[r]);
    for (size_t len = 0; len <= 125; len++) {
      end_hear(&e, FIN | 9, payload, len);
      expect_owed(&e, NWS_OPCODE_PONG, payload, len);
    }
    end_hear(&e, FIN | 9, payload, 125);
    end_hear(&e, FIN | 9, "longer", 6);
    end_hear(&e, FIN | 9, "last", 4);
    end_hear(&e, FIN | 10, "pongs do not count", 18);
    expect_owed(&e, NWS_OPCODE_PONG, "last", 4);
    /* A ping that comes cut does not spoil the pong that is owed. */
    uint8_t b[32];
    end_hear(&e, FIN | 9, "first", 5);
    const size_t n = put_peer(&e, b, FIN | 9, "second", 6);
    assert_int_equal(end_feed(&e, b, n - 3, NULL), 0);
    expect_owed(&e, NWS_OPCODE_PONG, "first", 5);
    assert_int_equal(end_feed(&e, b + n - 3, 3, NULL), 0);
    expect_owed(&e, NWS_OPCODE_PONG, "second", 6);
  }
}

static void manual_pong(void **unused) {
  uint8_t out[512];
  end e = {.config = {.manual_pong = 1}};
  (void)unused;
  end_open(&e, NWS_ROLE_SERVER);
  assert_int_equal(end_hear(&e, FIN | 9, "ping", 4), 0);
  assert_int_equal(end_flush(&e, out), 0);
}

/* Pong, ping, close, in this order, and as many whole ones as fit. Nothing
 * overtakes: a short close waits behind a long pong. */
static void flush_with_every_cap(void **unused) {
  char ping[100];
  (void)unused;
  memset(ping, 'p', sizeof(ping));
  for (size_t r = 0; r < 2; r++) {
    const size_t extra = both_roles[r] == NWS_ROLE_CLIENT ? 4 : 0;
    const size_t first = 102 + extra, full = first + 4 + extra;
    for (size_t cap = 0; cap <= full + 1; cap++) {
      uint8_t out[512];
      size_t len = 999;
      end e = {0};
      end_open(&e, both_roles[r]);
      end_hear(&e, FIN | 9, ping, sizeof(ping));
      end_hear(&e, FIN | 8, "\x03\xe8", 2);
      assert_int_equal(nws_conn_owed(&e.conn), full);
      const nws_conn before = e.conn;
      const int rc = nws_conn_flush(&e.conn, out, cap, &len);
      assert_int_equal(rc, cap < first ? NWS_ERROR_BUFFER : NWS_OK);
      if (rc != NWS_OK) {
        assert_int_equal(len, first);
        assert_memory_equal(&before, &e.conn, sizeof(before));
        continue;
      }
      assert_int_equal(len, cap < full ? first : full);
      assert_int_equal(nws_conn_owed(&e.conn), full - len);
      if (len < full) {
        expect_owed(&e, NWS_OPCODE_CLOSE, "\x03\xe8", 2);
      }
      assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    }
  }
}

static void flush_order(void **unused) {
  uint8_t out[512];
  uint8_t *at = out;
  end e = {0};
  (void)unused;
  end_open(&e, NWS_ROLE_CLIENT);
  assert_int_equal(nws_conn_ping(&e.conn, 5), NWS_OK);
  end_hear(&e, FIN | 9, "ping", 4);
  size_t len = end_flush(&e, out);
  expect_frame(&e, &at, &len, FIN | 10, "ping", 4);
  const wire w = wire_read(at, len);
  assert_int_equal(w.first, FIN | NWS_OPCODE_PING);
  assert_int_equal(w.size, len);
  /* Two frames, and the source fails at the second: the first is out. */
  assert_int_equal(e.draws, 2);
}

/* --- The closing handshake --- */

/* RFC 6455 5.5.1, 7.1.1: the peer begins; the reply has its code, and the
 * server then closes the transport. */
static void peer_closes(void **unused) {
  static const struct {
    const char *payload;
    size_t len;
    unsigned code;
  } rows[] = {{"", 0, 1005},
              {"\x03\xe8", 2, 1000},
              {"\x03\xe9going", 7, 1001},
              {"\x0b\xb8", 2, 3000},
              {"\x13\x87", 2, 4999}};
  (void)unused;
  for (size_t i = 0; i < 10; i++) {
    const size_t row = i / 2;
    const size_t reply = rows[row].len < 2 ? 0 : 2;
    end e = {0};
    end_open(&e, both_roles[i % 2]);
    assert_int_equal(nws_conn_close_code(&e.conn), 1006);
    assert_int_equal(nws_conn_close_sent(&e.conn), 1006);
    end_hear(&e, FIN | 8, rows[row].payload, rows[row].len);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSING);
    assert_int_equal(nws_conn_close_code(&e.conn), rows[row].code);
    assert_int_equal(nws_conn_close_sent(&e.conn), rows[row].code);
    assert_int_equal(nws_conn_clean(&e.conn), 0);
    assert_int_equal(nws_conn_finished(&e.conn), 0);
    expect_owed(&e, NWS_OPCODE_CLOSE, rows[row].payload, reply);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    assert_int_equal(nws_conn_clean(&e.conn), 1);
    assert_int_equal(nws_conn_finished(&e.conn), !end_masks(&e));
    assert_int_equal(nws_conn_eof(&e.conn), NWS_OK);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_fault(&e.conn).error, NWS_OK);
  }
}

static void we_close(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    uint8_t out[512];
    end e = {0};
    end_open(&e, both_roles[r]);
    say_close(&e, 1001);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSING);
    assert_int_equal(nws_conn_close_sent(&e.conn), 1001);
    assert_int_equal(nws_conn_close_code(&e.conn), 1006);
    end_hear(&e, FIN | 8, "\x03\xeb", 2);
    assert_int_equal(end_flush(&e, out), 0); /* no second close */
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    assert_int_equal(nws_conn_close_code(&e.conn), 1003);
    assert_int_equal(nws_conn_close_sent(&e.conn), 1001);
    assert_int_equal(nws_conn_clean(&e.conn), 1);
    assert_int_equal(nws_conn_finished(&e.conn), !end_masks(&e));
    assert_int_equal(nws_conn_eof(&e.conn), NWS_OK);
  }
}

static void manual_close(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    uint8_t out[512];
    end e = {.config = {.manual_close = 1}};
    end_open(&e, both_roles[r]);
    end_hear(&e, FIN | 8, "\x03\xe8", 2);
    assert_int_equal(end_flush(&e, out), 0);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSING);
    assert_int_equal(nws_conn_close_sent(&e.conn), 1006);
    assert_int_equal(nws_conn_clean(&e.conn), 0);
    say_close(&e, 4000);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    assert_int_equal(nws_conn_close_sent(&e.conn), 4000);
    assert_int_equal(nws_conn_clean(&e.conn), 1);
    assert_int_equal(nws_conn_finished(&e.conn), !end_masks(&e));
  }
}

/* Once closed, nothing comes or goes: a pong that was still owed when both
 * closes had gone is no longer. */
static void nothing_owed_once_closed(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    uint8_t out[512];
    end e = {0};
    end_open(&e, both_roles[r]);
    say_close(&e, 1000);
    end_hear(&e, FIN | 9, "ping", 4);
    end_hear(&e, FIN | 8, "\x03\xe8", 2);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    assert_int_equal(nws_conn_owed(&e.conn), 0);
    assert_int_equal(end_flush(&e, out), 0);
  }
}

/* RFC 6455 1.4: data in flight after our close is discarded, or delivered on
 * request; at the next byte, also in the middle of a frame or a message. */
static void data_after_our_close(void **unused) {
  uint8_t b[256];
  (void)unused;
  for (int deliver = 0; deliver < 2; deliver++) {
    end probe = {0};
    end_open(&probe, NWS_ROLE_SERVER);
    size_t n = put_peer(&probe, b, FIN | 2, "first", 5);
    n += put_peer(&probe, b + n, 2, "second", 6);
    n += put_peer(&probe, b + n, FIN | 9, "ping", 4);
    n += put_peer(&probe, b + n, FIN, "third", 5);
    for (size_t at = 0; at <= n; at++) {
      uint8_t copy[256];
      nws_event event;
      size_t data = 0, pings = 0;
      end e = {.config = {.deliver_in_closing = (uint8_t)deliver}};
      end_open(&e, NWS_ROLE_SERVER);
      memcpy(copy, b, n);
      assert_int_equal(end_feed(&e, copy, at, NULL), 0);
      say_close(&e, 1000);
      nws_input in = {copy + at, n - at, 0};
      for (int type = 0; (type = end_take(&e, &in, &event)) > 0;) {
        data += type == NWS_EVENT_DATA ? event.len + 1 : 0;
        pings += type == NWS_EVENT_PING;
      }
      assert_int_equal(data > 0, deliver && at < n);
      assert_int_equal(pings, at < 11 + 12 + 10);
      end_hear(&e, FIN | 8, "\x03\xe8", 2);
      assert_int_equal(nws_conn_clean(&e.conn), 1);
    }
  }
}

/* --- Faults --- */

/* A stream that breaks a rule: what, where, and the close frame for it. */
typedef struct broken {
  const char *bytes;
  size_t len;
  nws_role role; /* of the end that hears it */
  int error;
  uint64_t offset;
  unsigned code;
} broken;

#define KEY "\0\0\0\0"
#define BYTES(text) text, sizeof(text) - 1

static const broken table[] = {
    {BYTES("\x83\0"), NWS_ROLE_CLIENT, NWS_ERROR_OPCODE, 0, 1002},
    {BYTES("\x8f\0"), NWS_ROLE_CLIENT, NWS_ERROR_OPCODE, 0, 1002},
    {BYTES("\x82\1x\x92\0"), NWS_ROLE_CLIENT, NWS_ERROR_RSV, 3, 1002},
    {BYTES("\xc9\0"), NWS_ROLE_CLIENT, NWS_ERROR_RSV, 0, 1002},
    {BYTES("\x82\0"), NWS_ROLE_SERVER, NWS_ERROR_MASK_MISSING, 1, 1002},
    {BYTES("\x82\x80" KEY "\x89\0"), NWS_ROLE_SERVER, NWS_ERROR_MASK_MISSING, 7,
     1002},
    {BYTES("\x82\x80"), NWS_ROLE_CLIENT, NWS_ERROR_MASK_PRESENT, 1, 1002},
    {BYTES("\x82\x7e\0\x7d"), NWS_ROLE_CLIENT, NWS_ERROR_LENGTH_MINIMAL, 2,
     1002},
    {BYTES("\x82\x7f\0\0\0\0\0\0\xff\xff"), NWS_ROLE_CLIENT,
     NWS_ERROR_LENGTH_MINIMAL, 2, 1002},
    {BYTES("\x82\x7f\x80"), NWS_ROLE_CLIENT, NWS_ERROR_LENGTH_63, 2, 1002},
    {BYTES("\x09\0"), NWS_ROLE_CLIENT, NWS_ERROR_CONTROL_FRAGMENTED, 0, 1002},
    {BYTES("\x89\x7e"), NWS_ROLE_CLIENT, NWS_ERROR_CONTROL_LENGTH, 1, 1002},
    {BYTES("\x88\xfe"), NWS_ROLE_SERVER, NWS_ERROR_CONTROL_LENGTH, 1, 1002},
    {BYTES("\x80\0"), NWS_ROLE_CLIENT, NWS_ERROR_CONTINUATION, 0, 1002},
    {BYTES("\x02\0\x80\0\x80\0"), NWS_ROLE_CLIENT, NWS_ERROR_CONTINUATION, 4,
     1002},
    {BYTES("\x02\0\x82\0"), NWS_ROLE_CLIENT, NWS_ERROR_INTERLEAVED, 2, 1002},
    {BYTES("\x88\1\3"), NWS_ROLE_CLIENT, NWS_ERROR_CLOSE_LENGTH, 3, 1002},
    {BYTES("\x88\2\3\xed"), NWS_ROLE_CLIENT, NWS_ERROR_CLOSE_CODE, 2, 1002},
    {BYTES("\x88\2\0\0"), NWS_ROLE_CLIENT, NWS_ERROR_CLOSE_CODE, 2, 1002},
    {BYTES("\x88\4\3\xe8"
           "a\xff"),
     NWS_ROLE_CLIENT, NWS_ERROR_CLOSE_TEXT, 5, 1007},
    {BYTES("\x88\3\3\xe8\xc3"), NWS_ROLE_CLIENT, NWS_ERROR_CLOSE_TEXT, 5, 1007},
    {BYTES("\x81\3a\xc3z"), NWS_ROLE_CLIENT, NWS_ERROR_TEXT, 4, 1007},
    {BYTES("\x81\2a\xc3"), NWS_ROLE_CLIENT, NWS_ERROR_TEXT, 4, 1007},
    {BYTES("\1\2a\xc3\x80\0"), NWS_ROLE_CLIENT, NWS_ERROR_TEXT, 6, 1007},
    {BYTES("\1\1\xc3\x8a\0\x80\1z"), NWS_ROLE_CLIENT, NWS_ERROR_TEXT, 7, 1007},
    {BYTES("\x82\0\x82\x15"), NWS_ROLE_CLIENT, NWS_ERROR_FRAME_LIMIT, 2, 1009},
    {BYTES("\2\0\x80\x0b"), NWS_ROLE_CLIENT, NWS_ERROR_MESSAGE_LIMIT, 2, 1009},
    {BYTES("\2\0\0\0\0\0\x80\0"), NWS_ROLE_CLIENT, NWS_ERROR_FRAGMENT_LIMIT, 6,
     1009},
    {BYTES("\x8a\0\x8a\0\x8a\0"), NWS_ROLE_CLIENT, NWS_ERROR_CONTROL_LIMIT, 4,
     1008}};

/* With a ping before it: the echo goes out ahead of the close. */
static void one_fault(const broken *row, int ping_before) {
  uint8_t b[64], out[512],
      close[2] = {(uint8_t)(row->code >> 8), (uint8_t)row->code};
  uint8_t *at = out;
  end e = {.config = {.max_frame = 20,
                      .max_message = 10,
                      .max_fragments = 3,
                      .max_controls = 2u + (unsigned)ping_before}};
  e.now = SECOND;
  end_open(&e, row->role);
  size_t n = ping_before ? put_peer(&e, b, FIN | 9, "echo", 4) : 0;
  const uint64_t offset = n + row->offset;
  memcpy(b + n, row->bytes, row->len);
  assert_int_equal(end_feed(&e, b, n + row->len, NULL), row->error);
  assert_int_equal(nws_conn_fault(&e.conn).error, row->error);
  assert_int_equal(nws_conn_fault(&e.conn).offset, offset);
  assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSING);
  assert_int_equal(nws_conn_finished(&e.conn), 0);
  assert_int_equal(nws_conn_close_sent(&e.conn), row->code);
  size_t len = end_flush(&e, out);
  if (ping_before) {
    expect_frame(&e, &at, &len, FIN | 10, "echo", 4);
  }
  const wire w = wire_read(at, len);
  assert_int_equal(w.size, len);
  assert_int_equal(w.first, FIN | 8);
  assert_memory_equal(w.payload, close, 2);
  assert_int_equal(nws_utf8_valid(w.payload + 2, w.len - 2), 1);
  assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
  assert_int_equal(nws_conn_finished(&e.conn), 1);
  assert_int_equal(nws_conn_clean(&e.conn), 0);
  assert_int_equal(nws_conn_eof(&e.conn), row->error);
}

static void every_fault(void **unused) {
  (void)unused;
  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
    one_fault(&table[i], 0);
    one_fault(&table[i], 1);
  }
}

/* What came before the byte at fault is delivered, and does not look like the
 * end of anything. */
static void good_bytes_come_first(void **unused) {
  uint8_t b[] = "\x81\x06gr\xc3\xbc\xff!";
  nws_input in = {b, 8, 0};
  nws_event event;
  end e = {0};
  (void)unused;
  end_open(&e, NWS_ROLE_CLIENT);
  assert_int_equal(end_take(&e, &in, &event), NWS_EVENT_DATA);
  assert_int_equal(event.len, 4);
  assert_memory_equal(event.data, "gr\xc3\xbc", 4);
  assert_int_equal(event.flags, NWS_FRAME_BEGIN | NWS_MESSAGE_BEGIN);
  assert_int_equal(end_take(&e, &in, &event), NWS_ERROR_TEXT);
  assert_int_equal(nws_conn_fault(&e.conn).offset, 6);
}

/* The strict rules that a configuration may relax, and no others with them. */
static void relaxed_on_request(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    uint8_t b[16];
    nws_event event;
    end e = {.config = {.accept_any_mask = 1, .accept_any_text = 1}};
    end_open(&e, both_roles[r]);
    for (int masked = 0; masked < 2; masked++) {
      nws_input in = {b, 0, 0};
      in.len = put_frame(b, FIN | 1, masked ? peer_key : NULL, "\xff\xc3", 2);
      assert_int_equal(end_take(&e, &in, &event), NWS_EVENT_DATA);
      assert_memory_equal(event.data, "\xff\xc3", 2);
    }
    assert_int_equal(end_hear(&e, FIN | 8, "\x03\xe8\xff", 3),
                     NWS_ERROR_CLOSE_TEXT);
  }
}

/* A fault once our own close is out gets no second one. */
static void fault_after_our_close(void **unused) {
  uint8_t out[512];
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    end e = {0};
    end_open(&e, both_roles[r]);
    say_close(&e, 1000);
    assert_int_equal(end_hear(&e, FIN | 3, "", 0), NWS_ERROR_OPCODE);
    assert_int_equal(end_flush(&e, out), 0);
    assert_int_equal(nws_conn_close_sent(&e.conn), 1000);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_clean(&e.conn), 0);
  }
}

/* A fault behind our own close ends everything: a pong that was still owed is
 * so no longer, for the transport is to be closed. */
static void nothing_owed_once_failed(void **unused) {
  uint8_t out[512];
  (void)unused;
  for (int i = 0; i < 4; i++) {
    end e = {.lazy = i / 2};
    end_open(&e, both_roles[i % 2]);
    say_close(&e, 1000);
    assert_int_equal(end_hear(&e, FIN | 9, "ping", 4), 0);
    assert_true(nws_conn_owed(&e.conn) > 0);
    assert_int_equal(end_hear(&e, FIN | 3, "", 0), NWS_ERROR_OPCODE);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_owed(&e.conn), 0);
    assert_int_equal(end_flush(&e, out), 0);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    /* In end_feed() the lazy one has got its spill back already. */
    assert_ptr_equal(nws_conn_reclaim(&e.conn), e.lazy ? NULL : &e.spill);
  }
}

/* The limit counts within a second of the clock, and only with a clock. */
static void control_limit(void **unused) {
  (void)unused;
  for (int clock = 0; clock < 2; clock++) {
    end e = {0};
    end_open(&e, NWS_ROLE_SERVER);
    e.now = clock ? UINT64_C(5) << 30 : 0;
    for (int i = 0; i < 1000; i++) {
      assert_int_equal(end_hear(&e, FIN | (9 + i % 2), "x", 1), 0);
    }
    end next = e;
    next.now += clock ? UINT64_C(1) << 30 : 0;
    assert_int_equal(end_hear(&next, FIN | 9, "x", 1), 0);
    assert_int_equal(end_hear(&e, FIN | 9, "x", 1),
                     clock ? NWS_ERROR_CONTROL_LIMIT : 0);
  }
}

/* Empty continuations meet the limit, by default after 131072 frames. */
static void fragments_are_counted(void **unused) {
  static const uint64_t limits[] = {0, 1, 2, 3, 1000};
  (void)unused;
  for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
    const uint64_t most = limits[i] != 0 ? limits[i] : 131072;
    end e = {.config = {.max_fragments = limits[i]}};
    uint8_t b[8];
    int rc = 0;
    end_open(&e, NWS_ROLE_CLIENT);
    put_frame(b, 2, NULL, "", 0);
    rc = end_feed(&e, b, 2, NULL);
    for (uint64_t frames = 1; rc == 0 && frames < 1000000; frames++) {
      put_frame(b, 0, NULL, "", 0);
      assert_true(frames <= most);
      rc = end_feed(&e, b, 2, NULL);
    }
    assert_int_equal(rc, NWS_ERROR_FRAGMENT_LIMIT);
    assert_int_equal(nws_conn_fault(&e.conn).offset, 2 * most);
    expect_close(&e, nws_error_get(rc)->close_code);
  }
}

/* --- Limits of length --- */

static void limits_of_length(void **unused) {
  (void)unused;
  for (unsigned len = 9; len <= 11; len++) {
    const int over = len > 10;
    char payload[11] = "aaaaaaaaaa";
    end e = {.config = {.max_frame = 10, .max_message = NWS_UNLIMITED}};
    end_open(&e, NWS_ROLE_SERVER);
    assert_int_equal(end_hear(&e, FIN | 2, payload, 10), 0);
    assert_int_equal(end_hear(&e, FIN | 2, payload, len),
                     over ? NWS_ERROR_FRAME_LIMIT : 0);
    assert_int_equal(nws_conn_fault(&e.conn).offset, over ? 16 : 0);
    end f = {.config = {.max_frame = NWS_UNLIMITED, .max_message = 10}};
    end_open(&f, NWS_ROLE_SERVER);
    assert_int_equal(end_hear(&f, 2, payload, 4), 0);
    assert_int_equal(end_hear(&f, 0, payload, len - 4),
                     over ? NWS_ERROR_MESSAGE_LIMIT : 0);
    assert_int_equal(nws_conn_fault(&f.conn).offset, over ? 10 : 0);
    if (!over) {
      assert_int_equal(end_hear(&f, FIN, payload, 10 - len), 0);
      assert_int_equal(end_hear(&f, FIN | 2, payload, 10), 0);
    }
  }
}

/* Sums of lengths near 2^63 and 2^64 neither wrap nor slip through. */
static void limits_do_not_wrap(void **unused) {
  static const uint64_t limits[] = {UINT64_C(1) << 63, (UINT64_C(1) << 63) + 8,
                                    UINT64_MAX - 1, UINT64_MAX};
  (void)unused;
  for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
    uint8_t b[16];
    end e = {.config = {.max_frame = NWS_UNLIMITED, .max_message = limits[i]}};
    end_open(&e, NWS_ROLE_CLIENT);
    assert_int_equal(end_hear(&e, 2, "0123456789", 10), 0);
    const size_t n = put_header(b, FIN, NULL, INT64_MAX);
    const uint64_t sum = (uint64_t)INT64_MAX + 10;
    assert_int_equal(end_feed(&e, b, n, NULL),
                     sum > limits[i] ? NWS_ERROR_MESSAGE_LIMIT : 0);
  }
}

/* A megabyte and not a byte more without any configuration. */
static void default_limit(void **unused) {
  uint8_t b[16];
  (void)unused;
  for (unsigned over = 0; over < 2; over++) {
    end e = {0};
    end_open(&e, NWS_ROLE_CLIENT);
    const size_t n = put_header(b, FIN | 2, NULL, (1u << 20) + over);
    const int rc = end_feed(&e, b, n, NULL);
    assert_int_equal(nws_error_get(rc)->close_code, over ? 1009 : 0);
  }
}

/* --- The end of the transport --- */

/* RFC 6455 7.1.5: an end without a close is abnormal. The peer may only have
 * closed its half, so it is still told. */
static void eof_while_open(void **unused) {
  (void)unused;
  for (size_t cut = 0; cut < 12; cut++) {
    uint8_t b[32];
    end e = {0};
    end_open(&e, NWS_ROLE_SERVER);
    put_peer(&e, b, 2, "abcdef", 6);
    assert_int_equal(end_feed(&e, b, cut, NULL), 0);
    assert_int_equal(nws_conn_eof(&e.conn), NWS_ERROR_EOF);
    assert_int_equal(nws_conn_fault(&e.conn).error, NWS_ERROR_EOF);
    assert_int_equal(nws_conn_fault(&e.conn).offset, cut);
    assert_int_equal(end_feed(&e, b, 1, NULL), NWS_ERROR_EOF);
    expect_close(&e, 1002);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_close_code(&e.conn), 1006);
    assert_int_equal(nws_conn_eof(&e.conn), NWS_ERROR_EOF);
  }
}

/* The peer's close, then the end of its half: the reply is still owed. */
static void eof_with_reply_owed(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    end e = {0};
    end_open(&e, both_roles[r]);
    end_hear(&e, FIN | 9, "ping", 4);
    end_hear(&e, FIN | 8, "\x03\xe8", 2);
    (void)nws_conn_eof(&e.conn);
    assert_int_equal(nws_conn_finished(&e.conn), 0);
    uint8_t out[512];
    uint8_t *at = out;
    size_t len = end_flush(&e, out);
    expect_frame(&e, &at, &len, FIN | 10, "ping", 4);
    expect_frame(&e, &at, &len, FIN | 8, "\x03\xe8", 2);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_clean(&e.conn), 1);
    assert_int_equal(nws_conn_eof(&e.conn), NWS_OK);
  }
}

/* An end of file is NWS_OK when the peer's close has come, and clean once both
 * closes have gone. */
static void eof_tells_clean(void **unused) {
  uint8_t out[512];
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    end e = {0};
    end_open(&e, both_roles[r]);
    say_close(&e, 1000);
    assert_int_equal(nws_conn_eof(&e.conn), NWS_ERROR_EOF);
    assert_int_equal(end_flush(&e, out), 0);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSED);
    assert_int_equal(nws_conn_clean(&e.conn), 0);
  }
}

/* Who answers closes by hand and has not done so when the transport ends is too
 * late: the echo is owed then. */
static void eof_before_manual_close(void **unused) {
  static const struct {
    const char *payload;
    size_t len;
    unsigned code;
  } rows[] = {{"\x03\xe8", 2, 1000}, {"\x0f\xa0why", 5, 4000}, {"", 0, 1005}};
  (void)unused;
  for (size_t i = 0; i < 6; i++) {
    uint8_t out[140];
    size_t n;
    end e = {.config = {.manual_close = 1}};
    end_open(&e, both_roles[i % 2]);
    assert_int_equal(
        end_hear(&e, FIN | 8, rows[i / 2].payload, rows[i / 2].len), 0);
    assert_int_equal(nws_conn_owed(&e.conn), 0);
    assert_int_equal(nws_conn_eof(&e.conn), NWS_OK);
    assert_true(nws__conn_valid(&e.conn));
    assert_int_equal(nws_conn_clean(&e.conn), 0);
    assert_int_equal(nws_conn_finished(&e.conn), 0);
    assert_int_equal(
        nws_conn_close(&e.conn, 1001, nws_str_of(NULL), out, 140, &n),
        NWS_ERROR_STATE);
    expect_owed(&e, NWS_OPCODE_CLOSE, rows[i / 2].payload,
                rows[i / 2].len > 2 ? 2 : rows[i / 2].len);
    assert_int_equal(nws_conn_close_sent(&e.conn), rows[i / 2].code);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
    assert_int_equal(nws_conn_clean(&e.conn), 1);
    assert_int_equal(nws_conn_eof(&e.conn), NWS_OK);
  }
}

/* The transport ends when good bytes have been delivered and the bad one behind
 * them has not been reported: that is the fault, not the end. */
static void eof_while_a_fault_is_due(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    uint8_t b[32];
    nws_event event;
    end e = {0};
    end_open(&e, both_roles[r]);
    nws_input in = {b, put_peer(&e, b, FIN | 1, "good\xff", 5), 0};
    const size_t len = in.len;
    assert_int_equal(end_take(&e, &in, &event), NWS_EVENT_DATA);
    assert_int_equal(event.len, 4);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_OPEN);
    assert_int_equal(nws_conn_eof(&e.conn), NWS_ERROR_TEXT);
    assert_int_equal(nws_conn_fault(&e.conn).error, NWS_ERROR_TEXT);
    assert_int_equal(nws_conn_fault(&e.conn).offset, len - 1);
    assert_int_equal(end_take(&e, &in, &event), NWS_ERROR_TEXT);
    assert_int_equal(nws_conn_eof(&e.conn), NWS_ERROR_TEXT);
    expect_close(&e, 1007);
    assert_int_equal(nws_conn_finished(&e.conn), 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pongs),
      cmocka_unit_test(manual_pong),
      cmocka_unit_test(flush_with_every_cap),
      cmocka_unit_test(flush_order),
      cmocka_unit_test(peer_closes),
      cmocka_unit_test(we_close),
      cmocka_unit_test(manual_close),
      cmocka_unit_test(nothing_owed_once_closed),
      cmocka_unit_test(data_after_our_close),
      cmocka_unit_test(every_fault),
      cmocka_unit_test(good_bytes_come_first),
      cmocka_unit_test(relaxed_on_request),
      cmocka_unit_test(fault_after_our_close),
      cmocka_unit_test(nothing_owed_once_failed),
      cmocka_unit_test(control_limit),
      cmocka_unit_test(fragments_are_counted),
      cmocka_unit_test(limits_of_length),
      cmocka_unit_test(limits_do_not_wrap),
      cmocka_unit_test(default_limit),
      cmocka_unit_test(eof_while_open),
      cmocka_unit_test(eof_with_reply_owed),
      cmocka_unit_test(eof_tells_clean),
      cmocka_unit_test(eof_before_manual_close),
      cmocka_unit_test(eof_while_a_fault_is_due),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
