/* hub.c - topics over all loops of a process.
 *
 * A message is copied once, and a letter that refers to the copy goes to each
 * loop with members of the topic. All letters of a message are made before the
 * first is sent, under the hub's lock: so it goes to all loops or to none, and
 * what one thread publishes arrives everywhere in the same order.
 *
 * A branch stays while it has members or letters on their way. While it has
 * members their loop cannot be freed.
 */
#include "hub_internal.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOPICS 64
#define MAX_WAITING ((size_t)16 * 1024 * 1024)

struct nws_hub {
  atomic_uint holds; /* its users', and one for each branch */
  uv_mutex_t lock;
  nws_hub_options options;
  uint8_t key[NWS__HUB_KEY_LEN];
  nws__branch *branches; /* this and what is in them: locked */
  uint64_t last_id;
  _Atomic uint64_t missed;
};

struct nws__branch {
  nws__branch *next;
  nws_hub *hub; /* held */
  nws_loop *loop;
  nws__topics topics;
  size_t letters; /* on their way */
  size_t waiting; /* what they cost */
};

/* A message; shared by its letters. */
typedef struct bulk {
  atomic_uint holds;
  uint64_t hash;
  unsigned what;
  size_t topic_len;
  size_t len;
  char bytes[]; /* the topic, then the payload */
} bulk;

typedef struct letter {
  nws__post post;
  nws__branch *branch;
  bulk *bulk; /* held once it is sent */
  uint64_t except;
} letter;

/* --- Hubs --- */

static int copy_options(nws_hub_options *out, const nws_hub_options *in) {
  nws_hub_options none = {.size = sizeof(none)};
  int rc = nws__setup_options(out, sizeof(*out), in == NULL ? &none : in);
  if (rc != NWS_OK) {
    return rc;
  }
  if (out->max_topics == 0) {
    out->max_topics = MAX_TOPICS;
  }
  if (out->max_waiting == 0) {
    out->max_waiting = MAX_WAITING;
  }
  int known = out->slow == NWS_HUB_SKIP || out->slow == NWS_HUB_DROP;
  return known ? NWS_OK : NWS_ERROR_CONFIG;
}

int nws_hub_new(const nws_hub_options *options, nws_hub **out) {
  if (out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  *out = NULL;
  nws_hub *hub = calloc(1, sizeof(*hub));
  if (hub == NULL) {
    return NWS_ERROR_MEMORY;
  }
  int rc = copy_options(&hub->options, options);
  if (rc == NWS_OK &&
      uv_random(NULL, NULL, hub->key, sizeof(hub->key), 0, NULL) != 0) {
    rc = NWS_ERROR_RANDOM;
  }
  if (rc == NWS_OK && uv_mutex_init(&hub->lock) != 0) {
    rc = NWS_ERROR_MEMORY;
  }
  if (rc != NWS_OK) {
    free(hub);
    return rc;
  }
  atomic_init(&hub->holds, 1);
  atomic_init(&hub->missed, 0);
  *out = hub;
  return NWS_OK;
}

void nws_hub_keep(nws_hub *hub) {
  if (hub != NULL) {
    atomic_fetch_add(&hub->holds, 1);
  }
}

void nws_hub_drop(nws_hub *hub) {
  if (hub == NULL || atomic_fetch_sub(&hub->holds, 1) > 1) {
    return;
  }
  uv_mutex_destroy(&hub->lock);
  free(hub);
}

/* --- Branches --- */

/* The branch of a loop, made if need be; NULL without memory. Locked. */
static nws__branch *branch_for(nws_hub *hub, nws_loop *loop) {
  nws__branch *branch = hub->branches;
  while (branch != NULL && branch->loop != loop) {
    branch = branch->next;
  }
  if (branch != NULL) {
    return branch;
  }
  branch = calloc(1, sizeof(*branch));
  if (branch == NULL) {
    return NULL;
  }
  nws_hub_keep(hub);
  branch->hub = hub;
  branch->loop = loop;
  branch->next = hub->branches;
  hub->branches = branch;
  return branch;
}

/* Takes a branch out that nobody needs any more, and gives it; else NULL.
 * Locked. */
static nws__branch *prune(nws__branch *branch) {
  if (branch->topics.count > 0 || branch->letters > 0) {
    return NULL;
  }
  nws__branch **at = &branch->hub->branches;
  while (*at != branch) {
    at = &(*at)->next;
  }
  *at = branch->next;
  return branch;
}

/* Not locked: the hub may go with it. */
static void branch_free(nws__branch *branch) {
  if (branch != NULL) {
    nws_hub_drop(branch->hub);
    free(branch);
  }
}

/* --- Members --- */

static int is_topic(nws_str topic) {
  return topic.ptr != NULL && topic.len >= 1 && topic.len <= NWS_HUB_TOPIC_MAX;
}

static uint64_t hash_of(const nws_hub *hub, nws_str topic) {
  return nws__topics_hash(hub->key, topic.ptr, topic.len);
}

/* Where a peer's membership hangs: the pointer to it, or to the NULL at the
 * end. */
static nws__member **place_of(nws__side *side, const nws_hub *hub,
                              nws_str topic) {
  nws__member **at = &side->members;
  for (; *at != NULL; at = &(*at)->also) {
    const nws__topic *its = (*at)->topic;
    if (its->branch->hub == hub &&
        nws_str_equal(nws_str_make(its->name, its->len), topic)) {
      break;
    }
  }
  return at;
}

static size_t count_of(const nws__side *side, const nws_hub *hub) {
  size_t count = 0;
  const nws__member *member = side->members;
  for (; member != NULL; member = member->also) {
    count += member->topic->branch->hub == hub;
  }
  return count;
}

static void link_member(nws__topic *topic, nws__member *member) {
  member->topic = topic;
  member->next = topic->first;
  if (topic->first != NULL) {
    topic->first->prev = member;
  }
  topic->first = member;
  topic->count++;
}

static void unlink_member(nws__topic *topic, nws__member *member) {
  if (member->prev != NULL) {
    member->prev->next = member->next;
  } else {
    topic->first = member->next;
  }
  if (member->next != NULL) {
    member->next->prev = member->prev;
  }
  topic->count--;
}

/* Locked. A branch that was made in vain goes into `*idle`. */
static int enroll(nws_hub *hub, nws__member *member, nws_str name,
                  nws__branch **idle) {
  uint64_t hash = hash_of(hub, name);
  nws__branch *branch = branch_for(hub, member->peer->loop);
  if (branch == NULL) {
    return NWS_ERROR_MEMORY;
  }
  nws__topic *topic = nws__topics_find(&branch->topics, hash, name);
  if (topic == NULL) {
    topic = nws__topics_add(&branch->topics, hash, name);
  }
  if (topic == NULL) {
    *idle = prune(branch);
    return NWS_ERROR_MEMORY;
  }
  topic->branch = branch;
  member->id = ++hub->last_id;
  link_member(topic, member);
  return NWS_OK;
}

int nws_hub_join(nws_hub *hub, nws_peer *peer, nws_str topic) {
  if (hub == NULL || peer == NULL || !is_topic(topic)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (peer->state != NWS__OPEN) {
    return NWS_ERROR_STATE;
  }
  nws__side *side = nws__peer_side(peer);
  if (side == NULL) {
    return NWS_ERROR_MEMORY;
  }
  nws__member **at = place_of(side, hub, topic);
  if (*at != NULL) {
    return NWS_OK;
  }
  if (count_of(side, hub) >= hub->options.max_topics) {
    return NWS_ERROR_TOPICS;
  }
  nws__member *member = calloc(1, sizeof(*member));
  if (member == NULL) {
    return NWS_ERROR_MEMORY;
  }
  nws__branch *idle = NULL;
  member->peer = peer;
  uv_mutex_lock(&hub->lock);
  int rc = enroll(hub, member, topic, &idle);
  uv_mutex_unlock(&hub->lock);
  branch_free(idle);
  if (rc != NWS_OK) {
    free(member);
    return rc;
  }
  *at = member;
  return NWS_OK;
}

/* Ends the membership that hangs there. */
static void leave(nws__member **at) {
  nws__member *member = *at;
  nws__topic *topic = member->topic;
  nws__branch *branch = topic->branch;
  nws_hub *hub = branch->hub;
  *at = member->also;
  uv_mutex_lock(&hub->lock);
  unlink_member(topic, member);
  if (topic->first == NULL) {
    nws__topics_remove(&branch->topics, topic);
  }
  nws__branch *idle = prune(branch);
  uv_mutex_unlock(&hub->lock);
  branch_free(idle);
  free(member);
}

int nws_hub_leave(nws_hub *hub, nws_peer *peer, nws_str topic) {
  if (hub == NULL || peer == NULL || !is_topic(topic)) {
    return NWS_ERROR_ARGUMENT;
  }
  nws__member **at =
      peer->side == NULL ? NULL : place_of(peer->side, hub, topic);
  if (at == NULL || *at == NULL) {
    return NWS_ERROR_STATE;
  }
  leave(at);
  return NWS_OK;
}

void nws__hub_leave_all(nws_peer *peer) {
  while (peer->side->members != NULL) {
    leave(&peer->side->members);
  }
}

/* --- Letters arrive --- */

static void bulk_drop(bulk *it) {
  if (atomic_fetch_sub(&it->holds, 1) == 1) {
    free(it);
  }
}

static int prepare(const nws_hub_options *options, nws_loop *loop,
                   const bulk *it, nws_prepared **message) {
  const char *data = it->bytes + it->topic_len;
  unsigned opcode = it->what & 15u;
  if (options->prepare == NULL || (it->what & NWS_SEND_PLAIN) != 0) {
    return nws_prepared_make(&loop->allocator, opcode, data, it->len, message);
  }
  return options->prepare(options->user, loop, opcode, data, it->len, message);
}

/* Frames that are the same for all cannot be sent by clients, which mask, nor
 * where an extension must encode everything. */
static int send_one(nws_peer *peer, nws_prepared *message, const bulk *it) {
  int rc = nws_peer_send_prepared(peer, message);
  if (rc == NWS_ERROR_ARGUMENT || rc == NWS_ERROR_NO_ENCODING) {
    rc = nws_peer_send(peer, it->what, it->bytes + it->topic_len, it->len);
  }
  return rc;
}

static void tell(nws_hub *hub, nws__member *member, nws_prepared *message,
                 const bulk *it) {
  int rc = NWS_ERROR_MEMORY;
  if (message != NULL) {
    rc = send_one(member->peer, message, it);
  }
  if (rc == NWS_OK || rc == NWS_ERROR_STATE) {
    return;
  }
  member->missed++;
  atomic_fetch_add(&hub->missed, 1);
  if (rc == NWS_ERROR_QUEUE && hub->options.slow == NWS_HUB_DROP) {
    nws__peer_die(member->peer, rc);
  }
}

static nws__member *members_of(const nws__branch *branch, const bulk *it) {
  nws_str name = nws_str_make(it->bytes, it->topic_len);
  nws__topic *topic = nws__topics_find(&branch->topics, it->hash, name);
  return topic == NULL ? NULL : topic->first;
}

/* Members are looked up after the application has prepared the message: it may
 * have changed who they are. Nothing calls back after that. */
static void tell_all(const letter *it, nws_loop *loop) {
  nws__branch *branch = it->branch;
  nws_prepared *message = NULL;
  if (members_of(branch, it->bulk) == NULL) {
    return;
  }
  if (prepare(&branch->hub->options, loop, it->bulk, &message) != NWS_OK) {
    message = NULL;
  }
  nws__member *member = members_of(branch, it->bulk);
  for (; member != NULL; member = member->next) {
    if (member->id != it->except) {
      tell(branch->hub, member, message, it->bulk);
    }
  }
  nws_prepared_drop(message);
}

static size_t cost(const bulk *it) {
  return sizeof(letter) + sizeof(*it) + it->topic_len + it->len;
}

static void on_letter(nws__post *post, nws_loop *loop) {
  letter *it = (letter *)post;
  nws__branch *branch = it->branch;
  nws_hub *hub = branch->hub;
  if (loop != NULL) {
    tell_all(it, loop);
  }
  uv_mutex_lock(&hub->lock);
  branch->letters--;
  branch->waiting -= cost(it->bulk);
  nws__branch *idle = prune(branch);
  uv_mutex_unlock(&hub->lock);
  branch_free(idle);
  bulk_drop(it->bulk);
  free(it);
}

/* --- Letters are sent --- */

static int check(unsigned what, const void *data, size_t len) {
  unsigned opcode = what & 15u;
  nws_utf8 utf8 = NWS_UTF8_START;
  if ((data == NULL && len > 0) || (what & ~(15u | NWS_SEND_PLAIN)) != 0 ||
      opcode == NWS_OPCODE_CONTINUATION || opcode >= NWS_OPCODE_CLOSE) {
    return NWS_ERROR_ARGUMENT;
  }
  if (len > PTRDIFF_MAX / 2) {
    return NWS_ERROR_LENGTH;
  }
  /* RFC 6455 5.6, 8.1: text is sent as UTF-8. */
  if (opcode == NWS_OPCODE_TEXT &&
      (nws_utf8_check(&utf8, data, len) < len || utf8 != NWS_UTF8_START)) {
    return NWS_ERROR_TEXT_SEND;
  }
  return NWS_OK;
}

static bulk *bulk_new(const nws_hub *hub, nws_str topic, unsigned what,
                      const void *data, size_t len) {
  bulk *it = malloc(sizeof(*it) + topic.len + len);
  if (it == NULL) {
    return NULL;
  }
  atomic_init(&it->holds, 1);
  it->hash = hash_of(hub, topic);
  it->what = what;
  it->topic_len = topic.len;
  it->len = len;
  memcpy(it->bytes, topic.ptr, topic.len);
  if (len > 0) {
    memcpy(it->bytes + topic.len, data, len);
  }
  return it;
}

/* Writes a letter to a branch, for `*letters`. Locked. */
static int write_letter(nws_hub *hub, nws__branch *branch, bulk *about,
                        uint64_t except, nws__post **letters) {
  size_t need = cost(about);
  size_t max = hub->options.max_waiting;
  if (branch->waiting > 0 && (need > max || branch->waiting > max - need)) {
    return NWS_ERROR_QUEUE;
  }
  letter *it = malloc(sizeof(*it));
  if (it == NULL) {
    return NWS_ERROR_MEMORY;
  }
  it->post.run = on_letter;
  it->post.next = *letters;
  it->branch = branch;
  it->bulk = about;
  it->except = except;
  *letters = &it->post;
  return NWS_OK;
}

/* Writes to every branch with members, or, on failure, to none. Locked. */
static int write_all(nws_hub *hub, nws_str topic, bulk *about, uint64_t except,
                     nws__post **letters) {
  int rc = NWS_OK;
  nws__branch *branch = hub->branches;
  for (; branch != NULL && rc == NWS_OK; branch = branch->next) {
    if (nws__topics_find(&branch->topics, about->hash, topic) != NULL) {
      rc = write_letter(hub, branch, about, except, letters);
    }
  }
  while (rc != NWS_OK && *letters != NULL) {
    letter *it = (letter *)*letters;
    *letters = it->post.next;
    free(it);
  }
  return rc;
}

/* Locked. A loop with members takes every letter. */
static void send_letters(nws__post *letters) {
  while (letters != NULL) {
    letter *it = (letter *)letters;
    letters = letters->next;
    atomic_fetch_add(&it->bulk->holds, 1);
    it->branch->letters++;
    it->branch->waiting += cost(it->bulk);
    nws__mail_put(it->branch->loop->mail, &it->post);
  }
}

int nws_hub_publish(nws_hub *hub, nws_str topic, unsigned what,
                    const void *data, size_t len, const nws_peer *except) {
  if (hub == NULL || !is_topic(topic)) {
    return NWS_ERROR_ARGUMENT;
  }
  int rc = check(what, data, len);
  if (rc != NWS_OK) {
    return rc;
  }
  uint64_t id = 0;
  if (except != NULL && except->side != NULL) {
    const nws__member *member = *place_of(except->side, hub, topic);
    id = member == NULL ? 0 : member->id;
  }
  bulk *about = bulk_new(hub, topic, what, data, len);
  if (about == NULL) {
    return NWS_ERROR_MEMORY;
  }
  nws__post *letters = NULL;
  uv_mutex_lock(&hub->lock);
  rc = write_all(hub, topic, about, id, &letters);
  send_letters(letters);
  uv_mutex_unlock(&hub->lock);
  bulk_drop(about);
  return rc;
}

/* --- Questions --- */

size_t nws_hub_count(nws_hub *hub, nws_str topic) {
  size_t count = 0;
  if (hub == NULL || !is_topic(topic)) {
    return 0;
  }
  uint64_t hash = hash_of(hub, topic);
  uv_mutex_lock(&hub->lock);
  nws__branch *branch = hub->branches;
  for (; branch != NULL; branch = branch->next) {
    nws__topic *found = nws__topics_find(&branch->topics, hash, topic);
    count += found == NULL ? 0 : found->count;
  }
  uv_mutex_unlock(&hub->lock);
  return count;
}

uint64_t nws_hub_missed(nws_hub *hub, const nws_peer *peer) {
  uint64_t missed = 0;
  if (hub == NULL) {
    return 0;
  }
  if (peer == NULL) {
    return atomic_load(&hub->missed);
  }
  const nws__member *member = peer->side == NULL ? NULL : peer->side->members;
  for (; member != NULL; member = member->also) {
    missed += member->topic->branch->hub == hub ? member->missed : 0;
  }
  return missed;
}
