/* net_fixture.h - what the tests of the net layer share: a loop with a server
 * and clients that write down what happens to them, and raw TCP peers that are
 * moved step by step in the same thread, so that nothing depends on luck.
 */
#ifndef NWS_TESTS_NET_FIXTURE_H
#define NWS_TESTS_NET_FIXTURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nws/net.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define STEP_LIMIT_MS 8000

/* What happened on one side. */
typedef struct side {
  int requests, https, opens, messages, pieces, controls, drains, closes;
  int http_error;
  int error, opened, status;
  unsigned code, code_sent;
  uint64_t offset;
  size_t bytes; /* of all messages and pieces */
  unsigned last_opcode;
  char last[256]; /* start of the last message */
  size_t last_len;
  char reason[128];
  char body[4096];
  nws_peer *peer; /* the last one heard of; NULL after `closed` */
} side;

typedef struct fixture {
  nws_loop *loop;
  nws_server *server;
  side s, c;
  int stops;
  nws_handler server_handler, client_handler;
  nws_server_options options;
  nws_conn_config conn, client_conn;
  nws_net_limits client_limits;
} fixture;

static inline void copy_text(char *out, size_t cap, const void *in,
                             size_t len) {
  if (len >= cap)
    len = cap - 1;
  if (len > 0)
    memcpy(out, in, len);
  out[len] = '\0';
}

/* --- Callbacks that write things down --- */

static inline void note_request(nws_peer *peer,
                                const nws_server_handshake *request) {
  side *s = nws_peer_user(peer);
  (void)request;
  s->requests++;
  s->peer = peer;
}

static inline void note_http(nws_peer *peer,
                             const nws_server_handshake *request, int error) {
  side *s = nws_peer_user(peer);
  (void)request;
  s->https++;
  s->http_error = error;
  s->peer = peer;
}

static inline void note_open(nws_peer *peer) {
  side *s = nws_peer_user(peer);
  s->opens++;
  s->peer = peer;
}

static inline void note_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                                size_t len) {
  side *s = nws_peer_user(peer);
  s->messages++;
  s->bytes += len;
  s->last_opcode = opcode;
  s->last_len = len;
  copy_text(s->last, sizeof(s->last), data, len);
}

static inline void echo_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                                size_t len) {
  note_message(peer, opcode, data, len);
  assert_int_equal(nws_peer_send(peer, opcode, data, len), NWS_OK);
}

static inline void note_control(nws_peer *peer, const nws_event *event) {
  side *s = nws_peer_user(peer);
  (void)event;
  s->controls++;
}

static inline void note_drain(nws_peer *peer) {
  side *s = nws_peer_user(peer);
  s->drains++;
}

static inline void note_closed(nws_peer *peer, const nws_closed *how) {
  side *s = nws_peer_user(peer);
  s->closes++;
  s->error = how->error;
  s->opened = how->opened;
  s->code = how->code;
  s->code_sent = how->code_sent;
  s->offset = how->offset;
  s->status = how->response != NULL ? how->response->status : 0;
  copy_text(s->reason, sizeof(s->reason), how->reason.ptr, how->reason.len);
  copy_text(s->body, sizeof(s->body), how->body.ptr, how->body.len);
  s->peer = NULL;
}

static inline void note_stopped(nws_server *server, void *user) {
  fixture *fx = (fixture *)((char *)user - offsetof(fixture, s));
  assert_ptr_equal(server, fx->server);
  fx->stops++;
  fx->server = NULL;
}

/* --- Setting up --- */

/* An echo server's and a silent client's handlers; a test may change all before
 * it starts anything. */
static inline void fixture_init(fixture *fx) {
  memset(fx, 0, sizeof(*fx));
  assert_int_equal(nws_loop_new(NULL, &fx->loop), NWS_OK);
  fx->server_handler = (nws_handler){.size = sizeof(nws_handler),
                                     .open = note_open,
                                     .message = echo_message,
                                     .control = note_control,
                                     .drain = note_drain,
                                     .closed = note_closed};
  fx->client_handler = fx->server_handler;
  fx->client_handler.message = note_message;
  fx->conn.size = sizeof(fx->conn);
  fx->client_conn.size = sizeof(fx->client_conn);
  fx->conn.max_message = fx->client_conn.max_message = 16 * 1024 * 1024;
  fx->options = (nws_server_options){.size = sizeof(fx->options),
                                     .handler = &fx->server_handler,
                                     .user = &fx->s,
                                     .conn = &fx->conn,
                                     .stopped = note_stopped};
}

static inline void fixture_serve(fixture *fx) {
  assert_int_equal(nws_server_start(fx->loop, &fx->options, &fx->server),
                   NWS_OK);
}

static inline nws_peer *fixture_connect_to(fixture *fx, const char *url,
                                           const nws_client_offer *offer) {
  nws_peer *peer = NULL;
  nws_client_options options = {.size = sizeof(options),
                                .handler = &fx->client_handler,
                                .user = &fx->c,
                                .url = url,
                                .offer = offer,
                                .conn = &fx->client_conn,
                                .limits = fx->client_limits};
  assert_int_equal(nws_client_connect(fx->loop, &options, &peer), NWS_OK);
  fx->c.peer = peer;
  return peer;
}

static inline nws_peer *fixture_connect(fixture *fx) {
  char url[64];
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/chat?x=1",
           (unsigned)nws_server_port(fx->server));
  return fixture_connect_to(fx, url, NULL);
}

/* One turn of the loop; waits for at most a few milliseconds. */
static inline void step(fixture *fx) {
  uv_run(nws_loop_uv(fx->loop), UV_RUN_NOWAIT);
  usleep(200);
}

/* Steps until `cond`; a test that waits for too long fails. */
#define step_until(fx, cond)                                                   \
  do {                                                                         \
    uint64_t end_ = uv_hrtime() + STEP_LIMIT_MS * UINT64_C(1000000);           \
    while (!(cond)) {                                                          \
      if (uv_hrtime() > end_)                                                  \
        fail_msg("waited in vain for: %s", #cond);                             \
      step(fx);                                                                \
    }                                                                          \
  } while (0)

static inline void step_for(fixture *fx, unsigned ms) {
  uint64_t end = uv_hrtime() + ms * UINT64_C(1000000);
  while (uv_hrtime() < end)
    step(fx);
}

/* Stops whatever runs still, and checks that nothing is left. */
static inline void fixture_end(fixture *fx) {
  int served = fx->server != NULL;
  int stops = fx->stops;
  if (served) {
    nws_server_stop(fx->server, NWS_CLOSE_GOING_AWAY);
    nws_server_stop(fx->server, NWS_CLOSE_GOING_AWAY);
  }
  nws_loop_run(fx->loop);
  assert_int_equal(fx->stops, stops + served);
  assert_int_equal(nws_loop_free(fx->loop), NWS_OK);
}

/* An open connection between our own server and client. */
static inline void fixture_pair(fixture *fx) {
  fixture_serve(fx);
  fixture_connect(fx);
  step_until(fx, fx->s.opens == 1 && fx->c.opens == 1);
}

/* --- Raw TCP peers --- */

static const char raw_request[] = "GET /chat HTTP/1.1\r\n"
                                  "Host: 127.0.0.1\r\n"
                                  "Upgrade: websocket\r\n"
                                  "Connection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
                                  "\r\n\r\n";
#define RAW_REQUEST_LEN (sizeof(raw_request) - 1)

/* A raw peer: what it has received so far. */
typedef struct raw {
  int fd;
  uint8_t *data;
  size_t len, cap;
  int ended; /* end of file was read */
  int error; /* errno of a failed read */
} raw;

static inline void raw_init(raw *r, int fd) {
  memset(r, 0, sizeof(*r));
  r->fd = fd;
  assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static inline int raw_socket(uint16_t port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  assert_true(fd >= 0);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
  return fd;
}

static inline void raw_connect(raw *r, const fixture *fx) {
  raw_init(r, raw_socket(nws_server_port(fx->server)));
}

static inline void raw_read(raw *r) {
  for (;;) {
    if (r->cap - r->len < 65536) {
      r->cap = r->cap * 2 + 131072;
      r->data = realloc(r->data, r->cap);
    }
    ssize_t n = recv(r->fd, r->data + r->len, r->cap - r->len - 1, 0);
    if (n == 0)
      r->ended = 1;
    if (n < 0 && errno != EAGAIN)
      r->error = errno;
    if (n <= 0)
      return;
    r->len += (size_t)n;
    r->data[r->len] = '\0';
  }
}

/* Sends all, with the loop running meanwhile if need be. */
static inline void raw_send(fixture *fx, raw *r, const void *data, size_t len) {
  const char *at = data;
  uint64_t end = uv_hrtime() + STEP_LIMIT_MS * UINT64_C(1000000);
  while (len > 0) {
    ssize_t n = send(r->fd, at, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
      fail_msg("send: %s", strerror(errno));
    if (n > 0) {
      at += n;
      len -= (size_t)n;
    } else {
      if (uv_hrtime() > end)
        fail_msg("nobody reads");
      raw_read(r);
      step(fx);
    }
  }
}

static inline void raw_free(raw *r) {
  if (r->fd >= 0)
    close(r->fd);
  free(r->data);
  memset(r, 0, sizeof(*r));
  r->fd = -1;
}

/* Vanishes without a word: the other end gets a RST. */
static inline void raw_reset(raw *r) {
  struct linger hard = {.l_onoff = 1, .l_linger = 0};
  setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
  raw_free(r);
}

#define raw_until(fx, r, cond) step_until(fx, (raw_read(r), (cond)))

/* How many packets with data have come in: on loopback each write that fits is
 * one. */
static inline unsigned raw_packets(const raw *r) {
  enum {
    DATA_SEGS_IN = 152
  }; /* in Linux's struct tcp_info; glibc's is older,
        and the two headers exclude each other */
  uint8_t info[256];
  uint32_t count;
  socklen_t len = sizeof(info);
  assert_int_equal(getsockopt(r->fd, IPPROTO_TCP, TCP_INFO, info, &len), 0);
  assert_true(len >= DATA_SEGS_IN + sizeof(count));
  memcpy(&count, info + DATA_SEGS_IN, sizeof(count));
  return count;
}

/* Where the bytes behind the HTTP head begin; 0 while it is not complete. */
static inline size_t raw_head(const raw *r) {
  const char *end = r->len == 0 ? NULL : strstr((char *)r->data, "\r\n\r\n");
  return end == NULL ? 0 : (size_t)(end - (char *)r->data) + 4;
}

/* Shakes hands as a raw client, and forgets the response. */
static inline void raw_open(fixture *fx, raw *r) {
  int opens = fx->s.opens;
  raw_connect(r, fx);
  raw_send(fx, r, raw_request, RAW_REQUEST_LEN);
  raw_until(fx, r, raw_head(r) > 0 && fx->s.opens > opens);
  assert_int_equal(memcmp(r->data, "HTTP/1.1 101 ", 13), 0);
  assert_int_equal(r->len, raw_head(r));
  r->len = 0;
}

/* Writes a masked frame; returns its length. */
static inline size_t put_frame(uint8_t *out, unsigned head, const void *payload,
                               size_t len) {
  static const uint8_t key[4] = {0x11, 0x22, 0x33, 0x44};
  nws_frame frame = {.payload_len = len,
                     .opcode = head & 15,
                     .fin = (head & 0x80) != 0,
                     .rsv = head & 0x70,
                     .masked = 1,
                     .key = {0x11, 0x22, 0x33, 0x44}};
  int n = nws_frame_build(&frame, out);
  assert_true(n > 0);
  for (size_t i = 0; i < len; i++)
    out[(size_t)n + i] = ((const uint8_t *)payload)[i] ^ key[i % 4];
  return (size_t)n + len;
}

static inline void raw_frame(fixture *fx, raw *r, unsigned head,
                             const void *payload, size_t len) {
  uint8_t *out = malloc(len + 14);
  raw_send(fx, r, out, put_frame(out, head, payload, len));
  free(out);
}

/* --- Resources --- */

static inline int count_fds(void) {
  int count = 0;
  DIR *dir = opendir("/proc/self/fd");
  assert_non_null(dir);
  while (readdir(dir) != NULL)
    count++;
  closedir(dir);
  return count;
}

/* A group fixture: the tests of a file leave no descriptor behind. */
static int fds_before;

static inline int fds_remember(void **state) {
  uv_loop_t first; /* libuv keeps two descriptors from its first loop on */
  (void)state;
  assert_int_equal(uv_loop_init(&first), 0);
  assert_int_equal(uv_loop_close(&first), 0);
  fds_before = count_fds();
  return 0;
}

static inline int fds_compare(void **state) {
  (void)state;
  if (count_fds() == fds_before)
    return 0;
  fprintf(stderr, "descriptors: %d before, %d after\n", fds_before,
          count_fds());
  return -1;
}

#define run_without_leaks(tests)                                               \
  cmocka_run_group_tests(tests, fds_remember, fds_compare)

#endif
