/* listener.h - the sockets that servers take connections from (libnws_net).
 *
 *     nws_listener *both[2];
 *     nws_listener_options secure = {.size = sizeof(secure), .tls = tls};
 *     nws_listener_open("[::]:8080", NULL, &both[0]);
 *     nws_listener_open("[::]:8443", &secure, &both[1]);
 *     options.listeners = both;
 *     options.listener_count = 2;
 *     nws_server_start(loop, &options, &server);
 *     nws_listener_drop(both[0]);
 *     nws_listener_drop(both[1]);
 *
 * A server with one address needs none of this: nws_server_options.address and
 * .port make its listener.
 *
 * A listener is counted, and may be used by servers in any number of threads at
 * the same time: that is how a program with several loops shares a port. Each
 * connection goes to whichever loop takes it first. For the most connections a
 * second give each loop a listener of its own, all with `reuse_port`, between
 * which the system chooses.
 *
 * Restarting without refusing anybody: the new process gets the socket of the
 * old one (nws_listener_fd(), passed on by fork and exec or by a Unix socket),
 * adopts it, and the old one stops its servers. Connections that come in
 * between wait in the backlog, which belongs to the socket.
 */
#ifndef NWS_LISTENER_H
#define NWS_LISTENER_H

#include <nws/base.h>
#include <nws/error.h>
#include <nws/tls.h>

NWS_BEGIN_DECLS

/** A socket that connections come in by. Counted: see nws_listener_drop(). All
 *  functions may be called in any thread. */
typedef struct nws_listener nws_listener;

/** What is special about a listener; everything may be 0 but `size`. */
typedef struct nws_listener_options {
  size_t size;          /**< sizeof(nws_listener_options) */
  nws_tls *tls;         /**< connections speak TLS; held by the listener. NULL:
                             they do not */
  unsigned backlog;     /**< connections that may wait to be taken; 0: 511 */
  uint8_t v6_only;      /**< 1: "[::]" takes no IPv4 connections */
  uint8_t reuse_port;   /**< 1: other listeners, of the same user, may have the
                             same address and port */
  uint8_t proxy_header; /**< 1: each connection begins with a header of the
                           PROXY protocol, version 1 or 2, in front of TLS, and
                           comes from where that says, as nws_peer_address()
                           then has it. Only proxies may be able to connect
                           here: whoever can tells you what he likes */
  unsigned mode;        /**< of a Unix socket's file, such as 0660; 0: as umask
                             has it */
} nws_listener_options;

/** Opens a socket and listens.
 *  @param where    "127.0.0.1:8080", "[::]:8080" (both families), with port 0
 *                  for any that is free; or "unix:PATH", where what a dead
 *                  process has left at PATH is replaced. A name like
 *                  "localhost" is no address
 *  @param options  NULL for all defaults
 *  @param out      the result; give it back with nws_listener_drop()
 *  @return NWS_OK; NWS_ERROR_ARGUMENT (`where` is no address);
 *          NWS_ERROR_MEMORY; NWS_ERROR_TLS_CONFIG (no certificate to show);
 *          UV_EADDRINUSE, UV_EACCES and the like. */
NWS_API int nws_listener_open(const char *where,
                              const nws_listener_options *options,
                              nws_listener **out);

/** Takes over a stream socket that listens already: one inherited, or received
 *  from another process.
 *  @param fd       becomes the listener's, and is closed with it, unless there
 *                  is an error
 *  @param options  only `tls` and `proxy_header` count; NULL for none
 *  @return NWS_OK; NWS_ERROR_ARGUMENT (no stream socket that listens);
 *          NWS_ERROR_MEMORY; NWS_ERROR_TLS_CONFIG; UV_…. */
NWS_API int nws_listener_adopt(int fd, const nws_listener_options *options,
                               nws_listener **out);

/** Adopts the sockets that a service manager has opened for this process, as
 *  sd_listen_fds(3) describes: LISTEN_PID and LISTEN_FDS.
 *  @param options  for all of them, as for nws_listener_adopt()
 *  @param out      room for `cap` listeners
 *  @param count    set: how many there are; 0 when none were passed
 *  @return NWS_OK; NWS_ERROR_BUFFER: more than `cap`, none was adopted; as
 *          nws_listener_adopt(), then all that were adopted are dropped. */
NWS_API int nws_listener_inherited(const nws_listener_options *options,
                                   nws_listener **out, size_t cap,
                                   size_t *count);

/** Gives a listener back. The socket is closed when no server uses it any more,
 *  and then the file of a Unix socket that nws_listener_open() has made is
 *  removed. NULL does nothing. */
NWS_API void nws_listener_drop(nws_listener *listener);

/** Leaves the file of a Unix socket where it is when the listener ends: for one
 *  whose socket another process has taken over. */
NWS_API void nws_listener_keep_file(nws_listener *listener);

/** The socket, for passing it on. It is the listener's, and closes on exec. */
NWS_API int nws_listener_fd(const nws_listener *listener);

/** The port; 0 for a Unix socket. */
NWS_API uint16_t nws_listener_port(const nws_listener *listener);

/** The address: "127.0.0.1:8080", "[::]:8080" or "unix:PATH"; valid as long as
 *  the listener. */
NWS_API const char *nws_listener_name(const nws_listener *listener);

NWS_END_DECLS

#endif
