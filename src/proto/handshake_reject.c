/* handshake_reject.c - a server's no: an HTTP response that ends the connection
 * (RFC 6455 4.2.2, 4.4). It needs no handshake, only a reason, so that it can
 * also answer what could not be read at all.
 */
#include <string.h>
#include "../codec/chars.h"
#include "handshake_internal.h"

/* The response as it will be. */
typedef struct reply {
  const nws_rejection *why;
  unsigned status;
  nws_str reason;
  nws_str body;
  int has_body;   /* 0 for statuses that cannot have one */
  int has_length; /* 0 for statuses that must not tell it */
} reply;

/* The usual phrases (RFC 9110 15; RFC 6585; RFC 7725 3). Others may go without
 * (RFC 9112 4). */
static nws_str usual_reason(unsigned status) {
  static const struct {
    unsigned status;
    const char *reason;
  } reasons[] = {
      {200, "OK"},
      {204, "No Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {407, "Proxy Authentication Required"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {426, "Upgrade Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {451, "Unavailable For Legal Reasons"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
  };
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
    if (reasons[i].status == status) {
      return nws_str_of(reasons[i].reason);
    }
  }
  return NWS__STR("");
}

/* An error that is not the peer's has no status of its own: 500. */
static unsigned choose_status(const nws_rejection *why) {
  if (why->status != 0 || why->error >= 0) {
    return why->status;
  }
  unsigned status = nws_error_get(why->error)->http_status;
  return status != 0 ? status : 500;
}

static int check_texts(const nws_rejection *why, nws_str reason) {
  size_t bad_at;
  int rc = nws__write_check(reason, NWS__CHAR_TEXT, &bad_at);
  return rc != NWS_OK ? rc
                      : nws__write_check_headers(why->headers,
                                                 why->header_count, &bad_at);
}

static int prepare(const nws_rejection *why, reply *r) {
  r->why = why;
  r->status = choose_status(why);
  if (r->status < 200 || r->status > 599 || !nws_str_sound(why->reason) ||
      !nws_str_sound(why->body)) {
    return NWS_ERROR_ARGUMENT;
  }
  /* RFC 9110 15.3.5, 15.3.6, 15.4.5 and 8.6 */
  r->has_body = r->status != 204 && r->status != 205 && r->status != 304;
  r->has_length = r->status != 204 && r->status != 304;
  if (why->body.len > 0 && !r->has_body) {
    return NWS_ERROR_ARGUMENT;
  }
  r->reason = why->reason.ptr != NULL ? why->reason : usual_reason(r->status);
  r->body = why->body;
  if (r->body.ptr == NULL && r->has_body && why->error < 0) {
    r->body = nws_str_of(nws_error_text(why->error));
  }
  return check_texts(why, r->reason);
}

static int has_header(const nws_rejection *why, nws_str name) {
  return nws_header_find(why->headers, why->header_count, name, 0) <
         why->header_count;
}

static void emit(nws__sink *sink, const reply *r) {
  char status[20], length[20];
  nws__sink_text(sink, NWS__STR("HTTP/1.1 "));
  nws__sink_text(sink, nws__write_decimal(r->status, status));
  nws__sink_text(sink, NWS__STR(" "));
  nws__sink_text(sink, r->reason);
  nws__sink_text(sink, NWS__STR("\r\n"));
  if (r->status == 426) {
    /* Who sends Upgrade must name it in Connection too (RFC 9110 7.8). */
    nws__sink_header(sink, NWS__STR("Upgrade"), NWS__STR("websocket"));
    nws__sink_header(sink, NWS__STR("Connection"), NWS__STR("close, Upgrade"));
    nws__sink_header(sink, NWS__STR("Sec-WebSocket-Version"), NWS__STR("13"));
  } else {
    nws__sink_header(sink, NWS__STR("Connection"), NWS__STR("close"));
  }
  /* RFC 9110 15.5.6: Allow MUST come with 405. */
  if (r->status == 405 && !has_header(r->why, NWS__STR("Allow"))) {
    nws__sink_header(sink, NWS__STR("Allow"), NWS__STR("GET"));
  }
  if (r->has_body && !has_header(r->why, NWS__STR("Content-Type"))) {
    nws__sink_header(sink, NWS__STR("Content-Type"), NWS__STR("text/plain"));
  }
  if (r->has_length) {
    nws__sink_header(sink, NWS__STR("Content-Length"),
                     nws__write_decimal(r->body.len, length));
  }
  nws__sink_headers(sink, r->why->headers, r->why->header_count);
  nws__sink_text(sink, NWS__STR("\r\n"));
  if (!r->why->head) {
    nws__sink_text(sink, r->body);
  }
}

int nws_server_handshake_reject(const nws_rejection *why, char *out, size_t cap,
                                size_t *len) {
  if (why == NULL || why->size != sizeof *why || len == NULL ||
      (out == NULL && cap > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  reply r;
  int rc = prepare(why, &r);
  if (rc != NWS_OK) {
    return rc;
  }
  nws__sink counter = {NULL, NULL, 0, 0}, writer = {out, NULL, 0, 0};
  emit(&counter, &r);
  *len = counter.len;
  if (counter.len > cap) {
    return NWS_ERROR_BUFFER;
  }
  emit(&writer, &r);
  return NWS_OK;
}
