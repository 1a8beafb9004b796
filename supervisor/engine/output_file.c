/* output_file.c - one file that the output of workers is appended to. */
#include "supervisor/engine/output_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CAP_LEAST 4096u /* of a buffer */

static void file_write(struct output_file *file);

/* --- bytes that are kept */
static bool
bytes_add(struct output_bytes *bytes, const char *add, size_t len)
{
    if (bytes->len + len > OUTPUT_MOST)
        return false;
    if (bytes->len + len > bytes->cap) {
        size_t cap = MAX(bytes->cap, (size_t)CAP_LEAST);
        while (cap < bytes->len + len)
            cap *= 2;
        char *v = realloc(bytes->v, cap);
        if (v == NULL)
            return false;
        bytes->v = v;
        bytes->cap = cap;
    }
    memcpy(bytes->v + bytes->len, add, len);
    bytes->len += len;
    return true;
}

static void
bytes_free(struct output_bytes *bytes)
{
    free(bytes->v);
    *bytes = (struct output_bytes){0};
}

static uint64_t
count_lines(const char *bytes, size_t len)
{
    uint64_t lines = 0;
    const char *end = bytes + len;
    while (bytes < end && (bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
        lines++;
        bytes++;
    }
    return lines;
}

/* --- the state */
static void
enter(struct output_file *file, enum output_file_state state)
{
    /* Bits: where a state may lead. */
    static const uint8_t legal[OUTPUT_FILE_STATE_COUNT] = {
        [OUTPUT_OPENING] = 1 << OUTPUT_IDLE | 1 << OUTPUT_STUCK | 1 << OUTPUT_FAILED,
        [OUTPUT_IDLE] = 1 << OUTPUT_WRITING | 1 << OUTPUT_FAILED,
        [OUTPUT_WRITING] = 1 << OUTPUT_IDLE | 1 << OUTPUT_STUCK | 1 << OUTPUT_FAILED,
        [OUTPUT_STUCK] = 1 << OUTPUT_IDLE | 1 << OUTPUT_FAILED,
        [OUTPUT_FAILED] = 1 << OUTPUT_OPENING | 1 << OUTPUT_IDLE,
    };
    msec now = io_time(file->host->io);
    assert((legal[file->state] & 1 << state) != 0);
    file->state = state;
    file->due = MSEC_NEVER;
    if (state == OUTPUT_OPENING || state == OUTPUT_WRITING)
        file->due = now + OUTPUT_PATIENCE_MS;
    else if (state == OUTPUT_FAILED)
        file->due = now + OUTPUT_RETRY_MS;
}

struct output_file *
output_file_create(const struct output_host *host, const char *path, uint32_t slot)
{
    struct output_file *file = calloc(1, sizeof *file);
    char *copy = strdup(path);
    if (file == NULL || copy == NULL) {
        free(file);
        free(copy);
        return NULL;
    }
    *file = (struct output_file){.host = host,
                                 .path = copy,
                                 .slot = slot,
                                 .fd = -1,
                                 .next_fd = -1,
                                 .state = OUTPUT_OPENING,
                                 .due = io_time(host->io) + OUTPUT_PATIENCE_MS};
    return file;
}

void
output_file_destroy(struct output_file **at)
{
    struct output_file *file = *at;
    if (file == NULL)
        return;
    assert(!file->writes);
    if (file->fd >= 0)
        io_close_later(file->host->io, file->fd);
    if (file->next_fd >= 0)
        io_close_later(file->host->io, file->next_fd);
    bytes_free(&file->kept);
    bytes_free(&file->writing);
    free(file->path);
    free(file);
    *at = NULL;
}

/* --- what is told */
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

static void
tell_failed(struct output_file *file, int error, const char *what, const char *follows)
{
    char buf[96];
    struct event_fields fields = {0};
    fields_number(&fields, "errno", error);
    fields_string(&fields, "path", file->path);
    events_emit(file->host->events, EVENT_OUTPUT_FAILED, NULL, (struct worker_id){0}, &fields,
                "the output file %s cannot be %s: %s; %s", file->path, what,
                reason_of(error, buf, sizeof buf), follows);
}

static void
tell_lost(struct output_file *file, const char *why)
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

/* Once, until it works again. */
static void
fail(struct output_file *file, int error, const char *what)
{
    if (file->failing)
        return;
    file->failing = true;
    file->failing_since = io_time(file->host->io);
    tell_failed(file, error, what,
                "what workers write is counted and lost until it can, which is tried again and "
                "again; they go on");
}

static void
succeed(struct output_file *file)
{
    if (!file->failing) {
        tell_lost(file, "more came at once than is kept");
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

/* --- writing */
static void
changed(struct output_file *file)
{
    file->host->changed(file->host->ctx, file);
}

/* Between two writes. A line that is half in the old file is whole in the new one. */
static void
take_next_fd(struct output_file *file)
{
    assert(!file->writes);
    if (file->next_fd < 0)
        return;
    if (file->fd >= 0)
        io_close_later(file->host->io, file->fd);
    file->fd = file->next_fd;
    file->next_fd = -1;
    while (file->written > 0 && file->writing.v[file->written - 1] != '\n')
        file->written--;
}

static void
on_written(void *ctx, int64_t result)
{
    struct output_file *file = ctx;
    file->writes = false;
    if (result > 0)
        file->written += (size_t)result;
    bool is_done = file->written == file->writing.len;
    bool is_anew = file->next_fd >= 0;
    if (is_done) {
        bytes_free(&file->writing);
        file->written = 0;
    }
    if (is_done || result <= 0) /* the rest of what is half written belongs to the same file */
        take_next_fd(file);
    if (is_done)
        succeed(file);
    if (result > 0) {
        enter(file, OUTPUT_IDLE);
        file_write(file);
    } else {
        fail(file, result < 0 ? (int)-result : EIO, "written");
        enter(file, OUTPUT_FAILED);
        if (is_anew)
            file_write(file);
    }
    changed(file);
}

/* Begins the next write, if there is something to write. */
static void
file_write(struct output_file *file)
{
    assert(!file->writes && file->fd >= 0);
    if (file->state == OUTPUT_FAILED)
        enter(file, OUTPUT_IDLE);
    if (file->writing.len == 0 && file->kept.len == 0)
        return;
    if (file->writing.len == 0) {
        file->writing = file->kept;
        file->kept = (struct output_bytes){0};
    }
    int r = io_write(file->host->io, file->fd, file->writing.v + file->written,
                     file->writing.len - file->written, on_written, file);
    if (r != 0) {
        fail(file, -r, "written");
        enter(file, OUTPUT_FAILED);
        return;
    }
    file->writes = true;
    enter(file, OUTPUT_WRITING);
}

void
output_file_go(struct output_file *file)
{
    if (file->state != OUTPUT_IDLE || file->kept.len == 0)
        return;
    file_write(file);
    changed(file);
}

/* --- opening */
static void
opened_first(struct output_file *file, int fd)
{
    if (file->state != OUTPUT_OPENING && file->state != OUTPUT_STUCK)
        enter(file, OUTPUT_OPENING); /* it was asked for again */
    if (fd < 0) {
        fail(file, -fd, "opened");
        enter(file, OUTPUT_FAILED);
    } else {
        file->fd = fd;
        enter(file, OUTPUT_IDLE);
        if (file->kept.len == 0 && file->failing)
            succeed(file);
        file_write(file);
    }
    changed(file);
}

void
output_file_opened(struct output_file *file, int fd)
{
    if (file->fd < 0) {
        opened_first(file, fd);
        return;
    }
    if (fd < 0) {
        tell_failed(file, -fd, "opened again", "it goes on in the one that is open");
        return;
    }
    if (file->next_fd >= 0)
        io_close_later(file->host->io, file->next_fd);
    file->next_fd = fd;
    if (file->writes)
        return;
    take_next_fd(file);
    if (file->state == OUTPUT_FAILED) {
        file_write(file);
        changed(file);
    }
}

/* --- being given */
bool
output_file_takes(const struct output_file *file)
{
    return file->failing || file->kept.len < OUTPUT_FULL;
}

/* The line that was left open is not this worker's: it ends here. */
static bool
end_other_line(struct output_file *file, bool goes_on)
{
    if (!file->is_open_line || goes_on)
        return true;
    file->is_open_line = !bytes_add(&file->kept, "\n", 1);
    return !file->is_open_line;
}

void
output_file_put(struct output_file *file, struct worker_id worker, const char *bytes, size_t len)
{
    bool goes_on = file->is_open_line && memcmp(&file->open_line, &worker, sizeof worker) == 0;
    if (len == 0)
        return;
    if (!file->failing && end_other_line(file, goes_on) && bytes_add(&file->kept, bytes, len)) {
        file->is_open_line = bytes[len - 1] != '\n';
        file->open_line = worker;
        return;
    }
    file->lost += count_lines(bytes, len);
    if (goes_on)
        file->open_line = (struct worker_id){0}; /* what comes next is no part of that line */
}

void
output_file_end_line(struct output_file *file, struct worker_id worker)
{
    if (file->is_open_line && memcmp(&file->open_line, &worker, sizeof worker) == 0)
        output_file_put(file, worker, "\n", 1);
}

/* --- time */
void
output_file_tick(struct output_file *file)
{
    if (file->due > io_time(file->host->io))
        return;
    file->due = MSEC_NEVER;
    if (file->state == OUTPUT_FAILED && file->fd >= 0) {
        file_write(file);
    } else if (file->state == OUTPUT_FAILED) {
        enter(file, OUTPUT_OPENING);
        file->host->ask(file->host->ctx, file);
    } else if (file->state == OUTPUT_OPENING || file->state == OUTPUT_WRITING) {
        fail(file, ETIMEDOUT, file->state == OUTPUT_OPENING ? "opened" : "written");
        enter(file, OUTPUT_STUCK);
    }
    changed(file);
}

bool
output_file_is_written(const struct output_file *file)
{
    return file->failing || (file->kept.len == 0 && file->writing.len == 0);
}

void
output_file_tell_end(struct output_file *file)
{
    file->lost += count_lines(file->kept.v, file->kept.len);
    if (file->writing.len > 0)
        file->lost +=
            count_lines(file->writing.v + file->written, file->writing.len - file->written);
    tell_lost(file, "poold ends");
}
