/* test_deflate_send.c - messages sent: that the bound bounds, that no distance
 * is larger than agreed, that both windows stay in step, which messages go
 * plain. Each with every backend there is.
 */
#include "dfl_help.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};

static nws_deflate_config config_with(const nws_deflate_backend *backend,
                                      unsigned level, unsigned mem_level) {
  nws_deflate_config config = {.size = sizeof(config)};
  config.backend = backend;
  config.level = (uint8_t)level;
  config.mem_level = (uint8_t)mem_level;
  config.min_size = 1;
  return config;
}

/* --- The bound --- */

/* Encodes with exactly the bound as room, which the sanitizers watch. */
static size_t encode(nws_extension_use *use, const void *in, size_t len,
                     int message_end, dfl_bytes *out) {
  nws_extension_data data = {0};
  const size_t bound = use->ext->encode_bound(use->state, len);
  uint8_t *room = malloc(bound);
  assert_non_null(room);
  data.in = in;
  data.in_len = len;
  data.out = room;
  data.out_cap = bound;
  data.frame_end = 1;
  data.message_end = (uint8_t)message_end;
  assert_int_equal(use->ext->encode(use->state, &data), NWS_OK);
  assert_int_equal(data.in_len, 0);
  assert_true(data.out_len <= bound);
  dfl_add(out, room, data.out_len);
  free(room);
  return data.out_len;
}

/* All sizes up to 5000, in such steps, and some large ones. */
static void bound_sizes(const nws_deflate_config *config, unsigned bits,
                        size_t step, const dfl_bytes *noise) {
  const nws_deflate_params params = {0, 0, (uint8_t)bits, 15};
  nws_deflate deflate;
  nws_extension_use use;
  dfl_bytes out = {0};
  size_t last = 0;
  dfl_init(&deflate, config);
  assert_int_equal(nws_deflate_use(&deflate, &params, &use), NWS_OK);
  for (size_t len = 0; len <= 5000; len += step) {
    const size_t bound = use.ext->encode_bound(use.state, len);
    assert_true(bound >= last);
    last = bound;
    encode(&use, noise->data + len, len, (len & 1) == 0, &out);
    out.len = 0;
  }
  for (size_t len = 65535; len <= noise->len; len = len * 2 + 1) {
    encode(&use, noise->data, len, 1, &out);
    out.len = 0;
  }
  assert_true(use.ext->encode_bound(use.state, SIZE_MAX) == SIZE_MAX);
  assert_true(use.ext->encode_bound(use.state, SIZE_MAX - 20) == SIZE_MAX);
  nws_extension_release(&use, 1);
  nws_deflate_free(&deflate);
  dfl_free(&out);
}

static void the_bound_bounds(void **unused) {
  static const unsigned settings[][2] = {
      {1, 1}, {6, 8}, {9, 9}, {1, 9}, {6, 1}};
  const nws_deflate_backend *backends[2];
  const size_t count = dfl_backends(backends);
  dfl_bytes noise = {0};
  uint32_t seed = 1;
  (void)unused;
  dfl_add_kind(&noise, DFL_NOISE, 1 << 20, &seed);
  /* Values of 144 and up have the long codes. */
  for (size_t i = 0; i < noise.len; i++) {
    noise.data[i] |= i < noise.len / 2 ? 0x90 : 0;
  }
  for (size_t i = 0; i < count; i++) {
    /* ISA-L has no settings. */
    for (size_t k = 0; k < (i == 0 ? 5 : 1); k++) {
      const nws_deflate_config config =
          config_with(backends[i], settings[k][0], settings[k][1]);
      bound_sizes(&config, 8, k < 2 ? 1 : 13, &noise);
      bound_sizes(&config, 15, k < 2 ? 1 : 13, &noise);
    }
  }
  dfl_free(&noise);
}

/* --- Distances --- */

/* Inflates with zlib and a window of exactly that size, a byte at a time, so
 * that nothing but the window can be referred to. */
static void inflate_truly(z_stream *stream, const uint8_t *in, size_t len,
                          const uint8_t *want, size_t want_len) {
  size_t got = 0;
  uint8_t byte;
  stream->next_in = (Bytef *)(uintptr_t)in;
  stream->avail_in = (uInt)len;
  for (;;) {
    int status;
    stream->next_out = &byte;
    stream->avail_out = 1;
    status = inflate(stream, Z_SYNC_FLUSH);
    if (stream->avail_out == 1) {
      assert_true(status == Z_OK || status == Z_BUF_ERROR);
      break;
    }
    assert_int_equal(status, Z_OK);
    assert_true(got < want_len && byte == want[got]);
    got++;
  }
  assert_int_equal(stream->avail_in, 0);
  assert_int_equal(got, want_len);
}

static void keeps_to_window(const nws_deflate_config *config, unsigned bits,
                            int no_takeover) {
  const nws_deflate_params params = {(uint8_t)no_takeover, 0, (uint8_t)bits,
                                     15};
  nws_deflate deflate;
  nws_extension_use use;
  dfl_bytes plain = {0}, out = {0}, seen = {0};
  uint32_t seed = bits;
  size_t farthest = 0;
  z_stream stream;
  memset(&stream, 0, sizeof(stream));
  assert_int_equal(inflateInit2(&stream, -(int)bits), Z_OK);
  dfl_init(&deflate, config);
  assert_int_equal(nws_deflate_use(&deflate, &params, &use), NWS_OK);
  for (unsigned i = 0; i < 60; i++) {
    const size_t lens[] = {1, 40, 300, 1200, 3000, 70000};
    plain.len = 0;
    dfl_add_kind(&plain, i % DFL_KINDS, lens[i / 2 % (i < 14 ? 6 : 5)], &seed);
    if (i % 4 == 3) { /* the same again, some way off */
      dfl_add(&plain, plain.data, plain.len < 250 ? plain.len : 250);
    }
    out.len = 0;
    encode(&use, plain.data, plain.len, 1, &out);
    dfl_add(&out, tail, sizeof(tail));
    if (no_takeover) {
      seen.len = 0;
      inflateReset(&stream);
    }
    dfl_inflate(out.data, out.len, &seen, &farthest);
    assert_memory_equal(seen.data + seen.len - plain.len, plain.data,
                        plain.len);
    inflate_truly(&stream, out.data, out.len, plain.data, plain.len);
  }
  assert_true(farthest <= (size_t)1 << bits);
  assert_true(farthest > 0);
  inflateEnd(&stream);
  nws_extension_release(&use, 1);
  nws_deflate_free(&deflate);
  dfl_free(&plain);
  dfl_free(&out);
  dfl_free(&seen);
}

static void no_distance_is_too_far(void **unused) {
  const nws_deflate_backend *backends[2];
  const size_t count = dfl_backends(backends);
  (void)unused;
  for (size_t i = 0; i < count; i++) {
    for (unsigned bits = 8; bits <= 15; bits++) {
      const unsigned last = i == 0 ? 9 : 1;
      for (unsigned level = 1; level <= last; level += bits < 10 ? 1 : 4) {
        const nws_deflate_config config =
            config_with(backends[i], level, bits == 8 && level % 2 ? 1 : 8);
        keeps_to_window(&config, bits, 0);
        keeps_to_window(&config, bits, 1);
      }
    }
  }
}

/* --- In step --- */

/* Messages of all kinds in both directions: whole, in fragments, plain, with
 * control frames in between. */
static void talk(dfl_pair *pair, unsigned messages) {
  dfl_bytes plain = {0}, wire = {0};
  uint32_t seed = messages;
  for (unsigned i = 0; i < messages; i++) {
    dfl_end *from = i % 2 ? &pair->client : &pair->server;
    dfl_end *to = i % 2 ? &pair->server : &pair->client;
    const size_t len = dfl_number(&seed) % (i % 50 ? 400 : 20000);
    const unsigned way = dfl_number(&seed) % 4;
    plain.len = 0;
    wire.len = 0;
    dfl_add_kind(&plain, dfl_number(&seed) % DFL_KINDS, len, &seed);
    if (way < 2) {
      dfl_pass(from, to, NWS_OPCODE_BINARY | (way ? NWS_SEND_PLAIN : 0),
               plain.data, len);
      continue;
    }
    const size_t cut = len > 0 ? dfl_number(&seed) % len : 0;
    const size_t before = to->messages;
    dfl_send(from, NWS_OPCODE_BINARY | NWS_SEND_MORE, plain.data, cut, &wire);
    dfl_send(from, NWS_OPCODE_PING, "?", 1, &wire);
    dfl_send(from, NWS_OPCODE_CONTINUATION | NWS_SEND_MORE, NULL, 0, &wire);
    dfl_send(from, NWS_OPCODE_CONTINUATION | (way == 3 ? NWS_SEND_MORE : 0),
             plain.len > 0 ? plain.data + cut : NULL, len - cut, &wire);
    if (way == 3) {
      dfl_send(from, NWS_OPCODE_CONTINUATION, NULL, 0, &wire);
    }
    assert_int_equal(dfl_feed(to, wire.data, wire.len, 0), NWS_OK);
    assert_int_equal(to->messages, before + 1);
    dfl_equal(&to->got, plain.data, len);
  }
  dfl_free(&plain);
  dfl_free(&wire);
}

static void a_thousand_messages(void **unused) {
  const nws_deflate_backend *backends[2];
  const size_t count = dfl_backends(backends);
  (void)unused;
  for (size_t i = 0; i < 4 * count; i++) {
    nws_deflate_config client = config_with(backends[i / 4], 0, 0);
    nws_deflate_config server = client;
    nws_deflate a, b;
    dfl_pair pair;
    client.send_no_takeover = i & 1;
    server.send_no_takeover = i >> 1 & 1;
    client.send_window_bits = i % 4 == 0 ? 8 : 0;
    server.min_size = 0;
    dfl_init(&a, &client);
    dfl_init(&b, &server);
    assert_int_equal(dfl_shake(&pair, &a, &b, 512), NWS_OK);
    talk(&pair, 1000);
    dfl_part(&pair);
    nws_deflate_free(&a);
    nws_deflate_free(&b);
  }
}

/* Takeover pays: the second of two equal messages is short, unless the
 * direction has none. */
static void takeover_shows(void **unused) {
  (void)unused;
  for (unsigned none = 0; none < 2; none++) {
    nws_deflate_config config = config_with(NULL, 0, 0);
    const nws_deflate_params params = {(uint8_t)none, 0, 15, 15};
    nws_deflate deflate;
    dfl_bytes plain = {0}, first = {0}, second = {0};
    uint32_t seed = 3;
    dfl_end end;
    dfl_add_kind(&plain, DFL_NOISE, 250, &seed);
    dfl_init(&deflate, &config);
    dfl_open_with(&end, NWS_ROLE_SERVER, &deflate, &params, 0);
    dfl_send(&end, NWS_OPCODE_BINARY, plain.data, plain.len, &first);
    dfl_send(&end, NWS_OPCODE_BINARY, plain.data, plain.len, &second);
    assert_true(first.len > 250);
    if (none) {
      dfl_equal(&second, first.data, first.len);
    } else {
      assert_true(second.len < 20);
    }
    dfl_close(&end);
    nws_deflate_free(&deflate);
    dfl_free(&plain);
    dfl_free(&first);
    dfl_free(&second);
  }
}

/* How long one message becomes. */
static size_t length_at(const nws_deflate_config *config,
                        const dfl_bytes *plain) {
  const nws_deflate_params params = {0, 0, 15, 15};
  nws_deflate deflate;
  dfl_bytes wire = {0};
  dfl_end end;
  size_t len;
  dfl_init(&deflate, config);
  dfl_open_with(&end, NWS_ROLE_SERVER, &deflate, &params, 0);
  dfl_send(&end, NWS_OPCODE_BINARY, plain->data, plain->len, &wire);
  len = wire.len;
  dfl_close(&end);
  dfl_free(&wire);
  nws_deflate_free(&deflate);
  return len;
}

/* Levels and memory do what they say, and the defaults are the documented
 * ones. */
static void levels(void **unused) {
  nws_deflate_config config = config_with(NULL, 0, 0);
  dfl_bytes plain = {0};
  uint32_t seed = 13;
  size_t lens[10], last = SIZE_MAX;
  (void)unused;
  dfl_add_kind(&plain, DFL_JSON, 60000, &seed);
  for (unsigned level = 1; level <= 9; level++) {
    config.level = (uint8_t)level;
    lens[level] = length_at(&config, &plain);
    assert_true(lens[level] <= plain.len / 3);
  }
  assert_true(lens[9] < lens[6] && lens[6] < lens[1]);
  config.level = 0;
  assert_int_equal(length_at(&config, &plain), lens[6]);
  for (unsigned mem_level = 1; mem_level <= 9; mem_level++) {
    size_t bytes;
    config.mem_level = (uint8_t)mem_level;
    assert_int_equal(nws_deflate_cost(&config, &bytes), NWS_OK);
    assert_true(mem_level == 1 || bytes > last);
    last = bytes;
    lens[mem_level] = length_at(&config, &plain);
  }
  assert_true(lens[1] != lens[8]);
  config.mem_level = 0;
  assert_int_equal(length_at(&config, &plain), lens[8]);
  dfl_free(&plain);
}

/* What does not get smaller is sent as it came out: the next message may refer
 * to it. */
static void larger_than_plain(void **unused) {
  nws_deflate deflate;
  dfl_pair pair;
  dfl_bytes noise = {0};
  uint32_t seed = 7;
  (void)unused;
  dfl_add_kind(&noise, DFL_NOISE, 3000, &seed);
  dfl_init(&deflate, NULL);
  assert_int_equal(dfl_shake(&pair, &deflate, &deflate, 0), NWS_OK);
  for (unsigned i = 0; i < 3; i++) {
    dfl_pass(&pair.client, &pair.server, NWS_OPCODE_BINARY, noise.data,
             noise.len);
  }
  dfl_part(&pair);
  nws_deflate_free(&deflate);
  dfl_free(&noise);
}

/* --- Which messages --- */

/* The first byte and the payload of what is sent. */
static unsigned sent(dfl_end *end, unsigned what, const void *payload,
                     size_t len, dfl_bytes *out) {
  dfl_bytes wire = {0};
  nws_frame frame;
  dfl_send(end, what, payload, len, &wire);
  frame = dfl_frame(&wire, out);
  dfl_free(&wire);
  return (frame.fin ? 0x80u : 0) | frame.rsv | frame.opcode;
}

static void what_goes_plain(void **unused) {
  static const char text[] = "all work and no play makes Jack a dull boy";
  const nws_deflate_params params = {0, 0, 15, 15};
  nws_deflate_config config = {.size = sizeof(config)};
  nws_deflate deflate;
  dfl_bytes out = {0};
  dfl_end end;
  uint8_t room[64];
  size_t len;
  (void)unused;
  dfl_init(&deflate, &config);
  dfl_open_with(&end, NWS_ROLE_SERVER, &deflate, &params, 0);
  assert_int_equal(sent(&end, NWS_OPCODE_TEXT, text, 32, &out), 0xc1);
  assert_int_equal(sent(&end, NWS_OPCODE_BINARY, text, 31, &out), 0x82);
  dfl_equal(&out, text, 31);
  assert_int_equal(sent(&end, NWS_OPCODE_TEXT, NULL, 0, &out), 0x81);
  assert_int_equal(sent(&end, NWS_OPCODE_PING, text, 40, &out), 0x89);
  assert_int_equal(sent(&end, NWS_OPCODE_TEXT | NWS_SEND_PLAIN, text, 40, &out),
                   0x81);
  dfl_equal(&out, text, 40);
  /* What cannot be encoded needs no more room than it has. */
  assert_int_equal(nws_conn_send(&end.conn, NWS_OPCODE_TEXT | NWS_SEND_PLAIN,
                                 text, 40, room, 42, &len),
                   NWS_OK);
  assert_int_equal(
      nws_conn_send(&end.conn, NWS_OPCODE_PING, text, 40, room, 42, &len),
      NWS_OK);
  assert_int_equal(
      nws_conn_send(&end.conn, NWS_OPCODE_TEXT, text, 40, room, 42, &len),
      NWS_ERROR_BUFFER);

  /* A message in fragments has no size yet, and its first frame decides. */
  assert_int_equal(sent(&end, NWS_OPCODE_TEXT | NWS_SEND_MORE, "a", 1, &out),
                   0x41);
  assert_int_equal(nws_conn_send(&end.conn,
                                 NWS_OPCODE_CONTINUATION | NWS_SEND_PLAIN, "b",
                                 1, room, sizeof(room), &len),
                   NWS_ERROR_NO_ENCODING);
  assert_int_equal(nws_conn_send_begin(&end.conn, NWS_OPCODE_CONTINUATION, 1,
                                       room, sizeof(room), &len),
                   NWS_ERROR_NO_ENCODING);
  assert_int_equal(sent(&end, NWS_OPCODE_PONG, "a", 1, &out), 0x8a);
  assert_int_equal(sent(&end, NWS_OPCODE_CONTINUATION, NULL, 0, &out), 0x80);
  dfl_equal(&out, "", 1); /* one byte, of zero: RFC 7692 7.2.3.6 */
  assert_int_equal(sent(&end, NWS_OPCODE_TEXT | NWS_SEND_MORE | NWS_SEND_PLAIN,
                        text, 40, &out),
                   0x01);
  assert_int_equal(sent(&end, NWS_OPCODE_CONTINUATION, text, 40, &out), 0x80);
  dfl_equal(&out, text, 40);
  dfl_close(&end);
  nws_deflate_free(&deflate);
  dfl_free(&out);
}

/* "So that nothing is compressed together": plain messages, and those too
 * short, leave the window as it is. */
static void plain_leaves_the_window(void **unused) {
  const nws_deflate_params params = {0, 0, 15, 15};
  nws_deflate deflate;
  dfl_bytes plain = {0}, quiet = {0}, mixed = {0}, out = {0};
  uint32_t seed = 5;
  dfl_end end;
  (void)unused;
  dfl_init(&deflate, NULL);
  dfl_add_kind(&plain, DFL_JSON, 4000, &seed);
  for (unsigned mix = 0; mix < 2; mix++) {
    dfl_open_with(&end, NWS_ROLE_SERVER, &deflate, &params, 0);
    for (size_t i = 0; i < 10; i++) {
      if (mix) {
        dfl_send(&end, NWS_OPCODE_BINARY | NWS_SEND_PLAIN, plain.data, 4000,
                 &out);
        dfl_send(&end, NWS_OPCODE_BINARY, plain.data + 2000, 20, &out);
      }
      dfl_send(&end, NWS_OPCODE_BINARY, plain.data + 300 * i, 300,
               mix ? &mixed : &quiet);
    }
    dfl_close(&end);
  }
  dfl_equal(&mixed, quiet.data, quiet.len);
  nws_deflate_free(&deflate);
  dfl_free(&plain);
  dfl_free(&quiet);
  dfl_free(&mixed);
  dfl_free(&out);
}

/* A call that fails has compressed nothing. */
static int no_key(void *user, void *out, size_t len) {
  (void)user;
  (void)out;
  (void)len;
  return -1;
}

static void failing_changes_nothing(void **unused) {
  static const char text[] = "one two three four five six seven eight nine ten";
  nws_deflate deflate;
  dfl_pair pair;
  uint8_t out[256];
  size_t len;
  (void)unused;
  dfl_init(&deflate, NULL);
  assert_int_equal(dfl_shake(&pair, &deflate, &deflate, 0), NWS_OK);
  for (size_t cap = 0; cap < nws_conn_send_room(&pair.client.conn, 40); cap++) {
    assert_int_equal(nws_conn_send(&pair.client.conn, NWS_OPCODE_TEXT, text, 40,
                                   out, cap, &len),
                     NWS_ERROR_BUFFER);
    assert_int_equal(len, nws_conn_send_room(&pair.client.conn, 40));
  }
  pair.client.random.fill = no_key;
  assert_int_equal(nws_conn_send(&pair.client.conn,
                                 NWS_OPCODE_TEXT | NWS_SEND_MORE, text, 40, out,
                                 sizeof(out), &len),
                   NWS_ERROR_RANDOM);
  pair.client.random = dfl_random;
  assert_int_equal(nws_conn_send(&pair.client.conn, NWS_OPCODE_TEXT, "\xff", 1,
                                 out, sizeof(out), &len),
                   NWS_ERROR_TEXT_SEND);
  assert_int_equal(nws_deflate_held(pair.client.uses, 1) < 1000, 1);
  dfl_pass(&pair.client, &pair.server, NWS_OPCODE_TEXT, text, sizeof(text) - 1);
  dfl_part(&pair);
  nws_deflate_free(&deflate);
}

/* --- A backend of the user's --- */

static int calls_left;

static int moody(void *state, const uint8_t *in, size_t in_len, uint8_t *out,
                 size_t cap, size_t *len) {
  const int status =
      nws_deflate_zlib()->compress(state, in, in_len, out, cap, len);
  return calls_left-- > 0 ? status : NWS_ERROR_MEMORY;
}

/* One that fails has compressed all the same, but the peer never sees it. So
 * what comes next does not refer to it, in the middle of a message as well. */
static void a_backend_that_fails(void **unused) {
  static const char text[] = "never again, never again, never again, never";
  nws_deflate_backend backend = *nws_deflate_zlib();
  nws_deflate_config config = config_with(&backend, 0, 0);
  nws_deflate deflate;
  dfl_bytes wire = {0};
  dfl_pair pair;
  uint8_t out[256];
  size_t len;
  (void)unused;
  backend.name = "moody";
  backend.compress = moody;
  dfl_init(&deflate, &config);
  assert_int_equal(dfl_shake(&pair, &deflate, &deflate, 0), NWS_OK);
  for (unsigned more = 0; more < 2; more++) {
    const unsigned what =
        more ? NWS_OPCODE_CONTINUATION : (unsigned)NWS_OPCODE_TEXT;
    if (more) {
      calls_left = 1;
      dfl_send(&pair.client, NWS_OPCODE_TEXT | NWS_SEND_MORE, "first", 5,
               &wire);
    }
    calls_left = 0;
    assert_int_equal(nws_conn_send(&pair.client.conn, what, text, 44, out,
                                   sizeof(out), &len),
                     NWS_ERROR_MEMORY);
    calls_left = 10;
    dfl_send(&pair.client, what, text, 44, &wire);
  }
  dfl_send(&pair.client, NWS_OPCODE_TEXT, text, 44, &wire);
  assert_int_equal(dfl_feed(&pair.server, wire.data, wire.len, 1), NWS_OK);
  assert_int_equal(pair.server.messages, 3);
  dfl_equal(&pair.server.got, text, 44);
  dfl_part(&pair);
  nws_deflate_free(&deflate);
  dfl_free(&wire);
}

/* One that cannot keep to a small window is not asked to: zlib is, with zlib's
 * bound. */
static size_t tiny_bound(size_t len) {
  return len / 2 + 1;
}

static int never(void *state, const uint8_t *in, size_t in_len, uint8_t *out,
                 size_t cap, size_t *len) {
  (void)state, (void)in, (void)in_len, (void)out, (void)cap, (void)len;
  fail_msg("asked to compress");
  return NWS_ERROR_EXTENSION;
}

static void a_backend_with_large_windows(void **unused) {
  nws_deflate_backend backend = *nws_deflate_zlib();
  nws_deflate_config config = config_with(&backend, 0, 0);
  const nws_deflate_params params = {0, 0, 12, 15};
  nws_deflate deflate;
  nws_extension_use use;
  dfl_pair pair;
  (void)unused;
  backend.name = "large";
  backend.min_window_bits = 13;
  backend.compress = never;
  backend.bound = tiny_bound;
  dfl_init(&deflate, &config);
  assert_int_equal(nws_deflate_use(&deflate, &params, &use), NWS_OK);
  for (size_t len = 0; len < 2000; len += 7) {
    assert_int_equal(use.ext->encode_bound(use.state, len),
                     nws_deflate_zlib()->bound(len));
  }
  nws_extension_release(&use, 1);
  nws_deflate_free(&deflate);
  config.send_window_bits = 12;
  dfl_init(&deflate, &config);
  assert_int_equal(dfl_shake(&pair, &deflate, &deflate, 0), NWS_OK);
  dfl_pass(&pair.client, &pair.server, NWS_OPCODE_TEXT, "zlib does it", 12);
  dfl_part(&pair);
  nws_deflate_free(&deflate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bound_bounds),
      cmocka_unit_test(no_distance_is_too_far),
      cmocka_unit_test(a_thousand_messages),
      cmocka_unit_test(takeover_shows),
      cmocka_unit_test(levels),
      cmocka_unit_test(larger_than_plain),
      cmocka_unit_test(what_goes_plain),
      cmocka_unit_test(plain_leaves_the_window),
      cmocka_unit_test(failing_changes_nothing),
      cmocka_unit_test(a_backend_that_fails),
      cmocka_unit_test(a_backend_with_large_windows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
