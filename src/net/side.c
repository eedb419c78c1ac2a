/* side.c - what most peers do without: the reason of a close, the remote that
 * other threads know the peer by, the topics it is a member of. It is made when
 * the first of these is needed, so that all others stay small.
 */
#include "hub_internal.h"
#include <stdlib.h>

/* NULL without memory. */
nws__side *nws__peer_side(nws_peer *peer) {
  if (peer->side == NULL) {
    peer->side = calloc(1, sizeof(*peer->side));
  }
  return peer->side;
}

/* The peer is dead, and `closed` is about to be called: nobody else is to find
 * it any more. */
void nws__side_leave(nws_peer *peer) {
  nws__side *side = peer->side;
  if (side == NULL) {
    return;
  }
  if (side->remote != NULL) {
    nws__remote_gone(side->remote);
    side->remote = NULL;
  }
  nws__hub_leave_all(peer);
}

void nws__side_free(nws_peer *peer) {
  if (peer->side != NULL) {
    free(peer->side->reason);
  }
  free(peer->side);
  peer->side = NULL;
}
