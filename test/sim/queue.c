/* queue.c - what will happen, by time and then by order of planning.
 *
 * A binary heap of turns, which are small; the items that they stand for stay where they are. The
 * places of items that are free are kept behind the heap, so the table is one that only grows. */
#include "test/sim/sim.h"
#include <stdlib.h>

static bool
turn_before(const struct turn *a, const struct turn *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
queue_grow(struct sim *sim)
{
    struct world *world = &sim->world;
    if (world->items_cap == ITEMS_MAX)
        sim_fail(sim, "the simulator's own queue is full");
    uint32_t cap = world->items_cap == 0 ? 256 : 2 * world->items_cap;
    world->turns = realloc(world->turns, cap * sizeof(*world->turns));
    world->items = realloc(world->items, cap * sizeof(*world->items));
    assert(world->turns != NULL && world->items != NULL);
    for (uint32_t i = world->items_cap; i < cap; i++)
        world->turns[i].item = i;
    world->items_cap = cap;
}

/* Puts the turn where it belongs, at or below a place that is free. */
static void
turn_sink(struct turn *turns, uint32_t len, uint32_t at, struct turn turn)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= len)
            break;
        if (child + 1 < len && turn_before(&turns[child + 1], &turns[child]))
            child++;
        if (!turn_before(&turns[child], &turn))
            break;
        turns[at] = turns[child];
        at = child;
    }
    turns[at] = turn;
}

void
world_push(struct sim *sim, const struct item *item)
{
    struct world *world = &sim->world;
    if (world->items_len == world->items_cap)
        queue_grow(sim);
    uint32_t at = world->items_len++;
    struct turn turn = {.at = item->at, .order = item->order, .item = world->turns[at].item};
    world->items[turn.item] = *item;
    for (; at > 0 && turn_before(&turn, &world->turns[(at - 1) / 2]); at = (at - 1) / 2)
        world->turns[at] = world->turns[(at - 1) / 2];
    world->turns[at] = turn;
}

void
world_plan_at(struct sim *sim, struct item item)
{
    item.order = sim->world.order++;
    world_push(sim, &item);
}

struct item
world_pop(struct world *world)
{
    struct turn *turns = world->turns;
    uint32_t first = turns[0].item;
    struct turn last = turns[--world->items_len];
    turns[world->items_len].item = first; /* its place is free */
    if (world->items_len > 0)
        turn_sink(turns, world->items_len, 0, last);
    return world->items[first];
}

/* Drops what is no longer to happen. Order of planning is kept. */
void
world_drop(struct world *world, bool (*drop)(const struct world *, const struct item *))
{
    struct turn *turns = world->turns;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < world->items_len; i++)
        if (!drop(world, &world->items[turns[i].item])) {
            struct turn turn = turns[i];
            turns[i] = turns[kept];
            turns[kept++] = turn;
        }
    world->items_len = kept;
    for (uint32_t i = kept / 2; i-- > 0;)
        turn_sink(turns, kept, i, turns[i]);
}

void
world_fini(struct world *world)
{
    free(world->turns);
    free(world->items);
}
