/* worker_file.c - what workers write, into their pool's file: whole lines, as they are.
 *
 * What has no newline yet is kept until the rest of its line comes, or the worker ends. Only a line
 * that is longer than may be kept goes into the file in parts, between which another worker's line
 * may come. */
#include "supervisor/engine/workers_inside.h"

#include <stdlib.h>
#include <string.h>

#define LINE_WHOLE_MAX (1u << 20)

/* --- waiting for room */
static uint32_t
handle_of(const struct workers *workers, const struct entry *entry)
{
    return (uint32_t)(entry - workers->entries);
}

bool
entry_may_write(struct workers *workers, struct entry *entry, struct output_file *file)
{
    if (entry->waits != NULL)
        return false;
    if (output_file_takes(file))
        return true;
    entry_unwatch_output(workers, entry);
    entry->waits = file;
    entry->wait_before = 0;
    entry->wait_after = file->waiting;
    file->waiting = handle_of(workers, entry) + 1;
    if (entry->wait_after != 0)
        entry_of(workers, entry->wait_after - 1)->wait_before = file->waiting;
    return false;
}

void
entry_wait_end(struct workers *workers, struct entry *entry)
{
    struct output_file *file = entry->waits;
    if (file == NULL)
        return;
    if (entry->wait_before != 0)
        entry_of(workers, entry->wait_before - 1)->wait_after = entry->wait_after;
    else
        file->waiting = entry->wait_after;
    if (entry->wait_after != 0)
        entry_of(workers, entry->wait_after - 1)->wait_before = entry->wait_before;
    entry->waits = NULL;
}

void
workers_resume_output(void *ctx, struct output_file *file)
{
    struct workers *workers = ctx;
    while (file->waiting != 0) {
        struct entry *entry = entry_of(workers, file->waiting - 1);
        entry_wait_end(workers, entry);
        if (entry->output_fd >= 0 && entry_watch_output(workers, entry) != 0)
            entry_close_fd(workers, &entry->output_fd);
    }
}

/* --- lines */

/* The last line that is not empty, for the day the worker dies: bytes follow what is kept. */
static void
entry_note_last(struct entry *entry, const char *bytes, size_t len)
{
    while (len > 0 && bytes[len - 1] == '\n')
        len--;
    const char *before = len > 0 ? memrchr(bytes, '\n', len) : NULL;
    if (before != NULL) {
        entry_keep_text(&entry->last, before + 1, len - (size_t)(before + 1 - bytes));
        return;
    }
    char line[STATUS_MAX];
    size_t kept = MIN(entry->line_len, (uint32_t)sizeof line), rest = MIN(len, sizeof line - kept);
    if (kept > 0)
        memcpy(line, entry->line, kept);
    memcpy(line + kept, bytes, rest);
    if (kept + rest > 0)
        entry_keep_text(&entry->last, line, kept + rest);
}

static void
entry_put_kept(struct workers *workers, struct entry *entry, struct output_file *file)
{
    output_file_put(file, entry->id, entry->line, entry->line_len);
    entry_drop_line(workers, entry);
}

void
entry_write(struct workers *workers, struct entry *entry, struct output_file *file,
            const char *bytes, size_t len)
{
    const char *end = memrchr(bytes, '\n', len);
    size_t whole = end != NULL ? (size_t)(end - bytes) + 1 : 0;
    if (whole > 0) {
        entry_note_last(entry, bytes, whole);
        entry_put_kept(workers, entry, file);
        output_file_put(file, entry->id, bytes, whole);
    }
    if (whole < len &&
        !entry_keep_part(workers, entry, bytes + whole, len - whole, LINE_WHOLE_MAX)) {
        entry_put_kept(workers, entry, file);
        output_file_put(file, entry->id, bytes + whole, len - whole);
    }
    output_file_go(file);
}

void
entry_write_end(struct workers *workers, struct entry *entry, struct output_file *file)
{
    if (entry->line_len > 0) {
        entry_note_last(entry, "", 0);
        entry_put_kept(workers, entry, file);
        output_file_put(file, entry->id, "\n", 1);
    }
    output_file_end_line(file, entry->id);
    output_file_go(file);
}
