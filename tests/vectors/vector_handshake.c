/* vector_handshake.c - plays a vector on an opening handshake.
 *
 * A handshake is read from growing prefixes of the head, each in a block of
 * its own, because the bytes may move between calls. Requests and answers that
 * the library writes are logged by meaning: the order of headers and what a
 * refusal says in its body are its own choice.
 */
#include "vectors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 8

/* The options of a vector, taken apart. */
typedef struct options {
  char *copy;
  nws_str subprotocols[LIST_MAX];
  size_t subprotocol_count;
  nws_str origins[LIST_MAX];
  size_t origin_count;
  nws_origin_policy origin;
  int require_origin;
  int require_subprotocol;
  size_t max_head;
  const nws_extension *extensions[1];
  size_t extension_count;
  const nws_extension *deflate; /* the same, when it is that one */
} options;

static void lie(bytes *log, const char *what) {
  bytes_print(log, "INCONSISTENT %s\n", what);
}

/* --- An extension that does nothing, to be negotiated --- */

static int mark_offer(const nws_extension *ext, char *out, size_t cap) {
  static const char text[] = "x-mark; level=3";
  (void)ext;
  if (cap < sizeof(text) - 1)
    return NWS_ERROR_BUFFER;
  memcpy(out, text, sizeof(text) - 1);
  return (int)sizeof(text) - 1;
}

/* Takes the offers that have one parameter. */
static int mark_accept(const nws_extension *ext,
                       const nws_extension_offer *offer, char *out, size_t cap,
                       size_t *len, void **state) {
  (void)ext;
  (void)state;
  if (offer->param_count != 1)
    return NWS_EXTENSION_DECLINED;
  if (cap < 6)
    return NWS_ERROR_BUFFER;
  memcpy(out, "x-mark", 6);
  *len = 6;
  return NWS_OK;
}

static int mark_confirm(const nws_extension *ext,
                        const nws_extension_offer *answer, void **state) {
  (void)ext;
  (void)state;
  return answer->param_count ? NWS_ERROR_EXTENSION_HEADER : NWS_OK;
}

static const nws_extension mark = {.size = sizeof(nws_extension),
                                   .name = "x-mark",
                                   .rsv = NWS_RSV2,
                                   .offer = mark_offer,
                                   .accept = mark_accept,
                                   .confirm = mark_confirm};

/* --- Options --- */

static size_t read_list(char *text, nws_str *list) {
  size_t count = 0;
  while (text && *text && count < LIST_MAX) {
    char *comma = strchr(text, ',');
    if (comma)
      *comma = '\0';
    list[count++] = nws_str_of(text);
    text = comma ? comma + 1 : NULL;
  }
  return count;
}

static int read_option(options *o, const char *name, char *value) {
  if (strcmp(name, "subprotocols") == 0) {
    o->subprotocol_count = read_list(value, o->subprotocols);
  } else if (strcmp(name, "origins") == 0) {
    o->origin = NWS_ORIGIN_LIST;
    o->origin_count = read_list(value, o->origins);
  } else if (strcmp(name, "origin") == 0) {
    o->origin = strcmp(value, "any") ? NWS_ORIGIN_SAME_HOST : NWS_ORIGIN_ANY;
    o->origins[0] = nws_str_of(value);
  } else if (strcmp(name, "require_origin") == 0) {
    o->require_origin = 1;
  } else if (strcmp(name, "require_subprotocol") == 0) {
    o->require_subprotocol = 1;
  } else if (strcmp(name, "max_head") == 0) {
    o->max_head = strtoul(value, NULL, 10);
  } else if (strcmp(name, "extensions") == 0 && strcmp(value, "x-mark") == 0) {
    o->extensions[0] = &mark;
    o->extension_count = 1;
  } else if (strcmp(name, "deflate") == 0) {
    o->deflate = vector_deflate_make(value);
    o->extensions[0] = o->deflate;
    o->extension_count = o->deflate != NULL;
    return o->deflate != NULL ? 0 : -1;
  } else {
    return -1;
  }
  return 0;
}

static void read_options(options *o, const char *text, bytes *log) {
  memset(o, 0, sizeof(*o));
  if (!text)
    return;
  o->copy = xalloc(strlen(text) + 1);
  memcpy(o->copy, text, strlen(text) + 1);
  for (char *word = strtok(o->copy, " "); word; word = strtok(NULL, " ")) {
    char *equals = strchr(word, '=');
    if (equals)
      *equals = '\0';
    if (!equals || read_option(o, word, equals + 1) != 0)
      bytes_print(log, "unknown option %s\n", word);
  }
}

static void free_options(options *o) {
  vector_deflate_drop(o->deflate);
  free(o->copy);
}

/* --- Reading --- */

typedef int read_call(void *hs, const void *with, const char *data, size_t len);

static int read_server(void *hs, const void *with, const char *data,
                       size_t len) {
  return nws_server_handshake_read(hs, with, data, len);
}

static int read_client(void *hs, const void *with, const char *data,
                       size_t len) {
  (void)with;
  return nws_client_handshake_read(hs, data, len);
}

/* Reads longer and longer prefixes; the last is left in `*kept`. */
static int read_prefixes(const vector *v, const manner *how, read_call *call,
                         void *hs, const void *with, char **kept) {
  int result = NWS_MORE;
  for (size_t i = 0; i <= how->cut_count && result == NWS_MORE; i++) {
    size_t len = i < how->cut_count ? how->cuts[i] : v->input.len;
    char *copy = xalloc(len);
    memcpy(copy, v->input.data, len);
    result = call(hs, with, copy, len);
    free(*kept);
    *kept = copy;
  }
  return result;
}

/* --- The log --- */

static void log_str(bytes *log, const char *name, nws_str value) {
  if (!value.ptr)
    return;
  bytes_print(log, value.len ? "%s " : "%s", name);
  bytes_add(log, value.ptr, value.len);
  bytes_print(log, "\n");
}

static int lower_case(const char *name) {
  return strcmp(name, "upgrade") == 0 || strcmp(name, "connection") == 0;
}

static void log_headers(bytes *log, const char *what, const nws_http_head *head,
                        const char *const *names) {
  for (; *names; names++) {
    size_t at = 0;
    while ((at = nws_header_find(head->headers, head->count, nws_str_of(*names),
                                 at)) < head->count) {
      nws_str value = head->headers[at++].value;
      bytes_print(log, "%s %s: ", what, *names);
      for (size_t i = 0; i < value.len; i++)
        bytes_print(log, "%c",
                    lower_case(*names) ? tolower((unsigned char)value.ptr[i])
                                       : value.ptr[i]);
      bytes_print(log, "\n");
    }
  }
}

static void log_behind(const vector *v, size_t head_len, bytes *log) {
  if (head_len > v->input.len || v->input.len == head_len)
    return;
  bytes_print(log, "behind");
  bytes_render(log, v->input.data + head_len, v->input.len - head_len);
  bytes_print(log, "\n");
}

static void log_fault(bytes *log, int error, size_t at) {
  bytes_print(log, "fault %s at %zu\n", nws_error_get(error)->name, at);
}

/* --- Server --- */

static void log_answer(bytes *log, const char *out, size_t len) {
  static const char *const names[] = {"upgrade",
                                      "connection",
                                      "allow",
                                      "sec-websocket-accept",
                                      "sec-websocket-protocol",
                                      "sec-websocket-extensions",
                                      "sec-websocket-version",
                                      NULL};
  nws_header room[32];
  nws_http_head head = {.headers = room, .max_headers = 32};
  int failed = nws_http_parse_response(&head, out, len);
  if (failed) {
    lie(log, "an answer that cannot be parsed");
    return;
  }
  bytes_print(log, "answer %u\n", head.status);
  log_headers(log, "answer", &head, names);
  size_t at =
      nws_header_find(room, head.count, nws_str_of("content-length"), 0);
  size_t body = len - head.len;
  if (head.status == 101 && (body || at < head.count))
    lie(log, "a body behind 101");
  if (head.status == 101)
    return;
  char text[24];
  snprintf(text, sizeof(text), "%zu", body);
  if (at == head.count || !nws_str_equal(room[at].value, nws_str_of(text)))
    lie(log, "Content-Length");
}

typedef int answer_call(const void *with, char *out, size_t cap, size_t *len);

static int accept_call(const void *with, char *out, size_t cap, size_t *len) {
  void *hs;
  memcpy(&hs, with, sizeof(hs));
  return nws_server_handshake_accept(hs, NULL, out, cap, len);
}

static int reject_call(const void *with, char *out, size_t cap, size_t *len) {
  return nws_server_handshake_reject(with, out, cap, len);
}

/* Asks for the room first, then writes into exactly that. */
static void answer(answer_call *call, const void *with, bytes *log) {
  char none;
  size_t need = 0;
  size_t len = 0;
  if (call(with, &none, 0, &need) != NWS_ERROR_BUFFER)
    lie(log, "an answer fits into nothing");
  char *out = xalloc(need);
  int failed = call(with, out, need, &len);
  if (failed || len > need)
    bytes_print(log, "answer error %s\n", nws_error_get(failed)->name);
  else
    log_answer(log, out, len);
  free(out);
}

static void log_server(const vector *v, nws_server_handshake *hs, int result,
                       bytes *log) {
  if (result == NWS_MORE) {
    bytes_print(log, "more\n");
    return;
  }
  if (result < 0) {
    nws_rejection why = {.size = sizeof(why), .error = result};
    log_fault(log, result, hs->error_at);
    answer(reject_call, &why, log);
    return;
  }
  bytes_print(log, "request read\n");
  log_str(log, "path", hs->path);
  log_str(log, "query", hs->query);
  log_str(log, "host", hs->host);
  log_str(log, "origin", hs->origin);
  void *with = hs;
  answer(accept_call, &with, log);
  log_str(log, "subprotocol", hs->subprotocol);
  vector_deflate_log(hs->extensions, hs->extension_count, log);
  bytes_print(log, "frames at %zu\n", hs->head.len);
  log_behind(v, hs->head.len, log);
}

static void play_server(const vector *v, const manner *how, bytes *log) {
  nws_server_handshake *hs = xalloc(sizeof(*hs));
  char *kept = NULL;
  options o;
  memset(hs, 0, sizeof(*hs));
  read_options(&o, v->options, log);
  nws_server_policy policy = {.size = sizeof(policy),
                              .origin = o.origin,
                              .origins = o.origins,
                              .origin_count = o.origin_count,
                              .require_origin = o.require_origin,
                              .subprotocols = o.subprotocols,
                              .subprotocol_count = o.subprotocol_count,
                              .require_subprotocol = o.require_subprotocol,
                              .extensions = o.extensions,
                              .extension_count = o.extension_count,
                              .max_head = o.max_head};
  int result = read_prefixes(v, how, read_server, hs, &policy, &kept);
  log_server(v, hs, result, log);
  nws_extension_release(hs->extensions, hs->extension_count);
  free(kept);
  free_options(&o);
  free(hs);
}

/* --- Client --- */

static int draw(void *user, void *out, size_t len) {
  const vector *v = user;
  if (len != 16 || v->random.len != 16)
    return -1;
  memcpy(out, v->random.data, 16);
  return 0;
}

static void log_request(bytes *log, const char *out, size_t len) {
  static const char *const names[] = {"host",
                                      "upgrade",
                                      "connection",
                                      "sec-websocket-key",
                                      "sec-websocket-version",
                                      "origin",
                                      "sec-websocket-protocol",
                                      "sec-websocket-extensions",
                                      NULL};
  nws_header room[32];
  nws_http_head head = {.headers = room, .max_headers = 32};
  if (nws_http_parse_request(&head, out, len) != NWS_OK || head.len != len ||
      head.minor != 1) {
    lie(log, "a request that cannot be parsed");
    return;
  }
  log_str(log, "request method", head.method);
  log_str(log, "request target", head.target);
  log_headers(log, "request", &head, names);
}

static void log_client(const vector *v, const nws_client_handshake *hs,
                       int result, bytes *log) {
  if (result == NWS_MORE) {
    bytes_print(log, "more\n");
    return;
  }
  if (result < 0) {
    log_fault(log, result, hs->error_at);
    if (result == NWS_ERROR_STATUS) {
      bytes_print(log, "status %u\n", hs->head.status);
      log_behind(v, hs->head.len, log);
    }
    return;
  }
  bytes_print(log, "established\n");
  log_str(log, "subprotocol", hs->subprotocol);
  for (size_t i = 0; i < hs->extension_count; i++)
    bytes_print(log, "extension %s\n", hs->extensions[i].ext->name);
  vector_deflate_log(hs->extensions, hs->extension_count, log);
  bytes_print(log, "frames at %zu\n", hs->head.len);
  log_behind(v, hs->head.len, log);
}

/* Writes the request; 0 when the response may be read. */
static int start(const vector *v, nws_client_handshake *hs,
                 const nws_client_offer *offer, bytes *log) {
  vector *user = NULL;
  const void *lent = v;
  memcpy(&user, &lent, sizeof(user));
  nws_random random = {draw, user};
  char out[4096];
  size_t len = 0;
  int failed =
      nws_client_handshake_start(hs, offer, &random, out, sizeof(out), &len);
  if (failed) {
    bytes_print(log, "start error %s\n", nws_error_get(failed)->name);
    return -1;
  }
  if (v->show_request)
    log_request(log, out, len);
  return 0;
}

static void play_client(const vector *v, const manner *how, bytes *log) {
  nws_client_handshake *hs = xalloc(sizeof(*hs));
  const char *text = v->uri ? v->uri : "ws://server.example.com/chat";
  char *kept = NULL;
  options o;
  nws_uri uri;
  read_options(&o, v->options, log);
  memset(hs, 0xa5, sizeof(*hs));
  if (nws_uri_parse(&uri, text, strlen(text), NULL) != NWS_OK)
    bytes_print(log, "uri error\n");
  nws_client_offer offer = {.size = sizeof(offer),
                            .uri = &uri,
                            .origin = o.origins[0],
                            .subprotocols = o.subprotocols,
                            .subprotocol_count = o.subprotocol_count,
                            .extensions = o.extensions,
                            .extension_count = o.extension_count,
                            .require_subprotocol = o.require_subprotocol,
                            .max_head = o.max_head};
  if (start(v, hs, &offer, log) == 0 && v->input.len) {
    int result = read_prefixes(v, how, read_client, hs, NULL, &kept);
    log_client(v, hs, result, log);
    nws_extension_release(hs->extensions, hs->extension_count);
  }
  free(kept);
  free_options(&o);
  free(hs);
}

void handshake_play(const vector *v, const manner *how, bytes *log) {
  if (v->role == NWS_ROLE_SERVER)
    play_server(v, how, log);
  else
    play_client(v, how, log);
}
