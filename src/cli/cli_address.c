/* cli_address.c - addresses to listen on, and origins, as people write them on
 * a command line. What is refused here is refused with what to write instead:
 * the system's "invalid argument" would help nobody.
 */
#include <string.h>
#include "bridge.h"

/* --- Addresses --- */

static int is_v6(const char *address) {
  struct sockaddr_in6 room;
  return uv_ip6_addr(address, 0, &room) == 0;
}

static int is_numeric(const char *address) {
  struct sockaddr_in room;
  return uv_ip4_addr(address, 0, &room) == 0 || is_v6(address);
}

static int is_digits(const char *text) {
  return *text && !text[strspn(text, "0123456789")];
}

/* Without brackets the end of an IPv6 address and a port look the same: finds
 * the colon where both readings, or only the one with a port, make sense. */
static const char *unclear_colon(const char *text) {
  char head[CLI_ADDRESS_MAX] = "";
  const char *colon = strrchr(text, ':');
  size_t len = colon ? (size_t)(colon - text) : 0;
  if (len == 0 || len >= sizeof(head) || !is_digits(colon + 1)) {
    return NULL;
  }
  memcpy(head, text, len);
  return is_v6(head) ? colon : NULL;
}

/* Splits what is to be listened on; gives what stands behind the address, or
 * NULL when it has no end. */
static const char *split(const char *text, nws_str *address) {
  const char *end;
  if (text[0] == '[') {
    end = strchr(++text, ']');
    *address = nws_str_make(text, end ? (size_t)(end - text) : 0);
    return end ? end + 1 : NULL;
  }
  end = strchr(text, ':');
  if (!end || strchr(end + 1, ':')) { /* several colons: IPv6 without port */
    end = text + strlen(text);
  }
  *address = nws_str_make(text, (size_t)(end - text));
  return end;
}

/* Complains of what cannot be told apart, or is a port and nothing else. */
static int check_form(const char *command, const char *text) {
  const char *colon = unclear_colon(text);
  if (colon) {
    return nws__cli_misuse(
        command, "'%s' can be read in two ways; write [%.*s]%s, or [%s]", text,
        (int)(colon - text), text, colon, text);
  }
  const char *port = *text == ':' ? text + 1 : text;
  if (is_digits(port)) {
    return nws__cli_misuse(command,
                           "'%s' has no address; for a port alone use --port "
                           "%s",
                           text, port);
  }
  return CLI_EXIT_OK;
}

int nws__cli_read_listen(const char *command, const char *text,
                         char address[CLI_ADDRESS_MAX], uint64_t *port) {
  nws_str part;
  if (check_form(command, text) != CLI_EXIT_OK) {
    return CLI_EXIT_USAGE;
  }
  const char *rest = split(text, &part);
  if (!rest || (*rest && *rest != ':') || part.len == 0 ||
      part.len >= CLI_ADDRESS_MAX) {
    return nws__cli_misuse(command,
                           "--listen wants ADDRESS:PORT, such as [::1]:8080, "
                           "not '%s'",
                           text);
  }
  if (nws_str_equal(part, nws_str_of("localhost"))) {
    part = nws_str_of("127.0.0.1");
  }
  memcpy(address, part.ptr, part.len);
  address[part.len] = 0;
  if (!is_numeric(address)) {
    return nws__cli_misuse(command,
                           "'%s' is no numeric address; try 127.0.0.1, or "
                           "0.0.0.0 for all",
                           address);
  }
  if (*rest && !nws__cli_read_number(rest + 1, UINT16_MAX, port)) {
    return nws__cli_misuse(command, "'%s' is no port; try %s:8080", rest + 1,
                           strchr(address, ':') ? "[::1]" : address);
  }
  return CLI_EXIT_OK;
}

/* --- Targets --- */

int nws__cli_read_target(const char *text, cli_target *target) {
  nws_str host;
  uint64_t port;
  if (strncmp(text, "unix:", 5) == 0) {
    target->path = text + 5;
    return *target->path != 0;
  }
  if (unclear_colon(text)) {
    return 0;
  }
  const char *rest = split(text, &host);
  if (!rest || *rest != ':' || host.len == 0 ||
      host.len >= sizeof(target->host) ||
      !nws__cli_read_number(rest + 1, UINT16_MAX, &port) || port == 0) {
    return 0;
  }
  memcpy(target->host, host.ptr, host.len);
  target->host[host.len] = 0;
  snprintf(target->port, sizeof(target->port), "%u", (unsigned)port);
  return 1;
}

/* --- Origins --- */

/* RFC 3986 3.1 */
static int is_scheme(nws_str text) {
  static const char first[] = "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  static const char further[] = "0123456789+-.";
  for (size_t i = 0; i < text.len; i++) {
    int letter = memchr(first, text.ptr[i], sizeof(first) - 1) != NULL;
    int other = memchr(further, text.ptr[i], sizeof(further) - 1) != NULL;
    if (!letter && !(other && i > 0)) {
      return 0;
    }
  }
  return text.len > 0;
}

/* The library's own reader of addresses judges, in the shape it wants. */
static int is_authority(nws_str text) {
  char url[512];
  nws_uri uri;
  for (size_t i = 0; i < text.len; i++) {
    if (strchr("/?#@", text.ptr[i])) {
      return 0;
    }
  }
  int len = snprintf(url, sizeof(url), "ws://%.*s", (int)text.len, text.ptr);
  return len > 0 && (size_t)len < sizeof(url) &&
         nws_uri_parse(&uri, url, (size_t)len, NULL) == NWS_OK;
}

int nws__cli_is_origin(nws_str text) {
  if (nws_str_equal(text, nws_str_of("null"))) {
    return 1;
  }
  const char *colon = memchr(text.ptr, ':', text.len);
  size_t len = colon ? (size_t)(colon - text.ptr) : 0;
  if (!colon || text.len < len + 3 || memcmp(colon, "://", 3) != 0) {
    return 0;
  }
  return is_scheme(nws_str_make(text.ptr, len)) &&
         is_authority(nws_str_make(colon + 3, text.len - len - 3));
}
