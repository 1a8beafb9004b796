/* last_good.c - what is told, and remembered, of the last good configuration. */
#include "supervisor/engine/last_good.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "supervisor/engine/shell_inside.h"

void
last_good_tell(struct shell *shell)
{
    const struct record_header *header = shell->record.header;
    const char *errors = record_text(&shell->record, header->error_text);
    struct event_fields fields = {0};
    char when[UNIT_TEXT_MAX];
    if (header->errors_kept == 0)
        return;
    fields_number(&fields, "errors", header->errors_kept);
    fields_string(&fields, "file", record_text(&shell->record, header->source));
    fields_string(&fields, "last_good", date_format(header->kept_at, when));
    events_emit(shell->events, EVENT_CONFIG_INVALID, NULL, (struct worker_id){0}, &fields,
                "the configuration has %u error%s; running with the last good one, of %s; %s%.*s",
                header->errors_kept, header->errors_kept == 1 ? "" : "s", when,
                header->errors_kept == 1 ? "" : "the first: ", (int)strcspn(errors, "\n"), errors);
}

bool
last_good_is_due(const struct shell *shell)
{
    const struct record_header *header = shell->record.header;
    /* One that is the last good one is stored already; what ends begins nothing. */
    return header->errors_kept == 0 && header->serial != *state_kept(shell->state) &&
           shell->boot == BOOT_DONE && !shell->stopping;
}

void
last_good_on_kept(struct shell *shell, const struct verb *verb)
{
    uint64_t serial = shell->record.header->serial;
    struct event_fields fields = {0};
    char text[20];
    *state_kept(shell->state) = serial;
    if (verb->error == 0)
        return;
    snprintf(text, sizeof text, "%016" PRIx64, serial);
    fields_string(&fields, "serial", text);
    if (verb->error == ECHILD)
        events_emit(shell->events, EVENT_STATE_NOT_WRITTEN, NULL, (struct worker_id){0}, &fields,
                    "the configuration in force is not kept as the last good one; poold's standard "
                    "error says why");
    else
        events_emit(shell->events, EVENT_STATE_NOT_WRITTEN, NULL, (struct worker_id){0}, &fields,
                    "the configuration in force is not kept as the last good one: %s",
                    strerror(verb->error));
}
