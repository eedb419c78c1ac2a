/* client_stage.h - a raw server for tests of the client: it listens, reads a
 * request, and answers what the test wants.
 */
#ifndef NWS_TESTS_CLIENT_STAGE_H
#define NWS_TESTS_CLIENT_STAGE_H

#include "net_fixture.h"

static inline int listen_on(uint16_t *port) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t len = sizeof(at);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
  assert_int_equal(listen(fd, 16), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  *port = ntohs(at.sin_port);
  return fd;
}

typedef struct stage {
  fixture fx;
  int listener;
  uint16_t port;
  raw r;
} stage;

static inline void stage_init(stage *st) {
  fixture_init(&st->fx);
  st->listener = listen_on(&st->port);
}

/* Waits for a connection, and reads the head of its request. */
static inline void stage_accept(stage *st) {
  int fd = -1;
  step_until(&st->fx, (fd = accept(st->listener, NULL, NULL)) >= 0);
  raw_init(&st->r, fd);
  raw_until(&st->fx, &st->r, raw_head(&st->r) > 0);
}

/* Connects a client, and reads its request. */
static inline void stage_connect(stage *st) {
  char url[64];
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", (unsigned)st->port);
  memset(&st->fx.c, 0, sizeof(st->fx.c));
  fixture_connect_to(&st->fx, url, NULL);
  stage_accept(st);
}

static inline void stage_end(stage *st) {
  close(st->listener);
  fixture_end(&st->fx);
}

/* Writes the 101 that fits the request; returns its length. */
static inline size_t put_101(const stage *st, char *out, size_t cap) {
  static const char name[] = "Sec-WebSocket-Key: ";
  char accept_key[NWS_HANDSHAKE_ACCEPT_LEN];
  const char *key = strstr((char *)st->r.data, name);
  assert_non_null(key);
  key += sizeof(name) - 1;
  nws_handshake_accept_key(nws_str_make(key, 24), accept_key);
  int n = snprintf(out, cap,
                   "HTTP/1.1 101 Switching Protocols\r\n"
                   "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                   "X-Server: raw\r\n"
                   "Sec-WebSocket-Accept: %.28s\r\n\r\n",
                   accept_key);
  assert_true(n > 0 && (size_t)n < cap);
  return (size_t)n;
}

/* A client's options; a test changes what it likes. */
static inline nws_client_options client_options(fixture *fx, const char *url) {
  nws_client_options options = {.size = sizeof(options),
                                .handler = &fx->client_handler,
                                .user = &fx->c,
                                .url = url,
                                .conn = &fx->client_conn,
                                .limits = fx->client_limits};
  memset(&fx->c, 0, sizeof(fx->c));
  return options;
}

static inline nws_peer *client_start(fixture *fx,
                                     const nws_client_options *options) {
  nws_peer *peer = NULL;
  assert_int_equal(nws_client_connect(fx->loop, options, &peer), NWS_OK);
  fx->c.peer = peer;
  return peer;
}

/* What is wrong with the options. */
static inline int client_error(fixture *fx, const nws_client_options *options) {
  nws_peer *peer = (nws_peer *)&peer;
  int rc = nws_client_connect(fx->loop, options, &peer);
  assert_true((rc == NWS_OK) == (peer != NULL));
  return rc;
}

static inline int has(const raw *r, const char *text) {
  return strstr((const char *)r->data, text) != NULL;
}

#endif
