/* bench_codec.c - masking and UTF-8 beside what the memory and the simplest
 * loops of this CPU give, in one run.
 *
 * Prints nanoseconds a call; the columns of a row are measured in turns, and
 * each is the best of many rounds, as everything else on a machine only adds.
 * The last column is a ratio: ours to memcpy(), to the state machine, or to
 * masking alone. Built by the preset bench.
 */
#include <nws/mask.h>
#include <nws/utf8.h>

#include "../src/codec/mask_variants.h"
#include "../src/codec/text_internal.h"
#include "../src/codec/utf8_variants.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 1 << 20, CHUNK = 1 << 16, GAP = 8, ROUNDS = 60 };

static const double round_ns = 100000;
static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};
static uint8_t *area, *other;
static size_t at;
static volatile size_t sink;

typedef void work(size_t len);

/* Payloads lie one behind the other, with a header between, as they come. The
 * same few bytes over and over would still be in the store buffer. */
static size_t next(size_t now, size_t len) {
  now += len + GAP;
  return now + len > CHUNK ? GAP : now;
}

static void copy(size_t len) {
  at = next(at, len);
  memcpy(other + at, area + at, len);
  __asm__ volatile("" : : "r"(other) : "memory");
}

/* The text book's loop, of which compilers make what they can. */
static void plain_mask(size_t len) {
  at = next(at, len);
  for (size_t i = 0; i < len; i++) {
    area[at + i] ^= key[i % 4];
  }
}

static void mask_in_place(size_t len) {
  at = next(at, len);
  nws_mask(area + at, area + at, len, key, 1);
}

static void mask_copying(size_t len) {
  at = next(at, len);
  nws_mask(other + at, area + at, len, key, 1);
}

static void mask_portable(size_t len) {
  at = next(at, len);
  if (len > NWS__MASK_SHORT) {
    sink = (size_t)nws__mask_portable(area + at, area + at, len, 0x1234abcd);
  } else {
    nws_mask(area + at, area + at, len, key, 1);
  }
}

static void utf8_walk(size_t len) {
  nws_utf8 state = NWS_UTF8_START;
  at = next(at, len);
  sink = nws__utf8_walk(&state, area + at, len);
}

static void utf8_check(size_t len) {
  nws_utf8 state = NWS_UTF8_START;
  at = next(at, len);
  sink = nws_utf8_check(&state, area + at, len);
}

/* The key is 0, so that text stays what it is: it does not change the work. */
static const uint8_t zero[4] = {0, 0, 0, 0};

static void text_mask(size_t len) {
  at = next(at, len);
  nws_mask(area + at, area + at, len, zero, 0);
}

static void text_two_passes(size_t len) {
  nws_utf8 state = NWS_UTF8_START;
  at = next(at, len);
  nws_mask(area + at, area + at, len, zero, 0);
  sink = nws_utf8_check(&state, area + at, len);
}

static void text_one_pass(size_t len) {
  nws_utf8 state = NWS_UTF8_START;
  at = next(at, len);
  sink = nws__text_unmask(&state, area + at, len, zero, 0);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double once(work *f, size_t len, unsigned calls) {
  const double start = now();
  for (unsigned i = 0; i < calls; i++) {
    f(len);
  }
  return (now() - start) / calls;
}

enum { COLUMNS = 5 };

static void row(const char *name, size_t len, work *const *works, size_t n,
                size_t over) {
  double best[COLUMNS];
  unsigned calls[COLUMNS];
  for (size_t i = 0; i < n; i++) {
    const double first = once(works[i], len, 100);
    calls[i] = first > round_ns ? 1 : (unsigned)(round_ns / first) + 1;
    best[i] = first;
  }
  for (int round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < n; i++) {
      const double ns = once(works[i], len, calls[i]);
      best[i] = ns < best[i] ? ns : best[i];
    }
  }
  printf("| %-6s %8zu ", name, len);
  for (size_t i = 0; i < n; i++) {
    printf("| %9.1f ", best[i]);
  }
  printf("| %5.2f |\n", best[n - 1] / best[over]);
}

/* Every place where next() may put a payload of `len` bytes holds text. */
static void fill_text(const char *piece, size_t len) {
  const size_t whole = strlen(piece);
  size_t start = GAP;
  memset(area, 'x', MOST + 2 * GAP);
  do {
    for (size_t i = 0; i + whole <= len; i += whole) {
      memcpy(area + start + i, piece, whole);
    }
    start = next(start, len);
  } while (start != GAP);
}

int main(void) {
  static const size_t sizes[] = {16, 125, 1024, 16384, MOST};
  static work *const masks[] = {copy, plain_mask, mask_portable, mask_copying,
                                mask_in_place};
  static work *const checks[] = {copy, utf8_walk, utf8_check};
  static work *const texts[] = {text_mask, text_two_passes, text_one_pass};
  static const char *const pieces[] = {"All of it is plain.",
                                       "Gr\xC3\xBC\xC3\x9F"
                                       "e aus\xC3\xBC"
                                       "den",
                                       "\xE3\x81\x93\xE3\x82\x93\xE3\x81\xAB",
                                       "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"};
  static const char *const names[] = {"ascii", "german", "kana", "mixed"};
  const size_t n = sizeof(sizes) / sizeof(sizes[0]);
  area = malloc(MOST + 4 * GAP);
  other = malloc(MOST + 4 * GAP);
  if (area == NULL || other == NULL) {
    return 1;
  }
  memset(other, 0, MOST + 4 * GAP);
  area += 6; /* no vector is aligned */
  printf("| mask  bytes     | memcpy    | plain     | portable  | copying   "
         "| in place  | :copy |\n");
  for (size_t i = 0; i < n; i++) {
    fill_text(pieces[0], sizes[i]);
    row("mask", sizes[i], masks, 5, 0);
  }
  printf("| utf8  bytes     | memcpy    | walk      | check     | :walk |\n");
  for (size_t k = 0; k < 4; k++) {
    for (size_t i = 0; i < n; i++) {
      fill_text(pieces[k], sizes[i]);
      row(names[k], sizes[i], checks, 3, 1);
    }
  }
  printf("| text  bytes     | mask      | and check | one pass  | :mask |\n");
  for (size_t k = 0; k < 4; k++) {
    for (size_t i = 0; i < n; i++) {
      fill_text(pieces[k], sizes[i]);
      row(names[k], sizes[i], texts, 3, 0);
    }
  }
  return 0;
}
