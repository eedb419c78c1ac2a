/* sync.h - a client for programs without an event loop: calls that wait
 * (libnws_net).
 *
 *     nws_client_options options = {.size = sizeof(options), .url = url};
 *     nws_sync_message message;
 *     nws_sync *ws;
 *     int rc = nws_sync_connect(&options, &ws);
 *     if (rc == NWS_OK)
 *       rc = nws_sync_send(ws, NWS_OPCODE_TEXT, "hello", 5, 1000);
 *     if (rc == NWS_OK)
 *       rc = nws_sync_receive(ws, &message, 1000);
 *     if (rc == NWS_OK)
 *       printf("%s\n", (const char *)message.data);
 *     else
 *       printf("%s\n", nws_net_text(rc));
 *     nws_sync_close(ws, 1000, nws_str_of("bye"), 1000);
 *     nws_sync_free(ws);
 *
 * It is the client of net.h with a loop of its own, which runs while a call
 * waits. Between calls nothing runs: messages wait in the system, and a
 * server's pings are answered by the next call. Who calls too seldom for the
 * server's patience is given up by it; our own keep-alive does not count the
 * time between calls against the server.
 *
 * An object belongs to one thread at a time. Several are independent of each
 * other. Timeouts are in milliseconds: 0 does what can be done without waiting,
 * UINT32_MAX waits for ever.
 */
#ifndef NWS_SYNC_H
#define NWS_SYNC_H

#include <nws/net.h>

NWS_BEGIN_DECLS

/** A connection. */
typedef struct nws_sync nws_sync;

/** A message that was received. */
typedef struct nws_sync_message {
  unsigned opcode;     /**< NWS_OPCODE_TEXT, _BINARY or a custom one */
  const uint8_t *data; /**< `len` bytes and a zero byte behind them; valid until
                            the next call for the same connection */
  size_t len;
} nws_sync_message;

/** How a connection ended. */
typedef struct nws_sync_end {
  int error;          /**< as in nws_closed */
  unsigned code;      /**< the peer's status code; 1005, 1006: none */
  nws_str reason;     /**< the peer's */
  unsigned status;    /**< where there was an answer but not the one hoped for
                           (nws_closed.response) its HTTP status; else 0 */
  nws_str body;       /**< the start of that answer's body */
  const char *detail; /**< as in nws_closed */
} nws_sync_end;

/** Connects, and waits until the connection is open. How long it waits at most
 *  is `limits.handshake_timeout_ms`.
 *  @param options  for nws_client_connect(); handler and user are not read
 *  @param ws       the result; also after most errors, so that nws_sync_ended()
 *                  can tell more. To be freed in any case; NULL when there was
 *                  no memory or `options` was no struct
 *  @return NWS_OK; as nws_client_connect(), or why there is no connection, as
 *          in nws_closed. */
NWS_API int nws_sync_connect(const nws_client_options *options, nws_sync **ws);

/** Sends a frame, usually a whole message, and waits until the system has taken
 *  it. What comes meanwhile is kept for nws_sync_receive(), up to 16 MiB, or
 *  one message of any size.
 *  @param what  as for nws_conn_send()
 *  @return NWS_OK; UV_ETIMEDOUT: the server does not read; the message is under
 *          way nevertheless, and goes on in later calls; NWS_ERROR_QUEUE: it is
 *          not, as too much waits already; NWS_ERROR_STATE: the connection has
 *          ended or is closing, and the message may be lost; as
 *  nws_conn_send(). */
NWS_API int nws_sync_send(nws_sync *ws, unsigned what, const void *data,
                          size_t len, uint32_t timeout_ms);

/** Waits for the next message. Messages that came before the connection ended
 *  are still given.
 *  @return NWS_OK; UV_ETIMEDOUT; NWS_ERROR_STATE: the connection has ended, see
 *          nws_sync_ended(). */
NWS_API int nws_sync_receive(nws_sync *ws, nws_sync_message *message,
                             uint32_t timeout_ms);

/** Closes, and waits until the server has done so too; after the timeout the
 *  connection is dropped. What the server sent meanwhile can be received
 *  afterwards if nws_conn_config.deliver_in_closing asks for it; otherwise only
 *  what had come before.
 *  @param code    as for nws_conn_close()
 *  @param reason  as for nws_conn_close()
 *  @return NWS_OK: both have said close; NWS_ERROR_STATE: it had ended before,
 *          or never been open; UV_ETIMEDOUT: dropped; what ended it otherwise,
 *  as in nws_closed; as nws_conn_close(), then nothing has happened. */
NWS_API int nws_sync_close(nws_sync *ws, unsigned code, nws_str reason,
                           uint32_t timeout_ms);

/** Tells how the connection has ended.
 *  @param end  its slices are valid as long as `ws`
 *  @return 1, or 0 when it has not, as far as is known. */
NWS_API int nws_sync_ended(const nws_sync *ws, nws_sync_end *end);

/** The peer of net.h, for questions only; NULL when the connection has ended.
 */
NWS_API nws_peer *nws_sync_peer(nws_sync *ws);

/** Drops the connection if it has not ended, and frees everything. NULL does
 *  nothing. */
NWS_API void nws_sync_free(nws_sync *ws);

NWS_END_DECLS

#endif
