/* vector_conn.c - plays a vector on a connection and writes the log.
 *
 * The log says what arrived and not in which pieces, so that it must be the
 * same however the input is cut. What the pieces must tell truly (flags,
 * offsets, what is left of a frame) is checked on the way; a lie makes a line
 * that no vector expects.
 *
 * Each input piece, output and spill is a heap block of exactly the size that
 * the headers ask for, and the connection moves in memory between pieces, so
 * that a sanitizer sees every byte too far and every pointer kept too long.
 */
#include "vectors.h"

#include <nws/utf8.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH = 7, INFLATED_PIECES = 4096 };

typedef struct player {
  const vector *v;
  const manner *how;
  nws_conn_config config;
  nws_random random;
  size_t drawn;
  nws_conn *conn;
  nws_spill *spill;      /* lent at present */
  nws_extension_use use; /* of permessage-deflate, if it was agreed upon */
  uint8_t *scratch;
  bytes *log;
  bytes *frame; /* payload of the frame that is arriving */
  uint64_t now;
  uint64_t message_len;
  uint8_t frame_opcode;
  uint8_t message_opcode;
  uint8_t in_frame;
  uint8_t in_message;
  int fault;
} player;

/* --- What the connection borrows --- */

/* Without a list, bytes that differ from one draw to the next. */
static int draw(void *user, void *out, size_t len) {
  player *p = user;
  uint8_t *to = out;
  if (p->v->random.len && p->v->random.len - p->drawn < len)
    return -1;
  for (size_t i = 0; i < len; i++, p->drawn++)
    to[i] = p->v->random.len ? p->v->random.data[p->drawn]
                             : (uint8_t)(p->drawn * 37 + 11);
  return 0;
}

static void lie(player *p, const char *what) {
  bytes_print(p->log, "INCONSISTENT %s\n", what);
}

static void lend(player *p) {
  if (p->spill) {
    lie(p, "a spill is asked for although one is lent");
    return;
  }
  p->spill = xalloc(sizeof(nws_spill));
  memset(p->spill, 0xa5, sizeof(nws_spill));
  if (nws_conn_lend(p->conn, p->spill) != 1)
    lie(p, "the spill is not taken");
}

static void reclaim(player *p) {
  nws_spill *back = nws_conn_reclaim(p->conn);
  if (!back)
    return;
  if (back != p->spill)
    lie(p, "another spill comes back");
  free(p->spill);
  p->spill = NULL;
}

static void move(player *p) {
  nws_conn *moved = xalloc(sizeof(nws_conn));
  memcpy(moved, p->conn, sizeof(nws_conn));
  memset(p->conn, 0xa5, sizeof(nws_conn));
  free(p->conn);
  p->conn = moved;
}

/* --- Events --- */

static void print_opcode(bytes *to, unsigned opcode) {
  static const char *const names[] = {
      "continuation", "text", "binary", 0, 0, 0, 0, 0, "close", "ping", "pong"};
  if (opcode <= 10 && names[opcode])
    bytes_print(to, " %s", names[opcode]);
  else
    bytes_print(to, " %u", opcode);
}

static void print_rsv(bytes *to, unsigned rsv) {
  for (unsigned i = 1; i <= 3; i++)
    if (rsv & (0x80u >> i))
      bytes_print(to, " RSV%u", i);
}

static void print_payload(bytes *to, const uint8_t *data, size_t len) {
  bytes_render(to, data, len);
  bytes_print(to, "\n");
}

static void begin_piece(player *p, const nws_event *event) {
  if (!!(event->flags & NWS_FRAME_BEGIN) == p->in_frame)
    lie(p, "FRAME_BEGIN");
  if (!!(event->flags & NWS_MESSAGE_BEGIN) == p->in_message)
    lie(p, "MESSAGE_BEGIN");
  if (p->in_message && event->opcode != p->message_opcode)
    lie(p, "the message's opcode changes");
  if (p->in_frame && event->frame_opcode != p->frame_opcode)
    lie(p, "the frame's opcode changes");
  if (!p->in_message) {
    p->message_opcode = event->opcode;
    p->message_len = 0;
    if (event->frame_opcode != event->opcode)
      lie(p, "a first frame whose opcode is not the message's");
  }
  if (!p->in_frame) {
    p->frame_opcode = event->frame_opcode;
    p->frame->len = 0;
  }
  p->in_frame = p->in_message = 1;
  if (event->message_offset != p->message_len)
    lie(p, "message_offset");
}

static void take_data(player *p, const nws_event *event) {
  begin_piece(p, event);
  bytes_add(p->frame, event->data, event->len);
  p->message_len += event->len;
  /* What was compressed has another length on the wire. */
  if (p->use.ext == NULL &&
      event->frame_len != p->frame->len + event->frame_left)
    bytes_print(p->log,
                "INCONSISTENT %zu of %llu bytes of a frame came, %llu left\n",
                p->frame->len, (unsigned long long)event->frame_len,
                (unsigned long long)event->frame_left);
  if (event->flags & NWS_FRAME_END) {
    if (event->frame_left)
      lie(p, "a frame ends before its end");
    p->in_frame = 0;
    bytes_print(p->log, "frame");
    print_opcode(p->log, event->frame_opcode);
    print_rsv(p->log, event->rsv);
    bytes_print(p->log, " len=%zu", p->frame->len);
    print_payload(p->log, p->frame->data, p->frame->len);
  }
  if (event->flags & NWS_MESSAGE_END) {
    if (p->in_frame)
      lie(p, "a message ends inside a frame");
    p->in_message = 0;
    bytes_print(p->log, "message");
    print_opcode(p->log, event->opcode);
    bytes_print(p->log, " len=%llu\n", (unsigned long long)p->message_len);
  }
}

static void take_control(player *p, const nws_event *event) {
  uint64_t code_len =
      event->type == NWS_EVENT_CLOSE && event->code != NWS_CLOSE_NO_STATUS ? 2
                                                                           : 0;
  if (event->flags != NWS_MESSAGE_WHOLE)
    lie(p, "a control frame's flags");
  if (event->frame_len != event->len + code_len || event->frame_left)
    lie(p, "a control frame's lengths");
  if (event->opcode != event->frame_opcode)
    lie(p, "a control frame's opcodes");
  switch (event->type) {
  case NWS_EVENT_PING:
    bytes_print(p->log, "ping");
    break;
  case NWS_EVENT_PONG:
    bytes_print(p->log, "pong");
    break;
  case NWS_EVENT_CLOSE:
    bytes_print(p->log, "close %u", event->code);
    break;
  default:
    bytes_print(p->log, "control");
    print_opcode(p->log, event->opcode);
  }
  print_rsv(p->log, event->rsv);
  print_payload(p->log, event->data, event->len);
}

static void log_partial(player *p) {
  if (p->in_frame && p->frame->len) {
    bytes_print(p->log, "partial");
    print_opcode(p->log, p->frame_opcode);
    print_payload(p->log, p->frame->data, p->frame->len);
  }
  p->in_frame = 0;
}

static void take_fault(player *p, int error) {
  nws_fault fault = nws_conn_fault(p->conn);
  if (p->fault) {
    if (error != p->fault)
      lie(p, "the fault changes");
    return;
  }
  p->fault = error;
  if (fault.error != error)
    lie(p, "nws_conn_fault()");
  if (nws_error_get(error)->kind != NWS_ERROR_KIND_PEER)
    lie(p, "an error that is not the peer's");
  log_partial(p);
  bytes_print(p->log, "fault %s at %llu\n", nws_error_get(error)->name,
              (unsigned long long)fault.offset);
}

/* --- Receiving --- */

static void receive(player *p, uint8_t *data, size_t len) {
  nws_input in = {data, len, p->now};
  size_t calls = 0;
  for (;;) {
    nws_event event;
    memset(&event, 0xa5, sizeof(event));
    int type = nws_conn_recv(p->conn, &in, &event);
    if (calls++ > 3 * len + 8 + (p->use.ext ? INFLATED_PIECES : 0)) {
      lie(p, "no progress");
      return;
    }
    if (type == NWS_ERROR_SPILL) {
      lend(p);
      continue;
    }
    if (type < 0) {
      take_fault(p, type);
      return;
    }
    if (type > 0 && type != event.type)
      lie(p, "the event's type");
    if (type == NWS_EVENT_DATA)
      take_data(p, &event);
    else if (type > 0)
      take_control(p, &event);
    if (p->how->on_demand)
      reclaim(p);
    if (type == 0)
      break;
  }
  if (in.len || in.data != data + len)
    lie(p, "input is left over");
}

static void feed(player *p, size_t from, size_t to) {
  uint8_t *piece;
  if (from == to)
    return;
  piece = xalloc(to - from);
  memcpy(piece, p->v->input.data + from, to - from);
  receive(p, piece, to - from);
  free(piece);
  move(p);
}

/* --- Sending --- */

/* The engine's own frames are logged by meaning: their keys and the reason in
 * a close frame are its own choice, but must be well-formed. */
static size_t log_owed_frame(player *p, uint8_t *data, size_t len) {
  nws_frame frame;
  if (nws_frame_parse(&frame, data, len) != NWS_OK ||
      frame.payload_len > len - frame.header_len) {
    lie(p, "a frame that cannot be parsed is owed");
    return len;
  }
  uint8_t *payload = data + frame.header_len;
  size_t payload_len = (size_t)frame.payload_len;
  if (frame.masked != (p->v->role == NWS_ROLE_CLIENT) || !frame.fin ||
      frame.rsv)
    lie(p, "the header of a frame that is owed");
  for (size_t i = 0; frame.masked && i < payload_len; i++)
    payload[i] ^= frame.key[i % 4];
  bytes_print(p->log, "owed");
  print_opcode(p->log, frame.opcode);
  if (frame.opcode == NWS_OPCODE_CLOSE) {
    uint16_t code = 0;
    nws_str reason;
    if (nws_close_parse(payload, payload_len, &code, &reason, NULL) != NWS_OK)
      lie(p, "a malformed close frame is owed");
    bytes_print(p->log, " %u\n", code);
  } else {
    print_payload(p->log, payload, payload_len);
  }
  return frame.header_len + payload_len;
}

static void log_owed(player *p, uint8_t *data, size_t len) {
  for (size_t at = 0; at < len;)
    at += log_owed_frame(p, data + at, len - at);
}

/* Flushes into `cap` bytes; what comes out is logged. */
static size_t flush_into(player *p, size_t cap) {
  uint8_t *out = xalloc(cap ? cap : 1);
  size_t len = 0;
  if (nws_conn_flush(p->conn, out, cap, &len) != NWS_OK || len > cap) {
    lie(p, "what is owed cannot be flushed");
    len = 0;
  }
  log_owed(p, out, len);
  free(out);
  return len;
}

/* As much as fits, or one frame after the other. */
static void flush(player *p) {
  size_t owed = nws_conn_owed(p->conn);
  while (owed && p->how->on_demand) {
    uint8_t none;
    size_t need = 0;
    int failed = nws_conn_flush(p->conn, &none, 0, &need);
    if (failed != NWS_ERROR_BUFFER || !need || need > owed) {
      lie(p, "the need of a flush");
      return;
    }
    if (!flush_into(p, need))
      return;
    owed = nws_conn_owed(p->conn);
  }
  if (owed && !flush_into(p, owed))
    lie(p, "something is owed and nothing comes");
  if (nws_conn_owed(p->conn))
    lie(p, "something is owed after a flush");
  if (p->how->on_demand)
    reclaim(p);
}

static void log_sent(player *p, int result, const uint8_t *out, size_t len) {
  if (result == NWS_OK) {
    bytes_print(p->log, "sent");
    print_payload(p->log, out, len);
  } else {
    bytes_print(p->log, "sent error %s\n", nws_error_get(result)->name);
  }
}

/* Takes the words of `what` off the front of a line: an opcode, which may be
 * a number, and what is joined to it. */
static unsigned read_what(char **line) {
  static const struct {
    const char *name;
    unsigned bits;
  } words[] = {{"continuation", 0},    {"text", 1},        {"binary", 2},
               {"close", 8},           {"ping", 9},        {"pong", 10},
               {"RSV1", NWS_RSV1},     {"RSV2", NWS_RSV2}, {"RSV3", NWS_RSV3},
               {"more", NWS_SEND_MORE}};
  const size_t count = sizeof(words) / sizeof(words[0]);
  unsigned what = 0;
  *line += strspn(*line, " ");
  if (**line >= '0' && **line <= '9')
    what = (unsigned)strtoul(*line, line, 10);
  for (;;) {
    char *at = *line + strspn(*line, " ");
    size_t len = strcspn(at, " ");
    size_t i = 0;
    while (i < count && (strlen(words[i].name) != len ||
                         strncmp(words[i].name, at, len) != 0))
      i++;
    *line = at;
    if (i == count)
      return what;
    what |= words[i].bits;
    *line = at + len;
  }
}

static void call_send(player *p, char *line) {
  unsigned what = read_what(&line);
  bytes payload = {0};
  size_t len = 0;
  if (bytes_expand(&payload, line) != 0)
    lie(p, "a payload that the runner cannot read");
  size_t cap = nws_conn_send_room(p->conn, payload.len);
  uint8_t *out = xalloc(cap);
  int result =
      nws_conn_send(p->conn, what, payload.data, payload.len, out, cap, &len);
  log_sent(p, result, out, len);
  free(out);
  bytes_free(&payload);
}

static void call_begin(player *p, char *line) {
  unsigned what = read_what(&line);
  uint8_t out[NWS_FRAME_HEADER_MAX];
  size_t len = 0;
  uint64_t payload_len = strtoull(line, NULL, 10);
  int result =
      nws_conn_send_begin(p->conn, what, payload_len, out, sizeof(out), &len);
  log_sent(p, result, out, len);
}

static void call_payload(player *p, const char *line) {
  bytes payload = {0};
  if (bytes_expand(&payload, line) != 0)
    lie(p, "a payload that the runner cannot read");
  uint8_t *out = xalloc(payload.len);
  int result = nws_conn_send_payload(p->conn, out, payload.data, payload.len);
  log_sent(p, result, out, payload.len);
  free(out);
  bytes_free(&payload);
}

static void call_close(player *p, char *line) {
  uint8_t *out = xalloc(NWS_CONTROL_FRAME_MAX);
  unsigned code = (unsigned)strtoul(line, &line, 10);
  bytes reason = {0};
  size_t len = 0;
  if (bytes_expand(&reason, line) != 0)
    lie(p, "a reason that the runner cannot read");
  int result = nws_conn_close(p->conn, code,
                              nws_str_make((char *)reason.data, reason.len),
                              out, NWS_CONTROL_FRAME_MAX, &len);
  log_sent(p, result, out, len);
  free(out);
  bytes_free(&reason);
}

static void call_eof(player *p) {
  int result = nws_conn_eof(p->conn);
  log_partial(p);
  bytes_print(p->log, result ? "eof error %s\n" : "eof clean\n",
              nws_error_get(result)->name);
}

static void play_step(player *p, char *line) {
  char *rest = line + strcspn(line, " ");
  if (strncmp(line, "send", 4) == 0)
    call_send(p, rest);
  else if (strncmp(line, "begin", 5) == 0)
    call_begin(p, rest);
  else if (strncmp(line, "payload", 7) == 0)
    call_payload(p, rest);
  else if (strncmp(line, "close", 5) == 0)
    call_close(p, rest);
  else if (strncmp(line, "flush", 5) == 0)
    flush(p);
  else if (strncmp(line, "now", 3) == 0)
    p->now = strtoull(rest, NULL, 10) * 1000000u;
  else
    call_eof(p);
}

/* --- The whole --- */

static void log_state(player *p) {
  static const char *const names[] = {"connecting", "open", "closing",
                                      "closed"};
  unsigned received = nws_conn_close_code(p->conn);
  unsigned sent = nws_conn_close_sent(p->conn);
  bytes_print(p->log, "state %s", names[nws_conn_state(p->conn) & 3]);
  if (nws_conn_finished(p->conn))
    bytes_print(p->log, " finished");
  if (received != NWS_CLOSE_ABNORMAL)
    bytes_print(p->log, " received=%u", received);
  if (sent != NWS_CLOSE_ABNORMAL)
    bytes_print(p->log, " sent=%u", sent);
  if (nws_conn_clean(p->conn))
    bytes_print(p->log, " clean");
  bytes_print(p->log, "\n");
}

static void play_input(player *p) {
  const vector *v = p->v;
  size_t at = 0;
  size_t next_step = 0;
  size_t next_cut = 0;
  for (;;) {
    size_t to = v->input.len;
    while (next_step < v->step_count && v->steps[next_step].at == at) {
      char *line = v->steps[next_step++].text;
      play_step(p, line);
    }
    if (at == v->input.len)
      return;
    while (next_cut < p->how->cut_count && p->how->cuts[next_cut] <= at)
      next_cut++;
    if (next_cut < p->how->cut_count)
      to = p->how->cuts[next_cut];
    if (next_step < v->step_count && v->steps[next_step].at < to)
      to = v->steps[next_step].at;
    feed(p, at, to);
    at = to;
  }
}

void conn_play(const vector *v, const manner *how, bytes *frame, bytes *log) {
  player p = {.v = v, .how = how, .config = v->config, .log = log};
  p.frame = frame;
  frame->len = 0;
  p.random.fill = draw;
  p.random.user = &p;
  p.config.random = &p.random;
  p.conn = xalloc(sizeof(nws_conn));
  p.scratch = xalloc(SCRATCH);
  p.config.scratch = p.scratch;
  p.config.scratch_len = SCRATCH;
  if (v->deflate && vector_deflate(v->deflate, &p.use) != 0) {
    bytes_print(log, "no such permessage-deflate\n");
  }
  int failed =
      nws_conn_init(p.conn, v->role, &p.config, &p.use, p.use.ext ? 1 : 0);
  if (failed) {
    bytes_print(log, "init error %s\n", nws_error_get(failed)->name);
  } else {
    if (!how->on_demand)
      lend(&p);
    play_input(&p);
    log_partial(&p);
    flush(&p);
    log_state(&p);
    if (nws_conn_finished(p.conn) && p.spill && !nws_conn_reclaim(p.conn))
      lie(&p, "a finished connection keeps the spill");
  }
  nws_extension_release(&p.use, 1);
  free(p.scratch);
  free(p.spill);
  free(p.conn);
}
