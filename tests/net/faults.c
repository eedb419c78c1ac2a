/* faults.c - see faults.h.
 *
 * Bytes are counted as the allocator rounds them, which is good enough to see
 * that all come back. The counters are atomic: libuv has threads.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "faults.h"
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

/* The linker's names for a function and for what comes in its place. */
#define WRAPPED(type, name, ...)                                               \
  type __real_##name(__VA_ARGS__);                                             \
  type __wrap_##name(__VA_ARGS__)

WRAPPED(void *, malloc, size_t len);
WRAPPED(void *, calloc, size_t count, size_t len);
WRAPPED(void *, realloc, void *ptr, size_t len);
WRAPPED(void, free, void *ptr);
WRAPPED(ssize_t, sendmsg, int fd, const struct msghdr *message, int flags);
WRAPPED(ssize_t, recv, int fd, void *out, size_t cap, int flags);
WRAPPED(int, accept4, int fd, struct sockaddr *from, socklen_t *len, int flags);
WRAPPED(int, connect, int fd, const struct sockaddr *to, socklen_t len);
WRAPPED(int, socket, int family, int type, int protocol);
WRAPPED(uint64_t, uv_hrtime, void);
WRAPPED(int, uv_timer_start, uv_timer_t *timer, uv_timer_cb cb, uint64_t wait,
        uint64_t repeat);

/* --- Memory --- */

static atomic_long blocks[FAULTS_OWNERS];
static atomic_long bytes[FAULTS_OWNERS];
static atomic_long requests;
static atomic_long fail_at = -1;
static atomic_int fail_owner;
static atomic_int fail_onwards;

static int fails(int owner) {
  if (owner != fail_owner)
    return 0;
  long number = requests++;
  if (fail_at < 0)
    return 0;
  return fail_onwards ? number >= fail_at : number == fail_at;
}

static void *taken(int owner, void *ptr) {
  if (ptr != NULL) {
    blocks[owner]++;
    bytes[owner] += (long)malloc_usable_size(ptr);
  }
  return ptr;
}

static void given(int owner, void *ptr) {
  if (ptr != NULL) {
    blocks[owner]--;
    bytes[owner] -= (long)malloc_usable_size(ptr);
  }
}

static void *get(int owner, size_t len) {
  return fails(owner) ? NULL : taken(owner, __real_malloc(len));
}

static void *get_clear(int owner, size_t count, size_t len) {
  return fails(owner) ? NULL : taken(owner, __real_calloc(count, len));
}

static void drop(int owner, void *ptr) {
  given(owner, ptr);
  __real_free(ptr);
}

static void *resize(int owner, void *ptr, size_t len) {
  if (fails(owner))
    return NULL;
  long before = ptr == NULL ? 0 : (long)malloc_usable_size(ptr);
  void *moved = __real_realloc(ptr, len);
  if (moved == NULL)
    return NULL;
  blocks[owner] += before == 0;
  bytes[owner] += (long)malloc_usable_size(moved) - before;
  return moved;
}

void *__wrap_malloc(size_t len) {
  return get(FAULTS_OURS, len);
}

void *__wrap_calloc(size_t count, size_t len) {
  return get_clear(FAULTS_OURS, count, len);
}

void *__wrap_realloc(void *ptr, size_t len) {
  return resize(FAULTS_OURS, ptr, len);
}

void __wrap_free(void *ptr) {
  drop(FAULTS_OURS, ptr);
}

static void *uv_get(size_t len) {
  return get(FAULTS_UV, len);
}

static void *uv_get_clear(size_t count, size_t len) {
  return get_clear(FAULTS_UV, count, len);
}

static void *uv_resize(void *ptr, size_t len) {
  return resize(FAULTS_UV, ptr, len);
}

static void uv_drop(void *ptr) {
  drop(FAULTS_UV, ptr);
}

static void *ssl_get(size_t len, const char *file, int line) {
  (void)file;
  (void)line;
  return len == 0 ? NULL : get(FAULTS_OPENSSL, len);
}

static void ssl_drop(void *ptr, const char *file, int line) {
  (void)file;
  (void)line;
  drop(FAULTS_OPENSSL, ptr);
}

static void *ssl_resize(void *ptr, size_t len, const char *file, int line) {
  if (len == 0) {
    ssl_drop(ptr, file, line);
    return NULL;
  }
  return resize(FAULTS_OPENSSL, ptr, len);
}

void faults_install(void) {
  int rc = uv_replace_allocator(uv_get, uv_resize, uv_get_clear, uv_drop);
  assert(rc == 0);
  rc = CRYPTO_set_mem_functions(ssl_get, ssl_resize, ssl_drop);
  assert(rc == 1);
  (void)rc;
}

faults_live faults_live_now(void) {
  faults_live now;
  for (int i = 0; i < FAULTS_OWNERS; i++) {
    now.blocks[i] = blocks[i];
    now.bytes[i] = bytes[i];
  }
  return now;
}

void faults_memory(faults_owner owner, long at, int onwards) {
  fail_at = -1;
  fail_owner = owner;
  fail_onwards = onwards;
  requests = 0;
  fail_at = at;
}

long faults_requests(void) {
  return requests;
}

/* --- Sockets --- */

static faults_plan the_plan;
static long called[FAULTS_CALLS];
static size_t sent;
static int accepted, accepted_fd;

void faults_sockets(faults_plan plan) {
  the_plan = plan;
  memset(called, 0, sizeof(called));
  sent = 0;
  accepted = 0;
  accepted_fd = -1;
}

long faults_called(faults_call call) {
  return called[call];
}

size_t faults_sent(void) {
  return sent;
}

int faults_accepted(void) {
  return accepted;
}

int faults_accepted_fd(void) {
  return accepted_fd;
}

static int decided(faults_call call, int fd, size_t *max) {
  long number = called[call]++;
  *max = SIZE_MAX;
  int error = the_plan == NULL ? 0 : the_plan(call, number, fd, max);
  if (error != 0)
    errno = error;
  return error;
}

/* At most `max` bytes of a message. */
static ssize_t send_some(int fd, const struct msghdr *message, int flags,
                         size_t max) {
  struct iovec parts[16];
  struct msghdr less = *message;
  size_t count = 0;
  for (; count < (size_t)message->msg_iovlen && max > 0; count++) {
    assert(count < 16);
    parts[count] = message->msg_iov[count];
    if (parts[count].iov_len > max)
      parts[count].iov_len = max;
    max -= parts[count].iov_len;
  }
  less.msg_iov = parts;
  less.msg_iovlen = count;
  return __real_sendmsg(fd, &less, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags) {
  size_t max;
  if (decided(FAULTS_SENDMSG, fd, &max) != 0)
    return -1;
  ssize_t len = send_some(fd, message, flags, max);
  if (len > 0)
    sent += (size_t)len;
  return len;
}

ssize_t __wrap_recv(int fd, void *out, size_t cap, int flags) {
  size_t max;
  if (decided(FAULTS_RECV, fd, &max) != 0)
    return -1;
  return __real_recv(fd, out, cap < max ? cap : max, flags);
}

int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *len, int flags) {
  size_t max;
  if (decided(FAULTS_ACCEPT, fd, &max) != 0)
    return -1;
  int peer = __real_accept4(fd, from, len, flags);
  if (peer >= 0) {
    accepted++;
    accepted_fd = peer;
  }
  return peer;
}

/* A call that a signal interrupts, or that goes on by itself, has begun. */
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len) {
  size_t max;
  int error = decided(FAULTS_CONNECT, fd, &max);
  if (error == EINTR || error == EINPROGRESS) {
    (void)__real_connect(fd, to, len);
    errno = error;
  }
  return error != 0 ? -1 : __real_connect(fd, to, len);
}

int __wrap_socket(int family, int type, int protocol) {
  size_t max;
  if (decided(FAULTS_SOCKET, -1, &max) != 0)
    return -1;
  return __real_socket(family, type, protocol);
}

/* --- Time --- */

static uint64_t forward_ns;
static int forwarding;

void faults_forward(uint64_t ms) {
  forward_ns += ms * UINT64_C(1000000);
  forwarding = 1;
}

uint64_t __wrap_uv_hrtime(void) {
  return __real_uv_hrtime() + forward_ns;
}

/* libuv's own clock is not put forward. */
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t wait,
                          uint64_t repeat) {
  if (forwarding && wait > 1)
    wait = 1;
  return __real_uv_timer_start(timer, cb, wait, repeat);
}
