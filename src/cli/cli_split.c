/* cli_split.c - messages in a stream of bytes, by lines, zero bytes, lengths,
 * or as they are read.
 *
 * What is to be sent is sent from where it lies if it lies there whole, and
 * collected in a piece of bounded size if not. Whatever could not be sent, as
 * the queue is full, is tried again from the same state.
 */
#include <stdlib.h>
#include <string.h>
#include "bridge.h"

void nws__cli_split_give(cli_split *split, const uint8_t *data, size_t len) {
  split->data = data;
  split->len = len;
  split->at = 0;
}

void nws__cli_split_free(cli_split *split) {
  free(split->piece);
  split->piece = NULL;
}

/* Sends a message, or the next fragment of one. */
static int send_piece(cli_split *s, nws_peer *peer, const void *data,
                      size_t len, int more) {
  unsigned what = s->binary ? NWS_OPCODE_BINARY : NWS_OPCODE_TEXT;
  if (s->fragmented) {
    what = NWS_OPCODE_CONTINUATION;
  }
  int rc = nws_peer_send(peer, more ? what | NWS_SEND_MORE : what, data, len);
  if (rc == NWS_OK) {
    s->fragmented = more;
  }
  return rc;
}

/* Moves bytes to the piece, and sends it whenever it is full. */
static int add(cli_split *s, nws_peer *peer, size_t len) {
  if (!s->piece && len) {
    s->piece = malloc(s->max_piece);
    if (!s->piece) {
      return NWS_ERROR_MEMORY;
    }
  }
  while (len) {
    if (s->piece_len == s->max_piece) {
      int rc = send_piece(s, peer, s->piece, s->piece_len, 1);
      if (rc != NWS_OK) {
        return rc;
      }
      s->piece_len = 0;
    }
    size_t room = s->max_piece - s->piece_len;
    size_t part = len < room ? len : room;
    memcpy(s->piece + s->piece_len, s->data + s->at, part);
    s->piece_len += part;
    s->at += part;
    len -= part;
  }
  return NWS_OK;
}

/* Sends what is in the piece, and `len` more bytes. */
static int end(cli_split *s, nws_peer *peer, size_t len) {
  int rc;
  if (s->piece_len == 0) {
    rc = send_piece(s, peer, s->data + s->at, len, 0);
    s->at += rc == NWS_OK ? len : 0;
  } else {
    rc = add(s, peer, len);
    if (rc == NWS_OK) {
      rc = send_piece(s, peer, s->piece, s->piece_len, 0);
    }
  }
  if (rc == NWS_OK) {
    s->piece_len = 0;
    s->count++;
  }
  return rc;
}

/* Takes a message up to its mark, or what there is of it. */
static int take_marked(cli_split *s, nws_peer *peer, char mark) {
  const uint8_t *from = s->data + s->at;
  const uint8_t *found = memchr(from, mark, s->len - s->at);
  if (!found) {
    return add(s, peer, s->len - s->at);
  }
  int rc = end(s, peer, (size_t)(found - from));
  s->at += rc == NWS_OK;
  return rc;
}

/* Takes a byte of the length, or what there is of the message. */
static int take_counted(cli_split *s, nws_peer *peer) {
  if (!s->in_body) {
    s->left = s->left << 8 | s->data[s->at++];
    s->in_body = ++s->head_len == 4;
    return NWS_OK;
  }
  const size_t before = s->at;
  const size_t there = s->len - s->at;
  const int whole = there >= s->left;
  int rc = whole ? end(s, peer, s->left) : add(s, peer, there);
  s->left -= (uint32_t)(s->at - before);
  if (rc == NWS_OK && whole) {
    s->in_body = 0;
    s->head_len = 0;
  }
  return rc;
}

static int take(cli_split *s, nws_peer *peer) {
  switch (s->framing) {
  case CLI_FRAMING_LENGTH:
    return take_counted(s, peer);
  case CLI_FRAMING_RAW:
    return end(s, peer, s->len - s->at);
  default:
    return take_marked(s, peer, s->framing == CLI_FRAMING_NULL ? '\0' : '\n');
  }
}

int nws__cli_split_pump(cli_split *split, nws_peer *peer) {
  int rc = NWS_OK;
  while (rc == NWS_OK &&
         (split->at < split->len || (split->in_body && split->left == 0))) {
    rc = take(split, peer);
  }
  return rc;
}

int nws__cli_split_end(cli_split *split, nws_peer *peer) {
  if (split->head_len) {
    return NWS_ERROR_EOF;
  }
  return split->piece_len ? end(split, peer, 0) : NWS_OK;
}

void nws__cli_split_complain(const cli_split *split, const char *what,
                             int error) {
  const unsigned long long number = split->count + 1;
  if (error == NWS_ERROR_TEXT_SEND) {
    nws__cli_say("%s %llu of %s is not UTF-8, as text messages must be; "
                 "--binary sends anything",
                 split->framing == CLI_FRAMING_LINES ? "line" : "message",
                 number, what);
  } else if (error == NWS_ERROR_EOF) {
    nws__cli_say("%s ends inside message %llu or its length", what, number);
  } else {
    nws__cli_say("cannot send: %s", nws_net_text(error));
  }
}

size_t nws__cli_join(unsigned framing, size_t len, uint8_t before[4],
                     const char **behind) {
  *behind = framing == CLI_FRAMING_LINES  ? "\n"
            : framing == CLI_FRAMING_NULL ? "\0"
                                          : NULL;
  if (framing != CLI_FRAMING_LENGTH) {
    return 0;
  }
  for (unsigned i = 0; i < 4; i++) {
    before[i] = (uint8_t)(len >> (24 - 8 * i));
  }
  return 4;
}
