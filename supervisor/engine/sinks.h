/* sinks.h - where events go besides subscribers: a syslog datagram socket, or stderr. */
#ifndef POOLD_ENGINE_SINKS_H
#define POOLD_ENGINE_SINKS_H

#include "supervisor/engine/events.h"
#include "supervisor/engine/io.h"

struct sink;

/* A non-blocking sender of RFC 3164 lines to the datagram socket at path:
 *     <PRI>Mmm dd hh:mm:ss poold[pid]: number name pool/worker: text seq=n fields
 * Number and name come first, where nothing that a worker wrote can stand. Nothing ever waits:
 * what a full or missing socket does not take is counted, and once it takes again one event 6061
 * says how many were dropped. A socket that went away is connected anew, at most once a second,
 * driven by the next event or by sink_deadline. */
int sink_syslog_create(struct sink **out, struct events *, const char *path, struct err *err);

/* Lines "2026-11-22T12:00:00+01:00 name severity pool/worker: text fields" to fd (stderr), which
 * stays the caller's and need not be non-blocking: it is written in a way that never waits, and a line
 * that it does not take at once is dropped and counted as above. */
int sink_stderr_create(struct sink **out, struct events *, int fd, struct err *err);

/* What --log says: syslog (/dev/log), stderr, or the absolute path of a datagram socket that takes
 * syslog lines. Anything else is -EINVAL with what is allowed. */
int sink_create(struct sink **out, struct events *, const char *target, struct err *err);

/* What stands in for --log where it is not given: syslog, or stderr where there is no syslog. */
const char *sink_default_target(void);

/* The configuration's log.facility (syslog's number) and log.level: the least severity that is written.
 * Without it: daemon, and everything. */
void sink_filter(struct sink *, unsigned facility, unsigned level);

/* Events must still be there: the sink takes itself off their list. */
void sink_destroy(struct sink **);

/* Call when due (MSEC_NEVER: never): lets a sink say what it dropped when no event comes by. */
msec sink_deadline(const struct sink *);
void sink_tick(struct sink *, msec now);

#endif
