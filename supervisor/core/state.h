/* state.h - what the core remembers: fixed records without pointers, and what is derived from them.
 *
 * Records are saved byte by byte, so they have no padding (asserted below) and name each other by
 * index only. Everything else - lists, counts, heaps - is rebuilt from them by core_restore_end.
 *
 * Reading goes through the *_at functions, which give const pointers. Changing goes through the
 * *_edit functions, which mark the record as touched: a change that is not marked is not saved, and
 * the simulator's twin, built from marked records only, finds it. Nobody but state.c, init.c and
 * save.c looks into struct core's `raw`. */
#ifndef POOLD_CORE_STATE_H
#define POOLD_CORE_STATE_H

#include "common/prng.h"
#include "supervisor/core/core.h"
#include "supervisor/core/heap.h"
#include <string.h>

enum shutdown_phase { SHUTDOWN_NOT, SHUTDOWN_ASKED, SHUTDOWN_HURRY };

struct global {
    uint32_t version;       /* CORE_STATE_VERSION */
    uint32_t shutdown;      /* enum shutdown_phase */
    uint32_t shutdown_next; /* the next pool that the shutdown has not reached yet */
    uint32_t left;          /* bool: LEAVE was said */
    uint32_t starts_max;    /* limits.starts as it holds now */
    uint32_t recycles_max;  /* limits.recycles as it holds now; 0: there is no limit */
    uint64_t ticket;        /* the last one given to a pool that waits */
    struct prng prng;       /* of the jitter */
};

struct pool {
    struct pool_settings settings;
    msec since;         /* of this state */
    msec next_start_at; /* back-off: no start, and no bind, before */
    msec retry_at;      /* no recycle for a cause that is tried again begins before */
    msec roll_since;
    msec start_ms;        /* how long the last worker that became ready took from its SPAWN */
    msec failed_at;       /* the last failure that delayed a start; 0: none */
    uint64_t ticket;      /* of its place in the queue of starts */
    uint64_t turn_ticket; /* ... and in that of turns to recycle */
    uint32_t generation;  /* the last one given to a worker; never goes back */
    uint32_t roll_replaced;
    int32_t bind_error; /* of the last bind that failed; 0: none in this spell */
    uint16_t streak;    /* failures that delay starts, one after the other */
    uint16_t bind_streak;
    uint16_t retry_streak;
    uint16_t slots_filled; /* slots below had a worker since it came up, others are growth */
    uint8_t state;         /* enum pool_state */
    uint8_t reason;        /* enum pool_reason */
    uint8_t roll_cause;    /* enum cause; CAUSE_NONE: no roll is under way */
    uint8_t queue;         /* class of the queue of starts + 1; 0: does not wait */
    uint8_t binding;       /* enum bind_phase */
    uint8_t added;         /* bool, as all that follow. Not: nothing but the generation is known */
    uint8_t wanted_up;     /* the intent; a shutdown does not change it */
    uint8_t bound;         /* its sockets are held */
    uint8_t removed;       /* it is to be forgotten once it is down */
    uint8_t changed;       /* its settings were given, and its workers not yet compared with them */
    uint8_t roll_all;      /* the roll replaces every worker: somebody asked for it */
    uint8_t roll_drifted;  /* the roll replaces every worker that has drifted */
    uint8_t turn;          /* enum turn */
    uint8_t unused[7];
};

/* Of limits.recycles (turn.h): HELD is kept for this pool's next recycle. */
enum turn { TURN_NONE, TURN_WAITS, TURN_HELD, TURN_COUNT };

/* BIND is asked once at a time. STALE: the sockets have changed since it was asked, so its answer
 * does not count, and it is asked again. */
enum bind_phase { BIND_NOT, BIND_ASKED, BIND_STALE, BIND_PHASE_COUNT };

struct failure {
    msec at;
    uint32_t age_ms; /* of the worker; UINT32_MAX: 49 days and more */
    uint16_t event;
    struct exit_status status; /* EXIT_UNKNOWN, the step as its number: a program that never ran */
};

/* The last dates of clock times (runs.h). */
struct run {
    uint32_t day;
    uint32_t minute;
};

struct runs {
    uint32_t len;
    uint32_t unused;
    struct run v[SCHEDULE_MAX];
};

struct failures {
    uint32_t len; /* at most settings.max_failures; oldest first */
    uint32_t unused;
    struct failure v[FAILURES_MAX];
};

/* NONE also when it was killed by a hurried shutdown. */
enum worker_limit { LIMIT_NONE, LIMIT_START, LIMIT_STOP, WORKER_LIMIT_COUNT };

struct worker {
    struct worker_id id;
    uint32_t successor;   /* handle of the worker that starts to replace this one; NONE */
    uint32_t original;    /* handle of the worker that this one is to replace; NONE */
    uint32_t replaced_by; /* generation of the last successor; 0: none */
    msec spawned_at;      /* SPAWN was asked */
    msec ready_at;        /* 0: never ready */
    msec since;           /* of this state */
    msec asked_at;        /* its recycle was decided */
    msec drain_at;        /* it was told to leave, or said that it does; 0: neither */
    msec more_until; /* STARTING, DRAINING, LEAVING: it asked for time until then; 0: it did not */
    msec timer_at;   /* STARTING: ready by rule, or the next ready command; KILLING: next KILL */
    msec start_ms;   /* how long its successor took to be ready */
    uint64_t fingerprint;    /* of the settings that it was started with */
    uint64_t requests;       /* that it has served, as it said; where they have a limit */
    uint64_t paced;          /* ... and what these were when its pace was measured last, */
    msec paced_at;           /* which was then */
    uint64_t requests_found; /* its limit when REQUESTS became a reason */
    uint64_t measured;       /* of `reason`: what was measured when it was found, and ... */
    uint64_t limit_value;    /* ... the limit that it had reached; 0: it is none of a limit */
    uint8_t state;           /* enum worker_state */
    uint8_t cause;           /* enum cause: of its start */
    uint8_t leave;           /* enum cause: of its replacement or departure */
    uint8_t executed;        /* bool, as all that follow */
    uint8_t place;           /* holds one of limits.starts */
    uint8_t command;         /* its ready command is under way */
    uint8_t adopted;         /* found alive without a record: ready once it is known to run */
    uint8_t going;           /* was asked to leave (SPAWNING: is to leave as soon as it exists) */
    uint8_t killed;          /* KILL was sent (SPAWNING: is to be sent) */
    uint8_t signalled;       /* LEAVING: stop_signal was sent */
    uint8_t told;            /* its end has been told: exec failed, only the exit is awaited */
    uint8_t begun;           /* its recycle has begun and is not closed */
    uint8_t replaced;        /* its successor has been ready */
    uint8_t in_roll;         /* its recycle is part of the pool's roll */
    uint8_t untrusted;       /* it broke the protocol, which is told and counted once */
    uint8_t limit;           /* enum worker_limit: for which it was killed */
    uint8_t ready;           /* enum ready_rule that it is judged by */
    uint8_t reason;          /* enum cause: the newest of `reasons`; NONE: there are none */
    uint16_t reasons;        /* bit of each cause that stands (reason.h) */
    uint16_t reasons_told;
    uint16_t draw;   /* drawn at its start: where its own limits lie within the jitter */
    uint8_t counted; /* bool: its recycle counts for limits.recycles */
    uint8_t unused[7];
};

_Static_assert(sizeof(struct global) == 40, "no padding");
_Static_assert(sizeof(struct pool_settings) == 88, "no padding");
_Static_assert(sizeof(struct pool) == 88 + 64 + 12 + 8 + 20, "no padding");
_Static_assert(sizeof(struct failure) == 16, "no padding");
_Static_assert(sizeof(struct runs) == 8 + SCHEDULE_MAX * 8, "no padding");
_Static_assert(sizeof(struct failures) == 8 + FAILURES_MAX * 16, "no padding");
_Static_assert(sizeof(struct worker) == 24 + 120 + 32, "no padding");
_Static_assert(CAUSE_COUNT <= 16, "a bit of `reasons` each");

/* Derived, one for each pool. */
struct pool_more {
    uint32_t first_link; /* handle + 1 of its first worker, by slot and generation; 0: none */
    uint32_t ready, starting, draining, gone; /* workers by state */
    uint32_t restored_generation;             /* the last one given before this life */
    uint32_t held;       /* bool: an engine resumes, POOL_RESUME is to come: nothing is asked for */
    uint32_t bind_asked; /* bool: the BIND that is not answered was asked in this life */
};

/* Derived, one for each worker. */
struct worker_more {
    uint32_t next_link; /* handle + 1 of the next in its pool's list */
    uint16_t listed;    /* bool: the keeper has it (resume), or it was made in this life */
    uint16_t asked;     /* bool: what its state says was asked was asked in this life */
};

#define BITMAP_LEVELS 4 /* 64^4 workers */

struct core {
    struct core_limits limits;
    struct action_list *out; /* of the step under way, else NULL */
    msec now;
    struct {
        struct global global;
        struct pool *pools;
        struct failures *failures;
        struct runs *runs;
        struct worker *workers;
    } raw;
    struct pool_more *pool_more;
    struct worker_more *worker_more;
    struct heap due;   /* node: pool, or pools_max + worker */
    struct heap queue; /* node: pool; key: class, then ticket */
    struct heap turns; /* node: pool that waits for a turn to recycle; key: ticket */
    uint64_t
        *used[BITMAP_LEVELS]; /* bit of level 0: the record is in use; above: the word is full */
    uint32_t used_words[BITMAP_LEVELS];
    uint32_t workers_len; /* records in use */
    bool resumed;         /* the pools that were restored have been held */
    uint32_t places_held;
    uint32_t recycles_begun; /* that count for limits.recycles */
    uint32_t turns_held;     /* kept for pools whose recycle has not begun */
    uint32_t *touched;
    uint64_t *touched_bits;
    uint32_t touched_len;
};

/* --- Records. */
static inline const struct global *
global_at(const struct core *core)
{
    return &core->raw.global;
}

static inline const struct pool *
pool_at(const struct core *core, uint32_t pool)
{
    assert(pool < core->limits.pools_max);
    return &core->raw.pools[pool];
}

static inline const struct failures *
failures_at(const struct core *core, uint32_t pool)
{
    assert(pool < core->limits.pools_max);
    return &core->raw.failures[pool];
}

static inline const struct runs *
runs_at(const struct core *core, uint32_t pool)
{
    assert(pool < core->limits.pools_max);
    return &core->raw.runs[pool];
}

static inline const struct worker *
worker_at(const struct core *core, uint32_t worker)
{
    assert(worker < core->limits.workers_max);
    return &core->raw.workers[worker];
}

static inline const struct pool *
pool_of(const struct core *core, uint32_t worker)
{
    return pool_at(core, worker_at(core, worker)->id.pool);
}

struct global *global_edit(struct core *);
struct pool *pool_edit(struct core *, uint32_t pool);
struct failures *failures_edit(struct core *, uint32_t pool);
struct runs *runs_edit(struct core *, uint32_t pool);
struct worker *worker_edit(struct core *, uint32_t worker);

/* --- Workers of a pool, in order of slot and generation, with those that are GONE. */
static inline uint32_t
worker_first(const struct core *core, uint32_t pool)
{
    return core->pool_more[pool].first_link - 1;
}

static inline uint32_t
worker_next(const struct core *core, uint32_t worker)
{
    return core->worker_more[worker].next_link - 1;
}

static inline uint32_t
pool_records(const struct core *core, uint32_t pool)
{
    const struct pool_more *more = &core->pool_more[pool];
    return more->ready + more->starting + more->draining + more->gone;
}

/* A record for the worker, linked into its pool's list, in state FREE; NONE: the table is full. */
uint32_t worker_take(struct core *, struct worker_id);

/* Empties the record and gives it back. */
void worker_give_back(struct core *, uint32_t worker);

/* Enters a record that is in use already (restored) into lists and counts. */
void worker_put(struct core *, uint32_t worker);

/* A record is left for another worker. */
bool workers_have_room(const struct core *);

/* The counter of derived counts that a worker in this state belongs to; NULL for FREE. */
uint32_t *pool_count_of(struct core *, uint32_t pool, enum worker_state);

/* --- Deadlines: one for each pool and each worker. MSEC_NEVER takes it away. */
void due_set_pool(struct core *, uint32_t pool, msec at);
void due_set_worker(struct core *, uint32_t worker, msec at);

/* at + span, MSEC_NEVER when that is beyond it. */
static inline msec
after(msec at, msec span)
{
    return span >= MSEC_NEVER - at ? MSEC_NEVER : at + span;
}

/* --- Actions of the step under way; the pointer is good until the next one. */
struct action *act_worker(struct core *, enum action_kind, uint32_t worker);
struct action *act_pool(struct core *, enum action_kind, uint32_t pool);
struct action *tell_worker(struct core *, uint32_t event, uint32_t worker);
struct action *tell_pool(struct core *, uint32_t event, uint32_t pool);

/* Whether one pass over the pool fits the list of actions: else the step stops in time. */
bool actions_have_room(const struct core *, uint32_t pool);

/* The bytes of a record that are saved; 0: it is empty. Borrowed until the next change. */
size_t core_record_bytes(const struct core *, uint32_t record, const void **bytes);

/* Events of the catalogue that the core tells. */
enum {
    TELL_POOL_DISABLED = 1002,
    TELL_WORKER_DIED = 1009,
    TELL_STARTUP_TIMEOUT = 1012,
    TELL_SHUTDOWN_TIMEOUT = 1013,
    TELL_SPAWN_FAILED = 1022,
    TELL_EXEC_FAILED = 1059,
    TELL_RECYCLE_TIME = 1074,
    TELL_RECYCLE_REQUESTS = 1075,
    TELL_RECYCLE_SCHEDULE = 1076,
    TELL_RECYCLE_UNHEALTHY = 1078,
    TELL_RECYCLE_ON_DEMAND = 1079,
    TELL_RECYCLE_CONFIG_CHANGE = 1080,
    TELL_RECYCLE_FAILED = 1093,
    TELL_WORKER_NOT_TRUSTED = 1127,
    TELL_POOL_STARTED = 6010,
    TELL_POOL_STOPPED = 6011,
    TELL_POOL_ENABLED = 6012,
    TELL_POOL_NOT_STARTED = 6013,
    TELL_WORKER_STARTED = 6020,
    TELL_WORKER_READY = 6021,
    TELL_RECYCLE_DONE = 6022,
    TELL_WORKER_EXITED = 6023,
    TELL_WORKER_UNKILLABLE = 6027,
    TELL_SOCKET_FAILED = 6033,
};

/* Most records of one pool: its workers, as many that leave, and the successors of a roll. */
#define POOL_RECORDS_MAX (3u * WORKERS_A_POOL_MAX)

#endif
