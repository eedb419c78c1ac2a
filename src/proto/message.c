/* message.c - whole messages in one contiguous block.
 *
 * The block grows by half of itself, never beyond the limit, and only when
 * bytes have arrived: what a frame header announces is no reason to allocate
 * more than the rest of a frame that is well under way.
 */
#include <nws/error.h>
#include <nws/message.h>

#include <string.h>

enum { LIMIT_DEFAULT = 1 << 20, BLOCK_MIN = 256 };

void nws_message_init(nws_message *message, const nws_allocator *allocator,
                      uint64_t limit) {
  if (message == NULL) {
    return;
  }
  memset(message, 0, sizeof(*message));
  message->allocator = allocator;
  message->limit = limit != 0 ? limit : LIMIT_DEFAULT;
}

static uint8_t *resize(nws_message *message, size_t new_len) {
  const nws_allocator *allocator = message->allocator;
  return allocator->resize(allocator->user, message->block, message->cap,
                           new_len);
}

/* The next size of the block for `need` bytes, which are within the limit. */
static size_t next_cap(const nws_message *message, size_t need) {
  const size_t half = message->cap / 2;
  size_t cap = message->cap <= SIZE_MAX - half ? message->cap + half : SIZE_MAX;
  if (cap < BLOCK_MIN) {
    cap = BLOCK_MIN;
  }
  if (cap > message->limit) {
    cap = (size_t)message->limit;
  }
  return cap < need ? need : cap;
}

/* Makes room for `need` bytes in all. */
static int reserve(nws_message *message, size_t need) {
  const size_t cap = next_cap(message, need);
  uint8_t *block;
  if (need <= message->cap) {
    return NWS_OK;
  }
  if (message->allocator == NULL || message->allocator->resize == NULL) {
    return NWS_ERROR_MEMORY;
  }
  block = resize(message, cap);
  if (block == NULL) {
    return NWS_ERROR_MEMORY;
  }
  message->block = block;
  message->cap = cap;
  return NWS_OK;
}

static int append(nws_message *message, const nws_event *event) {
  int status;
  if (event->len > message->limit ||
      message->len > message->limit - event->len) {
    return NWS_ERROR_MESSAGE_LIMIT;
  }
  if (event->len == 0) {
    return NWS_OK;
  }
  status = reserve(message, message->len + event->len);
  if (status == NWS_OK) {
    memcpy(message->block + message->len, event->data, event->len);
    message->len += event->len;
    message->data = message->block;
  }
  return status;
}

int nws_message_add(nws_message *message, const nws_event *event) {
  if (message == NULL || event == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  if (event->type != NWS_EVENT_DATA) {
    return NWS_MORE;
  }
  if ((event->flags & NWS_MESSAGE_BEGIN) != 0) {
    message->error = NWS_OK;
    message->len = 0;
    message->data = message->block;
    message->opcode = event->opcode;
  }
  if (message->error != NWS_OK) {
    return message->error;
  }
  if (event->flags == NWS_MESSAGE_WHOLE && event->len <= message->limit) {
    message->data = event->data;
    message->len = event->len;
    return NWS_OK;
  }
  message->error = append(message, event);
  if (message->error != NWS_OK) {
    return message->error;
  }
  return (event->flags & NWS_MESSAGE_END) != 0 ? NWS_OK : NWS_MORE;
}

void nws_message_trim(nws_message *message, size_t keep) {
  if (message == NULL || message->cap <= keep) {
    return;
  }
  if (message->data == message->block) {
    message->data = NULL;
    message->len = 0;
  }
  resize(message, 0);
  message->block = NULL;
  message->cap = 0;
}

void nws_message_free(nws_message *message) {
  if (message == NULL) {
    return;
  }
  nws_message_trim(message, 0);
  message->data = NULL;
  message->len = 0;
}
