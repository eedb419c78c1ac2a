/* cmd_bench.c - `nws bench`: a load generator. This file has its options, and
 * the main thread; load.h tells where the rest is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "load.h"

/* Descriptors that a process and each of its threads need besides. */
#define SPARE_FILES 32u
#define SPARE_FILES_THREAD 16u
#define FILLER_SPARE 4096u
#define SHOW_EVERY_MS 500
#define MAX_SIZE ((uint64_t)64 << 20)

enum {
  OPTION_IN_FLIGHT = 256,
  OPTION_SIZE,
  OPTION_RAMP,
  OPTION_WARMUP,
  OPTION_DEFLATE,
  OPTION_THREADS,
  OPTION_NO_CHECK,
  OPTION_JSON
};

/* --- The run --- */

static void command(bench *b, int what) {
  atomic_store(&b->command, what);
  uv_mutex_lock(&b->lock);
  for (uint32_t i = 0; i < b->plan.threads; i++) {
    if (!b->workers[i].gone) {
      uv_async_send(&b->workers[i].wake);
    }
  }
  uv_mutex_unlock(&b->lock);
}

static void begin(bench *b) {
  const bench_plan *plan = &b->plan;
  b->open = 0;
  for (uint32_t i = 0; i < plan->threads; i++) {
    b->workers[i].first_place = b->open;
    b->open += b->workers[i].result.opened;
  }
  uint64_t warmup = (uint64_t)plan->warmup_ms * BENCH_NS_PER_MS;
  uint64_t duration = (uint64_t)plan->duration_ms * BENCH_NS_PER_MS;
  uint64_t total_ms = (uint64_t)plan->warmup_ms + plan->duration_ms;
  b->start_at = uv_hrtime();
  b->measure_at = b->start_at + warmup;
  b->end_at = b->measure_at + duration;
  b->quota = (plan->rate * total_ms + 999) / 1000;
  command(b, b->open ? BENCH_RUN : BENCH_FINISH);
}

/* Ends the loop when all threads have ended. */
static void wind_up(bench *b) {
  for (uint32_t i = 0; i < b->plan.threads; i++) {
    if (!atomic_load(&b->workers[i].progress.done)) {
      return;
    }
  }
  uv_timer_stop(&b->timer);
  uv_stop(&b->client.uv);
}

static void on_changed(uv_async_t *async) {
  bench *b = async->data;
  uint64_t settled = 0;
  for (uint32_t i = 0; i < b->plan.threads; i++) {
    settled += atomic_load(&b->workers[i].progress.settled);
  }
  if (atomic_load(&b->command) == BENCH_CONNECT &&
      settled == b->plan.connections) {
    begin(b);
  }
  wind_up(b);
}

static void on_signal(uv_signal_t *handle, int number) {
  bench *b = handle->data;
  (void)number;
  b->client.interrupts++;
  if (isatty(STDERR_FILENO)) {
    uv_mutex_lock(&b->lock);
    nws__cli_bench_hide(b);
    fputs(b->client.interrupts == 1
              ? "\nnws: ending; Ctrl-C again drops what is under way\n"
              : "\n",
          stderr);
    uv_mutex_unlock(&b->lock);
  }
  command(b, b->client.interrupts == 1 ? BENCH_FINISH : BENCH_ABORT);
}

static void on_show(uv_timer_t *timer) {
  nws__cli_bench_show(timer->data);
}

static int start_handles(bench *b) {
  static const int numbers[2] = {SIGINT, SIGTERM};
  uv_loop_t *uv = &b->client.uv;
  int rc = uv_loop_init(uv);
  for (int i = 0; i < 2 && rc == 0; i++) {
    b->client.signals[i].data = b;
    rc = uv_signal_init(uv, &b->client.signals[i]);
    if (rc == 0) {
      rc = uv_signal_start(&b->client.signals[i], on_signal, numbers[i]);
    }
  }
  if (rc == 0) {
    rc = uv_async_init(uv, &b->changed, on_changed);
  }
  if (rc == 0) {
    rc = uv_mutex_init(&b->lock);
  }
  uv_timer_init(uv, &b->timer);
  b->changed.data = b->timer.data = b;
  return rc;
}

static int start_workers(bench *b) {
  int rc = NWS_OK;
  b->workers = calloc(b->plan.threads, sizeof(*b->workers));
  if (!b->workers) {
    return NWS_ERROR_MEMORY;
  }
  for (uint32_t i = 0; i < b->plan.threads && rc == NWS_OK; i++) {
    rc = nws__cli_bench_worker_init(&b->workers[i], b, i);
  }
  b->ramp_at = b->shown_at = uv_hrtime();
  for (uint32_t i = 0; i < b->plan.threads && rc == NWS_OK; i++) {
    bench_worker *w = &b->workers[i];
    rc = uv_thread_create(&w->thread, nws__cli_bench_worker_run, w);
  }
  return rc;
}

static int finish(bench *b) {
  int code = CLI_EXIT_USAGE;
  bench_result *all = calloc(1, sizeof(*all));
  for (uint32_t i = 0; i < b->plan.threads; i++) {
    uv_thread_join(&b->workers[i].thread);
    if (all) {
      nws__cli_bench_merge(all, &b->workers[i].result);
    }
    nws__cli_bench_worker_free(&b->workers[i]);
  }
  nws__cli_bench_hide(b);
  if (all) {
    code = nws__cli_bench_report(b, all);
  }
  free(all);
  free(b->workers);
  free(b->filler);
  nws_tls_drop(b->client.tls.tls);
  return code;
}

/* --- Before the run --- */

/* Lets the process open the files that it needs, if the system lets it. */
static int raise_files(const bench_plan *plan) {
  uint64_t needed = (uint64_t)plan->connections + SPARE_FILES +
                    (uint64_t)plan->threads * SPARE_FILES_THREAD;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) {
    return CLI_EXIT_OK;
  }
  limit.rlim_cur = limit.rlim_max;
  if (limit.rlim_max >= needed && setrlimit(RLIMIT_NOFILE, &limit) == 0) {
    return CLI_EXIT_OK;
  }
  nws__cli_say("%u connections need %llu open files, and this process may have "
               "%llu; try fewer, or 'ulimit -Hn' as root",
               (unsigned)plan->connections, (unsigned long long)needed,
               (unsigned long long)limit.rlim_max);
  return CLI_EXIT_USAGE;
}

/* Letters without a pattern, so that compressing them is some work, and of
 * some use. */
static int fill(bench *b) {
  size_t len = (size_t)b->plan.max_size + FILLER_SPARE;
  uint64_t state = 1;
  b->filler = malloc(len);
  for (size_t i = 0; b->filler && i < len; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth */
    b->filler[i] = (uint8_t) "abcdefghijklmnopqrstuvwxyz ABCDE"[state >> 59];
  }
  return b->filler ? NWS_OK : NWS_ERROR_MEMORY;
}

static int run(bench *b) {
  if (raise_files(&b->plan) != CLI_EXIT_OK ||
      nws__cli_tls_start(&b->client.tls) != CLI_EXIT_OK) {
    return CLI_EXIT_USAGE;
  }
  nws__cli_tls_warn(&b->client.tls);
  if (b->client.conn.max_message < b->plan.max_size) {
    b->client.conn.max_message =
        b->plan.max_size > ((uint64_t)1 << 20) ? b->plan.max_size : 0;
  }
  int rc = fill(b);
  if (rc == NWS_OK) {
    rc = start_handles(b);
  }
  if (rc == NWS_OK) {
    rc = start_workers(b);
  }
  if (rc != NWS_OK) {
    nws__cli_say("cannot start: %s", nws_net_text(rc));
    return CLI_EXIT_USAGE;
  }
  if (isatty(STDERR_FILENO)) {
    uv_timer_start(&b->timer, on_show, SHOW_EVERY_MS, SHOW_EVERY_MS);
  }
  uv_run(&b->client.uv, UV_RUN_DEFAULT);
  return finish(b);
}

/* --- Options --- */

static int read_count(const bench *b, const char *arg, uint64_t max,
                      const char *of, uint64_t *count) {
  if (nws__cli_read_number(arg, max, count) && *count > 0) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(b->client.command,
                         "'%s' is no number of %s, 1 to %llu", arg, of,
                         (unsigned long long)max);
}

static int read_count32(const bench *b, const char *arg, uint32_t max,
                        const char *of, uint32_t *out) {
  uint64_t count = 0;
  int code = read_count(b, arg, max, of, &count);
  *out = (uint32_t)count;
  return code;
}

static int read_seconds(const bench *b, const char *arg, uint32_t *ms) {
  if (nws__cli_read_seconds(arg, 1000000000, ms)) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(b->client.command,
                         "'%s' is no number of seconds, such as 2.5", arg);
}

/* One size, or two with a dash between. */
static int read_size(bench *b, const char *arg) {
  char first[24] = "";
  bench_plan *plan = &b->plan;
  size_t len = strcspn(arg, "-");
  const char *second = arg[len] ? arg + len + 1 : arg;
  if (len < sizeof(first)) {
    memcpy(first, arg, len);
  }
  if (nws__cli_read_size(first, &plan->min_size) &&
      nws__cli_read_size(second, &plan->max_size) &&
      plan->min_size <= plan->max_size && plan->max_size <= MAX_SIZE) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(b->client.command,
                         "'%s' is no size, such as 100, or 1K-64K; 64M at most",
                         arg);
}

static int take_own(bench *b, int option, const char *arg) {
  bench_plan *plan = &b->plan;
  switch (option) {
  case 'c':
    return read_count32(b, arg, 1000000, "connections", &plan->connections);
  case 'r':
    return read_count(b, arg, 100000000, "messages a second", &plan->rate);
  case OPTION_IN_FLIGHT:
    return read_count32(b, arg, 65536, "messages in flight", &plan->in_flight);
  case OPTION_THREADS:
    return read_count32(b, arg, 256, "threads", &plan->threads);
  case OPTION_SIZE:
    return read_size(b, arg);
  case OPTION_RAMP:
    return read_seconds(b, arg, &plan->ramp_ms);
  case OPTION_WARMUP:
    return read_seconds(b, arg, &plan->warmup_ms);
  case 'd':
    return read_seconds(b, arg, &plan->duration_ms);
  case 'W':
    return read_seconds(b, arg, &plan->wait_ms);
  default:
    return CLI_EXIT_USAGE;
  }
}

static int take_option(void *state, int option, const char *arg) {
  bench *b = state;
  int code = nws__cli_client_option(&b->client, option, arg);
  if (code != CLI_GO_ON) {
    return code;
  }
  switch (option) {
  case 'b':
    b->plan.binary = 1;
    return CLI_EXIT_OK;
  case OPTION_NO_CHECK:
    b->plan.no_check = 1;
    return CLI_EXIT_OK;
  case OPTION_JSON:
    b->plan.json = 1;
    return CLI_EXIT_OK;
  case OPTION_DEFLATE:
    return nws__cli_deflate_read(&b->deflate, b->client.command, arg);
  default:
    return take_own(b, option, arg);
  }
}

static int check(bench *b) {
  bench_plan *plan = &b->plan;
  const char *command_name = b->client.command;
  if (plan->rate && plan->in_flight) {
    return nws__cli_misuse(command_name, "--rate and --in-flight exclude each "
                                         "other; give one");
  }
  if (plan->threads > plan->connections) {
    return nws__cli_misuse(command_name,
                           "%u threads for %u connection%s; give more "
                           "--connections",
                           (unsigned)plan->threads, (unsigned)plan->connections,
                           plan->connections == 1 ? "" : "s");
  }
  if (plan->duration_ms == 0) {
    return nws__cli_misuse(command_name, "--duration must be above 0");
  }
  if (!plan->rate && !plan->in_flight) {
    plan->in_flight = 1;
  }
  return CLI_GO_ON;
}

int nws__cli_bench(int argc, char **argv) {
  static const struct option longs[] = {
      CLI_CLIENT_LONGS,
      {"connections", required_argument, NULL, 'c'},
      {"rate", required_argument, NULL, 'r'},
      {"in-flight", required_argument, NULL, OPTION_IN_FLIGHT},
      {"size", required_argument, NULL, OPTION_SIZE},
      {"ramp", required_argument, NULL, OPTION_RAMP},
      {"warmup", required_argument, NULL, OPTION_WARMUP},
      {"duration", required_argument, NULL, 'd'},
      {"wait", required_argument, NULL, 'W'},
      {"binary", no_argument, NULL, 'b'},
      {"deflate", optional_argument, NULL, OPTION_DEFLATE},
      {"threads", required_argument, NULL, OPTION_THREADS},
      {"no-check", no_argument, NULL, OPTION_NO_CHECK},
      {"json", no_argument, NULL, OPTION_JSON},
      {NULL, 0, NULL, 0}};
  static bench state = {.plan = {.connections = 1,
                                 .threads = 1,
                                 .min_size = 64,
                                 .max_size = 64,
                                 .duration_ms = 10000,
                                 .wait_ms = 5000}};
  bench *b = &state;
  nws__cli_client_init(&b->client, argv[0]);
  int code = nws__cli_client_options(&b->client, argc, argv,
                                     ":" CLI_CLIENT_SHORTS "c:r:d:W:b", longs,
                                     take_option);
  if (code == CLI_GO_ON) {
    code = check(b);
  }
  return code == CLI_GO_ON ? run(b) : code;
}
