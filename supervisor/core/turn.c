/* turn.c - limits.recycles: whose recycle may begin next on this host. */
#include "supervisor/core/turn.h"
#include "supervisor/core/pool.h"

static bool
turns_have_room(const struct core *core)
{
    uint32_t most = global_at(core)->recycles_max;
    return most == 0 || core->recycles_begun + core->turns_held < most;
}

bool
turn_take(struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    uint32_t most = global_at(core)->recycles_max;
    bool too_many = core->recycles_begun + core->turns_held > most; /* the limit was more before */
    if (most == 0 || (p->turn == TURN_HELD && too_many))
        turn_give_back(core, pool);
    if (most == 0)
        return true;
    if (p->turn != TURN_NONE)
        return p->turn == TURN_HELD;
    struct pool *edit = pool_edit(core, pool);
    if (turns_have_room(core) && core->turns.len == 0) {
        edit->turn = TURN_HELD;
        core->turns_held++;
        return true;
    }
    edit->turn = TURN_WAITS;
    edit->turn_ticket = ++global_edit(core)->ticket;
    turn_put(core, pool);
    return false;
}

void
turn_put(struct core *core, uint32_t pool)
{
    heap_set(&core->turns, pool, pool_at(core, pool)->turn_ticket);
}

void
turn_give_back(struct core *core, uint32_t pool)
{
    enum turn turn = pool_at(core, pool)->turn;
    if (turn == TURN_NONE)
        return;
    if (turn == TURN_HELD) {
        assert(core->turns_held > 0);
        core->turns_held--;
    } else {
        heap_remove(&core->turns, pool);
    }
    pool_edit(core, pool)->turn = TURN_NONE;
}

void
turn_begin(struct core *core, uint32_t original)
{
    struct worker *o = worker_edit(core, original);
    assert(!o->counted);
    turn_give_back(core, o->id.pool);
    o->counted = true;
    core->recycles_begun++;
}

void
turn_end(struct core *core, uint32_t original)
{
    if (!worker_at(core, original)->counted)
        return;
    assert(core->recycles_begun > 0);
    core->recycles_begun--;
    worker_edit(core, original)->counted = false;
}

bool
turns_are_pending(const struct core *core)
{
    return core->turns.len > 0 && turns_have_room(core) &&
           global_at(core)->shutdown == SHUTDOWN_NOT;
}

void
turns_grant(struct core *core)
{
    while (turns_are_pending(core)) {
        uint32_t pool = heap_first(&core->turns);
        if (!actions_have_room(core, pool))
            return; /* core_deadline says that there is more to do */
        heap_remove(&core->turns, pool);
        pool_edit(core, pool)->turn = TURN_HELD;
        core->turns_held++;
        pool_reconcile(core, pool);
    }
}
