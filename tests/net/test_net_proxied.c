/* test_net_proxied.c - connections that a proxy passes on with a header of the
 * PROXY protocol, in front of HTTP and of TLS.
 */
#include "net_fixture.h"

#ifdef NWS_TEST_TLS
#include "tls_certs.h"
#endif

static struct {
  int calls, error;
  char address[64];
} told;

static void note_trouble(nws_server *server, const nws_trouble *what,
                         void *user) {
  (void)server;
  (void)user;
  told.calls++;
  told.error = what->error;
  copy_text(told.address, sizeof(told.address), what->address,
            strlen(what->address));
}

static char client[64];

static void note_client(nws_peer *peer) {
  note_open(peer);
  assert_int_equal(nws_peer_address(peer, client, sizeof(client)), NWS_OK);
}

static void prepare(fixture *fx, nws_tls *tls) {
  nws_listener_options options = {
      .size = sizeof(options), .proxy_header = 1, .tls = tls};
  nws_listener *listener;
  memset(&told, 0, sizeof(told));
  client[0] = '\0';
  fixture_init(fx);
  fx->server_handler.open = note_client;
  fx->options.trouble = note_trouble;
  assert_int_equal(nws_listener_open("127.0.0.1:0", &options, &listener),
                   NWS_OK);
  fx->options.listeners = &listener;
  fx->options.listener_count = 1;
  fixture_serve(fx);
  nws_listener_drop(listener);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_LEN 12

typedef struct header {
  const char *bytes;
  size_t len;
  const char *from; /* NULL: as TCP has it; "": refused */
} header;

#define TEXT(text, from)                                                       \
  { text, sizeof(text) - 1, from }

static const header headers[] = {
    TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n", "192.0.2.7:4711"),
    TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
         "255.255.255.255:65535"),
    TEXT("PROXY TCP6 2001:db8::7 ::1 1 443\r\n", "[2001:db8::7]:1"),
    TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
    TEXT("PROXY UNKNOWN\r\n", NULL),
    TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         NULL),
    TEXT(SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01"
                   "\x12\x67\x01\xbb",
         "192.0.2.7:4711"),
    TEXT(SIGNATURE "\x21\x21\x00\x24"
                   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
                   "\x00\x01\x01\xbb",
         "[2001:db8::7]:1"),
    /* with extras (2.2.7) behind the addresses */
    TEXT(SIGNATURE "\x21\x11\x00\x12\xc0\x00\x02\x07\xc6\x33\x64\x01"
                   "\x12\x67\x01\xbb\x04\x00\x03"
                   "abc",
         "192.0.2.7:4711"),
    TEXT(SIGNATURE "\x20\x00\x00\x00", NULL), /* LOCAL */
    TEXT(SIGNATURE "\x20\x11\x00\x02zz", NULL),
    TEXT(SIGNATURE "\x21\x00\x00\x00", NULL),  /* AF_UNSPEC */
    TEXT(SIGNATURE "\x21\x31\x00\x01z", NULL), /* AF_UNIX */

    TEXT("GET / HTTP/1.1\r\n", ""),
    TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\n", ""),
    TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n", ""),
    TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 \r\n", ""),
    TEXT("PROXY TCP4  192.0.2.7 198.51.100.1 4711 443\r\n", ""),
    TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n", ""),
    TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 04711 443\r\n", ""),
    TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n", ""),
    TEXT("PROXY TCP4 192.0.2.7 x 1 443\r\n", ""),
    TEXT("PROXY TCP4 192.0.2.7\0 198.51.100.1 1 443\r\n", ""),
    TEXT("PROXY TCP4 192.0.2.7 198.51.100.1\0x 1 443\r\n", ""),
    TEXT("PROXY TCP6 fe80::1%lo ::1 1 443\r\n", ""),
    TEXT("PROXY TCP4 ::1 ::1 1 443\r\n", ""),
    TEXT("PROXY TCP6 192.0.2.7 198.51.100.1 1 443\r\n", ""),
    TEXT("PROXY UDP4 192.0.2.7 198.51.100.1 1 443\r\n", ""),
    TEXT("PROXY \r\n", ""), TEXT("PROXY\r\n", ""), TEXT("PROXZ TCP4", ""),
    TEXT("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
         ""),                               /* 108 */
    TEXT(SIGNATURE "\x11\x11\x00\x0c", ""), /* version 1 in binary */
    TEXT(SIGNATURE "\x22\x11\x00\x0c", ""), /* command 2 */
    TEXT(SIGNATURE "\x21\x11\x00\x0bzzzzzzzzzzz", ""),
    TEXT(SIGNATURE "\x21\x21\x00\x0czzzzzzzzzzzz", ""),
    TEXT(SIGNATURE "\x21\x11\x10\x00", ""), /* too many extras */
};

static void name_of(const raw *r, char *out, size_t cap) {
  struct sockaddr_in at;
  socklen_t len = sizeof(at);
  assert_int_equal(getsockname(r->fd, (struct sockaddr *)&at, &len), 0);
  snprintf(out, cap, "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
}

/* Sends a header and what follows in three parts, cut at `cut` and at the
 * header's end, with time to look at each. */
static void send_parts(fixture *fx, raw *r, const header *h, size_t cut) {
  raw_send(fx, r, h->bytes, cut);
  step(fx);
  step(fx);
  raw_send(fx, r, h->bytes + cut, h->len - cut);
}

static void expect_open(fixture *fx, const header *h, size_t cut) {
  int opens = fx->s.opens, closes = fx->s.closes;
  char name[64];
  raw r;
  raw_connect(&r, fx);
  name_of(&r, name, sizeof(name));
  send_parts(fx, &r, h, cut);
  raw_send(fx, &r, raw_request, RAW_REQUEST_LEN);
  raw_until(fx, &r, raw_head(&r) > 0 && fx->s.opens > opens);
  assert_int_equal(memcmp(r.data, "HTTP/1.1 101 ", 13), 0);
  assert_string_equal(client, h->from != NULL ? h->from : name);
  raw_free(&r);
  step_until(fx, fx->s.closes > closes);
}

static void expect_refusal(fixture *fx, const header *h) {
  int calls = told.calls;
  raw r;
  raw_connect(&r, fx);
  raw_send(fx, &r, h->bytes, h->len);
  raw_until(fx, &r, r.ended || r.error != 0);
  assert_int_equal(r.len, 0);
  raw_free(&r);
  step_until(fx, told.calls > calls);
  if (told.error != NWS_ERROR_PROXY_HEADER)
    fail_msg("'%s' was taken: %d", h->bytes, told.error);
  step_until(fx, nws_server_peers(fx->server) == 0);
}

static void test_headers(void **state) {
  fixture fx;
  (void)state;
  prepare(&fx, NULL);
  for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
    const header *h = &headers[i];
    if (h->from != NULL && h->from[0] == '\0')
      expect_refusal(&fx, h);
    else
      expect_open(&fx, h, h->len);
  }
  assert_int_equal(fx.s.opens, 13);
  fixture_end(&fx);
}

/* The header may come in any pieces. */
static void test_splits(void **state) {
  fixture fx;
  (void)state;
  prepare(&fx, NULL);
  for (size_t cut = 1; cut < headers[0].len; cut++)
    expect_open(&fx, &headers[0], cut);
  for (size_t cut = 1; cut < headers[8].len; cut++)
    expect_open(&fx, &headers[8], cut);
  fixture_end(&fx);
}

/* Whoever says nothing, or stops in the middle, is not waited for. */
static void test_silence(void **state) {
  fixture fx;
  raw r;
  (void)state;
  memset(&r, 0, sizeof(r));
  prepare(&fx, NULL);
  nws_server_stop(fx.server, NWS_CLOSE_GOING_AWAY);
  step_until(&fx, fx.stops == 1);
  fixture_end(&fx);

  prepare(&fx, NULL);
  raw_connect(&r, &fx);
  raw_send(&fx, &r, "PROXY", 5);
  step_until(&fx, nws_server_peers(fx.server) == 1);
  step(&fx);
  shutdown(r.fd, SHUT_WR);
  step_until(&fx, told.calls == 1);
  assert_int_equal(told.error, NWS_ERROR_HTTP_EOF);
  raw_free(&r);
  fixture_end(&fx);
}

static void test_timeout(void **state) {
  nws_listener_options options = {.size = sizeof(options), .proxy_header = 1};
  nws_listener *listener;
  fixture fx;
  raw r;
  (void)state;
  memset(&told, 0, sizeof(told));
  fixture_init(&fx);
  assert_int_equal(nws_listener_open("127.0.0.1:0", &options, &listener),
                   NWS_OK);
  fx.options.trouble = note_trouble;
  fx.options.limits.handshake_timeout_ms = 20;
  fx.options.listeners = &listener;
  fx.options.listener_count = 1;
  fixture_serve(&fx);
  nws_listener_drop(listener);
  raw_connect(&r, &fx);
  raw_send(&fx, &r, "PROXY TCP4", 10);
  raw_until(&fx, &r, r.ended || r.error != 0);
  step_until(&fx, told.calls == 1);
  assert_int_equal(told.error, NWS_ERROR_HANDSHAKE_TIMEOUT);
  raw_free(&r);
  /* Stopping does not wait for them either. */
  fx.options.limits.handshake_timeout_ms = 0;
  raw_connect(&r, &fx);
  step_until(&fx, nws_server_peers(fx.server) == 1);
  nws_server_stop(fx.server, NWS_CLOSE_GOING_AWAY);
  step_until(&fx, fx.stops == 1);
  raw_free(&r);
  fixture_end(&fx);
}

#ifdef NWS_TEST_TLS
/* What comes behind the header in the same packet is TLS's to read. */
static void test_in_front_of_tls(void **state) {
  cert_plan plan = {.name = "server", .names = "DNS:localhost"};
  const header *h = &headers[0];
  cert own;
  fixture fx;
  raw r;
  (void)state;
  cert_make(&own, &plan);
  nws_tls *tls = cert_tls(&own, NULL, NULL);
  prepare(&fx, tls);
  nws_tls_drop(tls);
  raw_connect(&r, &fx);

  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL *ssl = SSL_new(ctx);
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  char hello[4096];
  SSL_set_bio(ssl, in, out);
  assert_int_equal(SSL_connect(ssl), -1);
  memcpy(hello, h->bytes, h->len);
  int len = BIO_read(out, hello + h->len, (int)(sizeof(hello) - h->len));
  assert_true(len > 0);
  raw_send(&fx, &r, hello, h->len + (size_t)len);

  SSL_write(ssl, raw_request, 0);
  for (int i = 0; i < 4000 && fx.s.opens == 0; i++) {
    static int said;
    raw_read(&r);
    if (r.len > 0)
      BIO_write(in, r.data, (int)r.len);
    r.len = 0;
    if (!SSL_is_init_finished(ssl))
      SSL_connect(ssl);
    else if (!said++)
      assert_true(SSL_write(ssl, raw_request, RAW_REQUEST_LEN) > 0);
    while ((len = BIO_read(out, hello, sizeof(hello))) > 0)
      raw_send(&fx, &r, hello, (size_t)len);
    step(&fx);
  }
  assert_int_equal(fx.s.opens, 1);
  assert_string_equal(client, h->from);
  SSL_free(ssl);
  SSL_CTX_free(ctx);
  raw_free(&r);
  cert_free(&own);
  fixture_end(&fx);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_headers),         cmocka_unit_test(test_splits),
      cmocka_unit_test(test_silence),         cmocka_unit_test(test_timeout),
#ifdef NWS_TEST_TLS
      cmocka_unit_test(test_in_front_of_tls),
#endif
  };
  return cmocka_run_group_tests(tests, fds_remember, fds_compare);
}
