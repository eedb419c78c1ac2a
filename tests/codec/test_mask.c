/* test_mask.c - nws_mask() against an oracle that masks byte by byte: every
 * alignment of source and destination, offset and length around the places
 * where the code changes its way, with guards around the destination.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <nws/mask.h>

#include <stdlib.h>
#include <string.h>

enum { GUARD = 32, ALIGN = 16, LENGTHS = 131, SIZE = 4 * GUARD + 256 };

static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};

/* RFC 6455 5.3: transformed-octet-i = original-octet-i XOR key[i MOD 4]. */
static void oracle(uint8_t *dst, const uint8_t *src, size_t len,
                   uint64_t offset) {
  for (size_t i = 0; i < len; i++) {
    dst[i] = (uint8_t)(src[i] ^ key[(offset + i) % 4]);
  }
}

static void fill(uint8_t *to, size_t len, unsigned seed) {
  for (size_t i = 0; i < len; i++) {
    seed = seed * 1103515245u + 12345u;
    to[i] = (uint8_t)(seed >> 16);
  }
}

/* Compares the whole arena, guards included: cheaper than one assertion a
 * byte, and a failure still tells where. */
static void expect_arena(const uint8_t *got, const uint8_t *want, size_t size,
                         size_t len, uint64_t offset) {
  if (memcmp(got, want, size) == 0) {
    return;
  }
  print_error("length %zu, offset %llu\n", len, (unsigned long long)offset);
  assert_memory_equal(got, want, size);
}

static void check_copy(const uint8_t *src, size_t to, size_t len,
                       uint64_t offset) {
  uint8_t arena[SIZE], want[SIZE];
  memset(arena, 0xA5, sizeof(arena));
  memset(want, 0xA5, sizeof(want));
  oracle(want + GUARD + to, src, len, offset);
  nws_mask(arena + GUARD + to, src, len, key, offset);
  expect_arena(arena, want, sizeof(arena), len, offset);
}

static void check_in_place(const uint8_t *plain, size_t to, size_t len,
                           uint64_t offset) {
  uint8_t arena[SIZE], want[SIZE];
  memset(arena, 0xA5, sizeof(arena));
  memset(want, 0xA5, sizeof(want));
  memcpy(arena + GUARD + to, plain, len);
  oracle(want + GUARD + to, plain, len, offset);
  nws_mask(arena + GUARD + to, arena + GUARD + to, len, key, offset);
  expect_arena(arena, want, sizeof(arena), len, offset);
}

static void copies_at_every_alignment(void **unused) {
  uint8_t source[SIZE], before[SIZE];
  (void)unused;
  fill(source, sizeof(source), 1);
  memcpy(before, source, sizeof(source));
  for (size_t from = 0; from < ALIGN; from++) {
    for (size_t to = 0; to < ALIGN; to++) {
      for (size_t len = 0; len < LENGTHS; len++) {
        check_copy(source + from, to, len, len + from + to);
      }
    }
  }
  assert_memory_equal(source, before, sizeof(source));
}

static void turns_the_key_to_every_offset(void **unused) {
  static const uint64_t far[] = {
      ((uint64_t)1 << 32) - 1, ((uint64_t)1 << 32) + 3, (uint64_t)1 << 63,
      ((uint64_t)1 << 63) + 1, UINT64_MAX - 1,          UINT64_MAX};
  uint8_t source[SIZE];
  (void)unused;
  fill(source, sizeof(source), 2);
  for (size_t len = 0; len < LENGTHS; len++) {
    for (uint64_t offset = 0; offset < 16; offset++) {
      check_copy(source + 3, 5, len, offset);
    }
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
      check_copy(source + 3, 5, len, far[i]);
    }
  }
}

static void masks_in_place(void **unused) {
  uint8_t source[SIZE];
  (void)unused;
  fill(source, sizeof(source), 3);
  for (size_t to = 0; to < ALIGN; to++) {
    for (size_t len = 0; len < LENGTHS; len++) {
      for (uint64_t offset = 0; offset < 4; offset++) {
        check_in_place(source, to, len, offset);
      }
    }
  }
}

/* Source and destination may touch, in both orders. */
static void masks_to_a_neighbour(void **unused) {
  (void)unused;
  for (size_t len = 1; len < LENGTHS; len++) {
    uint8_t arena[2 * LENGTHS], want[LENGTHS], source[LENGTHS];
    fill(source, len, (unsigned)len);
    oracle(want, source, len, 1);
    memcpy(arena, source, len);
    nws_mask(arena + len, arena, len, key, 1);
    assert_memory_equal(arena + len, want, len);
    assert_memory_equal(arena, source, len);
    memcpy(arena + len, source, len);
    nws_mask(arena, arena + len, len, key, 1);
    assert_memory_equal(arena, want, len);
    assert_memory_equal(arena + len, source, len);
  }
}

/* Exact heap blocks: a sanitizer sees any byte read or written beyond. */
static void stays_within_the_block(void **unused) {
  (void)unused;
  for (size_t len = 1; len < 300; len++) {
    uint8_t *source = malloc(len);
    uint8_t *got = malloc(len);
    uint8_t *want = malloc(len);
    assert_true(source != NULL && got != NULL && want != NULL);
    fill(source, len, (unsigned)len);
    oracle(want, source, len, len);
    nws_mask(got, source, len, key, len);
    assert_memory_equal(got, want, len);
    free(source);
    free(got);
    free(want);
  }
}

/* A frame masked in pieces is the same as masked whole: 64 KiB and more at
 * every phase, cut at every place of a short one. */
static void pieces_make_the_whole(void **unused) {
  const size_t len = 65536 + 77;
  uint8_t *source = malloc(len);
  uint8_t *got = malloc(len);
  uint8_t *want = malloc(len);
  (void)unused;
  assert_true(source != NULL && got != NULL && want != NULL);
  fill(source, len, 4);
  for (uint64_t offset = 0; offset < 8; offset++) {
    oracle(want, source, len, offset);
    nws_mask(got, source, len, key, offset);
    assert_memory_equal(got, want, len);
  }
  oracle(want, source, 100, 0);
  for (size_t cut = 0; cut <= 100; cut++) {
    memset(got, 0, 100);
    nws_mask(got, source, cut, key, 0);
    nws_mask(got + cut, source + cut, 100 - cut, key, cut);
    assert_memory_equal(got, want, 100);
  }
  free(source);
  free(got);
  free(want);
}

static void takes_null_with_no_bytes(void **unused) {
  uint8_t byte = 7;
  (void)unused;
  nws_mask(NULL, NULL, 0, key, 3);
  nws_mask(&byte, NULL, 0, key, 0);
  assert_int_equal(byte, 7);
}

/* The masked "Hello" of RFC 6455 5.7. */
static void agrees_with_the_rfc(void **unused) {
  static const uint8_t want[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
  char text[] = "Hello";
  (void)unused;
  nws_mask(text, text, 5, key, 0);
  assert_memory_equal(text, want, 5);
  nws_mask(text, text, 5, key, 0);
  assert_string_equal(text, "Hello");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(copies_at_every_alignment),
      cmocka_unit_test(turns_the_key_to_every_offset),
      cmocka_unit_test(masks_in_place),
      cmocka_unit_test(masks_to_a_neighbour),
      cmocka_unit_test(stays_within_the_block),
      cmocka_unit_test(pieces_make_the_whole),
      cmocka_unit_test(takes_null_with_no_bytes),
      cmocka_unit_test(agrees_with_the_rfc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
