/* cmd_ping.c - `nws ping`: round trips of WebSocket pings, told like ping(8).
 *
 * Each ping carries its number and is matched with the pong that brings it back
 * (RFC 6455 5.5.3). A peer may answer only the latest of several pings, so
 * those that came before it then count as lost, as they do when no answer
 * comes within the time.
 */
#include <math.h>
#include <string.h>
#include "cli.h"

/* Pings that can be under way at once; must be a power of two. */
#define MAX_PENDING 256u
#define MIN_INTERVAL_MS 10
#define NS_PER_MS 1000000u

typedef struct slot {
  uint32_t seq; /* 0: free */
  uint64_t sent_at;
} slot;

typedef struct pinger {
  cli_client client; /* first: the peer's user pointer is both */
  uint32_t count;    /* how many to send; 0: no end */
  uint32_t interval_ms;
  uint32_t wait_ms;
  uint32_t sent;
  uint32_t received;
  uint32_t lost;
  double min; /* round trips, in ms */
  double max;
  double sum;
  double sum_of_squares;
  uint64_t next_at; /* when to send the next */
  char address[64];
  slot pending[MAX_PENDING];
  uv_timer_t timer;
} pinger;

static void on_timer(uv_timer_t *timer);

static void finish(pinger *p) {
  uv_timer_stop(&p->timer);
  nws__cli_client_close(&p->client, NWS_CLOSE_NORMAL, nws_str_make("", 0));
}

static void on_interrupt(cli_client *client) {
  finish((pinger *)client);
}

/* Sets the timer to whatever comes next: a ping, or the end of a wait. */
static void schedule(pinger *p) {
  int more = p->count == 0 || p->sent < p->count;
  if (!more && p->received + p->lost == p->sent) {
    finish(p);
    return;
  }
  uint64_t next = more ? p->next_at : UINT64_MAX;
  for (size_t i = 0; i < MAX_PENDING; i++) {
    const slot *s = &p->pending[i];
    uint64_t end = s->sent_at + (uint64_t)p->wait_ms * NS_PER_MS;
    if (s->seq && end < next) {
      next = end;
    }
  }
  uint64_t now = uv_hrtime();
  uint64_t left = next > now ? next - now : 0;
  uv_update_time(&p->client.uv);
  uv_timer_start(&p->timer, on_timer, (left + NS_PER_MS - 1) / NS_PER_MS, 0);
}

static void send_ping(pinger *p, uint64_t now) {
  char payload[32];
  slot *s = &p->pending[(p->sent + 1) % MAX_PENDING];
  p->next_at = now + (uint64_t)p->interval_ms * NS_PER_MS;
  if (s->seq) {
    return; /* too many are under way: this one waits for its next turn */
  }
  int len = snprintf(payload, sizeof(payload), "nws ping %u",
                     (unsigned)(p->sent + 1));
  s->sent_at = uv_hrtime();
  if (nws_peer_send(p->client.peer, NWS_OPCODE_PING, payload, (size_t)len) !=
      NWS_OK) {
    return; /* closing, or the queue is full */
  }
  s->seq = ++p->sent;
}

static void expire(pinger *p, uint64_t now) {
  for (uint32_t i = 1; i <= MAX_PENDING; i++) {
    slot *s = &p->pending[(p->sent + i) % MAX_PENDING]; /* the oldest first */
    if (!s->seq || now < s->sent_at + (uint64_t)p->wait_ms * NS_PER_MS) {
      continue;
    }
    printf("seq=%u no answer within %g s\n", (unsigned)s->seq,
           p->wait_ms / 1000.0);
    s->seq = 0;
    p->lost++;
  }
}

/* Shows what there is to see. Returns 0 when nobody looks any more. */
static int shown(pinger *p) {
  int rc = nws__cli_flush();
  if (rc == 1) {
    return 1;
  }
  if (rc < 0) {
    p->client.exit_code = CLI_EXIT_USAGE;
  }
  finish(p);
  return 0;
}

static void on_timer(uv_timer_t *timer) {
  pinger *p = timer->data;
  uint64_t now = uv_hrtime();
  if (!p->client.peer || p->client.closing) {
    return;
  }
  expire(p, now);
  if ((p->count == 0 || p->sent < p->count) && now >= p->next_at) {
    send_ping(p, now);
  }
  if (shown(p)) {
    schedule(p);
  }
}

static void count_trip(pinger *p, double ms) {
  if (p->received == 0 || ms < p->min) {
    p->min = ms;
  }
  if (p->received == 0 || ms > p->max) {
    p->max = ms;
  }
  p->sum += ms;
  p->sum_of_squares += ms * ms;
  p->received++;
}

static void on_control(nws_peer *peer, const nws_event *event) {
  pinger *p = nws_peer_user(peer);
  char payload[32];
  uint64_t now = uv_hrtime();
  if (event->type != NWS_EVENT_PONG) {
    return;
  }
  for (size_t i = 0; i < MAX_PENDING; i++) {
    slot *s = &p->pending[i];
    if (!s->seq) {
      continue;
    }
    int len =
        snprintf(payload, sizeof(payload), "nws ping %u", (unsigned)s->seq);
    if (event->len != (size_t)len ||
        memcmp(event->data, payload, event->len) != 0) {
      continue;
    }
    double ms = (double)(now - s->sent_at) / NS_PER_MS;
    printf("pong from %s: seq=%u time=%.3f ms\n", p->address, (unsigned)s->seq,
           ms);
    s->seq = 0;
    count_trip(p, ms);
    if (shown(p)) {
      schedule(p);
    }
    return;
  }
}

static void on_open(nws_peer *peer) {
  pinger *p = nws_peer_user(peer);
  nws__cli_client_opened(&p->client);
  nws_peer_address(peer, p->address, sizeof(p->address));
  p->next_at = uv_hrtime();
  schedule(p);
}

/* Pings that were under way when we stopped are left out. */
static void put_statistics(const pinger *p) {
  uint32_t known = p->received + p->lost;
  printf("--- %s ping statistics ---\n", p->client.options.url);
  printf("%u pings, %u answered, %.1f%% lost\n", (unsigned)known,
         (unsigned)p->received, known ? 100.0 * p->lost / known : 0.0);
  if (!p->received) {
    return;
  }
  double mean = p->sum / p->received;
  double variance = p->sum_of_squares / p->received - mean * mean;
  printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", p->min, mean,
         p->max, variance > 0 ? sqrt(variance) : 0.0);
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  pinger *p = nws_peer_user(peer);
  uv_timer_stop(&p->timer);
  if (how->opened) {
    put_statistics(p);
  }
  int cut = p->count && !p->client.interrupts && p->received < p->count;
  nws__cli_client_closed(&p->client, how);
  if (p->client.exit_code == CLI_EXIT_OK &&
      (cut || p->lost || p->received == 0)) {
    p->client.exit_code = CLI_EXIT_LOST;
  }
}

/* --- Options --- */

static int read_count(pinger *p, const char *arg) {
  uint64_t count;
  if (!nws__cli_read_number(arg, UINT32_MAX, &count) || count == 0) {
    return nws__cli_misuse(p->client.command,
                           "'%s' is no count of pings; try 4", arg);
  }
  p->count = (uint32_t)count;
  return CLI_EXIT_OK;
}

static int read_time(pinger *p, const char *arg, uint32_t *ms) {
  if (nws__cli_read_seconds(arg, UINT32_MAX - 1, ms) &&
      *ms >= MIN_INTERVAL_MS) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(p->client.command,
                         "'%s' is no number of seconds from 0.01 up", arg);
}

static int take_option(void *state, int option, const char *arg) {
  pinger *p = state;
  int code = nws__cli_client_option(&p->client, option, arg);
  if (code != CLI_GO_ON) {
    return code;
  }
  switch (option) {
  case 'c':
    return read_count(p, arg);
  case 'i':
    return read_time(p, arg, &p->interval_ms);
  case 'W':
    return read_time(p, arg, &p->wait_ms);
  default:
    return CLI_EXIT_USAGE;
  }
}

static int run(pinger *p) {
  p->client.handler.open = on_open;
  p->client.handler.control = on_control;
  p->client.handler.closed = on_closed;
  p->client.interrupted = on_interrupt;
  p->client.conn.ping_interval_ms = UINT32_MAX; /* these pings are ours */
  int rc = nws__cli_client_start(&p->client);
  if (rc != CLI_EXIT_OK) {
    return rc;
  }
  uv_timer_init(&p->client.uv, &p->timer);
  p->timer.data = p;
  return nws__cli_client_run(&p->client);
}

int nws__cli_ping(int argc, char **argv) {
  static const struct option longs[] = {
      CLI_CLIENT_LONGS,
      {"count", required_argument, NULL, 'c'},
      {"interval", required_argument, NULL, 'i'},
      {"wait", required_argument, NULL, 'W'},
      {NULL, 0, NULL, 0}};
  static pinger state = {.interval_ms = 1000, .wait_ms = 5000};
  pinger *p = &state;
  nws__cli_client_init(&p->client, argv[0]);
  int code = nws__cli_client_options(&p->client, argc, argv,
                                     ":" CLI_CLIENT_SHORTS "c:i:W:", longs,
                                     take_option);
  return code == CLI_GO_ON ? run(p) : code;
}
