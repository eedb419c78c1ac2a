/* session.h - recordings of a session, for `nws record` and `nws replay`.
 *
 * A recording is text, one JSON object a line. The first line says what was
 * recorded; each of the others is a message, or how a side ended:
 *
 *     {"nws":"session","version":1,"url":"ws://a/","subprotocol":"chat"}
 *     {"t":0.001250,"from":"client","type":"text","len":5,"data":"hello"}
 *     {"t":0.002310,"from":"server","type":"binary","len":3,"data":"AAEC"}
 *     {"t":1.500000,"from":"client","type":"close","code":1000,"reason":""}
 *     {"t":1.500200,"from":"server","type":"lost","why":"connection reset"}
 *
 * t is in seconds from when the connection was open; binary data is in base64.
 * What is read back has to have this shape, in this order and without white
 * space, as `jq -c` leaves it too; only the strings may be written differently.
 */
#ifndef NWS_SESSION_H
#define NWS_SESSION_H

#include "cli.h"

enum session_type { SESSION_TEXT, SESSION_BINARY, SESSION_CLOSE, SESSION_LOST };

typedef struct session_entry {
  uint64_t line;
  uint64_t ns; /* since the connection was open */
  int from_client;
  enum session_type type;
  unsigned code;   /* SESSION_CLOSE; 1005: none */
  char *data;      /* payload; reason; why it was lost */
  size_t len;      /* of it */
  uint64_t before; /* messages of the other side before this one */
} session_entry;

/* --- session_write.c --- */

void nws__cli_session_begin(FILE *out, const char *url, nws_str subprotocol);
void nws__cli_session_put(FILE *out, const session_entry *entry);

/* --- session_read.c --- */

/* A recording that has been read. Zero is empty. */
typedef struct session {
  char *subprotocol; /* "": none */
  session_entry *entries;
  size_t count;
  size_t cap;
  int ended[2]; /* whether the server, the client has */
} session;

/* Reads a recording. Returns CLI_EXIT_OK, or CLI_EXIT_USAGE after complaining
 * of the line that is wrong. */
int nws__cli_session_read(session *s, const char *name);
void nws__cli_session_free(session *s);

#endif
