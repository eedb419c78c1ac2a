/* cli_child.c - a process at one end of a WebSocket.
 *
 * Its input and output are pipes and not the sockets that libuv would make, as
 * programs may open /dev/stdout, which sockets cannot be. It leads a session of
 * its own: the terminal's signals do not reach it but through us, and ours
 * reach all that it has started.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bridge.h"

#define MAX_PIECE ((size_t)1 << 16)
#define PATIENCE_MS 1000
#define MORE_PATIENCE_MS 5000

enum { NOT_TOLD, TOLD_TO_END, TOLD_TO_DIE };

static cli_child *of_bridge(cli_bridge *bridge) {
  return (cli_child *)(void *)bridge; /* its first member */
}

/* --- The end --- */

static void on_handle_closed(uv_handle_t *handle) {
  cli_child *child = handle->data;
  if (--child->handles == 0) {
    nws__cli_bridge_free(&child->bridge);
    child->gone(child);
  }
}

static void close_handle(uv_handle_t *handle) {
  if (!uv_is_closing(handle)) {
    uv_close(handle, on_handle_closed);
  }
}

static void close_all(cli_child *child) {
  if (child->spawned) {
    close_handle((uv_handle_t *)&child->process);
  }
  close_handle((uv_handle_t *)&child->in);
  close_handle((uv_handle_t *)&child->out);
  close_handle((uv_handle_t *)&child->timer);
}

static void on_input_done(uv_shutdown_t *request, int status) {
  (void)status;
  close_handle((uv_handle_t *)request->handle);
}

static void on_exited(uv_process_t *process, int64_t status, int number) {
  cli_child *child = process->data;
  child->running = 0;
  child->status = number ? 128 + number : (int)status;
  if (!child->bridge.peer) {
    uv_kill(-process->pid, child->ending ? SIGKILL : SIGTERM);
    close_all(child);
    return;
  }
  close_handle((uv_handle_t *)&child->in);
  if (child->all_sent) {
    child->ended(child, NWS_OK);
  }
}

static void on_sent(cli_bridge *bridge, int error) {
  cli_child *child = of_bridge(bridge);
  child->all_sent = 1;
  if (error != NWS_OK || !child->running) {
    child->ended(child, error);
  }
}

static void on_patience_over(uv_timer_t *timer) {
  cli_child *child = timer->data;
  if (child->ending == TOLD_TO_END) {
    child->ending = TOLD_TO_DIE;
    nws__cli_child_signal(child, SIGKILL);
    return;
  }
  child->ending = TOLD_TO_END;
  nws__cli_child_signal(child, SIGTERM);
  uv_timer_start(timer, on_patience_over, MORE_PATIENCE_MS, 0);
}

void nws__cli_child_part(cli_child *child) {
  nws__cli_bridge_part(&child->bridge);
  if (!child->running) {
    close_all(child);
    return;
  }
  if (!uv_is_closing((uv_handle_t *)&child->in)) {
    nws__cli_bridge_shut(&child->bridge, on_input_done);
  }
  uv_timer_start(&child->timer, on_patience_over, PATIENCE_MS, 0);
}

void nws__cli_child_signal(cli_child *child, int number) {
  if (child->running) {
    uv_kill(-child->process.pid, number);
  }
}

/* --- The start --- */

/* Opens a pipe between a handle of ours and a descriptor of the child's. */
static int open_pipe(uv_pipe_t *ours, int we_write, int *theirs) {
  uv_file ends[2];
  int rc = uv_pipe(ends, we_write ? 0 : UV_NONBLOCK_PIPE,
                   we_write ? UV_NONBLOCK_PIPE : 0);
  if (rc != 0) {
    return rc;
  }
  *theirs = ends[!we_write];
  rc = uv_pipe_open(ours, ends[we_write]);
  if (rc != 0) {
    close(ends[we_write]);
  }
  return rc;
}

static void init_handles(cli_child *child, uv_loop_t *uv) {
  uv_pipe_init(uv, &child->in, 0);
  uv_pipe_init(uv, &child->out, 0);
  uv_timer_init(uv, &child->timer);
  child->process.data = child->timer.data = child;
  child->in.data = child->out.data = child;
  child->handles = 3;
  child->bridge.from = (uv_stream_t *)&child->out;
  child->bridge.to = (uv_stream_t *)&child->in;
  child->bridge.sent = on_sent;
  child->bridge.split.max_piece = MAX_PIECE;
}

static int spawn(cli_child *child, uv_loop_t *uv, const char *command,
                 char **environment, const int theirs[2]) {
  char shell[] = "/bin/sh";
  char flag[] = "-c";
  char *copy = strdup(command);
  char *args[] = {shell, flag, copy, NULL};
  uv_stdio_container_t files[3] = {
      {.flags = UV_INHERIT_FD, .data.fd = theirs[0]},
      {.flags = UV_INHERIT_FD, .data.fd = theirs[1]},
      {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
  };
  const uv_process_options_t options = {.exit_cb = on_exited,
                                        .file = shell,
                                        .args = args,
                                        .env = environment,
                                        .flags = UV_PROCESS_DETACHED,
                                        .stdio_count = 3,
                                        .stdio = files};
  if (!copy) {
    return UV_ENOMEM;
  }
  child->spawned = 1; /* also if it fails: there is a handle then */
  child->handles++;
  int rc = uv_spawn(uv, &child->process, &options);
  free(copy);
  return rc;
}

int nws__cli_child_start(cli_child *child, uv_loop_t *uv, const char *command,
                         char **environment) {
  int theirs[2] = {-1, -1};
  init_handles(child, uv);
  int rc = open_pipe(&child->in, 1, &theirs[0]);
  if (rc == 0) {
    rc = open_pipe(&child->out, 0, &theirs[1]);
  }
  if (rc == 0) {
    rc = spawn(child, uv, command, environment, theirs);
    child->running = rc == 0;
  }
  for (int i = 0; i < 2; i++) {
    if (theirs[i] >= 0) {
      close(theirs[i]);
    }
  }
  if (rc == 0) {
    rc = nws__cli_bridge_start(&child->bridge);
  }
  return rc;
}
