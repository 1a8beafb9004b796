/* tell.c - turns what the core wants operators to know into events with words and fields.
 *
 * Each sentence says what happened, to whom, the measured value beside its limit, and what follows. */
#include "supervisor/engine/tell_inside.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/engine/holder.h"
#include "supervisor/verbs.h"

#define TEXT_MAX  512
#define EXIT_TEXT 64

static const char *const step_texts[] = {
#define X(n, text) text,
    SPAWN_STEPS(X)
#undef X
};

const char *
tell_span(char *buf, size_t cap, msec span)
{
    if (span >= 10000 && span % 1000 == 0)
        snprintf(buf, cap, "%llu s", (unsigned long long)(span / 1000));
    else
        snprintf(buf, cap, "%llu.%03u s", (unsigned long long)(span / 1000),
                 (unsigned)(span % 1000));
    return buf;
}

const char *
tell_exit(char *buf, size_t cap, struct exit_status status)
{
    switch ((enum exit_kind)status.kind) {
    case EXIT_UNKNOWN:
        snprintf(buf, cap, "an unknown status");
        break;
    case EXIT_CODE:
        snprintf(buf, cap, "exit code %u", status.number);
        break;
    case EXIT_SIGNAL:
    case EXIT_SIGNAL_CORE: {
        const char *name = sigdescr_np(status.number);
        snprintf(buf, cap, "signal %u (%s)%s", status.number, name != NULL ? name : "real-time",
                 status.kind == EXIT_SIGNAL_CORE ? ", core dumped" : "");
        break;
    }
    }
    return buf;
}

static void
field_exit(struct event_fields *fields, struct exit_status status)
{
    switch ((enum exit_kind)status.kind) {
    case EXIT_UNKNOWN:
        fields_string(fields, "exit", "unknown");
        break;
    case EXIT_CODE:
        fields_number(fields, "code", status.number);
        break;
    case EXIT_SIGNAL:
    case EXIT_SIGNAL_CORE:
        fields_number(fields, "signal", status.number);
        fields_number(fields, "core", status.kind == EXIT_SIGNAL_CORE);
        break;
    }
}

/* "; the next start is in 0.4 s", and what else may follow a failure. */
static const char *
what_follows(char *buf, size_t cap, const struct action *action)
{
    char span[SPAN_TEXT];
    if (action->retry_ms == MSEC_NEVER)
        snprintf(buf, cap, "; it is not replaced");
    else if (action->retry_ms == 0)
        snprintf(buf, cap, "; it is to be replaced at once");
    else
        snprintf(buf, cap, "; it is to be replaced in %s",
                 tell_span(span, sizeof span, action->retry_ms));
    return buf;
}

void
story_emit(struct story *story, enum event_id id, const char *format, ...)
{
    const struct action *action = story->action;
    va_list ap;
    const char *pool =
        action->worker.pool != NONE ? shell_pool_name(story->shell, action->worker.pool) : NULL;
    va_start(ap, format);
    events_vemit(shell_events(story->shell), id, pool, action->worker, &story->fields, format, ap);
    va_end(ap);
}

/* A worker that is never ready perhaps speaks as another user than its pool's. */
static void
field_foreign(struct story *story)
{
    if (story->worker.foreign > 0)
        fields_number(&story->fields, "foreign", story->worker.foreign);
}

/* What the worker has said of its requests. */
static void
fields_of_counts(struct story *story)
{
    const struct worker_counts *counts = &story->worker.counts;
    if (counts->has_requests)
        fields_number(&story->fields, "requests", (int64_t)MIN(counts->requests, INT64_MAX));
    if (counts->has_active)
        fields_number(&story->fields, "active", counts->active);
}

/* Fields that every death has, in this order: a person reads the text, a program these. */
static void
fields_of_death(struct story *story)
{
    fields_number(&story->fields, "pid", story->worker.pid);
    fields_seconds(&story->fields, "age", story->action->age_ms);
    if (story->action->retry_ms != MSEC_NEVER)
        fields_seconds(&story->fields, "retry", story->action->retry_ms);
    field_foreign(story);
    fields_of_counts(story);
    if (story->last[0] != '\0')
        fields_string(&story->fields, "last_line", story->last);
}

static void
tell_worker_died(struct story *story)
{
    const struct action *action = story->action;
    char how[EXIT_TEXT], age[SPAN_TEXT], follows[TEXT_MAX];
    field_exit(&story->fields, action->status);
    fields_of_death(story);
    story_emit(story, EVENT_WORKER_DIED, "ended unasked with %s, %s after its start%s%s",
               tell_exit(how, sizeof how, action->status),
               tell_span(age, sizeof age, action->age_ms),
               action->was_ready ? "" : ", before it was ready",
               what_follows(follows, sizeof follows, action));
}

/* "; its ready command ended with exit code 4". What it printed is kept nowhere. */
static const char *
ready_command(char *buf, size_t cap, const struct story *story)
{
    const struct shell_worker *worker = &story->worker;
    char how[EXIT_TEXT];
    buf[0] = '\0';
    if (worker->command_ended && worker->command.kind == EXIT_UNKNOWN)
        snprintf(buf, cap, "; its ready command could not be run");
    else if (worker->command_ended)
        snprintf(buf, cap, "; its ready command ended with %s",
                 tell_exit(how, sizeof how, worker->command));
    else if (worker->command_runs)
        snprintf(buf, cap, "; its ready command has not ended");
    return buf;
}

/* What stands behind the name of a time-out that was longer than the pool's. */
static const char *
more_time(const struct story *story, uint64_t timeout_ms)
{
    return story->action->limit_ms > timeout_ms ? ", and what it asked for" : "";
}

static void
tell_startup_timeout(struct story *story)
{
    const struct record *record = shell_record(story->shell);
    uint64_t timeout_ms = record->pools[story->action->worker.pool].settings.startup_timeout_ms;
    char limit[SPAN_TEXT], command[EXIT_TEXT + 64], follows[TEXT_MAX];
    fields_seconds(&story->fields, "limit", story->action->limit_ms);
    fields_of_death(story);
    story_emit(story, EVENT_STARTUP_TIMEOUT,
               "was not ready within %s (health.startup_timeout%s) and is killed%s%s",
               tell_span(limit, sizeof limit, story->action->limit_ms),
               more_time(story, timeout_ms), ready_command(command, sizeof command, story),
               what_follows(follows, sizeof follows, story->action));
}

static void
tell_shutdown_timeout(struct story *story)
{
    const struct record *record = shell_record(story->shell);
    uint64_t timeout_ms = record->pools[story->action->worker.pool].settings.shutdown_timeout_ms;
    char limit[SPAN_TEXT], active[48] = "";
    if (story->worker.counts.has_active)
        snprintf(active, sizeof active, "; requests in flight: %u", story->worker.counts.active);
    fields_number(&story->fields, "pid", story->worker.pid);
    fields_seconds(&story->fields, "limit", story->action->limit_ms);
    fields_of_counts(story);
    story_emit(story, EVENT_SHUTDOWN_TIMEOUT,
               "was not gone %s after it was asked to drain (health.shutdown_timeout%s): its "
               "process group "
               "is killed%s",
               tell_span(limit, sizeof limit, story->action->limit_ms),
               more_time(story, timeout_ms), active);
}

/* Which number a failed step has in the catalogue. */
static enum event_id
event_of_step(uint32_t step)
{
    if (step == STEP_EXEC)
        return EVENT_EXEC_FAILED;
    if (step == STEP_GROUPS || step == STEP_GROUP || step == STEP_USER)
        return EVENT_IDENTITY_INVALID;
    return EVENT_SPAWN_FAILED;
}

uint16_t
tell_failure_event(const struct failure_view *failure)
{
    return failure->event == EVENT_EXEC_FAILED ? (uint16_t)event_of_step(failure->step)
                                               : failure->event;
}

static void
tell_spawn_failed(struct story *story)
{
    const struct action *action = story->action;
    const struct record *record = shell_record(story->shell);
    const struct record_pool *pool = &record->pools[action->worker.pool];
    uint32_t step = action->step < SPAWN_STEP_COUNT ? action->step : STEP_NONE;
    const char *about = "";
    if (step == STEP_EXEC)
        about = record_text(record, pool->program);
    else if (step == STEP_DIRECTORY)
        about = record_text(record, pool->directory);
    else if (step == STEP_USER || step == STEP_GROUP || step == STEP_GROUPS)
        about = record_text(record, pool->user);
    char follows[TEXT_MAX], reason[96];
    fields_string(&story->fields, "step", step_texts[step]);
    fields_number(&story->fields, "errno", action->error);
    if (action->retry_ms != MSEC_NEVER)
        fields_seconds(&story->fields, "retry", action->retry_ms);
    story_emit(story, event_of_step(step), "could not be started: cannot %s%s%s%s%s%s",
               step_texts[step], about[0] != '\0' ? " " : "", about, action->error != 0 ? ": " : "",
               action->error != 0 ? strerror_r(action->error, reason, sizeof reason) : "",
               what_follows(follows, sizeof follows, action));
}

/* "3 x exit code 1 within 0.4 s of start, 2 x startup-timeout": failures grouped by signature. */
static void
failures_text(struct shell *shell, uint32_t pool, char *out, size_t cap)
{
    struct failure_view failures[FAILURES_MAX];
    uint32_t n = core_failures(shell_core(shell), pool, shell_now(shell), failures, FAILURES_MAX);
    bool counted[FAILURES_MAX] = {false};
    size_t len = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < n; i++) {
        if (counted[i])
            continue;
        uint16_t event = tell_failure_event(&failures[i]);
        uint32_t times = 0;
        msec age_max = 0;
        for (uint32_t j = i; j < n; j++) {
            if (tell_failure_event(&failures[j]) != event ||
                failures[j].status.kind != failures[i].status.kind ||
                failures[j].status.number != failures[i].status.number)
                continue;
            counted[j] = true;
            times++;
            age_max = MAX(age_max, failures[j].age_ms);
        }
        char how[EXIT_TEXT], span[SPAN_TEXT];
        const struct event_row *row = event_row(event);
        const char *what = event == EVENT_WORKER_DIED
                               ? tell_exit(how, sizeof how, failures[i].status)
                           : row != NULL ? row->name
                                         : "failure";
        int r = snprintf(out + len, cap - len, "%s%u x %s within %s of start", len > 0 ? ", " : "",
                         times, what, tell_span(span, sizeof span, age_max));
        if (r < 0 || (size_t)r >= cap - len)
            return;
        len += (size_t)r;
    }
}

static void
tell_pool_disabled(struct story *story)
{
    const struct action *action = story->action;
    char window[SPAN_TEXT], failures[256];
    /* The failure that disables a pool is told right before; its worker may be released by now. */
    struct shell_worker failed = {.last_line = ""};
    uint32_t handle = shell_last_told(story->shell, action->worker.pool);
    if (handle != NONE)
        shell_worker(story->shell, handle, &failed);
    failures_text(story->shell, action->worker.pool, failures, sizeof failures);
    fields_number(&story->fields, "failures", action->count);
    fields_number(&story->fields, "max_failures", action->limit);
    fields_seconds(&story->fields, "interval", action->limit_ms);
    if (failed.last_line[0] != '\0')
        fields_string(&story->fields, "last_line", failed.last_line);
    /* Short: the ring keeps some 200 bytes of text and fields, and max_failures is among these. */
    story_emit(story, EVENT_POOL_DISABLED,
               "disabled: %u failures in %s, %s; poolctl start %s enables it", action->count,
               tell_span(window, sizeof window, action->limit_ms), failures,
               shell_pool_name(story->shell, action->worker.pool));
}

static void
tell_socket_failed(struct story *story)
{
    const struct action *action = story->action;
    char reason[96], again[SPAN_TEXT], who[HOLDER_NAME_MAX], text[96 + sizeof who + 16];
    const struct record_socket *socket = shell_bind_failed(story->shell, action->worker.pool);
    const char *error = strerror_r(action->error, reason, sizeof reason), *holder = "";
    if (action->error == EADDRINUSE && socket != NULL)
        holder = holder_find(socket, who);
    fields_number(&story->fields, "errno", action->error);
    if (holder[0] != '\0')
        fields_string(&story->fields, "holder", holder);
    if (action->error == EACCES && socket != NULL && socket->family != AF_UNIX)
        snprintf(text, sizeof text, "%s: a port below 1024 takes root, or LISTEN_FDS", error);
    else
        snprintf(text, sizeof text, "%s%s%s", error, holder[0] != '\0' ? ", by user " : "", holder);
    if (action->event == EVENT_SOCKET_FAILED)
        story_emit(story, EVENT_SOCKET_FAILED, "cannot listen on %s: %s",
                   shell_bind_failure(story->shell, action->worker.pool), text);
    else
        story_emit(story, EVENT_POOL_NOT_STARTED, "not started: %s: %s; tried again in %s",
                   shell_bind_failure(story->shell, action->worker.pool), text,
                   tell_span(again, sizeof again, action->retry_ms));
}

/* It may not run as it is configured: an address outside the inclusion list. */
static void
tell_refused(struct story *story)
{
    const char *why = shell_refused(story->shell, story->action->worker.pool);
    fields_string(&story->fields, "reason", why);
    story_emit(story, EVENT_POOL_NOT_STARTED, "it may not run as it is configured: %s", why);
}

/* How the end is called of a worker that was asked to leave, or killed: by SIGKILL of ours only, for a
 * core that has asked for it may still see the worker end by itself. */
static const char *
ending_text(char *buf, size_t cap, const struct action *action)
{
    bool killed = action->status.kind == EXIT_SIGNAL && action->status.number == SIGKILL;
    if (killed && action->limit_event == EVENT_STARTUP_TIMEOUT)
        return "was killed after it was not ready in time";
    if (killed && action->limit_event == EVENT_SHUTDOWN_TIMEOUT)
        return "was killed at the end of its drain";
    snprintf(buf, cap, "ended as asked (%s)", cause_name(action->cause));
    return buf;
}

static void
tell_ending(struct story *story)
{
    const struct action *action = story->action;
    char how[EXIT_TEXT], span[SPAN_TEXT], ending[64];
    field_exit(&story->fields, action->status);
    fields_number(&story->fields, "pid", story->worker.pid);
    fields_string(&story->fields, "cause", cause_name(action->cause));
    fields_seconds(&story->fields, "age", action->age_ms);
    story_emit(story, EVENT_WORKER_EXITED, "%s with %s, %s after its start",
               ending_text(ending, sizeof ending, action),
               tell_exit(how, sizeof how, action->status),
               tell_span(span, sizeof span, action->age_ms));
}

static void
tell_not_trusted(struct story *story)
{
    const char *follows = "it serves on, for its pool is disabled";
    if (story->action->cause == CAUSE_UNHEALTHY)
        follows = "it will be replaced";
    else if (story->action->cause == CAUSE_SURPLUS)
        follows = "it was to replace another worker, and is stopped instead";
    fields_number(&story->fields, "pid", story->worker.pid);
    field_foreign(story);
    story_emit(story, EVENT_WORKER_NOT_TRUSTED, "sent 10 malformed messages within 60 s; %s",
               follows);
}

static void
tell_simple(struct story *story)
{
    const struct action *action = story->action;
    struct event_fields *fields = &story->fields;
    char span[SPAN_TEXT];
    switch (action->event) {
    case EVENT_WORKER_STARTED:
        fields_number(fields, "pid", story->worker.pid);
        fields_string(fields, "cause", cause_name(action->cause));
        story_emit(story, EVENT_WORKER_STARTED, "started (%s) with pid %d",
                   cause_name(action->cause), story->worker.pid);
        return;
    case EVENT_WORKER_READY:
        fields_number(fields, "pid", story->worker.pid);
        fields_seconds(fields, "after", action->age_ms);
        story_emit(story, EVENT_WORKER_READY, "ready %s after its start",
                   tell_span(span, sizeof span, action->age_ms));
        return;
    case EVENT_WORKER_NOT_TRUSTED:
        tell_not_trusted(story);
        return;
    case EVENT_WORKER_UNKILLABLE:
        fields_number(fields, "pid", story->worker.pid);
        story_emit(story, EVENT_WORKER_UNKILLABLE, "is still there %s after SIGKILL",
                   tell_span(span, sizeof span, action->drain_ms));
        return;
    case EVENT_POOL_STARTED:
        story_emit(story, EVENT_POOL_STARTED, "started");
        return;
    case EVENT_POOL_STOPPED:
        story_emit(story, EVENT_POOL_STOPPED, "stopped (%s)", cause_name(action->cause));
        return;
    case EVENT_POOL_ENABLED:
        story_emit(story, EVENT_POOL_ENABLED, "enabled again: %s",
                   action->cause == CAUSE_CONFIG_CHANGE ? "its configuration has changed"
                                                        : "an operator started it");
        return;
    default:
        /* A number that the core tells and that has no words here is a bug of ours. */
        assert(!"an event without words");
    }
}

void
tell(struct shell *shell, const struct action *action)
{
    struct story story = {.shell = shell, .action = action, .last = ""};
    if (action->handle != NONE) {
        shell_worker(shell, action->handle, &story.worker);
        story.last = story.worker.last_line;
    }
    switch (action->event) {
    case EVENT_WORKER_DIED:
        tell_worker_died(&story);
        return;
    case EVENT_STARTUP_TIMEOUT:
        tell_startup_timeout(&story);
        return;
    case EVENT_SHUTDOWN_TIMEOUT:
        tell_shutdown_timeout(&story);
        return;
    case EVENT_SPAWN_FAILED:
    case EVENT_EXEC_FAILED:
        tell_spawn_failed(&story);
        return;
    case EVENT_RECYCLE_TIME:
    case EVENT_RECYCLE_REQUESTS:
    case EVENT_RECYCLE_SCHEDULE:
    case EVENT_RECYCLE_UNHEALTHY:
    case EVENT_RECYCLE_ON_DEMAND:
    case EVENT_RECYCLE_CONFIG_CHANGE:
    case EVENT_RECYCLE_FAILED:
    case EVENT_RECYCLE_DONE:
        tell_recycle(&story);
        return;
    case EVENT_POOL_DISABLED:
        tell_pool_disabled(&story);
        return;
    case EVENT_SOCKET_FAILED:
    case EVENT_POOL_NOT_STARTED:
        if (action->cause == CAUSE_REFUSED)
            tell_refused(&story);
        else
            tell_socket_failed(&story);
        return;
    case EVENT_WORKER_EXITED:
        tell_ending(&story);
        return;
    default:
        tell_simple(&story);
    }
}
