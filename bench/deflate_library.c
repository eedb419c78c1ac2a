/* deflate_library.c - plain calls of zlib and ISA-L: what compressing costs
 * before there is a protocol. States are made once; without takeover they are
 * reset for each message.
 */
#define ZLIB_CONST
#include "bench.h"
#include "deflate_sides.h"

#include <isa-l.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define TEXT_OF(what) #what
#define TEXT(what) TEXT_OF(what)

const char *library_zlib(void) {
  return zlibVersion();
}

const char *library_isal(void) {
  return TEXT(ISAL_MAJOR_VERSION) "." TEXT(ISAL_MINOR_VERSION) "." TEXT(
      ISAL_PATCH_VERSION);
}

/* --- Sending --- */

struct library_out {
  messages texts;
  setting how;
  z_stream zlib;
  struct isal_zstream isal;
  uint8_t *out;
  size_t cap;
  size_t bytes;
};

library_out *library_out_make(const messages *texts, const setting *how) {
  library_out *out = bench_alloc(sizeof(*out));
  memset(out, 0, sizeof(*out));
  out->texts = *texts;
  out->how = *how;
  out->cap = 2 * texts->len + 1024;
  out->out = bench_alloc(out->cap);
  if (how->level == 0) {
    isal_deflate_init(&out->isal);
    isal_deflate_set_hufftables(&out->isal, NULL, IGZIP_HUFFTABLE_STATIC);
    out->isal.hist_bits = 15;
    out->isal.flush = SYNC_FLUSH;
  } else if (deflateInit2(&out->zlib, how->level, Z_DEFLATED, -15, 8,
                          Z_DEFAULT_STRATEGY) != Z_OK) {
    bench_fail("deflateInit2()");
  }
  return out;
}

static size_t one_zlib(library_out *out, const uint8_t *text, uint8_t *to,
                       size_t cap) {
  z_stream *stream = &out->zlib;
  if (!out->how.takeover) {
    deflateReset(stream);
  }
  stream->next_in = text;
  stream->avail_in = (uInt)out->texts.len;
  stream->next_out = to;
  stream->avail_out = (uInt)cap;
  if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_in > 0 ||
      stream->avail_out == 0) {
    bench_fail("deflate()");
  }
  return cap - stream->avail_out;
}

static size_t one_isal(library_out *out, const uint8_t *text, uint8_t *to,
                       size_t cap) {
  struct isal_zstream *stream = &out->isal;
  if (!out->how.takeover) {
    isal_deflate_reset(stream);
  }
  stream->next_in = (uint8_t *)(uintptr_t)text;
  stream->avail_in = (uint32_t)out->texts.len;
  stream->next_out = to;
  stream->avail_out = (uint32_t)cap;
  if (isal_deflate(stream) != COMP_OK || stream->avail_in > 0 ||
      stream->avail_out == 0) {
    bench_fail("isal_deflate()");
  }
  return cap - stream->avail_out;
}

size_t library_out_one(library_out *out, size_t i, uint8_t *to, size_t cap) {
  const uint8_t *text = out->texts.text + i * out->texts.len;
  return out->how.level == 0 ? one_isal(out, text, to, cap)
                             : one_zlib(out, text, to, cap);
}

void library_out_run(void *user) {
  library_out *out = user;
  size_t bytes = 0;
  for (size_t i = 0; i < out->texts.count; i++) {
    bytes += library_out_one(out, i, out->out, out->cap) - TAIL_LEN;
  }
  out->bytes = bytes;
}

size_t library_out_bytes(const library_out *out) {
  return out->bytes;
}

void library_out_free(library_out *out) {
  if (out->how.level != 0) {
    deflateEnd(&out->zlib);
  }
  free(out->out);
  free(out);
}

/* --- Receiving --- */

struct library_in {
  const packed *input;
  z_stream zlib;
  uint8_t *out;
  size_t cap;
  size_t bytes;
};

library_in *library_in_make(const packed *input) {
  library_in *in = bench_alloc(sizeof(*in));
  memset(in, 0, sizeof(*in));
  in->input = input;
  in->cap = input->text_len + 1024;
  in->out = bench_alloc(in->cap);
  if (inflateInit2(&in->zlib, -15) != Z_OK) {
    bench_fail("inflateInit2()");
  }
  return in;
}

void library_in_run(void *user) {
  library_in *in = user;
  z_stream *stream = &in->zlib;
  size_t bytes = 0;
  for (size_t i = 0; i < in->input->count; i++) {
    if (!in->input->takeover) {
      inflateReset(stream);
    }
    stream->next_in = in->input->data + in->input->at[i];
    stream->avail_in = (uInt)(in->input->at[i + 1] - in->input->at[i]);
    stream->next_out = in->out;
    stream->avail_out = (uInt)in->cap;
    if (inflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_in > 0) {
      bench_fail("inflate()");
    }
    bytes += in->cap - stream->avail_out;
  }
  in->bytes = bytes;
}

size_t library_in_bytes(const library_in *in) {
  return in->bytes;
}

void library_in_free(library_in *in) {
  inflateEnd(&in->zlib);
  free(in->out);
  free(in);
}
