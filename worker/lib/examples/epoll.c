/* epoll.c - a worker with a loop of its own: bare epoll. */
#include <poolworker.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "tiny.h"

/* What an event is of: its kind in the upper half, its descriptor in the lower. */
enum kind { POOLD, SIGNALS, LISTENER, CONNECTION };

static int epoll_fd, connections;
static struct poolworker *pw;
static struct tiny_request *requests[1024]; /* by descriptor */

static uint64_t
tag(enum kind kind, int fd)
{
    return (uint64_t)kind << 32 | (uint32_t)fd;
}

static void
watch(enum kind kind, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag(kind, fd)};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        exit(71);
}

static int
open_signals(void)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    return signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* One a wake-up: whoever is free, in this worker or another, takes the next. */
static void
take_connection(int listener)
{
    int fd = poolworker_accept(pw, listener);
    if (fd < 0)
        return; /* another worker was quicker, or there are no descriptors and the listener rests */
    if (fd >= 1024 || (requests[fd] = calloc(1, sizeof *requests[fd])) == NULL) {
        close(fd);
        return;
    }
    connections++;
    watch(CONNECTION, fd);
}

static void
end_connection(int fd)
{
    free(requests[fd]);
    close(fd);
    connections--;
}

static void
serve(int fd)
{
    struct tiny_request *request = requests[fd];
    ssize_t n = read(fd, request->text + request->len, TINY_REQUEST_MAX - request->len);
    if (n < 0 && errno == EAGAIN)
        return;
    request->len += n > 0 ? (size_t)n : 0;
    if (n > 0 && !tiny_is_complete(request) && !tiny_is_too_long(request))
        return;
    if (tiny_is_complete(request)) {
        char answer[256];
        poolworker_request_begin(pw);
        send(fd, answer, tiny_answer(answer), MSG_NOSIGNAL); /* a new connection takes so much */
        poolworker_request_end(pw);
    }
    end_connection(fd);
}

static void
handle(const struct epoll_event *event)
{
    int fd = (int)(uint32_t)event->data.u64;
    switch ((enum kind)(event->data.u64 >> 32)) {
    case POOLD:
        poolworker_dispatch(pw);
        break;
    case SIGNALS:
        poolworker_stopping(pw);
        break;
    case LISTENER:
        take_connection(fd);
        break;
    case CONNECTION:
        serve(fd);
        break;
    }
}

int
main(int argc, char **argv)
{
    if (poolworker_create(&pw, POOLWORKER_CLEAN) != 0)
        return 71;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(POOLD, poolworker_fd(pw));
    watch(SIGNALS, open_signals());
    for (unsigned i = 0; i < poolworker_listeners(pw); i++) {
        int listener = poolworker_listener(pw, i);
        poolworker_watch(pw, epoll_fd, listener, tag(LISTENER, listener));
    }
    if (poolworker_listeners(pw) == 0) {
        int listener = tiny_listen(argc, argv);
        poolworker_watch(pw, epoll_fd, listener, tag(LISTENER, listener));
    }
    poolworker_ready(pw);
    /* DRAIN=1 and SIGTERM both take the listeners out of epoll_fd: what is left is finished. */
    while (!poolworker_is_draining(pw) || connections > 0) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll_fd, events, 64, -1);
        for (int i = 0; i < n; i++)
            handle(&events[i]);
    }
    poolworker_destroy(&pw);
    return 0;
}
