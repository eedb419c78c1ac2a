/* chat.c - a chat server: what somebody says goes to all others in the room.
 *
 *     chat [PORT]
 *
 * The path of the address is the room: ws://127.0.0.1:8080/kitchen. Rooms are
 * topics of a hub: more loops in more threads could share it, and any thread
 * could say something in a room.
 */
#include <nws/hub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nws_hub *hub;

static void enter(nws_peer *peer) {
  nws_str room = nws_peer_request(peer)->path;
  char *name = calloc(1, room.len + 1);
  if (name != NULL)
    memcpy(name, room.ptr, room.len);
  nws_peer_set_user(peer, name);
  if (name == NULL || nws_hub_join(hub, peer, room) != NWS_OK)
    nws_peer_close(peer, NWS_CLOSE_POLICY_VIOLATION,
                   nws_str_of("no such room"));
}

static void say(nws_peer *peer, unsigned opcode, uint8_t *data, size_t len) {
  nws_str room = nws_str_of(nws_peer_user(peer));
  if (nws_hub_publish(hub, room, opcode, data, len, peer) != NWS_OK)
    nws_peer_close(peer, NWS_CLOSE_TRY_AGAIN_LATER, nws_str_of("too busy"));
}

static void leave(nws_peer *peer, const nws_closed *how) {
  (void)how; /* it has left the room by itself */
  free(nws_peer_user(peer));
}

int main(int argc, char **argv) {
  nws_handler handler = {
      .size = sizeof(handler), .open = enter, .message = say, .closed = leave};
  nws_server_options options = {
      .size = sizeof(options),
      .handler = &handler,
      .port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 8080),
  };
  nws_loop *loop;
  nws_server *server;
  int rc = nws_loop_new(NULL, &loop);
  if (rc == NWS_OK)
    rc = nws_hub_new(NULL, &hub);
  if (rc == NWS_OK)
    rc = nws_server_start(loop, &options, &server);
  if (rc != NWS_OK) {
    fprintf(stderr, "chat: %s\n", nws_net_text(rc));
    return 1;
  }
  printf("listening on 127.0.0.1:%u\n", (unsigned)nws_server_port(server));
  fflush(stdout);
  return nws_loop_run(loop) == NWS_OK ? 0 : 1;
}
