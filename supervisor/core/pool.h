/* pool.h - the life of a pool, and the one place that compares what should be with what is.
 *
 * STOPPED    No worker. `wanted_up` false: until a start. True: it waits for its sockets, and tries
 *            to bind again after a growing delay (reason BIND_FAILED), or a shutdown has ended it.
 * STARTING   Up: every slot is to hold a worker. Until workers_min were ready at once, once.
 * STARTED    Up, and it has been whole once since its start; how many are ready now is not said.
 * STOPPING   Every worker is on its way out. A start turns it into STARTING at once: new workers
 *            come while the old ones drain (in an exclusive pool: as their slots fall empty).
 * DISABLED   Rapid-fail protection. Nothing is started and nothing is recycled; workers that are
 *            ready serve on, and those that were starting may become ready. A stop, an operator's
 *            start and settings with another fingerprint (change.h) lead out, nothing else.
 *
 * `wanted_up` is the operators' intent (or auto_start's). A shutdown brings pools down without
 * touching it, so that what is saved says how the next life is to begin; so do settings that are
 * refused (reason REFUSED, and 6013 once), and when others come that are not, the pool starts again.
 * `removed`: the pool is not configured any more, and is forgotten when it is STOPPED.
 *
 * Slots 0..workers_min-1 each have an incumbent: the worker that stays and is not on trial as a
 * successor. A slot may hold more records - one that drains, one that dies, a successor - but a
 * recycle begins only when no leaver sits in the slot, and a pool never starts a worker beyond
 * 2 * workers_max + surge records: a pool whose workers are hard to kill waits. */
#ifndef POOLD_CORE_POOL_H
#define POOLD_CORE_POOL_H

#include "supervisor/core/state.h"

/* The only place where a pool's state changes; tells POOL_CHANGED. */
void pool_enter(struct core *, uint32_t pool, enum pool_state, enum pool_reason);

/* Whether it is to run: the intent, settings that are not refused, and no shutdown. */
bool pool_is_wanted(const struct core *, uint32_t pool);

/* Whether it is STARTING or STARTED and to stay so: workers are started and recycled. */
bool pool_is_up(const struct core *, uint32_t pool);

/* Whether it has sockets that are not bound yet; asks for them, unless it has or must wait. */
bool pool_lacks_sockets(const struct core *, uint32_t pool);
void pool_ask_for_sockets(struct core *, uint32_t pool);

/* Events of a pool. */
void pool_add(struct core *, uint32_t pool, const struct pool_settings *, bool apply);
void pool_start(struct core *, uint32_t pool, bool by_operator);
void pool_stop(struct core *, uint32_t pool);
void pool_bound(struct core *, uint32_t pool);
void pool_bind_failed(struct core *, uint32_t pool, int32_t error);
void pool_disable(struct core *, uint32_t pool);

/* A disabled pool runs again, because of an operator's start or of a change. */
void pool_enable(struct core *, uint32_t pool, enum cause);

/* Nothing that failed before counts or delays any more. */
void pool_forgive(struct core *, uint32_t pool);

/* An engine resumes: an unanswered BIND is asked again, of the newest sockets. */
void pool_ask_again(struct core *, uint32_t pool);

/* Compares and acts. Idempotent: a second call does nothing. */
void pool_reconcile(struct core *, uint32_t pool);

/* Starts the worker that the pool waits for. */
void pool_start_next(struct core *, uint32_t pool);

/* Sets the pool's one deadline from its records. */
void pool_arm(struct core *, uint32_t pool);

/* An engine resumes: nothing is asked for the pool before POOL_RESUME, because a name that is given to
 * a new worker could be one that is still to be listed, and who is not listed yet cannot be reached. */
void pool_hold(struct core *, uint32_t pool);

/* A worker that the keeper has and no record names (a lost state) is taken in. Returns its handle,
 * or NONE when there is no room for it. */
uint32_t pool_adopt(struct core *, struct worker_id);

#endif
