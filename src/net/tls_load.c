/* tls_load.c - certificates, keys and trust, from files and from memory.
 *
 * Whoever sets TLS up for the first time gets something wrong: each failure
 * names the file and says what is the matter with it.
 */
#include "tls_internal.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* Explains an error; with what OpenSSL has to say about it, if anything. */
int nws__tls_fail(const nws__why *why, const char *what, const char *name) {
  unsigned long code = ERR_peek_last_error();
  const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
  if (why->text != NULL && why->cap > 0) {
    snprintf(why->text, why->cap, "%s%s%s%s%s%s", name == NULL ? "" : name,
             name == NULL ? "" : ": ", what, reason == NULL ? "" : " (",
             reason == NULL ? "" : reason, reason == NULL ? "" : ")");
  }
  ERR_clear_error();
  return NWS_ERROR_TLS_CONFIG;
}

/* --- Where PEM comes from --- */

typedef struct source {
  BIO *bio;
  const char *name; /* for errors */
} source;

static int open_file(source *out, const char *file, const nws__why *why) {
  out->name = file;
  ERR_clear_error();
  out->bio = BIO_new_file(file, "r");
  if (out->bio != NULL) {
    return NWS_OK;
  }
  const char *reason = strerror(errno);
  ERR_clear_error();
  return nws__tls_fail(why, reason, file);
}

static int open_memory(source *out, nws_str pem, const char *name) {
  out->name = name;
  ERR_clear_error();
  out->bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
  return out->bio != NULL ? NWS_OK : NWS_ERROR_MEMORY;
}

static int open_either(source *out, const char *file, nws_str pem,
                       const char *name, const nws__why *why) {
  if (file != NULL) {
    return open_file(out, file, why);
  }
  if (pem.len > INT32_MAX) {
    return NWS_ERROR_ARGUMENT;
  }
  return open_memory(out, pem, name);
}

/* Says whether reading ended because there was nothing more. */
static int at_end(void) {
  unsigned long code = ERR_peek_last_error();
  int end = code == 0 || (ERR_GET_LIB(code) == ERR_LIB_PEM &&
                          ERR_GET_REASON(code) == PEM_R_NO_START_LINE);
  if (end) {
    ERR_clear_error();
  }
  return end;
}

/* --- Identities --- */

static int read_certificates(nws__identity *out, const source *from,
                             const nws__why *why) {
  out->certificate = PEM_read_bio_X509_AUX(from->bio, NULL, NULL, NULL);
  if (out->certificate == NULL) {
    at_end();
    return nws__tls_fail(why, "no certificate in PEM", from->name);
  }
  out->chain = sk_X509_new_null();
  if (out->chain == NULL) {
    return NWS_ERROR_MEMORY;
  }
  X509 *next;
  while ((next = PEM_read_bio_X509(from->bio, NULL, NULL, NULL)) != NULL) {
    if (sk_X509_push(out->chain, next) == 0) {
      X509_free(next);
      return NWS_ERROR_MEMORY;
    }
  }
  return at_end() ? NWS_OK
                  : nws__tls_fail(why, "a broken certificate", from->name);
}

/* Without this OpenSSL would ask at the terminal. */
static int no_password(char *out, int cap, int writing, void *asked) {
  (void)out;
  (void)cap;
  (void)writing;
  *(int *)asked = 1;
  return -1;
}

static int read_key(nws__identity *out, const source *from,
                    const nws__why *why) {
  int asked = 0;
  out->key = PEM_read_bio_PrivateKey(from->bio, NULL, no_password, &asked);
  if (out->key != NULL) {
    return NWS_OK;
  }
  if (asked) {
    ERR_clear_error();
    return nws__tls_fail(why, "the key has a password: take it off first",
                         from->name);
  }
  at_end();
  return nws__tls_fail(why, "no private key in PEM", from->name);
}

static int load_key(nws__identity *out, const nws_tls_identity *from,
                    const nws__why *why) {
  source key;
  int beside = from->key_file == NULL && from->key.len == 0;
  const char *file = beside ? from->certificate_file : from->key_file;
  nws_str pem = beside ? from->certificate : from->key;
  int rc = open_either(&key, file, pem, "the key in memory", why);
  if (rc == NWS_OK) {
    rc = read_key(out, &key, why);
    BIO_free(key.bio);
  }
  if (rc == NWS_OK && X509_check_private_key(out->certificate, out->key) != 1) {
    ERR_clear_error();
    rc = nws__tls_fail(why, "this key is not the certificate's", key.name);
  }
  return rc;
}

int nws__identity_load(nws__identity *out, const nws_tls_identity *from,
                       const nws__why *why) {
  source certificates;
  if (from->self_signed != NULL) {
    return nws__identity_make(out, from->self_signed, why);
  }
  if (from->certificate_file == NULL && from->certificate.len == 0) {
    return nws__tls_fail(why, "an identity without a certificate", NULL);
  }
  int rc = open_either(&certificates, from->certificate_file, from->certificate,
                       "the certificate in memory", why);
  if (rc == NWS_OK) {
    rc = read_certificates(out, &certificates, why);
    BIO_free(certificates.bio);
  }
  return rc != NWS_OK ? rc : load_key(out, from, why);
}

void nws__identity_free(nws__identity *identity) {
  X509_free(identity->certificate);
  sk_X509_pop_free(identity->chain, X509_free);
  EVP_PKEY_free(identity->key);
}

/* RFC 9525 6.3: wildcards stand for one label. */
int nws__identity_has(const nws__identity *identity, const char *name) {
  return X509_check_host(identity->certificate, name, 0, 0, NULL) == 1;
}

/* --- Trust --- */

static int trust_memory(SSL_CTX *ctx, nws_str pem, const nws__why *why) {
  source roots;
  int rc = open_either(&roots, NULL, pem, "the trust in memory", why);
  if (rc != NWS_OK) {
    return rc;
  }
  size_t count = 0;
  X509 *root;
  while ((root = PEM_read_bio_X509(roots.bio, NULL, NULL, NULL)) != NULL) {
    int added = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), root);
    X509_free(root);
    if (added != 1) {
      BIO_free(roots.bio);
      return NWS_ERROR_MEMORY;
    }
    count++;
  }
  BIO_free(roots.bio);
  if (!at_end() || count == 0) {
    return nws__tls_fail(why, "no certificates in PEM", roots.name);
  }
  return NWS_OK;
}

/* OpenSSL does not say that there is no such file. */
static int trust_file(SSL_CTX *ctx, const char *file, const nws__why *why) {
  source roots;
  int rc = open_file(&roots, file, why);
  if (rc != NWS_OK) {
    return rc;
  }
  BIO_free(roots.bio);
  return SSL_CTX_load_verify_file(ctx, file) == 1
             ? NWS_OK
             : nws__tls_fail(why, "cannot be trusted", file);
}

static int load_crl(SSL_CTX *ctx, const char *file, const nws__why *why) {
  source lists;
  int rc = open_file(&lists, file, why);
  if (rc != NWS_OK) {
    return rc;
  }
  X509_STORE *store = SSL_CTX_get_cert_store(ctx);
  size_t count = 0;
  X509_CRL *list;
  while ((list = PEM_read_bio_X509_CRL(lists.bio, NULL, NULL, NULL)) != NULL) {
    int added = X509_STORE_add_crl(store, list);
    X509_CRL_free(list);
    if (added != 1) {
      BIO_free(lists.bio);
      return NWS_ERROR_MEMORY;
    }
    count++;
  }
  BIO_free(lists.bio);
  if (!at_end() || count == 0) {
    return nws__tls_fail(why, "no revocation list in PEM", file);
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  return NWS_OK;
}

int nws__trust_load(SSL_CTX *ctx, const nws_tls_options *from,
                    const nws__why *why) {
  int given = 0;
  ERR_clear_error();
  /* Whoever names an intermediate certificate means to trust it. */
  X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
  if (from->trust_file != NULL) {
    given = 1;
    int rc = trust_file(ctx, from->trust_file, why);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  if (from->trust_dir != NULL) {
    given = 1;
    if (SSL_CTX_load_verify_dir(ctx, from->trust_dir) != 1) {
      return nws__tls_fail(why, "cannot be trusted", from->trust_dir);
    }
  }
  if (from->trust.len > 0) {
    given = 1;
    int rc = trust_memory(ctx, from->trust, why);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  if (!given && from->clients != NWS_TLS_CLIENTS_ANY) {
    return nws__tls_fail(why,
                         "clients are asked for certificates, but nothing "
                         "says whose are trusted",
                         NULL);
  }
  if (!given && SSL_CTX_set_default_verify_paths(ctx) != 1) {
    return nws__tls_fail(why, "the system's trust cannot be read", NULL);
  }
  ERR_clear_error();
  return from->crl_file == NULL ? NWS_OK : load_crl(ctx, from->crl_file, why);
}
