/* fuzz_forwarded.c - harness: what proxies tell of a client, behind whatever
 * the client has written itself. Nothing that it writes passes for what the
 * proxy adds: the answer is whom the proxy names, or that nobody can tell.
 */
#include "fuzz.h"

#include <nws/forwarded.h>
#include <string.h>

enum { LINE_CAP = 400, LINES = 3 };

static const char peer[] = "10.0.0.1:80";

/* How a proxy may name a client, and what is to be understood. */
static const struct {
  nws_forwarded_header which;
  const char *element;
  const char *client;
} named[] = {
    {NWS_X_FORWARDED_FOR, "198.51.100.7", "198.51.100.7"},
    {NWS_X_FORWARDED_FOR, "198.51.100.7:4711", "198.51.100.7"},
    {NWS_X_FORWARDED_FOR, "2001:db8::7", "2001:db8::7"},
    {NWS_X_FORWARDED_FOR, "[2001:db8::7]:1", "2001:db8::7"},
    {NWS_FORWARDED, "for=198.51.100.7", "198.51.100.7"},
    {NWS_FORWARDED, "for=\"198.51.100.7:80\";proto=http", "198.51.100.7"},
    {NWS_FORWARDED, "for=\"[2001:db8::7]\"", "2001:db8::7"},
    {NWS_FORWARDED, "by=\"_a\";for=\"[2001:db8::7]:_p\"", "2001:db8::7"},
};

typedef struct request {
  nws_forwarded_header which;
  nws_header lines[LINES + 1];
  nws_http_head head;
} request;

static int ask(const request *r, char client[NWS_FORWARDED_CLIENT_MAX]) {
  static nws_network proxies[2];
  (void)nws_network_parse(nws_str_of("10.0.0.0/8"), &proxies[0]);
  (void)nws_network_parse(nws_str_of("2001:db8:1::/48"), &proxies[1]);
  const int rc = nws_forwarded_client(peer, &r->head, r->which, proxies, 2,
                                      client, NWS_FORWARDED_CLIENT_MAX);
  nws_network one;
  FUZZ_CHECK(rc == NWS_OK || rc == NWS_ERROR_FIELD);
  FUZZ_CHECK(nws_network_parse(nws_str_of(client), &one) == NWS_OK);
  FUZZ_CHECK(nws_network_has(&one, 1, client));
  FUZZ_CHECK(rc == NWS_OK || nws_network_has(proxies, 2, client));
  return rc;
}

static void add(request *r, nws_str value) {
  nws_header *line = &r->lines[r->head.count++];
  line->name =
      nws_str_of(r->which == NWS_FORWARDED ? "forwarded" : "x-forwarded-for");
  line->value = value;
}

/* The proxy adds a line of its own: what stood before is of no account. */
static void own_line(request *r, unsigned how) {
  char client[NWS_FORWARDED_CLIENT_MAX];
  add(r, nws_str_of(named[how].element));
  FUZZ_CHECK(ask(r, client) == NWS_OK);
  FUZZ_CHECK(strcmp(client, named[how].client) == 0);
  r->head.count--;
}

/* The proxy adds to the last line, which may be broken beyond repair; not so in
 * a list without quotes. */
static void same_line(request *r, unsigned how) {
  char client[NWS_FORWARDED_CLIENT_MAX];
  char text[LINE_CAP + 64];
  nws_str *last = &r->lines[r->head.count - 1].value;
  const nws_str before = *last;
  const size_t len = strlen(named[how].element);
  memcpy(text, before.ptr, before.len);
  memcpy(text + before.len, ", ", 2);
  memcpy(text + before.len + 2, named[how].element, len);
  *last =
      nws_str_make(fuzz_copy(text, before.len + 2 + len), before.len + 2 + len);
  if (ask(r, client) == NWS_OK) {
    FUZZ_CHECK(strcmp(client, named[how].client) == 0);
  } else {
    FUZZ_CHECK(r->which == NWS_FORWARDED);
    FUZZ_CHECK(strcmp(client, "10.0.0.1") == 0);
  }
  *last = before;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  fuzz_cursor c = {data, len};
  char client[NWS_FORWARDED_CLIENT_MAX];
  request r;
  fuzz_begin();
  memset(&r, 0, sizeof(r));
  const unsigned how = fuzz_u8(&c) % (sizeof(named) / sizeof(named[0]));
  r.which = named[how].which;
  r.head.headers = r.lines;
  do {
    const uint8_t *end = c.len == 0 ? NULL : memchr(c.data, '\n', c.len);
    size_t take = end == NULL ? c.len : (size_t)(end - c.data);
    take = take < LINE_CAP ? take : LINE_CAP;
    const uint8_t *text = fuzz_take(&c, &take);
    add(&r, nws_str_make(fuzz_copy(text, take), take));
    (void)fuzz_u8(&c);
  } while (c.len > 0 && r.head.count < LINES);
  ask(&r, client);
  own_line(&r, how);
  same_line(&r, how);
  return 0;
}
