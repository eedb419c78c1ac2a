/* choice_x86.c - the resolvers by which the loader binds the best kernels of
 * this CPU; see cpu.h. Where there is no such loader, mask_variants.h and
 * utf8_variants.h name the kernels instead, and this file is empty.
 */
#include "cpu_x86.h"
#include "mask_variants.h"
#include "utf8_variants.h"

#if NWS__IFUNC

static NWS__EARLY __attribute__((used)) nws__mask_kernel *choose_mask(void) {
  return nws__cpu_has() & NWS__CPU_AVX2 ? nws__mask_avx2 : nws__mask_sse2;
}

static NWS__EARLY __attribute__((used)) nws__utf8_kernel *choose_utf8(void) {
  const unsigned has = nws__cpu_has();
  if ((has & NWS__CPU_AVX2) != 0) {
    return nws__utf8_avx2;
  }
  return has & NWS__CPU_SSSE3 ? nws__utf8_ssse3 : nws__utf8_portable;
}

nws__mask_kernel nws__mask_chosen __attribute__((ifunc("choose_mask")));
nws__utf8_kernel nws__utf8_chosen __attribute__((ifunc("choose_utf8")));

#endif
