/* error.c - the one table of errors: whose fault, in which words, by which
 * rule, and what goes on the wire because of it.
 *
 * How the close codes were chosen (RFC 6455 7.4.1):
 *   1002  what breaks the framing or the order of frames; also an end of the
 *         transport without a close, for peers that only closed their side
 *   1007  payload that is not what its opcode or extension says it is: text
 *         that is not UTF-8, compressed data that does not inflate
 *   1008  a flood of control frames: none is wrong or too big by itself
 *   1009  what is over a limit of size; the number of fragments counts as one
 *   1011  a peer that stopped answering pings: the connection fails for a
 *         reason that no frame of the peer's can be blamed for
 *   0     nothing can or need be sent: the close frame has already been sent,
 *         or there is no WebSocket connection yet
 *
 * How the HTTP statuses were chosen (RFC 6455 4.2.2, 4.4; RFC 9110 15;
 * RFC 6585 5): 426 for a request that is no upgrade to WebSocket or to another
 * version of it, 431 for heads over a limit, 403 for an origin (RFC 6455
 * 4.2.2), 405, 408 and 505 by their names, 429 for whoever has too much, 503
 * for what others have too much of, 400 for the rest. What only a client can
 * find has none.
 *
 * Errors are rare, so the table is searched from the front.
 */
#include <nws/error.h>
#include <nws/frame.h>

#include <limits.h>

#define USAGE(error, name, text, rule)                                         \
  { error, NWS_ERROR_KIND_USAGE, name, text, rule, 0, 0 }
#define RESOURCE(error, name, text)                                            \
  { error, NWS_ERROR_KIND_RESOURCE, name, text, "", 0, 0 }
#define PEER(error, name, text, rule, close_code, http_status)                 \
  { error, NWS_ERROR_KIND_PEER, name, text, rule, close_code, http_status }

static const nws_error_info table[] = {
    {NWS_OK, NWS_ERROR_KIND_NONE, "ok", "no error", "", 0, 0},

    USAGE(NWS_ERROR_ARGUMENT, "argument",
          "an argument is NULL, out of its range or does not fit the others",
          ""),
    USAGE(NWS_ERROR_CONFIG, "config", "the configuration contradicts itself",
          ""),
    USAGE(NWS_ERROR_STATE, "state",
          "the call is not possible in the present state", ""),
    USAGE(NWS_ERROR_FRAME_OPEN, "frame_open",
          "the frame that was begun still lacks payload", "RFC 6455 5.2"),
    USAGE(NWS_ERROR_MESSAGE_OPEN, "message_open",
          "the fragmented message that was begun is not finished",
          "RFC 6455 5.4"),
    USAGE(NWS_ERROR_NO_MESSAGE, "no_message",
          "there is no message that a continuation could continue",
          "RFC 6455 5.4"),
    USAGE(NWS_ERROR_NO_FRAME, "no_frame",
          "there is more payload than the frame's header announced",
          "RFC 6455 5.2"),
    USAGE(NWS_ERROR_OPCODE_DISABLED, "opcode_disabled",
          "this opcode is not enabled for sending", "RFC 6455 5.2"),
    USAGE(NWS_ERROR_RSV_DISABLED, "rsv_disabled",
          "this reserved bit is not enabled for sending", "RFC 6455 5.2"),
    USAGE(NWS_ERROR_CONTROL_LONG, "control_long",
          "the payload of a control frame has at most 125 bytes",
          "RFC 6455 5.5"),
    USAGE(NWS_ERROR_CONTROL_FRAGMENT, "control_fragment",
          "a control frame cannot be sent in fragments", "RFC 6455 5.5"),
    USAGE(NWS_ERROR_CLOSE_CODE_SEND, "close_code_send",
          "this close code must not be sent", "RFC 6455 7.4"),
    USAGE(NWS_ERROR_TEXT_SEND, "text_send", "the text to send is not UTF-8",
          "RFC 6455 5.6"),
    USAGE(NWS_ERROR_LENGTH, "length",
          "the length is over 2^63-1 or longer than can be", "RFC 6455 5.2"),
    USAGE(NWS_ERROR_FIELD, "field",
          "the value holds a byte that may not stand in this field",
          "RFC 9110 5.5"),
    USAGE(NWS_ERROR_HEADER_RESERVED, "header_reserved",
          "this header belongs to the handshake and cannot be set",
          "RFC 6455 4"),
    USAGE(NWS_ERROR_NOT_OFFERED, "not_offered",
          "the client did not offer what is to be accepted", "RFC 6455 4.2.2"),
    USAGE(NWS_ERROR_NO_ENCODING, "no_encoding",
          "an extension in use cannot send this frame as it is", "RFC 6455 9"),
    USAGE(NWS_ERROR_TLS_CONFIG, "tls_config",
          "the certificates, keys or trust given cannot be used", ""),
    USAGE(NWS_ERROR_TLS_MISSING, "tls_missing",
          "this build of the library has no TLS", ""),

    RESOURCE(NWS_ERROR_BUFFER, "buffer", "the output buffer is too small"),
    RESOURCE(NWS_ERROR_SPILL, "spill", "a spill area is needed"),
    RESOURCE(NWS_ERROR_SCRATCH, "scratch",
             "the extensions need a larger scratch buffer"),
    RESOURCE(NWS_ERROR_RANDOM, "random", "the random source failed"),
    RESOURCE(NWS_ERROR_MEMORY, "memory", "the allocator failed"),
    RESOURCE(NWS_ERROR_QUEUE, "queue",
             "more is queued for the peer than the limit allows"),
    RESOURCE(NWS_ERROR_TOPICS, "topics",
             "the peer has joined as many topics as the limit allows"),

    PEER(NWS_ERROR_OPCODE, "opcode", "the peer used a reserved opcode",
         "RFC 6455 5.2", NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_RSV, "rsv", "the peer set a reserved bit", "RFC 6455 5.2",
         NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_MASK_MISSING, "mask_missing",
         "the client sent a frame without mask", "RFC 6455 5.1",
         NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_MASK_PRESENT, "mask_present",
         "the server sent a frame with a mask", "RFC 6455 5.1",
         NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_LENGTH_MINIMAL, "length_minimal",
         "the peer did not encode a length in its shortest form",
         "RFC 6455 5.2", NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_LENGTH_63, "length_63",
         "the peer set the top bit of a length", "RFC 6455 5.2",
         NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_CONTROL_FRAGMENTED, "control_fragmented",
         "the peer sent a control frame in fragments", "RFC 6455 5.5",
         NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_CONTROL_LENGTH, "control_length",
         "the peer announced a control payload of more than 125 bytes",
         "RFC 6455 5.5", NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_CONTINUATION, "continuation",
         "the peer continued a message that it had not begun", "RFC 6455 5.4",
         NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_INTERLEAVED, "interleaved",
         "the peer began a message before it had finished the last",
         "RFC 6455 5.4", NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_CLOSE_LENGTH, "close_length",
         "the peer sent a close payload of one byte", "RFC 6455 5.5.1",
         NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_CLOSE_CODE, "close_code",
         "the peer sent a close code that must not be sent", "RFC 6455 7.4",
         NWS_CLOSE_PROTOCOL_ERROR, 0),
    PEER(NWS_ERROR_CLOSE_TEXT, "close_text",
         "the peer sent a close reason that is not UTF-8", "RFC 6455 5.5.1",
         NWS_CLOSE_INVALID_PAYLOAD, 0),
    PEER(NWS_ERROR_TEXT, "text", "the peer sent text that is not UTF-8",
         "RFC 6455 8.1", NWS_CLOSE_INVALID_PAYLOAD, 0),
    PEER(NWS_ERROR_FRAME_LIMIT, "frame_limit",
         "the peer sent a frame longer than the limit", "RFC 6455 10.4",
         NWS_CLOSE_MESSAGE_TOO_BIG, 0),
    PEER(NWS_ERROR_MESSAGE_LIMIT, "message_limit",
         "the peer sent a message longer than the limit", "RFC 6455 10.4",
         NWS_CLOSE_MESSAGE_TOO_BIG, 0),
    PEER(NWS_ERROR_FRAGMENT_LIMIT, "fragment_limit",
         "the peer sent a message of more fragments than the limit",
         "RFC 6455 10.4", NWS_CLOSE_MESSAGE_TOO_BIG, 0),
    PEER(NWS_ERROR_CONTROL_LIMIT, "control_limit",
         "the peer sent control frames faster than the limit", "RFC 6455 10.4",
         NWS_CLOSE_POLICY_VIOLATION, 0),
    PEER(NWS_ERROR_EXTENSION, "extension",
         "the peer sent data that an extension cannot decode", "RFC 6455 9",
         NWS_CLOSE_INVALID_PAYLOAD, 0),
    PEER(NWS_ERROR_EOF, "eof", "the transport ended without a close frame",
         "RFC 6455 7.1.5", 1002, 0),
    PEER(NWS_ERROR_PONG_TIMEOUT, "pong_timeout",
         "the peer did not answer a ping in time", "RFC 6455 5.5.2",
         NWS_CLOSE_INTERNAL_ERROR, 0),
    PEER(NWS_ERROR_CLOSE_TIMEOUT, "close_timeout",
         "the peer did not finish the closing handshake in time",
         "RFC 6455 7.1.1", 0, 0),
    PEER(NWS_ERROR_HANDSHAKE_TIMEOUT, "handshake_timeout",
         "the peer did not finish the opening handshake in time",
         "RFC 9110 15.5.9", 0, 408),

    PEER(NWS_ERROR_HTTP_START_LINE, "http_start_line",
         "the first line is not one of HTTP/1.1", "RFC 9112 2.1", 0, 400),
    PEER(NWS_ERROR_HTTP_VERSION, "http_version",
         "the HTTP version is below 1.1", "RFC 6455 4.2.1", 0, 505),
    PEER(NWS_ERROR_HTTP_HEADER_NAME, "http_header_name",
         "a header's name is not a token", "RFC 9110 5.1", 0, 400),
    PEER(NWS_ERROR_HTTP_HEADER_VALUE, "http_header_value",
         "a header's value holds a control byte", "RFC 9110 5.5", 0, 400),
    PEER(NWS_ERROR_HTTP_LINE_END, "http_line_end",
         "a line of the head does not end in CR LF", "RFC 9112 2.2", 0, 400),
    PEER(NWS_ERROR_HTTP_FOLD, "http_fold",
         "a header is folded over several lines", "RFC 9112 5.2", 0, 400),
    PEER(NWS_ERROR_HTTP_HEAD_LIMIT, "http_head_limit",
         "the head is longer than the limit", "RFC 6585 5", 0, 431),
    PEER(NWS_ERROR_HTTP_COUNT_LIMIT, "http_count_limit",
         "the head has more headers than the limit", "RFC 6585 5", 0, 431),
    PEER(NWS_ERROR_HTTP_EOF, "http_eof", "the transport ended inside the head",
         "RFC 9112 8", 0, 400),
    PEER(NWS_ERROR_METHOD, "method", "the request's method is not GET",
         "RFC 6455 4.2.1", 0, 405),
    PEER(NWS_ERROR_TARGET, "target",
         "the request's target is not in origin-form", "RFC 9112 3.2.1", 0,
         400),
    PEER(NWS_ERROR_HOST, "host", "Host is missing, repeated or malformed",
         "RFC 9112 3.2", 0, 400),
    PEER(NWS_ERROR_UPGRADE, "upgrade",
         "the Upgrade header does not name websocket", "RFC 6455 4.2.1", 0,
         426),
    PEER(NWS_ERROR_CONNECTION, "connection",
         "the Connection header does not name upgrade", "RFC 6455 4.2.1", 0,
         426),
    PEER(NWS_ERROR_KEY, "key",
         "Sec-WebSocket-Key is not the base64 of 16 bytes", "RFC 6455 4.2.1", 0,
         400),
    PEER(NWS_ERROR_VERSION, "version", "Sec-WebSocket-Version is not 13",
         "RFC 6455 4.4", 0, 426),
    PEER(NWS_ERROR_ORIGIN, "origin", "the origin is not allowed",
         "RFC 6455 10.2", 0, 403),
    PEER(NWS_ERROR_SUBPROTOCOL, "subprotocol",
         "Sec-WebSocket-Protocol is malformed or names what was not offered",
         "RFC 6455 4.1", 0, 400),
    PEER(NWS_ERROR_EXTENSION_HEADER, "extension_header",
         "Sec-WebSocket-Extensions is malformed", "RFC 6455 9.1", 0, 400),
    PEER(NWS_ERROR_BODY, "body", "a body is announced with the upgrade",
         "RFC 9112 6", 0, 400),
    PEER(NWS_ERROR_DUPLICATE, "duplicate",
         "a header that may appear only once is repeated", "RFC 9110 5.3", 0,
         400),
    PEER(NWS_ERROR_STATUS, "status", "the server did not answer with 101",
         "RFC 6455 4.1", 0, 0),
    PEER(NWS_ERROR_ACCEPT, "accept",
         "Sec-WebSocket-Accept does not match the key", "RFC 6455 4.1", 0, 0),
    PEER(NWS_ERROR_EXTENSION_UNASKED, "extension_unasked",
         "the server answered with an extension that was not offered",
         "RFC 6455 4.1", 0, 0),
    PEER(NWS_ERROR_SUBPROTOCOL_MISSING, "subprotocol_missing",
         "no subprotocol was agreed though one is required", "RFC 6455 1.9", 0,
         400),
    PEER(NWS_ERROR_PSEUDO_HEADER, "pseudo_header",
         "the extended CONNECT lacks a pseudo-header or has a wrong one",
         "RFC 8441 5", 0, 400),

    PEER(NWS_ERROR_PATH, "path", "nothing is served at this path",
         "RFC 9110 15.5.5", 0, 404),

    PEER(NWS_ERROR_PEER_LIMIT, "peer_limit",
         "the server has as many connections as it takes", "RFC 9110 15.6.4", 0,
         503),
    PEER(NWS_ERROR_HANDSHAKE_LIMIT, "handshake_limit",
         "as many opening handshakes are under way as the server takes",
         "RFC 9110 15.6.4", 0, 503),
    PEER(NWS_ERROR_ADDRESS_LIMIT, "address_limit",
         "this address has as many connections as one may have", "RFC 6585 4",
         0, 429),
    PEER(NWS_ERROR_RATE_LIMIT, "rate_limit",
         "connections come faster than the server takes them",
         "RFC 9110 15.6.4", 0, 503),

    PEER(NWS_ERROR_TLS, "tls", "TLS failed", "RFC 8446 6.2", 0, 0),
    PEER(NWS_ERROR_TLS_CERTIFICATE, "tls_certificate",
         "the other end's certificate is not trusted", "RFC 5280 6", 0, 0),
    PEER(NWS_ERROR_TLS_HOST, "tls_host",
         "the certificate is for some other host", "RFC 9525 6", 0, 0),
    PEER(NWS_ERROR_TLS_PIN, "tls_pin",
         "the other end's key is none of the pinned ones", "RFC 7469 2.6", 0,
         0),
    PEER(NWS_ERROR_TLS_PLAIN, "tls_plain",
         "plain HTTP was sent to a port that speaks TLS", "RFC 9110 4.2.2", 0,
         400),
    PEER(NWS_ERROR_TLS_CUT, "tls_cut",
         "TLS ended without close_notify: the end may be missing",
         "RFC 8446 6.1", 0, 0),

    PEER(NWS_ERROR_PROXY_HEADER, "proxy_header",
         "the connection does not begin with a header of the PROXY protocol",
         "PROXY protocol 2", 0, 0),

    PEER(NWS_ERROR_REDIRECT, "redirect",
         "the server redirects to no ws, wss, http or https address",
         "RFC 9110 10.2.2", 0, 0),
    PEER(NWS_ERROR_REDIRECT_LIMIT, "redirect_limit",
         "the server redirects more often than the limit", "RFC 9110 15.4", 0,
         0),
    PEER(NWS_ERROR_REDIRECT_INSECURE, "redirect_insecure",
         "the server redirects from wss to ws, out of TLS", "RFC 6455 10.6", 0,
         0),
    PEER(NWS_ERROR_PROXY, "proxy",
         "the proxy does not answer as one of its kind does",
         "RFC 9110 9.3.6, RFC 1928", 0, 0),
    PEER(NWS_ERROR_PROXY_STATUS, "proxy_status",
         "the proxy refuses to connect there, or cannot",
         "RFC 9110 9.3.6, RFC 1928 6", 0, 0),
    PEER(NWS_ERROR_PROXY_AUTH, "proxy_auth",
         "the proxy wants a name and a password, or others",
         "RFC 9110 15.5.8, RFC 1929", 0, 0),

    USAGE(NWS_ERROR_URI_SCHEME, "uri_scheme",
          "the URI's scheme is neither ws nor wss", "RFC 6455 3"),
    USAGE(NWS_ERROR_URI_AUTHORITY, "uri_authority",
          "the URI's host is malformed", "RFC 3986 3.2"),
    USAGE(NWS_ERROR_URI_PORT, "uri_port",
          "the URI's port is not within 1 to 65535", "RFC 3986 3.2.3"),
    USAGE(NWS_ERROR_URI_PATH, "uri_path",
          "the URI holds a byte that must be percent-encoded", "RFC 3986 3.3"),
    USAGE(NWS_ERROR_URI_FRAGMENT, "uri_fragment",
          "the URI has a fragment, which ws and wss do not have", "RFC 6455 3"),
    USAGE(NWS_ERROR_PROXY_URI, "proxy_uri",
          "the proxy's address is not http://, socks5:// or socks5h://",
          "RFC 3986 3"),
};

/* Its number is one that no error has, lest it pass for the row of 0. */
static const nws_error_info unknown = {
    INT_MIN, NWS_ERROR_KIND_NONE, "unknown", "unknown error number", "", 0, 0};

static const size_t count = sizeof(table) / sizeof(table[0]);

const nws_error_info *nws_error_get(int error) {
  if (error >= 0) {
    return &table[0];
  }
  for (size_t i = 1; i < count; i++) {
    if (table[i].error == error) {
      return &table[i];
    }
  }
  return &unknown;
}

const char *nws_error_text(int error) {
  return nws_error_get(error)->text;
}

const nws_error_info *nws_error_at(size_t index) {
  return index < count ? &table[index] : NULL;
}
