/* handshake_write.c - the headers of a handshake on their way out.
 *
 * Nothing that comes from the user reaches a sink unchecked: names are tokens,
 * values hold no line ends, and the headers that make the handshake what it is
 * cannot be given a second time.
 */
#include <string.h>
#include "../codec/chars.h"
#include "handshake_internal.h"

void nws__sink_text(nws__sink *sink, nws_str text) {
  if (sink->as_list || text.len == 0) {
    return;
  }
  if (sink->text != NULL) {
    memcpy(sink->text + sink->len, text.ptr, text.len);
  }
  sink->len += text.len;
}

void nws__sink_header(nws__sink *sink, nws_str name, nws_str value) {
  if (!sink->as_list) {
    nws__sink_text(sink, name);
    nws__sink_text(sink, NWS__STR(": "));
    nws__sink_text(sink, value);
    nws__sink_text(sink, NWS__STR("\r\n"));
    return;
  }
  if (sink->list != NULL) {
    sink->list[sink->len].name = name;
    sink->list[sink->len].value = value;
  }
  sink->len++;
}

void nws__sink_headers(nws__sink *sink, const nws_header *headers,
                       size_t count) {
  for (size_t i = 0; i < count; i++) {
    nws__sink_header(sink, headers[i].name, headers[i].value);
  }
}

int nws__write_check(nws_str text, uint8_t mask, size_t *bad_at) {
  if (text.ptr == NULL && text.len > 0) {
    *bad_at = 0;
    return NWS_ERROR_ARGUMENT;
  }
  for (size_t i = 0; i < text.len; i++) {
    if (nws__chars[(uint8_t)text.ptr[i]] & mask) {
      continue;
    }
    *bad_at = i;
    return NWS_ERROR_FIELD;
  }
  return NWS_OK;
}

/* Says whether the handshake alone decides about a header. */
static int is_owned(nws_str name) {
  static const char *const owned[] = {"Host",           "Upgrade",
                                      "Connection",     "Origin",
                                      "Content-Length", "Transfer-Encoding"};
  nws_str prefix = NWS__STR("Sec-WebSocket-");
  if (name.len >= prefix.len &&
      nws_str_equal_nocase(nws_str_make(name.ptr, prefix.len), prefix)) {
    return 1;
  }
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
    if (nws_str_equal_nocase(name, nws_str_of(owned[i]))) {
      return 1;
    }
  }
  return 0;
}

static int check_header(const nws_header *header, size_t *bad_at) {
  nws_str value = header->value;
  *bad_at = 0;
  if (header->name.len == 0) {
    return NWS_ERROR_FIELD;
  }
  int rc = nws__write_check(header->name, NWS__CHAR_TOKEN, bad_at);
  if (rc == NWS_OK) {
    rc = nws__write_check(value, NWS__CHAR_TEXT, bad_at);
  }
  if (rc != NWS_OK) {
    return rc;
  }
  /* What is left to object to is white space at either end. */
  if (!nws_http_value_valid(value)) {
    int in_front = value.ptr[0] == ' ' || value.ptr[0] == '\t';
    *bad_at = in_front ? 0 : value.len - 1;
    return NWS_ERROR_FIELD;
  }
  return is_owned(header->name) ? NWS_ERROR_HEADER_RESERVED : NWS_OK;
}

int nws__write_check_headers(const nws_header *headers, size_t count,
                             size_t *bad_at) {
  if (headers == NULL && count > 0) {
    return NWS_ERROR_ARGUMENT;
  }
  for (size_t i = 0; i < count; i++) {
    int rc = check_header(&headers[i], bad_at);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  return NWS_OK;
}

nws_str nws__write_decimal(size_t number, char room[20]) {
  size_t at = 20;
  do {
    room[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  return nws_str_make(room + at, 20 - at);
}

int nws__text_add(nws__text *text, nws_str piece) {
  if (piece.len > text->cap - text->len) {
    return NWS_ERROR_LENGTH;
  }
  if (piece.len > 0) {
    memcpy(text->ptr + text->len, piece.ptr, piece.len);
  }
  text->len += piece.len;
  return NWS_OK;
}
