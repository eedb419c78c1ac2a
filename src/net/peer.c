/* peer.c - the life of a peer, the table of its transitions, and the small
 * questions.
 *
 *   resolving -> connecting -> securing -> shaking -> open -> closing -> dead
 *                                            |         ^        ^
 *                                            +-> deciding ------+    (server)
 *                                            +-> refused -> dead     (client)
 *                                            +-> resolving: a redirect
 *
 * Without TLS `securing` is left out; `proxied` comes before it where a proxy
 * tells of the client, `tunneling` where a client goes through one. Any state
 * may become dead. `closing` is the orderly end of TCP: what was said leaves,
 * our side is shut, and what still comes is discarded until the other side
 * shuts too, so that no RST overtakes the last frame or response.
 *
 * While the loop works on a peer it is BUSY; nws__peer_leave() then settles
 * everything that its input and the application have changed, once.
 *
 * A peer that has taken all that we said is judged by the engine alone: it ends
 * one that does not answer a ping or a close. One that is behind, with bytes in
 * our queue or unsent in the system's, cannot be expected to answer: it is
 * ended here, when it takes nothing for as long as the engine would have
 * waited. In both cases silence counts from the last sign of life: bytes that
 * came, or, from a peer that is behind, only bytes that it has taken; in a
 * closing handshake from its beginning; and pauses do not count. Nobody is
 * ended before what waits in the socket has been read. silence.c keeps the
 * time.
 */
#include "net_internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TO(state) (1u << (state))

/* Says whether one state may follow another. */
static int may_follow(unsigned from, unsigned to) {
  static const uint16_t transitions[] = {
      [NWS__RESOLVING] = TO(NWS__CONNECTING),
      [NWS__CONNECTING] =
          TO(NWS__TUNNELING) | TO(NWS__SECURING) | TO(NWS__SHAKING),
      [NWS__TUNNELING] =
          TO(NWS__SECURING) | TO(NWS__SHAKING) | TO(NWS__REFUSED),
      [NWS__PROXIED] = TO(NWS__SECURING) | TO(NWS__SHAKING),
      [NWS__SECURING] = TO(NWS__SHAKING),
      [NWS__SHAKING] = TO(NWS__DECIDING) | TO(NWS__REFUSED) | TO(NWS__OPEN) |
                       TO(NWS__CLOSING) | TO(NWS__RESOLVING),
      [NWS__DECIDING] = TO(NWS__OPEN) | TO(NWS__CLOSING),
      [NWS__REFUSED] = 0,
      [NWS__OPEN] = TO(NWS__CLOSING),
      [NWS__CLOSING] = 0,
      [NWS__DEAD] = 0,
  };
  if (to == NWS__DEAD) {
    return from != NWS__DEAD;
  }
  return (transitions[from] & TO(to)) != 0;
}

void nws__peer_enter(nws_peer *peer, nws__peer_state state) {
  assert(may_follow(peer->state, state));
  (void)may_follow; /* without asserts */
  nws__stats_enter(peer, (nws__peer_state)peer->state, state);
  peer->state = (uint8_t)state;
}

/* --- Beginning --- */

static void link_to(nws_server *server, nws_peer *peer) {
  peer->next = server->first;
  if (server->first != NULL) {
    server->first->prev = peer;
  }
  server->first = peer;
  server->count++;
}

static void unlink_from(nws_server *server, nws_peer *peer) {
  if (peer->prev != NULL) {
    peer->prev->next = peer->next;
  } else {
    server->first = peer->next;
  }
  if (peer->next != NULL) {
    peer->next->prev = peer->prev;
  }
  server->count--;
  server->turned -= (peer->flags & NWS__TURNED) != 0;
  if ((peer->flags & NWS__TALLIED) != 0) {
    nws__limits_leave(server, &peer->address);
  }
}

nws_peer *nws__peer_new(nws_loop *loop, nws__setup *setup, nws_server *server,
                        nws__peer_state state) {
  nws_peer *peer = calloc(1, sizeof(*peer));
  if (peer == NULL) {
    return NULL;
  }
  if (nws__timer_reserve(loop) != NWS_OK) {
    free(peer);
    return NULL;
  }
  peer->loop = loop;
  peer->setup = setup;
  peer->server = server;
  peer->fd = -1;
  peer->state = (uint8_t)state;
  if (server != NULL) {
    link_to(server, peer);
  }
  nws__loop_hold(loop);
  return peer;
}

nws__opening *nws__peer_opening(nws_peer *peer) {
  if (peer->opening == NULL) {
    peer->opening = calloc(1, sizeof(*peer->opening));
  }
  return peer->opening;
}

/* The socket takes bytes again. */
static void unblock(nws_peer *peer) {
  peer->flags &= ~(uint32_t)NWS__BLOCKED;
  if (peer->tls != NULL) {
    nws__tls_stir(peer->tls);
  }
}

static void on_event(uv_poll_t *poll, int status, int events) {
  nws_peer *peer = poll->data;
  nws_loop *loop = peer->loop;
  if (peer->state == NWS__DEAD) {
    return;
  }
  nws__loop_enter(loop);
  peer->flags |= NWS__BUSY;
  if (status < 0) {
    /* The socket has an error; libuv has stopped watching. Reading on finds
     * it behind the bytes that came before it. */
    peer->events = 0;
    events = UV_READABLE | UV_WRITABLE;
  }
  if (peer->state == NWS__SECURING) {
    nws__secure_step(peer);
  } else {
    if ((events & UV_WRITABLE) != 0) {
      unblock(peer);
    }
    if ((events & UV_READABLE) != 0 && nws__peer_reads(peer)) {
      nws__peer_read(peer);
    } else if (status < 0) {
      int error = nws__socket_error(peer->fd);
      nws__peer_die(peer, error != 0 ? error : UV_ECONNRESET);
    }
  }
  nws__peer_leave(peer);
  nws__loop_leave(loop);
}

/* Gives the peer a socket, and takes care of closing it, also on failure. */
int nws__peer_attach(nws_peer *peer, int fd, const nws__address *address) {
  int rc = uv_poll_init(peer->loop->uv, &peer->poll, fd);
  if (rc != 0) {
    nws__socket_close(fd);
    return rc;
  }
  peer->poll.data = peer;
  peer->fd = fd;
  peer->address = *address;
  peer->holds++;
  peer->events = 0;
  peer->flags |= NWS__WATCHED;
  return NWS_OK;
}

static void on_detached(uv_handle_t *handle) {
  nws_peer *peer = handle->data;
  nws_loop *loop = peer->loop;
  nws__loop_enter(loop);
  if (peer->state == NWS__RESOLVING) {
    peer->holds--;
    peer->flags |= NWS__BUSY;
    nws__client_begin(peer);
    nws__peer_leave(peer);
  } else {
    nws__peer_unhold(peer);
  }
  nws__loop_leave(loop);
}

void nws__peer_detach(nws_peer *peer) {
  if ((peer->flags & NWS__WATCHED) == 0) {
    return;
  }
  peer->flags &= ~(uint32_t)NWS__WATCHED;
  uv_close((uv_handle_t *)&peer->poll, on_detached);
  nws__socket_close(peer->fd);
  peer->fd = -1;
}

static int agree(nws_peer *peer, const nws_extension_use *uses, size_t count,
                 nws_str subprotocol) {
  if (count == 0 && subprotocol.ptr == NULL) {
    return NWS_OK;
  }
  nws__agreed *agreed = malloc(sizeof(*agreed) + subprotocol.len + 1);
  if (agreed == NULL) {
    return NWS_ERROR_MEMORY;
  }
  char *text = (char *)(agreed + 1);
  memset(agreed, 0, sizeof(*agreed));
  if (count > 0) {
    memcpy(agreed->uses, uses, count * sizeof(*uses));
  }
  agreed->use_count = count;
  if (subprotocol.len > 0) {
    memcpy(text, subprotocol.ptr, subprotocol.len);
  }
  text[subprotocol.len] = '\0';
  if (subprotocol.ptr != NULL) {
    agreed->subprotocol = nws_str_make(text, subprotocol.len);
  }
  peer->agreed = agreed;
  return NWS_OK;
}

/* The handshake is over: the engine begins. Takes the extensions' states over,
 * also on failure. */
int nws__peer_start(nws_peer *peer, const nws_extension_use *uses, size_t count,
                    nws_str subprotocol) {
  nws_role role = peer->server != NULL ? NWS_ROLE_SERVER : NWS_ROLE_CLIENT;
  int rc = agree(peer, uses, count, subprotocol);
  if (rc != NWS_OK) {
    nws_extension_use copy[NWS_EXTENSIONS_MAX];
    memcpy(copy, uses, count * sizeof(*uses));
    nws_extension_release(copy, count);
    return rc;
  }
  nws_extension_use *own = count > 0 ? peer->agreed->uses : NULL;
  rc = nws_conn_init(&peer->conn, role, &peer->setup->conn, own, count);
  if (rc != NWS_OK) {
    return rc;
  }
  nws__peer_enter(peer, NWS__OPEN);
  peer->flags |= NWS__CONN | NWS__OPEN_DUE;
  uint64_t came = peer->life;
  nws__silence_begin(peer);
  nws__stats_opened(peer, peer->life - came);
  nws__timer_set(peer, NWS_NEVER);
  return NWS_OK;
}

/* --- Ending --- */

static void blame(nws_peer *peer, int error) {
  if (peer->error == 0) {
    peer->error = error;
  }
}

/* Nothing more will be said: write what is queued, then close TCP in order. */
void nws__peer_end(nws_peer *peer, int error) {
  blame(peer, error);
  nws__peer_enter(peer, NWS__CLOSING);
  peer->flags &= ~(uint32_t)(NWS__PAUSED | NWS__THROTTLED | NWS__SHOWN);
  nws__silence_begin(peer);
  nws__timer_set(peer, NWS_NEVER);
  nws__loop_todo(peer);
}

/* It is over at once. `closed` is called by the loop. */
void nws__peer_die(nws_peer *peer, int error) {
  if (peer->state == NWS__DEAD) {
    return;
  }
  blame(peer, error);
  nws__peer_enter(peer, NWS__DEAD);
  if ((peer->flags & NWS__WATCHED) != 0) {
    uv_poll_stop(&peer->poll);
  }
  nws__timer_set(peer, NWS_NEVER);
  nws__queue_drop(peer);
  nws__loop_todo(peer);
}

static void free_opening(nws_peer *peer) {
  nws__opening *opening = peer->opening;
  if (opening == NULL) {
    return;
  }
  peer->opening = NULL;
  if (opening->rest_owned) {
    free(opening->rest);
  }
  free(opening->head);
  free(opening->request);
  nws_tls_drop(opening->tls);
  if (opening->dial != NULL) {
    nws__client_free(opening->dial);
  }
  free(opening);
}

/* Errors that do not count when both sides have said close: how the transport
 * ended after that, but not why we closed. */
static int forgivable(int error) {
  return error > NWS_ERROR_ARGUMENT || error == NWS_ERROR_EOF ||
         error == NWS_ERROR_TLS_CUT || error == NWS_ERROR_CLOSE_TIMEOUT;
}

static int verdict(const nws_peer *peer) {
  int clean = (peer->flags & NWS__CONN) != 0 && nws_conn_clean(&peer->conn);
  return clean && forgivable(peer->error) ? NWS_OK : peer->error;
}

static void describe(const nws_peer *peer, nws_closed *how) {
  memset(how, 0, sizeof(*how));
  how->error = verdict(peer);
  how->detail = nws__tls_detail(peer->tls);
  how->code = NWS_CLOSE_ABNORMAL;
  how->code_sent = NWS_CLOSE_ABNORMAL;
  how->opened = (peer->flags & NWS__OPENED) != 0;
  if ((peer->flags & NWS__CONN) != 0) {
    how->offset = nws_conn_fault(&peer->conn).offset;
    how->code = nws_conn_close_code(&peer->conn);
    how->code_sent = nws_conn_close_sent(&peer->conn);
  }
  if (peer->side != NULL && peer->side->reason != NULL) {
    const nws__reason *reason = peer->side->reason;
    how->reason = nws_str_make(reason->text, reason->len);
  }
  if (peer->server == NULL) {
    how->url = peer->setup->url;
    how->response = nws__client_answer(peer);
    const char *detail = nws__client_detail(peer);
    how->detail = detail == NULL ? how->detail : detail;
  }
  if (how->response != NULL) {
    const nws__opening *opening = peer->opening;
    how->body = nws_str_make((const char *)opening->rest, opening->rest_len);
  }
}

static void free_peer(nws_peer *peer) {
  nws_server *server = peer->server;
  nws_loop *loop = peer->loop;
  if (server == NULL) {
    nws__setup_free(peer->setup);
  }
  free(peer);
  nws__timer_unreserve(loop);
  nws__loop_release(loop);
  if (server != NULL) {
    nws__server_settle(server);
  }
}

/* The last handle or request of libuv that pointed here is gone. */
void nws__peer_unhold(nws_peer *peer) {
  if (--peer->holds > 0 || (peer->flags & NWS__FINISHED) == 0) {
    return;
  }
  free_opening(peer);
  if (peer->server != NULL) {
    unlink_from(peer->server, peer);
  }
  free_peer(peer);
}

static void tell_end(nws_peer *peer) {
  nws__stats_closed(peer, verdict(peer));
  nws__log_ended(peer, verdict(peer), nws__tls_detail(peer->tls));
  if ((peer->flags & NWS__TOLD) == 0) {
    nws__server_trouble(peer->server, peer->error, &peer->address,
                        nws__tls_detail(peer->tls));
  } else if (peer->setup->handler.closed != NULL) {
    nws_closed how;
    describe(peer, &how);
    peer->setup->handler.closed(peer, &how);
  }
}

/* The end of a dead peer: tells the application, gives everything back but
 * what libuv still points to. */
static void finish(nws_peer *peer) {
  peer->flags |= NWS__BUSY;
  nws__side_leave(peer);
  tell_end(peer);
  peer->flags |= NWS__FINISHED;
  if (peer->message != NULL) {
    nws_message_free(peer->message);
  }
  free(peer->message);
  nws__side_free(peer);
  if (peer->spill != NULL) { /* the engine is not asked any more */
    nws__loop_give_spill(peer->loop, peer->spill);
  }
  peer->spill = NULL;
  if (peer->agreed != NULL) {
    nws_extension_release(peer->agreed->uses, peer->agreed->use_count);
  }
  free(peer->agreed);
  peer->agreed = NULL;
  nws__tls_free(peer->tls);
  peer->tls = NULL;
  if (peer->opening != NULL && peer->opening->dial != NULL) {
    nws__client_cancel(peer->opening->dial);
  }
  peer->holds++;
  nws__peer_detach(peer);
  nws__peer_unhold(peer);
}

/* --- Settling --- */

/* What is to be watched follows from the state; only changes cost anything. */
static void watch(nws_peer *peer) {
  int events = 0;
  if ((peer->flags & NWS__WATCHED) == 0) {
    return;
  }
  if (nws__peer_reads(peer)) {
    events |= UV_READABLE;
  }
  if (peer->state == NWS__SECURING) {
    events |= nws__tls_want(peer->tls);
  }
  if ((peer->flags & NWS__BLOCKED) != 0) {
    events |= UV_WRITABLE;
  }
  if (events == peer->events) {
    return;
  }
  peer->events = (uint8_t)events;
  if (events != 0) {
    uv_poll_start(&peer->poll, events, on_event);
  } else {
    uv_poll_stop(&peer->poll);
  }
}

/* After writing, so that it is known whether the peer is behind. */
static void settle_open(nws_peer *peer, int due) {
  int rc = nws__silence_judge(peer, due);
  nws__peer_owe(peer);
  if (rc != NWS_OK) {
    nws__stats_given_up(peer, rc);
    nws__log_given_up(peer, rc);
    nws__peer_write(peer);
    nws__peer_die(peer, rc);
  } else if (peer->state == NWS__OPEN && nws_conn_finished(&peer->conn)) {
    nws__peer_end(peer, nws_conn_fault(&peer->conn).error);
  } else if ((peer->flags & NWS__BROKEN) != 0 && !nws__peer_reads(peer)) {
    nws__peer_die(peer, peer->error); /* paused since writing has failed */
  }
}

/* RFC 6455 7.1.1: the server closes TCP first, and in a way that lets the
 * client get everything that was sent. */
static void settle_closing(nws_peer *peer, int due) {
  int broken = (peer->flags & NWS__BROKEN) != 0;
  int said = broken || peer->queue.bytes == 0;
  free_opening(peer);
  if (said && (broken || (peer->flags & NWS__ENDED) != 0)) {
    nws__peer_die(peer, 0);
    return;
  }
  if (said && (peer->flags & NWS__SHUT) == 0) {
    peer->flags |= NWS__SHUT;
    nws__peer_shut(peer);
    nws__silence_begin(peer);
  }
  int rc = nws__silence_judge(peer, due);
  if (rc != NWS_OK) {
    nws__stats_given_up(peer, rc);
    nws__log_given_up(peer, rc);
    nws__peer_die(peer, rc);
  }
}

/* Says whether to read without waiting: TLS may hold bytes that the socket will
 * not tell of, or writing has failed and only what has come already counts. */
static int unread(const nws_peer *peer) {
  int broken = (peer->flags & NWS__BROKEN) != 0;
  int held = peer->tls != NULL && nws__tls_more(peer->tls);
  return (broken || held) && nws__peer_reads(peer);
}

void nws__peer_leave(nws_peer *peer) {
  int due = (peer->flags & NWS__DUE) != 0;
  peer->flags &= ~(uint32_t)NWS__DUE;
  if (peer->state == NWS__OPEN) {
    nws__peer_owe(peer);
  }
  size_t written = nws__peer_write(peer);
  if (peer->state == NWS__OPEN) {
    nws__peer_level(peer, written);
  }
  if (peer->state == NWS__OPEN) {
    settle_open(peer, due);
  }
  if (peer->state == NWS__CLOSING) {
    settle_closing(peer, due);
  }
  nws__peer_unspill(peer);
  if (peer->state != NWS__DEAD) {
    watch(peer);
  }
  peer->flags &= ~(uint32_t)NWS__BUSY;
  int unsent = peer->queue.bytes > 0 && (peer->flags & NWS__BLOCKED) == 0;
  if (peer->state == NWS__DEAD || unsent || unread(peer)) {
    nws__loop_todo(peer);
  }
}

static void open_now(nws_peer *peer) {
  peer->flags &= ~(uint32_t)NWS__OPEN_DUE;
  peer->flags |= NWS__OPENED | NWS__TOLD;
  nws__log_opened(peer);
  if (peer->setup->handler.open != NULL) {
    peer->setup->handler.open(peer);
  }
  peer->flags &= ~(uint32_t)NWS__SHOWN;
  nws__opening *opening = peer->opening;
  if (peer->state == NWS__OPEN && opening->rest_len > 0) {
    nws__peer_feed(peer, opening->rest, opening->rest_len);
  }
}

/* The handshake may be over: then the application is told, and what came behind
 * the head goes to the engine. */
void nws__peer_opened(nws_peer *peer) {
  if ((peer->flags & NWS__OPEN_DUE) != 0 && peer->state == NWS__OPEN) {
    open_now(peer);
  }
  if (peer->state == NWS__OPEN) {
    free_opening(peer);
  }
}

/* From the loop's list of things to do. */
void nws__peer_work(nws_peer *peer) {
  if (peer->state == NWS__DEAD) {
    finish(peer);
    return;
  }
  peer->flags |= NWS__BUSY;
  nws__peer_opened(peer);
  if (unread(peer)) {
    nws__peer_read(peer);
  }
  nws__peer_leave(peer);
}

/* The opening handshake takes too long; perhaps because of our application. */
static void timeout_server(nws_peer *peer) {
  if (peer->state == NWS__DECIDING) {
    nws__server_refuse(peer, UV_ETIMEDOUT, 503);
  } else {
    nws__server_refuse(peer, NWS_ERROR_HANDSHAKE_TIMEOUT, 408);
  }
}

void nws__peer_timeout(nws_peer *peer, uint64_t now) {
  peer->flags |= NWS__BUSY;
  if (peer->state == NWS__OPEN || peer->state == NWS__CLOSING) {
    peer->flags |= NWS__DUE;
    if (nws__peer_reads(peer)) {
      nws__peer_read(peer);
    }
  } else if (peer->server == NULL) {
    nws__client_timeout(peer, now);
  } else {
    timeout_server(peer);
  }
  nws__peer_leave(peer);
}
