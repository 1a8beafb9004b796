/* poolworker.c - the object: made from the environment, ended, and what it is due to do when. */
#include "worker/lib/inside.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

msec
pw_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (msec)ts.tv_sec * 1000 + (msec)ts.tv_nsec / 1000000;
}

bool
pw_speaks(const struct poolworker *pw)
{
    return pw->level != POOLWORKER_ALONE && getpid() == pw->pid;
}

void
pw_timer(struct poolworker *pw)
{
    msec at = MIN(pw->retry_at, MIN(pw->watchdog_at, pw->resume_at));
    struct itimerspec timer = {0}; /* MSEC_NEVER: it is stopped */
    if (at != MSEC_NEVER)
        timer.it_value = (struct timespec){.tv_sec = (time_t)(at / 1000),
                                           .tv_nsec = (long)(at % 1000) * 1000000};
    timerfd_settime(pw->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

/* --- Birth. */

static int
poll_for(const struct poolworker *pw, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(pw->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int
descriptors_open(struct poolworker *pw)
{
    pw->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pw->counts_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    pw->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    pw->leave_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pw->epoll_fd < 0 || pw->counts_fd < 0 || pw->timer_fd < 0 || pw->leave_fd < 0)
        return -errno;
    int r = poll_for(pw, pw->counts_fd);
    if (r == 0)
        r = poll_for(pw, pw->timer_fd);
    if (r == 0 && pw->level != POOLWORKER_ALONE)
        r = channel_open(pw);
    if (r == 0 && pw->level != POOLWORKER_ALONE)
        r = poll_for(pw, pw->notify_fd);
    return r;
}

static int
object_open(struct poolworker *pw)
{
    int r = environment_read(pw);
    if (r != 0)
        return r;
    void *shared =
        mmap(NULL, sizeof *pw->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return -errno;
    pw->shared = shared;
    r = descriptors_open(pw);
    if (r != 0)
        return r;
    if (pw->watchdog_ms != 0)
        pw->watchdog_at = pw_now();
    pw_timer(pw);
    return 0;
}

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void
object_free(struct poolworker *pw)
{
    close_fd(&pw->notify_fd);
    close_fd(&pw->counts_fd);
    close_fd(&pw->timer_fd);
    close_fd(&pw->leave_fd);
    close_fd(&pw->wait_fd);
    close_fd(&pw->epoll_fd);
    if (pw->shared != NULL)
        munmap(pw->shared, sizeof *pw->shared);
    free(pw->watches);
    free(pw->names);
    pthread_mutex_destroy(&pw->lock);
    free(pw);
}

API int
poolworker_create(struct poolworker **out, unsigned flags)
{
    *out = NULL;
    if (flags & ~(POOLWORKER_CLEAN | POOLWORKER_OWN_WATCHDOG))
        return -EINVAL;
    struct poolworker *pw = calloc(1, sizeof *pw);
    if (pw == NULL)
        return -ENOMEM;
    pw->pid = getpid();
    pw->flags = flags;
    pw->epoll_fd = pw->notify_fd = pw->counts_fd = pw->timer_fd = pw->leave_fd = pw->wait_fd = -1;
    pw->retry_at = pw->watchdog_at = pw->resume_at = MSEC_NEVER;
    pthread_mutex_init(&pw->lock, NULL);
    int r = object_open(pw);
    if (r != 0) {
        object_free(pw);
        return r;
    }
    if (flags & POOLWORKER_CLEAN)
        environment_clean();
    *out = pw;
    return 0;
}

API void
poolworker_destroy(struct poolworker **at)
{
    struct poolworker *pw = *at;
    if (pw == NULL)
        return;
    *at = NULL;
    /* In a child the epoll descriptors are the worker's too: taking out of them would be from its. */
    if (getpid() == pw->pid) {
        watches_stop(pw);
        pw->counts_due = true;
        if (pw_speaks(pw))
            channel_say(pw);
    }
    object_free(pw);
}

/* --- What it is. */

API enum poolworker_level
poolworker_level(const struct poolworker *pw)
{
    return pw->level;
}

API int
poolworker_fd(const struct poolworker *pw)
{
    return pw->epoll_fd;
}
