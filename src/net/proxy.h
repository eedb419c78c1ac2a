/* proxy.h - the proxies that clients go through, and what is said to them. All
 * of it but the environment is pure: bytes in, bytes out.
 */
#ifndef NWS_PROXY_H
#define NWS_PROXY_H

#include "net_internal.h"

/* RFC 1928 3 */
#define NWS__SOCKS_PORT 1080
/* The longest of our messages and of the proxy's: RFC 1929 2; RFC 1928 6 */
#define NWS__SOCKS_SAY_MAX 513
#define NWS__SOCKS_READ_MAX 262

/* A name and a password, decoded: "name:password" in one piece. */
typedef struct nws__login {
  char *text; /* owned */
  size_t name_len;
  size_t password_len;
} nws__login;

typedef enum nws__proxy_kind {
  NWS__PROXY_HTTP,
  NWS__PROXY_SOCKS5
} nws__proxy_kind;

typedef struct nws__proxy {
  nws__proxy_kind kind;
  char host[NWS__HOST_MAX + 1]; /* empty: no proxy */
  uint16_t port;
  nws__login login; /* `text` NULL: none */
} nws__proxy;

/* What is said next to a SOCKS5 proxy, and then answered. */
typedef enum nws__socks_step {
  NWS__SOCKS_METHODS,
  NWS__SOCKS_LOGIN,
  NWS__SOCKS_CONNECT,
  NWS__SOCKS_DONE
} nws__socks_step;

/* authorize.c */
int nws__login_decode(nws_str userinfo, nws__login *out);
void nws__login_free(nws__login *login);
int nws__login_basic(const nws__login *login, char **out);

/* proxy.c */
int nws__proxy_parse(const char *text, nws__proxy *proxy);
void nws__proxy_free(nws__proxy *proxy);
const char *nws__proxy_environment(const nws_uri *uri);
int nws__proxy_excepts(const char *list, nws_str host);

/* proxy_say.c */
int nws__connect_write(const nws__proxy *proxy, const nws_uri *to, char **out,
                       size_t *len);
int nws__connect_read(nws_http_head *head, const char *data, size_t len);
size_t nws__socks_write(nws__socks_step step, const nws__proxy *proxy,
                        const nws_uri *to, uint8_t out[NWS__SOCKS_SAY_MAX]);
int nws__socks_read(nws__socks_step *step, int has_login, const uint8_t *data,
                    size_t len, size_t *need, const char **detail);

#endif
