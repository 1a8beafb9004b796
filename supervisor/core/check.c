/* check.c - the rules that hold between two steps, and the digest of everything that is saved. */
#include "supervisor/core/pool.h"
#include "supervisor/core/reason.h"
#include "supervisor/core/recycle.h"
#include "supervisor/core/start.h"
#include "supervisor/core/state.h"
#include "supervisor/core/worker.h"

static const char *
check_worker_state(const struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    bool starting = w->state == WORKER_SPAWNING || w->state == WORKER_STARTING;
    bool ended = w->state == WORKER_DRAINING || w->state == WORKER_LEAVING;
    bool timed = starting ? w->state == WORKER_STARTING || w->place : w->state != WORKER_GONE;
    if (w->state == WORKER_READY)
        timed = reason_due(core, worker) != MSEC_NEVER;

    if (w->since > core->now || w->spawned_at > core->now || w->drain_at > core->now)
        return "a worker's past does not lie in the future";
    if (w->place && !starting)
        return "only a starting worker holds a place";
    if (w->command && w->state != WORKER_STARTING)
        return "only a starting worker has a ready command";
    if ((w->ready_at != 0) < (w->state == WORKER_READY))
        return "a ready worker has been ready";
    if (w->more_until != 0 && w->state != WORKER_STARTING && !ended)
        return "only who starts or leaves has asked for more time";
    if (ended && w->drain_at == 0)
        return "a worker that leaves has begun to";
    if (w->state == WORKER_DRAINING && !w->going)
        return "nobody drains unasked";
    if (w->state == WORKER_KILLING && (!w->killed || w->timer_at == 0))
        return "a kill is repeated";
    if (w->state == WORKER_READY && w->going)
        return "who serves was not told to leave";
    if (timed != (heap_key(&core->due, core->limits.pools_max + worker) != UINT64_MAX))
        return "a worker has a deadline when its state has one"; /* I4 */
    return NULL;
}

static const char *
check_worker_recycle(const struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    if (w->original != NONE) {
        const struct worker *o = worker_at(core, w->original);
        if (o->successor != worker || !o->begun || o->replaced)
            return "original and successor know each other"; /* I3 */
        if (o->id.pool != w->id.pool || o->id.slot != w->id.slot)
            return "a successor takes its original's slot";
        if (!worker_stays(w) || w->state == WORKER_READY)
            return "a successor is starting";
        if (w->begun || w->replaced)
            return "a successor is not itself replaced";
    }
    if (w->successor != NONE && worker_at(core, w->successor)->original != worker)
        return "successor and original know each other";
    if (w->begun && w->leave == CAUSE_NONE)
        return "a recycle has a cause";
    if (w->counted && !w->begun)
        return "only a recycle that has begun counts for limits.recycles";
    if ((w->reason == CAUSE_NONE) != (w->reasons == 0) ||
        (w->reason != CAUSE_NONE && !reason_stands(w, w->reason)))
        return "the newest reason is one that stands";
    if (w->in_roll && pool_of(core, worker)->roll_cause == CAUSE_NONE)
        return "who is in a roll has a roll";
    if (w->state == WORKER_GONE && (!w->begun || w->replaced))
        return "who is gone and has nothing left to tell is forgotten";
    return NULL;
}

static const char *
check_pool_workers(const struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    struct pool_more count = {0};
    struct worker_id before = {0};
    uint32_t incumbent_slot = NONE, trials = 0;

    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i)) {
        const struct worker *w = worker_at(core, i);
        if (w->id.pool != pool || w->id.generation > p->generation)
            return "a pool's list has its own workers";
        if (before.generation != 0 &&
            (w->id.slot < before.slot ||
             (w->id.slot == before.slot && w->id.generation <= before.generation)))
            return "a pool's workers are in order of slot and generation";
        before = w->id;
        count.ready += w->state == WORKER_READY;
        count.starting += w->state == WORKER_SPAWNING || w->state == WORKER_STARTING;
        count.draining += w->state >= WORKER_DRAINING && w->state <= WORKER_KILLING;
        count.gone += w->state == WORKER_GONE;
        bool trial = recycle_is_trial(core, i);
        trials += trial;
        if (worker_stays(w) && !trial) {
            if (w->id.slot == incumbent_slot && !w->adopted)
                return "a slot has one incumbent"; /* I2 */
            incumbent_slot = w->id.slot;
        }
    }
    const struct pool_more *more = &core->pool_more[pool];
    if (count.ready != more->ready || count.starting != more->starting ||
        count.draining != more->draining || count.gone != more->gone)
        return "counts agree with a recount"; /* I7 */
    if (p->state == POOL_STOPPED && pool_records(core, pool) > 0)
        return "a stopped pool has no worker"; /* I1 */
    if (p->state == POOL_DISABLED && trials > 0)
        return "a disabled pool tries no successor";
    return NULL;
}

static const char *
check_pool(const struct core *core, uint32_t pool)
{
    const struct pool *p = pool_at(core, pool);
    if (!p->added && (pool_records(core, pool) > 0 || heap_key(&core->due, pool) != UINT64_MAX))
        return "workers and deadlines belong to a pool that exists";
    if (!p->added)
        return NULL;
    if (p->removed && p->wanted_up)
        return "a removed pool is not wanted";
    if (p->reason == REASON_REFUSED && (!p->wanted_up || !p->settings.refused ||
                                        (p->state != POOL_STOPPED && p->state != POOL_STOPPING)))
        return "who is down for its settings is wanted, and they are refused";
    if ((p->roll_all || p->roll_drifted) != (p->roll_cause != CAUSE_NONE))
        return "a roll is of somebody";
    if ((p->turn == TURN_WAITS) != (heap_key(&core->turns, pool) != UINT64_MAX))
        return "the queue of turns has those that wait";
    if (p->turn != TURN_NONE && !pool_is_up(core, pool) &&
        global_at(core)->shutdown == SHUTDOWN_NOT)
        return "who has a turn is up";
    if (p->queue != 0 && !pool_is_up(core, pool) && global_at(core)->shutdown == SHUTDOWN_NOT)
        return "who waits for a start is up";
    if ((p->queue != 0) != (heap_key(&core->queue, pool) != UINT64_MAX))
        return "the queue has those that wait";
    if (p->roll_cause != CAUSE_NONE && p->state != POOL_STARTING && p->state != POOL_STARTED)
        return "who rolls is up";
    if (p->binding != BIND_NOT && p->bound)
        return "sockets that are held are not asked for";
    if (p->since > core->now || p->failed_at > core->now)
        return "a pool's past does not lie in the future";
    return check_pool_workers(core, pool);
}

const char *
core_check(const struct core *core)
{
    uint32_t places = 0, recycles = 0, turns = 0, workers = 0, listed = 0;
    for (uint32_t i = 0; i < core->limits.pools_max; i++) {
        const char *broken = check_pool(core, i);
        if (broken != NULL)
            return broken;
        listed += pool_records(core, i);
        turns += pool_at(core, i)->turn == TURN_HELD;
    }
    for (uint32_t i = 0; i < core->limits.workers_max && workers < core->workers_len; i++) {
        const struct worker *w = worker_at(core, i);
        if (w->state == WORKER_FREE)
            continue;
        workers++;
        places += w->place;
        recycles += w->counted;
        const char *broken = check_worker_state(core, i);
        if (broken == NULL)
            broken = check_worker_recycle(core, i);
        if (broken != NULL)
            return broken;
    }
    if (workers != core->workers_len || workers != listed)
        return "every record is in one list";
    /* Not bounded by starts_max: more may have begun before that was so few. */
    if (places != core->places_held)
        return "places agree with a recount";
    if (recycles != core->recycles_begun || turns != core->turns_held)
        return "recycles and turns agree with a recount";
    if (!heap_is_sound(&core->due) || !heap_is_sound(&core->queue) || !heap_is_sound(&core->turns))
        return "the heaps are in order";
    return NULL;
}

/* --- Digest: multiply and rotate over whole words, record numbers included. Each record has one of
 * its own, which then goes into that of all, so that none waits for the one before it. */

static uint64_t
digest_word(uint64_t digest, uint64_t word)
{
    digest = (digest ^ word) * 0x9e3779b97f4a7c15u;
    return digest << 29 | digest >> 35;
}

static uint64_t
digest_record(const struct core *core, uint32_t record, uint64_t all)
{
    const void *bytes;
    uint64_t digest = record;
    size_t size = core_record_bytes(core, record, &bytes);
    if (size == 0)
        return all;
    assert(size % sizeof(uint64_t) == 0);
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, (const unsigned char *)bytes + at, sizeof(word));
        digest = digest_word(digest, word);
    }
    return digest_word(all, digest);
}

uint64_t
core_digest(const struct core *core)
{
    uint64_t digest = core->limits.seed;
    uint32_t first_worker = 1 + 3 * core->limits.pools_max, workers = 0;
    for (uint32_t i = 0; i < first_worker; i++)
        digest = digest_record(core, i, digest);
    for (uint32_t i = 0; workers < core->workers_len; i++) {
        digest = digest_record(core, first_worker + i, digest);
        workers += worker_at(core, i)->state != WORKER_FREE;
    }
    return digest ^ digest >> 32;
}
