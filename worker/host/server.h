/* server.h - all that one poolworker process is made of. */
#ifndef POOLWORKER_HOST_SERVER_H
#define POOLWORKER_HOST_SERVER_H

#include <microhttpd.h>

#include "common/err.h"
#include "worker/host/access_log.h"
#include "worker/host/cgi.h"
#include "worker/host/files.h"
#include "worker/host/loop.h"
#include "worker/host/module.h"
#include "worker/host/options.h"
#include "worker/lib/poolworker.h"

enum { LISTENERS_MAX = 64 }; /* as many as a pool may have */

struct server;

struct listener {
    struct watch watch;
    struct server *server;
};

struct server {
    struct options options;
    const char *pool, *worker; /* "-" by hand */
    struct loop loop;
    struct poolworker *pw;
    struct watch pw_watch, signal_watch, mhd_watch;
    struct MHD_Daemon *mhd;
    struct listener listeners[LISTENERS_MAX];
    unsigned listener_count;
    bool is_accepting; /* the listeners are watched */
    struct timeout_queue retry_queue;
    struct timeout retry; /* full: looks again for room */

    /* Every connection that waits for its client is in one of these. */
    struct timeout_queue slow_queue;   /* heads and bodies: header_timeout */
    struct timeout_queue answer_queue; /* answers: idle_timeout */
    struct timeout_queue idle_queue;   /* between two requests: idle_timeout */
    struct timeout_queue drain_queue;  /* without a request in a drain: drain_grace */
    unsigned connection_count;

    struct timeout_queue linger_queue;
    unsigned lingering_count; /* linger.c */

    struct timeout_queue limit_queue;
    struct timeout limit; /* of the drain */
    bool is_draining;
    bool is_signalled;
    bool is_over; /* the loop ends */

    struct files files; /* with --root */
    struct cgi cgi;     /* with --cgi */
    struct modules modules;
    struct access_log log;
};

/* Everything but the listeners' first connection: options are in the server already. 0, or a negative
 * errno with err filled. */
int server_open(struct server *, struct err *);

/* Serves until it is told to leave and has left. */
void server_run(struct server *);
void server_close(struct server *);

/* Stops accepting, finishes what is there within limit_ms. A second call changes nothing: poold may send
 * its message and the signal too. */
void server_drain(struct server *, msec limit_ms);

#endif
