/* keeper_link.c - the engine's end of the pair that it shares with the keeper. */
#include "supervisor/engine/keeper_link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_KEEP    64u  /* messages: the first size of the queue, which it keeps when empty */
#define LINK_TURN_MAX 16u  /* messages a loop turn: with what follows from them 25 to 70 us each, */
#define LINK_TURN_US  500u /* ... and the rest waits when it has been more */

struct keeper_link {
    struct io_watch *watch;
    int fd;
    keeper_report_fn *report;
    keeper_gone_fn *gone_fn;
    void *ctx;
    bool gone;
    struct verb *queue; /* a ring of what the pair did not take yet */
    uint32_t queue_at, queue_len, queue_cap;
};

/* One message with its descriptors. 1: read, 0: end of the pair, -EAGAIN: nothing there, or another
 * negative errno. Descriptors of a message that is refused are closed. */
static int
link_receive(int fd, struct verb *out, int fds[KEEPER_FDS_MAX], uint32_t *out_count)
{
    struct iovec iov = {.iov_base = out, .iov_len = sizeof *out};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * KEEPER_FDS_MAX)];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do
        n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0)
        return 0;
    uint32_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        assert(count <= KEEPER_FDS_MAX);
        memcpy(fds, CMSG_DATA(c), count * sizeof(int));
    }
    if ((size_t)n < sizeof out->version || out->version != VERB_VERSION ||
        (size_t)n != sizeof *out) {
        for (uint32_t i = 0; i < count; i++)
            close(fds[i]);
        return -EPROTO;
    }
    *out_count = count;
    return 1;
}

int
keeper_hello(int fd, msec limit, struct verb *out, int out_fds[KEEPER_FDS_MAX], struct err *err)
{
    struct verb verb = {0};
    int fds[KEEPER_FDS_MAX];
    uint32_t count = 0;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int r = poll(&wait, 1, (int)limit);
    if (r < 0)
        return err_errno(err, -errno, "waiting for the keeper");
    if (r == 0)
        return err_set(err, -ETIMEDOUT, "the keeper did not say HELLO within %d ms", (int)limit);
    r = link_receive(fd, &verb, fds, &count);
    if (r == -EPROTO)
        return err_set(err, -EPROTO,
                       "the keeper speaks version %u of the verbs, this engine version %u",
                       verb.version, VERB_VERSION);
    if (r <= 0)
        return err_errno(err, r == 0 ? -ECONNRESET : r, "reading the keeper's HELLO");
    if (verb.kind != VERB_HELLO || count != KEEPER_FDS_MAX) {
        for (uint32_t i = 0; i < count; i++)
            close(fds[i]);
        return err_set(err, -EPROTO, "the keeper's first message is %u with %u descriptors",
                       verb.kind, count);
    }
    *out = verb;
    memcpy(out_fds, fds, sizeof fds);
    return 0;
}

static void
link_gone(struct keeper_link *link)
{
    if (link->gone)
        return;
    link->gone = true;
    io_watch_want(link->watch, 0);
    link->gone_fn(link->ctx);
}

bool
keeper_link_read(struct keeper_link *link, struct portion *portion)
{
    while (!link->gone && portion_take(portion)) {
        struct verb verb;
        int fds[KEEPER_FDS_MAX];
        uint32_t count = 0;
        int r = link_receive(link->fd, &verb, fds, &count);
        if (r == -EAGAIN)
            return false;
        if (r <= 0) {
            link_gone(link);
            return false;
        }
        link->report(link->ctx, &verb, fds, count);
    }
    return !link->gone;
}

/* 0, -EAGAIN, or -EPIPE when the keeper has gone (reading will say so). */
static int
link_send(struct keeper_link *link, const struct verb *verb)
{
    ssize_t n;
    do
        n = send(link->fd, verb, sizeof *verb, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof *verb)
        return 0;
    assert(n < 0); /* a SEQPACKET message goes whole or not at all */
    return errno == EAGAIN || errno == ENOBUFS ? -EAGAIN : -EPIPE;
}

static void
link_flush(struct keeper_link *link)
{
    while (link->queue_len > 0) {
        if (link_send(link, &link->queue[link->queue_at]) == -EAGAIN)
            break;
        link->queue_at = (link->queue_at + 1) % link->queue_cap;
        link->queue_len--;
    }
    if (link->queue_len == 0 && link->queue_cap > QUEUE_KEEP) {
        free(link->queue); /* what a burst took is given back */
        link->queue = NULL;
        link->queue_at = link->queue_cap = 0;
    }
    io_watch_want(link->watch, IO_READ | (link->queue_len > 0 ? IO_WRITE : 0));
}

/* The queue is bounded by what the core can have asked of living workers: it grows by doubling and is
 * never larger than a few messages a worker. Out of memory here means that the engine cannot keep its
 * word to the core; it stops, and the keeper starts another. */
static void
link_enqueue(struct keeper_link *link, const struct verb *verb)
{
    if (link->queue_len == link->queue_cap) {
        uint32_t cap = link->queue_cap == 0 ? QUEUE_KEEP : link->queue_cap * 2;
        struct verb *queue = malloc(cap * sizeof *queue);
        if (queue == NULL)
            abort();
        for (uint32_t i = 0; i < link->queue_len; i++)
            queue[i] = link->queue[(link->queue_at + i) % link->queue_cap];
        free(link->queue);
        link->queue = queue;
        link->queue_at = 0;
        link->queue_cap = cap;
    }
    link->queue[(link->queue_at + link->queue_len++) % link->queue_cap] = *verb;
}

void
keeper_ask(struct keeper_link *link, const struct verb *verb)
{
    assert(verb->version == VERB_VERSION);
    if (link->gone)
        return;
    if (link->queue_len == 0 && link_send(link, verb) != -EAGAIN)
        return;
    link_enqueue(link, verb);
    io_watch_want(link->watch, IO_READ | IO_WRITE);
}

bool
keeper_link_flushed(const struct keeper_link *link)
{
    return link->queue_len == 0;
}

static void
link_on_io(void *ctx, unsigned events)
{
    struct keeper_link *link = ctx;
    struct portion portion = portion_of(LINK_TURN_MAX, LINK_TURN_US);
    if (events & IO_READ)
        keeper_link_read(link, &portion);
    if ((events & IO_WRITE) && !link->gone)
        link_flush(link);
}

int
keeper_link_create(struct keeper_link **out, struct io *io, int fd, keeper_report_fn *report,
                   keeper_gone_fn *gone, void *ctx, struct err *err)
{
    struct keeper_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return err_set(err, -ENOMEM, "out of memory for the keeper's link");
    link->fd = fd;
    link->report = report;
    link->gone_fn = gone;
    link->ctx = ctx;
    int r = io_watch_open(io, &link->watch, fd, IO_KEEPER, IO_READ, link_on_io, link);
    if (r != 0) {
        free(link);
        return err_errno(err, r, "the keeper's link cannot be watched");
    }
    *out = link;
    return 0;
}

void
keeper_link_destroy(struct keeper_link **at)
{
    struct keeper_link *link = *at;
    if (link == NULL)
        return;
    io_watch_close(&link->watch);
    close(link->fd);
    free(link->queue);
    free(link);
    *at = NULL;
}
