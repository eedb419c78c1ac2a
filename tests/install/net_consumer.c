/* net_consumer.c - a user's first program on the net layer: a server that
 * listens on a free port and is stopped again. Exits with 0 when all is
 * well. */
#include <nws/net.h>
#include <stdio.h>

static int stops;

static void stopped(nws_server *server, void *user) {
  (void)server;
  (void)user;
  stops++;
}

int main(void) {
  nws_loop *loop = NULL;
  nws_server *server = NULL;
  nws_handler handler = {.size = sizeof(handler)};
  nws_server_options options = {
      .size = sizeof(options), .handler = &handler, .stopped = stopped};
  if (nws_loop_new(NULL, &loop) != NWS_OK)
    return 1;
  if (nws_server_start(loop, &options, &server) != NWS_OK)
    return 1;
  printf("listening on port %u\n", (unsigned)nws_server_port(server));
  nws_server_stop(server, NWS_CLOSE_GOING_AWAY);
  nws_loop_run(loop);
  return nws_loop_free(loop) != NWS_OK || stops != 1;
}
