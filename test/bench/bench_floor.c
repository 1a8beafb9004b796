/* bench_floor.c - the bare floor of the benchmark: vfork, exec, pidfd and epoll, and nothing else.
 *
 *   bench_floor [--lean] COUNT PROGRAM [EVENTS]
 *
 * Keeps COUNT processes of PROGRAM alive until it gets TERM or its standard input ends; then it
 * kills and reaps them. With EVENTS, a FIFO, it writes 16 bytes {pid, wait status} there at each
 * death, before it starts the successor: the floor of an event.
 *
 * vfork copies the table of descriptors, and with a pidfd for each of thousands of children that is
 * most of its cost. --lean shares the table until the child has done with it (clone with
 * CLONE_FILES, then close_range with UNSHARE): the lowest floor that is known. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base.h"

#define CHILDREN_MAX 15000u
#define TAG_SIGNAL   UINT32_MAX
#define TAG_INPUT    (UINT32_MAX - 1)
#define EVENTS_TURN  64
#define STACK_BYTES  16384u

struct child {
    pid_t pid;
    int pidfd;
};

struct death {
    uint64_t pid;
    uint64_t status;
};

static struct child children[CHILDREN_MAX];
static char *program_argv[2];
static int epoll_fd, events_fd = -1;
static bool lean;
static char child_stack[STACK_BYTES] __attribute__((aligned(16)));

static void child_start(uint32_t index);
static int child_run(void *unused);
static void child_died(uint32_t index);
static void children_end(uint32_t count);
static void watch(int fd, uint32_t tag);
_Noreturn static void fail(const char *what);

int
main(int argc, char **argv)
{
    lean = argc > 1 && strcmp(argv[1], "--lean") == 0;
    argc -= lean;
    argv += lean;
    unsigned long count = argc >= 3 ? strtoul(argv[1], NULL, 10) : 0;
    if (count == 0 || count > CHILDREN_MAX) {
        fprintf(stderr, "usage: bench_floor [--lean] COUNT PROGRAM [EVENTS]; COUNT 1 to %u\n",
                CHILDREN_MAX);
        return 2;
    }
    program_argv[0] = argv[2];
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int signal_fd = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
    if (epoll_fd < 0 || signal_fd < 0)
        fail("epoll and signalfd");
    if (argc > 3 && (events_fd = open(argv[3], O_WRONLY | O_CLOEXEC)) < 0)
        fail(argv[3]);
    watch(signal_fd, TAG_SIGNAL);
    watch(STDIN_FILENO, TAG_INPUT);
    for (uint32_t i = 0; i < count; i++)
        child_start(i);
    for (;;) {
        struct epoll_event events[EVENTS_TURN];
        int ready = epoll_wait(epoll_fd, events, EVENTS_TURN, -1);
        if (ready < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < ready; i++) {
            if (events[i].data.u32 >= TAG_INPUT) {
                children_end((uint32_t)count);
                return 0;
            }
            child_died(events[i].data.u32);
        }
    }
}

static void
child_start(uint32_t index)
{
    pid_t pid;
    if (lean)
        pid = clone(child_run, child_stack + STACK_BYTES,
                    CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, NULL);
    else if ((pid = vfork()) == 0)
        child_run(NULL);
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        fail("start a child");
    children[index] = (struct child){pid, pidfd};
    watch(pidfd, index);
}

static int
child_run(void *unused)
{
    (void)unused;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (lean && close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_UNSHARE) != 0)
        _exit(126);
    execve(program_argv[0], program_argv, environ);
    _exit(127);
}

static void
child_died(uint32_t index)
{
    int status = 0;
    if (waitpid(children[index].pid, &status, 0) != children[index].pid)
        fail("waitpid");
    /* Removed by hand: a child that is still in exec holds a copy of the descriptor, and until that
     * is closed the death would be told again, of the successor. */
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, children[index].pidfd, NULL);
    close(children[index].pidfd);
    if (events_fd >= 0) {
        struct death death = {(uint64_t)children[index].pid, (uint64_t)(uint32_t)status};
        if (write(events_fd, &death, sizeof death) != (ssize_t)sizeof death)
            fail("write an event");
    }
    child_start(index);
}

static void
children_end(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        kill(children[i].pid, SIGKILL);
    for (uint32_t i = 0; i < count; i++)
        waitpid(children[i].pid, NULL, 0);
}

static void
watch(int fd, uint32_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
}

_Noreturn static void
fail(const char *what)
{
    fprintf(stderr, "bench_floor: %s: %s\n", what, strerror(errno));
    exit(1);
}
