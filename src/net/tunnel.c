/* tunnel.c - a peer on its way through a proxy, between TCP and TLS.
 *
 * What comes behind the proxy's answer is the server's, and may be TLS: only
 * the proxy's bytes are taken from the socket.
 */
#include "client_internal.h"
#include <stdlib.h>
#include <string.h>

static int say(nws_peer *peer, const void *data, size_t len) {
  uint8_t *out = nws__queue_reserve(peer->loop, &peer->queue, len);
  if (out == NULL) {
    return NWS_ERROR_MEMORY;
  }
  memcpy(out, data, len);
  nws__queue_commit(peer, len);
  return NWS_OK;
}

static int say_connect(nws_peer *peer) {
  const nws__dial *dial = peer->opening->dial;
  char *request;
  size_t len;
  int rc = nws__connect_write(&dial->proxy, &dial->uri, &request, &len);
  if (rc == NWS_OK) {
    rc = say(peer, request, len);
  }
  free(request);
  return rc;
}

static int say_socks(nws_peer *peer) {
  const nws__dial *dial = peer->opening->dial;
  uint8_t data[NWS__SOCKS_SAY_MAX];
  size_t len =
      nws__socks_write(dial->socks_step, &dial->proxy, &dial->uri, data);
  return say(peer, data, len);
}

/* TCP has connected to the proxy. */
void nws__tunnel_start(nws_peer *peer) {
  nws__opening *opening = peer->opening;
  nws__dial *dial = opening->dial;
  nws_client_handshake *hs = &dial->hs;
  int rc;
  nws__peer_enter(peer, NWS__TUNNELING);
  opening->head_len = 0;
  if (dial->proxy.kind == NWS__PROXY_HTTP) {
    /* The handshake is not there yet: its room is free. */
    memset(&hs->head, 0, sizeof(hs->head));
    hs->head.headers = hs->room;
    hs->head.max_headers = sizeof(hs->room) / sizeof(hs->room[0]);
    rc = say_connect(peer);
  } else {
    dial->socks_step = NWS__SOCKS_METHODS;
    rc = say_socks(peer);
  }
  if (rc != NWS_OK) {
    nws__peer_die(peer, rc);
  }
}

static void failed(nws_peer *peer, int error, const char *detail) {
  if (detail != NULL) {
    peer->opening->dial->detail = detail;
  }
  nws__peer_die(peer, error);
}

/* The way is free; but who answers before having heard all is no proxy. */
static void arrived(nws_peer *peer) {
  peer->opening->head_len = 0;
  if (peer->queue.bytes > 0) {
    failed(peer, NWS_ERROR_PROXY, NULL);
    return;
  }
  nws__client_arrived(peer);
}

/* What receiving gave, when it gave nothing. */
static void no_bytes(nws_peer *peer, long len) {
  if (len == 0) {
    failed(peer, NWS_ERROR_PROXY, "it has closed the connection");
  } else if (len != UV_EAGAIN) {
    nws__peer_die(peer, (int)len);
  } else if ((peer->flags & NWS__BROKEN) != 0) {
    nws__peer_die(peer, peer->error); /* nothing is left to be read */
  }
}

static void read_socks(nws_peer *peer) {
  nws__opening *opening = peer->opening;
  nws__dial *dial = opening->dial;
  int has_login = dial->proxy.login.text != NULL;
  const char *detail = NULL;
  uint8_t data[NWS__SOCKS_READ_MAX];
  size_t need;
  size_t have = opening->head_len;
  if (have > 0) {
    memcpy(data, opening->head, have);
  }
  (void)nws__socks_read(&dial->socks_step, has_login, data, have, &need,
                        &detail);
  long len = nws__socket_receive(peer->fd, data + have, need - have);
  if (len <= 0) {
    no_bytes(peer, len);
    return;
  }
  int rc = nws__socks_read(&dial->socks_step, has_login, data,
                           have + (size_t)len, &need, &detail);
  if (rc == NWS_MORE) {
    rc = nws__peer_head_add(opening, data + have, (size_t)len,
                            NWS__SOCKS_READ_MAX);
    if (rc != NWS_OK) {
      failed(peer, rc, NULL);
    }
    return;
  }
  opening->head_len = 0;
  if (rc == NWS_OK && dial->socks_step == NWS__SOCKS_DONE) {
    arrived(peer);
    return;
  }
  if (rc == NWS_OK) {
    rc = say_socks(peer);
  }
  if (rc != NWS_OK) {
    failed(peer, rc, detail);
  }
}

static void connect_answer(nws_peer *peer, int rc) {
  nws__opening *opening = peer->opening;
  nws_http_head *head = &opening->dial->hs.head;
  switch (rc) {
  case NWS_MORE:
    if (head->len > 0) { /* an interim answer */
      opening->head_len = 0;
      head->scanned = 0;
    } else if (opening->head_len == NWS_HTTP_MAX_HEAD_DEFAULT) {
      failed(peer, NWS_ERROR_PROXY, NULL);
    }
    return;
  case NWS_OK:
    arrived(peer);
    return;
  case NWS_ERROR_PROXY_STATUS:
  case NWS_ERROR_PROXY_AUTH:
    nws__client_refused(peer, rc, NULL, 0);
    return;
  case NWS_ERROR_MEMORY:
    nws__peer_die(peer, rc);
    return;
  default:
    failed(peer, NWS_ERROR_PROXY, nws_error_text(rc));
  }
}

static void read_connect(nws_peer *peer) {
  nws__opening *opening = peer->opening;
  nws_http_head *head = &opening->dial->hs.head;
  uint8_t *data = peer->loop->receive;
  size_t max = NWS_HTTP_MAX_HEAD_DEFAULT;
  size_t before = opening->head_len;
  long len = nws__socket_peek(peer->fd, data, max - before);
  if (len <= 0) {
    no_bytes(peer, len);
    return;
  }
  int rc = nws__peer_head_add(opening, data, (size_t)len, max);
  if (rc == NWS_OK) {
    rc = nws__connect_read(head, opening->head, opening->head_len);
    size_t end = head->len > 0 ? head->len : opening->head_len;
    /* These bytes are there: they have just been seen. */
    (void)nws__socket_receive(peer->fd, data, end - before);
  }
  connect_answer(peer, rc);
}

/* The socket has something for a peer in the state TUNNELING. */
void nws__tunnel_read(nws_peer *peer) {
  if (peer->opening->dial->proxy.kind == NWS__PROXY_HTTP) {
    read_connect(peer);
  } else {
    read_socks(peer);
  }
}
