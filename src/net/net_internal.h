/* net_internal.h - what the files of the net layer share.
 *
 * A peer is one socket. It is watched with uv_poll_t, not uv_tcp_t: libuv 1.44
 * writes to streams without MSG_NOSIGNAL, so that a peer that vanishes would
 * raise SIGPIPE in the application; and a uv_poll_t is 88 bytes smaller and
 * needs no request per write.
 *
 * Functions of the API change a peer and put it on the loop's list of things to
 * do; all callbacks of the application are called from callbacks of libuv,
 * never from inside the API.
 */
#ifndef NWS_NET_INTERNAL_H
#define NWS_NET_INTERNAL_H

/* uv.h and accept4 need more of the system than standard C shows. This header
 * comes first everywhere. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <nws/remote.h>
#include <nws/stats.h>
#include <sys/un.h>
#include <uv.h>

/* What one read takes at most, and the gather buffer that its answers go to. */
#define NWS__RECEIVE_LEN ((size_t)256 * 1024)
#define NWS__GATHER_LEN ((size_t)256 * 1024)
/* What the loop keeps at most of a gather buffer, and of a buffer for messages,
 * that large messages have made grow. */
#define NWS__KEEP_MAX ((size_t)4 * 1024 * 1024)
/* What one read takes before the connection is open: what comes behind a head
 * may have to be kept until the application decides. */
#define NWS__HEAD_READ_LEN ((size_t)16 * 1024)
/* How much of a refusal's body a client keeps. */
#define NWS__BODY_MAX ((size_t)64 * 1024)
/* Where extensions decode to. */
#define NWS__SCRATCH_LEN ((size_t)64 * 1024)
/* How long the other end may take to close once all has been said. */
#define NWS__LINGER_MS 2000u
/* The longest name that can be looked up, RFC 1035 2.3.4. */
#define NWS__HOST_MAX 255
/* Connections beyond a limit that are being told so at the same time. */
#define NWS__SURPLUS_PEERS 64u

/* An IPv4 or IPv6 address. */
typedef union nws__address {
  struct sockaddr any;
  struct sockaddr_in four;
  struct sockaddr_in6 six;
} nws__address;

/* What a socket of ours can be bound or connected to. */
typedef union nws__local {
  struct sockaddr any;
  nws__address ip;
  struct sockaddr_un local;
} nws__local;

/* The longest path of a Unix socket. */
#define NWS__PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

/* A file that we have made, so that no other is removed. */
typedef struct nws__file {
  int made;
  uint64_t device;
  uint64_t number;
} nws__file;

/* --- Configuration --- */

/* Options of a server or client, with all defaults filled in. */
typedef struct nws__setup {
  nws_handler handler;
  nws_conn_config conn;
  nws_net_limits limits;
  char *url; /* a client's: where it goes, fit to be shown; owned */
  struct nws_reconnect *link; /* a client's: who has made it, or NULL */
} nws__setup;

/* --- Write queue (queue.c) --- */

typedef struct nws__chunk {
  struct nws__chunk *next;
  nws_prepared *message; /* whose bytes these are, held; NULL: `data` */
  const uint8_t *frame;  /* those bytes */
  size_t at;             /* first byte not written yet */
  size_t len;            /* end of the bytes */
  size_t cap;            /* room in `data` */
  uint8_t data[];
} nws__chunk;

typedef struct nws__queue {
  nws__chunk *head;
  nws__chunk *tail;
  size_t bytes;
} nws__queue;

/* --- Peers --- */

/* The life of a peer; peer.c has the transitions. */
typedef enum nws__peer_state {
  NWS__RESOLVING,  /* client: the name is being looked up */
  NWS__CONNECTING, /* client: TCP is connecting to one of the addresses */
  NWS__TUNNELING,  /* client: a proxy's answer is awaited */
  NWS__PROXIED,    /* server: what a proxy says first is awaited */
  NWS__SECURING,   /* the TLS handshake is under way */
  NWS__SHAKING,    /* the other end's HTTP head is awaited */
  NWS__DECIDING,   /* server: the application's answer is awaited */
  NWS__REFUSED,    /* client: the body of a refusal is awaited */
  NWS__OPEN,       /* the engine rules, closing handshake included */
  NWS__CLOSING,    /* what was said leaves, what comes is discarded */
  NWS__DEAD        /* `closed` is due, or was called */
} nws__peer_state;

enum {
  NWS__BUSY = 1u << 0,      /* the loop works on it, and will settle it */
  NWS__LISTED = 1u << 1,    /* is on the loop's list of things to do */
  NWS__TOLD = 1u << 2,      /* the application knows it: owes `closed` */
  NWS__OPEN_DUE = 1u << 3,  /* the handshake is over, `open` is due */
  NWS__OPENED = 1u << 4,    /* `open` was called */
  NWS__PAUSED = 1u << 5,    /* nws_peer_pause() */
  NWS__THROTTLED = 1u << 6, /* was above high_water, not yet at low_water */
  NWS__DRAIN_DUE = 1u << 7, /* `drain` is due at low_water */
  NWS__BLOCKED = 1u << 8,   /* the socket takes no more just now */
  NWS__BROKEN = 1u << 9,    /* writing failed: nothing goes out any more */
  NWS__SHUT = 1u << 10,     /* our side of TCP has been closed */
  NWS__ENDED = 1u << 11,    /* the other side of TCP has been closed */
  NWS__CONN = 1u << 12,     /* `conn` is set up */
  NWS__WATCHED = 1u << 13,  /* `poll` is initialised and not closing */
  NWS__FINISHED = 1u << 14, /* nothing may be done with it any more */
  NWS__STILL = 1u << 15,    /* its clock stands still: paused */
  NWS__BEHIND = 1u << 16,   /* has not taken all that was said; silence.c */
  NWS__DUE = 1u << 17,      /* its deadline has come: to be judged */
  NWS__SHOWN = 1u << 18,  /* the other end's head is the application's to see */
  NWS__TURNED = 1u << 19, /* server: turned away, and being told so */
  NWS__TALLIED = 1u << 20 /* server: counts among the peers of its address */
};

/* TLS on one connection (tls.c). */
typedef struct nws__tls nws__tls;

/* What the handshake agreed on; absent when nothing. */
typedef struct nws__agreed {
  nws_extension_use uses[NWS_EXTENSIONS_MAX];
  size_t use_count;
  nws_str subprotocol; /* points behind this struct */
} nws__agreed;

/* Only for a client: where it goes, and how far it got (client_internal.h). */
typedef struct nws__dial nws__dial;

/* What exists only until a connection is open. */
typedef struct nws__opening {
  char *head; /* the other end's HTTP head so far */
  size_t head_len;
  size_t head_cap;
  uint8_t *rest; /* what came behind it */
  size_t rest_len;
  int rest_owned; /* 1: from malloc; 0: in the loop's receive buffer */
  int error;      /* server: why it is not a handshake that is wanted */
  nws_server_handshake *request; /* server; owned */
  nws_tls *tls;    /* server: held for what follows a proxy's header */
  nws__dial *dial; /* client; owned */
} nws__opening;

/* Kept for `closed`. */
typedef struct nws__reason {
  size_t len;
  char text[];
} nws__reason;

/* What most peers do without (side.c). */
typedef struct nws__side {
  nws__reason *reason;
  nws_remote *remote;          /* held once */
  struct nws__member *members; /* one for each topic; hub_internal.h */
} nws__side;

struct nws_peer {
  uv_poll_t poll;
  nws_conn conn;
  nws_loop *loop;
  nws_server *server; /* NULL for clients */
  nws__setup *setup;  /* the server's, or a client's own */
  void *user;
  nws__opening *opening;
  nws__agreed *agreed;
  nws__side *side;      /* NULL most of the time */
  nws_spill *spill;     /* that the engine has; NULL most of the time */
  nws_message *message; /* being assembled; NULL most of the time */
  nws__tls *tls;        /* NULL without */
  nws__queue queue;
  uint64_t deadline; /* see timers.c */
  uint64_t clock;    /* the engine's time; this and the next: see silence.c */
  uint64_t seen;
  uint64_t life;
  nws_peer *prev; /* among the server's peers */
  nws_peer *next;
  nws_peer *todo_next;
  nws__address address; /* of the other end; the socket forgets it early */
  uint32_t timer_at;    /* place in the heap, from 1; 0: none */
  int fd;
  int error; /* what ended it; only where it is not clean */
  uint32_t flags;
  uint32_t written; /* bytes given to the socket, modulo 2^32 */
  uint32_t gone;    /* of these, those that had left at the last look */
  uint8_t state;
  uint8_t events; /* what `poll` looks for */
  uint8_t holds;  /* handles and requests of libuv that point here */
};

/* --- Post (post.c) --- */

/* What a thread has for a loop to do. `run` is called once in the loop's
 * thread, and owns it; with NULL when the loop is being freed. */
typedef struct nws__post {
  struct nws__post *next;
  void (*run)(struct nws__post *post, nws_loop *loop);
} nws__post;

/* Where it waits. Held by the loop, and by those who may have something to post
 * after the loop has gone. */
typedef struct nws__mail nws__mail;

/* --- Loop --- */

struct nws_loop {
  uv_loop_t *uv;
  uv_loop_t own;
  int owns_uv;
  unsigned handles; /* open ones of the next four */
  unsigned depth;   /* callbacks of libuv that are under way */
  uv_prepare_t prepare;
  uv_idle_t idle;   /* runs while there is something to do */
  uv_async_t async; /* there is mail */
  uv_timer_t timer;
  uint64_t timer_due; /* NWS_NEVER when the timer does not run */
  nws_peer **heap;    /* peers by deadline; entry 0 is not used */
  uint32_t heap_len;
  uint32_t heap_cap;
  uint32_t heap_reserved; /* peers that may need a place */
  nws_peer *todo;         /* first in, first out */
  nws_peer **todo_end;
  nws__mail *mail;
  size_t alive; /* peers and servers */
  uint8_t *receive;
  void *scratch; /* NULL until an extension may need it */
  nws_spill *spare;
  nws__chunk *gather;
  nws_tls *tls; /* for clients that bring none; NULL until one comes */
  nws_message *assembler; /* with the block of the last large message */
  nws_random random;
  nws_allocator allocator;
};

/* --- Server --- */

/* Limits that have an error of their own, from NWS_ERROR_PEER_LIMIT on. */
#define NWS__LIMITS 4

/* A line of the log that must not come too often (log.c). */
typedef struct nws__repeated {
  uint64_t at;
  uint64_t count; /* of what has happened since */
} nws__repeated;

/* How many peers an address has; 0: the place is free. */
typedef struct nws__tally {
  uint64_t who;
  size_t count;
} nws__tally;

/* The peers of each address (quota.c). */
typedef struct nws__quota {
  uint64_t seed[2];
  nws__tally *places; /* `cap` of them, a power of 2; NULL: none */
  size_t cap;
  size_t used;
} nws__quota;

/* A listener, as one server has it. */
typedef struct nws__ear {
  uv_poll_t poll;
  nws_server *server;
  nws_listener *listener; /* held; NULL once the server is stopping */
} nws__ear;

/* A route, with all that it leaves to the server filled in. */
typedef struct nws__route {
  nws_str path; /* without the final star */
  int below;    /* and whatever begins with it */
  nws__setup setup;
  const nws_server_policy *policy;
  void *user; /* NULL: the server's */
} nws__route;

struct nws_server {
  nws__ear *ears; /* owned */
  size_t ear_count;
  nws__route *routes; /* owned; as many as in the options */
  uv_timer_t timer;   /* looks again after descriptors ran out; once it is
                         stopping: drops what is left */
  nws_loop *loop;
  nws__setup setup;
  nws_server_options options;
  nws_peer *first;
  size_t count;
  size_t turned; /* of these, turned away and told so just now */
  nws__quota quota;
  uint64_t rate_full; /* when all of handshake_burst may come again */
  uint16_t port;
  int trouble; /* why connections could not be taken; told already */
  uint8_t stopping;
  size_t handles;
  nws_stats stats;
  nws__repeated repeated[NWS__LIMITS + 1]; /* the last: for lack of memory */
};

/* loop.c */
void nws__loop_todo(nws_peer *peer);
void nws__loop_enter(nws_loop *loop);
void nws__loop_leave(nws_loop *loop);
void nws__loop_hold(nws_loop *loop);
void nws__loop_release(nws_loop *loop);
nws_spill *nws__loop_take_spill(nws_loop *loop);
void nws__loop_give_spill(nws_loop *loop, nws_spill *spill);

/* post.c */
nws__mail *nws__mail_new(nws_loop *loop);
nws__mail *nws__mail_keep(nws__mail *mail);
void nws__mail_drop(nws__mail *mail);
int nws__mail_put(nws__mail *mail, nws__post *post);
int nws__mail_waits(nws__mail *mail);
void nws__mail_work(nws_loop *loop);
void nws__mail_shut(nws_loop *loop);

/* setup.c */
int nws__setup_copy(nws__setup *setup, nws_loop *loop,
                    const nws_handler *handler, const nws_conn_config *conn,
                    const nws_net_limits *limits, size_t extensions);
int nws__setup_policy(const nws_server_policy *policy);
void nws__setup_free(nws__setup *setup);
int nws__setup_options(void *out, size_t cap, const void *options);
uint64_t nws__setup_close_ns(const nws__setup *setup);
uint64_t nws__setup_stall_ns(const nws__setup *setup);
uint64_t nws__setup_handshake_ns(const nws__setup *setup);

/* timers.c */
int nws__timer_reserve(nws_loop *loop);
void nws__timer_unreserve(nws_loop *loop);
void nws__timer_set(nws_peer *peer, uint64_t deadline);
void nws__timer_in(nws_peer *peer, uint64_t ns);
void nws__timer_earlier(nws_peer *peer, uint64_t deadline);

/* silence.c */
void nws__silence_begin(nws_peer *peer);
uint64_t nws__silence_now(nws_peer *peer);
uint64_t nws__silence_heard(nws_peer *peer);
void nws__silence_handshake(nws_peer *peer);
int nws__silence_judge(nws_peer *peer, int due);

/* socket_unix.c: all give 0 or more, or a UV_… error */
int nws__socket_listen(const nws__local *local,
                       const nws_listener_options *options, nws__file *file,
                       int *out);
int nws__socket_adopt(int fd);
int nws__socket_local(int fd, nws__local *out);
int nws__socket_path(const char *path, struct sockaddr_un *out);
void nws__file_remove(const char *path, const nws__file *file);
int nws__socket_accept(int listener, nws__address *from, int *out);
int nws__socket_connect(const struct sockaddr *address, socklen_t len,
                        int *out);
int nws__socket_error(int fd);
long nws__socket_receive(int fd, void *out, size_t cap);
long nws__socket_peek(int fd, void *out, size_t cap);
long nws__socket_send(int fd, const uv_buf_t *bufs, unsigned count);
size_t nws__socket_unsent(int fd);
void nws__socket_shut(int fd);
void nws__socket_close(int fd);
int nws__socket_port(int fd, uint16_t *port);
int nws__socket_name(const nws__address *address, char *out, size_t cap);

/* queue.c */
nws__chunk *nws__queue_chunk(size_t cap);
uint8_t *nws__queue_reserve(nws_loop *loop, nws__queue *queue, size_t len);
void nws__queue_commit(nws_peer *peer, size_t len);
int nws__queue_refer(nws_peer *peer, nws_prepared *message,
                     const uint8_t *frame, size_t len);
int nws__queue_write(nws_peer *peer);
void nws__queue_drop(nws_peer *peer);

/* stats.c */
void nws__stats_begin(nws_peer *peer);
void nws__stats_turned(nws_server *server, int error);
void nws__stats_enter(nws_peer *peer, nws__peer_state from, nws__peer_state to);
void nws__stats_opened(nws_peer *peer, uint64_t ns);
void nws__stats_closed(nws_peer *peer, int error);
void nws__stats_given_up(nws_peer *peer, int error);
void nws__stats_event(nws_peer *peer, const nws_event *event);
void nws__stats_sent(nws_peer *peer, unsigned what, size_t len);
void nws__stats_prepared(nws_peer *peer, const nws_prepared *message);
void nws__stats_owed(nws_peer *peer, const uint8_t *frames, size_t len);
void nws__stats_received(nws_peer *peer, size_t len);
void nws__stats_written(nws_peer *peer, size_t len);
void nws__stats_queue(nws_peer *peer, size_t before);
void nws__stats_throttled(nws_peer *peer);
void nws__stats_queue_full(nws_peer *peer);

/* peer.c */
nws_peer *nws__peer_new(nws_loop *loop, nws__setup *setup, nws_server *server,
                        nws__peer_state state);
void nws__peer_enter(nws_peer *peer, nws__peer_state state);
int nws__peer_attach(nws_peer *peer, int fd, const nws__address *address);
void nws__peer_detach(nws_peer *peer);
int nws__peer_start(nws_peer *peer, const nws_extension_use *uses, size_t count,
                    nws_str subprotocol);
void nws__peer_end(nws_peer *peer, int error);
void nws__peer_die(nws_peer *peer, int error);
void nws__peer_leave(nws_peer *peer);
void nws__peer_work(nws_peer *peer);
void nws__peer_timeout(nws_peer *peer, uint64_t now);
void nws__peer_opened(nws_peer *peer);
void nws__peer_unhold(nws_peer *peer);
nws__opening *nws__peer_opening(nws_peer *peer);

/* peer_read.c */
void nws__peer_read(nws_peer *peer);
void nws__peer_unspill(nws_peer *peer);
int nws__peer_reads(const nws_peer *peer);
void nws__peer_feed(nws_peer *peer, uint8_t *data, size_t len);
void nws__peer_fail(nws_peer *peer, int error);
int nws__peer_head_add(nws__opening *opening, const uint8_t *data, size_t len,
                       size_t max_head);

/* peer_write.c */
size_t nws__peer_write(nws_peer *peer);
void nws__peer_owe(nws_peer *peer);
void nws__peer_level(nws_peer *peer, size_t written);
int nws__peer_say_close(nws_peer *peer, unsigned code, nws_str reason);

/* listener.c */
nws_listener *nws__listener_hold(nws_listener *listener);
nws_tls *nws__listener_tls(const nws_listener *listener);
int nws__listener_proxied(const nws_listener *listener);

/* proxy_header.c */
int nws__proxy_header(const uint8_t *data, size_t len, size_t *used,
                      nws__address *from);
void nws__proxied_read(nws_peer *peer);

/* side.c */
nws__side *nws__peer_side(nws_peer *peer);
void nws__side_leave(nws_peer *peer);
void nws__side_free(nws_peer *peer);

/* remote.c */
void nws__remote_flush(nws_peer *peer);
void nws__remote_gone(nws_remote *remote);

/* tls_context.c */
nws_tls *nws__tls_keep(nws_tls *tls);
int nws__tls_serves(nws_tls *tls);

/* tls.c */
nws__tls *nws__tls_start(nws_tls *shared, int fd, const char *host);
void nws__tls_free(nws__tls *tls);
int nws__tls_shake(nws__tls *tls);
int nws__tls_want(const nws__tls *tls);
long nws__tls_receive(nws__tls *tls, void *out, size_t cap);
long nws__tls_send(nws__tls *tls, const uv_buf_t *bufs, unsigned count);
void nws__tls_shut(nws__tls *tls);
int nws__tls_more(const nws__tls *tls);
void nws__tls_stir(nws__tls *tls);
const char *nws__tls_detail(const nws__tls *tls);
void nws__tls_info(nws__tls *tls, nws_tls_info *info);
struct ssl_st *nws__tls_ssl(const nws__tls *tls);

/* secure.c */
void nws__secure_start(nws_peer *peer, nws_tls *shared, const char *host);
void nws__secure_step(nws_peer *peer);
long nws__peer_receive(nws_peer *peer, uint8_t *out, size_t cap);
long nws__peer_give(nws_peer *peer, const uv_buf_t *bufs, unsigned count);
void nws__peer_shut(nws_peer *peer);

/* quota.c */
int nws__quota_who(const nws__address *address, uint64_t *who);
uint64_t nws__quota_hash(const uint64_t seed[2], uint64_t value);
int nws__quota_take(nws__quota *quota, uint64_t who, size_t max);
void nws__quota_give(nws__quota *quota, uint64_t who);
void nws__quota_free(nws__quota *quota);

/* limits.c */
int nws__limits_take(nws_server *server);
int nws__limits_rate(nws_server *server, uint64_t now);
int nws__limits_address(nws_server *server, const nws__address *from,
                        uint32_t *flag);
void nws__limits_leave(nws_server *server, const nws__address *from);
int nws__limits_check(nws_server *server, const nws__address *from,
                      uint64_t now, uint32_t *flag);
int nws__limits_tells(const nws_server *server);
void nws__limits_turn_away(nws_peer *peer, int error);

/* log.c */
int nws__log_take(nws_server *server);
void nws__log_blocked(nws_server *server, int error);
void nws__log_resumed(nws_server *server);
void nws__log_stopped(nws_server *server);
void nws__log_turned(nws_server *server, int error, const nws__address *from);
void nws__log_opened(nws_peer *peer);
void nws__log_given_up(nws_peer *peer, int error);
void nws__log_ended(nws_peer *peer, int error, const char *detail);

/* route.c */
int nws__routes_take(nws_server *server);
int nws__route_choose(nws_peer *peer, int rc);

/* listen.c and server_shake.c */
void nws__server_settle(nws_server *server);
void nws__server_trouble(nws_server *server, int error,
                         const nws__address *address, const char *detail);
void nws__server_read(nws_peer *peer, uint8_t *data, size_t len);
void nws__server_refuse(nws_peer *peer, int error, unsigned status);
void nws__server_give_up(nws_peer *peer);

/* What the life of a peer needs of a client; client_internal.h has the rest. */
void nws__client_begin(nws_peer *peer);
void nws__client_request(nws_peer *peer);
void nws__client_read(nws_peer *peer, uint8_t *data, size_t len);
void nws__client_body(nws_peer *peer, const uint8_t *data, size_t len);
void nws__client_timeout(nws_peer *peer, uint64_t now);
const char *nws__client_detail(const nws_peer *peer);
const nws_http_head *nws__client_answer(const nws_peer *peer);
void nws__client_cancel(nws__dial *dial);
void nws__client_free(nws__dial *dial);

/* tunnel.c */
void nws__tunnel_read(nws_peer *peer);

#endif
