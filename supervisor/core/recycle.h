/* recycle.h - the replacement of one worker on purpose.
 *
 * One recycle joins an original O and the workers that are to follow it in its slot:
 *
 *   marked     O.leave is set, O serves. Nothing has begun.
 *   overlapped O.begun, S was asked for: O.successor = S, S.original = O.
 *              S ready: O.replaced, O is told to leave; O dead: 6022, closed.
 *              S fails while O serves: 1093, closed; it does not count as a failure of the pool.
 *                A cause that is tried again (reason.h): O stays marked until a growing delay is over.
 *                Otherwise: the mark goes, and the roll (roll.h) ends FAILED.
 *   exclusive  O.begun, O is told to leave; O dead: O is GONE, its slot is filled by S, then as below.
 *   orphaned   O died (or leaves) by itself before S was ready: S is now its replacement, no further
 *              worker is started. The recycle stays begun: 6022 closes it when S is ready. If S
 *              fails, that is a failure like any other, and the next worker of the slot follows O.
 *
 * So each recycle that has begun is closed by exactly one 6022 or 1093, unless it is cancelled: a
 * stop, a shutdown or rapid-fail protection wins, and says so once for all (ROLL_ENDED CANCELLED,
 * 6011, 1002). A recycle whose successor had been ready is closed by 6022 even then.
 */
#ifndef POOLD_CORE_RECYCLE_H
#define POOLD_CORE_RECYCLE_H

#include "supervisor/core/worker.h"

/* Marks a worker that serves, or may come to serve, for replacement. */
void recycle_mark(struct core *, uint32_t worker, enum cause);

/* Its recycle, which has not begun, is no longer wanted. Reasons that stand will mark it anew. */
void recycle_unmark(struct core *, uint32_t worker);

/* What was measured of the action's cause, if that is the worker's newest reason. */
void recycle_say_measured(const struct worker *, struct action *);

/* RECYCLE: this worker is to be replaced, and no other one. */
void recycle_request(struct core *, uint32_t worker, enum cause);

/* Begins the recycle of a marked worker: successor was just asked for. */
void recycle_begin_overlapped(struct core *, uint32_t original, uint32_t successor);

/* Begins the recycle of a marked worker of an exclusive pool: it is told to leave. */
void recycle_begin_exclusive(struct core *, uint32_t original);

/* The successor follows an original that died or leaves without one. */
void recycle_follow(struct core *, uint32_t original, uint32_t successor);

/* Whether a new worker of the slot is to follow this one. */
bool recycle_awaits_follower(const struct worker *);

/* Whether this worker is a successor whose original still serves: its failure does not count. */
static inline bool
recycle_is_trial(const struct core *core, uint32_t worker)
{
    uint32_t original = worker_at(core, worker)->original;
    return original != NONE && worker_stays(worker_at(core, original));
}

/* What happens to a worker that may be part of a recycle. */
void recycle_successor_ready(struct core *, uint32_t worker);
void recycle_successor_failed(struct core *, uint32_t worker); /* tells 1093 if it is a trial */

/* The trial of a successor says nothing any more: it leaves, and 1093 tells that its original, whose
 * recycle may begin anew, serves on. */
void recycle_give_up(struct core *, uint32_t worker);

/* Whether the record of an original that has just died must be kept; tells 6022 if it is closed. */
bool recycle_original_died(struct core *, uint32_t worker);

/* Takes the worker out of any recycle, untold. */
void recycle_cancel(struct core *, uint32_t worker);

/* The worker leaves for another reason than its recycle: an unbegun one is no longer wanted. */
void recycle_forget_mark(struct core *, uint32_t worker);

/* Frees a GONE original that nobody will follow any more. */
void recycle_drop_gone(struct core *, uint32_t worker);

#endif
