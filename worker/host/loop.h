/* loop.h - one epoll descriptor: who waits for a descriptor, and who for a time. */
#ifndef POOLWORKER_HOST_LOOP_H
#define POOLWORKER_HOST_LOOP_H

#include <sys/epoll.h>

#include "common/base.h"

enum { LOOP_EVENTS = 64, LOOP_QUEUES = 12 };

/* Part of whatever waits for a descriptor. Its address is the epoll_data of the descriptor. */
struct watch {
    int fd;
    void (*ready)(struct watch *, uint32_t events);
};

/* Time-outs of one span, the oldest first: setting and clearing cost the same for any number. */
struct timeout_queue {
    msec span;
    struct timeout *head, *tail;
};

struct timeout {
    struct timeout *before, *after;
    struct timeout_queue *queue; /* NULL: not set */
    msec due;
    void (*ring)(struct timeout *);
};

struct loop {
    int epoll;
    msec now; /* CLOCK_MONOTONIC, taken once a turn */
    struct epoll_event events[LOOP_EVENTS];
    int count, at; /* of the turn under way */
    struct timeout_queue *queues[LOOP_QUEUES];
    unsigned queue_count;
};

/* 0, or a negative errno. */
int loop_open(struct loop *);
void loop_close(struct loop *);

/* 0, or a negative errno. The watch is borrowed until loop_forget. */
int loop_watch(struct loop *, struct watch *, uint32_t events);

/* What else to wait for; 0: only for what epoll always reports. */
void loop_change(struct loop *, struct watch *, uint32_t events);

/* Also inside a turn: an event of it that waits is taken back. Does not close the descriptor. */
void loop_forget(struct loop *, struct watch *);

/* The queue is borrowed as long as the loop. */
void timeout_queue_open(struct timeout_queue *, struct loop *, msec span);

/* Rings once, span after loop->now. Set anew, the old time is forgotten. */
void timeout_set(struct timeout *, struct timeout_queue *, const struct loop *);
void timeout_clear(struct timeout *);

/* Waits, but for wait_max ms at most and not over the next time-out, and calls who is due. */
void loop_turn(struct loop *, msec wait_max);

#endif
