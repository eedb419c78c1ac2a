// peer_beast.cpp - a peer made with Boost.Beast, for compression.py, which
// tells what the lines of its input and output are.
//
// Beast has a DEFLATE of its own, so that it shares no code with us at all.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using stream = websocket::stream<tcp::socket>;

struct message {
  bool text;
  std::string data;
};

// What is asked for in a line of input.
struct order {
  std::map<std::string, std::string> words;

  explicit order(const std::string &line) {
    std::istringstream in(line);
    std::string word;
    while (in >> word) {
      const auto at = word.find('=');
      words[word.substr(0, at)] = word.substr(at + 1);
    }
  }

  int number(const std::string &name) const {
    const auto found = words.find(name);
    return found == words.end() ? 0 : std::stoi(found->second);
  }
};

// Read once for all connections in a row that send the same.
static const std::vector<message> &messages_of(const std::string &path) {
  static std::string loaded;
  static std::vector<message> list;
  if (path == loaded)
    return list;
  std::ifstream file(path, std::ios::binary);
  list.clear();
  for (char head[5]; file.read(head, sizeof(head));) {
    std::size_t len = 0;
    for (int i = 1; i < 5; i++)
      len = len << 8 | static_cast<std::uint8_t>(head[i]);
    list.push_back({head[0] == 't', std::string(len, '\0')});
    if (!file.read(&list.back().data[0], static_cast<std::streamsize>(len)))
      throw std::runtime_error("half a message in " + path);
  }
  loaded = path;
  return list;
}

static void set_options(stream &ws, const order &asked) {
  websocket::permessage_deflate how;
  how.server_enable = true;
  how.client_enable = true;
  how.server_no_context_takeover = asked.number("server_no") != 0;
  how.client_no_context_takeover = asked.number("client_no") != 0;
  how.server_max_window_bits = asked.number("server_bits");
  how.client_max_window_bits = asked.number("client_bits");
  how.compLevel = asked.number("level");
  how.memLevel = asked.number("mem");
  ws.set_option(how);
  ws.read_message_max(0);
  // Frames are as long as its buffer, at most.
  const int fragment = asked.number("fragment");
  ws.write_buffer_bytes(fragment > 0 ? static_cast<std::size_t>(fragment)
                                     : 1 << 20);
  ws.auto_fragment(fragment > 0);
}

static void tell(const char *what, const std::string &text) {
  std::cout << what << ": " << text << std::endl;
}

// Everything there is to send comes back.
static void exchange(stream &ws, const order &asked) {
  const auto &list = messages_of(asked.words.at("messages"));
  std::size_t count = 0, wrong = 0;
  for (const message &sent : list) {
    beast::flat_buffer got;
    ws.text(sent.text);
    ws.write(asio::buffer(sent.data));
    ws.read(got);
    count++;
    wrong += got.size() != sent.data.size() || ws.got_text() != sent.text ||
             sent.data.compare(0, std::string::npos,
                               static_cast<const char *>(got.data().data()),
                               got.size()) != 0;
  }
  std::cout << "done: " << count << " " << wrong << std::endl;
  ws.close(websocket::close_code::normal);
}

static void connect(asio::io_context &context, const order &asked) {
  stream ws(context);
  websocket::response_type response;
  std::string offer;
  ws.next_layer().connect({asio::ip::address_v4::loopback(),
                           static_cast<std::uint16_t>(asked.number("port"))});
  ws.next_layer().set_option(tcp::no_delay(true));
  set_options(ws, asked);
  ws.set_option(websocket::stream_base::decorator(
      [&offer](websocket::request_type &request) {
        offer = std::string(request[http::field::sec_websocket_extensions]);
      }));
  ws.handshake(response, "127.0.0.1", "/");
  tell("offer", offer);
  tell("answer", std::string(response[http::field::sec_websocket_extensions]));
  exchange(ws, asked);
}

static void accept(asio::io_context &context, tcp::acceptor &acceptor,
                   const order &asked) {
  stream ws(context);
  beast::flat_buffer buffer;
  http::request<http::string_body> request;
  std::string answer;
  std::cout << "ready" << std::endl;
  acceptor.accept(ws.next_layer());
  ws.next_layer().set_option(tcp::no_delay(true));
  set_options(ws, asked);
  ws.set_option(websocket::stream_base::decorator(
      [&answer](websocket::response_type &response) {
        answer = std::string(response[http::field::sec_websocket_extensions]);
      }));
  http::read(ws.next_layer(), buffer, request);
  tell("offer", std::string(request[http::field::sec_websocket_extensions]));
  ws.accept(request);
  tell("answer", answer);
  exchange(ws, asked);
}

int main(int argc, char **argv) {
  const std::string role = argc == 2 ? argv[1] : "";
  if (role != "client" && role != "server")
    return 2;
  asio::io_context context;
  tcp::acceptor acceptor(context);
  if (role == "server") {
    acceptor = tcp::acceptor(context, {asio::ip::address_v4::loopback(), 0});
    std::cout << "listening on 127.0.0.1:" << acceptor.local_endpoint().port()
              << std::endl;
  }
  for (std::string line; std::getline(std::cin, line);) {
    try {
      if (role == "client")
        connect(context, order(line));
      else
        accept(context, acceptor, order(line));
    } catch (const std::exception &error) {
      tell("trouble", error.what());
    }
    std::cout << "end" << std::endl;
  }
  return 0;
}
