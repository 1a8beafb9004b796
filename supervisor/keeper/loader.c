/* loader.c - runs the loader and takes the compiled configuration that it leaves. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

#define LOADER_LIMIT_MS 60000
#define EXIT_CONFIG     78

/* The one wait outside the loop: there is nothing yet that could be late. */
static int
loader_wait(struct keeper *k, pid_t pid)
{
    msec limit = clock_now() + LOADER_LIMIT_MS;
    struct pollfd signals = {.fd = k->signal_fd, .events = POLLIN};
    struct signalfd_siginfo info;
    int status, stopped_by = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        msec now = clock_now();
        if (now >= limit || stopped_by != 0) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            break;
        }
        if (poll(&signals, 1, (int)(limit - now)) == 1 &&
            read(k->signal_fd, &info, sizeof info) == (ssize_t)sizeof info &&
            (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT))
            stopped_by = (int)info.ssi_signo;
    }
    if (stopped_by != 0) {
        say("stopped by signal %d while it loaded the configuration", stopped_by);
        k->done = true; /* nothing was started: that is a stop in order */
        return 0;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (clock_now() >= limit)
        say("the loader did not read %s within %d s", k->options.config, LOADER_LIMIT_MS / 1000);
    else if (WIFSIGNALED(status))
        say("the loader was killed by signal %d", WTERMSIG(status));
    else
        say("the loader ended with status %d", WEXITSTATUS(status));
    return 1;
}

static int
config_take(struct keeper *k)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat status;
    int have = fcntl(k->config_fd, F_GET_SEALS);
    if (have < 0 || (have & seals) != seals || fstat(k->config_fd, &status) != 0 ||
        status.st_size == 0) {
        say("the loader left no sealed configuration");
        return 1;
    }
    size_t size = (size_t)status.st_size;
    void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, k->config_fd, 0);
    int error = map == MAP_FAILED ? -errno : record_open(&k->record, map, size);
    if (error == 0)
        return 0;
    if (error == -EPROTO)
        say("the loader writes version %u of the configuration, this poold reads version %u: they "
            "come from different installations",
            ((const struct record_header *)map)->version, RECORD_VERSION);
    else
        say("the loader left a broken configuration: %s", strerror(-error));
    return 1;
}

int
loader_run(struct keeper *k)
{
    const char *const argv[] = {"poold-engine",     "--load",
                                "--config",         k->options.config,
                                "--engine-user",    k->options.engine_user,
                                "--state-dir",      k->options.state,
                                NULL};
    k->config_fd = memfd_create("poold-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    pid_t pid = k->config_fd < 0 ? -errno
                                 : program_start(HELPER_ENGINE_FD, argv, k->config_fd, false);
    if (pid < 0) {
        say("cannot start the loader: %s", strerror(-pid));
        return 1;
    }
    int status = loader_wait(k, pid);
    if (status == 0 && !k->done)
        status = config_take(k);
    if (status != 0 || k->done || k->record.header->errors == 0)
        return status;
    /* All errors, not the first; as long as they are, so not by say(). */
    const char *text = k->record.text;
    size_t length = strlen(text);
    fprintf(stderr, "%s%s", text, length > 0 && text[length - 1] == '\n' ? "" : "\n");
    say("%s has %u error%s; nothing was started", k->options.config, k->record.header->errors,
        k->record.header->errors == 1 ? "" : "s");
    return EXIT_CONFIG;
}
