/* schedule.h - recycling.schedule: tells the core of each clock time that comes.
 *
 * One timer on the wall clock, for the earliest time of all pools; the kernel says when the clock was
 * set or the machine slept, and then all is computed anew, some pools a turn. Pools without a schedule
 * cost nothing.
 *
 * A time that passed while poold did not run, or that a clock jumped over, is not run late: what has
 * come within the last minute still is, so that a clock that is set by seconds and an engine that is
 * started again miss nothing. What comes again is told again; the core knows which date has run. */
#ifndef POOLD_ENGINE_SCHEDULE_H
#define POOLD_ENGINE_SCHEDULE_H

#include "supervisor/engine/shell.h"

struct schedule;

/* For pools of a number below pools_max; shell is borrowed until destroy. */
int schedule_create(struct schedule **out, struct shell *shell, uint32_t pools_max,
                    struct err *err);
void schedule_destroy(struct schedule **);

/* The pool is there as the record says it. new_engine: others were before, which may have missed what
 * came right now. */
void schedule_pool(struct schedule *, uint32_t pool, bool new_engine);

/* When the next listed time of the pool comes, in ms since 1970; INT64_MAX: it has none. */
int64_t schedule_next_ms(const struct schedule *, uint32_t pool);

#endif
