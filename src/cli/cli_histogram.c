/* cli_histogram.c - counts of times, from which percentiles come.
 *
 * Buckets are of equal width inside each power of two, and twice as wide in the
 * next: so every value is known to the same relative exactness, in constant
 * memory, and adding one costs a shift. The idea is that of Gil Tene's
 * HdrHistogram.
 */
#include "load.h"

static unsigned log2_of(uint64_t value) {
  unsigned log = 0;
  while (value >>= 1) {
    log++;
  }
  return log;
}

/* Values below 2 * HISTOGRAM_STEPS have a bucket each. */
static size_t bucket_of(uint64_t value) {
  if (value < 2 * HISTOGRAM_STEPS) {
    return (size_t)value;
  }
  unsigned shift = log2_of(value) - HISTOGRAM_STEPS_LOG2;
  return shift * HISTOGRAM_STEPS + (size_t)(value >> shift);
}

/* The greatest value in a bucket. */
static uint64_t top_of(size_t bucket) {
  if (bucket < 2 * HISTOGRAM_STEPS) {
    return bucket;
  }
  unsigned shift = (unsigned)(bucket / HISTOGRAM_STEPS - 1);
  uint64_t step = bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS;
  return (step << shift) + (((uint64_t)1 << shift) - 1);
}

void nws__cli_histogram_add(histogram *h, uint64_t value) {
  if (h->count == 0 || value < h->min) {
    h->min = value;
  }
  if (value > h->max) {
    h->max = value;
  }
  h->count++;
  h->sum += (double)value;
  h->buckets[bucket_of(value)]++;
}

void nws__cli_histogram_merge(histogram *to, const histogram *from) {
  if (from->count == 0) {
    return;
  }
  if (to->count == 0 || from->min < to->min) {
    to->min = from->min;
  }
  if (from->max > to->max) {
    to->max = from->max;
  }
  to->count += from->count;
  to->sum += from->sum;
  for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
    to->buckets[i] += from->buckets[i];
  }
}

uint64_t nws__cli_histogram_at(const histogram *h, double share) {
  double wanted = share * (double)h->count;
  uint64_t seen = 0;
  for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
    seen += h->buckets[i];
    if (seen && (double)seen >= wanted) {
      uint64_t top = top_of(i);
      return top < h->max ? top : h->max;
    }
  }
  return h->max;
}
