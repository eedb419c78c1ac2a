/* test_http.c - heads of requests and responses: what is accepted, where the
 * fault is when it is not, and that cuts in the stream never matter.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <nws/error.h>
#include <nws/http.h>

enum { ROOM = 8 };

typedef int parser(nws_http_head *head, const char *data, size_t len);

/* A head and its headers, ready to parse. */
typedef struct fixture {
  nws_http_head head;
  nws_header headers[ROOM];
} fixture;

static void ready(fixture *f) {
  memset(f, 0, sizeof *f);
  f->head.headers = f->headers;
  f->head.max_headers = ROOM;
}

/* Parses from a copy of exactly `len` bytes, so that the address sanitizer
 * sees every read beyond them. The copy is left to the caller to free. */
static int parse_copy(parser *parse, nws_http_head *head, const char *data,
                      size_t len, char **copy) {
  *copy = malloc(len ? len : 1);
  assert_non_null(*copy);
  memcpy(*copy, data, len);
  return parse(head, *copy, len);
}

static int same_place(nws_str a, const char *data_a, nws_str b,
                      const char *data_b) {
  return a.len == b.len && a.ptr - data_a == b.ptr - data_b;
}

/* Two outcomes of the same bytes, which lay at `at_a` and `at_b`. */
static void assert_same(int rc, const fixture *a, const char *at_a,
                        const fixture *b, const char *at_b, int request) {
  if (rc != NWS_OK) {
    assert_int_equal(a->head.error_at, b->head.error_at);
    return;
  }
  assert_int_equal(a->head.count, b->head.count);
  assert_int_equal(a->head.len, b->head.len);
  assert_int_equal(a->head.minor, b->head.minor);
  assert_int_equal(a->head.status, b->head.status);
  if (request) {
    assert_true(same_place(a->head.method, at_a, b->head.method, at_b));
    assert_true(same_place(a->head.target, at_a, b->head.target, at_b));
  } else {
    assert_true(same_place(a->head.reason, at_a, b->head.reason, at_b));
  }
  for (size_t i = 0; i < a->head.count; i++) {
    assert_true(same_place(a->headers[i].name, at_a, b->headers[i].name, at_b));
    assert_true(
        same_place(a->headers[i].value, at_a, b->headers[i].value, at_b));
  }
}

/* Feeds the bytes in pieces that end at `cut`, `cut` + `step`, ... and holds
 * the outcome against that of the bytes at once. */
static void check_drip(parser *parse, const char *data, size_t len, size_t cut,
                       size_t step, int want, const fixture *whole) {
  fixture f;
  ready(&f);
  f.head.max_head = whole->head.max_head;
  f.head.max_headers = whole->head.max_headers;
  size_t have = cut < len ? cut : len;
  for (;;) {
    char *copy;
    int rc = parse_copy(parse, &f.head, data, have, &copy);
    if (rc == want && (rc != NWS_MORE || have == len)) {
      assert_same(rc, &f, copy, whole, data, parse == nws_http_parse_request);
      free(copy);
      return;
    }
    free(copy);
    assert_int_equal(rc, NWS_MORE);
    assert_true(have < len);
    have = len - have < step ? len : have + step;
  }
}

/* Parses at once, at every split in two, and byte by byte; returns the outcome
 * at once in `f`, whose limits are the caller's. */
static int parse_all_ways(parser *parse, fixture *f, const char *data,
                          size_t len) {
  int rc = parse(&f->head, data, len);
  for (size_t cut = 0; cut <= len; cut++)
    check_drip(parse, data, len, cut, len, rc, f);
  check_drip(parse, data, len, 0, 1, rc, f);
  check_drip(parse, data, len, 1, 3, rc, f);
  return rc;
}

static void assert_str(nws_str got, const char *want) {
  assert_non_null(got.ptr);
  assert_int_equal(got.len, strlen(want));
  assert_memory_equal(got.ptr, want, got.len);
}

/* The fault is `error` at offset `at`; everything before is the beginning of a
 * good head, and one byte more is enough to see the fault. */
static void assert_fault(parser *parse, const char *data, size_t len, int error,
                         size_t at) {
  fixture f;
  ready(&f);
  assert_int_equal(parse_all_ways(parse, &f, data, len), error);
  assert_int_equal(f.head.error_at, at);
  for (size_t cut = 0; cut <= at + 1; cut++) {
    ready(&f);
    assert_int_equal(parse(&f.head, data, cut), cut <= at ? NWS_MORE : error);
  }
}

static void request(void **state) {
  (void)state;
  static const char text[] = "GET /chat?x=%20 HTTP/1.1\r\n"
                             "Host: example.com\r\n"
                             "empty:\r\n"
                             "blank: \t \r\n"
                             "tight:v\r\n"
                             "X-Wide:\t  a \t b\t \r\n"
                             "a!#$%&'*+-.^_`|~9: \x80\xff\"\t,\r\n"
                             "\r\nbytes behind";
  fixture f;
  ready(&f);
  assert_int_equal(
      parse_all_ways(nws_http_parse_request, &f, text, sizeof text - 1),
      NWS_OK);
  assert_str(f.head.method, "GET");
  assert_str(f.head.target, "/chat?x=%20");
  assert_int_equal(f.head.minor, 1);
  assert_int_equal(f.head.count, 6);
  assert_int_equal(f.head.len, sizeof text - 1 - strlen("bytes behind"));
  static const char *const want[][2] = {
      {"Host", "example.com"}, {"empty", ""},
      {"blank", ""},           {"tight", "v"},
      {"X-Wide", "a \t b"},    {"a!#$%&'*+-.^_`|~9", "\x80\xff\"\t,"},
  };
  for (size_t i = 0; i < f.head.count; i++) {
    assert_str(f.headers[i].name, want[i][0]);
    assert_str(f.headers[i].value, want[i][1]);
  }
}

static void request_bare(void **state) {
  (void)state;
  static const char text[] = "OPTIONS * HTTP/1.0\r\n\r\n";
  fixture f;
  ready(&f);
  f.head.headers = NULL;
  f.head.max_headers = 0;
  assert_int_equal(nws_http_parse_request(&f.head, text, sizeof text - 1),
                   NWS_OK);
  assert_str(f.head.method, "OPTIONS");
  assert_str(f.head.target, "*");
  assert_int_equal(f.head.minor, 0);
  assert_int_equal(f.head.count, 0);
  assert_int_equal(f.head.len, sizeof text - 1);
}

static void response(void **state) {
  (void)state;
  static const struct {
    const char *text, *reason;
    uint16_t status;
    uint8_t minor;
  } cases[] = {
      {"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n",
       "Switching Protocols", 101, 1},
      {"HTTP/1.1 101 \r\nA: b\r\n\r\n", "", 101, 1},
      {"HTTP/1.1 101\r\nA: b\r\n\r\n", "", 101, 1},
      {"HTTP/1.0 999 \t\xfft \r\nA: b\r\n\r\n", "\t\xfft ", 999, 0},
      {"HTTP/1.1 100  \r\nA: b\r\n\r\n", " ", 100, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fixture f;
    ready(&f);
    size_t len = strlen(cases[i].text);
    assert_int_equal(
        parse_all_ways(nws_http_parse_response, &f, cases[i].text, len),
        NWS_OK);
    assert_int_equal(f.head.status, cases[i].status);
    assert_int_equal(f.head.minor, cases[i].minor);
    assert_str(f.head.reason, cases[i].reason);
    assert_int_equal(f.head.count, 1);
    assert_int_equal(f.head.len, len);
  }
}

/* In these texts the mark ^ stands before the byte at fault and is taken out.
 */
typedef struct fault_case {
  const char *text;
  int error;
} fault_case;

static void check_faults(parser *parse, const fault_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char *mark = strchr(cases[i].text, '^');
    char text[256];
    assert_non_null(mark);
    size_t at = (size_t)(mark - cases[i].text);
    size_t len = strlen(cases[i].text) - 1;
    memcpy(text, cases[i].text, at);
    memcpy(text + at, mark + 1, len - at);
    assert_fault(parse, text, len, cases[i].error, at);
  }
}

static void request_faults(void **state) {
  (void)state;
  static const fault_case cases[] = {
      /* no empty lines before the request (RFC 9112 2.2 allows them) */
      {"^\r\nGET / HTTP/1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"^\nGET / HTTP/1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"^ GET / HTTP/1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"G^(T / HTTP/1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET^\t/ HTTP/1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET^\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET ^ / HTTP/1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET /^\r\nHost: x\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET /^\xc3 HTTP/1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET / ^ HTTP/1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET / ^http/1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET / HTTP^1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET / HTTP/^.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET / HTTP/1^,1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET / HTTP/1^1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET / HTTP/1.^x\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET / HTTP/1.1^ \r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET / HTTP/1.1^0\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"GET / HTTP/^0.9\r\n\r\n", NWS_ERROR_HTTP_VERSION},
      {"GET / HTTP/^2\r\n\r\n", NWS_ERROR_HTTP_VERSION},
      {"GET / HTTP/1.^2\r\n\r\n", NWS_ERROR_HTTP_VERSION},
      {"GET / HTTP/1.^9\r\n\r\n", NWS_ERROR_HTTP_VERSION},
      {"PRI * HTTP/^2.0\r\n\r\nSM\r\n\r\n", NWS_ERROR_HTTP_VERSION},
      {"GET / HTTP/1.1^\nHost: x\n\n", NWS_ERROR_HTTP_LINE_END},
      {"GET / HTTP/1.1\r^Host: x\r\n\r\n", NWS_ERROR_HTTP_LINE_END},
      {"GET / HTTP/1.1\r^\r\n\r\n", NWS_ERROR_HTTP_LINE_END},
      {"GET / HTTP/1.1\r\n^\n", NWS_ERROR_HTTP_LINE_END},
      {"GET / HTTP/1.1\r\n\r^\r\n", NWS_ERROR_HTTP_LINE_END},
      {"GET / HTTP/1.1\r\nA: b^\n\r\n", NWS_ERROR_HTTP_LINE_END},
      {"GET / HTTP/1.1\r\nA: b\r^c\r\n\r\n", NWS_ERROR_HTTP_LINE_END},
      {"GET / HTTP/1.1\r\nA: b\r\n^\n\r\n", NWS_ERROR_HTTP_LINE_END},
      {"GET / HTTP/1.1\r\nA: b\r\n\r^x\r\n\r\n", NWS_ERROR_HTTP_LINE_END},
      {"GET / HTTP/1.1\r\n^ A: b\r\n\r\n", NWS_ERROR_HTTP_FOLD},
      {"GET / HTTP/1.1\r\nA: b\r\n^ c\r\n\r\n", NWS_ERROR_HTTP_FOLD},
      {"GET / HTTP/1.1\r\nA: b\r\n^\tc\r\n\r\n", NWS_ERROR_HTTP_FOLD},
      {"GET / HTTP/1.1\r\n^: b\r\n\r\n", NWS_ERROR_HTTP_HEADER_NAME},
      {"GET / HTTP/1.1\r\nA^ : b\r\n\r\n", NWS_ERROR_HTTP_HEADER_NAME},
      {"GET / HTTP/1.1\r\nA^\t: b\r\n\r\n", NWS_ERROR_HTTP_HEADER_NAME},
      {"GET / HTTP/1.1\r\nA^\r\n\r\n", NWS_ERROR_HTTP_HEADER_NAME},
      {"GET / HTTP/1.1\r\nA^\n\r\n", NWS_ERROR_HTTP_HEADER_NAME},
      {"GET / HTTP/1.1\r\nA^/B: b\r\n\r\n", NWS_ERROR_HTTP_HEADER_NAME},
      {"GET / HTTP/1.1\r\nA: b^\x01\r\n\r\n", NWS_ERROR_HTTP_HEADER_VALUE},
      {"GET / HTTP/1.1\r\nA:^\x7f\r\n\r\n", NWS_ERROR_HTTP_HEADER_VALUE},
      {"^\x16\x03\x01\x02", NWS_ERROR_HTTP_START_LINE}, /* TLS */
  };
  check_faults(nws_http_parse_request, cases, sizeof cases / sizeof *cases);
}

static void response_faults(void **state) {
  (void)state;
  static const fault_case cases[] = {
      {"^\r\nHTTP/1.1 101 x\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"^GET / HTTP/1.1\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"H^ello\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/^2 101 x\r\n\r\n", NWS_ERROR_HTTP_VERSION},
      {"HTTP/1.^2 101 x\r\n\r\n", NWS_ERROR_HTTP_VERSION},
      {"HTTP/1.1^\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1^\t101 x\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1 ^ 101 x\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1 ^099 x\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1 ^-01 x\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1 1^x1 x\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1 10^ x\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1 10^\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1 101^0 x\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1 101^\tx\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1 101^\n\r\n", NWS_ERROR_HTTP_LINE_END},
      {"HTTP/1.1 101\r^x\r\n\r\n", NWS_ERROR_HTTP_LINE_END},
      {"HTTP/1.1 101 x^\n\r\n", NWS_ERROR_HTTP_LINE_END},
      {"HTTP/1.1 101 x^\x02\r\n\r\n", NWS_ERROR_HTTP_START_LINE},
      {"HTTP/1.1 101 x\r\n^ fold\r\n\r\n", NWS_ERROR_HTTP_FOLD},
  };
  check_faults(nws_http_parse_response, cases, sizeof cases / sizeof *cases);
}

/* Puts each byte value at the mark @ of a pattern and parses the result. What
 * must come out is told by the string of bytes that are `fine`; `error` is the
 * answer to all others but the line ends. */
static void check_bytes(parser *parse, const char *pattern, const char *fine,
                        int high_is_fine, int error) {
  size_t at = (size_t)(strchr(pattern, '@') - pattern);
  size_t len = strlen(pattern);
  for (int byte = 0; byte < 256; byte++) {
    char text[128];
    memcpy(text, pattern, len);
    text[at] = (char)byte;
    int good =
        byte >= 0x80 ? high_is_fine : byte != 0 && strchr(fine, byte) != NULL;
    if (!good && (byte == '\r' || byte == '\n' || byte == ' ' || byte == ':'))
      continue; /* these have a meaning; the tables of faults have them */
    if (!good) {
      assert_fault(parse, text, len, error, at);
      continue;
    }
    fixture f;
    ready(&f);
    assert_int_equal(parse_all_ways(parse, &f, text, len), NWS_OK);
    assert_int_equal(f.head.len, len);
  }
}

#define TCHARS                                                                 \
  "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"                        \
  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define VCHARS TCHARS "\"(),/:;<=>?@[\\]{}"

static void all_bytes(void **state) {
  (void)state;
  check_bytes(nws_http_parse_request, "G@T / HTTP/1.1\r\nA: b\r\n\r\n", TCHARS,
              0, NWS_ERROR_HTTP_START_LINE);
  check_bytes(nws_http_parse_request, "GET /@x HTTP/1.1\r\nA: b\r\n\r\n",
              VCHARS, 0, NWS_ERROR_HTTP_START_LINE);
  check_bytes(nws_http_parse_request, "GET / HTTP/1.1\r\nA@A: b\r\n\r\n",
              TCHARS, 0, NWS_ERROR_HTTP_HEADER_NAME);
  check_bytes(nws_http_parse_request, "GET / HTTP/1.1\r\nA: b@c\r\n\r\n",
              VCHARS " \t", 1, NWS_ERROR_HTTP_HEADER_VALUE);
  check_bytes(nws_http_parse_response, "HTTP/1.1 200 b@c\r\nA: b\r\n\r\n",
              VCHARS " \t", 1, NWS_ERROR_HTTP_START_LINE);
}

/* Values are read eight bytes at a time: every byte at every place of such a
 * group, with good neighbours of all kinds. */
static void all_bytes_in_long_values(void **state) {
  (void)state;
  static const char fill[] = {'x', ' ', '~', '\x80', '\xff', '\x20', '\x7e'};
  static const char front[] = "GET / HTTP/1.1\r\nA: b";
  size_t from = sizeof front - 1;
  for (size_t shape = 0; shape < sizeof fill; shape++) {
    for (size_t place = 0; place < 17; place++) {
      for (int byte = 0; byte < 256; byte++) {
        char text[64];
        memcpy(text, front, from);
        memset(text + from, fill[shape], 17);
        text[from + place] = (char)byte;
        memcpy(text + from + 17, "z\r\n\r\n", 5);
        fixture f;
        ready(&f);
        int rc = nws_http_parse_request(&f.head, text, from + 22);
        if ((byte >= 0x20 && byte != 0x7f) || byte == '\t') {
          assert_int_equal(rc, NWS_OK);
          assert_int_equal(f.headers[0].value.len, 19);
        } else {
          assert_int_equal(rc, byte == '\r' || byte == '\n'
                                   ? NWS_ERROR_HTTP_LINE_END
                                   : NWS_ERROR_HTTP_HEADER_VALUE);
          assert_int_equal(f.head.error_at,
                           from + place + (byte == '\r' ? 1 : 0));
        }
      }
    }
  }
}

/* max_head at the head's length fits; one less is refused, at that byte. */
static void limit_of_size(void **state) {
  (void)state;
  static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n\x81\x80";
  size_t len = sizeof text - 3;
  for (size_t max = 1; max <= len + 2; max++) {
    fixture f;
    ready(&f);
    f.head.max_head = max;
    int want = max < len ? NWS_ERROR_HTTP_HEAD_LIMIT : NWS_OK;
    assert_int_equal(
        parse_all_ways(nws_http_parse_request, &f, text, sizeof text - 1),
        want);
    if (max < len)
      assert_int_equal(f.head.error_at, max);
    ready(&f);
    f.head.max_head = max;
    int before = max - 1 < len ? NWS_MORE : NWS_OK;
    assert_int_equal(nws_http_parse_request(&f.head, text, max - 1), before);
    assert_int_equal(nws_http_parse_request(&f.head, text, max), want);
  }
}

/* The default limit, with one header whose value fills the head. */
static void limit_of_size_default(void **state) {
  (void)state;
  static const char front[] = "GET / HTTP/1.1\r\nA: ";
  for (size_t len = NWS_HTTP_MAX_HEAD_DEFAULT - 1;
       len <= NWS_HTTP_MAX_HEAD_DEFAULT + 1; len++) {
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, front, sizeof front - 1);
    memcpy(text + len - 4, "\r\n\r\n", 4);
    fixture f;
    ready(&f);
    int rc = nws_http_parse_request(&f.head, text, len);
    if (len > NWS_HTTP_MAX_HEAD_DEFAULT) {
      assert_int_equal(rc, NWS_ERROR_HTTP_HEAD_LIMIT);
      assert_int_equal(f.head.error_at, NWS_HTTP_MAX_HEAD_DEFAULT);
    } else {
      assert_int_equal(rc, NWS_OK);
      assert_int_equal(f.headers[0].value.len, len - sizeof front + 1 - 4);
    }
    free(text);
  }
}

static void limit_of_count(void **state) {
  (void)state;
  static const char text[] = "GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n";
  for (size_t max = 0; max <= 4; max++) {
    fixture f;
    ready(&f);
    f.head.max_headers = max;
    int rc = parse_all_ways(nws_http_parse_request, &f, text, sizeof text - 1);
    assert_int_equal(rc, max < 3 ? NWS_ERROR_HTTP_COUNT_LIMIT : NWS_OK);
    if (max < 3)
      assert_int_equal(f.head.error_at, 16 + 6 * max);
    else
      assert_int_equal(f.head.count, 3);
    for (size_t i = max; i < ROOM; i++)
      assert_null(f.headers[i].name.ptr);
  }
}

/* Byte by byte, the parser looks at new bytes only: what lies before is
 * overwritten with garbage after it was seen, and nobody notices until the
 * end of the head makes it parse again. */
static void drip_is_linear(void **state) {
  (void)state;
  enum { LEN = 60000 };
  static const char front[] = "GET / HTTP/1.1\r\nA: ";
  char *text = malloc(LEN);
  assert_non_null(text);
  memset(text, 'x', LEN);
  memcpy(text, front, sizeof front - 1);
  fixture f;
  ready(&f);
  f.head.max_head = LEN;
  for (size_t have = 1; have <= LEN - 4; have++) {
    assert_int_equal(nws_http_parse_request(&f.head, text, have), NWS_MORE);
    assert_int_equal(f.head.scanned, have);
    if (have > sizeof front)
      text[have - 2] = 1;
  }
  memcpy(text + LEN - 4, "\r\n\r\n", 4);
  assert_int_equal(nws_http_parse_request(&f.head, text, LEN - 1), NWS_MORE);
  assert_int_equal(nws_http_parse_request(&f.head, text, LEN),
                   NWS_ERROR_HTTP_HEADER_VALUE);
  memset(text + sizeof front - 1, 'x', LEN - 4 - (sizeof front - 1));
  assert_int_equal(nws_http_parse_request(&f.head, text, LEN), NWS_OK);
  assert_int_equal(f.head.len, LEN);
  free(text);
}

/* The same within the first line, which is parsed once more when whole. */
static void drip_of_first_line(void **state) {
  (void)state;
  enum { LEN = 4000 };
  static const char end[] = " HTTP/1.1\r\n";
  char text[LEN + sizeof end];
  memset(text, 'x', LEN);
  memcpy(text, "GET /", 5);
  memcpy(text + LEN, end, sizeof end);
  fixture f;
  ready(&f);
  for (size_t have = 1; have < LEN; have++) {
    assert_int_equal(nws_http_parse_request(&f.head, text, have), NWS_MORE);
    if (have > 6)
      text[have - 2] = 1;
  }
  /* The last byte of the first line makes the damage known. */
  size_t whole = LEN + sizeof end - 1;
  assert_int_equal(nws_http_parse_request(&f.head, text, whole - 1), NWS_MORE);
  assert_int_equal(nws_http_parse_request(&f.head, text, whole),
                   NWS_ERROR_HTTP_START_LINE);
}

/* Garbage is refused at once, whatever came before. */
static void garbage_is_refused_early(void **state) {
  (void)state;
  static const char good[] = "GET / HTTP/1.1\r\nHost: x\r\nA: b";
  for (int byte = 0; byte < 256; byte++) {
    char text[sizeof good + 1];
    memcpy(text, good, sizeof good - 1);
    text[sizeof good - 1] = (char)byte;
    fixture f;
    ready(&f);
    assert_int_equal(nws_http_parse_request(&f.head, text, sizeof good - 1),
                     NWS_MORE);
    int rc = nws_http_parse_request(&f.head, text, sizeof good);
    int control = (byte < 0x20 && byte != '\t' && byte != '\r') || byte == 0x7f;
    int error =
        byte == '\n' ? NWS_ERROR_HTTP_LINE_END : NWS_ERROR_HTTP_HEADER_VALUE;
    assert_int_equal(rc, control ? error : NWS_MORE);
  }
  fixture f;
  ready(&f);
  static const char line[] = "GET / HTTP/2.0\r\n";
  assert_int_equal(nws_http_parse_request(&f.head, line, 10), NWS_MORE);
  assert_int_equal(nws_http_parse_request(&f.head, line, 11), NWS_MORE);
  assert_int_equal(nws_http_parse_request(&f.head, line, sizeof line - 1),
                   NWS_ERROR_HTTP_VERSION);
}

static void misuse(void **state) {
  (void)state;
  fixture f;
  ready(&f);
  assert_int_equal(nws_http_parse_request(NULL, "G", 1), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_http_parse_request(&f.head, NULL, 1),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_http_parse_request(&f.head, NULL, 0), NWS_MORE);
  assert_int_equal(nws_http_parse_request(&f.head, "GET ", 4), NWS_MORE);
  assert_int_equal(nws_http_parse_request(&f.head, "GET", 3),
                   NWS_ERROR_ARGUMENT);
  ready(&f);
  f.head.headers = NULL;
  assert_int_equal(nws_http_parse_request(&f.head, "GET ", 4),
                   NWS_ERROR_ARGUMENT);
}

static void find(void **state) {
  (void)state;
  const nws_header headers[] = {
      {nws_str_of("Host"), nws_str_of("x")},
      {nws_str_of("sec-a"), nws_str_of("1")},
      {nws_str_of("Sec-B"), nws_str_of("2")},
      {nws_str_of("SEC-A"), nws_str_of("3")},
  };
  nws_str name = nws_str_of("Sec-A");
  assert_int_equal(nws_header_find(headers, 4, name, 0), 1);
  assert_int_equal(nws_header_find(headers, 4, name, 1), 1);
  assert_int_equal(nws_header_find(headers, 4, name, 2), 3);
  assert_int_equal(nws_header_find(headers, 4, name, 4), 4);
  assert_int_equal(nws_header_find(headers, 3, name, 2), 3);
  assert_int_equal(nws_header_find(headers, 4, nws_str_of("sec"), 0), 4);
  assert_int_equal(nws_header_find(headers, 4, nws_str_of("hosts"), 0), 4);
  assert_int_equal(nws_header_find(NULL, 0, name, 0), 0);
}

/* The elements must come out as `want` with | between them. */
static void check_list(const char *value, const char *want) {
  nws_str rest = nws_str_of(value), element;
  char got[256];
  size_t len = 0;
  while (nws_list_next(&rest, &element)) {
    assert_true(element.len > 0);
    if (len > 0)
      got[len++] = '|';
    memcpy(got + len, element.ptr, element.len);
    len += element.len;
    got[len] = 0;
  }
  got[len] = 0;
  assert_string_equal(got, want);
  assert_int_equal(rest.len, 0);
  assert_int_equal(nws_list_next(&rest, &element), 0);
}

static void lists(void **state) {
  (void)state;
  check_list("", "");
  check_list(" \t ", "");
  check_list(",,, ,\t,", "");
  check_list("a", "a");
  check_list(" a ", "a");
  check_list("a,b", "a|b");
  check_list("a , b\t,\tc ", "a|b|c");
  check_list(",a,,b,", "a|b");
  check_list("keep-alive, Upgrade", "keep-alive|Upgrade");
  check_list("a b, c;d=e", "a b|c;d=e");
  check_list("a;p=\"x,y\", b", "a;p=\"x,y\"|b");
  check_list("a;p=\"x\\\",y\",b", "a;p=\"x\\\",y\"|b");
  check_list("a;p=\"x\\\\\",y\",b", "a;p=\"x\\\\\"|y\",b");
  check_list("\"open, b", "\"open, b");
  check_list("\"open\\", "\"open\\");
  check_list("\"\",\",\"", "\"\"|\",\"");
  check_list("a\\,b", "a\\|b");
  nws_str absent = {NULL, 0}, element;
  assert_int_equal(nws_list_next(&absent, &element), 0);
}

static void tokens_and_values(void **state) {
  (void)state;
  assert_false(nws_http_token_valid(nws_str_make(NULL, 0)));
  assert_false(nws_http_token_valid(nws_str_of("")));
  assert_true(nws_http_token_valid(nws_str_of("a")));
  assert_true(nws_http_value_valid(nws_str_make(NULL, 0)));
  assert_true(nws_http_value_valid(nws_str_of("")));
  assert_true(nws_http_value_valid(nws_str_of("a \t b")));
  assert_false(nws_http_value_valid(nws_str_of(" a")));
  assert_false(nws_http_value_valid(nws_str_of("a ")));
  assert_false(nws_http_value_valid(nws_str_of("\ta")));
  assert_false(nws_http_value_valid(nws_str_of("a\t")));
  assert_false(nws_http_value_valid(nws_str_of(" ")));
  for (int byte = 0; byte < 256; byte++) {
    char text[3] = {'a', (char)byte, 'b'};
    int token = byte != 0 && strchr(TCHARS, byte) != NULL;
    int value = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    for (size_t from = 0; from < 2; from++) {
      nws_str part = nws_str_make(text + from, 3 - from);
      int blank = from == 1 && (byte == ' ' || byte == '\t');
      assert_int_equal(nws_http_token_valid(part), token);
      assert_int_equal(nws_http_value_valid(part), value && !blank);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(request),
      cmocka_unit_test(request_bare),
      cmocka_unit_test(response),
      cmocka_unit_test(request_faults),
      cmocka_unit_test(response_faults),
      cmocka_unit_test(all_bytes),
      cmocka_unit_test(all_bytes_in_long_values),
      cmocka_unit_test(limit_of_size),
      cmocka_unit_test(limit_of_size_default),
      cmocka_unit_test(limit_of_count),
      cmocka_unit_test(drip_is_linear),
      cmocka_unit_test(drip_of_first_line),
      cmocka_unit_test(garbage_is_refused_early),
      cmocka_unit_test(misuse),
      cmocka_unit_test(find),
      cmocka_unit_test(lists),
      cmocka_unit_test(tokens_and_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
