/* http.c - the head of an HTTP/1.1 message, parsed strictly (RFC 9112).
 *
 * One pass over the bytes, no state machine: when the bytes end too soon the
 * answer is "more", and the next call starts anew. Dripping bytes cannot make
 * that quadratic, for a repeated call first looks only at what is new, and
 * parses again only when that can change the answer (see worth_parsing()),
 * which happens at most three times.
 *
 * A fault is always put at the first byte that no head can have at its place,
 * so the verdict does not depend on how the bytes were cut: all bytes before
 * it were the beginning of a good head. Two leniencies that RFC 9112 allows
 * are not granted: empty lines before a request (2.2, a SHOULD for peers that
 * send one behind a body, which nobody upgrading to WebSocket has), and LF
 * alone as the end of a line (2.2, a MAY).
 */
#include <nws/error.h>
#include <nws/http.h>
#include <string.h>
#include "chars.h"

/* Where the parsing is. */
typedef struct reader {
  const uint8_t *start; /* first byte of the head */
  const uint8_t *at;    /* next byte to look at */
  const uint8_t *end;   /* behind the last byte that may be looked at */
  nws_http_head *head;
} reader;

typedef int start_line(reader *r);

static int fault(const reader *r, const uint8_t *at, int error) {
  r->head->error_at = (size_t)(at - r->start);
  return error;
}

static nws_str slice(const uint8_t *from, const uint8_t *to) {
  return nws_str_make((const char *)from, (size_t)(to - from));
}

static inline const uint8_t *skip(const uint8_t *at, const uint8_t *end,
                                  uint8_t mask) {
  while (at < end && (nws__chars[*at] & mask)) {
    at++;
  }
  return at;
}

#define EACH_BYTE(b) ((uint64_t)0x0101010101010101U * (b))

/* The same as skip() for NWS__CHAR_TEXT, eight bytes at a time for as long as
 * none of them is below 0x20 or is DEL. Most of a head is values. The tests
 * for a byte below another and for a zero byte in a word are from Sean Eron
 * Anderson's "Bit Twiddling Hacks". */
static inline const uint8_t *skip_text(const uint8_t *at, const uint8_t *end) {
  while (end - at >= 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    uint64_t del = word ^ EACH_BYTE(0x7f);
    uint64_t hit =
        ((word - EACH_BYTE(0x20)) & ~word) | ((del - EACH_BYTE(0x01)) & ~del);
    if (hit & EACH_BYTE(0x80)) {
      break;
    }
    at += 8;
  }
  return skip(at, end, NWS__CHAR_TEXT);
}

/* Takes CR LF; another byte than these where a line may end is `other`. */
static inline int take_line_end(reader *r, int other) {
  if (r->at == r->end) {
    return NWS_MORE;
  }
  /* A lone LF or CR ends no line here (RFC 9112 2.2). */
  if (*r->at != '\r') {
    return fault(r, r->at, *r->at == '\n' ? NWS_ERROR_HTTP_LINE_END : other);
  }
  r->at++;
  if (r->at == r->end) {
    return NWS_MORE;
  }
  if (*r->at != '\n') {
    return fault(r, r->at, NWS_ERROR_HTTP_LINE_END);
  }
  r->at++;
  return NWS_OK;
}

/* Takes a word of at least one byte of a class, and the space behind it. */
static int take_word(reader *r, uint8_t mask, nws_str *word) {
  const uint8_t *from = r->at;
  const uint8_t *to = skip(from, r->end, mask);
  if (to == r->end) {
    return NWS_MORE;
  }
  if (to == from || *to != ' ') {
    return fault(r, to, NWS_ERROR_HTTP_START_LINE);
  }
  *word = slice(from, to);
  r->at = to + 1;
  return NWS_OK;
}

/* Takes HTTP/1.0 or HTTP/1.1; upper case only (RFC 9112 2.3). */
static int take_version(reader *r) {
  static const char name[] = "HTTP/1.";
  for (size_t i = 0; name[i] != 0; i++, r->at++) {
    if (r->at == r->end) {
      return NWS_MORE;
    }
    if (*r->at == (uint8_t)name[i]) {
      continue;
    }
    int is_major = i == 5 && *r->at >= '0' && *r->at <= '9';
    return fault(r, r->at,
                 is_major ? NWS_ERROR_HTTP_VERSION : NWS_ERROR_HTTP_START_LINE);
  }
  if (r->at == r->end) {
    return NWS_MORE;
  }
  uint8_t minor = *r->at;
  if (minor < '0' || minor > '9') {
    return fault(r, r->at, NWS_ERROR_HTTP_START_LINE);
  }
  if (minor > '1') {
    return fault(r, r->at, NWS_ERROR_HTTP_VERSION);
  }
  r->head->minor = (uint8_t)(minor - '0');
  r->at++;
  return NWS_OK;
}

/* request-line = method SP request-target SP HTTP-version (RFC 9112 3) */
static int request_line(reader *r) {
  int rc = take_word(r, NWS__CHAR_TOKEN, &r->head->method);
  if (rc == NWS_OK) {
    rc = take_word(r, NWS__CHAR_VISIBLE, &r->head->target);
  }
  if (rc == NWS_OK) {
    rc = take_version(r);
  }
  if (rc == NWS_OK) {
    rc = take_line_end(r, NWS_ERROR_HTTP_START_LINE);
  }
  return rc;
}

/* Takes three digits, the first of them not zero (RFC 9110 15). */
static int take_status(reader *r) {
  unsigned status = 0;
  for (int i = 0; i < 3; i++, r->at++) {
    if (r->at == r->end) {
      return NWS_MORE;
    }
    if (*r->at < (i == 0 ? '1' : '0') || *r->at > '9') {
      return fault(r, r->at, NWS_ERROR_HTTP_START_LINE);
    }
    status = status * 10 + (*r->at - '0');
  }
  r->head->status = (uint16_t)status;
  return NWS_OK;
}

/* status-line = HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112 4);
 * servers exist that leave out the second space along with the phrase. */
static int status_line(reader *r) {
  int rc = take_version(r);
  if (rc != NWS_OK) {
    return rc;
  }
  if (r->at == r->end) {
    return NWS_MORE;
  }
  if (*r->at != ' ') {
    return fault(r, r->at, NWS_ERROR_HTTP_START_LINE);
  }
  r->at++;
  rc = take_status(r);
  if (rc != NWS_OK) {
    return rc;
  }
  if (r->at == r->end) {
    return NWS_MORE;
  }
  const uint8_t *from = r->at;
  if (*from == ' ') {
    from++;
    r->at = skip_text(from, r->end);
  }
  r->head->reason = slice(from, r->at);
  return take_line_end(r, NWS_ERROR_HTTP_START_LINE);
}

/* What is wrong with a byte that stands where a header's name should begin. */
static int name_fault(uint8_t byte) {
  if (byte == ' ' || byte == '\t') {
    return NWS_ERROR_HTTP_FOLD; /* RFC 9112 5.2 */
  }
  return byte == '\n' ? NWS_ERROR_HTTP_LINE_END : NWS_ERROR_HTTP_HEADER_NAME;
}

/* field-line = field-name ":" OWS field-value OWS (RFC 9112 5); no white space
 * before the colon (RFC 9112 5.1). */
static inline int take_header(reader *r) {
  const uint8_t *name = r->at, *end = r->end;
  const uint8_t *at = skip(name, end, NWS__CHAR_TOKEN);
  if (at == name) {
    return fault(r, at, name_fault(*at));
  }
  if (r->head->count == r->head->max_headers) {
    return fault(r, name, NWS_ERROR_HTTP_COUNT_LIMIT);
  }
  if (at == end) {
    return NWS_MORE;
  }
  if (*at != ':') {
    return fault(r, at, NWS_ERROR_HTTP_HEADER_NAME);
  }
  nws_header *header = &r->head->headers[r->head->count];
  header->name = slice(name, at);
  at++;
  while (at < end && (*at == ' ' || *at == '\t')) {
    at++;
  }
  const uint8_t *value = at;
  at = skip_text(at, end);
  r->at = at;
  int rc = take_line_end(r, NWS_ERROR_HTTP_HEADER_VALUE);
  if (rc != NWS_OK) {
    return rc;
  }
  while (at > value && (at[-1] == ' ' || at[-1] == '\t')) {
    at--;
  }
  header->value = slice(value, at);
  r->head->count++;
  return NWS_OK;
}

static int parse_head(reader *r, start_line *first) {
  nws_http_head *head = r->head;
  head->len = 0;
  head->count = 0;
  int rc = first(r);
  if (rc != NWS_OK) {
    return rc;
  }
  head->len = (size_t)(r->at - r->start);
  while (rc == NWS_OK) {
    if (r->at == r->end) {
      return NWS_MORE;
    }
    if (*r->at == '\r') {
      break;
    }
    rc = take_header(r);
  }
  if (rc == NWS_OK) {
    rc = take_line_end(r, NWS_ERROR_HTTP_LINE_END);
  }
  if (rc == NWS_OK) {
    head->len = (size_t)(r->at - r->start);
  }
  return rc;
}

/* Says whether bytes `from` to `to` can end the waiting: the start line is now
 * whole, the blank line has come, or a byte that no head can hold. All but the
 * first of these give a final answer. `from` is at least 1; the byte before it
 * is looked at again, in case it is a CR. Until the answer is final, head->len
 * is 0 for as long as the start line is not whole. */
static int worth_parsing(const nws_http_head *head, const uint8_t *data,
                         size_t from, size_t to) {
  for (size_t i = from - 1; i < to; i++) {
    if (nws__chars[data[i]] & NWS__CHAR_TEXT) {
      continue;
    }
    if (data[i] == '\r') {
      if (i + 1 < to && data[i + 1] != '\n') {
        return 1;
      }
    } else if (data[i] != '\n' || i < 2 || head->len == 0 ||
               data[i - 1] != '\r' || data[i - 2] == '\n') {
      return 1;
    }
  }
  return 0;
}

static int parse(nws_http_head *head, const char *data, size_t len,
                 start_line *first) {
  if (head == NULL || (data == NULL && len > 0) || len < head->scanned ||
      (head->headers == NULL && head->max_headers > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (len == 0) {
    return NWS_MORE;
  }
  size_t max = head->max_head ? head->max_head : NWS_HTTP_MAX_HEAD_DEFAULT;
  size_t seen = len < max ? len : max;
  const uint8_t *bytes = (const uint8_t *)data;
  if (head->scanned > 0 && seen < max &&
      !worth_parsing(head, bytes, head->scanned, seen)) {
    head->scanned = seen;
    return NWS_MORE;
  }
  reader r = {bytes, bytes, bytes + seen, head};
  int rc = parse_head(&r, first);
  if (rc != NWS_MORE) {
    return rc;
  }
  if (seen == max) {
    return fault(&r, bytes + max, NWS_ERROR_HTTP_HEAD_LIMIT);
  }
  head->scanned = seen;
  return NWS_MORE;
}

int nws_http_parse_request(nws_http_head *head, const char *data, size_t len) {
  return parse(head, data, len, request_line);
}

int nws_http_parse_response(nws_http_head *head, const char *data, size_t len) {
  return parse(head, data, len, status_line);
}
