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

/* --- cli_bridge.c: a WebSocket and a stream of libuv's --- */

typedef struct cli_bridge cli_bridge;

/* Sends what comes from a stream, and writes what is received to another, or
 * the same. Either side is read only as fast as the other takes it, so that a
 * bounded number of bytes waits. Zero it. */
struct cli_bridge {
  /* To be set. */
  nws_peer *peer; /* NULL once it is gone: what comes is dropped */
  uv_stream_t *from;
  uv_stream_t *to;
  cli_split split;
  /* Once: nothing more will be sent, as the stream has ended (NWS_OK) or broken
   * (UV_...), or nws_peer_send() has failed. Not after `peer` is NULL. */
  void (*sent)(cli_bridge *bridge, int error);
  /* The stream has ended, when `peer` is NULL already; may be NULL. */
  void (*last_read)(cli_bridge *bridge);

  uint8_t *chunk;
  int reading;
  int end;    /* 1, or the error with which the stream has broken */
  int over;   /* `sent` has been called */
  int paused; /* the peer is */
  uv_shutdown_t shutdown;
  int shut;
};

/* Starts to read. Returns NWS_OK, NWS_ERROR_MEMORY or UV_.... */
int nws__cli_bridge_start(cli_bridge *bridge);

/* To be called by `drain`. */
void nws__cli_bridge_drain(cli_bridge *bridge);

/* Writes a message, framed, or bytes as they are. What cannot be written any
 * more is dropped. */
void nws__cli_bridge_message(cli_bridge *bridge, const uint8_t *data,
                             size_t len);
void nws__cli_bridge_bytes(cli_bridge *bridge, const uint8_t *data, size_t len);

/* Ends `to` when all has been written, once; `done` may then close it. */
void nws__cli_bridge_shut(cli_bridge *bridge, uv_shutdown_cb done);

/* To be called when the peer is closed. */
void nws__cli_bridge_part(cli_bridge *bridge);

/* Frees what it has, after its streams are closed. */
void nws__cli_bridge_free(cli_bridge *bridge);

/* --- cli_child.c: a process and a WebSocket --- */

typedef struct cli_child cli_child;

/* What is printed becomes messages, and messages become its input. It has a
 * process group of its own, so that signals get to all that it has started.
 * Zero it. */
struct cli_child {
  cli_bridge bridge; /* set its `split`, and its `peer` */
  void *user;
  /* It has ended, and all that it printed is sent; or nothing more can be sent,
   * for which there is an error. Not after its peer is gone. */
  void (*ended)(cli_child *child, int error);
  void (*gone)(cli_child *child); /* the last that is heard of it */

  uv_process_t process;
  uv_pipe_t in;
  uv_pipe_t out;
  uv_timer_t timer;
  unsigned handles; /* that are not closed yet */
  int spawned;
  int running;
  int all_sent;
  int ending; /* how often it was told to end by us */
  int status; /* as shells count: 128 and the number of a signal */
};

/* Starts a command, given to the shell. Returns NWS_OK or UV_...: then it is
 * only to be waited for `gone`. `environment` NULL is ours. */
int nws__cli_child_start(cli_child *child, uv_loop_t *uv, const char *command,
                         char **environment);

/* The peer is closed: ends the input; what does not end by itself is sent
 * SIGTERM after a second, and SIGKILL five seconds later. `gone` follows. */
void nws__cli_child_part(cli_child *child);

/* Sends a signal to it and all that it has started. */
void nws__cli_child_signal(cli_child *child, int number);

/* --- cli_cable.c: a stream socket and a WebSocket --- */

/* Where to connect to. */
typedef struct cli_target {
  const char *path; /* of a Unix socket, or NULL */
  char host[256];
  char port[8];
} cli_target;

/* Reads HOST:PORT, [ADDRESS]:PORT or unix:PATH. Returns 1 when it could. */
int nws__cli_read_target(const char *text, cli_target *target);

typedef struct cli_cable cli_cable;

struct cli_cable {
  cli_bridge bridge; /* set its `peer` */
  void *user;
  void (*connected)(cli_cable *cable, int error);
  void (*gone)(cli_cable *cable); /* the last that is heard of it */

  uv_loop_t *uv;
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } socket;
  uv_timer_t timer;
  uv_getaddrinfo_t resolve;
  uv_connect_t connect;
  struct addrinfo *addresses;
  struct addrinfo *next; /* to be tried */
  int resolving;
  int has_stream;
  int plugged;      /* bytes go to and fro */
  unsigned handles; /* that are not closed yet */
  size_t waiting;   /* to be written, when it was last looked at */
};

void nws__cli_cable_init(cli_cable *cable, uv_loop_t *uv);

/* Connects; `connected` follows, unless it is parted before. Returns NWS_OK or
 * UV_.... */
int nws__cli_cable_connect(cli_cable *cable, const cli_target *target);

/* Makes its socket, for one that is accepted; `local` for a Unix socket. */
void nws__cli_cable_socket(cli_cable *cable, int local);

/* Lets bytes through. Returns as nws__cli_bridge_start(). */
int nws__cli_cable_plug(cli_cable *cable);

/* The peer is closed, or there will be none. `gone` follows when all is
 * written, or at once with the latter. */
void nws__cli_cable_part(cli_cable *cable);
void nws__cli_cable_drop(cli_cable *cable);

#endif
