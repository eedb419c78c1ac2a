/* bench.h - how benchmarks measure: sides of a case that run in turns.
 *
 * Machines are noisy, and each other's neighbours. So a figure is never one
 * run's time but a ratio: all sides of a case run one pass after the other,
 * again and again, each round beginning with another side; each round gives
 * one ratio for each pair, and what is told is their median, with the quartiles
 * as its spread. What comes out is a line of JSON for each side, which
 * report.py puts into tables.
 */
#ifndef NWS_BENCH_H
#define NWS_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { BENCH_SIDES_MAX = 12, BENCH_AGAINST_MAX = 3, BENCH_ROUNDS_MAX = 2000 };

/* Something that does the same work as the other sides of its case. */
typedef struct bench_side {
  const char *name;
  const char *against[BENCH_AGAINST_MAX]; /* sides it is compared with; NULL */
  void (*prepare)(void *user); /* before each pass, not timed; NULL: nothing */
  void (*run)(void *user);     /* one pass */
  void *user;
  double packed; /* what a byte became on the wire; 0: not told */
} bench_side;

typedef struct bench_case {
  const char *name;
  size_t messages; /* in one pass */
  size_t bytes;    /* of the application's, in one pass */
  bench_side sides[BENCH_SIDES_MAX];
  size_t count;
} bench_case;

/* What the command line asks for. */
typedef struct bench_options {
  double seconds;   /* for each case */
  size_t rounds;    /* instead, if not 0: for counting instructions */
  const char *only; /* sides whose name begins so; NULL: all */
  const char *pick; /* cases whose name begins so; NULL: all */
  FILE *out;        /* JSON, one object a line */
} bench_options;

/* Reads [--seconds S] [--rounds N] [--case NAME] [--side NAME] [--out FILE];
 * ends the program when it does not understand. */
bench_options bench_parse(int argc, char **argv);

/* Whether a case is wanted. */
int bench_wants(const bench_options *options, const char *name);

/* Measures a case and writes its lines. */
void bench_measure(const bench_options *options, const bench_case *subject);

/* Writes a figure that is no time, such as bytes. */
void bench_fact(const bench_options *options, const char *name, double value,
                const char *unit);

/* Writes what something is, such as a version. */
void bench_note(const bench_options *options, const char *name,
                const char *text);

/* Ends the program, for what must not happen. */
_Noreturn void bench_fail(const char *what);
/* malloc() that does not fail. */
void *bench_alloc(size_t len);

#endif
