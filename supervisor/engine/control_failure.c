/* control_failure.c - the newest failure of a pool: its words, and the facts behind them.
 *
 * The core counts failures and does not know their causes; the event that told of one does. The
 * number of each pool's newest such event is kept beside the pool, so that a status never searches
 * the ring. What the ring has lost meanwhile is told as far as the core remembers it. */
#include "supervisor/engine/control_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "supervisor/engine/tell.h"
#include "supervisor/verbs.h"

#define LINE_MAX_BYTES sizeof((struct event_fields *)0)->text

static const char *const step_texts[] = {
#define X(n, text) text,
    SPAWN_STEPS(X)
#undef X
};

/* What is known of one failure. */
struct failure {
    uint16_t event;
    int64_t wall_ms;
    struct exit_status status;
    msec age_ms;
    int32_t error;
    enum spawn_step step;
    char last_line[LINE_MAX_BYTES]; /* "": the worker said nothing */
};

/* Those of which a start or a worker died. */
static bool
is_failure(uint16_t event)
{
    return event == EVENT_WORKER_DIED || event == EVENT_STARTUP_TIMEOUT ||
           event == EVENT_IDENTITY_INVALID || event == EVENT_SPAWN_FAILED ||
           event == EVENT_EXEC_FAILED;
}

void
failures_note(struct control *control, const struct event_seen *event)
{
    if (event->seq == 0 || !is_failure(event->id))
        return;
    uint32_t pool = shell_pool_find(control->shell, event->pool);
    if (pool != NONE)
        control->failed_seq[pool] = event->seq;
}

void
control_pool_forget(struct control *control, uint32_t pool)
{
    control->failed_seq[pool] = 0;
}

int
failures_create(struct control *control)
{
    const struct events *events = shell_events(control->shell);
    uint32_t pools = shell_record(control->shell)->header->pools_max;
    control->failed_seq = calloc(MAX(pools, 1), sizeof *control->failed_seq);
    if (control->failed_seq == NULL)
        return -1;
    for (uint64_t seq = events_first(events); seq < events_next(events); seq++) {
        struct event_seen event;
        if (events_get(events, seq, &event))
            failures_note(control, &event);
    }
    return 0;
}

/* --- What the event says. */

static msec
milliseconds_of(const char *seconds)
{
    return (msec)(strtod(seconds, NULL) * 1000 + 0.5);
}

static enum spawn_step
step_of(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(step_texts); i++) {
        if (strcmp(step_texts[i], text) == 0)
            return (enum spawn_step)i;
    }
    return STEP_NONE;
}

static void
take_field(struct failure *failure, const char *key, const char *value)
{
    unsigned long number = strtoul(value, NULL, 10);
    if (strcmp(key, "code") == 0)
        failure->status = (struct exit_status){.kind = EXIT_CODE, .number = (uint8_t)number};
    else if (strcmp(key, "signal") == 0)
        failure->status = (struct exit_status){.kind = EXIT_SIGNAL, .number = (uint8_t)number};
    else if (strcmp(key, "core") == 0 && number == 1)
        failure->status.kind = EXIT_SIGNAL_CORE;
    else if (strcmp(key, "age") == 0)
        failure->age_ms = milliseconds_of(value);
    else if (strcmp(key, "errno") == 0)
        failure->error = (int32_t)number;
    else if (strcmp(key, "step") == 0)
        failure->step = step_of(value);
    else if (strcmp(key, "last_line") == 0)
        memcpy(failure->last_line, value, strlen(value) + 1);
}

/* False: the pool had no failure that the ring still has. */
static bool
failure_of_ring(const struct control *control, uint32_t pool, struct failure *failure)
{
    struct event_seen event;
    struct field_pair pair;
    uint64_t seq = control->failed_seq[pool];
    if (seq == 0 || !events_get(shell_events(control->shell), seq, &event))
        return false;
    *failure = (struct failure){.event = event.id, .wall_ms = event.wall_ms};
    for (const char *at = event.fields; fields_next(&at, &pair);) {
        char key[32], value[LINE_MAX_BYTES];
        snprintf(key, sizeof key, "%.*s", (int)MIN(pair.key_len, sizeof key - 1), pair.key);
        snprintf(value, sizeof value, "%.*s", (int)MIN(pair.value_len, sizeof value - 1),
                 pair.value);
        take_field(failure, key, value);
    }
    return true;
}

/* --- Words. */

/* What the failed step was about; "" for most. */
static const char *
failure_path(const struct shell *shell, uint32_t pool, const struct failure *failure)
{
    const struct record *record = shell_record(shell);
    if (failure->step == STEP_EXEC)
        return record_text(record, record->pools[pool].program);
    if (failure->step == STEP_DIRECTORY)
        return record_text(record, record->pools[pool].directory);
    return "";
}

static void
failure_words(const struct failure *failure, const char *path, char *out, size_t cap)
{
    const struct event_row *row = event_row(failure->event);
    uint8_t number = failure->status.number;
    char after[48], reason[96];
    snprintf(after, sizeof after, "after %" PRIu64 ".%03u s", failure->age_ms / 1000,
             (unsigned)(failure->age_ms % 1000));
    if (failure->event == EVENT_STARTUP_TIMEOUT)
        snprintf(out, cap, "not ready %s, and killed (health.startup_timeout)", after);
    else if (failure->step != STEP_NONE)
        snprintf(out, cap, "cannot %s%s%s%s%s", step_texts[failure->step],
                 path[0] == '\0' ? "" : " ", path, failure->error == 0 ? "" : ": ",
                 failure->error == 0 ? "" : strerror_r(failure->error, reason, sizeof reason));
    else if (failure->status.kind == EXIT_CODE)
        snprintf(out, cap, "exit code %u %s", number, after);
    else if (failure->status.kind != EXIT_UNKNOWN)
        snprintf(out, cap, "signal %u (%s%s) %s", number, signal_name(number),
                 failure->status.kind == EXIT_SIGNAL_CORE ? ", core dumped" : "", after);
    else
        snprintf(out, cap, "%s %s", row == NULL ? "failure" : row->name, after);
}

static void
failure_write(struct json_out *out, const struct shell *shell, uint32_t pool,
              const struct failure *failure, int32_t offset)
{
    const struct event_row *row = event_row(failure->event);
    const char *path = failure_path(shell, pool, failure);
    char words[1024];
    failure_words(failure, path, words, sizeof words);
    json_out_open(out, "last", '{');
    json_out_time(out, "at", failure->wall_ms, offset);
    json_out_number(out, "event", failure->event);
    json_out_string(out, "name", row == NULL ? NULL : row->name);
    json_out_seconds(out, "age", failure->age_ms);
    exit_describe(out, failure->status);
    json_out_string(out, "text", words);
    json_out_string(out, "last_line", failure->last_line[0] == '\0' ? NULL : failure->last_line);
    if (failure->step != STEP_NONE) {
        json_out_string(out, "step", step_texts[failure->step]);
        json_out_number(out, "errno", failure->error);
        json_out_string(out, "path", path[0] == '\0' ? NULL : path);
    }
    json_out_close(out, '}');
}

void
failure_describe_last(struct json_out *out, const struct control *control,
                      const struct dates *dates, uint32_t pool, const struct pool_view *view,
                      const struct failure_view *newest)
{
    struct failure failure = {0};
    bool told = failure_of_ring(control, pool, &failure);
    bool lacks = view->wanted_up && view->ready < view->workers_min;
    if (newest == NULL && (!told || !lacks || failure.wall_ms < dates_wall(dates, view->since))) {
        json_out_null(out, "last");
        return;
    }
    if (!told)
        failure = (struct failure){.event = tell_failure_event(newest),
                                   .wall_ms = dates_wall(dates, newest->at),
                                   .status = newest->status};
    if (newest != NULL && failure.age_ms == 0) /* events of starts that failed do not tell it */
        failure.age_ms = newest->age_ms;
    failure_write(out, control->shell, pool, &failure, dates->offset);
}
