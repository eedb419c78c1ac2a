/* serve.h - what the files of `nws serve` share.
 */
#ifndef NWS_SERVE_H
#define NWS_SERVE_H

#include "bridge.h"

#define SERVE_MAX_NAMES 32
#define SERVE_SIGNALS 3
/* Queued bytes beyond the largest message that a slow reader may cost. */
#define SERVE_QUEUE_ROOM ((size_t)16 << 20)

#define SERVE_MAX_LISTENERS 32
#define SERVE_NO_PORT UINT64_MAX

/* What --listen says. */
typedef struct serve_where {
  const char *path;              /* "unix:PATH", or NULL */
  int fd;                        /* inherited, or -1 */
  char address[CLI_ADDRESS_MAX]; /* without brackets */
  uint64_t port;
} serve_where;

typedef struct server server;
typedef struct guest guest;

/* What is done with connections: an echo, or something else. */
typedef struct serve_mode {
  const char *name;   /* for the 404 of plain requests */
  const char *option; /* that asks for it */
  size_t guest_len;   /* bytes of what begins with a guest */
  size_t max_queue;   /* 0: as the largest message asks for */
  /* Prepares. Returns CLI_EXIT_OK, or another code after complaining. NULL:
   * there is nothing to prepare. */
  int (*start)(server *s);
  /* Answers a request, at once or later; NULL accepts. */
  void (*request)(guest *g, const nws_server_handshake *request);
  void (*open)(guest *g);
  void (*message)(guest *g, unsigned opcode, uint8_t *data, size_t len);
  void (*piece)(guest *g, const nws_event *event);
  void (*drain)(guest *g);
  /* The peer is gone. Returns 1 when the guest is to be freed now, 0 when
   * nws__serve_leave() will be called. NULL: 1. */
  int (*closed)(guest *g);
  /* Ends at once what outlives its connection. */
  void (*drop)(guest *g);
} serve_mode;

/* What is remembered of a connection, for the log: the system forgets an
 * address when the other end is gone. */
struct guest {
  server *server;
  nws_peer *peer;
  uint64_t number;
  char address[64];
  guest *next; /* all there are */
  guest *previous;
};

struct server {
  const char *program; /* as the user called it, so that it can be repeated */
  const char *command;
  const serve_mode *mode;
  nws_server_options options;
  nws_server_policy policy;
  cli_deflate deflate;
  cli_tls tls;
  nws_conn_config conn;
  nws_handler handler;
  nws_str origins[SERVE_MAX_NAMES];
  nws_str subprotocols[SERVE_MAX_NAMES];
  uint64_t port; /* of addresses without one */
  serve_where where[SERVE_MAX_LISTENERS];
  size_t where_count;
  nws_listener *listeners[SERVE_MAX_LISTENERS];
  size_t listener_count;
  uint8_t proxy_protocol;
  int quiet;
  int verbose;
  char *page;
  size_t page_len;
  uint64_t peers; /* connections opened so far, to number them */
  guest *guests;
  int interrupts;
  uv_loop_t uv;
  uv_signal_t signals[SERVE_SIGNALS];
  nws_loop *loop;
  nws_server *running; /* NULL once stopped */
  guest nobody;        /* whom a peer has until its request has been read */

  const char *exec;       /* a command for each connection */
  cli_split split;        /* how it frames messages */
  uint64_t max_processes; /* at once */
  uint64_t processes;
  const char *to; /* where each connection goes */
  cli_target target;
};

/* --- serve_listen.c --- */

/* Takes the value of --listen. Returns CLI_EXIT_OK, or CLI_EXIT_USAGE after
 * complaining. */
int nws__serve_add_listen(server *s, const char *arg);

/* Opens all. Returns CLI_EXIT_OK, or another exit code after complaining. */
int nws__serve_listen(server *s);
void nws__serve_drop_listeners(server *s);

/* Tells where it listens, and what to do next. */
void nws__serve_welcome(const server *s);

/* --- cmd_serve.c --- */

/* Accepts a guest. Returns 1, or 0 after refusing it. */
int nws__serve_accept(guest *g, const nws_http_head *head);

/* Forgets a guest whose `closed` has returned 0, and frees it. */
void nws__serve_leave(guest *g);

/* Writes whom a line of the log is about. */
void nws__serve_log(const guest *g);

/* --- serve_options.c --- */

/* Reads the command line. Returns CLI_GO_ON, or what to exit with. */
int nws__serve_options(server *s, int argc, char **argv);

/* --- serve_http.c --- */

/* Refuses, and gives up whom even that cannot be told. `status` 0 takes it from
 * the error. */
void nws__serve_refuse(nws_peer *peer, const nws_http_head *head, int error,
                       unsigned status);

/* Answers what is not a WebSocket. */
void nws__serve_http(nws_peer *peer, const nws_server_handshake *request,
                     int error);

/* Prepares the page. Returns 1, or 0 without memory. */
int nws__serve_page(server *s);

void nws__serve_log_target(const nws_server_handshake *request);

/* --- serve_broadcast.c, serve_exec.c, serve_to.c --- */

extern const serve_mode nws__serve_echo; /* in cmd_serve.c */
extern const serve_mode nws__serve_broadcast;
extern const serve_mode nws__serve_exec;
extern const serve_mode nws__serve_to;

#endif
