/* mask_variants.h - the kernels behind nws_mask(), and what they share.
 *
 * Long payloads are done by a kernel, short ones by mask_internal.h. Each
 * kernel is a file: mask_portable.c works everywhere, and compilers make
 * vectors of it, some better than others; the others are for one instruction
 * set, written once in mask_vector.h for vectors of any width. cpu.h tells how
 * NWS__MASK_KERNEL comes to name the one that serves.
 *
 * Words are loaded and stored with memcpy, which compilers turn into one
 * unaligned instruction where there is one, and into what is right elsewhere.
 */
#ifndef NWS_MASK_VARIANTS_H
#define NWS_MASK_VARIANTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cpu.h"

/* Kernels get payloads longer than this. */
#define NWS__MASK_SHORT 32

/* What is not ASCII, in a word of eight bytes. */
#define NWS__HIGH_BITS 0x8080808080808080u

/* A kernel masks `len` > NWS__MASK_SHORT bytes from `src` to `dst`, which are
 * the same or do not overlap. `pattern` is the key twice, as the bytes lie in
 * memory, turned so that its first byte meets src[0]. Returns 0 if all that it
 * wrote is ASCII, anything else if not: in a vector that is at hand this costs
 * next to nothing, while a pass of its own would cost as much as masking. */
typedef int nws__mask_kernel(uint8_t *dst, const uint8_t *src, size_t len,
                             uint64_t pattern);

nws__mask_kernel nws__mask_portable NWS__HIDDEN;
nws__mask_kernel nws__mask_sse2 NWS__HIDDEN;   /* NWS__X86 */
nws__mask_kernel nws__mask_avx2 NWS__HIDDEN;   /* NWS__X86, if the CPU has it */
nws__mask_kernel nws__mask_neon NWS__HIDDEN;   /* NWS__NEON */
nws__mask_kernel nws__mask_chosen NWS__HIDDEN; /* NWS__IFUNC */

#if NWS__IFUNC
#define NWS__MASK_KERNEL nws__mask_chosen
#elif NWS__AVX2_SURE
#define NWS__MASK_KERNEL nws__mask_avx2
#elif NWS__X86
#define NWS__MASK_KERNEL nws__mask_sse2
#elif NWS__NEON
#define NWS__MASK_KERNEL nws__mask_neon
#else
#define NWS__MASK_KERNEL nws__mask_portable
#endif

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

/* The pattern as it stands `by` bytes further on. Both halves are the same, so
 * turning by 32 is turning by 0. Compilers know this form as one instruction.
 */
static inline uint64_t nws__mask_turn(uint64_t pattern, size_t by) {
  const unsigned right = 8 * (unsigned)(by & 3);
  const unsigned shift = nws__mask_little_endian() ? right : 32 - right;
  return pattern >> shift | pattern << ((64 - shift) & 63);
}

#endif
