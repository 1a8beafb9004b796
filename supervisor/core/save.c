/* save.c - the core's records as bytes, and back. */
#include "supervisor/core/pool.h"
#include "supervisor/core/start.h"
#include "supervisor/core/state.h"
#include "supervisor/core/turn.h"
#include "supervisor/core/worker.h"

#define CORE_EINVAL 22 /* the kernel's EINVAL; the core has no use for the rest of its header */

uint32_t
core_record_count(const struct core *core)
{
    return 1 + 3 * core->limits.pools_max + core->limits.workers_max;
}

size_t
core_record_size_max(void)
{
    return sizeof(struct failures);
}

uint32_t
core_touched_max(const struct core_limits *limits)
{
    return 1 + 3 * limits->pools_max + limits->workers_max;
}

uint32_t
core_touched(const struct core *core, uint32_t *out, uint32_t cap)
{
    assert(cap >= core->touched_len);
    memcpy(out, core->touched, core->touched_len * sizeof(*out));
    return core->touched_len;
}

void
core_touched_clear(struct core *core)
{
    for (uint32_t i = 0; i < core->touched_len; i++)
        core->touched_bits[core->touched[i] / 64] = 0;
    core->touched_len = 0;
}

enum record_kind { RECORD_GLOBAL, RECORD_POOL, RECORD_FAILURES, RECORD_RUNS, RECORD_WORKER };

/* What a record number stands for, and which one of its kind. */
static enum record_kind
record_kind(const struct core *core, uint32_t record, uint32_t *index)
{
    uint32_t pools = core->limits.pools_max;
    assert(record < core_record_count(core));
    *index = 0;
    if (record == 0)
        return RECORD_GLOBAL;
    *index = record - 1;
    if (record - 1 < pools)
        return RECORD_POOL;
    *index = record - 1 - pools;
    if (record - 1 < 2 * pools)
        return RECORD_FAILURES;
    *index = record - 1 - 2 * pools;
    if (record - 1 < 3 * pools)
        return RECORD_RUNS;
    *index = record - 1 - 3 * pools;
    return RECORD_WORKER;
}

size_t
core_record_size(const struct core *core, uint32_t record)
{
    static const size_t sizes[] = {
        [RECORD_GLOBAL] = sizeof(struct global),     [RECORD_POOL] = sizeof(struct pool),
        [RECORD_FAILURES] = sizeof(struct failures), [RECORD_RUNS] = sizeof(struct runs),
        [RECORD_WORKER] = sizeof(struct worker),
    };
    uint32_t i;
    return sizes[record_kind(core, record, &i)];
}

static size_t
failures_size(uint32_t len)
{
    return offsetof(struct failures, v) + len * sizeof(struct failure);
}

size_t
core_record_bytes(const struct core *core, uint32_t record, const void **bytes)
{
    uint32_t i;
    switch (record_kind(core, record, &i)) {
    case RECORD_GLOBAL:
        *bytes = &core->raw.global;
        return sizeof(struct global);
    case RECORD_POOL:
        *bytes = &core->raw.pools[i];
        if (!core->raw.pools[i].added && core->raw.pools[i].generation == 0)
            return 0;
        return sizeof(struct pool);
    case RECORD_FAILURES:
        *bytes = &core->raw.failures[i];
        if (core->raw.pools[i].failed_at == 0 || core->raw.failures[i].len == 0)
            return 0;
        return failures_size(core->raw.failures[i].len);
    case RECORD_RUNS:
        *bytes = &core->raw.runs[i];
        return core->raw.runs[i].len == 0 ? 0 : sizeof(struct runs);
    case RECORD_WORKER:
        *bytes = &core->raw.workers[i];
        return core->raw.workers[i].state == WORKER_FREE ? 0 : sizeof(struct worker);
    }
    assert(false);
    return 0;
}

size_t
core_record_write(const struct core *core, uint32_t record, void *buf, size_t cap)
{
    const void *bytes;
    size_t size = core_record_bytes(core, record, &bytes);
    assert(size <= cap);
    memcpy(buf, bytes, size);
    return size;
}

/* --- Back. Each record is checked alone, then core_restore_end checks how they fit together. */

static bool
are_bools(const uint8_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] > 1)
            return false;
    return true;
}

static bool
pool_is_valid(const struct pool *p)
{
    const struct pool_settings *s = &p->settings;
    struct pool forgotten = {.generation = p->generation};
    if (p->added == 0)
        return memcmp(p, &forgotten, sizeof(*p)) == 0;
    return are_bools(&p->added, 7) && p->binding < BIND_PHASE_COUNT && p->turn < TURN_COUNT &&
           p->slots_filled <= WORKERS_A_POOL_MAX && p->state < POOL_STATE_COUNT &&
           p->reason < POOL_REASON_COUNT && p->roll_cause < CAUSE_COUNT &&
           p->queue <= START_CLASS_COUNT && s->workers_min >= 1 &&
           s->workers_min <= s->workers_max && s->workers_max <= WORKERS_A_POOL_MAX &&
           s->surge >= 1 && s->surge <= WORKERS_A_POOL_MAX && s->max_failures >= 1 &&
           s->max_failures <= FAILURES_MAX && s->ready < READY_RULE_COUNT &&
           s->recycle_jitter <= RECYCLE_JITTER_MAX;
}

static bool
runs_are_valid(const struct runs *runs)
{
    for (uint32_t i = 0; i < MIN(runs->len, SCHEDULE_MAX); i++)
        if (runs->v[i].minute >= MINUTES_A_DAY)
            return false;
    return runs->len <= SCHEDULE_MAX;
}

static bool
is_handle(const struct core *core, uint32_t handle)
{
    return handle == NONE || handle < core->limits.workers_max;
}

static bool
worker_is_valid(const struct core *core, const struct worker *w)
{
    return w->id.pool < core->limits.pools_max && w->id.generation != 0 &&
           is_handle(core, w->successor) && is_handle(core, w->original) &&
           w->state > WORKER_FREE && w->state < WORKER_STATE_COUNT && w->cause < CAUSE_COUNT &&
           w->leave < CAUSE_COUNT && w->reason < CAUSE_COUNT && w->reasons >> CAUSE_COUNT == 0 &&
           (w->reasons_told & ~w->reasons) == 0 && are_bools(&w->executed, 12) &&
           w->limit < WORKER_LIMIT_COUNT && w->counted <= w->begun && w->ready < READY_RULE_COUNT;
}

int
core_record_read(struct core *core, uint32_t record, const void *buf, size_t len)
{
    if (record >= core_record_count(core))
        return -CORE_EINVAL;
    union {
        struct global global;
        struct pool pool;
        struct failures failures;
        struct runs runs;
        struct worker worker;
    } in;
    if (len > sizeof(in))
        return -CORE_EINVAL;
    memset(&in, 0, sizeof(in));
    memcpy(&in, buf, len);

    uint32_t i;
    switch (record_kind(core, record, &i)) {
    case RECORD_GLOBAL:
        if (len != sizeof(in.global) || in.global.version != CORE_STATE_VERSION ||
            in.global.shutdown > SHUTDOWN_HURRY || in.global.left > 1 || in.global.starts_max == 0)
            return -CORE_EINVAL;
        core->raw.global = in.global;
        return 0;
    case RECORD_POOL:
        if (len != sizeof(in.pool) || !pool_is_valid(&in.pool))
            return -CORE_EINVAL;
        core->raw.pools[i] = in.pool;
        return 0;
    case RECORD_FAILURES:
        if (len < failures_size(0) || in.failures.len > FAILURES_MAX ||
            len != failures_size(in.failures.len))
            return -CORE_EINVAL;
        memcpy(&core->raw.failures[i], &in.failures, len);
        return 0;
    case RECORD_RUNS:
        if (len != sizeof(in.runs) || !runs_are_valid(&in.runs))
            return -CORE_EINVAL;
        core->raw.runs[i] = in.runs;
        return 0;
    case RECORD_WORKER:
        if (len != sizeof(in.worker) || !worker_is_valid(core, &in.worker))
            return -CORE_EINVAL;
        core->raw.workers[i] = in.worker;
        return 0;
    }
    return -CORE_EINVAL;
}

/* Handles that name no record would be followed by what is rebuilt: looked at before. */
static bool
links_are_valid(const struct core *core)
{
    for (uint32_t i = 0; i < core->limits.workers_max; i++) {
        const struct worker *w = worker_at(core, i);
        if (w->state == WORKER_FREE)
            continue;
        const struct pool *p = pool_at(core, w->id.pool);
        if (!p->added || w->id.generation > p->generation)
            return false;
        if (w->successor != NONE && (worker_at(core, w->successor)->state == WORKER_FREE ||
                                     worker_at(core, w->successor)->original != i))
            return false;
        if (w->original != NONE && (worker_at(core, w->original)->state == WORKER_FREE ||
                                    worker_at(core, w->original)->successor != i))
            return false;
    }
    return true;
}

int
core_restore_end(struct core *core, msec now)
{
    assert(core->workers_len == 0 && core->due.len == 0);
    if (!links_are_valid(core))
        return -CORE_EINVAL;
    core->now = now;
    for (uint32_t i = 0; i < core->limits.workers_max; i++)
        if (worker_at(core, i)->state != WORKER_FREE)
            worker_put(core, i);
    for (uint32_t i = 0; i < core->limits.pools_max; i++) {
        core->pool_more[i].restored_generation = pool_at(core, i)->generation;
        if (!pool_at(core, i)->added)
            continue;
        if (pool_at(core, i)->queue != 0)
            start_put(core, i);
        if (pool_at(core, i)->turn == TURN_WAITS)
            turn_put(core, i);
        core->turns_held += pool_at(core, i)->turn == TURN_HELD;
        pool_arm(core, i);
    }
    for (uint32_t i = 0; i < core->limits.workers_max; i++)
        if (worker_at(core, i)->state != WORKER_FREE)
            worker_arm(core, i);
    core_touched_clear(core);
    return core_check(core) == NULL ? 0 : -CORE_EINVAL;
}
