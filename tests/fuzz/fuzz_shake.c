/* fuzz_shake.c - extensions to negotiate, and the reading of what was written.
 */
#include "fuzz_shake.h"

#include <string.h>

size_t fuzz_shaking;

static int put(const char *text, char *out, size_t cap, size_t *len) {
  *len = strlen(text);
  if (*len > cap) {
    return NWS_ERROR_BUFFER;
  }
  memcpy(out, text, *len);
  return NWS_OK;
}

static int offer_x(const nws_extension *ext, char *out, size_t cap) {
  size_t len;
  (void)ext;
  return put("x-a; l=3, x-a", out, cap, &len) == NWS_OK ? (int)len
                                                        : NWS_ERROR_BUFFER;
}

static int offer_y(const nws_extension *ext, char *out, size_t cap) {
  size_t len;
  (void)ext;
  return put("y-b; q=\"v\"", out, cap, &len) == NWS_OK ? (int)len
                                                       : NWS_ERROR_BUFFER;
}

/* Declines odd numbers of parameters. */
static int accept(const nws_extension *ext, const nws_extension_offer *offer,
                  char *out, size_t cap, size_t *len, void **state) {
  FUZZ_CHECK(nws_str_equal_nocase(offer->name, nws_str_of(ext->name)));
  if (offer->param_count & 1 || offer->overflow) {
    return NWS_EXTENSION_DECLINED;
  }
  const int rc = put(ext->name, out, cap, len);
  if (rc == NWS_OK) {
    *state = &fuzz_shaking;
    fuzz_shaking++;
  }
  return rc;
}

static int confirm(const nws_extension *ext, const nws_extension_offer *answer,
                   void **state) {
  FUZZ_CHECK(nws_str_equal_nocase(answer->name, nws_str_of(ext->name)));
  if (answer->param_count > 1) {
    return NWS_ERROR_EXTENSION_HEADER;
  }
  *state = &fuzz_shaking;
  fuzz_shaking++;
  return NWS_OK;
}

static void release(const nws_extension *ext, void *state) {
  (void)ext;
  FUZZ_CHECK(state == &fuzz_shaking && fuzz_shaking > 0);
  fuzz_shaking--;
}

static const nws_extension x = {.size = sizeof(x),
                                .name = "x-a",
                                .rsv = NWS_RSV1,
                                .offer = offer_x,
                                .accept = accept,
                                .confirm = confirm,
                                .release = release};
static const nws_extension y = {.size = sizeof(y),
                                .name = "y-b",
                                .rsv = NWS_RSV2,
                                .offer = offer_y,
                                .accept = accept,
                                .confirm = confirm,
                                .release = release};

const nws_extension *const fuzz_shakers[2] = {&x, &y};

size_t fuzz_shake_step(size_t at, size_t len, uint32_t *seed) {
  const size_t longest = 8 + len / 8;
  at += 1 + fuzz_next(seed) % longest;
  return at < len && fuzz_room() > 4 * len ? at : len;
}

char *fuzz_shake_full(const char *data, size_t len) {
  char *full = fuzz_block(FUZZ_HEAD_MAX);
  len = len < FUZZ_HEAD_MAX ? len : FUZZ_HEAD_MAX;
  memcpy(full, data, len);
  memset(full + len, 'a', FUZZ_HEAD_MAX - len);
  return full;
}

/* Content-Length, which must be digits; `otherwise` without one. */
static size_t body_len(const nws_http_head *head, size_t otherwise) {
  const size_t at = nws_header_find(head->headers, head->count,
                                    nws_str_of("Content-Length"), 0);
  size_t len = 0;
  if (at == head->count) {
    return otherwise;
  }
  const nws_str value = head->headers[at].value;
  FUZZ_CHECK(value.len > 0 && value.len < 9);
  for (size_t i = 0; i < value.len; i++) {
    FUZZ_CHECK(value.ptr[i] >= '0' && value.ptr[i] <= '9');
    len = len * 10 + (size_t)(value.ptr[i] - '0');
  }
  return len;
}

unsigned fuzz_shake_status(const char *data, size_t len) {
  nws_header room[24];
  nws_http_head head = {.headers = room, .max_headers = 24};
  FUZZ_CHECK(nws_http_parse_response(&head, data, len) == NWS_OK);
  FUZZ_CHECK(head.len + body_len(&head, 0) == len);
  return head.status;
}
