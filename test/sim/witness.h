/* witness.h - an independent judge: it sees events and actions, never the core, and knows the rules
 * that architecture.md gives. Core and witness cannot be wrong together unless both were told wrong.
 *
 * It keeps its own account of every worker there ever was, and of every pool's failures. Rules W1,
 * W10 and W11 need the world and the views and are in life.c; W13 is main.c's second run. */
#ifndef POOLD_SIM_WITNESS_H
#define POOLD_SIM_WITNESS_H

#include "supervisor/core/core.h"
#include "test/sim/swarm.h"

struct sim;

enum recycle_account { RECYCLE_NONE, RECYCLE_BEGUN, RECYCLE_MAY_CLOSE, RECYCLE_CLOSED };

struct seen {
    uint32_t slot;
    bool known; /* SPAWN was asked, or it was listed after a lost state */
    bool spawned, executed, ready;
    bool doomed;  /* its pool was stopped, or it was a successor when the pool was disabled */
    bool drained; /* DRAIN was sent */
    bool unsent, stopping, signalled, killed;
    bool exec_failed;
    bool excused; /* said STOPPING=1 on trial: 1093 told that, its exit is no failure */
    bool adopted;
    bool untrusted; /* 1127 was told */
    bool aged;      /* 1074 was told, by the settings of today */
    bool aged_once; /* ... by settings that are not those of today */
    bool used;      /* 1075 was told, by the settings of today */
    bool used_once;
    bool asks;         /* it wants to be replaced */
    uint64_t requests; /* that it said it has served */
    bool asked; /* DRAIN, SIGNAL or KILL was sent since it was listed last: not to be sent again */
    bool ended; /* its one end event was told */
    bool exited, released;
    bool started_told;
    bool homeless;        /* found after a lost state in a place without a pool */
    uint8_t cause;        /* of its start */
    uint8_t rule;         /* enum ready_rule that it was started with */
    uint64_t fingerprint; /* of the settings that it was started with */
    msec ready_after_ms;  /* as it was when it ran its program */
    uint32_t limit_event; /* the time-out that was told of it: 1012, 1013; 0 */
    enum recycle_account recycle;
    uint32_t successor; /* generation of the last one on trial */
    bool
        is_loose; /* who was to follow it has failed: its recycle is no replacement on purpose now */
    msec asked_at, spawned_at, executed_at, ready_at;
    msec leaving_at; /* since when shutdown_timeout counts */
    msec killed_at;
    msec start_until, stop_until; /* it asked for more time; 0: it did not */
};

struct seen_pool {
    struct seen *workers; /* [cap], by generation */
    uint32_t cap;
    uint32_t last;       /* the highest generation */
    uint32_t first_open; /* no recycle of an older generation is open: seen_first_open */
    uint32_t *living;    /* generations of those that are not released */
    uint32_t living_len, living_cap;
    struct pool_settings settings; /* that it was told */
    bool added, removed;
    bool wanted, bound, disabled, started;
    bool running;                /* it has left its stopped state */
    bool bind_asked, bind_stale; /* BIND is not answered; its sockets have changed since */
    bool compare;                /* its workers are to be compared with its settings */
    bool change_begins;          /* 1080 is due in this step */
    bool must_enable;            /* 6012 is due in this step */
    bool refused_told;           /* 6013 was, and it is refused and wanted since */
    uint32_t times_run;          /* bit of each time and date that was told to have come */
    bool time_is_new;            /* in this step */
    uint32_t trials_due;         /* successors that are to be given up in this step */
    bool rolling;
    bool roll_begins, roll_refused, roll_empty; /* in this step */
    bool roll_unclear; /* of a pool with leftovers it is not known who is being replaced, and of
                          others after a disabled state */
    msec failed[FAILURES_MAX]; /* the last ones, oldest first */
    uint32_t failed_len;
    bool must_disable; /* 1002 is due in this step */
    bool disabled_once;
    uint32_t streak;
    msec streak_at;  /* of the last failure that delays */
    msec not_before; /* no start sooner */
    uint32_t retry_streak;
    msec retry_not_before;
    bool leftovers; /* taken in after a lost state: what came before is not known, so rules that
                           need the past are not applied to this pool any more */
};

struct witness {
    struct sim *sim;
    struct seen_pool pools[SIM_POOLS_MAX];
    uint32_t shutdowns;
    uint32_t starts_max;   /* limits.starts as it was said last */
    uint32_t recycles_max; /* limits.recycles likewise; 0: none */
    struct event event;    /* of the step under way */
    msec now;
};

void witness_init(struct witness *, struct sim *);
void witness_fini(struct witness *);

/* The core lost its state: what it knew is no measure any more. */
void witness_forget(struct witness *);

/* The engine died: what the keeper had answered it is lost. */
void witness_engine_died(struct witness *);

/* One step: the event before it, each action, and at the end whether more is due at once. */
void witness_event(struct witness *, const struct event *);
void witness_action(struct witness *, const struct action *);
void witness_step_end(struct witness *, bool more_is_due);

/* All is quiet: every recycle is closed, no roll is under way. */
void witness_quiet(struct witness *);

/* Whether the worker was asked for and is not released. */
bool witness_knows(const struct witness *, struct worker_id);

/* --- Shared by the witness's own files. */

/* "0/1.17: broken" names the worker in each complaint. */
#define BROKEN(witness, id, text)                                                                  \
    sim_fail((witness)->sim, "%u/%u.%u: %s", (id).pool, (id).slot, (id).generation, (text))

/* The event of this step is of that kind and about the action's worker. */
bool witness_is_about(const struct witness *, const struct action *, enum event_kind);

void rule_worker_event(struct witness *, const struct action *, struct seen *);
void rule_pool_event(struct witness *, const struct action *);
void rule_recycle_done(struct witness *, const struct action *);
void rule_recycle_failed(struct witness *, const struct action *);
void rule_given_up(struct witness *, const struct action *);
void rule_roll_ended(struct witness *, const struct action *);

struct seen *seen_find(struct witness *, struct worker_id);
struct seen *seen_add(struct witness *, struct worker_id);
void seen_forget(struct seen_pool *, uint32_t generation); /* released: no longer living */
bool seen_is_leaving(const struct seen *);
void seen_extend(const struct witness *, const struct event *, struct seen *);
bool seen_start_is_over(const struct witness *, uint32_t pool, const struct seen *);
bool seen_stop_is_over(const struct witness *, uint32_t pool, const struct seen *);

/* A recycle begins. Those that are open, by generation, are found from the first one on: a life may
 * have seen thousands of workers. */
void seen_recycle_begin(struct witness *, struct seen_pool *, struct seen *);
uint32_t seen_first_open(struct seen_pool *);

/* The worker that was to fill the slot of one who had gone has failed, if it was not ready. */
void seen_follower_failed(struct seen_pool *, uint32_t generation);

/* The one of its slot, older and serving, that the worker is to replace; NULL: it is nobody's
 * successor (any more). */
struct seen *seen_original(struct witness *, uint32_t pool, uint32_t generation);

/* What the pool was told, and may run by. */
static inline const struct pool_settings *
witness_settings(const struct witness *witness, uint32_t pool)
{
    return &witness->pools[pool].settings;
}

/* Whether it is to run but for a shutdown: somebody wants it, and its settings are not refused. */
static inline bool
seen_pool_is_wanted(const struct seen_pool *p)
{
    return p->wanted && !p->settings.refused;
}

/* Whether workers may be started; and whether they may be replaced, which a pool that waits for new
 * sockets goes on promising. */
bool witness_pool_is_up(const struct witness *, uint32_t pool);
bool witness_pool_rolls(const struct witness *, uint32_t pool);

/* Whoever lives is to go; a recycle whose successor is not ready is not carried on. */
void pool_is_doomed(struct seen_pool *);
void recycles_are_cancelled(struct seen_pool *, uint32_t first_slot);

/* witness_change.c: changed configurations. */
void witness_pool_changed(struct witness *, const struct event *);
void witness_bind_answered(struct seen_pool *, bool bound);
bool seen_has_drifted(const struct witness *, uint32_t pool, const struct seen *);
void seen_take_settings(const struct witness *, uint32_t pool, struct seen *);
void pool_may_shrink(struct witness *, uint32_t pool);
void rule_refused(struct witness *, uint32_t pool);
void rule_bind(struct witness *, uint32_t pool);
void rule_pool_gone(struct witness *, uint32_t pool);
void rule_without_pool(struct witness *, const struct action *);
const char *change_untold(const struct witness *, const struct seen_pool *);

/* witness_reason.c: what a worker has reached. */
bool cause_is_of_recycle(enum cause);
bool cause_is_kept(enum cause); /* tried again until it succeeds */
void rule_age(struct witness *, const struct action *, struct seen *);
void rule_requests(struct witness *, const struct action *, struct seen *);
void rule_one_recycled(struct witness *, const struct action *, struct seen *);
void limits_are_unclear(struct witness *, uint32_t pool);
const char *limit_overdue(const struct witness *, uint32_t pool, const struct seen *);

/* What a failure means: counted, or delaying only. */
void witness_failure(struct witness *, uint32_t pool, const struct seen *, bool counts);
msec witness_delay_ms(const struct pool_settings *, uint32_t n);

#endif
