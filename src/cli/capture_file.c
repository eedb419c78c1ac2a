/* capture_file.c - files of packets: pcap, as tcpdump has written it since ever
 * (draft-ietf-opsawg-pcap), and pcapng (draft-ietf-opsawg-pcapng). Read as a
 * stream: what is kept is at most one record.
 */
#include <stdlib.h>
#include <string.h>
#include "capture.h"

/* More than any snapshot length; what claims to be longer is no record. */
#define RECORD_MAX ((size_t)1 << 20)
#define NS_PER_S UINT64_C(1000000000)

enum { PCAP_HEAD = 24, RECORD_HEAD = 16, BLOCK_HEAD = 8, BLOCK_TAIL = 4 };
#define MICRO 0xa1b2c3d4u
#define NANO 0xa1b23c4du
#define SECTION 0x0a0d0d0au
enum { BLOCK_INTERFACE = 1, BLOCK_SIMPLE = 3, BLOCK_ENHANCED = 6 };

static uint32_t get32(const capture_file *file, const uint8_t *at) {
  if (file->big) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
           (uint32_t)at[2] << 8 | at[3];
  }
  return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 |
         at[0];
}

static unsigned get16(const capture_file *file, const uint8_t *at) {
  return file->big ? (unsigned)at[0] << 8 | at[1]
                   : (unsigned)at[1] << 8 | at[0];
}

static int fail(capture_file *file, const char *fault) {
  file->fault = fault;
  return 0;
}

int nws__capture_is(const uint8_t *start, size_t len) {
  capture_file big = {.big = 1};
  capture_file little = {.big = 0};
  if (len < CAPTURE_MAGIC) {
    return 0;
  }
  uint32_t magic = get32(&big, start);
  uint32_t other = get32(&little, start);
  return magic == SECTION || magic == MICRO || magic == NANO ||
         other == MICRO || other == NANO;
}

static int add_interface(capture_file *file, unsigned link,
                         uint64_t per_second) {
  if (file->interface_count == CAPTURE_INTERFACES) {
    return fail(file, "more interfaces than can be told apart");
  }
  file->interfaces[file->interface_count].link = link;
  file->interfaces[file->interface_count].per_second = per_second;
  file->interface_count++;
  return 1;
}

static void give(const capture_file *file, size_t interface, uint64_t ticks,
                 const uint8_t *data, size_t len, size_t full_len) {
  uint64_t per_second = file->interfaces[interface].per_second;
  capture_packet packet = {.link = file->interfaces[interface].link,
                           .data = data,
                           .len = len,
                           .full_len = full_len};
  packet.ns = ticks / per_second * NS_PER_S +
              ticks % per_second * NS_PER_S / per_second;
  file->packet(file->user, &packet);
}

/* --- pcap --- */

/* Each function here returns how many bytes it has used, 0 when it needs more,
 * or -1 after a failure. */

static long pcap_head(capture_file *file) {
  if (file->len < PCAP_HEAD) {
    return 0;
  }
  uint64_t per_second =
      get32(file, file->buffer) == NANO ? NS_PER_S : NS_PER_S / 1000;
  file->begun = 1;
  /* The upper bits may tell of checksums. */
  unsigned link = get16(file, file->buffer + (file->big ? 22 : 20));
  return add_interface(file, link, per_second) ? PCAP_HEAD : -1;
}

static long pcap_record(capture_file *file, const uint8_t *at, size_t left) {
  if (left < RECORD_HEAD) {
    return 0;
  }
  size_t len = get32(file, at + 8);
  if (len > RECORD_MAX) {
    return fail(file, "a packet of more than 1 MiB") - 1;
  }
  if (left < RECORD_HEAD + len) {
    return 0;
  }
  uint64_t per_second = file->interfaces[0].per_second;
  uint64_t ticks = get32(file, at) * per_second + get32(file, at + 4);
  give(file, 0, ticks, at + RECORD_HEAD, len, get32(file, at + 12));
  return (long)(RECORD_HEAD + len);
}

/* --- pcapng --- */

/* if_tsresol: a power of 10, or of 2 with the top bit. */
static uint64_t resolution(uint8_t value) {
  uint64_t per_second = 1;
  unsigned exponent = value & 0x7fu;
  if (value & 0x80u) {
    return exponent < 60 ? UINT64_C(1) << exponent : 1;
  }
  while (exponent-- > 0 && per_second < NS_PER_S * NS_PER_S) {
    per_second *= 10;
  }
  return per_second;
}

static int read_interface(capture_file *file, const uint8_t *body, size_t len) {
  enum { OPTIONS = 8, TSRESOL = 9 };
  uint64_t per_second = NS_PER_S / 1000;
  if (len < OPTIONS) {
    return fail(file, "a block that is too short");
  }
  for (size_t at = OPTIONS; at + 4 <= len;) {
    unsigned code = get16(file, body + at);
    size_t value_len = get16(file, body + at + 2);
    at += 4;
    if (code == TSRESOL && value_len == 1 && at < len) {
      per_second = resolution(body[at]);
    }
    at += (value_len + 3) / 4 * 4;
  }
  return add_interface(file, get16(file, body), per_second);
}

static int read_enhanced(capture_file *file, const uint8_t *body, size_t len) {
  enum { HEAD = 20 };
  if (len < HEAD || get32(file, body + 12) > len - HEAD) {
    return fail(file, "a block that is too short");
  }
  size_t interface = get32(file, body);
  if (interface >= file->interface_count) {
    return fail(file, "a packet of an unknown interface");
  }
  uint64_t ticks =
      (uint64_t)get32(file, body + 4) << 32 | get32(file, body + 8);
  give(file, interface, ticks, body + HEAD, get32(file, body + 12),
       get32(file, body + 16));
  return 1;
}

static int read_simple(capture_file *file, const uint8_t *body, size_t len) {
  enum { HEAD = 4 };
  if (len < HEAD || file->interface_count == 0) {
    return fail(file, "a packet of an unknown interface");
  }
  size_t full_len = get32(file, body);
  size_t here = full_len < len - HEAD ? full_len : len - HEAD;
  give(file, 0, 0, body + HEAD, here, full_len);
  return 1;
}

static int read_block(capture_file *file, uint32_t type, const uint8_t *body,
                      size_t len) {
  switch (type) {
  case SECTION:
    file->interface_count = 0;
    return 1;
  case BLOCK_INTERFACE:
    return read_interface(file, body, len);
  case BLOCK_ENHANCED:
    return read_enhanced(file, body, len);
  case BLOCK_SIMPLE:
    return read_simple(file, body, len);
  default:
    return 1; /* names, statistics and so on */
  }
}

static long ng_block(capture_file *file, const uint8_t *at, size_t left) {
  if (left < BLOCK_HEAD + BLOCK_TAIL) {
    return 0;
  }
  uint32_t type = get32(file, at);
  if (type == SECTION) { /* each section has an order of bytes of its own */
    file->big = at[8] == 0x1a;
  }
  size_t len = get32(file, at + 4);
  if (len < BLOCK_HEAD + BLOCK_TAIL || len % 4 != 0 || len > RECORD_MAX) {
    return fail(file, "a block of an impossible length") - 1;
  }
  if (left < len) {
    return 0;
  }
  file->begun = 1;
  size_t body_len = len - BLOCK_HEAD - BLOCK_TAIL;
  return read_block(file, type, at + BLOCK_HEAD, body_len) ? (long)len : -1;
}

/* --- Both --- */

static void look_at_magic(capture_file *file) {
  file->ng = file->buffer[0] == 0x0a;
  file->big = file->buffer[0] == 0xa1;
}

static long read_one(capture_file *file, const uint8_t *at, size_t left) {
  if (file->ng) {
    return ng_block(file, at, left);
  }
  return file->begun ? pcap_record(file, at, left) : pcap_head(file);
}

static int append(capture_file *file, const uint8_t *data, size_t len) {
  if (len > file->cap - file->len) {
    size_t cap = (file->len + len) * 2;
    uint8_t *buffer = realloc(file->buffer, cap);
    if (!buffer) {
      return fail(file, "out of memory");
    }
    file->buffer = buffer;
    file->cap = cap;
  }
  memcpy(file->buffer + file->len, data, len);
  file->len += len;
  return 1;
}

int nws__capture_add(capture_file *file, const uint8_t *data, size_t len) {
  size_t at = 0;
  long used = 0;
  if (!append(file, data, len)) {
    return 0;
  }
  if (!file->begun && file->len >= CAPTURE_MAGIC) {
    look_at_magic(file);
  }
  while ((used = read_one(file, file->buffer + at, file->len - at)) > 0) {
    at += (size_t)used;
    file->offset += (uint64_t)used;
  }
  file->len -= at;
  memmove(file->buffer, file->buffer + at, file->len);
  return used == 0;
}

int nws__capture_end(capture_file *file) {
  if (file->fault) {
    return 0;
  }
  return file->len == 0 ? 1 : fail(file, "the file ends inside a packet");
}

void nws__capture_free(capture_file *file) {
  free(file->buffer);
  file->buffer = NULL;
}
