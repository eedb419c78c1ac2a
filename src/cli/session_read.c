/* session_read.c - reads recordings of a session; session.h has their form.
 *
 * This is no reader of JSON in general. It takes exactly what session_write.c
 * writes, but for the escapes in strings, and complains of anything else with
 * its line and column.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "session.h"

/* A line being read. */
typedef struct reader {
  const char *name;
  uint64_t line;
  char *text;
  char *at;  /* what has not been read yet */
  char *end; /* where a zero byte stands */
} reader;

/* --- The pieces of a line; each returns 1, or 0 after complaining --- */

static int wrong(const reader *r, const char *what, const char *more) {
  nws__cli_say("%s:%llu:%zu: %s%s", r->name, (unsigned long long)r->line,
               (size_t)(r->at - r->text) + 1, what, more);
  return 0;
}

static int skip(reader *r, const char *literal) {
  size_t len = strlen(literal);
  if (strncmp(r->at, literal, len) != 0) {
    return 0;
  }
  r->at += len;
  return 1;
}

static int expect(reader *r, const char *literal) {
  return skip(r, literal) || wrong(r, "expected ", literal);
}

static int read_number(reader *r, uint64_t max, uint64_t *number) {
  char digits[24] = "";
  size_t len = strspn(r->at, "0123456789");
  if (len < sizeof(digits)) {
    memcpy(digits, r->at, len);
  }
  if (!nws__cli_read_number(digits, max, number)) {
    return wrong(r, "expected a number", "");
  }
  r->at += len;
  return 1;
}

/* Seconds with up to nine decimals. */
static int read_time(reader *r, uint64_t *ns) {
  uint64_t seconds = 0;
  uint64_t unit = 1000000000;
  if (!read_number(r, 1000000000, &seconds)) {
    return 0;
  }
  *ns = seconds * unit;
  if (!skip(r, ".")) {
    return 1;
  }
  size_t len = strspn(r->at, "0123456789");
  if (len < 1 || len > 9) {
    return wrong(r, "expected one to nine decimals", "");
  }
  for (; len; len--) {
    unit /= 10;
    *ns += (uint64_t)(*r->at++ - '0') * unit;
  }
  return 1;
}

static int read_hex4(reader *r, uint32_t *value) {
  static const char digits[] = "0123456789abcdef";
  *value = 0;
  for (int i = 0; i < 4; i++) {
    const char c = *r->at;
    const char *digit =
        c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    if (!digit) {
      return wrong(r, "expected four hex digits", "");
    }
    *value = *value << 4 | (uint32_t)(digit - digits);
    r->at++;
  }
  return 1;
}

static char *put_utf8(char *out, uint32_t point) {
  if (point < 0x80) {
    *out++ = (char)point;
    return out;
  }
  int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  static const unsigned leads[] = {0, 0xc0, 0xe0, 0xf0};
  *out++ = (char)(leads[more] | point >> (6 * more));
  while (more--) {
    *out++ = (char)(0x80 | (point >> (6 * more) & 0x3f));
  }
  return out;
}

/* What stands behind \u: one unit of UTF-16, or two (RFC 8259 7). */
static int read_unicode(reader *r, char **out) {
  uint32_t point;
  uint32_t low;
  if (!read_hex4(r, &point)) {
    return 0;
  }
  if (point >= 0xd800 && point < 0xdc00) {
    if (!expect(r, "\\u") || !read_hex4(r, &low)) {
      return 0;
    }
    if (low < 0xdc00 || low > 0xdfff) {
      return wrong(r, "expected the second half of a character", "");
    }
    point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
  } else if (point >= 0xdc00 && point < 0xe000) {
    return wrong(r, "the first half of a character is missing", "");
  }
  *out = put_utf8(*out, point);
  return 1;
}

static int read_escape(reader *r, char **out) {
  static const char letters[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  const char *letter = *r->at ? strchr(letters, *r->at) : NULL;
  if (skip(r, "u")) {
    return read_unicode(r, out);
  }
  if (!letter) {
    return wrong(r, "no such escape", "");
  }
  r->at++;
  *(*out)++ = meanings[letter - letters];
  return 1;
}

/* A string, in place: what an escape stands for is never longer. */
static int read_string(reader *r, char **text, size_t *len) {
  if (!expect(r, "\"")) {
    return 0;
  }
  char *out = r->at;
  *text = out;
  while (*r->at != '"') {
    if ((unsigned char)*r->at < 0x20) {
      return wrong(r,
                   r->at == r->end ? "the string has no end"
                                   : "a control character in a string",
                   "");
    }
    if (skip(r, "\\")) {
      if (!read_escape(r, &out)) {
        return 0;
      }
    } else {
      *out++ = *r->at++;
    }
  }
  r->at++;
  *len = (size_t)(out - *text);
  return nws_utf8_valid(*text, *len) || wrong(r, "this is not UTF-8", "");
}

/* --- Lines --- */

static char *copy(const char *text, size_t len) {
  char *copied = malloc(len + 1);
  if (copied) {
    memcpy(copied, text, len);
    copied[len] = '\0';
  }
  return copied;
}

static int read_head(reader *r, session *s) {
  char *text;
  size_t len;
  if (!expect(r, "{\"nws\":\"session\",\"version\":1,\"url\":") ||
      !read_string(r, &text, &len) || !expect(r, ",\"subprotocol\":") ||
      !read_string(r, &text, &len)) {
    return 0;
  }
  s->subprotocol = copy(text, len);
  if (!s->subprotocol) {
    return wrong(r, "out of memory", "");
  }
  if (len && !nws_http_token_valid(nws_str_make(text, len))) {
    return wrong(r, "this cannot name a subprotocol", "");
  }
  return 1;
}

static int read_payload(reader *r, session_entry *e) {
  char *text;
  size_t len;
  uint64_t told;
  if (!expect(r, ",\"len\":") || !read_number(r, SIZE_MAX, &told) ||
      !expect(r, ",\"data\":") || !read_string(r, &text, &len)) {
    return 0;
  }
  e->data = copy(text, len);
  e->len = len;
  if (!e->data) {
    return wrong(r, "out of memory", "");
  }
  if (e->type == SESSION_BINARY &&
      nws_base64_decode(text, len, e->data, len, &e->len) != NWS_OK) {
    return wrong(r, "this is not base64", "");
  }
  if (e->len != told) {
    char more[32];
    snprintf(more, sizeof(more), "%zu bytes", e->len);
    return wrong(r, "\"len\" is not that of the data, which has ", more);
  }
  return 1;
}

static int read_close(reader *r, session_entry *e) {
  char *text;
  uint64_t code = 0;
  if (!expect(r, ",\"code\":") || !read_number(r, 4999, &code)) {
    return 0;
  }
  e->code = (unsigned)code;
  if (code != NWS_CLOSE_NO_STATUS && !nws_close_code_valid(e->code)) {
    return wrong(r, "this is no close code", "");
  }
  if (!expect(r, ",\"reason\":") || !read_string(r, &text, &e->len)) {
    return 0;
  }
  if (e->len > NWS_CLOSE_REASON_MAX) {
    return wrong(r, "the reason is longer than 123 bytes", "");
  }
  e->data = copy(text, e->len);
  return e->data || wrong(r, "out of memory", "");
}

static int read_lost(reader *r, session_entry *e) {
  char *text;
  return expect(r, ",\"why\":") && read_string(r, &text, &e->len);
}

static int read_type(reader *r, session_entry *e) {
  if (skip(r, "\"text\"")) {
    e->type = SESSION_TEXT;
  } else if (skip(r, "\"binary\"")) {
    e->type = SESSION_BINARY;
  } else if (skip(r, "\"close\"")) {
    e->type = SESSION_CLOSE;
    return read_close(r, e);
  } else if (skip(r, "\"lost\"")) {
    e->type = SESSION_LOST;
    return read_lost(r, e);
  } else {
    return wrong(r, "expected \"text\", \"binary\", \"close\" or \"lost\"", "");
  }
  return read_payload(r, e);
}

static int read_entry(reader *r, session_entry *e) {
  if (!expect(r, "{\"t\":") || !read_time(r, &e->ns) ||
      !expect(r, ",\"from\":")) {
    return 0;
  }
  e->from_client = skip(r, "\"client\"");
  if (!e->from_client && !skip(r, "\"server\"")) {
    return wrong(r, "expected \"client\" or \"server\"", "");
  }
  return expect(r, ",\"type\":") && read_type(r, e);
}

/* Adds an entry, and counts what came before it. */
static int read_next(reader *r, session *s) {
  if (s->count == s->cap) {
    size_t cap = s->cap ? 2 * s->cap : 64;
    session_entry *entries = realloc(s->entries, cap * sizeof(*entries));
    if (!entries) {
      return wrong(r, "out of memory", "");
    }
    s->entries = entries;
    s->cap = cap;
  }
  const session_entry *last = s->count ? &s->entries[s->count - 1] : NULL;
  session_entry *e = &s->entries[s->count];
  memset(e, 0, sizeof(*e));
  s->count++; /* what it holds is freed with the rest */
  e->line = r->line;
  if (!read_entry(r, e)) {
    return 0;
  }
  if (s->ended[e->from_client]) {
    return wrong(r, "this side has said that it ends, in a line above", "");
  }
  s->ended[e->from_client] = e->type >= SESSION_CLOSE;
  return !last || last->ns <= e->ns ||
         wrong(r, "the time is before that of the line above", "");
}

static int read_line(reader *r, session *s) {
  r->line++;
  r->at = r->text;
  int ok = r->line == 1 ? read_head(r, s) : read_next(r, s);
  return ok && expect(r, "}") &&
         (r->at == r->end || wrong(r, "expected the end of the line", ""));
}

static int read_lines(reader *r, session *s, FILE *file) {
  size_t cap = 0;
  ssize_t len;
  int ok = 1;
  while (ok && (len = getline(&r->text, &cap, file)) > 0) {
    if (r->text[len - 1] == '\n') {
      r->text[--len] = '\0';
    }
    r->end = r->text + len;
    ok = read_line(r, s);
  }
  if (ok && ferror(file)) {
    nws__cli_say("cannot read %s: %s", r->name, strerror(errno));
    ok = 0;
  }
  if (ok && r->line == 0) {
    nws__cli_say("%s is empty, and no recording", r->name);
    ok = 0;
  }
  free(r->text);
  return ok;
}

int nws__cli_session_read(session *s, const char *name) {
  reader r = {.name = name};
  FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
  if (!file) {
    nws__cli_say("cannot open %s: %s", name, strerror(errno));
    return CLI_EXIT_USAGE;
  }
  int ok = read_lines(&r, s, file);
  if (file != stdin) {
    fclose(file);
  }
  uint64_t counts[2] = {0, 0};
  for (size_t i = 0; i < s->count; i++) {
    session_entry *e = &s->entries[i];
    e->before = counts[!e->from_client];
    counts[e->from_client] += e->type < SESSION_CLOSE;
  }
  return ok ? CLI_EXIT_OK : CLI_EXIT_USAGE;
}

void nws__cli_session_free(session *s) {
  for (size_t i = 0; i < s->count; i++) {
    free(s->entries[i].data);
  }
  free(s->entries);
  free(s->subprotocol);
  memset(s, 0, sizeof(*s));
}
