/* coverage.c - the (state x event) matrices of workers and pools. */
#include "test/sim/coverage.h"
#include <stdio.h>

static uint64_t worker_cells[WORKER_STATE_COUNT][EV_COUNT];
static uint64_t pool_cells[POOL_STATE_COUNT + 1][EV_COUNT]; /* the last: there is no pool */

static bool
is_about_worker(enum event_kind kind)
{
    return kind >= EV_SPAWNED && kind <= EV_LISTED;
}

static bool
is_about_pool(enum event_kind kind)
{
    return !is_about_worker(kind) && kind != EV_TICK && kind != EV_LIMITS && kind != EV_SHUTDOWN;
}

void
coverage_note(const struct core *core, const struct event *event)
{
    if (is_about_worker(event->kind)) {
        struct worker_view view = {.state = WORKER_FREE};
        uint32_t handle = core_handle(core, event->worker);
        if (handle != NONE)
            core_worker(core, handle, &view);
        worker_cells[view.state][event->kind]++;
    } else if (is_about_pool(event->kind)) {
        struct pool_view view;
        bool known = core_pool(core, event->worker.pool, event->now, &view);
        pool_cells[known ? (uint32_t)view.state : POOL_STATE_COUNT][event->kind]++;
    }
}

/* What the world's own rules exclude (world.h): for one worker SPAWNED or SPAWN_FAILED comes before
 * all else; a second SPAWN_FAILED or the failed exec of one that was ready would be of another
 * worker; a ready command is answered once; and a pool is not forgotten before BIND is answered. */
static bool
worker_cell_can_be(enum worker_state state, enum event_kind kind)
{
    if (state == WORKER_FREE)
        return true;
    if (state == WORKER_GONE)
        return false; /* no view shows it: such an event meets FREE */
    if (state == WORKER_SPAWNING)
        return kind == EV_SPAWNED || kind == EV_SPAWN_FAILED || kind == EV_LISTED;
    if (kind == EV_SPAWN_FAILED)
        return false;
    if (state == WORKER_STARTING)
        return kind != EV_DRAIN_UNSENT;
    if (state == WORKER_READY)
        return kind != EV_EXEC_FAILED && kind != EV_DRAIN_UNSENT && kind != EV_COMMAND_DONE;
    return true;
}

static bool
pool_cell_can_be(uint32_t state, enum event_kind kind)
{
    return (kind != EV_BOUND && kind != EV_BIND_FAILED) || state != POOL_STATE_COUNT;
}

static unsigned
cell_print(bool can_be, uint64_t n)
{
    if (n > 0)
        printf(" %10llu", (unsigned long long)n);
    else
        printf(" %10s", can_be ? "NEVER" : ".");
    return can_be && n == 0;
}

unsigned
coverage_print(void)
{
    static const char *const workers[] = {"(none)",   "SPAWNING", "STARTING", "READY",
                                          "DRAINING", "LEAVING",  "KILLING"};
    unsigned missing = 0;
    printf("%-14s", "worker");
    for (uint32_t state = 0; state < ARRAY_LEN(workers); state++)
        printf(" %10s", workers[state]);
    for (uint32_t kind = EV_SPAWNED; kind <= EV_LISTED; kind++) {
        printf("\n%-14s", event_kind_name(kind));
        for (uint32_t state = 0; state < ARRAY_LEN(workers); state++)
            missing += cell_print(worker_cell_can_be(state, kind), worker_cells[state][kind]);
    }
    printf("\n\n%-14s", "pool");
    for (uint32_t state = 0; state < POOL_STATE_COUNT; state++)
        printf(" %10s", pool_state_name(state));
    printf(" %10s", "(none)");
    for (uint32_t kind = 0; kind < EV_COUNT; kind++) {
        if (!is_about_pool(kind))
            continue;
        printf("\n%-14s", event_kind_name(kind));
        for (uint32_t state = 0; state <= POOL_STATE_COUNT; state++)
            missing += cell_print(pool_cell_can_be(state, kind), pool_cells[state][kind]);
    }
    printf("\n");
    return missing;
}
