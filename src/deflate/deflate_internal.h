/* deflate_internal.h - what the files of permessage-deflate share.
 *
 * deflate.c is the extension's table and life, deflate_config.c what a
 * configuration means, deflate_offer.c the negotiation, deflate_recv.c and
 * deflate_send.c what happens to messages, deflate_prepare.c those for many
 * connections, deflate_pool.c memory and the states that connections share.
 * zlib and ISA-L are known to deflate_zlib.c, inflate_zlib.c and deflate_isal.c
 * alone.
 */
#ifndef NWS_DEFLATE_INTERNAL_H
#define NWS_DEFLATE_INTERNAL_H

#include <nws/deflate.h>

/* RFC 7692 7.2.1: what ends a compressed message and is not sent. */
#define NWS__TAIL_LEN 4

/* --- deflate_pool.c: memory, and the states that connections share --- */

/* What a state has allocated: for this thread's sum, and for its own. */
typedef struct nws__account {
  nws_allocator allocator; /* counts here; what the state is made with */
  nws_deflate_pool *pool;
  size_t bytes;
} nws__account;

/* The beginning of every state that can lie in the pool. */
typedef struct nws__shared {
  nws__account account;
  struct nws__shared *next;
  unsigned window_bits;
} nws__shared;

/* States that wait for the next message, the latest first. */
typedef struct nws__shelf {
  nws__shared *first;
  size_t count;
  void (*free)(nws__shared *state);
} nws__shelf;

struct nws_deflate_pool {
  nws_deflate_config config; /* without zeros that mean something else */
  nws_allocator allocator;   /* of the caller, or malloc() */
  nws__shelf deflaters;
  nws__shelf inflaters;
  size_t bytes; /* allocated now */
  size_t users; /* connections, and the nws_deflate itself */
  int closed;   /* no state is to wait any more */
};

/* Makes a pool; NULL without memory. `config` is taken as it is. */
nws_deflate_pool *nws__pool_make(const nws_deflate_config *config);

/* One user less; the last one frees it. */
void nws__pool_leave(nws_deflate_pool *pool);

/* The caller's allocator, counted. */
void *nws__pool_resize(nws_deflate_pool *pool, void *ptr, size_t old_len,
                       size_t new_len);

/* Allocates zeroed memory that is counted in `account`, and frees it. */
void *nws__account_make(nws_deflate_pool *pool, size_t len);
void nws__account_free(nws__account *account, size_t len);

/* Takes a state with these window bits from a shelf; NULL when none waits. */
nws__shared *nws__shelf_take(nws__shelf *shelf, unsigned window_bits);

/* Puts a state there, or frees one if too many wait already. */
void nws__shelf_give(nws_deflate_pool *pool, nws__shelf *shelf,
                     nws__shared *state);

void nws__shelf_clear(nws__shelf *shelf);

/* --- Compressing states --- */

typedef struct nws__deflater {
  nws__shared shared;
  const nws_deflate_backend *backend;
  void *state;
} nws__deflater;

/* The backend that serves these window bits. */
const nws_deflate_backend *nws__deflater_backend(const nws_deflate_pool *pool,
                                                 unsigned window_bits);

/* One that remembers nothing, from the pool or new; NULL without memory. */
nws__deflater *nws__deflater_get(nws_deflate_pool *pool, unsigned window_bits);
void nws__deflater_free(nws__shared *state);

/* Compresses a frame's payload (RFC 7692 7.2.1), also an empty one. `deflater`
 * may be NULL when `data->in_len` is 0. Takes and gives through `data`. */
int nws__deflater_run(nws__deflater *deflater, nws_extension_data *data);

/* --- inflate_zlib.c: inflating states --- */

typedef struct nws__inflater nws__inflater;

/* Likewise. */
nws__inflater *nws__inflater_get(nws_deflate_pool *pool, unsigned window_bits);
void nws__inflater_free(nws__shared *state);
nws__shared *nws__inflater_shared(nws__inflater *inflater);

/* Inflates what there is while there is room. Returns NWS_OK,
 * NWS_ERROR_EXTENSION, NWS_ERROR_MEMORY; what came out before an error is
 * counted in `data->out_len`. With NWS_OK and room left all is out. */
int nws__inflater_run(nws__inflater *inflater, nws_extension_data *data);

/* Begins a message, with an inflater that has ended one. */
void nws__inflater_begin(nws__inflater *inflater);

/* Says whether a message may end here, when all is out. */
int nws__inflater_end(nws__inflater *inflater);

/* --- deflate_config.c --- */

/* Checks a configuration (NULL: all zero) and fills in what its zeros mean. */
int nws__config_resolve(const nws_deflate_config *config,
                        nws_deflate_config *resolved);

/* --- Connections --- */

typedef struct nws__conn_deflate {
  nws__account account; /* of this struct itself */
  nws_deflate_pool *pool;
  nws_deflate_params params;
  nws__deflater *out;
  nws__inflater *in;
  uint64_t in_len;  /* compressed bytes of the message that is arriving */
  uint64_t out_len; /* what they have become */
  int in_fault;     /* to be returned by the next call */
  uint8_t in_open;  /* a compressed message is arriving */
  uint8_t out_open; /* a compressed message is being sent */
  uint8_t out_lost; /* `out` is to forget what it knows before its next use */
} nws__conn_deflate;

nws__conn_deflate *nws__conn_deflate_make(nws_deflate_pool *pool,
                                          const nws_deflate_params *params);

/* --- deflate_offer.c, deflate_recv.c, deflate_send.c: the extension --- */

int nws__deflate_offer(const nws_extension *ext, char *out, size_t cap);
int nws__deflate_accept(const nws_extension *ext,
                        const nws_extension_offer *offer, char *out, size_t cap,
                        size_t *len, void **state);
int nws__deflate_confirm(const nws_extension *ext,
                         const nws_extension_offer *answer, void **state);

int nws__deflate_frame_in(void *state, const nws_frame *frame);
int nws__deflate_decode(void *state, nws_extension_data *data);
/* Gives back what a message needed; `keep` what takeover needs. */
void nws__deflate_end_in(nws__conn_deflate *conn);

int nws__deflate_frame_out(void *state, nws_frame *frame, int may_transform);
size_t nws__deflate_bound(void *state, size_t len);
int nws__deflate_encode(void *state, nws_extension_data *data);

int nws__deflate_prepared(void *state, nws_prepared *prepared,
                          const uint8_t **frame, size_t *frame_len);

/* The connection state's pool behind an extension. */
nws_deflate_pool *nws__deflate_pool_of(const nws_extension *ext);

#endif
