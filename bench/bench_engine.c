/* bench_engine.c - the engine in memory: what a message costs from the bytes
 * of a read to the event, and from the payload to the frame, beside the least
 * it could cost, and beside others.
 */
#include "bench.h"
#include "engine_stream.h"

#include <nws/conn.h>

#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  enum content content;
} contents[] = {{"binary", CONTENT_BINARY},
                {"ASCII", CONTENT_ASCII},
                {"mixed", CONTENT_MIXED}};

static const struct {
  const char *name;
  size_t len;
  size_t count;
} sizes[] = {{"16 B", 16, 9000},
             {"125 B", 125, 2000},
             {"1 KiB", 1024, 256},
             {"16 KiB", 16384, 16},
             {"1 MiB", 1 << 20, 1}};

enum { CONTENTS = 3, SIZES = 5 };

static bench_side *add(bench_case *subject, const char *name,
                       void (*run)(void *), void *user) {
  bench_side *side = &subject->sides[subject->count++];
  memset(side, 0, sizeof(*side));
  side->name = name;
  side->run = run;
  side->user = user;
  return side;
}

/* --- Receiving --- */

static void restore(void *user) {
  const receiver *side = user;
  stream_restore(side->from);
}

static const struct {
  const char *name;
  void (*open)(receiver *);
  void (*run)(void *);
  void (*close)(receiver *);
} peers[] = {{"bound", NULL, bound_receive, NULL},
             {"engine", engine_open, engine_receive, engine_close},
             {"wslay", wslay_open, wslay_receive, wslay_close},
             {"Beast", beast_open, beast_receive, beast_close}};

enum { PEERS = 4, ENGINE = 1 };

/* Whether a side is told of all there is. */
static void try_side(receiver *side) {
  stream_restore(side->from);
  side->run(side);
  if (side->found.messages != side->from->count ||
      side->found.bytes != side->from->count * side->from->payload_len) {
    bench_fail("a side does not receive what was sent");
  }
}

static void measure_receiving(const bench_options *options, const char *name,
                              const stream *from) {
  bench_case subject = {.name = name, .messages = from->count};
  receiver sides[PEERS];
  subject.bytes = from->count * from->payload_len;
  for (size_t i = 0; i < PEERS; i++) {
    bench_side *side = add(&subject, peers[i].name, peers[i].run, &sides[i]);
    side->prepare = restore;
    sides[i] = (receiver){from, {0, 0}, NULL, peers[i].run};
    if (peers[i].open != NULL) {
      peers[i].open(&sides[i]);
    }
    try_side(&sides[i]);
  }
  subject.sides[ENGINE].against[0] = "bound";
  subject.sides[ENGINE].against[1] = "wslay";
  subject.sides[ENGINE].against[2] = "Beast";
  bench_measure(options, &subject);
  for (size_t i = 0; i < PEERS; i++) {
    if (peers[i].close != NULL) {
      peers[i].close(&sides[i]);
    }
  }
}

/* --- Sending --- */

/* Frames go one behind the other into a buffer, again and again. */
typedef struct sender {
  nws_conn conn;
  nws_conn_config config;
  nws_random random;
  uint64_t seed;
  const uint8_t *payload;
  size_t len;
  size_t count;
  uint8_t *out;
  size_t cap;
  size_t bytes; /* made in the last pass */
} sender;

/* Any key will do here; a real one costs what the random source costs. */
static int next_key(void *user, void *out, size_t len) {
  sender *side = user;
  side->seed = side->seed * 6364136223846793005u + 1442695040888963407u;
  memcpy(out, (const uint8_t *)&side->seed + 4, len);
  return 0;
}

static size_t place_for(const sender *side, size_t at) {
  return side->cap - at < side->len + NWS_FRAME_HEADER_MAX ? 0 : at;
}

#define SEND_LOOP(side, one)                                                   \
  size_t at = 0, bytes = 0;                                                    \
  for (size_t i = 0; i < (side)->count; i++) {                                 \
    size_t len;                                                                \
    at = place_for(side, at);                                                  \
    one;                                                                       \
    at += len;                                                                 \
    bytes += len;                                                              \
  }                                                                            \
  (side)->bytes = bytes

static void bound_send(void *user) {
  sender *side = user;
  SEND_LOOP(side, len = bound_frame(side->out + at, side->payload, side->len));
}

static void bound_send_masked(void *user) {
  sender *side = user;
  SEND_LOOP(side, {
    uint8_t key[4];
    next_key(side, key, sizeof(key));
    len = bound_masked_frame(side->out + at, side->payload, side->len, key);
  });
}

static void bound_send_header(void *user) {
  sender *side = user;
  SEND_LOOP(side, len = bound_header(side->out + at, side->len));
}

static void engine_send(void *user) {
  sender *side = user;
  SEND_LOOP(side, {
    if (nws_conn_send(&side->conn, NWS_OPCODE_BINARY, side->payload, side->len,
                      side->out + at, side->cap - at, &len) != NWS_OK) {
      bench_fail("nws_conn_send()");
    }
  });
}

static void engine_send_header(void *user) {
  sender *side = user;
  SEND_LOOP(side, {
    if (nws_conn_send_begin(&side->conn, NWS_OPCODE_BINARY, side->len,
                            side->out + at, side->cap - at, &len) != NWS_OK ||
        nws_conn_send_payload(&side->conn, NULL, side->payload, side->len) !=
            NWS_OK) {
      bench_fail("nws_conn_send_begin()");
    }
  });
}

static void frame_send_header(void *user) {
  sender *side = user;
  nws_frame frame = {0};
  frame.fin = 1;
  frame.opcode = NWS_OPCODE_BINARY;
  SEND_LOOP(side, {
    frame.payload_len = side->len;
    len = (size_t)nws_frame_build(&frame, side->out + at);
  });
}

/* Ways of sending, each with what it is measured by. */
static const struct {
  const char *name;
  nws_role role;
  struct {
    const char *name;
    void (*run)(void *);
  } sides[3];
} ways[] = {{"header and copy",
             NWS_ROLE_SERVER,
             {{"bound", bound_send}, {"nws_conn_send", engine_send}}},
            {"masked copy",
             NWS_ROLE_CLIENT,
             {{"bound", bound_send_masked}, {"nws_conn_send", engine_send}}},
            {"header",
             NWS_ROLE_SERVER,
             {{"bound", bound_send_header},
              {"nws_frame_build", frame_send_header},
              {"nws_conn_send_begin", engine_send_header}}}};

enum { WAYS = 3, SENT_SIZES = 4 };

static void open_sender(sender *side, nws_role role, const uint8_t *payload,
                        size_t which) {
  memset(side, 0, sizeof(*side));
  side->payload = payload;
  side->len = sizes[which].len;
  side->count = sizes[which].count;
  side->cap = CHUNK_LEN;
  side->out = bench_alloc(side->cap);
  memset(side->out, 0, side->cap);
  side->random = (nws_random){next_key, side};
  side->config.size = sizeof(side->config);
  side->config.random = &side->random;
  if (nws_conn_init(&side->conn, role, &side->config, NULL, 0) != NWS_OK) {
    bench_fail("nws_conn_init()");
  }
}

static void measure_sending(const bench_options *options, const char *name,
                            size_t way, size_t which, const uint8_t *payload) {
  bench_case subject = {.name = name, .messages = sizes[which].count};
  sender senders[3];
  subject.bytes = sizes[which].len * sizes[which].count;
  for (size_t i = 0; i < 3 && ways[way].sides[i].run != NULL; i++) {
    bench_side *side = add(&subject, ways[way].sides[i].name,
                           ways[way].sides[i].run, &senders[i]);
    open_sender(&senders[i], ways[way].role, payload, which);
    side->run(&senders[i]);
    if (senders[i].bytes != senders[0].bytes ||
        memcmp(senders[i].out, senders[0].out, CHUNK_LEN) != 0) {
      bench_fail("a side makes other frames than the bound");
    }
    side->against[0] = i > 0 ? "bound" : NULL;
  }
  bench_measure(options, &subject);
  for (size_t i = 0; i < subject.count; i++) {
    free(senders[i].out);
  }
}

/* --- All of it --- */

static void receive_all(const bench_options *options) {
  for (size_t i = 0; i < CONTENTS; i++) {
    for (size_t j = 0; j < SIZES; j++) {
      char name[64];
      snprintf(name, sizeof(name), "receive %s %s", contents[i].name,
               sizes[j].name);
      if (bench_wants(options, name)) {
        stream from =
            stream_make(sizes[j].len, sizes[j].count, contents[i].content);
        measure_receiving(options, name, &from);
        stream_free(&from);
      }
    }
  }
}

static void send_all(const bench_options *options) {
  static uint8_t payload[CHUNK_LEN];
  for (size_t i = 0; i < sizeof(payload); i++) {
    payload[i] = (uint8_t)(i * 151 + (i >> 8));
  }
  for (size_t i = 0; i < WAYS; i++) {
    for (size_t j = 0; j < SENT_SIZES; j++) {
      char name[64];
      snprintf(name, sizeof(name), "send %s %s", ways[i].name, sizes[j].name);
      const int is_header = ways[i].sides[2].run != NULL;
      if (bench_wants(options, name) && (j == 0 || !is_header)) {
        measure_sending(options, name, i, j, payload);
      }
    }
  }
}

int main(int argc, char **argv) {
  const bench_options options = bench_parse(argc, argv);
  bench_note(&options, "libwslay", wslay_version());
  bench_note(&options, "Boost.Beast of Boost", beast_boost());
  receive_all(&options);
  send_all(&options);
  return 0;
}
