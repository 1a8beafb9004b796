/* witness_reason.c - the witness's account of why workers are replaced by themselves. */
#include "test/sim/sim.h"
#include "test/sim/witness.h"

bool
cause_is_kept(enum cause cause)
{
    return cause == CAUSE_UNHEALTHY || cause == CAUSE_TIME || cause == CAUSE_REQUESTS ||
           cause == CAUSE_SCHEDULE;
}

bool
cause_is_of_recycle(enum cause cause)
{
    return cause_is_kept(cause) || cause == CAUSE_ON_DEMAND || cause == CAUSE_CONFIG_CHANGE;
}

/* --- Age: within jitter percent of recycling.time, the same for the whole of a worker's life. */

static msec
age_least(const struct pool_settings *settings)
{
    return settings->recycle_time_ms * (100u - settings->recycle_jitter) / 100;
}

static msec
age_most(const struct pool_settings *settings)
{
    return settings->recycle_time_ms * (100u + settings->recycle_jitter) / 100;
}

void
rule_age(struct witness *witness, const struct action *action, struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, action->worker.pool);
    msec age = witness->now - w->asked_at;
    if (settings->recycle_time_ms == 0 && !w->aged_once)
        BROKEN(witness, action->worker, "has reached an age that is no limit");
    if (!w->adopted && age < age_least(settings) && !w->aged_once)
        BROKEN(witness, action->worker, "has reached its age too soon");
    if (!w->ready || seen_is_leaving(w))
        BROKEN(witness, action->worker, "has reached its age, and does not serve");
    if (w->aged)
        BROKEN(witness, action->worker, "has reached its age twice");
    w->aged = true;
}

/* --- Requests. */

/* The recycle may begin ahead, by what a start may take; an exclusive one does not. */
void
rule_requests(struct witness *witness, const struct action *action, struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, action->worker.pool);
    uint64_t least = (uint64_t)settings->recycle_requests * (100u - settings->recycle_jitter) / 100;
    uint64_t ahead = w->requests + w->requests * settings->startup_timeout_ms / 1000;
    if (settings->recycle_requests == 0 && !w->used_once)
        BROKEN(witness, action->worker, "has served as many requests as are no limit");
    if (w->requests + (settings->overlap ? ahead : 0) < least && !w->used_once)
        BROKEN(witness, action->worker, "has served its requests too soon");
    if (!w->ready || seen_is_leaving(w))
        BROKEN(witness, action->worker, "has served its requests, and does not serve");
    if (w->used)
        BROKEN(witness, action->worker, "has served its requests twice");
    w->used = true;
}

/* An operator recycles this one. */
void
rule_one_recycled(struct witness *witness, const struct action *action, struct seen *w)
{
    if (!witness_is_about(witness, action, EV_RECYCLE) || seen_is_leaving(w) ||
        witness->event.cause != CAUSE_ON_DEMAND ||
        !witness_pool_rolls(witness, action->worker.pool))
        BROKEN(witness, action->worker, "is recycled, and nobody asked for it");
}

/* --- Both. */

void
limits_are_unclear(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    for (uint32_t i = 0; i < p->living_len; i++) {
        struct seen *w = &p->workers[p->living[i]];
        w->aged_once |= w->aged;
        w->used_once |= w->used || w->requests > 0;
        w->aged = w->used = false;
    }
}

const char *
limit_overdue(const struct witness *witness, uint32_t pool, const struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, pool);
    const struct seen_pool *p = &witness->pools[pool];
    uint64_t most = (uint64_t)settings->recycle_requests * (100u + settings->recycle_jitter) / 100;
    if (!w->ready || w->adopted || seen_is_leaving(w) || !witness_pool_rolls(witness, pool))
        return NULL;
    if (p->disabled_once)
        return NULL; /* what it reached meanwhile is told with a newer reason, or not at all */
    if (settings->recycle_time_ms != 0 && !w->aged && !w->aged_once &&
        witness->now - w->asked_at > age_most(settings))
        return "outlived its age";
    if (settings->recycle_requests != 0 && !w->used && !w->used_once && w->requests > most)
        return "has served more requests than it may";
    return NULL;
}
