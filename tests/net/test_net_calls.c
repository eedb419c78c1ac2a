/* test_net_calls.c - every call of the API from every callback, on both sides.
 *
 * The same small conversation is held again and again; each time one callback
 * of one side makes one call. Whatever comes of it, `closed` is called exactly
 * once for each end, and nothing is left (the sanitizers watch over the rest).
 */
#include "net_fixture.h"
#include <nws/hub.h>
#include <nws/remote.h>
#include <nws/reconnect.h>
#ifdef NWS_TEST_TLS
#include "tls_raw.h"
#endif

/* NULL: plain connections. */
static nws_tls *server_tls, *client_tls;
static nws_tls_options client_how;

enum callback {
  AT_REQUEST,
  AT_HTTP,
  AT_OPEN,
  AT_MESSAGE,
  AT_PIECE,
  AT_CONTROL,
  AT_DRAIN,
  AT_CLOSED,
  CALLBACKS
};

/* The case that is being tried. */
static struct {
  fixture *fx;
  side *at_side;
  int at;
  int action;
  int done;
  int extra; /* clients that an action has started, work it has given */
  int extra_closed;
  nws_hub *hub;
} now;

static void *resize(void *user, void *ptr, size_t old_len, size_t new_len) {
  (void)user;
  (void)old_len;
  if (new_len > 0)
    return realloc(ptr, new_len);
  free(ptr);
  return NULL;
}

/* --- The calls --- */

static void call_send(nws_peer *peer) {
  nws_peer_send(peer, NWS_OPCODE_TEXT, "extra", 5);
  nws_peer_send(peer, NWS_OPCODE_PING, "extra", 5);
}

static void call_send_large(nws_peer *peer) {
  char *data = calloc(1, 2000000);
  nws_peer_send(peer, NWS_OPCODE_BINARY, data, 2000000);
  free(data);
}

static void call_close(nws_peer *peer) {
  nws_peer_close(peer, 1000, nws_str_of("inside"));
}

static void call_abort(nws_peer *peer) {
  nws_peer_abort(peer);
  nws_peer_abort(peer);
}

static void call_close_abort(nws_peer *peer) {
  nws_peer_close(peer, 1000, nws_str_of("inside"));
  nws_peer_abort(peer);
  nws_peer_close(peer, 1000, nws_str_of("inside"));
  nws_peer_send(peer, NWS_OPCODE_TEXT, "late", 4);
}

static void call_pause(nws_peer *peer) {
  nws_peer_pause(peer);
}

static void call_pause_resume(nws_peer *peer) {
  nws_peer_pause(peer);
  nws_peer_resume(peer);
  nws_peer_resume(peer);
}

static void call_ping(nws_peer *peer) {
  nws_peer_ping(peer);
}

static void call_accept(nws_peer *peer) {
  nws_peer_accept(peer, NULL);
  nws_peer_accept(peer, NULL);
}

static void call_respond(nws_peer *peer) {
  nws_rejection answer = {.size = sizeof(answer), .status = 404};
  nws_peer_respond(peer, &answer);
  nws_peer_respond(peer, &answer);
}

static void call_accept_abort(nws_peer *peer) {
  nws_peer_accept(peer, NULL);
  nws_peer_abort(peer);
}

static void call_respond_abort(nws_peer *peer) {
  call_respond(peer);
  nws_peer_abort(peer);
}

static void call_stop(nws_peer *peer) {
  (void)peer;
  if (now.fx->server != NULL)
    nws_server_stop(now.fx->server, NWS_CLOSE_GOING_AWAY);
}

static void call_stop_twice(nws_peer *peer) {
  call_stop(peer);
  call_stop(peer);
}

static void abort_it(nws_peer *peer, void *arg) {
  (void)arg;
  nws_peer_abort(peer);
}

static void call_each(nws_peer *peer) {
  (void)peer;
  if (now.fx->server != NULL)
    nws_server_each(now.fx->server, abort_it, NULL);
}

static void abort_other(nws_peer *peer) {
  side *mine = nws_peer_user(peer);
  side *other = mine == &now.fx->s ? &now.fx->c : &now.fx->s;
  if (other->peer != NULL)
    nws_peer_abort(other->peer);
}

static void extra_closed(nws_peer *peer, const nws_closed *how) {
  (void)peer;
  (void)how;
  now.extra_closed++;
}

static void call_connect(nws_peer *peer) {
  nws_handler handler = {.size = sizeof(handler), .closed = extra_closed};
  nws_client_options options = {
      .size = sizeof(options), .handler = &handler, .url = "ws://127.0.0.1:1/"};
  int rc = nws_client_connect(nws_peer_loop(peer), &options, NULL);
  now.extra += rc == NWS_OK;
}

static void call_questions(nws_peer *peer) {
  char address[64];
  size_t count;
  nws_peer_extensions(peer, &count);
  nws_peer_queued(peer);
  nws_conn_state(nws_peer_conn(peer));
  nws_peer_server(peer);
  nws_peer_subprotocol(peer);
  nws_peer_address(peer, address, sizeof(address));
  assert_int_equal(nws_peer_url(peer) == NULL, nws_peer_server(peer) != NULL);
  assert_null(nws_peer_reconnect(peer));
  nws_tls_info info;
  int rc = nws_peer_tls(peer, &info);
  if (server_tls == NULL)
    assert_int_equal(rc, NWS_ERROR_STATE);
  nws_peer_ssl(peer);
  nws_peer_request(peer);
  nws_peer_response(peer);
  nws_peer_set_user(peer, nws_peer_user(peer));
  if (now.fx->server != NULL)
    nws_server_peers(now.fx->server);
}

/* --- The calls of other threads --- */

static void do_all(nws_peer *peer, void *arg) {
  (void)arg;
  now.extra_closed++;
  if (peer != NULL) {
    nws_peer_accept(peer, NULL);
    call_send(peer);
    call_close_abort(peer);
  }
}

static void do_nothing(nws_peer *peer, void *arg) {
  (void)peer;
  (void)arg;
  now.extra_closed++;
}

static void do_post(nws_loop *loop, void *arg) {
  (void)arg;
  assert_non_null(loop);
  now.extra_closed++;
}

static void call_post(nws_peer *peer) {
  now.extra += nws_loop_post(nws_peer_loop(peer), do_post, NULL) == NWS_OK;
}

/* Sends, has something done, and drops. */
static void use_remote(nws_peer *peer, void (*run)(nws_peer *peer, void *arg),
                       int close) {
  char large[1000] = {0};
  nws_remote *remote = nws_peer_remote(peer);
  nws_remote_send(remote, NWS_OPCODE_TEXT, "extra", 5);
  nws_remote_send(remote, NWS_OPCODE_BINARY, large, sizeof(large));
  nws_remote_send(remote, NWS_OPCODE_PING, "extra", 5);
  if (close)
    nws_remote_close(remote, 1000, nws_str_of("remote"));
  now.extra += nws_remote_run(remote, run, NULL) == NWS_OK;
  nws_remote_drop(remote);
}

static void call_remote(nws_peer *peer) {
  use_remote(peer, do_nothing, 0);
}

static void call_remote_all(nws_peer *peer) {
  use_remote(peer, do_all, 0);
}

static void call_remote_close(nws_peer *peer) {
  use_remote(peer, do_nothing, 1);
}

static void call_remote_abort(nws_peer *peer) {
  use_remote(peer, do_all, 1);
  nws_peer_abort(peer);
  use_remote(peer, do_all, 1);
}

static void publish(nws_peer *except) {
  static const char large[700];
  nws_str topic = nws_str_of("topic");
  nws_hub_publish(now.hub, topic, NWS_OPCODE_TEXT, "extra", 5, except);
  nws_hub_publish(now.hub, topic, NWS_OPCODE_BINARY, large, sizeof(large),
                  NULL);
  nws_hub_count(now.hub, topic);
  nws_hub_missed(now.hub, except);
}

static void call_hub(nws_peer *peer) {
  nws_hub_join(now.hub, peer, nws_str_of("topic"));
  publish(peer);
}

static void call_hub_leave(nws_peer *peer) {
  call_hub(peer);
  nws_hub_leave(now.hub, peer, nws_str_of("topic"));
  publish(peer);
}

static void call_hub_abort(nws_peer *peer) {
  call_hub(peer);
  nws_peer_abort(peer);
  publish(peer);
}

static void call_prepared(nws_peer *peer) {
  static const nws_allocator heap = {resize, NULL};
  static const char large[700];
  nws_prepared *message;
  assert_int_equal(nws_prepared_make(&heap, NWS_OPCODE_BINARY, large,
                                     sizeof(large), &message),
                   NWS_OK);
  nws_peer_send_prepared(peer, message);
  nws_peer_send_prepared(peer, message);
  nws_prepared_drop(message);
}

static void call_start(nws_peer *peer) {
  nws_server_options options = {.size = sizeof(options),
                                .handler = &now.fx->server_handler,
                                .user = &now.fx->s};
  nws_listener *listener = NULL;
  nws_server *server = NULL;
  assert_int_equal(nws_listener_open("127.0.0.1:0", NULL, &listener), NWS_OK);
  options.listeners = &listener;
  options.listener_count = 1;
  assert_int_equal(nws_server_start(nws_peer_loop(peer), &options, &server),
                   NWS_OK);
  nws_listener_drop(listener);
  nws_server_stop(server, NWS_CLOSE_GOING_AWAY);
}

/* New connections use what is put in its place. */
static void call_reload(nws_peer *peer) {
  (void)peer;
  if (client_tls != NULL)
    assert_int_equal(nws_tls_reload(client_tls, &client_how, NULL, 0), NWS_OK);
}

/* The two that may not be called here. */
static void call_run(nws_peer *peer) {
  nws_loop *loop = nws_peer_loop(peer);
  assert_int_equal(nws_loop_run(loop), NWS_ERROR_STATE);
  assert_int_equal(nws_loop_free(loop), NWS_ERROR_STATE);
}

static void (*const actions[])(nws_peer *peer) = {
    call_send,        call_send_large, call_close,        call_abort,
    call_close_abort, call_pause,      call_pause_resume, call_ping,
    call_accept,      call_respond,    call_accept_abort, call_respond_abort,
    call_stop,        call_stop_twice, call_each,         abort_other,
    call_connect,     call_questions,  call_run,          call_post,
    call_remote,      call_remote_all, call_remote_close, call_remote_abort,
    call_hub,         call_hub_leave,  call_hub_abort,    call_prepared,
    call_start,       call_reload};
enum { ACTIONS = sizeof(actions) / sizeof(actions[0]) };

static void reached(nws_peer *peer, int at) {
  if (at != now.at || nws_peer_user(peer) != now.at_side || now.done > 0)
    return;
  now.done++;
  actions[now.action](peer);
}

/* --- The conversation --- */

static void on_request(nws_peer *peer, const nws_server_handshake *request) {
  note_request(peer, request);
  reached(peer, AT_REQUEST);
  nws_peer_accept(peer, NULL);
}

static void on_http(nws_peer *peer, const nws_server_handshake *request,
                    int error) {
  nws_rejection answer = {.size = sizeof(answer), .status = 200};
  note_http(peer, request, error);
  reached(peer, AT_HTTP);
  nws_peer_respond(peer, &answer);
}

static void on_open(nws_peer *peer) {
  note_open(peer);
  if (nws_peer_server(peer) == NULL) {
    nws_peer_send(peer, NWS_OPCODE_TEXT, "hello", 5);
    nws_peer_send(peer, NWS_OPCODE_PING, "ping", 4);
  }
  reached(peer, AT_OPEN);
}

/* The second answer is refused by the small queue, so that it has to drain. */
static void answer(nws_peer *peer) {
  static const char large[100];
  nws_peer_send(peer, NWS_OPCODE_TEXT, "hello", 5);
  nws_peer_send(peer, NWS_OPCODE_BINARY, large, sizeof(large));
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  note_message(peer, opcode, data, len);
  if (((side *)nws_peer_user(peer))->messages == 1)
    answer(peer);
  reached(peer, AT_MESSAGE);
}

static void on_piece(nws_peer *peer, const nws_event *event) {
  side *s = nws_peer_user(peer);
  if (s->pieces++ == 0)
    answer(peer);
  (void)event;
  reached(peer, AT_PIECE);
}

static void on_control(nws_peer *peer, const nws_event *event) {
  note_control(peer, event);
  reached(peer, AT_CONTROL);
}

static void on_drain(nws_peer *peer) {
  note_drain(peer);
  reached(peer, AT_DRAIN);
  if (nws_peer_server(peer) == NULL)
    nws_peer_close(peer, 1000, nws_str_of("over"));
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  reached(peer, AT_CLOSED);
  note_closed(peer, how);
}

static void prepare(fixture *fx) {
  fixture_init(fx);
  fx->server_handler = (nws_handler){.size = sizeof(nws_handler),
                                     .request = on_request,
                                     .http = on_http,
                                     .open = on_open,
                                     .message = on_message,
                                     .control = on_control,
                                     .drain = on_drain,
                                     .closed = on_closed};
  fx->client_handler = fx->server_handler;
  fx->conn.close_timeout_ms = fx->client_conn.close_timeout_ms = 5;
  fx->conn.ping_interval_ms = fx->client_conn.ping_interval_ms = 10;
  fx->conn.pong_timeout_ms = fx->client_conn.pong_timeout_ms = 10;
  fx->options.limits.high_water = fx->options.limits.max_queue = 64;
  fx->client_limits.high_water = fx->client_limits.max_queue = 64;
  fx->options.tls = server_tls;
  if (now.at == AT_PIECE) {
    fx->server_handler.piece = on_piece;
    fx->client_handler.piece = on_piece;
  }
}

static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#ifdef NWS_TEST_TLS

static void ask_page_tls(fixture *fx) {
  wire w;
  SSL_CTX *ctx = wire_context(NULL);
  wire_init(&w, raw_socket(nws_server_port(fx->server)), ctx, 0);
  step_until(fx, (wire_pull(&w), wire_ready(&w)));
  wire_say(&w, get, sizeof(get) - 1);
  step_until(fx, (wire_pull(&w), w.r.ended || w.r.error != 0));
  wire_free(&w);
  SSL_CTX_free(ctx);
  step_until(fx, fx->s.closes == fx->s.https);
}

#else

static void ask_page_tls(fixture *fx) {
  (void)fx;
  fail_msg("built without TLS");
}

#endif

/* The raw peer that asks for a page sees whatever comes. */
static void ask_page(fixture *fx) {
  raw r;
  if (server_tls != NULL) {
    ask_page_tls(fx);
    return;
  }
  raw_connect(&r, fx);
  raw_send(fx, &r, get, sizeof(get) - 1);
  raw_until(fx, &r, r.ended || r.error != 0);
  raw_free(&r);
  step_until(fx, fx->s.closes == fx->s.https);
}

static void begin(fixture *fx) {
  char url[64];
  nws_client_options options = {.size = sizeof(options),
                                .handler = &fx->client_handler,
                                .user = &fx->c,
                                .url = url,
                                .conn = &fx->client_conn,
                                .limits = fx->client_limits,
                                .tls = client_tls};
  snprintf(url, sizeof(url), "%s://127.0.0.1:%u/chat?x=1",
           client_tls == NULL ? "ws" : "wss",
           (unsigned)nws_server_port(fx->server));
  assert_int_equal(nws_client_connect(fx->loop, &options, &fx->c.peer), NWS_OK);
}

static int try_case(int at_server, int at, int action) {
  fixture fx;
  memset(&now, 0, sizeof(now));
  now.fx = &fx;
  now.at = at;
  now.action = action;
  nws_hub_options hub = {.size = sizeof(hub), .slow = NWS_HUB_DROP};
  assert_int_equal(nws_hub_new(&hub, &now.hub), NWS_OK);
  prepare(&fx);
  now.at_side = at_server ? &fx.s : &fx.c;
  fixture_serve(&fx);
  if (at == AT_HTTP) {
    ask_page(&fx);
    assert_int_equal(fx.s.https, 1);
  } else {
    begin(&fx);
    uint64_t end = uv_hrtime() + UINT64_C(60000000);
    while ((fx.c.closes == 0 || fx.s.closes < fx.s.requests) &&
           uv_hrtime() < end)
      step(&fx);
    if (fx.c.peer != NULL) /* paused for good, for instance */
      nws_peer_abort(fx.c.peer);
  }
  nws_hub_drop(now.hub);
  fixture_end(&fx);
  assert_int_equal(now.extra_closed, now.extra);
  assert_int_equal(fx.s.closes, fx.s.requests + fx.s.https);
  assert_int_equal(fx.c.closes, at != AT_HTTP);
  return now.done;
}

/* Where the machine is busy, the short timeouts may end a conversation before
 * the callback has had its turn. What each try must keep, try_case() asserts;
 * and a callback that cannot be reached is reached by no number of tries. */
static int try_until_reached(int at_server, int at, int action) {
  int done = 0;
  for (int tries = 0; tries < 50 && !done; tries++)
    done = try_case(at_server, at, action);
  return done;
}

static void test_all(void **state) {
  int reachable = 0;
  (void)state;
  for (int at_server = 0; at_server < 2; at_server++) {
    for (int at = 0; at < CALLBACKS; at++) {
      if (!at_server && (at == AT_REQUEST || at == AT_HTTP))
        continue;
      for (int action = 0; action < ACTIONS; action++) {
        int done = try_until_reached(at_server, at, action);
        if (!done)
          fail_msg("callback %d of side %d was not reached", at, at_server);
        reachable += done;
      }
    }
  }
  assert_int_equal(reachable, (CALLBACKS + CALLBACKS - 2) * ACTIONS);
}

/* --- From `stopped` --- */

static nws_server *second;
static int second_stops;

static void stopped_again(nws_server *server, void *user) {
  (void)user;
  assert_ptr_equal(server, second);
  second_stops++;
}

static void start_again(nws_server *server, void *user) {
  fixture *fx = (fixture *)((char *)user - offsetof(fixture, s));
  nws_server_options options = {.size = sizeof(options),
                                .handler = &fx->server_handler,
                                .port = nws_server_port(server),
                                .stopped = stopped_again};
  assert_int_equal(nws_server_start(fx->loop, &options, &second), NWS_OK);
  nws_server_stop(second, NWS_CLOSE_GOING_AWAY);
  assert_int_equal(nws_loop_run(fx->loop), NWS_ERROR_STATE);
  assert_int_equal(nws_loop_free(fx->loop), NWS_ERROR_STATE);
  note_stopped(server, user);
}

static void test_stopped(void **state) {
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.options.stopped = start_again;
  fixture_pair(&fx);
  nws_server_stop(fx.server, NWS_CLOSE_GOING_AWAY);
  step_until(&fx, fx.stops == 1);
  fixture_end(&fx);
  assert_int_equal(second_stops, 1);
}

#ifdef NWS_TEST_TLS

static cert root, server_cert;

static void use_tls(void) {
  cert_plan plan = {.name = "Test root", .is_root = 1};
  cert_plan server = {
      .name = "server", .names = "IP:127.0.0.1", .issuer = &root, .serial = 1};
  cert_make(&root, &plan);
  cert_make(&server_cert, &server);
  server_tls = cert_tls(&server_cert, NULL, NULL);
  client_how = (nws_tls_options){.size = sizeof(client_how),
                                 .trust = nws_str_of(root.pem)};
  client_tls = cert_tls(NULL, NULL, &client_how);
}

static void forget_tls(void) {
  nws_tls_drop(server_tls);
  nws_tls_drop(client_tls);
  cert_free(&root);
  cert_free(&server_cert);
}

#else

static void use_tls(void) {
  fprintf(stderr, "built without TLS\n");
  exit(2);
}

static void forget_tls(void) {}

#endif

/* `tls` as an argument: the same with TLS. */
int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all),
      cmocka_unit_test(test_stopped),
  };
  int tls = argc > 1 && strcmp(argv[1], "tls") == 0;
  if (tls)
    use_tls();
  int rc = run_without_leaks(tests);
  if (tls)
    forget_tls();
  return rc;
}
