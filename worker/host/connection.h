/* connection.h - the connections of the server: what each waits for, and how long it may. */
#ifndef POOLWORKER_HOST_CONNECTION_H
#define POOLWORKER_HOST_CONNECTION_H

#include <netinet/in.h>

#include "worker/host/loop.h"

struct server;
struct exchange;
struct MHD_Connection;

/* What a connection waits for. libmicrohttpd reads and writes; this is only about time.
 *
 * FRESH    accepted, and no byte of a request has been understood. Its client has header_timeout.
 * HEAD     a request's first line is there. header_timeout from then on, however often a byte comes.
 * BODY     the head is there, the body comes: in each header_timeout at MINIMUM_RATE at least.
 * WORK     the client has sent all and waits for us. No time-out here: whoever works has its own.
 * ANSWER   the answer is being sent. In each idle_timeout its client takes it at MINIMUM_RATE at least,
 *          or all that is left of it.
 * IDLE     the answer is sent and the connection kept. idle_timeout for the next request's line.
 *
 * FRESH and IDLE have no request under way: in a drain they are closed after drain_grace, and when
 * the server is full the one that has waited longest makes room. */
enum connection_phase {
    CONNECTION_FRESH,
    CONNECTION_HEAD,
    CONNECTION_BODY,
    CONNECTION_WORK,
    CONNECTION_ANSWER,
    CONNECTION_IDLE,
    CONNECTION_PHASE_COUNT
};

struct connection {
    struct timeout timeout; /* first: a ringing time-out is a connection */
    struct server *server;
    struct MHD_Connection *mhd;
    int fd; /* libmicrohttpd's */
    enum connection_phase phase;
    msec phase_began;     /* or when it was last found to be fast enough */
    uint64_t phase_bytes; /* of the body since then, or of the answer acknowledged until then */
    struct exchange *exchange; /* NULL: no request */
    bool is_last; /* its answer says that the connection will be closed: by us, first */
    char peer[INET6_ADDRSTRLEN]; /* "-": not of the internet */
    char peer_port[8];
};

/* Who is slower is cut. */
enum { MINIMUM_RATE = 500 }; /* bytes a second */

/* Hands a connected socket to libmicrohttpd. Closes it when that fails. */
void connection_add(struct server *, int fd);

/* Called by libmicrohttpd (MHD_OPTION_NOTIFY_CONNECTION). */
struct connection *connection_create(struct server *, struct MHD_Connection *);
void connection_destroy(struct connection **);

/* The one that sets the phase; time-outs follow. */
void connection_enter(struct connection *, enum connection_phase);

/* So many more bytes of the body have come. */
void connection_took(struct connection *, size_t bytes);

/* Ends what has no request after drain_grace, in order of age. For the beginning of a drain. */
void connections_drain(struct server *);

enum { CONNECTIONS_OVER = 64 };

/* Room for one more: when the server is full it ends the one without a request that has waited longest.
 * False: all have one, or are too young to be given up. */
bool connections_make_room(struct server *);

#endif
