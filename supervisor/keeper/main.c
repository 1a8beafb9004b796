/* main.c - poold: the order of its start and of its end. */
#include <sys/prctl.h>

#include "supervisor/keeper/keeper.h"

#define FDS_SPARE   64u        /* that always stay free */
#define FDS_LEAST   256u       /* below it there is no room for anything */
#define FDS_MOST    (1u << 20) /* more than any machine needs; some say a thousand million */
#define PLACES_MOST 65536u
#define FDS_OWN     (36u + 2u * CHILDREN_MAX + 3u * PARKED_MAX) /* no worker's, no socket's */
#define LAST_MS     2000 /* for those who were killed to be reaped */

/* Nothing inherited stays open, and as many as the system allows may be opened. */
static int
descriptors_open(struct keeper *k)
{
    int fd;
    /* 0 to 2 exist, so that no file of ours is ever taken for one of them. */
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0 || close_range(3, ~0u, 0) != 0 || getrlimit(RLIMIT_NOFILE, &k->nofile) != 0) {
        say("cannot arrange descriptors: %s", strerror(errno));
        return 1;
    }
    struct rlimit raised = k->nofile;
    raised.rlim_cur = MIN(raised.rlim_max, (rlim_t)FDS_MOST);
    if (raised.rlim_cur > k->nofile.rlim_cur && setrlimit(RLIMIT_NOFILE, &raised) != 0)
        raised.rlim_cur = k->nofile.rlim_cur;
    if (raised.rlim_cur < FDS_LEAST) {
        say("the limit of open files is %u, and poold needs at least %u", (unsigned)raised.rlim_cur,
            FDS_LEAST);
        return 1;
    }
    k->fds_for_workers = (uint32_t)MIN(raised.rlim_cur, (rlim_t)FDS_MOST) - FDS_SPARE - FDS_OWN;
    return 0;
}

/* A worker takes its notify socket and its output pipe, and a pidfd if with it all workers fit that
 * the configuration may ask for, and a quarter more: successors. */
static int
tables_open(struct keeper *k)
{
    uint32_t sockets = k->record.header->sockets;
    uint64_t workers = 0;
    for (uint32_t i = 0; i < k->record.header->pools; i++)
        workers += k->record.pools[i].settings.workers_max;
    if (k->fds_for_workers < sockets + 3) {
        say("%u listening sockets need more open files than the limit allows", sockets);
        return 1;
    }
    uint32_t fds = k->fds_for_workers - sockets;
    /* POOLD_NO_PIDFD: for tests, as when they do not fit. */
    k->sweeping = workers + workers / 4 > fds / 3 || getenv("POOLD_NO_PIDFD") != NULL;
    k->state_fd = memfd_create("poold-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (k->state_fd >= 0 && sockets_open(k) == 0 &&
        workers_open(&k->workers, MIN(fds / (k->sweeping ? 2 : 3), PLACES_MOST)) == 0 &&
        messages_open(k) == 0)
        return 0;
    say("cannot make the tables: %s", strerror(errno));
    return 1;
}

static int
keeper_run(struct keeper *k)
{
    dup2(HELPER_LINK_FD, STDIN_FILENO); /* /dev/null: only the loader may read what is ours */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        say("cannot adopt what workers leave behind: %s", strerror(errno));
    children_open(k);
    engine_start(k);
    loop_run(k);

    /* After an ordinary end there are none. */
    for (uint32_t i = 0; i < k->workers.used; i++) {
        struct child *dying = &k->workers.v[i].child;
        if (k->workers.v[i].in < IN_SPAWNED)
            continue;
        if (kill(-dying->pid, SIGKILL) != 0)
            kill(dying->pid, SIGKILL); /* it does not lead a group yet */
        child_close(k, dying);
    }
    children_close(k);
    /* Bounded: who sleeps unkillably is left to init. */
    pid_t pid;
    for (msec limit = clock_now() + LAST_MS;
         (pid = waitpid(-1, NULL, WNOHANG)) >= 0 && clock_now() < limit;) {
        if (pid == 0)
            sigtimedwait(&k->signals, NULL, &(struct timespec){.tv_nsec = 1000000});
    }
    sockets_close(k);
    return k->status;
}

int
main(int argc, char **argv)
{
    static struct keeper keeper;
    struct keeper *k = &keeper;
    int (*const stages[])(struct keeper *) = {descriptors_open, programs_open, loop_open,
                                              loader_run,       tables_open,   keeper_run};
    k->loader_argv = table_map((size_t)argc + 3, sizeof *k->loader_argv);
    if (k->loader_argv == NULL)
        return 1;
    k->loader_argv[0] = "poold-engine";
    k->loader_argv[1] = "--load";
    memcpy(k->loader_argv + 2, argv, (size_t)argc * sizeof *argv);
    k->state_fd = k->engine.link = -1;
    memset(k->loaded, -1, sizeof k->loaded);
    umask(077);
    int status = 0;
    for (size_t i = 0; i < ARRAY_LEN(stages) && status == 0 && !k->done; i++)
        status = stages[i](k);
    loaded_clean(k);
    return status;
}
