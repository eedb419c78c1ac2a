/* serve_welcome.c - what nws serve says when it starts, or cannot: the address
 * to open and the command to type, so that nobody has to make them up.
 */
#include <string.h>
#include "cli.h"

/* An address that stands for all is no address to connect to. */
static const char *reachable(const char *address) {
  if (strcmp(address, "0.0.0.0") == 0) {
    return "127.0.0.1";
  }
  return strcmp(address, "::") == 0 ? "::1" : address;
}

/* The pin stands in for verification: it holds whoever has signed the
 * certificate, and for every address. */
static void put_trust(const cli_tls *tls) {
  char pin[NWS_TLS_PIN];
  if (nws_tls_pin(tls->tls, pin) != NWS_OK) {
    return;
  }
  printf("-k --pin '%s' %s", pin,
         tls->options.clients ? "--cert YOURS.pem " : "");
}

void nws__cli_put_welcome(const char *program, const char *address,
                          unsigned port, const cli_tls *tls) {
  const int v6 = strchr(address, ':') != NULL;
  const char *left = v6 ? "[" : "";
  const char *right = v6 ? "]" : "";
  const char *to = reachable(address);
  const char *s = tls->tls ? "s" : "";
  printf("Listening on %s%s%s:%u. Try it\n", left, address, right, port);
  printf("  in a browser:     http%s://%s%s%s:%u/\n", s, left, to, right, port);
  printf("  in a terminal:    %s connect ", program);
  if (tls->tls) {
    put_trust(tls);
  }
  printf("ws%s://%s%s%s:%u/\n", s, left, to, right, port);
  if (tls->identity.self_signed) {
    puts("Browsers warn of the certificate: it was made just now, and nobody "
         "else signed it.");
  }
  puts("Ctrl-C stops.");
  fflush(stdout);
}

int nws__cli_cannot_listen(const char *address, unsigned port, int error) {
  int v6 = strchr(address, ':') != NULL;
  nws__cli_say("cannot listen on %s%s%s:%u: %s", v6 ? "[" : "", address,
               v6 ? "]" : "", port, nws_net_text(error));
  if (error == UV_EADDRINUSE) {
    fprintf(stderr,
            "Another program uses that port. Try --port %u, or --port 0 for "
            "any free one.\n",
            port < UINT16_MAX ? port + 1 : 8080);
  } else if (error == UV_EACCES) {
    fputs("Ports below 1024 need privileges. Try --port 8080.\n", stderr);
  } else if (error == UV_EADDRNOTAVAIL) {
    fputs("This machine has no such address. Try 127.0.0.1, or 0.0.0.0 for "
          "all it has.\n",
          stderr);
  }
  return CLI_EXIT_CONNECT;
}
