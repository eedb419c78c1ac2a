/* deflate_pool.c - memory, counted, and the states that connections share.
 *
 * Each state has an account of its own, so that what a connection holds can be
 * told; the pool has the sum. Without context takeover (RFC 7692 7.1.1) a state
 * is needed only while a message passes; in between it waits here for whoever
 * comes next.
 */
#include "deflate_internal.h"

#include <stdlib.h>
#include <string.h>

/* --- Memory --- */

static void *resize_malloc(void *user, void *ptr, size_t old_len,
                           size_t new_len) {
  (void)user;
  (void)old_len;
  if (new_len == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, new_len);
}

void *nws__pool_resize(nws_deflate_pool *pool, void *ptr, size_t old_len,
                       size_t new_len) {
  void *block =
      pool->allocator.resize(pool->allocator.user, ptr, old_len, new_len);
  if (block != NULL || new_len == 0) {
    pool->bytes = pool->bytes - old_len + new_len;
  }
  return block;
}

static void *resize_counted(void *user, void *ptr, size_t old_len,
                            size_t new_len) {
  nws__account *account = user;
  void *block = nws__pool_resize(account->pool, ptr, old_len, new_len);
  if (block != NULL || new_len == 0) {
    account->bytes = account->bytes - old_len + new_len;
  }
  return block;
}

nws_deflate_pool *nws__pool_make(const nws_deflate_config *config) {
  nws_allocator allocator = {resize_malloc, NULL};
  nws_deflate_pool *pool;
  if (config->allocator != NULL) {
    allocator = *config->allocator;
  }
  pool = allocator.resize(allocator.user, NULL, 0, sizeof(*pool));
  if (pool == NULL) {
    return NULL;
  }
  memset(pool, 0, sizeof(*pool));
  pool->config = *config;
  pool->allocator = allocator;
  pool->deflaters.free = nws__deflater_free;
  pool->inflaters.free = nws__inflater_free;
  pool->bytes = sizeof(*pool);
  pool->users = 1;
  return pool;
}

void nws__pool_leave(nws_deflate_pool *pool) {
  const nws_allocator allocator = pool->allocator;
  if (--pool->users == 0) {
    nws__shelf_clear(&pool->deflaters);
    nws__shelf_clear(&pool->inflaters);
    allocator.resize(allocator.user, pool, sizeof(*pool), 0);
  }
}

void *nws__account_make(nws_deflate_pool *pool, size_t len) {
  nws__account *account = nws__pool_resize(pool, NULL, 0, len);
  if (account == NULL) {
    return NULL;
  }
  memset(account, 0, len);
  account->allocator.resize = resize_counted;
  account->allocator.user = account;
  account->pool = pool;
  account->bytes = len;
  return account;
}

void nws__account_free(nws__account *account, size_t len) {
  nws__pool_resize(account->pool, account, len, 0);
}

/* --- Shelves --- */

nws__shared *nws__shelf_take(nws__shelf *shelf, unsigned window_bits) {
  for (nws__shared **at = &shelf->first; *at != NULL; at = &(*at)->next) {
    nws__shared *state = *at;
    if (state->window_bits == window_bits) {
      *at = state->next;
      state->next = NULL;
      shelf->count--;
      return state;
    }
  }
  return NULL;
}

static nws__shared *take_last(nws__shelf *shelf) {
  nws__shared **at = &shelf->first;
  nws__shared *state;
  while ((*at)->next != NULL) {
    at = &(*at)->next;
  }
  state = *at;
  *at = NULL;
  shelf->count--;
  return state;
}

void nws__shelf_give(nws_deflate_pool *pool, nws__shelf *shelf,
                     nws__shared *state) {
  state->next = shelf->first;
  shelf->first = state;
  shelf->count++;
  if (pool->closed || shelf->count > pool->config.max_idle) {
    shelf->free(take_last(shelf));
  }
}

void nws__shelf_clear(nws__shelf *shelf) {
  while (shelf->first != NULL) {
    shelf->free(take_last(shelf));
  }
}

/* --- Compressing states --- */

const nws_deflate_backend *nws__deflater_backend(const nws_deflate_pool *pool,
                                                 unsigned window_bits) {
  const nws_deflate_backend *backend = pool->config.backend;
  return window_bits >= backend->min_window_bits ? backend : nws_deflate_zlib();
}

static nws__deflater *make_deflater(nws_deflate_pool *pool,
                                    unsigned window_bits) {
  const nws_deflate_setting setting = {window_bits, pool->config.level,
                                       pool->config.mem_level};
  nws__deflater *deflater = nws__account_make(pool, sizeof(*deflater));
  if (deflater == NULL) {
    return NULL;
  }
  deflater->shared.window_bits = window_bits;
  deflater->backend = nws__deflater_backend(pool, window_bits);
  deflater->state =
      deflater->backend->make(&deflater->shared.account.allocator, &setting);
  if (deflater->state == NULL) {
    nws__account_free(&deflater->shared.account, sizeof(*deflater));
    return NULL;
  }
  return deflater;
}

nws__deflater *nws__deflater_get(nws_deflate_pool *pool, unsigned window_bits) {
  nws__deflater *deflater =
      (nws__deflater *)nws__shelf_take(&pool->deflaters, window_bits);
  if (deflater == NULL) {
    return make_deflater(pool, window_bits);
  }
  deflater->backend->reset(deflater->state);
  return deflater;
}

void nws__deflater_free(nws__shared *state) {
  nws__deflater *deflater = (nws__deflater *)state;
  deflater->backend->free(deflater->state);
  nws__account_free(&state->account, sizeof(*deflater));
}
