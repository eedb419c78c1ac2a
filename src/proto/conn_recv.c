/* conn_recv.c - bytes in, events out.
 *
 * Where a stream stands is its phase. Each phase has one function that takes
 * what it can of the input, and says in what phase that leaves the stream:
 *
 *   MESSAGE  a HEADER while nothing else is under way, where conn_whole.c may
 *            take a message at once; a header is cut, we close -> HEADER
 *   HEADER   a whole header came  -> CONTROL, DATA, DECODE or SKIP
 *   DATA     the payload is over  -> MESSAGE or HEADER
 *   DECODE   the payload is over and decoded -> HEADER
 *   SKIP     the payload is over  -> MESSAGE or HEADER
 *   CONTROL  a close came -> DRAIN; any other -> MESSAGE or HEADER
 *   DATA, DECODE  we have sent a close -> SKIP
 *   DATA, DECODE  a rule is broken behind good bytes -> FAULT_DUE -> FAULT
 *   any      a rule is broken     -> FAULT
 *   DRAIN    never leaves
 *   FAULT    never leaves
 *
 * A header that a read has cut is kept and parsed again from its first byte
 * when more comes: it has 14 bytes at most, and so there are no states within
 * it, and each rule is found broken at the same byte however the stream is
 * cut. The rules of headers are in conn_header.c.
 */
#include <nws/mask.h>

#include "../codec/text_internal.h"
#include "conn_internal.h"

#include <limits.h>
#include <string.h>

/* A phase's function returns this when there is nothing to report yet but the
 * next phase may go on with the same input. */
#define GO_ON INT_MAX

enum {
  MAX_FRAGMENTS_DEFAULT = 1 << 17,
  MAX_CONTROLS_DEFAULT = 1000,
  WINDOW_MIN = 64
};

static void take(nws_conn *conn, nws_input *in, size_t len) {
  if (len > 0) { /* an empty input may have no address */
    in->data += len;
    in->len -= len;
    conn->received += len;
  }
}

/* --- Header --- */

/* Takes a header, from the input or byte by byte over the carry. */
static int read_header(nws_conn *conn, nws_input *in, nws_frame *frame) {
  int status = NWS_MORE;
  if (conn->carry_len == 0) {
    status = nws__conn_header_parse(conn, in->data, in->len, frame);
    if (status == NWS_OK) {
      take(conn, in, frame->header_len);
    }
  }
  while (status == NWS_MORE && in->len > 0) {
    conn->in.carry[conn->carry_len++] = *in->data;
    take(conn, in, 1);
    status =
        nws__conn_header_parse(conn, conn->in.carry, conn->carry_len, frame);
  }
  return status;
}

/* --- Header: what a frame may do to the message it belongs to --- */

/* The default of max_frame for frames that extensions decode. */
static uint64_t roomy(uint64_t max_message) {
  return max_message < UINT64_MAX / 4 ? 2 * max_message + 1024 : UINT64_MAX;
}

static int check_limits(const nws_conn *conn, uint64_t len, int transformed) {
  const nws_conn_config *config = conn->config;
  const uint64_t max_message =
      nws__or_default(config->max_message, NWS__MAX_MESSAGE_DEFAULT);
  const uint64_t max_fragments =
      nws__or_default(config->max_fragments, MAX_FRAGMENTS_DEFAULT);
  /* What is transformed is counted when it is decoded, by deliver(); before
   * that it may well be longer. */
  if (len > nws__or_default(config->max_frame,
                            transformed ? roomy(max_message) : max_message)) {
    return NWS_ERROR_FRAME_LIMIT;
  }
  if (!transformed && len > max_message - conn->message_len) {
    return NWS_ERROR_MESSAGE_LIMIT;
  }
  return conn->fragments >= max_fragments ? NWS_ERROR_FRAGMENT_LIMIT : NWS_OK;
}

static int begin_data(nws_conn *conn, const nws_frame *frame, uint64_t start) {
  const int transforms = nws__conn_ext_frame_in(conn, frame);
  int status;
  if (transforms < 0) {
    return nws__conn_fail(conn, transforms, start);
  }
  if (frame->opcode != NWS_OPCODE_CONTINUATION) {
    conn->message_opcode = frame->opcode;
    conn->message_len = 0;
    conn->fragments = 0;
    conn->utf8 = NWS_UTF8_START;
  }
  status = check_limits(conn, frame->payload_len, transforms > 0);
  if (status != NWS_OK) {
    return nws__conn_fail(conn, status, start);
  }
  /* Saturates where the number of fragments is unlimited. */
  conn->fragments += conn->fragments < UINT32_MAX;
  if (nws__has(conn, NWS__CLOSE_SENT) && !conn->config->deliver_in_closing) {
    conn->phase = NWS__PHASE_SKIP;
  } else {
    conn->phase = transforms > 0 ? NWS__PHASE_DECODE : NWS__PHASE_DATA;
  }
  return GO_ON;
}

static int begin_control(nws_conn *conn, const nws_frame *frame, uint64_t start,
                         uint64_t now) {
  const uint32_t second = (uint32_t)(now >> 30);
  const int status = nws__conn_ext_frame_in(conn, frame);
  if (status < 0) {
    return nws__conn_fail(conn, status, start);
  }
  if (second != conn->second) {
    conn->second = second;
    conn->controls = 0;
  }
  if (now != 0 && conn->controls >= nws__or_default(conn->config->max_controls,
                                                    MAX_CONTROLS_DEFAULT)) {
    return nws__conn_fail(conn, NWS_ERROR_CONTROL_LIMIT, start);
  }
  conn->controls += conn->controls < UINT32_MAX;
  conn->phase = NWS__PHASE_CONTROL;
  return GO_ON;
}

static int take_header(nws_conn *conn, nws_input *in, nws_event *event) {
  nws_frame frame;
  uint64_t start;
  int status;
  (void)event;
  if (in->len == 0) {
    return 0;
  }
  status = read_header(conn, in, &frame);
  if (status == NWS_MORE) {
    conn->phase = NWS__PHASE_HEADER; /* which has begun */
    return 0;
  }
  if (status != NWS_OK) {
    start = conn->received - conn->carry_len;
    return nws__conn_fail(conn, status, start + nws__conn_header_fault(status));
  }
  start = conn->received - frame.header_len;
  conn->head = (uint8_t)((frame.fin ? NWS__FIN : 0) | frame.rsv | frame.opcode);
  conn->carry_len = 0;
  conn->in.frame.len = frame.payload_len;
  conn->in.frame.left = frame.payload_len;
  memcpy(conn->key, frame.key, sizeof(conn->key));
  if (frame.masked) {
    nws__set(conn, NWS__MASKED_IN);
  }
  return nws__is_control(frame.opcode)
             ? begin_control(conn, &frame, start, in->now)
             : begin_data(conn, &frame, start);
}

/* --- Payload of data frames --- */

/* (Un)masks the next bytes of the frame's payload, in place. */
static void unmask(const nws_conn *conn, uint8_t *data, size_t len) {
  if (len > 0 && nws__has(conn, NWS__MASKED_IN)) {
    nws_mask(data, data, len, conn->key,
             conn->in.frame.len - conn->in.frame.left);
  }
}

/* RFC 6455 8.1, 5.6: text is UTF-8, as a whole and not frame by frame. */
static size_t valid_part(nws_conn *conn, const uint8_t *data, size_t len) {
  return nws__is_checked_text(conn) ? nws_utf8_check(&conn->utf8, data, len)
                                    : len;
}

/* Both in one go, where that is so. */
static size_t unmask_valid(nws_conn *conn, uint8_t *data, size_t len) {
  if (nws__is_checked_text(conn) && nws__has(conn, NWS__MASKED_IN)) {
    return nws__text_unmask(&conn->utf8, data, len, conn->key,
                            conn->in.frame.len - conn->in.frame.left);
  }
  unmask(conn, data, len);
  return valid_part(conn, data, len);
}

static size_t at_hand(const nws_conn *conn, const nws_input *in) {
  const uint64_t left = conn->in.frame.left;
  return in->len < left ? in->len : (size_t)left;
}

/* What of a decoded piece the message may still hold. */
static size_t within_limit(const nws_conn *conn, size_t len) {
  const uint64_t room =
      nws__or_default(conn->config->max_message, NWS__MAX_MESSAGE_DEFAULT) -
      conn->message_len;
  return len < room ? len : (size_t)room;
}

/* Checks a piece of a message as far as it is good: `*good` bytes. */
static int check_piece(const nws_conn *conn, const nws__piece *piece,
                       size_t *good) {
  *good = within_limit(conn, piece->len);
  if (piece->valid < *good) {
    *good = piece->valid;
    return NWS_ERROR_TEXT;
  }
  if (*good < piece->len) {
    return NWS_ERROR_MESSAGE_LIMIT;
  }
  if (piece->frame_end && (conn->head & NWS__FIN) != 0 &&
      conn->utf8 != NWS_UTF8_START) {
    return NWS_ERROR_TEXT;
  }
  return NWS_OK;
}

static void fill_event(const nws_conn *conn, unsigned type, uint8_t *data,
                       size_t len, nws_event *event) {
  event->type = (uint8_t)type;
  event->frame_opcode = conn->head & NWS__OPCODE;
  event->opcode = event->frame_opcode;
  event->rsv = conn->head & NWS__RSV;
  event->flags = NWS_MESSAGE_WHOLE;
  event->code = 0;
  event->data = data;
  event->len = len;
  event->frame_len = conn->in.frame.len;
  event->frame_left = conn->in.frame.left;
  event->message_offset = 0;
}

static unsigned piece_flags(const nws_conn *conn, int frame_end) {
  unsigned flags = 0;
  if (!nws__has(conn, NWS__REPORTED)) {
    flags |= NWS_FRAME_BEGIN;
    if ((conn->head & NWS__OPCODE) != NWS_OPCODE_CONTINUATION) {
      flags |= NWS_MESSAGE_BEGIN;
    }
  }
  if (frame_end) {
    flags |= NWS_FRAME_END;
    if ((conn->head & NWS__FIN) != 0) {
      flags |= NWS_MESSAGE_END;
    }
  }
  return flags;
}

/* Where the payload of the frame begins in the stream. Bytes that come out of
 * extensions have no place of their own there, so their faults are put here. */
static uint64_t payload_start(const nws_conn *conn) {
  return conn->received - (conn->in.frame.len - conn->in.frame.left);
}

/* A fault that is met behind good bytes: these are an event, which can still be
 * answered, and the connection fails with the next call. */
static void fail_next(nws_conn *conn, int error, uint64_t at) {
  conn->in.fault.at = at;
  conn->in.fault.error = error;
  conn->phase = NWS__PHASE_FAULT_DUE;
}

static void end_frame(nws_conn *conn) {
  if ((conn->head & NWS__FIN) != 0) {
    conn->message_opcode = 0;
  }
  nws__conn_await(conn);
}

/* Reports a piece of a message. When a byte in it is wrong, what came before
 * that byte is still reported, and the fault with the next call. */
static int deliver(nws_conn *conn, const nws__piece *piece, int decoded,
                   nws_event *event) {
  size_t good;
  const int error = check_piece(conn, piece, &good);
  const int frame_end = piece->frame_end && error == NWS_OK;
  const uint64_t at =
      decoded ? payload_start(conn) : conn->received - piece->len + good;
  if (error != NWS_OK && good == 0) {
    return nws__conn_fail(conn, error, at);
  }
  fill_event(conn, NWS_EVENT_DATA, piece->data, good, event);
  event->opcode = conn->message_opcode;
  event->flags = (uint8_t)piece_flags(conn, frame_end);
  event->message_offset = conn->message_len;
  if (!decoded) {
    event->frame_left += piece->len - good;
  }
  conn->message_len += good;
  nws__set(conn, NWS__REPORTED);
  if (error != NWS_OK) {
    fail_next(conn, error, at);
  } else if (frame_end) {
    end_frame(conn);
  }
  return NWS_EVENT_DATA;
}

static int take_data(nws_conn *conn, nws_input *in, nws_event *event) {
  const size_t len = at_hand(conn, in);
  nws__piece piece;
  if (len == 0 && conn->in.frame.left > 0) {
    return 0;
  }
  piece.valid = unmask_valid(conn, in->data, len);
  piece.data = in->data;
  piece.len = len;
  take(conn, in, len);
  conn->in.frame.left -= len;
  piece.frame_end = conn->in.frame.left == 0;
  return deliver(conn, &piece, 0, event);
}

/* What the extensions are shown at once. They may leave some of it, which costs
 * unmasking it twice: so not much more than what fills the scratch. */
static size_t shown(const nws_conn *conn, size_t len) {
  const size_t scratch_len = conn->config->scratch_len;
  const size_t window = scratch_len > WINDOW_MIN ? scratch_len : WINDOW_MIN;
  return len < window ? len : window;
}

/* The extensions take from the input only what they can decode into the
 * scratch; the rest is masked again and stays input. */
static int take_decoded(nws_conn *conn, nws_input *in, nws_event *event) {
  const size_t len = shown(conn, at_hand(conn, in));
  const uint8_t *next = in->data;
  size_t unused = len;
  nws__piece piece;
  int status;
  unmask(conn, in->data, len);
  status = nws__conn_ext_decode(conn, &next, &unused,
                                len == conn->in.frame.left, &piece);
  take(conn, in, len - unused);
  conn->in.frame.left -= len - unused;
  unmask(conn, in->data, unused);
  if (status < 0) {
    return nws__conn_fail(conn, status, payload_start(conn));
  }
  if (status == 0) {
    return in->len > 0 ? GO_ON : 0;
  }
  piece.valid = valid_part(conn, piece.data, within_limit(conn, piece.len));
  return deliver(conn, &piece, 1, event);
}

/* RFC 6455 5.5.1, 7.1.2: after our close, data means nothing any more. */
void nws__conn_skip_data(nws_conn *conn) {
  if (!conn->config->deliver_in_closing &&
      (conn->phase == NWS__PHASE_DATA || conn->phase == NWS__PHASE_DECODE)) {
    conn->phase = NWS__PHASE_SKIP;
  }
}

static int take_skipped(nws_conn *conn, nws_input *in, nws_event *event) {
  const size_t len = at_hand(conn, in);
  (void)event;
  take(conn, in, len);
  conn->in.frame.left -= len;
  if (conn->in.frame.left > 0) {
    return 0;
  }
  end_frame(conn);
  return GO_ON;
}

/* --- Payload of control frames --- */

/* RFC 6455 5.5.3: the pong to the latest ping is the one that is owed. */
static void owe_pong(nws_conn *conn, const uint8_t *payload, size_t len) {
  if (len > 0) { /* an empty input may have no address */
    memcpy(conn->spill->pong, payload, len);
  }
  conn->spill->pong_len = (uint8_t)len;
  nws__set(conn, NWS__PONG_OWED);
}

static int end_ping(nws_conn *conn, nws_event *event, uint64_t now) {
  (void)now;
  if (!conn->config->manual_pong) {
    owe_pong(conn, event->data, event->len);
  }
  return NWS_EVENT_PING;
}

static int end_pong(nws_conn *conn, nws_event *event, uint64_t now) {
  nws__conn_pong(conn, event->data, event->len, now);
  return NWS_EVENT_PONG;
}

static int end_close(nws_conn *conn, nws_event *event, uint64_t now) {
  const uint64_t at = conn->received - event->len;
  nws_str reason;
  size_t bad_at;
  const int status =
      nws_close_parse(event->data, event->len, &event->code, &reason, &bad_at);
  (void)now;
  if (status != NWS_OK) {
    return nws__conn_fail(conn, status, at + bad_at);
  }
  if (event->len > 0) {
    event->data += event->len - reason.len;
    event->len = reason.len;
  }
  conn->phase = NWS__PHASE_DRAIN;
  nws__conn_got_close(conn, event->code);
  return NWS_EVENT_CLOSE;
}

static int end_custom(nws_conn *conn, nws_event *event, uint64_t now) {
  (void)conn;
  (void)event;
  (void)now;
  return NWS_EVENT_CONTROL;
}

/* What a whole control frame does, by its opcode less 8. */
static int end_control(nws_conn *conn, nws_event *event, uint64_t now) {
  static int (*const ends[])(nws_conn *, nws_event *, uint64_t) = {
      end_close,  end_ping,   end_pong,   end_custom,
      end_custom, end_custom, end_custom, end_custom};
  int type;
  nws__conn_await(conn);
  type = ends[event->opcode & 7](conn, event, now);
  event->type = (uint8_t)(type > 0 ? type : 0);
  return type;
}

/* Says whether the spill is needed: to keep the part of a payload that has
 * come, or the payload of the pong. */
static int needs_spill(const nws_conn *conn, size_t len) {
  if (len < conn->in.frame.left) {
    return len > 0;
  }
  return (conn->head & NWS__OPCODE) == NWS_OPCODE_PING &&
         !conn->config->manual_pong;
}

static int take_control(nws_conn *conn, nws_input *in, nws_event *event) {
  const size_t len = at_hand(conn, in);
  uint8_t *payload = in->data;
  size_t payload_len = len;
  if (conn->spill == NULL && needs_spill(conn, len)) {
    return NWS_ERROR_SPILL;
  }
  if (len < conn->in.frame.left && len == 0) {
    return 0;
  }
  unmask(conn, in->data, len);
  take(conn, in, len);
  conn->in.frame.left -= len;
  if (conn->spill != NULL &&
      (conn->spill->cut_len > 0 || conn->in.frame.left > 0)) {
    memcpy(conn->spill->cut + conn->spill->cut_len, payload, len);
    conn->spill->cut_len = (uint8_t)(conn->spill->cut_len + len);
    if (conn->in.frame.left > 0) {
      return 0;
    }
    payload = conn->spill->cut;
    payload_len = conn->spill->cut_len;
    conn->spill->cut_len = 0;
  }
  fill_event(conn, NWS_EVENT_CONTROL, payload, payload_len, event);
  return end_control(conn, event, in->now);
}

/* --- The end --- */

static int take_nothing(nws_conn *conn, nws_input *in, nws_event *event) {
  (void)event;
  take(conn, in, in->len);
  return 0;
}

static int take_fault_due(nws_conn *conn, nws_input *in, nws_event *event) {
  (void)in;
  (void)event;
  nws__conn_fail(conn, conn->in.fault.error, conn->in.fault.at);
  return GO_ON;
}

static int take_fault(nws_conn *conn, nws_input *in, nws_event *event) {
  (void)event;
  const uint64_t at = conn->received;
  take(conn, in, in->len);
  conn->received = at; /* the offset of the fault stays as it is */
  return conn->error;
}

static int take_unopened(nws_conn *conn, nws_input *in, nws_event *event) {
  (void)conn;
  (void)in;
  (void)event;
  return NWS_ERROR_STATE;
}

int nws__conn_recv_any(nws_conn *conn, nws_input *in, nws_event *event) {
  static int (*const phases[NWS__PHASES])(nws_conn *, nws_input *,
                                          nws_event *) = {
      [NWS__PHASE_NONE] = take_unopened,
      [NWS__PHASE_MESSAGE] = take_header,
      [NWS__PHASE_HEADER] = take_header,
      [NWS__PHASE_DATA] = take_data,
      [NWS__PHASE_DECODE] = take_decoded,
      [NWS__PHASE_SKIP] = take_skipped,
      [NWS__PHASE_CONTROL] = take_control,
      [NWS__PHASE_DRAIN] = take_nothing,
      [NWS__PHASE_FAULT_DUE] = take_fault_due,
      [NWS__PHASE_FAULT] = take_fault};
  int result;
  if (conn == NULL || in == NULL || event == NULL ||
      (in->data == NULL && in->len > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  NWS__ASSERT(nws__conn_valid(conn));
  if (in->len > 0) {
    conn->heard = in->now;
  }
  do {
    result = phases[conn->phase](conn, in, event);
  } while (result == GO_ON);
  return result;
}
