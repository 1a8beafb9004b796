/* control_events.c - events to the clients of the control socket: live ones and those of the ring.
 *
 * A subscriber first gets what the ring holds after the number that it named, as a large reply of
 * notifications, then each event as it comes. Live ones wait in the client's second buffer while
 * something else is half written; when that is full, they are counted and the count is sent in
 * their place. */
#include "supervisor/engine/control_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RECENT_DEFAULT 50u

static void
fields_describe(struct json_out *out, const char *fields)
{
    struct field_pair pair;
    json_out_open(out, "fields", '{');
    while (fields_next(&fields, &pair))
        json_out_pair(out, pair.key, pair.key_len, pair.value, pair.value_len,
                      field_is_number(&pair));
    json_out_close(out, '}');
}

/* One event as an object. */
static void
event_describe(struct json_out *out, const char *key, const struct event_seen *event)
{
    time_t seconds = (time_t)(event->wall_ms / 1000);
    struct tm local = {0};
    localtime_r(&seconds, &local);
    const struct event_row *row = event_row(event->id);
    json_out_open(out, key, '{');
    if (event->seq == 0)
        json_out_null(out, "seq"); /* not kept */
    else
        json_out_number(out, "seq", (int64_t)event->seq);
    json_out_time(out, "time", event->wall_ms, (int32_t)local.tm_gmtoff);
    json_out_number(out, "id", event->id);
    json_out_string(out, "name", row == NULL ? NULL : row->name);
    json_out_string(out, "severity", event_severity_name(event->severity));
    json_out_string(out, "pool", event->pool[0] == '\0' ? NULL : event->pool);
    char worker[24];
    snprintf(worker, sizeof worker, "%" PRIu32 ".%" PRIu32, event->worker.slot,
             event->worker.generation);
    json_out_string(out, "worker", event->worker.generation == 0 ? NULL : worker);
    json_out_string(out, "text", event->text);
    fields_describe(out, event->fields);
    json_out_close(out, '}');
}

static void
notification_begin(struct json_out *out)
{
    json_out_text(out, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",");
    out->comma = false;
}

static void
notification_end(struct json_out *out)
{
    json_out_text(out, "}\n");
}

static void
notification_dropped(struct json_out *out, uint64_t count)
{
    notification_begin(out);
    json_out_open(out, "params", '{');
    json_out_number(out, "dropped", (int64_t)count);
    json_out_close(out, '}');
    notification_end(out);
}

void
events_lost_line(struct client *client)
{
    notification_dropped(&client->events, client->events_lost);
    client->events_lost = 0;
}

static bool
event_is_wanted(const struct shell *shell, uint32_t pool, const struct event_seen *event)
{
    return pool == NONE || strcmp(shell_pool_name(shell, pool), event->pool) == 0;
}

static void
subscriber_take(struct client *client, const struct json_out *line, bool kept)
{
    /* What the ring holds comes by the replay that is under way. */
    if (kept && client->stream.kind == STREAM_REPLAY)
        return;
    size_t len = json_out_pending(line);
    /* Once something was lost the rest waits for the count to be sent: order stays true. */
    if (client->events_lost > 0 || json_out_pending(&client->events) + len > CONTROL_EVENTS_MAX) {
        client->events_lost++;
    } else {
        json_out_raw(&client->events, json_out_start(line), len);
    }
    client_wake(client);
}

void
control_events_sink(void *ctx, const struct event_seen *event)
{
    struct control *control = ctx;
    failures_note(control, event);
    if (control->subscriber_count == 0)
        return;
    struct json_out line = {0};
    notification_begin(&line);
    event_describe(&line, "params", event);
    notification_end(&line);
    for (struct client *client = control->clients; client != NULL; client = client->next) {
        if (client->subscribed && event_is_wanted(control->shell, client->subscribed_pool, event))
            subscriber_take(client, &line, event->seq != 0);
    }
    json_out_fini(&line);
}

/* The event of that number, if the ring still has it and the client wants it. */
static bool
ring_event(const struct client *client, uint64_t seq, struct event_seen *event)
{
    struct shell *shell = client->control->shell;
    return events_get(shell_events(shell), seq, event) &&
           event_is_wanted(shell, client->stream.pool, event);
}

static void
replay_run(struct client *client, uint32_t units)
{
    const struct events *events = shell_events(client->control->shell);
    struct stream *stream = &client->stream;
    uint64_t first = events_first(events), next = events_next(events);
    if (stream->seq < first) {
        notification_dropped(&client->out, first - stream->seq);
        stream->seq = first;
    }
    for (; units > 0 && stream->seq < next; units--, stream->seq++) {
        struct event_seen event;
        if (json_out_pending(&client->out) >= CONTROL_OUT_HIGH)
            return;
        if (!ring_event(client, stream->seq, &event))
            continue;
        notification_begin(&client->out);
        event_describe(&client->out, "params", &event);
        notification_end(&client->out);
    }
    if (stream->seq == next)
        stream_end(client);
}

static void
recent_run(struct client *client, uint32_t units)
{
    struct stream *stream = &client->stream;
    for (; units > 0 && stream->seq < stream->seq_end; units--, stream->seq++) {
        struct event_seen event;
        if (json_out_pending(&client->out) >= CONTROL_OUT_HIGH)
            return;
        if (ring_event(client, stream->seq, &event))
            event_describe(&client->out, NULL, &event);
    }
    if (stream->seq < stream->seq_end)
        return;
    json_out_close(&client->out, ']');
    json_out_number(&client->out, "to_seq", (int64_t)stream->seq_end - 1);
    json_out_close(&client->out, '}');
    json_out_text(&client->out, "}\n");
    stream_end(client);
}

void
events_stream_run(struct client *client, uint32_t units)
{
    if (client->stream.kind == STREAM_REPLAY)
        replay_run(client, units);
    else
        recent_run(client, units);
}

void
method_events_subscribe(struct client *client, const struct request *request)
{
    const struct events *events = shell_events(client->control->shell);
    uint64_t first = events_first(events), next = events_next(events);
    bool resume = (request->given & 1u << PARAM_BIT_AFTER) != 0;
    client->control->subscriber_count += !client->subscribed;
    client->subscribed = true;
    client->subscribed_pool = request->pool;
    struct reply reply = reply_begin(client, request->id);
    json_out_open(reply.out, NULL, '{');
    json_out_number(reply.out, "first", (int64_t)first);
    json_out_number(reply.out, "last", (int64_t)next - 1);
    json_out_close(reply.out, '}');
    reply_end(&reply);
    /* A number that has not been given yet is of a ring that is gone: everything here is new. */
    struct stream stream = {
        .kind = STREAM_REPLAY,
        .pool = request->pool,
        .seq = request->after < next ? request->after + 1 : first,
    };
    if (resume && stream.seq < next)
        stream_begin(client, &stream);
}

/* Where the newest count events that are wanted begin. */
static uint64_t
recent_start(const struct client *client, uint32_t pool, uint64_t count)
{
    struct shell *shell = client->control->shell;
    const struct events *events = shell_events(shell);
    uint64_t first = events_first(events), seq = events_next(events);
    while (seq > first && count > 0) {
        struct event_seen event;
        seq--;
        if (pool == NONE ||
            (events_get(events, seq, &event) && event_is_wanted(shell, pool, &event)))
            count--;
    }
    return seq;
}

void
method_events_recent(struct client *client, const struct request *request)
{
    bool counted = (request->given & 1u << PARAM_BIT_COUNT) != 0;
    struct stream stream = {
        .kind = STREAM_RECENT,
        .pool = request->pool,
        .seq = recent_start(client, request->pool, counted ? request->count : RECENT_DEFAULT),
        .seq_end = events_next(shell_events(client->control->shell)),
    };
    if (request->id[0] == '\0')
        return;
    struct json_out *out = reply_begin(client, request->id).out;
    json_out_open(out, NULL, '{');
    json_out_number(out, "from_seq", (int64_t)stream.seq);
    json_out_open(out, "events", '[');
    stream_begin(client, &stream);
}
