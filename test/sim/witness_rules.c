/* witness_rules.c - what the core may ask for: the rules W2 to W5, W8 and W9. */
#include "test/sim/sim.h"
#include "test/sim/witness.h"

static bool
is_resume(const struct witness *witness)
{
    return witness->event.kind == EV_POOL_RESUME;
}

/* --- SPAWN. */

static bool
is_starting(const struct seen *w)
{
    return !w->ready && !w->ended && !seen_is_leaving(w) && !w->adopted;
}

/* W9: places are held from SPAWN until ready or dead, at most 5 s. */
static uint32_t
places_held(const struct witness *witness)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < witness->sim->swarm.pools; i++) {
        const struct seen_pool *p = &witness->pools[i];
        for (uint32_t k = 0; k < p->living_len; k++) {
            const struct seen *w = &p->workers[p->living[k]];
            held += is_starting(w) && witness->now - w->asked_at < 5000;
        }
    }
    return held;
}

/* Whose recycle begins for a change has drifted: so each change replaces a worker once at most. */
static void
rule_is_for_change(struct witness *witness, const struct action *action, const struct seen *w)
{
    uint32_t pool = action->worker.pool;
    if (action->cause == CAUSE_CONFIG_CHANGE &&
        (!witness_settings(witness, pool)->on_config_change || !seen_has_drifted(witness, pool, w)))
        BROKEN(witness, action->worker, "is replaced for a change, and has not drifted");
}

/* What else is in the new worker's slot decides what it is: the slot's next worker, or a successor
 * on trial, whose recycle begins here. */
static void
rule_spawn_slot(struct witness *witness, const struct action *action)
{
    struct seen_pool *p = &witness->pools[action->worker.pool];
    const struct pool_settings *settings = witness_settings(witness, action->worker.pool);
    struct seen *original = NULL;
    uint32_t alive = 0, leavers = 0, serving = 0, trials = 0;

    for (uint32_t i = 0; i < p->living_len; i++) {
        uint32_t generation = p->living[i];
        struct seen *w = &p->workers[generation];
        if (generation == action->worker.generation || w->exited)
            continue;
        trials += !seen_is_leaving(w) && seen_original(witness, action->worker.pool, generation);
        if (w->slot != action->worker.slot)
            continue;
        alive++;
        leavers += seen_is_leaving(w);
        serving += !seen_is_leaving(w);
        if (!seen_is_leaving(w))
            original = w;
    }
    if (!settings->overlap && alive > 0)
        BROKEN(witness, action->worker, "started beside another one in an exclusive slot");
    if (p->living_len > 2 * settings->workers_max + settings->surge)
        BROKEN(witness, action->worker, "started beyond the pool's records");
    if (serving == 0)
        return;
    if (serving > 1 || original->recycle == RECYCLE_BEGUN)
        BROKEN(witness, action->worker, "is a second successor");
    if (leavers > 0)
        BROKEN(witness, action->worker, "a recycle began while a leaver sat in the slot");
    if (trials + 1 > settings->surge)
        BROKEN(witness, action->worker, "a roll has more successors than surge");
    if (!cause_is_of_recycle(action->cause))
        BROKEN(witness, action->worker, "started beyond the pool's size");
    rule_is_for_change(witness, action, original);
    if (cause_is_kept(action->cause) && witness->now < p->retry_not_before)
        BROKEN(witness, action->worker, "a failed recycle was tried again too soon");
    seen_recycle_begin(witness, p, original);
    original->successor = action->worker.generation;
}

static void
rule_spawn(struct witness *witness, const struct action *action)
{
    struct worker_id id = action->worker;
    struct seen_pool *p = &witness->pools[id.pool];
    struct seen *w = seen_find(witness, id);
    if (w != NULL && is_resume(witness) && !w->spawned && !w->ended) {
        seen_take_settings(witness, id.pool, w); /* asked again: it was never made */
        return;
    }
    /* A pool that is new starts before those that were restored have been resumed. */
    if (witness->sim->resuming && !is_resume(witness) && witness->event.kind != EV_POOL_START)
        BROKEN(witness, id, "started before everybody is listed");
    if (w != NULL || id.generation <= p->last)
        BROKEN(witness, id, "a generation is used twice");
    if (id.slot >= witness_settings(witness, id.pool)->workers_max)
        BROKEN(witness, id, "a slot beyond the pool's size");
    if (!witness_pool_is_up(witness, id.pool))
        BROKEN(witness, id, "started in a pool that is not up"); /* W6 */
    if (witness->now < p->not_before && !p->leftovers)
        BROKEN(witness, id, "started within the back-off"); /* W5 */
    if (places_held(witness) >= witness->starts_max)
        BROKEN(witness, id, "more workers start than places are"); /* W9 */
    if (action->cause == CAUSE_GROWTH && !p->started && !p->leftovers)
        BROKEN(witness, id, "is growth of a pool that never had all its workers");
    w = seen_add(witness, id);
    w->cause = (uint8_t)action->cause;
    seen_take_settings(witness, id.pool, w);
    if (!p->leftovers)
        rule_spawn_slot(witness, action);
}

/* --- DRAIN, SIGNAL, KILL, RELEASE. */

static bool
has_ready_successor(const struct witness *witness, const struct action *action)
{
    const struct seen_pool *p = &witness->pools[action->worker.pool];
    for (uint32_t i = 0; i < p->living_len; i++) {
        const struct seen *w = &p->workers[p->living[i]];
        if (w->slot == action->worker.slot && p->living[i] > action->worker.generation &&
            w->ready && !seen_is_leaving(w))
            return true;
    }
    return false;
}

/* W8, and the same for pools that may not overlap. */
static void
rule_drain_for_recycle(struct witness *witness, const struct action *action, struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, action->worker.pool);
    bool trial = seen_original(witness, action->worker.pool, action->worker.generation) != NULL;
    if (trial && witness_is_about(witness, action, EV_UNTRUSTED))
        return; /* a successor that broke the protocol */
    if (has_ready_successor(witness, action))
        return;
    if (settings->overlap)
        BROKEN(witness, action->worker, "drained before its successor was ready");
    struct seen_pool *p = &witness->pools[action->worker.pool];
    uint32_t under_way = 0;
    for (uint32_t i = seen_first_open(p); i <= p->last && i < p->cap; i++)
        under_way += p->workers[i].recycle == RECYCLE_BEGUN &&
                     (p->workers[i].successor == 0 || !p->workers[p->workers[i].successor].ready);
    if (under_way >= settings->surge)
        BROKEN(witness, action->worker, "more exclusive recycles under way than surge");
    if (w->recycle == RECYCLE_BEGUN)
        BROKEN(witness, action->worker, "a recycle began twice");
    rule_is_for_change(witness, action, w);
    seen_recycle_begin(witness, p, w);
}

static void
rule_drain(struct witness *witness, const struct action *action, struct seen *w)
{
    const struct seen_pool *p = &witness->pools[action->worker.pool];
    if (w->drained) {
        if (!is_resume(witness) || w->stopping || w->signalled || w->killed)
            BROKEN(witness, action->worker, "drained twice");
        return;
    }
    if (w->stopping || w->killed)
        BROKEN(witness, action->worker, "drained while it leaves");
    if (action->limit_ms != witness_settings(witness, action->worker.pool)->shutdown_timeout_ms)
        BROKEN(witness, action->worker, "drained with another limit than the pool's");
    if (action->cause == CAUSE_STOP && !w->doomed)
        BROKEN(witness, action->worker, "stopped in a pool that nobody stopped");
    if (action->cause == CAUSE_SHUTDOWN && witness->shutdowns == 0)
        BROKEN(witness, action->worker, "shut down without a shutdown");
    if (action->cause == CAUSE_SURPLUS && !p->leftovers && !w->doomed)
        BROKEN(witness, action->worker, "drained as surplus of a pool that has none");
    if (action->cause == CAUSE_REMOVED && !w->doomed)
        BROKEN(witness, action->worker, "drained in a pool that nobody removed");
    if (!p->leftovers && cause_is_of_recycle(action->cause))
        rule_drain_for_recycle(witness, action, w);
    if (action->cause == CAUSE_NONE || action->cause == CAUSE_START ||
        action->cause == CAUSE_REPLACEMENT || action->cause == CAUSE_GROWTH)
        BROKEN(witness, action->worker, "drained without a cause");
    w->drained = true;
    w->leaving_at = witness->now;
}

static void
rule_signal(struct witness *witness, const struct action *action, struct seen *w)
{
    bool due = w->unsent || witness->now - w->leaving_at >= 2000;
    if (!w->drained || w->killed || (w->stopping && !is_resume(witness)))
        BROKEN(witness, action->worker, "signalled out of turn");
    if (!due || (w->signalled && !is_resume(witness)))
        BROKEN(witness, action->worker, "signalled before it could answer");
    w->signalled = true;
}

/* W3 and W4's first half: KILL is the last step, never the first. */
static void
rule_kill(struct witness *witness, const struct action *action, struct seen *w)
{
    bool leaves = w->leaving_at != 0 || w->exec_failed;
    bool stop_limit = leaves && seen_stop_is_over(witness, action->worker.pool, w);
    bool start_limit = !w->ready && !leaves && seen_start_is_over(witness, action->worker.pool, w);
    bool again = w->killed && (witness->now - w->killed_at >= 60000 || is_resume(witness));
    bool hurry = witness->shutdowns >= 2;
    if (w->killed ? !again : !stop_limit && !start_limit && !hurry)
        BROKEN(witness, action->worker, "killed before a limit was reached");
    w->killed = true;
    if (!is_resume(witness) || w->killed_at == 0)
        w->killed_at = witness->now;
}

static void
rule_release(struct witness *witness, const struct action *action, struct seen *w)
{
    struct seen_pool *p = &witness->pools[action->worker.pool];
    if (!witness_is_about(witness, action, EV_EXITED))
        BROKEN(witness, action->worker, "released without an exit");
    if (w == NULL || w->released)
        return; /* said again, in answer to an exit that was said again */
    if (w->homeless)
        return;
    if (!w->exited || !w->ended)
        BROKEN(witness, action->worker, "released before its end was told");
    seen_forget(p, action->worker.generation);
}

void
witness_action(struct witness *witness, const struct action *action)
{
    struct worker_id id = action->worker;
    if (action->kind == ACT_LEAVE)
        return;
    if (!witness->pools[id.pool].added) {
        rule_without_pool(witness, action);
        return;
    }
    if (action->kind == ACT_BIND)
        rule_bind(witness, id.pool);
    if (action->kind == ACT_POOL_GONE)
        rule_pool_gone(witness, id.pool);
    if (action->kind == ACT_BIND || action->kind == ACT_POOL_CHANGED ||
        action->kind == ACT_POOL_GONE)
        return;
    if (action->kind == ACT_ROLL_ENDED) {
        rule_roll_ended(witness, action);
        return;
    }
    if (action->kind == ACT_EVENT && action->event == 6022) {
        rule_recycle_done(witness, action);
        return;
    }
    if (action->kind == ACT_EVENT && action->event == 1093) {
        rule_recycle_failed(witness, action);
        return;
    }
    if (action->kind == ACT_EVENT && action->event == 1080 && id.generation != 0) {
        rule_given_up(witness, action);
        return;
    }
    if (id.generation == 0) {
        rule_pool_event(witness, action);
        return;
    }
    struct seen *w = seen_find(witness, id);
    if (action->kind == ACT_SPAWN) {
        rule_spawn(witness, action);
        return;
    }
    if (action->kind == ACT_RELEASE) {
        rule_release(witness, action, w);
        return;
    }
    if (w == NULL || w->released)
        BROKEN(witness, id, "nobody knows such a worker"); /* W2 */
    if (action->kind == ACT_EVENT) {
        rule_worker_event(witness, action, w);
        return;
    }
    if (!w->spawned || w->exited)
        BROKEN(witness, id, "asked of a worker that does not live"); /* W2 */
    if (is_resume(witness) && w->asked)
        BROKEN(witness, id, "is asked twice by one engine");
    w->asked |= action->kind != ACT_COMMAND;
    if (action->kind == ACT_DRAIN)
        rule_drain(witness, action, w);
    else if (action->kind == ACT_SIGNAL)
        rule_signal(witness, action, w);
    else if (action->kind == ACT_KILL)
        rule_kill(witness, action, w);
    else if (w->ready || !w->executed || (seen_is_leaving(w) && !(is_resume(witness) && w->doomed)))
        BROKEN(witness, id, "a ready command for a worker that does not start");
}
