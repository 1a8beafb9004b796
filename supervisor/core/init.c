/* init.c - cuts the caller's memory into the core's arrays. */
#include "supervisor/core/state.h"

/* One block; zeroes are a valid empty core. */

struct layout {
    size_t pools, failures, runs, workers, pool_more, worker_more;
    size_t due_entries, due_places, queue_entries, queue_places;
    size_t turns_entries, turns_places;
    size_t used[BITMAP_LEVELS], touched, touched_bits, end;
    uint32_t used_words[BITMAP_LEVELS];
};

static size_t
layout_add(size_t *end, size_t n, size_t size)
{
    size_t at = *end;
    *end += (n * size + 15) & ~(size_t)15;
    return at;
}

static void
layout_make(struct layout *layout, const struct core_limits *limits)
{
    size_t end = (sizeof(struct core) + 15) & ~(size_t)15;
    size_t pools = limits->pools_max, workers = limits->workers_max;
    size_t records = 1 + 3 * pools + workers;

    layout->pools = layout_add(&end, pools, sizeof(struct pool));
    layout->failures = layout_add(&end, pools, sizeof(struct failures));
    layout->runs = layout_add(&end, pools, sizeof(struct runs));
    layout->workers = layout_add(&end, workers, sizeof(struct worker));
    layout->pool_more = layout_add(&end, pools, sizeof(struct pool_more));
    layout->worker_more = layout_add(&end, workers, sizeof(struct worker_more));
    layout->due_entries = layout_add(&end, pools + workers, sizeof(struct heap_entry));
    layout->due_places = layout_add(&end, pools + workers, sizeof(uint32_t));
    layout->queue_entries = layout_add(&end, pools, sizeof(struct heap_entry));
    layout->queue_places = layout_add(&end, pools, sizeof(uint32_t));
    layout->turns_entries = layout_add(&end, pools, sizeof(struct heap_entry));
    layout->turns_places = layout_add(&end, pools, sizeof(uint32_t));
    size_t words = workers;
    for (size_t level = 0; level < BITMAP_LEVELS; level++) {
        words = (words + 63) / 64;
        layout->used_words[level] = (uint32_t)words;
        layout->used[level] = layout_add(&end, words, sizeof(uint64_t));
    }
    layout->touched = layout_add(&end, records, sizeof(uint32_t));
    layout->touched_bits = layout_add(&end, (records + 63) / 64, sizeof(uint64_t));
    layout->end = end;
}

size_t
core_size(const struct core_limits *limits)
{
    struct layout layout;
    layout_make(&layout, limits);
    return layout.end;
}

struct core *
core_init(void *mem, const struct core_limits *limits)
{
    assert((uintptr_t)mem % 16 == 0);
    assert(limits->starts_max >= 1 && limits->pools_max >= 1 && limits->workers_max >= 1);
    assert(limits->workers_max <= 64u * 64 * 64 * 64);

    struct layout layout;
    layout_make(&layout, limits);
    unsigned char *base = mem;
    struct core *core = mem;
    uint32_t nodes = limits->pools_max + limits->workers_max;

    core->limits = *limits;
    core->raw.pools = (void *)(base + layout.pools);
    core->raw.failures = (void *)(base + layout.failures);
    core->raw.runs = (void *)(base + layout.runs);
    core->raw.workers = (void *)(base + layout.workers);
    core->pool_more = (void *)(base + layout.pool_more);
    core->worker_more = (void *)(base + layout.worker_more);
    core->due.entries = (void *)(base + layout.due_entries);
    core->due.places = (void *)(base + layout.due_places);
    core->due.nodes_max = nodes;
    core->queue.entries = (void *)(base + layout.queue_entries);
    core->queue.places = (void *)(base + layout.queue_places);
    core->queue.nodes_max = limits->pools_max;
    core->turns.entries = (void *)(base + layout.turns_entries);
    core->turns.places = (void *)(base + layout.turns_places);
    core->turns.nodes_max = limits->pools_max;
    for (size_t level = 0; level < BITMAP_LEVELS; level++) {
        core->used[level] = (void *)(base + layout.used[level]);
        core->used_words[level] = layout.used_words[level];
    }
    core->touched = (void *)(base + layout.touched);
    core->touched_bits = (void *)(base + layout.touched_bits);

    struct global *global = global_edit(core);
    global->version = CORE_STATE_VERSION;
    global->starts_max = limits->starts_max;
    global->prng.state = limits->seed;
    return core;
}
