/* secure.c - the TLS handshake in the life of a peer, between TCP and HTTP; and
 * the choice between a plain socket and one with TLS, for all that is read and
 * written.
 */
#include "net_internal.h"

/* The alert that OpenSSL has sent shall arrive: a socket that is closed with
 * something unread takes it back. */
static void failed(nws_peer *peer, int error) {
  int told = error <= NWS_ERROR_TLS && error > NWS_ERROR_TLS_CUT;
  if (!told) {
    nws__peer_die(peer, error);
    return;
  }
  nws__peer_enter(peer, NWS__SHAKING);
  if (error == NWS_ERROR_TLS_PLAIN && peer->server != NULL) {
    nws__tls_free(peer->tls);
    peer->tls = NULL;
    nws__server_refuse(peer, error, 0);
  } else {
    nws__peer_end(peer, error);
  }
}

/* Goes on with the handshake. */
void nws__secure_step(nws_peer *peer) {
  int rc = nws__tls_shake(peer->tls);
  if (rc == NWS_MORE) {
    return;
  }
  if (rc != NWS_OK) {
    failed(peer, rc);
  } else if (peer->server == NULL) {
    nws__client_request(peer);
  } else {
    nws__peer_enter(peer, NWS__SHAKING);
  }
}

/* Begins the handshake of a peer in the state SECURING. `host` is whom a client
 * wants to talk to, NULL for servers. */
void nws__secure_start(nws_peer *peer, nws_tls *shared, const char *host) {
  peer->tls = nws__tls_start(shared, peer->fd, host);
  if (peer->tls == NULL) {
    nws__peer_die(peer, NWS_ERROR_MEMORY);
  } else {
    nws__secure_step(peer);
  }
}

/* Bytes that came; 0 at the end, UV_EAGAIN, or an error. */
long nws__peer_receive(nws_peer *peer, uint8_t *out, size_t cap) {
  if (peer->tls == NULL) {
    return nws__socket_receive(peer->fd, out, cap);
  }
  long len = nws__tls_receive(peer->tls, out, cap);
  if (len == UV_EAGAIN && nws__tls_want(peer->tls) == UV_WRITABLE) {
    peer->flags |= NWS__BLOCKED;
  }
  return len;
}

/* Bytes taken, UV_EAGAIN, or an error. */
long nws__peer_give(nws_peer *peer, const uv_buf_t *bufs, unsigned count) {
  if (peer->tls == NULL) {
    return nws__socket_send(peer->fd, bufs, count);
  }
  return nws__tls_send(peer->tls, bufs, count);
}

/* Nothing more will be sent. */
void nws__peer_shut(nws_peer *peer) {
  if (peer->tls != NULL) {
    nws__tls_shut(peer->tls);
  }
  nws__socket_shut(peer->fd);
}

int nws_peer_tls(nws_peer *peer, nws_tls_info *info) {
  if (peer == NULL || info == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (peer->tls == NULL || peer->state == NWS__SECURING) {
    return NWS_ERROR_STATE;
  }
  nws__tls_info(peer->tls, info);
  return NWS_OK;
}

struct ssl_st *nws_peer_ssl(const nws_peer *peer) {
  return peer->tls == NULL ? NULL : nws__tls_ssl(peer->tls);
}
