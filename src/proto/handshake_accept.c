/* handshake_accept.c - a server's yes (RFC 6455 4.2.2; with extended CONNECT
 * RFC 8441 5).
 *
 * What the caller gave is checked first and the extensions are asked last, for
 * they make state. If the response does not fit, that state is given back, so
 * that a second call starts from the same place.
 */
#include <nws/digest.h>
#include <string.h>
#include "../codec/sha1_internal.h"
#include "handshake_internal.h"

void nws_handshake_accept_key(nws_str key,
                              char accept[NWS_HANDSHAKE_ACCEPT_LEN]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  uint8_t digest[NWS_SHA1_LEN];
  nws__sha1 hash;
  nws__sha1_begin(&hash);
  nws__sha1_add(&hash, key.ptr, nws_str_sound(key) ? key.len : 0);
  nws__sha1_add(&hash, guid, sizeof guid - 1);
  nws__sha1_end(&hash, digest);
  nws_base64_encode(digest, sizeof digest, accept);
}

/* Finds the subprotocol to answer with: RFC 6455 4.2.2 allows only what the
 * client has offered. */
static int choose_subprotocol(const nws_server_handshake *hs,
                              const nws_acceptance *how, nws_str *chosen) {
  *chosen = hs->subprotocol;
  if (how->subprotocol.ptr == NULL) {
    return NWS_OK;
  }
  *chosen = nws_str_make(NULL, 0);
  if (how->subprotocol.len == 0) {
    return NWS_OK;
  }
  size_t cursor = 0;
  nws_str offered;
  while (nws_server_handshake_offered(hs, &cursor, &offered)) {
    if (!nws_str_equal(offered, how->subprotocol)) {
      continue;
    }
    *chosen = offered;
    return NWS_OK;
  }
  return NWS_ERROR_NOT_OFFERED;
}

/* Header names travel in lower case in HTTP/2 (RFC 9113 8.2.1). */
static void emit(nws__sink *sink, const nws_server_handshake *hs,
                 const nws_acceptance *how, nws_str subprotocol,
                 nws_str extensions) {
  int extended = hs->extended_connect;
  if (!extended) {
    nws__sink_text(sink, NWS__STR("HTTP/1.1 101 Switching Protocols\r\n"));
    nws__sink_header(sink, NWS__STR("Upgrade"), NWS__STR("websocket"));
    nws__sink_header(sink, NWS__STR("Connection"), NWS__STR("Upgrade"));
    nws__sink_header(sink, NWS__STR("Sec-WebSocket-Accept"),
                     nws_str_make(hs->accept, sizeof hs->accept));
  }
  if (subprotocol.ptr != NULL) {
    nws__sink_header(sink,
                     extended ? NWS__STR("sec-websocket-protocol")
                              : NWS__STR("Sec-WebSocket-Protocol"),
                     subprotocol);
  }
  if (extensions.len > 0) {
    nws__sink_header(sink,
                     extended ? NWS__STR("sec-websocket-extensions")
                              : NWS__STR("Sec-WebSocket-Extensions"),
                     extensions);
  }
  nws__sink_headers(sink, how->headers, how->header_count);
  nws__sink_text(sink, NWS__STR("\r\n"));
}

/* Agrees on extensions, then writes if all fits; otherwise `out.len` is still
 * 0 and the need in `*len`. */
static int agree_and_write(nws_server_handshake *hs, const nws_acceptance *how,
                           nws_str subprotocol, nws__sink *out, size_t cap,
                           size_t *len) {
  nws__text text = {hs->text, 0, sizeof hs->text};
  if (!how->no_extensions) {
    int rc = nws__extension_accept(hs, &text);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  nws_str extensions = nws_str_make(text.ptr, text.len);
  nws__sink counter = {NULL, NULL, out->as_list, 0};
  emit(&counter, hs, how, subprotocol, extensions);
  *len = counter.len;
  if (counter.len > cap) {
    return NWS_ERROR_BUFFER;
  }
  emit(out, hs, how, subprotocol, extensions);
  return NWS_OK;
}

static int accept(nws_server_handshake *hs, const nws_acceptance *how,
                  nws__sink *out, size_t cap, size_t *len) {
  static const nws_acceptance defaults = {.size = sizeof defaults};
  nws_str subprotocol;
  if (how == NULL) {
    how = &defaults;
  }
  if (how->size != sizeof *how) {
    return NWS_ERROR_ARGUMENT;
  }
  if (hs->head.scanned != NWS__STAGE_READ) {
    return NWS_ERROR_STATE;
  }
  int rc = choose_subprotocol(hs, how, &subprotocol);
  if (rc == NWS_OK) {
    rc = nws__write_check_headers(how->headers, how->header_count,
                                  &hs->error_at);
  }
  if (rc != NWS_OK) {
    return rc;
  }
  rc = agree_and_write(hs, how, subprotocol, out, cap, len);
  if (rc != NWS_OK) {
    nws_extension_release(hs->extensions, hs->extension_count);
    hs->extension_count = 0;
    return rc;
  }
  hs->subprotocol = subprotocol;
  hs->head.scanned = NWS__STAGE_ACCEPTED;
  return NWS_OK;
}

int nws_server_handshake_accept(nws_server_handshake *hs,
                                const nws_acceptance *how, char *out,
                                size_t cap, size_t *len) {
  nws__sink sink = {out, NULL, 0, 0};
  if (hs == NULL || len == NULL || (out == NULL && cap > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (hs->extended_connect) {
    return NWS_ERROR_STATE;
  }
  return accept(hs, how, &sink, cap, len);
}

int nws_server_handshake_accept_headers(nws_server_handshake *hs,
                                        const nws_acceptance *how,
                                        unsigned *status, nws_header *out,
                                        size_t cap, size_t *count) {
  nws__sink sink = {NULL, out, 1, 0};
  if (hs == NULL || status == NULL || count == NULL ||
      (out == NULL && cap > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  int rc = accept(hs, how, &sink, cap, count);
  if (rc == NWS_OK) {
    *status = hs->extended_connect ? 200 : 101;
  }
  return rc;
}
