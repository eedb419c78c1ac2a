/* conn_time.c - keep-alive and deadlines, with the caller's clock.
 *
 * While a connection is open, silence for an interval makes a ping due, and
 * silence for a timeout after that ends it: whatever arrives counts as a sign
 * of life. From the first close frame on there is one deadline, for the end.
 */
#include "conn_internal.h"

#include <string.h>

enum {
  PING_INTERVAL_MS_DEFAULT = 20000,
  PONG_TIMEOUT_MS_DEFAULT = 20000,
  CLOSE_TIMEOUT_MS_DEFAULT = 5000
};

/* `ms` after `start`; UINT32_MAX is never. */
static uint64_t after(uint64_t start, uint32_t ms, uint32_t default_ms) {
  uint64_t ns;
  if (ms == UINT32_MAX) {
    return NWS_NEVER;
  }
  ns = (uint64_t)(ms != 0 ? ms : default_ms) * 1000000u;
  return start < NWS_NEVER - ns ? start + ns : NWS_NEVER;
}

static void owe_ping(nws_conn *conn, uint64_t now) {
  conn->ping_id++;
  conn->timer_start = now;
  nws__set(conn, NWS__PING_OWED | NWS__PING_OUT);
}

int nws_conn_ping(nws_conn *conn, uint64_t now) {
  if (conn == NULL || now == 0) {
    return NWS_ERROR_ARGUMENT;
  }
  if (conn->state != NWS_STATE_OPEN) {
    return NWS_ERROR_STATE;
  }
  if (conn->heard == 0) {
    conn->heard = now; /* lest the first tick be taken for traffic */
  }
  if (!nws__has(conn, NWS__PING_OUT)) {
    owe_ping(conn, now);
  }
  return NWS_OK;
}

void nws__conn_pong(nws_conn *conn, const uint8_t *payload, size_t len,
                    uint64_t now) {
  /* RFC 6455 5.5.3: a pong carries what the ping carried. */
  if (!nws__has(conn, NWS__PING_OUT) || len != sizeof(conn->ping_id) ||
      memcmp(payload, &conn->ping_id, len) != 0) {
    return;
  }
  nws__clear(conn, NWS__PING_OUT);
  if (now >= conn->timer_start) {
    const uint64_t rtt = (now - conn->timer_start) >> 10;
    /* 0 means "not measured". */
    conn->rtt = rtt == 0 ? 1 : rtt < UINT32_MAX ? (uint32_t)rtt : UINT32_MAX;
  }
}

static int tick_open(nws_conn *conn, uint64_t now, uint64_t *next) {
  const nws_conn_config *config = conn->config;
  uint64_t due;
  if (conn->heard == 0) {
    conn->heard = now;
  }
  if (nws__has(conn, NWS__PING_OWED) && conn->send_left > 0) {
    conn->timer_start = now; /* an open frame holds it back */
  }
  if (nws__has(conn, NWS__PING_OUT) && conn->heard <= conn->timer_start) {
    *next = after(conn->timer_start, config->pong_timeout_ms,
                  PONG_TIMEOUT_MS_DEFAULT);
    return now < *next
               ? NWS_OK
               : nws__conn_fail(conn, NWS_ERROR_PONG_TIMEOUT, conn->received);
  }
  due = after(conn->heard, config->ping_interval_ms, PING_INTERVAL_MS_DEFAULT);
  if (now >= due) {
    owe_ping(conn, now);
    due = after(now, config->pong_timeout_ms, PONG_TIMEOUT_MS_DEFAULT);
  }
  *next = due;
  return NWS_OK;
}

/* The closing handshake, and the wait for the end of the transport. */
static int tick_closing(nws_conn *conn, uint64_t now, uint64_t *next) {
  const unsigned both = NWS__CLOSE_SENT | NWS__CLOSE_GOT;
  if (conn->timer_start == 0) {
    conn->timer_start = now;
  }
  *next = after(conn->timer_start, conn->config->close_timeout_ms,
                CLOSE_TIMEOUT_MS_DEFAULT);
  if (now < *next) {
    return NWS_OK;
  }
  *next = NWS_NEVER;
  if (nws__has(conn, NWS__CLOSE_OWED)) {
    conn->code_out = 0; /* never sent, and owed no more */
  }
  nws__clear(conn, NWS__CLOSE_OWED | NWS__PONG_OWED);
  nws__set(conn, NWS__ENDED);
  if (conn->error == NWS_OK && (conn->flags & both) != both) {
    return nws__conn_fail(conn, NWS_ERROR_CLOSE_TIMEOUT, conn->received);
  }
  nws__conn_settle(conn);
  return NWS_OK;
}

int nws_conn_tick(nws_conn *conn, uint64_t now, uint64_t *next) {
  int status;
  if (conn == NULL || next == NULL || now == 0) {
    return NWS_ERROR_ARGUMENT;
  }
  *next = NWS_NEVER;
  if (conn->state == NWS_STATE_CONNECTING) {
    return NWS_ERROR_STATE;
  }
  if (conn->state == NWS_STATE_OPEN) {
    status = tick_open(conn, now, next);
    if (conn->state == NWS_STATE_OPEN) {
      return status;
    }
  }
  if (!nws_conn_finished(conn)) {
    status = tick_closing(conn, now, next);
    if (status != NWS_OK) {
      return status;
    }
  }
  return conn->error == NWS_ERROR_PONG_TIMEOUT ||
                 conn->error == NWS_ERROR_CLOSE_TIMEOUT
             ? conn->error
             : NWS_OK;
}
