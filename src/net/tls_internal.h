/* tls_internal.h - what the two halves of TLS share: certificates and trust
 * (tls_context.c and those it calls), and the connections that use them
 * (tls.c). Nothing else in the net layer knows OpenSSL.
 */
#ifndef NWS_TLS_INTERNAL_H
#define NWS_TLS_INTERNAL_H

#include "net_internal.h"
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>

/* The bytes of a pin: a SHA-256. */
#define NWS__PIN_LEN 32

/* A certificate with what leads to a root, and its key. */
typedef struct nws__identity {
  X509 *certificate;
  STACK_OF(X509) * chain;
  EVP_PKEY *key;
} nws__identity;

/* What a handshake uses. It never changes, and is replaced as a whole. */
typedef struct nws__tls_set {
  atomic_uint holds;
  SSL_CTX *ctx;
  nws__identity *identities;
  size_t identity_count;
  uint8_t (*pins)[NWS__PIN_LEN];
  size_t pin_count;
  int clients; /* nws_tls_clients */
  int insecure;
} nws__tls_set;

/* Where an error is explained: the caller's buffer. */
typedef struct nws__why {
  char *text;
  size_t cap;
} nws__why;

/* tls_context.c */
nws__tls_set *nws__tls_hold(nws_tls *tls);
void nws__tls_release(nws__tls_set *set);

/* tls_load.c: read files and memory; NWS_OK or an error that `why` explains */
int nws__tls_fail(const nws__why *why, const char *what, const char *name);
int nws__identity_load(nws__identity *out, const nws_tls_identity *from,
                       const nws__why *why);
void nws__identity_free(nws__identity *identity);
int nws__identity_has(const nws__identity *identity, const char *name);
int nws__trust_load(SSL_CTX *ctx, const nws_tls_options *from,
                    const nws__why *why);
int nws__pins_load(nws__tls_set *set, const char *pins, const nws__why *why);

/* tls_pin.c */
int nws__pin_of(X509 *certificate, uint8_t out[NWS__PIN_LEN]);
void nws__pin_write(const uint8_t pin[NWS__PIN_LEN], char *out);

/* tls_self.c */
int nws__identity_make(nws__identity *out, const char *names,
                       const nws__why *why);

#endif
