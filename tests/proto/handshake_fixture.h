/* handshake_fixture.h - what the tests of the opening handshake share: RFC
 * 6455's sample key, random sources, an extension that does what it is told,
 * and texts with a mark in them.
 */
#ifndef HANDSHAKE_FIXTURE_H
#define HANDSHAKE_FIXTURE_H

#include "../assert_str.h"

#include <stdlib.h>
#include <nws/handshake.h>

/* RFC 6455 1.3: base64 of "the sample nonce", and the answer to it. */
#define SAMPLE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define SAMPLE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { UNTOUCHED = 0xee, ROOM = 8192 };

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

#define TCHARS                                                                 \
  "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"                        \
  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define VCHARS TCHARS "\"(),/:;<=>?@[\\]{}"

static inline int is_in(const char *set, int byte) {
  return byte > 0 && byte < 0x80 && strchr(set, byte) != NULL;
}

static inline int is_untouched(const void *area, size_t len) {
  const uint8_t *bytes = area;
  for (size_t i = 0; i < len; i++)
    if (bytes[i] != UNTOUCHED)
      return 0;
  return 1;
}

/* --- Random sources --- */

/* Gives the sample nonce and counts how often. */
static inline int fill_sample(void *user, void *out, size_t len) {
  (*(int *)user)++;
  assert_int_equal(len, 16);
  memcpy(out, "the sample nonce", 16);
  return 0;
}

static inline int fill_nothing(void *user, void *out, size_t len) {
  (*(int *)user)++;
  (void)out;
  (void)len;
  return -1;
}

/* --- An extension --- */

typedef struct fake {
  nws_extension ext;
  const char *text; /* what it offers or answers */
  size_t text_len;
  int rc;     /* what its functions return instead of NWS_OK */
  int *alive; /* states made and not released */
} fake;

static inline int fake_offer(const nws_extension *ext, char *out, size_t cap) {
  const fake *f = (const fake *)ext;
  if (f->rc != 0)
    return f->rc;
  if (f->text_len > cap)
    return NWS_ERROR_BUFFER;
  memcpy(out, f->text, f->text_len);
  return (int)f->text_len;
}

static inline int fake_accept(const nws_extension *ext,
                              const nws_extension_offer *offer, char *out,
                              size_t cap, size_t *len, void **state) {
  const fake *f = (const fake *)ext;
  assert_int_equal(offer->overflow, 0);
  if (f->rc != 0)
    return f->rc;
  if (f->text_len > cap)
    return NWS_ERROR_BUFFER;
  memcpy(out, f->text, f->text_len);
  *len = f->text_len;
  *state = f->alive;
  ++*f->alive;
  return NWS_OK;
}

static inline int fake_confirm(const nws_extension *ext,
                               const nws_extension_offer *answer,
                               void **state) {
  const fake *f = (const fake *)ext;
  assert_int_equal(answer->overflow, 0);
  if (f->rc > 0)
    return NWS_ERROR_EXTENSION_HEADER;
  *state = f->alive;
  ++*f->alive;
  return NWS_OK;
}

static inline void fake_release(const nws_extension *ext, void *state) {
  const fake *f = (const fake *)ext;
  assert_ptr_equal(state, f->alive);
  --*f->alive;
}

/* These two claim to have written more than there was room for. */
static inline int lying_offer(const nws_extension *ext, char *out, size_t cap) {
  (void)ext;
  (void)out;
  return (int)cap + 1;
}

static inline int lying_accept(const nws_extension *ext,
                               const nws_extension_offer *offer, char *out,
                               size_t cap, size_t *len, void **state) {
  const fake *f = (const fake *)ext;
  (void)offer;
  (void)out;
  *len = cap + 1;
  *state = f->alive;
  ++*f->alive;
  return NWS_OK;
}

static inline fake make_fake(const char *name, const char *text, uint8_t rsv,
                             int *alive) {
  fake f;
  memset(&f, 0, sizeof f);
  f.ext.size = sizeof f.ext;
  f.ext.name = name;
  f.ext.rsv = rsv;
  f.ext.offer = fake_offer;
  f.ext.accept = fake_accept;
  f.ext.confirm = fake_confirm;
  f.ext.release = fake_release;
  f.text = text;
  f.text_len = strlen(text);
  f.alive = alive;
  return f;
}

/* --- Marked texts --- */

/* Copies a text without its mark ^ and gives the mark's place. */
static inline size_t take_mark(const char *marked, char *text, size_t *at) {
  const char *mark = strchr(marked, '^');
  size_t len = strlen(marked);
  assert_non_null(mark);
  assert_true(len < ROOM);
  *at = (size_t)(mark - marked);
  memcpy(text, marked, *at);
  memcpy(text + *at, mark + 1, len - *at);
  return len - 1;
}

#endif
