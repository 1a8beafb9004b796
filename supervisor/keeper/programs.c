/* programs.c - the two programs beside poold: found and opened once, executed by descriptor, so
 * that a package upgrade cannot put another version under a running poold. */
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/syscall.h>

#include "supervisor/keeper/keeper.h"

struct start {
    int image;
    const char *const *argv;
    bool with_engine_image;
};

static int
image_open(const char *name)
{
    char path[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
    const char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
    if (slash != NULL) {
        snprintf(path + (slash - path) + 1, 32, "%s", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            return fd;
    }
    snprintf(path, sizeof path, "%s/%s", POOLD_LIBEXECDIR, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int
programs_open(void)
{
    /* The numbers are part of the contract with poold-exec; HELPER_LINK_FD is kept for gifts. */
    static const int numbers[] = {HELPER_IMAGE_FD, HELPER_ENGINE_FD};
    static const char *const names[] = {"poold-exec", "poold-engine"};
    if (dup3(STDIN_FILENO, HELPER_LINK_FD, O_CLOEXEC) < 0)
        return 1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int fd = image_open(names[i]);
        if (fd < 0) {
            say("cannot find %s beside poold or in %s: %s", names[i], POOLD_LIBEXECDIR,
                strerror(-fd));
            return 1;
        }
        if (fd == numbers[i])
            continue;
        dup3(fd, numbers[i], O_CLOEXEC);
        close(fd);
    }
    return 0;
}

_Noreturn void
programs_ask_engine(struct keeper *k)
{
    const char *argv[3 + PASSED_MAX] = {"poold-engine", k->ask};
    int fd = image_open("poold-engine");
    memcpy(argv + 2, k->passed, k->passed_count * sizeof *argv);
    if (fd >= 0)
        syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
    say("cannot run poold-engine: %s", strerror(fd < 0 ? -fd : errno));
    _exit(1);
}

/* In the keeper's memory: raw calls only, nothing is allocated, written or locked. */
static int
start_in_child(void *argument)
{
    const struct start *start = argument;
    unsigned long no_signal = 0;
    if (syscall(SYS_close_range, HELPER_ENGINE_FD + 1, ~0u, CLOSE_RANGE_UNSHARE) != 0)
        syscall(SYS_exit, HELPER_EXIT);
    /* From here on the table is this process's own. */
    syscall(SYS_fcntl, HELPER_LINK_FD, F_SETFD, 0);
    if (start->with_engine_image)
        syscall(SYS_fcntl, HELPER_ENGINE_FD, F_SETFD, 0);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signal, NULL, sizeof no_signal);
    syscall(SYS_execveat, start->image, "", start->argv, environ, AT_EMPTY_PATH);
    syscall(SYS_exit, HELPER_EXIT);
    return 0;
}

pid_t
program_start(int image, const char *const *argv, int gift, bool with_engine_image)
{
    static char stack[16384] __attribute__((aligned(16)));
    static int sharing = CLONE_VM | CLONE_VFORK | CLONE_FILES;
    struct start start = {image, argv, with_engine_image};
    /* The child shares our memory and our table of descriptors until its exec, and we stand still
     * meanwhile: neither memory nor descriptors cost anything. What it needs must lie in the low
     * numbers, because only those are copied when it leaves the table (CLOSE_RANGE_UNSHARE). */
    if (dup3(gift, HELPER_LINK_FD, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = clone(start_in_child, stack + sizeof stack, sharing | SIGCHLD, &start);
    if (pid < 0 && sharing != 0 && errno != EAGAIN && errno != ENOMEM) {
        say("processes are made by copying: %s", strerror(errno)); /* a filter; once and for all */
        sharing = 0;
        pid = clone(start_in_child, stack + sizeof stack, SIGCHLD, &start);
    }
    int error = errno;
    /* The number stays taken, but by something that nobody waits on. */
    dup3(STDIN_FILENO, HELPER_LINK_FD, O_CLOEXEC);
    return pid < 0 ? -error : pid;
}

pid_t
program_link(const char *const *argv, int *link, bool with_engine_image)
{
    int pair[2] = {-1, -1};
    pid_t pid = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0
                    ? -errno
                    : program_start(HELPER_IMAGE_FD, argv, pair[1], with_engine_image);
    fd_close(&pair[1]);
    *link = pair[0];
    return pid;
}
