/* deflate_prepare.c - messages for many connections: compressed once for each
 * window size, when the first connection that has it sends.
 *
 * Such a message refers to nothing before it, so it fits into every
 * connection's stream. Where there is takeover the peer remembers it and our
 * compressor does not: so that one forgets all it knows.
 */
#include "deflate_internal.h"

#include <string.h>

enum { BITS_MIN = 8, BITS_MAX = 15 };

/* A frame in a block of its own; the block is as long as the frame. */
typedef struct form {
  uint8_t *frame;
  size_t len;
} form;

typedef struct message {
  nws_prepared base;
  nws_deflate_pool *pool;
  nws_allocator allocator;
  nws_prepared *plain;
  form forms[BITS_MAX - BITS_MIN + 1];
} message;

static void *resize(void *user, void *ptr, size_t old_len, size_t new_len) {
  return nws__pool_resize(user, ptr, old_len, new_len);
}

static void free_message(nws_prepared *prepared) {
  message *it = (message *)prepared;
  nws_deflate_pool *pool = it->pool;
  for (size_t i = 0; i < sizeof(it->forms) / sizeof(it->forms[0]); i++) {
    if (it->forms[i].frame != NULL) {
      nws__pool_resize(pool, it->forms[i].frame, it->forms[i].len, 0);
    }
  }
  nws_prepared_drop(it->plain);
  nws__pool_resize(pool, it, sizeof(*it), 0);
  nws__pool_leave(pool);
}

int nws_deflate_prepare(const nws_deflate *deflate, unsigned opcode,
                        const void *payload, size_t len,
                        nws_prepared **prepared) {
  message *it;
  int status;
  if (deflate == NULL || deflate->pool == NULL || prepared == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  it = nws__pool_resize(deflate->pool, NULL, 0, sizeof(*it));
  if (it == NULL) {
    return NWS_ERROR_MEMORY;
  }
  memset(it, 0, sizeof(*it));
  it->pool = deflate->pool;
  it->allocator.resize = resize;
  it->allocator.user = it->pool;
  status = nws_prepared_make(&it->allocator, opcode, payload, len, &it->plain);
  if (status != NWS_OK) {
    nws__pool_resize(it->pool, it, sizeof(*it), 0);
    return status;
  }
  it->base = *it->plain;
  it->base.ext = &deflate->base;
  it->base.free = free_message;
  it->pool->users++;
  *prepared = &it->base;
  return NWS_OK;
}

/* Compresses into `room`, behind the longest header; gives the frame's length
 * and where it begins. */
static int write_frame(const message *it, nws__deflater *deflater,
                       uint8_t *room, size_t room_len, form *out) {
  const nws_prepared *plain = it->plain;
  nws_extension_data data = {0};
  nws_frame frame = {0};
  size_t header_len;
  int status;
  data.in_len = (size_t)plain->payload_len;
  data.in = plain->frame + plain->frame_len - data.in_len;
  data.out = room + NWS_FRAME_HEADER_MAX;
  data.out_cap = room_len - NWS_FRAME_HEADER_MAX;
  data.frame_end = 1;
  data.message_end = 1;
  status = nws__deflater_run(deflater, &data);
  if (status != NWS_OK) {
    return status;
  }
  frame.fin = 1;
  frame.rsv = NWS_RSV1;
  frame.opcode = plain->opcode;
  frame.payload_len = data.out_len;
  header_len = nws_frame_header_len(data.out_len, 0);
  out->frame = room + NWS_FRAME_HEADER_MAX - header_len;
  out->len = header_len + data.out_len;
  nws_frame_build(&frame, out->frame);
  return NWS_OK;
}

/* Compresses, and keeps a copy that is just as long as it must be. */
static int make_form(message *it, nws__deflater *deflater, form *result) {
  nws_deflate_pool *pool = it->pool;
  const size_t bound = deflater->backend->bound((size_t)it->plain->payload_len);
  const size_t room_len = bound <= SIZE_MAX - NWS_FRAME_HEADER_MAX
                              ? NWS_FRAME_HEADER_MAX + bound
                              : SIZE_MAX;
  uint8_t *room = nws__pool_resize(pool, NULL, 0, room_len);
  form made;
  int status = NWS_ERROR_MEMORY;
  if (room == NULL) {
    return NWS_ERROR_MEMORY;
  }
  status = write_frame(it, deflater, room, room_len, &made);
  if (status == NWS_OK) {
    result->frame = nws__pool_resize(pool, NULL, 0, made.len);
    status = result->frame != NULL ? NWS_OK : NWS_ERROR_MEMORY;
  }
  if (status == NWS_OK) {
    memcpy(result->frame, made.frame, made.len);
    result->len = made.len;
  }
  nws__pool_resize(pool, room, room_len, 0);
  return status;
}

int nws__deflate_prepared(void *state, nws_prepared *prepared,
                          const uint8_t **frame, size_t *frame_len) {
  nws__conn_deflate *conn = state;
  message *it = (message *)prepared;
  const unsigned bits = conn->params.send_window_bits;
  form *wanted = &it->forms[bits - BITS_MIN];
  nws__deflater *deflater;
  int status = NWS_OK;
  if (prepared->payload_len < conn->pool->config.min_size) {
    return NWS_EXTENSION_PASS;
  }
  if (wanted->frame == NULL) {
    deflater = nws__deflater_get(conn->pool, bits);
    if (deflater == NULL) {
      return NWS_ERROR_MEMORY;
    }
    status = make_form(it, deflater, wanted);
    nws__shelf_give(conn->pool, &conn->pool->deflaters, &deflater->shared);
  }
  if (status != NWS_OK) {
    return status;
  }
  conn->out_lost = 1;
  *frame = wanted->frame;
  *frame_len = wanted->len;
  return NWS_EXTENSION_TRANSFORM;
}
