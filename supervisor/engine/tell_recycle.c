/* tell_recycle.c - events of recycles: why one begins, how it failed, how it ended. */
#include <inttypes.h>
#include <stdio.h>

#include "supervisor/engine/tell_inside.h"

/* What a cause measures; NOTHING: it has no limit. */
enum measure { MEASURE_NOTHING, MEASURE_AGE, MEASURE_REQUESTS };

struct reason_words {
    enum measure measure;
    const char *key;  /* of the configuration, whose limit was reached */
    const char *text; /* what is measured, after "is" or "has" */
};

static const struct reason_words reasons[CAUSE_COUNT] = {
    [CAUSE_TIME] = {MEASURE_AGE, "recycling.time", "age"},
    [CAUSE_REQUESTS] = {MEASURE_REQUESTS, "recycling.requests", "requests"},
};

/* "104400 s", as people read what the cause measures. */
static const char *
measured_text(char *buf, size_t cap, enum cause cause, uint64_t value)
{
    switch (reasons[cause].measure) {
    case MEASURE_AGE:
        return tell_span(buf, cap, value);
    case MEASURE_REQUESTS:
        snprintf(buf, cap, "%" PRIu64, value);
        return buf;
    case MEASURE_NOTHING:
        break;
    }
    buf[0] = '\0';
    return buf;
}

static void
field_measured(struct event_fields *fields, const char *key, enum cause cause, uint64_t value)
{
    switch (reasons[cause].measure) {
    case MEASURE_AGE:
        fields_seconds(fields, key, value);
        return;
    case MEASURE_REQUESTS:
        fields_number(fields, key, (int64_t)value);
        return;
    case MEASURE_NOTHING:
        return;
    }
}

/* One worker has reached a limit. */
static void
tell_limit_reached(struct story *story)
{
    const struct action *action = story->action;
    const struct reason_words *words = &reasons[action->cause];
    bool ahead = action->measured < action->limit_value; /* so that it leaves when it gets there */
    char measured[SPAN_TEXT], limit[SPAN_TEXT];
    field_measured(&story->fields, "measured", action->cause, action->measured);
    field_measured(&story->fields, "limit", action->cause, action->limit_value);
    story_emit(story, action->event, "%s its limit of %s: %s of %s (%s); it will be replaced",
               ahead ? "is about to reach" : "has reached", words->text,
               measured_text(measured, sizeof measured, action->cause, action->measured),
               measured_text(limit, sizeof limit, action->cause, action->limit_value), words->key);
}

static void
tell_scheduled(struct story *story)
{
    char time[8];
    unsigned minute = (unsigned)story->action->measured;
    snprintf(time, sizeof time, "%02u:%02u", minute / 60 % 24, minute % 60);
    fields_string(&story->fields, "time", time);
    story_emit(story, EVENT_RECYCLE_SCHEDULE, "recycle begins: it is %s (recycling.schedule)",
               time);
}

static void
tell_unhealthy(struct story *story)
{
    const char *asked = story->worker.asks;
    if (asked == NULL || asked[0] == '\0') {
        story_emit(story, EVENT_RECYCLE_UNHEALTHY, "is unhealthy and will be replaced");
        return;
    }
    fields_string(&story->fields, "asked", asked);
    story_emit(story, EVENT_RECYCLE_UNHEALTHY, "asks to be replaced (%s), and will be", asked);
}

static void
tell_failed(struct story *story)
{
    const struct action *action = story->action;
    char again[SPAN_TEXT + 32] = "the recycle ends here";
    if (action->retry_ms != MSEC_NEVER) {
        char span[SPAN_TEXT];
        snprintf(again, sizeof again, "tried again in %s",
                 tell_span(span, sizeof span, action->retry_ms));
    }
    fields_string(&story->fields, "cause", cause_name(action->cause));
    fields_number(&story->fields, "successor_generation", action->worker.generation);
    story_emit(story, EVENT_RECYCLE_FAILED,
               "did not become ready as the successor of worker %u.%u, which stays in service; %s",
               action->other.slot, action->other.generation, again);
}

/* Of a worker: a successor on trial that a newer change makes useless. */
static void
tell_superseded(struct story *story)
{
    const struct action *action = story->action;
    fields_string(&story->fields, "cause", cause_name(action->cause));
    fields_number(&story->fields, "successor_generation", action->worker.generation);
    story_emit(story, EVENT_RECYCLE_CONFIG_CHANGE,
               "was to replace worker %u.%u, and the configuration has changed again: it leaves, "
               "and %s",
               action->other.slot, action->other.generation,
               action->retry_ms == 0 ? "one with the newest settings takes its part"
                                     : "the old worker stays as it is");
}

static void
tell_done(struct story *story)
{
    const struct action *action = story->action;
    struct shell_worker old = {0};
    if (action->other_handle != NONE)
        shell_worker(story->shell, action->other_handle, &old);
    char total[SPAN_TEXT], start[SPAN_TEXT], drain[SPAN_TEXT];
    struct event_fields *fields = &story->fields;
    fields_string(fields, "cause", cause_name(action->cause));
    if (action->limit_value != 0) {
        field_measured(fields, "measured", action->cause, action->measured);
        field_measured(fields, "limit", action->cause, action->limit_value);
    }
    fields_number(fields, "old_pid", old.pid);
    fields_number(fields, "new_pid", story->worker.pid);
    fields_seconds(fields, "start", action->start_ms);
    fields_seconds(fields, "drain", action->drain_ms);
    fields_seconds(fields, "total", action->total_ms);
    /* A worker that left by itself lost none. One that was killed at the end of its drain lost what it
     * held, if it counted. */
    if (action->killed && !old.counts.has_active)
        fields_string(fields, "lost", "unknown");
    else
        fields_number(fields, "lost", action->killed ? old.counts.active : 0);
    story_emit(story, EVENT_RECYCLE_DONE,
               "replaced worker %u.%u (%s) in %s: ready after %s, %s after %s", action->other.slot,
               action->other.generation, cause_name(action->cause),
               tell_span(total, sizeof total, action->total_ms),
               tell_span(start, sizeof start, action->start_ms),
               action->killed ? "the old one was killed" : "the old one had drained",
               tell_span(drain, sizeof drain, action->drain_ms));
}

void
tell_recycle(struct story *story)
{
    switch (story->action->event) {
    case EVENT_RECYCLE_TIME:
    case EVENT_RECYCLE_REQUESTS:
        tell_limit_reached(story);
        return;
    case EVENT_RECYCLE_SCHEDULE:
        tell_scheduled(story);
        return;
    case EVENT_RECYCLE_UNHEALTHY:
        tell_unhealthy(story);
        return;
    case EVENT_RECYCLE_ON_DEMAND:
        story_emit(story, EVENT_RECYCLE_ON_DEMAND, "%s: an operator asked for it",
                   story->action->worker.generation == 0 ? "recycle begins"
                                                         : "it will be replaced");
        return;
    case EVENT_RECYCLE_CONFIG_CHANGE:
        if (story->action->worker.generation != 0)
            tell_superseded(story);
        else
            story_emit(story, EVENT_RECYCLE_CONFIG_CHANGE,
                       "recycle begins: the configuration has changed since workers were started");
        return;
    case EVENT_RECYCLE_FAILED:
        tell_failed(story);
        return;
    default:
        assert(story->action->event == EVENT_RECYCLE_DONE);
        tell_done(story);
    }
}
