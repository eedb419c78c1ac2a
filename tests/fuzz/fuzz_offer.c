/* fuzz_offer.c - harness: the negotiation of permessage-deflate. Offers and
 * answers are judged by the rules of RFC 7692 7.1, written a second time; an
 * answer that our server gives is one that RFC allows and our client takes; and
 * both then mean the same.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include <nws/deflate.h>

enum { TEXT_MAX = 700, ANSWER_MAX = 256 };

/* --- The rules --- */

/* What an element says; -1 where it says nothing, 0 for "without value". */
typedef struct element {
  int valid;
  int server_no, client_no;
  int server_bits, client_bits;
} element;

static int number(const nws_extension_param *param) {
  char text[8] = "";
  size_t len = 0;
  for (size_t i = 0; i < param->value.len; i++) {
    if (param->escaped && param->value.ptr[i] == '\\') {
      continue;
    }
    if (len == sizeof(text) - 1) {
      return -1;
    }
    text[len++] = param->value.ptr[i];
  }
  for (int bits = 8; bits <= 15; bits++) {
    char wanted[12];
    snprintf(wanted, sizeof(wanted), "%d", bits);
    if (strcmp(text, wanted) == 0 && strlen(text) == len) {
      return bits;
    }
  }
  return -1;
}

static void flag(const nws_extension_param *param, int *out, element *it) {
  it->valid &= *out == -1 && param->value.ptr == NULL;
  *out = 1;
}

static void bits(const nws_extension_param *param, int may_lack, int *out,
                 element *it) {
  const int first = *out == -1;
  *out = param->value.ptr == NULL ? 0 : number(param);
  it->valid &= first && (*out > 0 || (*out == 0 && may_lack));
}

/* RFC 7692 7.1 */
static element judge(const nws_extension_offer *offer, int is_answer) {
  element it = {!offer->overflow, -1, -1, -1, -1};
  for (size_t i = 0; i < offer->param_count; i++) {
    const nws_extension_param *param = &offer->params[i];
    const nws_str name = param->name;
    if (nws_str_equal_nocase(name, nws_str_of("server_no_context_takeover"))) {
      flag(param, &it.server_no, &it);
    } else if (nws_str_equal_nocase(name,
                                    nws_str_of("client_no_context_takeover"))) {
      flag(param, &it.client_no, &it);
    } else if (nws_str_equal_nocase(name,
                                    nws_str_of("server_max_window_bits"))) {
      bits(param, 0, &it.server_bits, &it);
    } else if (nws_str_equal_nocase(name,
                                    nws_str_of("client_max_window_bits"))) {
      bits(param, !is_answer, &it.client_bits, &it);
    } else {
      it.valid = 0;
    }
  }
  return it;
}

/* RFC 7692 7.1.1, 7.1.2: what an answer must say to an offer, and must not. */
static void check_answer(const element *offer, const element *answer) {
  FUZZ_CHECK(answer->valid);
  FUZZ_CHECK(offer->server_no != 1 || answer->server_no == 1);
  FUZZ_CHECK(offer->client_no != 1 || answer->client_no == 1);
  if (offer->server_bits > 0) {
    FUZZ_CHECK(answer->server_bits > 0 &&
               answer->server_bits <= offer->server_bits);
  }
  if (offer->client_bits == -1) {
    FUZZ_CHECK(answer->client_bits == -1);
  }
  if (offer->client_bits > 0 && answer->client_bits > 0) {
    FUZZ_CHECK(answer->client_bits <= offer->client_bits);
  }
}

/* --- Texts --- */

static const char *pick(fuzz_cursor *c, const char *const *list, size_t count) {
  return list[fuzz_u8(c) % count];
}

/* An element made of what might stand in one; or the input as it is. */
static size_t element_text(fuzz_cursor *c, char *out) {
  static const char *const names[] = {
      "server_no_context_takeover", "client_no_context_takeover",
      "server_max_window_bits",     "client_max_window_bits",
      "Client_Max_Window_Bits",     "x"};
  static const char *const values[] = {"",       "",          "=8",  "=9",
                                       "=10",    "=15",       "=16", "=7",
                                       "=\"9\"", "=\"1\\5\"", "=09", "=0"};
  size_t len = (size_t)snprintf(out, TEXT_MAX, "permessage-deflate");
  if (fuzz_u8(c) & 1) {
    size_t own = 200;
    const uint8_t *from = fuzz_take(c, &own);
    memcpy(out + len, from, own);
    return len + own;
  }
  while (c->len > 0 && len < TEXT_MAX - 60) {
    const char *name = pick(c, names, sizeof(names) / sizeof(names[0]));
    const char *value = pick(c, values, sizeof(values) / sizeof(values[0]));
    len += (size_t)snprintf(out + len, TEXT_MAX - len, "; %s%s", name, value);
  }
  return len;
}

/* Sets an end up; returns the window that it sends with, at most. */
static int configure(fuzz_cursor *c, nws_deflate *deflate) {
  const unsigned how = fuzz_u8(c), windows = fuzz_u8(c);
  nws_deflate_config config = {.size = sizeof(config)};
  config.send_no_takeover = how & 1;
  config.receive_no_takeover = how >> 1 & 1;
  config.insist = how >> 2 & 1;
  config.send_window_bits = windows & 8 ? 8 + windows % 8 : 0;
  config.receive_window_bits = windows & 128 ? 8 + windows / 16 % 8 : 0;
  config.memory_budget = how & 8 ? (size_t)(how >> 4) << 13 : 0;
  FUZZ_CHECK(nws_deflate_init(deflate, &config) == NWS_OK);
  return config.send_window_bits ? (int)config.send_window_bits : 15;
}

static int next(const char *text, size_t len, nws_extension_offer *offer) {
  nws_str rest = nws_str_make(fuzz_copy(text, len), len);
  return nws_extension_offer_next(&rest, offer);
}

/* --- The parts --- */

/* Lets go of a state, of which nothing must be left. */
static void release(nws_deflate *deflate, void *state, size_t before) {
  nws_extension_use use = {.ext = &deflate->base, .state = state};
  nws_extension_release(&use, 1);
  FUZZ_CHECK(nws_deflate_memory(deflate) == before);
}

static void server(fuzz_cursor *c) {
  char text[TEXT_MAX], answer[ANSWER_MAX];
  nws_deflate deflate;
  nws_extension_offer offer, answered;
  size_t len = 0, need;
  void *state = NULL;
  configure(c, &deflate);
  const size_t before = nws_deflate_memory(&deflate);
  if (next(text, element_text(c, text), &offer) == 1) {
    const element asked = judge(&offer, 0);
    const nws_extension *ext = &deflate.base;
    const int rc =
        ext->accept(ext, &offer, answer, sizeof(answer), &len, &state);
    FUZZ_CHECK(rc == NWS_OK || rc == NWS_EXTENSION_DECLINED);
    FUZZ_CHECK(asked.valid || rc == NWS_EXTENSION_DECLINED);
    if (rc == NWS_OK) {
      release(&deflate, state, before);
      FUZZ_CHECK(len <= sizeof(answer) && next(answer, len, &answered) == 1);
      const element said = judge(&answered, 1);
      check_answer(&asked, &said);
      FUZZ_CHECK(ext->accept(ext, &offer, answer, len - 1, &need, &state) ==
                 NWS_ERROR_BUFFER);
      FUZZ_CHECK(nws_deflate_memory(&deflate) == before);
    }
  }
  nws_deflate_free(&deflate);
}

/* RFC 7692 7.1.2.2: an answer asks for no more of us than was offered. */
static void client(fuzz_cursor *c) {
  char text[TEXT_MAX];
  nws_deflate deflate;
  nws_extension_offer answer;
  void *state = NULL;
  const int most = configure(c, &deflate);
  const size_t before = nws_deflate_memory(&deflate);
  if (next(text, element_text(c, text), &answer) == 1) {
    const element said = judge(&answer, 1);
    const int rc = deflate.base.confirm(&deflate.base, &answer, &state);
    FUZZ_CHECK(rc == NWS_OK || rc == NWS_ERROR_EXTENSION_HEADER);
    FUZZ_CHECK(said.valid || rc != NWS_OK);
    FUZZ_CHECK(said.client_bits <= most || rc != NWS_OK);
    if (rc == NWS_OK) {
      nws_deflate_params params;
      nws_extension_use use = {.ext = &deflate.base, .state = state};
      FUZZ_CHECK(nws_deflate_agreed(&use, 1, &params) == 1);
      FUZZ_CHECK(said.client_no != 1 || params.send_no_takeover);
      FUZZ_CHECK(said.server_no != 1 || params.receive_no_takeover);
      FUZZ_CHECK(said.client_bits < 8 ||
                 params.send_window_bits <= (unsigned)said.client_bits);
      FUZZ_CHECK(params.receive_window_bits ==
                 (said.server_bits > 0 ? (unsigned)said.server_bits : 15));
      release(&deflate, state, before);
    }
  }
  nws_deflate_free(&deflate);
}

/* What each end believes of the other must be safe. */
static void check_agreement(const nws_deflate_params *ours,
                            const nws_deflate_params *theirs) {
  FUZZ_CHECK(ours->send_window_bits <= theirs->receive_window_bits);
  FUZZ_CHECK(theirs->send_window_bits <= ours->receive_window_bits);
  FUZZ_CHECK(ours->send_no_takeover || !theirs->receive_no_takeover);
  FUZZ_CHECK(theirs->send_no_takeover || !ours->receive_no_takeover);
}

static void both(fuzz_cursor *c) {
  char text[TEXT_MAX], answer[ANSWER_MAX];
  nws_deflate ends[2];
  nws_deflate_params params[2];
  nws_extension_use uses[2] = {{0}, {0}};
  nws_extension_offer offer, answered;
  size_t len = 0;
  configure(c, &ends[0]);
  configure(c, &ends[1]);
  const int text_len = ends[0].base.offer(&ends[0].base, text, sizeof(text));
  FUZZ_CHECK(text_len > 0 && text_len < TEXT_MAX);
  nws_str rest =
      nws_str_make(fuzz_copy(text, (size_t)text_len), (size_t)text_len);
  int rc = NWS_EXTENSION_DECLINED;
  while (rc == NWS_EXTENSION_DECLINED &&
         nws_extension_offer_next(&rest, &offer) == 1) {
    FUZZ_CHECK(judge(&offer, 0).valid);
    rc = ends[1].base.accept(&ends[1].base, &offer, answer, sizeof(answer),
                             &len, &uses[1].state);
  }
  if (rc == NWS_OK) {
    uses[1].ext = &ends[1].base;
    FUZZ_CHECK(next(answer, len, &answered) == 1);
    rc = ends[0].base.confirm(&ends[0].base, &answered, &uses[0].state);
    FUZZ_CHECK(rc == NWS_OK);
    uses[0].ext = &ends[0].base;
    FUZZ_CHECK(nws_deflate_agreed(&uses[0], 1, &params[0]) == 1);
    FUZZ_CHECK(nws_deflate_agreed(&uses[1], 1, &params[1]) == 1);
    check_agreement(&params[0], &params[1]);
  }
  FUZZ_CHECK(rc == NWS_OK || rc == NWS_EXTENSION_DECLINED);
  for (int i = 0; i < 2; i++) {
    if (uses[i].ext != NULL) {
      nws_extension_release(&uses[i], 1);
    }
    nws_deflate_free(&ends[i]);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static void (*const parts[])(fuzz_cursor *) = {server, client, both};
  fuzz_cursor c = {data, len};
  fuzz_begin();
  parts[fuzz_u8(&c) % 3](&c);
  return 0;
}
