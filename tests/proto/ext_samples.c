/* ext_samples.c - the four extensions at work, and those that misbehave.
 *
 * Decoders take single bytes and give single bytes: the tests cut input and
 * output everywhere, so plain code that can stop anywhere is what is wanted.
 * Where something is wrong they first hand out what stands before it, and fail
 * in the next call: so a fault ends a message at exactly its byte.
 */
#include "ext_samples.h"

#include <nws/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ext_states = 0;

enum { RLE_TOKEN = 0, RLE_LITERALS, RLE_LENGTH, RLE_VALUE, RLE_RUN };
enum {
  RLE_MARK = 0x80,
  RLE_PADDING = 0x81,
  RLE_LITERALS_MAX = 128,
  RLE_RUN_MIN = 4
};
enum { CALLS_MAX = 1000 };

/* Like assert, in every build. */
static void must(int holds) {
  if (!holds) {
    fprintf(stderr, "an extension was not treated as it was promised\n");
    abort();
  }
}

void *ext_state_make(const nws_extension *ext) {
  const ext_sample *sample = (const ext_sample *)ext;
  ext_state *state = calloc(1, sizeof(*state));
  must(state != NULL);
  state->max_run = sample->max_run;
  state->min_len = sample->min_len;
  state->rsv = ext->rsv;
  state->key_in = 0x5a;
  state->key_out = 0x5a;
  ext_states++;
  return state;
}

static void release(const nws_extension *ext, void *state) {
  (void)ext;
  ext_states -= state != NULL;
  free(state);
}

static int give(nws_extension_data *data, uint8_t byte) {
  data->out[data->out_len++] = byte;
  return NWS_OK;
}

static uint8_t take(nws_extension_data *data) {
  data->in_len--;
  return *data->in++;
}

/* What is wrong with the next byte of input is said once all before it is
 * out. */
static int refuse(const nws_extension_data *data) {
  return data->out_len > 0 ? NWS_MORE : NWS_ERROR_EXTENSION;
}

/* What the interface promises of every call. */
static void check_data(const nws_extension_data *data) {
  const uintptr_t in = (uintptr_t)data->in, out = (uintptr_t)data->out;
  must(data->out_cap > 0 && data->out_len == 0);
  must(data->in_len == 0 || data->in != NULL);
  must(in + data->in_len <= out || out + data->out_cap <= in);
  must(!data->message_end || data->frame_end);
}

/* --- x-ascii --- */

static int ascii_frame_in(void *user, const nws_frame *frame) {
  ext_state *state = user;
  int mine;
  if (frame->opcode >= NWS_OPCODE_CLOSE) {
    return NWS_EXTENSION_PASS;
  }
  mine = frame->opcode == EXT_OPCODE_ASCII ||
         (frame->opcode == NWS_OPCODE_CONTINUATION && state->in_open);
  state->in_open = mine && !frame->fin;
  return mine ? NWS_EXTENSION_TRANSFORM : NWS_EXTENSION_PASS;
}

static int ascii_decode(void *user, nws_extension_data *data) {
  (void)user;
  check_data(data);
  while (data->in_len > 0 && data->out_len < data->out_cap) {
    if (*data->in >= 0x80) {
      return refuse(data);
    }
    give(data, take(data));
  }
  return data->in_len > 0 ? NWS_MORE : NWS_OK;
}

/* --- x-rle --- */

static int rle_frame_in(void *user, const nws_frame *frame) {
  ext_state *state = user;
  const int first = frame->opcode != NWS_OPCODE_CONTINUATION;
  if ((frame->rsv & NWS_RSV1) != 0 &&
      (!first || frame->opcode >= NWS_OPCODE_CLOSE)) {
    return NWS_ERROR_RSV;
  }
  if (frame->opcode >= NWS_OPCODE_CLOSE) {
    return NWS_EXTENSION_PASS;
  }
  if (first) {
    state->in_open = (frame->rsv & NWS_RSV1) != 0;
    state->mode = RLE_TOKEN;
  }
  return state->in_open ? NWS_EXTENSION_TRANSFORM : NWS_EXTENSION_PASS;
}

/* Says whether a byte that is not payload may stand where it does. */
static int rle_allows(const ext_state *state, uint8_t byte) {
  switch (state->mode) {
  case RLE_TOKEN:
    return byte <= RLE_PADDING;
  case RLE_LENGTH:
    return byte > 0 && byte <= state->max_run;
  default:
    return 1;
  }
}

static void rle_take(ext_state *state, uint8_t byte) {
  if (state->mode == RLE_TOKEN && byte == RLE_PADDING) {
    return; /* stands for nothing */
  }
  switch (state->mode) {
  case RLE_TOKEN:
    state->mode = byte == RLE_MARK ? RLE_LENGTH : RLE_LITERALS;
    state->left = byte + 1u;
    break;
  case RLE_LENGTH:
    state->mode = RLE_VALUE;
    state->left = byte;
    break;
  default:
    state->mode = RLE_RUN;
    state->value = byte;
  }
}

static void rle_give(ext_state *state, nws_extension_data *data) {
  give(data, state->mode == RLE_RUN ? state->value : take(data));
  if (--state->left == 0) {
    state->mode = RLE_TOKEN;
  }
}

static int rle_decode(void *user, nws_extension_data *data) {
  ext_state *state = user;
  check_data(data);
  for (;;) {
    if (state->mode != RLE_RUN && data->in_len == 0) {
      break;
    }
    if (state->mode == RLE_RUN || state->mode == RLE_LITERALS) {
      if (data->out_len == data->out_cap) {
        return NWS_MORE;
      }
      rle_give(state, data);
    } else if (!rle_allows(state, *data->in)) {
      return refuse(data);
    } else {
      rle_take(state, take(data));
    }
  }
  if (data->message_end && state->mode != RLE_TOKEN) {
    return refuse(data); /* cut */
  }
  return NWS_OK;
}

static int rle_frame_out(void *user, nws_frame *frame, int may_transform) {
  const ext_state *state = user;
  if (frame->opcode >= NWS_OPCODE_CLOSE) {
    return NWS_EXTENSION_PASS;
  }
  if (frame->opcode == NWS_OPCODE_CONTINUATION) {
    if (!state->out_open) {
      return NWS_EXTENSION_PASS;
    }
    return may_transform ? NWS_EXTENSION_TRANSFORM : NWS_ERROR_NO_ENCODING;
  }
  if (!may_transform || frame->payload_len < state->min_len) {
    return NWS_EXTENSION_PASS;
  }
  frame->rsv |= NWS_RSV1;
  return NWS_EXTENSION_TRANSFORM;
}

static size_t rle_bound(void *user, size_t len) {
  (void)user;
  return len + len / RLE_LITERALS_MAX + 1;
}

static size_t run_at(const uint8_t *in, size_t len, size_t max) {
  size_t run = 1;
  while (run < len && run < max && in[run] == in[0]) {
    run++;
  }
  return run;
}

static int rle_encode(void *user, nws_extension_data *data) {
  ext_state *state = user;
  size_t literals = 0;
  check_data(data);
  must(data->out_cap >= rle_bound(user, data->in_len));
  while (data->in_len > 0) {
    const size_t run = run_at(data->in, data->in_len, state->max_run);
    if (run >= RLE_RUN_MIN) {
      give(data, RLE_MARK);
      give(data, (uint8_t)run);
      give(data, *data->in);
      data->in += run;
      data->in_len -= run;
      literals = 0;
      continue;
    }
    if (literals == 0) {
      give(data, 0xff); /* becomes the number of literals */
    }
    give(data, take(data));
    literals++;
    data->out[data->out_len - literals - 1] = (uint8_t)(literals - 1);
    literals = literals == RLE_LITERALS_MAX ? 0 : literals;
  }
  state->out_open = !data->message_end;
  return NWS_OK;
}

/* --- x-xor --- */

static int xor_frame_in(void *user, const nws_frame *frame) {
  const ext_state *state = user;
  if ((frame->rsv & state->rsv) == 0) {
    return NWS_EXTENSION_PASS;
  }
  return frame->opcode >= NWS_OPCODE_CLOSE ? NWS_ERROR_RSV
                                           : NWS_EXTENSION_TRANSFORM;
}

static void xor_turn(uint8_t *key, nws_extension_data *data) {
  check_data(data);
  while (data->in_len > 0 && data->out_len < data->out_cap) {
    give(data, (uint8_t)(take(data) ^ *key));
    *key = (uint8_t)(*key * 5 + 1);
  }
}

/* Like zlib it cannot tell a full output from one that just suffices. */
static int xor_decode(void *user, nws_extension_data *data) {
  ext_state *state = user;
  xor_turn(&state->key_in, data);
  return data->out_len == data->out_cap ? NWS_MORE : NWS_OK;
}

static int xor_frame_out(void *user, nws_frame *frame, int may_transform) {
  const ext_state *state = user;
  if (!may_transform) {
    return NWS_EXTENSION_PASS;
  }
  frame->rsv |= state->rsv;
  return NWS_EXTENSION_TRANSFORM;
}

static size_t xor_bound(void *user, size_t len) {
  (void)user;
  return len > 0 ? len : 1;
}

static int xor_encode(void *user, nws_extension_data *data) {
  ext_state *state = user;
  xor_turn(&state->key_out, data);
  return NWS_OK;
}

/* --- Negotiation --- */

static int write_text(const char *text, char *out, size_t cap) {
  const size_t len = strlen(text);
  if (len > cap) {
    return NWS_ERROR_BUFFER;
  }
  memcpy(out, text, len);
  return (int)len;
}

static int write_element(const ext_sample *sample, unsigned max_run, char *out,
                         size_t cap) {
  char text[64];
  snprintf(text, sizeof(text), max_run != 0 ? "%s; max-run=%u" : "%s",
           sample->base.name, max_run);
  return write_text(text, out, cap);
}

static int offer(const nws_extension *ext, char *out, size_t cap) {
  const ext_sample *sample = (const ext_sample *)ext;
  return sample->offer != NULL
             ? write_text(sample->offer, out, cap)
             : write_element(sample, sample->max_run, out, cap);
}

/* Reads max-run, the only parameter there is: 1 to 255, no leading zero.
 * Returns 0 for anything else. */
static unsigned read_params(const nws_extension_offer *element,
                            unsigned max_run) {
  const nws_extension_param *param = &element->params[0];
  unsigned value = 0;
  if (element->param_count == 0) {
    return max_run;
  }
  if (element->param_count > 1 || element->overflow || param->escaped ||
      !nws_str_equal_nocase(param->name, nws_str_of("max-run")) ||
      param->value.len == 0 || param->value.len > 3 ||
      param->value.ptr[0] == '0') {
    return 0;
  }
  for (size_t i = 0; i < param->value.len; i++) {
    const char c = param->value.ptr[i];
    if (c < '0' || c > '9') {
      return 0;
    }
    value = value * 10 + (unsigned)(c - '0');
  }
  return value <= EXT_RUN_DEFAULT ? value : 0;
}

/* A server takes runs up to what both can. */
static int accept_rle(const nws_extension *ext,
                      const nws_extension_offer *element, char *out, size_t cap,
                      size_t *len, void **state) {
  const ext_sample *sample = (const ext_sample *)ext;
  unsigned max_run = read_params(element, EXT_RUN_DEFAULT);
  int written;
  if (max_run == 0) {
    return NWS_EXTENSION_DECLINED;
  }
  max_run = max_run < sample->max_run ? max_run : sample->max_run;
  written = write_element(sample, max_run, out, cap);
  if (written < 0) {
    return written;
  }
  *len = (size_t)written;
  *state = ext_state_make(ext);
  ((ext_state *)*state)->max_run = max_run;
  return NWS_OK;
}

static int confirm_rle(const nws_extension *ext,
                       const nws_extension_offer *answer, void **state) {
  const ext_sample *sample = (const ext_sample *)ext;
  const unsigned max_run = read_params(answer, EXT_RUN_DEFAULT);
  if (max_run == 0 || max_run > sample->max_run) {
    return NWS_ERROR_EXTENSION_HEADER;
  }
  *state = ext_state_make(ext);
  ((ext_state *)*state)->max_run = max_run;
  return NWS_OK;
}

static int accept_bare(const nws_extension *ext,
                       const nws_extension_offer *element, char *out,
                       size_t cap, size_t *len, void **state) {
  int written;
  if (element->param_count > 0) {
    return NWS_EXTENSION_DECLINED;
  }
  written = write_text(ext->name, out, cap);
  if (written < 0) {
    return written;
  }
  *len = (size_t)written;
  *state = ext_state_make(ext);
  return NWS_OK;
}

static int confirm_bare(const nws_extension *ext,
                        const nws_extension_offer *answer, void **state) {
  if (answer->param_count > 0) {
    return NWS_ERROR_EXTENSION_HEADER;
  }
  *state = ext_state_make(ext);
  return NWS_OK;
}

/* --- Those that break the contract --- */

static int bad_frame_in(void *user, const nws_frame *frame) {
  (void)user;
  return frame->rsv & NWS_RSV3 ? NWS_EXTENSION_TRANSFORM : NWS_EXTENSION_PASS;
}

/* Ends the test where an engine would call for ever. */
static void count_call(void *user) {
  ext_state *state = user;
  if (++state->calls > CALLS_MAX) {
    fprintf(stderr, "decode is called for ever\n");
    abort();
  }
}

static int stuck_decode(void *user, nws_extension_data *data) {
  (void)data;
  count_call(user);
  return NWS_MORE;
}

static int lazy_decode(void *user, nws_extension_data *data) {
  (void)data;
  count_call(user);
  return NWS_OK;
}

static int odd_decode(void *user, nws_extension_data *data) {
  (void)data;
  count_call(user);
  return 2;
}

static int greedy_decode(void *user, nws_extension_data *data) {
  count_call(user);
  data->in += data->in_len;
  data->in_len = 0;
  data->out_len = data->out_cap + 1;
  return NWS_OK;
}

static int poor_code(void *user, nws_extension_data *data) {
  (void)user;
  (void)data;
  return NWS_ERROR_MEMORY;
}

static int stubborn_frame_out(void *user, nws_frame *frame, int may_transform) {
  (void)user;
  (void)may_transform;
  frame->rsv |= NWS_RSV3;
  return NWS_EXTENSION_TRANSFORM;
}

/* As long as the room that it was promised, whatever there is to encode. */
static int stubborn_encode(void *user, nws_extension_data *data) {
  (void)user;
  memset(data->out, 'x', data->out_cap);
  data->out_len = data->out_cap;
  data->in_len = 0;
  return NWS_OK;
}

static size_t stubborn_bound(void *user, size_t len) {
  (void)user;
  return len + 200;
}

/* --- Those that look on --- */

char ext_seen[512];

static void note(int who, char way, const nws_frame *frame, const char *mark) {
  const size_t len = strlen(ext_seen);
  snprintf(ext_seen + len, sizeof(ext_seen) - len, "%d%c%u:%x:%u%s ", who, way,
           frame->opcode, frame->rsv, (unsigned)frame->payload_len, mark);
}

static int watch_1_in(void *user, const nws_frame *frame) {
  (void)user;
  note(1, '<', frame, "");
  return NWS_EXTENSION_PASS;
}

static int watch_2_in(void *user, const nws_frame *frame) {
  (void)user;
  note(2, '<', frame, "");
  return NWS_EXTENSION_PASS;
}

static int watch_1_out(void *user, nws_frame *frame, int may_transform) {
  (void)user;
  note(1, '>', frame, may_transform ? "" : "!");
  return NWS_EXTENSION_PASS;
}

static int watch_2_out(void *user, nws_frame *frame, int may_transform) {
  (void)user;
  note(2, '>', frame, may_transform ? "" : "!");
  return NWS_EXTENSION_PASS;
}

/* --- The tables --- */

#define BASE .size = sizeof(nws_extension), .release = release, .offer = offer
#define BARE BASE, .accept = accept_bare, .confirm = confirm_bare
#define RLE                                                                    \
  BASE, .name = "x-rle", .rsv = NWS_RSV1, .accept = accept_rle,                \
        .confirm = confirm_rle, .frame_in = rle_frame_in,                      \
        .decode = rle_decode, .frame_out = rle_frame_out,                      \
        .encode_bound = rle_bound, .encode = rle_encode
#define XOR                                                                    \
  BARE, .frame_in = xor_frame_in, .decode = xor_decode,                        \
        .frame_out = xor_frame_out, .encode_bound = xor_bound,                 \
        .encode = xor_encode
#define BAD BARE, .name = "x-bad", .rsv = NWS_RSV3, .frame_in = bad_frame_in

const ext_sample ext_time = {
    .base = {BARE, .name = "x-time", .opcodes = 1u << EXT_OPCODE_TIME}};
const ext_sample ext_ascii = {
    .base = {BARE, .name = "x-ascii", .opcodes = 1u << EXT_OPCODE_ASCII,
             .frame_in = ascii_frame_in, .decode = ascii_decode}};
const ext_sample ext_rle = {.base = {RLE}, .max_run = EXT_RUN_DEFAULT};
const ext_sample ext_rle_min = {
    .base = {RLE}, .max_run = EXT_RUN_DEFAULT, .min_len = 10};
const ext_sample ext_xor = {.base = {XOR, .name = "x-xor", .rsv = NWS_RSV2}};
const ext_sample ext_xor3 = {.base = {XOR, .name = "x-xor3", .rsv = NWS_RSV3}};

const ext_sample ext_stuck = {.base = {BAD, .decode = stuck_decode}};
const ext_sample ext_lazy = {.base = {BAD, .decode = lazy_decode}};
const ext_sample ext_odd = {.base = {BAD, .decode = odd_decode}};
const ext_sample ext_greedy = {.base = {BAD, .decode = greedy_decode}};
const ext_sample ext_poor = {
    .base = {BAD, .decode = poor_code, .frame_out = xor_frame_out,
             .encode_bound = xor_bound, .encode = poor_code}};
const ext_sample ext_stubborn = {.base = {BAD, .frame_out = stubborn_frame_out,
                                          .encode_bound = stubborn_bound,
                                          .encode = stubborn_encode}};
const ext_sample ext_no_code = {.base = {BAD, .frame_out = stubborn_frame_out}};

const ext_sample ext_watch_1 = {.base = {BARE, .name = "x-watch-1",
                                         .frame_in = watch_1_in,
                                         .frame_out = watch_1_out}};
const ext_sample ext_watch_2 = {.base = {BARE, .name = "x-watch-2",
                                         .frame_in = watch_2_in,
                                         .frame_out = watch_2_out}};
