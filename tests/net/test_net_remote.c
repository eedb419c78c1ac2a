/* test_net_remote.c - peers as other threads see them, and work posted to a
 * loop. Where threads run at the same time, only what holds in every order of
 * events is asserted; everything else is done with one thread at a time.
 */
#include "net_fixture.h"
#include <malloc.h>
#include <nws/remote.h>
#include <stdatomic.h>

static void in_thread(void (*work)(void *arg), void *arg) {
  uv_thread_t thread;
  assert_int_equal(uv_thread_create(&thread, work, arg), 0);
  assert_int_equal(uv_thread_join(&thread), 0);
}

static nws_str text(const char *s) {
  return nws_str_of(s);
}

/* --- Work for a loop --- */

typedef struct work {
  int ran, with_loop, order_ok, again;
  nws_loop *loop;
} work;

static void note_work(nws_loop *loop, void *arg) {
  work *w = arg;
  w->ran++;
  w->with_loop += loop != NULL && loop == w->loop;
}

static void post_again(nws_loop *loop, void *arg) {
  work *w = arg;
  note_work(loop, arg);
  if (w->again-- > 0)
    assert_int_equal(nws_loop_post(loop, post_again, arg), NWS_OK);
}

static void post_many(void *arg) {
  work *w = arg;
  for (int i = 0; i < 1000; i++)
    assert_int_equal(nws_loop_post(w->loop, note_work, w), NWS_OK);
}

static void test_post(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  work w = {.loop = fx.loop};
  assert_int_equal(nws_loop_post(NULL, note_work, &w), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_loop_post(fx.loop, NULL, &w), NWS_ERROR_ARGUMENT);
  fixture_serve(&fx);
  in_thread(post_many, &w);
  assert_int_equal(w.ran, 0);
  step_until(&fx, w.ran > 0);
  assert_int_equal(w.ran, 1000); /* all in one turn */
  assert_int_equal(w.with_loop, 1000);
  /* A loop with nothing else to do does it, and ends; what is posted from
   * there, in its own turn. */
  nws_server_stop(fx.server, NWS_CLOSE_GOING_AWAY);
  assert_int_equal(nws_loop_run(fx.loop), NWS_OK);
  w.again = 5;
  assert_int_equal(nws_loop_post(fx.loop, post_again, &w), NWS_OK);
  assert_int_equal(nws_loop_run(fx.loop), NWS_OK);
  assert_int_equal(w.ran, 1006);
  assert_int_equal(nws_loop_run(fx.loop), NWS_OK);
  assert_int_equal(w.ran, 1006);
  fixture_end(&fx);
}

/* What still waits when a loop is freed is told so. */
static void refuse_more(nws_loop *loop, void *arg) {
  work *w = arg;
  assert_null(loop);
  w->ran++;
  assert_int_equal(nws_loop_post(w->loop, note_work, w), NWS_ERROR_STATE);
  assert_int_equal(nws_loop_run(w->loop), NWS_ERROR_STATE);
  assert_int_equal(nws_loop_free(w->loop), NWS_ERROR_STATE);
}

static void test_post_freed(void **state) {
  fixture fx;
  uv_loop_t uv;
  (void)state;
  fixture_init(&fx);
  work w = {.loop = fx.loop};
  in_thread(post_many, &w);
  assert_int_equal(nws_loop_post(fx.loop, refuse_more, &w), NWS_OK);
  assert_int_equal(nws_loop_free(fx.loop), NWS_OK);
  assert_int_equal(w.ran, 1001);
  assert_int_equal(w.with_loop, 0);
  /* On a loop of the application's own. */
  assert_int_equal(uv_loop_init(&uv), 0);
  assert_int_equal(nws_loop_new(&uv, &fx.loop), NWS_OK);
  w = (work){.loop = fx.loop};
  in_thread(post_many, &w);
  assert_int_equal(uv_run(&uv, UV_RUN_NOWAIT), 0);
  assert_int_equal(nws_loop_post(fx.loop, refuse_more, &w), NWS_OK);
  int ran = w.ran;
  assert_int_equal(nws_loop_free(fx.loop), NWS_OK);
  assert_int_equal(w.ran, 1001);
  assert_true(w.with_loop == 0 || w.with_loop == ran);
  assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&uv), 0);
}

/* --- One thread at a time --- */

typedef struct errand {
  nws_remote *remote;
  nws_peer *peer;
  int ran, with_peer, rc;
} errand;

static void note_errand(nws_peer *peer, void *arg) {
  errand *e = arg;
  e->ran++;
  e->with_peer += peer != NULL;
  e->peer = peer;
}

static void say_three(void *arg) {
  nws_remote *remote = arg;
  assert_int_equal(nws_remote_send(remote, NWS_OPCODE_TEXT, "one", 3), NWS_OK);
  assert_int_equal(nws_remote_send(remote, NWS_OPCODE_PING, "two", 3), NWS_OK);
  assert_int_equal(nws_remote_send(remote, NWS_OPCODE_BINARY, NULL, 0), NWS_OK);
}

static void test_send(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fixture_pair(&fx);
  nws_remote *remote = nws_peer_remote(fx.s.peer);
  nws_remote *same = nws_peer_remote(fx.s.peer);
  assert_non_null(remote);
  assert_ptr_equal(remote, same);
  nws_remote_drop(same);
  in_thread(say_three, remote);
  assert_true(nws_remote_waiting(remote) > 6);
  step_until(&fx, fx.c.messages == 2);
  assert_int_equal(fx.c.controls, 1);
  assert_int_equal(fx.c.bytes, 3);
  assert_int_equal(fx.c.last_opcode, NWS_OPCODE_BINARY);
  assert_int_equal(nws_remote_waiting(remote), 0);
  nws_remote_drop(remote);             /* the peer does not mind */
  remote = nws_peer_remote(fx.c.peer); /* a client's */
  in_thread(say_three, remote);
  step_until(&fx, fx.s.messages == 2);
  nws_remote_keep(remote);
  nws_remote_drop(remote);
  nws_remote_drop(remote);
  nws_remote_drop(NULL);
  nws_remote_keep(NULL);
  assert_int_equal(nws_remote_waiting(NULL), 0);
  fixture_end(&fx);
}

static void test_misuse(void **state) {
  fixture fx;
  char long_reason[126] = {0};
  (void)state;
  fixture_init(&fx);
  fixture_pair(&fx);
  nws_remote *r = nws_peer_remote(fx.s.peer);
  memset(long_reason, 'x', sizeof(long_reason));
  const unsigned text_op = NWS_OPCODE_TEXT;
  const struct {
    int rc, expected;
  } calls[] = {
      {nws_remote_send(NULL, text_op, "a", 1), NWS_ERROR_ARGUMENT},
      {nws_remote_send(r, text_op, NULL, 1), NWS_ERROR_ARGUMENT},
      {nws_remote_send(r, text_op | NWS_SEND_MORE, "a", 1), NWS_ERROR_ARGUMENT},
      {nws_remote_send(r, NWS_OPCODE_CONTINUATION, "a", 1), NWS_ERROR_ARGUMENT},
      {nws_remote_send(r, NWS_OPCODE_CLOSE, "", 0), NWS_ERROR_ARGUMENT},
      {nws_remote_send(r, text_op, "\xff", 1), NWS_ERROR_TEXT_SEND},
      {nws_remote_send(r, text_op, "\xc3", 1), NWS_ERROR_TEXT_SEND},
      {nws_remote_send(r, text_op, "a", SIZE_MAX), NWS_ERROR_LENGTH},
      {nws_remote_send(r, NWS_OPCODE_PING, long_reason, 125), NWS_OK},
      {nws_remote_close(NULL, 1000, text("")), NWS_ERROR_ARGUMENT},
      {nws_remote_close(r, 1005, text("")), NWS_ERROR_CLOSE_CODE_SEND},
      {nws_remote_close(r, 1000, nws_str_make(NULL, 1)), NWS_ERROR_ARGUMENT},
      {nws_remote_close(r, 1000, nws_str_make(long_reason, 124)),
       NWS_ERROR_CONTROL_LONG},
      {nws_remote_close(r, 1000, text("\xff")), NWS_ERROR_TEXT_SEND},
      {nws_remote_run(NULL, note_errand, NULL), NWS_ERROR_ARGUMENT},
      {nws_remote_run(r, NULL, NULL), NWS_ERROR_ARGUMENT},
  };
  for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
    assert_int_equal(calls[i].rc, calls[i].expected);
  assert_int_equal(nws_remote_send(r, NWS_OPCODE_PING, long_reason, 126),
                   NWS_ERROR_CONTROL_LONG);
  assert_null(nws_peer_remote(NULL));
  nws_remote_drop(r);
  fixture_end(&fx);
}

/* What cannot be sent after all is not left out: the connection ends. */
static void try_failure(unsigned what, int error, int in_fragments) {
  fixture fx;
  fixture_init(&fx);
  fixture_pair(&fx);
  nws_remote *remote = nws_peer_remote(fx.s.peer);
  if (in_fragments)
    assert_int_equal(
        nws_peer_send(fx.s.peer, NWS_OPCODE_TEXT | NWS_SEND_MORE, "a", 1),
        NWS_OK);
  assert_int_equal(nws_remote_send(remote, what, "x", 1), NWS_OK);
  assert_int_equal(nws_remote_send(remote, NWS_OPCODE_TEXT, "y", 1), NWS_OK);
  step_until(&fx, fx.s.closes == 1 && fx.c.closes == 1);
  assert_int_equal(fx.s.error, error);
  assert_int_equal(fx.c.code, NWS_CLOSE_INTERNAL_ERROR);
  assert_int_equal(fx.c.messages, 0);
  assert_int_equal(nws_remote_waiting(remote), 0);
  nws_remote_drop(remote);
  fixture_end(&fx);
}

static void test_failures(void **state) {
  (void)state;
  try_failure(3, NWS_ERROR_OPCODE_DISABLED, 0);
  try_failure(NWS_OPCODE_TEXT | NWS_RSV2, NWS_ERROR_RSV_DISABLED, 0);
  try_failure(NWS_OPCODE_TEXT, NWS_ERROR_MESSAGE_OPEN, 1);
}

/* --- Before and after --- */

static void greet(nws_peer *peer) {
  note_open(peer);
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, "hi", 2), NWS_OK);
}

static void accept_it(nws_peer *peer, void *arg) {
  errand *e = arg;
  note_errand(peer, arg);
  e->rc = nws_peer_accept(peer, NULL);
}

static void respond_to_it(nws_peer *peer, void *arg) {
  nws_rejection answer = {.size = sizeof(answer), .status = 403};
  errand *e = arg;
  note_errand(peer, arg);
  e->rc = nws_peer_respond(peer, &answer);
}

static void decide_yes(void *arg) {
  errand *e = arg;
  say_three(e->remote);
  assert_int_equal(nws_remote_run(e->remote, accept_it, e), NWS_OK);
  assert_int_equal(nws_remote_send(e->remote, NWS_OPCODE_TEXT, "four", 4),
                   NWS_OK);
}

static void decide_no(void *arg) {
  errand *e = arg;
  assert_int_equal(nws_remote_run(e->remote, respond_to_it, e), NWS_OK);
}

static void begin(fixture *fx, errand *e) {
  fixture_init(fx);
  fx->server_handler.request = note_request;
  fx->server_handler.open = greet;
  fixture_serve(fx);
  fixture_connect(fx);
  step_until(fx, fx->s.requests == 1);
  *e = (errand){.remote = nws_peer_remote(fx->s.peer), .rc = 1};
  assert_non_null(e->remote);
}

/* Accepted by another thread; what it sent before that waits until `open`. */
static void test_accept(void **state) {
  fixture fx;
  errand e;
  (void)state;
  begin(&fx, &e);
  in_thread(decide_yes, &e);
  step_until(&fx, fx.c.messages == 4);
  assert_int_equal(e.rc, NWS_OK);
  assert_int_equal(e.with_peer, 1);
  assert_int_equal(fx.c.bytes, 2 + 3 + 0 + 4);
  assert_string_equal(fx.c.last, "four");
  nws_remote_drop(e.remote);
  fixture_end(&fx);
}

static void test_respond(void **state) {
  fixture fx;
  errand e;
  (void)state;
  begin(&fx, &e);
  in_thread(decide_no, &e);
  step_until(&fx, fx.c.closes == 1 && fx.s.closes == 1);
  assert_int_equal(e.rc, NWS_OK);
  assert_int_equal(fx.c.status, 403);
  assert_int_equal(nws_remote_run(e.remote, note_errand, &e), NWS_ERROR_STATE);
  assert_int_equal(nws_remote_close(e.remote, 1000, text("")), NWS_ERROR_STATE);
  nws_remote_drop(e.remote);
  fixture_end(&fx);
}

static void close_it(void *arg) {
  errand *e = arg;
  e->rc = nws_remote_close(e->remote, 4000, text("from afar"));
  assert_int_equal(nws_remote_close(e->remote, 4001, text("again")),
                   NWS_ERROR_STATE);
  assert_int_equal(nws_remote_send(e->remote, NWS_OPCODE_TEXT, "late", 4),
                   NWS_ERROR_STATE);
}

/* A close before the connection is open gives it up. */
static void test_close_early(void **state) {
  fixture fx;
  errand e;
  (void)state;
  begin(&fx, &e);
  in_thread(close_it, &e);
  step_until(&fx, fx.c.closes == 1 && fx.s.closes == 1);
  assert_int_equal(fx.c.status, 503);
  nws_remote_drop(e.remote);
  fixture_end(&fx);
}

static void test_close(void **state) {
  fixture fx;
  errand e = {.rc = 1};
  (void)state;
  fixture_init(&fx);
  fixture_pair(&fx);
  e.remote = nws_peer_remote(fx.s.peer);
  in_thread(say_three, e.remote);
  in_thread(close_it, &e);
  step_until(&fx, fx.c.closes == 1 && fx.s.closes == 1);
  assert_int_equal(e.rc, NWS_OK);
  assert_int_equal(fx.c.messages, 2);
  assert_int_equal(fx.c.code, 4000);
  assert_string_equal(fx.c.reason, "from afar");
  assert_int_equal(fx.s.error, NWS_OK);
  nws_remote_drop(e.remote);
  fixture_end(&fx);
}

/* A peer that has gone: known at once, or when it arrives. */
static nws_remote *at_end;

static void end_remote(nws_peer *peer, const nws_closed *how) {
  note_closed(peer, how);
  at_end = nws_peer_remote(peer);
}

static void test_gone(void **state) {
  fixture fx;
  errand e = {0};
  (void)state;
  fixture_init(&fx);
  fx.server_handler.closed = end_remote;
  fixture_pair(&fx);
  e.remote = nws_peer_remote(fx.s.peer);
  at_end = e.remote;
  in_thread(say_three, e.remote);
  nws_peer_abort(fx.s.peer);
  assert_null(nws_peer_remote(fx.s.peer));
  in_thread(say_three, e.remote); /* not known yet */
  assert_int_equal(nws_remote_run(e.remote, note_errand, &e), NWS_OK);
  step_until(&fx, fx.s.closes == 1 && e.ran == 1);
  assert_null(at_end);
  assert_int_equal(e.with_peer, 0);
  assert_int_equal(nws_remote_waiting(e.remote), 0);
  assert_int_equal(nws_remote_send(e.remote, NWS_OPCODE_TEXT, "a", 1),
                   NWS_ERROR_STATE);
  assert_int_equal(nws_remote_run(e.remote, note_errand, &e), NWS_ERROR_STATE);
  fixture_end(&fx);
  /* The remote outlives the loop. */
  assert_int_equal(nws_remote_send(e.remote, NWS_OPCODE_TEXT, "a", 1),
                   NWS_ERROR_STATE);
  nws_remote_drop(e.remote);
}

/* --- Bounds --- */

enum { BOUND = 100000, PIECE = 1000 };

typedef struct flood {
  nws_remote *remote;
  unsigned sent; /* taken so far */
} flood;

/* Sends numbered messages until one is refused. */
static void send_flood(void *arg) {
  flood *f = arg;
  uint8_t data[PIECE];
  int rc;
  memset(data, 0, sizeof(data));
  do {
    memcpy(data, &f->sent, sizeof(f->sent));
    rc = nws_remote_send(f->remote, NWS_OPCODE_BINARY, data, sizeof(data));
    f->sent += rc == NWS_OK;
    assert_true(nws_remote_waiting(f->remote) <= BOUND);
  } while (rc == NWS_OK);
  assert_int_equal(rc, NWS_ERROR_QUEUE);
}

/* `drain` means that there is room, also behind what had waited for it. */
static void check_drain(nws_peer *peer) {
  note_drain(peer);
  assert_true(nws_peer_queued(peer) <= BOUND / 4);
}

/* The loop does not run, or the peer does not read: memory is bounded, and
 * everything that was taken arrives. */
static void test_bounds(void **state) {
  enum { FRAME = PIECE + 4 };
  fixture fx;
  flood f = {0};
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.options.limits.max_queue = fx.options.limits.high_water = BOUND;
  fx.server_handler.drain = check_drain;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  f.remote = nws_peer_remote(fx.s.peer);
  in_thread(send_flood, &f);
  assert_true(f.sent > 50 && f.sent <= BOUND / PIECE);
  for (;;) { /* until the sockets are full, too */
    unsigned before = f.sent;
    step_for(&fx, 5);
    assert_true(nws_peer_queued(fx.s.peer) <= BOUND);
    in_thread(send_flood, &f);
    if (f.sent == before)
      break;
  }
  assert_true(nws_remote_waiting(f.remote) > BOUND - PIECE - 100);
  assert_true(nws_peer_queued(fx.s.peer) > 0);
  nws_remote_close(f.remote, 1000, text("")); /* comes behind all of it */
  raw_until(&fx, &r, r.len == (size_t)f.sent * FRAME + 4);
  for (unsigned i = 0, n; i < f.sent; i++) {
    memcpy(&n, r.data + (size_t)i * FRAME + 4, sizeof(n));
    assert_int_equal(n, i);
  }
  assert_memory_equal(r.data + r.len - 4, "\x88\x02\x03\xe8", 4);
  assert_int_equal(nws_remote_waiting(f.remote), 0);
  assert_true(fx.s.drains > 0);
  nws_remote_drop(f.remote);
  raw_free(&r);
  fixture_end(&fx);
}

/* One message of any size may wait alone. */
static void test_alone(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.options.limits.max_queue = fx.options.limits.high_water = 100;
  fixture_pair(&fx);
  char *data = calloc(1, 50000);
  nws_remote *remote = nws_peer_remote(fx.s.peer);
  assert_int_equal(nws_remote_send(remote, NWS_OPCODE_BINARY, data, 50000),
                   NWS_OK);
  assert_int_equal(nws_remote_send(remote, NWS_OPCODE_BINARY, data, 1),
                   NWS_ERROR_QUEUE);
  step_until(&fx, fx.c.messages == 1);
  assert_int_equal(nws_remote_send(remote, NWS_OPCODE_BINARY, data, 60),
                   NWS_OK);
  assert_int_equal(nws_remote_send(remote, NWS_OPCODE_BINARY, data, 50000),
                   NWS_ERROR_QUEUE);
  step_until(&fx, fx.c.messages == 2);
  free(data);
  nws_remote_drop(remote);
  fixture_end(&fx);
}

/* --- Many threads --- */

enum { THREADS = 4, MESSAGES = 10000 };

typedef struct sender {
  nws_remote *remote;
  unsigned id;
  unsigned taken;
  int error;
} sender;

/* What arrived of each thread. */
static unsigned arrived[THREADS];
static int out_of_order;

static void check_order(nws_peer *peer, unsigned opcode, uint8_t *data,
                        size_t len) {
  uint32_t pair[2];
  note_message(peer, opcode, data, len);
  assert_int_equal(len, sizeof(pair));
  memcpy(pair, data, sizeof(pair));
  assert_true(pair[0] < THREADS);
  out_of_order += pair[1] != arrived[pair[0]]++;
}

/* Sends as fast as it may; ends early when the peer has gone. */
static void send_all(void *arg) {
  sender *s = arg;
  while (s->taken < MESSAGES && s->error == NWS_OK) {
    uint32_t pair[2] = {s->id, s->taken};
    int rc = nws_remote_send(s->remote, NWS_OPCODE_BINARY, pair, sizeof(pair));
    if (rc == NWS_ERROR_QUEUE)
      usleep(50);
    else if (rc != NWS_OK)
      s->error = rc;
    else
      s->taken++;
  }
  nws_remote_drop(s->remote);
}

static void start_senders(sender *senders, uv_thread_t *threads,
                          nws_peer *peer) {
  memset(arrived, 0, sizeof(arrived));
  out_of_order = 0;
  for (unsigned i = 0; i < THREADS; i++) {
    senders[i] = (sender){.remote = nws_peer_remote(peer), .id = i};
    assert_int_equal(uv_thread_create(&threads[i], send_all, &senders[i]), 0);
  }
}

static void join_senders(uv_thread_t *threads) {
  for (unsigned i = 0; i < THREADS; i++)
    assert_int_equal(uv_thread_join(&threads[i]), 0);
}

static void test_threads(void **state) {
  sender senders[THREADS];
  uv_thread_t threads[THREADS];
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.options.limits.max_queue = fx.options.limits.high_water = 20000;
  fx.client_handler.message = check_order;
  fixture_pair(&fx);
  start_senders(senders, threads, fx.s.peer);
  uint64_t end = uv_hrtime() + UINT64_C(60000000000);
  while (fx.c.messages < THREADS * MESSAGES && uv_hrtime() < end)
    uv_run(nws_loop_uv(fx.loop), UV_RUN_NOWAIT);
  join_senders(threads);
  assert_int_equal(fx.c.messages, THREADS * MESSAGES);
  assert_int_equal(out_of_order, 0);
  fixture_end(&fx);
}

/* The peer goes while they send: each has a beginning of its own arrive. */
static void one_round(fixture *fx, int how) {
  sender senders[THREADS];
  uv_thread_t threads[THREADS];
  fixture_connect(fx);
  int opens = fx->s.opens;
  step_until(fx, fx->s.opens > opens && fx->c.peer != NULL);
  step_until(fx, fx->c.opens == fx->s.opens);
  int before = fx->c.messages;
  int closes = fx->s.closes;
  start_senders(senders, threads, fx->s.peer);
  step_until(fx, fx->c.messages > before + 100);
  if (how == 0)
    nws_peer_abort(fx->s.peer);
  else if (how == 1)
    nws_peer_close(fx->s.peer, 1000, text("enough"));
  else
    nws_peer_abort(fx->c.peer);
  step_until(fx, fx->s.closes > closes && fx->c.peer == NULL);
  step(fx);
  join_senders(threads);
  step(fx);
  assert_int_equal(out_of_order, 0);
  for (unsigned i = 0; i < THREADS; i++) {
    assert_true(senders[i].error == NWS_ERROR_STATE ||
                senders[i].taken == MESSAGES);
    assert_true(arrived[i] <= senders[i].taken);
  }
}

static void test_gone_meanwhile(void **state) {
  fixture fx;
  size_t base = 0;
  (void)state;
  fixture_init(&fx);
  fx.client_handler.message = check_order;
  fixture_serve(&fx);
  for (int i = 0; i < 12; i++) {
    one_round(&fx, i % 3);
    if (i == 2)
      base = mallinfo2().uordblks;
  }
  /* A message that was forgotten would weigh some 80 bytes, and each round has
   * up to 40,000. */
  assert_true(mallinfo2().uordblks <= base + 32768);
  fixture_end(&fx);
}

/* --- A loop that ends while threads hold on to its peers --- */

typedef struct place {
  uv_loop_t *uv;
  nws_loop *loop;
  nws_server *server;
  nws_remote *remote;
  uv_sem_t ready;
  uint16_t port;
  _Atomic unsigned runs, nulls;
} place;

static void publish_peer(nws_peer *peer) {
  place *p = nws_peer_user(peer);
  p->remote = nws_peer_remote(peer);
  uv_sem_post(&p->ready);
}

static void stop_there(nws_loop *loop, void *arg) {
  place *p = arg;
  assert_non_null(loop);
  nws_server_stop(p->server, NWS_CLOSE_GOING_AWAY);
}

static void run_there(void *arg) {
  place *p = arg;
  assert_int_equal(nws_loop_run(p->loop), NWS_OK);
  assert_int_equal(nws_loop_free(p->loop), NWS_OK);
}

static void count_run(nws_peer *peer, void *arg) {
  place *p = arg;
  atomic_fetch_add(&p->runs, 1);
  atomic_fetch_add(&p->nulls, peer == NULL);
}

static void run_until_gone(void *arg) {
  place *p = arg;
  unsigned taken = 0;
  while (nws_remote_run(p->remote, count_run, p) == NWS_OK) {
    nws_remote_send(p->remote, NWS_OPCODE_TEXT, "x", 1);
    taken++;
    if (taken % 64 == 0)
      usleep(10);
  }
  nws_remote_drop(p->remote);
  atomic_fetch_sub(&p->runs, taken);
}

/* A loop in a thread of its own ends and is freed, while others go on: whatever
 * was taken was run exactly once, before that. */
static void test_loop_ends(void **state) {
  nws_handler handler = {.size = sizeof(handler), .open = publish_peer};
  (void)state;
  for (int round = 0; round < 10; round++) {
    uv_thread_t threads[THREADS], loop_thread;
    place p = {0};
    nws_server_options options = {
        .size = sizeof(options), .handler = &handler, .user = &p};
    assert_int_equal(uv_sem_init(&p.ready, 0), 0);
    assert_int_equal(nws_loop_new(NULL, &p.loop), NWS_OK);
    assert_int_equal(nws_server_start(p.loop, &options, &p.server), NWS_OK);
    int fd = raw_socket(nws_server_port(p.server));
    assert_int_equal(send(fd, raw_request, RAW_REQUEST_LEN, MSG_NOSIGNAL),
                     RAW_REQUEST_LEN);
    assert_int_equal(uv_thread_create(&loop_thread, run_there, &p), 0);
    uv_sem_wait(&p.ready);
    for (int i = 0; i < THREADS; i++) {
      nws_remote_keep(p.remote);
      assert_int_equal(uv_thread_create(&threads[i], run_until_gone, &p), 0);
    }
    while (atomic_load(&p.runs) < 50)
      usleep(50);
    assert_int_equal(nws_loop_post(p.loop, stop_there, &p), NWS_OK);
    close(fd);
    assert_int_equal(uv_thread_join(&loop_thread), 0);
    join_senders(threads);
    assert_int_equal(atomic_load(&p.runs), 0); /* as many as were taken */
    nws_remote_drop(p.remote);
    uv_sem_destroy(&p.ready);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_post),      cmocka_unit_test(test_post_freed),
      cmocka_unit_test(test_send),      cmocka_unit_test(test_misuse),
      cmocka_unit_test(test_failures),  cmocka_unit_test(test_accept),
      cmocka_unit_test(test_respond),   cmocka_unit_test(test_close_early),
      cmocka_unit_test(test_close),     cmocka_unit_test(test_gone),
      cmocka_unit_test(test_bounds),    cmocka_unit_test(test_alone),
      cmocka_unit_test(test_threads),   cmocka_unit_test(test_gone_meanwhile),
      cmocka_unit_test(test_loop_ends),
  };
  return run_without_leaks(tests);
}
