/* mask_variants.h - the kernels behind nws_mask(), and what they share.
 *
 * nws_mask() turns the key so that it begins at the first byte and hands long
 * payloads to a kernel. mask_portable.c works everywhere, and compilers make
 * vectors of it. A kernel for one architecture is a file beside it that is
 * empty elsewhere, so that compiling every file of the folder stays enough; it
 * is declared here, and NWS__MASK_KERNEL names the one that serves: directly
 * where the architecture guarantees its instructions, or else by a function
 * that asks the CPU each time, as the core keeps no mutable state.
 *
 * Words are loaded and stored with memcpy, which compilers turn into one
 * unaligned instruction where there is one, and into what is right elsewhere.
 */
#ifndef NWS_MASK_VARIANTS_H
#define NWS_MASK_VARIANTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Kernels get payloads longer than this; up to it nws_mask() has better. */
#define NWS__MASK_SHORT 32

/* A kernel masks `len` > NWS__MASK_SHORT bytes from `src` to `dst`, which are
 * the same or do not overlap. `pattern` is the key twice, as the bytes lie in
 * memory, turned so that its first byte meets src[0]. */
typedef void nws__mask_kernel(uint8_t *dst, const uint8_t *src, size_t len,
                              uint64_t pattern);

nws__mask_kernel nws__mask_portable;

/* The kernel of this build. */
#define NWS__MASK_KERNEL nws__mask_portable

static inline uint64_t nws__mask_load(const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, sizeof(word));
  return word;
}

static inline void nws__mask_store(uint8_t *to, uint64_t word) {
  memcpy(to, &word, sizeof(word));
}

/* Compilers know the answer, so no preprocessor has to. */
static inline int nws__mask_little_endian(void) {
  const uint16_t one = 1;
  uint8_t first;
  memcpy(&first, &one, 1);
  return first;
}

/* The pattern as it stands `by` bytes further on. */
static inline uint64_t nws__mask_turn(uint64_t pattern, size_t by) {
  unsigned right = 8 * (unsigned)(by & 3);
  unsigned shift = nws__mask_little_endian() ? right : 32 - right;
  /* Both halves are the same, so turning by 32 is turning by 0; and the left
   * shift is done in two steps to keep it below 64. */
  return pattern >> shift | pattern << 1 << (63 - shift);
}

#endif
