/* capture.h - network captures: files of packets, and the TCP streams in them.
 * For `nws decode`.
 */
#ifndef NWS_CAPTURE_H
#define NWS_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

/* --- capture_file.c: packets from a file in pcap or pcapng form --- */

typedef struct capture_packet {
  uint64_t ns;   /* when it was captured */
  unsigned link; /* LINKTYPE_… of what it begins with */
  const uint8_t *data;
  size_t len;      /* bytes captured */
  size_t full_len; /* bytes there were */
} capture_packet;

#define CAPTURE_INTERFACES 64

/* A file being read. Zero it, and set what comes first. */
typedef struct capture_file {
  void (*packet)(void *user, const capture_packet *packet);
  void *user;

  uint64_t offset;   /* of the next record in the file */
  const char *fault; /* what is wrong there */
  int big;           /* numbers have their high byte first */
  int ng;            /* pcapng */
  int begun;         /* the file's own header has been read */
  struct {
    unsigned link;
    uint64_t per_second; /* units of its time stamps */
  } interfaces[CAPTURE_INTERFACES];
  size_t interface_count;
  uint8_t *buffer; /* what is not read yet */
  size_t len;
  size_t cap;
} capture_file;

/* Bytes that suffice to recognise a capture. */
#define CAPTURE_MAGIC 4

/* Says whether a file that begins so is a capture. */
int nws__capture_is(const uint8_t *start, size_t len);

/* Reads on. Returns 1, or 0 when `fault` says why not. */
int nws__capture_add(capture_file *file, const uint8_t *data, size_t len);

/* Says that the file ends here. The same result. */
int nws__capture_end(capture_file *file);

void nws__capture_free(capture_file *file);

/* --- capture_tcp.c: streams from packets --- */

typedef struct capture_flow capture_flow;

/* One end of a connection, and what it sends. */
typedef struct capture_side {
  uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
  uint16_t port;
  int begun;     /* `next` is known */
  int broken;    /* there was a hole: nothing more is told */
  int ended;     /* FIN, or RST of either side */
  uint32_t next; /* the sequence number that comes next */
  struct capture_segment *early;
  size_t early_len;
} capture_side;

struct capture_flow {
  capture_flow *next;
  capture_side sides[2]; /* the first is who was seen first */
  int over;              /* another of the same name may follow */
  void *user;            /* NULL at first */
};

#define CAPTURE_BUCKETS 1024

/* All connections. Zero it, and set what comes first. */
typedef struct capture_tcp {
  /* The next bytes of a side, in order; `data` may be changed. */
  void (*bytes)(void *user, capture_flow *flow, unsigned side, uint64_t ns,
                uint8_t *data, size_t len);
  /* Bytes are missing: nothing more comes of this side. */
  void (*hole)(void *user, capture_flow *flow, unsigned side, const char *why);
  /* The connection is over, or the capture; it is freed next. */
  void (*ended)(void *user, capture_flow *flow);
  void *user;

  uint64_t packets; /* of TCP */
  uint64_t flows;
  capture_flow *buckets[CAPTURE_BUCKETS];
} capture_tcp;

/* Takes a packet. Returns 1, or 0 without memory. */
int nws__capture_tcp_add(capture_tcp *tcp, const capture_packet *packet);

/* Ends all connections. */
void nws__capture_tcp_end(capture_tcp *tcp);

#endif
