/* stats.c - what a server counts, where things happen to its peers. Clients
 * count nothing.
 *
 * A peer has no room for numbers of its own: what is counted follows from its
 * state and flags. The time from accept to open needs no clock either: until a
 * connection is open, `life` is when it came.
 */
#include "net_internal.h"
#include <string.h>

#define US_NS 1000u
/* The first bucket of a histogram takes all up to this; sizes and times below
 * are all the same. */
#define FIRST_BOUND 16u

#define WORDS (sizeof(nws_stats) / sizeof(uint64_t))

/* --- Reading --- */

void nws_server_stats(const nws_server *server, nws_stats *out) {
  *out = server->stats;
}

void nws_stats_add(nws_stats *sum, const nws_stats *more) {
  uint64_t words[WORDS];
  uint64_t added[WORDS];
  memcpy(words, sum, sizeof(words));
  memcpy(added, more, sizeof(added));
  for (size_t i = 0; i < WORDS; i++) {
    words[i] += added[i];
  }
  memcpy(sum, words, sizeof(words));
}

uint64_t nws_histogram_bound(unsigned bucket) {
  return bucket + 1 < NWS_HISTOGRAM_BUCKETS ? (uint64_t)FIRST_BOUND << bucket
                                            : UINT64_MAX;
}

static void see(nws_histogram *histogram, uint64_t value) {
  unsigned bucket = 0;
  for (uint64_t over = value == 0 ? 0 : (value - 1) / FIRST_BOUND;
       over > 0 && bucket + 1 < NWS_HISTOGRAM_BUCKETS; over /= 2) {
    bucket++;
  }
  histogram->counts[bucket]++;
  histogram->sum += value;
}

/* --- The life of a peer --- */

/* A new peer has begun its handshake. */
void nws__stats_begin(nws_peer *peer) {
  peer->server->stats.handshakes++;
}

/* A connection is turned away, or dropped, because of a limit. */
void nws__stats_turned(nws_server *server, int error) {
  nws_stats *stats = &server->stats;
  switch (error) {
  case NWS_ERROR_PEER_LIMIT:
    stats->turned_peers++;
    break;
  case NWS_ERROR_HANDSHAKE_LIMIT:
    stats->turned_handshakes++;
    break;
  case NWS_ERROR_ADDRESS_LIMIT:
    stats->turned_address++;
    break;
  case NWS_ERROR_RATE_LIMIT:
    stats->turned_rate++;
    break;
  default:
    stats->turned_memory++;
  }
}

/* The numbers stand in error.h, in groups that belong together. */
static uint64_t *failure(nws_stats *stats, int error) {
  if (error == UV_ECANCELED) {
    return &stats->failed_canceled;
  }
  if (error == NWS_ERROR_HANDSHAKE_TIMEOUT || error == UV_ETIMEDOUT) {
    return &stats->failed_timeout;
  }
  if (error > NWS_ERROR_ARGUMENT || error == NWS_ERROR_HTTP_EOF) {
    return &stats->failed_gone;
  }
  if (error == NWS_ERROR_STATUS) {
    return &stats->failed_refused;
  }
  if (error == NWS_ERROR_PROXY_HEADER) {
    return &stats->failed_proxy;
  }
  if (error <= NWS_ERROR_TLS && error > NWS_ERROR_PROXY_HEADER) {
    return &stats->failed_tls;
  }
  if (error <= NWS_ERROR_METHOD && error > NWS_ERROR_TLS) {
    return &stats->failed_request;
  }
  if (error <= NWS_ERROR_HTTP_START_LINE && error > NWS_ERROR_METHOD) {
    return &stats->failed_http;
  }
  return &stats->failed_other;
}

/* A peer goes from one state to the next; why it ends is known by then. */
void nws__stats_enter(nws_peer *peer, nws__peer_state from,
                      nws__peer_state to) {
  if (peer->server == NULL || from >= NWS__OPEN || to < NWS__OPEN ||
      (peer->flags & NWS__TURNED) != 0) {
    return;
  }
  nws_stats *stats = &peer->server->stats;
  stats->handshakes--;
  if (to == NWS__OPEN) {
    stats->opened++;
    stats->open++;
  } else {
    (*failure(stats, peer->error))++;
  }
}

/* It has taken so long to be open. */
void nws__stats_opened(nws_peer *peer, uint64_t ns) {
  if (peer->server != NULL) {
    see(&peer->server->stats.open_time, ns / US_NS);
  }
}

/* The end of a peer that was open. */
void nws__stats_closed(nws_peer *peer, int error) {
  if (peer->server == NULL || (peer->flags & NWS__CONN) == 0) {
    return;
  }
  nws_stats *stats = &peer->server->stats;
  stats->open--;
  stats->slow += error == NWS_ERROR_QUEUE; /* a hub's doing */
  if (error == NWS_OK) {
    stats->closed_clean++;
  } else {
    stats->closed_error++;
  }
}

/* A peer is given up for what it does not say or take. */
void nws__stats_given_up(nws_peer *peer, int error) {
  if (peer->server == NULL || (peer->flags & NWS__CONN) == 0) {
    return;
  }
  nws_stats *stats = &peer->server->stats;
  if ((peer->flags & NWS__BEHIND) != 0) {
    stats->slow++;
  } else if (error == NWS_ERROR_PONG_TIMEOUT) {
    stats->silent++;
  }
}

/* --- Frames and bytes --- */

static void control_frame(unsigned opcode, uint64_t *pings, uint64_t *pongs,
                          uint64_t *closes) {
  if (opcode == NWS_OPCODE_PING) {
    (*pings)++;
  } else if (opcode == NWS_OPCODE_PONG) {
    (*pongs)++;
  } else if (opcode == NWS_OPCODE_CLOSE) {
    (*closes)++;
  }
}

void nws__stats_event(nws_peer *peer, const nws_event *event) {
  if (peer->server == NULL) {
    return;
  }
  nws_stats *stats = &peer->server->stats;
  stats->frames_in += (event->flags & NWS_FRAME_END) != 0;
  if (event->type != NWS_EVENT_DATA) {
    control_frame(event->opcode, &stats->pings_in, &stats->pongs_in,
                  &stats->closes_in);
  } else if ((event->flags & NWS_MESSAGE_END) != 0) {
    stats->messages_in++;
    see(&stats->message_in, event->message_offset + event->len);
  }
}

/* A frame was queued; `what` as for nws_conn_send(). */
void nws__stats_sent(nws_peer *peer, unsigned what, size_t len) {
  if (peer->server == NULL) {
    return;
  }
  nws_stats *stats = &peer->server->stats;
  unsigned opcode = what & 15;
  stats->frames_out++;
  if (opcode >= NWS_OPCODE_CLOSE) {
    control_frame(opcode, &stats->pings_out, &stats->pongs_out,
                  &stats->closes_out);
    return;
  }
  stats->messages_out += (what & NWS_SEND_MORE) == 0;
  see(&stats->message_out, len);
}

/* The same, of a prepared message. */
void nws__stats_prepared(nws_peer *peer, const nws_prepared *message) {
  nws__stats_sent(peer, message->opcode, (size_t)message->payload_len);
}

/* Control frames were queued as they stand here, a server's: not masked, and
 * with two bytes of header (RFC 6455 5.5). */
void nws__stats_owed(nws_peer *peer, const uint8_t *frames, size_t len) {
  if (peer->server == NULL) {
    return;
  }
  for (size_t at = 0; at + 1 < len; at += 2u + frames[at + 1]) {
    nws__stats_sent(peer, frames[at], 0);
  }
}

void nws__stats_received(nws_peer *peer, size_t len) {
  if (peer->server != NULL) {
    peer->server->stats.bytes_in += len;
  }
}

void nws__stats_written(nws_peer *peer, size_t len) {
  if (peer->server != NULL) {
    peer->server->stats.bytes_out += len;
  }
}

/* The peer's queue had `before` bytes, and has others now. */
void nws__stats_queue(nws_peer *peer, size_t before) {
  if (peer->server == NULL) {
    return;
  }
  nws_stats *stats = &peer->server->stats;
  stats->queued += peer->queue.bytes;
  stats->queued -= before;
  if (stats->queued > stats->queued_most) {
    stats->queued_most = stats->queued;
  }
}

void nws__stats_throttled(nws_peer *peer) {
  if (peer->server != NULL) {
    peer->server->stats.throttled++;
  }
}

void nws__stats_queue_full(nws_peer *peer) {
  if (peer->server != NULL) {
    peer->server->stats.queue_full++;
  }
}
