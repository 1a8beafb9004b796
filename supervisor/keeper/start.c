/* start.c - makes a process of one of our own programs, without the cost of a copy. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

#define SIGNALS_MAX 64

struct start {
    int image;
    const char *const *argv;
    bool with_engine_image;
};

static int start_in_child(void *argument);

pid_t
process_start(int image, const char *const *argv, int gift, bool with_engine_image)
{
    static char stack[16384] __attribute__((aligned(16)));
    struct start start = {image, argv, with_engine_image};
    /* The child shares our memory and our table of descriptors until its exec, and we stand still
     * meanwhile: neither memory nor descriptors cost anything. What it needs must lie in the low
     * numbers, because only those are copied when it leaves the table (CLOSE_RANGE_UNSHARE). */
    if (dup3(gift, HELPER_LINK_FD, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = clone(start_in_child, stack + sizeof stack,
                      CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &start);
    int error = errno;
    /* The number stays taken, but by something that nobody waits on. */
    dup3(STDIN_FILENO, HELPER_LINK_FD, O_CLOEXEC);
    return pid < 0 ? -error : pid;
}

int
pid_open(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

void
fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* In the keeper's memory: raw calls only, nothing is allocated, written or locked. */
static int
start_in_child(void *argument)
{
    const struct start *start = argument;
    /* libc's sigaction hides two signals of its own and its mask calls likewise. */
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } as_default = {0};
    for (int signo = 1; signo <= SIGNALS_MAX; signo++)
        syscall(SYS_rt_sigaction, signo, &as_default, NULL, sizeof as_default.mask);
    if (syscall(SYS_close_range, HELPER_ENGINE_FD + 1, ~0u, CLOSE_RANGE_UNSHARE) != 0)
        syscall(SYS_exit, HELPER_EXIT);
    /* From here on the table is this process's own. */
    syscall(SYS_fcntl, HELPER_LINK_FD, F_SETFD, 0);
    if (start->with_engine_image)
        syscall(SYS_fcntl, HELPER_ENGINE_FD, F_SETFD, 0);
    unsigned long none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
    syscall(SYS_execveat, start->image, "", start->argv, environ, AT_EMPTY_PATH);
    syscall(SYS_exit, HELPER_EXIT);
    return 0;
}
