/* test_net_stats.c - what a server counts is what has happened, one for one,
 * and Prometheus can read it.
 */
#include "../../src/net/net_internal.h"
#include "net_fixture.h"
#include <nws/stats.h>

enum { KIB = 1024 };

static nws_stats stats_of(const fixture *fx) {
  nws_stats s;
  nws_server_stats(fx->server, &s);
  return s;
}

/* What stats.h promises at any time. */
static void assert_sums(const nws_stats *s) {
  uint64_t failed = s->failed_timeout + s->failed_gone + s->failed_http +
                    s->failed_request + s->failed_refused + s->failed_tls +
                    s->failed_proxy + s->failed_canceled + s->failed_other;
  uint64_t turned = s->turned_peers + s->turned_handshakes + s->turned_address +
                    s->turned_rate + s->turned_memory;
  assert_int_equal(s->accepted, turned + s->handshakes + failed + s->opened);
  assert_int_equal(s->opened, s->open + s->closed_clean + s->closed_error);
}

static uint64_t count_of(const nws_histogram *histogram) {
  uint64_t count = 0;
  for (unsigned i = 0; i < NWS_HISTOGRAM_BUCKETS; i++)
    count += histogram->counts[i];
  return count;
}

static void wait_closed(fixture *fx, raw *r) {
  raw_until(fx, r, r->ended || r->error);
  raw_free(r);
  step_until(fx, nws_server_peers(fx->server) == 0);
}

/* --- Handshakes --- */

static void refuse(nws_peer *peer, const nws_server_handshake *request) {
  nws_rejection no = {.size = sizeof(no), .status = 403};
  note_request(peer, request);
  nws_peer_respond(peer, &no);
}

static void abort_it(nws_peer *peer, const nws_server_handshake *request) {
  note_request(peer, request);
  nws_peer_abort(peer);
}

static void leave_open(nws_peer *peer, const nws_server_handshake *request) {
  note_request(peer, request);
}

/* One connection to a fresh server says `sent`; the number at `field` becomes
 * 1, and nothing else does. */
static void fails_as(void (*request)(nws_peer *, const nws_server_handshake *),
                     const char *sent, int shut, size_t field) {
  fixture fx;
  raw r;
  uint64_t found;
  fixture_init(&fx);
  fx.server_handler.request = request;
  fx.options.limits.handshake_timeout_ms = 50;
  fixture_serve(&fx);
  raw_connect(&r, &fx);
  step_until(&fx, nws_server_peers(fx.server) == 1);
  nws_stats s = stats_of(&fx);
  assert_int_equal(s.handshakes, 1);
  assert_sums(&s);
  raw_send(&fx, &r, sent, strlen(sent));
  if (shut)
    shutdown(r.fd, SHUT_WR);
  wait_closed(&fx, &r);
  s = stats_of(&fx);
  memcpy(&found, (char *)&s + field, sizeof(found));
  assert_int_equal(found, 1);
  assert_int_equal(s.handshakes, 0);
  assert_int_equal(s.accepted, 1);
  assert_int_equal(s.bytes_in, strlen(sent));
  assert_int_equal(s.opened + s.frames_out + s.frames_in, 0);
  assert_int_equal(s.queued, 0);
  assert_sums(&s);
  fixture_end(&fx);
}

#define FAILS_AS(request, sent, shut, field)                                   \
  fails_as(request, sent, shut, offsetof(nws_stats, field))

static void test_failures(void **state) {
  (void)state;
  FAILS_AS(NULL, "", 0, failed_timeout);
  FAILS_AS(NULL, "GET / HT", 0, failed_timeout);
  FAILS_AS(leave_open, raw_request, 0, failed_timeout);
  FAILS_AS(NULL, "", 1, failed_gone);
  FAILS_AS(NULL, "GET / HT", 1, failed_gone);
  FAILS_AS(NULL, "?\r\n\r\n", 0, failed_http);
  FAILS_AS(NULL, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, failed_request);
  FAILS_AS(refuse, raw_request, 0, failed_refused);
  FAILS_AS(abort_it, raw_request, 0, failed_canceled);
}

/* A server that stops gives up what is half open. */
static void test_stopping(void **state) {
  fixture fx;
  raw r[2];
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r[0]);
  raw_connect(&r[1], &fx);
  step_until(&fx, nws_server_peers(fx.server) == 2);
  nws_server_stop(fx.server, NWS_CLOSE_GOING_AWAY);
  nws_stats s = stats_of(&fx);
  assert_int_equal(s.failed_canceled, 1);
  assert_int_equal(s.closes_out, 1);
  assert_int_equal(s.open, 1);
  assert_sums(&s);
  raw_free(&r[0]);
  raw_free(&r[1]);
  step_until(&fx, fx.stops == 1);
  fixture_end(&fx);
}

static void test_proxy_header(void **state) {
  fixture fx;
  raw r;
  nws_listener *listener;
  nws_listener_options how = {.size = sizeof(how), .proxy_header = 1};
  (void)state;
  fixture_init(&fx);
  assert_int_equal(nws_listener_open("127.0.0.1:0", &how, &listener), NWS_OK);
  fx.options.listeners = &listener;
  fx.options.listener_count = 1;
  fixture_serve(&fx);
  nws_listener_drop(listener);
  raw_connect(&r, &fx);
  raw_send(&fx, &r, raw_request, RAW_REQUEST_LEN);
  wait_closed(&fx, &r);
  nws_stats s = stats_of(&fx);
  assert_int_equal(s.failed_proxy, 1);
  assert_sums(&s);
  fixture_end(&fx);
}

static void test_turned_away(void **state) {
  fixture fx;
  raw r[2];
  (void)state;
  fixture_init(&fx);
  fx.options.max_peers = 1;
  fixture_serve(&fx);
  raw_open(&fx, &r[0]);
  raw_connect(&r[1], &fx);
  raw_until(&fx, &r[1], r[1].ended);
  raw_free(&r[1]);
  step_until(&fx, nws_server_peers(fx.server) == 1);
  nws_stats s = stats_of(&fx);
  assert_int_equal(s.turned_peers, 1);
  assert_int_equal(s.accepted, 2);
  assert_int_equal(s.opened, 1);
  assert_sums(&s);
  raw_free(&r[0]);
  fixture_end(&fx);
}

/* --- Traffic --- */

/* Everything that goes over one connection, counted by hand. */
static void test_traffic(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  nws_stats s = stats_of(&fx);
  assert_int_equal(s.opened, 1);
  assert_int_equal(s.open, 1);
  assert_int_equal(s.bytes_in, RAW_REQUEST_LEN);
  assert_int_equal(count_of(&s.open_time), 1);
  assert_true(s.open_time.sum < STEP_LIMIT_MS * UINT64_C(1000));
  uint64_t head = s.bytes_out;
  raw_frame(&fx, &r, 0x01, "abc", 3);  /* 9 bytes, and later... */
  raw_frame(&fx, &r, 0x89, "ping", 4); /* 10 */
  raw_frame(&fx, &r, 0x80, "defg", 4); /* ...10: echoed as 9 */
  raw_frame(&fx, &r, 0x8a, "", 0);     /* 6 */
  raw_frame(&fx, &r, 0x82, "", 0);     /* 6: echoed as 2 */
  raw_until(&fx, &r, r.len == 6 + 9 + 2);
  s = stats_of(&fx);
  assert_int_equal(s.bytes_in, RAW_REQUEST_LEN + 9 + 10 + 10 + 6 + 6);
  assert_int_equal(s.bytes_out, head + 6 + 9 + 2);
  assert_int_equal(s.messages_in, 2);
  assert_int_equal(s.messages_out, 2);
  assert_int_equal(s.frames_in, 5);
  assert_int_equal(s.frames_out, 3);
  assert_int_equal(s.pings_in, 1);
  assert_int_equal(s.pongs_in, 1);
  assert_int_equal(s.pongs_out, 1);
  assert_int_equal(s.message_in.counts[0], 2);
  assert_int_equal(s.message_in.sum, 7);
  assert_int_equal(s.message_out.sum, 7);
  assert_int_equal(nws_peer_ping(fx.s.peer), NWS_OK);
  nws_peer_send(fx.s.peer, 0x1 | NWS_SEND_MORE, "x", 1);
  nws_peer_send(fx.s.peer, 0x9, "own", 3);
  nws_peer_send(fx.s.peer, 0x0, "y", 1);
  assert_int_not_equal(nws_peer_send(fx.s.peer, 0x0, "z", 1), NWS_OK);
  raw_frame(&fx, &r, 0x88, "\x03\xe8", 2);
  wait_closed(&fx, &r);
  s = stats_of(&fx);
  assert_int_equal(s.pings_out, 2);
  assert_int_equal(s.messages_out, 3);
  assert_int_equal(s.frames_out, 3 + 4 + 1);
  assert_int_equal(s.closes_in, 1);
  assert_int_equal(s.closes_out, 1);
  assert_int_equal(s.closed_clean, 1);
  assert_int_equal(s.queued, 0);
  assert_sums(&s);
  fixture_end(&fx);
}

/* What is prepared for many counts for each. */
static void test_prepared(void **state) {
  enum { LENS = 5 };
  static const size_t lens[LENS] = {0, 125, 126, 65535, 65536};
  static uint8_t data[65536];
  nws_loop *loop;
  fixture fx;
  raw r;
  uint64_t sum = 0;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  loop = fx.loop;
  for (int i = 0; i < LENS; i++) {
    nws_prepared *message;
    sum += lens[i];
    assert_int_equal(nws_prepared_make(&loop->allocator, NWS_OPCODE_BINARY,
                                       data, lens[i], &message),
                     NWS_OK);
    assert_int_equal(nws_peer_send_prepared(fx.s.peer, message), NWS_OK);
    nws_prepared_drop(message);
    nws_stats s = stats_of(&fx);
    assert_int_equal(s.messages_out, i + 1);
    assert_int_equal(s.frames_out, i + 1);
    assert_int_equal(s.message_out.sum, sum);
    assert_int_equal(s.queued, nws_peer_queued(fx.s.peer));
  }
  raw_until(&fx, &r, r.len == sum + 2 + 2 + 4 + 4 + 10);
  assert_int_equal(stats_of(&fx).queued, 0);
  raw_free(&r);
  step_until(&fx, fx.s.closes == 1);
  fixture_end(&fx);
}

/* A message in pieces is one message, of the size of all of them. */
static void note_piece(nws_peer *peer, const nws_event *event) {
  side *s = nws_peer_user(peer);
  s->pieces++;
  s->bytes += event->len;
}

static void test_pieces(void **state) {
  enum { LEN = 300 * KIB };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.server_handler.piece = note_piece;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  char *data = calloc(1, LEN);
  raw_frame(&fx, &r, 0x82, data, LEN);
  step_until(&fx, fx.s.bytes == LEN);
  nws_stats s = stats_of(&fx);
  assert_int_equal(s.messages_in, 1);
  assert_int_equal(s.frames_in, 1);
  assert_int_equal(s.message_in.sum, LEN);
  assert_int_equal(s.message_in.counts[15], 1); /* up to 512 KiB */
  free(data);
  raw_reset(&r);
  step_until(&fx, fx.s.closes == 1);
  s = stats_of(&fx);
  assert_int_equal(s.closed_error, 1);
  assert_sums(&s);
  fixture_end(&fx);
}

/* --- Queues --- */

static void test_queues(void **state) {
  enum { LEN = 8000 * KIB };
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.options.limits.max_queue = fx.options.limits.high_water = 64 * KIB;
  fx.conn.ping_interval_ms = fx.conn.pong_timeout_ms = 1000;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  uint64_t head = stats_of(&fx).bytes_out;
  char *data = calloc(1, LEN);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, LEN), NWS_OK);
  nws_stats s = stats_of(&fx);
  assert_true(s.queued > LEN);
  assert_int_equal(s.queued, nws_peer_queued(fx.s.peer));
  assert_int_equal(s.queued_most, s.queued);
  step_for(&fx, 5);
  assert_int_equal(nws_peer_send(fx.s.peer, 2, data, 1), NWS_ERROR_QUEUE);
  uint64_t most = s.queued;
  s = stats_of(&fx);
  assert_int_equal(s.queued, nws_peer_queued(fx.s.peer));
  assert_int_equal(s.bytes_out + s.queued, head + most);
  assert_int_equal(s.queued_most, most);
  assert_int_equal(s.queue_full, 1);
  assert_int_equal(s.throttled, 1);
  step_until(&fx, fx.s.closes == 1); /* it has read nothing */
  s = stats_of(&fx);
  assert_int_equal(s.queued, 0);
  assert_int_equal(s.slow, 1);
  assert_int_equal(s.silent, 0);
  assert_int_equal(s.throttled, 1);
  assert_int_equal(s.closed_error, 1);
  assert_sums(&s);
  free(data);
  raw_free(&r);
  fixture_end(&fx);
}

static void test_silent(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.conn.ping_interval_ms = fx.conn.pong_timeout_ms = 50;
  fixture_serve(&fx);
  raw_open(&fx, &r);
  raw_until(&fx, &r, fx.s.closes == 1);
  nws_stats s = stats_of(&fx);
  assert_int_equal(s.silent, 1);
  assert_int_equal(s.slow, 0);
  assert_int_equal(s.pings_out, 1);
  assert_int_equal(s.closes_out, 1);
  assert_sums(&s);
  raw_free(&r);
  fixture_end(&fx);
}

/* Several connections, one after the other, add up. */
static void test_many(void **state) {
  enum { COUNT = 50 };
  fixture fx;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  for (int i = 0; i < COUNT; i++) {
    int opens = fx.c.opens;
    fixture_connect(&fx);
    step_until(&fx, fx.c.opens == opens + 1);
    for (int j = 0; j <= i; j++)
      nws_peer_send(fx.c.peer, NWS_OPCODE_TEXT, "0123456789abcdefg", 17);
    nws_peer_close(fx.c.peer, 1000, nws_str_of("next"));
    step_until(&fx, nws_server_peers(fx.server) == 0 && fx.c.peer == NULL);
  }
  nws_stats s = stats_of(&fx);
  assert_int_equal(s.accepted, COUNT);
  assert_int_equal(s.closed_clean, COUNT);
  assert_int_equal(s.messages_in, COUNT * (COUNT + 1) / 2);
  assert_int_equal(s.message_in.counts[1], s.messages_in);
  assert_int_equal(s.messages_in, s.messages_out);
  assert_int_equal(s.message_out.sum, 17 * s.messages_out);
  assert_int_equal(s.frames_in, s.messages_in + COUNT);
  assert_int_equal(s.frames_out, s.messages_in + COUNT);
  assert_sums(&s);
  fixture_end(&fx);
}

/* --- Numbers and text --- */

static void test_add(void **state) {
  nws_stats a;
  nws_stats b;
  (void)state;
  memset(&a, 0, sizeof(a));
  memset(&b, 0, sizeof(b));
  a.accepted = b.message_out.sum = 1;
  b.accepted = a.message_out.counts[23] = 2;
  nws_stats_add(&a, &b);
  assert_int_equal(a.accepted, 3);
  assert_int_equal(a.message_out.sum, 1);
  assert_int_equal(a.message_out.counts[23], 2);
  assert_int_equal(b.accepted, 2);
  assert_int_equal(nws_histogram_bound(0), 16);
  assert_int_equal(nws_histogram_bound(22), 64 * KIB * KIB);
  assert_int_equal(nws_histogram_bound(23), UINT64_MAX);
  assert_int_equal(nws_histogram_bound(99), UINT64_MAX);
}

static char *text_of(const nws_stats *s) {
  size_t len = 0;
  size_t again = 0;
  assert_int_equal(nws_stats_text(s, NULL, 0, &len), NWS_ERROR_BUFFER);
  char *text = malloc(len + 1);
  assert_int_equal(nws_stats_text(s, text, len - 1, &again), NWS_ERROR_BUFFER);
  assert_int_equal(again, len);
  assert_int_equal(nws_stats_text(s, text, len, &again), NWS_OK);
  assert_int_equal(again, len);
  text[len] = '\0';
  return text;
}

static int begins(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}

/* Checks one line of a sample: its metric is the one that was announced, and
 * its value is a number. Returns 1 for buckets. */
static int check_sample(const char *line, const char *metric, int histogram) {
  size_t len = strlen(metric);
  assert_true(begins(line, metric));
  const char *rest = line + len;
  int bucket = begins(rest, "_bucket{");
  if (histogram) {
    assert_true(bucket || begins(rest, "_sum{") || begins(rest, "_count{") ||
                begins(rest, "_sum ") || begins(rest, "_count "));
  } else {
    assert_true(*rest == ' ' || *rest == '{');
  }
  const char *value = strrchr(line, ' ');
  assert_non_null(value);
  assert_true(strspn(value + 1, "0123456789.") == strlen(value + 1));
  if (strchr(line, '{') != NULL) {
    assert_memory_equal(value - 2, "\"}", 2);
  }
  return bucket;
}

/* Every line is what the format says, every metric is announced once, and no
 * line appears twice. */
static int check_format(char *text) {
  static char seen[400][128];
  char metric[128] = "";
  int lines = 0;
  int histogram = 0;
  for (char *save, *line = strtok_r(text, "\n", &save); line != NULL;
       line = strtok_r(NULL, "\n", &save)) {
    char name[128];
    if (sscanf(line, "# HELP %127s", name) == 1) {
      assert_string_not_equal(name, metric);
      snprintf(metric, sizeof(metric), "%s", name);
      line = strtok_r(NULL, "\n", &save);
      assert_true(begins(line, "# TYPE ") && begins(line + 7, metric));
      histogram = strcmp(strrchr(line, ' '), " histogram") == 0;
      assert_true(histogram || strcmp(strrchr(line, ' '), " counter") == 0 ||
                  strcmp(strrchr(line, ' '), " gauge") == 0);
    } else {
      check_sample(line, metric, histogram);
      snprintf(name, sizeof(name), "%.*s", (int)(strrchr(line, ' ') - line),
               line);
      for (int i = 0; i < lines; i++)
        assert_string_not_equal(seen[i], name);
      memcpy(seen[lines++], name, sizeof(name));
    }
  }
  return lines;
}

static void assert_has(const char *text, const char *line) {
  if (strstr(text, line) == NULL)
    fail_msg("no %s in:\n%s", line, text);
}

static void test_text(void **state) {
  nws_stats s;
  (void)state;
  memset(&s, 0, sizeof(s));
  s.accepted = 7;
  s.turned_peers = 2;
  s.open_time.counts[0] = 3;
  s.open_time.counts[23] = 1;
  s.open_time.sum = 12000345;
  s.message_out.counts[2] = 1;
  s.message_out.sum = 40;
  char *text = text_of(&s);
  assert_has(text, "# TYPE nws_connections_accepted_total counter\n"
                   "nws_connections_accepted_total 7\n");
  assert_has(text, "\nnws_connections_turned_away_total{limit=\"peers\"} 2\n");
  assert_has(text, "\n# TYPE nws_connections_open gauge\n");
  assert_has(text, "\nnws_open_seconds_bucket{le=\"0.000016\"} 3\n");
  assert_has(text, "\nnws_open_seconds_bucket{le=\"67.108864\"} 3\n");
  assert_has(text, "\nnws_open_seconds_bucket{le=\"+Inf\"} 4\n"
                   "nws_open_seconds_sum 12.000345\n"
                   "nws_open_seconds_count 4\n");
  assert_has(text, "\nnws_message_bytes_bucket{direction=\"out\",le=\"32\"} 0\n"
                   "nws_message_bytes_bucket{direction=\"out\",le=\"64\"} 1\n");
  assert_has(text, "\nnws_message_bytes_sum{direction=\"out\"} 40\n");
  assert_int_equal(text[strlen(text) - 1], '\n');
  assert_true(check_format(text) > 100);
  free(text);
}

/* The largest numbers fit into what the header says suffices. */
static void test_text_room(void **state) {
  static char text[NWS_STATS_TEXT_MAX];
  nws_stats s;
  size_t len = 0;
  (void)state;
  memset(&s, 0xff, sizeof(s));
  assert_int_equal(nws_stats_text(&s, text, sizeof(text), &len), NWS_OK);
  print_message("the longest text has %zu bytes\n", len);
  assert_int_equal(nws_stats_text(&s, NULL, 1, &len), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_stats_text(NULL, text, 1, &len), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_stats_text(&s, text, 1, NULL), NWS_ERROR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_failures),     cmocka_unit_test(test_stopping),
      cmocka_unit_test(test_proxy_header), cmocka_unit_test(test_turned_away),
      cmocka_unit_test(test_traffic),      cmocka_unit_test(test_pieces),
      cmocka_unit_test(test_prepared),     cmocka_unit_test(test_queues),
      cmocka_unit_test(test_silent),       cmocka_unit_test(test_many),
      cmocka_unit_test(test_add),          cmocka_unit_test(test_text),
      cmocka_unit_test(test_text_room),
  };
  return run_without_leaks(tests);
}
