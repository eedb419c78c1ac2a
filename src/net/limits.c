/* limits.c - which connections a server takes: all but those beyond its limits,
 * which are told so as long as they are not too many, and dropped otherwise.
 */
#include "net_internal.h"
#include <string.h>

#define MAX_PEERS ((size_t)65536)
#define MAX_HANDSHAKES ((size_t)16384)
#define NS_PER_S UINT64_C(1000000000)

/* Fills in the defaults. */
int nws__limits_take(nws_server *server) {
  nws_server_options *options = &server->options;
  if (options->handshake_burst > 0 && options->handshake_rate == 0) {
    return NWS_ERROR_CONFIG;
  }
  if (options->max_peers == 0) {
    options->max_peers = MAX_PEERS;
  }
  if (options->max_handshakes == 0) {
    options->max_handshakes = MAX_HANDSHAKES;
  }
  if (options->handshake_burst == 0) {
    options->handshake_burst = options->handshake_rate;
  }
  if (options->max_per_address == 0) {
    options->max_per_address = SIZE_MAX;
    return NWS_OK;
  }
  const nws_random *random = &server->loop->random;
  void *seed = server->quota.seed;
  int rc = random->fill(random->user, seed, sizeof(server->quota.seed));
  return rc == 0 ? NWS_OK : NWS_ERROR_RANDOM;
}

/* One handshake more within handshake_rate. A bucket of tokens need not be
 * filled all the time: it suffices to know when it will be full (the "virtual
 * scheduling" form of the ITU's Generic Cell Rate Algorithm, I.371). */
int nws__limits_rate(nws_server *server, uint64_t now) {
  const nws_server_options *options = &server->options;
  if (options->handshake_rate == 0) {
    return NWS_OK;
  }
  uint64_t each = NS_PER_S / options->handshake_rate;
  uint64_t full = server->rate_full > now ? server->rate_full : now;
  if (full - now > (options->handshake_burst - 1) * each) {
    return NWS_ERROR_RATE_LIMIT;
  }
  server->rate_full = full + each;
  return NWS_OK;
}

/* The next one of an address. It is to be given back (nws__limits_leave()) if
 * `flag` becomes NWS__TALLIED. */
int nws__limits_address(nws_server *server, const nws__address *from,
                        uint32_t *flag) {
  size_t max = server->options.max_per_address;
  uint64_t who;
  *flag = 0;
  if (max == SIZE_MAX || !nws__quota_who(from, &who)) {
    return NWS_OK;
  }
  int rc = nws__quota_take(&server->quota, who, max);
  if (rc == NWS_OK) {
    *flag = NWS__TALLIED;
  }
  return rc;
}

void nws__limits_leave(nws_server *server, const nws__address *from) {
  uint64_t who;
  if (nws__quota_who(from, &who)) {
    nws__quota_give(&server->quota, who);
  }
}

/* What there is against one connection more. The rate comes last, so that those
 * who are turned away do not use it up for others. `from` is NULL where a proxy
 * will tell. */
int nws__limits_check(nws_server *server, const nws__address *from,
                      uint64_t now, uint32_t *flag) {
  const nws_server_options *options = &server->options;
  *flag = 0;
  if (server->count - server->turned >= options->max_peers) {
    return NWS_ERROR_PEER_LIMIT;
  }
  if (server->stats.handshakes >= options->max_handshakes) {
    return NWS_ERROR_HANDSHAKE_LIMIT;
  }
  int rc = from == NULL ? NWS_OK : nws__limits_address(server, from, flag);
  if (rc != NWS_OK) {
    return rc;
  }
  rc = nws__limits_rate(server, now);
  if (rc != NWS_OK && *flag != 0) {
    nws__limits_leave(server, from);
    *flag = 0;
  }
  return rc;
}

/* Says whether another one can be told that it is turned away. */
int nws__limits_tells(const nws_server *server) {
  return server->turned < NWS__SURPLUS_PEERS;
}

/* Turns a peer away. It leaves the count of those under way. */
void nws__limits_turn_away(nws_peer *peer, int error) {
  nws_server *server = peer->server;
  int tells = nws__limits_tells(server);
  peer->flags |= NWS__TURNED;
  server->turned++;
  nws__stats_turned(server, error);
  if (tells) {
    nws__server_refuse(peer, error, 0);
  } else {
    nws__peer_die(peer, error);
  }
  nws__log_turned(server, error, &peer->address);
}
