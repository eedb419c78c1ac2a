/* capture_tcp.c - packets into the streams of bytes that TCP made of them: what
 * came twice is dropped, what came early waits, what never came is a hole.
 *
 * Fragments of IP packets are left out: TCP avoids them.
 */
#include <stdlib.h>
#include <string.h>
#include "capture.h"

/* Bytes of one side that may wait for those before them. */
#define EARLY_MAX ((size_t)4 << 20)

struct capture_segment {
  struct capture_segment *next;
  uint32_t seq;
  size_t len;
  uint8_t data[];
};

/* What is known of a packet of TCP. */
typedef struct segment {
  capture_side from;
  capture_side to; /* of both, address and port only */
  uint32_t seq;
  unsigned flags;
  const uint8_t *data;
  size_t len;
  int cut; /* the capture has only the begin of it */
} segment;

enum { FIN = 1, SYN = 2, RST = 4 };

static const char missing[] = "packets are missing in the capture";

static unsigned get16(const uint8_t *at) {
  return (unsigned)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at) {
  return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* --- Down to TCP --- */

/* Where the IP header begins, or 0 when the packet has none (or none that is
 * known); the tables are those of tcpdump.org/linktypes.html. */
static const uint8_t *find_ip(const capture_packet *packet, size_t *len) {
  enum {
    BSD = 0,
    ETHERNET = 1,
    RAW_OLD = 12,
    RAW_BSD = 14,
    RAW = 101,
    LOOP = 108,
    COOKED = 113,
    IPV4 = 228,
    IPV6 = 229,
    COOKED_2 = 276
  };
  size_t skip;
  switch (packet->link) {
  case RAW_OLD:
  case RAW_BSD:
  case RAW:
  case IPV4:
  case IPV6:
    skip = 0;
    break;
  case BSD:
  case LOOP:
    skip = 4;
    break;
  case ETHERNET:
    skip = 14;
    /* VLAN tags, IEEE 802.1Q */
    while (packet->len >= skip && (get16(packet->data + skip - 2) == 0x8100 ||
                                   get16(packet->data + skip - 2) == 0x88a8)) {
      skip += 4;
    }
    break;
  case COOKED:
    skip = 16;
    break;
  case COOKED_2:
    skip = 20;
    break;
  default:
    return NULL;
  }
  if (packet->len <= skip) {
    return NULL;
  }
  *len = packet->len - skip;
  return packet->data + skip;
}

static int read_tcp(segment *s, const uint8_t *at, size_t len, size_t full) {
  if (len < 20) {
    return 0;
  }
  size_t head = (size_t)(at[12] >> 4) * 4;
  if (head < 20 || head > len || head > full) {
    return 0;
  }
  s->from.port = (uint16_t)get16(at);
  s->to.port = (uint16_t)get16(at + 2);
  s->seq = get32(at + 4);
  s->flags = at[13];
  s->data = at + head;
  s->len = full - head;
  s->cut = full > len;
  return 1;
}

static int read_ipv4(segment *s, const uint8_t *at, size_t len) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  if (len < 20) {
    return 0;
  }
  size_t head = (size_t)(at[0] & 15u) * 4;
  size_t full = get16(at + 2);
  if (full == 0) {
    full = len; /* left to the network card, which the capture came before */
  }
  int fragment = (get16(at + 6) & 0x3fffu) != 0;
  if (head < 20 || head > len || full < head || at[9] != 6 || fragment) {
    return 0;
  }
  memcpy(s->from.address, mapped, sizeof(mapped));
  memcpy(s->from.address + 12, at + 12, 4);
  memcpy(s->to.address, mapped, sizeof(mapped));
  memcpy(s->to.address + 12, at + 16, 4);
  size_t here = len < full ? len : full; /* Ethernet pads */
  return read_tcp(s, at + head, here - head, full - head);
}

static int read_ipv6(segment *s, const uint8_t *at, size_t len) {
  enum { HOP_BY_HOP = 0, TCP = 6, ROUTING = 43, OPTIONS = 60 };
  if (len < 40) {
    return 0;
  }
  size_t full = get16(at + 4);
  if (full == 0) {
    full = len - 40;
  }
  unsigned next = at[6];
  memcpy(s->from.address, at + 8, 16);
  memcpy(s->to.address, at + 24, 16);
  at += 40;
  len -= 40;
  while (next == HOP_BY_HOP || next == ROUTING || next == OPTIONS) {
    size_t skip = len < 2 ? len : 8 + (size_t)at[1] * 8;
    if (len < 2 || skip > len || skip > full) {
      return 0;
    }
    next = at[0];
    at += skip;
    len -= skip;
    full -= skip;
  }
  return next == TCP && read_tcp(s, at, len < full ? len : full, full);
}

static int read_packet(segment *s, const capture_packet *packet) {
  size_t len = 0;
  const uint8_t *ip = find_ip(packet, &len);
  memset(s, 0, sizeof(*s));
  if (!ip) {
    return 0;
  }
  switch (ip[0] >> 4) {
  case 4:
    return read_ipv4(s, ip, len);
  case 6:
    return read_ipv6(s, ip, len);
  default:
    return 0;
  }
}

/* --- Connections --- */

static int same(const capture_side *a, const capture_side *b) {
  return a->port == b->port &&
         memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* The same for both directions. */
static size_t bucket_of(const segment *s) {
  uint32_t sum = (uint32_t)s->from.port * s->to.port;
  for (size_t i = 0; i < sizeof(s->from.address); i++) {
    sum += (uint32_t)(s->from.address[i] + s->to.address[i]) << (i % 4 * 8);
  }
  return (sum ^ sum >> 10 ^ sum >> 20) % CAPTURE_BUCKETS;
}

static void free_early(capture_side *side) {
  while (side->early) {
    struct capture_segment *early = side->early;
    side->early = early->next;
    free(early);
  }
  side->early_len = 0;
}

static void break_off(capture_tcp *tcp, capture_flow *flow, unsigned which,
                      const char *why) {
  flow->sides[which].broken = 1;
  free_early(&flow->sides[which]);
  tcp->hole(tcp->user, flow, which, why);
}

static void free_flow(capture_tcp *tcp, capture_flow *flow) {
  for (unsigned i = 0; i < 2; i++) {
    if (flow->sides[i].early) {
      break_off(tcp, flow, i, missing);
    }
  }
  tcp->ended(tcp->user, flow);
  free(flow);
}

/* Finds the connection of a packet, or makes it; sets whose the packet is. */
static capture_flow *find_flow(capture_tcp *tcp, const segment *s,
                               unsigned *side) {
  capture_flow **link = &tcp->buckets[bucket_of(s)];
  for (; *link; link = &(*link)->next) {
    capture_flow *flow = *link;
    int first =
        same(&flow->sides[0], &s->from) && same(&flow->sides[1], &s->to);
    int second =
        same(&flow->sides[1], &s->from) && same(&flow->sides[0], &s->to);
    if (!first && !second) {
      continue;
    }
    if (flow->over && (s->flags & SYN)) {
      *link = flow->next;
      free_flow(tcp, flow);
      break;
    }
    *side = first ? 0 : 1;
    return flow;
  }
  capture_flow *flow = calloc(1, sizeof(*flow));
  if (!flow) {
    return NULL;
  }
  flow->sides[0] = s->from;
  flow->sides[1] = s->to;
  flow->next = tcp->buckets[bucket_of(s)];
  tcp->buckets[bucket_of(s)] = flow;
  tcp->flows++;
  *side = 0;
  return flow;
}

/* --- Order --- */

static int keep_early(capture_side *side, const segment *s) {
  struct capture_segment **link = &side->early;
  struct capture_segment *early = malloc(sizeof(*early) + s->len);
  if (!early) {
    return 0;
  }
  early->seq = s->seq;
  early->len = s->len;
  memcpy(early->data, s->data, s->len);
  while (*link && (int32_t)((*link)->seq - s->seq) < 0) {
    link = &(*link)->next;
  }
  early->next = *link;
  *link = early;
  side->early_len += s->len;
  return 1;
}

/* Gives what of a segment is new. */
static void deliver(capture_tcp *tcp, capture_flow *flow, unsigned which,
                    uint64_t ns, struct capture_segment *early) {
  capture_side *side = &flow->sides[which];
  uint32_t known = side->next - early->seq;
  if (known >= early->len) {
    return; /* all of it came before */
  }
  size_t len = early->len - known;
  side->next += (uint32_t)len;
  tcp->bytes(tcp->user, flow, which, ns, early->data + known, len);
}

static void deliver_early(capture_tcp *tcp, capture_flow *flow, unsigned which,
                          uint64_t ns) {
  capture_side *side = &flow->sides[which];
  while (side->early && (int32_t)(side->early->seq - side->next) <= 0) {
    struct capture_segment *early = side->early;
    side->early = early->next;
    side->early_len -= early->len;
    deliver(tcp, flow, which, ns, early);
    free(early);
  }
}

static int take_data(capture_tcp *tcp, capture_flow *flow, unsigned which,
                     const segment *s, uint64_t ns) {
  capture_side *side = &flow->sides[which];
  if (s->len == 0 || side->broken) {
    return 1;
  }
  if (s->cut) {
    break_off(tcp, flow, which, "the capture has only the begin of a packet");
    return 1;
  }
  if (!keep_early(side, s)) {
    return 0;
  }
  deliver_early(tcp, flow, which, ns);
  if (side->early_len > EARLY_MAX) {
    break_off(tcp, flow, which, missing);
  }
  return 1;
}

int nws__capture_tcp_add(capture_tcp *tcp, const capture_packet *packet) {
  segment s;
  unsigned which = 0;
  if (!read_packet(&s, packet)) {
    return 1;
  }
  tcp->packets++;
  capture_flow *flow = find_flow(tcp, &s, &which);
  if (!flow) {
    return 0;
  }
  capture_side *side = &flow->sides[which];
  if (s.flags & SYN) {
    s.seq++; /* it counts as a byte, RFC 9293 3.4 */
  }
  if (!side->begun) {
    side->begun = 1;
    side->next = s.seq;
  }
  int done = take_data(tcp, flow, which, &s, packet->ns);
  if (s.flags & (FIN | RST)) {
    side->ended = 1;
  }
  flow->over = (s.flags & RST) != 0 || flow->over ||
               (flow->sides[0].ended && flow->sides[1].ended);
  return done;
}

void nws__capture_tcp_end(capture_tcp *tcp) {
  for (size_t i = 0; i < CAPTURE_BUCKETS; i++) {
    while (tcp->buckets[i]) {
      capture_flow *flow = tcp->buckets[i];
      tcp->buckets[i] = flow->next;
      free_flow(tcp, flow);
    }
  }
}
