/* test_digest.c - SHA-1 and base64 against published and precomputed answers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <nws/digest.h>
#include <nws/error.h>

static void assert_sha1(const void *data, size_t len, const char *hex) {
  uint8_t digest[NWS_SHA1_LEN];
  char text[2 * NWS_SHA1_LEN + 1];
  nws_sha1(data, len, digest);
  for (size_t i = 0; i < NWS_SHA1_LEN; i++) {
    text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
    text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
  }
  text[2 * NWS_SHA1_LEN] = 0;
  assert_string_equal(text, hex);
}

/* The examples that NIST publishes for FIPS 180-4, and RFC 6455 1.3's. */
static void sha1_vectors(void **state) {
  (void)state;
  assert_sha1(NULL, 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  assert_sha1("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
  assert_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  assert_sha1("dGhlIHNhbXBsZSBub25jZQ=="
              "258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
              60, "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
  enum { MILLION = 1000000 };
  char *as = malloc(MILLION);
  assert_non_null(as);
  memset(as, 'a', MILLION);
  assert_sha1(as, MILLION, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  free(as);
}

/* The digest of the digests of 201 messages, one of each length from 0 to 200,
 * whose byte i is i * 7 + length; computed with Python's hashlib. Each message
 * lies at another alignment in a block of exactly its size, so that the
 * address sanitizer sees every byte read beside it. */
static void sha1_lengths_and_alignments(void **state) {
  (void)state;
  enum { COUNT = 201 };
  uint8_t digests[COUNT * NWS_SHA1_LEN];
  for (size_t len = 0; len < COUNT; len++) {
    size_t shift = len % 9;
    uint8_t *block = malloc(shift + len + 1);
    assert_non_null(block);
    uint8_t *exact = realloc(block, shift + len ? shift + len : 1);
    assert_non_null(exact);
    for (size_t i = 0; i < len; i++)
      exact[shift + i] = (uint8_t)(i * 7 + len);
    nws_sha1(exact + shift, len, digests + len * NWS_SHA1_LEN);
    free(exact);
  }
  assert_sha1(digests, sizeof digests,
              "d0de06f4c5cb01efe13d538b17bbc0bd8144a1c2");
}

/* RFC 4648 10 and the answer of RFC 6455 1.3. */
static void base64_vectors(void **state) {
  (void)state;
  static const struct {
    const char *plain, *text;
  } vectors[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\xb3\x7a\x4f\x2c\xc0\x62\x4f\x16\x90\xf6\x46\x06\xcf\x38\x59\x45\xb2"
       "\xbe\xc4\xea",
       "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
      {"\xff\xef\xfe", "/+/+"},
  };
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    char text[64], plain[64];
    size_t len = strlen(vectors[i].plain), chars = strlen(vectors[i].text);
    size_t used = 99;
    assert_int_equal(nws_base64_len(len), chars);
    assert_int_equal(nws_base64_encode(vectors[i].plain, len, text), chars);
    assert_memory_equal(text, vectors[i].text, chars);
    assert_int_equal(
        nws_base64_decode(vectors[i].text, chars, plain, sizeof plain, &used),
        NWS_OK);
    assert_int_equal(used, len);
    assert_memory_equal(plain, vectors[i].plain, len);
  }
}

static void base64_round_trip(void **state) {
  (void)state;
  uint8_t data[256], back[256];
  char text[512];
  for (size_t len = 0; len <= sizeof data; len++) {
    for (size_t i = 0; i < len; i++)
      data[i] = (uint8_t)(i * 151 + len * 29);
    memset(text, '#', sizeof text);
    size_t chars = nws_base64_encode(data, len, text);
    size_t used = 0;
    assert_int_equal(chars, nws_base64_len(len));
    assert_int_equal(text[chars], '#');
    assert_int_equal(nws_base64_decode(text, chars, back, len, &used), NWS_OK);
    assert_int_equal(used, len);
    assert_memory_equal(back, data, len);
  }
}

/* One byte of room too few: the need is told and nothing is written. */
static void base64_room(void **state) {
  (void)state;
  uint8_t out[8];
  memset(out, 0xee, sizeof out);
  for (size_t cap = 0; cap < 4; cap++) {
    size_t used = 0;
    assert_int_equal(nws_base64_decode("Zm9vYg==", 8, out, cap, &used),
                     NWS_ERROR_BUFFER);
    assert_int_equal(used, 4);
    assert_int_equal(out[0], 0xee);
  }
}

static void assert_not_base64(const char *text, size_t len) {
  uint8_t out[16];
  memset(out, 0xee, sizeof out);
  size_t used = 77;
  assert_int_equal(nws_base64_decode(text, len, out, sizeof out, &used),
                   NWS_ERROR_FIELD);
  assert_int_equal(out[0], 0xee);
}

static void base64_refusals(void **state) {
  (void)state;
  static const char *const texts[] = {
      "Z",        "Zg",     "Zg=",      "Zm9vY",  "Zm9vYg=",    "Zm9vYg",
      "=",        "==",     "===",      "====",   "Z===",       "Zg==Zg==",
      "Zm8=Zg==", "Zg= =",  "Zg=\n",    "Zg==\n", " Zg==",      "Z=g=",
      "Zh==",     "Zm9=",   "Zm9vYh==", "Zm-v",   "Zm_v",       "Zm9v====",
      "Zm9v=",    "Zm9v==", "Zm9v===",  "=m9v",   "Z\xc3\xa9v",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    assert_not_base64(texts[i], strlen(texts[i]));
}

/* Every byte value at every place of a group of four. */
static void base64_all_bytes(void **state) {
  (void)state;
  static const char alphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int byte = 0; byte < 256; byte++) {
    const char *in = byte ? strchr(alphabet, byte) : NULL;
    for (size_t place = 0; place < 4; place++) {
      char text[] = "AAAA";
      text[place] = (char)byte;
      if (in == NULL && !(byte == '=' && place == 3)) {
        assert_not_base64(text, 4);
        continue;
      }
      uint8_t out[3], want[3] = {0};
      size_t used = 0;
      uint32_t bits = in ? (uint32_t)(in - alphabet) << (18 - 6 * place) : 0;
      want[0] = (uint8_t)(bits >> 16);
      want[1] = (uint8_t)(bits >> 8);
      want[2] = (uint8_t)bits;
      assert_int_equal(nws_base64_decode(text, 4, out, 3, &used), NWS_OK);
      assert_int_equal(used, byte == '=' ? 2 : 3);
      assert_memory_equal(out, want, used);
    }
  }
}

/* Unused bits must be zero: of the 64 last characters before padding, only
 * those that end in four (two) zero bits pass. */
static void base64_unused_bits(void **state) {
  (void)state;
  static const char alphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < 64; i++) {
    uint8_t out[3];
    size_t used;
    char two[] = "A?==", three[] = "AA?=";
    two[1] = three[2] = alphabet[i];
    assert_int_equal(nws_base64_decode(two, 4, out, 3, &used),
                     i % 16 ? NWS_ERROR_FIELD : NWS_OK);
    assert_int_equal(nws_base64_decode(three, 4, out, 3, &used),
                     i % 4 ? NWS_ERROR_FIELD : NWS_OK);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sha1_vectors),
      cmocka_unit_test(sha1_lengths_and_alignments),
      cmocka_unit_test(base64_vectors),
      cmocka_unit_test(base64_round_trip),
      cmocka_unit_test(base64_room),
      cmocka_unit_test(base64_refusals),
      cmocka_unit_test(base64_all_bytes),
      cmocka_unit_test(base64_unused_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
