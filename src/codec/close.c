/* close.c - the payload of close frames: a status code in two bytes, then a
 * reason in UTF-8 (RFC 6455 5.5.1), or nothing.
 */
#include <nws/error.h>
#include <nws/frame.h>
#include <nws/utf8.h>

#include <string.h>

enum { CODE_LEN = 2 };

/* 1004 is reserved; 1005, 1006 and 1015 are for reports inside a program; 1016
 * to 2999 are kept for the protocol's future (RFC 6455 7.4.1, 7.4.2). */
int nws_close_code_valid(unsigned code) {
  return (code >= NWS_CLOSE_NORMAL && code <= NWS_CLOSE_UNSUPPORTED_DATA) ||
         (code >= NWS_CLOSE_INVALID_PAYLOAD && code <= NWS_CLOSE_BAD_GATEWAY) ||
         (code >= 3000 && code <= 4999);
}

typedef struct code_name {
  unsigned code;
  const char *name;
} code_name;

/* RFC 6455 7.4.1 and IANA's "WebSocket Close Code Number Registry". */
static const code_name names[] = {
    {NWS_CLOSE_NORMAL, "normal closure"},
    {NWS_CLOSE_GOING_AWAY, "going away"},
    {NWS_CLOSE_PROTOCOL_ERROR, "protocol error"},
    {NWS_CLOSE_UNSUPPORTED_DATA, "unsupported data"},
    {NWS_CLOSE_NO_STATUS, "no status received"},
    {NWS_CLOSE_ABNORMAL, "abnormal closure"},
    {NWS_CLOSE_INVALID_PAYLOAD, "invalid payload"},
    {NWS_CLOSE_POLICY_VIOLATION, "policy violation"},
    {NWS_CLOSE_MESSAGE_TOO_BIG, "message too big"},
    {NWS_CLOSE_MANDATORY_EXTENSION, "mandatory extension"},
    {NWS_CLOSE_INTERNAL_ERROR, "internal error"},
    {NWS_CLOSE_SERVICE_RESTART, "service restart"},
    {NWS_CLOSE_TRY_AGAIN_LATER, "try again later"},
    {NWS_CLOSE_BAD_GATEWAY, "bad gateway"},
    {NWS_CLOSE_TLS_HANDSHAKE, "TLS handshake"},
    {3000, "unauthorized"},
    {3003, "forbidden"},
    {3008, "timeout"},
};

const char *nws_close_code_name(unsigned code) {
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (names[i].code == code) {
      return names[i].name;
    }
  }
  return "";
}

static int fail(int error, size_t at, size_t *bad_at) {
  if (bad_at != NULL) {
    *bad_at = at;
  }
  return error;
}

int nws_close_parse(const void *payload, size_t len, uint16_t *code,
                    nws_str *reason, size_t *bad_at) {
  const uint8_t *bytes = payload;
  nws_utf8 state = NWS_UTF8_START;
  size_t valid;
  unsigned value;
  if ((payload == NULL && len > 0) || code == NULL || reason == NULL) {
    return fail(NWS_ERROR_ARGUMENT, 0, bad_at);
  }
  if (len > NWS_CONTROL_PAYLOAD_MAX) {
    return fail(NWS_ERROR_CONTROL_LENGTH, NWS_CONTROL_PAYLOAD_MAX, bad_at);
  }
  if (len == 0) {
    *code = NWS_CLOSE_NO_STATUS; /* RFC 6455 7.1.5 */
    *reason = nws_str_make(payload, 0);
    return NWS_OK;
  }
  if (len < CODE_LEN) {
    return fail(NWS_ERROR_CLOSE_LENGTH, len, bad_at);
  }
  value = (unsigned)bytes[0] << 8 | bytes[1];
  if (!nws_close_code_valid(value)) {
    return fail(NWS_ERROR_CLOSE_CODE, 0, bad_at);
  }
  valid = nws_utf8_check(&state, bytes + CODE_LEN, len - CODE_LEN);
  if (valid != len - CODE_LEN || state != NWS_UTF8_START) {
    return fail(NWS_ERROR_CLOSE_TEXT, CODE_LEN + valid, bad_at);
  }
  *code = (uint16_t)value;
  *reason = nws_str_make((const char *)bytes + CODE_LEN, len - CODE_LEN);
  return NWS_OK;
}

static int check_build(unsigned code, nws_str reason, const void *out) {
  if ((reason.ptr == NULL && reason.len > 0) || out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (!nws_close_code_valid(code)) {
    return NWS_ERROR_CLOSE_CODE_SEND;
  }
  if (reason.len > NWS_CLOSE_REASON_MAX) {
    return NWS_ERROR_CONTROL_LONG;
  }
  /* RFC 6455 5.5.1: the reason is UTF-8. */
  return nws_utf8_valid(reason.ptr, reason.len) ? NWS_OK : NWS_ERROR_TEXT_SEND;
}

int nws_close_build(unsigned code, nws_str reason, void *out) {
  uint8_t *bytes = out;
  int status;
  if (code == 0) {
    return reason.len == 0 ? 0 : NWS_ERROR_ARGUMENT;
  }
  status = check_build(code, reason, out);
  if (status != NWS_OK) {
    return status;
  }
  /* The reason may lie in the output already, so it is moved out of the
   * code's way first. */
  if (reason.len > 0) {
    memmove(bytes + CODE_LEN, reason.ptr, reason.len);
  }
  bytes[0] = (uint8_t)(code >> 8);
  bytes[1] = (uint8_t)code;
  return (int)(CODE_LEN + reason.len);
}
