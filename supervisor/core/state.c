/* state.c - the core's records: touch marks, lists, deadlines, and the list of actions. */
#include "supervisor/core/state.h"
#include "supervisor/core/turn.h"

/* --- Touch marks. Record numbers: 0 global, then pools, failures, runs, workers. */

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

struct runs *
runs_edit(struct core *core, uint32_t pool)
{
    assert(pool < core->limits.pools_max);
    touch(core, 1 + 2 * core->limits.pools_max + pool);
    return &core->raw.runs[pool];
}

struct worker *
worker_edit(struct core *core, uint32_t worker)
{
    assert(worker < core->limits.workers_max);
    touch(core, 1 + 3 * core->limits.pools_max + worker);
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
    turn_end(core, worker);
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
    core->recycles_begun += w->counted;
    core->worker_more[worker].listed = false;
    list_insert(core, worker);
    uint32_t *count = pool_count_of(core, w->id.pool, w->state);
    assert(count != NULL); /* nobody puts a FREE record */
    ++*count;
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

/* Most actions that one pool can cause in one pass. */
static uint32_t
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
