/* fuzz_conn.c - harness: a connection with any configuration, and any sequence
 * of calls: receiving, sending, closing, lending, time, the end of the
 * transport, and being moved in memory.
 *
 * Checked with each call: the connection's invariants, that a call which failed
 * has changed nothing, that what is written is frames and fits, that errors
 * stick, and that what answers questions agrees with itself.
 */
#include "fuzz.h"

#include <string.h>
#include <nws/message.h>
#include "../../src/proto/conn_internal.h"

enum { PENDING_MAX = FUZZ_FRAME_MAX, ROOM_PER_CALL = 4096 };

typedef struct run {
  fuzz_cursor c;
  fuzz_random random;
  nws_conn_config config;
  fuzz_extension states[3];
  nws_extension_use uses[3];
  nws_conn *conn;
  nws_spill *lent;
  nws_message message;
  fuzz_frames frames; /* of the peer */
  uint8_t pending[PENDING_MAX];
  size_t pending_at;
  size_t pending_len;
  uint64_t now;
  uint64_t fed; /* bytes of input so far */
  nws_fault fault;
} run;

/* --- Invariants --- */

static void check(run *r) {
  const nws_conn *conn = r->conn;
  const nws_state state = nws_conn_state(conn);
  const size_t owed = nws_conn_owed(conn);
  const nws_fault fault = nws_conn_fault(conn);
  FUZZ_CHECK(nws__conn_valid(conn));
  FUZZ_CHECK(!nws_conn_finished(conn) || state == NWS_STATE_CLOSED);
  FUZZ_CHECK(state != NWS_STATE_CLOSED || owed == 0);
  FUZZ_CHECK(owed <= 3 * NWS_CONTROL_FRAME_MAX);
  FUZZ_CHECK(fault.error == NWS_OK || state != NWS_STATE_OPEN);
  FUZZ_CHECK(!nws_conn_clean(conn) || state == NWS_STATE_CLOSED);
  FUZZ_CHECK(fault.offset <= r->fed);
  if (r->fault.error != NWS_OK) { /* sticky */
    FUZZ_CHECK(fault.error == r->fault.error);
    FUZZ_CHECK(fault.offset == r->fault.offset);
  }
  r->fault = fault;
}

static void check_same(const run *r, const nws_conn *before) {
  FUZZ_CHECK(memcmp(before, r->conn, sizeof(*before)) == 0);
}

/* Whole frames and nothing else. */
static void check_frames(const uint8_t *data, size_t len) {
  for (size_t at = 0; at < len;) {
    nws_frame frame;
    FUZZ_CHECK(nws_frame_parse(&frame, data + at, len - at) == NWS_OK);
    FUZZ_CHECK(frame.payload_len <= len - at - frame.header_len);
    at += frame.header_len + (size_t)frame.payload_len;
  }
}

/* --- Lending and moving --- */

static void lend(run *r) {
  static nws_spill spare;
  if (r->lent != NULL) {
    FUZZ_CHECK(nws_conn_lend(r->conn, &spare) == 0);
    return;
  }
  r->lent = fuzz_block(sizeof(nws_spill));
  memset(r->lent, 0xee, sizeof(nws_spill));
  FUZZ_CHECK(nws_conn_lend(r->conn, r->lent) == 1);
}

static void reclaim(run *r) {
  nws_spill *spill = nws_conn_reclaim(r->conn);
  if (spill == NULL) {
    FUZZ_CHECK(r->lent == NULL || !nws_conn_finished(r->conn));
    return;
  }
  FUZZ_CHECK(spill == r->lent);
  fuzz_drop(spill, sizeof(*spill));
  r->lent = NULL;
}

static void move(run *r) {
  nws_conn *moved = fuzz_copy(r->conn, sizeof(nws_conn));
  fuzz_drop(r->conn, sizeof(nws_conn));
  r->conn = moved;
}

/* --- Receiving --- */

/* Looks at all that an event points at. */
static void on_event(run *r, const nws_event *event) {
  const uint64_t end = event->message_offset + event->len;
  fuzz_look(event->data, event->len);
  FUZZ_CHECK(event->type >= NWS_EVENT_DATA && event->type <= NWS_EVENT_CONTROL);
  FUZZ_CHECK(event->opcode <= 15 && (event->rsv & ~NWS__RSV) == 0);
  FUZZ_CHECK(event->frame_left <= event->frame_len);
  if (event->type == NWS_EVENT_DATA) {
    const uint64_t most = nws__or_default(r->config.max_message, 1 << 20);
    FUZZ_CHECK(end <= most);
    if (nws_message_add(&r->message, event) == NWS_OK) {
      FUZZ_CHECK(event->flags & NWS_MESSAGE_END && r->message.len == end);
      fuzz_look(r->message.data, r->message.len);
    }
  } else {
    FUZZ_CHECK(event->len <= NWS_CONTROL_PAYLOAD_MAX && event->opcode >= 8);
  }
}

/* The peer's next bytes: more of a frame, or raw ones. */
static uint8_t *next_bytes(run *r, unsigned how, size_t *len) {
  *len = fuzz_u8(&r->c) % 70;
  if (how & 1) {
    const uint8_t *raw = fuzz_take(&r->c, len);
    return fuzz_copy(raw, *len);
  }
  if (r->pending_at == r->pending_len) {
    r->pending_len = fuzz_frame(&r->frames, &r->c, r->pending);
    r->pending_at = 0;
  }
  const size_t left = r->pending_len - r->pending_at;
  *len = *len < left ? *len : left;
  r->pending_at += *len;
  return fuzz_copy(r->pending + r->pending_at - *len, *len);
}

static void receive(run *r, unsigned how) {
  size_t len;
  uint8_t *data = next_bytes(r, how, &len);
  nws_input in = {len > 0 ? data : NULL, len, how & 2 ? 0 : r->now};
  nws_event event;
  r->fed += len;
  for (;;) {
    const size_t before = in.len;
    const int type = nws_conn_recv(r->conn, &in, &event);
    check(r);
    FUZZ_CHECK(in.len <= before &&
               (len == 0 || in.data + in.len == data + len));
    if (type > 0) {
      FUZZ_CHECK(event.type == type);
      on_event(r, &event);
      if (how & 4) {
        move(r);
      }
      if (how & 8) {
        reclaim(r);
      }
    } else if (type == NWS_ERROR_SPILL) {
      FUZZ_CHECK(r->lent == NULL);
      lend(r);
    } else {
      FUZZ_CHECK(type != 0 || in.len == 0);
      FUZZ_CHECK(type == nws_conn_fault(r->conn).error);
      break;
    }
  }
  fuzz_drop(data, len);
}

static void end(run *r, unsigned how) {
  if (how != 15) {
    return; /* seldom, since little can follow */
  }
  FUZZ_CHECK(nws_conn_eof(r->conn) == nws_conn_fault(r->conn).error);
}

/* --- Sending --- */

static const uint8_t *payload(run *r, unsigned how, size_t len) {
  uint8_t *data = fuzz_block(len);
  size_t own = how & 1 ? len : 0;
  const uint8_t *from = fuzz_take(&r->c, &own);
  if (len > 0) {
    memset(data, 'a', len);
    memcpy(data, from, own);
  }
  return data;
}

static void send_frame(run *r, unsigned how) {
  const size_t len = how & 2 ? fuzz_u8(&r->c) : fuzz_u8(&r->c) % 16;
  const unsigned what = (fuzz_u8(&r->c) & 0x7f) | (how >> 2 & 3) << 8;
  const size_t wish = fuzz_u8(&r->c), cap = wish > 200 ? 600 : wish;
  const uint8_t *data = payload(r, how, len);
  uint8_t *out = fuzz_block(cap);
  const nws_conn before = *r->conn;
  size_t out_len = 0;
  const int rc = nws_conn_send(r->conn, what, len ? data : NULL, len,
                               cap ? out : NULL, cap, &out_len);
  if (rc == NWS_OK) {
    nws_frame frame;
    FUZZ_CHECK(out_len <= cap && out_len <= nws_conn_send_room(r->conn, len));
    FUZZ_CHECK(nws_frame_parse(&frame, out, out_len) == NWS_OK);
    FUZZ_CHECK(frame.header_len + frame.payload_len == out_len);
    FUZZ_CHECK(frame.masked == (r->conn->role == NWS_ROLE_CLIENT));
  } else if (!nws_conn_fault(r->conn).error) {
    check_same(r, &before);
    FUZZ_CHECK(rc != NWS_ERROR_BUFFER || out_len > cap);
  }
}

static void send_begin(run *r, unsigned how) {
  const unsigned what = (fuzz_u8(&r->c) & 0x7f) | (how >> 2 & 3) << 8;
  const size_t cap = how & 1 ? fuzz_u8(&r->c) % 15 : NWS_FRAME_HEADER_MAX;
  const uint64_t len =
      how & 2 ? fuzz_u8(&r->c) % 40 : UINT64_MAX >> fuzz_u8(&r->c) % 64;
  uint8_t *out = fuzz_block(cap);
  const nws_conn before = *r->conn;
  size_t out_len = 0;
  const int rc = nws_conn_send_begin(r->conn, what, len, out, cap, &out_len);
  if (rc == NWS_OK) {
    FUZZ_CHECK(out_len <= cap && r->conn->send_left == len);
  } else {
    check_same(r, &before);
    FUZZ_CHECK(rc != NWS_ERROR_BUFFER || out_len > cap);
  }
}

static void send_payload(run *r, unsigned how) {
  const size_t len = fuzz_u8(&r->c) % 50;
  const uint8_t *src = payload(r, how, len);
  uint8_t *dst = how & 2 ? (uint8_t *)src : how & 4 ? NULL : fuzz_block(len);
  const nws_conn before = *r->conn;
  if (nws_conn_send_payload(r->conn, dst, src, len) != NWS_OK) {
    check_same(r, &before);
  } else {
    FUZZ_CHECK(r->conn->send_left + len == before.send_left);
  }
}

static void send_close(run *r, unsigned how) {
  const size_t reason_len = how & 4 ? 0 : fuzz_u8(&r->c) % 130;
  const unsigned code = how & 8 ? 1000 : fuzz_u16(&r->c) % 5100;
  const char *reason = (const char *)payload(r, how, reason_len);
  const size_t cap = how & 2 ? fuzz_u8(&r->c) : NWS_CONTROL_FRAME_MAX;
  uint8_t *out = fuzz_block(cap);
  const nws_conn before = *r->conn;
  size_t len = 0;
  const int rc = nws_conn_close(
      r->conn, code, nws_str_make(reason_len ? reason : NULL, reason_len), out,
      cap, &len);
  if (rc == NWS_OK) {
    FUZZ_CHECK(len <= cap);
    check_frames(out, len);
    FUZZ_CHECK(nws_conn_close_sent(r->conn) == (code ? code : 1005));
  } else {
    check_same(r, &before);
    FUZZ_CHECK(rc != NWS_ERROR_BUFFER || len > cap);
  }
}

static void flush(run *r, unsigned how) {
  const size_t cap = how & 1 ? fuzz_u8(&r->c) : 3 * NWS_CONTROL_FRAME_MAX;
  uint8_t *out = fuzz_block(cap);
  const size_t owed = nws_conn_owed(r->conn);
  size_t len = 0;
  const int rc = nws_conn_flush(r->conn, cap ? out : NULL, cap, &len);
  if (rc == NWS_OK) {
    FUZZ_CHECK(len <= cap && len <= owed);
    FUZZ_CHECK(cap < owed || r->random.failing || len == owed);
    check_frames(out, len);
  } else if (rc == NWS_ERROR_BUFFER) {
    FUZZ_CHECK(len > cap && len <= owed);
  } else {
    FUZZ_CHECK(rc == NWS_ERROR_RANDOM && r->random.failing);
  }
}

/* --- Time --- */

static void tick(run *r, unsigned how) {
  uint64_t next = 0;
  if (how & 1) {
    r->now += (uint64_t)fuzz_u16(&r->c) * 1000000;
  } else if (how == 6) {
    r->now = UINT64_MAX - fuzz_u8(&r->c);
  } else {
    r->now += fuzz_u8(&r->c);
  }
  r->now = r->now < 1000 ? 1000 : r->now;
  const int rc = nws_conn_tick(r->conn, r->now, &next);
  FUZZ_CHECK(rc == NWS_OK || rc == NWS_ERROR_PONG_TIMEOUT ||
             rc == NWS_ERROR_CLOSE_TIMEOUT);
  FUZZ_CHECK(next > r->now || r->now > UINT64_MAX - 1000);
}

static void ping(run *r, unsigned how) {
  const int rc = nws_conn_ping(r->conn, how & 1 ? r->now : 0);
  FUZZ_CHECK(how & 1 || rc == NWS_ERROR_ARGUMENT);
}

static void spill(run *r, unsigned how) {
  if (how & 1) {
    lend(r);
  } else {
    reclaim(r);
  }
}

/* --- The whole --- */

static void configure(run *r) {
  static const uint64_t limits[] = {0, 1, 10, 300, NWS_UNLIMITED};
  static const uint32_t times[] = {0, 1, 1000, UINT32_MAX};
  nws_conn_config *config = &r->config;
  const unsigned a = fuzz_u8(&r->c), b = fuzz_u8(&r->c), d = fuzz_u8(&r->c);
  const unsigned e = fuzz_u8(&r->c);
  config->size = sizeof(*config);
  config->manual_pong = a >> 1 & 1;
  config->manual_close = a >> 2 & 1;
  config->deliver_in_closing = a >> 3 & 1;
  config->accept_any_text = a >> 4 & 1;
  config->trust_sent_text = a >> 5 & 1;
  config->accept_any_mask = a >> 6 & 1;
  config->max_message = limits[b % 5];
  config->max_frame = limits[b / 5 % 5];
  config->max_fragments = limits[b / 25 % 5];
  config->max_controls = limits[d % 5];
  config->ping_interval_ms = times[d / 5 % 4];
  config->pong_timeout_ms = times[d / 20 % 4];
  config->close_timeout_ms = times[e & 3];
  config->rsv_in = e & 4 ? NWS__RSV : 0;
  config->rsv_out = e & 8 ? NWS__RSV : 0;
  config->opcodes_in = e & 16 ? NWS__RESERVED_OPCODES : 0;
  config->opcodes_out = e & 32 ? NWS__RESERVED_OPCODES : 0;
  fuzz_random_init(&r->random, a, e >> 6 & 1);
  config->random = &r->random.source;
}

static int start(run *r) {
  const unsigned how = fuzz_u8(&r->c), which = fuzz_u8(&r->c);
  const nws_role role = how & 1 ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
  const size_t count = fuzz_use(which & 7, r->states, r->uses);
  for (size_t i = 0; i < count; i++) {
    r->states[i].kind = (int)(which >> (3 + 2 * i)) & 3;
    r->states[i].failing = &r->random;
  }
  r->config.scratch_len = 1 + (how >> 1) % 40;
  r->config.scratch = fuzz_block(r->config.scratch_len);
  r->conn = fuzz_block(sizeof(nws_conn));
  memset(r->conn, 0xaa, sizeof(nws_conn));
  r->frames.masked = role == NWS_ROLE_SERVER;
  r->frames.rsv = (which & 7) << 4;
  nws_message_init(&r->message, &fuzz_allocator, 0);
  return nws_conn_init(r->conn, role, &r->config, r->uses, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static void (*const calls[])(run *, unsigned) = {
      receive,    receive,      receive,    receive, receive, receive,
      send_frame, send_frame,   send_begin, flush,   flush,   send_close,
      tick,       send_payload, spill,      ping};
  static run r;
  memset(&r, 0, sizeof(r));
  r.c = (fuzz_cursor){data, len};
  r.now = 1;
  fuzz_begin();
  configure(&r);
  if (start(&r) != NWS_OK) {
    FUZZ_CHECK(nws_conn_state(r.conn) == NWS_STATE_CONNECTING);
    return 0;
  }
  check(&r);
  while (r.c.len > 0 && fuzz_room() > ROOM_PER_CALL) {
    const unsigned call = fuzz_u8(&r.c);
    calls[call & 15](&r, call >> 4);
    check(&r);
    if (call == 0xff) {
      end(&r, call >> 4);
      check(&r);
    }
  }
  nws_message_free(&r.message);
  return 0;
}
