/* sha1_internal.h - SHA-1 in steps: the compression function, which is the one
 * piece worth having in several variants (the build links one file that
 * defines it, sha1_portable.c serves everywhere), and the hashing of a text
 * that lies in pieces, as a handshake's key and GUID do.
 */
#ifndef NWS_CODEC_SHA1_INTERNAL_H
#define NWS_CODEC_SHA1_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

enum { NWS__SHA1_BLOCK = 64 };

typedef struct nws__sha1 {
  uint32_t state[5];
  uint64_t len;                   /* bytes taken so far */
  uint8_t block[NWS__SHA1_BLOCK]; /* the last len % 64 of them */
} nws__sha1;

/* Feeds `count` blocks of 64 bytes, at any alignment, into the state (FIPS
 * 180-4 6.1.2). */
void nws__sha1_block(uint32_t state[5], const uint8_t *blocks, size_t count);

void nws__sha1_begin(nws__sha1 *hash);
void nws__sha1_add(nws__sha1 *hash, const void *data, size_t len);
void nws__sha1_end(nws__sha1 *hash, uint8_t digest[20]);

#endif
