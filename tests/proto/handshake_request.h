/* handshake_request.h - a good request, line by line, for the tests of the
 * server's side.
 */
#ifndef HANDSHAKE_REQUEST_H
#define HANDSHAKE_REQUEST_H

#include "handshake_fixture.h"

#define LINE "GET /chat?room=1 HTTP/1.1\r\n"
#define HOST "Host: example.com\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: " SAMPLE_KEY "\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define GOOD LINE HOST UPGRADE CONNECTION KEY VERSION
#define END "\r\n"

/* Reads a text at once. */
static inline int read_text(nws_server_handshake *hs,
                            const nws_server_policy *policy, const char *text) {
  memset(hs, 0, sizeof *hs);
  return nws_server_handshake_read(hs, policy, text, strlen(text));
}

#endif
