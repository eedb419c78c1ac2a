/* talk.h - one conversation between our own server and client, for tests that
 * let something fail on the way: the client says something short and something
 * long, the server sends both back, the client compares and closes.
 *
 * Allocates nothing itself, so that failing allocations are the library's.
 */
#ifndef NWS_TESTS_TALK_H
#define NWS_TESTS_TALK_H

#include "faults.h"
#include "net_fixture.h"
#include "tls_certs.h"

enum { TALK_MAX = 400 * 1024 };

typedef struct talk {
  fixture fx;
  int started;   /* the server listens */
  int connected; /* nws_client_connect() has succeeded */
  int right;     /* answers that were as they should be */
  int wrong;     /* and others */
  int troubles;  /* connections that the handler never heard of */
  int accept_troubles;
  int trouble_error;
  size_t len;       /* of the long message */
  uv_loop_t *uv;    /* NULL: the library's own */
  const char *host; /* that the client looks for */
} talk;

static uint8_t talk_data[TALK_MAX];
static nws_tls *talk_server_tls, *talk_client_tls;
static cert talk_root, talk_cert;

static inline talk *talk_of(nws_peer *peer) {
  side *s = nws_peer_user(peer);
  size_t at = nws_peer_server(peer) == NULL ? offsetof(fixture, c)
                                            : offsetof(fixture, s);
  return (talk *)((char *)s - at - offsetof(talk, fx));
}

static inline void talk_trouble(nws_server *server, const nws_trouble *what,
                                void *user) {
  fixture *fx = (fixture *)((char *)user - offsetof(fixture, s));
  talk *t = (talk *)((char *)fx - offsetof(talk, fx));
  (void)server;
  t->trouble_error = what->error;
  if (what->address == NULL)
    t->accept_troubles++;
  else
    t->troubles++;
}

/* What cannot be said for lack of memory must not be left out silently. */
static inline void talk_say(nws_peer *peer, unsigned opcode, const void *data,
                            size_t len) {
  if (nws_peer_send(peer, opcode, data, len) == NWS_ERROR_MEMORY)
    nws_peer_abort(peer);
}

static inline void talk_open(nws_peer *peer) {
  note_open(peer);
  if (nws_peer_server(peer) != NULL)
    return;
  talk_say(peer, NWS_OPCODE_TEXT, "short", 5);
  talk_say(peer, NWS_OPCODE_BINARY, talk_data, talk_of(peer)->len);
}

static inline void talk_echo(nws_peer *peer, unsigned opcode, uint8_t *data,
                             size_t len) {
  note_message(peer, opcode, data, len);
  talk_say(peer, opcode, data, len);
}

static inline void talk_answer(nws_peer *peer, unsigned opcode, uint8_t *data,
                               size_t len) {
  talk *t = talk_of(peer);
  side *c = &t->fx.c;
  note_message(peer, opcode, data, len);
  int is_short = c->messages == 1 && len == 5 && memcmp(data, "short", 5) == 0;
  int is_long =
      c->messages == 2 && len == t->len && memcmp(data, talk_data, len) == 0;
  t->right += is_short || is_long;
  t->wrong += !is_short && !is_long;
  if (c->messages == 2) {
    if (nws_peer_close(peer, NWS_CLOSE_NORMAL, nws_str_of("done")) ==
        NWS_ERROR_MEMORY)
      nws_peer_abort(peer);
  }
}

static inline void talk_prepare(talk *t, size_t len) {
  fixture *fx = &t->fx;
  memset(t, 0, sizeof(*t));
  t->len = len;
  t->host = "127.0.0.1";
  fx->server_handler = (nws_handler){.size = sizeof(nws_handler),
                                     .open = talk_open,
                                     .message = talk_echo,
                                     .control = note_control,
                                     .closed = note_closed};
  fx->client_handler = fx->server_handler;
  fx->client_handler.message = talk_answer;
  fx->conn.size = fx->client_conn.size = sizeof(fx->conn);
  fx->options = (nws_server_options){.size = sizeof(fx->options),
                                     .handler = &fx->server_handler,
                                     .user = &fx->s,
                                     .conn = &fx->conn,
                                     .tls = talk_server_tls,
                                     .trouble = talk_trouble,
                                     .stopped = note_stopped};
}

/* Nothing times out. */
static inline void talk_patiently(talk *t) {
  fixture *fx = &t->fx;
  fx->conn.ping_interval_ms = fx->conn.close_timeout_ms = UINT32_MAX;
  fx->client_conn = fx->conn;
  fx->options.limits.handshake_timeout_ms = UINT32_MAX;
  fx->client_limits = fx->options.limits;
}

/* Starts what can be started; returns the first error. */
static inline int talk_begin(talk *t) {
  fixture *fx = &t->fx;
  char url[64];
  nws_client_options client = {.size = sizeof(client),
                               .handler = &fx->client_handler,
                               .user = &fx->c,
                               .url = url,
                               .conn = &fx->client_conn,
                               .limits = fx->client_limits,
                               .tls = talk_client_tls};
  int rc = nws_loop_new(t->uv, &fx->loop);
  if (rc == NWS_OK)
    rc = nws_server_start(fx->loop, &fx->options, &fx->server);
  if (rc != NWS_OK)
    return rc;
  t->started = 1;
  snprintf(url, sizeof(url), "%s://%s:%u/",
           talk_client_tls != NULL ? "wss" : "ws", t->host,
           (unsigned)nws_server_port(fx->server));
  rc = nws_client_connect(fx->loop, &client, NULL);
  t->connected = rc == NWS_OK;
  return rc;
}

/* Goes on until both ends have been told. Where nothing moves any more, time is
 * put forward; where that does not help either, the test fails. */
static inline void talk_on(talk *t) {
  fixture *fx = &t->fx;
  long calls = 0;
  for (int idle = 0; fx->c.closes < t->connected ||
                     fx->s.closes + t->troubles < faults_accepted();
       idle++) {
    uv_run(nws_loop_uv(fx->loop), UV_RUN_NOWAIT);
    long more = faults_called(FAULTS_SENDMSG) + faults_called(FAULTS_RECV);
    if (more != calls)
      idle = 0;
    calls = more;
    if (idle > 50)
      usleep(200);
    if (idle > 100)
      faults_forward(20);
    if (idle > 10000)
      fail_msg("waited in vain: client %d, server %d of %d", fx->c.closes,
               fx->s.closes + t->troubles, faults_accepted());
  }
}

/* Stops all, and checks what must be true however it went. */
static inline void talk_end(talk *t) {
  fixture *fx = &t->fx;
  if (t->started)
    fixture_end(fx);
  else if (fx->loop != NULL)
    assert_int_equal((nws_loop_run(fx->loop), nws_loop_free(fx->loop)), NWS_OK);
  if (t->uv != NULL)
    uv_run(t->uv, UV_RUN_DEFAULT); /* until the library has left it */
  assert_int_equal(fx->stops, t->started);
  assert_int_equal(fx->c.closes, t->connected);
  assert_int_equal(fx->s.closes + t->troubles, faults_accepted());
  assert_int_equal(t->wrong, 0);
}

static inline int talk_clean(const talk *t) {
  return t->right == 2 && t->fx.c.error == NWS_OK && t->fx.c.code == 1000 &&
         t->fx.s.error == NWS_OK && t->fx.s.code == 1000;
}

/* --- Certificates --- */

static inline void talk_certify(void) {
  cert_plan plan = {.name = "Test root", .is_root = 1};
  cert_plan server = {.name = "server",
                      .names = "IP:127.0.0.1,DNS:localhost",
                      .issuer = &talk_root,
                      .serial = 1};
  cert_make(&talk_root, &plan);
  cert_make(&talk_cert, &server);
  talk_server_tls = cert_tls(&talk_cert, NULL, NULL);
  talk_client_tls = cert_tls(NULL, &talk_root, NULL);
}

static inline void talk_uncertify(void) {
  nws_tls_drop(talk_server_tls);
  nws_tls_drop(talk_client_tls);
  cert_free(&talk_root);
  cert_free(&talk_cert);
}

static inline void talk_fill(void) {
  uint32_t seed = 1;
  for (size_t i = 0; i < TALK_MAX; i++) {
    seed = seed * 1664525u + 1013904223u;
    talk_data[i] = (uint8_t)(seed >> 24);
  }
}

/* --- Leaks --- */

/* `openssl_blocks`: how many OpenSSL may have lost by itself. */
static inline void talk_compare(const faults_live *before, int fds,
                                const char *what, long at,
                                long openssl_blocks) {
  faults_live after = faults_live_now();
  for (int i = 0; i < FAULTS_OWNERS; i++) {
    int openssl = i == FAULTS_OPENSSL;
    long blocks = after.blocks[i] - before->blocks[i];
    long bytes = after.bytes[i] - before->bytes[i];
    if (labs(blocks) > (openssl ? openssl_blocks : 0) ||
        labs(bytes) > (openssl ? 4096 : 0))
      fail_msg("%s, %ld: %ld blocks and %ld bytes more of owner %d", what, at,
               blocks, bytes, i);
  }
  if (count_fds() != fds)
    fail_msg("%s, %ld: %d descriptors more", what, at, count_fds() - fds);
}

#endif
