/* handshake_origin.c - which pages may connect (RFC 6455 10.2).
 *
 * A browser sends cookies along with a page's handshake whichever site the
 * page is from, and no same-origin policy keeps it from reading the answers.
 * Only the server can refuse, and by default it does.
 */
#include "../codec/uri_internal.h"
#include "handshake_internal.h"

/* Cuts `scheme://` off. Only web pages have a host to compare; all other
 * origins ("null", extensions of browsers) are to be listed by name. */
static int take_scheme(nws_str *origin, int *secure) {
  static const struct {
    const char *text;
    int secure;
  } schemes[] = {{"http://", 0}, {"https://", 1}};
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    nws_str want = nws_str_of(schemes[i].text);
    if (origin->len < want.len ||
        !nws_str_equal_nocase(nws_str_make(origin->ptr, want.len), want)) {
      continue;
    }
    *origin = nws_str_make(origin->ptr + want.len, origin->len - want.len);
    *secure = schemes[i].secure;
    return 1;
  }
  return 0;
}

/* A server behind a TLS proxy cannot tell its own scheme. So a Host without
 * port is taken to mean the port that the origin's scheme implies. */
static int is_same_host(nws_str origin, nws_str host) {
  nws_uri theirs = {0}, ours = {0};
  size_t bad_at;
  if (!take_scheme(&origin, &theirs.secure)) {
    return 0;
  }
  ours.secure = theirs.secure;
  if (nws__uri_parse_authority(&theirs, origin, &bad_at) != NWS_OK ||
      nws__uri_parse_authority(&ours, host, &bad_at) != NWS_OK) {
    return 0;
  }
  return theirs.ipv6 == ours.ipv6 && theirs.port == ours.port &&
         nws_str_equal_nocase(theirs.host, ours.host);
}

int nws__origin_allowed(const nws_server_policy *policy, nws_str origin,
                        nws_str host) {
  if (policy->origin == NWS_ORIGIN_ANY) {
    return 1;
  }
  if (policy->origin == NWS_ORIGIN_SAME_HOST) {
    return is_same_host(origin, host);
  }
  for (size_t i = 0; i < policy->origin_count; i++) {
    if (nws_str_equal_nocase(policy->origins[i], origin)) {
      return 1;
    }
  }
  return 0;
}
