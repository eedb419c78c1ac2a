/* conn.c - opening a connection, lending it memory, and asking it things.
 */
#include "conn_internal.h"

#include <string.h>

_Static_assert(sizeof(nws_conn) <= 128, "a connection has 128 bytes at most");
_Static_assert(sizeof(nws_spill) <= 272, "a spill area has 272 at most");

static const nws_conn_config default_config = {.size = sizeof(nws_conn_config)};

size_t nws_conn_size(void) {
  return sizeof(nws_conn);
}

size_t nws_spill_size(void) {
  return sizeof(nws_spill);
}

static int check_config(const nws_conn_config *config, nws_role role) {
  const unsigned opcodes = (unsigned)config->opcodes_in | config->opcodes_out;
  const unsigned rsv = (unsigned)config->rsv_in | config->rsv_out;
  if (config->size != sizeof(*config) ||
      (opcodes & ~NWS__RESERVED_OPCODES) != 0 || (rsv & ~NWS__RSV) != 0) {
    return NWS_ERROR_CONFIG;
  }
  /* RFC 6455 5.3: a client masks with keys from a strong source. */
  if (role == NWS_ROLE_CLIENT &&
      (config->random == NULL || config->random->fill == NULL)) {
    return NWS_ERROR_CONFIG;
  }
  return NWS_OK;
}

int nws_conn_init(nws_conn *conn, nws_role role, const nws_conn_config *config,
                  nws_extension_use *uses, size_t count) {
  int status;
  if (conn == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  memset(conn, 0, sizeof(*conn));
  if ((role != NWS_ROLE_CLIENT && role != NWS_ROLE_SERVER) ||
      count > NWS_EXTENSIONS_MAX || (uses == NULL && count > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  conn->config = config != NULL ? config : &default_config;
  conn->uses = uses;
  conn->use_count = (uint8_t)count;
  conn->role = (uint8_t)role;
  status = check_config(conn->config, role);
  if (status == NWS_OK) {
    status = nws__conn_ext_check(conn);
  }
  if (status != NWS_OK) {
    memset(conn, 0, sizeof(*conn));
    return status;
  }
  conn->whole_max = nws__conn_whole_max(conn->config);
  conn->state = NWS_STATE_OPEN;
  nws__conn_await(conn);
  return NWS_OK;
}

int nws_conn_lend(nws_conn *conn, nws_spill *spill) {
  if (conn == NULL || spill == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (conn->state == NWS_STATE_CONNECTING) {
    return NWS_ERROR_STATE;
  }
  if (conn->spill != NULL) {
    return 0;
  }
  spill->cut_len = 0;
  spill->pong_len = 0;
  conn->spill = spill;
  return 1;
}

nws_spill *nws_conn_reclaim(nws_conn *conn) {
  nws_spill *spill;
  if (conn == NULL || conn->spill == NULL) {
    return NULL;
  }
  spill = conn->spill;
  if (!nws_conn_finished(conn) &&
      (spill->cut_len > 0 || nws__has(conn, NWS__PONG_OWED))) {
    return NULL;
  }
  nws__clear(conn, NWS__PONG_OWED);
  conn->spill = NULL;
  return spill;
}

nws_state nws_conn_state(const nws_conn *conn) {
  return conn != NULL ? (nws_state)conn->state : NWS_STATE_CONNECTING;
}

/* RFC 6455 7.1.1: the server closes the transport first; the client waits for
 * that, unless the connection has failed. */
int nws_conn_finished(const nws_conn *conn) {
  const unsigned both = NWS__CLOSE_SENT | NWS__CLOSE_GOT;
  if (conn == NULL || conn->state == NWS_STATE_CONNECTING ||
      nws__has(conn, NWS__CLOSE_OWED)) {
    return 0;
  }
  return conn->error != NWS_OK || nws__has(conn, NWS__ENDED) ||
         (conn->role == NWS_ROLE_SERVER && (conn->flags & both) == both);
}

nws_fault nws_conn_fault(const nws_conn *conn) {
  nws_fault fault = {NWS_OK, 0};
  if (conn != NULL && conn->error != NWS_OK) {
    fault.error = conn->error;
    fault.offset = conn->received;
  }
  return fault;
}

/* RFC 6455 7.1.5 */
unsigned nws_conn_close_code(const nws_conn *conn) {
  return conn != NULL && conn->code_in != 0 ? conn->code_in
                                            : NWS_CLOSE_ABNORMAL;
}

unsigned nws_conn_close_sent(const nws_conn *conn) {
  return conn != NULL && conn->code_out != 0 ? conn->code_out
                                             : NWS_CLOSE_ABNORMAL;
}

int nws_conn_clean(const nws_conn *conn) {
  const unsigned both = NWS__CLOSE_SENT | NWS__CLOSE_GOT;
  return conn != NULL && conn->error == NWS_OK && (conn->flags & both) == both;
}

uint64_t nws_conn_rtt(const nws_conn *conn) {
  return conn != NULL ? (uint64_t)conn->rtt << 10 : 0;
}

const char *nws_conn_opcode_name(const nws_conn *conn, unsigned opcode) {
  static const char *const names[] = {
      "continuation", "text", "binary", "0x3", "0x4", "0x5", "0x6", "0x7",
      "close",        "ping", "pong",   "0xb", "0xc", "0xd", "0xe", "0xf"};
  if (opcode > NWS__OPCODE) {
    return "invalid";
  }
  if (conn != NULL && conn->config != NULL &&
      conn->config->opcode_names != NULL &&
      conn->config->opcode_names[opcode] != NULL) {
    return conn->config->opcode_names[opcode];
  }
  return names[opcode];
}

const char *nws_conn_rsv_name(const nws_conn *conn, unsigned rsv) {
  static const char *const names[] = {"rsv1", "rsv2", "rsv3"};
  const unsigned index = rsv == NWS_RSV1 ? 0 : rsv == NWS_RSV2 ? 1 : 2;
  if (rsv != NWS_RSV1 && rsv != NWS_RSV2 && rsv != NWS_RSV3) {
    return "";
  }
  if (conn != NULL && conn->config != NULL && conn->config->rsv_names != NULL &&
      conn->config->rsv_names[index] != NULL) {
    return conn->config->rsv_names[index];
  }
  return names[index];
}

/* What is kept must have a place. */
static int storage_valid(const nws_conn *conn) {
  if (conn->carry_len > NWS_FRAME_HEADER_MAX ||
      (conn->carry_len > 0 && conn->phase == NWS__PHASE_DATA)) {
    return 0;
  }
  return conn->spill != NULL || !nws__has(conn, NWS__PONG_OWED);
}

/* Open is what nothing has ended. */
static int state_valid(const nws_conn *conn) {
  const int open = conn->error == NWS_OK && conn->code_in == 0 &&
                   conn->code_out == 0 && !nws__has(conn, NWS__ENDED);
  const unsigned both = NWS__CLOSE_SENT | NWS__CLOSE_OWED;
  return (conn->state == NWS_STATE_OPEN) == open &&
         (conn->flags & both) != both &&
         (conn->error != NWS_OK) == (conn->phase == NWS__PHASE_FAULT);
}

/* The short way asks for nothing else. */
static int phase_valid(const nws_conn *conn) {
  return conn->phase != NWS__PHASE_MESSAGE ||
         (conn->state == NWS_STATE_OPEN && conn->carry_len == 0 &&
          conn->message_opcode == 0 && conn->use_count == 0);
}

int nws__conn_valid(const nws_conn *conn) {
  if (conn->state == NWS_STATE_CONNECTING) {
    return conn->phase == NWS__PHASE_NONE;
  }
  return conn->phase != NWS__PHASE_NONE && conn->phase < NWS__PHASES &&
         conn->state <= NWS_STATE_CLOSED && conn->config != NULL &&
         storage_valid(conn) && state_valid(conn) && phase_valid(conn);
}
