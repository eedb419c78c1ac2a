/* base.h - what every header of nws shares: linkage, text slices, the random
 * source, the memory source, and the conventions of the whole library.
 *
 * Return values. Functions that can fail return int: NWS_OK (0) when done,
 * NWS_MORE (1) when more input is needed, a negative `nws_error` on failure.
 * A failed call has changed nothing unless its documentation says otherwise.
 *
 * Sizes are in bytes. Times are in nanoseconds of any monotonic clock, and
 * time limits in configurations in milliseconds (their names end in _ms).
 *
 * Configurations start with `size`, to be set to sizeof the struct; all other
 * fields may be left zero, which means the documented default.
 */
#ifndef NWS_BASE_H
#define NWS_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define NWS_BEGIN_DECLS extern "C" {
#define NWS_END_DECLS }
#else
#define NWS_BEGIN_DECLS
#define NWS_END_DECLS
#endif

/* Marks what the shared libraries export. */
#if defined(NWS_SHARED) && defined(_WIN32)
#if defined(NWS_BUILDING)
#define NWS_API __declspec(dllexport)
#else
#define NWS_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define NWS_API __attribute__((visibility("default")))
#else
#define NWS_API
#endif

#define NWS_VERSION_MAJOR 0
#define NWS_VERSION_MINOR 1
#define NWS_VERSION_PATCH 0

NWS_BEGIN_DECLS

/* Not a failure: the input so far is fine and not yet complete. */
enum { NWS_OK = 0, NWS_MORE = 1 };

/* Stands for "no limit" in every limit whose zero means a default. */
#define NWS_UNLIMITED UINT64_MAX

/* A point in time that never comes. */
#define NWS_NEVER UINT64_MAX

/** Which end of the connection this is (RFC 6455 1.3). */
typedef enum nws_role {
  NWS_ROLE_CLIENT = 1, /**< masks what it sends (RFC 6455 5.1) */
  NWS_ROLE_SERVER = 2  /**< never masks (RFC 6455 5.1) */
} nws_role;

/** A slice of text that somebody else owns; not terminated by a zero byte.
 *  `ptr` may be NULL only where `len` is 0. An absent header or field has
 *  `ptr` NULL; one that is there but empty has not. */
typedef struct nws_str {
  const char *ptr; /**< first byte, borrowed */
  size_t len;      /**< bytes */
} nws_str;

/** A name and a value, as in an HTTP header; both borrowed. */
typedef struct nws_header {
  nws_str name;  /**< a token; compared without case */
  nws_str value; /**< without surrounding white space */
} nws_header;

/** Where randomness comes from: masking keys and handshake nonces (RFC 6455
 *  5.3 and 10.3 ask for a strong source: getrandom(2), not rand(3)). */
typedef struct nws_random {
  /** Fills `len` bytes at `out`. Returns 0, or anything else on failure; the
   *  call that needed the bytes then fails with NWS_ERROR_RANDOM and sends
   *  nothing. */
  int (*fill)(void *user, void *out, size_t len);
  void *user; /**< handed to `fill` */
} nws_random;

/** Where memory comes from, for the few parts that need any. */
typedef struct nws_allocator {
  /** Grows, shrinks, makes (`ptr` NULL) or frees (`new_len` 0) a block that
   *  had `old_len` bytes. Returns the block, or NULL on failure (the old block
   *  is then untouched) and after freeing. */
  void *(*resize)(void *user, void *ptr, size_t old_len, size_t new_len);
  void *user; /**< handed to `resize` */
} nws_allocator;

/** Makes a slice of `len` bytes at `ptr`. */
static inline nws_str nws_str_make(const char *ptr, size_t len) {
  nws_str str;
  str.ptr = ptr;
  str.len = len;
  return str;
}

/** Says whether a slice can be read: `ptr` is set, or `len` is 0. 1 or 0. What
 *  takes slices refuses others, with NWS_ERROR_ARGUMENT where it can. */
static inline int nws_str_sound(nws_str str) {
  return str.ptr != NULL || str.len == 0;
}

/** Makes a slice of a zero-terminated string; NULL gives the absent slice.
 *  The string must outlive the slice. */
NWS_API nws_str nws_str_of(const char *text);

/** Says whether two slices hold the same bytes; 1 or 0. */
NWS_API int nws_str_equal(nws_str a, nws_str b);

/** Says whether two slices are the same but for the case of A to Z; 1 or 0. */
NWS_API int nws_str_equal_nocase(nws_str a, nws_str b);

/** The library's version as text, "major.minor.patch"; static. */
NWS_API const char *nws_version(void);

NWS_END_DECLS

#endif
