/* server.c - the loop around libmicrohttpd: serves, and leaves. */
#include "worker/host/server.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "worker/host/connection.h"
#include "worker/host/exchange.h"
#include "worker/host/linger.h"
#include "worker/host/listener.h"

/* Descriptors that are no connections: loops, listeners, log, and some files that are being sent. */
enum { DESCRIPTORS_KEPT = 256, RETRY_MS = 1000, LINGER_MS = 2000 };

/* --- what the loop hears */

static void
hear_poold(struct watch *watch, uint32_t events)
{
    (void)events;
    struct server *server = (struct server *)((char *)watch - offsetof(struct server, pw_watch));
    poolworker_dispatch(server->pw);
}

static void
hear_drain(struct poolworker *pw, uint64_t limit_ms, void *context)
{
    struct server *server = context;
    (void)pw;
    server_drain(server, MIN(limit_ms, server->options.drain_limit));
}

static void
hear_signal(struct watch *watch, uint32_t events)
{
    struct server *server =
        (struct server *)((char *)watch - offsetof(struct server, signal_watch));
    struct signalfd_siginfo info;
    (void)events;
    while (read(watch->fd, &info, sizeof info) == sizeof info) {
        server->is_over = server->is_signalled; /* the second one hurries */
        server->is_signalled = true;
        server_drain(server, server->options.drain_limit);
    }
}

/* MHD_run comes at the end of each turn. */
static void
hear_clients(struct watch *watch, uint32_t events)
{
    (void)watch, (void)events;
}

static void
hear_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
                enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;
    struct connection *connection = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = connection_create(server, mhd);
        return;
    }
    if (connection == NULL)
        return;
    if (connection->is_last && !server->is_over)
        linger_begin(server, connection->fd);
    if (connection->exchange != NULL) /* libmicrohttpd refused it by itself, or it was cut off */
        exchange_destroy(&connection->exchange);
    connection_destroy(&connection);
    *socket_context = NULL;
}

/* Paths are decoded by target.c, from the text as it came. */
static size_t
leave_encoded(void *context, struct MHD_Connection *mhd, char *text)
{
    (void)context, (void)mhd;
    size_t len = 0;
    while (text[len] != '\0')
        len++;
    return len;
}

/* --- beginning and end */

/* As many connections as there are descriptors for, with --connections as the upper bound. */
static void
fit_connections(struct server *server)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    uint64_t most = MAX(limit.rlim_cur, 2 * DESCRIPTORS_KEPT) - DESCRIPTORS_KEPT;
    /* A connection that is answered with a file holds two. */
    server->options.connections = MIN(server->options.connections, MAX(most / 2, UINT64_C(16)));
}

static int
open_signals(struct server *server)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    server->signal_watch = (struct watch){.fd = fd, .ready = hear_signal};
    return loop_watch(&server->loop, &server->signal_watch, EPOLLIN);
}

/* libmicrohttpd's memory of a connection holds the head, what it makes of it, and the answer's head. Its
 * own time-out only ends what does not move at all; the finer ones are connection.c's. */
static int
open_http(struct server *server)
{
    const struct options *options = &server->options;
    msec longest = 2 * MAX(options->idle_timeout, options->header_timeout);
    server->mhd = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        exchange_step, server, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
        exchange_create, server, MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, hear_connection, server, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_encoded, server, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)options->connections + CONNECTIONS_OVER + 1, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)(options->header_size + options->header_size / 2 + 4096),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(longest / 1000 + 1), MHD_OPTION_END);
    if (server->mhd == NULL)
        return -ENOMEM;
    server->mhd_watch =
        (struct watch){.fd = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                       .ready = hear_clients};
    return loop_watch(&server->loop, &server->mhd_watch, EPOLLIN);
}

static void
limit_reached(struct timeout *timeout)
{
    struct server *server = (struct server *)((char *)timeout - offsetof(struct server, limit));
    access_log_remark(&server->log, "the drain ran out of time: %u connections are cut",
                      server->connection_count);
    server->is_over = true;
}

static void
retry_accept(struct timeout *timeout)
{
    struct server *server = (struct server *)((char *)timeout - offsetof(struct server, retry));
    listeners_accept(server, !server->is_draining);
}

int
server_open(struct server *server, struct err *err)
{
    int code = loop_open(&server->loop);
    const struct options *options = &server->options;
    if (code == 0)
        code = poolworker_create(&server->pw, POOLWORKER_CLEAN);
    if (code != 0)
        return err_errno(err, code, "cannot begin");
    poolworker_on_drain(server->pw, hear_drain, server);
    fit_connections(server);
    timeout_queue_open(&server->slow_queue, &server->loop, options->header_timeout);
    timeout_queue_open(&server->answer_queue, &server->loop, options->idle_timeout);
    timeout_queue_open(&server->idle_queue, &server->loop, options->idle_timeout);
    timeout_queue_open(&server->drain_queue, &server->loop, options->drain_grace);
    timeout_queue_open(&server->limit_queue, &server->loop, options->drain_limit);
    timeout_queue_open(&server->linger_queue, &server->loop, LINGER_MS);
    timeout_queue_open(&server->retry_queue, &server->loop, RETRY_MS);
    server->limit.ring = limit_reached;
    server->retry.ring = retry_accept;
    access_log_open(&server->log, options->no_log ? -1 : STDOUT_FILENO, server->pool,
                    server->worker);
    if ((code = files_open(&server->files, options, err)) != 0 ||
        (code = cgi_open(server, err)) != 0 || (code = modules_open(server, err)) != 0 ||
        (code = listeners_open(server, err)) != 0)
        return code;
    server->pw_watch = (struct watch){.fd = poolworker_fd(server->pw), .ready = hear_poold};
    if ((code = loop_watch(&server->loop, &server->pw_watch, EPOLLIN)) != 0 ||
        (code = open_signals(server)) != 0 || (code = open_http(server)) != 0)
        return err_errno(err, code, "cannot begin to serve");
    return 0;
}

void
server_run(struct server *server)
{
    listeners_accept(server, true);
    poolworker_ready(server->pw);
    while (!server->is_over) {
        MHD_UNSIGNED_LONG_LONG wait = 0;
        bool has_timeout = MHD_get_timeout(server->mhd, &wait) == MHD_YES;
        access_log_flush(&server->log);
        loop_turn(&server->loop, has_timeout ? wait : MSEC_NEVER);
        MHD_run(server->mhd);
        if (server->is_draining && server->connection_count + server->lingering_count == 0)
            server->is_over = true;
    }
}

void
server_close(struct server *server)
{
    cgi_close(server);
    linger_end(server);
    MHD_run(server->mhd);
    MHD_stop_daemon(server->mhd);
    modules_close(server);
    access_log_flush(&server->log);
    listeners_close(server);
    files_close(&server->files);
    close(server->signal_watch.fd);
    poolworker_destroy(&server->pw);
    loop_close(&server->loop);
}

/* A tenth of the time, at most a second, is kept for the end itself. */
void
server_drain(struct server *server, msec limit_ms)
{
    if (server->is_draining)
        return;
    poolworker_stopping(server->pw);
    server->is_draining = true;
    listeners_accept(server, false);
    server->limit_queue.span = limit_ms - MIN(limit_ms / 10, 1000);
    server->drain_queue.span = MIN(server->drain_queue.span, limit_ms / 2);
    timeout_set(&server->limit, &server->limit_queue, &server->loop);
    connections_drain(server);
}
