/* dfl_help.h - two ends that have shaken hands, bytes, memory that can fail,
 * and an inflater that looks at distances, for the tests of permessage-deflate.
 */
#ifndef DFL_HELP_H
#define DFL_HELP_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <nws/deflate.h>
#include <nws/nws.h>

/* --- Bytes --- */

/** Bytes that grow. Start with all zero; dfl_free() in the end. */
typedef struct dfl_bytes {
  uint8_t *data;
  size_t len;
  size_t cap;
} dfl_bytes;

void dfl_add(dfl_bytes *bytes, const void *data, size_t len);
void dfl_free(dfl_bytes *bytes);
void dfl_add_hex(dfl_bytes *bytes, const char *hex);
void dfl_equal(const dfl_bytes *bytes, const void *data, size_t len);

/** The next of a sequence of numbers that looks random. */
uint32_t dfl_number(uint32_t *seed);

/** A source that gives always the same. */
extern const nws_random dfl_random;

/** What messages are made of. */
typedef enum dfl_kind { DFL_NOISE, DFL_JSON, DFL_RUNS, DFL_KINDS } dfl_kind;

/** Adds `len` bytes of a kind. */
void dfl_add_kind(dfl_bytes *bytes, dfl_kind kind, size_t len, uint32_t *seed);

/** Adds a frame; masked or not. */
void dfl_add_frame(dfl_bytes *stream, unsigned first, const void *payload,
                   size_t len, int masked);

/* --- Memory --- */

/** Memory that is counted, checked, and fails on request. */
typedef struct dfl_memory {
  nws_allocator allocator; /**< hands out; its user is this struct */
  size_t live;             /**< bytes */
  size_t peak;             /**< the most of them */
  size_t blocks;
  size_t calls;   /**< allocations so far */
  size_t fail_at; /**< the call that fails, counted from 1; 0: none */
  int fail_on;    /**< all further ones fail too */
} dfl_memory;

void dfl_memory_init(dfl_memory *memory);

/* --- Inflating by hand --- */

/** Inflates a piece of a DEFLATE stream, with all that came before in `out`,
 *  and widens `farthest` to the largest distance. The piece ends where blocks
 *  end. */
void dfl_inflate(const uint8_t *data, size_t len, dfl_bytes *out,
                 size_t *farthest);

/* --- Two ends --- */

/** One end of a connection, with all that it borrows. */
typedef struct dfl_end {
  nws_conn conn;
  nws_conn_config config;
  nws_random random;
  nws_extension_use uses[NWS_EXTENSIONS_MAX];
  size_t use_count;
  nws_spill spill;
  uint8_t *scratch;
  dfl_bytes got;    /**< of the message that is arriving */
  dfl_bytes all;    /**< every message, each followed by its opcode and '|' */
  size_t messages;  /**< how many have come */
  size_t controls;  /**< how many pings and pongs */
  uint64_t largest; /**< of all events */
} dfl_end;

typedef struct dfl_pair {
  dfl_end client;
  dfl_end server;
  char offer[1024];  /**< the client's Sec-WebSocket-Extensions */
  char answer[1024]; /**< the server's; "" for none */
} dfl_pair;

/** Shakes hands; both configurations may be NULL for "without". Returns what
 *  the client says of it. Scratch of that size, or 4096 for 0. */
int dfl_shake(dfl_pair *pair, const nws_deflate *client,
              const nws_deflate *server, size_t scratch_len);
void dfl_part(dfl_pair *pair);

/** Opens an end without a handshake. */
void dfl_open(dfl_end *end, nws_role role, const nws_extension_use *uses,
              size_t count, const nws_conn_config *config, size_t scratch_len);
void dfl_close(dfl_end *end);

/** Opens an end that has agreed upon `params`. */
void dfl_open_with(dfl_end *end, nws_role role, const nws_deflate *deflate,
                   const nws_deflate_params *params, size_t scratch_len);

/** Sends a frame with exactly the room it asks for and appends it; with one
 *  byte less it does not go out. */
void dfl_send(dfl_end *end, unsigned what, const void *payload, size_t len,
              dfl_bytes *wire);

/** Feeds bytes, `step` at a time (0: at once), each piece in a block of its
 *  own. Returns NWS_OK or the fault. */
int dfl_feed(dfl_end *end, const uint8_t *data, size_t len, size_t step);

/** Sends a message, and lets the other end receive just that. */
void dfl_pass(dfl_end *from, dfl_end *to, unsigned what, const void *payload,
              size_t len);

/** The first frame of a stream, unmasked, and where its payload is. */
nws_frame dfl_frame(const dfl_bytes *wire, dfl_bytes *payload);

/** Sets up permessage-deflate, which must succeed. */
void dfl_init(nws_deflate *deflate, const nws_deflate_config *config);

/** The backends that there are: zlib, and ISA-L if it was built in. */
size_t dfl_backends(const nws_deflate_backend *backends[2]);

#endif
