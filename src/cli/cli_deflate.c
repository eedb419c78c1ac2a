/* cli_deflate.c - the option --deflate[=HOW], which means the same to every
 * command: permessage-deflate, and what is to be agreed upon.
 *
 * HOW is a list, so that its words can be combined; each --deflate starts from
 * the defaults again.
 */
#include <string.h>
#include "cli.h"

static int read_bits(nws_deflate_config *config, nws_str word) {
  char text[4] = "";
  uint64_t bits = 0;
  if (word.len <= 5 || word.len >= 5 + sizeof(text) ||
      memcmp(word.ptr, "bits=", 5) != 0) {
    return 0;
  }
  memcpy(text, word.ptr + 5, word.len - 5);
  if (!nws__cli_read_number(text, 15, &bits) || bits < 8) {
    return 0;
  }
  config->send_window_bits = (uint8_t)bits;
  config->receive_window_bits = (uint8_t)bits;
  return 1;
}

static int read_word(cli_deflate *deflate, nws_str word) {
  if (nws_str_equal(word, nws_str_of("off"))) {
    deflate->on = 0;
    return 1;
  }
  if (nws_str_equal(word, nws_str_of("no-takeover"))) {
    deflate->config.send_no_takeover = 1;
    deflate->config.receive_no_takeover = 1;
    return 1;
  }
  return nws_str_equal(word, nws_str_of("takeover")) ||
         read_bits(&deflate->config, word);
}

int nws__cli_deflate_read(cli_deflate *deflate, const char *command,
                          const char *arg) {
  nws_str rest = nws_str_of(arg ? arg : "takeover");
  nws_str word;
  int found = 0;
  memset(&deflate->config, 0, sizeof(deflate->config));
  deflate->on = 1;
  while (nws_list_next(&rest, &word)) {
    found = 1;
    if (!read_word(deflate, word)) {
      found = 0;
      break;
    }
  }
  return found ? CLI_EXIT_OK
               : nws__cli_misuse(command,
                                 "--deflate=%s: wants off, takeover, "
                                 "no-takeover or bits=8 to bits=15",
                                 arg ? arg : "");
}

int nws__cli_deflate_start(cli_deflate *deflate) {
  deflate->count = 0;
  if (!deflate->on) {
    return NWS_OK;
  }
  deflate->config.size = sizeof(deflate->config);
  int rc = nws_deflate_init(&deflate->deflate, &deflate->config);
  if (rc == NWS_OK) {
    deflate->list[0] = &deflate->deflate.base;
    deflate->count = 1;
  } else {
    nws__cli_say("cannot compress: %s", nws_error_text(rc));
  }
  return rc;
}

int nws__cli_deflate_use(cli_deflate *deflate, nws_extension_use *use) {
  const nws_deflate_params params = {
      .receive_no_takeover = deflate->config.receive_no_takeover,
      .receive_window_bits = deflate->config.receive_window_bits};
  memset(use, 0, sizeof(*use));
  int rc = nws__cli_deflate_start(deflate);
  if (rc != NWS_OK || !deflate->on) {
    return rc;
  }
  rc = nws_deflate_use(&deflate->deflate, &params, use);
  if (rc != NWS_OK) {
    nws__cli_say("cannot inflate: %s", nws_error_text(rc));
  }
  return rc;
}

void nws__cli_deflate_free(cli_deflate *deflate) {
  if (deflate->count) {
    nws_deflate_free(&deflate->deflate);
  }
  deflate->count = 0;
}
