/* uri_internal.h - host and port by themselves, as they stand in a Host header
 * or behind the scheme of an Origin.
 */
#ifndef NWS_CODEC_URI_INTERNAL_H
#define NWS_CODEC_URI_INTERNAL_H

#include <nws/uri.h>

/* Takes uri-host [ ":" port ] apart (RFC 9110 4.2.1), which must be all of the
 * text. Sets host, ipv6, port and default_port of `uri`; its field `secure`
 * must be set already and decides on the default port. Returns what
 * nws_uri_parse() returns, with the offset of the byte at fault. */
int nws__uri_parse_authority(nws_uri *uri, nws_str text, size_t *bad_at);

#endif
