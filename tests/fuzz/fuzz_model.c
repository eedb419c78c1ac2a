/* fuzz_model.c - harness: the connection against a receiver that is written the
 * naive way: it has the whole stream before it and all the memory it wants, and
 * applies RFC 6455 frame by frame. Both must see the same events, and the same
 * fault at the same byte.
 */
#include "fuzz.h"

#include <string.h>
#include <nws/error.h>
#include <nws/frame.h>

enum { STREAM_MAX = 600, TRACE_MAX = 1 << 13 };

/* --- The naive receiver --- */

typedef struct model {
  const uint8_t *data;
  size_t len;
  size_t at; /* of the frame */
  int server;
  uint64_t max_message;
  uint64_t max_fragments;
  uint64_t fragments; /* of the message so far */
  unsigned opcode;    /* of the unfinished message, or 0 */
  fuzz_bytes message;
  int error;
  uint64_t error_at;
  fuzz_bytes trace;
} model;

/* A frame's header, as far as it is there. */
typedef struct head {
  uint8_t first;
  unsigned opcode;
  uint64_t payload_len;
  size_t len;
  const uint8_t *key;
} head;

static int fail(model *m, int error, size_t at) {
  m->error = error;
  m->error_at = at;
  return 0;
}

/* RFC 6455 5.2, 5.4, 5.5: the first byte. */
static int first_byte(model *m, head *h) {
  h->first = m->data[m->at];
  h->opcode = h->first & 15;
  if (h->first & 0x70) {
    return fail(m, NWS_ERROR_RSV, m->at);
  }
  if ((h->opcode > 2 && h->opcode < 8) || h->opcode > 10) {
    return fail(m, NWS_ERROR_OPCODE, m->at);
  }
  if (h->opcode & 8) {
    return h->first & 0x80 ? 1 : fail(m, NWS_ERROR_CONTROL_FRAGMENTED, m->at);
  }
  if (h->opcode == 0 && !m->opcode) {
    return fail(m, NWS_ERROR_CONTINUATION, m->at);
  }
  return h->opcode && m->opcode ? fail(m, NWS_ERROR_INTERLEAVED, m->at) : 1;
}

/* RFC 6455 5.1, 5.2, 5.5: the second byte. */
static int second_byte(model *m, head *h, size_t left) {
  if (left < 2) {
    return 0;
  }
  const uint8_t byte = m->data[m->at + 1];
  const int masked = byte >> 7;
  h->payload_len = byte & 127;
  if (masked != m->server) {
    return fail(m, masked ? NWS_ERROR_MASK_PRESENT : NWS_ERROR_MASK_MISSING,
                m->at + 1);
  }
  if (h->opcode & 8 && h->payload_len > 125) {
    return fail(m, NWS_ERROR_CONTROL_LENGTH, m->at + 1);
  }
  return 1;
}

/* RFC 6455 5.2: the length in its shortest form, below 2^63. */
static int long_length(model *m, head *h, size_t left) {
  const size_t bytes = h->payload_len == 126   ? 2
                       : h->payload_len == 127 ? 8
                                               : 0;
  const uint8_t *at = m->data + m->at + 2;
  h->len = 2 + bytes + (m->server ? 4u : 0u);
  if (bytes == 0) {
    return 1;
  }
  if (bytes == 8 && left > 2 && at[0] & 0x80) {
    return fail(m, NWS_ERROR_LENGTH_63, m->at + 2);
  }
  if (bytes == 8 && left >= 8 && memcmp(at, "\0\0\0\0\0\0", 6) == 0) {
    return fail(m, NWS_ERROR_LENGTH_MINIMAL, m->at + 2);
  }
  if (left < 2 + bytes) {
    return 0;
  }
  h->payload_len = 0;
  for (size_t i = 0; i < bytes; i++) {
    h->payload_len = h->payload_len << 8 | at[i];
  }
  return h->payload_len < 126 ? fail(m, NWS_ERROR_LENGTH_MINIMAL, m->at + 2)
                              : 1;
}

static int limits(model *m, const head *h) {
  if (h->opcode & 8) {
    return 1;
  }
  if (h->payload_len > m->max_message) {
    return fail(m, NWS_ERROR_FRAME_LIMIT, m->at);
  }
  const size_t before = h->opcode ? 0 : m->message.len;
  if (h->payload_len > m->max_message - before) {
    return fail(m, NWS_ERROR_MESSAGE_LIMIT, m->at);
  }
  m->fragments = h->opcode ? 1 : m->fragments + 1;
  return m->fragments > m->max_fragments
             ? fail(m, NWS_ERROR_FRAGMENT_LIMIT, m->at)
             : 1;
}

static int parse_head(model *m, head *h) {
  const size_t left = m->len - m->at;
  if (!first_byte(m, h) || !second_byte(m, h, left) ||
      !long_length(m, h, left) || left < h->len) {
    return 0;
  }
  h->key = (const uint8_t *)"\0\0\0\0";
  if (m->server) {
    h->key = m->data + m->at + h->len - 4;
  }
  return limits(m, h);
}

/* RFC 6455 5.5.1, 7.4 */
static int close_frame(model *m, const head *h, const uint8_t *payload) {
  const size_t len = (size_t)h->payload_len, at = m->at + h->len;
  int cut;
  if (len == 1) {
    return fail(m, NWS_ERROR_CLOSE_LENGTH, at + 1);
  }
  if (len >= 2 && !fuzz_close_code((unsigned)payload[0] << 8 | payload[1])) {
    return fail(m, NWS_ERROR_CLOSE_CODE, at);
  }
  if (len > 2) {
    const size_t good = fuzz_utf8(payload + 2, len - 2, &cut);
    if (good < len - 2 || cut) {
      return fail(m, NWS_ERROR_CLOSE_TEXT, at + 2 + good);
    }
  }
  fuzz_add(&m->trace, "X", 1);
  fuzz_add(&m->trace, payload, len);
  return 0;
}

/* RFC 6455 5.4, 8.1 */
static int data_frame(model *m, const head *h, const uint8_t *payload,
                      size_t here) {
  const int whole = here == h->payload_len, fin = h->first >> 7;
  int cut = 0;
  if (h->opcode) {
    m->opcode = h->opcode;
    m->message.len = 0;
  }
  const size_t before = m->message.len;
  fuzz_add(&m->message, payload, here);
  if (m->opcode == NWS_OPCODE_TEXT) {
    const size_t good = fuzz_utf8(m->message.data, m->message.len, &cut);
    if (good < m->message.len) {
      fuzz_add(&m->trace, payload, good - before);
      return fail(m, NWS_ERROR_TEXT, m->at + h->len + good - before);
    }
  }
  fuzz_add(&m->trace, payload, here);
  if (whole && fin && cut) {
    return fail(m, NWS_ERROR_TEXT, m->at + h->len + here);
  }
  if (whole) {
    fuzz_add(&m->trace, fin ? "/|" : "/", fin ? 2 : 1);
  }
  m->opcode = whole && fin ? 0 : m->opcode;
  return whole;
}

static int frame(model *m) {
  head h = {0};
  uint8_t payload[STREAM_MAX];
  if (!parse_head(m, &h)) {
    return 0;
  }
  const size_t left = m->len - m->at - h.len;
  const size_t here = h.payload_len < left ? (size_t)h.payload_len : left;
  for (size_t i = 0; i < here; i++) {
    payload[i] = m->data[m->at + h.len + i] ^ h.key[i % 4];
  }
  if (!(h.opcode & 8)) {
    if (!data_frame(m, &h, payload, here)) {
      return 0;
    }
  } else if (here < h.payload_len) {
    return 0;
  } else if (h.opcode == NWS_OPCODE_CLOSE) {
    return close_frame(m, &h, payload);
  } else {
    fuzz_add(&m->trace, h.opcode == NWS_OPCODE_PING ? "P" : "O", 1);
    fuzz_add(&m->trace, payload, here);
  }
  m->at += h.len + here;
  return 1;
}

/* --- The engine --- */

static void on_event(const nws_event *event, fuzz_bytes *trace) {
  const uint8_t code[] = {(uint8_t)(event->code >> 8), (uint8_t)event->code};
  switch (event->type) {
  case NWS_EVENT_DATA:
    fuzz_add(trace, event->data, event->len);
    fuzz_add(trace, "/", event->flags & NWS_FRAME_END ? 1 : 0);
    fuzz_add(trace, "|", event->flags & NWS_MESSAGE_END ? 1 : 0);
    return;
  case NWS_EVENT_CLOSE:
    fuzz_add(trace, "X", 1);
    fuzz_add(trace, code, event->code != NWS_CLOSE_NO_STATUS ? 2 : 0);
    break;
  default:
    fuzz_add(trace, event->type == NWS_EVENT_PING ? "P" : "O", 1);
    break;
  }
  fuzz_add(trace, event->data, event->len);
}

static nws_fault engine(const model *m, unsigned cut, fuzz_bytes *trace) {
  nws_conn conn;
  nws_spill *spill = fuzz_block(sizeof(*spill));
  fuzz_random random;
  nws_conn_config config = {.size = sizeof(config),
                            .random = &random.source,
                            .max_message = m->max_message,
                            .max_fragments = m->max_fragments};
  int rc = 0;
  fuzz_random_init(&random, 1, 0);
  FUZZ_CHECK(nws_conn_init(&conn, m->server ? NWS_ROLE_SERVER : NWS_ROLE_CLIENT,
                           &config, NULL, 0) == NWS_OK);
  FUZZ_CHECK(nws_conn_lend(&conn, spill) == 1);
  for (size_t at = 0; at < m->len && rc == 0;) {
    const size_t left = m->len - at, wish = cut > 0 ? cut : left;
    const size_t part = wish < left ? wish : left;
    nws_input in = {fuzz_copy(m->data + at, part), part, 0};
    nws_event event;
    while ((rc = nws_conn_recv(&conn, &in, &event)) > 0) {
      on_event(&event, trace);
    }
    at += part;
  }
  return nws_conn_fault(&conn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static uint8_t stream[STREAM_MAX], message[STREAM_MAX], traces[2][TRACE_MAX];
  fuzz_cursor c = {data, len};
  fuzz_begin();
  const unsigned how = fuzz_u8(&c), cut = fuzz_u8(&c) % 32;
  model m = {.server = how & 1,
             .max_message = how & 2 ? 1 << 20 : 40,
             .max_fragments = how & 8 ? 3 : 1000,
             .message = {message, 0, sizeof(message)},
             .trace = {traces[0], 0, TRACE_MAX}};
  fuzz_frames frames = {.masked = how & 1};
  fuzz_bytes trace = {traces[1], 0, TRACE_MAX};
  m.data = stream;
  m.len = fuzz_stream(&frames, &c, how & 4, stream, sizeof(stream));
  while (m.at < m.len && frame(&m)) {
  }
  const nws_fault fault = engine(&m, cut, &trace);
  FUZZ_CHECK(fault.error == m.error);
  FUZZ_CHECK(fault.error == NWS_OK || fault.offset == m.error_at);
  FUZZ_CHECK(fuzz_equal(&trace, &m.trace));
  return 0;
}
