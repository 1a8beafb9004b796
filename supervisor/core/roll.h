/* roll.h - a recycle of a whole pool, worker by worker.
 *
 * A roll is a request for every worker of the pool (roll_all), or the replacement of those that have
 * drifted from the configuration (roll_drifted; change.h), or both. Its workers have in_roll; it is
 * over when none has: at once, and without a 1079, when all that lives is leaving anyway. It ends
 * FAILED with the first successor that fails, and when sockets cannot be bound.
 *
 * A request during a roll gives it the newest cause, and starts nothing more: who was there when the
 * roll began is in it, and who is replaced once need not be replaced again. Two exceptions follow
 * from what is asked for: a request for every worker takes those in that a roll for a change had left
 * alone, and a change takes those in that have drifted since. */
#ifndef POOLD_CORE_ROLL_H
#define POOLD_CORE_ROLL_H

#include "supervisor/core/state.h"

/* POOL_RECYCLE. */
void roll_request(struct core *, uint32_t pool, enum cause);

/* A clock time of the pool, which is up, has come: minute of the day. */
void roll_scheduled(struct core *, uint32_t pool, uint32_t minute);

/* Begins a roll for a change, or joins the one that is under way. Tells 1080 if it begins one. */
void roll_for_change(struct core *, uint32_t pool);

/* One worker joins or leaves the roll. */
void roll_join(struct core *, uint32_t worker, enum cause);
void roll_leave(struct core *, uint32_t worker);

/* Ends the roll, if there is one. Other than DONE: marks that have not begun are taken away. */
void roll_end(struct core *, uint32_t pool, enum roll_outcome);

#endif
