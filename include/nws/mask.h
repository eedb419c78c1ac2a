/* mask.h - the masking of payload (RFC 6455 5.3): each byte is XORed with one
 * of the four bytes of the key, in turn. Masking and unmasking are the same.
 */
#ifndef NWS_MASK_H
#define NWS_MASK_H

#include <nws/base.h>

NWS_BEGIN_DECLS

/** Masks `len` bytes from `src` to `dst` (RFC 6455 5.3).
 *
 *  @param dst     where the result goes: the same as `src` (in place) or a
 *                 region that does not overlap it; any alignment
 *  @param src     `len` bytes; any alignment; unchanged unless it is `dst`
 *  @param len     bytes; with 0 nothing is touched and pointers may be NULL
 *  @param key     the four bytes of the masking key, in wire order
 *  @param offset  how many payload bytes of the frame came before `src[0]`
 */
NWS_API void nws_mask(void *dst, const void *src, size_t len,
                      const uint8_t key[4], uint64_t offset);

NWS_END_DECLS

#endif
