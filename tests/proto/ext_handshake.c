/* ext_handshake.c - extensions agreed on in the opening handshake, from the
 * client's offer to messages that use them.
 *
 * A test says which extensions each side knows; the exchange runs through the
 * handshake functions of both, or with one side's text written by the test.
 */
#include "ext_help.h"
#include "ext_tests.h"

#include <nws/handshake.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 2048, SCRATCH = 64 };

static const nws_str header_name = {"Sec-WebSocket-Extensions", 24};

typedef struct exchange {
  nws_uri uri;
  nws_client_offer offer;
  nws_server_policy policy;
  const nws_extension *client_knows[NWS_EXTENSIONS_MAX];
  const nws_extension *server_knows[NWS_EXTENSIONS_MAX];
  nws_client_handshake client;
  nws_server_handshake server;
  char request[TEXT_MAX];
  char response[TEXT_MAX];
  size_t request_len;
  size_t response_len;
  int states; /* that there were before */
} exchange;

static int fill_zero(void *user, void *out, size_t len) {
  (void)user;
  memset(out, 0, len);
  return 0;
}

static const nws_random no_random = {fill_zero, NULL};

static size_t copy_known(const nws_extension **to,
                         const ext_sample *const *from) {
  size_t count = 0;
  while (from[count] != NULL) {
    to[count] = &from[count]->base;
    count++;
  }
  return count;
}

/* Sets up both sides; the lists end with NULL. */
static exchange *prepare(const ext_sample *const *client,
                         const ext_sample *const *server) {
  static const char text[] = "ws://example.org/";
  exchange *x = calloc(1, sizeof(*x));
  assert_non_null(x);
  assert_int_equal(nws_uri_parse(&x->uri, text, sizeof(text) - 1, NULL),
                   NWS_OK);
  x->states = ext_states;
  x->offer.size = sizeof(x->offer);
  x->offer.uri = &x->uri;
  x->offer.extensions = x->client_knows;
  x->offer.extension_count = copy_known(x->client_knows, client);
  x->policy.size = sizeof(x->policy);
  x->policy.extensions = x->server_knows;
  x->policy.extension_count = copy_known(x->server_knows, server);
  return x;
}

static int start(exchange *x) {
  return nws_client_handshake_start(&x->client, &x->offer, &no_random,
                                    x->request, TEXT_MAX, &x->request_len);
}

static int serve(exchange *x) {
  const int status = nws_server_handshake_read(&x->server, &x->policy,
                                               x->request, x->request_len);
  return status != NWS_OK
             ? status
             : nws_server_handshake_accept(&x->server, NULL, x->response,
                                           TEXT_MAX, &x->response_len);
}

static int confirm(exchange *x) {
  return nws_client_handshake_read(&x->client, x->response, x->response_len);
}

static void give_back(exchange *x) {
  nws_extension_release(x->server.extensions, x->server.extension_count);
  nws_extension_release(x->client.extensions, x->client.extension_count);
  assert_int_equal(ext_states, x->states);
  free(x);
}

/* The value of the header in a head. */
static void expect_header(const nws_http_head *head, const char *want) {
  const size_t at = nws_header_find(head->headers, head->count, header_name, 0);
  if (want == NULL) {
    assert_int_equal(at, head->count);
    return;
  }
  assert_true(at < head->count);
  assert_int_equal(head->headers[at].value.len, strlen(want));
  assert_memory_equal(head->headers[at].value.ptr, want, strlen(want));
}

/* Writes the server's answer by hand. */
static void answer(exchange *x, const char *extensions) {
  char accept[NWS_HANDSHAKE_ACCEPT_LEN];
  nws_handshake_accept_key(nws_str_make(x->client.key, NWS_HANDSHAKE_KEY_LEN),
                           accept);
  x->response_len = (size_t)snprintf(
      x->response, TEXT_MAX,
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n%s%s\r\n",
      NWS_HANDSHAKE_ACCEPT_LEN, accept, extensions,
      extensions[0] != 0 ? "\r\n" : "");
}

/* Writes the client's request by hand. */
static void ask_for(exchange *x, const char *extensions) {
  x->request_len = (size_t)snprintf(
      x->request, TEXT_MAX,
      "GET / HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
      "Sec-WebSocket-Extensions: %s\r\n\r\n",
      extensions);
}

/* What the server answers. */
static void expect_answer(const exchange *x, const char *want) {
  nws_header room[16];
  nws_http_head head = {.headers = room, .max_headers = 16};
  assert_int_equal(nws_http_parse_response(&head, x->response, x->response_len),
                   NWS_OK);
  expect_header(&head, want);
}

#define SAMPLES(...)                                                           \
  (const ext_sample *const[]) {                                                \
    __VA_ARGS__, NULL                                                          \
  }

static ext_sample with_offer(const ext_sample *sample, unsigned max_run,
                             const char *offer) {
  ext_sample changed = *sample;
  changed.max_run = max_run;
  changed.offer = offer;
  return changed;
}

static void agree_with_a_parameter(void **unused) {
  const ext_sample client = with_offer(&ext_rle, 200, NULL);
  const ext_sample server = with_offer(&ext_rle, 100, NULL);
  exchange *x = prepare(SAMPLES(&client), SAMPLES(&server));
  (void)unused;
  assert_int_equal(start(x), NWS_OK);
  assert_int_equal(serve(x), NWS_OK);
  expect_header(&x->server.head, "x-rle; max-run=200");
  assert_int_equal(confirm(x), NWS_OK);
  expect_header(&x->client.head, "x-rle; max-run=100");
  assert_int_equal(x->server.extension_count, 1);
  assert_int_equal(x->client.extension_count, 1);
  assert_ptr_equal(x->server.extensions[0].ext, &server.base);
  assert_ptr_equal(x->client.extensions[0].ext, &client.base);
  assert_int_equal(((ext_state *)x->server.extensions[0].state)->max_run, 100);
  assert_int_equal(((ext_state *)x->client.extensions[0].state)->max_run, 100);
  give_back(x);
}

/* Messages both ways over what was agreed; the bytes that a run of 100 at most
 * gives show that the parameter arrived in the connection. */
static void pass(exchange *x, int to_server, ext_rig *rig) {
  nws_extension_use *uses =
      to_server ? x->client.extensions : x->server.extensions;
  nws_extension_use *peer_uses =
      to_server ? x->server.extensions : x->client.extensions;
  nws_conn from, to;
  char payload[300];
  uint8_t out[1024];
  nws_event event;
  nws_input in = {out, 0, 0};
  size_t got = 0;
  memset(payload, 'a', sizeof(payload));
  assert_int_equal(nws_conn_init(&from,
                                 to_server ? NWS_ROLE_CLIENT : NWS_ROLE_SERVER,
                                 &rig->config, uses, x->client.extension_count),
                   NWS_OK);
  assert_int_equal(
      nws_conn_init(&to, to_server ? NWS_ROLE_SERVER : NWS_ROLE_CLIENT,
                    &rig->config, peer_uses, x->server.extension_count),
      NWS_OK);
  assert_int_equal(nws_conn_send(&from, NWS_OPCODE_TEXT, payload,
                                 sizeof(payload), out, sizeof(out), &in.len),
                   NWS_OK);
  assert_int_equal(in.len, (to_server ? 6 : 2) + 3 * 3);
  while (nws_conn_recv(&to, &in, &event) == NWS_EVENT_DATA) {
    assert_int_equal(event.rsv, NWS_RSV1 | NWS_RSV2);
    assert_memory_equal(event.data, payload, event.len);
    got += event.len;
  }
  assert_int_equal(got, sizeof(payload));
  assert_int_equal(nws_conn_fault(&to).error, NWS_OK);
}

static void agree_and_talk(void **unused) {
  const ext_setup setup = {NWS_ROLE_SERVER, {0}, {NULL}};
  const ext_sample server = with_offer(&ext_rle, 100, NULL);
  exchange *x = prepare(SAMPLES(&ext_time, &ext_rle, &ext_xor),
                        SAMPLES(&ext_xor, &ext_ascii, &server));
  ext_rig rig;
  (void)unused;
  assert_int_equal(start(x), NWS_OK);
  assert_int_equal(serve(x), NWS_OK);
  expect_header(&x->server.head, "x-time, x-rle; max-run=255, x-xor");
  assert_int_equal(confirm(x), NWS_OK);
  expect_header(&x->client.head, "x-rle; max-run=100, x-xor");
  assert_int_equal(x->client.extension_count, 2);
  assert_ptr_equal(x->client.extensions[0].ext, &ext_rle.base);
  assert_ptr_equal(x->client.extensions[1].ext, &ext_xor.base);
  ext_rig_make(&rig, &setup, SCRATCH);
  pass(x, 1, &rig);
  pass(x, 0, &rig);
  free(rig.scratch);
  give_back(x);
}

/* The server takes the client's first offer that it can, of several of one
 * name and over several header lines. */
static void fall_back_to_the_second_offer(void **unused) {
  const ext_sample client =
      with_offer(&ext_rle, 255, "x-rle; max-run=0, x-rle; max-run=50, x-rle");
  exchange *x = prepare(SAMPLES(&client), SAMPLES(&ext_rle));
  (void)unused;
  assert_int_equal(start(x), NWS_OK);
  assert_int_equal(serve(x), NWS_OK);
  assert_int_equal(confirm(x), NWS_OK);
  expect_header(&x->client.head, "x-rle; max-run=50");
  assert_int_equal(x->server.extension_count, 1);
  give_back(x);
}

static void decline_all(void **unused) {
  const ext_sample client =
      with_offer(&ext_rle, 255, "x-rle; speed=11, x-rle; max-run=256");
  exchange *x = prepare(SAMPLES(&client, &ext_time), SAMPLES(&ext_rle));
  (void)unused;
  assert_int_equal(start(x), NWS_OK);
  assert_int_equal(serve(x), NWS_OK);
  assert_int_equal(confirm(x), NWS_OK);
  expect_header(&x->client.head, NULL);
  assert_int_equal(x->server.extension_count, 0);
  assert_int_equal(x->client.extension_count, 0);
  give_back(x);
}

/* What was declined leaves nothing in the answer, wherever it stood. */
static void decline_some(void **unused) {
  static const char *const offers[] = {
      "x-rle; speed=11, x-rle; max-run=7, x-rle; max-run=256, x-xor; a; b",
      "x-rle; max-run=7, x-rle; speed=11", "x-rle; speed=11, x-rle; max-run=7"};
  (void)unused;
  for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
    exchange *x = prepare(SAMPLES(&ext_rle), SAMPLES(&ext_xor, &ext_rle));
    ask_for(x, offers[i]);
    assert_int_equal(serve(x), NWS_OK);
    expect_answer(x, "x-rle; max-run=7");
    give_back(x);
  }
}

/* Of two extensions that own the same bit only the first offered is used. */
static void conflicts_are_not_agreed_on(void **unused) {
  static const char request[] =
      "GET / HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
      "Sec-WebSocket-Extensions: x-bad\r\n"
      "Sec-WebSocket-Extensions: x-other; a=\"b\", X-XOR\r\n\r\n";
  ext_sample other = ext_stuck;
  exchange *x;
  (void)unused;
  other.base.name = "x-other";
  x = prepare(SAMPLES(&ext_rle), SAMPLES(&other, &ext_stuck, &ext_xor));
  x->request_len = sizeof(request) - 1;
  memcpy(x->request, request, x->request_len);
  assert_int_equal(serve(x), NWS_OK);
  assert_int_equal(x->server.extension_count, 2);
  assert_ptr_equal(x->server.extensions[0].ext, &ext_stuck.base);
  assert_ptr_equal(x->server.extensions[1].ext, &ext_xor.base);
  give_back(x);
}

/* What a server may not answer: the client's connection does not come about,
 * and no state is left. */
static void surprises_are_refused(void **unused) {
  static const struct {
    const char *extensions;
    int want;
  } cases[] = {
      {"", NWS_OK},
      {"Sec-WebSocket-Extensions: x-rle; max-run=99", NWS_OK},
      {"Sec-WebSocket-Extensions: X-Rle", NWS_ERROR_EXTENSION_HEADER},
      {"Sec-WebSocket-Extensions: x-rle; max-run=101",
       NWS_ERROR_EXTENSION_HEADER},
      {"Sec-WebSocket-Extensions: x-rle; max-run=\"42\"", NWS_OK},
      {"Sec-WebSocket-Extensions: x-rle; max-run=042",
       NWS_ERROR_EXTENSION_HEADER},
      {"Sec-WebSocket-Extensions: x-rle; max-run", NWS_ERROR_EXTENSION_HEADER},
      {"Sec-WebSocket-Extensions: x-rle; max-run=9; max-run=9",
       NWS_ERROR_EXTENSION_HEADER},
      {"Sec-WebSocket-Extensions: x-time, x-rle; max-run=9", NWS_OK},
      {"Sec-WebSocket-Extensions: x-time; a", NWS_ERROR_EXTENSION_HEADER},
      {"Sec-WebSocket-Extensions: x-rle; max-run=9, x-rle; max-run=9",
       NWS_ERROR_EXTENSION_HEADER},
      {"Sec-WebSocket-Extensions: x-rle; max-run=9, x-xor",
       NWS_ERROR_EXTENSION_UNASKED},
      {"Sec-WebSocket-Extensions: x-ascii", NWS_ERROR_EXTENSION_UNASKED},
      {"Sec-WebSocket-Extensions: x-time, ;", NWS_ERROR_EXTENSION_HEADER},
  };
  const ext_sample client = with_offer(&ext_rle, 100, NULL);
  (void)unused;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    exchange *x = prepare(SAMPLES(&client, &ext_time), SAMPLES(&ext_rle));
    int status;
    assert_int_equal(start(x), NWS_OK);
    answer(x, cases[i].extensions);
    status = confirm(x);
    if (status != cases[i].want) {
      print_error("%s\n", cases[i].extensions);
    }
    assert_int_equal(status, cases[i].want);
    give_back(x);
  }
}

/* An application may decline what the policy would take. */
static void application_declines(void **unused) {
  const nws_acceptance how = {.size = sizeof(how), .no_extensions = 1};
  exchange *x = prepare(SAMPLES(&ext_rle), SAMPLES(&ext_rle));
  (void)unused;
  assert_int_equal(start(x), NWS_OK);
  assert_int_equal(nws_server_handshake_read(&x->server, &x->policy, x->request,
                                             x->request_len),
                   NWS_OK);
  assert_int_equal(nws_server_handshake_accept(&x->server, &how, x->response,
                                               TEXT_MAX, &x->response_len),
                   NWS_OK);
  assert_int_equal(x->server.extension_count, 0);
  assert_int_equal(confirm(x), NWS_OK);
  expect_header(&x->client.head, NULL);
  give_back(x);
}

/* A response that does not fit is written again: the states that were made
 * for it are made once, or given back. */
static void accepting_again_leaks_nothing(void **unused) {
  exchange *x =
      prepare(SAMPLES(&ext_rle, &ext_xor), SAMPLES(&ext_rle, &ext_xor));
  size_t need = 0;
  (void)unused;
  assert_int_equal(start(x), NWS_OK);
  assert_int_equal(nws_server_handshake_read(&x->server, &x->policy, x->request,
                                             x->request_len),
                   NWS_OK);
  for (size_t cap = 0; cap < 64; cap++) {
    assert_int_equal(
        nws_server_handshake_accept(&x->server, NULL, x->response, cap, &need),
        NWS_ERROR_BUFFER);
  }
  assert_true(ext_states - x->states <= 2);
  assert_int_equal(nws_server_handshake_accept(&x->server, NULL, x->response,
                                               need, &x->response_len),
                   NWS_OK);
  assert_int_equal(x->response_len, need);
  assert_int_equal(ext_states - x->states, 2);
  assert_int_equal(confirm(x), NWS_OK);
  assert_int_equal(ext_states - x->states, 4);
  give_back(x);
}

/* An extension's own text cannot break the head apart. */
static void offers_are_checked(void **unused) {
  static const char *const bad[] = {"x-rle\r\nHost: evil", "x-xor", "x-rle;",
                                    "x-rle; max-run=1 2", "x-rle x"};
  (void)unused;
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    const ext_sample client = with_offer(&ext_rle, 100, bad[i]);
    exchange *x = prepare(SAMPLES(&client), SAMPLES(&ext_rle));
    assert_int_equal(start(x), NWS_ERROR_FIELD);
    give_back(x);
  }
  const ext_sample quiet = with_offer(&ext_rle, 100, "");
  exchange *x = prepare(SAMPLES(&quiet, &ext_time), SAMPLES(&ext_rle));
  assert_int_equal(start(x), NWS_OK);
  assert_int_equal(nws_server_handshake_read(&x->server, &x->policy, x->request,
                                             x->request_len),
                   NWS_OK);
  expect_header(&x->server.head, "x-time");
  answer(x, "Sec-WebSocket-Extensions: x-rle; max-run=9");
  assert_int_equal(confirm(x), NWS_ERROR_EXTENSION_UNASKED);
  give_back(x);
}

static int accept_junk(const nws_extension *ext,
                       const nws_extension_offer *element, char *out,
                       size_t cap, size_t *len, void **state) {
  static const char junk[] = "x-rle\r\nSet-Cookie: a=b";
  (void)element;
  assert_true(cap >= sizeof(junk));
  memcpy(out, junk, sizeof(junk) - 1);
  *len = sizeof(junk) - 1;
  *state = ext_state_make(ext);
  return NWS_OK;
}

static int accept_twice(const nws_extension *ext,
                        const nws_extension_offer *element, char *out,
                        size_t cap, size_t *len, void **state) {
  static const char twice[] = "x-rle, x-rle";
  (void)element;
  assert_true(cap >= sizeof(twice));
  memcpy(out, twice, sizeof(twice) - 1);
  *len = sizeof(twice) - 1;
  *state = ext_state_make(ext);
  return NWS_OK;
}

static int accept_name(const nws_extension *ext,
                       const nws_extension_offer *element, char *out,
                       size_t cap, size_t *len, void **state) {
  assert_true(element->param_count <= NWS_EXTENSION_PARAMS_MAX);
  assert_true(cap >= 5);
  memcpy(out, "x-rle", 5);
  *len = 5;
  *state = ext_state_make(ext);
  return NWS_OK;
}

static int accept_nothing(const nws_extension *ext,
                          const nws_extension_offer *element, char *out,
                          size_t cap, size_t *len, void **state) {
  (void)element;
  (void)out;
  (void)cap;
  *len = 0;
  *state = ext_state_make(ext);
  return NWS_OK;
}

static int accept_poor(const nws_extension *ext,
                       const nws_extension_offer *element, char *out,
                       size_t cap, size_t *len, void **state) {
  (void)ext;
  (void)element;
  (void)out;
  (void)cap;
  (void)len;
  (void)state;
  return NWS_ERROR_MEMORY;
}

/* Nor can its answer; and the states of those before it are not lost. */
static void answers_are_checked(void **unused) {
  ext_sample bad = ext_rle;
  const struct {
    int (*accept)(const nws_extension *, const nws_extension_offer *, char *,
                  size_t, size_t *, void **);
    int want;
  } cases[] = {{accept_junk, NWS_ERROR_FIELD},
               {accept_twice, NWS_ERROR_FIELD},
               {accept_nothing, NWS_ERROR_FIELD},
               {accept_poor, NWS_ERROR_MEMORY}};
  (void)unused;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    exchange *x;
    bad.base.accept = cases[i].accept;
    x = prepare(SAMPLES(&ext_time, &ext_rle), SAMPLES(&ext_time, &bad));
    assert_int_equal(start(x), NWS_OK);
    assert_int_equal(serve(x), cases[i].want);
    give_back(x);
  }
}

/* One that owns no bit and no opcode is used once all the same. */
static void once_each(void **unused) {
  ext_sample easy = ext_rle;
  exchange *x;
  (void)unused;
  easy.base.accept = accept_name;
  easy.base.rsv = 0;
  x = prepare(SAMPLES(&easy), SAMPLES(&easy));
  ask_for(x, "x-rle, x-rle; a=1, x-rle");
  assert_int_equal(serve(x), NWS_OK);
  assert_int_equal(x->server.extension_count, 1);
  expect_answer(x, "x-rle");
  give_back(x);
  x = prepare(SAMPLES(&easy), SAMPLES(&easy));
  assert_int_equal(start(x), NWS_OK);
  answer(x, "Sec-WebSocket-Extensions: x-rle, x-rle");
  assert_int_equal(confirm(x), NWS_ERROR_EXTENSION_HEADER);
  give_back(x);
}

/* An extension that would take anything is not shown an offer whose parameters
 * it cannot all see. */
static void offers_with_many_parameters(void **unused) {
  ext_sample easy = ext_rle;
  (void)unused;
  easy.base.accept = accept_name;
  for (size_t count = 0; count <= NWS_EXTENSION_PARAMS_MAX + 2; count++) {
    exchange *x = prepare(SAMPLES(&ext_rle), SAMPLES(&easy));
    char offer[256];
    int len = sprintf(offer, "x-rle");
    for (size_t i = 0; i < count; i++) {
      len += sprintf(offer + len, "; p%zu=1", i);
    }
    ask_for(x, offer);
    assert_int_equal(serve(x), NWS_OK);
    assert_int_equal(x->server.extension_count,
                     count <= NWS_EXTENSION_PARAMS_MAX);
    expect_answer(x, count <= NWS_EXTENSION_PARAMS_MAX ? "x-rle" : NULL);
    give_back(x);
  }
}

int ext_handshake_tests(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agree_with_a_parameter),
      cmocka_unit_test(agree_and_talk),
      cmocka_unit_test(fall_back_to_the_second_offer),
      cmocka_unit_test(decline_all),
      cmocka_unit_test(decline_some),
      cmocka_unit_test(conflicts_are_not_agreed_on),
      cmocka_unit_test(surprises_are_refused),
      cmocka_unit_test(application_declines),
      cmocka_unit_test(accepting_again_leaks_nothing),
      cmocka_unit_test(offers_are_checked),
      cmocka_unit_test(answers_are_checked),
      cmocka_unit_test(offers_with_many_parameters),
      cmocka_unit_test(once_each),
  };
  return cmocka_run_group_tests_name("agreeing", tests, NULL, NULL);
}
