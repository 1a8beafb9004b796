/* access_log.c - formats lines into a buffer, and the buffer into standard output. */
#include "worker/host/access_log.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"
#include "worker/host/exchange.h"

/* The longest of each field, so that a line stays below ACCESS_LOG_LINE_MAX. */
enum { METHOD_MAX = 24, STEM_MAX = 1024, QUERY_MAX = 1024, AGENT_MAX = 400, REFERER_MAX = 800 };

/* "2026-11-22 17:42:24": the fields date and time, in UTC as the format demands. */
static const char *
time_text(char out[32])
{
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
    return out;
}

/* One line, with its newline. */
static void
append(struct access_log *log, const char *line, size_t len)
{
    if (log->fd < 0)
        return;
    if (len > ACCESS_LOG_ROOM - log->len) {
        log->dropped++;
        return;
    }
    memcpy(log->room + log->len, line, len);
    log->len += len;
}

void
access_log_open(struct access_log *log, int fd, const char *pool, const char *worker)
{
    char line[512], now[32];
    *log = (struct access_log){.fd = fd, .pool = pool, .worker = worker};
    int len = snprintf(line, sizeof line,
                       "#Software: poolworker %s\n#Version: 1.0\n#Date: %s\n"
                       "#Fields: date time x-pool x-worker c-ip cs-method cs-uri-stem cs-uri-query "
                       "sc-status sc-substatus sc-bytes cs-bytes time-taken cs(User-Agent) "
                       "cs(Referer)\n",
                       POOLD_VERSION, time_text(now));
    append(log, line, (size_t)len);
}

size_t
access_log_field(char *out, size_t max, const char *text)
{
    if (text == NULL || *text == '\0')
        text = "-";
    size_t len = text_escape(out, max + 1, text, strlen(text));
    for (size_t i = 0; i < len; i++)
        if (out[i] == ' ')
            out[i] = '+';
    return len;
}

void
access_log_write(struct access_log *log, const struct exchange *exchange)
{
    char line[ACCESS_LOG_LINE_MAX], now[32], stem_text[STEM_MAX + 1];
    char method[METHOD_MAX + 1], stem[STEM_MAX + 1], query[QUERY_MAX + 1];
    char agent[AGENT_MAX + 1], referer[REFERER_MAX + 1];
    if (log->fd < 0)
        return;
    bool has_head = exchange->state > EXCHANGE_HEAD;
    const char *asked = exchange->asked.raw == NULL ? exchange->target.raw : exchange->asked.raw;
    const char *raw = asked == NULL ? "" : asked;
    const char *question = strchr(raw, '?');
    snprintf(stem_text, sizeof stem_text, "%.*s",
             (int)(question == NULL ? strlen(raw) : (size_t)(question - raw)), raw);
    access_log_field(method, METHOD_MAX, exchange->method);
    access_log_field(stem, STEM_MAX, stem_text);
    access_log_field(query, QUERY_MAX, question == NULL ? NULL : question + 1);
    access_log_field(agent, AGENT_MAX, has_head ? exchange_header(exchange, "User-Agent") : NULL);
    access_log_field(referer, REFERER_MAX, has_head ? exchange_header(exchange, "Referer") : NULL);
    /* Without a status: the client left before it got one, or libmicrohttpd closed the connection. */
    char status[16] = "-", sent[24] = "-"; /* how much of a broken answer went out nobody knows */
    if (exchange->status != 0)
        snprintf(status, sizeof status, "%u", exchange->status);
    if (!exchange->is_broken)
        snprintf(sent, sizeof sent, "%" PRIu64, exchange->content_bytes);
    int len =
        snprintf(line, sizeof line, "%s %s %s %s %s %s %s %s %u %s %" PRIu64 " %" PRIu64 " %s %s\n",
                 time_text(now), log->pool, log->worker, exchange->connection->peer, method, stem,
                 query, status, exchange->substatus, sent, exchange->body_bytes,
                 exchange->server->loop.now - exchange->began, agent, referer);
    assert(len > 0 && (size_t)len < sizeof line);
    append(log, line, (size_t)len);
}

void
access_log_remark(struct access_log *log, const char *format, ...)
{
    char text[256], line[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    append(log, line, (size_t)snprintf(line, sizeof line, "#Remark: %s\n", text));
}

/* As many whole lines as a pipe takes in one piece. */
static size_t
piece(const struct access_log *log)
{
    if (log->len <= ACCESS_LOG_LINE_MAX)
        return log->len;
    const char *end = memrchr(log->room, '\n', ACCESS_LOG_LINE_MAX);
    assert(end != NULL);
    return (size_t)(end - log->room) + 1;
}

/* The descriptor belongs to others too and stays as it is, blocking. A pipe that polls as writable has
 * room for PIPE_BUF bytes, so a write of no more than that does not wait. */
void
access_log_flush(struct access_log *log)
{
    size_t written = 0;
    while (log->fd >= 0 && log->len > 0) {
        struct pollfd poll_fd = {.fd = log->fd, .events = POLLOUT};
        if (poll(&poll_fd, 1, 0) != 1 || (poll_fd.revents & POLLOUT) == 0)
            break;
        size_t len = piece(log);
        ssize_t n = write(log->fd, log->room, len);
        if (n <= 0)
            break;
        log->len -= (size_t)n;
        memmove(log->room, log->room + n, log->len);
        written += (size_t)n;
    }
    if (written > 0 && log->dropped > 0) {
        uint64_t dropped = log->dropped;
        log->dropped = 0;
        access_log_remark(log, "%" PRIu64 " lines were dropped: nobody read them", dropped);
    }
}
