/* fuzz.h - what the fuzzing harnesses share: a cursor over the input, memory
 * that ends where it says, and streams of frames.
 *
 * A harness is one file with LLVMFuzzerTestOneInput(). It draws decisions and
 * bytes from the input with a cursor, calls the library, and checks what must
 * hold whatever came. The same file is linked with libFuzzer, with the driver
 * for AFL++ (fuzz_afl.c), or with the one that replays files (fuzz_replay.c).
 *
 * Harnesses are to be fast: memory comes from one static arena, and nothing
 * large is cleared.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include <nws/base.h>
#include <nws/conn.h>

/* Takes one input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What must hold. Unlike assert() it is there in every build. */
#define FUZZ_CHECK(condition)                                                  \
  ((condition) ? (void)0 : fuzz_failed(#condition, __FILE__, __LINE__))

_Noreturn void fuzz_failed(const char *what, const char *file, int line);

/* --- The input --- */

/** What is left of the input. An empty one gives zeros. */
typedef struct fuzz_cursor {
  const uint8_t *data;
  size_t len;
} fuzz_cursor;

static inline unsigned fuzz_u8(fuzz_cursor *c) {
  if (c->len == 0) {
    return 0;
  }
  c->len--;
  return *c->data++;
}

static inline unsigned fuzz_u16(fuzz_cursor *c) {
  const unsigned high = fuzz_u8(c);
  return high << 8 | fuzz_u8(c);
}

/** The next bytes, at most `*len` of them, which is set to how many. (Not to be
 *  called among the arguments of a call that also reads `len`: C leaves open
 *  which comes first.) */
static inline const uint8_t *fuzz_take(fuzz_cursor *c, size_t *len) {
  const uint8_t *at = c->data;
  *len = *len < c->len ? *len : c->len;
  c->data += *len;
  c->len -= *len;
  return at;
}

/** The next of a sequence of numbers that look random. */
static inline unsigned fuzz_next(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

/* --- Memory --- */

/* The most bytes that one input can get. */
#define FUZZ_ARENA ((size_t)1 << 20)

/** Takes all blocks back. To be called first. */
void fuzz_begin(void);

/** A block of exactly `len` bytes: with AddressSanitizer, a touch beyond it at
 *  either side ends the run. Its content is undetermined. */
void *fuzz_block(size_t len);
void *fuzz_copy(const void *data, size_t len);

/** Ends a block's life: from now on nothing may touch it. */
void fuzz_drop(void *block, size_t len);

/** Reads all of the bytes. */
void fuzz_look(const void *data, size_t len);

/** How many bytes can be had still. */
size_t fuzz_room(void);

/** An allocator in the arena. */
extern const nws_allocator fuzz_allocator;

/** Bytes that grow up to a capacity, beyond which the harness is at fault. */
typedef struct fuzz_bytes {
  uint8_t *data;
  size_t len;
  size_t cap;
} fuzz_bytes;

void fuzz_add(fuzz_bytes *bytes, const void *data, size_t len);
int fuzz_equal(const fuzz_bytes *a, const fuzz_bytes *b);

/* --- Randomness --- */

/** A source that depends on the calls before it and nothing else. With
 *  `failing`, some calls fail. Its user is the struct itself. */
typedef struct fuzz_random {
  nws_random source;
  uint32_t seed;
  int failing;
} fuzz_random;

void fuzz_random_init(fuzz_random *random, uint32_t seed, int failing);

/* --- Frames --- */

/** A sender of frames that keep to the rules, but for the faults that the input
 *  asks for. */
typedef struct fuzz_frames {
  unsigned masked; /**< 1: frames carry a masking key */
  unsigned opcode; /**< of the unfinished message, or 0 */
  unsigned rsv;    /**< reserved bits that messages may begin with */
  size_t text_at;  /**< where the next text goes on */
} fuzz_frames;

/** The most bytes of a frame. */
#define FUZZ_FRAME_MAX 176

/** Writes a frame, or something that just might look like one, as the input
 *  says. Returns its length, at most FUZZ_FRAME_MAX. */
size_t fuzz_frame(fuzz_frames *frames, fuzz_cursor *c, uint8_t *out);

/** Fills `out` with the bytes of a stream until the input or the room is used
 *  up: raw ones for raw != 0, or frames. Returns how many. */
size_t fuzz_stream(fuzz_frames *frames, fuzz_cursor *c, int raw, uint8_t *out,
                   size_t cap);

/* --- Rules, written a second time --- */

/** How many of the bytes can be part of a valid text, found the slow way;
 *  `cut` is set to whether a character is cut behind them (RFC 3629). */
size_t fuzz_utf8(const uint8_t *text, size_t len, int *cut);

/** Whether a code may stand in a close frame (RFC 6455 7.4). */
int fuzz_close_code(unsigned code);

/* --- Extensions --- */

/** How an extension of these decodes payload. */
enum {
  FUZZ_COPIES,  /**< as it is */
  FUZZ_EXPANDS, /**< each byte up to three times, some not at all */
  FUZZ_ADDS,    /**< and three bytes more at the end of a message */
  FUZZ_KINDS
};

/* The byte that is not allowed in what they decode. */
#define FUZZ_FORBIDDEN 0xee

/** The state of an extension on a connection. */
typedef struct fuzz_extension {
  int kind;
  unsigned have; /**< how often `byte` is still to be given */
  uint8_t byte;
  int ended; /**< the bytes at the message's end have been given */
  int in;    /**< the message that arrives is transformed */
  int out;   /**< the message that is sent is transformed */
  const fuzz_random *failing; /**< encoding fails when this does; or NULL */
} fuzz_extension;

/** Two extensions that transform messages with RSV1 and RSV2, and own opcode 3
 *  and 11; the third owns RSV3 and does nothing. */
extern const nws_extension fuzz_extensions[3];

/** Puts those into use that `which` names, bit n for extension n. Returns how
 *  many. `states` is cleared. */
size_t fuzz_use(unsigned which, fuzz_extension states[3],
                nws_extension_use uses[3]);

#endif
