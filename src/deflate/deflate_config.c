/* deflate_config.c - what a configuration means: ranges, defaults, and what a
 * memory budget leaves.
 *
 * What states cost is not worked out but tried, with the libraries at hand:
 * zlib, zlib-ng and ISA-L differ, and so do their versions.
 */
#include "deflate_internal.h"

#include <string.h>

enum {
  LEVEL_DEFAULT = 6,
  MEM_LEVEL_DEFAULT = 8,
  MIN_SIZE_DEFAULT = 32,
  RATIO_DEFAULT =
      1032, /* 258 bytes for one bit of length and one of distance */
  MAX_IDLE_DEFAULT = 4
};

static int in_range(unsigned value, unsigned least, unsigned most) {
  return value == 0 || (value >= least && value <= most);
}

static int is_backend(const nws_deflate_backend *backend) {
  return backend->size == sizeof(*backend) && backend->name != NULL &&
         backend->make != NULL && backend->compress != NULL &&
         backend->reset != NULL && backend->free != NULL &&
         backend->bound != NULL;
}

static int check(const nws_deflate_config *config) {
  if (config->size != sizeof(*config) || config->send_no_takeover > 1 ||
      config->receive_no_takeover > 1 || config->insist > 1 ||
      !in_range(config->send_window_bits, 8, 15) ||
      !in_range(config->receive_window_bits, 8, 15) ||
      !in_range(config->level, 1, 9) || !in_range(config->mem_level, 1, 9)) {
    return NWS_ERROR_CONFIG;
  }
  if (config->allocator != NULL && config->allocator->resize == NULL) {
    return NWS_ERROR_CONFIG;
  }
  return config->backend == NULL || is_backend(config->backend)
             ? NWS_OK
             : NWS_ERROR_CONFIG;
}

static void set_u8(uint8_t *field, unsigned value) {
  if (*field == 0) {
    *field = (uint8_t)value;
  }
}

static void fill_in(nws_deflate_config *config) {
  set_u8(&config->send_window_bits, 15);
  set_u8(&config->receive_window_bits, 15);
  set_u8(&config->level, LEVEL_DEFAULT);
  set_u8(&config->mem_level, MEM_LEVEL_DEFAULT);
  config->min_size =
      config->min_size != 0 ? config->min_size : MIN_SIZE_DEFAULT;
  config->max_ratio =
      config->max_ratio != 0 ? config->max_ratio : RATIO_DEFAULT;
  config->max_idle =
      config->max_idle != 0 ? config->max_idle : MAX_IDLE_DEFAULT;
  if (config->backend == NULL) {
    config->backend = nws_deflate_zlib();
  }
}

/* --- What it costs --- */

/* What a state for inflating costs once it has its window, which zlib makes
 * only when something was inflated: a stored block of one byte. */
static int cost_in(nws_deflate_pool *pool, unsigned bits, size_t *bytes) {
  static const uint8_t block[] = {0x00, 0x01, 0x00, 0xfe, 0xff, 'x'};
  nws__inflater *inflater = nws__inflater_get(pool, bits);
  nws_extension_data data = {0};
  uint8_t out[2];
  int status;
  if (inflater == NULL) {
    return NWS_ERROR_MEMORY;
  }
  data.in = block;
  data.in_len = sizeof(block);
  data.out = out;
  data.out_cap = sizeof(out);
  status = nws__inflater_run(inflater, &data);
  *bytes += nws__inflater_shared(inflater)->account.bytes;
  nws__inflater_free(nws__inflater_shared(inflater));
  return status;
}

static int cost_out(nws_deflate_pool *pool, unsigned bits, size_t *bytes) {
  nws__deflater *deflater = nws__deflater_get(pool, bits);
  if (deflater == NULL) {
    return NWS_ERROR_MEMORY;
  }
  *bytes += deflater->shared.account.bytes;
  nws__deflater_free(&deflater->shared);
  return NWS_OK;
}

/* What a connection with a filled-in configuration costs. */
static int cost_of(const nws_deflate_config *config, size_t *bytes) {
  nws_deflate_pool *pool = nws__pool_make(config);
  int status = NWS_OK;
  *bytes = sizeof(nws__conn_deflate);
  if (pool == NULL) {
    return NWS_ERROR_MEMORY;
  }
  if (!config->send_no_takeover) {
    status = cost_out(pool, config->send_window_bits, bytes);
  }
  if (status == NWS_OK && !config->receive_no_takeover) {
    status = cost_in(pool, config->receive_window_bits, bytes);
  }
  nws__pool_leave(pool);
  return status;
}

/* A configuration with windows of `bits` where it leaves them open, and with a
 * mem_level as zlib pairs it with them. A direction without takeover holds
 * nothing whatever its window. */
static void size_for(const nws_deflate_config *config, unsigned bits,
                     nws_deflate_config *sized) {
  const unsigned send_bits = config->send_no_takeover ? 15 : bits;
  *sized = *config;
  set_u8(&sized->send_window_bits, send_bits);
  set_u8(&sized->receive_window_bits, config->receive_no_takeover ? 15 : bits);
  set_u8(&sized->mem_level, send_bits > 8 ? send_bits - 7 : 1);
  fill_in(sized);
}

static int fit(const nws_deflate_config *config, nws_deflate_config *sized) {
  for (unsigned bits = 15; bits >= 8; bits--) {
    size_t bytes;
    int status;
    size_for(config, bits, sized);
    status = cost_of(sized, &bytes);
    if (status != NWS_OK || bytes <= config->memory_budget) {
      return status;
    }
  }
  size_for(config, 15, sized);
  sized->send_no_takeover = 1;
  sized->receive_no_takeover = 1;
  return NWS_OK;
}

int nws__config_resolve(const nws_deflate_config *config,
                        nws_deflate_config *resolved) {
  const nws_deflate_config zero = {.size = sizeof(zero)};
  int status;
  if (config == NULL) {
    config = &zero;
  }
  status = check(config);
  if (status != NWS_OK) {
    return status;
  }
  if (config->memory_budget > 0) {
    return fit(config, resolved);
  }
  *resolved = *config;
  fill_in(resolved);
  return NWS_OK;
}

int nws_deflate_cost(const nws_deflate_config *config, size_t *bytes) {
  nws_deflate_config resolved;
  int status;
  if (bytes == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  *bytes = 0;
  status = nws__config_resolve(config, &resolved);
  return status == NWS_OK ? cost_of(&resolved, bytes) : status;
}
