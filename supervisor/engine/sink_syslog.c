/* sink_syslog.c - the sink that writes to a syslog daemon's datagram socket.
 *
 * Not syslog(3): it waits for ever when the daemon stalls, and says nothing when there is none. */
#include "supervisor/engine/sink_inside.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"

struct sink_syslog {
    struct sink sink; /* first */
    struct sockaddr_un address;
    int fd;          /* -1: not connected */
    int why;         /* errno of the last attempt to connect */
    msec connect_at; /* not before, after an attempt that failed */
    pid_t pid;
    int64_t second; /* that stamp is of */
    char stamp[32];
};

static void
syslog_disconnect(struct sink_syslog *syslog)
{
    if (syslog->fd >= 0)
        close(syslog->fd);
    syslog->fd = -1;
}

/* Connects unless an attempt has just failed. Returns whether it is connected now. */
static bool
syslog_connect(struct sink_syslog *syslog)
{
    msec now = io_now();
    if (now < syslog->connect_at)
        return false;
    syslog_disconnect(syslog);
    syslog->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (syslog->fd >= 0 &&
        connect(syslog->fd, (struct sockaddr *)&syslog->address, sizeof syslog->address) == 0)
        return true;
    syslog->why = errno;
    syslog->connect_at = now + SINK_RETRY_MS;
    syslog_disconnect(syslog);
    return false;
}

/* "Nov 22 12:00:00", made once a second. */
static const char *
syslog_stamp(struct sink_syslog *syslog, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    if (syslog->second == seconds && syslog->stamp[0] != '\0')
        return syslog->stamp;
    struct tm tm;
    if (localtime_r(&seconds, &tm) == NULL)
        memset(&tm, 0, sizeof tm);
    strftime(syslog->stamp, sizeof syslog->stamp, "%b %e %H:%M:%S", &tm);
    syslog->second = seconds;
    return syslog->stamp;
}

static void
syslog_format(struct sink_syslog *syslog, const struct event_seen *seen, struct sink_line *line)
{
    const char *name = event_row(seen->id)->name;
    line_add(line, "<%u>%s poold[%d]: %u %s ",
             syslog->sink.facility << 3 | (unsigned)seen->severity,
             syslog_stamp(syslog, seen->wall_ms), (int)syslog->pid, seen->id, name);
    line_add_subject(line, seen);
    line_put(line, seen->text);
    if (seen->seq != 0)
        line_add(line, " seq=%llu", (unsigned long long)seen->seq);
    if (seen->fields[0] != '\0')
        line_put(line, " ");
    line_put(line, seen->fields);
}

/* 0 or a negative errno. */
static int
syslog_send(const struct sink_syslog *syslog, const struct sink_line *line)
{
    return send(syslog->fd, line->text, line->len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : -errno;
}

/* Errors after which the same connection may work again: the daemon is slow. */
static bool
is_full(int rc)
{
    return rc == -EAGAIN || rc == -ENOBUFS || rc == -ENOMEM || rc == -EINTR;
}

/* A daemon that was started anew has a new socket in the place of the old: the line that finds out
 * goes to the new one, so that a restart alone loses nothing. */
static int
syslog_take(struct sink *sink, const struct event_seen *seen)
{
    struct sink_syslog *syslog = (struct sink_syslog *)sink;
    if (syslog->fd < 0 && !syslog_connect(syslog))
        return -syslog->why;
    struct sink_line line = {.len = 0};
    syslog_format(syslog, seen, &line);
    int rc = syslog_send(syslog, &line);
    if (rc == 0 || is_full(rc))
        return rc;
    syslog->why = -rc;
    syslog_disconnect(syslog);
    return syslog_connect(syslog) ? syslog_send(syslog, &line) : -syslog->why;
}

/* Connects anew: a daemon that died leaves a connection that poll(2) calls writable. Through a
 * living one poll(2) sees the peer's queue. */
static bool
syslog_is_ready(struct sink *sink)
{
    struct sink_syslog *syslog = (struct sink_syslog *)sink;
    if (!syslog_connect(syslog) && syslog->fd < 0)
        return false;
    struct pollfd poller = {.fd = syslog->fd, .events = POLLOUT};
    return poll(&poller, 1, 0) == 1 && (poller.revents & POLLOUT) != 0;
}

static void
syslog_destroy(struct sink *sink)
{
    struct sink_syslog *syslog = (struct sink_syslog *)sink;
    syslog_disconnect(syslog);
    free(syslog);
}

/* Why the path cannot be connected, in words that follow it. */
static const char *
what_is_wrong(const struct sink_syslog *syslog, char *buf, size_t cap)
{
    struct stat st;
    if (stat(syslog->address.sun_path, &st) != 0)
        return errno == ENOENT ? "is no datagram socket: it does not exist"
                               : strerror_r(errno, buf, cap);
    if (S_ISREG(st.st_mode))
        return "is a regular file, not a datagram socket";
    if (!S_ISSOCK(st.st_mode) || syslog->why == EPROTOTYPE)
        return "is not a datagram socket";
    if (syslog->why == ECONNREFUSED)
        return "is a datagram socket that nobody reads";
    snprintf(buf, cap, "is no datagram socket that takes events: %s", strerrordesc_np(syslog->why));
    return buf;
}

/* A target that was mistyped would be silent for ever. It is no reason not to run: a daemon that comes
 * later is found by the first event after it. */
static void
syslog_try(struct sink_syslog *syslog)
{
    const char *path = syslog->address.sun_path;
    char name[4 * sizeof syslog->address.sun_path + 1], reason[96];
    if (syslog_connect(syslog))
        return;
    text_escape(name, sizeof name, path, strlen(path));
    fprintf(stderr, "poold: %s %s; events go nowhere until one that is read is there\n", name,
            what_is_wrong(syslog, reason, sizeof reason));
    syslog->connect_at = 0;
}

int
sink_syslog_create(struct sink **out, struct events *events, const char *path, struct err *err)
{
    static const struct sink_kind kind = {syslog_take, syslog_is_ready, syslog_destroy};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return err_set(err, -ENAMETOOLONG,
                       "the path of the log socket is longer than %zu bytes: %s",
                       sizeof address.sun_path - 1, path);
    struct sink_syslog *syslog = calloc(1, sizeof *syslog);
    if (syslog == NULL)
        return err_errno(err, -ENOMEM, "make the syslog sink");
    memcpy(address.sun_path, path, strlen(path));
    syslog->address = address;
    syslog->fd = -1;
    syslog->pid = getpid();
    sink_begin(&syslog->sink, &kind, events, path);
    syslog_try(syslog);
    *out = &syslog->sink;
    return 0;
}
