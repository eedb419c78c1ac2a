/* vector_read.c - turns Markdown files into vectors.
 *
 * A case is a heading of level three, prose that says why, a fenced block `in`
 * and a fenced block `log`. Whatever does not fit is an error rather than
 * skipped: a vector that is not run must not look like one that passes.
 */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A case as it stands in the file, before `each:` multiplies it. */
typedef struct raw {
  bytes title;
  bytes in;
  bytes log;
  int line;
  int in_line;
  int log_line;
  int prose;
  int blocks;
} raw;

typedef struct reader {
  const char *path;
  vector **list;
  size_t *count;
  int failed;
  int line;
  enum { TEXT, IN, LOG } where;
  int open; /* 1: a heading was read, its case is not finished */
  raw now;
} reader;

static void complain(reader *r, int line, const char *what, const char *text) {
  fprintf(stderr, "%s:%d: %s%s%s\n", r->path, line, what, *text ? ": " : "",
          text);
  r->failed = 1;
}

static char *copy_text(const char *text, size_t len) {
  char *copy = xalloc(len + 1);
  memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

static char *copy_line(const char *text) {
  return copy_text(text, strlen(text));
}

/* --- The lines of a block `in` --- */

/* Fields of the configuration that vectors may set. */
typedef struct field {
  const char *name;
  size_t offset;
  size_t size;
} field;

#define FIELD(name)                                                            \
#name, offsetof(nws_conn_config, name),                                      \
      sizeof(((nws_conn_config *)NULL)->name)

static const field fields[] = {{FIELD(max_frame)},
                               {FIELD(max_message)},
                               {FIELD(max_fragments)},
                               {FIELD(max_controls)},
                               {FIELD(manual_pong)},
                               {FIELD(manual_close)},
                               {FIELD(deliver_in_closing)},
                               {FIELD(accept_any_text)},
                               {FIELD(trust_sent_text)},
                               {FIELD(accept_any_mask)},
                               {FIELD(rsv_in)},
                               {FIELD(rsv_out)},
                               {FIELD(opcodes_in)},
                               {FIELD(opcodes_out)}};

static uint64_t read_rsv(const char *text) {
  uint64_t bits = 0;
  for (; *text; text++)
    if (*text >= '1' && *text <= '3')
      bits |= (uint64_t)0x80 >> (*text - '0');
  return bits;
}

static uint64_t read_opcodes(const char *text) {
  uint64_t bits = 0;
  while (*text) {
    char *end;
    bits |= (uint64_t)1 << (strtoul(text, &end, 10) & 15);
    text = *end == ',' ? end + 1 : end + strlen(end);
  }
  return bits;
}

static uint64_t read_value(const char *name, const char *text) {
  if (strncmp(name, "rsv_", 4) == 0)
    return read_rsv(text);
  if (strncmp(name, "opcodes_", 8) == 0)
    return read_opcodes(text);
  if (strcmp(text, "unlimited") == 0)
    return NWS_UNLIMITED;
  return strtoull(text, NULL, 10);
}

static int set_field(nws_conn_config *config, const char *name,
                     const char *text) {
  for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
    if (strcmp(name, fields[i].name) != 0)
      continue;
    uint64_t value = read_value(name, text);
    uint8_t *at = (uint8_t *)config + fields[i].offset;
    uint16_t two = (uint16_t)value;
    if (fields[i].size == 1)
      *at = (uint8_t)value;
    else if (fields[i].size == 2)
      memcpy(at, &two, 2);
    else
      memcpy(at, &value, 8);
    return 0;
  }
  return -1;
}

static int read_config(nws_conn_config *config, const char *text) {
  char *copy = copy_line(text);
  int failed = 0;
  for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
    char *equals = strchr(word, '=');
    if (!equals) {
      failed = -1;
      break;
    }
    *equals = '\0';
    failed |= set_field(config, word, equals + 1);
  }
  free(copy);
  return failed;
}

static int read_role(vector *v, const char *text) {
  if (strcmp(text, "client") == 0)
    v->role = NWS_ROLE_CLIENT;
  else if (strcmp(text, "server") == 0)
    v->role = NWS_ROLE_SERVER;
  else
    return -1;
  return 0;
}

static void set_text(char **to, const char *text) {
  free(*to);
  *to = copy_line(text);
}

/* `name: value` lines. 1: it is none of these. */
static int read_setting(vector *v, const char *line) {
  static const char *const names[] = {
      "role: ",  "config: ", "random: ", "policy: ", "handshake: ",
      "offer: ", "uri: ",    "show: ",   "nonce: ",  "deflate: "};
  size_t which = 0;
  while (which < 10 && strncmp(line, names[which], strlen(names[which])) != 0)
    which++;
  if (which == 10)
    return 1;
  const char *value = line + strlen(names[which]);
  switch (names[which][0]) {
  case 'c':
    return read_config(&v->config, value);
  case 'n':
    return bytes_expand(&v->random, value);
  case 'p':
  case 'o':
    set_text(&v->options, value);
    return 0;
  case 'd':
    set_text(&v->deflate, value);
    return 0;
  case 'u':
    set_text(&v->uri, value);
    return 0;
  case 's':
    v->show_request = strcmp(value, "request") == 0;
    return v->show_request ? 0 : -1;
  case 'h':
    v->handshake = 1;
    return read_role(v, value);
  default:
    return names[which][1] == 'a' ? bytes_expand(&v->random, value)
                                  : read_role(v, value);
  }
}

static int is_step(const char *line) {
  static const char *const calls[] = {"send", "begin", "payload", "close",
                                      "eof",  "flush", "now"};
  size_t len = strcspn(line, " ");
  for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
    if (strlen(calls[i]) == len && strncmp(line, calls[i], len) == 0)
      return 1;
  return 0;
}

static void add_step(vector *v, const char *line) {
  v->steps = realloc(v->steps, (v->step_count + 1) * sizeof(step));
  if (!v->steps)
    exit(2);
  v->steps[v->step_count].text = copy_line(line);
  v->steps[v->step_count].at = v->input.len;
  v->step_count++;
}

/* `> text`: a line of HTTP; backslashes mean the same as in strings. */
static int read_http(vector *v, const char *line) {
  bytes quoted = {0};
  const char *text = line[1] ? line + 2 : line + 1;
  bytes_print(&quoted, "\"");
  for (; *text; text++)
    bytes_print(&quoted, *text == '"' ? "\\%c" : "%c", *text);
  bytes_print(&quoted, "\\r\\n\"");
  bytes_add(&quoted, "", 1);
  int failed = bytes_expand(&v->input, (char *)quoted.data);
  bytes_free(&quoted);
  return failed;
}

static int read_in_line(vector *v, char *line) {
  line += strspn(line, " ");
  if (*line == '\0' || *line == '#')
    return 0;
  if (line[0] == '>' && (line[1] == ' ' || line[1] == '\0'))
    return v->handshake ? read_http(v, line) : -1;
  if (is_step(line)) {
    add_step(v, line);
    return v->handshake ? -1 : 0;
  }
  int done = read_setting(v, line);
  return done == 1 ? bytes_expand(&v->input, line) : done;
}

/* --- The lines of a block `log` --- */

/* Payload may be written in any way; logs are compared in one. */
static int read_log_line(vector *v, const char *line) {
  static const char *const with[] = {"frame ", "partial", "ping",  "pong",
                                     "close ", "control", "owed ", "sent:"};
  int has_bytes = 0;
  for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
    has_bytes |= strncmp(line, with[i], strlen(with[i])) == 0;
  has_bytes |= strncmp(line, "behind:", 7) == 0;
  const char *colon = has_bytes ? strchr(line, ':') : NULL;
  bytes payload = {0};
  int failed = 0;
  if (!*line)
    return -1;
  if (colon) {
    bytes_add(&v->log, line, (size_t)(colon - line));
    failed = bytes_expand(&payload, colon + 1);
    bytes_render(&v->log, payload.data, payload.len);
  } else {
    bytes_add(&v->log, line, strlen(line));
  }
  bytes_free(&payload);
  bytes_print(&v->log, "\n");
  return failed;
}

/* --- Cases --- */

typedef int line_reader(vector *v, char *line);

static int log_line(vector *v, char *line) {
  return read_log_line(v, line);
}

/* $1, $2, … stand for the parts of an item of `each:`. */
static char *substitute(const char *line, const char *item) {
  bytes out = {0};
  for (; *line; line++) {
    if (line[0] != '$' || line[1] < '1' || line[1] > '9') {
      bytes_add(&out, line, 1);
      continue;
    }
    const char *part = item;
    for (int skip = *++line - '1'; skip && *part; skip--) {
      part += strcspn(part, "=");
      part += *part == '=';
    }
    bytes_add(&out, part, strcspn(part, "="));
  }
  char *text = copy_text(out.data ? (char *)out.data : "", out.len);
  bytes_free(&out);
  return text;
}

static void read_block(reader *r, vector *v, const bytes *block, int line,
                       const char *item, line_reader *take) {
  char *text = copy_text((char *)block->data, block->len);
  for (char *at = text, *end; *at; at = end + 1, line++) {
    end = strchr(at, '\n');
    *end = '\0';
    if (strncmp(at, "each: ", 6) == 0)
      continue;
    char *filled = substitute(at, item);
    if (take(v, filled) != 0)
      complain(r, line, "cannot be read", filled);
    free(filled);
  }
  free(text);
}

static void add_vector(reader *r, const char *item) {
  vector *v;
  *r->list = realloc(*r->list, (*r->count + 1) * sizeof(vector));
  if (!*r->list)
    exit(2);
  v = *r->list + (*r->count)++;
  memset(v, 0, sizeof(*v));
  v->file = copy_line(r->path);
  v->line = r->now.line;
  v->log_line = r->now.log_line;
  v->role = NWS_ROLE_SERVER;
  v->config.size = sizeof(v->config);
  bytes title = {0};
  bytes_add(&title, r->now.title.data, r->now.title.len);
  if (*item)
    bytes_print(&title, " [%s]", item);
  v->title = copy_text((char *)title.data, title.len);
  bytes_free(&title);
  read_block(r, v, &r->now.in, r->now.in_line, item, read_in_line);
  read_block(r, v, &r->now.log, r->now.log_line, item, log_line);
}

/* One vector, or one for each word behind `each:` in the block `in`. */
static void add_vectors(reader *r) {
  char *in = copy_text((char *)r->now.in.data, r->now.in.len);
  int each = 0;
  for (char *at = strstr(in, "each: "); at; at = strstr(at, "each: ")) {
    each = 1;
    at += 6;
    while (*at && *at != '\n') {
      size_t len = strcspn(at, " \n");
      char *item = copy_text(at, len);
      if (len)
        add_vector(r, item);
      free(item);
      at += len + (at[len] == ' ');
    }
  }
  if (!each)
    add_vector(r, "");
  free(in);
}

static void finish_case(reader *r) {
  if (!r->open)
    return;
  raw *now = &r->now;
  if (now->blocks != 2 || !now->in.len || !now->log.len || !now->prose)
    complain(r, now->line, "a case needs prose, a block `in` and a block `log`",
             "");
  else
    add_vectors(r);
  bytes_free(&now->title);
  bytes_free(&now->in);
  bytes_free(&now->log);
  memset(now, 0, sizeof(*now));
  r->open = 0;
}

static void read_fence(reader *r, const char *kind) {
  if (strcmp(kind, "in") == 0 && r->open && r->now.blocks == 0) {
    r->where = IN;
    r->now.in_line = r->line + 1;
  } else if (strcmp(kind, "log") == 0 && r->open && r->now.blocks == 1) {
    r->where = LOG;
    r->now.log_line = r->line + 1;
  } else {
    complain(r, r->line, "this block has no place here", kind);
    return;
  }
  r->now.blocks++;
}

static void read_line(reader *r, const char *line) {
  if (r->where != TEXT) {
    bytes *to = r->where == IN ? &r->now.in : &r->now.log;
    if (strcmp(line, "```") == 0) {
      r->where = TEXT;
      return;
    }
    bytes_add(to, line, strlen(line));
    bytes_add(to, "\n", 1);
    return;
  }
  if (strncmp(line, "```", 3) == 0) {
    read_fence(r, line + 3);
  } else if (line[0] == '#') {
    finish_case(r);
    if (strncmp(line, "### ", 4) != 0)
      return;
    r->open = 1;
    r->now.line = r->line;
    bytes_add(&r->now.title, line + 4, strlen(line + 4));
  } else if (*line && !r->now.blocks) {
    r->now.prose = 1;
  }
}

static char *load(const char *path) {
  FILE *file = fopen(path, "rb");
  bytes all = {0};
  char part[4096];
  size_t len;
  if (!file)
    return NULL;
  while ((len = fread(part, 1, sizeof(part), file)) > 0)
    bytes_add(&all, part, len);
  fclose(file);
  char *text = copy_text(all.data ? (char *)all.data : "", all.len);
  bytes_free(&all);
  return text;
}

int vectors_read(const char *path, vector **list, size_t *count) {
  reader r = {.path = path, .list = list, .count = count, .where = TEXT};
  size_t before = *count;
  char *text = load(path);
  if (!text) {
    complain(&r, 0, "cannot be opened", "");
    return -1;
  }
  for (char *at = text; *at;) {
    size_t len = strcspn(at, "\n");
    char *line = copy_text(at, len);
    r.line++;
    read_line(&r, line);
    free(line);
    at += len + (at[len] == '\n');
  }
  if (r.where != TEXT)
    complain(&r, r.line, "the file ends inside a block", "");
  finish_case(&r);
  free(text);
  if (*count == before)
    complain(&r, r.line, "there is no case in it", "");
  return r.failed ? -1 : 0;
}

void vectors_free(vector *list, size_t count) {
  for (size_t i = 0; i < count; i++) {
    vector *v = list + i;
    for (size_t k = 0; k < v->step_count; k++)
      free(v->steps[k].text);
    free(v->steps);
    free(v->file);
    free(v->title);
    free(v->options);
    free(v->deflate);
    free(v->uri);
    bytes_free(&v->random);
    bytes_free(&v->input);
    bytes_free(&v->log);
  }
  free(list);
}
