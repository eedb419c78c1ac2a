/* handshake_server.c - the server's side of the opening handshake: reading a
 * request (RFC 6455 4.2.1; with extended CONNECT RFC 8441 4 and 5) and looking
 * into it. The answers are in handshake_accept.c and handshake_reject.c.
 *
 * Each rule is a function, and the two tables below say which hold for which
 * kind of request, in the order in which they are checked. What is a matter of
 * plain HTTP comes first, so that a request that never meant to be a WebSocket
 * gets as far as "no Upgrade", with its path and host known.
 */
#include <nws/digest.h>
#include <string.h>
#include "../codec/chars.h"
#include "../codec/uri_internal.h"
#include "handshake_internal.h"

typedef int check(nws_server_handshake *hs, const nws__fields *fields);

/* --- The request line --- */

/* Notes a fault in the request line; without one, nothing can be pointed at. */
static int line_fault(const nws__fields *fields, const char *at, int error) {
  return nws__fields_fault_at(fields, fields->end, at, error);
}

/* RFC 6455 4.2.1, item 1: HTTP/1.1 or higher */
static int check_http(nws_server_handshake *hs, const nws__fields *fields) {
  nws_str target = hs->head.target, before = NWS__STR(" HTTP/1.");
  if (hs->head.minor >= 1) {
    return NWS_OK;
  }
  return line_fault(fields, target.ptr + target.len + before.len,
                    NWS_ERROR_HTTP_VERSION);
}

/* The same item: GET, and methods have a case (RFC 9110 9.1). */
static int check_method(nws_server_handshake *hs, const nws__fields *fields) {
  if (nws_str_equal(hs->head.method, NWS__STR("GET"))) {
    return NWS_OK;
  }
  return line_fault(fields, hs->head.method.ptr, NWS_ERROR_METHOD);
}

/* Origin-form (RFC 9112 3.2.1). Browsers leave bytes such as | unencoded that
 * RFC 3986 wants encoded, so visible is good enough; but a fragment has no
 * business here (RFC 6455 3). */
static int check_target(nws_server_handshake *hs, const nws__fields *fields) {
  nws_str target = hs->head.target;
  size_t query_at = target.len;
  if (target.len == 0 || target.ptr[0] != '/') {
    return line_fault(fields, target.ptr, NWS_ERROR_TARGET);
  }
  for (size_t i = 0; i < target.len; i++) {
    uint8_t byte = (uint8_t)target.ptr[i];
    if (byte == '#' || !(nws__chars[byte] & NWS__CHAR_VISIBLE)) {
      return line_fault(fields, target.ptr + i, NWS_ERROR_TARGET);
    }
    if (byte == '?' && query_at == target.len) {
      query_at = i;
    }
  }
  hs->path = nws_str_make(target.ptr, query_at);
  if (query_at < target.len) {
    hs->query =
        nws_str_make(target.ptr + query_at + 1, target.len - query_at - 1);
  }
  return NWS_OK;
}

/* --- Headers --- */

static int take_host(nws_server_handshake *hs, const nws__fields *fields,
                     size_t index) {
  nws_uri parsed = {0};
  size_t bad_at;
  nws_str host = fields->headers[index].value;
  if (nws__uri_parse_authority(&parsed, host, &bad_at) != NWS_OK) {
    return nws__fields_fault_at(fields, index, host.ptr + bad_at,
                                NWS_ERROR_HOST);
  }
  hs->host = host;
  return NWS_OK;
}

/* Item 2; more than one is an error by RFC 9112 3.2. */
static int check_host(nws_server_handshake *hs, const nws__fields *fields) {
  nws_str host;
  int rc = nws__fields_single(fields, NWS__FIELD_HOST, NWS_ERROR_HOST, &host);
  if (rc != NWS_OK) {
    return rc;
  }
  size_t index = fields->first[NWS__FIELD_HOST];
  return index < fields->count ? take_host(hs, fields, index)
                               : nws__fields_missing(fields, NWS_ERROR_HOST);
}

/* Item 3 */
static int check_upgrade(nws_server_handshake *hs, const nws__fields *fields) {
  (void)hs;
  return nws__fields_expect_token(fields, NWS__FIELD_UPGRADE,
                                  NWS__STR("websocket"), NWS_ERROR_UPGRADE);
}

/* Item 4 */
static int check_connection(nws_server_handshake *hs,
                            const nws__fields *fields) {
  (void)hs;
  return nws__fields_expect_token(fields, NWS__FIELD_CONNECTION,
                                  NWS__STR("Upgrade"), NWS_ERROR_CONNECTION);
}

/* Item 6 */
static int check_version(nws_server_handshake *hs, const nws__fields *fields) {
  (void)hs;
  return nws__fields_expect(fields, NWS__FIELD_VERSION, NWS__STR("13"),
                            NWS_ERROR_VERSION);
}

/* Says whether a key decodes to 16 bytes: 22 characters of base64 and the
 * padding. The four unused bits may be set: the example key that RFC 6455 4.1
 * itself prints has one set, and clients carry it. */
static int is_key(nws_str key) {
  uint8_t bytes[18];
  char filled[NWS_HANDSHAKE_KEY_LEN];
  size_t used;
  if (key.len != sizeof filled || memcmp(key.ptr + 22, "==", 2) != 0) {
    return 0;
  }
  memcpy(filled, key.ptr, 22);
  memcpy(filled + 22, "AA", 2);
  return nws_base64_decode(filled, sizeof filled, bytes, sizeof bytes, &used) ==
         NWS_OK;
}

/* Item 5 */
static int check_key(nws_server_handshake *hs, const nws__fields *fields) {
  nws_str key;
  int rc =
      nws__fields_single(fields, NWS__FIELD_KEY, NWS_ERROR_DUPLICATE, &key);
  if (rc != NWS_OK) {
    return rc;
  }
  if (fields->first[NWS__FIELD_KEY] == fields->count) {
    return nws__fields_missing(fields, NWS_ERROR_KEY);
  }
  if (!is_key(key)) {
    return nws__fields_fault(fields, fields->first[NWS__FIELD_KEY],
                             NWS_ERROR_KEY);
  }
  hs->key = key;
  return NWS_OK;
}

static int check_body(nws_server_handshake *hs, const nws__fields *fields) {
  (void)hs;
  return nws__fields_expect_no_body(fields);
}

/* Item 7, and RFC 6455 10.2 */
static int check_origin(nws_server_handshake *hs, const nws__fields *fields) {
  size_t index = fields->first[NWS__FIELD_ORIGIN];
  int rc = nws__fields_single(fields, NWS__FIELD_ORIGIN, NWS_ERROR_DUPLICATE,
                              &hs->origin);
  if (rc != NWS_OK) {
    return rc;
  }
  if (index == fields->count) {
    return hs->policy->require_origin
               ? nws__fields_missing(fields, NWS_ERROR_ORIGIN)
               : NWS_OK;
  }
  if (!nws__origin_allowed(hs->policy, hs->origin, hs->host)) {
    return nws__fields_fault(fields, index, NWS_ERROR_ORIGIN);
  }
  return NWS_OK;
}

static int is_spoken(const nws_server_policy *policy, nws_str name) {
  for (size_t i = 0; i < policy->subprotocol_count; i++) {
    if (nws_str_equal(policy->subprotocols[i], name)) {
      return 1;
    }
  }
  return 0;
}

/* Item 8: a list of tokens that may span several headers (RFC 6455 11.3.4).
 * The client's order counts, for it lists them by preference. */
static int check_subprotocols(nws_server_handshake *hs,
                              const nws__fields *fields) {
  size_t first = fields->first[NWS__FIELD_SUBPROTOCOL], count = 0;
  for (size_t i = first; i < fields->count;
       i = nws__fields_next(fields, NWS__FIELD_SUBPROTOCOL, i)) {
    nws_str rest = fields->headers[i].value, name;
    for (; nws_list_next(&rest, &name); count++) {
      if (!nws_http_token_valid(name)) {
        return nws__fields_fault_at(fields, i, name.ptr, NWS_ERROR_SUBPROTOCOL);
      }
      if (hs->subprotocol.ptr == NULL && is_spoken(hs->policy, name)) {
        hs->subprotocol = name;
      }
    }
  }
  if (first < fields->count && count == 0) {
    return nws__fields_fault(fields, first, NWS_ERROR_SUBPROTOCOL);
  }
  if (hs->policy->require_subprotocol && hs->subprotocol.ptr == NULL) {
    return nws__fields_missing(fields, NWS_ERROR_SUBPROTOCOL_MISSING);
  }
  return NWS_OK;
}

/* Item 9 */
static int check_extensions(nws_server_handshake *hs,
                            const nws__fields *fields) {
  (void)hs;
  return nws__extension_check_offers(fields);
}

/* --- Extended CONNECT (RFC 8441 4, the same for HTTP/3 by RFC 9220 3) --- */

static int check_pseudo(nws_server_handshake *hs, const nws__fields *fields) {
  nws_str scheme;
  (void)hs;
  int rc = nws__fields_expect(fields, NWS__FIELD_PROTOCOL_PSEUDO,
                              NWS__STR("websocket"), NWS_ERROR_PSEUDO_HEADER);
  if (rc == NWS_OK) {
    rc = nws__fields_single(fields, NWS__FIELD_SCHEME_PSEUDO,
                            NWS_ERROR_DUPLICATE, &scheme);
  }
  if (rc != NWS_OK) {
    return rc;
  }
  size_t index = fields->first[NWS__FIELD_SCHEME_PSEUDO];
  if (index == fields->count) {
    return nws__fields_missing(fields, NWS_ERROR_PSEUDO_HEADER);
  }
  /* RFC 8441 5: http for ws and https for wss */
  if (!nws_str_equal_nocase(scheme, NWS__STR("http")) &&
      !nws_str_equal_nocase(scheme, NWS__STR("https"))) {
    return nws__fields_fault(fields, index, NWS_ERROR_PSEUDO_HEADER);
  }
  return NWS_OK;
}

/* :authority stands for Host; when both are there they must agree (RFC 9113
 * 8.3.1). */
static int check_authority(nws_server_handshake *hs,
                           const nws__fields *fields) {
  nws_str authority, host;
  int rc = nws__fields_single(fields, NWS__FIELD_AUTHORITY_PSEUDO,
                              NWS_ERROR_DUPLICATE, &authority);
  if (rc == NWS_OK) {
    rc = nws__fields_single(fields, NWS__FIELD_HOST, NWS_ERROR_HOST, &host);
  }
  if (rc != NWS_OK) {
    return rc;
  }
  size_t authority_at = fields->first[NWS__FIELD_AUTHORITY_PSEUDO];
  size_t host_at = fields->first[NWS__FIELD_HOST];
  if (authority_at == fields->count && host_at == fields->count) {
    return nws__fields_missing(fields, NWS_ERROR_PSEUDO_HEADER);
  }
  if (authority_at == fields->count) {
    return take_host(hs, fields, host_at);
  }
  if (host_at < fields->count && !nws_str_equal_nocase(authority, host)) {
    return nws__fields_fault(fields, host_at, NWS_ERROR_HOST);
  }
  return take_host(hs, fields, authority_at);
}

/* --- Reading --- */

static check *const UPGRADE_CHECKS[] = {
    check_http,    check_method,     check_target,       check_host,
    check_upgrade, check_connection, check_version,      check_key,
    check_body,    check_origin,     check_subprotocols, check_extensions,
    NULL};

static check *const CONNECT_CHECKS[] = {
    check_pseudo,       check_target,     check_authority,
    check_version,      check_body,       check_origin,
    check_subprotocols, check_extensions, NULL};

static int check_all(nws_server_handshake *hs, const char *data,
                     check *const *checks) {
  nws__fields fields;
  nws_str absent = nws_str_make(NULL, 0);
  hs->path = hs->query = hs->host = hs->origin = absent;
  hs->key = hs->subprotocol = absent;
  nws__fields_index(&fields, &hs->head, data, &hs->error_at);
  for (; *checks != NULL; checks++) {
    int rc = (*checks)(hs, &fields);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  if (hs->key.ptr != NULL) {
    nws_handshake_accept_key(hs->key, hs->accept);
  }
  hs->head.scanned = NWS__STAGE_READ;
  return NWS_OK;
}

static int check_policy(const nws_server_policy *policy) {
  if (policy->size != sizeof *policy || policy->origin > NWS_ORIGIN_ANY ||
      (policy->origins == NULL && policy->origin_count > 0) ||
      (policy->subprotocols == NULL && policy->subprotocol_count > 0) ||
      (policy->header_room != NULL && policy->max_headers == 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  return nws__extension_check(policy->extensions, policy->extension_count,
                              NWS_ROLE_SERVER);
}

/* What both ways to read begin with. */
static int begin(nws_server_handshake *hs, const nws_server_policy *policy) {
  static const nws_server_policy defaults = {.size = sizeof defaults};
  if (hs == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (NWS__STAGE_REACHED(&hs->head)) {
    return NWS_ERROR_STATE;
  }
  hs->policy = policy != NULL ? policy : &defaults;
  return check_policy(hs->policy);
}

int nws_server_handshake_read(nws_server_handshake *hs,
                              const nws_server_policy *policy, const char *data,
                              size_t len) {
  int rc = begin(hs, policy);
  if (rc != NWS_OK) {
    return rc;
  }
  int is_lent = hs->policy->header_room != NULL;
  hs->head.headers = is_lent ? hs->policy->header_room : hs->room;
  hs->head.max_headers =
      is_lent ? hs->policy->max_headers : NWS_HTTP_MAX_HEADERS_DEFAULT;
  hs->head.max_head = hs->policy->max_head;
  rc = nws_http_parse_request(&hs->head, data, len);
  if (rc == NWS_OK) {
    return check_all(hs, data, UPGRADE_CHECKS);
  }
  hs->error_at = hs->head.error_at;
  return rc;
}

int nws_server_handshake_read_headers(nws_server_handshake *hs,
                                      const nws_server_policy *policy,
                                      nws_str method, nws_str target,
                                      const nws_header *headers, size_t count) {
  int rc = begin(hs, policy);
  if (rc != NWS_OK) {
    return rc;
  }
  if (!nws_str_sound(method) || !nws_str_sound(target)) {
    return NWS_ERROR_ARGUMENT;
  }
  rc = nws__fields_lend(&hs->head, headers, count);
  if (rc != NWS_OK) {
    return rc;
  }
  hs->head.method = method;
  hs->head.target = target;
  hs->head.minor = 1;
  hs->extended_connect = nws_str_equal(method, NWS__STR("CONNECT"));
  return check_all(hs, NULL,
                   hs->extended_connect ? CONNECT_CHECKS : UPGRADE_CHECKS);
}

/* --- Looking into a request --- */

nws_str nws_server_handshake_header(const nws_server_handshake *hs,
                                    nws_str name) {
  size_t index;
  if (hs == NULL) {
    return nws_str_make(NULL, 0);
  }
  index = nws_header_find(hs->head.headers, hs->head.count, name, 0);
  return index < hs->head.count ? hs->head.headers[index].value
                                : nws_str_make(NULL, 0);
}

/* The cursor counts bytes of the values, each taken to be one byte longer, so
 * that it names a place however many headers the list spans. */
int nws_server_handshake_offered(const nws_server_handshake *hs, size_t *cursor,
                                 nws_str *name) {
  nws_str header = NWS__STR("Sec-WebSocket-Protocol");
  if (hs == NULL || cursor == NULL || name == NULL) {
    return 0;
  }
  const nws_header *headers = hs->head.headers;
  size_t count = hs->head.count, base = 0;
  for (size_t i = nws_header_find(headers, count, header, 0); i < count;
       i = nws_header_find(headers, count, header, i + 1)) {
    nws_str rest = headers[i].value;
    size_t skip = *cursor > base ? *cursor - base : 0;
    base += rest.len + 1;
    if (skip > rest.len) {
      continue;
    }
    if (skip > 0) {
      rest = nws_str_make(rest.ptr + skip, rest.len - skip);
    }
    if (nws_list_next(&rest, name)) {
      *cursor = base - 1 - rest.len;
      return 1;
    }
    *cursor = base;
  }
  return 0;
}
