/* deflate_messages.c - the messages of the benchmark, plain and as they come
 * from clients.
 */
#include "bench.h"
#include "deflate_sides.h"
#include "json_text.h"

#include <nws/frame.h>
#include <nws/mask.h>

#include <stdlib.h>
#include <string.h>

messages messages_make(size_t len, size_t count) {
  uint64_t seed = 20260314;
  char *text = bench_alloc(len * count);
  messages made = {(uint8_t *)text, len, count};
  for (size_t i = 0; i < count; i++) {
    json_text(text + i * len, len, &seed);
  }
  return made;
}

/* Frames a compressed message as a client does. */
static size_t write_frame(uint8_t *to, const uint8_t *payload, size_t len,
                          size_t number) {
  nws_frame frame = {0};
  int header_len;
  frame.opcode = NWS_OPCODE_TEXT;
  frame.fin = 1;
  frame.rsv = NWS_RSV1;
  frame.masked = 1;
  frame.payload_len = len;
  for (size_t i = 0; i < sizeof(frame.key); i++) {
    frame.key[i] = (uint8_t)(number * 151 + i * 77 + 13);
  }
  header_len = nws_frame_build(&frame, to);
  if (header_len < 0) {
    bench_fail("nws_frame_build()");
  }
  nws_mask(to + header_len, payload, len, frame.key, 0);
  return (size_t)header_len + len;
}

packed packed_make(const messages *texts, const setting *how) {
  const size_t most = 2 * texts->len + 64;
  library_out *library = library_out_make(texts, how);
  packed made = {0};
  made.count = texts->count;
  made.text_len = texts->len;
  made.takeover = how->takeover;
  made.data = bench_alloc(most * texts->count);
  made.at = bench_alloc((texts->count + 1) * sizeof(*made.at));
  made.wire = bench_alloc(most * texts->count);
  made.at[0] = 0;
  for (size_t i = 0; i < texts->count; i++) {
    uint8_t *data = made.data + made.at[i];
    const size_t len = library_out_one(library, i, data, most);
    made.at[i + 1] = made.at[i] + len;
    made.wire_len +=
        write_frame(made.wire + made.wire_len, data, len - TAIL_LEN, i);
  }
  library_out_free(library);
  return made;
}

void packed_free(packed *what) {
  free(what->data);
  free(what->at);
  free(what->wire);
}
