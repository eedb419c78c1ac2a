/* test_deflate_table.c - agreeing on permessage-deflate (RFC 7692 7.1), all of
 * it: every configuration with every offer and every answer that RFC 7692 can
 * write, every configuration of a client with every one of a server, and every
 * short value of a window's size.
 *
 * What is expected is worked out here anew, from the RFC's sentences.
 */
#include "dfl_help.h"

#include <stdio.h>
#include <string.h>

enum {
  CONFIGS = 2 * 2 * 8 * 8 * 2, /* flags, windows, insist */
  ABSENT = 0,
  NO_VALUE = 1 /* of client_max_window_bits */
};

/* What an element of the header says. */
typedef struct said {
  int server_none, client_none;
  unsigned server_bits, client_bits; /* 8 to 15, ABSENT, NO_VALUE */
} said;

static unsigned take(unsigned *index, unsigned count) {
  const unsigned digit = *index % count;
  *index /= count;
  return digit;
}

static nws_deflate_config config_at(unsigned index) {
  nws_deflate_config config = {.size = sizeof(config)};
  config.send_no_takeover = (uint8_t)take(&index, 2);
  config.receive_no_takeover = (uint8_t)take(&index, 2);
  config.send_window_bits = (uint8_t)(8 + take(&index, 8));
  config.receive_window_bits = (uint8_t)(8 + take(&index, 8));
  config.insist = (uint8_t)take(&index, 2);
  return config;
}

static void write_said(const said *it, char *out) {
  out += sprintf(out, "permessage-deflate%s%s",
                 it->server_none ? "; server_no_context_takeover" : "",
                 it->client_none ? "; client_no_context_takeover" : "");
  if (it->server_bits != ABSENT) {
    out += sprintf(out, "; server_max_window_bits=%u", it->server_bits);
  }
  if (it->client_bits == NO_VALUE) {
    sprintf(out, "; client_max_window_bits");
  } else if (it->client_bits != ABSENT) {
    sprintf(out, "; client_max_window_bits=%u", it->client_bits);
  }
}

static unsigned least(unsigned a, unsigned b) {
  return a < b ? a : b;
}

/* Takes the next element and shows it to a server: 1 when it is accepted. */
static int serve(const nws_deflate *deflate, nws_str *rest, char *answer,
                 nws_deflate_params *params) {
  nws_extension_use use = {.ext = &deflate->base};
  nws_extension_offer offer;
  size_t len;
  int status;
  assert_int_equal(nws_extension_offer_next(rest, &offer), 1);
  status = deflate->base.accept(&deflate->base, &offer, answer, 511, &len,
                                &use.state);
  if (status == NWS_EXTENSION_DECLINED) {
    assert_null(use.state);
    return 0;
  }
  assert_int_equal(status, NWS_OK);
  answer[len] = '\0';
  assert_int_equal(nws_deflate_agreed(&use, 1, params), 1);
  nws_extension_release(&use, 1);
  return 1;
}

/* Shows a client an answer: 1 when it is content with it. */
static int judge(const nws_deflate *deflate, const char *answer,
                 nws_deflate_params *params) {
  nws_extension_use use = {.ext = &deflate->base};
  nws_extension_offer element;
  nws_str rest = nws_str_of(answer);
  int status;
  assert_int_equal(nws_extension_offer_next(&rest, &element), 1);
  status = deflate->base.confirm(&deflate->base, &element, &use.state);
  if (status == NWS_ERROR_EXTENSION_HEADER) {
    assert_null(use.state);
    return 0;
  }
  assert_int_equal(status, NWS_OK);
  assert_int_equal(nws_deflate_agreed(&use, 1, params), 1);
  nws_extension_release(&use, 1);
  return 1;
}

/* --- Servers --- */

/* What a server is to answer; 0 to decline. */
static int expect_answer(const nws_deflate_config *config, const said *offer,
                         said *answer) {
  /* 7.1.1.1, 7.1.1.2: a server may bind itself and forbid the client unasked.
   * What a client says of its own takeover is a promise that is kept here. */
  answer->server_none = offer->server_none || config->send_no_takeover;
  answer->client_none = offer->client_none || config->receive_no_takeover;
  /* 7.1.2.1: accepted "by including the parameter with the same or a smaller
   * value"; unasked it may come too. */
  answer->server_bits = config->send_window_bits;
  if (offer->server_bits != ABSENT) {
    answer->server_bits = least(offer->server_bits, config->send_window_bits);
  } else if (config->send_window_bits == 15) {
    answer->server_bits = ABSENT;
  }
  /* 7.1.2.2: only to those that have the parameter in their offer. */
  answer->client_bits = ABSENT;
  if (offer->client_bits == NO_VALUE) {
    answer->client_bits =
        config->receive_window_bits < 15 ? config->receive_window_bits : ABSENT;
  } else if (offer->client_bits != ABSENT) {
    answer->client_bits =
        least(offer->client_bits, config->receive_window_bits);
  } else if (config->receive_window_bits < 15 && config->insist) {
    return 0;
  }
  return 1;
}

static void every_offer(void **unused) {
  static const unsigned server_bits[] = {ABSENT, 8, 9, 10, 11, 12, 13, 14, 15};
  static const unsigned client_bits[] = {ABSENT, NO_VALUE, 8,  9,  10,
                                         11,     12,       13, 14, 15};
  (void)unused;
  for (unsigned c = 0; c < CONFIGS; c++) {
    const nws_deflate_config config = config_at(c);
    nws_deflate deflate;
    dfl_init(&deflate, &config);
    for (unsigned i = 0; i < 2 * 2 * 9 * 10; i++) {
      unsigned index = i;
      said offer, want;
      char text[512], answer[512], wanted[512];
      nws_deflate_params params;
      nws_str rest;
      int accepts;
      offer.server_none = (int)take(&index, 2);
      offer.client_none = (int)take(&index, 2);
      offer.server_bits = server_bits[take(&index, 9)];
      offer.client_bits = client_bits[index];
      write_said(&offer, text);
      rest = nws_str_of(text);
      accepts = expect_answer(&config, &offer, &want);
      assert_int_equal(serve(&deflate, &rest, answer, &params), accepts);
      if (!accepts) {
        continue;
      }
      write_said(&want, wanted);
      assert_string_equal(answer, wanted);
      assert_int_equal(params.send_no_takeover, want.server_none);
      assert_int_equal(params.receive_no_takeover, want.client_none);
      assert_int_equal(params.send_window_bits,
                       want.server_bits != ABSENT ? want.server_bits : 15);
      assert_int_equal(params.receive_window_bits,
                       want.client_bits != ABSENT ? want.client_bits : 15);
    }
    nws_deflate_free(&deflate);
  }
}

/* --- Clients --- */

/* Whether a client is to take an answer. */
static int expect_content(const nws_deflate_config *config,
                          const said *answer) {
  const unsigned server_bits =
      answer->server_bits != ABSENT ? answer->server_bits : 15;
  /* 7.1.2.2: "equal to or smaller than" what the client offered. */
  if (answer->client_bits != ABSENT &&
      answer->client_bits > config->send_window_bits) {
    return 0;
  }
  if (!config->insist) {
    return 1; /* the last offer asks nothing of the server */
  }
  return (answer->server_none || !config->receive_no_takeover) &&
         server_bits <= config->receive_window_bits;
}

static void every_answer(void **unused) {
  static const unsigned bits[] = {ABSENT, 8, 9, 10, 11, 12, 13, 14, 15};
  (void)unused;
  for (unsigned c = 0; c < CONFIGS; c++) {
    const nws_deflate_config config = config_at(c);
    nws_deflate deflate;
    dfl_init(&deflate, &config);
    for (unsigned i = 0; i < 2 * 2 * 9 * 9; i++) {
      unsigned index = i;
      nws_deflate_params params;
      char text[512];
      said answer;
      int takes;
      answer.server_none = (int)take(&index, 2);
      answer.client_none = (int)take(&index, 2);
      answer.server_bits = bits[take(&index, 9)];
      answer.client_bits = bits[index];
      write_said(&answer, text);
      takes = expect_content(&config, &answer);
      assert_int_equal(judge(&deflate, text, &params), takes);
      if (!takes) {
        continue;
      }
      assert_int_equal(params.receive_no_takeover, answer.server_none);
      assert_int_equal(params.receive_window_bits,
                       answer.server_bits != ABSENT ? answer.server_bits : 15);
      assert_int_equal(params.send_no_takeover,
                       answer.client_none || config.send_no_takeover);
      assert_int_equal(params.send_window_bits, answer.client_bits != ABSENT
                                                    ? answer.client_bits
                                                    : config.send_window_bits);
    }
    nws_deflate_free(&deflate);
  }
}

/* --- Both --- */

/* What each sends is what the other is ready for, and what both insist upon
 * they have. */
static void check_agreed(const nws_deflate_config *client,
                         const nws_deflate_config *server,
                         const nws_deflate_params *here,
                         const nws_deflate_params *there) {
  assert_true(here->send_window_bits <= there->receive_window_bits);
  assert_true(there->send_window_bits <= here->receive_window_bits);
  assert_true(here->send_no_takeover >= there->receive_no_takeover);
  assert_true(there->send_no_takeover >= here->receive_no_takeover);
  assert_true(here->send_no_takeover >= client->send_no_takeover);
  assert_true(there->send_no_takeover >= server->send_no_takeover);
  assert_true(here->send_window_bits <= client->send_window_bits);
  assert_true(there->send_window_bits <= server->send_window_bits);
  if (client->insist) {
    assert_true(here->receive_no_takeover >= client->receive_no_takeover);
    assert_true(here->receive_window_bits <= client->receive_window_bits);
  }
  if (server->insist) {
    assert_true(there->receive_no_takeover >= server->receive_no_takeover);
    assert_true(there->receive_window_bits <= server->receive_window_bits);
  }
}

/* A server of ours can do all that a client of ours asks, so the first offer is
 * always taken. */
static void every_pair(void **unused) {
  static nws_deflate servers[CONFIGS];
  (void)unused;
  for (unsigned s = 0; s < CONFIGS; s++) {
    const nws_deflate_config config = config_at(s);
    dfl_init(&servers[s], &config);
  }
  for (unsigned c = 0; c < CONFIGS; c++) {
    const nws_deflate_config here = config_at(c);
    nws_deflate client;
    char offer[512], answer[512];
    int len;
    dfl_init(&client, &here);
    len = client.base.offer(&client.base, offer, sizeof(offer));
    assert_true(len > 0);
    for (unsigned s = 0; s < CONFIGS; s++) {
      const nws_deflate_config there = config_at(s);
      nws_deflate_params mine, theirs;
      nws_str rest = nws_str_make(offer, (size_t)len);
      assert_int_equal(serve(&servers[s], &rest, answer, &theirs), 1);
      assert_int_equal(judge(&client, answer, &mine), 1);
      check_agreed(&here, &there, &mine, &theirs);
      assert_true(mine.receive_no_takeover >= here.receive_no_takeover);
      assert_true(mine.receive_window_bits <= here.receive_window_bits);
    }
    nws_deflate_free(&client);
  }
  for (unsigned s = 0; s < CONFIGS; s++) {
    nws_deflate_free(&servers[s]);
  }
}

/* --- Values --- */

/* 1 when a server accepts the offer, and a client the answer, that is made of
 * this one parameter; and each names the same size. */
static int takes_value(const nws_deflate *deflate, const char *name,
                       const char *value) {
  char text[128], answer[512];
  nws_deflate_params params;
  nws_str rest;
  int as_server, as_client;
  sprintf(text, "permessage-deflate; %s=%s", name, value);
  rest = nws_str_of(text);
  as_server = serve(deflate, &rest, answer, &params);
  if (as_server) {
    assert_string_equal(answer, text);
  }
  as_client = judge(deflate, text, &params);
  assert_int_equal(as_server, as_client);
  return as_server;
}

/* Of all values of one byte and two, and all numbers of three and four digits,
 * eight are sizes. */
static void every_value(void **unused) {
  static const char *const names[] = {"server_max_window_bits",
                                      "client_max_window_bits"};
  static const char bytes[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~";
  nws_deflate deflate;
  (void)unused;
  dfl_init(&deflate, NULL);
  for (size_t n = 0; n < 2; n++) {
    unsigned taken = 0;
    char value[8];
    for (const char *a = bytes; *a != '\0'; a++) {
      sprintf(value, "%c", *a);
      taken += (unsigned)takes_value(&deflate, names[n], value);
      for (const char *b = bytes; *b != '\0'; b++) {
        sprintf(value, "%c%c", *a, *b);
        taken += (unsigned)takes_value(&deflate, names[n], value);
      }
    }
    assert_int_equal(taken, 8);
    for (unsigned bits = 8; bits <= 15; bits++) {
      sprintf(value, "%u", bits);
      assert_int_equal(takes_value(&deflate, names[n], value), 1);
    }
    for (unsigned number = 0; number < 10000; number++) {
      sprintf(value, "%03u", number);
      assert_int_equal(takes_value(&deflate, names[n], value), 0);
      sprintf(value, "%04u", number);
      assert_int_equal(takes_value(&deflate, names[n], value), 0);
    }
  }
  nws_deflate_free(&deflate);
}

/* An element with more parameters than are looked at cannot be one of these. */
static void more_than_fits(void **unused) {
  nws_extension_offer offer = {.overflow = 1};
  nws_deflate deflate;
  char answer[64];
  void *state = NULL;
  size_t len;
  (void)unused;
  dfl_init(&deflate, NULL);
  offer.name = nws_str_of("permessage-deflate");
  assert_int_equal(deflate.base.accept(&deflate.base, &offer, answer,
                                       sizeof(answer), &len, &state),
                   NWS_EXTENSION_DECLINED);
  assert_int_equal(deflate.base.confirm(&deflate.base, &offer, &state),
                   NWS_ERROR_EXTENSION_HEADER);
  assert_null(state);
  nws_deflate_free(&deflate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_offer),    cmocka_unit_test(every_answer),
      cmocka_unit_test(every_pair),     cmocka_unit_test(every_value),
      cmocka_unit_test(more_than_fits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
