/* test_deflate_stack.c - permessage-deflate and a user's extension together, in
 * either order: x-xor of the extension tests, which turns every byte under
 * RSV2.
 */
#include "dfl_help.h"

#include "../proto/ext_samples.h"

#include <string.h>

static const nws_deflate_params params[] = {{0, 0, 15, 15}, {1, 1, 9, 9}};

static void open_both(dfl_end *end, nws_role role, const nws_deflate *deflate,
                      const nws_deflate_params *how, int deflate_first,
                      size_t scratch_len) {
  nws_extension_use uses[2];
  const size_t at = deflate_first ? 0 : 1;
  assert_int_equal(nws_deflate_use(deflate, how, &uses[at]), NWS_OK);
  memset(&uses[1 - at], 0, sizeof(uses[0]));
  uses[1 - at].ext = &ext_xor.base;
  uses[1 - at].state = ext_state_make(&ext_xor.base);
  dfl_open(end, role, uses, 2, NULL, scratch_len);
}

/* Says something in all ways there are. */
static void say_all(dfl_end *from, dfl_bytes *wire, dfl_bytes *want) {
  dfl_bytes plain = {0};
  uint32_t seed = 11;
  for (unsigned i = 0; i < 12; i++) {
    const size_t len = 10u << i % 6;
    plain.len = 0;
    dfl_add_kind(&plain, DFL_JSON, len, &seed);
    dfl_add(want, plain.data, plain.len);
    dfl_add(want, "\1|", 2);
    if (i % 3 == 0) {
      dfl_send(from, NWS_OPCODE_TEXT | NWS_SEND_MORE, plain.data, len / 3,
               wire);
      dfl_send(from, NWS_OPCODE_PING, "?", 1, wire);
      dfl_send(from, NWS_OPCODE_CONTINUATION | NWS_SEND_MORE, NULL, 0, wire);
      dfl_send(from, NWS_OPCODE_CONTINUATION, plain.data + len / 3,
               len - len / 3, wire);
    } else {
      dfl_send(from, NWS_OPCODE_TEXT | (i % 3 == 1 ? NWS_SEND_PLAIN : 0),
               plain.data, len, wire);
    }
  }
  dfl_free(&plain);
}

static void in_either_order(void **unused) {
  static const size_t scratches[] = {2, 3, 7, 64, 4096};
  static const size_t steps[] = {0, 1, 2, 13, 500};
  nws_deflate deflate;
  (void)unused;
  dfl_init(&deflate, NULL);
  for (unsigned i = 0; i < 4; i++) {
    const nws_deflate_params *how = &params[i >> 1];
    dfl_bytes wire = {0}, want = {0};
    dfl_end from;
    open_both(&from, NWS_ROLE_CLIENT, &deflate, how, i & 1, 0);
    say_all(&from, &wire, &want);
    assert_int_equal(wire.data[0], 0x61); /* RSV1 and RSV2, not the end */
    for (unsigned k = 0; k < 25; k++) {
      dfl_end to;
      open_both(&to, NWS_ROLE_SERVER, &deflate, how, i & 1, scratches[k % 5]);
      assert_int_equal(dfl_feed(&to, wire.data, wire.len, steps[k / 5]),
                       NWS_OK);
      dfl_equal(&to.all, want.data, want.len);
      assert_int_equal(to.controls, 4);
      dfl_close(&to);
    }
    dfl_close(&from);
    dfl_free(&wire);
    dfl_free(&want);
  }
  assert_int_equal(ext_states, 0);
  nws_deflate_free(&deflate);
}

/* Compressing first and turning then gives other bytes than the other way
 * about: the order of negotiation is the order of work (RFC 6455 9.1). */
static void order_matters(void **unused) {
  static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  size_t lens[2];
  nws_deflate deflate;
  (void)unused;
  dfl_init(&deflate, NULL);
  for (int first = 0; first < 2; first++) {
    dfl_bytes wire = {0};
    dfl_end end;
    open_both(&end, NWS_ROLE_SERVER, &deflate, &params[0], first, 0);
    dfl_send(&end, NWS_OPCODE_TEXT, text, 48, &wire);
    lens[first] = wire.len;
    dfl_close(&end);
    dfl_free(&wire);
  }
  assert_true(lens[1] < 10);
  assert_true(lens[0] > 40);
  nws_deflate_free(&deflate);
}

/* A compressor that lacks memory when another has encoded already: the streams
 * are out of step, so the connection ends. */
static void memory_behind_another(void **unused) {
  dfl_memory memory;
  nws_deflate_config config = {.size = sizeof(config)};
  nws_deflate deflate;
  uint8_t out[512];
  size_t len;
  (void)unused;
  for (int first = 0; first < 2; first++) {
    dfl_end end;
    dfl_memory_init(&memory);
    config.allocator = &memory.allocator;
    dfl_init(&deflate, &config);
    open_both(&end, NWS_ROLE_SERVER, &deflate, &params[0], first, 0);
    memory.fail_at = memory.calls + 1;
    memset(out, 'a', 100);
    assert_int_equal(nws_conn_send(&end.conn, NWS_OPCODE_TEXT, out, 100,
                                   out + 100, sizeof(out) - 100, &len),
                     NWS_ERROR_MEMORY);
    assert_int_equal(nws_conn_close_sent(&end.conn), first ? 1006 : 1011);
    dfl_close(&end);
    nws_deflate_free(&deflate);
    assert_int_equal(memory.live, 0);
  }
}

/* Agreed in a handshake, both at once. */
static void agreed_together(void **unused) {
  nws_deflate deflate;
  const nws_extension *known[2] = {&ext_xor.base, &deflate.base};
  static nws_server_handshake hs;
  nws_server_policy policy = {.size = sizeof(policy)};
  static const char head[] =
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate; x, permessage-deflate; "
      "server_max_window_bits=9, x-xor\r\n\r\n";
  nws_deflate_params found;
  char out[1024];
  size_t len;
  (void)unused;
  dfl_init(&deflate, NULL);
  policy.extensions = known;
  policy.extension_count = 2;
  memset(&hs, 0, sizeof(hs));
  assert_int_equal(
      nws_server_handshake_read(&hs, &policy, head, sizeof(head) - 1), NWS_OK);
  assert_int_equal(
      nws_server_handshake_accept(&hs, NULL, out, sizeof(out), &len), NWS_OK);
  assert_int_equal(hs.extension_count, 2);
  assert_ptr_equal(hs.extensions[0].ext, &deflate.base);
  assert_ptr_equal(hs.extensions[1].ext, &ext_xor.base);
  assert_int_equal(nws_deflate_agreed(hs.extensions, 2, &found), 1);
  assert_int_equal(found.send_window_bits, 9);
  nws_extension_release(hs.extensions, 2);
  nws_deflate_free(&deflate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_either_order),
      cmocka_unit_test(order_matters),
      cmocka_unit_test(memory_behind_another),
      cmocka_unit_test(agreed_together),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
