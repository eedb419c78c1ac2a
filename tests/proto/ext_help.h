/* ext_help.h - streams, connections and their events, for the tests of the
 * extension interface.
 *
 * A stream is fed in many cuttings, each time from blocks of exactly the size
 * that move between calls, with scratch of many sizes. What must not depend on
 * any of that is the merged log: the pieces of a frame joined, then one line
 * per frame, control frame or fault:
 *
 *     text 1 rsv 40 BbeE wire 3 "aaaaa"
 *     ping "hi"
 *     fault extension 1007
 */
#ifndef EXT_HELP_H
#define EXT_HELP_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <nws/conn.h>
#include <nws/error.h>

#include "ext_samples.h"

/** Bytes that grow. Start with all zero; ext_bytes_free() in the end. */
typedef struct ext_bytes {
  uint8_t *data;
  size_t len;
  size_t cap;
} ext_bytes;

void ext_bytes_add(ext_bytes *bytes, const void *data, size_t len);
void ext_bytes_fill(ext_bytes *bytes, int byte, size_t len);
void ext_bytes_free(ext_bytes *bytes);

/** Adds a frame whose first byte is `first`; masked or not. */
void ext_frame(ext_bytes *stream, unsigned first, const void *payload,
               size_t len, int masked);

/** A connection to be opened: role, configuration and extensions. */
typedef struct ext_setup {
  nws_role role;
  nws_conn_config config;
  const ext_sample *samples[NWS_EXTENSIONS_MAX];
} ext_setup;

/** A connection with all that it borrows. It stays where it is. */
typedef struct ext_rig {
  nws_conn conn;
  nws_conn_config config;
  nws_random random;
  uint32_t drawn; /**< how many times randomness was asked for */
  int random_fails;
  nws_extension_use uses[NWS_EXTENSIONS_MAX];
  size_t use_count;
  nws_spill spill;
  uint8_t *scratch;
} ext_rig;

/** Fills in what a setup leaves open and makes the states; the connection is
 *  then opened by ext_rig_open(), or by the test. */
void ext_rig_make(ext_rig *rig, const ext_setup *setup, size_t scratch_len);
void ext_rig_open(ext_rig *rig, const ext_setup *setup, size_t scratch_len);
void ext_rig_close(ext_rig *rig);

/** How a stream is cut: `first` bytes, then `step` at a time. */
typedef struct ext_cut {
  size_t first;
  size_t step;
  int lend_late; /**< lend the spill only when it is asked for, and take it
                      back when it can be had */
  int move;      /**< the connection, and the rest of the input, change their
                      places between calls */
  int shrink;    /**< between calls the input is cut again, in half */
} ext_cut;

/** Feeds a stream, checks each event by itself and appends the merged log. */
void ext_feed(ext_rig *rig, const ext_bytes *stream, const ext_cut *cut,
              ext_bytes *log);

/** Feeds a stream in every cutting with every size of scratch; the log must
 *  always be `want`. */
void ext_sweep(const ext_setup *setup, const ext_bytes *stream,
               const char *want);

/** Feeds a stream once, whole, and compares the log. */
void ext_once(const ext_setup *setup, const ext_bytes *stream,
              const char *want);

/** Feeds a stream in one block; it must be a binary message of one frame, with
 *  just this payload. */
void ext_expect_message(const ext_setup *setup, const ext_bytes *stream,
                        const ext_bytes *want, size_t scratch_len);

/** Sends a frame with exactly nws_conn_send_room() of room, which must do. With
 *  one byte less it must not do and change nothing, which is tried with what
 *  begins a message that may be encoded. Appends what was written. */
void ext_send(ext_rig *rig, unsigned what, const void *payload, size_t len,
              ext_bytes *stream);

#endif
