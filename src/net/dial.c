/* dial.c - a client's options become what it needs on its way.
 */
#include "client_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIX_SCHEME "ws+unix:"
#define UNIX_SCHEME_LEN (sizeof(UNIX_SCHEME) - 1)
#define UNIX_HOST "ws://localhost"
#define NS_PER_MS UINT64_C(1000000)
/* RFC 8305 5 */
#define ATTEMPT_DELAY_MS 250u

/* "ws+unix:PATH" or "ws+unix:PATH:/TARGET", as npm's ws has it, becomes the
 * address of PATH, and ws://localhost/TARGET for the handshake. */
static int take_unix(nws__dial *dial, const char *rest) {
  char path[NWS__PATH_MAX];
  size_t len = strcspn(rest, ":");
  const char *target = rest[len] == ':' ? rest + len + 1 : "/";
  if (len >= sizeof(path)) {
    return UV_ENAMETOOLONG;
  }
  memcpy(path, rest, len);
  path[len] = '\0';
  dial->targets = calloc(1, sizeof(*dial->targets));
  if (dial->targets == NULL) {
    return NWS_ERROR_MEMORY;
  }
  dial->target_count = 1;
  dial->fixed = 1;
  dial->local = 1;
  int rc = nws__socket_path(path, &dial->targets[0].local);
  if (rc != NWS_OK) {
    return rc == NWS_ERROR_ARGUMENT ? NWS_ERROR_URI_AUTHORITY : rc;
  }
  if (*target != '/') {
    return NWS_ERROR_URI_PATH;
  }
  size_t cap = sizeof(UNIX_HOST) + strlen(target);
  dial->url = malloc(cap);
  if (dial->url == NULL) {
    return NWS_ERROR_MEMORY;
  }
  snprintf(dial->url, cap, UNIX_HOST "%s", target);
  return NWS_OK;
}

static int copy_url(nws__dial *dial, const char *url) {
  size_t len = strlen(url);
  if (len >= UNIX_SCHEME_LEN &&
      memcmp(url, UNIX_SCHEME, UNIX_SCHEME_LEN) == 0) {
    return take_unix(dial, url + UNIX_SCHEME_LEN);
  }
  dial->url = malloc(len + 1);
  if (dial->url == NULL) {
    return NWS_ERROR_MEMORY;
  }
  memcpy(dial->url, url, len + 1);
  return NWS_OK;
}

/* Says whether a host can be one. To OpenSSL a name with a dot before it stands
 * for all names below it. */
int nws__client_reaches(const nws_uri *uri) {
  return uri->host.len <= NWS__HOST_MAX && uri->host.ptr[0] != '.';
}

static int take_url(nws__dial *dial, const char *url) {
  if (url == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  int rc = copy_url(dial, url);
  if (rc != NWS_OK) {
    return rc;
  }
  size_t len = strlen(dial->url);
  rc = nws_uri_parse(&dial->uri, dial->url, len, NULL);
  if (rc != NWS_OK) {
    return rc;
  }
  return nws__client_reaches(&dial->uri) ? NWS_OK : NWS_ERROR_URI_AUTHORITY;
}

/* Whoever brings no trust of its own shares what the system trusts. */
int nws__client_tls(nws__dial *dial, nws_loop *loop) {
  nws_tls *tls = dial->tls_given;
  nws_tls_drop(dial->tls);
  dial->tls = NULL;
  if (!dial->uri.secure) {
    return NWS_OK;
  }
  if (tls == NULL && loop->tls == NULL) {
    nws_tls_options none = {.size = sizeof(none)};
    int rc = nws_tls_new(&none, &loop->tls, NULL, 0);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  dial->tls = nws__tls_keep(tls != NULL ? tls : loop->tls);
  return NWS_OK;
}

static int take_tls(nws__dial *dial, nws_loop *loop, nws_tls *tls) {
  if (tls != NULL) {
    dial->tls_given = nws__tls_keep(tls);
  }
  return nws__client_tls(dial, loop);
}

/* Looks in the environment, if that is asked for, who leads to the URL. The
 * addresses of the application are those of the server itself. */
int nws__client_proxy(nws__dial *dial) {
  if (!dial->proxy_environment) {
    return NWS_OK;
  }
  nws__proxy_free(&dial->proxy);
  const char *text = dial->fixed ? NULL : nws__proxy_environment(&dial->uri);
  return text == NULL ? NWS_OK : nws__proxy_parse(text, &dial->proxy);
}

static int take_proxy(nws__dial *dial, const nws_client_options *options) {
  dial->proxy_environment = options->proxy_from_environment;
  if (options->proxy == NULL) {
    return nws__client_proxy(dial);
  }
  if (dial->proxy_environment || dial->fixed) {
    return NWS_ERROR_CONFIG;
  }
  return nws__proxy_parse(options->proxy, &dial->proxy);
}

/* Puts our header behind those of the application, which are checked when the
 * request is made. */
static int add_authorization(nws__dial *dial) {
  nws_client_offer *offer = &dial->offer;
  size_t count = offer->header_count;
  if (dial->authorization == NULL) {
    return NWS_OK;
  }
  dial->headers = calloc(count + 1, sizeof(*dial->headers));
  if (dial->headers == NULL) {
    return NWS_ERROR_MEMORY;
  }
  if (count > 0) {
    memcpy(dial->headers, offer->headers, count * sizeof(*dial->headers));
  }
  dial->headers[count].name = nws_str_of("Authorization");
  dial->headers[count].value = nws_str_of(dial->authorization);
  offer->headers = dial->headers;
  offer->header_count = count + 1;
  return NWS_OK;
}

static int take_offer(nws__dial *dial, const nws_client_offer *offer,
                      const char *bearer) {
  nws_client_offer none = {.size = sizeof(none)};
  if (offer == NULL) {
    offer = &none;
  }
  int rc = nws__setup_options(&dial->offer, sizeof(dial->offer), offer);
  if (rc != NWS_OK) {
    return rc;
  }
  if (dial->offer.headers == NULL && dial->offer.header_count > 0) {
    return NWS_ERROR_ARGUMENT;
  }
  dial->offer.uri = &dial->uri;
  rc = nws__authorize(&dial->uri, bearer, &dial->offer, &dial->authorization);
  return rc == NWS_OK ? add_authorization(dial) : rc;
}

/* The addresses of the application's own. */
static int take_addresses(nws__dial *dial, const nws_client_options *options) {
  size_t count = options->address_count;
  if (count == 0) {
    return NWS_OK;
  }
  if (options->addresses == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (dial->fixed) {
    return NWS_ERROR_CONFIG;
  }
  dial->targets = calloc(count, sizeof(*dial->targets));
  if (dial->targets == NULL) {
    return NWS_ERROR_MEMORY;
  }
  for (size_t i = 0; i < count; i++) {
    const char *text = options->addresses[i];
    if (text == NULL ||
        !nws__targets_literal(text, dial->uri.port, &dial->targets[i])) {
      return NWS_ERROR_ARGUMENT;
    }
  }
  dial->target_count = count;
  dial->fixed = 1;
  return NWS_OK;
}

static uint64_t ns_of(uint32_t ms, uint64_t fallback) {
  if (ms == UINT32_MAX) {
    return NWS_NEVER;
  }
  return ms == 0 ? fallback : ms * NS_PER_MS;
}

/* What may be shown of a URL: all but who is logged in. */
int nws__client_show(nws__setup *setup, const char *url) {
  size_t len = strlen(url);
  const char *host = strstr(url, "//");
  size_t from = host == NULL ? 0 : (size_t)(host - url) + 2;
  size_t end = from + strcspn(url + from, "/?#");
  const char *at = memchr(url + from, '@', end - from);
  size_t skip = at == NULL || host == NULL ? 0 : (size_t)(at - url) + 1 - from;
  char *shown = malloc(len - skip + 1);
  if (shown == NULL) {
    return NWS_ERROR_MEMORY;
  }
  memcpy(shown, url, from);
  memcpy(shown + from, url + from + skip, len - from - skip + 1);
  free(setup->url);
  setup->url = shown;
  return NWS_OK;
}

static int take_setup(nws_loop *loop, const nws_client_options *options,
                      const nws__dial *dial, nws__setup **out) {
  nws__setup *setup = calloc(1, sizeof(*setup));
  if (setup == NULL) {
    return NWS_ERROR_MEMORY;
  }
  *out = setup;
  int rc = nws__setup_copy(setup, loop, options->handler, options->conn,
                           &options->limits, dial->offer.extension_count);
  return rc == NWS_OK ? nws__client_show(setup, options->url) : rc;
}

/* Gives up what is under way. */
void nws__client_cancel(nws__dial *dial) {
  uv_cancel((uv_req_t *)&dial->lookup);
  nws__attempt_drop_all(dial);
}

void nws__client_free(nws__dial *dial) {
  free(dial->targets);
  free(dial->headers);
  free(dial->authorization);
  nws__proxy_free(&dial->proxy);
  nws_extension_release(dial->hs.extensions, dial->hs.extension_count);
  nws_tls_drop(dial->tls);
  nws_tls_drop(dial->tls_given);
  free(dial->url);
  free(dial);
}

static int start(nws_loop *loop, nws__setup *setup, nws__dial *dial, void *user,
                 nws_peer **out) {
  nws__opening *opening = calloc(1, sizeof(*opening));
  if (opening == NULL) {
    return NWS_ERROR_MEMORY;
  }
  nws_peer *peer = nws__peer_new(loop, setup, NULL, NWS__RESOLVING);
  if (peer == NULL) {
    free(opening);
    return NWS_ERROR_MEMORY;
  }
  uint64_t limit = nws__setup_handshake_ns(setup);
  dial->deadline = limit == NWS_NEVER ? NWS_NEVER : uv_hrtime() + limit;
  opening->dial = dial;
  peer->opening = opening;
  peer->user = user;
  peer->flags |= NWS__TOLD;
  nws__timer_set(peer, dial->deadline);
  if (out != NULL) {
    *out = peer;
  }
  peer->flags |= NWS__BUSY;
  nws__client_begin(peer);
  nws__peer_leave(peer);
  return NWS_OK;
}

/* Fills in the parts of `dial` and `setup`, as far as they are right. */
static int prepare(nws__dial *dial, nws__setup **setup, nws_loop *loop,
                   const nws_client_options *options) {
  int rc = take_url(dial, options->url);
  if (rc == NWS_OK) {
    rc = take_addresses(dial, options);
  }
  if (rc == NWS_OK) {
    rc = take_proxy(dial, options);
  }
  if (rc == NWS_OK) {
    rc = take_tls(dial, loop, options->tls);
  }
  if (rc == NWS_OK) {
    rc = take_offer(dial, options->offer, options->bearer);
  }
  if (rc == NWS_OK) {
    rc = take_setup(loop, options, dial, setup);
  }
  dial->max_redirects = options->max_redirects;
  dial->connect_limit = ns_of(options->connect_timeout_ms, NWS_NEVER);
  dial->attempt_delay =
      ns_of(options->attempt_delay_ms, ATTEMPT_DELAY_MS * NS_PER_MS);
  return rc == NWS_OK ? nws__client_check(dial, *setup) : rc;
}

int nws_client_connect(nws_loop *loop, const nws_client_options *given,
                       nws_peer **peer) {
  nws_client_options options;
  nws__setup *setup = NULL;
  if (peer != NULL) {
    *peer = NULL;
  }
  if (loop == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  int rc = nws__setup_options(&options, sizeof(options), given);
  if (rc != NWS_OK) {
    return rc;
  }
  nws__dial *dial = calloc(1, sizeof(*dial));
  if (dial == NULL) {
    return NWS_ERROR_MEMORY;
  }
  rc = prepare(dial, &setup, loop, &options);
  if (rc == NWS_OK) {
    rc = start(loop, setup, dial, options.user, peer);
  }
  if (rc != NWS_OK) {
    nws__setup_free(setup);
    nws__client_free(dial);
  }
  return rc;
}

const char *nws_peer_url(const nws_peer *peer) {
  return peer->server != NULL ? NULL : peer->setup->url;
}
