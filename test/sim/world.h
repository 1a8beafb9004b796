/* world.h - everything outside the core: a queue of what will happen, a keeper, processes with
 * tempers, operators, and nuisances.
 *
 * The world keeps the rules that the real one keeps: for one worker the keeper reports strictly
 * SPAWNED or SPAWN_FAILED, then EXECUTED or EXEC_FAILED, then EXITED; a second SPAWN of one worker
 * is answered with the first one's result; a dead process is kept until RELEASE; nothing is
 * delivered twice before it was delivered once. */
#ifndef POOLD_SIM_WORLD_H
#define POOLD_SIM_WORLD_H

#include "supervisor/core/core.h"
#include "test/sim/swarm.h"

struct sim;

enum phase { PHASE_NONE, PHASE_EXISTS, PHASE_RUNS, PHASE_NO_EXEC, PHASE_DEAD };

struct process {
    struct worker_id id; /* generation 0: the place is empty */
    uint32_t serial;     /* of the place: what was planned for its last holder is dropped */
    enum phase phase;
    struct exit_status status;
    msec reported_at; /* its last report arrives then: reports do not overtake each other */
    msec known_at;    /* its notify socket came with SPAWNED: nothing that it says arrives before */
    bool told_leaving;    /* STOPPING=1 was said */
    uint64_t fingerprint; /* of the settings that it was made with */
    uint8_t ready;        /* enum ready_rule, likewise */
    bool command_runs;
    bool asked_to_stop; /* by DRAIN, SIGNAL or KILL */
    bool ignores_drain, no_drain, ignores_term;
    msec stop_ms;       /* from being told to being gone */
    msec unkillable_ms; /* from KILL to being gone */
};

enum item_kind {
    ITEM_DELIVER,  /* event arrives at the engine */
    ITEM_EXEC,     /* the process runs its program, or fails to */
    ITEM_SAY,      /* it says event.kind: READY, STOPPING, UNTRUSTED */
    ITEM_DIE,      /* with event.status */
    ITEM_OPERATOR, /* someone says something, or a nuisance happens */
};

struct item {
    msec at;
    uint64_t order;
    enum item_kind kind;
    uint32_t process, serial; /* EXEC, SAY, DIE */
    bool from_keeper;         /* DELIVER: lost with the engine; LIST repeats it */
    struct event event;
};

/* When an item's turn comes, and where the item lies. */
struct turn {
    msec at;
    uint64_t order;
    uint32_t item;
};

#define PROCESSES_MAX 1024u
#define ITEMS_MAX     16384u

struct world {
    struct process processes[PROCESSES_MAX];
    uint32_t processes_len; /* places ever used */
    uint32_t held;          /* places in use */
    struct turn *turns;     /* [items_cap]: a heap of items_len; behind it, whose place is free */
    struct item *items;     /* [items_cap] */
    uint32_t items_len, items_cap;
    uint64_t order;
    bool bound[SIM_POOLS_MAX];
    bool removed[SIM_POOLS_MAX];         /* from the configuration */
    uint32_t generations[SIM_POOLS_MAX]; /* the last one that was asked for */
};

void world_init(struct sim *);
void world_fini(struct world *);

/* When the next thing happens; MSEC_NEVER: nothing is planned. */
msec world_next(const struct sim *);

/* Takes the next thing out of the queue and lets it happen. */
void world_step(struct sim *);

/* Does what the core asks for. */
void world_apply(struct sim *, const struct action *);

/* The engine dies and a new one is handed what the keeper has. */
void world_engine_dies(struct sim *, bool with_state);

/* Tells the core what the configuration says of a pool: it is there, or it is not. */
void world_tell_pool(struct sim *, uint32_t pool, bool apply);

/* ... and what it says of the host's limits. */
void world_tell_limits(struct sim *, uint32_t starts_max, bool apply);

/* Starts a pool that was never started: new ones, and those that came back. */
void world_start_new(struct sim *, uint32_t pool);

/* Faults stop: what was planned out of spite is forgotten. */
void world_calm(struct sim *);

/* Plans. */
void world_plan_at(struct sim *, struct item);
void world_deliver(struct sim *, struct event, msec delay);
void world_plan_operator(struct sim *);

/* nuisance.c: an operator's word, or a nuisance. */
void world_operator(struct sim *);

struct process *world_process(struct sim *, struct worker_id);

/* keeper.c: what becomes of a process. */
void process_exec(struct sim *, struct process *);
void process_say_requests(struct sim *, const struct process *, uint64_t before);
void process_die(struct sim *, struct process *, struct exit_status);

/* queue.c. An item that is pushed keeps its order; world_plan_at gives it the next one. */
void world_push(struct sim *, const struct item *);
struct item world_pop(struct world *);
void world_drop(struct world *, bool (*drop)(const struct world *, const struct item *));

#endif
