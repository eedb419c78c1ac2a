/* fuzz_help.c - memory, randomness and complaints of the harnesses.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_include)
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

void fuzz_failed(const char *what, const char *file, int line) {
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  abort();
}

/* --- Memory --- */

enum { ALIGN = 16, REDZONE = 16 };

static _Alignas(ALIGN) uint8_t arena[FUZZ_ARENA];
static size_t used;

void fuzz_begin(void) {
  static int done;
  ASAN_POISON_MEMORY_REGION(arena, done ? used : sizeof(arena));
  done = 1;
  used = 0;
}

size_t fuzz_room(void) {
  const size_t room = sizeof(arena) - used;
  return room > 2 * REDZONE ? room - 2 * REDZONE : 0;
}

void *fuzz_block(size_t len) {
  uint8_t *at = arena + used + REDZONE;
  FUZZ_CHECK(len <= fuzz_room());
  ASAN_UNPOISON_MEMORY_REGION(at, len);
  used += REDZONE + (len + ALIGN - 1) / ALIGN * ALIGN;
  return at;
}

void *fuzz_copy(const void *data, size_t len) {
  void *block = fuzz_block(len);
  if (len > 0) {
    memcpy(block, data, len);
  }
  return block;
}

void fuzz_drop(void *block, size_t len) {
  ASAN_POISON_MEMORY_REGION(block, len);
  (void)block;
  (void)len;
}

void fuzz_look(const void *data, size_t len) {
  const uint8_t *bytes = data;
  static volatile uint8_t seen; /* so that reading is not optimised away */
  for (size_t i = 0; i < len; i++) {
    seen = seen ^ bytes[i];
  }
}

/* Blocks never grow in place, so that old pointers show. */
static void *resize(void *user, void *ptr, size_t old_len, size_t new_len) {
  void *block = NULL;
  (void)user;
  FUZZ_CHECK((ptr == NULL) == (old_len == 0));
  if (new_len > 0) {
    if (new_len > fuzz_room()) {
      return NULL;
    }
    block = fuzz_block(new_len);
    if (ptr != NULL) {
      memcpy(block, ptr, old_len < new_len ? old_len : new_len);
    }
  }
  if (ptr != NULL) {
    fuzz_drop(ptr, old_len);
  }
  return block;
}

const nws_allocator fuzz_allocator = {resize, NULL};

void fuzz_add(fuzz_bytes *bytes, const void *data, size_t len) {
  FUZZ_CHECK(len <= bytes->cap - bytes->len);
  if (len > 0) {
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
  }
}

int fuzz_equal(const fuzz_bytes *a, const fuzz_bytes *b) {
  return a->len == b->len &&
         (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* --- Randomness --- */

static int fill(void *user, void *out, size_t len) {
  fuzz_random *random = user;
  uint8_t *bytes = out;
  for (size_t i = 0; i < len; i++) {
    bytes[i] = (uint8_t)fuzz_next(&random->seed);
  }
  return random->failing && fuzz_next(&random->seed) % 4 == 0;
}

void fuzz_random_init(fuzz_random *random, uint32_t seed, int failing) {
  random->source.fill = fill;
  random->source.user = random;
  random->seed = seed;
  random->failing = failing;
}
