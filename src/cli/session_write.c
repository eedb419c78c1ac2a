/* session_write.c - writes recordings of a session; session.h has their form.
 */
#include <stdlib.h>
#include <string.h>
#include "session.h"

void nws__cli_session_begin(FILE *out, const char *url, nws_str subprotocol) {
  fputs("{\"nws\":\"session\",\"version\":1,\"url\":", out);
  nws__cli_put_json(out, url, strlen(url));
  fputs(",\"subprotocol\":", out);
  nws__cli_put_json(out, subprotocol.ptr, subprotocol.len);
  fputs("}\n", out);
}

/* A piece at a time, each of a length without padding but the last. */
static void put_base64(FILE *out, const char *data, size_t len) {
  char text[64];
  fputc('"', out);
  while (len) {
    size_t part = len < 48 ? len : 48;
    fwrite(text, 1, nws_base64_encode(data, part, text), out);
    data += part;
    len -= part;
  }
  fputc('"', out);
}

void nws__cli_session_put(FILE *out, const session_entry *e) {
  static const char *const types[] = {"text", "binary", "close", "lost"};
  fprintf(out, "{\"t\":%llu.%06llu,\"from\":\"%s\",\"type\":\"%s\",",
          (unsigned long long)(e->ns / 1000000000),
          (unsigned long long)(e->ns % 1000000000 / 1000),
          e->from_client ? "client" : "server", types[e->type]);
  if (e->type == SESSION_CLOSE) {
    fprintf(out, "\"code\":%u,\"reason\":", e->code);
  } else if (e->type == SESSION_LOST) {
    fputs("\"why\":", out);
  } else {
    fprintf(out, "\"len\":%zu,\"data\":", e->len);
  }
  if (e->type == SESSION_BINARY) {
    put_base64(out, e->data, e->len);
  } else {
    nws__cli_put_json(out, e->data, e->len);
  }
  fputs("}\n", out);
}
