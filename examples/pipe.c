/* pipe.c - a WebSocket between two processes, without HTTP or TCP.
 *
 * A connection needs any stream of bytes and no handshake, when both ends know
 * beforehand what they speak. Here the stream is a socket pair and the ends are
 * a parent and its child: the parent asks, the child answers in capital
 * letters, and the parent closes.
 */
#include <nws/nws.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* One end. Messages here are short: each fits one buffer, and one frame. */
typedef struct end {
  nws_conn conn;
  nws_spill spill;
  int fd;
} end;

static int fill_random(void *user, void *out, size_t len) {
  (void)user;
  return getentropy(out, len);
}

static const nws_random randomness = {.fill = fill_random};
static const nws_conn_config config = {.size = sizeof(config),
                                       .random = &randomness};

static int open_end(end *e, nws_role role, int fd) {
  int rc = nws_conn_init(&e->conn, role, &config, NULL, 0);
  if (rc == NWS_OK && nws_conn_lend(&e->conn, &e->spill) < 0)
    rc = NWS_ERROR_SPILL;
  e->fd = fd;
  return rc;
}

static int put(const end *e, const void *data, size_t len) {
  return len == 0 || write(e->fd, data, len) == (ssize_t)len ? NWS_OK
                                                             : NWS_ERROR_EOF;
}

static int say(end *e, const void *text, size_t len) {
  uint8_t out[512];
  size_t out_len;
  int rc = nws_conn_send(&e->conn, NWS_OPCODE_TEXT, text, len, out, sizeof(out),
                         &out_len);
  return rc != NWS_OK ? rc : put(e, out, out_len);
}

/* The child answers each piece that is a message; a message that came in
 * several pieces would need nws_message. */
static int answer(end *e, const nws_event *event) {
  if (event->flags != NWS_MESSAGE_WHOLE)
    return NWS_ERROR_FRAGMENT_LIMIT;
  for (size_t i = 0; i < event->len; i++)
    event->data[i] = (uint8_t)toupper(event->data[i]);
  return say(e, event->data, event->len);
}

/* The parent prints what it gets, and has then heard enough. */
static int print_and_close(end *e, const nws_event *event) {
  uint8_t out[NWS_CONTROL_FRAME_MAX];
  size_t out_len;
  printf("%.*s\n", (int)event->len, (const char *)event->data);
  int rc = nws_conn_close(&e->conn, NWS_CLOSE_NORMAL, nws_str_of("done"), out,
                          sizeof(out), &out_len);
  return rc != NWS_OK ? rc : put(e, out, out_len);
}

static int flush_owed(end *e) {
  uint8_t out[2 * NWS_CONTROL_FRAME_MAX];
  size_t out_len;
  int rc = nws_conn_flush(&e->conn, out, sizeof(out), &out_len);
  return rc != NWS_OK ? rc : put(e, out, out_len);
}

/* Reads until the connection is over; NWS_OK when it ended as it should. */
static int converse(end *e, int (*handle)(end *, const nws_event *)) {
  uint8_t buffer[512];
  ssize_t got;
  while (!nws_conn_finished(&e->conn) &&
         (got = read(e->fd, buffer, sizeof(buffer))) > 0) {
    nws_input in = {.data = buffer, .len = (size_t)got};
    nws_event event;
    int type, rc = NWS_OK;
    while ((type = nws_conn_recv(&e->conn, &in, &event)) > 0)
      if (type == NWS_EVENT_DATA && (rc = handle(e, &event)) != NWS_OK)
        return rc;
    rc = flush_owed(e);
    if (type < 0 || rc != NWS_OK)
      return type < 0 ? type : rc;
  }
  return nws_conn_eof(&e->conn);
}

static int run_child(int fd) {
  end child;
  int rc = open_end(&child, NWS_ROLE_SERVER, fd);
  if (rc == NWS_OK)
    rc = converse(&child, answer);
  return rc == NWS_OK ? 0 : 1;
}

static int run_parent(int fd) {
  static const char question[] = "who is there?";
  end parent;
  int rc = open_end(&parent, NWS_ROLE_CLIENT, fd);
  if (rc == NWS_OK)
    rc = say(&parent, question, strlen(question));
  if (rc == NWS_OK)
    rc = converse(&parent, print_and_close);
  if (rc != NWS_OK)
    fprintf(stderr, "pipe: %s\n", nws_error_text(rc));
  return rc == NWS_OK ? 0 : 1;
}

int main(void) {
  int fds[2], status = 0;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) {
    perror("pipe");
    return 1;
  }
  pid_t child = fork();
  if (child < 0) {
    perror("pipe");
    return 1;
  }
  close(fds[child == 0 ? 0 : 1]);
  if (child == 0)
    _exit(run_child(fds[1]));
  int failed = run_parent(fds[0]);
  close(fds[0]);
  if (waitpid(child, &status, 0) != child || status != 0)
    failed = 1;
  return failed;
}
