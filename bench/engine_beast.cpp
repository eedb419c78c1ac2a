/* engine_beast.cpp - Boost.Beast over the same stream, a read of a message at
 * a time into a buffer of its own.
 */
#include "beast_memory.hpp"
#include "engine_sides.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/version.hpp>

#include <cstdlib>

namespace {

struct connection {
  asio::io_context context;
  websocket::stream<memory_stream> stream{context};
  boost::beast::flat_buffer buffer;

  connection() {
    static const char head[] = "GET / HTTP/1.1\r\nHost: localhost\r\n"
                               "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                               "Sec-WebSocket-Version: 13\r\n\r\n";
    stream.next_layer().feed(head, sizeof(head) - 1);
    stream.accept();
  }
};

} // namespace

void beast_open(receiver *side) {
  side->state = new connection;
}

void beast_receive(void *user) {
  receiver *side = static_cast<receiver *>(user);
  connection *link = static_cast<connection *>(side->state);
  tally found = {0, 0};
  link->stream.next_layer().feed(side->from->wire, side->from->len);
  for (std::size_t i = 0; i < side->from->count; i++) {
    found.bytes += link->stream.read(link->buffer);
    found.messages++;
    link->buffer.clear();
  }
  side->found = found;
}

void beast_close(receiver *side) {
  delete static_cast<connection *>(side->state);
}
