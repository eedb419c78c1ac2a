/* fuzz_client.c - harness: a client's handshake. A response that drips in gives
 * the same verdict as a whole one, whatever was offered; and nothing is agreed
 * upon that was not.
 */
#include "fuzz_shake.h"

#include <string.h>

static const nws_str subprotocols[] = {{"chat", 4}, {"v2", 2}};

typedef struct side {
  nws_client_offer offer;
  nws_client_handshake hs;
} side;

/* The key is always the same, so that an input can hold what fits to it. */
static int no_surprise(void *user, void *out, size_t len) {
  (void)user;
  memset(out, 0, len);
  return 0;
}

static void start(side *s, const nws_uri *uri, unsigned how) {
  static const nws_random random = {no_surprise, NULL};
  char out[700];
  size_t len;
  s->offer = (nws_client_offer){.size = sizeof(s->offer),
                                .uri = uri,
                                .subprotocols = subprotocols,
                                .subprotocol_count = how & 1 ? 2 : 0,
                                .extensions = fuzz_shakers,
                                .extension_count = how & 2 ? 2 : 0,
                                .require_subprotocol = how >> 2 & 1,
                                .max_head = how & 8 ? 300 : FUZZ_HEAD_MAX};
  FUZZ_CHECK(nws_client_handshake_start(&s->hs, &s->offer, &random, out,
                                        sizeof(out), &len) == NWS_OK);
}

static int read_whole(side *s, const char *data, size_t len) {
  const int rc = nws_client_handshake_read(&s->hs, data, len);
  FUZZ_CHECK(rc >= 0 || rc == NWS_ERROR_STATUS || s->hs.error_at <= len);
  return rc;
}

static int read_drips(side *s, const char *data, size_t len, uint32_t seed) {
  int rc = NWS_MORE;
  for (size_t at = 0; at < len && rc == NWS_MORE;) {
    at = fuzz_shake_step(at, len, &seed);
    rc = read_whole(s, fuzz_copy(data, at), at);
  }
  return rc;
}

/* A fault that a whole text shows at once may show later when it drips in: at
 * the latest when the head is as long as it may be. */
static int fill_up(side *s, const char *data, size_t len) {
  return nws_client_handshake_read(&s->hs, fuzz_shake_full(data, len),
                                   FUZZ_HEAD_MAX);
}

static void check_agreed(const side *s) {
  const nws_client_handshake *hs = &s->hs;
  FUZZ_CHECK(hs->head.status == 101);
  FUZZ_CHECK(hs->extension_count <= s->offer.extension_count);
  FUZZ_CHECK(hs->subprotocol.ptr == NULL ||
             (s->offer.subprotocol_count > 0 &&
              (nws_str_equal(hs->subprotocol, subprotocols[0]) ||
               nws_str_equal(hs->subprotocol, subprotocols[1]))));
  FUZZ_CHECK(hs->subprotocol.ptr != NULL || !s->offer.require_subprotocol);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static side a, b;
  fuzz_cursor c = {data, len};
  nws_uri uri;
  fuzz_begin();
  fuzz_shaking = 0;
  FUZZ_CHECK(nws_uri_parse(&uri, "ws://h/p?q", 10, NULL) == NWS_OK);
  const unsigned how = fuzz_u8(&c), seed = fuzz_u8(&c);
  start(&a, &uri, how);
  start(&b, &uri, how);
  len = c.len;
  const char *copy = fuzz_copy(c.data, len);
  const int whole = read_whole(&a, copy, len);
  int dripped = read_drips(&b, copy, len, seed);
  if (whole < 0 && dripped == NWS_MORE) {
    dripped = fill_up(&b, copy, len);
  }
  FUZZ_CHECK(dripped == whole);
  FUZZ_CHECK(whole >= 0 || a.hs.error_at == b.hs.error_at);
  if (whole == NWS_OK) {
    check_agreed(&a);
    FUZZ_CHECK(a.hs.head.len <= len && a.hs.head.len == b.hs.head.len);
    FUZZ_CHECK(a.hs.extension_count == b.hs.extension_count);
    FUZZ_CHECK(fuzz_shaking == 2 * a.hs.extension_count);
    nws_extension_release(a.hs.extensions, a.hs.extension_count);
    nws_extension_release(b.hs.extensions, b.hs.extension_count);
  }
  FUZZ_CHECK(whole != NWS_ERROR_STATUS || a.hs.head.status != 101);
  FUZZ_CHECK(fuzz_shaking == 0);
  return 0;
}
