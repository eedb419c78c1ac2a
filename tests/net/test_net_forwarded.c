/* test_net_forwarded.c - whom Forwarded and X-Forwarded-For name, and who is
 * not believed: a table of requests, and another of blocks of addresses.
 */
#include "net_fixture.h"
#include <nws/forwarded.h>

#define F NWS_FORWARDED
#define X NWS_X_FORWARDED_FOR

/* The proxies of all requests. */
static const char *const proxies[] = {"10.0.0.0/8", "192.0.2.1",
                                      "2001:db8:1::/48", "::1", "unix"};
#define PROXIES (sizeof(proxies) / sizeof(proxies[0]))

typedef struct request {
  nws_forwarded_header which;
  const char *peer;
  const char *lines[3]; /* of the header */
  const char *client;   /* with '?' before it: that one does not say */
} request;

#define PEER "10.0.0.1:80"

static const request requests[] = {
    /* Nobody in between, or nobody who is trusted. */
    {X, "203.0.113.9:4711", {NULL}, "203.0.113.9"},
    {X, "203.0.113.9:4711", {"198.51.100.1"}, "203.0.113.9"},
    {X, "203.0.113.9:4711", {"10.0.0.1"}, "203.0.113.9"},
    {F, "203.0.113.9:4711", {"for=198.51.100.1"}, "203.0.113.9"},
    {F, "203.0.113.9:4711", {"for=\""}, "203.0.113.9"},
    {F, "[2001:db8:2::1]:4711", {"for=198.51.100.1"}, "2001:db8:2::1"},
    {X, "[::ffff:203.0.113.9]:4711", {NULL}, "203.0.113.9"},
    {X, PEER, {NULL}, "10.0.0.1"},
    {F, PEER, {NULL}, "10.0.0.1"},
    {F, PEER, {""}, "10.0.0.1"},
    {X, PEER, {""}, "10.0.0.1"},
    {X, "unix", {NULL}, "unix"},
    {X, "unix", {"198.51.100.1"}, "198.51.100.1"},
    {F, "unix", {"for=198.51.100.1"}, "198.51.100.1"},
    {X, "[::1]:80", {"198.51.100.1"}, "198.51.100.1"},
    {X, "::1", {"198.51.100.1"}, "198.51.100.1"},
    {X, "[::ffff:10.0.0.1]:80", {"198.51.100.1"}, "198.51.100.1"},
    {X, "[2001:db8:1::5]:80", {"198.51.100.1"}, "198.51.100.1"},
    {X, "[2001:db8:2::5]:80", {"198.51.100.1"}, "2001:db8:2::5"},
    {X, "192.0.2.1:80", {"198.51.100.1"}, "198.51.100.1"},
    {X, "192.0.2.2:80", {"198.51.100.1"}, "192.0.2.2"},
    {X, "11.0.0.0:80", {"198.51.100.1"}, "11.0.0.0"},
    {X, "10.255.255.255:80", {"198.51.100.1"}, "198.51.100.1"},

    /* X-Forwarded-For: how addresses are written. */
    {X, PEER, {"2001:db8::7"}, "2001:db8::7"},
    {X, PEER, {"[2001:db8::7]"}, "2001:db8::7"},
    {X, PEER, {"[2001:db8::7]:4711"}, "2001:db8::7"},
    {X, PEER, {"198.51.100.1:4711"}, "198.51.100.1"},
    {X, PEER, {"2001:0DB8:0::0:7"}, "2001:db8::7"},
    {X, PEER, {"::ffff:198.51.100.1"}, "198.51.100.1"},
    {X, PEER, {"[::ffff:198.51.100.1]:80"}, "198.51.100.1"},
    {X, PEER, {"  198.51.100.1\t"}, "198.51.100.1"},
    {X, PEER, {"198.51.100.1,"}, "198.51.100.1"},
    {X, PEER, {", ,198.51.100.1, ,"}, "198.51.100.1"},
    {X, PEER, {","}, "10.0.0.1"},
    {X, PEER, {"unknown"}, "?10.0.0.1"},
    {X, PEER, {"unix"}, "?10.0.0.1"},
    {X, PEER, {"\"198.51.100.1\""}, "?10.0.0.1"},
    {X, PEER, {"198.51.100"}, "?10.0.0.1"},
    {X, PEER, {"198.51.100.256"}, "?10.0.0.1"},
    {X, PEER, {"198.51.100.01"}, "?10.0.0.1"},
    {X, PEER, {"198.51.100.1.2"}, "?10.0.0.1"},
    {X, PEER, {"198.51.100.1 x"}, "?10.0.0.1"},
    {X, PEER, {"198.51.100.1:"}, "?10.0.0.1"},
    {X, PEER, {"198.51.100.1:65536"}, "?10.0.0.1"},
    {X, PEER, {"198.51.100.1:123456"}, "?10.0.0.1"},
    {X, PEER, {"198.51.100.1:_port"}, "?10.0.0.1"},
    {X, PEER, {"[198.51.100.1]"}, "?10.0.0.1"},
    {X, PEER, {"[2001:db8::7"}, "?10.0.0.1"},
    {X, PEER, {"[2001:db8::7]x"}, "?10.0.0.1"},
    {X, PEER, {"[]"}, "?10.0.0.1"},
    {X, PEER, {"["}, "?10.0.0.1"},
    {X, PEER, {"fe80::1%eth0"}, "?10.0.0.1"},
    {X, PEER, {"fe80::1%251"}, "?10.0.0.1"},
    {X, PEER, {"1:2:3:4:5:6:7:8:9"}, "?10.0.0.1"},
    {X, PEER, {"for=198.51.100.1"}, "?10.0.0.1"},

    /* X-Forwarded-For: who is believed. */
    {X, PEER, {"203.0.113.1, 198.51.100.1"}, "198.51.100.1"},
    {X, PEER, {"203.0.113.1,198.51.100.1"}, "198.51.100.1"},
    {X, PEER, {"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
    {X, PEER, {"1.1.1.1, 198.51.100.1, 10.0.0.3, 10.0.0.2"}, "198.51.100.1"},
    {X, PEER, {"10.0.0.9, 198.51.100.1"}, "198.51.100.1"},
    {X, PEER, {"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
    {X, PEER, {"rubbish, 198.51.100.1"}, "198.51.100.1"},
    {X, PEER, {"\", 198.51.100.1"}, "198.51.100.1"},
    {X, PEER, {"198.51.100.1, unknown"}, "?10.0.0.1"},
    {X, PEER, {"198.51.100.1, unknown, 10.0.0.2"}, "?10.0.0.2"},
    {X, PEER, {"203.0.113.1", "198.51.100.1"}, "198.51.100.1"},
    {X, PEER, {"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
    {X, PEER, {"198.51.100.1", "", "10.0.0.2"}, "198.51.100.1"},
    {X, PEER, {"198.51.100.1, 10.0.0.3", "10.0.0.2, ::1"}, "198.51.100.1"},

    /* Forwarded: how addresses are written. */
    {F, PEER, {"for=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {"For=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {"FOR=\"198.51.100.1\""}, "198.51.100.1"},
    {F, PEER, {"for=\"198.51.100.1:4711\""}, "198.51.100.1"},
    {F, PEER, {"for=\"198.51.100.1:_p.o-r_t\""}, "198.51.100.1"},
    {F, PEER, {"for=\"[2001:db8:cafe::17]\""}, "2001:db8:cafe::17"},
    {F, PEER, {"for=\"[2001:db8:cafe::17]:4711\""}, "2001:db8:cafe::17"},
    {F, PEER, {"for=\"[::ffff:198.51.100.1]\""}, "198.51.100.1"},
    {F, PEER, {"for=198.51.100.1;proto=http;by=203.0.113.43"}, "198.51.100.1"},
    {F, PEER, {"by=203.0.113.43;for=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {"host=\"a, b;for=1.1.1.1\";for=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {"host=\"a\\\"b\";for=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {";;for=198.51.100.1;"}, "198.51.100.1"},
    {F, PEER, {" ,, for=198.51.100.1 , "}, "198.51.100.1"},
    {F, PEER, {"for=unknown"}, "?10.0.0.1"},
    {F, PEER, {"for=\"unknown:80\""}, "?10.0.0.1"},
    {F, PEER, {"for=_hidden"}, "?10.0.0.1"},
    {F, PEER, {"for=_SEVKISEK"}, "?10.0.0.1"},
    {F, PEER, {"for=\"_gazonk\""}, "?10.0.0.1"},
    {F, PEER, {"for=\"\""}, "?10.0.0.1"},
    {F, PEER, {"proto=https"}, "?10.0.0.1"},
    {F, PEER, {";"}, "?10.0.0.1"},
    {F, PEER, {"for=\"198.51.100.1:_\""}, "?10.0.0.1"},
    {F, PEER, {"for=\"198.51.100.1:_a b\""}, "?10.0.0.1"},
    {F, PEER, {"for=\"2001:db8:cafe::17\""}, "?10.0.0.1"},
    {F, PEER, {"for=\"198.51.100.\\1\""}, "?10.0.0.1"},

    /* Forwarded: what breaks the grammar. */
    {F, PEER, {"for=[2001:db8:cafe::17]"}, "?10.0.0.1"},
    {F, PEER, {"for=198.51.100.1:80"}, "?10.0.0.1"},
    {F, PEER, {"for=198.51.100.1; proto=http"}, "?10.0.0.1"},
    {F, PEER, {"for = 198.51.100.1"}, "?10.0.0.1"},
    {F, PEER, {"for= 198.51.100.1"}, "?10.0.0.1"},
    {F, PEER, {"for"}, "?10.0.0.1"},
    {F, PEER, {"for="}, "?10.0.0.1"},
    {F, PEER, {"=198.51.100.1"}, "?10.0.0.1"},
    {F, PEER, {"for=198.51.100.1;for=198.51.100.1"}, "?10.0.0.1"},
    {F, PEER, {"for=198.51.100.1;FOR=198.51.100.2"}, "?10.0.0.1"},
    {F, PEER, {"for=\"198.51.100.1"}, "?10.0.0.1"},
    {F, PEER, {"for=\"198.51.100.1\\\""}, "?10.0.0.1"},
    {F, PEER, {"for=\"198.51.100.1\\"}, "?10.0.0.1"},
    {F, PEER, {"for=\"198.51.100.1\"x"}, "?10.0.0.1"},
    {F, PEER, {"for=198.51.100.1 x"}, "?10.0.0.1"},
    {F, PEER, {"198.51.100.1"}, "?10.0.0.1"},

    /* Forwarded: who is believed. */
    {F, PEER, {"for=203.0.113.1, for=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {"for=203.0.113.1,for=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {"for=198.51.100.1, for=10.0.0.2;by=_x"}, "198.51.100.1"},
    {F, PEER, {"for=_secret, for=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {"for=198.51.100.1, for=_secret"}, "?10.0.0.1"},
    {F, PEER, {"for=198.51.100.1, for=_secret, for=10.0.0.2"}, "?10.0.0.2"},
    {F, PEER, {"for=198.51.100.1, proto=http, for=10.0.0.2"}, "?10.0.0.2"},
    {F, PEER, {"for=10.0.0.3, for=\"[::1]\""}, "10.0.0.3"},
    {F, PEER, {"for=203.0.113.1", "for=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {"for=198.51.100.1", "for=10.0.0.2"}, "198.51.100.1"},
    {F, PEER, {"rubbish=", "for=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {"for=\"", "for=198.51.100.1"}, "198.51.100.1"},
    {F, PEER, {"for=198.51.100.1", "rubbish=", "for=10.0.0.2"}, "?10.0.0.2"},

    /* A client opens a quote, for the proxy's element to be lost in it. */
    {F, PEER, {"for=1.1.1.1;by=\", for=198.51.100.1"}, "?10.0.0.1"},
    {F, PEER, {"for=1.1.1.1;by=\", for=\"[2001:db8::7]\""}, "?10.0.0.1"},
    {F, PEER, {"for=1.1.1.1;by=\"\\, for=\"[2001:db8::7]\""}, "?10.0.0.1"},
    {F, PEER, {"for=1.1.1.1, for=\", for=\"[2001:db8::7]:1\""}, "?10.0.0.1"},
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

static nws_network trusted[PROXIES];

static void trust(void) {
  for (size_t i = 0; i < PROXIES; i++)
    assert_int_equal(nws_network_parse(nws_str_of(proxies[i]), &trusted[i]),
                     NWS_OK);
}

/* A head with the lines of a request, and with lines of the other header. */
static void fill(nws_http_head *head, nws_header room[8], const request *r) {
  const char *names[2][2] = {{"fORWARDED", "X-Forwarded-For"},
                             {"x-FORWARDED-for", "Forwarded"}};
  const char **name = names[r->which == X];
  memset(head, 0, sizeof(*head));
  head->headers = room;
  room[head->count++] = (nws_header){nws_str_of("Host"), nws_str_of("a")};
  for (int i = 0; i < 3 && r->lines[i] != NULL; i++) {
    room[head->count++] =
        (nws_header){nws_str_of(name[0]), nws_str_of(r->lines[i])};
    room[head->count++] =
        (nws_header){nws_str_of(name[1]), nws_str_of("for=6.6.6.6, 6.6.6.6")};
  }
}

static void test_requests(void **state) {
  (void)state;
  trust();
  for (size_t i = 0; i < REQUESTS; i++) {
    const request *r = &requests[i];
    nws_http_head head;
    nws_header room[8];
    char client[NWS_FORWARDED_CLIENT_MAX] = "-";
    fill(&head, room, r);
    int hidden = r->client[0] == '?';
    int rc = nws_forwarded_client(r->peer, &head, r->which, trusted, PROXIES,
                                  client, sizeof(client));
    if (rc != (hidden ? NWS_ERROR_FIELD : NWS_OK) ||
        strcmp(client, r->client + hidden) != 0)
      fail_msg("%s %s: %d %s", r->peer, r->lines[0] ? r->lines[0] : "-", rc,
               client);
  }
  print_message("%zu requests\n", REQUESTS);
}

/* Nobody is trusted: nothing is read. */
static void test_nobody(void **state) {
  nws_http_head head;
  nws_header room[8];
  char client[NWS_FORWARDED_CLIENT_MAX];
  (void)state;
  for (size_t i = 0; i < REQUESTS; i++) {
    fill(&head, room, &requests[i]);
    assert_int_equal(nws_forwarded_client("10.0.0.1:80", &head,
                                          requests[i].which, NULL, 0, client,
                                          sizeof(client)),
                     NWS_OK);
    assert_string_equal(client, "10.0.0.1");
  }
}

/* As many proxies as are followed, and one more. */
static void test_long(void **state) {
  nws_http_head head = {0};
  char text[2048] = "198.51.100.1";
  char client[NWS_FORWARDED_CLIENT_MAX];
  (void)state;
  trust();
  for (int i = 0; i < NWS_FORWARDED_PROXIES_MAX + 3; i++) {
    nws_header line = {nws_str_of("X-Forwarded-For"), nws_str_of(text)};
    head.headers = &line;
    head.count = 1;
    int rc = nws_forwarded_client(PEER, &head, X, trusted, PROXIES, client,
                                  sizeof(client));
    int few = i + 1 <= NWS_FORWARDED_PROXIES_MAX;
    assert_int_equal(rc, few ? NWS_OK : NWS_ERROR_FIELD);
    assert_string_equal(client, few ? "198.51.100.1" : "10.0.0.77");
    strcat(text, ", 10.0.0.77");
  }
}

static void test_misuse(void **state) {
  nws_http_head head = {0};
  char out[NWS_FORWARDED_CLIENT_MAX];
  (void)state;
  trust();
#define CLIENT(peer, head, which, list, count, out, cap)                       \
  nws_forwarded_client(peer, head, which, list, count, out, cap)
  assert_int_equal(CLIENT(NULL, &head, F, trusted, 1, out, 46),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(CLIENT(PEER, NULL, F, trusted, 1, out, 46),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(CLIENT(PEER, &head, 0, trusted, 1, out, 46),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(CLIENT(PEER, &head, 3, trusted, 1, out, 46),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(CLIENT(PEER, &head, F, NULL, 1, out, 46),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(CLIENT(PEER, &head, F, trusted, 1, NULL, 46),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(CLIENT("localhost:80", &head, F, trusted, 1, out, 46),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(CLIENT("", &head, F, trusted, 1, out, 46),
                   NWS_ERROR_ARGUMENT);
  for (size_t cap = 0; cap < 12; cap++) {
    assert_int_equal(CLIENT(PEER, &head, F, trusted, 1, out, cap),
                     cap < 9 ? NWS_ERROR_BUFFER : NWS_OK);
    assert_int_equal(CLIENT("unix", &head, F, trusted, 1, out, cap),
                     cap < 5 ? NWS_ERROR_BUFFER : NWS_OK);
  }
}

/* --- Blocks of addresses --- */

static const struct {
  const char *network;
  const char *in;  /* NULL: is none */
  const char *out; /* not in it */
} networks[] = {
    {"10.0.0.0/8", "10.255.0.1", "11.0.0.1"},
    {"10.0.0.0/8", "::ffff:10.1.1.1", "::a00:1"},
    {"10.128.0.0/9", "10.128.0.0:80", "10.127.255.255"},
    {"192.0.2.128/25", "192.0.2.255", "192.0.2.127"},
    {"192.0.2.1", "192.0.2.1:99", "192.0.2.0"},
    {"192.0.2.1/32", "192.0.2.1", "192.0.2.3"},
    {"0.0.0.0/0", "255.255.255.255", "::"},
    {"::/0", "[2001:db8::1]:443", "1.2.3.4"},
    {"::ffff:10.0.0.0/104", "10.0.0.1", "11.0.0.1"},
    {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
    {"::1", "::1", "::2"},
    {"::1/128", "[::1]:1", "unix"},
    {"unix", "unix", "::1"},
    {"10.0.0.1/8", NULL, NULL},
    {"2001:db8::1/64", NULL, NULL},
    {"::ffff:0:0/95", NULL, NULL},
    {"10.0.0.0/33", NULL, NULL},
    {"::/129", NULL, NULL},
    {"10.0.0.0/08", NULL, NULL},
    {"10.0.0.0/", NULL, NULL},
    {"10.0.0.0/-1", NULL, NULL},
    {"10.0.0.0/8 ", NULL, NULL},
    {"10.0.0.0/8/8", NULL, NULL},
    {"10.0.0.0/1000", NULL, NULL},
    {"10.0.0/8", NULL, NULL},
    {"[::1]", NULL, NULL},
    {"::1%lo", NULL, NULL},
    {"localhost", NULL, NULL},
    {"unix/8", NULL, NULL},
    {"", NULL, NULL},
    {"/8", NULL, NULL},
};

static void test_networks(void **state) {
  nws_network network;
  (void)state;
  for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
    int rc = nws_network_parse(nws_str_of(networks[i].network), &network);
    if (rc != (networks[i].in != NULL ? NWS_OK : NWS_ERROR_ARGUMENT))
      fail_msg("%s: %d", networks[i].network, rc);
    if (rc == NWS_OK && (!nws_network_has(&network, 1, networks[i].in) ||
                         nws_network_has(&network, 1, networks[i].out)))
      fail_msg("%s: %s %s", networks[i].network, networks[i].in,
               networks[i].out);
  }
  nws_str none = {NULL, 0};
  assert_int_equal(nws_network_parse(none, &network), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_network_parse(nws_str_of("::1"), NULL),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_network_has(&network, 1, NULL), 0);
  assert_int_equal(nws_network_has(NULL, 1, "::1"), 0);
  assert_int_equal(nws_network_has(&network, 0, "unix"), 0);
  assert_int_equal(nws_network_has(&network, 1, "nonsense"), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_requests), cmocka_unit_test(test_nobody),
      cmocka_unit_test(test_long),     cmocka_unit_test(test_misuse),
      cmocka_unit_test(test_networks),
  };
  return run_without_leaks(tests);
}
