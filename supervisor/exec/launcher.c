/* launcher.c - the resident launcher: makes children for the keeper, which becomes their parent. */
#include "supervisor/exec/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "supervisor/exec/syscall.h"

static long request_read(int *link);

_Noreturn void
launcher_run(void)
{
    /* It outlives poold's terminal, and must not hold poold's stdout open. */
    SYS0(SYS_setsid);
    struct failure heritage = heritage_make();
    for (;;) {
        int link = -1;
        if (request_read(&link) <= 0)
            sys_exit(0); /* the keeper is gone or wants another launcher */
        /* A copy of a few KiB; CLONE_PARENT makes it the keeper's child. The exit signal is the
         * launcher's own, SIGCHLD. */
        long pid = SYS5(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
        if (pid == 0)
            child_run(link, heritage);
        /* Closed before the answer: after it, nobody but the child holds the child's end. */
        SYS1(SYS_close, link);
        struct launch_reply reply = {.pid = (int32_t)pid};
        if (SYS3(SYS_write, HELPER_LINK_FD, &reply, sizeof reply) < 0)
            sys_exit(0);
    }
}

/* Waits for a request with exactly one descriptor. Returns its size, 0 at the end. */
static long
request_read(int *link)
{
    struct launch_request request;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    for (;;) {
        struct iovec iov = {&request, sizeof request};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control};
        long size = SYS3(SYS_recvmsg, HELPER_LINK_FD, &message, MSG_CMSG_CLOEXEC);
        if (size == -EINTR)
            continue;
        if (size != (long)sizeof request || request.version != SPEC_VERSION)
            return 0;
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header == NULL || header->cmsg_type != SCM_RIGHTS)
            return 0;
        *link = *(const int *)(const void *)CMSG_DATA(header);
        return size;
    }
}
