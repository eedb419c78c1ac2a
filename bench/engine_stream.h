/* engine_stream.h - the messages of the engine's benchmark. */
#ifndef NWS_ENGINE_STREAM_H
#define NWS_ENGINE_STREAM_H

#include "engine_sides.h"

enum content { CONTENT_BINARY, CONTENT_ASCII, CONTENT_MIXED };

/* `count` messages of `len` bytes, the same in every run. */
stream stream_make(size_t len, size_t count, enum content content);

/* Undoes what unmasking in place did to the input. */
void stream_restore(const stream *what);

void stream_free(stream *what);

#endif
