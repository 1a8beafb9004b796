/* store.c - saves touched records, restores cores from them, keeps a twin in lockstep. */
#include "test/sim/sim.h"
#include <stdlib.h>
#include <string.h>

void
store_init(struct store *store, const struct core *core)
{
    store->records = core_record_count(core);
    store->bytes = calloc(store->records, sizeof(*store->bytes));
    store->size = calloc(store->records, sizeof(*store->size));
    store->touched = calloc(store->records, sizeof(*store->touched));
    assert(store->bytes != NULL && store->size != NULL && store->touched != NULL);
}

void
store_fini(struct store *store)
{
    for (uint32_t i = 0; i < store->records; i++)
        free(store->bytes[i]);
    free(store->bytes);
    free(store->size);
    free(store->touched);
}

void
store_save(struct sim *sim)
{
    struct store *store = &sim->store;
    uint32_t n = core_touched(sim->core, store->touched, store->records);
    if (n > core_touched_max(&sim->swarm.limits))
        sim_fail(sim, "a step touched %u records, more than its limit", n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t record = store->touched[i];
        if (store->bytes[record] == NULL)
            store->bytes[record] = malloc(core_record_size_max());
        assert(store->bytes[record] != NULL);
        store->size[record] =
            core_record_write(sim->core, record, store->bytes[record], core_record_size_max());
    }
    core_touched_clear(sim->core);
}

struct core *
store_restore(struct sim *sim, bool with_state)
{
    struct store *store = &sim->store;
    void *mem = calloc(1, core_size(&sim->swarm.limits));
    assert(mem != NULL);
    struct core *core = core_init(mem, &sim->swarm.limits);
    for (uint32_t i = 0; i < store->records; i++) {
        if (!with_state)
            store->size[i] = 0;
        else if (store->size[i] != 0 &&
                 core_record_read(core, i, store->bytes[i], store->size[i]) != 0)
            sim_fail(sim, "record %u cannot be read back", i);
    }
    if (with_state && core_restore_end(core, sim->now) != 0) {
        const char *broken = core_check(core);
        sim_fail(sim, "the restored core breaks a rule: %s", broken != NULL ? broken : "a link");
    }
    return core;
}

void
twin_start(struct sim *sim)
{
    struct twin *twin = &sim->twin;
    twin->core = store_restore(sim, true);
    twin->steps_left = sim_between(sim, 1, 60);
    if (core_digest(twin->core) != core_digest(sim->core))
        sim_fail(sim, "a core restored from touched records differs");
    if (core_deadline(twin->core) != core_deadline(sim->core))
        sim_fail(sim, "a restored core has another deadline");
}

void
twin_step(struct sim *sim, const struct event *event)
{
    struct twin *twin = &sim->twin;
    if (twin->core == NULL)
        return;
    core_step(twin->core, event, &twin->actions);
    if (twin->actions.len != sim->actions.len ||
        memcmp(twin->actions.v, sim->actions.v, sim->actions.len * sizeof(struct action)) != 0)
        sim_fail(sim, "the twin acts otherwise");
    if (core_digest(twin->core) != core_digest(sim->core))
        sim_fail(sim, "the twin's state differs");
    if (core_deadline(twin->core) != core_deadline(sim->core))
        sim_fail(sim, "the twin has another deadline");
    if (--twin->steps_left == 0)
        twin_stop(sim);
}

void
twin_stop(struct sim *sim)
{
    free(sim->twin.core);
    sim->twin.core = NULL;
}
