/* handshake_client.c - the client's side of the opening handshake (RFC 6455
 * 4.1): the request is composed from checked fields, the response is held
 * against what was asked.
 *
 * Nothing is written and no randomness drawn before all is known to be right
 * and to fit. Until the answer is there, hs->extensions tells which extensions
 * were really offered, with hs->extension_count still at 0.
 */
#include <nws/digest.h>
#include <string.h>
#include "../codec/chars.h"
#include "../codec/uri_internal.h"
#include "handshake_internal.h"

/* What start composes in hs->text. */
typedef struct request {
  nws_str host;
  nws_str subprotocols;
  nws_str extensions;
} request;

/* --- Checks of what the caller gave --- */

static int check_arguments(const nws_client_offer *offer,
                           const nws_random *random) {
  if (offer == NULL || offer->size != sizeof *offer || offer->uri == NULL ||
      offer->uri->port == 0 || random == NULL || random->fill == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (offer->subprotocols == NULL && offer->subprotocol_count > 0) {
    return NWS_ERROR_ARGUMENT;
  }
  if (offer->header_room != NULL && offer->max_headers == 0) {
    return NWS_ERROR_ARGUMENT;
  }
  return nws__extension_check(offer->extensions, offer->extension_count,
                              NWS_ROLE_CLIENT);
}

/* A URI may have been put together by hand, so its parts are checked again. */
static int check_target(const nws_uri *uri, size_t *bad_at) {
  int cut;
  *bad_at = 0;
  if (uri->path.ptr == NULL || (uri->query.ptr == NULL && uri->query.len > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (uri->path.len == 0 || uri->path.ptr[0] != '/') {
    return NWS_ERROR_FIELD;
  }
  *bad_at =
      nws__chars_skip(uri->path.ptr, uri->path.len, 0, NWS__CHAR_PATH, &cut);
  if (cut || *bad_at < uri->path.len) {
    return NWS_ERROR_FIELD;
  }
  *bad_at =
      nws__chars_skip(uri->query.ptr, uri->query.len, 0, NWS__CHAR_QUERY, &cut);
  return cut || *bad_at < uri->query.len ? NWS_ERROR_FIELD : NWS_OK;
}

/* RFC 6454 7.1 has no other bytes in an origin. */
static int check_origin(nws_str origin, size_t *bad_at) {
  *bad_at = 0;
  if (origin.ptr != NULL && origin.len == 0) {
    return NWS_ERROR_FIELD;
  }
  return nws__write_check(origin, NWS__CHAR_VISIBLE, bad_at);
}

/* --- Composing --- */

static int write_host(const nws_uri *uri, nws__text *text) {
  char digits[20];
  int rc = uri->ipv6 ? nws__text_add(text, NWS__STR("[")) : NWS_OK;
  if (rc == NWS_OK) {
    rc = nws__text_add(text, uri->host);
  }
  if (rc == NWS_OK && uri->ipv6) {
    rc = nws__text_add(text, NWS__STR("]"));
  }
  if (rc != NWS_OK || uri->port == (uri->secure ? 443 : 80)) {
    return rc;
  }
  rc = nws__text_add(text, NWS__STR(":"));
  return rc != NWS_OK
             ? rc
             : nws__text_add(text, nws__write_decimal(uri->port, digits));
}

/* Says whether what was written is the host and nothing but the host. */
static int check_host(const nws_uri *uri, nws_str host, size_t *bad_at) {
  nws_uri parsed = {0};
  size_t bracket = uri->ipv6 ? 1 : 0, at = 0;
  int rc = nws__uri_parse_authority(&parsed, host, &at);
  int is_alike = !parsed.ipv6 == !uri->ipv6;
  if (rc == NWS_OK && is_alike && parsed.host.len == uri->host.len) {
    return NWS_OK;
  }
  /* Something in the host has ended it, unless it was no host to begin with. */
  if (parsed.host.ptr != NULL) {
    at = parsed.host.len + bracket;
  }
  if (!is_alike) {
    at = 0;
  }
  *bad_at = at > bracket ? at - bracket : 0;
  return NWS_ERROR_FIELD;
}

/* Host carries the port only when it is not the scheme's own (RFC 6455 4.1).
 * The result is parsed, so that the host can hold nothing but a host. */
static int compose_host(const nws_uri *uri, nws__text *text, nws_str *host,
                        size_t *bad_at) {
  size_t from = text->len;
  int rc = uri->host.ptr != NULL ? write_host(uri, text) : NWS_ERROR_ARGUMENT;
  if (rc != NWS_OK) {
    return rc;
  }
  *host = nws_str_make(text->ptr + from, text->len - from);
  return check_host(uri, *host, bad_at);
}

/* RFC 6455 4.1: the names MUST be tokens and unique. */
static int compose_subprotocols(const nws_client_offer *offer, nws__text *text,
                                size_t *bad_at) {
  for (size_t i = 0; i < offer->subprotocol_count; i++) {
    nws_str name = offer->subprotocols[i];
    *bad_at = 0;
    int rc = name.len > 0 ? nws__write_check(name, NWS__CHAR_TOKEN, bad_at)
                          : NWS_ERROR_FIELD;
    for (size_t j = 0; rc == NWS_OK && j < i; j++) {
      if (nws_str_equal(name, offer->subprotocols[j])) {
        rc = NWS_ERROR_ARGUMENT;
      }
    }
    if (rc == NWS_OK && i > 0) {
      rc = nws__text_add(text, NWS__STR(", "));
    }
    if (rc == NWS_OK) {
      rc = nws__text_add(text, name);
    }
    if (rc != NWS_OK) {
      return rc;
    }
  }
  return NWS_OK;
}

static int compose(nws_client_handshake *hs, const nws_client_offer *offer,
                   request *req) {
  nws__text text = {hs->text, 0, sizeof hs->text};
  int rc = check_target(offer->uri, &hs->error_at);
  if (rc == NWS_OK) {
    rc = compose_host(offer->uri, &text, &req->host, &hs->error_at);
  }
  if (rc == NWS_OK) {
    rc = check_origin(offer->origin, &hs->error_at);
  }
  if (rc == NWS_OK) {
    rc = nws__write_check_headers(offer->headers, offer->header_count,
                                  &hs->error_at);
  }
  if (rc != NWS_OK) {
    return rc;
  }
  nws__text part = {text.ptr + text.len, 0, text.cap - text.len};
  rc = compose_subprotocols(offer, &part, &hs->error_at);
  if (rc != NWS_OK) {
    return rc;
  }
  req->subprotocols = nws_str_make(part.ptr, part.len);
  part = (nws__text){part.ptr + part.len, 0, part.cap - part.len};
  rc = nws__extension_offer(offer, &part, hs->extensions, &hs->error_at);
  req->extensions = nws_str_make(part.ptr, part.len);
  return rc;
}

/* --- Writing --- */

static void emit(nws__sink *sink, const nws_client_handshake *hs,
                 const nws_client_offer *offer, const request *req) {
  const nws_uri *uri = offer->uri;
  nws__sink_text(sink, NWS__STR("GET "));
  nws__sink_text(sink, uri->path);
  if (uri->query.ptr != NULL) {
    nws__sink_text(sink, NWS__STR("?"));
    nws__sink_text(sink, uri->query);
  }
  nws__sink_text(sink, NWS__STR(" HTTP/1.1\r\n"));
  nws__sink_header(sink, NWS__STR("Host"), req->host);
  nws__sink_header(sink, NWS__STR("Upgrade"), NWS__STR("websocket"));
  nws__sink_header(sink, NWS__STR("Connection"), NWS__STR("Upgrade"));
  nws__sink_header(sink, NWS__STR("Sec-WebSocket-Key"),
                   nws_str_make(hs->key, sizeof hs->key));
  nws__sink_header(sink, NWS__STR("Sec-WebSocket-Version"), NWS__STR("13"));
  if (offer->origin.ptr != NULL) {
    nws__sink_header(sink, NWS__STR("Origin"), offer->origin);
  }
  if (req->subprotocols.len > 0) {
    nws__sink_header(sink, NWS__STR("Sec-WebSocket-Protocol"),
                     req->subprotocols);
  }
  if (req->extensions.len > 0) {
    nws__sink_header(sink, NWS__STR("Sec-WebSocket-Extensions"),
                     req->extensions);
  }
  nws__sink_headers(sink, offer->headers, offer->header_count);
  nws__sink_text(sink, NWS__STR("\r\n"));
}

/* RFC 6455 4.1: a nonce of 16 random bytes, in base64, fresh each time. */
static int draw_key(nws_client_handshake *hs, const nws_random *random) {
  uint8_t nonce[16];
  if (random->fill(random->user, nonce, sizeof nonce) != 0) {
    return NWS_ERROR_RANDOM;
  }
  nws_base64_encode(nonce, sizeof nonce, hs->key);
  return NWS_OK;
}

static void prepare_reading(nws_client_handshake *hs,
                            const nws_client_offer *offer) {
  int is_lent = offer->header_room != NULL;
  hs->offer = offer;
  hs->head.headers = is_lent ? offer->header_room : hs->room;
  hs->head.max_headers =
      is_lent ? offer->max_headers : NWS_HTTP_MAX_HEADERS_DEFAULT;
  hs->head.max_head = offer->max_head;
}

/* Starts with a sink that says where to write; `len` counts its units. */
static int start(nws_client_handshake *hs, const nws_client_offer *offer,
                 const nws_random *random, nws__sink out, size_t cap,
                 size_t *len) {
  int has_room = out.as_list ? out.list != NULL : out.text != NULL;
  if (hs == NULL || len == NULL || (!has_room && cap > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  memset(hs, 0, sizeof *hs);
  int rc = check_arguments(offer, random);
  if (rc != NWS_OK) {
    return rc;
  }
  request req;
  rc = compose(hs, offer, &req);
  if (rc != NWS_OK) {
    return rc;
  }
  nws__sink counter = {NULL, NULL, out.as_list, 0};
  emit(&counter, hs, offer, &req);
  if (counter.len > cap) {
    *len = counter.len;
    return NWS_ERROR_BUFFER;
  }
  rc = draw_key(hs, random);
  if (rc != NWS_OK) {
    return rc;
  }
  emit(&out, hs, offer, &req);
  *len = out.len;
  prepare_reading(hs, offer);
  return NWS_OK;
}

int nws_client_handshake_start(nws_client_handshake *hs,
                               const nws_client_offer *offer,
                               const nws_random *random, char *out, size_t cap,
                               size_t *len) {
  nws__sink sink = {out, NULL, 0, 0};
  return start(hs, offer, random, sink, cap, len);
}

int nws_client_handshake_start_headers(nws_client_handshake *hs,
                                       const nws_client_offer *offer,
                                       const nws_random *random,
                                       nws_header *out, size_t cap,
                                       size_t *count) {
  nws__sink sink = {NULL, out, 1, 0};
  return start(hs, offer, random, sink, cap, count);
}

/* --- Reading --- */

/* RFC 6455 4.1, what the client MUST check, item 4 */
static int check_accept(const nws_client_handshake *hs,
                        const nws__fields *fields) {
  char want[NWS_HANDSHAKE_ACCEPT_LEN];
  size_t index = fields->first[NWS__FIELD_ACCEPT];
  nws_str value;
  int rc = nws__fields_single(fields, NWS__FIELD_ACCEPT, NWS_ERROR_DUPLICATE,
                              &value);
  if (rc != NWS_OK) {
    return rc;
  }
  if (index == fields->count) {
    return nws__fields_missing(fields, NWS_ERROR_ACCEPT);
  }
  nws_handshake_accept_key(nws_str_make(hs->key, sizeof hs->key), want);
  if (!nws_str_equal(value, nws_str_make(want, sizeof want))) {
    return nws__fields_fault(fields, index, NWS_ERROR_ACCEPT);
  }
  return NWS_OK;
}

/* RFC 6455 4.1, item 6: one of those asked for, spelled the same */
static int check_subprotocol(nws_client_handshake *hs,
                             const nws__fields *fields) {
  const nws_client_offer *offer = hs->offer;
  size_t index = fields->first[NWS__FIELD_SUBPROTOCOL];
  nws_str value;
  int rc = nws__fields_single(fields, NWS__FIELD_SUBPROTOCOL,
                              NWS_ERROR_DUPLICATE, &value);
  if (rc != NWS_OK) {
    return rc;
  }
  if (index == fields->count) {
    return offer->require_subprotocol
               ? nws__fields_missing(fields, NWS_ERROR_SUBPROTOCOL_MISSING)
               : NWS_OK;
  }
  for (size_t i = 0; i < offer->subprotocol_count; i++) {
    if (!nws_str_equal(value, offer->subprotocols[i])) {
      continue;
    }
    hs->subprotocol = value;
    return NWS_OK;
  }
  return nws__fields_fault(fields, index, NWS_ERROR_SUBPROTOCOL);
}

/* Upgrade and Connection: RFC 6455 4.1, items 2 and 3. Upgrade must be the one
 * word, other than in a request. */
static int check_response(nws_client_handshake *hs, const nws__fields *fields) {
  hs->subprotocol = nws_str_make(NULL, 0);
  int rc = nws__fields_expect(fields, NWS__FIELD_UPGRADE, NWS__STR("websocket"),
                              NWS_ERROR_UPGRADE);
  if (rc == NWS_OK) {
    rc = nws__fields_expect_token(fields, NWS__FIELD_CONNECTION,
                                  NWS__STR("Upgrade"), NWS_ERROR_CONNECTION);
  }
  if (rc == NWS_OK) {
    rc = check_accept(hs, fields);
  }
  if (rc == NWS_OK) {
    rc = nws__fields_expect_no_body(fields);
  }
  if (rc == NWS_OK) {
    rc = check_subprotocol(hs, fields);
  }
  if (rc == NWS_OK) {
    rc = nws__extension_confirm(hs, fields);
  }
  if (rc == NWS_OK) {
    hs->head.scanned = NWS__STAGE_READ;
  }
  return rc;
}

int nws_client_handshake_read(nws_client_handshake *hs, const char *data,
                              size_t len) {
  /* Offsets in "HTTP/1.x sss" */
  enum { MINOR_AT = 7, STATUS_AT = 9 };
  if (hs == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (hs->offer == NULL || NWS__STAGE_REACHED(&hs->head)) {
    return NWS_ERROR_STATE;
  }
  int rc = nws_http_parse_response(&hs->head, data, len);
  if (rc != NWS_OK) {
    hs->error_at = hs->head.error_at;
    return rc;
  }
  if (hs->head.status != 101) {
    hs->error_at = STATUS_AT;
    return NWS_ERROR_STATUS;
  }
  /* HTTP/1.0 knows no Upgrade (RFC 9110 7.8). */
  if (hs->head.minor == 0) {
    hs->error_at = MINOR_AT;
    return NWS_ERROR_HTTP_VERSION;
  }
  nws__fields fields;
  nws__fields_index(&fields, &hs->head, data, &hs->error_at);
  return check_response(hs, &fields);
}

int nws_client_handshake_read_headers(nws_client_handshake *hs, unsigned status,
                                      const nws_header *headers, size_t count) {
  if (hs == NULL || status > 999) {
    return NWS_ERROR_ARGUMENT;
  }
  if (hs->offer == NULL || NWS__STAGE_REACHED(&hs->head)) {
    return NWS_ERROR_STATE;
  }
  int rc = nws__fields_lend(&hs->head, headers, count);
  if (rc != NWS_OK) {
    return rc;
  }
  hs->head.status = (uint16_t)status;
  hs->head.minor = 1;
  if (status != 101) {
    hs->error_at = 0;
    return NWS_ERROR_STATUS;
  }
  nws__fields fields;
  nws__fields_index(&fields, &hs->head, NULL, &hs->error_at);
  return check_response(hs, &fields);
}
