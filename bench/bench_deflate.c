/* bench_deflate.c - permessage-deflate: what the protocol takes of the speed of
 * the library that compresses, and how Boost.Beast does.
 */
#include "bench.h"
#include "deflate_sides.h"

#include <nws/deflate.h>

#include <string.h>

/* About 50 KB a pass for short messages, which a core's cache holds. */
static const struct {
  const char *name;
  size_t len;
  size_t count;
} sizes[] = {{"200 B", 200, 256}, {"2 KiB", 2048, 48}, {"64 KiB", 65536, 2}};

enum { SIZES = 3, COMPRESSORS = 3 };

static const struct {
  const char *library, *engine, *beast;
  int level;
} compressors[COMPRESSORS] = {
    {"library zlib 1", "engine zlib 1", "Beast 1", 1},
    {"library zlib 6", "engine zlib 6", "Beast 6", 6},
    {"library ISA-L", "engine ISA-L", NULL, 0},
};

static bench_side *add(bench_case *subject, const char *name,
                       void (*run)(void *), void *user) {
  bench_side *side = &subject->sides[subject->count++];
  memset(side, 0, sizeof(*side));
  side->name = name;
  side->run = run;
  side->user = user;
  return side;
}

/* --- Sending --- */

typedef struct senders {
  library_out *library;
  engine_out *engine;
  beast_out *beast;
} senders;

/* Makes the sides of one compressor. Both must make the same of the messages,
 * so that neither can be fast by doing less. */
static void add_senders(bench_case *subject, size_t which, int takeover,
                        const messages *texts, senders *made) {
  const setting how = {compressors[which].level, takeover};
  bench_side *side;
  double ratio;
  made->library = library_out_make(texts, &how);
  made->engine = engine_out_make(texts, &how);
  made->beast = NULL;
  library_out_run(made->library);
  engine_out_run(made->engine);
  if (library_out_bytes(made->library) != engine_out_bytes(made->engine)) {
    bench_fail("the engine sends something else than the library makes");
  }
  ratio = (double)library_out_bytes(made->library) / (double)subject->bytes;
  add(subject, compressors[which].library, library_out_run, made->library)
      ->packed = ratio;
  side = add(subject, compressors[which].engine, engine_out_run, made->engine);
  side->packed = ratio;
  side->against[0] = compressors[which].library;
  side->against[1] =
      how.level == 0 ? compressors[0].engine : compressors[which].beast;
  if (compressors[which].beast != NULL) {
    made->beast = beast_out_make(texts, &how);
    beast_out_run(made->beast);
    side = add(subject, compressors[which].beast, beast_out_run, made->beast);
    side->packed =
        (double)beast_out_bytes(made->beast) / (double)subject->bytes;
  }
}

static void free_senders(senders *made) {
  library_out_free(made->library);
  engine_out_free(made->engine);
  if (made->beast != NULL) {
    beast_out_free(made->beast);
  }
}

static void measure_sending(const bench_options *options, const char *name,
                            const messages *texts, int takeover) {
  bench_case subject = {.name = name, .messages = texts->count};
  senders made[COMPRESSORS];
  subject.bytes = texts->len * texts->count;
  for (size_t i = 0; i < COMPRESSORS; i++) {
    add_senders(&subject, i, takeover, texts, &made[i]);
  }
  bench_measure(options, &subject);
  for (size_t i = 0; i < COMPRESSORS; i++) {
    free_senders(&made[i]);
  }
}

/* --- Receiving --- */

typedef struct receivers {
  packed input;
  library_in *library;
  engine_in *engine;
  beast_in *beast;
} receivers;

static void check_bytes(size_t found, const bench_case *subject) {
  if (found != subject->bytes) {
    bench_fail("a side does not receive what was sent");
  }
}

static void add_receivers(bench_case *subject, size_t which, int takeover,
                          const messages *texts, receivers *made) {
  const setting how = {compressors[which].level, takeover};
  bench_side *side;
  double ratio;
  made->input = packed_make(texts, &how);
  made->library = library_in_make(&made->input);
  made->engine = engine_in_make(&made->input);
  made->beast = NULL;
  library_in_run(made->library);
  check_bytes(library_in_bytes(made->library), subject);
  engine_in_prepare(made->engine);
  engine_in_run(made->engine);
  check_bytes(engine_in_bytes(made->engine), subject);
  ratio = (double)(made->input.at[texts->count] - TAIL_LEN * texts->count) /
          (double)subject->bytes;
  add(subject, compressors[which].library, library_in_run, made->library)
      ->packed = ratio;
  side = add(subject, compressors[which].engine, engine_in_run, made->engine);
  side->prepare = engine_in_prepare;
  side->packed = ratio;
  side->against[0] = compressors[which].library;
  side->against[1] = compressors[which].beast;
  if (compressors[which].beast != NULL) {
    made->beast = beast_in_make(&made->input);
    beast_in_run(made->beast);
    check_bytes(beast_in_bytes(made->beast), subject);
    side = add(subject, compressors[which].beast, beast_in_run, made->beast);
    side->packed = ratio;
  }
}

static void free_receivers(receivers *made) {
  library_in_free(made->library);
  engine_in_free(made->engine);
  if (made->beast != NULL) {
    beast_in_free(made->beast);
  }
  packed_free(&made->input);
}

static void measure_receiving(const bench_options *options, const char *name,
                              const messages *texts, int takeover) {
  bench_case subject = {.name = name, .messages = texts->count};
  receivers made[COMPRESSORS];
  subject.bytes = texts->len * texts->count;
  for (size_t i = 0; i < COMPRESSORS; i++) {
    add_receivers(&subject, i, takeover, texts, &made[i]);
  }
  bench_measure(options, &subject);
  for (size_t i = 0; i < COMPRESSORS; i++) {
    free_receivers(&made[i]);
  }
}

/* --- Memory --- */

static void tell_costs(const bench_options *options) {
  static const struct {
    const char *name;
    int isal, takeover;
    uint8_t bits, mem_level;
  } rows[] = {{"no takeover, either way", 0, 0, 15, 8},
              {"takeover, window 15, mem_level 8", 0, 1, 15, 8},
              {"takeover, window 12, mem_level 5", 0, 1, 12, 5},
              {"takeover, window 9, mem_level 1", 0, 1, 9, 1},
              {"takeover, window 15, ISA-L", 1, 1, 15, 8}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    nws_deflate_config config = {.size = sizeof(config)};
    size_t bytes;
    config.send_window_bits = rows[i].bits;
    config.receive_window_bits = rows[i].bits;
    config.mem_level = rows[i].mem_level;
    config.send_no_takeover = !rows[i].takeover;
    config.receive_no_takeover = !rows[i].takeover;
    config.backend = rows[i].isal ? nws_deflate_isal() : NULL;
    if (nws_deflate_cost(&config, &bytes) != NWS_OK) {
      bench_fail("nws_deflate_cost()");
    }
    bench_fact(options, rows[i].name, (double)bytes, "bytes per connection");
  }
}

int main(int argc, char **argv) {
  const bench_options options = bench_parse(argc, argv);
  if (nws_deflate_isal() == NULL) {
    bench_fail("built without ISA-L");
  }
  bench_note(&options, "zlib", library_zlib());
  bench_note(&options, "ISA-L", library_isal());
  bench_note(&options, "Boost.Beast of Boost", beast_boost());
  for (size_t i = 0; i < SIZES; i++) {
    const messages texts = messages_make(sizes[i].len, sizes[i].count);
    for (int takeover = 1; takeover >= 0; takeover--) {
      const char *kind = takeover ? "takeover" : "no takeover";
      char name[64];
      snprintf(name, sizeof(name), "send %s, %s", sizes[i].name, kind);
      if (bench_wants(&options, name)) {
        measure_sending(&options, name, &texts, takeover);
      }
      snprintf(name, sizeof(name), "receive %s, %s", sizes[i].name, kind);
      if (bench_wants(&options, name)) {
        measure_receiving(&options, name, &texts, takeover);
      }
    }
  }
  tell_costs(&options);
  return 0;
}
