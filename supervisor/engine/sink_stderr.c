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
#include <sys/uio.h>
#include <unistd.h>

/* How a line is written without waiting. O_NONBLOCK set on the caller's own descriptor would hit every
 * process that shares it. */
enum way {
    WAY_WRITE,  /* the descriptor does not wait: a file, or a pipe or terminal opened here */
    WAY_SEND,   /* a socket, told so with each line */
    WAY_NOWAIT, /* any other, where the kernel knows RWF_NOWAIT for it (of pipes: since Linux 6.4) */
    WAY_POLL,   /* any other: poll(2) is asked before each line */
};

struct sink_stderr {
    struct sink sink; /* first */
    int fd;
    bool is_own; /* opened here, to be closed here */
    enum way way;
    int64_t second; /* that stamp is of */
    char stamp[SINK_TIME_MAX];
    struct sink_line rest; /* of a line that was taken in part: it goes before the next */
};

/* A terminal or pipe is opened once more where that is allowed. */
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

/* Writes what the descriptor takes at once. Returns how much, or -1 with errno. A blocking pipe that
 * poll(2) finds writable takes PIPE_BUF bytes, more than a line. */
static ssize_t
descriptor_write(const struct sink_stderr *self, const char *text, size_t len)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = len};
    switch (self->way) {
    case WAY_WRITE:
        break;
    case WAY_SEND:
        return send(self->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case WAY_NOWAIT:
        return pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT);
    case WAY_POLL:
        if (descriptor_takes(self->fd))
            break;
        errno = EAGAIN;
        return -1;
    }
    return write(self->fd, text, len);
}

/* How much was written, or a negative errno. */
static ssize_t
descriptor_put(struct sink_stderr *self, const char *text, size_t len)
{
    ssize_t n = descriptor_write(self, text, len);
    if (n < 0 && self->way == WAY_NOWAIT &&
        (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)) {
        self->way = WAY_POLL;
        n = descriptor_write(self, text, len);
    }
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

static void
stderr_format(struct sink_stderr *self, const struct event_seen *seen, struct sink_line *line)
{
    if (self->second != seen->wall_ms / 1000 || self->stamp[0] == '\0') {
        self->second = seen->wall_ms / 1000;
        sink_time(self->stamp, seen->wall_ms);
    }
    const char *const parts[] = {self->stamp,
                                 " ",
                                 event_row(seen->id)->name,
                                 " ",
                                 event_severity_name(seen->severity),
                                 seen->pool[0] != '\0' ? " " : ": "};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        line_put(line, parts[i]);
    line_add_subject(line, seen);
    line_put(line, seen->text);
    if (seen->fields[0] != '\0')
        line_put(line, " ");
    line_put(line, seen->fields);
    line_put(line, "\n");
}

static int
stderr_take(struct sink *sink, const struct event_seen *seen)
{
    struct sink_stderr *self = (struct sink_stderr *)sink;
    if (!put_rest(self))
        return -EAGAIN;
    struct sink_line line = {.len = 0};
    stderr_format(self, seen, &line);
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
    self->way = S_ISSOCK(st.st_mode)                  ? WAY_SEND
                : self->is_own || S_ISREG(st.st_mode) ? WAY_WRITE
                                                      : WAY_NOWAIT;
    sink_begin(&self->sink, &kind, events, "stderr");
    *out = &self->sink;
    return 0;
}
