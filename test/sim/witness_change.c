/* witness_change.c - the witness's account of changed configurations: what a pool was told, who has
 * drifted, and what must follow. */
#include "test/sim/sim.h"
#include "test/sim/witness.h"
#include <string.h>

bool
seen_has_drifted(const struct witness *witness, uint32_t pool, const struct seen *w)
{
    return w->fingerprint != witness_settings(witness, pool)->fingerprint;
}

void
seen_take_settings(const struct witness *witness, uint32_t pool, struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, pool);
    w->fingerprint = settings->fingerprint;
    w->rule = settings->ready;
}

/* Whoever stays in a slot beyond the size is to go. A disabled pool drains nobody. */
void
pool_may_shrink(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    uint32_t size = witness_settings(witness, pool)->workers_max;
    for (uint32_t i = 0; i < p->living_len; i++) {
        struct seen *w = &p->workers[p->living[i]];
        if (w->slot >= size && !seen_is_leaving(w))
            w->doomed = true;
    }
    recycles_are_cancelled(p, size);
}

/* Whether anybody serves, or is to serve, who was started with other settings. Who was never made
 * when an engine resumes is made now, with those of today. */
static bool
has_drifted(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    for (uint32_t i = 0; i < p->living_len; i++) {
        const struct seen *w = &p->workers[p->living[i]];
        if (!seen_is_leaving(w) && seen_has_drifted(witness, pool, w) &&
            (w->spawned || witness->event.kind != EV_POOL_RESUME) &&
            seen_original(witness, pool, p->living[i]) == NULL)
            return true;
    }
    return false;
}

/* Whoever starts is judged by the newest rule, unless that is one that may have been met before. */
static void
take_rules(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    const struct pool_settings *settings = witness_settings(witness, pool);
    for (uint32_t i = 0; settings->ready != READY_NOTIFY && i < p->living_len; i++) {
        struct seen *w = &p->workers[p->living[i]];
        if (w->ready || seen_is_leaving(w) || w->rule == settings->ready)
            continue;
        w->rule = settings->ready;
        w->ready_after_ms = settings->ready_after_ms;
        w->executed_at = witness->now;
    }
}

/* A successor on trial that was started with other settings: it is to be given up. */
static bool
is_stale_trial(struct witness *witness, uint32_t pool, uint32_t generation)
{
    const struct seen *w = &witness->pools[pool].workers[generation];
    return !seen_is_leaving(w) && seen_has_drifted(witness, pool, w) &&
           (w->spawned || witness->event.kind != EV_POOL_RESUME) &&
           seen_original(witness, pool, generation) != NULL;
}

/* The pool's workers are compared with its settings. */
static void
compare(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    bool disabled = p->disabled;
    p->disabled &= !p->must_enable;
    bool rolls = witness_pool_rolls(witness, pool);
    p->disabled = disabled;
    p->compare = false;
    if (!rolls)
        return;
    pool_may_shrink(witness, pool);
    take_rules(witness, pool);
    p->change_begins = witness_settings(witness, pool)->on_config_change && !p->rolling &&
                       !p->leftovers && has_drifted(witness, pool);
    p->rolling |= p->change_begins;
    p->trials_due = 0;
    for (uint32_t i = 0; !p->leftovers && p->settings.on_config_change && i < p->living_len; i++)
        p->trials_due += is_stale_trial(witness, pool, p->living[i]);
}

static void
is_renewed(struct seen_pool *p, uint32_t shutdowns)
{
    p->bound = false;
    p->bind_stale = p->bind_asked;
    p->failed_len = p->streak = p->retry_streak = 0;
    p->streak_at = p->not_before = p->retry_not_before = 0;
    p->must_enable = p->disabled && seen_pool_is_wanted(p) && shutdowns == 0;
}

static void
pool_is_added(struct witness *witness, const struct event *event)
{
    struct seen_pool *p = &witness->pools[event->worker.pool];
    struct pool_settings before = p->settings;
    bool known = p->added, same = memcmp(&before, event->settings, sizeof(before)) == 0;
    p->added = true;
    p->removed = false;
    p->settings = *event->settings;
    if (!known || (same && !event->by_operator))
        return;
    msec latest = witness->now + p->settings.failure_delay_max_ms;
    if (before.fingerprint != p->settings.fingerprint ||
        before.has_sockets != p->settings.has_sockets) {
        is_renewed(p, witness->shutdowns);
    } else if (!same) {
        p->not_before = MIN(p->not_before, latest);
        p->retry_not_before = MIN(p->retry_not_before, latest);
    }
    if (!same)
        limits_are_unclear(witness, event->worker.pool);
    p->compare = true;
}

/* Nothing is asked for a pool before the engine has resumed it. */
void
witness_pool_changed(struct witness *witness, const struct event *event)
{
    struct seen_pool *p = &witness->pools[event->worker.pool];
    if (event->kind == EV_POOL_ADD) {
        pool_is_added(witness, event);
    } else if (event->kind == EV_POOL_REMOVE && p->added) {
        p->removed = true;
        p->wanted = p->bound = false;
        p->bind_stale = p->bind_asked;
    }
    if (witness->sim->resuming && event->kind != EV_POOL_RESUME)
        return;
    if (p->removed || (p->added && p->settings.refused))
        pool_is_doomed(p);
    else if (p->compare)
        compare(witness, event->worker.pool);
}

/* --- Settings that are refused: told once, for as long as somebody wants the pool. */

static bool
is_refused(const struct witness *witness, const struct seen_pool *p)
{
    return p->wanted && p->settings.refused && witness->shutdowns == 0;
}

void
rule_refused(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    if (p->refused_told || !is_refused(witness, p))
        sim_fail(witness->sim, "pool %u is refused, they say", pool);
    p->refused_told = true;
}

/* --- Sockets: one BIND at a time, of the newest ones. */

void
witness_engine_died(struct witness *witness)
{
    for (uint32_t i = 0; i < SIM_POOLS_MAX; i++)
        witness->pools[i].bind_asked = witness->pools[i].bind_stale = false;
}

void
rule_bind(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    if (p->bind_asked || !seen_pool_is_wanted(p) || (p->bound && !p->leftovers) ||
        !p->settings.has_sockets)
        sim_fail(witness->sim, "pool %u: BIND out of turn", pool);
    p->bind_asked = true;
}

void
witness_bind_answered(struct seen_pool *p, bool bound)
{
    p->bound |= bound && p->bind_asked && !p->bind_stale;
    p->bind_asked = p->bind_stale = false;
}

/* --- Removal. */

void
rule_pool_gone(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    if (!p->removed || p->living_len > 0 || p->bind_asked)
        sim_fail(witness->sim, "pool %u is forgotten before its time", pool);
    for (uint32_t i = seen_first_open(p); i <= p->last && i < p->cap; i++) {
        if (p->workers[i].recycle == RECYCLE_BEGUN)
            sim_fail(witness->sim, "%u/%u.%u: its recycle is forgotten", pool, p->workers[i].slot,
                     i);
        p->workers[i].recycle = RECYCLE_NONE;
    }
    /* Names are never given away again, so who there was is remembered. */
    *p = (struct seen_pool){.workers = p->workers,
                            .cap = p->cap,
                            .last = p->last,
                            .first_open = p->first_open,
                            .living = p->living,
                            .living_cap = p->living_cap};
}

/* Who is found in a place without a pool is killed, and released once it is dead. */
void
rule_without_pool(struct witness *witness, const struct action *action)
{
    struct seen *w = seen_find(witness, action->worker);
    bool kill = action->kind == ACT_KILL && witness_is_about(witness, action, EV_LISTED) &&
                w != NULL && w->homeless && !w->killed;
    bool release = action->kind == ACT_RELEASE && witness_is_about(witness, action, EV_EXITED);
    if (!kill && !release)
        BROKEN(witness, action->worker, "asked for a pool that is not there");
    if (kill)
        w->killed = true;
}

/* By the end of the step. NULL: all that must follow from a change has followed. */
const char *
change_untold(const struct witness *witness, const struct seen_pool *p)
{
    if (p->change_begins)
        return "workers have drifted, and nobody replaces them";
    if (p->trials_due != 0)
        return "a successor with old settings stays on trial";
    if (is_refused(witness, p) && !p->refused_told && !witness->sim->resuming)
        return "its settings are refused, and nobody says so";
    if (p->must_enable)
        return "it has other settings, and stays disabled";
    if (p->removed && p->living_len == 0 && !p->bind_asked && !witness->sim->resuming)
        return "it is removed, and not forgotten";
    return NULL;
}
