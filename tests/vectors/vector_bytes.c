/* vector_bytes.c - the notation for bytes in vectors, both directions.
 *
 * Vectors are read by people, so that a frame is written as hex for its header
 * and as text for its payload, and a long payload as a repetition. Logs are
 * compared as text, so that there is exactly one way to write a payload there.
 */
#include "vectors.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Repetitions from this length on are written as such in logs. */
#define RUN_MIN 8

void *xalloc(size_t len) {
  /* Never more than asked for: sanitizers watch the end of the block. */
  void *block = malloc(len);
  if (!block && len) {
    fputs("out of memory\n", stderr);
    exit(2);
  }
  return block;
}

void bytes_add(bytes *to, const void *data, size_t len) {
  if (to->cap - to->len < len) {
    to->cap = (to->len + len) * 2;
    to->data = realloc(to->data, to->cap);
    if (!to->data) {
      fputs("out of memory\n", stderr);
      exit(2);
    }
  }
  if (len)
    memcpy(to->data + to->len, data, len);
  to->len += len;
}

void bytes_print(bytes *to, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  if (len < 0)
    return;
  bytes_add(to, text,
            (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

void bytes_free(bytes *of) {
  free(of->data);
  memset(of, 0, sizeof(*of));
}

/* --- Reading the notation --- */

static int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

static const char *expand_pair(const char *p, bytes *out) {
  if (hex_value(p[0]) < 0 || hex_value(p[1]) < 0)
    return NULL;
  uint8_t byte = (uint8_t)(hex_value(p[0]) * 16 + hex_value(p[1]));
  bytes_add(out, &byte, 1);
  return p + 2;
}

static const char *expand_hex(const char *p, bytes *out) {
  do
    p = expand_pair(p, out);
  while (p && isxdigit((unsigned char)*p));
  return p;
}

static const char *expand_escape(const char *p, bytes *out) {
  static const char names[] = "nrt0\\\"";
  static const char values[] = "\n\r\t\0\\\"";
  if (*p == 'x')
    return expand_pair(p + 1, out);
  const char *at = *p ? strchr(names, *p) : NULL;
  if (!at)
    return NULL;
  bytes_add(out, values + (at - names), 1);
  return p + 1;
}

static const char *expand_string(const char *p, bytes *out) {
  while (*p != '"') {
    if (!*p)
      return NULL;
    if (*p == '\\') {
      p = expand_escape(p + 1, out);
      if (!p)
        return NULL;
      continue;
    }
    bytes_add(out, p++, 1);
  }
  return p + 1;
}

/* `*n` behind an item repeats it: what stands from `item` on comes n times. */
static const char *expand_times(const char *p, size_t item, bytes *out) {
  if (*p != '*')
    return p;
  char *end;
  unsigned long times = strtoul(p + 1, &end, 10);
  if (end == p + 1)
    return NULL;
  size_t len = out->len - item;
  uint8_t *copy = xalloc(len);
  if (len)
    memcpy(copy, out->data + item, len);
  out->len = item;
  while (times--)
    bytes_add(out, copy, len);
  free(copy);
  return end;
}

static const char *expand_list(const char *p, int inner, bytes *out);

static const char *expand_item(const char *p, bytes *out) {
  size_t item = out->len;
  if (*p == '"') {
    p = expand_string(p + 1, out);
  } else if (*p == '(') {
    p = expand_list(p + 1, 1, out);
    if (p)
      p++;
  } else {
    p = expand_hex(p, out);
  }
  return p ? expand_times(p, item, out) : NULL;
}

static const char *expand_list(const char *p, int inner, bytes *out) {
  size_t masked = SIZE_MAX;
  uint8_t key[4] = {0};
  for (;;) {
    p += strspn(p, " \t");
    if (*p == '\0' || *p == '#' || *p == ')')
      break;
    if (strncmp(p, "key ", 4) == 0) {
      size_t at = out->len;
      p = expand_hex(p + 4, out);
      if (!p || out->len - at != 4)
        return NULL;
      memcpy(key, out->data + at, 4);
      masked = out->len;
      continue;
    }
    p = expand_item(p, out);
    if (!p)
      return NULL;
  }
  for (size_t i = masked; i < out->len; i++)
    out->data[i] ^= key[(i - masked) % 4];
  return (*p == ')') == inner ? p : NULL;
}

int bytes_expand(bytes *to, const char *text) {
  return expand_list(text, 0, to) ? 0 : -1;
}

/* --- Writing it --- */

/* Long payloads are rendered at every split: a block that equals the one
 * behind it is the quick way to see that they hold one byte only. */
static size_t run_at(const uint8_t *data, size_t len) {
  size_t run = 1;
  if (memcmp(data, data + 1, len - 1) == 0)
    return len;
  while (run < len && data[run] == data[0])
    run++;
  return run;
}

static void render_byte(bytes *to, uint8_t byte) {
  if (byte == '"' || byte == '\\')
    bytes_print(to, "\\%c", byte);
  else if (byte >= 0x20 && byte < 0x7f)
    bytes_print(to, "%c", byte);
  else
    bytes_print(to, "\\x%02x", byte);
}

void bytes_render(bytes *to, const uint8_t *data, size_t len) {
  int quoted = 0;
  if (!len)
    return;
  bytes_print(to, ":");
  for (size_t i = 0; i < len;) {
    size_t run = run_at(data + i, len - i);
    int lone = run < RUN_MIN;
    if (quoted != lone) {
      bytes_print(to, "%s", lone ? " \"" : "\"");
      quoted = lone;
    }
    if (lone)
      render_byte(to, data[i++]);
    else {
      bytes_print(to, " %02x*%zu", data[i], run);
      i += run;
    }
  }
  if (quoted)
    bytes_print(to, "\"");
}
