/* frame.h - frame headers and close payloads as bytes (RFC 6455 5.2, 5.5.1).
 *
 * Pure functions over the caller's memory: for those who want frames and
 * nothing else, and what the connection engine itself is made of. They know
 * what is well-formed; what is allowed on a given connection (masking
 * direction, reserved bits and opcodes, order of fragments) is conn.h's
 * business.
 */
#ifndef NWS_FRAME_H
#define NWS_FRAME_H

#include <nws/base.h>

NWS_BEGIN_DECLS

/** The opcodes of RFC 6455 5.2. 3 to 7 and 11 to 15 are reserved; they can be
 *  enabled per connection. 8 and up are control frames. */
typedef enum nws_opcode {
  NWS_OPCODE_CONTINUATION = 0,
  NWS_OPCODE_TEXT = 1,
  NWS_OPCODE_BINARY = 2,
  NWS_OPCODE_CLOSE = 8,
  NWS_OPCODE_PING = 9,
  NWS_OPCODE_PONG = 10
} nws_opcode;

/* The reserved bits, as they stand in the first byte of a frame. */
#define NWS_RSV1 0x40u
#define NWS_RSV2 0x20u
#define NWS_RSV3 0x10u

/* The longest header: 2 bytes, 8 of length, 4 of masking key. */
#define NWS_FRAME_HEADER_MAX 14
/* The longest payload of a control frame (RFC 6455 5.5). */
#define NWS_CONTROL_PAYLOAD_MAX 125
/* The longest control frame, header included. */
#define NWS_CONTROL_FRAME_MAX 131
/* The longest reason in a close frame. */
#define NWS_CLOSE_REASON_MAX 123
/* The longest payload that a frame can have: 2^63 - 1 (RFC 6455 5.2). */
#define NWS_FRAME_PAYLOAD_MAX INT64_MAX

/** A frame header (RFC 6455 5.2). */
typedef struct nws_frame {
  uint64_t payload_len; /**< bytes of payload, at most NWS_FRAME_PAYLOAD_MAX */
  uint8_t opcode;       /**< 0 to 15 */
  uint8_t fin;          /**< 1 in the last frame of a message */
  uint8_t rsv;          /**< NWS_RSV1 | NWS_RSV2 | NWS_RSV3 as set */
  uint8_t masked;       /**< 1 when `key` is part of the header */
  uint8_t key[4];       /**< masking key in wire order; zero when unmasked */
  uint8_t header_len;   /**< bytes of header: set by parsing, not read by
                             building */
} nws_frame;

/** Parses a frame header from any prefix of it (RFC 6455 5.2).
 *
 *  Refuses as early as the bytes allow: lengths that are not in their shortest
 *  form, lengths of 2^63 and more, control frames that are fragmented or
 *  announce more than 125 bytes.
 *
 *  @param frame  the result; on NWS_MORE `header_len` holds the number of
 *                bytes that the whole header has, as far as can be told (2
 *                when fewer than 2 are at hand), and the rest is unspecified
 *  @param data   the first `len` bytes of a frame; those behind the header are
 *                not looked at
 *  @param len    bytes at hand, 0 and up
 *  @return NWS_OK; NWS_MORE when bytes are missing (header_len - len more, at
 *          least); NWS_ERROR_LENGTH_MINIMAL, NWS_ERROR_LENGTH_63,
 *          NWS_ERROR_CONTROL_FRAGMENTED, NWS_ERROR_CONTROL_LENGTH;
 *          NWS_ERROR_ARGUMENT for a NULL. Which one does not depend on how many
 *          bytes are at hand beyond those that prove it. */
NWS_API int nws_frame_parse(nws_frame *frame, const void *data, size_t len);

/** Writes a frame header in its shortest form (RFC 6455 5.2).
 *
 *  @param frame  all but `header_len` is read
 *  @param out    at least NWS_FRAME_HEADER_MAX bytes
 *  @return the number of bytes written, 2 to 14; NWS_ERROR_ARGUMENT for a
 *          NULL, an opcode above 15 or other bits in `rsv`; NWS_ERROR_LENGTH
 *          for a payload over 2^63-1; NWS_ERROR_CONTROL_FRAGMENT and
 *          NWS_ERROR_CONTROL_LONG for a control frame that may not exist. */
NWS_API int nws_frame_build(const nws_frame *frame, void *out);

/** How many bytes the header of a frame takes.
 *  @param payload_len  bytes of payload
 *  @param masked       not 0 for a frame with a masking key
 *  @return 2 to 14 */
NWS_API size_t nws_frame_header_len(uint64_t payload_len, int masked);

/* --- Close payloads (RFC 6455 5.5.1, 7.4) --- */

/** The status codes of RFC 6455 7.4.1 and of IANA's registry. */
typedef enum nws_close_code {
  NWS_CLOSE_NORMAL = 1000,
  NWS_CLOSE_GOING_AWAY = 1001,
  NWS_CLOSE_PROTOCOL_ERROR = 1002,
  NWS_CLOSE_UNSUPPORTED_DATA = 1003,
  NWS_CLOSE_NO_STATUS = 1005, /**< an empty close; never travels */
  NWS_CLOSE_ABNORMAL = 1006,  /**< no close at all; never travels */
  NWS_CLOSE_INVALID_PAYLOAD = 1007,
  NWS_CLOSE_POLICY_VIOLATION = 1008,
  NWS_CLOSE_MESSAGE_TOO_BIG = 1009,
  NWS_CLOSE_MANDATORY_EXTENSION = 1010,
  NWS_CLOSE_INTERNAL_ERROR = 1011,
  NWS_CLOSE_SERVICE_RESTART = 1012,
  NWS_CLOSE_TRY_AGAIN_LATER = 1013,
  NWS_CLOSE_BAD_GATEWAY = 1014,
  NWS_CLOSE_TLS_HANDSHAKE = 1015 /**< never travels */
} nws_close_code;

/** Says whether a code may stand in a close frame: 1000 to 1003, 1007 to 1014,
 *  3000 to 4999 (RFC 6455 7.4). 1 or 0. */
NWS_API int nws_close_code_valid(unsigned code);

/** The name of a status code, like "going away"; static; "" for one that has
 *  no registered meaning. */
NWS_API const char *nws_close_code_name(unsigned code);

/** Reads the payload of a close frame (RFC 6455 5.5.1).
 *
 *  @param payload  unmasked, borrowed; may be NULL with 0
 *  @param len      0 to 125
 *  @param code     the status code; NWS_CLOSE_NO_STATUS for an empty payload
 *  @param reason   points into `payload`; empty when there is none
 *  @param bad_at   on failure the index of the first byte at fault; may be NULL
 *  @return NWS_OK; NWS_ERROR_CLOSE_LENGTH for 1 byte (at index 1),
 *          NWS_ERROR_CLOSE_CODE (at 0), NWS_ERROR_CLOSE_TEXT (at the byte, or
 *          at `len` when the last character is cut), NWS_ERROR_CONTROL_LENGTH
 *          for more than 125 (at 125); NWS_ERROR_ARGUMENT for a NULL (at 0).
 *          `code` and `reason` are then unchanged. */
NWS_API int nws_close_parse(const void *payload, size_t len, uint16_t *code,
                            nws_str *reason, size_t *bad_at);

/** Writes the payload of a close frame (RFC 6455 5.5.1).
 *
 *  @param code    a code that may be sent; 0 for an empty payload, which takes
 *                 no reason
 *  @param reason  at most 123 bytes of UTF-8; may lie within `out`
 *  @param out     at least 2 + reason.len bytes; may be NULL with code 0
 *  @return the number of bytes written, 0 to 125; NWS_ERROR_CLOSE_CODE_SEND;
 *          NWS_ERROR_CONTROL_LONG; NWS_ERROR_TEXT_SEND; NWS_ERROR_ARGUMENT for
 *          a reason without a code, or a NULL. */
NWS_API int nws_close_build(unsigned code, nws_str reason, void *out);

NWS_END_DECLS

#endif
