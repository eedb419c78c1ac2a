/* cpu.h - what the codec may ask of the processor, and how a variant for it is
 * chosen.
 *
 * The instructions that an architecture guarantees are used without asking:
 * SSE2 on x86-64, NEON on AArch64. More than that (SSSE3, AVX2) is used where
 * the dynamic loader can choose: a symbol that is an "indirect function" of ELF
 * is bound once, before main(), to what its resolver says, and the pointer is
 * read-only afterwards. So the core keeps no state for it, and asks the CPU
 * once per process. docs/decisions/0009-variants.md has the reasons.
 *
 * This is the only file that asks what is being compiled for. Variants are
 * files that are empty elsewhere.
 */
#ifndef NWS_CPU_H
#define NWS_CPU_H

#include <string.h> /* tells which C library this is */

#if defined(__GNUC__) && defined(__x86_64__) && defined(__SSE2__)
#define NWS__X86 1
#else
#define NWS__X86 0
#endif

#if defined(__GNUC__) && defined(__AARCH64EL__) && defined(__ARM_NEON)
#define NWS__NEON 1
#else
#define NWS__NEON 0
#endif

/* Whether the compiler was told that every CPU has it. */
#if NWS__X86 && defined(__SSSE3__)
#define NWS__SSSE3_SURE 1
#else
#define NWS__SSSE3_SURE 0
#endif

#if NWS__X86 && defined(__AVX2__)
#define NWS__AVX2_SURE 1
#else
#define NWS__AVX2_SURE 0
#endif

/* Whether there is a loader that binds indirect functions: glibc's, also in
 * static programs. Firmware has none, and musl's does not know them. */
#if NWS__X86 && !NWS__AVX2_SURE && defined(__ELF__) && defined(__GLIBC__) &&   \
    __STDC_HOSTED__
#define NWS__IFUNC 1
#else
#define NWS__IFUNC 0
#endif

/* Of what is only called from within, hidden even where the build forgets to:
 * resolvers run before symbols of other objects can be looked up. */
#if defined(__GNUC__) && defined(__ELF__)
#define NWS__HIDDEN __attribute__((visibility("hidden")))
#else
#define NWS__HIDDEN
#endif

/* For what is a few instructions wherever it is used, and for what would only
 * be in the way of such: compilers guess by size. */
#if defined(__GNUC__)
#define NWS__INLINE static inline __attribute__((always_inline))
#define NWS__APART static __attribute__((noinline))
#else
#define NWS__INLINE static inline
#define NWS__APART static
#endif

/* Lets one function use instructions that others may not. */
#if NWS__X86
#define NWS__TARGET(name) __attribute__((target(name)))
#endif

#endif
