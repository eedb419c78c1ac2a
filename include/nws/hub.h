/* hub.h - topics: who is told what, inside a process and over all its loops
 * (libnws_net).
 *
 *     static void join(nws_peer *peer) {
 *       nws_hub_join(hub, peer, nws_str_of("news"));
 *     }
 *
 *     static void *report(void *unused) {
 *       nws_hub_publish(hub, nws_str_of("news"), NWS_OPCODE_TEXT, "rain", 4,
 *                       NULL);
 *       return unused;
 *     }
 *
 *     nws_handler handler = {.size = sizeof(handler), .open = join};
 *     nws_hub_new(NULL, &hub);
 *
 * join() runs in a loop's thread, report() in any.
 *
 * Publishing costs one wake-up for each loop that has members of the topic. The
 * loop frames the message once, and each member's queue refers to it: however
 * many there are, and however slow some of them read, its bytes are there once
 * for each loop. What a thread publishes arrives in that order. It is sent to
 * those who are members when it arrives at their loop; one that joins while it
 * is on its way may get it or not.
 */
#ifndef NWS_HUB_H
#define NWS_HUB_H

#include <nws/net.h>

NWS_BEGIN_DECLS

/** Topics and their members. Counted; used by any number of loops. */
typedef struct nws_hub nws_hub;

/** The longest name of a topic, in bytes. */
#define NWS_HUB_TOPIC_MAX 255

/** What becomes of a member whose write queue has no room for a message
 *  (NWS_ERROR_QUEUE). */
typedef enum nws_hub_slow {
  NWS_HUB_SKIP = 0, /**< it misses the message, which is counted: see
                         nws_hub_missed(); its `drain` comes when it has caught
                         up */
  NWS_HUB_DROP = 1  /**< it is dropped: `closed` has NWS_ERROR_QUEUE */
} nws_hub_slow;

/** A hub's options; copied. */
typedef struct nws_hub_options {
  size_t size;        /**< sizeof(nws_hub_options) */
  nws_hub_slow slow;  /**< what becomes of slow members; default: skip */
  size_t max_topics;  /**< topics that one peer may have joined at once;
                           default 64 */
  size_t max_waiting; /**< bytes of messages that may wait for one loop, with
                           what it takes to keep them; default 16 MiB */
  /** Prepares a message on a loop's thread, for instance with
   *  nws_deflate_prepare() and the loop's own nws_deflate, so that it is
   *  compressed once for all. NULL: nws_prepared_make(), which compresses
   *  nothing. Not asked about messages with NWS_SEND_PLAIN.
   *  @param user     `user` of these options
   *  @param message  the result
   *  @return NWS_OK, or an error: all members there miss the message. */
  int (*prepare)(void *user, nws_loop *loop, unsigned opcode,
                 const void *payload, size_t len, nws_prepared **message);
  void *user;
} nws_hub_options;

/** Makes a hub.
 *  @param options  NULL for all defaults
 *  @param hub      the result, held once
 *  @return NWS_OK; NWS_ERROR_ARGUMENT, NWS_ERROR_CONFIG (`slow` is none of the
 *          above), NWS_ERROR_MEMORY, NWS_ERROR_RANDOM. */
NWS_API int nws_hub_new(const nws_hub_options *options, nws_hub **hub);

/** Holds a hub once more, for one more thread. From any thread. */
NWS_API void nws_hub_keep(nws_hub *hub);

/** Holds it once less; members hold it too, until they leave. From any thread;
 *  NULL does nothing. */
NWS_API void nws_hub_drop(nws_hub *hub);

/** Makes a peer a member of a topic, which exists as long as it has members. On
 *  the loop's thread. When the connection ends the peer leaves by itself,
 *  before `closed`.
 *
 *  @param topic  1 to NWS_HUB_TOPIC_MAX bytes of any kind, compared exactly
 *  @return NWS_OK, also when it was a member before; NWS_ERROR_STATE: it is not
 *          open; NWS_ERROR_TOPICS: max_topics; NWS_ERROR_MEMORY;
 *          NWS_ERROR_ARGUMENT. */
NWS_API int nws_hub_join(nws_hub *hub, nws_peer *peer, nws_str topic);

/** Ends that. What has not arrived at the loop yet is not sent to it any more.
 *  On the loop's thread.
 *  @return NWS_OK; NWS_ERROR_STATE: it was no member; NWS_ERROR_ARGUMENT. */
NWS_API int nws_hub_leave(nws_hub *hub, nws_peer *peer, nws_str topic);

/** Sends a message to all members of a topic. From any thread; in callbacks
 *  too: it goes out later, from each member's loop.
 *
 *  A message that some member cannot be sent (it is closing; its queue is full;
 *  the loop has no memory; the opcode was not enabled) is missed by that member
 *  alone.
 *
 *  @param what    an opcode of a message, perhaps with NWS_SEND_PLAIN: no
 *                 extension encodes it
 *  @param data    `len` bytes, copied before the call returns
 *  @param except  a member that is left out, such as the one whose message this
 *                 is; only on the thread of its loop. NULL: nobody
 *  @return NWS_OK, also when nobody is there; NWS_ERROR_QUEUE: more than
 *          max_waiting would wait for some loop (one message of any size may
 *          wait alone); NWS_ERROR_TEXT_SEND, NWS_ERROR_LENGTH,
 *          NWS_ERROR_MEMORY, NWS_ERROR_ARGUMENT. On failure nobody is sent
 *          anything. */
NWS_API int nws_hub_publish(nws_hub *hub, nws_str topic, unsigned what,
                            const void *data, size_t len,
                            const nws_peer *except);

/** How many members a topic has. From any thread. */
NWS_API size_t nws_hub_count(nws_hub *hub, nws_str topic);

/** How many messages were missed: by all peers so far, or by one peer in the
 *  topics that it is a member of. What it could not be sent because it was
 *  closing does not count.
 *  @param peer  on its loop's thread; NULL for all, from any thread */
NWS_API uint64_t nws_hub_missed(nws_hub *hub, const nws_peer *peer);

NWS_END_DECLS

#endif
