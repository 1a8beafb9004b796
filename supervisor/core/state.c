/* state.c - owns the core's memory: records, touch marks, lists, deadlines, and the action list. */
#include "supervisor/core/state.h"

/* --- Memory. One block, cut into arrays; zeroes are a valid empty core. */

struct layout {
    size_t pools, failures, workers, pool_more, worker_more;
    size_t due_entries, due_places, queue_entries, queue_places;
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
    size_t records = 1 + 2 * pools + workers;

    layout->pools = layout_add(&end, pools, sizeof(struct pool));
    layout->failures = layout_add(&end, pools, sizeof(struct failures));
    layout->workers = layout_add(&end, workers, sizeof(struct worker));
    layout->pool_more = layout_add(&end, pools, sizeof(struct pool_more));
    layout->worker_more = layout_add(&end, workers, sizeof(struct worker_more));
    layout->due_entries = layout_add(&end, pools + workers, sizeof(struct heap_entry));
    layout->due_places = layout_add(&end, pools + workers, sizeof(uint32_t));
    layout->queue_entries = layout_add(&end, pools, sizeof(struct heap_entry));
    layout->queue_places = layout_add(&end, pools, sizeof(uint32_t));
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
    core->raw.workers = (void *)(base + layout.workers);
    core->pool_more = (void *)(base + layout.pool_more);
    core->worker_more = (void *)(base + layout.worker_more);
    core->due.entries = (void *)(base + layout.due_entries);
    core->due.places = (void *)(base + layout.due_places);
    core->due.nodes_max = nodes;
    core->queue.entries = (void *)(base + layout.queue_entries);
    core->queue.places = (void *)(base + layout.queue_places);
    core->queue.nodes_max = limits->pools_max;
    for (size_t level = 0; level < BITMAP_LEVELS; level++) {
        core->used[level] = (void *)(base + layout.used[level]);
        core->used_words[level] = layout.used_words[level];
    }
    core->touched = (void *)(base + layout.touched);
    core->touched_bits = (void *)(base + layout.touched_bits);

    struct global *global = global_edit(core);
    global->version = CORE_STATE_VERSION;
    global->prng.state = limits->seed;
    return core;
}

/* --- Touch marks. Record numbers: 0 global, then pools, failures, workers. */

static void
touch(struct core *core, uint32_t record)
{
    uint64_t bit = (uint64_t)1 << (record % 64);
    if (core->touched_bits[record / 64] & bit)
        return;
    core->touched_bits[record / 64] |= bit;
    core->touched[core->touched_len++] = record;
}

struct global *
global_edit(struct core *core)
{
    touch(core, 0);
    return &core->raw.global;
}

struct pool *
pool_edit(struct core *core, uint32_t pool)
{
    assert(pool < core->limits.pools_max);
    touch(core, 1 + pool);
    return &core->raw.pools[pool];
}

struct failures *
failures_edit(struct core *core, uint32_t pool)
{
    assert(pool < core->limits.pools_max);
    touch(core, 1 + core->limits.pools_max + pool);
    return &core->raw.failures[pool];
}

struct worker *
worker_edit(struct core *core, uint32_t worker)
{
    assert(worker < core->limits.workers_max);
    touch(core, 1 + 2 * core->limits.pools_max + worker);
    return &core->raw.workers[worker];
}

/* --- Worker records. The lowest one that is not in use is taken: it needs no list that would have
 * to be saved, and the memory in use stays dense. */

static void
used_set(struct core *core, uint32_t worker)
{
    uint32_t at = worker;
    for (size_t level = 0; level < BITMAP_LEVELS; level++) {
        core->used[level][at / 64] |= (uint64_t)1 << (at % 64);
        if (core->used[level][at / 64] != UINT64_MAX)
            return;
        at /= 64;
    }
}

static void
used_clear(struct core *core, uint32_t worker)
{
    uint32_t at = worker;
    for (size_t level = 0; level < BITMAP_LEVELS; level++) {
        core->used[level][at / 64] &= ~((uint64_t)1 << (at % 64));
        at /= 64;
    }
}

static uint32_t
used_first_unset(const struct core *core)
{
    uint64_t at = 0;
    for (size_t level = BITMAP_LEVELS; level-- > 0;) {
        if (at >= core->used_words[level] || core->used[level][at] == UINT64_MAX)
            return NONE;
        at = at * 64 + (uint64_t)__builtin_ctzll(~core->used[level][at]);
    }
    return at < core->limits.workers_max ? (uint32_t)at : NONE;
}

bool
workers_have_room(const struct core *core)
{
    return core->workers_len < core->limits.workers_max;
}

uint32_t *
pool_count_of(struct core *core, uint32_t pool, enum worker_state state)
{
    struct pool_more *more = &core->pool_more[pool];
    switch (state) {
    case WORKER_SPAWNING:
    case WORKER_STARTING:
        return &more->starting;
    case WORKER_READY:
        return &more->ready;
    case WORKER_DRAINING:
    case WORKER_LEAVING:
    case WORKER_KILLING:
        return &more->draining;
    case WORKER_GONE:
        return &more->gone;
    case WORKER_FREE:
    case WORKER_STATE_COUNT:
        break;
    }
    return NULL;
}

static bool
id_before(const struct worker_id *a, const struct worker_id *b)
{
    return a->slot != b->slot ? a->slot < b->slot : a->generation < b->generation;
}

static void
list_insert(struct core *core, uint32_t worker)
{
    const struct worker_id *id = &worker_at(core, worker)->id;
    uint32_t *link = &core->pool_more[id->pool].first_link;
    while (*link != 0 && id_before(&worker_at(core, *link - 1)->id, id))
        link = &core->worker_more[*link - 1].next_link;
    core->worker_more[worker].next_link = *link;
    *link = worker + 1;
}

static void
list_remove(struct core *core, uint32_t worker)
{
    uint32_t *link = &core->pool_more[worker_at(core, worker)->id.pool].first_link;
    while (*link != worker + 1) {
        assert(*link != 0);
        link = &core->worker_more[*link - 1].next_link;
    }
    *link = core->worker_more[worker].next_link;
    core->worker_more[worker].next_link = 0;
}

uint32_t
worker_take(struct core *core, struct worker_id id)
{
    uint32_t worker = used_first_unset(core);
    if (worker == NONE)
        return NONE;
    struct worker *w = worker_edit(core, worker);
    assert(w->state == WORKER_FREE);
    *w = (struct worker){.id = id, .successor = NONE, .original = NONE};
    used_set(core, worker);
    core->workers_len++;
    core->worker_more[worker].listed = true;
    core->worker_more[worker].asked = false;
    list_insert(core, worker);
    return worker;
}

void
worker_give_back(struct core *core, uint32_t worker)
{
    assert(worker_at(core, worker)->state == WORKER_FREE);
    list_remove(core, worker);
    used_clear(core, worker);
    core->workers_len--;
    memset(worker_edit(core, worker), 0, sizeof(struct worker));
}

void
worker_put(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    assert(w->state != WORKER_FREE);
    used_set(core, worker);
    core->workers_len++;
    core->places_held += w->place;
    core->worker_more[worker].listed = false;
    list_insert(core, worker);
    ++*pool_count_of(core, w->id.pool, w->state);
}

/* --- Deadlines. */

static void
due_set(struct core *core, uint32_t node, msec at)
{
    if (at == MSEC_NEVER)
        heap_remove(&core->due, node);
    else
        heap_set(&core->due, node, at);
}

void
due_set_pool(struct core *core, uint32_t pool, msec at)
{
    due_set(core, pool, at);
}

void
due_set_worker(struct core *core, uint32_t worker, msec at)
{
    due_set(core, core->limits.pools_max + worker, at);
}

/* --- Actions. */

static struct action *
act(struct core *core, enum action_kind kind)
{
    struct action_list *out = core->out;
    assert(out != NULL && out->len < out->cap);
    struct action *action = &out->v[out->len++];
    memset(action, 0, sizeof(*action)); /* padding too: lists of actions can be compared */
    action->kind = kind;
    action->handle = action->other_handle = NONE;
    return action;
}

struct action *
act_pool(struct core *core, enum action_kind kind, uint32_t pool)
{
    struct action *action = act(core, kind);
    action->worker.pool = pool;
    return action;
}

struct action *
act_worker(struct core *core, enum action_kind kind, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    struct action *action = act(core, kind);
    action->worker = w->id;
    action->handle = w->state == WORKER_GONE ? NONE : worker;
    action->cause = w->cause;
    action->killed = w->killed;
    action->was_ready = w->ready_at != 0;
    action->age_ms = core->now - w->spawned_at;
    if (kind != ACT_EVENT && kind != ACT_RELEASE)
        core->worker_more[worker].asked = true;
    return action;
}

struct action *
tell_pool(struct core *core, uint32_t event, uint32_t pool)
{
    struct action *action = act_pool(core, ACT_EVENT, pool);
    action->event = event;
    return action;
}

struct action *
tell_worker(struct core *core, uint32_t event, uint32_t worker)
{
    struct action *action = act_worker(core, ACT_EVENT, worker);
    action->event = event;
    return action;
}

/* A worker causes at most: its end, the failure of a recycle, its closing, two ends of a roll, its
 * release, a start and the next drain. A pool: the change of its state, two events, the roll. */
#define ACTIONS_A_WORKER 8u
#define ACTIONS_A_POOL   16u

uint32_t
pool_actions_max(const struct core *core, uint32_t pool)
{
    return ACTIONS_A_POOL + ACTIONS_A_WORKER * (pool_records(core, pool) + 1);
}

uint32_t
core_actions_max(const struct core_limits *limits)
{
    /* The pool of the event, whatever its size; what more a step does, it does while there is
     * room (actions_have_room), so the second half only keeps steps from being small. */
    uint32_t records = MIN(limits->workers_max, POOL_RECORDS_MAX);
    return ACTIONS_A_POOL + ACTIONS_A_WORKER * (records + 1) + 256;
}

bool
actions_have_room(const struct core *core, uint32_t pool)
{
    return core->out->cap - core->out->len >= pool_actions_max(core, pool);
}
