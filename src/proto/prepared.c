/* prepared.c - messages framed beforehand, and who holds them.
 */
#include <nws/error.h>
#include <nws/prepared.h>
#include <nws/utf8.h>

#include <string.h>

/* One in one block: this, the header, the payload. */
typedef struct plain {
  nws_prepared base;
  const nws_allocator *allocator;
  size_t block_len;
} plain;

static void free_plain(nws_prepared *message) {
  plain *it = (plain *)message;
  const nws_allocator *allocator = it->allocator;
  allocator->resize(allocator->user, it, it->block_len, 0);
}

static int check(unsigned opcode, const void *payload, size_t len) {
  nws_utf8 utf8 = NWS_UTF8_START;
  if (opcode == NWS_OPCODE_CONTINUATION || opcode >= NWS_OPCODE_CLOSE ||
      (payload == NULL && len > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  if (len > SIZE_MAX - sizeof(plain) - NWS_FRAME_HEADER_MAX ||
      (uint64_t)len > (uint64_t)NWS_FRAME_PAYLOAD_MAX) {
    return NWS_ERROR_LENGTH;
  }
  /* RFC 6455 5.6, 8.1: text is sent as UTF-8. */
  if (opcode == NWS_OPCODE_TEXT &&
      (nws_utf8_check(&utf8, payload, len) < len || utf8 != NWS_UTF8_START)) {
    return NWS_ERROR_TEXT_SEND;
  }
  return NWS_OK;
}

int nws_prepared_make(const nws_allocator *allocator, unsigned opcode,
                      const void *payload, size_t len, nws_prepared **message) {
  nws_frame frame = {0};
  plain *it;
  uint8_t *bytes;
  size_t header_len;
  int status;
  if (allocator == NULL || allocator->resize == NULL || message == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  status = check(opcode, payload, len);
  if (status != NWS_OK) {
    return status;
  }
  header_len = nws_frame_header_len(len, 0);
  it = allocator->resize(allocator->user, NULL, 0,
                         sizeof(*it) + header_len + len);
  if (it == NULL) {
    return NWS_ERROR_MEMORY;
  }
  memset(it, 0, sizeof(*it));
  bytes = (uint8_t *)(it + 1);
  frame.opcode = (uint8_t)opcode;
  frame.fin = 1;
  frame.payload_len = len;
  nws_frame_build(&frame, bytes);
  if (len > 0) {
    memcpy(bytes + header_len, payload, len);
  }
  it->allocator = allocator;
  it->block_len = sizeof(*it) + header_len + len;
  it->base.size = sizeof(it->base);
  it->base.frame = bytes;
  it->base.frame_len = header_len + len;
  it->base.payload_len = len;
  it->base.opcode = (uint8_t)opcode;
  it->base.refs = 1;
  it->base.free = free_plain;
  *message = &it->base;
  return NWS_OK;
}

void nws_prepared_keep(nws_prepared *message) {
  if (message != NULL) {
    message->refs++;
  }
}

void nws_prepared_drop(nws_prepared *message) {
  if (message != NULL && --message->refs == 0) {
    message->free(message);
  }
}
