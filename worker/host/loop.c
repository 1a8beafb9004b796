/* loop.c - waits for descriptors and times in one epoll_wait. */
#include "worker/host/loop.h"

#include <errno.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

static msec
clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (msec)ts.tv_sec * 1000 + (msec)ts.tv_nsec / 1000000;
}

int
loop_open(struct loop *loop)
{
    *loop = (struct loop){.now = clock_now()};
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll < 0 ? -errno : 0;
}

void
loop_close(struct loop *loop)
{
    close(loop->epoll);
    loop->epoll = -1;
}

static int
control(struct loop *loop, int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = (uintptr_t)watch};
    return epoll_ctl(loop->epoll, operation, watch->fd, &event) == 0 ? 0 : -errno;
}

int
loop_watch(struct loop *loop, struct watch *watch, uint32_t events)
{
    assert(watch->ready != NULL && watch->fd >= 0);
    return control(loop, EPOLL_CTL_ADD, watch, events);
}

void
loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
    int code = control(loop, EPOLL_CTL_MOD, watch, events);
    assert(code == 0);
}

void
loop_forget(struct loop *loop, struct watch *watch)
{
    control(loop, EPOLL_CTL_DEL, watch, 0);
    for (int i = loop->at; i < loop->count; i++)
        if (loop->events[i].data.u64 == (uintptr_t)watch)
            loop->events[i].data.u64 = 0;
}

void
timeout_queue_open(struct timeout_queue *queue, struct loop *loop, msec span)
{
    assert(loop->queue_count < LOOP_QUEUES);
    *queue = (struct timeout_queue){.span = span};
    loop->queues[loop->queue_count++] = queue;
}

void
timeout_clear(struct timeout *timeout)
{
    struct timeout_queue *queue = timeout->queue;
    if (queue == NULL)
        return;
    *(timeout->before == NULL ? &queue->head : &timeout->before->after) = timeout->after;
    *(timeout->after == NULL ? &queue->tail : &timeout->after->before) = timeout->before;
    timeout->queue = NULL;
}

/* At the tail: of one queue the newest is due last, because all have its span. */
void
timeout_set(struct timeout *timeout, struct timeout_queue *queue, const struct loop *loop)
{
    assert(timeout->ring != NULL);
    timeout_clear(timeout);
    timeout->queue = queue;
    timeout->due = loop->now + queue->span;
    timeout->before = queue->tail;
    timeout->after = NULL;
    *(queue->tail == NULL ? &queue->head : &queue->tail->after) = timeout;
    queue->tail = timeout;
}

/* At most as many as were due at the beginning: who sets itself again waits for the next turn. */
static void
ring_due(struct loop *loop)
{
    for (unsigned i = 0; i < loop->queue_count; i++) {
        struct timeout_queue *queue = loop->queues[i];
        while (queue->head != NULL && queue->head->due <= loop->now) {
            struct timeout *timeout = queue->head;
            timeout_clear(timeout);
            timeout->ring(timeout);
            if (queue->span == 0)
                break;
        }
    }
}

static int
wait_for(const struct loop *loop, msec wait_max)
{
    for (unsigned i = 0; i < loop->queue_count; i++) {
        const struct timeout *first = loop->queues[i]->head;
        if (first != NULL)
            wait_max = MIN(wait_max, first->due <= loop->now ? 0 : first->due - loop->now);
    }
    return wait_max > INT_MAX ? -1 : (int)wait_max;
}

/* What has come is looked at before anybody is told that it did not: after a stall of ours the
 * answer may have been there all along. */
void
loop_turn(struct loop *loop, msec wait_max)
{
    loop->now = clock_now();
    int count = epoll_wait(loop->epoll, loop->events, LOOP_EVENTS, wait_for(loop, wait_max));
    loop->now = clock_now();
    loop->count = MAX(count, 0);
    for (loop->at = 0; loop->at < loop->count;) {
        const struct epoll_event *event = &loop->events[loop->at++];
        struct watch *watch = (struct watch *)(uintptr_t)event->data.u64;
        if (watch != NULL)
            watch->ready(watch, event->events);
    }
    ring_due(loop);
}
