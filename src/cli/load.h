/* load.h - what the parts of `nws bench` share.
 *
 * The main thread reads the options, starts the workers, shows progress, and
 * adds up what they found (cmd_bench.c, bench_report.c). Each worker has a loop
 * and its share of the connections (bench_worker.c, bench_conn.c). They meet in
 * three ways: by `command`, which main sets and of which it tells with `wake`;
 * by `progress`, which workers count up; and, when a worker's thread has ended,
 * by all the rest.
 */
#ifndef NWS_LOAD_H
#define NWS_LOAD_H

#include <stdatomic.h>
#include "cli.h"

#define BENCH_NS_PER_MS 1000000u
#define BENCH_NS_PER_S 1000000000u

/* --- cli_histogram.c --- */

/* Buckets for each power of two: a value is known to 1 part in so many. */
#define HISTOGRAM_STEPS_LOG2 7
#define HISTOGRAM_STEPS ((size_t)1 << HISTOGRAM_STEPS_LOG2)
#define HISTOGRAM_BUCKETS ((65 - HISTOGRAM_STEPS_LOG2) * HISTOGRAM_STEPS)

/* Counts values of any size in constant memory. Zero is empty. */
typedef struct histogram {
  uint64_t count;
  uint64_t min; /* exact, as are these */
  uint64_t max;
  double sum;
  uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram;

void nws__cli_histogram_add(histogram *h, uint64_t value);
void nws__cli_histogram_merge(histogram *to, const histogram *from);

/* The value that `share` (0 to 1) of all values do not exceed, at most 1 part
 * in 128 above it; 0 when there are none. */
uint64_t nws__cli_histogram_at(const histogram *h, double share);

/* --- What is to be done --- */

enum bench_command {
  BENCH_CONNECT = 0, /* open the connections, and then wait */
  BENCH_RUN = 1,     /* send */
  BENCH_FINISH = 2,  /* send no more, take what is under way, and close */
  BENCH_ABORT = 3    /* drop everything */
};

typedef struct bench_plan {
  uint32_t connections;
  uint32_t threads;
  uint64_t rate;      /* messages a second over all; 0: closed loop */
  uint32_t in_flight; /* closed loop: messages under way on each connection */
  uint64_t min_size;
  uint64_t max_size;
  uint32_t ramp_ms;
  uint32_t warmup_ms;
  uint32_t duration_ms;
  uint32_t wait_ms; /* for the last answers */
  int binary;
  int no_check;
  int json;
} bench_plan;

/* --- What came of it --- */

#define BENCH_KINDS 32

/* A kind of failure, and how often it happened. */
typedef struct bench_failure {
  int error;     /* an nws_error or UV_…; NWS_OK: closed with `code` */
  unsigned code; /* the peer's close code, or the HTTP status that refused */
  int opened;    /* after the connection was open */
  int exit_code;
  uint64_t count;
} bench_failure;

/* What a worker has found, or all of them together. */
typedef struct bench_result {
  histogram connect; /* from connecting to open */
  histogram latency; /* from when a message was due to its answer */
  histogram late;    /* from when a message was due to its sending */
  uint64_t opened;
  uint64_t sent; /* messages, warm-up included */
  uint64_t answered;
  uint64_t wrong;      /* answers that were not what was sent */
  uint64_t unanswered; /* passed over by the peer, or not answered in time */
  uint64_t unsent;     /* due, but not sent before the end */
  /* Inside the time that is measured. */
  uint64_t sent_in;
  uint64_t sent_bytes;
  uint64_t received_in;
  uint64_t received_bytes;
  uint64_t stopped_at; /* when it stopped sending */
  bench_failure failures[BENCH_KINDS];
  size_t failure_count;
} bench_result;

typedef struct bench_progress {
  _Atomic uint64_t settled; /* connections that have opened or failed */
  _Atomic uint64_t open;    /* that are open now */
  _Atomic uint64_t failed;
  _Atomic uint64_t sent;
  _Atomic uint64_t received;
  _Atomic int done; /* the thread is about to end */
} bench_progress;

/* --- bench_conn.c: a connection --- */

typedef struct bench_worker bench_worker;

typedef struct bench_conn {
  bench_worker *worker;
  nws_peer *peer;    /* NULL: not yet, or no more */
  uint64_t began_at; /* when it began to connect */
  uint64_t place;    /* in the schedule, among all that are open */
  uint64_t quota;    /* open loop: messages that it is to send */
  uint64_t *due;     /* closed loop: when those under way were sent, a ring */
  uint32_t id;
  uint64_t sent; /* the number of the next message; */
  uint64_t next; /* and of the next answer */
  int open;
  int opened; /* it has been open */
} bench_conn;

/* Writes message `number` of a connection. Returns its length. */
size_t nws__cli_bench_write(const bench_conn *c, uint64_t number, uint8_t *out);

/* When message `number` of a connection is due in the open loop, in ns. */
uint64_t nws__cli_bench_due(const bench_conn *c, uint64_t number);

/* Sends what the connection has to send now. */
void nws__cli_bench_pump(bench_conn *c);

/* Takes an answer. */
void nws__cli_bench_answer(bench_conn *c, unsigned opcode, const uint8_t *data,
                           size_t len);

/* --- bench_clock_*.c: being woken at a time, as exactly as the system can ---
 */

typedef struct bench_clock {
  void (*tick)(struct bench_clock *clock);
  void *user;
  int fd; /* where the system has such a thing */
  union {
    uv_timer_t timer;
    uv_poll_t poll;
  } as;
} bench_clock;

/* Returns 0 or UV_… */
int nws__cli_bench_clock_start(bench_clock *clock, uv_loop_t *uv);

/* Calls `tick` once when uv_hrtime() has come to `at`. */
void nws__cli_bench_clock_set(bench_clock *clock, uint64_t at);
void nws__cli_bench_clock_stop(bench_clock *clock);

/* --- bench_worker.c: a thread and its connections --- */

typedef struct bench bench;

struct bench_worker {
  bench *bench;
  uv_thread_t thread;
  uv_loop_t uv;
  uv_async_t wake;   /* by main: `command` has changed */
  uv_timer_t opener; /* the next connection to open */
  uv_timer_t ending; /* the end of sending, and of waiting */
  bench_clock clock;
  nws_loop *loop;
  nws_handler handler;
  nws_client_options options;
  nws_client_offer offer;
  cli_deflate deflate;
  uint32_t index;
  int state;        /* a bench_command */
  int closing;      /* the connections have been told to close */
  int gone;         /* `wake` is not to be used any more */
  uint32_t count;   /* connections */
  uint32_t begun;   /* how many of them have begun to connect, */
  uint32_t settled; /* have opened or failed, */
  uint32_t ended;   /* and are gone */
  bench_conn *conns;
  uint8_t *buffer;      /* the message being made */
  uint64_t first_place; /* set by main before BENCH_RUN */
  bench_conn **order;   /* those with a place in the schedule, in order */
  uint32_t order_count;
  uint64_t round; /* open loop: the next to send is message `round` */
  uint32_t turn;  /* of the connection order[turn] */
  uint64_t under_way;
  bench_progress progress;
  bench_result result; /* main reads `opened` when all have settled, and the
                          rest when the thread has ended */
};

/* Prepares a worker with its share of the connections. Returns 0 or an error,
 * after which it may be freed as well. */
int nws__cli_bench_worker_init(bench_worker *w, bench *b, uint32_t index);

/* Runs it to its end; a thread's function. */
void nws__cli_bench_worker_run(void *worker);
void nws__cli_bench_worker_free(bench_worker *w);

/* Closes when it is time and nothing is under way; to be asked when less is. */
void nws__cli_bench_worker_check(bench_worker *w);

struct bench {
  cli_client client; /* first: its options are taken as those of others are */
  cli_deflate deflate;
  bench_plan plan;
  uint8_t *filler; /* what messages are filled with */
  bench_worker *workers;
  uint64_t ramp_at; /* when the first connection is to be opened */
  _Atomic int command;
  uv_mutex_t lock;    /* of standard error, and */
  int opening_told;   /* whether one that opened has been told of, */
  int failure_told;   /* and one that failed; of `shown`, and `gone` */
  uv_async_t changed; /* by workers: all settled, or ended */
  uv_timer_t timer;   /* of the progress line */
  /* Set before BENCH_RUN, and read after it. */
  uint64_t open; /* connections that take part */
  uint64_t start_at;
  uint64_t measure_at;
  uint64_t end_at;
  uint64_t quota; /* open loop: messages in all */
  /* Of the progress line: whether one is on the screen, and its counts. */
  int shown;
  uint64_t shown_at;
  uint64_t shown_sent;
  uint64_t shown_received;
};

/* --- bench_report.c --- */

/* Says whether the way a connection ended is a failure, and of which kind.
 * `closing`: we had begun to close. */
int nws__cli_bench_judge(const nws_closed *how, int closing,
                         bench_failure *failure);

/* Tell of a connection, on standard error: the first that opened if the user
 * wants to hear of it, and the first that failed, or all of them. */
void nws__cli_bench_tell_open(bench *b, const bench_conn *c);
void nws__cli_bench_tell(bench *b, const bench_conn *c, const nws_closed *how);

/* Adds a failure to those of its kind. */
void nws__cli_bench_fail(bench_result *result, const bench_failure *failure);
void nws__cli_bench_merge(bench_result *to, const bench_result *from);

/* Shows how far it is, on a line that the next one replaces; and removes it,
 * which needs the lock. */
void nws__cli_bench_show(bench *b);
void nws__cli_bench_hide(bench *b);

/* Tells what came of it on standard output. Returns the exit code. */
int nws__cli_bench_report(const bench *b, const bench_result *result);

#endif
