/* serve_exec.c - `nws serve --exec`: a process for each connection.
 *
 * The process learns of the request as CGI programs do (RFC 3875 4.1), with the
 * names that websocketd uses. It is there before the connection is accepted, so
 * that nobody is let in for whom there is none; what it prints waits until
 * then.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "serve.h"

#define MAX_PROCESSES 100
#define MAX_QUEUE ((size_t)1 << 20)

extern char **environ;

typedef struct exec_guest {
  guest base;
  cli_child child;
  int known; /* its handles are open */
} exec_guest;

/* --- The environment --- */

/* An environment that is being made. */
typedef struct variables {
  char **list;
  size_t count;
  int failed;
} variables;

static void add(variables *v, const char *name, nws_str value) {
  const size_t name_len = strlen(name);
  char *text = malloc(name_len + value.len + 2);
  if (!text) {
    v->failed = 1;
    return;
  }
  memcpy(text, name, name_len);
  text[name_len] = '=';
  if (value.len) {
    memcpy(text + name_len + 1, value.ptr, value.len);
  }
  text[name_len + 1 + value.len] = 0;
  v->list[v->count++] = text;
}

static void add_text(variables *v, const char *name, const char *value) {
  add(v, name, nws_str_of(value));
}

/* HTTP_USER_AGENT of User-Agent; 0 for a header that is not passed on: what
 * lets others in does not belong where all processes of the user may read it
 * (RFC 3875 4.1.18), HTTP_PROXY would be taken for a setting by what makes
 * requests, and a name with anything but letters, digits and dashes could be
 * taken for another. */
static int header_variable(nws_str name, char *out, size_t cap) {
  static const char *const hidden[] = {"authorization", "proxy-authorization",
                                       "proxy"};
  for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
    if (nws_str_equal_nocase(name, nws_str_of(hidden[i]))) {
      return 0;
    }
  }
  if (name.len + sizeof("HTTP_") > cap) {
    return 0;
  }
  memcpy(out, "HTTP_", 5);
  for (size_t i = 0; i < name.len; i++) {
    const char c = name.ptr[i];
    if (c >= 'a' && c <= 'z') {
      out[5 + i] = (char)(c - 'a' + 'A');
    } else if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
      out[5 + i] = c;
    } else if (c == '-') {
      out[5 + i] = '_';
    } else {
      return 0;
    }
  }
  out[5 + name.len] = 0;
  return 1;
}

/* Headers of the same name become one, as RFC 9110 5.2 has it. */
static int append(variables *v, const char *name, nws_str value) {
  const size_t name_len = strlen(name);
  for (size_t i = 0; i < v->count; i++) {
    char *old = v->list[i];
    if (strncmp(old, name, name_len) != 0 || old[name_len] != '=') {
      continue;
    }
    const size_t len = strlen(old);
    char *text = realloc(old, len + value.len + 3);
    if (!text) {
      v->failed = 1;
      return 1;
    }
    memcpy(text + len, strcmp(name, "HTTP_COOKIE") == 0 ? "; " : ", ", 2);
    if (value.len) {
      memcpy(text + len + 2, value.ptr, value.len);
    }
    text[len + 2 + value.len] = 0;
    v->list[i] = text;
    return 1;
  }
  return 0;
}

static void add_headers(variables *v, const nws_http_head *head) {
  char name[128];
  for (size_t i = 0; i < head->count && !v->failed; i++) {
    const nws_header *header = &head->headers[i];
    if (header_variable(header->name, name, sizeof(name)) &&
        !append(v, name, header->value)) {
      add(v, name, header->value);
    }
  }
}

/* An address and its port, "127.0.0.1:4711" or "[::1]:4711", in two. */
static void add_address(variables *v, const char *address) {
  const char *colon = strrchr(address, ':');
  if (!colon) { /* a Unix socket */
    add_text(v, "REMOTE_ADDR", address);
    add_text(v, "REMOTE_PORT", "");
    return;
  }
  const int v6 = *address == '[';
  nws_str host =
      nws_str_make(address + v6, (size_t)(colon - address) - 2 * (size_t)v6);
  add(v, "REMOTE_ADDR", host);
  add(v, "REMOTE_HOST", host);
  add_text(v, "REMOTE_PORT", colon + 1);
}

/* Host without its port (RFC 3875 4.1.14). */
static void add_host(variables *v, const nws_http_head *head, const server *s) {
  char port[8];
  size_t at =
      nws_header_find(head->headers, head->count, nws_str_of("Host"), 0);
  nws_str host = at < head->count ? head->headers[at].value : nws_str_of("");
  for (size_t i = host.len; i-- > 0 && host.ptr[i] != ']';) {
    if (host.ptr[i] == ':') {
      host.len = i;
      break;
    }
  }
  add(v, "SERVER_NAME", host);
  snprintf(port, sizeof(port), "%u", (unsigned)nws_server_port(s->running));
  add_text(v, "SERVER_PORT", port);
}

static void add_request(variables *v, const exec_guest *g,
                        const nws_http_head *head) {
  const nws_str target = head->target;
  const char *mark = memchr(target.ptr, '?', target.len);
  const size_t path_len = mark ? (size_t)(mark - target.ptr) : target.len;
  nws_tls_info info;
  add_text(v, "GATEWAY_INTERFACE", "CGI/1.1");
  add_text(v, "SERVER_SOFTWARE", "nws");
  add_text(v, "SERVER_PROTOCOL", "HTTP/1.1");
  add(v, "REQUEST_METHOD", head->method);
  add(v, "REQUEST_URI", target);
  add_text(v, "SCRIPT_NAME", "");
  add(v, "PATH_INFO", nws_str_make(target.ptr, path_len));
  add(v, "QUERY_STRING",
      mark ? nws_str_make(mark + 1, target.len - path_len - 1)
           : nws_str_of(""));
  add_address(v, g->base.address);
  add_host(v, head, g->base.server);
  if (nws_peer_tls(g->base.peer, &info) == NWS_OK) {
    add_text(v, "HTTPS", "on");
  }
}

/* Says whether a variable of ours is to be kept from processes, which would
 * take it for one of the request. */
static int of_request(const variables *v, const char *variable) {
  static const char *const never[] = {"HTTP_", "HTTPS=", "REMOTE_"};
  for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
    if (strncmp(variable, never[i], strlen(never[i])) == 0) {
      return 1;
    }
  }
  const size_t len = strcspn(variable, "=") + 1;
  for (size_t i = 0; i < v->count; i++) {
    if (strncmp(variable, v->list[i], len) == 0) {
      return 1;
    }
  }
  return 0;
}

static void free_variables(variables *v) {
  for (size_t i = 0; i < v->count; i++) {
    free(v->list[i]);
  }
  free(v->list);
}

static int make_variables(variables *v, const exec_guest *g,
                          const nws_http_head *head) {
  size_t ours = 0;
  while (environ[ours]) {
    ours++;
  }
  *v = (variables){.list = calloc(ours + head->count + 20, sizeof(char *))};
  if (!v->list) {
    return NWS_ERROR_MEMORY;
  }
  add_request(v, g, head);
  add_headers(v, head);
  for (size_t i = 0; i < ours && !v->failed; i++) {
    const char *equals = strchr(environ[i], '=');
    if (equals && !of_request(v, environ[i])) {
      char *copy = strdup(environ[i]);
      v->failed = !copy;
      v->list[v->count] = copy;
      v->count += copy != NULL;
    }
  }
  return v->failed ? NWS_ERROR_MEMORY : NWS_OK;
}

/* --- The process --- */

static void on_ended(cli_child *child, int error) {
  exec_guest *g = child->user;
  if (error == NWS_ERROR_STATE || !g->base.peer) {
    return;
  }
  if (error != NWS_OK) {
    nws__serve_log(&g->base);
    fputc('\n', stderr);
    nws__cli_split_complain(&child->bridge.split, "the command's output",
                            error);
  } else if (g->base.server->verbose) {
    nws__serve_log(&g->base);
    fprintf(stderr, "process ended with %d\n", child->status);
  }
  nws_peer_close(g->base.peer,
                 error || child->status != 0 ? NWS_CLOSE_INTERNAL_ERROR
                                             : NWS_CLOSE_NORMAL,
                 nws_str_make("", 0));
}

static void on_gone(cli_child *child) {
  exec_guest *g = child->user;
  g->known = 0;
  g->base.server->processes--;
  if (!g->base.peer) {
    nws__serve_leave(&g->base);
  }
}

static int start_child(exec_guest *g, const nws_http_head *head) {
  server *s = g->base.server;
  cli_child *child = &g->child;
  variables v;
  int rc = make_variables(&v, g, head);
  if (rc == NWS_OK) {
    child->user = g;
    child->ended = on_ended;
    child->gone = on_gone;
    child->bridge.peer = g->base.peer;
    child->bridge.split = s->split;
    g->known = 1;
    s->processes++;
    rc = nws__cli_child_start(child, &s->uv, s->exec, v.list);
  }
  free_variables(&v);
  return rc;
}

static void on_request(guest *base, const nws_server_handshake *request) {
  exec_guest *g = (exec_guest *)base;
  server *s = base->server;
  if (s->processes >= s->max_processes) {
    nws__cli_say("%llu processes run already (--max-processes); %s is refused",
                 (unsigned long long)s->processes, base->address);
    nws__serve_refuse(base->peer, &request->head, UV_EBUSY, 503);
    return;
  }
  int rc = start_child(g, &request->head);
  if (rc == NWS_OK) {
    nws__serve_accept(base, &request->head);
    return;
  }
  nws__cli_say("cannot start the command: %s", nws_net_text(rc));
  nws__serve_refuse(base->peer, &request->head, rc, 503);
}

static void on_message(guest *base, unsigned opcode, uint8_t *data,
                       size_t len) {
  exec_guest *g = (exec_guest *)base;
  (void)opcode;
  nws__cli_bridge_message(&g->child.bridge, data, len);
}

static void on_drain(guest *base) {
  nws__cli_bridge_drain(&((exec_guest *)base)->child.bridge);
}

static int on_closed(guest *base) {
  exec_guest *g = (exec_guest *)base;
  if (!g->known) {
    return 1;
  }
  nws__cli_child_part(&g->child);
  return 0;
}

static void drop(guest *base) {
  nws__cli_child_signal(&((exec_guest *)base)->child, SIGKILL);
}

static int start(server *s) {
  if (s->max_processes == 0) {
    s->max_processes = MAX_PROCESSES;
  }
  return CLI_EXIT_OK;
}

const serve_mode nws__serve_exec = {.name = "with a process behind it",
                                    .option = "exec",
                                    .guest_len = sizeof(exec_guest),
                                    .max_queue = MAX_QUEUE,
                                    .start = start,
                                    .request = on_request,
                                    .message = on_message,
                                    .drain = on_drain,
                                    .closed = on_closed,
                                    .drop = drop};
