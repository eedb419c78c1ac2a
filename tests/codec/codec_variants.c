/* codec_variants.c - every kernel of this CPU against oracles that go byte by
 * byte. Prints what it compared; exits with 1 at the first difference.
 *
 *   codec_variants         a selection, in a second or two
 *   codec_variants few     a smaller one, for an emulated CPU
 *   codec_variants choice  what is chosen, alone
 *   codec_variants all     UTF-8: all 2^32 strings of four bytes, on all CPUs
 *
 * Without cmocka, so that it is easily built for other machines.
 */
#include "codec_variants.h"

#include "../../src/codec/text_internal.h"

#include <nws/mask.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned long long count;

static void fail(const char *name, const char *what, size_t at, size_t len) {
  fprintf(stderr, "%s: %s differs (at %zu, length %zu)\n", name, what, at, len);
  exit(1);
}

/* --- Masking --- */

enum { GUARD = 64, ROOM = 8192, ARENA = GUARD + 32 + ROOM + GUARD };

static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};

/* RFC 6455 5.3: transformed-octet-i = original-octet-i XOR key[i MOD 4]. */
static void mask_oracle(uint8_t *dst, const uint8_t *src, size_t len,
                        size_t offset) {
  for (size_t i = 0; i < len; i++) {
    dst[i] = (uint8_t)(src[i] ^ key[(offset + i) % 4]);
  }
}

static uint64_t pattern_at(size_t offset) {
  uint8_t bytes[8];
  for (size_t i = 0; i < 8; i++) {
    bytes[i] = key[(offset + i) % 4];
  }
  return nws__mask_load(bytes);
}

/* One masking: to a copy, and in place; with guards around. */
static void check_mask(const mask_variant *v, size_t from, size_t to,
                       size_t len, size_t offset) {
  static uint8_t source[ARENA], kept[ARENA], got[ARENA], want[ARENA];
  const size_t used = GUARD + to + len + GUARD;
  if (source[1] == 0) {
    for (size_t i = 0; i < ARENA; i++) {
      source[i] = (uint8_t)(i * 167 + i / 256 + 1);
    }
    memcpy(kept, source, ARENA);
  }
  memset(got, 0xA5, used);
  memset(want, 0xA5, used);
  mask_oracle(want + GUARD + to, source + from, len, offset);
  v->kernel(got + GUARD + to, source + from, len, pattern_at(offset));
  if (memcmp(got, want, used) != 0 || memcmp(source, kept, ARENA) != 0) {
    fail(v->name, "a copy", to, len);
  }
  memcpy(got + GUARD + to, source + from, len);
  v->kernel(got + GUARD + to, got + GUARD + to, len, pattern_at(offset));
  if (memcmp(got, want, used) != 0) {
    fail(v->name, "masking in place", to, len);
  }
}

/* ASCII but for one byte, at each place: seen, and nothing else is. */
static void check_seen(const mask_variant *v, size_t to, size_t len) {
  static uint8_t source[ARENA], got[ARENA];
  memset(got, 'a', len);
  mask_oracle(source, got, len, 0);
  memset(got, 0x80, ARENA);
  if (v->kernel(got + to, source, len, pattern_at(0)) != 0) {
    fail(v->name, "what is ASCII", to, len);
  }
  for (size_t at = 0; at < len; at++) {
    source[at] ^= 0x80;
    if (v->kernel(got + to, source, len, pattern_at(0)) == 0) {
      fail(v->name, "what is not ASCII", at, len);
    }
    source[at] ^= 0x80;
  }
}

static count check_mask_lengths(const mask_variant *v, size_t first,
                                size_t last, size_t step) {
  count done = 0;
  for (size_t len = first; len <= last; len++) {
    for (size_t from = 0; from < 32; from += step) {
      for (size_t to = 0; to < 32; to += step) {
        check_mask(v, from, to, len, from + to + len);
        done++;
      }
    }
    for (size_t offset = 0; offset < 8; offset++) {
      check_mask(v, 3, 5, len, offset);
      done++;
    }
    check_seen(v, len % 32, len);
  }
  return done;
}

static count check_mask_variant(const mask_variant *v, size_t step) {
  static const size_t around[] = {512, 1024, 2048, 4096, 8192};
  const size_t above = NWS__MASK_SHORT + 1;
  count done = check_mask_lengths(v, above, step > 1 ? 200 : 256, step);
  for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
    const size_t len = around[i];
    done += check_mask_lengths(v, len - 2, len == ROOM ? len : len + 2, 7);
  }
  return done;
}

/* --- UTF-8 --- */

enum { LONGEST = 200 };

/* What RFC 3629 4 allows next. */
typedef struct expected {
  unsigned tails; /* how many are missing */
  unsigned low;   /* the next of them is from here */
  unsigned high;  /* to here */
} expected;

/* Takes a byte; says whether it may stand there. */
static int expected_take(expected *e, unsigned byte) {
  if (e->tails > 0) {
    const int fits = byte >= e->low && byte <= e->high;
    if (fits) {
      *e = (expected){e->tails - 1, 0x80, 0xBF};
    }
    return fits;
  }
  if (byte >= 0xC2 && byte <= 0xDF) {
    *e = (expected){1, 0x80, 0xBF};
  } else if (byte >= 0xE0 && byte <= 0xEF) {
    *e = (expected){2, byte == 0xE0 ? 0xA0 : 0x80, byte == 0xED ? 0x9F : 0xBF};
  } else if (byte >= 0xF0 && byte <= 0xF4) {
    *e = (expected){3, byte == 0xF0 ? 0x90 : 0x80, byte == 0xF4 ? 0x8F : 0xBF};
  } else {
    return byte < 0x80;
  }
  return 1;
}

/* How much of a text is good; `*whole` if it ends with a character there. */
static size_t utf8_oracle(const uint8_t *text, size_t len, int *whole) {
  expected e = {0, 0, 0};
  size_t at = 0;
  while (at < len && expected_take(&e, text[at])) {
    at++;
  }
  *whole = e.tails == 0;
  return at;
}

static void check_utf8(const utf8_variant *v, const uint8_t *text, size_t len,
                       size_t want, int whole) {
  nws_utf8 state = NWS_UTF8_START;
  const size_t got = nws__utf8_run(v->kernel, &state, text, len);
  if (got != want || (state == NWS_UTF8_START) != whole) {
    fail(v->name, "a text", got, len);
  }
}

/* Strings of four bytes, each at the edge of a range of RFC 3629, at places
 * around the edges of vectors, within text that is ASCII or is not. */
static count check_utf8_edges(const utf8_variant *v, const uint8_t *around,
                              size_t len, size_t at) {
  static const uint8_t edges[] = {
      0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0,
      0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
  const size_t n = sizeof(edges);
  uint8_t text[LONGEST];
  memcpy(text, around, len);
  for (size_t i = 0; i < n * n * n * n; i++) {
    int whole;
    size_t want;
    text[at] = edges[i / n / n / n];
    text[at + 1] = edges[i / n / n % n];
    text[at + 2] = edges[i / n % n];
    text[at + 3] = edges[i % n];
    /* What is around begins with a character on both sides. */
    want = utf8_oracle(text + at, at + 4 < len ? 5 : 4, &whole);
    if (want == 5) {
      want = len - at;
      whole = 1;
    }
    check_utf8(v, text, len, at + want, whole);
  }
  return n * n * n * n;
}

static count check_utf8_places(const utf8_variant *v, size_t step) {
  static const size_t ends[] = {4,  16, 18, 19, 31, 32,  34,  35,
                                36, 64, 67, 96, 99, 128, 131, 163};
  static const size_t pairs[] = {48, 80, 96, 112, 128};
  uint8_t ascii[LONGEST], other[LONGEST], begun[LONGEST];
  count done = 0;
  memset(ascii, 'a', LONGEST);
  memset(begun, 'a', LONGEST);
  memcpy(begun, "\xC3\xA4", 2);
  for (size_t i = 0; i < LONGEST; i++) {
    other[i] = i % 2 == 0 ? 0xC3 : 0xA4;
  }
  for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i += step) {
    const size_t end = ends[i];
    /* Ending the text; across an edge of vectors, with text behind it. */
    done += check_utf8_edges(v, ascii, end, end - 4);
    done += check_utf8_edges(v, ascii, end + 33, end - 2);
    done += check_utf8_edges(v, other, (end + 7) & ~(size_t)1,
                             (end - 3) & ~(size_t)1);
  }
  /* Right before vectors of ASCII, when it is no more all ASCII. */
  for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i += step) {
    done += check_utf8_edges(v, begun, LONGEST, pairs[i] - 4);
  }
  return done;
}

/* Text of all widths, cut in three everywhere, sound and with a byte broken:
 * the state carries over, and the refused byte is the same. */
static count check_utf8_cuts(const utf8_variant *v, size_t step) {
  static const char piece[] = "abc\xC3\xA4\xE2\x82\xAC\xF0\x90\x8D\x88";
  uint8_t text[LONGEST];
  count done = 0;
  for (size_t i = 0; i < LONGEST; i++) {
    text[i] = (uint8_t)piece[i % (sizeof(piece) - 1)];
  }
  for (size_t broken = 0; broken < LONGEST; broken += step) {
    const uint8_t kept = text[broken];
    int whole;
    size_t want;
    text[broken] = broken % 3 == 0 ? kept : (uint8_t)(kept ^ 0xC0);
    want = utf8_oracle(text, LONGEST, &whole);
    for (size_t a = 0; a <= LONGEST; a += step) {
      for (size_t b = a; b <= LONGEST; b += step) {
        const size_t cuts[] = {0, a, b, LONGEST};
        nws_utf8 state = NWS_UTF8_START;
        size_t at = 0;
        for (size_t i = 0; i < 3 && at == cuts[i]; i++) {
          at += nws__utf8_run(v->kernel, &state, text + at, cuts[i + 1] - at);
        }
        if (at != want || (state == NWS_UTF8_START) != whole) {
          fail(v->name, "a text in pieces", a, b);
        }
        done++;
      }
    }
    text[broken] = kept;
  }
  return done;
}

/* --- Unmasking text --- */

enum { LONG_TEXT = 3 * NWS__TEXT_BLOCK };

/* Whatever masking and the state machine say one after the other. */
static void check_text(const uint8_t *plain, size_t len, nws_utf8 before,
                       size_t offset) {
  static uint8_t got[LONG_TEXT];
  nws_utf8 state = before, want_state = before;
  const size_t want = nws__utf8_walk(&want_state, plain, len);
  size_t good = nws_utf8_check(&state, plain, len);
  if (good != want || state != want_state) {
    fail("text", "checking it", good, len);
  }
  state = before;
  nws_mask(got, plain, len, key, offset);
  good = nws__text_unmask(&state, got, len, key, offset);
  if (good != want || state != want_state || memcmp(got, plain, good) != 0) {
    fail("text", "unmasking it", good, len);
  }
}

/* From every state, short and long, with a byte beyond ASCII at each place of
 * short ones and around the edges of blocks; sound, and refused. */
static count check_texts(size_t step) {
  static uint8_t text[LONG_TEXT];
  const size_t edge = NWS__TEXT_BLOCK;
  count done = 0;
  memset(text, 'x', sizeof(text));
  for (size_t len = 1; len < 200; len += step) {
    for (unsigned state = 0; state < NWS__UTF8_STATES; state++) {
      check_text(text, len, (nws_utf8)state, len);
      done++;
    }
    for (size_t at = 0; at < len; at++) {
      text[at] = 0xC3;
      check_text(text, len, NWS_UTF8_START, at);
      text[at + 1] = 0xA4;
      check_text(text, len, NWS_UTF8_START, at);
      check_text(text, len, 1, at);
      text[at] = text[at + 1] = 'x';
      done += 3;
    }
  }
  for (size_t at = edge - 8; at < edge + 8; at++) {
    for (size_t len = 2 * edge - 2; len < 2 * edge + 3; len++) {
      memcpy(text + at, "\xF0\x90\x8D\x88", 4);
      check_text(text, len, NWS_UTF8_START, at);
      text[at + 3] = 'x';
      check_text(text, len, NWS_UTF8_START, at);
      text[at + 2] = text[at + 1] = text[at] = 'x';
      done += 2;
    }
  }
  return done;
}

/* --- Staying within --- */

/* A page that nothing can be read on either side of. */
static uint8_t *lonely_page(size_t *size) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  uint8_t *three = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (three == MAP_FAILED || mprotect(three, page, PROT_NONE) != 0 ||
      mprotect(three + 2 * page, page, PROT_NONE) != 0) {
    fail("a page", "mapping it", 0, page);
  }
  *size = page;
  return three + page;
}

/* ASCII, and text that is not from its first byte or its last. */
static void check_utf8_within(const utf8_variant *v, uint8_t *text,
                              size_t len) {
  memset(text, 0, len);
  check_utf8(v, text, len, len, 1);
  text[len - 1] = 0xF1;
  check_utf8(v, text, len, len, 0);
  if (len > 2) {
    memcpy(text, "\xC2\x80", 2);
    check_utf8(v, text, len, len, 0);
    text[len - 1] = 0;
    check_utf8(v, text, len, len, 1);
  }
}

/* Every length at both ends of such a page. The loop dies if it reads more. */
static void check_within(const mask_variant *mask, const utf8_variant *utf8) {
  size_t size;
  uint8_t *page = lonely_page(&size);
  for (size_t len = 1; len <= size; len += len < 700 ? 1 : 67) {
    uint8_t *const at[] = {page, page + size - len};
    for (size_t i = 0; i < 2; i++) {
      check_utf8_within(utf8, at[i], len);
      if (len > NWS__MASK_SHORT) {
        mask->kernel(at[i], at[i], len, pattern_at(0));
        mask->kernel(at[i], at[i], len, pattern_at(0));
      }
    }
  }
  munmap(page - size, 3 * size);
}

/* Texts of one width or all that begin anywhere, also within a character. What
 * is good must not be left to the state machine, but for the very end. */
static count check_utf8_phases(const utf8_variant *v) {
  static const char *const pieces[] = {
      "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x90\x8D\x88",
      "abc\xC3\xA4\xE2\x82\xAC\xF0\x90\x8D\x88"};
  count done = 0;
  for (size_t piece = 0; piece < 4; piece++) {
    const size_t width = strlen(pieces[piece]);
    for (size_t phase = 0; phase < width; phase++) {
      uint8_t text[LONGEST];
      for (size_t i = 0; i < LONGEST; i++) {
        text[i] = (uint8_t)pieces[piece][(i + phase) % width];
      }
      for (size_t len = 0; len <= LONGEST; len++) {
        int whole;
        const size_t want = utf8_oracle(text, len, &whole);
        check_utf8(v, text, len, want, whole);
        if (want == len && len >= NWS__UTF8_SHORT &&
            v->kernel(text, len) + 2 < len) {
          fail(v->name, "what is good", v->kernel(text, len), len);
        }
        done++;
      }
    }
  }
  return done;
}

static void check_selection(size_t step) {
  mask_variant masks[MAX_VARIANTS];
  utf8_variant utf8s[MAX_VARIANTS];
  const size_t mask_count = mask_variants(masks);
  const size_t utf8_count = utf8_variants(utf8s);
  /* The one that is chosen comes last, and is one of the others. */
  for (size_t i = 0; i < mask_count; i++) {
    const count done =
        check_mask_variant(&masks[i], i + 1 < mask_count ? step : 4);
    printf("%s: %llu maskings\n", masks[i].name, done);
  }
  for (size_t i = 0; i < utf8_count; i++) {
    const int all = step == 1 && i + 1 < utf8_count;
    count done = check_utf8_places(&utf8s[i], all ? 1 : 4);
    done += check_utf8_phases(&utf8s[i]);
    done += check_utf8_cuts(&utf8s[i], all ? 2 : 7);
    printf("%s: %llu texts\n", utf8s[i].name, done);
  }
  for (size_t i = 0; i < mask_count || i < utf8_count; i++) {
    check_within(&masks[i < mask_count ? i : 0],
                 &utf8s[i < utf8_count ? i : 0]);
  }
  printf("unmasking text: %llu texts\n", check_texts(step));
}

/* --- All strings of four bytes --- */

enum { VALID_STRINGS = 383270912, EDGE = 30 };

/* All 256 that begin with three bytes which stand in the text. Where a byte of
 * them is wrong, it is that. */
static count check_all_fourths(const utf8_variant *v, uint8_t *text,
                               size_t len) {
  const uint8_t *string = text + EDGE;
  expected start = {0, 0, 0};
  size_t good = 0;
  count valid = 0;
  while (good < 3 && expected_take(&start, string[good])) {
    good++;
  }
  for (unsigned fourth = 0; fourth < 256; fourth++) {
    expected e = start;
    size_t want = EDGE + good;
    text[EDGE + 3] = (uint8_t)fourth;
    if (good == 3 && expected_take(&e, fourth)) {
      want = e.tails == 0 ? len : want + 1; /* ASCII is behind it */
      valid += e.tails == 0;
    }
    check_utf8(v, text, len, want, e.tails == 0);
  }
  return valid;
}

/* All that begin with `first`; across an edge of vectors, then ASCII. Counts
 * the valid ones. */
static count check_all_from(const utf8_variant *v, unsigned first) {
  uint8_t text[2 * EDGE + 7];
  count valid = 0;
  memset(text, 'a', sizeof(text));
  text[EDGE] = (uint8_t)first;
  for (uint32_t i = 0; i < 1u << 16; i++) {
    text[EDGE + 1] = (uint8_t)(i >> 8);
    text[EDGE + 2] = (uint8_t)i;
    valid += check_all_fourths(v, text, sizeof(text));
  }
  return valid;
}

/* The share of one of `shares` processes. */
static count check_share(const utf8_variant *v, unsigned share,
                         unsigned shares) {
  count valid = 0;
  for (unsigned first = share; first < 256; first += shares) {
    valid += check_all_from(v, first);
  }
  return valid;
}

static count check_all_of(const utf8_variant *v) {
  const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  const unsigned shares = cpus > 1 && cpus < 256 ? (unsigned)cpus : 1;
  count valid = 0, part = 0;
  int ends[2], status = 0, failed = 0;
  if (pipe(ends) != 0) {
    return 0;
  }
  for (unsigned share = 0; share < shares; share++) {
    const pid_t child = fork();
    if (child == 0) {
      part = check_share(v, share, shares);
      _exit(write(ends[1], &part, sizeof(part)) == sizeof(part) ? 0 : 1);
    }
    failed |= child < 0;
  }
  close(ends[1]);
  while (read(ends[0], &part, sizeof(part)) == sizeof(part)) {
    valid += part;
  }
  close(ends[0]);
  while (wait(&status) > 0) {
    failed |= status != 0;
  }
  return failed ? 0 : valid;
}

static int check_all(void) {
  utf8_variant utf8s[MAX_VARIANTS];
  const size_t utf8_count = utf8_variants(utf8s) - 1; /* not "as chosen" */
  int bad = 0;
  for (size_t i = 0; i < utf8_count; i++) {
    const count valid = check_all_of(&utf8s[i]);
    bad |= valid != VALID_STRINGS;
    printf("%s: of 4294967296 strings of four bytes %llu are valid\n",
           utf8s[i].name, valid);
    fflush(stdout);
  }
  printf("%s\n", bad ? "FAILED" : "all as they must be");
  return bad;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "all") == 0) {
    return check_all();
  }
  if (argc == 2 && strcmp(argv[1], "choice") == 0) {
    printf("unmasking text: %llu texts\n", check_texts(4));
    return 0;
  }
  check_selection(argc == 2 && strcmp(argv[1], "few") == 0 ? 4 : 1);
  return 0;
}
