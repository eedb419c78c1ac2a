/* handshake_extension.c - agreeing on extensions (RFC 6455 9.1).
 *
 * What an extension writes is parsed before it is sent, by the same function
 * that reads the peer's: so an extension can be wrong, but it cannot break the
 * head apart.
 */
#include <string.h>
#include "../codec/chars.h"
#include "handshake_internal.h"

/* --- Syntax --- */

static int is_blank(char c) {
  return c == ' ' || c == '\t';
}

static void advance(nws_str *rest, size_t len) {
  rest->ptr += len;
  rest->len -= len;
}

static void skip_blank(nws_str *rest) {
  while (rest->len > 0 && is_blank(*rest->ptr)) {
    advance(rest, 1);
  }
}

static int take(nws_str *rest, char byte) {
  if (rest->len == 0 || *rest->ptr != byte) {
    return 0;
  }
  advance(rest, 1);
  return 1;
}

static int is_token_byte(nws_str rest) {
  return rest.len > 0 && (nws__chars[(uint8_t)*rest.ptr] & NWS__CHAR_TOKEN);
}

static int take_token(nws_str *rest, nws_str *token) {
  const char *from = rest->ptr;
  while (is_token_byte(*rest)) {
    advance(rest, 1);
  }
  *token = nws_str_make(from, (size_t)(rest->ptr - from));
  return token->len > 0;
}

/* Takes the inside of a quoted string and its closing quote. Once unescaped it
 * must be a token (RFC 6455 9.1). */
static int take_quoted(nws_str *rest, nws_extension_param *param) {
  const char *from = rest->ptr;
  param->quoted = 1;
  for (;;) {
    if (take(rest, '\\')) {
      param->escaped = 1;
    }
    if (!is_token_byte(*rest)) {
      break;
    }
    advance(rest, 1);
  }
  param->value = nws_str_make(from, (size_t)(rest->ptr - from));
  int is_cut = param->value.len > 0 && rest->ptr[-1] == '\\';
  return param->value.len > 0 && !is_cut && take(rest, '"');
}

/* extension-param = token [ "=" (token | quoted-string) ], white space between
 * them as RFC 2616 2.1 implies it */
static int take_param(nws_str *rest, nws_extension_param *param) {
  memset(param, 0, sizeof *param);
  skip_blank(rest);
  if (!take_token(rest, &param->name)) {
    return 0;
  }
  skip_blank(rest);
  if (!take(rest, '=')) {
    return 1;
  }
  skip_blank(rest);
  return take(rest, '"') ? take_quoted(rest, param)
                         : take_token(rest, &param->value);
}

int nws_extension_offer_next(nws_str *rest, nws_extension_offer *offer) {
  if (!nws_str_sound(*rest)) {
    return 0;
  }
  while (rest->len > 0 && (is_blank(*rest->ptr) || *rest->ptr == ',')) {
    advance(rest, 1);
  }
  if (rest->len == 0) {
    return 0;
  }
  const char *from = rest->ptr;
  offer->param_count = 0;
  offer->overflow = 0;
  if (!take_token(rest, &offer->name)) {
    return NWS_ERROR_EXTENSION_HEADER;
  }
  const char *to = rest->ptr;
  for (skip_blank(rest); take(rest, ';'); skip_blank(rest)) {
    nws_extension_param param;
    if (!take_param(rest, &param)) {
      return NWS_ERROR_EXTENSION_HEADER;
    }
    to = rest->ptr;
    if (offer->param_count < NWS_EXTENSION_PARAMS_MAX) {
      offer->params[offer->param_count++] = param;
    } else {
      offer->overflow = 1;
    }
  }
  if (rest->len > 0 && !take(rest, ',')) {
    return NWS_ERROR_EXTENSION_HEADER;
  }
  while (is_blank(to[-1])) {
    to--;
  }
  offer->text = nws_str_make(from, (size_t)(to - from));
  return 1;
}

/* --- What both sides do --- */

int nws__extension_check(const nws_extension *const *extensions, size_t count,
                         nws_role role) {
  if (count > NWS_EXTENSIONS_MAX || (extensions == NULL && count > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  for (size_t i = 0; i < count; i++) {
    const nws_extension *ext = extensions[i];
    if (ext == NULL || ext->size != sizeof *ext || ext->name == NULL) {
      return NWS_ERROR_ARGUMENT;
    }
    if (role == NWS_ROLE_CLIENT ? ext->offer == NULL || ext->confirm == NULL
                                : ext->accept == NULL) {
      return NWS_ERROR_ARGUMENT;
    }
  }
  return NWS_OK;
}

/* Two extensions that claim the same bit cannot both be used. */
static int is_free(const nws_extension_use *uses, size_t count,
                   const nws_extension *ext) {
  for (size_t i = 0; i < count; i++) {
    if (uses[i].ext == ext || (uses[i].ext->rsv & ext->rsv) ||
        (uses[i].ext->opcodes & ext->opcodes)) {
      return 0;
    }
  }
  return 1;
}

/* Checks what an extension wrote: elements of its own name, as many as are
 * allowed to it. */
static int check_written(const nws_extension *ext, nws_str written, size_t max,
                         size_t *bad_at) {
  nws_extension_offer element;
  nws_str rest = written;
  size_t count = 0;
  for (;;) {
    int rc = nws_extension_offer_next(&rest, &element);
    if (rc == 0 && count > 0) {
      return NWS_OK;
    }
    count++;
    if (rc == 1 && count <= max &&
        nws_str_equal_nocase(element.name, nws_str_of(ext->name))) {
      continue;
    }
    *bad_at = (size_t)((rc == 1 ? element.text.ptr : rest.ptr) - written.ptr);
    return NWS_ERROR_FIELD;
  }
}

/* --- Client --- */

/* Lets one extension append its elements. */
static int offer_one(const nws_extension *ext, nws__text *text, int *asked,
                     size_t *bad_at) {
  size_t len = text->len;
  int rc = len > 0 ? nws__text_add(text, NWS__STR(", ")) : NWS_OK;
  if (rc != NWS_OK) {
    return rc;
  }
  char *out = text->ptr + text->len;
  int written = ext->offer(ext, out, text->cap - text->len);
  *asked = written > 0;
  if (written <= 0) {
    text->len = len;
    return written == NWS_ERROR_BUFFER ? NWS_ERROR_LENGTH : written;
  }
  if ((size_t)written > text->cap - text->len) {
    return NWS_ERROR_LENGTH;
  }
  text->len += (size_t)written;
  return check_written(ext, nws_str_make(out, (size_t)written), SIZE_MAX,
                       bad_at);
}

int nws__extension_offer(const nws_client_offer *offer, nws__text *text,
                         nws_extension_use asked[NWS_EXTENSIONS_MAX],
                         size_t *bad_at) {
  for (size_t i = 0; i < offer->extension_count; i++) {
    int is_asked = 0;
    int rc = offer_one(offer->extensions[i], text, &is_asked, bad_at);
    if (rc != NWS_OK) {
      return rc;
    }
    asked[i].ext = is_asked ? offer->extensions[i] : NULL;
  }
  return NWS_OK;
}

static const nws_extension *find_asked(const nws_client_handshake *hs,
                                       nws_str name) {
  for (size_t i = 0; i < NWS_EXTENSIONS_MAX; i++) {
    if (hs->extensions[i].ext != NULL &&
        nws_str_equal_nocase(nws_str_of(hs->extensions[i].ext->name), name)) {
      return hs->extensions[i].ext;
    }
  }
  return NULL;
}

/* Looks at one element of the answer, the `count`-th. */
static int confirm_one(const nws_client_handshake *hs,
                       const nws_extension_offer *answer,
                       nws_extension_use *uses, size_t count) {
  const nws_extension *ext = find_asked(hs, answer->name);
  /* RFC 6455 4.1: the client MUST fail on what it did not ask for. */
  if (ext == NULL) {
    return NWS_ERROR_EXTENSION_UNASKED;
  }
  if (answer->overflow || !is_free(uses, count, ext)) {
    return NWS_ERROR_EXTENSION_HEADER;
  }
  const int rc = ext->confirm(ext, answer, &uses[count].state);
  return rc <= 0 ? rc : NWS_ERROR_EXTENSION_HEADER;
}

static int confirm_all(const nws_client_handshake *hs,
                       const nws__fields *fields, size_t index,
                       nws_extension_use *uses, size_t *count) {
  nws_extension_offer answer;
  nws_str rest = fields->headers[index].value;
  for (;;) {
    int rc = nws_extension_offer_next(&rest, &answer);
    if (rc == 0 && *count > 0) {
      return NWS_OK;
    }
    if (rc != 1) { /* malformed, or an empty list (RFC 6455 9.1) */
      return nws__fields_fault_at(fields, index, rest.ptr,
                                  NWS_ERROR_EXTENSION_HEADER);
    }
    rc = confirm_one(hs, &answer, uses, *count);
    if (rc != NWS_OK) {
      return nws__fields_fault_at(fields, index, answer.text.ptr, rc);
    }
    uses[*count].ext = find_asked(hs, answer.name);
    (*count)++;
  }
}

int nws__extension_confirm(nws_client_handshake *hs,
                           const nws__fields *fields) {
  /* One place more than can be used: each element is another extension. */
  nws_extension_use uses[NWS_EXTENSIONS_MAX + 1];
  nws_str value;
  size_t count = 0;
  memset(uses, 0, sizeof uses);
  int rc = nws__fields_single(fields, NWS__FIELD_EXTENSIONS,
                              NWS_ERROR_DUPLICATE, &value);
  size_t index = fields->first[NWS__FIELD_EXTENSIONS];
  if (rc == NWS_OK && index < fields->count) {
    rc = confirm_all(hs, fields, index, uses, &count);
  }
  if (rc != NWS_OK) {
    nws_extension_release(uses, count);
    return rc;
  }
  memcpy(hs->extensions, uses, sizeof hs->extensions);
  hs->extension_count = count;
  return NWS_OK;
}

/* --- Server --- */

int nws__extension_check_offers(const nws__fields *fields) {
  size_t first = fields->first[NWS__FIELD_EXTENSIONS];
  size_t count = 0;
  for (size_t i = first; i < fields->count;
       i = nws__fields_next(fields, NWS__FIELD_EXTENSIONS, i)) {
    nws_extension_offer offer;
    nws_str rest = fields->headers[i].value;
    int rc;
    while ((rc = nws_extension_offer_next(&rest, &offer)) == 1) {
      count++;
    }
    if (rc < 0) {
      return nws__fields_fault_at(fields, i, rest.ptr, rc);
    }
  }
  if (first < fields->count && count == 0) {
    return nws__fields_fault(fields, first, NWS_ERROR_EXTENSION_HEADER);
  }
  return NWS_OK;
}

static const nws_extension *find_known(const nws_server_handshake *hs,
                                       nws_str name) {
  const nws_server_policy *policy = hs->policy;
  for (size_t i = 0; i < policy->extension_count; i++) {
    if (nws_str_equal_nocase(nws_str_of(policy->extensions[i]->name), name)) {
      return policy->extensions[i];
    }
  }
  return NULL;
}

/* Lets the extension of an offer's name answer it, if it wants to. */
static int accept_one(nws_server_handshake *hs,
                      const nws_extension_offer *offer, nws__text *text) {
  const nws_extension *ext = find_known(hs, offer->name);
  if (ext == NULL || offer->overflow ||
      !is_free(hs->extensions, hs->extension_count, ext)) {
    return NWS_OK;
  }
  size_t before = text->len, len = 0;
  void *state = NULL;
  int rc = before > 0 ? nws__text_add(text, NWS__STR(", ")) : NWS_OK;
  if (rc != NWS_OK) {
    return rc;
  }
  char *out = text->ptr + text->len;
  rc = ext->accept(ext, offer, out, text->cap - text->len, &len, &state);
  if (rc != NWS_OK) {
    text->len = before;
    if (rc >= NWS_EXTENSION_DECLINED) {
      return NWS_OK;
    }
    return rc == NWS_ERROR_BUFFER ? NWS_ERROR_LENGTH : rc;
  }
  hs->extensions[hs->extension_count].ext = ext;
  hs->extensions[hs->extension_count].state = state;
  hs->extension_count++;
  if (len > text->cap - text->len) {
    return NWS_ERROR_LENGTH;
  }
  text->len += len;
  return check_written(ext, nws_str_make(out, len), 1, &hs->error_at);
}

int nws__extension_accept(nws_server_handshake *hs, nws__text *text) {
  nws_str name = NWS__STR("Sec-WebSocket-Extensions");
  const nws_header *headers = hs->head.headers;
  size_t count = hs->head.count;
  for (size_t i = nws_header_find(headers, count, name, 0); i < count;
       i = nws_header_find(headers, count, name, i + 1)) {
    nws_extension_offer offer;
    nws_str rest = headers[i].value;
    while (nws_extension_offer_next(&rest, &offer) == 1) {
      int rc = accept_one(hs, &offer, text);
      if (rc != NWS_OK) {
        return rc;
      }
    }
  }
  return NWS_OK;
}
