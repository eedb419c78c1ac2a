/* serve_options.c - the command line of nws serve.
 */
#include <string.h>
#include "serve.h"

enum {
  OPTION_PORT = 256,
  OPTION_ECHO,
  OPTION_ORIGIN,
  OPTION_DEFLATE,
  OPTION_MAX_MESSAGE,
  OPTION_BROADCAST,
  OPTION_PROXY,
  OPTION_EXEC,
  OPTION_TO,
  OPTION_MAX_PROCESSES,
  OPTION_BINARY,
  OPTION_NULL,
  OPTION_LENGTH
};

/* --- Options --- */

static int read_port(server *s, const char *arg) {
  if (nws__cli_read_number(arg, UINT16_MAX, &s->port)) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(s->command, "'%s' is no port; 0 to 65535 are", arg);
}

static int read_origins(server *s, const char *arg) {
  if (strcmp(arg, "any") == 0 || strcmp(arg, "same-host") == 0) {
    s->policy.origin = *arg == 'a' ? NWS_ORIGIN_ANY : NWS_ORIGIN_SAME_HOST;
    return CLI_EXIT_OK;
  }
  static const char wanted[] = "--origin wants same-host, any, or origins such "
                               "as https://example.org";
  nws_str rest = nws_str_of(arg);
  nws_str origin;
  int found = 0;
  s->policy.origin = NWS_ORIGIN_LIST;
  while (nws_list_next(&rest, &origin)) {
    found = 1;
    if (!nws__cli_is_origin(origin)) {
      return nws__cli_misuse(s->command, "'%.*s' is no origin; %s",
                             (int)origin.len, origin.ptr, wanted);
    }
    if (s->policy.origin_count == SERVE_MAX_NAMES) {
      return nws__cli_misuse(s->command, "more than %d origins",
                             SERVE_MAX_NAMES);
    }
    s->origins[s->policy.origin_count++] = origin;
  }
  return found ? CLI_EXIT_OK : nws__cli_misuse(s->command, "%s", wanted);
}

static int read_subprotocol(server *s, const char *arg) {
  if (!nws_http_token_valid(nws_str_of(arg))) {
    return nws__cli_misuse(s->command, "'%s' cannot name a subprotocol", arg);
  }
  if (s->policy.subprotocol_count == SERVE_MAX_NAMES) {
    return nws__cli_misuse(s->command, "more than %d subprotocols",
                           SERVE_MAX_NAMES);
  }
  s->subprotocols[s->policy.subprotocol_count++] = nws_str_of(arg);
  return CLI_EXIT_OK;
}

static int read_max_message(server *s, const char *arg) {
  if (nws__cli_read_size(arg, &s->conn.max_message)) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(s->command, "'%s' is no number of bytes, such as 64K",
                         arg);
}

static int read_max_processes(server *s, const char *arg) {
  if (nws__cli_read_number(arg, UINT32_MAX, &s->max_processes) &&
      s->max_processes) {
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(s->command, "'%s' is no count of processes; try 100",
                         arg);
}

static int set_framing(server *s, unsigned framing) {
  if (s->split.framing && s->split.framing != framing) {
    return nws__cli_misuse(s->command, "--null and --length-prefixed exclude "
                                       "each other; give one");
  }
  s->split.framing = framing;
  return CLI_EXIT_OK;
}

static int set_mode(server *s, const serve_mode *mode) {
  if (s->mode && s->mode != mode) {
    return nws__cli_misuse(s->command,
                           "--%s and --%s exclude each other; give one",
                           s->mode->option, mode->option);
  }
  s->mode = mode;
  return CLI_EXIT_OK;
}

static int read_to(server *s, const char *arg) {
  s->to = arg;
  if (nws__cli_read_target(arg, &s->target)) {
    return set_mode(s, &nws__serve_to);
  }
  return nws__cli_misuse(s->command,
                         "--to wants HOST:PORT, such as localhost:22, or "
                         "unix:PATH, not '%s'",
                         arg);
}

/* What is to be done, and how. Returns CLI_GO_ON for other options. */
static int take_mode(server *s, int option, const char *arg) {
  switch (option) {
  case OPTION_ECHO:
    return set_mode(s, &nws__serve_echo);
  case OPTION_BROADCAST:
    return set_mode(s, &nws__serve_broadcast);
  case OPTION_EXEC:
    s->exec = arg;
    return set_mode(s, &nws__serve_exec);
  case OPTION_TO:
    return read_to(s, arg);
  case OPTION_MAX_PROCESSES:
    return read_max_processes(s, arg);
  case OPTION_BINARY:
    s->split.binary = 1;
    return CLI_EXIT_OK;
  case OPTION_NULL:
    return set_framing(s, CLI_FRAMING_NULL);
  case OPTION_LENGTH:
    return set_framing(s, CLI_FRAMING_LENGTH);
  default:
    return CLI_GO_ON;
  }
}

static int take_option(void *state, int option, const char *arg) {
  server *s = state;
  int code = take_mode(s, option, arg);
  if (code != CLI_GO_ON) {
    return code;
  }
  switch (option) {
  case 'l':
    return nws__serve_add_listen(s, arg);
  case OPTION_PROXY:
    s->proxy_protocol = 1;
    return CLI_EXIT_OK;
  case 'p':
    return read_port(s, arg);
  case 'o':
    return read_origins(s, arg);
  case 's':
    return read_subprotocol(s, arg);
  case OPTION_DEFLATE:
    return nws__cli_deflate_read(&s->deflate, s->command, arg);
  case OPTION_MAX_MESSAGE:
    return read_max_message(s, arg);
  case 'q':
    s->quiet = 1;
    return CLI_EXIT_OK;
  case 'v':
    s->verbose = 1;
    return CLI_EXIT_OK;
  default:
    code = nws__cli_tls_option(&s->tls, option, arg);
    return code == CLI_GO_ON ? CLI_EXIT_USAGE : code;
  }
}

static int check_options(const server *s) {
  if (s->quiet && s->verbose) {
    return nws__cli_misuse(s->command,
                           "--quiet and --verbose exclude each other; give "
                           "one");
  }
  if (!s->exec && (s->split.binary || s->split.framing || s->max_processes)) {
    return nws__cli_misuse(s->command,
                           "--binary, --null, --length-prefixed and "
                           "--max-processes go with --exec");
  }
  return nws__cli_tls_check_server(&s->tls, s->command);
}

int nws__serve_options(server *s, int argc, char **argv) {
  static const struct option longs[] = {
      {"help", no_argument, NULL, 'h'},
      {"listen", required_argument, NULL, 'l'},
      {"port", required_argument, NULL, 'p'},
      {"proxy-protocol", no_argument, NULL, OPTION_PROXY},
      {"echo", no_argument, NULL, OPTION_ECHO},
      {"broadcast", no_argument, NULL, OPTION_BROADCAST},
      {"exec", required_argument, NULL, OPTION_EXEC},
      {"to", required_argument, NULL, OPTION_TO},
      {"max-processes", required_argument, NULL, OPTION_MAX_PROCESSES},
      {"binary", no_argument, NULL, OPTION_BINARY},
      {"null", no_argument, NULL, OPTION_NULL},
      {"length-prefixed", no_argument, NULL, OPTION_LENGTH},
      {"origin", required_argument, NULL, 'o'},
      {"subprotocol", required_argument, NULL, 's'},
      {"deflate", optional_argument, NULL, OPTION_DEFLATE},
      {"max-message", required_argument, NULL, OPTION_MAX_MESSAGE},
      {"cert", required_argument, NULL, CLI_TLS_CERT},
      {"key", required_argument, NULL, CLI_TLS_KEY},
      {"self-signed", optional_argument, NULL, CLI_TLS_SELF_SIGNED},
      {"client-ca", required_argument, NULL, CLI_TLS_CLIENT_CA},
      {"quiet", no_argument, NULL, 'q'},
      {"verbose", no_argument, NULL, 'v'},
      {NULL, 0, NULL, 0}};
  int code =
      nws__cli_options(argc, argv, ":hl:p:o:s:qv", longs, take_option, s);
  if (code != CLI_GO_ON) {
    return code;
  }
  if (optind < argc) {
    return nws__cli_misuse(s->command, "what is '%s'?", argv[optind]);
  }
  code = check_options(s);
  return code == CLI_EXIT_OK ? CLI_GO_ON : code;
}
