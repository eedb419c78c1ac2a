/* ext_help.c - feeding, logging and sending for the tests of extensions.
 */
#include "ext_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for every log and stream there is, so that %.*s does. */
enum { SCRATCH_DEFAULT = 4096, GARBAGE = 0xa5 };

/* --- Bytes --- */

void ext_bytes_add(ext_bytes *bytes, const void *data, size_t len) {
  if (bytes->len + len > bytes->cap) {
    bytes->cap = (bytes->len + len) * 2;
    bytes->data = realloc(bytes->data, bytes->cap);
    assert_non_null(bytes->data);
  }
  if (len > 0) {
    memcpy(bytes->data + bytes->len, data, len);
  }
  bytes->len += len;
}

void ext_bytes_fill(ext_bytes *bytes, int byte, size_t len) {
  void *block = malloc(len + 1);
  assert_non_null(block);
  memset(block, byte, len);
  ext_bytes_add(bytes, block, len);
  free(block);
}

void ext_bytes_free(ext_bytes *bytes) {
  free(bytes->data);
  memset(bytes, 0, sizeof(*bytes));
}

static void add_text(ext_bytes *log, const char *format, ...) {
  char text[128];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  ext_bytes_add(log, text, strlen(text));
}

/* Long runs of a byte are told in short: logs are made to be compared. */
static void add_quoted(ext_bytes *log, const uint8_t *data, size_t len) {
  add_text(log, "\"");
  for (size_t i = 0, run; i < len; i += run) {
    const int plain = data[i] >= 0x20 && data[i] < 0x7f;
    for (run = 1; i + run < len && data[i + run] == data[i];) {
      run++;
    }
    run = run > 9 ? run : 1;
    add_text(log, plain ? "%c" : "\\%02x", data[i]);
    if (run > 1) {
      add_text(log, "{%zu}", run);
    }
  }
  add_text(log, "\"");
}

void ext_frame(ext_bytes *stream, unsigned first, const void *payload,
               size_t len, int masked) {
  static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
  uint8_t header[NWS_FRAME_HEADER_MAX];
  nws_frame frame = {0};
  size_t start;
  int header_len;
  frame.fin = (first & 0x80) != 0;
  frame.rsv = first & (NWS_RSV1 | NWS_RSV2 | NWS_RSV3);
  frame.opcode = first & 15;
  frame.payload_len = len;
  frame.masked = masked != 0;
  memcpy(frame.key, key, masked ? 4 : 0);
  header_len = nws_frame_build(&frame, header);
  assert_true(header_len > 0);
  ext_bytes_add(stream, header, (size_t)header_len);
  start = stream->len;
  ext_bytes_add(stream, payload, len);
  for (size_t i = 0; masked && i < len; i++) {
    stream->data[start + i] ^= key[i & 3];
  }
}

/* --- Connections --- */

static int fill_random(void *user, void *out, size_t len) {
  ext_rig *rig = user;
  uint8_t *bytes = out;
  if (rig->random_fails) {
    return -1;
  }
  rig->drawn++;
  for (size_t i = 0; i < len; i++) {
    bytes[i] = (uint8_t)(rig->drawn * 89 + i * 57 + 1);
  }
  return 0;
}

void ext_rig_make(ext_rig *rig, const ext_setup *setup, size_t scratch_len) {
  memset(rig, 0, sizeof(*rig));
  rig->config = setup->config;
  rig->config.size = sizeof(rig->config);
  rig->random.fill = fill_random;
  rig->random.user = rig;
  rig->config.random = &rig->random;
  rig->scratch = malloc(scratch_len);
  assert_non_null(rig->scratch);
  rig->config.scratch = rig->scratch;
  rig->config.scratch_len = scratch_len;
  while (rig->use_count < NWS_EXTENSIONS_MAX &&
         setup->samples[rig->use_count] != NULL) {
    nws_extension_use *use = &rig->uses[rig->use_count];
    memset(use, 0xee, sizeof(*use)); /* its private fields are not ours */
    use->ext = &setup->samples[rig->use_count++]->base;
    use->state = ext_state_make(use->ext);
  }
}

void ext_rig_open(ext_rig *rig, const ext_setup *setup, size_t scratch_len) {
  ext_rig_make(rig, setup, scratch_len);
  assert_int_equal(nws_conn_init(&rig->conn, setup->role, &rig->config,
                                 rig->uses, rig->use_count),
                   NWS_OK);
}

void ext_rig_close(ext_rig *rig) {
  const int states = ext_states;
  nws_extension_release(rig->uses, rig->use_count);
  assert_int_equal(states - ext_states, rig->use_count);
  for (size_t i = 0; i < rig->use_count; i++) {
    assert_null(rig->uses[i].ext);
    assert_null(rig->uses[i].state);
  }
  free(rig->scratch);
}

/* --- Receiving --- */

/* Where a stream is on its way into a connection. */
typedef struct feeder {
  ext_rig *rig;
  const ext_cut *cut;
  ext_bytes *log;
  ext_bytes payload;   /* of the frame that is arriving, so far */
  nws_event frame;     /* the last event of it; its flags are all of them */
  int frame_open;      /* an event of the frame was seen, but not its end */
  int message_open;    /* likewise */
  uint64_t message_at; /* bytes of the message so far */
  uint8_t *block;      /* where the input stands */
  size_t block_len;
  nws_input in;
  size_t taken; /* of the block, so far */
} feeder;

static int within(const uint8_t *data, size_t len, const void *area,
                  size_t area_len) {
  const uintptr_t from = (uintptr_t)area, at = (uintptr_t)data;
  return at >= from && at + len <= from + area_len;
}

static void check_place(const feeder *f, const nws_event *event) {
  const ext_rig *rig = f->rig;
  if (event->len == 0) {
    return;
  }
  assert_true(
      within(event->data, event->len, f->block, f->block_len) ||
      within(event->data, event->len, &rig->spill, sizeof(rig->spill)) ||
      within(event->data, event->len, rig->scratch, rig->config.scratch_len));
}

static void log_frame(feeder *f) {
  const nws_event *event = &f->frame;
  if (!f->frame_open) {
    return;
  }
  add_text(f->log, "%s %u rsv %x %s%s%s%s wire %llu ",
           nws_conn_opcode_name(&f->rig->conn, event->opcode),
           event->frame_opcode, event->rsv,
           event->flags & NWS_MESSAGE_BEGIN ? "B" : "",
           event->flags & NWS_FRAME_BEGIN ? "b" : "",
           event->flags & NWS_FRAME_END ? "e" : "",
           event->flags & NWS_MESSAGE_END ? "E" : "",
           (unsigned long long)event->frame_len);
  add_quoted(f->log, f->payload.data, f->payload.len);
  add_text(f->log, "\n");
  f->payload.len = 0;
  f->frame_open = 0;
}

static void check_flags(const feeder *f, const nws_event *event) {
  const unsigned flags = event->flags;
  assert_int_equal((flags & NWS_FRAME_BEGIN) != 0, !f->frame_open);
  assert_int_equal((flags & NWS_MESSAGE_BEGIN) != 0, !f->message_open);
  assert_true(flags <= NWS_MESSAGE_WHOLE);
  if ((flags & NWS_MESSAGE_END) != 0) {
    assert_true((flags & NWS_FRAME_END) != 0);
  }
  if ((flags & NWS_FRAME_END) != 0) {
    assert_true(event->frame_left == 0);
  } else {
    assert_true(event->len > 0); /* nothing is no news */
  }
  assert_true(event->frame_left <= event->frame_len);
  assert_true(event->message_offset == f->message_at);
}

static void on_data(feeder *f, const nws_event *event) {
  unsigned flags = event->flags;
  if ((flags & NWS_MESSAGE_BEGIN) != 0) {
    f->message_at = 0;
  }
  check_flags(f, event);
  if (f->frame_open) {
    assert_int_equal(event->opcode, f->frame.opcode);
    assert_int_equal(event->frame_opcode, f->frame.frame_opcode);
    assert_int_equal(event->rsv, f->frame.rsv);
    assert_true(event->frame_left <= f->frame.frame_left);
    flags |= f->frame.flags;
  }
  f->frame = *event;
  f->frame.flags = (uint8_t)flags;
  f->frame_open = 1;
  f->message_open = (flags & NWS_MESSAGE_END) == 0;
  f->message_at += event->len;
  ext_bytes_add(&f->payload, event->data, event->len);
  if ((flags & NWS_FRAME_END) != 0) {
    log_frame(f);
  }
}

static void on_event(feeder *f, int type, const nws_event *event) {
  assert_int_equal(type, event->type);
  check_place(f, event);
  if (type == NWS_EVENT_DATA) {
    on_data(f, event);
    return;
  }
  assert_false(f->frame_open);
  assert_true(type >= NWS_EVENT_PING && type <= NWS_EVENT_CONTROL);
  assert_int_equal(event->flags, NWS_MESSAGE_WHOLE);
  assert_int_equal(event->opcode, event->frame_opcode);
  assert_true(event->frame_left == 0);
  add_text(f->log, "%s ", nws_conn_opcode_name(&f->rig->conn, event->opcode));
  if (event->rsv != 0) {
    add_text(f->log, "rsv %x ", event->rsv);
  }
  add_quoted(f->log, event->data, event->len);
  add_text(f->log, "\n");
}

/* Puts what is left of the input somewhere else, in a block of its own. */
static void move_input(feeder *f) {
  uint8_t *block = malloc(f->in.len + 1);
  assert_non_null(block);
  memcpy(block + 1, f->in.data, f->in.len);
  memset(f->block, GARBAGE, f->block_len);
  free(f->block);
  f->block = block;
  f->block_len = f->in.len + 1;
  f->in.data = block + 1;
}

static void move_connection(ext_rig *rig) {
  nws_conn copy = rig->conn;
  memset(&rig->conn, GARBAGE, sizeof(rig->conn));
  rig->conn = copy;
}

/* One call. Returns 0 when the input is used up, a fault, or 1. */
static int feed_step(feeder *f) {
  nws_event event = {0};
  uint8_t *before = f->in.data;
  size_t len = f->in.len;
  int type = nws_conn_recv(&f->rig->conn, &f->in, &event);
  if (len > 0) {
    assert_ptr_equal(before + (len - f->in.len), f->in.data);
  }
  f->taken += len - f->in.len;
  if (type > 0) {
    on_event(f, type, &event);
  } else if (type == NWS_ERROR_SPILL) {
    assert_true(f->cut->lend_late);
    assert_int_equal(nws_conn_lend(&f->rig->conn, &f->rig->spill), 1);
  } else if (type == 0) {
    assert_int_equal(f->in.len, 0);
    return 0;
  } else {
    return type;
  }
  if (f->cut->shrink) {
    f->in.len = (f->in.len + 1) / 2;
  }
  if (f->cut->move) {
    move_connection(f->rig);
    move_input(f);
  }
  return 1;
}

static int feed_block(feeder *f, const uint8_t *data, size_t len) {
  int status;
  f->block = malloc(len + 1);
  assert_non_null(f->block);
  memcpy(f->block + 1, data, len);
  f->block_len = len + 1;
  f->in.data = f->block + 1;
  f->in.len = len;
  f->in.now = 1;
  f->taken = 0;
  do {
    status = feed_step(f);
  } while (status == 1);
  free(f->block);
  /* Between blocks the scratch belongs to others. */
  memset(f->rig->scratch, GARBAGE, f->rig->config.scratch_len);
  if (f->cut->lend_late) {
    nws_conn_reclaim(&f->rig->conn);
  }
  return status;
}

/* A fault sticks, and is owed to the peer with the code that is logged. */
static void log_fault(feeder *f, int status, size_t stream_len) {
  const nws_fault fault = nws_conn_fault(&f->rig->conn);
  log_frame(f);
  add_text(f->log, "fault %s %u\n", nws_error_get(status)->name,
           nws_conn_close_sent(&f->rig->conn));
  assert_int_equal(fault.error, status);
  assert_true(fault.offset <= stream_len);
  assert_true(nws_conn_owed(&f->rig->conn) > 0);
  f->in.data = NULL;
  f->in.len = 0;
  assert_int_equal(feed_step(f), status);
}

void ext_feed(ext_rig *rig, const ext_bytes *stream, const ext_cut *cut,
              ext_bytes *log) {
  feeder f = {.rig = rig, .cut = cut, .log = log};
  size_t at = 0, step = cut->first;
  int status = 0;
  if (!cut->lend_late) {
    assert_int_equal(nws_conn_lend(&rig->conn, &rig->spill), 1);
  }
  while (status == 0 && at < stream->len) {
    const size_t left = stream->len - at;
    const size_t len = step < left ? step : left;
    status = feed_block(&f, stream->data + at, len);
    at += f.taken;
    step = cut->step;
  }
  if (status != 0) {
    log_fault(&f, status, at);
  } else {
    log_frame(&f);
  }
  ext_bytes_free(&f.payload);
}

static void feed_and_compare(const ext_setup *setup, const ext_bytes *stream,
                             const ext_cut *cut, size_t scratch_len,
                             const char *want) {
  ext_rig rig;
  ext_bytes log = {0};
  ext_rig_open(&rig, setup, scratch_len);
  ext_feed(&rig, stream, cut, &log);
  ext_bytes_add(&log, "", 1);
  if (strcmp((const char *)log.data, want) != 0) {
    print_error("scratch %zu, cut %zu + %zu, %s\n", scratch_len, cut->first,
                cut->step, cut->move ? "moving" : "in place");
    assert_string_equal((const char *)log.data, want);
  }
  ext_bytes_free(&log);
  ext_rig_close(&rig);
}

void ext_once(const ext_setup *setup, const ext_bytes *stream,
              const char *want) {
  const ext_cut whole = {stream->len, stream->len, 0, 0, 0};
  feed_and_compare(setup, stream, &whole, SCRATCH_DEFAULT, want);
}

void ext_sweep(const ext_setup *setup, const ext_bytes *stream,
               const char *want) {
  static const size_t sizes[] = {1, 2, 3, 7, 64, 4096};
  size_t uses = 0;
  while (uses < NWS_EXTENSIONS_MAX && setup->samples[uses] != NULL) {
    uses++;
  }
  ext_once(setup, stream, want);
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    const size_t scratch_len = sizes[i] < uses ? uses : sizes[i];
    ext_cut cut = {1, 1, 0, 1, 0};
    feed_and_compare(setup, stream, &cut, scratch_len, want);
    cut.lend_late = 1;
    feed_and_compare(setup, stream, &cut, scratch_len, want);
    cut.step = 3;
    feed_and_compare(setup, stream, &cut, scratch_len, want);
    for (size_t at = 1; at <= stream->len; at++) {
      cut = (ext_cut){at, stream->len, at & 1, at >> 1 & 1, at >> 2 & 1};
      feed_and_compare(setup, stream, &cut, scratch_len, want);
    }
  }
}

void ext_expect_message(const ext_setup *setup, const ext_bytes *stream,
                        const ext_bytes *want, size_t scratch_len) {
  uint8_t *block = malloc(stream->len);
  nws_input in = {block, stream->len, 0};
  unsigned flags = 0;
  size_t at = 0;
  nws_event event;
  ext_rig rig;
  assert_non_null(block);
  memcpy(block, stream->data, stream->len);
  ext_rig_open(&rig, setup, scratch_len);
  while (nws_conn_recv(&rig.conn, &in, &event) == NWS_EVENT_DATA) {
    assert_true(event.message_offset == at && at + event.len <= want->len);
    assert_memory_equal(event.data, want->data + at, event.len);
    at += event.len;
    flags |= event.flags;
  }
  assert_int_equal(at, want->len);
  assert_int_equal(flags, NWS_MESSAGE_WHOLE);
  assert_int_equal(in.len, 0);
  ext_rig_close(&rig);
  free(block);
}

/* --- Sending --- */

void ext_send(ext_rig *rig, unsigned what, const void *payload, size_t len,
              ext_bytes *stream) {
  const int control = (what & 8) != 0;
  /* Frames of a message that stays plain may do with less. */
  const int plain = control || (what & 15) == 0 || (what & NWS_SEND_PLAIN) != 0;
  const size_t room =
      control ? NWS_CONTROL_FRAME_MAX : nws_conn_send_room(&rig->conn, len);
  const nws_conn before = rig->conn;
  const uint32_t drawn = rig->drawn;
  uint8_t *out = malloc(room);
  size_t out_len = 0;
  assert_non_null(out);
  if (!plain) {
    assert_int_equal(
        nws_conn_send(&rig->conn, what, payload, len, out, room - 1, &out_len),
        NWS_ERROR_BUFFER);
    assert_int_equal(out_len, room);
    assert_memory_equal(&rig->conn, &before, sizeof(before));
    assert_int_equal(rig->drawn, drawn);
  }
  assert_int_equal(
      nws_conn_send(&rig->conn, what, payload, len, out, room, &out_len),
      NWS_OK);
  assert_true(out_len <= room);
  assert_int_equal(rig->drawn - drawn, rig->conn.role == NWS_ROLE_CLIENT);
  ext_bytes_add(stream, out, out_len);
  free(out);
}
