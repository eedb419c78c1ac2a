/* sync.c - calls that wait: the client of net.h on a loop of its own.
 *
 * The one user of the public interface among the files of the net layer: it
 * could stand in anybody's program, and shows that the interface suffices.
 */
#include <nws/sync.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Bytes of messages that wait to be received, beyond which the server has to
 * wait. */
#define WAITING_MAX ((size_t)16 * 1024 * 1024)

typedef struct message {
  struct message *next;
  unsigned opcode;
  size_t len;
  uint8_t data[]; /* and a zero byte */
} message;

struct nws_sync {
  nws_loop *loop;
  nws_peer *peer; /* NULL when it has ended */
  uv_timer_t timer;
  int timed_out;
  int open;
  int starved; /* a message was lost for want of memory */
  message *first;
  message **last;
  size_t waiting;
  message *given; /* to the caller, until the next call */
  char *texts;    /* of `end` */
  nws_sync_end end;
};

/* --- What happens while the loop runs --- */

/* Something that may be waited for has happened, perhaps before the loop looks
 * at its sockets, where it would wait once more. */
static void wake(const nws_sync *ws) {
  uv_stop(nws_loop_uv(ws->loop));
}

static void on_open(nws_peer *peer) {
  nws_sync *ws = nws_peer_user(peer);
  ws->open = 1;
  wake(ws);
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  nws_sync *ws = nws_peer_user(peer);
  wake(ws);
  message *m = malloc(sizeof(*m) + len + 1);
  if (m == NULL) {
    ws->starved = 1;
    nws_peer_abort(peer);
    return;
  }
  m->next = NULL;
  m->opcode = opcode;
  m->len = len;
  if (len > 0) {
    memcpy(m->data, data, len);
  }
  m->data[len] = 0;
  *ws->last = m;
  ws->last = &m->next;
  ws->waiting += sizeof(*m) + len;
  if (ws->waiting > WAITING_MAX) {
    nws_peer_pause(peer);
  }
}

static char *put(char *at, const char *text, size_t len) {
  if (len > 0) {
    memcpy(at, text, len);
  }
  at[len] = '\0';
  return at + len + 1;
}

/* Keeps what is valid only during the callback; without memory no texts. */
static void on_closed(nws_peer *peer, const nws_closed *how) {
  nws_sync *ws = nws_peer_user(peer);
  size_t detail_len = strlen(how->detail);
  wake(ws);
  ws->peer = NULL;
  ws->end.error = ws->starved ? NWS_ERROR_MEMORY : how->error;
  ws->end.code = how->code;
  ws->end.status = how->response == NULL ? 0 : how->response->status;
  ws->end.detail = "";
  ws->texts = malloc(how->reason.len + how->body.len + detail_len + 3);
  if (ws->texts == NULL) {
    return;
  }
  char *at = ws->texts;
  ws->end.reason = nws_str_make(at, how->reason.len);
  at = put(at, how->reason.ptr, how->reason.len);
  ws->end.body = nws_str_make(at, how->body.len);
  at = put(at, how->body.ptr, how->body.len);
  ws->end.detail = at;
  put(at, how->detail, detail_len);
}

static void on_timeout(uv_timer_t *timer) {
  nws_sync *ws = timer->data;
  ws->timed_out = 1;
  wake(ws);
}

/* --- Waiting --- */

typedef int condition(const nws_sync *ws);

static int is_decided(const nws_sync *ws) {
  return ws->open || ws->peer == NULL;
}

static int has_sent(const nws_sync *ws) {
  return ws->peer == NULL || nws_peer_queued(ws->peer) == 0;
}

static int has_message(const nws_sync *ws) {
  return ws->peer == NULL || ws->first != NULL;
}

static int has_ended(const nws_sync *ws) {
  return ws->peer == NULL;
}

/* Runs the loop until something holds; at least one turn, which does what can
 * be done without waiting. Returns 1, or 0 when it took too long. */
static int wait_for(nws_sync *ws, condition *holds, uint32_t timeout_ms) {
  uv_loop_t *uv = nws_loop_uv(ws->loop);
  ws->timed_out = 0;
  uv_run(uv, UV_RUN_NOWAIT);
  if (timeout_ms != UINT32_MAX) {
    uv_update_time(uv);
    uv_timer_start(&ws->timer, on_timeout, timeout_ms, 0);
  }
  while (!holds(ws) && !ws->timed_out) {
    uv_run(uv, UV_RUN_ONCE);
  }
  uv_timer_stop(&ws->timer);
  return holds(ws);
}

/* What the last call has given is not valid any more. The time between calls is
 * like a pause: it says nothing about the server. */
static void begin(nws_sync *ws) {
  free(ws->given);
  ws->given = NULL;
  uv_update_time(nws_loop_uv(ws->loop));
}

/* --- Life --- */

static int make(nws_sync **out) {
  nws_sync *ws = calloc(1, sizeof(*ws));
  if (ws == NULL) {
    return NWS_ERROR_MEMORY;
  }
  ws->last = &ws->first;
  ws->end.code = NWS_CLOSE_ABNORMAL;
  ws->end.detail = "";
  int rc = nws_loop_new(NULL, &ws->loop);
  if (rc != NWS_OK) {
    free(ws);
    return rc;
  }
  uv_timer_init(nws_loop_uv(ws->loop), &ws->timer);
  ws->timer.data = ws;
  *out = ws;
  return NWS_OK;
}

int nws_sync_connect(const nws_client_options *given, nws_sync **out) {
  static const nws_handler handler = {.size = sizeof(handler),
                                      .open = on_open,
                                      .message = on_message,
                                      .closed = on_closed};
  nws_client_options options;
  if (out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  *out = NULL;
  if (given == NULL || given->size > sizeof(options) ||
      given->size < sizeof(given->size)) {
    return NWS_ERROR_ARGUMENT;
  }
  memset(&options, 0, sizeof(options));
  memcpy(&options, given, given->size);
  options.size = sizeof(options);
  int rc = make(out);
  if (rc != NWS_OK) {
    return rc;
  }
  nws_sync *ws = *out;
  options.handler = &handler;
  options.user = ws;
  rc = nws_client_connect(ws->loop, &options, &ws->peer);
  if (rc != NWS_OK) {
    ws->end.error = rc;
    return rc;
  }
  wait_for(ws, is_decided, UINT32_MAX);
  return ws->open ? NWS_OK : ws->end.error;
}

static void free_all(message *m) {
  while (m != NULL) {
    message *next = m->next;
    free(m);
    m = next;
  }
}

void nws_sync_free(nws_sync *ws) {
  if (ws == NULL) {
    return;
  }
  if (ws->peer != NULL) {
    nws_peer_abort(ws->peer);
  }
  uv_close((uv_handle_t *)&ws->timer, NULL);
  nws_loop_run(ws->loop);
  nws_loop_free(ws->loop);
  free_all(ws->first);
  free(ws->given);
  free(ws->texts);
  free(ws);
}

/* --- Calls --- */

int nws_sync_send(nws_sync *ws, unsigned what, const void *data, size_t len,
                  uint32_t timeout_ms) {
  if (ws == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  begin(ws);
  if (ws->peer == NULL) {
    return NWS_ERROR_STATE;
  }
  int rc = nws_peer_send(ws->peer, what, data, len);
  if (rc != NWS_OK) {
    return rc;
  }
  if (!wait_for(ws, has_sent, timeout_ms)) {
    return UV_ETIMEDOUT;
  }
  /* It may have been lost with the connection. */
  return ws->peer == NULL && ws->end.error != NWS_OK ? NWS_ERROR_STATE : NWS_OK;
}

int nws_sync_receive(nws_sync *ws, nws_sync_message *out, uint32_t timeout_ms) {
  if (ws == NULL || out == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  begin(ws);
  if (ws->first == NULL && !wait_for(ws, has_message, timeout_ms)) {
    return UV_ETIMEDOUT;
  }
  message *m = ws->first;
  if (m == NULL) {
    return NWS_ERROR_STATE;
  }
  ws->first = m->next;
  if (ws->first == NULL) {
    ws->last = &ws->first;
  }
  ws->waiting -= sizeof(*m) + m->len;
  if (ws->peer != NULL && ws->waiting <= WAITING_MAX) {
    nws_peer_resume(ws->peer);
  }
  ws->given = m;
  out->opcode = m->opcode;
  out->data = m->data;
  out->len = m->len;
  return NWS_OK;
}

int nws_sync_close(nws_sync *ws, unsigned code, nws_str reason,
                   uint32_t timeout_ms) {
  if (ws == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  begin(ws);
  if (ws->peer == NULL) {
    return NWS_ERROR_STATE;
  }
  int rc = nws_peer_close(ws->peer, code, reason);
  if (rc != NWS_OK && rc != NWS_ERROR_STATE) {
    return rc; /* otherwise the server was the first to close */
  }
  if (!wait_for(ws, has_ended, timeout_ms)) {
    nws_peer_abort(ws->peer);
    wait_for(ws, has_ended, UINT32_MAX);
    return UV_ETIMEDOUT;
  }
  return ws->end.error;
}

int nws_sync_ended(const nws_sync *ws, nws_sync_end *end) {
  if (ws == NULL || end == NULL || ws->peer != NULL) {
    return 0;
  }
  *end = ws->end;
  return 1;
}

nws_peer *nws_sync_peer(nws_sync *ws) {
  return ws == NULL ? NULL : ws->peer;
}
