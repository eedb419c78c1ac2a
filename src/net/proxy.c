/* proxy.c - which proxy a client goes through: the one it is given, or that of
 * the environment, by the rules of curl.
 */
#include "proxy.h"
#include <stdlib.h>
#include <string.h>

/* --- The address of a proxy --- */

static const struct {
  const char *prefix;
  nws__proxy_kind kind;
} schemes[] = {
    {"http://", NWS__PROXY_HTTP},
    {"socks5://", NWS__PROXY_SOCKS5},
    {"socks5h://", NWS__PROXY_SOCKS5},
};

/* How long the scheme at the begin of a text is, 0: none; -1: one that is not
 * spoken here. */
static long take_scheme(const char *text, nws__proxy_kind *kind) {
  *kind = NWS__PROXY_HTTP;
  for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
    size_t len = strlen(schemes[i].prefix);
    nws_str start = nws_str_make(text, strnlen(text, len));
    if (nws_str_equal_nocase(start, nws_str_of(schemes[i].prefix))) {
      *kind = schemes[i].kind;
      return (long)len;
    }
  }
  return strstr(text, "://") == NULL ? 0 : -1;
}

/* A port that is written down, if only as the default of ws. */
static int has_port(const nws_uri *uri) {
  const char *end = uri->host.ptr + uri->host.len + (uri->ipv6 ? 1 : 0);
  return end[0] == ':' && end[1] >= '0' && end[1] <= '9';
}

static int take_login(nws__proxy *proxy, nws_str userinfo) {
  if (userinfo.len == 0) {
    return NWS_OK;
  }
  int rc = nws__login_decode(userinfo, &proxy->login);
  if (rc != NWS_OK) {
    return rc == NWS_ERROR_MEMORY ? rc : NWS_ERROR_PROXY_URI;
  }
  /* RFC 1929 2 */
  int fits = proxy->login.name_len > 0 && proxy->login.name_len <= UINT8_MAX &&
             proxy->login.password_len <= UINT8_MAX;
  return proxy->kind == NWS__PROXY_HTTP || fits ? NWS_OK : NWS_ERROR_PROXY_URI;
}

/* Takes a ws URI apart that was made of the proxy's. */
static int take_apart(nws__proxy *proxy, const char *text) {
  nws_uri uri;
  int rc = nws_uri_parse(&uri, text, strlen(text), NULL);
  if (rc != NWS_OK || uri.host.len > NWS__HOST_MAX || uri.query.ptr != NULL ||
      !nws_str_equal(uri.path, nws_str_of("/"))) {
    return NWS_ERROR_PROXY_URI;
  }
  memcpy(proxy->host, uri.host.ptr, uri.host.len);
  proxy->host[uri.host.len] = '\0';
  proxy->port = uri.port;
  if (!has_port(&uri) && proxy->kind == NWS__PROXY_SOCKS5) {
    proxy->port = NWS__SOCKS_PORT;
  }
  return take_login(proxy, uri.userinfo);
}

/* Reads the address of a proxy. What it gives is freed with nws__proxy_free(),
 * also after a failure. */
int nws__proxy_parse(const char *text, nws__proxy *proxy) {
  static const char ws[] = "ws://";
  memset(proxy, 0, sizeof(*proxy));
  long scheme = take_scheme(text, &proxy->kind);
  if (scheme < 0) {
    return NWS_ERROR_PROXY_URI;
  }
  size_t len = strlen(text + scheme);
  char *uri = malloc(sizeof(ws) + len);
  if (uri == NULL) {
    return NWS_ERROR_MEMORY;
  }
  memcpy(uri, ws, sizeof(ws) - 1);
  memcpy(uri + sizeof(ws) - 1, text + scheme, len + 1);
  int rc = take_apart(proxy, uri);
  free(uri);
  return rc;
}

void nws__proxy_free(nws__proxy *proxy) {
  if (proxy != NULL) {
    nws__login_free(&proxy->login);
    memset(proxy, 0, sizeof(*proxy));
  }
}

/* --- The environment --- */

/* A variable that is set to nothing is not set. */
static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value == NULL || value[0] == '\0' ? NULL : value;
}

static const char *first_of(const char *const *names) {
  const char *found = NULL;
  while (*names != NULL && found == NULL) {
    found = variable(*names++);
  }
  return found;
}

/* HTTP_PROXY in capitals is left out: to a CGI program it is what the client's
 * header Proxy says. */
static const char *const plain_names[] = {
    "ws_proxy", "WS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY", NULL};
static const char *const secure_names[] = {
    "wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY",
    "all_proxy", "ALL_PROXY", NULL};
static const char *const no_names[] = {"no_proxy", "NO_PROXY", NULL};

/* The address of the proxy for a URL; NULL: none. */
const char *nws__proxy_environment(const nws_uri *uri) {
  const char *except = first_of(no_names);
  if (except != NULL && nws__proxy_excepts(except, uri->host)) {
    return NULL;
  }
  return first_of(uri->secure ? secure_names : plain_names);
}

/* --- Exceptions --- */

/* An address in numbers; its length in bytes, or 0. */
static size_t read_address(nws_str text, uint8_t out[16]) {
  char copy[64];
  if (text.len > 1 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
    text = nws_str_make(text.ptr + 1, text.len - 2);
  }
  if (text.len == 0 || text.len >= sizeof(copy)) {
    return 0;
  }
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  if (uv_inet_pton(AF_INET, copy, out) == 0) {
    return 4;
  }
  return uv_inet_pton(AF_INET6, copy, out) == 0 ? 16 : 0;
}

/* The number behind a slash; -1 when it is none. */
static int read_bits(nws_str text, size_t address_len) {
  int bits = 0;
  if (text.len == 0 || text.len > 3) {
    return -1;
  }
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') {
      return -1;
    }
    bits = bits * 10 + (text.ptr[i] - '0');
  }
  return bits > (int)address_len * 8 ? -1 : bits;
}

static int same_bits(const uint8_t *a, const uint8_t *b, int bits) {
  size_t whole = (size_t)bits / 8;
  int rest = bits % 8;
  if (memcmp(a, b, whole) != 0) {
    return 0;
  }
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static int excepts_address(nws_str entry, const uint8_t *address, size_t len) {
  const char *slash = memchr(entry.ptr, '/', entry.len);
  size_t host_len = slash == NULL ? entry.len : (size_t)(slash - entry.ptr);
  uint8_t net[16];
  int bits = (int)len * 8;
  if (read_address(nws_str_make(entry.ptr, host_len), net) != len) {
    return 0;
  }
  if (slash != NULL) {
    bits = read_bits(nws_str_make(slash + 1, entry.len - host_len - 1), len);
  }
  return bits >= 0 && same_bits(net, address, bits);
}

static nws_str without_dot(nws_str name) {
  if (name.len > 0 && name.ptr[name.len - 1] == '.') {
    name.len--;
  }
  return name;
}

/* A name, or one above it. */
static int excepts_name(nws_str entry, nws_str host) {
  entry = without_dot(entry);
  if (entry.len > 0 && entry.ptr[0] == '.') {
    entry = nws_str_make(entry.ptr + 1, entry.len - 1);
  }
  if (entry.len == 0 || entry.len > host.len) {
    return 0;
  }
  size_t above = host.len - entry.len;
  return nws_str_equal_nocase(nws_str_make(host.ptr + above, entry.len),
                              entry) &&
         (above == 0 || host.ptr[above - 1] == '.');
}

/* Says whether a list, separated by commas or spaces, has a host in it: by
 * name, by the name of a domain above it, by address or by "address/bits". A
 * list that is one star has all. */
int nws__proxy_excepts(const char *list, nws_str host) {
  static const char between[] = " \t,";
  uint8_t address[16];
  size_t len = read_address(host, address);
  host = without_dot(host);
  if (strcmp(list, "*") == 0) {
    return 1;
  }
  for (list += strspn(list, between); *list != '\0';
       list += strspn(list, between)) {
    nws_str entry = nws_str_make(list, strcspn(list, between));
    list += entry.len;
    if (len > 0 ? excepts_address(entry, address, len)
                : excepts_name(entry, host)) {
      return 1;
    }
  }
  return 0;
}
