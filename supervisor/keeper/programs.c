/* programs.c - the two programs beside poold: found and opened once, executed by descriptor, so
 * that a package upgrade cannot put another version under a running poold. */
#include <linux/close_range.h>
#include <sched.h>
#include <sys/syscall.h>

#include "supervisor/keeper/keeper.h"

struct start {
    int image;
    const char *const *argv;
};

/* Beside poold, as in the build tree, or where it was installed. */
static int
image_open(const char *name)
{
    char self[PATH_MAX] = "", path[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    while (length > 0 && self[length - 1] != '/')
        length--;
    snprintf(path, sizeof path, "%.*s%s", (int)MAX(length, 0), self, name);
    int fd = length > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        snprintf(path, sizeof path, "%s/%s", POOLD_LIBEXECDIR, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        say("cannot find %s beside poold or in %s: %s", name, POOLD_LIBEXECDIR, strerror(errno));
    return fd;
}

/* The numbers are part of the contract with poold-exec; HELPER_LINK_FD is kept for gifts. They are
 * the lowest that are free, so each image gets its own. */
int
programs_open(void)
{
    int link = dup3(STDIN_FILENO, HELPER_LINK_FD, O_CLOEXEC);
    int helper = image_open("poold-exec"), engine = image_open("poold-engine");
    if (helper < 0 || engine < 0)
        return 1;
    assert(link == HELPER_LINK_FD && helper == HELPER_IMAGE_FD && engine == HELPER_ENGINE_FD);
    return 0;
}

_Noreturn void
programs_ask_engine(struct keeper *k)
{
    const char *argv[3 + PASSED_MAX] = {"poold-engine", k->ask};
    memcpy(argv + 2, k->passed, k->passed_count * sizeof *argv);
    int fd = image_open("poold-engine");
    if (fd >= 0) {
        syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
        say("cannot run poold-engine: %s", strerror(errno));
    }
    exit(1);
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
    syscall(SYS_fcntl, HELPER_ENGINE_FD, F_SETFD, 0);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signal, NULL, sizeof no_signal);
    syscall(SYS_execveat, start->image, "", start->argv, environ, AT_EMPTY_PATH);
    syscall(SYS_exit, HELPER_EXIT);
    return 0;
}

pid_t
program_start(int image, const char *const *argv, int gift)
{
    static char stack[16384] __attribute__((aligned(16)));
    static int sharing = CLONE_VM | CLONE_VFORK | CLONE_FILES;
    struct start start = {image, argv};
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
program_link(const char *const *argv, int *link)
{
    int pair[2] = {-1, -1};
    pid_t pid = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0
                    ? -errno
                    : program_start(HELPER_IMAGE_FD, argv, pair[1]);
    fd_close(&pair[1]);
    *link = pair[0];
    return pid;
}
