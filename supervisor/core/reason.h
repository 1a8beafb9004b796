/* reason.h - why a worker is replaced although nobody asked for its pool: what it has reached or said.
 *
 * A reason is a fact about one worker: it has reached a limit - of age, of requests - or it is sick, or
 * says so. Once found it *stands* until the worker is gone or a change of the settings takes it back.
 * Several can stand; the newest is the one that is told when the recycle is closed.
 *
 * What follows is the mark of recycle.h, told once by 1074 and its like with what was measured and
 * the limit, and then the one path that all causes share. The mark may go - the roll of an operator takes
 * the worker in and fails, the pool is disabled for a while - but the reason stays and marks the
 * worker again. So such a recycle is tried again, after the failure delay, until it succeeds.
 *
 * A limit holds for each worker with a share of its own: `draw` says where in +/- recycle_jitter
 * percent it lies. It is drawn once, so a change of the limit or of the jitter moves all limits and
 * shuffles none. */
#ifndef POOLD_CORE_REASON_H
#define POOLD_CORE_REASON_H

#include "supervisor/core/state.h"

/* Whether a recycle for this cause is tried again until it succeeds. The others stop at the first
 * successor that fails. */
static inline bool
cause_is_tried_again(enum cause cause)
{
    return cause == CAUSE_UNHEALTHY || cause == CAUSE_TIME || cause == CAUSE_REQUESTS ||
           cause == CAUSE_SCHEDULE;
}

/* The event that tells that a worker is to be replaced for this cause; 0: its request was told. */
uint32_t reason_event(enum cause);

static inline bool
reason_stands(const struct worker *w, enum cause cause)
{
    return (w->reasons >> cause & 1) != 0;
}

/* Notes that the reason stands from now on. */
void reason_note(struct core *, uint32_t worker, enum cause, uint64_t measured, uint64_t limit);

/* The same, and the worker is to be replaced: at once where its pool is up, else once it is. */
void reason_found(struct core *, uint32_t worker, enum cause, uint64_t measured, uint64_t limit);

/* Who has a reason and is not to be replaced yet, now is: the pool is up (again). Idempotent. */
void reason_mark_all(struct core *, uint32_t pool);

/* The settings have changed, a recycle has failed, or the worker begins to serve: a reason that is
 * none any more is taken back, unless the worker is being replaced for it; a new one is noted. */
void reason_judge_again(struct core *, uint32_t worker);

/* The worker's own limit of age; MSEC_NEVER: it has none. */
msec reason_age_limit(const struct core *, uint32_t worker);

/* ... and of requests; 0: it has none. */
uint64_t reason_requests_limit(const struct core *, uint32_t worker);

/* REQUESTS. A worker is to leave when its limit is reached, not after, and the successor takes its
 * time to be ready: so the recycle begins when what is left is less than what the worker serves, by
 * its pace since the report before, in the time that the pool's last start took. */
void reason_requests_said(struct core *, uint32_t worker, uint64_t requests);
#define PACE_MS                                                                                    \
    1000u /* a pace is measured over so long at least: two reports of one instant say none */

/* When the next limit of a worker that is READY is reached by itself; MSEC_NEVER: none is. */
msec reason_due(const struct core *, uint32_t worker);

/* That deadline has come. */
void reason_on_time(struct core *, uint32_t worker);

#endif
