/* bench_clock_linux.c - being woken at a time: by a timerfd, which is exact to
 * some microseconds where libuv's timers are to a millisecond. What comes late
 * here would be taken for the latency of the server.
 */
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "load.h"

static void on_ready(uv_poll_t *poll, int status, int events) {
  bench_clock *clock = poll->data;
  uint64_t count;
  (void)status;
  (void)events;
  if (read(clock->fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
    clock->tick(clock);
  }
}

int nws__cli_bench_clock_start(bench_clock *clock, uv_loop_t *uv) {
  /* uv_hrtime() is this clock's time. */
  clock->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (clock->fd < 0) {
    return uv_translate_sys_error(errno);
  }
  clock->as.poll.data = clock;
  int rc = uv_poll_init(uv, &clock->as.poll, clock->fd);
  if (rc != 0) {
    close(clock->fd);
    return rc;
  }
  return uv_poll_start(&clock->as.poll, UV_READABLE, on_ready);
}

void nws__cli_bench_clock_set(bench_clock *clock, uint64_t at) {
  struct itimerspec when;
  memset(&when, 0, sizeof(when));
  when.it_value.tv_sec = (time_t)(at / BENCH_NS_PER_S);
  when.it_value.tv_nsec = (long)(at % BENCH_NS_PER_S);
  timerfd_settime(clock->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void on_closed(uv_handle_t *handle) {
  bench_clock *clock = handle->data;
  close(clock->fd);
}

void nws__cli_bench_clock_stop(bench_clock *clock) {
  uv_close((uv_handle_t *)&clock->as.poll, on_closed);
}
