/* output_file.c - one file that the output of workers is appended to. */
#include "supervisor/engine/output_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void file_write(struct output_file *file);

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
    output_bytes_free(&file->kept);
    output_bytes_free(&file->writing);
    free(file->path);
    free(file);
    *at = NULL;
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
        output_bytes_free(&file->writing);
        file->written = 0;
    }
    if (is_done || result <= 0) /* the rest of what is half written belongs to the same file */
        take_next_fd(file);
    if (is_done)
        output_succeed(file);
    if (result > 0) {
        enter(file, OUTPUT_IDLE);
        file_write(file);
    } else {
        output_fail(file, result < 0 ? (int)-result : EIO, "written");
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
        output_fail(file, -r, "written");
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
        output_fail(file, -fd, "opened");
        enter(file, OUTPUT_FAILED);
    } else {
        file->fd = fd;
        enter(file, OUTPUT_IDLE);
        if (file->kept.len == 0 && file->failing)
            output_succeed(file);
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
        output_tell_failed(file, -fd, "opened again", "it goes on in the one that is open");
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
    file->is_open_line = !output_bytes_add(&file->kept, "\n", 1);
    return !file->is_open_line;
}

void
output_file_put(struct output_file *file, struct worker_id worker, const char *bytes, size_t len)
{
    bool goes_on = file->is_open_line && memcmp(&file->open_line, &worker, sizeof worker) == 0;
    if (len == 0)
        return;
    if (!file->failing && end_other_line(file, goes_on) &&
        output_bytes_add(&file->kept, bytes, len)) {
        file->is_open_line = bytes[len - 1] != '\n';
        file->open_line = worker;
        return;
    }
    file->lost += output_count_lines(bytes, len);
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
        output_fail(file, ETIMEDOUT, file->state == OUTPUT_OPENING ? "opened" : "written");
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
    file->lost += output_count_lines(file->kept.v, file->kept.len);
    if (file->writing.len > 0)
        file->lost +=
            output_count_lines(file->writing.v + file->written, file->writing.len - file->written);
    output_tell_lost(file, "poold ends");
}
