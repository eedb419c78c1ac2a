/* conn_send.c - frames out: whole, or only the header with the payload to
 * follow (RFC 6455 5.2, 6.1).
 *
 * Everything that can fail comes before anything that changes, and the masking
 * key is drawn last: a call that fails has sent nothing and changed nothing.
 */
#include "conn_internal.h"

#include <nws/mask.h>

#include <string.h>

enum { OPTIONS = NWS_SEND_MORE | NWS_SEND_PLAIN };

/* A frame that is about to be sent. */
typedef struct outgoing {
  nws_frame frame;
  unsigned opcode;   /* of its message */
  unsigned encoders; /* mask of the extensions that encode it */
  nws_utf8 utf8;     /* of the text behind it */
  int check;         /* its message is text that is validated */
  int as_is;         /* its message is not to be encoded */
} outgoing;

/* RFC 6455 5.5.1: after a close frame no more data. A pong is a reply, and may
 * still be sent while the peer goes on. */
static int check_state(const nws_conn *conn, unsigned opcode) {
  const unsigned over = NWS__CLOSE_OWED | NWS__ENDED;
  if (conn->state == NWS_STATE_CONNECTING || conn->error != NWS_OK ||
      nws__has(conn, over)) {
    return NWS_ERROR_STATE;
  }
  if (nws__has(conn, NWS__CLOSE_SENT) &&
      (opcode != NWS_OPCODE_PONG || nws__has(conn, NWS__CLOSE_GOT))) {
    return NWS_ERROR_STATE;
  }
  return conn->send_left > 0 ? NWS_ERROR_FRAME_OPEN : NWS_OK;
}

/* RFC 6455 5.2: only what has been negotiated. */
static int check_enabled(const nws_conn *conn, unsigned opcode, unsigned rsv) {
  if ((NWS__RESERVED_OPCODES >> opcode & 1) != 0 &&
      ((conn->config->opcodes_out | nws__conn_ext_opcodes(conn)) >> opcode &
       1) == 0) {
    return NWS_ERROR_OPCODE_DISABLED;
  }
  return (rsv & ~(unsigned)conn->config->rsv_out) != 0 ? NWS_ERROR_RSV_DISABLED
                                                       : NWS_OK;
}

/* RFC 6455 5.4, 5.5: control frames are whole and short, messages come one
 * after the other. */
static int check_order(const nws_conn *conn, unsigned opcode, int more,
                       uint64_t len) {
  if (nws__is_control(opcode)) {
    if (more) {
      return NWS_ERROR_CONTROL_FRAGMENT;
    }
    return len > NWS_CONTROL_PAYLOAD_MAX ? NWS_ERROR_CONTROL_LONG : NWS_OK;
  }
  if (len > (uint64_t)NWS_FRAME_PAYLOAD_MAX) {
    return NWS_ERROR_LENGTH;
  }
  if (opcode == NWS_OPCODE_CONTINUATION) {
    return conn->send_opcode != 0 ? NWS_OK : NWS_ERROR_NO_MESSAGE;
  }
  return conn->send_opcode == 0 ? NWS_OK : NWS_ERROR_MESSAGE_OPEN;
}

/* Checks all the rules and describes the frame; nothing changes. */
static int plan(const nws_conn *conn, unsigned what, uint64_t len,
                outgoing *out) {
  const unsigned opcode = what & NWS__OPCODE;
  const unsigned rsv = what & NWS__RSV;
  const int more = (what & NWS_SEND_MORE) != 0;
  int status;
  if ((what & ~(NWS__OPCODE | NWS__RSV | OPTIONS)) != 0 ||
      opcode == NWS_OPCODE_CLOSE) {
    return NWS_ERROR_ARGUMENT;
  }
  status = check_state(conn, opcode);
  if (status == NWS_OK) {
    status = check_enabled(conn, opcode, rsv);
  }
  if (status == NWS_OK) {
    status = check_order(conn, opcode, more, len);
  }
  if (status != NWS_OK) {
    return status;
  }
  memset(out, 0, sizeof(*out));
  out->frame.opcode = (uint8_t)opcode;
  out->frame.fin = !more;
  out->frame.rsv = (uint8_t)rsv;
  out->frame.masked = conn->role == NWS_ROLE_CLIENT;
  out->frame.payload_len = len;
  out->as_is = (what & NWS_SEND_PLAIN) != 0;
  if (opcode == NWS_OPCODE_CONTINUATION) {
    out->opcode = conn->send_opcode;
    out->utf8 = conn->send_utf8;
    out->as_is |= nws__has(conn, NWS__SEND_AS_IS);
  } else {
    out->opcode = opcode;
  }
  out->check = out->opcode == NWS_OPCODE_TEXT && !conn->config->trust_sent_text;
  return NWS_OK;
}

/* RFC 6455 5.6, 8.1: text is sent as UTF-8. `last` says that the message ends
 * with these bytes. */
static int check_text(nws_utf8 *utf8, const void *text, size_t len, int last) {
  if (nws_utf8_check(utf8, text, len) < len) {
    return NWS_ERROR_TEXT_SEND;
  }
  return last && *utf8 != NWS_UTF8_START ? NWS_ERROR_TEXT_SEND : NWS_OK;
}

/* Asks the extensions. A message that is to stay plain, and a payload that is
 * sent from where it lies, cannot be encoded. */
static int plan_encoding(nws_conn *conn, int may_transform, outgoing *out) {
  const int encoders =
      nws__conn_ext_frame_out(conn, &out->frame, may_transform && !out->as_is);
  if (encoders < 0) {
    return encoders;
  }
  out->encoders = (unsigned)encoders;
  return NWS_OK;
}

/* What sending a frame changes. */
static void commit(nws_conn *conn, const outgoing *out) {
  if (nws__is_control(out->frame.opcode)) {
    return;
  }
  conn->send_opcode = (uint8_t)(out->frame.fin ? 0 : out->opcode);
  conn->send_utf8 = out->utf8;
  nws__clear(conn, NWS__SEND_FIN | NWS__SEND_CHECK | NWS__SEND_AS_IS);
  if (out->as_is) {
    nws__set(conn, NWS__SEND_AS_IS);
  }
  if (out->frame.fin) {
    nws__set(conn, NWS__SEND_FIN);
  }
  if (out->check) {
    nws__set(conn, NWS__SEND_CHECK);
  }
}

/* --- Whole frames --- */

static size_t plain_room(const nws_conn *conn, size_t len) {
  const size_t header_len =
      nws_frame_header_len(len, conn->role == NWS_ROLE_CLIENT);
  return len <= SIZE_MAX - header_len ? header_len + len : SIZE_MAX;
}

size_t nws_conn_send_room(const nws_conn *conn, size_t len) {
  size_t bound;
  if (conn == NULL || conn->state == NWS_STATE_CONNECTING) {
    return 0;
  }
  if (!nws__conn_ext_bound(conn, len, &bound)) {
    return plain_room(conn, len);
  }
  return bound <= SIZE_MAX - NWS_FRAME_HEADER_MAX ? NWS_FRAME_HEADER_MAX + bound
                                                  : SIZE_MAX;
}

/* What extensions cannot encode needs no more than it has. */
static size_t room_for(const nws_conn *conn, const outgoing *frame,
                       size_t len) {
  return nws__is_control(frame->opcode) || frame->as_is
             ? plain_room(conn, len)
             : nws_conn_send_room(conn, len);
}

static int write_plain(const nws_conn *conn, outgoing *out, const void *payload,
                       size_t len, uint8_t *to, size_t *out_len) {
  int header_len;
  if (nws__conn_draw_key(conn, out->frame.key) != NWS_OK) {
    return NWS_ERROR_RANDOM;
  }
  header_len = nws_frame_build(&out->frame, to);
  if (header_len < 0) {
    return header_len;
  }
  if (out->frame.masked) {
    nws_mask(to + header_len, payload, len, out->frame.key, 0);
  } else if (len > 0) {
    memcpy(to + header_len, payload, len);
  }
  *out_len = (size_t)header_len + len;
  return NWS_OK;
}

/* The payload is encoded behind the header that fits half its length, which is
 * what text mostly becomes, and moved when it needs another one. */
static int write_encoded(nws_conn *conn, outgoing *out, const void *payload,
                         size_t len, uint8_t *to, size_t cap, size_t *out_len) {
  const size_t guess = nws_frame_header_len(len / 2, out->frame.masked);
  size_t encoded_len, header_len;
  int status = nws__conn_draw_key(conn, out->frame.key);
  if (status == NWS_OK) {
    status = nws__conn_ext_encode(conn, out->encoders, &out->frame, payload,
                                  len, to + guess, cap - NWS_FRAME_HEADER_MAX,
                                  &encoded_len);
  }
  if (status != NWS_OK) {
    return status;
  }
  out->frame.payload_len = encoded_len;
  header_len = nws_frame_header_len(encoded_len, out->frame.masked);
  if (header_len != guess) {
    memmove(to + header_len, to + guess, encoded_len);
  }
  status = nws_frame_build(&out->frame, to);
  if (status < 0) {
    return status;
  }
  if (out->frame.masked) {
    nws_mask(to + header_len, to + header_len, encoded_len, out->frame.key, 0);
  }
  *out_len = header_len + encoded_len;
  return NWS_OK;
}

int nws__conn_send_any(nws_conn *conn, unsigned what, const void *payload,
                       size_t len, void *out, size_t cap, size_t *out_len) {
  outgoing frame;
  size_t room;
  int status;
  if (conn == NULL || out_len == NULL || (payload == NULL && len > 0) ||
      (out == NULL && cap > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  *out_len = 0;
  status = plan(conn, what, len, &frame);
  if (status == NWS_OK && frame.check) {
    status = check_text(&frame.utf8, payload, len, frame.frame.fin);
  }
  if (status != NWS_OK) {
    return status;
  }
  room = room_for(conn, &frame, len);
  if (out == NULL || cap < room) {
    *out_len = room;
    return NWS_ERROR_BUFFER;
  }
  status = plan_encoding(conn, 1, &frame);
  if (status == NWS_OK) {
    status = frame.encoders != 0
                 ? write_encoded(conn, &frame, payload, len, out, room, out_len)
                 : write_plain(conn, &frame, payload, len, out, out_len);
  }
  if (status == NWS_OK) {
    commit(conn, &frame);
  }
  return status;
}

/* --- A frame that was made beforehand --- */

int nws_conn_send_prepared(nws_conn *conn, nws_prepared *message,
                           const uint8_t **frame, size_t *frame_len) {
  outgoing out;
  int status;
  if (conn == NULL || message == NULL || frame == NULL || frame_len == NULL ||
      message->size != sizeof(*message) || conn->role == NWS_ROLE_CLIENT ||
      message->opcode == NWS_OPCODE_CONTINUATION ||
      nws__is_control(message->opcode)) {
    return NWS_ERROR_ARGUMENT;
  }
  *frame_len = 0;
  status = plan(conn, message->opcode, message->payload_len, &out);
  if (status == NWS_OK) {
    status = nws__conn_ext_prepared(conn, message, frame, frame_len);
  }
  if (status == NWS_OK) {
    commit(conn, &out);
  }
  return status;
}

/* --- Header first, payload piece by piece --- */

int nws__conn_begin_any(nws_conn *conn, unsigned what, uint64_t len, void *out,
                        size_t cap, size_t *out_len) {
  outgoing frame;
  size_t need;
  int status;
  if (conn == NULL || out_len == NULL || (out == NULL && cap > 0) ||
      nws__is_control(what & NWS__OPCODE)) {
    return NWS_ERROR_ARGUMENT;
  }
  *out_len = 0;
  status = plan(conn, what, len, &frame);
  if (status == NWS_OK && frame.check && len == 0) {
    status = check_text(&frame.utf8, NULL, 0, frame.frame.fin);
  }
  if (status != NWS_OK) {
    return status;
  }
  need = nws_frame_header_len(len, frame.frame.masked);
  if (out == NULL || cap < need) {
    *out_len = need;
    return NWS_ERROR_BUFFER;
  }
  status = plan_encoding(conn, 0, &frame);
  if (status == NWS_OK) {
    status = write_plain(conn, &frame, NULL, 0, out, out_len);
  }
  if (status != NWS_OK) {
    return status;
  }
  commit(conn, &frame);
  conn->send_left = len;
  memcpy(conn->send_key, frame.frame.key, sizeof(conn->send_key));
  return NWS_OK;
}

/* Turns the key so that it begins at the next byte of the payload. */
static void turn_key(uint8_t key[4], size_t by) {
  uint8_t turned[4];
  for (size_t i = 0; i < 4; i++) {
    turned[i] = key[(i + by) & 3];
  }
  memcpy(key, turned, sizeof(turned));
}

static int check_payload(const nws_conn *conn, const void *dst, const void *src,
                         size_t len) {
  if (conn == NULL || (src == NULL && len > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (conn->state == NWS_STATE_CONNECTING) {
    return NWS_ERROR_STATE;
  }
  if (dst == NULL && len > 0 && conn->role == NWS_ROLE_CLIENT) {
    return NWS_ERROR_ARGUMENT; /* somebody would have to mask it */
  }
  return len > conn->send_left ? NWS_ERROR_NO_FRAME : NWS_OK;
}

/* Puts the payload where it goes out from. */
static void place(nws_conn *conn, void *dst, const void *src, size_t len) {
  if (conn->role == NWS_ROLE_CLIENT) {
    nws_mask(dst, src, len, conn->send_key, 0);
    turn_key(conn->send_key, len);
  } else if (dst != NULL && dst != src && len > 0) {
    memcpy(dst, src, len);
  }
}

int nws_conn_send_payload(nws_conn *conn, void *dst, const void *src,
                          size_t len) {
  nws_utf8 utf8;
  int last;
  int status = check_payload(conn, dst, src, len);
  if (status != NWS_OK) {
    return status;
  }
  if (nws__has(conn, NWS__SEND_CHECK)) {
    utf8 = conn->send_utf8;
    last = nws__has(conn, NWS__SEND_FIN) && len == conn->send_left;
    status = check_text(&utf8, src, len, last);
    if (status != NWS_OK) {
      return status;
    }
    conn->send_utf8 = utf8;
  }
  conn->send_left -= len;
  place(conn, dst, src, len);
  return NWS_OK;
}
