/* recycle.c - the replacement of workers on purpose. */
#include "supervisor/core/recycle.h"
#include "supervisor/core/failure.h"
#include "supervisor/core/pool.h"
#include "supervisor/core/reason.h"
#include "supervisor/core/roll.h"
#include "supervisor/core/turn.h"
#include "supervisor/core/worker.h"

void
recycle_mark(struct core *core, uint32_t worker, enum cause cause)
{
    assert(worker_stays(worker_at(core, worker)));
    struct worker *w = worker_edit(core, worker);
    bool known = w->leave == cause || (w->reasons_told >> cause & 1) != 0;
    if (w->leave == CAUSE_NONE)
        w->asked_at = core->now;
    w->leave = (uint8_t)cause;
    if (reason_event(cause) == 0 || known)
        return;
    w->reasons_told = (uint16_t)(w->reasons_told | (w->reasons & 1u << cause));
    struct action *action = tell_worker(core, reason_event(cause), worker);
    action->cause = cause;
    recycle_say_measured(w, action);
}

void
recycle_say_measured(const struct worker *w, struct action *action)
{
    if (action->cause != w->reason)
        return;
    action->measured = w->measured;
    if (action->cause == CAUSE_REQUESTS)
        action->measured = MAX(w->measured, w->requests);
    action->limit_value = w->limit_value;
}

void
recycle_request(struct core *core, uint32_t worker, enum cause cause)
{
    const struct worker *w = worker_at(core, worker);
    assert(cause == CAUSE_ON_DEMAND || cause == CAUSE_UNHEALTHY);
    if (!worker_stays(w) || w->state == WORKER_SPAWNING)
        return;
    if (cause == CAUSE_UNHEALTHY) {
        if (!reason_stands(w, cause))
            reason_found(core, worker, cause, 0, 0);
    } else if (pool_is_up(core, w->id.pool) && w->leave != cause) {
        recycle_mark(core, worker, cause);
        tell_worker(core, TELL_RECYCLE_ON_DEMAND, worker)->cause = cause;
    }
}

void
recycle_unmark(struct core *core, uint32_t worker)
{
    struct worker *w = worker_edit(core, worker);
    w->leave = CAUSE_NONE;
    w->asked_at = 0;
}

static void
recycle_begin(struct core *core, uint32_t original)
{
    struct worker *o = worker_edit(core, original);
    assert(o->leave != CAUSE_NONE && !o->begun && !o->replaced);
    o->begun = true;
    turn_begin(core, original);
}

void
recycle_begin_overlapped(struct core *core, uint32_t original, uint32_t successor)
{
    recycle_begin(core, original);
    recycle_follow(core, original, successor);
}

void
recycle_begin_exclusive(struct core *core, uint32_t original)
{
    recycle_begin(core, original);
    worker_leave(core, original, worker_at(core, original)->leave);
}

void
recycle_follow(struct core *core, uint32_t original, uint32_t successor)
{
    struct worker *o = worker_edit(core, original), *s = worker_edit(core, successor);
    assert(o->begun && o->successor == NONE && s->original == NONE);
    assert(o->id.pool == s->id.pool && o->id.slot == s->id.slot);
    o->successor = successor;
    o->replaced_by = s->id.generation;
    s->original = original;
}

bool
recycle_awaits_follower(const struct worker *w)
{
    return w->begun && !w->replaced && w->successor == NONE && !worker_stays(w);
}

/* Cuts the tie between a successor and its original; both records stay. */
static uint32_t
recycle_untie(struct core *core, uint32_t successor)
{
    uint32_t original = worker_at(core, successor)->original;
    if (original == NONE)
        return NONE;
    assert(worker_at(core, original)->successor == successor);
    worker_edit(core, successor)->original = NONE;
    worker_edit(core, original)->successor = NONE;
    return original;
}

/* The closing line. The successor's record may be gone, so its name and times come from the
 * original's. */
static void
recycle_close(struct core *core, uint32_t original, msec gone_at)
{
    struct worker *o = worker_edit(core, original);
    struct action *action = tell_pool(core, TELL_RECYCLE_DONE, o->id.pool);
    action->worker = o->id;
    action->worker.generation = o->replaced_by;
    action->handle = core_handle(core, action->worker);
    action->other = o->id;
    action->other_handle = original;
    action->cause = o->leave;
    recycle_say_measured(o, action);
    action->killed = o->killed;
    action->start_ms = o->start_ms;
    action->drain_ms = o->drain_at == 0 ? 0 : gone_at - o->drain_at;
    action->total_ms = core->now - o->asked_at;
    if (o->in_roll)
        pool_edit(core, o->id.pool)->roll_replaced++;
    turn_end(core, original);
    o->begun = o->in_roll = false;
    struct pool *p = pool_edit(core, o->id.pool);
    p->retry_streak = 0;
    p->retry_at = 0;
}

void
recycle_successor_ready(struct core *core, uint32_t worker)
{
    uint32_t original = recycle_untie(core, worker);
    if (original == NONE)
        return;
    const struct worker *s = worker_at(core, worker);
    struct worker *o = worker_edit(core, original);
    o->replaced = true;
    o->start_ms = s->ready_at - s->spawned_at;
    if (o->state == WORKER_GONE) {
        recycle_close(core, original, o->since);
        recycle_drop_gone(core, original);
    } else if (worker_stays(o)) {
        worker_leave(core, original, o->leave);
    }
}

void
recycle_successor_failed(struct core *core, uint32_t worker)
{
    bool trial = recycle_is_trial(core, worker);
    uint32_t original = recycle_untie(core, worker);
    if (!trial && original != NONE)
        turn_end(core, original);
    if (!trial)
        return;

    struct worker *o = worker_edit(core, original);
    uint32_t pool = o->id.pool;
    enum cause cause = o->leave;
    msec retry_ms = MSEC_NEVER;
    turn_end(core, original);
    o->begun = false;
    if (cause_is_tried_again(cause)) {
        struct pool *p = pool_edit(core, pool);
        if (p->retry_streak < UINT16_MAX - 1)
            p->retry_streak++;
        retry_ms = failure_delay_ms(core, &p->settings, p->retry_streak + 1u);
        p->retry_at = MAX(p->retry_at, after(core->now, retry_ms));
    }
    struct action *action = tell_worker(core, TELL_RECYCLE_FAILED, worker);
    action->other = o->id;
    action->other_handle = original;
    action->cause = cause;
    action->retry_ms = retry_ms;
    reason_judge_again(core, original);
    if (cause_is_tried_again(cause))
        return;
    if (o->in_roll)
        roll_end(core, pool, ROLL_FAILED);
    recycle_unmark(core, original);
}

void
recycle_give_up(struct core *core, uint32_t worker)
{
    assert(recycle_is_trial(core, worker));
    uint32_t original = recycle_untie(core, worker);
    struct worker *o = worker_edit(core, original);
    turn_end(core, original);
    o->begun = false;
    struct action *action = tell_worker(core, TELL_RECYCLE_CONFIG_CHANGE, worker);
    action->other = o->id;
    action->other_handle = original;
    action->cause = o->leave;
    bool asked_for = o->in_roll && pool_of(core, original)->roll_all;
    bool reason = cause_is_tried_again(o->leave);
    bool again = reason || asked_for || worker_has_drifted(core, original);
    action->retry_ms = again ? 0 : MSEC_NEVER;
    reason_judge_again(core, original);
    if (!o->in_roll && !reason)
        recycle_unmark(core, original); /* it began in a roll that is over */
    worker_leave(core, worker, CAUSE_SURPLUS);
}

bool
recycle_original_died(struct core *core, uint32_t worker)
{
    const struct worker *o = worker_at(core, worker);
    if (!o->begun)
        return false;
    if (!o->replaced)
        return true;
    recycle_close(core, worker, core->now);
    return false;
}

void
recycle_cancel(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    if (w->successor != NONE)
        recycle_untie(core, w->successor);
    recycle_untie(core, worker);
    if (w->replaced)
        return; /* its successor took over: it ends as it began */
    if (w->begun || w->in_roll) {
        struct worker *o = worker_edit(core, worker);
        turn_end(core, worker);
        o->begun = o->in_roll = false;
    }
}

void
recycle_forget_mark(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    if (w->in_roll && !w->begun)
        worker_edit(core, worker)->in_roll = false;
}

void
recycle_drop_gone(struct core *core, uint32_t worker)
{
    assert(worker_at(core, worker)->successor == NONE);
    worker_enter(core, worker, WORKER_FREE);
}
