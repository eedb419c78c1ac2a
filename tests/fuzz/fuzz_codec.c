/* fuzz_codec.c - harness: frame headers, close payloads, UTF-8 and masking,
 * each held against the rules written a second time, and against itself.
 */
#include "fuzz.h"

#include <string.h>
#include <nws/error.h>
#include <nws/frame.h>
#include <nws/mask.h>
#include <nws/utf8.h>

/* --- Headers --- */

/* What was parsed must be what building gives: there is one form only. */
static void check_built(const nws_frame *frame, const uint8_t *data) {
  uint8_t *out = fuzz_block(NWS_FRAME_HEADER_MAX);
  FUZZ_CHECK(nws_frame_build(frame, out) == frame->header_len);
  FUZZ_CHECK(memcmp(out, data, frame->header_len) == 0);
  FUZZ_CHECK(nws_frame_header_len(frame->payload_len, frame->masked) ==
             frame->header_len);
  FUZZ_CHECK(frame->payload_len <= NWS_FRAME_PAYLOAD_MAX);
  FUZZ_CHECK(frame->masked || memcmp(frame->key, "\0\0\0\0", 4) == 0);
}

/* Every prefix, each in memory of its own: a verdict stays, and what is said to
 * be missing is. */
static void parse_prefixes(fuzz_cursor *c) {
  size_t len = NWS_FRAME_HEADER_MAX + 2;
  const uint8_t *data = fuzz_take(c, &len);
  int last = NWS_MORE;
  size_t promised = 2;
  for (size_t i = 0; i <= len; i++) {
    nws_frame frame;
    const int rc = nws_frame_parse(&frame, fuzz_copy(data, i), i);
    FUZZ_CHECK(last == NWS_MORE || rc == last);
    if (last == NWS_MORE && rc == NWS_OK) {
      FUZZ_CHECK(frame.header_len == i && i == promised);
      check_built(&frame, data);
    }
    if (rc == NWS_MORE) {
      FUZZ_CHECK(frame.header_len > i && frame.header_len >= promised &&
                 frame.header_len <= NWS_FRAME_HEADER_MAX);
      promised = frame.header_len;
    }
    last = rc;
  }
}

static int build_error(const nws_frame *frame) {
  if (frame->opcode > 15 || (frame->rsv & ~0x70) != 0) {
    return NWS_ERROR_ARGUMENT;
  }
  if ((frame->opcode & 8) != 0 && !frame->fin) {
    return NWS_ERROR_CONTROL_FRAGMENT;
  }
  if ((frame->opcode & 8) != 0 && frame->payload_len > 125) {
    return NWS_ERROR_CONTROL_LONG;
  }
  return frame->payload_len > NWS_FRAME_PAYLOAD_MAX ? NWS_ERROR_LENGTH : NWS_OK;
}

static void build_header(fuzz_cursor *c) {
  nws_frame frame = {0}, again;
  uint8_t *out = fuzz_block(NWS_FRAME_HEADER_MAX);
  const unsigned how = fuzz_u8(c);
  frame.opcode = (uint8_t)fuzz_u8(c);
  frame.rsv = (uint8_t)fuzz_u8(c);
  frame.fin = how & 1;
  frame.masked = how >> 1 & 1;
  for (unsigned i = 0; i < (how >> 2) % 9; i++) {
    frame.payload_len = frame.payload_len << 8 | fuzz_u8(c);
  }
  for (size_t i = 0; frame.masked && i < 4; i++) {
    frame.key[i] = (uint8_t)fuzz_u8(c);
  }
  const int expected = build_error(&frame);
  const int rc = nws_frame_build(&frame, out);
  if (expected != NWS_OK) {
    FUZZ_CHECK(rc == expected);
    return;
  }
  FUZZ_CHECK(rc >= 2 && rc <= NWS_FRAME_HEADER_MAX);
  frame.header_len = (uint8_t)rc;
  memset(&again, 0xaa, sizeof(again));
  FUZZ_CHECK(nws_frame_parse(&again, fuzz_copy(out, (size_t)rc), (size_t)rc) ==
             NWS_OK);
  FUZZ_CHECK(again.payload_len == frame.payload_len);
  FUZZ_CHECK(again.opcode == frame.opcode && again.fin == frame.fin &&
             again.rsv == frame.rsv && again.masked == frame.masked &&
             again.header_len == frame.header_len);
  FUZZ_CHECK(memcmp(again.key, frame.key, 4) == 0);
}

/* --- Close payloads --- */

/* What is wrong with a payload, and where. */
static int close_error(const uint8_t *data, size_t len, size_t *at) {
  int cut;
  *at = 0;
  if (len == 0) {
    return NWS_OK;
  }
  if (len > NWS_CONTROL_PAYLOAD_MAX) {
    *at = NWS_CONTROL_PAYLOAD_MAX;
    return NWS_ERROR_CONTROL_LENGTH;
  }
  if (len == 1) {
    *at = 1;
    return NWS_ERROR_CLOSE_LENGTH;
  }
  if (!fuzz_close_code((unsigned)data[0] << 8 | data[1])) {
    return NWS_ERROR_CLOSE_CODE;
  }
  *at = 2 + fuzz_utf8(data + 2, len - 2, &cut);
  return *at < len || cut ? NWS_ERROR_CLOSE_TEXT : NWS_OK;
}

static void close_payload(fuzz_cursor *c) {
  size_t len = 130, bad_at = 999, expected_at;
  const uint8_t *own = fuzz_take(c, &len);
  const uint8_t *data = fuzz_copy(own, len);
  uint16_t code = 7;
  nws_str reason = {NULL, 77};
  const int expected = close_error(data, len, &expected_at);
  FUZZ_CHECK(nws_close_parse(data, len, &code, &reason, &bad_at) == expected);
  if (expected != NWS_OK) {
    FUZZ_CHECK(bad_at == expected_at && code == 7 && reason.len == 77);
    return;
  }
  const unsigned sent = len > 0 ? code : 0;
  uint8_t *out = fuzz_block(len);
  FUZZ_CHECK(len > 0 || code == NWS_CLOSE_NO_STATUS);
  FUZZ_CHECK(reason.len == (len > 2 ? len - 2 : 0));
  FUZZ_CHECK(nws_close_build(sent, reason, out) == (int)len);
  FUZZ_CHECK(len == 0 || memcmp(out, data, len) == 0);
}

static void close_code(fuzz_cursor *c) {
  const unsigned low = fuzz_u16(c), code = low | (fuzz_u8(c) & 1) << 16;
  uint8_t *out = fuzz_block(2);
  const int valid = fuzz_close_code(code);
  FUZZ_CHECK(nws_close_code_valid(code) == valid);
  const int rc = nws_close_build(code, nws_str_make(NULL, 0), out);
  FUZZ_CHECK(rc == (code == 0 ? 0 : valid ? 2 : NWS_ERROR_CLOSE_CODE_SEND));
}

/* --- Texts and masks --- */

/* In three pieces, of which two may be empty. */
static void text(fuzz_cursor *c) {
  int cut;
  size_t first = fuzz_u8(c), second = fuzz_u8(c), len = 400;
  const uint8_t *data = fuzz_take(c, &len);
  const size_t expected = fuzz_utf8(data, len, &cut);
  const size_t cuts[] = {first % (len + 1), second % (len + 1), len};
  nws_utf8 state = NWS_UTF8_START;
  size_t at = 0;
  for (size_t i = 0; i < 3; i++) {
    if (cuts[i] < at) {
      continue;
    }
    const size_t part = cuts[i] - at;
    const size_t good =
        nws_utf8_check(&state, fuzz_copy(data + at, part), part);
    at += good;
    FUZZ_CHECK(good <= part);
    if (good < part) {
      break;
    }
  }
  FUZZ_CHECK(at == expected);
  FUZZ_CHECK(at < len || (state != NWS_UTF8_START) == cut);
  FUZZ_CHECK(nws_utf8_valid(fuzz_copy(data, len), len) ==
             (expected == len && !cut));
}

static void mask(fuzz_cursor *c) {
  uint8_t key[4];
  size_t shift = fuzz_u8(c) % 16, to = fuzz_u8(c) % 16;
  const uint64_t low = fuzz_u8(c), offset = low << fuzz_u8(c) % 57;
  for (size_t i = 0; i < 4; i++) {
    key[i] = (uint8_t)fuzz_u8(c);
  }
  size_t len = 300;
  const uint8_t *data = fuzz_take(c, &len);
  uint8_t *src = (uint8_t *)fuzz_block(shift + len) + shift;
  uint8_t *dst = (uint8_t *)fuzz_block(to + len) + to;
  memcpy(src, data, len);
  nws_mask(dst, src, len, key, offset);
  FUZZ_CHECK(memcmp(src, data, len) == 0);
  for (size_t i = 0; i < len; i++) {
    FUZZ_CHECK(dst[i] == (data[i] ^ key[(offset + i) % 4]));
  }
  nws_mask(dst, dst, len, key, offset);
  FUZZ_CHECK(memcmp(dst, data, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static void (*const parts[])(fuzz_cursor *) = {
      parse_prefixes, build_header, close_payload, close_code, text, mask};
  fuzz_cursor c = {data, len};
  fuzz_begin();
  parts[fuzz_u8(&c) % (sizeof(parts) / sizeof(parts[0]))](&c);
  return 0;
}
