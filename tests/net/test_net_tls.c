/* test_net_tls.c - TLS: who is trusted, what is said of who is not, and that
 * everything works as it does without.
 */
#include "tls_raw.h"

static cert root, other_root, server_cert, client_cert;

static int make_certs(void **state) {
  cert_plan roots = {.name = "Test root", .is_root = 1};
  cert_plan server = {.name = "server",
                      .names = "DNS:localhost,IP:127.0.0.1",
                      .issuer = &root,
                      .serial = 1};
  cert_plan client = {.name = "client 7", .issuer = &root, .serial = 2};
  cert_make(&root, &roots);
  roots.name = "Other root";
  cert_make(&other_root, &roots);
  cert_make(&server_cert, &server);
  cert_make(&client_cert, &client);
  return fds_remember(state);
}

static int free_certs(void **state) {
  cert_free(&root);
  cert_free(&other_root);
  cert_free(&server_cert);
  cert_free(&client_cert);
  return fds_compare(state);
}

static char last_detail[256];
static nws_tls_info last_info; /* its texts are gone, but for the pin */
static char last_subject[256];

static void note_detail(nws_peer *peer, const nws_closed *how) {
  copy_text(last_detail, sizeof(last_detail), how->detail, strlen(how->detail));
  memset(&last_info, 0, sizeof(last_info));
  last_subject[0] = '\0';
  if (nws_peer_tls(peer, &last_info) == NWS_OK)
    copy_text(last_subject, sizeof(last_subject), last_info.subject,
              strlen(last_info.subject));
  note_closed(peer, how);
}

static struct {
  int calls, error;
  char detail[256];
} told;

static void note_trouble(nws_server *server, const nws_trouble *what,
                         void *user) {
  (void)server;
  (void)user;
  told.calls++;
  told.error = what->error;
  copy_text(told.detail, sizeof(told.detail), what->detail,
            strlen(what->detail));
}

static void prepare(fixture *fx, nws_tls *tls) {
  memset(&told, 0, sizeof(told));
  last_detail[0] = '\0';
  fixture_init(fx);
  fx->client_handler.closed = note_detail;
  fx->options.trouble = note_trouble;
  fx->options.tls = tls;
  fixture_serve(fx);
  nws_tls_drop(tls);
}

static nws_peer *connect_as(fixture *fx, const char *host, nws_tls *tls) {
  nws_peer *peer = NULL;
  char url[96];
  snprintf(url, sizeof(url), "wss://%s:%u/chat", host,
           (unsigned)nws_server_port(fx->server));
  nws_client_options options = {.size = sizeof(options),
                                .handler = &fx->client_handler,
                                .user = &fx->c,
                                .url = url,
                                .conn = &fx->client_conn,
                                .tls = tls};
  assert_int_equal(nws_client_connect(fx->loop, &options, &peer), NWS_OK);
  nws_tls_drop(tls);
  fx->c.peer = peer;
  return peer;
}

/* A client that must not get through, and why. */
static void refuse(fixture *fx, const char *host, nws_tls *tls, int error,
                   const char *detail) {
  int closes = fx->c.closes;
  connect_as(fx, host, tls);
  step_until(fx, fx->c.closes > closes);
  assert_int_equal(fx->c.error, error);
  assert_int_equal(fx->c.opened, 0);
  if (strstr(last_detail, detail) == NULL)
    fail_msg("'%s' does not say '%s'", last_detail, detail);
  step_until(fx, nws_server_peers(fx->server) == 0);
}

/* A client that must get through. */
static void admit(fixture *fx, const char *host, nws_tls *tls) {
  int opens = fx->c.opens;
  int closes = fx->c.closes;
  int server_closes = fx->s.closes;
  nws_peer *peer = connect_as(fx, host, tls);
  step_until(fx, fx->c.opens > opens || fx->c.closes > closes);
  if (fx->c.opens == opens)
    fail_msg("refused: %s (%s)", nws_net_text(fx->c.error), last_detail);
  nws_str none = {NULL, 0};
  assert_int_equal(nws_peer_close(peer, NWS_CLOSE_NORMAL, none), NWS_OK);
  step_until(fx, fx->c.closes > closes && fx->s.closes > server_closes);
  assert_int_equal(fx->c.error, NWS_OK);
  assert_int_equal(fx->s.error, NWS_OK);
}

/* Messages of all sizes, and the close, come through in both directions. */
static void test_echo(void **state) {
  static const size_t sizes[] = {0,     1,     125,    126,    16383,  16384,
                                 16385, 65535, 300000, 900000, 5000000};
  fixture fx;
  (void)state;
  prepare(&fx, cert_tls(&server_cert, NULL, NULL));
  nws_peer *peer = connect_as(&fx, "localhost", cert_tls(NULL, &root, NULL));
  step_until(&fx, fx.c.opens == 1);
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    int messages = fx.c.messages;
    uint8_t *data = malloc(sizes[i] + 1);
    memset(data, 'x', sizes[i] + 1);
    assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, data, sizes[i]),
                     NWS_OK);
    free(data);
    step_until(&fx, fx.c.messages > messages);
    assert_int_equal(fx.c.last_len, sizes[i]);
  }
  nws_str bye = nws_str_of("bye");
  assert_int_equal(nws_peer_close(peer, 1000, bye), NWS_OK);
  step_until(&fx, fx.c.closes == 1 && fx.s.closes == 1);
  assert_int_equal(fx.c.error, NWS_OK);
  assert_int_equal(fx.s.error, NWS_OK);
  assert_int_equal(fx.s.code, 1000);
  assert_string_equal(fx.s.reason, "bye");
  assert_int_equal(told.calls, 0);
  fixture_end(&fx);
}

/* Prepared messages are encrypted from where they lie, whatever the socket
 * takes of them. */
static uint8_t byte_at(size_t i) {
  return (uint8_t)(i * 2654435761u >> 13);
}

static void check_bytes(nws_peer *peer, unsigned opcode, uint8_t *data,
                        size_t len) {
  note_message(peer, opcode, data, len);
  for (size_t i = 0; i < len; i++) {
    if (data[i] != byte_at(i))
      fail_msg("byte %zu of %zu", i, len);
  }
}

static void *resize(void *user, void *ptr, size_t old_len, size_t new_len) {
  (void)user;
  (void)old_len;
  if (new_len > 0)
    return realloc(ptr, new_len);
  free(ptr);
  return NULL;
}

static void test_prepared(void **state) {
  enum { LEN = 3000000, TIMES = 4 };
  static const nws_allocator heap = {resize, NULL};
  fixture fx;
  nws_prepared *message;
  (void)state;
  prepare(&fx, cert_tls(&server_cert, NULL, NULL));
  fx.client_handler.message = check_bytes;
  connect_as(&fx, "localhost", cert_tls(NULL, &root, NULL));
  step_until(&fx, fx.c.opens == 1 && fx.s.opens == 1);
  uint8_t *data = malloc(LEN);
  for (size_t i = 0; i < LEN; i++)
    data[i] = byte_at(i);
  assert_int_equal(
      nws_prepared_make(&heap, NWS_OPCODE_BINARY, data, LEN, &message), NWS_OK);
  for (int i = 0; i < TIMES; i++) {
    assert_int_equal(nws_peer_send_prepared(fx.s.peer, message), NWS_OK);
    assert_int_equal(nws_peer_send(fx.s.peer, NWS_OPCODE_BINARY, data, 100),
                     NWS_OK);
  }
  free(data);
  assert_true(message->refs > 1);
  step_until(&fx, fx.c.messages == 2 * TIMES);
  assert_int_equal(fx.c.bytes, TIMES * (LEN + 100));
  assert_int_equal(message->refs, 1);
  nws_prepared_drop(message);
  fixture_end(&fx);
}

/* Verification is on unless somebody turns it off. */
static void test_trust(void **state) {
  fixture fx;
  nws_tls_options insecure = {.size = sizeof(insecure), .insecure = 1};
  (void)state;
  prepare(&fx, cert_tls(&server_cert, NULL, NULL));
  admit(&fx, "localhost", cert_tls(NULL, &root, NULL));
  admit(&fx, "127.0.0.1", cert_tls(NULL, &root, NULL));
  assert_int_equal(told.calls, 0);
  refuse(&fx, "localhost", NULL, NWS_ERROR_TLS_CERTIFICATE,
         "unable to get local issuer certificate");
  assert_int_equal(told.error, NWS_ERROR_TLS);
  assert_non_null(strstr(told.detail, "unknown ca"));
  refuse(&fx, "localhost", cert_tls(NULL, &other_root, NULL),
         NWS_ERROR_TLS_CERTIFICATE, "issuer");
  admit(&fx, "localhost", cert_tls(NULL, NULL, &insecure));
  fixture_end(&fx);
}

/* A client can tell which certificate it has refused. */
static void refused_is(const cert *theirs, const char *subject) {
  char pin[NWS_TLS_PIN];
  nws_tls *tls = cert_tls(theirs, NULL, NULL);
  assert_int_equal(nws_tls_pin(tls, pin), NWS_OK);
  nws_tls_drop(tls);
  assert_string_equal(last_info.pin, pin);
  assert_string_equal(last_subject, subject);
  assert_int_equal(last_info.verified, 0);
}

static void test_refused_is_known(void **state) {
  fixture fx;
  nws_tls_options wrong = {.size = sizeof(wrong),
                           .pins =
                               "sha256//"
                               "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="};
  (void)state;
  prepare(&fx, cert_tls(&server_cert, NULL, NULL));
  refuse(&fx, "localhost", NULL, NWS_ERROR_TLS_CERTIFICATE, "issuer");
  refused_is(&server_cert, "CN=server");
  wrong.insecure = 1;
  refuse(&fx, "localhost", cert_tls(NULL, NULL, &wrong), NWS_ERROR_TLS_PIN,
         "it has sha256//");
  refused_is(&server_cert, "CN=server");
  fixture_end(&fx);
}

/* RFC 9525 2: a subject without names beside it is for nobody. */
static void test_subject_is_no_name(void **state) {
  cert_plan plan = {.name = "localhost", .issuer = &root};
  cert bare;
  fixture fx;
  (void)state;
  cert_make(&bare, &plan);
  prepare(&fx, cert_tls(&bare, NULL, NULL));
  refuse(&fx, "localhost", cert_tls(NULL, &root, NULL), NWS_ERROR_TLS_HOST,
         "hostname mismatch");
  refused_is(&bare, "CN=localhost");
  fixture_end(&fx);
  cert_free(&bare);
}

/* Names are judged before signatures: anybody can have written them. */
static void test_names_on_one_line(void **state) {
  cert_plan plan = {
      .name = "else", .names = "DNS:else.exampleXXforged", .issuer = &root};
  cert wrong;
  fixture fx;
  (void)state;
  cert_make(&wrong, &plan);
  int at = X509_get_ext_by_NID(wrong.x509, NID_subject_alt_name, -1);
  ASN1_OCTET_STRING *names =
      X509_EXTENSION_get_data(X509_get_ext(wrong.x509, at));
  unsigned char bytes[64];
  size_t len = (size_t)ASN1_STRING_length(names);
  assert_true(len < sizeof(bytes));
  memcpy(bytes, ASN1_STRING_get0_data(names), len);
  unsigned char *line = memchr(bytes, 'X', len);
  assert_non_null(line);
  memcpy(line, "\r\n", 2);
  ASN1_STRING_set(names, bytes, (int)len);
  X509_sign(wrong.x509, root.key, EVP_sha256());
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, wrong.x509);
  cert_text(bio, wrong.pem, sizeof(wrong.pem));
  prepare(&fx, cert_tls(&wrong, NULL, NULL));
  refuse(&fx, "localhost", cert_tls(NULL, &root, NULL), NWS_ERROR_TLS_HOST,
         "; it is for DNS:else.example??forged");
  fixture_end(&fx);
  cert_free(&wrong);
}

static void test_wrong_host(void **state) {
  cert_plan plan = {.name = "else",
                    .names = "DNS:else.example,IP:192.0.2.1",
                    .issuer = &root};
  cert wrong;
  fixture fx;
  (void)state;
  cert_make(&wrong, &plan);
  prepare(&fx, cert_tls(&wrong, NULL, NULL));
  refuse(&fx, "localhost", cert_tls(NULL, &root, NULL), NWS_ERROR_TLS_HOST,
         "hostname mismatch; it is for DNS:else.example, IP Address:192.0.2.1");
  refused_is(&wrong, "CN=else");
  refuse(&fx, "127.0.0.1", cert_tls(NULL, &root, NULL), NWS_ERROR_TLS_HOST,
         "IP address mismatch");
  fixture_end(&fx);
  cert_free(&wrong);
}

static void test_expired(void **state) {
  cert_plan plan = {
      .name = "old", .names = "DNS:localhost", .issuer = &root, .expired = 1};
  cert old;
  fixture fx;
  (void)state;
  cert_make(&old, &plan);
  prepare(&fx, cert_tls(&old, NULL, NULL));
  refuse(&fx, "localhost", cert_tls(NULL, &root, NULL),
         NWS_ERROR_TLS_CERTIFICATE, "certificate has expired");
  fixture_end(&fx);
  cert_free(&old);
}

static void test_revoked(void **state) {
  const char *file = "test_net_tls.crl";
  nws_tls_options options = {.size = sizeof(options), .crl_file = file};
  fixture fx;
  (void)state;
  prepare(&fx, cert_tls(&server_cert, NULL, NULL));
  cert_revoke(&root, &client_cert, file);
  admit(&fx, "localhost", cert_tls(NULL, &root, &options));
  cert_revoke(&root, &server_cert, file);
  refuse(&fx, "localhost", cert_tls(NULL, &root, &options),
         NWS_ERROR_TLS_CERTIFICATE, "certificate revoked");
  fixture_end(&fx);
  unlink(file);
}

/* A pin holds in addition to trust, and can stand for it. */
static void test_pins(void **state) {
  char pin[NWS_TLS_PIN], wrong[2 * NWS_TLS_PIN];
  fixture fx;
  nws_tls_options options = {.size = sizeof(options), .pins = pin};
  (void)state;
  nws_tls *tls = cert_tls(&server_cert, NULL, NULL);
  assert_int_equal(nws_tls_pin(tls, pin), NWS_OK);
  prepare(&fx, tls);
  admit(&fx, "localhost", cert_tls(NULL, &root, &options));
  options.insecure = 1;
  admit(&fx, "localhost", cert_tls(NULL, NULL, &options));
  tls = cert_tls(&client_cert, NULL, NULL);
  assert_int_equal(nws_tls_pin(tls, wrong), NWS_OK);
  nws_tls_drop(tls);
  options.pins = wrong;
  refuse(&fx, "localhost", cert_tls(NULL, NULL, &options), NWS_ERROR_TLS_PIN,
         pin);
  wrong[NWS_TLS_PIN - 1] = ';';
  memcpy(wrong + NWS_TLS_PIN, pin, NWS_TLS_PIN);
  admit(&fx, "localhost", cert_tls(NULL, NULL, &options));
  fixture_end(&fx);
}

static void note_client(nws_peer *peer) {
  nws_tls_info info;
  note_open(peer);
  assert_int_equal(nws_peer_tls(peer, &info), NWS_OK);
  assert_string_equal(info.version, "TLSv1.3");
  assert_string_equal(info.asked, "localhost");
  copy_text(told.detail, sizeof(told.detail), info.subject,
            strlen(info.subject));
  told.error = info.verified;
}

static void test_client_certificates(void **state) {
  nws_tls_options ask = {.size = sizeof(ask),
                         .clients = NWS_TLS_CLIENTS_REQUIRED};
  fixture fx;
  (void)state;
  prepare(&fx, cert_tls(&server_cert, &root, &ask));
  refuse(&fx, "localhost", cert_tls(NULL, &root, NULL), NWS_ERROR_TLS,
         "certificate required");
  assert_int_equal(told.error, NWS_ERROR_TLS);
  assert_non_null(strstr(told.detail, "peer did not return a certificate"));
  refuse(&fx, "localhost", cert_tls(&other_root, &root, NULL), NWS_ERROR_TLS,
         "unknown ca");
  fixture_end(&fx);

  for (unsigned clients = NWS_TLS_CLIENTS_ASKED;
       clients <= NWS_TLS_CLIENTS_REQUIRED; clients++) {
    ask.clients = (uint8_t)clients;
    fixture_init(&fx);
    fx.server_handler.open = note_client;
    fx.options.tls = cert_tls(&server_cert, &root, &ask);
    fixture_serve(&fx);
    nws_tls_drop(fx.options.tls);
    admit(&fx, "localhost", cert_tls(&client_cert, &root, NULL));
    assert_string_equal(told.detail, "CN=client 7");
    assert_int_equal(told.error, 1);
    if (clients == NWS_TLS_CLIENTS_ASKED) {
      admit(&fx, "localhost", cert_tls(NULL, &root, NULL));
      assert_string_equal(told.detail, "");
      assert_int_equal(told.error, 0);
    }
    fixture_end(&fx);
  }
}

/* The name that a client asks for picks the certificate. */
static void test_names(void **state) {
  cert_plan plans[] = {
      {.name = "a", .names = "DNS:a.example", .issuer = &root},
      {.name = "local", .names = "DNS:localhost", .issuer = &root},
      {.name = "number", .names = "IP:127.0.0.1", .issuer = &other_root}};
  nws_tls_identity identities[3];
  cert certs[3];
  fixture fx;
  nws_tls *tls;
  nws_tls_options options = {
      .size = sizeof(options), .identities = identities, .identity_count = 3};
  (void)state;
  memset(identities, 0, sizeof(identities));
  for (int i = 0; i < 3; i++) {
    cert_make(&certs[i], &plans[i]);
    identities[i].certificate = nws_str_of(certs[i].pem);
    identities[i].key = nws_str_of(certs[i].key_pem);
  }
  assert_int_equal(nws_tls_new(&options, &tls, NULL, 0), NWS_OK);
  prepare(&fx, tls);
  admit(&fx, "localhost", cert_tls(NULL, &root, NULL));
  /* An address is not sent: it gets the first. */
  refuse(&fx, "127.0.0.1", cert_tls(NULL, &root, NULL), NWS_ERROR_TLS_HOST,
         "IP address mismatch");
  fixture_end(&fx);
  for (int i = 0; i < 3; i++)
    cert_free(&certs[i]);
}

/* New certificates for those who come, the old for those who are there. */
static void test_reload(void **state) {
  cert_plan plan = {
      .name = "new", .names = "DNS:localhost", .issuer = &other_root};
  nws_tls_identity identity;
  nws_tls_options options = {
      .size = sizeof(options), .identities = &identity, .identity_count = 1};
  char why[NWS_TLS_WHY];
  cert fresh;
  fixture fx;
  (void)state;
  cert_make(&fresh, &plan);
  nws_tls *tls = cert_tls(&server_cert, NULL, NULL);
  fixture_init(&fx);
  fx.options.tls = tls;
  fixture_serve(&fx);
  nws_peer *old = connect_as(&fx, "localhost", cert_tls(NULL, &root, NULL));
  step_until(&fx, fx.c.opens == 1);

  memset(&identity, 0, sizeof(identity));
  identity.certificate_file = "/nonexistent.pem";
  assert_int_equal(nws_tls_reload(tls, &options, why, sizeof(why)),
                   NWS_ERROR_TLS_CONFIG);
  assert_string_equal(why, "/nonexistent.pem: No such file or directory");
  admit(&fx, "localhost", cert_tls(NULL, &root, NULL));

  identity.certificate_file = NULL;
  identity.certificate = nws_str_of(fresh.pem);
  identity.key = nws_str_of(fresh.key_pem);
  assert_int_equal(nws_tls_reload(tls, &options, why, sizeof(why)), NWS_OK);
  nws_tls_drop(tls);
  admit(&fx, "localhost", cert_tls(NULL, &other_root, NULL));
  assert_int_equal(nws_peer_send(old, NWS_OPCODE_TEXT, "still", 5), NWS_OK);
  step_until(&fx, fx.c.messages == 1);
  assert_string_equal(fx.c.last, "still");
  fixture_end(&fx);
  cert_free(&fresh);
}

/* What is wrong with what was given is said in one line. */
static void test_mistakes(void **state) {
  nws_tls_identity identity;
  nws_tls_options options = {
      .size = sizeof(options), .identities = &identity, .identity_count = 1};
  char why[NWS_TLS_WHY];
  nws_tls *tls;
  fixture fx;
  (void)state;
  memset(&identity, 0, sizeof(identity));
#define MISTAKE(text)                                                          \
  assert_int_equal(nws_tls_new(&options, &tls, why, sizeof(why)),              \
                   NWS_ERROR_TLS_CONFIG);                                      \
  assert_null(tls);                                                            \
  if (strstr(why, text) == NULL)                                               \
  fail_msg("'%s' does not say '%s'", why, text)
  MISTAKE("an identity without a certificate");
  identity.certificate = nws_str_of("not PEM");
  MISTAKE("the certificate in memory: no certificate in PEM");
  identity.certificate = nws_str_of(server_cert.pem);
  MISTAKE("the key in memory: no private key in PEM");
  identity.key = nws_str_of(client_cert.key_pem);
  MISTAKE("the key in memory: this key is not the certificate's");
  identity.key = nws_str_of("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                            "MIGs\n-----END ENCRYPTED PRIVATE KEY-----\n");
  MISTAKE("the key in memory: no private key");
  identity.key = nws_str_of(server_cert.key_pem);
  options.pins = "sha256//abc";
  MISTAKE("not a pin");
  options.pins = NULL;
  options.ciphers = "NONSENSE";
  MISTAKE("NONSENSE: no such ciphers");
  options.ciphers = NULL;
  options.trust_file = "/nonexistent.pem";
  MISTAKE("/nonexistent.pem: No such file or directory");
  options.trust_file = "/dev/null";
  MISTAKE("/dev/null: cannot be trusted");
  options.trust_file = NULL;
  options.clients = NWS_TLS_CLIENTS_REQUIRED;
  MISTAKE("nothing says whose are trusted");
  options.clients = 0;
  memset(&identity, 0, sizeof(identity));
  identity.self_signed = "a,,b";
  MISTAKE("not a list of host names");
#undef MISTAKE
  options.clients = 3;
  assert_int_equal(nws_tls_new(&options, &tls, NULL, 0), NWS_ERROR_ARGUMENT);

  /* Nothing to show: no server. */
  options = (nws_tls_options){.size = sizeof(options)};
  assert_int_equal(nws_tls_new(&options, &tls, NULL, 0), NWS_OK);
  fixture_init(&fx);
  fx.options.tls = tls;
  assert_int_equal(nws_server_start(fx.loop, &fx.options, &fx.server),
                   NWS_ERROR_TLS_CONFIG);
  nws_tls_drop(tls);
  fixture_end(&fx);
}

static void test_self_signed(void **state) {
  nws_tls_identity identity = {.self_signed = "localhost,127.0.0.1,::1"};
  nws_tls_options options = {
      .size = sizeof(options), .identities = &identity, .identity_count = 1};
  nws_tls_options trust = {.size = sizeof(trust), .insecure = 1};
  char pin[NWS_TLS_PIN];
  nws_tls *tls;
  fixture fx;
  (void)state;
  assert_int_equal(nws_tls_new(&options, &tls, NULL, 0), NWS_OK);
  assert_int_equal(nws_tls_pin(tls, pin), NWS_OK);
  prepare(&fx, tls);
  refuse(&fx, "localhost", NULL, NWS_ERROR_TLS_CERTIFICATE,
         "self-signed certificate");
  trust.pins = pin;
  admit(&fx, "127.0.0.1", cert_tls(NULL, NULL, &trust));
  fixture_end(&fx);
}

/* Plain HTTP gets an answer that can be read. */
static void test_plain_http(void **state) {
  fixture fx;
  raw r;
  (void)state;
  prepare(&fx, cert_tls(&server_cert, NULL, NULL));
  raw_connect(&r, &fx);
  raw_send(&fx, &r, raw_request, RAW_REQUEST_LEN);
  raw_until(&fx, &r, r.ended);
  assert_int_equal(memcmp(r.data, "HTTP/1.1 400 ", 13), 0);
  assert_non_null(
      strstr((char *)r.data, "plain HTTP was sent to a port that speaks TLS"));
  raw_free(&r);
  step_until(&fx, told.calls == 1);
  assert_int_equal(told.error, NWS_ERROR_TLS_PLAIN);
  fixture_end(&fx);
}

/* TLS to those who do not speak it is told from other failures. */
static void test_plain_server(void **state) {
  fixture fx;
  (void)state;
  prepare(&fx, NULL);
  refuse(&fx, "localhost", cert_tls(NULL, &root, NULL), NWS_ERROR_TLS,
         "does not speak TLS");
  fixture_end(&fx);
}

/* What was good before a record that was tampered with is delivered, and the
 * error is that of the record, also when one read gets both. */
static void test_tampered(void **state) {
  uint8_t out[64];
  fixture fx;
  wire w;
  (void)state;
  prepare(&fx, cert_tls(&server_cert, NULL, NULL));
  SSL_CTX *ctx = wire_context(NULL);
  wire_init(&w, raw_socket(nws_server_port(fx.server)), ctx, 0);
  step_until(&fx, (wire_pull(&w), wire_ready(&w)));
  wire_say(&w, raw_request, RAW_REQUEST_LEN);
  step_until(&fx, (wire_pull(&w), w.len > 0 && fx.s.opens == 1));
  w.limit = w.made;
  wire_say(&w, out, put_frame(out, 0x81, "good", 4));
  wire_say(&w, out, put_frame(out, 0x81, "evil", 4));
  w.out[w.made - 1] ^= 1;
  w.limit = SIZE_MAX;
  wire_push(&w);
  step_until(&fx, (wire_pull(&w), w.r.ended || w.r.error != 0));
  wire_free(&w);
  SSL_CTX_free(ctx);
  step_until(&fx, fx.s.closes == 1);
  assert_int_equal(fx.s.messages, 1);
  assert_int_equal(fx.s.error, NWS_ERROR_TLS);
  fixture_end(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_echo),
      cmocka_unit_test(test_prepared),
      cmocka_unit_test(test_trust),
      cmocka_unit_test(test_refused_is_known),
      cmocka_unit_test(test_subject_is_no_name),
      cmocka_unit_test(test_names_on_one_line),
      cmocka_unit_test(test_wrong_host),
      cmocka_unit_test(test_expired),
      cmocka_unit_test(test_revoked),
      cmocka_unit_test(test_pins),
      cmocka_unit_test(test_client_certificates),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_reload),
      cmocka_unit_test(test_mistakes),
      cmocka_unit_test(test_self_signed),
      cmocka_unit_test(test_plain_http),
      cmocka_unit_test(test_plain_server),
      cmocka_unit_test(test_tampered),
  };
  return cmocka_run_group_tests(tests, make_certs, free_certs);
}
