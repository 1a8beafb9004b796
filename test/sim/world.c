/* world.c - the queue of what will happen, the keeper, and the processes. */
#include "test/sim/world.h"
#include "test/sim/sim.h"
#include <stdlib.h>

static void world_happen(struct sim *, struct item *);
static void world_delivered(struct sim *, const struct item *);
static void process_exec(struct sim *, struct process *);
static void process_die(struct sim *, struct process *, struct exit_status);

/* --- The queue: a binary heap by time, then by order of planning. */

static bool
item_before(const struct item *a, const struct item *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
item_swap(struct item *a, struct item *b)
{
    struct item item = *a;
    *a = *b;
    *b = item;
}

static void
world_push(struct sim *sim, struct item item)
{
    struct world *world = &sim->world;
    if (world->items_len == ITEMS_MAX)
        sim_fail(sim, "the simulator's own queue is full");
    uint32_t at = world->items_len++;
    world->items[at] = item;
    while (at > 0 && item_before(&world->items[at], &world->items[(at - 1) / 2])) {
        item_swap(&world->items[at], &world->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

void
world_plan_at(struct sim *sim, struct item item)
{
    item.order = sim->world.order++;
    world_push(sim, item);
}

static struct item
world_pop(struct world *world)
{
    struct item first = world->items[0];
    world->items[0] = world->items[--world->items_len];
    for (uint32_t at = 0;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < world->items_len && item_before(&world->items[child], &world->items[least]))
                least = child;
        if (least == at)
            return first;
        item_swap(&world->items[at], &world->items[least]);
        at = least;
    }
}

/* Drops what is no longer to happen. Order of planning is kept. */
static void
world_drop(struct world *world, bool (*drop)(const struct world *, const struct item *))
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < world->items_len; i++)
        if (!drop(world, &world->items[i]))
            world->items[kept++] = world->items[i];
    world->items_len = kept;
    for (uint32_t i = kept; i-- > 0;)
        for (uint32_t at = i;;) {
            uint32_t least = at;
            for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++)
                if (child < kept && item_before(&world->items[child], &world->items[least]))
                    least = child;
            if (least == at)
                break;
            item_swap(&world->items[at], &world->items[least]);
            at = least;
        }
}

msec
world_next(const struct sim *sim)
{
    return sim->world.items_len == 0 ? MSEC_NEVER : sim->world.items[0].at;
}

void
world_step(struct sim *sim)
{
    struct item item = world_pop(&sim->world);
    if (item.at > sim->now)
        sim->ticks_in_place = 0;
    if (item.kind == ITEM_DELIVER && item.at < sim->stall_until) {
        item.at = sim->stall_until; /* it keeps its turn: nothing is overtaken */
        world_push(sim, item);
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

/* The keeper's reports of one process do not overtake each other. */
static void
process_report(struct sim *sim, struct process *process, struct event event)
{
    msec delay = sim_between(sim, 0, 3);
    if (sim_strikes(sim, FAULT_SLOW_KEEPER))
        delay = sim_between(sim, 0, 4000);
    process->reported_at = MAX(process->reported_at, sim->now + delay);
    event.worker = process->id;
    world_plan_at(sim, (struct item){.at = process->reported_at,
                                     .kind = ITEM_DELIVER,
                                     .from_keeper = true,
                                     .event = event});
}

/* --- Processes. */

static void
process_plan(struct sim *sim, const struct process *process, enum item_kind kind, msec delay,
             struct event event)
{
    world_plan_at(sim, (struct item){.at = sim->now + delay,
                                     .kind = kind,
                                     .process = (uint32_t)(process - sim->world.processes),
                                     .serial = process->serial,
                                     .event = event});
}

struct process *
world_process(struct sim *sim, struct worker_id id)
{
    for (uint32_t i = 0; i < sim->world.processes_len; i++) {
        struct process *process = &sim->world.processes[i];
        if (process->id.generation == id.generation && process->id.pool == id.pool &&
            process->id.slot == id.slot)
            return process;
    }
    return NULL;
}

static struct exit_status
status_draw(struct sim *sim)
{
    switch (sim_between(sim, 0, 3)) {
    case 0:
        return (struct exit_status){EXIT_SIGNAL, (uint8_t)sim_between(sim, 1, 15)};
    case 1:
        return (struct exit_status){EXIT_SIGNAL_CORE, 11};
    default:
        return (struct exit_status){EXIT_CODE, (uint8_t)sim_between(sim, 0, 3)};
    }
}

static void
process_plan_end(struct sim *sim, const struct process *process, msec delay,
                 struct exit_status status)
{
    process_plan(sim, process, ITEM_DIE, delay, (struct event){.status = status});
}

static void
process_spawn(struct sim *sim, struct worker_id id)
{
    struct world *world = &sim->world;
    uint32_t i = 0;
    while (i < world->processes_len && world->processes[i].id.generation != 0)
        i++;
    if (i == PROCESSES_MAX)
        sim_fail(sim, "the simulator's own table of processes is full");
    world->processes_len = MAX(world->processes_len, i + 1);
    world->held++;

    struct process *process = &world->processes[i];
    const struct pool_settings *settings = &sim->swarm.settings[id.pool];
    *process = (struct process){
        .id = id,
        .serial = process->serial + 1,
        .phase = PHASE_EXISTS,
        .no_drain = sim_strikes(sim, FAULT_NO_DRAIN),
        .ignores_drain = sim_strikes(sim, FAULT_IGNORES_DRAIN),
        .ignores_term = sim_strikes(sim, FAULT_IGNORES_TERM),
        .stop_ms = sim_between(sim, 0, 300),
    };
    if (sim_strikes(sim, FAULT_SLOW_STOP))
        process->stop_ms = sim_between(sim, 0, settings->shutdown_timeout_ms * 5 / 4);
    if (sim_strikes(sim, FAULT_UNKILLABLE))
        process->unkillable_ms = sim_between(sim, 0, 200000);
    process_report(sim, process, (struct event){.kind = EV_SPAWNED});
    process->known_at = process->reported_at;
    process_plan(sim, process, ITEM_EXEC, sim_between(sim, 0, 5), (struct event){0});
}

static void
process_exec(struct sim *sim, struct process *process)
{
    if (sim_strikes(sim, FAULT_EXEC_FAILS)) {
        process->phase = PHASE_NO_EXEC;
        process_report(sim, process,
                       (struct event){.kind = EV_EXEC_FAILED, .step = 19, .error = 2});
        process_plan_end(sim, process, sim_between(sim, 0, 2),
                         (struct exit_status){EXIT_CODE, 127});
        return;
    }
    process->phase = PHASE_RUNS;
    process_report(sim, process, (struct event){.kind = EV_EXECUTED});

    const struct pool_settings *settings = &sim->swarm.settings[process->id.pool];
    msec start = sim_between(sim, 0, 400);
    if (sim_strikes(sim, FAULT_SLOW_START))
        start = settings->startup_timeout_ms * 3 / 4 +
                sim_between(sim, 0, settings->startup_timeout_ms / 2);
    if (sim_strikes(sim, FAULT_DIES_AT_START))
        process_plan_end(sim, process, sim_between(sim, 0, start), status_draw(sim));
    if (settings->ready == READY_NOTIFY && !sim_strikes(sim, FAULT_NEVER_READY) &&
        !sim_strikes(sim, FAULT_READY_LOST))
        process_plan(sim, process, ITEM_SAY, start, (struct event){.kind = EV_READY});
    if (sim_strikes(sim, FAULT_DIES_LATER))
        process_plan_end(sim, process, sim_between(sim, 0, 1u << sim_between(sim, 8, 17)),
                         status_draw(sim));
    if (sim_strikes(sim, FAULT_LEAVES_UNASKED)) {
        msec when = sim_between(sim, 0, 20000);
        process_plan(sim, process, ITEM_SAY, when, (struct event){.kind = EV_STOPPING});
        process_plan_end(sim, process, when + sim_between(sim, 0, 5000), status_draw(sim));
    }
    if (sim_strikes(sim, FAULT_UNTRUSTED))
        process_plan(sim, process, ITEM_SAY, sim_between(sim, 0, 20000),
                     (struct event){.kind = EV_UNTRUSTED});
}

static void
process_die(struct sim *sim, struct process *process, struct exit_status status)
{
    if (process->phase == PHASE_EXISTS) /* killed before its exec */
        process_report(sim, process,
                       (struct event){.kind = EV_EXEC_FAILED, .step = 20, .error = 3});
    process->phase = PHASE_DEAD;
    process->status = status;
    process_report(sim, process, (struct event){.kind = EV_EXITED, .status = status});
}

/* --- What the core asks for. */

static void
apply_spawn(struct sim *sim, const struct action *action)
{
    struct process *process = world_process(sim, action->worker);
    uint32_t *generation = &sim->world.generations[action->worker.pool];
    *generation = MAX(*generation, action->worker.generation);
    if (process != NULL) {
        process_report(sim, process, (struct event){.kind = EV_SPAWNED});
        if (process->phase == PHASE_DEAD)
            process_report(sim, process,
                           (struct event){.kind = EV_EXITED, .status = process->status});
    } else if (sim_strikes(sim, FAULT_SPAWN_FAILS)) {
        world_plan_at(sim, (struct item){.at = sim->now + sim_between(sim, 0, 3),
                                         .kind = ITEM_DELIVER,
                                         .from_keeper = true,
                                         .event = {.kind = EV_SPAWN_FAILED,
                                                   .worker = action->worker,
                                                   .step = 4,
                                                   .error = 11}});
    } else {
        process_spawn(sim, action->worker);
    }
}

static void
apply_command(struct sim *sim, struct process *process)
{
    if (process->command_runs || process->phase != PHASE_RUNS)
        return;
    process->command_runs = true;
    struct event done = {.kind = EV_COMMAND_DONE, .worker = process->id};
    done.status = (struct exit_status){EXIT_CODE, 0};
    if (sim_strikes(sim, FAULT_COMMAND_FAILS))
        done.status = status_draw(sim);
    if (sim_strikes(sim, FAULT_NEVER_READY))
        done.status = (struct exit_status){0};
    world_plan_at(sim, (struct item){.at = sim->now + sim_between(sim, 1, 1500),
                                     .kind = ITEM_DELIVER,
                                     .from_keeper = true,
                                     .event = done});
}

static void
apply_drain(struct sim *sim, struct process *process)
{
    if (process->no_drain || process->phase != PHASE_RUNS) {
        world_deliver(sim, (struct event){.kind = EV_DRAIN_UNSENT, .worker = process->id}, 0);
        return;
    }
    process->asked_to_stop = true;
    if (process->ignores_drain)
        return;
    process_plan(sim, process, ITEM_SAY, sim_between(sim, 0, 20),
                 (struct event){.kind = EV_STOPPING});
    process_plan_end(sim, process, process->stop_ms, (struct exit_status){EXIT_CODE, 0});
}

static void
apply_signal(struct sim *sim, struct process *process)
{
    process->asked_to_stop = true;
    if (sim_strikes(sim, FAULT_READY_LATE))
        process_plan(sim, process, ITEM_SAY, sim_between(sim, 0, 50),
                     (struct event){.kind = EV_READY});
    if (!process->ignores_term)
        process_plan_end(sim, process, process->stop_ms, (struct exit_status){EXIT_SIGNAL, 15});
}

void
world_apply(struct sim *sim, const struct action *action)
{
    struct process *process = NULL;
    if (action->worker.generation != 0)
        process = world_process(sim, action->worker);
    bool lives = process != NULL && process->phase != PHASE_DEAD;

    if (action->kind == ACT_SPAWN) {
        apply_spawn(sim, action);
    } else if (action->kind == ACT_COMMAND && lives) {
        apply_command(sim, process);
    } else if (action->kind == ACT_DRAIN && lives) {
        apply_drain(sim, process);
    } else if (action->kind == ACT_SIGNAL && lives) {
        apply_signal(sim, process);
    } else if (action->kind == ACT_KILL && lives) {
        process->asked_to_stop = true;
        process_plan_end(sim, process, sim->calm ? 1 : 1 + process->unkillable_ms,
                         (struct exit_status){EXIT_SIGNAL, 9});
        process->unkillable_ms = 0;
    } else if (action->kind == ACT_RELEASE && process != NULL) {
        if (lives)
            sim_fail(sim, "a living process is released");
        process->id.generation = 0;
        sim->world.held--;
    } else if (action->kind == ACT_BIND) {
        uint32_t pool = action->worker.pool;
        bool fails = !sim->world.bound[pool] && sim_strikes(sim, FAULT_BIND_FAILS);
        sim->world.bound[pool] |= !fails;
        world_plan_at(sim, (struct item){.at = sim->now + sim_between(sim, 0, 3),
                                         .kind = ITEM_DELIVER,
                                         .from_keeper = true,
                                         .event = {.kind = fails ? EV_BIND_FAILED : EV_BOUND,
                                                   .worker.pool = pool,
                                                   .error = fails ? 98 : 0}});
    }
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
world_engine_dies(struct sim *sim, bool with_state)
{
    world_drop(&sim->world, with_state ? item_is_lost_with_engine : item_is_lost_with_state);
    twin_stop(sim);
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
    for (uint32_t i = 0; i < sim->swarm.pools; i++)
        sim_feed(sim, (struct event){.kind = EV_POOL_ADD,
                                     .worker.pool = i,
                                     .settings = &sim->swarm.settings[i]});
    uint32_t places = sim->world.processes_len;
    for (uint32_t i = 0; i < places; i++)
        if (sim->world.processes[i].id.generation != 0)
            list_process(sim, &sim->world.processes[i]);
    if (!with_state)
        for (uint32_t i = 0; i < sim->swarm.pools; i++)
            sim_feed(sim, (struct event){.kind = EV_POOL_START, .worker.pool = i});
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
        return item->event.kind == EV_UNTRUSTED ||
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
    for (uint32_t i = 0; i < sim->swarm.pools; i++)
        sim_feed(sim, (struct event){.kind = EV_POOL_ADD,
                                     .worker.pool = i,
                                     .settings = &sim->swarm.settings[i]});
    for (uint32_t i = 0; i < sim->swarm.pools; i++)
        sim_feed(sim, (struct event){.kind = EV_POOL_START, .worker.pool = i});
    world_plan_operator(sim);
}
