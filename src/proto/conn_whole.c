/* conn_whole.c - the short way, for what nearly all traffic is: messages in one
 * frame, without extensions, while nothing else is under way.
 *
 * For a message of a few bytes the work is a few nanoseconds, and all that may
 * happen in a connection costs more to ask about step by step. So the calls
 * that receive and send begin here: one look says whether this is the plain
 * case, which is then done at once. Everything else, and everything that might
 * be wrong, goes the long way of conn_recv.c and conn_send.c, with the bytes as
 * they came. The short way knows only what is certainly good: it must be right
 * about that, and cannot disagree about anything else.
 *
 * It remembers nothing either. What the connection knows of a frame and of a
 * message is set up anew when the next one begins.
 */
#include <nws/mask.h>

#include "../codec/mask_internal.h"
#include "../codec/text_internal.h"
#include "conn_internal.h"

#include <string.h>

enum {
  /* Longer messages do not notice what the long way takes; and text of this
   * length is validated while it is in the cache. */
  WHOLE_MAX = NWS__TEXT_BLOCK,
  LENGTH_7_MAX = 125,
  LENGTH_16 = 126,
  KEY_LEN = 4,
  FIRST_OF_TEXT = NWS__FIN | NWS_OPCODE_TEXT,
  FIRST_OF_BINARY = NWS__FIN | NWS_OPCODE_BINARY,
  HEADER_SHOWN = 4,                /* what tells the length */
  HEADER_16_MAX = 2 + 2 + KEY_LEN, /* what it takes at most */
};

_Static_assert(WHOLE_MAX <= UINT16_MAX, "its length takes two bytes");
_Static_assert(WHOLE_MAX <= NWS__MAX_MESSAGE_DEFAULT, "is within the defaults");

/* Says whether this is the first byte of a whole message of text or bytes, with
 * no reserved bit. */
static inline int is_plain(unsigned first) {
  return first == FIRST_OF_TEXT || first == FIRST_OF_BINARY;
}

/* --- Receiving --- */

/* A frame that stands whole at the beginning of the input. */
typedef struct whole {
  uint32_t header_len;
  uint32_t len;
} whole;

uint16_t nws__conn_whole_max(const nws_conn_config *config) {
  uint64_t max = WHOLE_MAX;
  if (config->max_message != 0 && config->max_message < max) {
    max = config->max_message;
  }
  if (config->max_frame != 0 && config->max_frame < max) {
    max = config->max_frame;
  }
  return (uint16_t)max;
}

/* Says whether a message may be taken that seems to begin here. */
NWS__INLINE int awaits_message(const nws_conn *conn, nws_role role,
                               const nws_input *in, const nws_event *event) {
  return conn != NULL && conn->phase == NWS__PHASE_MESSAGE &&
         conn->role == role && in != NULL && in->len >= HEADER_SHOWN &&
         in->data != NULL && event != NULL && is_plain(in->data[0]);
}

/* Finds out whether all of the frame is there and follows all the rules of
 * RFC 6455 5.2. `masked` is the bit as it has to be (RFC 6455 5.1). */
NWS__INLINE int find_whole(const nws_conn *conn, const nws_input *in,
                           unsigned masked, whole *found) {
  const uint8_t *bytes = in->data;
  uint32_t header_len = masked != 0 ? 2 + KEY_LEN : 2;
  uint32_t len = bytes[1] ^ masked; /* beyond any length if it is not */
  if (len == LENGTH_16) {
    len = (uint32_t)bytes[2] << 8 | bytes[3];
    header_len += 2;
    if (len <= LENGTH_7_MAX) {
      return 0;
    }
  } else if (len > LENGTH_7_MAX) {
    return 0;
  }
  found->header_len = header_len;
  found->len = len;
  return len <= conn->whole_max && in->len >= header_len + len;
}

/* Gives the message, unmasked and good. `frame` is where it begins: what is
 * known already is not read again, as the payload might have been anywhere. */
NWS__INLINE int give(nws_conn *conn, nws_input *in, uint8_t *frame,
                     unsigned first, whole found, nws_event *event) {
  /* What all events of a kind have in common stands in one word. */
  static const nws_event text = {.type = NWS_EVENT_DATA,
                                 .opcode = NWS_OPCODE_TEXT,
                                 .frame_opcode = NWS_OPCODE_TEXT,
                                 .flags = NWS_MESSAGE_WHOLE};
  static const nws_event binary = {.type = NWS_EVENT_DATA,
                                   .opcode = NWS_OPCODE_BINARY,
                                   .frame_opcode = NWS_OPCODE_BINARY,
                                   .flags = NWS_MESSAGE_WHOLE};
  const size_t frame_len = (size_t)found.header_len + found.len;
  memcpy(event, first == FIRST_OF_TEXT ? &text : &binary,
         offsetof(nws_event, data));
  event->data = frame + found.header_len;
  event->len = found.len;
  event->frame_len = found.len;
  event->frame_left = 0;
  event->message_offset = 0;
  conn->heard = in->now;
  conn->received += frame_len;
  in->data = frame + frame_len;
  in->len -= frame_len;
  return NWS_EVENT_DATA;
}

/* Says whether the message is to be UTF-8 (RFC 6455 5.6). */
NWS__INLINE int must_check(const nws_conn *conn, unsigned first) {
  return first == FIRST_OF_TEXT && !conn->config->accept_any_text;
}

/* Goes on with text that is unmasked and not ASCII. If it is not good it is
 * masked again, for the long way to find that out. */
NWS__APART int recv_text(nws_conn *conn, nws_input *in, whole found,
                         nws_event *event) {
  uint8_t *payload = in->data + found.header_len;
  if (nws_utf8_valid(payload, found.len)) {
    return give(conn, in, in->data, FIRST_OF_TEXT, found, event);
  }
  nws_mask(payload, payload, found.len, payload - KEY_LEN, 0);
  return nws__conn_recv_any(conn, in, event);
}

/* The server's, for messages that are longer than a few words. */
NWS__APART int recv_long(nws_conn *conn, nws_input *in, nws_event *event) {
  uint8_t *frame = in->data;
  const unsigned first = frame[0];
  uint8_t *payload;
  int beyond_ascii;
  whole found;
  if (!find_whole(conn, in, NWS__MASKED, &found)) {
    return nws__conn_recv_any(conn, in, event);
  }
  payload = frame + found.header_len;
  beyond_ascii = nws__mask_run(payload, payload, found.len,
                               nws__mask_pattern(payload - KEY_LEN, 0));
  return beyond_ascii && must_check(conn, first)
             ? recv_text(conn, in, found, event)
             : give(conn, in, frame, first, found, event);
}

/* The client's; for the server's, and whatever else this is not, all is left to
 * the long way. */
NWS__APART int recv_unmasked(nws_conn *conn, nws_input *in, nws_event *event) {
  whole found;
  if (!awaits_message(conn, NWS_ROLE_CLIENT, in, event) ||
      !find_whole(conn, in, 0, &found) ||
      (must_check(conn, in->data[0]) &&
       !nws_utf8_valid(in->data + found.header_len, found.len))) {
    return nws__conn_recv_any(conn, in, event);
  }
  return give(conn, in, in->data, in->data[0], found, event);
}

int nws_conn_recv(nws_conn *conn, nws_input *in, nws_event *event) {
  whole found = {2 + KEY_LEN, 0};
  uint8_t *frame, *payload;
  unsigned first;
  int beyond_ascii;
  if (!awaits_message(conn, NWS_ROLE_SERVER, in, event)) {
    return recv_unmasked(conn, in, event);
  }
  frame = in->data;
  first = frame[0];
  found.len = frame[1] ^ NWS__MASKED; /* beyond any if the bit is missing */
  if (found.len > NWS__MASK_TINY || found.len > conn->whole_max ||
      in->len < (size_t)found.header_len + found.len) {
    return recv_long(conn, in, event);
  }
  payload = frame + found.header_len;
  beyond_ascii = nws__mask_tiny(payload, payload, found.len,
                                nws__mask_pattern(payload - KEY_LEN, 0));
  return beyond_ascii && must_check(conn, first)
             ? recv_text(conn, in, found, event)
             : give(conn, in, frame, first, found, event);
}

/* --- Sending --- */

/* Says whether a whole message of this kind may be sent now, as it is. Between
 * messages the state of sent text is at the start of a character. */
static inline int may_send(const nws_conn *conn, unsigned what) {
  return conn != NULL && is_plain(what ^ NWS__FIN) &&
         conn->state == NWS_STATE_OPEN &&
         (conn->send_opcode | conn->use_count) == 0 && conn->send_left == 0;
}

static inline int is_checked(const nws_conn *conn, unsigned what) {
  return what == NWS_OPCODE_TEXT && !conn->config->trust_sent_text;
}

/* Writes a header for up to WHOLE_MAX bytes, but for its key. */
static inline size_t write_header(uint8_t *to, unsigned what, size_t len,
                                  unsigned masked) {
  to[0] = (uint8_t)(NWS__FIN | what);
  if (len <= LENGTH_7_MAX) {
    to[1] = (uint8_t)(masked | len);
    return 2;
  }
  to[1] = (uint8_t)(masked | LENGTH_16);
  to[2] = (uint8_t)(len >> 8);
  to[3] = (uint8_t)len;
  return 4;
}

/* A few bytes are copied as they are masked: by a key of zeros. */
NWS__INLINE void copy(uint8_t *to, const void *payload, size_t len) {
  if (len <= NWS__MASK_SHORT) {
    (void)nws__mask_short(to, payload, len, 0);
  } else {
    memcpy(to, payload, len);
  }
}

/* The client's; the key is drawn into its place (RFC 6455 5.3). */
NWS__APART int send_masked(const nws_conn *conn, unsigned what,
                           const void *payload, size_t len, uint8_t *start,
                           size_t *out_len) {
  const nws_random *random = conn->config->random;
  uint8_t *key = start + write_header(start, what, len, NWS__MASKED);
  uint8_t *to = key + KEY_LEN;
  if (random->fill(random->user, key, KEY_LEN) != 0) {
    *out_len = 0;
    return NWS_ERROR_RANDOM;
  }
  (void)nws__mask_run(to, payload, len, nws__mask_pattern(key, 0));
  *out_len = (size_t)(to - start) + len;
  return NWS_OK;
}

int nws_conn_send(nws_conn *conn, unsigned what, const void *payload,
                  size_t len, void *out, size_t cap, size_t *out_len) {
  uint8_t *to = out;
  size_t header_len;
  if (!may_send(conn, what) || out == NULL || out_len == NULL ||
      (payload == NULL && len > 0) || len > WHOLE_MAX ||
      cap < HEADER_16_MAX + len ||
      (is_checked(conn, what) && !nws_utf8_valid(payload, len))) {
    return nws__conn_send_any(conn, what, payload, len, out, cap, out_len);
  }
  if (conn->role == NWS_ROLE_CLIENT) {
    return send_masked(conn, what, payload, len, to, out_len);
  }
  header_len = write_header(to, what, len, 0);
  copy(to + header_len, payload, len);
  *out_len = header_len + len;
  return NWS_OK;
}

int nws_conn_send_begin(nws_conn *conn, unsigned what, uint64_t len, void *out,
                        size_t cap, size_t *out_len) {
  unsigned flags = NWS__SEND_FIN;
  if (!may_send(conn, what) || conn->role == NWS_ROLE_CLIENT ||
      len > WHOLE_MAX || out == NULL || cap < HEADER_16_MAX ||
      out_len == NULL) {
    return nws__conn_begin_any(conn, what, len, out, cap, out_len);
  }
  if (is_checked(conn, what)) {
    flags |= NWS__SEND_CHECK;
  }
  *out_len = write_header(out, what, (size_t)len, 0);
  nws__clear(conn, NWS__SEND_FIN | NWS__SEND_CHECK | NWS__SEND_AS_IS);
  nws__set(conn, flags);
  conn->send_left = len;
  return NWS_OK;
}
