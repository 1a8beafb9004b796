/* turn.h - limits.recycles: whose recycle may begin next on this host.
 *
 * A recycle is under way from its begin until it is closed, or until it is no replacement on purpose
 * any more: its original is dead, and who followed it has failed, so the slot is merely empty.
 *
 * A pool whose next recycle could begin takes a turn. While all are taken it waits, first come first
 * served; a turn that falls free is kept for the first of those that wait (HELD) until its recycle
 * begins - perhaps it waits for a start place now - or is no longer wanted. One recycle a turn: a pool
 * with more to replace waits behind the others again. */
#ifndef POOLD_CORE_TURN_H
#define POOLD_CORE_TURN_H

#include "supervisor/core/state.h"

/* Takes a turn for the pool, or lets it wait for one. Returns whether it has one. */
bool turn_take(struct core *, uint32_t pool);

/* The pool has nothing to begin. No error when it has no turn. */
void turn_give_back(struct core *, uint32_t pool);

/* A recycle of the pool begins; and it is under way no longer. */
void turn_begin(struct core *, uint32_t original);
void turn_end(struct core *, uint32_t original);

/* Enters a restored pool into the queue. */
void turn_put(struct core *, uint32_t pool);

/* Gives free turns to those that wait; whether it could do more. */
void turns_grant(struct core *);
bool turns_are_pending(const struct core *);

#endif
