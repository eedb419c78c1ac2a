/* faults.h - a system that fails when it is told to: memory that is counted and
 * runs out, sockets whose calls are cut, held up or refused, and a clock that
 * can be put forward.
 *
 * Programs that use it are linked with --wrap for the functions below, so that
 * the library's calls of them come here; libuv and OpenSSL are given these
 * allocators in their own ways. Without a plan everything works as ever.
 */
#ifndef NWS_TESTS_FAULTS_H
#define NWS_TESTS_FAULTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Positions between one that is tried and the next, in TLS, where sanitizers
 * make each dear; tests that go through the same ones in several ways begin
 * with different ones. Without sanitizers every position is tried. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAULTS_STRIDE 4
#else
#define FAULTS_STRIDE 1
#endif

/* --- Memory --- */

/* Who asks for it. */
typedef enum faults_owner {
  FAULTS_OURS,
  FAULTS_UV,
  FAULTS_OPENSSL,
  FAULTS_OWNERS
} faults_owner;

/* What is allocated and not yet freed. */
typedef struct faults_live {
  long blocks[FAULTS_OWNERS];
  long bytes[FAULTS_OWNERS];
} faults_live;

/* First thing in main(): libuv and OpenSSL have allocated nothing yet. */
void faults_install(void);

faults_live faults_live_now(void);

/* Lets the request number `at` of `owner` fail, counted from 0 and from now;
 * if `onwards`, all that follow as well. -1: none. */
void faults_memory(faults_owner owner, long at, int onwards);

/* How many requests of that owner there were since. */
long faults_requests(void);

/* --- Sockets --- */

typedef enum faults_call {
  FAULTS_SENDMSG,
  FAULTS_RECV,
  FAULTS_ACCEPT,
  FAULTS_CONNECT,
  FAULTS_SOCKET,
  FAULTS_CALLS
} faults_call;

/* Decides about a call, the `number`-th of its kind since the plan was made,
 * on `fd`: 0 lets it happen, with at most *max bytes; else it fails with that
 * errno. */
typedef int (*faults_plan)(faults_call call, long number, int fd, size_t *max);

/* NULL: all calls happen. */
void faults_sockets(faults_plan plan);

/* How many calls of a kind there were since. */
long faults_called(faults_call call);

/* How many bytes were sent, and connections accepted, since. */
size_t faults_sent(void);
int faults_accepted(void);

/* The socket that was accepted last. */
int faults_accepted_fd(void);

/* --- Time --- */

/* Puts the library's clock forward. Timers of the library look at it each
 * millisecond from the first time on; 0 begins that without a change. */
void faults_forward(uint64_t ms);

#endif
