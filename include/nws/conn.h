/* conn.h - a WebSocket connection without the I/O (RFC 6455 5 to 8).
 *
 * You give it the bytes you received, it gives you events; you tell it what to
 * say, it writes the bytes to send. It never touches a socket, a clock, an
 * allocator or a thread.
 *
 *     nws_conn conn;
 *     nws_conn_init(&conn, NWS_ROLE_SERVER, &config, NULL, 0);
 *     nws_conn_lend(&conn, &spill);
 *     ...
 *     nws_input in = {buffer, received, now};
 *     nws_event event;
 *     int type;
 *     while ((type = nws_conn_recv(&conn, &in, &event)) > 0)
 *       handle(&event);             // may call nws_conn_send()
 *     nws_conn_flush(&conn, out, sizeof(out), &len);  // pongs, close
 *     write(fd, out, len);
 *     if (nws_conn_finished(&conn))
 *       close(fd);
 *
 * The bytes that calls write go to the peer in the order of the calls. One
 * connection belongs to one thread at a time.
 */
#ifndef NWS_CONN_H
#define NWS_CONN_H

#include <nws/base.h>
#include <nws/error.h>
#include <nws/extension.h>
#include <nws/frame.h>
#include <nws/utf8.h>

NWS_BEGIN_DECLS

/** The states of RFC 6455 (1.4, 4.1, 7.1). */
typedef enum nws_state {
  NWS_STATE_CONNECTING = 0, /**< no connection yet: memory all zero */
  NWS_STATE_OPEN = 1,       /**< data flows */
  NWS_STATE_CLOSING = 2,    /**< a close frame was sent, received or is owed */
  NWS_STATE_CLOSED = 3      /**< nothing comes or goes any more */
} nws_state;

/** How a connection behaves. Shared by any number of connections, borrowed by
 *  each for as long as it lives, and not changed meanwhile. */
typedef struct nws_conn_config {
  size_t size; /**< sizeof(nws_conn_config) */

  /* Limits; 0 is the default, NWS_UNLIMITED is none. */
  uint64_t max_frame;     /**< payload bytes of a received data frame; default:
                               the same as max_message; for frames that
                               extensions decode, twice that and 1 KiB */
  uint64_t max_message;   /**< payload bytes of a received message, counted
                               after decoding; default 1 MiB */
  uint64_t max_fragments; /**< frames of a received message; default 131072 */
  uint64_t max_controls;  /**< control frames received within a second (2^30 ns)
                               of nws_input.now; default 1000. Not enforced
                               where no time is given. */

  /* Time; 0 is the default, UINT32_MAX turns it off. */
  uint32_t ping_interval_ms; /**< silence after which a ping is owed; default
                                  20,000 */
  uint32_t pong_timeout_ms;  /**< how long anything at all may then stay away;
                                  default 20,000 */
  uint32_t close_timeout_ms; /**< from the first close frame to the end of the
                                  transport; default 5,000 */

  /* Choices; 0 is the strict default. */
  uint8_t manual_pong;        /**< 1: answer pings yourself */
  uint8_t manual_close;       /**< 1: answer close frames yourself, with
                                   nws_conn_close() */
  uint8_t deliver_in_closing; /**< 1: report data that arrives after our close
                                   was sent, instead of discarding it */
  uint8_t accept_any_text;    /**< 1: do not validate received text */
  uint8_t trust_sent_text;    /**< 1: do not validate text that is sent */
  uint8_t accept_any_mask;    /**< 1: take frames masked or not, in either
                                   role (RFC 6455 5.1 forbids it) */

  /* Reserved bits and opcodes enabled beyond those that extensions own. */
  uint8_t rsv_in;       /**< NWS_RSV1 | … that may arrive, on any frame */
  uint8_t rsv_out;      /**< NWS_RSV1 | … that may be sent */
  uint16_t opcodes_in;  /**< bit n: reserved opcode n (3 to 7, 11 to 15) may
                             arrive */
  uint16_t opcodes_out; /**< bit n: reserved opcode n may be sent */
  const char *const *opcode_names; /**< 16 names for logs, entries may be NULL;
                                        NULL: "text", "ping", "0x3", … */
  const char *const *rsv_names;    /**< the same, 3 for RSV1, RSV2 and RSV3 */

  const nws_random *random; /**< required for clients: a fresh masking key is
                                 drawn for each frame (RFC 6455 5.3) */
  void *scratch;      /**< where extensions decode to; NULL when none in use
                           decodes. Connections of a thread may share it when
                           each receives until nws_conn_recv() gives 0 before
                           the next one begins */
  size_t scratch_len; /**< bytes at `scratch`, at least 1 per extension that
                           decodes */
} nws_conn_config;

/** Memory that is lent to a connection: what must be remembered of a control
 *  frame that a read cut in two, and the pong that is owed. The fields are
 *  private. */
typedef struct nws_spill {
  uint8_t cut_len;                       /**< bytes in `cut` */
  uint8_t pong_len;                      /**< bytes in `pong` */
  uint8_t cut[NWS_CONTROL_PAYLOAD_MAX];  /**< control payload so far */
  uint8_t pong[NWS_CONTROL_PAYLOAD_MAX]; /**< payload of the pong owed */
} nws_spill;

/** A connection, in the caller's memory: at most 128 bytes. The fields are
 *  private; the layout may change with each minor version, so bindings ask
 *  nws_conn_size(). It can be moved in memory (copied, the original
 *  forgotten). */
typedef struct nws_conn {
  const nws_conn_config *config;
  nws_spill *spill;
  nws_extension_use *uses;
  uint64_t received; /* bytes taken from the stream; a fault's offset */
  union {
    struct {
      uint64_t len;  /* payload of the frame that is arriving */
      uint64_t left; /* how much of it has not arrived yet */
    } frame;
    uint8_t carry[NWS_FRAME_HEADER_MAX]; /* header that a read has cut */
    struct {
      uint64_t at; /* a fault that is reported next, and its offset */
      int error;
    } fault;
  } in;
  uint64_t message_len;   /* bytes of the message delivered so far */
  uint64_t send_left;     /* payload that the begun frame still lacks */
  uint64_t timer_start;   /* when the ping went out or closing began; ns */
  uint64_t heard;         /* when bytes last came; ns */
  uint32_t rtt;           /* last round trip, in units of 1024 ns */
  uint32_t fragments;     /* frames of the message so far */
  uint32_t ping_id;       /* in the last keep-alive ping */
  uint32_t controls;      /* control frames that came in `second` */
  uint32_t second;        /* of the clock, in units of 2^30 ns */
  uint8_t key[4];         /* mask of the frame that is arriving */
  uint8_t send_key[4];    /* mask of the begun frame, turned to go on */
  int16_t error;          /* the fault, once there is one */
  uint16_t code_in;       /* of the peer's close; 0: none */
  uint16_t code_out;      /* of our close; 0: none */
  uint16_t flags;         /* see src/proto/conn_internal.h */
  uint8_t phase;          /* what the next byte received is */
  uint8_t role;           /* nws_role */
  uint8_t state;          /* nws_state */
  uint8_t use_count;      /* extensions in use */
  uint8_t carry_len;      /* bytes in `carry` */
  uint8_t head;           /* first byte of the frame that is arriving */
  uint8_t message_opcode; /* of the message that is arriving, or 0 */
  uint8_t send_opcode;    /* of the message that is being sent, or 0 */
  nws_utf8 utf8;          /* of the text that is arriving */
  nws_utf8 send_utf8;     /* of the text that is being sent */
  uint16_t whole_max;     /* up to this length a frame may be taken at once */
} nws_conn;

/** Bytes that were received, and when. Receiving advances `data` and counts
 *  down `len`. */
typedef struct nws_input {
  uint8_t *data; /**< writable: payload is unmasked in place */
  size_t len;    /**< bytes */
  uint64_t now;  /**< when they came, in ns of a monotonic clock; 0 where there
                      is no clock (then nothing times out) */
} nws_input;

/** What an event is about. */
typedef enum nws_event_type {
  NWS_EVENT_DATA = 1,   /**< payload of a text, binary or custom message */
  NWS_EVENT_PING = 2,   /**< a ping; the pong is owed by itself */
  NWS_EVENT_PONG = 3,   /**< a pong, asked for or not */
  NWS_EVENT_CLOSE = 4,  /**< a close frame; the reply is owed by itself */
  NWS_EVENT_CONTROL = 5 /**< a control frame with a custom opcode */
} nws_event_type;

/* Where a piece of data stands in its frame and message. */
#define NWS_FRAME_BEGIN 1u    /* nothing of this frame came before */
#define NWS_FRAME_END 2u      /* this ends the frame */
#define NWS_MESSAGE_BEGIN 4u  /* nothing of this message came before */
#define NWS_MESSAGE_END 8u    /* this ends the message */
#define NWS_MESSAGE_WHOLE 15u /* a message in one frame in one piece */

/** Something that arrived. A message comes in as many DATA events as reads and
 *  frames cut it into: the end of each frame gives an event, even one of length
 *  0. A control frame is one event, whole. */
typedef struct nws_event {
  uint8_t type;         /**< nws_event_type */
  uint8_t opcode;       /**< DATA: the message's opcode, also in continuation
                             frames; otherwise the frame's */
  uint8_t frame_opcode; /**< as on the wire: 0 in continuation frames */
  uint8_t rsv;          /**< the frame's reserved bits, NWS_RSV1 | … */
  uint8_t flags; /**< NWS_FRAME_BEGIN | … ; all four for control frames */
  uint16_t code; /**< CLOSE: the status, or NWS_CLOSE_NO_STATUS (1005) */
  uint8_t *data; /**< payload, unmasked and decoded; CLOSE: the reason.
                      Points into the input, the scratch or the spill:
                      valid until the next nws_conn_recv(), or until
                      these are used for something else */
  size_t len;    /**< bytes at `data` */
  uint64_t frame_len;      /**< payload of the whole frame, as on the wire */
  uint64_t frame_left;     /**< how much of that is still to arrive */
  uint64_t message_offset; /**< DATA: bytes of the message before `data` */
} nws_event;

/* --- Life --- */

/** sizeof(nws_conn) and sizeof(nws_spill) as the library was built. */
NWS_API size_t nws_conn_size(void);
NWS_API size_t nws_spill_size(void);

/** Opens a connection, over whatever byte stream; a handshake is not needed.
 *
 *  @param conn    memory of the connection; its content does not matter
 *  @param role    which end this is
 *  @param config  borrowed for the connection's life; NULL for all defaults,
 *                 which a client cannot have (it needs `random`)
 *  @param uses    the extensions in use, in order of negotiation; borrowed for
 *                 the connection's life, and its own (not shared)
 *  @param count   how many, at most NWS_EXTENSIONS_MAX
 *  @return NWS_OK; NWS_ERROR_ARGUMENT; NWS_ERROR_CONFIG (opcodes or bits that
 *          cannot be enabled, or that two extensions own; a client without
 *          random source, encode without its bound); NWS_ERROR_SCRATCH
 *          (extensions decode, and there is none or too little). On failure
 *          the connection is all zero. */
NWS_API int nws_conn_init(nws_conn *conn, nws_role role,
                          const nws_conn_config *config,
                          nws_extension_use *uses, size_t count);

/** Lends the connection a spill area. A microcontroller lends one for good; a
 *  server with many connections lends its loop's spare one before receiving,
 *  and asks with nws_conn_reclaim() afterwards.
 *  @param spill  its content does not matter; ignored when the connection has
 *                one already
 *  @return 1 when it was taken, 0 when the connection has one already, or an
 *          error: NWS_ERROR_ARGUMENT, NWS_ERROR_STATE. */
NWS_API int nws_conn_lend(nws_conn *conn, nws_spill *spill);

/** Takes the spill area back if nothing in it is needed.
 *  @return the area, or NULL when there is none or it is needed still: a
 *          control frame is cut, or a pong is owed. After the connection is
 *          finished it always gives it back. */
NWS_API nws_spill *nws_conn_reclaim(nws_conn *conn);

/* --- Receiving --- */

/** Takes received bytes and gives the next event.
 *
 *  Call it until it returns 0: only then has all input been taken and all been
 *  reported. Bytes that follow a close frame are discarded (RFC 6455 5.5.1);
 *  so is everything after an error.
 *
 *  @param conn   the connection
 *  @param in     what was received; advanced past what was taken
 *  @param event  filled when the result is positive
 *  @return the nws_event_type of an event;
 *          0 when the input is used up;
 *          NWS_ERROR_SPILL when a control frame needs memory: lend some and
 *          call again, nothing is lost;
 *          NWS_ERROR_ARGUMENT, NWS_ERROR_STATE (not opened);
 *          or the error that the peer made: no more events will come, every
 *          further call gives it again, nws_conn_fault() tells where it was,
 *          and the close frame is owed (nws_conn_flush()).
 *
 *  The events of a stream do not depend on how it is cut into inputs, but for
 *  the pieces in which data is delivered. A fault is found as soon as the byte
 *  that shows it is there, also inside a header. It ends a message at exactly
 *  the byte that is wrong: what came before it has been delivered, and the
 *  bytes of a character that the message's end cuts have been as well. Such an
 *  event can still be answered; the connection fails with the next call. */
NWS_API int nws_conn_recv(nws_conn *conn, nws_input *in, nws_event *event);

/** Tells that nothing more will come from the transport: the peer closed its
 *  side, or the connection broke.
 *
 *  A peer that closed only its side can still be written to, so flush what is
 *  owed: the answer to its close (with `manual_close` too, when it has not been
 *  given), or, when none has come, a close with 1002.
 *
 *  @return NWS_OK when the peer's close frame had come; NWS_ERROR_EOF when it
 *          had not (RFC 6455 7.1.7); an earlier error; NWS_ERROR_ARGUMENT,
 *          NWS_ERROR_STATE. */
NWS_API int nws_conn_eof(nws_conn *conn);

/* --- Sending --- */

/* Joined to the opcode in `what`, as reserved bits are (NWS_RSV1, …). */
#define NWS_SEND_MORE 0x100u  /* this is not the last frame of the message */
#define NWS_SEND_PLAIN 0x200u /* no extension may encode this message */

/** Writes a whole frame (RFC 6455 5.2, 6.1).
 *
 *  A message in one frame: NWS_OPCODE_TEXT or _BINARY. A fragmented one: the
 *  opcode joined with NWS_SEND_MORE, then NWS_OPCODE_CONTINUATION with
 *  NWS_SEND_MORE, and the last one without it; control frames may come in
 *  between. Clients mask while copying; the payload is not changed.
 *
 *  @param what     opcode, joined with reserved bits and NWS_SEND_…
 *  @param payload  `len` bytes, borrowed for the call; may be NULL with 0
 *  @param out      where the frame goes; does not overlap `payload`
 *  @param cap      room at `out`
 *  @param out_len  bytes written; with NWS_ERROR_BUFFER the most bytes needed
 *  @return NWS_OK; NWS_ERROR_STATE (not opened, ended, or a close frame was
 *          sent or is owed; pongs may still be sent until the peer's has come,
 *          and with `manual_close` everything until it is answered);
 *          NWS_ERROR_FRAME_OPEN, NWS_ERROR_MESSAGE_OPEN,
 *          NWS_ERROR_NO_MESSAGE, NWS_ERROR_OPCODE_DISABLED,
 *          NWS_ERROR_RSV_DISABLED, NWS_ERROR_CONTROL_LONG,
 *          NWS_ERROR_CONTROL_FRAGMENT, NWS_ERROR_TEXT_SEND (also when the last
 *          frame cuts a character), NWS_ERROR_LENGTH, NWS_ERROR_BUFFER,
 *          NWS_ERROR_RANDOM, NWS_ERROR_ARGUMENT (also: a close frame; that is
 *          nws_conn_close()'s), or what an extension said. Nothing is written
 *          or changed on failure. */
NWS_API int nws_conn_send(nws_conn *conn, unsigned what, const void *payload,
                          size_t len, void *out, size_t cap, size_t *out_len);

/** The room that nws_conn_send() needs at most for a frame of `len` bytes; 0
 *  before the connection is opened. */
NWS_API size_t nws_conn_send_room(const nws_conn *conn, size_t len);

/** Writes only the header of a data frame, whose payload follows from where it
 *  lies (scatter/gather writes) or piece by piece. Until all `len` bytes have
 *  gone through nws_conn_send_payload() nothing else can be sent, and nothing
 *  that is owed goes out. No extension encodes it.
 *
 *  @param len      payload bytes that will follow, up to 2^63-1
 *  @param out      where the header goes
 *  @param cap      room at `out`; NWS_FRAME_HEADER_MAX always suffices
 *  @param out_len  bytes written; with NWS_ERROR_BUFFER the bytes needed
 *  @return as nws_conn_send(); control frames give NWS_ERROR_ARGUMENT. */
NWS_API int nws_conn_send_begin(nws_conn *conn, unsigned what, uint64_t len,
                                void *out, size_t cap, size_t *out_len);

/** Passes the next payload bytes of the frame that was begun.
 *
 *  @param dst  where they go, masked for clients; the same as `src` masks in
 *              place; NULL (servers only) when they go out from `src`, which
 *              is then only read
 *  @param src  `len` bytes
 *  @return NWS_OK; NWS_ERROR_NO_FRAME (more than announced);
 *          NWS_ERROR_TEXT_SEND (not UTF-8: the frame stays open, send other
 *          bytes or give up the connection); NWS_ERROR_ARGUMENT;
 *          NWS_ERROR_STATE. Nothing has changed on failure. */
NWS_API int nws_conn_send_payload(nws_conn *conn, void *dst, const void *src,
                                  size_t len);

/** Writes a close frame: starts the closing handshake, or answers the peer's
 *  with `manual_close` (RFC 6455 5.5.1, 7.1.2). A message may be left
 *  unfinished, a frame may not.
 *
 *  @param code     a code that may be sent, or 0 for none
 *  @param reason   at most 123 bytes of UTF-8, for people who read logs
 *  @param out      where the frame goes
 *  @param cap      room at `out`; NWS_CONTROL_FRAME_MAX always suffices
 *  @param out_len  bytes written; with NWS_ERROR_BUFFER the bytes needed
 *  @return NWS_OK; NWS_ERROR_STATE (a close was sent or is owed already);
 *          NWS_ERROR_FRAME_OPEN; NWS_ERROR_CLOSE_CODE_SEND;
 *          NWS_ERROR_CONTROL_LONG; NWS_ERROR_TEXT_SEND; NWS_ERROR_BUFFER;
 *          NWS_ERROR_RANDOM; NWS_ERROR_ARGUMENT. */
NWS_API int nws_conn_close(nws_conn *conn, unsigned code, nws_str reason,
                           void *out, size_t cap, size_t *out_len);

/** The most bytes nws_conn_flush() would write; 0: nothing, or a frame is open.
 */
NWS_API size_t nws_conn_owed(const nws_conn *conn);

/** Writes the control frames that the engine owes the peer by itself: the pong
 *  to its latest ping (RFC 6455 5.5.3), keep-alive pings, the close frame that
 *  answers its close or its fault. What is written is owed no more.
 *
 *  @param out      where the frames go
 *  @param cap      room at `out`; as many whole frames as fit are written
 *  @param out_len  bytes written; with NWS_ERROR_BUFFER what the next one needs
 *  @return NWS_OK (also when nothing is owed, or a frame is open: 0 bytes);
 *          NWS_ERROR_BUFFER when not even one frame fits; NWS_ERROR_RANDOM;
 *          NWS_ERROR_ARGUMENT; NWS_ERROR_STATE. */
NWS_API int nws_conn_flush(nws_conn *conn, void *out, size_t cap,
                           size_t *out_len);

/* --- Time --- */

/** Owes a keep-alive ping at once, for a measurement of the round trip; when
 *  one is under way already, that one serves.
 *  @param now  in ns of the clock that nws_input.now has, not 0
 *  @return NWS_OK; NWS_ERROR_ARGUMENT; NWS_ERROR_STATE unless open. */
NWS_API int nws_conn_ping(nws_conn *conn, uint64_t now);

/** Tells the time: does what is due, and says when to call again. Call it after
 *  each round of receiving and sending, and when the deadline has come; then
 *  flush.
 *
 *  @param now   in ns of the clock that nws_input.now has, not 0
 *  @param next  the deadline, in ns; NWS_NEVER when there is none
 *  @return NWS_OK; NWS_ERROR_PONG_TIMEOUT: nothing came after a ping, the
 *          connection has failed and a close frame (1011) is owed as a last
 *          word; NWS_ERROR_CLOSE_TIMEOUT: the peer did not finish the closing
 *          handshake, the connection is finished; NWS_ERROR_ARGUMENT;
 *          NWS_ERROR_STATE (not opened). */
NWS_API int nws_conn_tick(nws_conn *conn, uint64_t now, uint64_t *next);

/** The last round trip of a keep-alive ping in ns, good to about a microsecond;
 *  0 before the first. */
NWS_API uint64_t nws_conn_rtt(const nws_conn *conn);

/* --- Questions --- */

/* Asked with NULL, these answer as for memory all zero. */

/** The state; NWS_STATE_CLOSED after a finished closing handshake, and after a
 *  fault, a timeout or the end of the transport once the close frame that is
 *  owed then has been flushed. */
NWS_API nws_state nws_conn_state(const nws_conn *conn);

/** Says that everything is done and the transport is to be closed now: close
 *  frames went both ways and this is the server (which closes first, RFC 6455
 *  7.1.1), or there was a fault, a timeout or the end of the transport and
 *  nothing is owed any more. A client whose closing handshake is complete waits
 *  for the server's end of file until the tick times out. 1 or 0. */
NWS_API int nws_conn_finished(const nws_conn *conn);

/** What went wrong, if anything. */
typedef struct nws_fault {
  int error;       /**< the nws_error, or NWS_OK */
  uint64_t offset; /**< where in the received stream (0: its first byte after
                        the opening handshake) the byte at fault stands; for
                        faults in what extensions decode, where the payload of
                        their frame begins */
} nws_fault;

/** The fault that ended the connection. */
NWS_API nws_fault nws_conn_fault(const nws_conn *conn);

/** The status code of the peer's close frame: 1005 when it was empty, 1006 when
 *  none came (RFC 6455 7.1.5). */
NWS_API unsigned nws_conn_close_code(const nws_conn *conn);

/** The status code of the close frame that we sent or owe: 1005 when it was
 *  empty, 1006 when none was sent. */
NWS_API unsigned nws_conn_close_sent(const nws_conn *conn);

/** Whether the closing handshake was completed (RFC 6455 7.1.4); 1 or 0. */
NWS_API int nws_conn_clean(const nws_conn *conn);

/** The name of an opcode on this connection, for logs; static or from the
 *  configuration. */
NWS_API const char *nws_conn_opcode_name(const nws_conn *conn, unsigned opcode);

/** The name of a reserved bit on this connection, for logs; static or from the
 *  configuration; "" for anything but one of NWS_RSV1, NWS_RSV2, NWS_RSV3. */
NWS_API const char *nws_conn_rsv_name(const nws_conn *conn, unsigned rsv);

NWS_END_DECLS

#endif
