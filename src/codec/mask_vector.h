/* mask_vector.h - masking in vectors, written once for all of them.
 *
 * A file for one instruction set includes its vec_….h, which defines the type
 * `vec`, its width and the operations, and then this. Intrinsics rather than a
 * plain loop: what compilers make of a loop differs by a factor of three.
 *
 * The first and the last vector are loaded before the loop and stored after
 * it. So the loop may begin at any byte of the first, which is where stores are
 * aligned, and may run into the last; it goes in whole vectors, and no byte is
 * ever masked alone. A byte that two vectors cover gets the same value twice,
 * since each was loaded before the other was stored; in place too.
 */
#ifndef NWS_MASK_VECTOR_H
#define NWS_MASK_VECTOR_H

#include "mask_variants.h"

/* From this length on, what crosses a cache line costs more than finding out
 * where lines begin; below, a loop whose length depends on the address would
 * be mispredicted. */
enum { ALIGN_FROM = 512 };

VEC_FN vec mask_one(uint8_t *dst, const uint8_t *src, vec key) {
  const vec v = vec_xor(vec_load(src), key);
  vec_store(dst, v);
  return v;
}

/* All four loads come before all stores: the compiler cannot know that source
 * and result are apart, and would wait for each. */
VEC_FN vec mask_four(uint8_t *dst, const uint8_t *src, vec key) {
  const vec a = vec_xor(vec_load(src), key);
  const vec b = vec_xor(vec_load(src + VEC), key);
  const vec c = vec_xor(vec_load(src + 2 * VEC), key);
  const vec d = vec_xor(vec_load(src + 3 * VEC), key);
  vec_store(dst, a);
  vec_store(dst + VEC, b);
  vec_store(dst + 2 * VEC, c);
  vec_store(dst + 3 * VEC, d);
  return vec_or(vec_or(a, b), vec_or(c, d));
}

VEC_FN int mask_vectors(uint8_t *dst, const uint8_t *src, size_t len,
                        uint64_t pattern) {
  const size_t last = len - VEC;
  const vec key_last = vec_fill(nws__mask_turn(pattern, last));
  const vec tail = vec_xor(vec_load(src + last), key_last);
  const vec head = vec_xor(vec_load(src), vec_fill(pattern));
  const size_t over = len < ALIGN_FROM ? 0 : (uintptr_t)dst % VEC;
  const vec key = vec_fill(nws__mask_turn(pattern, VEC - over));
  vec seen = vec_or(head, tail);
  size_t i = VEC - over;
  for (; len - i >= 4 * VEC; i += 4 * VEC) {
    seen = vec_or(seen, mask_four(dst + i, src + i, key));
  }
  for (; i < last; i += VEC) {
    seen = vec_or(seen, mask_one(dst + i, src + i, key));
  }
  vec_store(dst, head);
  vec_store(dst + last, tail);
  return vec_high(seen);
}

#endif
