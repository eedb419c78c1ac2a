/* sha1.c - SHA-1 around its compression function (FIPS 180-4): cutting into
 * blocks, padding, byte order. The work itself is nws__sha1_block().
 */
#include <nws/digest.h>
#include <string.h>
#include "sha1_internal.h"

enum { BLOCK = NWS__SHA1_BLOCK, LENGTH_AT = BLOCK - 8 };

static void store_be(uint8_t *out, uint32_t x) {
  out[0] = (uint8_t)(x >> 24);
  out[1] = (uint8_t)(x >> 16);
  out[2] = (uint8_t)(x >> 8);
  out[3] = (uint8_t)x;
}

void nws__sha1_begin(nws__sha1 *hash) {
  static const uint32_t start[5] = {0x67452301U, 0xefcdab89U, 0x98badcfeU,
                                    0x10325476U, 0xc3d2e1f0U};
  memcpy(hash->state, start, sizeof start);
  hash->len = 0;
}

void nws__sha1_add(nws__sha1 *hash, const void *data, size_t len) {
  const uint8_t *in = data;
  size_t held = (size_t)(hash->len % BLOCK);
  if (len == 0) {
    return;
  }
  hash->len += len;
  if (held > 0) {
    size_t part = len < BLOCK - held ? len : BLOCK - held;
    memcpy(hash->block + held, in, part);
    if (held + part < BLOCK) {
      return;
    }
    nws__sha1_block(hash->state, hash->block, 1);
    in += part;
    len -= part;
  }
  nws__sha1_block(hash->state, in, len / BLOCK);
  memcpy(hash->block, in + len / BLOCK * BLOCK, len % BLOCK);
}

void nws__sha1_end(nws__sha1 *hash, uint8_t digest[NWS_SHA1_LEN]) {
  static const uint8_t padding[BLOCK] = {0x80};
  uint64_t bits = hash->len * 8;
  size_t held = (size_t)(hash->len % BLOCK);
  uint8_t length[8];
  /* A rest that leaves no room for the mark and the length takes two blocks
   * (FIPS 180-4 5.1.1). */
  size_t gap = (held < LENGTH_AT ? LENGTH_AT : LENGTH_AT + BLOCK) - held;
  nws__sha1_add(hash, padding, gap);
  store_be(length, (uint32_t)(bits >> 32));
  store_be(length + 4, (uint32_t)bits);
  nws__sha1_add(hash, length, sizeof length);
  for (size_t i = 0; i < 5; i++) {
    store_be(digest + i * 4, hash->state[i]);
  }
}

void nws_sha1(const void *data, size_t len, uint8_t digest[NWS_SHA1_LEN]) {
  nws__sha1 hash;
  nws__sha1_begin(&hash);
  nws__sha1_add(&hash, data, len);
  nws__sha1_end(&hash, digest);
}
