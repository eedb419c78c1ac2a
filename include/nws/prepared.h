/* prepared.h - one message for many connections: framed once, sent from where
 * it lies.
 *
 *     nws_prepared *news;
 *     if (nws_prepared_make(&allocator, NWS_OPCODE_TEXT, text, len, &news) !=
 *         NWS_OK)
 *       return;
 *     for (size_t i = 0; i < count; i++) {
 *       if (nws_conn_send_prepared(&conns[i], news, &rests[i].bytes,
 *                                  &rests[i].len) == NWS_OK) {
 *         rests[i].message = news;
 *         nws_prepared_keep(news);
 *         write_rest(fds[i], &rests[i]);
 *       }
 *     }
 *     nws_prepared_drop(news);
 *
 * However many connections there are, the payload is there once: what is
 * queued for each is where to go on, and that the message is held until then.
 *
 *     static void write_rest(int fd, rest *it) { // and when fd is writable
 *       const ssize_t done = write(fd, it->bytes, it->len);
 *       it->bytes += done > 0 ? done : 0;
 *       it->len -= done > 0 ? (size_t)done : 0;
 *       if (it->len == 0)
 *         nws_prepared_drop(it->message);
 *     }
 *
 * Servers only: a client masks each frame with a key of its own (RFC 6455 5.3).
 * One that compresses is made by nws_deflate_prepare() (deflate.h).
 */
#ifndef NWS_PREPARED_H
#define NWS_PREPARED_H

#include <nws/base.h>
#include <nws/conn.h>
#include <nws/error.h>
#include <nws/extension.h>

NWS_BEGIN_DECLS

/** A prepared message. Its fields are for those who make them: a struct of
 *  yours with this one first can have other forms for an extension's use. */
struct nws_prepared {
  size_t size;              /**< sizeof(nws_prepared) */
  const uint8_t *frame;     /**< a whole frame: final, unmasked, without
                                 reserved bits; text in it is not validated
                                 again */
  size_t frame_len;         /**< bytes at `frame`, header included */
  uint64_t payload_len;     /**< bytes of payload in it */
  uint8_t opcode;           /**< of a data frame, not a continuation */
  const nws_extension *ext; /**< whose `prepared` has other forms; NULL */
  size_t refs;              /**< how many hold it */
  void (*free)(nws_prepared *message); /**< called when none does any more */
};

/** Makes a plain one, in one block.
 *  @param allocator  borrowed until the message is gone
 *  @param opcode     NWS_OPCODE_TEXT, _BINARY or a custom one for data
 *  @param payload    `len` bytes, copied; may be NULL with 0
 *  @param message    the result, held once; unchanged on failure
 *  @return NWS_OK; NWS_ERROR_ARGUMENT; NWS_ERROR_LENGTH; NWS_ERROR_TEXT_SEND
 *          (not UTF-8); NWS_ERROR_MEMORY. */
NWS_API int nws_prepared_make(const nws_allocator *allocator, unsigned opcode,
                              const void *payload, size_t len,
                              nws_prepared **message);

/** Holds it once more: until what nws_conn_send_prepared() gave of it is
 *  written. Allocates nothing. Holding and dropping is for one thread at a
 *  time. */
NWS_API void nws_prepared_keep(nws_prepared *message);

/** Holds it once less; after the last time it is gone. NULL does nothing. */
NWS_API void nws_prepared_drop(nws_prepared *message);

/** Sends a prepared message on a server's connection, as nws_conn_send() would,
 *  but the bytes to write are the message's own.
 *
 *  @param frame      what goes to the peer next, in the order of calls: header
 *                    and payload in one piece, the same for every connection
 *                    that is sent the same form; never changes, and is valid as
 *                    long as the message is held
 *  @param frame_len  bytes at `frame`
 *  @return as nws_conn_send(); NWS_ERROR_ARGUMENT on a client's connection;
 *          NWS_ERROR_NO_ENCODING when an extension must encode every message.
 *          Nothing has changed on failure. */
NWS_API int nws_conn_send_prepared(nws_conn *conn, nws_prepared *message,
                                   const uint8_t **frame, size_t *frame_len);

NWS_END_DECLS

#endif
