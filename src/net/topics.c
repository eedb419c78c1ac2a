/* topics.c - a table of topics by name: chains in a power of two of buckets,
 * about one topic in each.
 *
 * Names may come from the other end. They are hashed with a secret key, by
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 * 2012), so that nobody can choose names that all fall into one bucket.
 */
#include "hub_internal.h"
#include <stdlib.h>
#include <string.h>

#define CAP_MIN 8

/* --- SipHash-2-4 --- */

static uint64_t load64(const uint8_t *at, size_t len) {
  uint64_t word = 0;
  for (size_t i = 0; i < len; i++) {
    word |= (uint64_t)at[i] << (8 * i);
  }
  return word;
}

static uint64_t turn(uint64_t word, unsigned by) {
  return word << by | word >> (64 - by);
}

static void stir(uint64_t v[4], int rounds) {
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

static void absorb(uint64_t v[4], uint64_t word) {
  v[3] ^= word;
  stir(v, 2);
  v[0] ^= word;
}

uint64_t nws__topics_hash(const uint8_t *key, const void *data, size_t len) {
  const uint8_t *at = data;
  uint64_t k0 = load64(key, 8);
  uint64_t k1 = load64(key + 8, 8);
  uint64_t v[4] = {
      k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
      k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
  size_t left = len;
  for (; left >= 8; left -= 8, at += 8) {
    absorb(v, load64(at, 8));
  }
  absorb(v, load64(at, left) | (uint64_t)len << 56);
  v[2] ^= 0xff;
  stir(v, 4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- The table --- */

static nws__topic **bucket_of(const nws__topics *topics, uint64_t hash) {
  return &topics->buckets[hash & (topics->cap - 1)];
}

/* Without memory the table stays as it is, with longer chains. */
static void resize(nws__topics *topics, size_t cap) {
  nws__topics fresh = {calloc(cap, sizeof(nws__topic *)), cap, topics->count};
  if (fresh.buckets == NULL) {
    return;
  }
  for (size_t i = 0; i < topics->cap; i++) {
    nws__topic *topic = topics->buckets[i];
    while (topic != NULL) {
      nws__topic *next = topic->next;
      nws__topic **bucket = bucket_of(&fresh, topic->hash);
      topic->next = *bucket;
      *bucket = topic;
      topic = next;
    }
  }
  free(topics->buckets);
  *topics = fresh;
}

nws__topic *nws__topics_find(const nws__topics *topics, uint64_t hash,
                             nws_str name) {
  if (topics->count == 0) {
    return NULL;
  }
  nws__topic *topic = *bucket_of(topics, hash);
  while (topic != NULL &&
         (topic->hash != hash ||
          !nws_str_equal(nws_str_make(topic->name, topic->len), name))) {
    topic = topic->next;
  }
  return topic;
}

/* Adds a topic that is not there yet, without members. NULL without memory. */
nws__topic *nws__topics_add(nws__topics *topics, uint64_t hash, nws_str name) {
  if (topics->count >= topics->cap) {
    resize(topics, topics->cap == 0 ? CAP_MIN : topics->cap * 2);
  }
  if (topics->cap == 0) {
    return NULL;
  }
  nws__topic *topic = malloc(sizeof(*topic) + name.len);
  if (topic == NULL) {
    return NULL;
  }
  memset(topic, 0, sizeof(*topic));
  topic->hash = hash;
  topic->len = name.len;
  memcpy(topic->name, name.ptr, name.len);
  nws__topic **bucket = bucket_of(topics, hash);
  topic->next = *bucket;
  *bucket = topic;
  topics->count++;
  return topic;
}

/* Frees a topic, and with the last one the table. */
void nws__topics_remove(nws__topics *topics, nws__topic *topic) {
  nws__topic **at = bucket_of(topics, topic->hash);
  while (*at != topic) {
    at = &(*at)->next;
  }
  *at = topic->next;
  free(topic);
  if (--topics->count == 0) {
    free(topics->buckets);
    memset(topics, 0, sizeof(*topics));
  } else if (topics->cap > CAP_MIN && topics->count < topics->cap / 8) {
    resize(topics, topics->cap / 4);
  }
}
