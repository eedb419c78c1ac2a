/* handshake_fields.c - the headers of a handshake as they arrived.
 *
 * Known headers are found in one pass that remembers the first two places of
 * each: the second one is all it takes to refuse duplicates. Faults are noted
 * as offsets into the head, or as indices where there is no head.
 */
#include "handshake_internal.h"

static const struct {
  const char *name;
  size_t len;
} NAMES[NWS__FIELD_COUNT] = {
    [NWS__FIELD_HOST] = {"Host", 4},
    [NWS__FIELD_UPGRADE] = {"Upgrade", 7},
    [NWS__FIELD_CONNECTION] = {"Connection", 10},
    [NWS__FIELD_ORIGIN] = {"Origin", 6},
    [NWS__FIELD_KEY] = {"Sec-WebSocket-Key", 17},
    [NWS__FIELD_ACCEPT] = {"Sec-WebSocket-Accept", 20},
    [NWS__FIELD_VERSION] = {"Sec-WebSocket-Version", 21},
    [NWS__FIELD_SUBPROTOCOL] = {"Sec-WebSocket-Protocol", 22},
    [NWS__FIELD_EXTENSIONS] = {"Sec-WebSocket-Extensions", 24},
    [NWS__FIELD_CONTENT_LENGTH] = {"Content-Length", 14},
    [NWS__FIELD_TRANSFER_ENCODING] = {"Transfer-Encoding", 17},
    [NWS__FIELD_PROTOCOL_PSEUDO] = {":protocol", 9},
    [NWS__FIELD_SCHEME_PSEUDO] = {":scheme", 7},
    [NWS__FIELD_AUTHORITY_PSEUDO] = {":authority", 10},
};

static int is_named(const nws_header *header, size_t which) {
  return header->name.len == NAMES[which].len &&
         nws_str_equal_nocase(
             header->name, nws_str_make(NAMES[which].name, NAMES[which].len));
}

void nws__fields_index(nws__fields *fields, const nws_http_head *head,
                       const char *data, size_t *error_at) {
  fields->headers = head->headers;
  fields->count = head->count;
  fields->data = data;
  fields->end = data != NULL ? head->len : head->count;
  fields->error_at = error_at;
  for (size_t i = 0; i < NWS__FIELD_COUNT; i++) {
    fields->first[i] = fields->second[i] = head->count;
  }
  for (size_t i = 0; i < head->count; i++) {
    for (size_t which = 0; which < NWS__FIELD_COUNT; which++) {
      if (!is_named(&head->headers[i], which)) {
        continue;
      }
      if (fields->first[which] == head->count) {
        fields->first[which] = i;
      } else if (fields->second[which] == head->count) {
        fields->second[which] = i;
      }
      break;
    }
  }
}

int nws__fields_fault_at(const nws__fields *fields, size_t index,
                         const char *at, int error) {
  if (fields->data != NULL) {
    *fields->error_at = (size_t)(at - fields->data);
  } else {
    *fields->error_at = index;
  }
  return error;
}

int nws__fields_fault(const nws__fields *fields, size_t index, int error) {
  return nws__fields_fault_at(fields, index, fields->headers[index].value.ptr,
                              error);
}

int nws__fields_missing(const nws__fields *fields, int error) {
  *fields->error_at = fields->end;
  return error;
}

int nws__fields_single(const nws__fields *fields, nws__field which,
                       int duplicate, nws_str *value) {
  size_t first = fields->first[which], second = fields->second[which];
  *value = nws_str_make(NULL, 0);
  if (second < fields->count) {
    return nws__fields_fault_at(fields, second,
                                fields->headers[second].name.ptr, duplicate);
  }
  if (first < fields->count) {
    *value = fields->headers[first].value;
  }
  return NWS_OK;
}

int nws__fields_expect(const nws__fields *fields, nws__field which,
                       nws_str want, int error) {
  nws_str value;
  int rc = nws__fields_single(fields, which, NWS_ERROR_DUPLICATE, &value);
  if (rc != NWS_OK) {
    return rc;
  }
  if (fields->first[which] == fields->count) {
    return nws__fields_missing(fields, error);
  }
  if (!nws_str_equal_nocase(value, want)) {
    return nws__fields_fault(fields, fields->first[which], error);
  }
  return NWS_OK;
}

size_t nws__fields_next(const nws__fields *fields, nws__field which,
                        size_t index) {
  size_t second = fields->second[which];
  if (index < second) {
    return second;
  }
  do {
    index++;
  } while (index < fields->count && !is_named(&fields->headers[index], which));
  return index;
}

int nws__fields_expect_token(const nws__fields *fields, nws__field which,
                             nws_str token, int error) {
  size_t first = fields->first[which];
  if (first == fields->count) {
    return nws__fields_missing(fields, error);
  }
  for (size_t i = first; i < fields->count;
       i = nws__fields_next(fields, which, i)) {
    nws_str rest = fields->headers[i].value, element;
    while (nws_list_next(&rest, &element)) {
      if (nws_str_equal_nocase(element, token)) {
        return NWS_OK;
      }
    }
  }
  return nws__fields_fault(fields, first, error);
}

/* A body would stand where frames are to begin, and two parties that disagree
 * about it open the way to request smuggling. A length of 0 announces none. */
int nws__fields_expect_no_body(const nws__fields *fields) {
  size_t coding = fields->first[NWS__FIELD_TRANSFER_ENCODING];
  if (coding < fields->count) {
    return nws__fields_fault(fields, coding, NWS_ERROR_BODY);
  }
  nws_str length;
  int rc = nws__fields_single(fields, NWS__FIELD_CONTENT_LENGTH,
                              NWS_ERROR_DUPLICATE, &length);
  if (rc != NWS_OK) {
    return rc;
  }
  if (length.ptr != NULL && !nws_str_equal(length, NWS__STR("0"))) {
    return nws__fields_fault(fields, fields->first[NWS__FIELD_CONTENT_LENGTH],
                             NWS_ERROR_BODY);
  }
  return NWS_OK;
}

/* The head's pointer is not const because a parser fills it; nothing here
 * writes through it, and a union says so where a cast would hide it. */
int nws__fields_lend(nws_http_head *head, const nws_header *headers,
                     size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (headers == NULL || !nws_str_sound(headers[i].name) ||
        !nws_str_sound(headers[i].value)) {
      return NWS_ERROR_ARGUMENT;
    }
  }
  union {
    const nws_header *theirs;
    nws_header *lent;
  } pointer = {headers};
  head->headers = pointer.lent;
  head->max_headers = count;
  head->count = count;
  return NWS_OK;
}
