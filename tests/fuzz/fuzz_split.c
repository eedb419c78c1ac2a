/* fuzz_split.c - harness: a stream gives the same events, the same fault at the
 * same byte and the same answers however it is cut, whatever the size of the
 * scratch and whenever the spill comes and goes.
 */
#include "fuzz.h"

#include <string.h>
#include "../../src/proto/conn_internal.h"

enum { STREAM_MAX = 400, TRACE_MAX = 1 << 14 };

/* How a stream is fed. */
typedef enum cutting { CUT_NOT, CUT_BYTES, CUT_PIECES } cutting;

/* One way through, and what came of it. */
typedef struct passage {
  cutting how;
  size_t scratch_len;
  uint32_t seed;
  nws_conn conn;
  nws_conn_config config;
  fuzz_extension states[3];
  nws_extension_use uses[3];
  nws_spill *spill;
  nws_fault fault;
  fuzz_bytes trace;
} passage;

static void put(passage *p, const char *mark, const void *data, size_t len) {
  fuzz_add(&p->trace, mark, 1);
  fuzz_add(&p->trace, data, len);
}

/* Notes an event but for the pieces in which data comes. */
static void on_event(passage *p, const nws_event *event) {
  const uint8_t head[] = {event->opcode, event->frame_opcode, event->rsv};
  if (event->type != NWS_EVENT_DATA) {
    FUZZ_CHECK(event->flags == NWS_MESSAGE_WHOLE && event->frame_left == 0);
    put(p, "C", head, sizeof(head));
    put(p, "c", &event->code, sizeof(event->code));
    put(p, "l", &event->frame_len, sizeof(event->frame_len));
    put(p, "d", event->data, event->len);
    return;
  }
  if (event->flags & NWS_FRAME_BEGIN) {
    put(p, event->flags & NWS_MESSAGE_BEGIN ? "M" : "F", head, sizeof(head));
    put(p, "l", &event->frame_len, sizeof(event->frame_len));
    put(p, "o", &event->message_offset, sizeof(event->message_offset));
  }
  fuzz_add(&p->trace, event->data, event->len);
  if (event->flags & NWS_FRAME_END) {
    FUZZ_CHECK(event->frame_left == 0);
    put(p, event->flags & NWS_MESSAGE_END ? "m" : "f", NULL, 0);
  }
}

static void lend(passage *p) {
  FUZZ_CHECK(p->spill == NULL);
  p->spill = fuzz_block(sizeof(nws_spill));
  memset(p->spill, 0xee, sizeof(*p->spill));
  FUZZ_CHECK(nws_conn_lend(&p->conn, p->spill) == 1);
}

static void maybe_reclaim(passage *p) {
  if (p->how != CUT_PIECES || p->spill == NULL || fuzz_next(&p->seed) % 2) {
    return;
  }
  nws_spill *spill = nws_conn_reclaim(&p->conn);
  FUZZ_CHECK(spill == NULL || spill == p->spill);
  if (spill != NULL) {
    fuzz_drop(spill, sizeof(*spill));
    p->spill = NULL;
  }
}

/* Feeds one piece, from memory that holds something else afterwards. */
static int feed(passage *p, uint8_t *block, size_t len) {
  nws_input in = {block, len, 1};
  nws_event event;
  for (;;) {
    const size_t before = in.len;
    const int type = nws_conn_recv(&p->conn, &in, &event);
    FUZZ_CHECK(in.len <= before && in.data + in.len == block + len);
    if (type == NWS_ERROR_SPILL) {
      lend(p);
      continue;
    }
    if (type <= 0) {
      FUZZ_CHECK(type < 0 || in.len == 0);
      FUZZ_CHECK(type == nws_conn_fault(&p->conn).error);
      return type;
    }
    FUZZ_CHECK(event.type == type);
    on_event(p, &event);
    maybe_reclaim(p);
  }
}

static size_t piece(passage *p, size_t left) {
  size_t len = left;
  if (p->how == CUT_BYTES) {
    len = 1;
  } else if (p->how == CUT_PIECES) {
    len = 1 + fuzz_next(&p->seed) % 11;
  }
  return len < left ? len : left;
}

static void pass(passage *p, nws_role role, const nws_conn_config *config,
                 unsigned extensions, const uint8_t *data, size_t len) {
  const size_t count = fuzz_use(extensions & 7, p->states, p->uses);
  uint8_t out[400];
  size_t out_len;
  for (size_t i = 0; i < count; i++) {
    p->states[i].kind = (int)(extensions >> (3 + 2 * i)) & 3;
  }
  p->config = *config;
  p->config.scratch_len = p->scratch_len;
  p->config.scratch = fuzz_block(p->scratch_len);
  FUZZ_CHECK(nws_conn_init(&p->conn, role, &p->config, p->uses, count) ==
             NWS_OK);
  if (p->how == CUT_NOT) {
    lend(p);
  }
  int rc = 0;
  uint8_t *block = fuzz_block(p->how == CUT_BYTES ? 1 : 0);
  for (size_t at = 0; at < len && rc == 0;) {
    const size_t part = piece(p, len - at);
    if (p->how != CUT_BYTES) {
      block = fuzz_block(part);
    }
    memcpy(block, data + at, part);
    rc = feed(p, block, part);
    if (p->how != CUT_BYTES) {
      fuzz_drop(block, part);
    }
    at += part;
  }
  FUZZ_CHECK(nws__conn_valid(&p->conn));
  p->fault = nws_conn_fault(&p->conn);
  FUZZ_CHECK(p->fault.offset <= len);
  FUZZ_CHECK(nws_conn_flush(&p->conn, out, sizeof(out), &out_len) == NWS_OK);
  put(p, "=", out, out_len);
}

static void configure(fuzz_cursor *c, fuzz_random *random,
                      nws_conn_config *config) {
  static const uint64_t limits[] = {0, 1, 10, 300, NWS_UNLIMITED};
  const unsigned a = fuzz_u8(c), b = fuzz_u8(c);
  memset(config, 0, sizeof(*config));
  config->size = sizeof(*config);
  config->random = &random->source;
  config->max_message = limits[a % 5];
  config->max_frame = limits[a / 5 % 5];
  config->max_fragments = limits[a / 25 % 5];
  config->accept_any_mask = b & 1;
  config->manual_close = b >> 1 & 1;
  config->accept_any_text = b >> 2 & 1;
  config->manual_pong = b >> 3 & 1;
  config->rsv_in = b & 16 ? NWS_RSV3 : 0;
  config->opcodes_in = b & 32 ? 0xf8f8 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const cutting cuts[] = {CUT_NOT, CUT_BYTES, CUT_PIECES};
  static uint8_t stream[STREAM_MAX], traces[2][TRACE_MAX];
  static passage ways[2];
  fuzz_cursor c = {data, len};
  fuzz_random random;
  nws_conn_config config;
  fuzz_begin();
  configure(&c, &random, &config);
  const unsigned how = fuzz_u8(&c), seed = fuzz_u8(&c);
  const unsigned extensions = fuzz_u16(&c) & 0x1fb; /* not the third */
  const nws_role role = how & 1 ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER;
  fuzz_frames frames = {.masked = role == NWS_ROLE_SERVER,
                        .rsv = (extensions & 3) << 5};
  const size_t stream_len =
      fuzz_stream(&frames, &c, how & 2, stream, sizeof(stream));
  const size_t scratch = 2 + (how >> 3) % 20;
  for (size_t i = 0; i < 2; i++) {
    ways[i] = (passage){.how = cuts[i > 0 ? 1 + (how >> 2 & 1) : 0],
                        .seed = seed,
                        .scratch_len = i > 0 ? scratch : 1000,
                        .trace = {traces[i], 0, TRACE_MAX}};
    fuzz_random_init(&random, 1, 0); /* the same masking keys */
    pass(&ways[i], role, &config, extensions, stream, stream_len);
  }
  FUZZ_CHECK(ways[0].fault.error == ways[1].fault.error);
  FUZZ_CHECK(ways[0].fault.offset == ways[1].fault.offset);
  FUZZ_CHECK(fuzz_equal(&ways[0].trace, &ways[1].trace));
  FUZZ_CHECK(ways[0].conn.state == ways[1].conn.state);
  FUZZ_CHECK(ways[0].conn.flags == ways[1].conn.flags);
  FUZZ_CHECK(ways[0].conn.code_in == ways[1].conn.code_in);
  return 0;
}
