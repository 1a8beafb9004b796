/* change.c - what a change of configuration does to a pool that exists. */
#include "supervisor/core/change.h"
#include "supervisor/core/failure.h"
#include "supervisor/core/pool.h"
#include "supervisor/core/reason.h"
#include "supervisor/core/recycle.h"
#include "supervisor/core/roll.h"
#include "supervisor/core/runs.h"
#include "supervisor/core/worker.h"

static void take_back(struct core *, uint32_t pool);
static void renew(struct core *, uint32_t pool);
static void shorten_delays(struct core *, uint32_t pool);

void
change_settings(struct core *core, uint32_t pool, const struct pool_settings *settings, bool apply)
{
    const struct pool *p = pool_at(core, pool);
    bool same = memcmp(&p->settings, settings, sizeof(*settings)) == 0;
    if (p->removed)
        take_back(core, pool);
    if (same && !apply)
        return;
    struct pool *edit = pool_edit(core, pool);
    edit->changed = true;
    if (same)
        return;

    bool renewed = p->settings.fingerprint != settings->fingerprint ||
                   p->settings.has_sockets != settings->has_sockets;
    edit->settings = *settings;
    if (p->reason == REASON_REFUSED && !settings->refused)
        edit->reason = REASON_NONE;
    if (failures_at(core, pool)->len > settings->max_failures)
        failures_trim(core, pool);
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i)) {
        reason_judge_again(core, i);
        worker_arm(core, i);
    }
    if (renewed)
        renew(core, pool);
    else
        shorten_delays(core, pool);
}

static void
take_back(struct core *core, uint32_t pool)
{
    struct pool *p = pool_edit(core, pool);
    p->removed = false;
    if (p->reason == REASON_REMOVED)
        p->reason = REASON_NEVER;
    act_pool(core, ACT_POOL_CHANGED, pool);
}

/* Another fingerprint: the sockets may be others, and nothing of the past counts. */
static void
renew(struct core *core, uint32_t pool)
{
    struct pool *p = pool_edit(core, pool);
    p->bound = false;
    if (p->binding == BIND_ASKED)
        p->binding = BIND_STALE;
    pool_forgive(core, pool);
    if (p->state == POOL_DISABLED && pool_is_wanted(core, pool))
        pool_enable(core, pool, CAUSE_CONFIG_CHANGE);
}

static void
shorten_delays(struct core *core, uint32_t pool)
{
    struct pool *p = pool_edit(core, pool);
    msec latest = after(core->now, p->settings.failure_delay_max_ms);
    p->next_start_at = MIN(p->next_start_at, latest);
    p->retry_at = MIN(p->retry_at, latest);
}

/* --- Sizes. */

/* A slot beyond a size that was made smaller is given up, with whatever was to follow in it. Of two
 * that stay in one slot (taken in after a lost state) the newer one goes. */
static void
drain_surplus(struct core *core, uint32_t pool)
{
    uint32_t size = pool_at(core, pool)->settings.workers_max;
    uint32_t taken = NONE;
    for (uint32_t i = worker_first(core, pool), next; i != NONE; i = next) {
        next = worker_next(core, i);
        const struct worker *w = worker_at(core, i);
        bool beyond = w->id.slot >= size;
        bool incumbent = worker_stays(w) && !recycle_is_trial(core, i);
        if (beyond || (incumbent && w->id.slot == taken)) {
            recycle_cancel(core, i);
            if (w->state == WORKER_GONE)
                recycle_drop_gone(core, i);
            else if (worker_stays(w))
                worker_leave(core, i, CAUSE_SURPLUS);
        } else if (incumbent) {
            taken = w->id.slot;
        }
    }
}

/* --- Drifted workers. */

/* A successor that has drifted while it was on trial. */
static void
give_up_stale_trials(struct core *core, uint32_t pool)
{
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i))
        if (recycle_is_trial(core, i) && worker_has_drifted(core, i))
            recycle_give_up(core, i);
}

static bool
any_drifted(const struct core *core, uint32_t pool)
{
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i))
        if (worker_has_drifted(core, i))
            return true;
    return false;
}

/* Who has drifted joins the roll: also a worker that became ready, or whose original died, since the
 * roll began. Who has no drift any more leaves it, unless every worker is asked for. */
static void
mark_drifted(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i)) {
        const struct worker *w = worker_at(core, i);
        if (!worker_stays(w) || recycle_is_trial(core, i))
            continue;
        if (worker_has_drifted(core, i)) {
            if (!w->in_roll || w->leave != p->roll_cause)
                roll_join(core, i, p->roll_cause);
        } else if (w->in_roll && !w->begun && w->leave == CAUSE_CONFIG_CHANGE) {
            if (p->roll_all)
                recycle_mark(core, i, CAUSE_ON_DEMAND);
            else
                roll_leave(core, i);
        }
    }
}

/* Nobody is to be replaced for a change any more. */
static void
stop_replacing(struct core *core, uint32_t pool)
{
    struct pool *p = pool_edit(core, pool);
    if (!p->roll_drifted)
        return;
    if (!p->roll_all) {
        roll_end(core, pool, ROLL_CANCELLED);
        return;
    }
    p->roll_drifted = false;
    p->roll_cause = CAUSE_ON_DEMAND;
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i)) {
        const struct worker *w = worker_at(core, i);
        if (worker_stays(w) && w->in_roll && w->leave == CAUSE_CONFIG_CHANGE)
            recycle_mark(core, i, CAUSE_ON_DEMAND);
    }
}

static void
take_rules(struct core *core, uint32_t pool)
{
    for (uint32_t i = worker_first(core, pool), next; i != NONE; i = next) {
        next = worker_next(core, i); /* who becomes ready may free the record of its original */
        worker_take_rule(core, i);
    }
}

void
change_go_on(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    if (p->slots_filled > p->settings.workers_min)
        pool_edit(core, pool)->slots_filled = (uint16_t)p->settings.workers_min;
    drain_surplus(core, pool);
    if (p->changed) {
        pool_edit(core, pool)->changed = false;
        if (!p->settings.on_config_change) {
            stop_replacing(core, pool);
        } else {
            give_up_stale_trials(core, pool);
            if (any_drifted(core, pool))
                roll_for_change(core, pool);
        }
        take_rules(core, pool);
    }
    if (p->roll_drifted)
        mark_drifted(core, pool);
}

void
change_forget(struct core *core, uint32_t pool)
{
    if (pool_at(core, pool)->changed)
        pool_edit(core, pool)->changed = false;
}

/* --- Removal. */

void
change_remove(struct core *core, uint32_t pool)
{
    struct pool *p = pool_edit(core, pool);
    if (p->removed)
        return;
    p->removed = true;
    p->wanted_up = false;
    p->bound = false; /* whoever takes it back asks what has become of its sockets */
    if (p->binding == BIND_ASKED)
        p->binding = BIND_STALE;
    p->bind_error = 0;
    p->bind_streak = 0;
    if (p->state == POOL_STOPPED || p->state == POOL_STOPPING)
        p->reason = REASON_REMOVED;
    act_pool(core, ACT_POOL_CHANGED, pool);
}

void
change_forget_pool(struct core *core, uint32_t pool)
{
    struct pool *p = pool_edit(core, pool);
    assert(p->removed && p->state == POOL_STOPPED && pool_records(core, pool) == 0);
    if (p->binding != BIND_NOT)
        return; /* its answer would be taken for one to the next pool of this place */
    failures_clear(core, pool);
    runs_clear(core, pool);
    uint32_t generation = p->generation;
    memset(p, 0, sizeof(*p));
    p->generation = generation;
    act_pool(core, ACT_POOL_GONE, pool);
}
