/* client.c - sends one line to a WebSocket server and prints the answer.
 *
 *     client [URL [LINE]]
 *
 * Shows a client's whole life: connect, open, message, close; and where each
 * kind of failure is told: nws_client_connect() returns what is wrong with the
 * options, all that happens later comes to the `closed` callback.
 */
#include <nws/net.h>
#include <stdio.h>
#include <string.h>

typedef struct talk {
  const char *line; /* what to say */
  int answered;     /* 1 once the answer was printed */
} talk;

static void on_open(nws_peer *peer) {
  const talk *t = nws_peer_user(peer);
  int rc = nws_peer_send(peer, NWS_OPCODE_TEXT, t->line, strlen(t->line));
  if (rc != NWS_OK) {
    fprintf(stderr, "client: cannot send: %s\n", nws_net_text(rc));
    nws_peer_abort(peer);
  }
}

static void on_message(nws_peer *peer, unsigned opcode, uint8_t *data,
                       size_t len) {
  talk *t = nws_peer_user(peer);
  if (t->answered)
    return; /* said before our close reached the server */
  t->answered = 1;
  if (opcode == NWS_OPCODE_TEXT)
    printf("%.*s\n", (int)len, (const char *)data);
  else
    printf("%zu bytes\n", len);
  nws_peer_close(peer, NWS_CLOSE_NORMAL, nws_str_of("thanks"));
}

static void on_closed(nws_peer *peer, const nws_closed *how) {
  (void)peer;
  if (how->response != NULL)
    fprintf(stderr, "client: the server answered %u\n",
            (unsigned)how->response->status);
  else if (how->error != NWS_OK)
    fprintf(stderr, "client: %s\n", nws_net_text(how->error));
  else
    fprintf(stderr, "client: closed with %u\n", how->code);
}

int main(int argc, char **argv) {
  talk t = {.line = argc > 2 ? argv[2] : "Hello"};
  nws_handler handler = {
      .size = sizeof(handler),
      .open = on_open,
      .message = on_message,
      .closed = on_closed,
  };
  nws_client_options options = {
      .size = sizeof(options),
      .handler = &handler,
      .user = &t,
      .url = argc > 1 ? argv[1] : "ws://127.0.0.1:8080/",
  };
  nws_loop *loop;
  int rc = nws_loop_new(NULL, &loop);
  if (rc == NWS_OK) {
    rc = nws_client_connect(loop, &options, NULL);
    nws_loop_run(loop);
    nws_loop_free(loop);
  }
  if (rc != NWS_OK)
    fprintf(stderr, "client: %s\n", nws_net_text(rc));
  return t.answered ? 0 : 1;
}
