/* nuisance.c - what happens to a supervisor from outside: operators, echoes, stalls, its own death. */
#include "test/sim/sim.h"

void
world_plan_operator(struct sim *sim)
{
    msec gap = sim_between(sim, 0, 2 * sim->swarm.command_gap_ms);
    world_plan_at(sim, (struct item){.at = sim->now + gap, .kind = ITEM_OPERATOR});
}

static uint32_t
some_pool(struct sim *sim)
{
    return (uint32_t)sim_between(sim, 0, sim->swarm.pools - 1);
}

static void
start_or_stop(struct sim *sim)
{
    struct event event = {.kind = EV_POOL_START, .worker.pool = some_pool(sim)};
    event.by_operator = sim_between(sim, 0, 3) != 0;
    if (sim_between(sim, 0, 2) == 0)
        event.kind = EV_POOL_STOP;
    sim_feed(sim, event);
}

static void
recycle(struct sim *sim)
{
    struct event event = {.kind = EV_POOL_RECYCLE, .worker.pool = some_pool(sim)};
    event.cause = sim_between(sim, 0, 2) == 0 ? CAUSE_UNHEALTHY : CAUSE_ON_DEMAND;
    sim_feed(sim, event);
}

/* Any worker that ever was, mostly one that lives. */
static void
recycle_one(struct sim *sim)
{
    const struct world *world = &sim->world;
    if (world->processes_len == 0)
        return;
    struct worker_id id = world->processes[sim_between(sim, 0, world->processes_len - 1)].id;
    if (id.generation != 0)
        sim_feed(sim, (struct event){.kind = EV_RECYCLE, .worker = id, .cause = CAUSE_ON_DEMAND});
}

/* Few times and dates: most have run. */
static void
clock_time(struct sim *sim)
{
    sim_feed(sim, (struct event){.kind = EV_SCHEDULE,
                                 .worker.pool = some_pool(sim),
                                 .count = sim_between(sim, 0, 3),
                                 .day = (uint32_t)sim_between(sim, 20000, 20004)});
}

static void
same_settings(struct sim *sim)
{
    if (sim->engine_died)
        return;
    uint32_t pool = some_pool(sim);
    struct pool_view view;
    bool known = core_pool(sim->core, pool, sim->now, &view);
    if (sim->world.removed[pool] || (known && view.drifted > 0))
        return;
    uint64_t digest = core_digest(sim->core);
    bool due =
        core_deadline(sim->core) <= sim->now; /* whatever comes first may begin what is due */
    world_tell_pool(sim, pool, true);
    /* A pool that waits for a start may have come to another class of the queue by now, or find that
     * limits.recycles holds it up. */
    uint32_t held, waiting, turns_waiting, most;
    core_starts(sim->core, &held, &waiting);
    core_recycles(sim->core, &held, &turns_waiting, &most);
    if (waiting == 0 && turns_waiting == 0 && !due &&
        (sim->actions.len > 0 || core_digest(sim->core) != digest))
        sim_fail(sim, "settings that change nothing changed something");
}

/* The configuration says something else of a pool. The engine may die before it tells the core. */
static void
tell_change(struct sim *sim, uint32_t pool)
{
    if (sim_strikes(sim, FAULT_ENGINE_DIES) && sim_between(sim, 0, 3) == 0)
        sim->engine_died = true;
    world_tell_pool(sim, pool, true);
    if (!sim->world.removed[pool])
        world_start_new(sim, pool);
}

/* One change, or a few of one pool at once, now and then an apply that changes nothing. */
static void
new_settings(struct sim *sim)
{
    uint32_t pool = some_pool(sim);
    uint64_t changes = sim_between(sim, 0, 3) == 0 ? sim_between(sim, 0, 4) : 1;
    if (changes == 0)
        tell_change(sim, pool);
    for (uint64_t i = 0; i < changes && !sim->engine_died; i++) {
        bool renew = sim_between(sim, 0, 1) == 0;
        bool sockets = sim->swarm.settings[pool].has_sockets;
        settings_redraw(&sim->prng, &sim->swarm.settings[pool], sim->swarm.size_max[pool], renew);
        if (sim->swarm.refuses && sim_between(sim, 0, 3) == 0)
            sim->swarm.settings[pool].refused ^= 1;
        sockets = sockets != sim->swarm.settings[pool].has_sockets;
        if (sockets || (renew && sim_between(sim, 0, 2) == 0))
            sim->world.bound[pool] = false; /* others than before */
        tell_change(sim, pool);
    }
}

static void
remove_or_return(struct sim *sim)
{
    uint32_t pool = some_pool(sim);
    if (sim->engine_died)
        return;
    sim->world.removed[pool] = !sim->world.removed[pool];
    tell_change(sim, pool);
}

/* A message for a worker that is no longer, or never was. */
static void
stale(struct sim *sim)
{
    static const enum event_kind kinds[] = {
        EV_SPAWNED,  EV_SPAWN_FAILED, EV_EXECUTED,  EV_EXEC_FAILED,  EV_READY,
        EV_STOPPING, EV_DRAIN_UNSENT, EV_UNTRUSTED, EV_COMMAND_DONE, EV_EXITED,
        EV_REQUESTS, EV_EXTEND,       EV_RECYCLE};
    uint32_t pool = some_pool(sim);
    struct worker_id id = {.pool = pool};
    id.slot = (uint32_t)sim_between(sim, 0, sim->swarm.settings[pool].workers_max);
    id.generation = (uint32_t)sim_between(sim, 0, sim->world.generations[pool]);
    if (witness_knows(&sim->witness, id))
        return;
    struct event event = {.kind = kinds[sim_between(sim, 0, ARRAY_LEN(kinds) - 1)], .worker = id};
    event.status = (struct exit_status){EXIT_CODE, 1};
    event.cause = CAUSE_UNHEALTHY;
    sim_feed(sim, event);
}

void
world_operator(struct sim *sim)
{
    if (sim->left)
        return; /* poold has gone, and who would ask it? */
    world_plan_operator(sim);
    if (sim_strikes(sim, FAULT_OPERATOR))
        start_or_stop(sim);
    if (sim_strikes(sim, FAULT_RECYCLES))
        recycle(sim);
    if (sim_strikes(sim, FAULT_RECYCLES_ONE))
        recycle_one(sim);
    if (sim_strikes(sim, FAULT_CLOCKS))
        clock_time(sim);
    if (sim_strikes(sim, FAULT_SAME_SETTINGS))
        same_settings(sim);
    if (sim_strikes(sim, FAULT_NEW_SETTINGS) && sim_between(sim, 0, 3) == 0)
        new_settings(sim);
    if (sim_strikes(sim, FAULT_REMOVALS) && sim_between(sim, 0, 3) == 0)
        remove_or_return(sim);
    if (sim_strikes(sim, FAULT_STALE))
        stale(sim);
    if (sim_strikes(sim, FAULT_EXTRA_TICKS))
        sim_feed(sim, (struct event){.kind = EV_TICK});
    if (sim_strikes(sim, FAULT_PAUSES)) {
        msec end = sim->now + sim_between(sim, 1, 1u << sim_between(sim, 1, 17));
        sim->stall_until = MAX(sim->stall_until, end);
    }
    if (sim_strikes(sim, FAULT_NEW_SETTINGS) && sim_between(sim, 0, 3) == 0) {
        sim->swarm.recycles_max = (uint32_t)sim_between(sim, 0, 3);
        world_tell_limits(sim, (uint32_t)sim_between(sim, 1, sim->swarm.limits.starts_max), true);
    }
    if (sim_strikes(sim, FAULT_EARLY_SHUTDOWN) && sim_between(sim, 0, 9) == 0) {
        sim->shut = true;
        sim_feed(sim, (struct event){.kind = EV_SHUTDOWN});
    }
    if (sim->shut && sim_strikes(sim, FAULT_HURRY))
        sim_feed(sim, (struct event){.kind = EV_SHUTDOWN});
    if (sim_strikes(sim, FAULT_ENGINE_DIES) && sim_between(sim, 0, 3) == 0)
        sim->engine_died = true;
}
