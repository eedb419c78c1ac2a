/* deflate_sides.h - the sides of the benchmark of compression: plain calls of
 * the libraries, the engine, and Boost.Beast, each for sending and receiving
 * the same messages.
 *
 * A side's `make` takes what it needs, its `run` does one pass over all
 * messages, and its `bytes` tells what the last pass made: so that a side that
 * does less than it should is found out.
 */
#ifndef NWS_DEFLATE_SIDES_H
#define NWS_DEFLATE_SIDES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TAIL_LEN = 4 };

/* Messages of one length, one behind the other. */
typedef struct messages {
  const uint8_t *text;
  size_t len;
  size_t count;
} messages;

/* How they are compressed. */
typedef struct setting {
  int level; /* of zlib; 0: ISA-L */
  int takeover;
} setting;

/* Messages compressed. Behind each in `data` stand the four bytes that
 * RFC 7692 7.2.1 does not send; `wire` has client's frames. */
typedef struct packed {
  uint8_t *data;
  size_t *at; /* where each begins; one more than there are */
  uint8_t *wire;
  size_t wire_len;
  size_t count;
  size_t text_len; /* of each */
  int takeover;
} packed;

/* deflate_messages.c */
messages messages_make(size_t len, size_t count);
packed packed_make(const messages *texts, const setting *how);
void packed_free(packed *what);

/* Versions. */
const char *library_zlib(void);
const char *library_isal(void);
const char *beast_boost(void);

/* deflate_library.c: what there is to do without a protocol */
typedef struct library_out library_out;
library_out *library_out_make(const messages *texts, const setting *how);
void library_out_run(void *out);
size_t library_out_bytes(const library_out *out); /* without the tails */
void library_out_free(library_out *out);
/* Compresses message `i` to `to`, which has room; returns the length. */
size_t library_out_one(library_out *out, size_t i, uint8_t *to, size_t cap);

typedef struct library_in library_in;
library_in *library_in_make(const packed *input);
void library_in_run(void *in);
size_t library_in_bytes(const library_in *in);
void library_in_free(library_in *in);

/* deflate_engine.c: a server's connection */
typedef struct engine_out engine_out;
engine_out *engine_out_make(const messages *texts, const setting *how);
void engine_out_run(void *out);
size_t engine_out_bytes(const engine_out *out); /* without frame headers */
void engine_out_free(engine_out *out);

typedef struct engine_in engine_in;
engine_in *engine_in_make(const packed *input);
void engine_in_prepare(void *in); /* the input, which unmasking changes */
void engine_in_run(void *in);
size_t engine_in_bytes(const engine_in *in);
void engine_in_free(engine_in *in);

/* deflate_beast.cpp: a server's stream */
typedef struct beast_out beast_out;
beast_out *beast_out_make(const messages *texts, const setting *how);
void beast_out_run(void *out);
size_t beast_out_bytes(const beast_out *out); /* frame headers included */
void beast_out_free(beast_out *out);

typedef struct beast_in beast_in;
beast_in *beast_in_make(const packed *input);
void beast_in_run(void *in);
size_t beast_in_bytes(const beast_in *in);
void beast_in_free(beast_in *in);

#ifdef __cplusplus
}
#endif

#endif
