/* worker.c - the machine of one worker: its states, its start, its deadlines. */
#include "supervisor/core/worker.h"
#include "supervisor/core/failure.h"
#include "supervisor/core/reason.h"
#include "supervisor/core/recycle.h"

#define S(n) (1u << WORKER_##n)

/* clang-format off */
static const uint16_t worker_may_enter[WORKER_STATE_COUNT] = {
    [WORKER_FREE]     = S(SPAWNING),
    [WORKER_SPAWNING] = S(STARTING) | S(FREE),
    [WORKER_STARTING] = S(READY) | S(DRAINING) | S(LEAVING) | S(KILLING) | S(GONE) | S(FREE),
    [WORKER_READY]    = S(DRAINING) | S(LEAVING) | S(KILLING) | S(GONE) | S(FREE),
    [WORKER_DRAINING] = S(LEAVING) | S(KILLING) | S(GONE) | S(FREE),
    [WORKER_LEAVING]  = S(KILLING) | S(GONE) | S(FREE),
    [WORKER_KILLING]  = S(GONE) | S(FREE),
    [WORKER_GONE]     = S(FREE),
};
/* clang-format on */

static void place_give_back(struct core *, struct worker *);
static void worker_be_ready(struct core *, uint32_t worker);
static void worker_run_command(struct core *, uint32_t worker);
static void worker_begin_proof(struct core *, uint32_t worker);

void
worker_enter(struct core *core, uint32_t worker, enum worker_state to)
{
    struct worker *w = worker_edit(core, worker);
    enum worker_state from = w->state;
    assert(worker_may_enter[from] & (1u << to));

    uint32_t *left = pool_count_of(core, w->id.pool, from);
    uint32_t *entered = pool_count_of(core, w->id.pool, to);
    if (left != NULL)
        --*left;
    if (entered != NULL)
        ++*entered;
    w->state = (uint8_t)to;
    w->since = core->now;
    w->timer_at = 0;
    if (from != WORKER_DRAINING || to != WORKER_LEAVING)
        w->more_until = 0;
    if (to != WORKER_SPAWNING && to != WORKER_STARTING) {
        place_give_back(core, w);
        w->command = false;
    }
    if (to != WORKER_SPAWNING && to != WORKER_STARTING && to != WORKER_READY)
        recycle_forget_mark(core, worker);
    worker_arm(core, worker);
    if (to == WORKER_FREE)
        worker_give_back(core, worker);
}

msec
worker_start_limit(const struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    msec limit = pool_of(core, worker)->settings.startup_timeout_ms;
    return MAX(after(w->spawned_at, limit), w->more_until);
}

msec
worker_stop_limit(const struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    msec limit = pool_of(core, worker)->settings.shutdown_timeout_ms;
    return MAX(after(w->drain_at, limit), w->more_until);
}

/* What it asks for last counts, and the pool's time-out is the least. */
void
worker_said_extend(struct core *core, uint32_t worker, msec span)
{
    const struct worker *w = worker_at(core, worker);
    const struct pool_settings *settings = &pool_of(core, worker)->settings;
    msec most;
    if (w->state == WORKER_STARTING)
        most = after(w->spawned_at, settings->startup_timeout_ms * EXTEND_TIMES);
    else if (w->state == WORKER_DRAINING || w->state == WORKER_LEAVING)
        most = after(w->drain_at, settings->shutdown_timeout_ms * EXTEND_TIMES);
    else
        return;
    worker_edit(core, worker)->more_until = MIN(after(core->now, span), most);
    worker_arm(core, worker);
}

static msec
worker_due(const struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    msec place = w->place ? after(w->spawned_at, START_PLACE_MS) : MSEC_NEVER;
    msec timer = w->timer_at == 0 ? MSEC_NEVER : w->timer_at;
    msec stop = worker_stop_limit(core, worker);

    switch ((enum worker_state)w->state) {
    case WORKER_SPAWNING:
        return place;
    case WORKER_STARTING:
        return MIN(MIN(place, timer), worker_start_limit(core, worker));
    case WORKER_DRAINING:
        return MIN(after(w->drain_at, STOPPING_WAIT_MS), stop);
    case WORKER_LEAVING:
        return stop;
    case WORKER_KILLING:
        return timer;
    case WORKER_READY:
        return reason_due(core, worker);
    case WORKER_FREE:
    case WORKER_GONE:
    case WORKER_STATE_COUNT:
        break;
    }
    return MSEC_NEVER;
}

void
worker_arm(struct core *core, uint32_t worker)
{
    due_set_worker(core, worker, worker_due(core, worker));
}

void
worker_set_timer(struct core *core, uint32_t worker, msec span)
{
    worker_edit(core, worker)->timer_at = after(core->now, span);
    worker_arm(core, worker);
}

static void
place_give_back(struct core *core, struct worker *w)
{
    if (!w->place)
        return;
    assert(core->places_held > 0);
    core->places_held--;
    w->place = false;
}

/* --- Coming. */

void
worker_take_settings(struct core *core, uint32_t worker)
{
    struct worker *w = worker_edit(core, worker);
    const struct pool_settings *settings = &pool_of(core, worker)->settings;
    w->fingerprint = settings->fingerprint;
    w->ready = settings->ready;
}

void
worker_draw_limits(struct core *core, uint32_t worker)
{
    uint64_t draw = prng_below(&global_edit(core)->prng, UINT16_MAX + 1u);
    worker_edit(core, worker)->draw = (uint16_t)draw;
}

uint32_t
worker_spawn(struct core *core, struct worker_id id, enum cause cause)
{
    uint32_t worker = worker_take(core, id);
    assert(worker != NONE);
    struct worker *w = worker_edit(core, worker);
    w->cause = (uint8_t)cause;
    w->spawned_at = core->now;
    worker_take_settings(core, worker);
    worker_draw_limits(core, worker);
    w->place = true;
    core->places_held++;
    worker_enter(core, worker, WORKER_SPAWNING);
    act_worker(core, ACT_SPAWN, worker);
    return worker;
}

void
worker_spawned(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    if (w->state != WORKER_SPAWNING)
        return;
    worker_enter(core, worker, WORKER_STARTING);
    tell_worker(core, TELL_WORKER_STARTED, worker);
    if (w->killed)
        worker_kill(core, worker);
    else if (w->going)
        worker_leave(core, worker, w->leave);
}

void
worker_spawn_failed(struct core *core, uint32_t worker, uint32_t step, int32_t error)
{
    const struct worker *w = worker_at(core, worker);
    if (w->state != WORKER_SPAWNING)
        return;
    /* A successor's delay is its recycle's; the pool itself lacks nobody. */
    bool trial = recycle_is_trial(core, worker);
    msec retry_ms = trial ? MSEC_NEVER : failure_delay_start(core, worker);
    struct action *action = tell_worker(core, TELL_SPAWN_FAILED, worker);
    action->step = step;
    action->error = error;
    action->retry_ms = retry_ms;
    recycle_successor_failed(core, worker);
    worker_enter(core, worker, WORKER_FREE);
}

void
worker_executed(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    if (w->state == WORKER_FREE || w->state == WORKER_SPAWNING || w->executed)
        return;
    worker_edit(core, worker)->executed = true;
    if (w->state == WORKER_STARTING)
        worker_begin_proof(core, worker);
}

/* It runs; its rule says what else is to happen until it is ready. */
static void
worker_begin_proof(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    if (w->adopted || w->ready == READY_EXEC)
        worker_be_ready(core, worker);
    else if (w->ready == READY_AFTER)
        worker_set_timer(core, worker, pool_of(core, worker)->settings.ready_after_ms);
    else if (w->ready == READY_COMMAND)
        worker_run_command(core, worker);
}

static void
worker_run_command(struct core *core, uint32_t worker)
{
    struct worker *w = worker_edit(core, worker);
    assert(w->state == WORKER_STARTING && !w->command);
    w->command = true;
    w->timer_at = 0;
    worker_arm(core, worker);
    act_worker(core, ACT_COMMAND, worker);
}

void
worker_command_done(struct core *core, uint32_t worker, struct exit_status status)
{
    if (!worker_at(core, worker)->command)
        return;
    worker_edit(core, worker)->command = false;
    if (status.kind == EXIT_CODE && status.number == 0)
        worker_be_ready(core, worker);
    else
        worker_set_timer(core, worker, COMMAND_AGAIN_MS);
}

void
worker_said_ready(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    if (w->state != WORKER_STARTING || w->ready != READY_NOTIFY)
        return;
    worker_edit(core, worker)->executed = true; /* who speaks, runs */
    worker_be_ready(core, worker);
}

static void
worker_be_ready(struct core *core, uint32_t worker)
{
    worker_enter(core, worker, WORKER_READY);
    struct worker *w = worker_edit(core, worker);
    w->ready_at = w->paced_at = core->now;
    pool_edit(core, w->id.pool)->start_ms = core->now - w->spawned_at;
    tell_worker(core, TELL_WORKER_READY, worker);
    recycle_successor_ready(core, worker);
    reason_judge_again(core, worker); /* of what it said while it started */
}

void
worker_take_rule(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    uint8_t rule = pool_of(core, worker)->settings.ready;
    bool starts = w->state == WORKER_SPAWNING || w->state == WORKER_STARTING;
    if (!starts || !worker_stays(w) || w->ready == rule || rule == READY_NOTIFY)
        return;
    struct worker *edit = worker_edit(core, worker);
    edit->ready = rule;
    edit->command = false;
    edit->timer_at = 0;
    worker_arm(core, worker);
    if (w->executed)
        worker_begin_proof(core, worker);
}

/* --- Time. */

static void
worker_starting_on_time(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);

    if (w->timer_at != 0 && w->timer_at <= core->now) {
        if (w->ready == READY_AFTER) {
            worker_be_ready(core, worker);
            return;
        }
        worker_run_command(core, worker);
    }
    if (worker_start_limit(core, worker) <= core->now) {
        worker_start_timed_out(core, worker);
        return;
    }
    if (w->place && after(w->spawned_at, START_PLACE_MS) <= core->now)
        place_give_back(core, worker_edit(core, worker));
    worker_arm(core, worker);
}

void
worker_on_time(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);

    switch ((enum worker_state)w->state) {
    case WORKER_SPAWNING:
        place_give_back(core, worker_edit(core, worker));
        worker_arm(core, worker);
        return;
    case WORKER_STARTING:
        worker_starting_on_time(core, worker);
        return;
    case WORKER_DRAINING:
    case WORKER_LEAVING:
        if (worker_stop_limit(core, worker) <= core->now)
            worker_stop_timed_out(core, worker);
        else
            worker_signal(core, worker);
        return;
    case WORKER_KILLING:
        tell_worker(core, TELL_WORKER_UNKILLABLE, worker)->drain_ms = core->now - w->since;
        act_worker(core, ACT_KILL, worker);
        worker_set_timer(core, worker, KILL_AGAIN_MS);
        return;
    case WORKER_READY:
        reason_on_time(core, worker);
        return;
    case WORKER_FREE:
    case WORKER_GONE:
    case WORKER_STATE_COUNT:
        break;
    }
    assert(false); /* these states have no deadline */
}

void
worker_ask_again(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    msec stop = worker_stop_limit(core, worker);
    struct action *action;

    switch ((enum worker_state)w->state) {
    case WORKER_SPAWNING:
        if (!core->worker_more[worker].listed) /* it was never made: its settings are today's */
            worker_take_settings(core, worker);
        act_worker(core, ACT_SPAWN, worker);
        return;
    case WORKER_STARTING:
        if (w->command)
            act_worker(core, ACT_COMMAND, worker);
        return;
    case WORKER_DRAINING:
        action = act_worker(core, ACT_DRAIN, worker);
        action->cause = w->leave;
        action->limit_ms = stop > core->now ? stop - core->now : 0;
        return;
    case WORKER_LEAVING:
        if (w->signalled)
            act_worker(core, ACT_SIGNAL, worker)->cause = w->leave;
        return;
    case WORKER_KILLING:
        act_worker(core, ACT_KILL, worker);
        return;
    case WORKER_FREE:
    case WORKER_READY:
    case WORKER_GONE:
    case WORKER_STATE_COUNT:
        return;
    }
}
