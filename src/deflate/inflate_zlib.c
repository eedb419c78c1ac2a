/* inflate_zlib.c - inflating with zlib's API.
 *
 * A message is a piece of a DEFLATE stream that lacks its last four bytes
 * (RFC 7692 7.2.2). They are the lengths of an empty stored block: so at the
 * end of a message zlib must be waiting for just these. When it is, it is told
 * to begin a block before the next message, which comes to the same and is
 * cheaper than to feed them. A block with BFINAL set is followed by another, in
 * the same message or in the next (RFC 7692 7.2.3.4): zlib then starts afresh,
 * but keeps the window.
 */
#define ZLIB_CONST
#include "deflate_internal.h"
#include "zlib_memory.h"

#include <limits.h>

struct nws__inflater {
  nws__shared shared;
  z_stream stream;
};

/* In z_stream.data_type: how many bits of the last byte are not used yet, and
 * whether a block has just ended. */
enum { UNUSED_BITS = 31, BLOCK_ENDED = 128 };

static const uint8_t empty_block = 0; /* its first byte */

static nws__inflater *make(nws_deflate_pool *pool, unsigned window_bits) {
  nws__inflater *inflater = nws__account_make(pool, sizeof(*inflater));
  if (inflater == NULL) {
    return NULL;
  }
  inflater->shared.window_bits = window_bits;
  nws__zlib_memory(&inflater->stream, &inflater->shared.account.allocator);
  if (inflateInit2(&inflater->stream, -(int)window_bits) != Z_OK) {
    nws__account_free(&inflater->shared.account, sizeof(*inflater));
    return NULL;
  }
  return inflater;
}

nws__inflater *nws__inflater_get(nws_deflate_pool *pool, unsigned window_bits) {
  nws__inflater *inflater =
      (nws__inflater *)nws__shelf_take(&pool->inflaters, window_bits);
  if (inflater == NULL) {
    return make(pool, window_bits);
  }
  inflateReset(&inflater->stream);
  inflater->stream.data_type = 0;
  return inflater;
}

void nws__inflater_free(nws__shared *state) {
  nws__inflater *inflater = (nws__inflater *)state;
  inflateEnd(&inflater->stream);
  nws__account_free(&state->account, sizeof(*inflater));
}

nws__shared *nws__inflater_shared(nws__inflater *inflater) {
  return &inflater->shared;
}

static uInt clamp(size_t len) {
  return len < UINT_MAX ? (uInt)len : UINT_MAX;
}

/* Lets zlib begin a block at the beginning of a byte; the window stays. */
static void begin_block(z_stream *stream) {
  inflateResetKeep(stream);
  stream->data_type = 0; /* no bit of a byte is left over */
}

/* One call of zlib's, and what it says in our words: NWS_MORE when it can do
 * no more with what it was given. */
static int step(z_stream *stream) {
  switch (inflate(stream, Z_SYNC_FLUSH)) {
  case Z_OK:
    return NWS_OK;
  case Z_STREAM_END:
    begin_block(stream);
    return NWS_OK;
  case Z_BUF_ERROR:
    return NWS_MORE;
  case Z_MEM_ERROR:
    return NWS_ERROR_MEMORY;
  default:
    return NWS_ERROR_EXTENSION;
  }
}

void nws__inflater_begin(nws__inflater *inflater) {
  begin_block(&inflater->stream);
}

/* Whether zlib expects a block, at the beginning of a byte. */
static int at_block(const z_stream *stream) {
  return (stream->data_type & UNUSED_BITS) == 0 &&
         (stream->total_in == 0 || (stream->data_type & BLOCK_ENDED) != 0);
}

int nws__inflater_run(nws__inflater *inflater, nws_extension_data *data) {
  z_stream *stream = &inflater->stream;
  int status = NWS_OK;
  /* Here all is out, and a call would make zlib forget where it is. */
  if (data->in_len == 0 && at_block(stream)) {
    return NWS_OK;
  }
  /* Without input there may still be output that did not fit before. */
  do {
    const size_t room = data->out_cap - data->out_len;
    uInt in_len = clamp(data->in_len), out_len = clamp(room);
    stream->next_in = data->in_len > 0 ? data->in : &empty_block;
    stream->avail_in = in_len;
    stream->next_out = data->out + data->out_len;
    stream->avail_out = out_len;
    status = step(stream);
    in_len -= stream->avail_in;
    if (in_len > 0) {
      data->in += in_len;
      data->in_len -= in_len;
    }
    data->out_len += out_len - stream->avail_out;
  } while (status == NWS_OK && data->in_len > 0 &&
           data->out_len < data->out_cap);
  return status == NWS_MORE ? NWS_OK : status;
}

/* Feeds the first byte of an empty stored block. */
static int feed_header(z_stream *stream) {
  uint8_t none;
  int status;
  stream->next_in = &empty_block;
  stream->avail_in = 1;
  stream->next_out = &none;
  stream->avail_out = 1;
  status = step(stream);
  if (status < 0) {
    return status;
  }
  return stream->avail_out == 1 ? NWS_OK : NWS_ERROR_EXTENSION;
}

int nws__inflater_end(nws__inflater *inflater) {
  z_stream *stream = &inflater->stream;
  if (inflateSyncPoint(stream)) {
    return NWS_OK;
  }
  /* A peer whose library makes nothing of nothing leaves the block away where a
   * message ends with an empty fragment, and behind a final block: there, zlib
   * expects another block at the beginning of a byte. */
  if (at_block(stream)) {
    const int status = feed_header(stream);
    if (status != NWS_OK) {
      return status;
    }
  }
  return inflateSyncPoint(stream) ? NWS_OK : NWS_ERROR_EXTENSION;
}
