/* log.c - a server's log, for people. Nothing that the other end has chosen
 * gets into a line, so that no line can be forged and no secret betrayed:
 * addresses, errors and numbers only.
 *
 * Lines are made only for who wants them. All of them come from the loop, as
 * all callbacks do; so a server does not tell that it starts or is told to
 * stop.
 */
#include "net_internal.h"
#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_LEN 512
#define NS_PER_S UINT64_C(1000000000)

const char *nws_log_name(nws_log_level level) {
  switch (level) {
  case NWS_LOG_ERROR:
    return "error";
  case NWS_LOG_WARNING:
    return "warning";
  case NWS_LOG_INFO:
    return "info";
  case NWS_LOG_DEBUG:
    return "debug";
  default:
    return "unknown";
  }
}

/* Fills in the default. */
int nws__log_take(nws_server *server) {
  nws_server_options *options = &server->options;
  if (options->log_level == 0) {
    options->log_level = NWS_LOG_INFO;
  }
  return options->log_level <= NWS_LOG_DEBUG ? NWS_OK : NWS_ERROR_ARGUMENT;
}

static int wanted(const nws_server *server, nws_log_level level) {
  return server->options.log != NULL && level <= server->options.log_level;
}

/* `from` may be NULL. */
__attribute__((format(printf, 4, 5))) static void say(nws_server *server,
                                                      nws_log_level level,
                                                      const nws__address *from,
                                                      const char *format, ...) {
  char line[LINE_MAX_LEN];
  size_t len = 0;
  va_list args;
  if (!wanted(server, level)) {
    return;
  }
  if (from != NULL && nws__socket_name(from, line, 64) == NWS_OK) {
    while (line[len] != '\0') {
      len++;
    }
    line[len++] = ':';
    line[len++] = ' ';
  }
  va_start(args, format);
  (void)vsnprintf(line + len, sizeof(line) - len, format, args);
  va_end(args);
  server->options.log(server, level, line, server->options.user);
}

/* --- The server --- */

void nws__log_blocked(nws_server *server, int error) {
  say(server, NWS_LOG_ERROR, NULL, "no connection can be taken: %s",
      nws_net_text(error));
}

void nws__log_resumed(nws_server *server) {
  say(server, NWS_LOG_INFO, NULL, "connections can be taken again");
}

void nws__log_stopped(nws_server *server) {
  say(server, NWS_LOG_INFO, NULL, "stopped");
}

/* --- Limits --- */

/* A crowd would fill the log: one line a second for each limit. */
void nws__log_turned(nws_server *server, int error, const nws__address *from) {
  unsigned which = error <= NWS_ERROR_PEER_LIMIT &&
                           error > NWS_ERROR_PEER_LIMIT - NWS__LIMITS
                       ? (unsigned)(NWS_ERROR_PEER_LIMIT - error)
                       : NWS__LIMITS;
  nws__repeated *again = &server->repeated[which];
  if (!wanted(server, NWS_LOG_WARNING)) {
    return;
  }
  again->count++;
  uint64_t now = uv_hrtime();
  if (again->at == 0 || now - again->at >= NS_PER_S) {
    uint64_t count = again->count;
    again->at = now;
    again->count = 0;
    say(server, NWS_LOG_WARNING, NULL,
        "connections turned away since the last such line: %llu; %s",
        (unsigned long long)count, nws_net_text(error));
  }
  say(server, NWS_LOG_DEBUG, from, "turned away; %s", nws_net_text(error));
}

/* --- Peers --- */

void nws__log_opened(nws_peer *peer) {
  if (peer->server != NULL) {
    say(peer->server, NWS_LOG_DEBUG, &peer->address, "open");
  }
}

void nws__log_given_up(nws_peer *peer, int error) {
  int slow = (peer->flags & NWS__BEHIND) != 0;
  if (peer->server == NULL || (peer->flags & NWS__CONN) == 0) {
    return;
  }
  if (slow) {
    say(peer->server, NWS_LOG_INFO, &peer->address,
        "given up; it takes nothing of %zu bytes that wait", peer->queue.bytes);
  } else if (error == NWS_ERROR_PONG_TIMEOUT) {
    say(peer->server, NWS_LOG_INFO, &peer->address, "given up; %s",
        nws_net_text(error));
  }
}

/* Whom the application knows is its business; and people come and go. */
static nws_log_level level_of(const nws_peer *peer) {
  int error = peer->error;
  int gone = error > NWS_ERROR_ARGUMENT || error == NWS_ERROR_HTTP_EOF;
  int told = (peer->flags & NWS__TOLD) != 0;
  return gone || told ? NWS_LOG_DEBUG : NWS_LOG_INFO;
}

/* The end of a peer; `error` is what is told. Of those that were turned away
 * the log has heard. */
void nws__log_ended(nws_peer *peer, int error, const char *detail) {
  if (peer->server == NULL || (peer->flags & NWS__TURNED) != 0) {
    return;
  }
  int more = detail[0] != '\0';
  if ((peer->flags & NWS__CONN) == 0) {
    say(peer->server, level_of(peer), &peer->address, "no connection; %s%s%s%s",
        nws_net_text(error), more ? " (" : "", detail, more ? ")" : "");
    return;
  }
  say(peer->server, NWS_LOG_DEBUG, &peer->address,
      "closed; %s; status codes: %u came, %u went%s%s%s", nws_net_text(error),
      nws_conn_close_code(&peer->conn), nws_conn_close_sent(&peer->conn),
      more ? " (" : "", detail, more ? ")" : "");
}
