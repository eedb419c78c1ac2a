/* test_conn_send.c - frames out: every kind of frame against a naive encoder,
 * calls that fail and so change nothing, payload in pieces, text, and two ends
 * that talk to each other. Close frames are in test_conn_states.c.
 */
#include "conn_help.h"

#define RSVS (NWS_RSV1 | NWS_RSV2 | NWS_RSV3)
#define RESERVED 0xf8f8u

static const nws_role both_roles[] = {NWS_ROLE_CLIENT, NWS_ROLE_SERVER};

/* nws_conn_send() that must leave everything as it is when it fails. */
static int send(end *e, unsigned what, const void *payload, size_t len,
                uint8_t *out, size_t cap, size_t *out_len) {
  const nws_conn before = e->conn;
  *out_len = SIZE_MAX;
  if (cap > 0) {
    memset(out, 0xcc, cap < 200 ? cap : 200);
  }
  const int rc = nws_conn_send(&e->conn, what, payload, len, out, cap, out_len);
  if (rc != NWS_OK) {
    assert_memory_equal(&before, &e->conn, sizeof(before));
    for (size_t i = 0; i < cap && i < 200; i++) {
      assert_int_equal(out[i], 0xcc);
    }
  }
  assert_true(nws__conn_valid(&e->conn));
  return rc;
}

/* A send of a short payload that is good or fails as wanted. */
static void expect_send(end *e, unsigned what, const char *payload, int rc) {
  uint8_t out[300];
  size_t len;
  assert_int_equal(
      send(e, what, payload, strlen(payload), out, sizeof(out), &len), rc);
  if (rc == NWS_OK) {
    uint8_t *at = out;
    const unsigned fin = (what & NWS_SEND_MORE) != 0 ? 0 : FIN;
    expect_frame(e, &at, &len, fin | (what & 0x7f), payload, strlen(payload));
    assert_int_equal(len, 0);
  }
}

/* --- Every kind of frame --- */

static int expected(unsigned opcode, int more, int open) {
  if (opcode == NWS_OPCODE_CLOSE) {
    return NWS_ERROR_ARGUMENT;
  }
  if (opcode > 8) {
    return more ? NWS_ERROR_CONTROL_FRAGMENT : NWS_OK;
  }
  if (opcode == NWS_OPCODE_CONTINUATION) {
    return open ? NWS_OK : NWS_ERROR_NO_MESSAGE;
  }
  return open ? NWS_ERROR_MESSAGE_OPEN : NWS_OK;
}

static void one_kind(nws_role role, unsigned opcode, unsigned rsv, int more,
                     int open) {
  const unsigned what = opcode | rsv | (more ? NWS_SEND_MORE : 0);
  uint8_t out[32], oracle[32];
  size_t len;
  end e = {.config = {.rsv_out = RSVS, .opcodes_out = RESERVED}};
  end_open(&e, role);
  if (open) {
    expect_send(&e, NWS_OPCODE_TEXT | NWS_SEND_MORE, "a", NWS_OK);
  }
  e.draws = 0;
  const int want = expected(opcode, more, open);
  assert_int_equal(send(&e, what, "hello", 5, out, sizeof(out), &len), want);
  if (want == NWS_OK) {
    const size_t n = put_frame(oracle, (more ? 0 : FIN) | rsv | opcode,
                               end_masks(&e) ? e.last : NULL, "hello", 5);
    assert_int_equal(len, n);
    assert_memory_equal(out, oracle, n);
  }
  assert_int_equal(e.draws, want == NWS_OK && end_masks(&e) ? 1 : 0);
}

static void every_kind(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    for (unsigned i = 0; i < 16 * 8 * 4; i++) {
      one_kind(both_roles[r], i & 15, (i >> 4 & 7) << 4, i >> 7 & 1, i >> 8);
    }
  }
}

/* RFC 6455 5.2: reserved opcodes and bits go out only where enabled. */
static void only_what_is_enabled(void **unused) {
  (void)unused;
  for (unsigned bit = 0; bit < 16; bit++) {
    const unsigned reserved = RESERVED >> bit & 1;
    end none = {.config = {.opcodes_in = RESERVED, .rsv_in = RSVS}};
    end one = {.config = {.opcodes_out = (uint16_t)(reserved << bit)}};
    end_open(&none, NWS_ROLE_CLIENT);
    end_open(&one, NWS_ROLE_CLIENT);
    for (unsigned opcode = 1; opcode < 16; opcode++) {
      const int standard = (RESERVED >> opcode & 1) == 0;
      if (opcode != NWS_OPCODE_CLOSE) {
        expect_send(&none, opcode, "x",
                    standard ? NWS_OK : NWS_ERROR_OPCODE_DISABLED);
        expect_send(&one, opcode, "x",
                    standard || opcode == bit ? NWS_OK
                                              : NWS_ERROR_OPCODE_DISABLED);
      }
    }
  }
  for (unsigned enabled = 0; enabled < 8; enabled++) {
    end e = {.config = {.rsv_out = (uint8_t)(enabled << 4)}};
    end_open(&e, NWS_ROLE_SERVER);
    for (unsigned rsv = 0; rsv < 8; rsv++) {
      const int good = (rsv & ~enabled) == 0;
      expect_send(&e, NWS_OPCODE_BINARY | rsv << 4, "x",
                  good ? NWS_OK : NWS_ERROR_RSV_DISABLED);
      expect_send(&e, NWS_OPCODE_PING | rsv << 4, "x",
                  good ? NWS_OK : NWS_ERROR_RSV_DISABLED);
    }
  }
}

static void bad_arguments(void **unused) {
  uint8_t out[200];
  char long_ping[126] = {0};
  size_t len;
  end e = {0};
  (void)unused;
  end_open(&e, NWS_ROLE_CLIENT);
  for (unsigned bit = 10; bit < 32; bit++) {
    expect_send(&e, NWS_OPCODE_TEXT | 1u << bit, "x", NWS_ERROR_ARGUMENT);
  }
  expect_send(&e, NWS_OPCODE_TEXT | 0x80, "x", NWS_ERROR_ARGUMENT);
  assert_int_equal(send(&e, 2, NULL, 1, out, sizeof(out), &len),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(send(&e, 9, long_ping, 126, out, sizeof(out), &len),
                   NWS_ERROR_CONTROL_LONG);
  assert_int_equal(send(&e, 9, long_ping, 125, out, sizeof(out), &len), NWS_OK);
  assert_int_equal(len, NWS_CONTROL_FRAME_MAX);
  assert_int_equal(send(&e, 2, NULL, 0, out, sizeof(out), &len), NWS_OK);
  assert_int_equal(len, 6);
  /* A length that no memory can hold does not wrap. */
  assert_true(nws_conn_send_room(&e.conn, SIZE_MAX) == SIZE_MAX);
  assert_true(nws_conn_send_room(&e.conn, SIZE_MAX - 13) == SIZE_MAX);
  assert_true(nws_conn_send_room(&e.conn, SIZE_MAX - 15) == SIZE_MAX - 1);
}

/* --- Lengths, capacities, randomness --- */

static void one_length(nws_role role, size_t len, const uint8_t *payload) {
  uint8_t *oracle = malloc(len + 14);
  size_t out_len;
  end e = {0};
  end_open(&e, role);
  assert_non_null(oracle);
  const size_t need =
      put_frame(oracle, FIN | 2, end_masks(&e) ? peer_key : NULL, payload, len);
  assert_int_equal(nws_conn_send_room(&e.conn, len), need);
  uint8_t *small = malloc(need - 1);
  uint8_t *out = malloc(need);
  assert_true(small != NULL && out != NULL);
  assert_int_equal(send(&e, 2, payload, len, small, need - 1, &out_len),
                   NWS_ERROR_BUFFER);
  assert_int_equal(out_len, need);
  assert_int_equal(send(&e, 2, payload, len, NULL, 0, &out_len),
                   NWS_ERROR_BUFFER);
  assert_int_equal(out_len, need);
  assert_int_equal(send(&e, 2, payload, len, out, need, &out_len), NWS_OK);
  assert_int_equal(out_len, need);
  assert_int_equal(e.draws, end_masks(&e) ? 1 : 0);
  put_frame(oracle, FIN | 2, end_masks(&e) ? e.last : NULL, payload, len);
  assert_memory_equal(out, oracle, need);
  free(small);
  free(out);
  free(oracle);
}

static void lengths_and_capacities(void **unused) {
  static const size_t edges[] = {65534, 65535, 65536, 65537, 100000};
  uint8_t *payload = malloc(100000);
  (void)unused;
  assert_non_null(payload);
  for (size_t i = 0; i < 100000; i++) {
    payload[i] = (uint8_t)(i * 31 + 7);
  }
  for (size_t r = 0; r < 2; r++) {
    for (size_t len = 0; len <= 300; len++) {
      one_length(both_roles[r], len, payload);
    }
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
      one_length(both_roles[r], edges[i], payload);
    }
  }
  free(payload);
}

/* RFC 6455 5.3: one fresh key for each frame, of whatever kind; none when the
 * source fails, and then no frame either. */
static void a_key_for_each_frame(void **unused) {
  uint8_t out[512], last[4] = {0};
  size_t len;
  const nws_str none = {NULL, 0};
  end e = {0};
  (void)unused;
  end_open(&e, NWS_ROLE_CLIENT);
  for (unsigned step = 0; step < 9; step++) {
    end_hear(&e, FIN | 9, "p", 1);
    int rc = NWS_ERROR_RANDOM;
    for (e.broken = 1; e.broken >= 0; e.broken--) {
      const nws_conn before = e.conn;
      const unsigned draws = e.draws;
      switch (step) {
      case 6:
        rc = nws_conn_flush(&e.conn, out, sizeof(out), &len);
        break;
      case 7:
        rc = nws_conn_send_begin(&e.conn, 2, 0, out, sizeof(out), &len);
        break;
      case 8:
        rc = nws_conn_close(&e.conn, 1000, none, out, sizeof(out), &len);
        break;
      default:
        rc = nws_conn_send(&e.conn, step < 3 ? 2 : 9 + step % 2, "abc",
                           step % 3, out, sizeof(out), &len);
      }
      assert_int_equal(rc, e.broken ? NWS_ERROR_RANDOM : NWS_OK);
      assert_int_equal(e.draws - draws, e.broken ? 0 : 1);
      if (e.broken) {
        assert_memory_equal(&before, &e.conn, sizeof(before));
      } else {
        const wire w = wire_read(out, len);
        assert_memory_equal(w.key, e.last, 4);
        assert_memory_not_equal(w.key, last, 4);
        memcpy(last, w.key, 4);
      }
    }
    e.broken = 0;
  }
}

/* --- Fragments --- */

static void fragments(void **unused) {
  const unsigned more = NWS_SEND_MORE;
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    end e = {.config = {.opcodes_out = 1 << 3}};
    end_open(&e, both_roles[r]);
    for (int i = 0; i < 3; i++) {
      expect_send(&e, 0, "a", NWS_ERROR_NO_MESSAGE);
      expect_send(&e, 0 | more, "a", NWS_ERROR_NO_MESSAGE);
      expect_send(&e, 2 | more, "a", NWS_OK);
      expect_send(&e, 2, "b", NWS_ERROR_MESSAGE_OPEN);
      expect_send(&e, 1 | more, "b", NWS_ERROR_MESSAGE_OPEN);
      expect_send(&e, 9, "ping", NWS_OK);
      expect_send(&e, 0 | more, "", NWS_OK);
      expect_send(&e, 10, "pong", NWS_OK);
      expect_send(&e, 0, "c", NWS_OK);
      expect_send(&e, 1 | NWS_SEND_PLAIN, "whole", NWS_OK);
      /* Custom messages are fragmented alike, and are no text. */
      expect_send(&e, 3 | more, "\xff", NWS_OK);
      expect_send(&e, 1, "b", NWS_ERROR_MESSAGE_OPEN);
      expect_send(&e, 0, "\xff", NWS_OK);
    }
  }
}

/* --- Header first --- */

/* Sends `len` bytes in pieces of `step`; `way` 0 copies, 1 is in place, 2
 * leaves the payload where it lies. */
static void in_pieces(nws_role role, size_t len, size_t step, int way) {
  uint8_t plain[300], work[300], out[320], oracle[320], scratch[320];
  size_t n;
  end e = {0};
  end_open(&e, role);
  for (size_t i = 0; i < sizeof(plain); i++) {
    plain[i] = (uint8_t)(i * 3 + 1);
  }
  memcpy(work, plain, sizeof(work));
  assert_int_equal(nws_conn_send_begin(&e.conn, 2, len, out, 14, &n), NWS_OK);
  for (size_t at = 0; at < len; at += step) {
    const size_t now = step < len - at ? step : len - at;
    uint8_t *dst = way == 0 ? out + n : way == 1 ? work + at : NULL;
    size_t none;
    expect_send(&e, 9, "", NWS_ERROR_FRAME_OPEN);
    expect_send(&e, 2, "", NWS_ERROR_FRAME_OPEN);
    assert_int_equal(nws_conn_send_begin(&e.conn, 0, 1, scratch, 14, &none),
                     NWS_ERROR_FRAME_OPEN);
    assert_int_equal(nws_conn_send_payload(&e.conn, dst, work + at, 0), NWS_OK);
    assert_int_equal(
        nws_conn_send_payload(&e.conn, scratch, plain, len - at + 1),
        NWS_ERROR_NO_FRAME);
    assert_int_equal(nws_conn_send_payload(&e.conn, dst, work + at, now),
                     NWS_OK);
    if (way != 1) {
      assert_memory_equal(work, plain, sizeof(work));
    }
    if (way != 0) {
      memcpy(out + n, work + at, now);
    }
    n += now;
  }
  assert_int_equal(nws_conn_send_payload(&e.conn, scratch, plain, 1),
                   NWS_ERROR_NO_FRAME);
  const size_t want =
      put_frame(oracle, FIN | 2, end_masks(&e) ? e.last : NULL, plain, len);
  assert_int_equal(n, want);
  assert_memory_equal(out, oracle, n);
  assert_int_equal(e.draws, end_masks(&e) ? 1 : 0);
  expect_send(&e, 1, "next", NWS_OK);
}

static void payload_in_pieces(void **unused) {
  static const size_t lengths[] = {0, 1, 2, 3, 4, 5, 7, 8, 33, 125, 126, 300};
  (void)unused;
  for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
    const size_t len = lengths[i];
    for (size_t step = 1; step <= len + 1; step += step < 40 ? 1 : 17) {
      in_pieces(NWS_ROLE_CLIENT, len, step, 0);
      in_pieces(NWS_ROLE_CLIENT, len, step, 1);
      in_pieces(NWS_ROLE_SERVER, len, step, 0);
      in_pieces(NWS_ROLE_SERVER, len, step, 1);
      in_pieces(NWS_ROLE_SERVER, len, step, 2);
    }
  }
}

/* RFC 6455 5.4: nothing at all goes into the middle of a frame. */
static void nothing_inside_a_frame(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    uint8_t out[512], b[3] = "abc";
    size_t len;
    end e = {0};
    end_open(&e, both_roles[r]);
    assert_int_equal(nws_conn_send_begin(&e.conn, 2, 3, out, 14, &len), NWS_OK);
    end_hear(&e, FIN | 9, "ping", 4);
    assert_int_equal(nws_conn_ping(&e.conn, 1), NWS_OK);
    assert_int_equal(nws_conn_owed(&e.conn), 0);
    assert_int_equal(end_flush(&e, out), 0);
    assert_int_equal(nws_conn_close(&e.conn, 1000, nws_str_of("bye"), out,
                                    sizeof(out), &len),
                     NWS_ERROR_FRAME_OPEN);
    end_hear(&e, FIN | 8, "\x03\xe8", 2);
    assert_int_equal(end_flush(&e, out), 0);
    assert_int_equal(nws_conn_send_payload(&e.conn, b, b, 2), NWS_OK);
    assert_int_equal(end_flush(&e, out), 0);
    assert_int_equal(nws_conn_finished(&e.conn), 0);
    assert_int_equal(nws_conn_send_payload(&e.conn, b, b, 1), NWS_OK);
    uint8_t *at = out;
    len = end_flush(&e, out);
    expect_frame(&e, &at, &len, FIN | 10, "ping", 4);
    expect_frame(&e, &at, &len, FIN | 8, "\x03\xe8", 2);
    assert_int_equal(len, 0);
  }
}

static void begin_refuses(void **unused) {
  const uint64_t most = NWS_FRAME_PAYLOAD_MAX;
  uint8_t out[14], oracle[14];
  size_t len;
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    end e = {.config = {.opcodes_out = RESERVED}};
    end_open(&e, both_roles[r]);
    for (unsigned opcode = 8; opcode < 16; opcode++) {
      assert_int_equal(nws_conn_send_begin(&e.conn, opcode, 0, out, 14, &len),
                       NWS_ERROR_ARGUMENT);
    }
    assert_int_equal(nws_conn_send_begin(&e.conn, 0, 1, out, 14, &len),
                     NWS_ERROR_NO_MESSAGE);
    assert_int_equal(nws_conn_send_begin(&e.conn, 2, most + 1, out, 14, &len),
                     NWS_ERROR_LENGTH);
    assert_int_equal(nws_conn_send_begin(&e.conn, 2, UINT64_MAX, out, 14, &len),
                     NWS_ERROR_LENGTH);
    for (unsigned bit = 0; bit < 64; bit++) {
      const uint64_t n = bit < 63 ? UINT64_C(1) << bit : most;
      end f = {0};
      end_open(&f, both_roles[r]);
      const size_t need =
          put_header(oracle, FIN | 2, end_masks(&f) ? peer_key : NULL, n);
      const nws_conn before = f.conn;
      assert_int_equal(nws_conn_send_begin(&f.conn, 2, n, out, need - 1, &len),
                       NWS_ERROR_BUFFER);
      assert_int_equal(len, need);
      assert_memory_equal(&before, &f.conn, sizeof(before));
      assert_int_equal(nws_conn_send_begin(&f.conn, 2, n, out, need, &len),
                       NWS_OK);
      put_header(oracle, FIN | 2, end_masks(&f) ? f.last : NULL, n);
      assert_int_equal(len, need);
      assert_memory_equal(out, oracle, need);
    }
  }
  /* A client's payload has to be masked somewhere. */
  end e = {0};
  end_open(&e, NWS_ROLE_CLIENT);
  assert_int_equal(nws_conn_send_begin(&e.conn, 2, 2, out, 14, &len), NWS_OK);
  assert_int_equal(nws_conn_send_payload(&e.conn, NULL, "ab", 2),
                   NWS_ERROR_ARGUMENT);
}

/* --- Text --- */

/* A text in two fragments, cut everywhere, each fragment in pieces. */
static void text_is_checked(void **unused) {
  static const struct {
    const char *text;
    size_t bad_at; /* the first byte at fault; the length when it is cut */
  } rows[] = {{"plain", 99},
              {"gr\xc3\xbc\xc3\x9f", 99},
              {"\xf0\x9f\x98\x80", 99},
              {"a\xff"
               "b",
               1},
              {"ab\xc3", 3},
              {"\xed\xa0\x80", 1},
              {"a\xf0\x9f\x98", 4},
              {"\xc0\xaf", 0},
              {"a\xf4\x90\x80\x80", 2}};
  (void)unused;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const char *text = rows[i].text;
    const size_t n = strlen(text), bad = rows[i].bad_at;
    for (size_t cut = 0; cut <= n; cut++) {
      uint8_t out[64];
      size_t len;
      end e = {0}, trusting = {.config = {.trust_sent_text = 1}};
      end_open(&e, NWS_ROLE_CLIENT);
      end_open(&trusting, NWS_ROLE_CLIENT);
      int rc = send(&e, 1 | NWS_SEND_MORE, text, cut, out, 64, &len);
      assert_int_equal(rc, bad < cut ? NWS_ERROR_TEXT_SEND : NWS_OK);
      if (rc == NWS_OK) {
        expect_send(&e, 9, "\xff", NWS_OK); /* pings are no text */
        rc = send(&e, 0, text + cut, n - cut, out, 64, &len);
        assert_int_equal(rc, bad <= n ? NWS_ERROR_TEXT_SEND : NWS_OK);
      }
      expect_send(&e, 2, "\xff",
                  bad < cut || rc == NWS_OK ? NWS_OK : NWS_ERROR_MESSAGE_OPEN);
      assert_int_equal(
          send(&trusting, 1 | NWS_SEND_MORE, text, cut, out, 64, &len), NWS_OK);
      assert_int_equal(send(&trusting, 0, text + cut, n - cut, out, 64, &len),
                       NWS_OK);
    }
  }
}

static void text_in_pieces(void **unused) {
  uint8_t out[64];
  size_t len;
  (void)unused;
  end e = {0};
  end_open(&e, NWS_ROLE_SERVER);
  assert_int_equal(nws_conn_send_begin(&e.conn, 1, 4, out, 14, &len), NWS_OK);
  assert_int_equal(nws_conn_send_payload(&e.conn, NULL, "a\xff", 2),
                   NWS_ERROR_TEXT_SEND);
  assert_int_equal(nws_conn_send_payload(&e.conn, NULL, "a", 1), NWS_OK);
  assert_int_equal(nws_conn_send_payload(&e.conn, NULL, "\xc3", 1), NWS_OK);
  assert_int_equal(nws_conn_send_payload(&e.conn, NULL, "a", 1),
                   NWS_ERROR_TEXT_SEND);
  const nws_conn before = e.conn;
  assert_int_equal(nws_conn_send_payload(&e.conn, NULL, "\xbc\xc3", 2),
                   NWS_ERROR_TEXT_SEND); /* the message would end cut */
  assert_memory_equal(&before, &e.conn, sizeof(before));
  expect_send(&e, 9, "", NWS_ERROR_FRAME_OPEN);
  assert_int_equal(nws_conn_send_payload(&e.conn, NULL, "\xbc!", 2), NWS_OK);
  /* A character over two fragments, the last of which is empty. */
  assert_int_equal(
      nws_conn_send_begin(&e.conn, 1 | NWS_SEND_MORE, 1, out, 14, &len),
      NWS_OK);
  assert_int_equal(nws_conn_send_payload(&e.conn, NULL, "\xc3", 1), NWS_OK);
  assert_int_equal(nws_conn_send_begin(&e.conn, 0, 0, out, 14, &len),
                   NWS_ERROR_TEXT_SEND);
  assert_int_equal(nws_conn_send_begin(&e.conn, 0, 1, out, 14, &len), NWS_OK);
  assert_int_equal(nws_conn_send_payload(&e.conn, NULL, "\xbc", 1), NWS_OK);
  expect_send(&e, 1, "next", NWS_OK);
}

/* --- Both ends --- */

static void talk(uint64_t seed, nws_role role) {
  uint8_t payload[400], out[420];
  trace sent = {.len = 0}, got = {.len = 0};
  end a = {.seed = seed}, b = {0};
  int open = 0;
  end_open(&a, role);
  end_open(&b, role == NWS_ROLE_CLIENT ? NWS_ROLE_SERVER : NWS_ROLE_CLIENT);
  for (unsigned i = 0; i < 12; i++) {
    const int control = dice_below(&seed, 4) == 0;
    const int more = !control && dice_below(&seed, 2);
    const unsigned opcode = control ? 9 + dice_below(&seed, 2) : open ? 0 : 2;
    size_t len = dice_below(&seed, control ? 126 : 400);
    nws_event event = {0};
    for (size_t j = 0; j < len; j++) {
      payload[j] = (uint8_t)dice(&seed);
    }
    event.type = (uint8_t)(control ? opcode - 7 : NWS_EVENT_DATA);
    event.opcode = (uint8_t)(control ? opcode : 2);
    event.frame_opcode = (uint8_t)opcode;
    event.flags = NWS_FRAME_BEGIN | NWS_FRAME_END;
    event.flags |= more ? 0 : NWS_MESSAGE_END;
    event.data = payload;
    event.frame_len = event.len = len;
    trace_event(&sent, &event);
    assert_int_equal(nws_conn_send(&a.conn, opcode | (more ? NWS_SEND_MORE : 0),
                                   payload, len, out, sizeof(out), &len),
                     NWS_OK);
    open = control ? open : more;
    for (size_t at = 0, step = 0; at < len; at += step) {
      step = 1 + dice_below(&seed, 50);
      step = step < len - at ? step : len - at;
      assert_int_equal(end_feed(&b, out + at, step, &got), 0);
    }
  }
  assert_int_equal(sent.len, got.len);
  assert_memory_equal(sent.bytes, got.bytes, sent.len);
}

static void ends_understand_each_other(void **unused) {
  (void)unused;
  for (uint64_t seed = 0; seed < 2000; seed++) {
    talk(seed * 7919, both_roles[seed % 2]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kind),
      cmocka_unit_test(only_what_is_enabled),
      cmocka_unit_test(bad_arguments),
      cmocka_unit_test(lengths_and_capacities),
      cmocka_unit_test(a_key_for_each_frame),
      cmocka_unit_test(fragments),
      cmocka_unit_test(payload_in_pieces),
      cmocka_unit_test(nothing_inside_a_frame),
      cmocka_unit_test(begin_refuses),
      cmocka_unit_test(text_is_checked),
      cmocka_unit_test(text_in_pieces),
      cmocka_unit_test(ends_understand_each_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
