/* conn_help.h - what the tests of the connection share: one end of a
 * connection with all that it borrows, a naive encoder and decoder of frames
 * that owes nothing to the library, and a trace of events that does not depend
 * on how a stream was cut.
 */
#ifndef NWS_TESTS_CONN_HELP_H
#define NWS_TESTS_CONN_HELP_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <nws/conn.h>

#include <stdlib.h>
#include <string.h>

#define FIN 0x80u
#define MILLI 1000000u /* a millisecond in nanoseconds */
#define SECOND UINT64_C(1000000000)

/* The invariants of a connection; src/proto/conn_internal.h declares it. */
int nws__conn_valid(const nws_conn *conn);

/* --- Chance, the same in each run --- */

static inline uint64_t dice(uint64_t *seed) {
  /* splitmix64, by Sebastiano Vigna (public domain): mixes a counter. */
  uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static inline unsigned dice_below(uint64_t *seed, unsigned sides) {
  return (unsigned)(dice(seed) % sides);
}

/* --- Frames as bytes --- */

static const uint8_t peer_key[4] = {0x37, 0xfa, 0x21, 0x3d};

/* Writes a frame header; `key` is NULL for a frame without mask. */
static inline size_t put_header(uint8_t *out, unsigned first,
                                const uint8_t *key, uint64_t len) {
  const unsigned mask = key != NULL ? 0x80u : 0;
  const size_t wide = len < 126 ? 0 : len < 65536 ? 2 : 8;
  size_t at = 2;
  out[0] = (uint8_t)first;
  out[1] = (uint8_t)(mask | (wide == 0   ? (unsigned)len
                             : wide == 2 ? 126
                                         : 127));
  for (size_t i = wide; i-- > 0;) {
    out[at++] = (uint8_t)(len >> (8 * i));
  }
  for (size_t i = 0; key != NULL && i < 4; i++) {
    out[at++] = key[i];
  }
  return at;
}

/* Writes a whole frame; `first` is its first byte. Returns its length. */
static inline size_t put_frame(uint8_t *out, unsigned first, const uint8_t *key,
                               const void *payload, size_t len) {
  const uint8_t *from = payload;
  const size_t at = put_header(out, first, key, len);
  for (size_t i = 0; i < len; i++) {
    out[at + i] = (uint8_t)(key != NULL ? from[i] ^ key[i % 4] : from[i]);
  }
  return at + len;
}

/* A frame that was read back. */
typedef struct wire {
  unsigned first;   /* its first byte */
  int masked;       /* by a key */
  uint8_t key[4];   /* that key */
  uint8_t *payload; /* unmasked in place */
  size_t len;       /* of the payload */
  size_t size;      /* of the frame */
} wire;

/* Reads the frame at `data`, which must be whole within `len` bytes. */
static inline wire wire_read(uint8_t *data, size_t len) {
  wire w = {0};
  size_t at = 2;
  size_t wide = 0;
  assert_true(len >= 2);
  w.first = data[0];
  w.masked = (data[1] & 0x80) != 0;
  w.len = data[1] & 0x7f;
  wide = w.len < 126 ? 0 : w.len == 126 ? 2 : 8;
  w.len = wide == 0 ? w.len : 0;
  assert_true(len >= at + wide + (w.masked ? 4 : 0));
  for (size_t i = 0; i < wide; i++) {
    w.len = w.len << 8 | data[at++];
  }
  for (size_t i = 0; w.masked && i < 4; i++) {
    w.key[i] = data[at++];
  }
  assert_true(w.len <= len - at);
  w.payload = data + at;
  for (size_t i = 0; i < w.len; i++) {
    w.payload[i] ^= w.key[i % 4];
  }
  w.size = at + w.len;
  return w;
}

/* --- One end of a connection --- */

/* A connection and all that it borrows; not to be moved. `config` and `lazy`
 * may be set before end_open(). */
typedef struct end {
  nws_conn conn;
  nws_spill spill;
  nws_conn_config config;
  nws_random random;
  nws_role role;
  int lazy;        /* the spill is lent when asked for, and taken back */
  int broken;      /* the random source fails */
  unsigned draws;  /* calls to it */
  uint8_t last[4]; /* the key that it gave last */
  uint64_t seed;   /* where its keys come from */
  uint64_t now;    /* goes into nws_input.now */
} end;

static inline int end_draw(void *user, void *out, size_t len) {
  end *e = user;
  if (e->broken) {
    return -1;
  }
  assert_int_equal(len, 4); /* a masking key, and no more than that */
  for (size_t i = 0; i < 4; i++) {
    e->last[i] = (uint8_t)dice(&e->seed);
  }
  memcpy(out, e->last, 4);
  e->draws++;
  return 0;
}

static inline void end_open(end *e, nws_role role) {
  e->config.size = sizeof(e->config);
  e->config.random = &e->random;
  e->random.fill = end_draw;
  e->random.user = e;
  e->role = role;
  memset(&e->conn, 0xa5, sizeof(e->conn));
  memset(&e->spill, 0xa5, sizeof(e->spill));
  assert_int_equal(nws_conn_init(&e->conn, role, &e->config, NULL, 0), NWS_OK);
  if (!e->lazy) {
    assert_int_equal(nws_conn_lend(&e->conn, &e->spill), 1);
  }
}

static inline int end_masks(const end *e) {
  return e->role == NWS_ROLE_CLIENT;
}

/* Writes a frame as the peer of `e` would: masked towards a server. */
static inline size_t put_peer(const end *e, uint8_t *out, unsigned first,
                              const void *payload, size_t len) {
  return put_frame(out, first, end_masks(e) ? NULL : peer_key, payload, len);
}

/* nws_conn_recv() with the promises checked that hold for every call. */
static inline int end_take(end *e, nws_input *in, nws_event *event) {
  const nws_input before = *in;
  int type = nws_conn_recv(&e->conn, in, event);
  if (type == NWS_ERROR_SPILL) {
    assert_int_equal(nws_conn_lend(&e->conn, &e->spill), 1);
    type = nws_conn_recv(&e->conn, in, event);
    assert_int_not_equal(type, NWS_ERROR_SPILL);
  }
  assert_true(nws__conn_valid(&e->conn));
  assert_true(in->len <= before.len);
  assert_ptr_equal(in->data, before.data + (before.len - in->len));
  if (type == 0) {
    assert_int_equal(in->len, 0);
  }
  return type;
}

/* --- A trace of what came out, the same however the input was cut --- */

typedef struct trace {
  uint8_t bytes[1 << 14];
  size_t len;
} trace;

static inline void trace_add(trace *t, const void *data, size_t len) {
  assert_true(t->len + len <= sizeof(t->bytes));
  if (len > 0) {
    memcpy(t->bytes + t->len, data, len);
  }
  t->len += len;
}

static inline void trace_event(trace *t, const nws_event *event) {
  const uint8_t head[] = {'<',
                          event->type,
                          event->opcode,
                          event->frame_opcode,
                          event->rsv,
                          (uint8_t)(event->code >> 8),
                          (uint8_t)event->code};
  if ((event->flags & NWS_FRAME_BEGIN) != 0) {
    trace_add(t, head, sizeof(head));
    trace_add(t, &event->frame_len, sizeof(event->frame_len));
  }
  trace_add(t, event->data, event->len);
  if ((event->flags & NWS_FRAME_END) != 0) {
    trace_add(t, (event->flags & NWS_MESSAGE_END) != 0 ? "!" : ">", 1);
  }
}

/* Takes all of the input and notes it in `t`, which may be NULL. Returns the
 * last result: 0 or an error. Each call takes bytes or ends a frame, so their
 * number is bounded. */
static inline int end_feed(end *e, uint8_t *data, size_t len, trace *t) {
  nws_input in = {data, len, e->now};
  nws_event event;
  size_t calls = 0;
  int type = 0;
  while ((type = end_take(e, &in, &event)) > 0) {
    assert_true(calls++ <= len);
    if (t != NULL) {
      trace_event(t, &event);
    }
  }
  if (e->lazy) {
    (void)nws_conn_reclaim(&e->conn);
  }
  return type;
}

/* Feeds one frame of the peer. */
static inline int end_hear(end *e, unsigned first, const void *payload,
                           size_t len) {
  uint8_t buffer[1024];
  assert_true(len <= 1000);
  return end_feed(e, buffer, put_peer(e, buffer, first, payload, len), NULL);
}

/* --- What an end writes --- */

/* Wants the frame at the front of `*data` and steps over it. */
static inline void expect_frame(const end *e, uint8_t **data, size_t *len,
                                unsigned first, const void *payload,
                                size_t payload_len) {
  const wire w = wire_read(*data, *len);
  assert_int_equal(w.first, first);
  assert_int_equal(w.masked, end_masks(e));
  assert_int_equal(w.len, payload_len);
  if (payload_len > 0) {
    assert_memory_equal(w.payload, payload, payload_len);
  }
  *data += w.size;
  *len -= w.size;
}

/* Flushes all; what is owed must be told exactly. Returns the length. */
static inline size_t end_flush(end *e, uint8_t out[512]) {
  const size_t owed = nws_conn_owed(&e->conn);
  size_t len = 999;
  assert_int_equal(nws_conn_flush(&e->conn, out, 512, &len), NWS_OK);
  assert_true(nws__conn_valid(&e->conn));
  assert_int_equal(len, owed);
  assert_int_equal(nws_conn_owed(&e->conn), 0);
  return len;
}

/* Wants exactly one control frame to be owed, and flushes it. */
static inline void expect_owed(end *e, unsigned opcode, const void *payload,
                               size_t len) {
  uint8_t out[512];
  uint8_t *at = out;
  size_t left = end_flush(e, out);
  expect_frame(e, &at, &left, FIN | opcode, payload, len);
  assert_int_equal(left, 0);
}

/* Wants exactly a close frame to be owed, with any reason. */
static inline void expect_close(end *e, unsigned code) {
  uint8_t out[512];
  const size_t len = end_flush(e, out);
  const wire w = wire_read(out, len);
  assert_int_equal(w.size, len);
  assert_int_equal(w.first, FIN | NWS_OPCODE_CLOSE);
  assert_int_equal(w.masked, end_masks(e));
  assert_true(w.len >= 2);
  assert_int_equal(w.payload[0] << 8 | w.payload[1], code);
}

#endif
