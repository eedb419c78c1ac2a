/* serve_listen.c - where nws serve listens: addresses, Unix sockets, sockets
 * that were inherited by number or from a service manager.
 */
#include <stdlib.h>
#include <string.h>
#include "serve.h"

int nws__serve_add_listen(server *s, const char *arg) {
  uint64_t fd;
  serve_where *w = &s->where[s->where_count];
  if (s->where_count == SERVE_MAX_LISTENERS) {
    return nws__cli_misuse(s->command, "more than %d times --listen",
                           SERVE_MAX_LISTENERS);
  }
  *w = (serve_where){.port = SERVE_NO_PORT, .fd = -1};
  if (strncmp(arg, "unix:", 5) == 0) {
    w->path = arg;
    if (!arg[5]) {
      return nws__cli_misuse(s->command, "--listen unix: wants a path");
    }
  } else if (strncmp(arg, "fd:", 3) == 0) {
    if (!nws__cli_read_number(arg + 3, INT32_MAX, &fd)) {
      return nws__cli_misuse(s->command, "'%s' is no descriptor; try fd:3",
                             arg);
    }
    w->fd = (int)fd;
  } else if (nws__cli_read_listen(s->command, arg, w->address, &w->port) !=
             CLI_EXIT_OK) {
    return CLI_EXIT_USAGE;
  }
  s->where_count++;
  return CLI_EXIT_OK;
}

static int open_one(server *s, const serve_where *w,
                    const nws_listener_options *options) {
  char where[CLI_ADDRESS_MAX + 16];
  nws_listener **out = &s->listeners[s->listener_count];
  const unsigned port =
      (unsigned)(w->port == SERVE_NO_PORT ? s->port : w->port);
  const int v6 = strchr(w->address, ':') != NULL;
  int rc;
  if (w->fd >= 0) {
    rc = nws_listener_adopt(w->fd, options, out);
    snprintf(where, sizeof(where), "fd:%d", w->fd);
  } else {
    snprintf(where, sizeof(where), "%s%s%s:%u", v6 ? "[" : "", w->address,
             v6 ? "]" : "", port);
    rc = nws_listener_open(w->path ? w->path : where, options, out);
  }
  if (rc == NWS_OK) {
    s->listener_count++;
    return CLI_EXIT_OK;
  }
  if (w->fd < 0 && !w->path) {
    return nws__cli_cannot_listen(w->address, port, rc);
  }
  nws__cli_say("cannot listen on %s: %s", w->path ? w->path : where,
               rc == NWS_ERROR_ARGUMENT ? "no stream socket that listens"
                                        : nws_net_text(rc));
  return CLI_EXIT_CONNECT;
}

/* Those of a service manager come besides; alone where nothing else is said. */
int nws__serve_listen(server *s) {
  const nws_listener_options options = {.size = sizeof(options),
                                        .tls = s->tls.tls,
                                        .proxy_header = s->proxy_protocol};
  size_t count = 0;
  int rc = nws_listener_inherited(&options, s->listeners, SERVE_MAX_LISTENERS,
                                  &count);
  if (rc != NWS_OK) {
    nws__cli_say("cannot use the sockets of LISTEN_FDS: %s", nws_net_text(rc));
    return CLI_EXIT_CONNECT;
  }
  s->listener_count = count;
  if (s->where_count == 0 && count == 0) {
    s->where[s->where_count++] =
        (serve_where){.address = "127.0.0.1", .port = SERVE_NO_PORT, .fd = -1};
  }
  for (size_t i = 0; i < s->where_count; i++) {
    int code = open_one(s, &s->where[i], &options);
    if (code != CLI_EXIT_OK) {
      return code;
    }
  }
  s->options.listeners = s->listeners;
  s->options.listener_count = s->listener_count;
  return CLI_EXIT_OK;
}

void nws__serve_drop_listeners(server *s) {
  for (size_t i = 0; i < s->listener_count; i++) {
    nws_listener_drop(s->listeners[i]);
  }
  s->listener_count = 0;
}

/* An address without its port and brackets. */
static void take_address(const char *name, char out[CLI_ADDRESS_MAX]) {
  const int v6 = *name == '[';
  const char *end = v6 ? strchr(name, ']') : strrchr(name, ':');
  size_t len = end ? (size_t)(end - name) - (size_t)v6 : 0;
  if (len >= CLI_ADDRESS_MAX) {
    len = 0;
  }
  memcpy(out, name + v6, len);
  out[len] = 0;
}

void nws__serve_welcome(const server *s) {
  char address[CLI_ADDRESS_MAX];
  const nws_listener *first = s->listeners[0];
  for (size_t i = 1; i < s->listener_count; i++) {
    printf("Listening on %s, and\n", nws_listener_name(s->listeners[i]));
  }
  if (nws_listener_port(first) == 0) {
    printf("Listening on %s. Try it\n  in a terminal:    %s connect "
           "ws+%s:/\nCtrl-C stops.\n",
           nws_listener_name(first), s->program, nws_listener_name(first));
    fflush(stdout);
    return;
  }
  take_address(nws_listener_name(first), address);
  nws__cli_put_welcome(s->program, address, nws_listener_port(first), &s->tls);
}
