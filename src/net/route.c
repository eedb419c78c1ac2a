/* route.c - one server, several paths: each with handlers, policy and limits of
 * its own.
 *
 * Which path is asked for is known only when the head is complete, and it is
 * then read once more, by the route's policy. Limits on the head itself are the
 * server's.
 */
#include "net_internal.h"
#include <stdlib.h>
#include <string.h>

/* --- Starting --- */

static int take_path(nws__route *route, const char *path) {
  size_t len = path == NULL ? 0 : strlen(path);
  if (len == 0 || path[0] != '/') {
    return NWS_ERROR_ARGUMENT;
  }
  route->below = len >= 2 && strcmp(path + len - 2, "/*") == 0;
  route->path = nws_str_make(path, route->below ? len - 1 : len);
  return memchr(route->path.ptr, '*', route->path.len) == NULL
             ? NWS_OK
             : NWS_ERROR_ARGUMENT;
}

static int take(nws__route *route, nws_server *server, const nws_route *given) {
  nws_route own;
  const nws_server_options *options = &server->options;
  int rc = nws__setup_options(&own, sizeof(own), given);
  if (rc == NWS_OK) {
    rc = take_path(route, own.path);
  }
  if (rc != NWS_OK) {
    return rc;
  }
  route->policy = own.policy != NULL ? own.policy : options->policy;
  route->user = own.user;
  rc = nws__setup_policy(route->policy);
  if (rc != NWS_OK) {
    return rc;
  }
  size_t extensions =
      route->policy == NULL ? 0 : route->policy->extension_count;
  return nws__setup_copy(&route->setup, server->loop,
                         own.handler != NULL ? own.handler : options->handler,
                         own.conn != NULL ? own.conn : options->conn,
                         own.limits != NULL ? own.limits : &options->limits,
                         extensions);
}

/* Copies the routes of a server. What was copied is freed with the server, also
 * after an error. */
int nws__routes_take(nws_server *server) {
  const nws_server_options *options = &server->options;
  size_t count = options->route_count;
  if (count == 0) {
    return NWS_OK;
  }
  if (options->routes == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  server->routes = calloc(count, sizeof(*server->routes));
  if (server->routes == NULL) {
    return NWS_ERROR_MEMORY;
  }
  for (size_t i = 0; i < count; i++) {
    int rc = take(&server->routes[i], server, &options->routes[i]);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  return NWS_OK;
}

/* --- Choosing --- */

/* Says how well a path fits a route: 0 not at all, and the more the longer what
 * the two have in common. Nothing is decoded: what the client wrote is what
 * counts, as it does for whoever looks at the request. */
static size_t fit(const nws__route *route, nws_str path) {
  size_t len = route->path.len;
  int same = path.len >= len && memcmp(path.ptr, route->path.ptr, len) == 0;
  if (!same || (path.len > len && !route->below)) {
    return 0;
  }
  return path.len == len && !route->below ? SIZE_MAX : len;
}

static nws__route *find(const nws_server *server, nws_str path) {
  nws__route *best = NULL;
  size_t best_fit = 0;
  for (size_t i = 0; i < server->options.route_count; i++) {
    size_t this_fit = fit(&server->routes[i], path);
    if (this_fit > best_fit) {
      best = &server->routes[i];
      best_fit = this_fit;
    }
  }
  return best;
}

/* Chooses the route of a request whose head is complete, and reads that again
 * by its policy. `rc` is what the server's policy had against it; returns what
 * the route's has. */
int nws__route_choose(nws_peer *peer, int rc) {
  nws__opening *opening = peer->opening;
  nws_server_handshake *hs = opening->request;
  if (peer->server->options.route_count == 0 || hs->path.ptr == NULL) {
    return rc;
  }
  nws__route *route = find(peer->server, hs->path);
  if (route == NULL) {
    return NWS_ERROR_PATH;
  }
  peer->setup = &route->setup;
  if (route->user != NULL) {
    peer->user = route->user;
  }
  memset(hs, 0, sizeof(*hs));
  return nws_server_handshake_read(hs, route->policy, opening->head,
                                   opening->head_len);
}
