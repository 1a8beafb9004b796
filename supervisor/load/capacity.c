/* capacity.c - what fits into the limit of open files: how many workers the keeper can hold, and
 * whether each can have a descriptor that tells of its death. */
#include "supervisor/load/capacity.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define FDS_SPARE 64u        /* that always stay free */
#define FDS_LEAST 256u       /* below it there is no room for anything */
#define FDS_MOST  (1u << 20) /* more than any machine needs; some say a thousand million */

/* As many as the system allows. It is tried, because a limit above the system's own, which was
 * lowered since, cannot be set again. */
static uint32_t
nofile_raised(void)
{
    struct rlimit limit, raised;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    raised = limit;
    raised.rlim_cur = MIN(limit.rlim_max, (rlim_t)FDS_MOST);
    if (raised.rlim_cur <= limit.rlim_cur || setrlimit(RLIMIT_NOFILE, &raised) != 0)
        return (uint32_t)MIN(limit.rlim_cur, (rlim_t)FDS_MOST);
    setrlimit(RLIMIT_NOFILE, &limit);
    return (uint32_t)raised.rlim_cur;
}

/* The keeper holds on to the sockets that it was started with (sd_listen_fds(3)). */
static uint32_t
inherited(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    if (pid == NULL || fds == NULL || strtol(pid, NULL, 10) != getppid())
        return 0;
    return (uint32_t)MAX(0, MIN(strtol(fds, NULL, 10), (long)FDS_LEAST));
}

void
capacity_set(struct record_header *header, uint32_t sockets, uint64_t workers)
{
    uint32_t needed = FDS_SPARE + RECORD_KEEPER_FDS + inherited() + sockets;
    header->nofile = nofile_raised();
    uint32_t fds = header->nofile > needed ? header->nofile - needed : 0;
    /* A worker takes its notify socket and its output pipe, and a pidfd if with it all workers fit
     * that the configuration may ask for, and a quarter more: successors. POOLD_NO_PIDFD: for
     * tests, as when they do not fit. */
    header->pidfds = workers + workers / 4 <= fds / 3 && getenv("POOLD_NO_PIDFD") == NULL;
    header->places = fds < 3 ? 0 : MIN(fds / (header->pidfds ? 3 : 2), RECORD_PLACES_MAX);
}

int
capacity_check(const struct record_header *header, struct err *err)
{
    if (header->nofile < FDS_LEAST)
        return err_set(err, -EMFILE, "the limit of open files is %u, and poold needs at least %u",
                       header->nofile, FDS_LEAST);
    if (header->places == 0)
        return err_set(err, -EMFILE,
                       "%u listening sockets need more open files than the limit allows",
                       record_pool_sockets(header));
    return 0;
}
