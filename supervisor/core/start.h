/* start.h - fair starts: who may start a worker next on this host.
 *
 * limits.starts places; a starting worker holds one until it is ready or on its way out, 5 s at
 * most. Pools that want a start wait in four classes, in each first come first served; a pool gets
 * one place at a turn and queues again behind the others of its class. */
#ifndef POOLD_CORE_START_H
#define POOLD_CORE_START_H

#include "supervisor/core/state.h"

enum start_class {
    START_DARK,        /* no ready worker and no failure in the window: nobody serves its clients */
    START_REPLACEMENT, /* after a first failure, or for a recycle */
    START_GROWTH,      /* it serves and is not yet whole */
    START_FAILING,     /* it has failed again: it may well fail once more */
    START_CLASS_COUNT
};

/* Lets the pool wait for a place, or (it waits in another class) moves it there. */
void start_wait(struct core *, uint32_t pool, enum start_class);
void start_wait_no_more(struct core *, uint32_t pool);

/* Enters a restored pool into the queue. */
void start_put(struct core *, uint32_t pool);

/* Gives free places to those that wait. */
void starts_grant(struct core *);

/* Whether starts_grant could do more. */
bool starts_are_pending(const struct core *);

#endif
