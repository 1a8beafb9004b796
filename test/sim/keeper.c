/* keeper.c - the keeper and its processes: what the core asks for is done, or it goes wrong. */
#include "test/sim/sim.h"

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
        .fingerprint = settings->fingerprint,
        .ready = settings->ready,
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

/* It asks for more time: in its start, which may be too short by then, and at any time of its life. */
static void
process_extends(struct sim *sim, const struct process *process, msec start)
{
    const struct pool_settings *settings = &sim->swarm.settings[process->id.pool];
    msec most = MAX(settings->startup_timeout_ms, settings->shutdown_timeout_ms);
    if (!sim_strikes(sim, FAULT_EXTENDS))
        return;
    process_plan(sim, process, ITEM_SAY, sim_between(sim, 0, start),
                 (struct event){.kind = EV_EXTEND, .count = sim_between(sim, 0, most * 2)});
    for (uint32_t i = 0; i < 4; i++)
        process_plan(sim, process, ITEM_SAY, sim_between(sim, 0, 20000),
                     (struct event){.kind = EV_EXTEND, .count = sim_between(sim, 0, most * 20)});
}

/* It serves more, or nothing, until it says so. */
void
process_say_requests(struct sim *sim, const struct process *process, uint64_t before)
{
    uint64_t more = sim_between(sim, 0, 3) == 0 ? 0 : sim_between(sim, 1, 200);
    if (!sim->calm)
        process_plan(sim, process, ITEM_SAY, sim_between(sim, 100, 6000),
                     (struct event){.kind = EV_REQUESTS, .count = before + more});
}

void
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
    if (process->ready == READY_NOTIFY && !sim_strikes(sim, FAULT_NEVER_READY) &&
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
    if (sim_strikes(sim, FAULT_ASKS))
        process_plan(sim, process, ITEM_SAY, sim_between(sim, 0, 20000),
                     (struct event){.kind = EV_RECYCLE, .cause = CAUSE_UNHEALTHY});
    process_extends(sim, process, start);
    if (settings->recycle_requests != 0)
        process_say_requests(sim, process, 0);
    if (sim_strikes(sim, FAULT_UNTRUSTED))
        process_plan(sim, process, ITEM_SAY, sim_between(sim, 0, 20000),
                     (struct event){.kind = EV_UNTRUSTED});
}

void
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

/* A bind of what is new takes its time; what is bound already is answered like the rest. */
static void
apply_bind(struct sim *sim, uint32_t pool)
{
    bool fails = !sim->world.bound[pool] && sim_strikes(sim, FAULT_BIND_FAILS);
    msec delay = sim_between(sim, 0, 3);
    if (!sim->world.bound[pool] && sim_between(sim, 0, 3) == 0)
        delay = sim_between(sim, 0, 8000);
    sim->world.bound[pool] |= !fails;
    world_plan_at(sim, (struct item){.at = sim->now + delay,
                                     .kind = ITEM_DELIVER,
                                     .from_keeper = true,
                                     .event = {.kind = fails ? EV_BIND_FAILED : EV_BOUND,
                                               .worker.pool = pool,
                                               .error = fails ? 98 : 0}});
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
        apply_bind(sim, action->worker.pool);
    } else if (action->kind == ACT_POOL_GONE) {
        sim->world.bound[action->worker.pool] = false;
    }
}
