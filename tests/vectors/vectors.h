/* vectors.h - what the parts of the conformance runner share.
 *
 * A vector is one case of a Markdown file: bytes and calls that go in, and the
 * log of what must come out (README.md describes the notation). The reader
 * turns files into vectors, the two players turn a vector and a way of cutting
 * its bytes into a log, and the runner compares logs.
 */
#ifndef NWS_TESTS_VECTORS_H
#define NWS_TESTS_VECTORS_H

#include <nws/conn.h>
#include <nws/handshake.h>

#include <stddef.h>
#include <stdint.h>

/** Bytes or text that grow; all zero is empty. Text has no final zero. */
typedef struct bytes {
  uint8_t *data;
  size_t len;
  size_t cap;
} bytes;

void *xalloc(size_t len);
void bytes_add(bytes *to, const void *data, size_t len);
void bytes_print(bytes *to, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void bytes_free(bytes *of);

/** Adds what a line in the notation for bytes stands for; -1 when it does not
 *  follow the notation. */
int bytes_expand(bytes *to, const char *text);

/** Adds ": " and a payload in the one notation that logs use; nothing for an
 *  empty payload. */
void bytes_render(bytes *to, const uint8_t *data, size_t len);

/** A call between bytes of the input. */
typedef struct step {
  char *text; /* the line */
  size_t at;  /* how many bytes of input come before it */
} step;

typedef struct vector {
  char *file;
  char *title;
  int line;     /* of its heading */
  int log_line; /* of the first line of the log */
  nws_role role;
  int handshake; /* 1: a handshake, 0: a connection */
  nws_conn_config config;
  bytes random;  /* what the random source gives; empty: a count */
  char *options; /* handshake: policy or offer, as `key=value` words */
  char *uri;     /* handshake of a client */
  char *deflate; /* connection: what of permessage-deflate was agreed upon, as
                    words; NULL when it was not */
  int show_request;
  bytes input;
  step *steps;
  size_t step_count;
  bytes log; /* in normal form, one line per event */
} vector;

/** Reads a file of vectors, adding to `list`. Prints what is wrong with the
 *  file and returns -1 if anything is. */
int vectors_read(const char *path, vector **list, size_t *count);
void vectors_free(vector *list, size_t count);

/** How one run goes about it. */
typedef struct manner {
  const size_t *cuts; /* where the input is cut; ascending, inside it */
  size_t cut_count;
  int on_demand; /* 1: spill lent when asked for, flush frame by frame */
} manner;

/** Sets up permessage-deflate as the words say; -1 when they are none, or when
 *  the runner was built without it. */
int vector_deflate(const char *words, nws_extension_use *use);

/** For handshakes: permessage-deflate as a configuration in the same words, and
 *  `insist`, says it; NULL when they are none. Drop it when all is released. */
const nws_extension *vector_deflate_make(const char *words);
void vector_deflate_drop(const nws_extension *ext);

/** Adds what was agreed upon, if it was, to the log. */
void vector_deflate_log(const nws_extension_use *uses, size_t count,
                        bytes *log);

/* The players add to `log`; `frame` is room that is kept from run to run, for
 * there are many runs and payloads are long. */
void conn_play(const vector *v, const manner *how, bytes *frame, bytes *log);
void handshake_play(const vector *v, const manner *how, bytes *log);

#endif
