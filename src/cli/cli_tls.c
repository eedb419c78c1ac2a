/* cli_tls.c - the options of TLS, of clients and of nws serve, and what is said
 * when TLS fails.
 *
 * Certificates are where people get stuck, and where the way out that is found
 * first is to turn verification off. So each failure tells of a way that is as
 * easy, and safe: the key that the server has is shown, to be pinned once
 * somebody has compared it.
 */
#include <string.h>
#include <strings.h>
#include "cli.h"

/* --- Options --- */

int nws__cli_tls_option(cli_tls *tls, int option, const char *arg) {
  switch (option) {
  case CLI_TLS_CA:
    tls->given = "--ca";
    tls->options.trust_file = arg;
    return CLI_EXIT_OK;
  case CLI_TLS_CERT:
    tls->given = "--cert";
    tls->identity.certificate_file = arg;
    return CLI_EXIT_OK;
  case CLI_TLS_KEY:
    tls->given = "--key";
    tls->identity.key_file = arg;
    return CLI_EXIT_OK;
  case CLI_TLS_PIN:
    tls->given = "--pin";
    tls->options.pins = arg;
    return CLI_EXIT_OK;
  case CLI_TLS_INSECURE:
    tls->given = "--insecure";
    tls->options.insecure = 1;
    return CLI_EXIT_OK;
  case CLI_TLS_SELF_SIGNED:
    tls->given = "--self-signed";
    tls->identity.self_signed = arg ? arg : "";
    return CLI_EXIT_OK;
  case CLI_TLS_CLIENT_CA:
    tls->given = "--client-ca";
    tls->options.trust_file = arg;
    tls->options.clients = NWS_TLS_CLIENTS_REQUIRED;
    return CLI_EXIT_OK;
  default:
    return CLI_GO_ON;
  }
}

static int check_key(const cli_tls *tls, const char *command) {
  if (tls->identity.key_file && !tls->identity.certificate_file) {
    return nws__cli_misuse(command, "--key is of use only with --cert");
  }
  return CLI_EXIT_OK;
}

int nws__cli_tls_check_client(const cli_tls *tls, const char *command,
                              int secure) {
  if (tls->given && !secure) {
    return nws__cli_misuse(command,
                           "%s is for wss:// URLs; with ws:// there is no TLS",
                           tls->given);
  }
  if (tls->options.insecure && tls->options.trust_file) {
    return nws__cli_misuse(
        command, "--ca says whom to trust, and --insecure not to ask; "
                 "give one");
  }
  return check_key(tls, command);
}

int nws__cli_tls_check_server(const cli_tls *tls, const char *command) {
  int own = tls->identity.certificate_file != NULL;
  int made = tls->identity.self_signed != NULL;
  if (own && made) {
    return nws__cli_misuse(command, "--cert has a certificate, and "
                                    "--self-signed makes one; give one of the "
                                    "two");
  }
  if (tls->options.clients && !own && !made) {
    return nws__cli_misuse(command, "--client-ca is of use only with --cert or "
                                    "--self-signed");
  }
  return check_key(tls, command);
}

void nws__cli_tls_name(cli_tls *tls, const char *address) {
  static const char usual[] = "localhost,127.0.0.1,::1";
  int known = strcmp(address, "127.0.0.1") == 0 ||
              strcmp(address, "::1") == 0 || strcmp(address, "0.0.0.0") == 0 ||
              strcmp(address, "::") == 0;
  if (tls->identity.self_signed && !*tls->identity.self_signed) {
    snprintf(tls->names, sizeof(tls->names), "%s%s%s", usual, known ? "" : ",",
             known ? "" : address);
    tls->identity.self_signed = tls->names;
  }
}

/* --- Life --- */

int nws__cli_tls_start(cli_tls *tls) {
  char why[NWS_TLS_WHY] = "";
  if (!tls->given) {
    return CLI_EXIT_OK;
  }
  tls->options.size = sizeof(tls->options);
  tls->options.identities = &tls->identity;
  tls->options.identity_count =
      tls->identity.certificate_file || tls->identity.self_signed;
  int rc = nws_tls_new(&tls->options, &tls->tls, why, sizeof(why));
  if (rc == NWS_OK) {
    return CLI_EXIT_OK;
  }
  nws__cli_say("TLS cannot start: %s", *why ? why : nws_net_text(rc));
  return CLI_EXIT_USAGE;
}

void nws__cli_tls_reload(cli_tls *tls, int quiet) {
  char why[NWS_TLS_WHY] = "";
  int rc = nws_tls_reload(tls->tls, &tls->options, why, sizeof(why));
  if (rc != NWS_OK) {
    nws__cli_say("the certificates stay as they were: %s",
                 *why ? why : nws_net_text(rc));
  } else if (!quiet) {
    fputs("Read the certificates again, for connections to come.\n", stderr);
  }
}

void nws__cli_tls_warn(const cli_tls *tls) {
  if (tls->options.insecure && !tls->options.pins) {
    nws__cli_say("WARNING: the server is not verified (--insecure): whoever is "
                 "on the way can read and change everything");
  }
}

void nws__cli_tls_put(nws_peer *peer, const cli_tls *tls) {
  nws_tls_info info;
  if (nws_peer_tls(peer, &info) != NWS_OK) {
    return;
  }
  fprintf(stderr, "* %s, %s; the certificate of ", info.version, info.cipher);
  nws__cli_put_text(stderr, info.subject, strlen(info.subject), CLI_TEXT_PLAIN);
  fprintf(stderr, " is %s; its key is %s%s\n",
          info.verified ? "verified" : "not verified", info.pin,
          tls->options.pins ? ", which is pinned" : "");
}

int nws__cli_is_tls(int error) {
  return error <= NWS_ERROR_TLS && error >= NWS_ERROR_TLS_CUT;
}

/* --- Failures, and what to try --- */

static void say_failed(const cli_client *client, const char *before,
                       const char *after, const char *detail) {
  fprintf(stderr, "nws: %s ", before);
  nws__cli_put_host(stderr, client);
  fprintf(stderr, " %s%s", after, *detail ? ": " : "");
  nws__cli_put_text(stderr, detail, strlen(detail), CLI_TEXT_PLAIN);
  fputc('\n', stderr);
}

static void say_pin(const nws_tls_info *info, const char *which) {
  fprintf(stderr,
          "If you know the key to be the server's, take %s: -k --pin '%s'\n",
          which, info->pin);
}

static void explain_certificate(const nws_tls_info *info, const char *detail) {
  fputs("It is that of ", stderr);
  nws__cli_put_text(stderr, info->subject, strlen(info->subject),
                    CLI_TEXT_PLAIN);
  fprintf(stderr, ", and its key is %s\n", info->pin);
  if (strstr(detail, "expired")) {
    fputs("Those who run the server have to renew it, unless it is this "
          "machine's clock\nthat is wrong.\n",
          stderr);
  } else if (strstr(detail, "not yet valid")) {
    fputs("Its time has not begun, unless this machine's clock is wrong.\n",
          stderr);
  } else {
    fputs("If you have its certificate, or that of its issuer, in a file, try "
          "--ca FILE\n",
          stderr);
  }
  say_pin(info, "it and no other");
}

static void suggest_cert(const cli_client *client) {
  if (!client->tls.identity.certificate_file) {
    fputs("If the server wants a certificate of yours, try --cert FILE, and "
          "--key FILE\n",
          stderr);
  }
}

/* With TLS that has come to a certificate, the server speaks it. */
static int speaks_tls(const cli_client *client) {
  nws_tls_info info;
  return nws_peer_tls(client->peer, &info) == NWS_OK && *info.pin;
}

static void suggest_scheme(const cli_client *client) {
  const int secure = client->uri.secure;
  const char *rest = strchr(client->options.url, ':');
  if (secure && speaks_tls(client)) {
    suggest_cert(client);
    return;
  }
  fprintf(stderr, "If the server speaks %sTLS, try %s%s\n", secure ? "no " : "",
          secure ? "ws" : "wss", rest);
}

/* What a server says that wants to see a certificate: TLS 1.3 has a word for
 * it, TLS 1.2 has not. */
static void explain_alert(const cli_client *client, const char *detail) {
  const int shown = client->tls.identity.certificate_file != NULL;
  if (strstr(detail, "does not speak TLS")) {
    suggest_scheme(client);
  } else if (!strstr(detail, "alert")) {
    return;
  } else if (shown) {
    fputs("It may be that the server does not take the certificate of "
          "--cert\n",
          stderr);
  } else if (strstr(detail, "certificate required") ||
             strstr(detail, "handshake failure")) {
    suggest_cert(client);
  }
}

int nws__cli_tls_report(const cli_client *client, const nws_closed *how) {
  nws_tls_info info;
  if (nws_peer_tls(client->peer, &info) != NWS_OK) {
    memset(&info, 0, sizeof(info));
    info.subject = "";
  }
  switch (how->error) {
  case NWS_ERROR_TLS_CERTIFICATE:
    say_failed(client, "the certificate of", "is not trusted", how->detail);
    explain_certificate(&info, how->detail);
    break;
  case NWS_ERROR_TLS_HOST:
    say_failed(client, "the certificate of", "is for some other host",
               how->detail);
    fputs("Try a URL with a name that it is for.\n", stderr);
    say_pin(&info, "it under any name");
    break;
  case NWS_ERROR_TLS_PIN:
    say_failed(client, "the key of", "is none of the pinned ones", how->detail);
    fputs("Ask those who run the server whether it has a new key; if not, this "
          "is somebody else.\n",
          stderr);
    break;
  case NWS_ERROR_TLS_CUT:
    say_failed(client, "the handshake with", "was cut short", how->detail);
    suggest_scheme(client);
    break;
  default:
    say_failed(client, "TLS with", "failed", how->detail);
    explain_alert(client, how->detail);
  }
  return CLI_EXIT_HANDSHAKE;
}

static int mentions(nws_str text, const char *word) {
  size_t len = strlen(word);
  for (size_t i = 0; i + len <= text.len; i++) {
    if (strncasecmp(text.ptr + i, word, len) == 0) {
      return 1;
    }
  }
  return 0;
}

/* Servers that speak TLS drop a request in plain text, answer in TLS, which is
 * no HTTP, or are kind enough to say what is wrong. */
void nws__cli_tls_hint(const cli_client *client, const nws_closed *how) {
  switch (how->error) {
  case UV_ECONNRESET:
    suggest_scheme(client);
    break;
  case NWS_ERROR_EOF:
  case NWS_ERROR_HTTP_START_LINE:
    if (!client->uri.secure) {
      suggest_scheme(client);
    }
    break;
  case NWS_ERROR_STATUS:
    if (!client->uri.secure && how->response && how->response->status == 400 &&
        (mentions(how->body, "TLS") || mentions(how->body, "HTTPS"))) {
      suggest_scheme(client);
    }
    break;
  default:
    break;
  }
}
