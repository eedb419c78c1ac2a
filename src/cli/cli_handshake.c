/* cli_handshake.c - the handshake of a client as -v shows it: what is asked,
 * and what is answered, without the values that let others in.
 */
#include <string.h>
#include "cli.h"

/* Says whether a header may hold what lets others in. */
static int secret(nws_str name) {
  static const char *const names[] = {"authorization", "proxy-authorization",
                                      "cookie", "set-cookie"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (nws_str_equal_nocase(name, nws_str_of(names[i]))) {
      return 1;
    }
  }
  return 0;
}

static void put_header(const char *mark, const nws_header *header) {
  fprintf(stderr, "%s ", mark);
  nws__cli_put_text(stderr, header->name.ptr, header->name.len, CLI_TEXT_PLAIN);
  fputs(": ", stderr);
  if (secret(header->name)) {
    fputs("(not shown)", stderr);
  } else {
    nws__cli_put_text(stderr, header->value.ptr, header->value.len,
                      CLI_TEXT_PLAIN);
  }
  fputc('\n', stderr);
}

void nws__cli_put_host(FILE *out, const cli_client *client) {
  const nws_uri *uri = &client->uri;
  if (client->unix_url[0]) {
    const char *path = client->options.url + sizeof(CLI_UNIX_SCHEME) - 1;
    nws__cli_put_text(out, path, strcspn(path, ":"), CLI_TEXT_PLAIN);
    return;
  }
  fprintf(out, uri->ipv6 ? "[%.*s]:%u" : "%.*s:%u", (int)uri->host.len,
          uri->host.ptr, (unsigned)uri->port);
}

static void put_extension(const nws_extension *ext) {
  char text[512];
  int len = ext->offer(ext, text, sizeof(text));
  if (len > 0) {
    nws_header header = {nws_str_of("Sec-WebSocket-Extensions"),
                         nws_str_make(text, (size_t)len)};
    put_header(">", &header);
  }
}

void nws__cli_put_request(const cli_client *client) {
  const nws_uri *uri = &client->uri;
  const nws_client_offer *offer = &client->offer;
  fputs("* connecting to ", stderr);
  nws__cli_put_host(stderr, client);
  fprintf(stderr, "\n> GET %.*s", (int)uri->path.len, uri->path.ptr);
  if (uri->query.ptr) {
    fprintf(stderr, "?%.*s", (int)uri->query.len, uri->query.ptr);
  }
  fputs(" HTTP/1.1\n", stderr);
  if (offer->origin.ptr) {
    nws_header origin = {nws_str_of("Origin"), offer->origin};
    put_header(">", &origin);
  }
  for (size_t i = 0; i < offer->subprotocol_count; i++) {
    nws_header header = {nws_str_of("Sec-WebSocket-Protocol"),
                         offer->subprotocols[i]};
    put_header(">", &header);
  }
  for (size_t i = 0; i < offer->extension_count; i++) {
    put_extension(offer->extensions[i]);
  }
  for (size_t i = 0; i < offer->header_count; i++) {
    put_header(">", &offer->headers[i]);
  }
}

void nws__cli_put_response(const nws_http_head *head) {
  fprintf(stderr, "< %u ", (unsigned)head->status);
  nws__cli_put_text(stderr, head->reason.ptr, head->reason.len, CLI_TEXT_PLAIN);
  fputc('\n', stderr);
  for (size_t i = 0; i < head->count; i++) {
    put_header("<", &head->headers[i]);
  }
}

void nws__cli_client_opened(cli_client *client) {
  client->open = 1;
  if (!client->verbose) {
    return;
  }
  char address[64] = "";
  nws_peer_address(client->peer, address, sizeof(address));
  nws_str subprotocol = nws_peer_subprotocol(client->peer);
  const nws_http_head *head = nws_peer_response(client->peer);
  nws__cli_tls_put(client->peer, &client->tls);
  if (head) {
    nws__cli_put_response(head);
  }
  fprintf(stderr, "* open, with %s", address);
  if (subprotocol.ptr) {
    fputs(", subprotocol ", stderr);
    nws__cli_put_text(stderr, subprotocol.ptr, subprotocol.len, CLI_TEXT_PLAIN);
  }
  fputc('\n', stderr);
}
