/* uri.h - ws:// and wss:// addresses (RFC 6455 3, RFC 3986).
 */
#ifndef NWS_URI_H
#define NWS_URI_H

#include <nws/base.h>

NWS_BEGIN_DECLS

/** An address, taken apart; slices point into the text that was parsed. */
typedef struct nws_uri {
  int secure;       /**< 1 for wss, 0 for ws */
  nws_str userinfo; /**< what stands before @, undecoded; absent as a rule */
  nws_str host;     /**< name, IPv4 address, or IPv6 address without brackets */
  int ipv6;         /**< 1 when the host stood in brackets */
  uint16_t port;    /**< as given, else 80 for ws and 443 for wss */
  int default_port; /**< 1 when `port` is the scheme's default */
  nws_str path;     /**< static "/" when it was empty; percent-encoding kept */
  nws_str query;    /**< without the question mark; `ptr` NULL when absent */
} nws_uri;

/** Takes a ws or wss address apart (RFC 6455 3; RFC 3986 3).
 *
 *  @param uri     the result
 *  @param text    `len` bytes, which must outlive the result
 *  @param bad_at  on failure the offset of the byte at fault; may be NULL
 *  @return NWS_OK or NWS_ERROR_URI_…; http and https are taken for ws and wss
 *          by browsers but not here: NWS_ERROR_URI_SCHEME. */
NWS_API int nws_uri_parse(nws_uri *uri, const char *text, size_t len,
                          size_t *bad_at);

NWS_END_DECLS

#endif
