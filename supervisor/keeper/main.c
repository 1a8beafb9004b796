/* main.c - poold: the order of its start and of its end. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"

#define FDS_LEAST   256u       /* below it there is no room for anything */
#define FDS_MOST    (1u << 20) /* more than any machine needs; some say a thousand million */
#define PLACES_MOST 65536u
#define FDS_OWN     (36u + 5u * PARKED_MAX + ASKED_MAX) /* that are no worker's and no socket's */
#define LAST_MS     2000 /* for those who were killed to be reaped */

/* 0 is nobody's input; 1 and 2 exist, so that no file of ours is ever written to as one of them. */
static int
standard_fds_open(void)
{
    int fd = open("/dev/null", O_RDWR);
    if (fd < 0 || (fd != 0 && dup2(fd, 0) < 0))
        return -errno;
    for (int standard = 1; standard <= 2; standard++) {
        if (fcntl(standard, F_GETFD) < 0 && dup2(0, standard) < 0)
            return -errno;
    }
    return 0; /* fd itself goes with everything above 2 */
}

/* Nothing inherited stays open, and as many as the system allows may be opened. */
static int
descriptors_open(struct keeper *k)
{
    if (standard_fds_open() != 0 || close_range(3, ~0u, 0) != 0 ||
        getrlimit(RLIMIT_NOFILE, &k->nofile) != 0) {
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

/* Notify socket, output pipe, and a pidfd each, if with it all workers fit that the configuration may
 * ask for, and a quarter more: successors. POOLD_NO_PIDFD: for tests, as when they do not fit. */
static uint32_t
places_decide(struct keeper *k)
{
    uint64_t wanted = 0;
    for (uint32_t i = 0; i < k->record.header->pools; i++)
        wanted += k->record.pools[i].settings.workers_max;
    wanted += wanted / 4;
    k->sweeping = wanted > k->fds_for_workers / 3 || getenv("POOLD_NO_PIDFD") != NULL;
    return MIN(k->fds_for_workers / (k->sweeping ? 2 : 3), PLACES_MOST);
}

static int
tables_open(struct keeper *k)
{
    uint32_t sockets = k->record.header->sockets;
    if (k->fds_for_workers < sockets + 3) {
        say("%u listening sockets need more open files than the limit allows", sockets);
        return 1;
    }
    k->fds_for_workers -= sockets;
    int error = workers_open(&k->workers, places_decide(k));
    if (error == 0)
        error = sockets_open(k);
    if (error == 0)
        error = messages_open(k);
    k->state_fd = memfd_create("poold-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (error != 0 || k->state_fd < 0) {
        say("cannot make the tables: %s", strerror(error != 0 ? -error : errno));
        return 1;
    }
    return 0;
}

static int
keeper_run(struct keeper *k)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        say("cannot adopt what workers leave behind: %s", strerror(errno));
    children_open(k);
    engine_start(k);
    loop_run(k);

    workers_kill(k); /* after an ordinary end there are none */
    children_close(k);
    exits_reap_all(LAST_MS);
    sockets_close(k);
    return k->status;
}

int
main(int argc, char **argv)
{
    static struct keeper keeper;
    struct keeper *k = &keeper;
    int status = options_read(&k->options, argc, argv);
    if (status >= 0)
        return status;
    if (k->options.check || k->options.version)
        programs_run_engine(&k->options);

    k->root = geteuid() == 0;
    k->lock_fd = k->control_fd = k->state_fd = k->config_fd = k->engine.link = -1;
    umask(077);
    status = descriptors_open(k);
    if (status == 0)
        status = programs_open();
    if (status == 0 && loop_open(k) != 0) {
        say("cannot make an event loop: %s", strerror(errno));
        status = 1;
    }
    if (status == 0)
        status = runtime_open(k);
    if (status == 0)
        status = loader_run(k);
    if (status == 0 && !k->done)
        status = tables_open(k);
    if (status == 0 && !k->done)
        status = keeper_run(k);
    runtime_clean(k);
    return status;
}
