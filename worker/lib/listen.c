/* listen.c - the listeners: which there are, and connections from them, shared fairly with other workers. */
#include "worker/lib/inside.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEAVE        UINT64_MAX /* in the epoll descriptor of those who wait: no listener's number */
#define ACCEPT_TRIES 8          /* clients that went away while they waited, one after the other */

API unsigned
poolworker_listeners(const struct poolworker *pw)
{
    return pw->listener_count;
}

API int
poolworker_listener(const struct poolworker *pw, unsigned at)
{
    return at < pw->listener_count ? pw->listeners[at] : -1;
}

API const char *
poolworker_listener_name(const struct poolworker *pw, unsigned at)
{
    const char *name = pw->names;
    if (name == NULL || at >= pw->listener_count)
        return "";
    while (at-- > 0)
        name += strlen(name) + 1;
    return name;
}

API int
poolworker_listener_named(const struct poolworker *pw, const char *name)
{
    for (unsigned i = 0; i < pw->listener_count; i++)
        if (strcmp(poolworker_listener_name(pw, i), name) == 0)
            return pw->listeners[i];
    return -1;
}

/* --- Watching. */

static int
watch_add(const struct watch *watch)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = watch->data};
    return epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, watch->listener, &event) == 0 ? 0 : -errno;
}

static void
watch_remove(const struct watch *watch)
{
    if (!watch->rests)
        epoll_ctl(watch->epoll_fd, EPOLL_CTL_DEL, watch->listener, NULL);
}

void
watches_stop(struct poolworker *pw)
{
    for (uint32_t i = 0; i < pw->watch_count; i++)
        watch_remove(&pw->watches[i]);
    pw->watch_count = 0;
    pw->resume_at = MSEC_NEVER;
}

/* Level-triggered, a listener whose connections cannot be taken would keep the loop spinning. */
static void
watches_rest(struct poolworker *pw, int listener)
{
    pthread_mutex_lock(&pw->lock);
    for (uint32_t i = 0; i < pw->watch_count; i++) {
        struct watch *watch = &pw->watches[i];
        if (watch->listener != listener || watch->rests)
            continue;
        watch_remove(watch);
        watch->rests = true;
        pw->resume_at = pw_now() + REST_MS;
    }
    pw_timer(pw);
    pthread_mutex_unlock(&pw->lock);
}

void
watches_resume(struct poolworker *pw)
{
    pw->resume_at = MSEC_NEVER;
    for (uint32_t i = 0; i < pw->watch_count; i++) {
        struct watch *watch = &pw->watches[i];
        if (watch->rests && watch_add(watch) == 0)
            watch->rests = false;
        if (watch->rests) /* ENOMEM, ENOSPC: later */
            pw->resume_at = pw_now() + REST_MS;
    }
}

static int
watch_room(struct poolworker *pw)
{
    if (pw->watch_count < pw->watch_cap)
        return 0;
    if (pw->watch_cap == WATCHES_MAX)
        return -ENOSPC;
    uint32_t cap = pw->watch_cap == 0 ? 8 : pw->watch_cap * 2;
    struct watch *watches = realloc(pw->watches, cap * sizeof *watches);
    if (watches == NULL)
        return -ENOMEM;
    pw->watches = watches;
    pw->watch_cap = cap;
    return 0;
}

/* With the lock. */
static int
watch_begin(struct poolworker *pw, const struct watch *watch)
{
    if (poolworker_is_draining(pw))
        return -ESHUTDOWN;
    int r = watch_room(pw);
    if (r == 0)
        r = watch_add(watch);
    if (r == 0)
        pw->watches[pw->watch_count++] = *watch;
    return r;
}

API int
poolworker_watch(struct poolworker *pw, int epoll_fd, int listener, uint64_t data)
{
    const struct watch watch = {.epoll_fd = epoll_fd, .listener = listener, .data = data};
    pthread_mutex_lock(&pw->lock);
    int r = watch_begin(pw, &watch);
    pthread_mutex_unlock(&pw->lock);
    return r;
}

API void
poolworker_unwatch(struct poolworker *pw, int epoll_fd)
{
    pthread_mutex_lock(&pw->lock);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < pw->watch_count; i++) {
        if (pw->watches[i].epoll_fd == epoll_fd)
            watch_remove(&pw->watches[i]);
        else
            pw->watches[kept++] = pw->watches[i];
    }
    pw->watch_count = kept;
    pthread_mutex_unlock(&pw->lock);
}

/* --- Accepting. */

static bool
is_shortage(int r)
{
    return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOBUFS;
}

/* What accept(2) says of a connection that failed while it waited is no failure of the listener's. */
static bool
is_of_the_connection(int error)
{
    return error == ECONNABORTED || error == EINTR || error == EPROTO || error == ENETDOWN ||
           error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH ||
           error == EOPNOTSUPP || error == ENETUNREACH || error == EPERM;
}

static int
accept_one(const struct poolworker *pw, int listener, int flags)
{
    for (int i = 0; i < ACCEPT_TRIES; i++) {
        if (poolworker_is_draining(pw))
            return -ESHUTDOWN;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | flags);
        if (fd >= 0)
            return fd;
        if (!is_of_the_connection(errno))
            return -errno;
    }
    return -EAGAIN;
}

API int
poolworker_accept(struct poolworker *pw, int listener)
{
    int r = accept_one(pw, listener, SOCK_NONBLOCK);
    if (is_shortage(r) && getpid() == pw->pid)
        watches_rest(pw, listener);
    return r;
}

/* --- Waiting. */

/* With the lock. */
static int
wait_open(struct poolworker *pw)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = LEAVE};
    int r = epoll_ctl(fd, EPOLL_CTL_ADD, pw->leave_fd, &event) == 0 ? 0 : -errno;
    for (unsigned i = 0; r == 0 && i < pw->listener_count; i++) {
        const struct watch watch = {.epoll_fd = fd, .listener = pw->listeners[i], .data = i};
        r = watch_add(&watch);
    }
    if (r != 0) {
        close(fd);
        return r;
    }
    pw->wait_fd = fd;
    return 0;
}

/* The epoll descriptor of those who wait; made by the first of them. Those who wait never look at a
 * listener when the worker is to leave, so it stays in there. */
static int
wait_begin(struct poolworker *pw)
{
    if (pw->listener_count == 0)
        return -ENOENT;
    pthread_mutex_lock(&pw->lock);
    int r = pw->wait_fd >= 0 ? 0 : wait_open(pw);
    pthread_mutex_unlock(&pw->lock);
    return r;
}

/* Without descriptors a rest, which the word to leave ends. */
static void
wait_rest(const struct poolworker *pw, int left_ms)
{
    struct pollfd leave = {.fd = pw->leave_fd, .events = POLLIN};
    poll(&leave, 1, left_ms < 0 ? (int)REST_MS : MIN(left_ms, (int)REST_MS));
}

/* One connection of whichever listener has one. -EAGAIN: somebody else was quicker. */
static int
wait_once(const struct poolworker *pw, int left_ms, int *listener)
{
    struct epoll_event event;
    int n = epoll_wait(pw->wait_fd, &event, 1, left_ms);
    if (n <= 0)
        return n == 0 ? -ETIMEDOUT : -errno;
    if (event.data.u64 == LEAVE)
        return -ESHUTDOWN;
    int from = pw->listeners[event.data.u64];
    int fd = accept_one(pw, from, 0);
    if (fd >= 0 && listener != NULL)
        *listener = from;
    return fd;
}

API int
poolworker_accept_wait(struct poolworker *pw, int timeout_ms, int *listener)
{
    msec end = timeout_ms < 0 ? MSEC_NEVER : pw_now() + (msec)timeout_ms;
    int left_ms = timeout_ms, r = wait_begin(pw);
    while (r == 0) {
        int fd = poolworker_is_draining(pw) ? -ESHUTDOWN : wait_once(pw, left_ms, listener);
        if (is_shortage(fd))
            wait_rest(pw, left_ms);
        else if (fd != -EAGAIN)
            return fd;
        msec now = pw_now();
        if (now >= end)
            return -ETIMEDOUT;
        left_ms = end == MSEC_NEVER ? -1 : (int)(end - now);
    }
    return r;
}
