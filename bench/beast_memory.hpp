/* beast_memory.hpp - a transport for Boost.Beast that is memory: it keeps
 * nothing of what is written, and reads what it was fed.
 */
#ifndef NWS_BEAST_MEMORY_HPP
#define NWS_BEAST_MEMORY_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/websocket.hpp>

#include <cstddef>

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;

class memory_stream {
public:
  using executor_type = asio::io_context::executor_type;

  explicit memory_stream(asio::io_context &context) : context_(&context) {}

  executor_type get_executor() noexcept {
    return context_->get_executor();
  }

  void feed(const void *data, std::size_t len) {
    next_ = asio::const_buffer(data, len);
  }

  std::size_t written() const {
    return written_;
  }

  template <class Buffers>
  std::size_t read_some(const Buffers &to, boost::system::error_code &error) {
    const std::size_t len = asio::buffer_copy(to, next_);
    next_ += len;
    error = len > 0 ? boost::system::error_code() : asio::error::eof;
    return len;
  }

  template <class Buffers> std::size_t read_some(const Buffers &to) {
    boost::system::error_code error;
    const std::size_t len = read_some(to, error);
    if (error) {
      throw boost::system::system_error(error);
    }
    return len;
  }

  template <class Buffers>
  std::size_t write_some(const Buffers &from,
                         boost::system::error_code &error) {
    error = {};
    return write_some(from);
  }

  template <class Buffers> std::size_t write_some(const Buffers &from) {
    const std::size_t len = asio::buffer_size(from);
    written_ += len;
    return len;
  }

private:
  asio::io_context *context_;
  asio::const_buffer next_;
  std::size_t written_ = 0;
};

inline void teardown(boost::beast::role_type, memory_stream &,
                     boost::system::error_code &error) {
  error = {};
}

#endif
