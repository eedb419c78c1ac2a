/* deflate_end.c - our end where compression is tried: sends everything back,
 * with any configuration of libnws_deflate, and tells what it has agreed upon.
 *
 *     deflate_end server [SETTINGS]...    listens once for each
 *     deflate_end client                  does what standard input says
 *
 * SETTINGS are words with commas between them, such as "send_bits=9,min=1";
 * "-" is none of them. The server tells its ports in that order, and stops at
 * the end of its input. A line of the client's input is a port and SETTINGS for
 * one connection. Each connection is told in two lines, after which answer the
 * client has got:
 *
 *     answer: HEADER
 *     agreed SEND_NO_TAKEOVER RECEIVE_NO_TAKEOVER SEND_BITS RECEIVE_BITS
 *     closed CODE ERROR
 *
 * or "agreed none" where there is no compression, and no such line where the
 * handshake failed.
 */
#include <nws/deflate.h>
#include <nws/net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define ENDS_MAX 300

/* One configuration and what uses it. */
typedef struct end {
  nws_deflate deflate;
  const nws_extension *extensions[1];
  nws_deflate_config config;
  size_t fragment; /* send messages in frames of so many bytes; 0: whole */
  nws_server_policy policy;
  nws_client_offer offer;
  nws_server *server;
} end;

static end ends[ENDS_MAX];
static size_t end_count;

static void die(const char *what, const char *why) {
  fprintf(stderr, "deflate_end: %s: %s\n", what, why);
  exit(1);
}

static void need(int rc, const char *what) {
  if (rc != NWS_OK)
    die(what, nws_net_text(rc));
}

/* --- Settings --- */

static void set_word(end *e, const char *word, unsigned long value) {
  const struct {
    const char *name;
    uint8_t *field;
  } bytes[] = {
      {"send_no", &e->config.send_no_takeover},
      {"receive_no", &e->config.receive_no_takeover},
      {"send_bits", &e->config.send_window_bits},
      {"receive_bits", &e->config.receive_window_bits},
      {"insist", &e->config.insist},
      {"level", &e->config.level},
      {"mem_level", &e->config.mem_level},
  };
  for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
    if (strcmp(word, bytes[i].name) == 0) {
      *bytes[i].field = (uint8_t)value;
      return;
    }
  }
  if (strcmp(word, "min") == 0)
    e->config.min_size = value;
  else if (strcmp(word, "fragment") == 0)
    e->fragment = value;
  else if (strcmp(word, "isal") == 0)
    e->config.backend = nws_deflate_isal(); /* NULL is zlib */
  else
    die("no such setting", word);
}

/* Sets an end up; `text` is changed. */
static void set_up(end *e, char *text) {
  memset(e, 0, sizeof(*e));
  e->config.size = sizeof(e->config);
  for (char *word = strtok(text, ",\n"); word; word = strtok(NULL, ",\n")) {
    char *value = strchr(word, '=');
    if (strcmp(word, "-") == 0)
      continue;
    if (value == NULL)
      die("a setting without value", word);
    *value = '\0';
    set_word(e, word, strtoul(value + 1, NULL, 10));
  }
  need(nws_deflate_init(&e->deflate, &e->config), "nws_deflate_init");
  e->extensions[0] = &e->deflate.base;
}

/* --- Connections --- */

static void tell_answer(const nws_http_head *head) {
  size_t at = nws_header_find(head->headers, head->count,
                              nws_str_of("Sec-WebSocket-Extensions"), 0);
  if (at < head->count)
    printf("answer: %.*s\n", (int)head->headers[at].value.len,
           head->headers[at].value.ptr);
}

static void tell_agreed(nws_peer *peer) {
  nws_deflate_params params;
  size_t count;
  nws_extension_use *uses = nws_peer_extensions(peer, &count);
  if (nws_peer_response(peer) != NULL)
    tell_answer(nws_peer_response(peer));
  if (nws_deflate_agreed(uses, count, &params))
    printf("agreed %u %u %u %u\n", params.send_no_takeover,
           params.receive_no_takeover, params.send_window_bits,
           params.receive_window_bits);
  else
    printf("agreed none\n");
  fflush(stdout);
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  const end *e = nws_peer_user(peer);
  unsigned what = opcode;
  int rc = NWS_OK;
  while (e->fragment > 0 && len > e->fragment && rc == NWS_OK) {
    rc = nws_peer_send(peer, what | NWS_SEND_MORE, data, e->fragment);
    what = NWS_OPCODE_CONTINUATION;
    data += e->fragment;
    len -= e->fragment;
  }
  if (rc == NWS_OK)
    rc = nws_peer_send(peer, what, data, len);
  if (rc != NWS_OK) {
    fprintf(stderr, "deflate_end: %s\n", nws_net_text(rc));
    nws_peer_abort(peer);
  }
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  (void)peer;
  printf("closed %u %s\n", how->code,
         how->error == NWS_OK ? "" : nws_net_text(how->error));
  fflush(stdout);
}

static const nws_handler handler = {.size = sizeof(handler),
                                    .open = tell_agreed,
                                    .message = on_message,
                                    .closed = on_closed};

static const nws_conn_config conn_config = {.size = sizeof(conn_config),
                                            .max_message = NWS_UNLIMITED,
                                            .max_fragments = NWS_UNLIMITED,
                                            .ping_interval_ms = UINT32_MAX};

/* --- Server --- */

static void on_end_of_input(uv_poll_t *input, int status, int events) {
  char byte;
  (void)status;
  (void)events;
  if (fread(&byte, 1, 1, stdin) == 1)
    return;
  for (size_t i = 0; i < end_count; i++)
    nws_server_stop(ends[i].server, NWS_CLOSE_GOING_AWAY);
  uv_close((uv_handle_t *)input, NULL);
}

static void serve(nws_loop *loop, end *e) {
  e->policy.size = sizeof(e->policy);
  e->policy.extensions = e->extensions;
  e->policy.extension_count = 1;
  e->policy.origin = NWS_ORIGIN_ANY;
  nws_server_options options = {.size = sizeof(options),
                                .handler = &handler,
                                .user = e,
                                .policy = &e->policy,
                                .conn = &conn_config,
                                .limits.max_queue = SIZE_MAX};
  need(nws_server_start(loop, &options, &e->server), "nws_server_start");
  printf("listening on 127.0.0.1:%u\n", (unsigned)nws_server_port(e->server));
}

static void run_server(nws_loop *loop, char **settings, int count) {
  uv_poll_t input;
  if (count > ENDS_MAX)
    die("too many settings", settings[ENDS_MAX]);
  for (; end_count < (size_t)count; end_count++) {
    set_up(&ends[end_count], settings[end_count]);
    serve(loop, &ends[end_count]);
  }
  fflush(stdout);
  need(uv_poll_init(nws_loop_uv(loop), &input, 0), "uv_poll_init");
  need(uv_poll_start(&input, UV_READABLE, on_end_of_input), "uv_poll_start");
  need(nws_loop_run(loop), "nws_loop_run");
  for (size_t i = 0; i < end_count; i++)
    nws_deflate_free(&ends[i].deflate);
}

/* --- Client --- */

static void connect_once(nws_loop *loop, unsigned long port, char *settings) {
  end *e = &ends[0];
  char url[64];
  set_up(e, settings);
  e->offer.size = sizeof(e->offer);
  e->offer.extensions = e->extensions;
  e->offer.extension_count = 1;
  snprintf(url, sizeof(url), "ws://127.0.0.1:%lu/", port);
  nws_client_options options = {.size = sizeof(options),
                                .handler = &handler,
                                .user = e,
                                .url = url,
                                .offer = &e->offer,
                                .conn = &conn_config,
                                .limits.max_queue = SIZE_MAX};
  need(nws_client_connect(loop, &options, NULL), url);
  need(nws_loop_run(loop), "nws_loop_run");
  nws_deflate_free(&e->deflate);
}

static void run_client(nws_loop *loop) {
  char line[512];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    char *settings;
    unsigned long port = strtoul(line, &settings, 10);
    if (*settings != ' ')
      die("not a port and settings", line);
    connect_once(loop, port, settings + 1);
  }
}

int main(int argc, char **argv) {
  nws_loop *loop;
  need(nws_loop_new(NULL, &loop), "nws_loop_new");
  if (argc > 2 && strcmp(argv[1], "server") == 0)
    run_server(loop, argv + 2, argc - 2);
  else if (argc == 2 && strcmp(argv[1], "client") == 0)
    run_client(loop);
  else
    die("usage", "deflate_end server SETTINGS... | client");
  need(nws_loop_free(loop), "nws_loop_free");
  return 0;
}
