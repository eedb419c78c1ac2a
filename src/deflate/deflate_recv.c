/* deflate_recv.c - messages received: the bit that marks them, inflating, and
 * the limit on what a byte may become.
 */
#include "deflate_internal.h"

enum { FREE_LEN = 64 * 1024 }; /* a message may have this whatever the ratio */

void nws__deflate_end_in(nws__conn_deflate *conn) {
  nws_deflate_pool *pool = conn->pool;
  conn->in_open = 0;
  if (conn->in != NULL && conn->params.receive_no_takeover) {
    nws__shelf_give(pool, &pool->inflaters, nws__inflater_shared(conn->in));
    conn->in = NULL;
  }
}

int nws__deflate_frame_in(void *state, const nws_frame *frame) {
  nws__conn_deflate *conn = state;
  const int is_control = (frame->opcode & 8) != 0;
  const int marked = (frame->rsv & NWS_RSV1) != 0;
  /* RFC 7692 6: the bit stands on the first frame of a message alone, and never
   * on control frames. */
  if (is_control || frame->opcode == NWS_OPCODE_CONTINUATION) {
    if (marked) {
      return NWS_ERROR_RSV;
    }
    return !is_control && conn->in_open ? NWS_EXTENSION_TRANSFORM
                                        : NWS_EXTENSION_PASS;
  }
  nws__deflate_end_in(conn); /* of one that nobody wanted to its end */
  conn->in_open = (uint8_t)marked;
  conn->in_len = 0;
  conn->out_len = 0;
  return marked ? NWS_EXTENSION_TRANSFORM : NWS_EXTENSION_PASS;
}

/* What the message may become, counting the input at hand. */
static uint64_t allowance(const nws__conn_deflate *conn, size_t in_len) {
  const uint64_t ratio = conn->pool->config.max_ratio;
  const uint64_t seen = conn->in_len + in_len;
  const uint64_t most = seen <= UINT64_MAX / ratio ? seen * ratio : UINT64_MAX;
  return most > FREE_LEN ? most : FREE_LEN;
}

/* Inflates, and counts. */
static int inflate_some(nws__conn_deflate *conn, nws_extension_data *data) {
  const size_t before = data->in_len;
  const int status = nws__inflater_run(conn->in, data);
  conn->in_len += before - data->in_len;
  conn->out_len += data->out_len;
  if (conn->out_len > FREE_LEN) {
    const uint64_t most = allowance(conn, data->in_len);
    if (conn->out_len > most) {
      data->out_len -= (size_t)(conn->out_len - most);
      conn->out_len = most;
      return NWS_ERROR_MESSAGE_LIMIT;
    }
  }
  return status;
}

/* What there is before a fault is delivered, and the fault told afterwards. */
static int fail(nws__conn_deflate *conn, int status,
                const nws_extension_data *data) {
  if (data->out_len == 0) {
    return status;
  }
  conn->in_fault = status;
  return NWS_MORE;
}

/* Has an inflater ready for a message. */
static int get_ready(nws__conn_deflate *conn) {
  if (conn->in == NULL) {
    conn->in = nws__inflater_get(conn->pool, conn->params.receive_window_bits);
    return conn->in != NULL ? NWS_OK : NWS_ERROR_MEMORY;
  }
  nws__inflater_begin(conn->in);
  return NWS_OK;
}

int nws__deflate_decode(void *state, nws_extension_data *data) {
  nws__conn_deflate *conn = state;
  int status = NWS_OK;
  if (conn->in_fault != NWS_OK) {
    return conn->in_fault;
  }
  if (conn->in_len == 0 && data->in_len > 0) {
    status = get_ready(conn);
    if (status != NWS_OK) {
      return status;
    }
  }
  /* A message without a byte is empty, and nothing is missing behind it. */
  if (conn->in_len > 0 || data->in_len > 0) {
    status = inflate_some(conn, data);
    if (status == NWS_OK &&
        (data->in_len > 0 || data->out_len == data->out_cap)) {
      return NWS_MORE;
    }
    if (status == NWS_OK && data->message_end) {
      status = nws__inflater_end(conn->in);
    }
  }
  if (status != NWS_OK) {
    return fail(conn, status, data);
  }
  if (data->message_end) {
    nws__deflate_end_in(conn);
  }
  return NWS_OK;
}
