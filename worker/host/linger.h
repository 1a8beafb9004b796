/* linger.h - connections that we have closed and whose clients have not. */
#ifndef POOLWORKER_HOST_LINGER_H
#define POOLWORKER_HOST_LINGER_H

struct server;

/* Takes over a connection that is about to be closed, with a descriptor of its own, until its client has
 * closed too. A socket that is closed while there is something unread resets its connection, and the
 * client may lose the very answer that told it that this was the last one. Bounded in time, bytes and
 * number; what is beyond is just closed. */
void linger_begin(struct server *, int fd);

/* Closes all of them now. */
void linger_end(struct server *);

#endif
