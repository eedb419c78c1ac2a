/* assert_str.h - cmocka's assertions for slices of text.
 */
#ifndef NWS_TESTS_ASSERT_STR_H
#define NWS_TESTS_ASSERT_STR_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <nws/base.h>

/* Wants this text; NULL stands for the absent slice. */
static inline void assert_str(nws_str got, const char *want) {
  if (want == NULL) {
    assert_null(got.ptr);
    return;
  }
  assert_non_null(got.ptr);
  assert_int_equal(got.len, strlen(want));
  assert_memory_equal(got.ptr, want, got.len);
}

#endif
