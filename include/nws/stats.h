/* stats.h - what a server counts (libnws_net), and its text for Prometheus.
 *
 *     static void answer(nws_peer *peer, const nws_server_handshake *request,
 *                        int error) {
 *       nws_rejection page = {.size = sizeof(page), .error = error};
 *       nws_header type = {nws_str_of("Content-Type"),
 *                          nws_str_of("text/plain; version=0.0.4")};
 *       nws_stats stats;
 *       char text[NWS_STATS_TEXT_MAX];
 *       size_t len;
 *       if (nws_str_equal(request->path, nws_str_of("/metrics"))) {
 *         nws_server_stats(nws_peer_server(peer), &stats);
 *         nws_stats_text(&stats, text, sizeof(text), &len);
 *         page = (nws_rejection){.size = sizeof(page), .status = 200};
 *         page.headers = &type;
 *         page.header_count = 1;
 *         page.body = nws_str_make(text, len);
 *       }
 *       nws_peer_respond(peer, &page);
 *     }
 *
 *     handler.http = answer;
 *
 * Whoever can reach the server can read that page; a server of its own, on an
 * address of its own, on the same loop, keeps it from the public.
 *
 * Several loops: let each copy its server's numbers on its own thread, and add
 * the copies up with nws_stats_add().
 *
 * Nothing here costs more than adding, or looks at a clock that is not looked
 * at anyway. All numbers begin at 0 with the server, and never go down but for
 * `handshakes`, `open` and `queued`, which are how things stand now.
 */
#ifndef NWS_STATS_H
#define NWS_STATS_H

#include <nws/net.h>

NWS_BEGIN_DECLS

/** Buckets of a histogram. Each holds values up to nws_histogram_bound(), and
 *  more than that of the one before; the last one all that is larger. */
#define NWS_HISTOGRAM_BUCKETS 24

/** How often values of which size were seen. */
typedef struct nws_histogram {
  uint64_t counts[NWS_HISTOGRAM_BUCKETS];
  uint64_t sum; /**< of all values */
} nws_histogram;

/** What a server has counted. At any time
 *    accepted = turned_… + handshakes + failed_… + opened, and
 *    opened = open + closed_clean + closed_error. */
typedef struct nws_stats {
  /* Connections that came. */
  uint64_t accepted;      /**< all that were taken from the listeners */
  uint64_t accept_errors; /**< times that none could be taken: no descriptors,
                               no memory */
  uint64_t turned_peers;  /**< turned away or dropped: max_peers */
  uint64_t turned_handshakes; /**< likewise: max_handshakes */
  uint64_t turned_address;    /**< likewise: max_per_address */
  uint64_t turned_rate;       /**< likewise: handshake_rate */
  uint64_t turned_memory;     /**< likewise: no memory */

  /* Opening handshakes, what a proxy says and TLS included. */
  uint64_t handshakes;     /**< now: under way */
  uint64_t opened;         /**< accepted, so that the 101 is on its way */
  uint64_t failed_timeout; /**< not over in time, for whatever reason */
  uint64_t failed_gone;    /**< the other end went away, or was cut off */
  uint64_t failed_http;    /**< what came is no HTTP, or beyond its limits */
  uint64_t failed_request; /**< HTTP, but no handshake that the policy or a
                                route allows: other pages, also answered ones */
  uint64_t failed_refused; /**< refused in the `request` callback */
  uint64_t failed_tls;     /**< TLS failed */
  uint64_t failed_proxy;   /**< no valid header of the PROXY protocol */
  uint64_t
      failed_canceled;   /**< given up here: aborted, or the server stopped */
  uint64_t failed_other; /**< given up here for lack of memory and the like */

  /* Open connections. */
  uint64_t open;         /**< now: opened, and `closed` not called yet */
  uint64_t closed_clean; /**< nws_closed.error was NWS_OK */
  uint64_t closed_error; /**< it was not */
  uint64_t silent;       /**< of all closed, given up since no pong came */
  uint64_t slow;         /**< of all closed, given up since they took nothing of
                              what they were sent, or by a hub */

  /* What was said. How much of it is payload stands in the histograms. */
  uint64_t bytes_in;     /**< received: all of HTTP and of frames, refused
                              requests included; of TLS what was inside */
  uint64_t bytes_out;    /**< given to the system, likewise */
  uint64_t messages_in;  /**< that have come to their end */
  uint64_t messages_out; /**< whose last frame was queued */
  uint64_t frames_in;    /**< all that have come to their end */
  uint64_t frames_out;   /**< all that were queued */
  uint64_t pings_in;     /**< of frames_in */
  uint64_t pongs_in;     /**< of frames_in */
  uint64_t closes_in;    /**< of frames_in */
  uint64_t pings_out;    /**< of frames_out */
  uint64_t pongs_out;    /**< of frames_out */
  uint64_t closes_out;   /**< of frames_out */

  /* Write queues. */
  uint64_t queued;      /**< now: bytes in all queues together */
  uint64_t queued_most; /**< the most there were, what one turn of the loop
                             gathers included */
  uint64_t throttled;   /**< times that a peer went above high_water */
  uint64_t queue_full;  /**< sends refused with NWS_ERROR_QUEUE */

  nws_histogram open_time;   /**< microseconds from taking a connection to
                                  accepting its handshake */
  nws_histogram message_in;  /**< bytes of messages that came, decoded */
  nws_histogram message_out; /**< bytes of data frames sent, before encoding: of
                                  messages, but for those sent in fragments */
} nws_stats;

/** Copies what a server has counted; on the loop's thread. */
NWS_API void nws_server_stats(const nws_server *server, nws_stats *out);

/** Adds one copy to another. The sum of `queued_most` is no less than what
 *  there ever was at once. */
NWS_API void nws_stats_add(nws_stats *sum, const nws_stats *more);

/** The largest value that belongs to a bucket: 16, 32, 64 and so on.
 *  @param bucket  its index; of the last one and beyond it is UINT64_MAX */
NWS_API uint64_t nws_histogram_bound(unsigned bucket);

/** Room that suffices for nws_stats_text() whatever the numbers are. */
#define NWS_STATS_TEXT_MAX 16384

/** Writes Prometheus' text format, version 0.0.4, every line of it: comments
 *  that say what is counted, names that begin with nws_, times in seconds.
 *  @param out  `cap` bytes; no zero byte is written
 *  @param len  bytes written; with NWS_ERROR_BUFFER the bytes needed
 *  @return NWS_OK; NWS_ERROR_BUFFER; NWS_ERROR_ARGUMENT. */
NWS_API int nws_stats_text(const nws_stats *stats, char *out, size_t cap,
                           size_t *len);

NWS_END_DECLS

#endif
