/* cpu_x86.h - asks an x86 CPU what it has, for the resolvers of choice_x86.c
 * and for tests that try every variant.
 *
 * Everything here is in registers and calls nothing, as resolvers run while
 * the program is still being put together: sanitizers must keep out too.
 */
#ifndef NWS_CPU_X86_H
#define NWS_CPU_X86_H

#include "cpu.h"

#if NWS__X86

#include <cpuid.h>

#if __has_attribute(disable_sanitizer_instrumentation)
#define NWS__UNWATCHED __attribute__((disable_sanitizer_instrumentation))
#else
#define NWS__UNWATCHED                                                         \
  __attribute__((no_sanitize("address"), no_sanitize("thread"),                \
                 no_sanitize("undefined")))
#endif

/* In static programs, before stacks can be protected. */
#if __has_attribute(no_stack_protector)
#define NWS__EARLY NWS__UNWATCHED __attribute__((no_stack_protector))
#else
#define NWS__EARLY NWS__UNWATCHED
#endif

enum { NWS__CPU_SSSE3 = 1, NWS__CPU_AVX2 = 2 };

/* Which registers the operating system saves: bit 1 SSE's, bit 2 AVX's. */
static inline NWS__EARLY unsigned nws__cpu_saved(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

/* The bits of NWS__CPU_… that hold. */
static inline NWS__EARLY unsigned nws__cpu_has(void) {
  const unsigned avx = 1u << 27 | 1u << 28; /* OSXSAVE, AVX */
  unsigned max, a, b, c, d, has = 0;
  __cpuid(0, max, b, c, d);
  __cpuid(1, a, b, c, d);
  if ((c & 1u << 9) != 0) {
    has |= NWS__CPU_SSSE3;
  }
  if (max < 7 || (c & avx) != avx || (nws__cpu_saved() & 6) != 6) {
    return has;
  }
  __cpuid_count(7, 0, a, b, c, d);
  if ((b & 1u << 5) != 0) {
    has |= NWS__CPU_AVX2;
  }
  return has;
}

#endif

#endif
