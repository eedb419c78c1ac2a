/* engine_nws.c - the engine through its public interface: rules, limits, text,
 * events, and a clock's time with each read, as a server does it.
 */
#include "bench.h"
#include "engine_sides.h"

#include <nws/conn.h>

#include <stdlib.h>

void engine_open(receiver *side) {
  nws_conn *conn = bench_alloc(sizeof(*conn));
  if (nws_conn_init(conn, NWS_ROLE_SERVER, NULL, NULL, 0) != NWS_OK) {
    bench_fail("nws_conn_init()");
  }
  side->state = conn;
}

void engine_receive(void *user) {
  receiver *side = user;
  const stream *from = side->from;
  nws_conn *conn = side->state;
  tally found = {0, 0};
  for (size_t at = 0; at < from->len; at += CHUNK_LEN) {
    const size_t left = from->len - at;
    nws_input in = {from->input + at, left < CHUNK_LEN ? left : CHUNK_LEN, 1};
    nws_event event;
    int type;
    while ((type = nws_conn_recv(conn, &in, &event)) > 0) {
      found.bytes += event.len;
      found.messages += (event.flags & NWS_MESSAGE_END) != 0;
    }
    if (type < 0) {
      bench_fail("nws_conn_recv()");
    }
  }
  side->found = found;
}

void engine_close(receiver *side) {
  free(side->state);
}
