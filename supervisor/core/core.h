/* core.h - the contract of the deciding part of poold.
 *
 * The core is a pure state machine: core_step(state, event) -> actions. It makes no system call,
 * allocates nothing after core_init, has no clock (time is event.now), no log, no environment and
 * no floating point. What it knows came in an event; what it wants goes out in an action; whether
 * the action worked comes back as another event. After each event one reconcile pass over the
 * touched pool compares what should be with what is, so a lost, doubled or late event heals.
 *
 * The shell feeds what one loop turn gathered in a fixed order - the keeper's reports, worker
 * messages, commands, then TICK last - and applies the actions of each step before the next step.
 * Cost: an event costs its own pool (its workers), plus the starts that it frees; never all pools. */
#ifndef POOLD_CORE_H
#define POOLD_CORE_H

#include "common/base.h"
#include "supervisor/core/settings.h"
#include "supervisor/core/tables.h"

/* clang-format off */
#define CORE_EV_(n)       EV_##n,
#define CORE_ACT_(n)      ACT_##n,
#define CORE_CAUSE_(n, s) CAUSE_##n,
#define CORE_POOL_(n, s)  POOL_##n,
#define CORE_WHY_(n, s)   REASON_##n,
#define CORE_WORKER_(n, s) WORKER_##n,
#define CORE_ROLL_(n, s)  ROLL_##n,
#define CORE_WAIT_(n, s)  WAIT_##n,
enum event_kind   { CORE_EVENTS(CORE_EV_)       EV_COUNT };
enum action_kind  { CORE_ACTIONS(CORE_ACT_)     ACT_COUNT };
enum cause        { CAUSES(CORE_CAUSE_)         CAUSE_COUNT };
enum pool_state   { POOL_STATES(CORE_POOL_)     POOL_STATE_COUNT };
enum pool_reason  { POOL_REASONS(CORE_WHY_)     POOL_REASON_COUNT };
enum worker_state { WORKER_STATES(CORE_WORKER_) WORKER_STATE_COUNT };
enum roll_outcome { ROLL_OUTCOMES(CORE_ROLL_)   ROLL_OUTCOME_COUNT };
enum recycle_wait { RECYCLE_WAITS(CORE_WAIT_)   RECYCLE_WAIT_COUNT };
/* clang-format on */

struct core_limits {
    uint32_t pools_max;
    uint32_t workers_max; /* records: for each pool workers_max + surge, and as many that leave */
    uint32_t starts_max;  /* limits.starts, until LIMITS says another: workers starting at one time
                             on this host, >= 1 */
    uint64_t seed;        /* of the jitter generator */
};

struct event {
    msec now; /* never less than in the event before (asserted) */
    enum event_kind kind;
    struct worker_id worker; /* events of a pool use .pool only */
    enum cause cause;
    uint64_t count; /* REQUESTS: since the worker's start; EXTEND: ms from now; SCHEDULE: minute of
                         the day */
    uint32_t day;   /* SCHEDULE: the local date, as days since 1970 */
    bool by_operator; /* POOL_START: clears failures and a disabled state. POOL_ADD, POOL_REMOVE,
                         LIMITS: an apply; false: a life begins, POOL_RESUME follows for all that is
                         restored */
    const struct pool_settings *settings; /* POOL_ADD: copied; change.h says what a change does */
    struct exit_status status;
    uint32_t starts_max; /* LIMITS: limits.starts, at least 1. Fewer than start now: they finish */
    uint32_t
        recycles_max; /* LIMITS: limits.recycles, 0: none. Fewer than are under way: they finish */
    uint32_t step; /* enum spawn_step of verbs.h; the core only hands it on and compares to none */
    int32_t error; /* errno, positive */
};

struct action {
    enum action_kind kind;
    /* EVENT 1127: what follows. UNHEALTHY: it is replaced; SURPLUS: a successor on trial, it leaves;
     * NONE: its pool is disabled, it stays. */
    enum cause cause;
    struct worker_id worker;
    struct worker_id other; /* EVENT of a recycle: the other worker of the pair */
    uint32_t handle;        /* core_handle of worker, NONE where there is no worker record.
                               Stays this worker's until its RELEASE or its spawn-failed EVENT has
                               been applied: the shell may keep an array beside the core's. */
    uint32_t other_handle;  /* the same of other, also when other has been released: its record is
                               kept for the event that closes its recycle */
    uint32_t event;         /* EVENT: number in the catalogue, events.def */
    struct exit_status status;
    uint32_t step;
    int32_t error;
    uint32_t count, limit; /* EVENT 1002: failures, max_failures; ROLL_ENDED: see tables.h */
    enum roll_outcome outcome;
    uint32_t limit_event; /* EVENT 6023: for which time-out it was killed, 1012, 1013; 0: none */
    bool killed;          /* the worker that left was killed at the end of its drain */
    bool was_ready;       /* EVENT 1009: the worker had been ready */
    uint64_t measured,
        limit_value; /* EVENT of a reason to recycle, and recycle-done: what was measured,
                                       and the limit; limit 0: the cause has none */
    msec age_ms;     /* of the worker, since its SPAWN */
    msec limit_ms;   /* the limit that was reached (time-outs), the window (1002), drain limit */
    msec retry_ms;   /* from now until the core tries again; MSEC_NEVER: it does not */
    msec start_ms;   /* recycle-done: SPAWN to ready of the successor */
    msec drain_ms;   /* recycle-done: drain to gone of the old worker */
    msec total_ms;   /* recycle-done: request to gone */
};

/* Storage is the caller's; cap must be at least core_actions_max. */
struct action_list {
    struct action *v;
    uint32_t len, cap;
};

struct core; /* opaque */

/* Bytes that core_init needs. The memory must be zeroed (a fresh mapping: pages of records that
 * are never used are never touched). */
size_t core_size(const struct core_limits *);
struct core *core_init(void *mem, const struct core_limits *);

/* Most actions of one step. */
uint32_t core_actions_max(const struct core_limits *);

/* Takes one event; appends to out (which it empties first). */
void core_step(struct core *, const struct event *, struct action_list *out);

/* When the next TICK is due; MSEC_NEVER: none. May lie in the past: a step does a bounded amount of
 * work (a shutdown of thousands of pools takes several TICKs). */
msec core_deadline(const struct core *);

/* NULL, or the rule that is broken. For tests and the simulator: costs a pass over everything. */
const char *core_check(const struct core *);

/* Equal digests mean equal futures. */
uint64_t core_digest(const struct core *);

/* --- Saving, record by record, so that a step costs what it changed.
 *
 * Records are numbered 0..core_record_count-1. core_touched gives those that changed since the last
 * core_touched_clear (each once). core_record_write returns the bytes written, at most
 * core_record_size_max (0: the record is empty and need not be kept). To restore: core_init with
 * the same limits, core_record_read for each non-empty record in any order, core_restore_end.
 * Reading returns 0, or -EINVAL for bytes that cannot be a record of this version or that break a
 * range; core_restore_end -EINVAL when the whole does not pass core_check. */
uint32_t core_record_count(const struct core *);
size_t core_record_size_max(void);
size_t core_record_size(const struct core *, uint32_t record); /* most bytes of that record */
uint32_t core_touched(const struct core *, uint32_t *out, uint32_t cap);
uint32_t core_touched_max(const struct core_limits *); /* most records that one step can touch */
void core_touched_clear(struct core *);
size_t core_record_write(const struct core *, uint32_t record, void *buf, size_t cap);
int core_record_read(struct core *, uint32_t record, const void *buf, size_t len);
int core_restore_end(struct core *, msec now);
#define CORE_STATE_VERSION 7u

/* --- Changing the configuration: LIMITS, by_operator; POOL_ADD with by_operator for each pool
 * that is added or changed, or whose drifted workers are to be tried again; POOL_REMOVE, by_operator
 * too, for each that is gone from it; POOL_START for those with auto_start whose reason is then
 * NEVER (new, or taken back from a removal). The keeper must have the new configuration before:
 * SPAWN and BIND mean the newest. BIND is asked again whenever the fingerprint has changed, and
 * answered BOUND at once where nothing is to be done; the sockets that the pool had stay until its
 * last drifted worker is gone.
 *
 * POOL_REMOVE is answered by POOL_GONE, after the last RELEASE; until then the pool has a view, and
 * a POOL_ADD takes the removal back. After POOL_GONE its place may be given to another pool: names
 * of workers go on counting.
 *
 * --- Resuming after the engine's death: restore; LIMITS; POOL_ADD for each configured pool (the
 * same settings change nothing; changed ones have the outcome that they have without the death),
 * POOL_REMOVE for each that has a view and is not configured; then for each worker that the keeper
 * lists, LISTED followed by the reports that the keeper has for it (SPAWNED, EXECUTED or
 * EXEC_FAILED, EXITED; those that the core has seen already are ignored); POOL_START as above; then
 * POOL_RESUME for each pool that has a view. From the first LIMITS or POOL_ADD of a life (restored
 * pools) or its first LISTED to its POOL_RESUME nothing is asked for a pool; LISTED comes at no
 * other time. A worker that is listed for a place without a pool is released if it is dead, and
 * else killed: nobody knows its settings any more. POOL_RESUME asks again for what a worker's state
 * says was asked (the world answers a second SPAWN of one worker with the first one's result) and
 * takes a worker that the keeper does not know as ended with unknown status.
 *
 * A lost state: start with an empty core, in the same order, with POOL_START for the pools that are
 * to be up between the reports and POOL_RESUME. Workers without a record are taken in: one that
 * runs counts as ready, and of two in one slot the newer one leaves. They are taken for workers of
 * the settings that hold when they are found. */

/* --- Views, for status and tests. */
struct pool_view {
    enum pool_state state;
    enum pool_reason reason;
    int32_t error;                      /* errno of the last failed bind */
    bool wanted_up;                     /* the operator's, or the start's, intent */
    bool removed;                       /* it is forgotten when its last worker is gone */
    uint32_t ready, starting, draining; /* workers; a spawning one counts as starting */
    uint32_t drifted;                   /* workers that stay and have drifted */
    uint32_t workers_min, workers_max;
    uint32_t failures, max_failures; /* in the window now */
    msec failure_interval_ms;
    msec since;         /* of this state */
    msec next_start_at; /* back-off: no start before; 0: none pending */
    bool rolling;
    enum cause roll_cause;
    msec roll_since;
    uint32_t roll_replaced, roll_waiting; /* workers replaced so far, not yet replaced */
};
struct worker_view {
    struct worker_id id;
    enum worker_state state;
    enum cause cause; /* of its start */
    enum cause leave; /* why it is to leave or to be replaced; NONE: it is not */
    bool executed, killed;
    bool drifted; /* it stays, and was started with another fingerprint than its pool has now */
    uint64_t measured, limit_value; /* of `leave`: as in struct action */
    msec age_limit_ms;              /* its own limit of age; MSEC_NEVER: it has none */
    uint64_t requests_limit;        /* its own limit of requests; 0: it has none */
    msec next_at; /* when it is to be replaced, as far as is known; MSEC_NEVER: not planned */
    enum cause next_for;              /* ... and why */
    enum recycle_wait waits;          /* to be replaced, and for what that waits */
    msec spawned_at, ready_at, since; /* ready_at 0: not yet; since: of this state */
    struct worker_id successor;       /* generation 0: none */
};
struct failure_view {
    msec at, age_ms;
    struct exit_status status; /* EXIT_UNKNOWN for a failure without an exit */
    uint16_t event;            /* 1009, 1012, 1059, 1127, ... */
    uint32_t step;             /* 1059: as EXEC_FAILED gave it; else 0 */
};

bool core_pool(const struct core *, uint32_t pool, msec now, struct pool_view *out);
bool core_worker(const struct core *, uint32_t handle, struct worker_view *out);
uint32_t core_handle(const struct core *, struct worker_id); /* NONE: unknown */
/* A pool's workers in order of slot, then generation. */
uint32_t core_worker_first(const struct core *, uint32_t pool); /* NONE: no worker */
uint32_t core_worker_next(const struct core *, uint32_t handle);
/* The failures in the window, oldest first; returns how many were written. */
uint32_t core_failures(const struct core *, uint32_t pool, msec now, struct failure_view *out,
                       uint32_t cap);
/* Recycles under way on this host and turns kept for such, pools waiting for one; 0: no limit. */
void core_recycles(const struct core *, uint32_t *held, uint32_t *waiting, uint32_t *most);
/* Workers starting now that hold a place, pools waiting for one. */
void core_starts(const struct core *, uint32_t *held, uint32_t *waiting);

const char *event_kind_name(enum event_kind);
const char *action_kind_name(enum action_kind);
const char *cause_name(enum cause);
const char *pool_state_name(enum pool_state);
const char *pool_reason_name(enum pool_reason);
const char *worker_state_name(enum worker_state);
const char *roll_outcome_name(enum roll_outcome);
const char *recycle_wait_name(enum recycle_wait);

#endif
