/* dfl_help.c - two ends and their bytes, for the tests of permessage-deflate.
 */
#include "dfl_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH_DEFAULT = 4096 };

/* --- Bytes --- */

void dfl_add(dfl_bytes *bytes, const void *data, size_t len) {
  const uint8_t *from = data;
  if (bytes->len + len > bytes->cap) {
    const int is_own = bytes->len > 0 && from >= bytes->data &&
                       from < bytes->data + bytes->len;
    const size_t at = is_own ? (size_t)(from - bytes->data) : 0;
    bytes->cap = (bytes->len + len) * 2;
    bytes->data = realloc(bytes->data, bytes->cap);
    assert_non_null(bytes->data);
    from = is_own ? bytes->data + at : from;
  }
  if (len > 0) {
    memcpy(bytes->data + bytes->len, from, len);
  }
  bytes->len += len;
}

void dfl_free(dfl_bytes *bytes) {
  free(bytes->data);
  memset(bytes, 0, sizeof(*bytes));
}

void dfl_add_hex(dfl_bytes *bytes, const char *hex) {
  for (unsigned value; *hex != '\0'; hex += 2) {
    while (*hex == ' ') {
      hex++;
    }
    assert_int_equal(sscanf(hex, "%2x", &value), 1);
    const uint8_t byte = (uint8_t)value;
    dfl_add(bytes, &byte, 1);
  }
}

void dfl_equal(const dfl_bytes *bytes, const void *data, size_t len) {
  assert_int_equal(bytes->len, len);
  if (len > 0) {
    assert_memory_equal(bytes->data, data, len);
  }
}

uint32_t dfl_number(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

static void add_json(dfl_bytes *bytes, uint32_t *seed) {
  static const char *const names[] = {"price", "size", "user", "note", "at"};
  char text[96];
  const int len =
      snprintf(text, sizeof(text), "{\"%s\":%u,\"%s\":\"%s-%u\",\"ok\":true},",
               names[dfl_number(seed) % 5], dfl_number(seed) % 100000,
               names[dfl_number(seed) % 5], names[dfl_number(seed) % 5],
               dfl_number(seed) % 50);
  dfl_add(bytes, text, (size_t)len);
}

void dfl_add_kind(dfl_bytes *bytes, dfl_kind kind, size_t len, uint32_t *seed) {
  const size_t end = bytes->len + len;
  while (bytes->len < end) {
    uint8_t block[64];
    if (kind == DFL_JSON) {
      add_json(bytes, seed);
      continue;
    }
    for (size_t i = 0; i < sizeof(block); i++) {
      block[i] = (uint8_t)dfl_number(seed);
    }
    if (kind == DFL_RUNS) {
      memset(block, (int)(dfl_number(seed) & 3), sizeof(block));
    }
    dfl_add(bytes, block, sizeof(block));
  }
  bytes->len = end;
}

void dfl_add_frame(dfl_bytes *stream, unsigned first, const void *payload,
                   size_t len, int masked) {
  static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
  uint8_t header[NWS_FRAME_HEADER_MAX];
  nws_frame frame = {0};
  size_t start;
  int header_len;
  frame.fin = (first & 0x80) != 0;
  frame.rsv = first & (NWS_RSV1 | NWS_RSV2 | NWS_RSV3);
  frame.opcode = first & 15;
  frame.payload_len = len;
  frame.masked = masked != 0;
  memcpy(frame.key, key, masked ? 4 : 0);
  header_len = nws_frame_build(&frame, header);
  assert_true(header_len > 0);
  dfl_add(stream, header, (size_t)header_len);
  start = stream->len;
  dfl_add(stream, payload, len);
  if (masked && len > 0) {
    nws_mask(stream->data + start, stream->data + start, len, key, 0);
  }
}

nws_frame dfl_frame(const dfl_bytes *wire, dfl_bytes *payload) {
  nws_frame frame;
  assert_int_equal(nws_frame_parse(&frame, wire->data, wire->len), NWS_OK);
  assert_true(wire->len >= frame.header_len + frame.payload_len);
  payload->len = 0;
  dfl_add(payload, wire->data + frame.header_len, (size_t)frame.payload_len);
  if (frame.masked && payload->len > 0) {
    nws_mask(payload->data, payload->data, payload->len, frame.key, 0);
  }
  return frame;
}

/* --- Memory --- */

static void *resize(void *user, void *ptr, size_t old_len, size_t new_len) {
  dfl_memory *memory = user;
  void *block;
  assert_true((ptr == NULL) == (old_len == 0));
  if (ptr != NULL) {
    /* In front of each block stands its size, so that what is told of it can
     * be checked. */
    size_t len;
    memcpy(&len, (uint8_t *)ptr - 16, sizeof(len));
    assert_int_equal(len, old_len);
  }
  if (new_len == 0) {
    memory->live -= old_len;
    memory->blocks--;
    free((uint8_t *)ptr - 16);
    return NULL;
  }
  assert_null(ptr); /* nothing here grows */
  memory->calls++;
  if (memory->fail_at != 0 &&
      (memory->calls == memory->fail_at ||
       (memory->fail_on && memory->calls > memory->fail_at))) {
    return NULL;
  }
  block = malloc(new_len + 16);
  assert_non_null(block);
  memcpy(block, &new_len, sizeof(new_len));
  memory->live += new_len;
  memory->blocks++;
  memory->peak = memory->live > memory->peak ? memory->live : memory->peak;
  return (uint8_t *)block + 16;
}

void dfl_memory_init(dfl_memory *memory) {
  memset(memory, 0, sizeof(*memory));
  memory->allocator.resize = resize;
  memory->allocator.user = memory;
}

/* --- Ends --- */

static int fill_random(void *user, void *out, size_t len) {
  uint8_t *bytes = out;
  (void)user;
  for (size_t i = 0; i < len; i++) {
    bytes[i] = (uint8_t)(i * 57 + 1);
  }
  return 0;
}

const nws_random dfl_random = {fill_random, NULL};

void dfl_open(dfl_end *end, nws_role role, const nws_extension_use *uses,
              size_t count, const nws_conn_config *config, size_t scratch_len) {
  memset(end, 0, sizeof(*end));
  if (config != NULL) {
    end->config = *config;
  }
  scratch_len = scratch_len != 0 ? scratch_len : SCRATCH_DEFAULT;
  end->random = dfl_random;
  end->config.size = sizeof(end->config);
  end->config.random = &end->random;
  end->scratch = malloc(scratch_len);
  assert_non_null(end->scratch);
  end->config.scratch = end->scratch;
  end->config.scratch_len = scratch_len;
  if (count > 0) {
    memcpy(end->uses, uses, count * sizeof(*uses));
  }
  end->use_count = count;
  assert_int_equal(
      nws_conn_init(&end->conn, role, &end->config, end->uses, count), NWS_OK);
  assert_int_equal(nws_conn_lend(&end->conn, &end->spill), 1);
}

void dfl_open_with(dfl_end *end, nws_role role, const nws_deflate *deflate,
                   const nws_deflate_params *params, size_t scratch_len) {
  nws_extension_use use;
  assert_int_equal(nws_deflate_use(deflate, params, &use), NWS_OK);
  dfl_open(end, role, &use, 1, NULL, scratch_len);
}

void dfl_close(dfl_end *end) {
  nws_extension_release(end->uses, end->use_count);
  dfl_free(&end->got);
  dfl_free(&end->all);
  free(end->scratch);
  end->scratch = NULL;
}

void dfl_send(dfl_end *end, unsigned what, const void *payload, size_t len,
              dfl_bytes *wire) {
  const size_t room = nws_conn_send_room(&end->conn, len);
  uint8_t *out = malloc(room);
  size_t out_len;
  assert_non_null(out);
  assert_int_equal(
      nws_conn_send(&end->conn, what, payload, len, out, room, &out_len),
      NWS_OK);
  assert_true(out_len <= room);
  dfl_add(wire, out, out_len);
  free(out);
}

static void on_event(dfl_end *end, const nws_event *event) {
  if (event->type != NWS_EVENT_DATA) {
    end->controls++;
    return;
  }
  if ((event->flags & NWS_MESSAGE_BEGIN) != 0) {
    end->got.len = 0;
  }
  assert_int_equal(event->message_offset, end->got.len);
  dfl_add(&end->got, event->data, event->len);
  dfl_add(&end->all, event->data, event->len);
  end->largest = event->len > end->largest ? event->len : end->largest;
  if ((event->flags & NWS_MESSAGE_END) != 0) {
    const uint8_t mark[] = {event->opcode, '|'};
    dfl_add(&end->all, mark, sizeof(mark));
    end->messages++;
  }
}

int dfl_feed(dfl_end *end, const uint8_t *data, size_t len, size_t step) {
  while (len > 0) {
    const size_t piece = step == 0 || step > len ? len : step;
    uint8_t *block = malloc(piece);
    nws_input in = {block, piece, 0};
    nws_event event;
    int type;
    assert_non_null(block);
    memcpy(block, data, piece);
    while ((type = nws_conn_recv(&end->conn, &in, &event)) > 0) {
      on_event(end, &event);
    }
    free(block);
    if (type < 0) {
      return type;
    }
    assert_int_equal(in.len, 0);
    data += piece;
    len -= piece;
  }
  return NWS_OK;
}

void dfl_pass(dfl_end *from, dfl_end *to, unsigned what, const void *payload,
              size_t len) {
  dfl_bytes wire = {0};
  const size_t before = to->messages;
  dfl_send(from, what, payload, len, &wire);
  assert_int_equal(dfl_feed(to, wire.data, wire.len, 0), NWS_OK);
  assert_int_equal(to->messages, before + 1);
  dfl_equal(&to->got, payload, len);
  dfl_free(&wire);
}

/* --- The handshake --- */

static void copy_value(const nws_header *headers, size_t count, char *out) {
  const nws_str name = nws_str_of("Sec-WebSocket-Extensions");
  const size_t at = nws_header_find(headers, count, name, 0);
  out[0] = '\0';
  if (at < count) {
    snprintf(out, 1024, "%.*s", (int)headers[at].value.len,
             headers[at].value.ptr);
  }
}

int dfl_shake(dfl_pair *pair, const nws_deflate *client,
              const nws_deflate *server, size_t scratch_len) {
  const nws_extension *asked[] = {client != NULL ? &client->base : NULL};
  const nws_extension *known[] = {server != NULL ? &server->base : NULL};
  static nws_client_handshake ch;
  static nws_server_handshake sh;
  nws_client_offer offer = {.size = sizeof(offer)};
  nws_server_policy policy = {.size = sizeof(policy)};
  char head[4096];
  size_t len;
  nws_uri uri;
  int status;
  memset(pair, 0, sizeof(*pair));
  assert_int_equal(nws_uri_parse(&uri, "ws://localhost/", 15, NULL), NWS_OK);
  offer.uri = &uri;
  offer.extensions = asked;
  offer.extension_count = client != NULL;
  policy.extensions = known;
  policy.extension_count = server != NULL;
  memset(&sh, 0, sizeof(sh));
  assert_int_equal(nws_client_handshake_start(&ch, &offer, &dfl_random, head,
                                              sizeof(head), &len),
                   NWS_OK);
  assert_int_equal(nws_server_handshake_read(&sh, &policy, head, len), NWS_OK);
  copy_value(sh.head.headers, sh.head.count, pair->offer);
  status = nws_server_handshake_accept(&sh, NULL, head, sizeof(head), &len);
  if (status != NWS_OK) {
    nws_extension_release(sh.extensions, sh.extension_count);
    return status;
  }
  status = nws_client_handshake_read(&ch, head, len);
  copy_value(ch.head.headers, ch.head.count, pair->answer);
  if (status != NWS_OK) {
    nws_extension_release(sh.extensions, sh.extension_count);
    return status;
  }
  dfl_open(&pair->client, NWS_ROLE_CLIENT, ch.extensions, ch.extension_count,
           NULL, scratch_len);
  dfl_open(&pair->server, NWS_ROLE_SERVER, sh.extensions, sh.extension_count,
           NULL, scratch_len);
  return NWS_OK;
}

void dfl_part(dfl_pair *pair) {
  dfl_close(&pair->client);
  dfl_close(&pair->server);
}

void dfl_init(nws_deflate *deflate, const nws_deflate_config *config) {
  assert_int_equal(nws_deflate_init(deflate, config), NWS_OK);
}

size_t dfl_backends(const nws_deflate_backend *backends[2]) {
  backends[0] = nws_deflate_zlib();
  backends[1] = nws_deflate_isal();
  return backends[1] != NULL ? 2 : 1;
}
