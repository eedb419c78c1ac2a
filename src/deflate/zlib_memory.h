/* zlib_memory.h - zlib's memory from an nws_allocator. */
#ifndef NWS_ZLIB_MEMORY_H
#define NWS_ZLIB_MEMORY_H

#include <nws/base.h>
#include <zlib.h>

/* Clears a stream and lets it allocate from `allocator`, which must stay where
 * it is for as long as the stream lives. */
void nws__zlib_memory(z_stream *stream, const nws_allocator *allocator);

#endif
