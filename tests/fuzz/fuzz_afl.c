/* fuzz_afl.c - runs a harness under AFL++, many inputs in one process.
 *
 * The macros are those of afl-clang-fast: the input lies in memory that is
 * shared with afl-fuzz.
 */
#include "fuzz.h"

#include <unistd.h>

__AFL_FUZZ_INIT()

enum { RUNS = 100000 }; /* inputs before a fresh process */

int main(void) {
  __AFL_INIT();
  const uint8_t *data = __AFL_FUZZ_TESTCASE_BUF;
  while (__AFL_LOOP(RUNS)) {
    const size_t len = (size_t)__AFL_FUZZ_TESTCASE_LEN;
    LLVMFuzzerTestOneInput(data, len);
  }
  return 0;
}
