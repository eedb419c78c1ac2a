/* tls.h - certificates and trust, for servers and clients over TLS
 * (libnws_net, on OpenSSL 3).
 *
 *     nws_tls_identity who = {.certificate_file = "chain.pem",
 *                             .key_file = "key.pem"};
 *     nws_tls_options how = {.size = sizeof(how)};
 *     char why[NWS_TLS_WHY];
 *     nws_tls *tls;
 *     how.identities = &who;
 *     how.identity_count = 1;
 *     if (nws_tls_new(&how, &tls, why, sizeof(why)) != NWS_OK) {
 *       fprintf(stderr, "%s\n", why);
 *       return;
 *     }
 *     options.tls = tls;
 *     nws_server_start(loop, &options, &server);
 *     nws_tls_drop(tls);
 *
 * A client needs none of this: wss:// addresses are verified against what the
 * system trusts. It takes an nws_tls to trust something else, to show a
 * certificate of its own, or to pin a key.
 *
 * TLS 1.2 and 1.3 are spoken, without renegotiation and compression; ALPN
 * offers and takes "http/1.1" alone. One object serves any number of servers
 * and clients, in any number of threads, and both roles. Those who were given
 * it hold it themselves, so it may be dropped at once.
 *
 * What goes wrong with a peer ends it with one of NWS_ERROR_TLS… (error.h), and
 * nws_closed.detail says more.
 */
#ifndef NWS_TLS_H
#define NWS_TLS_H

#include <nws/base.h>
#include <nws/error.h>

NWS_BEGIN_DECLS

struct ssl_st;

/** Certificates, keys and trust. Counted: see nws_tls_drop(). */
typedef struct nws_tls nws_tls;

/** Room that suffices for what nws_tls_new() says of an error. */
#define NWS_TLS_WHY 512

/** Room for a pin: "sha256//", 44 characters of base64 and a zero byte. */
#define NWS_TLS_PIN 53

/** A certificate with its key: from files, from memory, or made on the spot. */
typedef struct nws_tls_identity {
  const char *certificate_file; /**< PEM: our certificate, and behind it those
                                     that lead to a root */
  const char *key_file;         /**< PEM, without a password; NULL: the key is
                                     in the certificate file */
  nws_str certificate;          /**< the same in memory, instead of files */
  nws_str key;                  /**< absent: in `certificate` */
  const char *self_signed; /**< instead of all these, names for which a key and
                                a certificate are made, for trying things out:
                                "localhost,127.0.0.1,::1". Nobody trusts it
                                who was not told to, by nws_tls_pin() */
} nws_tls_identity;

/** What a server asks of its clients. */
typedef enum nws_tls_clients {
  NWS_TLS_CLIENTS_ANY = 0,     /**< no certificate */
  NWS_TLS_CLIENTS_ASKED = 1,   /**< one that we trust, or none */
  NWS_TLS_CLIENTS_REQUIRED = 2 /**< one that we trust */
} nws_tls_clients;

/** The oldest version spoken. */
typedef enum nws_tls_version {
  NWS_TLS_1_2 = 0,
  NWS_TLS_1_3 = 1
} nws_tls_version;

/** What nws_tls_new() reads; nothing is kept of it. Everything may be 0 but
 *  `size`. */
typedef struct nws_tls_options {
  size_t size; /**< sizeof(nws_tls_options) */

  const nws_tls_identity *identities; /**< servers: one at least. The first that
                                           has the name that a client asks for
                                           (RFC 6066 3) is shown, else the
                                         first. Clients: at most one, for
                                         servers that ask */
  size_t identity_count;

  const char *trust_file; /**< PEM: roots that are trusted, and no others */
  const char *trust_dir;  /**< the same as a directory of hashed names */
  nws_str trust;          /**< the same as PEM in memory. With none of the
                               three: what the system trusts */
  const char *crl_file;   /**< PEM: revoked certificates. The end's certificate
                               is refused when its issuer has no current list
                               in here, too */
  const char *pins;       /**< keys of which the other end's must be one, as
                               nws_tls_pin() gives them, with ';' between them;
                               besides being verified. NULL: any */
  uint8_t clients;        /**< nws_tls_clients; for servers. Other than _ANY
                               needs one of the three trusts */
  uint8_t insecure;       /**< 1: clients do not verify servers: whoever is on
                               the way can read and change everything. Pins
                               hold nevertheless, and make up for it */
  uint8_t min_version;    /**< nws_tls_version */
  const char *ciphers;    /**< for TLS 1.2, in OpenSSL's notation; NULL: those
                               with forward secrecy and authentication */
} nws_tls_options;

/** Reads certificates, keys and trust.
 *  @param tls  the result; give it back with nws_tls_drop()
 *  @param why  after an error: what is wrong with which file, in one line, cut
 *              to fit; may be NULL
 *  @param cap  room in `why`
 *  @return NWS_OK; NWS_ERROR_TLS_CONFIG: see `why`; NWS_ERROR_ARGUMENT;
 *          NWS_ERROR_MEMORY; NWS_ERROR_TLS_MISSING: the library was built
 *          without TLS. */
NWS_API int nws_tls_new(const nws_tls_options *options, nws_tls **tls,
                        char *why, size_t cap);

/** Reads everything anew, for certificates that were renewed. Connections that
 *  exist go on as they are, handshakes that begin from now on use the new; in
 *  any thread. After an error everything is as before.
 *  @param options  as for nws_tls_new()
 *  @return as nws_tls_new(). */
NWS_API int nws_tls_reload(nws_tls *tls, const nws_tls_options *options,
                           char *why, size_t cap);

/** Gives an object back. Servers and clients that use it hold it as long as
 *  they need it. NULL does nothing. */
NWS_API void nws_tls_drop(nws_tls *tls);

/** The pin of the first identity: the SHA-256 of its public key (RFC 7469 2.4),
 *  as `nws connect --pin` and curl's --pinnedpubkey take it.
 *  @param out  NWS_TLS_PIN bytes
 *  @return NWS_OK; NWS_ERROR_STATE: there is no identity. */
NWS_API int nws_tls_pin(nws_tls *tls, char *out);

/** What is known of a TLS connection. Everything is valid as long as the
 *  peer, and absent or "" where it is not known. */
typedef struct nws_tls_info {
  const char *version;   /**< "TLSv1.3" */
  const char *cipher;    /**< "TLS_AES_256_GCM_SHA384" */
  const char *asked;     /**< the host name that the client asked for */
  const char *subject;   /**< whose certificate the other end has shown, as in
                              RFC 2253: "CN=example.org"; "" without one. In
                              `closed` that of a certificate that was refused,
                              too */
  int verified;          /**< 1: that certificate was verified */
  char pin[NWS_TLS_PIN]; /**< its key, as nws_tls_pin() writes it */
} nws_tls_info;

NWS_END_DECLS

#endif
