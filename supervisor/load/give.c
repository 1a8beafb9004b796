/* give.c - what the loader gives the keeper to hold. */
#include "supervisor/load/give.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
give(enum loaded what, int fd, struct err *err)
{
    uint32_t which = what;
    struct iovec iov = {&which, sizeof which};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    /* Four messages fit the link's queue, so this does not wait for a reader. */
    ssize_t sent = sendmsg(LOADER_LINK_FD, &message, MSG_NOSIGNAL);
    int error = sent < 0 ? -errno : 0;
    close(fd);
    return error == 0 ? 0 : err_errno(err, error, "cannot give a descriptor to poold");
}
