/* core.c - one step: an event goes to its machine, the pool is reconciled, free places are given. */
#include "supervisor/core/core.h"
#include "supervisor/core/change.h"
#include "supervisor/core/pool.h"
#include "supervisor/core/reason.h"
#include "supervisor/core/recycle.h"
#include "supervisor/core/roll.h"
#include "supervisor/core/runs.h"
#include "supervisor/core/start.h"
#include "supervisor/core/state.h"
#include "supervisor/core/turn.h"
#include "supervisor/core/worker.h"

/* What one step takes on at most, so that no step is long: the rest is due at once. */
#define DUE_A_STEP   64u
#define POOLS_A_STEP 64u

static void step_limits(struct core *, const struct event *);
static void step_pool_event(struct core *, const struct event *);
static void step_worker_event(struct core *, const struct event *);
static void step_tick(struct core *);
static void step_shutdown(struct core *);
static void shutdown_go_on(struct core *);
static void say_leave(struct core *);

void
core_step(struct core *core, const struct event *event, struct action_list *out)
{
    assert(event->now != 0 && event->now >= core->now);
    assert(event->kind < EV_COUNT);
    assert(out->cap >= core_actions_max(&core->limits));

    core->now = event->now;
    core->out = out;
    out->len = 0;
    switch (event->kind) {
    case EV_TICK:
        step_tick(core);
        break;
    case EV_LIMITS:
        step_limits(core, event);
        break;
    case EV_SHUTDOWN:
        step_shutdown(core);
        break;
    case EV_POOL_ADD:
    case EV_POOL_START:
    case EV_POOL_STOP:
    case EV_POOL_RECYCLE:
    case EV_SCHEDULE:
    case EV_POOL_REMOVE:
    case EV_BOUND:
    case EV_BIND_FAILED:
    case EV_POOL_RESUME:
        step_pool_event(core, event);
        break;
    case EV_SPAWNED:
    case EV_SPAWN_FAILED:
    case EV_EXECUTED:
    case EV_EXEC_FAILED:
    case EV_READY:
    case EV_STOPPING:
    case EV_DRAIN_UNSENT:
    case EV_UNTRUSTED:
    case EV_REQUESTS:
    case EV_EXTEND:
    case EV_RECYCLE:
    case EV_COMMAND_DONE:
    case EV_EXITED:
    case EV_LISTED:
        step_worker_event(core, event);
        break;
    case EV_COUNT:
        break;
    }
    shutdown_go_on(core);
    turns_grant(core);
    starts_grant(core);
    say_leave(core);
    core->out = NULL;
}

static bool
shutdown_is_pending(const struct core *core)
{
    const struct global *global = global_at(core);
    return global->shutdown != SHUTDOWN_NOT && global->shutdown_next < core->limits.pools_max;
}

msec
core_deadline(const struct core *core)
{
    if (shutdown_is_pending(core) || starts_are_pending(core) || turns_are_pending(core))
        return core->now;
    return heap_first_key(&core->due);
}

/* A life begins: what was restored is held until its POOL_RESUME. All of it at once, because a
 * place that one pool's event or a new limit sets free could start a worker of another. */
static void
hold_restored(struct core *core)
{
    if (core->resumed)
        return;
    core->resumed = true;
    for (uint32_t pool = 0; pool < core->limits.pools_max; pool++)
        if (pool_at(core, pool)->added)
            pool_hold(core, pool);
}

static void
step_limits(struct core *core, const struct event *event)
{
    assert(event->starts_max >= 1);
    if (!event->by_operator)
        hold_restored(core);
    if (global_at(core)->starts_max != event->starts_max)
        global_edit(core)->starts_max = event->starts_max;
    if (global_at(core)->recycles_max != event->recycles_max)
        global_edit(core)->recycles_max = event->recycles_max;
}

/* --- Events of a pool. */

static void
resume_pool(struct core *core, uint32_t pool)
{
    core->pool_more[pool].held = false;
    if (global_at(core)->left)
        global_edit(core)->left = false; /* LEAVE may have been lost: say it again */
    pool_ask_again(core, pool);
    for (uint32_t i = worker_first(core, pool), next; i != NONE; i = next) {
        next = worker_next(core, i);
        const struct worker *w = worker_at(core, i);
        bool unknown = !core->worker_more[i].listed;
        if (unknown && w->state != WORKER_SPAWNING && w->state != WORKER_GONE)
            worker_exited(core, i, (struct exit_status){.kind = EXIT_UNKNOWN});
        else if (!core->worker_more[i].asked) /* a second stop_signal would mean: hurry */
            worker_ask_again(core, i);
    }
}

static void
step_pool_event(struct core *core, const struct event *event)
{
    uint32_t pool = event->worker.pool;
    assert(pool < core->limits.pools_max);
    if ((event->kind == EV_POOL_ADD || event->kind == EV_POOL_REMOVE) && !event->by_operator)
        hold_restored(core);
    if (event->kind != EV_POOL_ADD && !pool_at(core, pool)->added)
        return;

    if (event->kind == EV_POOL_ADD)
        pool_add(core, pool, event->settings, event->by_operator);
    else if (event->kind == EV_POOL_START)
        pool_start(core, pool, event->by_operator);
    else if (event->kind == EV_POOL_STOP)
        pool_stop(core, pool);
    else if (event->kind == EV_POOL_RECYCLE)
        roll_request(core, pool, event->cause);
    else if (event->kind == EV_SCHEDULE)
        runs_due(core, pool, (uint32_t)event->count, event->day);
    else if (event->kind == EV_POOL_REMOVE)
        change_remove(core, pool);
    else if (event->kind == EV_BOUND)
        pool_bound(core, pool);
    else if (event->kind == EV_BIND_FAILED)
        pool_bind_failed(core, pool, event->error);
    else
        resume_pool(core, pool);
    pool_reconcile(core, pool);
}

/* --- Events of a worker. */

/* No record has this name. If the pool gave it away in a life that is remembered, the worker was
 * finished with and only the RELEASE was lost; if not, the record was lost, and what lives is taken
 * in, where there is a pool for it. */
static void
step_unknown_worker(struct core *core, const struct event *event)
{
    struct worker_id id = event->worker;
    bool lost = id.generation > core->pool_more[id.pool].restored_generation;
    bool homeless = !pool_at(core, id.pool)->added;
    struct action *action;

    if (event->kind == EV_EXITED) {
        action = act_pool(core, ACT_RELEASE, id.pool);
        action->worker = id;
    } else if (event->kind == EV_LISTED && lost && (homeless || pool_adopt(core, id) == NONE)) {
        if (homeless && id.generation > pool_at(core, id.pool)->generation)
            pool_edit(core, id.pool)->generation = id.generation;
        action = act_pool(core, ACT_KILL, id.pool); /* nobody can look after it */
        action->worker = id;
    }
}

static void
step_known_worker(struct core *core, const struct event *event, uint32_t worker)
{
    switch (event->kind) {
    case EV_SPAWNED:
        worker_spawned(core, worker);
        return;
    case EV_SPAWN_FAILED:
        worker_spawn_failed(core, worker, event->step, event->error);
        return;
    case EV_EXECUTED:
        worker_executed(core, worker);
        return;
    case EV_EXEC_FAILED:
        worker_exec_failed(core, worker, event->step, event->error);
        return;
    case EV_READY:
        worker_said_ready(core, worker);
        return;
    case EV_STOPPING:
        worker_said_stopping(core, worker);
        return;
    case EV_DRAIN_UNSENT:
        worker_drain_unsent(core, worker);
        return;
    case EV_UNTRUSTED:
        worker_untrusted(core, worker);
        return;
    case EV_REQUESTS:
        reason_requests_said(core, worker, event->count);
        return;
    case EV_EXTEND:
        worker_said_extend(core, worker, event->count);
        return;
    case EV_RECYCLE:
        recycle_request(core, worker, event->cause);
        return;
    case EV_COMMAND_DONE:
        worker_command_done(core, worker, event->status);
        return;
    case EV_EXITED:
        worker_exited(core, worker, event->status);
        return;
    case EV_LISTED:
        core->worker_more[worker].listed = true;
        return;
    case EV_TICK:
    case EV_LIMITS:
    case EV_POOL_ADD:
    case EV_POOL_START:
    case EV_POOL_STOP:
    case EV_POOL_RECYCLE:
    case EV_SCHEDULE:
    case EV_POOL_REMOVE:
    case EV_SHUTDOWN:
    case EV_BOUND:
    case EV_BIND_FAILED:
    case EV_POOL_RESUME:
    case EV_COUNT:
        break;
    }
    assert(false); /* core_step sends none of these here */
}

static void
step_worker_event(struct core *core, const struct event *event)
{
    uint32_t pool = event->worker.pool;
    assert(pool < core->limits.pools_max);
    if (event->worker.generation == 0)
        return;
    if (event->kind == EV_LISTED && pool_at(core, pool)->added)
        pool_hold(core, pool);
    uint32_t worker = core_handle(core, event->worker);
    if (worker == NONE)
        step_unknown_worker(core, event);
    else
        step_known_worker(core, event, worker);
    pool_reconcile(core, pool);
}

/* --- Time. */

static void
step_tick(struct core *core)
{
    for (uint32_t i = 0; i < DUE_A_STEP && heap_first_key(&core->due) <= core->now; i++) {
        uint32_t node = heap_first(&core->due);
        uint32_t pool = node;
        bool is_worker = node >= core->limits.pools_max;
        uint32_t worker = node - core->limits.pools_max;
        if (is_worker)
            pool = worker_at(core, worker)->id.pool;
        if (i > 0 && !actions_have_room(core, pool))
            return;
        if (is_worker)
            worker_on_time(core, worker);
        pool_reconcile(core, pool);
    }
}

/* --- Shutdown. */

static void
step_shutdown(struct core *core)
{
    struct global *global = global_edit(core);
    if (global->shutdown == SHUTDOWN_HURRY)
        return;
    global->shutdown++;
    global->shutdown_next = 0;
}

static void
shutdown_go_on(struct core *core)
{
    for (uint32_t i = 0; i < POOLS_A_STEP && shutdown_is_pending(core); i++) {
        uint32_t pool = global_at(core)->shutdown_next;
        if (!actions_have_room(core, pool))
            return;
        global_edit(core)->shutdown_next++;
        pool_reconcile(core, pool);
    }
}

static void
say_leave(struct core *core)
{
    const struct global *global = global_at(core);
    if (global->shutdown == SHUTDOWN_NOT || shutdown_is_pending(core) || global->left ||
        core->workers_len > 0)
        return;
    global_edit(core)->left = true;
    act_pool(core, ACT_LEAVE, NONE);
}
