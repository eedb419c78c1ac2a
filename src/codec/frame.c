/* frame.c - frame headers as bytes (RFC 6455 5.2).
 *
 * Parsing looks at any prefix of a header and is simply done again when there
 * is more: fourteen bytes at most do not deserve a state machine. It refuses
 * at the first byte that gives a bad header away, and each kind of refusal
 * has its byte, in this order: FIN of a control frame (the first), its length
 * (the second), the top bit of a length (the third), a length not in its
 * shortest form (the last byte that would have to be other than zero). So
 * what is wrong with a header never depends on how it was cut.
 */
#include <nws/frame.h>
#include <nws/error.h>

#include <string.h>

#define FIN 0x80u
#define RSV (NWS_RSV1 | NWS_RSV2 | NWS_RSV3)
#define OPCODE 0x0Fu
#define CONTROL 0x08u
#define MASKED 0x80u
#define LENGTH 0x7Fu

enum { LENGTH_7_MAX = 125, LENGTH_16 = 126, LENGTH_64 = 127, KEY_LEN = 4 };

static uint64_t load_big_endian(const uint8_t *from, size_t len) {
  uint64_t value = 0;
  for (size_t i = 0; i < len; i++) {
    value = value << 8 | from[i];
  }
  return value;
}

static void store_big_endian(uint8_t *to, uint64_t value, size_t len) {
  for (size_t i = len; i > 0; i--) {
    to[i - 1] = (uint8_t)value;
    value >>= 8;
  }
}

/* How many bytes of length follow the two that all headers have. */
static size_t extended_len(unsigned length_7) {
  if (length_7 <= LENGTH_7_MAX) {
    return 0;
  }
  return length_7 == LENGTH_16 ? 2 : 8;
}

/* What the first two bytes say about a control frame (RFC 6455 5.5). */
static int check_control(const uint8_t *bytes, size_t len) {
  if ((bytes[0] & CONTROL) == 0) {
    return NWS_OK;
  }
  if ((bytes[0] & FIN) == 0) {
    return NWS_ERROR_CONTROL_FRAGMENTED;
  }
  if (len > 1 && (bytes[1] & LENGTH) > NWS_CONTROL_PAYLOAD_MAX) {
    return NWS_ERROR_CONTROL_LENGTH;
  }
  return NWS_OK;
}

/* What a prefix of `have` bytes of the extended length `from` says: its top
 * bit must be 0, and it must be the shortest form (RFC 6455 5.2). */
static int check_extended(const uint8_t *from, size_t have, size_t extended) {
  if (extended == 2) {
    return have == 2 && load_big_endian(from, 2) < LENGTH_16
               ? NWS_ERROR_LENGTH_MINIMAL
               : NWS_OK;
  }
  if (have > 0 && (from[0] & 0x80u) != 0) {
    return NWS_ERROR_LENGTH_63;
  }
  /* 65,536 and more have a bit set in the first six bytes. */
  if (have >= 6 && load_big_endian(from, 6) == 0) {
    return NWS_ERROR_LENGTH_MINIMAL;
  }
  return NWS_OK;
}

static int want(nws_frame *frame, size_t header_len) {
  frame->header_len = (uint8_t)header_len;
  return NWS_MORE;
}

static void fill(nws_frame *frame, const uint8_t *bytes, size_t extended) {
  const uint8_t *key = bytes + 2 + extended;
  frame->payload_len =
      extended == 0 ? bytes[1] & LENGTH : load_big_endian(bytes + 2, extended);
  frame->opcode = bytes[0] & OPCODE;
  frame->fin = (bytes[0] & FIN) != 0;
  frame->rsv = bytes[0] & RSV;
  frame->masked = (bytes[1] & MASKED) != 0;
  memset(frame->key, 0, KEY_LEN);
  if (frame->masked) {
    memcpy(frame->key, key, KEY_LEN);
  }
}

int nws_frame_parse(nws_frame *frame, const void *data, size_t len) {
  const uint8_t *bytes = data;
  size_t extended, header_len;
  int status;
  if (frame == NULL || (data == NULL && len > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (len == 0) {
    return want(frame, 2);
  }
  status = check_control(bytes, len);
  if (status != NWS_OK) {
    return status;
  }
  if (len == 1) {
    return want(frame, 2);
  }
  extended = extended_len(bytes[1] & LENGTH);
  header_len = 2 + extended + ((bytes[1] & MASKED) != 0 ? KEY_LEN : 0);
  if (extended != 0) {
    const size_t have = len - 2 < extended ? len - 2 : extended;
    status = check_extended(bytes + 2, have, extended);
    if (status != NWS_OK) {
      return status;
    }
  }
  if (len < header_len) {
    return want(frame, header_len);
  }
  fill(frame, bytes, extended);
  frame->header_len = (uint8_t)header_len;
  return NWS_OK;
}

/* What may not be sent (RFC 6455 5.2, 5.5). */
static int check_build(const nws_frame *frame, const void *out) {
  if (frame == NULL || out == NULL || frame->opcode > OPCODE ||
      (frame->rsv & ~RSV) != 0) {
    return NWS_ERROR_ARGUMENT;
  }
  if ((frame->opcode & CONTROL) != 0 && !frame->fin) {
    return NWS_ERROR_CONTROL_FRAGMENT;
  }
  if ((frame->opcode & CONTROL) != 0 &&
      frame->payload_len > NWS_CONTROL_PAYLOAD_MAX) {
    return NWS_ERROR_CONTROL_LONG;
  }
  if (frame->payload_len > (uint64_t)NWS_FRAME_PAYLOAD_MAX) {
    return NWS_ERROR_LENGTH;
  }
  return NWS_OK;
}

static unsigned length_7_of(uint64_t payload_len) {
  if (payload_len <= LENGTH_7_MAX) {
    return (unsigned)payload_len;
  }
  return payload_len <= UINT16_MAX ? LENGTH_16 : LENGTH_64;
}

int nws_frame_build(const nws_frame *frame, void *out) {
  uint8_t *bytes = out;
  unsigned length_7;
  size_t extended, len;
  const int status = check_build(frame, out);
  if (status != NWS_OK) {
    return status;
  }
  length_7 = length_7_of(frame->payload_len);
  extended = extended_len(length_7);
  bytes[0] = (uint8_t)((frame->fin ? FIN : 0) | frame->rsv | frame->opcode);
  bytes[1] = (uint8_t)((frame->masked ? MASKED : 0) | length_7);
  store_big_endian(bytes + 2, frame->payload_len, extended);
  len = 2 + extended;
  if (frame->masked) {
    memcpy(bytes + len, frame->key, KEY_LEN);
    len += KEY_LEN;
  }
  return (int)len;
}

size_t nws_frame_header_len(uint64_t payload_len, int masked) {
  return 2 + extended_len(length_7_of(payload_len)) + (masked ? KEY_LEN : 0);
}
