/* config.h - another configuration while workers run: loaded, planned, bound, taken, told the core.
 *
 * One round at a time. Whoever asks while one is under way waits for the next, which reads the files
 * anew: a thousand that ask at once are two rounds, and the last state of the files wins. Until the
 * keeper has taken the new configuration nothing has changed: whatever fails before leaves every
 * pool as it was. From then on the core is told pool by pool, and an engine that dies in between is
 * no trouble: the next one is told the same at its birth (config_tell_core).
 *
 * IDLE      Nobody has asked.
 * LOADING   The keeper runs the loader. Leaves at LOADED.
 * PLANNING  The two configurations are compared, some pools a turn. Who only wanted to know is
 *           answered at its end; when nobody wanted more, the round is over.
 * BINDING   The new sockets of pools that are up are bound: before anything else changes, so that an
 *           address in use is a refusal and not an outage. Leaves with the last answer.
 * TAKING    Leaves at TAKEN. In between nothing is asked that names a socket, because its number
 *           could be of either configuration.
 * TELLING   The core is told, some pools a turn.
 * KEEPING   No round: the keeper has what is in force stored as the last good configuration, after
 *           each round that brought another one, and once all pools were told of at poold's start.
 *           Leaves at KEPT. */
#ifndef POOLD_ENGINE_CONFIG_H
#define POOLD_ENGINE_CONFIG_H

#include "supervisor/engine/plan.h"
#include "supervisor/engine/shell.h"
#include "supervisor/verbs.h"

struct config;

#define CONFIG_PLACES_MAX 256u /* changed pools that an answer lists; the totals are of all */

/* How a round stands when somebody is answered. */
struct config_outcome {
    const struct record *before;
    const struct record *after; /* with `errors`: refused. NULL: the loader could not be run */
    const struct plan_totals *totals;
    const uint32_t *places; /* changed pools */
    uint32_t places_len;
    const char *why; /* it was not applied; "": it was, or nobody wanted it */
};

/* 0, or -ENOMEM with *out as it was. The shell is borrowed until config_destroy. */
int config_create(struct config **out, struct shell *);
void config_destroy(struct config **);

/* Returns the number of the round whose end answers. apply false: only to know. */
uint64_t config_ask(struct config *, bool apply);

/* An engine has begun: what one before did not live to apply is asked for again, unless that has cost too
 * many of them. */
void config_resume(struct config *);

/* The keeper's answers; fd is taken. */
void config_on_loaded(struct config *, const struct verb *, int fd);
void config_on_bound(struct config *, const struct verb *);
void config_on_taken(struct config *, const struct verb *, int fd);
void config_on_kept(struct config *, const struct verb *);

/* A bounded step of whatever is under way. Returns whether there is more to do without waiting. */
bool config_turn(struct config *);

/* True between TAKE and its answer. */
bool config_is_taking(const struct config *);

/* Starts a pool that never was, if it is one that starts by itself. */
void config_start(struct shell *, uint32_t place);

/* Whether that socket of the configuration in force is bound, by what was in the one before; bound
 * is beside before's sockets. */
bool config_socket_is_bound(const struct shell *, const struct record *before, const bool *bound,
                            uint32_t socket);

/* The sockets of a pool that was taken out are closed, as soon as it has gone. Idempotent. */
void config_let_go(struct shell *, uint32_t place);

/* Tells the core the limits that hold for all pools. apply: as below. */
void config_tell_limits(struct shell *, bool apply);

/* Tells the core what the configuration in force says of the pool at that place: that it is there,
 * with which settings; or that it has gone. apply: somebody wants it so now, and workers that an
 * earlier change could not replace are tried again; else an engine begins its life. */
void config_tell_core(struct shell *, uint32_t place, bool apply);

#endif
