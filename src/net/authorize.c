/* authorize.c - who is logged in: Basic (RFC 7617) from what stands before the
 * @ of a URL, and Bearer (RFC 6750).
 */
#include "client_internal.h"
#include <stdlib.h>
#include <string.h>

static int hex(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes one byte off a text, percent-encoded or not; -1 when it may not be in a
 * name or password (RFC 7617 2). */
static int next_byte(nws_str *rest) {
  int byte = (uint8_t)rest->ptr[0];
  size_t used = 1;
  if (byte == '%') {
    int high = rest->len < 3 ? -1 : hex(rest->ptr[1]);
    int low = rest->len < 3 ? -1 : hex(rest->ptr[2]);
    if (high < 0 || low < 0) {
      return -1;
    }
    byte = high * 16 + low;
    used = 3;
  }
  rest->ptr += used;
  rest->len -= used;
  return byte < 0x20 || byte == 0x7f ? -1 : byte;
}

static int decode(nws_str in, char *out, size_t *len) {
  *len = 0;
  while (in.len > 0) {
    int byte = next_byte(&in);
    if (byte < 0) {
      return NWS_ERROR_URI_AUTHORITY;
    }
    out[(*len)++] = (char)byte;
  }
  return NWS_OK;
}

/* Decodes "name:password" from a URL. A name cannot hold a colon. */
int nws__login_decode(nws_str userinfo, nws__login *out) {
  const char *colon =
      userinfo.len == 0 ? NULL : memchr(userinfo.ptr, ':', userinfo.len);
  size_t len = colon == NULL ? userinfo.len : (size_t)(colon - userinfo.ptr);
  size_t used = colon == NULL ? len : len + 1;
  out->text = malloc(userinfo.len + 1);
  if (out->text == NULL) {
    return NWS_ERROR_MEMORY;
  }
  int rc = decode(nws_str_make(userinfo.ptr, len), out->text, &out->name_len);
  if (rc == NWS_OK && memchr(out->text, ':', out->name_len) != NULL) {
    rc = NWS_ERROR_URI_AUTHORITY;
  }
  if (rc != NWS_OK) {
    return rc;
  }
  char *password = out->text + out->name_len;
  *password++ = ':';
  nws_str rest = nws_str_make(userinfo.ptr + used, userinfo.len - used);
  return decode(rest, password, &out->password_len);
}

void nws__login_free(nws__login *login) {
  free(login->text);
  memset(login, 0, sizeof(*login));
}

/* "Basic …" for a name and a password. */
int nws__login_basic(const nws__login *login, char **out) {
  static const char scheme[] = "Basic ";
  size_t start = sizeof(scheme) - 1;
  size_t len = login->name_len + 1 + login->password_len;
  size_t cap = start + nws_base64_len(len) + 1;
  *out = malloc(cap);
  if (*out == NULL) {
    return NWS_ERROR_MEMORY;
  }
  memcpy(*out, scheme, start);
  nws_base64_encode(login->text, len, *out + start);
  (*out)[cap - 1] = '\0';
  return NWS_OK;
}

static int is_token68(const char *text) {
  static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "abcdefghijklmnopqrstuvwxyz0123456789-._~+/";
  size_t len = strspn(text, set);
  return len > 0 && text[len + strspn(text + len, "=")] == '\0';
}

/* "Bearer …" (RFC 6750 2.1) */
static int bearer(const char *token, char **out) {
  static const char scheme[] = "Bearer ";
  size_t start = sizeof(scheme) - 1;
  size_t len = strlen(token);
  if (!is_token68(token)) {
    return NWS_ERROR_FIELD;
  }
  *out = malloc(start + len + 1);
  if (*out == NULL) {
    return NWS_ERROR_MEMORY;
  }
  memcpy(*out, scheme, start);
  memcpy(*out + start, token, len + 1);
  return NWS_OK;
}

static int basic(nws_str userinfo, char **out) {
  nws__login login = {NULL, 0, 0};
  int rc = nws__login_decode(userinfo, &login);
  if (rc == NWS_OK) {
    rc = nws__login_basic(&login, out);
  }
  nws__login_free(&login);
  return rc;
}

/* The value of Authorization, NULL when none is asked for. */
int nws__authorize(const nws_uri *uri, const char *token,
                   const nws_client_offer *offer, char **out) {
  nws_str name = nws_str_of("Authorization");
  int named = uri->userinfo.len > 0;
  *out = NULL;
  if (!named && token == NULL) {
    return NWS_OK;
  }
  if ((named && token != NULL) ||
      nws_header_find(offer->headers, offer->header_count, name, 0) !=
          offer->header_count) {
    return NWS_ERROR_CONFIG;
  }
  return named ? basic(uri->userinfo, out) : bearer(token, out);
}
