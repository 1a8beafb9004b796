/* worker_output.c - what workers write to stdout and stderr: lines, told as events, within bounds. */
#include "supervisor/engine/workers_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

#define LINES_SECOND   100u /* of output, a worker and second; the rest is counted, not told */
#define READ_BYTES     512u /* at a time, of a living worker: each line may be an event of some 10 us */
#define TURN_READS     8u   /* a worker and turn */
#define LINE_MAX_BYTES 800u /* of output; the rest of a longer line begins a new one */

void
entry_tell_dropped_lines(struct workers *workers, struct entry *entry)
{
    if (entry->lines_dropped == 0)
        return;
    struct event_fields fields = {0};
    fields_number(&fields, "lines", entry->lines_dropped);
    events_emit(shell_events(workers->shell), EVENT_EVENTS_DROPPED, entry_pool(workers, entry),
                entry->id, &fields, "%u lines of output were dropped: more than %u in a second",
                entry->lines_dropped, LINES_SECOND);
    entry->lines_dropped = 0;
}

static void
entry_tell_line(struct workers *workers, struct entry *entry, const char *line, size_t len)
{
    if (len == 0)
        return;
    entry_keep_text(&entry->last, line, len);
    entry_second(workers, entry);
    if (entry->lines >= LINES_SECOND) {
        entry->lines_dropped++;
        return;
    }
    entry->lines++;
    char escaped[EVENT_LINE_MAX];
    text_escape(escaped, sizeof escaped, line, len);
    events_emit(shell_events(workers->shell), EVENT_WORKER_OUTPUT, entry_pool(workers, entry),
                entry->id, NULL, "%s", escaped);
}

/* Bytes without a newline: kept until the rest comes, or told when the line is full. */
static void
entry_keep_part(struct workers *workers, struct entry *entry, const char *bytes, size_t len)
{
    while (len > 0) {
        if (entry->line == NULL && (entry->line = malloc(LINE_MAX_BYTES)) == NULL)
            return;
        size_t n = MIN(len, LINE_MAX_BYTES - entry->line_len);
        memcpy(entry->line + entry->line_len, bytes, n);
        entry->line_len = (uint16_t)(entry->line_len + n);
        bytes += n;
        len -= n;
        if (entry->line_len == LINE_MAX_BYTES) {
            entry_tell_line(workers, entry, entry->line, entry->line_len);
            entry->line_len = 0;
        }
    }
}

void
entry_end_line(struct workers *workers, struct entry *entry)
{
    if (entry->line == NULL)
        return;
    entry_tell_line(workers, entry, entry->line, entry->line_len);
    free(entry->line);
    entry->line = NULL;
    entry->line_len = 0;
}

static void
entry_output(struct workers *workers, struct entry *entry, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end != NULL ? (size_t)(end - bytes) : len;
        if (end != NULL && entry->line == NULL && n <= LINE_MAX_BYTES) {
            entry_tell_line(workers, entry, bytes, n);
        } else {
            entry_keep_part(workers, entry, bytes, n);
            if (end != NULL)
                entry_end_line(workers, entry);
        }
        bytes += n + (end != NULL);
        len -= n + (end != NULL);
    }
}

bool
entry_read_output(struct workers *workers, struct entry *entry, size_t most)
{
    assert(most <= sizeof workers->output);
    if (entry->output_fd < 0)
        return false;
    ssize_t n = read(entry->output_fd, workers->output, most);
    if (n > 0) {
        entry_output(workers, entry, workers->output, (size_t)n);
        return (size_t)n == most; /* a pipe gives all it has */
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    entry_end_line(workers, entry);
    entry_close_fd(workers, &entry->output_fd);
    return false;
}

void
entry_read_outputs(struct workers *workers, struct entry *entry, const struct portion *portion)
{
    for (uint32_t i = 0; i < TURN_READS; i++)
        if (!entry_read_output(workers, entry, READ_BYTES) || portion_is_over(portion))
            return;
}
