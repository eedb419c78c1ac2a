/* peer_lws.c - a peer made with libwebsockets, for compression.py, which tells
 * what the lines of its input and output are.
 *
 * It cannot send an empty message after another (it asserts that zlib makes
 * something of nothing), so only the first may be empty.
 *
 * What a client offers is a string of ours, as its applications have it. A
 * server has no settings, and does not tell what it answers.
 */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is compressed of so much fits its buffer whole: where that gets full
 * with nothing left to do it asserts, too. */
#define CHUNK 16384
#define BUFFER_BITS 16

typedef struct message {
  int text;
  size_t len;
  unsigned char *data;
} message;

static message *messages;
static size_t message_count;
static char loaded[512];

/* One connection. */
static struct {
  size_t at;    /* which message */
  size_t sent;  /* bytes of it */
  size_t got;   /* bytes of its answer */
  size_t wrong; /* messages */
  int bad;      /* the answer differs already */
  int over;
  int level, mem, fragment;
  struct lws *wsi;
} now;

static void die(const char *what) {
  fprintf(stderr, "peer_lws: %s\n", what);
  exit(1);
}

/* Read once for all connections in a row that send the same. */
static void load(const char *path) {
  unsigned char head[5];
  if (strcmp(path, loaded) == 0)
    return;
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    die(path);
  for (size_t i = 0; i < message_count; i++)
    free(messages[i].data);
  message_count = 0;
  while (fread(head, 1, sizeof(head), file) == sizeof(head)) {
    messages = realloc(messages, (message_count + 1) * sizeof(*messages));
    if (messages == NULL)
      die("no memory");
    message *m = &messages[message_count++];
    m->text = head[0] == 't';
    m->len = (size_t)head[1] << 24 | (size_t)head[2] << 16 |
             (size_t)head[3] << 8 | head[4];
    m->data = malloc(m->len + 1);
    if (m->data == NULL || fread(m->data, 1, m->len, file) != m->len)
      die("half a message");
    if (m->len == 0 && message_count > 1) {
      free(m->data);
      message_count--;
    }
  }
  fclose(file);
  snprintf(loaded, sizeof(loaded), "%s", path);
}

static void set_option(struct lws *wsi, const char *name, int value) {
  char text[16];
  snprintf(text, sizeof(text), "%d", value);
  lws_set_extension_option(wsi, "permessage-deflate", name, text);
}

static void begin(struct lws *wsi) {
  now.wsi = wsi;
  set_option(wsi, "rx_buf_size", BUFFER_BITS);
  set_option(wsi, "tx_buf_size", BUFFER_BITS);
  set_option(wsi, "compression_level", now.level);
  set_option(wsi, "mem_level", now.mem);
  lws_callback_on_writable(wsi);
}

/* The next piece of the current message; frames are made of pieces. */
static int send_piece(struct lws *wsi) {
  static unsigned char buffer[LWS_PRE + CHUNK];
  if (now.at >= message_count) {
    lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
    return -1;
  }
  const message *m = &messages[now.at];
  size_t most =
      now.fragment > 0 && now.fragment < CHUNK ? (size_t)now.fragment : CHUNK;
  size_t len = m->len - now.sent < most ? m->len - now.sent : most;
  int last = now.sent + len == m->len;
  enum lws_write_protocol how = (enum lws_write_protocol)lws_write_ws_flags(
      m->text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY, now.sent == 0, last);
  memcpy(buffer + LWS_PRE, m->data + now.sent, len);
  if (lws_write(wsi, buffer + LWS_PRE, len, how) < (int)len)
    return -1;
  now.sent += len;
  if (!last)
    lws_callback_on_writable(wsi);
  return 0;
}

static void take_piece(struct lws *wsi, const void *data, size_t len) {
  const message *m = &messages[now.at];
  if (now.at >= message_count || len > m->len - now.got ||
      memcmp(m->data + now.got, data, len) != 0 ||
      lws_frame_is_binary(wsi) == m->text)
    now.bad = 1;
  else
    now.got += len;
  if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
    return;
  if (now.at < message_count) {
    now.wrong += now.bad || now.got != m->len;
    now.at++;
  }
  now.sent = now.got = 0;
  now.bad = 0;
  lws_callback_on_writable(wsi);
}

static void tell_header(struct lws *wsi, const char *what) {
  char text[512] = "";
  if (lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_EXTENSIONS) >= 0)
    printf("%s: %s\n", what, text);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason,
                    void *user, void *in, size_t len) {
  (void)user;
  switch (reason) {
  case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
    tell_header(wsi, "offer");
    break;
  case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
    tell_header(wsi, "answer");
    break;
  case LWS_CALLBACK_CLIENT_ESTABLISHED:
  case LWS_CALLBACK_ESTABLISHED:
    begin(wsi);
    break;
  case LWS_CALLBACK_CLIENT_WRITEABLE:
  case LWS_CALLBACK_SERVER_WRITEABLE:
    return send_piece(wsi);
  case LWS_CALLBACK_CLIENT_RECEIVE:
  case LWS_CALLBACK_RECEIVE:
    take_piece(wsi, in, len);
    break;
  case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    printf("trouble: %.*s\n", in != NULL ? (int)len : 0,
           in != NULL ? (const char *)in : "");
    now.over = 1;
    break;
  case LWS_CALLBACK_CLIENT_CLOSED:
  case LWS_CALLBACK_CLOSED:
    now.over = 1;
    break;
  default:
    break;
  }
  return 0;
}

static const struct lws_protocols protocols[] = {
    {"messages", on_event, 0, 1 << BUFFER_BITS, 0, NULL, 0},
    {NULL, NULL, 0, 0, 0, NULL, 0}};

/* --- Orders --- */

static int number(const char *line, const char *name) {
  const char *found = strstr(line, name);
  return found != NULL ? atoi(found + strlen(name)) : 0;
}

static void put_bits(char *offer, size_t cap, const char *name, int bits) {
  size_t len = strlen(offer);
  if (bits == 1)
    snprintf(offer + len, cap - len, "; %s", name);
  else if (bits > 1)
    snprintf(offer + len, cap - len, "; %s=%d", name, bits);
}

static void compose_offer(const char *line, char *offer, size_t cap) {
  snprintf(offer, cap, "permessage-deflate%s%s",
           number(line, "server_no=") ? "; server_no_context_takeover" : "",
           number(line, "client_no=") ? "; client_no_context_takeover" : "");
  put_bits(offer, cap, "server_max_window_bits", number(line, "server_bits="));
  put_bits(offer, cap, "client_max_window_bits", number(line, "client_bits="));
}

static struct lws_context *
make_context(int port, const struct lws_extension *extensions) {
  struct lws_context_creation_info info;
  memset(&info, 0, sizeof(info));
  info.port = port;
  info.iface = port == CONTEXT_PORT_NO_LISTEN ? NULL : "lo";
  info.protocols = protocols;
  info.extensions = extensions;
  info.pt_serv_buf_size = 1 << BUFFER_BITS;
  info.options = LWS_SERVER_OPTION_DISABLE_IPV6;
  struct lws_context *context = lws_create_context(&info);
  if (context == NULL)
    die("no context");
  return context;
}

static void connect_to(struct lws_context *context, int port) {
  struct lws_client_connect_info info;
  memset(&info, 0, sizeof(info));
  info.context = context;
  info.address = "127.0.0.1";
  info.host = "127.0.0.1";
  info.path = "/";
  info.port = port;
  info.ietf_version_or_minus_one = -1;
  if (lws_client_connect_via_info(&info) == NULL && !now.over)
    die("cannot connect");
}

static void obey(const char *line, struct lws_context *context, int port) {
  char path[512] = "";
  const char *found = strstr(line, "messages=");
  if (found != NULL)
    sscanf(found + 9, "%511s", path);
  load(path);
  memset(&now, 0, sizeof(now));
  now.level = number(line, "level=");
  now.mem = number(line, "mem=");
  now.fragment = number(line, "fragment=");
  if (port > 0)
    connect_to(context, port);
  else
    printf("ready\n");
  fflush(stdout);
  while (!now.over && lws_service(context, 0) >= 0)
    ;
  printf("done: %zu %zu\nend\n", now.at, now.wrong);
  fflush(stdout);
}

int main(int argc, char **argv) {
  char line[2048];
  int is_server = argc == 2 && strcmp(argv[1], "server") == 0;
  struct lws_context *context = NULL;
  char offer[256];
  const struct lws_extension extensions[] = {
      {"permessage-deflate", lws_extension_callback_pm_deflate, offer},
      {NULL, NULL, NULL}};
  lws_set_log_level(LLL_ERR, NULL);
  if (is_server) {
    context = make_context(0, extensions);
    printf(
        "listening on 127.0.0.1:%d\n",
        lws_get_vhost_listen_port(lws_get_vhost_by_name(context, "default")));
    fflush(stdout);
  }
  while (fgets(line, sizeof(line), stdin) != NULL) {
    if (!is_server) {
      compose_offer(line, offer, sizeof(offer));
      printf("offer: %s\n", offer);
      context = make_context(CONTEXT_PORT_NO_LISTEN, extensions);
    }
    obey(line, context, is_server ? 0 : number(line, "port="));
    if (!is_server)
      lws_context_destroy(context);
  }
  if (is_server)
    lws_context_destroy(context);
  return 0;
}
