/* quota.c - how many peers each address has: a table of those that have any, so
 * that it is never larger than the peers are many.
 *
 * Open addressing with linear probing (Knuth, The Art of Computer Programming
 * 6.4, algorithms L and R). Whoever chooses his addresses must not be able to
 * choose their places: these come from SipHash-2-4 (Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", 2012) with a key that the server draws
 * when it starts.
 */
#include "net_internal.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MIN 64

/* --- Who --- */

static uint64_t big_endian(const uint8_t *bytes, size_t len) {
  uint64_t value = 0;
  for (size_t i = 0; i < len; i++) {
    value = value << 8 | bytes[i];
  }
  return value;
}

/* Whom an address belongs to: each IPv4 address is one, and of IPv6 each /64,
 * which is what a host gets to choose its addresses from (RFC 4291 2.5.1,
 * RFC 8981). IPv4 lies among the multicast addresses of IPv6, from which no
 * connection comes. Returns 0 where there is no address. */
int nws__quota_who(const nws__address *address, uint64_t *who) {
  const uint64_t four = UINT64_C(0xffffffff) << 32;
  const uint8_t *six = address->six.sin6_addr.s6_addr;
  if (address->any.sa_family == AF_INET) {
    *who = four | ntohl(address->four.sin_addr.s_addr);
    return 1;
  }
  if (address->any.sa_family != AF_INET6) {
    return 0;
  }
  int mapped = IN6_IS_ADDR_V4MAPPED(&address->six.sin6_addr);
  *who = mapped ? four | big_endian(six + 12, 4) : big_endian(six, 8);
  return 1;
}

/* --- Where --- */

static uint64_t turn(uint64_t value, unsigned bits) {
  return value << bits | value >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int rounds) {
  for (int i = 0; i < rounds; i++) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = turn(v[1], 13) ^ v[0];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] = turn(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = turn(v[1], 17) ^ v[2];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] = turn(v[2], 32);
  }
}

/* SipHash-2-4 of the eight bytes of a number, least first. */
uint64_t nws__quota_hash(const uint64_t seed[2], uint64_t value) {
  const uint64_t length = UINT64_C(8) << 56;
  uint64_t v[4] = {
      seed[0] ^ UINT64_C(0x736f6d6570736575),
      seed[1] ^ UINT64_C(0x646f72616e646f6d),
      seed[0] ^ UINT64_C(0x6c7967656e657261),
      seed[1] ^ UINT64_C(0x7465646279746573),
  };
  v[3] ^= value;
  sip_rounds(v, 2);
  v[0] ^= value;
  v[3] ^= length;
  sip_rounds(v, 2);
  v[0] ^= length;
  v[2] ^= 0xff;
  sip_rounds(v, 4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static size_t home(const nws__quota *quota, uint64_t who) {
  return (size_t)nws__quota_hash(quota->seed, who) & (quota->cap - 1);
}

/* The place of an address, or the free one where it belongs. */
static size_t find(const nws__quota *quota, uint64_t who) {
  size_t at = home(quota, who);
  while (quota->places[at].count != 0 && quota->places[at].who != who) {
    at = (at + 1) & (quota->cap - 1);
  }
  return at;
}

static int grow(nws__quota *quota) {
  nws__quota next = *quota;
  next.cap = quota->cap == 0 ? CAP_MIN : quota->cap * 2;
  next.places = calloc(next.cap, sizeof(*next.places));
  if (next.places == NULL) {
    return NWS_ERROR_MEMORY;
  }
  for (size_t i = 0; i < quota->cap; i++) {
    if (quota->places[i].count != 0) {
      next.places[find(&next, quota->places[i].who)] = quota->places[i];
    }
  }
  free(quota->places);
  quota->places = next.places;
  quota->cap = next.cap;
  return NWS_OK;
}

/* --- Counting --- */

/* One peer more. NWS_OK; NWS_ERROR_ADDRESS_LIMIT: there are `max` of them;
 * NWS_ERROR_MEMORY. */
int nws__quota_take(nws__quota *quota, uint64_t who, size_t max) {
  if (quota->used >= quota->cap / 4 * 3) {
    int rc = grow(quota);
    if (rc != NWS_OK) {
      return rc;
    }
  }
  nws__tally *tally = &quota->places[find(quota, who)];
  if (tally->count >= max) {
    return NWS_ERROR_ADDRESS_LIMIT;
  }
  quota->used += tally->count == 0;
  tally->who = who;
  tally->count++;
  return NWS_OK;
}

/* Frees a place. What stands behind it, and would not be found across the gap,
 * moves up. */
static void take_out(nws__quota *quota, size_t gap) {
  size_t mask = quota->cap - 1;
  for (size_t at = (gap + 1) & mask; quota->places[at].count != 0;
       at = (at + 1) & mask) {
    size_t from = home(quota, quota->places[at].who);
    if (((at - from) & mask) >= ((at - gap) & mask)) {
      quota->places[gap] = quota->places[at];
      gap = at;
    }
  }
  memset(&quota->places[gap], 0, sizeof(quota->places[gap]));
  quota->used--;
}

/* One peer less, of those that were taken. */
void nws__quota_give(nws__quota *quota, uint64_t who) {
  size_t at = find(quota, who);
  if (--quota->places[at].count == 0) {
    take_out(quota, at);
  }
  if (quota->used == 0) {
    nws__quota_free(quota);
  }
}

void nws__quota_free(nws__quota *quota) {
  free(quota->places);
  quota->places = NULL;
  quota->cap = 0;
}
