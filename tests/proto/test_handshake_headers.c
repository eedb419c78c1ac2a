/* test_handshake_headers.c - handshakes whose HTTP comes from elsewhere, as
 * lists of names and values.
 */
#include "handshake_fixture.h"

enum { MAX_HEADERS = 24 };

/* A list of headers from text with = and newline, "Host=h\nUpgrade=x". */
typedef struct list {
  nws_header headers[MAX_HEADERS];
  size_t count;
} list;

static list make_list(const char *text) {
  list l = {.count = 0};
  while (*text != 0) {
    size_t name = strcspn(text, "="), all = strcspn(text, "\n");
    assert_true(name < all && l.count < MAX_HEADERS);
    l.headers[l.count].name = nws_str_make(text, name);
    l.headers[l.count].value = nws_str_make(text + name + 1, all - name - 1);
    l.count++;
    text += all + (text[all] != 0);
  }
  return l;
}

static void assert_list(const nws_header *headers, size_t count,
                        const char *want) {
  list l = make_list(want);
  assert_int_equal(count, l.count);
  for (size_t i = 0; i < count; i++) {
    assert_true(nws_str_equal(headers[i].name, l.headers[i].name));
    assert_true(nws_str_equal(headers[i].value, l.headers[i].value));
  }
}

/* --- Client --- */

typedef struct fixture {
  nws_uri uri;
  nws_client_offer offer;
  nws_client_handshake hs;
  nws_random random;
  int draws;
  int alive;
  nws_str protocols[2];
  nws_header mine;
  fake x;
  const nws_extension *extensions[1];
} fixture;

static void ready(fixture *f) {
  static const char uri[] = "wss://[::1]:8443/a?b";
  memset(f, 0, sizeof *f);
  assert_int_equal(nws_uri_parse(&f->uri, uri, sizeof uri - 1, NULL), NWS_OK);
  f->random.fill = fill_sample;
  f->random.user = &f->draws;
  f->protocols[0] = nws_str_of("chat");
  f->protocols[1] = nws_str_of("more");
  f->mine.name = nws_str_of("X-Mine");
  f->mine.value = nws_str_of("1");
  f->x = make_fake("x", "x; a=1", 0, &f->alive);
  f->extensions[0] = &f->x.ext;
  f->offer.size = sizeof f->offer;
  f->offer.uri = &f->uri;
  f->offer.origin = nws_str_of("https://o");
  f->offer.subprotocols = f->protocols;
  f->offer.subprotocol_count = 2;
  f->offer.headers = &f->mine;
  f->offer.header_count = 1;
  f->offer.extensions = f->extensions;
  f->offer.extension_count = 1;
}

static void client_list(void **state) {
  (void)state;
  enum { NEED = 9 };
  for (size_t cap = 0; cap <= NEED; cap++) {
    fixture f;
    ready(&f);
    nws_header *out = malloc((cap ? cap : 1) * sizeof *out);
    assert_non_null(out);
    memset(out, UNTOUCHED, cap * sizeof *out);
    size_t count = 0;
    int rc = nws_client_handshake_start_headers(&f.hs, &f.offer, &f.random, out,
                                                cap, &count);
    assert_int_equal(rc, cap < NEED ? NWS_ERROR_BUFFER : NWS_OK);
    assert_int_equal(count, NEED);
    assert_int_equal(f.draws, cap < NEED ? 0 : 1);
    if (cap < NEED)
      assert_true(is_untouched(out, cap * sizeof *out));
    else
      assert_list(out, count,
                  "Host=[::1]:8443\nUpgrade=websocket\nConnection=Upgrade\n"
                  "Sec-WebSocket-Key=" SAMPLE_KEY "\n"
                  "Sec-WebSocket-Version=13\nOrigin=https://o\n"
                  "Sec-WebSocket-Protocol=chat, more\n"
                  "Sec-WebSocket-Extensions=x; a=1\nX-Mine=1");
    free(out);
  }
}

static void client_list_refused(void **state) {
  (void)state;
  nws_header out[16];
  size_t count = 4711;
  fixture f;
  ready(&f);
  f.mine.value = nws_str_of("a\r\nb");
  memset(out, UNTOUCHED, sizeof out);
  assert_int_equal(nws_client_handshake_start_headers(
                       &f.hs, &f.offer, &f.random, out, 16, &count),
                   NWS_ERROR_FIELD);
  assert_int_equal(f.hs.error_at, 1);
  ready(&f);
  f.random.fill = fill_nothing;
  assert_int_equal(nws_client_handshake_start_headers(
                       &f.hs, &f.offer, &f.random, out, 16, &count),
                   NWS_ERROR_RANDOM);
  assert_true(is_untouched(out, sizeof out));
  assert_int_equal(count, 4711);
  assert_int_equal(nws_client_handshake_start_headers(
                       &f.hs, &f.offer, &f.random, NULL, 16, &count),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_client_handshake_read_headers(&f.hs, 101, NULL, 0),
                   NWS_ERROR_STATE);
}

/* Reads a response as a list; the outcome and what is in the handshake. */
static int read_response(fixture *f, unsigned status, const list *l) {
  nws_header out[16];
  size_t count;
  ready(f);
  assert_int_equal(nws_client_handshake_start_headers(
                       &f->hs, &f->offer, &f->random, out, 16, &count),
                   NWS_OK);
  return nws_client_handshake_read_headers(&f->hs, status, l->headers,
                                           l->count);
}

#define ANSWER                                                                 \
  "Upgrade=websocket\nConnection=Upgrade\nSec-WebSocket-Accept=" SAMPLE_ACCEPT

static void client_reads_list(void **state) {
  (void)state;
  fixture f;
  list l = make_list(ANSWER "\nsec-websocket-protocol=more\n"
                            "sec-websocket-extensions=x");
  assert_int_equal(read_response(&f, 101, &l), NWS_OK);
  assert_str(f.hs.subprotocol, "more");
  assert_int_equal(f.hs.extension_count, 1);
  assert_int_equal(f.alive, 1);
  assert_ptr_equal(f.hs.head.headers, l.headers);
  assert_int_equal(f.hs.head.count, 5);
  assert_int_equal(
      nws_client_handshake_read_headers(&f.hs, 101, l.headers, l.count),
      NWS_ERROR_STATE);
  for (unsigned status = 100; status <= 599; status++) {
    int rc = read_response(&f, status, &l);
    assert_int_equal(rc, status == 101 ? NWS_OK : NWS_ERROR_STATUS);
    assert_int_equal(f.hs.head.status, status);
    assert_int_equal(f.hs.head.count, 5);
  }
  assert_int_equal(read_response(&f, 1000, &l), NWS_ERROR_ARGUMENT);
}

typedef struct bad_list {
  const char *text;
  int error;
  size_t index;
} bad_list;

static void client_refuses_list(void **state) {
  (void)state;
  static const bad_list cases[] = {
      {"A=b", NWS_ERROR_UPGRADE, 1},
      {"Upgrade=h2c", NWS_ERROR_UPGRADE, 0},
      {"A=b\nUpgrade=websocket", NWS_ERROR_CONNECTION, 2},
      {"Upgrade=websocket\nConnection=close", NWS_ERROR_CONNECTION, 1},
      {"Upgrade=websocket\nConnection=upgrade", NWS_ERROR_ACCEPT, 2},
      {"A=b\nUpgrade=websocket\nConnection=upgrade\nSec-WebSocket-Accept=x",
       NWS_ERROR_ACCEPT, 3},
      {ANSWER "\nUpgrade=websocket", NWS_ERROR_DUPLICATE, 3},
      {ANSWER "\nTransfer-Encoding=chunked", NWS_ERROR_BODY, 3},
      {ANSWER "\nA=b\nSec-WebSocket-Protocol=x", NWS_ERROR_SUBPROTOCOL, 4},
      {ANSWER "\nSec-WebSocket-Extensions=x, y", NWS_ERROR_EXTENSION_UNASKED,
       3},
      {ANSWER "\nSec-WebSocket-Extensions=x;\n", NWS_ERROR_EXTENSION_HEADER, 3},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    fixture f;
    list l = make_list(cases[i].text);
    assert_int_equal(read_response(&f, 101, &l), cases[i].error);
    assert_int_equal(f.hs.error_at, cases[i].index);
    assert_int_equal(f.alive, 0);
  }
}

/* --- Server --- */

static int read_request(nws_server_handshake *hs,
                        const nws_server_policy *policy, const char *method,
                        const char *target, const list *l) {
  memset(hs, 0, sizeof *hs);
  return nws_server_handshake_read_headers(
      hs, policy, nws_str_of(method), nws_str_of(target), l->headers, l->count);
}

#define ASK                                                                    \
  "Host=h\nUpgrade=websocket\nConnection=Upgrade\n"                            \
  "Sec-WebSocket-Key=" SAMPLE_KEY "\nSec-WebSocket-Version=13"
#define CONNECT                                                                \
  ":protocol=websocket\n:scheme=https\n:authority=h\nsec-websocket-version=13"

/* A policy that knows two subprotocols and one extension. */
typedef struct server {
  nws_server_policy policy;
  nws_str spoken[2];
  fake x;
  const nws_extension *known[1];
  int alive;
} server;

static void serve(server *s) {
  memset(s, 0, sizeof *s);
  s->x = make_fake("x", "x; a=1", 0, &s->alive);
  s->known[0] = &s->x.ext;
  s->spoken[0] = nws_str_of("chat");
  s->spoken[1] = nws_str_of("more");
  s->policy.size = sizeof s->policy;
  s->policy.subprotocols = s->spoken;
  s->policy.subprotocol_count = 2;
  s->policy.extensions = s->known;
  s->policy.extension_count = 1;
}

/* Accepts into a list, at every size. */
static void assert_accept(nws_server_handshake *hs, const nws_acceptance *how,
                          unsigned want_status, const char *want,
                          const int *alive) {
  list l = make_list(want);
  for (size_t cap = 0; cap <= l.count; cap++) {
    nws_header *out = malloc((cap ? cap : 1) * sizeof *out);
    assert_non_null(out);
    memset(out, UNTOUCHED, cap * sizeof *out);
    unsigned status = 4711;
    size_t count = 0;
    int rc =
        nws_server_handshake_accept_headers(hs, how, &status, out, cap, &count);
    assert_int_equal(count, l.count);
    if (cap < l.count) {
      assert_int_equal(rc, NWS_ERROR_BUFFER);
      assert_int_equal(status, 4711);
      assert_int_equal(*alive, 0);
      assert_true(is_untouched(out, cap * sizeof *out));
    } else {
      assert_int_equal(rc, NWS_OK);
      assert_int_equal(status, want_status);
      assert_list(out, count, want);
    }
    free(out);
  }
  unsigned status;
  size_t count;
  nws_header again[8];
  assert_int_equal(
      nws_server_handshake_accept_headers(hs, how, &status, NULL, 1, &count),
      NWS_ERROR_ARGUMENT);
  assert_int_equal(
      nws_server_handshake_accept_headers(hs, how, NULL, again, 8, &count),
      NWS_ERROR_ARGUMENT);
  assert_int_equal(
      nws_server_handshake_accept_headers(hs, how, &status, again, 8, &count),
      NWS_ERROR_STATE);
}

static void server_list(void **state) {
  (void)state;
  server s;
  serve(&s);
  nws_server_handshake hs;
  list l = make_list(ASK "\nOrigin=https://h\nSec-WebSocket-Protocol=z\n"
                         "Sec-WebSocket-Protocol=more, chat\n"
                         "Sec-WebSocket-Extensions=y, x\nCookie=a=b");
  assert_int_equal(read_request(&hs, &s.policy, "GET", "/p?q", &l), NWS_OK);
  assert_int_equal(hs.extended_connect, 0);
  assert_str(hs.path, "/p");
  assert_str(hs.query, "q");
  assert_str(hs.host, "h");
  assert_str(hs.origin, "https://h");
  assert_str(hs.key, SAMPLE_KEY);
  assert_str(hs.subprotocol, "more");
  assert_str(nws_server_handshake_header(&hs, nws_str_of("upgrade")),
             "websocket");
  assert_str(nws_server_handshake_cookie(&hs, nws_str_of("a")), "b");
  nws_header mine = {nws_str_of("set-cookie"), nws_str_of("c=d")};
  nws_acceptance how = {.size = sizeof how};
  how.headers = &mine;
  how.header_count = 1;
  assert_accept(&hs, &how, 101,
                "Upgrade=websocket\nConnection=Upgrade\n"
                "Sec-WebSocket-Accept=" SAMPLE_ACCEPT "\n"
                "Sec-WebSocket-Protocol=more\n"
                "Sec-WebSocket-Extensions=x; a=1\nset-cookie=c=d",
                &s.alive);
  assert_int_equal(hs.extension_count, 1);
  assert_int_equal(s.alive, 1);
  assert_int_equal(
      nws_server_handshake_read_headers(&hs, &s.policy, nws_str_of("GET"),
                                        nws_str_of("/"), l.headers, l.count),
      NWS_ERROR_STATE);
}

static void server_refuses_list(void **state) {
  (void)state;
  static const struct {
    const char *method, *target;
    bad_list want;
  } cases[] = {
      {"POST", "/", {ASK, NWS_ERROR_METHOD, 5}},
      {"", "/", {ASK, NWS_ERROR_METHOD, 5}},
      {"connect", "/", {CONNECT, NWS_ERROR_METHOD, 4}},
      {"GET", "", {ASK, NWS_ERROR_TARGET, 5}},
      {"GET", "x", {ASK, NWS_ERROR_TARGET, 5}},
      {"GET", "/ x", {ASK, NWS_ERROR_TARGET, 5}},
      {"GET", "/\x7f", {ASK, NWS_ERROR_TARGET, 5}},
      {"GET", "/\xc3\xa9", {ASK, NWS_ERROR_TARGET, 5}},
      {"GET", "/a#b", {ASK, NWS_ERROR_TARGET, 5}},
      {"GET", "/", {"A=b", NWS_ERROR_HOST, 1}},
      {"GET", "/", {":authority=h\nA=b", NWS_ERROR_HOST, 2}},
      {"GET", "/", {"Host=a b", NWS_ERROR_HOST, 0}},
      {"GET", "/", {ASK "\nhost=h", NWS_ERROR_HOST, 5}},
      {"GET", "/", {"Host=h\nUpgrade=h2c", NWS_ERROR_UPGRADE, 1}},
      {"GET", "/", {"Host=h\nUpgrade=websocket", NWS_ERROR_CONNECTION, 2}},
      {"GET", "/", {ASK "\nSec-WebSocket-Version=8", NWS_ERROR_DUPLICATE, 5}},
      {"GET", "/", {ASK "\nContent-Length=1", NWS_ERROR_BODY, 5}},
      {"GET", "/", {ASK "\nOrigin=null", NWS_ERROR_ORIGIN, 5}},
      {"GET",
       "/",
       {ASK "\nSec-WebSocket-Protocol=a b", NWS_ERROR_SUBPROTOCOL, 5}},
      {"GET",
       "/",
       {ASK "\nA=b\nSec-WebSocket-Extensions=x;", NWS_ERROR_EXTENSION_HEADER,
        6}},
      /* extended CONNECT */
      {"CONNECT",
       "/",
       {":scheme=http\n:authority=h\nsec-websocket-version=13",
        NWS_ERROR_PSEUDO_HEADER, 3}},
      {"CONNECT",
       "/",
       {":protocol=connect-udp\n:scheme=http\n:authority=h",
        NWS_ERROR_PSEUDO_HEADER, 0}},
      {"CONNECT",
       "/",
       {":protocol=websocket\n:authority=h", NWS_ERROR_PSEUDO_HEADER, 2}},
      {"CONNECT",
       "/",
       {":protocol=websocket\n:scheme=ftp\n:authority=h",
        NWS_ERROR_PSEUDO_HEADER, 1}},
      {"CONNECT",
       "/",
       {":protocol=websocket\n:scheme=http", NWS_ERROR_PSEUDO_HEADER, 2}},
      {"CONNECT",
       "/",
       {CONNECT "\n:protocol=websocket", NWS_ERROR_DUPLICATE, 4}},
      {"CONNECT", "/", {CONNECT "\n:scheme=https", NWS_ERROR_DUPLICATE, 4}},
      {"CONNECT", "/", {CONNECT "\n:authority=h", NWS_ERROR_DUPLICATE, 4}},
      {"CONNECT", "/", {CONNECT "\nhost=other", NWS_ERROR_HOST, 4}},
      {"CONNECT",
       "/",
       {":protocol=websocket\n:scheme=http\n:authority=u@h", NWS_ERROR_HOST,
        2}},
      {"CONNECT",
       "/",
       {":protocol=websocket\n:scheme=http\n:authority=h", NWS_ERROR_VERSION,
        3}},
      {"CONNECT", "h:443", {CONNECT, NWS_ERROR_TARGET, 4}},
      {"CONNECT", "", {CONNECT, NWS_ERROR_TARGET, 4}},
      {"CONNECT", "/", {CONNECT "\ncontent-length=2", NWS_ERROR_BODY, 4}},
      {"CONNECT", "/", {CONNECT "\norigin=https://evil", NWS_ERROR_ORIGIN, 4}},
      {"CONNECT",
       "/",
       {CONNECT "\nsec-websocket-protocol=", NWS_ERROR_SUBPROTOCOL, 4}},
      {"CONNECT",
       "/",
       {CONNECT "\nsec-websocket-extensions=;", NWS_ERROR_EXTENSION_HEADER, 4}},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    nws_server_handshake hs;
    list l = make_list(cases[i].want.text);
    assert_int_equal(
        read_request(&hs, NULL, cases[i].method, cases[i].target, &l),
        cases[i].want.error);
    assert_int_equal(hs.error_at, cases[i].want.index);
    unsigned status;
    size_t count;
    nws_header out[8];
    assert_int_equal(
        nws_server_handshake_accept_headers(&hs, NULL, &status, out, 8, &count),
        NWS_ERROR_STATE);
  }
}

static void extended_connect(void **state) {
  (void)state;
  server s;
  serve(&s);
  nws_server_handshake hs;
  char bytes[ROOM];
  size_t len;
  list l = make_list(CONNECT "\nhost=H\norigin=https://h\n"
                             "sec-websocket-protocol=more\n"
                             "sec-websocket-extensions=x\n"
                             "cookie=a=b\ncookie=c=d");
  assert_int_equal(read_request(&hs, &s.policy, "CONNECT", "/p?q", &l), NWS_OK);
  assert_int_equal(hs.extended_connect, 1);
  assert_str(hs.path, "/p");
  assert_str(hs.query, "q");
  assert_str(hs.host, "h");
  assert_str(hs.key, NULL);
  assert_str(nws_server_handshake_cookie(&hs, nws_str_of("c")), "d");
  assert_int_equal(
      nws_server_handshake_accept(&hs, NULL, bytes, sizeof bytes, &len),
      NWS_ERROR_STATE);
  assert_accept(&hs, NULL, 200,
                "sec-websocket-protocol=more\n"
                "sec-websocket-extensions=x; a=1",
                &s.alive);
  assert_int_equal(s.alive, 1);
  /* Nothing agreed: no header at all. Host does instead of :authority. */
  l = make_list(":protocol=WebSocket\n:scheme=HTTP\nhost=h\n"
                "sec-websocket-version=13");
  assert_int_equal(read_request(&hs, NULL, "CONNECT", "/", &l), NWS_OK);
  memset(&hs, 0, sizeof hs);
  assert_int_equal(nws_server_handshake_read_headers(
                       &hs, NULL, nws_str_of("GET"), nws_str_of("/"), NULL, 1),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(read_request(&hs, NULL, "CONNECT", "/", &l), NWS_OK);
  unsigned status;
  size_t count = 4711;
  assert_int_equal(
      nws_server_handshake_accept_headers(&hs, NULL, &status, NULL, 0, &count),
      NWS_OK);
  assert_int_equal(status, 200);
  assert_int_equal(count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(client_list),
      cmocka_unit_test(client_list_refused),
      cmocka_unit_test(client_reads_list),
      cmocka_unit_test(client_refuses_list),
      cmocka_unit_test(server_list),
      cmocka_unit_test(server_refuses_list),
      cmocka_unit_test(extended_connect),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
