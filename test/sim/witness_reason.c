/* witness_reason.c - the witness's account of why workers are replaced by themselves. */
#include "test/sim/sim.h"
#include "test/sim/witness.h"

bool
cause_is_kept(enum cause cause)
{
    return cause == CAUSE_UNHEALTHY || cause == CAUSE_TIME;
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

void
ages_are_unclear(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    for (uint32_t i = 0; i < p->living_len; i++) {
        struct seen *w = &p->workers[p->living[i]];
        w->aged_once |= w->aged;
        w->aged = false;
    }
}

const char *
age_overdue(const struct witness *witness, uint32_t pool, const struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, pool);
    const struct seen_pool *p = &witness->pools[pool];
    if (settings->recycle_time_ms == 0 || !w->ready || w->adopted || seen_is_leaving(w) ||
        w->aged || w->aged_once || !witness_pool_rolls(witness, pool))
        return NULL;
    if (p->disabled_once && (p->rolling || w->untrusted || w->recycle == RECYCLE_BEGUN))
        return NULL; /* it reached its age meanwhile, and is replaced for something newer */
    if (witness->now - w->asked_at > age_most(settings))
        return "outlived its age";
    return NULL;
}
