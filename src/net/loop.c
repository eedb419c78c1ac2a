/* loop.c - what the connections on one libuv loop share, and the list of peers
 * with something to do.
 *
 * A prepare handle runs before each poll. It works off the list of peers with
 * something to do: those that were sent to, accepted, closed or dropped since.
 * So all that a turn of the loop has to say to a peer leaves in one write, and
 * no callback ever runs inside a call of the API. The handle also keeps the
 * loop alive while there are peers, paused ones included. An idle handle runs
 * as long as the list is not empty: the poll then does not wait, whoever put a
 * peer on the list after the prepare handle had its turn.
 */
#include "net_internal.h"
#include <stdlib.h>

/* Rounds through the list before the poll gets a turn. */
#define ROUNDS 8

/* Between these two callbacks of the application may be under way. */
void nws__loop_enter(nws_loop *loop) {
  loop->depth++;
}

void nws__loop_leave(nws_loop *loop) {
  loop->depth--;
}

/* Nothing is buffered: a fork that copies random bytes repeats masking keys. */
static int fill_random(void *user, void *out, size_t len) {
  (void)user;
  return uv_random(NULL, NULL, out, len, 0, NULL);
}

static void *resize(void *user, void *ptr, size_t old_len, size_t new_len) {
  (void)user;
  (void)old_len;
  if (new_len == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, new_len);
}

static void on_idle(uv_idle_t *idle) {
  (void)idle; /* on_prepare() comes next */
}

void nws__loop_todo(nws_peer *peer) {
  nws_loop *loop = peer->loop;
  uint32_t spared = NWS__BUSY | NWS__LISTED | NWS__FINISHED;
  if ((peer->flags & spared) != 0) {
    return;
  }
  if (loop->todo == NULL) {
    uv_idle_start(&loop->idle, on_idle);
  }
  peer->flags |= NWS__LISTED;
  peer->todo_next = NULL;
  *loop->todo_end = peer;
  loop->todo_end = &peer->todo_next;
}

static void work(nws_loop *loop) {
  nws_peer *peer = loop->todo;
  loop->todo = NULL;
  loop->todo_end = &loop->todo;
  while (peer != NULL) {
    nws_peer *next = peer->todo_next;
    peer->flags &= ~(uint32_t)NWS__LISTED;
    nws__peer_work(peer);
    peer = next;
  }
}

static void on_prepare(uv_prepare_t *prepare) {
  nws_loop *loop = prepare->data;
  nws__loop_enter(loop);
  for (int i = 0; i < ROUNDS && loop->todo != NULL; i++) {
    work(loop);
  }
  if (loop->todo == NULL) {
    uv_idle_stop(&loop->idle);
  }
  nws__loop_leave(loop);
}

void nws__loop_hold(nws_loop *loop) {
  if (loop->alive++ == 0) {
    uv_ref((uv_handle_t *)&loop->prepare);
  }
}

void nws__loop_release(nws_loop *loop) {
  if (--loop->alive == 0) {
    uv_unref((uv_handle_t *)&loop->prepare);
  }
}

nws_spill *nws__loop_take_spill(nws_loop *loop) {
  nws_spill *spill = loop->spare;
  loop->spare = NULL;
  return spill != NULL ? spill : malloc(sizeof(*spill));
}

void nws__loop_give_spill(nws_loop *loop, nws_spill *spill) {
  if (loop->spare == NULL) {
    loop->spare = spill;
  } else {
    free(spill);
  }
}

static void free_memory(nws_loop *loop) {
  free(loop->receive);
  free(loop->gather);
  free(loop->spare);
  if (loop->assembler != NULL) {
    nws_message_free(loop->assembler);
  }
  free(loop->assembler);
  nws_tls_drop(loop->tls);
  free(loop->scratch);
  free(loop->heap);
  nws__mail_drop(loop->mail);
  free(loop);
}

static void on_mail(uv_async_t *async) {
  nws__mail_work(async->data);
}

/* The gather buffer starts as a chunk that a queue gives back. */
static int allocate(nws_loop *loop) {
  loop->receive = malloc(NWS__RECEIVE_LEN);
  loop->gather = nws__queue_chunk(NWS__GATHER_LEN);
  loop->mail = nws__mail_new(loop);
  if (loop->receive == NULL || loop->gather == NULL || loop->mail == NULL) {
    return NWS_ERROR_MEMORY;
  }
  return NWS_OK;
}

/* Only the first can fail. */
static int start_handles(nws_loop *loop) {
  int rc = uv_async_init(loop->uv, &loop->async, on_mail);
  if (rc != 0) {
    return rc;
  }
  loop->async.data = loop;
  uv_unref((uv_handle_t *)&loop->async);
  uv_prepare_init(loop->uv, &loop->prepare);
  loop->prepare.data = loop;
  uv_prepare_start(&loop->prepare, on_prepare);
  uv_unref((uv_handle_t *)&loop->prepare);
  uv_idle_init(loop->uv, &loop->idle);
  loop->idle.data = loop;
  uv_unref((uv_handle_t *)&loop->idle);
  uv_timer_init(loop->uv, &loop->timer);
  loop->timer.data = loop;
  loop->timer_due = NWS_NEVER;
  loop->handles = 4;
  return NWS_OK;
}

int nws_loop_new(struct uv_loop_s *uv, nws_loop **out) {
  if (out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  *out = NULL;
  nws_loop *loop = calloc(1, sizeof(*loop));
  if (loop == NULL) {
    return NWS_ERROR_MEMORY;
  }
  int rc = allocate(loop);
  if (rc == NWS_OK && uv == NULL) {
    rc = uv_loop_init(&loop->own);
  }
  if (rc != NWS_OK) {
    free_memory(loop);
    return rc;
  }
  loop->owns_uv = uv == NULL;
  loop->uv = uv == NULL ? &loop->own : uv;
  loop->todo_end = &loop->todo;
  loop->random.fill = fill_random;
  loop->allocator.resize = resize;
  rc = start_handles(loop);
  if (rc != NWS_OK) {
    if (loop->owns_uv) {
      uv_loop_close(&loop->own);
    }
    free_memory(loop);
    return rc;
  }
  *out = loop;
  return NWS_OK;
}

struct uv_loop_s *nws_loop_uv(nws_loop *loop) {
  return loop->uv;
}

int nws_loop_run(nws_loop *loop) {
  if (loop->depth > 0) {
    return NWS_ERROR_STATE;
  }
  do {
    nws__mail_work(loop);
  } while (uv_run(loop->uv, UV_RUN_DEFAULT) == 0 &&
           nws__mail_waits(loop->mail));
  return NWS_OK;
}

static void on_closed(uv_handle_t *handle) {
  nws_loop *loop = handle->data;
  if (--loop->handles == 0 && !loop->owns_uv) {
    free_memory(loop);
  }
}

static void count_foreign(uv_handle_t *handle, void *arg) {
  nws_loop *loop = arg;
  int ours = handle == (uv_handle_t *)&loop->prepare ||
             handle == (uv_handle_t *)&loop->idle ||
             handle == (uv_handle_t *)&loop->async ||
             handle == (uv_handle_t *)&loop->timer;
  if (!ours) {
    loop->alive++;
  }
}

int nws_loop_free(nws_loop *loop) {
  if (loop == NULL) {
    return NWS_OK;
  }
  if (loop->alive > 0 || loop->depth > 0) {
    return NWS_ERROR_STATE;
  }
  if (loop->owns_uv) {
    uv_walk(&loop->own, count_foreign, loop);
    int foreign = loop->alive > 0;
    loop->alive = 0;
    if (foreign) {
      return NWS_ERROR_STATE;
    }
  }
  nws__mail_shut(loop);
  uv_close((uv_handle_t *)&loop->async, on_closed);
  uv_close((uv_handle_t *)&loop->prepare, on_closed);
  uv_close((uv_handle_t *)&loop->idle, on_closed);
  uv_close((uv_handle_t *)&loop->timer, on_closed);
  if (!loop->owns_uv) {
    return NWS_OK; /* on_closed() does the rest */
  }
  uv_run(&loop->own, UV_RUN_DEFAULT);
  uv_loop_close(&loop->own);
  free_memory(loop);
  return NWS_OK;
}
