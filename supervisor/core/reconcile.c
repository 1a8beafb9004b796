/* reconcile.c - compares what a pool should be with what it is, and acts on the difference. */
#include "supervisor/core/change.h"
#include "supervisor/core/failure.h"
#include "supervisor/core/pool.h"
#include "supervisor/core/reason.h"
#include "supervisor/core/recycle.h"
#include "supervisor/core/roll.h"
#include "supervisor/core/start.h"
#include "supervisor/core/turn.h"
#include "supervisor/core/worker.h"

/* What one pass over a pool's workers finds. */
struct findings {
    bool whole;         /* as many records as a pool may have: no start before one goes */
    uint32_t under_way; /* recycles that have begun and whose successor is not ready */
    uint32_t in_roll;
    uint32_t vacant;  /* the first slot that lacks an incumbent and may be filled; NONE */
    uint32_t follows; /* whom its next worker follows; NONE */
    uint32_t marked;  /* the first worker whose recycle may begin now; NONE */
    msec opens_at;    /* when a vacant slot that must wait may be filled; MSEC_NEVER */
    msec begins_at;   /* when a recycle may begin, as far as time goes; MSEC_NEVER */
};

static void pool_go_down(struct core *, uint32_t pool);
static void pool_stay_disabled(struct core *, uint32_t pool);
static msec pool_go_up(struct core *, uint32_t pool); /* returns the pool's deadline */
static void pool_look(const struct core *, uint32_t pool, struct findings *);
static enum start_class pool_class(const struct core *, uint32_t pool, const struct findings *);

void
pool_reconcile(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    msec due = MSEC_NEVER;
    if (!p->added || core->pool_more[pool].held)
        return;
    if (!pool_is_wanted(core, pool))
        pool_go_down(core, pool);
    else if (p->state == POOL_DISABLED)
        pool_stay_disabled(core, pool);
    else
        due = pool_go_up(core, pool);
    due_set_pool(core, pool, due);
}

/* A pool that waits for a place or a turn needs no deadline: what is given wakes it. */
static msec
pool_due(const struct core *core, uint32_t pool, const struct findings *findings)
{
    const struct pool *p = pool_at(core, pool);
    if (pool_lacks_sockets(core, pool))
        return p->binding != BIND_NOT ? MSEC_NEVER : p->next_start_at;
    if (p->queue != 0)
        return MSEC_NEVER;
    return p->turn == TURN_WAITS ? findings->opens_at
                                 : MIN(findings->opens_at, findings->begins_at);
}

void
pool_arm(struct core *core, uint32_t pool)
{
    msec due = MSEC_NEVER;
    if (pool_is_wanted(core, pool) && pool_at(core, pool)->state != POOL_DISABLED) {
        struct findings findings;
        pool_look(core, pool, &findings);
        due = pool_due(core, pool, &findings);
    }
    due_set_pool(core, pool, due);
}

/* --- Down. */

/* Why it goes down. A removal that was taken back while it drained is what it drains for. */
static enum cause
pool_down_cause(const struct core *core, const struct pool *p)
{
    if (p->removed || (p->state == POOL_STOPPING && p->reason == REASON_NEVER))
        return CAUSE_REMOVED;
    if (!p->wanted_up)
        return CAUSE_STOP;
    bool refused = p->reason == REASON_REFUSED || global_at(core)->shutdown == SHUTDOWN_NOT;
    return refused ? CAUSE_REFUSED : CAUSE_SHUTDOWN;
}

static enum pool_reason
pool_down_reason(enum cause cause)
{
    if (cause == CAUSE_REMOVED)
        return REASON_REMOVED;
    if (cause == CAUSE_REFUSED)
        return REASON_REFUSED;
    return cause == CAUSE_SHUTDOWN ? REASON_SHUTDOWN : REASON_OPERATOR;
}

/* It is wanted, and its settings are refused from now on: told once, also of a pool that is down. */
static void
pool_be_refused(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    bool refused = p->wanted_up && p->settings.refused;
    if (!refused || p->reason == REASON_REFUSED || global_at(core)->shutdown != SHUTDOWN_NOT)
        return;
    tell_pool(core, TELL_POOL_NOT_STARTED, pool)->cause = CAUSE_REFUSED;
    if (p->state != POOL_STOPPED && p->state != POOL_STOPPING)
        return;
    pool_edit(core, pool)->reason = REASON_REFUSED;
    act_pool(core, ACT_POOL_CHANGED, pool);
}

static void
pool_go_down(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    change_forget(core, pool);
    turn_give_back(core, pool);
    pool_be_refused(core, pool);
    enum cause cause = pool_down_cause(core, p);
    if (p->state != POOL_STOPPED && p->state != POOL_STOPPING) {
        roll_end(core, pool, ROLL_CANCELLED);
        pool_enter(core, pool, POOL_STOPPING, pool_down_reason(cause));
    }
    for (uint32_t i = worker_first(core, pool), next; i != NONE; i = next) {
        next = worker_next(core, i);
        recycle_cancel(core, i);
        if (worker_at(core, i)->state == WORKER_GONE)
            recycle_drop_gone(core, i);
        else if (global_at(core)->shutdown == SHUTDOWN_HURRY)
            worker_kill(core, i);
        else
            worker_leave(core, i, cause);
    }
    if (p->state != POOL_STOPPED && pool_records(core, pool) == 0) {
        pool_enter(core, pool, POOL_STOPPED, p->reason);
        tell_pool(core, TELL_POOL_STOPPED, pool)->cause = cause;
    }
    if (p->state == POOL_STOPPED && p->removed)
        change_forget_pool(core, pool);
}

static void
pool_stay_disabled(struct core *core, uint32_t pool)
{
    change_forget(core, pool);
    turn_give_back(core, pool);
    for (uint32_t i = worker_first(core, pool), next; i != NONE; i = next) {
        next = worker_next(core, i);
        const struct worker *w = worker_at(core, i);
        if (w->state == WORKER_GONE && w->successor == NONE)
            recycle_drop_gone(core, i);
    }
}

/* --- Up. */

static msec
pool_go_up(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    if (pool_lacks_sockets(core, pool))
        pool_ask_for_sockets(core, pool);
    struct findings findings = {.opens_at = MSEC_NEVER, .begins_at = MSEC_NEVER};
    if (p->state == POOL_STOPPED)
        change_forget(core, pool);
    if (p->state == POOL_STOPPED && pool_lacks_sockets(core, pool))
        return pool_due(core, pool, &findings);
    if (p->state == POOL_STOPPED || p->state == POOL_STOPPING)
        pool_enter(core, pool, POOL_STARTING, REASON_NONE);
    change_go_on(core, pool);
    reason_mark_all(core, pool);

    for (;;) {
        pool_look(core, pool, &findings);
        if (p->settings.overlap || findings.marked == NONE || !turn_take(core, pool))
            break;
        recycle_begin_exclusive(core, findings.marked); /* at most `surge` are under way */
    }
    if (p->roll_cause != CAUSE_NONE && findings.in_roll == 0)
        roll_end(core, pool, ROLL_DONE);
    if (p->state == POOL_STARTING && core->pool_more[pool].ready >= p->settings.workers_min) {
        pool_enter(core, pool, POOL_STARTED, REASON_NONE);
        tell_pool(core, TELL_POOL_STARTED, pool);
    }
    if (findings.marked == NONE)
        turn_give_back(core, pool);
    bool recycles = findings.marked != NONE && turn_take(core, pool);
    if (findings.vacant != NONE || recycles)
        start_wait(core, pool, pool_class(core, pool, &findings));
    else
        start_wait_no_more(core, pool);
    return pool_due(core, pool, &findings);
}

/* Why a slot without an incumbent gets a worker. */
static enum cause
vacant_cause(const struct pool *p, uint32_t slot)
{
    bool is_new = slot >= p->slots_filled;
    if (p->state == POOL_STARTING)
        return is_new || p->streak == 0 ? CAUSE_START : CAUSE_REPLACEMENT;
    return is_new ? CAUSE_GROWTH : CAUSE_REPLACEMENT;
}

void
pool_start_next(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    struct findings findings;
    pool_look(core, pool, &findings);
    assert(findings.vacant != NONE || findings.marked != NONE);
    if (findings.vacant == NONE && !turn_take(core, pool))
        return; /* there was no limit when it began to wait for a place */

    uint32_t slot = findings.vacant, original = findings.follows;
    if (slot == NONE) {
        original = findings.marked;
        slot = worker_at(core, original)->id.slot;
    }
    enum cause cause = original != NONE ? worker_at(core, original)->leave : vacant_cause(p, slot);
    if (slot >= p->slots_filled)
        pool_edit(core, pool)->slots_filled = (uint16_t)(slot + 1);

    struct worker_id id = {.pool = pool, .slot = slot};
    id.generation = ++pool_edit(core, pool)->generation;
    assert(id.generation != 0); /* 2^32 starts of one pool: 13 years at ten a second */
    uint32_t worker = worker_spawn(core, id, cause);
    if (findings.vacant == NONE)
        recycle_begin_overlapped(core, original, worker);
    else if (original != NONE)
        recycle_follow(core, original, worker);
}

/* One slot's records. */
struct slot {
    uint32_t incumbent; /* stays, and is not on trial; NONE */
    uint32_t follows;   /* dead or leaving, and its recycle waits for a follower; NONE */
    uint32_t leavers;   /* living */
};

/* Reads the records of one slot and returns the first of the next. */
static uint32_t
slot_look(const struct core *core, uint32_t first, uint32_t number, struct slot *slot)
{
    *slot = (struct slot){.incumbent = NONE, .follows = NONE};
    uint32_t i = first;
    for (; i != NONE && worker_at(core, i)->id.slot == number; i = worker_next(core, i)) {
        const struct worker *w = worker_at(core, i);
        if (recycle_awaits_follower(w))
            slot->follows = i;
        if (worker_is_leaving(w) && w->state != WORKER_GONE)
            slot->leavers++;
        if (worker_stays(w) && !recycle_is_trial(core, i))
            slot->incumbent = i;
    }
    return i;
}

static bool
recycle_may_begin(const struct worker *w, const struct slot *slot)
{
    return w->leave != CAUSE_NONE && !w->begun && w->original == NONE && slot->leavers == 0 &&
           w->state != WORKER_SPAWNING; /* it may yet fail to exist: nothing to replace */
}

static void
slot_judge(const struct core *core, const struct pool *p, uint32_t number, const struct slot *slot,
           struct findings *findings)
{
    if (slot->incumbent == NONE) {
        if (!p->settings.overlap && slot->leavers > 0)
            return;
        findings->opens_at = MIN(findings->opens_at, p->next_start_at);
        if (findings->vacant == NONE && p->next_start_at <= core->now) {
            findings->vacant = number;
            findings->follows = slot->follows;
        }
        return;
    }
    const struct worker *w = worker_at(core, slot->incumbent);
    if (findings->under_way >= p->settings.surge || !recycle_may_begin(w, slot))
        return;
    bool tried_again = cause_is_tried_again(w->leave);
    msec at = tried_again ? MAX(p->next_start_at, p->retry_at) : p->next_start_at;
    findings->begins_at = MIN(findings->begins_at, at);
    if (findings->marked == NONE && at <= core->now)
        findings->marked = slot->incumbent;
}

static void
pool_look(const struct core *core, uint32_t pool, struct findings *findings)
{
    const struct pool *p = pool_at(core, pool);
    const struct pool_settings *settings = &p->settings;
    *findings = (struct findings){.vacant = NONE,
                                  .follows = NONE,
                                  .marked = NONE,
                                  .opens_at = MSEC_NEVER,
                                  .begins_at = MSEC_NEVER};

    uint32_t first = worker_first(core, pool);
    for (uint32_t i = first; i != NONE; i = worker_next(core, i)) {
        const struct worker *w = worker_at(core, i);
        findings->under_way += w->begun && !w->replaced;
        findings->in_roll += w->in_roll;
    }
    if (pool_lacks_sockets(core, pool))
        return;
    if (pool_records(core, pool) >= 2 * settings->workers_max + settings->surge)
        return;
    for (uint32_t number = 0; number < settings->workers_min; number++) {
        struct slot slot;
        first = slot_look(core, first, number, &slot);
        slot_judge(core, p, number, &slot, findings);
    }
}

static enum start_class
pool_class(const struct core *core, uint32_t pool, const struct findings *findings)
{
    const struct pool *p = pool_at(core, pool);
    bool dark = core->pool_more[pool].ready == 0;
    bool lately = core->now - p->failed_at < p->settings.failure_interval_ms;
    if (p->streak >= 2 && lately)
        return START_FAILING;
    if (dark && failures_in_window(core, pool, core->now) == 0)
        return START_DARK;
    bool starts = p->state == POOL_STARTING && p->streak == 0;
    if (findings->vacant != NONE && (starts || findings->vacant >= p->slots_filled))
        return START_GROWTH;
    return START_REPLACEMENT;
}
