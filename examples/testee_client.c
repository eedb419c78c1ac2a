/* testee_client.c - an echo client for conformance suites.
 *
 *     testee_client URL [--agent NAME]
 *
 * Speaks the protocol that test servers for WebSocket clients have in common:
 * URL/getCaseCount sends one message with the number of cases; each
 * URL/runCase?case=N&agent=NAME is a connection on which everything is to be
 * sent back until the server is done; URL/updateReports?agent=NAME ends the
 * run. One connection follows the other: each `closed` callback starts the
 * next.
 *
 * A connection that ends in a protocol error is what many cases are about, so
 * it is no failure here: the test server judges. Exits with 1 when the run
 * could not be carried through.
 *
 * permessage-deflate is offered on each connection; with a test server that
 * takes it the smallest messages are compressed, too.
 */
#include <nws/net.h>
#include <nws/deflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_LEN 2048

typedef struct run {
  nws_loop *loop;
  nws_client_offer offer;
  const char *url;
  int url_len;     /* without slashes at its end */
  char agent[384]; /* percent-encoded */
  unsigned long count;
  unsigned long current; /* 0: asking for the count; count + 1: reports */
  int failed;
} run;

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  run *r = nws_peer_user(peer);
  char text[16] = "";
  if (r->current > 0) {
    if (nws_peer_send(peer, opcode, data, len) != NWS_OK)
      nws_peer_abort(peer);
    return;
  }
  if (len < sizeof(text))
    memcpy(text, data, len);
  r->count = strtoul(text, NULL, 10);
}

static void fail(run *r, const char *what, int error) {
  fprintf(stderr, "testee_client: %s (%s)\n", what, nws_net_text(error));
  r->failed = 1;
}

static void connect_next(run *r);

static void on_closed(nws_peer *peer, const nws_closed *how) {
  run *r = nws_peer_user(peer);
  if (!how->opened) {
    fail(r, "cannot connect", how->error);
    return;
  }
  if (r->current == 0 && r->count == 0) {
    fail(r, "was told no number of cases", how->error);
    return;
  }
  if (r->current > r->count)
    return;
  r->current++;
  connect_next(r);
}

static void compose_url(const run *r, char *url, size_t cap) {
  if (r->current == 0)
    snprintf(url, cap, "%.*s/getCaseCount", r->url_len, r->url);
  else if (r->current <= r->count)
    snprintf(url, cap, "%.*s/runCase?case=%lu&agent=%s", r->url_len, r->url,
             r->current, r->agent);
  else
    snprintf(url, cap, "%.*s/updateReports?agent=%s", r->url_len, r->url,
             r->agent);
}

static void connect_next(run *r) {
  static const nws_handler handler = {
      .size = sizeof(handler), .message = on_message, .closed = on_closed};
  /* A suite may exceed any limit, and expects nothing unasked. */
  static const nws_conn_config conn = {.size = sizeof(conn),
                                       .max_message = NWS_UNLIMITED,
                                       .max_fragments = NWS_UNLIMITED,
                                       .max_controls = NWS_UNLIMITED,
                                       .ping_interval_ms = UINT32_MAX};
  char url[PATH_MAX_LEN];
  compose_url(r, url, sizeof(url));
  nws_client_options options = {.size = sizeof(options),
                                .handler = &handler,
                                .user = r,
                                .url = url,
                                .offer = &r->offer,
                                .conn = &conn,
                                .limits.max_queue = SIZE_MAX};
  int rc = nws_client_connect(r->loop, &options, NULL);
  if (rc != NWS_OK)
    fail(r, url, rc);
}

/* Percent-encodes all but the unreserved characters (RFC 3986 2.3). */
static int encode(const char *text, char *out, size_t cap) {
  static const char hex[] = "0123456789ABCDEF";
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz0123456789-._~";
  size_t len = 0;
  for (; *text != '\0'; text++) {
    unsigned char byte = (unsigned char)*text;
    if (len + 4 > cap)
      return 0;
    if (strchr(plain, byte) != NULL) {
      out[len++] = *text;
      continue;
    }
    out[len++] = '%';
    out[len++] = hex[byte >> 4];
    out[len++] = hex[byte & 15];
  }
  out[len] = '\0';
  return 1;
}

static int read_arguments(int argc, char **argv, run *r) {
  const char *agent = "noio_ws";
  if (argc == 4 && strcmp(argv[2], "--agent") == 0)
    agent = argv[3];
  else if (argc != 2)
    return 0;
  size_t len = strlen(argv[1]);
  while (len > 0 && argv[1][len - 1] == '/')
    len--;
  r->url = argv[1];
  r->url_len = (int)len;
  return len < 1024 && encode(agent, r->agent, sizeof(r->agent));
}

int main(int argc, char **argv) {
  nws_deflate_config how = {.size = sizeof(how), .min_size = 1};
  nws_deflate deflate;
  const nws_extension *extensions[] = {&deflate.base};
  run r = {.offer = {.size = sizeof(r.offer),
                     .extensions = extensions,
                     .extension_count = 1}};
  if (!read_arguments(argc, argv, &r)) {
    fprintf(stderr, "usage: testee_client URL [--agent NAME]\n");
    return 1;
  }
  int rc = nws_deflate_init(&deflate, &how);
  if (rc == NWS_OK)
    rc = nws_loop_new(NULL, &r.loop);
  if (rc == NWS_OK) {
    connect_next(&r);
    nws_loop_run(r.loop);
    nws_loop_free(r.loop);
  } else {
    fail(&r, "cannot start", rc);
  }
  nws_deflate_free(&deflate);
  if (!r.failed)
    printf("%lu cases\n", r.count);
  return r.failed;
}
