/* queue.c - bytes on their way to a socket.
 *
 * A list of chunks. Frames are written straight into the last one. While the
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

static nws__chunk *chunk_new(size_t cap) {
  if (cap > SIZE_MAX - sizeof(nws__chunk)) {
    return NULL;
  }
  nws__chunk *chunk = malloc(sizeof(*chunk) + cap);
  if (chunk == NULL) {
    return NULL;
  }
  chunk->next = NULL;
  chunk->at = 0;
  chunk->len = 0;
  chunk->cap = cap;
  return chunk;
}

/* The largest of the chunks that are worth it stays with the loop. */
static void chunk_free(nws_loop *loop, nws__chunk *chunk) {
  size_t kept = loop->gather == NULL ? 0 : loop->gather->cap;
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
  size_t cap = queue->tail == NULL ? CHUNK_MIN : queue->tail->cap * 2;
  if (cap > CHUNK_MAX) {
    cap = CHUNK_MAX;
  }
  return chunk_new(len > cap ? len : cap);
}

uint8_t *nws__queue_reserve(nws_loop *loop, nws__queue *queue, size_t len) {
  nws__chunk *tail = queue->tail;
  if (tail != NULL && tail->cap - tail->len >= len) {
    return tail->data + tail->len;
  }
  nws__chunk *chunk = chunk_next(loop, queue, len);
  if (chunk == NULL) {
    return NULL;
  }
  if (tail == NULL) {
    queue->head = chunk;
  } else {
    tail->next = chunk;
  }
  queue->tail = chunk;
  return chunk->data;
}

void nws__queue_commit(nws__queue *queue, size_t len) {
  queue->tail->len += len;
  queue->bytes += len;
}

/* Takes `len` written bytes off the front. */
static void advance(nws_loop *loop, nws__queue *queue, size_t len) {
  queue->bytes -= len;
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
    bufs[count].base = (char *)chunk->data + chunk->at;
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
    chunk = chunk_new(left < CHUNK_MIN ? CHUNK_MIN : left);
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
    loop->gather = chunk_new(NWS__GATHER_LEN);
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
      advance(loop, queue, (size_t)sent);
    }
    if (sent < 0 || (size_t)sent < total) {
      settle(loop, queue);
      return NWS_MORE;
    }
  }
  /* Chunks that were reserved and not used. */
  nws__queue_drop(loop, queue);
  return NWS_OK;
}

void nws__queue_drop(nws_loop *loop, nws__queue *queue) {
  while (queue->head != NULL) {
    nws__chunk *chunk = queue->head;
    queue->head = chunk->next;
    chunk_free(loop, chunk);
  }
  queue->tail = NULL;
  queue->bytes = 0;
}
