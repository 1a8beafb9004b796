/* listener.h - the sockets that connections come from. */
#ifndef POOLWORKER_HOST_LISTENER_H
#define POOLWORKER_HOST_LISTENER_H

#include "common/err.h"

struct server;

/* Takes what poold handed over, and binds what --listen names. 0, or a negative errno with err filled. */
int listeners_open(struct server *, struct err *);
void listeners_close(struct server *);

/* Begins to accept, or stops: in a drain, and while the server has all the connections it may have.
 * Connections wait in the kernel's queue meanwhile, or go to another worker. */
void listeners_accept(struct server *, bool accept);

#endif
