/* roll.c - a recycle of a whole pool, worker by worker. */
#include "supervisor/core/roll.h"
#include "supervisor/core/pool.h"
#include "supervisor/core/recycle.h"
#include "supervisor/core/worker.h"

void
roll_join(struct core *core, uint32_t worker, enum cause cause)
{
    struct worker *w = worker_edit(core, worker);
    w->in_roll = true;
    if (worker_stays(w))
        recycle_mark(core, worker, cause);
    else
        w->leave = (uint8_t)cause;
}

void
roll_leave(struct core *core, uint32_t worker)
{
    struct worker *w = worker_edit(core, worker);
    assert(w->in_roll && !w->begun);
    w->in_roll = false;
    recycle_unmark(core, worker);
}

/* The pool rolls from now on, or goes on rolling with the newest cause. */
static bool
roll_merge(struct core *core, uint32_t pool, enum cause cause)
{
    struct pool *p = pool_edit(core, pool);
    bool merge = p->roll_cause != CAUSE_NONE;
    p->roll_cause = (uint8_t)cause;
    if (!merge) {
        p->roll_since = core->now;
        p->roll_replaced = 0;
    }
    return merge;
}

/* Whether a request for every worker means this one too. late: the roll that it joins was not for
 * every worker, so it takes in who has been there for as long as the roll. */
static bool
is_asked_for(const struct core *core, const struct worker *w, bool merge, bool late)
{
    bool waits = worker_stays(w) && w->original == NONE && !w->begun;
    bool under_way = w->begun && !w->replaced;
    if (merge && w->in_roll)
        return true;
    if (merge && !(late && w->spawned_at <= pool_at(core, w->id.pool)->roll_since))
        return false;
    return waits || under_way;
}

/* Every worker of a pool that is up is asked for. Returns whether there is any; *merge: a roll was under
 * way. */
static bool
roll_everybody(struct core *core, uint32_t pool, enum cause cause, bool *merge)
{
    *merge = roll_merge(core, pool, cause);
    bool any = false, late = *merge && !pool_at(core, pool)->roll_all;
    pool_edit(core, pool)->roll_all = true;
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i)) {
        if (!is_asked_for(core, worker_at(core, i), *merge, late))
            continue;
        any = true;
        roll_join(core, i, cause);
    }
    return any;
}

void
roll_request(struct core *core, uint32_t pool, enum cause cause)
{
    assert(cause == CAUSE_ON_DEMAND || cause == CAUSE_UNHEALTHY);
    if (!pool_is_up(core, pool)) {
        struct action *action = act_pool(core, ACT_ROLL_ENDED, pool);
        action->cause = cause;
        action->outcome = ROLL_CANCELLED;
        return;
    }
    bool merge, any = roll_everybody(core, pool, cause, &merge);
    /* Where all start anew, or are still to, nothing begins that a line would have to close. */
    if (any && !merge && cause == CAUSE_ON_DEMAND)
        tell_pool(core, TELL_RECYCLE_ON_DEMAND, pool)->cause = cause;
}

void
roll_scheduled(struct core *core, uint32_t pool, uint32_t minute)
{
    bool merge;
    if (!roll_everybody(core, pool, CAUSE_SCHEDULE, &merge))
        return;
    struct action *action = tell_pool(core, TELL_RECYCLE_SCHEDULE, pool);
    action->cause = CAUSE_SCHEDULE;
    action->measured = minute;
}

void
roll_for_change(struct core *core, uint32_t pool)
{
    bool merge = roll_merge(core, pool, CAUSE_CONFIG_CHANGE);
    pool_edit(core, pool)->roll_drifted = true;
    if (!merge)
        tell_pool(core, TELL_RECYCLE_CONFIG_CHANGE, pool)->cause = CAUSE_CONFIG_CHANGE;
}

void
roll_end(struct core *core, uint32_t pool, enum roll_outcome outcome)
{
    if (pool_at(core, pool)->roll_cause == CAUSE_NONE)
        return;
    uint32_t waiting = 0;
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i)) {
        const struct worker *w = worker_at(core, i);
        if (!w->in_roll)
            continue;
        waiting++;
        worker_edit(core, i)->in_roll = false;
        if (!w->begun && worker_stays(w))
            recycle_unmark(core, i);
    }
    assert(outcome != ROLL_DONE || waiting == 0);

    struct pool *p = pool_edit(core, pool);
    struct action *action = act_pool(core, ACT_ROLL_ENDED, pool);
    action->cause = p->roll_cause;
    action->outcome = outcome;
    action->count = p->roll_replaced;
    action->limit = waiting;
    p->roll_cause = CAUSE_NONE;
    p->roll_all = p->roll_drifted = false;
}
