/* life.c - one life: chaos, then calm and convergence, then a shutdown that must end in LEAVE. */
#include "test/sim/life.h"
#include "test/sim/sim.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Everything that faults of the chaos phase can still delay once they have stopped: an unkillable
 * process, the longest start and stop limits, back-offs; several times over. */
#define SETTLE_MS 1800000u

/* More TICKs than that at one instant are a busy loop: one step takes on 64 deadlines. */
#define TICKS_IN_PLACE_MAX 200u

#define BIRTH_MS 1000000u

static sigjmp_buf life_end;
static const struct life_options *life_options;

void
sim_fail(const struct sim *sim, const char *format, ...)
{
    if (!life_options->quiet) {
        va_list list;
        va_start(list, format);
        printf("seed %llu, event %llu, %llu ms: ", (unsigned long long)sim->seed,
               (unsigned long long)sim->steps, (unsigned long long)sim->now);
        vprintf(format, list);
        printf("\n");
        va_end(list);
    }
    siglongjmp(life_end, 1);
}

static void
on_abort(int signo)
{
    (void)signo;
    siglongjmp(life_end, 1);
}

/* --- Time. What the world has comes first, TICK last. */

static void
life_move(struct sim *sim, msec until)
{
    msec due = core_deadline(sim->core), next = world_next(sim);
    if (due != MSEC_NEVER) {
        due = MAX(MAX(due, sim->now), sim->stall_until);
        if (!sim->calm)
            due += sim_between(sim, 0, 2);
    }
    if (MIN(due, next) > until) {
        sim->now = MAX(sim->now, until);
    } else if (due < next) {
        sim->ticks_in_place = due > sim->now ? 0 : sim->ticks_in_place + 1;
        if (sim->ticks_in_place > TICKS_IN_PLACE_MAX)
            sim_fail(sim, "a deadline is left in the past"); /* I5 */
        sim->now = due;
        sim_feed(sim, (struct event){.kind = EV_TICK});
    } else {
        world_step(sim);
    }
    while (sim->engine_died) /* it may die while it resumes */
        world_engine_dies(sim, !sim_strikes(sim, FAULT_STATE_LOST));
}

static void
life_settle(struct sim *sim, msec span)
{
    for (msec until = sim->now + span; sim->now < until;)
        life_move(sim, until);
}

/* --- What must hold once faults have stopped. */

static void
require_whole(struct sim *sim)
{
    uint32_t living[SIM_POOLS_MAX] = {0};
    for (uint32_t i = 0; i < sim->world.processes_len; i++) {
        const struct process *process = &sim->world.processes[i];
        if (process->id.generation == 0)
            continue;
        living[process->id.pool]++;
        if (core_handle(sim->core, process->id) == NONE)
            sim_fail(sim, "%u/%u.%u lives and nobody knows", process->id.pool, process->id.slot,
                     process->id.generation); /* W1 */
    }
    for (uint32_t i = 0; i < sim->swarm.pools; i++) {
        struct pool_view view;
        if (!core_pool(sim->core, i, sim->now, &view))
            sim_fail(sim, "pool %u has no view", i);
        if (view.state != POOL_STARTED || view.ready != view.workers_min || view.starting > 0 ||
            view.draining > 0 || view.rolling || living[i] != view.workers_min)
            sim_fail(sim,
                     "pool %u is not whole: %s, %u of %u ready, %u starting, %u draining, %u live",
                     i, pool_state_name(view.state), view.ready, view.workers_min, view.starting,
                     view.draining, living[i]); /* W10 */
    }
    witness_quiet(&sim->witness);
}

static void
command_all(struct sim *sim, struct event event)
{
    for (uint32_t i = 0; i < sim->swarm.pools; i++) {
        event.worker.pool = i;
        sim_feed(sim, event);
    }
}

/* Who was removed is forgotten; all come back, nobody is refused, and nobody is replaced by itself
 * from now on. */
static void
bring_all_back(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->swarm.pools; i++) {
        struct pool_view view;
        bool known = core_pool(sim->core, i, sim->now, &view);
        if (known == sim->world.removed[i])
            sim_fail(sim, "pool %u is %s", i, known ? "removed, and still known" : "not known");
        sim->world.removed[i] = false;
        sim->swarm.settings[i].refused = false;
        settings_calm(&sim->swarm.settings[i]);
        world_tell_pool(sim, i, true);
        world_start_new(sim, i);
    }
}

/* After an apply without a fault nobody has drifted; in truth, not by the core's account. Where
 * changes replace nobody, the account agrees with the truth. */
static void
require_fresh(struct sim *sim)
{
    uint32_t drifted[SIM_POOLS_MAX] = {0};
    for (uint32_t i = 0; i < sim->world.processes_len; i++) {
        const struct process *process = &sim->world.processes[i];
        const struct pool_settings *settings = &sim->swarm.settings[process->id.pool];
        if (process->id.generation != 0)
            drifted[process->id.pool] += process->fingerprint != settings->fingerprint;
    }
    for (uint32_t i = 0; i < sim->swarm.pools; i++) {
        struct pool_view view;
        bool replaces = sim->swarm.settings[i].on_config_change;
        bool exact = !sim->witness.pools[i].leftovers; /* who was found tells nobody its settings */
        if (core_pool(sim->core, i, sim->now, &view) && exact &&
            (view.drifted != drifted[i] || (replaces && view.drifted > 0)))
            sim_fail(sim, "pool %u: %u workers have drifted, %u by the core's account", i,
                     drifted[i], view.drifted);
    }
}

static uint32_t
newest_generation(const struct sim *sim, uint32_t pool)
{
    uint32_t newest = 0;
    for (uint32_t w = core_worker_first(sim->core, pool); w != NONE;
         w = core_worker_next(sim->core, w)) {
        struct worker_view view;
        if (core_worker(sim->core, w, &view))
            newest = MAX(newest, view.id.generation);
    }
    return newest;
}

/* Each worker is another one after a recycle, in every slot. */
static void
require_recycled(struct sim *sim, const uint32_t *before)
{
    for (uint32_t i = 0; i < sim->swarm.pools; i++)
        for (uint32_t w = core_worker_first(sim->core, i); w != NONE;
             w = core_worker_next(sim->core, w)) {
            struct worker_view view;
            if (!core_worker(sim->core, w, &view) || view.id.generation <= before[i])
                sim_fail(sim, "%u/%u.%u was not recycled", i, view.id.slot, view.id.generation);
        }
}

static void
life_recover(struct sim *sim)
{
    world_calm(sim);
    life_settle(sim, SETTLE_MS);
    if (!sim->shut) {
        bring_all_back(sim);
        command_all(sim, (struct event){.kind = EV_POOL_START, .by_operator = true});
        life_settle(sim, SETTLE_MS);
        for (uint32_t i = 0; i < sim->swarm.pools; i++)
            world_tell_pool(sim, i, true);
        life_settle(sim, SETTLE_MS);
        require_whole(sim);
        require_fresh(sim);

        uint32_t before[SIM_POOLS_MAX];
        for (uint32_t i = 0; i < sim->swarm.pools; i++)
            before[i] = newest_generation(sim, i);
        command_all(sim, (struct event){.kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND});
        life_settle(sim, SETTLE_MS);
        require_whole(sim);
        require_recycled(sim, before);
        sim_feed(sim, (struct event){.kind = EV_SHUTDOWN});
    }
    life_settle(sim, SETTLE_MS);
    if (!sim->left || sim->world.held > 0)
        sim_fail(sim, "after SHUTDOWN: %u processes, last action %s", sim->world.held,
                 sim->left ? "LEAVE" : "another"); /* W11 */
    if (core_deadline(sim->core) != MSEC_NEVER)
        sim_fail(sim, "after LEAVE a deadline is left");
}

static void
life_live(struct sim *sim)
{
    world_init(sim);
    /* In a world without faults little happens, so turns are counted too. */
    for (uint64_t turns = 0;
         sim->steps < sim->swarm.steps && turns < 4 * (uint64_t)sim->swarm.steps &&
         world_next(sim) != MSEC_NEVER;
         turns++)
        life_move(sim, MSEC_NEVER);
    life_recover(sim);
}

static struct sim *
life_create(const struct life_options *options)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    assert(sim != NULL);
    sim->seed = options->seed;
    sim->trace = options->trace;
    sim->now = BIRTH_MS;
    sim->prng.state = options->seed ^ 0x5851f42d4c957f2du;
    swarm_draw(&sim->swarm, options->seed, options->without, options->events);
    void *mem = calloc(1, core_size(&sim->swarm.limits));
    assert(mem != NULL);
    sim->core = core_init(mem, &sim->swarm.limits);
    sim->actions.cap = sim->twin.actions.cap = core_actions_max(&sim->swarm.limits);
    sim->actions.v = calloc(sim->actions.cap, sizeof(struct action));
    sim->twin.actions.v = calloc(sim->actions.cap, sizeof(struct action));
    assert(sim->actions.v != NULL && sim->twin.actions.v != NULL);
    store_init(&sim->store, sim->core);
    witness_init(&sim->witness, sim);
    return sim;
}

static void
life_destroy(struct sim *sim)
{
    twin_stop(sim);
    store_fini(&sim->store);
    witness_fini(&sim->witness);
    world_fini(&sim->world);
    free(sim->actions.v);
    free(sim->twin.actions.v);
    free(sim->core);
    free(sim);
}

/* A broken rule and a broken assertion both come back here. */
static bool
life_is_good(struct sim *sim)
{
    if (sigsetjmp(life_end, 1) != 0)
        return false;
    life_live(sim);
    return true;
}

void
life_run(const struct life_options *options, struct life_result *out)
{
    struct sim *sim = life_create(options);
    life_options = options;
    signal(SIGABRT, on_abort);
    bool good = life_is_good(sim);
    signal(SIGABRT, SIG_DFL);
    *out = (struct life_result){.failed = !good,
                                .steps = sim->steps,
                                .simulated_ms = sim->now - BIRTH_MS,
                                .digest = sim->digest};
    life_destroy(sim);
}
