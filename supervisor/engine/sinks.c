/* sinks.c - what all sinks share: what was not taken is counted, and told once it is taken again.
 *
 * The event that tells is emitted by sink_tick alone, never while another one is being taken: so no
 * sink sees events out of order, and nothing can recurse. It is emitted once the sink is ready, at
 * most once in SINK_RETRY_MS; if the sink does not take it all the same, the count stays. */
#include "supervisor/engine/sink_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TELL_AGAIN_MS 60000u /* after a sink that seemed ready did not take it */

static void
sink_take(void *ctx, const struct event_seen *seen)
{
    struct sink *sink = ctx;
    if ((unsigned)seen->severity > sink->level)
        return;
    int rc = sink->kind->take(sink, seen);
    if (sink->telling) {
        sink->told = rc == 0;
        return;
    }
    if (rc == 0)
        return;
    if (sink->dropped++ == 0) {
        sink->dropped_since = seen->wall_ms;
        sink->due_at = io_now() + SINK_RETRY_MS;
    }
    sink->dropped_why = -rc;
}

void
sink_begin(struct sink *sink, const struct sink_kind *kind, struct events *events, const char *name)
{
    sink->kind = kind;
    sink->events = events;
    sink->due_at = MSEC_NEVER;
    sink->facility = SINK_FACILITY;
    sink->level = SINK_LEVEL;
    snprintf(sink->name, sizeof sink->name, "%s", name);
    events_sink_add(events, sink_take, sink);
}

void
sink_filter(struct sink *sink, unsigned facility, unsigned level)
{
    sink->facility = facility;
    sink->level = level;
}

int
sink_create(struct sink **out, struct events *events, const char *target, struct err *err)
{
    if (strcmp(target, "syslog") == 0)
        return sink_syslog_create(out, events, "/dev/log", err);
    if (strcmp(target, "stderr") == 0)
        return sink_stderr_create(out, events, STDERR_FILENO, err);
    if (target[0] == '/')
        return sink_syslog_create(out, events, target, err);
    if (strcmp(target, "journal") == 0)
        return err_set(err, -EINVAL,
                       "the journal's own protocol is not spoken yet; its socket "
                       "/dev/log takes syslog lines: use syslog");
    return err_set(err, -EINVAL,
                   "no such log: \"%.64s\"; allowed are syslog, stderr, or the absolute "
                   "path of a datagram socket",
                   target);
}

const char *
sink_default_target(void)
{
    return access("/dev/log", F_OK) == 0 ? "syslog" : "stderr";
}

void
sink_destroy(struct sink **sink)
{
    if (*sink == NULL)
        return;
    events_sink_remove((*sink)->events, sink_take, *sink);
    (*sink)->kind->destroy(*sink);
    *sink = NULL;
}

msec
sink_deadline(const struct sink *sink)
{
    return sink->due_at;
}

static void
tell_dropped(struct sink *sink, msec now)
{
    char since[SINK_TIME_MAX], reason[96];
    sink_time(since, sink->dropped_since);
    const char *why = sink->dropped_why == EAGAIN
                          ? "it was full"
                          : strerror_r(sink->dropped_why, reason, sizeof reason);
    struct event_fields fields = {0};
    fields_string(&fields, "sink", sink->name);
    fields_number(&fields, "dropped", (int64_t)sink->dropped);
    fields_string(&fields, "since", since);
    fields_string(&fields, "reason", why);
    sink->telling = true;
    sink->told = false;
    events_emit(
        sink->events, EVENT_EVENTS_DROPPED, NULL, (struct worker_id){0}, &fields,
        "%" PRIu64 " event%s not taken by %s since %s: %s; `poolctl events` has the last %u",
        sink->dropped, sink->dropped == 1 ? " was" : "s were", sink->name, since, why, EVENTS_RING);
    sink->telling = false;
    sink->due_at = sink->told ? MSEC_NEVER : now + TELL_AGAIN_MS;
    if (sink->told)
        sink->dropped = 0;
}

void
sink_tick(struct sink *sink, msec now)
{
    if (now < sink->due_at)
        return;
    sink->due_at = now + SINK_RETRY_MS;
    if (!sink->kind->is_ready(sink))
        return;
    if (sink->dropped > 0)
        tell_dropped(sink, now);
    else
        sink->due_at = MSEC_NEVER;
}

void
line_add(struct sink_line *line, const char *format, ...)
{
    size_t room = sizeof line->text - line->len;
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line->text + line->len, room, format, ap);
    va_end(ap);
    if (n > 0)
        line->len += MIN((size_t)n, room - 1);
}

void
line_put(struct sink_line *line, const char *text)
{
    size_t len = MIN(strlen(text), sizeof line->text - 1 - line->len);
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

void
line_add_subject(struct sink_line *line, const struct event_seen *seen)
{
    if (seen->pool[0] == '\0')
        return;
    line_put(line, seen->pool);
    if (seen->worker.generation == 0)
        line_put(line, ": ");
    else
        line_add(line, "/%u.%u: ", seen->worker.slot, seen->worker.generation);
}

void
sink_time(char buf[SINK_TIME_MAX], int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char zone[8];
    if (localtime_r(&seconds, &tm) == NULL)
        memset(&tm, 0, sizeof tm);
    size_t len = strftime(buf, SINK_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    strftime(zone, sizeof zone, "%z", &tm); /* +hhmm */
    snprintf(buf + len, SINK_TIME_MAX - len, "%.3s:%.2s", zone, zone + 3);
}
