/* bench_conn.c - a connection of `nws bench`: what it sends when, and whether
 * what comes back is right.
 *
 * In the open loop all messages have a time at which they are due, whatever the
 * server does: message n of all is due n / rate seconds after the start, and
 * belongs to the connection in place n modulo their number. A connection that
 * may not send now, as its queue is full, catches up later, and the latency
 * counts from when the message was due. Were it to count from the sending, a
 * server that stalls would be asked less just when it is slow, and the pause
 * would show in one answer instead of all those that it delayed (Gil Tene calls
 * it coordinated omission).
 *
 * Nothing is kept of a message under way. It is made from its number, so the
 * whole of it can be made again to be held against the answer.
 */
#include <string.h>
#include "load.h"

#define HEAD 16 /* digits: the connection, and the message's number */
#define FILLER_SHIFT_MASK 4095u

/* Mixes the bits of a number well (Steele, Lea and Flood: SplitMix). */
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static void write_hex(uint64_t value, uint8_t *out, size_t len) {
  for (size_t i = len; i > 0; i--) {
    out[i - 1] = (uint8_t) "0123456789abcdef"[value & 15];
    value >>= 4;
  }
}

/* A message too short for all digits has the last ones. */
size_t nws__cli_bench_write(const bench_conn *c, uint64_t number,
                            uint8_t *out) {
  const bench *b = c->worker->bench;
  uint64_t bits = mix(((uint64_t)c->id << 32) ^ number);
  uint64_t choice = b->plan.max_size - b->plan.min_size + 1;
  size_t len = (size_t)(b->plan.min_size + (bits >> 12) % choice);
  size_t head = len < HEAD ? len : HEAD;
  write_hex(((uint64_t)c->id << 32) | (number & 0xffffffffu), out, head);
  memcpy(out + head, b->filler + (bits & FILLER_SHIFT_MASK), len - head);
  return len;
}

uint64_t nws__cli_bench_due(const bench_conn *c, uint64_t number) {
  const bench *b = c->worker->bench;
  uint64_t all = number * b->open + c->place;
  uint64_t rate = b->plan.rate;
  return b->start_at + all / rate * BENCH_NS_PER_S +
         all % rate * BENCH_NS_PER_S / rate;
}

static int measured(const bench *b, uint64_t at) {
  return at >= b->measure_at && at < b->end_at;
}

static void count(_Atomic uint64_t *counter) {
  atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* --- Sending --- */

/* Sends the next message. Returns 0 when it cannot: the queue is full and a
 * drain will come, or the connection has come to its end. */
static int send_next(bench_conn *c, uint64_t now) {
  bench_worker *w = c->worker;
  bench *b = w->bench;
  size_t len = nws__cli_bench_write(c, c->sent, w->buffer);
  unsigned opcode = b->plan.binary ? NWS_OPCODE_BINARY : NWS_OPCODE_TEXT;
  if (nws_peer_send(c->peer, opcode, w->buffer, len) != NWS_OK) {
    return 0;
  }
  if (c->due) {
    c->due[c->sent % b->plan.in_flight] = now;
  }
  c->sent++;
  w->under_way++;
  w->result.sent++;
  count(&w->progress.sent);
  if (measured(b, now)) {
    w->result.sent_in++;
    w->result.sent_bytes += len;
  }
  return 1;
}

static void pump_open_loop(bench_conn *c) {
  bench_worker *w = c->worker;
  while (c->sent < c->quota) {
    uint64_t due = nws__cli_bench_due(c, c->sent);
    uint64_t now = uv_hrtime();
    if (due > now || !send_next(c, now)) {
      return;
    }
    if (measured(w->bench, due)) {
      nws__cli_histogram_add(&w->result.late, now - due);
    }
  }
}

void nws__cli_bench_pump(bench_conn *c) {
  bench_worker *w = c->worker;
  if (w->state != BENCH_RUN || !c->open) {
    return;
  }
  if (w->bench->plan.rate) {
    pump_open_loop(c);
    return;
  }
  while (c->sent - c->next < w->bench->plan.in_flight) {
    if (!send_next(c, uv_hrtime())) {
      return;
    }
  }
}

/* --- Answers --- */

static int is_message(const bench_conn *c, uint64_t number, const uint8_t *data,
                      size_t len) {
  uint8_t *own = c->worker->buffer;
  return nws__cli_bench_write(c, number, own) == len &&
         memcmp(own, data, len) == 0;
}

/* How far ahead of the next answer that is due the number is that an answer
 * says it has: below 0 for one that is over, and 0 also for one that says
 * nothing that could be. */
static int64_t ahead_of(const bench_conn *c, const uint8_t *data, size_t len) {
  static const char digits[] = "0123456789abcdef";
  uint64_t value = 0;
  for (size_t i = 0; i < HEAD; i++) {
    const char *at = i < len && data[i] ? strchr(digits, data[i]) : NULL;
    if (!at) {
      return 0;
    }
    value = value << 4 | (uint64_t)(at - digits);
  }
  uint32_t distance = (uint32_t)value - (uint32_t)c->next;
  int64_t ahead = distance < 0x80000000u ? (int64_t)distance
                                         : (int64_t)distance - 0x100000000;
  uint64_t waiting = c->sent - c->next;
  int known = value >> 32 == c->id && -ahead <= (int64_t)c->next &&
              ahead < (int64_t)waiting;
  return known ? ahead : 0;
}

enum verdict {
  RIGHT,
  WRONG, /* an answer, but not what was sent */
  EXTRA  /* to a message that is over already */
};

/* Judges an answer. They come in the order of the messages; what one passes
 * over will not be answered any more. */
static enum verdict judge(bench_conn *c, unsigned opcode, const uint8_t *data,
                          size_t len) {
  bench_worker *w = c->worker;
  const bench_plan *plan = &w->bench->plan;
  unsigned sent_as = plan->binary ? NWS_OPCODE_BINARY : NWS_OPCODE_TEXT;
  if (plan->no_check) {
    return c->next < c->sent ? RIGHT : EXTRA;
  }
  if (c->next < c->sent && opcode == sent_as &&
      is_message(c, c->next, data, len)) {
    return RIGHT;
  }
  int64_t ahead = ahead_of(c, data, len);
  if (ahead < 0 || c->next == c->sent) {
    return EXTRA;
  }
  if (ahead == 0 || opcode != sent_as ||
      !is_message(c, c->next + (uint64_t)ahead, data, len)) {
    return WRONG;
  }
  w->result.unanswered += (uint64_t)ahead;
  w->under_way -= (uint64_t)ahead;
  c->next += (uint64_t)ahead;
  return RIGHT;
}

void nws__cli_bench_answer(bench_conn *c, unsigned opcode, const uint8_t *data,
                           size_t len) {
  bench_worker *w = c->worker;
  bench *b = w->bench;
  uint64_t now = uv_hrtime();
  count(&w->progress.received);
  if (measured(b, now)) {
    w->result.received_in++;
    w->result.received_bytes += len;
  }
  enum verdict verdict = judge(c, opcode, data, len);
  if (verdict == EXTRA) {
    w->result.wrong++;
    return;
  }
  if (verdict == RIGHT) {
    uint64_t due = c->due ? c->due[c->next % b->plan.in_flight]
                          : nws__cli_bench_due(c, c->next);
    w->result.answered++;
    if (measured(b, due)) {
      nws__cli_histogram_add(&w->result.latency, now - due);
    }
  } else {
    w->result.wrong++;
  }
  c->next++;
  w->under_way--;
  nws__cli_bench_pump(c);
  nws__cli_bench_worker_check(w);
}
