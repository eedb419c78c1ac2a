/* connect_output.c - what nws connect prints: messages as lines, framed as the
 * user wants, or as JSON.
 *
 * Standard output is written with stdio and flushed before the loop waits. When
 * its reader is slow, everything waits, and in the end so does the peer.
 */
#include <nws/digest.h>
#include "connect.h"

#define MAX_HEX_SHOWN 32

void nws__connect_flush(connection *c) {
  if (c->output_gone) {
    return;
  }
  int rc = nws__cli_flush();
  if (rc == 1) {
    return;
  }
  c->output_gone = 1;
  if (rc < 0) {
    nws__connect_give_up(c);
  } else {
    nws__connect_finish(c, NWS_CLOSE_GOING_AWAY);
  }
}

/* --- JSON --- */

/* RFC 8259 7: quotation marks, backslashes and control characters must be
 * escaped. `text` is UTF-8. What could control a terminal is escaped too. */
static void put_json_text(const uint8_t *text, size_t len) {
  putchar('"');
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '"' || text[i] == '\\') {
      printf("\\%c", text[i]);
    } else if (text[i] < 0x20 || text[i] == 0x7f) {
      printf("\\u%04x", text[i]);
    } else if (text[i] == 0xc2 && i + 1 < len && text[i + 1] < 0xa0) {
      printf("\\u%04x", text[++i]); /* C1 */
    } else {
      putchar(text[i]);
    }
  }
  putchar('"');
}

static void put_json_base64(const uint8_t *data, size_t len) {
  char text[4 * 256];
  fputs("\"base64\":\"", stdout);
  for (size_t at = 0; at < len; at += 3 * 256) {
    const size_t part = len - at < 3 * 256 ? len - at : 3 * 256;
    fwrite(text, 1, nws_base64_encode(data + at, part, text), stdout);
  }
  putchar('"');
}

static void put_json(connection *c, unsigned opcode, const uint8_t *data,
                     size_t len) {
  printf("{\"type\":\"%s\",",
         nws_conn_opcode_name(nws_peer_conn(c->client.peer), opcode));
  if (opcode == NWS_OPCODE_TEXT) {
    fputs("\"data\":", stdout);
    put_json_text(data, len);
  } else {
    put_json_base64(data, len);
  }
  puts("}");
}

static void put_json_close(const nws_event *event) {
  printf("{\"type\":\"close\",\"code\":%u,\"reason\":", (unsigned)event->code);
  put_json_text(event->data, event->len);
  puts("}");
}

/* --- Messages --- */

static void put_framed(const connection *c, const uint8_t *data, size_t len) {
  uint8_t before[4];
  const char *behind;
  fwrite(before, 1, nws__cli_join(c->split.framing, len, before, &behind),
         stdout);
  fwrite(data, 1, len, stdout);
  if (behind) {
    putchar(*behind);
  }
}

/* A binary message as it is: with --binary, where nothing is added to it unless
 * the user has chosen how it is to be told from the next; or with its length.
 * Not to a terminal. */
static int put_binary(const connection *c, const uint8_t *data, size_t len) {
  const unsigned framing = c->split.framing;
  if (c->tty || !(c->split.binary || framing == CLI_FRAMING_LENGTH)) {
    return 0;
  }
  if (framing == CLI_FRAMING_LINES) {
    fwrite(data, 1, len, stdout);
  } else {
    put_framed(c, data, len);
  }
  return 1;
}

static void put_text(const connection *c, const uint8_t *data, size_t len) {
  if (c->tty) {
    nws__cli_colour(stdout, CLI_COLOUR_TEXT);
    nws__cli_put_text(stdout, data, len, CLI_TEXT_LINES);
    nws__cli_colour(stdout, CLI_COLOUR_NONE);
    putchar('\n');
    return;
  }
  put_framed(c, data, len);
  if (c->split.framing == CLI_FRAMING_RAW) {
    putchar('\n');
  }
}

void nws__connect_print(connection *c, unsigned opcode, const uint8_t *data,
                        size_t len) {
  if (c->json) {
    put_json(c, opcode, data, len);
  } else if (opcode == NWS_OPCODE_TEXT) {
    put_text(c, data, len);
  } else if (!put_binary(c, data, len)) {
    printf("%s, %zu bytes: ",
           nws_conn_opcode_name(nws_peer_conn(c->client.peer), opcode), len);
    nws__cli_put_hex(stdout, data, len, MAX_HEX_SHOWN);
    putchar(c->split.framing == CLI_FRAMING_NULL && !c->tty ? '\0' : '\n');
  }
}

void nws__connect_print_control(connection *c, const nws_event *event) {
  if (c->json && event->type == NWS_EVENT_CLOSE) {
    put_json_close(event);
    return;
  }
  if (c->json) {
    put_json(c, event->opcode, event->data, event->len);
    return;
  }
  nws__connect_flush(c);
  nws__cli_colour(stderr, CLI_COLOUR_NOTICE);
  fprintf(stderr, "< %s ",
          nws_conn_opcode_name(nws_peer_conn(c->client.peer), event->opcode));
  if (event->type == NWS_EVENT_CLOSE) {
    nws__cli_put_close(stderr, event->code,
                       nws_str_make((const char *)event->data, event->len));
  } else {
    nws__cli_put_text(stderr, event->data, event->len, CLI_TEXT_QUOTE);
  }
  nws__cli_colour(stderr, CLI_COLOUR_NONE);
  fputc('\n', stderr);
}
