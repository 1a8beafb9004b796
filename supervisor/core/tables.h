/* tables.h - the lists that the core and everyone who talks to it share; each exists once.
 *
 * Enum, name function, simulator weights and coverage matrix are made from these. */
#ifndef POOLD_CORE_TABLES_H
#define POOLD_CORE_TABLES_H

/* clang-format off */

/* Everything the world can tell the core.      fields of struct event that count beside `now` */
#define CORE_EVENTS(X)                                                                         \
    X(TICK)          /* time has come            -                                         */ \
    X(POOL_ADD)      /* a pool exists, so        worker.pool, settings, by_operator         */ \
    X(POOL_START)    /* wanted up                worker.pool, by_operator                   */ \
    X(POOL_STOP)     /* wanted down              worker.pool                                */ \
    X(POOL_RECYCLE)  /* replace every worker     worker.pool, cause                         */ \
    X(SCHEDULE)      /* a clock time has come    worker.pool, count (minute of the day), day */ \
    X(POOL_REMOVE)   /* drain, then forget       worker.pool                                */ \
    X(LIMITS)        /* of the host have changed starts_max, recycles_max, by_operator      */ \
    X(SHUTDOWN)      /* all down; twice: hurry   -                                          */ \
    X(BOUND)         /* pool's sockets are held  worker.pool                                */ \
    X(BIND_FAILED)   /* they are not             worker.pool, error                         */ \
    X(SPAWNED)       /* a process exists         worker                                     */ \
    X(SPAWN_FAILED)  /* none could be made       worker, step, error                        */ \
    X(EXECUTED)      /* it runs its program      worker                                     */ \
    X(EXEC_FAILED)   /* it never will            worker, step, error                        */ \
    X(READY)         /* it said READY=1          worker                                     */ \
    X(STOPPING)      /* it said STOPPING=1       worker                                     */ \
    X(DRAIN_UNSENT)  /* DRAIN=1 cannot reach it  worker                                     */ \
    X(UNTRUSTED)     /* it broke the protocol    worker                                     */ \
    X(REQUESTS)      /* it has served so many    worker, count                              */ \
    X(EXTEND)        /* it needs more time       worker, count (ms from now)                */ \
    X(RECYCLE)       /* replace this worker      worker, cause: ON_DEMAND; UNHEALTHY: it asks */ \
    X(COMMAND_DONE)  /* the ready command ended  worker, status (EXIT_UNKNOWN: not started) */ \
    X(EXITED)        /* the process is dead      worker, status                             */ \
    X(LISTED)        /* resume: the keeper has it  worker                                   */ \
    X(POOL_RESUME)   /* resume: LIST is complete   worker.pool                              */

/* Everything the core can ask of the world.    fields of struct action that count */
#define CORE_ACTIONS(X)                                                                        \
    X(BIND)          /* answer: BOUND or BIND_FAILED           worker.pool                  */ \
    X(SPAWN)         /* answer: SPAWNED or SPAWN_FAILED ...    worker, cause                */ \
    X(COMMAND)       /* run the ready command; COMMAND_DONE    worker                       */ \
    X(DRAIN)         /* send DRAIN=1, else DRAIN_UNSENT        worker, limit_ms (deadline)  */ \
    X(SIGNAL)        /* stop_signal to the pid, CONT to group  worker                       */ \
    X(KILL)          /* KILL to the process group              worker                       */ \
    X(RELEASE)       /* forget the dead process                worker                       */ \
    X(EVENT)         /* tell operators                         event and what it lists      */ \
    X(POOL_CHANGED)  /* state, reason or intent of a pool      worker.pool                  */ \
    X(POOL_GONE)     /* a removed pool is forgotten            worker.pool                  */ \
    X(ROLL_ENDED)    /* a recycle of a pool ended              worker.pool, cause, count (replaced), \
                                                               limit (not replaced), outcome */ \
    X(LEAVE)         /* after SHUTDOWN: nothing is left        -                            */

/* Why a worker was started, or is replaced or stopped. The names are what users read. */
#define CAUSES(X)                                             \
    X(NONE,           "none")                                 \
    X(START,          "start")          /* the pool started */ \
    X(REPLACEMENT,    "replacement")    /* a worker died    */ \
    X(ON_DEMAND,      "on-demand")      /* an operator's recycle (1079) */ \
    X(UNHEALTHY,      "unhealthy")      /* sick, or broke the protocol (1078) */ \
    X(TIME,           "time")           /* it has reached its age (1074) */ \
    X(SCHEDULE,       "schedule")       /* a clock time has come, for the pool (1076) */ \
    X(REQUESTS,       "requests")       /* ... or its number of requests (1075) */ \
    X(CONFIG_CHANGE,  "config-change")  /* it has drifted from the settings (1080) */ \
    X(STOP,           "stop")           /* an operator's stop */ \
    X(REMOVED,        "removed")        /* its pool is not configured any more */ \
    X(SHUTDOWN,       "shutdown")                             \
    X(SURPLUS,        "surplus")        /* more workers than wanted */ \
    X(REFUSED,        "refused")        /* as its pool is configured it may not run */ \
    X(GROWTH,         "growth")         /* its pool is to have more workers than it had */

/* States of a pool; the essay is in pool.h.  name users read */
#define POOL_STATES(X)         \
    X(STOPPED,  "stopped")     \
    X(STARTING, "starting")    \
    X(STARTED,  "started")     \
    X(STOPPING, "stopping")    \
    X(DISABLED, "disabled")

/* Why a pool is in its state. */
#define POOL_REASONS(X)                            \
    X(NONE,        "")                             \
    X(NEVER,       "not started yet")              \
    X(OPERATOR,    "stopped by an operator")       \
    X(SHUTDOWN,    "the supervisor is stopping")   \
    X(BIND_FAILED, "a listening socket could not be bound") \
    X(REMOVED,     "removed from the configuration") \
    X(RAPID_FAIL,  "too many failures (rapid-fail protection)") \
    X(REFUSED,     "as it is configured it may not run")

/* States of a worker; the essay is in worker.h.  name users read */
#define WORKER_STATES(X)       \
    X(FREE,     "free")        \
    X(SPAWNING, "starting")    \
    X(STARTING, "starting")    \
    X(READY,    "ready")       \
    X(DRAINING, "draining")    \
    X(LEAVING,  "draining")    \
    X(KILLING,  "draining")    \
    X(GONE,     "gone") /* in no view */

/* What a worker that is to be replaced waits for. */
#define RECYCLE_WAITS(X)                                                         \
    X(NOTHING,  "")                                                              \
    X(TURN,     "limits.recycles")  /* as many as may be under way on this host */ \
    X(PLACE,    "limits.starts")    /* ... starting on this host */              \
    X(SURGE,    "recycling.surge")  /* ... replaced at one time in this pool */  \
    X(DELAY,    "failure.delay")    /* what failed is tried again later */       \
    X(SOCKETS,  "listen")           /* sockets that are not bound yet */         \
    X(LEAVER,   "health.shutdown_timeout") /* who was in the slot before has not gone yet */

/* How a roll (the recycle of a pool) ended. */
#define ROLL_OUTCOMES(X)                                          \
    X(DONE,      "done")                                          \
    X(FAILED,    "failed")    /* a successor did not become ready */ \
    X(CANCELLED, "cancelled") /* stop, shutdown, rapid-fail protection or a newer configuration won */

/* clang-format on */
#endif
