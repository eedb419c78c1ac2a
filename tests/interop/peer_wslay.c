/* peer_wslay.c - a peer made with wslay, another engine in C. The arguments and
 * what is tried are those of peer_python.py; sizes and close codes come from
 * the environment.
 *
 * wslay knows frames and no HTTP. A client's handshake is a constant here, the
 * example of RFC 6455 1.3; a server has the accept key computed by libnws, the
 * only thing here that is not wslay's. One connection is served at a time.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <nws/nws.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define PATIENCE_MS 30000
#define BIG ((size_t)4 << 20)
#define CLOSES_MAX 16

/* A message, and how much of it has been sent as fragments. */
typedef struct pieces {
  const uint8_t *data;
  size_t len;
  size_t at;
  size_t step;
  size_t ping_at; /* queue a ping when so much has been sent; 0: none */
} pieces;

typedef struct peer {
  int fd;
  int echo; /* 1: send messages back */
  int over; /* the connection has ended or failed */
  wslay_event_context_ptr ctx;
  uint8_t *data; /* last message */
  size_t len;
  uint8_t opcode;
  int messages, pongs; /* how many have come */
  char pong[126];
  char reason[126];
  char protocol[64]; /* server: those the client offers */
} peer;

static int passed, failed;

static int check(int good, const char *what, size_t number) {
  passed += good != 0;
  failed += good == 0;
  printf("%s: %s %zu\n", good ? "ok" : "FAILED", what, number);
  fflush(stdout);
  return good;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* --- wslay's callbacks --- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len,
                       int flags, void *user) {
  peer *p = user;
  (void)flags;
  ssize_t got = recv(p->fd, buf, len, MSG_DONTWAIT);
  if (got > 0)
    return got;
  p->over = got == 0;
  wslay_event_set_error(ctx, got == 0 ? WSLAY_ERR_CALLBACK_FAILURE
                                      : WSLAY_ERR_WOULDBLOCK);
  return -1;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *data,
                       size_t len, int flags, void *user) {
  const peer *p = user;
  (void)flags;
  ssize_t sent = send(p->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0)
    wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
  return sent;
}

static int on_genmask(wslay_event_context_ptr ctx, uint8_t *buf, size_t len,
                      void *user) {
  (void)ctx;
  (void)user;
  return getentropy(buf, len);
}

static void keep_text(char *out, const uint8_t *text, size_t len) {
  if (len > 0)
    memcpy(out, text, len);
  out[len] = '\0';
}

static void queue(peer *p, uint8_t opcode, const uint8_t *data, size_t len) {
  struct wslay_event_msg message = {opcode, data, len};
  if (wslay_event_queue_msg(p->ctx, &message) != 0)
    p->over = 1;
}

static void on_message(wslay_event_context_ptr ctx,
                       const struct wslay_event_on_msg_recv_arg *arg,
                       void *user) {
  peer *p = user;
  (void)ctx;
  if (arg->opcode == WSLAY_PONG) {
    keep_text(p->pong, arg->msg, arg->msg_length);
    p->pongs++;
  } else if (arg->opcode == WSLAY_CONNECTION_CLOSE && arg->msg_length > 2) {
    keep_text(p->reason, arg->msg + 2, arg->msg_length - 2);
  }
  if (wslay_is_ctrl_frame(arg->opcode))
    return;
  p->messages++;
  p->opcode = arg->opcode;
  free(p->data);
  p->len = arg->msg_length;
  p->data = malloc(p->len + 1);
  if (p->data == NULL)
    die("malloc");
  if (p->len > 0)
    memcpy(p->data, arg->msg, p->len);
  if (p->echo)
    queue(p, arg->opcode, arg->msg, arg->msg_length);
}

static ssize_t on_pieces(wslay_event_context_ptr ctx, uint8_t *buf, size_t len,
                         const union wslay_event_msg_source *source, int *eof,
                         void *user) {
  pieces *from = source->data;
  size_t part = from->len - from->at;
  (void)ctx;
  part = part < from->step ? part : from->step;
  part = part < len ? part : len;
  memcpy(buf, from->data + from->at, part);
  from->at += part;
  *eof = from->at == from->len;
  if (from->ping_at != 0 && from->ping_at == from->at)
    queue(user, WSLAY_PING, (const uint8_t *)"between", 7);
  return (ssize_t)part;
}

/* --- Running --- */

/* Lets bytes flow once; returns 0 when the connection is over. */
static int turn(peer *p) {
  struct pollfd at = {.fd = p->fd};
  if (wslay_event_want_read(p->ctx))
    at.events |= POLLIN;
  if (wslay_event_want_write(p->ctx))
    at.events |= POLLOUT;
  if (p->over || at.events == 0)
    return 0;
  if (poll(&at, 1, PATIENCE_MS) <= 0) {
    printf("FAILED: nothing happens\n");
    exit(1);
  }
  if ((at.revents & POLLOUT) != 0 && wslay_event_send(p->ctx) != 0)
    return 0;
  if ((at.revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
      wslay_event_recv(p->ctx) != 0)
    return 0;
  return 1;
}

static int await_message(peer *p, int count) {
  while (p->messages < count)
    if (!turn(p))
      return 0;
  return 1;
}

static void finish(peer *p) {
  while (turn(p))
    continue;
  wslay_event_context_free(p->ctx);
  close(p->fd);
  free(p->data);
}

static void start(peer *p, int fd, int server) {
  static const struct wslay_event_callbacks calls = {
      .recv_callback = on_recv,
      .send_callback = on_send,
      .genmask_callback = on_genmask,
      .on_msg_recv_callback = on_message};
  p->fd = fd;
  int rc = server ? wslay_event_context_server_init(&p->ctx, &calls, p)
                  : wslay_event_context_client_init(&p->ctx, &calls, p);
  if (rc != 0)
    die("wslay");
}

/* --- What is tried, in either role --- */

static uint8_t *random_bytes(size_t len) {
  uint8_t *data = malloc(len + 1);
  if (data == NULL)
    die("malloc");
  for (size_t at = 0; at < len; at++)
    data[at] = (uint8_t)(rand() >> 7);
  return data;
}

static int came_back(peer *p, int opcode, const uint8_t *data, size_t len) {
  return await_message(p, p->messages + 1) && p->opcode == opcode &&
         p->len == len && memcmp(p->data, data, len) == 0;
}

static void try_sizes(peer *p) {
  const char *at = getenv("INTEROP_SIZES");
  for (char *end; at != NULL && *at != '\0'; at = *end ? end + 1 : end) {
    size_t size = strtoul(at, &end, 10);
    uint8_t *data = random_bytes(size);
    queue(p, WSLAY_BINARY_FRAME, data, size);
    check(came_back(p, WSLAY_BINARY_FRAME, data, size), "binary", size);
    memset(data, 'x', size);
    queue(p, WSLAY_TEXT_FRAME, data, size);
    check(came_back(p, WSLAY_TEXT_FRAME, data, size), "text", size);
    free(data);
  }
}

static void try_pieces(peer *p, pieces *from) {
  struct wslay_event_fragmented_msg message = {
      WSLAY_BINARY_FRAME, {.data = from}, on_pieces};
  if (wslay_event_queue_fragmented_msg(p->ctx, &message) != 0)
    p->over = 1;
  check(came_back(p, WSLAY_BINARY_FRAME, from->data, from->len),
        "fragmented message", from->len);
}

static void try_fragments(peer *p) {
  uint8_t *data = random_bytes(BIG);
  pieces few = {.data = data, .len = 300, .step = 100, .ping_at = 100};
  pieces many = {.data = data, .len = BIG, .step = 64};
  int before = p->pongs;
  try_pieces(p, &few);
  check(p->pongs == before + 1 && strcmp(p->pong, "between") == 0,
        "pong between fragments", 1);
  try_pieces(p, &many);
  free(data);
}

static void try_pings(peer *p) {
  char payload[126] = "";
  for (size_t len = 0; len <= 125; len += 25) {
    int before = p->pongs;
    memset(payload, 'p', len);
    queue(p, WSLAY_PING, (const uint8_t *)payload, len);
    while (p->pongs == before && turn(p))
      continue;
    check(p->pongs == before + 1 && strcmp(p->pong, payload) == 0, "pong", len);
  }
}

static void (*const tries[])(peer *) = {try_sizes, try_fragments, try_pings};
enum { TRY_COUNT = 3 };

/* The close codes and reasons of the environment, "1000:done,1001:". */
static size_t read_closes(char *text, unsigned codes[], char *reasons[]) {
  size_t count = 0;
  const char *given = getenv("INTEROP_CLOSES");
  snprintf(text, 512, "%s", given == NULL ? "" : given);
  for (char *at = strtok(text, ","); at != NULL && count < CLOSES_MAX;
       at = strtok(NULL, ",")) {
    codes[count] = (unsigned)strtoul(at, &reasons[count], 10);
    reasons[count++]++;
  }
  return count;
}

static void try_close(peer *p, unsigned code, const char *reason) {
  wslay_event_queue_close(p->ctx, (uint16_t)code, (const uint8_t *)reason,
                          strlen(reason));
  while (turn(p))
    continue;
  check(wslay_event_get_status_code_received(p->ctx) == code,
        "answer to a close with", code);
}

/* --- Handshakes --- */

static void write_text(int fd, const char *text) {
  size_t len = strlen(text);
  if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
    die("send");
}

/* Reads up to the blank line, and not a byte more. */
static void read_head(int fd, char *head, size_t cap) {
  size_t len = 0;
  do {
    if (len + 1 == cap || recv(fd, head + len, 1, 0) != 1)
      die("head");
    head[++len] = '\0';
  } while (len < 4 || strcmp(head + len - 4, "\r\n\r\n") != 0);
}

/* The value of a header, named as the library or a browser would. */
static nws_str find(const char *head, const char *name) {
  const char *at = strstr(head, name);
  if (at == NULL)
    return nws_str_make("", 0);
  at += strlen(name);
  return nws_str_make(at, strcspn(at, "\r"));
}

static struct sockaddr_in loopback(unsigned port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/* Connects to a URL of the form ws://127.0.0.1:PORT/PATH. */
static int dial(const char *url, const char *headers, char *head, size_t cap) {
  unsigned port = 0;
  char path[256] = "", request[1024];
  if (sscanf(url, "ws://127.0.0.1:%u/%255s", &port, path) < 1)
    die(url);
  struct sockaddr_in address = loopback(port);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
    die("connect");
  snprintf(request, sizeof(request),
           "GET /%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
           "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY
           "\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
           path, port, headers);
  write_text(fd, request);
  read_head(fd, head, cap);
  if (strncmp(head, "HTTP/1.1 101 ", 13) != 0 || strstr(head, ACCEPT) == NULL)
    die("refused");
  return fd;
}

/* --- Client --- */

static int open_client(peer *p, const char *url, const char *headers,
                       char *head, size_t cap) {
  *p = (peer){.fd = -1};
  start(p, dial(url, headers, head, cap), 0);
  return 1;
}

static void run_client(const char *url, const char *subprotocol) {
  peer p;
  char head[4096], text[512];
  unsigned codes[CLOSES_MAX];
  char *reasons[CLOSES_MAX];
  open_client(&p, url, "Sec-WebSocket-Protocol: unknown, chat\r\n", head,
              sizeof(head));
  nws_str chosen = find(head, "Sec-WebSocket-Protocol: ");
  nws_str expected = nws_str_of(*subprotocol == '-' ? "" : subprotocol);
  check(nws_str_equal(chosen, expected), "subprotocol", chosen.len);
  for (int i = 0; i < TRY_COUNT; i++)
    tries[i](&p);
  try_close(&p, 1000, "");
  finish(&p);
  size_t count = read_closes(text, codes, reasons);
  for (size_t i = 0; i < count; i++) {
    open_client(&p, url, "", head, sizeof(head));
    try_close(&p, codes[i], reasons[i]);
    finish(&p);
  }
}

static void tell_close(const peer *p) {
  printf("closed %u %s\n",
         (unsigned)wslay_event_get_status_code_received(p->ctx), p->reason);
  fflush(stdout);
}

static void run_wait(const char *url) {
  peer p;
  char head[4096];
  open_client(&p, url, "", head, sizeof(head));
  printf("open\n");
  fflush(stdout);
  while (turn(&p))
    continue;
  tell_close(&p);
  finish(&p);
}

/* --- Server --- */

static void accept_client(peer *p, int listener, char *head, size_t cap) {
  char answer[512], accept_key[NWS_HANDSHAKE_ACCEPT_LEN];
  int fd = accept(listener, NULL, NULL);
  if (fd < 0)
    die("accept");
  read_head(fd, head, cap);
  nws_handshake_accept_key(find(head, "Sec-WebSocket-Key: "), accept_key);
  int chat = strstr(head, "chat") != NULL;
  snprintf(answer, sizeof(answer),
           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
           "Connection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n%s\r\n",
           NWS_HANDSHAKE_ACCEPT_LEN, accept_key,
           chat ? "Sec-WebSocket-Protocol: chat\r\n" : "");
  write_text(fd, answer);
  *p = (peer){.protocol = "-"};
  if (chat)
    strcpy(p->protocol, "chat");
  start(p, fd, 1);
}

static void run_case(peer *p, size_t number) {
  char text[512];
  unsigned codes[CLOSES_MAX];
  char *reasons[CLOSES_MAX];
  size_t count = read_closes(text, codes, reasons);
  if (number <= TRY_COUNT) {
    tries[number - 1](p);
    try_close(p, 1000, "");
  } else if (number <= TRY_COUNT + count) {
    try_close(p, codes[number - 1 - TRY_COUNT],
              reasons[number - 1 - TRY_COUNT]);
  }
}

static void count_cases(peer *p) {
  char text[512];
  unsigned codes[CLOSES_MAX];
  char *reasons[CLOSES_MAX];
  size_t count = TRY_COUNT + read_closes(text, codes, reasons);
  int len = snprintf(text, sizeof(text), "%zu", count);
  queue(p, WSLAY_TEXT_FRAME, (const uint8_t *)text, (size_t)len);
  /* wslay lets a close frame overtake messages. */
  while (wslay_event_get_queued_msg_count(p->ctx) > 0 && turn(p))
    continue;
  try_close(p, 1000, "");
}

static void run_echo(peer *p) {
  printf("subprotocol %s\n", p->protocol);
  fflush(stdout);
  p->echo = 1;
  while (turn(p))
    continue;
  tell_close(p);
}

static void serve_one(int listener) {
  peer p;
  char head[4096];
  size_t number = 0;
  accept_client(&p, listener, head, sizeof(head));
  if (sscanf(head, "GET /suite/runCase?case=%zu&", &number) == 1)
    run_case(&p, number);
  else if (strncmp(head, "GET /suite/getCaseCount ", 24) == 0)
    count_cases(&p);
  else if (strncmp(head, "GET /suite/updateReports?", 25) == 0)
    try_close(&p, 1000, "reports");
  else
    run_echo(&p);
  if (strncmp(head, "GET /suite/updateReports?", 25) == 0)
    puts("reports");
  fflush(stdout);
  finish(&p);
}

/* Serves until its standard input ends. */
static void run_server(void) {
  struct sockaddr_in address = loopback(0);
  socklen_t len = sizeof(address);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 ||
      bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
      listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &len) != 0)
    die("listen");
  printf("listening on 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    struct pollfd at[2] = {{.fd = listener, .events = POLLIN},
                           {.fd = 0, .events = POLLIN}};
    if (poll(at, 2, -1) <= 0 || at[1].revents != 0)
      break;
    serve_one(listener);
  }
  close(listener);
}

int main(int argc, char **argv) {
  alarm(200);
  if (argc == 4 && strcmp(argv[1], "client") == 0) {
    run_client(argv[2], argv[3]);
  } else if (argc == 2 && strcmp(argv[1], "server") == 0) {
    run_server();
  } else if (argc == 3 && strcmp(argv[1], "wait") == 0) {
    run_wait(argv[2]);
    return 0;
  } else {
    fprintf(stderr, "usage: peer_wslay client URL SUBPROTOCOL | wait URL | "
                    "server\n");
    return 1;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0 || passed == 0;
}
