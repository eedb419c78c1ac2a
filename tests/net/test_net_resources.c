/* test_net_resources.c - memory, descriptors and loops: what a connection costs
 * while nothing happens, and what happens when they run out.
 */
#include "../../src/net/net_internal.h"
#include "net_fixture.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

/* --- Memory --- */

static void assert_idle(const nws_peer *peer) {
  assert_null(peer->queue.head);
  assert_null(peer->opening);
  assert_null(peer->spill);
  assert_null(peer->message);
  assert_null(peer->agreed);
  assert_null(peer->side);
}

static void test_idle(void **state) {
  size_t each = sizeof(nws_peer) + sizeof(nws_peer *); /* and its timer */
  fixture fx;
  raw r;
  uint8_t out[64];
  (void)state;
  print_message("an idle connection takes %zu bytes\n", each);
  assert_true(each <= 512);
  fixture_init(&fx);
  fixture_pair(&fx);
  assert_idle(fx.s.peer);
  assert_idle(fx.c.peer);
  nws_peer_send(fx.c.peer, NWS_OPCODE_TEXT, "hello", 5);
  step_until(&fx, fx.c.messages == 1);
  assert_idle(fx.s.peer);
  assert_idle(fx.c.peer);
  raw_open(&fx, &r); /* a cut ping and a cut message are remembered... */
  size_t len = put_frame(out, 0x01, "abc", 3);
  len += put_frame(out + len, 0x89, "ping", 4);
  raw_send(&fx, &r, out, len - 1);
  step_until(&fx, fx.s.peer->spill != NULL && fx.s.peer->message != NULL);
  raw_send(&fx, &r, out + len - 1, 1);
  raw_until(&fx, &r, r.len == 6);
  assert_null(fx.s.peer->spill); /* ...no longer than need be */
  raw_frame(&fx, &r, 0x80, "def", 3);
  raw_until(&fx, &r, r.len == 6 + 8);
  assert_idle(fx.s.peer);
  raw_free(&r);
  fixture_end(&fx);
}

/* 10,000 half-open handshakes stay below 64 MiB. */
static void test_half_open(void **state) {
  enum { COUNT = 200 };
  static raw peers[COUNT];
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  size_t before = mallinfo2().uordblks;
  for (int i = 0; i < COUNT; i++) {
    raw_connect(&peers[i], &fx);
    raw_send(&fx, &peers[i], raw_request, RAW_REQUEST_LEN - 2);
  }
  step_until(&fx, nws_server_peers(fx.server) == COUNT);
  step_for(&fx, 20);
  size_t each = (mallinfo2().uordblks - before) / COUNT;
  print_message("a half-open handshake takes %zu bytes\n", each);
  assert_true(each * 10000 < (size_t)64 * 1024 * 1024);
  for (int i = 0; i < COUNT; i++)
    raw_free(&peers[i]);
  fixture_end(&fx);
}

/* Connections that have gone leave nothing behind. */
static void test_come_and_go(void **state) {
  fixture fx;
  size_t base = 0;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  for (int i = 0; i < 300; i++) {
    int opens = fx.c.opens;
    fixture_connect(&fx);
    step_until(&fx, fx.c.opens == opens + 1);
    nws_peer_send(fx.c.peer, NWS_OPCODE_TEXT, "x", 1);
    nws_peer_close(fx.c.peer, 1000, nws_str_of("next"));
    step_until(&fx, nws_server_peers(fx.server) == 0 && fx.c.peer == NULL);
    step(&fx);
    if (i == 20)
      base = mallinfo2().uordblks;
  }
  assert_true(mallinfo2().uordblks <= base + 1024);
  assert_int_equal(fx.s.closes, 300);
  fixture_end(&fx);
}

/* --- Descriptors --- */

static void limit_fds(rlim_t count, struct rlimit *old) {
  assert_int_equal(getrlimit(RLIMIT_NOFILE, old), 0);
  struct rlimit low = {.rlim_cur = count, .rlim_max = old->rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
}

/* Out of descriptors: the loop does not spin, and goes on when there are some
 * again. */
static void test_no_descriptors(void **state) {
  enum { COUNT = 20 };
  static raw peers[COUNT];
  struct rlimit old;
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  for (int i = 0; i < COUNT; i++)
    raw_connect(&peers[i], &fx);
  limit_fds((rlim_t)count_fds() + 4, &old);
  step_for(&fx, 50);
  size_t in = nws_server_peers(fx.server);
  assert_true(in > 0 && in < COUNT);
  uint64_t end = uv_hrtime() + UINT64_C(300000000);
  int turns = 0;
  clock_t cpu = clock();
  while (uv_hrtime() < end) {
    uv_run(nws_loop_uv(fx.loop), UV_RUN_ONCE);
    turns++;
  }
  cpu = clock() - cpu;
  assert_true(turns < 20);
  assert_true(cpu < CLOCKS_PER_SEC / 10);
  setrlimit(RLIMIT_NOFILE, &old);
  step_until(&fx, nws_server_peers(fx.server) == COUNT);
  for (int i = 0; i < COUNT; i++)
    raw_free(&peers[i]);
  step_until(&fx, nws_server_peers(fx.server) == 0);
  fixture_end(&fx);
}

/* A client without a descriptor is told so. */
static void test_client_without_descriptor(void **state) {
  struct rlimit old;
  fixture fx;
  (void)state;
  fixture_init(&fx);
  limit_fds(3, &old);
  fixture_connect_to(&fx, "ws://127.0.0.1:9/", NULL);
  step_until(&fx, fx.c.closes == 1);
  setrlimit(RLIMIT_NOFILE, &old);
  assert_int_equal(fx.c.error, UV_EMFILE);
  fixture_end(&fx);
}

/* --- Loops --- */

static void tell(uv_timer_t *timer) {
  nws_peer *peer = timer->data;
  nws_peer_send(peer, NWS_OPCODE_TEXT, "from a timer", 12);
  uv_close((uv_handle_t *)timer, NULL);
}

static void test_foreign_loop(void **state) {
  uv_loop_t uv;
  uv_timer_t timer;
  fixture fx;
  (void)state;
  fixture_init(&fx);
  assert_int_equal(nws_loop_free(fx.loop), NWS_OK);
  assert_int_equal(uv_loop_init(&uv), 0);
  assert_int_equal(nws_loop_new(&uv, &fx.loop), NWS_OK);
  assert_ptr_equal(nws_loop_uv(fx.loop), &uv);
  fixture_pair(&fx);
  assert_int_equal(nws_loop_free(fx.loop), NWS_ERROR_STATE);
  uv_timer_init(&uv, &timer);
  timer.data = fx.s.peer;
  uv_timer_start(&timer, tell, 1, 0);
  step_until(&fx, fx.c.messages == 1);
  assert_string_equal(fx.c.last, "from a timer");
  fixture_end(&fx);
  assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&uv), 0);
}

/* A prepare handle that was there first has its turn last: what it sends goes
 * out before the loop waits. */
static nws_peer *prepared_peer;
static int overdue;

static void send_once(uv_prepare_t *prepare) {
  (void)prepare;
  if (prepared_peer != NULL)
    nws_peer_send(prepared_peer, NWS_OPCODE_TEXT, "late", 4);
  prepared_peer = NULL;
}

static void too_late(uv_timer_t *timer) {
  (void)timer;
  overdue = 1;
}

static void test_earlier_prepare(void **state) {
  uv_loop_t uv;
  uv_prepare_t prepare;
  uv_timer_t timer;
  fixture fx;
  (void)state;
  fixture_init(&fx);
  assert_int_equal(nws_loop_free(fx.loop), NWS_OK);
  assert_int_equal(uv_loop_init(&uv), 0);
  uv_prepare_init(&uv, &prepare);
  uv_prepare_start(&prepare, send_once);
  uv_timer_init(&uv, &timer);
  assert_int_equal(nws_loop_new(&uv, &fx.loop), NWS_OK);
  fixture_pair(&fx);
  step_for(&fx, 20);
  uv_update_time(&uv);
  uv_timer_start(&timer, too_late, 3000, 0);
  prepared_peer = fx.s.peer;
  while (fx.c.messages == 0 && !overdue)
    uv_run(&uv, UV_RUN_ONCE);
  assert_false(overdue);
  uv_close((uv_handle_t *)&timer, NULL);
  uv_close((uv_handle_t *)&prepare, NULL);
  fixture_end(&fx);
  assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&uv), 0);
}

/* A loop with nothing but a paused peer on it does not end by itself. */
static int wakes;

static void wake(uv_timer_t *timer) {
  wakes++;
  nws_peer_abort(timer->data);
}

static void test_paused_peer_keeps_loop(void **state) {
  uv_timer_t timer;
  fixture fx;
  int fd = -1;
  (void)state;
  fixture_init(&fx);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t len = sizeof(at);
  char url[64];
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
  assert_int_equal(listen(listener, 1), 0);
  getsockname(listener, (struct sockaddr *)&at, &len);
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", ntohs(at.sin_port));
  fx.client_limits.handshake_timeout_ms = UINT32_MAX;
  nws_peer *peer = fixture_connect_to(&fx, url, NULL);
  step(&fx);
  fd = accept(listener, NULL, NULL);
  uv_timer_init(nws_loop_uv(fx.loop), &timer);
  timer.data = peer;
  uv_timer_start(&timer, wake, 30, 0);
  uv_unref((uv_handle_t *)&timer);
  peer->events = 0; /* watch nothing, as a paused peer does */
  uv_poll_stop(&peer->poll);
  nws_loop_run(fx.loop);
  assert_int_equal(wakes, 1);
  assert_int_equal(fx.c.closes, 1);
  uv_close((uv_handle_t *)&timer, NULL);
  close(fd);
  close(listener);
  fixture_end(&fx);
}

/* Loops in several threads share nothing: each runs a server and a client
 * (ThreadSanitizer looks on). */
enum { THREADS = 4, ROUNDS = 200 };

static void again(nws_peer *peer, unsigned opcode, uint8_t *data, size_t len) {
  side *s = nws_peer_user(peer);
  s->messages++;
  s->bytes += len;
  if (s->messages < ROUNDS)
    nws_peer_send(peer, opcode, data, len);
  else
    nws_peer_close(peer, 1000, nws_str_of("enough"));
}

static void begin(nws_peer *peer) {
  note_open(peer);
  nws_peer_send(peer, NWS_OPCODE_TEXT, "round and round", 15);
}

static void stop_after(nws_peer *peer, const nws_closed *how) {
  nws_server *server = nws_peer_server(peer);
  note_closed(peer, how);
  nws_server_stop(server, NWS_CLOSE_GOING_AWAY);
}

/* Loops begin and end together: libuv closes descriptors behind
 * ThreadSanitizer's back, which then mistakes their reuse for a race. */
static pthread_barrier_t together;

/* Leaves judgement to the main thread: cmocka's asserts belong there. */
static void *run(void *arg) {
  fixture *fx = arg;
  fixture_init(fx);
  pthread_barrier_wait(&together);
  fx->client_handler.message = again;
  fx->client_handler.open = begin;
  fx->server_handler.closed = stop_after;
  fixture_serve(fx);
  fixture_connect(fx);
  nws_loop_run(fx->loop);
  pthread_barrier_wait(&together);
  return nws_loop_free(fx->loop) == NWS_OK ? fx : NULL;
}

static void test_threads(void **state) {
  static fixture fx[THREADS];
  pthread_t threads[THREADS];
  (void)state;
  assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, run, &fx[i]), 0);
  for (int i = 0; i < THREADS; i++) {
    void *done = NULL;
    assert_int_equal(pthread_join(threads[i], &done), 0);
    assert_ptr_equal(done, &fx[i]);
    assert_int_equal(fx[i].c.messages, ROUNDS);
    assert_int_equal(fx[i].c.bytes, ROUNDS * 15);
    assert_int_equal(fx[i].s.closes, 1);
    assert_int_equal(fx[i].c.error, NWS_OK);
    assert_int_equal(fx[i].stops, 1);
  }
  pthread_barrier_destroy(&together);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_idle),
      cmocka_unit_test(test_half_open),
      cmocka_unit_test(test_come_and_go),
      cmocka_unit_test(test_no_descriptors),
      cmocka_unit_test(test_client_without_descriptor),
      cmocka_unit_test(test_foreign_loop),
      cmocka_unit_test(test_earlier_prepare),
      cmocka_unit_test(test_paused_peer_keeps_loop),
      cmocka_unit_test(test_threads),
  };
  return run_without_leaks(tests);
}
