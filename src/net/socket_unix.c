/* socket_unix.c - TCP sockets of Linux and the BSDs. Another system gets a file
 * of its own.
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
#include <sys/socket.h>
#include <unistd.h>

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

static socklen_t address_len(const struct sockaddr *address) {
  return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                        : sizeof(struct sockaddr_in);
}

int nws__socket_listen(const struct sockaddr *address, int backlog, int *out) {
  int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  int fd = socket(address->sa_family, type, 0);
  if (fd < 0) {
    return failure();
  }
  int on = 1;
  int off = 0;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
    return failure_close(fd);
  }
  if (address->sa_family == AF_INET6 &&
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0) {
    return failure_close(fd);
  }
  if (bind(fd, address, address_len(address)) != 0) {
    return failure_close(fd);
  }
  if (listen(fd, backlog) != 0) {
    return failure_close(fd);
  }
  *out = fd;
  return NWS_OK;
}

int nws__socket_accept(int listener, int *out) {
  int fd;
  do {
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
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

/* Bytes received, 0 at the end, UV_EAGAIN when there are none. */
long nws__socket_receive(int fd, void *out, size_t cap) {
  ssize_t len;
  do {
    len = recv(fd, out, cap, 0);
  } while (len < 0 && errno == EINTR);
  if (len >= 0) {
    return (long)len;
  }
  return errno == EAGAIN || errno == EWOULDBLOCK ? UV_EAGAIN : failure();
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

/* Says that nothing more will be sent. */
void nws__socket_shut(int fd) {
  (void)shutdown(fd, SHUT_WR);
}

void nws__socket_close(int fd) {
  close(fd);
}

static uint16_t port_of(const struct sockaddr_storage *address) {
  struct sockaddr_in four;
  struct sockaddr_in6 six;
  if (address->ss_family == AF_INET6) {
    memcpy(&six, address, sizeof(six));
    return ntohs(six.sin6_port);
  }
  memcpy(&four, address, sizeof(four));
  return ntohs(four.sin_port);
}

int nws__socket_port(int fd, uint16_t *port) {
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof(address);
  if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
    return failure();
  }
  *port = port_of(&address);
  return NWS_OK;
}

/* An IPv4 client of a "::" listener shows as IPv4, not as ::ffff:1.2.3.4. */
static int host_of(const struct sockaddr_storage *address, int *brackets,
                   char *out, size_t cap) {
  *brackets = 0;
  if (address->ss_family != AF_INET6) {
    return uv_ip4_name((const struct sockaddr_in *)address, out, cap);
  }
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
  if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
    return uv_inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, out, cap);
  }
  *brackets = 1;
  return uv_ip6_name(six, out, cap);
}

/* The other end's address and port, as text. */
int nws__socket_name(int fd, char *out, size_t cap) {
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof(address);
  if (getpeername(fd, (struct sockaddr *)&address, &len) != 0) {
    return failure();
  }
  char host[INET6_ADDRSTRLEN];
  int brackets;
  int rc = host_of(&address, &brackets, host, sizeof(host));
  if (rc != 0) {
    return rc;
  }
  int n = snprintf(out, cap, "%s%s%s:%u", brackets ? "[" : "", host,
                   brackets ? "]" : "", (unsigned)port_of(&address));
  return n < 0 || (size_t)n >= cap ? NWS_ERROR_BUFFER : NWS_OK;
}
