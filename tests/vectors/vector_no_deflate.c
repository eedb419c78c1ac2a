/* vector_no_deflate.c - for builds without libnws_deflate: its vectors cannot
 * be played.
 */
#include "vectors.h"

int vector_deflate(const char *words, nws_extension_use *use) {
  (void)words;
  (void)use;
  return -1;
}

const nws_extension *vector_deflate_make(const char *words) {
  (void)words;
  return NULL;
}

void vector_deflate_drop(const nws_extension *ext) {
  (void)ext;
}

void vector_deflate_log(const nws_extension_use *uses, size_t count,
                        bytes *log) {
  (void)uses;
  (void)count;
  (void)log;
}
