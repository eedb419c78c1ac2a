/* vector_deflate.c - permessage-deflate for vectors whose peers have agreed
 * upon it: `deflate: send_no_takeover receive_window_bits=9`, or `deflate: on`.
 */
#include "vectors.h"

#include <nws/deflate.h>

#include <stdio.h>
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
