/* queue.c - bytes on their way to a socket.
 *
 * A list of chunks. Frames are written straight into the last one; those of
 * prepared messages stay where they are, and a chunk refers to them. While the
 * answers to one read are gathered, the first chunk is the loop's large one,
 * which goes back to the loop as soon as the socket has taken the bytes: a
 * connection with nothing to write holds no memory here. The loop's chunk grows
 * to the size of large messages, which saves the system the making and clearing
 * of fresh pages for each of them.
 */
#include "net_internal.h"
#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN ((size_t)512 - sizeof(nws__chunk))
#define CHUNK_MAX ((size_t)64 * 1024)
#define BUFS_MAX 16
/* Shorter frames of prepared messages are copied: a chunk of their own costs
 * more than that. */
#define REFER_MIN ((size_t)512)

nws__chunk *nws__queue_chunk(size_t cap) {
  if (cap > SIZE_MAX - sizeof(nws__chunk)) {
    return NULL;
  }
  nws__chunk *chunk = malloc(sizeof(*chunk) + cap);
  if (chunk == NULL) {
    return NULL;
  }
  memset(chunk, 0, sizeof(*chunk));
  chunk->cap = cap;
  return chunk;
}

/* The largest of the chunks that are worth it stays with the loop. */
static void chunk_free(nws_loop *loop, nws__chunk *chunk) {
  size_t kept = loop->gather == NULL ? 0 : loop->gather->cap;
  nws_prepared_drop(chunk->message);
  if (chunk->cap < NWS__GATHER_LEN || chunk->cap > NWS__KEEP_MAX ||
      chunk->cap <= kept) {
    free(chunk);
    return;
  }
  free(loop->gather);
  chunk->next = NULL;
  chunk->at = 0;
  chunk->len = 0;
  loop->gather = chunk;
}

/* The chunk that comes behind `queue->tail`. Sizes double, so that a broadcast
 * to many peers costs little for each, and a long queue has few chunks. */
static nws__chunk *chunk_next(nws_loop *loop, const nws__queue *queue,
                              size_t len) {
  nws__chunk *chunk = loop->gather;
  if (queue->tail == NULL && chunk != NULL && len <= chunk->cap) {
    loop->gather = NULL;
    return chunk;
  }
  size_t cap = queue->tail == NULL ? 0 : queue->tail->cap * 2;
  if (cap < CHUNK_MIN) {
    cap = CHUNK_MIN;
  }
  if (cap > CHUNK_MAX) {
    cap = CHUNK_MAX;
  }
  return nws__queue_chunk(len > cap ? len : cap);
}

static void append(nws__queue *queue, nws__chunk *chunk) {
  if (queue->tail == NULL) {
    queue->head = chunk;
  } else {
    queue->tail->next = chunk;
  }
  queue->tail = chunk;
}

uint8_t *nws__queue_reserve(nws_loop *loop, nws__queue *queue, size_t len) {
  nws__chunk *tail = queue->tail;
  if (tail != NULL && tail->message == NULL && tail->cap - tail->len >= len) {
    return tail->data + tail->len;
  }
  nws__chunk *chunk = chunk_next(loop, queue, len);
  if (chunk == NULL) {
    return NULL;
  }
  append(queue, chunk);
  return chunk->data;
}

void nws__queue_commit(nws_peer *peer, size_t len) {
  nws__queue *queue = &peer->queue;
  queue->tail->len += len;
  queue->bytes += len;
  nws__stats_queue(peer, queue->bytes - len);
}

/* Appends a frame of a prepared message, without copying it if it is long. */
int nws__queue_refer(nws_peer *peer, nws_prepared *message,
                     const uint8_t *frame, size_t len) {
  nws__queue *queue = &peer->queue;
  if (len < REFER_MIN) {
    uint8_t *out = nws__queue_reserve(peer->loop, queue, len);
    if (out == NULL) {
      return NWS_ERROR_MEMORY;
    }
    memcpy(out, frame, len);
    nws__queue_commit(peer, len);
    return NWS_OK;
  }
  nws__chunk *chunk = nws__queue_chunk(0);
  if (chunk == NULL) {
    return NWS_ERROR_MEMORY;
  }
  nws_prepared_keep(message);
  chunk->message = message;
  chunk->frame = frame;
  append(queue, chunk);
  nws__queue_commit(peer, len);
  return NWS_OK;
}

/* Takes `len` written bytes off the front. */
static void advance(nws_peer *peer, size_t len) {
  nws_loop *loop = peer->loop;
  nws__queue *queue = &peer->queue;
  queue->bytes -= len;
  nws__stats_queue(peer, queue->bytes + len);
  nws__stats_written(peer, len);
  while (queue->head != NULL) {
    nws__chunk *chunk = queue->head;
    size_t here = chunk->len - chunk->at;
    if (len < here) {
      chunk->at += len;
      return;
    }
    len -= here;
    queue->head = chunk->next;
    chunk_free(loop, chunk);
  }
  queue->tail = NULL;
}

static unsigned list(const nws__queue *queue, uv_buf_t *bufs, size_t *total) {
  unsigned count = 0;
  *total = 0;
  nws__chunk *chunk = queue->head;
  for (; chunk != NULL && count < BUFS_MAX; chunk = chunk->next) {
    const uint8_t *bytes = chunk->message != NULL ? chunk->frame : chunk->data;
    bufs[count].base = (char *)bytes + chunk->at;
    bufs[count].len = chunk->len - chunk->at;
    *total += bufs[count].len;
    count++;
  }
  return count;
}

/* The socket is full. What little is left in a large chunk moves to one of its
 * size; where much is left the queue keeps the chunk, and the loop gets another
 * (or does without while there is no memory). */
static void settle(nws_loop *loop, nws__queue *queue) {
  nws__chunk *old = queue->head;
  if (old == NULL || old->cap < NWS__GATHER_LEN) {
    return;
  }
  size_t left = old->len - old->at;
  nws__chunk *chunk = NULL;
  if (left <= NWS__GATHER_LEN) {
    chunk = nws__queue_chunk(left < CHUNK_MIN ? CHUNK_MIN : left);
  }
  if (chunk != NULL) {
    memcpy(chunk->data, old->data + old->at, left);
    chunk->len = left;
    chunk->next = old->next;
    queue->head = chunk;
    if (queue->tail == old) {
      queue->tail = chunk;
    }
    chunk_free(loop, old);
  }
  if (loop->gather == NULL) {
    loop->gather = nws__queue_chunk(NWS__GATHER_LEN);
  }
}

/* Writes what the socket takes.
 * Returns NWS_OK when all is written, NWS_MORE when the socket is full, or the
 * socket's error. */
int nws__queue_write(nws_peer *peer) {
  nws_loop *loop = peer->loop;
  nws__queue *queue = &peer->queue;
  while (queue->bytes > 0) {
    uv_buf_t bufs[BUFS_MAX];
    size_t total;
    unsigned count = list(queue, bufs, &total);
    long sent = nws__peer_give(peer, bufs, count);
    if (sent < 0 && sent != UV_EAGAIN) {
      return (int)sent;
    }
    if (sent > 0) {
      advance(peer, (size_t)sent);
    }
    if (sent < 0 || (size_t)sent < total) {
      settle(loop, queue);
      return NWS_MORE;
    }
  }
  /* Chunks that were reserved and not used. */
  nws__queue_drop(peer);
  return NWS_OK;
}

void nws__queue_drop(nws_peer *peer) {
  nws_loop *loop = peer->loop;
  nws__queue *queue = &peer->queue;
  size_t before = queue->bytes;
  while (queue->head != NULL) {
    nws__chunk *chunk = queue->head;
    queue->head = chunk->next;
    chunk_free(loop, chunk);
  }
  queue->tail = NULL;
  queue->bytes = 0;
  nws__stats_queue(peer, before);
}
