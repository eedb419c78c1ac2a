/* client_shake.c - the request goes out, the response comes in.
 */
#include "client_internal.h"
#include <stdlib.h>
#include <string.h>

/* Time for the body of a refusal. */
#define BODY_NS (UINT64_C(2000) * 1000000)

/* Tries what would be sent, so that a mistake in the offer is told before
 * anything is started. */
int nws__client_check(nws__dial *dial, const nws__setup *setup) {
  size_t len = 0;
  int rc = nws_client_handshake_start(&dial->hs, &dial->offer,
                                      setup->conn.random, NULL, 0, &len);
  dial->request_len = len;
  return rc == NWS_ERROR_BUFFER ? NWS_OK : rc;
}

static int say_request(nws_peer *peer) {
  nws__dial *dial = peer->opening->dial;
  size_t cap = dial->request_len;
  size_t len = 0;
  uint8_t *out = nws__queue_reserve(peer->loop, &peer->queue, cap);
  if (out == NULL) {
    return NWS_ERROR_MEMORY;
  }
  int rc = nws_client_handshake_start(&dial->hs, &dial->offer,
                                      peer->setup->conn.random, (char *)out,
                                      cap, &len);
  if (rc == NWS_OK) {
    nws__queue_commit(peer, len);
  } else {
    nws__queue_drop(peer);
  }
  return rc;
}

/* The way is open: asks for a WebSocket. */
void nws__client_request(nws_peer *peer) {
  nws__peer_enter(peer, NWS__SHAKING);
  int rc = say_request(peer);
  if (rc != NWS_OK) {
    nws__peer_die(peer, rc);
  }
}

/* A name may end with a dot where it is looked up; certificates have none
 * there, nor has what a server is asked for (RFC 6066 3). */
static void secure(nws_peer *peer, const nws__dial *dial) {
  char host[NWS__HOST_MAX + 1];
  size_t len = dial->uri.host.len;
  memcpy(host, dial->uri.host.ptr, len);
  if (len > 1 && host[len - 1] == '.') {
    len--;
  }
  host[len] = '\0';
  nws__peer_enter(peer, NWS__SECURING);
  nws__secure_start(peer, dial->tls, host);
}

/* The way to the server is free. */
void nws__client_arrived(nws_peer *peer) {
  const nws__dial *dial = peer->opening->dial;
  if (dial->tls == NULL) {
    nws__client_request(peer);
  } else {
    secure(peer, dial);
  }
}

/* TCP has connected, to the server or to a proxy. */
void nws__client_connected(nws_peer *peer) {
  if (peer->opening->dial->proxy.host[0] == '\0') {
    nws__client_arrived(peer);
  } else {
    nws__tunnel_start(peer);
  }
}

void nws__client_timeout(nws_peer *peer, uint64_t now) {
  if (peer->state == NWS__CONNECTING) {
    nws__attempt_timeout(peer, now);
  } else {
    nws__peer_die(peer, NWS_ERROR_HANDSHAKE_TIMEOUT);
  }
}

/* What there is to say about the end but its error; NULL: nothing. */
const char *nws__client_detail(const nws_peer *peer) {
  const nws__opening *opening = peer->opening;
  return opening == NULL || opening->dial == NULL ? NULL
                                                  : opening->dial->detail;
}

/* The head that the application may see now. */
const nws_http_head *nws__client_answer(const nws_peer *peer) {
  const nws__opening *opening = peer->opening;
  if ((peer->flags & NWS__SHOWN) == 0 || opening == NULL ||
      opening->dial == NULL) {
    return NULL;
  }
  return &opening->dial->hs.head;
}

/* --- A refusal --- */

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* How much body is announced, no more than what is kept of it. */
static size_t announced(const nws_http_head *head) {
  nws_str name = nws_str_of("Content-Length");
  size_t at = nws_header_find(head->headers, head->count, name, 0);
  size_t len = 0;
  if (at == head->count) {
    return NWS__BODY_MAX;
  }
  nws_str value = head->headers[at].value;
  for (size_t i = 0; i < value.len; i++) {
    if (!is_digit(value.ptr[i])) {
      return NWS__BODY_MAX;
    }
    len = len * 10 + (size_t)(value.ptr[i] - '0');
    if (len > NWS__BODY_MAX) {
      return NWS__BODY_MAX;
    }
  }
  return len;
}

/* Keeps the start of the body, until it is whole or there is enough of it. */
void nws__client_body(nws_peer *peer, const uint8_t *data, size_t len) {
  nws__opening *opening = peer->opening;
  size_t want = announced(&opening->dial->hs.head) - opening->rest_len;
  if (len > want) {
    len = want;
  }
  if (len > 0) {
    uint8_t *body = realloc(opening->rest, opening->rest_len + len);
    if (body == NULL) {
      nws__peer_die(peer, NWS_ERROR_MEMORY);
      return;
    }
    memcpy(body + opening->rest_len, data, len);
    opening->rest = body;
    opening->rest_owned = 1;
    opening->rest_len += len;
  }
  if (len == want) {
    nws__peer_die(peer, 0); /* it has its error already */
  }
}

/* The server or a proxy has answered, but not as one would like. */
void nws__client_refused(nws_peer *peer, int error, const uint8_t *rest,
                         size_t len) {
  nws__peer_enter(peer, NWS__REFUSED);
  peer->flags |= NWS__SHOWN;
  peer->error = error;
  uint64_t end = uv_hrtime() + BODY_NS;
  nws__timer_earlier(peer, end);
  nws__client_body(peer, rest, len);
}

/* --- The response --- */

static void established(nws_peer *peer, uint8_t *rest, size_t len) {
  nws__opening *opening = peer->opening;
  nws_client_handshake *hs = &opening->dial->hs;
  size_t count = hs->extension_count;
  hs->extension_count = 0;
  int rc = nws__peer_start(peer, hs->extensions, count, hs->subprotocol);
  if (rc != NWS_OK) {
    nws__peer_die(peer, rc);
    return;
  }
  peer->flags |= NWS__SHOWN;
  opening->rest = rest;
  opening->rest_len = len;
  nws__peer_opened(peer);
  if (peer->opening != NULL) { /* dead: the receive buffer is not ours */
    opening->rest_len = 0;
  }
}

void nws__client_read(nws_peer *peer, uint8_t *data, size_t len) {
  nws__opening *opening = peer->opening;
  nws_client_handshake *hs = &opening->dial->hs;
  size_t before = opening->head_len;
  size_t max = opening->dial->offer.max_head;
  if (max == 0) {
    max = NWS_HTTP_MAX_HEAD_DEFAULT;
  }
  int rc = nws__peer_head_add(opening, data, len, max);
  if (rc == NWS_OK) {
    rc = nws_client_handshake_read(hs, opening->head, opening->head_len);
  }
  if (rc == NWS_MORE && opening->head_len < max) {
    return;
  }
  if (rc != NWS_OK && rc != NWS_ERROR_STATUS) {
    nws__peer_die(peer, rc == NWS_MORE ? NWS_ERROR_HTTP_HEAD_LIMIT : rc);
    return;
  }
  size_t used = hs->head.len - before;
  if (rc == NWS_OK) {
    established(peer, data + used, len - used);
    return;
  }
  rc = nws__redirect_follow(peer);
  if (rc != NWS_OK) {
    nws__client_refused(peer, rc, data + used, len - used);
  }
}
