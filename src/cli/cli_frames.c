/* cli_frames.c - a stream of frames as lines of text, for `nws decode`.
 *
 * Two readers go over the same bytes. The engine (nws_conn) judges: it knows
 * every rule, and where one was broken. It does not tell how a frame was
 * masked, though, so the headers are parsed here a second time with
 * nws_frame_parse(), for show. A header goes to both byte by byte, a payload in
 * pieces as they come; what is kept of it is what will be shown. Where a
 * message is compressed, that is what comes out of the engine, and since some
 * of it may come with the frame's last byte only, its line is printed then.
 *
 * Behind a close frame the engine looks at nothing any more (RFC 6455 5.5.1);
 * frames there are shown, and judged by their headers alone.
 */
#include <stdlib.h>
#include <string.h>
#include "cli.h"

#define MIN_SHOWN NWS_CONTROL_PAYLOAD_MAX

/* The engine asks for randomness as a client, but nothing is ever sent. */
static int no_randomness(void *user, void *out, size_t len) {
  (void)user;
  (void)out;
  (void)len;
  return -1;
}

static const nws_random no_random = {no_randomness, NULL};

int nws__cli_frames_init(cli_frames *frames, unsigned role) {
  nws_conn_config *config = &frames->config;
  config->size = sizeof(*config);
  config->max_message = NWS_UNLIMITED;
  config->max_fragments = NWS_UNLIMITED;
  config->manual_pong = 1;
  config->manual_close = 1;
  config->accept_any_mask = role == 0;
  config->random = &no_random;
  config->scratch = frames->scratch;
  config->scratch_len = sizeof(frames->scratch);
  /* Close frames and their reasons are shown whole. */
  size_t cap = frames->max_shown > MIN_SHOWN ? frames->max_shown : MIN_SHOWN;
  frames->shown = malloc(cap);
  if (!frames->shown) {
    return NWS_ERROR_MEMORY;
  }
  int rc =
      nws_conn_init(&frames->conn,
                    role == NWS_ROLE_SERVER ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER,
                    config, &frames->inflate, frames->inflate.ext ? 1 : 0);
  if (rc == NWS_OK) {
    rc = nws_conn_lend(&frames->conn, &frames->spill);
  }
  return rc < 0 ? rc : NWS_OK;
}

void nws__cli_frames_free(cli_frames *frames) {
  free(frames->shown);
  frames->shown = NULL;
}

/* --- A line --- */

static void put_flags(FILE *out, const nws_frame *frame) {
  fputs(frame->fin ? "fin " : "--- ", out);
  for (unsigned i = 0; i < 3; i++) {
    if (frame->rsv & (NWS_RSV1 >> i)) {
      fprintf(out, "rsv%u ", i + 1);
    }
  }
}

/* The reserved bits of the message that a data frame belongs to. */
static unsigned message_rsv(const cli_frames *frames) {
  return frames->frame.opcode == NWS_OPCODE_CONTINUATION ? frames->message_rsv
                                                         : frames->frame.rsv;
}

/* Whether the payload is shown inflated. */
static int is_inflated(const cli_frames *frames) {
  return frames->inflate.ext && !frames->closed &&
         frames->frame.opcode < NWS_OPCODE_CLOSE &&
         (message_rsv(frames) & NWS_RSV1);
}

/* Whether the payload is to be shown as text. */
static int is_text(const cli_frames *frames) {
  const nws_frame *frame = &frames->frame;
  if (frame->opcode >= NWS_OPCODE_CLOSE) {
    return nws_utf8_valid(frames->shown, frames->shown_len);
  }
  unsigned opcode = frame->opcode == NWS_OPCODE_CONTINUATION
                        ? frames->message_opcode
                        : frame->opcode;
  unsigned encoded = message_rsv(frames);
  if (is_inflated(frames)) {
    encoded &= ~(unsigned)NWS_RSV1;
  }
  return opcode == NWS_OPCODE_TEXT && !encoded;
}

static size_t shown_cap(const cli_frames *frames) {
  return frames->frame.opcode >= NWS_OPCODE_CLOSE ? MIN_SHOWN
                                                  : frames->max_shown;
}

/* How many bytes a character has lost at the end of what is shown. */
static size_t cut_tail(const cli_frames *frames) {
  for (size_t back = 1; back <= 3 && back <= frames->shown_len; back++) {
    nws_utf8 state = NWS_UTF8_START;
    const uint8_t *tail = frames->shown + frames->shown_len - back;
    if ((*tail & 0xc0u) != 0xc0u) {
      continue;
    }
    return nws_utf8_check(&state, tail, back) == back && state != NWS_UTF8_START
               ? back
               : 0;
  }
  return 0;
}

static void put_payload(const cli_frames *frames) {
  FILE *out = frames->out;
  const nws_frame *frame = &frames->frame;
  uint16_t code;
  nws_str reason;
  size_t shown = frames->shown_len;
  uint64_t len = is_inflated(frames) ? frames->inflated : frame->payload_len;
  if (frame->opcode == NWS_OPCODE_CLOSE &&
      nws_close_parse(frames->shown, shown, &code, &reason, NULL) == NWS_OK) {
    fputc(' ', out);
    nws__cli_put_close(out, code, reason);
    return;
  }
  if (len == 0 || shown_cap(frames) == 0) {
    return;
  }
  fputc(' ', out);
  if (is_text(frames)) {
    if (shown < len) {
      shown -= cut_tail(frames);
    }
    nws__cli_put_text(out, frames->shown, shown, CLI_TEXT_QUOTE);
  } else {
    nws__cli_put_hex(out, frames->shown, shown, shown);
  }
  if (shown < len) {
    fprintf(out, " ... (%llu more)", (unsigned long long)(len - shown));
  }
}

/* Begins a line about an offset. */
static void begin_line(const cli_frames *frames, uint64_t at) {
  fprintf(frames->out, "%s%8llu  ", frames->prefix ? frames->prefix : "",
          (unsigned long long)at);
}

static void put_frame(cli_frames *frames) {
  FILE *out = frames->out;
  const nws_frame *frame = &frames->frame;
  begin_line(frames, frames->frame_at);
  put_flags(out, frame);
  fputs(nws_conn_opcode_name(&frames->conn, frame->opcode), out);
  if (frame->masked) {
    fprintf(out, " mask=%02x%02x%02x%02x", frame->key[0], frame->key[1],
            frame->key[2], frame->key[3]);
  }
  fprintf(out, " len=%llu", (unsigned long long)frame->payload_len);
  if (is_inflated(frames)) {
    fprintf(out, " inflated=%llu", (unsigned long long)frames->inflated);
  }
  put_payload(frames);
  fputs(frames->closed ? " (behind the close, ignored)\n" : "\n", out);
}

/* --- The walk --- */

static int violated(cli_frames *frames, int error, uint64_t at) {
  frames->error = error;
  frames->error_at = at;
  return error;
}

/* Keeps what will be shown of a piece that has been inflated. */
static void keep_inflated(cli_frames *frames, const nws_event *event) {
  size_t room = shown_cap(frames) - frames->shown_len;
  size_t part = event->len < room ? event->len : room;
  if (part) {
    memcpy(frames->shown + frames->shown_len, event->data, part);
  }
  frames->shown_len += part;
  frames->inflated += event->len;
}

/* Lets the engine judge the next bytes. */
static int judge(cli_frames *frames, uint8_t *data, size_t len) {
  nws_input in = {data, len, 0};
  nws_event event;
  int rc;
  while ((rc = nws_conn_recv(&frames->conn, &in, &event)) > 0) {
    if (event.type == NWS_EVENT_DATA && is_inflated(frames)) {
      keep_inflated(frames, &event);
    }
  }
  if (rc == 0) {
    return NWS_OK;
  }
  return violated(frames, rc, nws_conn_fault(&frames->conn).offset);
}

/* What must be known of a frame for those that follow it. */
static void remember(cli_frames *frames) {
  const nws_frame *frame = &frames->frame;
  if (frame->opcode == NWS_OPCODE_CLOSE) {
    frames->closed = 1;
  }
  if (frame->opcode >= NWS_OPCODE_CLOSE) {
    return;
  }
  if (frame->opcode != NWS_OPCODE_CONTINUATION) {
    frames->message_opcode = frame->opcode;
    frames->message_rsv = frame->rsv;
    frames->message_at = frames->frame_at;
  }
  if (frame->fin) {
    frames->message_opcode = 0;
  }
}

static void end_frame(cli_frames *frames) {
  remember(frames);
  frames->count++;
  frames->header_len = 0;
  frames->in_payload = 0;
}

/* Shows the frame once what is to be shown of its payload has arrived. */
static void show(cli_frames *frames) {
  uint64_t need = frames->frame.payload_len;
  if (!is_inflated(frames) && need > shown_cap(frames)) {
    need = shown_cap(frames);
  }
  if (frames->printed || frames->payload_at < need) {
    return;
  }
  frames->printed = 1;
  put_frame(frames);
}

static void begin_payload(cli_frames *frames) {
  frames->in_payload = 1;
  frames->printed = 0;
  frames->payload_at = 0;
  show(frames);
  if (frames->frame.payload_len == 0) {
    end_frame(frames);
  }
}

/* Takes one byte of a header. */
static int take_header(cli_frames *frames, uint8_t *byte) {
  if (frames->header_len == 0) {
    frames->frame_at = frames->offset;
    frames->shown_len = 0;
    frames->inflated = 0;
  }
  frames->header[frames->header_len++] = *byte;
  frames->offset++;
  int rc = nws_frame_parse(&frames->frame, frames->header, frames->header_len);
  int error = judge(frames, byte, 1);
  if (error != NWS_OK) {
    return error;
  }
  if (rc < 0) { /* behind a close frame */
    return violated(frames, rc, frames->offset - 1);
  }
  if (rc == NWS_OK) {
    begin_payload(frames);
  }
  return NWS_OK;
}

/* Keeps what will be shown of a piece of payload. */
static void keep(cli_frames *frames, const uint8_t *data, size_t len) {
  size_t room = shown_cap(frames) - frames->shown_len;
  size_t part = len < room ? len : room;
  if (frames->frame.masked) {
    nws_mask(frames->shown + frames->shown_len, data, part, frames->frame.key,
             frames->payload_at);
  } else {
    memcpy(frames->shown + frames->shown_len, data, part);
  }
  frames->shown_len += part;
}

/* How much of a piece of payload counts: of what is at fault in the middle,
 * no more than shows it, lest what is printed depend on how much was read at
 * once. Control frames are judged when they are whole. */
static size_t counted(const cli_frames *frames, size_t len) {
  if (frames->error == NWS_OK || frames->frame.opcode >= NWS_OPCODE_CLOSE) {
    return len;
  }
  uint64_t good = frames->error_at + 1 - frames->offset;
  return good < len ? (size_t)good : len;
}

/* Takes payload, as much of it as belongs to this frame; returns how much. */
static size_t take_payload(cli_frames *frames, uint8_t *data, size_t len) {
  uint64_t left = frames->frame.payload_len - frames->payload_at;
  size_t part = len < left ? len : (size_t)left;
  int inflated = is_inflated(frames);
  if (!inflated && frames->shown_len < shown_cap(frames)) {
    keep(frames, data, part);
  }
  judge(frames, data, part);
  if (!inflated) {
    part = counted(frames, part);
  }
  frames->payload_at += part;
  frames->offset += part;
  if (!inflated && frames->shown_len > frames->payload_at) {
    frames->shown_len = (size_t)frames->payload_at;
  }
  if (!inflated || frames->error == NWS_OK) {
    show(frames);
  }
  if (frames->error == NWS_OK &&
      frames->payload_at == frames->frame.payload_len) {
    end_frame(frames);
  }
  return part;
}

int nws__cli_frames_add(cli_frames *frames, uint8_t *data, size_t len) {
  while (len && frames->error == NWS_OK) {
    size_t used = 1;
    if (frames->in_payload) {
      used = take_payload(frames, data, len);
    } else {
      take_header(frames, data);
    }
    data += used;
    len -= used;
  }
  return frames->error;
}

/* --- The end --- */

/* Shows what there is of a frame that will not come to its end. */
static void show_part(cli_frames *frames) {
  if (frames->in_payload && !frames->printed) {
    put_frame(frames);
  }
}

static int end_violated(cli_frames *frames) {
  const nws_error_info *info = nws_error_get(frames->error);
  show_part(frames);
  begin_line(frames, frames->error_at);
  fprintf(frames->out, "violation in the frame at %llu: %s",
          (unsigned long long)frames->frame_at, info->text);
  if (*info->rule) {
    fprintf(frames->out, " (%s)", info->rule);
  }
  if (info->close_code) {
    fprintf(frames->out, "; calls for close %u", (unsigned)info->close_code);
  }
  fputc('\n', frames->out);
  return CLI_EXIT_LOST;
}

static int end_truncated(cli_frames *frames) {
  uint64_t missing = frames->frame.payload_len - frames->payload_at;
  const char *least = "";
  if (!frames->in_payload) {
    missing = frames->frame.header_len - frames->header_len;
    least = "at least ";
  }
  show_part(frames);
  begin_line(frames, frames->offset);
  fprintf(frames->out, "truncated: %s%llu bytes missing of the frame at %llu\n",
          least, (unsigned long long)missing,
          (unsigned long long)frames->frame_at);
  return CLI_EXIT_LOST;
}

int nws__cli_frames_end(cli_frames *frames) {
  if (frames->error != NWS_OK) {
    return end_violated(frames);
  }
  if (frames->in_payload || frames->header_len) {
    return end_truncated(frames);
  }
  begin_line(frames, frames->offset);
  fprintf(frames->out, "end: %llu frame%s, no violation",
          (unsigned long long)frames->count, frames->count == 1 ? "" : "s");
  if (frames->message_opcode) {
    fprintf(frames->out, "; the message at %llu is not finished",
            (unsigned long long)frames->message_at);
  }
  fputc('\n', frames->out);
  return CLI_EXIT_OK;
}
