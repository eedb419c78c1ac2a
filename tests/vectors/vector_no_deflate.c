/* vector_no_deflate.c - for builds without libnws_deflate: its vectors cannot
 * be played.
 */
#include "vectors.h"

int vector_deflate(const char *words, nws_extension_use *use) {
  (void)words;
  (void)use;
  return -1;
}
