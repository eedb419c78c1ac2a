/* listener.c - listening sockets, apart from the servers that use them: servers
 * in several threads may share one, and processes may pass one on.
 */
#include "net_internal.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG 511
/* sd_listen_fds(3): the first descriptor that a service manager passes on. */
#define INHERITED_FIRST 3
#define UNIX_PREFIX "unix:"
#define UNIX_PREFIX_LEN (sizeof(UNIX_PREFIX) - 1)

struct nws_listener {
  atomic_uint holds;
  atomic_int keep_file;
  int fd;
  uint16_t port;
  nws_tls *tls;
  int proxied;
  nws__file file; /* of a Unix socket that we have made */
  char name[sizeof(UNIX_PREFIX) + NWS__PATH_MAX];
};

/* --- Making --- */

static int take_options(nws_listener_options *out,
                        const nws_listener_options *given) {
  nws_listener_options none = {.size = sizeof(none)};
  int rc = nws__setup_options(out, sizeof(*out), given == NULL ? &none : given);
  if (rc != NWS_OK) {
    return rc;
  }
  if (out->tls != NULL && !nws__tls_serves(out->tls)) {
    return NWS_ERROR_TLS_CONFIG; /* no certificate to show */
  }
  if (out->v6_only > 1 || out->reuse_port > 1 || out->proxy_header > 1 ||
      out->mode > 0777) {
    return NWS_ERROR_ARGUMENT;
  }
  if (out->backlog == 0 || out->backlog > INT32_MAX) {
    out->backlog = BACKLOG;
  }
  return NWS_OK;
}

/* Fills in what a listening socket tells of itself. */
static int describe(nws_listener *listener) {
  nws__local local;
  int rc = nws__socket_local(listener->fd, &local);
  if (rc != NWS_OK) {
    return rc;
  }
  if (local.any.sa_family == AF_UNIX) {
    /* A path of the full length has no zero byte behind it (unix(7)). */
    snprintf(listener->name, sizeof(listener->name), UNIX_PREFIX "%.*s",
             (int)NWS__PATH_MAX, local.local.sun_path);
    return NWS_OK;
  }
  rc = nws__socket_port(listener->fd, &listener->port);
  return rc != NWS_OK ? rc
                      : nws__socket_name(&local.ip, listener->name,
                                         sizeof(listener->name));
}

/* Makes the object for a socket, which is its own from then on. */
static int wrap(int fd, const nws__file *file,
                const nws_listener_options *options, nws_listener **out) {
  nws_listener *listener = calloc(1, sizeof(*listener));
  if (listener == NULL) {
    return NWS_ERROR_MEMORY;
  }
  atomic_init(&listener->holds, 1);
  listener->fd = fd;
  int rc = describe(listener);
  if (rc != NWS_OK) {
    free(listener);
    return rc;
  }
  listener->tls = nws__tls_keep(options->tls);
  listener->proxied = options->proxy_header;
  listener->file = *file;
  *out = listener;
  return NWS_OK;
}

/* --- Addresses --- */

/* "1.2.3.4:80" or "[::]:80". */
static int read_address(const char *where, nws__local *out) {
  char host[INET6_ADDRSTRLEN];
  int six = *where == '[';
  const char *end = strchr(where, six ? ']' : ':');
  const char *begin = where + six;
  if (end == NULL || (size_t)(end - begin) >= sizeof(host)) {
    return NWS_ERROR_ARGUMENT;
  }
  memcpy(host, begin, (size_t)(end - begin));
  host[end - begin] = '\0';
  const char *digits = end + six;
  if (*digits++ != ':' || *digits == '\0') {
    return NWS_ERROR_ARGUMENT;
  }
  int port = 0;
  for (; *digits >= '0' && *digits <= '9' && port <= UINT16_MAX; digits++) {
    port = port * 10 + (*digits - '0');
  }
  if (*digits != '\0' || port > UINT16_MAX) {
    return NWS_ERROR_ARGUMENT;
  }
  int rc = six ? uv_ip6_addr(host, port, &out->ip.six)
               : uv_ip4_addr(host, port, &out->ip.four);
  return rc == 0 ? NWS_OK : NWS_ERROR_ARGUMENT;
}

static int read_where(const char *where, nws__local *out) {
  memset(out, 0, sizeof(*out));
  if (strncmp(where, UNIX_PREFIX, UNIX_PREFIX_LEN) != 0) {
    return read_address(where, out);
  }
  return nws__socket_path(where + UNIX_PREFIX_LEN, &out->local);
}

int nws_listener_open(const char *where, const nws_listener_options *given,
                      nws_listener **out) {
  nws_listener_options options;
  nws__local local;
  nws__file file = {0};
  int fd;
  if (out != NULL) {
    *out = NULL;
  }
  if (where == NULL || out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  int rc = take_options(&options, given);
  if (rc == NWS_OK) {
    rc = read_where(where, &local);
  }
  if (rc == NWS_OK) {
    rc = nws__socket_listen(&local, &options, &file, &fd);
  }
  if (rc != NWS_OK) {
    return rc;
  }
  rc = wrap(fd, &file, &options, out);
  if (rc != NWS_OK) {
    nws__socket_close(fd);
    nws__file_remove(where + UNIX_PREFIX_LEN, &file);
  }
  return rc;
}

int nws_listener_adopt(int fd, const nws_listener_options *given,
                       nws_listener **out) {
  nws_listener_options options;
  const nws__file none = {0};
  if (out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  *out = NULL;
  int rc = take_options(&options, given);
  if (rc == NWS_OK) {
    rc = nws__socket_adopt(fd);
  }
  return rc != NWS_OK ? rc : wrap(fd, &none, &options, out);
}

/* --- Service managers --- */

static int read_variable(const char *name, unsigned long *out) {
  const char *text = getenv(name);
  char *end;
  if (text == NULL || *text < '0' || *text > '9') {
    return 0;
  }
  *out = strtoul(text, &end, 10);
  return *end == '\0';
}

int nws_listener_inherited(const nws_listener_options *options,
                           nws_listener **out, size_t cap, size_t *count) {
  unsigned long pid;
  unsigned long fds;
  if (out == NULL || count == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  *count = 0;
  if (!read_variable("LISTEN_PID", &pid) ||
      !read_variable("LISTEN_FDS", &fds)) {
    return NWS_OK;
  }
  if (pid != (unsigned long)uv_os_getpid()) {
    return NWS_OK; /* they were meant for a process before us */
  }
  if (fds > cap) {
    return NWS_ERROR_BUFFER;
  }
  for (size_t i = 0; i < fds; i++) {
    int rc = nws_listener_adopt(INHERITED_FIRST + (int)i, options, &out[i]);
    if (rc != NWS_OK) {
      while (i > 0) {
        nws_listener_drop(out[--i]);
      }
      return rc;
    }
  }
  *count = fds;
  return NWS_OK;
}

/* --- Sharing and ending --- */

nws_listener *nws__listener_hold(nws_listener *listener) {
  atomic_fetch_add(&listener->holds, 1);
  return listener;
}

void nws_listener_drop(nws_listener *listener) {
  if (listener == NULL || atomic_fetch_sub(&listener->holds, 1) > 1) {
    return;
  }
  if (!atomic_load(&listener->keep_file)) {
    nws__file_remove(listener->name + UNIX_PREFIX_LEN, &listener->file);
  }
  nws__socket_close(listener->fd);
  nws_tls_drop(listener->tls);
  free(listener);
}

void nws_listener_keep_file(nws_listener *listener) {
  atomic_store(&listener->keep_file, 1);
}

nws_tls *nws__listener_tls(const nws_listener *listener) {
  return listener->tls;
}

int nws__listener_proxied(const nws_listener *listener) {
  return listener->proxied;
}

/* --- Questions --- */

int nws_listener_fd(const nws_listener *listener) {
  return listener->fd;
}

uint16_t nws_listener_port(const nws_listener *listener) {
  return listener->port;
}

const char *nws_listener_name(const nws_listener *listener) {
  return listener->name;
}
