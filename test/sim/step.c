/* step.c - one step of the core, looked at by everyone. */
#include "test/sim/coverage.h"
#include "test/sim/sim.h"
#include <stdio.h>

static void
trace_event(const struct sim *sim, const struct event *event)
{
    printf("%7llu %10llu %-12s %u/%u.%u%s\n", (unsigned long long)sim->steps,
           (unsigned long long)event->now, event_kind_name(event->kind), event->worker.pool,
           event->worker.slot, event->worker.generation,
           event->kind == EV_POOL_START && event->by_operator ? " by operator" : "");
}

static void
trace_action(const struct action *action)
{
    printf("%18s   %-12s %u/%u.%u", "", action_kind_name(action->kind), action->worker.pool,
           action->worker.slot, action->worker.generation);
    if (action->kind == ACT_EVENT)
        printf(" %u", action->event);
    if (action->other.generation != 0)
        printf(" other %u", action->other.generation);
    if (action->cause != CAUSE_NONE)
        printf(" %s", cause_name(action->cause));
    if (action->kind == ACT_ROLL_ENDED)
        printf(" %s %u of %u", roll_outcome_name(action->outcome), action->count,
               action->count + action->limit);
    printf("\n");
}

static void
chain(struct sim *sim, uint64_t word)
{
    sim->digest = (sim->digest ^ word) * 0x9e3779b97f4a7c15u;
    sim->digest ^= sim->digest >> 29;
}

static void
step_look(struct sim *sim, const struct event *event)
{
    const struct action_list *actions = &sim->actions;
    const char *broken = core_check(sim->core);
    if (broken != NULL)
        sim_fail(sim, "broken rule of the core: %s", broken);
    store_save(sim);
    for (uint32_t i = 0; i < actions->len; i++) {
        const struct action *action = &actions->v[i];
        if (sim->trace)
            trace_action(action);
        chain(sim, (uint64_t)action->kind << 56 ^ (uint64_t)action->worker.generation << 32 ^
                       (uint64_t)action->event << 16 ^ action->worker.slot << 8 ^
                       action->worker.pool);
        witness_action(&sim->witness, action);
        /* The echo of an exit is answered even then, and a late answer to BIND lets a pool go. */
        if (action->kind != ACT_RELEASE && action->kind != ACT_POOL_GONE)
            sim->left = action->kind == ACT_LEAVE;
    }
    witness_step_end(&sim->witness, core_deadline(sim->core) <= sim->now);
    twin_step(sim, event);
    if (sim->steps % 64 == 0)
        chain(sim, core_digest(sim->core));
    if (!sim->resuming && sim->twin.core == NULL &&
        prng_below(&sim->prng, sim->swarm.twin_gap) == 0)
        twin_start(sim);
}

void
sim_feed(struct sim *sim, struct event event)
{
    if (sim->engine_died)
        return; /* nobody is there to hear it */
    event.now = sim->now;
    sim->steps++;
    if (sim->trace)
        trace_event(sim, &event);
    coverage_note(sim->core, &event);
    witness_event(&sim->witness, &event);
    core_step(sim->core, &event, &sim->actions);
    step_look(sim, &event);

    /* The engine may die between any two actions: what is recorded is then not yet done. */
    uint32_t n = sim->actions.len;
    if (n > 0 && !sim->state_was_lost && sim_strikes(sim, FAULT_ENGINE_DIES) &&
        sim_between(sim, 0, 30) == 0) {
        sim->engine_died = true;
        n = (uint32_t)sim_between(sim, 0, n);
    }
    for (uint32_t i = 0; i < n; i++)
        world_apply(sim, &sim->actions.v[i]);
}
