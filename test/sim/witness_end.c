/* witness_end.c - what must have happened by the end of a step, and by the end of a life. */
#include "test/sim/sim.h"
#include "test/sim/witness.h"

/* W4: nobody outlives a limit, once every deadline that has come was attended to. */
static const char *
overdue(const struct witness *witness, uint32_t pool, const struct seen *w)
{
    if (!w->spawned || w->exited || w->killed)
        return NULL;
    if (w->leaving_at != 0 && seen_stop_is_over(witness, pool, w))
        return "outlived its stop limit";
    if (w->drained && !w->stopping && !w->signalled && witness->now - w->leaving_at >= 2000)
        return "was not signalled";
    if (!w->ready && !seen_is_leaving(w) && seen_start_is_over(witness, pool, w))
        return "outlived its start limit";
    if (w->doomed && w->leaving_at == 0)
        return "was not told to leave";
    if (w->rule == READY_EXEC && w->executed && !w->ready && !seen_is_leaving(w))
        return "runs and is not ready";
    return NULL;
}

/* The end of the worker that this step's event was about. */
static const char *
untold(const struct witness *witness)
{
    const struct event *event = &witness->event;
    if (event->worker.generation == 0 || event->kind == EV_LISTED)
        return NULL;
    const struct seen_pool *p = &witness->pools[event->worker.pool];
    if (event->worker.generation >= p->cap)
        return NULL;
    const struct seen *w = &p->workers[event->worker.generation];
    if (!w->known || w->slot != event->worker.slot || w->homeless)
        return NULL;
    if (event->kind == EV_EXITED && w->spawned && (!w->ended || !w->released))
        return "exited, and nobody told or released it";
    if (event->kind == EV_SPAWNED && w->spawned && !w->started_told)
        return "exists, and nobody told";
    if (event->kind == EV_READY && w->rule == READY_NOTIFY && w->spawned && !w->ready &&
        !seen_is_leaving(w))
        return "said READY=1 and is not ready";
    return NULL;
}

void
witness_step_end(struct witness *witness, bool more_is_due)
{
    struct worker_id id = witness->event.worker;
    const char *broken = untold(witness);
    bool all_attended = witness->event.kind == EV_TICK && !more_is_due;
    if (broken != NULL)
        sim_fail(witness->sim, "%u/%u.%u: %s", id.pool, id.slot, id.generation, broken);

    for (uint32_t i = 0; i < witness->sim->swarm.pools; i++) {
        struct seen_pool *p = &witness->pools[i];
        if (p->must_disable && !p->leftovers)
            sim_fail(witness->sim, "pool %u: too many failures, and it is not disabled", i);
        p->must_disable = false;
        if ((broken = change_untold(witness, p)) != NULL)
            sim_fail(witness->sim, "pool %u: %s", i, broken);
        p->running |= witness_pool_is_up(witness, i);
        if (p->rolling && !witness_pool_rolls(witness, i) && !witness->sim->resuming)
            sim_fail(witness->sim, "pool %u: a roll outlives the pool", i);
        if (p->roll_refused || (p->roll_begins && witness->event.cause == CAUSE_ON_DEMAND))
            sim_fail(witness->sim, "pool %u: a recycle was asked for, and nobody answered", i);
        if (p->roll_empty && p->rolling)
            sim_fail(witness->sim, "pool %u: a recycle of nobody does not end", i);
        p->time_is_new = false;
        p->roll_begins = p->roll_unclear = p->roll_empty = false;
        for (uint32_t k = 0; all_attended && k < p->living_len; k++) {
            const struct seen *w = &p->workers[p->living[k]];
            broken = overdue(witness, i, w);
            if (broken == NULL)
                broken = limit_overdue(witness, i, w);
            if (broken != NULL)
                sim_fail(witness->sim, "%u/%u.%u: %s", i, w->slot, p->living[k], broken);
        }
    }
}

void
witness_quiet(struct witness *witness)
{
    for (uint32_t i = 0; i < witness->sim->swarm.pools; i++) {
        const struct seen_pool *p = &witness->pools[i];
        if (p->rolling)
            sim_fail(witness->sim, "pool %u: a roll never ended", i);
        for (uint32_t k = 1; k <= p->last && k < p->cap; k++)
            if (p->workers[k].recycle == RECYCLE_BEGUN)
                sim_fail(witness->sim, "%u/%u.%u: its recycle was never closed", i,
                         p->workers[k].slot, k);
    }
}
