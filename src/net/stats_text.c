/* stats_text.c - numbers of a server as Prometheus reads them: the text format,
 * version 0.0.4, of its documentation's page "Exposition formats".
 *
 * A metric has a comment with its meaning, one with its type, and then a line
 * for each number. The table has a row for each line; rows of one metric follow
 * each other.
 */
#include <nws/stats.h>
#include <stddef.h>
#include <string.h>

#define AT(field) offsetof(nws_stats, field)

typedef struct row {
  const char *name; /* NULL: another line of the metric above */
  const char *help;
  const char *labels; /* "" when it has none */
  size_t at;          /* of a uint64_t or a histogram in nws_stats */
} row;

/* Counters end in _total, gauges do not. */
static const row rows[] = {
    {"nws_connections_accepted_total", "Connections taken from the listeners.",
     "", AT(accepted)},
    {"nws_accept_errors_total", "Times that no connection could be taken.", "",
     AT(accept_errors)},
    {"nws_connections_turned_away_total",
     "Connections turned away because of a limit.", "limit=\"peers\"",
     AT(turned_peers)},
    {NULL, NULL, "limit=\"handshakes\"", AT(turned_handshakes)},
    {NULL, NULL, "limit=\"address\"", AT(turned_address)},
    {NULL, NULL, "limit=\"rate\"", AT(turned_rate)},
    {NULL, NULL, "limit=\"memory\"", AT(turned_memory)},
    {"nws_handshakes", "Opening handshakes under way.", "", AT(handshakes)},
    {"nws_handshakes_failed_total", "Opening handshakes that came to nothing.",
     "reason=\"timeout\"", AT(failed_timeout)},
    {NULL, NULL, "reason=\"gone\"", AT(failed_gone)},
    {NULL, NULL, "reason=\"http\"", AT(failed_http)},
    {NULL, NULL, "reason=\"request\"", AT(failed_request)},
    {NULL, NULL, "reason=\"refused\"", AT(failed_refused)},
    {NULL, NULL, "reason=\"tls\"", AT(failed_tls)},
    {NULL, NULL, "reason=\"proxy\"", AT(failed_proxy)},
    {NULL, NULL, "reason=\"canceled\"", AT(failed_canceled)},
    {NULL, NULL, "reason=\"other\"", AT(failed_other)},
    {"nws_connections_opened_total", "Opening handshakes accepted.", "",
     AT(opened)},
    {"nws_connections_open", "Open connections.", "", AT(open)},
    {"nws_connections_closed_total", "Open connections that have ended.",
     "how=\"clean\"", AT(closed_clean)},
    {NULL, NULL, "how=\"error\"", AT(closed_error)},
    {"nws_peers_given_up_total",
     "Open connections that were given up since the other end was silent, or "
     "took nothing.",
     "why=\"silent\"", AT(silent)},
    {NULL, NULL, "why=\"slow\"", AT(slow)},
    {"nws_bytes_total", "Bytes of HTTP and frames.", "direction=\"in\"",
     AT(bytes_in)},
    {NULL, NULL, "direction=\"out\"", AT(bytes_out)},
    {"nws_messages_total", "Messages.", "direction=\"in\"", AT(messages_in)},
    {NULL, NULL, "direction=\"out\"", AT(messages_out)},
    {"nws_frames_total", "Frames of all kinds.", "direction=\"in\"",
     AT(frames_in)},
    {NULL, NULL, "direction=\"out\"", AT(frames_out)},
    {"nws_control_frames_total", "Control frames, which are frames as well.",
     "direction=\"in\",type=\"ping\"", AT(pings_in)},
    {NULL, NULL, "direction=\"in\",type=\"pong\"", AT(pongs_in)},
    {NULL, NULL, "direction=\"in\",type=\"close\"", AT(closes_in)},
    {NULL, NULL, "direction=\"out\",type=\"ping\"", AT(pings_out)},
    {NULL, NULL, "direction=\"out\",type=\"pong\"", AT(pongs_out)},
    {NULL, NULL, "direction=\"out\",type=\"close\"", AT(closes_out)},
    {"nws_queue_bytes", "Bytes that wait to be written.", "", AT(queued)},
    {"nws_queue_bytes_most", "The most bytes that have waited at once.", "",
     AT(queued_most)},
    {"nws_throttled_total",
     "Times that a peer was behind so far that nothing more was read from it.",
     "", AT(throttled)},
    {"nws_queue_full_total", "Messages refused since the queue was full.", "",
     AT(queue_full)},
};

/* Text that is counted beyond its room, and written within. */
typedef struct writer {
  char *out;
  size_t cap;
  size_t len;
} writer;

static void put(writer *w, const char *text, size_t len) {
  if (w->len < w->cap) {
    size_t room = w->cap - w->len;
    memcpy(w->out + w->len, text, len < room ? len : room);
  }
  w->len += len;
}

static void say(writer *w, const char *text) {
  put(w, text, strlen(text));
}

/* At least `digits` of them. */
static void number(writer *w, uint64_t value, unsigned digits) {
  char text[20];
  size_t at = sizeof(text);
  do {
    text[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0 || sizeof(text) - at < digits);
  put(w, text + at, sizeof(text) - at);
}

/* A value of a histogram; microseconds are written as seconds. */
static void quantity(writer *w, uint64_t value, int is_time) {
  if (!is_time) {
    number(w, value, 1);
    return;
  }
  number(w, value / 1000000, 1);
  say(w, ".");
  number(w, value % 1000000, 6);
}

static void head(writer *w, const char *name, const char *help,
                 const char *type) {
  say(w, "# HELP ");
  say(w, name);
  say(w, " ");
  say(w, help);
  say(w, "\n# TYPE ");
  say(w, name);
  say(w, " ");
  say(w, type);
  say(w, "\n");
}

static const char *type_of(const char *name) {
  static const char end[] = "_total";
  size_t len = strlen(name);
  size_t end_len = sizeof(end) - 1;
  int counter = len > end_len && strcmp(name + len - end_len, end) == 0;
  return counter ? "counter" : "gauge";
}

static void plain(writer *w, const nws_stats *stats) {
  const char *name = "";
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const row *r = &rows[i];
    uint64_t value;
    memcpy(&value, (const char *)stats + r->at, sizeof(value));
    if (r->name != NULL) {
      name = r->name;
      head(w, name, r->help, type_of(name));
    }
    say(w, name);
    if (r->labels[0] != '\0') {
      say(w, "{");
      say(w, r->labels);
      say(w, "}");
    }
    say(w, " ");
    number(w, value, 1);
    say(w, "\n");
  }
}

/* A line of a histogram, up to its value. */
static void line(writer *w, const char *name, const char *part,
                 const char *labels) {
  say(w, name);
  say(w, part);
  if (labels[0] != '\0') {
    say(w, "{");
    say(w, labels);
    say(w, "}");
  }
  say(w, " ");
}

/* Buckets hold all that is not larger, and so what those before hold too. */
static void histogram(writer *w, const nws_histogram *values, const char *name,
                      const char *labels, int is_time) {
  uint64_t count = 0;
  for (unsigned i = 0; i < NWS_HISTOGRAM_BUCKETS; i++) {
    count += values->counts[i];
    say(w, name);
    say(w, "_bucket{");
    say(w, labels);
    say(w, labels[0] != '\0' ? ",le=\"" : "le=\"");
    if (i + 1 < NWS_HISTOGRAM_BUCKETS) {
      quantity(w, nws_histogram_bound(i), is_time);
    } else {
      say(w, "+Inf");
    }
    say(w, "\"} ");
    number(w, count, 1);
    say(w, "\n");
  }
  line(w, name, "_sum", labels);
  quantity(w, values->sum, is_time);
  say(w, "\n");
  line(w, name, "_count", labels);
  number(w, count, 1);
  say(w, "\n");
}

int nws_stats_text(const nws_stats *stats, char *out, size_t cap, size_t *len) {
  static const char open[] = "nws_open_seconds";
  static const char size[] = "nws_message_bytes";
  writer w = {out, cap, 0};
  if (stats == NULL || len == NULL || (out == NULL && cap > 0)) {
    return NWS_ERROR_ARGUMENT;
  }
  plain(&w, stats);
  head(&w, open, "From taking a connection to accepting its handshake.",
       "histogram");
  histogram(&w, &stats->open_time, open, "", 1);
  head(&w, size, "Payload of messages.", "histogram");
  histogram(&w, &stats->message_in, size, "direction=\"in\"", 0);
  histogram(&w, &stats->message_out, size, "direction=\"out\"", 0);
  *len = w.len;
  return w.len <= cap ? NWS_OK : NWS_ERROR_BUFFER;
}
