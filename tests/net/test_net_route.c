/* test_net_route.c - one server with several paths.
 */
#include "net_fixture.h"

static int heard_exact, heard_below, heard_longer;

static void on_exact(nws_peer *peer, unsigned opcode, uint8_t *data,
                     size_t len) {
  heard_exact++;
  nws_peer_send(peer, opcode, data, len);
}

static void on_below(nws_peer *peer, unsigned opcode, uint8_t *data,
                     size_t len) {
  heard_below++;
  nws_peer_send(peer, opcode, data, len);
}

static void on_longer(nws_peer *peer, unsigned opcode, uint8_t *data,
                      size_t len) {
  heard_longer++;
  nws_peer_send(peer, opcode, data, len);
}

static const nws_handler exact = {.size = sizeof(exact), .message = on_exact};
static const nws_handler below = {.size = sizeof(below), .message = on_below};
static const nws_handler longer = {.size = sizeof(longer),
                                   .message = on_longer};

static void url_of(const fixture *fx, const char *target, char *out,
                   size_t cap) {
  snprintf(out, cap, "ws://127.0.0.1:%u%s",
           (unsigned)nws_server_port(fx->server), target);
}

/* Connects to a target, says hello, and gives the status that was answered. */
static int visit(fixture *fx, const char *target,
                 const nws_client_offer *offer) {
  int messages = fx->c.messages, closes = fx->c.closes, opens = fx->c.opens;
  nws_str none = {NULL, 0};
  char url[128];
  url_of(fx, target, url, sizeof(url));
  nws_peer *peer = fixture_connect_to(fx, url, offer);
  step_until(fx, fx->c.opens > opens || fx->c.closes > closes);
  if (fx->c.opens == opens) {
    assert_int_equal(fx->c.error, NWS_ERROR_STATUS);
    return fx->c.status;
  }
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, "hi", 2), NWS_OK);
  step_until(fx, fx->c.messages > messages);
  assert_int_equal(nws_peer_close(peer, NWS_CLOSE_NORMAL, none), NWS_OK);
  step_until(fx, fx->c.closes > closes);
  return 101;
}

static void test_paths(void **state) {
  const nws_route routes[] = {
      {.size = sizeof(nws_route), .path = "/a/*", .handler = &below},
      {.size = sizeof(nws_route), .path = "/a/b", .handler = &exact},
      {.size = sizeof(nws_route), .path = "/a/b/*", .handler = &longer},
      {.size = sizeof(nws_route), .path = "/own"}};
  static const struct {
    const char *target;
    int exact, below, longer, own;
  } cases[] = {{"/a/b", 1, 0, 0, 0},   {"/a/b?x=/a/b/c", 1, 0, 0, 0},
               {"/a/", 0, 1, 0, 0},    {"/a/c", 0, 1, 0, 0},
               {"/a/bc", 0, 1, 0, 0},  {"/a/c/d/e", 0, 1, 0, 0},
               {"/a/b/", 0, 0, 1, 0},  {"/a/b/c", 0, 0, 1, 0},
               {"/own", 0, 0, 0, 1},   {"/", 0, 0, 0, 0},
               {"/a", 0, 0, 0, 0},     {"/own/", 0, 0, 0, 0},
               {"/ow", 0, 0, 0, 0},    {"/A/b", 0, 0, 0, 0},
               {"/%61/b", 0, 0, 0, 0}, {"/?/a/b", 0, 0, 0, 0}};
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.options.routes = routes;
  fx.options.route_count = 4;
  fixture_serve(&fx);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    int served =
        cases[i].exact + cases[i].below + cases[i].longer + cases[i].own;
    heard_exact = heard_below = heard_longer = fx.s.messages = 0;
    assert_int_equal(visit(&fx, cases[i].target, NULL), served ? 101 : 404);
    assert_int_equal(heard_exact, cases[i].exact);
    assert_int_equal(heard_below, cases[i].below);
    assert_int_equal(heard_longer, cases[i].longer);
    assert_int_equal(fx.s.messages, cases[i].own);
  }
  fixture_end(&fx);
}

/* --- What is a route's own --- */

static nws_str chosen;
static char chosen_text[32];
static int user_a, user_seen;

static void note_choice(nws_peer *peer) {
  nws_str name = nws_peer_subprotocol(peer);
  copy_text(chosen_text, sizeof(chosen_text), name.ptr, name.len);
  chosen = nws_str_of(chosen_text);
  user_seen = nws_peer_user(peer) == &user_a;
}

static void test_own_policy(void **state) {
  const nws_str spoken[] = {{"v2", 2}};
  const nws_str wanted[] = {{"v1", 2}, {"v2", 2}};
  const nws_str origins[] = {{"https://a.example", 17}};
  const nws_handler look = {
      .size = sizeof(look), .open = note_choice, .message = on_exact};
  const nws_server_policy v2 = {.size = sizeof(v2),
                                .subprotocols = spoken,
                                .subprotocol_count = 1,
                                .require_subprotocol = 1};
  const nws_server_policy strict = {.size = sizeof(strict),
                                    .origin = NWS_ORIGIN_LIST,
                                    .origins = origins,
                                    .origin_count = 1,
                                    .require_origin = 1};
  const nws_route routes[] = {
      {.size = sizeof(nws_route),
       .path = "/v2",
       .handler = &look,
       .policy = &v2,
       .user = &user_a},
      {.size = sizeof(nws_route),
       .path = "/strict",
       .handler = &look,
       .policy = &strict},
      {.size = sizeof(nws_route), .path = "/any", .handler = &look}};
  nws_client_offer offer = {
      .size = sizeof(offer), .subprotocols = wanted, .subprotocol_count = 2};
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.options.routes = routes;
  fx.options.route_count = 3;
  fixture_serve(&fx);
  assert_int_equal(visit(&fx, "/v2", &offer), 101);
  assert_string_equal(chosen_text, "v2");
  assert_true(user_seen);
  assert_int_equal(visit(&fx, "/any", &offer), 101);
  assert_string_equal(chosen_text, "");
  assert_false(user_seen);
  assert_int_equal(visit(&fx, "/v2", NULL), 400);
  assert_int_equal(visit(&fx, "/strict", NULL), 403);
  offer = (nws_client_offer){.size = sizeof(offer), .origin = origins[0]};
  assert_int_equal(visit(&fx, "/strict", &offer), 101);
  assert_int_equal(visit(&fx, "/any", &offer), 403); /* as the server has it */
  fixture_end(&fx);
}

static void test_own_limits(void **state) {
  const nws_conn_config tiny = {.size = sizeof(tiny), .max_message = 1};
  const nws_route routes[] = {
      {.size = sizeof(nws_route), .path = "/tiny", .conn = &tiny},
      {.size = sizeof(nws_route), .path = "/*"}};
  char url[128];
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.options.routes = routes;
  fx.options.route_count = 2;
  fixture_serve(&fx);
  assert_int_equal(visit(&fx, "/wide", NULL), 101);
  url_of(&fx, "/tiny", url, sizeof(url));
  nws_peer *peer = fixture_connect_to(&fx, url, NULL);
  step_until(&fx, fx.c.opens == 2);
  assert_int_equal(nws_peer_send(peer, NWS_OPCODE_TEXT, "hi", 2), NWS_OK);
  step_until(&fx, fx.c.closes == 2);
  assert_int_equal(fx.c.code, 1009);
  fixture_end(&fx);
}

/* Where nothing is served, the server's own callback may have an answer. */
static void answer_page(nws_peer *peer, const nws_server_handshake *request,
                        int error) {
  nws_rejection page = {.size = sizeof(page), .status = 200};
  note_http(peer, request, error);
  page.body = nws_str_of("ok\n");
  assert_int_equal(nws_peer_respond(peer, &page), NWS_OK);
}

static void test_plain_http(void **state) {
  static const char health[] = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
  static const char chat[] = "GET /chat HTTP/1.1\r\nHost: a\r\n\r\n";
  const nws_route routes[] = {{.size = sizeof(nws_route), .path = "/chat"}};
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.server_handler.http = answer_page;
  fx.options.routes = routes;
  fx.options.route_count = 1;
  fixture_serve(&fx);
  raw_connect(&r, &fx);
  raw_send(&fx, &r, health, sizeof(health) - 1);
  raw_until(&fx, &r, r.ended);
  assert_int_equal(memcmp(r.data, "HTTP/1.1 200 ", 13), 0);
  assert_int_equal(fx.s.http_error, NWS_ERROR_PATH);
  raw_free(&r);
  raw_connect(&r, &fx);
  raw_send(&fx, &r, chat, sizeof(chat) - 1);
  raw_until(&fx, &r, r.ended);
  assert_int_equal(fx.s.http_error, NWS_ERROR_UPGRADE);
  raw_free(&r);
  fixture_end(&fx);
}

static void test_mistakes(void **state) {
  static const char *const bad[] = {NULL,   "",    "chat", "*",
                                    "/*/a", "/a*", "/**"};
  nws_route route = {.size = sizeof(route)};
  nws_server *server;
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.options.routes = &route;
  fx.options.route_count = 1;
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    route.path = bad[i];
    assert_int_equal(nws_server_start(fx.loop, &fx.options, &server),
                     NWS_ERROR_ARGUMENT);
    assert_null(server);
  }
  route.path = "/a";
  route.size = 3;
  assert_int_equal(nws_server_start(fx.loop, &fx.options, &server),
                   NWS_ERROR_ARGUMENT);
  fx.options.routes = NULL;
  assert_int_equal(nws_server_start(fx.loop, &fx.options, &server),
                   NWS_ERROR_ARGUMENT);
  fixture_end(&fx);
}

/* A policy that could not be used would answer every request with 500. */
static void test_mistaken_policy(void **state) {
  nws_server_policy policy = {.size = 0};
  nws_route route = {.size = sizeof(route), .path = "/a", .policy = &policy};
  nws_server *server;
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fx.options.routes = &route;
  fx.options.route_count = 1;
  assert_int_equal(nws_server_start(fx.loop, &fx.options, &server),
                   NWS_ERROR_ARGUMENT);
  fx.options.route_count = 0;
  fx.options.policy = &policy;
  assert_int_equal(nws_server_start(fx.loop, &fx.options, &server),
                   NWS_ERROR_ARGUMENT);
  policy.size = sizeof(policy);
  fixture_serve(&fx);
  fixture_end(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_paths),      cmocka_unit_test(test_own_policy),
      cmocka_unit_test(test_own_limits), cmocka_unit_test(test_plain_http),
      cmocka_unit_test(test_mistakes),   cmocka_unit_test(test_mistaken_policy),
  };
  return cmocka_run_group_tests(tests, fds_remember, fds_compare);
}
