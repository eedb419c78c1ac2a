/* deflate_offer.c - agreeing on parameters (RFC 7692 7.1).
 *
 * An offer and an answer have the same four parameters; what may be said
 * without a value, and what an answer may hold, differs. Parsing is strict and
 * is the same for both roles: what it refuses a server declines, and a client
 * fails on.
 */
#include "deflate_internal.h"

#include <string.h>

/* An element taken apart. */
typedef struct element {
  int server_no_takeover;
  int client_no_takeover;
  int server_has_bits;
  int client_has_bits;
  unsigned server_bits; /* 0 without a value */
  unsigned client_bits;
} element;

enum { BITS_MAX = 15 };

/* --- Reading --- */

/* RFC 7692 7.1.2: 8 to 15, in decimal and without leading zeros. RFC 6455 9.1
 * lets any value stand in quotes. A number needs none and nobody sends them, so
 * they are taken as a sign that something is amiss: to decline an offer is
 * always allowed, and costs compression only. */
static int read_bits(const nws_extension_param *param, unsigned *bits) {
  unsigned value = 0;
  if (param->quoted) {
    return 0;
  }
  for (size_t i = 0; i < param->value.len; i++) {
    const char c = param->value.ptr[i];
    if (c < '0' || c > '9' || (c == '0' && value == 0) || value > BITS_MAX) {
      return 0;
    }
    value = value * 10 + (unsigned)(c - '0');
  }
  *bits = value;
  return value >= 8 && value <= BITS_MAX;
}

/* RFC 7692 7.1.1: neither twice nor with a value. */
static int read_flag(const nws_extension_param *param, int *flag) {
  if (*flag || param->value.ptr != NULL) {
    return 0;
  }
  *flag = 1;
  return 1;
}

static int read_window(const nws_extension_param *param, int needs_value,
                       int *has, unsigned *bits) {
  if (*has) {
    return 0;
  }
  *has = 1;
  if (param->value.ptr == NULL) {
    return !needs_value;
  }
  return read_bits(param, bits);
}

static int read_param(const nws_extension_param *param, int is_answer,
                      element *it) {
  const nws_str name = param->name;
  if (nws_str_equal_nocase(name, nws_str_of("server_no_context_takeover"))) {
    return read_flag(param, &it->server_no_takeover);
  }
  if (nws_str_equal_nocase(name, nws_str_of("client_no_context_takeover"))) {
    return read_flag(param, &it->client_no_takeover);
  }
  if (nws_str_equal_nocase(name, nws_str_of("server_max_window_bits"))) {
    return read_window(param, 1, &it->server_has_bits, &it->server_bits);
  }
  if (nws_str_equal_nocase(name, nws_str_of("client_max_window_bits"))) {
    return read_window(param, is_answer, &it->client_has_bits,
                       &it->client_bits);
  }
  return 0;
}

/* RFC 7692 7.1: an element with anything wrong in it is declined (by a server)
 * or ends the handshake (in a client). */
static int read_element(const nws_extension_offer *offer, int is_answer,
                        element *it) {
  memset(it, 0, sizeof(*it));
  if (offer->overflow) {
    return 0;
  }
  for (size_t i = 0; i < offer->param_count; i++) {
    if (!read_param(&offer->params[i], is_answer, it)) {
      return 0;
    }
  }
  return 1;
}

/* --- Writing --- */

typedef struct writer {
  char *out;
  size_t cap;
  size_t len; /* beyond `cap` when it did not fit */
} writer;

static void put(writer *w, const char *text) {
  const size_t len = strlen(text);
  if (w->len <= w->cap && len <= w->cap - w->len) {
    memcpy(w->out + w->len, text, len);
  }
  w->len += len;
}

static void put_bits(writer *w, const char *text, unsigned bits) {
  const char digits[] = {(char)('0' + bits / 10), (char)('0' + bits % 10), 0};
  put(w, text);
  if (bits > 0) {
    put(w, "=");
    put(w, bits < 10 ? digits + 1 : digits);
  }
}

static void put_element(writer *w, const element *it) {
  put(w, "permessage-deflate");
  if (it->server_no_takeover) {
    put(w, "; server_no_context_takeover");
  }
  if (it->client_no_takeover) {
    put(w, "; client_no_context_takeover");
  }
  if (it->server_has_bits) {
    put_bits(w, "; server_max_window_bits", it->server_bits);
  }
  if (it->client_has_bits) {
    put_bits(w, "; client_max_window_bits", it->client_bits);
  }
}

/* --- Client --- */

/* What is asked of the server's messages, in the first offer and in the second
 * if there is one. */
static void ask_first(const nws_deflate_config *config, element *it) {
  it->server_no_takeover = config->receive_no_takeover;
  it->server_has_bits = config->receive_window_bits < BITS_MAX;
  it->server_bits = config->receive_window_bits;
}

/* Without a budget, what is asked is no condition. With one, a server that will
 * not limit its window can still go without takeover. */
static int ask_second(const nws_deflate_config *config, element *it) {
  const int has_budget = config->memory_budget > 0;
  if (config->insist || (!it->server_no_takeover && !it->server_has_bits) ||
      (it->server_no_takeover && has_budget)) {
    return 0;
  }
  it->server_no_takeover = has_budget;
  it->server_has_bits = 0;
  return 1;
}

/* A client always says that it can limit its window, and what it does limit of
 * its own: hints that leave the server free (RFC 7692 7.1.1.2, 7.1.2.2). */
int nws__deflate_offer(const nws_extension *ext, char *out, size_t cap) {
  const nws_deflate_pool *pool = nws__deflate_pool_of(ext);
  const nws_deflate_config *config;
  writer w = {out, cap, 0};
  element it = {0};
  if (pool == NULL) {
    return 0; /* was freed already */
  }
  config = &pool->config;
  it.client_no_takeover = config->send_no_takeover;
  it.client_has_bits = 1;
  it.client_bits =
      config->send_window_bits < BITS_MAX ? config->send_window_bits : 0;
  ask_first(config, &it);
  put_element(&w, &it);
  if (ask_second(config, &it)) {
    put(&w, ", ");
    put_element(&w, &it);
  }
  return w.len <= cap ? (int)w.len : NWS_ERROR_BUFFER;
}

static unsigned smaller(unsigned bits, unsigned limit) {
  return bits != 0 && bits < limit ? bits : limit;
}

/* Makes the state that what was agreed upon asks for. */
static int agree(nws_deflate_pool *pool, const nws_deflate_params *params,
                 void **state) {
  *state = nws__conn_deflate_make(pool, params);
  return *state != NULL ? NWS_OK : NWS_ERROR_MEMORY;
}

/* RFC 7692 7.1.1.1, 7.1.2.1: a server that accepts what was asked of it says
 * so. Whether it is enough depends on what was offered. */
static int is_enough(const nws_deflate_config *config,
                     const nws_deflate_params *params) {
  const int is_alone =
      params->receive_no_takeover >= config->receive_no_takeover;
  const int is_small =
      params->receive_window_bits <= config->receive_window_bits;
  if (config->insist) {
    return is_alone && is_small;
  }
  return config->memory_budget == 0 || params->receive_no_takeover ||
         (is_alone && is_small);
}

int nws__deflate_confirm(const nws_extension *ext,
                         const nws_extension_offer *answer, void **state) {
  nws_deflate_pool *pool = nws__deflate_pool_of(ext);
  const nws_deflate_config *config;
  nws_deflate_params params = {0};
  element it;
  if (pool == NULL || !read_element(answer, 1, &it)) {
    return NWS_ERROR_EXTENSION_HEADER;
  }
  config = &pool->config;
  /* RFC 7692 7.1.2.2: not more than was offered. */
  if (it.client_bits > config->send_window_bits) {
    return NWS_ERROR_EXTENSION_HEADER;
  }
  params.receive_no_takeover = (uint8_t)it.server_no_takeover;
  params.receive_window_bits = (uint8_t)smaller(it.server_bits, BITS_MAX);
  params.send_no_takeover =
      (uint8_t)(it.client_no_takeover || config->send_no_takeover);
  params.send_window_bits =
      (uint8_t)smaller(it.client_bits, config->send_window_bits);
  return is_enough(config, &params) ? agree(pool, &params, state)
                                    : NWS_ERROR_EXTENSION_HEADER;
}

/* --- Server --- */

/* What comes of an offer; 0 when it is to be declined. */
static int settle(const nws_deflate_config *config, const element *offer,
                  nws_deflate_params *params) {
  const unsigned asked = config->receive_window_bits;
  params->send_no_takeover =
      (uint8_t)(offer->server_no_takeover || config->send_no_takeover);
  params->receive_no_takeover =
      (uint8_t)(offer->client_no_takeover || config->receive_no_takeover);
  params->send_window_bits =
      (uint8_t)smaller(offer->server_bits, config->send_window_bits);
  if (offer->client_has_bits) {
    params->receive_window_bits = (uint8_t)smaller(offer->client_bits, asked);
    return 1;
  }
  /* RFC 7692 7.1.2.2: of this client no smaller window can be asked. */
  params->receive_window_bits = BITS_MAX;
  if (asked < BITS_MAX && config->memory_budget > 0) {
    params->receive_no_takeover = 1;
  }
  return asked == BITS_MAX || !config->insist;
}

int nws__deflate_accept(const nws_extension *ext,
                        const nws_extension_offer *offer, char *out, size_t cap,
                        size_t *len, void **state) {
  nws_deflate_pool *pool = nws__deflate_pool_of(ext);
  nws_deflate_params params;
  element asked, answer = {0};
  writer w = {out, cap, 0};
  if (pool == NULL || !read_element(offer, 0, &asked) ||
      !settle(&pool->config, &asked, &params)) {
    return NWS_EXTENSION_DECLINED;
  }
  /* RFC 7692 7.1: the answer names all that it binds. */
  answer.server_no_takeover = params.send_no_takeover;
  answer.client_no_takeover = params.receive_no_takeover;
  answer.server_bits = params.send_window_bits;
  answer.server_has_bits =
      asked.server_has_bits || params.send_window_bits < BITS_MAX;
  answer.client_bits = params.receive_window_bits;
  answer.client_has_bits =
      asked.client_has_bits &&
      (asked.client_bits != 0 || params.receive_window_bits < BITS_MAX);
  put_element(&w, &answer);
  *len = w.len;
  return w.len <= cap ? agree(pool, &params, state) : NWS_ERROR_BUFFER;
}
