/* refusal.c - tells the logs of a configuration that was refused, where no engine runs to do it. */
#include "supervisor/engine/refusal.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/engine/sinks.h"

static void
tell(struct events *events, const struct record *record)
{
    const struct record_header *header = record->header;
    struct event_fields fields = {0};
    fields_number(&fields, "errors", header->errors);
    fields_string(&fields, "file", record_text(record, header->source));
    /* The errors are lines, which the loader has made printable; a long one is cut like any text. */
    events_emit(events, EVENT_CONFIG_INVALID, NULL, (struct worker_id){0}, &fields,
                "the configuration is refused and nothing is started: %u error%s; %s%.*s",
                header->errors, header->errors == 1 ? "" : "s",
                header->errors == 1 ? "" : "the first: ", (int)strcspn(record->text, "\n"),
                record->text);
}

void
refusal_tell(const char *const *targets, uint32_t count, const struct record *record)
{
    const char *fallback = sink_default_target();
    struct events *events;
    struct sink *sinks[EVENT_SINKS_MAX];
    uint32_t sinks_len = 0;
    struct err err;
    assert(record->header->errors > 0);
    if (events_create(&events, NULL, &err) != 0) {
        fprintf(stderr, "poold: the log is not told of the refusal: %s\n", err.text);
        return;
    }
    if (count == 0) {
        targets = &fallback;
        count = 1;
    }
    for (uint32_t i = 0; i < MIN(count, EVENT_SINKS_MAX); i++) {
        if (strcmp(targets[i], "stderr") == 0)
            continue;
        if (sink_create(&sinks[sinks_len], events, targets[i], &err) == 0)
            sinks_len++;
        else
            fprintf(stderr, "poold: %s\n", err.text);
    }
    tell(events, record);
    while (sinks_len > 0)
        sink_destroy(&sinks[--sinks_len]);
    events_destroy(&events);
}
