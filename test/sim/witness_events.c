/* witness_events.c - what the core may tell: each thing when it happened, once, and nothing else. */
#include "test/sim/sim.h"
#include "test/sim/witness.h"

bool
witness_is_about(const struct witness *witness, const struct action *action, enum event_kind kind)
{
    return witness->event.kind == kind && witness->event.worker.pool == action->worker.pool &&
           witness->event.worker.slot == action->worker.slot &&
           witness->event.worker.generation == action->worker.generation;
}

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
    seen_follower_failed(p, action->worker.generation);
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
    for (uint32_t i = seen_first_open(p); i < id.generation; i++) {
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
    const struct exit_status *status = &witness->event.status;
    bool proof = w->adopted && w->executed;
    if (w->rule == READY_EXEC)
        proof |= w->executed;
    if (w->rule == READY_NOTIFY)
        proof |= witness_is_about(witness, action, EV_READY);
    if (w->rule == READY_AFTER)
        proof |= w->executed && witness->now - w->executed_at >= w->ready_after_ms;
    if (w->rule == READY_COMMAND)
        proof |= witness_is_about(witness, action, EV_COMMAND_DONE) && status->kind == EXIT_CODE &&
                 status->number == 0;
    if (!proof || w->ready || seen_is_leaving(w))
        BROKEN(witness, action->worker, "is ready without a proof");
    w->ready = true;
    w->used_once |= w->requests > 0; /* said before it served: when that is judged is left open */
    w->ready_at = witness->now;
    follow_original(&witness->pools[action->worker.pool], action->worker);
}

void
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

/* The recycle of an original that stays is over, and its successor was on trial. */
static void
rule_trial_ends(struct witness *witness, const struct action *action)
{
    struct seen_pool *p = &witness->pools[action->worker.pool];
    struct seen *old = seen_find(witness, action->other);
    if (p->leftovers)
        return;
    if (old == NULL || old->recycle != RECYCLE_BEGUN ||
        old->successor != action->worker.generation || seen_is_leaving(old))
        BROKEN(witness, action->worker, "a recycle failed that was not under way");
    old->recycle = RECYCLE_NONE;
}

/* A successor whose trial says nothing any more, because it has drifted itself. */
void
rule_given_up(struct witness *witness, const struct action *action)
{
    struct seen_pool *p = &witness->pools[action->worker.pool];
    struct seen *new = seen_find(witness, action->worker);
    rule_trial_ends(witness, action);
    if (new != NULL)
        new->doomed = true; /* also where the past is not known: who follows is not its successor */
    if (p->leftovers)
        return;
    if (new == NULL || !seen_has_drifted(witness, action->worker.pool, new) ||
        !witness_settings(witness, action->worker.pool)->on_config_change)
        BROKEN(witness, action->worker, "is given up, and has not drifted");
    p->trials_due--;
}

void
rule_recycle_failed(struct witness *witness, const struct action *action)
{
    struct seen_pool *p = &witness->pools[action->worker.pool];
    rule_trial_ends(witness, action);
    if (p->leftovers || !cause_is_kept(action->cause))
        return;
    p->retry_streak++;
    msec at = witness->now +
              witness_delay_ms(witness_settings(witness, action->worker.pool), p->retry_streak + 1);
    p->retry_not_before = MAX(p->retry_not_before, at);
}

void
rule_worker_event(struct witness *witness, const struct action *action, struct seen *w)
{
    struct worker_id id = action->worker;

    switch (action->event) {
    case 1009:
        if (!witness_is_about(witness, action, EV_EXITED) || w->drained || w->killed ||
            w->exec_failed || w->doomed || w->excused)
            BROKEN(witness, id, "died unasked, they say");
        rule_end(witness, action, w);
        rule_failure(witness, action, w, true);
        break;
    case 1012:
        if (w->ready || seen_is_leaving(w) || !seen_start_is_over(witness, id.pool, w))
            BROKEN(witness, id, "timed out before its time");
        w->limit_event = 1012;
        rule_failure(witness, action, w, true);
        break;
    case 1013:
        if (w->leaving_at == 0 || !seen_stop_is_over(witness, id.pool, w))
            BROKEN(witness, id, "its drain ran out before its time");
        w->limit_event = 1013;
        break;
    case 1022:
        if (!witness_is_about(witness, action, EV_SPAWN_FAILED) || w->spawned)
            BROKEN(witness, id, "its spawn failed, they say");
        rule_end(witness, action, w);
        rule_failure(witness, action, w, false);
        w->exited = true;
        seen_forget(&witness->pools[id.pool], id.generation);
        break;
    case 1059:
        if (!witness_is_about(witness, action, EV_EXEC_FAILED))
            BROKEN(witness, id, "its exec failed, they say");
        rule_end(witness, action, w);
        rule_failure(witness, action, w, true);
        w->exec_failed = true;
        w->leaving_at = witness->now;
        break;
    case 1127:
        if (!witness_is_about(witness, action, EV_UNTRUSTED) || seen_is_leaving(w))
            BROKEN(witness, id, "broke the protocol, they say");
        if (w->untrusted)
            BROKEN(witness, id, "broke the protocol twice, they say");
        w->untrusted = true;
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
        if (!witness_is_about(witness, action, EV_EXITED) ||
            !(w->drained || w->killed || w->doomed || w->excused))
            BROKEN(witness, id, "exited as asked, though nobody asked");
        if (action->limit_event != w->limit_event)
            BROKEN(witness, id, "was killed for another reason than they say");
        rule_end(witness, action, w);
        break;
    case 6027:
        if (!w->killed || witness->now - w->killed_at < 60000)
            BROKEN(witness, id, "is unkillable, they say too soon");
        break;
    case 1074:
        rule_age(witness, action, w);
        break;
    case 1075:
        rule_requests(witness, action, w);
        break;
    case 1078:
        break;
    case 1079:
        rule_one_recycled(witness, action, w);
        break;
    default:
        BROKEN(witness, id, "an event that is not a worker's");
    }
}

static void
pool_is_disabled(struct witness *witness, uint32_t pool)
{
    struct seen_pool *p = &witness->pools[pool];
    p->disabled = p->disabled_once = true;
    p->must_disable = false;
    for (uint32_t i = 0; i < p->living_len; i++)
        if (seen_original(witness, pool, p->living[i]) != NULL)
            p->workers[p->living[i]].doomed = true;
    for (uint32_t i = seen_first_open(p); i <= p->last && i < p->cap; i++) {
        struct seen *w = &p->workers[i];
        bool replaced = w->successor != 0 && p->workers[w->successor].ready;
        if (w->recycle == RECYCLE_BEGUN && seen_is_leaving(w) && !replaced)
            w->recycle = RECYCLE_MAY_CLOSE;
    }
}

static bool
has_changed(const struct witness *witness)
{
    return witness->event.kind == EV_POOL_ADD || witness->event.kind == EV_POOL_RESUME;
}

void
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
        if (!(p->roll_begins || p->roll_unclear) || witness->event.cause != CAUSE_ON_DEMAND)
            BROKEN(witness, id, "a roll begins that nobody asked for");
        p->roll_begins = false;
        break;
    case 1076:
        if (!p->time_is_new && !p->leftovers)
            BROKEN(witness, id, "a clock time runs twice, or did not come");
        p->time_is_new = false;
        break;
    case 1080:
        if (!p->change_begins && !(p->leftovers && has_changed(witness)))
            BROKEN(witness, id, "workers are replaced for a change that was not");
        p->change_begins = false;
        p->rolling = true;
        break;
    case 6010:
        if (p->started || ready < witness_settings(witness, id.pool)->workers_min)
            BROKEN(witness, id, "is started, they say");
        p->started = true;
        break;
    case 6011:
        if (p->living_len > 0 || (seen_pool_is_wanted(p) && witness->shutdowns == 0))
            BROKEN(witness, id, "is stopped, they say");
        p->running = false;
        break;
    case 6012:
        if (!p->disabled || !(p->must_enable ||
                              (witness->event.kind == EV_POOL_START && witness->event.by_operator)))
            BROKEN(witness, id, "is enabled, though it was not disabled");
        p->disabled = p->started = p->must_enable = false;
        break;
    case 6013:
    case 6033:
        if (action->event == 6013 && action->cause == CAUSE_REFUSED)
            rule_refused(witness, id.pool);
        else if (witness->event.kind != EV_BIND_FAILED)
            BROKEN(witness, id, "cannot bind, they say");
        break;
    default:
        BROKEN(witness, id, "an event that is not a pool's");
    }
}

/* A request on a pool that is up begins a roll or joins one; each roll ends once. */
void
rule_roll_ended(struct witness *witness, const struct action *action)
{
    struct seen_pool *p = &witness->pools[action->worker.pool];
    if (p->roll_refused ? action->outcome != ROLL_CANCELLED || action->count + action->limit > 0
                        : !p->rolling)
        BROKEN(witness, action->worker, "a roll ends that had not begun");
    p->roll_refused = false;
    p->rolling = false;
}
