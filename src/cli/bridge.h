/* bridge.h - between WebSockets and streams of bytes: how messages stand in a
 * stream, and what is read sent on, and what is received written.
 */
#ifndef NWS_BRIDGE_H
#define NWS_BRIDGE_H

#include "cli.h"

/* --- cli_split.c: from a stream to messages --- */

/* How messages stand in a stream. */
enum cli_framing {
  CLI_FRAMING_LINES = 0, /* a line end behind each */
  CLI_FRAMING_NULL,      /* a zero byte behind each */
  CLI_FRAMING_LENGTH, /* four bytes before each: its length, high byte first */
  CLI_FRAMING_RAW     /* nothing: what one read gives is one */
};

/* Sends what comes as messages. A message longer than `max_piece` leaves in
 * fragments (RFC 6455 5.4), so that memory is bounded. Zero it. */
typedef struct cli_split {
  /* To be set. */
  unsigned framing;
  int binary;
  size_t max_piece;

  uint64_t count;      /* messages sent */
  const uint8_t *data; /* what was given, and how much is dealt with */
  size_t len;
  size_t at;
  uint8_t *piece; /* the begin of a message; made when needed */
  size_t piece_len;
  int fragmented; /* fragments before it have been sent */
  int in_body;    /* the length has been read */
  unsigned head_len;
  uint32_t left; /* the length, then what is missing of the message */
} cli_split;

/* Gives bytes, borrowed until nws__cli_split_pump() has taken all. */
void nws__cli_split_give(cli_split *split, const uint8_t *data, size_t len);

/* Sends what has been given. Returns NWS_OK when all has been taken,
 * NWS_ERROR_QUEUE when it is to be called again after a drain, or another
 * error of nws_peer_send(). */
int nws__cli_split_pump(cli_split *split, nws_peer *peer);

/* Sends what is left at the end of the stream. The same results, and
 * NWS_ERROR_EOF when it ends in the middle of a message with a length. */
int nws__cli_split_end(cli_split *split, nws_peer *peer);

/* Says why nothing more is sent; `what` names the stream. */
void nws__cli_split_complain(const cli_split *split, const char *what,
                             int error);

void nws__cli_split_free(cli_split *split);

/* What stands around a message in a stream: writes what comes before it, at
 * most 4 bytes, and sets what comes behind it, NULL for nothing. Returns the
 * length of the former. */
size_t nws__cli_join(unsigned framing, size_t len, uint8_t before[4],
                     const char **behind);

#endif
