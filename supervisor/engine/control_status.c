/* control_status.c - the control socket's methods that only look: the whole, pools, workers. */
#include "supervisor/engine/control_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/units.h"
#include "supervisor/engine/tell.h"

/* Pools and workers that one turn writes for all large replies together, and the least for each:
 * about 0.3 ms, so that the loop is never held above 1 ms. */
#define STREAM_UNITS_TURN  128u
#define STREAM_UNITS_LEAST 4u

static struct dates
dates_of(void)
{
    struct timespec ts;
    int r = clock_gettime(CLOCK_REALTIME, &ts);
    assert(r == 0);
    struct tm local = {0};
    localtime_r(&ts.tv_sec, &local);
    return (struct dates){
        .now = io_now(),
        .wall_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000,
        .offset = (int32_t)local.tm_gmtoff,
    };
}

static void
date(struct json_out *out, const char *key, const struct dates *dates, msec at)
{
    json_out_time(out, key, dates_wall(dates, at), dates->offset);
}

static void
date_or_null(struct json_out *out, const char *key, const struct dates *dates, msec at)
{
    if (at == 0)
        json_out_null(out, key);
    else
        date(out, key, dates, at);
}

static msec
span(msec from, msec to)
{
    return to > from ? to - from : 0;
}

static void
id_string(struct json_out *out, const char *key, struct worker_id id)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu32 ".%" PRIu32, id.slot, id.generation);
    json_out_string(out, key, id.generation == 0 ? NULL : text);
}

/* "" is null in a reply. */
static void
text_or_null(struct json_out *out, const char *key, const char *text)
{
    json_out_string(out, key, text == NULL || text[0] == '\0' ? NULL : text);
}

/* What nobody has said is null. */
static void
count_or_null(struct json_out *out, const char *key, bool is_known, uint64_t count)
{
    if (is_known)
        json_out_number(out, key, (int64_t)MIN(count, INT64_MAX));
    else
        json_out_null(out, key);
}

/* --- A worker. */

/* When it is replaced as far as is known; "under_way": it is being, or waits for its turn. */
static void
next_recycle_describe(struct json_out *out, const struct dates *dates,
                      const struct worker_view *view, bool with_worker)
{
    if (view->next_at == MSEC_NEVER) {
        json_out_null(out, "next_recycle");
        return;
    }
    json_out_open(out, "next_recycle", '{');
    date(out, "at", dates, view->next_at);
    json_out_string(out, "cause", cause_name(view->next_for));
    json_out_bool(out, "under_way", view->leave != CAUSE_NONE);
    text_or_null(out, "waits", recycle_wait_name(view->waits));
    if (with_worker)
        id_string(out, "worker", view->id);
    json_out_close(out, '}');
}

static void
worker_describe(struct json_out *out, const struct shell *shell, const struct dates *dates,
                uint32_t handle, bool with_pool)
{
    struct worker_view view;
    struct shell_worker world = {0};
    if (!core_worker(shell_core(shell), handle, &view))
        return;
    if (view.state != WORKER_SPAWNING) /* till then the handle still tells of a worker before */
        shell_worker(shell, handle, &world);
    json_out_open(out, NULL, '{');
    if (with_pool)
        json_out_string(out, "pool", shell_pool_name(shell, view.id.pool));
    id_string(out, "id", view.id);
    if (world.pid > 0)
        json_out_number(out, "pid", world.pid);
    else
        json_out_null(out, "pid");
    json_out_string(out, "state", worker_state_name(view.state));
    date(out, "since", dates, view.since);
    json_out_seconds(out, "age", span(view.spawned_at, dates->now));
    if (view.age_limit_ms == MSEC_NEVER)
        json_out_null(out, "age_limit");
    else
        json_out_seconds(out, "age_limit", view.age_limit_ms);
    date_or_null(out, "ready_since", dates, view.ready_at);
    json_out_bool(out, "killing", view.killed);
    json_out_bool(out, "drifted", view.drifted);
    json_out_string(out, "cause", cause_name(view.cause));
    json_out_string(out, "leaving", view.leave == CAUSE_NONE ? NULL : cause_name(view.leave));
    id_string(out, "successor", view.successor);
    count_or_null(out, "requests_limit", view.requests_limit != 0, view.requests_limit);
    count_or_null(out, "requests", world.counts.has_requests, world.counts.requests);
    count_or_null(out, "active", world.counts.has_active, world.counts.active);
    next_recycle_describe(out, dates, &view, false);
    text_or_null(out, "status", world.status_text);
    text_or_null(out, "last_line", world.last_line);
    json_out_close(out, '}');
}

/* What comes first: a worker's own recycle, or a clock time for all of them. */
static void
next_recycle_of_pool(struct json_out *out, const struct shell *shell, const struct dates *dates,
                     uint32_t pool)
{
    const struct core *core = shell_core(shell);
    struct worker_view view, next = {.next_at = MSEC_NEVER};
    for (uint32_t handle = core_worker_first(core, pool); handle != NONE;
         handle = core_worker_next(core, handle)) {
        if (core_worker(core, handle, &view) && view.next_at < next.next_at)
            next = view;
    }
    int64_t scheduled = shell_next_scheduled_ms(shell, pool);
    bool is_sooner = next.next_at == MSEC_NEVER || scheduled < dates_wall(dates, next.next_at);
    if (scheduled == INT64_MAX || !is_sooner) {
        next_recycle_describe(out, dates, &next, true);
        return;
    }
    json_out_open(out, "next_recycle", '{');
    json_out_time(out, "at", scheduled, dates->offset);
    json_out_string(out, "cause", cause_name(CAUSE_SCHEDULE));
    json_out_bool(out, "under_way", false);
    json_out_null(out, "worker");
    json_out_close(out, '}');
}

/* The workers of a pool as values of an array. Returns how many. */
static uint32_t
workers_describe_all(struct json_out *out, const struct shell *shell, const struct dates *dates,
                     uint32_t pool, bool with_pool)
{
    const struct core *core = shell_core(shell);
    uint32_t count = 0;
    for (uint32_t handle = core_worker_first(core, pool); handle != NONE;
         handle = core_worker_next(core, handle)) {
        worker_describe(out, shell, dates, handle, with_pool);
        count++;
    }
    return count;
}

/* --- A pool. */

void
exit_describe(struct json_out *out, struct exit_status status)
{
    if (status.kind == EXIT_UNKNOWN) {
        json_out_null(out, "exit");
        return;
    }
    json_out_open(out, "exit", '{');
    if (status.kind == EXIT_CODE) {
        json_out_number(out, "code", status.number);
    } else {
        json_out_number(out, "signal", status.number);
        json_out_string(out, "name", signal_name(status.number));
        json_out_bool(out, "core_dumped", status.kind == EXIT_SIGNAL_CORE);
    }
    json_out_close(out, '}');
}

static void
failure_describe(struct json_out *out, const struct dates *dates,
                 const struct failure_view *failure)
{
    uint16_t event = tell_failure_event(failure);
    const struct event_row *row = event_row(event);
    json_out_open(out, NULL, '{');
    date(out, "at", dates, failure->at);
    json_out_number(out, "event", event);
    json_out_string(out, "name", row == NULL ? NULL : row->name);
    json_out_seconds(out, "age", failure->age_ms);
    exit_describe(out, failure->status);
    json_out_close(out, '}');
}

static void
failures_describe(struct json_out *out, const struct control *control, const struct dates *dates,
                  uint32_t pool, const struct pool_view *view, bool all)
{
    struct failure_view failures[FAILURES_MAX];
    const struct failure_view *newest = NULL;
    uint32_t count = 0;
    if (view->failures > 0)
        count = core_failures(shell_core(control->shell), pool, dates->now, failures, FAILURES_MAX);
    if (count > 0)
        newest = &failures[count - 1];
    json_out_open(out, "failures", '{');
    json_out_number(out, "in_window", view->failures);
    json_out_number(out, "max", view->max_failures);
    json_out_seconds(out, "interval", view->failure_interval_ms);
    failure_describe_last(out, control, dates, pool, view, newest);
    if (all) {
        json_out_open(out, "all", '[');
        for (uint32_t i = 0; i < count; i++)
            failure_describe(out, dates, &failures[i]);
        json_out_close(out, ']');
    }
    json_out_close(out, '}');
}

static void
sockets_describe(struct json_out *out, const struct shell *shell, uint32_t pool)
{
    const struct record *record = shell_record(shell);
    const struct record_pool *pool_record = &record->pools[pool];
    const struct record_socket *sockets = &record->sockets[pool_record->socket_first];
    json_out_open(out, "listen", '[');
    for (uint32_t i = 0; i < pool_record->socket_count; i++)
        json_out_string(out, NULL, record_text(record, sockets[i].address));
    json_out_close(out, ']');
    json_out_open(out, "queue", '{');
    if (pool_record->socket_count > 0)
        json_out_number(out, "limit", sockets[0].backlog);
    json_out_close(out, '}');
}

static void
roll_describe(struct json_out *out, const struct dates *dates, const struct pool_view *view)
{
    if (!view->rolling) {
        json_out_null(out, "roll");
        return;
    }
    json_out_open(out, "roll", '{');
    json_out_string(out, "cause", cause_name(view->roll_cause));
    date(out, "since", dates, view->roll_since);
    json_out_number(out, "replaced", view->roll_replaced);
    json_out_number(out, "waiting", view->roll_waiting);
    json_out_close(out, '}');
}

static void
bind_error_describe(struct json_out *out, const struct shell *shell, uint32_t pool,
                    const struct pool_view *view)
{
    if (view->error == 0) {
        json_out_null(out, "error");
        return;
    }
    char reason[96];
    json_out_open(out, "error", '{');
    text_or_null(out, "address", shell_bind_failure(shell, pool));
    json_out_number(out, "errno", view->error);
    json_out_string(out, "text", strerror_r(view->error, reason, sizeof reason));
    json_out_close(out, '}');
}

const char *
control_reason(const struct shell *shell, uint32_t pool, enum pool_reason reason)
{
    return reason == REASON_REFUSED ? shell_refused(shell, pool) : pool_reason_name(reason);
}

/* Returns how many workers were written. Nothing is written of a pool that the engine, which has
 * just begun, has not come to yet. */
static uint32_t
pool_describe(struct json_out *out, const struct control *control, const struct dates *dates,
              uint32_t pool, bool all)
{
    const struct shell *shell = control->shell;
    struct pool_view view;
    if (!core_pool(shell_core(shell), pool, dates->now, &view))
        return 0;
    json_out_open(out, NULL, '{');
    json_out_string(out, "name", shell_pool_name(shell, pool));
    json_out_string(out, "state", pool_state_name(view.state));
    text_or_null(out, "reason", control_reason(shell, pool, view.reason));
    json_out_string(out, "wanted", view.wanted_up ? "started" : "stopped");
    date(out, "since", dates, view.since);
    json_out_open(out, "size", '{');
    json_out_number(out, "min", view.workers_min);
    json_out_number(out, "max", view.workers_max);
    json_out_number(out, "ready", view.ready);
    json_out_number(out, "starting", view.starting);
    json_out_number(out, "draining", view.draining);
    json_out_number(out, "drifted", view.drifted);
    json_out_close(out, '}');
    json_out_open(out, "workers", '[');
    uint32_t workers = workers_describe_all(out, shell, dates, pool, false);
    json_out_close(out, ']');
    sockets_describe(out, shell, pool);
    failures_describe(out, control, dates, pool, &view, all);
    date_or_null(out, "next_start", dates, view.next_start_at);
    roll_describe(out, dates, &view);
    next_recycle_of_pool(out, shell, dates, pool);
    bind_error_describe(out, shell, pool, &view);
    json_out_close(out, '}');
    return workers;
}

/* --- The whole. */

/* With a key it is part of a larger reply, which is told only what people look at. */
static void
supervisor_describe(struct json_out *out, const char *key, const struct control *control)
{
    const struct shell *shell = control->shell;
    struct dates dates = dates_of();
    struct shell_status status;
    char serial[20];
    shell_status(shell, &status);
    snprintf(serial, sizeof serial, "%016" PRIx64, status.config_serial);
    json_out_open(out, key, '{');
    json_out_string(out, "version", POOLD_VERSION);
    json_out_string(out, "state", status.stopping ? "stopping" : "running");
    date(out, "since", &dates, dates.now - status.up_ms);
    json_out_seconds(out, "uptime", status.up_ms);
    json_out_number(out, "keeper_pid", status.keeper_pid);
    json_out_number(out, "engine_pid", status.engine_pid);
    json_out_number(out, "engine_restarts", status.restarts);
    json_out_number(out, "pools", status.pools);
    json_out_number(out, "workers", status.workers);
    json_out_number(out, "workers_max", status.workers_max);
    json_out_open(out, "starts", '{');
    json_out_number(out, "held", status.starts_held);
    json_out_number(out, "max", status.starts_max);
    json_out_number(out, "waiting", status.starts_waiting);
    json_out_close(out, '}');
    json_out_open(out, "recycles", '{');
    json_out_number(out, "held", status.recycles_held);
    count_or_null(out, "max", status.recycles_max != 0, status.recycles_max);
    json_out_number(out, "waiting", status.recycles_waiting);
    json_out_close(out, '}');
    json_out_open(out, "config", '{');
    text_or_null(out, "path", status.config_path);
    json_out_string(out, "serial", serial);
    json_out_number(out, "errors", status.config_errors);
    if (status.config_errors > 0)
        json_out_time(out, "last_good", status.config_last_good_at * 1000, dates.offset);
    else
        json_out_null(out, "last_good");
    json_out_close(out, '}');
    json_out_open(out, "clients", '{');
    json_out_number(out, "connected", control->client_count);
    json_out_number(out, "max", CONTROL_CLIENTS_MAX);
    json_out_number(out, "subscribed", control->subscriber_count);
    json_out_close(out, '}');
    if (key == NULL)
        loop_describe(out, shell_io(control->shell));
    json_out_close(out, '}');
}

void
method_server_status(struct client *client, const struct request *request)
{
    struct reply reply = reply_begin(client, request->id);
    supervisor_describe(reply.out, NULL, client->control);
    reply_end(&reply);
}

void
method_server_version(struct client *client, const struct request *request)
{
    struct reply reply = reply_begin(client, request->id);
    json_out_open(reply.out, NULL, '{');
    json_out_string(reply.out, "version", POOLD_VERSION);
    json_out_number(reply.out, "api", CONTROL_API);
    json_out_string(reply.out, "role", record_role_name(client->peer.role)); /* the caller's */
    request_describe_methods(reply.out);
    json_out_close(reply.out, '}');
    reply_end(&reply);
}

/* --- Large replies. */

void
stream_begin(struct client *client, const struct stream *stream)
{
    assert(client->stream.kind == STREAM_NONE && stream->kind != STREAM_NONE);
    client->stream = *stream;
    client->control->stream_count++;
}

void
stream_end(struct client *client)
{
    if (client->stream.kind == STREAM_NONE)
        return;
    assert(client->control->stream_count > 0);
    client->control->stream_count--;
    client->stream.kind = STREAM_NONE;
}

/* The newest event's number: events.subscribe after it misses nothing. */
static int64_t
last_seq(const struct client *client)
{
    return (int64_t)events_next(shell_events(client->control->shell)) - 1;
}

/* STREAM_POOLS, STREAM_WORKERS. */
static void
status_stream_run(struct client *client, uint32_t units)
{
    const struct shell *shell = client->control->shell;
    struct stream *stream = &client->stream;
    struct json_out *out = &client->out;
    struct dates dates = dates_of();
    uint32_t used = 0;
    while (stream->pool < stream->pool_end && used < units &&
           json_out_pending(out) < CONTROL_OUT_HIGH) {
        used += 1 + (stream->kind == STREAM_POOLS
                         ? pool_describe(out, client->control, &dates, stream->pool, false)
                         : workers_describe_all(out, shell, &dates, stream->pool, true));
        stream->pool++;
    }
    if (stream->pool < stream->pool_end)
        return;
    json_out_close(out, ']');
    json_out_number(out, "to_seq", last_seq(client));
    json_out_close(out, '}');
    json_out_text(out, "}\n");
    stream_end(client);
}

void
stream_run(struct client *client)
{
    uint32_t streams = client->control->stream_count;
    uint32_t units = MAX(STREAM_UNITS_TURN / MAX(streams, 1), STREAM_UNITS_LEAST);
    if (client->stream.kind == STREAM_POOLS || client->stream.kind == STREAM_WORKERS)
        status_stream_run(client, units);
    else if (client->stream.kind != STREAM_NONE)
        events_stream_run(client, units);
}

static void
pools_begin(struct client *client, const struct request *request, enum stream_kind kind)
{
    uint32_t count = shell_record(client->control->shell)->header->pools;
    struct stream stream = {.kind = kind, .pool_end = count};
    if (request->pool != NONE) {
        stream.pool = request->pool;
        stream.pool_end = request->pool + 1;
    }
    if (request->id[0] == '\0') /* a notification: nobody waits for it */
        return;
    struct json_out *out = reply_begin(client, request->id).out;
    json_out_open(out, NULL, '{');
    if (kind == STREAM_POOLS)
        supervisor_describe(out, "supervisor", client->control);
    json_out_number(out, "from_seq", last_seq(client));
    json_out_open(out, kind == STREAM_POOLS ? "pools" : "workers", '[');
    stream_begin(client, &stream);
}

void
method_pool_list(struct client *client, const struct request *request)
{
    pools_begin(client, request, STREAM_POOLS);
}

void
method_worker_list(struct client *client, const struct request *request)
{
    pools_begin(client, request, STREAM_WORKERS);
}

void
method_pool_get(struct client *client, const struct request *request)
{
    struct dates dates = dates_of();
    if (!request_pool_is_there(client, request))
        return;
    struct reply reply = reply_begin(client, request->id);
    pool_describe(reply.out, client->control, &dates, request->pool, true);
    reply_end(&reply);
}
