/* test_net_prepared.c - prepared messages in write queues: long ones are
 * referred to, in order with everything else, and held no longer than needed.
 */
#include "../../src/net/net_internal.h"
#include "net_fixture.h"

enum { PEERS = 3, LONG = 300000 };

static size_t live;

static void *resize(void *user, void *ptr, size_t old_len, size_t new_len) {
  (void)user;
  live = live - old_len + new_len;
  if (new_len > 0)
    return realloc(ptr, new_len);
  free(ptr);
  return NULL;
}

static const nws_allocator allocator = {resize, NULL};

static nws_prepared *make(size_t len, int fill) {
  nws_prepared *message;
  uint8_t *data = malloc(len + 1);
  memset(data, fill, len + 1);
  assert_int_equal(
      nws_prepared_make(&allocator, NWS_OPCODE_BINARY, data, len, &message),
      NWS_OK);
  free(data);
  return message;
}

/* A server's peers whose other ends are raw and do not read. */
static void open_all(fixture *fx, raw *r, nws_peer **peers) {
  int small = 4096;
  fixture_serve(fx);
  for (int i = 0; i < PEERS; i++) {
    raw_open(fx, &r[i]);
    peers[i] = fx->s.peer;
    setsockopt(peers[i]->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
  }
}

static int refers(const nws_peer *peer, const nws_prepared *message) {
  const nws__chunk *chunk = peer->queue.head;
  while (chunk != NULL && chunk->message != message)
    chunk = chunk->next;
  return chunk != NULL;
}

/* However many peers have it to read, the bytes are there once. */
static void test_by_reference(void **state) {
  fixture fx;
  raw r[PEERS];
  nws_peer *peers[PEERS];
  (void)state;
  fixture_init(&fx);
  open_all(&fx, r, peers);
  nws_prepared *message = make(LONG, 'm');
  size_t before = live;
  for (int i = 0; i < PEERS; i++) {
    assert_int_equal(nws_peer_send(peers[i], NWS_OPCODE_TEXT, "before", 6),
                     NWS_OK);
    assert_int_equal(nws_peer_send_prepared(peers[i], message), NWS_OK);
    assert_int_equal(nws_peer_send_prepared(peers[i], message), NWS_OK);
    assert_int_equal(nws_peer_send(peers[i], NWS_OPCODE_TEXT, "after", 5),
                     NWS_OK);
    assert_true(refers(peers[i], message));
  }
  assert_int_equal(live, before);
  assert_true(message->refs > PEERS);
  for (int i = 0; i < PEERS; i++) {
    size_t frame = message->frame_len;
    size_t all = 8 + 2 * frame + 7;
    raw_until(&fx, &r[i], r[i].len == all);
    assert_memory_equal(r[i].data,
                        "\x81\x06"
                        "before",
                        8);
    assert_memory_equal(r[i].data + 8, message->frame, frame);
    assert_memory_equal(r[i].data + 8 + frame, message->frame, frame);
    assert_memory_equal(r[i].data + 8 + 2 * frame,
                        "\x81\x05"
                        "after",
                        7);
    assert_null(peers[i]->queue.head);
    raw_free(&r[i]);
  }
  assert_int_equal(message->refs, 1);
  nws_prepared_drop(message);
  assert_int_equal(live, 0);
  fixture_end(&fx);
}

/* Short ones are copied, and share the chunks of others. */
static void test_short(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fixture_serve(&fx);
  raw_open(&fx, &r);
  nws_prepared *message = make(5, 's');
  for (int i = 0; i < 3; i++)
    assert_int_equal(nws_peer_send_prepared(fx.s.peer, message), NWS_OK);
  assert_int_equal(message->refs, 1);
  assert_ptr_equal(fx.s.peer->queue.head, fx.s.peer->queue.tail);
  nws_prepared_drop(message);
  assert_int_equal(live, 0);
  raw_until(&fx, &r, r.len == 21);
  assert_memory_equal(r.data + 14, "\x82\x05sssss", 7);
  raw_free(&r);
  fixture_end(&fx);
}

/* What a peer holds it gives back when it dies. */
static void test_dropped(void **state) {
  fixture fx;
  raw r[PEERS];
  nws_peer *peers[PEERS];
  (void)state;
  fixture_init(&fx);
  open_all(&fx, r, peers);
  nws_prepared *message = make(LONG, 'd');
  for (int i = 0; i < PEERS; i++)
    assert_int_equal(nws_peer_send_prepared(peers[i], message), NWS_OK);
  nws_prepared_drop(message);
  assert_true(live > LONG);
  nws_peer_abort(peers[0]);
  raw_reset(&r[1]);
  step_until(&fx, nws_server_peers(fx.server) == 1);
  assert_true(live > LONG);
  nws_peer_abort(peers[2]);
  assert_int_equal(live, 0);
  raw_free(&r[0]);
  raw_free(&r[2]);
  fixture_end(&fx);
}

/* The same rules as for nws_peer_send(). */
static void test_rules(void **state) {
  fixture fx;
  raw r;
  (void)state;
  fixture_init(&fx);
  fx.options.limits.max_queue = fx.options.limits.high_water = 2000;
  fixture_pair(&fx);
  nws_prepared *message = make(1500, 'r');
  assert_int_equal(nws_peer_send_prepared(NULL, message), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_peer_send_prepared(fx.s.peer, NULL), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_peer_send_prepared(fx.c.peer, message),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_peer_send_prepared(fx.s.peer, message), NWS_OK);
  assert_int_equal(nws_peer_send_prepared(fx.s.peer, message), NWS_ERROR_QUEUE);
  step_until(&fx, fx.c.messages == 1 && fx.s.drains == 1);
  assert_int_equal(fx.c.last_len, 1500);
  assert_int_equal(
      nws_peer_send(fx.s.peer, NWS_OPCODE_TEXT | NWS_SEND_MORE, "a", 1),
      NWS_OK);
  assert_int_equal(nws_peer_send_prepared(fx.s.peer, message),
                   NWS_ERROR_MESSAGE_OPEN);
  assert_int_equal(nws_peer_send(fx.s.peer, NWS_OPCODE_CONTINUATION, "b", 1),
                   NWS_OK);
  assert_int_equal(nws_peer_close(fx.s.peer, 1000, nws_str_of("")), NWS_OK);
  assert_int_equal(nws_peer_send_prepared(fx.s.peer, message), NWS_ERROR_STATE);
  step_until(&fx, fx.c.closes == 1);
  assert_int_equal(fx.c.messages, 2);
  raw_connect(&r, &fx);
  step_until(&fx, nws_server_peers(fx.server) == 1);
  nws_prepared_drop(message);
  assert_int_equal(live, 0);
  raw_free(&r);
  fixture_end(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_by_reference),
      cmocka_unit_test(test_short),
      cmocka_unit_test(test_dropped),
      cmocka_unit_test(test_rules),
  };
  return run_without_leaks(tests);
}
