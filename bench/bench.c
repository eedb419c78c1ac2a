/* bench.c - the clock, the rounds, the medians. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct quartiles {
  double low, median, high;
} quartiles;

_Noreturn void bench_fail(const char *what) {
  fprintf(stderr, "bench: %s\n", what);
  exit(1);
}

void *bench_alloc(size_t len) {
  void *block = malloc(len);
  if (block == NULL) {
    bench_fail("out of memory");
  }
  return block;
}

/* --- The command line --- */

static int starts(const char *text, const char *with) {
  return with == NULL || strncmp(text, with, strlen(with)) == 0;
}

bench_options bench_parse(int argc, char **argv) {
  bench_options options = {.seconds = 7, .out = stdout};
  for (int i = 1; i < argc; i += 2) {
    const char *value = argv[i + 1];
    if (i + 1 == argc) {
      bench_fail("an option without its value");
    }
    if (strcmp(argv[i], "--seconds") == 0) {
      options.seconds = atof(value);
    } else if (strcmp(argv[i], "--rounds") == 0) {
      options.rounds = (size_t)atol(value);
    } else if (strcmp(argv[i], "--case") == 0) {
      options.pick = value;
    } else if (strcmp(argv[i], "--side") == 0) {
      options.only = value;
    } else if (strcmp(argv[i], "--out") == 0) {
      options.out = fopen(value, "w");
    } else {
      bench_fail("options are --seconds --rounds --case --side --out");
    }
  }
  if (options.out == NULL) {
    bench_fail("cannot write there");
  }
  return options;
}

int bench_wants(const bench_options *options, const char *name) {
  return starts(name, options->pick);
}

/* --- Rounds --- */

static double read_clock(clockid_t which) {
  struct timespec at;
  clock_gettime(which, &at);
  return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

/* The time that this thread has had the processor: what others took of it
 * meanwhile does not count. */
static double time_pass(const bench_side *side) {
  double begin;
  if (side->prepare != NULL) {
    side->prepare(side->user);
  }
  begin = read_clock(CLOCK_THREAD_CPUTIME_ID);
  side->run(side->user);
  return read_clock(CLOCK_THREAD_CPUTIME_ID) - begin;
}

typedef double times[BENCH_ROUNDS_MAX];

/* Rounds until the time is up or the asked number is reached, and the first
 * goes for nothing: it warms caches up. Returns how many. */
static size_t run_rounds(const bench_options *options,
                         const bench_case *subject, times *spent) {
  const size_t most =
      options->rounds != 0 ? options->rounds : (size_t)BENCH_ROUNDS_MAX;
  const double end = read_clock(CLOCK_MONOTONIC) + options->seconds * 1e9;
  size_t round = 0;
  if (most > BENCH_ROUNDS_MAX) {
    bench_fail("too many rounds");
  }
  for (size_t i = 0; i < subject->count; i++) {
    if (starts(subject->sides[i].name, options->only)) {
      time_pass(&subject->sides[i]);
    }
  }
  while (round < most && (options->rounds != 0 ||
                          read_clock(CLOCK_MONOTONIC) < end || round < 3)) {
    for (size_t i = 0; i < subject->count; i++) {
      const size_t which = (i + round) % subject->count;
      const bench_side *side = &subject->sides[which];
      if (starts(side->name, options->only)) {
        spent[which][round] = time_pass(side);
      }
    }
    round++;
  }
  return round;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Sorts the values. */
static quartiles quartiles_of(double *values, size_t count) {
  quartiles result;
  qsort(values, count, sizeof(*values), by_value);
  result.low = values[count / 4];
  result.median = values[count / 2];
  result.high = values[count - 1 - count / 4];
  return result;
}

static size_t find_side(const bench_case *subject, const char *name) {
  for (size_t i = 0; i < subject->count; i++) {
    if (strcmp(subject->sides[i].name, name) == 0) {
      return i;
    }
  }
  bench_fail("compared with a side that is not there");
}

/* How fast a side is, measured by another: 2 is twice as fast. */
static void write_ratio(const bench_options *options, const double *spent,
                        const double *other, size_t rounds, const char *name) {
  static times ratios;
  quartiles ratio;
  for (size_t i = 0; i < rounds; i++) {
    ratios[i] = other[i] / spent[i];
  }
  ratio = quartiles_of(ratios, rounds);
  fprintf(options->out,
          "{\"side\": \"%s\", \"speed\": %.4f, \"low\": %.4f, \"high\": %.4f}",
          name, ratio.median, ratio.low, ratio.high);
}

static void write_side(const bench_options *options, const bench_case *subject,
                       times *spent, size_t which, size_t rounds) {
  const bench_side *side = &subject->sides[which];
  static times own;
  quartiles ns;
  for (size_t i = 0; i < rounds; i++) {
    own[i] = spent[which][i] / (double)subject->messages;
  }
  ns = quartiles_of(own, rounds);
  fprintf(
      options->out,
      "{\"case\": \"%s\", \"side\": \"%s\", \"rounds\": %zu, \"bytes\": %zu,"
      " \"ns\": %.1f, \"low\": %.1f, \"high\": %.1f, \"packed\": %.4f, "
      "\"against\": [",
      subject->name, side->name, rounds, subject->bytes / subject->messages,
      ns.median, ns.low, ns.high, side->packed);
  for (size_t i = 0; i < BENCH_AGAINST_MAX && side->against[i] != NULL; i++) {
    fputs(i > 0 ? ", " : "", options->out);
    write_ratio(options, spent[which],
                spent[find_side(subject, side->against[i])], rounds,
                side->against[i]);
  }
  fputs("]}\n", options->out);
}

void bench_measure(const bench_options *options, const bench_case *subject) {
  static times spent[BENCH_SIDES_MAX];
  const size_t rounds = run_rounds(options, subject, spent);
  fprintf(stderr, "bench: %s, %zu rounds\n", subject->name, rounds);
  if (options->only != NULL) {
    return; /* one side has nothing to be compared with */
  }
  for (size_t i = 0; i < subject->count; i++) {
    write_side(options, subject, spent, i, rounds);
  }
  fflush(options->out);
}

void bench_fact(const bench_options *options, const char *name, double value,
                const char *unit) {
  fprintf(options->out,
          "{\"fact\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", name,
          value, unit);
}

void bench_note(const bench_options *options, const char *name,
                const char *text) {
  fprintf(options->out, "{\"fact\": \"%s\", \"text\": \"%s\"}\n", name, text);
}
