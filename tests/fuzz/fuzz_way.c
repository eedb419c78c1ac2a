/* fuzz_way.c - harness: what a client reads on its way: answers of proxies,
 * addresses of proxies and the hosts that need none, and Location. Verdicts
 * come with the byte that shows them; what is taken can be used; where a
 * redirect leads is an address without tricks in it.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "../../src/net/client_internal.h"

/* What is left of the input as a string: up to the first zero byte. */
static char *rest_as_text(const fuzz_cursor *c) {
  char text[512];
  size_t len = c->len < sizeof(text) - 1 ? c->len : sizeof(text) - 1;
  if (len > 0) {
    memcpy(text, c->data, len);
  }
  text[len] = '\0';
  return fuzz_copy(text, strlen(text) + 1);
}

/* --- Answers --- */

/* Every prefix in memory of its own, as they would come: never more than was
 * said to be needed. */
static void socks(fuzz_cursor *c) {
  const int has_login = fuzz_u8(c) & 1;
  nws__socks_step step = (nws__socks_step)(fuzz_u8(c) % NWS__SOCKS_DONE);
  size_t len = 0, need = 0;
  const char *detail = NULL;
  int rc = NWS_MORE;
  while (rc == NWS_MORE) {
    const nws__socks_step before = step;
    rc = nws__socks_read(&step, has_login, fuzz_copy(c->data, len), len, &need,
                         &detail);
    FUZZ_CHECK(rc == NWS_OK || step == before || rc < 0);
    if (rc != NWS_MORE) {
      break;
    }
    FUZZ_CHECK(need > len && need <= NWS__SOCKS_READ_MAX);
    if (need > c->len) {
      return;
    }
    len++; /* also what ends in the middle has to be asked for again */
  }
  FUZZ_CHECK(rc != NWS_OK || (need == len && step > NWS__SOCKS_METHODS));
  FUZZ_CHECK(rc == NWS_OK || rc == NWS_ERROR_PROXY ||
             rc == NWS_ERROR_PROXY_AUTH || rc == NWS_ERROR_PROXY_STATUS);
  FUZZ_CHECK((detail != NULL) == (rc == NWS_ERROR_PROXY_STATUS));
}

/* A verdict stays, whatever comes behind it. */
static void connect_answer(fuzz_cursor *c) {
  nws_header room[16];
  nws_http_head head = {.headers = room, .max_headers = 16, .max_head = 400};
  int verdict = NWS_MORE;
  size_t end = 0;
  for (size_t len = 0; len <= c->len && len <= 500; len++) {
    const char *data = fuzz_copy(c->data, len);
    int rc = nws__connect_read(&head, data, len);
    if (verdict != NWS_MORE || end > 0) {
      FUZZ_CHECK(rc == verdict && (verdict > 0 || head.len == end));
    }
    FUZZ_CHECK(head.len <= len);
    FUZZ_CHECK(rc != NWS_OK || (head.status >= 200 && head.status < 300));
    FUZZ_CHECK((rc == NWS_ERROR_PROXY_AUTH) ==
               (head.len > 0 && head.status == 407));
    verdict = rc;
    end = head.len;
  }
}

/* --- Addresses of proxies --- */

static void address(const fuzz_cursor *c) {
  static const nws_uri to = {
      .host = {"example.org", 11}, .path = {"/", 1}, .port = 80};
  const char *text = rest_as_text(c);
  uint8_t said[NWS__SOCKS_SAY_MAX];
  nws__proxy proxy;
  char *request = NULL;
  size_t len;
  int rc = nws__proxy_parse(text, &proxy);
  FUZZ_CHECK(rc == NWS_OK || rc == NWS_ERROR_PROXY_URI);
  if (rc == NWS_OK) {
    FUZZ_CHECK(proxy.host[0] != '\0' && proxy.port > 0);
    FUZZ_CHECK(nws__connect_write(&proxy, &to, &request, &len) == NWS_OK);
    FUZZ_CHECK(strlen(request) == len && len > 4);
    FUZZ_CHECK(memcmp(request + len - 4, "\r\n\r\n", 4) == 0);
    FUZZ_CHECK(strstr(request, "\r\n\r\n") == request + len - 4);
    free(request);
  }
  if (rc == NWS_OK && proxy.kind == NWS__PROXY_SOCKS5) {
    for (unsigned step = 0; step < NWS__SOCKS_DONE; step++) {
      len = nws__socks_write((nws__socks_step)step, &proxy, &to, said);
      FUZZ_CHECK(len <= sizeof(said));
      FUZZ_CHECK(len > 0 || proxy.login.text == NULL);
    }
  }
  nws__proxy_free(&proxy);
}

/* A host is in every list that names it, and adding to a list takes nothing
 * away. */
static void exceptions(fuzz_cursor *c) {
  size_t len = fuzz_u8(c) % 64;
  const uint8_t *own = fuzz_take(c, &len);
  const nws_str host = nws_str_make(fuzz_copy(own, len), len);
  char list[700];
  const char *rest = rest_as_text(c);
  const int found = nws__proxy_excepts(rest, host);
  size_t at = strlen(rest);
  if (strcmp(rest, "*") == 0) {
    FUZZ_CHECK(found);
    return;
  }
  memcpy(list, rest, at);
  list[at++] = ',';
  memcpy(list + at, host.ptr, len);
  list[at + len] = '\0';
  int named = len > 0;
  for (size_t i = 0; i < len; i++) {
    named = named && host.ptr[i] != '\0' && host.ptr[i] != ' ' &&
            host.ptr[i] != ',' && host.ptr[i] != '\t' && host.ptr[i] != '.' &&
            host.ptr[i] != '/';
  }
  FUZZ_CHECK(!(found || named) || nws__proxy_excepts(list, host));
}

/* --- Location --- */

static void redirect(fuzz_cursor *c) {
  static const char *const bases[] = {
      "ws://a/b/c/d;p?q", "wss://u:p@[::1]:8/", "ws://h",
      "wss://h?q",        "ws://h/..",
  };
  const char *base = bases[fuzz_u8(c) % 5];
  const nws_str to = nws_str_make(fuzz_copy(c->data, c->len), c->len);
  nws_uri from, uri;
  char *out;
  FUZZ_CHECK(nws_uri_parse(&from, base, strlen(base), NULL) == NWS_OK);
  int rc = nws__redirect_resolve(base, &from, to, &out);
  if (rc != NWS_OK) {
    FUZZ_CHECK(rc == NWS_ERROR_REDIRECT && out == NULL);
    return;
  }
  FUZZ_CHECK(nws_uri_parse(&uri, out, strlen(out), NULL) == NWS_OK);
  FUZZ_CHECK(uri.userinfo.ptr == NULL);
  const nws_str path = uri.path;
  for (size_t i = 0; i + 1 < path.len; i++) {
    size_t dots = 0;
    while (i + 1 + dots < path.len && path.ptr[i + 1 + dots] == '.') {
      dots++;
    }
    const int ends = i + 1 + dots == path.len || path.ptr[i + 1 + dots] == '/';
    FUZZ_CHECK(path.ptr[i] != '/' || !ends || dots == 0 || dots > 2);
  }
  if (to.len > 0 && to.ptr[0] == '/' && (to.len == 1 || to.ptr[1] != '/')) {
    FUZZ_CHECK(uri.secure == from.secure && uri.port == from.port);
    FUZZ_CHECK(nws_str_equal(uri.host, from.host));
  }
  free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  fuzz_cursor c = {data, len};
  fuzz_begin();
  switch (fuzz_u8(&c) % 5) {
  case 0:
    socks(&c);
    break;
  case 1:
    connect_answer(&c);
    break;
  case 2:
    address(&c);
    break;
  case 3:
    exceptions(&c);
    break;
  default:
    redirect(&c);
    break;
  }
  return 0;
}
