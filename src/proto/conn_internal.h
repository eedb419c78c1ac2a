/* conn_internal.h - what the files of the connection share.
 *
 * conn.c opens a connection and answers questions; receiving and sending begin
 * in conn_whole.c, which does the plain case itself, conn_recv.c takes all
 * other bytes, conn_send.c writes all other frames; conn_control.c holds the
 * closing handshake, the faults and what is owed, conn_time.c the deadlines,
 * conn_extension.c the extensions in use.
 */
#ifndef NWS_CONN_INTERNAL_H
#define NWS_CONN_INTERNAL_H

#include <nws/conn.h>
#include <nws/prepared.h>

/* Bits of the first two bytes of a frame (RFC 6455 5.2). */
#define NWS__FIN 0x80u
#define NWS__RSV (NWS_RSV1 | NWS_RSV2 | NWS_RSV3)
#define NWS__OPCODE 0x0fu
#define NWS__CONTROL 0x08u
#define NWS__MASKED 0x80u

/* The opcodes that RFC 6455 reserves, bit n for opcode n. */
#define NWS__RESERVED_OPCODES 0xf8f8u

/* What the next received byte is part of: nws_conn.phase. The functions that
 * take it, and all transitions, are in conn_recv.c. */
enum {
  NWS__PHASE_NONE = 0,  /* not opened */
  NWS__PHASE_MESSAGE,   /* a frame header, and nothing is under way but plain
                         * messages: no other frame, extension or close */
  NWS__PHASE_HEADER,    /* a frame header, maybe begun in `carry` */
  NWS__PHASE_DATA,      /* payload of a data frame */
  NWS__PHASE_DECODE,    /* the same, on its way through extensions */
  NWS__PHASE_SKIP,      /* the same, discarded since we have sent a close */
  NWS__PHASE_CONTROL,   /* payload of a control frame */
  NWS__PHASE_DRAIN,     /* nothing: what follows a close is discarded */
  NWS__PHASE_FAULT_DUE, /* nothing: a fault is to be reported */
  NWS__PHASE_FAULT,     /* nothing: the fault is reported over and over */
  NWS__PHASES
};

/* nws_conn.flags */
enum {
  NWS__CLOSE_SENT = 1 << 0, /* our close frame was written */
  NWS__CLOSE_GOT = 1 << 1,  /* the peer's close frame has come */
  NWS__CLOSE_OWED = 1 << 2, /* nws_conn_flush() is to write one */
  NWS__PONG_OWED = 1 << 3,
  NWS__PING_OWED = 1 << 4,
  NWS__PING_OUT = 1 << 5,    /* a ping of ours is not answered yet */
  NWS__MASKED_IN = 1 << 6,   /* the frame that is arriving is masked */
  NWS__REPORTED = 1 << 7,    /* an event of this frame has been given */
  NWS__SEND_FIN = 1 << 8,    /* the begun frame ends its message */
  NWS__SEND_CHECK = 1 << 9,  /* the message being sent is checked text */
  NWS__SEND_AS_IS = 1 << 11, /* the message being sent is not encoded */
  NWS__ENDED = 1 << 10       /* nothing more can come from the transport */
};

/* How long a received message may be, if the configuration does not say. */
#define NWS__MAX_MESSAGE_DEFAULT (1 << 20)

/* Checks of our own invariants, in builds for development. The core itself
 * needs nothing from assert.h. */
#ifdef NWS_CHECKS
#include <assert.h>
#define NWS__ASSERT(condition) assert(condition)
#else
#define NWS__ASSERT(condition) ((void)0)
#endif

/* 0 in a configuration means the default. */
static inline uint64_t nws__or_default(uint64_t value, uint64_t otherwise) {
  return value != 0 ? value : otherwise;
}

static inline int nws__is_control(unsigned opcode) {
  return (opcode & NWS__CONTROL) != 0;
}

static inline int nws__has(const nws_conn *conn, unsigned flag) {
  return (conn->flags & flag) != 0;
}

static inline void nws__set(nws_conn *conn, unsigned flag) {
  conn->flags = (uint16_t)(conn->flags | flag);
}

static inline void nws__clear(nws_conn *conn, unsigned flag) {
  conn->flags = (uint16_t)(conn->flags & ~flag);
}

/* Says whether what is arriving must be UTF-8. */
static inline int nws__is_checked_text(const nws_conn *conn) {
  return conn->message_opcode == NWS_OPCODE_TEXT &&
         !conn->config->accept_any_text;
}

/* Says whether the invariants hold; for asserts, fuzzers and proofs. */
int nws__conn_valid(const nws_conn *conn);

/* --- conn_header.c --- */

/* Parses any prefix of a header, as nws_frame_parse() does, and judges it. */
int nws__conn_header_parse(const nws_conn *conn, const uint8_t *bytes,
                           size_t len, nws_frame *frame);

/* Which byte of a header breaks a rule: what nws_conn_fault() points at. */
unsigned nws__conn_header_fault(int error);

/* --- conn_recv.c --- */

/* Awaits a frame: nothing is known of one that is arriving. */
static inline void nws__conn_await(nws_conn *conn) {
  nws__clear(conn, NWS__MASKED_IN | NWS__REPORTED);
  conn->phase = (conn->message_opcode | conn->use_count) == 0 &&
                        conn->state == NWS_STATE_OPEN
                    ? NWS__PHASE_MESSAGE
                    : NWS__PHASE_HEADER;
}

/* nws_conn_recv() for whatever comes. */
int nws__conn_recv_any(nws_conn *conn, nws_input *in, nws_event *event);

/* Discards what is left of the data frame that is arriving, once our close has
 * been sent, unless the configuration wants it. */
void nws__conn_skip_data(nws_conn *conn);

/* --- conn_whole.c --- */

/* What nws_conn.whole_max is to be. */
uint16_t nws__conn_whole_max(const nws_conn_config *config);

/* --- conn_send.c --- */

/* nws_conn_send() and nws_conn_send_begin() for whatever is sent. */
int nws__conn_send_any(nws_conn *conn, unsigned what, const void *payload,
                       size_t len, void *out, size_t cap, size_t *out_len);
int nws__conn_begin_any(nws_conn *conn, unsigned what, uint64_t len, void *out,
                        size_t cap, size_t *out_len);

/* --- conn_control.c --- */

/* Ends the parsing: the error sticks, its close frame is owed. Returns it. */
int nws__conn_fail(nws_conn *conn, int error, uint64_t offset);

/* Notes the peer's close frame, and owes the answer. */
void nws__conn_got_close(nws_conn *conn, unsigned code);

/* Draws a masking key for clients; servers get zeros. */
int nws__conn_draw_key(const nws_conn *conn, uint8_t key[4]);

/* Notes what the close frames so far make of the state. */
void nws__conn_settle(nws_conn *conn);

/* --- conn_time.c --- */

/* Notes a pong, which may answer our ping. */
void nws__conn_pong(nws_conn *conn, const uint8_t *payload, size_t len,
                    uint64_t now);

/* --- conn_extension.c --- */

/* A piece of payload, decoded if it was to be. */
typedef struct nws__piece {
  uint8_t *data;
  size_t len;
  size_t valid; /* how much of it is UTF-8, if it is text; conn_recv.c's */
  int frame_end;
} nws__piece;

/* The reserved bits and opcodes that extensions in use own. */
unsigned nws__conn_ext_rsv(const nws_conn *conn);
unsigned nws__conn_ext_opcodes(const nws_conn *conn);

/* Checks the extensions in use against the configuration: NWS_OK or
 * NWS_ERROR_CONFIG. */
int nws__conn_ext_check(const nws_conn *conn);

/* Shows a frame's header to the extensions. Returns how many will transform
 * its payload, or an error. */
int nws__conn_ext_frame_in(nws_conn *conn, const nws_frame *frame);

/* Decodes payload at `in` (unmasked) until there is a piece. `last` says that
 * the frame ends with this input. `in` is advanced by what was used. Returns 1
 * with a piece, 0 when more input is needed, an error. */
int nws__conn_ext_decode(nws_conn *conn, const uint8_t **in, size_t *len,
                         int last, nws__piece *piece);

/* Shows a frame's header to the extensions before it is sent. Returns a mask
 * of those that will encode it, or an error. */
int nws__conn_ext_frame_out(nws_conn *conn, nws_frame *frame,
                            int may_transform);

/* Lets the extensions choose the form of a prepared message: NWS_OK with the
 * frame to send, or an error. */
int nws__conn_ext_prepared(nws_conn *conn, nws_prepared *message,
                           const uint8_t **frame, size_t *frame_len);

/* Says whether any extension in use encodes, and how much room `len` bytes then
 * take at most, intermediate results included. */
int nws__conn_ext_bound(const nws_conn *conn, size_t len, size_t *bound);

/* Encodes a whole frame's payload with the extensions in `mask`. The result
 * stands at `out`, which has room for `cap` bytes, at least the bound; its
 * length is `*out_len`. */
int nws__conn_ext_encode(nws_conn *conn, unsigned mask, const nws_frame *frame,
                         const void *payload, size_t len, uint8_t *out,
                         size_t cap, size_t *out_len);

#endif
