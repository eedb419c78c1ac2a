/* peer_write.c - everything that is said to a peer: frames are written into its
 * queue, and the queue into the socket when the peer is settled.
 *
 * The watermarks: above high_water a server stops reading from an open peer, at
 * low_water it goes on and `drain` is called, beyond max_queue nothing is
 * taken.
 */
#include "net_internal.h"

/* After a failed write what the other end sent before may still be read: its
 * close frame says more than EPIPE does. Nothing is waited for: not every error
 * of a write is the end of the connection, which would tell us. */
static void broken(nws_peer *peer, int error) {
  uint32_t waiting = NWS__BLOCKED | NWS__THROTTLED;
  peer->flags |= NWS__BROKEN;
  peer->flags &= ~waiting;
  nws__queue_drop(peer);
  if (peer->error == 0) {
    peer->error = error;
  }
  if (!nws__peer_reads(peer)) {
    nws__peer_die(peer, error);
  }
}

/* Writes what the socket takes; returns how many bytes those were. */
size_t nws__peer_write(nws_peer *peer) {
  size_t before = peer->queue.bytes;
  if (before == 0 || (peer->flags & NWS__BLOCKED) != 0) {
    return 0;
  }
  if ((peer->flags & NWS__BROKEN) != 0) {
    nws__queue_drop(peer);
    return 0;
  }
  int rc = nws__queue_write(peer);
  if (rc < 0) {
    broken(peer, rc);
    return 0;
  }
  size_t written = before - peer->queue.bytes;
  if (rc == NWS_MORE) {
    peer->flags |= NWS__BLOCKED;
  }
  peer->written += (uint32_t)written;
  return written;
}

/* Looks at the watermarks, after writing. Only servers stop reading: were both
 * ends to wait for the other to read, neither would go on. */
void nws__peer_level(nws_peer *peer, size_t written) {
  const nws_net_limits *limits = &peer->setup->limits;
  size_t bytes = peer->queue.bytes;
  if (bytes > limits->high_water) {
    if (peer->server != NULL && (peer->flags & NWS__THROTTLED) == 0) {
      nws__stats_throttled(peer);
      peer->flags |= NWS__THROTTLED;
    }
    peer->flags |= NWS__DRAIN_DUE;
    return;
  }
  if (bytes > limits->low_water || (bytes > 0 && written == 0)) {
    return;
  }
  uint32_t due = peer->flags & NWS__DRAIN_DUE;
  peer->flags &= ~(uint32_t)(NWS__THROTTLED | NWS__DRAIN_DUE);
  nws__remote_flush(peer);
  if (peer->queue.bytes > limits->low_water) {
    peer->flags |= due;
  }
  if (due == 0 || (peer->flags & NWS__DRAIN_DUE) != 0) {
    return;
  }
  if (peer->setup->handler.drain != NULL) {
    peer->setup->handler.drain(peer);
  }
}

/* Takes a chunk back that was reserved for nothing. */
static void unreserve(nws_peer *peer) {
  if (peer->queue.bytes == 0) {
    nws__queue_drop(peer);
  }
}

/* Where reading is not throttled (by clients, and in a closing handshake) pongs
 * wait while the peer does not read, so that they cannot pile up. What it owes
 * last, a close frame, never waits. */
static int may_wait(const nws_peer *peer) {
  return peer->queue.bytes > peer->setup->limits.high_water &&
         nws_conn_fault(&peer->conn).error == NWS_OK &&
         nws_conn_close_code(&peer->conn) == NWS_CLOSE_ABNORMAL;
}

/* Queues what the engine owes. */
void nws__peer_owe(nws_peer *peer) {
  size_t owed = nws_conn_owed(&peer->conn);
  size_t len = 0;
  if (owed == 0 || may_wait(peer)) {
    return;
  }
  uint8_t *out = nws__queue_reserve(peer->loop, &peer->queue, owed);
  int rc = NWS_ERROR_MEMORY;
  if (out != NULL) {
    rc = nws_conn_flush(&peer->conn, out, owed, &len);
  }
  if (rc == NWS_OK) {
    nws__queue_commit(peer, len);
    nws__stats_owed(peer, out, len);
  }
  unreserve(peer);
  nws__peer_unspill(peer);
  if (rc != NWS_OK) {
    nws__peer_die(peer, rc);
  }
}

/* Queues a close frame. */
int nws__peer_say_close(nws_peer *peer, unsigned code, nws_str reason) {
  size_t cap = NWS_CONTROL_FRAME_MAX;
  size_t len = 0;
  uint8_t *out = nws__queue_reserve(peer->loop, &peer->queue, cap);
  if (out == NULL) {
    return NWS_ERROR_MEMORY;
  }
  int rc = nws_conn_close(&peer->conn, code, reason, out, cap, &len);
  if (rc == NWS_OK) {
    nws__queue_commit(peer, len);
    nws__stats_sent(peer, NWS_OPCODE_CLOSE, 0);
    nws__silence_handshake(peer);
  }
  unreserve(peer);
  return rc;
}

/* Makes room in the gather buffer by writing before the turn is over. */
static void make_room(nws_peer *peer, size_t room) {
  size_t bytes = peer->queue.bytes;
  if (bytes > 0 && bytes + room > NWS__GATHER_LEN) {
    nws__peer_write(peer);
  }
}

/* A message larger than max_queue can be sent too, when nothing else waits. */
static int too_much(const nws_peer *peer, size_t room) {
  size_t bytes = peer->queue.bytes;
  size_t max = peer->setup->limits.max_queue;
  return bytes > 0 && (room > max || bytes > max - room);
}

static int sendable(const nws_peer *peer) {
  return peer->state == NWS__OPEN && (peer->flags & NWS__BROKEN) == 0;
}

/* Says whether a frame of at most `room` bytes may be queued. */
static int admit(nws_peer *peer, size_t room) {
  make_room(peer, room);
  nws__loop_todo(peer);
  if (!sendable(peer)) {
    return NWS_ERROR_STATE;
  }
  if (too_much(peer, room)) {
    peer->flags |= NWS__DRAIN_DUE;
    nws__stats_queue_full(peer);
    return NWS_ERROR_QUEUE;
  }
  return NWS_OK;
}

int nws_peer_send(nws_peer *peer, unsigned what, const void *data, size_t len) {
  size_t written = 0;
  if (peer == NULL || (data == NULL && len > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (len > PTRDIFF_MAX / 2) {
    return NWS_ERROR_LENGTH;
  }
  if (!sendable(peer)) {
    return NWS_ERROR_STATE;
  }
  size_t room = nws_conn_send_room(&peer->conn, len);
  int rc = admit(peer, room);
  if (rc != NWS_OK) {
    return rc;
  }
  uint8_t *out = nws__queue_reserve(peer->loop, &peer->queue, room);
  if (out == NULL) {
    return NWS_ERROR_MEMORY;
  }
  rc = nws_conn_send(&peer->conn, what, data, len, out, room, &written);
  if (rc == NWS_OK) {
    nws__queue_commit(peer, written);
    nws__stats_sent(peer, what, len);
  }
  unreserve(peer);
  return rc;
}

/* To have given the frame and not to send it does the engine no harm, since
 * such a frame is a message of its own (extension.h). */
int nws_peer_send_prepared(nws_peer *peer, nws_prepared *message) {
  const uint8_t *frame;
  size_t len;
  if (peer == NULL || message == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (!sendable(peer)) {
    return NWS_ERROR_STATE;
  }
  int rc = admit(peer, message->frame_len);
  if (rc == NWS_OK) {
    rc = nws_conn_send_prepared(&peer->conn, message, &frame, &len);
  }
  if (rc == NWS_OK) {
    rc = nws__queue_refer(peer, message, frame, len);
  }
  if (rc == NWS_OK) {
    nws__stats_prepared(peer, message);
  }
  return rc;
}
