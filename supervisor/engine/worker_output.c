/* worker_output.c - what workers write to stdout and stderr: read, and told as events line by line within
 * bounds, or given to a file (worker_file.c), or to nobody. */
#include "supervisor/engine/workers_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

#define LINES_SECOND   100u /* of output, a worker and second; the rest is counted, not told */
#define READ_BYTES     512u /* at a time, of a living worker: each line may be an event of some 10 us */
#define TURN_READS     8u          /* a worker and turn */
#define LINE_MAX_BYTES 800u        /* of an event; the rest of a longer line begins a new one */
#define LINE_CAP_LEAST 1024u       /* of an unfinished line; each worker may have so much */
#define LINES_KEPT_MAX (16u << 20) /* of all unfinished lines */

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

void
entry_drop_line(struct workers *workers, struct entry *entry)
{
    workers->line_bytes -= entry->line_cap;
    free(entry->line);
    entry->line = NULL;
    entry->line_len = entry->line_cap = 0;
}

bool
entry_keep_part(struct workers *workers, struct entry *entry, const char *bytes, size_t len,
                size_t most)
{
    size_t wanted = entry->line_len + len, cap = MAX(entry->line_cap, LINE_CAP_LEAST);
    if (wanted > most)
        return false;
    while (cap < wanted)
        cap *= 2;
    if (cap > entry->line_cap) {
        size_t all = workers->line_bytes - entry->line_cap + cap;
        bool is_allowed = cap == LINE_CAP_LEAST || all <= LINES_KEPT_MAX;
        char *line = is_allowed ? realloc(entry->line, cap) : NULL;
        if (line == NULL)
            return false;
        entry->line = line;
        entry->line_cap = (uint32_t)cap;
        workers->line_bytes = all;
    }
    memcpy(entry->line + entry->line_len, bytes, len);
    entry->line_len += (uint32_t)len;
    return true;
}

static void
entry_tell_kept(struct workers *workers, struct entry *entry)
{
    if (entry->line != NULL)
        entry_tell_line(workers, entry, entry->line, entry->line_len);
    entry_drop_line(workers, entry);
}

/* Bytes without a newline: kept until the rest comes, or told when the line is full. */
static void
entry_tell_part(struct workers *workers, struct entry *entry, const char *bytes, size_t len)
{
    while (len > 0) {
        if (entry->line_len >= LINE_MAX_BYTES)
            entry_tell_kept(workers, entry);
        size_t n = MIN(len, LINE_MAX_BYTES - entry->line_len);
        if (!entry_keep_part(workers, entry, bytes, n, LINE_MAX_BYTES))
            return; /* out of memory */
        bytes += n;
        len -= n;
    }
}

static void
entry_tell_lines(struct workers *workers, struct entry *entry, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end != NULL ? (size_t)(end - bytes) : len;
        if (end != NULL && entry->line == NULL && n <= LINE_MAX_BYTES) {
            entry_tell_line(workers, entry, bytes, n);
        } else {
            entry_tell_part(workers, entry, bytes, n);
            if (end != NULL)
                entry_tell_kept(workers, entry);
        }
        bytes += n + (end != NULL);
        len -= n + (end != NULL);
    }
}

void
entry_end_line(struct workers *workers, struct entry *entry)
{
    struct output_file *file;
    enum output output = shell_output(workers->shell, entry->id.pool, &file);
    if (output == OUTPUT_EVENTS)
        entry_tell_kept(workers, entry);
    else if (file != NULL)
        entry_write_end(workers, entry, file);
    entry_drop_line(workers, entry);
}

static void
entry_output(struct workers *workers, struct entry *entry, const char *bytes, size_t len)
{
    struct output_file *file;
    enum output output = shell_output(workers->shell, entry->id.pool, &file);
    if (output == OUTPUT_EVENTS)
        entry_tell_lines(workers, entry, bytes, len);
    else if (file != NULL)
        entry_write(workers, entry, file, bytes, len);
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
    struct output_file *file;
    if (shell_output(workers->shell, entry->id.pool, &file) != OUTPUT_EVENTS) {
        if (file == NULL || entry_may_write(workers, entry, file))
            entry_read_output(workers, entry, sizeof workers->output);
        return;
    }
    for (uint32_t i = 0; i < TURN_READS; i++)
        if (!entry_read_output(workers, entry, READ_BYTES) || portion_is_over(portion))
            return;
}
