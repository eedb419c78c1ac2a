/* log.h - how much a line of a server's log matters (libnws_net).
 *
 *     static void print(nws_server *server, nws_log_level level,
 *                       const char *text, void *user) {
 *       (void)server;
 *       (void)user;
 *       fprintf(stderr, "%s: %s\n", nws_log_name(level), text);
 *     }
 *
 *     options.log = print;
 *     options.log_level = NWS_LOG_DEBUG;
 *
 * The log is for people; nws_server_options.trouble is for programs. What is
 * the same told over and over comes into the log about once a second, with how
 * often it has happened; `trouble` tells each case, as an error and an address.
 *
 * A line has the address of the other end, the text of an error, status codes
 * and numbers. Nothing that the other end has chosen gets into it: no payload,
 * no reason of a close, nothing of the request, which may hold passwords and
 * tokens, in its path too.
 */
#ifndef NWS_LOG_H
#define NWS_LOG_H

#include <nws/base.h>

NWS_BEGIN_DECLS

/** From what matters most to what matters least. */
typedef enum nws_log_level {
  NWS_LOG_ERROR = 1,   /**< the server cannot take connections */
  NWS_LOG_WARNING = 2, /**< a limit turns connections away */
  NWS_LOG_INFO = 3,    /**< it takes connections again, or has stopped; a peer
                            was given up; what came was no HTTP, no TLS, or not
                            in time */
  NWS_LOG_DEBUG = 4    /**< each connection that opens, ends, or is turned away;
                            each handshake that comes to nothing */
} nws_log_level;

/** "error", "warning", "info" or "debug"; static. "unknown" for others. */
NWS_API const char *nws_log_name(nws_log_level level);

NWS_END_DECLS

#endif
