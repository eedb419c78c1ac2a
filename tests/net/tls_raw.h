/* tls_raw.h - the other end of a connection as tests want it: plain or with
 * TLS, on a raw socket whose outgoing bytes can be counted, stopped anywhere,
 * and followed by any kind of end.
 *
 * OpenSSL works on memory here, not on the socket: what it says waits in `out`
 * until the test lets it go.
 */
#ifndef NWS_TESTS_TLS_RAW_H
#define NWS_TESTS_TLS_RAW_H

#include "net_fixture.h"
#include "tls_certs.h"
#include <openssl/err.h>

typedef struct wire {
  raw r;         /* the socket, and what came from it and is not used yet */
  SSL *ssl;      /* NULL: plain */
  uint8_t *data; /* what the other end has said, without TLS */
  size_t len, cap;
  uint8_t *out; /* what is to be sent */
  size_t made;  /* bytes in `out`, from the beginning of the connection */
  size_t sent;  /* how many of these went */
  size_t out_cap;
  size_t limit;    /* how many may go */
  size_t text;     /* bytes said, without TLS */
  size_t asked;    /* bytes that were to be said */
  size_t max_text; /* how many may be said */
  int notified;    /* close_notify was read */
  int tls_failed;  /* anything else went wrong with TLS */
  int vanished;    /* sending failed */
} wire;

/* --- OpenSSL --- */

/* A context for raw peers: with `own` they can be servers. No session tickets:
 * they are sent when nobody expects it. */
static inline SSL_CTX *wire_context(const cert *own) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_method());
  assert_non_null(ctx);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, 0);
  if (own != NULL) {
    assert_int_equal(SSL_CTX_use_certificate(ctx, own->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, own->key), 1);
  }
  return ctx;
}

static inline void wire_init(wire *w, int fd, SSL_CTX *ctx, int server) {
  memset(w, 0, sizeof(*w));
  raw_init(&w->r, fd);
  w->limit = w->max_text = SIZE_MAX;
  if (ctx == NULL)
    return;
  w->ssl = SSL_new(ctx);
  assert_non_null(w->ssl);
  SSL_set_bio(w->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  if (server)
    SSL_set_accept_state(w->ssl);
  else
    SSL_set_connect_state(w->ssl);
}

/* Frees everything but the socket. */
static inline void wire_forget(wire *w) {
  int fd = w->r.fd;
  SSL_free(w->ssl);
  free(w->data);
  free(w->out);
  free(w->r.data);
  memset(w, 0, sizeof(*w));
  w->r.fd = fd;
}

static inline void wire_free(wire *w) {
  wire_forget(w);
  raw_free(&w->r);
}

/* --- Bytes out --- */

static inline void wire_room(uint8_t **data, size_t *cap, size_t need) {
  if (need <= *cap)
    return;
  *cap = need * 2 + 4096;
  *data = realloc(*data, *cap);
  assert_non_null(*data);
}

/* Takes what OpenSSL wants to be sent. */
static inline void wire_drain(wire *w) {
  if (w->ssl == NULL)
    return;
  size_t len = BIO_ctrl_pending(SSL_get_wbio(w->ssl));
  if (len == 0)
    return;
  wire_room(&w->out, &w->out_cap, w->made + len);
  assert_int_equal(BIO_read(SSL_get_wbio(w->ssl), w->out + w->made, (int)len),
                   (int)len);
  w->made += len;
}

/* Sends what may go and the socket takes. */
static inline void wire_push(wire *w) {
  wire_drain(w);
  while (w->sent < w->made && w->sent < w->limit && !w->vanished) {
    size_t end = w->made < w->limit ? w->made : w->limit;
    ssize_t n = send(w->r.fd, w->out + w->sent, end - w->sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN)
      return;
    if (n < 0)
      w->vanished = 1;
    else
      w->sent += (size_t)n;
  }
}

/* Says something, once TLS is ready; not more than `max_text` bytes in all. */
static inline void wire_say(wire *w, const void *data, size_t len) {
  w->asked += len;
  if (len > w->max_text - w->text)
    len = w->max_text - w->text;
  if (len == 0)
    return;
  w->text += len;
  if (w->ssl == NULL) {
    wire_room(&w->out, &w->out_cap, w->made + len);
    memcpy(w->out + w->made, data, len);
    w->made += len;
  } else {
    assert_int_equal(SSL_write(w->ssl, data, (int)len), (int)len);
  }
  wire_push(w);
}

/* --- Bytes in --- */

static inline void wire_take(wire *w, const uint8_t *data, size_t len) {
  wire_room(&w->data, &w->cap, w->len + len + 1);
  memcpy(w->data + w->len, data, len);
  w->len += len;
  w->data[w->len] = '\0';
}

static inline void wire_decrypt(wire *w) {
  uint8_t piece[4096];
  int n;
  ERR_clear_error();
  while ((n = SSL_read(w->ssl, piece, sizeof(piece))) > 0)
    wire_take(w, piece, (size_t)n);
  int error = SSL_get_error(w->ssl, n);
  w->notified |= error == SSL_ERROR_ZERO_RETURN;
  w->tls_failed |= error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
  ERR_clear_error();
}

/* Reads what has come, and sends what that leads to. */
static inline void wire_pull(wire *w) {
  raw_read(&w->r);
  if (w->ssl == NULL && w->r.len > 0) {
    wire_take(w, w->r.data, w->r.len);
  } else if (w->ssl != NULL && !w->tls_failed) {
    if (w->r.len > 0)
      BIO_write(SSL_get_rbio(w->ssl), w->r.data, (int)w->r.len);
    wire_decrypt(w); /* shakes hands, too */
  }
  w->r.len = 0;
  wire_push(w);
}

static inline int wire_ready(const wire *w) {
  return w->ssl == NULL || SSL_is_init_finished(w->ssl);
}

/* --- Ends --- */

static inline void wire_shut(wire *w) {
  shutdown(w->r.fd, SHUT_WR);
}

static inline void wire_reset(wire *w) {
  struct linger hard = {.l_onoff = 1, .l_linger = 0};
  setsockopt(w->r.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
  wire_free(w);
}

#endif
