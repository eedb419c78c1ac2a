/* serve_http.c - what nws serve says to requests that are not for WebSockets,
 * or not good enough: the page, directions, and refusals that name the rule.
 */
#include <stdlib.h>
#include <string.h>
#include "serve.h"

void nws__serve_log_target(const nws_server_handshake *request) {
  const nws_http_head *head = &request->head;
  nws__cli_put_text(stderr, head->method.ptr, head->method.len, CLI_TEXT_PLAIN);
  fputc(' ', stderr);
  nws__cli_put_text(stderr, head->target.ptr, head->target.len, CLI_TEXT_PLAIN);
}

/* --- Refusals --- */

/* Refuses, and gives up whom even that cannot be told. The body says what was
 * wrong and where that is written, for the person at the other end.
 * `status` 0 takes it from the error. */
void nws__serve_refuse(nws_peer *peer, const nws_http_head *head, int error,
                       unsigned status) {
  char body[256];
  const nws_error_info *info = nws_error_get(error);
  const int rule = info->rule[0] != '\0';
  int len = snprintf(body, sizeof(body), "%s%s%s%s\n", nws_net_text(error),
                     rule ? " (" : "", info->rule, rule ? ")" : "");
  if (nws_str_equal(head->method, nws_str_of("HEAD"))) {
    len = 0; /* RFC 9110 9.3.2: no content */
  }
  nws_rejection why = {.size = sizeof(why),
                       .status = status,
                       .error = error,
                       .body = nws_str_make(body, (size_t)len)};
  if (nws_peer_respond(peer, &why) != NWS_OK) {
    nws_peer_abort(peer);
  }
}

/* --- Plain HTTP --- */

/* Says whether this is a request of the simple kind: a good GET, and no attempt
 * at a WebSocket. What is wrong with a request as HTTP, Host for one (RFC 9112
 * 3.2), is found before the absence of Upgrade. */
static int plain_get(const nws_server_handshake *request, int error) {
  const nws_http_head *head = &request->head;
  return error == NWS_ERROR_UPGRADE &&
         nws_header_find(head->headers, head->count, nws_str_of("Upgrade"),
                         0) == head->count;
}

static int is_root(nws_str target) {
  return target.len > 0 && target.ptr[0] == '/' &&
         (target.len == 1 || target.ptr[1] == '?');
}

static int send_page(const server *s, nws_peer *peer) {
  const nws_header headers[] = {
      {nws_str_of("Content-Type"), nws_str_of("text/html; charset=utf-8")},
      {nws_str_of("Content-Security-Policy"),
       nws_str_of("default-src 'none'; style-src 'unsafe-inline'; "
                  "script-src 'unsafe-inline'; connect-src 'self' ws: wss:; "
                  "img-src data:; base-uri 'none'; form-action 'none'; "
                  "frame-ancestors 'none'")},
      {nws_str_of("X-Content-Type-Options"), nws_str_of("nosniff")},
      {nws_str_of("Cache-Control"), nws_str_of("no-store")},
  };
  nws_rejection page = {.size = sizeof(page),
                        .status = 200,
                        .headers = headers,
                        .header_count = sizeof(headers) / sizeof(headers[0]),
                        .body = nws_str_make(s->page, s->page_len)};
  return nws_peer_respond(peer, &page);
}

static int send_directions(const server *s, nws_peer *peer) {
  char body[128];
  int len = snprintf(body, sizeof(body),
                     "Here is the page at /, and a WebSocket %s on every "
                     "path.\n",
                     s->mode->name);
  nws_rejection answer = {.size = sizeof(answer),
                          .status = 404,
                          .body = nws_str_make(body, (size_t)len)};
  return nws_peer_respond(peer, &answer);
}

void nws__serve_http(nws_peer *peer, const nws_server_handshake *request,
                     int error) {
  const server *s = ((guest *)nws_peer_user(peer))->server;
  const int plain = plain_get(request, error);
  if (s->verbose) {
    fputs("http: ", stderr);
    nws__serve_log_target(request);
    fprintf(stderr, "%s%s\n", plain ? "" : ": ",
            plain ? "" : nws_error_text(error));
  }
  if (!plain) {
    nws__serve_refuse(peer, &request->head, error, 0);
    return;
  }
  int rc = is_root(request->head.target) ? send_page(s, peer)
                                         : send_directions(s, peer);
  if (rc != NWS_OK) {
    nws_peer_abort(peer);
  }
}

/* The page's pieces as one. */
int nws__serve_page(server *s) {
  size_t len = 0;
  for (size_t i = 0; nws__cli_page[i]; i++) {
    len += strlen(nws__cli_page[i]);
  }
  s->page = malloc(len + 1);
  if (!s->page) {
    return 0;
  }
  for (size_t i = 0; nws__cli_page[i]; i++) {
    size_t part = strlen(nws__cli_page[i]);
    memcpy(s->page + s->page_len, nws__cli_page[i], part);
    s->page_len += part;
  }
  return 1;
}
