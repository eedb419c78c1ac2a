/* handshake_asker.h - a client about to ask, for the tests of the client's
 * side.
 */
#ifndef HANDSHAKE_ASKER_H
#define HANDSHAKE_ASKER_H

#include "handshake_fixture.h"

/* A client about to ask for ws://h/. */
typedef struct fixture {
  nws_uri uri;
  nws_client_offer offer;
  nws_client_handshake hs;
  nws_random random;
  int draws;
  char out[ROOM];
  size_t len;
} fixture;

static inline void set_uri(fixture *f, const char *text) {
  assert_int_equal(nws_uri_parse(&f->uri, text, strlen(text), NULL), NWS_OK);
}

static inline void ready(fixture *f) {
  memset(f, 0, sizeof *f);
  memset(&f->hs, UNTOUCHED, sizeof f->hs); /* start needs no clean memory */
  memset(f->out, UNTOUCHED, sizeof f->out);
  f->offer.size = sizeof f->offer;
  f->offer.uri = &f->uri;
  f->random.fill = fill_sample;
  f->random.user = &f->draws;
  f->len = 98765;
  set_uri(f, "ws://h/");
}

static inline int start(fixture *f) {
  return nws_client_handshake_start(&f->hs, &f->offer, &f->random, f->out,
                                    sizeof f->out, &f->len);
}

#endif
