/* fuzz_start.c - harness: what is written into heads. Whatever an application
 * puts into its fields, a request that is written is one that our server reads,
 * with exactly the headers that were asked for, and so are responses: no field
 * can end a line or start another header.
 */
#include "fuzz_shake.h"

#include <string.h>

enum { OUT_MAX = 4096, FIXED_REQUEST = 5, FIXED_RESPONSE = 3 };

/* A text of up to 22 bytes, or none. */
static nws_str text(fuzz_cursor *c) {
  size_t len = fuzz_u8(c) % 24;
  if (len == 23) {
    return nws_str_make(NULL, 0);
  }
  const uint8_t *from = fuzz_take(c, &len);
  return nws_str_make(fuzz_copy(from, len), len);
}

static size_t texts(fuzz_cursor *c, nws_str *out, size_t cap) {
  const size_t count = fuzz_u8(c) % (cap + 1);
  for (size_t i = 0; i < count; i++) {
    out[i] = text(c);
  }
  return count;
}

static size_t headers(fuzz_cursor *c, nws_header *out, size_t cap) {
  const size_t count = fuzz_u8(c) % (cap + 1);
  for (size_t i = 0; i < count; i++) {
    out[i].name = text(c);
    out[i].value = text(c);
  }
  return count;
}

static void address(fuzz_cursor *c, nws_uri *uri) {
  const unsigned how = fuzz_u8(c);
  memset(uri, 0, sizeof(*uri));
  uri->secure = how & 1;
  uri->ipv6 = how >> 1 & 1;
  uri->port = (uint16_t)(how & 4 ? 80 : fuzz_u16(c));
  uri->host = how & 8 ? nws_str_of("h") : text(c);
  uri->ipv6 = how & 8 ? 0 : uri->ipv6;
  uri->path = how & 16 ? nws_str_of("/") : text(c);
  uri->query = how & 32 ? nws_str_make(NULL, 0) : text(c);
}

/* The server's answer, with headers of its own, read by the client. */
static void answer(fuzz_cursor *c, nws_client_handshake *client,
                   nws_server_handshake *server) {
  nws_header more[2];
  nws_acceptance how = {.size = sizeof(how), .headers = more};
  char out[OUT_MAX];
  size_t len;
  how.header_count = headers(c, more, 2);
  const size_t fixed =
      FIXED_RESPONSE + (server->subprotocol.ptr != NULL ? 1u : 0u);
  const int rc =
      nws_server_handshake_accept(server, &how, out, sizeof(out) - 2, &len);
  if (rc != NWS_OK) {
    FUZZ_CHECK(rc == NWS_ERROR_FIELD || rc == NWS_ERROR_HEADER_RESERVED ||
               rc == NWS_ERROR_ARGUMENT);
    return;
  }
  memcpy(out + len, "\x81\x00", 2); /* a frame right behind it */
  FUZZ_CHECK(nws_client_handshake_read(client, out, len + 2) == NWS_OK);
  FUZZ_CHECK(client->head.len == len);
  FUZZ_CHECK(client->head.count == fixed + how.header_count);
  FUZZ_CHECK(nws_str_equal(client->subprotocol, server->subprotocol));
}

static void shake(fuzz_cursor *c) {
  static nws_client_handshake client;
  static nws_server_handshake server;
  nws_uri uri;
  nws_header more[3];
  nws_str subprotocols[3];
  fuzz_random random;
  char out[OUT_MAX];
  size_t len = 0;
  nws_client_offer offer = {.size = sizeof(offer), .uri = &uri};
  nws_server_policy policy = {.size = sizeof(policy),
                              .origin = NWS_ORIGIN_ANY,
                              .subprotocols = subprotocols};
  address(c, &uri);
  fuzz_random_init(&random, 1, 0);
  offer.headers = more;
  offer.header_count = headers(c, more, 3);
  offer.subprotocols = subprotocols;
  offer.subprotocol_count = texts(c, subprotocols, 3);
  policy.subprotocol_count = offer.subprotocol_count;
  offer.origin = fuzz_u8(c) & 1 ? text(c) : nws_str_make(NULL, 0);
  int rc = nws_client_handshake_start(&client, &offer, &random.source, out,
                                      sizeof(out), &len);
  if (rc != NWS_OK) {
    FUZZ_CHECK(rc == NWS_ERROR_FIELD || rc == NWS_ERROR_HEADER_RESERVED ||
               rc == NWS_ERROR_ARGUMENT);
    return;
  }
  memset(&server, 0, sizeof(server));
  rc = nws_server_handshake_read(&server, &policy, out, len);
  FUZZ_CHECK(rc == NWS_OK);
  FUZZ_CHECK(server.head.len == len);
  FUZZ_CHECK(server.head.count == FIXED_REQUEST + offer.header_count +
                                      (offer.origin.ptr != NULL ? 1u : 0u) +
                                      (offer.subprotocol_count > 0 ? 1u : 0u));
  FUZZ_CHECK(nws_str_equal(server.path, uri.path));
  FUZZ_CHECK(nws_str_equal(server.query, uri.query));
  FUZZ_CHECK(nws_str_equal(server.origin, offer.origin));
  FUZZ_CHECK(offer.subprotocol_count == 0 ||
             nws_str_equal(server.subprotocol, subprotocols[0]));
  answer(c, &client, &server);
}

static void reject(fuzz_cursor *c) {
  nws_header more[2];
  nws_rejection why = {.size = sizeof(why), .headers = more};
  char out[OUT_MAX];
  size_t len;
  const unsigned how = fuzz_u8(c);
  why.status = how & 1 ? 100 + fuzz_u8(c) * 2 : 0;
  why.error = NWS_ERROR_HTTP_START_LINE - (int)(how >> 1) % 30;
  why.reason = text(c);
  why.body = text(c);
  why.header_count = headers(c, more, 2);
  const int rc = nws_server_handshake_reject(&why, out, sizeof(out), &len);
  if (rc != NWS_OK) {
    FUZZ_CHECK(rc == NWS_ERROR_FIELD || rc == NWS_ERROR_HEADER_RESERVED ||
               rc == NWS_ERROR_ARGUMENT);
    return;
  }
  const unsigned status = fuzz_shake_status(out, len);
  FUZZ_CHECK(status >= 200 && status <= 599);
  FUZZ_CHECK(why.status == 0 || status == why.status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  fuzz_cursor c = {data, len};
  fuzz_begin();
  if (fuzz_u8(&c) % 4) {
    shake(&c);
  } else {
    reject(&c);
  }
  return 0;
}
