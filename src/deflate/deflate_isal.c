/* deflate_isal.c - compressing with Intel's ISA-L, at its fastest: level 0 and
 * the fixed Huffman codes, which suit short messages since they need no tables
 * in front of each block.
 */
#include "deflate_internal.h"

#include <isa-l/igzip_lib.h>

enum {
  CHUNK_MAX = 1 << 30, /* its lengths are 32 bits */
  /* Its counters are too: long before they wrap, it starts afresh. */
  TOTAL_MAX = 1 << 30
};

typedef struct isal_state {
  struct isal_zstream stream;
  nws_allocator allocator;
  uint16_t window_bits;
} isal_state;

static void prepare(isal_state *state) {
  isal_deflate_init(&state->stream);
  isal_deflate_set_hufftables(&state->stream, NULL, IGZIP_HUFFTABLE_STATIC);
  state->stream.hist_bits = state->window_bits;
  state->stream.flush = SYNC_FLUSH;
}

static void *isal_make(const nws_allocator *allocator,
                       const nws_deflate_setting *setting) {
  isal_state *state =
      allocator->resize(allocator->user, NULL, 0, sizeof(*state));
  if (state == NULL) {
    return NULL;
  }
  state->allocator = *allocator;
  state->window_bits = (uint16_t)setting->window_bits;
  prepare(state);
  return state;
}

static void isal_reset(void *user) {
  isal_state *state = user;
  isal_deflate_reset(&state->stream);
}

static int isal_compress(void *user, const uint8_t *in, size_t in_len,
                         uint8_t *out, size_t cap, size_t *len) {
  struct isal_zstream *stream = &((isal_state *)user)->stream;
  const uint8_t *end = out + cap;
  stream->next_in = (uint8_t *)in;
  stream->next_out = out;
  stream->avail_out = 0;
  do {
    if (stream->total_in > TOTAL_MAX) {
      isal_reset(user);
    }
    stream->avail_in = in_len < CHUNK_MAX ? (uint32_t)in_len : CHUNK_MAX;
    in_len -= stream->avail_in;
    /* A flush is complete when it leaves room. */
    do {
      const size_t room = (size_t)(end - stream->next_out);
      stream->avail_out = room < CHUNK_MAX ? (uint32_t)room : CHUNK_MAX;
      if (room == 0 || isal_deflate(stream) != COMP_OK) {
        return NWS_ERROR_EXTENSION;
      }
    } while (stream->avail_in > 0 || stream->avail_out == 0);
  } while (in_len > 0);
  *len = (size_t)(stream->next_out - out);
  return NWS_OK;
}

static void isal_free(void *user) {
  isal_state *state = user;
  const nws_allocator allocator = state->allocator;
  allocator.resize(allocator.user, state, sizeof(*state), 0);
}

/* The fixed codes need 9 bits for a literal at most; see zlib_bound(). */
static size_t isal_bound(size_t len) {
  const size_t more = len / 8 + len / 64 + 32;
  return len <= SIZE_MAX - more ? len + more : SIZE_MAX;
}

const nws_deflate_backend *nws_deflate_isal(void) {
  static const nws_deflate_backend backend = {
      .size = sizeof(backend),
      .name = "isa-l",
      .min_window_bits = 9,
      .make = isal_make,
      .compress = isal_compress,
      .reset = isal_reset,
      .free = isal_free,
      .bound = isal_bound,
  };
  return &backend;
}
