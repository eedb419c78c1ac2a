/* cli_bridge.c - a WebSocket on one side, streams of libuv's on the other.
 *
 * What is read is sent before more is read; when the peer's queue is full,
 * reading stops until it drains. What is received is copied for the write; when
 * much waits to be written, the peer is paused until it is not.
 */
#include <stdlib.h>
#include <string.h>
#include "bridge.h"

#define CHUNK ((size_t)1 << 16)
/* Bytes waiting to be written at which the peer is paused, and resumed. */
#define HIGH_WATER ((size_t)1 << 20)
#define LOW_WATER ((size_t)1 << 18)

typedef struct piece {
  uv_write_t request;
  uint8_t data[];
} piece;

/* --- From the stream --- */

static void give_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer) {
  cli_bridge *b = handle->data;
  (void)wanted;
  *buffer = uv_buf_init((char *)b->chunk, (unsigned)CHUNK);
}

static void stop_reading(cli_bridge *b) {
  uv_read_stop(b->from);
  b->reading = 0;
}

static void finish(cli_bridge *b, int error) {
  b->over = 1;
  b->sent(b, error);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer);

/* Sends all there is, and reads on; or waits for a drain. */
static void pump(cli_bridge *b) {
  int rc = nws__cli_split_pump(&b->split, b->peer);
  if (rc == NWS_OK && b->end) {
    rc = nws__cli_split_end(&b->split, b->peer);
    if (rc != NWS_ERROR_QUEUE) {
      finish(b, rc == NWS_OK && b->end < 0 ? b->end : rc);
    }
    return;
  }
  if (rc == NWS_OK && !b->reading) {
    b->reading = 1;
    rc = uv_read_start(b->from, give_room, on_read);
  }
  if (rc == NWS_OK) {
    return;
  }
  stop_reading(b);
  if (rc != NWS_ERROR_QUEUE) {
    finish(b, rc);
  }
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer) {
  cli_bridge *b = stream->data;
  if (len == 0) { /* not now */
    return;
  }
  if (len < 0) {
    stop_reading(b);
    b->end = len == UV_EOF ? 1 : (int)len;
  }
  if (!b->peer && b->end && b->last_read) {
    b->last_read(b);
    return;
  }
  if (!b->peer || b->over) {
    return;
  }
  if (len > 0) {
    nws__cli_split_give(&b->split, (const uint8_t *)buffer->base, (size_t)len);
  }
  pump(b);
}

int nws__cli_bridge_start(cli_bridge *bridge) {
  bridge->chunk = malloc(CHUNK);
  if (!bridge->chunk) {
    return NWS_ERROR_MEMORY;
  }
  bridge->from->data = bridge;
  bridge->to->data = bridge;
  bridge->reading = 1;
  return uv_read_start(bridge->from, give_room, on_read);
}

void nws__cli_bridge_drain(cli_bridge *bridge) {
  if (bridge->peer && !bridge->over && bridge->chunk) {
    pump(bridge);
  }
}

/* --- To the stream --- */

static void on_written(uv_write_t *request, int status) {
  cli_bridge *b = request->handle->data;
  (void)status; /* whoever reads the stream sees it end */
  free(request->data);
  if (b->paused && b->peer &&
      uv_stream_get_write_queue_size(b->to) <= LOW_WATER) {
    b->paused = 0;
    nws_peer_resume(b->peer);
  }
}

static void write_piece(cli_bridge *b, unsigned framing, const uint8_t *data,
                        size_t len) {
  uint8_t before[4];
  const char *behind;
  const size_t before_len = nws__cli_join(framing, len, before, &behind);
  const size_t all = before_len + len + (behind ? 1 : 0);
  piece *p = b->shut ? NULL : malloc(sizeof(*p) + all);
  if (!p || !uv_is_writable(b->to)) {
    free(p);
    return;
  }
  memcpy(p->data, before, before_len);
  memcpy(p->data + before_len, data, len);
  if (behind) {
    p->data[all - 1] = (uint8_t)*behind;
  }
  p->request.data = p;
  uv_buf_t buffer = uv_buf_init((char *)p->data, (unsigned)all);
  if (uv_write(&p->request, b->to, &buffer, 1, on_written) != 0) {
    free(p);
    return;
  }
  if (b->peer && uv_stream_get_write_queue_size(b->to) > HIGH_WATER) {
    b->paused = 1;
    nws_peer_pause(b->peer);
  }
}

void nws__cli_bridge_message(cli_bridge *bridge, const uint8_t *data,
                             size_t len) {
  write_piece(bridge, bridge->split.framing, data, len);
}

void nws__cli_bridge_bytes(cli_bridge *bridge, const uint8_t *data,
                           size_t len) {
  if (len) {
    write_piece(bridge, CLI_FRAMING_RAW, data, len);
  }
}

void nws__cli_bridge_shut(cli_bridge *bridge, uv_shutdown_cb done) {
  if (bridge->shut) {
    return;
  }
  bridge->shut = 1;
  if (uv_shutdown(&bridge->shutdown, bridge->to, done) != 0) {
    bridge->shutdown.handle = bridge->to;
    done(&bridge->shutdown, UV_ENOTCONN);
  }
}

/* Reads on, so that who writes is not stuck before it sees that it is over. */
void nws__cli_bridge_part(cli_bridge *bridge) {
  bridge->peer = NULL;
  if (bridge->chunk && !bridge->reading && !bridge->end &&
      !uv_is_closing((uv_handle_t *)bridge->from)) {
    bridge->reading = 1;
    uv_read_start(bridge->from, give_room, on_read);
  }
}

void nws__cli_bridge_free(cli_bridge *bridge) {
  nws__cli_split_free(&bridge->split);
  free(bridge->chunk);
  bridge->chunk = NULL;
}
