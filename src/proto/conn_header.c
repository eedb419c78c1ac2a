/* conn_header.c - what a frame header may say on a connection, beyond being
 * well-formed: the rules in the order of the bytes that show them, so that a
 * fault is found as soon as it can be (RFC 6455 5).
 */
#include "conn_internal.h"

/* RFC 6455 5.4: a fragmented message is continued before another begins. */
static int check_sequence(const nws_conn *conn, unsigned opcode) {
  if (nws__is_control(opcode)) {
    return NWS_OK;
  }
  if (opcode == NWS_OPCODE_CONTINUATION) {
    return conn->message_opcode != 0 ? NWS_OK : NWS_ERROR_CONTINUATION;
  }
  return conn->message_opcode == 0 ? NWS_OK : NWS_ERROR_INTERLEAVED;
}

static int check_first(const nws_conn *conn, unsigned byte) {
  const unsigned opcode = byte & NWS__OPCODE;
  /* RFC 6455 5.2: reserved bits and opcodes are 0 unless negotiated. */
  if ((byte & NWS__RSV) != 0 &&
      (byte & NWS__RSV & ~(conn->config->rsv_in | nws__conn_ext_rsv(conn)))) {
    return NWS_ERROR_RSV;
  }
  if ((NWS__RESERVED_OPCODES >> opcode & 1) != 0 &&
      ((conn->config->opcodes_in | nws__conn_ext_opcodes(conn)) >> opcode &
       1) == 0) {
    return NWS_ERROR_OPCODE;
  }
  /* RFC 6455 5.5: control frames must not be fragmented. */
  if (nws__is_control(opcode) && (byte & NWS__FIN) == 0) {
    return NWS_ERROR_CONTROL_FRAGMENTED;
  }
  return check_sequence(conn, opcode);
}

static int check_second(const nws_conn *conn, unsigned byte) {
  const unsigned masked = byte & NWS__MASKED;
  if (conn->config->accept_any_mask) {
    return NWS_OK;
  }
  /* RFC 6455 5.1: clients mask all frames, servers none. */
  if (conn->role == NWS_ROLE_SERVER) {
    return masked ? NWS_OK : NWS_ERROR_MASK_MISSING;
  }
  return masked ? NWS_ERROR_MASK_PRESENT : NWS_OK;
}

int nws__conn_header_parse(const nws_conn *conn, const uint8_t *bytes,
                           size_t len, nws_frame *frame) {
  int status = check_first(conn, bytes[0]);
  if (status == NWS_OK && len > 1) {
    status = check_second(conn, bytes[1]);
  }
  return status != NWS_OK ? status : nws_frame_parse(frame, bytes, len);
}

unsigned nws__conn_header_fault(int error) {
  switch (error) {
  case NWS_ERROR_MASK_MISSING:
  case NWS_ERROR_MASK_PRESENT:
  case NWS_ERROR_CONTROL_LENGTH:
    return 1;
  case NWS_ERROR_LENGTH_MINIMAL:
  case NWS_ERROR_LENGTH_63:
    return 2;
  default:
    return 0;
  }
}
