/* remote.h - a peer as other threads see it, and work for a loop from other
 * threads (libnws_net).
 *
 *     static void ask(nws_peer *peer, unsigned opcode, uint8_t *data,
 *                     size_t len) {
 *       (void)opcode;
 *       hand_to_worker(nws_peer_remote(peer), data, len);
 *     }
 *
 *     static void answer(nws_remote *remote, const char *text, size_t len) {
 *       nws_remote_send(remote, NWS_OPCODE_TEXT, text, len);
 *       nws_remote_drop(remote);
 *     }
 *
 *     nws_handler handler = {.size = sizeof(handler), .message = ask};
 *
 * ask() runs in the loop's thread, answer() in any other.
 *
 * What a thread says to a peer arrives in the order in which it said it;
 * threads do not hinder each other, and many calls cost the loop one wake-up.
 * No function here waits for the loop. All of them may be called from the
 * loop's own thread as well, in every callback; what is said that way comes
 * behind what nws_peer_send() sends meanwhile.
 */
#ifndef NWS_REMOTE_H
#define NWS_REMOTE_H

#include <nws/net.h>

NWS_BEGIN_DECLS

/* --- Work for a loop --- */

/** Has something done on a loop's thread: once, from the loop, in the order of
 *  calls. From any thread, as long as the loop lives.
 *
 *  What waits does not keep the loop alive, but nws_loop_run() does not end
 *  before it is done. What still waits when the loop is freed (the loop runs no
 *  more, or is run by uv_run()) is called by nws_loop_free() with NULL: then
 *  there is only something to give back, and this loop's functions are not to
 *  be called.
 *
 *  @param run  called with the loop, or NULL; may call what a callback may
 *  @param arg  handed to `run`
 *  @return NWS_OK; NWS_ERROR_ARGUMENT; NWS_ERROR_MEMORY; NWS_ERROR_STATE when
 *          the loop is being freed. On failure `run` is never called. */
NWS_API int nws_loop_post(nws_loop *loop,
                          void (*run)(nws_loop *loop, void *arg), void *arg);

/* --- Peers --- */

/** A peer, for threads other than its loop's. Counted; outlives the peer, and
 *  its loop. */
typedef struct nws_remote nws_remote;

/** Gives a peer's remote, held once more; the same one every time. On the
 *  loop's thread; at any time in the peer's life, the `request` callback
 *  included.
 *  @return to be given back with nws_remote_drop(); NULL when the connection
 *          has ended (from nws_peer_abort() on, and in `closed`), or there is
 *          no memory. */
NWS_API nws_remote *nws_peer_remote(nws_peer *peer);

/** Holds a remote once more, for one more thread. From any thread. */
NWS_API void nws_remote_keep(nws_remote *remote);

/** Holds it once less; the peer does not mind. From any thread; NULL does
 *  nothing. */
NWS_API void nws_remote_drop(nws_remote *remote);

/** Sends a whole message, or a ping or pong. From any thread.
 *
 *  NWS_OK means that it will go out, unless the connection ends before: before
 *  the peer is open it waits until `open` has returned, and when the peer's
 *  queue is full, until there is room again: it goes first, and `drain` is
 *  called when there is still room then. If it cannot be sent for another
 *  reason (there is no memory, or its opcode was not enabled, or the loop's
 *  thread is in the middle of a fragmented message) the connection is closed
 *  with 1011, and `closed` has the error: nothing is ever left out.
 *
 *  @param what  as for nws_conn_send(), but neither fragments nor close frames
 *  @param data  `len` bytes, copied before the call returns
 *  @return NWS_OK; NWS_ERROR_STATE: the peer is known to have gone, or
 *          nws_remote_close() was called; NWS_ERROR_QUEUE: what waits for the
 *          loop, or for room in the queue, would be more than max_queue (see
 *          nws_net_limits; one message of any size may wait alone), try again
 *          later; NWS_ERROR_TEXT_SEND, NWS_ERROR_CONTROL_LONG,
 *          NWS_ERROR_LENGTH, NWS_ERROR_MEMORY, NWS_ERROR_ARGUMENT. On failure
 *          nothing is sent. */
NWS_API int nws_remote_send(nws_remote *remote, unsigned what, const void *data,
                            size_t len);

/** The bytes that were sent and still wait for the loop, or for room in the
 *  peer's queue, with what it takes to keep them. From any thread. */
NWS_API size_t nws_remote_waiting(const nws_remote *remote);

/** Closes the peer as nws_peer_close() would, when all has been sent that was
 *  sent here before. From any thread.
 *  @return NWS_OK; NWS_ERROR_STATE: the peer is known to have gone, or this was
 *          called before; NWS_ERROR_CLOSE_CODE_SEND, NWS_ERROR_CONTROL_LONG,
 *          NWS_ERROR_TEXT_SEND, NWS_ERROR_MEMORY, NWS_ERROR_ARGUMENT. */
NWS_API int nws_remote_close(nws_remote *remote, unsigned code, nws_str reason);

/** Has something done with the peer on its loop's thread, exactly once: accept
 *  or respond after a look into a database, drop it, ask it something. From any
 *  thread. It does not wait for what was sent before to find room in the queue.
 *
 *  @param run  called from the loop with the peer, which may be in any state,
 *              or with NULL when it has gone; or with NULL by nws_loop_free()
 *  @param arg  handed to `run`
 *  @return NWS_OK; NWS_ERROR_STATE: the peer is known to have gone;
 *          NWS_ERROR_MEMORY, NWS_ERROR_ARGUMENT. On failure `run` is never
 *          called. */
NWS_API int nws_remote_run(nws_remote *remote,
                           void (*run)(nws_peer *peer, void *arg), void *arg);

NWS_END_DECLS

#endif
