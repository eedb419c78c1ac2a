/* cli_secret.c - who the user is: --auth and --bearer, whose values may also
 * come from a file or the environment, so that they stand neither in the list
 * of processes nor in a shell's history. They are never shown.
 */
#include <stdlib.h>
#include <string.h>
#include <nws/digest.h>
#include "cli.h"

/* The first line of a file. */
static int read_file(const char *command, const char *path, const char *option,
                     char secret[CLI_SECRET_MAX]) {
  FILE *file = fopen(path, "r");
  if (!file) {
    return nws__cli_misuse(command, "%s: cannot read the file '%s'", option,
                           path);
  }
  const char *line = fgets(secret, CLI_SECRET_MAX, file);
  fclose(file);
  if (!line) {
    return nws__cli_misuse(command, "%s: the file '%s' is empty", option, path);
  }
  secret[strcspn(secret, "\r\n")] = 0;
  return CLI_EXIT_OK;
}

static int read_secret(const char *command, const char *arg, const char *option,
                       char secret[CLI_SECRET_MAX]) {
  if (*arg == '@') {
    return read_file(command, arg + 1, option, secret);
  }
  const char *text = *arg == '$' ? getenv(arg + 1) : arg;
  if (!text) {
    return nws__cli_misuse(command, "%s: the environment has no '%s'", option,
                           arg + 1);
  }
  const size_t len = strlen(text);
  if (len >= CLI_SECRET_MAX - 1) {
    return nws__cli_misuse(command, "%s: longer than %d bytes", option,
                           CLI_SECRET_MAX - 2);
  }
  memcpy(secret, text, len + 1);
  return CLI_EXIT_OK;
}

int nws__cli_authorize(const char *command, int basic, const char *arg,
                       char out[CLI_AUTH_MAX]) {
  const char *option = basic ? "--auth" : "--bearer";
  char secret[CLI_SECRET_MAX] = "";
  if (read_secret(command, arg, option, secret) != CLI_EXIT_OK) {
    return CLI_EXIT_USAGE;
  }
  if (!*secret || strlen(secret) == CLI_SECRET_MAX - 1) {
    return nws__cli_misuse(command, "%s: %s", option,
                           *secret ? "too long" : "empty");
  }
  if (basic && !strchr(secret, ':')) {
    return nws__cli_misuse(command, "--auth wants USER:PASSWORD");
  }
  if (!nws_http_value_valid(nws_str_of(secret))) {
    return nws__cli_misuse(command, "%s has a control character", option);
  }
  if (basic) { /* RFC 7617 2 */
    memcpy(out, "Basic ", 6);
    out[6 + nws_base64_encode(secret, strlen(secret), out + 6)] = 0;
  } else { /* RFC 6750 2.1 */
    snprintf(out, CLI_AUTH_MAX, "Bearer %s", secret);
  }
  return CLI_EXIT_OK;
}
