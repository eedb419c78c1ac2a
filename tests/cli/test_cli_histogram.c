/* The histogram of nws bench, against sorting the values. Built from the
 * source, which no library holds.
 */
#define _POSIX_C_SOURCE 200809L /* for uv.h */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../src/cli/cli_histogram.c"

#define COUNT 20000

static const double asked[] = {0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* The value that a share of the sorted ones do not exceed. */
static uint64_t exact(const uint64_t *sorted, size_t count, double share) {
  size_t rank = (size_t)ceil(share * (double)count);
  return sorted[rank ? rank - 1 : 0];
}

static void expect_like(const histogram *h, uint64_t *values, size_t count) {
  qsort(values, count, sizeof(*values), compare);
  assert_int_equal(h->count, count);
  assert_true(h->min == values[0]);
  assert_true(h->max == values[count - 1]);
  for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
    uint64_t got = nws__cli_histogram_at(h, asked[i]);
    uint64_t want = exact(values, count, asked[i]);
    assert_true(got >= want);
    assert_true(got - want <= want / HISTOGRAM_STEPS);
    if (want < 2 * HISTOGRAM_STEPS)
      assert_true(got == want);
  }
}

static uint64_t random_bits(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* Values of every magnitude, up to `bits` bits. */
static void test_against_sorting(void **state) {
  (void)state;
  static uint64_t values[COUNT];
  uint64_t seed = 88172645463325252u;
  for (unsigned bits = 1; bits <= 64; bits++) {
    histogram *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    double sum = 0;
    for (size_t i = 0; i < COUNT; i++) {
      uint64_t value = random_bits(&seed) >> (64 - bits);
      value >>= random_bits(&seed) % bits;
      values[i] = value;
      sum += (double)value;
      nws__cli_histogram_add(h, value);
    }
    assert_true(h->sum == sum);
    expect_like(h, values, COUNT);
    free(h);
  }
}

/* Every bucket follows the one before, without a gap, and has what is in it. */
static void test_buckets(void **state) {
  (void)state;
  assert_int_equal(bucket_of(0), 0);
  assert_int_equal(bucket_of(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
  assert_true(top_of(HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
  for (size_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
    assert_int_equal(bucket_of(top_of(i)), i);
    assert_int_equal(bucket_of(top_of(i) + 1), i + 1);
  }
}

static void test_merge(void **state) {
  (void)state;
  static uint64_t values[3 * COUNT];
  uint64_t seed = 1;
  histogram *parts = calloc(4, sizeof(*parts));
  histogram *all = calloc(1, sizeof(*all));
  assert_non_null(parts);
  assert_non_null(all);
  for (size_t i = 0; i < 3 * COUNT; i++) {
    values[i] = random_bits(&seed) >> (20 + i % 3 * 10);
    nws__cli_histogram_add(&parts[i % 3], values[i]);
  }
  for (size_t i = 0; i < 4; i++) /* the last one is empty */
    nws__cli_histogram_merge(all, &parts[i]);
  expect_like(all, values, 3 * COUNT);
  assert_true(all->sum == parts[0].sum + parts[1].sum + parts[2].sum);
  free(parts);
  free(all);
}

static void test_empty(void **state) {
  (void)state;
  histogram *h = calloc(1, sizeof(*h));
  assert_non_null(h);
  assert_int_equal(nws__cli_histogram_at(h, 0.5), 0);
  free(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_sorting),
      cmocka_unit_test(test_buckets),
      cmocka_unit_test(test_merge),
      cmocka_unit_test(test_empty),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
