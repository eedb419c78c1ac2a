/* fuzz_pair.c - harness: a client and a server that talk to each other, with or
 * without compression: messages whole, in fragments and in pieces, control
 * frames in between, all cut anywhere on the way. What one sends without an
 * error the other receives, and both part cleanly.
 */
#include "fuzz.h"

#include <string.h>
#include <nws/deflate.h>
#include "../../src/proto/conn_internal.h"

enum { QUEUE_MAX = 1 << 16, OUT_MAX = 2048, LEN_MAX = 520 };

typedef struct end {
  nws_conn conn;
  nws_spill spill;
  nws_extension_use use;
  fuzz_bytes queue; /* on the way to the other end */
  size_t queue_at;
  fuzz_bytes sent; /* messages, each followed by its opcode */
  fuzz_bytes got;
  unsigned opcode; /* of the message that is being sent */
  int last;        /* the frame that was begun ends it */
} end;

typedef struct pair {
  fuzz_cursor c;
  end ends[2]; /* server, client */
  uint64_t now;
} pair;

static end *peer_of(pair *p, const end *e) {
  return &p->ends[e == &p->ends[0]];
}

/* --- Messages --- */

static void sent(end *e, const void *data, size_t len, int last) {
  const uint8_t mark = (uint8_t)e->opcode;
  fuzz_add(&e->sent, data, len);
  if (last) {
    fuzz_add(&e->sent, &mark, 1);
    e->opcode = 0;
  }
}

static void on_event(end *e, const nws_event *event) {
  if (event->type != NWS_EVENT_DATA) {
    return;
  }
  fuzz_add(&e->got, event->data, event->len);
  if (event->flags & NWS_MESSAGE_END) {
    fuzz_add(&e->got, &event->opcode, 1);
  }
}

/* Lets an end receive up to `len` bytes of what is on the way to it. */
static void feed(pair *p, end *e, size_t len) {
  end *from = peer_of(p, e);
  const size_t left = from->queue.len - from->queue_at;
  len = len < left ? len : left;
  if (len > fuzz_room()) {
    return;
  }
  uint8_t *copy = fuzz_copy(from->queue.data + from->queue_at, len);
  nws_input in = {copy, len, p->now};
  nws_event event;
  int rc;
  from->queue_at += len;
  while ((rc = nws_conn_recv(&e->conn, &in, &event)) > 0) {
    on_event(e, &event);
  }
  FUZZ_CHECK(rc == 0 && in.len == 0 && nws__conn_valid(&e->conn));
  fuzz_drop(copy, len);
}

/* For one call more, and for what part() does. */
static int has_room(const end *e) {
  return e->queue.len + 2 * OUT_MAX < QUEUE_MAX &&
         e->sent.len + 2 * OUT_MAX < QUEUE_MAX;
}

/* --- What can be done --- */

/* Bytes to send: of the input, the rest filled up with letters. */
static void text(fuzz_cursor *c, uint8_t *out, size_t len) {
  size_t own = len < 24 ? len : 24;
  const uint8_t *from = fuzz_take(c, &own);
  memset(out, 'x', len);
  memcpy(out, from, own);
}

static void send_frame(pair *p, end *e, unsigned how) {
  static const uint8_t kinds[] = {1, 2, 1, 2, 0, 0, 9, 10};
  uint8_t bytes[LEN_MAX], out[OUT_MAX];
  unsigned what = kinds[how % 8];
  const size_t len = fuzz_u8(&p->c) * (how & 8 && !(what & 8) ? 2u : 1u) / 2;
  size_t out_len;
  if (how & 16 && !(what & 8)) {
    what |= NWS_SEND_MORE;
  }
  if (how & 32) {
    what |= NWS_SEND_PLAIN;
  }
  text(&p->c, bytes, len);
  const int rc =
      nws_conn_send(&e->conn, what, bytes, len, out, sizeof(out), &out_len);
  FUZZ_CHECK(nws_conn_fault(&e->conn).error == NWS_OK);
  FUZZ_CHECK(rc != NWS_ERROR_BUFFER && rc != NWS_ERROR_RANDOM);
  if (rc != NWS_OK) {
    return;
  }
  fuzz_add(&e->queue, out, out_len);
  if (!(what & 8)) {
    e->opcode = what & 15 ? what & 15 : e->opcode;
    sent(e, bytes, len, !(what & NWS_SEND_MORE));
  }
}

static void send_begin(pair *p, end *e, unsigned how) {
  uint8_t out[NWS_FRAME_HEADER_MAX];
  const unsigned opcode = how % 4 == 3 ? NWS_OPCODE_BINARY : how % 4;
  const unsigned more = how & 16 ? NWS_SEND_MORE : 0;
  size_t out_len;
  if (nws_conn_send_begin(&e->conn, opcode | more, fuzz_u8(&p->c) % 40, out,
                          sizeof(out), &out_len) != NWS_OK) {
    return;
  }
  fuzz_add(&e->queue, out, out_len);
  e->opcode = opcode ? opcode : e->opcode;
  e->last = !more;
  if (e->conn.send_left == 0) {
    sent(e, NULL, 0, e->last);
  }
}

static void send_part(pair *p, end *e, size_t len) {
  uint8_t bytes[64], before[64];
  len = len < e->conn.send_left ? len : (size_t)e->conn.send_left;
  text(&p->c, bytes, len);
  if (len == e->conn.send_left && len > 0) {
    bytes[len - 1] = '.'; /* likely the end of a character */
  }
  memcpy(before, bytes, len);
  if (nws_conn_send_payload(&e->conn, bytes, bytes, len) != NWS_OK ||
      len == 0) {
    return;
  }
  fuzz_add(&e->queue, bytes, len);
  sent(e, before, len, e->conn.send_left == 0 && e->last);
}

static void send_payload(pair *p, end *e, unsigned how) {
  send_part(p, e, how % 40);
}

static void flush(pair *p, end *e, unsigned how) {
  uint8_t out[3 * NWS_CONTROL_FRAME_MAX];
  size_t out_len = 0;
  const size_t cap = how & 1 ? fuzz_u8(&p->c) : sizeof(out);
  const int rc = nws_conn_flush(&e->conn, out, cap, &out_len);
  FUZZ_CHECK(rc == NWS_OK || (rc == NWS_ERROR_BUFFER && cap < sizeof(out)));
  if (rc == NWS_OK) {
    fuzz_add(&e->queue, out, out_len);
  }
}

static void say_goodbye(end *e, unsigned code, nws_str reason) {
  uint8_t out[NWS_CONTROL_FRAME_MAX];
  size_t out_len;
  if (nws_conn_close(&e->conn, code, reason, out, sizeof(out), &out_len) ==
      NWS_OK) {
    fuzz_add(&e->queue, out, out_len);
  }
}

static void control(pair *p, end *e, unsigned how) {
  uint64_t next;
  if (how % 16 == 15) {
    const unsigned code = 1000 + fuzz_u8(&p->c) % 16;
    say_goodbye(e, code, nws_str_of(how & 16 ? "bye \xc3\xa4" : NULL));
  } else if (how & 1) {
    nws_conn_ping(&e->conn, ++p->now);
  } else {
    p->now += fuzz_u8(&p->c) * 100000000ull;
    FUZZ_CHECK(nws_conn_tick(&e->conn, p->now, &next) == NWS_OK);
  }
}

static void receive(pair *p, end *e, unsigned how) {
  feed(p, e, how & 1 ? fuzz_u8(&p->c) % 8 : QUEUE_MAX);
}

/* --- The whole --- */

static void make_ends(pair *p, const nws_conn_config *config,
                      const nws_deflate *deflate, unsigned how) {
  static uint8_t rooms[6][QUEUE_MAX];
  nws_deflate_params params[2] = {{.send_no_takeover = how & 1,
                                   .receive_no_takeover = how >> 1 & 1,
                                   .send_window_bits = how & 8 ? 9 : 15,
                                   .receive_window_bits = how & 16 ? 9 : 15},
                                  {.send_no_takeover = how >> 1 & 1,
                                   .receive_no_takeover = how & 1,
                                   .send_window_bits = how & 16 ? 9 : 15,
                                   .receive_window_bits = how & 8 ? 9 : 15}};
  for (int i = 0; i < 2; i++) {
    end *e = &p->ends[i];
    e->queue = (fuzz_bytes){rooms[i], 0, QUEUE_MAX};
    e->sent = (fuzz_bytes){rooms[2 + i], 0, QUEUE_MAX};
    e->got = (fuzz_bytes){rooms[4 + i], 0, QUEUE_MAX};
    if (how & 4) {
      FUZZ_CHECK(nws_deflate_use(deflate, &params[i], &e->use) == NWS_OK);
    }
    FUZZ_CHECK(nws_conn_init(&e->conn,
                             i == 0 ? NWS_ROLE_SERVER : NWS_ROLE_CLIENT, config,
                             &e->use, how & 4 ? 1 : 0) == NWS_OK);
    FUZZ_CHECK(nws_conn_lend(&e->conn, &e->spill) == 1);
  }
}

/* Ends open frames, lets everything arrive, and closes. */
static void part(pair *p) {
  for (int i = 0; i < 2; i++) {
    end *e = &p->ends[i];
    nws_utf8 state = e->conn.send_utf8;
    if (state != NWS_UTF8_START && e->conn.send_left > 0) {
      return; /* a character that cannot be ended any more */
    }
    while (e->conn.send_left > 0) {
      p->c.len = 0;
      send_part(p, e, 40);
    }
  }
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < 2; i++) {
      if (round == 1) {
        say_goodbye(&p->ends[i], 1000, nws_str_make(NULL, 0));
      }
      flush(p, &p->ends[i], 0);
      feed(p, &p->ends[i], QUEUE_MAX);
      feed(p, &p->ends[!i], QUEUE_MAX);
    }
  }
  for (int i = 0; i < 2; i++) {
    FUZZ_CHECK(nws_conn_clean(&p->ends[i].conn));
    FUZZ_CHECK(fuzz_equal(&p->ends[i].got, &p->ends[!i].sent));
  }
  FUZZ_CHECK(nws_conn_finished(&p->ends[0].conn));
  FUZZ_CHECK(!nws_conn_finished(&p->ends[1].conn));
  FUZZ_CHECK(nws_conn_eof(&p->ends[1].conn) == NWS_OK);
  FUZZ_CHECK(nws_conn_finished(&p->ends[1].conn));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static void (*const calls[])(pair *, end *, unsigned) = {
      send_frame,   send_frame, send_frame, send_begin,
      send_payload, flush,      control,    receive};
  static const nws_deflate_config how = {
      .size = sizeof(how), .mem_level = 1, .min_size = 8};
  static nws_deflate deflate;
  static pair p;
  fuzz_random random;
  fuzz_begin();
  if (deflate.pool == NULL) {
    FUZZ_CHECK(nws_deflate_init(&deflate, &how) == NWS_OK);
  }
  memset(&p, 0, sizeof(p));
  p.c = (fuzz_cursor){data, len};
  p.now = 1000;
  const unsigned mode = fuzz_u8(&p.c), scratch_len = 1 + fuzz_u8(&p.c) % 60;
  fuzz_random_init(&random, mode, 0);
  const nws_conn_config config = {.size = sizeof(config),
                                  .random = &random.source,
                                  .max_controls = NWS_UNLIMITED,
                                  .pong_timeout_ms = UINT32_MAX,
                                  .close_timeout_ms = UINT32_MAX,
                                  .deliver_in_closing = 1,
                                  .manual_pong = mode >> 5 & 1,
                                  .manual_close = mode >> 6 & 1,
                                  .scratch = fuzz_block(scratch_len),
                                  .scratch_len = scratch_len};
  make_ends(&p, &config, &deflate, mode);
  while (p.c.len > 0 && has_room(&p.ends[0]) && has_room(&p.ends[1])) {
    const unsigned call = fuzz_u8(&p.c);
    calls[call >> 1 & 7](&p, &p.ends[call & 1], fuzz_u8(&p.c));
  }
  part(&p);
  nws_extension_release(&p.ends[0].use, mode & 4 ? 1 : 0);
  nws_extension_release(&p.ends[1].use, mode & 4 ? 1 : 0);
  return 0;
}
