/* conn_control.c - the closing handshake, faults, and what the engine owes the
 * peer by itself.
 *
 * Nothing that is owed is kept as bytes. A close is its code, a keep-alive
 * ping its number; only a pong has a payload to remember, in the spill. The
 * frames are made when the caller comes for them, so there is never half a
 * frame to keep track of.
 */
#include "conn_internal.h"

#include <nws/mask.h>

#include <string.h>

enum { PING_ID_LEN = 4 };

int nws__conn_draw_key(const nws_conn *conn, uint8_t key[4]) {
  memset(key, 0, 4);
  if (conn->role == NWS_ROLE_SERVER) {
    return NWS_OK;
  }
  /* RFC 6455 5.3: a fresh key for each frame, or no frame. */
  const nws_random *random = conn->config->random;
  return random->fill(random->user, key, 4) == 0 ? NWS_OK : NWS_ERROR_RANDOM;
}

static size_t control_len(const nws_conn *conn, size_t len) {
  return nws_frame_header_len(len, conn->role == NWS_ROLE_CLIENT) + len;
}

static int write_control(const nws_conn *conn, unsigned opcode,
                         const void *payload, size_t len, uint8_t *out) {
  nws_frame frame = {0};
  int header_len;
  frame.opcode = (uint8_t)opcode;
  frame.fin = 1;
  frame.payload_len = len;
  frame.masked = conn->role == NWS_ROLE_CLIENT;
  if (nws__conn_draw_key(conn, frame.key) != NWS_OK) {
    return NWS_ERROR_RANDOM;
  }
  header_len = nws_frame_build(&frame, out);
  if (header_len < 0) {
    return header_len;
  }
  if (frame.masked) {
    nws_mask(out + header_len, payload, len, frame.key, 0);
  } else if (len > 0) {
    memcpy(out + header_len, payload, len);
  }
  return header_len + (int)len;
}

/* --- Closing --- */

/* Leaves the open state, once and for all. */
static void enter_closing(nws_conn *conn) {
  if (conn->state == NWS_STATE_OPEN) {
    conn->state = NWS_STATE_CLOSING;
    conn->timer_start = 0; /* set by the next tick */
    nws__clear(conn, NWS__PING_OWED | NWS__PING_OUT);
    if (conn->phase == NWS__PHASE_MESSAGE) {
      conn->phase = NWS__PHASE_HEADER;
    }
  }
}

void nws__conn_settle(nws_conn *conn) {
  const unsigned both = NWS__CLOSE_SENT | NWS__CLOSE_GOT;
  enter_closing(conn);
  if ((conn->flags & both) == both || nws_conn_finished(conn)) {
    nws__clear(conn, NWS__PONG_OWED); /* nothing stands behind the end */
    conn->state = NWS_STATE_CLOSED;
  }
}

/* RFC 6455 7.1.7: Fail the WebSocket Connection. */
int nws__conn_fail(nws_conn *conn, int error, uint64_t offset) {
  const nws_error_info *info = nws_error_get(error);
  /* What is not the peer's fault is our internal error. */
  const unsigned code = info->kind == NWS_ERROR_KIND_PEER
                            ? info->close_code
                            : NWS_CLOSE_INTERNAL_ERROR;
  conn->error = (int16_t)error;
  conn->received = offset;
  conn->phase = NWS__PHASE_FAULT;
  if (code != 0 && !nws__has(conn, NWS__CLOSE_SENT)) {
    conn->code_out = (uint16_t)code;
    nws__set(conn, NWS__CLOSE_OWED);
  }
  nws__conn_settle(conn);
  return error;
}

static void owe_reply(nws_conn *conn) {
  conn->code_out = conn->code_in;
  nws__set(conn, NWS__CLOSE_OWED);
}

/* RFC 6455 5.5.1: a close is answered by one that echoes its code. */
void nws__conn_got_close(nws_conn *conn, unsigned code) {
  conn->code_in = (uint16_t)code;
  nws__set(conn, NWS__CLOSE_GOT);
  if (!nws__has(conn, NWS__CLOSE_SENT) && !conn->config->manual_close) {
    owe_reply(conn);
  }
  nws__conn_settle(conn);
}

int nws_conn_eof(nws_conn *conn) {
  if (conn == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (conn->state == NWS_STATE_CONNECTING) {
    return NWS_ERROR_STATE;
  }
  nws__set(conn, NWS__ENDED);
  if (conn->phase == NWS__PHASE_FAULT_DUE) {
    return nws__conn_fail(conn, conn->in.fault.error, conn->in.fault.at);
  }
  if (conn->error == NWS_OK && !nws__has(conn, NWS__CLOSE_GOT)) {
    return nws__conn_fail(conn, NWS_ERROR_EOF, conn->received);
  }
  /* Whoever answers by hand and has not done so yet is too late. */
  if (conn->error == NWS_OK && !nws__has(conn, NWS__CLOSE_SENT)) {
    owe_reply(conn);
  }
  nws__conn_settle(conn);
  return conn->error;
}

static int check_close(const nws_conn *conn) {
  if (conn->state == NWS_STATE_CONNECTING || conn->error != NWS_OK ||
      (conn->flags & (NWS__CLOSE_SENT | NWS__CLOSE_OWED | NWS__ENDED)) != 0) {
    return NWS_ERROR_STATE;
  }
  return conn->send_left > 0 ? NWS_ERROR_FRAME_OPEN : NWS_OK;
}

int nws_conn_close(nws_conn *conn, unsigned code, nws_str reason, void *out,
                   size_t cap, size_t *out_len) {
  uint8_t payload[NWS_CONTROL_PAYLOAD_MAX];
  int len, status;
  if (conn == NULL || out_len == NULL || (out == NULL && cap > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  *out_len = 0;
  status = check_close(conn);
  if (status != NWS_OK) {
    return status;
  }
  if (reason.len > NWS_CLOSE_REASON_MAX) {
    return NWS_ERROR_CONTROL_LONG;
  }
  len = nws_close_build(code, reason, payload);
  if (len < 0) {
    return len;
  }
  if (out == NULL || cap < control_len(conn, (size_t)len)) {
    *out_len = control_len(conn, (size_t)len);
    return NWS_ERROR_BUFFER;
  }
  len = write_control(conn, NWS_OPCODE_CLOSE, payload, (size_t)len, out);
  if (len < 0) {
    return len;
  }
  *out_len = (size_t)len;
  conn->code_out = (uint16_t)(code != 0 ? code : NWS_CLOSE_NO_STATUS);
  conn->send_opcode = 0;
  nws__set(conn, NWS__CLOSE_SENT);
  nws__conn_skip_data(conn);
  nws__conn_settle(conn);
  return NWS_OK;
}

/* --- What is owed --- */

/* A control frame that is owed, but for its header. */
typedef struct owed {
  unsigned flag;
  unsigned opcode;
  size_t len;
  uint8_t payload[NWS_CONTROL_PAYLOAD_MAX];
} owed;

static void make_pong(const nws_conn *conn, owed *frame) {
  frame->opcode = NWS_OPCODE_PONG;
  frame->len = conn->spill->pong_len;
  memcpy(frame->payload, conn->spill->pong, frame->len);
}

static void make_ping(const nws_conn *conn, owed *frame) {
  frame->opcode = NWS_OPCODE_PING;
  frame->len = PING_ID_LEN;
  memcpy(frame->payload, &conn->ping_id, PING_ID_LEN);
}

/* A reply echoes the code, a fault explains itself. */
static void make_close(const nws_conn *conn, owed *frame) {
  const unsigned code =
      conn->code_out != NWS_CLOSE_NO_STATUS ? conn->code_out : 0;
  const nws_str reason = nws_str_of(
      conn->error != NWS_OK && code != 0 ? nws_error_text(conn->error) : NULL);
  const int len = nws_close_build(code, reason, frame->payload);
  frame->opcode = NWS_OPCODE_CLOSE;
  frame->len = len > 0 ? (size_t)len : 0;
}

/* The next frame that is owed, in the order in which they go out: 1, or 0. */
static int next_owed(const nws_conn *conn, unsigned flags, owed *frame) {
  static const struct {
    unsigned flag;
    void (*make)(const nws_conn *, owed *);
  } lane[] = {{NWS__PONG_OWED, make_pong},
              {NWS__PING_OWED, make_ping},
              {NWS__CLOSE_OWED, make_close}};
  for (size_t i = 0; i < sizeof(lane) / sizeof(lane[0]); i++) {
    if ((flags & lane[i].flag) != 0) {
      frame->flag = lane[i].flag;
      lane[i].make(conn, frame);
      return 1;
    }
  }
  return 0;
}

size_t nws_conn_owed(const nws_conn *conn) {
  unsigned flags;
  size_t total = 0;
  owed frame;
  if (conn == NULL || conn->send_left > 0) {
    return 0;
  }
  flags = conn->flags;
  while (next_owed(conn, flags, &frame)) {
    total += control_len(conn, frame.len);
    flags &= ~frame.flag;
  }
  return total;
}

static void note_sent(nws_conn *conn, unsigned flag) {
  nws__clear(conn, flag);
  if (flag == NWS__CLOSE_OWED) {
    conn->send_opcode = 0;
    nws__set(conn, NWS__CLOSE_SENT);
    nws__conn_settle(conn);
  }
}

int nws_conn_flush(nws_conn *conn, void *out, size_t cap, size_t *out_len) {
  uint8_t *bytes = out;
  owed frame;
  if (conn == NULL || out_len == NULL || (out == NULL && cap > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  *out_len = 0;
  if (conn->state == NWS_STATE_CONNECTING) {
    return NWS_ERROR_STATE;
  }
  /* RFC 6455 5.4: control frames go between frames, never into one. */
  while (conn->send_left == 0 && next_owed(conn, conn->flags, &frame)) {
    const size_t need = control_len(conn, frame.len);
    int len;
    if (out == NULL || cap - *out_len < need) {
      if (*out_len == 0) {
        *out_len = need;
        return NWS_ERROR_BUFFER;
      }
      return NWS_OK;
    }
    len = write_control(conn, frame.opcode, frame.payload, frame.len,
                        bytes + *out_len);
    if (len < 0) {
      return *out_len > 0 ? NWS_OK : len;
    }
    *out_len += (size_t)len;
    note_sent(conn, frame.flag);
  }
  return NWS_OK;
}
