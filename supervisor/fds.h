/* fds.h - messages with descriptors, over a local socket. */
#ifndef POOLD_FDS_H
#define POOLD_FDS_H

#include "common/base.h"

#define FDS_A_MESSAGE_MAX 96u

/* Sends size bytes as one message with count descriptors. Returns 0 or a negative errno: -EAGAIN
 * when it does not fit now. */
int fds_send(int link, const void *bytes, size_t size, const int *fds, uint32_t count);

/* Takes one message that is there already, of exactly size bytes with one descriptor, close-on-exec.
 * Returns the descriptor, the caller's from then on; -1: none is there, or it is another one. */
int fds_take(int link, void *bytes, size_t size);

#endif
