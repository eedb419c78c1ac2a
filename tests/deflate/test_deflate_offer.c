/* test_deflate_offer.c - agreeing on permessage-deflate (RFC 7692 7.1), with
 * the real handshake in both roles: what a server makes of each offer, what a
 * client makes of each answer, and what both then hold to be agreed.
 */
#include "dfl_help.h"

#include <stdio.h>
#include <string.h>

/* A configuration in short: "sn" and "rn" for no takeover, "sw10", "rw10" for
 * window bits, "insist", "budget" for one that windows of 12 keep and "small"
 * for one that no window keeps. */
static nws_deflate_config config_of(const char *text) {
  nws_deflate_config config = {.size = sizeof(config)};
  char word[16];
  int used;
  for (; sscanf(text, "%15s%n", word, &used) == 1; text += used) {
    unsigned bits = 0;
    if (strcmp(word, "sn") == 0) {
      config.send_no_takeover = 1;
    } else if (strcmp(word, "rn") == 0) {
      config.receive_no_takeover = 1;
    } else if (strcmp(word, "insist") == 0) {
      config.insist = 1;
    } else if (strcmp(word, "budget") == 0) {
      config.memory_budget = 60000;
    } else if (strcmp(word, "small") == 0) {
      config.memory_budget = 1000;
    } else if (sscanf(word, "sw%u", &bits) == 1) {
      config.send_window_bits = (uint8_t)bits;
    } else if (sscanf(word, "rw%u", &bits) == 1) {
      config.receive_window_bits = (uint8_t)bits;
    } else {
      fail_msg("no such word: %s", word);
    }
  }
  return config;
}

/* What was agreed, in the same words; "-" for nothing. */
static void tell(const nws_extension_use *uses, size_t count, char *out) {
  nws_deflate_params params;
  if (!nws_deflate_agreed(uses, count, &params)) {
    strcpy(out, "-");
    return;
  }
  sprintf(out, "%s%ssw%u rw%u", params.send_no_takeover ? "sn " : "",
          params.receive_no_takeover ? "rn " : "", params.send_window_bits,
          params.receive_window_bits);
}

/* --- A server --- */

static int request(char *head, size_t cap, const char *offer) {
  return snprintf(head, cap,
                  "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Extensions: %s\r\n\r\n",
                  offer);
}

static void serve(const char *how, const char *offer, char *answer,
                  char *agreed) {
  const nws_deflate_config config = config_of(how);
  static nws_server_handshake hs;
  nws_server_policy policy = {.size = sizeof(policy)};
  const nws_extension *known[1];
  nws_deflate deflate;
  char head[2048];
  nws_header found[16];
  unsigned status;
  size_t count, len, at;
  dfl_init(&deflate, &config);
  known[0] = &deflate.base;
  policy.extensions = known;
  policy.extension_count = 1;
  len = (size_t)request(head, sizeof(head), offer);
  memset(&hs, 0, sizeof(hs));
  assert_int_equal(nws_server_handshake_read(&hs, &policy, head, len), NWS_OK);
  assert_int_equal(nws_server_handshake_accept_headers(&hs, NULL, &status,
                                                       found, 16, &count),
                   NWS_OK);
  at = nws_header_find(found, count, nws_str_of("Sec-WebSocket-Extensions"), 0);
  strcpy(answer, "-");
  if (at < count) {
    sprintf(answer, "%.*s", (int)found[at].value.len, found[at].value.ptr);
  }
  tell(hs.extensions, hs.extension_count, agreed);
  nws_extension_release(hs.extensions, hs.extension_count);
  nws_deflate_free(&deflate);
}

#define PD "permessage-deflate"
#define SN "; server_no_context_takeover"
#define CN "; client_no_context_takeover"
#define SW "; server_max_window_bits"
#define CW "; client_max_window_bits"

static const struct {
  const char *how, *offer, *answer, *agreed;
} served[] = {
    {"", PD, PD, "sw15 rw15"},
    {"", "Permessage-Deflate", PD, "sw15 rw15"},
    {"", PD SN, PD SN, "sn sw15 rw15"},
    {"", PD CN, PD CN, "rn sw15 rw15"},
    {"", PD CN SN, PD SN CN, "sn rn sw15 rw15"},
    /* A window that was asked for is named in the answer, always. */
    {"", PD SW "=8", PD SW "=8", "sw8 rw15"},
    {"", PD SW "=9", PD SW "=9", "sw9 rw15"},
    {"", PD SW "=15", PD SW "=15", "sw15 rw15"},
    {"sw10", PD SW "=12", PD SW "=10", "sw10 rw15"},
    {"sw12", PD SW "=10", PD SW "=10", "sw10 rw15"},
    {"sw10", PD, PD SW "=10", "sw10 rw15"},
    {"sn", PD, PD SN, "sn sw15 rw15"},
    /* The client's window: limited only where it says that it can. */
    {"", PD CW, PD, "sw15 rw15"},
    {"", PD CW "=10", PD CW "=10", "sw15 rw10"},
    {"", PD CW "=8", PD CW "=8", "sw15 rw8"},
    {"", PD CW "=15", PD CW "=15", "sw15 rw15"},
    {"rw10", PD CW, PD CW "=10", "sw15 rw10"},
    {"rw10", PD CW "=15", PD CW "=10", "sw15 rw10"},
    {"rw10", PD CW "=9", PD CW "=9", "sw15 rw9"},
    {"rw10", PD, PD, "sw15 rw15"},
    {"rw10 insist", PD, "-", "-"},
    {"rw10 insist", PD ", " PD CW, PD CW "=10", "sw15 rw10"},
    {"rw15 insist", PD, PD, "sw15 rw15"},
    /* No takeover can be had of every client. */
    {"rn", PD, PD CN, "rn sw15 rw15"},
    {"rn insist", PD, PD CN, "rn sw15 rw15"},
    {"budget", PD, PD CN SW "=12", "rn sw12 rw15"},
    {"budget", PD CW, PD SW "=12" CW "=12", "sw12 rw12"},
    /* White space, case. */
    {"", PD " ;  Server_Max_Window_Bits = 11", PD SW "=11", "sw11 rw15"},
    /* What is wrong is declined, and the next offer looked at. */
    {"", PD SW, "-", "-"},
    {"", PD SW "=7", "-", "-"},
    {"", PD SW "=16", "-", "-"},
    {"", PD SW "=08", "-", "-"},
    {"", PD SW "=010", "-", "-"},
    {"", PD SW "=0", "-", "-"},
    {"", PD SW "=1000", "-", "-"},
    {"", PD SW "=4294967306", "-", "-"},
    {"", PD SW "=-9", "-", "-"},
    {"", PD SW "=+9", "-", "-"},
    {"", PD SW "=9a", "-", "-"},
    {"", PD SW "=a", "-", "-"},
    /* Quotes are well-formed (RFC 6455 9.1), but no number needs them. */
    {"", PD SW "=\"10\"", "-", "-"},
    {"", PD SW "=\"15\"", "-", "-"},
    {"", PD SW "=\"1\\0\"", "-", "-"},
    {"", PD SW "=\"\\8\"", "-", "-"},
    {"", PD SW "=\"08\"", "-", "-"},
    {"", PD CW "=\"10\"", "-", "-"},
    {"", PD SN "=\"\\1\"", "-", "-"},
    {"", PD SW "=\"10\", " PD CW, PD, "sw15 rw15"},
    {"", PD CW "=7", "-", "-"},
    {"", PD CW "=16", "-", "-"},
    {"", PD CW "=08", "-", "-"},
    {"", PD CW "=x", "-", "-"},
    {"", PD SN "=1", "-", "-"},
    {"", PD CN "=15", "-", "-"},
    {"", PD SN SN, "-", "-"},
    {"", PD CN CN, "-", "-"},
    {"", PD SW "=9" SW "=9", "-", "-"},
    {"", PD CW CW "=9", "-", "-"},
    {"", PD "; level=9", "-", "-"},
    {"", PD SN "; x", "-", "-"},
    {"", "permessage-bzip2", "-", "-"},
    {"", "x-webkit-deflate-frame, " PD "; x, " PD SW "=7, " PD SN, PD SN,
     "sn sw15 rw15"},
    {"", PD SN ", " PD, PD SN, "sn sw15 rw15"}, /* the first that will do */
};

static void a_server_answers(void **unused) {
  (void)unused;
  for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++) {
    char answer[512], agreed[64];
    serve(served[i].how, served[i].offer, answer, agreed);
    if (strcmp(answer, served[i].answer) != 0 ||
        strcmp(agreed, served[i].agreed) != 0) {
      fail_msg("%s, offered %s: answers %s, agrees on %s", served[i].how,
               served[i].offer, answer, agreed);
    }
  }
}

/* --- A client --- */

static int ask(const char *how, const char *answer, char *offer, char *agreed) {
  const nws_deflate_config config = config_of(how);
  static nws_client_handshake hs;
  nws_client_offer wants = {.size = sizeof(wants)};
  const nws_extension *known[1];
  nws_header asked[16],
      said[] = {{nws_str_of("Upgrade"), {0}},
                {nws_str_of("Connection"), {0}},
                {nws_str_of("Sec-WebSocket-Accept"), {0}},
                {nws_str_of("Sec-WebSocket-Extensions"), {0}}};
  nws_deflate deflate;
  char accept[NWS_HANDSHAKE_ACCEPT_LEN];
  size_t count, at;
  nws_uri uri;
  int status;
  dfl_init(&deflate, &config);
  known[0] = &deflate.base;
  assert_int_equal(nws_uri_parse(&uri, "ws://a/", 7, NULL), NWS_OK);
  wants.uri = &uri;
  wants.extensions = known;
  wants.extension_count = 1;
  assert_int_equal(nws_client_handshake_start_headers(&hs, &wants, &dfl_random,
                                                      asked, 16, &count),
                   NWS_OK);
  at = nws_header_find(asked, count, nws_str_of("Sec-WebSocket-Extensions"), 0);
  assert_true(at < count);
  sprintf(offer, "%.*s", (int)asked[at].value.len, asked[at].value.ptr);
  nws_handshake_accept_key(nws_str_make(hs.key, NWS_HANDSHAKE_KEY_LEN), accept);
  said[0].value = nws_str_of("websocket");
  said[1].value = nws_str_of("Upgrade");
  said[2].value = nws_str_make(accept, sizeof(accept));
  said[3].value = nws_str_of(answer);
  status = nws_client_handshake_read_headers(&hs, 101, said,
                                             answer[0] != '\0' ? 4 : 3);
  tell(hs.extensions, status == NWS_OK ? hs.extension_count : 0, agreed);
  if (status == NWS_OK) {
    nws_extension_release(hs.extensions, hs.extension_count);
  }
  nws_deflate_free(&deflate);
  return status;
}

#define BAD "bad"

static const struct {
  const char *how, *answer, *agreed;
} answered[] = {
    {"", "", "-"},
    {"", PD, "sw15 rw15"},
    {"", PD SN, "rn sw15 rw15"},
    {"", PD CN, "sn sw15 rw15"}, /* unasked, and taken */
    {"", PD SN CN, "sn rn sw15 rw15"},
    {"", PD SW "=8", "sw15 rw8"},
    {"", PD SW "=15", "sw15 rw15"},
    {"", PD CW "=8", "sw8 rw15"},
    {"", PD CW "=12" SW "=9", "sw12 rw9"},
    {"", PD CW "=15", "sw15 rw15"},
    /* Not more than was offered. */
    {"sw10", PD, "sw10 rw15"},
    {"sw10", PD CW "=10", "sw10 rw15"},
    {"sw10", PD CW "=9", "sw9 rw15"},
    {"sw10", PD CW "=11", BAD},
    {"sw10", PD CW "=15", BAD},
    {"sn", PD, "sn sw15 rw15"},
    {"sn", PD CN, "sn sw15 rw15"},
    /* The second offer asks nothing, so the answer may say nothing. */
    {"rn", PD, "sw15 rw15"},
    {"rn", PD SN, "rn sw15 rw15"},
    {"rw10", PD, "sw15 rw15"},
    {"rw10", PD SW "=10", "sw15 rw10"},
    {"rn insist", PD, BAD},
    {"rn insist", PD SN, "rn sw15 rw15"},
    {"rn insist", "", "-"},
    {"rw10 insist", PD, BAD},
    {"rw10 insist", PD SW "=11", BAD},
    {"rw10 insist", PD SW "=9", "sw15 rw9"},
    {"rw10 rn insist", PD SW "=9", BAD},
    {"rw10", PD SW "=11", "sw15 rw11"}, /* unasked, by the second offer */
    /* A budget is kept by either, and by nothing else. */
    {"budget", PD SW "=12", "sw12 rw12"},
    {"budget", PD SW "=9", "sw12 rw9"},
    {"budget", PD SN, "rn sw12 rw15"},
    {"budget", PD, BAD},
    {"budget", PD SW "=13", BAD},
    {"budget insist", PD SN, BAD},
    {"small", PD SN, "sn rn sw15 rw15"},
    {"small", PD, BAD},
    {"small", PD SW "=8", BAD},
    /* What is wrong. */
    {"", PD CW, BAD},
    {"", PD SW, BAD},
    {"", PD SW "=7", BAD},
    {"", PD SW "=16", BAD},
    {"", PD SW "=08", BAD},
    {"", PD SW "=\"9\"", BAD},
    {"", PD CW "=\"15\"", BAD},
    {"", PD CW "=7", BAD},
    {"", PD CW "=1000", BAD},
    {"", PD SN "=1", BAD},
    {"", PD CN "=x", BAD},
    {"", PD SN SN, BAD},
    {"", PD CN CN, BAD},
    {"", PD SW "=9" SW "=9", BAD},
    {"", PD CW "=9" CW "=9", BAD},
    {"", PD "; x", BAD},
    {"", PD "; x=1", BAD},
    {"", PD ", " PD, BAD},
};

static void a_client_judges(void **unused) {
  (void)unused;
  for (size_t i = 0; i < sizeof(answered) / sizeof(answered[0]); i++) {
    char offer[512], agreed[64];
    const int is_bad = strcmp(answered[i].agreed, BAD) == 0;
    const int status = ask(answered[i].how, answered[i].answer, offer, agreed);
    if (status != (is_bad ? NWS_ERROR_EXTENSION_HEADER : NWS_OK) ||
        (!is_bad && strcmp(agreed, answered[i].agreed) != 0)) {
      fail_msg("%s, answered %s: %d, agrees on %s", answered[i].how,
               answered[i].answer, status, agreed);
    }
  }
}

/* What is not even a header: RFC 6455 9.1 has the connection failed, an offer
 * beside it or not. */
static const char *const broken[] = {
    PD SW "=",       PD SW "=, " PD,    PD SW "=\"\"",
    PD SW "=\"9 \"", PD SW "=\" 9\"",   PD SW "=\"9",
    PD SW "=9\"",    PD SW "=9 9",      PD SW "=9=9",
    PD ";",          PD "; ;x",         PD CN ";",
    PD " x",         PD ", " PD SW "=", "=9",
    ";" PD,          PD SW "=(9)",      PD SW "==9",
    "\"" PD "\"",    PD SW "=\"\\\"",
};

static void refusal(int error, char *out, size_t cap) {
  nws_rejection why = {.size = sizeof(why)};
  size_t len;
  why.error = error;
  assert_int_equal(nws_server_handshake_reject(&why, out, cap, &len), NWS_OK);
}

static void broken_headers(void **unused) {
  nws_deflate deflate;
  const nws_extension *known[1];
  static nws_server_handshake hs;
  nws_server_policy policy = {.size = sizeof(policy)};
  (void)unused;
  dfl_init(&deflate, NULL);
  known[0] = &deflate.base;
  policy.extensions = known;
  policy.extension_count = 1;
  for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
    char head[1024], offer[512], agreed[64];
    const size_t len = (size_t)request(head, sizeof(head), broken[i]);
    memset(&hs, 0, sizeof(hs));
    if (nws_server_handshake_read(&hs, &policy, head, len) !=
        NWS_ERROR_EXTENSION_HEADER) {
      fail_msg("a server reads %s", broken[i]);
    }
    refusal(NWS_ERROR_EXTENSION_HEADER, head, sizeof(head));
    assert_int_equal(strncmp(head, "HTTP/1.1 400 ", 13), 0);
    assert_int_equal(hs.extension_count, 0);
    if (ask("", broken[i], offer, agreed) != NWS_ERROR_EXTENSION_HEADER) {
      fail_msg("a client reads %s", broken[i]);
    }
  }
  nws_deflate_free(&deflate);
}

static const struct {
  const char *how, *offer;
} offered[] = {
    {"", PD CW},
    {"sw10", PD CW "=10"},
    {"sw8", PD CW "=8"},
    {"sn", PD CN CW},
    {"rn", PD SN CW ", " PD CW},
    {"rn insist", PD SN CW},
    {"rw9", PD SW "=9" CW ", " PD CW},
    {"rw9 insist", PD SW "=9" CW},
    {"budget", PD SW "=12" CW "=12, " PD SN CW "=12"},
    {"budget insist", PD SW "=12" CW "=12"},
    {"budget rn", PD SN CW "=12"},
    {"budget sn", PD CN CW}, /* what is left does for the largest window */
    {"small", PD SN CN CW},
    {"sn rn sw9 rw12", PD SN CN SW "=12" CW "=9, " PD CN CW "=9"},
};

static void a_client_offers(void **unused) {
  (void)unused;
  for (size_t i = 0; i < sizeof(offered) / sizeof(offered[0]); i++) {
    char offer[512], agreed[64];
    assert_int_equal(ask(offered[i].how, "", offer, agreed), NWS_OK);
    assert_string_equal(offer, offered[i].offer);
  }
}

/* Whatever two ends of ours want, they agree, and see the same in it. */
static void both_see_the_same(void **unused) {
  static const char *const hows[] = {
      "",         "sn",      "rn",
      "sn rn",    "sw8",     "rw8",
      "sw12 rw9", "sn rw10", "rn sw15 rw8 insist"};
  const size_t count = sizeof(hows) / sizeof(hows[0]);
  (void)unused;
  for (size_t i = 0; i < count * count; i++) {
    const nws_deflate_config a = config_of(hows[i % count]);
    const nws_deflate_config b = config_of(hows[i / count]);
    nws_deflate_params here, there;
    nws_deflate client, server;
    dfl_pair pair;
    dfl_init(&client, &a);
    dfl_init(&server, &b);
    assert_int_equal(dfl_shake(&pair, &client, &server, 0), NWS_OK);
    assert_int_equal(nws_deflate_agreed(pair.client.uses, 1, &here), 1);
    assert_int_equal(nws_deflate_agreed(pair.server.uses, 1, &there), 1);
    assert_int_equal(here.send_no_takeover, there.receive_no_takeover);
    assert_int_equal(here.receive_no_takeover, there.send_no_takeover);
    assert_true(here.send_window_bits <= there.receive_window_bits);
    assert_true(there.send_window_bits <= here.receive_window_bits);
    dfl_pass(&pair.client, &pair.server, NWS_OPCODE_TEXT,
             "and one, and one, and one, and one, and two", 43);
    dfl_pass(&pair.server, &pair.client, NWS_OPCODE_TEXT,
             "and one, and one, and one, and one, and two", 43);
    dfl_part(&pair);
    nws_deflate_free(&client);
    nws_deflate_free(&server);
  }
}

/* The room for answers is the handshake's; an extension says how much it
 * needs. */
static void little_room(void **unused) {
  const nws_deflate_config config = config_of("sn rn sw9 rw12");
  static const char asked[] = PD SN CN SW "=12" CW "=9, " PD CN CW "=9";
  static const char answer[] = PD SN CN SW "=9" CW "=12";
  nws_extension_offer offer;
  nws_deflate deflate;
  char out[256];
  (void)unused;
  dfl_init(&deflate, &config);
  for (size_t cap = 0; cap < sizeof(out); cap++) {
    nws_str rest = nws_str_of(PD CW);
    void *state = NULL;
    size_t len;
    int status = deflate.base.offer(&deflate.base, out, cap);
    assert_int_equal(status, cap < sizeof(asked) - 1 ? NWS_ERROR_BUFFER
                                                     : (int)sizeof(asked) - 1);
    assert_int_equal(nws_extension_offer_next(&rest, &offer), 1);
    status = deflate.base.accept(&deflate.base, &offer, out, cap, &len, &state);
    if (cap < sizeof(answer) - 1) {
      assert_int_equal(status, NWS_ERROR_BUFFER);
      assert_null(state);
    } else {
      assert_int_equal(status, NWS_OK);
      assert_int_equal(len, sizeof(answer) - 1);
      assert_memory_equal(out, answer, len);
      deflate.base.release(&deflate.base, state);
    }
  }
  nws_deflate_free(&deflate);
}

static void configurations(void **unused) {
  nws_deflate_config config = {.size = sizeof(config)};
  nws_deflate_backend backend = *nws_deflate_zlib();
  const nws_allocator none = {NULL, NULL};
  nws_deflate deflate;
  (void)unused;
#define REFUSED(field, value)                                                  \
  do {                                                                         \
    nws_deflate_config bad = config;                                           \
    size_t bytes;                                                              \
    bad.field = (value);                                                       \
    assert_int_equal(nws_deflate_init(&deflate, &bad), NWS_ERROR_CONFIG);      \
    assert_null(deflate.pool);                                                 \
    assert_int_equal(nws_deflate_cost(&bad, &bytes), NWS_ERROR_CONFIG);        \
    nws_deflate_free(&deflate);                                                \
  } while (0)
  REFUSED(size, 0);
  REFUSED(size, sizeof(config) - 1);
  REFUSED(send_window_bits, 7);
  REFUSED(send_window_bits, 16);
  REFUSED(receive_window_bits, 7);
  REFUSED(receive_window_bits, 16);
  REFUSED(send_no_takeover, 2);
  REFUSED(receive_no_takeover, 2);
  REFUSED(insist, 2);
  REFUSED(level, 10);
  REFUSED(mem_level, 10);
  REFUSED(allocator, &none);
  backend.compress = NULL;
  REFUSED(backend, &backend);
  assert_int_equal(nws_deflate_init(NULL, &config), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_deflate_init(&deflate, NULL), NWS_OK);
  nws_deflate_free(&deflate);
  nws_deflate_free(&deflate);
  nws_deflate_free(NULL);
}

/* What two ends agree upon without a handshake has the same ranges. */
static void agreed_without_a_handshake(void **unused) {
  nws_deflate deflate;
  nws_extension_use use;
  nws_deflate_params found;
  (void)unused;
  dfl_init(&deflate, NULL);
  for (unsigned bits = 0; bits < 256; bits++) {
    const int fits = bits == 0 || (bits >= 8 && bits <= 15);
    for (unsigned i = 0; i < 4; i++) {
      nws_deflate_params params = {0, 0, 0, 0};
      uint8_t *const fields[] = {
          &params.send_window_bits, &params.receive_window_bits,
          &params.send_no_takeover, &params.receive_no_takeover};
      const int good = i < 2 ? fits : bits <= 1;
      *fields[i] = (uint8_t)bits;
      assert_int_equal(nws_deflate_use(&deflate, &params, &use),
                       good ? NWS_OK : NWS_ERROR_ARGUMENT);
      assert_int_equal(nws_deflate_agreed(&use, 1, &found), good);
      if (good) {
        params.send_window_bits = i == 0 && bits != 0 ? (uint8_t)bits : 15;
        params.receive_window_bits = i == 1 && bits != 0 ? (uint8_t)bits : 15;
        assert_memory_equal(&found, &params, sizeof(params));
      }
      nws_extension_release(&use, 1);
    }
  }
  assert_int_equal(nws_deflate_use(&deflate, NULL, NULL), NWS_ERROR_ARGUMENT);
  assert_int_equal(nws_deflate_use(NULL, NULL, &use), NWS_ERROR_ARGUMENT);
  nws_deflate_free(&deflate);
  assert_int_equal(nws_deflate_use(&deflate, NULL, &use), NWS_ERROR_ARGUMENT);
}

/* Freed too early, it offers and accepts nothing; and a connection that still
 * has it in use goes on, and gives back the last of it. */
static void freed_too_early(void **unused) {
  dfl_memory memory;
  nws_deflate_config config = {.size = sizeof(config)};
  nws_deflate deflate;
  dfl_pair pair, later;
  (void)unused;
  dfl_memory_init(&memory);
  config.allocator = &memory.allocator;
  dfl_init(&deflate, &config);
  assert_int_equal(dfl_shake(&pair, &deflate, &deflate, 0), NWS_OK);
  nws_deflate_free(&deflate);
  assert_int_equal(nws_deflate_memory(&deflate), 0);
  dfl_pass(&pair.client, &pair.server, NWS_OPCODE_BINARY,
           "0000000000000000000000000000000000000000", 40);
  assert_int_equal(dfl_shake(&later, &deflate, &deflate, 0), NWS_OK);
  assert_string_equal(later.offer, "");
  dfl_part(&later);
  assert_true(memory.live > 0);
  /* What a connection gives back is not kept for others any more. */
  const size_t before = memory.live;
  assert_true(nws_deflate_drop_idle(pair.client.uses, 1) > 200000);
  assert_true(memory.live < before - 200000);
  dfl_part(&pair);
  assert_int_equal(memory.live, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_server_answers),
      cmocka_unit_test(a_client_judges),
      cmocka_unit_test(a_client_offers),
      cmocka_unit_test(both_see_the_same),
      cmocka_unit_test(little_room),
      cmocka_unit_test(configurations),
      cmocka_unit_test(freed_too_early),
      cmocka_unit_test(broken_headers),
      cmocka_unit_test(agreed_without_a_handshake),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
