/* silence.c - a peer's clock, and how long it may be silent (see peer.c for who
 * judges what).
 *
 * The engine is not told the system's time but the peer's: it stands still
 * while the application pauses the peer, and leaves out what a peer that was
 * behind needed to take what we said. So no pause, however short or frequent,
 * and no slow line is ever mistaken for silence, and none hides silence either.
 *
 *   seen   real time up to which `clock` runs
 *   life   real time of the last sign of life: bytes that came, or, from a peer
 *          that is behind, only bytes that it has taken
 */
#include "net_internal.h"

#define NS_PER_MS UINT64_C(1000000)
/* How often to look at a peer that is behind, where nothing times out. */
#define LOOK_NS (UINT64_C(10000) * NS_PER_MS)

/* A new stretch of silence begins: the connection has opened, begun to end, or
 * our side has been shut. */
void nws__silence_begin(nws_peer *peer) {
  uint64_t now = uv_hrtime();
  if (peer->clock == 0) {
    peer->clock = now;
  }
  peer->seen = now;
  peer->life = now;
}

/* What time it is for the engine. */
uint64_t nws__silence_now(nws_peer *peer) {
  if ((peer->flags & NWS__STILL) == 0) {
    uint64_t now = uv_hrtime();
    peer->clock += now - peer->seen;
    peer->seen = now;
  }
  return peer->clock;
}

/* The same, when something has come; from a peer that is behind that is no sign
 * of life, or it could hold its queue for ever without reading. */
uint64_t nws__silence_heard(nws_peer *peer) {
  uint64_t now = nws__silence_now(peer);
  if ((peer->flags & NWS__BEHIND) == 0) {
    peer->life = peer->seen;
  }
  return now;
}

/* We have said close: what silence there was before has no meaning now. */
void nws__silence_handshake(nws_peer *peer) {
  peer->life = uv_hrtime();
}

/* Stops the clock during a pause. After it the peer's answers may have waited
 * in the socket for long: judging is left to the timer, which reads first. */
static void keep_still(nws_peer *peer, int still) {
  int was = (peer->flags & NWS__STILL) != 0;
  if (still == was) {
    return;
  }
  if (still) {
    nws__silence_now(peer);
    peer->flags |= NWS__STILL;
    return;
  }
  uint64_t now = uv_hrtime();
  peer->life += now - peer->seen;
  if (peer->life > now) {
    peer->life = now;
  }
  peer->seen = now;
  peer->flags &= ~(uint32_t)NWS__STILL;
  nws__timer_set(peer, now);
}

/* Finds out whether the peer is behind: whether the queue or the system holds
 * something that it had no room for yet. Time in which that became less is not
 * held against it. */
static void look(nws_peer *peer) {
  int broken = (peer->flags & NWS__BROKEN) != 0;
  size_t unsent = broken ? 0 : nws__socket_unsent(peer->fd);
  uint32_t gone = peer->written - (uint32_t)unsent;
  if ((peer->flags & NWS__BEHIND) != 0 && gone != peer->gone) {
    peer->seen = uv_hrtime();
    peer->life = peer->seen;
  }
  peer->gone = gone;
  peer->flags &= ~(uint32_t)NWS__BEHIND;
  if (unsent > 0 || (peer->flags & NWS__BLOCKED) != 0) {
    peer->flags |= NWS__BEHIND;
  }
}

static int talking(const nws_peer *peer) {
  return peer->state == NWS__OPEN &&
         nws_conn_state(&peer->conn) == NWS_STATE_OPEN;
}

/* How long a peer may show no life when it is not the engine's to judge. */
static uint64_t patience(const nws_peer *peer) {
  if ((peer->flags & NWS__SHUT) != 0) {
    return NWS__LINGER_MS * NS_PER_MS;
  }
  return talking(peer) ? nws__setup_stall_ns(peer->setup)
                       : nws__setup_close_ns(peer->setup);
}

/* It has not taken what we said, or TCP is being closed. A peer that is behind
 * is looked at more often, to know when it has caught up. */
static int judge_here(nws_peer *peer) {
  uint64_t now = uv_hrtime();
  uint64_t wait = patience(peer);
  uint64_t again = wait == NWS_NEVER ? LOOK_NS : wait / 4;
  if (wait != NWS_NEVER && now >= peer->life + wait) {
    return talking(peer) ? NWS_ERROR_PONG_TIMEOUT : NWS_ERROR_CLOSE_TIMEOUT;
  }
  if (wait != NWS_NEVER) {
    nws__timer_earlier(peer, peer->life + wait);
  }
  if ((peer->flags & NWS__BEHIND) != 0) {
    nws__timer_earlier(peer, now + again);
  }
  return NWS_OK;
}

static int judge_engine(nws_peer *peer) {
  uint64_t next = NWS_NEVER;
  uint64_t now = nws__silence_now(peer);
  int rc = nws_conn_tick(&peer->conn, now, &next);
  if (rc == NWS_OK && next != NWS_NEVER) {
    nws__timer_earlier(peer, peer->seen + (next - now));
  }
  return rc;
}

/* Judges a peer that is open or closing, and sees to it that it is judged again
 * in time. `due`: its deadline has come, and what the socket had was read.
 * Returns NWS_OK, or why it is to be given up. */
int nws__silence_judge(nws_peer *peer, int due) {
  int open = peer->state == NWS__OPEN;
  keep_still(peer, open && (peer->flags & NWS__PAUSED) != 0);
  if ((peer->flags & NWS__STILL) != 0) {
    return NWS_OK;
  }
  if (!due && peer->timer_at != 0 && peer->deadline <= uv_hrtime()) {
    return NWS_OK; /* the timer's to judge */
  }
  uint32_t uncertain = NWS__BEHIND | NWS__BLOCKED;
  if (due || !talking(peer) || (peer->flags & uncertain) != 0) {
    look(peer);
  }
  if (open && (peer->flags & NWS__BEHIND) == 0) {
    return judge_engine(peer);
  }
  return judge_here(peer);
}
