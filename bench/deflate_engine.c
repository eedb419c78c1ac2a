/* deflate_engine.c - the engine, through its public interface: text checked,
 * limits counted, each message a frame of a server's connection.
 */
#include "bench.h"
#include "deflate_sides.h"

#include <nws/conn.h>
#include <nws/deflate.h>

#include <stdlib.h>
#include <string.h>

/* A connection with compression, and what it needs. */
typedef struct link {
  nws_deflate deflate;
  nws_extension_use use;
  nws_conn_config config;
  nws_conn conn;
  uint8_t scratch[128 * 1024];
} link;

static void open_link(link *made, const setting *how) {
  nws_deflate_config compress = {.size = sizeof(compress)};
  nws_deflate_params params = {0};
  memset(made, 0, sizeof(*made));
  compress.level = (uint8_t)how->level;
  compress.backend = how->level == 0 ? nws_deflate_isal() : nws_deflate_zlib();
  params.send_no_takeover = !how->takeover;
  params.receive_no_takeover = !how->takeover;
  made->config.size = sizeof(made->config);
  made->config.scratch = made->scratch;
  made->config.scratch_len = sizeof(made->scratch);
  if (nws_deflate_init(&made->deflate, &compress) != NWS_OK ||
      nws_deflate_use(&made->deflate, &params, &made->use) != NWS_OK ||
      nws_conn_init(&made->conn, NWS_ROLE_SERVER, &made->config, &made->use,
                    1) != NWS_OK) {
    bench_fail("no connection");
  }
}

static void close_link(link *made) {
  nws_extension_release(&made->use, 1);
  nws_deflate_free(&made->deflate);
}

/* --- Sending --- */

struct engine_out {
  link link;
  messages texts;
  uint8_t *out;
  size_t cap;
  size_t bytes;
};

engine_out *engine_out_make(const messages *texts, const setting *how) {
  engine_out *out = bench_alloc(sizeof(*out));
  open_link(&out->link, how);
  out->texts = *texts;
  out->cap = nws_conn_send_room(&out->link.conn, texts->len);
  out->out = bench_alloc(out->cap);
  return out;
}

void engine_out_run(void *user) {
  engine_out *out = user;
  size_t bytes = 0;
  for (size_t i = 0; i < out->texts.count; i++) {
    size_t len;
    if (nws_conn_send(&out->link.conn, NWS_OPCODE_TEXT,
                      out->texts.text + i * out->texts.len, out->texts.len,
                      out->out, out->cap, &len) != NWS_OK) {
      bench_fail("nws_conn_send()");
    }
    bytes += len - (len < 128 ? 2 : len < 65540 ? 4 : 10);
  }
  out->bytes = bytes;
}

size_t engine_out_bytes(const engine_out *out) {
  return out->bytes;
}

void engine_out_free(engine_out *out) {
  close_link(&out->link);
  free(out->out);
  free(out);
}

/* --- Receiving --- */

struct engine_in {
  link link;
  const packed *input;
  uint8_t *wire;
  size_t bytes;
};

engine_in *engine_in_make(const packed *input) {
  const setting how = {1, input->takeover};
  engine_in *in = bench_alloc(sizeof(*in));
  open_link(&in->link, &how);
  in->input = input;
  in->wire = bench_alloc(input->wire_len);
  return in;
}

void engine_in_prepare(void *user) {
  engine_in *in = user;
  memcpy(in->wire, in->input->wire, in->input->wire_len);
}

void engine_in_run(void *user) {
  engine_in *in = user;
  nws_input input = {in->wire, in->input->wire_len, 0};
  nws_event event;
  size_t bytes = 0;
  int type;
  while ((type = nws_conn_recv(&in->link.conn, &input, &event)) > 0) {
    bytes += event.len;
  }
  if (type < 0) {
    bench_fail("nws_conn_recv()");
  }
  in->bytes = bytes;
}

size_t engine_in_bytes(const engine_in *in) {
  return in->bytes;
}

void engine_in_free(engine_in *in) {
  close_link(&in->link);
  free(in->wire);
  free(in);
}
