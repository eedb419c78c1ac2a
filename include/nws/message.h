/* message.h - whole messages out of the pieces that a connection delivers.
 *
 *     if (event.type == NWS_EVENT_DATA) {
 *       int rc = nws_message_add(&message, &event);
 *       if (rc == NWS_OK)
 *         use(message.opcode, message.data, message.len);
 *     }
 *
 * A message that arrived in one piece is not copied. All others are put
 * together in one contiguous block from the caller's allocator, which grows
 * with what has arrived, never with what was announced.
 */
#ifndef NWS_MESSAGE_H
#define NWS_MESSAGE_H

#include <nws/base.h>
#include <nws/conn.h>

NWS_BEGIN_DECLS

/** A message being put together. Start it with nws_message_init(). */
typedef struct nws_message {
  const nws_allocator *allocator; /**< borrowed */
  uint64_t limit;                 /**< bytes; see nws_message_init() */
  uint8_t *data;  /**< the message; valid until the next call on it, and where
                       it was not copied only as long as the event's data */
  size_t len;     /**< bytes at `data` */
  uint8_t opcode; /**< NWS_OPCODE_TEXT, _BINARY or a custom one */
  int error;      /**< private: why the rest of this message is refused */
  uint8_t *block; /**< private: the allocator's block */
  size_t cap;     /**< private: its size */
} nws_message;

/** Sets up an empty message; allocates nothing.
 *  @param allocator  borrowed as long as `message` is used
 *  @param limit      most bytes of a message; 0 means 1 MiB, NWS_UNLIMITED
 *                    none. The connection's max_message is the limit that
 *                    protects; this one guards against a mismatch. */
NWS_API void nws_message_init(nws_message *message,
                              const nws_allocator *allocator, uint64_t limit);

/** Adds the next piece.
 *  @param event  a DATA event; others are ignored
 *  @return NWS_OK when the message is whole now; NWS_MORE when it is not (or
 *          the event was not data); NWS_ERROR_MEMORY, NWS_ERROR_MESSAGE_LIMIT:
 *          the piece was not added, the message is lost, and pieces are
 *          refused with the same error until the next message begins. */
NWS_API int nws_message_add(nws_message *message, const nws_event *event);

/** Lets the block go if it is larger than `keep` bytes, so that one large
 *  message does not pin memory. Call it between messages, when the last one has
 *  been dealt with. */
NWS_API void nws_message_trim(nws_message *message, size_t keep);

/** Gives all memory back. The message can be used again. */
NWS_API void nws_message_free(nws_message *message);

NWS_END_DECLS

#endif
