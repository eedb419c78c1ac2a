/* connect.h - what the files of `nws connect` share.
 */
#ifndef NWS_CONNECT_H
#define NWS_CONNECT_H

#include "bridge.h"

#define CONNECT_MAX_MESSAGES 256

typedef struct connection {
  cli_client client; /* first: the peer's user pointer is both */
  cli_deflate deflate;
  cli_split split;  /* the input, and how both ways are framed */
  int json;         /* print messages as JSON */
  int stay;         /* the end of the input does not close */
  int wait;         /* it does, but after a while */
  uint32_t wait_ms; /* how long that is */
  unsigned close_code;
  nws_str close_reason;
  int close_given;
  const char *messages[CONNECT_MAX_MESSAGES]; /* instead of the input */
  size_t message_count;
  size_t message_next;
  uint64_t expect; /* messages after which to close; 0: none */
  uint64_t received;
  int tty;         /* output goes to a terminal */
  int reading;     /* a read is under way */
  int ended;       /* no more input */
  int output_gone; /* nothing can be written any more */
  uint8_t *chunk;  /* what has been read */
  int at_end;      /* the last read found the end of the input */
  uv_fs_t read;
  uv_timer_t timer; /* for the wait, and for expected messages */
  uv_prepare_t flusher;
  const char *command; /* instead of standard input and output */
  cli_child child;
  int child_known;                      /* its handles are open */
  const char *tcp_listen;               /* where TCP connections are taken */
  char listen_address[CLI_ADDRESS_MAX]; /* without brackets */
  uint64_t listen_port;
  uv_tcp_t listener;
  struct line *lines; /* the connections there are */
  uint64_t taken;     /* and how many there have been */
} connection;

/* --- cmd_connect.c --- */

/* Closes, with `code` unless the user wants another. */
void nws__connect_finish(connection *c, unsigned code);

/* Ends after a failure on this side, of which the user has been told. */
void nws__connect_give_up(connection *c);

/* --- connect_input.c --- */

/* Makes room. Returns 1, or 0 without memory. */
int nws__connect_input_start(connection *c);

/* Sends what there is, as far as the queue takes it, and reads on when all has
 * been sent. Called again by `drain`, it goes on where it stopped. */
void nws__connect_pump(connection *c);

/* --- connect_output.c --- */

void nws__connect_flush(connection *c);
void nws__connect_print(connection *c, unsigned opcode, const uint8_t *data,
                        size_t len);
void nws__connect_print_control(connection *c, const nws_event *event);

/* --- connect_exec.c --- */

/* Sets the handlers for a command. */
void nws__connect_exec(connection *c);

/* Waits for the command's end. Returns what to exit with, if all else would be
 * `code`. */
int nws__connect_exec_end(connection *c, int code);

/* --- connect_tcp.c --- */

/* Takes TCP connections until a signal. Returns the exit code. */
int nws__connect_tcp(connection *c);

#endif
