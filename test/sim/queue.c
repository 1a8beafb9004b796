/* queue.c - what will happen, by time and then by order of planning. */
#include "test/sim/sim.h"

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

void
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

struct item
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
void
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
