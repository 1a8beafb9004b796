/* pool.c - the machine of a pool: its states, its sockets, and what operators ask of it. */
#include "supervisor/core/pool.h"
#include "supervisor/core/change.h"
#include "supervisor/core/failure.h"
#include "supervisor/core/reason.h"
#include "supervisor/core/recycle.h"
#include "supervisor/core/roll.h"
#include "supervisor/core/start.h"
#include "supervisor/core/turn.h"
#include "supervisor/core/worker.h"

#define S(n) (1u << POOL_##n)

/* clang-format off */
static const uint8_t pool_may_enter[POOL_STATE_COUNT] = {
    [POOL_STOPPED]  = S(STARTING) | S(STOPPING),
    [POOL_STARTING] = S(STARTED) | S(STOPPING) | S(DISABLED),
    [POOL_STARTED]  = S(STOPPING) | S(DISABLED),
    [POOL_STOPPING] = S(STARTING) | S(STOPPED),
    [POOL_DISABLED] = S(STARTING) | S(STOPPING),
};
/* clang-format on */

void
pool_enter(struct core *core, uint32_t pool, enum pool_state to, enum pool_reason reason)
{
    struct pool *p = pool_edit(core, pool);
    assert(pool_may_enter[p->state] & (1u << to));
    p->state = (uint8_t)to;
    p->reason = (uint8_t)reason;
    p->since = core->now;
    if (to == POOL_STARTING)
        p->slots_filled = 0;
    if (to == POOL_STARTED)
        p->slots_filled = (uint16_t)p->settings.workers_min;
    if (to == POOL_STOPPING || to == POOL_STOPPED || to == POOL_DISABLED)
        start_wait_no_more(core, pool);
    act_pool(core, ACT_POOL_CHANGED, pool);
}

bool
pool_is_up(const struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    return (p->state == POOL_STARTING || p->state == POOL_STARTED) && pool_is_wanted(core, pool);
}

bool
pool_is_wanted(const struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    return p->wanted_up && !p->settings.refused && global_at(core)->shutdown == SHUTDOWN_NOT;
}

static void
settings_check(const struct pool_settings *settings)
{
    assert(settings->workers_min >= 1 && settings->workers_min <= settings->workers_max);
    assert(settings->workers_max <= WORKERS_A_POOL_MAX);
    assert(settings->surge >= 1 && settings->surge <= WORKERS_A_POOL_MAX);
    assert(settings->max_failures >= 1 && settings->max_failures <= FAILURES_MAX);
    assert(settings->ready < READY_RULE_COUNT);
    assert(settings->recycle_jitter <= RECYCLE_JITTER_MAX);
}

void
pool_add(struct core *core, uint32_t pool, const struct pool_settings *settings, bool apply)
{
    settings_check(settings);
    if (pool_at(core, pool)->added) {
        change_settings(core, pool, settings, apply);
        return;
    }
    struct pool *p = pool_edit(core, pool);
    p->added = true;
    p->settings = *settings;
    p->state = POOL_STOPPED;
    p->reason = REASON_NEVER;
    p->since = core->now;
}

void
pool_forgive(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    failures_clear(core, pool);
    if (p->bind_error != 0)
        pool_edit(core, pool)->bind_error = 0; /* the asker is to hear if it fails again */
    /* That it failed before is no answer to who asks now. */
    if (p->state == POOL_STOPPED && p->reason == REASON_BIND_FAILED)
        pool_edit(core, pool)->reason = REASON_NONE;
}

void
pool_enable(struct core *core, uint32_t pool, enum cause cause)
{
    tell_pool(core, TELL_POOL_ENABLED, pool)->cause = cause;
    pool_enter(core, pool, POOL_STARTING, REASON_NONE);
}

void
pool_start(struct core *core, uint32_t pool, bool by_operator)
{
    const struct pool *p = pool_at(core, pool);
    bool changed = !p->wanted_up;
    if (p->removed)
        return;
    if (changed)
        pool_edit(core, pool)->wanted_up = true;
    if (by_operator)
        pool_forgive(core, pool);
    if (p->state == POOL_DISABLED && by_operator && pool_is_wanted(core, pool))
        pool_enable(core, pool, CAUSE_START);
    else if (changed)
        act_pool(core, ACT_POOL_CHANGED, pool);
}

void
pool_stop(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    if (!p->wanted_up)
        return; /* a removed pool is not wanted either */
    struct pool *edit = pool_edit(core, pool);
    edit->wanted_up = false;
    edit->bind_error = 0;
    edit->bind_streak = 0;
    if (p->state == POOL_STOPPED || p->reason == REASON_REFUSED)
        edit->reason = REASON_OPERATOR;
    act_pool(core, ACT_POOL_CHANGED, pool);
}

/* --- Sockets. */

bool
pool_lacks_sockets(const struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    return p->settings.has_sockets && !p->bound;
}

static void
bind_ask(struct core *core, uint32_t pool)
{
    pool_edit(core, pool)->binding = BIND_ASKED;
    core->pool_more[pool].bind_asked = true;
    act_pool(core, ACT_BIND, pool);
}

void
pool_ask_for_sockets(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    if (p->binding != BIND_NOT || p->next_start_at > core->now)
        return;
    bind_ask(core, pool);
}

void
pool_ask_again(struct core *core, uint32_t pool)
{
    if (pool_at(core, pool)->binding == BIND_NOT || core->pool_more[pool].bind_asked)
        return; /* a second answer could be taken for one to a later question */
    if (pool_is_wanted(core, pool) && pool_lacks_sockets(core, pool))
        bind_ask(core, pool);
    else
        pool_edit(core, pool)->binding = BIND_NOT;
}

/* Whether the answer is one to the newest question. */
static bool
bind_is_answered(struct core *core, uint32_t pool)
{
    bool counts = pool_at(core, pool)->binding == BIND_ASKED;
    if (pool_at(core, pool)->binding != BIND_NOT)
        pool_edit(core, pool)->binding = BIND_NOT;
    return counts;
}

void
pool_bound(struct core *core, uint32_t pool)
{
    if (!bind_is_answered(core, pool))
        return;
    struct pool *edit = pool_edit(core, pool);
    edit->bound = true;
    edit->bind_error = 0;
    if (edit->bind_streak > 0)
        edit->next_start_at = 0;
    edit->bind_streak = 0;
}

void
pool_bind_failed(struct core *core, uint32_t pool, int32_t error)
{
    const struct pool *p = pool_at(core, pool);
    if (!bind_is_answered(core, pool) || !pool_is_wanted(core, pool))
        return;
    struct pool *edit = pool_edit(core, pool);
    if (edit->bind_streak < UINT16_MAX - 1)
        edit->bind_streak++;
    msec retry_ms = failure_delay_ms(core, &p->settings, edit->bind_streak + 1u);
    edit->next_start_at = after(core->now, retry_ms);

    /* One line for each error, not one for each try. */
    int32_t before = p->bind_error;
    edit->bind_error = error;
    if (before != error) {
        struct action *action = tell_pool(core, TELL_SOCKET_FAILED, pool);
        action->error = error;
        action->retry_ms = retry_ms;
    }
    if (before == 0 && core->pool_more[pool].ready == 0) {
        struct action *action = tell_pool(core, TELL_POOL_NOT_STARTED, pool);
        action->error = error;
        action->retry_ms = retry_ms;
    }
    if (p->state == POOL_STOPPED && (p->reason != REASON_BIND_FAILED || before != error)) {
        edit->reason = REASON_BIND_FAILED;
        act_pool(core, ACT_POOL_CHANGED, pool);
    }
    /* No successor can be started. Who has a reason is replaced once the sockets are there. */
    if (!cause_is_tried_again(p->roll_cause))
        roll_end(core, pool, ROLL_FAILED);
}

/* --- Rapid-fail protection. */

void
pool_disable(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    struct action *action = tell_pool(core, TELL_POOL_DISABLED, pool);
    action->count = failures_at(core, pool)->len;
    action->limit = p->settings.max_failures;
    action->limit_ms = p->settings.failure_interval_ms;
    action->retry_ms = MSEC_NEVER;
    pool_enter(core, pool, POOL_DISABLED, REASON_RAPID_FAIL);

    roll_end(core, pool, ROLL_CANCELLED);
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i)) {
        if (!recycle_is_trial(core, i))
            continue;
        recycle_successor_failed(core, i);
        worker_leave(core, i, CAUSE_SURPLUS);
    }
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i)) {
        const struct worker *w = worker_at(core, i);
        if (w->leave != CAUSE_NONE && worker_stays(w))
            worker_edit(core, i)->leave = CAUSE_NONE;
    }
}

/* --- Resuming. */

void
pool_hold(struct core *core, uint32_t pool)
{
    if (core->pool_more[pool].held)
        return;
    core->pool_more[pool].held = true;
    start_wait_no_more(core, pool);
    turn_give_back(core, pool);
    due_set_pool(core, pool, MSEC_NEVER);
}

uint32_t
pool_adopt(struct core *core, struct worker_id id)
{
    const struct pool *p = pool_at(core, id.pool);
    if (!workers_have_room(core) || pool_records(core, id.pool) >= POOL_RECORDS_MAX)
        return NONE;
    if (id.generation > p->generation)
        pool_edit(core, id.pool)->generation = id.generation;
    uint32_t worker = worker_take(core, id);
    struct worker *w = worker_edit(core, worker);
    w->cause = CAUSE_REPLACEMENT;
    w->adopted = true;
    worker_take_settings(core, worker); /* change.h says why */
    worker_draw_limits(core, worker);
    w->spawned_at = core->now;
    worker_enter(core, worker, WORKER_SPAWNING);
    /* Who has workers is not stopped; what it is to be is decided at POOL_RESUME. */
    if (p->state == POOL_STOPPED && pool_is_wanted(core, id.pool))
        pool_enter(core, id.pool, POOL_STARTING, REASON_NONE);
    else if (p->state == POOL_STOPPED)
        pool_enter(core, id.pool, POOL_STOPPING, p->reason);
    return worker;
}
