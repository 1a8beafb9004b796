/* loader.c - runs the loader, which reads the command line and the files, and holds what it gives. */
#include "supervisor/keeper/keeper.h"

/* One thing, whatever became of the loader since. */
bool
loaded_take(int link, int loaded[LOADED_COUNT])
{
    uint32_t which;
    int fd = fds_take(link, &which, sizeof which);
    if (fd < 0 || which >= LOADED_COUNT)
        return false;
    fd_close(&loaded[which]);
    loaded[which] = fd;
    return true;
}

int
loaded_map(struct record *record, int fd)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    uint32_t version;
    if (fcntl(fd, F_GET_SEALS) != seals) {
        say("the loader left no sealed configuration");
        return -EINVAL;
    }
    int error = record_map(record, fd, &version);
    if (error == 0 && record->header->errors == 0 && record->header->engine.count == 0) {
        record_unmap(record);
        error = -EINVAL;
    }
    if (error == -EPROTO)
        say("the loader writes version %u of the configuration, this poold reads version %u: they "
            "come from different installations",
            version, RECORD_VERSION);
    else if (error != 0)
        say("the loader left a broken configuration: %s", strerror(-error));
    return error;
}

int
loader_run(struct keeper *k)
{
    int link, status, signo, stopped = 0;
    pid_t pid = program_start(HELPER_ENGINE_FD, k->loader_argv, &link);
    if (pid < 0) {
        say("cannot start the loader: %s", strerror(-pid));
        return 1;
    }
    /* The one wait outside the loop: there is nothing yet that could be late, and the loader ends
     * itself when it takes too long. */
    while (waitpid(pid, &status, WNOHANG) == 0) {
        sigwait(&k->signals, &signo);
        if (signo == SIGTERM || signo == SIGINT) {
            stopped = signo;
            kill(pid, SIGTERM); /* it gives what it has made before that ends it */
        }
    }
    while (loaded_take(link, k->loaded))
        ;
    fd_close(&link);
    if (stopped == 0 && k->loaded[LOADED_CONFIG] >= 0)
        return loaded_map(&k->record, k->loaded[LOADED_CONFIG]) == 0 ? 0 : 1;
    k->done = true;
    if (stopped == 0 && WIFEXITED(status)) /* it has said all that there is to say */
        return WEXITSTATUS(status);
    if (stopped == 0) {
        say("the loader ended with signal %d", WTERMSIG(status));
        return 1;
    }
    say("stopped by signal %d while the configuration was loaded", stopped);
    /* Nothing was started, so that is a stop in order; a question went without its answer. */
    return k->loaded[LOADED_LOCK] >= 0 ? 0 : 128 + stopped;
}

/* Only names of ours, and only while the lock is ours. */
void
loaded_clean(struct keeper *k)
{
    int runtime = k->loaded[LOADED_RUNTIME];
    if (k->loaded[LOADED_LOCK] < 0)
        return;
    unlinkat(runtime, CONTROL_LINK, 0);
    unlinkat(runtime, "w", AT_REMOVEDIR);
    unlinkat(runtime, "lock", 0);
}
