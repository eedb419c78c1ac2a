/* serve_broadcast.c - `nws serve --broadcast`: each message goes to all others
 * on the same path, so that each path is a room.
 *
 * Nobody waits for the slowest: whoever has not taken a few megabytes of what
 * the others said is closed with 1008.
 */
#include <stdlib.h>
#include <string.h>
#include "serve.h"

/* Queued bytes that a slow reader may cost; one longer message may wait alone.
 */
#define MAX_QUEUE ((size_t)4 << 20)

typedef struct room {
  struct room *next;
  size_t members;
  size_t len;
  char path[];
} room;

typedef struct broadcast_guest {
  guest base;
  room *room; /* NULL until it may speak and hear */
} broadcast_guest;

static room *rooms;

static room *enter(nws_str path) {
  for (room *r = rooms; r; r = r->next) {
    if (nws_str_equal(nws_str_make(r->path, r->len), path)) {
      r->members++;
      return r;
    }
  }
  room *r = malloc(sizeof(*r) + path.len);
  if (r) {
    *r = (room){.next = rooms, .members = 1, .len = path.len};
    memcpy(r->path, path.ptr, path.len);
    rooms = r;
  }
  return r;
}

static void leave(room *left) {
  if (--left->members > 0) {
    return;
  }
  room **at = &rooms;
  while (*at != left) {
    at = &(*at)->next;
  }
  *at = left->next;
  free(left);
}

static void on_request(guest *base, const nws_server_handshake *request) {
  broadcast_guest *g = (broadcast_guest *)base;
  nws_str path = request->head.target;
  const char *mark = memchr(path.ptr, '?', path.len);
  path.len = mark ? (size_t)(mark - path.ptr) : path.len;
  g->room = enter(path);
  if (!g->room) {
    nws__serve_refuse(base->peer, &request->head, NWS_ERROR_MEMORY, 503);
    return;
  }
  nws__serve_accept(base, &request->head);
}

static void on_message(guest *from, unsigned opcode, uint8_t *data,
                       size_t len) {
  const room *here = ((broadcast_guest *)from)->room;
  for (guest *to = from->server->guests; to; to = to->next) {
    if (to == from || !to->peer || ((broadcast_guest *)to)->room != here) {
      continue;
    }
    int rc = nws_peer_send(to->peer, opcode, data, len);
    if (rc != NWS_OK && rc != NWS_ERROR_STATE) {
      nws__cli_say("%s is closed: %s", to->address,
                   rc == NWS_ERROR_QUEUE ? "it reads too slowly"
                                         : nws_net_text(rc));
      nws_peer_close(to->peer, NWS_CLOSE_POLICY_VIOLATION,
                     nws_str_of("reads too slowly"));
    }
  }
}

static int on_closed(guest *base) {
  broadcast_guest *g = (broadcast_guest *)base;
  if (g->room) {
    leave(g->room);
  }
  return 1;
}

const serve_mode nws__serve_broadcast = {.name = "room",
                                         .option = "broadcast",
                                         .guest_len = sizeof(broadcast_guest),
                                         .max_queue = MAX_QUEUE,
                                         .request = on_request,
                                         .message = on_message,
                                         .closed = on_closed};
