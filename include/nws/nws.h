/* nws.h - everything of the core (libnws) in one include. The net layer has
 * its own: <nws/net.h>.
 */
#ifndef NWS_NWS_H
#define NWS_NWS_H

#include <nws/base.h>
#include <nws/error.h>
#include <nws/mask.h>
#include <nws/utf8.h>
#include <nws/frame.h>
#include <nws/digest.h>
#include <nws/http.h>
#include <nws/uri.h>
#include <nws/extension.h>
#include <nws/handshake.h>
#include <nws/conn.h>
#include <nws/message.h>
#include <nws/prepared.h>

#endif
