/* server_shake.c - a request comes in, the application decides, a response goes
 * out.
 *
 * The handshake object (3.5 KiB) lives from the first byte of the request to
 * the answer. It points into the head, which is therefore copied out of the
 * receive buffer: the application may decide later, and nothing it has looked
 * at may move.
 */
#include "net_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const nws_server_policy *policy_of(const nws_peer *peer) {
  return peer->server->options.policy;
}

static size_t max_head(const nws_peer *peer) {
  const nws_server_policy *policy = policy_of(peer);
  if (policy == NULL || policy->max_head == 0) {
    return NWS_HTTP_MAX_HEAD_DEFAULT;
  }
  return policy->max_head;
}

/* --- Answering --- */

/* RFC 9110 9.3.2: a response to HEAD has no body. */
static int is_head(const nws_peer *peer) {
  const nws__opening *opening = peer->opening;
  return opening != NULL && opening->request != NULL &&
         nws_str_equal(opening->request->head.method, nws_str_of("HEAD"));
}

/* Queues a response; room for it is made by asking how long it is. */
static int say(nws_peer *peer, nws_rejection *why) {
  size_t len = 0;
  why->head = is_head(peer);
  int rc = nws_server_handshake_reject(why, NULL, 0, &len);
  if (rc != NWS_ERROR_BUFFER) {
    return rc;
  }
  size_t cap = len;
  uint8_t *out = nws__queue_reserve(peer->loop, &peer->queue, cap);
  if (out == NULL) {
    return NWS_ERROR_MEMORY;
  }
  rc = nws_server_handshake_reject(why, (char *)out, cap, &len);
  if (rc == NWS_OK) {
    nws__queue_commit(peer, len);
  } else {
    nws__queue_drop(peer);
  }
  return rc;
}

/* Refuses in the application's stead. The body says what was wrong and where
 * that is written, for the person at the other end.
 * `status` 0 takes it from the error. */
void nws__server_refuse(nws_peer *peer, int error, unsigned status) {
  char body[256];
  if (peer->state == NWS__PROXIED || peer->state == NWS__SECURING) {
    /* There is no way to say so. */
    nws__peer_die(peer, error);
    return;
  }
  const nws_error_info *info = nws_error_get(error);
  int rule = info->rule[0] != '\0';
  const char *text = info->text;
  if (error > NWS_ERROR_ARGUMENT) {
    text = "the server cannot take this connection now";
  }
  snprintf(body, sizeof(body), "%s%s%s%s\n", text, rule ? " (" : "", info->rule,
           rule ? ")" : "");
  if (status == 0) {
    status = info->http_status != 0 ? info->http_status : 500;
  }
  nws_rejection why = {.size = sizeof(why), .status = status, .error = error};
  why.body = nws_str_make(body, strlen(body));
  int rc = say(peer, &why);
  if (rc == NWS_OK) {
    nws__peer_end(peer, error);
  } else {
    nws__peer_die(peer, error);
  }
}

/* The server is stopping, or the application wants no answer from itself. */
void nws__server_give_up(nws_peer *peer) {
  nws__server_refuse(peer, UV_ECANCELED, 503);
}

int nws_peer_respond(nws_peer *peer, const nws_rejection *answer) {
  nws_rejection why;
  if (peer == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (peer->state != NWS__DECIDING) {
    return NWS_ERROR_STATE;
  }
  int rc = nws__setup_options(&why, sizeof(why), answer);
  if (rc != NWS_OK) {
    return rc;
  }
  int error = peer->opening->error;
  if (why.status == 0 && why.error == 0) {
    why.error = error;
  }
  rc = say(peer, &why);
  if (rc == NWS_OK) {
    nws__peer_end(peer, error != 0 ? error : NWS_ERROR_STATUS);
  }
  return rc;
}

/* A response that the first guess has no room for says how much it needs. */
static int write_101(nws_peer *peer, const nws_acceptance *how) {
  size_t cap = 512;
  int rc;
  do {
    size_t len = 0;
    uint8_t *out = nws__queue_reserve(peer->loop, &peer->queue, cap);
    if (out == NULL) {
      return NWS_ERROR_MEMORY;
    }
    rc = nws_server_handshake_accept(peer->opening->request, how, (char *)out,
                                     cap, &len);
    if (rc == NWS_OK) {
      nws__queue_commit(peer, len);
    } else {
      nws__queue_drop(peer);
    }
    if (rc == NWS_ERROR_BUFFER && len <= cap) {
      return rc;
    }
    cap = len;
  } while (rc == NWS_ERROR_BUFFER);
  return rc;
}

int nws_peer_accept(nws_peer *peer, const nws_acceptance *how) {
  if (peer == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (peer->state != NWS__DECIDING || peer->opening->error != 0) {
    return NWS_ERROR_STATE;
  }
  int rc = write_101(peer, how);
  if (rc != NWS_OK) {
    return rc;
  }
  nws_server_handshake *hs = peer->opening->request;
  size_t count = hs->extension_count;
  hs->extension_count = 0;
  rc = nws__peer_start(peer, hs->extensions, count, hs->subprotocol);
  if (rc != NWS_OK) {
    nws__peer_die(peer, rc);
    return rc;
  }
  nws__loop_todo(peer);
  return NWS_OK;
}

/* --- Reading --- */

/* What came behind the head outlives the receive buffer only if the application
 * has not decided yet. */
static int keep_rest(nws__opening *opening) {
  if (opening->rest_len == 0) {
    return NWS_OK;
  }
  uint8_t *copy = malloc(opening->rest_len);
  if (copy == NULL) {
    return NWS_ERROR_MEMORY;
  }
  memcpy(copy, opening->rest, opening->rest_len);
  opening->rest = copy;
  opening->rest_owned = 1;
  return NWS_OK;
}

static void ask(nws_peer *peer, int error) {
  const nws_handler *handler = &peer->setup->handler;
  const nws_server_handshake *request = peer->opening->request;
  nws__peer_enter(peer, NWS__DECIDING);
  peer->flags |= NWS__SHOWN;
  peer->opening->error = error;
  if (error == NWS_OK && handler->request != NULL) {
    peer->flags |= NWS__TOLD;
    handler->request(peer, request);
  } else if (error == NWS_OK) {
    int rc = nws_peer_accept(peer, NULL);
    if (rc != NWS_OK && peer->state == NWS__DECIDING) {
      nws__server_refuse(peer, rc, 0);
    }
  } else if (handler->http != NULL) {
    peer->flags |= NWS__TOLD;
    handler->http(peer, request, error);
  } else {
    nws__server_refuse(peer, error, 0);
  }
}

/* The head is complete. `rest` is in the loop's receive buffer. */
static void decide(nws_peer *peer, int error, uint8_t *rest, size_t len) {
  nws__opening *opening = peer->opening;
  opening->rest = rest;
  opening->rest_len = len;
  ask(peer, error);
  if (peer->state == NWS__DECIDING) {
    int rc = keep_rest(opening);
    if (rc != NWS_OK) {
      nws__peer_die(peer, rc);
    }
    return;
  }
  nws__peer_opened(peer);
  if (peer->opening != NULL) { /* dead: the receive buffer is not ours */
    opening->rest_len = 0;
  }
}

static int add(nws_peer *peer, const uint8_t *data, size_t len) {
  nws__opening *opening = nws__peer_opening(peer);
  if (opening == NULL) {
    return NWS_ERROR_MEMORY;
  }
  if (opening->request == NULL) {
    opening->request = calloc(1, sizeof(*opening->request));
  }
  if (opening->request == NULL) {
    return NWS_ERROR_MEMORY;
  }
  return nws__peer_head_add(opening, data, len, max_head(peer));
}

/* Errors in HTTP itself leave nothing that could be shown to the application;
 * those that follow in the enum are about a head that is complete. */
static int is_http(int error) {
  return error <= NWS_ERROR_METHOD && error > NWS_ERROR_URI_SCHEME;
}

void nws__server_read(nws_peer *peer, uint8_t *data, size_t len) {
  size_t before = peer->opening == NULL ? 0 : peer->opening->head_len;
  int rc = add(peer, data, len);
  if (rc != NWS_OK) {
    nws__peer_die(peer, rc);
    return;
  }
  nws__opening *opening = peer->opening;
  nws_server_handshake *hs = opening->request;
  rc = nws_server_handshake_read(hs, policy_of(peer), opening->head,
                                 opening->head_len);
  if (rc == NWS_MORE && opening->head_len >= max_head(peer)) {
    rc = NWS_ERROR_HTTP_HEAD_LIMIT;
  }
  if (rc == NWS_MORE) {
    return;
  }
  if (rc == NWS_OK || is_http(rc)) {
    rc = nws__route_choose(peer, rc);
  }
  if (rc == NWS_OK || is_http(rc)) {
    size_t used = hs->head.len - before;
    decide(peer, rc, data + used, len - used);
  } else {
    nws__server_refuse(peer, rc, 0);
  }
}
