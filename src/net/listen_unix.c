/* listen_unix.c - sockets that listen, on Linux and the BSDs: made, taken over,
 * and asked. Another system gets a file of its own.
 */
#include "net_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int failure(void) {
  return uv_translate_sys_error(errno);
}

static int set(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? NWS_OK
                                                                 : failure();
}

static socklen_t len_of(const nws__local *local) {
  switch (local->any.sa_family) {
  case AF_UNIX:
    return sizeof(local->local);
  case AF_INET6:
    return sizeof(local->ip.six);
  default:
    return sizeof(local->ip.four);
  }
}

/* --- Files of Unix sockets --- */

/* The address of a path, which has to fit and to end with a zero byte. */
int nws__socket_path(const char *path, struct sockaddr_un *out) {
  size_t len = strlen(path);
  if (len == 0 || len >= sizeof(out->sun_path)) {
    return len == 0 ? NWS_ERROR_ARGUMENT : UV_ENAMETOOLONG;
  }
  memset(out, 0, sizeof(*out));
  out->sun_family = AF_UNIX;
  memcpy(out->sun_path, path, len);
  return NWS_OK;
}

/* Removes the file, if it is still the one that was made. */
void nws__file_remove(const char *path, const nws__file *file) {
  struct stat now;
  if (file->made && lstat(path, &now) == 0 &&
      (uint64_t)now.st_dev == file->device &&
      (uint64_t)now.st_ino == file->number) {
    unlink(path);
  }
}

/* Says whether a path is the socket of a process that is no more. */
static int is_left_behind(const nws__local *local) {
  struct stat what;
  if (lstat(local->local.sun_path, &what) != 0 || !S_ISSOCK(what.st_mode)) {
    return 0;
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return 0;
  }
  int refused =
      connect(fd, &local->any, len_of(local)) != 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}

static int bind_file(int fd, const nws__local *local, unsigned mode,
                     nws__file *file) {
  const char *path = local->local.sun_path;
  struct stat made;
  int rc = bind(fd, &local->any, len_of(local));
  if (rc != 0 && errno == EADDRINUSE && is_left_behind(local)) {
    unlink(path);
    rc = bind(fd, &local->any, len_of(local));
  }
  if (rc != 0) {
    return failure();
  }
  /* Until it listens nobody can connect, whatever the mode. */
  if ((mode != 0 && chmod(path, (mode_t)mode) != 0) ||
      lstat(path, &made) != 0) {
    rc = failure();
    unlink(path);
    return rc;
  }
  file->made = 1;
  file->device = (uint64_t)made.st_dev;
  file->number = (uint64_t)made.st_ino;
  return NWS_OK;
}

/* --- Making --- */

static int bind_ip(int fd, const nws__local *local,
                   const nws_listener_options *options) {
  int rc = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (rc == NWS_OK && options->reuse_port) {
    rc = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  }
  if (rc == NWS_OK && local->any.sa_family == AF_INET6) {
    rc = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only);
  }
  if (rc == NWS_OK && bind(fd, &local->any, len_of(local)) != 0) {
    rc = failure();
  }
  return rc;
}

int nws__socket_listen(const nws__local *local,
                       const nws_listener_options *options, nws__file *file,
                       int *out) {
  int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  int fd = socket(local->any.sa_family, type, 0);
  if (fd < 0) {
    return failure();
  }
  int rc = local->any.sa_family == AF_UNIX
               ? bind_file(fd, local, options->mode, file)
               : bind_ip(fd, local, options);
  if (rc == NWS_OK && listen(fd, (int)options->backlog) != 0) {
    rc = failure();
    nws__file_remove(local->local.sun_path, file);
  }
  if (rc != NWS_OK) {
    close(fd);
    return rc;
  }
  *out = fd;
  return NWS_OK;
}

/* --- Taking over --- */

static int is(int fd, int name, int wanted) {
  int value = 0;
  socklen_t len = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 && value == wanted;
}

/* Makes a socket that listens fit for us. */
int nws__socket_adopt(int fd) {
  if (fcntl(fd, F_GETFD) < 0) {
    return failure();
  }
  if (!is(fd, SO_TYPE, SOCK_STREAM) || !is(fd, SO_ACCEPTCONN, 1)) {
    return NWS_ERROR_ARGUMENT;
  }
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return failure();
  }
  return NWS_OK;
}

/* What a socket is bound to. */
int nws__socket_local(int fd, nws__local *out) {
  socklen_t len = sizeof(*out);
  memset(out, 0, sizeof(*out));
  return getsockname(fd, &out->any, &len) == 0 ? NWS_OK : failure();
}
