/* test_net_sync.c - the client that waits, against servers in another thread
 * and against sockets that do as they are told.
 */
#include "net_fixture.h"
#include <nws/sync.h>

/* --- A server in a thread --- */

typedef struct host {
  nws_loop *loop;
  nws_server *server;
  uv_async_t stop;
  uv_thread_t thread;
  char url[64];
} host;

static int is(const uint8_t *data, size_t len, const char *text) {
  return len == strlen(text) && memcmp(data, text, len) == 0;
}

/* Echoes, and does what it is told. */
static void obey(nws_peer *peer, unsigned opcode, uint8_t *data, size_t len) {
  if (is(data, len, "close")) {
    nws_peer_send(peer, NWS_OPCODE_TEXT, "one", 3);
    nws_peer_send(peer, NWS_OPCODE_TEXT, "two", 3);
    nws_peer_close(peer, 4001, nws_str_of("as told"));
  } else if (is(data, len, "drop")) {
    nws_peer_abort(peer);
  } else if (!is(data, len, "quiet")) {
    nws_peer_send(peer, opcode, data, len);
  }
}

static void choose(nws_peer *peer, const nws_server_handshake *request) {
  nws_rejection no = {.size = sizeof(no), .status = 402};
  no.body = nws_str_of("pay first");
  if (nws_str_equal(request->path, nws_str_of("/no")))
    nws_peer_respond(peer, &no);
  else
    nws_peer_accept(peer, NULL);
}

static void on_stop(uv_async_t *async) {
  host *h = async->data;
  nws_server_stop(h->server, NWS_CLOSE_GOING_AWAY);
  uv_close((uv_handle_t *)async, NULL);
}

static void host_run(void *arg) {
  host *h = arg;
  nws_loop_run(h->loop);
}

static void host_start(host *h) {
  static const nws_conn_config large = {.size = sizeof(large),
                                        .max_message = 64 * 1024 * 1024};
  static const nws_handler handler = {
      .size = sizeof(handler), .request = choose, .message = obey};
  nws_server_options options = {
      .size = sizeof(options), .handler = &handler, .conn = &large};
  assert_int_equal(nws_loop_new(NULL, &h->loop), NWS_OK);
  assert_int_equal(nws_server_start(h->loop, &options, &h->server), NWS_OK);
  snprintf(h->url, sizeof(h->url), "ws://127.0.0.1:%u/",
           (unsigned)nws_server_port(h->server));
  uv_async_init(nws_loop_uv(h->loop), &h->stop, on_stop);
  h->stop.data = h;
  assert_int_equal(uv_thread_create(&h->thread, host_run, h), 0);
}

static void host_end(host *h) {
  uv_async_send(&h->stop);
  uv_thread_join(&h->thread);
  assert_int_equal(nws_loop_free(h->loop), NWS_OK);
}

static nws_sync *connect_to(const char *url) {
  static const nws_conn_config large = {.size = sizeof(large),
                                        .max_message = 64 * 1024 * 1024,
                                        .deliver_in_closing = 1};
  nws_client_options options = {
      .size = sizeof(options), .url = url, .conn = &large};
  nws_sync_end end;
  nws_sync *ws;
  assert_int_equal(nws_sync_connect(&options, &ws), NWS_OK);
  assert_non_null(nws_sync_peer(ws));
  assert_false(nws_sync_ended(ws, &end));
  return ws;
}

#define WAIT 8000

static void say(nws_sync *ws, const char *text) {
  assert_int_equal(nws_sync_send(ws, NWS_OPCODE_TEXT, text, strlen(text), WAIT),
                   NWS_OK);
}

static void hear(nws_sync *ws, const char *text) {
  nws_sync_message message;
  assert_int_equal(nws_sync_receive(ws, &message, WAIT), NWS_OK);
  assert_int_equal(message.opcode, NWS_OPCODE_TEXT);
  assert_string_equal((const char *)message.data, text);
  assert_int_equal(message.len, strlen(text));
}

static const nws_str none = {NULL, 0};

/* --- Tests --- */

static void test_echo(void **state) {
  static const size_t sizes[] = {0, 1, 125, 65536, 1000000, 20000000};
  nws_sync_message message;
  nws_sync_end end;
  host h;
  (void)state;
  host_start(&h);
  nws_sync *ws = connect_to(h.url);
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    uint8_t *data = malloc(sizes[i] + 1);
    for (size_t at = 0; at < sizes[i]; at++)
      data[at] = (uint8_t)(at * 7);
    assert_int_equal(nws_sync_send(ws, NWS_OPCODE_BINARY, data, sizes[i], WAIT),
                     NWS_OK);
    assert_int_equal(nws_sync_receive(ws, &message, WAIT), NWS_OK);
    assert_int_equal(message.opcode, NWS_OPCODE_BINARY);
    assert_int_equal(message.len, sizes[i]);
    assert_memory_equal(message.data, data, sizes[i]);
    assert_int_equal(message.data[sizes[i]], 0);
    free(data);
  }
  assert_int_equal(nws_sync_close(ws, 1000, nws_str_of("bye"), WAIT), NWS_OK);
  assert_null(nws_sync_peer(ws));
  assert_true(nws_sync_ended(ws, &end));
  assert_int_equal(end.error, NWS_OK);
  assert_int_equal(end.code, 1000);
  assert_int_equal(nws_sync_close(ws, 1000, none, WAIT), NWS_ERROR_STATE);
  assert_int_equal(nws_sync_send(ws, NWS_OPCODE_TEXT, "x", 1, WAIT),
                   NWS_ERROR_STATE);
  assert_int_equal(nws_sync_receive(ws, &message, WAIT), NWS_ERROR_STATE);
  nws_sync_free(ws);
  host_end(&h);
}

/* Several messages of one read wait their turn. */
static void test_order(void **state) {
  char text[16];
  host h;
  (void)state;
  host_start(&h);
  nws_sync *ws = connect_to(h.url);
  for (int i = 0; i < 1000; i++) {
    snprintf(text, sizeof(text), "%d", i);
    say(ws, text);
  }
  for (int i = 0; i < 1000; i++) {
    snprintf(text, sizeof(text), "%d", i);
    hear(ws, text);
  }
  nws_sync_free(ws);
  host_end(&h);
}

static void test_timeouts(void **state) {
  nws_sync_message message;
  host h;
  (void)state;
  host_start(&h);
  nws_sync *ws = connect_to(h.url);
  assert_int_equal(nws_sync_receive(ws, &message, 0), UV_ETIMEDOUT);
  assert_int_equal(nws_sync_receive(ws, &message, 20), UV_ETIMEDOUT);
  say(ws, "later");
  hear(ws, "later");
  assert_int_equal(nws_sync_receive(ws, &message, 0), UV_ETIMEDOUT);
  nws_sync_free(ws);
  host_end(&h);
}

/* What came before the end is still there after it. */
static void test_server_closes(void **state) {
  nws_sync_message message;
  nws_sync_end end;
  host h;
  (void)state;
  host_start(&h);
  nws_sync *ws = connect_to(h.url);
  say(ws, "close");
  hear(ws, "one");
  hear(ws, "two");
  assert_int_equal(nws_sync_receive(ws, &message, WAIT), NWS_ERROR_STATE);
  assert_true(nws_sync_ended(ws, &end));
  assert_int_equal(end.error, NWS_OK);
  assert_int_equal(end.code, 4001);
  assert_string_equal(end.reason.ptr, "as told");
  nws_sync_free(ws);

  ws = connect_to(h.url);
  say(ws, "close");
  assert_int_equal(nws_sync_close(ws, 1000, none, WAIT), NWS_OK);
  hear(ws, "one");
  hear(ws, "two");
  nws_sync_free(ws);

  ws = connect_to(h.url);
  assert_in_set(nws_sync_send(ws, NWS_OPCODE_TEXT, "drop", 4, WAIT),
                ((const LargestIntegralType[]){
                    NWS_OK, (LargestIntegralType)NWS_ERROR_STATE}),
                2);
  assert_int_equal(nws_sync_receive(ws, &message, WAIT), NWS_ERROR_STATE);
  assert_true(nws_sync_ended(ws, &end));
  assert_int_equal(end.code, 1006);
  assert_true(end.error != NWS_OK);
  nws_sync_free(ws);
  host_end(&h);
}

static void test_refused(void **state) {
  nws_client_options options = {.size = sizeof(options)};
  nws_sync_end end;
  nws_sync *ws;
  char url[80];
  host h;
  (void)state;
  host_start(&h);
  snprintf(url, sizeof(url), "%sno", h.url);
  options.url = url;
  assert_int_equal(nws_sync_connect(&options, &ws), NWS_ERROR_STATUS);
  assert_true(nws_sync_ended(ws, &end));
  assert_int_equal(end.error, NWS_ERROR_STATUS);
  assert_int_equal(end.status, 402);
  assert_string_equal(end.body.ptr, "pay first");
  nws_sync_free(ws);
  host_end(&h);

  options.url = h.url; /* nobody there any more */
  assert_int_equal(nws_sync_connect(&options, &ws), UV_ECONNREFUSED);
  assert_true(nws_sync_ended(ws, &end));
  assert_int_equal(end.error, UV_ECONNREFUSED);
  nws_sync_free(ws);
  options.url = "http://a/";
  assert_int_equal(nws_sync_connect(&options, &ws), NWS_ERROR_URI_SCHEME);
  assert_true(nws_sync_ended(ws, &end));
  assert_int_equal(end.error, NWS_ERROR_URI_SCHEME);
  nws_sync_free(ws);
  options.size = 3;
  assert_int_equal(nws_sync_connect(&options, &ws), NWS_ERROR_ARGUMENT);
  assert_null(ws);
  assert_int_equal(nws_sync_connect(NULL, &ws), NWS_ERROR_ARGUMENT);
  nws_sync_free(NULL);
}

/* Both sides send more than the way between them holds: neither waits for the
 * other for ever. */
static void test_both_send(void **state) {
  enum { COUNT = 12, LEN = 1000000 };
  uint8_t *data = calloc(1, LEN);
  nws_sync_message message;
  host h;
  (void)state;
  host_start(&h);
  nws_sync *ws = connect_to(h.url);
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(nws_sync_send(ws, NWS_OPCODE_BINARY, data, LEN, WAIT),
                     NWS_OK);
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(nws_sync_receive(ws, &message, WAIT), NWS_OK);
    assert_int_equal(message.len, LEN);
  }
  nws_sync_free(ws);
  host_end(&h);
  free(data);
}

/* --- Servers that do nothing --- */

typedef struct mute {
  int listener, fd;
  uint16_t port;
  uv_thread_t thread;
} mute;

/* Shakes hands, and then neither reads nor writes. */
static void mute_run(void *arg) {
  static const char answer[] = "HTTP/1.1 101 \r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: ";
  mute *m = arg;
  char head[4096], accept[NWS_HANDSHAKE_ACCEPT_LEN], reply[512];
  size_t len = 0;
  m->fd = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC);
  do {
    ssize_t got = recv(m->fd, head + len, sizeof(head) - 1 - len, 0);
    if (got <= 0)
      return;
    len += (size_t)got;
    head[len] = '\0';
  } while (strstr(head, "\r\n\r\n") == NULL);
  const char *key = strstr(head, "Sec-WebSocket-Key: ") + 19;
  nws_handshake_accept_key(nws_str_make(key, 24), accept);
  int n = snprintf(reply, sizeof(reply), "%s%.*s\r\n\r\n", answer,
                   (int)sizeof(accept), accept);
  send(m->fd, reply, (size_t)n, MSG_NOSIGNAL);
}

static nws_sync *mute_connect(mute *m) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t len = sizeof(at);
  char url[64];
  m->fd = -1;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  m->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(m->listener, (struct sockaddr *)&at, sizeof(at)), 0);
  assert_int_equal(listen(m->listener, 1), 0);
  getsockname(m->listener, (struct sockaddr *)&at, &len);
  m->port = ntohs(at.sin_port);
  assert_int_equal(uv_thread_create(&m->thread, mute_run, m), 0);
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", (unsigned)m->port);
  nws_sync *ws = connect_to(url);
  uv_thread_join(&m->thread);
  return ws;
}

static void mute_end(mute *m) {
  close(m->listener);
  if (m->fd >= 0)
    close(m->fd);
}

static void test_reads_nothing(void **state) {
  enum { LEN = 8 * 1024 * 1024 };
  uint8_t *data = calloc(1, LEN);
  nws_sync_end end;
  mute m;
  int rc = UV_ETIMEDOUT;
  (void)state;
  nws_sync *ws = mute_connect(&m);
  for (int i = 0; i < 10 && rc == UV_ETIMEDOUT; i++)
    rc = nws_sync_send(ws, NWS_OPCODE_BINARY, data, LEN, 1);
  assert_int_equal(rc, NWS_ERROR_QUEUE);
  assert_int_equal(nws_sync_close(ws, 1000, none, 20), UV_ETIMEDOUT);
  assert_true(nws_sync_ended(ws, &end));
  assert_int_equal(end.error, UV_ECANCELED);
  nws_sync_free(ws);
  mute_end(&m);
  free(data);
}

static void test_misuse(void **state) {
  nws_sync_message message;
  nws_sync_end end;
  mute m;
  (void)state;
  nws_sync *ws = mute_connect(&m);
  assert_int_equal(nws_sync_close(ws, 1005, none, 1),
                   NWS_ERROR_CLOSE_CODE_SEND);
  assert_int_equal(nws_sync_send(ws, NWS_OPCODE_TEXT, "\xff", 1, 1),
                   NWS_ERROR_TEXT_SEND);
  assert_int_equal(nws_sync_send(NULL, NWS_OPCODE_TEXT, "", 0, 1),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_sync_receive(NULL, &message, 1), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_sync_receive(ws, NULL, 1), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_sync_close(NULL, 1000, none, 1), NWS_ERROR_ARGUMENT);
  assert_false(nws_sync_ended(NULL, &end));
  assert_null(nws_sync_peer(NULL));
  nws_sync_free(ws); /* while it is open */
  mute_end(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_echo),
      cmocka_unit_test(test_order),
      cmocka_unit_test(test_timeouts),
      cmocka_unit_test(test_server_closes),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_both_send),
      cmocka_unit_test(test_reads_nothing),
      cmocka_unit_test(test_misuse),
  };
  return cmocka_run_group_tests(tests, fds_remember, fds_compare);
}
