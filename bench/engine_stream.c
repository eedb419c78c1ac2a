/* engine_stream.c - the messages of the engine's benchmark: what is in them,
 * and the frames they come in.
 */
#include "bench.h"
#include "engine_stream.h"

#include <nws/frame.h>
#include <nws/mask.h>

#include <stdlib.h>
#include <string.h>

static uint64_t draw(uint64_t *seed) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return *seed >> 33;
}

/* Characters of every length, as in a chat of half the world. */
static void fill_mixed(uint8_t *to, size_t len, uint64_t *seed) {
  static const char *const words[] = {
      "na\xc3\xafve ", "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 ",
      "\xe4\xbd\xa0\xe5\xa5\xbd", "\xf0\x9f\x98\x80", "ok "};
  size_t at = 0;
  while (at < len) {
    const char *word = words[draw(seed) % 5];
    const size_t word_len = strlen(word);
    if (word_len > len - at) {
      memset(to + at, '.', len - at);
      return;
    }
    memcpy(to + at, word, word_len);
    at += word_len;
  }
}

static void fill(uint8_t *to, size_t len, enum content content,
                 uint64_t *seed) {
  if (content == CONTENT_MIXED) {
    fill_mixed(to, len, seed);
    return;
  }
  for (size_t i = 0; i < len; i++) {
    to[i] = content == CONTENT_ASCII ? (uint8_t)(' ' + draw(seed) % 95)
                                     : (uint8_t)draw(seed);
  }
}

/* Writes a masked frame as clients do. Returns its length. */
static size_t frame_payload(uint8_t *to, const uint8_t *payload, size_t len,
                            unsigned opcode, uint64_t *seed) {
  nws_frame frame = {0};
  int header_len;
  frame.opcode = (uint8_t)opcode;
  frame.fin = 1;
  frame.masked = 1;
  frame.payload_len = len;
  for (size_t i = 0; i < sizeof(frame.key); i++) {
    frame.key[i] = (uint8_t)draw(seed);
  }
  header_len = nws_frame_build(&frame, to);
  nws_mask(to + header_len, payload, len, frame.key, 0);
  return (size_t)header_len + len;
}

stream stream_make(size_t len, size_t count, enum content content) {
  const unsigned opcode =
      content == CONTENT_BINARY ? NWS_OPCODE_BINARY : NWS_OPCODE_TEXT;
  const size_t most = (len + NWS_FRAME_HEADER_MAX) * count;
  uint64_t seed = 20260314;
  uint8_t *payload = bench_alloc(len);
  uint8_t *wire = bench_alloc(most);
  stream made = {wire, bench_alloc(most),        0, count,
                 len,  content != CONTENT_BINARY};
  for (size_t i = 0; i < count; i++) {
    fill(payload, len, content, &seed);
    made.len += frame_payload(wire + made.len, payload, len, opcode, &seed);
  }
  free(payload);
  return made;
}

void stream_restore(const stream *what) {
  memcpy(what->input, what->wire, what->len);
}

void stream_free(stream *what) {
  free((void *)(uintptr_t)what->wire);
  free(what->input);
}
