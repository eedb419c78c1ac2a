/* reconnect_internal.h - what tests see of reconnect.c: when, and whether, to
 * try again.
 */
#ifndef NWS_RECONNECT_INTERNAL_H
#define NWS_RECONNECT_INTERNAL_H

#include "net_internal.h"
#include <nws/reconnect.h>

uint32_t nws__reconnect_delay(uint32_t min, uint32_t max, unsigned failures,
                              uint64_t random);
int nws__reconnect_mends(const nws_closed *how);

#endif
