/* timers.c - the deadlines of all peers of a loop, behind one libuv timer.
 *
 * A binary heap of peers. A peer has one deadline at a time. The engine's moves
 * with each read, always to later; moving the heap each time would be wasted
 * work, so `deadline` may be earlier than what is really due: when it comes,
 * the engine is asked again. Places are reserved when a peer is made, so that
 * setting a deadline cannot fail.
 */
#include "net_internal.h"
#include <stdlib.h>

#define NS_PER_MS UINT64_C(1000000)

static void fire(uv_timer_t *timer);

static void put(nws_loop *loop, uint32_t at, nws_peer *peer) {
  loop->heap[at] = peer;
  peer->timer_at = at;
}

static void sift_up(nws_loop *loop, uint32_t at) {
  nws_peer *peer = loop->heap[at];
  while (at > 1 && loop->heap[at / 2]->deadline > peer->deadline) {
    put(loop, at, loop->heap[at / 2]);
    at /= 2;
  }
  put(loop, at, peer);
}

static void sift_down(nws_loop *loop, uint32_t at) {
  nws_peer *peer = loop->heap[at];
  for (;;) {
    uint32_t child = at * 2;
    if (child > loop->heap_len) {
      break;
    }
    if (child < loop->heap_len &&
        loop->heap[child + 1]->deadline < loop->heap[child]->deadline) {
      child++;
    }
    if (loop->heap[child]->deadline >= peer->deadline) {
      break;
    }
    put(loop, at, loop->heap[child]);
    at = child;
  }
  put(loop, at, peer);
}

int nws__timer_reserve(nws_loop *loop) {
  if (loop->heap_reserved + 1 >= loop->heap_cap) {
    uint32_t cap = loop->heap_cap == 0 ? 16 : loop->heap_cap * 2;
    nws_peer **heap = realloc(loop->heap, cap * sizeof(*heap));
    if (heap == NULL) {
      return NWS_ERROR_MEMORY;
    }
    loop->heap = heap;
    loop->heap_cap = cap;
  }
  loop->heap_reserved++;
  return NWS_OK;
}

void nws__timer_unreserve(nws_loop *loop) {
  loop->heap_reserved--;
  if (loop->heap_reserved == 0) {
    free(loop->heap);
    loop->heap = NULL;
    loop->heap_cap = 0;
  }
}

static void take_out(nws_peer *peer) {
  nws_loop *loop = peer->loop;
  uint32_t at = peer->timer_at;
  nws_peer *last = loop->heap[loop->heap_len--];
  peer->timer_at = 0;
  if (last == peer) {
    return;
  }
  put(loop, at, last);
  sift_up(loop, at);
  sift_down(loop, last->timer_at);
}

/* Sees to it that the libuv timer fires no later than the first deadline. */
static void arm(nws_loop *loop) {
  if (loop->heap_len == 0) {
    if (loop->timer_due != NWS_NEVER) {
      uv_timer_stop(&loop->timer);
    }
    loop->timer_due = NWS_NEVER;
    return;
  }
  uint64_t due = loop->heap[1]->deadline;
  if (due >= loop->timer_due) {
    return;
  }
  uint64_t now = uv_hrtime();
  uint64_t wait = due > now ? (due - now + NS_PER_MS - 1) / NS_PER_MS : 0;
  loop->timer_due = due;
  uv_timer_start(&loop->timer, fire, wait, 0);
}

void nws__timer_set(nws_peer *peer, uint64_t deadline) {
  nws_loop *loop = peer->loop;
  if (peer->timer_at != 0) {
    take_out(peer);
  }
  peer->deadline = deadline;
  if (deadline != NWS_NEVER) {
    loop->heap[++loop->heap_len] = peer;
    sift_up(loop, loop->heap_len);
  }
  arm(loop);
}

void nws__timer_in(nws_peer *peer, uint64_t ns) {
  nws__timer_set(peer, ns == NWS_NEVER ? NWS_NEVER : uv_hrtime() + ns);
}

void nws__timer_earlier(nws_peer *peer, uint64_t deadline) {
  if (peer->timer_at == 0 || deadline < peer->deadline) {
    nws__timer_set(peer, deadline);
  }
}

static void fire(uv_timer_t *timer) {
  nws_loop *loop = timer->data;
  nws__loop_enter(loop);
  uint64_t now = uv_hrtime();
  while (loop->heap_len > 0 && loop->heap[1]->deadline <= now) {
    nws_peer *peer = loop->heap[1];
    take_out(peer);
    nws__peer_timeout(peer, now);
  }
  loop->timer_due = NWS_NEVER;
  arm(loop);
  nws__loop_leave(loop);
}
