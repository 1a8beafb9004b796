/* sockets.h - listening sockets stay as they were bound, whatever workers do to them. */
#ifndef POOLD_ENGINE_SOCKETS_H
#define POOLD_ENGINE_SOCKETS_H

#include "supervisor/engine/shell.h"
#include "supervisor/verbs.h"

struct sockets;

/* For pools of a number below pools_max; shell is borrowed until destroy. */
int sockets_create(struct sockets **out, struct shell *shell, uint32_t pools_max, struct err *err);
void sockets_destroy(struct sockets **);

/* A worker of the pool begins to serve, to leave, or is gone: now, or in the seconds to come, it may
 * have changed the length of a queue, or have removed a path. */
void sockets_touched(struct sockets *, uint32_t pool);

/* The pool has started: tells of a queue that the kernel makes shorter. */
void sockets_started(struct sockets *, uint32_t pool);

/* VERB_RESTORED */
void sockets_restored(struct sockets *, const struct verb *);

/* Asks the keeper for what is due; a bounded number of questions, the rest the next time. */
void sockets_tick(struct sockets *, msec now);
msec sockets_deadline(const struct sockets *); /* MSEC_NEVER: nothing is due */

#endif
