/* test_net_tunnel.c - clients that go through proxies: HTTP CONNECT and SOCKS5,
 * which are played here byte by byte.
 */
#include "../../src/net/client_internal.h"
#include "client_stage.h"

#ifdef NWS_TEST_TLS
#include "tls_certs.h"
static cert own_cert;
#endif

/* --- Addresses of proxies --- */

static void expect_proxy(const char *text, int kind, const char *host,
                         unsigned port, const char *login) {
  nws__proxy proxy;
  assert_int_equal(nws__proxy_parse(text, &proxy), NWS_OK);
  assert_int_equal(proxy.kind, kind);
  assert_string_equal(proxy.host, host);
  assert_int_equal(proxy.port, port);
  assert_int_equal(proxy.login.text != NULL, login != NULL);
  if (login != NULL) {
    size_t len = proxy.login.name_len + 1 + proxy.login.password_len;
    assert_int_equal(len, strlen(login));
    assert_memory_equal(proxy.login.text, login, len);
  }
  nws__proxy_free(&proxy);
}

static void test_addresses(void **state) {
  static const char *const bad[] = {
      "https://h:1",
      "socks4://h",
      "ftp://h",
      "http://",
      "http://h:x",
      "http://h/x",
      "http://h?x",
      "http://h#x",
      "http://u%3a@h",
      "http://u%@h",
      "socks5://:p@h",
      "h h",
      "",
      "socks5://h:70000",
  };
  char text[600], name[301];
  nws__proxy proxy;
  (void)state;
  expect_proxy("http://h:3128", NWS__PROXY_HTTP, "h", 3128, NULL);
  expect_proxy("HTTP://h/", NWS__PROXY_HTTP, "h", 80, NULL);
  expect_proxy("h:8080", NWS__PROXY_HTTP, "h", 8080, NULL);
  expect_proxy("h", NWS__PROXY_HTTP, "h", 80, NULL);
  expect_proxy("http://a%40b:c%3Ad:e@h", NWS__PROXY_HTTP, "h", 80, "a@b:c:d:e");
  expect_proxy("a@h:1", NWS__PROXY_HTTP, "h", 1, "a:");
  expect_proxy("socks5://h", NWS__PROXY_SOCKS5, "h", 1080, NULL);
  expect_proxy("socks5://h:80", NWS__PROXY_SOCKS5, "h", 80, NULL);
  expect_proxy("socks5://[::1]", NWS__PROXY_SOCKS5, "::1", 1080, NULL);
  expect_proxy("socks5h://u:p@[::1]:2", NWS__PROXY_SOCKS5, "::1", 2, "u:p");
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    if (nws__proxy_parse(bad[i], &proxy) != NWS_ERROR_PROXY_URI)
      fail_msg("taken: %s", bad[i]);
    nws__proxy_free(&proxy);
  }
  memset(name, 'n', 300);
  for (int len = 255; len <= 256; len++) {
    snprintf(text, sizeof(text), "socks5://%.*s:%.*s@h", len, name, len, name);
    assert_int_equal(nws__proxy_parse(text, &proxy),
                     len > 255 ? NWS_ERROR_PROXY_URI : NWS_OK);
    nws__proxy_free(&proxy);
  }
}

static void test_exceptions(void **state) {
  static const struct {
    const char *list, *host;
    int found;
  } cases[] = {
      {"*", "anything", 1},
      {"", "h", 0},
      {"h", "h", 1},
      {"H.Example", "h.eXample", 1},
      {"example.org", "www.example.org", 1},
      {".example.org", "www.example.org", 1},
      {".example.org", "example.org", 1},
      {"example.org", "badexample.org", 0},
      {"www.example.org", "example.org", 0},
      {"example.org.", "www.example.org.", 1},
      {"a, b,c d", "c", 1},
      {"a, b,c d", "d", 1},
      {",, ,", "d", 0},
      {".", "d", 0},
      {"a,*", "d", 0},
      {"127.0.0.1", "127.0.0.1", 1},
      {"0.0.1", "127.0.0.1", 0},
      {"10.0.0.0/8", "10.9.8.7", 1},
      {"10.0.0.0/8", "11.9.8.7", 0},
      {"10.8.0.0/13", "10.15.0.1", 1},
      {"10.8.0.0/13", "10.16.0.1", 0},
      {"0.0.0.0/0", "1.2.3.4", 1},
      {"1.2.3.4/33", "1.2.3.4", 0},
      {"1.2.3.4/", "1.2.3.4", 0},
      {"1.2.3.4/x", "1.2.3.4", 0},
      {"1.2.3.4/32", "1.2.3.4", 1},
      {"::1", "::1", 1},
      {"[::1]", "0:0::1", 1},
      {"fd00::/8", "fd12::1", 1},
      {"fd00::/8", "fe12::1", 0},
      {"::/0", "1.2.3.4", 0},
      {"10.0.0.0/8", "h", 0},
  };
  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    if (nws__proxy_excepts(cases[i].list, nws_str_of(cases[i].host)) !=
        cases[i].found)
      fail_msg("%s in %s", cases[i].host, cases[i].list);
}

static const char *const variables[] = {
    "ws_proxy",  "WS_PROXY",  "http_proxy",  "HTTP_PROXY",
    "wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY",
    "all_proxy", "ALL_PROXY", "no_proxy",    "NO_PROXY"};

static void clear_environment(void) {
  for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
    unsetenv(variables[i]);
}

static const char *asked(const char *url) {
  nws_uri uri;
  assert_int_equal(nws_uri_parse(&uri, url, strlen(url), NULL), NWS_OK);
  const char *found = nws__proxy_environment(&uri);
  return found == NULL ? "" : found;
}

/* Each variable goes before those that were set before it. */
static void test_environment(void **state) {
  static const char *const plain[] = {"ALL_PROXY", "all_proxy", "http_proxy",
                                      "WS_PROXY", "ws_proxy"};
  static const char *const secure[] = {"ALL_PROXY",   "all_proxy",
                                       "HTTPS_PROXY", "https_proxy",
                                       "WSS_PROXY",   "wss_proxy"};
  (void)state;
  clear_environment();
  setenv("HTTP_PROXY", "never", 1);
  assert_string_equal(asked("ws://h/"), "");
  for (size_t i = 0; i < 5; i++) {
    setenv(plain[i], plain[i], 1);
    assert_string_equal(asked("ws://h/"), plain[i]);
  }
  assert_string_equal(asked("wss://h/"), "all_proxy");
  setenv("ws_proxy", "", 1);
  assert_string_equal(asked("ws://h/"), "WS_PROXY");
  clear_environment();
  for (size_t i = 0; i < 6; i++) {
    setenv(secure[i], secure[i], 1);
    assert_string_equal(asked("wss://h/"), secure[i]);
  }
  setenv("NO_PROXY", "h", 1);
  assert_string_equal(asked("wss://h/"), "");
  assert_string_equal(asked("wss://i/"), "wss_proxy");
  setenv("no_proxy", "i", 1);
  assert_string_equal(asked("wss://h/"), "wss_proxy");
  clear_environment();
}

/* --- A proxy, played --- */

/* What the client says, and what it is answered. */
typedef struct turn {
  const char *says;
  size_t says_len;
  const char *answer;
  size_t answer_len;
} turn;

#define TURN(says, answer)                                                     \
  { says, sizeof(says) - 1, answer, sizeof(answer) - 1 }

static char closed_detail[128];

static void note_detail(nws_peer *peer, const nws_closed *how) {
  copy_text(closed_detail, sizeof(closed_detail), how->detail,
            strlen(how->detail));
  note_closed(peer, how);
}

static void tunnel_init(stage *st) {
  stage_init(st);
  st->fx.client_handler.closed = note_detail;
  closed_detail[0] = '\0';
}

/* The options for a client that goes through us. */
static nws_client_options through(stage *st, const char *scheme,
                                  const char *url) {
  static char proxy[96];
  snprintf(proxy, sizeof(proxy), "%s127.0.0.1:%u", scheme, (unsigned)st->port);
  nws_client_options options = client_options(&st->fx, url);
  options.proxy = proxy;
  return options;
}

static void tunnel_accept(stage *st) {
  int fd = -1;
  step_until(&st->fx, (fd = accept(st->listener, NULL, NULL)) >= 0 ||
                          st->fx.c.closes > 0);
  assert_int_equal(st->fx.c.closes, 0);
  raw_init(&st->r, fd);
}

/* Plays the turns, with a break behind the first `cut` bytes of what the proxy
 * says in all. */
static void play(stage *st, const turn *turns, size_t count, size_t cut) {
  size_t said = 0;
  for (size_t i = 0; i < count; i++) {
    const turn *t = &turns[i];
    raw_until(&st->fx, &st->r, st->r.len >= t->says_len || st->r.ended);
    assert_int_equal(st->r.len, t->says_len);
    assert_memory_equal(st->r.data, t->says, t->says_len);
    st->r.len = 0;
    size_t here = cut > said && cut < said + t->answer_len ? cut - said : 0;
    if (here > 0) {
      raw_send(&st->fx, &st->r, t->answer, here);
      step(&st->fx);
      step(&st->fx);
      assert_int_equal(st->fx.c.closes, 0);
      raw_read(&st->r);
      assert_int_equal(st->r.len, 0); /* not a word too early */
    }
    raw_send(&st->fx, &st->r, t->answer + here, t->answer_len - here);
    said += t->answer_len;
  }
}

#define COUNT(turns) (sizeof(turns) / sizeof(turns[0]))

static const turn http_turns[] = {
    TURN("CONNECT name.invalid:77 HTTP/1.1\r\nHost: name.invalid:77\r\n\r\n",
         "HTTP/1.1 100 Wait\r\n\r\nHTTP/1.0 200 Connection established\r\n"
         "Content-Length: 7\r\n\r\n"),
};
static const turn http_login_turns[] = {
    TURN("CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n"
         "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
         "HTTP/1.1 299 \r\n\r\n"),
};
static const turn socks_turns[] = {
    TURN("\5\1\0", "\5\0"),
    TURN("\5\1\0\3\x0cname.invalid\0\x4d", "\5\0\0\1\1\2\3\4\5\6"),
};
static const turn socks_login_turns[] = {
    TURN("\5\2\0\2", "\5\2"),
    TURN("\1\1u\2pw", "\1\0"),
    TURN("\5\1\0\1\xc0\0\2\1\0\x4d", "\5\0\0\3\4name\5\6"),
};
/* A login that the proxy does not ask for. */
static const turn socks_unasked_turns[] = {
    TURN("\5\2\0\2", "\5\0"),
    TURN("\5\1\0\4\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\x50",
         "\5\0\0\4aaaabbbbccccdddd\5\6"),
};

static void every_cut(const char *scheme, const char *url, const turn *turns,
                      size_t count) {
  size_t len = 0;
  stage st;
  tunnel_init(&st);
  for (size_t i = 0; i < count; i++)
    len += turns[i].answer_len;
  for (size_t cut = 0; cut < len; cut++) {
    char out[512];
    nws_client_options options = through(&st, scheme, url);
    client_start(&st.fx, &options);
    tunnel_accept(&st);
    play(&st, turns, count, cut);
    raw_until(&st.fx, &st.r, raw_head(&st.r) > 0);
    assert_memory_equal(st.r.data, "GET /x HTTP/1.1\r\n", 17);
    assert_false(has(&st.r, "Authorization"));
    raw_send(&st.fx, &st.r, out, put_101(&st, out, sizeof(out)));
    step_until(&st.fx, st.fx.c.opens == 1);
    assert_string_equal(nws_peer_url(st.fx.c.peer), url);
    raw_free(&st.r);
    step_until(&st.fx, st.fx.c.closes == 1);
  }
  stage_end(&st);
}

static void test_cuts(void **state) {
  (void)state;
  every_cut("http://", "ws://name.invalid:77/x", http_turns, 1);
  every_cut("", "ws://name.invalid:77/x", http_turns, 1);
  every_cut("http://Aladdin:open%20sesame@", "ws://[2001:db8::1]/x",
            http_login_turns, 1);
  every_cut("socks5://", "ws://name.invalid:77/x", socks_turns, 2);
  every_cut("socks5h://u:pw@", "ws://192.0.2.1:77/x", socks_login_turns, 3);
  every_cut("socks5://u:pw@", "ws://[2001:db8::1]/x", socks_unasked_turns, 2);
}

/* What comes right behind the proxy's answer is the server's. */
static void test_behind(void **state) {
  static const turn early[] = {
      TURN("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n",
           "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 404 No\r\n"
           "Content-Length: 2\r\n\r\nno"),
  };
  static const turn socks[] = {
      TURN("\5\1\0", "\5\0"),
      TURN("\5\1\0\3\1h\0\x50", "\5\0\0\1\1\2\3\4\5\6HTTP/1.1 404 No\r\n"
                                "Content-Length: 2\r\n\r\nno"),
  };
  stage st;
  (void)state;
  tunnel_init(&st);
  for (int i = 0; i < 2; i++) {
    nws_client_options options =
        through(&st, i == 0 ? "http://" : "socks5://", "ws://h/");
    client_start(&st.fx, &options);
    tunnel_accept(&st);
    play(&st, i == 0 ? early : socks, i == 0 ? 1 : 2, 0);
    step_until(&st.fx, st.fx.c.closes == 1);
    assert_int_equal(st.fx.c.error, NWS_ERROR_STATUS);
    assert_int_equal(st.fx.c.status, 404);
    assert_string_equal(st.fx.c.body, "no");
    raw_free(&st.r);
  }
  stage_end(&st);
}

/* --- Bad answers --- */

typedef struct refusal {
  const char *answer;
  size_t len;
  int ends; /* the proxy closes behind it */
  int error;
  int status;
  const char *says; /* the body, or the detail where there is no status */
} refusal;

#define BAD(answer, ...)                                                       \
  { answer, sizeof(answer) - 1, __VA_ARGS__ }

static void expect_refusal(stage *st, const char *scheme, const turn *turns,
                           size_t count, const refusal *bad) {
  nws_client_options options = through(st, scheme, "ws://name.invalid:77/x");
  client_start(&st->fx, &options);
  tunnel_accept(st);
  play(st, turns, count - 1, 0);
  turn last = turns[count - 1];
  last.answer = bad->answer;
  last.answer_len = bad->len;
  play(st, &last, 1, 0);
  if (bad->ends)
    shutdown(st->r.fd, SHUT_WR);
  step_until(&st->fx, st->fx.c.closes == 1);
  if (st->fx.c.error != bad->error)
    fail_msg("'%s': %s", bad->answer, nws_net_text(st->fx.c.error));
  assert_int_equal(st->fx.c.status, bad->status);
  assert_string_equal(bad->status != 0 ? st->fx.c.body : closed_detail,
                      bad->says);
  assert_int_equal(st->fx.c.opened, 0);
  raw_free(&st->r);
}

static void test_bad_http(void **state) {
  static const refusal bad[] = {
      BAD("HTTP/1.1 407 Login\r\nContent-Length: 6\r\n\r\nwho???more", 0,
          NWS_ERROR_PROXY_AUTH, 407, "who???"),
      BAD("HTTP/1.1 502 Bad\r\n\r\nno such host", 1, NWS_ERROR_PROXY_STATUS,
          502, "no such host"),
      BAD("HTTP/1.1 302 Elsewhere\r\nLocation: ws://a/\r\n"
          "Content-Length: 0\r\n\r\n",
          0, NWS_ERROR_PROXY_STATUS, 302, ""),
      BAD("HTTP/1.1 101 Switching\r\nContent-Length: 0\r\n\r\n", 0,
          NWS_ERROR_PROXY_STATUS, 101, ""),
      BAD("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 403 No\r\n"
          "Content-Length: 1\r\n\r\n-",
          0, NWS_ERROR_PROXY_STATUS, 403, "-"),
      BAD("SSH-2.0-x\r\n\r\n", 0, NWS_ERROR_PROXY, 0,
          "the first line is not one of HTTP/1.1"),
      BAD("\5\0", 0, NWS_ERROR_PROXY, 0,
          "the first line is not one of HTTP/1.1"),
      BAD("HTTP/1.1 200 OK\r\nX: \1\r\n\r\n", 0, NWS_ERROR_PROXY, 0,
          "a header's value holds a control byte"),
      BAD("HTTP/1.1 200 OK\r\n", 1, NWS_ERROR_PROXY, 0,
          "it has closed the connection"),
      BAD("", 1, NWS_ERROR_PROXY, 0, "it has closed the connection"),
  };
  stage st;
  (void)state;
  tunnel_init(&st);
  for (size_t i = 0; i < COUNT(bad); i++)
    expect_refusal(&st, "http://", http_turns, 1, &bad[i]);
  size_t len = 10000;
  char *large = malloc(len);
  memset(large, 'a', len);
  memcpy(large, "HTTP/1.1 200 OK\r\nX: ", 20);
  refusal endless = {large,           len, 0,
                     NWS_ERROR_PROXY, 0,   "the head is longer than the limit"};
  expect_refusal(&st, "http://", http_turns, 1, &endless);
  free(large);
  stage_end(&st);
}

static void test_bad_socks(void **state) {
  static const refusal methods[] = {
      BAD("\5\xff", 0, NWS_ERROR_PROXY_AUTH, 0, ""),
      BAD("\5\2", 0, NWS_ERROR_PROXY, 0, ""),
      BAD("\5\1", 0, NWS_ERROR_PROXY, 0, ""),
      BAD("\4\0", 0, NWS_ERROR_PROXY, 0, ""),
      BAD("HTTP/1.1 400 Bad\r\n\r\n", 0, NWS_ERROR_PROXY, 0, ""),
      BAD("\5", 1, NWS_ERROR_PROXY, 0, "it has closed the connection"),
      BAD("", 1, NWS_ERROR_PROXY, 0, "it has closed the connection"),
  };
  static const refusal replies[] = {
      BAD("\5\1", 0, NWS_ERROR_PROXY_STATUS, 0, "general SOCKS server failure"),
      BAD("\5\5\0\1\0\0\0\0\0\0", 0, NWS_ERROR_PROXY_STATUS, 0,
          "connection refused"),
      BAD("\5\x08", 1, NWS_ERROR_PROXY_STATUS, 0, "address type not supported"),
      BAD("\5\x09", 1, NWS_ERROR_PROXY_STATUS, 0, "unknown reason"),
      BAD("\1\0\0\1\0", 0, NWS_ERROR_PROXY, 0, ""),
      BAD("\5\0\0\2\0", 0, NWS_ERROR_PROXY, 0, ""),
      BAD("\5\0\0\1\1\2\3", 1, NWS_ERROR_PROXY, 0,
          "it has closed the connection"),
  };
  static const refusal logins[] = {
      BAD("\1\1", 0, NWS_ERROR_PROXY_AUTH, 0, ""),
      BAD("\5\0", 0, NWS_ERROR_PROXY, 0, ""),
      BAD("\1", 1, NWS_ERROR_PROXY, 0, "it has closed the connection"),
  };
  stage st;
  (void)state;
  tunnel_init(&st);
  for (size_t i = 0; i < COUNT(methods); i++)
    expect_refusal(&st, "socks5://", socks_turns, 1, &methods[i]);
  for (size_t i = 0; i < COUNT(replies); i++)
    expect_refusal(&st, "socks5://", socks_turns, 2, &replies[i]);
  for (size_t i = 0; i < COUNT(logins); i++)
    expect_refusal(&st, "socks5://u:pw@", socks_login_turns, 2, &logins[i]);
  stage_end(&st);
}

/* --- Other ends --- */

/* The proxy goes away at every byte of its answers. */
static void every_end(const char *scheme, const char *url, const turn *turns,
                      size_t count) {
  stage st;
  tunnel_init(&st);
  for (size_t last = 0; last < count; last++) {
    for (size_t len = 0; len < turns[last].answer_len; len++) {
      nws_client_options options = through(&st, scheme, url);
      client_start(&st.fx, &options);
      tunnel_accept(&st);
      play(&st, turns, last, 0);
      turn cut = turns[last];
      cut.answer_len = len;
      play(&st, &cut, 1, 0);
      raw_free(&st.r);
      step_until(&st.fx, st.fx.c.closes == 1);
      assert_int_equal(st.fx.c.error, NWS_ERROR_PROXY);
      assert_string_equal(closed_detail, "it has closed the connection");
      step(&st.fx);
      assert_int_equal(st.fx.c.closes, 1);
    }
  }
  stage_end(&st);
}

static void test_every_end(void **state) {
  (void)state;
  every_end("http://", "ws://name.invalid:77/x", http_turns, 1);
  every_end("socks5://u:pw@", "ws://192.0.2.1:77/x", socks_login_turns, 3);
}

static void test_ends(void **state) {
  nws_str none = {NULL, 0};
  stage st;
  (void)state;
  tunnel_init(&st);
  for (int socks = 0; socks < 2; socks++) {
    const char *scheme = socks ? "socks5://" : "http://";
    nws_client_options options = through(&st, scheme, "ws://h/");
    options.limits.handshake_timeout_ms = 400;
    client_start(&st.fx, &options);
    tunnel_accept(&st);
    step_until(&st.fx, st.fx.c.closes == 1);
    assert_int_equal(st.fx.c.error, NWS_ERROR_HANDSHAKE_TIMEOUT);
    raw_free(&st.r);
    options = through(&st, scheme, "ws://h/");
    client_start(&st.fx, &options);
    tunnel_accept(&st);
    raw_until(&st.fx, &st.r, st.r.len > 0);
    raw_reset(&st.r);
    step_until(&st.fx, st.fx.c.closes == 1);
    assert_int_equal(st.fx.c.error, UV_ECONNRESET);
    st.fx.c.closes = 0;
    client_start(&st.fx, &options);
    tunnel_accept(&st);
    raw_until(&st.fx, &st.r, st.r.len > 0);
    assert_int_equal(nws_peer_close(st.fx.c.peer, 1000, none), NWS_OK);
    step_until(&st.fx, st.fx.c.closes == 1);
    assert_int_equal(st.fx.c.error, UV_ECANCELED);
    raw_free(&st.r);
  }
  /* The proxy is not there, and not the server. */
  nws_client_options options = through(&st, "http://", "ws://127.0.0.1:1/");
  options.proxy = "http://127.0.0.1:1";
  client_start(&st.fx, &options);
  step_until(&st.fx, st.fx.c.closes == 1);
  assert_int_equal(st.fx.c.error, UV_ECONNREFUSED);
  stage_end(&st);
}

static void test_options(void **state) {
  static const char *const list[] = {"127.0.0.1"};
  fixture fx;
  (void)state;
  clear_environment();
  fixture_init(&fx);
  nws_client_options options = client_options(&fx, "ws://h/");
  options.proxy = "https://h";
  assert_int_equal(client_error(&fx, &options), NWS_ERROR_PROXY_URI);
  options.proxy = "http://h";
  options.proxy_from_environment = 1;
  assert_int_equal(client_error(&fx, &options), NWS_ERROR_CONFIG);
  options.proxy_from_environment = 0;
  options.addresses = list;
  options.address_count = 1;
  assert_int_equal(client_error(&fx, &options), NWS_ERROR_CONFIG);
  options.addresses = NULL;
  options.address_count = 0;
  options.url = "ws+unix:/x:/";
  assert_int_equal(client_error(&fx, &options), NWS_ERROR_CONFIG);
  options.url = "ws://h/";
  options.proxy = NULL;
  options.proxy_from_environment = 1;
  setenv("all_proxy", "https://h", 1);
  assert_int_equal(client_error(&fx, &options), NWS_ERROR_PROXY_URI);
  clear_environment();
  fixture_end(&fx);
}

/* --- All the way --- */

/* Passes on what comes from one side to the other. */
static void pass(fixture *fx, raw *from, raw *to) {
  raw_read(from);
  if (from->len > 0)
    raw_send(fx, to, from->data, from->len);
  from->len = 0;
}

/* A message through the proxy to a server of ours and back. */
static void go_all_the_way(const char *scheme, const char *url_scheme,
                           nws_tls *server_tls, nws_tls *trust, int env) {
  static char message[100000];
  char url[64], says[300];
  stage st;
  raw server;
  tunnel_init(&st);
  st.fx.options.tls = server_tls;
  fixture_serve(&st.fx);
  uint16_t port = nws_server_port(st.fx.server);
  snprintf(url, sizeof(url), "%s://localhost:%u/", url_scheme, (unsigned)port);
  nws_client_options options = through(&st, scheme, url);
  options.tls = trust;
  if (env) {
    setenv("all_proxy", options.proxy, 1);
    options.proxy = NULL;
    options.proxy_from_environment = 1;
  }
  client_start(&st.fx, &options);
  clear_environment();
  tunnel_accept(&st);
  if (scheme[0] == 'h') {
    int n = snprintf(says, sizeof(says),
                     "CONNECT localhost:%u HTTP/1.1\r\nHost: localhost:%u"
                     "\r\n\r\n",
                     (unsigned)port, (unsigned)port);
    turn t = {says, (size_t)n, "HTTP/1.1 200 \r\n\r\n", 17};
    play(&st, &t, 1, 0);
  } else {
    memcpy(says, "\5\1\0\3\x09localhost", 14);
    says[14] = (char)(port >> 8);
    says[15] = (char)port;
    turn t[] = {TURN("\5\1\0", "\5\0"), {says, 16, "\5\0\0\1\0\0\0\0\0\0", 10}};
    play(&st, t, 2, 0);
  }
  raw_connect(&server, &st.fx);
  step_until(&st.fx, (pass(&st.fx, &st.r, &server),
                      pass(&st.fx, &server, &st.r), st.fx.c.opens == 1));
  assert_int_equal(
      nws_peer_send(st.fx.c.peer, NWS_OPCODE_BINARY, message, sizeof(message)),
      NWS_OK);
  step_until(&st.fx, (pass(&st.fx, &st.r, &server),
                      pass(&st.fx, &server, &st.r), st.fx.c.messages == 1));
  assert_int_equal(st.fx.c.last_len, sizeof(message));
  nws_peer_close(st.fx.c.peer, 1000, nws_str_of("bye"));
  step_until(&st.fx, (pass(&st.fx, &st.r, &server),
                      pass(&st.fx, &server, &st.r), server.ended));
  raw_free(&server);
  raw_free(&st.r);
  step_until(&st.fx, st.fx.c.closes == 1 && st.fx.s.closes == 1);
  assert_int_equal(st.fx.c.error, NWS_OK);
  stage_end(&st);
}

static void test_all_the_way(void **state) {
  (void)state;
  clear_environment();
  for (int env = 0; env < 2; env++) {
    go_all_the_way("http://", "ws", NULL, NULL, env);
    go_all_the_way("socks5://", "ws", NULL, NULL, env);
#ifdef NWS_TEST_TLS
    nws_tls *shown = cert_tls(&own_cert, NULL, NULL);
    nws_tls *trust = cert_tls(NULL, &own_cert, NULL);
    go_all_the_way("http://", "wss", shown, trust, env);
    go_all_the_way("socks5://", "wss", shown, trust, env);
    nws_tls_drop(shown);
    nws_tls_drop(trust);
#endif
  }
}

/* Redirects go through the proxy too, and the environment is asked again. */
static void test_redirect(void **state) {
  static const turn turns[] = {
      TURN("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
           "HTTP/1.1 200 OK\r\n\r\n"),
      TURN("CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n",
           "HTTP/1.1 200 OK\r\n\r\n"),
  };
  static const char away[] = "HTTP/1.1 302 A\r\nLocation: http://b/\r\n\r\n";
  stage st;
  (void)state;
  clear_environment();
  tunnel_init(&st);
  for (int env = 0; env < 2; env++) {
    nws_client_options options = through(&st, "http://", "ws://a/");
    options.max_redirects = 1;
    if (env) {
      setenv("http_proxy", options.proxy, 1);
      options.proxy = NULL;
      options.proxy_from_environment = 1;
    }
    client_start(&st.fx, &options);
    tunnel_accept(&st);
    play(&st, &turns[0], 1, 0);
    raw_until(&st.fx, &st.r, raw_head(&st.r) > 0);
    raw_send(&st.fx, &st.r, away, sizeof(away) - 1);
    raw first = st.r;
    tunnel_accept(&st);
    play(&st, &turns[1], 1, 0);
    raw_until(&st.fx, &st.r, raw_head(&st.r) > 0);
    raw_free(&first);
    raw_free(&st.r);
    step_until(&st.fx, st.fx.c.closes == 1);
    assert_int_equal(st.fx.c.error, NWS_ERROR_HTTP_EOF);
  }
  clear_environment();
  stage_end(&st);
}

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
      cmocka_unit_test(test_addresses),   cmocka_unit_test(test_exceptions),
      cmocka_unit_test(test_environment), cmocka_unit_test(test_cuts),
      cmocka_unit_test(test_behind),      cmocka_unit_test(test_bad_http),
      cmocka_unit_test(test_bad_socks),   cmocka_unit_test(test_ends),
      cmocka_unit_test(test_options),     cmocka_unit_test(test_all_the_way),
      cmocka_unit_test(test_redirect),    cmocka_unit_test(test_every_end),
  };
  return cmocka_run_group_tests(tests, prepare, clean_up);
}
