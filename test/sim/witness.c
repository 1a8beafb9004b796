/* witness.c - the witness's account of what has been: workers, failures, intents. */
#include "test/sim/witness.h"
#include "test/sim/sim.h"
#include <stdlib.h>
#include <string.h>

void
witness_init(struct witness *witness, struct sim *sim)
{
    *witness = (struct witness){.sim = sim, .starts_max = sim->swarm.limits.starts_max};
}

void
witness_fini(struct witness *witness)
{
    for (uint32_t i = 0; i < SIM_POOLS_MAX; i++) {
        free(witness->pools[i].workers);
        free(witness->pools[i].living);
    }
}

void
witness_forget(struct witness *witness)
{
    struct sim *sim = witness->sim;
    witness_fini(witness);
    witness_init(witness, sim);
}

bool
witness_pool_is_up(const struct witness *witness, uint32_t pool)
{
    const struct seen_pool *p = &witness->pools[pool];
    bool sockets = p->bound || !witness_settings(witness, pool)->has_sockets;
    return seen_pool_is_wanted(p) && !p->disabled && sockets && witness->shutdowns == 0;
}

bool
witness_pool_rolls(const struct witness *witness, uint32_t pool)
{
    const struct seen_pool *p = &witness->pools[pool];
    bool runs = seen_pool_is_wanted(p) && !p->disabled && witness->shutdowns == 0;
    return witness_pool_is_up(witness, pool) || (runs && p->running);
}

/* --- Workers. */

struct seen *
seen_find(struct witness *witness, struct worker_id id)
{
    struct seen_pool *p = &witness->pools[id.pool];
    if (id.generation == 0 || id.generation >= p->cap)
        return NULL;
    struct seen *w = &p->workers[id.generation];
    return w->known && w->slot == id.slot ? w : NULL;
}

bool
witness_knows(const struct witness *witness, struct worker_id id)
{
    const struct seen_pool *p = &witness->pools[id.pool];
    if (id.generation == 0 || id.generation >= p->cap)
        return false;
    const struct seen *w = &p->workers[id.generation];
    return w->known && w->slot == id.slot && !w->released;
}

struct seen *
seen_add(struct witness *witness, struct worker_id id)
{
    struct seen_pool *p = &witness->pools[id.pool];
    if (id.generation >= p->cap) {
        uint32_t cap = MAX(2 * p->cap, id.generation + 64);
        p->workers = realloc(p->workers, cap * sizeof(*p->workers));
        assert(p->workers != NULL);
        memset(&p->workers[p->cap], 0, (cap - p->cap) * sizeof(*p->workers));
        p->cap = cap;
    }
    if (p->living_len == p->living_cap) {
        p->living_cap = MAX(2 * p->living_cap, 16);
        p->living = realloc(p->living, p->living_cap * sizeof(*p->living));
        assert(p->living != NULL);
    }
    p->living[p->living_len++] = id.generation;
    p->last = MAX(p->last, id.generation);
    struct seen *w = &p->workers[id.generation];
    *w = (struct seen){.slot = id.slot, .known = true, .asked_at = witness->now};
    return w;
}

void
seen_forget(struct seen_pool *p, uint32_t generation)
{
    p->workers[generation].released = true;
    for (uint32_t i = 0; i < p->living_len; i++)
        if (p->living[i] == generation) {
            p->living[i] = p->living[--p->living_len];
            return;
        }
}

bool
seen_is_leaving(const struct seen *w)
{
    return w->doomed || w->drained || w->stopping || w->killed || w->exec_failed || w->exited;
}

/* Of pools whose past is known: never more than are under way. */
static uint32_t
recycles_under_way(struct witness *witness)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < witness->sim->swarm.pools; i++) {
        struct seen_pool *p = &witness->pools[i];
        for (uint32_t k = seen_first_open(p); !p->leftovers && k <= p->last && k < p->cap; k++)
            n += p->workers[k].recycle == RECYCLE_BEGUN && !p->workers[k].is_loose;
    }
    return n;
}

void
seen_recycle_begin(struct witness *witness, struct seen_pool *p, struct seen *w)
{
    if (witness->recycles_max != 0 && recycles_under_way(witness) >= witness->recycles_max)
        sim_fail(witness->sim, "more recycles under way than limits.recycles allows");
    w->recycle = RECYCLE_BEGUN;
    w->is_loose = false;
    p->first_open = MIN(p->first_open, (uint32_t)(w - p->workers));
}

void
seen_follower_failed(struct seen_pool *p, uint32_t generation)
{
    const struct seen *w = &p->workers[generation];
    for (uint32_t i = seen_first_open(p); !w->ready && i < generation; i++)
        p->workers[i].is_loose |= p->workers[i].slot == w->slot;
}

uint32_t
seen_first_open(struct seen_pool *p)
{
    while (p->first_open <= p->last && p->first_open < p->cap &&
           p->workers[p->first_open].recycle != RECYCLE_BEGUN &&
           p->workers[p->first_open].recycle != RECYCLE_MAY_CLOSE)
        p->first_open++;
    return p->first_open;
}

struct seen *
seen_original(struct witness *witness, uint32_t pool, uint32_t generation)
{
    struct seen_pool *p = &witness->pools[pool];
    for (uint32_t i = 0; i < p->living_len; i++) {
        struct seen *w = &p->workers[p->living[i]];
        if (p->living[i] < generation && w->slot == p->workers[generation].slot &&
            !seen_is_leaving(w) && !p->workers[generation].ready)
            return w;
    }
    return NULL;
}

/* --- Failures, by the words of architecture.md and config.md. */

msec
witness_delay_ms(const struct pool_settings *settings, uint32_t n)
{
    msec delay = n < 2 ? 0 : settings->failure_delay_ms;
    for (uint32_t i = 2; i < n && delay < settings->failure_delay_max_ms; i++)
        delay *= 2;
    return MIN(delay, settings->failure_delay_max_ms);
}

void
witness_failure(struct witness *witness, uint32_t pool, const struct seen *w, bool counts)
{
    struct seen_pool *p = &witness->pools[pool];
    const struct pool_settings *settings = witness_settings(witness, pool);
    bool held = w->ready && witness->now - w->ready_at >= 10000;
    if (held || witness->now - p->streak_at >= settings->failure_interval_ms)
        p->streak = 0;
    p->streak++;
    p->streak_at = witness->now;
    p->not_before = MAX(p->not_before, witness->now + witness_delay_ms(settings, p->streak));
    if (!counts)
        return;
    if (p->failed_len == FAILURES_MAX)
        memmove(&p->failed[0], &p->failed[1], --p->failed_len * sizeof(p->failed[0]));
    p->failed[p->failed_len++] = witness->now;
    uint32_t within = 0;
    for (uint32_t i = 0; i < p->failed_len; i++)
        within += witness->now - p->failed[i] < settings->failure_interval_ms;
    p->must_disable = settings->rapid_fail && within >= settings->max_failures &&
                      witness_pool_rolls(witness, pool);
}

/* --- Events. */

void
recycles_are_cancelled(struct seen_pool *p, uint32_t first_slot)
{
    for (uint32_t i = seen_first_open(p); i <= p->last && i < p->cap; i++) {
        struct seen *w = &p->workers[i];
        bool replaced = w->successor != 0 && p->workers[w->successor].ready;
        bool open = w->recycle == RECYCLE_MAY_CLOSE || w->recycle == RECYCLE_BEGUN;
        if (w->slot >= first_slot && open && !replaced)
            w->recycle = RECYCLE_NONE;
    }
}

void
pool_is_doomed(struct seen_pool *p)
{
    for (uint32_t i = 0; i < p->living_len; i++)
        p->workers[p->living[i]].doomed = true;
    recycles_are_cancelled(p, 0);
    p->started = p->disabled = false;
}

/* Whether anybody stays, or is being replaced by one who is not ready; recycles after a disabled state
 * (RECYCLE_MAY_CLOSE) count when that is asked. */
static bool
has_replaceable(struct seen_pool *p, enum recycle_account least)
{
    for (uint32_t i = 0; i < p->living_len; i++)
        if (!seen_is_leaving(&p->workers[p->living[i]]))
            return true;
    for (uint32_t i = seen_first_open(p); i <= p->last && i < p->cap; i++) {
        const struct seen *w = &p->workers[i];
        bool open = w->recycle == RECYCLE_BEGUN || w->recycle == least;
        if (open && (w->successor == 0 || !p->workers[w->successor].ready))
            return true;
    }
    return false;
}

/* Times 0..3 of days 20000..20004: a date counts once, and none before one that has run. */
static void
clock_time_comes(struct witness *witness, struct seen_pool *p, const struct event *event)
{
    uint32_t shift = 8u * (uint32_t)event->count, day = event->day - 20000u;
    bool later = (p->times_run >> shift & 0xffu) >> day != 0;
    p->time_is_new = !later && witness_pool_rolls(witness, event->worker.pool);
    p->times_run |= 1u << (shift + day);
    p->roll_unclear = p->time_is_new;
    p->rolling |= p->time_is_new;
}

static void
witness_pool_event(struct witness *witness, const struct event *event)
{
    struct seen_pool *p = &witness->pools[event->worker.pool];
    if (event->kind == EV_POOL_START && p->added && !p->removed) {
        p->wanted = true;
        if (event->by_operator) {
            p->failed_len = p->streak = p->retry_streak = 0;
            p->streak_at = p->not_before = p->retry_not_before = 0;
        }
    } else if (event->kind == EV_POOL_STOP && p->wanted) {
        p->wanted = false;
        pool_is_doomed(p);
    } else if (event->kind == EV_POOL_RECYCLE && p->added) {
        bool up = witness_pool_rolls(witness, event->worker.pool);
        bool empty = !has_replaceable(p, RECYCLE_MAY_CLOSE);
        p->roll_unclear = up && (p->leftovers || (!empty && !has_replaceable(p, RECYCLE_BEGUN)));
        p->roll_begins = up && !p->rolling && !p->roll_unclear && !empty;
        p->roll_empty = up && !p->rolling && !p->roll_unclear && empty;
        p->roll_refused = !up;
        p->rolling |= up;
    } else if (event->kind == EV_SCHEDULE && p->added) {
        clock_time_comes(witness, p, event);
    } else if (event->kind == EV_BOUND || event->kind == EV_BIND_FAILED) {
        witness_bind_answered(p, event->kind == EV_BOUND);
    } else {
        witness_pool_changed(witness, event);
    }
    p->refused_told &= p->wanted && p->settings.refused;
    bool enables = event->kind == EV_POOL_START && event->by_operator && seen_pool_is_wanted(p);
    if (witness->shutdowns == 0 && enables)
        pool_may_shrink(witness, event->worker.pool);
}

static void
witness_worker_event(struct witness *witness, const struct event *event)
{
    struct seen *w = seen_find(witness, event->worker);
    if (event->kind == EV_LISTED && w == NULL) {
        struct seen_pool *p = &witness->pools[event->worker.pool];
        w = seen_add(witness, event->worker);
        seen_take_settings(witness, event->worker.pool, w);
        w->adopted = p->added;
        w->homeless = !p->added;
        p->leftovers = p->running = p->added; /* who has workers is not stopped */
        if (w->homeless)
            p->living_len--; /* whatever pool comes to this place need not wait for it */
    }
    if (w == NULL || w->exited || w->released)
        return;
    if (event->kind == EV_LISTED)
        w->asked = false;
    if (event->kind == EV_SPAWNED && !w->spawned) {
        w->spawned = true;
        w->spawned_at = witness->now;
    }
    if (!w->spawned)
        return;
    if (event->kind == EV_EXECUTED && !w->executed) {
        w->executed = true;
        w->executed_at = witness->now;
        w->ready_after_ms = witness_settings(witness, event->worker.pool)->ready_after_ms;
    }
    if (event->kind == EV_DRAIN_UNSENT && w->drained)
        w->unsent = true;
    if (event->kind == EV_STOPPING && !w->killed) {
        w->excused |= !seen_is_leaving(w) &&
                      seen_original(witness, event->worker.pool, event->worker.generation) != NULL;
        if (!w->excused && !w->stopping && !seen_is_leaving(w))
            seen_follower_failed(&witness->pools[event->worker.pool], event->worker.generation);
        w->stopping = true;
        if (w->leaving_at == 0)
            w->leaving_at = witness->now;
    }
    if (event->kind == EV_EXTEND)
        seen_extend(witness, event, w);
    if (event->kind == EV_REQUESTS)
        w->requests = MAX(w->requests, event->count);
    if (event->kind == EV_RECYCLE && event->cause == CAUSE_UNHEALTHY)
        w->asks = true;
    if (event->kind == EV_EXITED)
        w->exited = true;
}

void
witness_event(struct witness *witness, const struct event *event)
{
    witness->event = *event;
    witness->now = event->now;
    if (event->kind == EV_SHUTDOWN) {
        witness->shutdowns++;
        for (uint32_t i = 0; i < SIM_POOLS_MAX; i++)
            pool_is_doomed(&witness->pools[i]);
    } else if (event->kind == EV_LIMITS) {
        witness->starts_max = event->starts_max;
        witness->recycles_max = event->recycles_max;
    } else if (event->worker.generation != 0) {
        witness_worker_event(witness, event);
    } else if (event->kind != EV_TICK) {
        witness_pool_event(witness, event);
    }
}
