/* test_conn_states.c - every call in every state and at every kind of byte that
 * can come next, with what it must give written out; what a connection may be
 * opened with; close frames that we send; and NULL wherever a pointer goes.
 */
#include "conn_help.h"

#define RESERVED 0xf8f8u

static const nws_role both_roles[] = {NWS_ROLE_CLIENT, NWS_ROLE_SERVER};

/* --- The states, and how to get there --- */

static void say_close(end *e) {
  uint8_t out[140];
  size_t len;
  assert_int_equal(
      nws_conn_close(&e->conn, 1000, nws_str_of(NULL), out, 140, &len), NWS_OK);
}

static void zeroed(end *e) {
  memset(&e->conn, 0, sizeof(e->conn));
}

static void open_client(end *e) {
  end_open(e, NWS_ROLE_CLIENT);
}

static void open_server(end *e) {
  end_open(e, NWS_ROLE_SERVER);
}

static void frame_open(end *e) {
  uint8_t out[14];
  size_t len;
  open_server(e);
  assert_int_equal(nws_conn_send_begin(&e->conn, 2, 3, out, 14, &len), NWS_OK);
}

static void message_open_out(end *e) {
  uint8_t out[14];
  size_t len;
  open_server(e);
  assert_int_equal(
      nws_conn_send(&e->conn, 1 | NWS_SEND_MORE, "a", 1, out, 14, &len),
      NWS_OK);
}

static void message_open_in(end *e) {
  open_server(e);
  assert_int_equal(end_hear(e, 1, "a", 1), 0);
}

/* Hears the first bytes of a frame. */
static void hear_part(end *e, unsigned first, const char *payload, size_t len,
                      size_t part) {
  uint8_t b[64];
  assert_true(part < put_peer(e, b, first, payload, len));
  assert_int_equal(end_feed(e, b, part, NULL), 0);
}

static void header_cut(end *e) {
  open_server(e);
  hear_part(e, FIN | 2, "abcde", 5, 1);
}

static void data_cut(end *e) {
  open_server(e);
  hear_part(e, FIN | 2, "abcde", 5, 8);
}

/* Two bytes of a ping's three have come, and lie in the spill. */
static void control_cut(end *e) {
  open_server(e);
  hear_part(e, FIN | 9, "abc", 3, 8);
}

static void pong_owed(end *e) {
  open_server(e);
  assert_int_equal(end_hear(e, FIN | 9, "abc", 3), 0);
}

/* What stands before the bad byte has been delivered. */
static void fault_due(end *e) {
  uint8_t b[64];
  nws_event event;
  open_server(e);
  nws_input in = {b, put_peer(e, b, FIN | 1, "ab\xff", 3), 0};
  assert_int_equal(nws_conn_recv(&e->conn, &in, &event), NWS_EVENT_DATA);
  assert_int_equal(event.len, 2);
}

static void close_sent(end *e) {
  open_client(e);
  say_close(e);
}

static void close_received(end *e) {
  open_server(e);
  assert_int_equal(end_hear(e, FIN | 8, "\x03\xe8", 2), 0);
}

static void close_received_manual(end *e) {
  e->config.manual_close = 1;
  close_received(e);
}

static void both_server(end *e) {
  uint8_t out[512];
  close_received(e);
  end_flush(e, out);
}

static void both_client(end *e) {
  close_sent(e);
  assert_int_equal(end_hear(e, FIN | 8, "\x03\xe8", 2), 0);
}

static void fault_owed(end *e) {
  open_client(e);
  assert_int_equal(end_hear(e, FIN | 3, "", 0), NWS_ERROR_OPCODE);
}

static void fault_flushed(end *e) {
  uint8_t out[512];
  fault_owed(e);
  end_flush(e, out);
}

static void ended(end *e) {
  open_server(e);
  assert_int_equal(nws_conn_eof(&e->conn), NWS_ERROR_EOF);
}

static void ended_flushed(end *e) {
  uint8_t out[512];
  ended(e);
  end_flush(e, out);
}

static void ended_clean(end *e) {
  both_client(e);
  assert_int_equal(nws_conn_eof(&e->conn), NWS_OK);
}

static void tick_until(end *e, int error) {
  uint64_t now = 1;
  int rc = NWS_OK;
  for (int i = 0; i < 4 && rc == NWS_OK; i++) {
    rc = nws_conn_tick(&e->conn, now, &now);
  }
  assert_int_equal(rc, error);
}

static void pong_timeout(end *e) {
  open_client(e);
  tick_until(e, NWS_ERROR_PONG_TIMEOUT);
}

static void close_timeout(end *e) {
  close_sent(e);
  tick_until(e, NWS_ERROR_CLOSE_TIMEOUT);
}

/* --- The table --- */

#define STATE NWS_ERROR_STATE
#define FRAME NWS_ERROR_FRAME_OPEN
#define MSG NWS_ERROR_MESSAGE_OPEN
#define NOMSG NWS_ERROR_NO_MESSAGE
#define NOFRM NWS_ERROR_NO_FRAME
#define CROSS NWS_ERROR_INTERLEAVED
#define OPC NWS_ERROR_OPCODE
#define ENDED NWS_ERROR_EOF
#define PTIME NWS_ERROR_PONG_TIMEOUT
#define CTIME NWS_ERROR_CLOSE_TIMEOUT
#define DATA NWS_EVENT_DATA
#define PING NWS_EVENT_PING
#define PONG NWS_EVENT_PONG
#define TEXT NWS_ERROR_TEXT

typedef struct wanted {
  void (*reach)(end *e);
  int lend, recv_pong, recv_data, eof, flush, ping, tick;
  int text, continuation, send_ping, send_pong, begin, payload, close;
  int owed, finished, clean, fault;
  unsigned code_in, code_out;
  nws_state state;
} wanted;

/* clang-format off */
static const wanted table[] = {
    {zeroed, STATE, STATE, STATE, STATE, STATE, STATE, STATE,
     STATE, STATE, STATE, STATE, STATE, STATE, STATE,
     0, 0, 0, 0, 1006, 1006, NWS_STATE_CONNECTING},
    {open_client, 1, PONG, DATA, ENDED, 0, 0, 0,
     0, NOMSG, 0, 0, 0, NOFRM, 0,
     0, 0, 0, 0, 1006, 1006, NWS_STATE_OPEN},
    {open_server, 1, PONG, DATA, ENDED, 0, 0, 0,
     0, NOMSG, 0, 0, 0, NOFRM, 0,
     0, 0, 0, 0, 1006, 1006, NWS_STATE_OPEN},
    {frame_open, 1, PONG, DATA, ENDED, 0, 0, 0,
     FRAME, FRAME, FRAME, FRAME, FRAME, 0, FRAME,
     0, 0, 0, 0, 1006, 1006, NWS_STATE_OPEN},
    {message_open_out, 1, PONG, DATA, ENDED, 0, 0, 0,
     MSG, 0, 0, 0, MSG, NOFRM, 0,
     0, 0, 0, 0, 1006, 1006, NWS_STATE_OPEN},
    {message_open_in, 1, PONG, CROSS, ENDED, 0, 0, 0,
     0, NOMSG, 0, 0, 0, NOFRM, 0,
     0, 0, 0, 0, 1006, 1006, NWS_STATE_OPEN},
    /* Whatever comes next belongs to the frame that has been cut. */
    {header_cut, 1, DATA, DATA, ENDED, 0, 0, 0,
     0, NOMSG, 0, 0, 0, NOFRM, 0,
     0, 0, 0, 0, 1006, 1006, NWS_STATE_OPEN},
    {data_cut, 1, DATA, DATA, ENDED, 0, 0, 0,
     0, NOMSG, 0, 0, 0, NOFRM, 0,
     0, 0, 0, 0, 1006, 1006, NWS_STATE_OPEN},
    {control_cut, 0, PING, PING, ENDED, 0, 0, 0,
     0, NOMSG, 0, 0, 0, NOFRM, 0,
     0, 0, 0, 0, 1006, 1006, NWS_STATE_OPEN},
    {pong_owed, 0, PONG, DATA, ENDED, 0, 0, 0,
     0, NOMSG, 0, 0, 0, NOFRM, 0,
     1, 0, 0, 0, 1006, 1006, NWS_STATE_OPEN},
    /* Open until the fault is met: what was delivered can be answered. */
    {fault_due, 1, TEXT, TEXT, TEXT, 0, 0, 0,
     0, NOMSG, 0, 0, 0, NOFRM, 0,
     0, 0, 0, 0, 1006, 1006, NWS_STATE_OPEN},
    {close_sent, 1, PONG, 0, ENDED, 0, STATE, 0,
     STATE, STATE, STATE, 0, STATE, NOFRM, STATE,
     0, 0, 0, 0, 1006, 1000, NWS_STATE_CLOSING},
    {close_received, 1, 0, 0, 0, 0, STATE, 0,
     STATE, STATE, STATE, STATE, STATE, NOFRM, STATE,
     1, 0, 0, 0, 1000, 1000, NWS_STATE_CLOSING},
    /* RFC 6455 5.5.1: the reply may wait until a message has been sent. */
    {close_received_manual, 1, 0, 0, 0, 0, STATE, 0,
     0, NOMSG, 0, 0, 0, NOFRM, 0,
     0, 0, 0, 0, 1000, 1006, NWS_STATE_CLOSING},
    {both_server, 1, 0, 0, 0, 0, STATE, 0,
     STATE, STATE, STATE, STATE, STATE, NOFRM, STATE,
     0, 1, 1, 0, 1000, 1000, NWS_STATE_CLOSED},
    {both_client, 1, 0, 0, 0, 0, STATE, 0,
     STATE, STATE, STATE, STATE, STATE, NOFRM, STATE,
     0, 0, 1, 0, 1000, 1000, NWS_STATE_CLOSED},
    {fault_owed, 1, OPC, OPC, OPC, 0, STATE, 0,
     STATE, STATE, STATE, STATE, STATE, NOFRM, STATE,
     1, 0, 0, OPC, 1006, 1002, NWS_STATE_CLOSING},
    {fault_flushed, 1, OPC, OPC, OPC, 0, STATE, 0,
     STATE, STATE, STATE, STATE, STATE, NOFRM, STATE,
     0, 1, 0, OPC, 1006, 1002, NWS_STATE_CLOSED},
    {ended, 1, ENDED, ENDED, ENDED, 0, STATE, 0,
     STATE, STATE, STATE, STATE, STATE, NOFRM, STATE,
     1, 0, 0, ENDED, 1006, 1002, NWS_STATE_CLOSING},
    {ended_flushed, 1, ENDED, ENDED, ENDED, 0, STATE, 0,
     STATE, STATE, STATE, STATE, STATE, NOFRM, STATE,
     0, 1, 0, ENDED, 1006, 1002, NWS_STATE_CLOSED},
    {ended_clean, 1, 0, 0, 0, 0, STATE, 0,
     STATE, STATE, STATE, STATE, STATE, NOFRM, STATE,
     0, 1, 1, 0, 1000, 1000, NWS_STATE_CLOSED},
    {pong_timeout, 1, PTIME, PTIME, PTIME, 0, STATE, PTIME,
     STATE, STATE, STATE, STATE, STATE, NOFRM, STATE,
     1, 0, 0, PTIME, 1006, 1011, NWS_STATE_CLOSING},
    {close_timeout, 1, CTIME, CTIME, CTIME, 0, STATE, CTIME,
     STATE, STATE, STATE, STATE, STATE, NOFRM, STATE,
     0, 1, 0, CTIME, 1006, 1000, NWS_STATE_CLOSED}};
/* clang-format on */

/* A fresh end in the row's state, without a spill. */
static void reach(const wanted *row, end *e) {
  const end fresh = {.lazy = 1};
  *e = fresh;
  row->reach(e);
  assert_true(nws__conn_valid(&e->conn));
}

/* Wants what a call gave, and a connection in good order behind it. */
static void expect(const end *e, int got, int want) {
  assert_int_equal(got, want);
  assert_true(nws__conn_valid(&e->conn));
}

/* Calls that take bytes or tell of time. */
static void receiving_calls(const wanted *row) {
  uint8_t b[64], out[512];
  nws_event event;
  uint64_t next;
  size_t len;
  end e;
  reach(row, &e);
  expect(&e, nws_conn_lend(&e.conn, &e.spill), row->lend);
  assert_ptr_equal(nws_conn_reclaim(&e.conn), row->lend == 1 ? &e.spill : NULL);
  assert_true(nws__conn_valid(&e.conn));
  reach(row, &e);
  nws_input in = {b, put_peer(&e, b, FIN | 10, "x", 1), 0};
  expect(&e, nws_conn_recv(&e.conn, &in, &event), row->recv_pong);
  reach(row, &e);
  in = (nws_input){b, put_peer(&e, b, FIN | 2, "x", 1), 0};
  expect(&e, nws_conn_recv(&e.conn, &in, &event), row->recv_data);
  reach(row, &e);
  expect(&e, nws_conn_eof(&e.conn), row->eof);
  expect(&e, nws_conn_eof(&e.conn), row->eof);
  reach(row, &e);
  expect(&e, nws_conn_flush(&e.conn, out, 512, &len), row->flush);
  assert_int_equal(len > 0, row->owed);
  reach(row, &e);
  expect(&e, nws_conn_ping(&e.conn, 1), row->ping);
  reach(row, &e);
  expect(&e, nws_conn_tick(&e.conn, 1, &next), row->tick);
}

static void sending_calls(const wanted *row) {
  static const unsigned whats[] = {1, 0, 9, 10};
  const int want[] = {row->text, row->continuation, row->send_ping,
                      row->send_pong};
  uint8_t out[512];
  size_t len;
  end e;
  for (size_t i = 0; i < 4; i++) {
    reach(row, &e);
    expect(&e, nws_conn_send(&e.conn, whats[i], "x", 1, out, 512, &len),
           want[i]);
    assert_int_equal(len > 0, want[i] == NWS_OK);
  }
  reach(row, &e);
  expect(&e, nws_conn_send_begin(&e.conn, 2, 5, out, 14, &len), row->begin);
  reach(row, &e);
  expect(&e, nws_conn_send_payload(&e.conn, out, out, 1), row->payload);
  reach(row, &e);
  expect(&e, nws_conn_close(&e.conn, 1001, nws_str_of("bye"), out, 512, &len),
         row->close);
}

/* Memory that was a connection becomes another, of which nothing is left. */
static void opened_again(const wanted *row) {
  static const nws_conn zero;
  nws_conn fresh;
  end e;
  assert_int_equal(nws_conn_init(&fresh, NWS_ROLE_SERVER, NULL, NULL, 0),
                   NWS_OK);
  reach(row, &e);
  expect(&e, nws_conn_init(&e.conn, NWS_ROLE_SERVER, NULL, NULL, 0), NWS_OK);
  assert_memory_equal(&e.conn, &fresh, sizeof(fresh));
  reach(row, &e);
  expect(&e, nws_conn_init(&e.conn, NWS_ROLE_CLIENT, NULL, NULL, 0),
         NWS_ERROR_CONFIG);
  assert_memory_equal(&e.conn, &zero, sizeof(zero));
}

static void questions(const wanted *row) {
  end e;
  reach(row, &e);
  const nws_conn before = e.conn;
  assert_int_equal(nws_conn_owed(&e.conn) > 0, row->owed);
  assert_int_equal(nws_conn_state(&e.conn), row->state);
  assert_int_equal(nws_conn_finished(&e.conn), row->finished);
  assert_int_equal(nws_conn_clean(&e.conn), row->clean);
  assert_int_equal(nws_conn_fault(&e.conn).error, row->fault);
  assert_int_equal(nws_conn_close_code(&e.conn), row->code_in);
  assert_int_equal(nws_conn_close_sent(&e.conn), row->code_out);
  assert_int_equal(nws_conn_rtt(&e.conn), 0);
  assert_string_equal(nws_conn_opcode_name(&e.conn, 9), "ping");
  const size_t room = nws_conn_send_room(&e.conn, 10);
  assert_int_equal(room, row->state == NWS_STATE_CONNECTING ? 0
                         : end_masks(&e)                    ? 16
                                                            : 12);
  assert_memory_equal(&before, &e.conn, sizeof(before));
}

static void every_call_in_every_state(void **unused) {
  (void)unused;
  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
    receiving_calls(&table[i]);
    sending_calls(&table[i]);
    opened_again(&table[i]);
    questions(&table[i]);
  }
}

/* --- NULL --- */

static void null_pointers(void **unused) {
  uint8_t out[64];
  nws_input in = {out, 0, 0}, no_bytes = {NULL, 1, 0};
  const nws_str none = {NULL, 0};
  nws_event event;
  uint64_t next;
  size_t len;
  end e = {0};
  (void)unused;
  open_client(&e);
  nws_conn *conn = &e.conn;
  const nws_conn before = *conn;
  const int got[] = {nws_conn_init(NULL, NWS_ROLE_SERVER, NULL, NULL, 0),
                     nws_conn_lend(NULL, &e.spill),
                     nws_conn_lend(conn, NULL),
                     nws_conn_recv(NULL, &in, &event),
                     nws_conn_recv(conn, NULL, &event),
                     nws_conn_recv(conn, &in, NULL),
                     nws_conn_recv(conn, &no_bytes, &event),
                     nws_conn_eof(NULL),
                     nws_conn_send(NULL, 2, "x", 1, out, 64, &len),
                     nws_conn_send(conn, 2, NULL, 1, out, 64, &len),
                     nws_conn_send(conn, 2, "x", 1, NULL, 64, &len),
                     nws_conn_send(conn, 2, "x", 1, out, 64, NULL),
                     nws_conn_send_begin(NULL, 2, 1, out, 64, &len),
                     nws_conn_send_begin(conn, 2, 1, NULL, 64, &len),
                     nws_conn_send_begin(conn, 2, 1, out, 64, NULL),
                     nws_conn_send_payload(NULL, out, out, 0),
                     nws_conn_send_payload(conn, out, NULL, 1),
                     nws_conn_close(NULL, 1000, none, out, 64, &len),
                     nws_conn_close(conn, 1000, none, NULL, 64, &len),
                     nws_conn_close(conn, 1000, none, out, 64, NULL),
                     nws_conn_flush(NULL, out, 64, &len),
                     nws_conn_flush(conn, NULL, 64, &len),
                     nws_conn_flush(conn, out, 64, NULL),
                     nws_conn_ping(NULL, 1),
                     nws_conn_tick(NULL, 1, &next),
                     nws_conn_tick(conn, 1, NULL),
                     nws_conn_tick(conn, 0, &next)};
  for (size_t i = 0; i < sizeof(got) / sizeof(got[0]); i++) {
    assert_int_equal(got[i], NWS_ERROR_ARGUMENT);
  }
  assert_memory_equal(&before, conn, sizeof(before));
}

/* Where there are no bytes there need be no pointer. */
static void no_bytes_no_pointer(void **unused) {
  const nws_str none = {NULL, 0};
  nws_input in = {NULL, 0, 0};
  nws_event event;
  size_t len;
  end e = {0};
  (void)unused;
  open_client(&e);
  assert_int_equal(nws_conn_recv(&e.conn, &in, &event), 0);
  assert_int_equal(nws_conn_send_payload(&e.conn, NULL, NULL, 0), NWS_OK);
  assert_int_equal(nws_conn_flush(&e.conn, NULL, 0, &len), NWS_OK);
  assert_int_equal(nws_conn_send_begin(&e.conn, 2, 1, NULL, 0, &len),
                   NWS_ERROR_BUFFER);
  assert_int_equal(len, 6);
  assert_int_equal(nws_conn_close(&e.conn, 1000, none, NULL, 0, &len),
                   NWS_ERROR_BUFFER);
  assert_int_equal(len, 8);
}

static void questions_without_connection(void **unused) {
  (void)unused;
  assert_null(nws_conn_reclaim(NULL));
  assert_int_equal(nws_conn_owed(NULL), 0);
  assert_int_equal(nws_conn_send_room(NULL, 1), 0);
  assert_int_equal(nws_conn_state(NULL), NWS_STATE_CONNECTING);
  assert_int_equal(nws_conn_finished(NULL), 0);
  assert_int_equal(nws_conn_clean(NULL), 0);
  assert_int_equal(nws_conn_rtt(NULL), 0);
  assert_int_equal(nws_conn_fault(NULL).error, NWS_OK);
  assert_int_equal(nws_conn_close_code(NULL), 1006);
  assert_int_equal(nws_conn_close_sent(NULL), 1006);
  assert_non_null(nws_conn_opcode_name(NULL, 1));
}

/* --- Opening --- */

static void expect_init(int rc, nws_role role, const nws_conn_config *config,
                        nws_extension_use *uses, size_t count) {
  static const nws_conn zero;
  nws_conn conn;
  memset(&conn, 0x5a, sizeof(conn));
  assert_int_equal(nws_conn_init(&conn, role, config, uses, count), rc);
  if (rc != NWS_OK) {
    assert_memory_equal(&conn, &zero, sizeof(conn));
  }
}

static void opening(void **unused) {
  const nws_random random = {end_draw, NULL}, hollow = {NULL, NULL};
  const nws_conn_config good = {.size = sizeof(good), .random = &random};
  nws_conn_config config = good;
  const nws_role client = NWS_ROLE_CLIENT, server = NWS_ROLE_SERVER;
  (void)unused;
  expect_init(NWS_OK, server, NULL, NULL, 0);
  expect_init(NWS_ERROR_CONFIG, client, NULL, NULL, 0);
  expect_init(NWS_OK, client, &good, NULL, 0);
  expect_init(NWS_ERROR_ARGUMENT, (nws_role)0, &good, NULL, 0);
  expect_init(NWS_ERROR_ARGUMENT, (nws_role)3, &good, NULL, 0);
  expect_init(NWS_ERROR_ARGUMENT, server, &good, NULL, 1);
  expect_init(NWS_ERROR_ARGUMENT, server, &good, NULL, NWS_EXTENSIONS_MAX + 1);
  config.size = 0;
  expect_init(NWS_ERROR_CONFIG, server, &config, NULL, 0);
  config = good;
  config.random = &hollow;
  expect_init(NWS_ERROR_CONFIG, client, &config, NULL, 0);
  for (unsigned bit = 0; bit < 16; bit++) {
    const int rc = RESERVED >> bit & 1 ? NWS_OK : NWS_ERROR_CONFIG;
    config = good;
    config.opcodes_in = (uint16_t)(1u << bit);
    expect_init(rc, client, &config, NULL, 0);
    config = good;
    config.opcodes_out = (uint16_t)(1u << bit);
    expect_init(rc, server, &config, NULL, 0);
  }
  for (unsigned bit = 0; bit < 8; bit++) {
    const int rc = bit >= 4 && bit <= 6 ? NWS_OK : NWS_ERROR_CONFIG;
    config = good;
    config.rsv_in = (uint8_t)(1u << bit);
    expect_init(rc, client, &config, NULL, 0);
    config = good;
    config.rsv_out = (uint8_t)(1u << bit);
    expect_init(rc, server, &config, NULL, 0);
  }
  assert_int_equal(nws_conn_size(), sizeof(nws_conn));
  assert_true(nws_conn_size() <= 128);
  assert_int_equal(nws_spill_size(), sizeof(nws_spill));
}

static void opcode_names(void **unused) {
  static const char *const standard[] = {
      "continuation", "text", "binary", "0x3", "0x4", "0x5", "0x6", "0x7",
      "close",        "ping", "pong",   "0xb", "0xc", "0xd", "0xe", "0xf"};
  const char *names[16] = {[3] = "telemetry", [9] = "are you there"};
  end plain = {0}, named = {.config = {.opcode_names = names}};
  (void)unused;
  open_server(&plain);
  open_server(&named);
  for (unsigned opcode = 0; opcode < 16; opcode++) {
    assert_string_equal(nws_conn_opcode_name(&plain.conn, opcode),
                        standard[opcode]);
    assert_string_equal(nws_conn_opcode_name(&named.conn, opcode),
                        names[opcode] ? names[opcode] : standard[opcode]);
  }
  assert_non_null(nws_conn_opcode_name(&named.conn, 16));
  assert_non_null(nws_conn_opcode_name(&named.conn, UINT32_MAX));
}

static void rsv_names(void **unused) {
  static const unsigned bits[] = {NWS_RSV1, NWS_RSV2, NWS_RSV3};
  static const char *const standard[] = {"rsv1", "rsv2", "rsv3"};
  const char *names[3] = {[1] = "urgent"};
  end plain = {0}, named = {.config = {.rsv_names = names}};
  (void)unused;
  open_server(&plain);
  open_server(&named);
  for (size_t i = 0; i < 3; i++) {
    assert_string_equal(nws_conn_rsv_name(NULL, bits[i]), standard[i]);
    assert_string_equal(nws_conn_rsv_name(&plain.conn, bits[i]), standard[i]);
    assert_string_equal(nws_conn_rsv_name(&named.conn, bits[i]),
                        names[i] ? names[i] : standard[i]);
  }
  for (unsigned rsv = 0; rsv < 512; rsv++) {
    if (rsv != bits[0] && rsv != bits[1] && rsv != bits[2]) {
      assert_string_equal(nws_conn_rsv_name(&named.conn, rsv), "");
    }
  }
  memset(&plain.conn, 0, sizeof(plain.conn));
  assert_string_equal(nws_conn_rsv_name(&plain.conn, NWS_RSV1), "rsv1");
}

/* --- Closing --- */

static void close_codes(void **unused) {
  (void)unused;
  for (unsigned code = 0; code <= 66000; code++) {
    uint8_t out[140], payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t len;
    end e = {0};
    end_open(&e, NWS_ROLE_CLIENT);
    const nws_conn before = e.conn;
    const int good = code == 0 || (code >= 1000 && code <= 1003) ||
                     (code >= 1007 && code <= 1014) ||
                     (code >= 3000 && code <= 4999);
    assert_int_equal(
        nws_conn_close(&e.conn, code, nws_str_of(NULL), out, sizeof(out), &len),
        good ? NWS_OK : NWS_ERROR_CLOSE_CODE_SEND);
    if (!good) {
      assert_memory_equal(&before, &e.conn, sizeof(before));
      continue;
    }
    uint8_t *at = out;
    expect_frame(&e, &at, &len, FIN | 8, payload, code == 0 ? 0 : 2);
    assert_int_equal(nws_conn_close_sent(&e.conn), code == 0 ? 1005 : code);
    assert_int_equal(nws_conn_state(&e.conn), NWS_STATE_CLOSING);
  }
}

static void close_refuses(void **unused) {
  char reason[125];
  (void)unused;
  memset(reason, 'r', sizeof(reason));
  for (size_t r = 0; r < 2; r++) {
    uint8_t out[140];
    size_t len;
    end e = {0};
    end_open(&e, both_roles[r]);
    const nws_conn before = e.conn;
    const size_t need = end_masks(&e) ? 131 : 127;
    const struct {
      unsigned code;
      nws_str reason;
      size_t cap;
      int error;
    } rows[] = {{1000, {reason, 124}, 140, NWS_ERROR_CONTROL_LONG},
                {1000, {reason, SIZE_MAX}, 140, NWS_ERROR_CONTROL_LONG},
                {1000, {"\xff", 1}, 140, NWS_ERROR_TEXT_SEND},
                {1000, {"\xc3", 1}, 140, NWS_ERROR_TEXT_SEND},
                {1000, {NULL, 1}, 140, NWS_ERROR_ARGUMENT},
                {0, {reason, 1}, 140, NWS_ERROR_ARGUMENT},
                {1000, {reason, 123}, need - 1, NWS_ERROR_BUFFER},
                {1000, {reason, 123}, 0, NWS_ERROR_BUFFER}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
      assert_int_equal(nws_conn_close(&e.conn, rows[i].code, rows[i].reason,
                                      out, rows[i].cap, &len),
                       rows[i].error);
      assert_memory_equal(&before, &e.conn, sizeof(before));
      assert_true(rows[i].error != NWS_ERROR_BUFFER || len == need);
    }
    assert_int_equal(nws_conn_close(&e.conn, 1000, nws_str_make(reason, 123),
                                    out, need, &len),
                     NWS_OK);
    assert_int_equal(len, need);
  }
}

static int try_send(end *e, unsigned what) {
  uint8_t out[32];
  size_t len;
  return nws_conn_send(&e->conn, what, "x", 1, out, sizeof(out), &len);
}

/* RFC 6455 5.5.1: behind a close frame only pongs go out, and those only until
 * the peer's own close has come. */
static void only_pongs_after_close(void **unused) {
  (void)unused;
  for (size_t r = 0; r < 2; r++) {
    uint8_t out[140];
    size_t len;
    end e = {.config = {.opcodes_out = RESERVED}};
    end_open(&e, both_roles[r]);
    assert_int_equal(try_send(&e, 1 | NWS_SEND_MORE), NWS_OK);
    assert_int_equal(nws_conn_close(&e.conn, 1001, nws_str_of("bye"), out,
                                    sizeof(out), &len),
                     NWS_OK);
    for (unsigned opcode = 0; opcode < 16; opcode++) {
      if (opcode != NWS_OPCODE_CLOSE) {
        assert_int_equal(try_send(&e, opcode),
                         opcode == 10 ? NWS_OK : NWS_ERROR_STATE);
      }
    }
    assert_int_equal(nws_conn_send_begin(&e.conn, 2, 0, out, 14, &len),
                     NWS_ERROR_STATE);
    assert_int_equal(
        nws_conn_close(&e.conn, 1000, nws_str_of(NULL), out, 140, &len),
        NWS_ERROR_STATE);
    end_hear(&e, FIN | 9, "still there?", 12);
    expect_owed(&e, NWS_OPCODE_PONG, "still there?", 12);
    end_hear(&e, FIN | 8, "\x03\xe9", 2);
    assert_int_equal(try_send(&e, 10), NWS_ERROR_STATE);
    assert_int_equal(nws_conn_owed(&e.conn), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_call_in_every_state),
      cmocka_unit_test(null_pointers),
      cmocka_unit_test(no_bytes_no_pointer),
      cmocka_unit_test(questions_without_connection),
      cmocka_unit_test(opening),
      cmocka_unit_test(opcode_names),
      cmocka_unit_test(rsv_names),
      cmocka_unit_test(close_codes),
      cmocka_unit_test(close_refuses),
      cmocka_unit_test(only_pongs_after_close),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
