/* peer_read.c - bytes that arrive, and what becomes of them in each state.
 *
 * One read per turn of the loop and peer, into the loop's buffer. The engine
 * works in it, and gets a spill area only when it asks for one.
 */
#include "net_internal.h"
#include <stdlib.h>
#include <string.h>

/* Says whether anything that arrives is wanted now. */
int nws__peer_reads(const nws_peer *peer) {
  if ((peer->flags & NWS__ENDED) != 0) {
    return 0;
  }
  switch (peer->state) {
  case NWS__TUNNELING:
  case NWS__PROXIED:
  case NWS__SHAKING:
  case NWS__REFUSED:
  case NWS__CLOSING:
    return 1;
  case NWS__OPEN:
    if ((peer->flags & NWS__PAUSED) != 0) {
      return 0;
    }
    /* The closing handshake is not held up by a full queue. */
    return (peer->flags & NWS__THROTTLED) == 0 ||
           nws_conn_state(&peer->conn) != NWS_STATE_OPEN;
  default:
    return 0;
  }
}

/* --- Messages --- */

/* Our own trouble with a message: closes with the code that fits. */
void nws__peer_fail(nws_peer *peer, int error) {
  unsigned code = nws_error_get(error)->close_code;
  if (peer->error == 0) {
    peer->error = error;
  }
  nws_str none = {NULL, 0};
  int rc = nws__peer_say_close(
      peer, code != 0 ? code : NWS_CLOSE_INTERNAL_ERROR, none);
  if (rc == NWS_OK || rc == NWS_ERROR_STATE) {
    nws__loop_todo(peer);
  } else {
    nws__peer_die(peer, error);
  }
}

/* The loop keeps one, with its block, for whoever needs it next. */
static int take_assembler(nws_peer *peer) {
  nws_loop *loop = peer->loop;
  nws_message fresh;
  if (peer->message != NULL) {
    return NWS_OK;
  }
  nws_message_init(&fresh, &loop->allocator, peer->setup->conn.max_message);
  peer->message = loop->assembler;
  loop->assembler = NULL;
  if (peer->message != NULL) {
    peer->message->limit = fresh.limit;
    return NWS_OK;
  }
  peer->message = malloc(sizeof(*peer->message));
  if (peer->message == NULL) {
    return NWS_ERROR_MEMORY;
  }
  *peer->message = fresh;
  return NWS_OK;
}

static void give_assembler(nws_peer *peer) {
  nws_loop *loop = peer->loop;
  nws_message *message = peer->message;
  peer->message = NULL;
  nws_message_trim(message, NWS__KEEP_MAX);
  if (loop->assembler == NULL) {
    loop->assembler = message;
    return;
  }
  nws_message_free(message);
  free(message);
}

static void assemble(nws_peer *peer, const nws_event *event) {
  int rc = take_assembler(peer);
  if (rc == NWS_OK) {
    rc = nws_message_add(peer->message, event);
  }
  if (rc == NWS_MORE) {
    return;
  }
  if (rc != NWS_OK) {
    nws__peer_fail(peer, rc);
    return;
  }
  nws_message *message = peer->message;
  peer->setup->handler.message(peer, message->opcode, message->data,
                               message->len);
  give_assembler(peer);
}

static void take_data(nws_peer *peer, const nws_event *event) {
  const nws_handler *handler = &peer->setup->handler;
  if (handler->piece != NULL) {
    handler->piece(peer, event);
  } else if (handler->message == NULL) {
    return;
  } else if (event->flags == NWS_MESSAGE_WHOLE) {
    handler->message(peer, event->opcode, event->data, event->len);
  } else {
    assemble(peer, event);
  }
}

/* --- Control frames --- */

/* Without memory `closed` just has no reason to tell. */
static void keep_reason(nws_peer *peer, const nws_event *event) {
  nws__side *side = event->len == 0 ? NULL : nws__peer_side(peer);
  if (side == NULL || side->reason != NULL) {
    return;
  }
  side->reason = malloc(sizeof(*side->reason) + event->len);
  if (side->reason == NULL) {
    return;
  }
  side->reason->len = event->len;
  memcpy(side->reason->text, event->data, event->len);
}

/* Each ping gets its pong (RFC 6455 5.5.3 would allow only the latest) as long
 * as the peer reads them. */
static void take_control(nws_peer *peer, const nws_event *event) {
  if (event->type == NWS_EVENT_CLOSE) {
    keep_reason(peer, event);
  }
  if (peer->setup->handler.control != NULL) {
    peer->setup->handler.control(peer, event);
  }
  if (peer->state == NWS__OPEN) {
    nws__peer_owe(peer);
  }
}

/* --- The engine --- */

static int spill(nws_peer *peer) {
  nws_spill *area = nws__loop_take_spill(peer->loop);
  if (area == NULL) {
    return NWS_ERROR_MEMORY;
  }
  if (nws_conn_lend(&peer->conn, area) != 1) {
    nws__loop_give_spill(peer->loop, area);
    return NWS_ERROR_STATE;
  }
  peer->spill = area;
  return NWS_OK;
}

/* Takes a spill area back as soon as the engine can do without. */
void nws__peer_unspill(nws_peer *peer) {
  if (peer->spill == NULL || nws_conn_reclaim(&peer->conn) == NULL) {
    return;
  }
  nws__loop_give_spill(peer->loop, peer->spill);
  peer->spill = NULL;
}

/* Gives bytes to the engine and its events to the application. What the engine
 * owes because of a fault goes out when the peer is settled. */
void nws__peer_feed(nws_peer *peer, uint8_t *data, size_t len) {
  nws_input in = {data, len, nws__silence_heard(peer)};
  nws_event event;
  while (peer->state == NWS__OPEN) {
    int type = nws_conn_recv(&peer->conn, &in, &event);
    if (type == NWS_ERROR_SPILL) {
      int rc = spill(peer);
      if (rc != NWS_OK) {
        nws__peer_die(peer, rc);
      }
      continue;
    }
    if (type <= 0) {
      return;
    }
    nws__stats_event(peer, &event);
    if (type == NWS_EVENT_DATA) {
      take_data(peer, &event);
    } else {
      take_control(peer, &event);
    }
  }
}

/* --- Heads --- */

/* Keeps the next bytes of an HTTP head together, as many of them as a head may
 * have. Most heads are short: the buffer starts small. */
int nws__peer_head_add(nws__opening *opening, const uint8_t *data, size_t len,
                       size_t max_head) {
  size_t left = max_head - opening->head_len;
  if (len > left) {
    len = left;
  }
  if (len > opening->head_cap - opening->head_len) {
    size_t cap = opening->head_cap == 0 ? 512 : opening->head_cap * 2;
    while (cap < opening->head_len + len) {
      cap *= 2;
    }
    char *head = realloc(opening->head, cap);
    if (head == NULL) {
      return NWS_ERROR_MEMORY;
    }
    opening->head = head;
    opening->head_cap = cap;
  }
  memcpy(opening->head + opening->head_len, data, len);
  opening->head_len += len;
  return NWS_OK;
}

/* --- The socket --- */

/* Whoever has shut only its side still gets the close frame that is owed. */
static void ended_open(nws_peer *peer, int error) {
  int rc = nws_conn_eof(&peer->conn);
  if (error == 0) {
    nws__peer_owe(peer);
  }
  if (peer->state == NWS__OPEN) {
    nws__peer_end(peer, error != 0 ? error : rc);
  }
}

/* Who refuses a client's certificate says so and is gone, and then writing may
 * fail before that has been read: it is the reason all the same. */
static void heed_alert(nws_peer *peer, int error) {
  int of_system = peer->error > NWS_ERROR_ARGUMENT;
  if (error == NWS_ERROR_TLS && (peer->flags & NWS__BROKEN) != 0 && of_system) {
    peer->error = error;
  }
}

/* The other end has shut its side (`error` 0), or the socket is broken. */
static void ended(nws_peer *peer, int error) {
  peer->flags |= NWS__ENDED;
  heed_alert(peer, error);
  if (error != 0) {
    peer->flags |= NWS__BROKEN;
  }
  switch (peer->state) {
  case NWS__SHAKING:
    /* Whoever has sent half a request may still want to read why. */
    if (error == 0 && peer->server != NULL && peer->opening != NULL) {
      nws__server_refuse(peer, NWS_ERROR_HTTP_EOF, 0);
    } else {
      nws__peer_die(peer, error != 0 ? error : NWS_ERROR_HTTP_EOF);
    }
    break;
  case NWS__OPEN:
    ended_open(peer, error);
    break;
  case NWS__CLOSING:
    break; /* settled when all is written */
  default:
    nws__peer_die(peer, error != 0 ? error : NWS_ERROR_HTTP_EOF);
  }
}

static void dispatch(nws_peer *peer, uint8_t *data, size_t len) {
  switch (peer->state) {
  case NWS__SHAKING:
    if (peer->server != NULL) {
      nws__server_read(peer, data, len);
    } else {
      nws__client_read(peer, data, len);
    }
    break;
  case NWS__REFUSED:
    nws__client_body(peer, data, len);
    break;
  case NWS__OPEN:
    nws__peer_feed(peer, data, len);
    break;
  default:
    break; /* closing: discarded */
  }
}

void nws__peer_read(nws_peer *peer) {
  if (peer->state == NWS__PROXIED) {
    nws__proxied_read(peer);
    return;
  }
  if (peer->state == NWS__TUNNELING) {
    nws__tunnel_read(peer);
    return;
  }
  int whole = peer->state == NWS__OPEN || peer->state == NWS__CLOSING;
  size_t cap = whole ? NWS__RECEIVE_LEN : NWS__HEAD_READ_LEN;
  uint8_t *data = peer->loop->receive;
  long len = nws__peer_receive(peer, data, cap);
  if (len == UV_EAGAIN) {
    if ((peer->flags & NWS__BROKEN) != 0) {
      nws__peer_die(peer, peer->error); /* nothing is left to be read */
    }
    return;
  }
  if (len <= 0) {
    ended(peer, (int)len);
  } else {
    nws__stats_received(peer, (size_t)len);
    dispatch(peer, data, (size_t)len);
  }
}
