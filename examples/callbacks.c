/* callbacks.c - callbacks for those who like them, on top of the pull API.
 *
 * The engine calls nobody: it returns events. Turning that around takes one
 * loop, because a loop that pulls may call whatever it wants between two pulls,
 * while code that is called cannot turn into a loop. The adapter (the first
 * half of this file) hands out whole messages and takes bytes to send through a
 * `write` callback; callbacks may send and close.
 *
 * The second half tries it: a server and a client in one process, whose `write`
 * callbacks append to each other's inbox.
 */
#include <nws/nws.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* --- The adapter --- */

typedef struct callbacks {
  void (*message)(void *user, unsigned opcode, const uint8_t *data, size_t len);
  void (*pong)(void *user, const uint8_t *data, size_t len);
  void (*closed)(void *user, unsigned code, nws_str reason, int error);
  /* Takes bytes for the peer; all of them, or it returns an error. */
  int (*write)(void *user, const uint8_t *data, size_t len);
} callbacks;

typedef struct caller {
  nws_conn conn;
  nws_spill spill;
  nws_message message;
  const callbacks *call;
  void *user;
} caller;

static void *resize(void *user, void *ptr, size_t old_len, size_t new_len) {
  (void)user;
  (void)old_len;
  if (new_len > 0)
    return realloc(ptr, new_len);
  free(ptr);
  return NULL;
}

static const nws_allocator allocator = {.resize = resize};

static int caller_init(caller *c, nws_role role, const nws_conn_config *config,
                       const callbacks *call, void *user) {
  int rc = nws_conn_init(&c->conn, role, config, NULL, 0);
  if (rc != NWS_OK)
    return rc;
  nws_conn_lend(&c->conn, &c->spill);
  nws_message_init(&c->message, &allocator, config->max_message);
  c->call = call;
  c->user = user;
  return NWS_OK;
}

static int caller_send(caller *c, unsigned what, const void *data, size_t len) {
  size_t cap = nws_conn_send_room(&c->conn, len), out_len = 0;
  uint8_t *out = malloc(cap);
  if (out == NULL)
    return NWS_ERROR_MEMORY;
  int rc = nws_conn_send(&c->conn, what, data, len, out, cap, &out_len);
  if (rc == NWS_OK)
    rc = c->call->write(c->user, out, out_len);
  free(out);
  return rc;
}

static int caller_close(caller *c, unsigned code, nws_str reason) {
  uint8_t out[NWS_CONTROL_FRAME_MAX];
  size_t len;
  int rc = nws_conn_close(&c->conn, code, reason, out, sizeof(out), &len);
  return rc != NWS_OK ? rc : c->call->write(c->user, out, len);
}

static int caller_flush(caller *c) {
  uint8_t out[2 * NWS_CONTROL_FRAME_MAX];
  size_t len;
  int rc = nws_conn_flush(&c->conn, out, sizeof(out), &len);
  return rc != NWS_OK || len == 0 ? rc : c->call->write(c->user, out, len);
}

static int dispatch(caller *c, const nws_event *event) {
  if (event->type == NWS_EVENT_DATA) {
    int rc = nws_message_add(&c->message, event);
    if (rc == NWS_OK)
      c->call->message(c->user, c->message.opcode, c->message.data,
                       c->message.len);
    return rc < 0 ? rc : NWS_OK;
  }
  if (event->type == NWS_EVENT_PONG)
    c->call->pong(c->user, event->data, event->len);
  else if (event->type == NWS_EVENT_CLOSE)
    c->call->closed(c->user, event->code,
                    nws_str_make((const char *)event->data, event->len),
                    NWS_OK);
  return NWS_OK;
}

/* Takes what was received and makes all calls that follow from it. Returns
 * NWS_OK or the error after which the connection is over. */
static int caller_feed(caller *c, uint8_t *data, size_t len) {
  nws_input in = {.data = data, .len = len};
  nws_event event;
  int type;
  while ((type = nws_conn_recv(&c->conn, &in, &event)) > 0) {
    int rc = dispatch(c, &event);
    if (rc == NWS_OK)
      rc = caller_flush(c);
    if (rc != NWS_OK)
      return rc;
  }
  if (type < 0) {
    caller_flush(c); /* the close frame that tells the peer of its error */
    c->call->closed(c->user, nws_conn_close_code(&c->conn), nws_str_of(""),
                    type);
  }
  return type;
}

static void caller_free(caller *c) {
  nws_message_free(&c->message);
}

/* --- A try --- */

/* One of the two, with what has been written to it and not been read yet. */
typedef struct person {
  caller link;
  const char *name;
  int serves; /* 1: the server */
  struct person *other;
  uint8_t inbox[4096];
  size_t inbox_len;
} person;

static int on_write(void *user, const uint8_t *data, size_t len) {
  person *other = ((person *)user)->other;
  if (len > sizeof(other->inbox) - other->inbox_len)
    return NWS_ERROR_BUFFER;
  memcpy(other->inbox + other->inbox_len, data, len);
  other->inbox_len += len;
  return NWS_OK;
}

/* The server answers from inside the callback; the client has heard enough. */
static void on_message(void *user, unsigned opcode, const uint8_t *data,
                       size_t len) {
  person *p = user;
  printf("%s: message \"%.*s\"\n", p->name, (int)len, (const char *)data);
  if (p->serves)
    caller_send(&p->link, opcode, data, len);
  else
    caller_close(&p->link, NWS_CLOSE_NORMAL, nws_str_of("bye"));
}

static void on_pong(void *user, const uint8_t *data, size_t len) {
  person *p = user;
  printf("%s: pong \"%.*s\"\n", p->name, (int)len, (const char *)data);
}

static void on_closed(void *user, unsigned code, nws_str reason, int error) {
  person *p = user;
  printf("%s: closed %u \"%.*s\"%s%s\n", p->name, code, (int)reason.len,
         reason.ptr, error ? " " : "", error ? nws_error_text(error) : "");
}

static int read_inbox(person *p) {
  uint8_t data[sizeof(p->inbox)];
  size_t len = p->inbox_len;
  memcpy(data, p->inbox, len);
  p->inbox_len = 0;
  return caller_feed(&p->link, data, len);
}

static int fill_random(void *user, void *out, size_t len) {
  (void)user;
  return getentropy(out, len);
}

/* Says three things and carries bytes to and fro until nobody writes. */
static int converse(person *client, person *server) {
  caller *c = &client->link;
  int rc = caller_send(c, NWS_OPCODE_PING, "are you there", 13);
  if (rc == NWS_OK)
    rc = caller_send(c, NWS_OPCODE_TEXT | NWS_SEND_MORE, "Hello, ", 7);
  if (rc == NWS_OK)
    rc = caller_send(c, NWS_OPCODE_CONTINUATION, "world", 5);
  while (rc == NWS_OK && client->inbox_len + server->inbox_len > 0) {
    rc = read_inbox(server);
    if (rc == NWS_OK)
      rc = read_inbox(client);
  }
  return rc;
}

int main(void) {
  static const callbacks call = {on_message, on_pong, on_closed, on_write};
  static const nws_random randomness = {.fill = fill_random};
  static const nws_conn_config config = {.size = sizeof(config),
                                         .random = &randomness};
  static person client = {.name = "client"},
                server = {.name = "server", .serves = 1};
  client.other = &server;
  server.other = &client;
  int rc = caller_init(&client.link, NWS_ROLE_CLIENT, &config, &call, &client);
  if (rc == NWS_OK)
    rc = caller_init(&server.link, NWS_ROLE_SERVER, &config, &call, &server);
  if (rc == NWS_OK)
    rc = converse(&client, &server);
  caller_free(&client.link);
  caller_free(&server.link);
  if (rc != NWS_OK)
    fprintf(stderr, "callbacks: %s\n", nws_error_text(rc));
  return rc == NWS_OK && nws_conn_finished(&server.link.conn) ? 0 : 1;
}
