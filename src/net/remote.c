/* remote.c - a peer as other threads see it.
 *
 * What threads say becomes an order, and goes to the peer through the mail of
 * its loop. There it waits on, at the remote, until the peer is open and its
 * queue has room: so a thread that was told NWS_OK is not let down by a slow
 * reader. Orders are counted in bytes until then, wherever they wait; that
 * bounds what threads can pile up on a loop that does not come to it.
 *
 * Only `peer` and the waiting orders belong to the loop's thread.
 */
#include "net_internal.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Something to be sent, or the close. */
typedef struct order {
  nws__post post;     /* its `next` serves the remote's list as well */
  nws_remote *remote; /* held */
  int closes;
  unsigned what; /* as for nws_peer_send(), or the status code */
  size_t len;
  uint8_t data[];
} order;

/* Something to be done. */
typedef struct errand {
  nws__post post;
  nws_remote *remote; /* held */
  void (*run)(nws_peer *peer, void *arg);
  void *arg;
} errand;

struct nws_remote {
  atomic_uint holds;
  atomic_int over;       /* nothing more can be said */
  atomic_int gone;       /* nothing more can be done */
  atomic_size_t waiting; /* bytes of orders */
  size_t max_waiting;
  int trusted;     /* text is not validated */
  nws__mail *mail; /* held */
  nws_peer *peer;  /* NULL when it has gone */
  order *first;
  order *last;
};

static nws_remote *remote_new(nws_peer *peer) {
  nws_remote *remote = calloc(1, sizeof(*remote));
  if (remote == NULL) {
    return NULL;
  }
  atomic_init(&remote->holds, 1);
  atomic_init(&remote->over, 0);
  atomic_init(&remote->gone, 0);
  atomic_init(&remote->waiting, 0);
  remote->max_waiting = peer->setup->limits.max_queue;
  remote->trusted = peer->setup->conn.trust_sent_text;
  remote->mail = nws__mail_keep(peer->loop->mail);
  remote->peer = peer;
  return remote;
}

nws_remote *nws_peer_remote(nws_peer *peer) {
  if (peer == NULL || peer->state == NWS__DEAD) {
    return NULL;
  }
  nws__side *side = nws__peer_side(peer);
  if (side == NULL) {
    return NULL;
  }
  if (side->remote == NULL) {
    side->remote = remote_new(peer);
  }
  nws_remote_keep(side->remote);
  return side->remote;
}

void nws_remote_keep(nws_remote *remote) {
  if (remote != NULL) {
    atomic_fetch_add(&remote->holds, 1);
  }
}

void nws_remote_drop(nws_remote *remote) {
  if (remote == NULL || atomic_fetch_sub(&remote->holds, 1) > 1) {
    return;
  }
  nws__mail_drop(remote->mail);
  free(remote);
}

size_t nws_remote_waiting(const nws_remote *remote) {
  return remote == NULL ? 0 : atomic_load(&remote->waiting);
}

/* --- On the loop's thread --- */

/* A close is not counted: there is one at most. */
static size_t cost(const order *it) {
  return it->closes ? 0 : sizeof(*it) + it->len;
}

static void order_free(order *it) {
  nws_remote *remote = it->remote;
  atomic_fetch_sub(&remote->waiting, cost(it));
  free(it);
  nws_remote_drop(remote);
}

static int obey(nws_peer *peer, const order *it) {
  if (!it->closes) {
    return nws_peer_send(peer, it->what, it->data, it->len);
  }
  nws_str reason = nws_str_make((const char *)it->data, it->len);
  return nws_peer_close(peer, it->what, reason);
}

/* Before the peer is open only a close that is first in the line can be
 * obeyed: it gives the connection up. */
static int must_wait(const nws_peer *peer, const order *it) {
  int opening = peer->state < NWS__OPEN || (peer->flags & NWS__OPEN_DUE) != 0;
  return opening && peer->state <= NWS__OPEN && !it->closes;
}

/* Sends what waits, as far as there is room. */
void nws__remote_flush(nws_peer *peer) {
  nws_remote *remote = peer->side == NULL ? NULL : peer->side->remote;
  while (remote != NULL && remote->first != NULL) {
    order *it = remote->first;
    int rc = must_wait(peer, it) ? NWS_ERROR_QUEUE : obey(peer, it);
    if (rc == NWS_ERROR_QUEUE) {
      return;
    }
    remote->first = (order *)it->post.next;
    order_free(it);
    if (rc != NWS_OK && rc != NWS_ERROR_STATE) {
      nws__peer_fail(peer, rc);
    }
  }
}

static void on_order(nws__post *post, nws_loop *loop) {
  order *it = (order *)post;
  nws_remote *remote = it->remote;
  if (loop == NULL || remote->peer == NULL) {
    order_free(it);
    return;
  }
  post->next = NULL;
  if (remote->first != NULL) {
    remote->last->post.next = post;
    remote->last = it;
    return;
  }
  remote->first = remote->last = it;
  nws__remote_flush(remote->peer);
}

/* The peer is dead. Gives up what the peer holds of the remote. */
void nws__remote_gone(nws_remote *remote) {
  atomic_store(&remote->over, 1);
  atomic_store(&remote->gone, 1);
  remote->peer = NULL;
  while (remote->first != NULL) {
    order *it = remote->first;
    remote->first = (order *)it->post.next;
    order_free(it);
  }
  nws_remote_drop(remote);
}

static void on_errand(nws__post *post, nws_loop *loop) {
  errand it = *(errand *)post;
  free(post);
  it.run(loop == NULL ? NULL : it.remote->peer, it.arg);
  nws_remote_drop(it.remote);
}

/* --- On any thread --- */

static order *order_new(nws_remote *remote, const void *data, size_t len) {
  order *it = malloc(sizeof(*it) + len);
  if (it == NULL) {
    return NULL;
  }
  memset(it, 0, sizeof(*it));
  it->post.run = on_order;
  it->remote = remote;
  it->len = len;
  if (len > 0) {
    memcpy(it->data, data, len);
  }
  return it;
}

static int put(order *it) {
  nws_remote_keep(it->remote);
  int rc = nws__mail_put(it->remote->mail, &it->post);
  if (rc != NWS_OK) {
    order_free(it);
  }
  return rc;
}

/* What nws_conn_send() would say, as far as it can be told from here. */
static int check(const nws_remote *remote, unsigned what, const void *data,
                 size_t len) {
  unsigned opcode = what & 15u;
  nws_utf8 utf8 = NWS_UTF8_START;
  if ((data == NULL && len > 0) || (what & NWS_SEND_MORE) != 0 ||
      opcode == NWS_OPCODE_CONTINUATION || opcode == NWS_OPCODE_CLOSE) {
    return NWS_ERROR_ARGUMENT;
  }
  if (len > PTRDIFF_MAX / 2) {
    return NWS_ERROR_LENGTH;
  }
  if (opcode >= NWS_OPCODE_CLOSE && len > NWS_CONTROL_PAYLOAD_MAX) {
    return NWS_ERROR_CONTROL_LONG;
  }
  /* RFC 6455 5.6, 8.1: text is sent as UTF-8. */
  if (opcode == NWS_OPCODE_TEXT && !remote->trusted &&
      (nws_utf8_check(&utf8, data, len) < len || utf8 != NWS_UTF8_START)) {
    return NWS_ERROR_TEXT_SEND;
  }
  return NWS_OK;
}

int nws_remote_send(nws_remote *remote, unsigned what, const void *data,
                    size_t len) {
  if (remote == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  int rc = check(remote, what, data, len);
  if (rc != NWS_OK) {
    return rc;
  }
  if (atomic_load(&remote->over)) {
    return NWS_ERROR_STATE;
  }
  size_t need = sizeof(order) + len;
  size_t before = atomic_fetch_add(&remote->waiting, need);
  if (before > 0 &&
      (need > remote->max_waiting || before > remote->max_waiting - need)) {
    atomic_fetch_sub(&remote->waiting, need);
    return NWS_ERROR_QUEUE;
  }
  order *it = order_new(remote, data, len);
  if (it == NULL) {
    atomic_fetch_sub(&remote->waiting, need);
    return NWS_ERROR_MEMORY;
  }
  it->what = what;
  return put(it);
}

int nws_remote_close(nws_remote *remote, unsigned code, nws_str reason) {
  uint8_t payload[NWS_CONTROL_PAYLOAD_MAX];
  if (remote == NULL || !nws_str_sound(reason)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (reason.len > NWS_CONTROL_PAYLOAD_MAX - 2) {
    return NWS_ERROR_CONTROL_LONG;
  }
  int rc = nws_close_build(code, reason, payload);
  if (rc < 0) {
    return rc;
  }
  order *it = order_new(remote, reason.ptr, reason.len);
  if (it == NULL) {
    return NWS_ERROR_MEMORY;
  }
  it->closes = 1;
  it->what = code;
  if (atomic_exchange(&remote->over, 1)) {
    free(it);
    return NWS_ERROR_STATE;
  }
  return put(it);
}

int nws_remote_run(nws_remote *remote, void (*run)(nws_peer *peer, void *arg),
                   void *arg) {
  if (remote == NULL || run == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (atomic_load(&remote->gone)) {
    return NWS_ERROR_STATE;
  }
  errand *it = malloc(sizeof(*it));
  if (it == NULL) {
    return NWS_ERROR_MEMORY;
  }
  it->post.run = on_errand;
  it->remote = remote;
  it->run = run;
  it->arg = arg;
  nws_remote_keep(remote);
  int rc = nws__mail_put(remote->mail, &it->post);
  if (rc != NWS_OK) {
    free(it);
    nws_remote_drop(remote);
  }
  return rc;
}
