/* echo_server.c - a WebSocket server that sends everything back.
 *
 *     echo_server [PORT]
 *
 * Everything not set has a default that suits a server on the open network:
 * messages of at most 1 MiB, pages of the same host only, keep-alive pings, and
 * a pause for peers that send and never read.
 */
/* readme:begin */
#include <nws/net.h>
#include <stdio.h>
#include <stdlib.h>

static void echo(nws_peer *peer, unsigned opcode, uint8_t *data, size_t len) {
  if (nws_peer_send(peer, opcode, data, len) != NWS_OK)
    nws_peer_abort(peer);
}

int main(int argc, char **argv) {
  nws_handler handler = {.size = sizeof(handler), .message = echo};
  nws_server_options options = {
      .size = sizeof(options),
      .handler = &handler,
      .port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 8080),
  };
  nws_loop *loop;
  nws_server *server;
  int rc = nws_loop_new(NULL, &loop);
  if (rc == NWS_OK)
    rc = nws_server_start(loop, &options, &server);
  if (rc != NWS_OK) {
    fprintf(stderr, "echo_server: %s\n", nws_net_text(rc));
    return 1;
  }
  printf("listening on 127.0.0.1:%u\n", (unsigned)nws_server_port(server));
  fflush(stdout);
  return nws_loop_run(loop) == NWS_OK ? 0 : 1;
}
/* readme:end */
