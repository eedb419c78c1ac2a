/* deflate_zlib.c - compressing with zlib's API. zlib-ng's compatible build
 * serves as well: nothing here depends on what is inside.
 */
#define ZLIB_CONST
#include "deflate_internal.h"
#include "zlib_memory.h"

#include <limits.h>

enum {
  /* What zlib is given at most at once: its lengths are unsigned int. */
  CHUNK_MAX = 1 << 30,
  /* zlib's raw deflate refuses a window of 256 bytes. With one of 512 it refers
   * back at most 512 - 262 = 250 bytes, since it keeps as much look-ahead as
   * the longest match needs; so that does for both. */
  BITS_MIN = 9
};

typedef struct zlib_state {
  z_stream stream;
  nws_allocator allocator;
} zlib_state;

static void *zlib_make(const nws_allocator *allocator,
                       const nws_deflate_setting *setting) {
  const int bits =
      setting->window_bits < BITS_MIN ? BITS_MIN : (int)setting->window_bits;
  zlib_state *state =
      allocator->resize(allocator->user, NULL, 0, sizeof(*state));
  if (state == NULL) {
    return NULL;
  }
  state->allocator = *allocator;
  nws__zlib_memory(&state->stream, &state->allocator);
  if (deflateInit2(&state->stream, (int)setting->level, Z_DEFLATED, -bits,
                   (int)setting->mem_level, Z_DEFAULT_STRATEGY) != Z_OK) {
    allocator->resize(allocator->user, state, sizeof(*state), 0);
    return NULL;
  }
  return state;
}

static int zlib_compress(void *user, const uint8_t *in, size_t in_len,
                         uint8_t *out, size_t cap, size_t *len) {
  z_stream *stream = &((zlib_state *)user)->stream;
  const uint8_t *end = out + cap;
  int flush = Z_NO_FLUSH;
  stream->next_in = in;
  stream->next_out = out;
  stream->avail_in = 0;
  stream->avail_out = 0;
  /* A flush is complete when it leaves room. */
  while (flush == Z_NO_FLUSH || stream->avail_in > 0 ||
         stream->avail_out == 0) {
    if (stream->avail_in == 0 && flush == Z_NO_FLUSH) {
      stream->avail_in = in_len < CHUNK_MAX ? (uInt)in_len : CHUNK_MAX;
      in_len -= stream->avail_in;
      flush = in_len == 0 ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    }
    if (stream->avail_out == 0) {
      const size_t room = (size_t)(end - stream->next_out);
      stream->avail_out = room < CHUNK_MAX ? (uInt)room : CHUNK_MAX;
    }
    if (stream->avail_out == 0 || deflate(stream, flush) != Z_OK) {
      return NWS_ERROR_EXTENSION; /* the bound is wrong */
    }
  }
  *len = (size_t)(stream->next_out - out);
  return NWS_OK;
}

static void zlib_reset(void *user) {
  deflateReset(&((zlib_state *)user)->stream);
}

static void zlib_free(void *user) {
  zlib_state *state = user;
  const nws_allocator allocator = state->allocator;
  deflateEnd(&state->stream);
  allocator.resize(allocator.user, state, sizeof(*state), 0);
}

/* deflateBound() is for one call that ends the stream, so this is worked out
 * from the format: a literal has at most 9 bits in the fixed code, which each
 * block may fall back to; a block that is not the last has at least 127
 * symbols (mem_level 1) and 10 bits around them; the flush takes 5 bytes, and
 * one is left over to show that it is complete. */
static size_t zlib_bound(size_t len) {
  const size_t more = len / 8 + len / 64 + 16;
  return len <= SIZE_MAX - more ? len + more : SIZE_MAX;
}

const nws_deflate_backend *nws_deflate_zlib(void) {
  static const nws_deflate_backend backend = {
      .size = sizeof(backend),
      .name = "zlib",
      .min_window_bits = 8,
      .make = zlib_make,
      .compress = zlib_compress,
      .reset = zlib_reset,
      .free = zlib_free,
      .bound = zlib_bound,
  };
  return &backend;
}
