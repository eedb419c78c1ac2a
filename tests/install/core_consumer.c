/* core_consumer.c - a user's first program on the core, in C: the answer to
 * the sample handshake of RFC 6455 1.3. Exits with 0 when all is well. */
#include <nws/nws.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  char accept[NWS_HANDSHAKE_ACCEPT_LEN];
  nws_handshake_accept_key(nws_str_of("dGhlIHNhbXBsZSBub25jZQ=="), accept);
  printf("%s %.*s\n", nws_version(), (int)sizeof(accept), accept);
  return memcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", sizeof(accept)) != 0;
}
