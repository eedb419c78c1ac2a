/* fuzz_http.c - harness: heads of HTTP/1.1 that drip in give the same verdict
 * as whole ones, what is accepted holds no byte that other parsers could read
 * differently, and lists end.
 */
#include "fuzz.h"

#include <string.h>
#include <nws/error.h>
#include <nws/extension.h>
#include <nws/handshake.h>
#include <nws/http.h>

enum { HEADERS_MAX = 8 };

typedef int parse(nws_http_head *head, const char *data, size_t len);

/* The same slice of two copies of a text. */
static int same(nws_str a, const char *in_a, nws_str b, const char *in_b) {
  return a.len == b.len && (a.ptr == NULL) == (b.ptr == NULL) &&
         (a.ptr == NULL || a.ptr - in_a == b.ptr - in_b);
}

static void check_same(const nws_http_head *a, const char *in_a,
                       const nws_http_head *b, const char *in_b) {
  FUZZ_CHECK(a->len == b->len && a->count == b->count);
  FUZZ_CHECK(a->minor == b->minor && a->status == b->status);
  FUZZ_CHECK(same(a->method, in_a, b->method, in_b));
  FUZZ_CHECK(same(a->target, in_a, b->target, in_b));
  FUZZ_CHECK(same(a->reason, in_a, b->reason, in_b));
  for (size_t i = 0; i < a->count; i++) {
    FUZZ_CHECK(same(a->headers[i].name, in_a, b->headers[i].name, in_b));
    FUZZ_CHECK(same(a->headers[i].value, in_a, b->headers[i].value, in_b));
    FUZZ_CHECK(nws_http_token_valid(a->headers[i].name));
    FUZZ_CHECK(nws_http_value_valid(a->headers[i].value));
  }
}

/* RFC 9112 2.2, 11.2: nothing that could be read as the end of a line by one
 * and not by another. */
static void check_bytes(const nws_http_head *head, const char *data) {
  for (size_t i = 0; i < head->len; i++) {
    FUZZ_CHECK(data[i] != 0);
    FUZZ_CHECK(data[i] != '\n' || (i > 0 && data[i - 1] == '\r'));
    FUZZ_CHECK(data[i] != '\r' || data[i + 1] == '\n');
  }
  FUZZ_CHECK(memcmp(data + head->len - 4, "\r\n\r\n", 4) == 0);
}

/* A fault that a whole text shows at once may show later when it drips in: at
 * the latest when the head is as long as it may be. */
static int fill_up(parse *how, nws_http_head *head, const char *data,
                   size_t len) {
  const size_t most =
      head->max_head ? head->max_head : NWS_HTTP_MAX_HEAD_DEFAULT;
  char *full = fuzz_block(len < most ? most : len);
  memcpy(full, data, len);
  if (len < most) {
    memset(full + len, 'a', most - len);
  }
  return how(head, full, len < most ? most : len);
}

/* In pieces, each time in memory that is new and ends with the last byte. */
static int drip(parse *how, nws_http_head *head, const char *data, size_t len,
                uint32_t seed, char **copy) {
  const size_t steps = 1 + seed % 61;
  int rc = NWS_MORE;
  for (size_t at = 0; at < len && rc == NWS_MORE;) {
    at += 1 + fuzz_next(&seed) % steps;
    at = at < len ? at : len;
    if (fuzz_room() < 3 * len) {
      at = len;
    }
    *copy = fuzz_copy(data, at);
    rc = how(head, *copy, at);
    FUZZ_CHECK(head->scanned <= at);
  }
  return rc;
}

static void head(fuzz_cursor *c) {
  nws_header rooms[3][HEADERS_MAX];
  const uint32_t seed = fuzz_u16(c);
  const unsigned how = fuzz_u8(c);
  parse *parser = how & 1 ? nws_http_parse_response : nws_http_parse_request;
  const nws_http_head empty = {.max_headers = (how >> 1) % (HEADERS_MAX + 1),
                               .max_head = fuzz_u8(c) * 4u};
  nws_http_head a = empty, b = empty, prefix = empty;
  const size_t len = c->len;
  const char *data = fuzz_copy(c->data, len);
  char *copy = NULL;
  a.headers = rooms[0];
  b.headers = rooms[1];
  prefix.headers = rooms[2];
  const int whole = parser(&a, data, len);
  int dripped = drip(parser, &b, data, len, seed, &copy);
  if (whole < 0 && dripped == NWS_MORE) {
    dripped = fill_up(parser, &b, data, len);
  }
  FUZZ_CHECK(whole == dripped);
  if (whole == NWS_OK) {
    check_same(&a, data, &b, copy);
    check_bytes(&a, data);
  } else if (whole < 0) {
    FUZZ_CHECK(a.error_at == b.error_at && a.error_at <= len);
    FUZZ_CHECK(parser(&prefix, data, a.error_at) == NWS_MORE ||
               whole == NWS_ERROR_HTTP_HEAD_LIMIT);
  }
}

/* --- Lists --- */

/* The rest is always the end of the text, and shrinks. */
static void check_rest(nws_str text, nws_str before, nws_str rest) {
  FUZZ_CHECK(rest.len < before.len);
  FUZZ_CHECK(rest.ptr + rest.len == text.ptr + text.len);
}

static void elements(nws_str text) {
  nws_str rest = text, element, before = text;
  while (nws_list_next(&rest, &element)) {
    FUZZ_CHECK(element.len > 0 && element.ptr >= before.ptr &&
               element.ptr + element.len <= text.ptr + text.len);
    check_rest(text, before, rest);
    before = rest;
  }
  FUZZ_CHECK(rest.len == 0);
}

static void cookies(nws_str text) {
  nws_str rest = text, name, value, before = text;
  while (nws_cookie_next(&rest, &name, &value)) {
    FUZZ_CHECK(name.len + value.len <= before.len);
    check_rest(text, before, rest);
    before = rest;
  }
}

/* An element that was understood is understood alone as well. */
static void check_offer(const nws_extension_offer *offer) {
  nws_extension_offer again;
  nws_str rest = offer->text;
  FUZZ_CHECK(nws_http_token_valid(offer->name));
  FUZZ_CHECK(offer->param_count <= NWS_EXTENSION_PARAMS_MAX);
  for (size_t i = 0; i < offer->param_count; i++) {
    const nws_extension_param *param = &offer->params[i];
    FUZZ_CHECK(nws_http_token_valid(param->name));
    FUZZ_CHECK(param->value.ptr == NULL || param->escaped ||
               nws_http_token_valid(param->value));
  }
  FUZZ_CHECK(nws_extension_offer_next(&rest, &again) == 1);
  FUZZ_CHECK(again.param_count == offer->param_count);
  FUZZ_CHECK(nws_str_equal(again.text, offer->text));
  FUZZ_CHECK(nws_extension_offer_next(&rest, &again) == 0);
}

static void offers(nws_str text) {
  nws_extension_offer offer;
  nws_str rest = text, before = text;
  int rc;
  while ((rc = nws_extension_offer_next(&rest, &offer)) == 1) {
    check_offer(&offer);
    check_rest(text, before, rest);
    before = rest;
  }
  FUZZ_CHECK(rc == 0 || rc == NWS_ERROR_EXTENSION_HEADER);
  FUZZ_CHECK(rest.ptr + rest.len == text.ptr + text.len);
  FUZZ_CHECK(rc < 0 || rest.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static void (*const lists[])(nws_str) = {elements, cookies, offers};
  fuzz_cursor c = {data, len};
  fuzz_begin();
  const unsigned part = fuzz_u8(&c) % 8;
  if (part < 5) {
    head(&c);
  } else {
    lists[part - 5](nws_str_make(fuzz_copy(c.data, c.len), c.len));
  }
  return 0;
}
