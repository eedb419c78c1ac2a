/* test_deflate_prepared.c - one message for many connections: compressed once
 * for each window, and every connection still in step afterwards.
 */
#include "dfl_help.h"

#include <stdio.h>
#include <string.h>

static int compressions;

static int count_compress(void *state, const uint8_t *in, size_t in_len,
                          uint8_t *out, size_t cap, size_t *len) {
  compressions++;
  return nws_deflate_zlib()->compress(state, in, in_len, out, cap, len);
}

static nws_deflate_backend counting(void) {
  nws_deflate_backend backend = *nws_deflate_zlib();
  backend.name = "counting";
  backend.compress = count_compress;
  return backend;
}

/* Sends a prepared message, checks that its bytes are its own, and lets the
 * other end receive it. */
static const uint8_t *pass_prepared(dfl_end *from, dfl_end *to,
                                    nws_prepared *message, const void *payload,
                                    size_t len) {
  const uint8_t *frame;
  size_t frame_len;
  const size_t before = to->messages;
  assert_int_equal(
      nws_conn_send_prepared(&from->conn, message, &frame, &frame_len), NWS_OK);
  assert_int_equal(dfl_feed(to, frame, frame_len, 7), NWS_OK);
  assert_int_equal(to->messages, before + 1);
  dfl_equal(&to->got, payload, len);
  return frame;
}

static void once_for_each_window(void **unused) {
  enum { COUNT = 12 };
  static dfl_end servers[COUNT], clients[COUNT];
  const nws_deflate_backend backend = counting();
  const uint8_t *frames[COUNT];
  nws_deflate_config config = {.size = sizeof(config)};
  dfl_memory memory;
  nws_deflate deflate;
  nws_prepared *message;
  dfl_bytes plain = {0};
  uint32_t seed = 2;
  (void)unused;
  dfl_memory_init(&memory);
  config.allocator = &memory.allocator;
  config.backend = &backend;
  dfl_init(&deflate, &config);
  dfl_add_kind(&plain, DFL_JSON, 3000, &seed);
  assert_int_equal(nws_deflate_prepare(&deflate, NWS_OPCODE_TEXT, plain.data,
                                       plain.len, &message),
                   NWS_OK);
  for (size_t i = 0; i < COUNT; i++) { /* windows of 9, 12, 15; none at all */
    const uint8_t bits = (uint8_t)(9 + i % 4 * 3);
    const nws_deflate_params here = {i & 1, 0, bits, 15};
    const nws_deflate_params there = {0, i & 1, 15, bits};
    if (i % 4 == 3) {
      dfl_open(&servers[i], NWS_ROLE_SERVER, NULL, 0, NULL, 0);
      dfl_open(&clients[i], NWS_ROLE_CLIENT, NULL, 0, NULL, 0);
      continue;
    }
    dfl_open_with(&servers[i], NWS_ROLE_SERVER, &deflate, &here, 0);
    dfl_open_with(&clients[i], NWS_ROLE_CLIENT, &deflate, &there, 0);
  }
  compressions = 0;
  for (size_t i = 0; i < COUNT; i++) {
    frames[i] =
        pass_prepared(&servers[i], &clients[i], message, plain.data, plain.len);
    assert_int_equal(frames[i][0], i % 4 == 3 ? 0x81 : 0xc1);
    assert_true(i < 4 || frames[i] == frames[i % 4]);
  }
  assert_int_equal(compressions, 3);
  nws_prepared_drop(message);
  for (size_t i = 0; i < COUNT; i++) {
    dfl_close(&servers[i]);
    dfl_close(&clients[i]);
  }
  nws_deflate_free(&deflate);
  assert_int_equal(memory.live, 0);
  dfl_free(&plain);
}

/* A frame on its way to a peer, which holds the message. */
typedef struct on_way {
  nws_prepared *message;
  const uint8_t *bytes;
  size_t len;
} on_way;

/* Two hundred connections are written to in pieces, in turns, after whoever
 * made the message has dropped it. Nothing is allocated for any of them but the
 * two forms, nothing copied, and the message goes with the last byte. */
static void written_from_where_it_lies(void **unused) {
  enum { COUNT = 200, LEN = 20000 };
  static dfl_end servers[COUNT], clients[COUNT];
  static on_way queues[COUNT];
  const nws_deflate_backend backend = counting();
  nws_deflate_config config = {.size = sizeof(config)};
  dfl_memory memory;
  nws_deflate deflate;
  nws_prepared *message;
  dfl_bytes plain = {0};
  uint32_t seed = 4;
  size_t before, calls, left = COUNT;
  (void)unused;
  dfl_memory_init(&memory);
  config.allocator = &memory.allocator;
  config.backend = &backend;
  dfl_init(&deflate, &config);
  dfl_add_kind(&plain, DFL_JSON, LEN, &seed);
  for (size_t i = 0; i < COUNT; i++) {
    const uint8_t bits = i & 2 ? 10 : 15;
    const nws_deflate_params here = {i & 1, 0, bits, 15};
    const nws_deflate_params there = {0, i & 1, 15, bits};
    dfl_open_with(&servers[i], NWS_ROLE_SERVER, &deflate, &here, 0);
    dfl_open_with(&clients[i], NWS_ROLE_CLIENT, &deflate, &there, 64);
    if (i < 4) { /* so that states are there */
      dfl_pass(&servers[i], &clients[i], NWS_OPCODE_TEXT, plain.data, 100);
    }
  }
  nws_deflate_drop_idle(servers[0].uses, 1);
  nws_deflate_drop_idle(servers[2].uses, 1);
  before = memory.live;
  assert_int_equal(nws_deflate_prepare(&deflate, NWS_OPCODE_TEXT, plain.data,
                                       plain.len, &message),
                   NWS_OK);
  compressions = 0;
  calls = memory.calls;
  for (size_t i = 0; i < COUNT; i++) {
    assert_int_equal(nws_conn_send_prepared(&servers[i].conn, message,
                                            &queues[i].bytes, &queues[i].len),
                     NWS_OK);
    assert_ptr_equal(queues[i].bytes, queues[i & 2].bytes);
    assert_int_equal(queues[i].len, queues[i & 2].len);
    queues[i].message = message;
    nws_prepared_keep(message);
  }
  nws_prepared_drop(message);
  assert_int_equal(compressions, 2);
  assert_int_equal(memory.calls, calls + 4); /* room to compress in, a form */
  assert_true(memory.live <
              before + LEN + 1024 + queues[0].len + queues[2].len);
  while (left > 0) {
    on_way *queue = &queues[dfl_number(&seed) % COUNT];
    const size_t most = 1 + dfl_number(&seed) % 3000;
    const size_t len = most < queue->len ? most : queue->len;
    if (len == 0) {
      continue;
    }
    assert_int_equal(dfl_feed(&clients[queue - queues], queue->bytes, len, 0),
                     NWS_OK);
    queue->bytes += len;
    queue->len -= len;
    if (queue->len == 0) {
      const dfl_end *client = &clients[queue - queues];
      const size_t live = memory.live;
      dfl_equal(&client->got, plain.data, plain.len);
      nws_prepared_drop(queue->message);
      assert_true(left > 1 ? memory.live == live : memory.live < live - LEN);
      left--;
    }
  }
  for (size_t i = 0; i < COUNT; i++) {
    dfl_close(&servers[i]);
    dfl_close(&clients[i]);
  }
  nws_deflate_free(&deflate);
  assert_int_equal(memory.live, 0);
  dfl_free(&plain);
}

/* Our own next message stands alone, and from then on there is takeover again.
 */
static void takeover_goes_on(void **unused) {
  const nws_deflate_params params = {0, 0, 15, 15};
  nws_deflate_config config = {.size = sizeof(config)};
  dfl_memory memory;
  const uint8_t *frame;
  size_t len;
  nws_deflate deflate;
  nws_prepared *message;
  dfl_bytes plain = {0}, wire = {0};
  uint32_t seed = 6;
  size_t lens[3];
  dfl_end server, client;
  (void)unused;
  dfl_memory_init(&memory);
  config.allocator = &memory.allocator;
  dfl_init(&deflate, &config);
  dfl_add_kind(&plain, DFL_NOISE, 500, &seed);
  dfl_open_with(&server, NWS_ROLE_SERVER, &deflate, &params, 0);
  dfl_open_with(&client, NWS_ROLE_CLIENT, &deflate, &params, 0);
  assert_int_equal(nws_deflate_prepare(&deflate, NWS_OPCODE_BINARY, plain.data,
                                       plain.len, &message),
                   NWS_OK);
  dfl_pass(&server, &client, NWS_OPCODE_BINARY, plain.data, plain.len);
  /* One that fails, wherever, changes nothing, not even that. */
  for (size_t at = 1;; at++) {
    memory.fail_at = memory.calls + at;
    if (nws_conn_send_prepared(&server.conn, message, &frame, &len) == NWS_OK) {
      assert_true(at > 4);
      break;
    }
    wire.len = 0;
    dfl_send(&server, NWS_OPCODE_BINARY, plain.data, plain.len, &wire);
    assert_true(wire.len < 50);
    assert_int_equal(dfl_feed(&client, wire.data, wire.len, 0), NWS_OK);
  }
  assert_int_equal(dfl_feed(&client, frame, len, 0), NWS_OK);
  dfl_equal(&client.got, plain.data, plain.len);
  for (size_t i = 0; i < 3; i++) {
    wire.len = 0;
    dfl_send(&server, NWS_OPCODE_BINARY, plain.data, plain.len, &wire);
    assert_int_equal(dfl_feed(&client, wire.data, wire.len, 0), NWS_OK);
    dfl_equal(&client.got, plain.data, plain.len);
    lens[i] = wire.len;
  }
  assert_true(lens[0] > 500);
  assert_true(lens[1] < 50);
  assert_true(lens[2] < 50);
  nws_prepared_drop(message);
  dfl_close(&server);
  dfl_close(&client);
  nws_deflate_free(&deflate);
  dfl_free(&plain);
  dfl_free(&wire);
}

/* Between messages of a connection's own, in fragments and whole, plain and
 * not: the peer can always follow. */
static void in_step_with_takeover(void **unused) {
  static const uint8_t windows[] = {8, 10, 15};
  (void)unused;
  for (size_t w = 0; w < 6; w++) {
    const nws_deflate_backend *backends[2];
    const uint8_t bits = windows[w % 3];
    const nws_deflate_params here = {0, 0, bits, 15}, there = {0, 0, 15, bits};
    nws_deflate_config config = {.size = sizeof(config)};
    nws_prepared *messages[3];
    nws_deflate deflate;
    dfl_bytes plain = {0}, wire = {0};
    dfl_end server, client;
    uint32_t seed = (uint32_t)w;
    config.backend = backends[dfl_backends(backends) - 1];
    config.backend = w < 3 ? backends[0] : config.backend;
    dfl_init(&deflate, &config);
    dfl_add_kind(&plain, DFL_JSON, 6000, &seed);
    dfl_open_with(&server, NWS_ROLE_SERVER, &deflate, &here, 0);
    dfl_open_with(&client, NWS_ROLE_CLIENT, &deflate, &there, 0);
    for (size_t i = 0; i < 3; i++) {
      assert_int_equal(nws_deflate_prepare(&deflate, NWS_OPCODE_BINARY,
                                           plain.data + 500 * i, 700,
                                           &messages[i]),
                       NWS_OK);
    }
    for (unsigned i = 0; i < 300; i++) {
      const size_t at = dfl_number(&seed) % 5000, len = dfl_number(&seed) % 900;
      const unsigned which = dfl_number(&seed) % 3;
      switch (dfl_number(&seed) % 4) {
      case 0:
        pass_prepared(&server, &client, messages[which],
                      plain.data + 500 * which, 700);
        break;
      case 1:
        wire.len = 0;
        dfl_send(&server, NWS_OPCODE_BINARY | NWS_SEND_MORE, plain.data, len,
                 &wire);
        dfl_send(&server, NWS_OPCODE_CONTINUATION, plain.data + at, len, &wire);
        assert_int_equal(dfl_feed(&client, wire.data, wire.len, 0), NWS_OK);
        break;
      case 2:
        nws_deflate_drop_idle(server.uses, 1);
        dfl_pass(&server, &client, NWS_OPCODE_BINARY | NWS_SEND_PLAIN,
                 plain.data + at, len);
        break;
      default:
        dfl_pass(&server, &client, NWS_OPCODE_BINARY, plain.data + at, len);
      }
    }
    for (size_t i = 0; i < 3; i++) {
      nws_prepared_drop(messages[i]);
    }
    dfl_close(&server);
    dfl_close(&client);
    nws_deflate_free(&deflate);
    dfl_free(&plain);
    dfl_free(&wire);
  }
}

/* Short ones, and those of another nws_deflate, go plain. */
static void what_goes_plain(void **unused) {
  static const size_t lens[] = {0, 31, 32, 62};
  const nws_deflate_params params = {0, 0, 15, 15};
  const nws_deflate_backend backend = counting();
  nws_deflate_config config = {.size = sizeof(config)};
  nws_deflate deflate, other;
  nws_prepared *message;
  dfl_end server, client;
  char text[64];
  (void)unused;
  memset(text, 'x', sizeof(text));
  config.backend = &backend;
  dfl_init(&deflate, &config);
  dfl_init(&other, &config);
  dfl_open_with(&server, NWS_ROLE_SERVER, &deflate, &params, 0);
  dfl_open_with(&client, NWS_ROLE_CLIENT, &deflate, &params, 0);
  compressions = 0;
  for (size_t i = 0; i < 4; i++) { /* min_size is 32 */
    const size_t len = lens[i];
    assert_int_equal(
        nws_deflate_prepare(&deflate, NWS_OPCODE_TEXT, text, len, &message),
        NWS_OK);
    pass_prepared(&server, &client, message, text, len);
    nws_prepared_drop(message);
  }
  assert_int_equal(compressions, 2);
  assert_int_equal(
      nws_deflate_prepare(&other, NWS_OPCODE_TEXT, text, 64, &message), NWS_OK);
  nws_deflate_free(&other); /* it outlives that */
  pass_prepared(&server, &client, message, text, 64);
  nws_prepared_drop(message);
  assert_int_equal(compressions, 2);
  dfl_close(&server);
  dfl_close(&client);
  nws_deflate_free(&deflate);
}

static void every_allocation_fails(void **unused) {
  static const char text[] = "once upon a time there was once upon a time";
  const nws_deflate_params params = {0, 0, 9, 9};
  size_t failures = 0;
  (void)unused;
  for (size_t at = 1;; at++) {
    nws_deflate_config config = {.size = sizeof(config)};
    nws_prepared *message = NULL;
    const uint8_t *frame;
    size_t frame_len;
    dfl_memory memory;
    nws_deflate deflate;
    dfl_end server, client;
    int status;
    dfl_memory_init(&memory);
    config.allocator = &memory.allocator;
    dfl_init(&deflate, &config);
    dfl_open_with(&server, NWS_ROLE_SERVER, &deflate, &params, 0);
    dfl_open_with(&client, NWS_ROLE_CLIENT, &deflate, &params, 0);
    dfl_pass(&server, &client, NWS_OPCODE_TEXT, text, sizeof(text) - 1);
    memory.calls = 0;
    memory.fail_at = at;
    status = nws_deflate_prepare(&deflate, NWS_OPCODE_TEXT, text,
                                 sizeof(text) - 1, &message);
    if (status == NWS_OK) {
      status =
          nws_conn_send_prepared(&server.conn, message, &frame, &frame_len);
      if (status != NWS_OK) { /* and again: nothing has changed */
        assert_int_equal(frame_len, 0);
        pass_prepared(&server, &client, message, text, sizeof(text) - 1);
        dfl_pass(&server, &client, NWS_OPCODE_TEXT, text, sizeof(text) - 1);
      }
    }
    assert_true(status == NWS_OK || status == NWS_ERROR_MEMORY);
    failures += status != NWS_OK;
    nws_prepared_drop(message);
    dfl_close(&server);
    dfl_close(&client);
    nws_deflate_free(&deflate);
    assert_int_equal(memory.live, 0);
    if (memory.calls < at) {
      break;
    }
  }
  assert_true(failures >= 10);
}

static void arguments(void **unused) {
  nws_deflate deflate;
  nws_prepared *message = NULL;
  (void)unused;
  dfl_init(&deflate, NULL);
  assert_int_equal(nws_deflate_prepare(NULL, 1, "", 0, &message),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_deflate_prepare(&deflate, 1, "", 0, NULL),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_deflate_prepare(&deflate, 1, NULL, 1, &message),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_deflate_prepare(&deflate, 0, "", 0, &message),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_deflate_prepare(&deflate, 8, "", 0, &message),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_deflate_prepare(&deflate, 1, "\xff", 1, &message),
                   NWS_ERROR_TEXT_SEND);
  assert_null(message);
  nws_deflate_free(&deflate);
  assert_int_equal(nws_deflate_prepare(&deflate, 1, "", 0, &message),
                   NWS_ERROR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(once_for_each_window),
      cmocka_unit_test(written_from_where_it_lies),
      cmocka_unit_test(takeover_goes_on),
      cmocka_unit_test(in_step_with_takeover),
      cmocka_unit_test(what_goes_plain),
      cmocka_unit_test(every_allocation_fails),
      cmocka_unit_test(arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
