/* test_extension.c - the extension interface, proved from outside: extensions
 * such as a user writes (ext_samples.c), through the public headers alone.
 *
 * Here: what opening a connection with extensions checks and borrows. The
 * groups on receiving, sending and agreeing are in files of their own.
 */
#include "ext_help.h"
#include "ext_tests.h"

#include <stdlib.h>
#include <string.h>

enum { SCRATCH = 64 };

static ext_setup server(const ext_sample *a, const ext_sample *b) {
  const ext_setup setup = {NWS_ROLE_SERVER, {0}, {a, b, NULL, NULL}};
  return setup;
}

static int opens(ext_rig *rig) {
  static const nws_conn zero;
  const int status = nws_conn_init(&rig->conn, NWS_ROLE_SERVER, &rig->config,
                                   rig->uses, rig->use_count);
  if (status != NWS_OK) {
    assert_memory_equal(&rig->conn, &zero, sizeof(zero));
  }
  return status;
}

/* Opens a connection with one extension that is not as it should be. */
static int opens_with(const nws_extension *ext) {
  const ext_setup setup = server(&ext_rle, &ext_xor);
  ext_rig rig;
  int status;
  ext_rig_make(&rig, &setup, SCRATCH);
  rig.uses[1].ext = ext;
  status = opens(&rig);
  rig.uses[1].ext = &ext_xor.base;
  ext_rig_close(&rig);
  return status;
}

static void what_is_owned_twice(void **unused) {
  nws_extension ext = ext_xor.base;
  (void)unused;
  assert_int_equal(opens_with(&ext), NWS_OK);
  ext.rsv = NWS_RSV1 | NWS_RSV2;
  assert_int_equal(opens_with(&ext), NWS_ERROR_CONFIG);
  ext = ext_rle_min.base;
  assert_int_equal(opens_with(&ext), NWS_ERROR_CONFIG);
  ext.rsv = 0;
  assert_int_equal(opens_with(&ext), NWS_OK);

  const ext_setup setup = server(&ext_time, &ext_xor);
  ext_rig rig;
  ext_rig_make(&rig, &setup, SCRATCH);
  ext.opcodes = ext_time.base.opcodes;
  rig.uses[1].ext = &ext;
  assert_int_equal(opens(&rig), NWS_ERROR_CONFIG);
  ext.opcodes = 1u << 12;
  assert_int_equal(opens(&rig), NWS_OK);
  rig.config.rsv_in = NWS_RSV2;
  assert_int_equal(opens(&rig), NWS_OK);
  ext.rsv = NWS_RSV2;
  assert_int_equal(opens(&rig), NWS_ERROR_CONFIG);
  rig.config.rsv_in = 0;
  rig.config.rsv_out = NWS_RSV2;
  assert_int_equal(opens(&rig), NWS_ERROR_CONFIG);
  rig.uses[1].ext = &ext_xor.base;
  ext_rig_close(&rig);
}

static void what_cannot_be_owned(void **unused) {
  (void)unused;
  for (unsigned bit = 0; bit < 16; bit++) {
    nws_extension ext = ext_xor.base;
    const int reserved = (bit >= 3 && bit <= 7) || bit >= 11;
    ext.opcodes = (uint16_t)(1u << bit);
    assert_int_equal(opens_with(&ext), reserved ? NWS_OK : NWS_ERROR_CONFIG);
  }
  for (unsigned bit = 0; bit < 8; bit++) {
    nws_extension ext = ext_xor.base;
    ext.rsv = (uint8_t)(1u << bit);
    assert_int_equal(opens_with(&ext),
                     bit == 4 || bit == 5 ? NWS_OK : NWS_ERROR_CONFIG);
  }
}

static void what_is_half_there(void **unused) {
  nws_extension ext = ext_xor.base;
  (void)unused;
  assert_int_equal(opens_with(NULL), NWS_ERROR_CONFIG);
  ext.size--;
  assert_int_equal(opens_with(&ext), NWS_ERROR_CONFIG);
  ext = ext_xor.base;
  ext.encode_bound = NULL;
  assert_int_equal(opens_with(&ext), NWS_ERROR_CONFIG);
  ext = ext_xor.base;
  ext.encode = NULL;
  assert_int_equal(opens_with(&ext), NWS_ERROR_CONFIG);
  ext.encode_bound = NULL;
  assert_int_equal(opens_with(&ext), NWS_OK);
}

static void scratch_that_is_missing(void **unused) {
  const ext_setup setup = server(&ext_rle, &ext_xor);
  const ext_setup plain = server(&ext_time, NULL);
  ext_rig rig;
  (void)unused;
  ext_rig_make(&rig, &setup, SCRATCH);
  rig.config.scratch_len = 0;
  assert_int_equal(opens(&rig), NWS_ERROR_SCRATCH);
  rig.config.scratch_len = 1;
  assert_int_equal(opens(&rig), NWS_ERROR_SCRATCH);
  rig.config.scratch_len = 2;
  assert_int_equal(opens(&rig), NWS_OK);
  rig.config.scratch = NULL;
  assert_int_equal(opens(&rig), NWS_ERROR_SCRATCH);
  ext_rig_close(&rig);
  ext_rig_make(&rig, &plain, SCRATCH);
  free(rig.scratch);
  rig.scratch = NULL;
  rig.config.scratch = NULL;
  rig.config.scratch_len = 0;
  assert_int_equal(opens(&rig), NWS_OK); /* decodes nothing */
  ext_rig_close(&rig);
}

/* "At least 1 per extension that decodes": the others want none. */
static void scratch_is_for_those_that_decode(void **unused) {
  const ext_setup setup = server(&ext_time, &ext_rle);
  ext_bytes stream = {0}, log = {0};
  const ext_cut cut = {4, 4, 0, 0, 0};
  ext_rig rig;
  (void)unused;
  ext_frame(&stream, 0x80 | NWS_RSV1 | NWS_OPCODE_TEXT, "\x80\x20x", 3, 1);
  ext_rig_open(&rig, &setup, 1);
  ext_feed(&rig, &stream, &cut, &log);
  ext_bytes_add(&log, "", 1);
  assert_string_equal((char *)log.data,
                      "text 1 rsv 40 BbeE wire 3 \"x{32}\"\n");
  ext_rig_close(&rig);
  ext_bytes_free(&log);
  ext_bytes_free(&stream);
}

static void arguments(void **unused) {
  const ext_setup setup = server(&ext_rle, &ext_xor);
  nws_extension_use five[NWS_EXTENSIONS_MAX + 1];
  ext_rig rig;
  (void)unused;
  ext_rig_make(&rig, &setup, SCRATCH);
  assert_int_equal(
      nws_conn_init(&rig.conn, NWS_ROLE_SERVER, &rig.config, NULL, 1),
      NWS_ERROR_ARGUMENT);
  memset(five, 0, sizeof(five));
  assert_int_equal(nws_conn_init(&rig.conn, NWS_ROLE_SERVER, &rig.config, five,
                                 NWS_EXTENSIONS_MAX + 1),
                   NWS_ERROR_ARGUMENT);
  assert_int_equal(
      nws_conn_init(&rig.conn, NWS_ROLE_SERVER, &rig.config, NULL, 0), NWS_OK);
  ext_rig_close(&rig);
}

/* The array is the connection's own: what is half decoded is remembered there,
 * so two connections with the same scratch do not meet. */
static void uses_are_borrowed(void **unused) {
  const ext_setup setup = server(&ext_rle, &ext_xor);
  const ext_sample *const want[] = {&ext_rle, &ext_xor};
  ext_bytes stream = {0}, logs[2] = {{0}, {0}};
  ext_rig rigs[2];
  (void)unused;
  ext_frame(&stream, NWS_RSV1 | NWS_OPCODE_TEXT, "\x80\x40x\x02", 4, 1);
  ext_frame(&stream, 0x80, "yzz", 3, 1);
  for (size_t i = 0; i < 2; i++) {
    ext_rig_open(&rigs[i], &setup, 2);
  }
  free(rigs[1].scratch);
  rigs[1].scratch = NULL;
  rigs[1].config.scratch = rigs[0].scratch;
  for (size_t at = 0; at < 2 * stream.len; at++) {
    ext_rig *rig = &rigs[at & 1];
    nws_input in = {malloc(1), 1, 0};
    uint8_t *block = in.data;
    nws_event event;
    assert_non_null(block);
    *block = stream.data[at / 2];
    while (nws_conn_recv(&rig->conn, &in, &event) == NWS_EVENT_DATA) {
      ext_bytes_add(&logs[at & 1], event.data, event.len);
    }
    assert_int_equal(in.len, 0);
    free(block);
  }
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(logs[i].len, 64 + 3);
    assert_memory_equal(logs[i].data + 64, "yzz", 3);
    assert_ptr_equal(rigs[i].uses[0].ext, &want[0]->base);
    assert_ptr_equal(rigs[i].uses[1].ext, &want[1]->base);
    ext_rig_close(&rigs[i]);
    ext_bytes_free(&logs[i]);
  }
  ext_bytes_free(&stream);
}

static void release_gives_back_once(void **unused) {
  nws_extension_use uses[3];
  nws_extension silent = ext_xor.base;
  int mine = 0;
  const int before = ext_states;
  (void)unused;
  memset(uses, 0, sizeof(uses));
  silent.release = NULL;
  uses[0].ext = &ext_rle.base;
  uses[0].state = ext_state_make(uses[0].ext);
  uses[1].ext = &silent;
  uses[1].state = &mine;
  assert_int_equal(ext_states, before + 1);
  nws_extension_release(uses, 3); /* the third is not in use */
  assert_int_equal(ext_states, before);
  for (size_t i = 0; i < 3; i++) {
    assert_null(uses[i].ext);
    assert_null(uses[i].state);
  }
  nws_extension_release(uses, 3);
  nws_extension_release(NULL, 0);
  assert_int_equal(ext_states, before);
}

static int opening_tests(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_owned_twice),
      cmocka_unit_test(what_cannot_be_owned),
      cmocka_unit_test(what_is_half_there),
      cmocka_unit_test(scratch_that_is_missing),
      cmocka_unit_test(scratch_is_for_those_that_decode),
      cmocka_unit_test(arguments),
      cmocka_unit_test(uses_are_borrowed),
      cmocka_unit_test(release_gives_back_once),
  };
  return cmocka_run_group_tests_name("opening", tests, NULL, NULL);
}

int main(void) {
  int failures = opening_tests();
  failures += ext_recv_tests();
  failures += ext_send_tests();
  failures += ext_handshake_tests();
  return failures;
}
