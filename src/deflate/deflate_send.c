/* deflate_send.c - messages sent: which of them are compressed, and how.
 *
 * What was compressed is sent, even when it has become longer: to send it plain
 * after all would leave our window ahead of the peer's.
 */
#include "deflate_internal.h"

int nws__deflate_frame_out(void *state, nws_frame *frame, int may_transform) {
  const nws__conn_deflate *conn = state;
  if ((frame->opcode & 8) != 0) {
    return NWS_EXTENSION_PASS;
  }
  /* RFC 7692 6: a message is compressed as a whole or not at all. */
  if (frame->opcode == NWS_OPCODE_CONTINUATION) {
    if (!conn->out_open) {
      return NWS_EXTENSION_PASS;
    }
    return may_transform ? NWS_EXTENSION_TRANSFORM : NWS_ERROR_NO_ENCODING;
  }
  if (!may_transform ||
      (frame->fin && frame->payload_len < conn->pool->config.min_size)) {
    return NWS_EXTENSION_PASS;
  }
  frame->rsv |= NWS_RSV1;
  return NWS_EXTENSION_TRANSFORM;
}

size_t nws__deflate_bound(void *state, size_t len) {
  const nws__conn_deflate *conn = state;
  return nws__deflater_backend(conn->pool, conn->params.send_window_bits)
      ->bound(len);
}

int nws__deflater_run(nws__deflater *deflater, nws_extension_data *data) {
  int status;
  data->out_len = 0;
  if (data->in_len > 0) {
    status =
        deflater->backend->compress(deflater->state, data->in, data->in_len,
                                    data->out, data->out_cap, &data->out_len);
    if (status != NWS_OK || data->out_len < NWS__TAIL_LEN) {
      return status < 0 ? status : NWS_ERROR_EXTENSION;
    }
    data->in += data->in_len;
    data->in_len = 0;
    data->out_len -= data->message_end ? NWS__TAIL_LEN : 0;
  } else if (data->message_end) {
    data->out[0] = 0; /* RFC 7692 7.2.3.6: an empty stored block's first byte */
    data->out_len = 1;
  }
  return NWS_OK;
}

/* Has a compressor ready. */
static int get_ready(nws__conn_deflate *conn) {
  if (conn->out == NULL) {
    conn->out = nws__deflater_get(conn->pool, conn->params.send_window_bits);
  } else if (conn->out_lost) {
    conn->out->backend->reset(conn->out->state);
  }
  conn->out_lost = 0;
  return conn->out != NULL ? NWS_OK : NWS_ERROR_MEMORY;
}

int nws__deflate_encode(void *state, nws_extension_data *data) {
  nws__conn_deflate *conn = state;
  nws_deflate_pool *pool = conn->pool;
  int status = data->in_len > 0 ? get_ready(conn) : NWS_OK;
  if (status == NWS_OK) {
    status = nws__deflater_run(conn->out, data);
    /* Of what failed the peer sees nothing, so nothing may refer to it. */
    conn->out_lost |= status != NWS_OK;
  }
  if (status != NWS_OK) {
    return status;
  }
  conn->out_open = !data->message_end;
  if (data->message_end && conn->out != NULL && conn->params.send_no_takeover) {
    nws__shelf_give(pool, &pool->deflaters, &conn->out->shared);
    conn->out = NULL;
  }
  return NWS_OK;
}
