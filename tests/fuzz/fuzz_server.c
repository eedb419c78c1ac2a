/* fuzz_server.c - harness: a server's handshake. A request that drips in gives
 * the same verdict as a whole one; what is read well can be accepted in exactly
 * the room that is said, and what is not can be rejected.
 */
#include "fuzz_shake.h"

#include <string.h>

typedef struct side {
  nws_server_policy policy;
  nws_acceptance how;
  nws_server_handshake hs;
} side;

static const nws_str subprotocols[] = {{"chat", 4}, {"v2", 2}};
static const nws_str origins[] = {{"https://a.example", 17}, {"null", 4}};

static void configure(side *s, unsigned how) {
  memset(s, 0, sizeof(*s));
  s->policy = (nws_server_policy){.size = sizeof(s->policy),
                                  .origin = (nws_origin_policy)(how % 3),
                                  .origins = origins,
                                  .origin_count = 2,
                                  .require_origin = how >> 2 & 1,
                                  .subprotocols = subprotocols,
                                  .subprotocol_count = 2,
                                  .require_subprotocol = how >> 3 & 1,
                                  .extensions = fuzz_shakers,
                                  .extension_count = 2,
                                  .max_head = how & 128 ? 300 : FUZZ_HEAD_MAX};
  s->how.size = sizeof(s->how);
  s->how.no_extensions = how >> 4 & 1;
  s->how.subprotocol = how & 32 ? subprotocols[1] : nws_str_make(NULL, 0);
}

/* What is offered is what stands in the headers. */
static void check_offered(const nws_server_handshake *hs) {
  const nws_str wanted = nws_str_of("Sec-WebSocket-Protocol");
  size_t cursor = 0, offered = 0, listed = 0;
  nws_str name;
  while (nws_server_handshake_offered(hs, &cursor, &name)) {
    FUZZ_CHECK(nws_http_token_valid(name));
    offered++;
  }
  for (size_t i = 0; i < hs->head.count; i++) {
    nws_str rest = hs->head.headers[i].value;
    if (!nws_str_equal_nocase(hs->head.headers[i].name, wanted)) {
      continue;
    }
    while (nws_list_next(&rest, &name)) {
      listed++;
    }
  }
  FUZZ_CHECK(offered == listed);
}

static void accept(side *s) {
  size_t need = 0, len = 0;
  nws_server_handshake *hs = &s->hs;
  int rc = nws_server_handshake_accept(hs, &s->how, NULL, 0, &need);
  if (rc != NWS_ERROR_BUFFER) {
    FUZZ_CHECK(rc == NWS_ERROR_NOT_OFFERED || rc == NWS_ERROR_LENGTH);
    FUZZ_CHECK(fuzz_shaking == 0);
    return;
  }
  FUZZ_CHECK(fuzz_shaking == 0);
  char *out = fuzz_block(need);
  rc = nws_server_handshake_accept(hs, &s->how, out, need - 1, &len);
  FUZZ_CHECK(rc == NWS_ERROR_BUFFER && len == need && fuzz_shaking == 0);
  rc = nws_server_handshake_accept(hs, &s->how, out, need, &len);
  FUZZ_CHECK(rc == NWS_OK && len == need);
  FUZZ_CHECK(fuzz_shake_status(out, len) == 101);
  FUZZ_CHECK(fuzz_shaking == hs->extension_count);
  FUZZ_CHECK(hs->extension_count == 0 || !s->how.no_extensions);
  nws_extension_release(hs->extensions, hs->extension_count);
  FUZZ_CHECK(fuzz_shaking == 0);
  rc = nws_server_handshake_accept(hs, &s->how, out, need, &len);
  FUZZ_CHECK(rc == NWS_ERROR_STATE);
}

static void reject(side *s, int error) {
  const nws_rejection why = {.size = sizeof(why), .error = error};
  size_t need = 0, len = 0;
  FUZZ_CHECK(nws_server_handshake_accept(&s->hs, NULL, NULL, 0, &len) ==
             NWS_ERROR_STATE);
  FUZZ_CHECK(nws_server_handshake_reject(&why, NULL, 0, &need) ==
             NWS_ERROR_BUFFER);
  char *out = fuzz_block(need);
  FUZZ_CHECK(nws_server_handshake_reject(&why, out, need, &len) == NWS_OK);
  FUZZ_CHECK(len == need);
  const unsigned status = fuzz_shake_status(out, len);
  FUZZ_CHECK(status == nws_error_get(error)->http_status && status >= 400);
}

static int read_whole(side *s, const char *data, size_t len) {
  const int rc = nws_server_handshake_read(&s->hs, &s->policy, data, len);
  FUZZ_CHECK(rc >= 0 || s->hs.error_at <= len);
  FUZZ_CHECK(rc != NWS_OK || (s->hs.head.len <= len && s->hs.key.len == 24 &&
                              s->hs.path.len > 0 && s->hs.path.ptr[0] == '/'));
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
  return nws_server_handshake_read(&s->hs, &s->policy,
                                   fuzz_shake_full(data, len), FUZZ_HEAD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static side a, b;
  fuzz_cursor c = {data, len};
  fuzz_begin();
  fuzz_shaking = 0;
  const unsigned how = fuzz_u8(&c), seed = fuzz_u8(&c);
  configure(&a, how);
  configure(&b, how);
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
    FUZZ_CHECK(a.hs.head.len == b.hs.head.len);
    FUZZ_CHECK(nws_str_equal(a.hs.subprotocol, b.hs.subprotocol));
    FUZZ_CHECK(nws_str_equal(a.hs.host, b.hs.host));
    check_offered(&a.hs);
    accept(&a);
    accept(&b);
  } else if (whole < 0) {
    reject(&a, whole);
  }
  return 0;
}
