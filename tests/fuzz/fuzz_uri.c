/* fuzz_uri.c - harness: addresses. What is refused is refused at a byte of the
 * text; what is accepted can be asked for, and a server reads it back; and IPv6
 * addresses are those that the system's own reader knows.
 */
#include "fuzz_shake.h"

#include <arpa/inet.h>
#include <string.h>
#include "../../src/codec/uri_internal.h"

/* A slice of the text, or the static one for an empty path. */
static void check_inside(nws_str part, nws_str text) {
  FUZZ_CHECK(
      part.ptr == NULL ||
      (part.ptr >= text.ptr && part.ptr + part.len <= text.ptr + text.len) ||
      (part.len == 1 && *part.ptr == '/'));
}

static void check_parts(const nws_uri *uri, nws_str text) {
  check_inside(uri->userinfo, text);
  check_inside(uri->host, text);
  check_inside(uri->path, text);
  check_inside(uri->query, text);
  FUZZ_CHECK(uri->port > 0 && uri->host.len > 0);
  FUZZ_CHECK(uri->path.len > 0 && uri->path.ptr[0] == '/');
  FUZZ_CHECK(uri->default_port == (uri->port == (uri->secure ? 443 : 80)));
}

static void ask(const nws_uri *uri) {
  static nws_client_handshake client;
  static nws_server_handshake server;
  nws_client_offer offer = {.size = sizeof(offer), .uri = uri};
  fuzz_random random;
  char out[4096];
  size_t len;
  fuzz_random_init(&random, 1, 0);
  int rc = nws_client_handshake_start(&client, &offer, &random.source, out,
                                      sizeof(out), &len);
  if (rc != NWS_OK) {
    FUZZ_CHECK(rc == NWS_ERROR_BUFFER);
    return;
  }
  memset(&server, 0, sizeof(server));
  rc = nws_server_handshake_read(&server, NULL, out, len);
  FUZZ_CHECK(rc == NWS_OK && server.head.len == len);
  FUZZ_CHECK(nws_str_equal(server.path, uri->path));
  FUZZ_CHECK(nws_str_equal(server.query, uri->query));
  FUZZ_CHECK((server.query.ptr == NULL) == (uri->query.ptr == NULL));
}

static void whole(fuzz_cursor *c) {
  const nws_str text = nws_str_make(fuzz_copy(c->data, c->len), c->len);
  nws_uri uri;
  size_t bad_at = SIZE_MAX;
  const int rc = nws_uri_parse(&uri, text.ptr, text.len, &bad_at);
  if (rc != NWS_OK) {
    FUZZ_CHECK(rc <= NWS_ERROR_URI_SCHEME && rc >= NWS_ERROR_URI_FRAGMENT);
    FUZZ_CHECK(bad_at <= text.len);
    return;
  }
  check_parts(&uri, text);
  ask(&uri);
}

/* Text of the letters that IPv6 addresses have, in brackets. */
static void ipv6(fuzz_cursor *c) {
  static const char letters[] = "0123456789abcDEF::::.:1.";
  char text[64] = "[";
  size_t len = 1;
  nws_uri uri = {0};
  size_t bad_at;
  struct in6_addr address;
  while (c->len > 0 && len < sizeof(text) - 2) {
    text[len++] = letters[fuzz_u8(c) % (sizeof(letters) - 1)];
  }
  text[len++] = ']';
  const nws_str copy = nws_str_make(fuzz_copy(text, len), len);
  const int ours = nws__uri_parse_authority(&uri, copy, &bad_at) == NWS_OK;
  text[len - 1] = '\0';
  FUZZ_CHECK(ours == (inet_pton(AF_INET6, text + 1, &address) == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  fuzz_cursor c = {data, len};
  fuzz_begin();
  if (len > 0 && data[0] == '[') {
    fuzz_u8(&c);
    ipv6(&c);
  } else {
    whole(&c);
  }
  return 0;
}
