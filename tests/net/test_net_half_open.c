/* test_net_half_open.c - 10,000 clients that begin a handshake and do not go
 * on: what they cost, that others are served meanwhile, and that all are cut
 * off in time. The clients are a process of their own, since descriptors are
 * per process.
 */
#include "net_fixture.h"
#include <malloc.h>
#include <nws/stats.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { COUNT = 10000, HONEST = 200, LIMIT_MS = 10000, SPARE = 100 };

/* What the clients' process tells when it is through. */
typedef struct outcome {
  int connected;
  int timed_out; /* were answered with 408 */
  int ended;
} outcome;

static void raise_descriptors(void) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < COUNT + SPARE)
    fail_msg("this test needs %d descriptors in a process (ulimit -Hn)",
             COUNT + SPARE);
  limit.rlim_cur = COUNT + SPARE;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* --- The clients' process --- */

static int begin(uint16_t port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
      send(fd, raw_request, RAW_REQUEST_LEN - 2, MSG_NOSIGNAL) > 0)
    return fd;
  return -1;
}

static void until_end(int fd, outcome *found) {
  static const char answer[] = "HTTP/1.1 408 ";
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  char data[2048];
  ssize_t n = 1;
  ssize_t first = 0;
  while (n > 0 && poll(&wait, 1, 3 * LIMIT_MS) == 1) {
    n = recv(fd, data, sizeof(data), 0);
    if (first == 0)
      first = n;
    if (n > 0 && first == n && memcmp(data, answer, sizeof(answer) - 1) == 0)
      found->timed_out++;
  }
  found->ended += n <= 0;
}

static void clients(uint16_t port, int out) {
  static int fds[COUNT];
  outcome found = {0};
  for (int i = 0; i < COUNT; i++) {
    fds[i] = begin(port);
    found.connected += fds[i] >= 0;
  }
  for (int i = 0; i < COUNT; i++)
    until_end(fds[i], &found);
  _exit(write(out, &found, sizeof(found)) == sizeof(found) ? 0 : 1);
}

/* --- The server's --- */

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Clients that do as they should, one after the other; the time they take is
 * shown and not judged. */
static void serve_honest(fixture *fx) {
  static uint64_t times[HONEST];
  for (int i = 0; i < HONEST; i++) {
    uint64_t start = uv_hrtime();
    int messages = fx->c.messages;
    int closes = fx->c.closes;
    fixture_connect(fx);
    nws_peer *peer = fx->c.peer;
    step_until(fx, fx->c.opens == i + 1);
    assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, "hello", 5), NWS_OK);
    step_until(fx, fx->c.messages == messages + 1);
    times[i] = uv_hrtime() - start;
    nws_peer_close(peer, 1000, nws_str_of("thanks"));
    step_until(fx, fx->c.closes == closes + 1);
    assert_int_equal(fx->c.error, NWS_OK);
  }
  qsort(times, HONEST, sizeof(times[0]), compare);
  print_message("honest clients: half of them took %u us, 99 %% up to %u us\n",
                (unsigned)(times[HONEST / 2] / 1000),
                (unsigned)(times[HONEST * 99 / 100] / 1000));
}

static nws_stats stats_of(const fixture *fx) {
  nws_stats s;
  nws_server_stats(fx->server, &s);
  return s;
}

static size_t in_use(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/* Waits for as long as it takes: all deadlines are the server's. */
static void step_while(fixture *fx, const uint64_t *number, uint64_t value,
                       nws_stats *s) {
  for (*s = stats_of(fx); *number < value; *s = stats_of(fx))
    step(fx);
}

static void test_half_open(void **state) {
  fixture fx;
  outcome found;
  nws_stats s;
  int ends[2];
  int status;
  (void)state;
  raise_descriptors();
  assert_int_equal(pipe(ends), 0);
  fixture_init(&fx);
  fx.options.limits.handshake_timeout_ms = LIMIT_MS;
  fixture_serve(&fx);
  size_t before = in_use();
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0)
    clients(nws_server_port(fx.server), ends[1]);
  step_while(&fx, &s.accepted, COUNT, &s);
  assert_int_equal(s.handshakes, COUNT);
  size_t used = in_use() - before;
  print_message("%d half-open handshakes: %zu KiB\n", COUNT, used / 1024);
  assert_true(used < (size_t)64 * 1024 * 1024);
  serve_honest(&fx);
  step_while(&fx, &s.failed_timeout, COUNT, &s);
  assert_int_equal(s.handshakes, 0);
  assert_int_equal(s.opened, HONEST);
  assert_int_equal(s.closed_clean, HONEST);
  while (nws_server_peers(fx.server) > 0)
    step(&fx);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_int_equal(read(ends[0], &found, sizeof(found)), sizeof(found));
  assert_int_equal(found.connected, COUNT);
  assert_int_equal(found.timed_out, COUNT);
  assert_int_equal(found.ended, COUNT);
  close(ends[0]);
  close(ends[1]);
  fixture_end(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_half_open),
  };
  return run_without_leaks(tests);
}
