/* proxy_header.c - what a proxy says of the connection it passes on: versions 1
 * (a line) and 2 (binary) of the PROXY protocol, as HAProxy's
 * proxy-protocol.txt describes them.
 *
 * Behind the header comes what the client says, which may be TLS. So the socket
 * is looked at first, and only the header's bytes are taken from it.
 */
#include "net_internal.h"
#include <stdlib.h>
#include <string.h>

/* proxy-protocol.txt 2.1: "PROXY UNKNOWN " with two IPv6 addresses and ports.
 */
#define LINE_MAX_LEN 107
#define PREFIX_LEN 16
/* Version 2 has room for 64 KiB of extras; nobody needs as much. */
#define BINARY_MAX ((size_t)4096)

static const uint8_t signature[12] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                      '\n', 'Q',  'U',  'I',  'T', '\n'};
static const char word[] = "PROXY ";
#define WORD_LEN (sizeof(word) - 1)

/* --- Version 1 --- */

/* The next word of a line, up to a space or the end. */
static nws_str next_word(nws_str *rest) {
  const char *space = memchr(rest->ptr, ' ', rest->len);
  size_t len = space == NULL ? rest->len : (size_t)(space - rest->ptr);
  nws_str found = nws_str_make(rest->ptr, len);
  size_t used = space == NULL ? len : len + 1;
  *rest = nws_str_make(rest->ptr + used, rest->len - used);
  return found;
}

static int read_port(nws_str text, int *port) {
  *port = 0;
  if (text.len == 0 || text.len > 5 || (text.ptr[0] == '0' && text.len > 1)) {
    return 0;
  }
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') {
      return 0;
    }
    *port = *port * 10 + (text.ptr[i] - '0');
  }
  return *port <= UINT16_MAX;
}

/* libuv reads up to a zero byte, and takes the name of an interface behind an
 * address; here neither may stand. */
static int read_host(nws_str text, int six, int port, nws__address *out) {
  static const char allowed[] = "0123456789abcdefABCDEF.:";
  char host[INET6_ADDRSTRLEN];
  if (text.len >= sizeof(host)) {
    return 0;
  }
  for (size_t i = 0; i < text.len; i++) {
    if (memchr(allowed, text.ptr[i], sizeof(allowed) - 1) == NULL) {
      return 0;
    }
  }
  memcpy(host, text.ptr, text.len);
  host[text.len] = '\0';
  memset(out, 0, sizeof(*out));
  return six ? uv_ip6_addr(host, port, &out->six) == 0
             : uv_ip4_addr(host, port, &out->four) == 0;
}

static int read_line(nws_str line, nws__address *from) {
  nws__address source;
  nws__address target;
  int source_port;
  int target_port;
  nws_str family = next_word(&line);
  if (nws_str_equal(family, nws_str_of("UNKNOWN"))) {
    return NWS_OK; /* whatever follows means nothing */
  }
  int six = nws_str_equal(family, nws_str_of("TCP6"));
  if (!six && !nws_str_equal(family, nws_str_of("TCP4"))) {
    return NWS_ERROR_PROXY_HEADER;
  }
  nws_str source_host = next_word(&line);
  nws_str target_host = next_word(&line);
  nws_str first_port = next_word(&line);
  if (!read_port(first_port, &source_port) || !read_port(line, &target_port) ||
      !read_host(source_host, six, source_port, &source) ||
      !read_host(target_host, six, target_port, &target)) {
    return NWS_ERROR_PROXY_HEADER;
  }
  *from = source;
  return NWS_OK;
}

static int version_1(const uint8_t *data, size_t len, size_t *used,
                     nws__address *from) {
  size_t look = len < LINE_MAX_LEN ? len : LINE_MAX_LEN;
  const uint8_t *end = memchr(data, '\n', look);
  if (end == NULL) {
    return len < LINE_MAX_LEN ? NWS_MORE : NWS_ERROR_PROXY_HEADER;
  }
  size_t line_len = (size_t)(end - data);
  if (line_len < WORD_LEN || data[line_len - 1] != '\r') {
    return NWS_ERROR_PROXY_HEADER;
  }
  *used = line_len + 1;
  return read_line(
      nws_str_make((const char *)data + WORD_LEN, line_len - 1 - WORD_LEN),
      from);
}

/* --- Version 2 --- */

static void take_four(const uint8_t *data, nws__address *from) {
  memset(from, 0, sizeof(*from));
  from->four.sin_family = AF_INET;
  memcpy(&from->four.sin_addr, data, 4);
  memcpy(&from->four.sin_port, data + 8, 2);
}

static void take_six(const uint8_t *data, nws__address *from) {
  memset(from, 0, sizeof(*from));
  from->six.sin6_family = AF_INET6;
  memcpy(&from->six.sin6_addr, data, 16);
  memcpy(&from->six.sin6_port, data + 32, 2);
}

static int version_2(const uint8_t *data, size_t len, size_t *used,
                     nws__address *from) {
  enum { LOCAL = 0x20, PROXY = 0x21, TCP4 = 0x11, TCP6 = 0x21 };
  if (len < PREFIX_LEN) {
    return NWS_MORE;
  }
  size_t body = (size_t)data[14] << 8 | data[15];
  unsigned command = data[12];
  unsigned family = data[13];
  if ((command != LOCAL && command != PROXY) ||
      PREFIX_LEN + body > BINARY_MAX) {
    return NWS_ERROR_PROXY_HEADER;
  }
  if (len < PREFIX_LEN + body) {
    return NWS_MORE;
  }
  *used = PREFIX_LEN + body;
  if (command == LOCAL) {
    return NWS_OK; /* the proxy itself, looking whether we are there */
  }
  if ((family == TCP4 && body < 12) || (family == TCP6 && body < 36)) {
    return NWS_ERROR_PROXY_HEADER;
  }
  if (family == TCP4) {
    take_four(data + PREFIX_LEN, from);
  } else if (family == TCP6) {
    take_six(data + PREFIX_LEN, from);
  } /* of others there is nothing to tell */
  return NWS_OK;
}

/* --- Both --- */

/* Reads the header at the begin of a stream.
 * Returns NWS_OK, and how long it is in `used`, and where the connection comes
 * from in `from` unless that stays as it is; NWS_MORE while all of it is the
 * header's and more is to come; or NWS_ERROR_PROXY_HEADER. */
int nws__proxy_header(const uint8_t *data, size_t len, size_t *used,
                      nws__address *from) {
  size_t look = len < sizeof(signature) ? len : sizeof(signature);
  if (len == 0) {
    return NWS_MORE;
  }
  if (memcmp(data, signature, look) == 0) {
    return version_2(data, len, used, from);
  }
  look = len < WORD_LEN ? len : WORD_LEN;
  if (memcmp(data, word, look) == 0) {
    return version_1(data, len, used, from);
  }
  return NWS_ERROR_PROXY_HEADER;
}

/* The peer is where the proxy says it is; of whom it does not say it there may
 * be any number. */
static int take_address(nws_peer *peer, const nws__address *from) {
  uint32_t tallied;
  if (from->any.sa_family == AF_UNSPEC) {
    return NWS_OK;
  }
  peer->address = *from;
  int rc = nws__limits_address(peer->server, from, &tallied);
  peer->flags |= tallied;
  return rc;
}

/* What follows is the client's. */
static void go_on(nws_peer *peer, const nws__address *from) {
  nws__opening *opening = peer->opening;
  int rc = take_address(peer, from);
  opening->head_len = 0;
  if (rc != NWS_OK) {
    peer->server->stats.handshakes--;
    if (opening->tls == NULL) {
      nws__peer_enter(peer, NWS__SHAKING);
    }
    nws__limits_turn_away(peer, rc);
    return;
  }
  if (opening->tls == NULL) {
    nws__peer_enter(peer, NWS__SHAKING);
  } else {
    nws__peer_enter(peer, NWS__SECURING);
    nws__secure_start(peer, opening->tls, NULL);
  }
}

/* The socket has something for a peer in the state PROXIED. */
void nws__proxied_read(nws_peer *peer) {
  uint8_t *data = peer->loop->receive;
  nws__opening *opening = peer->opening;
  size_t have = opening->head_len;
  nws__address from = {0};
  size_t used = 0;
  if (have > 0) {
    memcpy(data, opening->head, have);
  }
  long len = nws__socket_peek(peer->fd, data + have, BINARY_MAX - have);
  if (len == UV_EAGAIN) {
    return;
  }
  if (len <= 0) {
    nws__peer_die(peer, len == 0 ? NWS_ERROR_HTTP_EOF : (int)len);
    return;
  }
  int rc = nws__proxy_header(data, have + (size_t)len, &used, &from);
  size_t take = rc == NWS_OK ? used - have : (size_t)len;
  if (rc == NWS_OK || rc == NWS_MORE) {
    /* These bytes are there: they have just been seen. */
    (void)nws__socket_receive(peer->fd, data + have, take);
  }
  if (rc == NWS_MORE) {
    rc = nws__peer_head_add(opening, data + have, take, BINARY_MAX);
    if (rc == NWS_OK) {
      return;
    }
  }
  if (rc == NWS_OK) {
    go_on(peer, &from);
  } else {
    nws__peer_die(peer, rc);
  }
}
