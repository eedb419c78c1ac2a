/* deflate_beast.cpp - Boost.Beast with compression, over a transport that is
 * memory, reading from one buffer again and again.
 */
#include "beast_memory.hpp"
#include "deflate_sides.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/version.hpp>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace {

struct connection {
  asio::io_context context;
  websocket::stream<memory_stream> stream{context};

  connection(int level, int takeover, std::size_t message_len) {
    websocket::permessage_deflate how;
    std::string head = "GET / HTTP/1.1\r\nHost: localhost\r\n"
                       "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Extensions: permessage-deflate";
    how.server_enable = true;
    how.server_no_context_takeover = takeover == 0;
    how.client_no_context_takeover = takeover == 0;
    how.compLevel = level;
    head += takeover != 0 ? "\r\n\r\n"
                          : "; server_no_context_takeover; "
                            "client_no_context_takeover\r\n\r\n";
    stream.set_option(how);
    stream.text(true);
    /* Whole messages in one frame, as the other sides send them. */
    stream.auto_fragment(false);
    stream.write_buffer_bytes(std::max<std::size_t>(4096, 2 * message_len));
    stream.next_layer().feed(head.data(), head.size());
    stream.accept();
  }
};

} // namespace

const char *beast_boost(void) {
  return BOOST_LIB_VERSION;
}

struct beast_out {
  connection link;
  messages texts;
  std::size_t bytes = 0;

  beast_out(const messages &plain, const setting &how)
      : link(how.level, how.takeover, plain.len), texts(plain) {}
};

beast_out *beast_out_make(const messages *texts, const setting *how) {
  return new beast_out(*texts, *how);
}

void beast_out_run(void *user) {
  beast_out *out = static_cast<beast_out *>(user);
  const std::size_t before = out->link.stream.next_layer().written();
  for (std::size_t i = 0; i < out->texts.count; i++) {
    out->link.stream.write(asio::const_buffer(
        out->texts.text + i * out->texts.len, out->texts.len));
  }
  out->bytes = out->link.stream.next_layer().written() - before;
}

std::size_t beast_out_bytes(const beast_out *out) {
  return out->bytes;
}

void beast_out_free(beast_out *out) {
  delete out;
}

struct beast_in {
  connection link;
  const packed *input;
  boost::beast::flat_buffer buffer;
  std::size_t bytes = 0;

  explicit beast_in(const packed *from)
      : link(1, from->takeover, from->text_len), input(from) {}
};

beast_in *beast_in_make(const packed *input) {
  return new beast_in(input);
}

void beast_in_run(void *user) {
  beast_in *in = static_cast<beast_in *>(user);
  in->bytes = 0;
  in->link.stream.next_layer().feed(in->input->wire, in->input->wire_len);
  for (std::size_t i = 0; i < in->input->count; i++) {
    in->bytes += in->link.stream.read(in->buffer);
    in->buffer.clear();
  }
}

std::size_t beast_in_bytes(const beast_in *in) {
  return in->bytes;
}

void beast_in_free(beast_in *in) {
  delete in;
}
