/* reason.c - why a worker is replaced although nobody asked for its pool. */
#include "supervisor/core/reason.h"
#include "supervisor/core/pool.h"
#include "supervisor/core/recycle.h"
#include "supervisor/core/worker.h"

uint32_t
reason_event(enum cause cause)
{
    static const uint16_t events[CAUSE_COUNT] = {
        [CAUSE_UNHEALTHY] = TELL_RECYCLE_UNHEALTHY,
        [CAUSE_TIME] = TELL_RECYCLE_TIME,
        [CAUSE_REQUESTS] = TELL_RECYCLE_REQUESTS,
    };
    return events[cause];
}

void
reason_note(struct core *core, uint32_t worker, enum cause cause, uint64_t measured, uint64_t limit)
{
    struct worker *w = worker_edit(core, worker);
    assert(reason_event(cause) != 0);
    w->reasons |= (uint16_t)(1u << cause);
    w->reason = (uint8_t)cause;
    w->measured = measured;
    w->limit_value = limit;
}

/* The worker is to be replaced, if its pool replaces anybody. */
static void
reason_mark(struct core *core, uint32_t worker, enum cause cause)
{
    if (pool_is_up(core, worker_at(core, worker)->id.pool))
        recycle_mark(core, worker, cause);
}

void
reason_found(struct core *core, uint32_t worker, enum cause cause, uint64_t measured,
             uint64_t limit)
{
    reason_note(core, worker, cause, measured, limit);
    reason_mark(core, worker, cause);
}

void
reason_mark_all(struct core *core, uint32_t pool)
{
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i)) {
        const struct worker *w = worker_at(core, i);
        if (w->reason != CAUSE_NONE && w->leave == CAUSE_NONE && worker_stays(w))
            recycle_mark(core, i, w->reason);
    }
}

/* --- Limits. */

/* The limit within its jitter; 0 stays 0. No product overflows: DURATION_MAX_MS is below 2^39, and no
 * other limit is above 2^40. */
static uint64_t
own_limit(const struct pool_settings *settings, const struct worker *w, uint64_t limit)
{
    uint64_t share = limit * settings->recycle_jitter / 100;
    return limit - share + 2 * share * w->draw / UINT16_MAX;
}

msec
reason_age_limit(const struct core *core, uint32_t worker)
{
    const struct pool_settings *settings = &pool_of(core, worker)->settings;
    if (settings->recycle_time_ms == 0)
        return MSEC_NEVER;
    return own_limit(settings, worker_at(core, worker), settings->recycle_time_ms);
}

uint64_t
reason_requests_limit(const struct core *core, uint32_t worker)
{
    const struct pool_settings *settings = &pool_of(core, worker)->settings;
    return own_limit(settings, worker_at(core, worker), settings->recycle_requests);
}

#define REQUESTS_MOST (UINT64_C(1) << 40) /* a worker that says more has reached any limit */

/* What the worker serves until the report after the next start, were one to begin now. No product
 * overflows: served is below a limit of 32 bits, a start takes a day at most. */
static uint64_t
requests_ahead(const struct core *core, uint32_t worker, uint64_t requests)
{
    const struct worker *w = worker_at(core, worker);
    const struct pool *p = pool_of(core, worker);
    msec gap = core->now - w->paced_at;
    uint64_t served = requests - w->paced;
    if (!p->settings.overlap || gap < PACE_MS)
        return 0;
    return served + served * MIN(p->start_ms, p->settings.startup_timeout_ms) / gap;
}

static void
requests_note(struct core *core, uint32_t worker, uint64_t limit)
{
    worker_edit(core, worker)->requests_found = limit;
    reason_note(core, worker, CAUSE_REQUESTS, worker_at(core, worker)->requests, limit);
}

void
reason_requests_said(struct core *core, uint32_t worker, uint64_t requests)
{
    const struct worker *w = worker_at(core, worker);
    uint64_t limit = reason_requests_limit(core, worker);
    requests = MIN(requests, REQUESTS_MOST);
    if (limit == 0 || requests <= w->requests)
        return;
    struct worker *edit = worker_edit(core, worker);
    edit->requests = requests;
    if (w->state != WORKER_READY || reason_stands(w, CAUSE_REQUESTS))
        return;
    if (requests >= limit || requests + requests_ahead(core, worker, requests) >= limit) {
        requests_note(core, worker, limit);
        reason_mark(core, worker, CAUSE_REQUESTS);
    }
    if (core->now - w->paced_at >= PACE_MS) {
        edit->paced = requests;
        edit->paced_at = core->now;
    }
}

msec
reason_due(const struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    if (w->state != WORKER_READY || reason_stands(w, CAUSE_TIME))
        return MSEC_NEVER;
    return after(w->spawned_at, reason_age_limit(core, worker));
}

void
reason_on_time(struct core *core, uint32_t worker)
{
    msec age = core->now - worker_at(core, worker)->spawned_at;
    reason_found(core, worker, CAUSE_TIME, age, reason_age_limit(core, worker));
    worker_arm(core, worker);
}

/* --- Changes. */

static void
reason_take_back(struct core *core, uint32_t worker, enum cause cause)
{
    struct worker *w = worker_edit(core, worker);
    w->reasons &= (uint16_t) ~(1u << cause);
    w->reasons_told &= w->reasons;
    if (w->reason == cause) {
        w->reason = w->reasons == 0 ? CAUSE_NONE : (uint8_t)__builtin_ctz(w->reasons);
        w->measured = w->limit_value = 0;
    }
    if (w->leave == cause && !w->begun && w->in_roll)
        w->leave = pool_of(core, worker)->roll_cause;
    else if (w->leave == cause && !w->begun)
        recycle_unmark(core, worker);
    worker_arm(core, worker);
}

/* Whether the worker has not reached the limit that holds now. */
static bool
reason_is_none(const struct core *core, uint32_t worker, enum cause cause)
{
    const struct worker *w = worker_at(core, worker);
    uint64_t limit = reason_requests_limit(core, worker);
    if (cause == CAUSE_TIME)
        return after(w->spawned_at, reason_age_limit(core, worker)) > core->now;
    if (cause == CAUSE_REQUESTS) /* the same limit: it was found ahead, and still is */
        return limit == 0 || (w->requests < limit && w->requests_found != limit);
    return false;
}

void
reason_judge_again(struct core *core, uint32_t worker)
{
    static const enum cause causes[] = {CAUSE_TIME, CAUSE_REQUESTS};
    const struct worker *w = worker_at(core, worker);
    for (size_t i = 0; i < ARRAY_LEN(causes) && worker_stays(w); i++) {
        bool replaced_for_it = w->begun && w->leave == causes[i];
        if (reason_stands(w, causes[i]) && !replaced_for_it &&
            reason_is_none(core, worker, causes[i]))
            reason_take_back(core, worker, causes[i]);
    }
    uint64_t limit = reason_requests_limit(core, worker);
    if (w->state == WORKER_READY && limit != 0 && w->requests >= limit &&
        !reason_stands(w, CAUSE_REQUESTS))
        requests_note(core, worker, limit);
}
