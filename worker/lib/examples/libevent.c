/* libevent.c - a worker in a libevent loop. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <poolworker.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "tiny.h"

static int
    listeners_fd; /* libevent polls this one, and the kernel wakes it for any listener in it */
static struct poolworker *pw;
static struct event_base *base;
static unsigned connections;

static void
end_if_all_is_done(void)
{
    if (poolworker_is_draining(pw) && connections == 0)
        event_base_loopbreak(base);
}

static void
on_poold(evutil_socket_t fd, short events, void *context)
{
    (void)fd, (void)events, (void)context;
    poolworker_dispatch(pw); /* a drain takes the listeners out of listeners_fd */
    end_if_all_is_done();
}

static void
on_term(evutil_socket_t signal, short events, void *context)
{
    (void)signal, (void)events, (void)context;
    poolworker_stopping(pw);
    end_if_all_is_done();
}

/* --- Connections. */

static void
end(struct bufferevent *connection)
{
    bufferevent_free(connection);
    connections--;
    end_if_all_is_done();
}

static void
on_written(struct bufferevent *connection, void *context)
{
    (void)context;
    poolworker_request_end(pw);
    end(connection);
}

static void
on_end(struct bufferevent *connection, short events, void *context)
{
    bool answers = evbuffer_get_length(bufferevent_get_output(connection)) > 0;
    (void)events, (void)context;
    if (answers)
        poolworker_request_end(pw);
    end(connection);
}

static void
on_read(struct bufferevent *connection, void *context)
{
    struct evbuffer *input = bufferevent_get_input(connection);
    char answer[256];
    (void)context;
    if (evbuffer_search(input, "\r\n\r\n", 4, NULL).pos < 0) {
        if (evbuffer_get_length(input) >= TINY_REQUEST_MAX)
            end(connection);
        return;
    }
    poolworker_request_begin(pw);
    bufferevent_disable(connection, EV_READ);
    bufferevent_setcb(connection, NULL, on_written, on_end, NULL);
    bufferevent_write(connection, answer, tiny_answer(answer));
}

static void
on_connection(evutil_socket_t epoll_fd, short events, void *context)
{
    struct epoll_event event;
    (void)events, (void)context;
    if (epoll_wait(epoll_fd, &event, 1, 0) != 1)
        return; /* another worker was quicker */
    int fd = poolworker_accept(pw, (int)event.data.u64);
    if (fd < 0)
        return;
    struct bufferevent *connection = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (connection == NULL) {
        close(fd);
        return;
    }
    connections++;
    bufferevent_setcb(connection, on_read, NULL, on_end, NULL);
    bufferevent_enable(connection, EV_READ | EV_WRITE);
}

/* --- The whole. */

static void
listen_on(int listener)
{
    if (poolworker_watch(pw, listeners_fd, listener, (uint64_t)listener) != 0)
        exit(71);
}

int
main(int argc, char **argv)
{
    if (poolworker_create(&pw, POOLWORKER_CLEAN) != 0)
        return 71;
    listeners_fd = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < poolworker_listeners(pw); i++)
        listen_on(poolworker_listener(pw, i));
    if (poolworker_listeners(pw) == 0)
        listen_on(tiny_listen(argc, argv));
    base = event_base_new();
    struct event *events[] = {
        event_new(base, poolworker_fd(pw), EV_READ | EV_PERSIST, on_poold, NULL),
        event_new(base, listeners_fd, EV_READ | EV_PERSIST, on_connection, NULL),
        evsignal_new(base, SIGTERM, on_term, NULL),
    };
    for (int i = 0; i < 3; i++)
        event_add(events[i], NULL);
    poolworker_ready(pw);
    event_base_dispatch(base);
    for (int i = 0; i < 3; i++)
        event_free(events[i]);
    event_base_free(base);
    poolworker_destroy(&pw);
    return 0;
}
