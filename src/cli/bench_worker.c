/* bench_worker.c - a thread of `nws bench`. It opens its connections, waits
 * until all threads have opened theirs, sends for as long as it is to, waits
 * for the answers under way, and closes. Its state is the bench_command that it
 * is at, from which it only goes on to later ones.
 */
#include <stdlib.h>
#include <string.h>
#include "load.h"

/* Connections that open at the same time, so that the server's queue of new
 * ones does not overflow and its system drop some. */
#define MAX_OPENING 64u
/* Messages that are sent before the loop looks at what has come. */
#define MAX_BURST 256u
/* Queued bytes beyond which a connection is behind. */
#define MAX_QUEUE ((size_t)1 << 20)

/* --- The end --- */

static void on_wait_over(uv_timer_t *timer);
static void open_more(bench_worker *w);

/* Closes the connections, or drops them; once each. */
static void close_all(bench_worker *w) {
  for (uint32_t i = 0; i < w->begun; i++) {
    nws_peer *peer = w->conns[i].peer;
    if (peer && w->state == BENCH_ABORT) {
      nws_peer_abort(peer);
    } else if (peer && !w->closing) {
      nws_peer_close(peer, NWS_CLOSE_NORMAL, nws_str_make("", 0));
    }
  }
  w->closing = 1;
}

/* Lets the loop come to its end when no connection is left. */
static void end(bench_worker *w) {
  if (w->state < BENCH_FINISH || w->ended < w->begun || w->gone) {
    return;
  }
  uv_mutex_lock(&w->bench->lock);
  w->gone = 1;
  uv_mutex_unlock(&w->bench->lock);
  uv_close((uv_handle_t *)&w->wake, NULL);
  uv_close((uv_handle_t *)&w->opener, NULL);
  uv_close((uv_handle_t *)&w->ending, NULL);
  nws__cli_bench_clock_stop(&w->clock);
}

/* How many messages of a connection were due by some time. */
static uint64_t due_by(const bench_conn *c, uint64_t at) {
  uint64_t low = 0;
  uint64_t high = c->quota;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (nws__cli_bench_due(c, middle) < at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* Sends what is due by now, and counts what could not be sent. */
static void send_rest(bench_worker *w) {
  uint64_t now = uv_hrtime();
  for (uint32_t i = 0; i < w->order_count && w->bench->plan.rate; i++) {
    bench_conn *c = w->order[i];
    nws__cli_bench_pump(c);
    uint64_t due = due_by(c, now);
    w->result.unsent += due > c->sent ? due - c->sent : 0;
  }
}

void nws__cli_bench_worker_check(bench_worker *w) {
  if (w->state == BENCH_FINISH && w->under_way == 0) {
    close_all(w);
  }
}

static void finish(bench_worker *w, int state) {
  if (w->state == BENCH_RUN) {
    send_rest(w);
  }
  if (w->state < BENCH_FINISH) {
    w->result.stopped_at = uv_hrtime();
    uv_timer_stop(&w->opener);
    uv_timer_start(&w->ending, on_wait_over, w->bench->plan.wait_ms, 0);
  }
  w->state = state;
  if (state == BENCH_ABORT) {
    close_all(w);
  }
  nws__cli_bench_worker_check(w);
  end(w);
}

static void on_wait_over(uv_timer_t *timer) {
  close_all(timer->data);
}

static void on_sending_over(uv_timer_t *timer) {
  bench_worker *w = timer->data;
  if (uv_hrtime() < w->bench->end_at) { /* libuv's clock is coarser than ours */
    uv_timer_start(timer, on_sending_over, 1, 0);
    return;
  }
  finish(w, BENCH_FINISH);
}

/* --- Sending --- */

/* The open loop: sends all that is due, by turns, and asks to be woken when the
 * next is. */
static void on_tick(bench_clock *clock) {
  bench_worker *w = clock->user;
  for (unsigned burst = 0; w->state == BENCH_RUN; burst++) {
    bench_conn *c = w->order[w->turn];
    if (w->round >= c->quota) {
      return; /* as have all behind it */
    }
    uint64_t due = nws__cli_bench_due(c, w->round);
    if (burst == MAX_BURST || due > uv_hrtime()) {
      nws__cli_bench_clock_set(clock, due);
      return;
    }
    nws__cli_bench_pump(c);
    if (++w->turn == w->order_count) {
      w->turn = 0;
      w->round++;
    }
  }
}

/* Gives places in the schedule to those that have opened, even if they are
 * closed by now: what they would have sent is then counted as not sent. */
static void take_places(bench_worker *w) {
  const bench *b = w->bench;
  for (uint32_t i = 0; i < w->count; i++) {
    bench_conn *c = &w->conns[i];
    if (!c->opened) {
      continue;
    }
    c->place = w->first_place + w->order_count;
    if (b->quota > c->place) {
      c->quota = (b->quota - c->place - 1) / b->open + 1;
    }
    w->order[w->order_count++] = c;
  }
}

static void start(bench_worker *w) {
  const bench *b = w->bench;
  uint64_t now = uv_hrtime();
  uint64_t left = b->end_at > now ? b->end_at - now : 0;
  w->state = BENCH_RUN;
  take_places(w);
  if (w->ended == w->begun) {
    finish(w, BENCH_FINISH);
    return;
  }
  uv_update_time(&w->uv);
  uv_timer_start(&w->ending, on_sending_over, left / BENCH_NS_PER_MS, 0);
  if (b->plan.rate) {
    nws__cli_bench_clock_set(&w->clock, b->start_at);
    return;
  }
  for (uint32_t i = 0; i < w->order_count; i++) {
    nws__cli_bench_pump(w->order[i]);
  }
}

static void on_wake(uv_async_t *wake) {
  bench_worker *w = wake->data;
  int command = atomic_load(&w->bench->command);
  if (command == BENCH_RUN && w->state == BENCH_CONNECT) {
    start(w);
  } else if (command >= BENCH_FINISH && command > w->state) {
    finish(w, command);
  }
}

/* --- Connections --- */

static void settle(bench_worker *w) {
  w->settled++;
  atomic_fetch_add(&w->progress.settled, 1);
  if (w->settled == w->count) {
    uv_async_send(&w->bench->changed);
  }
}

static void on_open(nws_peer *peer) {
  bench_conn *c = nws_peer_user(peer);
  bench_worker *w = c->worker;
  c->open = c->opened = 1;
  w->result.opened++;
  atomic_fetch_add(&w->progress.open, 1);
  nws__cli_histogram_add(&w->result.connect, uv_hrtime() - c->began_at);
  nws__cli_bench_tell_open(w->bench, c);
  settle(w);
  open_more(w);
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  nws__cli_bench_answer(nws_peer_user(peer), opcode, data, len);
}

static void on_drain(nws_peer *peer) {
  nws__cli_bench_pump(nws_peer_user(peer));
}

static void fail(bench_conn *c, const nws_closed *how) {
  bench_worker *w = c->worker;
  bench_failure failure;
  if (w->state == BENCH_ABORT && how->error == UV_ECANCELED) {
    return;
  }
  if (w->closing && !how->opened) {
    return; /* given up by us */
  }
  if (nws__cli_bench_judge(how, w->closing, &failure)) {
    atomic_fetch_add(&w->progress.failed, 1);
    nws__cli_bench_fail(&w->result, &failure);
    nws__cli_bench_tell(w->bench, c, how);
  }
}

static void lose(bench_conn *c) {
  bench_worker *w = c->worker;
  w->ended++;
  c->peer = NULL;
  if (!c->opened) {
    settle(w);
  } else {
    atomic_fetch_sub(&w->progress.open, 1);
  }
  c->open = 0;
  w->result.unanswered += c->sent - c->next;
  w->under_way -= c->sent - c->next;
  c->next = c->sent;
  if (w->state == BENCH_RUN && w->ended == w->begun) {
    finish(w, BENCH_FINISH);
    return;
  }
  nws__cli_bench_worker_check(w);
  end(w);
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  bench_conn *c = nws_peer_user(peer);
  fail(c, how);
  lose(c);
  open_more(c->worker);
}

static void connect_next(bench_worker *w) {
  bench_conn *c = &w->conns[w->begun++];
  nws_client_options options = w->options;
  options.user = c;
  c->began_at = uv_hrtime();
  int rc = nws_client_connect(w->loop, &options, &c->peer);
  if (rc != NWS_OK) {
    nws_closed how;
    memset(&how, 0, sizeof(how));
    how.error = rc;
    how.detail = "";
    fail(c, &how);
    lose(c);
  }
}

static void on_opener(uv_timer_t *timer) {
  open_more(timer->data);
}

/* Begins as many connections as may be opening now. */
static void open_more(bench_worker *w) {
  const bench_plan *plan = &w->bench->plan;
  while (w->state == BENCH_CONNECT && w->begun < w->count &&
         w->begun - w->settled < MAX_OPENING) {
    uint64_t now = uv_hrtime() - w->bench->ramp_at;
    uint64_t at = (uint64_t)plan->ramp_ms * BENCH_NS_PER_MS /
                  plan->connections * w->conns[w->begun].id;
    if (now < at) {
      uv_update_time(&w->uv);
      uv_timer_start(&w->opener, on_opener, (at - now) / BENCH_NS_PER_MS + 1,
                     0);
      return;
    }
    connect_next(w);
  }
}

/* --- Life --- */

static void set_options(bench_worker *w) {
  const cli_client *client = &w->bench->client;
  w->handler.size = sizeof(w->handler);
  w->handler.open = on_open;
  w->handler.message = on_message;
  w->handler.drain = on_drain;
  w->handler.closed = on_closed;
  w->options = client->options;
  w->options.handler = &w->handler;
  w->options.tls = client->tls.tls;
  w->options.limits.high_water = MAX_QUEUE;
  w->options.limits.max_queue = MAX_QUEUE;
  w->offer = client->offer;
  w->offer.extensions = w->deflate.list;
  w->offer.extension_count = w->deflate.count;
  w->options.offer = &w->offer;
}

static int allocate(bench_worker *w) {
  const bench_plan *plan = &w->bench->plan;
  uint32_t left = plan->connections - w->index;
  w->count = (left + plan->threads - 1) / plan->threads;
  w->conns = calloc(w->count, sizeof(*w->conns));
  w->order = calloc(w->count, sizeof(bench_conn *));
  w->buffer = malloc((size_t)plan->max_size + 1);
  if (!w->conns || !w->order || !w->buffer) {
    return NWS_ERROR_MEMORY;
  }
  for (uint32_t i = 0; i < w->count; i++) {
    bench_conn *c = &w->conns[i];
    c->worker = w;
    c->id = w->index + i * plan->threads;
    if (!plan->rate) {
      c->due = calloc(plan->in_flight, sizeof(*c->due));
      if (!c->due) {
        return NWS_ERROR_MEMORY;
      }
    }
  }
  return NWS_OK;
}

static int start_handles(bench_worker *w) {
  uv_timer_init(&w->uv, &w->opener);
  uv_timer_init(&w->uv, &w->ending);
  w->opener.data = w->ending.data = w->wake.data = w;
  w->clock.tick = on_tick;
  w->clock.user = w;
  int rc = uv_async_init(&w->uv, &w->wake, on_wake);
  if (rc == 0) {
    rc = nws__cli_bench_clock_start(&w->clock, &w->uv);
  }
  if (rc == 0) {
    rc = nws_loop_new(&w->uv, &w->loop);
  }
  return rc;
}

int nws__cli_bench_worker_init(bench_worker *w, bench *b, uint32_t index) {
  w->bench = b;
  w->index = index;
  w->deflate = b->deflate;
  int rc = allocate(w);
  if (rc == NWS_OK) {
    rc = nws__cli_deflate_start(&w->deflate);
  }
  if (rc == NWS_OK) {
    set_options(w);
    rc = uv_loop_init(&w->uv);
  }
  return rc == 0 ? start_handles(w) : rc;
}

void nws__cli_bench_worker_run(void *worker) {
  bench_worker *w = worker;
  open_more(w);
  uv_run(&w->uv, UV_RUN_DEFAULT);
  nws_loop_free(w->loop);
  uv_run(&w->uv, UV_RUN_DEFAULT);
  uv_loop_close(&w->uv);
  nws__cli_deflate_free(&w->deflate);
  atomic_store(&w->progress.done, 1);
  uv_async_send(&w->bench->changed);
}

void nws__cli_bench_worker_free(bench_worker *w) {
  for (uint32_t i = 0; w->conns && i < w->count; i++) {
    free(w->conns[i].due);
  }
  free(w->conns);
  free(w->order);
  free(w->buffer);
}
