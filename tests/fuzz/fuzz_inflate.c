/* fuzz_inflate.c - harness: compressed messages, received by a connection in
 * pieces of any length and with scratch of any size, against zlib's own inflate
 * that has each message whole, and its tail appended as RFC 7692 7.2.2 says.
 *
 * Messages are made by zlib from the input, and then damaged; or are the input.
 */
#include "fuzz.h"

#include <string.h>
#include <zlib.h>
#include <nws/deflate.h>

enum {
  WIRE_MAX = 8192,
  PAYLOAD_MAX = 1200,
  MESSAGE_MAX = 16384, /* the limit, of both */
  MESSAGES_MAX = 6
};

/* --- Messages --- */

/* A source of text with something to refer back to. */
static size_t plain(fuzz_cursor *c, uint8_t *out, size_t cap) {
  size_t len = 0;
  const unsigned pieces = fuzz_u8(c) % 16;
  for (unsigned i = 0; i < pieces; i++) {
    const unsigned how = fuzz_u8(c);
    size_t part = 1 + how % 60;
    if (part > cap - len) {
      break;
    }
    if (how & 128 || len == 0) {
      const uint8_t *own = fuzz_take(c, &part);
      memcpy(out + len, own, part);
    } else {
      const size_t back = 1 + fuzz_u8(c) * 3u % len;
      for (size_t k = 0; k < part; k++) {
        out[len + k] = out[len + k - back];
      }
    }
    len += part;
  }
  return len;
}

/* Compresses with all of zlib's ways: stored, fixed and dynamic codes, ended by
 * a flush or a final block. Keeps its window from message to message. */
static size_t compressed(fuzz_cursor *c, uint8_t *out, int fresh) {
  static z_stream stream;
  static int made;
  static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY,
                                   Z_RLE};
  uint8_t text[600];
  const unsigned how = fuzz_u8(c);
  if (!made) {
    FUZZ_CHECK(deflateInit2(&stream, 6, Z_DEFLATED, -9, 1,
                            Z_DEFAULT_STRATEGY) == Z_OK);
    made = 1;
  }
  if (fresh) {
    deflateReset(&stream);
  }
  stream.next_out = out;
  stream.avail_out = PAYLOAD_MAX;
  deflateParams(&stream, how & 4 ? 0 : 6, strategies[how & 3]);
  stream.next_in = text;
  stream.avail_in = (uInt)plain(c, text, sizeof(text));
  if (how & 8) {
    deflate(&stream, Z_BLOCK);
  }
  if (how & 16) {
    deflate(&stream, Z_FINISH);
    deflateReset(&stream);
    return PAYLOAD_MAX - stream.avail_out;
  }
  deflate(&stream, Z_SYNC_FLUSH);
  const size_t len = PAYLOAD_MAX - stream.avail_out;
  return len >= 4 ? len - 4 : len;
}

static size_t payload(fuzz_cursor *c, uint8_t *out, int fresh) {
  const unsigned how = fuzz_u8(c);
  size_t len = how >> 1 & 63;
  if (how & 1) {
    const uint8_t *raw = fuzz_take(c, &len);
    memcpy(out, raw, len);
    return len;
  }
  len = compressed(c, out, fresh);
  if (how & 2 && len > 0) {
    out[fuzz_u8(c) % len] ^= (uint8_t)(1u << (how >> 2 & 7));
  }
  if (how & 64 && len > 0) {
    len -= fuzz_u8(c) % len;
  }
  return len;
}

/* --- The reference --- */

typedef struct reference {
  z_stream *stream;
  int fresh; /* behind a final block */
  int error;
  fuzz_bytes out;
} reference;

static z_stream *reference_stream(int window_bits) {
  static z_stream stream;
  static int made;
  if (!made) {
    FUZZ_CHECK(inflateInit2(&stream, -15) == Z_OK);
    made = 1;
  }
  FUZZ_CHECK(inflateReset2(&stream, -window_bits) == Z_OK);
  return &stream;
}

/* Where a message may end: a block may begin here, at the beginning of a
 * byte. */
static int at_block(const reference *r) {
  return r->fresh || (r->stream->data_type & (128 | 31)) == 128;
}

static int run(reference *r, const uint8_t *data, size_t len) {
  z_stream *stream = r->stream;
  stream->next_in = (uint8_t *)data;
  stream->avail_in = (uInt)len;
  for (;;) {
    stream->next_out = r->out.data + r->out.len;
    stream->avail_out = (uInt)(r->out.cap - r->out.len);
    const uInt in_before = stream->avail_in, out_before = stream->avail_out;
    const int rc = inflate(stream, Z_SYNC_FLUSH);
    r->out.len += out_before - stream->avail_out;
    if (in_before > stream->avail_in) {
      r->fresh = 0;
    }
    if (rc == Z_STREAM_END) {
      FUZZ_CHECK(inflateResetKeep(stream) == Z_OK);
      r->fresh = 1;
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
      return NWS_ERROR_EXTENSION;
    }
    if (r->out.len > MESSAGE_MAX) {
      r->out.len = MESSAGE_MAX;
      return NWS_ERROR_MESSAGE_LIMIT;
    }
    if (rc == Z_BUF_ERROR || (stream->avail_in == 0 && stream->avail_out > 0)) {
      return NWS_OK;
    }
  }
}

static void message(reference *r, const uint8_t *data, size_t len) {
  static const uint8_t tail[] = {0, 0, 0, 0xff, 0xff};
  r->error = NWS_OK;
  r->out.len = 0;
  if (len == 0) {
    return;
  }
  r->error = run(r, data, len);
  if (r->error != NWS_OK) {
    return;
  }
  const int block = at_block(r);
  if (!block && !inflateSyncPoint(r->stream)) {
    r->error = NWS_ERROR_EXTENSION;
    return;
  }
  FUZZ_CHECK(run(r, block ? tail : tail + 1, block ? 5 : 4) == NWS_OK);
  FUZZ_CHECK(at_block(r));
}

/* --- The connection --- */

typedef struct receiver {
  nws_conn conn;
  nws_spill spill;
  nws_conn_config config;
  nws_extension_use use;
  fuzz_random random;
  fuzz_bytes got;
  int whole; /* a message has ended */
} receiver;

static void on_event(receiver *r, const nws_event *event) {
  if (event->flags & NWS_MESSAGE_BEGIN) {
    r->got.len = 0;
  }
  FUZZ_CHECK(event->message_offset == r->got.len);
  FUZZ_CHECK(event->len <= r->config.scratch_len);
  fuzz_add(&r->got, event->data, event->len);
  r->whole = (event->flags & NWS_MESSAGE_END) != 0;
}

static int feed(receiver *r, const uint8_t *data, size_t len, uint32_t *seed) {
  int rc = NWS_OK;
  const size_t steps = 1 + *seed % 97;
  for (size_t at = 0; at < len && rc == NWS_OK;) {
    const size_t wish = 1 + fuzz_next(seed) % steps, left = len - at;
    const size_t part = wish < left ? wish : left;
    uint8_t *copy = fuzz_copy(data + at, part);
    nws_input in = {copy, part, 0};
    nws_event event;
    while ((rc = nws_conn_recv(&r->conn, &in, &event)) > 0) {
      on_event(r, &event);
    }
    fuzz_drop(copy, part);
    at += part;
  }
  return rc;
}

/* Puts a message into frames, of which some may be empty. */
static size_t frame(fuzz_cursor *c, const uint8_t *data, size_t len,
                    uint8_t *out) {
  size_t out_len = 0, at = 0;
  const unsigned fragments = 1 + fuzz_u8(c) % 4;
  for (unsigned i = 1; i <= fragments; i++) {
    const size_t left = len - at;
    const size_t part = i == fragments ? left : fuzz_u8(c) % (left + 1);
    nws_frame head = {.opcode = i == 1 ? NWS_OPCODE_BINARY : 0,
                      .rsv = i == 1 ? NWS_RSV1 : 0,
                      .fin = i == fragments,
                      .payload_len = part};
    const int head_len = nws_frame_build(&head, out + out_len);
    FUZZ_CHECK(head_len > 0);
    out_len += (size_t)head_len;
    memcpy(out + out_len, data + at, part);
    out_len += part;
    at += part;
  }
  return out_len;
}

static void open_receiver(receiver *r, fuzz_cursor *c,
                          const nws_deflate *deflate,
                          const nws_deflate_params *params) {
  static uint8_t got[MESSAGE_MAX];
  const unsigned size = fuzz_u8(c);
  fuzz_random_init(&r->random, 1, 0);
  r->config = (nws_conn_config){.size = sizeof(r->config),
                                .random = &r->random.source,
                                .max_message = MESSAGE_MAX,
                                .scratch_len = 1 + size * size / 16};
  r->config.scratch = fuzz_block(r->config.scratch_len);
  r->got = (fuzz_bytes){got, 0, sizeof(got)};
  FUZZ_CHECK(nws_deflate_use(deflate, params, &r->use) == NWS_OK);
  FUZZ_CHECK(nws_conn_init(&r->conn, NWS_ROLE_CLIENT, &r->config, &r->use, 1) ==
             NWS_OK);
  FUZZ_CHECK(nws_conn_lend(&r->conn, &r->spill) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static nws_deflate deflate; /* lives on, so that states are used again */
  static uint8_t expected[MESSAGE_MAX + 1];
  static receiver r;
  uint8_t bytes[PAYLOAD_MAX], wire[PAYLOAD_MAX + 64];
  fuzz_cursor c = {data, len};
  fuzz_begin();
  if (deflate.pool == NULL) {
    FUZZ_CHECK(nws_deflate_init(&deflate, NULL) == NWS_OK);
  }
  const unsigned how = fuzz_u8(&c);
  uint32_t seed = fuzz_u8(&c);
  const nws_deflate_params params = {.receive_no_takeover = how & 1,
                                     .receive_window_bits =
                                         how & 2 ? 9 + (how >> 2) % 7 : 15};
  const size_t before = nws_deflate_memory(&deflate);
  open_receiver(&r, &c, &deflate, &params);
  reference ref = {.stream = reference_stream((int)params.receive_window_bits),
                   .fresh = 1,
                   .out = {expected, 0, sizeof(expected)}};
  for (int i = 0; i < MESSAGES_MAX && c.len > 0 && ref.error == NWS_OK; i++) {
    const size_t bytes_len = payload(&c, bytes, how & 1 || i == 0);
    const size_t wire_len = frame(&c, bytes, bytes_len, wire);
    if (how & 1) {
      ref.stream = reference_stream((int)params.receive_window_bits);
      ref.fresh = 1;
    }
    message(&ref, bytes, bytes_len);
    r.got.len = 0;
    r.whole = 0;
    const int rc = feed(&r, wire, wire_len, &seed);
    FUZZ_CHECK(rc == ref.error);
    FUZZ_CHECK(r.whole == (rc == NWS_OK));
    FUZZ_CHECK(fuzz_equal(&r.got, &ref.out));
  }
  nws_extension_release(&r.use, 1);
  FUZZ_CHECK(nws_deflate_memory(&deflate) <= before + 4 * 50000);
  return 0;
}
