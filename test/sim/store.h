/* store.h - what a dead engine leaves behind: the records that the core marked as touched, and the
 * twin that is built from nothing else and must decide alike. */
#ifndef POOLD_SIM_STORE_H
#define POOLD_SIM_STORE_H

#include "supervisor/core/core.h"

struct sim;

struct store {
    uint32_t records;
    unsigned char **bytes; /* [records]; NULL: never written */
    size_t *size;          /* [records]; 0: empty */
    uint32_t *touched;
};

struct twin {
    struct core *core; /* NULL: none */
    struct action_list actions;
    uint64_t steps_left;
};

void store_init(struct store *, const struct core *);
void store_fini(struct store *);

/* Saves what the last step touched. */
void store_save(struct sim *);

/* A new core out of the store; fails the life when it does not pass. Without state: an empty one. */
struct core *store_restore(struct sim *, bool with_state);

/* Builds a twin now and then, steps it, compares. */
void twin_start(struct sim *);
void twin_step(struct sim *, const struct event *);
void twin_stop(struct sim *);

#endif
