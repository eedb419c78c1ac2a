/* connect_input.c - what nws connect sends: standard input, or the messages of
 * the command line.
 *
 * Standard input is read by libuv's threads rather than polled: that works the
 * same for terminals, pipes and files, and leaves their modes alone, which
 * others may share. One read is under way at a time, and the next begins when
 * all that the last one gave has been taken by the write queue; so memory is
 * bounded.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "connect.h"

/* A message longer than this leaves in fragments. */
#define MAX_PIECE ((size_t)1 << 20)
#define CHUNK ((size_t)1 << 16)

int nws__connect_input_start(connection *c) {
  c->split.max_piece = MAX_PIECE;
  c->chunk = malloc(CHUNK);
  return c->chunk != NULL;
}

static void on_wait_over(uv_timer_t *timer) {
  nws__connect_finish(timer->data, NWS_CLOSE_NORMAL);
}

static void end_of_input(connection *c) {
  c->ended = 1;
  if (c->stay || c->expect) {
    return;
  }
  if (c->wait_ms) {
    uv_timer_start(&c->timer, on_wait_over, c->wait_ms, 0);
  } else {
    nws__connect_finish(c, NWS_CLOSE_NORMAL);
  }
}

/* Says whether more can be sent; if not, deals with why. */
static int went_well(connection *c, int rc) {
  if (rc == NWS_OK || rc == NWS_ERROR_QUEUE) {
    return rc == NWS_OK;
  }
  c->ended = 1;
  if (rc != NWS_ERROR_STATE) { /* that is: the peer is closing */
    nws__cli_split_complain(
        &c->split, c->message_count ? "the command line" : "the input", rc);
    nws__connect_give_up(c);
  }
  return 0;
}

static void send_messages(connection *c) {
  const unsigned what = c->split.binary ? NWS_OPCODE_BINARY : NWS_OPCODE_TEXT;
  while (c->message_next < c->message_count) {
    const char *text = c->messages[c->message_next];
    int rc = nws_peer_send(c->client.peer, what, text, strlen(text));
    if (!went_well(c, rc)) {
      return;
    }
    c->message_next++;
    c->split.count++;
  }
  end_of_input(c);
}

static void on_read(uv_fs_t *request) {
  connection *c = request->data;
  ssize_t result = request->result;
  uv_fs_req_cleanup(request);
  c->reading = 0;
  if (c->ended) {
    return;
  }
  if (result < 0) {
    nws__cli_say("cannot read standard input: %s", uv_strerror((int)result));
    nws__connect_give_up(c);
    return;
  }
  c->at_end = result == 0;
  nws__cli_split_give(&c->split, c->chunk, (size_t)result);
  nws__connect_pump(c);
}

static void read_chunk(connection *c) {
  uv_buf_t buffer = uv_buf_init((char *)c->chunk, (unsigned)CHUNK);
  c->read.data = c;
  int rc = uv_fs_read(&c->client.uv, &c->read, STDIN_FILENO, &buffer, 1, -1,
                      on_read);
  if (rc == 0) {
    c->reading = 1;
    return;
  }
  nws__cli_say("cannot read standard input: %s", uv_strerror(rc));
  nws__connect_give_up(c);
}

void nws__connect_pump(connection *c) {
  if (c->reading || c->ended || c->client.closing || !c->client.peer) {
    return;
  }
  if (c->message_count) {
    send_messages(c);
    return;
  }
  if (!went_well(c, nws__cli_split_pump(&c->split, c->client.peer))) {
    return;
  }
  if (!c->at_end) {
    read_chunk(c);
  } else if (went_well(c, nws__cli_split_end(&c->split, c->client.peer))) {
    end_of_input(c);
  }
}
