/* vector_deflate.c - permessage-deflate for vectors: for connections whose
 * peers have agreed upon it (`deflate: send_no_takeover receive_window_bits=9`,
 * or `deflate: on`), and for handshakes that are to (`policy: deflate=insist`).
 */
#include "vectors.h"

#include <nws/deflate.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_word(const char *word, nws_deflate_params *params) {
  unsigned bits;
  if (strcmp(word, "on") == 0) {
    return 0;
  }
  if (strcmp(word, "send_no_takeover") == 0) {
    params->send_no_takeover = 1;
  } else if (strcmp(word, "receive_no_takeover") == 0) {
    params->receive_no_takeover = 1;
  } else if (sscanf(word, "send_window_bits=%u", &bits) == 1) {
    params->send_window_bits = (uint8_t)bits;
  } else if (sscanf(word, "receive_window_bits=%u", &bits) == 1) {
    params->receive_window_bits = (uint8_t)bits;
  } else {
    return -1;
  }
  return 0;
}

int vector_deflate(const char *words, nws_extension_use *use) {
  nws_deflate_config config = {.size = sizeof(config), .min_size = 1};
  static nws_deflate deflate; /* what is in use keeps all but this */
  nws_deflate_params params = {0};
  char word[64];
  int used, status;
  for (; sscanf(words, "%63s%n", word, &used) == 1; words += used) {
    if (read_word(word, &params) != 0) {
      return -1;
    }
  }
  if (nws_deflate_init(&deflate, &config) != NWS_OK) {
    return -1;
  }
  status = nws_deflate_use(&deflate, &params, use);
  nws_deflate_free(&deflate);
  return status == NWS_OK ? 0 : -1;
}

static int read_config_word(char *word, nws_deflate_config *config) {
  nws_deflate_params params = {0};
  if (strcmp(word, "insist") == 0) {
    config->insist = 1;
    return 0;
  }
  if (read_word(word, &params) != 0) {
    return -1;
  }
  config->send_no_takeover |= params.send_no_takeover;
  config->receive_no_takeover |= params.receive_no_takeover;
  config->send_window_bits |= params.send_window_bits;
  config->receive_window_bits |= params.receive_window_bits;
  return 0;
}

const nws_extension *vector_deflate_make(const char *words) {
  nws_deflate_config config = {.size = sizeof(config)};
  nws_deflate *deflate = xalloc(sizeof(*deflate));
  char word[64];
  int used;
  for (; sscanf(words, "%63[^,]%n", word, &used) == 1; words += used) {
    if (read_config_word(word, &config) != 0) {
      break;
    }
    used += words[used] == ',';
  }
  if (*words != '\0' || nws_deflate_init(deflate, &config) != NWS_OK) {
    free(deflate);
    return NULL;
  }
  return &deflate->base;
}

void vector_deflate_drop(const nws_extension *ext) {
  void *deflate = NULL;
  memcpy(&deflate, &ext, sizeof(ext)); /* it was made writable */
  nws_deflate_free(deflate);
  free(deflate);
}

void vector_deflate_log(const nws_extension_use *uses, size_t count,
                        bytes *log) {
  nws_deflate_params params;
  if (!nws_deflate_agreed(uses, count, &params)) {
    return;
  }
  bytes_print(log, "deflate send_window_bits=%u receive_window_bits=%u%s%s\n",
              params.send_window_bits, params.receive_window_bits,
              params.send_no_takeover ? " send_no_takeover" : "",
              params.receive_no_takeover ? " receive_no_takeover" : "");
}
