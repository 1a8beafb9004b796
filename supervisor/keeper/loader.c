/* loader.c - runs the loader, which reads the command line and the files, and holds what it gives. */
#include "supervisor/keeper/keeper.h"

#define LOADER_LIMIT_S 60

/* The one wait outside the loop: there is nothing yet that could be late. Returns the signal that
 * asked to stop, or 0. */
static int
loader_wait(struct keeper *k, pid_t pid, int *status)
{
    msec limit = clock_now() + LOADER_LIMIT_S * 1000;
    int signo = 0;
    while (waitpid(pid, status, WNOHANG) == 0) {
        if (clock_now() >= limit || signo == SIGTERM || signo == SIGINT) {
            kill(pid, SIGKILL);
            waitpid(pid, status, 0);
            break;
        }
        signo = sigtimedwait(&k->signals, NULL, &(struct timespec){.tv_sec = LOADER_LIMIT_S});
    }
    return signo == SIGTERM || signo == SIGINT ? signo : 0;
}

/* One thing, whatever became of the loader since. Whether there was one. */
static bool
loaded_take(struct keeper *k, int link)
{
    uint32_t which;
    struct iovec iov = {&which, sizeof which};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    if (recvmsg(link, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof which ||
        which >= LOADED_COUNT || CMSG_FIRSTHDR(&message) == NULL)
        return false;
    fd_close(&k->loaded[which]);
    memcpy(&k->loaded[which], CMSG_DATA(&control.header), sizeof(int));
    return true;
}

static int
config_open(struct keeper *k)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    int fd = k->loaded[LOADED_CONFIG];
    struct stat status;
    if (fcntl(fd, F_GET_SEALS) != seals || fstat(fd, &status) != 0) {
        say("the loader left no sealed configuration");
        return 1;
    }
    size_t size = (size_t)status.st_size;
    void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    int error = map == MAP_FAILED ? -errno : record_open(&k->record, map, size);
    if (error == 0 && k->record.header->engine.count == 0)
        error = -EINVAL;
    if (error == -EPROTO)
        say("the loader writes version %u of the configuration, this poold reads version %u: they "
            "come from different installations",
            ((const struct record_header *)map)->version, RECORD_VERSION);
    else if (error != 0)
        say("the loader left a broken configuration: %s", strerror(-error));
    return error == 0 ? 0 : 1;
}

int
loader_run(struct keeper *k)
{
    int link, status = 0;
    pid_t pid = program_start(HELPER_ENGINE_FD, k->loader_argv, &link);
    if (pid < 0) {
        say("cannot start the loader: %s", strerror(-pid));
        return 1;
    }
    int signo = loader_wait(k, pid, &status);
    while (loaded_take(k, link))
        ;
    fd_close(&link);
    if (signo == 0 && k->loaded[LOADED_CONFIG] >= 0)
        return config_open(k);
    k->done = true;
    if (signo == 0 && WIFEXITED(status)) /* it has said all that there is to say */
        return WEXITSTATUS(status);
    if (signo == 0) {
        say("the loader ended with signal %d", WTERMSIG(status));
        return 1;
    }
    say("stopped by signal %d while the configuration was loaded", signo);
    /* Nothing was started, so that is a stop in order; a question went without its answer. */
    return k->loaded[LOADED_LOCK] >= 0 ? 0 : 128 + signo;
}

/* Only names of ours, and only while the lock is ours. */
void
loaded_clean(struct keeper *k)
{
    int runtime = k->loaded[LOADED_RUNTIME];
    if (k->loaded[LOADED_LOCK] < 0)
        return;
    if (k->loaded[LOADED_CONTROL] >= 0)
        unlinkat(runtime, "control", 0);
    unlinkat(runtime, "w", AT_REMOVEDIR);
    unlinkat(runtime, "lock", 0);
}
