/* proxy_say.c - what is said to proxies, and what they answer: HTTP CONNECT
 * (RFC 9110 9.3.6) and SOCKS5 (RFC 1928, RFC 1929). Names are left to the proxy
 * to look up.
 */
#include "proxy.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- HTTP CONNECT --- */

/* Makes the request; `out` is the caller's to free. */
int nws__connect_write(const nws__proxy *proxy, const nws_uri *to, char **out,
                       size_t *len) {
  char *basic = NULL;
  char at[NWS__HOST_MAX + sizeof("[]:65535")];
  *out = NULL;
  if (proxy->login.text != NULL) {
    int rc = nws__login_basic(&proxy->login, &basic);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  snprintf(at, sizeof(at), "%s%.*s%s:%u", to->ipv6 ? "[" : "",
           (int)to->host.len, to->host.ptr, to->ipv6 ? "]" : "",
           (unsigned)to->port);
  size_t cap = 2 * strlen(at) + 64 + (basic == NULL ? 0 : strlen(basic) + 32);
  *out = malloc(cap);
  if (*out != NULL) {
    int n = snprintf(*out, cap, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n",
                     at, at, basic == NULL ? "" : "Proxy-Authorization: ",
                     basic == NULL ? "" : basic, basic == NULL ? "" : "\r\n");
    *len = (size_t)n;
  }
  free(basic);
  return *out == NULL ? NWS_ERROR_MEMORY : NWS_OK;
}

/* Reads the answer from its first bytes. NWS_MORE, with `head->len` not 0 when
 * these are an interim answer (RFC 9110 15.2) that may be forgotten; NWS_OK:
 * the way is free behind `head->len` bytes; NWS_ERROR_PROXY_STATUS or
 * NWS_ERROR_PROXY_AUTH, and `head` tells what the proxy says; other errors:
 * this is no HTTP. */
int nws__connect_read(nws_http_head *head, const char *data, size_t len) {
  head->len = 0;
  int rc = nws_http_parse_response(head, data, len);
  if (rc != NWS_OK) {
    head->len = 0;
    return rc;
  }
  if (head->status < 200 && head->status != 101) {
    return NWS_MORE;
  }
  if (head->status >= 200 && head->status < 300) {
    return NWS_OK;
  }
  return head->status == 407 ? NWS_ERROR_PROXY_AUTH : NWS_ERROR_PROXY_STATUS;
}

/* --- SOCKS5 --- */

enum {
  SOCKS_VERSION = 5,
  LOGIN_VERSION = 1,
  METHOD_NONE = 0,
  METHOD_LOGIN = 2,
  METHOD_REFUSED = 0xff,
  COMMAND_CONNECT = 1,
  TYPE_IPV4 = 1,
  TYPE_NAME = 3,
  TYPE_IPV6 = 4
};

static size_t write_login(const nws__login *login, uint8_t *out) {
  size_t at = 0;
  out[at++] = LOGIN_VERSION;
  out[at++] = (uint8_t)login->name_len;
  memcpy(out + at, login->text, login->name_len);
  at += login->name_len;
  out[at++] = (uint8_t)login->password_len;
  memcpy(out + at, login->text + login->name_len + 1, login->password_len);
  return at + login->password_len;
}

static size_t write_connect(const nws_uri *to, uint8_t *out) {
  char host[NWS__HOST_MAX + 1];
  size_t len = to->host.len;
  size_t at = 0;
  memcpy(host, to->host.ptr, len);
  host[len] = '\0';
  out[at++] = SOCKS_VERSION;
  out[at++] = COMMAND_CONNECT;
  out[at++] = 0;
  if (uv_inet_pton(AF_INET, host, out + at + 1) == 0) {
    out[at] = TYPE_IPV4;
    at += 1 + 4;
  } else if (uv_inet_pton(AF_INET6, host, out + at + 1) == 0) {
    out[at] = TYPE_IPV6;
    at += 1 + 16;
  } else {
    out[at++] = TYPE_NAME;
    out[at++] = (uint8_t)len;
    memcpy(out + at, host, len);
    at += len;
  }
  out[at++] = (uint8_t)(to->port >> 8);
  out[at++] = (uint8_t)to->port;
  return at;
}

/* What is said in a step; returns how many bytes. */
size_t nws__socks_write(nws__socks_step step, const nws__proxy *proxy,
                        const nws_uri *to, uint8_t out[NWS__SOCKS_SAY_MAX]) {
  int has_login = proxy->login.text != NULL;
  switch (step) {
  case NWS__SOCKS_METHODS:
    out[0] = SOCKS_VERSION;
    out[1] = has_login ? 2 : 1;
    out[2] = METHOD_NONE;
    out[3] = METHOD_LOGIN;
    return has_login ? 4 : 3;
  case NWS__SOCKS_LOGIN:
    return has_login ? write_login(&proxy->login, out) : 0;
  case NWS__SOCKS_CONNECT:
    return write_connect(to, out);
  default:
    return 0;
  }
}

static int read_method(nws__socks_step *step, int has_login,
                       const uint8_t *data) {
  if (data[0] != SOCKS_VERSION) {
    return NWS_ERROR_PROXY;
  }
  if (data[1] == METHOD_NONE) {
    *step = NWS__SOCKS_CONNECT;
    return NWS_OK;
  }
  if (data[1] == METHOD_LOGIN && has_login) {
    *step = NWS__SOCKS_LOGIN;
    return NWS_OK;
  }
  return data[1] == METHOD_REFUSED ? NWS_ERROR_PROXY_AUTH : NWS_ERROR_PROXY;
}

/* RFC 1928 6 */
static const char *const replies[] = {
    "",
    "general SOCKS server failure",
    "connection not allowed by ruleset",
    "network unreachable",
    "host unreachable",
    "connection refused",
    "time to live expired",
    "command not supported",
    "address type not supported",
};

/* How long the reply is, with an address behind its first five bytes; 0 when
 * that is of no known type. */
static size_t reply_len(const uint8_t *data) {
  switch (data[3]) {
  case TYPE_IPV4:
    return 4 + 4 + 2;
  case TYPE_NAME:
    return 5 + (size_t)data[4] + 2;
  case TYPE_IPV6:
    return 4 + 16 + 2;
  default:
    return 0;
  }
}

static int read_reply(nws__socks_step *step, const uint8_t *data, size_t len,
                      size_t *need, const char **detail) {
  if (data[0] != SOCKS_VERSION) {
    return NWS_ERROR_PROXY;
  }
  if (data[1] != 0) {
    size_t known = sizeof(replies) / sizeof(replies[0]);
    *detail = data[1] < known ? replies[data[1]] : "unknown reason";
    return NWS_ERROR_PROXY_STATUS;
  }
  *need = 5;
  if (len >= *need) {
    *need = reply_len(data);
  }
  if (*need == 0) {
    return NWS_ERROR_PROXY;
  }
  if (len < *need) {
    return NWS_MORE;
  }
  *step = NWS__SOCKS_DONE;
  return NWS_OK;
}

/* Reads the answer to a step from its first bytes. NWS_MORE: it has at least
 * `need` bytes, at most NWS__SOCKS_READ_MAX; NWS_OK: it is complete with them,
 * and `step` is the next. `detail` may say more about NWS_ERROR_PROXY_STATUS.
 */
int nws__socks_read(nws__socks_step *step, int has_login, const uint8_t *data,
                    size_t len, size_t *need, const char **detail) {
  *need = 2;
  if (len < *need) {
    return NWS_MORE;
  }
  switch (*step) {
  case NWS__SOCKS_METHODS:
    return read_method(step, has_login, data);
  case NWS__SOCKS_LOGIN:
    if (data[0] != LOGIN_VERSION) {
      return NWS_ERROR_PROXY;
    }
    *step = NWS__SOCKS_CONNECT;
    return data[1] == 0 ? NWS_OK : NWS_ERROR_PROXY_AUTH;
  case NWS__SOCKS_CONNECT:
    return read_reply(step, data, len, need, detail);
  default:
    return NWS_ERROR_STATE;
  }
}
