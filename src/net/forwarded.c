/* forwarded.c - the headers by which proxies tell where a request comes from,
 * read from the near end as far as proxies are trusted.
 *
 * A list may begin with whatever the client has sent. Forwarded is read from
 * the left all the same, since a quoted string can only be told from there, and
 * a line that breaks the grammar anywhere is worth nothing: a client that opens
 * a quote, to swallow what the proxy adds behind it, breaks it. Lines are
 * apart, so that a broken one does not take those behind it along.
 *
 * The last elements of all lines are kept, and then walked from the right.
 */
#include <nws/forwarded.h>
#include <string.h>
#include <uv.h>

#define ELEMENTS NWS_FORWARDED_PROXIES_MAX
#define UNIX_BITS 255u
#define MAPPED_BITS 96u

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* --- Addresses --- */

/* An address, or where there is none: a Unix socket. */
typedef struct place {
  uint8_t bytes[16];
  int is_unix;
} place;

static int is_four(const uint8_t bytes[16]) {
  return memcmp(bytes, mapped, sizeof(mapped)) == 0;
}

/* libuv reads up to a zero byte, and takes a zone behind an address; here
 * neither may stand. */
static int read_host(nws_str text, int family, uint8_t bytes[16]) {
  static const char allowed[] = "0123456789abcdefABCDEF.:";
  char host[NWS_FORWARDED_CLIENT_MAX];
  if (text.len >= sizeof(host)) {
    return 0;
  }
  for (size_t i = 0; i < text.len; i++) {
    if (memchr(allowed, text.ptr[i], sizeof(allowed) - 1) == NULL) {
      return 0;
    }
    host[i] = text.ptr[i];
  }
  host[text.len] = '\0';
  if (family == AF_INET6) {
    return uv_inet_pton(AF_INET6, host, bytes) == 0;
  }
  memcpy(bytes, mapped, sizeof(mapped));
  return uv_inet_pton(AF_INET, host, bytes + sizeof(mapped)) == 0;
}

static int read_either(nws_str text, uint8_t bytes[16]) {
  int six = text.len > 0 && memchr(text.ptr, ':', text.len) != NULL;
  return read_host(text, six ? AF_INET6 : AF_INET, bytes);
}

static nws_str from(nws_str text, size_t at) {
  return nws_str_make(text.ptr + at, text.len - at);
}

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

static int is_alnum(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 7239 6.3: an underscore, and something behind it. */
static int is_obfuscated(nws_str text) {
  if (text.len < 2 || text.ptr[0] != '_') {
    return 0;
  }
  for (size_t i = 1; i < text.len; i++) {
    char c = text.ptr[i];
    if (!is_alnum(c) && c != '.' && c != '_' && c != '-') {
      return 0;
    }
  }
  return 1;
}

static int is_port(nws_str text) {
  unsigned value = 0;
  if (text.len == 0 || text.len > 5) {
    return 0;
  }
  for (size_t i = 0; i < text.len; i++) {
    if (!is_digit(text.ptr[i])) {
      return 0;
    }
    value = value * 10 + (unsigned)(text.ptr[i] - '0');
  }
  return value <= UINT16_MAX;
}

/* What may stand behind an address: nothing, or a colon and a port. RFC 7239
 * knows ports without a number, too. */
static int is_port_part(nws_str text, int names) {
  if (text.len == 0) {
    return 1;
  }
  nws_str port = from(text, 1);
  return text.ptr[0] == ':' &&
         (is_port(port) || (names && is_obfuscated(port)));
}

/* "[2001:db8::7]" or "192.0.2.7", and perhaps a port. */
static int read_node(nws_str text, int names, uint8_t bytes[16]) {
  int six = text.len > 0 && text.ptr[0] == '[';
  const char *end =
      text.len == 0 ? NULL : memchr(text.ptr, six ? ']' : ':', text.len);
  size_t len = end == NULL ? text.len : (size_t)(end - text.ptr);
  if (!six) {
    return read_host(nws_str_make(text.ptr, len), AF_INET, bytes) &&
           is_port_part(from(text, len), names);
  }
  return end != NULL &&
         read_host(nws_str_make(text.ptr + 1, len - 1), AF_INET6, bytes) &&
         is_port_part(from(text, len + 1), names);
}

/* An address as nws_peer_address() or nws_forwarded_client() write it. */
static int read_place(const char *text, place *out) {
  nws_str whole = nws_str_of(text);
  memset(out, 0, sizeof(*out));
  out->is_unix = strcmp(text, "unix") == 0;
  return out->is_unix || read_either(whole, out->bytes) ||
         read_node(whole, 0, out->bytes);
}

/* --- Networks --- */

static int has_bits_beyond(const nws_network *network) {
  for (unsigned bit = network->bits; bit < 128; bit++) {
    if ((network->bytes[bit / 8] & 0x80u >> bit % 8) != 0) {
      return 1;
    }
  }
  return 0;
}

static int read_bits(nws_str text, unsigned max, uint8_t *bits) {
  unsigned value = 0;
  if (text.len == 0 || text.len > 3 || (text.len > 1 && text.ptr[0] == '0')) {
    return 0;
  }
  for (size_t i = 0; i < text.len; i++) {
    if (!is_digit(text.ptr[i])) {
      return 0;
    }
    value = value * 10 + (unsigned)(text.ptr[i] - '0');
  }
  *bits = (uint8_t)(128 - max + value);
  return value <= max;
}

int nws_network_parse(nws_str text, nws_network *out) {
  nws_network found;
  memset(&found, 0, sizeof(found));
  if (out == NULL || text.ptr == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  found.bits = 128;
  if (nws_str_equal(text, nws_str_of("unix"))) {
    found.bits = UNIX_BITS;
    *out = found;
    return NWS_OK;
  }
  const char *slash = memchr(text.ptr, '/', text.len);
  size_t len = slash == NULL ? text.len : (size_t)(slash - text.ptr);
  nws_str host = nws_str_make(text.ptr, len);
  if (!read_either(host, found.bytes)) {
    return NWS_ERROR_ARGUMENT;
  }
  unsigned max = memchr(text.ptr, ':', len) != NULL ? 128 : 32;
  if (slash != NULL && !read_bits(from(text, len + 1), max, &found.bits)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (has_bits_beyond(&found)) {
    return NWS_ERROR_ARGUMENT;
  }
  *out = found;
  return NWS_OK;
}

static int in_network(const nws_network *network, const place *at) {
  if (at->is_unix || network->bits == UNIX_BITS) {
    return at->is_unix && network->bits == UNIX_BITS;
  }
  int four = network->bits >= MAPPED_BITS && is_four(network->bytes);
  if (four != is_four(at->bytes)) {
    return 0;
  }
  size_t whole = network->bits / 8u;
  unsigned rest = network->bits % 8u;
  if (memcmp(network->bytes, at->bytes, whole) != 0) {
    return 0;
  }
  return rest == 0 || ((network->bytes[whole] ^ at->bytes[whole]) &
                       (0xff00u >> rest) & 0xffu) == 0;
}

static int in_networks(const nws_network *networks, size_t count,
                       const place *at) {
  for (size_t i = 0; i < count; i++) {
    if (in_network(&networks[i], at)) {
      return 1;
    }
  }
  return 0;
}

int nws_network_has(const nws_network *networks, size_t count,
                    const char *address) {
  place at;
  if (address == NULL || (networks == NULL && count > 0) ||
      !read_place(address, &at)) {
    return 0;
  }
  return in_networks(networks, count, &at);
}

/* --- Elements --- */

/* The last addresses of a list, `known` 0 where one is not told. */
typedef struct element {
  uint8_t bytes[16];
  int known;
} element;

typedef struct chain {
  element last[ELEMENTS];
  size_t count; /* of all; the newest is at (count - 1) % ELEMENTS */
} chain;

static element *next_of(chain *c) {
  element *found = &c->last[c->count++ % ELEMENTS];
  memset(found, 0, sizeof(*found));
  return found;
}

static nws_str trim(nws_str text) {
  while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
    text = from(text, 1);
  }
  while (text.len > 0 &&
         (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
    text.len--;
  }
  return text;
}

/* --- X-Forwarded-For --- */

/* Nobody has written down how IPv6 and ports are put: both ways are found. */
static void read_list(chain *c, nws_str line) {
  while (line.len > 0) {
    const char *comma = memchr(line.ptr, ',', line.len);
    size_t len = comma == NULL ? line.len : (size_t)(comma - line.ptr);
    nws_str item = trim(nws_str_make(line.ptr, len));
    line = from(line, comma == NULL ? len : len + 1);
    if (item.len > 0) {
      element *found = next_of(c);
      found->known = read_host(item, AF_INET6, found->bytes) ||
                     read_node(item, 0, found->bytes);
    }
  }
}

/* --- Forwarded --- */

/* Takes a token off the front (RFC 9110 5.6.2). */
static int take_token(nws_str *rest, nws_str *token) {
  size_t len = 0;
  while (len < rest->len &&
         nws_http_token_valid(nws_str_make(rest->ptr + len, 1))) {
    len++;
  }
  *token = nws_str_make(rest->ptr, len);
  *rest = from(*rest, len);
  return len > 0;
}

/* Takes a quoted string off the front (RFC 9110 5.6.4). What is in it is
 * compared with nothing that needs a backslash: those with one stay as they
 * are, and are no address. */
static int take_quoted(nws_str *rest, nws_str *text) {
  size_t at = 1;
  while (at < rest->len && rest->ptr[at] != '"') {
    at += rest->ptr[at] == '\\' ? 2 : 1;
  }
  if (at >= rest->len) {
    return 0;
  }
  *text = nws_str_make(rest->ptr + 1, at - 1);
  *rest = from(*rest, at + 1);
  return 1;
}

/* RFC 7239 4: token "=" value. */
static int take_pair(nws_str *rest, nws_str *name, nws_str *value) {
  if (!take_token(rest, name) || rest->len < 2 || rest->ptr[0] != '=') {
    return 0;
  }
  *rest = from(*rest, 1);
  return rest->ptr[0] == '"' ? take_quoted(rest, value)
                             : take_token(rest, value);
}

/* One element: pairs between semicolons, of which some may be missing. A name
 * must not come twice (RFC 7239 4); of the others than `for` it matters to
 * nobody here. */
static int take_element(nws_str *rest, element *found) {
  int seen = 0;
  for (;;) {
    nws_str name;
    nws_str value;
    int missing = rest->len == 0 || memchr(";, \t", rest->ptr[0], 4) != NULL;
    if (!missing && !take_pair(rest, &name, &value)) {
      return 0;
    }
    if (!missing && nws_str_equal_nocase(name, nws_str_of("for"))) {
      if (seen++) {
        return 0;
      }
      found->known = read_node(value, 1, found->bytes);
    }
    if (rest->len == 0 || rest->ptr[0] != ';') {
      return 1;
    }
    *rest = from(*rest, 1);
  }
}

static int read_elements(chain *c, nws_str line) {
  line = trim(line);
  while (line.len > 0) {
    if (line.ptr[0] == ',') { /* an empty one: RFC 9110 5.6.1.2 */
      line = trim(from(line, 1));
      continue;
    }
    if (!take_element(&line, next_of(c))) {
      return 0;
    }
    line = trim(line);
    if (line.len > 0 && line.ptr[0] != ',') {
      return 0;
    }
  }
  return 1;
}

/* A line that breaks the grammar hides what is in it and before it. */
static void read_forwarded(chain *c, nws_str line) {
  size_t before = c->count;
  if (!read_elements(c, line)) {
    c->count = before;
    next_of(c)->known = 0;
  }
}

/* --- Walking --- */

static void read_head(chain *c, const nws_http_head *head,
                      nws_forwarded_header which) {
  int rfc = which == NWS_FORWARDED;
  nws_str name = nws_str_of(rfc ? "Forwarded" : "X-Forwarded-For");
  size_t at = 0;
  c->count = 0;
  for (;;) {
    at = nws_header_find(head->headers, head->count, name, at);
    if (at >= head->count) {
      return;
    }
    nws_str line = head->headers[at++].value;
    if (rfc) {
      read_forwarded(c, line);
    } else {
      read_list(c, line);
    }
  }
}

/* Goes from `at` as far as proxies are trusted; tells whether the end is the
 * client. */
static int walk(const chain *c, const nws_network *trusted, size_t count,
                place *at) {
  for (size_t i = 0; in_networks(trusted, count, at); i++) {
    if (i == c->count) {
      return 1; /* nobody says more */
    }
    const element *next = &c->last[(c->count - 1 - i) % ELEMENTS];
    if (i == ELEMENTS || !next->known) {
      return 0;
    }
    memcpy(at->bytes, next->bytes, sizeof(at->bytes));
    at->is_unix = 0;
  }
  return 1;
}

static int write_place(const place *at, char *out, size_t cap) {
  static const char local[] = "unix";
  if (at->is_unix) {
    if (cap < sizeof(local)) {
      return NWS_ERROR_BUFFER;
    }
    memcpy(out, local, sizeof(local));
    return NWS_OK;
  }
  int four = is_four(at->bytes);
  const uint8_t *bytes = at->bytes + (four ? sizeof(mapped) : 0);
  int rc = uv_inet_ntop(four ? AF_INET : AF_INET6, bytes, out, cap);
  return rc == 0 ? NWS_OK : NWS_ERROR_BUFFER;
}

int nws_forwarded_client(const char *peer, const nws_http_head *head,
                         nws_forwarded_header which, const nws_network *trusted,
                         size_t count, char *out, size_t cap) {
  chain c;
  place at;
  if (peer == NULL || head == NULL || out == NULL ||
      (trusted == NULL && count > 0) ||
      (which != NWS_FORWARDED && which != NWS_X_FORWARDED_FOR) ||
      !read_place(peer, &at)) {
    return NWS_ERROR_ARGUMENT;
  }
  read_head(&c, head, which);
  int known = walk(&c, trusted, count, &at);
  int rc = write_place(&at, out, cap);
  return rc != NWS_OK || known ? rc : NWS_ERROR_FIELD;
}
