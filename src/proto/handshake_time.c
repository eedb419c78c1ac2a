/* handshake_time.c - the one deadline of an opening handshake.
 */
#include <nws/handshake.h>

enum { TIMEOUT_MS_DEFAULT = 10000 };

int nws_handshake_tick(uint64_t started, uint64_t now, uint32_t timeout_ms,
                       uint64_t *next) {
  uint64_t ns;
  if (next == NULL) {
    return NWS_ERROR_ARGUMENT;
  }
  *next = NWS_NEVER;
  if (timeout_ms == UINT32_MAX) {
    return NWS_OK;
  }
  ns = (uint64_t)(timeout_ms != 0 ? timeout_ms : TIMEOUT_MS_DEFAULT) * 1000000u;
  if (started >= NWS_NEVER - ns) {
    return NWS_OK;
  }
  *next = started + ns;
  return now < *next ? NWS_OK : NWS_ERROR_HANDSHAKE_TIMEOUT;
}
