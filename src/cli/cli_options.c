/* cli_options.c - options, the numbers in them, and complaints.
 *
 * getopt_long() does the parsing; the complaints are ours, because they must
 * name what is wrong and where help is.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

void nws__cli_colour(FILE *out, enum cli_colour colour) {
  static const char *const codes[] = {"\x1b[0m", "\x1b[36m", "\x1b[33m"};
  const char *plain = getenv("NO_COLOR");
  const char *term = getenv("TERM");
  if (isatty(fileno(out)) && !(plain && *plain) && term && *term &&
      strcmp(term, "dumb") != 0) {
    fputs(codes[colour], out);
  }
}

void nws__cli_say(const char *format, ...) {
  va_list args;
  fflush(stdout);
  nws__cli_colour(stderr, CLI_COLOUR_NOTICE);
  fputs("nws: ", stderr);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  nws__cli_colour(stderr, CLI_COLOUR_NONE);
  fputc('\n', stderr);
}

int nws__cli_misuse(const char *command, const char *format, ...) {
  va_list args;
  const char *gap = command ? " " : "";
  command = command ? command : "";
  fflush(stdout);
  fprintf(stderr, "nws%s%s: ", gap, command);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, "\nTry 'nws%s%s --help'.\n", gap, command);
  return CLI_EXIT_USAGE;
}

/* The long option that getopt_long() stumbled over, as the user wrote it; NULL
 * when it was a short one. */
static const char *long_culprit(const char *last, const struct option *longs) {
  if (strncmp(last, "--", 2) != 0) {
    return NULL;
  }
  if (optopt == 0) {
    return last;
  }
  size_t len = strcspn(last + 2, "=");
  for (; longs->name; longs++) {
    if (longs->val == optopt && strncmp(longs->name, last + 2, len) == 0) {
      return last;
    }
  }
  return NULL;
}

/* getopt_long() with complaints of our own: returns an option, -1 behind the
 * last one, or '?' after it has complained. */
static int next_option(int argc, char **argv, const char *shorts,
                       const struct option *longs) {
  opterr = 0;
  int option = getopt_long(argc, argv, shorts, longs, NULL);
  if (option != ':' && option != '?') {
    return option;
  }
  char letter[3] = {'-', (char)optopt, 0};
  const char *culprit = long_culprit(argv[optind - 1], longs);
  if (option == ':') {
    nws__cli_misuse(argv[0], "option '%s' needs a value",
                    culprit ? culprit : letter);
  } else if (culprit && optopt) {
    nws__cli_misuse(argv[0], "option '%s' takes no value", culprit);
  } else {
    nws__cli_misuse(argv[0], "unknown option '%s'", culprit ? culprit : letter);
  }
  return '?';
}

int nws__cli_peeking;
const struct option *nws__cli_peeked;

int nws__cli_options(int argc, char **argv, const char *shorts,
                     const struct option *longs, cli_take *take, void *state) {
  int option;
  if (nws__cli_peeking) {
    nws__cli_peeked = longs;
    return CLI_EXIT_OK;
  }
  while ((option = next_option(argc, argv, shorts, longs)) != -1) {
    if (option == 'h') {
      return nws__cli_help(argv[0], stdout) ? CLI_EXIT_OK : CLI_EXIT_USAGE;
    }
    if (option == '?' || take(state, option, optarg) != CLI_EXIT_OK) {
      return CLI_EXIT_USAGE;
    }
  }
  return CLI_GO_ON;
}

int nws__cli_two_words(int argc, char **argv, const char *wanted,
                       const char *words[2]) {
  if (argc - optind != 2) {
    return nws__cli_misuse(argv[0], "wants two words behind the options: %s",
                           wanted);
  }
  words[0] = argv[optind];
  words[1] = argv[optind + 1];
  return CLI_GO_ON;
}

int nws__cli_read_number(const char *text, uint64_t max, uint64_t *number) {
  if (*text < '0' || *text > '9') {
    return 0;
  }
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno || *end || value > max) {
    return 0;
  }
  *number = value;
  return 1;
}

int nws__cli_read_size(const char *text, uint64_t *size) {
  if (strcmp(text, "none") == 0) {
    *size = NWS_UNLIMITED;
    return 1;
  }
  if (*text < '0' || *text > '9') {
    return 0;
  }
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
  if (errno || end[shift != 0] || value > (NWS_UNLIMITED - 1) >> shift) {
    return 0;
  }
  *size = (uint64_t)value << shift;
  return *size > 0;
}

int nws__cli_read_seconds(const char *text, uint32_t max, uint32_t *ms) {
  if (text[strspn(text, "0123456789.")]) {
    return 0; /* strtod() would take exponents, hex, nan and inf */
  }
  char *end;
  double value = strtod(text, &end) * 1000;
  if (*end || end == text || !(value <= max)) {
    return 0;
  }
  *ms = (uint32_t)(value + 0.5);
  if (*ms == 0 && strpbrk(text, "123456789")) {
    *ms = 1; /* 0 means something else than a very short time */
  }
  return 1;
}

/* A pipe whose reader has gone reports an error without being written to. */
static int reader_gone(void) {
  struct pollfd entry = {.fd = STDOUT_FILENO, .events = POLLOUT};
  return poll(&entry, 1, 0) == 1 && (entry.revents & POLLERR);
}

int nws__cli_flush(void) {
  if (fflush(stdout) == 0 && !ferror(stdout)) {
    return 1;
  }
  const char *why = strerror(errno ? errno : EIO);
  if (reader_gone()) {
    return 0;
  }
  static int told;
  if (!told) {
    nws__cli_say("cannot write to standard output: %s", why);
  }
  told = 1;
  return -1;
}
