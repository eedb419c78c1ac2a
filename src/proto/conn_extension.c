/* conn_extension.c - how extensions in use see and change what passes.
 *
 * Sending runs through them in the order of negotiation, receiving in the
 * opposite one (RFC 6455 9.1). Encoding is done frame by frame, in the
 * caller's buffer. Decoding is a chain of small steps: always the extension
 * nearest to the application that has something to do does it, so that no
 * result has to wait anywhere but in the one piece of scratch that belongs to
 * each link. Between two calls, what waits there is remembered in the uses.
 */
#include "conn_internal.h"

#include <string.h>

/* nws_extension_use.flags */
enum {
  ACTIVE = 1 << 0,    /* transforms the frame that is arriving */
  HOLDING = 1 << 1,   /* has output that did not fit */
  INPUT_END = 1 << 2, /* `waiting` ends the frame */
  DONE = 1 << 3       /* has given everything for this frame */
};

/* --- Who owns what --- */

unsigned nws__conn_ext_rsv(const nws_conn *conn) {
  unsigned rsv = 0;
  for (unsigned i = 0; i < conn->use_count; i++) {
    rsv |= conn->uses[i].ext->rsv;
  }
  return rsv;
}

unsigned nws__conn_ext_opcodes(const nws_conn *conn) {
  unsigned opcodes = 0;
  for (unsigned i = 0; i < conn->use_count; i++) {
    opcodes |= conn->uses[i].ext->opcodes;
  }
  return opcodes;
}

/* RFC 6455 9: two extensions cannot both mean something by the same bit. */
static int check_ownership(const nws_conn *conn) {
  unsigned rsv = conn->config->rsv_in | conn->config->rsv_out;
  unsigned opcodes = 0;
  for (unsigned i = 0; i < conn->use_count; i++) {
    const nws_extension *ext = conn->uses[i].ext;
    if (ext == NULL || ext->size != sizeof(*ext) || (ext->rsv & rsv) != 0 ||
        (ext->opcodes & opcodes) != 0 || (ext->rsv & ~NWS__RSV) != 0 ||
        (ext->opcodes & ~NWS__RESERVED_OPCODES) != 0 ||
        (ext->encode != NULL) != (ext->encode_bound != NULL)) {
      return NWS_ERROR_CONFIG;
    }
    rsv |= ext->rsv;
    opcodes |= ext->opcodes;
  }
  return NWS_OK;
}

/* How many of the first `count` extensions decode. */
static size_t decoders_among(const nws_conn *conn, size_t count) {
  size_t decoders = 0;
  for (size_t i = 0; i < count; i++) {
    decoders += conn->uses[i].ext->decode != NULL;
  }
  return decoders;
}

int nws__conn_ext_check(const nws_conn *conn) {
  const int status = check_ownership(conn);
  size_t decoders;
  if (status != NWS_OK) {
    return status;
  }
  decoders = decoders_among(conn, conn->use_count);
  for (unsigned i = 0; i < conn->use_count; i++) {
    conn->uses[i].waiting = NULL;
    conn->uses[i].waiting_len = 0;
    conn->uses[i].flags = 0;
  }
  if (decoders > 0 &&
      (conn->config->scratch == NULL || conn->config->scratch_len < decoders)) {
    return NWS_ERROR_SCRATCH;
  }
  return NWS_OK;
}

/* What an extension says is wrong, as far as it may say so. */
static int refusal(int status) {
  switch (status) {
  case NWS_ERROR_RSV:
  case NWS_ERROR_OPCODE:
  case NWS_ERROR_MESSAGE_LIMIT:
  case NWS_ERROR_MEMORY:
    return status;
  default:
    return NWS_ERROR_EXTENSION;
  }
}

/* --- Receiving --- */

int nws__conn_ext_frame_in(nws_conn *conn, const nws_frame *frame) {
  int active = 0;
  for (unsigned i = conn->use_count; i-- > 0;) {
    nws_extension_use *use = &conn->uses[i];
    int status = NWS_EXTENSION_PASS;
    if (use->ext->frame_in != NULL) {
      status = use->ext->frame_in(use->state, frame);
    }
    if (status < 0) {
      return refusal(status);
    }
    if (nws__is_control(frame->opcode)) {
      continue; /* comes between the frames of a message that is decoded */
    }
    use->flags = 0;
    if (status == NWS_EXTENSION_TRANSFORM && use->ext->decode != NULL) {
      use->flags = ACTIVE;
      active++;
    }
  }
  return active;
}

/* The next use that decodes, in the order of decoding, or NULL. */
static nws_extension_use *next_active(const nws_conn *conn, unsigned from) {
  while (from-- > 0) {
    if ((conn->uses[from].flags & ACTIVE) != 0) {
      return &conn->uses[from];
    }
  }
  return NULL;
}

static int has_work(const nws_extension_use *use) {
  return (use->flags & (ACTIVE | DONE)) == ACTIVE &&
         (use->waiting_len > 0 || (use->flags & (HOLDING | INPUT_END)) != 0);
}

/* Each extension that decodes has its share of the scratch. */
static size_t share_of(const nws_conn *conn, const nws_extension_use *use,
                       uint8_t **share) {
  const size_t all = conn->config->scratch_len;
  size_t len, before;
  if (conn->use_count == 1) {
    *share = conn->config->scratch;
    return all;
  }
  len = all / decoders_among(conn, conn->use_count);
  before = decoders_among(conn, (size_t)(use - conn->uses));
  *share = (uint8_t *)conn->config->scratch + len * before;
  return len;
}

/* Lets one extension do a step, into its share of the scratch. */
static int step(const nws_conn *conn, nws_extension_use *use, int fin,
                nws__piece *piece) {
  nws_extension_data data = {0};
  size_t share;
  int status;
  data.in = use->waiting;
  data.in_len = use->waiting_len;
  share = share_of(conn, use, &data.out);
  data.out_cap = share;
  data.frame_end = (use->flags & INPUT_END) != 0;
  data.message_end = data.frame_end && fin;
  status = use->ext->decode(use->state, &data);
  if (status < 0) {
    return refusal(status);
  }
  /* One that neither takes nor gives would keep us here for ever. */
  if (status > NWS_MORE || data.out_len > share ||
      data.in_len > use->waiting_len || (status == NWS_OK && data.in_len > 0) ||
      (status == NWS_MORE && data.out_len == 0 &&
       data.in_len == use->waiting_len)) {
    return NWS_ERROR_EXTENSION;
  }
  use->waiting = data.in;
  use->waiting_len = data.in_len;
  use->flags = (uint8_t)(use->flags & ~HOLDING);
  if (status == NWS_MORE) {
    use->flags |= HOLDING;
  } else if (data.frame_end) {
    use->flags |= DONE;
  }
  piece->data = data.out;
  piece->len = data.out_len;
  piece->frame_end = (use->flags & DONE) != 0;
  return NWS_OK;
}

/* The extension nearest to the application that has something to do. */
static nws_extension_use *next_worker(const nws_conn *conn) {
  for (unsigned i = 0; i < conn->use_count; i++) {
    if (has_work(&conn->uses[i])) {
      return &conn->uses[i];
    }
  }
  return NULL;
}

static void hand_on(nws_extension_use *to, const nws__piece *piece) {
  to->waiting = piece->data;
  to->waiting_len = piece->len;
  to->flags = (uint8_t)(to->flags & ~INPUT_END);
  if (piece->frame_end) {
    to->flags |= INPUT_END;
  }
}

/* Where there is one alone, nobody else has to be looked for. */
static int decode_alone(const nws_conn *conn, const uint8_t **in, size_t *len,
                        nws__piece *piece) {
  nws_extension_use *use = conn->uses;
  const int fin = (conn->head & NWS__FIN) != 0;
  hand_on(use, piece);
  while (has_work(use)) {
    const int status = step(conn, use, fin, piece);
    *in = use->waiting;
    *len = use->waiting_len;
    if (status != NWS_OK) {
      return status;
    }
    if (piece->len > 0 || piece->frame_end) {
      return 1;
    }
  }
  return 0;
}

int nws__conn_ext_decode(nws_conn *conn, const uint8_t **in, size_t *len,
                         int last, nws__piece *piece) {
  nws_extension_use *first, *use, *to;
  const int fin = (conn->head & NWS__FIN) != 0;
  piece->data = (uint8_t *)*in;
  piece->len = *len;
  piece->frame_end = last;
  if (conn->use_count == 1) {
    return decode_alone(conn, in, len, piece);
  }
  first = next_active(conn, conn->use_count);
  hand_on(first, piece);
  while ((use = next_worker(conn)) != NULL) {
    const int status = step(conn, use, fin, piece);
    *in = first->waiting;
    *len = first->waiting_len;
    if (status != NWS_OK) {
      return status;
    }
    if (piece->len == 0 && !piece->frame_end) {
      continue;
    }
    to = next_active(conn, (unsigned)(use - conn->uses));
    if (to == NULL) {
      return 1;
    }
    hand_on(to, piece);
  }
  return 0;
}

/* --- Sending --- */

int nws__conn_ext_frame_out(nws_conn *conn, nws_frame *frame,
                            int may_transform) {
  unsigned encoders = 0;
  for (unsigned i = 0; i < conn->use_count; i++) {
    const nws_extension_use *use = &conn->uses[i];
    const int may = may_transform && use->ext->encode != NULL &&
                    !nws__is_control(frame->opcode);
    nws_frame shown = *frame;
    int status = NWS_EXTENSION_PASS;
    if (use->ext->frame_out != NULL) {
      status = use->ext->frame_out(use->state, &shown, may);
    }
    if (status < 0) {
      return status;
    }
    if (status == NWS_EXTENSION_TRANSFORM && !may) {
      return NWS_ERROR_NO_ENCODING;
    }
    frame->rsv = (uint8_t)(frame->rsv | (shown.rsv & use->ext->rsv));
    if (status == NWS_EXTENSION_TRANSFORM) {
      encoders |= 1u << i;
    }
  }
  return (int)encoders;
}

/* An extension that has nothing to do with the message must let it pass, since
 * it is not to be encoded. */
static int let_pass(const nws_extension_use *use, const nws_prepared *message) {
  nws_frame shown = {0};
  int status;
  if (use->ext->frame_out == NULL) {
    return NWS_OK;
  }
  shown.opcode = message->opcode;
  shown.fin = 1;
  shown.payload_len = message->payload_len;
  status = use->ext->frame_out(use->state, &shown, 0);
  if (status < 0) {
    return status;
  }
  return status == NWS_EXTENSION_PASS && shown.rsv == 0 ? NWS_OK
                                                        : NWS_ERROR_NO_ENCODING;
}

int nws__conn_ext_prepared(nws_conn *conn, nws_prepared *message,
                           const uint8_t **frame, size_t *frame_len) {
  const uint8_t *form = message->frame;
  size_t form_len = message->frame_len;
  for (unsigned i = 0; i < conn->use_count; i++) {
    const nws_extension_use *use = &conn->uses[i];
    const int is_own = use->ext == message->ext && use->ext->prepared != NULL;
    const int status =
        is_own ? use->ext->prepared(use->state, message, &form, &form_len)
               : let_pass(use, message);
    if (status < 0) {
      return status;
    }
  }
  *frame = form;
  *frame_len = form_len;
  return NWS_OK;
}

/* What one more encoder makes of `len` bytes, at most. */
static size_t bound_of(const nws_extension_use *use, size_t len) {
  const size_t bound = use->ext->encode_bound(use->state, len);
  return bound > len ? bound : len;
}

int nws__conn_ext_bound(const nws_conn *conn, size_t len, size_t *bound) {
  size_t total = 0;
  int encodes = 0;
  for (unsigned i = 0; i < conn->use_count; i++) {
    if (conn->uses[i].ext->encode == NULL) {
      continue;
    }
    encodes = 1;
    len = bound_of(&conn->uses[i], len);
    total = total <= SIZE_MAX - len ? total + len : SIZE_MAX;
  }
  *bound = total;
  return encodes;
}

/* The results of all but the last encoder stand one behind the other at the
 * far end of the room, those of the last at its beginning. */
int nws__conn_ext_encode(nws_conn *conn, unsigned mask, const nws_frame *frame,
                         const void *payload, size_t len, uint8_t *out,
                         size_t cap, size_t *out_len) {
  uint8_t *end = out + cap;
  nws_extension_data data = {0};
  size_t result_len = len;
  const uint8_t *result = payload;
  data.frame_end = 1;
  data.message_end = frame->fin;
  for (unsigned i = 0; mask >> i != 0; i++) {
    const nws_extension_use *use = &conn->uses[i];
    int is_last, status;
    if ((mask >> i & 1) == 0) {
      continue;
    }
    is_last = mask >> i == 1;
    data.in = result;
    data.in_len = result_len;
    data.out_cap = is_last ? (size_t)(end - out) : bound_of(use, result_len);
    data.out = is_last ? out : end - data.out_cap;
    data.out_len = 0;
    end = data.out;
    status = use->ext->encode(use->state, &data);
    if (status != NWS_OK || data.in_len > 0 || data.out_len > data.out_cap) {
      status = status < 0 ? status : NWS_ERROR_EXTENSION;
      /* An encoder that fails is as it was before, but those that have run
       * are not: what they made is lost, and the peer's decoders would get out
       * of step. */
      return result == payload ? status
                               : nws__conn_fail(conn, status, conn->received);
    }
    result = data.out;
    result_len = data.out_len;
  }
  *out_len = result_len;
  return NWS_OK;
}

void nws_extension_release(nws_extension_use *uses, size_t count) {
  for (size_t i = 0; uses != NULL && i < count; i++) {
    if (uses[i].ext != NULL && uses[i].ext->release != NULL) {
      uses[i].ext->release(uses[i].ext, uses[i].state);
    }
    memset(&uses[i], 0, sizeof(uses[i]));
  }
}
