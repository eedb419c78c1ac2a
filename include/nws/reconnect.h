/* reconnect.h - a client that comes back: when its connection ends it makes
 * another, after a wait that grows with each failure (libnws_net).
 *
 *     nws_reconnect_options options = {.size = sizeof(options),
 *                                      .client = &client,
 *                                      .policy = NWS_RECONNECT_KEEP};
 *     nws_reconnect_start(loop, &options, &link);
 *     nws_reconnect_send(link, NWS_OPCODE_TEXT, "hello", 5);
 *
 * The application's handler gets the callbacks of each connection as if it had
 * made it itself: `open` and `closed` again and again, each time with another
 * peer. Closing or aborting such a peer ends one connection; what ends all is
 * nws_reconnect_stop(). What net.h says of threads and callbacks holds here
 * too.
 *
 * What was given to a connection that then broke may be lost; only the other
 * end can tell what has arrived.
 */
#ifndef NWS_RECONNECT_H
#define NWS_RECONNECT_H

#include <nws/net.h>

NWS_BEGIN_DECLS

/** A client that comes back. It is valid until its `stopped` callback has
 *  returned. */
typedef struct nws_reconnect nws_reconnect;

/** What becomes of messages while there is no connection. */
typedef enum nws_reconnect_policy {
  NWS_RECONNECT_REFUSE = 0,     /**< refused: NWS_ERROR_STATE */
  NWS_RECONNECT_KEEP = 1,       /**< kept, beyond `max_kept` refused:
                                     NWS_ERROR_QUEUE */
  NWS_RECONNECT_DROP_OLDEST = 2 /**< kept, beyond `max_kept` the oldest are
                                     dropped */
} nws_reconnect_policy;

/* Stands for not connecting again. */
#define NWS_RECONNECT_NEVER UINT32_MAX

/** The options; copied, what they point to is borrowed until `stopped` has
 *  returned. */
typedef struct nws_reconnect_options {
  size_t size;                      /**< sizeof(nws_reconnect_options) */
  const nws_client_options *client; /**< as for nws_client_connect(); its `user`
                                         is that of the callbacks below too */
  uint32_t min_delay_ms;            /**< the least wait; 0: 250 */
  uint32_t max_delay_ms; /**< the longest; 0: 30,000. Each wait is drawn evenly
                              from min_delay_ms to a bound that is twice that at
                              first, and doubles with every further failure, up
                              to max_delay_ms */
  uint32_t steady_ms;    /**< a connection that was open for so long was no
                              failure: the waits begin anew; 0: 10,000 */
  nws_reconnect_policy policy;
  size_t max_kept; /**< bytes of the messages kept; 0: 1 MiB. For each 16 of
                        them one message may be kept, but always 1,024 */

  /** A connection has ended, or could not be made; after `closed`.
   *  @param how       why; its slices are valid until this returns
   *  @param delay_ms  the wait before the next attempt; NWS_RECONNECT_NEVER for
   *                   what will not mend: an error in the options, a
   * certificate that is not trusted or for another host or key, an answer that
   * is no handshake, a status below 500 but 408, 425 and 429, a redirect that
   * may not be followed, a password that a proxy refuses
   *  @return how long to wait: `delay_ms`, something else in its place, or
   *          NWS_RECONNECT_NEVER. NULL takes `delay_ms`. */
  uint32_t (*ended)(nws_reconnect *link, const nws_closed *how,
                    uint32_t delay_ms, void *user);
  /** It is over, exactly once; the last use of `link`. May be NULL.
   *  @param how  the end of the last connection; UV_ECANCELED when it was
   *              stopped while there was none */
  void (*stopped)(nws_reconnect *link, const nws_closed *how, void *user);
} nws_reconnect_options;

/** Connects, and again.
 *  @param link  the result, yours until it has stopped
 *  @return NWS_OK; NWS_ERROR_ARGUMENT, NWS_ERROR_CONFIG; as
 *          nws_client_connect(): nothing was started. */
NWS_API int nws_reconnect_start(nws_loop *loop,
                                const nws_reconnect_options *options,
                                nws_reconnect **link);

/** Sends a whole message, now or, by the policy, once there is a connection:
 *  kept messages go out in order, after what the `open` callback sends.
 *  @param what  NWS_OPCODE_TEXT or NWS_OPCODE_BINARY, maybe joined with
 *               NWS_SEND_PLAIN
 *  @param data  `len` bytes, copied before the call returns
 *  @return NWS_OK; NWS_ERROR_ARGUMENT; NWS_ERROR_STATE: not connected and not
 *          kept, or stopped; NWS_ERROR_QUEUE: too much is waiting;
 *          NWS_ERROR_TEXT_SEND; NWS_ERROR_MEMORY; as nws_peer_send(). */
NWS_API int nws_reconnect_send(nws_reconnect *link, unsigned what,
                               const void *data, size_t len);

/** Bytes of the messages that wait for a connection. */
NWS_API size_t nws_reconnect_kept(const nws_reconnect *link);

/** The connection that is open now, or NULL. */
NWS_API nws_peer *nws_reconnect_peer(const nws_reconnect *link);

/** What a peer belongs to, for callbacks of the handler; NULL: to nothing. */
NWS_API nws_reconnect *nws_peer_reconnect(const nws_peer *peer);

/** Connects now instead of waiting: the network is back. */
NWS_API void nws_reconnect_now(nws_reconnect *link);

/** Ends it: an open connection is closed as by nws_peer_close(), an attempt
 *  given up, what is kept is dropped. `stopped` comes later, from the loop. A
 *  second call drops the connection at once.
 *  @param code    as for nws_conn_close(); with one that may not be sent the
 *                 connection is dropped
 *  @param reason  as for nws_conn_close() */
NWS_API void nws_reconnect_stop(nws_reconnect *link, unsigned code,
                                nws_str reason);

NWS_END_DECLS

#endif
