/* bench_report.c - what `nws bench` tells: a line while it runs, failures as
 * they come, and the result, for people or as JSON.
 */
#include <stdlib.h>
#include <string.h>
#include "load.h"

/* --- Failures --- */

static int usual(unsigned code) {
  return code == NWS_CLOSE_NORMAL || code == NWS_CLOSE_GOING_AWAY ||
         code == NWS_CLOSE_NO_STATUS;
}

int nws__cli_bench_judge(const nws_closed *how, int closing,
                         bench_failure *failure) {
  memset(failure, 0, sizeof(*failure));
  failure->error = how->error;
  failure->opened = how->opened;
  failure->count = 1;
  if (!how->opened) {
    failure->code = how->response ? how->response->status : 0;
    failure->exit_code = nws__cli_unopened_code(how->error);
    return 1;
  }
  if (how->error != NWS_OK) {
    failure->exit_code = CLI_EXIT_LOST;
    return 1;
  }
  failure->code = how->code;
  failure->exit_code = usual(how->code) ? CLI_EXIT_LOST : CLI_EXIT_CLOSED;
  return !(closing && (usual(how->code) || how->code == how->code_sent));
}

/* The last kind takes whatever there is no room for. */
void nws__cli_bench_fail(bench_result *result, const bench_failure *failure) {
  size_t i = 0;
  for (; i < result->failure_count; i++) {
    const bench_failure *f = &result->failures[i];
    if (f->error == failure->error && f->code == failure->code &&
        f->opened == failure->opened) {
      break;
    }
  }
  if (i == BENCH_KINDS) {
    i--;
  } else if (i == result->failure_count) {
    result->failures[i] = *failure;
    result->failure_count++;
    return;
  }
  result->failures[i].count += failure->count;
}

void nws__cli_bench_merge(bench_result *to, const bench_result *from) {
  nws__cli_histogram_merge(&to->connect, &from->connect);
  nws__cli_histogram_merge(&to->latency, &from->latency);
  nws__cli_histogram_merge(&to->late, &from->late);
  to->opened += from->opened;
  to->sent += from->sent;
  to->answered += from->answered;
  to->wrong += from->wrong;
  to->unanswered += from->unanswered;
  to->unsent += from->unsent;
  to->sent_in += from->sent_in;
  to->sent_bytes += from->sent_bytes;
  to->received_in += from->received_in;
  to->received_bytes += from->received_bytes;
  if (from->stopped_at > to->stopped_at) {
    to->stopped_at = from->stopped_at;
  }
  for (size_t i = 0; i < from->failure_count; i++) {
    nws__cli_bench_fail(to, &from->failures[i]);
  }
}

static void describe(const bench_failure *f, char *out, size_t cap) {
  if (f->error == NWS_ERROR_STATUS) {
    snprintf(out, cap, "the server refused the handshake: %u", f->code);
  } else if (f->error == NWS_OK) {
    const char *name = nws_close_code_name(f->code);
    snprintf(out, cap, "closed by the server: %u%s%s%s", f->code,
             *name ? " (" : "", name, *name ? ")" : "");
  } else {
    snprintf(out, cap, "%s: %s",
             f->opened ? "connection lost" : "cannot connect",
             nws_net_text(f->error));
  }
}

/* --- While it runs --- */

void nws__cli_bench_hide(bench *b) {
  if (b->shown) {
    fputs("\r\033[K", stderr);
    b->shown = 0;
  }
}

void nws__cli_bench_tell_open(bench *b, const bench_conn *c) {
  if (!b->client.verbose) {
    return;
  }
  uv_mutex_lock(&b->lock);
  if (!b->opening_told) {
    cli_client client = b->client;
    client.peer = c->peer;
    nws__cli_bench_hide(b);
    nws__cli_client_opened(&client);
    b->opening_told = 1;
  }
  uv_mutex_unlock(&b->lock);
}

void nws__cli_bench_tell(bench *b, const bench_conn *c, const nws_closed *how) {
  uv_mutex_lock(&b->lock);
  if (b->client.verbose || !b->failure_told) {
    cli_client client = b->client;
    client.peer = c->peer;
    client.closing = c->worker->closing;
    client.verbose |= how->opened; /* any close is worth a word here */
    nws__cli_bench_hide(b);
    if (c->peer) {
      nws__cli_client_report(&client, how);
    } else {
      nws__cli_say("cannot connect: %s", nws_net_text(how->error));
    }
    b->failure_told = 1;
  }
  uv_mutex_unlock(&b->lock);
}

static void add_progress(const bench *b, uint64_t sums[4]) {
  memset(sums, 0, 4 * sizeof(*sums));
  for (uint32_t i = 0; i < b->plan.threads; i++) {
    const bench_progress *p = &b->workers[i].progress;
    sums[0] += atomic_load(&p->open);
    sums[1] += atomic_load(&p->failed);
    sums[2] += atomic_load(&p->sent);
    sums[3] += atomic_load(&p->received);
  }
}

void nws__cli_bench_show(bench *b) {
  static const char *const states[] = {"connecting", "running", "finishing",
                                       "dropping"};
  uint64_t sums[4];
  uint64_t now = uv_hrtime();
  double seconds = (double)(now - b->shown_at) / BENCH_NS_PER_S;
  add_progress(b, sums);
  uv_mutex_lock(&b->lock);
  nws__cli_bench_hide(b);
  fprintf(stderr,
          "%s: %.0f s, %llu of %u open, %llu failed, %.0f/s sent, %.0f/s "
          "received",
          states[atomic_load(&b->command)],
          (double)(now - b->ramp_at) / BENCH_NS_PER_S,
          (unsigned long long)sums[0], (unsigned)b->plan.connections,
          (unsigned long long)sums[1],
          (double)(sums[2] - b->shown_sent) / seconds,
          (double)(sums[3] - b->shown_received) / seconds);
  fflush(stderr);
  b->shown = 1;
  uv_mutex_unlock(&b->lock);
  b->shown_at = now;
  b->shown_sent = sums[2];
  b->shown_received = sums[3];
}

/* --- The result --- */

static const double shares[] = {0.5, 0.9, 0.99, 0.999};
static const char *const share_names[] = {"p50", "p90", "p99", "p99.9"};

static double ms(uint64_t ns) {
  return (double)ns / BENCH_NS_PER_MS;
}

/* The seconds in which was measured. */
static double measured(const bench *b, const bench_result *r) {
  uint64_t end = r->stopped_at < b->end_at ? r->stopped_at : b->end_at;
  return end > b->measure_at ? (double)(end - b->measure_at) / BENCH_NS_PER_S
                             : 0;
}

static double rate_of(uint64_t count, double seconds) {
  return seconds > 0 ? (double)count / seconds : 0;
}

/* The first code of any connection, in the order in which things can fail. */
static int exit_code(const bench_result *r) {
  int code =
      r->wrong || r->unanswered || r->unsent ? CLI_EXIT_LOST : CLI_EXIT_OK;
  for (size_t i = 0; i < r->failure_count; i++) {
    int own = r->failures[i].exit_code;
    code = code == CLI_EXIT_OK || own < code ? own : code;
  }
  return code;
}

static void put_times(const char *name, const histogram *h) {
  if (!h->count) {
    return;
  }
  printf("%-8s %9.3f", name, ms(h->min));
  for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
    printf(" %9.3f", ms(nws__cli_histogram_at(h, shares[i])));
  }
  printf(" %9.3f\n", ms(h->max));
}

static void put_text(const bench *b, const bench_result *r) {
  const bench_plan *plan = &b->plan;
  double seconds = measured(b, r);
  printf("--- %s bench statistics ---\n", b->client.options.url);
  printf("%llu of %u connections opened, %u thread%s, ",
         (unsigned long long)r->opened, (unsigned)plan->connections,
         (unsigned)plan->threads, plan->threads == 1 ? "" : "s");
  if (plan->rate) {
    printf("%llu/s due, ", (unsigned long long)plan->rate);
  } else {
    printf("%u in flight on each, ", (unsigned)plan->in_flight);
  }
  printf("%.3f s measured\n", seconds);
  printf("sent     %llu messages, %.1f/s, %.0f bytes/s\n",
         (unsigned long long)r->sent_in, rate_of(r->sent_in, seconds),
         rate_of(r->sent_bytes, seconds));
  printf("received %llu messages, %.1f/s, %.0f bytes/s\n",
         (unsigned long long)r->received_in, rate_of(r->received_in, seconds),
         rate_of(r->received_bytes, seconds));
  printf("%llu unanswered, %llu wrong, %llu not sent in time\n",
         (unsigned long long)r->unanswered, (unsigned long long)r->wrong,
         (unsigned long long)r->unsent);
  printf("ms             min       p50       p90       p99     p99.9       "
         "max\n");
  put_times("connect", &r->connect);
  put_times("latency", &r->latency);
  put_times("late", &r->late);
  for (size_t i = 0; i < r->failure_count; i++) {
    char text[256];
    describe(&r->failures[i], text, sizeof(text));
    printf("%8llu x %s\n", (unsigned long long)r->failures[i].count, text);
  }
}

/* --- As JSON --- */

static void put_count(const char *name, uint64_t count) {
  printf("\"%s\":%llu,", name, (unsigned long long)count);
}

static void put_json_times(const char *name, const histogram *h) {
  printf("\"%s\":{\"count\":%llu", name, (unsigned long long)h->count);
  if (h->count) {
    printf(",\"min\":%.6f,\"mean\":%.6f", ms(h->min),
           h->sum / (double)h->count / BENCH_NS_PER_MS);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
      printf(",\"%s\":%.6f", share_names[i],
             ms(nws__cli_histogram_at(h, shares[i])));
    }
    printf(",\"max\":%.6f", ms(h->max));
  }
  fputs("},", stdout);
}

static void put_json_flow(const char *name, uint64_t messages, uint64_t bytes,
                          double seconds) {
  printf("\"%s\":{\"messages\":%llu,\"bytes\":%llu,\"messages_per_second\":"
         "%.3f,\"bytes_per_second\":%.3f},",
         name, (unsigned long long)messages, (unsigned long long)bytes,
         rate_of(messages, seconds), rate_of(bytes, seconds));
}

static void put_json_plan(const bench *b) {
  const bench_plan *plan = &b->plan;
  fputs("{\"url\":", stdout);
  nws__cli_put_json(stdout, b->client.options.url,
                    strlen(b->client.options.url));
  putchar(',');
  put_count("connections", plan->connections);
  put_count("threads", plan->threads);
  put_count(plan->rate ? "rate" : "in_flight",
            plan->rate ? plan->rate : plan->in_flight);
  printf("\"size\":[%llu,%llu],", (unsigned long long)plan->min_size,
         (unsigned long long)plan->max_size);
}

static void put_json_failures(const bench_result *r) {
  fputs("\"failures\":[", stdout);
  for (size_t i = 0; i < r->failure_count; i++) {
    const bench_failure *f = &r->failures[i];
    char text[256];
    describe(f, text, sizeof(text));
    printf("%s{\"count\":%llu,\"what\":", i ? "," : "",
           (unsigned long long)f->count);
    nws__cli_put_json(stdout, text, strlen(text));
    if (f->opened && f->error == NWS_OK) {
      printf(",\"close_code\":%u", f->code);
    } else if (f->error == NWS_ERROR_STATUS) {
      printf(",\"status\":%u", f->code);
    }
    putchar('}');
  }
  fputs("],", stdout);
}

static void put_as_json(const bench *b, const bench_result *r, int code) {
  double seconds = measured(b, r);
  put_json_plan(b);
  printf("\"measured_seconds\":%.6f,", seconds);
  put_count("opened", r->opened);
  put_count("sent_in_all", r->sent);
  put_count("answered_in_all", r->answered);
  put_count("unanswered", r->unanswered);
  put_count("wrong", r->wrong);
  put_count("unsent", r->unsent);
  put_json_flow("sent", r->sent_in, r->sent_bytes, seconds);
  put_json_flow("received", r->received_in, r->received_bytes, seconds);
  put_json_times("connect_ms", &r->connect);
  put_json_times("latency_ms", &r->latency);
  put_json_times("late_ms", &r->late);
  put_json_failures(r);
  printf("\"exit_code\":%d}\n", code);
}

int nws__cli_bench_report(const bench *b, const bench_result *result) {
  int code = exit_code(result);
  if (b->plan.json) {
    put_as_json(b, result, code);
  } else {
    put_text(b, result);
  }
  return code;
}
