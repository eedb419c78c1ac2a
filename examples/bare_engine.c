/* bare_engine.c - the engine alone, on a blocking socket: a server for one
 * connection that sends everything back.
 *
 *     bare_engine [PORT]
 *
 * The engine is fed with what was read and says what to write; no library but
 * libnws is used. Pieces of messages go back as they come, as fragments, so
 * that no memory for messages is needed, however large they are.
 *
 * No time is given to the engine (nws_input.now is 0), so nothing times out. A
 * program with a clock calls nws_conn_tick() as well.
 */
#include <nws/nws.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_LEN 4096
#define HEAD_LEN NWS_HTTP_MAX_HEAD_DEFAULT

static int write_all(int fd, const void *data, size_t len) {
  const char *at = data;
  while (len > 0) {
    ssize_t done = send(fd, at, len, MSG_NOSIGNAL);
    if (done < 0)
      return -1;
    at += done;
    len -= (size_t)done;
  }
  return 0;
}

/* readme:begin */
static int feed(nws_conn *conn, int fd, uint8_t *data, size_t len) {
  nws_input in = {.data = data, .len = len};
  uint8_t out[READ_LEN + NWS_FRAME_HEADER_MAX];
  nws_event event;
  size_t out_len;
  int type;
  do {
    type = nws_conn_recv(conn, &in, &event);
    if (type == NWS_EVENT_DATA) { /* send the piece back, as a fragment */
      unsigned what = event.flags & NWS_MESSAGE_BEGIN ? event.opcode : 0;
      unsigned more = event.flags & NWS_MESSAGE_END ? 0 : NWS_SEND_MORE;
      if (nws_conn_send(conn, what | more, event.data, event.len, out,
                        sizeof(out), &out_len) != NWS_OK ||
          write_all(fd, out, out_len) != 0)
        return -1;
    } /* pongs and close frames are owed, also after an error of the peer's */
    if (nws_conn_flush(conn, out, sizeof(out), &out_len) != NWS_OK ||
        write_all(fd, out, out_len) != 0)
      return -1;
  } while (type > 0);
  return nws_conn_finished(conn);
}
/* readme:end */

/* Reads the request and answers it. Returns how many bytes of `buffer` came
 * behind the head, moved to its front, or -1. */
static ssize_t shake_hands(int fd, uint8_t *buffer) {
  nws_server_handshake hs;
  char out[1024];
  size_t len = 0, out_len = 0;
  int rc = NWS_MORE;
  memset(&hs, 0, sizeof(hs));
  while (rc == NWS_MORE) { /* more than HEAD_LEN bytes are an error */
    ssize_t got = recv(fd, buffer + len, HEAD_LEN + READ_LEN - len, 0);
    if (got <= 0)
      return -1;
    len += (size_t)got;
    rc = nws_server_handshake_read(&hs, NULL, (const char *)buffer, len);
  }
  if (rc == NWS_OK) {
    rc = nws_server_handshake_accept(&hs, NULL, out, sizeof(out), &out_len);
  } else {
    nws_rejection why = {.size = sizeof(why), .error = rc};
    fprintf(stderr, "refused: %s\n", nws_error_text(rc));
    nws_server_handshake_reject(&why, out, sizeof(out), &out_len);
  }
  if (write_all(fd, out, out_len) != 0 || rc != NWS_OK)
    return -1;
  memmove(buffer, buffer + hs.head.len, len - hs.head.len);
  return (ssize_t)(len - hs.head.len);
}

/* Frames may have come in the same read as the request, so what is behind the
 * head is fed first, in pieces that fit what feed() can answer. */
static int converse(nws_conn *conn, int fd) {
  static uint8_t buffer[HEAD_LEN + READ_LEN];
  ssize_t got = shake_hands(fd, buffer);
  int done = got < 0 ? -1 : 0;
  for (ssize_t at = 0; done == 0 && at < got; at += READ_LEN) {
    ssize_t len = got - at < READ_LEN ? got - at : READ_LEN;
    done = feed(conn, fd, buffer + at, (size_t)len);
  }
  while (done == 0) {
    got = recv(fd, buffer, READ_LEN, 0);
    if (got <= 0)
      return nws_conn_eof(conn);
    done = feed(conn, fd, buffer, (size_t)got);
  }
  if (done < 0)
    return done;
  /* The server closes first, and lets the client read all (RFC 6455 7.1.1). */
  shutdown(fd, SHUT_WR);
  while (recv(fd, buffer, READ_LEN, 0) > 0)
    continue;
  return nws_conn_fault(conn).error;
}

static int listen_on(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  socklen_t len = sizeof(address);
  int on = 1;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
      bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1) ||
      getsockname(fd, (struct sockaddr *)&address, &len)) {
    perror("bare_engine");
    exit(1);
  }
  printf("listening on 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(int argc, char **argv) {
  nws_conn conn;
  nws_spill spill;
  int listener = listen_on((uint16_t)(argc > 1 ? atoi(argv[1]) : 8080));
  int fd = accept(listener, NULL, NULL);
  close(listener);
  if (fd < 0)
    return 1;
  if (nws_conn_init(&conn, NWS_ROLE_SERVER, NULL, NULL, 0) != NWS_OK ||
      nws_conn_lend(&conn, &spill) < 0)
    return 1;
  int rc = converse(&conn, fd);
  close(fd);
  printf("closed with %u: %s\n", nws_conn_close_code(&conn),
         rc == -1 ? "connection lost" : nws_error_text(rc));
  return rc == NWS_OK ? 0 : 1;
}
