/* failure.h - the failure account of a pool: the sliding window of rapid-fail protection, and the
 * growing delay before the next start.
 *
 * Two counts that answer two questions. The window holds the failures of the last
 * failure_interval; max_failures of them disable the pool. The streak counts what delays starts:
 * failures, and spawns that failed (which the window does not hold: the host was short, not the
 * worker sick). The first of a streak delays nothing, the n-th waits failure_delay * 2^(n-2), with
 * up to a quarter more at random, at most failure_delay_max. A worker that was ready for 10 s, or an
 * interval without a failure, starts the streak anew. */
#ifndef POOLD_CORE_FAILURE_H
#define POOLD_CORE_FAILURE_H

#include "supervisor/core/state.h"

#define STREAK_RESET_MS 10000u /* ready for that long: the trouble before it is over */

/* Delays the pool's next start because the worker failed or could not be spawned. Returns in how
 * many ms the pool starts again, MSEC_NEVER when it does not. */
msec failure_delay_start(struct core *, uint32_t worker);

/* Enters a failure of the worker into the window. Returns whether the limit is reached: the caller
 * tells the failure first, and then disables the pool. */
bool failure_count(struct core *, uint32_t worker, uint32_t event, struct exit_status);

/* Failures in the window now. */
uint32_t failures_in_window(const struct core *, uint32_t pool, msec now);

/* Fewer may be counted than before: the oldest go. */
void failures_trim(struct core *, uint32_t pool);

/* An operator's start: nothing of the past counts. */
void failures_clear(struct core *, uint32_t pool);

/* The n-th delay (n >= 1) of a streak that starts with no delay, jittered. */
msec failure_delay_ms(struct core *, const struct pool_settings *, uint32_t n);

#endif
