/* fuzz_decode.c - harness: what `nws decode` does with its input. Hex text
 * gives the same bytes, or the same fault in the same place, however it is
 * read; and a stream of frames gives the same lines, in which no byte can
 * control a terminal.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include "../../src/cli/cli.h"

enum { INPUT_MAX = 2000, LINES_MAX = 1 << 16 };

/* The length of the next piece, short ones more often. */
static size_t step(size_t left, uint32_t *seed) {
  const size_t longest = 1 + (*seed & 31);
  const size_t len = 1 + fuzz_next(seed) % longest;
  return len < left ? len : left;
}

/* --- Hex --- */

static void read_hex(cli_hex *hex, const uint8_t *text, size_t len,
                     uint32_t *seed, fuzz_bytes *out) {
  *hex = (cli_hex){.line = 1, .column = 1};
  for (size_t at = 0; at < len && hex->fault == NULL;) {
    const size_t part = seed != NULL ? step(len - at, seed) : len;
    uint8_t *copy = fuzz_copy(text + at, part);
    const size_t got = nws__cli_hex_read(hex, copy, part);
    FUZZ_CHECK(got <= part);
    fuzz_add(out, copy, got);
    at += part;
  }
  nws__cli_hex_end(hex);
}

/* Reads hex text; gives the bytes it stands for. */
static fuzz_bytes hex(const uint8_t *text, size_t len, uint32_t seed) {
  static uint8_t rooms[2][INPUT_MAX];
  fuzz_bytes whole = {rooms[0], 0, INPUT_MAX};
  fuzz_bytes parts = {rooms[1], 0, INPUT_MAX};
  cli_hex a, b;
  read_hex(&a, text, len, NULL, &whole);
  read_hex(&b, text, len, &seed, &parts);
  FUZZ_CHECK(fuzz_equal(&whole, &parts));
  FUZZ_CHECK(a.fault == b.fault);
  FUZZ_CHECK(a.line == b.line && a.column == b.column);
  FUZZ_CHECK(a.fault == NULL || a.bad == b.bad);
  return whole;
}

/* --- Frames --- */

static int print(unsigned how, const uint8_t *data, size_t len, uint32_t *seed,
                 FILE *out) {
  static cli_frames frames;
  memset(&frames, 0, sizeof(frames));
  frames.max_shown = how >> 4;
  frames.out = out;
  frames.config.rsv_in = how & 4 ? 0x70 : 0;
  frames.config.accept_any_text = how >> 2 & 1;
  FUZZ_CHECK(nws__cli_frames_init(&frames, how & 3) == NWS_OK);
  int rc = NWS_OK;
  for (size_t at = 0; at < len && rc == NWS_OK;) {
    const size_t part = seed != NULL ? step(len - at, seed) : len;
    rc = nws__cli_frames_add(&frames, fuzz_copy(data + at, part), part);
    at += part;
    FUZZ_CHECK(frames.offset <= len);
  }
  const int code = nws__cli_frames_end(&frames);
  FUZZ_CHECK(code == CLI_EXIT_OK || code == CLI_EXIT_LOST);
  FUZZ_CHECK(rc == NWS_OK || code == CLI_EXIT_LOST);
  nws__cli_frames_free(&frames);
  return code;
}

/* Lines of text that a terminal can take. */
static void check_lines(const fuzz_bytes *lines) {
  int cut;
  FUZZ_CHECK(lines->len > 0 && lines->data[lines->len - 1] == '\n');
  FUZZ_CHECK(fuzz_utf8(lines->data, lines->len, &cut) == lines->len && !cut);
  for (size_t i = 0; i < lines->len; i++) {
    const uint8_t byte = lines->data[i];
    FUZZ_CHECK((byte >= 0x20 && byte != 0x7f) || byte == '\n');
    /* U+0080 to U+009F control, too */
    FUZZ_CHECK(byte != 0xc2 || lines->data[i + 1] >= 0xa0);
  }
}

static void show(unsigned how, const uint8_t *data, size_t len, uint32_t seed) {
  static uint8_t rooms[2][LINES_MAX];
  static FILE *files[2];
  fuzz_bytes lines[2];
  int codes[2];
  for (int i = 0; i < 2; i++) {
    if (files[i] == NULL) {
      files[i] = fmemopen(rooms[i], LINES_MAX, "w");
      FUZZ_CHECK(files[i] != NULL);
    }
    rewind(files[i]);
    codes[i] = print(how, data, len, i > 0 ? &seed : NULL, files[i]);
    FUZZ_CHECK(fflush(files[i]) == 0);
    const long end = ftell(files[i]);
    FUZZ_CHECK(end > 0 && end < LINES_MAX);
    lines[i] = (fuzz_bytes){rooms[i], (size_t)end, LINES_MAX};
  }
  check_lines(&lines[0]);
  FUZZ_CHECK(codes[0] == codes[1]);
  FUZZ_CHECK(fuzz_equal(&lines[0], &lines[1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static uint8_t stream[INPUT_MAX];
  fuzz_cursor c = {data, len};
  fuzz_begin();
  const unsigned how = fuzz_u8(&c), seed = fuzz_u8(&c);
  const unsigned form = fuzz_u8(&c) % 3;
  unsigned role = how & 3;
  fuzz_frames frames = {.masked = role != NWS_ROLE_SERVER, .rsv = 0x70};
  size_t stream_len = fuzz_stream(&frames, &c, form != 2, stream, INPUT_MAX);
  if (form == 1) {
    const fuzz_bytes bytes = hex(stream, stream_len, seed);
    show(how, bytes.data, bytes.len, seed);
    return 0;
  }
  show(how, stream, stream_len, seed);
  return 0;
}
