/* tls_certs.h - certificates for the tests of TLS, made on the spot, so that
 * none expires in the tree: a root, and whatever is signed by it.
 */
#ifndef NWS_TESTS_TLS_CERTS_H
#define NWS_TESTS_TLS_CERTS_H

#include <assert.h>
#include <nws/net.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

/* A certificate and its key, also as PEM. */
typedef struct cert {
  X509 *x509;
  EVP_PKEY *key;
  char pem[4096];
  char key_pem[1024];
} cert;

/* What a certificate shall be like; zero is a good one for a server. */
typedef struct cert_plan {
  const char *name;   /* its subject */
  const char *names;  /* "DNS:localhost,IP:127.0.0.1" */
  const cert *issuer; /* NULL: itself */
  int is_root;
  int expired;
  long serial;
} cert_plan;

static inline void cert_text(BIO *bio, char *out, size_t cap) {
  int len = BIO_read(bio, out, (int)cap - 1);
  assert(len > 0);
  out[len] = '\0';
  BIO_free(bio);
}

static inline void cert_extend(X509 *x509, X509 *issuer, int nid,
                               const char *value) {
  X509V3_CTX ctx;
  X509V3_set_ctx_nodb(&ctx);
  X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
  assert(extension != NULL);
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

static inline void cert_make(cert *out, const cert_plan *plan) {
  X509 *x509 = X509_new();
  out->key = EVP_EC_gen("P-256");
  out->x509 = x509;
  X509 *issuer = plan->issuer == NULL ? x509 : plan->issuer->x509;
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), plan->serial + 1);
  X509_NAME *name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             (const unsigned char *)plan->name, -1, -1, 0);
  X509_set_issuer_name(x509, X509_get_subject_name(issuer));
  X509_gmtime_adj(X509_getm_notBefore(x509), -7200);
  X509_gmtime_adj(X509_getm_notAfter(x509), plan->expired ? -3600 : 86400);
  X509_set_pubkey(x509, out->key);
  if (plan->names != NULL)
    cert_extend(x509, issuer, NID_subject_alt_name, plan->names);
  if (plan->is_root)
    cert_extend(x509, issuer, NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(x509, plan->issuer == NULL ? out->key : plan->issuer->key,
            EVP_sha256());

  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, x509);
  cert_text(bio, out->pem, sizeof(out->pem));
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, out->key, NULL, NULL, 0, NULL, NULL);
  cert_text(bio, out->key_pem, sizeof(out->key_pem));
}

static inline void cert_free(cert *c) {
  X509_free(c->x509);
  EVP_PKEY_free(c->key);
  memset(c, 0, sizeof(*c));
}

/* A list of revoked certificates, written to a file. */
static inline void cert_revoke(const cert *issuer, const cert *revoked,
                               const char *file) {
  X509_CRL *list = X509_CRL_new();
  ASN1_TIME *now = X509_gmtime_adj(NULL, -60);
  ASN1_TIME *later = X509_gmtime_adj(NULL, 86400);
  X509_CRL_set_version(list, X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer->x509));
  X509_CRL_set1_lastUpdate(list, now);
  X509_CRL_set1_nextUpdate(list, later);
  if (revoked != NULL) {
    X509_REVOKED *entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->x509));
    X509_REVOKED_set_revocationDate(entry, now);
    X509_CRL_add0_revoked(list, entry);
  }
  X509_CRL_sign(list, issuer->key, EVP_sha256());
  FILE *out = fopen(file, "w");
  assert(out != NULL);
  PEM_write_X509_CRL(out, list);
  fclose(out);
  ASN1_TIME_free(now);
  ASN1_TIME_free(later);
  X509_CRL_free(list);
}

/* An nws_tls that shows `own` (or nothing) and trusts `root` (or the system).
 */
static inline nws_tls *cert_tls(const cert *own, const cert *root,
                                nws_tls_options *more) {
  nws_tls_options options = {.size = sizeof(options)};
  nws_tls_identity identity;
  nws_tls *tls = NULL;
  char why[NWS_TLS_WHY];
  if (more != NULL)
    options = *more;
  memset(&identity, 0, sizeof(identity));
  if (own != NULL) {
    identity.certificate = nws_str_of(own->pem);
    identity.key = nws_str_of(own->key_pem);
    options.identities = &identity;
    options.identity_count = 1;
  }
  if (root != NULL)
    options.trust = nws_str_of(root->pem);
  int rc = nws_tls_new(&options, &tls, why, sizeof(why));
  if (rc != NWS_OK)
    fprintf(stderr, "nws_tls_new: %d: %s\n", rc, why);
  assert(rc == NWS_OK);
  return tls;
}

#endif
