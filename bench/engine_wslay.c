/* engine_wslay.c - libwslay's events over the same stream. It reads from a
 * callback, into buffers of its own, and gives whole messages.
 */
#include "bench.h"
#include "engine_sides.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

typedef struct link {
  receiver *side;
  wslay_event_context_ptr context;
  const uint8_t *next;
  size_t left;
} link;

static ssize_t give(wslay_event_context_ptr context, uint8_t *to, size_t len,
                    int flags, void *user) {
  link *made = user;
  (void)flags;
  if (made->left == 0) {
    wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
    return -1;
  }
  len = len < made->left ? len : made->left;
  memcpy(to, made->next, len);
  made->next += len;
  made->left -= len;
  return (ssize_t)len;
}

static void count(wslay_event_context_ptr context,
                  const struct wslay_event_on_msg_recv_arg *message,
                  void *user) {
  link *made = user;
  (void)context;
  made->side->found.messages++;
  made->side->found.bytes += message->msg_length;
}

void wslay_open(receiver *side) {
  struct wslay_event_callbacks calls;
  link *made = bench_alloc(sizeof(*made));
  memset(&calls, 0, sizeof(calls));
  calls.recv_callback = give;
  calls.on_msg_recv_callback = count;
  memset(made, 0, sizeof(*made));
  made->side = side;
  if (wslay_event_context_server_init(&made->context, &calls, made) != 0) {
    bench_fail("wslay_event_context_server_init()");
  }
  side->state = made;
}

void wslay_receive(void *user) {
  receiver *side = user;
  const stream *from = side->from;
  link *made = side->state;
  side->found = (tally){0, 0};
  for (size_t at = 0; at < from->len; at += CHUNK_LEN) {
    made->next = from->wire + at;
    made->left = from->len - at < CHUNK_LEN ? from->len - at : CHUNK_LEN;
    if (wslay_event_recv(made->context) != 0) {
      bench_fail("wslay_event_recv()");
    }
  }
}

void wslay_close(receiver *side) {
  link *made = side->state;
  wslay_event_context_free(made->context);
  free(made);
}

const char *wslay_version(void) {
  return WSLAY_VERSION;
}
