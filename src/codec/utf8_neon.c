/* utf8_neon.c - UTF-8 with NEON; empty elsewhere. */
#include "utf8_variants.h"

#if NWS__NEON

#include "vec_neon.h"

VEC_FN vec vec_table(const uint8_t table[16]) {
  return vec_load(table);
}

VEC_FN vec vec_lookup(vec table, vec nibbles) {
  return vqtbl1q_u8(table, nibbles);
}

VEC_FN vec vec_low4(vec v) {
  return vandq_u8(v, vdupq_n_u8(0x0F));
}

VEC_FN vec vec_shr4(vec v) {
  return vshrq_n_u8(v, 4);
}

VEC_FN vec vec_and(vec a, vec b) {
  return vandq_u8(a, b);
}

VEC_FN vec vec_high_bits(vec v) {
  return vandq_u8(v, vdupq_n_u8(0x80));
}

/* Less `by`, but not less than 0. */
VEC_FN vec vec_less(vec v, int by) {
  return vqsubq_u8(v, vdupq_n_u8((uint8_t)by));
}

VEC_FN vec vec_before1(vec v) {
  return vextq_u8(vdupq_n_u8(0), v, 15);
}

VEC_FN vec vec_before2(vec v) {
  return vextq_u8(vdupq_n_u8(0), v, 14);
}

VEC_FN vec vec_before3(vec v) {
  return vextq_u8(vdupq_n_u8(0), v, 13);
}

VEC_FN int vec_any(vec v) {
  return vmaxvq_u8(v) != 0;
}

#include "utf8_vector.h"

size_t nws__utf8_neon(const uint8_t *text, size_t len) {
  return check_vectors(text, len);
}

#endif
