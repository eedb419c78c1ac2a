/* codec_variants.h - the kernels that this CPU can run, all of them, whichever
 * it would choose: each must give the same answers.
 */
#ifndef NWS_TESTS_CODEC_VARIANTS_H
#define NWS_TESTS_CODEC_VARIANTS_H

#include "../../src/codec/cpu_x86.h"
#include "../../src/codec/mask_variants.h"
#include "../../src/codec/utf8_variants.h"

typedef struct mask_variant {
  const char *name;
  nws__mask_kernel *kernel;
} mask_variant;

typedef struct utf8_variant {
  const char *name;
  nws__utf8_kernel *kernel;
} utf8_variant;

enum { MAX_VARIANTS = 4 };

#if NWS__X86

static inline size_t mask_variants(mask_variant out[MAX_VARIANTS]) {
  const unsigned has = nws__cpu_has();
  size_t n = 0;
  out[n++] = (mask_variant){"mask portable", nws__mask_portable};
  out[n++] = (mask_variant){"mask sse2", nws__mask_sse2};
  if ((has & NWS__CPU_AVX2) != 0) {
    out[n++] = (mask_variant){"mask avx2", nws__mask_avx2};
  }
  out[n++] = (mask_variant){"mask as chosen", NWS__MASK_KERNEL};
  return n;
}

static inline size_t utf8_variants(utf8_variant out[MAX_VARIANTS]) {
  const unsigned has = nws__cpu_has();
  size_t n = 0;
  out[n++] = (utf8_variant){"utf8 portable", nws__utf8_portable};
  if ((has & NWS__CPU_SSSE3) != 0) {
    out[n++] = (utf8_variant){"utf8 ssse3", nws__utf8_ssse3};
  }
  if ((has & NWS__CPU_AVX2) != 0) {
    out[n++] = (utf8_variant){"utf8 avx2", nws__utf8_avx2};
  }
  out[n++] = (utf8_variant){"utf8 as chosen", NWS__UTF8_KERNEL};
  return n;
}

#else

static inline size_t mask_variants(mask_variant out[MAX_VARIANTS]) {
  out[0] = (mask_variant){"mask portable", nws__mask_portable};
  out[1] = (mask_variant){"mask as chosen", NWS__MASK_KERNEL};
  return 2;
}

static inline size_t utf8_variants(utf8_variant out[MAX_VARIANTS]) {
  out[0] = (utf8_variant){"utf8 portable", nws__utf8_portable};
  out[1] = (utf8_variant){"utf8 as chosen", NWS__UTF8_KERNEL};
  return 2;
}

#endif

#endif
