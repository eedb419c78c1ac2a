/* run_vectors.c - runs the conformance vectors of Markdown files.
 *
 *     run_vectors tests/vectors/rfc6455-*.md
 *
 * Each vector's log must be the one that its file gives, and must be the same
 * whole, at every split in two, byte by byte and in random pieces, with the
 * spill area lent for good and lent on demand.
 */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Inputs beyond this length are long. */
#define SHORT_MAX 4096
/* How many offsets at either end of a long input are split both ways. */
#define EDGE 32
/* How many times an input is cut in random places. */
#define RANDOM_RUNS 200
#define RANDOM_RUNS_LONG 10

typedef struct tally {
  size_t cases;
  size_t runs;
  size_t failed;
  bytes frame; /* room for the players */
} tally;

static bytes play(const vector *v, const manner *how, tally *to) {
  bytes log = {0};
  if (v->handshake)
    handshake_play(v, how, &log);
  else
    conn_play(v, how, &to->frame, &log);
  to->runs++;
  return log;
}

/* --- Comparing --- */

/* In a handshake the vector may leave the offset of a fault open, which no
 * standard settles: `fault host` expects any `fault host at …`. */
static int same_line(const vector *v, const char *want, size_t want_len,
                     const char *got, size_t got_len) {
  if (v->handshake && want_len < got_len && strncmp(want, "fault ", 6) == 0 &&
      strncmp(got + want_len, " at ", 4) == 0)
    got_len = want_len;
  return want_len == got_len && memcmp(want, got, got_len) == 0;
}

static size_t line_len(const bytes *text, size_t at) {
  size_t len = 0;
  while (at + len < text->len && text->data[at + len] != '\n')
    len++;
  return len;
}

/* The number of the first line that differs, from 0; -1 when none does. */
static int first_difference(const vector *v, const bytes *want,
                            const bytes *got, size_t *want_at, size_t *got_at) {
  int line = 0;
  *want_at = *got_at = 0;
  while (*want_at < want->len && *got_at < got->len) {
    size_t want_len = line_len(want, *want_at);
    size_t got_len = line_len(got, *got_at);
    if (!same_line(v, (char *)want->data + *want_at, want_len,
                   (char *)got->data + *got_at, got_len))
      return line;
    *want_at += want_len + 1;
    *got_at += got_len + 1;
    line++;
  }
  return *want_at < want->len || *got_at < got->len ? line : -1;
}

static void print_line(const char *name, const bytes *text, size_t at) {
  if (at < text->len)
    printf("    %s %.*s\n", name, (int)line_len(text, at),
           (const char *)text->data + at);
  else
    printf("    %s (the log ends)\n", name);
}

static void print_cuts(const manner *how) {
  printf("    spill lent %s; ", how->on_demand ? "on demand" : "for good");
  if (!how->cut_count)
    printf("input whole\n");
  else
    printf("input cut at");
  for (size_t i = 0; i < how->cut_count && i < 12; i++)
    printf(" %zu", how->cuts[i]);
  if (how->cut_count)
    printf(how->cut_count > 12 ? " ... (%zu cuts)\n" : " (%zu cuts)\n",
           how->cut_count);
}

static int compare(const vector *v, const bytes *want, const bytes *got,
                   const manner *how) {
  size_t want_at;
  size_t got_at;
  int line = first_difference(v, want, got, &want_at, &got_at);
  if (line < 0)
    return 0;
  printf("%s:%d: FAILED %s\n", v->file, v->log_line + line, v->title);
  print_cuts(how);
  print_line("expected:", want, want_at);
  print_line("got:     ", got, got_at);
  printf("    the whole log:\n");
  for (size_t at = 0; at < got->len; at += line_len(got, at) + 1)
    printf("      %.*s\n", (int)line_len(got, at),
           (const char *)got->data + at);
  return -1;
}

/* --- Ways to cut --- */

static int run_manner(const vector *v, const bytes *whole, const manner *how,
                      tally *to) {
  bytes log = play(v, how, to);
  /* Between runs offsets of faults must agree, too. */
  vector strict = *v;
  strict.handshake = 0;
  int differs = compare(&strict, whole, &log, how);
  bytes_free(&log);
  return differs;
}

static int run_cuts(const vector *v, const bytes *whole, const size_t *cuts,
                    size_t count, tally *to) {
  manner for_good = {cuts, count, 0};
  manner on_demand = {cuts, count, 1};
  int failed = run_manner(v, whole, &for_good, to);
  return failed ? failed : run_manner(v, whole, &on_demand, to);
}

/* Long inputs have so many splits that lending for good and on demand take
 * turns, but for the edges. */
static int take_turns(size_t at, size_t len) {
  return len > SHORT_MAX && at > EDGE && len - at > EDGE;
}

static int run_splits(const vector *v, const bytes *whole, tally *to) {
  size_t len = v->input.len;
  int failed = 0;
  for (size_t at = 1; at < len && !failed; at++) {
    manner how = {&at, 1, at % 2};
    failed = take_turns(at, len) ? run_manner(v, whole, &how, to)
                                 : run_cuts(v, whole, &at, 1, to);
  }
  return failed;
}

static uint32_t next_random(uint32_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 17;
  *seed ^= *seed << 5;
  return *seed;
}

/* Byte by byte, and in random pieces of ever different mean length. */
static int run_pieces(const vector *v, const bytes *whole, tally *to) {
  size_t len = v->input.len;
  uint32_t seed = 6455;
  size_t *cuts = xalloc((len + 1) * sizeof(size_t));
  int failed = 0;
  for (size_t run = 0; run <= RANDOM_RUNS && !failed; run++) {
    size_t count = 0;
    if (run && (len < 3 || (len > SHORT_MAX && run > RANDOM_RUNS_LONG)))
      break;
    uint32_t one_in = run ? 2 + next_random(&seed) % 16 : 1;
    for (size_t at = 1; at < len; at++)
      if (next_random(&seed) % one_in == 0)
        cuts[count++] = at;
    failed = run_cuts(v, whole, cuts, count, to);
  }
  free(cuts);
  return failed;
}

static void run_vector(const vector *v, tally *to) {
  int failed = 0;
  bytes whole = {0};
  to->cases++;
  for (int on_demand = 0; on_demand < 2 && !failed; on_demand++) {
    manner how = {NULL, 0, on_demand};
    bytes_free(&whole);
    whole = play(v, &how, to);
    failed = compare(v, &v->log, &whole, &how);
  }
  if (!failed)
    failed = run_splits(v, &whole, to);
  if (!failed)
    failed = run_pieces(v, &whole, to);
  if (failed)
    to->failed++;
  bytes_free(&whole);
}

static int run_file(const char *path, tally *all) {
  vector *list = NULL;
  size_t count = 0;
  tally here = {0};
  int unreadable = vectors_read(path, &list, &count);
  for (size_t i = 0; i < count; i++)
    run_vector(list + i, &here);
  vectors_free(list, count);
  bytes_free(&here.frame);
  printf("[%s] %s: %zu cases, %zu runs, %zu failed\n",
         unreadable || here.failed ? "  FAILED  " : "    OK    ", path,
         here.cases, here.runs, here.failed);
  all->cases += here.cases;
  all->runs += here.runs;
  all->failed += here.failed;
  return unreadable;
}

int main(int argc, char **argv) {
  tally all = {0};
  int unreadable = 0;
  if (argc < 2) {
    fprintf(stderr, "usage: run_vectors file.md ...\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 1; i < argc; i++)
    unreadable |= run_file(argv[i], &all);
  printf("[==========] %zu cases, %zu runs, %zu failed\n", all.cases, all.runs,
         all.failed);
  return unreadable || all.failed ? 1 : 0;
}
