/* worker.h - the life of one worker: its states, and every way from one to another.
 *
 * FREE       The record is not in use.
 * SPAWNING   SPAWN was asked; whether a process exists is not known yet. Nothing can be done to it:
 *            whoever wants it gone stores that (`going`, `killed`) and it is carried out when
 *            SPAWNED arrives. It has no start limit, because only the keeper could keep it waiting.
 * STARTING   The process exists and is not ready. It is ready by the pool's rule, or it is killed at
 *            startup_timeout, counted from SPAWN (1012: a failure), or when the time that it has
 *            asked for (EXTEND) is over. At most one ready command is
 *            under way. Only SPAWNING and STARTING hold a start place, for 5 s at most.
 * READY      It serves. Its deadline is the next limit that it reaches by itself (reason.h).
 * DRAINING   DRAIN was sent; STOPPING=1 is awaited for 2 s, then stop_signal goes out.
 * LEAVING    It leaves: it said STOPPING, or it was signalled, or its exec failed and only its exit
 *            is missing. DRAINING and LEAVING end at shutdown_timeout, counted from the drain.
 * KILLING    KILL was sent. Every 60 s operators hear that it is still there, and KILL goes again.
 * GONE       Dead and released; in no view. The record only keeps what the line that closes its
 *            recycle (6022) needs, until its successor is ready. Its handle is not given away.
 *
 * A worker leaves STARTING, READY, DRAINING, LEAVING and KILLING for FREE (or GONE) by EXITED only:
 * what the core asks for never proves that a process is dead.
 *
 * Intent lies beside the state. `leave` says why the worker is to be replaced (it serves on until
 * then) or, with `going`, why it leaves. `begun` says that its recycle has begun: a successor was
 * asked for, or (exclusive) it was told to drain. recycle.h has that story.
 *
 * What an exit means: asked for (`going`, `killed`) 6023; told before (`told`) nothing; otherwise
 * 1009, and it counts as a failure - also after an unasked STOPPING=1, whatever its exit code. */
#ifndef POOLD_CORE_WORKER_H
#define POOLD_CORE_WORKER_H

#include "supervisor/core/state.h"

#define START_PLACE_MS   5000u  /* a start place is held no longer: slow starters do not block */
#define STOPPING_WAIT_MS 2000u  /* from DRAIN=1 to STOPPING=1, else stop_signal */
#define KILL_AGAIN_MS    60000u /* a process in uninterruptible sleep dies when it wakes */
#define EXTEND_TIMES     10u    /* a worker gets no more than so many times its time-out */
#define COMMAND_AGAIN_MS 250u   /* between two runs of a ready command */

/* The only place where a worker's state changes. Releases what the new state may not hold, sets the
 * deadline that it must have. */
void worker_enter(struct core *, uint32_t worker, enum worker_state);

/* When it has been starting, or leaving, for too long: the pool's time-out, or what it asked for. */
msec worker_start_limit(const struct core *, uint32_t worker);
msec worker_stop_limit(const struct core *, uint32_t worker);

/* Sets the worker's one deadline from its record. */
void worker_arm(struct core *, uint32_t worker);

/* Whether it is on its way out, or is to be as soon as it exists. */
static inline bool
worker_is_leaving(const struct worker *w)
{
    return w->going || w->state == WORKER_DRAINING || w->state == WORKER_LEAVING ||
           w->state == WORKER_KILLING;
}

/* Whether it serves or may come to serve: neither leaving nor gone. */
static inline bool
worker_stays(const struct worker *w)
{
    return w->state != WORKER_FREE && w->state != WORKER_GONE && !worker_is_leaving(w);
}

/* Whether it stays and was started with other settings than its pool has now. */
static inline bool
worker_has_drifted(const struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    return worker_stays(w) && w->fingerprint != pool_of(core, worker)->settings.fingerprint;
}

/* It is started, or found, with the settings that its pool has now. */
void worker_take_settings(struct core *, uint32_t worker);

/* It draws where its own limits lie within the jitter. */
void worker_draw_limits(struct core *, uint32_t worker);

/* The pool's ready rule has changed: whoever starts is judged by it, but for READY=1. */
void worker_take_rule(struct core *, uint32_t worker);

/* Asks the world for a new worker of that name; it takes a start place. The table has room. */
uint32_t worker_spawn(struct core *, struct worker_id, enum cause);

/* Makes the worker go: by the drain path, or (kill) by KILL. No error when it goes already. */
void worker_leave(struct core *, uint32_t worker, enum cause);
void worker_kill(struct core *, uint32_t worker);

/* What the world says of one worker. Each ignores what does not fit the state. */
void worker_spawned(struct core *, uint32_t worker);
void worker_spawn_failed(struct core *, uint32_t worker, uint32_t step, int32_t error);
void worker_executed(struct core *, uint32_t worker);
void worker_exec_failed(struct core *, uint32_t worker, uint32_t step, int32_t error);
void worker_said_ready(struct core *, uint32_t worker);
void worker_said_stopping(struct core *, uint32_t worker);
void worker_drain_unsent(struct core *, uint32_t worker);
void worker_untrusted(struct core *, uint32_t worker);
void worker_said_extend(struct core *, uint32_t worker,
                        msec span); /* of its start, or of its end */
void worker_command_done(struct core *, uint32_t worker, struct exit_status);
void worker_exited(struct core *, uint32_t worker, struct exit_status);

/* Its deadline has come. */
void worker_on_time(struct core *, uint32_t worker);

/* What deadlines lead to; worker.c finds out which it is. */
void worker_start_timed_out(struct core *, uint32_t worker);
void worker_signal(struct core *, uint32_t worker);
void worker_stop_timed_out(struct core *, uint32_t worker);

/* Sets timer_at, span from now. */
void worker_set_timer(struct core *, uint32_t worker, msec span);

/* A resumed engine: asks again for what the worker's state says was asked. */
void worker_ask_again(struct core *, uint32_t worker);

#endif
