/* uri.c - ws:// and wss:// addresses, taken apart and checked (RFC 6455 3).
 *
 * Every byte is held against its rule in RFC 3986, for what passes here goes
 * into a request line and a Host header as it is. What a browser would mend
 * (spaces, backslashes, letters that are not ASCII) is refused, with its
 * place. Host names are not looked into: "1.2.3.999" is a name by RFC 3986
 * 3.2.2, and finding no such host is the resolver's business.
 */
#include <nws/error.h>
#include <nws/uri.h>
#include <string.h>
#include "chars.h"
#include "uri_internal.h"

/* What is being parsed, and where the parsing is. */
typedef struct cursor {
  const char *text;
  size_t len;
  size_t at; /* next byte; on failure the byte at fault */
} cursor;

/* The next byte, or -1 at the end. */
static int peek(const cursor *c) {
  return c->at < c->len ? (uint8_t)c->text[c->at] : -1;
}

static int take(cursor *c, char byte) {
  if (peek(c) != byte) {
    return 0;
  }
  c->at++;
  return 1;
}

/* "/", "?", "#" and the end close the authority (RFC 3986 3.2). */
static int at_authority_end(const cursor *c) {
  int byte = peek(c);
  return byte < 0 || byte == '/' || byte == '?' || byte == '#';
}

static int is_digit(int byte) {
  return byte >= '0' && byte <= '9';
}

static int is_hex(int byte) {
  return byte >= 0 && (nws__chars[byte] & NWS__CHAR_HEX) != 0;
}

static nws_str since(const cursor *c, size_t from) {
  return nws_str_make(c->text + from, c->at - from);
}

/* Skips bytes of a class and percent-encodings; 0 when one of these is broken.
 */
static int skip(cursor *c, uint8_t mask) {
  int cut;
  c->at = nws__chars_skip(c->text, c->len, c->at, mask, &cut);
  return !cut;
}

/* Takes a letter in either case (RFC 3986 3.1: schemes have no case). */
static int take_letter(cursor *c, char lower) {
  int byte = peek(c);
  if (byte != lower && byte != lower - 'a' + 'A') {
    return 0;
  }
  c->at++;
  return 1;
}

static int take_scheme(cursor *c, nws_uri *uri) {
  if (!take_letter(c, 'w') || !take_letter(c, 's')) {
    return NWS_ERROR_URI_SCHEME;
  }
  uri->secure = take_letter(c, 's');
  if (!take(c, ':')) {
    return NWS_ERROR_URI_SCHEME;
  }
  return take(c, '/') && take(c, '/') ? NWS_OK : NWS_ERROR_URI_AUTHORITY;
}

static int take_userinfo(cursor *c, nws_uri *uri) {
  const char *at_sign = NULL;
  for (cursor look = *c; !at_authority_end(&look) && at_sign == NULL;
       look.at++) {
    if (peek(&look) == '@') {
      at_sign = c->text + look.at;
    }
  }
  if (at_sign == NULL) {
    return NWS_OK;
  }
  size_t from = c->at;
  if (!skip(c, NWS__CHAR_USERINFO) || c->text + c->at != at_sign) {
    return NWS_ERROR_URI_AUTHORITY;
  }
  uri->userinfo = since(c, from);
  c->at++;
  return NWS_OK;
}

/* dec-octet: 0 to 255 without leading zeros (RFC 3986 3.2.2) */
static int take_octet(cursor *c) {
  if (!is_digit(peek(c))) {
    return 0;
  }
  int value = peek(c) - '0';
  c->at++;
  while (is_digit(peek(c))) {
    int next = value * 10 + (peek(c) - '0');
    if (value == 0 || next > 255) {
      return 0;
    }
    value = next;
    c->at++;
  }
  return 1;
}

static int take_ipv4(cursor *c) {
  for (int i = 0; i < 4; i++) {
    if ((i > 0 && !take(c, '.')) || !take_octet(c)) {
      return 0;
    }
  }
  return 1;
}

/* Says whether the digits here lead to a dot: an IPv4 address in the last 32
 * bits of an IPv6 one. */
static int is_ipv4_next(const cursor *c) {
  cursor look = *c;
  while (is_digit(peek(&look))) {
    look.at++;
  }
  return look.at > c->at && peek(&look) == '.';
}

/* h16: one to four hex digits */
static int take_h16(cursor *c) {
  size_t from = c->at;
  while (c->at - from < 4 && is_hex(peek(c))) {
    c->at++;
  }
  return c->at > from;
}

/* An IPv4 address may stand for the last two of the groups. */
static int fits_ipv4(int groups, int gap) {
  return gap ? groups <= 5 : groups == 6;
}

/* The groups of an IPv6 address, up to its bracket. `gap` says that "::" came
 * already. */
static int take_groups(cursor *c, int gap) {
  int groups = 0;
  while (peek(c) != ']') {
    if (is_ipv4_next(c) && fits_ipv4(groups, gap)) {
      return take_ipv4(c) && peek(c) == ']';
    }
    if (!take_h16(c)) {
      return 0;
    }
    groups++;
    if (groups + gap >= 8 || !take(c, ':')) {
      break;
    }
    if (peek(c) == ']' || (gap && peek(c) == ':')) {
      return 0;
    }
    gap = gap || take(c, ':');
  }
  return peek(c) == ']' && (gap ? groups < 8 : groups == 8);
}

/* Takes an IPv6 address up to its bracket (RFC 3986 3.2.2): eight groups, or
 * fewer and one "::" for at least one group of zeros. Zones (RFC 6874) mean
 * something on this machine only, and are refused. */
static int take_ipv6(cursor *c) {
  int gap = take(c, ':');
  if (gap && !take(c, ':')) {
    return 0;
  }
  return take_groups(c, gap);
}

static int take_host(cursor *c, nws_uri *uri) {
  uri->ipv6 = take(c, '[');
  size_t from = c->at;
  if (uri->ipv6) {
    if (!take_ipv6(c)) {
      return NWS_ERROR_URI_AUTHORITY;
    }
  } else if (!skip(c, NWS__CHAR_REGNAME)) {
    return NWS_ERROR_URI_AUTHORITY;
  }
  uri->host = since(c, from);
  if (uri->ipv6) {
    c->at++;
  }
  /* RFC 6455 3: a ws URI has a host, as an http one must (RFC 9110 4.2.1). */
  if (uri->host.len == 0) {
    return NWS_ERROR_URI_AUTHORITY;
  }
  return at_authority_end(c) || peek(c) == ':' ? NWS_OK
                                               : NWS_ERROR_URI_AUTHORITY;
}

static int take_port(cursor *c, nws_uri *uri) {
  uint16_t by_scheme = uri->secure ? 443 : 80;
  uint32_t port = 0;
  uri->port = by_scheme;
  if (take(c, ':') && !at_authority_end(c)) {
    size_t from = c->at;
    while (is_digit(peek(c))) {
      port = port * 10 + (uint32_t)(peek(c) - '0');
      if (port > UINT16_MAX) {
        return NWS_ERROR_URI_PORT;
      }
      c->at++;
    }
    if (!at_authority_end(c)) {
      return NWS_ERROR_URI_PORT;
    }
    if (port == 0) {
      c->at = from;
      return NWS_ERROR_URI_PORT;
    }
    uri->port = (uint16_t)port;
  }
  uri->default_port = uri->port == by_scheme;
  return NWS_OK;
}

static int take_path(cursor *c, nws_uri *uri) {
  size_t from = c->at;
  if (!skip(c, NWS__CHAR_PATH)) {
    return NWS_ERROR_URI_PATH;
  }
  /* RFC 6455 3: an empty path is "/". */
  uri->path = c->at > from ? since(c, from) : nws_str_make("/", 1);
  if (take(c, '?')) {
    from = c->at;
    if (!skip(c, NWS__CHAR_QUERY)) {
      return NWS_ERROR_URI_PATH;
    }
    uri->query = since(c, from);
  }
  if (c->at == c->len) {
    return NWS_OK;
  }
  /* RFC 6455 3: fragments MUST NOT be used on these URIs. */
  return peek(c) == '#' ? NWS_ERROR_URI_FRAGMENT : NWS_ERROR_URI_PATH;
}

int nws__uri_parse_authority(nws_uri *uri, nws_str text, size_t *bad_at) {
  cursor c = {text.ptr, text.len, 0};
  int rc = take_host(&c, uri);
  if (rc == NWS_OK) {
    rc = take_port(&c, uri);
  }
  if (rc == NWS_OK && c.at < c.len) {
    rc = NWS_ERROR_URI_AUTHORITY;
  }
  *bad_at = c.at;
  return rc;
}

int nws_uri_parse(nws_uri *uri, const char *text, size_t len, size_t *bad_at) {
  if (uri == NULL || (text == NULL && len > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  cursor c = {text, len, 0};
  nws_uri result;
  memset(&result, 0, sizeof result);
  int rc = take_scheme(&c, &result);
  if (rc == NWS_OK) {
    rc = take_userinfo(&c, &result);
  }
  if (rc == NWS_OK) {
    rc = take_host(&c, &result);
  }
  if (rc == NWS_OK) {
    rc = take_port(&c, &result);
  }
  if (rc == NWS_OK) {
    rc = take_path(&c, &result);
  }
  if (rc == NWS_OK) {
    *uri = result;
  } else if (bad_at != NULL) {
    *bad_at = c.at;
  }
  return rc;
}
