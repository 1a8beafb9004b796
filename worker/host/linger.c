/* linger.c - reads and throws away what clients still send after our last answer. */
#include "worker/host/linger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/host/server.h"

enum { LINGERING_MAX = 256, BYTES_MAX = 32 * 1024 * 1024, BYTES_A_TURN = 64 * 1024 };

struct lingering {
    struct watch watch; /* first: whoever is watched or late is one of these */
    struct timeout timeout;
    struct server *server;
    size_t bytes;
};

static void
end(struct lingering *lingering)
{
    struct server *server = lingering->server;
    loop_forget(&server->loop, &lingering->watch);
    close(lingering->watch.fd);
    timeout_clear(&lingering->timeout);
    free(lingering);
    server->lingering_count--;
}

static void
hear(struct watch *watch, uint32_t events)
{
    static char nowhere[BYTES_A_TURN];
    struct lingering *lingering = (struct lingering *)watch;
    ssize_t n = read(watch->fd, nowhere, sizeof nowhere);
    (void)events;
    lingering->bytes += n > 0 ? (size_t)n : 0;
    if (n == 0 || (n < 0 && errno != EAGAIN) || lingering->bytes > BYTES_MAX)
        end(lingering);
}

static void
late(struct timeout *timeout)
{
    end((struct lingering *)(void *)((char *)timeout - offsetof(struct lingering, timeout)));
}

void
linger_begin(struct server *server, int fd)
{
    struct lingering *lingering = NULL;
    int own = -1;
    if (server->lingering_count < LINGERING_MAX)
        own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own >= 0)
        lingering = calloc(1, sizeof *lingering);
    if (lingering == NULL) {
        if (own >= 0)
            close(own);
        return;
    }
    lingering->watch = (struct watch){.fd = own, .ready = hear};
    lingering->timeout.ring = late;
    lingering->server = server;
    server->lingering_count++;
    timeout_set(&lingering->timeout, &server->linger_queue, &server->loop);
    if (loop_watch(&server->loop, &lingering->watch, EPOLLIN) != 0)
        end(lingering);
}

/* Each has its time-out, so the queue is the list of them. */
void
linger_end(struct server *server)
{
    while (server->linger_queue.head != NULL)
        late(server->linger_queue.head);
}
