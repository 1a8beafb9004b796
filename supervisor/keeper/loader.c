/* loader.c - runs the loader and takes the compiled configuration that it leaves. */
#include "supervisor/keeper/keeper.h"

#define LOADER_LIMIT_S 60
#define EXIT_CONFIG    78

/* The one wait outside the loop: there is nothing yet that could be late. */
static int
loader_wait(struct keeper *k, pid_t pid)
{
    msec limit = clock_now() + LOADER_LIMIT_S * 1000;
    int status, signo = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_now() >= limit || signo == SIGTERM || signo == SIGINT) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            break;
        }
        signo = sigtimedwait(&k->signals, NULL, &(struct timespec){.tv_sec = LOADER_LIMIT_S});
    }
    k->done = signo == SIGTERM || signo == SIGINT; /* nothing was started: a stop in order */
    if (!k->done && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (k->done)
        say("stopped by signal %d while the configuration was loaded", signo);
    else
        say("the loader ended with %s %d", WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return k->done ? 0 : 1;
}

static int
config_take(struct keeper *k)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat status;
    if (fcntl(k->config_fd, F_GET_SEALS) != seals || fstat(k->config_fd, &status) != 0) {
        say("the loader left no sealed configuration");
        return 1;
    }
    size_t size = (size_t)status.st_size;
    void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, k->config_fd, 0);
    int error = map == MAP_FAILED ? -errno : record_open(&k->record, map, size);
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
    const char *argv[3 + PASSED_MAX] = {"poold-engine", "--load"};
    memcpy(argv + 2, k->passed, k->passed_count * sizeof *argv);
    k->config_fd = memfd_create("poold-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    pid_t pid = k->config_fd < 0 ? -errno : program_start(HELPER_ENGINE_FD, argv, k->config_fd);
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
    fprintf(stderr, "%s", k->record.text);
    say("the configuration has %u error%s; nothing was started", k->record.header->errors,
        k->record.header->errors == 1 ? "" : "s");
    return EXIT_CONFIG;
}
