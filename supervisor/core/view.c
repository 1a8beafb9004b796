/* view.c - what others may read of the core: views and names. */
#include "supervisor/core/failure.h"
#include "supervisor/core/pool.h"
#include "supervisor/core/reason.h"
#include "supervisor/core/state.h"
#include "supervisor/core/worker.h"

static void
view_count(const struct core *core, uint32_t pool, struct pool_view *view)
{
    const struct pool_more *more = &core->pool_more[pool];
    view->ready = more->ready;
    view->starting = more->starting;
    view->draining = more->draining;
    for (uint32_t i = worker_first(core, pool); i != NONE; i = worker_next(core, i)) {
        view->roll_waiting += worker_at(core, i)->in_roll;
        view->drifted += worker_has_drifted(core, i);
    }
}

bool
core_pool(const struct core *core, uint32_t pool, msec now, struct pool_view *out)
{
    if (pool >= core->limits.pools_max || !pool_at(core, pool)->added)
        return false;
    const struct pool *p = pool_at(core, pool);
    bool waits = pool_is_wanted(core, pool) && p->state != POOL_DISABLED && p->next_start_at > now;
    *out = (struct pool_view){
        .state = p->state,
        .reason = p->reason,
        .error = p->bind_error,
        .wanted_up = p->wanted_up,
        .removed = p->removed,
        .workers_min = p->settings.workers_min,
        .workers_max = p->settings.workers_max,
        .failures = failures_in_window(core, pool, now),
        .max_failures = p->settings.max_failures,
        .failure_interval_ms = p->settings.failure_interval_ms,
        .since = p->since,
        .next_start_at = waits ? p->next_start_at : 0,
        .rolling = p->roll_cause != CAUSE_NONE,
        .roll_cause = p->roll_cause,
        .roll_since = p->roll_since,
        .roll_replaced = p->roll_replaced,
    };
    view_count(core, pool, out);
    return true;
}

static bool
is_visible(const struct worker *w)
{
    return w->state != WORKER_FREE && w->state != WORKER_GONE;
}

/* In the order in which one would have to be over before the next counts. */
static enum recycle_wait
view_wait(const struct core *core, const struct worker *w)
{
    const struct pool *p = pool_at(core, w->id.pool);
    uint32_t under_way = 0;
    bool leaver = false;
    for (uint32_t i = worker_first(core, w->id.pool); i != NONE; i = worker_next(core, i)) {
        const struct worker *other = worker_at(core, i);
        under_way += other->begun && !other->replaced;
        leaver |=
            other->id.slot == w->id.slot && worker_is_leaving(other) && other->state != WORKER_GONE;
    }
    if (pool_lacks_sockets(core, w->id.pool))
        return WAIT_SOCKETS;
    if (leaver)
        return WAIT_LEAVER;
    if (under_way >= p->settings.surge)
        return WAIT_SURGE;
    if (p->next_start_at > core->now || (cause_is_tried_again(w->leave) && p->retry_at > core->now))
        return WAIT_DELAY;
    return p->turn == TURN_WAITS ? WAIT_TURN : WAIT_PLACE;
}

/* When a worker is replaced next, and why: what is under way or marked comes first. */
static void
view_next(const struct core *core, uint32_t handle, struct worker_view *view)
{
    const struct worker *w = worker_at(core, handle);
    if (!worker_stays(w))
        return;
    if (w->leave != CAUSE_NONE) {
        view->next_at = w->asked_at;
        view->next_for = w->leave;
        view->waits = w->begun ? WAIT_NOTHING : view_wait(core, w);
    } else if (view->age_limit_ms != MSEC_NEVER) {
        view->next_at = after(w->spawned_at, view->age_limit_ms);
        view->next_for = CAUSE_TIME;
    }
}

bool
core_worker(const struct core *core, uint32_t handle, struct worker_view *out)
{
    if (handle >= core->limits.workers_max || !is_visible(worker_at(core, handle)))
        return false;
    const struct worker *w = worker_at(core, handle);
    *out = (struct worker_view){
        .id = w->id,
        .state = w->state,
        .cause = w->cause,
        .leave = w->leave,
        .executed = w->executed,
        .killed = w->killed,
        .drifted = worker_has_drifted(core, handle),
        .spawned_at = w->spawned_at,
        .ready_at = w->ready_at,
        .since = w->since,
        .measured = w->leave == w->reason ? w->measured : 0,
        .limit_value = w->leave == w->reason ? w->limit_value : 0,
        .age_limit_ms = reason_age_limit(core, handle),
        .requests_limit = reason_requests_limit(core, handle),
        .next_at = MSEC_NEVER,
    };
    view_next(core, handle, out);
    if (w->successor != NONE || w->replaced) {
        out->successor = w->id;
        out->successor.generation = w->replaced_by;
    }
    return true;
}

uint32_t
core_handle(const struct core *core, struct worker_id id)
{
    if (id.pool >= core->limits.pools_max)
        return NONE;
    for (uint32_t i = worker_first(core, id.pool); i != NONE; i = worker_next(core, i)) {
        const struct worker *w = worker_at(core, i);
        if (w->id.slot == id.slot && w->id.generation == id.generation)
            return is_visible(w) ? i : NONE;
    }
    return NONE;
}

static uint32_t
first_visible(const struct core *core, uint32_t from)
{
    while (from != NONE && !is_visible(worker_at(core, from)))
        from = worker_next(core, from);
    return from;
}

uint32_t
core_worker_first(const struct core *core, uint32_t pool)
{
    return pool < core->limits.pools_max ? first_visible(core, worker_first(core, pool)) : NONE;
}

uint32_t
core_worker_next(const struct core *core, uint32_t handle)
{
    return first_visible(core, worker_next(core, handle));
}

uint32_t
core_failures(const struct core *core, uint32_t pool, msec now, struct failure_view *out,
              uint32_t cap)
{
    uint32_t n = MIN(failures_in_window(core, pool, now), cap);
    if (n == 0)
        return 0;
    const struct failures *failures = failures_at(core, pool);
    for (uint32_t i = 0; i < n; i++) {
        const struct failure *failure = &failures->v[failures->len - n + i];
        out[i] = (struct failure_view){.at = failure->at,
                                       .age_ms = failure->age_ms,
                                       .status = failure->status,
                                       .event = failure->event};
        if (failure->event == TELL_EXEC_FAILED) {
            out[i].step = failure->status.number;
            out[i].status.number = 0;
        }
    }
    return n;
}

void
core_recycles(const struct core *core, uint32_t *held, uint32_t *waiting, uint32_t *most)
{
    *held = core->recycles_begun + core->turns_held;
    *waiting = core->turns.len;
    *most = global_at(core)->recycles_max;
}

void
core_starts(const struct core *core, uint32_t *held, uint32_t *waiting)
{
    *held = core->places_held;
    *waiting = core->queue.len;
}

/* --- Names, from the tables. */

/* clang-format off */
#define NAME_OF_(n)      #n,
#define TEXT_OF_(n, s)   s,
#define NAMES(function, type, list, row)                                  \
    const char *                                                          \
    function(type value)                                                  \
    {                                                                     \
        static const char *const names[] = {list(row)};                   \
        return (size_t)value < ARRAY_LEN(names) ? names[value] : "?";     \
    }

NAMES(event_kind_name,   enum event_kind,   CORE_EVENTS,   NAME_OF_)
NAMES(action_kind_name,  enum action_kind,  CORE_ACTIONS,  NAME_OF_)
NAMES(cause_name,        enum cause,        CAUSES,        TEXT_OF_)
NAMES(pool_state_name,   enum pool_state,   POOL_STATES,   TEXT_OF_)
NAMES(pool_reason_name,  enum pool_reason,  POOL_REASONS,  TEXT_OF_)
NAMES(worker_state_name, enum worker_state, WORKER_STATES, TEXT_OF_)
NAMES(roll_outcome_name, enum roll_outcome, ROLL_OUTCOMES, TEXT_OF_)
NAMES(recycle_wait_name, enum recycle_wait, RECYCLE_WAITS, TEXT_OF_)
/* clang-format on */
