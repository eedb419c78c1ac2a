/* base.c - comparing and making text slices, and the version.
 *
 * Only A to Z are folded when case is ignored: header names and tokens are
 * ASCII (RFC 9110 5.6.2), and a locale must not change what a peer said.
 */
#include <nws/base.h>

#define QUOTE(text) #text
#define DOTTED(major, minor, patch)                                            \
  QUOTE(major) "." QUOTE(minor) "." QUOTE(patch)

/* The read is volatile because compilers turn a plain loop into a call of
 * strlen, which a freestanding program may not have. */
nws_str nws_str_of(const char *text) {
  const volatile char *end = text;
  size_t len = 0;
  if (text == NULL) {
    return nws_str_make(NULL, 0);
  }
  while (end[len] != '\0') {
    len++;
  }
  return nws_str_make(text, len);
}

/* Not memcmp: where only equality is asked for, clang calls bcmp instead, which
 * a freestanding program may not have. */
int nws_str_equal(nws_str a, nws_str b) {
  if (a.len != b.len || !nws_str_sound(a) || !nws_str_sound(b)) {
    return 0;
  }
  for (size_t i = 0; i < a.len; i++) {
    if (a.ptr[i] != b.ptr[i]) {
      return 0;
    }
  }
  return 1;
}

static unsigned fold(char c) {
  unsigned byte = (unsigned char)c;
  return byte - 'A' < 26u ? byte | 0x20u : byte;
}

int nws_str_equal_nocase(nws_str a, nws_str b) {
  if (a.len != b.len || !nws_str_sound(a) || !nws_str_sound(b)) {
    return 0;
  }
  for (size_t i = 0; i < a.len; i++) {
    if (fold(a.ptr[i]) != fold(b.ptr[i])) {
      return 0;
    }
  }
  return 1;
}

const char *nws_version(void) {
  return DOTTED(NWS_VERSION_MAJOR, NWS_VERSION_MINOR, NWS_VERSION_PATCH);
}
