/* cli_cable.c - a stream socket at one end of a WebSocket: the bytes of one are
 * the binary messages of the other.
 *
 * A stream may end in one direction and go on in the other, a WebSocket may
 * not. When the socket's other end has said its last, the closing handshake
 * begins, and what the peer sends before its close is still written. When the
 * peer has closed, the socket is shut down behind what is still to be written,
 * and what comes of it is dropped, until it ends too or nothing moves any more.
 */
#include <string.h>
#include "bridge.h"

#define MAX_PIECE ((size_t)1 << 16)
#define PATIENCE_MS 5000

static cli_cable *of_bridge(cli_bridge *bridge) {
  return (cli_cable *)(void *)bridge; /* its first member */
}

/* --- The end --- */

static void on_handle_closed(uv_handle_t *handle) {
  cli_cable *cable = handle->data;
  if (--cable->handles == 0) {
    if (cable->addresses) {
      uv_freeaddrinfo(cable->addresses);
    }
    nws__cli_bridge_free(&cable->bridge);
    cable->gone(cable);
  }
}

static void on_stream_closed(uv_handle_t *handle) {
  on_handle_closed((uv_handle_t *)&of_bridge(handle->data)->timer);
}

static void close_all(cli_cable *cable) {
  if (uv_is_closing((uv_handle_t *)&cable->timer)) {
    return;
  }
  uv_close((uv_handle_t *)&cable->timer, on_handle_closed);
  if (cable->has_stream && !uv_is_closing(&cable->socket.handle)) {
    uv_close(&cable->socket.handle, on_stream_closed);
  }
}

static void on_shut(uv_shutdown_t *request, int status) {
  cli_cable *cable = of_bridge(request->handle->data);
  (void)status;
  if (cable->bridge.end) {
    close_all(cable);
  }
}

static void on_last_read(cli_bridge *bridge) {
  if (bridge->end < 0 || uv_stream_get_write_queue_size(bridge->to) == 0) {
    close_all(of_bridge(bridge));
  }
}

static void on_patience_over(uv_timer_t *timer) {
  cli_cable *cable = timer->data;
  const size_t waiting = uv_stream_get_write_queue_size(&cable->socket.stream);
  if (waiting == 0 || waiting >= cable->waiting) {
    close_all(cable);
    return;
  }
  cable->waiting = waiting;
  uv_timer_start(timer, on_patience_over, PATIENCE_MS, 0);
}

void nws__cli_cable_part(cli_cable *cable) {
  nws__cli_bridge_part(&cable->bridge);
  if (cable->resolving) {
    uv_cancel((uv_req_t *)&cable->resolve);
    return; /* on_resolved() goes on */
  }
  if (!cable->plugged || cable->bridge.end < 0) {
    close_all(cable);
    return;
  }
  cable->waiting = SIZE_MAX;
  uv_timer_start(&cable->timer, on_patience_over, PATIENCE_MS, 0);
  nws__cli_bridge_shut(&cable->bridge, on_shut);
}

void nws__cli_cable_drop(cli_cable *cable) {
  if (cable->resolving) {
    uv_cancel((uv_req_t *)&cable->resolve);
  } else {
    close_all(cable);
  }
}

/* --- The start --- */

static void on_sent(cli_bridge *bridge, int error) {
  if (error != NWS_ERROR_STATE) { /* that is: it is closing */
    nws_peer_close(bridge->peer,
                   error == NWS_OK ? NWS_CLOSE_NORMAL
                                   : NWS_CLOSE_INTERNAL_ERROR,
                   nws_str_make("", 0));
  }
}

void nws__cli_cable_init(cli_cable *cable, uv_loop_t *uv) {
  cable->uv = uv;
  cable->bridge.sent = on_sent;
  cable->bridge.last_read = on_last_read;
  cable->bridge.from = cable->bridge.to = &cable->socket.stream;
  cable->bridge.split.framing = CLI_FRAMING_RAW;
  cable->bridge.split.binary = 1;
  cable->bridge.split.max_piece = MAX_PIECE;
  uv_timer_init(uv, &cable->timer);
  cable->timer.data = cable;
  cable->handles = 1;
}

void nws__cli_cable_socket(cli_cable *cable, int local) {
  if (local) {
    uv_pipe_init(cable->uv, &cable->socket.pipe, 0);
  } else {
    uv_tcp_init(cable->uv, &cable->socket.tcp);
  }
  cable->socket.handle.data = &cable->bridge;
  cable->has_stream = 1;
  cable->handles++;
}

int nws__cli_cable_plug(cli_cable *cable) {
  cable->plugged = 1;
  if (cable->socket.handle.type == UV_TCP) {
    uv_tcp_nodelay(&cable->socket.tcp, 1);
  }
  return nws__cli_bridge_start(&cable->bridge);
}

/* --- Connecting --- */

static void try_next(cli_cable *cable);

static void finish(cli_cable *cable, int error) {
  if (cable->bridge.peer) {
    cable->connected(cable, error);
  } else {
    close_all(cable);
  }
}

static void on_failed_closed(uv_handle_t *handle) {
  cli_cable *cable = of_bridge(handle->data);
  if (uv_is_closing((uv_handle_t *)&cable->timer)) { /* parted meanwhile */
    on_handle_closed((uv_handle_t *)&cable->timer);
    return;
  }
  cable->handles--;
  try_next(cable);
}

static void on_connected(uv_connect_t *request, int status) {
  cli_cable *cable = request->data;
  if (status == 0 || status == UV_ECANCELED || !cable->next) {
    finish(cable, status);
    return;
  }
  cable->has_stream = 0;
  uv_close(&cable->socket.handle, on_failed_closed);
}

/* The addresses of a name in turn. */
static void try_next(cli_cable *cable) {
  const struct addrinfo *address = cable->next;
  if (!cable->bridge.peer) {
    finish(cable, UV_ECANCELED);
    return;
  }
  cable->next = address->ai_next;
  nws__cli_cable_socket(cable, 0);
  cable->connect.data = cable;
  int rc = uv_tcp_connect(&cable->connect, &cable->socket.tcp, address->ai_addr,
                          on_connected);
  if (rc != 0) {
    on_connected(&cable->connect, rc);
  }
}

static void on_resolved(uv_getaddrinfo_t *request, int status,
                        struct addrinfo *addresses) {
  cli_cable *cable = request->data;
  cable->resolving = 0;
  cable->addresses = cable->next = addresses;
  if (status != 0) {
    finish(cable, status);
  } else {
    try_next(cable);
  }
}

int nws__cli_cable_connect(cli_cable *cable, const cli_target *target) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  if (target->path) {
    nws__cli_cable_socket(cable, 1);
    cable->connect.data = cable;
    uv_pipe_connect(&cable->connect, &cable->socket.pipe, target->path,
                    on_connected);
    return NWS_OK;
  }
  cable->resolve.data = cable;
  int rc = uv_getaddrinfo(cable->uv, &cable->resolve, on_resolved, target->host,
                          target->port, &hints);
  cable->resolving = rc == 0;
  return rc;
}
