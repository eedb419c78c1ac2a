/* peer_api.c - what the application may do with a peer besides sending, and
 * what it may ask. Nothing here calls back; the loop does the rest.
 */
#include "net_internal.h"

int nws_peer_close(nws_peer *peer, unsigned code, nws_str reason) {
  if (peer == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  switch (peer->state) {
  case NWS__OPEN: {
    int rc = nws__peer_say_close(peer, code, reason);
    if (rc != NWS_OK) {
      return rc;
    }
    peer->flags &= ~(uint32_t)NWS__PAUSED;
    nws__loop_todo(peer);
    return NWS_OK;
  }
  case NWS__RESOLVING:
  case NWS__CONNECTING:
  case NWS__TUNNELING:
  case NWS__PROXIED:
  case NWS__SECURING:
  case NWS__SHAKING:
  case NWS__DECIDING:
  case NWS__REFUSED:
    if (peer->server != NULL) {
      nws__server_give_up(peer);
    } else {
      nws__peer_die(peer, UV_ECANCELED);
    }
    return NWS_OK;
  default:
    return NWS_ERROR_STATE;
  }
}

void nws_peer_abort(nws_peer *peer) {
  if (peer != NULL) {
    nws__peer_die(peer, UV_ECANCELED);
  }
}

void nws_peer_pause(nws_peer *peer) {
  if (peer == NULL || peer->state >= NWS__CLOSING) {
    return;
  }
  peer->flags |= NWS__PAUSED;
  nws__loop_todo(peer);
}

void nws_peer_resume(nws_peer *peer) {
  if (peer == NULL || (peer->flags & NWS__PAUSED) == 0) {
    return;
  }
  peer->flags &= ~(uint32_t)NWS__PAUSED;
  nws__loop_todo(peer);
}

int nws_peer_ping(nws_peer *peer) {
  if (peer == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (peer->state != NWS__OPEN) {
    return NWS_ERROR_STATE;
  }
  int rc = nws_conn_ping(&peer->conn, nws__silence_now(peer));
  if (rc == NWS_OK) {
    nws__loop_todo(peer);
  }
  return rc;
}

size_t nws_peer_queued(const nws_peer *peer) {
  return peer->queue.bytes;
}

const nws_conn *nws_peer_conn(const nws_peer *peer) {
  return &peer->conn;
}

nws_loop *nws_peer_loop(const nws_peer *peer) {
  return peer->loop;
}

nws_server *nws_peer_server(const nws_peer *peer) {
  return peer->server;
}

const nws_server_handshake *nws_peer_request(const nws_peer *peer) {
  if ((peer->flags & NWS__SHOWN) == 0 || peer->opening == NULL) {
    return NULL;
  }
  return peer->opening->request;
}

const nws_http_head *nws_peer_response(const nws_peer *peer) {
  return nws__client_answer(peer);
}

nws_str nws_peer_subprotocol(const nws_peer *peer) {
  nws_str none = {NULL, 0};
  return peer->agreed == NULL ? none : peer->agreed->subprotocol;
}

nws_extension_use *nws_peer_extensions(const nws_peer *peer, size_t *count) {
  *count = peer->agreed == NULL ? 0 : peer->agreed->use_count;
  return *count == 0 ? NULL : peer->agreed->uses;
}

int nws_peer_address(const nws_peer *peer, char *out, size_t cap) {
  if (peer == NULL || out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (peer->address.any.sa_family == AF_UNSPEC) {
    return UV_ENOTCONN;
  }
  return nws__socket_name(&peer->address, out, cap);
}

void *nws_peer_user(const nws_peer *peer) {
  return peer->user;
}

void nws_peer_set_user(nws_peer *peer, void *user) {
  peer->user = user;
}
