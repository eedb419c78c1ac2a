/* test_net_redirect.c - where clients let themselves be sent, and what they
 * take along.
 */
#include "../../src/net/client_internal.h"
#include "client_stage.h"

#ifdef NWS_TEST_TLS
#include "tls_certs.h"
static cert own_cert;
#endif

/* --- Where to --- */

static void resolve(const char *base, const char *to, const char *expected) {
  nws_uri uri;
  char *out;
  assert_int_equal(nws_uri_parse(&uri, base, strlen(base), NULL), NWS_OK);
  int rc = nws__redirect_resolve(base, &uri, nws_str_of(to), &out);
  if (rc != (expected == NULL ? NWS_ERROR_REDIRECT : NWS_OK))
    fail_msg("%s from %s: %d", to, base, rc);
  if (expected != NULL)
    assert_string_equal(out, expected);
  free(out);
}

/* RFC 3986 5.4.1 and 5.4.2, with ws for http, and what is ours. */
static void test_resolve(void **state) {
  static const char base[] = "ws://a/b/c/d;p?q";
  static const char *const cases[][2] = {
      {"g", "ws://a/b/c/g"},
      {"./g", "ws://a/b/c/g"},
      {"g/", "ws://a/b/c/g/"},
      {"/g", "ws://a/g"},
      {"//g", "ws://g"},
      {"?y", "ws://a/b/c/d;p?y"},
      {"g?y", "ws://a/b/c/g?y"},
      {"#s", "ws://a/b/c/d;p?q"},
      {"g#s", "ws://a/b/c/g"},
      {"g?y#s", "ws://a/b/c/g?y"},
      {";x", "ws://a/b/c/;x"},
      {"g;x", "ws://a/b/c/g;x"},
      {"", "ws://a/b/c/d;p?q"},
      {".", "ws://a/b/c/"},
      {"./", "ws://a/b/c/"},
      {"..", "ws://a/b/"},
      {"../", "ws://a/b/"},
      {"../g", "ws://a/b/g"},
      {"../..", "ws://a/"},
      {"../../", "ws://a/"},
      {"../../g", "ws://a/g"},
      {"../../../g", "ws://a/g"},
      {"../../../../g", "ws://a/g"},
      {"/./g", "ws://a/g"},
      {"/../g", "ws://a/g"},
      {"g.", "ws://a/b/c/g."},
      {".g", "ws://a/b/c/.g"},
      {"g..", "ws://a/b/c/g.."},
      {"..g", "ws://a/b/c/..g"},
      {"./../g", "ws://a/b/g"},
      {"./g/.", "ws://a/b/c/g/"},
      {"g/./h", "ws://a/b/c/g/h"},
      {"g/../h", "ws://a/b/c/h"},
      {"g;x=1/./y", "ws://a/b/c/g;x=1/y"},
      {"g;x=1/../y", "ws://a/b/c/y"},
      {"g?y/./x", "ws://a/b/c/g?y/./x"},
      {"g?y/../x", "ws://a/b/c/g?y/../x"},
      {"ws://h", "ws://h"},
      {"WS://h:1/x", "ws://h:1/x"},
      {"http://h/../x?y#z", "ws://h/x?y"},
      {"https://[::1]:2/x//y", "wss://[::1]:2/x//y"},
      {"wss://h?x", "wss://h?x"},
      {"http:g", NULL},
      {"g:h", NULL},
      {"ftp://h/", NULL},
      {"file:///etc/passwd", NULL},
      {"javascript:x", NULL},
      {"ws+unix:/x:/", NULL},
      {"ws://", NULL},
      {"ws:///x", NULL},
      {"ws://.h/x", NULL},
      {"ws://h:x/", NULL},
      {"ws://u:p@h/", NULL},
      {"//u@h/", NULL},
      {"/a b", NULL},
      {"/%", NULL},
      {"/\xc3\xa4", NULL},
      {"\\\\h\\x", NULL},
  };
  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    resolve(base, cases[i][0], cases[i][1]);
  resolve("wss://u:p@h:1?q", "", "wss://h:1/?q");
  resolve("wss://u:p@h:1?q", "x", "wss://h:1/x");
  resolve("wss://u:p@h:1?q", "?x", "wss://h:1/?x");
  resolve("wss://u:p@h:1/y", "//i/..", "wss://i/");
  resolve("wss://h", "/@x", "wss://h/@x");
}

/* --- Sites --- */

/* A server that sends whoever asks for "/go" somewhere else, and writes down
 * what else it is asked for. */
typedef struct site {
  nws_server *server;
  int requests;
  char path[64], authorization[64], cookie[64], agent[64];
} site;

typedef struct world {
  fixture fx; /* its server is not used */
  nws_handler handler;
  site plain, other, tls;
  const char *go;
  unsigned status;
  char closed_url[128], location[128];
} world;

static world *the_world;

static void keep(char out[64], const nws_server_handshake *request,
                 const char *name) {
  nws_str value = nws_server_handshake_header(request, nws_str_of(name));
  copy_text(out, 64, value.ptr, value.len);
}

static void on_request(nws_peer *peer, const nws_server_handshake *request) {
  site *s = nws_peer_user(peer);
  nws_header headers[] = {{nws_str_of("Location"), nws_str_of(the_world->go)}};
  nws_rejection answer = {
      .size = sizeof(answer),
      .status = the_world->status,
      .headers = headers,
      .header_count = the_world->go != NULL,
  };
  s->requests++;
  copy_text(s->path, sizeof(s->path), request->path.ptr, request->path.len);
  keep(s->authorization, request, "Authorization");
  keep(s->cookie, request, "Cookie");
  keep(s->agent, request, "User-Agent");
  if (nws_str_equal(request->path, nws_str_of("/go")))
    assert_int_equal(nws_peer_respond(peer, &answer), NWS_OK);
  else
    assert_int_equal(nws_peer_accept(peer, NULL), NWS_OK);
}

static void note_where(nws_peer *peer, const nws_closed *how) {
  copy_text(the_world->closed_url, sizeof(the_world->closed_url), how->url,
            strlen(how->url));
  the_world->location[0] = '\0';
  if (how->response != NULL) {
    const nws_http_head *head = how->response;
    size_t at =
        nws_header_find(head->headers, head->count, nws_str_of("Location"), 0);
    if (at < head->count)
      copy_text(the_world->location, sizeof(the_world->location),
                head->headers[at].value.ptr, head->headers[at].value.len);
  }
  note_closed(peer, how);
}

static void site_open(world *w, site *s, nws_tls *tls) {
  nws_server_options options = {
      .size = sizeof(options), .handler = &w->handler, .user = s, .tls = tls};
  assert_int_equal(nws_server_start(w->fx.loop, &options, &s->server), NWS_OK);
}

static void world_init(world *w) {
  memset(w, 0, sizeof(*w));
  the_world = w;
  fixture_init(&w->fx);
  w->fx.client_handler.closed = note_where;
  w->status = 302;
  w->handler = (nws_handler){.size = sizeof(w->handler), .request = on_request};
  site_open(w, &w->plain, NULL);
  site_open(w, &w->other, NULL);
#ifdef NWS_TEST_TLS
  nws_tls *tls = cert_tls(&own_cert, NULL, NULL);
  site_open(w, &w->tls, tls);
  nws_tls_drop(tls);
#endif
}

static void world_end(world *w) {
  site *all[] = {&w->plain, &w->other, &w->tls};
  for (int i = 0; i < 3; i++) {
    if (all[i]->server != NULL) {
      nws_server_stop(all[i]->server, NWS_CLOSE_GOING_AWAY);
      nws_server_stop(all[i]->server, NWS_CLOSE_GOING_AWAY);
    }
  }
  fixture_end(&w->fx);
}

static char *url_of(const site *s, const char *scheme, const char *path) {
  static char urls[4][128];
  static unsigned next;
  char *url = urls[next++ % 4];
  snprintf(url, sizeof(urls[0]), "%s://localhost:%u%s", scheme,
           (unsigned)nws_server_port(s->server), path);
  return url;
}

static nws_header headers[] = {
    {{"Cookie", 6}, {"a=b", 3}},
    {{"User-Agent", 10}, {"tests", 5}},
    {{"X-Api-Key", 9}, {"secret", 6}},
};
static const nws_client_offer offer = {
    .size = sizeof(offer), .headers = headers, .header_count = 3};

/* Goes to a URL with all that logs in, and waits for what comes of it. */
static void visit(world *w, const char *url, nws_tls *tls) {
  nws_client_options options = client_options(&w->fx, url);
  options.max_redirects = 3;
  options.offer = &offer;
  options.bearer = "token";
  options.tls = tls;
  w->plain.requests = w->other.requests = w->tls.requests = 0;
  client_start(&w->fx, &options);
  step_until(&w->fx, w->fx.c.opens + w->fx.c.closes > 0);
}

static void expect_open(world *w, const site *at, const char *path,
                        int with_secrets) {
  if (w->fx.c.opens != 1)
    fail_msg("%s", nws_net_text(w->fx.c.error));
  assert_string_equal(at->path, path);
  assert_string_equal(at->agent, "tests");
  assert_string_equal(at->cookie, with_secrets ? "a=b" : "");
  assert_string_equal(at->authorization, with_secrets ? "Bearer token" : "");
  nws_peer_abort(w->fx.c.peer);
  step_until(&w->fx, w->fx.c.closes == 1);
}

static void expect_error(world *w, int error, int status) {
  assert_int_equal(w->fx.c.error, error);
  assert_int_equal(w->fx.c.status, status);
  assert_int_equal(w->fx.c.opens, 0);
}

static void test_same_origin(void **state) {
  static const unsigned statuses[] = {301, 302, 303, 307, 308};
  world w;
  (void)state;
  world_init(&w);
  for (size_t i = 0; i < 5; i++) {
    w.status = statuses[i];
    w.go = "there";
    visit(&w, url_of(&w.plain, "ws", "/go"), NULL);
    assert_int_equal(w.plain.requests, 2);
    assert_string_equal(nws_peer_url(w.fx.c.peer),
                        url_of(&w.plain, "ws", "/there"));
    expect_open(&w, &w.plain, "/there", 1);
    assert_string_equal(w.closed_url, url_of(&w.plain, "ws", "/there"));
  }
  w.go = url_of(&w.plain, "HTTP", "/absolute");
  visit(&w, url_of(&w.plain, "ws", "/go"), NULL);
  expect_open(&w, &w.plain, "/absolute", 1);
  world_end(&w);
}

static void test_other_origin(void **state) {
  char back[64];
  world w;
  (void)state;
  world_init(&w);
  w.go = url_of(&w.other, "http", "/there");
  visit(&w, url_of(&w.plain, "ws", "/go"), NULL);
  assert_int_equal(w.plain.requests, 1);
  expect_open(&w, &w.other, "/there", 0);
  /* Another name is another origin too, and nothing is sent again on the way
   * back. */
  snprintf(back, sizeof(back), "//127.0.0.1:%u/x",
           (unsigned)nws_server_port(w.plain.server));
  w.go = back;
  visit(&w, url_of(&w.plain, "ws", "/go"), NULL);
  assert_int_equal(w.plain.requests, 2);
  expect_open(&w, &w.plain, "/x", 0);
  world_end(&w);
}

/* The application's addresses are those of the first origin alone. */
static void test_addresses(void **state) {
  static const char *const list[] = {"127.0.0.1"};
  char url[64];
  world w;
  (void)state;
  world_init(&w);
  snprintf(url, sizeof(url), "ws://name.invalid:%u/go",
           (unsigned)nws_server_port(w.plain.server));
  for (int same = 0; same < 2; same++) {
    w.go = same ? "/x" : url_of(&w.other, "http", "/x");
    nws_client_options options = client_options(&w.fx, url);
    options.max_redirects = 1;
    options.addresses = list;
    options.address_count = 1;
    client_start(&w.fx, &options);
    step_until(&w.fx, w.fx.c.opens + w.fx.c.closes > 0);
    assert_int_equal(w.fx.c.opens, 1);
    assert_string_equal((same ? &w.plain : &w.other)->path, "/x");
    nws_peer_abort(w.fx.c.peer);
    step_until(&w.fx, w.fx.c.closes == 1);
  }
  world_end(&w);
}

static void test_limit(void **state) {
  world w;
  (void)state;
  world_init(&w);
  w.go = "/go?again";
  visit(&w, url_of(&w.plain, "ws", "/go"), NULL);
  expect_error(&w, NWS_ERROR_REDIRECT_LIMIT, 302);
  assert_int_equal(w.plain.requests, 4);
  assert_string_equal(w.closed_url, url_of(&w.plain, "ws", "/go?again"));
  assert_string_equal(w.location, "/go?again");
  nws_client_options options =
      client_options(&w.fx, url_of(&w.plain, "ws", "/go"));
  client_start(&w.fx, &options);
  step_until(&w.fx, w.fx.c.closes == 1);
  expect_error(&w, NWS_ERROR_STATUS, 302);
  world_end(&w);
}

static void test_bad_answers(void **state) {
  static const unsigned others[] = {300, 304, 305, 306, 404};
  world w;
  (void)state;
  world_init(&w);
  w.go = "ftp://elsewhere/";
  visit(&w, url_of(&w.plain, "ws", "/go"), NULL);
  expect_error(&w, NWS_ERROR_REDIRECT, 302);
  assert_string_equal(w.location, "ftp://elsewhere/");
  assert_string_equal(w.closed_url, url_of(&w.plain, "ws", "/go"));
  w.go = "ws://you:me@localhost/";
  visit(&w, url_of(&w.plain, "ws", "/go"), NULL);
  expect_error(&w, NWS_ERROR_REDIRECT, 302);
  w.go = NULL;
  visit(&w, url_of(&w.plain, "ws", "/go"), NULL);
  expect_error(&w, NWS_ERROR_REDIRECT, 302);
  w.go = "/x";
  for (size_t i = 0; i < 5; i++) {
    w.status = others[i];
    visit(&w, url_of(&w.plain, "ws", "/go"), NULL);
    expect_error(&w, NWS_ERROR_STATUS, (int)others[i]);
  }
  /* Where nobody is. */
  w.status = 302;
  w.go = "ws://127.0.0.1:1/";
  visit(&w, url_of(&w.plain, "ws", "/go"), NULL);
  expect_error(&w, UV_ECONNREFUSED, 0);
  assert_string_equal(w.closed_url, "ws://127.0.0.1:1/");
  world_end(&w);
}

/* An answer that comes in two parts, cut at each place. */
static void test_every_split(void **state) {
  static const char answer[] = "HTTP/1.1 307 Away\r\nLocation: /x\r\n"
                               "Content-Length: 3\r\n\r\nbye";
  stage st;
  char url[64];
  (void)state;
  stage_init(&st);
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", (unsigned)st.port);
  for (size_t cut = 1; cut < sizeof(answer) - 1; cut++) {
    nws_client_options options = client_options(&st.fx, url);
    options.max_redirects = 1;
    client_start(&st.fx, &options);
    stage_accept(&st);
    raw_send(&st.fx, &st.r, answer, cut);
    step(&st.fx);
    step(&st.fx);
    /* The client may have gone already. */
    (void)send(st.r.fd, answer + cut, sizeof(answer) - 1 - cut, MSG_NOSIGNAL);
    raw first = st.r;
    stage_accept(&st);
    assert_memory_equal(st.r.data, "GET /x HTTP/1.1\r\n", 17);
    raw_free(&first);
    raw_free(&st.r);
    step_until(&st.fx, st.fx.c.closes == 1);
    assert_int_equal(st.fx.c.error, NWS_ERROR_HTTP_EOF);
  }
  stage_end(&st);
}

/* The time for the handshake is for all stations together; two Locations lead
 * nowhere; and one can give up on the way. */
static void test_on_the_way(void **state) {
  static const char twice[] = "HTTP/1.1 302 A\r\nLocation: /x\r\n"
                              "Location: /y\r\nContent-Length: 0\r\n\r\n";
  static const char away[] = "HTTP/1.1 302 A\r\nLocation: /x\r\n\r\n";
  stage st;
  char url[64];
  (void)state;
  stage_init(&st);
  snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", (unsigned)st.port);
  nws_client_options options = client_options(&st.fx, url);
  options.max_redirects = 1;
  client_start(&st.fx, &options);
  stage_accept(&st);
  raw_send(&st.fx, &st.r, twice, sizeof(twice) - 1);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(st.fx.c.error, NWS_ERROR_REDIRECT);
  raw_free(&st.r);

  options = client_options(&st.fx, url);
  options.max_redirects = 1;
  options.limits.handshake_timeout_ms = 1000;
  client_start(&st.fx, &options);
  stage_accept(&st);
  raw_send(&st.fx, &st.r, away, sizeof(away) - 1);
  raw_until(&st.fx, &st.r, st.r.ended || st.r.error != 0);
  raw_free(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(st.fx.c.error, NWS_ERROR_HANDSHAKE_TIMEOUT);
  stage_accept(&st); /* the second station, where nobody answered */
  raw_free(&st.r);

  options.limits.handshake_timeout_ms = 0;
  st.fx.c.closes = 0;
  for (int steps = 0; steps < 4; steps++) {
    client_start(&st.fx, &options);
    stage_accept(&st);
    raw_send(&st.fx, &st.r, away, sizeof(away) - 1);
    for (int i = 0; i < steps; i++)
      uv_run(nws_loop_uv(st.fx.loop), UV_RUN_NOWAIT);
    nws_peer_abort(st.fx.c.peer);
    step_until(&st.fx, st.fx.c.closes == steps + 1);
    assert_int_equal(st.fx.c.error, UV_ECANCELED);
    raw_free(&st.r);
    step_for(&st.fx, 5);
    int fd;
    while ((fd = accept(st.listener, NULL, NULL)) >= 0)
      close(fd);
  }
  stage_end(&st);
}

/* On a Unix socket there is one origin. */
static void test_unix(void **state) {
  char name[64], url[96];
  nws_listener *listener;
  world w;
  site local;
  (void)state;
  world_init(&w);
  memset(&local, 0, sizeof(local));
  snprintf(name, sizeof(name), "unix:/tmp/nws_redirect_%d", (int)getpid());
  snprintf(url, sizeof(url), "ws+%s:/go", name);
  assert_int_equal(nws_listener_open(name, NULL, &listener), NWS_OK);
  nws_server_options options = {.size = sizeof(options),
                                .handler = &w.handler,
                                .user = &local,
                                .listeners = &listener,
                                .listener_count = 1};
  assert_int_equal(nws_server_start(w.fx.loop, &options, &local.server),
                   NWS_OK);
  nws_listener_drop(listener);
  w.go = "x";
  visit(&w, url, NULL);
  expect_open(&w, &local, "/x", 1);
  w.go = url_of(&w.plain, "http", "/x");
  visit(&w, url, NULL);
  expect_error(&w, NWS_ERROR_REDIRECT, 302);
  assert_string_equal(w.closed_url, url);
  nws_server_stop(local.server, NWS_CLOSE_GOING_AWAY);
  world_end(&w);
}

#ifdef NWS_TEST_TLS
static void test_tls(void **state) {
  nws_tls *trust = cert_tls(NULL, &own_cert, NULL);
  world w;
  (void)state;
  world_init(&w);
  w.go = "/x"; /* the same origin */
  visit(&w, url_of(&w.tls, "wss", "/go"), trust);
  expect_open(&w, &w.tls, "/x", 1);
  w.go = url_of(&w.tls, "https", "/x"); /* into TLS: another origin */
  visit(&w, url_of(&w.plain, "ws", "/go"), trust);
  expect_open(&w, &w.tls, "/x", 0);
  visit(&w, url_of(&w.plain, "ws", "/go"), NULL); /* not trusted */
  expect_error(&w, NWS_ERROR_TLS_CERTIFICATE, 0);
  w.go = url_of(&w.plain, "http", "/x"); /* out of TLS */
  visit(&w, url_of(&w.tls, "wss", "/go"), trust);
  expect_error(&w, NWS_ERROR_REDIRECT_INSECURE, 302);
  assert_int_equal(w.plain.requests, 0);
  assert_string_equal(w.location, w.go);
  nws_tls_drop(trust);
  world_end(&w);
}
#endif

static int prepare(void **state) {
#ifdef NWS_TEST_TLS
  cert_plan plan = {.name = "server", .names = "DNS:localhost", .is_root = 1};
  cert_make(&own_cert, &plan);
#endif
  return fds_remember(state);
}

static int clean_up(void **state) {
#ifdef NWS_TEST_TLS
  cert_free(&own_cert);
#endif
  return fds_compare(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_resolve),      cmocka_unit_test(test_same_origin),
      cmocka_unit_test(test_other_origin), cmocka_unit_test(test_addresses),
      cmocka_unit_test(test_limit),        cmocka_unit_test(test_bad_answers),
      cmocka_unit_test(test_every_split),  cmocka_unit_test(test_on_the_way),
      cmocka_unit_test(test_unix),
#ifdef NWS_TEST_TLS
      cmocka_unit_test(test_tls),
#endif
  };
  return cmocka_run_group_tests(tests, prepare, clean_up);
}
