/* bench_clock_other.c - being woken at a time, where libuv's timers are all
 * there is: exact to a millisecond, which shows in the latencies and, as what
 * it is, in how late messages were sent.
 */
#include "load.h"

static void on_timer(uv_timer_t *timer) {
  bench_clock *clock = timer->data;
  clock->tick(clock);
}

int nws__cli_bench_clock_start(bench_clock *clock, uv_loop_t *uv) {
  clock->as.timer.data = clock;
  return uv_timer_init(uv, &clock->as.timer);
}

void nws__cli_bench_clock_set(bench_clock *clock, uint64_t at) {
  uint64_t now = uv_hrtime();
  uint64_t left = at > now ? at - now : 0;
  uv_update_time(clock->as.timer.loop);
  uv_timer_start(&clock->as.timer, on_timer,
                 (left + BENCH_NS_PER_MS - 1) / BENCH_NS_PER_MS, 0);
}

void nws__cli_bench_clock_stop(bench_clock *clock) {
  uv_close((uv_handle_t *)&clock->as.timer, NULL);
}
