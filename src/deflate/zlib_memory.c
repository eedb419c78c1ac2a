/* zlib_memory.c - zlib frees blocks without telling their size, which an
 * nws_allocator must be told: so it stands in front of each.
 */
#define ZLIB_CONST
#include "zlib_memory.h"

#include <string.h>

/* As much as keeps blocks aligned for anything. */
enum { FRONT = 16 };

static voidpf zlib_alloc(voidpf user, uInt items, uInt size) {
  const nws_allocator *allocator = user;
  size_t len;
  uint8_t *block;
  if (size > 0 && items > (SIZE_MAX - FRONT) / size) {
    return Z_NULL;
  }
  len = (size_t)items * size + FRONT;
  block = allocator->resize(allocator->user, NULL, 0, len);
  if (block == NULL) {
    return Z_NULL;
  }
  memcpy(block, &len, sizeof(len));
  return block + FRONT;
}

static void zlib_release(voidpf user, voidpf address) {
  const nws_allocator *allocator = user;
  uint8_t *block = (uint8_t *)address - FRONT;
  size_t len;
  memcpy(&len, block, sizeof(len));
  allocator->resize(allocator->user, block, len, 0);
}

void nws__zlib_memory(z_stream *stream, const nws_allocator *allocator) {
  memset(stream, 0, sizeof(*stream));
  stream->zalloc = zlib_alloc;
  stream->zfree = zlib_release;
  stream->opaque = (voidpf)allocator;
}
