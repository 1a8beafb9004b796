/* main.c - poold: the order of its start and of its end. */
#include <sys/prctl.h>

#include "supervisor/keeper/keeper.h"

#define LAST_MS 2000 /* for those who were killed to be reaped */

/* Nothing inherited stays open but sockets that were meant for us. */
static int
descriptors_open(struct keeper *k)
{
    int fd;
    /* 0 to 2 exist, so that no file of ours is ever taken for one of them. */
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0 || inherited_open(k) != 0 || getrlimit(RLIMIT_NOFILE, &k->nofile) != 0) {
        say("cannot arrange descriptors: %s", strerror(errno));
        return 1;
    }
    return 0;
}

static int
tables_open(struct keeper *k)
{
    const struct record_header *header = k->record.header;
    const struct rlimit raised = {header->nofile, k->nofile.rlim_max};
    k->sweeping = !header->pidfds;
    inherited_check(k);
    k->state_fd = memfd_create("poold-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0 && k->state_fd >= 0 &&
        (k->sockets = sockets_map(&k->record)) != NULL &&
        workers_open(&k->workers, header->places) == 0 && messages_open(k) == 0)
        return 0;
    say("cannot make the tables: %s", strerror(errno));
    return 1;
}

static int
keeper_run(struct keeper *k)
{
    dup2(HELPER_LINK_FD, STDIN_FILENO); /* /dev/null: only the loader may read what is ours */
    if (control_open(k) != 0)
        return 1;
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
    sockets_close(k, k->sockets, &k->record);
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
    k->state_fd = k->engine.link = k->next.link = k->next.fd = -1;
    memset(k->loaded, -1, sizeof k->loaded);
    umask(077);
    int status = 0;
    for (size_t i = 0; i < ARRAY_LEN(stages) && status == 0 && !k->done; i++)
        status = stages[i](k);
    loaded_clean(k);
    return status;
}
