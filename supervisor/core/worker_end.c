/* worker_end.c - the machine of one worker: how it fails, how it leaves, how it ends. */
#include "supervisor/core/failure.h"
#include "supervisor/core/pool.h"
#include "supervisor/core/reason.h"
#include "supervisor/core/recycle.h"
#include "supervisor/core/worker.h"

/* --- Failing. Each kind tells its own story first; what follows from it comes after. */

/* Enters a failure that counts and tells it; the pool is to be disabled when it says so. */
static bool
worker_tell_failure(struct core *core, uint32_t worker, uint32_t event, struct exit_status status,
                    struct action **out)
{
    bool disable = false;
    msec retry_ms = MSEC_NEVER;
    if (!recycle_is_trial(core, worker)) {
        disable = failure_count(core, worker, event, status);
        retry_ms = failure_delay_start(core, worker);
    }
    *out = tell_worker(core, event, worker);
    (*out)->status = status;
    (*out)->retry_ms = disable ? MSEC_NEVER : retry_ms;
    return disable;
}

void
worker_exec_failed(struct core *core, uint32_t worker, uint32_t step, int32_t error)
{
    const struct worker *w = worker_at(core, worker);
    if (w->state != WORKER_STARTING || w->executed)
        return;
    struct action *action;
    struct exit_status status = {.kind = EXIT_UNKNOWN, .number = (uint8_t)step};
    bool disable = worker_tell_failure(core, worker, TELL_EXEC_FAILED, status, &action);
    action->step = step;
    action->error = error;
    recycle_successor_failed(core, worker);
    struct worker *edit = worker_edit(core, worker);
    edit->told = true;
    edit->drain_at = core->now;
    worker_enter(core, worker, WORKER_LEAVING);
    if (disable)
        pool_disable(core, w->id.pool);
}

void
worker_start_timed_out(struct core *core, uint32_t worker)
{
    uint32_t pool = worker_at(core, worker)->id.pool;
    struct action *action;
    bool disable =
        worker_tell_failure(core, worker, TELL_STARTUP_TIMEOUT, (struct exit_status){0}, &action);
    action->limit_ms = worker_start_limit(core, worker) - worker_at(core, worker)->spawned_at;
    recycle_successor_failed(core, worker);
    if (worker_at(core, worker)->leave == CAUSE_NONE)
        worker_edit(core, worker)->leave = CAUSE_UNHEALTHY;
    worker_edit(core, worker)->limit = LIMIT_START;
    worker_kill(core, worker);
    if (disable)
        pool_disable(core, pool);
}

void
worker_untrusted(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    uint32_t pool = w->id.pool;
    if (w->state == WORKER_SPAWNING || !worker_stays(w) || w->untrusted)
        return;
    worker_edit(core, worker)->untrusted = true;
    bool trial = recycle_is_trial(core, worker);
    struct action *action;
    bool disable = worker_tell_failure(core, worker, TELL_WORKER_NOT_TRUSTED,
                                       (struct exit_status){0}, &action);
    action->cause = CAUSE_NONE;
    if (trial) {
        action->cause = CAUSE_SURPLUS;
        recycle_successor_failed(core, worker);
        worker_leave(core, worker, CAUSE_UNHEALTHY);
    } else if (disable) {
        reason_note(core, worker, CAUSE_UNHEALTHY, 0, 0);
        pool_disable(core, pool);
    } else {
        action->cause = pool_is_up(core, pool) ? CAUSE_UNHEALTHY : CAUSE_NONE;
        reason_found(core, worker, CAUSE_UNHEALTHY, 0, 0);
    }
}

/* --- Going. */

void
worker_leave(struct core *core, uint32_t worker, enum cause cause)
{
    const struct worker *w = worker_at(core, worker);
    if (w->state == WORKER_FREE || w->state == WORKER_GONE)
        return;
    if (w->state != WORKER_STARTING && w->state != WORKER_READY) {
        if (!w->going) {
            struct worker *edit = worker_edit(core, worker);
            edit->going = true;
            edit->leave = (uint8_t)cause;
        }
        return;
    }
    struct worker *edit = worker_edit(core, worker);
    edit->going = true;
    edit->leave = (uint8_t)cause;
    edit->drain_at = core->now;
    worker_enter(core, worker, WORKER_DRAINING);
    struct action *action = act_worker(core, ACT_DRAIN, worker);
    action->cause = cause;
    action->limit_ms = pool_of(core, worker)->settings.shutdown_timeout_ms;
}

void
worker_kill(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    if (w->state == WORKER_FREE || w->state == WORKER_GONE || w->state == WORKER_KILLING)
        return;
    if (!w->going || !w->killed) {
        struct worker *edit = worker_edit(core, worker);
        edit->going = edit->killed = true;
    }
    if (w->state == WORKER_SPAWNING)
        return;
    worker_enter(core, worker, WORKER_KILLING);
    worker_set_timer(core, worker, KILL_AGAIN_MS);
    act_worker(core, ACT_KILL, worker);
}

void
worker_said_stopping(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    if (w->state == WORKER_DRAINING) {
        worker_enter(core, worker, WORKER_LEAVING);
        return;
    }
    if (w->state != WORKER_STARTING && w->state != WORKER_READY)
        return;
    /* Unasked. A successor on trial has failed with it: 1093 tells that, its exit only ends it. */
    bool trial = recycle_is_trial(core, worker);
    recycle_successor_failed(core, worker);
    struct worker *edit = worker_edit(core, worker);
    edit->drain_at = core->now;
    edit->going = trial;
    worker_enter(core, worker, WORKER_LEAVING);
}

void
worker_drain_unsent(struct core *core, uint32_t worker)
{
    if (worker_at(core, worker)->state == WORKER_DRAINING)
        worker_signal(core, worker);
}

void
worker_signal(struct core *core, uint32_t worker)
{
    worker_edit(core, worker)->signalled = true;
    worker_enter(core, worker, WORKER_LEAVING);
    act_worker(core, ACT_SIGNAL, worker)->cause = worker_at(core, worker)->leave;
}

void
worker_stop_timed_out(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    struct action *action = tell_worker(core, TELL_SHUTDOWN_TIMEOUT, worker);
    action->cause = w->leave;
    action->limit_ms = worker_stop_limit(core, worker) - w->drain_at;
    action->drain_ms = core->now - w->drain_at;
    worker_edit(core, worker)->limit = LIMIT_STOP;
    worker_kill(core, worker);
}

static const uint16_t limit_events[WORKER_LIMIT_COUNT] = {
    [LIMIT_START] = TELL_STARTUP_TIMEOUT,
    [LIMIT_STOP] = TELL_SHUTDOWN_TIMEOUT,
};

void
worker_exited(struct core *core, uint32_t worker, struct exit_status status)
{
    const struct worker *w = worker_at(core, worker);
    uint32_t pool = w->id.pool;
    bool disable = false;
    assert(w->state != WORKER_FREE && w->state != WORKER_GONE);

    if (!w->told && !w->going) {
        struct action *action;
        disable = worker_tell_failure(core, worker, TELL_WORKER_DIED, status, &action);
        recycle_successor_failed(core, worker);
    } else if (!w->told) {
        struct action *action = tell_worker(core, TELL_WORKER_EXITED, worker);
        action->cause = w->leave;
        action->status = status;
        action->limit_event = limit_events[w->limit];
        action->drain_ms = w->drain_at == 0 ? 0 : core->now - w->drain_at;
    }
    assert(w->original == NONE);
    bool keep = recycle_original_died(core, worker);
    act_worker(core, ACT_RELEASE, worker);
    worker_enter(core, worker, keep ? WORKER_GONE : WORKER_FREE);
    if (disable)
        pool_disable(core, pool);
}
