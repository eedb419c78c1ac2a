/* tls_context.c - nws_tls: certificates and trust that any number of threads
 * share, and that can be replaced while connections use them.
 *
 * What a handshake uses is a set that never changes. nws_tls only says which
 * set is the present one; each connection holds the one it began with.
 */
#include "tls_internal.h"
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

/* ECDHE and AEAD, RFC 7540 9.2.2 and Appendix A turned around. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct nws_tls {
  uv_mutex_t lock;
  atomic_uint holds;
  nws__tls_set *now;
};

/* --- Sets --- */

void nws__tls_release(nws__tls_set *set) {
  if (set == NULL || atomic_fetch_sub(&set->holds, 1) > 1) {
    return;
  }
  for (size_t i = 0; i < set->identity_count; i++) {
    nws__identity_free(&set->identities[i]);
  }
  free(set->identities);
  free(set->pins);
  SSL_CTX_free(set->ctx);
  free(set);
}

/* RFC 7301: we speak HTTP/1.1, and so does everybody who says nothing. */
static const unsigned char protocols[] = "\x08http/1.1";
#define PROTOCOLS_LEN (sizeof(protocols) - 1)

static int choose_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *len, const unsigned char *offered,
                           unsigned offered_len, void *arg) {
  unsigned char *chosen;
  (void)ssl;
  (void)arg;
  if (SSL_select_next_proto(&chosen, len, protocols, PROTOCOLS_LEN, offered,
                            offered_len) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

/* RFC 6066 3: the client may say which name it came for. The first identity
 * stands in the context already. */
static int choose_identity(SSL *ssl, void *arg) {
  const nws__tls_set *set = arg;
  const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (!SSL_is_server(ssl) || asked == NULL) {
    return 1;
  }
  for (size_t i = 0; i < set->identity_count; i++) {
    const nws__identity *one = &set->identities[i];
    if (nws__identity_has(one, asked)) {
      return SSL_use_cert_and_key(ssl, one->certificate, one->key, one->chain,
                                  1);
    }
  }
  return 1;
}

static int load_identities(nws__tls_set *set, const nws_tls_options *options,
                           const nws__why *why) {
  if (options->identity_count == 0) {
    return NWS_OK;
  }
  set->identities = calloc(options->identity_count, sizeof(*set->identities));
  if (set->identities == NULL) {
    return NWS_ERROR_MEMORY;
  }
  for (size_t i = 0; i < options->identity_count; i++) {
    set->identity_count++;
    int rc =
        nws__identity_load(&set->identities[i], &options->identities[i], why);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  const nws__identity *first = &set->identities[0];
  if (SSL_CTX_use_cert_and_key(set->ctx, first->certificate, first->key,
                               first->chain, 1) != 1) {
    return nws__tls_fail(why, "the certificate cannot be used", NULL);
  }
  if (set->identity_count > 1) {
    SSL_CTX_set_cert_cb(set->ctx, choose_identity, set);
  }
  return NWS_OK;
}

/* Sessions are resumed by tickets alone: none are kept here, so that they cost
 * no memory. Clients do not resume. */
static int prepare(nws__tls_set *set, const nws_tls_options *options,
                   const nws__why *why) {
  static const unsigned char id[] = "nws";
  SSL_CTX *ctx = set->ctx;
  int oldest =
      options->min_version == NWS_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
  const char *ciphers = options->ciphers == NULL ? CIPHERS : options->ciphers;
  SSL_CTX_set_min_proto_version(ctx, oldest);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(ctx, 1);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
  SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
  if (SSL_CTX_set_alpn_protos(ctx, protocols, PROTOCOLS_LEN) != 0) {
    return NWS_ERROR_MEMORY;
  }
  if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1) {
    return nws__tls_fail(why, "no such ciphers", ciphers);
  }
  return NWS_OK;
}

static int fill(nws__tls_set *set, const nws_tls_options *options,
                const nws__why *why) {
  set->clients = options->clients;
  set->insecure = options->insecure;
  set->ctx = SSL_CTX_new(TLS_method());
  if (set->ctx == NULL) {
    return NWS_ERROR_MEMORY;
  }
  int rc = prepare(set, options, why);
  if (rc == NWS_OK) {
    rc = nws__trust_load(set->ctx, options, why);
  }
  if (rc == NWS_OK) {
    rc = load_identities(set, options, why);
  }
  if (rc == NWS_OK) {
    rc = nws__pins_load(set, options->pins, why);
  }
  return rc;
}

static int valid(const nws_tls_options *options) {
  return options->clients <= NWS_TLS_CLIENTS_REQUIRED &&
         options->insecure <= 1 && options->min_version <= NWS_TLS_1_3 &&
         (options->identities != NULL || options->identity_count == 0);
}

static int make_set(const nws_tls_options *given, nws__tls_set **out,
                    char *text, size_t cap) {
  nws_tls_options options;
  nws__why why = {text, cap};
  *out = NULL;
  if (text != NULL && cap > 0) {
    text[0] = '\0';
  }
  int rc = nws__setup_options(&options, sizeof(options), given);
  if (rc != NWS_OK) {
    return rc;
  }
  if (!valid(&options)) {
    return NWS_ERROR_ARGUMENT;
  }
  nws__tls_set *set = calloc(1, sizeof(*set));
  if (set == NULL) {
    return NWS_ERROR_MEMORY;
  }
  atomic_init(&set->holds, 1);
  rc = fill(set, &options, &why);
  if (rc != NWS_OK) {
    nws__tls_release(set);
    return rc;
  }
  *out = set;
  return NWS_OK;
}

/* --- Objects --- */

int nws_tls_new(const nws_tls_options *options, nws_tls **out, char *why,
                size_t cap) {
  nws__tls_set *set;
  if (out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  *out = NULL;
  int rc = make_set(options, &set, why, cap);
  if (rc != NWS_OK) {
    return rc;
  }
  nws_tls *tls = calloc(1, sizeof(*tls));
  if (tls == NULL || uv_mutex_init(&tls->lock) != 0) {
    free(tls);
    nws__tls_release(set);
    return NWS_ERROR_MEMORY;
  }
  atomic_init(&tls->holds, 1);
  tls->now = set;
  *out = tls;
  return NWS_OK;
}

int nws_tls_reload(nws_tls *tls, const nws_tls_options *options, char *why,
                   size_t cap) {
  nws__tls_set *set;
  if (tls == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  int rc = make_set(options, &set, why, cap);
  if (rc != NWS_OK) {
    return rc;
  }
  uv_mutex_lock(&tls->lock);
  nws__tls_set *old = tls->now;
  tls->now = set;
  uv_mutex_unlock(&tls->lock);
  nws__tls_release(old);
  return NWS_OK;
}

/* The present set, held. */
nws__tls_set *nws__tls_hold(nws_tls *tls) {
  uv_mutex_lock(&tls->lock);
  nws__tls_set *set = tls->now;
  atomic_fetch_add(&set->holds, 1);
  uv_mutex_unlock(&tls->lock);
  return set;
}

nws_tls *nws__tls_keep(nws_tls *tls) {
  if (tls != NULL) {
    atomic_fetch_add(&tls->holds, 1);
  }
  return tls;
}

void nws_tls_drop(nws_tls *tls) {
  if (tls == NULL || atomic_fetch_sub(&tls->holds, 1) > 1) {
    return;
  }
  nws__tls_release(tls->now);
  uv_mutex_destroy(&tls->lock);
  free(tls);
}

int nws__tls_serves(nws_tls *tls) {
  nws__tls_set *set = nws__tls_hold(tls);
  int serves = set->identity_count > 0;
  nws__tls_release(set);
  return serves;
}

int nws_tls_pin(nws_tls *tls, char *out) {
  uint8_t pin[NWS__PIN_LEN];
  if (tls == NULL || out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  nws__tls_set *set = nws__tls_hold(tls);
  int rc = NWS_ERROR_STATE;
  if (set->identity_count > 0) {
    rc = nws__pin_of(set->identities[0].certificate, pin);
  }
  if (rc == NWS_OK) {
    nws__pin_write(pin, out);
  }
  nws__tls_release(set);
  return rc;
}
