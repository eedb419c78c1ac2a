/* fuzz_extension.c - extensions that hold output back, grow it, fail and stop
 * in the middle, as the interface allows.
 */
#include "fuzz.h"

#include <string.h>
#include <nws/error.h>

static int see_in(void *state, const nws_frame *frame, unsigned rsv) {
  fuzz_extension *ext = state;
  if (frame->opcode & 8) {
    return NWS_EXTENSION_PASS;
  }
  if (frame->opcode) {
    ext->in = (frame->rsv & rsv) != 0;
    ext->ended = 0;
    ext->have = 0;
  }
  return ext->in ? NWS_EXTENSION_TRANSFORM : NWS_EXTENSION_PASS;
}

static int see_out(void *state, nws_frame *frame, int may, unsigned rsv) {
  fuzz_extension *ext = state;
  if (frame->opcode & 8) {
    return NWS_EXTENSION_PASS;
  }
  if (frame->opcode == NWS_OPCODE_CONTINUATION) {
    return !ext->out ? NWS_EXTENSION_PASS
           : may     ? NWS_EXTENSION_TRANSFORM
                     : NWS_ERROR_NO_ENCODING;
  }
  ext->out = may;
  frame->rsv |= (uint8_t)(may ? rsv : 0);
  return may ? NWS_EXTENSION_TRANSFORM : NWS_EXTENSION_PASS;
}

static int frame_in_1(void *state, const nws_frame *frame) {
  return see_in(state, frame, NWS_RSV1);
}

static int frame_in_2(void *state, const nws_frame *frame) {
  return see_in(state, frame, NWS_RSV2);
}

static int frame_out_1(void *state, nws_frame *frame, int may) {
  return see_out(state, frame, may, NWS_RSV1);
}

static int frame_out_2(void *state, nws_frame *frame, int may) {
  return see_out(state, frame, may, NWS_RSV2);
}

/* Takes a byte, or does what is due when there is none: 0 for nothing more. */
static int next(fuzz_extension *ext, nws_extension_data *data) {
  if (data->in_len == 0) {
    if (!data->message_end || ext->ended || ext->kind != FUZZ_ADDS) {
      return 0;
    }
    ext->ended = 1;
    ext->byte = '!';
    ext->have = 3;
    return 1;
  }
  ext->byte = *data->in++;
  ext->have = ext->kind == FUZZ_EXPANDS ? ext->byte & 3u : 1;
  data->in_len--;
  return 1;
}

static int decode(void *state, nws_extension_data *data) {
  fuzz_extension *ext = state;
  do {
    while (ext->have > 0) {
      if (data->out_len == data->out_cap) {
        return NWS_MORE;
      }
      data->out[data->out_len++] = ext->byte;
      ext->have--;
    }
    if (data->in_len > 0 && *data->in == FUZZ_FORBIDDEN) {
      return data->out_len > 0 ? NWS_MORE : NWS_ERROR_EXTENSION;
    }
  } while (next(ext, data));
  return NWS_OK;
}

static size_t bound(void *state, size_t len) {
  (void)state;
  return len + 1;
}

static int encode(void *state, nws_extension_data *data) {
  const fuzz_extension *ext = state;
  FUZZ_CHECK(data->out_cap >= data->in_len + 1);
  if (ext->failing != NULL && ext->failing->failing &&
      ext->failing->seed % 8 == 3) {
    return NWS_ERROR_MEMORY;
  }
  if (data->in_len > 0) {
    memcpy(data->out, data->in, data->in_len);
    data->in += data->in_len;
  }
  data->out_len = data->in_len;
  data->in_len = 0;
  return NWS_OK;
}

const nws_extension fuzz_extensions[3] = {
    {.size = sizeof(nws_extension),
     .name = "one",
     .rsv = NWS_RSV1,
     .opcodes = 1 << 3,
     .frame_in = frame_in_1,
     .decode = decode,
     .frame_out = frame_out_1,
     .encode_bound = bound,
     .encode = encode},
    {.size = sizeof(nws_extension),
     .name = "two",
     .rsv = NWS_RSV2,
     .opcodes = 1 << 11,
     .frame_in = frame_in_2,
     .decode = decode,
     .frame_out = frame_out_2,
     .encode_bound = bound,
     .encode = encode},
    {.size = sizeof(nws_extension), .name = "three", .rsv = NWS_RSV3}};

size_t fuzz_use(unsigned which, fuzz_extension states[3],
                nws_extension_use uses[3]) {
  size_t count = 0;
  memset(states, 0, 3 * sizeof(*states));
  memset(uses, 0, 3 * sizeof(*uses));
  for (unsigned i = 0; i < 3; i++) {
    if (which >> i & 1) {
      uses[count].ext = &fuzz_extensions[i];
      uses[count].state = &states[count];
      count++;
    }
  }
  return count;
}
