/* cli_escape.c - text of unknown origin, made safe to show.
 *
 * What a peer or a file says must not control the terminal it is shown on: move
 * the cursor, set the title, turn the direction of writing around. So only
 * characters with a shape of their own pass; everything else becomes an escape
 * as C programmers know them.
 */
#include "cli.h"

typedef struct range {
  uint32_t first;
  uint32_t last;
} range;

/* Control and formatting characters beyond ASCII: C1, and those that are
 * invisible or change the direction (Unicode's category Cf, line and paragraph
 * separators), and what is no character at all. */
static const range hidden[] = {
    {0x80, 0x9f},       {0xad, 0xad},       {0x600, 0x605},
    {0x61c, 0x61c},     {0x6dd, 0x6dd},     {0x70f, 0x70f},
    {0x890, 0x891},     {0x8e2, 0x8e2},     {0x180e, 0x180e},
    {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},
    {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},   {0xfff0, 0xfffb},
    {0xfffe, 0xffff},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
    {0x13430, 0x1345f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
    {0xe0000, 0xe0fff},
};

static int is_hidden(uint32_t point) {
  if (point < 0x20 || point == 0x7f) {
    return 1;
  }
  for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
    if (point >= hidden[i].first && point <= hidden[i].last) {
      return 1;
    }
  }
  return 0;
}

/* Decodes the character that begins at `text`; its length, or 0 when there is
 * no valid one. */
static size_t decode(const uint8_t *text, size_t len, uint32_t *point) {
  uint8_t lead = text[0];
  size_t need = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (need > len || !nws_utf8_valid(text, need)) {
    return 0;
  }
  *point = need == 1 ? lead : lead & (0xffu >> (need + 1));
  for (size_t i = 1; i < need; i++) {
    *point = *point << 6 | (text[i] & 0x3fu);
  }
  return need;
}

static void put_escape(FILE *out, uint32_t point) {
  static const char short_forms[] = "\nn\rr\tt\"\"\\\\";
  for (size_t i = 0; short_forms[i]; i += 2) {
    if (point == (unsigned char)short_forms[i]) {
      fprintf(out, "\\%c", short_forms[i + 1]);
      return;
    }
  }
  if (point < 0x80) {
    fprintf(out, "\\x%02x", (unsigned)point);
  } else {
    fprintf(out, "\\u{%x}", (unsigned)point);
  }
}

static int passes(uint32_t point, unsigned how) {
  if ((how & CLI_TEXT_LINES) && (point == '\n' || point == '\t')) {
    return 1;
  }
  if ((how & CLI_TEXT_QUOTE) && (point == '"' || point == '\\')) {
    return 0;
  }
  return !is_hidden(point);
}

void nws__cli_put_text(FILE *out, const void *text, size_t len, unsigned how) {
  const uint8_t *bytes = text;
  if (how & CLI_TEXT_QUOTE) {
    fputc('"', out);
  }
  for (size_t at = 0, used; at < len; at += used) {
    uint32_t point = 0;
    used = decode(bytes + at, len - at, &point);
    if (!used) {
      fprintf(out, "\\x%02x", bytes[at]);
      used = 1;
    } else if (passes(point, how)) {
      fwrite(bytes + at, 1, used, out);
    } else {
      put_escape(out, point);
    }
  }
  if (how & CLI_TEXT_QUOTE) {
    fputc('"', out);
  }
}

void nws__cli_put_json(FILE *out, const void *text, size_t len) {
  const unsigned char *at = len ? text : (const void *)"";
  fputc('"', out);
  for (const unsigned char *end = at + len; at < end; at++) {
    if (*at == '"' || *at == '\\') {
      fputc('\\', out);
    }
    if (*at < 0x20 || *at == 0x7f) {
      fprintf(out, "\\u%04x", *at);
    } else {
      fputc(*at, out);
    }
  }
  fputc('"', out);
}

void nws__cli_put_hex(FILE *out, const void *data, size_t len, size_t max) {
  const uint8_t *bytes = data;
  size_t shown = len < max ? len : max;
  for (size_t i = 0; i < shown; i++) {
    fprintf(out, i ? " %02x" : "%02x", bytes[i]);
  }
  if (shown < len) {
    fprintf(out, "%s... (%zu more)", shown ? " " : "", len - shown);
  }
}

void nws__cli_put_close(FILE *out, unsigned code, nws_str reason) {
  const char *name = nws_close_code_name(code);
  fprintf(out, "%u", code);
  if (*name) {
    fprintf(out, " (%s)", name);
  }
  if (reason.len) {
    fputc(' ', out);
    nws__cli_put_text(out, reason.ptr, reason.len, CLI_TEXT_QUOTE);
  }
}
