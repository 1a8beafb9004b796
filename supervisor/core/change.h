/* change.h - what a change of configuration does to a pool that exists.
 *
 * POOL_ADD of a known pool gives it settings that hold from that moment:
 *
 *   time-outs    A wait that is running is measured anew from its begin: a shorter limit may end it
 *                at once. A delay before a start or a retry that is running ends after the new
 *                longest delay at the latest. The window keeps the newest max_failures failures.
 *   ready        A worker that starts is judged by the newest rule from now on, unless that is
 *                READY=1, which it may have said already: then by the rule that it had.
 *   recycling    A limit holds for who serves now: who is beyond it is replaced at once, and who was to
 *                be replaced and no longer is, unless its successor has been started, stays.
 *   sizes        Slots beyond the new size are drained, new slots are filled; others see nothing.
 *   fingerprint  Of all that takes new processes. A worker remembers the one it was started with
 *                when the pool's is another one, it has *drifted*. Its sockets may be others too,
 *                so BIND is asked before anybody new is started; who serves goes on with what it
 *                has. What failed before failed with other settings: failures, delays and a
 *                disabled state are forgotten, because a new configuration is the usual cure. That
 *                is no operator's start all the same: who was stopped by one stays stopped.
 *
 * Drifted workers of a pool that is up are replaced by a roll with cause CONFIG_CHANGE, which stops
 * at the first successor that fails (or sockets that cannot be bound). Who was not replaced stays
 * drifted; the next apply, also of the same settings, goes on with those. An engine that resumes is
 * no apply: settings that it knows change nothing.
 *
 * A change during a roll joins it. A successor on trial that has drifted itself is given up (1080 of
 * that worker: nothing has failed, and it is tried again at once), because it says nothing of the
 * newest settings; who has no drift any more (the change was taken back) is left alone, unless
 * somebody asked for every worker.
 *
 * refused: the pool goes down like at a stop, but is wanted as before, and starts again with the first
 * settings that are not refused.
 *
 * on_config_change false: nobody is replaced, a roll for an earlier change is cancelled. Whatever
 * starts later, for any reason, starts with the newest settings.
 *
 * A worker without a record (a lost state) is taken for one of the settings that hold when it is
 * found: nothing says otherwise, and to replace whatever was found would restart every worker of
 * the host because the engine has lost its memory. The next change of its pool replaces it.
 *
 * POOL_REMOVE drains the pool like a stop. When its last worker is released and no BIND is
 * unanswered, it is forgotten but for its generation (POOL_GONE). POOL_ADD before that takes the
 * removal back: the pool is then one that was never started. */
#ifndef POOLD_CORE_CHANGE_H
#define POOLD_CORE_CHANGE_H

#include "supervisor/core/state.h"

/* POOL_ADD of a known pool. apply: by an operator; else the same settings change nothing. */
void change_settings(struct core *, uint32_t pool, const struct pool_settings *, bool apply);

/* Drains who is too many, brings roll, marks and drift together; the pool is up. Idempotent. */
void change_go_on(struct core *, uint32_t pool);

/* Nobody is to be replaced: the pool is down, or disabled. */
void change_forget(struct core *, uint32_t pool);

/* POOL_REMOVE. */
void change_remove(struct core *, uint32_t pool);

/* A removed pool without a worker: forgets it, as soon as that can be. */
void change_forget_pool(struct core *, uint32_t pool);

#endif
