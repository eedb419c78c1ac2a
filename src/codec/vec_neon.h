/* vec_neon.h - vectors of 16 bytes, with what every AArch64 has (NEON). */
#ifndef NWS_VEC_NEON_H
#define NWS_VEC_NEON_H

#include <arm_neon.h>
#include <stdint.h>

typedef uint8x16_t vec;

enum { VEC = 16 };

#define VEC_FN static inline

VEC_FN vec vec_load(const uint8_t *from) {
  return vld1q_u8(from);
}

VEC_FN void vec_store(uint8_t *to, vec v) {
  vst1q_u8(to, v);
}

VEC_FN vec vec_fill(uint64_t word) {
  return vreinterpretq_u8_u64(vdupq_n_u64(word));
}

VEC_FN vec vec_xor(vec a, vec b) {
  return veorq_u8(a, b);
}

VEC_FN vec vec_or(vec a, vec b) {
  return vorrq_u8(a, b);
}

/* Not 0 if some byte is not ASCII. */
VEC_FN int vec_high(vec v) {
  return vmaxvq_u8(v) & 0x80;
}

#endif
