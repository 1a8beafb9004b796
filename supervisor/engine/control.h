/* control.h - the control socket: JSON-RPC 2.0, one message a line (design: control). */
#ifndef POOLD_ENGINE_CONTROL_H
#define POOLD_ENGINE_CONTROL_H

#include "supervisor/engine/config.h"

struct control;

/* Takes the listening socket fd and closes it in destroy. Clients wait in its queue until
 * control_open. */
int control_create(struct control **out, struct shell *, int fd, struct err *err);
/* Serves from now on: an engine that does not know its workers yet would tell half of the truth. */
void control_open(struct control *);
/* Another configuration is in force: its roles hold for who comes and for who is there. fd, which is
 * taken, is its listening socket, perhaps the one that is served already. */
void control_taken(struct control *, int fd);
/* The engine leaves: nothing is asked any more. What clients wait for, the last event among it, is
 * still written, until control_is_drained or the instant that is returned. */
msec control_leave(struct control *);
bool control_is_drained(const struct control *);
void control_destroy(struct control **);

/* The shell tells what answers of waiting calls depend on. Cost: the calls that wait for that
 * pool. */
void control_pool_changed(struct control *, uint32_t pool);
void control_roll_ended(struct control *, const struct action *);
/* The pool was taken out, and nothing is left of it. */
void control_pool_gone(struct control *, uint32_t pool);
/* Its place is another pool's from now on: what was told of the one is not the other's. */
void control_pool_forget(struct control *, uint32_t pool);
/* A round of config.h: who only wanted to know is answered, or who wanted it to be applied. */
void control_config_planned(struct control *, uint64_t round, const struct config_outcome *);
void control_config_ended(struct control *, uint64_t round, const struct config_outcome *);

/* Time-outs of waiting calls and of slow requests. MSEC_NEVER: none. */
msec control_deadline(const struct control *);
void control_tick(struct control *, msec now);

#endif
