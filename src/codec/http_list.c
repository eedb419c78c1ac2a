/* http_list.c - the pieces of header values: lists, tokens, text (RFC 9110 5).
 */
#include <nws/http.h>
#include "chars.h"

static int is_blank(char c) {
  return c == ' ' || c == '\t';
}

static int all_of(nws_str text, uint8_t mask) {
  for (size_t i = 0; i < text.len; i++) {
    if (!(nws__chars[(uint8_t)text.ptr[i]] & mask)) {
      return 0;
    }
  }
  return 1;
}

size_t nws_header_find(const nws_header *headers, size_t count, nws_str name,
                       size_t from) {
  for (size_t i = from; i < count; i++) {
    if (nws_str_equal_nocase(headers[i].name, name)) {
      return i;
    }
  }
  return count;
}

/* The offset of the comma that ends the element which starts at `at`, or the
 * text's length; one in a quoted string ends nothing (RFC 9110 5.6.4). */
static size_t element_end(nws_str text, size_t at) {
  int quoted = 0;
  for (; at < text.len; at++) {
    char c = text.ptr[at];
    if (c == '"') {
      quoted = !quoted;
    } else if (quoted && c == '\\' && at + 1 < text.len) {
      at++;
    } else if (!quoted && c == ',') {
      break;
    }
  }
  return at;
}

int nws_list_next(nws_str *rest, nws_str *element) {
  nws_str text = *rest;
  size_t begin = 0;
  if (!nws_str_sound(text)) {
    return 0;
  }
  /* Empty elements are to be ignored (RFC 9110 5.6.1.2). */
  while (begin < text.len &&
         (is_blank(text.ptr[begin]) || text.ptr[begin] == ',')) {
    begin++;
  }
  if (begin == text.len) {
    if (text.len > 0) {
      *rest = nws_str_make(text.ptr + text.len, 0);
    }
    return 0;
  }
  size_t end = element_end(text, begin);
  size_t next = end < text.len ? end + 1 : end;
  *rest = nws_str_make(text.ptr + next, text.len - next);
  while (is_blank(text.ptr[end - 1])) {
    end--;
  }
  *element = nws_str_make(text.ptr + begin, end - begin);
  return 1;
}

int nws_http_token_valid(nws_str text) {
  return text.len > 0 && all_of(text, NWS__CHAR_TOKEN);
}

int nws_http_value_valid(nws_str text) {
  if (text.len == 0) {
    return 1;
  }
  if (is_blank(text.ptr[0]) || is_blank(text.ptr[text.len - 1])) {
    return 0;
  }
  return all_of(text, NWS__CHAR_TEXT);
}
