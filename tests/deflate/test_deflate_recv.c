/* test_deflate_recv.c - messages received: everything that DEFLATE can hold, at
 * every cut and with every size of scratch; what is refused, and at which byte;
 * and the limits.
 */
#include "dfl_help.h"
#include "dfl_streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define FIN 0x80u
#define TEXT (FIN | NWS_RSV1 | NWS_OPCODE_TEXT)
#define FIRST (NWS_RSV1 | NWS_OPCODE_TEXT)
#define MIDDLE 0u
#define LAST FIN
#define PLAIN (FIN | NWS_OPCODE_TEXT)
#define PING (FIN | NWS_OPCODE_PING)

static const nws_deflate_params both = {0, 0, 15, 15};
static const nws_deflate_params none = {1, 1, 15, 15};

/* --- Streams of frames --- */

static void add_frame(dfl_bytes *stream, unsigned first, const char *hex) {
  dfl_bytes payload = {0};
  dfl_add_hex(&payload, hex);
  dfl_add_frame(stream, first, payload.data, payload.len, 1);
  dfl_free(&payload);
}

/* What the recorded streams are made of. */
static void dfl_text(dfl_bytes *text) {
  for (long i = 0; i < 40; i++) {
    char line[64];
    const int len = snprintf(line, sizeof(line), "line %ld of 40: %ld\n", i,
                             i * i * i * 7919 % 1000003);
    dfl_add(text, line, (size_t)len);
  }
}

/* Adds what dfl_end.all should hold for a text message. */
static void add_wanted(dfl_bytes *log, const void *text, size_t len) {
  dfl_add(log, text, len);
  dfl_add(log, "\1|", 2);
}

/* How a stream is to end. */
typedef struct outcome {
  int status;
  unsigned code; /* of the close that is owed because of it */
} outcome;

static const outcome fine = {NWS_OK, 1006};
static const outcome broken = {NWS_ERROR_EXTENSION, 1007};
static const outcome bad_bit = {NWS_ERROR_RSV, 1002};
static const outcome bad_text = {NWS_ERROR_TEXT, 1007};

static void run(const nws_deflate *deflate, const nws_deflate_params *params,
                const dfl_bytes *stream, size_t first, size_t step,
                size_t scratch_len, const dfl_bytes *want, outcome how) {
  dfl_end end;
  int status;
  dfl_open_with(&end, NWS_ROLE_SERVER, deflate, params, scratch_len);
  status = dfl_feed(&end, stream->data, first, 0);
  if (status == NWS_OK) {
    status = dfl_feed(&end, stream->data + first, stream->len - first, step);
  }
  assert_int_equal(status, how.status);
  assert_int_equal(nws_conn_close_sent(&end.conn), how.code);
  dfl_equal(&end.all, want->data, want->len);
  assert_true(end.largest <= (scratch_len > 5 ? scratch_len : 5));
  dfl_close(&end);
}

/* Feeds a stream at every split in two, byte by byte, and in some other steps,
 * with scratch of many sizes: the outcome is always the same. */
static void sweep(const nws_deflate_params *params, const dfl_bytes *stream,
                  const dfl_bytes *want, outcome how) {
  static const size_t scratches[] = {1, 2, 3, 7, 64, 4096};
  nws_deflate deflate;
  dfl_init(&deflate, NULL);
  for (size_t i = 0; i < sizeof(scratches) / sizeof(scratches[0]); i++) {
    for (size_t cut = 0; cut <= stream->len; cut++) {
      run(&deflate, params, stream, cut, 0, scratches[i], want, how);
    }
    for (size_t step = 1; step <= 17; step += 4) {
      run(&deflate, params, stream, 0, step, scratches[i], want, how);
    }
  }
  nws_deflate_free(&deflate);
}

/* The same with takeover and without: where messages do not refer back, or
 * there is but one, it makes no difference. */
static void sweep_both(dfl_bytes *stream, dfl_bytes *want, outcome how) {
  sweep(&both, stream, want, how);
  sweep(&none, stream, want, how);
  dfl_free(stream);
  dfl_free(want);
}

/* --- What is fine --- */

/* RFC 7692 7.2.3, word for word. */
static void examples_of_the_rfc(void **unused) {
  dfl_bytes stream = {0}, want = {0};
  (void)unused;
  add_frame(&stream, TEXT, "f248cdc9c90700");
  add_frame(&stream, FIRST, "f248cd");
  add_frame(&stream, LAST, "c9c90700");
  add_frame(&stream, TEXT, "000500faff48656c6c6f00");
  add_frame(&stream, TEXT, "f348cdc9c9070000");
  add_frame(&stream, TEXT, "f248050000 00ffffcac9c90700");
  for (size_t i = 0; i < 5; i++) {
    add_wanted(&want, "Hello", 5);
  }
  sweep_both(&stream, &want, fine);
  add_frame(&stream, TEXT, "f248cdc9c90700");
  add_frame(&stream, TEXT, "f200110000");
  add_frame(&stream, TEXT, "00");
  add_wanted(&want, "Hello", 5);
  add_wanted(&want, "Hello", 5);
  add_wanted(&want, "", 0);
  sweep(&both, &stream, &want, fine);
  dfl_free(&stream);
  dfl_free(&want);
}

static void one_stream(const char *hex, size_t len) {
  dfl_bytes stream = {0}, want = {0}, text = {0};
  dfl_text(&text);
  add_frame(&stream, TEXT, hex);
  add_wanted(&want, text.data, len != 0 ? len : text.len);
  sweep_both(&stream, &want, fine);
  dfl_free(&text);
}

static void all_kinds_of_blocks(void **unused) {
  (void)unused;
  one_stream(dynamic, 0);
  one_stream(huffman, 300);
  one_stream(fixed, 300);
  one_stream(stored, 300);
  one_stream(flushes, 600);
  one_stream(full, 600);
  one_stream(final, 600);
  one_stream(final_bare, 600);
  one_stream(small_window, 0);
}

static void overlapping_matches(void **unused) {
  dfl_bytes stream = {0}, want = {0};
  (void)unused;
  add_frame(&stream, TEXT, rle);
  for (size_t i = 0; i < 8; i++) {
    dfl_add(&want, "aaaaaaaaaabbbbbbbbbbbbbcdcdcd", 29);
  }
  add_wanted(&want, "", 0);
  sweep_both(&stream, &want, fine);
}

/* Plain messages in between, control frames inside, fragments of every size,
 * and the window goes on all the time. */
static void takeover_in_fragments(void **unused) {
  static const char *const messages[] = {takeover_1, takeover_2, takeover_3};
  dfl_bytes text = {0}, want = {0};
  (void)unused;
  dfl_text(&text);
  add_wanted(&want, text.data, text.len);
  add_wanted(&want, "plain", 5);
  add_wanted(&want, text.data, 300);
  add_wanted(&want, "plain", 5);
  add_wanted(&want, text.data + 500, text.len - 500);
  add_wanted(&want, "plain", 5);
  for (size_t piece = 1; piece < 300; piece = piece * 3 + 1) {
    dfl_bytes stream = {0}, payload = {0};
    for (size_t i = 0; i < 3; i++) {
      payload.len = 0;
      dfl_add_hex(&payload, messages[i]);
      dfl_add_frame(&stream, FIRST, NULL, 0, 1);
      for (size_t at = 0; at < payload.len; at += piece) {
        const size_t left = payload.len - at;
        dfl_add_frame(&stream, MIDDLE, payload.data + at,
                      piece < left ? piece : left, 1);
        if (at < 20) {
          dfl_add_frame(&stream, PING, "?", 1, 1);
          dfl_add_frame(&stream, MIDDLE, NULL, 0, 1);
        }
      }
      dfl_add_frame(&stream, LAST, NULL, 0, 1);
      dfl_add_frame(&stream, PLAIN, "plain", 5, 1);
    }
    if (piece > 1) {
      sweep(&both, &stream, &want, fine);
    }
    dfl_free(&payload);
    dfl_free(&stream);
  }
  dfl_free(&want);
  dfl_free(&text);
}

/* Plain messages come in fragments as well, and after compressed ones. */
static void plain_in_fragments(void **unused) {
  dfl_bytes stream = {0}, want = {0};
  (void)unused;
  for (size_t i = 0; i < 2; i++) {
    add_frame(&stream, NWS_OPCODE_TEXT, "48");
    add_frame(&stream, MIDDLE, "");
    add_frame(&stream, PING, "");
    add_frame(&stream, MIDDLE, "656c6c");
    add_frame(&stream, LAST, "6f");
    add_frame(&stream, FIRST, "f248cd");
    add_frame(&stream, LAST, "c9c90700");
    add_wanted(&want, "Hello", 5);
    add_wanted(&want, "Hello", 5);
  }
  sweep_both(&stream, &want, fine);
}

/* What libraries make of nothing: one byte, two, or none; and a flush that was
 * sent whole and is followed by nothing. */
static void empty_messages(void **unused) {
  dfl_bytes stream = {0}, want = {0};
  (void)unused;
  add_frame(&stream, TEXT, "00");
  add_frame(&stream, TEXT, "0200");
  add_frame(&stream, TEXT, "");
  add_frame(&stream, FIRST, "");
  add_frame(&stream, LAST, "");
  add_frame(&stream, FIRST, "");
  add_frame(&stream, LAST, "00");
  add_frame(&stream, FIRST, "00");
  add_frame(&stream, LAST, "");
  add_frame(&stream, FIRST, "00 0000ffff");
  add_frame(&stream, LAST, "");
  add_frame(&stream, TEXT, "0300 00");
  add_frame(&stream, TEXT, "0300");
  for (size_t i = 0; i < 9; i++) {
    add_wanted(&want, "", 0);
  }
  add_frame(&stream, FIRST, "f248cdc9c907000000ffff");
  add_frame(&stream, LAST, "");
  add_wanted(&want, "Hello", 5);
  add_frame(&stream, TEXT, "f248cdc9c90700");
  add_wanted(&want, "Hello", 5);
  sweep_both(&stream, &want, fine);
}

/* A final block ends a stream, but not what the next message may refer to. */
static void final_block_keeps_the_window(void **unused) {
  dfl_bytes stream = {0}, want = {0};
  (void)unused;
  add_frame(&stream, TEXT, "f348cdc9c9070000");
  add_frame(&stream, TEXT, "f200110000");
  add_wanted(&want, "Hello", 5);
  add_wanted(&want, "Hello", 5);
  sweep(&both, &stream, &want, fine);
  dfl_free(&stream);
  dfl_free(&want);
}

/* Every size of scratch up to one that holds all. */
static void every_scratch(void **unused) {
  static const char *const streams[] = {dynamic, flushes, final, small_window};
  static const size_t lens[] = {0, 600, 600, 0};
  static const size_t steps[] = {0, 1, 7};
  nws_deflate deflate;
  dfl_bytes text = {0};
  (void)unused;
  dfl_init(&deflate, NULL);
  dfl_text(&text);
  for (size_t i = 0; i < 4; i++) {
    dfl_bytes stream = {0}, want = {0};
    add_frame(&stream, TEXT, streams[i]);
    add_frame(&stream, PLAIN, "");
    add_wanted(&want, text.data, lens[i] != 0 ? lens[i] : text.len);
    add_wanted(&want, "", 0);
    for (size_t scratch_len = 1; scratch_len <= text.len + 1; scratch_len++) {
      for (size_t k = 0; k < 3; k++) {
        run(&deflate, &both, &stream, 0, steps[k], scratch_len, &want, fine);
      }
    }
    dfl_free(&stream);
    dfl_free(&want);
  }
  dfl_free(&text);
  nws_deflate_free(&deflate);
}

/* Connections of a loop inflate into the same scratch, their messages all
 * under way at once. */
static void one_scratch_for_all(void **unused) {
  enum { COUNT = 5 };
  const nws_deflate_params *const params[] = {&both, &none};
  nws_deflate deflate;
  dfl_bytes text = {0}, want = {0};
  uint8_t scratch[100];
  (void)unused;
  dfl_init(&deflate, NULL);
  dfl_text(&text);
  add_wanted(&want, text.data, 600);
  add_wanted(&want, text.data, 600);
  for (size_t p = 0; p < 2; p++) {
    dfl_bytes streams[COUNT] = {{0}};
    dfl_end ends[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
      add_frame(&streams[i], TEXT, i & 1 ? flushes : final);
      add_frame(&streams[i], TEXT, i & 1 ? final : flushes);
      dfl_open_with(&ends[i], NWS_ROLE_SERVER, &deflate, params[p], 0);
      ends[i].config.scratch = scratch;
      ends[i].config.scratch_len = sizeof(scratch);
    }
    for (size_t at = 0; at < 4000; at++) {
      const size_t i = at % COUNT, from = at / COUNT * 3;
      const size_t left = from < streams[i].len ? streams[i].len - from : 0;
      assert_int_equal(
          dfl_feed(&ends[i], streams[i].data + from, left < 3 ? left : 3, 0),
          NWS_OK);
    }
    for (size_t i = 0; i < COUNT; i++) {
      dfl_equal(&ends[i].all, want.data, want.len);
      dfl_close(&ends[i]);
      dfl_free(&streams[i]);
    }
  }
  nws_deflate_free(&deflate);
  dfl_free(&text);
  dfl_free(&want);
}

/* --- What is not --- */

static void refused(unsigned first, const char *hex, const char *good,
                    outcome how) {
  dfl_bytes stream = {0}, want = {0};
  add_frame(&stream, first, hex);
  add_frame(&stream, PLAIN, "");
  dfl_add(&want, good, strlen(good));
  sweep_both(&stream, &want, how);
}

static void data_that_is_not_deflate(void **unused) {
  (void)unused;
  refused(TEXT, "06", "", broken);                  /* no such type of block */
  refused(TEXT, "f248cdc9c90706", "Hello", broken); /* behind good bytes */
  refused(TEXT, "000500faff48656c6c6f06", "Hello", broken);
  refused(TEXT, "000500fafe48656c6c6f00", "", broken); /* lengths disagree */
  refused(TEXT, "f200110000", "H", broken); /* before the beginning */
  refused(TEXT, "ffffffffffffffff", "", broken);
  refused(TEXT, "05e0810800000000209f0a", "", broken); /* codes that are none */
}

/* A message ends where its blocks do. */
static void data_that_is_cut(void **unused) {
  (void)unused;
  refused(TEXT, "f2", "", broken);
  refused(TEXT, "f248cdc9", "Hel", broken);
  refused(TEXT, "f248cdc9c907", "Hello", broken);
  refused(TEXT, "000500faff", "", broken);
  refused(TEXT, "000500faff4865", "He", broken);
  refused(TEXT, "0005", "", broken);
  refused(TEXT, "000000", "", broken);
  refused(TEXT, "000000ff", "", broken);
  refused(TEXT, "f248cdc9c907000000", "Hello", broken);
  /* Cut before the code that ends the block, at the end of a byte: the next bit
   * would be that code. */
  refused(TEXT, "02108007220000000080e06f7d", "", broken);
}

static void bits_where_they_must_not_be(void **unused) {
  dfl_bytes stream = {0}, want = {0};
  (void)unused;
  add_frame(&stream, PING | NWS_RSV1, "");
  sweep_both(&stream, &want, bad_bit);
  add_frame(&stream, FIRST, "f248cd");
  add_frame(&stream, FIN | NWS_RSV1, "c9c90700");
  dfl_add(&want, "He", 2); /* the third is not whole yet */
  sweep_both(&stream, &want, bad_bit);
  add_frame(&stream, NWS_OPCODE_TEXT, "48");
  add_frame(&stream, FIN | NWS_RSV1, "49");
  dfl_add(&want, "H", 1);
  sweep_both(&stream, &want, bad_bit);
  add_frame(&stream, TEXT | NWS_RSV2, "00");
  sweep_both(&stream, &want, bad_bit);
  add_frame(&stream, FIN | NWS_RSV1 | NWS_OPCODE_CLOSE, "");
  sweep_both(&stream, &want, bad_bit);
}

/* RSV1 without the extension is no bit of ours. */
static void not_agreed(void **unused) {
  dfl_bytes stream = {0};
  dfl_end end;
  (void)unused;
  add_frame(&stream, TEXT, "f248cdc9c90700");
  dfl_open(&end, NWS_ROLE_SERVER, NULL, 0, NULL, 0);
  assert_int_equal(dfl_feed(&end, stream.data, stream.len, 0), NWS_ERROR_RSV);
  dfl_close(&end);
  dfl_free(&stream);
}

/* Text is judged as it comes out: a stored "ab", a byte that is none, "c". */
static void text_that_is_none(void **unused) {
  (void)unused;
  refused(TEXT, "000400fbff6162ff6300", "ab", bad_text);
  refused(TEXT, "000100feffc300", "\xc3", bad_text); /* a character cut */
}

/* Compresses all of it, without the tail. */
static void compress_whole(const void *text, size_t len, dfl_bytes *out) {
  uint8_t room[512];
  z_stream stream;
  memset(&stream, 0, sizeof(stream));
  assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, 0), Z_OK);
  stream.next_in = (Bytef *)(uintptr_t)text;
  stream.avail_in = (uInt)len;
  stream.next_out = room;
  stream.avail_out = sizeof(room);
  assert_int_equal(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
  assert_true(stream.avail_out > 0);
  out->len = 0;
  dfl_add(out, room, sizeof(room) - stream.avail_out - 4);
  deflateEnd(&stream);
}

/* Characters of every length, ended after every byte and with every byte in
 * turn made wrong: the verdict, and what comes before it, is that of the text
 * as it is, whatever the pieces. */
static void text_in_pieces(void **unused) {
  static const char good[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
  enum { LEN = sizeof(good) - 1 };
  (void)unused;
  for (size_t i = 0; i < 2 * LEN; i++) {
    const size_t len = i < LEN ? i + 1 : LEN;
    char text[LEN];
    nws_utf8 utf8 = NWS_UTF8_START;
    dfl_bytes stream = {0}, want = {0}, payload = {0};
    size_t valid;
    memcpy(text, good, LEN);
    if (i >= LEN) {
      text[i - LEN] = '\xff';
    }
    valid = nws_utf8_check(&utf8, text, len);
    compress_whole(text, len, &payload);
    for (size_t k = 0; k < 3; k++) { /* in two fragments, all but the first */
      const size_t cut = payload.len * k / 3;
      stream.len = 0;
      want.len = 0;
      if (k > 0) {
        dfl_add_frame(&stream, FIRST, payload.data, cut, 1);
      }
      dfl_add_frame(&stream, k > 0 ? LAST : TEXT, payload.data + cut,
                    payload.len - cut, 1);
      dfl_add(&want, text, valid);
      if (valid == len && utf8 == NWS_UTF8_START) {
        add_wanted(&want, "", 0);
        sweep(&both, &stream, &want, fine);
      } else {
        sweep(&both, &stream, &want, bad_text);
      }
    }
    dfl_free(&stream);
    dfl_free(&want);
    dfl_free(&payload);
  }
}

/* With a window of 256 bytes, what lies further back is gone. */
static void window_of_256(void **unused) {
  const nws_deflate_params small = {0, 0, 15, 8};
  dfl_bytes stream = {0}, want = {0}, block = {0};
  uint32_t seed = 9;
  (void)unused;
  dfl_add_hex(&block, "002c01d3fe"); /* 300 bytes, stored */
  dfl_add_kind(&block, DFL_JSON, 300, &seed);
  dfl_add_hex(&block, "00");
  dfl_add_frame(&stream, TEXT, block.data, block.len, 1);
  add_wanted(&want, block.data + 5, 300);
  /* A match of 3 at distance 256: length code 257, distance code 15 and its 6
   * extra bits set; then at 257: distance code 16 and 7 extra bits of zero. */
  add_frame(&stream, TEXT, "02fa1f00");
  dfl_add(&want, block.data + 5 + 44, 3);
  add_wanted(&want, "", 0);
  sweep(&small, &stream, &want, fine);
  want.len -= 3 + 2;
  stream.len -= 6 + 4;
  add_frame(&stream, TEXT, "02060000");
  sweep(&small, &stream, &want, broken);
  dfl_free(&stream);
  dfl_free(&want);
  dfl_free(&block);
}

/* Without a limit a match may go back 32,768 bytes, which is as far as DEFLATE
 * can say, also across messages and whatever the pieces. */
static void window_of_32768(void **unused) {
  enum { LEN = 32768 };
  static const size_t scratches[] = {64, 4096, 2 * LEN};
  dfl_bytes stream = {0}, want = {0}, block = {0};
  nws_deflate deflate;
  uint32_t seed = 10;
  (void)unused;
  dfl_add_hex(&block, "000080ff7f"); /* stored */
  dfl_add_kind(&block, DFL_JSON, LEN, &seed);
  dfl_add_hex(&block, "00");
  dfl_add_frame(&stream, TEXT, block.data, block.len, 1);
  add_wanted(&want, block.data + 5, LEN);
  /* A match of 3: length code 257, distance code 29 and its 13 extra bits. */
  add_frame(&stream, TEXT, "02deff0f00");
  add_wanted(&want, block.data + 5, 3);
  dfl_init(&deflate, NULL);
  for (size_t i = 0; i < sizeof(scratches) / sizeof(scratches[0]); i++) {
    for (size_t cut = 0; cut <= 20; cut++) {
      run(&deflate, &both, &stream, stream.len - cut, 0, scratches[i], &want,
          fine);
    }
    run(&deflate, &both, &stream, 0, 1000, scratches[i], &want, fine);
  }
  nws_deflate_free(&deflate);
  dfl_free(&stream);
  dfl_free(&want);
  dfl_free(&block);
}

/* --- Limits --- */

/* A message of `len` zeros, compressed as well as can be. */
static void add_bomb(dfl_bytes *stream, size_t len) {
  static const uint8_t zeros[4096];
  uint8_t out[4096];
  dfl_bytes payload = {0};
  z_stream stream_out;
  memset(&stream_out, 0, sizeof(stream_out));
  assert_int_equal(deflateInit2(&stream_out, 9, Z_DEFLATED, -15, 9, 0), Z_OK);
  for (int flush = Z_NO_FLUSH; flush == Z_NO_FLUSH;) {
    stream_out.next_in = (Bytef *)(uintptr_t)zeros;
    stream_out.avail_in = (uInt)(len < sizeof(zeros) ? len : sizeof(zeros));
    len -= stream_out.avail_in;
    flush = len == 0 ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    do {
      stream_out.next_out = out;
      stream_out.avail_out = sizeof(out);
      assert_int_equal(deflate(&stream_out, flush), Z_OK);
      dfl_add(&payload, out, sizeof(out) - stream_out.avail_out);
    } while (stream_out.avail_out == 0);
  }
  deflateEnd(&stream_out);
  dfl_add_frame(stream, FIN | NWS_RSV1 | NWS_OPCODE_BINARY, payload.data,
                payload.len - 4, 1);
  dfl_free(&payload);
}

/* Feeds a stream to a server with such limits. */
static int feed_limited(dfl_end *end, nws_deflate_config *config,
                        uint64_t max_message, size_t scratch_len,
                        const dfl_bytes *stream, size_t step) {
  const nws_conn_config limits = {.max_frame = 1 << 20,
                                  .max_message = max_message};
  nws_deflate deflate;
  nws_extension_use use;
  int status;
  config->size = sizeof(*config);
  dfl_init(&deflate, config);
  assert_int_equal(nws_deflate_use(&deflate, &both, &use), NWS_OK);
  dfl_open(end, NWS_ROLE_SERVER, &use, 1, &limits, scratch_len);
  status = dfl_feed(end, stream->data, stream->len, step);
  nws_extension_release(end->uses, 1);
  end->use_count = 0;
  nws_deflate_free(&deflate);
  return status;
}

/* 1000:1 ends exactly at the limit, with 1009, and with no more memory than
 * one state. */
static void bomb_meets_the_limit(void **unused) {
  static const size_t limits[] = {1, 1000, 65536, 1 << 20, (1 << 20) + 1};
  static const size_t steps[] = {0, 1, 100};
  dfl_bytes stream = {0};
  (void)unused;
  add_bomb(&stream, 16 << 20);
  assert_true(stream.len < (16 << 20) / 1000);
  for (size_t i = 0; i < 15; i++) {
    nws_deflate_config config = {0};
    dfl_memory memory;
    dfl_end end;
    dfl_memory_init(&memory);
    config.allocator = &memory.allocator;
    assert_int_equal(
        feed_limited(&end, &config, limits[i % 5], 4096, &stream, steps[i / 5]),
        NWS_ERROR_MESSAGE_LIMIT);
    assert_int_equal(end.got.len, limits[i % 5]);
    assert_int_equal(end.messages, 0);
    assert_int_equal(nws_conn_close_sent(&end.conn), NWS_CLOSE_MESSAGE_TOO_BIG);
    assert_true(memory.peak < 50000);
    assert_int_equal(memory.live, 0);
    dfl_close(&end);
  }
  dfl_free(&stream);
}

/* Memory that grows, counted. */
typedef struct growing {
  nws_allocator allocator;
  size_t live, peak;
} growing;

static void *grow(void *user, void *ptr, size_t old_len, size_t new_len) {
  growing *memory = user;
  memory->live = memory->live - old_len + new_len;
  memory->peak = memory->live > memory->peak ? memory->live : memory->peak;
  if (new_len == 0) {
    free(ptr);
    return NULL;
  }
  ptr = realloc(ptr, new_len);
  assert_non_null(ptr);
  return ptr;
}

/* Receives into a message until there is a fault, and returns it. */
static int receive_whole(dfl_end *end, dfl_bytes *stream,
                         nws_message *message) {
  nws_input in = {stream->data, stream->len, 0};
  nws_event event;
  int type;
  while ((type = nws_conn_recv(&end->conn, &in, &event)) > 0) {
    assert_int_equal(nws_message_add(message, &event), NWS_MORE);
  }
  return type;
}

/* All that there is, the message put together and the extension's state: no
 * more than the limit and a chunk, which is the inflater with its window and
 * the scratch. */
static void bomb_in_a_message(void **unused) {
  enum { CHUNK = 48 * 1024, SCRATCH = 4096 };
  static const size_t limits[] = {1000, 100000, 1 << 20, 3333333};
  (void)unused;
  for (size_t i = 0; i < 4; i++) {
    growing memory = {{grow, NULL}, 0, 0};
    nws_deflate_config config = {.size = sizeof(config)};
    const nws_conn_config conn = {.max_message = limits[i],
                                  .max_frame = 1 << 20};
    nws_deflate deflate;
    nws_extension_use use;
    nws_message message;
    dfl_bytes stream = {0};
    dfl_end end;
    memory.allocator.user = &memory;
    config.allocator = &memory.allocator;
    add_bomb(&stream, 16 << 20);
    dfl_init(&deflate, &config);
    assert_int_equal(nws_deflate_use(&deflate, &both, &use), NWS_OK);
    dfl_open(&end, NWS_ROLE_SERVER, &use, 1, &conn, SCRATCH);
    nws_message_init(&message, &memory.allocator, limits[i]);
    assert_int_equal(receive_whole(&end, &stream, &message),
                     NWS_ERROR_MESSAGE_LIMIT);
    assert_int_equal(nws_conn_close_sent(&end.conn), NWS_CLOSE_MESSAGE_TOO_BIG);
    assert_int_equal(message.len, limits[i]);
    assert_true(memory.peak + SCRATCH <= limits[i] + CHUNK);
    nws_message_free(&message);
    dfl_close(&end);
    nws_deflate_free(&deflate);
    assert_int_equal(memory.live, 0);
    dfl_free(&stream);
  }
}

static void bomb_within_the_limit(void **unused) {
  dfl_bytes stream = {0};
  nws_deflate_config config = {0};
  dfl_end end;
  (void)unused;
  add_bomb(&stream, 1 << 20);
  assert_int_equal(feed_limited(&end, &config, 1 << 20, 4096, &stream, 0),
                   NWS_OK);
  assert_int_equal(end.messages, 1);
  assert_int_equal(end.got.len, 1 << 20);
  dfl_close(&end);
  dfl_free(&stream);
}

static void bomb_meets_the_ratio(void **unused) {
  dfl_bytes small = {0}, large = {0};
  (void)unused;
  add_bomb(&small, 65536);
  add_bomb(&large, 4 << 20);
  for (uint64_t ratio = 1; ratio <= 900; ratio *= 30) {
    for (size_t scratch_len = 1; scratch_len <= 4096; scratch_len *= 16) {
      nws_deflate_config config = {.max_ratio = ratio};
      const uint64_t most = ratio * large.len;
      dfl_end end;
      assert_int_equal(
          feed_limited(&end, &config, NWS_UNLIMITED, scratch_len, &small, 0),
          NWS_OK);
      assert_int_equal(end.messages, 1);
      dfl_close(&end);
      assert_int_equal(
          feed_limited(&end, &config, NWS_UNLIMITED, scratch_len, &large, 7),
          NWS_ERROR_MESSAGE_LIMIT);
      assert_int_equal(end.messages, 0);
      assert_true(end.got.len >= 65536);
      assert_true(end.got.len <= (most > 65536 ? most : 65536));
      assert_int_equal(nws_conn_close_sent(&end.conn),
                       NWS_CLOSE_MESSAGE_TOO_BIG);
      dfl_close(&end);
    }
  }
  dfl_free(&small);
  dfl_free(&large);
}

/* By default the ratio is what DEFLATE can do at all. */
static void ratio_by_default(void **unused) {
  static const uint64_t ratios[] = {0, NWS_UNLIMITED, UINT64_C(1) << 63};
  dfl_bytes stream = {0};
  (void)unused;
  add_bomb(&stream, 4 << 20);
  for (size_t i = 0; i < 3; i++) {
    nws_deflate_config config = {.max_ratio = ratios[i]};
    dfl_end end;
    assert_int_equal(
        feed_limited(&end, &config, NWS_UNLIMITED, 4096, &stream, 1), NWS_OK);
    assert_int_equal(end.got.len, 4 << 20);
    dfl_close(&end);
  }
  dfl_free(&stream);
}

/* A close of ours in the middle of a message: what follows is skipped, and
 * nothing is left behind. */
static void closing_inside_a_message(void **unused) {
  dfl_bytes stream = {0};
  dfl_memory memory;
  nws_deflate_config config = {.size = sizeof(config)};
  nws_deflate deflate;
  uint8_t out[NWS_CONTROL_FRAME_MAX];
  size_t len;
  dfl_end end;
  (void)unused;
  dfl_memory_init(&memory);
  config.allocator = &memory.allocator;
  dfl_init(&deflate, &config);
  dfl_open_with(&end, NWS_ROLE_SERVER, &deflate, &none, 0);
  add_frame(&stream, FIRST, "f248cd");
  assert_int_equal(dfl_feed(&end, stream.data, stream.len, 0), NWS_OK);
  assert_int_equal(
      nws_conn_close(&end.conn, 1000, nws_str_of(""), out, sizeof(out), &len),
      NWS_OK);
  stream.len = 0;
  add_frame(&stream, LAST, "ff");
  add_frame(&stream, TEXT, "ff");
  add_frame(&stream, TEXT, "f248cdc9c90700");
  assert_int_equal(dfl_feed(&end, stream.data, stream.len, 1), NWS_OK);
  assert_true(nws_deflate_held(end.uses, 1) < 256); /* the inflater is back */
  stream.len = 0;
  add_frame(&stream, FIN | NWS_OPCODE_CLOSE, "03e8");
  assert_int_equal(dfl_feed(&end, stream.data, stream.len, 1), NWS_OK);
  assert_int_equal(nws_conn_clean(&end.conn), 1);
  dfl_close(&end);
  nws_deflate_free(&deflate);
  assert_int_equal(memory.live, 0);
  dfl_free(&stream);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(examples_of_the_rfc),
      cmocka_unit_test(all_kinds_of_blocks),
      cmocka_unit_test(overlapping_matches),
      cmocka_unit_test(takeover_in_fragments),
      cmocka_unit_test(plain_in_fragments),
      cmocka_unit_test(empty_messages),
      cmocka_unit_test(final_block_keeps_the_window),
      cmocka_unit_test(every_scratch),
      cmocka_unit_test(one_scratch_for_all),
      cmocka_unit_test(data_that_is_not_deflate),
      cmocka_unit_test(data_that_is_cut),
      cmocka_unit_test(bits_where_they_must_not_be),
      cmocka_unit_test(not_agreed),
      cmocka_unit_test(text_that_is_none),
      cmocka_unit_test(text_in_pieces),
      cmocka_unit_test(window_of_256),
      cmocka_unit_test(window_of_32768),
      cmocka_unit_test(bomb_meets_the_limit),
      cmocka_unit_test(bomb_in_a_message),
      cmocka_unit_test(bomb_within_the_limit),
      cmocka_unit_test(bomb_meets_the_ratio),
      cmocka_unit_test(ratio_by_default),
      cmocka_unit_test(closing_inside_a_message),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
