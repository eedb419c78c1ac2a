/* fuzz_frames.c - streams of frames, grown from the input.
 *
 * Random bytes seldom make two good frames in a row: a length, a mask and the
 * order of fragments must all fit. Here the input chooses among things that are
 * right, and where something is to be wrong, so that mutations lead deep. The
 * text of a message goes on from fragment to fragment, so that characters of
 * every length are cut at every place and are whole in the end.
 */
#include "fuzz.h"

#include <string.h>
#include <nws/mask.h>

/* Characters of one to four bytes, the edges of each range among them. */
static const uint8_t sample[] =
    "a\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"
    "\xf4\x8f\xbf\xbf\xdf\xbfz";

enum { SAMPLE_LEN = sizeof(sample) - 1, PAYLOAD_MAX = 160 };

/* What the input can ask for, in the low bits of a frame's first byte. */
enum { WHOLE, FRAGMENT, LAST, PING, PONG, CLOSE, ODD, RAW, KINDS };
enum { OWN_BYTES = 8, LONG = 16, BAD_HEAD = 32, BAD_BYTE = 64, MARKED = 128 };

static void put_text(fuzz_frames *frames, int whole, uint8_t *out,
                     size_t *len) {
  for (size_t i = 0; i < *len; i++) {
    out[i] = sample[frames->text_at++ % SAMPLE_LEN];
  }
  while (whole && (sample[frames->text_at % SAMPLE_LEN] & 0xc0) == 0x80) {
    out[(*len)++] = sample[frames->text_at++ % SAMPLE_LEN];
  }
}

static size_t put_payload(fuzz_frames *frames, fuzz_cursor *c, unsigned how,
                          const nws_frame *frame, uint8_t *out) {
  size_t len = fuzz_u8(c);
  size_t start = 0;
  const int is_control = (frame->opcode & 8) != 0;
  if (frame->opcode == NWS_OPCODE_CLOSE) {
    const unsigned code = fuzz_u16(c);
    /* Half of the codes are among those that may travel. */
    const unsigned sent = code & 1 ? 1000 + (code >> 1) % 16 : code;
    if (len % 8 == 0) {
      return 0;
    }
    out[start++] = (uint8_t)(sent >> 8);
    out[start++] = (uint8_t)sent;
  }
  len = is_control ? len % 124 : how & LONG ? 126 + len % 24 : len % 32;
  if (how & OWN_BYTES) {
    const uint8_t *own = fuzz_take(c, &len);
    memcpy(out + start, own, len);
  } else {
    len = is_control && len > 120 ? 120 : len;
    frames->text_at = is_control ? 0 : frames->text_at;
    put_text(frames, frame->fin, out + start, &len);
  }
  return start + len;
}

static void choose(fuzz_frames *frames, fuzz_cursor *c, unsigned how,
                   nws_frame *frame) {
  const unsigned kind = how % KINDS;
  const unsigned other = how & OWN_BYTES ? NWS_OPCODE_BINARY : NWS_OPCODE_TEXT;
  frame->fin = kind != FRAGMENT;
  switch (kind) {
  case PING:
    frame->opcode = NWS_OPCODE_PING;
    return;
  case PONG:
    frame->opcode = NWS_OPCODE_PONG;
    return;
  case CLOSE:
    frame->opcode = NWS_OPCODE_CLOSE;
    return;
  case ODD:
    frame->opcode = fuzz_u8(c) & 15;
    break;
  default:
    frame->opcode = frames->opcode ? NWS_OPCODE_CONTINUATION : other;
    break;
  }
  if (frame->opcode & 8) {
    return;
  }
  if (frame->opcode && how & MARKED) {
    frame->rsv = frames->rsv;
  }
  if (frame->opcode) {
    frames->opcode = frame->opcode;
    frames->text_at = 0;
  }
  if (frame->fin) {
    frames->opcode = 0;
  }
}

size_t fuzz_frame(fuzz_frames *frames, fuzz_cursor *c, uint8_t *out) {
  uint8_t payload[PAYLOAD_MAX];
  nws_frame frame = {0};
  const unsigned how = fuzz_u8(c);
  if (how % KINDS == RAW) {
    size_t len = how >> 3;
    const uint8_t *raw = fuzz_take(c, &len);
    memcpy(out, raw, len);
    return len;
  }
  choose(frames, c, how, &frame);
  frame.payload_len = put_payload(frames, c, how, &frame, payload);
  frame.masked = (uint8_t)frames->masked;
  for (size_t i = 0; frame.masked && i < 4; i++) {
    frame.key[i] = (uint8_t)(0x11 * (i + how));
  }
  const int head = nws_frame_build(&frame, out);
  FUZZ_CHECK(head > 0);
  const size_t len = (size_t)frame.payload_len;
  nws_mask(out + head, payload, len, frame.key, 0);
  if (how & BAD_BYTE && len > 0) {
    out[(size_t)head + fuzz_u8(c) % len] ^= 0x80;
  }
  if (how & BAD_HEAD) {
    const unsigned at = fuzz_u8(c);
    out[at % 8 % (unsigned)head] ^= (uint8_t)(1u << at / 32);
  }
  return (size_t)head + len;
}

size_t fuzz_stream(fuzz_frames *frames, fuzz_cursor *c, int raw, uint8_t *out,
                   size_t cap) {
  size_t len = 0;
  if (raw) {
    len = cap;
    const uint8_t *own = fuzz_take(c, &len);
    memcpy(out, own, len);
    return len;
  }
  while (c->len > 0 && cap - len >= FUZZ_FRAME_MAX) {
    len += fuzz_frame(frames, c, out + len);
  }
  return len;
}
