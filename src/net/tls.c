/* tls.c - TLS on one connection, on OpenSSL.
 *
 * OpenSSL reads and writes the socket itself, through a BIO of ours whose calls
 * are those of the plain connections: its own would raise SIGPIPE.
 */
#include "tls_internal.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct nws__tls {
  SSL *ssl;
  nws__tls_set *set;
  int fd;
  int socket_error;  /* of the last call that failed */
  int send_error;    /* what sending failed with: it is over for good */
  int receive_error; /* the same for receiving; data may have come before it */
  int at_eof;
  int want; /* UV_READABLE, UV_WRITABLE: what it waits for */
  int more; /* it may hold something that was received already */
  char subject[256];
  char detail[256];
};

/* Keeps an error: OpenSSL, asked again, would tell of another. */
static int keep(int *error, int why) {
  if (why != 0 && why != UV_EAGAIN) {
    *error = why;
  }
  return why;
}

/* --- The BIO --- */

static int bio_failed(BIO *bio, nws__tls *tls, long error, int retry) {
  if (error == UV_EAGAIN) {
    BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  } else {
    tls->socket_error = (int)error;
  }
  return -1;
}

static int bio_read(BIO *bio, char *out, int cap) {
  nws__tls *tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  long len = nws__socket_receive(tls->fd, out, (size_t)cap);
  if (len < 0) {
    return bio_failed(bio, tls, len, BIO_FLAGS_READ);
  }
  tls->at_eof = len == 0;
  return (int)len;
}

static int bio_write(BIO *bio, const char *data, int len) {
  nws__tls *tls = BIO_get_data(bio);
  uv_buf_t buf = {.len = (size_t)len};
  memcpy(&buf.base, &data, sizeof(data)); /* libuv has no pointer to const */
  BIO_clear_retry_flags(bio);
  long sent = nws__socket_send(tls->fd, &buf, 1);
  if (sent < 0) {
    /* OpenSSL overlooks some failures, such as those of session tickets. */
    keep(&tls->send_error, (int)sent);
    return bio_failed(bio, tls, sent, BIO_FLAGS_WRITE);
  }
  return (int)sent;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer) {
  const nws__tls *tls = BIO_get_data(bio);
  (void)number;
  (void)pointer;
  switch (what) {
  case BIO_CTRL_FLUSH:
    return 1;
  case BIO_CTRL_EOF:
    return tls->at_eof;
  default:
    return 0;
  }
}

static BIO_METHOD *method;
static uv_once_t method_once = UV_ONCE_INIT;

static void make_method(void) {
  BIO_METHOD *fresh = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "nws socket");
  if (fresh == NULL) {
    return;
  }
  if (BIO_meth_set_read(fresh, bio_read) != 1 ||
      BIO_meth_set_write(fresh, bio_write) != 1 ||
      BIO_meth_set_ctrl(fresh, bio_ctrl) != 1) {
    BIO_meth_free(fresh);
    return;
  }
  method = fresh;
}

static BIO *make_bio(nws__tls *tls) {
  uv_once(&method_once, make_method);
  BIO *bio = method == NULL ? NULL : BIO_new(method);
  if (bio != NULL) {
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
  }
  return bio;
}

/* --- Beginning --- */

static void verify_clients(nws__tls *tls) {
  int clients = tls->set->clients;
  int mode = SSL_VERIFY_NONE;
  if (clients != NWS_TLS_CLIENTS_ANY) {
    mode = SSL_VERIFY_PEER;
  }
  if (clients == NWS_TLS_CLIENTS_REQUIRED) {
    mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  SSL_set_verify(tls->ssl, mode, NULL);
}

/* RFC 9525 6: a certificate names the host that was asked for, or the address
 * where the address was asked for; the latter is not sent (RFC 6066 3). */
static int name_host(nws__tls *tls, const char *host) {
  X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
  if (!tls->set->insecure) {
    SSL_set_verify(tls->ssl, SSL_VERIFY_PEER, NULL);
  }
  struct sockaddr_in four;
  struct sockaddr_in6 six;
  if (uv_ip4_addr(host, 0, &four) == 0 || uv_ip6_addr(host, 0, &six) == 0) {
    return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
  }
  /* RFC 9525 2: the subject's CN names nobody. */
  SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                  X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return SSL_set1_host(tls->ssl, host) == 1 &&
         SSL_set_tlsext_host_name(tls->ssl, host) == 1;
}

static int begin(nws__tls *tls, const char *host) {
  BIO *bio;
  tls->ssl = SSL_new(tls->set->ctx);
  bio = tls->ssl == NULL ? NULL : make_bio(tls);
  if (bio == NULL) {
    return 0;
  }
  SSL_set_bio(tls->ssl, bio, bio);
  if (host == NULL) {
    SSL_set_accept_state(tls->ssl);
    verify_clients(tls);
    return 1;
  }
  SSL_set_connect_state(tls->ssl);
  return name_host(tls, host);
}

/* TLS on a socket; `host` is whom a client wants to talk to, NULL for servers.
 * Returns NULL without memory. */
nws__tls *nws__tls_start(nws_tls *shared, int fd, const char *host) {
  nws__tls *tls = calloc(1, sizeof(*tls));
  if (tls == NULL) {
    return NULL;
  }
  tls->set = nws__tls_hold(shared);
  tls->fd = fd;
  tls->want = host == NULL ? UV_READABLE : UV_WRITABLE;
  ERR_clear_error();
  if (!begin(tls, host)) {
    nws__tls_free(tls);
    return NULL;
  }
  return tls;
}

void nws__tls_free(nws__tls *tls) {
  if (tls != NULL) {
    SSL_free(tls->ssl);
    nws__tls_release(tls->set);
    free(tls);
  }
}

/* --- Errors --- */

static void describe(nws__tls *tls, const char *text) {
  if (tls->detail[0] == '\0' && text != NULL) {
    snprintf(tls->detail, sizeof(tls->detail), "%s", text);
  }
}

/* What the other end has shown. OpenSSL forgets a certificate that it has
 * refused, but not the chain that it built from it. */
static X509 *certificate_of(const nws__tls *tls) {
  X509 *theirs = SSL_get0_peer_certificate(tls->ssl);
  if (theirs == NULL) {
    theirs = sk_X509_value(SSL_get0_verified_chain(tls->ssl), 0);
  }
  return theirs;
}

/* OpenSSL leaves line ends in names; what says why is one line, and whoever is
 * on the way may have written them. */
static void keep_one_line(char *text) {
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < ' ' || *text == 0x7f) {
      *text = '?';
    }
  }
}

/* Adds whom a certificate is for: "DNS:example.org, IP Address:192.0.2.1". */
static void describe_names(nws__tls *tls) {
  X509 *theirs = certificate_of(tls);
  GENERAL_NAMES *names =
      theirs == NULL
          ? NULL
          : X509_get_ext_d2i(theirs, NID_subject_alt_name, NULL, NULL);
  BIO *text = names == NULL ? NULL : BIO_new(BIO_s_mem());
  size_t at = strlen(tls->detail);
  for (int i = 0; text != NULL && i < sk_GENERAL_NAME_num(names); i++) {
    BIO_puts(text, i == 0 ? "; it is for " : ", ");
    GENERAL_NAME_print(text, sk_GENERAL_NAME_value(names, i));
  }
  if (text != NULL && sizeof(tls->detail) - at > 1) {
    int len =
        BIO_read(text, tls->detail + at, (int)(sizeof(tls->detail) - at - 1));
    tls->detail[at + (size_t)(len > 0 ? len : 0)] = '\0';
    keep_one_line(tls->detail + at);
  }
  BIO_free(text);
  GENERAL_NAMES_free(names);
}

static int certificate_error(nws__tls *tls) {
  long result = SSL_get_verify_result(tls->ssl);
  if (result == X509_V_OK) {
    return NWS_ERROR_TLS;
  }
  describe(tls, X509_verify_cert_error_string(result));
  if (result == X509_V_ERR_HOSTNAME_MISMATCH ||
      result == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    describe_names(tls);
    return NWS_ERROR_TLS_HOST;
  }
  return NWS_ERROR_TLS_CERTIFICATE;
}

static int protocol_error(nws__tls *tls) {
  unsigned long code = ERR_peek_error();
  int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  int error = NWS_ERROR_TLS;
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    return NWS_ERROR_TLS_CUT;
  }
  if (reason == SSL_R_HTTP_REQUEST) {
    return NWS_ERROR_TLS_PLAIN;
  }
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    error = certificate_error(tls);
  } else if (reason == SSL_R_WRONG_VERSION_NUMBER) {
    describe(tls, "the other end does not speak TLS, or no version of it that "
                  "is spoken here");
  } else if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
    error = NWS_ERROR_MEMORY;
  }
  describe(tls, ERR_reason_error_string(code));
  return error;
}

/* What became of a call of OpenSSL's that did not succeed: 0 for an orderly
 * end, UV_EAGAIN to wait for `want`, or an error. */
static int outcome(nws__tls *tls, int rc) {
  int error;
  switch (SSL_get_error(tls->ssl, rc)) {
  case SSL_ERROR_WANT_READ:
    tls->want = UV_READABLE;
    return UV_EAGAIN;
  case SSL_ERROR_WANT_WRITE:
    tls->want = UV_WRITABLE;
    return UV_EAGAIN;
  case SSL_ERROR_ZERO_RETURN:
    return 0;
  case SSL_ERROR_SSL:
    error = protocol_error(tls);
    ERR_clear_error();
    return error;
  default:
    return tls->socket_error != 0 ? tls->socket_error : NWS_ERROR_TLS_CUT;
  }
}

/* --- The handshake --- */

static int pinned(nws__tls *tls) {
  const nws__tls_set *set = tls->set;
  uint8_t pin[NWS__PIN_LEN];
  if (set->pin_count == 0 ||
      (SSL_is_server(tls->ssl) && set->clients == NWS_TLS_CLIENTS_ANY)) {
    return NWS_OK;
  }
  X509 *theirs = SSL_get0_peer_certificate(tls->ssl);
  if (theirs == NULL || nws__pin_of(theirs, pin) != NWS_OK) {
    return NWS_ERROR_TLS_PIN;
  }
  for (size_t i = 0; i < set->pin_count; i++) {
    if (memcmp(set->pins[i], pin, sizeof(pin)) == 0) {
      return NWS_OK;
    }
  }
  char text[NWS_TLS_PIN];
  nws__pin_write(pin, text);
  snprintf(tls->detail, sizeof(tls->detail), "it has %s", text);
  return NWS_ERROR_TLS_PIN;
}

/* Goes on with the handshake. Returns NWS_OK when it is over, NWS_MORE to be
 * called again when the socket is ready for nws__tls_want(), or an error. */
int nws__tls_shake(nws__tls *tls) {
  ERR_clear_error();
  int rc = SSL_do_handshake(tls->ssl);
  if (rc != 1) {
    int why = outcome(tls, rc);
    if (why == UV_EAGAIN) {
      return NWS_MORE;
    }
    return why == 0 ? NWS_ERROR_TLS_CUT : why;
  }
  tls->more = 1;
  tls->want = UV_READABLE;
  return pinned(tls);
}

int nws__tls_want(const nws__tls *tls) {
  return tls->want;
}

/* --- Data --- */

/* Bytes received; 0 after close_notify; UV_EAGAIN or an error. */
long nws__tls_receive(nws__tls *tls, void *out, size_t cap) {
  size_t got = 0;
  if (tls->receive_error != 0) {
    return tls->receive_error;
  }
  ERR_clear_error();
  tls->more = 1;
  while (got < cap) {
    size_t len = 0;
    int rc = SSL_read_ex(tls->ssl, (uint8_t *)out + got, cap - got, &len);
    if (rc != 1) {
      int why = keep(&tls->receive_error, outcome(tls, rc));
      tls->more = why != UV_EAGAIN && got > 0;
      return got > 0 ? (long)got : why;
    }
    got += len;
  }
  return (long)got;
}

/* Adds what has been taken of a buffer to `sent`. Returns 0 when that is all of
 * it, or UV_EAGAIN or an error. */
static int send_one(nws__tls *tls, const uv_buf_t *buf, size_t *sent) {
  size_t at = 0;
  while (at < buf->len) {
    size_t len = 0;
    int rc = SSL_write_ex(tls->ssl, buf->base + at, buf->len - at, &len);
    if (rc != 1) {
      int why = outcome(tls, rc);
      return why == 0 ? UV_EPIPE : why;
    }
    at += len;
    *sent += len;
  }
  return 0;
}

/* Bytes taken, or UV_EAGAIN or an error. What is refused has to be offered
 * again first thing, which a queue does; it then meets an error again, too. */
long nws__tls_send(nws__tls *tls, const uv_buf_t *bufs, unsigned count) {
  size_t sent = 0;
  int why = 0;
  if (tls->send_error == 0) {
    tls->send_error = tls->receive_error; /* which ends all */
  }
  if (tls->send_error != 0) {
    return tls->send_error;
  }
  ERR_clear_error();
  for (unsigned i = 0; i < count && why == 0; i++) {
    why = keep(&tls->send_error, send_one(tls, &bufs[i], &sent));
  }
  return why == 0 || sent > 0 ? (long)sent : why;
}

/* Says close_notify (RFC 8446 6.1), if the socket takes it. */
void nws__tls_shut(nws__tls *tls) {
  ERR_clear_error();
  (void)SSL_shutdown(tls->ssl);
  ERR_clear_error();
}

/* Says whether to receive again though the socket may have nothing more. */
int nws__tls_more(const nws__tls *tls) {
  return tls->more;
}

/* The socket has become writable: what was held up goes on, and that may be
 * reading. */
void nws__tls_stir(nws__tls *tls) {
  tls->more = 1;
}

/* --- Questions --- */

const char *nws__tls_detail(const nws__tls *tls) {
  return tls == NULL ? "" : tls->detail;
}

static void subject_of(nws__tls *tls, X509 *theirs) {
  BIO *text = BIO_new(BIO_s_mem());
  if (text == NULL) {
    return;
  }
  X509_NAME_print_ex(text, X509_get_subject_name(theirs), 0,
                     XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  int len = BIO_read(text, tls->subject, sizeof(tls->subject) - 1);
  tls->subject[len > 0 ? len : 0] = '\0';
  BIO_free(text);
}

void nws__tls_info(nws__tls *tls, nws_tls_info *info) {
  uint8_t pin[NWS__PIN_LEN];
  memset(info, 0, sizeof(*info));
  info->version = SSL_get_version(tls->ssl);
  info->cipher = SSL_get_cipher_name(tls->ssl);
  const char *asked = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
  info->asked = asked == NULL ? "" : asked;
  X509 *theirs = certificate_of(tls);
  if (theirs != NULL && tls->subject[0] == '\0') {
    subject_of(tls, theirs);
  }
  info->subject = tls->subject;
  if (theirs != NULL && nws__pin_of(theirs, pin) == NWS_OK) {
    nws__pin_write(pin, info->pin);
  }
  info->verified = theirs != NULL &&
                   SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE &&
                   SSL_get_verify_result(tls->ssl) == X509_V_OK;
}

struct ssl_st *nws__tls_ssl(const nws__tls *tls) {
  return tls->ssl;
}
