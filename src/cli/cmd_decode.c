/* cmd_decode.c - `nws decode`: what is in these bytes?
 *
 * Reads a file or standard input, raw or as hex text, and has its frames
 * printed as they come, in constant memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

#define CHUNK ((size_t)1 << 16)
#define SHOWN_DEFAULT 64
#define SHOWN_MAX ((uint64_t)1 << 20)

enum {
  OPTION_HEX = 256,
  OPTION_RAW,
  OPTION_ROLE,
  OPTION_SHOWN,
  OPTION_RSV,
  OPTION_DEFLATE
};

typedef enum form { FORM_GUESS = 0, FORM_HEX, FORM_RAW } form;

/* Enough to recognise what is often given by mistake. */
#define START 10

typedef struct decoder {
  const char *command;
  const char *name; /* of the file, for complaints */
  int fd;
  form form;
  unsigned role; /* the sender's, 0 for either */
  cli_hex hex;
  cli_deflate deflate;
  cli_frames frames;
  cli_captured *capture; /* the input is one */
  size_t start_len;
  char start[START + 1]; /* how the input begins, as it came */
  uint8_t chunk[CHUNK];
} decoder;

/* Hex text begins with a digit, white space, a comma, a colon or a comment.
 * A stream of frames cannot begin with any of these bytes, unless with reserved
 * bits or a fragmented control frame: the first byte of a message's first frame
 * is 0x01, 0x02, or has its top bit set. With compression it can be 0x41 or
 * 0x42, which are A and B; as hex text, these would begin a frame with RSV2. */
static form guess(const decoder *d, uint8_t first) {
  if ((first == 'A' || first == 'B') && d->deflate.on &&
      !(d->frames.config.rsv_in & NWS_RSV2)) {
    return FORM_RAW;
  }
  return strchr("0123456789abcdefABCDEF#,:\t\n\v\f\r ", first) && first
             ? FORM_HEX
             : FORM_RAW;
}

static int hex_fault(const decoder *d) {
  const cli_hex *hex = &d->hex;
  fflush(stdout);
  fprintf(stderr, "nws: %s:%llu:%llu: ", d->name, (unsigned long long)hex->line,
          (unsigned long long)hex->column);
  if (hex->bad >= 0) {
    const uint8_t bad = (uint8_t)hex->bad;
    nws__cli_put_text(stderr, &bad, 1, CLI_TEXT_QUOTE);
    fputs(": ", stderr);
  }
  fprintf(stderr, "%s\n", hex->fault);
  return CLI_EXIT_USAGE;
}

static int is_xxd(const char *start) {
  return strspn(start, "0123456789abcdef") == 8 && start[8] == ':' &&
         start[9] == ' ';
}

/* Whether the fault is the bit that marks compressed messages (RFC 7692 6). */
static int is_compressed(const decoder *d) {
  const unsigned first = d->frames.header[0] & 0x7fu; /* fin or not */
  return d->frames.error == NWS_ERROR_RSV && !d->deflate.on &&
         (first == (NWS_RSV1 | NWS_OPCODE_TEXT) ||
          first == (NWS_RSV1 | NWS_OPCODE_BINARY));
}

/* Helps those whose input is at fault for want of an option, or cannot be
 * frames: none of these beginnings is one that frames could have. */
static void hint(const decoder *d) {
  if (is_compressed(d)) {
    nws__cli_say("rsv1 marks a compressed message; try --deflate");
    return;
  }
  if (d->frames.error == NWS_ERROR_EXTENSION) {
    nws__cli_say(
        "the payload is no DEFLATE data, or refers to what came before "
        "this input or beyond the settings of --deflate");
    return;
  }
  if (strncmp(d->start, "GET /", 5) == 0 ||
      strncmp(d->start, "HTTP/1.", 7) == 0) {
    nws__cli_say("the input begins with an HTTP head; frames are what stands "
                 "behind its empty line");
  } else if (d->form == FORM_HEX && is_xxd(d->start)) {
    nws__cli_say("the input looks like a dump by xxd; use xxd -p, or give "
                 "the file itself");
  }
}

static void keep_start(decoder *d, size_t len) {
  size_t room = START - d->start_len;
  size_t part = len < room ? len : room;
  memcpy(d->start + d->start_len, d->chunk, part);
  d->start_len += part;
}

/* Takes a chunk; returns 0 when the end has come, be it good or bad. */
static int take(decoder *d, size_t len) {
  if (d->capture) {
    return nws__cli_capture_add(d->capture, d->chunk, len) &&
           nws__cli_flush() == 1;
  }
  keep_start(d, len);
  if (d->form == FORM_GUESS) {
    d->form = guess(d, d->chunk[0]);
  }
  if (d->form == FORM_HEX) {
    len = nws__cli_hex_read(&d->hex, d->chunk, len);
  }
  if (nws__cli_frames_add(&d->frames, d->chunk, len) != NWS_OK) {
    return 0;
  }
  return !d->hex.fault && nws__cli_flush() == 1;
}

static int finish(decoder *d) {
  int code = CLI_EXIT_OK;
  if (d->frames.error == NWS_OK) {
    nws__cli_hex_end(&d->hex);
  }
  if (d->frames.error == NWS_OK && d->hex.fault) {
    code = hex_fault(d);
  } else {
    code = nws__cli_frames_end(&d->frames);
  }
  if (code != CLI_EXIT_OK) {
    hint(d);
  }
  return code;
}

/* Reads into the chunk behind `len` bytes. Returns how many are there then, 0
 * at the end, or -1 after complaining. */
static ssize_t read_more(decoder *d, size_t len) {
  ssize_t got;
  do {
    got = read(d->fd, d->chunk + len, CHUNK - len);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    nws__cli_say("cannot read %s: %s", d->name, strerror(errno));
  }
  return got > 0 ? got + (ssize_t)len : got;
}

/* The first chunk is to tell what the input is. */
static ssize_t read_start(decoder *d) {
  ssize_t len = 0;
  ssize_t got;
  while ((got = read_more(d, (size_t)len)) > 0) {
    len = got;
    if (len >= CLI_CAPTURE_MAGIC) {
      break;
    }
  }
  if (got < 0) {
    return got;
  }
  if (d->form == FORM_GUESS && nws__cli_is_capture(d->chunk, (size_t)len)) {
    d->capture = nws__cli_capture_start(&d->frames);
  }
  return len;
}

static int end(decoder *d) {
  if (d->capture) {
    return nws__cli_capture_end(d->capture, d->name);
  }
  return ferror(stdout) ? CLI_EXIT_OK /* main() looks why */ : finish(d);
}

static int decode(decoder *d) {
  ssize_t len = read_start(d);
  while (len > 0 && take(d, (size_t)len)) {
    len = read_more(d, 0);
  }
  int code = end(d);
  return len < 0 ? CLI_EXIT_USAGE : code;
}

static int open_file(decoder *d, const char *name) {
  d->name = "standard input";
  d->fd = STDIN_FILENO;
  if (!name || strcmp(name, "-") == 0) {
    return 1;
  }
  d->name = name;
  d->fd = open(name, O_RDONLY | O_CLOEXEC);
  if (d->fd >= 0) {
    return 1;
  }
  nws__cli_say("cannot open %s: %s", name, strerror(errno));
  return 0;
}

/* --- Options --- */

static int read_role(decoder *d, const char *arg) {
  if (strcmp(arg, "any") == 0) {
    d->role = 0;
  } else if (strcmp(arg, "client") == 0) {
    d->role = NWS_ROLE_CLIENT;
  } else if (strcmp(arg, "server") == 0) {
    d->role = NWS_ROLE_SERVER;
  } else {
    return nws__cli_misuse(
        d->command, "'%s' is no role; --role wants client, server or any", arg);
  }
  return CLI_EXIT_OK;
}

static int read_shown(decoder *d, const char *arg) {
  uint64_t shown;
  if (!nws__cli_read_number(arg, SHOWN_MAX, &shown)) {
    return nws__cli_misuse(
        d->command, "'%s': --max-payload wants a number up to 1048576", arg);
  }
  d->frames.max_shown = (size_t)shown;
  return CLI_EXIT_OK;
}

/* Extensions that use a reserved bit encode the payload, so what arrives need
 * not be text. */
static int read_rsv(decoder *d, const char *arg) {
  nws_conn_config *config = &d->frames.config;
  if (!strpbrk(arg, "123") || arg[strspn(arg, "123,")]) {
    return nws__cli_misuse(
        d->command, "'%s' is no reserved bit; --allow-rsv wants 1, 2 or 3",
        arg);
  }
  for (; *arg; arg++) {
    if (*arg != ',') {
      config->rsv_in |= (uint8_t)(NWS_RSV1 >> (*arg - '1'));
    }
  }
  config->accept_any_text = 1;
  return CLI_EXIT_OK;
}

/* With compression on, rsv1 is its own. */
static int check_options(const decoder *d) {
  if (d->deflate.on && (d->frames.config.rsv_in & NWS_RSV1)) {
    return nws__cli_misuse(d->command,
                           "--deflate reads the frames with rsv1, and "
                           "--allow-rsv 1 leaves them as they are; give one");
  }
  return CLI_EXIT_OK;
}

static int set_form(decoder *d, form wanted) {
  if (d->form != FORM_GUESS && d->form != wanted) {
    return nws__cli_misuse(d->command,
                           "--hex and --raw exclude each other; give one");
  }
  d->form = wanted;
  return CLI_EXIT_OK;
}

static int take_option(void *state, int option, const char *arg) {
  decoder *d = state;
  switch (option) {
  case OPTION_HEX:
    return set_form(d, FORM_HEX);
  case OPTION_RAW:
    return set_form(d, FORM_RAW);
  case OPTION_ROLE:
    return read_role(d, arg);
  case OPTION_SHOWN:
    return read_shown(d, arg);
  case OPTION_RSV:
    return read_rsv(d, arg);
  case OPTION_DEFLATE:
    return nws__cli_deflate_read(&d->deflate, d->command, arg);
  default:
    return CLI_EXIT_USAGE;
  }
}

static int decode_frames(decoder *d) {
  int rc = nws__cli_frames_init(&d->frames, d->role);
  if (rc != NWS_OK) {
    nws__cli_say("%s", nws_error_text(rc));
    rc = CLI_EXIT_USAGE;
  } else {
    rc = decode(d);
  }
  nws__cli_frames_free(&d->frames);
  return rc;
}

static int run(decoder *d, const char *name) {
  if (!open_file(d, name)) {
    return CLI_EXIT_USAGE;
  }
  int rc = CLI_EXIT_USAGE;
  if (nws__cli_deflate_use(&d->deflate, &d->frames.inflate) == NWS_OK) {
    rc = decode_frames(d);
  }
  nws_extension_release(&d->frames.inflate, 1);
  nws__cli_deflate_free(&d->deflate);
  if (d->fd != STDIN_FILENO) {
    close(d->fd);
  }
  return rc;
}

int nws__cli_decode(int argc, char **argv) {
  static const struct option longs[] = {
      {"help", no_argument, NULL, 'h'},
      {"hex", no_argument, NULL, OPTION_HEX},
      {"raw", no_argument, NULL, OPTION_RAW},
      {"role", required_argument, NULL, OPTION_ROLE},
      {"max-payload", required_argument, NULL, OPTION_SHOWN},
      {"allow-rsv", required_argument, NULL, OPTION_RSV},
      {"deflate", optional_argument, NULL, OPTION_DEFLATE},
      {NULL, 0, NULL, 0}};
  static decoder state = {.hex = {.line = 1, .column = 1},
                          .frames = {.max_shown = SHOWN_DEFAULT}};
  decoder *d = &state;
  d->command = argv[0];
  d->frames.out = stdout;
  int code = nws__cli_options(argc, argv, ":h", longs, take_option, d);
  if (code != CLI_GO_ON) {
    return code;
  }
  if (check_options(d) != CLI_EXIT_OK) {
    return CLI_EXIT_USAGE;
  }
  if (optind + 1 < argc) {
    return nws__cli_misuse(d->command, "one file only; '%s' is one too many",
                           argv[optind + 1]);
  }
  return run(d, argv[optind]);
}
