/* test_net_soak.c - connections come, talk, and go in every way there is, with
 * and without TLS and compression, on several routes; round after round, and no
 * round may leave more behind than those before.
 *
 *     test_net_soak [SECONDS]     20 by default
 *
 * What is done is drawn from a fixed seed; how many rounds there are depends on
 * the machine, what must hold after each does not.
 */
#include "faults.h"
#include "tls_raw.h"
#include <nws/deflate.h>

enum {
  CLIENTS = 24,
  RAWS = 4,
  DATA_MAX = 200000,
  WARM_UP = 20, /* rounds */
  /* What the loop and the pools of compression may keep more of than they did
   * in the first rounds; one block lost in each round is more soon. */
  SLACK_BLOCKS = 48,
  SLACK_BYTES = 8 * 1024 * 1024
};

typedef enum ending {
  END_CLOSE,
  END_ABORT,
  END_ASK_CLOSE, /* the server shall close */
  END_ASK_ABORT,
  END_VIOLATE, /* a message beyond the limit */
  ENDINGS
} ending;

typedef struct client {
  nws_peer *peer;
  int left;    /* messages to send */
  int endings; /* closes heard */
  ending how;
} client;

static struct {
  fixture fx;
  nws_server *plain, *secure;
  int servers_stopped;
  client clients[CLIENTS];
  long opened, answered, ended;
  int running; /* clients that have not ended */
  uint32_t seed;
} soak;

static uint8_t data[DATA_MAX];

static uint32_t draw(uint32_t below) {
  soak.seed = soak.seed * 1664525u + 1013904223u;
  return (soak.seed >> 8) % below;
}

/* --- The server --- */

static int obeys(nws_peer *peer, const uint8_t *text, size_t len) {
  if (len == 5 && memcmp(text, "close", 5) == 0) {
    nws_peer_close(peer, 4000, nws_str_of("as asked"));
    return 1;
  }
  if (len == 5 && memcmp(text, "abort", 5) == 0) {
    nws_peer_abort(peer);
    return 1;
  }
  return 0;
}

static void on_echo(nws_peer *peer, unsigned opcode, uint8_t *text,
                    size_t len) {
  if (!obeys(peer, text, len))
    nws_peer_send(peer, opcode, text, len);
}

/* As it comes, and one answer for each message. */
static void on_piece(nws_peer *peer, const nws_event *event) {
  if ((event->flags & NWS_MESSAGE_END) != 0 &&
      !obeys(peer, event->data, event->len))
    nws_peer_send(peer, NWS_OPCODE_TEXT, "got it", 6);
}

/* --- Clients --- */

static void end(client *c) {
  switch (c->how) {
  case END_CLOSE:
    nws_peer_close(c->peer, 1000, nws_str_of("enough"));
    break;
  case END_ABORT:
    nws_peer_abort(c->peer);
    break;
  case END_ASK_CLOSE:
    nws_peer_send(c->peer, NWS_OPCODE_TEXT, "close", 5);
    break;
  case END_ASK_ABORT:
    nws_peer_send(c->peer, NWS_OPCODE_TEXT, "abort", 5);
    break;
  default:
    for (int i = 0; i < 3; i++)
      nws_peer_send(c->peer, NWS_OPCODE_BINARY | NWS_SEND_PLAIN, data,
                    DATA_MAX);
    nws_peer_close(c->peer, 1000, nws_str_of(""));
  }
}

static void send_fragments(nws_peer *peer) {
  unsigned what = NWS_OPCODE_BINARY | NWS_SEND_MORE;
  for (int i = 0; i < 4; i++) {
    nws_peer_send(peer, what, data + draw(1000), draw(20000));
    nws_peer_ping(peer);
    nws_peer_send(peer, NWS_OPCODE_PING, "between", 7);
    what = NWS_OPCODE_CONTINUATION | NWS_SEND_MORE;
  }
  nws_peer_send(peer, NWS_OPCODE_CONTINUATION, data, draw(20000));
}

/* The next message, each of which is answered. */
static void go_on(client *c) {
  if (c->left-- <= 0) {
    end(c);
    return;
  }
  switch (draw(5)) {
  case 0:
    nws_peer_send(c->peer, NWS_OPCODE_TEXT, "hello", 5);
    break;
  case 1:
    nws_peer_send(c->peer, NWS_OPCODE_BINARY, data, draw(DATA_MAX));
    break;
  case 2:
    nws_peer_pause(c->peer);
    nws_peer_send(c->peer, NWS_OPCODE_BINARY, NULL, 0);
    nws_peer_resume(c->peer);
    break;
  case 3:
    nws_peer_send(c->peer, NWS_OPCODE_BINARY, data, draw(2000));
    break;
  default:
    send_fragments(c->peer);
  }
}

static void on_client_open(nws_peer *peer) {
  client *c = nws_peer_user(peer);
  soak.opened++;
  if (draw(8) == 0)
    nws_peer_abort(peer);
  else
    go_on(c);
}

static void on_client_message(nws_peer *peer, unsigned opcode, uint8_t *text,
                              size_t len) {
  (void)opcode;
  (void)text;
  (void)len;
  soak.answered++;
  go_on(nws_peer_user(peer));
}

static void on_client_closed(nws_peer *peer, const nws_closed *how) {
  client *c = nws_peer_user(peer);
  (void)how;
  assert_int_equal(++c->endings, 1);
  c->peer = NULL;
  soak.running--;
  soak.ended++;
}

static const nws_handler client_handler = {.size = sizeof(nws_handler),
                                           .open = on_client_open,
                                           .message = on_client_message,
                                           .closed = on_client_closed};

/* --- Setting up --- */

static cert root, own;
static nws_tls *server_tls, *client_tls;
static nws_deflate deflate;
static nws_client_offer compressed;

static void note_soak_stopped(nws_server *server, void *user) {
  (void)server;
  (void)user;
  soak.servers_stopped++;
}

static void serve(void) {
  static const nws_extension *extensions[1];
  static const nws_handler echo = {.size = sizeof(echo), .message = on_echo};
  static const nws_handler pieces = {.size = sizeof(pieces), .piece = on_piece};
  static const nws_conn_config small = {.size = sizeof(small),
                                        .max_message = 150000};
  static nws_server_policy policy = {.size = sizeof(policy)};
  static const nws_route routes[] = {
      {.size = sizeof(nws_route), .path = "/echo", .handler = &echo},
      {.size = sizeof(nws_route), .path = "/pieces/*", .handler = &pieces},
      {.size = sizeof(nws_route), .path = "/small", .conn = &small}};
  nws_deflate_config how = {.size = sizeof(how)};
  nws_server_options options = {.size = sizeof(options),
                                .handler = &echo,
                                .policy = &policy,
                                .routes = routes,
                                .route_count = 3,
                                .stopped = note_soak_stopped};
  assert_int_equal(nws_deflate_init(&deflate, &how), NWS_OK);
  extensions[0] = &deflate.base;
  policy.extensions = extensions;
  policy.extension_count = 1;
  compressed = (nws_client_offer){.size = sizeof(compressed),
                                  .extensions = extensions,
                                  .extension_count = 1};
  assert_int_equal(nws_server_start(soak.fx.loop, &options, &soak.plain),
                   NWS_OK);
  options.tls = server_tls;
  assert_int_equal(nws_server_start(soak.fx.loop, &options, &soak.secure),
                   NWS_OK);
}

static void start(client *c) {
  static const char *const paths[] = {"/echo", "/pieces/7", "/small",
                                      "/nowhere"};
  int secure = (int)draw(2);
  char url[64];
  nws_client_options options = {.size = sizeof(options),
                                .handler = &client_handler,
                                .user = c,
                                .url = url,
                                .tls = client_tls};
  memset(c, 0, sizeof(*c));
  c->left = (int)draw(8);
  c->how = (ending)draw(ENDINGS);
  if (draw(2) == 0)
    options.offer = &compressed;
  snprintf(url, sizeof(url), "%s://127.0.0.1:%u%s", secure ? "wss" : "ws",
           (unsigned)nws_server_port(secure ? soak.secure : soak.plain),
           paths[draw(16) == 0 ? 3 : draw(3)]);
  assert_int_equal(nws_client_connect(soak.fx.loop, &options, &c->peer),
                   NWS_OK);
  soak.running++;
}

/* --- Rounds --- */

static size_t served(void) {
  return nws_server_peers(soak.plain) + nws_server_peers(soak.secure);
}

/* Half a request, or no TLS, and then nobody. */
static void start_raw(raw *r) {
  nws_server *server = draw(2) == 0 ? soak.plain : soak.secure;
  raw_init(r, raw_socket(nws_server_port(server)));
  raw_send(&soak.fx, r, raw_request, draw(RAW_REQUEST_LEN + 1));
}

static void round_of_all(void) {
  raw raws[RAWS];
  for (int i = 0; i < CLIENTS; i++)
    start(&soak.clients[i]);
  for (int i = 0; i < RAWS; i++)
    start_raw(&raws[i]);
  for (int i = 0; i < 5; i++)
    step(&soak.fx);
  for (int i = 0; i < RAWS; i++) {
    if (draw(2) == 0)
      raw_reset(&raws[i]);
    else
      raw_free(&raws[i]);
  }
  step_until(&soak.fx, soak.running == 0 && served() == 0);
}

static void compare_rounds(const faults_live *first, int fds, long round) {
  faults_live after = faults_live_now();
  for (int i = 0; i < FAULTS_OWNERS; i++) {
    long blocks = after.blocks[i] - first->blocks[i];
    long bytes = after.bytes[i] - first->bytes[i];
    if (blocks > SLACK_BLOCKS || bytes > SLACK_BYTES)
      fail_msg("round %ld: %ld blocks and %ld bytes more of owner %d", round,
               blocks, bytes, i);
  }
  if (count_fds() != fds)
    fail_msg("round %ld: %d descriptors more", round, count_fds() - fds);
}

static unsigned seconds = 20;

static void rounds(void) {
  faults_live first = faults_live_now();
  int fds = count_fds();
  uint64_t end_at = uv_hrtime() + seconds * UINT64_C(1000000000);
  long round = 0;
  for (; round < 2 * WARM_UP || uv_hrtime() < end_at; round++) {
    if (round == WARM_UP)
      first = faults_live_now();
    round_of_all();
    if (round >= WARM_UP)
      compare_rounds(&first, fds, round);
    usleep(100000); /* others want to work, too */
  }
  printf("%ld rounds, %ld connections, %ld opened, %ld answers\n", round,
         soak.ended, soak.opened, soak.answered);
  assert_int_equal(soak.ended, round * CLIENTS);
  assert_true(soak.opened > soak.ended / 2);
  assert_true(soak.answered > soak.opened);
}

static void test_soak(void **state) {
  faults_live before = faults_live_now();
  (void)state;
  fixture_init(&soak.fx);
  serve();
  rounds();
  nws_server_stop(soak.plain, NWS_CLOSE_GOING_AWAY);
  nws_server_stop(soak.secure, NWS_CLOSE_GOING_AWAY);
  step_until(&soak.fx, soak.servers_stopped == 2);
  fixture_end(&soak.fx);
  nws_deflate_free(&deflate);
  faults_live after = faults_live_now();
  assert_int_equal(after.blocks[FAULTS_OURS], before.blocks[FAULTS_OURS]);
  assert_int_equal(after.blocks[FAULTS_UV], before.blocks[FAULTS_UV]);
}

static int set_up(void **state) {
  cert_plan plan = {.name = "Test root", .is_root = 1};
  cert_plan server = {
      .name = "server", .names = "IP:127.0.0.1", .issuer = &root, .serial = 1};
  cert_make(&root, &plan);
  cert_make(&own, &server);
  server_tls = cert_tls(&own, NULL, NULL);
  client_tls = cert_tls(NULL, &root, NULL);
  for (size_t i = 0; i < DATA_MAX; i++)
    data[i] = i < DATA_MAX / 2 ? (uint8_t)draw(256) : (uint8_t)(i / 100);
  return fds_remember(state);
}

static int tear_down(void **state) {
  nws_tls_drop(server_tls);
  nws_tls_drop(client_tls);
  cert_free(&root);
  cert_free(&own);
  return fds_compare(state);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_soak)};
  faults_install();
  signal(SIGPIPE, SIG_DFL);
  if (argc > 1)
    seconds = (unsigned)strtoul(argv[1], NULL, 10);
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
