/* handshake_cookie.c - cookies of a request (RFC 6265 4.2.1), which is how most
 * servers know who is connecting. Read leniently, for cookies come from
 * elsewhere: what is no pair is skipped.
 */
#include "handshake_internal.h"

static nws_str trim(nws_str text) {
  while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
    text = nws_str_make(text.ptr + 1, text.len - 1);
  }
  while (text.len > 0 &&
         (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
    text.len--;
  }
  return text;
}

/* The offset of a byte, or the text's length. */
static size_t find(nws_str text, char byte) {
  size_t at = 0;
  while (at < text.len && text.ptr[at] != byte) {
    at++;
  }
  return at;
}

static nws_str unquote(nws_str text) {
  if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"') {
    return nws_str_make(text.ptr + 1, text.len - 2);
  }
  return text;
}

int nws_cookie_next(nws_str *rest, nws_str *name, nws_str *value) {
  while (rest->len > 0 && nws_str_sound(*rest)) {
    size_t end = find(*rest, ';');
    size_t next = end < rest->len ? end + 1 : end;
    nws_str piece = nws_str_make(rest->ptr, end);
    size_t equals = find(piece, '=');
    *rest = nws_str_make(rest->ptr + next, rest->len - next);
    if (equals == piece.len) {
      continue;
    }
    *name = trim(nws_str_make(piece.ptr, equals));
    *value = unquote(
        trim(nws_str_make(piece.ptr + equals + 1, piece.len - equals - 1)));
    return 1;
  }
  return 0;
}

/* HTTP/2 may have split Cookie into several headers (RFC 9113 8.2.3). */
nws_str nws_server_handshake_cookie(const nws_server_handshake *hs,
                                    nws_str name) {
  nws_str header = NWS__STR("Cookie");
  if (hs == NULL) {
    return nws_str_make(NULL, 0);
  }
  const nws_header *headers = hs->head.headers;
  size_t count = hs->head.count;
  for (size_t i = nws_header_find(headers, count, header, 0); i < count;
       i = nws_header_find(headers, count, header, i + 1)) {
    nws_str rest = headers[i].value, found, value;
    while (nws_cookie_next(&rest, &found, &value)) {
      if (nws_str_equal(found, name)) {
        return value;
      }
    }
  }
  return nws_str_make(NULL, 0);
}
