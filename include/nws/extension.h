/* extension.h - the interface through which extensions (RFC 6455 9) reach a
 * connection: permessage-deflate is one, yours is another.
 *
 * An extension is a constant table of functions. Derive yours by putting an
 * nws_extension first in a struct of your own. It is negotiated in the opening
 * handshake (offer, accept, confirm), which yields a state per connection;
 * after that it sees each frame's header, may claim reserved bits and opcodes,
 * and may transform the payload of data frames. Payload of control frames is
 * never transformed.
 *
 * A connection without handshake can be given extensions just as well: fill
 * nws_extension_use yourself.
 */
#ifndef NWS_EXTENSION_H
#define NWS_EXTENSION_H

#include <nws/base.h>
#include <nws/frame.h>

NWS_BEGIN_DECLS

/* The most extensions that one connection can use at once. */
#define NWS_EXTENSIONS_MAX 4
/* The most parameters that one offer may have; one with more is declined. */
#define NWS_EXTENSION_PARAMS_MAX 16

/** What an extension's function answers, besides errors. */
enum {
  NWS_EXTENSION_PASS = 0,      /**< leave this frame's payload as it is */
  NWS_EXTENSION_TRANSFORM = 1, /**< run its payload through decode or encode */
  NWS_EXTENSION_DECLINED = 1   /**< accept: not this offer, try the next */
};

/** A parameter of an offer: `name`, `name=value` or `name="value"`. */
typedef struct nws_extension_param {
  nws_str name;    /**< a token, compared without case */
  nws_str value;   /**< `ptr` NULL when there is no value; without its quotes */
  uint8_t quoted;  /**< 1 when the value stood in quotes */
  uint8_t escaped; /**< 1 when `value` still has backslashes in it */
} nws_extension_param;

/** One element of Sec-WebSocket-Extensions, taken apart (RFC 6455 9.1). */
typedef struct nws_extension_offer {
  nws_str name; /**< a token */
  nws_str text; /**< the element as it was written */
  nws_extension_param params[NWS_EXTENSION_PARAMS_MAX];
  size_t param_count; /**< at most NWS_EXTENSION_PARAMS_MAX */
  int overflow;       /**< 1 when there were more parameters than fit */
} nws_extension_offer;

/** Takes the next element from the value of a Sec-WebSocket-Extensions header.
 *
 *  @param rest   in: what is left of the value; out: what is left behind the
 *                element, or where the fault is
 *  @param offer  the element; slices point into the value
 *  @return 1 for an element, 0 at the end, NWS_ERROR_EXTENSION_HEADER when the
 *          syntax of RFC 6455 9.1 is broken (a quoted value must be a token
 *          once unescaped). */
NWS_API int nws_extension_offer_next(nws_str *rest, nws_extension_offer *offer);

/** Payload on its way through an extension. */
typedef struct nws_extension_data {
  const uint8_t *in;   /**< what is to be transformed; advance it as you read */
  size_t in_len;       /**< bytes at `in`; count it down */
  uint8_t *out;        /**< where the result goes; does not overlap `in` */
  size_t out_cap;      /**< room at `out`, at least 1 */
  size_t out_len;      /**< set: bytes written */
  uint8_t frame_end;   /**< 1 when the frame's payload ends with this input */
  uint8_t message_end; /**< 1 when the message ends with this input too */
} nws_extension_data;

typedef struct nws_extension nws_extension;
/** A message that is sent to many connections; see prepared.h. */
typedef struct nws_prepared nws_prepared;

/** An extension. All functions but `offer`, `accept` and `confirm` may be NULL;
 *  of those, a role that is never played may be. Errors that functions return
 *  are nws_error values: NWS_ERROR_EXTENSION ends the connection with
 *  NWS_CLOSE_INVALID_PAYLOAD, NWS_ERROR_MESSAGE_LIMIT with
 *  NWS_CLOSE_MESSAGE_TOO_BIG, NWS_ERROR_MEMORY with
 *  NWS_CLOSE_INTERNAL_ERROR. */
struct nws_extension {
  size_t size;      /**< sizeof(nws_extension) */
  const char *name; /**< its token, static */
  uint8_t rsv;      /**< the reserved bits it owns, NWS_RSV1 | … */
  uint16_t opcodes; /**< the opcodes it owns, bit n for opcode n; only reserved
                         ones: 3 to 7 and 11 to 15 */

  /** Client: writes what it offers, one element or several in order of
   *  preference, separated by commas ("x-mine; level=3").
   *  @return the number of bytes written; 0 to offer nothing;
   *          NWS_ERROR_BUFFER when `cap` does not suffice. */
  int (*offer)(const nws_extension *ext, char *out, size_t cap);

  /** Server: looks at one offer of its name, and answers it.
   *  @param out    where the answering element goes
   *  @param len    set to its length
   *  @param state  set to the connection's state; may stay NULL; looked at
   *                only with NWS_OK
   *  @return NWS_OK; NWS_EXTENSION_DECLINED; NWS_ERROR_BUFFER,
   *          NWS_ERROR_MEMORY. */
  int (*accept)(const nws_extension *ext, const nws_extension_offer *offer,
                char *out, size_t cap, size_t *len, void **state);

  /** Client: looks at the server's answer to what it offered.
   *  @return NWS_OK; NWS_ERROR_EXTENSION_HEADER when the answer is not one that
   *          the offer allows; NWS_ERROR_MEMORY. */
  int (*confirm)(const nws_extension *ext, const nws_extension_offer *answer,
                 void **state);

  /** Gives a connection's state back. */
  void (*release)(const nws_extension *ext, void *state);

  /** Sees the header of each frame that arrives, in the order in which
   *  extensions decode (the last negotiated first), before the payload.
   *  @param frame  as on the wire; for continuation frames `opcode` is 0
   *  @return NWS_EXTENSION_PASS, NWS_EXTENSION_TRANSFORM (data frames only),
   *          or NWS_ERROR_RSV, NWS_ERROR_OPCODE, NWS_ERROR_EXTENSION. NULL
   *          means PASS, and then its reserved bits are accepted everywhere. */
  int (*frame_in)(void *state, const nws_frame *frame);

  /** Decodes payload of a frame that was to be transformed, as it arrives. Is
   *  called with what there is, and at the end of each frame with `frame_end`,
   *  possibly without input; as long as it returns NWS_MORE it is called again
   *  with room for output, with the marks set as before. So what is done at the
   *  end of a message (such as feeding a tail) is done once `in_len` is 0, and
   *  remembered.
   *  @return NWS_OK when the input is used up and nothing is held back;
   *          NWS_MORE when there may be more output (each such call must have
   *          taken or given something); an error, with which the output of the
   *          call is lost: to deliver what stands before a fault, return
   *          NWS_MORE first. */
  int (*decode)(void *state, nws_extension_data *data);

  /** Sees the header of each frame that nws_conn_send() and
   *  nws_conn_send_begin() are about to send, in order of negotiation, and may
   *  set reserved bits that it owns. The call can still fail after that, so
   *  what was encoded is remembered by `encode`.
   *  @param frame  `payload_len` is the length before any encoding
   *  @param may_transform  0 when the payload cannot be encoded: it is sent
   *                from where it lies, the message is to stay plain
   *                (NWS_SEND_PLAIN), or it is a control frame
   *  @return NWS_EXTENSION_PASS, NWS_EXTENSION_TRANSFORM, or
   *          NWS_ERROR_NO_ENCODING when this frame must be encoded but may not
   *          be. NULL means PASS. */
  int (*frame_out)(void *state, nws_frame *frame, int may_transform);

  /** The most bytes that encoding `len` bytes as one frame can give; grows with
   *  `len` and does not change between calls. */
  size_t (*encode_bound)(void *state, size_t len);

  /** Encodes the whole payload of one frame; `out_cap` is at least the bound,
   *  `in` may be NULL where `in_len` is 0.
   *  @return NWS_OK; NWS_ERROR_MEMORY: its state must then be what it was
   *          before. (If another extension had encoded the frame already, the
   *          connection ends with NWS_CLOSE_INTERNAL_ERROR.) */
  int (*encode)(void *state, nws_extension_data *data);

  /** Gives another form of a prepared message that names this extension (for
   *  all others, frame_out is asked, with `may_transform` 0). What is given is
   *  sent as the connection's next message, unless the call still fails: so it
   *  must not matter if it is not.
   *  @param frame      set, with TRANSFORM: a whole frame, final and unmasked,
   *                    that stays as long as the message
   *  @param frame_len  set, with TRANSFORM: its bytes
   *  @return NWS_EXTENSION_PASS to send it as it is, NWS_EXTENSION_TRANSFORM,
   *          NWS_ERROR_MEMORY. NULL means PASS. */
  int (*prepared)(void *state, nws_prepared *message, const uint8_t **frame,
                  size_t *frame_len);
};

/** An extension in use on a connection. The handshake fills these; a
 *  connection borrows the array for as long as it lives. */
typedef struct nws_extension_use {
  const nws_extension *ext; /**< the extension */
  void *state;              /**< what accept or confirm gave */
  const uint8_t *waiting;   /**< private: input not decoded yet */
  size_t waiting_len;       /**< private */
  uint8_t flags;            /**< private */
} nws_extension_use;

/** Gives back the states of `count` uses and clears them. Call it once, after
 *  the connection (or a handshake that came to nothing). */
NWS_API void nws_extension_release(nws_extension_use *uses, size_t count);

NWS_END_DECLS

#endif
