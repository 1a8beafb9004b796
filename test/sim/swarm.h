/* swarm.h - which world a seed lives in: sizes, settings, and how often each fault strikes.
 *
 * Every fault is off in half of the runs and its rate is drawn otherwise, so that pure crash loops
 * and pure hangs both occur: with everything on at once most of the states are never reached. */
#ifndef POOLD_SIM_SWARM_H
#define POOLD_SIM_SWARM_H

#include "common/prng.h"
#include "supervisor/core/core.h"

/* clang-format off */
/*    fault             name on the command line  what it does                                     */
#define FAULTS(X)                                                                                   \
    X(SPAWN_FAILS,      "spawn-fails")       /* no process could be made                         */ \
    X(EXEC_FAILS,       "exec-fails")        /* it never runs its program                        */ \
    X(DIES_AT_START,    "dies-at-start")     /* before it is ready                               */ \
    X(NEVER_READY,      "never-ready")                                                              \
    X(SLOW_START,       "slow-start")        /* ready just before or after startup_timeout       */ \
    X(DIES_LATER,       "dies-later")        /* code, signal or core, after a while              */ \
    X(LEAVES_UNASKED,   "leaves-unasked")    /* STOPPING=1 and exit by itself                    */ \
    X(NO_DRAIN,         "no-drain")          /* DRAIN=1 cannot be sent                           */ \
    X(IGNORES_DRAIN,    "ignores-drain")                                                            \
    X(IGNORES_TERM,     "ignores-term")                                                             \
    X(SLOW_STOP,        "slow-stop")         /* about as long as shutdown_timeout                */ \
    X(UNKILLABLE,       "unkillable")        /* uninterruptible for minutes                      */ \
    X(COMMAND_FAILS,    "command-fails")     /* the ready command says no                        */ \
    X(READY_LOST,       "ready-lost")        /* the datagram never arrives                       */ \
    X(READY_LATE,       "ready-late")        /* READY=1 in answer to TERM                        */ \
    X(UNTRUSTED,        "untrusted")         /* breaks the protocol                              */ \
    X(BIND_FAILS,       "bind-fails")                                                               \
    X(DUPLICATES,       "duplicates")        /* a report comes again, any time later             */ \
    X(STALE,            "stale")             /* a message for a worker that is gone              */ \
    X(SLOW_KEEPER,      "slow-keeper")       /* reports take seconds                             */ \
    X(PAUSES,           "pauses")            /* the engine stands still for up to minutes        */ \
    X(EXTRA_TICKS,      "extra-ticks")       /* TICK without a reason                            */ \
    X(OPERATOR,         "operator")          /* start and stop at any instant                    */ \
    X(RECYCLES,         "recycles")          /* at any instant                                   */ \
    X(SAME_SETTINGS,    "same-settings")     /* POOL_ADD again: must change nothing              */ \
    X(ENGINE_DIES,      "engine-dies")       /* saved state, new core, in-flight actions lost    */ \
    X(STATE_LOST,       "state-lost")        /* as above, and the state is lost too              */ \
    X(EARLY_SHUTDOWN,   "early-shutdown")    /* SHUTDOWN while all that goes on                  */ \
    X(HURRY,            "hurry")             /* a second SHUTDOWN                                */ \
    X(NEW_SETTINGS,     "new-settings")      /* POOL_ADD again, with other settings              */ \
    X(REMOVALS,         "removals")          /* POOL_REMOVE, and the pool comes back             */ \
    X(EXTENDS,          "extends")           /* EXTEND_TIMEOUT_USEC: wants more time             */ \
    X(ASKS,             "asks")              /* RECYCLE: wants to be replaced                    */ \
    X(RECYCLES_ONE,     "recycles-one")      /* an operator replaces one worker                  */ \
    X(CLOCKS,           "clocks")            /* clock times come, and come again                 */
/* clang-format on */

#define FAULT_(n, s) FAULT_##n,
enum fault { FAULTS(FAULT_) FAULT_COUNT };

extern const char *const fault_names[FAULT_COUNT];

#define SIM_POOLS_MAX 12u

struct swarm {
    struct core_limits limits;
    uint32_t pools;
    struct pool_settings settings[SIM_POOLS_MAX];
    uint32_t size_max[SIM_POOLS_MAX]; /* what the table of workers was made for */
    bool refuses;                     /* changes: to settings that are refused, and back */
    uint16_t rate[FAULT_COUNT];       /* of a thousand chances; 0: off */
    uint32_t recycles_max; /* limits.recycles, as the configuration says it now; 0: none */
    uint32_t steps;        /* of the chaos phase */
    msec command_gap_ms;   /* mean time between two operators' words, or nuisances */
    uint32_t twin_gap;     /* mean steps between two twins */
};

/* Draws other limits, delays and sizes, and (renew) what takes new processes. Windows only become
 * narrower: whether a failure that was forgotten would count by a wider one is nobody's rule. */
void settings_redraw(struct prng *, struct pool_settings *, uint32_t size_max, bool renew);

/* No worker reaches a limit any more. */
void settings_calm(struct pool_settings *);

/* Draws the world of a seed. without: bit of each fault that is switched off; events: steps of the
 * chaos phase, 0: drawn. What is switched off does not change what else is drawn. */
void swarm_draw(struct swarm *, uint64_t seed, uint64_t without, uint32_t events);

#endif
