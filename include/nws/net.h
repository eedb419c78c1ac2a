/* net.h - a WebSocket server and client on libuv, over TCP and TLS
 * (libnws_net).
 *
 *     static void echo(nws_peer *peer, unsigned opcode, uint8_t *data,
 *                      size_t len) {
 *       nws_peer_send(peer, opcode, data, len);
 *     }
 *
 *     nws_handler handler = {.size = sizeof(handler), .message = echo};
 *     nws_server_options options = {
 *         .size = sizeof(options), .handler = &handler, .port = 8080};
 *     nws_loop_new(NULL, &loop);
 *     nws_server_start(loop, &options, &server);
 *     nws_loop_run(loop);
 *
 * Everything here belongs to the thread that runs the loop; what other threads
 * may call is in remote.h and hub.h. Callbacks may call any function of this
 * header, on any object of the loop, closing and stopping included; only
 * nws_loop_run() and nws_loop_free() are not for callbacks, and uv_run() is not
 * either. No function calls back: callbacks come from the loop alone.
 *
 * No SIGPIPE is raised by anything here.
 *
 * Errors are nws_error values or libuv's negative UV_… values, told apart by
 * nws_net_text(). nws_error_get() knows the former only; for the latter it
 * gives its row named "unknown".
 */
#ifndef NWS_NET_H
#define NWS_NET_H

#include <nws/listener.h>
#include <nws/log.h>
#include <nws/nws.h>
#include <nws/tls.h>

NWS_BEGIN_DECLS

struct uv_loop_s;

/** What connections on one libuv loop share: receive buffer, spill areas,
 *  randomness. An idle connection holds no buffer of its own. */
typedef struct nws_loop nws_loop;
/** A listening server. */
typedef struct nws_server nws_server;
/** One connection, of a server or a client, from its first byte to its last.
 *  It is valid until its `closed` callback has returned. */
typedef struct nws_peer nws_peer;

/** The text of an error from any function here or in the core; static, or
 *  valid until the next call in this thread. */
NWS_API const char *nws_net_text(int error);

/* --- The loop --- */

/** Makes a loop.
 *  @param uv    a libuv loop to live on, borrowed; NULL makes one
 *  @param loop  the result
 *  @return NWS_OK, NWS_ERROR_MEMORY or UV_… */
NWS_API int nws_loop_new(struct uv_loop_s *uv, nws_loop **loop);

/** The libuv loop, for timers and other handles of your own. */
NWS_API struct uv_loop_s *nws_loop_uv(nws_loop *loop);

/** Runs until nothing is left to do: servers stopped, peers closed, and what
 *  was posted done (remote.h). A loop on a libuv loop of your own may as well
 *  be run with uv_run().
 *  @return NWS_OK; NWS_ERROR_STATE from inside a callback of this header. */
NWS_API int nws_loop_run(nws_loop *loop);

/** Frees a loop, which must have neither servers nor peers any more (their
 *  last callbacks have returned and nws_loop_run() has ended). On a libuv loop
 *  of your own the memory is given back when that loop runs next.
 *  @return NWS_OK; NWS_ERROR_STATE when something lives on it still, handles of
 *          your own on a loop that nws_loop_new() made included, and from
 *          inside a callback of this header. */
NWS_API int nws_loop_free(nws_loop *loop);

/* --- What an application does --- */

/** How a peer ended. Slices are valid during the `closed` callback. */
typedef struct nws_closed {
  int error; /**< NWS_OK when both sides said close (RFC 6455 7.1.4); else the
                  nws_error or UV_… that ended it */
  uint64_t offset;    /**< for the peer's faults: where in its stream */
  unsigned code;      /**< the peer's status code; 1005, 1006: none */
  unsigned code_sent; /**< ours; 1005, 1006: none */
  nws_str reason;     /**< the reason in the peer's close frame */
  int opened;         /**< 1 when the `open` callback had been called */
  const nws_http_head
      *response;      /**< client: the answer that was not the one
                           hoped for, of the server or of a proxy
                           (NWS_ERROR_STATUS, …_REDIRECT…,
                           …_PROXY_STATUS, …_PROXY_AUTH); else NULL */
  nws_str body;       /**< the start of that answer's body, as far as it came */
  const char *detail; /**< more about `error` where TLS or a proxy knows more,
                           such as "certificate has expired"; else "" */
  const char *url;    /**< client: nws_peer_url(); server: NULL */
} nws_closed;

/** The application's callbacks; all may be NULL. The struct is copied. */
typedef struct nws_handler {
  size_t size; /**< sizeof(nws_handler) */

  /** Server: somebody asks for a WebSocket, and the policy has nothing against
   *  it. Answer with nws_peer_accept() or nws_peer_respond(), now or later
   *  (`request` is valid until then). Who is not answered before the handshake
   *  timeout gets 503, and `closed` UV_ETIMEDOUT. NULL accepts. */
  void (*request)(nws_peer *peer, const nws_server_handshake *request);
  /** Server: an HTTP request that is not a WebSocket handshake, or not one that
   *  the policy allows; `error` says why. Answer with nws_peer_respond(), now
   *  or later. NULL answers with the error's HTTP status. Bytes that are not
   *  HTTP at all are answered without asking. */
  void (*http)(nws_peer *peer, const nws_server_handshake *request, int error);
  /** The connection is open. nws_peer_request() and nws_peer_response() still
   *  have the head of the handshake, until this returns. */
  void (*open)(nws_peer *peer);
  /** A whole message. `data` is the callback's to change, and valid until it
   *  returns. */
  void (*message)(nws_peer *peer, unsigned opcode, uint8_t *data, size_t len);
  /** A piece of a message as it arrives; where it is set, `message` is not
   *  called and nothing is assembled. The event is valid until it returns. */
  void (*piece)(nws_peer *peer, const nws_event *event);
  /** A control frame: ping, pong, close or custom. Answers to pings and closes
   *  go out by themselves. */
  void (*control)(nws_peer *peer, const nws_event *event);
  /** The write queue, after having been above `high_water` or after
   *  NWS_ERROR_QUEUE, is down to `low_water`. */
  void (*drain)(nws_peer *peer);
  /** The end, exactly once for each peer that `request`, `http` or `open` was
   *  called for, and for every client; the last use of `peer`. */
  void (*closed)(nws_peer *peer, const nws_closed *how);
} nws_handler;

/** Bounds of one connection; 0 is the default. Embedded in the options of
 *  servers and clients.
 *
 *  The times of nws_conn_config hold for peers that have taken all that they
 *  were sent. One that is behind may be as slow as it likes; it has failed when
 *  it takes nothing for the ping interval and the pong timeout together
 *  (NWS_ERROR_PONG_TIMEOUT), in a closing handshake for the close timeout
 *  (NWS_ERROR_CLOSE_TIMEOUT). Pauses do not count. */
typedef struct nws_net_limits {
  size_t high_water; /**< queued bytes above which a server pauses receiving
                          from the peer, so that whoever does not read answers
                          cannot ask on; default 1 MiB, or max_queue if that is
                          less. A client goes on receiving: were both ends to
                          wait until the other reads, neither would */
  size_t low_water;  /**< queued bytes at which the server goes on and `drain`
                          is called; default a quarter of high_water */
  size_t max_queue;  /**< queued bytes beyond which nws_peer_send() refuses,
                          except that one message of any size may wait alone;
                          default 16 MiB or high_water; SIZE_MAX none */
  uint32_t handshake_timeout_ms; /**< from connect or accept to open, resolving
                                      and connecting included; default 10,000;
                                      UINT32_MAX none */
} nws_net_limits;

/* --- Server --- */

/** What a server does at one path. What is NULL is as the server has it. */
typedef struct nws_route {
  size_t size;      /**< sizeof(nws_route) */
  const char *path; /**< "/chat", exactly; or "/rooms/" and a star:
                         whatever begins with "/rooms/". As clients
                         write it: nothing is decoded */
  const nws_handler *handler;
  const nws_server_policy *policy; /**< subprotocols, origins, extensions */
  const nws_conn_config *conn;
  const nws_net_limits *limits; /**< but for the handshake timeout, which is the
                                     server's */
  void *user;                   /**< what nws_peer_user() gives at first */
} nws_route;

/** Trouble that no callback of the handler tells of.
 *  - A connection has ended, and the handler never heard of it: garbage instead
 *    of HTTP or TLS, a head beyond its limits, half a request, a request that
 *    was refused because `http` is NULL, one connection too many
 *    (NWS_ERROR_PEER_LIMIT and the other limits), one given up by
 *    nws_server_stop() (UV_ECANCELED). Once for each such connection.
 *  - No connection can be taken: `error` is UV_EMFILE, UV_ENFILE, UV_ENOMEM or
 *    the like. The server tries again by itself, and tells the same error again
 *    only after it has taken one. */
typedef struct nws_trouble {
  int error; /**< an nws_error or UV_…; nws_net_text() has its text */
  const char *address; /**< the other end as nws_peer_address() has it; NULL:
                            no connection can be taken. Valid in the callback */
  const char *detail;  /**< as in nws_closed */
} nws_trouble;

/** A server's options; copied, what they point to is borrowed for the server's
 *  life. */
typedef struct nws_server_options {
  size_t size;                /**< sizeof(nws_server_options) */
  const nws_handler *handler; /**< never NULL, not even with routes: it has
                                   those without a handler of their own, and
                                   requests at other paths */
  void *user;                 /**< what nws_peer_user() gives at first */
  const char *address; /**< IPv4 or IPv6 address to listen on; NULL: 127.0.0.1;
                            "::" is both families */
  uint16_t port;       /**< 0: any free one, see nws_server_port() */
  unsigned backlog;    /**< 0: 511 */
  nws_tls *tls;        /**< NULL: no TLS at that address */
  nws_listener *const *listeners; /**< instead of the address and its TLS:
                            listener.h; one loop takes each only once. The
                            array is read during the call, and the server holds
                            what is in it until it is stopped */
  size_t listener_count;
  /* Limits. Connections beyond them are answered with the HTTP status of the
   * error (503; 429 for max_per_address), or dropped when they are many or when
   * TLS is yet to begin. They hold for this server; of several loops each has
   * its own. */
  size_t max_peers;        /**< connections at once. 0: 65,536; SIZE_MAX none */
  size_t max_handshakes;   /**< opening handshakes under way at once, those that
                                the application has not decided included.
                                0: 16,384; SIZE_MAX none */
  size_t max_per_address;  /**< connections of one address at once, open or not.
                            An IPv6 /64 is one, and behind proxy_header what the
                            proxy says counts. 0: none, since a proxy that tells
                            nothing, or a carrier's NAT, is one address and many
                            people */
  uint32_t handshake_rate; /**< connections taken in a second. 0: no limit */
  uint32_t handshake_burst; /**< how many of these may come at once; 0: all of a
                                 second's */
  const nws_server_policy *policy; /**< NULL: same-host origins, nothing else */
  const nws_conn_config *conn; /**< NULL: defaults. Its `random` and `scratch`
                                    may stay NULL here */
  nws_net_limits limits;
  const nws_route *routes; /**< read during the call; what they point to is
                                borrowed for the server's life. The exact path
                                comes first, then the longest. Other paths are
                                for `http`, with NWS_ERROR_PATH (404) */
  size_t route_count;      /**< 0: all paths are the same */
  void (*stopped)(nws_server *server, void *user); /**< after
                            nws_server_stop(): all peers are closed, and
                            `server` is freed when this returns */
  /** Trouble that no callback of the handler tells of, case by case, for
   *  programs that act on it: count, block, alarm. May be NULL.
   *  @param user  `user` of these options */
  void (*trouble)(nws_server *server, const nws_trouble *what, void *user);
  /** The log, for people: see log.h for what gets into it. May be NULL.
   *  @param text  one line, without an end of line; valid until this returns
   *  @param user  `user` of these options */
  void (*log)(nws_server *server, nws_log_level level, const char *text,
              void *user);
  nws_log_level log_level; /**< what matters less is not made into lines; 0:
                                NWS_LOG_INFO */
} nws_server_options;

/** Listens.
 *  @param server  the result, yours until it is stopped
 *  @return NWS_OK; UV_EADDRINUSE, UV_EACCES and the like; NWS_ERROR_ARGUMENT,
 *          NWS_ERROR_CONFIG, NWS_ERROR_MEMORY. */
NWS_API int nws_server_start(nws_loop *loop, const nws_server_options *options,
                             nws_server **server);

/** The port listened on; of several listeners, the first one's. */
NWS_API uint16_t nws_server_port(const nws_server *server);

/** How many peers the server has now, half-open ones and those that are just
 *  being turned away included. */
NWS_API size_t nws_server_peers(const nws_server *server);

/** What `user` in the server's options was. */
NWS_API void *nws_server_user(const nws_server *server);

/** Calls `visit` for each open peer. Peers that it closes are no trouble. */
NWS_API void nws_server_each(nws_server *server,
                             void (*visit)(nws_peer *peer, void *arg),
                             void *arg);

/** Stops listening, and closes all peers with a status code (usually 1001);
 *  those that have not finished by the close timeout are dropped then, even if
 *  they still have much to read. Those not open yet are answered with 503. A
 *  second call drops all at once.
 *  @param code  as for nws_conn_close(); with one that may not be sent open
 *               peers are dropped */
NWS_API void nws_server_stop(nws_server *server, unsigned code);

/* --- Peers --- */

/** Server: the request, from the `request` or `http` callback until it has been
 *  refused or `open` has returned (if neither happens, `closed`); NULL at other
 *  times. */
NWS_API const nws_server_handshake *nws_peer_request(const nws_peer *peer);

/** Client: the head of the server's response, from when it is complete until
 *  `open` (or `closed`, where that has it as `response`) has returned; NULL at
 *  other times. Cookies are in its Set-Cookie headers. */
NWS_API const nws_http_head *nws_peer_response(const nws_peer *peer);

/** Accepts a request, from the `request` callback or later. The `open` callback
 *  comes later, from the loop; what is sent before it goes out too.
 *  @param how  NULL for all defaults; read during the call
 *  @return NWS_OK; NWS_ERROR_STATE; as nws_server_handshake_accept(). */
NWS_API int nws_peer_accept(nws_peer *peer, const nws_acceptance *how);

/** Answers a request with something else than a WebSocket, and closes.
 *  @param answer  read during the call
 *  `closed` then comes with the error of the `http` callback, or after
 *  `request` with NWS_ERROR_STATUS.
 *  @return NWS_OK; NWS_ERROR_STATE; as nws_server_handshake_reject(). */
NWS_API int nws_peer_respond(nws_peer *peer, const nws_rejection *answer);

/** Sends a frame, usually a whole message; from anywhere on the loop's thread.
 *
 *  Frames are queued, and leave together: those sent from a callback of this
 *  peer when all bytes of its read have been dealt with, all others before the
 *  loop next waits. Only when 256 KiB have come together they leave earlier.
 *
 *  @param what  as for nws_conn_send()
 *  @param data  `len` bytes, copied before the call returns
 *  @return NWS_OK; NWS_ERROR_QUEUE: nothing was sent, wait for `drain`;
 *          NWS_ERROR_STATE: not open, closing, or the connection has broken
 *          and `closed` is about to come; NWS_ERROR_MEMORY; as
 *          nws_conn_send(). */
NWS_API int nws_peer_send(nws_peer *peer, unsigned what, const void *data,
                          size_t len);

/** Sends a prepared message (prepared.h), usually to many peers of a server.
 *  The peer's queue refers to its bytes, if they are many, and holds it until
 *  they are written: from the first call on the message is for the thread of
 *  this loop alone.
 *  @return as nws_peer_send(); NWS_ERROR_ARGUMENT for a client;
 *          NWS_ERROR_NO_ENCODING. */
NWS_API int nws_peer_send_prepared(nws_peer *peer, nws_prepared *message);

/** Starts the closing handshake (or answers the peer's, with `manual_close`).
 *  Before the connection is open it gives it up; a server answers 503. A
 *  paused peer is resumed, so that its answer can be read.
 *  @param code    as for nws_conn_close()
 *  @param reason  as for nws_conn_close()
 *  @return NWS_OK; NWS_ERROR_STATE when closing already; as
 *          nws_conn_close(). */
NWS_API int nws_peer_close(nws_peer *peer, unsigned code, nws_str reason);

/** Drops the connection without another word. `closed` comes later, from the
 *  loop, with UV_ECANCELED (if nothing had ended it before). May be called any
 *  time until `closed` has returned, any number of times. */
NWS_API void nws_peer_abort(nws_peer *peer);

/** Stops receiving, until nws_peer_resume(); what has been read already may
 *  still be delivered. Keep-alive timeouts wait as well. */
NWS_API void nws_peer_pause(nws_peer *peer);

/** Goes on receiving. */
NWS_API void nws_peer_resume(nws_peer *peer);

/** Sends a keep-alive ping now; its round trip shows up in nws_conn_rtt() when
 *  the `control` callback gets the pong.
 *  @return NWS_OK; NWS_ERROR_STATE. */
NWS_API int nws_peer_ping(nws_peer *peer);

/** Bytes that wait to be written. */
NWS_API size_t nws_peer_queued(const nws_peer *peer);

/** The connection, for questions: state, round trip, opcode names. All zero
 *  (NWS_STATE_CONNECTING) until it is open. */
NWS_API const nws_conn *nws_peer_conn(const nws_peer *peer);

/** The loop of a peer. */
NWS_API nws_loop *nws_peer_loop(const nws_peer *peer);

/** The server of a peer; NULL for clients. */
NWS_API nws_server *nws_peer_server(const nws_peer *peer);

/** The subprotocol that was agreed on; absent when none. Valid as long as the
 *  peer. */
NWS_API nws_str nws_peer_subprotocol(const nws_peer *peer);

/** The extensions in use, in order: for nws_deflate_agreed(),
 *  nws_deflate_drop_idle() and the like. Valid from `open` until `closed` has
 *  returned.
 *  @param count  set: how many; 0 without any, and before the connection is
 *                open
 *  @return the first of them; NULL when there are none. */
NWS_API nws_extension_use *nws_peer_extensions(const nws_peer *peer,
                                               size_t *count);

/** Writes the address of the other end, "127.0.0.1:4711", "[::1]:4711", or
 *  "unix", which has none, with a zero byte; in `closed` too. Until a client is
 *  connected, the one that it tries; behind a proxy that of the proxy.
 *  @param cap  room; 64 suffices
 *  @return NWS_OK; NWS_ERROR_BUFFER; UV_ENOTCONN while there is none. */
NWS_API int nws_peer_address(const nws_peer *peer, char *out, size_t cap);

/** Tells what is known of a peer's TLS. After NWS_ERROR_TLS_CERTIFICATE and its
 *  like `closed` can so name the certificate that was refused, and its key.
 *  @return NWS_OK; NWS_ERROR_STATE: it speaks none, or its handshake is not
 *          over. */
NWS_API int nws_peer_tls(nws_peer *peer, nws_tls_info *info);

/** OpenSSL's object (SSL) of a peer, for what nws_peer_tls() does not tell;
 *  reading from it, writing to it and freeing it are not yours. NULL without
 *  TLS. */
NWS_API struct ssl_st *nws_peer_ssl(const nws_peer *peer);

/** The pointer that the application keeps with a peer. */
NWS_API void *nws_peer_user(const nws_peer *peer);

/** Sets it. */
NWS_API void nws_peer_set_user(nws_peer *peer, void *user);

NWS_END_DECLS

#include <nws/client.h>

#endif
