/* deflate_consumer.c - a user's first program with compression: two ends, and a
 * message that gets short on the way. Exits with 0 when all is well. */
#include <nws/deflate.h>
#include <nws/nws.h>
#include <stdio.h>
#include <string.h>

/* The client here only listens. */
static int no_random(void *user, void *out, size_t len) {
  (void)user;
  (void)out;
  (void)len;
  return -1;
}

int main(void) {
  static const char text[] = "to be or not to be or not to be or not to be";
  nws_deflate deflate;
  nws_extension_use uses[2];
  nws_conn server, client;
  uint8_t scratch[256], wire[256];
  nws_conn_config config = {.size = sizeof(config)};
  nws_random never = {no_random, NULL};
  nws_input in = {wire, 0, 0};
  nws_event event;
  config.scratch = scratch;
  config.scratch_len = sizeof(scratch);
  config.random = &never;
  if (nws_deflate_init(&deflate, NULL) != NWS_OK)
    return 1;
  for (size_t i = 0; i < 2; i++)
    if (nws_deflate_use(&deflate, NULL, &uses[i]) != NWS_OK)
      return 1;
  if (nws_conn_init(&server, NWS_ROLE_SERVER, &config, &uses[0], 1) != NWS_OK ||
      nws_conn_init(&client, NWS_ROLE_CLIENT, &config, &uses[1], 1) != NWS_OK)
    return 1;
  if (nws_conn_send(&server, NWS_OPCODE_TEXT, text, sizeof(text) - 1, wire,
                    sizeof(wire), &in.len) != NWS_OK)
    return 1;
  printf("%zu bytes became %zu\n", sizeof(text) - 1, in.len);
  if (in.len >= sizeof(text) / 2 ||
      nws_conn_recv(&client, &in, &event) != NWS_EVENT_DATA ||
      event.len != sizeof(text) - 1 || memcmp(event.data, text, event.len) != 0)
    return 1;
  nws_extension_release(uses, 2);
  nws_deflate_free(&deflate);
  return 0;
}
