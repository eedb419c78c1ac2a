/* tls_none.c - what stands in for tls_*.c in a build without OpenSSL: nobody
 * gets an nws_tls, so no connection ever asks anything of one.
 */
#include "net_internal.h"

int nws_tls_new(const nws_tls_options *options, nws_tls **tls, char *why,
                size_t cap) {
  (void)options;
  if (tls != NULL) {
    *tls = NULL;
  }
  if (why != NULL && cap > 0) {
    why[0] = '\0';
  }
  return NWS_ERROR_TLS_MISSING;
}

int nws_tls_reload(nws_tls *tls, const nws_tls_options *options, char *why,
                   size_t cap) {
  return nws_tls_new(options, &tls, why, cap);
}

void nws_tls_drop(nws_tls *tls) {
  (void)tls;
}

int nws_tls_pin(nws_tls *tls, char *out) {
  (void)tls;
  (void)out;
  return NWS_ERROR_TLS_MISSING;
}

nws_tls *nws__tls_keep(nws_tls *tls) {
  return tls;
}

int nws__tls_serves(nws_tls *tls) {
  (void)tls;
  return 0;
}

nws__tls *nws__tls_start(nws_tls *shared, int fd, const char *host) {
  (void)shared;
  (void)fd;
  (void)host;
  return NULL;
}

void nws__tls_free(nws__tls *tls) {
  (void)tls;
}

int nws__tls_shake(nws__tls *tls) {
  (void)tls;
  return NWS_ERROR_TLS_MISSING;
}

int nws__tls_want(const nws__tls *tls) {
  (void)tls;
  return 0;
}

long nws__tls_receive(nws__tls *tls, void *out, size_t cap) {
  (void)tls;
  (void)out;
  (void)cap;
  return NWS_ERROR_TLS_MISSING;
}

long nws__tls_send(nws__tls *tls, const uv_buf_t *bufs, unsigned count) {
  (void)tls;
  (void)bufs;
  (void)count;
  return NWS_ERROR_TLS_MISSING;
}

void nws__tls_shut(nws__tls *tls) {
  (void)tls;
}

int nws__tls_more(const nws__tls *tls) {
  (void)tls;
  return 0;
}

void nws__tls_stir(nws__tls *tls) {
  (void)tls;
}

const char *nws__tls_detail(const nws__tls *tls) {
  (void)tls;
  return "";
}

void nws__tls_info(nws__tls *tls, nws_tls_info *info) {
  (void)tls;
  (void)info;
}

struct ssl_st *nws__tls_ssl(const nws__tls *tls) {
  (void)tls;
  return NULL;
}
