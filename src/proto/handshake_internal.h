/* handshake_internal.h - what the two sides of the opening handshake share.
 *
 * Reading: nws__fields is the list of headers that arrived, each known header
 * found in one pass. Writing: nws__sink takes headers either as text or as a
 * list, and counts; everything is emitted twice, to learn the size and to
 * write, so that a buffer too small is never touched. Both sides negotiate
 * extensions through handshake_extension.c.
 */
#ifndef NWS_PROTO_HANDSHAKE_INTERNAL_H
#define NWS_PROTO_HANDSHAKE_INTERNAL_H

#include <nws/handshake.h>

#define NWS__STR(literal) nws_str_make("" literal, sizeof(literal) - 1)

/* --- Stages ---
 *
 * http.h's `scanned` has no use once a head is whole; from then on it holds
 * one of these, so that a handshake knows what it may be asked for. */
#define NWS__STAGE_READ SIZE_MAX           /* a good head was read */
#define NWS__STAGE_ACCEPTED (SIZE_MAX - 1) /* and answered with 101 */
#define NWS__STAGE_REACHED(head) ((head)->scanned >= NWS__STAGE_ACCEPTED)

/* --- Headers that arrived (handshake_fields.c) --- */

/* The headers that mean something to a handshake. */
typedef enum nws__field {
  NWS__FIELD_HOST,
  NWS__FIELD_UPGRADE,
  NWS__FIELD_CONNECTION,
  NWS__FIELD_ORIGIN,
  NWS__FIELD_KEY,
  NWS__FIELD_ACCEPT,
  NWS__FIELD_VERSION,
  NWS__FIELD_SUBPROTOCOL,
  NWS__FIELD_EXTENSIONS,
  NWS__FIELD_CONTENT_LENGTH,
  NWS__FIELD_TRANSFER_ENCODING,
  NWS__FIELD_PROTOCOL_PSEUDO,
  NWS__FIELD_SCHEME_PSEUDO,
  NWS__FIELD_AUTHORITY_PSEUDO,
  NWS__FIELD_COUNT
} nws__field;

typedef struct nws__fields {
  const nws_header *headers;
  size_t count;
  const char *data; /* first byte of the head; NULL when others parsed it */
  size_t end;       /* where something missing is said to be missing */
  size_t *error_at; /* offset in `data`, or without it the header's index */
  size_t first[NWS__FIELD_COUNT];  /* index, `count` when absent */
  size_t second[NWS__FIELD_COUNT]; /* index of the next one, likewise */
} nws__fields;

/* Finds every known header. `data` and `end` as above. */
void nws__fields_index(nws__fields *fields, const nws_http_head *head,
                       const char *data, size_t *error_at);

/* Note where the fault is (in the text of a header, in a header as a whole, in
 * none of them), and return the error. */
int nws__fields_fault_at(const nws__fields *fields, size_t index,
                         const char *at, int error);
int nws__fields_fault(const nws__fields *fields, size_t index, int error);
int nws__fields_missing(const nws__fields *fields, int error);

/* Gives the value of a header that may appear only once; absent when it does
 * not. Twice is `duplicate`, NWS_ERROR_DUPLICATE as a rule. */
int nws__fields_single(const nws__fields *fields, nws__field which,
                       int duplicate, nws_str *value);

/* The same, and the value must be there and, case aside, be `want`. */
int nws__fields_expect(const nws__fields *fields, nws__field which,
                       nws_str want, int error);

/* The index of the next header of the same name, `count` when there is none. */
size_t nws__fields_next(const nws__fields *fields, nws__field which,
                        size_t index);

/* Fails with `error` unless the list in these headers has a token. */
int nws__fields_expect_token(const nws__fields *fields, nws__field which,
                             nws_str token, int error);

/* Fails when a body is announced (NWS_ERROR_BODY). */
int nws__fields_expect_no_body(const nws__fields *fields);

/* Gives a list of headers that belongs to others to a head. NWS_OK, or
 * NWS_ERROR_ARGUMENT for a list that cannot be read. */
int nws__fields_lend(nws_http_head *head, const nws_header *headers,
                     size_t count);

/* --- Headers that leave (handshake_write.c) --- */

typedef struct nws__sink {
  char *text;       /* NULL while counting */
  nws_header *list; /* likewise */
  int as_list;      /* 1: count and write headers, 0: bytes */
  size_t len;       /* headers or bytes so far */
} nws__sink;

/* Adds text between headers; lists have none. */
void nws__sink_text(nws__sink *sink, nws_str text);
void nws__sink_header(nws__sink *sink, nws_str name, nws_str value);
void nws__sink_headers(nws__sink *sink, const nws_header *headers,
                       size_t count);

/* Checks further headers of the user's: NWS_ERROR_FIELD with the offset of the
 * byte in its name or value, NWS_ERROR_HEADER_RESERVED, NWS_ERROR_ARGUMENT. */
int nws__write_check_headers(const nws_header *headers, size_t count,
                             size_t *bad_at);

/* Checks that all bytes of a text are of a class (chars.h). */
int nws__write_check(nws_str text, uint8_t mask, size_t *bad_at);

/* Writes a number; the slice points into `room`. */
nws_str nws__write_decimal(size_t number, char room[20]);

/* A text that is composed in a handshake's `text`. */
typedef struct nws__text {
  char *ptr;
  size_t len;
  size_t cap;
} nws__text;

/* Appends, or returns NWS_ERROR_LENGTH. */
int nws__text_add(nws__text *text, nws_str piece);

/* --- Extensions (handshake_extension.c) --- */

/* Checks an array of extensions for a role: NWS_ERROR_ARGUMENT. */
int nws__extension_check(const nws_extension *const *extensions, size_t count,
                         nws_role role);

/* Appends what the client offers. `asked` tells, with `ext` set, which of the
 * extensions do offer something. */
int nws__extension_offer(const nws_client_offer *offer, nws__text *text,
                         nws_extension_use asked[NWS_EXTENSIONS_MAX],
                         size_t *bad_at);

/* Holds the server's answer against what was asked, and on success replaces
 * hs->extensions by what is in use. */
int nws__extension_confirm(nws_client_handshake *hs, const nws__fields *fields);

/* Checks the syntax of all offers. */
int nws__extension_check_offers(const nws__fields *fields);

/* Agrees on extensions: sets hs->extensions and appends the answer. */
int nws__extension_accept(nws_server_handshake *hs, nws__text *text);

/* --- Origins (handshake_origin.c) --- */

/* Says whether the policy lets an origin (which is there) pass; 1 or 0. */
int nws__origin_allowed(const nws_server_policy *policy, nws_str origin,
                        nws_str host);

#endif
