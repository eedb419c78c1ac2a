/* post.c - work for a loop from any thread.
 *
 * A list under a lock, and a handle of libuv that wakes the loop. Only who
 * finds the list empty wakes it, and the loop takes the list as a whole: many
 * posts cost one wake-up. What is posted meanwhile comes in the next turn, so
 * that the sockets get theirs.
 *
 * The list is an object of its own, counted, since a thread may have something
 * to say to a peer whose loop has gone.
 */
#include "net_internal.h"
#include <stdatomic.h>
#include <stdlib.h>

struct nws__mail {
  atomic_uint holds;
  uv_mutex_t lock;
  nws_loop *loop; /* NULL when it takes no more; this and the rest: locked */
  nws__post *first;
  nws__post **end;
};

nws__mail *nws__mail_new(nws_loop *loop) {
  nws__mail *mail = malloc(sizeof(*mail));
  if (mail == NULL) {
    return NULL;
  }
  if (uv_mutex_init(&mail->lock) != 0) {
    free(mail);
    return NULL;
  }
  atomic_init(&mail->holds, 1);
  mail->loop = loop;
  mail->first = NULL;
  mail->end = &mail->first;
  return mail;
}

nws__mail *nws__mail_keep(nws__mail *mail) {
  atomic_fetch_add(&mail->holds, 1);
  return mail;
}

void nws__mail_drop(nws__mail *mail) {
  if (mail == NULL || atomic_fetch_sub(&mail->holds, 1) > 1) {
    return;
  }
  uv_mutex_destroy(&mail->lock);
  free(mail);
}

/* Waking happens under the lock too: the loop may be freed right after. On
 * failure the post is still the caller's. */
int nws__mail_put(nws__mail *mail, nws__post *post) {
  int rc = NWS_ERROR_STATE;
  post->next = NULL;
  uv_mutex_lock(&mail->lock);
  if (mail->loop != NULL) {
    int wake = mail->first == NULL;
    *mail->end = post;
    mail->end = &post->next;
    if (wake) {
      uv_async_send(&mail->loop->async);
    }
    rc = NWS_OK;
  }
  uv_mutex_unlock(&mail->lock);
  return rc;
}

int nws__mail_waits(nws__mail *mail) {
  uv_mutex_lock(&mail->lock);
  int waits = mail->first != NULL;
  uv_mutex_unlock(&mail->lock);
  return waits;
}

static nws__post *take(nws__mail *mail, int last) {
  uv_mutex_lock(&mail->lock);
  nws__post *post = mail->first;
  mail->first = NULL;
  mail->end = &mail->first;
  if (last) {
    mail->loop = NULL;
  }
  uv_mutex_unlock(&mail->lock);
  return post;
}

static void run(nws__post *post, nws_loop *loop) {
  while (post != NULL) {
    nws__post *next = post->next;
    post->run(post, loop);
    post = next;
  }
}

void nws__mail_work(nws_loop *loop) {
  nws__loop_enter(loop);
  run(take(loop->mail, 0), loop);
  nws__loop_leave(loop);
}

/* The loop is being freed: nothing is taken any more, and what waits is told.
 */
void nws__mail_shut(nws_loop *loop) {
  nws__loop_enter(loop);
  run(take(loop->mail, 1), NULL);
  nws__loop_leave(loop);
}

/* --- For everybody --- */

typedef struct job {
  nws__post post;
  void (*run)(nws_loop *loop, void *arg);
  void *arg;
} job;

static void on_job(nws__post *post, nws_loop *loop) {
  job it = *(job *)post;
  free(post);
  it.run(loop, it.arg);
}

int nws_loop_post(nws_loop *loop, void (*run_it)(nws_loop *loop, void *arg),
                  void *arg) {
  if (loop == NULL || run_it == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  job *it = malloc(sizeof(*it));
  if (it == NULL) {
    return NWS_ERROR_MEMORY;
  }
  it->post.run = on_job;
  it->run = run_it;
  it->arg = arg;
  int rc = nws__mail_put(loop->mail, &it->post);
  if (rc != NWS_OK) {
    free(it);
  }
  return rc;
}
