/* test_uri.c - ws and wss addresses: how they are taken apart, and which byte
 * is named when they are refused.
 */
#include "../assert_str.h"

#include <stdlib.h>
#include <nws/error.h>
#include <nws/uri.h>

typedef struct good_case {
  const char *text, *userinfo, *host, *path, *query;
  int secure, ipv6, port, default_port;
} good_case;

static void good(void **state) {
  (void)state;
  static const good_case cases[] = {
      {"ws://h", NULL, "h", "/", NULL, 0, 0, 80, 1},
      {"wss://h", NULL, "h", "/", NULL, 1, 0, 443, 1},
      {"WsS://H/P", NULL, "H", "/P", NULL, 1, 0, 443, 1},
      {"ws://h:/", NULL, "h", "/", NULL, 0, 0, 80, 1},
      {"wss://h:", NULL, "h", "/", NULL, 1, 0, 443, 1},
      {"ws://h?x", NULL, "h", "/", "x", 0, 0, 80, 1},
      {"ws://h?", NULL, "h", "/", "", 0, 0, 80, 1},
      {"ws://h/?", NULL, "h", "/", "", 0, 0, 80, 1},
      {"ws://h:81?x", NULL, "h", "/", "x", 0, 0, 81, 0},
      {"ws://h:80", NULL, "h", "/", NULL, 0, 0, 80, 1},
      {"wss://h:80", NULL, "h", "/", NULL, 1, 0, 80, 0},
      {"ws://h:443", NULL, "h", "/", NULL, 0, 0, 443, 0},
      {"wss://h:443", NULL, "h", "/", NULL, 1, 0, 443, 1},
      {"ws://h:1", NULL, "h", "/", NULL, 0, 0, 1, 0},
      {"ws://h:65535", NULL, "h", "/", NULL, 0, 0, 65535, 0},
      {"ws://h:00080", NULL, "h", "/", NULL, 0, 0, 80, 1},
      {"ws://127.0.0.1:8080/a/b?c=d?e/f", NULL, "127.0.0.1", "/a/b", "c=d?e/f",
       0, 0, 8080, 0},
      {"ws://u@h", "u", "h", "/", NULL, 0, 0, 80, 1},
      {"ws://@h", "", "h", "/", NULL, 0, 0, 80, 1},
      {"ws://u:p%40:q@h:9/", "u:p%40:q", "h", "/", NULL, 0, 0, 9, 0},
      {"ws://u@[::1]:9/", "u", "::1", "/", NULL, 0, 1, 9, 0},
      {"ws://h//a//", NULL, "h", "//a//", NULL, 0, 0, 80, 1},
      {"ws://h/%00%fF?%aA", NULL, "h", "/%00%fF", "%aA", 0, 0, 80, 1},
      {"ws://h%C3%A9/", NULL, "h%C3%A9", "/", NULL, 0, 0, 80, 1},
      {"ws://h/@?@", NULL, "h", "/@", "@", 0, 0, 80, 1},
      {"ws://h?a@b", NULL, "h", "/", "a@b", 0, 0, 80, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const good_case *want = &cases[i];
    nws_uri uri;
    size_t bad_at = 12345;
    assert_int_equal(
        nws_uri_parse(&uri, want->text, strlen(want->text), &bad_at), NWS_OK);
    assert_int_equal(bad_at, 12345);
    assert_int_equal(uri.secure, want->secure);
    assert_str(uri.userinfo, want->userinfo);
    assert_str(uri.host, want->host);
    assert_int_equal(uri.ipv6, want->ipv6);
    assert_int_equal(uri.port, want->port);
    assert_int_equal(uri.default_port, want->default_port);
    assert_str(uri.path, want->path);
    assert_str(uri.query, want->query);
  }
}

/* Refuses text without its mark ^, which stands before the byte at fault. The
 * bytes are in a block of their exact size, and the result stays untouched. */
static void assert_bad(const char *marked, int error) {
  const char *mark = strchr(marked, '^');
  assert_non_null(mark);
  size_t at = (size_t)(mark - marked), len = strlen(marked) - 1;
  char *text = malloc(len ? len : 1);
  assert_non_null(text);
  memcpy(text, marked, at);
  memcpy(text + at, mark + 1, len - at);
  nws_uri uri, before;
  memset(&uri, 0x5a, sizeof uri);
  memset(&before, 0x5a, sizeof before);
  size_t bad_at = 12345;
  assert_int_equal(nws_uri_parse(&uri, text, len, &bad_at), error);
  assert_int_equal(bad_at, at);
  assert_memory_equal(&uri, &before, sizeof uri);
  assert_int_equal(nws_uri_parse(&uri, text, len, NULL), error);
  free(text);
}

static void bad_schemes(void **state) {
  (void)state;
  static const char *const texts[] = {
      "^",        "^http://h", "^/ws://h", "^ ws://h", "w^",
      "w^x://h",  "ws^",       "wss^",     "ws^//h",   "wss^s://h",
      "ws^x://h", "^h",        "^://h",    "w^:/h",    "ws^ ://h",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    assert_bad(texts[i], NWS_ERROR_URI_SCHEME);
}

static void bad_authorities(void **state) {
  (void)state;
  static const char *const texts[] = {
      "ws:^",
      "ws:^h",
      "ws:/^",
      "ws:/^h",
      "ws:^\\\\h",
      "ws://^",
      "ws://^/",
      "ws://^?x",
      "ws://^#x",
      "ws://^:80/",
      "ws://u@^",
      "ws://u@^/",
      "ws://u@^:1/",
      "ws://a@b^@c/",
      "ws://a^[b@c/",
      "ws://a^ b@c/",
      "ws://a%^@c/",
      "ws://a%4^@c/",
      "ws://a%4^g@c/",
      "ws://h%^",
      "ws://h%4^",
      "ws://h%^g0/",
      "ws://h%0^g/",
      "ws://h%^/",
      "ws://h^ /",
      "ws://h^\\x/",
      "ws://h^\xc3\xa9/",
      "ws://h^[::1]/",
      "ws://[::1]^x/",
      "ws://[::1]^[",
      "ws://h^\r\nx: y/",
      "ws://h^\"",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    assert_bad(texts[i], NWS_ERROR_URI_AUTHORITY);
}

static void bad_ports(void **state) {
  (void)state;
  static const char *const texts[] = {
      "ws://h:^0",     "ws://h:^000/",  "ws://h:6553^6", "ws://h:6553^60/",
      "ws://h:9999^9", "ws://h:7000^0", "ws://h:^-1",    "ws://h:^+1",
      "ws://h:8^a/",   "ws://h:80^x",   "ws://h:^ 80",   "ws://h:80^ /",
      "ws://h:80^:80", "ws://h:^:80",   "ws://[::1]:^x",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    assert_bad(texts[i], NWS_ERROR_URI_PORT);
  static const char digits[] = "ws://h:18446744073709551617";
  size_t bad_at = 0;
  nws_uri uri;
  assert_int_equal(nws_uri_parse(&uri, digits, sizeof digits - 1, &bad_at),
                   NWS_ERROR_URI_PORT);
  assert_int_equal(bad_at, 12);
}

static void bad_paths(void **state) {
  (void)state;
  static const char *const texts[] = {
      "ws://h/^ ",    "ws://h/a^\r\nX: y", "ws://h/%^",    "ws://h/%0^",
      "ws://h/%^zz",  "ws://h/%0^z",       "ws://h/a^[b",  "ws://h?^ ",
      "ws://h?a^\n",  "ws://h?%^",         "ws://h?%A^",   "ws://h?%A^%",
      "ws://h/^\xff", "ws://h?^\xc3",      "ws://h/?a^|b", "ws://h/^\x7f",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    assert_bad(texts[i], NWS_ERROR_URI_PATH);
  assert_bad("ws://h^#", NWS_ERROR_URI_FRAGMENT);
  assert_bad("ws://h/^#f", NWS_ERROR_URI_FRAGMENT);
  assert_bad("ws://h:80^#f", NWS_ERROR_URI_FRAGMENT);
  assert_bad("ws://h/a?b^#f", NWS_ERROR_URI_FRAGMENT);
  assert_bad("ws://h?b^##", NWS_ERROR_URI_FRAGMENT);
}

static int parse_ipv6(const char *address) {
  char text[128] = "ws://[";
  strcat(strcat(text, address), "]/");
  nws_uri uri;
  int rc = nws_uri_parse(&uri, text, strlen(text), NULL);
  if (rc == NWS_OK) {
    assert_true(uri.ipv6);
    assert_str(uri.host, address);
  }
  return rc;
}

static void ipv6(void **state) {
  (void)state;
  static const char *const right[] = {
      "::",
      "::1",
      "1::",
      "1:2:3:4:5:6:7:8",
      "fFfF:0:00:000:0000:a:B:c",
      "1:2:3:4:5:6:7::",
      "::2:3:4:5:6:7:8",
      "1::3:4:5:6:7:8",
      "1:2:3::7:8",
      "::1.2.3.4",
      "::ffff:255.255.255.255",
      "1:2:3:4:5:6:0.0.0.0",
      "1:2:3:4:5::1.2.3.4",
      "::2:3:4:5:6:1.2.3.4",
      "64:ff9b::192.0.2.33",
  };
  static const char *const wrong[] = {
      "",
      ":",
      "1",
      "1:",
      ":1",
      ":::",
      "1:::2",
      "::1::",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:",
      "1:2:3:4:5:6:7:8:",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::",
      "1:2:3:4:5:6:7::8",
      "1:2:3:4:5:6:7::8:9",
      "1:2:3:4:5:6:7:8::9",
      "1::2:3:4:5:6:7:8",
      "::2:3:4:5:6:7:8:9",
      "1:2:3:4::5:6:7:8",
      "::1:2:3:4:5:6:7:8",
      "12345::",
      "g::",
      "::1 ",
      "1.2.3.4",
      "::1.2.3",
      "::1.2.3.4.5",
      "::1.2.3.4:5",
      "::1.2.3.256",
      "::1.2.3.04",
      "::1.2.3.",
      "::1..3.4",
      "::.2.3.4",
      "1:2:3:4:5:6:7:1.2.3.4",
      "1:2:3:4:5:1.2.3.4",
      "1:2:3:4:5:6::1.2.3.4",
      "1:2:3:4:5:6:7::1.2.3.4",
      "1::3:4:5:6:7:1.2.3.4",
      "1.2.3.4::",
      "fe80::1%25eth0",
      "fe80::1%eth0",
      "v1.x",
      "V1.::1",
      "[::1]",
      "::1/64",
  };
  for (size_t i = 0; i < sizeof right / sizeof *right; i++)
    assert_int_equal(parse_ipv6(right[i]), NWS_OK);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(parse_ipv6(wrong[i]), NWS_ERROR_URI_AUTHORITY);
  assert_bad("ws://[^", NWS_ERROR_URI_AUTHORITY);
  assert_bad("ws://[^]", NWS_ERROR_URI_AUTHORITY);
  assert_bad("ws://[::1^", NWS_ERROR_URI_AUTHORITY);
  assert_bad("ws://[::1^/]", NWS_ERROR_URI_AUTHORITY);
  assert_bad("ws://[:^1]", NWS_ERROR_URI_AUTHORITY);
  assert_bad("ws://[1:2^]", NWS_ERROR_URI_AUTHORITY);
  assert_bad("ws://[1^.2.3.4]", NWS_ERROR_URI_AUTHORITY);
  assert_bad("ws://[1:2:3:4:5:6:7:8^:]", NWS_ERROR_URI_AUTHORITY);
  assert_bad("ws://[fe80::1^%25eth0]", NWS_ERROR_URI_AUTHORITY);
  assert_bad("ws://[^v1.x]", NWS_ERROR_URI_AUTHORITY);
}

#define UNRESERVED                                                             \
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
#define SUB_DELIMS "!$&'()*+,;="

/* Puts each byte value at the mark ^; only those in `fine` may pass, those in
 * `other` mean something else there and are not looked at. */
static void check_bytes(const char *pattern, const char *fine,
                        const char *other, int error) {
  int escapes = strchr(fine, '~') != NULL;
  size_t at = (size_t)(strchr(pattern, '^') - pattern);
  size_t len = strlen(pattern);
  for (int byte = 0; byte < 256; byte++) {
    char text[64];
    nws_uri uri;
    size_t bad_at = 12345;
    memcpy(text, pattern, len);
    text[at] = (char)byte;
    if (byte != 0 && strchr(other, byte) != NULL)
      continue;
    int rc = nws_uri_parse(&uri, text, len, &bad_at);
    if (byte != 0 && strchr(fine, byte) != NULL) {
      assert_int_equal(rc, NWS_OK);
      continue;
    }
    assert_int_equal(rc, error);
    /* Where a percent sign may stand, it is the byte behind it that is not a
     * hex digit. */
    assert_int_equal(bad_at, byte == '%' && escapes ? at + 1 : at);
  }
}

static void all_bytes(void **state) {
  (void)state;
  check_bytes("^s://h", "wW", "", NWS_ERROR_URI_SCHEME);
  check_bytes("w^://h", "sS", "", NWS_ERROR_URI_SCHEME);
  check_bytes("ws^://h", "sS", ":", NWS_ERROR_URI_SCHEME);
  check_bytes("ws:/^h", "/", "", NWS_ERROR_URI_AUTHORITY);
  check_bytes("ws://a^z@h/", UNRESERVED SUB_DELIMS ":", "/?#@",
              NWS_ERROR_URI_AUTHORITY);
  check_bytes("ws://h^z/", UNRESERVED SUB_DELIMS "/?",
              "#@:", NWS_ERROR_URI_AUTHORITY);
  check_bytes("ws://^z/", UNRESERVED SUB_DELIMS "@", "[",
              NWS_ERROR_URI_AUTHORITY);
  check_bytes("ws://[^::2]/", "0123456789abcdefABCDEF", ":@",
              NWS_ERROR_URI_AUTHORITY);
  check_bytes("ws://h:1^1/", "0123456789/?", "#@", NWS_ERROR_URI_PORT);
  check_bytes("ws://h/^z", UNRESERVED SUB_DELIMS ":@/?", "#",
              NWS_ERROR_URI_PATH);
  check_bytes("ws://h?^z", UNRESERVED SUB_DELIMS ":@/?", "#",
              NWS_ERROR_URI_PATH);
  check_bytes("ws://h/%^0", "0123456789abcdefABCDEF", "%", NWS_ERROR_URI_PATH);
  check_bytes("ws://h/%0^", "0123456789abcdefABCDEF", "%", NWS_ERROR_URI_PATH);
}

/* Every beginning of a good address is judged without a read beyond it. */
static void prefixes(void **state) {
  (void)state;
  static const char text[] =
      "wss://u:p%40@[1:2::3:4.5.6.7]:8443/p%20q/?a=%7E&b";
  for (size_t len = 0; len < sizeof text; len++) {
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    nws_uri uri;
    size_t bad_at = 0;
    int rc = nws_uri_parse(&uri, copy, len, &bad_at);
    if (rc != NWS_OK)
      assert_true(bad_at <= len);
    else
      assert_true(uri.path.len > 0 && uri.host.len > 0);
    free(copy);
  }
}

static void misuse(void **state) {
  (void)state;
  nws_uri uri;
  assert_int_equal(nws_uri_parse(NULL, "ws://h", 6, NULL), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_uri_parse(&uri, NULL, 6, NULL), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_uri_parse(&uri, NULL, 0, NULL), NWS_ERROR_URI_SCHEME);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good),
      cmocka_unit_test(bad_schemes),
      cmocka_unit_test(bad_authorities),
      cmocka_unit_test(bad_ports),
      cmocka_unit_test(bad_paths),
      cmocka_unit_test(ipv6),
      cmocka_unit_test(all_bytes),
      cmocka_unit_test(prefixes),
      cmocka_unit_test(misuse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
