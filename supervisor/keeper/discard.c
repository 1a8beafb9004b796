/* discard.c - no engine for a while: reads and throws away what workers say, so that none of them
 * blocks on a full pipe or a full socket. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"

#define CHUNK 4096

static void discard_add(struct keeper *k, int fd);

void
discard_start(struct keeper *k)
{
    if (k->discard_fd >= 0 || k->engine.attached)
        return;
    /* Its own epoll: closing it forgets them all, and the loop sees one descriptor. */
    k->discard_fd = epoll_create1(EPOLL_CLOEXEC);
    if (k->discard_fd < 0 || loop_watch(k, k->discard_fd, EPOLLIN, TAG_DISCARD, 0) != 0) {
        discard_stop(k);
        timer_set(k, TIMER_DISCARD, k->now + 1000);
        return;
    }
    for (uint32_t i = 0; i < k->workers.used; i++) {
        struct worker *worker = &k->workers.v[i];
        if (worker_is_alive(worker) && worker->kind == SPAWN_WORKER) {
            discard_add(k, worker->channel.notify);
            discard_add(k, worker->channel.output);
        }
    }
}

void
discard_stop(struct keeper *k)
{
    fd_close(&k->discard_fd);
}

/* One chunk of each: nobody has more than a turn's share of the loop. */
void
discard_ready(struct keeper *k, uint32_t index)
{
    (void)index;
    struct epoll_event events[TURN_MAX];
    char chunk[CHUNK];
    if (k->discard_fd < 0)
        return;
    int count = epoll_wait(k->discard_fd, events, TURN_MAX, 0);
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        ssize_t size = read(fd, chunk, sizeof chunk);
        /* An end that comes once would come for ever; the descriptor itself is kept. */
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
            epoll_ctl(k->discard_fd, EPOLL_CTL_DEL, fd, NULL);
    }
}

/* One that cannot be watched is not read: its worker may block, and no other. */
static void
discard_add(struct keeper *k, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(k->discard_fd, EPOLL_CTL_ADD, fd, &event);
}
