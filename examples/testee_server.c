/* testee_server.c - an echo server for conformance suites.
 *
 *     testee_server [--port N] [--max-message BYTES]
 *
 * Such suites send what no client would: a message of 16 MiB in frames of a few
 * bytes, pings by the hundred, broken frames of every kind. So the limits that
 * protect a server on the open network are raised, while everything that the
 * protocol asks for stays as it is by default. SIGTERM and SIGINT stop it in
 * good order: with a close frame (1001) for everybody.
 *
 * Whoever offers permessage-deflate gets it; its smallest messages are
 * compressed too, so that a suite sees some.
 */
#include <nws/net.h>
#include <nws/deflate.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MAX_MESSAGE_DEFAULT ((uint64_t)16 * 1024 * 1024)

static void echo(nws_peer *peer, unsigned opcode, uint8_t *data, size_t len) {
  if (nws_peer_send(peer, opcode, data, len) != NWS_OK)
    nws_peer_abort(peer);
}

/* --- Options --- */

typedef struct settings {
  uint64_t port;
  uint64_t max_message;
} settings;

static int read_number(const char *text, uint64_t max, uint64_t *number) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value > max)
    return 0;
  *number = value;
  return 1;
}

static int read_settings(int argc, char **argv, settings *set) {
  for (int i = 1; i < argc; i += 2) {
    int good = 0;
    if (i + 1 < argc && strcmp(argv[i], "--port") == 0)
      good = read_number(argv[i + 1], UINT16_MAX, &set->port);
    else if (i + 1 < argc && strcmp(argv[i], "--max-message") == 0)
      good = read_number(argv[i + 1], NWS_FRAME_PAYLOAD_MAX, &set->max_message);
    if (!good)
      return 0;
  }
  return 1;
}

/* --- Stopping --- */

static void on_signal(uv_signal_t *handle, int number) {
  (void)number;
  nws_server_stop(handle->data, NWS_CLOSE_GOING_AWAY);
}

/* Watches for a signal without keeping the loop alive for it. */
static int watch_signal(nws_loop *loop, uv_signal_t *handle, int number,
                        nws_server *server) {
  int rc = uv_signal_init(nws_loop_uv(loop), handle);
  if (rc != 0)
    return rc;
  handle->data = server;
  uv_unref((uv_handle_t *)handle);
  return uv_signal_start(handle, on_signal, number);
}

static void on_stopped(nws_server *server, void *user) {
  uv_signal_t *handles = user;
  (void)server;
  for (int i = 0; i < 2; i++)
    uv_close((uv_handle_t *)&handles[i], NULL);
}

/* --- Serving --- */

static int serve(nws_loop *loop, const settings *set,
                 const nws_deflate *deflate) {
  uv_signal_t signals[2];
  const nws_extension *extensions[] = {&deflate->base};
  nws_server_policy policy = {
      .size = sizeof(policy), .extensions = extensions, .extension_count = 1};
  nws_handler handler = {.size = sizeof(handler), .message = echo};
  nws_conn_config conn = {
      .size = sizeof(conn),
      .max_message = set->max_message,
      .max_fragments = NWS_UNLIMITED,
      .max_controls = NWS_UNLIMITED,
      .ping_interval_ms = UINT32_MAX, /* a suite expects nothing unasked */
  };
  nws_server_options options = {
      .size = sizeof(options),
      .handler = &handler,
      .user = signals,
      .port = (uint16_t)set->port,
      .policy = &policy,
      .conn = &conn,
      /* Reading pauses at high_water; one message more is then the most. */
      .limits.max_queue = SIZE_MAX,
      .stopped = on_stopped,
  };
  nws_server *server;
  int rc = nws_server_start(loop, &options, &server);
  if (rc != NWS_OK)
    return rc;
  rc = watch_signal(loop, &signals[0], SIGTERM, server);
  if (rc == 0)
    rc = watch_signal(loop, &signals[1], SIGINT, server);
  if (rc != 0)
    return rc;
  printf("listening on 127.0.0.1:%u\n", (unsigned)nws_server_port(server));
  fflush(stdout);
  return nws_loop_run(loop);
}

static int run(const settings *set, const nws_deflate *deflate) {
  nws_loop *loop;
  int rc = nws_loop_new(NULL, &loop);
  if (rc != NWS_OK)
    return rc;
  rc = serve(loop, set, deflate);
  int freed = nws_loop_free(loop);
  return rc != NWS_OK ? rc : freed;
}

int main(int argc, char **argv) {
  settings set = {.port = 9001, .max_message = MAX_MESSAGE_DEFAULT};
  nws_deflate_config how = {.size = sizeof(how), .min_size = 1};
  nws_deflate deflate;
  if (!read_settings(argc, argv, &set)) {
    fprintf(stderr, "usage: testee_server [--port N] [--max-message BYTES]\n");
    return 1;
  }
  int rc = nws_deflate_init(&deflate, &how);
  if (rc == NWS_OK)
    rc = run(&set, &deflate);
  nws_deflate_free(&deflate);
  if (rc != NWS_OK)
    fprintf(stderr, "testee_server: %s\n", nws_net_text(rc));
  return rc == NWS_OK ? 0 : 1;
}
