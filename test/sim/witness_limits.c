/* witness_limits.c - the witness's account of how long a worker may start and leave: the pool's time-out, or
 * longer when it asked for more, and ten time-outs at most. */
#include "test/sim/sim.h"
#include "test/sim/witness.h"

#define TIMES 10

void
seen_extend(const struct witness *witness, const struct event *event, struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, event->worker.pool);
    msec until = witness->now + event->count;
    if (w->killed || w->exec_failed)
        return;
    if (w->leaving_at != 0)
        w->stop_until = MIN(until, w->leaving_at + TIMES * settings->shutdown_timeout_ms);
    else if (!w->ready)
        w->start_until = MIN(until, w->asked_at + TIMES * settings->startup_timeout_ms);
}

bool
seen_start_is_over(const struct witness *witness, uint32_t pool, const struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, pool);
    return witness->now - w->asked_at >= settings->startup_timeout_ms &&
           witness->now >= w->start_until;
}

bool
seen_stop_is_over(const struct witness *witness, uint32_t pool, const struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, pool);
    return witness->now - w->leaving_at >= settings->shutdown_timeout_ms &&
           witness->now >= w->stop_until;
}
