/* state.h - the memfd that outlives the engine: core records and the event ring.
 *
 * The engine alone writes it, the keeper only holds it. Each record has two copies with sequence
 * number and checksum; the older one is overwritten, so that a kill at any instruction leaves one
 * whole copy. Pages of records that are never written are never touched. */
#ifndef POOLD_ENGINE_STATE_H
#define POOLD_ENGINE_STATE_H

#include "common/err.h"
#include "supervisor/core/core.h"

#define STATE_VERSION 3u

struct state;

/* Maps fd (taken), sizing it for the core's records. out_restorable: it holds the records of an engine
 * before for the same room and versions. On a fresh memfd they are written. Seed and places of starts
 * are not compared: a restored core goes on with its own seed. */
int state_open(struct state **out, int fd, const struct core_limits *, const struct core *,
               bool *out_restorable, struct err *err);
void state_close(struct state **);

/* The memory of the event ring: events_ring_size() bytes. Also there when the records are not. */
void *state_ring(struct state *);

/* What a new engine must know of the end that is under way; written in place. */
struct state_stops {
    uint32_t fed;     /* SHUTDOWN events that the core was given */
    uint32_t outside; /* of the keeper's signals, those that are among them */
    uint32_t apply;   /* bool: somebody wants the configuration applied, and it is not done yet */
    uint32_t apply_deaths; /* engines that ended since, one after the other */
};
struct state_stops *state_stops(struct state *);

/* Serial of the configuration that was last stored as the last good one, or could not be; 0: none yet.
 * Written in place. */
uint64_t *state_kept(struct state *);

/* Where a worker's messages came from, by its handle: without it the next engine could drain by signal
 * only, and ping not at all, a worker that has nothing to say. Only names of the kernel's choice (autobind,
 * unix(7): a NUL and five digits) have room, which are what libpoolworker and its bindings have. */
#define STATE_NAME_MAX 7u
void state_address_keep(struct state *, uint32_t handle, struct worker_id, const char *name,
                        size_t len);
/* The length of its name, which is written to out; 0: none was kept of this worker. */
size_t state_address(const struct state *, uint32_t handle, struct worker_id,
                     char out[STATE_NAME_MAX]);

/* Reads every saved record into core, which must be fresh. 0, or a negative errno when a record is
 * torn twice or refused: then core must be made anew and state_reset called. */
int state_restore(struct state *, struct core *, msec now, struct err *err);
void state_reset(struct state *);

/* Writes the records that core has touched. */
void state_save(struct state *, struct core *);

#endif
