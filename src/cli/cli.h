/* cli.h - what the commands of the program nws share: exit codes, complaints,
 * the reading of options, text that is safe to show, and the frame of every
 * command that is a client.
 *
 * The program uses what any user of the library can use: the public headers.
 */
#ifndef NWS_CLI_H
#define NWS_CLI_H

#include <getopt.h>
#include <stdio.h>
#include <uv.h>
#include <nws/nws.h>
#include <nws/net.h>
#include <nws/deflate.h>

/* What the program exits with; --help and nws(1) promise these to scripts. */
enum cli_exit {
  CLI_EXIT_OK = 0,        /* done; closed with 1000, 1001 or 1005, or by us */
  CLI_EXIT_USAGE = 1,     /* wrong options, or a failure on this side */
  CLI_EXIT_CONNECT = 2,   /* cannot connect or listen */
  CLI_EXIT_HANDSHAKE = 3, /* refused, or the handshake broke a rule */
  CLI_EXIT_CLOSED = 4,    /* the peer closed with another code */
  CLI_EXIT_LOST = 5       /* connection lost, rule broken, ping unanswered */
};

/* The commands. argv[0] is the command's name; the result is the exit code. */
int nws__cli_serve(int argc, char **argv);
int nws__cli_connect(int argc, char **argv);
int nws__cli_ping(int argc, char **argv);
int nws__cli_decode(int argc, char **argv);
int nws__cli_bench(int argc, char **argv);
int nws__cli_record(int argc, char **argv);
int nws__cli_replay(int argc, char **argv);
int nws__cli_completion(int argc, char **argv);

/* All of them, by name; a NULL name ends the list (main.c). */
typedef struct cli_command {
  const char *name;
  int (*run)(int argc, char **argv);
} cli_command;
extern const cli_command nws__cli_commands[];

/* The demonstration page, in as many pieces as C's longest string asks for;
 * NULL ends them. */
extern const char *const nws__cli_page[];

/* --- cli_help.c --- */

/* Writes the help of a command, or of the program for NULL. Returns 0 when
 * there is no such command. */
int nws__cli_help(const char *command, FILE *out);

/* --- cli_options.c --- */

/* Writes "nws: ..." and a line end to standard error. */
void nws__cli_say(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The same, with a pointer to the command's help; returns CLI_EXIT_USAGE. */
int nws__cli_misuse(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What stands for "no exit code yet". */
#define CLI_GO_ON (-1)

/* Takes one option: returns CLI_EXIT_OK, or CLI_EXIT_USAGE after it has
 * complained. */
typedef int cli_take(void *state, int option, const char *arg);

/* Gives a command's options to `take`, but for -h, which shows its help.
 * `shorts` starts with a colon; `optind` is then behind the last option.
 * Returns CLI_GO_ON, or what to exit with. */
int nws__cli_options(int argc, char **argv, const char *shorts,
                     const struct option *longs, cli_take *take, void *state);

/* While the first is set, nws__cli_options() does nothing but to leave the
 * table that it was given in the second; for nws completion. */
extern int nws__cli_peeking;
extern const struct option *nws__cli_peeked;

/* Read a number of bytes ("64K", "none"), of seconds ("0.5") as milliseconds
 * up to `max` (at least 1 but for zero), or a plain number up to `max`.
 * Return 1 when they could. */
int nws__cli_read_size(const char *text, uint64_t *size);
int nws__cli_read_seconds(const char *text, uint32_t max, uint32_t *ms);
int nws__cli_read_number(const char *text, uint64_t max, uint64_t *number);

/* Takes the two words behind the options, which `wanted` names. Returns
 * CLI_GO_ON, or CLI_EXIT_USAGE after complaining. */
int nws__cli_two_words(int argc, char **argv, const char *wanted,
                       const char *words[2]);

/* Flushes standard output. Returns 1 when all is well, 0 when its reader has
 * gone (which is no fault), or -1 after complaining of another failure. */
int nws__cli_flush(void);

/* Colours, for terminals only: where NO_COLOR is not set and TERM is not dumb.
 * NONE ends one. */
enum cli_colour { CLI_COLOUR_NONE, CLI_COLOUR_TEXT, CLI_COLOUR_NOTICE };
void nws__cli_colour(FILE *out, enum cli_colour colour);

/* --- cli_secret.c --- */

#define CLI_SECRET_MAX 4096
#define CLI_AUTH_MAX 6000

/* Makes the value of Authorization, Basic or Bearer, of an option's: the secret
 * itself, @FILE, or $NAME of the environment. Returns CLI_EXIT_OK, or
 * CLI_EXIT_USAGE after complaining in the name of `command`. */
int nws__cli_authorize(const char *command, int basic, const char *arg,
                       char out[CLI_AUTH_MAX]);

/* --- cli_address.c --- */

/* The room for an address that is listened on. */
#define CLI_ADDRESS_MAX 64

/* Reads ADDRESS, ADDRESS:PORT, [ADDRESS] or [ADDRESS]:PORT, the address being
 * numeric or localhost; `port` stays as it is when there is none. Returns
 * CLI_EXIT_OK, or CLI_EXIT_USAGE after complaining in the name of `command`. */
int nws__cli_read_listen(const char *command, const char *text,
                         char address[CLI_ADDRESS_MAX], uint64_t *port);

/* Says whether a text is an origin as browsers send it (RFC 6454 6.1):
 * SCHEME://HOST[:PORT] with nothing behind, or null. */
int nws__cli_is_origin(nws_str text);

/* --- cli_deflate.c --- */

/* The option --deflate and what comes of it. Zero is off. */
typedef struct cli_deflate {
  int on;
  nws_deflate_config config; /* its size is set at the start */
  nws_deflate deflate;
  const nws_extension *list[1]; /* for an offer or a policy */
  size_t count;                 /* how many are in it */
} cli_deflate;

/* Reads the value of --deflate, NULL when it has none. Returns CLI_EXIT_OK, or
 * CLI_EXIT_USAGE after complaining in the name of `command`. */
int nws__cli_deflate_read(cli_deflate *deflate, const char *command,
                          const char *arg);

/* Makes the extension, if it is on. Returns NWS_OK, or an nws_error after
 * complaining. */
int nws__cli_deflate_start(cli_deflate *deflate);

/* Makes the extension as it is for who reads what was sent under these
 * settings, and fills the use for that; all zero when it is off. Returns
 * NWS_OK, or an nws_error after complaining. */
int nws__cli_deflate_use(cli_deflate *deflate, nws_extension_use *use);

/* Gives it back, after the connections and uses. */
void nws__cli_deflate_free(cli_deflate *deflate);

/* --- cli_tls.c --- */

/* Options of TLS, and a client's, that have no letter; out of the way of the
 * commands' own. */
enum cli_tls_option {
  CLI_TLS_INSECURE = 'k',
  CLI_TLS_CA = 512,
  CLI_TLS_CERT,
  CLI_TLS_KEY,
  CLI_TLS_PIN,
  CLI_TLS_SELF_SIGNED,
  CLI_TLS_CLIENT_CA,
  CLI_AUTH,
  CLI_BEARER
};

/* The options of TLS and what comes of them. Zero is none. */
typedef struct cli_tls {
  const char *given; /* one of the options that were given, or NULL */
  nws_tls_options options;
  nws_tls_identity identity;
  char names[CLI_ADDRESS_MAX + 32]; /* of a certificate that is made */
  nws_tls *tls;                     /* NULL without options */
} cli_tls;

/* Takes an option if it is one of those above; returns CLI_GO_ON when not. */
int nws__cli_tls_option(cli_tls *tls, int option, const char *arg);

/* Check, when all options are known, whether they go together, and with the
 * scheme of a URL. Return CLI_EXIT_OK, or CLI_EXIT_USAGE after complaining. */
int nws__cli_tls_check_client(const cli_tls *tls, const char *command,
                              int secure);
int nws__cli_tls_check_server(const cli_tls *tls, const char *command);

/* Names whom a certificate that is made is for, if the user did not. */
void nws__cli_tls_name(cli_tls *tls, const char *address);

/* Makes `tls`, if there are options; give it back with nws_tls_drop(). Returns
 * CLI_EXIT_OK, or CLI_EXIT_USAGE after complaining. */
int nws__cli_tls_start(cli_tls *tls);

/* Reads all files again, and says what came of it. */
void nws__cli_tls_reload(cli_tls *tls, int quiet);

/* Warns of a connection that nothing protects. */
void nws__cli_tls_warn(const cli_tls *tls);

/* Tells of a peer's TLS, if it has any, on standard error. */
void nws__cli_tls_put(nws_peer *peer, const cli_tls *tls);

/* Says whether an error is one of TLS. */
int nws__cli_is_tls(int error);

/* --- serve_welcome.c --- */

/* Tells where a server listens and what to do next. */
void nws__cli_put_welcome(const char *program, const char *address,
                          unsigned port, const cli_tls *tls);

/* Says why it does not, and what to try. Returns the exit code. */
int nws__cli_cannot_listen(const char *address, unsigned port, int error);

/* --- cli_escape.c --- */

/* How to show text. */
enum cli_text {
  CLI_TEXT_PLAIN = 0, /* escape what could control a terminal */
  CLI_TEXT_QUOTE = 1, /* with quotes around, and those inside escaped */
  CLI_TEXT_LINES = 2  /* let line ends and tabs pass */
};

/* Writes text of unknown origin so that no byte of it can control a terminal:
 * control and invisible formatting characters and whatever is not UTF-8 come
 * out as escapes. */
void nws__cli_put_text(FILE *out, const void *text, size_t len, unsigned how);

/* Writes at most `max` bytes as hex pairs, and how many more there are. */
void nws__cli_put_hex(FILE *out, const void *data, size_t len, size_t max);

/* Writes a JSON string of UTF-8 text, quotes included. */
void nws__cli_put_json(FILE *out, const void *text, size_t len);

/* Writes "1000 (normal closure) "reason"". */
void nws__cli_put_close(FILE *out, unsigned code, nws_str reason);

/* --- cli_hex.c --- */

/* A reader of hex text that can stop and go on at any character. Start it with
 * all zero but `line` and `column`, which are 1. */
typedef struct cli_hex {
  uint64_t line;   /* of the next character */
  uint64_t column; /* of the next character, in bytes */
  int comment;     /* inside one */
  int pending;     /* a first digit has come, and waits in `high` */
  int prefix;      /* the pending digit may be the 0 of 0x */
  int promised;    /* 0x has come, and no digit yet */
  unsigned high;
  const char *fault; /* what is wrong at line and column */
  int bad;           /* the character there; -1 at the end */
} cli_hex;

/* Reads hex text in place: the bytes it stands for replace it. Returns how many
 * there are; stops at a fault. */
size_t nws__cli_hex_read(cli_hex *hex, uint8_t *text, size_t len);

/* Says that the text ends here; sets `fault` when a digit is missing. */
void nws__cli_hex_end(cli_hex *hex);

/* --- cli_frames.c --- */

/* Where payload is inflated to, a piece at a time. */
#define CLI_SCRATCH ((size_t)1 << 14)

/* Prints the frames of a stream one per line, as it arrives, and finds its
 * first violation. Private but for what is said here. */
typedef struct cli_frames {
  /* To be set; all else zero. */
  size_t max_shown; /* payload bytes to show of a frame */
  nws_conn_config config;
  nws_extension_use inflate; /* permessage-deflate; all zero: not in use */
  FILE *out;
  const char *prefix; /* of each line; NULL: none */

  uint64_t offset; /* of the next byte of the stream */
  uint64_t count;  /* frames so far */
  int error;       /* the violation found, or NWS_OK */

  nws_conn conn;
  nws_spill spill;
  nws_frame frame;
  uint64_t frame_at;      /* where the frame begins */
  uint64_t payload_at;    /* payload bytes of the frame so far */
  uint64_t message_at;    /* where the unfinished message begins */
  uint64_t error_at;      /* where the violation is */
  uint8_t message_opcode; /* of the unfinished message, or 0 */
  uint8_t message_rsv;    /* its reserved bits */
  int in_payload;         /* the header has been read */
  int printed;            /* the line of the frame has been printed */
  int closed;             /* a close frame has gone by */
  size_t header_len;      /* bytes in `header` */
  uint8_t header[NWS_FRAME_HEADER_MAX];
  uint8_t *shown; /* the payload's first bytes, unmasked and inflated */
  size_t shown_len;
  uint64_t inflated; /* bytes that the payload has become so far */
  uint8_t scratch[CLI_SCRATCH];
} cli_frames;

/* Prepares. `role` is that of the sender, 0 for either.
 * Returns NWS_OK or an nws_error. */
int nws__cli_frames_init(cli_frames *frames, unsigned role);

/* Takes the next bytes, which it changes. Returns NWS_OK, or the violation. */
int nws__cli_frames_add(cli_frames *frames, uint8_t *data, size_t len);

/* Says that the stream ends here, and prints how. Returns the exit code. */
int nws__cli_frames_end(cli_frames *frames);

void nws__cli_frames_free(cli_frames *frames);

/* --- decode_capture.c --- */

/* Prints the WebSocket connections of a network capture, as `nws decode` does.
 */
typedef struct cli_captured cli_captured;

/* Bytes that suffice to recognise a capture, and whether a file that begins so
 * is one. */
#define CLI_CAPTURE_MAGIC 4
int nws__cli_is_capture(const uint8_t *start, size_t len);

/* Starts. `like` has what is to be set of a cli_frames. NULL without memory. */
cli_captured *nws__cli_capture_start(const cli_frames *like);

/* Takes the next bytes of the file. Returns 1, or 0 when it cannot be read on.
 */
int nws__cli_capture_add(cli_captured *captured, const uint8_t *data,
                         size_t len);

/* Says that the file ends here, prints how, and frees. Returns the exit code.
 * `name` is the file's, for complaints. */
int nws__cli_capture_end(cli_captured *captured, const char *name);

/* --- cli_client.c --- */

#define CLI_UNIX_SCHEME "ws+unix:"
#define CLI_MAX_HEADERS 64
#define CLI_MAX_SUBPROTOCOLS 32

/* What connect and ping have in common; the first member of their state. */
typedef struct cli_client {
  const char *command;
  nws_client_options options; /* its handler is to be set */
  nws_client_offer offer;
  nws_conn_config conn;
  nws_handler handler;
  nws_uri uri;
  cli_tls tls;
  nws_header headers[CLI_MAX_HEADERS];
  nws_str subprotocols[CLI_MAX_SUBPROTOCOLS];
  char auth[CLI_AUTH_MAX]; /* a header's value, or "" */
  char unix_url[2048];
  uint32_t timeout_ms; /* as given; 0: not, or none */
  uv_loop_t uv;
  uv_signal_t signals[2];
  nws_loop *loop;
  nws_peer *peer;
  void (*interrupted)(struct cli_client *client); /* the first time, or
                                                     without a peer */
  /* Instead of all that is done otherwise at SIGINT and SIGTERM; may be NULL */
  void (*signalled)(struct cli_client *client, int number);
  int verbose;
  int typing;     /* somebody may be in the middle of a line on the screen */
  int open;       /* the connection has been opened */
  int closing;    /* we have started to close */
  int interrupts; /* how often the user asked us to stop */
  int exit_code;  /* what to exit with; a failure on our side stands */
} cli_client;

/* The options of cli_client.c, for getopt_long(). */
#define CLI_CLIENT_SHORTS "hvkH:s:o:t:"
#define CLI_CLIENT_LONGS                                                       \
  {"subprotocol", required_argument, NULL, 's'}, CLI_CONNECTING_LONGS

/* The same without subprotocols. */
#define CLI_CONNECTING_LONGS                                                   \
  {"help", no_argument, NULL, 'h'}, {"verbose", no_argument, NULL, 'v'},       \
      {"header", required_argument, NULL, 'H'},                                \
      {"origin", required_argument, NULL, 'o'},                                \
      {"timeout", required_argument, NULL, 't'},                               \
      {"auth", required_argument, NULL, CLI_AUTH},                             \
      {"bearer", required_argument, NULL, CLI_BEARER},                         \
      {"ca", required_argument, NULL, CLI_TLS_CA},                             \
      {"cert", required_argument, NULL, CLI_TLS_CERT},                         \
      {"key", required_argument, NULL, CLI_TLS_KEY},                           \
      {"pin", required_argument, NULL, CLI_TLS_PIN}, {                         \
    "insecure", no_argument, NULL, CLI_TLS_INSECURE                            \
  }

/* Sets everything to its default. */
void nws__cli_client_init(cli_client *client, const char *command);

/* Takes an option if it is one of cli_client.c's, as a cli_take does; returns
 * CLI_GO_ON when it is not. */
int nws__cli_client_option(cli_client *client, int option, const char *arg);

/* Takes the options, by `take`, and the URL behind them. Returns CLI_GO_ON, or
 * what to exit with. */
int nws__cli_client_options(cli_client *client, int argc, char **argv,
                            const char *shorts, const struct option *longs,
                            cli_take *take);

/* Takes the URL, as nws__cli_client_options() does for those with nothing else
 * behind the options. Returns CLI_GO_ON or CLI_EXIT_USAGE. */
int nws__cli_client_url(cli_client *client, const char *url);

/* Sets up the loop, the signals and TLS; connects; does both. Return
 * CLI_EXIT_OK, or another exit code after complaining. */
int nws__cli_client_prepare(cli_client *client);
int nws__cli_client_connect(cli_client *client);
int nws__cli_client_start(cli_client *client);

/* Runs until the peer is closed. Returns the exit code. */
int nws__cli_client_run(cli_client *client);

/* Starts the closing handshake, once. */
void nws__cli_client_close(cli_client *client, unsigned code, nws_str reason);

/* Says whether an error on an open connection is a rule that the peer broke,
 * and not the loss of the connection. */
int nws__cli_is_violation(int error);

/* --- cli_handshake.c --- */

/* Tell on standard error what is asked of the server, and what it answers. */
void nws__cli_put_request(const cli_client *client);
void nws__cli_put_response(const nws_http_head *head);

/* To be called first by `open`. */
void nws__cli_client_opened(cli_client *client);

/* Writes the host and port of a URL, or its Unix socket. */
void nws__cli_put_host(FILE *out, const cli_client *client);

/* Tells of a failure of TLS before the connection was open, and what to try
 * (cli_tls.c). Returns the exit code. */
int nws__cli_tls_report(const cli_client *client, const nws_closed *how);

/* After some other failure, says what to try if it may be that one end speaks
 * TLS and the other does not (cli_tls.c). */
void nws__cli_tls_hint(const cli_client *client, const nws_closed *how);

/* What to exit with after an error before the connection was open. */
int nws__cli_unopened_code(int error);

/* Tells how a connection ended. Returns the exit code. */
int nws__cli_client_report(const cli_client *client, const nws_closed *how);

/* To be called by `closed`: tells how it ended, and ends the loop. */
void nws__cli_client_closed(cli_client *client, const nws_closed *how);

#endif
