/* deflate.h - permessage-deflate (RFC 7692): messages compressed on the wire,
 * as an extension that connections take like any other.
 *
 *     nws_deflate deflate;
 *     nws_deflate_config how = {.size = sizeof(how)};
 *     const nws_extension *known[] = {&deflate.base};
 *     how.memory_budget = 64 * 1024;
 *     if (nws_deflate_init(&deflate, &how) != NWS_OK)
 *       return;
 *     policy.extensions = known;
 *     policy.extension_count = 1;
 *     ...
 *     nws_server_handshake_accept(&hs, NULL, head, sizeof(head), &head_len);
 *     config.scratch = scratch; // where messages are inflated to
 *     config.scratch_len = sizeof(scratch);
 *     nws_conn_init(&conn, NWS_ROLE_SERVER, &config, hs.extensions,
 *                   hs.extension_count);
 *     ...
 *     nws_conn_send(&conn, NWS_OPCODE_TEXT, text, len, out, cap, &out_len);
 *     nws_conn_send(&conn, NWS_OPCODE_TEXT | NWS_SEND_PLAIN, secret, len, out,
 *                   cap, &out_len);
 *     ...
 *     nws_extension_release(hs.extensions, hs.extension_count);
 *     nws_deflate_free(&deflate);
 *
 * A server puts it into nws_server_policy.extensions, a client into
 * nws_client_offer.extensions; one object serves both roles, and all the
 * connections of a thread. Received messages need nws_conn_config.scratch, of
 * any size from 1 byte up: some KiB make it fast. With net.h it may stay NULL.
 *
 * Names say send and receive, so that they mean the same in both roles: what
 * RFC 7692 calls server_max_window_bits is a server's send_window_bits and a
 * client's receive_window_bits.
 *
 * Memory. A direction with context takeover (the default) remembers the last
 * messages, and costs each connection a state of its own from its first
 * compressed message on. A direction without borrows one while a message
 * passes, so that connections whose messages do not overlap share one. What
 * each setting costs is measured in docs/compression.md; nws_deflate_cost()
 * asks the libraries at hand.
 *
 * Secrets. Compressing what an attacker chose together with what he shall not
 * know shows him, by its length, when he guessed right (RFC 7692 8). Send such
 * messages with NWS_SEND_PLAIN, or without takeover.
 *
 * What a peer gets wrong ends its connection: NWS_ERROR_RSV for the bit on a
 * control or continuation frame, NWS_ERROR_EXTENSION for data that is not
 * DEFLATE or does not end where the message does, NWS_ERROR_MESSAGE_LIMIT for
 * more than `max_ratio`; and NWS_ERROR_MEMORY where inflating cannot go on.
 */
#ifndef NWS_DEFLATE_H
#define NWS_DEFLATE_H

#include <nws/base.h>
#include <nws/error.h>
#include <nws/extension.h>
#include <nws/prepared.h>

NWS_BEGIN_DECLS

/** How a state for compressing is to be. */
typedef struct nws_deflate_setting {
  unsigned window_bits; /**< 8 to 15: no distance beyond 2^window_bits */
  unsigned level;       /**< 1 (fast) to 9 (small) */
  unsigned mem_level;   /**< 1 (little memory) to 9 */
} nws_deflate_setting;

/** What compresses: raw DEFLATE (RFC 1951) of a library's. There are two,
 *  nws_deflate_zlib() and nws_deflate_isal(); yours can be a third. */
typedef struct nws_deflate_backend {
  size_t size;              /**< sizeof(nws_deflate_backend) */
  const char *name;         /**< for logs; static */
  unsigned min_window_bits; /**< the smallest window it keeps to; for smaller
                                 ones zlib is used */

  /** Makes a state. @return it, or NULL when the allocator gives nothing.
   *  @param allocator  lives as long as the state; all memory is from there */
  void *(*make)(const nws_allocator *allocator,
                const nws_deflate_setting *setting);

  /** Compresses all of the input and flushes, so that the output ends with an
   *  empty stored block on a byte boundary: 00 00 ff ff.
   *  @param in   `in_len` bytes, at least 1
   *  @param out  `cap` bytes, at least bound(in_len)
   *  @param len  set: bytes written
   *  @return NWS_OK or an error, after which the state is reset before it is
   *          used again. */
  int (*compress)(void *state, const uint8_t *in, size_t in_len, uint8_t *out,
                  size_t cap, size_t *len);

  /** Forgets what was compressed: the next output refers to nothing before. */
  void (*reset)(void *state);

  /** Gives a state back. */
  void (*free)(void *state);

  /** The most that `compress` can write for `len` bytes, with any setting; at
   *  least 1, grows with `len`. */
  size_t (*bound)(size_t len);
} nws_deflate_backend;

/** zlib's API: zlib, or zlib-ng's compatible build. The default. */
NWS_API const nws_deflate_backend *nws_deflate_zlib(void);

/** Intel's ISA-L: several times as fast on short messages as zlib at level 1.
 *  It has no levels, and each state costs 82 KB whatever the window. NULL when
 *  the library was built without it. */
NWS_API const nws_deflate_backend *nws_deflate_isal(void);

/** How to compress. Everything may be 0 but `size`. */
typedef struct nws_deflate_config {
  size_t size; /**< sizeof(nws_deflate_config) */

  /* What is agreed upon in the handshake (RFC 7692 7.1). What concerns sending
   * is kept to whatever the peer says. */
  uint8_t send_no_takeover;    /**< 1: each message we send stands alone */
  uint8_t receive_no_takeover; /**< 1: ask this of the peer's messages */
  uint8_t send_window_bits;    /**< 8 to 15: we refer back no further than
                                    2^bits bytes; 0: 15 */
  uint8_t receive_window_bits; /**< the same, asked of the peer; 0: 15 */
  uint8_t insist; /**< 1: no compression with a peer that does not agree to
                       what is asked of it; otherwise it is used without. A
                       server can always have no takeover, but smaller windows
                       of those clients only that offer them */

  /* How we compress. */
  uint8_t level;     /**< 1 to 9; 0: 6 */
  uint8_t mem_level; /**< 1 to 9; 0: 8 */
  size_t min_size;   /**< messages of fewer bytes are sent plain, if they are
                          sent in one frame; 0: 32; 1: all but empty ones are
                          compressed */

  /* Limits. */
  uint64_t max_ratio;   /**< bytes that a compressed byte received may become,
                             in messages that inflate to more than 64 KiB; 0:
                             1032, which is all that DEFLATE can do. Whatever
                             it is, nws_conn_config.max_message holds */
  size_t memory_budget; /**< bytes that one connection may hold in the end: the
                             window bits and mem_level left 0 become the
                             largest that fit, and when none do there is no
                             takeover. Of a peer that does not limit its window
                             no takeover is asked instead, and where it does
                             not agree to either there is no compression. What
                             a connection has anyway, some 150 bytes, is held
                             whatever the budget. 0: no budget */
  size_t max_idle;      /**< states for no takeover that are kept for the next
                             message, of each kind; 0: 4 */

  const nws_allocator *allocator; /**< borrowed until all is given back; NULL:
                                       malloc() and free() */
  const nws_deflate_backend *backend; /**< borrowed likewise; NULL: zlib */
} nws_deflate_config;

/** Private: what the connections of one nws_deflate share. */
typedef struct nws_deflate_pool nws_deflate_pool;

/** The extension. One object per thread; it must not be moved while
 *  handshakes or connections use it. */
typedef struct nws_deflate {
  nws_extension base;     /**< what handshakes take */
  nws_deflate_pool *pool; /**< private */
} nws_deflate;

/** Sets it up. All memory is given back by nws_deflate_free().
 *  @param config  copied; NULL for all defaults
 *  @return NWS_OK; NWS_ERROR_CONFIG (a size or a field out of its range);
 *          NWS_ERROR_MEMORY; NWS_ERROR_ARGUMENT. After an error the object is
 *          all zero, which can be freed. */
NWS_API int nws_deflate_init(nws_deflate *deflate,
                             const nws_deflate_config *config);

/** Gives everything back that is not in use. Release the connections first
 *  (nws_extension_release()): memory of those that were not goes with their
 *  own release, which still reads `base`. NULL does nothing. */
NWS_API void nws_deflate_free(nws_deflate *deflate);

/* --- Agreeing --- */

/** What two peers have agreed upon, as one of them sees it (RFC 7692 7.1). */
typedef struct nws_deflate_params {
  uint8_t send_no_takeover;    /**< 1 or 0 */
  uint8_t receive_no_takeover; /**< 1 or 0 */
  uint8_t send_window_bits;    /**< 8 to 15 */
  uint8_t receive_window_bits; /**< 8 to 15 */
} nws_deflate_params;

/** Tells what was agreed upon.
 *  @param uses    the extensions in use on a connection
 *  @param count   how many
 *  @param params  filled when the result is 1
 *  @return 1 when permessage-deflate is among them; 0 */
NWS_API int nws_deflate_agreed(const nws_extension_use *uses, size_t count,
                               nws_deflate_params *params);

/** Fills a use without a handshake, for both ends know already, or for a
 *  recording that is looked at. Release it as any other.
 *  @param params  copied; window bits of 0 mean 15; NULL for all zero. What
 *                 the configuration says of them does not matter
 *  @param use     set from scratch
 *  @return NWS_OK; NWS_ERROR_ARGUMENT; NWS_ERROR_MEMORY. */
NWS_API int nws_deflate_use(const nws_deflate *deflate,
                            const nws_deflate_params *params,
                            nws_extension_use *use);

/* --- One message for many --- */

/** Makes a message that can be sent to any number of servers' connections with
 *  nws_conn_send_prepared(): it is framed once, and compressed once for each
 *  window size among those that have agreed upon this very `deflate`, when the
 *  first of them sends it. Connections without compression, and messages below
 *  `min_size`, send it plain. It belongs to the thread of `deflate`, and may
 *  outlive it.
 *
 *  On a connection with takeover it stands alone, and so does the connection's
 *  own next message.
 *
 *  @param opcode   NWS_OPCODE_TEXT, _BINARY or a custom one for data
 *  @param payload  `len` bytes, copied
 *  @param message  the result; give it back with nws_prepared_drop()
 *  @return NWS_OK; NWS_ERROR_ARGUMENT; NWS_ERROR_LENGTH; NWS_ERROR_TEXT_SEND;
 *          NWS_ERROR_MEMORY. */
NWS_API int nws_deflate_prepare(const nws_deflate *deflate, unsigned opcode,
                                const void *payload, size_t len,
                                nws_prepared **message);

/* --- Memory --- */

/** Drops what a connection remembers of the messages it sent, if none is half
 *  sent: for one that has been silent a while. Legal at any time; its next
 *  message just does not refer back. What it remembers of received messages
 *  cannot be dropped: the peer may refer to it (without takeover there is
 *  nothing).
 *  @return the bytes that the connection holds no more. */
NWS_API size_t nws_deflate_drop_idle(nws_extension_use *uses, size_t count);

/** The bytes that a connection holds now. */
NWS_API size_t nws_deflate_held(const nws_extension_use *uses, size_t count);

/** The bytes that are allocated now, for all connections and for later. */
NWS_API size_t nws_deflate_memory(const nws_deflate *deflate);

/** The most bytes that one connection holds, between messages, with a
 *  configuration that its peers agree to. Found by trying, with the
 *  configuration's allocator.
 *  @param config  NULL for all defaults
 *  @param bytes   the result
 *  @return NWS_OK; NWS_ERROR_CONFIG; NWS_ERROR_MEMORY; NWS_ERROR_ARGUMENT. */
NWS_API int nws_deflate_cost(const nws_deflate_config *config, size_t *bytes);

NWS_END_DECLS

#endif
