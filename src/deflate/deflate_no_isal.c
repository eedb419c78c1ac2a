/* deflate_no_isal.c - stands in for ISA-L where it is not at hand. */
#include <nws/deflate.h>

const nws_deflate_backend *nws_deflate_isal(void) {
  return NULL;
}
