/* witness_rules.c - what the core may ask for, and what it must: the rules W2 to W9 and W12. */
#include "test/sim/sim.h"
#include "test/sim/witness.h"

/* "0/1.17: broken" names the worker in each complaint. */
#define BROKEN(witness, id, text)                                                                  \
    sim_fail((witness)->sim, "%u/%u.%u: %s", (id).pool, (id).slot, (id).generation, (text))

static bool
is_resume(const struct witness *witness)
{
    return witness->event.kind == EV_POOL_RESUME;
}

static bool
is_about(const struct witness *witness, const struct action *action, enum event_kind kind)
{
    return witness->event.kind == kind && witness->event.worker.pool == action->worker.pool &&
           witness->event.worker.slot == action->worker.slot &&
           witness->event.worker.generation == action->worker.generation;
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
    if (action->cause != CAUSE_ON_DEMAND && action->cause != CAUSE_UNHEALTHY)
        BROKEN(witness, action->worker, "started beyond the pool's size");
    if (action->cause == CAUSE_UNHEALTHY && witness->now < p->retry_not_before)
        BROKEN(witness, action->worker, "a failed recycle was tried again too soon");
    original->recycle = RECYCLE_BEGUN;
    original->successor = action->worker.generation;
}

static void
rule_spawn(struct witness *witness, const struct action *action)
{
    struct worker_id id = action->worker;
    struct seen_pool *p = &witness->pools[id.pool];
    struct seen *w = seen_find(witness, id);
    if (w != NULL && is_resume(witness) && !w->spawned && !w->ended)
        return; /* asked again */
    if (w != NULL || id.generation <= p->last)
        BROKEN(witness, id, "a generation is used twice");
    if (id.slot >= witness_settings(witness, id.pool)->workers_max)
        BROKEN(witness, id, "a slot beyond the pool's size");
    if (!witness_pool_is_up(witness, id.pool))
        BROKEN(witness, id, "started in a pool that is not up"); /* W6 */
    if (witness->now < p->not_before && !p->leftovers)
        BROKEN(witness, id, "started within the back-off"); /* W5 */
    if (places_held(witness) >= witness->sim->swarm.limits.starts_max)
        BROKEN(witness, id, "more workers start than places are"); /* W9 */
    w = seen_add(witness, id);
    w->cause = (uint8_t)action->cause;
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
    if (trial && is_about(witness, action, EV_UNTRUSTED))
        return; /* a successor that broke the protocol */
    if (settings->overlap) {
        if (!has_ready_successor(witness, action))
            BROKEN(witness, action->worker, "drained before its successor was ready");
        return;
    }
    const struct seen_pool *p = &witness->pools[action->worker.pool];
    uint32_t under_way = 0;
    for (uint32_t i = 1; i <= p->last && i < p->cap; i++)
        under_way += p->workers[i].recycle == RECYCLE_BEGUN;
    if (under_way >= settings->surge)
        BROKEN(witness, action->worker, "more exclusive recycles under way than surge");
    if (w->recycle == RECYCLE_BEGUN)
        BROKEN(witness, action->worker, "a recycle began twice");
    w->recycle = RECYCLE_BEGUN;
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
    if (action->cause == CAUSE_STOP ? !w->doomed : false)
        BROKEN(witness, action->worker, "stopped in a pool that nobody stopped");
    if (action->cause == CAUSE_SHUTDOWN && witness->shutdowns == 0)
        BROKEN(witness, action->worker, "shut down without a shutdown");
    if (action->cause == CAUSE_SURPLUS && !p->leftovers && !w->doomed)
        BROKEN(witness, action->worker, "drained as surplus of a pool that has none");
    if (!p->leftovers && (action->cause == CAUSE_ON_DEMAND || action->cause == CAUSE_UNHEALTHY))
        rule_drain_for_recycle(witness, action, w);
    if (action->cause == CAUSE_NONE || action->cause == CAUSE_START ||
        action->cause == CAUSE_REPLACEMENT)
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
    const struct pool_settings *settings = witness_settings(witness, action->worker.pool);
    bool leaves = w->leaving_at != 0 || w->exec_failed;
    bool stop_limit = leaves && witness->now - w->leaving_at >= settings->shutdown_timeout_ms;
    bool start_limit =
        !w->ready && !leaves && witness->now - w->asked_at >= settings->startup_timeout_ms;
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
    if (!is_about(witness, action, EV_EXITED))
        BROKEN(witness, action->worker, "released without an exit");
    if (w == NULL || w->released)
        return; /* said again, in answer to an exit that was said again */
    if (!w->exited || !w->ended)
        BROKEN(witness, action->worker, "released before its end was told");
    seen_forget(p, action->worker.generation);
}

/* --- Events: each tells what happened, once, and nothing else. */

static void
rule_end(struct witness *witness, const struct action *action, struct seen *w)
{
    if (w->ended)
        BROKEN(witness, action->worker, "ended twice");
    w->ended = true;
}

static void
rule_failure(struct witness *witness, const struct action *action, struct seen *w, bool counts)
{
    struct seen_pool *p = &witness->pools[action->worker.pool];
    bool trial = seen_original(witness, action->worker.pool, action->worker.generation) != NULL;
    if (trial)
        return; /* 1093 follows */
    witness_failure(witness, action->worker.pool, w, counts);
    if (!p->leftovers && action->retry_ms != MSEC_NEVER &&
        witness->now + action->retry_ms < p->not_before)
        BROKEN(witness, action->worker, "announces a start within the back-off");
}

/* Whoever becomes ready in a slot follows the one of the slot whose recycle is still open, also when
 * the successor that it began with has failed since. */
static void
follow_original(struct seen_pool *p, struct worker_id id)
{
    for (uint32_t i = 1; i < id.generation; i++) {
        struct seen *old = &p->workers[i];
        bool open = old->recycle == RECYCLE_BEGUN || old->recycle == RECYCLE_MAY_CLOSE;
        if (old->slot == id.slot && open && seen_is_leaving(old) &&
            (old->successor == 0 || !p->workers[old->successor].ready))
            old->successor = id.generation;
    }
}

/* A ready event needs a proof by the pool's rule. */
static void
rule_ready(struct witness *witness, const struct action *action, struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, action->worker.pool);
    const struct exit_status *status = &witness->event.status;
    bool proof = w->adopted && w->executed;
    if (settings->ready == READY_EXEC)
        proof |= w->executed;
    if (settings->ready == READY_NOTIFY)
        proof |= is_about(witness, action, EV_READY);
    if (settings->ready == READY_AFTER)
        proof |= w->executed && witness->now - w->executed_at >= settings->ready_after_ms;
    if (settings->ready == READY_COMMAND)
        proof |= is_about(witness, action, EV_COMMAND_DONE) && status->kind == EXIT_CODE &&
                 status->number == 0;
    if (!proof || w->ready || seen_is_leaving(w))
        BROKEN(witness, action->worker, "is ready without a proof");
    w->ready = true;
    w->ready_at = witness->now;
    follow_original(&witness->pools[action->worker.pool], action->worker);
}

static void
rule_recycle_done(struct witness *witness, const struct action *action)
{
    struct seen_pool *p = &witness->pools[action->worker.pool];
    struct seen *old = seen_find(witness, action->other);
    struct seen *new = seen_find(witness, action->worker);
    if (p->leftovers)
        return;
    if (old == NULL || new == NULL || old->slot != new->slot || !new->ready || !old->exited ||
        action->other.generation >= action->worker.generation)
        BROKEN(witness, action->worker, "a recycle is closed that did not end");
    if (old->recycle != RECYCLE_BEGUN && old->recycle != RECYCLE_MAY_CLOSE)
        BROKEN(witness, action->other, "a recycle is closed twice, or never began");
    old->recycle = RECYCLE_CLOSED;
    p->retry_streak = 0;
    p->retry_not_before = 0;
}

static void
rule_recycle_failed(struct witness *witness, const struct action *action)
{
    struct seen_pool *p = &witness->pools[action->worker.pool];
    struct seen *old = seen_find(witness, action->other);
    if (p->leftovers)
        return;
    if (old == NULL || old->recycle != RECYCLE_BEGUN ||
        old->successor != action->worker.generation || seen_is_leaving(old))
        BROKEN(witness, action->worker, "a recycle failed that was not under way");
    old->recycle = RECYCLE_NONE;
    if (action->cause == CAUSE_UNHEALTHY) {
        p->retry_streak++;
        msec at = witness->now + witness_delay_ms(witness_settings(witness, action->worker.pool),
                                                  p->retry_streak + 1);
        p->retry_not_before = MAX(p->retry_not_before, at);
    }
}

static void
rule_worker_event(struct witness *witness, const struct action *action, struct seen *w)
{
    const struct pool_settings *settings = witness_settings(witness, action->worker.pool);
    struct worker_id id = action->worker;

    switch (action->event) {
    case 1009:
        if (!is_about(witness, action, EV_EXITED) || w->drained || w->killed || w->exec_failed ||
            w->doomed || w->excused)
            BROKEN(witness, id, "died unasked, they say");
        rule_end(witness, action, w);
        rule_failure(witness, action, w, true);
        break;
    case 1012:
        if (w->ready || seen_is_leaving(w) ||
            witness->now - w->asked_at < settings->startup_timeout_ms)
            BROKEN(witness, id, "timed out before its time");
        rule_failure(witness, action, w, true);
        break;
    case 1013:
        if (w->leaving_at == 0 || witness->now - w->leaving_at < settings->shutdown_timeout_ms)
            BROKEN(witness, id, "its drain ran out before its time");
        break;
    case 1022:
        if (!is_about(witness, action, EV_SPAWN_FAILED) || w->spawned)
            BROKEN(witness, id, "its spawn failed, they say");
        rule_end(witness, action, w);
        rule_failure(witness, action, w, false);
        w->exited = true;
        seen_forget(&witness->pools[id.pool], id.generation);
        break;
    case 1059:
        if (!is_about(witness, action, EV_EXEC_FAILED))
            BROKEN(witness, id, "its exec failed, they say");
        rule_end(witness, action, w);
        rule_failure(witness, action, w, true);
        w->exec_failed = true;
        w->leaving_at = witness->now;
        break;
    case 1127:
        if (!is_about(witness, action, EV_UNTRUSTED) || seen_is_leaving(w))
            BROKEN(witness, id, "broke the protocol, they say");
        rule_failure(witness, action, w, true);
        break;
    case 6020:
        if (!w->spawned || w->started_told)
            BROKEN(witness, id, "is told as started twice, or before it is");
        w->started_told = true;
        break;
    case 6021:
        rule_ready(witness, action, w);
        break;
    case 6023:
        if (!is_about(witness, action, EV_EXITED) ||
            !(w->drained || w->killed || w->doomed || w->excused))
            BROKEN(witness, id, "exited as asked, though nobody asked");
        rule_end(witness, action, w);
        break;
    case 6027:
        if (!w->killed || witness->now - w->killed_at < 60000)
            BROKEN(witness, id, "is unkillable, they say too soon");
        break;
    case 1078:
        break;
    default:
        BROKEN(witness, id, "an event that is not a worker's");
    }
}

static void
pool_is_disabled(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    p->disabled = true;
    p->must_disable = false;
    for (uint32_t i = 0; i < p->living_len; i++)
        if (seen_original(witness, pool, p->living[i]) != NULL)
            p->workers[p->living[i]].doomed = true;
    for (uint32_t i = 1; i <= p->last && i < p->cap; i++) {
        struct seen *w = &p->workers[i];
        bool replaced = w->successor != 0 && p->workers[w->successor].ready;
        if (w->recycle == RECYCLE_BEGUN && seen_is_leaving(w) && !replaced)
            w->recycle = RECYCLE_MAY_CLOSE;
    }
}

static void
rule_pool_event(struct witness *witness, const struct action *action)
{
    struct worker_id id = action->worker;
    struct seen_pool *p = &witness->pools[id.pool];
    uint32_t ready = 0;
    for (uint32_t i = 0; i < p->living_len; i++)
        ready += p->workers[p->living[i]].ready && !seen_is_leaving(&p->workers[p->living[i]]);

    switch (action->event) {
    case 1002:
        if (!p->must_disable && !p->leftovers)
            BROKEN(witness, id, "disabled without enough failures");
        pool_is_disabled(witness, id.pool);
        break;
    case 1079:
        if (!p->roll_begins || witness->event.cause != CAUSE_ON_DEMAND)
            BROKEN(witness, id, "a roll begins that nobody asked for");
        p->roll_begins = false;
        break;
    case 6010:
        if (p->started || ready < witness_settings(witness, id.pool)->workers_min)
            BROKEN(witness, id, "is started, they say");
        p->started = true;
        break;
    case 6011:
        if (p->living_len > 0 || (p->wanted && witness->shutdowns == 0))
            BROKEN(witness, id, "is stopped, they say");
        break;
    case 6012:
        if (!p->disabled || !witness->event.by_operator)
            BROKEN(witness, id, "is enabled, though it was not disabled");
        p->disabled = p->started = false;
        break;
    case 6013:
    case 6033:
        if (witness->event.kind != EV_BIND_FAILED)
            BROKEN(witness, id, "cannot bind, they say");
        break;
    default:
        BROKEN(witness, id, "an event that is not a pool's");
    }
}

/* A request on a pool that is up begins a roll or joins one; each roll ends once. */
static void
rule_roll_ended(struct witness *witness, const struct action *action)
{
    struct seen_pool *p = &witness->pools[action->worker.pool];
    if (p->roll_refused ? action->outcome != ROLL_CANCELLED || action->count + action->limit > 0
                        : !p->rolling)
        BROKEN(witness, action->worker, "a roll ends that had not begun");
    p->roll_refused = false;
    p->rolling = false;
}

void
witness_action(struct witness *witness, const struct action *action)
{
    struct worker_id id = action->worker;
    if (action->kind == ACT_LEAVE || action->kind == ACT_BIND || action->kind == ACT_POOL_CHANGED)
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
    else if (w->ready || seen_is_leaving(w) || !w->executed)
        BROKEN(witness, id, "a ready command for a worker that does not start");
}
