/* deflate.c - the extension's table, its life, and questions about what
 * connections hold.
 */
#include "deflate_internal.h"

#include <string.h>

nws_deflate_pool *nws__deflate_pool_of(const nws_extension *ext) {
  return ((const nws_deflate *)ext)->pool;
}

/* --- Connections --- */

nws__conn_deflate *nws__conn_deflate_make(nws_deflate_pool *pool,
                                          const nws_deflate_params *params) {
  nws__conn_deflate *conn = nws__account_make(pool, sizeof(*conn));
  if (conn == NULL) {
    return NULL;
  }
  conn->pool = pool;
  conn->params = *params;
  pool->users++;
  return conn;
}

static void release(const nws_extension *ext, void *state) {
  nws__conn_deflate *conn = state;
  nws_deflate_pool *pool;
  (void)ext;
  if (conn == NULL) {
    return;
  }
  pool = conn->pool;
  if (conn->out != NULL) {
    nws__shelf_give(pool, &pool->deflaters, &conn->out->shared);
  }
  if (conn->in != NULL) {
    nws__shelf_give(pool, &pool->inflaters, nws__inflater_shared(conn->in));
  }
  nws__account_free(&conn->account, sizeof(*conn));
  nws__pool_leave(pool);
}

/* --- Life --- */

int nws_deflate_init(nws_deflate *deflate, const nws_deflate_config *config) {
  static const nws_extension base = {
      .size = sizeof(base),
      .name = "permessage-deflate",
      .rsv = NWS_RSV1,
      .offer = nws__deflate_offer,
      .accept = nws__deflate_accept,
      .confirm = nws__deflate_confirm,
      .release = release,
      .frame_in = nws__deflate_frame_in,
      .decode = nws__deflate_decode,
      .frame_out = nws__deflate_frame_out,
      .encode_bound = nws__deflate_bound,
      .encode = nws__deflate_encode,
      .prepared = nws__deflate_prepared,
  };
  nws_deflate_config resolved;
  int status;
  if (deflate == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  memset(deflate, 0, sizeof(*deflate));
  status = nws__config_resolve(config, &resolved);
  if (status != NWS_OK) {
    return status;
  }
  deflate->pool = nws__pool_make(&resolved);
  if (deflate->pool == NULL) {
    return NWS_ERROR_MEMORY;
  }
  deflate->base = base;
  return NWS_OK;
}

void nws_deflate_free(nws_deflate *deflate) {
  nws_deflate_pool *pool = deflate != NULL ? deflate->pool : NULL;
  if (pool == NULL) {
    return;
  }
  deflate->pool = NULL;
  pool->closed = 1;
  nws__shelf_clear(&pool->deflaters);
  nws__shelf_clear(&pool->inflaters);
  nws__pool_leave(pool);
}

int nws_deflate_use(const nws_deflate *deflate,
                    const nws_deflate_params *params, nws_extension_use *use) {
  nws_deflate_params agreed = {0};
  if (deflate == NULL || deflate->pool == NULL || use == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  memset(use, 0, sizeof(*use));
  if (params != NULL) {
    agreed = *params;
  }
  agreed.send_window_bits =
      agreed.send_window_bits != 0 ? agreed.send_window_bits : 15;
  agreed.receive_window_bits =
      agreed.receive_window_bits != 0 ? agreed.receive_window_bits : 15;
  if (agreed.send_window_bits < 8 || agreed.send_window_bits > 15 ||
      agreed.receive_window_bits < 8 || agreed.receive_window_bits > 15 ||
      agreed.send_no_takeover > 1 || agreed.receive_no_takeover > 1) {
    return NWS_ERROR_ARGUMENT;
  }
  use->state = nws__conn_deflate_make(deflate->pool, &agreed);
  if (use->state == NULL) {
    return NWS_ERROR_MEMORY;
  }
  use->ext = &deflate->base;
  return NWS_OK;
}

/* --- Questions --- */

/* The state of this extension's among those in use, or NULL. */
static nws__conn_deflate *find(const nws_extension_use *uses, size_t count) {
  for (size_t i = 0; uses != NULL && i < count; i++) {
    if (uses[i].ext != NULL && uses[i].ext->release == release) {
      return uses[i].state;
    }
  }
  return NULL;
}

int nws_deflate_agreed(const nws_extension_use *uses, size_t count,
                       nws_deflate_params *params) {
  const nws__conn_deflate *conn = find(uses, count);
  if (conn == NULL) {
    return 0;
  }
  if (params != NULL) {
    *params = conn->params;
  }
  return 1;
}

size_t nws_deflate_drop_idle(nws_extension_use *uses, size_t count) {
  nws__conn_deflate *conn = find(uses, count);
  size_t bytes;
  if (conn == NULL || conn->out == NULL || conn->out_open) {
    return 0;
  }
  bytes = conn->out->shared.account.bytes;
  nws__shelf_give(conn->pool, &conn->pool->deflaters, &conn->out->shared);
  conn->out = NULL;
  return bytes;
}

size_t nws_deflate_held(const nws_extension_use *uses, size_t count) {
  const nws__conn_deflate *conn = find(uses, count);
  size_t bytes = 0;
  if (conn == NULL) {
    return 0;
  }
  bytes = conn->account.bytes;
  if (conn->out != NULL) {
    bytes += conn->out->shared.account.bytes;
  }
  if (conn->in != NULL) {
    bytes += nws__inflater_shared(conn->in)->account.bytes;
  }
  return bytes;
}

size_t nws_deflate_memory(const nws_deflate *deflate) {
  return deflate != NULL && deflate->pool != NULL ? deflate->pool->bytes : 0;
}
