/* hub_internal.h - what a hub is made of.
 *
 *   hub ─► branch, one for each loop with members ─► table of topics
 *                                                      topic ─► members
 *                                                                  ▲
 *                                  peer ─► side ─► its memberships ┘
 *
 * A branch's table is changed by its loop's thread alone, under the hub's lock.
 * So that thread reads it without the lock, and all others with it.
 */
#ifndef NWS_HUB_INTERNAL_H
#define NWS_HUB_INTERNAL_H

#include "net_internal.h"
#include <nws/hub.h>

#define NWS__HUB_KEY_LEN 16

typedef struct nws__topic nws__topic;
typedef struct nws__branch nws__branch;

/* A peer in a topic. */
typedef struct nws__member {
  struct nws__member *next; /* in the topic */
  struct nws__member *prev;
  struct nws__member *also; /* the peer's next one */
  nws_peer *peer;
  nws__topic *topic;
  uint64_t id; /* never used again by this hub */
  uint64_t missed;
} nws__member;

struct nws__topic {
  nws__topic *next; /* in its bucket */
  nws__branch *branch;
  nws__member *first;
  size_t count;
  uint64_t hash;
  size_t len;
  char name[];
};

/* Topics by name. All zero is an empty one. */
typedef struct nws__topics {
  nws__topic **buckets;
  size_t cap; /* a power of two, or 0 */
  size_t count;
} nws__topics;

/* topics.c */
uint64_t nws__topics_hash(const uint8_t *key, const void *data, size_t len);
nws__topic *nws__topics_find(const nws__topics *topics, uint64_t hash,
                             nws_str name);
nws__topic *nws__topics_add(nws__topics *topics, uint64_t hash, nws_str name);
void nws__topics_remove(nws__topics *topics, nws__topic *topic);

/* hub.c */
void nws__hub_leave_all(nws_peer *peer);

#endif
