/* json_text.c - messages like those of a trading service: an envelope, and one
 * event or a list of them. Names repeat, values do not. */
#include "json_text.h"

#include "bench.h"

#include <string.h>

enum { EVENT_MAX = 256, ENVELOPE = 40 };

/* Marsaglia's xorshift64: any generator would do that is the same everywhere.
 */
static uint64_t draw(uint64_t *seed, uint64_t below) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return (*seed >> 11) % below;
}

static int write_event(char *out, uint64_t *seed) {
  static const char *const pairs[] = {"BTC-EUR", "ETH-EUR", "ETH-BTC",
                                      "SOL-EUR", "ADA-USD", "BTC-USD",
                                      "XMR-BTC", "LTC-USD"};
  static const char *const kinds[] = {"trade", "order", "cancel", "match"};
  const unsigned cents = (unsigned)draw(seed, 7000000);
  const unsigned amount = (unsigned)draw(seed, 900000);
  const unsigned second = (unsigned)draw(seed, 86400);
  return snprintf(
      out, EVENT_MAX,
      "{\"type\":\"%s\",\"id\":%u,\"pair\":\"%s\",\"price\":%u.%02u,"
      "\"size\":0.%06u,\"side\":\"%s\",\"at\":\"2026-03-14T%02u:%02u:%02u.%"
      "03uZ\"",
      kinds[draw(seed, 4)], 100000000u + (unsigned)draw(seed, 900000000),
      pairs[draw(seed, 8)], cents / 100, cents % 100, amount,
      draw(seed, 2) != 0 ? "buy" : "sell", second / 3600, second / 60 % 60,
      second % 60, (unsigned)draw(seed, 1000));
}

/* Ends a message with words, to its exact length. */
static void write_note(char *out, size_t len, const char *end, uint64_t *seed) {
  static const char *const words[] = {"filled",  "partial", "limit",  "of",
                                      "account", "desk",    "market", "by",
                                      "rule",    "retry",   "late",   "from"};
  static const char begin[] = ",\"note\":\"";
  const size_t end_len = strlen(end);
  size_t at = sizeof(begin) - 1;
  memcpy(out, begin, at);
  while (at < len - end_len) {
    const char *word = words[draw(seed, 12)];
    for (; *word != '\0' && at < len - end_len; word++) {
      out[at++] = *word;
    }
    if (at < len - end_len) {
      out[at++] = ' ';
    }
  }
  memcpy(out + at, end, end_len);
}

void json_text(char *out, size_t len, uint64_t *seed) {
  char event[EVENT_MAX];
  int is_list = len > 2 * EVENT_MAX;
  size_t at = 0;
  if (is_list) {
    at = (size_t)snprintf(event, EVENT_MAX, "{\"seq\":%u,\"events\":[",
                          (unsigned)draw(seed, 1000000000));
    memcpy(out, event, at);
  }
  for (;;) {
    const size_t event_len = (size_t)write_event(event, seed);
    memcpy(out + at, event, event_len);
    at += event_len;
    if (!is_list || len - at < EVENT_MAX + ENVELOPE) {
      break;
    }
    memcpy(out + at, "},", 2);
    at += 2;
  }
  write_note(out + at, len - at, is_list ? "\"}]}" : "\"}", seed);
}
