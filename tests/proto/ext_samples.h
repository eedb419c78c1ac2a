/* ext_samples.h - extensions of a user's making, for the tests of the
 * interface: what one would write with extension.h at hand and nothing else.
 *
 *   x-time   a control frame of its own, opcode 11, carrying a time
 *   x-ascii  a data message of its own, opcode 3, of ASCII only
 *   x-rle    messages as run lengths under RSV1, with a parameter max-run
 *   x-xor    every frame turned by an advancing key under RSV2
 *
 * and some under RSV3 that break their side of the contract.
 */
#ifndef EXT_SAMPLES_H
#define EXT_SAMPLES_H

#include <nws/extension.h>

enum { EXT_OPCODE_TIME = 11, EXT_OPCODE_ASCII = 3, EXT_RUN_DEFAULT = 255 };

/** An extension and the settings that its states start with. */
typedef struct ext_sample {
  nws_extension base;
  unsigned max_run;  /**< x-rle: the longest run that is taken and offered */
  size_t min_len;    /**< x-rle: messages shorter than this go out plain */
  const char *offer; /**< what to offer instead of the usual; may be NULL */
} ext_sample;

/** The state of any of them on one connection. */
typedef struct ext_state {
  unsigned max_run;
  size_t min_len;
  int in_open;  /**< an x-ascii or x-rle message is arriving */
  int out_open; /**< an x-rle message is being sent */
  int mode;     /**< x-rle: what the next byte is */
  unsigned left;
  uint8_t value;
  uint8_t rsv;    /**< x-xor: its bit */
  uint8_t key_in; /**< x-xor */
  uint8_t key_out;
  unsigned calls; /**< of decode, by those that would be called for ever */
} ext_state;

extern const ext_sample ext_time;
extern const ext_sample ext_ascii;
extern const ext_sample ext_rle;     /* takes and gives runs up to 255 */
extern const ext_sample ext_rle_min; /* leaves messages below 10 bytes plain */
extern const ext_sample ext_xor;
extern const ext_sample ext_xor3; /* the same under RSV3, to stack on it */

extern const ext_sample ext_stuck;  /* MORE, but neither takes nor gives */
extern const ext_sample ext_lazy;   /* OK, but takes nothing */
extern const ext_sample ext_odd;    /* answers what is no answer */
extern const ext_sample ext_greedy; /* claims more output than there is room */
extern const ext_sample ext_poor;   /* decoding and encoding lack memory */
extern const ext_sample ext_stubborn; /* encodes what may not be encoded */
extern const ext_sample ext_no_code;  /* wants to encode, and cannot */

/* Two that only look on, and note what they see in ext_seen, one word for each
 * header: "1<1:40:5" is a text frame with RSV1 and 5 bytes that arrived at the
 * first, "2>0:0:5!" a continuation to be sent that must stay plain. */
extern const ext_sample ext_watch_1;
extern const ext_sample ext_watch_2;
extern char ext_seen[512];

/** How many states there are; tests leave none behind. */
extern int ext_states;

/** Makes a state, as accept and confirm do. */
void *ext_state_make(const nws_extension *ext);

#endif
