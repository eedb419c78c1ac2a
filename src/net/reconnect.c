/* reconnect.c - a client that comes back. It stands between the application's
 * handler and the peers that it makes one after the other.
 *
 * The waits are drawn evenly from a range whose end doubles: "full jitter", as
 * Marc Brooker's "Exponential Backoff And Jitter" (2015) found best where many
 * clients lose the same server at once.
 */
#include "reconnect_internal.h"
#include <stdlib.h>
#include <string.h>

#define MIN_DELAY_MS 250u
#define MAX_DELAY_MS 30000u
#define STEADY_MS 10000u
#define MAX_KEPT ((size_t)1024 * 1024)
/* Short messages cost more than their bytes: so many bytes of max_kept allow
 * for one message more, and this many may be kept whatever it is. */
#define BYTES_EACH 16
#define MAX_COUNT_LEAST 1024
#define NS_PER_MS UINT64_C(1000000)

typedef struct message {
  struct message *next;
  size_t len;
  unsigned what;
  uint8_t data[];
} message;

struct nws_reconnect {
  nws_loop *loop;
  nws_reconnect_options options;
  nws_client_options client;
  nws_handler theirs;
  nws_handler handler; /* theirs, with ours in between */
  nws_peer *peer;      /* the one under way, NULL while waiting */
  int is_open;
  int stopping;
  int over; /* `stopped` was called */
  uint64_t opened_at;
  unsigned failures; /* in a row */
  uv_timer_t timer;
  message *first;
  message **end;
  size_t kept;
  size_t count; /* of these messages */
};

/* --- When, and whether --- */

/* The wait after so many failures in a row. */
uint32_t nws__reconnect_delay(uint32_t min, uint32_t max, unsigned failures,
                              uint64_t random) {
  uint64_t bound = min;
  for (unsigned i = 0; i < failures && bound < max; i++) {
    bound *= 2;
  }
  if (bound > max) {
    bound = max;
  }
  return bound <= min ? min : (uint32_t)(min + random % (bound - min + 1));
}

/* A status that another attempt may not meet. */
static int status_mends(unsigned status) {
  return status >= 500 || status == 408 || status == 425 || status == 429;
}

/* In the handshake: what is no WebSocket server will not become one. */
static int handshake_mends(const nws_closed *how) {
  switch (how->error) {
  case NWS_ERROR_HTTP_EOF:
    return 1;
  case NWS_ERROR_STATUS:
    return how->response != NULL && status_mends(how->response->status);
  default:
    return 0;
  }
}

static int way_mends(const nws_closed *how) {
  switch (how->error) {
  case NWS_ERROR_TLS:
  case NWS_ERROR_TLS_CUT:
  case NWS_ERROR_PROXY:
    return 1;
  case NWS_ERROR_PROXY_STATUS:
    return how->response == NULL || status_mends(how->response->status);
  default:
    return 0;
  }
}

/* Says whether another attempt may end differently. */
int nws__reconnect_mends(const nws_closed *how) {
  enum { HANDSHAKE = -10200, WAY = -10250 };
  if (nws_error_get(how->error)->kind == NWS_ERROR_KIND_USAGE) {
    return 0;
  }
  if (how->error > HANDSHAKE && how->error != NWS_OK) {
    return 1; /* the connection's, or a resource's */
  }
  if (how->error > WAY && how->error <= HANDSHAKE) {
    return handshake_mends(how);
  }
  if (nws_error_get(how->error)->kind == NWS_ERROR_KIND_PEER) {
    return way_mends(how);
  }
  return 1; /* the system's, or none */
}

/* --- What is kept --- */

static void drop_first(nws_reconnect *link) {
  message *first = link->first;
  link->first = first->next;
  if (link->first == NULL) {
    link->end = &link->first;
  }
  link->kept -= first->len;
  link->count--;
  free(first);
}

static void drop_all(nws_reconnect *link) {
  while (link->first != NULL) {
    drop_first(link);
  }
}

/* Says whether a message of this length may be kept with the others. */
static int has_room(const nws_reconnect *link, size_t len) {
  size_t max = link->options.max_kept;
  size_t max_count = max / BYTES_EACH;
  if (max_count < MAX_COUNT_LEAST) {
    max_count = MAX_COUNT_LEAST;
  }
  return link->kept <= max - len && link->count < max_count;
}

static int keep(nws_reconnect *link, unsigned what, const void *data,
                size_t len) {
  unsigned opcode = what & ~NWS_SEND_PLAIN;
  if (opcode == NWS_OPCODE_TEXT && !nws_utf8_valid(data, len)) {
    return NWS_ERROR_TEXT_SEND;
  }
  int drops = link->options.policy == NWS_RECONNECT_DROP_OLDEST;
  if (len > link->options.max_kept || (!drops && !has_room(link, len))) {
    return NWS_ERROR_QUEUE;
  }
  message *fresh = malloc(sizeof(*fresh) + len);
  if (fresh == NULL) {
    return NWS_ERROR_MEMORY;
  }
  while (!has_room(link, len)) {
    drop_first(link);
  }
  fresh->next = NULL;
  fresh->len = len;
  fresh->what = what;
  if (len > 0) {
    memcpy(fresh->data, data, len);
  }
  *link->end = fresh;
  link->end = &fresh->next;
  link->kept += len;
  link->count++;
  return NWS_OK;
}

/* Gives the connection what was kept, as much as it takes; `drain` goes on. */
static void hand_over(nws_reconnect *link) {
  while (link->first != NULL && link->is_open) {
    const message *first = link->first;
    int rc = nws_peer_send(link->peer, first->what, first->data, first->len);
    if (rc == NWS_ERROR_QUEUE || rc == NWS_ERROR_STATE ||
        rc == NWS_ERROR_MEMORY) {
      return;
    }
    drop_first(link); /* sent, or nothing that could ever be */
  }
}

/* --- The end --- */

static void on_timer_closed(uv_handle_t *handle) {
  nws_reconnect *link = handle->data;
  nws_loop *loop = link->loop;
  free(link);
  nws__loop_release(loop);
}

static void finish(nws_reconnect *link, const nws_closed *how) {
  link->over = 1;
  link->stopping = 1;
  drop_all(link);
  if (link->options.stopped != NULL) {
    link->options.stopped(link, how, link->client.user);
  }
  uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}

/* The end of a connection that there never was. */
static nws_closed no_connection(int error) {
  nws_closed how;
  memset(&how, 0, sizeof(how));
  how.error = error;
  how.code = NWS_CLOSE_ABNORMAL;
  how.code_sent = NWS_CLOSE_ABNORMAL;
  how.detail = "";
  return how;
}

/* --- Connecting --- */

static void on_timer(uv_timer_t *timer);

static int connect_now(nws_reconnect *link) {
  int rc = nws_client_connect(link->loop, &link->client, &link->peer);
  if (rc == NWS_OK) {
    link->peer->setup->link = link;
  }
  return rc;
}

static uint32_t next_delay(nws_reconnect *link) {
  const nws_random *random = &link->loop->random;
  uint64_t number = 0;
  /* Without randomness the wait is the shortest. */
  (void)random->fill(random->user, &number, sizeof(number));
  return nws__reconnect_delay(link->options.min_delay_ms,
                              link->options.max_delay_ms, link->failures,
                              number);
}

/* An attempt or a connection has ended: waits, or gives up. */
static void go_on(nws_reconnect *link, const nws_closed *how) {
  uint32_t delay = NWS_RECONNECT_NEVER;
  if (link->stopping) {
    finish(link, how);
    return;
  }
  if (nws__reconnect_mends(how)) {
    delay = next_delay(link);
  }
  if (link->options.ended != NULL) {
    delay = link->options.ended(link, how, delay, link->client.user);
  }
  if (link->stopping || delay == NWS_RECONNECT_NEVER) {
    finish(link, how);
  } else {
    uv_timer_start(&link->timer, on_timer, delay, 0);
  }
}

static void on_timer(uv_timer_t *timer) {
  nws_reconnect *link = timer->data;
  nws_loop *loop = link->loop;
  nws__loop_enter(loop);
  int rc = link->stopping ? UV_ECANCELED : connect_now(link);
  if (rc != NWS_OK) {
    nws_closed how = no_connection(rc);
    link->failures++;
    go_on(link, &how);
  }
  nws__loop_leave(loop);
}

/* --- In between --- */

static void on_open(nws_peer *peer) {
  nws_reconnect *link = peer->setup->link;
  link->is_open = 1;
  link->opened_at = uv_hrtime();
  if (link->theirs.open != NULL) {
    link->theirs.open(peer);
  }
  hand_over(link);
}

static void on_drain(nws_peer *peer) {
  nws_reconnect *link = peer->setup->link;
  hand_over(link);
  if (link->first == NULL && link->theirs.drain != NULL) {
    link->theirs.drain(peer);
  }
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  nws_reconnect *link = peer->setup->link;
  uint64_t steady = link->options.steady_ms * NS_PER_MS;
  if (link->is_open && uv_hrtime() - link->opened_at >= steady) {
    link->failures = 0;
  }
  link->failures++;
  link->is_open = 0;
  link->peer = NULL;
  if (link->theirs.closed != NULL) {
    link->theirs.closed(peer, how);
  }
  peer->setup->link = NULL;
  go_on(link, how);
}

/* --- What the application calls --- */

static uint32_t or_default(uint32_t value, uint32_t fallback) {
  return value == 0 ? fallback : value;
}

static int take_options(nws_reconnect *link,
                        const nws_reconnect_options *given) {
  nws_reconnect_options *options = &link->options;
  int rc = nws__setup_options(options, sizeof(*options), given);
  if (rc == NWS_OK) {
    rc = nws__setup_options(&link->client, sizeof(link->client),
                            options->client);
  }
  if (rc == NWS_OK) {
    rc = nws__setup_options(&link->theirs, sizeof(link->theirs),
                            link->client.handler);
  }
  if (rc != NWS_OK) {
    return rc;
  }
  options->min_delay_ms = or_default(options->min_delay_ms, MIN_DELAY_MS);
  options->max_delay_ms = or_default(options->max_delay_ms, MAX_DELAY_MS);
  options->steady_ms = or_default(options->steady_ms, STEADY_MS);
  options->max_kept = options->max_kept == 0 ? MAX_KEPT : options->max_kept;
  link->handler = link->theirs;
  link->handler.open = on_open;
  link->handler.drain = on_drain;
  link->handler.closed = on_closed;
  link->client.handler = &link->handler;
  if ((unsigned)options->policy > NWS_RECONNECT_DROP_OLDEST) {
    return NWS_ERROR_ARGUMENT;
  }
  return options->min_delay_ms > options->max_delay_ms ? NWS_ERROR_CONFIG
                                                       : NWS_OK;
}

int nws_reconnect_start(nws_loop *loop, const nws_reconnect_options *options,
                        nws_reconnect **out) {
  if (loop == NULL || out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  *out = NULL;
  nws_reconnect *link = calloc(1, sizeof(*link));
  if (link == NULL) {
    return NWS_ERROR_MEMORY;
  }
  link->loop = loop;
  link->end = &link->first;
  int rc = take_options(link, options);
  if (rc == NWS_OK) {
    rc = connect_now(link);
  }
  if (rc != NWS_OK) {
    free(link);
    return rc;
  }
  uv_timer_init(loop->uv, &link->timer);
  link->timer.data = link;
  nws__loop_hold(loop);
  *out = link;
  return NWS_OK;
}

int nws_reconnect_send(nws_reconnect *link, unsigned what, const void *data,
                       size_t len) {
  unsigned opcode = what & ~NWS_SEND_PLAIN;
  if (link == NULL || (data == NULL && len > 0) ||
      (opcode != NWS_OPCODE_TEXT && opcode != NWS_OPCODE_BINARY)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (link->stopping) {
    return NWS_ERROR_STATE;
  }
  hand_over(link);
  if (link->is_open && link->first == NULL) {
    int rc = nws_peer_send(link->peer, what, data, len);
    if (rc != NWS_ERROR_STATE) {
      return rc;
    }
  }
  if (link->options.policy == NWS_RECONNECT_REFUSE) {
    return NWS_ERROR_STATE;
  }
  return keep(link, what, data, len);
}

size_t nws_reconnect_kept(const nws_reconnect *link) {
  return link->kept;
}

nws_peer *nws_reconnect_peer(const nws_reconnect *link) {
  return link->is_open ? link->peer : NULL;
}

nws_reconnect *nws_peer_reconnect(const nws_peer *peer) {
  return peer->setup->link;
}

void nws_reconnect_now(nws_reconnect *link) {
  if (!link->over && uv_is_active((uv_handle_t *)&link->timer)) {
    uv_timer_start(&link->timer, on_timer, 0, 0);
  }
}

void nws_reconnect_stop(nws_reconnect *link, unsigned code, nws_str reason) {
  int again = link->stopping;
  int rc = NWS_OK;
  if (link->over) {
    return;
  }
  link->stopping = 1;
  drop_all(link);
  if (link->peer == NULL) {
    uv_timer_start(&link->timer, on_timer, 0, 0);
    return;
  }
  if (!again) {
    rc = nws_peer_close(link->peer, code, reason);
  }
  /* One that is closing already is waited for. */
  if (again || (rc != NWS_OK && rc != NWS_ERROR_STATE)) {
    nws_peer_abort(link->peer);
  }
}
