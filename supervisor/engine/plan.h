/* plan.h - what a change of configuration will do: two compiled configurations, side by side.
 *
 * Pure: everything is in the two records (record.h). Pools keep their places over loads, so a pool is
 * compared with what stands at its own place; a value that is not listed is the built-in default. */
#ifndef POOLD_ENGINE_PLAN_H
#define POOLD_ENGINE_PLAN_H

#include "supervisor/load/keys.h"
#include "supervisor/record.h"

/* clang-format off */
#define PLAN_CHANGES(X)                                                             \
    X(SAME,    "same")                                                              \
    X(ADDED,   "added")                                                             \
    X(REMOVED, "removed")                                                           \
    X(CHANGED, "changed")
/* clang-format on */
#define PLAN_CHANGE_(n, s) PLAN_##n,
enum plan_change { PLAN_CHANGES(PLAN_CHANGE_) PLAN_CHANGE_COUNT };
#undef PLAN_CHANGE_
const char *plan_change_name(enum plan_change);

struct plan_pool {
    enum plan_change change;
    uint32_t keys[EFFECT_COUNT]; /* that changed, by when that takes effect */
    uint32_t opened, closed;     /* sockets */
    bool recycles;               /* its workers are replaced */
    bool drifts;                 /* they would be, but on_config_change is false */
    bool keeps_sockets;          /* ... and what they listen on is not what the pool has then */
};

/* What becomes of the pool at that place, which may be beyond either record's last one. */
void plan_pool(const struct record *before, const struct record *after, uint32_t place,
               struct plan_pool *out);

/* Whether the place is another pool's after than it was kept for before. */
bool plan_place_changes_hands(const struct record *before, const struct record *after,
                              uint32_t place);

/* One key of a pool whose value differs. */
struct plan_key {
    uint32_t key; /* row of config_keys */
    const char *from,
        *to; /* canonical JSON; NULL: the built-in default. Borrowed from the records */
};
struct plan_cursor {
    uint32_t before, after; /* next values; start with zeroes */
};
bool plan_next_key(const struct record *before, const struct record *after, uint32_t place,
                   struct plan_cursor *, struct plan_key *out);

/* The socket record of before's pool that is what that one of after is, by the socket's address itself
 * and not by how it is written; NONE: it is new. */
uint32_t plan_socket_before(const struct record *before, const struct record *after,
                            uint32_t socket);
/* The same, also where before's pool had been taken out already and its sockets were left. */
uint32_t plan_socket_held(const struct record *before, const struct record *after, uint32_t socket);
/* Whether a socket that the pool at that place keeps gets a queue of another length. */
bool plan_queues_differ(const struct record *before, const struct record *after, uint32_t place);
/* The next new socket of after's pool at that place, as its address is written; NULL: there are no
 * more. *at starts with 0. With the records exchanged: those that go. */
const char *plan_next_socket(const struct record *before, const struct record *after,
                             uint32_t place, uint32_t *at);

/* All pools together. */
struct plan_totals {
    uint32_t added, removed, changed; /* pools */
    uint32_t recycles, drifts;        /* of them */
    uint32_t opened, closed;          /* sockets */
};
void plan_add(struct plan_totals *, const struct plan_pool *);
static inline uint32_t
plan_places(const struct record *before, const struct record *after)
{
    return MAX(before->header->pools, after->header->pools);
}

#endif
