/* setup.c - options as the application gives them, turned into options with
 * all defaults filled in. Structs may come from an older header, and are then
 * shorter than ours: what is missing is zero.
 */
#include "net_internal.h"
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define HIGH_WATER ((size_t)1024 * 1024)
#define MAX_QUEUE ((size_t)16 * 1024 * 1024)
#define HANDSHAKE_MS 10000u
/* The engine's own defaults (conn.h), for the times that are kept here. */
#define PING_MS 20000u
#define PONG_MS 20000u
#define CLOSE_MS 5000u

/* Copies a struct that begins with its size. */
int nws__setup_options(void *out, size_t cap, const void *options) {
  size_t size;
  memset(out, 0, cap);
  if (options == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  memcpy(&size, options, sizeof(size));
  if (size < sizeof(size) || size > cap) {
    return NWS_ERROR_ARGUMENT;
  }
  memcpy(out, options, size);
  memcpy(out, &cap, sizeof(cap));
  return NWS_OK;
}

static int copy_limits(nws_net_limits *out, const nws_net_limits *in) {
  *out = *in;
  if (out->high_water == 0) {
    int small = out->max_queue > 0 && out->max_queue < HIGH_WATER;
    out->high_water = small ? out->max_queue : HIGH_WATER;
  }
  if (out->low_water == 0) {
    out->low_water = out->high_water / 4;
  }
  if (out->max_queue == 0) {
    out->max_queue = out->high_water > MAX_QUEUE ? out->high_water : MAX_QUEUE;
  }
  if (out->handshake_timeout_ms == 0) {
    out->handshake_timeout_ms = HANDSHAKE_MS;
  }
  if (out->low_water > out->high_water || out->high_water > out->max_queue) {
    return NWS_ERROR_CONFIG;
  }
  return NWS_OK;
}

/* The loop's randomness and scratch stand in where the application gives none.
 * Whether an engine takes the rest is tried here, so that a mistake shows when
 * the server starts and not with its first connection. */
static int copy_conn(nws_conn_config *out, nws_loop *loop,
                     const nws_conn_config *in, size_t extensions) {
  nws_conn_config none = {.size = sizeof(none)};
  int rc = nws__setup_options(out, sizeof(*out), in == NULL ? &none : in);
  if (rc != NWS_OK) {
    return rc;
  }
  if (out->random == NULL) {
    out->random = &loop->random;
  }
  if (out->scratch == NULL && extensions > 0) {
    if (loop->scratch == NULL) {
      loop->scratch = malloc(NWS__SCRATCH_LEN);
    }
    if (loop->scratch == NULL) {
      return NWS_ERROR_MEMORY;
    }
    out->scratch = loop->scratch;
    out->scratch_len = NWS__SCRATCH_LEN;
  }
  nws_conn trial;
  return nws_conn_init(&trial, NWS_ROLE_SERVER, out, NULL, 0);
}

int nws__setup_copy(nws__setup *setup, nws_loop *loop,
                    const nws_handler *handler, const nws_conn_config *conn,
                    const nws_net_limits *limits, size_t extensions) {
  nws_handler *own = &setup->handler;
  int rc = nws__setup_options(own, sizeof(*own), handler);
  if (rc == NWS_OK) {
    rc = copy_limits(&setup->limits, limits);
  }
  if (rc == NWS_OK) {
    rc = copy_conn(&setup->conn, loop, conn, extensions);
  }
  return rc;
}

/* Tries a server's policy on a request of no bytes: what is wrong with it is to
 * show when the server starts, and not as an answer to every client. */
int nws__setup_policy(const nws_server_policy *policy) {
  nws_server_handshake trial;
  memset(&trial, 0, sizeof(trial));
  int rc = nws_server_handshake_read(&trial, policy, "", 0);
  return rc == NWS_MORE ? NWS_OK : rc;
}

/* Gives up the setup of a client. */
void nws__setup_free(nws__setup *setup) {
  if (setup != NULL) {
    free(setup->url);
    free(setup);
  }
}

static uint64_t duration(uint32_t ms, uint32_t fallback) {
  if (ms == UINT32_MAX) {
    return NWS_NEVER;
  }
  return (ms == 0 ? fallback : ms) * NS_PER_MS;
}

/* How long the end may take, once a side has said close. */
uint64_t nws__setup_close_ns(const nws__setup *setup) {
  return duration(setup->conn.close_timeout_ms, CLOSE_MS);
}

/* How long a peer may take nothing of what it is sent: as long as the engine
 * lets it be silent. */
uint64_t nws__setup_stall_ns(const nws__setup *setup) {
  uint64_t ping = duration(setup->conn.ping_interval_ms, PING_MS);
  uint64_t pong = duration(setup->conn.pong_timeout_ms, PONG_MS);
  return ping == NWS_NEVER || pong == NWS_NEVER ? NWS_NEVER : ping + pong;
}

uint64_t nws__setup_handshake_ns(const nws__setup *setup) {
  return duration(setup->limits.handshake_timeout_ms, HANDSHAKE_MS);
}
