/* threads.c - a worker of threads that block: each accepts a connection, serves it, and takes the next.
 * The first thread has no more to do than to listen to poold. */
#include <poll.h>
#include <poolworker.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/time.h>

#include "tiny.h"

#define THREADS        8
#define CLIENT_LIMIT_S 10 /* a client that is slower would hold a thread for ever */

static void
serve(int fd)
{
    const struct timeval limit = {.tv_sec = CLIENT_LIMIT_S};
    struct tiny_request request = {.len = 0};
    char answer[256];
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    while (!tiny_is_complete(&request)) {
        ssize_t n = read(fd, request.text + request.len, TINY_REQUEST_MAX - request.len);
        if (n <= 0)
            return;
        request.len += (size_t)n;
    }
    send(fd, answer, tiny_answer(answer), MSG_NOSIGNAL);
}

static void *
serve_on(void *context)
{
    struct poolworker *pw = context;
    for (;;) {
        int fd = poolworker_accept_wait(pw, -1, NULL);
        if (fd == -EINTR)
            continue;
        if (fd < 0)
            return NULL; /* -ESHUTDOWN: the worker is to leave */
        poolworker_request_begin(pw);
        serve(fd);
        close(fd);
        poolworker_request_end(pw);
    }
}

/* The loop that answers pings serves nothing, so its turning proves nothing: work can be done when a
 * thread is free, or when one has finished a request since the last ping. */
static bool
can_serve(struct poolworker *pw, void *context)
{
    uint64_t *before = context, now = poolworker_requests(pw);
    bool moves = now != *before || poolworker_active(pw) < THREADS;
    *before = now;
    return moves;
}

static void
listen_to_poold(struct poolworker *pw, int signal_fd)
{
    struct pollfd polls[] = {{.fd = poolworker_fd(pw), .events = POLLIN},
                             {.fd = signal_fd, .events = POLLIN}};
    while (!poolworker_is_draining(pw)) {
        if (poll(polls, 2, -1) < 0)
            continue;
        if (polls[0].revents != 0)
            poolworker_dispatch(pw);
        if (polls[1].revents != 0)
            poolworker_stopping(pw);
    }
}

int
main(void)
{
    struct poolworker *pw;
    pthread_t threads[THREADS];
    uint64_t served = 0;
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL); /* for every thread */
    if (poolworker_create(&pw, POOLWORKER_CLEAN) != 0)
        return 71;
    if (poolworker_listeners(pw) == 0) {
        fputs("threads: no listening socket: run it in a pool\n", stderr);
        return 64;
    }
    poolworker_on_ping(pw, can_serve, &served);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, serve_on, pw) != 0)
            return 71;
    poolworker_ready(pw);
    listen_to_poold(pw, signalfd(-1, &term, SFD_CLOEXEC));
    for (int i = 0; i < THREADS; i++) /* each ends its request first */
        pthread_join(threads[i], NULL);
    poolworker_destroy(&pw);
    return 0;
}
