/* test_deflate_memory.c - memory is a promise: who holds how much and when,
 * that all of it comes back, and that every allocation may fail.
 */
#include "dfl_help.h"

#include <stdio.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CYCLES = 2000 };
#else
enum { CYCLES = 100000 };
#endif

static const char text[] =
    "{\"price\":17,\"size\":4,\"user\":\"ann\",\"price\":18,\"size\":4}";
enum { TEXT_LEN = sizeof(text) - 1 };

static const nws_deflate_params both = {0, 0, 15, 15};
static const nws_deflate_params none = {1, 1, 15, 15};

/* --- Who holds how much --- */

static void takeover_costs_when_it_is_used(void **unused) {
  dfl_memory memory;
  nws_deflate_config config = {.size = sizeof(config)};
  nws_deflate deflate;
  dfl_bytes wire = {0};
  dfl_end a, b;
  size_t idle, cost, held;
  (void)unused;
  dfl_memory_init(&memory);
  config.allocator = &memory.allocator;
  assert_int_equal(nws_deflate_cost(&config, &cost), NWS_OK);
  assert_int_equal(memory.live, 0);
  dfl_init(&deflate, &config);
  dfl_open_with(&a, NWS_ROLE_SERVER, &deflate, &both, 0);
  dfl_open_with(&b, NWS_ROLE_CLIENT, &deflate, &both, 0);
  idle = nws_deflate_held(a.uses, 1);
  assert_true(idle > 0 && idle < 256);
  dfl_add_frame(&wire, 0x80 | NWS_RSV1 | NWS_OPCODE_TEXT, NULL, 0, 1);
  assert_int_equal(dfl_feed(&a, wire.data, wire.len, 0), NWS_OK);
  dfl_free(&wire);
  assert_int_equal(nws_deflate_held(a.uses, 1), idle); /* nothing in it */
  dfl_pass(&a, &b, NWS_OPCODE_TEXT | NWS_SEND_PLAIN, text, TEXT_LEN);
  assert_int_equal(nws_deflate_held(a.uses, 1), idle);
  assert_int_equal(nws_deflate_held(b.uses, 1), idle);
  dfl_pass(&a, &b, NWS_OPCODE_TEXT, text, TEXT_LEN);
  assert_true(nws_deflate_held(a.uses, 1) > idle + 200000);
  assert_true(nws_deflate_held(b.uses, 1) > idle + 32768);
  dfl_pass(&b, &a, NWS_OPCODE_TEXT, text, TEXT_LEN);
  /* Now each has both, and that is what it costs. */
  held = nws_deflate_held(a.uses, 1);
  assert_int_equal(held, cost);
  assert_int_equal(nws_deflate_held(b.uses, 1), cost);
  assert_int_equal(nws_deflate_memory(&deflate), memory.live);
  for (unsigned i = 0; i < 100; i++) {
    dfl_pass(&a, &b, NWS_OPCODE_TEXT, text, TEXT_LEN);
    dfl_pass(&b, &a, NWS_OPCODE_TEXT, text, TEXT_LEN);
  }
  assert_int_equal(nws_deflate_held(a.uses, 1), cost);
  dfl_close(&a);
  dfl_close(&b);
  nws_deflate_free(&deflate);
  assert_int_equal(memory.live, 0);
  assert_int_equal(memory.blocks, 0);
}

/* What one state for compressing and one for inflating take. */
static size_t pair_of_states(const nws_deflate_config *config) {
  nws_deflate_config other = *config;
  size_t with, without;
  other.send_no_takeover = 0;
  other.receive_no_takeover = 0;
  assert_int_equal(nws_deflate_cost(&other, &with), NWS_OK);
  other.send_no_takeover = 1;
  other.receive_no_takeover = 1;
  assert_int_equal(nws_deflate_cost(&other, &without), NWS_OK);
  return with - without;
}

/* Without takeover one state of each kind serves everybody: a loop with 1000
 * connections, whose messages go both ways, holds just these two. */
static void no_takeover_shares(void **unused) {
  enum { COUNT = 1000 };
  static dfl_end servers[COUNT / 2], clients[COUNT / 2];
  dfl_memory memory;
  nws_deflate_config config = {.size = sizeof(config)};
  nws_deflate deflate;
  size_t idle, states;
  (void)unused;
  dfl_memory_init(&memory);
  config.allocator = &memory.allocator;
  states = pair_of_states(&config);
  dfl_memory_init(&memory);
  dfl_init(&deflate, &config);
  for (size_t i = 0; i < COUNT / 2; i++) {
    dfl_open_with(&servers[i], NWS_ROLE_SERVER, &deflate, &none, 16);
    dfl_open_with(&clients[i], NWS_ROLE_CLIENT, &deflate, &none, 16);
  }
  idle = memory.live;
  assert_true(idle < COUNT * 256);
  for (size_t i = 0; i < 3 * COUNT; i++) {
    dfl_end *server = &servers[i % (COUNT / 2)];
    dfl_end *client = &clients[i % (COUNT / 2)];
    dfl_pass(server, client, NWS_OPCODE_TEXT, text, TEXT_LEN);
    dfl_pass(client, server, NWS_OPCODE_TEXT, text, TEXT_LEN);
    assert_int_equal(memory.live, idle + states);
    assert_true(nws_deflate_held(server->uses, 1) < 256);
  }
  assert_int_equal(memory.peak, idle + states);
  for (size_t i = 0; i < COUNT / 2; i++) {
    dfl_close(&servers[i]);
    dfl_close(&clients[i]);
  }
  assert_int_equal(memory.live, nws_deflate_memory(&deflate));
  nws_deflate_free(&deflate);
  assert_int_equal(memory.live, 0);
}

/* Messages that overlap need states of their own, for as long as they do; a few
 * are kept. */
static void overlap(size_t max_idle, size_t kept) {
  enum { COUNT = 6 };
  dfl_end servers[COUNT], clients[COUNT];
  dfl_bytes wire[COUNT] = {{0}};
  nws_deflate_config config = {.size = sizeof(config), .max_idle = max_idle};
  nws_deflate deflate;
  size_t base, most, left, pair;
  dfl_init(&deflate, &config);
  for (size_t i = 0; i < COUNT; i++) {
    dfl_open_with(&servers[i], NWS_ROLE_SERVER, &deflate, &none, 0);
    dfl_open_with(&clients[i], NWS_ROLE_CLIENT, &deflate, &none, 0);
  }
  base = nws_deflate_memory(&deflate);
  for (size_t i = 0; i < COUNT; i++) {
    dfl_send(&servers[i], NWS_OPCODE_TEXT | NWS_SEND_MORE, text, TEXT_LEN,
             &wire[i]);
    assert_int_equal(dfl_feed(&clients[i], wire[i].data, wire[i].len, 1),
                     NWS_OK);
  }
  most = nws_deflate_memory(&deflate);
  pair = (most - base) / COUNT;
  assert_true(pair > 300000);
  for (size_t i = 0; i < COUNT; i++) {
    wire[i].len = 0;
    dfl_send(&servers[i], NWS_OPCODE_CONTINUATION, text, TEXT_LEN, &wire[i]);
    assert_int_equal(dfl_feed(&clients[i], wire[i].data, wire[i].len, 1),
                     NWS_OK);
    assert_int_equal(clients[i].messages, 1);
    assert_int_equal(clients[i].got.len, 2 * TEXT_LEN);
  }
  left = nws_deflate_memory(&deflate);
  assert_int_equal(left - base, kept * pair);
  for (size_t i = 0; i < COUNT; i++) {
    dfl_close(&servers[i]);
    dfl_close(&clients[i]);
    dfl_free(&wire[i]);
  }
  nws_deflate_free(&deflate);
}

static void overlapping_messages(void **unused) {
  (void)unused;
  overlap(0, 4); /* the default */
  overlap(1, 1);
  overlap(2, 2);
  overlap(SIZE_MAX, 6);
}

static void dropping_when_idle(void **unused) {
  nws_deflate_config config = {.size = sizeof(config), .max_idle = 1};
  nws_deflate deflate;
  dfl_bytes wire = {0};
  dfl_end a, b;
  size_t before, dropped;
  (void)unused;
  dfl_init(&deflate, &config);
  dfl_open_with(&a, NWS_ROLE_SERVER, &deflate, &both, 0);
  dfl_open_with(&b, NWS_ROLE_CLIENT, &deflate, &both, 0);
  assert_int_equal(nws_deflate_drop_idle(a.uses, 1), 0);
  for (unsigned i = 0; i < 5; i++) {
    dfl_pass(&a, &b, NWS_OPCODE_TEXT, text, TEXT_LEN);
    dfl_pass(&b, &a, NWS_OPCODE_TEXT, text, TEXT_LEN);
    before = nws_deflate_held(a.uses, 1);
    dropped = nws_deflate_drop_idle(a.uses, 1);
    assert_true(dropped > 200000);
    assert_int_equal(nws_deflate_held(a.uses, 1), before - dropped);
    assert_int_equal(nws_deflate_drop_idle(a.uses, 1), 0);
  }
  dfl_send(&a, NWS_OPCODE_TEXT | NWS_SEND_MORE, text, TEXT_LEN, &wire);
  assert_int_equal(nws_deflate_drop_idle(a.uses, 1), 0); /* half sent */
  dfl_send(&a, NWS_OPCODE_CONTINUATION, text, TEXT_LEN, &wire);
  assert_int_equal(dfl_feed(&b, wire.data, wire.len, 0), NWS_OK);
  assert_int_equal(b.messages, 6);
  assert_int_equal(nws_deflate_drop_idle(NULL, 0), 0);
  assert_int_equal(nws_deflate_held(NULL, 0), 0);
  assert_int_equal(nws_deflate_memory(NULL), 0);
  dfl_close(&a);
  dfl_close(&b);
  dfl_free(&wire);
  nws_deflate_free(&deflate);
}

/* A budget is kept, and no less is taken than would fit. */
static void budgets(void **unused) {
  static const size_t bytes[] = {1,     10000,   17000,  20000,  30000,  50000,
                                 90000, 1 << 17, 200000, 400000, 1 << 20};
  unsigned last = 0;
  (void)unused;
  for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
    nws_deflate_config config = {.size = sizeof(config)};
    nws_deflate_params here;
    nws_deflate deflate;
    dfl_pair pair;
    size_t cost;
    config.memory_budget = bytes[i];
    dfl_init(&deflate, &config);
    assert_int_equal(dfl_shake(&pair, &deflate, &deflate, 0), NWS_OK);
    assert_int_equal(nws_deflate_agreed(pair.server.uses, 1, &here), 1);
    dfl_pass(&pair.client, &pair.server, NWS_OPCODE_TEXT, text, TEXT_LEN);
    dfl_pass(&pair.server, &pair.client, NWS_OPCODE_TEXT, text, TEXT_LEN);
    assert_int_equal(nws_deflate_cost(&config, &cost), NWS_OK);
    assert_int_equal(nws_deflate_held(pair.server.uses, 1), cost);
    assert_int_equal(here.send_no_takeover, here.receive_no_takeover);
    if (here.send_no_takeover) {
      assert_true(bytes[i] < 20000);
      assert_true(cost < 256);
    } else {
      assert_true(cost <= bytes[i]);
      assert_true(cost > bytes[i] / 4 || here.send_window_bits == 15);
      assert_true(here.send_window_bits >= last);
      last = here.send_window_bits;
    }
    dfl_part(&pair);
    nws_deflate_free(&deflate);
  }
  assert_int_equal(last, 15);
}

/* A budget of just what a setting costs is enough for it, and a byte less is
 * not. */
static void budgets_to_the_byte(void **unused) {
  (void)unused;
  for (unsigned bits = 9; bits <= 15; bits++) {
    nws_deflate_config config = {.size = sizeof(config)};
    nws_deflate_config tight = config;
    size_t cost, found;
    config.send_window_bits = (uint8_t)bits;
    config.receive_window_bits = (uint8_t)bits;
    config.mem_level = (uint8_t)(bits - 7);
    assert_int_equal(nws_deflate_cost(&config, &cost), NWS_OK);
    tight.memory_budget = cost;
    assert_int_equal(nws_deflate_cost(&tight, &found), NWS_OK);
    assert_int_equal(found, cost);
    tight.memory_budget = cost - 1;
    assert_int_equal(nws_deflate_cost(&tight, &found), NWS_OK);
    assert_true(found < cost);
  }
}

/* Whatever the budget, and whatever else is set: a connection that has sent and
 * received holds no more, or nothing but itself. */
static void no_budget_is_exceeded(void **unused) {
  const nws_deflate_backend *backends[2];
  const size_t backend_count = dfl_backends(backends);
  size_t self;
  nws_deflate_config config = {.size = sizeof(config)};
  (void)unused;
  config.send_no_takeover = 1;
  config.receive_no_takeover = 1;
  assert_int_equal(nws_deflate_cost(&config, &self), NWS_OK);
  for (size_t i = 0; i < 32 * backend_count; i++) {
    for (size_t budget = 1; budget < 500000; budget += budget / 16 + 997) {
      nws_deflate deflate;
      dfl_pair pair;
      memset(&config, 0, sizeof(config));
      config.size = sizeof(config);
      config.memory_budget = budget;
      config.send_no_takeover = i & 1;
      config.receive_no_takeover = i >> 1 & 1;
      config.send_window_bits = i & 4 ? 15 : 0;
      config.receive_window_bits = i & 8 ? 11 : 0;
      config.mem_level = i & 16 ? 9 : 0;
      config.backend = backends[i / 32];
      dfl_init(&deflate, &config);
      assert_int_equal(dfl_shake(&pair, &deflate, &deflate, 0), NWS_OK);
      dfl_pass(&pair.client, &pair.server, NWS_OPCODE_TEXT, text, TEXT_LEN);
      dfl_pass(&pair.server, &pair.client, NWS_OPCODE_TEXT, text, TEXT_LEN);
      for (size_t k = 0; k < 2; k++) {
        const nws_extension_use *uses = k ? pair.client.uses : pair.server.uses;
        const size_t held = nws_deflate_held(uses, 1);
        assert_true(held <= budget || held == self);
      }
      dfl_part(&pair);
      nws_deflate_free(&deflate);
    }
  }
}

/* Nor by a peer that goes its own way: one without a budget. */
static void budget_against_others(void **unused) {
  nws_deflate_config tight = {.size = sizeof(tight), .memory_budget = 60000};
  nws_deflate_config free_one = {.size = sizeof(free_one)};
  (void)unused;
  for (unsigned i = 0; i < 2; i++) {
    nws_deflate client, server;
    dfl_pair pair;
    dfl_init(&client, i ? &tight : &free_one);
    dfl_init(&server, i ? &free_one : &tight);
    assert_int_equal(dfl_shake(&pair, &client, &server, 0), NWS_OK);
    for (unsigned k = 0; k < 20; k++) {
      dfl_pass(&pair.client, &pair.server, NWS_OPCODE_TEXT, text, TEXT_LEN);
      dfl_pass(&pair.server, &pair.client, NWS_OPCODE_TEXT, text, TEXT_LEN);
    }
    assert_true(nws_deflate_held(i ? pair.client.uses : pair.server.uses, 1) <=
                60000);
    dfl_part(&pair);
    nws_deflate_free(&client);
    nws_deflate_free(&server);
  }
}

/* What was set stays as it was set. */
static void budgets_leave_the_rest(void **unused) {
  nws_deflate_config config = {.size = sizeof(config)};
  nws_deflate_params here;
  nws_deflate deflate;
  dfl_pair pair;
  (void)unused;
  config.memory_budget = 60000;
  config.receive_window_bits = 15;
  config.mem_level = 1;
  dfl_init(&deflate, &config);
  assert_int_equal(dfl_shake(&pair, &deflate, &deflate, 0), NWS_OK);
  assert_int_equal(nws_deflate_agreed(pair.server.uses, 1, &here), 1);
  assert_int_equal(here.receive_window_bits, here.send_window_bits);
  assert_true(here.send_window_bits > 8 && here.send_window_bits < 12);
  dfl_part(&pair);
  nws_deflate_free(&deflate);
}

/* --- All of it comes back --- */

static void open_and_close(void **unused) {
  dfl_memory memory;
  nws_deflate_config config = {.size = sizeof(config), .send_window_bits = 9};
  nws_deflate deflate;
  size_t base = 0;
  uint8_t scratch[64];
  (void)unused;
  dfl_memory_init(&memory);
  config.allocator = &memory.allocator;
  dfl_init(&deflate, &config);
  for (unsigned i = 0; i < CYCLES; i++) {
    const nws_deflate_params params = {(uint8_t)(i & 1), (uint8_t)(i >> 1 & 1),
                                       9, 9};
    nws_conn_config limits = {.size = sizeof(limits)};
    nws_extension_use uses[2];
    nws_conn ends[2];
    nws_input in;
    nws_event event;
    uint8_t out[256];
    size_t len;
    limits.random = &dfl_random;
    limits.scratch = scratch;
    limits.scratch_len = sizeof(scratch);
    for (unsigned k = 0; k < 2; k++) {
      assert_int_equal(nws_deflate_use(&deflate, &params, &uses[k]), NWS_OK);
      assert_int_equal(nws_conn_init(&ends[k],
                                     k ? NWS_ROLE_SERVER : NWS_ROLE_CLIENT,
                                     &limits, &uses[k], 1),
                       NWS_OK);
    }
    /* Half a message is pending when they part, now and then. */
    assert_int_equal(
        nws_conn_send(&ends[0], NWS_OPCODE_TEXT | (i % 3 ? 0 : NWS_SEND_MORE),
                      text, TEXT_LEN, out, sizeof(out), &len),
        NWS_OK);
    in.data = out;
    in.len = len - (i % 5 == 0);
    in.now = 0;
    while (nws_conn_recv(&ends[1], &in, &event) > 0) {
    }
    nws_extension_release(uses, 2);
    if (i == 8) {
      base = memory.live;
    }
    assert_true(i <= 8 || memory.live == base);
  }
  nws_deflate_free(&deflate);
  assert_int_equal(memory.live, 0);
  assert_int_equal(memory.blocks, 0);
}

/* --- Every allocation may fail --- */

/* Sends and receives; NWS_ERROR_MEMORY is all that may go wrong. A sender that
 * failed is as it was: when it is asked again it goes on. */
static int try_pass(dfl_end *from, dfl_end *to, unsigned what) {
  uint8_t out[256];
  size_t len;
  int status =
      nws_conn_send(&from->conn, what, text, TEXT_LEN, out, sizeof(out), &len);
  if (status != NWS_OK) {
    assert_int_equal(status, NWS_ERROR_MEMORY);
    assert_int_equal(nws_conn_state(&from->conn), NWS_STATE_OPEN);
    status = nws_conn_send(&from->conn, what, text, TEXT_LEN, out, sizeof(out),
                           &len);
    if (status != NWS_OK) {
      return status;
    }
  }
  status = dfl_feed(to, out, len, 3);
  if (status != NWS_OK) {
    assert_int_equal(status, NWS_ERROR_MEMORY);
    assert_int_equal(nws_conn_close_sent(&to->conn), NWS_CLOSE_INTERNAL_ERROR);
    return status;
  }
  dfl_equal(&to->got, text, TEXT_LEN);
  return NWS_OK;
}

static int try_talk(dfl_pair *pair) {
  for (unsigned i = 0; i < 4; i++) {
    dfl_end *from = i & 1 ? &pair->client : &pair->server;
    dfl_end *to = i & 1 ? &pair->server : &pair->client;
    const int status = try_pass(from, to, NWS_OPCODE_TEXT);
    if (status != NWS_OK) {
      return status;
    }
    nws_deflate_drop_idle(from->uses, from->use_count);
  }
  return NWS_OK;
}

/* Everything from the beginning to the end; NWS_OK when nothing failed. */
static int try_all(const nws_deflate_config *config) {
  nws_deflate deflate;
  dfl_pair pair;
  size_t cost;
  int status = nws_deflate_cost(config, &cost);
  if (status == NWS_OK) {
    status = nws_deflate_init(&deflate, config);
  }
  if (status != NWS_OK) {
    return status;
  }
  status = dfl_shake(&pair, &deflate, &deflate, 5);
  if (status == NWS_OK) {
    status = try_talk(&pair);
    dfl_part(&pair);
  }
  nws_deflate_free(&deflate);
  return status;
}

static void every_allocation_fails(void **unused) {
  const nws_deflate_backend *backends[2];
  const size_t count = dfl_backends(backends);
  (void)unused;
  for (size_t i = 0; i < 8 * count; i++) {
    dfl_memory memory;
    nws_deflate_config config = {.size = sizeof(config), .max_idle = 1};
    size_t failures = 0;
    config.allocator = &memory.allocator;
    config.backend = backends[i / 8];
    config.send_no_takeover = i & 1;
    config.receive_no_takeover = i >> 1 & 1;
    config.memory_budget = i & 4 ? 30000 : 0;
    for (int on = 0; on < 2; on++) {
      for (size_t at = 1;; at++) {
        int status;
        dfl_memory_init(&memory);
        memory.fail_at = at;
        memory.fail_on = on;
        status = try_all(&config);
        assert_int_equal(memory.live, 0);
        assert_int_equal(memory.blocks, 0);
        if (memory.calls < at) {
          assert_int_equal(status, NWS_OK);
          break;
        }
        assert_true(status == NWS_OK || status == NWS_ERROR_MEMORY);
        failures += status != NWS_OK;
      }
    }
    assert_true(failures > 10);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takeover_costs_when_it_is_used),
      cmocka_unit_test(no_takeover_shares),
      cmocka_unit_test(overlapping_messages),
      cmocka_unit_test(dropping_when_idle),
      cmocka_unit_test(budgets),
      cmocka_unit_test(budgets_to_the_byte),
      cmocka_unit_test(no_budget_is_exceeded),
      cmocka_unit_test(budget_against_others),
      cmocka_unit_test(budgets_leave_the_rest),
      cmocka_unit_test(open_and_close),
      cmocka_unit_test(every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
