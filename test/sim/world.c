/* world.c - lets happen what is planned; outlives engines; calms down. */
#include "test/sim/world.h"
#include "test/sim/sim.h"
#include <stdlib.h>

static void world_happen(struct sim *, struct item *);
static void world_delivered(struct sim *, const struct item *);

msec
world_next(const struct sim *sim)
{
    return sim->world.items_len == 0 ? MSEC_NEVER : sim->world.turns[0].at;
}

void
world_step(struct sim *sim)
{
    struct item item = world_pop(&sim->world);
    if (item.at > sim->now)
        sim->ticks_in_place = 0;
    if (item.kind == ITEM_DELIVER && item.at < sim->stall_until) {
        item.at = sim->stall_until; /* it keeps its turn: nothing is overtaken */
        world_push(sim, &item);
        return;
    }
    sim->now = MAX(sim->now, item.at);
    world_happen(sim, &item);
}

static void
world_happen(struct sim *sim, struct item *item)
{
    if (item->kind == ITEM_OPERATOR) {
        world_operator(sim);
        return;
    }
    if (item->kind == ITEM_DELIVER) {
        sim_feed(sim, item->event);
        world_delivered(sim, item);
        return;
    }
    struct process *process = &sim->world.processes[item->process];
    if (process->serial != item->serial || process->phase == PHASE_DEAD)
        return;
    if (item->kind == ITEM_EXEC) {
        process_exec(sim, process);
    } else if (item->kind == ITEM_DIE) {
        process_die(sim, process, item->event.status);
    } else if (process->phase == PHASE_RUNS) {
        item->event.worker = process->id;
        process->told_leaving |= item->event.kind == EV_STOPPING;
        if (item->event.kind == EV_REQUESTS)
            process_say_requests(sim, process, item->event.count);
        msec at = sim->now + sim_between(sim, 0, 2);
        world_deliver(sim, item->event, MAX(at, process->known_at) - sim->now);
    }
}

/* --- Delivery. */

void
world_deliver(struct sim *sim, struct event event, msec delay)
{
    world_plan_at(sim, (struct item){.at = sim->now + delay, .kind = ITEM_DELIVER, .event = event});
}

/* What arrived may arrive again, at any later time. */
static void
world_delivered(struct sim *sim, const struct item *item)
{
    if (item->event.worker.generation != 0 && item->event.kind != EV_COMMAND_DONE &&
        sim_strikes(sim, FAULT_DUPLICATES))
        world_deliver(sim, item->event, sim_between(sim, 0, 8000));
}

/* --- The engine dies. */

static bool
item_is_lost_with_engine(const struct world *world, const struct item *item)
{
    (void)world;
    return item->from_keeper;
}

/* A core that has lost its state may give a name away again: no echo of the old one may come. */
static bool
item_is_lost_with_state(const struct world *world, const struct item *item)
{
    (void)world;
    return item->kind == ITEM_DELIVER;
}

static void
list_process(struct sim *sim, struct process *process)
{
    /* A ready command that ran is asked for again. */
    struct worker_id id = process->id;
    process->command_runs = false;
    process->reported_at = sim->now;
    enum phase phase = process->phase;
    struct exit_status status = process->status;
    sim_feed(sim, (struct event){.kind = EV_LISTED, .worker = id});
    sim_feed(sim, (struct event){.kind = EV_SPAWNED, .worker = id});
    if (phase == PHASE_RUNS)
        sim_feed(sim, (struct event){.kind = EV_EXECUTED, .worker = id});
    if (phase == PHASE_NO_EXEC)
        sim_feed(sim, (struct event){.kind = EV_EXEC_FAILED, .worker = id, .step = 19, .error = 2});
    if (phase == PHASE_DEAD)
        sim_feed(sim, (struct event){.kind = EV_EXITED, .worker = id, .status = status});
}

void
world_tell_pool(struct sim *sim, uint32_t pool, bool apply)
{
    struct event event = {.kind = EV_POOL_ADD, .worker.pool = pool, .by_operator = apply};
    event.settings = &sim->swarm.settings[pool];
    if (sim->world.removed[pool])
        event.kind = EV_POOL_REMOVE;
    sim_feed(sim, event);
}

void
world_tell_limits(struct sim *sim, uint32_t starts_max, bool apply)
{
    sim_feed(sim, (struct event){.kind = EV_LIMITS,
                                 .starts_max = starts_max,
                                 .recycles_max = sim->swarm.recycles_max,
                                 .by_operator = apply});
}

void
world_start_new(struct sim *sim, uint32_t pool)
{
    struct pool_view view;
    if (!sim->engine_died && core_pool(sim->core, pool, sim->now, &view) &&
        view.reason == REASON_NEVER && !view.wanted_up)
        sim_feed(sim, (struct event){.kind = EV_POOL_START, .worker.pool = pool});
}

void
world_engine_dies(struct sim *sim, bool with_state)
{
    world_drop(&sim->world, with_state ? item_is_lost_with_engine : item_is_lost_with_state);
    twin_stop(sim);
    witness_engine_died(&sim->witness);
    sim->engine_died = false;
    sim->resuming = true;
    sim->state_was_lost = !with_state;
    sim->now += sim_between(sim, 0, 5000);
    sim->stall_until = 0;
    free(sim->core);
    sim->core = store_restore(sim, with_state);
    if (!with_state) {
        witness_forget(&sim->witness);
        sim->shut = false;
    }
    world_tell_limits(sim, sim->swarm.limits.starts_max, false);
    for (uint32_t i = 0; i < sim->swarm.pools; i++)
        world_tell_pool(sim, i, false);
    uint32_t places = sim->world.processes_len;
    for (uint32_t i = 0; i < places; i++)
        if (sim->world.processes[i].id.generation != 0)
            list_process(sim, &sim->world.processes[i]);
    for (uint32_t i = 0; i < sim->swarm.pools; i++)
        world_start_new(sim, i);
    for (uint32_t i = 0; i < sim->swarm.pools; i++)
        sim_feed(sim, (struct event){.kind = EV_POOL_RESUME, .worker.pool = i});
    sim->resuming = sim->state_was_lost = false;
}

/* --- Calm. */

static bool
item_is_spite(const struct world *world, const struct item *item)
{
    if (item->kind == ITEM_OPERATOR)
        return true;
    if (item->kind == ITEM_SAY)
        return item->event.kind == EV_UNTRUSTED || item->event.kind == EV_RECYCLE ||
               (item->event.kind == EV_STOPPING && !world->processes[item->process].asked_to_stop);
    return item->kind == ITEM_DIE && !world->processes[item->process].asked_to_stop &&
           world->processes[item->process].phase == PHASE_RUNS;
}

void
world_calm(struct sim *sim)
{
    sim->calm = true;
    world_drop(&sim->world, item_is_spite);
}

void
world_init(struct sim *sim)
{
    sim->resuming = true;
    world_tell_limits(sim, sim->swarm.limits.starts_max, false);
    for (uint32_t i = 0; i < sim->swarm.pools; i++)
        world_tell_pool(sim, i, false);
    sim->resuming = false;
    for (uint32_t i = 0; i < sim->swarm.pools; i++)
        world_start_new(sim, i);
    world_plan_operator(sim);
}
