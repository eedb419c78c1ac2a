/* tls_pin.c - keys by their SHA-256, as RFC 7469 2.4 takes it: over the
 * SubjectPublicKeyInfo, which outlives the certificates made for it.
 */
#include "tls_internal.h"
#include <nws/digest.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "sha256//"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

int nws__pin_of(X509 *certificate, uint8_t out[NWS__PIN_LEN]) {
  unsigned char *der = NULL;
  int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (len <= 0) {
    return NWS_ERROR_MEMORY;
  }
  int done = EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL);
  OPENSSL_free(der);
  return done == 1 ? NWS_OK : NWS_ERROR_MEMORY;
}

void nws__pin_write(const uint8_t pin[NWS__PIN_LEN], char *out) {
  memcpy(out, PREFIX, PREFIX_LEN);
  EVP_EncodeBlock((unsigned char *)out + PREFIX_LEN, pin, NWS__PIN_LEN);
}

/* One pin: exactly 32 bytes in base64. */
static int parse(const char *text, size_t len, uint8_t out[NWS__PIN_LEN]) {
  unsigned char raw[NWS__PIN_LEN + 1];
  if (len != NWS_TLS_PIN - 1 || memcmp(text, PREFIX, PREFIX_LEN) != 0) {
    return 0;
  }
  const unsigned char *digits = (const unsigned char *)text + PREFIX_LEN;
  int digit_count = (int)(len - PREFIX_LEN);
  if (digits[digit_count - 1] != '=' || digits[digit_count - 2] == '=') {
    return 0;
  }
  if (EVP_DecodeBlock(raw, digits, digit_count) != NWS__PIN_LEN + 1) {
    return 0;
  }
  memcpy(out, raw, NWS__PIN_LEN);
  return 1;
}

static size_t count_of(const char *pins) {
  size_t count = 1;
  for (; *pins != '\0'; pins++) {
    count += *pins == ';';
  }
  return count;
}

int nws__pins_load(nws__tls_set *set, const char *pins, const nws__why *why) {
  if (pins == NULL) {
    return NWS_OK;
  }
  set->pins = calloc(count_of(pins), sizeof(*set->pins));
  if (set->pins == NULL) {
    return NWS_ERROR_MEMORY;
  }
  for (const char *at = pins;; at++) {
    size_t len = strcspn(at, ";");
    if (!parse(at, len, set->pins[set->pin_count])) {
      return nws__tls_fail(why, "not a pin, sha256// and 44 digits of base64",
                           *at == '\0' ? "(nothing)" : at);
    }
    set->pin_count++;
    at += len;
    if (*at == '\0') {
      return NWS_OK;
    }
  }
}
