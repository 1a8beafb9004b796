/* sink_stderr.c - the sink that writes a line to a descriptor, which may be a terminal, a pipe, a
 * socket or a file. */
#include "supervisor/engine/sink_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct sink_stderr {
    struct sink sink; /* first */
    int fd;
    bool is_own; /* opened here, to be closed here */
    bool is_socket;
    struct sink_line rest; /* of a line that was taken in part: it goes before the next */
};

/* A terminal or pipe is opened once more where that is allowed: O_NONBLOCK set on the caller's own
 * descriptor would hit every process that shares it. */
static int
open_own(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !(S_ISFIFO(st.st_mode) || isatty(fd)))
        return -1;
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static bool
descriptor_takes(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    return poll(&poller, 1, 0) == 1 && (poller.revents & POLLOUT) != 0;
}

/* Writes what the descriptor takes at once. Returns how much, or a negative errno. A blocking pipe
 * that poll(2) finds writable takes PIPE_BUF bytes, more than a line. */
static ssize_t
descriptor_put(const struct sink_stderr *self, const char *text, size_t len)
{
    ssize_t n;
    if (self->is_socket)
        n = send(self->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (!self->is_own && !descriptor_takes(self->fd))
        return -EAGAIN;
    else
        n = write(self->fd, text, len);
    return n >= 0 ? n : -errno;
}

/* Whether nothing of an older line is left. */
static bool
put_rest(struct sink_stderr *self)
{
    struct sink_line *rest = &self->rest;
    if (rest->len == 0)
        return true;
    ssize_t n = descriptor_put(self, rest->text, rest->len);
    if (n <= 0)
        return false;
    rest->len -= (size_t)n;
    memmove(rest->text, rest->text + n, rest->len);
    return rest->len == 0;
}

static int
stderr_take(struct sink *sink, const struct event_seen *seen)
{
    struct sink_stderr *self = (struct sink_stderr *)sink;
    if (!put_rest(self))
        return -EAGAIN;
    struct sink_line line = {.len = 0};
    char when[SINK_TIME_MAX];
    sink_time(when, seen->wall_ms);
    line_add(&line, "%s %s %s%s", when, event_row(seen->id)->name,
             event_severity_name(seen->severity), seen->pool[0] != '\0' ? " " : ": ");
    line_add_subject(&line, seen);
    line_add(&line, "%s%s%s\n", seen->text, seen->fields[0] != '\0' ? " " : "", seen->fields);
    ssize_t n = descriptor_put(self, line.text, line.len);
    if (n < 0)
        return (int)n;
    if ((size_t)n < line.len) {
        self->rest.len = line.len - (size_t)n;
        memcpy(self->rest.text, line.text + n, self->rest.len);
        sink->due_at = MIN(sink->due_at, io_now() + SINK_RETRY_MS);
    }
    return 0;
}

static bool
stderr_is_ready(struct sink *sink)
{
    struct sink_stderr *self = (struct sink_stderr *)sink;
    return put_rest(self) && descriptor_takes(self->fd);
}

static void
stderr_destroy(struct sink *sink)
{
    struct sink_stderr *self = (struct sink_stderr *)sink;
    if (self->is_own)
        close(self->fd);
    free(self);
}

int
sink_stderr_create(struct sink **out, struct events *events, int fd, struct err *err)
{
    static const struct sink_kind kind = {stderr_take, stderr_is_ready, stderr_destroy};
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(err, -errno, "write events to descriptor %d", fd);
    struct sink_stderr *self = calloc(1, sizeof *self);
    if (self == NULL)
        return err_errno(err, -ENOMEM, "make the stderr sink");
    int own = open_own(fd);
    self->is_own = own >= 0;
    self->fd = self->is_own ? own : fd;
    self->is_socket = S_ISSOCK(st.st_mode);
    sink_begin(&self->sink, &kind, events, "stderr");
    *out = &self->sink;
    return 0;
}
