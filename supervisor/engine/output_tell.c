/* output_tell.c - what operators are told of an output file: that it fails, that it works again, and what
 * is lost. */
#include "supervisor/engine/output_inside.h"

#include <errno.h>
#include <string.h>

static const char *
reason_of(int error, char *buf, size_t size)
{
    switch (error) {
    case ELOOP:
        return "a symbolic link is on the way, and output goes through none";
    case EMLINK:
        return "it has more than one name (a hard link), so it may be somebody else's file";
    case ENXIO:
        return "it is no regular file";
    case ETIMEDOUT:
        return "the disk has not answered for a second";
    default:
        return strerror_r(error, buf, size);
    }
}

void
output_tell_failed(struct output_file *file, int error, const char *what, const char *follows)
{
    char buf[96];
    struct event_fields fields = {0};
    fields_number(&fields, "errno", error);
    fields_string(&fields, "path", file->path);
    events_emit(file->host->events, EVENT_OUTPUT_FAILED, NULL, (struct worker_id){0}, &fields,
                "the output file %s cannot be %s: %s; %s", file->path, what,
                reason_of(error, buf, sizeof buf), follows);
}

void
output_tell_lost(struct output_file *file, const char *why)
{
    struct event_fields fields = {0};
    if (file->lost == 0)
        return;
    fields_number(&fields, "lines", (int64_t)file->lost);
    fields_string(&fields, "path", file->path);
    events_emit(file->host->events, EVENT_EVENTS_DROPPED, NULL, (struct worker_id){0}, &fields,
                "%llu lines for the output file %s are lost: %s", (unsigned long long)file->lost,
                file->path, why);
    file->lost = 0;
}

void
output_fail(struct output_file *file, int error, const char *what)
{
    if (file->failing)
        return;
    file->failing = true;
    file->failing_since = io_time(file->host->io);
    output_tell_failed(
        file, error, what,
        "what workers write is counted and lost until it can, which is tried again and "
        "again; they go on");
}

void
output_succeed(struct output_file *file)
{
    if (!file->failing) {
        output_tell_lost(file, "more came at once than is kept");
        return;
    }
    struct event_fields fields = {0};
    fields_number(&fields, "lines", (int64_t)file->lost);
    fields_seconds(&fields, "since", io_time(file->host->io) - file->failing_since);
    fields_string(&fields, "path", file->path);
    events_emit(file->host->events, EVENT_OUTPUT_RESTORED, NULL, (struct worker_id){0}, &fields,
                "the output file %s can be written again; %llu lines were lost meanwhile",
                file->path, (unsigned long long)file->lost);
    file->failing = false;
    file->lost = 0;
}
