/* control_change.c - the control socket's methods that change something, and the calls that wait
 * for how it ends.
 *
 * A verb names the wanted end state and works from every state. Each is an event: who, what, and
 * what came of it at once. How it ends is told by the pool's own events, and to a caller that asked
 * to wait. */
#include "supervisor/engine/control_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"

enum call_kind { CALL_START, CALL_STOP, CALL_RECYCLE };

/* A client that waits for an outcome. */
struct call {
    struct call *next, **link; /* of its bucket */
    struct client *client;
    enum call_kind kind;
    uint32_t pool;
    msec begun_at, until;
    bool *answered; /* set when it ends; NULL but while its own request runs */
    char id[CONTROL_ID_MAX];
};

static struct pool_view
pool_view(const struct control *control, uint32_t pool)
{
    struct pool_view view;
    bool known = core_pool(shell_core(control->shell), pool, io_now(), &view);
    assert(known);
    return view;
}

/* --- Events about who did what. */

void
control_audit(const struct client *client, const char *method, const char *pool, const char *result)
{
    char who[ACCESS_WHO_MAX], text[ACCESS_WHO_MAX + 256];
    snprintf(text, sizeof text, "%s by %s: %s", method,
             access_who(client->control, &client->peer, who), result);
    access_tell(client->control, &client->peer, method, pool, result, text);
}

/* --- Waiting calls. */

static struct call **
calls_bucket(struct control *control, uint32_t pool)
{
    return &control->calls[pool % CONTROL_CALL_BUCKETS];
}

static void
call_end(struct call *call)
{
    if (call->answered != NULL)
        *call->answered = true;
    assert(call->client->calls > 0);
    call->client->calls--;
    client_wake(call->client);
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
    free(call);
}

/* NULL: answered with an error. */
static struct call *
call_begin(struct client *client, const struct request *request, enum call_kind kind)
{
    struct control *control = client->control;
    struct call *call = client->calls < CONTROL_CALLS_MAX ? calloc(1, sizeof *call) : NULL;
    if (call == NULL) {
        reply_error(client, request->id, ERROR_UNAVAILABLE, NULL,
                    "%s: at most %u calls of one client wait at one time", request->pool_name,
                    CONTROL_CALLS_MAX);
        return NULL;
    }
    call->client = client;
    call->kind = kind;
    call->pool = request->pool;
    call->begun_at = io_now();
    call->until = call->begun_at + request->timeout_ms;
    memcpy(call->id, request->id, sizeof call->id);
    call->link = calls_bucket(control, call->pool);
    call->next = *call->link;
    if (call->next != NULL)
        call->next->link = &call->next;
    *call->link = call;
    client->calls++;
    control_due(control, call->until);
    return call;
}

static msec
call_took(const struct call *call)
{
    return io_now() - call->begun_at;
}

/* Members that every answer about a pool has. */
static void
pool_members(struct json_out *out, const struct client *client, uint32_t pool,
             const struct pool_view *view)
{
    const struct shell *shell = client->control->shell;
    const char *reason = control_reason(shell, pool, view->reason);
    json_out_string(out, "pool", shell_pool_name(shell, pool));
    json_out_string(out, "state", pool_state_name(view->state));
    json_out_string(out, "reason", reason[0] == '\0' ? NULL : reason);
}

static void
call_succeed(struct call *call, const struct pool_view *view)
{
    struct reply reply = reply_begin(call->client, call->id);
    json_out_open(reply.out, NULL, '{');
    pool_members(reply.out, call->client, call->pool, view);
    json_out_number(reply.out, "ready", view->ready);
    json_out_seconds(reply.out, "took", call_took(call));
    json_out_close(reply.out, '}');
    reply_end(&reply);
    call_end(call);
}

static void
call_fail(struct call *call, const struct pool_view *view, enum control_error error,
          const char *what)
{
    struct json_out data = {0};
    const struct shell *shell = call->client->control->shell;
    const char *reason = control_reason(shell, call->pool, view->reason);
    pool_members(&data, call->client, call->pool, view);
    json_out_seconds(&data, "took", call_took(call));
    reply_error(call->client, call->id, error, &data, "%s%s%s", what, reason[0] == '\0' ? "" : ": ",
                reason);
    call_end(call);
}

static void
call_check_start(struct call *call, const struct pool_view *view)
{
    if (view->state == POOL_STARTED)
        call_succeed(call, view);
    else if (view->state == POOL_DISABLED)
        call_fail(call, view, ERROR_FAILED, "it was disabled");
    else if (!view->wanted_up)
        call_fail(call, view, ERROR_FAILED, "it was told to stop before it had started");
    else if ((view->state == POOL_STOPPED && view->reason == REASON_BIND_FAILED) ||
             view->reason == REASON_REFUSED)
        call_fail(call, view, ERROR_FAILED, "it could not be started");
}

static void
call_check_stop(struct call *call, const struct pool_view *view)
{
    if (view->state == POOL_STOPPED)
        call_succeed(call, view);
    else if (view->wanted_up)
        call_fail(call, view, ERROR_FAILED, "it was told to start before it had stopped");
}

/* Answers the call if what it waits for has been decided. */
static void
call_check(struct call *call)
{
    struct pool_view view = pool_view(call->client->control, call->pool);
    if (call->kind == CALL_START)
        call_check_start(call, &view);
    else if (call->kind == CALL_STOP)
        call_check_stop(call, &view);
}

static void
call_answer_recycle(struct call *call, enum roll_outcome outcome, uint32_t replaced,
                    uint32_t not_replaced)
{
    struct pool_view view = pool_view(call->client->control, call->pool);
    struct json_out members = {0};
    pool_members(&members, call->client, call->pool, &view);
    json_out_string(&members, "outcome", roll_outcome_name(outcome));
    json_out_number(&members, "replaced", replaced);
    json_out_number(&members, "not_replaced", not_replaced);
    json_out_seconds(&members, "took", call_took(call));
    if (outcome != ROLL_DONE) {
        reply_error(call->client, call->id, ERROR_FAILED, &members,
                    outcome == ROLL_FAILED
                        ? "the recycle failed: a successor did not become ready (%" PRIu32
                          " replaced, %" PRIu32 " not)"
                        : "the recycle was cancelled (%" PRIu32 " replaced, %" PRIu32 " not)",
                    replaced, not_replaced);
    } else {
        struct reply reply = reply_begin(call->client, call->id);
        json_out_text(reply.out, "{");
        json_out_raw(reply.out, json_out_start(&members), json_out_pending(&members));
        json_out_text(reply.out, "}");
        reply.out->failed |= members.failed;
        reply_end(&reply);
        json_out_fini(&members);
    }
    call_end(call);
}

static void
call_run_out(struct call *call)
{
    static const char *const verbs[] = {"starting", "stopping", "recycling"};
    struct pool_view view = pool_view(call->client->control, call->pool);
    struct json_out data = {0};
    char waited[UNIT_TEXT_MAX];
    pool_members(&data, call->client, call->pool, &view);
    json_out_seconds(&data, "took", call_took(call));
    reply_error(call->client, call->id, ERROR_TIMEOUT, &data, "still %s after %s; it goes on",
                verbs[call->kind], duration_format(call->until - call->begun_at, waited));
    call_end(call);
}

void
calls_tick(struct control *control, msec now)
{
    for (uint32_t i = 0; i < CONTROL_CALL_BUCKETS; i++) {
        for (struct call *call = control->calls[i], *next; call != NULL; call = next) {
            next = call->next;
            if (call->until <= now)
                call_run_out(call);
            else
                control_due(control, call->until);
        }
    }
}

void
calls_forget(struct client *client)
{
    struct control *control = client->control;
    config_calls_forget(client);
    for (uint32_t i = 0; i < CONTROL_CALL_BUCKETS && client->calls > 0; i++) {
        for (struct call *call = control->calls[i], *next; call != NULL; call = next) {
            next = call->next;
            if (call->client == client)
                call_end(call);
        }
    }
}

void
control_pool_changed(struct control *control, uint32_t pool)
{
    for (struct call *call = *calls_bucket(control, pool), *next; call != NULL; call = next) {
        next = call->next;
        if (call->pool == pool)
            call_check(call);
    }
}

void
control_pool_gone(struct control *control, uint32_t pool)
{
    for (struct call *call = *calls_bucket(control, pool), *next; call != NULL; call = next) {
        next = call->next;
        if (call->pool != pool)
            continue;
        reply_error(call->client, call->id, call->kind == CALL_STOP ? ERROR_NO_POOL : ERROR_FAILED,
                    NULL, "the pool was taken out of the configuration");
        call_end(call);
    }
}

void
control_roll_ended(struct control *control, const struct action *action)
{
    assert(action->kind == ACT_ROLL_ENDED);
    uint32_t pool = action->worker.pool;
    for (struct call *call = *calls_bucket(control, pool), *next; call != NULL; call = next) {
        next = call->next;
        if (call->pool == pool && call->kind == CALL_RECYCLE)
            call_answer_recycle(call, action->outcome, action->count, action->limit);
    }
}

/* --- Methods. */

/* Refuses what makes no sense any more. */
static bool
change_is_open(struct client *client, const struct request *request, const char *method)
{
    struct shell_status status;
    if (!request_pool_is_there(client, request))
        return false;
    shell_status(client->control->shell, &status);
    if (!status.stopping)
        return true;
    control_audit(client, method, request->pool_name, "refused: the supervisor is stopping");
    reply_error(client, request->id, ERROR_UNAVAILABLE, NULL, "the supervisor is stopping");
    return false;
}

static void
change_feed(struct control *control, enum event_kind kind, uint32_t pool)
{
    struct event event = {
        .kind = kind,
        .worker.pool = pool,
        .cause = kind == EV_POOL_RECYCLE ? CAUSE_ON_DEMAND : CAUSE_NONE,
        .by_operator = true,
    };
    shell_feed(control->shell, &event);
}

/* The answer to who does not wait. */
static void
change_answer(struct client *client, const struct request *request, bool changed)
{
    struct pool_view view = pool_view(client->control, request->pool);
    struct reply reply = reply_begin(client, request->id);
    json_out_open(reply.out, NULL, '{');
    pool_members(reply.out, client, request->pool, &view);
    json_out_bool(reply.out, "changed", changed);
    json_out_close(reply.out, '}');
    reply_end(&reply);
}

/* Start and stop: feeds, then answers, or waits for the end state. */
static void
change_state(struct client *client, const struct request *request, enum call_kind kind)
{
    bool up = kind == CALL_START;
    const char *method = up ? "pool.start" : "pool.stop";
    if (!change_is_open(client, request, method))
        return;
    struct pool_view before = pool_view(client->control, request->pool);
    bool changed =
        up ? !before.wanted_up || before.state == POOL_DISABLED || before.state == POOL_STOPPED
           : before.wanted_up || before.state == POOL_DISABLED;
    struct call *call = NULL;
    if (request->wait && (call = call_begin(client, request, kind)) == NULL)
        return;
    bool answered = false;
    if (call != NULL)
        call->answered = &answered;
    control_audit(client, method, request->pool_name, changed ? "accepted" : "accepted, no change");
    change_feed(client->control, up ? EV_POOL_START : EV_POOL_STOP, request->pool);
    if (call == NULL) {
        change_answer(client, request, changed);
    } else if (!answered) {
        call->answered = NULL;
        call_check(call);
    }
}

void
method_pool_start(struct client *client, const struct request *request)
{
    const char *refused = shell_refused(client->control->shell, request->pool);
    if (refused[0] != '\0') {
        control_audit(client, "pool.start", request->pool_name,
                      "refused: it cannot start as it is");
        reply_error(client, request->id, ERROR_FAILED, NULL,
                    "it cannot start as it is configured: %s", refused);
        return;
    }
    change_state(client, request, CALL_START);
}

void
method_pool_stop(struct client *client, const struct request *request)
{
    change_state(client, request, CALL_STOP);
}

/* A pool that is down has nothing to recycle. */
static bool
recycle_is_open(struct client *client, const struct request *request, const struct pool_view *view)
{
    if (view->wanted_up && (view->state == POOL_STARTING || view->state == POOL_STARTED))
        return true;
    struct json_out data = {0};
    pool_members(&data, client, request->pool, view);
    json_out_open(&data, "allowed", '[');
    json_out_string(&data, NULL, "pool.start");
    json_out_close(&data, ']');
    control_audit(client, "pool.recycle", request->pool_name, "refused: the pool is not started");
    char what[96] = "there is nothing to recycle";
    if (view->state == POOL_DISABLED && view->ready == 0)
        snprintf(what, sizeof what, "a start enables it");
    else if (view->state == POOL_DISABLED)
        snprintf(what, sizeof what, "%" PRIu32 " of its workers still serve%s; a start enables it",
                 view->ready, view->ready == 1 ? "s" : "");
    reply_error(client, request->id, ERROR_FAILED, &data, "it is %s: %s",
                pool_state_name(view->state), what);
    return false;
}

void
method_pool_recycle(struct client *client, const struct request *request)
{
    struct control *control = client->control;
    if (!change_is_open(client, request, "pool.recycle"))
        return;
    struct pool_view before = pool_view(control, request->pool);
    if (!recycle_is_open(client, request, &before))
        return;
    struct call *call = NULL;
    if (request->wait && (call = call_begin(client, request, CALL_RECYCLE)) == NULL)
        return;
    bool answered = false;
    if (call != NULL)
        call->answered = &answered;
    control_audit(client, "pool.recycle", request->pool_name,
                  before.rolling ? "merged with the recycle under way" : "accepted");
    change_feed(control, EV_POOL_RECYCLE, request->pool);
    if (call == NULL) {
        change_answer(client, request, !before.rolling);
    } else if (!answered) {
        call->answered = NULL;
        /* No worker was there to be replaced: those that come are new anyway. */
        if (!pool_view(control, request->pool).rolling)
            call_answer_recycle(call, ROLL_DONE, 0, 0);
    }
}

void
method_server_shutdown(struct client *client, const struct request *request)
{
    struct shell_status status;
    shell_status(client->control->shell, &status);
    control_audit(client, "server.shutdown", NULL,
                  status.stopping ? "accepted: hurry" : "accepted");
    struct reply reply = reply_begin(client, request->id);
    json_out_open(reply.out, NULL, '{');
    json_out_bool(reply.out, "stopping", true);
    json_out_bool(reply.out, "hurry", status.stopping);
    json_out_close(reply.out, '}');
    reply_end(&reply);
    change_feed(client->control, EV_SHUTDOWN, 0);
}
