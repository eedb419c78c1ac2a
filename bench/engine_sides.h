/* engine_sides.h - the sides of the benchmark of the engine: the bound, the
 * engine, libwslay and Boost.Beast, each receiving the same stream; and for
 * sending, encoders written by hand beside the engine.
 *
 * A side's `run` does one pass over the stream, in chunks of CHUNK_LEN, and
 * leaves in `found` what it was told of it: so that a side that does less than
 * it should is found out.
 */
#ifndef NWS_ENGINE_SIDES_H
#define NWS_ENGINE_SIDES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CHUNK_LEN = 64 * 1024 }; /* what a read gives */

/* Messages as a client sends them, each in a frame. */
typedef struct stream {
  const uint8_t *wire; /* as it comes */
  uint8_t *input;      /* the same, for sides that unmask in place */
  size_t len;
  size_t count; /* of messages */
  size_t payload_len;
  int text;
} stream;

/* What a pass has received. */
typedef struct tally {
  size_t messages;
  size_t bytes;
} tally;

/* A side that receives. */
typedef struct receiver {
  const stream *from;
  tally found;
  void *state;
  void (*run)(void *receiver);
} receiver;

/* engine_bound.c: nothing but what has to be done */
void bound_receive(void *receiver);
size_t bound_frame(uint8_t *to, const uint8_t *payload, size_t len);
size_t bound_header(uint8_t *to, size_t len);
size_t bound_masked_frame(uint8_t *to, const uint8_t *payload, size_t len,
                          const uint8_t key[4]);

/* engine_nws.c: a server's connection, with every default */
void engine_open(receiver *side);
void engine_receive(void *receiver);
void engine_close(receiver *side);

/* engine_wslay.c */
void wslay_open(receiver *side);
void wslay_receive(void *receiver);
void wslay_close(receiver *side);
const char *wslay_version(void);

/* engine_beast.cpp */
void beast_open(receiver *side);
void beast_receive(void *receiver);
void beast_close(receiver *side);
const char *beast_boost(void);

#ifdef __cplusplus
}
#endif

#endif
