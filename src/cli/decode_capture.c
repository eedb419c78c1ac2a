/* decode_capture.c - `nws decode` of a network capture: finds the opening
 * handshakes in it, and prints the frames of both sides in the order in which
 * they went by.
 *
 * What is agreed on in the handshake is taken from it; so compressed messages
 * are inflated without being asked for. Connections whose handshake is not in
 * the capture, or that speak something else, are counted and left out.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "capture.h"
#include "cli.h"

/* More than heads have; what is longer is something else. */
#define HEAD_MAX ((size_t)64 * 1024)
#define HEADERS_MAX 128
#define PREFIX_MAX 64

enum { CLIENT = 0, SERVER = 1 };

typedef enum stage {
  STAGE_HEADS,  /* of the handshake */
  STAGE_FRAMES, /* it is a WebSocket */
  STAGE_OTHER   /* it is not, or cannot be read on */
} stage;

/* One direction: its head, and then its frames. */
typedef struct half {
  char *head;
  size_t head_len;
  size_t frames_at; /* where the head has ended; 0 while it has not */
  cli_frames frames;
  cli_deflate deflate;
  char prefix[PREFIX_MAX];
  int told; /* how it ended */
} half;

typedef struct conversation {
  stage stage;
  unsigned number;
  unsigned client; /* which of the flow's sides */
  int code;        /* exit code of the first side that has ended badly */
  half sides[2];   /* the client's and the server's */
} conversation;

struct cli_captured {
  capture_file file;
  capture_tcp tcp;
  const cli_frames *like;
  uint64_t first_ns; /* times are told from the first packet on */
  int timed;
  int starved; /* out of memory */
  unsigned count;
  int code;
};

/* --- Lines --- */

static void put_time(const cli_captured *c, uint64_t ns, char *out, size_t cap,
                     const char *format, unsigned number) {
  uint64_t us = ns >= c->first_ns ? (ns - c->first_ns) / 1000 : 0;
  int n = snprintf(out, cap, "%4" PRIu64 ".%06" PRIu64 " ", us / 1000000,
                   us % 1000000);
  snprintf(out + n, cap - (size_t)n, format, number);
}

static void put_address(FILE *out, const capture_side *s) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  char host[64];
  if (memcmp(s->address, mapped, sizeof(mapped)) == 0) {
    uv_inet_ntop(AF_INET, s->address + 12, host, sizeof(host));
    fprintf(out, "%s:%u", host, (unsigned)s->port);
  } else {
    uv_inet_ntop(AF_INET6, s->address, host, sizeof(host));
    fprintf(out, "[%s]:%u", host, (unsigned)s->port);
  }
}

/* --- The handshake --- */

static int names(const nws_http_head *head, const char *header,
                 const char *wanted) {
  nws_str name = nws_str_of(header);
  size_t at = 0;
  while ((at = nws_header_find(head->headers, head->count, name, at)) <
         head->count) {
    nws_str rest = head->headers[at++].value;
    nws_str element;
    while (nws_list_next(&rest, &element)) {
      size_t len = strlen(wanted);
      if (element.len >= len &&
          nws_str_equal_nocase(nws_str_make(element.ptr, len),
                               nws_str_of(wanted))) {
        return 1;
      }
    }
  }
  return 0;
}

/* Reads a head. Returns NWS_OK, NWS_MORE, or an error for what is no head. */
static int read_head(half *s, int request, nws_http_head *head,
                     nws_header *headers) {
  memset(head, 0, sizeof(*head));
  head->headers = headers;
  head->max_headers = HEADERS_MAX;
  head->max_head = HEAD_MAX;
  int rc = request ? nws_http_parse_request(head, s->head, s->head_len)
                   : nws_http_parse_response(head, s->head, s->head_len);
  if (rc == NWS_OK) {
    s->frames_at = head->len;
  }
  return rc;
}

static int start_frames(cli_captured *c, conversation *v, unsigned which,
                        int compressed) {
  half *s = &v->sides[which];
  s->frames.max_shown = c->like->max_shown;
  s->frames.config = c->like->config;
  s->frames.out = c->like->out;
  s->frames.prefix = s->prefix;
  /* Whoever allows the bit wants to see messages as they are. */
  s->deflate.on = compressed && !(s->frames.config.rsv_in & NWS_RSV1);
  return nws__cli_deflate_use(&s->deflate, &s->frames.inflate) == NWS_OK &&
         nws__cli_frames_init(&s->frames, which == CLIENT
                                              ? NWS_ROLE_CLIENT
                                              : NWS_ROLE_SERVER) == NWS_OK;
}

static void put_opening(cli_captured *c, const capture_flow *flow,
                        const conversation *v, uint64_t ns,
                        const nws_http_head *request,
                        const nws_http_head *response) {
  FILE *out = c->like->out;
  char time[PREFIX_MAX];
  nws_str name = nws_str_of("Sec-WebSocket-Extensions");
  put_time(c, ns, time, sizeof(time), "#%u ", v->number);
  fputs(time, out);
  put_address(out, &flow->sides[v->client]);
  fputs(" to ", out);
  put_address(out, &flow->sides[1 - v->client]);
  fputc(' ', out);
  nws__cli_put_text(out, request->target.ptr, request->target.len,
                    CLI_TEXT_PLAIN);
  size_t at = nws_header_find(response->headers, response->count, name, 0);
  if (at < response->count) {
    nws_str value = response->headers[at].value;
    fputs(", ", out);
    nws__cli_put_text(out, value.ptr, value.len, CLI_TEXT_PLAIN);
  }
  fputc('\n', out);
}

static void take_frames(cli_captured *c, conversation *v, unsigned which,
                        uint64_t ns, uint8_t *data, size_t len);

/* What came behind the heads. */
static void catch_up(cli_captured *c, conversation *v, uint64_t ns) {
  for (unsigned i = 0; i < 2; i++) {
    half *s = &v->sides[i];
    take_frames(c, v, i, ns, (uint8_t *)s->head + s->frames_at,
                s->head_len - s->frames_at);
    free(s->head);
    s->head = NULL;
  }
}

/* Looks whether both heads are there, and make a WebSocket. */
static void look_at_heads(cli_captured *c, const capture_flow *flow,
                          conversation *v, uint64_t ns) {
  static nws_header asked[HEADERS_MAX];
  static nws_header answered[HEADERS_MAX];
  nws_http_head request;
  nws_http_head response;
  int first = read_head(&v->sides[CLIENT], 1, &request, asked);
  int second = read_head(&v->sides[SERVER], 0, &response, answered);
  if (first == NWS_MORE || (first == NWS_OK && second == NWS_MORE)) {
    return;
  }
  v->stage = STAGE_OTHER;
  if (first != NWS_OK || second != NWS_OK || response.status != 101 ||
      !names(&request, "Upgrade", "websocket")) {
    return;
  }
  int compressed =
      names(&response, "Sec-WebSocket-Extensions", "permessage-deflate");
  v->number = ++c->count;
  put_opening(c, flow, v, ns, &request, &response);
  v->stage = STAGE_FRAMES;
  if (!start_frames(c, v, CLIENT, compressed) ||
      !start_frames(c, v, SERVER, compressed)) {
    c->starved = 1;
    return;
  }
  catch_up(c, v, ns);
}

static void take_head(cli_captured *c, const capture_flow *flow,
                      conversation *v, unsigned which, uint64_t ns,
                      const uint8_t *data, size_t len) {
  half *s = &v->sides[which];
  if (len > HEAD_MAX - s->head_len) {
    v->stage = STAGE_OTHER;
    return;
  }
  char *head = realloc(s->head, s->head_len + len);
  if (!head) {
    c->starved = 1;
    return;
  }
  memcpy(head + s->head_len, data, len);
  s->head = head;
  s->head_len += len;
  look_at_heads(c, flow, v, ns);
}

/* --- Frames --- */

static void tell_end(cli_captured *c, conversation *v, unsigned which) {
  half *s = &v->sides[which];
  if (s->told) {
    return;
  }
  s->told = 1;
  int code = nws__cli_frames_end(&s->frames);
  if (code != CLI_EXIT_OK) {
    c->code = code;
  }
}

static void take_frames(cli_captured *c, conversation *v, unsigned which,
                        uint64_t ns, uint8_t *data, size_t len) {
  half *s = &v->sides[which];
  put_time(c, ns, s->prefix, sizeof(s->prefix),
           which == CLIENT ? "#%u > " : "#%u < ", v->number);
  if (!s->told && nws__cli_frames_add(&s->frames, data, len) != NWS_OK) {
    tell_end(c, v, which);
  }
}

/* --- What TCP tells --- */

/* The side that asks is the client's: whoever has sent first. */
static conversation *begin(cli_captured *c, capture_flow *flow, unsigned side,
                           const uint8_t *data) {
  conversation *v = calloc(1, sizeof(*v));
  if (!v) {
    c->starved = 1;
    return NULL;
  }
  v->client = side;
  v->stage = data[0] == 'G' ? STAGE_HEADS : STAGE_OTHER;
  flow->user = v;
  return v;
}

static void on_bytes(void *user, capture_flow *flow, unsigned side, uint64_t ns,
                     uint8_t *data, size_t len) {
  cli_captured *c = user;
  conversation *v = flow->user;
  if (!v) {
    v = begin(c, flow, side, data);
  }
  if (!v) {
    return;
  }
  unsigned which = side == v->client ? CLIENT : SERVER;
  if (v->stage == STAGE_HEADS) {
    take_head(c, flow, v, which, ns, data, len);
  } else if (v->stage == STAGE_FRAMES) {
    take_frames(c, v, which, ns, data, len);
  }
}

static void on_hole(void *user, capture_flow *flow, unsigned side,
                    const char *why) {
  cli_captured *c = user;
  conversation *v = flow->user;
  if (!v || v->stage != STAGE_FRAMES) {
    return;
  }
  unsigned which = side == v->client ? CLIENT : SERVER;
  half *s = &v->sides[which];
  if (!s->told) {
    fprintf(c->like->out, "%s%8" PRIu64 "  cannot go on: %s\n", s->prefix,
            s->frames.offset, why);
    s->told = 1;
    c->code = CLI_EXIT_LOST;
  }
}

static void on_ended(void *user, capture_flow *flow) {
  cli_captured *c = user;
  conversation *v = flow->user;
  if (!v) {
    return;
  }
  for (unsigned i = 0; i < 2; i++) {
    half *s = &v->sides[i];
    if (v->stage == STAGE_FRAMES) {
      tell_end(c, v, i);
    }
    nws__cli_frames_free(&s->frames);
    nws_extension_release(&s->frames.inflate, 1);
    nws__cli_deflate_free(&s->deflate);
    free(s->head);
  }
  free(v);
  flow->user = NULL;
}

static void on_packet(void *user, const capture_packet *packet) {
  cli_captured *c = user;
  if (!c->timed) {
    c->timed = 1;
    c->first_ns = packet->ns;
  }
  if (!nws__capture_tcp_add(&c->tcp, packet)) {
    c->starved = 1;
  }
}

/* --- For cmd_decode.c --- */

int nws__cli_is_capture(const uint8_t *start, size_t len) {
  return nws__capture_is(start, len);
}

cli_captured *nws__cli_capture_start(const cli_frames *like) {
  cli_captured *c = calloc(1, sizeof(*c));
  if (!c) {
    return NULL;
  }
  c->like = like;
  c->file.packet = on_packet;
  c->file.user = c;
  c->tcp.bytes = on_bytes;
  c->tcp.hole = on_hole;
  c->tcp.ended = on_ended;
  c->tcp.user = c;
  return c;
}

int nws__cli_capture_add(cli_captured *c, const uint8_t *data, size_t len) {
  return nws__capture_add(&c->file, data, len) && !c->starved;
}

/* Says how much there was that is not shown. */
static void put_rest(const cli_captured *c) {
  uint64_t others = c->tcp.flows - c->count;
  if (c->count > 0 && others == 0) {
    return;
  }
  fflush(stdout);
  nws__cli_say("%u WebSocket connection%s; %" PRIu64
               " other TCP connection%s left out%s",
               c->count, c->count == 1 ? "" : "s", others,
               others == 1 ? "" : "s",
               others == 0 ? ""
                           : " (encrypted, not WebSocket, or the handshake is "
                             "not in the capture)");
}

int nws__cli_capture_end(cli_captured *c, const char *name) {
  int code = c->code;
  int whole = nws__capture_end(&c->file);
  nws__capture_tcp_end(&c->tcp);
  code = c->code != CLI_EXIT_OK ? c->code : code;
  if (c->starved) {
    nws__cli_say("out of memory");
    code = CLI_EXIT_USAGE;
  } else if (!whole) {
    nws__cli_say("%s: at byte %" PRIu64 ": %s", name, c->file.offset,
                 c->file.fault);
    code = CLI_EXIT_USAGE;
  } else {
    put_rest(c);
  }
  nws__capture_free(&c->file);
  free(c);
  return code;
}
