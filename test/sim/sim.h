/* sim.h - one simulated life of the core: what its parts share. */
#ifndef POOLD_SIM_H
#define POOLD_SIM_H

#include "common/prng.h"
#include "supervisor/core/core.h"
#include "test/sim/store.h"
#include "test/sim/swarm.h"
#include "test/sim/witness.h"
#include "test/sim/world.h"

struct sim {
    uint64_t seed;
    struct swarm swarm;
    struct prng prng;
    msec now;
    msec stall_until;    /* the engine stands still until then */
    bool state_was_lost; /* its pools have not been started again yet: the shell begins anew if it
                            dies now, so it does not die */
    bool calm;           /* no fault strikes any more */
    bool shut;           /* SHUTDOWN was sent */
    bool engine_died;    /* what it does next is restore */
    bool resuming; /* a life begins: what it has told so far is not saved, so no twin is made */
    bool left;     /* the last action of the last step that had any was LEAVE */
    uint64_t steps;
    uint64_t actions_seen;
    uint64_t digest;         /* chained over actions of every step, and states now and then */
    uint32_t ticks_in_place; /* TICKs since time went on: many of them are a busy loop */
    struct core *core;
    struct action_list actions;
    struct store store;
    struct twin twin;
    struct world world;
    struct witness witness;
    bool trace;
};

/* A chance of rate[fault] in a thousand; never when it is calm. */
static inline bool
sim_strikes(struct sim *sim, enum fault fault)
{
    return !sim->calm && sim->swarm.rate[fault] > 0 &&
           prng_below(&sim->prng, 1000) < sim->swarm.rate[fault];
}

/* Uniform in least..most. */
static inline uint64_t
sim_between(struct sim *sim, uint64_t least, uint64_t most)
{
    return least + prng_below(&sim->prng, most - least + 1);
}

/* Feeds one event to the core, lets everyone look at it, applies what it asks for. */
void sim_feed(struct sim *, struct event);

/* The life ends here: a rule is broken. Prints it with the instant; does not return. */
void sim_fail(const struct sim *, const char *format, ...) ATTR_PRINTF(2, 3)
    __attribute__((noreturn));

#endif
