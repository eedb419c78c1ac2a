/* tls_self.c - a key and a certificate for it, signed by itself, for trying
 * things out. P-256, which everybody speaks, for a year.
 */
#include "tls_internal.h"
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 1024
#define DAYS 365
#define SERIAL_BITS 127

static int is_address(const char *name) {
  struct sockaddr_in four;
  struct sockaddr_in6 six;
  return uv_ip4_addr(name, 0, &four) == 0 || uv_ip6_addr(name, 0, &six) == 0;
}

/* "a,1.2.3.4" as OpenSSL writes it: "DNS:a,IP:1.2.3.4". The first name is kept
 * for the subject. */
static int alternative_names(const char *names, char *out, char *first) {
  size_t at = 0;
  while (*names != '\0') {
    char name[256];
    size_t len = strcspn(names, ",");
    if (len == 0 || len >= sizeof(name)) {
      return 0;
    }
    memcpy(name, names, len);
    name[len] = '\0';
    /* What else could stand in a name means something to OpenSSL. */
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz"
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:*") != len) {
      return 0;
    }
    int n = snprintf(out + at, NAMES_MAX - at, "%s%s:%s", at > 0 ? "," : "",
                     is_address(name) ? "IP" : "DNS", name);
    if (n < 0 || (size_t)n >= NAMES_MAX - at) {
      return 0;
    }
    if (at == 0) {
      memcpy(first, name, len + 1);
    }
    at += (size_t)n;
    names += len;
    names += *names == ',';
  }
  return at > 0;
}

static int add_extension(X509 *certificate, int nid, const char *value) {
  X509V3_CTX ctx;
  X509V3_set_ctx_nodb(&ctx);
  X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
  if (extension == NULL) {
    return 0;
  }
  int added = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return added;
}

/* A subject has room for 64 characters, and nobody reads it any more: clients
 * look at the alternative names. */
static int name_it(X509 *certificate, const char *first) {
  X509_NAME *name = X509_get_subject_name(certificate);
  const char *subject = strlen(first) <= 64 ? first : "self-signed";
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const unsigned char *)subject, -1, -1,
                                    0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1;
}

static int number_it(X509 *certificate) {
  BIGNUM *number = BN_new();
  int done =
      number != NULL && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, 0) == 1 &&
      BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
  BN_free(number);
  return done;
}

static int fill(X509 *certificate, EVP_PKEY *key, const char *first,
                const char *names) {
  /* From an hour ago, for clocks that are late. */
  return X509_set_version(certificate, X509_VERSION_3) == 1 &&
         number_it(certificate) && name_it(certificate, first) &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), DAYS * 86400L) !=
             NULL &&
         X509_set_pubkey(certificate, key) == 1 &&
         add_extension(certificate, NID_subject_alt_name, names) &&
         add_extension(certificate, NID_basic_constraints,
                       "critical,CA:FALSE") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

int nws__identity_make(nws__identity *out, const char *names,
                       const nws__why *why) {
  char alternatives[NAMES_MAX];
  char first[256];
  ERR_clear_error();
  if (!alternative_names(names, alternatives, first)) {
    return nws__tls_fail(why, "not a list of host names and addresses", names);
  }
  out->key = EVP_EC_gen("P-256");
  out->certificate = X509_new();
  if (out->key == NULL || out->certificate == NULL ||
      !fill(out->certificate, out->key, first, alternatives)) {
    return nws__tls_fail(why, "no certificate could be made", names);
  }
  return NWS_OK;
}
