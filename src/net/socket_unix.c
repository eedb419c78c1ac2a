/* socket_unix.c - sockets of Linux and the BSDs, once they are there. Another
 * system gets a file of its own.
 *
 * All sockets are non-blocking and close on exec; none of these calls raises
 * SIGPIPE.
 */
#include "net_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The question what a socket still holds. Linux tells what the other end has no
 * room for from what is merely under way. */
#ifdef __linux__
#include <linux/sockios.h>
#define UNSENT SIOCOUTQNSD
#else
#define UNSENT TIOCOUTQ
#endif

/* libuv's errors on Unix are errno's, negated. */
static int failure(void) {
  return uv_translate_sys_error(errno);
}

static int failure_close(int fd) {
  int error = failure();
  close(fd);
  return error;
}

static void no_delay(int fd) {
  int on = 1;
  /* Only slower if it fails. */
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int nws__socket_accept(int listener, nws__address *from, int *out) {
  int fd;
  socklen_t len;
  do {
    len = sizeof(*from);
    memset(from, 0, sizeof(*from));
    fd = accept4(listener, &from->any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd < 0) {
    return failure();
  }
  no_delay(fd);
  *out = fd;
  return NWS_OK;
}

/* Starts to connect; the socket becomes writable when that is decided. */
int nws__socket_connect(const struct sockaddr *address, socklen_t len,
                        int *out) {
  int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  int fd = socket(address->sa_family, type, 0);
  if (fd < 0) {
    return failure();
  }
  no_delay(fd);
  if (connect(fd, address, len) != 0 && errno != EINPROGRESS &&
      errno != EINTR) {
    return failure_close(fd);
  }
  *out = fd;
  return NWS_OK;
}

/* The error that waits on a socket, 0 when none. */
int nws__socket_error(int fd) {
  int error = 0;
  socklen_t len = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
    return failure();
  }
  return error == 0 ? 0 : uv_translate_sys_error(error);
}

static long receive(int fd, void *out, size_t cap, int flags) {
  ssize_t len;
  do {
    len = recv(fd, out, cap, flags);
  } while (len < 0 && errno == EINTR);
  if (len >= 0) {
    return (long)len;
  }
  return errno == EAGAIN || errno == EWOULDBLOCK ? UV_EAGAIN : failure();
}

/* Bytes received, 0 at the end, UV_EAGAIN when there are none. */
long nws__socket_receive(int fd, void *out, size_t cap) {
  return receive(fd, out, cap, 0);
}

/* The same, but they stay in the socket. */
long nws__socket_peek(int fd, void *out, size_t cap) {
  return receive(fd, out, cap, MSG_PEEK);
}

/* Bytes sent, UV_EAGAIN when the socket is full. On Unix a uv_buf_t is laid out
 * like a struct iovec; libuv itself relies on that. */
long nws__socket_send(int fd, const uv_buf_t *bufs, unsigned count) {
  struct iovec parts[16];
  struct msghdr message;
  memset(&message, 0, sizeof(message));
  if (count > sizeof(parts) / sizeof(parts[0])) {
    count = sizeof(parts) / sizeof(parts[0]);
  }
  for (unsigned i = 0; i < count; i++) {
    parts[i].iov_base = bufs[i].base;
    parts[i].iov_len = bufs[i].len;
  }
  message.msg_iov = parts;
  message.msg_iovlen = count;
  ssize_t len;
  do {
    len = sendmsg(fd, &message, MSG_NOSIGNAL);
  } while (len < 0 && errno == EINTR);
  if (len >= 0) {
    return (long)len;
  }
  return errno == EAGAIN || errno == EWOULDBLOCK ? UV_EAGAIN : failure();
}

/* Bytes that the system holds because the other end does not take them; 0 where
 * it does not say. */
size_t nws__socket_unsent(int fd) {
  int len = 0;
  if ((ioctl(fd, UNSENT, &len) != 0 && ioctl(fd, TIOCOUTQ, &len) != 0) ||
      len < 0) {
    return 0;
  }
  return (size_t)len;
}

/* Says that nothing more will be sent. */
void nws__socket_shut(int fd) {
  (void)shutdown(fd, SHUT_WR);
}

void nws__socket_close(int fd) {
  close(fd);
}

static uint16_t port_of(const nws__address *address) {
  return ntohs(address->any.sa_family == AF_INET6 ? address->six.sin6_port
                                                  : address->four.sin_port);
}

int nws__socket_port(int fd, uint16_t *port) {
  nws__address address = {0};
  socklen_t len = sizeof(address);
  if (getsockname(fd, &address.any, &len) != 0) {
    return failure();
  }
  *port = port_of(&address);
  return NWS_OK;
}

/* An IPv4 client of a "::" listener shows as IPv4, not as ::ffff:1.2.3.4. */
static int host_of(const nws__address *address, int *brackets, char *out,
                   size_t cap) {
  *brackets = 0;
  if (address->any.sa_family != AF_INET6) {
    return uv_ip4_name(&address->four, out, cap);
  }
  const struct in6_addr *host = &address->six.sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(host)) {
    return uv_inet_ntop(AF_INET, host->s6_addr + 12, out, cap);
  }
  *brackets = 1;
  return uv_ip6_name(&address->six, out, cap);
}

/* Address and port, as text. */
int nws__socket_name(const nws__address *address, char *out, size_t cap) {
  char host[INET6_ADDRSTRLEN];
  int brackets;
  if (address->any.sa_family == AF_UNIX) {
    int len = snprintf(out, cap, "unix");
    return (size_t)len >= cap ? NWS_ERROR_BUFFER : NWS_OK;
  }
  int rc = host_of(address, &brackets, host, sizeof(host));
  if (rc != 0) {
    return rc;
  }
  int n = snprintf(out, cap, "%s%s%s:%u", brackets ? "[" : "", host,
                   brackets ? "]" : "", (unsigned)port_of(address));
  return n < 0 || (size_t)n >= cap ? NWS_ERROR_BUFFER : NWS_OK;
}
