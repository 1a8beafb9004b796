/* io.c - the engine's loop: the only file that includes uv.h.
 *
 * What is used of libuv, and why no more, is measured in the design notes: uv_poll, one timer, one
 * check and one idle handle; and its threads, for what may wait for a disk. libuv runs timers before it
 * polls, so the timer only notes that time has come and starts the idle handle, which makes the poll
 * return at once; what is decided about time is decided in the check phase, when pending input has
 * been seen. Each change of what a uv_poll waits for is two system calls (out of the epoll set, and in
 * again). */
#include "supervisor/engine/io.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

struct io_watch {
    uv_poll_t poll;
    struct io *io;
    io_watch_fn *fn;
    void *ctx;
    struct io_watch *next; /* in io.fired[order] */
    enum io_order order;
    unsigned fired;  /* events since the last dispatch */
    unsigned wanted; /* events that the kernel is asked for */
    bool woken;      /* by io_watch_wake since the last dispatch */
    bool listed;     /* in the fired list, or in what is being dispatched of it */
    bool closed;
};

/* What a thread does. */
struct io_work {
    uv_fs_t fs;
    struct io *io;
    io_done_fn *done; /* NULL: nobody waits for it */
    void *ctx;
    struct io_work *next; /* in io.done */
};

/* Files of four hung disks at a time; a fifth waits. */
#define THREADS      4
#define THREADS_TEXT "4"

struct io {
    uv_loop_t loop;
    uv_timer_t timer;
    uv_check_t check;
    uv_idle_t idle;
    io_turn_fn *turn;
    void *ctx;
    struct io_watch *fired[IO_ORDER_COUNT], **fired_end[IO_ORDER_COUNT];
    struct io_work *done, **done_end; /* what threads have finished */
    uint32_t works;                   /* that threads have not finished */
    bool threads_made;
    uint32_t watches; /* open */
    msec wake_at;
    msec time;               /* of this turn */
    struct hold_mark marked; /* when the callback that runs began */
    struct hold holds[HOLD_KIND_COUNT];
};

msec
io_now(void)
{
    struct timespec ts;
    int r = clock_gettime(CLOCK_MONOTONIC, &ts);
    assert(r == 0);
    return (msec)ts.tv_sec * 1000 + (msec)ts.tv_nsec / 1000000;
}

msec
io_time(const struct io *io)
{
    return io->time;
}

struct hold *
io_hold(struct io *io, enum hold_kind kind)
{
    assert(kind < HOLD_KIND_COUNT);
    return &io->holds[kind];
}

/* The callback that ran has ended, and the next one begins. */
static void
io_note_callback(struct io *io)
{
    struct hold_mark now = hold_mark();
    hold_add(&io->holds[HOLD_CALLBACK], io->marked, now);
    io->marked = now;
}

static void
io_on_idle(uv_idle_t *idle)
{
    (void)idle; /* its being active is all that is wanted */
}

void
io_again(struct io *io)
{
    int r = uv_idle_start(&io->idle, io_on_idle);
    assert(r == 0);
}

static void
io_on_timer(uv_timer_t *timer)
{
    struct io *io = timer->data;
    io->wake_at = MSEC_NEVER;
    io_again(io);
}

static void
io_list(struct io_watch *watch)
{
    if (watch->listed)
        return;
    watch->listed = true;
    watch->next = NULL;
    *watch->io->fired_end[watch->order] = watch;
    watch->io->fired_end[watch->order] = &watch->next;
}

/* Does nothing to what is being dispatched: that chain must hold. */
static void
io_unlist(struct io_watch *watch)
{
    struct io *io = watch->io;
    struct io_watch **at = &io->fired[watch->order];
    while (*at != NULL && *at != watch)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = watch->next;
    if (watch->next == NULL)
        io->fired_end[watch->order] = at;
    watch->listed = false;
}

static void
io_dispatch(struct io *io, enum io_order order)
{
    struct io_watch *watch = io->fired[order];
    io->fired[order] = NULL;
    io->fired_end[order] = &io->fired[order];
    while (watch != NULL) {
        struct io_watch *next = watch->next;
        unsigned events = watch->fired & watch->wanted;
        bool due = !watch->closed && (events != 0 || watch->woken);
        watch->fired = 0;
        watch->woken = watch->listed = false;
        if (due) {
            watch->fn(watch->ctx, events);
            io_note_callback(io);
        }
        watch = next;
    }
}

static void
io_dispatch_done(struct io *io)
{
    struct io_work *work = io->done;
    io->done = NULL;
    io->done_end = &io->done;
    while (work != NULL) {
        struct io_work *next = work->next;
        if (work->done != NULL) {
            work->done(work->ctx, work->fs.result);
            io_note_callback(io);
        }
        free(work);
        work = next;
    }
}

static void
io_on_check(uv_check_t *check)
{
    struct io *io = check->data;
    uv_idle_stop(&io->idle);
    struct hold_mark begun = io->marked = hold_mark();
    io->time = begun.wall_ns / 1000000;
    for (enum io_order order = 0; order < IO_ORDER_COUNT; order++)
        io_dispatch(io, order);
    io_dispatch_done(io);
    io->turn(io->ctx);
    io_note_callback(io);
    hold_add(&io->holds[HOLD_TURN], begun, io->marked);
    for (enum io_order order = 0; order < IO_ORDER_COUNT; order++) {
        if (io->fired[order] != NULL) /* woken too late for this turn */
            io_again(io);
    }
}

static void
io_on_poll(uv_poll_t *poll, int status, int events)
{
    struct io_watch *watch = poll->data;
    unsigned seen = 0;
    if (status < 0 || (events & UV_READABLE))
        seen |= IO_READ;
    if (events & UV_WRITABLE)
        seen |= IO_WRITE;
    if (status < 0) {
        /* An error wakes whoever waits: the next read or write will say what it is. libuv has
         * stopped the handle; it is asked for again, so that a watch stays level-triggered. */
        unsigned wanted = watch->wanted;
        watch->wanted = 0;
        io_watch_want(watch, wanted);
        seen |= wanted;
    }
    watch->fired |= seen;
    if (seen != 0)
        io_list(watch);
}

int
io_create(struct io **out, io_turn_fn *turn, void *ctx, struct err *err)
{
    assert(turn != NULL);
    struct io *io = calloc(1, sizeof *io);
    if (io == NULL)
        return err_set(err, -ENOMEM, "out of memory for the event loop");
    int r = uv_loop_init(&io->loop);
    if (r != 0) {
        free(io);
        return err_errno(err, r, "the event loop cannot be made");
    }
    io->turn = turn;
    io->ctx = ctx;
    io->wake_at = MSEC_NEVER;
    io->time = io_now();
    for (size_t i = 0; i < IO_ORDER_COUNT; i++)
        io->fired_end[i] = &io->fired[i];
    io->done_end = &io->done;
    uv_timer_init(&io->loop, &io->timer);
    uv_check_init(&io->loop, &io->check);
    uv_idle_init(&io->loop, &io->idle);
    io->timer.data = io->check.data = io->idle.data = io;
    r = uv_check_start(&io->check, io_on_check);
    assert(r == 0);
    *out = io;
    return 0;
}

void
io_destroy(struct io **at)
{
    struct io *io = *at;
    if (io == NULL)
        return;
    assert(io->watches == 0);
    uv_check_stop(&io->check);
    uv_close((uv_handle_t *)&io->timer, NULL);
    uv_close((uv_handle_t *)&io->check, NULL);
    uv_close((uv_handle_t *)&io->idle, NULL);
    uv_run(&io->loop, UV_RUN_DEFAULT); /* until handles and descriptors are closed */
    io_dispatch_done(io);
    int r = uv_loop_close(&io->loop);
    assert(r == 0);
    free(io);
    *at = NULL;
}

void
io_run(struct io *io)
{
    uv_run(&io->loop, UV_RUN_DEFAULT);
}

void
io_stop(struct io *io)
{
    uv_stop(&io->loop);
}

void
io_wake_at(struct io *io, msec deadline)
{
    if (deadline == io->wake_at)
        return;
    io->wake_at = deadline;
    if (deadline == MSEC_NEVER) {
        uv_timer_stop(&io->timer);
        return;
    }
    uv_update_time(&io->loop); /* uv_timer counts from its cached time */
    msec now = io_now();
    /* Never 0: a zero timer that is armed in its own turn starves everything else. */
    msec delay = deadline > now ? deadline - now : 1;
    int r = uv_timer_start(&io->timer, io_on_timer, delay, 0);
    assert(r == 0);
}

int
io_watch_open(struct io *io, struct io_watch **out, int fd, enum io_order order, unsigned events,
              io_watch_fn *fn, void *ctx)
{
    assert(fd >= 0 && order < IO_ORDER_COUNT && fn != NULL);
    struct io_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return -ENOMEM;
    int r = uv_poll_init(&io->loop, &watch->poll, fd);
    if (r != 0) {
        free(watch);
        return r;
    }
    watch->io = io;
    watch->fn = fn;
    watch->ctx = ctx;
    watch->order = order;
    watch->poll.data = watch;
    io->watches++;
    io_watch_want(watch, events);
    *out = watch;
    return 0;
}

void
io_watch_want(struct io_watch *watch, unsigned events)
{
    assert(!watch->closed);
    if (events == watch->wanted)
        return;
    watch->wanted = events;
    if (events == 0) {
        uv_poll_stop(&watch->poll);
        return;
    }
    int mask = ((events & IO_READ) ? UV_READABLE : 0) | ((events & IO_WRITE) ? UV_WRITABLE : 0);
    int r = uv_poll_start(&watch->poll, mask, io_on_poll);
    assert(r == 0);
}

void
io_watch_wake(struct io_watch *watch)
{
    assert(!watch->closed);
    watch->woken = true;
    io_list(watch);
}

static void
io_on_closed(uv_handle_t *handle)
{
    struct io_watch *watch = handle->data;
    assert(!watch->listed);
    free(watch);
}

void
io_watch_close(struct io_watch **at)
{
    struct io_watch *watch = *at;
    if (watch == NULL)
        return;
    assert(!watch->closed);
    watch->closed = true;
    watch->io->watches--;
    /* Freed in the closing phase, which comes after the check phase: a watch that has fired and is
     * closed by another callback of this turn stays valid until its turn has passed. One that was woken
     * for the next turn would not. */
    io_unlist(watch);
    uv_close((uv_handle_t *)&watch->poll, io_on_closed);
    *at = NULL;
}

/* --- threads */
static void
thread_wait(void *all_made)
{
    uv_sem_wait(all_made);
}

/* libuv aborts when it cannot make its threads (a limit of processes, no memory): so it is tried. */
static bool
threads_try(void)
{
    uv_thread_t threads[THREADS];
    uv_sem_t all_made;
    int made = 0;
    if (uv_sem_init(&all_made, 0) != 0)
        return false;
    while (made < THREADS && uv_thread_create(&threads[made], thread_wait, &all_made) == 0)
        made++;
    for (int i = 0; i < made; i++)
        uv_sem_post(&all_made);
    for (int i = 0; i < made; i++)
        uv_thread_join(&threads[i]);
    uv_sem_destroy(&all_made);
    return made == THREADS;
}

static void
io_on_done(uv_fs_t *fs)
{
    struct io_work *work = fs->data;
    struct io *io = work->io;
    io->works--;
    uv_fs_req_cleanup(fs);
    work->next = NULL;
    *io->done_end = work;
    io->done_end = &work->next;
}

/* NULL: no thread can be had. */
static struct io_work *
work_create(struct io *io, io_done_fn *done, void *ctx)
{
    if (!io->threads_made) {
        setenv("UV_THREADPOOL_SIZE", THREADS_TEXT, 1);
        io->threads_made = threads_try();
    }
    struct io_work *work = io->threads_made ? calloc(1, sizeof *work) : NULL;
    if (work == NULL)
        return NULL;
    *work = (struct io_work){.fs.data = work, .io = io, .done = done, .ctx = ctx};
    io->works++;
    return work;
}

int
io_write(struct io *io, int fd, const char *bytes, size_t len, io_done_fn *done, void *ctx)
{
    assert(fd >= 0 && len > 0 && done != NULL);
    struct io_work *work = work_create(io, done, ctx);
    if (work == NULL)
        return -EAGAIN;
    /* libuv never writes to what a write is given. */
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)MIN(len, (size_t)INT32_MAX));
    int r = uv_fs_write(&io->loop, &work->fs, fd, &buffer, 1, -1, io_on_done);
    assert(r == 0);
    return 0;
}

void
io_close_later(struct io *io, int fd)
{
    struct io_work *work = work_create(io, NULL, NULL);
    if (work == NULL) {
        close(fd);
        return;
    }
    int r = uv_fs_close(&io->loop, &work->fs, fd, io_on_done);
    assert(r == 0);
}

bool
io_threads_work(const struct io *io)
{
    return io->works > 0;
}
