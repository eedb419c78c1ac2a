/* fuzz_proxy.c - harness: what a proxy says of the connection it passes on. The
 * verdict comes with the byte that shows it and stays whatever follows; lines
 * are held against the grammar, read a second time with the system's own reader
 * of addresses; and what a proxy would write is understood.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "../../src/net/net_internal.h"

enum { HEADER_MAX = 256, LINE_MAX_LEN = 107 };

/* What `from` holds as long as nothing is known. */
static void forget(nws__address *from) {
  memset(from, 0xaa, sizeof(*from));
}

static int is_forgotten(const nws__address *from) {
  nws__address unknown;
  forget(&unknown);
  return memcmp(from, &unknown, sizeof(unknown)) == 0;
}

/* --- Prefixes --- */

/* Every prefix in memory of its own. Gives the verdict, NWS_MORE for none. */
static int read_prefixes(const uint8_t *data, size_t len, size_t *used,
                         nws__address *from) {
  int verdict = NWS_MORE;
  for (size_t i = 0; i <= len; i++) {
    nws__address found;
    size_t taken = SIZE_MAX;
    forget(&found);
    const int rc = nws__proxy_header(fuzz_copy(data, i), i, &taken, &found);
    FUZZ_CHECK(rc == NWS_OK || rc == NWS_MORE || rc == NWS_ERROR_PROXY_HEADER);
    FUZZ_CHECK(verdict == NWS_MORE || rc == verdict);
    FUZZ_CHECK(rc == NWS_OK || is_forgotten(&found));
    if (rc == NWS_OK) {
      FUZZ_CHECK(verdict == NWS_OK ? taken == *used : taken == i);
      *used = taken;
      *from = found;
    }
    verdict = rc;
  }
  return verdict;
}

/* --- Lines --- */

/* The text up to a character, zero-terminated; 0 when it does not fit. */
static int cut(const char **at, char until, char *out, size_t cap) {
  size_t len = 0;
  while ((*at)[len] != until) {
    if ((*at)[len] == '\0' || len + 1 == cap) {
      return 0;
    }
    out[len] = (*at)[len];
    len++;
  }
  out[len] = '\0';
  *at += len + 1;
  return 1;
}

static int is_port(const char *text) {
  char again[12];
  unsigned port = 0;
  for (const char *c = text; *c != '\0'; c++) {
    if (*c < '0' || *c > '9' || port > 65535) {
      return 0;
    }
    port = port * 10 + (unsigned)(*c - '0');
  }
  snprintf(again, sizeof(again), "%u", port);
  return port <= 65535 && strcmp(again, text) == 0;
}

/* proxy-protocol.txt 2.1, for a line that ends with CR LF: 1 when it is one and
 * tells an address, 0 when it is one that does not, -1 for others. */
static int judge_line(const char *line, struct in6_addr *address) {
  char family[8], source[48], target[48], ports[2][8];
  struct in6_addr ignored;
  if (!cut(&line, ' ', family, sizeof(family)) || strcmp(family, "PROXY")) {
    return -1;
  }
  if (strncmp(line, "UNKNOWN ", 8) == 0 || strcmp(line, "UNKNOWN\r\n") == 0) {
    return 0;
  }
  if (!cut(&line, ' ', family, sizeof(family)) ||
      !cut(&line, ' ', source, sizeof(source)) ||
      !cut(&line, ' ', target, sizeof(target)) ||
      !cut(&line, ' ', ports[0], sizeof(ports[0])) ||
      !cut(&line, '\r', ports[1], sizeof(ports[1])) || strcmp(line, "\n")) {
    return -1;
  }
  const int six = strcmp(family, "TCP6") == 0;
  const int how = six ? AF_INET6 : AF_INET;
  if ((!six && strcmp(family, "TCP4")) || !is_port(ports[0]) ||
      !is_port(ports[1]) || inet_pton(how, source, address) != 1 ||
      inet_pton(how, target, &ignored) != 1) {
    return -1;
  }
  return 1;
}

static void check_line(const uint8_t *data, size_t len, int verdict,
                       const nws__address *from) {
  char line[LINE_MAX_LEN + 1] = "";
  struct in6_addr address;
  const uint8_t *end = memchr(data, '\n', len);
  const size_t line_len = end != NULL ? (size_t)(end - data) + 1 : 0;
  if (line_len == 0 || line_len > LINE_MAX_LEN) {
    return;
  }
  memcpy(line, data, line_len);
  int expected = judge_line(line, &address);
  if (memchr(line, '\0', line_len) != NULL && expected != 0) {
    expected = -1; /* the end of the text for us, but not of the line */
  }
  FUZZ_CHECK(line_len < 2 || line[line_len - 2] == '\r' || verdict < 0);
  if (line_len < 2 || line[line_len - 2] != '\r') {
    return;
  }
  FUZZ_CHECK((verdict == NWS_OK) == (expected >= 0));
  if (expected == 1) {
    const int six = from->any.sa_family == AF_INET6;
    FUZZ_CHECK(memcmp(six ? (const void *)&from->six.sin6_addr
                          : (const void *)&from->four.sin_addr,
                      &address, six ? 16 : 4) == 0);
  }
  FUZZ_CHECK(expected != 0 || is_forgotten(from));
}

/* --- What a proxy writes --- */

static size_t write_line(const uint8_t *source, const uint8_t *target, int six,
                         unsigned port, char *out) {
  char texts[2][INET6_ADDRSTRLEN];
  inet_ntop(six ? AF_INET6 : AF_INET, source, texts[0], sizeof(texts[0]));
  inet_ntop(six ? AF_INET6 : AF_INET, target, texts[1], sizeof(texts[1]));
  return (size_t)snprintf(out, HEADER_MAX, "PROXY TCP%d %s %s %u %u\r\n",
                          six ? 6 : 4, texts[0], texts[1], port, port / 3);
}

/* With `extra` bytes of what may follow the addresses. */
static size_t write_binary(const uint8_t *source, int six, unsigned port,
                           size_t extra, uint8_t *out) {
  static const uint8_t signature[] = "\r\n\r\n\0\r\nQUIT\n";
  const size_t size = six ? 16 : 4, body = 2 * size + 4 + extra;
  memset(out, 0x5a, 16 + body);
  memcpy(out, signature, 12);
  out[12] = 0x21;
  out[13] = six ? 0x21 : 0x11;
  out[14] = (uint8_t)(body >> 8);
  out[15] = (uint8_t)body;
  memcpy(out + 16, source, size);
  out[16 + 2 * size] = (uint8_t)(port >> 8);
  out[17 + 2 * size] = (uint8_t)port;
  return 16 + body;
}

static void written(fuzz_cursor *c) {
  uint8_t source[16] = {0}, target[16] = {0}, header[HEADER_MAX];
  const unsigned how = fuzz_u8(c), port = fuzz_u16(c);
  const int six = how & 1;
  size_t size = 16, len, used = 0;
  nws__address from;
  const uint8_t *own = fuzz_take(c, &size);
  memcpy(source, own, size);
  size = 16;
  own = fuzz_take(c, &size);
  memcpy(target, own, size);
  len = how & 2 ? write_line(source, target, six, port, (char *)header)
                : write_binary(source, six, port, how >> 2, header);
  FUZZ_CHECK(read_prefixes(header, len, &used, &from) == NWS_OK);
  FUZZ_CHECK(used == len);
  if (six) {
    FUZZ_CHECK(from.six.sin6_family == AF_INET6);
    FUZZ_CHECK(memcmp(&from.six.sin6_addr, source, 16) == 0);
    FUZZ_CHECK(ntohs(from.six.sin6_port) == port);
    FUZZ_CHECK(from.six.sin6_scope_id == 0);
  } else {
    FUZZ_CHECK(from.four.sin_family == AF_INET);
    FUZZ_CHECK(memcmp(&from.four.sin_addr, source, 4) == 0);
    FUZZ_CHECK(ntohs(from.four.sin_port) == port);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  fuzz_cursor c = {data, len};
  fuzz_begin();
  if (len > 0 && *data == 'w') {
    fuzz_u8(&c);
    written(&c);
    return 0;
  }
  size_t used = 0, most = 200;
  nws__address from;
  forget(&from);
  const uint8_t *raw = fuzz_take(&c, &most);
  const int verdict = read_prefixes(raw, most, &used, &from);
  if (most > 0 && raw[0] == 'P') {
    check_line(raw, most, verdict, &from);
  }
  return 0;
}
