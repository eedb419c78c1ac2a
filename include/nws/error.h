/* error.h - everything that can go wrong, in one enum and one table.
 *
 * Every function of the core reports failure as a negative nws_error in its
 * return value. nws_error_info() gives each one's kind, its name, what it
 * means in a sentence, the rule of the RFC behind it, and what goes on the
 * wire because of it: a close code (RFC 6455 7.4) or an HTTP status.
 */
#ifndef NWS_ERROR_H
#define NWS_ERROR_H

#include <nws/base.h>

NWS_BEGIN_DECLS

/** Every failure. Values are stable once released; new ones are added last
 *  within their range. They lie beyond what errno and libuv use, so that one
 *  int can carry either. */
typedef enum nws_error {
  /* Usage: the caller's mistake. Nothing has changed. */
  NWS_ERROR_ARGUMENT = -10001,   /**< a NULL, a bad enum, a bad combination */
  NWS_ERROR_CONFIG = -10002,     /**< a configuration that contradicts itself */
  NWS_ERROR_STATE = -10003,      /**< not possible in this state */
  NWS_ERROR_FRAME_OPEN = -10004, /**< the payload of a begun frame is missing */
  NWS_ERROR_MESSAGE_OPEN = -10005, /**< a fragmented message is not finished */
  NWS_ERROR_NO_MESSAGE = -10006, /**< a continuation with nothing to continue */
  NWS_ERROR_NO_FRAME = -10007,   /**< payload beyond what was announced */
  NWS_ERROR_OPCODE_DISABLED = -10008, /**< sending an opcode not enabled here */
  NWS_ERROR_RSV_DISABLED = -10009,    /**< sending a reserved bit not enabled */
  NWS_ERROR_CONTROL_LONG = -10010,    /**< sending a control payload over 125 */
  NWS_ERROR_CONTROL_FRAGMENT = -10011, /**< sending a control frame in pieces */
  NWS_ERROR_CLOSE_CODE_SEND = -10012, /**< a close code that must not be sent */
  NWS_ERROR_TEXT_SEND = -10013,       /**< sending text that is not UTF-8 */
  NWS_ERROR_LENGTH = -10014,          /**< a length over 2^63-1, or too long */
  NWS_ERROR_FIELD = -10015, /**< a byte that may not stand in this field */
  NWS_ERROR_HEADER_RESERVED = -10016, /**< a header that the handshake owns */
  NWS_ERROR_NOT_OFFERED =
      -10017, /**< accepting what the client did not offer */
  NWS_ERROR_NO_ENCODING =
      -10018, /**< an extension cannot pass this frame plain */
  NWS_ERROR_TLS_CONFIG =
      -10019, /**< certificates, keys or trust that cannot be used */
  NWS_ERROR_TLS_MISSING = -10020, /**< this build of the library has no TLS */

  /* Resource: something the caller lends is missing or used up. Nothing has
   * changed; mend it and call again. */
  NWS_ERROR_BUFFER = -10040, /**< the output does not fit; the need is told */
  NWS_ERROR_SPILL = -10041,  /**< lend a spill area, then call again */
  NWS_ERROR_SCRATCH =
      -10042, /**< the extensions need a (larger) scratch buffer */
  NWS_ERROR_RANDOM = -10043, /**< the random source failed; nothing was sent */
  NWS_ERROR_MEMORY = -10044, /**< the allocator failed */
  NWS_ERROR_QUEUE = -10045,  /**< the peer reads too slowly: max_queue */
  NWS_ERROR_TOPICS = -10046, /**< the peer has joined max_topics topics */

  /* Peer, on the connection: sticky; the close frame that fits is owed. */
  NWS_ERROR_OPCODE = -10100,             /**< reserved opcode, not enabled */
  NWS_ERROR_RSV = -10101,                /**< reserved bit, not enabled */
  NWS_ERROR_MASK_MISSING = -10102,       /**< a client's frame without mask */
  NWS_ERROR_MASK_PRESENT = -10103,       /**< a server's frame with mask */
  NWS_ERROR_LENGTH_MINIMAL = -10104,     /**< length not in its shortest form */
  NWS_ERROR_LENGTH_63 = -10105,          /**< length with its top bit set */
  NWS_ERROR_CONTROL_FRAGMENTED = -10106, /**< control frame without FIN */
  NWS_ERROR_CONTROL_LENGTH = -10107,     /**< control payload over 125 bytes */
  NWS_ERROR_CONTINUATION = -10108,       /**< continuation without a message */
  NWS_ERROR_INTERLEAVED = -10109,    /**< new message inside a fragmented one */
  NWS_ERROR_CLOSE_LENGTH = -10110,   /**< close payload of one byte */
  NWS_ERROR_CLOSE_CODE = -10111,     /**< close code that must not travel */
  NWS_ERROR_CLOSE_TEXT = -10112,     /**< close reason is not UTF-8 */
  NWS_ERROR_TEXT = -10113,           /**< text message is not UTF-8 */
  NWS_ERROR_FRAME_LIMIT = -10114,    /**< frame longer than max_frame */
  NWS_ERROR_MESSAGE_LIMIT = -10115,  /**< message longer than max_message */
  NWS_ERROR_FRAGMENT_LIMIT = -10116, /**< more fragments than max_fragments */
  NWS_ERROR_CONTROL_LIMIT = -10117,  /**< too many control frames a second */
  NWS_ERROR_EXTENSION = -10118,      /**< an extension refused the data */
  NWS_ERROR_EOF = -10119,            /**< the transport ended without a close */
  NWS_ERROR_PONG_TIMEOUT = -10120,   /**< no answer to a keep-alive ping */
  NWS_ERROR_CLOSE_TIMEOUT = -10121,  /**< the closing handshake took too long */
  NWS_ERROR_HANDSHAKE_TIMEOUT =
      -10122, /**< the opening handshake took too long */

  /* Peer, in the opening handshake: a server answers with the HTTP status. */
  NWS_ERROR_HTTP_START_LINE = -10200,   /**< not an HTTP/1.1 start line */
  NWS_ERROR_HTTP_VERSION = -10201,      /**< an HTTP version below 1.1 */
  NWS_ERROR_HTTP_HEADER_NAME = -10202,  /**< header name is not a token */
  NWS_ERROR_HTTP_HEADER_VALUE = -10203, /**< a control byte in a value */
  NWS_ERROR_HTTP_LINE_END = -10204,     /**< CR without LF, or LF without CR */
  NWS_ERROR_HTTP_FOLD = -10205,         /**< a folded header line */
  NWS_ERROR_HTTP_HEAD_LIMIT = -10206,   /**< head longer than max_head */
  NWS_ERROR_HTTP_COUNT_LIMIT =
      -10207,                     /**< more headers than there is room for */
  NWS_ERROR_HTTP_EOF = -10208,    /**< the transport ended inside the head */
  NWS_ERROR_METHOD = -10210,      /**< not GET */
  NWS_ERROR_TARGET = -10211,      /**< target not in origin-form */
  NWS_ERROR_HOST = -10212,        /**< Host missing, twice or malformed */
  NWS_ERROR_UPGRADE = -10213,     /**< Upgrade does not name websocket */
  NWS_ERROR_CONNECTION = -10214,  /**< Connection does not name upgrade */
  NWS_ERROR_KEY = -10215,         /**< Sec-WebSocket-Key is not 16 bytes */
  NWS_ERROR_VERSION = -10216,     /**< Sec-WebSocket-Version is not 13 */
  NWS_ERROR_ORIGIN = -10217,      /**< the origin policy refuses it */
  NWS_ERROR_SUBPROTOCOL = -10218, /**< malformed, or not one of the offers */
  NWS_ERROR_EXTENSION_HEADER =
      -10219,                   /**< malformed Sec-WebSocket-Extensions */
  NWS_ERROR_BODY = -10220,      /**< a body announced with the upgrade */
  NWS_ERROR_DUPLICATE = -10221, /**< a header that may appear only once */
  NWS_ERROR_STATUS = -10222,    /**< the server did not answer 101 */
  NWS_ERROR_ACCEPT = -10223,    /**< Sec-WebSocket-Accept does not match */
  NWS_ERROR_EXTENSION_UNASKED = -10224,   /**< answer to an offer never made */
  NWS_ERROR_SUBPROTOCOL_MISSING = -10225, /**< a required one was not agreed */
  NWS_ERROR_PSEUDO_HEADER = -10226, /**< extended CONNECT lacks what it needs */
  NWS_ERROR_PATH = -10227, /**< the server has no route for this path */

  /* Limits of a server: it takes no more connections. */
  NWS_ERROR_PEER_LIMIT = -10240,      /**< max_peers */
  NWS_ERROR_HANDSHAKE_LIMIT = -10241, /**< max_handshakes */
  NWS_ERROR_ADDRESS_LIMIT = -10242,   /**< max_per_address */
  NWS_ERROR_RATE_LIMIT = -10243,      /**< handshake_rate */

  /* TLS, in libnws_net; nws_closed.detail and nws_trouble.detail say more. */
  NWS_ERROR_TLS = -10250,             /**< the TLS handshake or stream failed */
  NWS_ERROR_TLS_CERTIFICATE = -10251, /**< a certificate that is not trusted */
  NWS_ERROR_TLS_HOST = -10252,        /**< a certificate for some other host */
  NWS_ERROR_TLS_PIN = -10253,   /**< a key that is none of the pinned ones */
  NWS_ERROR_TLS_PLAIN = -10254, /**< plain HTTP on a port for TLS */
  NWS_ERROR_TLS_CUT = -10255,   /**< the stream was cut: no close_notify */

  /* Proxies in front of a server. */
  NWS_ERROR_PROXY_HEADER = -10257, /**< no valid header of the PROXY protocol */

  /* What a client meets on its way. */
  NWS_ERROR_REDIRECT = -10260,       /**< a redirect that leads nowhere */
  NWS_ERROR_REDIRECT_LIMIT = -10261, /**< more redirects than max_redirects */
  NWS_ERROR_REDIRECT_INSECURE = -10262, /**< a redirect from wss to ws */
  NWS_ERROR_PROXY = -10263,        /**< the proxy does not speak as it should */
  NWS_ERROR_PROXY_STATUS = -10264, /**< the proxy does not lead there */
  NWS_ERROR_PROXY_AUTH = -10265,   /**< the proxy wants (another) password */

  /* URI */
  NWS_ERROR_URI_SCHEME = -10300,    /**< neither ws nor wss */
  NWS_ERROR_URI_AUTHORITY = -10301, /**< malformed host */
  NWS_ERROR_URI_PORT = -10302,      /**< port not in 1 to 65535 */
  NWS_ERROR_URI_PATH = -10303,      /**< a byte that must be percent-encoded */
  NWS_ERROR_URI_FRAGMENT =
      -10304,                  /**< a fragment, which ws URIs must not have */
  NWS_ERROR_PROXY_URI = -10305 /**< an address of a proxy that is none */
} nws_error;

/** Whose fault an error is, and so what to do about it. */
typedef enum nws_error_kind {
  NWS_ERROR_KIND_NONE = 0,     /**< not an error */
  NWS_ERROR_KIND_USAGE = 1,    /**< mend the calling code */
  NWS_ERROR_KIND_RESOURCE = 2, /**< lend what is missing and call again */
  NWS_ERROR_KIND_PEER = 3      /**< the connection or handshake is over */
} nws_error_kind;

/** One row of the table of errors; static, never freed. */
typedef struct nws_error_info {
  int error;            /**< the nws_error, or 0 in the row for "no error" */
  nws_error_kind kind;  /**< whose fault */
  const char *name;     /**< the enumerator's name without NWS_ERROR_, in lower
                             case: "mask_missing" */
  const char *text;     /**< what is wrong, one sentence without a full stop */
  const char *rule;     /**< where it is written: "RFC 6455 5.1", or "" */
  uint16_t close_code;  /**< what a connection sends because of it, or 0 */
  uint16_t http_status; /**< what a server answers in the handshake, or 0 */
} nws_error_info;

/** Gives the row of an error.
 *  @param error  what a function returned; NWS_OK and positive values give the
 *                row of "no error", unknown negative ones (such as those of
 *                errno) a row named "unknown", of no kind.
 *  @return a static row, never NULL. */
NWS_API const nws_error_info *nws_error_get(int error);

/** The text of an error, the same as nws_error_get(error)->text. */
NWS_API const char *nws_error_text(int error);

/** Walks the table, so that tools and tests can list every error.
 *  @param index  0 and up
 *  @return a static row, or NULL past the last. */
NWS_API const nws_error_info *nws_error_at(size_t index);

NWS_END_DECLS

#endif
