// core_consumer.cpp - a user's first program on the core, in C++: opens a
// connection and says hello. Exits with 0 when all is well.
#include <cstring>
#include <iostream>
#include <nws/nws.h>

int main() {
  nws_conn conn;
  if (nws_conn_init(&conn, NWS_ROLE_SERVER, nullptr, nullptr, 0) != NWS_OK)
    return 1;
  unsigned char out[32];
  std::size_t len = 0;
  if (nws_conn_send(&conn, NWS_OPCODE_TEXT, "Hello", 5, out, sizeof(out),
                    &len) != NWS_OK)
    return 1;
  std::cout << nws_version() << ' ' << len << " bytes\n";
  // RFC 6455 5.7: a single-frame unmasked text message
  return len != 7 || std::memcmp(out, "\x81\x05Hello", 7) != 0;
}
