/* test_conn_whole.c - the short way (src/proto/conn_whole.c) against the long
 * one: two connections are given the same, one of them without the short way,
 * and must answer the same, to the last field and byte. What is given lies at
 * the edges of all that the short way asks for.
 */
#include "conn_help.h"

/* The long way; src/proto/conn_internal.h declares it. */
int nws__conn_recv_any(nws_conn *conn, nws_input *in, nws_event *event);
int nws__conn_send_any(nws_conn *conn, unsigned what, const void *payload,
                       size_t len, void *out, size_t cap, size_t *out_len);
int nws__conn_begin_any(nws_conn *conn, unsigned what, uint64_t len, void *out,
                        size_t cap, size_t *out_len);

enum { ROOM = 70000, LENS = 24 };

static const size_t lens[LENS] = {
    0,  1,  2,   3,   4,   7,   8,   9,   15,    16,    17,    31,
    32, 33, 124, 125, 126, 127, 128, 255, 32767, 32768, 32769, 65536};

/* One of the two. */
typedef struct way {
  nws_conn conn;
  nws_conn_config config;
  nws_spill spill;
  nws_random random;
  nws_extension inert;
  nws_extension_use use;
  uint32_t seen; /* frames, by the extension if it is in use */
  uint32_t keys; /* drawn so far */
  int no_keys;   /* the source has dried up */
} way;

static int draw(void *user, void *out, size_t len) {
  way *w = user;
  memset(out, (int)(0x51 + 7 * w->keys++), len);
  return w->no_keys ? -1 : 0;
}

static int see_in(void *state, const nws_frame *frame) {
  ((way *)state)->seen += 1 + frame->opcode;
  return NWS_EXTENSION_PASS;
}

static int see_out(void *state, nws_frame *frame, int may_transform) {
  (void)may_transform;
  ((way *)state)->seen += 1 + frame->opcode;
  return NWS_EXTENSION_PASS;
}

static void open_way(way *w, nws_role role, const nws_conn_config *config,
                     int in_use) {
  memset(w, 0, sizeof(*w));
  w->config = *config;
  w->config.size = sizeof(w->config);
  w->random = (nws_random){draw, w};
  w->config.random = &w->random;
  w->inert.size = sizeof(w->inert);
  w->inert.name = "inert";
  w->inert.frame_in = see_in;
  w->inert.frame_out = see_out;
  w->use.ext = &w->inert;
  w->use.state = w;
  assert_int_equal(nws_conn_init(&w->conn, role, &w->config,
                                 in_use ? &w->use : NULL, in_use ? 1 : 0),
                   NWS_OK);
  assert_int_equal(nws_conn_lend(&w->conn, &w->spill), 1);
}

typedef struct pair {
  way ways[2];       /* short, long */
  uint8_t *bytes[2]; /* blocks of ROOM bytes */
} pair;

static pair both;

static int make_blocks(void **unused) {
  (void)unused;
  both.bytes[0] = malloc(ROOM);
  both.bytes[1] = malloc(ROOM);
  return both.bytes[0] == NULL || both.bytes[1] == NULL;
}

static int free_blocks(void **unused) {
  (void)unused;
  free(both.bytes[0]);
  free(both.bytes[1]);
  return 0;
}

/* --- Receiving --- */

/* What has happened before. */
enum before {
  NOTHING,
  FRAGMENT,     /* a binary message is under way */
  HALF_TEXT,    /* a text is, and a character in it */
  CLOSE_SENT,   /* by us */
  STILL_WANTED, /* the same, but data is to be delivered */
  IN_USE,       /* nothing, but an extension looks on */
  BEFORES
};

static void do_before(way *w, enum before before) {
  uint8_t b[64];
  size_t len;
  nws_event event;
  nws_input in = {b, 0, 1};
  const uint8_t *key = w->conn.role == NWS_ROLE_SERVER ? peer_key : NULL;
  if (before == FRAGMENT || before == HALF_TEXT) {
    in.len = put_frame(b, before == FRAGMENT ? 2 : 1, key, "a\xc3", 2);
    assert_int_equal(nws_conn_recv(&w->conn, &in, &event), NWS_EVENT_DATA);
    assert_int_equal(in.len, 0);
  } else if (before == CLOSE_SENT || before == STILL_WANTED) {
    assert_int_equal(
        nws_conn_close(&w->conn, 1000, nws_str_of(""), b, sizeof(b), &len),
        NWS_OK);
  }
}

static void same_event(const nws_event *a, const nws_event *b,
                       const uint8_t *base_a, const uint8_t *base_b) {
  assert_int_equal(a->type, b->type);
  assert_int_equal(a->opcode, b->opcode);
  assert_int_equal(a->frame_opcode, b->frame_opcode);
  assert_int_equal(a->rsv, b->rsv);
  assert_int_equal(a->flags, b->flags);
  assert_int_equal(a->code, b->code);
  assert_int_equal(a->len, b->len);
  assert_int_equal(a->frame_len, b->frame_len);
  assert_int_equal(a->frame_left, b->frame_left);
  assert_int_equal(a->message_offset, b->message_offset);
  if (a->len > 0) {
    assert_memory_equal(a->data, b->data, a->len);
  }
  if (a->data - base_a >= 0 && a->data - base_a < ROOM) { /* or the spill */
    assert_int_equal(a->data - base_a, b->data - base_b);
  }
}

/* Gives both the bytes from..to, and compares all that comes of it. */
static void feed(size_t from, size_t to, uint64_t now) {
  nws_input in[2];
  nws_event events[2];
  int types[2];
  for (int i = 0; i < 2; i++) {
    in[i] = (nws_input){both.bytes[i] + from, to - from, now};
  }
  do {
    for (int i = 0; i < 2; i++) {
      memset(&events[i], 0xa5, sizeof(events[i]));
      types[i] = (i == 0 ? nws_conn_recv : nws__conn_recv_any)(
          &both.ways[i].conn, &in[i], &events[i]);
      assert_true(nws__conn_valid(&both.ways[i].conn));
    }
    assert_int_equal(types[0], types[1]);
    assert_int_equal(in[0].len, in[1].len);
    assert_int_equal(in[0].data - both.bytes[0], in[1].data - both.bytes[1]);
    assert_int_equal(both.ways[0].conn.received, both.ways[1].conn.received);
    assert_int_equal(both.ways[0].conn.heard, both.ways[1].conn.heard);
    assert_int_equal(both.ways[0].seen, both.ways[1].seen);
    assert_int_equal(both.ways[0].conn.flags, both.ways[1].conn.flags);
    if (types[0] > 0) {
      same_event(&events[0], &events[1], both.bytes[0], both.bytes[1]);
    }
  } while (types[0] > 0);
  assert_int_equal(nws_conn_state(&both.ways[0].conn),
                   nws_conn_state(&both.ways[1].conn));
  assert_int_equal(nws_conn_fault(&both.ways[0].conn).offset,
                   nws_conn_fault(&both.ways[1].conn).offset);
}

/* The bytes stand in both.bytes[0], and come at the end of the blocks, behind
 * which nothing may be read. The first `cut` come by themselves. */
static void receive(nws_role role, const nws_conn_config *config,
                    enum before before, size_t n, size_t cut) {
  nws_conn_config with = *config;
  with.deliver_in_closing = before == STILL_WANTED;
  memcpy(both.bytes[1] + ROOM - n, both.bytes[0], n);
  memmove(both.bytes[0] + ROOM - n, both.bytes[0], n);
  for (int i = 0; i < 2; i++) {
    open_way(&both.ways[i], role, &with, before == IN_USE);
    do_before(&both.ways[i], before);
  }
  if (cut > 0) {
    feed(ROOM - n, ROOM - n + cut, 5);
  }
  feed(ROOM - n + cut, ROOM, 7);
}

static const uint8_t *key_of(nws_role role, int wrong) {
  return (role == NWS_ROLE_SERVER) != wrong ? peer_key : NULL;
}

/* A payload that is ASCII. */
static const uint8_t *plain_text(void) {
  static uint8_t text[ROOM];
  if (text[0] == 0) {
    for (size_t i = 0; i < sizeof(text); i++) {
      text[i] = (uint8_t)('a' + i % 26);
    }
  }
  return text;
}

/* Every first byte, in every situation; a good message comes behind. */
static void receives_first_bytes(void **unused) {
  static const size_t some[] = {0, 1, 7, 16, 17, 40, 126};
  const nws_conn_config config = {.accept_any_mask = 0};
  (void)unused;
  for (unsigned i = 0; i < 256 * 2 * 2 * BEFORES * 7; i++) {
    const unsigned first = i & 255;
    const nws_role role = i & 256 ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
    const int wrong = (i & 512) != 0;
    const enum before before = (enum before)(i / 1024 % BEFORES);
    size_t n = put_frame(both.bytes[0], first, key_of(role, wrong),
                         plain_text(), some[i / 1024 / BEFORES]);
    n += put_frame(both.bytes[0] + n, 0x81, key_of(role, 0), "ok", 2);
    receive(role, &config, before, n, 0);
  }
}

/* Every length, at, below and above each limit, and with too little input. */
static void receives_lengths(void **unused) {
  (void)unused;
  for (unsigned i = 0; i < LENS * 2 * 2 * 2 * 2 * 5 * 5; i++) {
    const size_t len = lens[i % LENS];
    const unsigned rest = i / LENS;
    const nws_role role = rest & 1 ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
    const int wrong = (rest & 2) != 0;
    const uint64_t limits[] = {0, len - 1, len, len + 1, NWS_UNLIMITED};
    nws_conn_config config = {.accept_any_mask = (rest & 4) != 0};
    size_t n = put_frame(both.bytes[0], rest & 8 ? 0x81 : 0x82,
                         key_of(role, wrong), plain_text(), len);
    config.max_message = limits[rest / 16 % 5];
    config.max_frame = limits[rest / 80];
    receive(role, &config, NOTHING, n, 0);
    receive(role, &config, NOTHING, n - 1, 0);
  }
}

/* A header and a payload cut at every byte, with all that comes behind. */
static void receives_cut(void **unused) {
  const nws_conn_config config = {.accept_any_mask = 0};
  (void)unused;
  for (unsigned i = 0; i < 20 * 2; i++) {
    const nws_role role = i & 1 ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
    const uint8_t *key = key_of(role, 0);
    size_t n = put_frame(both.bytes[0], 0x81, key, plain_text(), lens[i / 2]);
    size_t cut;
    n += put_frame(both.bytes[0] + n, 0x82, key, "ok", 2);
    for (cut = 0; cut <= n; cut++) {
      put_frame(both.bytes[0], 0x81, key, plain_text(), lens[i / 2]);
      put_frame(both.bytes[0] + n - (key != NULL ? 8 : 4), 0x82, key, "ok", 2);
      receive(role, &config, NOTHING, n, cut);
    }
  }
}

/* Lengths in other than the shortest form, and all that 16 bits say. */
static void receives_long_forms(void **unused) {
  const nws_conn_config config = {.accept_any_mask = 0};
  (void)unused;
  for (unsigned i = 0; i < 400 * 2; i++) {
    const nws_role role = i & 1 ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
    const unsigned mask = role == NWS_ROLE_SERVER ? 0x80 : 0;
    const unsigned len = i / 2 < 200 ? i / 2 : 200;
    const int wide = i / 2 >= 200; /* 64 bits */
    uint8_t *b = both.bytes[0];
    memset(b, 0, 512);
    b[0] = 0x82;
    b[1] = (uint8_t)(mask | (wide ? 127u : 126u));
    b[wide ? 9 : 3] = (uint8_t)(wide ? i / 2 - 200 : len);
    receive(role, &config, NOTHING, 400, 0);
  }
}

/* Text that is good, wrong anywhere, or cut at its end. */
static void receives_text(void **unused) {
  static const char *const ends[] = {"",
                                     "\xc3\xa9",
                                     "\xc3",
                                     "\xff",
                                     "\xed\xa0\x80",
                                     "\xf0\x9f\x98\x80",
                                     "\xf0\x9f\x98"};
  static uint8_t text[ROOM];
  (void)unused;
  for (unsigned i = 0; i < 7 * LENS * 2 * 2 * 2; i++) {
    const char *end = ends[i % 7];
    const size_t len = lens[i / 7 % LENS], end_len = strlen(end);
    const unsigned rest = i / 7 / LENS;
    const nws_role role = rest & 1 ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
    const nws_conn_config config = {.accept_any_text = (rest & 2) != 0};
    memcpy(text, plain_text(), len);
    if (len >= end_len) { /* at the end, or at the beginning */
      memcpy(rest & 4 ? text : text + len - end_len, end, end_len);
    }
    size_t n = put_frame(both.bytes[0], 0x81, key_of(role, 0), text, len);
    n += put_frame(both.bytes[0] + n, 0x81, key_of(role, 0), "ok", 2);
    receive(role, &config, NOTHING, n, 0);
  }
}

/* Frames behind control frames and behind the end of fragments: the short way
 * must be open again, and nothing of it left over. */
static void receives_streams(void **unused) {
  static const unsigned firsts[] = {0x81, 0x82, 1,    2,   0,
                                    0x80, 0x89, 0x8a, 0x88};
  uint64_t seed = 20260601;
  (void)unused;
  for (int round = 0; round < 20000; round++) {
    const nws_role role =
        dice_below(&seed, 2) ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
    const nws_conn_config config = {.manual_close =
                                        (uint8_t)dice_below(&seed, 2),
                                    .max_fragments = dice_below(&seed, 4)};
    size_t n = 0;
    for (unsigned i = 0; i < 6; i++) {
      n += put_frame(both.bytes[0] + n, firsts[dice_below(&seed, 9)],
                     key_of(role, 0), plain_text(), dice_below(&seed, 20));
    }
    receive(role, &config, NOTHING, n, dice_below(&seed, (unsigned)n));
  }
}

/* --- Sending --- */

/* What has been sent before. */
enum sent {
  SENT_NOTHING,
  SENT_FRAGMENT,
  SENT_HALF_TEXT,
  SENT_TEXT,   /* piece by piece */
  SENT_HEADER, /* a payload is missing */
  SENT_CLOSE,
  GOT_CLOSE,   /* an answer is owed */
  SENT_IN_USE, /* nothing, but an extension looks on */
  SENTS
};

static void do_sent(way *w, enum sent sent) {
  uint8_t b[64];
  size_t len;
  int status = NWS_OK;
  if (sent == SENT_FRAGMENT || sent == SENT_HALF_TEXT) {
    status = nws_conn_send(&w->conn,
                           (sent == SENT_FRAGMENT ? 2u : 1u) | NWS_SEND_MORE,
                           "a\xc3", 2, b, sizeof(b), &len);
  } else if (sent == SENT_TEXT) {
    status = nws_conn_send_begin(&w->conn, 1, 1, b, sizeof(b), &len);
    assert_int_equal(nws_conn_send_payload(&w->conn, b, "x", 1), NWS_OK);
  } else if (sent == SENT_HEADER) {
    status = nws_conn_send_begin(&w->conn, 2, 3, b, sizeof(b), &len);
  } else if (sent == SENT_CLOSE) {
    status = nws_conn_close(&w->conn, 1000, nws_str_of(""), b, sizeof(b), &len);
  } else if (sent == GOT_CLOSE) {
    nws_event event;
    nws_input in = {b, 0, 1};
    in.len = put_frame(b, 0x88, key_of((nws_role)w->conn.role, 0), NULL, 0);
    assert_int_equal(nws_conn_recv(&w->conn, &in, &event), NWS_EVENT_CLOSE);
  }
  assert_int_equal(status, NWS_OK);
}

static void open_senders(nws_role role, const nws_conn_config *config,
                         enum sent sent, int no_keys) {
  for (int i = 0; i < 2; i++) {
    open_way(&both.ways[i], role, config, sent == SENT_IN_USE);
    do_sent(&both.ways[i], sent);
    both.ways[i].no_keys = no_keys;
  }
}

/* Compares what a call gave; `status` are both answers. */
static void same_frames(const int status[2], const size_t out_len[2],
                        size_t cap) {
  assert_int_equal(status[0], status[1]);
  assert_int_equal(out_len[0], out_len[1]);
  assert_int_equal(both.ways[0].keys, both.ways[1].keys);
  assert_int_equal(both.ways[0].seen, both.ways[1].seen);
  if (status[0] == NWS_OK) {
    assert_true(out_len[0] <= cap);
    assert_memory_equal(both.bytes[0], both.bytes[1], out_len[0]);
  }
}

static void send(unsigned what, const void *payload, size_t len, size_t cap) {
  int status[2];
  size_t out_len[2];
  for (int i = 0; i < 2; i++) {
    out_len[i] = 12345;
    both.bytes[i][cap] = 0x77; /* is left alone */
    status[i] = (i == 0 ? nws_conn_send : nws__conn_send_any)(
        &both.ways[i].conn, what, payload, len, cap > 0 ? both.bytes[i] : NULL,
        cap, &out_len[i]);
    assert_int_equal(both.bytes[i][cap], 0x77);
    assert_true(nws__conn_valid(&both.ways[i].conn));
  }
  same_frames(status, out_len, cap);
}

/* What the connection remembers of what it sent shows in what it allows. */
static void send_after(void) {
  int status[2];
  for (int i = 0; i < 2; i++) {
    status[i] = nws_conn_send_payload(&both.ways[i].conn, NULL, NULL, 0);
  }
  assert_int_equal(status[0], status[1]);
  send(0, "b", 1, 100);
  send(1 | NWS_SEND_MORE, "\xc3", 1, 100);
  send(0, "\xa9", 1, 100);
}

/* Everything that can be asked for, in every situation. */
static void sends_kinds(void **unused) {
  (void)unused;
  for (unsigned i = 0; i < 0x800 * 2 * SENTS; i++) {
    const nws_conn_config config = {.rsv_out = 0x40, .opcodes_out = 1u << 3};
    const nws_role role = i & 0x800 ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
    open_senders(role, &config, (enum sent)(i / 0x1000), 0);
    send(i & 0x7ff, "text", 4, 100);
    send_after();
  }
}

/* Every length into every room, text and not, good and not. */
static void sends_lengths(void **unused) {
  static uint8_t text[ROOM];
  (void)unused;
  for (unsigned i = 0; i < LENS * 2 * 2 * 2 * 4 * 16; i++) {
    const size_t len = lens[i % LENS];
    const unsigned rest = i / LENS;
    const nws_role role = rest & 1 ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
    const nws_conn_config config = {.trust_sent_text = (rest & 2) != 0};
    const unsigned bad = rest / 8 % 4;
    const size_t more = rest / 32;
    if (len > 1000 && more % 4 != 0) {
      continue;
    }
    memcpy(text, plain_text(), len);
    if (bad != 0 && len > 0) { /* good for 2 bytes, wrong, cut */
      text[bad == 1 && len > 1 ? len - 2 : len - 1] = 0xc3;
      text[bad == 2 ? 0 : len - 1] = bad == 1 ? 0xa9 : 0xc3;
    }
    open_senders(role, &config, SENT_NOTHING, 0);
    send(rest & 4 ? 1 : 2, len > 0 ? text : NULL, len, len + more);
    send_after();
  }
}

static void sends_without_keys(void **unused) {
  const nws_conn_config config = {.trust_sent_text = 0};
  (void)unused;
  open_senders(NWS_ROLE_CLIENT, &config, SENT_NOTHING, 1);
  send(2, "x", 1, 100);
  both.ways[0].no_keys = both.ways[1].no_keys = 0;
  send(2, "x", 1, 100);
}

/* Headers first: the rest of the message in two pieces, good or not. */
static void begins(void **unused) {
  (void)unused;
  for (unsigned i = 0; i < LENS * 3 * 2 * 2 * SENTS * 16; i++) {
    const size_t len = lens[i % LENS];
    const unsigned rest = i / LENS;
    const nws_role role = rest % 2 ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
    const nws_conn_config config = {.trust_sent_text = (rest & 2) != 0};
    const unsigned what = rest / 4 % 3;
    const size_t cap = rest / 12 / SENTS;
    int status[2];
    size_t out_len[2] = {1, 2};
    open_senders(role, &config, (enum sent)(rest / 12 % SENTS), 0);
    for (int j = 0; j < 2; j++) {
      status[j] = (j == 0 ? nws_conn_send_begin : nws__conn_begin_any)(
          &both.ways[j].conn, what, len, cap > 0 ? both.bytes[j] : NULL, cap,
          &out_len[j]);
    }
    same_frames(status, out_len, cap);
    send(2, "not now", 7, 100);
    for (int j = 0; j < 2 && len > 1 && len < 300; j++) {
      uint8_t to[300];
      status[j] =
          nws_conn_send_payload(&both.ways[j].conn, to, plain_text(), len - 1);
      if (status[j] == NWS_OK) {
        status[j] = nws_conn_send_payload(&both.ways[j].conn, to, "\xc3", 1);
      }
    }
    assert_int_equal(status[0], status[1]);
    send_after();
  }
}

/* Arguments that are missing are refused as ever. */
static void refuses_nothing(void **unused) {
  const nws_conn_config config = {.trust_sent_text = 0};
  nws_event event;
  nws_input none = {NULL, 4, 1};
  (void)unused;
  open_senders(NWS_ROLE_SERVER, &config, SENT_NOTHING, 0);
  for (int i = 0; i < 2; i++) {
    nws_conn *conn = &both.ways[i].conn;
    size_t len;
    nws_input in = {both.bytes[i],
                    put_frame(both.bytes[i], 0x82, peer_key, "x", 1), 1};
    assert_int_equal(nws_conn_recv(NULL, &in, &event), NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_conn_recv(conn, NULL, &event), NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_conn_recv(conn, &in, NULL), NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_conn_recv(conn, &none, &event), NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_conn_send(NULL, 2, "x", 1, both.bytes[i], 99, &len),
                     NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_conn_send(conn, 2, NULL, 1, both.bytes[i], 99, &len),
                     NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_conn_send(conn, 2, "x", 1, NULL, 99, &len),
                     NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_conn_send(conn, 2, "x", 1, both.bytes[i], 99, NULL),
                     NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_conn_send_begin(NULL, 2, 1, both.bytes[i], 99, &len),
                     NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_conn_send_begin(conn, 2, 1, NULL, 99, &len),
                     NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_conn_send_begin(conn, 2, 1, both.bytes[i], 99, NULL),
                     NWS_ERROR_ARGUMENT);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(receives_first_bytes),
      cmocka_unit_test(receives_lengths),
      cmocka_unit_test(receives_cut),
      cmocka_unit_test(receives_long_forms),
      cmocka_unit_test(receives_text),
      cmocka_unit_test(receives_streams),
      cmocka_unit_test(sends_kinds),
      cmocka_unit_test(sends_lengths),
      cmocka_unit_test(sends_without_keys),
      cmocka_unit_test(begins),
      cmocka_unit_test(refuses_nothing),
  };
  return cmocka_run_group_tests(tests, make_blocks, free_blocks);
}
