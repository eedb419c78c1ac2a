/* redirect.c - going where a server sends a client (RFC 9110 15.4).
 *
 * Whatever might be a secret is for one origin only: once a redirect leads to
 * another, our Authorization and all headers of the application's but
 * User-Agent are left behind for good. And nothing leads out of TLS.
 */
#include "client_internal.h"
#include <stdlib.h>
#include <string.h>

/* --- Where to --- */

static size_t scheme_len(nws_str text) {
  static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "abcdefghijklmnopqrstuvwxyz0123456789+-.";
  size_t len = 0;
  while (len < text.len && text.ptr[len] != '\0' &&
         strchr(set, text.ptr[len]) != NULL) {
    len++;
  }
  return len < text.len && len > 0 && text.ptr[len] == ':' ? len : 0;
}

static int is_scheme(nws_str scheme, const char *one, const char *other) {
  return nws_str_equal_nocase(scheme, nws_str_of(one)) ||
         nws_str_equal_nocase(scheme, nws_str_of(other));
}

typedef struct writer {
  char *out;
  size_t len;
} writer;

static void put(writer *w, const char *ptr, size_t len) {
  if (len > 0) {
    memcpy(w->out + w->len, ptr, len);
    w->len += len;
  }
}

static int starts(nws_str text, const char *with) {
  size_t len = strlen(with);
  return text.len >= len && memcmp(text.ptr, with, len) == 0;
}

/* The base as far as `from` leaves it standing (RFC 3986 5.2.2). */
static void put_base(writer *w, const char *text, const nws_uri *base,
                     nws_str from) {
  const char *host = strstr(text, "://") + 3;
  size_t path_len = base->path.len;
  put(w, text, (size_t)(host - text));
  if (starts(from, "//")) {
    w->len -= 2;
    return;
  }
  if (base->userinfo.ptr != NULL) {
    host = base->userinfo.ptr + base->userinfo.len + 1;
  }
  put(w, host, strcspn(host, "/?"));
  if (from.len > 0 && from.ptr[0] == '/') {
    return;
  }
  if (from.len > 0 && from.ptr[0] != '?') {
    while (path_len > 1 && base->path.ptr[path_len - 1] != '/') {
      path_len--;
    }
  }
  put(w, base->path.ptr, path_len);
  if (from.len == 0 && base->query.ptr != NULL) {
    put(w, "?", 1);
    put(w, base->query.ptr, base->query.len);
  }
}

/* Takes "." and ".." out of a path (RFC 3986 5.2.4). Returns its new length. */
static size_t remove_dots(char *path, size_t len) {
  size_t in = 0;
  size_t out = 0;
  while (in < len) {
    const char *end = memchr(path + in + 1, '/', len - in - 1);
    size_t next = end == NULL ? len : (size_t)(end - path);
    size_t segment = next - in; /* with its slash */
    int one = segment == 2 && path[in + 1] == '.';
    int two = segment == 3 && path[in + 1] == '.' && path[in + 2] == '.';
    if (two) {
      while (out > 0 && path[--out] != '/') {
      }
    }
    if (!one && !two) {
      memmove(path + out, path + in, segment);
      out += segment;
    } else if (next == len) {
      path[out++] = '/';
    }
    in = next;
  }
  return out;
}

static int take_apart(nws_uri *uri, char *text) {
  int rc = nws_uri_parse(uri, text, strlen(text), NULL);
  if (rc != NWS_OK || uri->userinfo.ptr != NULL || !nws__client_reaches(uri)) {
    return NWS_ERROR_REDIRECT;
  }
  return NWS_OK;
}

static int tidy(char *text) {
  nws_uri uri;
  int rc = take_apart(&uri, text);
  if (rc != NWS_OK) {
    return rc;
  }
  char *path = strstr(text, "://") + 3;
  path += strcspn(path, "/?");
  if (*path != '/') {
    return NWS_OK;
  }
  char *rest = path + uri.path.len;
  size_t len = remove_dots(path, uri.path.len);
  memmove(path + len, rest, strlen(rest) + 1);
  return NWS_OK;
}

/* Resolves the value of a Location header against the URL that answered with
 * it, to a URL with ws or wss. Returns NWS_OK, NWS_ERROR_REDIRECT or
 * NWS_ERROR_MEMORY. */
int nws__redirect_resolve(const char *text, const nws_uri *base, nws_str to,
                          char **out) {
  const char *fragment = to.len == 0 ? NULL : memchr(to.ptr, '#', to.len);
  writer w = {NULL, 0};
  *out = NULL;
  if (fragment != NULL) {
    to.len = (size_t)(fragment - to.ptr);
  }
  size_t scheme = scheme_len(to);
  w.out = malloc(strlen(text) + to.len + sizeof("wss://"));
  if (w.out == NULL) {
    return NWS_ERROR_MEMORY;
  }
  if (scheme == 0) {
    put_base(&w, text, base, to);
  } else if (is_scheme(nws_str_make(to.ptr, scheme), "ws", "http")) {
    put(&w, "ws", 2);
  } else if (is_scheme(nws_str_make(to.ptr, scheme), "wss", "https")) {
    put(&w, "wss", 3);
  }
  int rc = w.len == 0 ? NWS_ERROR_REDIRECT : NWS_OK;
  put(&w, to.ptr + scheme, to.len - scheme);
  w.out[w.len] = '\0';
  if (rc == NWS_OK) {
    rc = strlen(w.out) == w.len ? tidy(w.out) : NWS_ERROR_REDIRECT;
  }
  if (rc != NWS_OK) {
    free(w.out);
    return rc;
  }
  *out = w.out;
  return NWS_OK;
}

/* --- Going there --- */

static int same_origin(const nws_uri *a, const nws_uri *b) {
  return a->secure == b->secure && a->port == b->port &&
         nws_str_equal_nocase(a->host, b->host);
}

/* Leaves everything behind that is not for strangers. */
static void forget(nws__dial *dial) {
  nws_client_offer *offer = &dial->offer;
  nws_str name = nws_str_of("User-Agent");
  size_t at = nws_header_find(offer->headers, offer->header_count, name, 0);
  int found = at < offer->header_count;
  offer->headers = found ? offer->headers + at : NULL;
  offer->header_count = (size_t)found;
  free(dial->authorization);
  dial->authorization = NULL;
  dial->fixed = 0;
}

static int take_new_url(nws_peer *peer, char *url, const nws_uri *uri) {
  nws__dial *dial = peer->opening->dial;
  if (dial->uri.secure && !uri->secure) {
    return NWS_ERROR_REDIRECT_INSECURE;
  }
  if (!same_origin(&dial->uri, uri)) {
    if (dial->local) {
      return NWS_ERROR_REDIRECT;
    }
    forget(dial);
  }
  int rc = dial->local ? NWS_OK : nws__client_show(peer->setup, url);
  if (rc != NWS_OK) {
    return rc;
  }
  free(dial->url);
  dial->url = url;
  dial->uri = *uri;
  return NWS_OK;
}

static int location(const nws_http_head *head, nws_str *out) {
  nws_str name = nws_str_of("Location");
  size_t at = nws_header_find(head->headers, head->count, name, 0);
  if (at == head->count || nws_header_find(head->headers, head->count, name,
                                           at + 1) != head->count) {
    return NWS_ERROR_REDIRECT;
  }
  *out = head->headers[at].value;
  return NWS_OK;
}

/* Looks where to go instead. NWS_OK: the dial is set up for it. */
static int choose(nws_peer *peer) {
  nws__dial *dial = peer->opening->dial;
  nws_uri uri;
  nws_str to;
  char *url;
  if (dial->redirects >= dial->max_redirects) {
    return NWS_ERROR_REDIRECT_LIMIT;
  }
  int rc = location(&dial->hs.head, &to);
  if (rc == NWS_OK) {
    rc = nws__redirect_resolve(dial->url, &dial->uri, to, &url);
  }
  if (rc != NWS_OK) {
    return rc;
  }
  rc = take_apart(&uri, url);
  if (rc == NWS_OK) {
    rc = take_new_url(peer, url, &uri);
  }
  if (rc != NWS_OK) {
    free(url);
  }
  return rc;
}

static int asked(const nws__dial *dial) {
  switch (dial->hs.head.status) {
  case 301:
  case 302:
  case 303:
  case 307:
  case 308:
    return dial->max_redirects > 0;
  default:
    return 0;
  }
}

/* From the connection that redirects back to the start. */
static void start_over(nws_peer *peer) {
  nws__opening *opening = peer->opening;
  uint32_t past = NWS__BLOCKED | NWS__BROKEN | NWS__ENDED;
  nws__queue_drop(peer);
  nws__tls_free(peer->tls);
  peer->tls = NULL;
  peer->flags &= ~past;
  peer->error = 0;
  opening->head_len = 0;
  nws__peer_enter(peer, NWS__RESOLVING);
  nws__peer_detach(peer); /* and then nws__client_begin() */
}

/* An answer that is not 101 may send us somewhere else. Returns NWS_OK when it
 * does, and else the error that it is. */
int nws__redirect_follow(nws_peer *peer) {
  nws__dial *dial = peer->opening->dial;
  if (!asked(dial)) {
    return NWS_ERROR_STATUS;
  }
  int rc = choose(peer);
  if (rc != NWS_OK) {
    return rc;
  }
  dial->redirects++;
  rc = nws__client_tls(dial, peer->loop);
  if (rc == NWS_OK) {
    rc = nws__client_proxy(dial);
  }
  if (rc == NWS_OK) {
    rc = nws__client_check(dial, peer->setup);
  }
  if (rc == NWS_OK) {
    start_over(peer);
  } else {
    nws__peer_die(peer, rc);
  }
  return NWS_OK;
}
