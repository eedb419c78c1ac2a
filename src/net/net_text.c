/* net_text.c - texts for errors of both origins, ours and libuv's.
 */
#include "net_internal.h"

/* Ours lie below this, libuv's above. */
#define OURS (-10000)

const char *nws_net_text(int error) {
  static _Thread_local char text[128];
  if (error >= 0 || error < OURS) {
    return nws_error_text(error);
  }
  return uv_strerror_r(error, text, sizeof(text));
}
