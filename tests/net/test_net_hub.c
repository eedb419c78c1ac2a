/* test_net_hub.c - topics: who is a member, what each of them is sent, what
 * becomes of slow ones; and three loops, three publishers and members that come
 * and go, all at once.
 */
#include "../../src/net/hub_internal.h"
#include "net_fixture.h"
#include <nws/remote.h>
#include <stdatomic.h>

#define TEXT NWS_OPCODE_TEXT

static nws_str name(const char *s) {
  return nws_str_of(s);
}

/* Publishes a text, which must work. */
static void say(nws_hub *hub, const char *topic, const char *what) {
  assert_int_equal(
      nws_hub_publish(hub, name(topic), TEXT, what, strlen(what), NULL),
      NWS_OK);
}

/* --- The table --- */

/* The paper's test vector: appendix A of "SipHash: a fast short-input PRF". */
static void test_hash(void **state) {
  uint8_t key[16], data[15];
  (void)state;
  for (unsigned i = 0; i < 16; i++)
    key[i] = (uint8_t)i;
  memcpy(data, key, sizeof(data));
  assert_true(nws__topics_hash(key, data, 15) == UINT64_C(0xa129ca6149be45e5));
}

static nws__topic *find(const nws__topics *topics, unsigned i, uint64_t hash) {
  return nws__topics_find(topics, hash,
                          nws_str_make((const char *)&i, sizeof(i)));
}

/* With good hashes and with the worst. */
static void try_table(uint64_t mask) {
  enum { COUNT = 3000 };
  static const uint8_t key[16] = {7};
  nws__topics topics = {NULL, 0, 0};
  for (unsigned i = 0; i < COUNT; i++) {
    uint64_t hash = nws__topics_hash(key, &i, sizeof(i)) & mask;
    assert_null(find(&topics, i, hash));
    nws__topic *topic = nws__topics_add(
        &topics, hash, nws_str_make((const char *)&i, sizeof(i)));
    assert_non_null(topic);
    assert_ptr_equal(find(&topics, i, hash), topic);
    assert_true(topics.cap >= topics.count);
  }
  for (unsigned i = 0; i < COUNT; i++) {
    unsigned k = (i * 7 + 3) % COUNT;
    uint64_t hash = nws__topics_hash(key, &k, sizeof(k)) & mask;
    nws__topics_remove(&topics, find(&topics, k, hash));
    assert_null(find(&topics, k, hash));
    assert_int_equal(topics.count, COUNT - 1 - i);
    assert_true(topics.cap <= 8 || topics.cap / 8 <= topics.count);
  }
  assert_null(topics.buckets);
}

static void test_table(void **state) {
  (void)state;
  try_table(UINT64_MAX);
  try_table(1);
}

/* --- Members, on one loop --- */

enum { MEMBERS = 3 };

typedef struct room {
  fixture fx;
  nws_hub *hub;
  raw r[MEMBERS];
  nws_peer *peers[MEMBERS];
} room;

static void room_init(room *it, const nws_hub_options *options) {
  memset(it, 0, sizeof(*it));
  fixture_init(&it->fx);
  assert_int_equal(nws_hub_new(options, &it->hub), NWS_OK);
}

static void room_open(room *it) {
  fixture_serve(&it->fx);
  for (int i = 0; i < MEMBERS; i++) {
    raw_open(&it->fx, &it->r[i]);
    it->peers[i] = it->fx.s.peer;
  }
}

static void room_end(room *it) {
  nws_hub_drop(it->hub);
  for (int i = 0; i < MEMBERS; i++) {
    if (it->r[i].data != NULL)
      raw_free(&it->r[i]);
  }
  fixture_end(&it->fx);
}

/* What came to a member, all of it, is these texts. */
static void expect_texts(room *it, int who, const char *texts) {
  raw *r = &it->r[who];
  uint8_t expected[256];
  size_t len = 0;
  for (const char *at = texts; *at != '\0'; len += 3, at++) {
    expected[len] = 0x81;
    expected[len + 1] = 1;
    expected[len + 2] = (uint8_t)*at;
  }
  raw_until(&it->fx, r, r->len >= len);
  step_for(&it->fx, 2);
  raw_read(r);
  assert_int_equal(r->len, len);
  if (len > 0)
    assert_memory_equal(r->data, expected, len);
}

static void test_members(void **state) {
  room it;
  (void)state;
  room_init(&it, NULL);
  room_open(&it);
  nws_hub *hub = it.hub;
  say(hub, "a", "0"); /* to nobody */
  assert_int_equal(nws_hub_count(hub, name("a")), 0);
  assert_int_equal(nws_hub_join(hub, it.peers[0], name("a")), NWS_OK);
  assert_int_equal(nws_hub_join(hub, it.peers[0], name("a")), NWS_OK);
  assert_int_equal(nws_hub_join(hub, it.peers[1], name("a")), NWS_OK);
  assert_int_equal(nws_hub_join(hub, it.peers[1], name("b")), NWS_OK);
  assert_int_equal(nws_hub_count(hub, name("a")), 2);
  say(hub, "a", "1");
  say(hub, "b", "2");
  say(hub, "c", "3");
  /* Members are those at the time of arrival. */
  assert_int_equal(nws_hub_join(hub, it.peers[2], name("a")), NWS_OK);
  assert_int_equal(nws_hub_publish(hub, name("a"), TEXT, "4", 1, it.peers[0]),
                   NWS_OK);
  expect_texts(&it, 1, "124");
  expect_texts(&it, 0, "1");
  expect_texts(&it, 2, "14");
  assert_int_equal(nws_hub_publish(hub, name("b"), TEXT, "5", 1, it.peers[0]),
                   NWS_OK);
  say(hub, "a", "6");
  assert_int_equal(nws_hub_leave(hub, it.peers[1], name("a")), NWS_OK);
  assert_int_equal(nws_hub_leave(hub, it.peers[1], name("a")), NWS_ERROR_STATE);
  assert_int_equal(nws_hub_leave(hub, it.peers[0], name("b")), NWS_ERROR_STATE);
  expect_texts(&it, 1, "1245");
  expect_texts(&it, 0, "16");
  /* Who goes leaves by itself. */
  raw_reset(&it.r[0]);
  nws_peer_abort(it.peers[1]);
  assert_int_equal(nws_hub_join(hub, it.peers[1], name("z")), NWS_ERROR_STATE);
  step_until(&it.fx, it.fx.s.closes == 2);
  assert_int_equal(nws_hub_count(hub, name("a")), 1);
  assert_int_equal(nws_hub_count(hub, name("b")), 0);
  say(hub, "a", "7");
  expect_texts(&it, 2, "1467");
  assert_int_equal(nws_hub_missed(hub, NULL), 0);
  room_end(&it);
}

/* A message on its way to members who have all left, in a hub that all have
 * dropped. */
static void test_last(void **state) {
  room it;
  (void)state;
  room_init(&it, NULL);
  room_open(&it);
  assert_int_equal(nws_hub_join(it.hub, it.peers[0], name("a")), NWS_OK);
  say(it.hub, "a", "1");
  assert_int_equal(nws_hub_leave(it.hub, it.peers[0], name("a")), NWS_OK);
  assert_int_equal(nws_hub_join(it.hub, it.peers[1], name("b")), NWS_OK);
  say(it.hub, "b", "2");
  nws_peer_abort(it.peers[1]);
  nws_hub_drop(it.hub);
  it.hub = NULL;
  step_until(&it.fx, it.fx.s.closes == 1);
  expect_texts(&it, 0, "");
  room_end(&it);
}

/* Names are compared exactly, and as bytes. */
static void test_names(void **state) {
  static const char longest[NWS_HUB_TOPIC_MAX + 1] = {1};
  const nws_str names[] = {nws_str_make("", 1),
                           nws_str_make("\0\0", 2),
                           nws_str_make("a", 1),
                           nws_str_make("A", 1),
                           nws_str_make("a\0", 2),
                           nws_str_make("\xff", 1),
                           nws_str_make(longest, NWS_HUB_TOPIC_MAX)};
  enum { COUNT = sizeof(names) / sizeof(names[0]) };
  room it;
  (void)state;
  room_init(&it, NULL);
  room_open(&it);
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(nws_hub_join(it.hub, it.peers[0], names[i]), NWS_OK);
  for (int i = 0; i < COUNT; i++) {
    char letter = (char)('a' + i);
    assert_int_equal(nws_hub_count(it.hub, names[i]), 1);
    assert_int_equal(nws_hub_publish(it.hub, names[i], TEXT, &letter, 1, NULL),
                     NWS_OK);
  }
  expect_texts(&it, 0, "abcdefg");
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(nws_hub_leave(it.hub, it.peers[0], names[i]), NWS_OK);
    for (int k = 0; k < COUNT; k++)
      assert_int_equal(nws_hub_count(it.hub, names[k]), k > i);
  }
  room_end(&it);
}

static void test_misuse(void **state) {
  const nws_str none = {NULL, 0}, lying = {NULL, 1}, empty = {"", 0};
  static const char big[NWS_HUB_TOPIC_MAX + 1] = {0};
  const nws_str longer = nws_str_make(big, sizeof(big));
  const nws_str bad[] = {none, lying, empty, longer};
  const nws_str a = nws_str_of("a");
  nws_hub_options options = {.size = sizeof(options), .max_topics = 2};
  room it;
  (void)state;
  assert_int_equal(nws_hub_new(NULL, NULL), NWS_ERROR_ARGUMENT);
  options.slow = (nws_hub_slow)2;
  assert_int_equal(nws_hub_new(&options, &it.hub), NWS_ERROR_CONFIG);
  assert_null(it.hub);
  options.slow = NWS_HUB_SKIP;
  options.size = 3;
  assert_int_equal(nws_hub_new(&options, &it.hub), NWS_ERROR_ARGUMENT);
  options.size = sizeof(options);
  room_init(&it, &options);
  room_open(&it);
  nws_hub *hub = it.hub;
  nws_peer *peer = it.peers[0];
  for (int i = 0; i < 4; i++) {
    assert_int_equal(nws_hub_join(hub, peer, bad[i]), NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_hub_leave(hub, peer, bad[i]), NWS_ERROR_ARGUMENT);
    assert_int_equal(nws_hub_count(hub, bad[i]), 0);
    assert_int_equal(nws_hub_publish(hub, bad[i], TEXT, "", 0, NULL),
                     NWS_ERROR_ARGUMENT);
  }
  assert_int_equal(nws_hub_join(NULL, peer, a), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_hub_join(hub, NULL, a), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_hub_leave(NULL, peer, a), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_hub_leave(hub, NULL, a), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_hub_count(NULL, a), 0);
  assert_int_equal(nws_hub_missed(NULL, NULL), 0);
  assert_int_equal(nws_hub_missed(hub, peer), 0);
  nws_hub_keep(NULL);
  nws_hub_drop(NULL);
  const struct {
    unsigned what;
    const char *data;
    size_t len;
    int expected;
  } calls[] = {
      {TEXT, NULL, 1, NWS_ERROR_ARGUMENT},
      {TEXT | NWS_SEND_MORE, "a", 1, NWS_ERROR_ARGUMENT},
      {TEXT | NWS_RSV1, "a", 1, NWS_ERROR_ARGUMENT},
      {NWS_OPCODE_CONTINUATION, "a", 1, NWS_ERROR_ARGUMENT},
      {NWS_OPCODE_CLOSE, "", 0, NWS_ERROR_ARGUMENT},
      {NWS_OPCODE_PING, "", 0, NWS_ERROR_ARGUMENT},
      {TEXT, "\xe2\x82", 2, NWS_ERROR_TEXT_SEND},
      {TEXT, "a", SIZE_MAX, NWS_ERROR_LENGTH},
      {TEXT | NWS_SEND_PLAIN, "a", 1, NWS_OK},
      {NWS_OPCODE_BINARY, NULL, 0, NWS_OK},
  };
  for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
    assert_int_equal(nws_hub_publish(hub, a, calls[i].what, calls[i].data,
                                     calls[i].len, NULL),
                     calls[i].expected);
  assert_int_equal(nws_hub_publish(NULL, a, TEXT, "", 0, NULL),
                   NWS_ERROR_ARGUMENT);
  /* The limit is one of the hub, and counts what is joined now. */
  nws_hub *other;
  assert_int_equal(nws_hub_new(NULL, &other), NWS_OK);
  assert_int_equal(nws_hub_join(other, peer, a), NWS_OK);
  assert_int_equal(nws_hub_join(hub, peer, a), NWS_OK);
  assert_int_equal(nws_hub_join(hub, peer, name("b")), NWS_OK);
  assert_int_equal(nws_hub_join(hub, peer, name("c")), NWS_ERROR_TOPICS);
  assert_int_equal(nws_hub_join(hub, peer, name("b")), NWS_OK);
  assert_int_equal(nws_hub_leave(hub, peer, a), NWS_OK);
  assert_int_equal(nws_hub_join(hub, peer, name("c")), NWS_OK);
  assert_int_equal(nws_hub_count(other, a), 1);
  nws_hub_drop(other); /* its member holds it still */
  room_end(&it);
}

/* Clients can be members too; they mask, so their frames are not shared. */
static void test_clients(void **state) {
  room it;
  (void)state;
  room_init(&it, NULL);
  fixture_pair(&it.fx);
  assert_int_equal(nws_hub_join(it.hub, it.fx.c.peer, name("a")), NWS_OK);
  assert_int_equal(nws_hub_join(it.hub, it.fx.s.peer, name("a")), NWS_OK);
  say(it.hub, "a", "both");
  step_until(&it.fx, it.fx.c.messages == 2); /* and the echo */
  assert_string_equal(it.fx.s.last, "both");
  assert_string_equal(it.fx.c.last, "both");
  assert_int_equal(nws_hub_missed(it.hub, NULL), 0);
  room_end(&it);
}

/* --- How it is sent --- */

static int prepares, prepare_error;
static size_t prepared_live;

static void *resize(void *user, void *ptr, size_t old_len, size_t new_len) {
  (void)user;
  prepared_live = prepared_live - old_len + new_len;
  if (new_len > 0)
    return realloc(ptr, new_len);
  free(ptr);
  return NULL;
}

static int prepare(void *user, nws_loop *loop, unsigned opcode,
                   const void *payload, size_t len, nws_prepared **message) {
  static const nws_allocator allocator = {resize, NULL};
  room *it = user;
  prepares++;
  assert_ptr_equal(loop, it->fx.loop);
  /* Even this may change who is there. */
  nws_hub_leave(it->hub, it->peers[1], name("a"));
  if (prepare_error != 0)
    return prepare_error;
  return nws_prepared_make(&allocator, opcode, payload, len, message);
}

/* Framed once for a loop, by the application if it likes; referred to by all,
 * and given back. */
static void test_prepare(void **state) {
  enum { LEN = 3000000 };
  room it;
  nws_hub_options options = {
      .size = sizeof(options), .prepare = prepare, .user = &it};
  (void)state;
  room_init(&it, &options);
  room_open(&it);
  char *data = calloc(1, LEN);
  prepares = prepare_error = 0;
  for (int i = 0; i < MEMBERS; i++)
    assert_int_equal(nws_hub_join(it.hub, it.peers[i], name("a")), NWS_OK);
  for (int i = 0; i < 4; i++)
    assert_int_equal(
        nws_hub_publish(it.hub, name("a"), NWS_OPCODE_BINARY, data, LEN, NULL),
        NWS_OK);
  step_until(&it.fx, prepares == 4);
  assert_true(prepared_live < 4 * (LEN + (size_t)200));
  for (int i = 0; i < MEMBERS; i += 2) {
    raw *r = &it.r[i];
    raw_until(&it.fx, r, r->len == 4 * (LEN + (size_t)10));
  }
  assert_int_equal(prepared_live, 0);
  assert_int_equal(
      nws_hub_publish(it.hub, name("a"), TEXT | NWS_SEND_PLAIN, "p", 1, NULL),
      NWS_OK);
  raw_until(&it.fx, &it.r[0], it.r[0].len == 4 * (LEN + (size_t)10) + 3);
  assert_int_equal(prepares, 4);
  prepare_error = NWS_ERROR_MEMORY;
  say(it.hub, "a", "x");
  step_until(&it.fx, prepares == 5);
  assert_int_equal(nws_hub_missed(it.hub, NULL), 2);
  assert_int_equal(nws_hub_missed(it.hub, it.peers[0]), 1);
  assert_int_equal(nws_hub_missed(it.hub, it.peers[1]), 0);
  free(data);
  room_end(&it);
}

/* An opcode that was not enabled is missed; nothing worse. */
static void test_disabled(void **state) {
  room it;
  (void)state;
  room_init(&it, NULL);
  room_open(&it);
  assert_int_equal(nws_hub_join(it.hub, it.peers[0], name("a")), NWS_OK);
  assert_int_equal(nws_hub_publish(it.hub, name("a"), 3, "x", 1, NULL), NWS_OK);
  say(it.hub, "a", "1");
  expect_texts(&it, 0, "1");
  assert_int_equal(nws_hub_missed(it.hub, it.peers[0]), 1);
  room_end(&it);
}

/* --- Slow members --- */

/* The queue takes two of three; the reader does not read. */
static void slow_start(room *it, nws_hub_slow policy) {
  static char data[600];
  nws_hub_options options = {.size = sizeof(options), .slow = policy};
  room_init(it, &options);
  it->fx.options.limits.high_water = it->fx.options.limits.max_queue = 1300;
  room_open(it);
  assert_int_equal(nws_hub_join(it->hub, it->peers[0], name("a")), NWS_OK);
  assert_int_equal(nws_hub_join(it->hub, it->peers[0], name("b")), NWS_OK);
  for (int i = 0; i < 3; i++)
    assert_int_equal(nws_hub_publish(it->hub, name("a"), NWS_OPCODE_BINARY,
                                     data, sizeof(data), NULL),
                     NWS_OK);
}

static void test_skip(void **state) {
  room it;
  (void)state;
  slow_start(&it, NWS_HUB_SKIP);
  step_until(&it.fx, it.fx.s.drains == 1);
  assert_int_equal(nws_hub_missed(it.hub, it.peers[0]), 1);
  assert_int_equal(nws_hub_missed(it.hub, NULL), 1);
  say(it.hub, "a", "1");
  raw_until(&it.fx, &it.r[0], it.r[0].len == 2 * 604 + 3);
  assert_int_equal(nws_hub_leave(it.hub, it.peers[0], name("a")), NWS_OK);
  assert_int_equal(nws_hub_missed(it.hub, it.peers[0]), 0);
  assert_int_equal(nws_hub_missed(it.hub, NULL), 1);
  room_end(&it);
}

static void test_drop(void **state) {
  room it;
  (void)state;
  slow_start(&it, NWS_HUB_DROP);
  step_until(&it.fx, it.fx.s.closes == 1);
  assert_int_equal(it.fx.s.error, NWS_ERROR_QUEUE);
  assert_int_equal(nws_hub_count(it.hub, name("a")), 0);
  assert_int_equal(nws_hub_count(it.hub, name("b")), 0);
  assert_int_equal(nws_hub_missed(it.hub, NULL), 1);
  room_end(&it);
}

/* A loop that does not run bounds what can be published. */
static void test_waiting(void **state) {
  enum { BOUND = 100000 };
  static char data[1000], large[BOUND * 2];
  nws_hub_options options = {.size = sizeof(options), .max_waiting = BOUND};
  int taken = 0, rc;
  room it;
  (void)state;
  room_init(&it, &options);
  room_open(&it);
  for (int i = 0; i < 200; i++) /* costs nothing where nobody is */
    say(it.hub, "b", "1");
  assert_int_equal(nws_hub_join(it.hub, it.peers[0], name("a")), NWS_OK);
  do {
    rc = nws_hub_publish(it.hub, name("a"), NWS_OPCODE_BINARY, data,
                         sizeof(data), NULL);
    taken += rc == NWS_OK;
  } while (rc == NWS_OK && taken < 200);
  assert_int_equal(rc, NWS_ERROR_QUEUE);
  assert_true(taken > 80 && taken <= 100);
  raw_until(&it.fx, &it.r[0], it.r[0].len == (size_t)taken * 1004);
  assert_int_equal(nws_hub_publish(it.hub, name("a"), NWS_OPCODE_BINARY, large,
                                   sizeof(large), NULL),
                   NWS_OK); /* alone */
  assert_int_equal(nws_hub_publish(it.hub, name("a"), TEXT, "", 0, NULL),
                   NWS_ERROR_QUEUE);
  raw_until(&it.fx, &it.r[0],
            it.r[0].len == (size_t)taken * 1004 + sizeof(large) + 10);
  room_end(&it);
}

/* --- Three loops, three publishers, members that come and go --- */

enum {
  LOOPS = 3,
  STEADY = 4,   /* members of each loop that stay */
  FLEETING = 3, /* and those that come and go */
  PUBLISHERS = 3,
  EACH = 1500, /* messages of each publisher */
  TOPICS = 2
};

static const char *const topic_names[TOPICS] = {"even", "odd"};

typedef struct site {
  nws_loop *loop;
  nws_server *server;
  nws_handler client_handler;
  struct visitor *visitors;
  char url[64];
  int finished; /* steady members that have it all */
  int stopping;
} site;

/* A client of a site: a member of all topics, as its URL tells the server. */
typedef struct visitor {
  site *at;
  int steady;
  unsigned got;
  uint32_t next[PUBLISHERS]; /* what is due of each */
} visitor;

static nws_hub *hub;
static atomic_int present; /* steady members that have joined */
static atomic_int faults;

static void site_fault(const char *what) {
  fprintf(stderr, "%s\n", what);
  atomic_fetch_add(&faults, 1);
}

static void site_join(nws_peer *peer) {
  const nws_server_handshake *request = nws_peer_request(peer);
  for (int i = 0; i < TOPICS; i++) {
    if (nws_hub_join(hub, peer, name(topic_names[i])) != NWS_OK)
      site_fault("join");
  }
  if (nws_str_equal(request->path, name("/steady")))
    atomic_fetch_add(&present, 1);
}

static void site_stop(nws_loop *loop, void *arg) {
  site *it = arg;
  (void)loop;
  it->stopping = 1;
  nws_server_stop(it->server, NWS_CLOSE_GOING_AWAY);
}

static void site_connect(visitor *who) {
  char url[96];
  nws_client_options options = {.size = sizeof(options),
                                .handler = &who->at->client_handler,
                                .user = who,
                                .url = url};
  snprintf(url, sizeof(url), "%s%s", who->at->url,
           who->steady ? "steady" : "fleeting");
  who->got = 0;
  if (nws_client_connect(who->at->loop, &options, NULL) != NWS_OK)
    site_fault("connect");
}

/* Each publisher's messages come in order; to those who stay, all of them. */
static void site_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                         size_t len) {
  visitor *who = nws_peer_user(peer);
  uint32_t pair[2];
  (void)opcode;
  if (len < sizeof(pair)) {
    site_fault("length");
    return;
  }
  memcpy(pair, data, sizeof(pair));
  int first = who->got++ == 0 && !who->steady;
  if (pair[0] >= PUBLISHERS ||
      (who->steady ? pair[1] != who->next[pair[0]]
                   : !first && pair[1] < who->next[pair[0]]))
    site_fault("order");
  if (pair[0] < PUBLISHERS)
    who->next[pair[0]] = pair[1] + 1;
  if (who->steady && who->got == PUBLISHERS * EACH)
    who->at->finished++;
  if (!who->steady && who->got == 20)
    nws_peer_abort(peer);
  else if (!who->steady && who->got == 10 && pair[1] % 2 == 0)
    nws_peer_close(peer, 1000, name("seen enough"));
}

static void site_closed(nws_peer *peer, const nws_closed *how) {
  visitor *who = nws_peer_user(peer);
  (void)how;
  memset(who->next, 0, sizeof(who->next));
  if (who->steady && !who->at->stopping)
    site_fault("a steady member was closed");
  if (!who->steady && !who->at->stopping)
    site_connect(who);
}

static void site_run(void *arg) {
  site *it = arg;
  nws_handler handler = {.size = sizeof(handler), .open = site_join};
  nws_server_options options = {.size = sizeof(options), .handler = &handler};
  visitor visitors[STEADY + FLEETING] = {0};
  it->client_handler = (nws_handler){.size = sizeof(it->client_handler),
                                     .message = site_message,
                                     .closed = site_closed};
  if (nws_server_start(it->loop, &options, &it->server) != NWS_OK) {
    site_fault("start");
    return;
  }
  snprintf(it->url, sizeof(it->url), "ws://127.0.0.1:%u/",
           (unsigned)nws_server_port(it->server));
  for (int i = 0; i < STEADY + FLEETING; i++) {
    visitors[i].at = it;
    visitors[i].steady = i < STEADY;
    site_connect(&visitors[i]);
  }
  nws_loop_run(it->loop);
  if (nws_loop_free(it->loop) != NWS_OK)
    site_fault("free");
}

static void publish_all(void *arg) {
  const uint32_t id = *(const uint32_t *)arg;
  uint8_t data[700] = {0}; /* some are copied, some referred to */
  for (uint32_t i = 0; i < EACH;) {
    uint32_t pair[2] = {id, i};
    memcpy(data, pair, sizeof(pair));
    int rc =
        nws_hub_publish(hub, name(topic_names[i % TOPICS]), NWS_OPCODE_BINARY,
                        data, i % 3 == 0 ? sizeof(data) : sizeof(pair), NULL);
    if (rc == NWS_OK)
      i++;
    else if (rc != NWS_ERROR_QUEUE)
      site_fault("publish");
    if (i % 16 == 0)
      usleep(50);
  }
  nws_hub_drop(hub);
}

/* Asks each loop until its steady members have it all, then stops it. */
typedef struct question {
  site *about;
  uv_sem_t answered;
  int finished;
} question;

static void look(nws_loop *loop, void *arg) {
  question *q = arg;
  (void)loop;
  q->finished = q->about->finished;
  uv_sem_post(&q->answered);
}

static void wait_and_stop(site *it) {
  uint64_t end = uv_hrtime() + UINT64_C(100000000000);
  question q = {.about = it};
  assert_int_equal(uv_sem_init(&q.answered, 0), 0);
  while (q.finished < STEADY && uv_hrtime() < end) {
    assert_int_equal(nws_loop_post(it->loop, look, &q), NWS_OK);
    uv_sem_wait(&q.answered);
    usleep(500);
  }
  uv_sem_destroy(&q.answered);
  assert_int_equal(nws_loop_post(it->loop, site_stop, it), NWS_OK);
  assert_int_equal(q.finished, STEADY);
}

static void test_loops(void **state) {
  static const uint32_t ids[PUBLISHERS] = {0, 1, 2};
  uv_thread_t loops[LOOPS], publishers[PUBLISHERS];
  site sites[LOOPS] = {0};
  (void)state;
  assert_int_equal(nws_hub_new(NULL, &hub), NWS_OK);
  for (int i = 0; i < LOOPS; i++) {
    assert_int_equal(nws_loop_new(NULL, &sites[i].loop), NWS_OK);
    assert_int_equal(uv_thread_create(&loops[i], site_run, &sites[i]), 0);
  }
  while (atomic_load(&present) < LOOPS * STEADY && atomic_load(&faults) == 0)
    usleep(100);
  for (int i = 0; i < PUBLISHERS; i++) {
    nws_hub_keep(hub);
    assert_int_equal(
        uv_thread_create(&publishers[i], publish_all, (void *)&ids[i]), 0);
  }
  assert_true(nws_hub_count(hub, name("even")) >= LOOPS * STEADY);
  for (int i = 0; i < PUBLISHERS; i++)
    assert_int_equal(uv_thread_join(&publishers[i]), 0);
  for (int i = 0; i < LOOPS; i++)
    wait_and_stop(&sites[i]);
  for (int i = 0; i < LOOPS; i++)
    assert_int_equal(uv_thread_join(&loops[i]), 0);
  assert_int_equal(atomic_load(&faults), 0);
  assert_int_equal(nws_hub_missed(hub, NULL), 0);
  assert_int_equal(nws_hub_count(hub, name("even")), 0);
  say(hub, "even", "nobody");
  nws_hub_drop(hub);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hash),     cmocka_unit_test(test_table),
      cmocka_unit_test(test_members),  cmocka_unit_test(test_last),
      cmocka_unit_test(test_names),    cmocka_unit_test(test_misuse),
      cmocka_unit_test(test_clients),  cmocka_unit_test(test_prepare),
      cmocka_unit_test(test_disabled), cmocka_unit_test(test_skip),
      cmocka_unit_test(test_drop),     cmocka_unit_test(test_waiting),
      cmocka_unit_test(test_loops),
  };
  return run_without_leaks(tests);
}
