/* start.c - fair starts. */
#include "supervisor/core/start.h"
#include "supervisor/core/pool.h"

static uint64_t
queue_key(const struct pool *p)
{
    return (uint64_t)(p->queue - 1u) << 56 | p->ticket;
}

void
start_wait(struct core *core, uint32_t pool, enum start_class class)
{
    if (pool_at(core, pool)->queue == class + 1)
        return;
    struct pool *p = pool_edit(core, pool);
    p->queue = (uint8_t)(class + 1);
    p->ticket = ++global_edit(core)->ticket;
    start_put(core, pool);
}

void
start_put(struct core *core, uint32_t pool)
{
    heap_set(&core->queue, pool, queue_key(pool_at(core, pool)));
}

void
start_wait_no_more(struct core *core, uint32_t pool)
{
    if (pool_at(core, pool)->queue == 0)
        return;
    pool_edit(core, pool)->queue = 0;
    heap_remove(&core->queue, pool);
}

bool
starts_are_pending(const struct core *core)
{
    return core->queue.len > 0 && core->places_held < global_at(core)->starts_max &&
           workers_have_room(core) && global_at(core)->shutdown == SHUTDOWN_NOT;
}

void
starts_grant(struct core *core)
{
    while (starts_are_pending(core)) {
        uint32_t pool = heap_first(&core->queue);
        if (!actions_have_room(core, pool))
            return; /* core_deadline says that there is more to do */
        start_wait_no_more(core, pool);
        pool_start_next(core, pool);
        pool_reconcile(core, pool);
    }
}
