/* test_net_listener.c - listening sockets of all kinds: opened, shared, taken
 * over, inherited; and clients on Unix sockets.
 */
#include "net_fixture.h"
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define PATH "test_net_listener.sock"

static nws_listener *open_at(const char *where) {
  nws_listener *listener = NULL;
  assert_int_equal(nws_listener_open(where, NULL, &listener), NWS_OK);
  assert_non_null(listener);
  return listener;
}

static void serve_on(fixture *fx, nws_listener **listeners, size_t count) {
  fx->options.listeners = listeners;
  fx->options.listener_count = count;
  fixture_serve(fx);
  for (size_t i = 0; i < count; i++)
    nws_listener_drop(listeners[i]);
}

/* Connects, has something echoed, and closes. */
static void talk(fixture *fx, const char *url) {
  int opens = fx->c.opens, messages = fx->c.messages, closes = fx->c.closes;
  nws_str none = {NULL, 0};
  nws_peer *peer = fixture_connect_to(fx, url, NULL);
  step_until(fx, fx->c.opens > opens || fx->c.closes > closes);
  if (fx->c.opens == opens)
    fail_msg("%s: %s", url, nws_net_text(fx->c.error));
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, url, strlen(url)),
                   NWS_OK);
  step_until(fx, fx->c.messages > messages);
  assert_string_equal(fx->c.last, url);
  assert_int_equal(nws_peer_close(peer, NWS_CLOSE_NORMAL, none), NWS_OK);
  step_until(fx, fx->c.closes > closes);
  assert_int_equal(fx->c.error, NWS_OK);
}

static void talk_to_port(fixture *fx, const char *host, unsigned port) {
  char url[64];
  snprintf(url, sizeof(url), "ws://%s:%u/", host, port);
  talk(fx, url);
}

/* One server listens to all kinds at once. */
static void test_several(void **state) {
  nws_listener *listeners[] = {open_at("127.0.0.1:0"), open_at("[::1]:0"),
                               open_at("unix:" PATH)};
  unsigned four = nws_listener_port(listeners[0]);
  unsigned six = nws_listener_port(listeners[1]);
  char name[64];
  fixture fx;
  (void)state;
  snprintf(name, sizeof(name), "127.0.0.1:%u", four);
  assert_string_equal(nws_listener_name(listeners[0]), name);
  snprintf(name, sizeof(name), "[::1]:%u", six);
  assert_string_equal(nws_listener_name(listeners[1]), name);
  assert_string_equal(nws_listener_name(listeners[2]), "unix:" PATH);
  assert_int_equal(nws_listener_port(listeners[2]), 0);
  fixture_init(&fx);
  serve_on(&fx, listeners, 3);
  assert_int_equal(nws_server_port(fx.server), four);
  talk_to_port(&fx, "127.0.0.1", four);
  talk_to_port(&fx, "[::1]", six);
  talk(&fx, "ws+unix:" PATH);
  talk(&fx, "ws+unix:" PATH ":/chat?room=1");
  fixture_end(&fx);
  assert_int_equal(access(PATH, F_OK), -1);
}

/* Both ends of a Unix socket have a name, though not an address. */
static char seen_address[64], seen_target[64], seen_host[64];

static void look_at_request(nws_peer *peer,
                            const nws_server_handshake *request) {
  nws_str host = nws_str_of("Host");
  size_t at =
      nws_header_find(request->head.headers, request->head.count, host, 0);
  note_request(peer, request);
  assert_int_equal(nws_peer_address(peer, seen_address, sizeof(seen_address)),
                   NWS_OK);
  copy_text(seen_target, sizeof(seen_target), request->head.target.ptr,
            request->head.target.len);
  copy_text(seen_host, sizeof(seen_host), request->head.headers[at].value.ptr,
            request->head.headers[at].value.len);
  assert_int_equal(nws_peer_accept(peer, NULL), NWS_OK);
}

static void test_unix_request(void **state) {
  nws_listener *listener = open_at("unix:" PATH);
  char small[4], address[8];
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.server_handler.request = look_at_request;
  serve_on(&fx, &listener, 1);
  nws_peer *peer =
      fixture_connect_to(&fx, "ws+unix:" PATH ":/chat?room=1", NULL);
  step_until(&fx, fx.c.opens == 1);
  assert_string_equal(seen_address, "unix");
  assert_string_equal(seen_target, "/chat?room=1");
  assert_string_equal(seen_host, "localhost");
  assert_int_equal(nws_peer_address(peer, address, sizeof(address)), NWS_OK);
  assert_string_equal(address, "unix");
  assert_int_equal(nws_peer_address(peer, small, sizeof(small)),
                   NWS_ERROR_BUFFER);
  fixture_end(&fx);
}

static int connect_error(const char *url) {
  nws_handler handler = {.size = sizeof(handler)};
  nws_client_options options = {
      .size = sizeof(options), .handler = &handler, .url = url};
  nws_loop *loop;
  assert_int_equal(nws_loop_new(NULL, &loop), NWS_OK);
  int rc = nws_client_connect(loop, &options, NULL);
  nws_loop_run(loop);
  assert_int_equal(nws_loop_free(loop), NWS_OK);
  return rc;
}

static void test_bad_unix_urls(void **state) {
  char longest[200] = "ws+unix:";
  (void)state;
  memset(longest + 8, 'x', sizeof(longest) - 9);
  assert_int_equal(connect_error(longest), UV_ENAMETOOLONG);
  longest[8 + 107] = '\0';
  assert_int_equal(connect_error(longest), NWS_OK); /* and then ENOENT */
  assert_int_equal(connect_error("ws+unix:"), NWS_ERROR_URI_AUTHORITY);
  assert_int_equal(connect_error("ws+unix::/x"), NWS_ERROR_URI_AUTHORITY);
  assert_int_equal(connect_error("ws+unix:a:"), NWS_ERROR_URI_PATH);
  assert_int_equal(connect_error("ws+unix:a:b"), NWS_ERROR_URI_PATH);
  assert_int_equal(connect_error("ws+unix:a:/b c"), NWS_ERROR_URI_PATH);
  assert_int_equal(connect_error("ws+unix:a:/b#c"), NWS_ERROR_URI_FRAGMENT);
}

static void test_bad_addresses(void **state) {
  static const char *const bad[] = {"",
                                    "127.0.0.1",
                                    "127.0.0.1:",
                                    "127.0.0.1:x",
                                    "1.2.3:80",
                                    "localhost:80",
                                    "[::1]",
                                    "[::1]80",
                                    "[::1:80",
                                    "::1:80",
                                    "127.0.0.1:65536",
                                    "127.0.0.1:99999999999",
                                    "127.0.0.1:80 ",
                                    "[]:1",
                                    ":80",
                                    "unix:"};
  char path[128] = "unix:";
  nws_listener *listener;
  nws_listener_options options = {.size = sizeof(options), .mode = 01000};
  (void)state;
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    listener = (nws_listener *)&path;
    if (nws_listener_open(bad[i], NULL, &listener) != NWS_ERROR_ARGUMENT)
      fail_msg("'%s' was taken", bad[i]);
    assert_null(listener);
  }
  memset(path + 5, 'x', 108);
  path[5 + 108] = '\0';
  assert_int_equal(nws_listener_open(path, NULL, &listener), UV_ENAMETOOLONG);
  assert_int_equal(nws_listener_open("unix:/nonexistent/x", NULL, &listener),
                   UV_ENOENT);
  assert_int_equal(nws_listener_open("unix:" PATH, &options, &listener),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_listener_open(NULL, NULL, &listener),
                   NWS_ERROR_ARGUMENT);
}

/* --- Files of Unix sockets --- */

static void test_unix_file(void **state) {
  nws_listener_options options = {.size = sizeof(options), .mode = 0620};
  nws_listener *listener, *second;
  struct stat what;
  (void)state;
  assert_int_equal(nws_listener_open("unix:" PATH, &options, &listener),
                   NWS_OK);
  assert_int_equal(stat(PATH, &what), 0);
  assert_int_equal(what.st_mode & 0777, 0620);
  /* Somebody listens there. */
  assert_int_equal(nws_listener_open("unix:" PATH, NULL, &second),
                   UV_EADDRINUSE);
  /* Nobody does any more, and the file is still there. */
  nws_listener_keep_file(listener);
  nws_listener_drop(listener);
  assert_int_equal(access(PATH, F_OK), 0);
  listener = open_at("unix:" PATH);
  /* Another has taken the place: it is not ours to remove. */
  assert_int_equal(unlink(PATH), 0);
  second = open_at("unix:" PATH);
  nws_listener_drop(listener);
  assert_int_equal(access(PATH, F_OK), 0);
  nws_listener_drop(second);
  assert_int_equal(access(PATH, F_OK), -1);
  /* What is no socket stays. */
  int fd = open(PATH, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(nws_listener_open("unix:" PATH, NULL, &second),
                   UV_EADDRINUSE);
  assert_int_equal(access(PATH, F_OK), 0);
  unlink(PATH);
}

/* --- Sharing --- */

static void test_families(void **state) {
  nws_listener_options only = {.size = sizeof(only), .v6_only = 1};
  nws_listener *six, *four;
  char where[32];
  fixture fx;
  (void)state;
  /* Both families at one, or one port for each. */
  six = open_at("[::]:0");
  fixture_init(&fx);
  unsigned port = nws_listener_port(six);
  serve_on(&fx, &six, 1);
  talk_to_port(&fx, "127.0.0.1", port);
  talk_to_port(&fx, "[::1]", port);
  fixture_end(&fx);

  assert_int_equal(nws_listener_open("[::]:0", &only, &six), NWS_OK);
  snprintf(where, sizeof(where), "0.0.0.0:%u",
           (unsigned)nws_listener_port(six));
  four = open_at(where);
  nws_listener_drop(four);
  nws_listener_drop(six);
}

static void test_reuse_port(void **state) {
  nws_listener_options reuse = {.size = sizeof(reuse), .reuse_port = 1};
  nws_listener *first, *second;
  char where[32];
  (void)state;
  assert_int_equal(nws_listener_open("127.0.0.1:0", &reuse, &first), NWS_OK);
  snprintf(where, sizeof(where), "127.0.0.1:%u",
           (unsigned)nws_listener_port(first));
  assert_int_equal(nws_listener_open(where, NULL, &second), UV_EADDRINUSE);
  assert_int_equal(nws_listener_open(where, &reuse, &second), NWS_OK);
  assert_int_equal(nws_listener_port(second), nws_listener_port(first));
  nws_listener_drop(first);
  nws_listener_drop(second);
}

/* The same one twice in a loop is a mistake that leaves nothing behind. */
static void test_twice(void **state) {
  nws_listener *listener = open_at("127.0.0.1:0");
  nws_listener *twice[] = {listener, listener};
  nws_server *server;
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.options.listeners = twice;
  fx.options.listener_count = 2;
  assert_int_equal(nws_server_start(fx.loop, &fx.options, &server), UV_EEXIST);
  assert_null(server);
  nws_loop_run(fx.loop);
  assert_int_equal(fx.stops, 0);
  serve_on(&fx, &listener, 1);
  fixture_end(&fx);
}

typedef struct worker {
  nws_listener *listener;
  nws_loop *loop;
  nws_server *server;
  uv_async_t stop;
  uv_thread_t thread;
  int served;
} worker;

static void worker_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                           size_t len) {
  worker *w = nws_peer_user(peer);
  w->served++;
  nws_peer_send(peer, opcode, data, len);
}

static void worker_stop(uv_async_t *async) {
  worker *w = async->data;
  nws_server_stop(w->server, NWS_CLOSE_GOING_AWAY);
  uv_close((uv_handle_t *)async, NULL);
}

static void worker_run(void *arg) {
  worker *w = arg;
  nws_loop_run(w->loop);
}

/* Two threads take connections from the same socket. */
static void test_threads(void **state) {
  enum { WORKERS = 2, CLIENTS = 40 };
  nws_listener *listener = open_at("127.0.0.1:0");
  nws_handler handler = {.size = sizeof(handler), .message = worker_message};
  worker workers[WORKERS];
  fixture fx;
  int served = 0;
  (void)state;
  memset(workers, 0, sizeof(workers));
  for (int i = 0; i < WORKERS; i++) {
    worker *w = &workers[i];
    nws_server_options options = {.size = sizeof(options),
                                  .handler = &handler,
                                  .user = w,
                                  .listeners = &listener,
                                  .listener_count = 1};
    assert_int_equal(nws_loop_new(NULL, &w->loop), NWS_OK);
    assert_int_equal(nws_server_start(w->loop, &options, &w->server), NWS_OK);
    uv_async_init(nws_loop_uv(w->loop), &w->stop, worker_stop);
    w->stop.data = w;
  }
  unsigned port = nws_listener_port(listener);
  nws_listener_drop(listener);
  for (int i = 0; i < WORKERS; i++)
    assert_int_equal(
        uv_thread_create(&workers[i].thread, worker_run, &workers[i]), 0);
  fixture_init(&fx);
  for (int i = 0; i < CLIENTS; i++)
    talk_to_port(&fx, "127.0.0.1", port);
  for (int i = 0; i < WORKERS; i++) {
    uv_async_send(&workers[i].stop);
    uv_thread_join(&workers[i].thread);
    served += workers[i].served;
    assert_int_equal(nws_loop_free(workers[i].loop), NWS_OK);
  }
  assert_int_equal(served, CLIENTS);
  fixture_end(&fx);
}

/* --- Taking over --- */

/* Whoever connects while nobody takes connections is served by the next. */
static void test_take_over(void **state) {
  nws_listener *old = open_at("127.0.0.1:0");
  nws_listener *fresh;
  int passed = dup(nws_listener_fd(old));
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  serve_on(&fx, &old, 1);
  unsigned port = nws_server_port(fx.server);
  talk_to_port(&fx, "127.0.0.1", port);
  nws_server_stop(fx.server, NWS_CLOSE_GOING_AWAY);
  step_until(&fx, fx.stops == 1);

  raw_init(&r, raw_socket((uint16_t)port));
  raw_send(&fx, &r, raw_request, RAW_REQUEST_LEN);
  assert_int_equal(nws_listener_adopt(passed, NULL, &fresh), NWS_OK);
  assert_int_equal(nws_listener_port(fresh), port);
  serve_on(&fx, &fresh, 1);
  raw_until(&fx, &r, raw_head(&r) > 0);
  assert_int_equal(memcmp(r.data, "HTTP/1.1 101 ", 13), 0);
  raw_free(&r);
  fixture_end(&fx);
}

/* The system takes paths that fill their field, without a zero byte. */
static void test_adopt_long_path(void **state) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  char path[sizeof(at.sun_path) + 1] = {0};
  nws_listener *listener;
  (void)state;
  memset(path, 'x', sizeof(at.sun_path));
  memcpy(at.sun_path, path, sizeof(at.sun_path));
  (void)unlink(path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
  assert_int_equal(listen(fd, 1), 0);
  assert_int_equal(nws_listener_adopt(fd, NULL, &listener), NWS_OK);
  const char *name = nws_listener_name(listener);
  assert_int_equal(strlen(name), strlen("unix:") + sizeof(at.sun_path));
  assert_string_equal(name + strlen("unix:"), path);
  nws_listener_drop(listener);
  assert_int_equal(unlink(path), 0);
}

static void test_adopt_mistakes(void **state) {
  nws_listener *listener;
  int pair[2];
  int idle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  (void)state;
  assert_int_equal(nws_listener_adopt(-1, NULL, &listener), UV_EBADF);
  assert_int_equal(nws_listener_adopt(idle, NULL, &listener),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
  assert_int_equal(nws_listener_adopt(pair[0], NULL, &listener),
                   NWS_ERROR_ARGUMENT);
  assert_null(listener);
  close(idle); /* they are still ours */
  close(pair[0]);
  close(pair[1]);
}

/* --- Service managers --- */

static void leave_at_end(nws_peer *peer, const nws_closed *how) {
  (void)how;
  nws_server_stop(nws_peer_server(peer), NWS_CLOSE_GOING_AWAY);
}

/* The service: serves one connection on what it inherited. */
static int be_service(void) {
  nws_handler handler = {.size = sizeof(handler), .closed = leave_at_end};
  nws_server_options options = {.size = sizeof(options), .handler = &handler};
  nws_listener *listeners[4];
  nws_server *server;
  nws_loop *loop;
  size_t count;
  if (nws_listener_inherited(NULL, listeners, 1, &count) != NWS_ERROR_BUFFER)
    return 2;
  if (nws_listener_inherited(NULL, listeners, 4, &count) != NWS_OK ||
      count != 2)
    return 3;
  options.listeners = listeners;
  options.listener_count = count;
  if (nws_loop_new(NULL, &loop) != NWS_OK ||
      nws_server_start(loop, &options, &server) != NWS_OK)
    return 4;
  nws_listener_drop(listeners[0]);
  nws_listener_drop(listeners[1]);
  nws_loop_run(loop);
  return nws_loop_free(loop) == NWS_OK ? 0 : 5;
}

/* Between fork and exec nothing but system calls. */
static pid_t start_service(int first, int second) {
  char pid_text[32] = "LISTEN_PID=", count[] = "LISTEN_FDS=2";
  char *env[] = {pid_text, count, NULL};
  char *argv[] = {(char *)"service", (char *)"service", NULL};
  pid_t child = fork();
  if (child != 0)
    return child;
  snprintf(pid_text + 11, sizeof(pid_text) - 11, "%d", (int)getpid());
  /* Out of the way first: they may be 3 and 4 themselves. */
  int a = fcntl(first, F_DUPFD, 100), b = fcntl(second, F_DUPFD, 100);
  dup2(a, 3);
  dup2(b, 4);
  close(a);
  close(b);
  execve("/proc/self/exe", argv, env);
  _exit(99);
}

static void test_inherited(void **state) {
  nws_listener *first = open_at("127.0.0.1:0");
  nws_listener *second = open_at("127.0.0.1:0");
  unsigned port = nws_listener_port(second);
  size_t count = 7;
  fixture fx;
  int status = -1;
  (void)state;
  assert_int_equal(nws_listener_inherited(NULL, &first, 1, &count), NWS_OK);
  assert_int_equal(count, 0);
  pid_t child = start_service(nws_listener_fd(first), nws_listener_fd(second));
  assert_true(child > 0);
  nws_listener_drop(first);
  nws_listener_drop(second);
  fixture_init(&fx);
  char url[64];
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", port);
  nws_peer *peer = fixture_connect_to(&fx, url, NULL);
  nws_str none = {NULL, 0};
  step_until(&fx, fx.c.opens == 1 || fx.c.closes == 1);
  assert_int_equal(fx.c.opens, 1);
  assert_int_equal(nws_peer_close(peer, NWS_CLOSE_NORMAL, none), NWS_OK);
  step_until(&fx, fx.c.closes == 1);
  step_until(&fx, waitpid(child, &status, WNOHANG) == child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  fixture_end(&fx);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "service") == 0)
    return be_service();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_several),
      cmocka_unit_test(test_unix_request),
      cmocka_unit_test(test_bad_unix_urls),
      cmocka_unit_test(test_bad_addresses),
      cmocka_unit_test(test_unix_file),
      cmocka_unit_test(test_families),
      cmocka_unit_test(test_reuse_port),
      cmocka_unit_test(test_twice),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_take_over),
      cmocka_unit_test(test_adopt_mistakes),
      cmocka_unit_test(test_adopt_long_path),
      cmocka_unit_test(test_inherited),
  };
  unlink(PATH);
  return cmocka_run_group_tests(tests, fds_remember, fds_compare);
}
