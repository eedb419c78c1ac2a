/* test_net_reconnect.c - clients that come back: when, how often, and with what
 * they had to say.
 */
#include "../../src/net/reconnect_internal.h"
#include "client_stage.h"

#ifdef NWS_TEST_TLS
#include "tls_certs.h"
#endif

/* --- When, and whether --- */

static void test_delays(void **state) {
  static const struct {
    uint32_t min, max;
    unsigned failures;
    uint32_t bound;
  } cases[] = {
      {250, 30000, 1, 500},      {250, 30000, 2, 1000},
      {250, 30000, 6, 16000},    {250, 30000, 7, 30000},
      {250, 30000, 8, 30000},    {100, 100, 9, 100},
      {250, 30000, 4000, 30000}, {1, UINT32_MAX, 99, UINT32_MAX},
  };
  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    uint32_t min = cases[i].min, max = cases[i].max;
    unsigned n = cases[i].failures;
    uint64_t span = (uint64_t)cases[i].bound - min;
    assert_int_equal(nws__reconnect_delay(min, max, n, 0), min);
    assert_int_equal(nws__reconnect_delay(min, max, n, span), cases[i].bound);
    assert_int_equal(nws__reconnect_delay(min, max, n, span + 1), min);
    if (span > 0)
      assert_int_equal(nws__reconnect_delay(min, max, n, 1), min + 1);
  }
}

static int mends(int error, int status) {
  nws_http_head head = {.status = (uint16_t)status};
  nws_closed how = {.error = error, .response = status != 0 ? &head : NULL};
  return nws__reconnect_mends(&how);
}

static void test_mends(void **state) {
  static const int again[] = {NWS_OK,
                              UV_ECONNREFUSED,
                              UV_ECANCELED,
                              UV_EAI_NONAME,
                              NWS_ERROR_MEMORY,
                              NWS_ERROR_EOF,
                              NWS_ERROR_TEXT,
                              NWS_ERROR_HANDSHAKE_TIMEOUT,
                              NWS_ERROR_PONG_TIMEOUT,
                              NWS_ERROR_HTTP_EOF,
                              NWS_ERROR_TLS,
                              NWS_ERROR_TLS_CUT,
                              NWS_ERROR_PROXY,
                              NWS_ERROR_PROXY_STATUS};
  static const int never[] = {NWS_ERROR_CONFIG,
                              NWS_ERROR_URI_PORT,
                              NWS_ERROR_PROXY_URI,
                              NWS_ERROR_ACCEPT,
                              NWS_ERROR_HTTP_START_LINE,
                              NWS_ERROR_STATUS,
                              NWS_ERROR_SUBPROTOCOL_MISSING,
                              NWS_ERROR_TLS_CERTIFICATE,
                              NWS_ERROR_TLS_HOST,
                              NWS_ERROR_TLS_PIN,
                              NWS_ERROR_TLS_PLAIN,
                              NWS_ERROR_REDIRECT,
                              NWS_ERROR_REDIRECT_LIMIT,
                              NWS_ERROR_REDIRECT_INSECURE,
                              NWS_ERROR_PROXY_AUTH};
  (void)state;
  for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
    if (!mends(again[i], 0))
      fail_msg("%s", nws_net_text(again[i]));
  for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
    if (mends(never[i], 0))
      fail_msg("%s", nws_net_text(never[i]));
  for (int status = 100; status < 600; status++) {
    int good = status >= 500 || status == 408 || status == 425 || status == 429;
    assert_int_equal(mends(NWS_ERROR_STATUS, status), good);
    assert_int_equal(mends(NWS_ERROR_PROXY_STATUS, status), good);
  }
}

/* --- A link and its server --- */

typedef struct line {
  fixture fx;
  char url[64];
  nws_client_options client;
  nws_reconnect_options options;
  nws_reconnect *link;
  int ends, stops, stop_error;
  uint32_t delay, longest; /* proposed */
  uint32_t answer;         /* what `ended` says; 0: at once */
  int obey;                /* `ended` says what was proposed */
  int stop_in_ended, stop_in_closed, stop_in_open;
} line;

static line *the_line;

static uint32_t note_ended(nws_reconnect *link, const nws_closed *how,
                           uint32_t delay_ms, void *user) {
  line *l = the_line;
  assert_ptr_equal(user, &l->fx.c);
  assert_int_equal(how->error, l->fx.c.error);
  l->ends++;
  l->delay = delay_ms;
  if (delay_ms != NWS_RECONNECT_NEVER && delay_ms > l->longest)
    l->longest = delay_ms;
  assert_null(nws_reconnect_peer(link));
  if (l->stop_in_ended)
    nws_reconnect_stop(link, 1000, nws_str_of(NULL));
  return l->obey ? delay_ms : l->answer;
}

static void note_stop(nws_reconnect *link, const nws_closed *how, void *user) {
  line *l = the_line;
  assert_ptr_equal(user, &l->fx.c);
  l->stops++;
  l->stop_error = how->error;
  assert_string_equal(how->detail, how->detail);
  assert_int_equal(nws_reconnect_send(link, NWS_OPCODE_BINARY, "x", 1),
                   NWS_ERROR_STATE);
  nws_reconnect_stop(link, 1000, nws_str_of(NULL));
  nws_reconnect_now(link);
  l->link = NULL;
}

static void on_open(nws_peer *peer) {
  note_open(peer);
  assert_ptr_equal(nws_peer_reconnect(peer), the_line->link);
  assert_ptr_equal(nws_reconnect_peer(the_line->link), peer);
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, "open", 4), NWS_OK);
  if (the_line->stop_in_open)
    nws_reconnect_stop(the_line->link, 1000, nws_str_of("open"));
}

static void on_close(nws_peer *peer, const nws_closed *how) {
  note_closed(peer, how);
  if (the_line->stop_in_closed)
    nws_reconnect_stop(the_line->link, 1000, nws_str_of(NULL));
}

/* All that the server was sent, one after the other. */
static char heard[4096];

static void hear(nws_peer *peer, unsigned opcode, uint8_t *data, size_t len) {
  char text[64];
  note_message(peer, opcode, data, len);
  copy_text(text, sizeof(text), data, len);
  strncat(heard, text, sizeof(heard) - strlen(heard) - 2);
  strcat(heard, " ");
}

static void line_init(line *l) {
  memset(l, 0, sizeof(*l));
  the_line = l;
  heard[0] = '\0';
  fixture_init(&l->fx);
  l->fx.server_handler.message = hear;
  l->fx.client_handler.open = on_open;
  l->fx.client_handler.closed = on_close;
  fixture_serve(&l->fx);
  snprintf(l->url, sizeof(l->url), "ws://127.0.0.1:%u/",
           (unsigned)nws_server_port(l->fx.server));
  l->client = client_options(&l->fx, l->url);
  l->options = (nws_reconnect_options){.size = sizeof(l->options),
                                       .client = &l->client,
                                       .ended = note_ended,
                                       .stopped = note_stop};
}

static void line_start(line *l) {
  assert_int_equal(nws_reconnect_start(l->fx.loop, &l->options, &l->link),
                   NWS_OK);
}

static void line_open(line *l) {
  line_start(l);
  step_until(&l->fx, l->fx.c.opens == 1 && l->fx.s.messages == 1);
}

static void line_stop(line *l) {
  if (l->link != NULL)
    nws_reconnect_stop(l->link, 1000, nws_str_of("enough"));
  step_until(&l->fx, l->stops == 1);
}

static void line_end(line *l) {
  line_stop(l);
  fixture_end(&l->fx);
  assert_int_equal(l->stops, 1);
}

/* --- Coming back --- */

static void test_comes_back(void **state) {
  line l;
  (void)state;
  line_init(&l);
  line_open(&l);
  for (int i = 2; i < 6; i++) {
    nws_peer_abort(l.fx.s.peer);
    step_until(&l.fx, l.fx.c.opens == i && l.fx.s.messages == i);
    assert_int_equal(l.ends, i - 1);
    assert_int_equal(l.fx.c.closes, i - 1);
    assert_int_equal(l.fx.c.error, NWS_ERROR_EOF);
  }
  /* Ends of our own making too; only the link's ends all. */
  nws_peer_close(nws_reconnect_peer(l.link), 1000, nws_str_of(NULL));
  step_until(&l.fx, l.fx.c.opens == 6);
  assert_int_equal(l.fx.c.error, NWS_OK);
  nws_peer_abort(nws_reconnect_peer(l.link));
  step_until(&l.fx, l.fx.c.opens == 7);
  line_stop(&l);
  assert_int_equal(l.stop_error, NWS_OK);
  assert_int_equal(l.ends, 6);
  line_end(&l);
}

/* Nobody is there at first. */
static void test_nobody_at_first(void **state) {
  uint16_t port;
  line l;
  (void)state;
  line_init(&l);
  l.options.min_delay_ms = 1;
  l.options.max_delay_ms = 4;
  l.obey = 1;
  int fd = listen_on(&port);
  close(fd);
  snprintf(l.url, sizeof(l.url), "ws://127.0.0.1:%u/", (unsigned)port);
  line_start(&l);
  step_until(&l.fx, l.ends == 6);
  assert_true(l.longest > 0 && l.longest <= 4);
  assert_int_equal(l.fx.c.error, UV_ECONNREFUSED);
  assert_int_equal(l.fx.c.opens, 0);
  snprintf(l.url, sizeof(l.url), "ws://127.0.0.1:%u/",
           (unsigned)nws_server_port(l.fx.server));
  step_until(&l.fx, l.fx.c.opens == 1);
  line_end(&l);
}

/* The waits grow while connections do not last, and begin anew when one did. */
static void test_steady(void **state) {
  line l;
  (void)state;
  for (int steady = 0; steady < 2; steady++) {
    line_init(&l);
    l.options.min_delay_ms = 1000;
    l.options.max_delay_ms = 1000000;
    l.options.steady_ms = steady ? 1 : 1000000;
    line_open(&l);
    for (int i = 2; i < 14; i++) {
      step_for(&l.fx, 2);
      nws_peer_abort(l.fx.s.peer);
      step_until(&l.fx, l.fx.c.opens == i && l.fx.s.opens == i);
      assert_true(l.delay >= 1000);
    }
    /* That no wait of twelve was longer happens once in 2^60 times. */
    assert_int_equal(l.longest <= 2000, steady);
    line_end(&l);
  }
}

static void test_now(void **state) {
  line l;
  (void)state;
  line_init(&l);
  l.options.min_delay_ms = 20000;
  l.obey = 1;
  line_open(&l);
  nws_reconnect_now(l.link); /* it is */
  nws_peer_abort(l.fx.s.peer);
  step_until(&l.fx, l.ends == 1);
  assert_true(l.delay >= 20000);
  nws_reconnect_now(l.link);
  step_until(&l.fx, l.fx.c.opens == 2);
  line_end(&l);
}

/* --- What is said meanwhile --- */

static int say(line *l, const char *text) {
  return nws_reconnect_send(l->link, NWS_OPCODE_TEXT, text, strlen(text));
}

/* Loses the connection, with a long wait before the next. */
static void lose(line *l) {
  l->answer = 100000;
  nws_peer_abort(l->fx.s.peer);
  step_until(&l->fx, l->ends == 1);
  heard[0] = '\0';
}

static void test_keep(void **state) {
  line l;
  (void)state;
  line_init(&l);
  l.options.policy = NWS_RECONNECT_KEEP;
  l.options.max_kept = 10;
  line_open(&l);
  assert_int_equal(say(&l, "direct"), NWS_OK);
  assert_int_equal(nws_reconnect_kept(l.link), 0);
  step_until(&l.fx, l.fx.s.messages == 2);
  lose(&l);
  assert_int_equal(say(&l, "one"), NWS_OK);
  assert_int_equal(say(&l, "two"), NWS_OK);
  assert_int_equal(say(&l, "three"), NWS_ERROR_QUEUE);
  assert_int_equal(say(&l, "four"), NWS_OK);
  assert_int_equal(say(&l, ""), NWS_OK);
  assert_int_equal(say(&l, "!"), NWS_ERROR_QUEUE);
  assert_int_equal(nws_reconnect_kept(l.link), 10);
  nws_reconnect_now(l.link);
  step_until(&l.fx, l.fx.s.messages == 7);
  assert_string_equal(heard, "open one two four  ");
  assert_int_equal(nws_reconnect_kept(l.link), 0);
  line_end(&l);
}

static void test_drop_oldest(void **state) {
  line l;
  (void)state;
  line_init(&l);
  l.options.policy = NWS_RECONNECT_DROP_OLDEST;
  l.options.max_kept = 10;
  line_open(&l);
  lose(&l);
  assert_int_equal(say(&l, "one"), NWS_OK);
  assert_int_equal(say(&l, "two"), NWS_OK);
  assert_int_equal(say(&l, "three"), NWS_OK);
  assert_int_equal(nws_reconnect_kept(l.link), 8);
  assert_int_equal(say(&l, "more than ten"), NWS_ERROR_QUEUE);
  assert_int_equal(nws_reconnect_kept(l.link), 8);
  nws_reconnect_now(l.link);
  step_until(&l.fx, l.fx.s.messages == 4);
  assert_string_equal(heard, "open two three ");
  lose(&l);
  line_end(&l);
}

/* Messages without bytes need memory too. */
static void test_keep_empty(void **state) {
  line l;
  (void)state;
  line_init(&l);
  l.options.policy = NWS_RECONNECT_KEEP;
  l.options.max_kept = 16 * 2000;
  line_open(&l);
  lose(&l);
  for (int i = 0; i < 2000; i++)
    assert_int_equal(say(&l, ""), NWS_OK);
  assert_int_equal(say(&l, ""), NWS_ERROR_QUEUE);
  line_end(&l);
}

/* The least number, and the oldest makes room. */
static void test_drop_oldest_empty(void **state) {
  int messages;
  line l;
  (void)state;
  line_init(&l);
  l.options.policy = NWS_RECONNECT_DROP_OLDEST;
  l.options.max_kept = 10;
  line_open(&l);
  lose(&l);
  messages = l.fx.s.messages;
  assert_int_equal(say(&l, "one"), NWS_OK);
  for (int i = 0; i < 1023; i++)
    assert_int_equal(say(&l, ""), NWS_OK);
  assert_int_equal(nws_reconnect_kept(l.link), 3);
  assert_int_equal(say(&l, ""), NWS_OK);
  assert_int_equal(nws_reconnect_kept(l.link), 0);
  nws_reconnect_now(l.link);
  step_until(&l.fx, l.fx.s.messages == messages + 1 + 1024);
  lose(&l);
  line_end(&l);
}

static void test_refuse(void **state) {
  line l;
  (void)state;
  line_init(&l);
  line_open(&l);
  lose(&l);
  assert_int_equal(say(&l, "one"), NWS_ERROR_STATE);
  nws_reconnect_now(l.link);
  step_until(&l.fx, l.fx.s.messages == 2);
  assert_int_equal(say(&l, "two"), NWS_OK);
  step_until(&l.fx, l.fx.s.messages == 3);
  assert_string_equal(heard, "open two ");
  line_end(&l);
}

static void test_send_errors(void **state) {
  line l;
  (void)state;
  line_init(&l);
  l.options.policy = NWS_RECONNECT_KEEP;
  line_start(&l);
  unsigned bad[] = {NWS_OPCODE_PING, NWS_OPCODE_CLOSE, NWS_OPCODE_CONTINUATION,
                    NWS_OPCODE_TEXT | NWS_SEND_MORE, 3};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    assert_int_equal(nws_reconnect_send(l.link, bad[i], "x", 1),
                     NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_reconnect_send(l.link, NWS_OPCODE_TEXT, NULL, 1),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_reconnect_send(NULL, NWS_OPCODE_TEXT, "x", 1),
                   NWS_ERROR_ARGUMENT);
  for (int open = 0; open < 2; open++) {
    unsigned plain = NWS_OPCODE_BINARY | NWS_SEND_PLAIN;
    assert_int_equal(say(&l, "\xff"), NWS_ERROR_TEXT_SEND);
    assert_int_equal(nws_reconnect_send(l.link, plain, "\xff", 1), NWS_OK);
    step_until(&l.fx, l.fx.s.messages == 2 + open);
  }
  line_end(&l);
}

/* More is kept than a connection takes at once: the rest follows when it is
 * drained, what is sent then waits behind it, and the application hears of the
 * drain only at the end. */
static void test_large_backlog(void **state) {
  enum { COUNT = 400, LEN = 65536 };
  static char data[LEN];
  size_t bytes = 0;
  line l;
  (void)state;
  line_init(&l);
  l.options.policy = NWS_RECONNECT_KEEP;
  l.options.max_kept = COUNT * LEN;
  l.client.limits.high_water = 100000;
  l.client.limits.max_queue = 200000;
  line_open(&l);
  lose(&l);
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(nws_reconnect_send(l.link, NWS_OPCODE_BINARY, data, LEN),
                     NWS_OK);
  assert_int_equal(nws_reconnect_send(l.link, NWS_OPCODE_BINARY, data, 1),
                   NWS_ERROR_QUEUE);
  bytes = l.fx.s.bytes;
  nws_reconnect_now(l.link);
  step_until(&l.fx, l.fx.c.opens == 2);
  while (nws_reconnect_kept(l.link) > (COUNT - 1) * (size_t)LEN)
    step(&l.fx);
  assert_int_equal(say(&l, "last"), NWS_OK);
  step_until(&l.fx, l.fx.s.messages == 2 + COUNT + 1);
  assert_int_equal(l.fx.s.bytes, bytes + 4 + (size_t)COUNT * LEN + 4);
  assert_string_equal(l.fx.s.last, "last");
  assert_int_equal(nws_reconnect_kept(l.link), 0);
  line_end(&l);
}

/* --- The end --- */

static void test_does_not_mend(void **state) {
  static const char no[] = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
  stage st;
  line l;
  (void)state;
  line_init(&l);
  stage_init(&st);
  snprintf(l.url, sizeof(l.url), "ws://127.0.0.1:%u/", (unsigned)st.port);
  fixture_end(&st.fx);
  st.fx = l.fx;
  line_start(&l);
  stage_accept(&st); /* told to try again all the same */
  raw_send(&l.fx, &st.r, no, sizeof(no) - 1);
  step_until(&l.fx, l.ends == 1);
  assert_int_equal(l.delay, NWS_RECONNECT_NEVER);
  raw_free(&st.r);
  l.obey = 1;
  stage_accept(&st);
  raw_send(&l.fx, &st.r, no, sizeof(no) - 1);
  step_until(&l.fx, l.stops == 1);
  assert_int_equal(l.ends, 2);
  assert_int_equal(l.stop_error, NWS_ERROR_STATUS);
  raw_free(&st.r);
  close(st.listener);
  line_end(&l);
}

/* By default the same happens without being asked. */
static void test_without_callbacks(void **state) {
  line l;
  (void)state;
  line_init(&l);
  l.options.ended = NULL;
  l.options.min_delay_ms = 1;
  l.options.max_delay_ms = 1;
  line_open(&l);
  nws_peer_abort(l.fx.s.peer);
  step_until(&l.fx, l.fx.c.opens == 2);
  l.options.stopped = NULL;
  line_stop(&l);

  nws_handler none = {.size = sizeof(none)};
  nws_reconnect *link;
  int closes = l.fx.s.closes;
  l.client.handler = &none;
  assert_int_equal(nws_reconnect_start(l.fx.loop, &l.options, &link), NWS_OK);
  step_until(&l.fx, nws_reconnect_peer(link) != NULL);
  nws_reconnect_stop(link, 1000, nws_str_of(NULL));
  step_until(&l.fx, l.fx.s.closes > closes);
  fixture_end(&l.fx);
}

static void test_stop(void **state) {
  line l;
  (void)state;
  for (int how = 0; how < 8; how++) {
    line_init(&l);
    l.options.policy = NWS_RECONNECT_KEEP;
    l.stop_in_open = how == 5;
    l.stop_in_closed = how == 6;
    l.stop_in_ended = how == 7;
    line_start(&l);
    if (how == 0) { /* while it connects */
      assert_int_equal(say(&l, "lost"), NWS_OK);
      line_stop(&l);
      assert_int_equal(l.stop_error, UV_ECANCELED);
    } else {
      step_until(&l.fx, l.fx.c.opens == 1 && l.fx.s.messages == 1);
    }
    if (how == 1) { /* twice */
      nws_reconnect_stop(l.link, 1000, nws_str_of(NULL));
      nws_reconnect_stop(l.link, 1000, nws_str_of(NULL));
      line_stop(&l);
      assert_int_equal(l.stop_error, UV_ECANCELED);
    } else if (how == 2) { /* with a code that may not be sent */
      nws_reconnect_stop(l.link, 1006, nws_str_of(NULL));
      step_until(&l.fx, l.stops == 1);
      assert_int_equal(l.stop_error, UV_ECANCELED);
    } else if (how == 3) { /* while it closes already */
      nws_peer_close(nws_reconnect_peer(l.link), 4001, nws_str_of(NULL));
      line_stop(&l);
      assert_int_equal(l.stop_error, NWS_OK);
      assert_int_equal(l.fx.c.code_sent, 4001);
    } else if (how == 4) { /* while it waits */
      lose(&l);
      assert_int_equal(say(&l, "lost"), NWS_OK);
      line_stop(&l);
      assert_int_equal(l.stop_error, UV_ECANCELED);
    } else if (how == 5) {
      step_until(&l.fx, l.stops == 1);
      assert_int_equal(l.stop_error, NWS_OK);
    } else if (how > 5) {
      nws_peer_abort(l.fx.s.peer);
      step_until(&l.fx, l.stops == 1);
      assert_int_equal(l.stop_error, NWS_ERROR_EOF);
      assert_int_equal(l.ends, how == 7);
    }
    line_end(&l);
  }
}

static void test_options(void **state) {
  nws_reconnect *link;
  line l;
  (void)state;
  line_init(&l);
  assert_int_equal(nws_reconnect_start(l.fx.loop, NULL, &link),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_reconnect_start(NULL, &l.options, &link),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_reconnect_start(l.fx.loop, &l.options, NULL),
                   NWS_ERROR_ARGUMENT);
  l.options.min_delay_ms = 40000;
  assert_int_equal(nws_reconnect_start(l.fx.loop, &l.options, &link),
                   NWS_ERROR_CONFIG);
  l.options.min_delay_ms = 0;
  l.options.policy = (nws_reconnect_policy)3;
  assert_int_equal(nws_reconnect_start(l.fx.loop, &l.options, &link),
                   NWS_ERROR_ARGUMENT);
  l.options.policy = NWS_RECONNECT_REFUSE;
  l.client.url = "ws://h:x/";
  assert_int_equal(nws_reconnect_start(l.fx.loop, &l.options, &link),
                   NWS_ERROR_URI_PORT);
  assert_null(link);
  l.client.handler = NULL;
  assert_int_equal(nws_reconnect_start(l.fx.loop, &l.options, &link),
                   NWS_ERROR_ARGUMENT);
  l.options.client = NULL;
  assert_int_equal(nws_reconnect_start(l.fx.loop, &l.options, &link),
                   NWS_ERROR_ARGUMENT);
  /* Options that go bad later. */
  l.client = client_options(&l.fx, l.url);
  l.options.client = &l.client;
  l.obey = 1;
  line_open(&l);
  snprintf(l.url, sizeof(l.url), "ftp://h/");
  l.fx.c.error = NWS_ERROR_EOF;
  nws_peer_abort(l.fx.s.peer);
  step_until(&l.fx, l.ends == 1);
  nws_reconnect_now(l.link);
  l.fx.c.error = NWS_ERROR_URI_SCHEME;
  step_until(&l.fx, l.stops == 1);
  assert_int_equal(l.stop_error, NWS_ERROR_URI_SCHEME);
  line_end(&l);
}

#ifdef NWS_TEST_TLS
/* A certificate that is not trusted ends it; a trusted one does not. */
static void test_tls(void **state) {
  cert_plan plan = {.name = "server", .names = "DNS:localhost", .is_root = 1};
  cert own;
  line l;
  (void)state;
  cert_make(&own, &plan);
  nws_tls *shown = cert_tls(&own, NULL, NULL);
  nws_tls *trust = cert_tls(NULL, &own, NULL);
  for (int trusted = 0; trusted < 2; trusted++) {
    line_init(&l);
    nws_server *plain = l.fx.server;
    l.fx.options.tls = shown;
    assert_int_equal(nws_server_start(l.fx.loop, &l.fx.options, &l.fx.server),
                     NWS_OK);
    snprintf(l.url, sizeof(l.url), "wss://localhost:%u/",
             (unsigned)nws_server_port(l.fx.server));
    l.client.tls = trusted ? trust : NULL;
    l.obey = !trusted;
    line_start(&l);
    if (trusted) {
      step_until(&l.fx, l.fx.s.opens == 1);
      nws_peer_abort(l.fx.s.peer);
      step_until(&l.fx, l.fx.c.opens == 2);
      line_stop(&l);
    } else {
      step_until(&l.fx, l.stops == 1);
      assert_int_equal(l.ends, 1);
      assert_int_equal(l.stop_error, NWS_ERROR_TLS_CERTIFICATE);
    }
    nws_server *secure = l.fx.server;
    l.fx.server = plain;
    nws_server_stop(plain, 1001);
    step_until(&l.fx, l.fx.stops == 1);
    l.fx.server = secure;
    line_end(&l);
  }
  nws_tls_drop(shown);
  nws_tls_drop(trust);
  cert_free(&own);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_delays),
      cmocka_unit_test(test_mends),
      cmocka_unit_test(test_comes_back),
      cmocka_unit_test(test_nobody_at_first),
      cmocka_unit_test(test_steady),
      cmocka_unit_test(test_now),
      cmocka_unit_test(test_keep),
      cmocka_unit_test(test_drop_oldest),
      cmocka_unit_test(test_keep_empty),
      cmocka_unit_test(test_drop_oldest_empty),
      cmocka_unit_test(test_refuse),
      cmocka_unit_test(test_send_errors),
      cmocka_unit_test(test_large_backlog),
      cmocka_unit_test(test_does_not_mend),
      cmocka_unit_test(test_without_callbacks),
      cmocka_unit_test(test_stop),
      cmocka_unit_test(test_options),
#ifdef NWS_TEST_TLS
      cmocka_unit_test(test_tls),
#endif
  };
  return run_without_leaks(tests);
}
