/* io.h - the engine's loop: the only door to libuv.
 *
 * One loop turn: poll; then the watches that fired, in the order of their enum io_order (and in the
 * order they were opened within one); then the turn function. So the shell sees the keeper's
 * reports before worker messages before commands, and decides about time last.
 *
 * A watch is level-triggered: a callback that leaves input unread is called again in the next turn,
 * which is how every callback keeps its work bounded. */
#ifndef POOLD_ENGINE_IO_H
#define POOLD_ENGINE_IO_H

#include "common/base.h"
#include "common/err.h"
#include "supervisor/engine/hold.h"

enum io_order { IO_KEEPER, IO_WORKERS, IO_CONTROL, IO_SINKS, IO_ORDER_COUNT };
enum { IO_READ = 1, IO_WRITE = 2 }; /* events of a watch; a hang-up or error shows as IO_READ */

struct io;
struct io_watch;
typedef void io_watch_fn(void *ctx, unsigned events);
typedef void io_turn_fn(void *ctx);

/* turn is called at the end of each loop turn. Returns 0 or a negative errno with err filled. */
int io_create(struct io **out, io_turn_fn *turn, void *ctx, struct err *err);
void io_destroy(struct io **); /* every watch must be closed */

/* Runs until io_stop. */
void io_run(struct io *);
void io_stop(struct io *);

/* CLOCK_MONOTONIC in ms, asked of the kernel now (not the loop's cached time). */
msec io_now(void);

/* The same, asked once at the begin of each loop turn: what everything in the turn goes by. */
msec io_time(const struct io *);

/* How long turns and callbacks held the loop since it was made; whoever has something else to measure
 * adds to the kind that is his. */
struct hold *io_hold(struct io *, enum hold_kind);

/* The next turn begins at deadline at the latest (MSEC_NEVER: when something happens). Of a deadline
 * that is over a millisecond later, so that one that nobody puts off does not take a whole CPU. */
void io_wake_at(struct io *, msec deadline);

/* The next turn begins at once, after what is there by then has been seen: for work in portions. */
void io_again(struct io *);

/* Watches fd (which stays the caller's) for events; calls fn. 0 or a negative errno. */
int io_watch_open(struct io *, struct io_watch **out, int fd, enum io_order, unsigned events,
                  io_watch_fn *fn, void *ctx);
void io_watch_want(struct io_watch *, unsigned events); /* 0: pause */
/* fn is called once, without an event if there is none: in this turn if the watch's order is still to
 * come, else in the next one, which then begins at once. */
void io_watch_wake(struct io_watch *);
/* After it returns fn is not called again and fd may be closed. May be called from any callback. */
void io_watch_close(struct io_watch **);

/* What may wait for a disk is done by a few threads, so that the loop never does.
 *
 * io_write: one write(2) of len bytes, borrowed until done is called; done gets what it returned, or
 * a negative errno, at the end of a later turn's watches. Returns 0, or a negative errno when no
 * thread can be had: then done is not called. io_close_later: close(2), some time. */
typedef void io_done_fn(void *ctx, int64_t result);
int io_write(struct io *, int fd, const char *bytes, size_t len, io_done_fn *done, void *ctx);
void io_close_later(struct io *, int fd);

/* A thread is still at work; perhaps it waits for a disk that never answers. Then the process ends by
 * _exit: io_destroy and exit(3) wait for the threads. */
bool io_threads_work(const struct io *);

#endif
