/* runs.h - which of its clock times a pool has run, so that each runs once a day at most.
 *
 * SCHEDULE says that a listed time of a local date is due. What is due is decided outside, by the time
 * zone; that a date has run is decided here, because clocks are set back and engines die. The last
 * date of each time is remembered, also of one that is listed no more. A date is ignored that is the
 * last one or up to a week before it: one that lies further back was run by a clock that was far ahead,
 * which is to hold nothing up. */
#ifndef POOLD_CORE_RUNS_H
#define POOLD_CORE_RUNS_H

#include "supervisor/core/state.h"

#define RUNS_BACK_DAYS 7u

/* SCHEDULE: rolls the pool, if it is up and the date has not run. */
void runs_due(struct core *, uint32_t pool, uint32_t minute, uint32_t day);

/* The pool is forgotten. */
void runs_clear(struct core *, uint32_t pool);

#endif
