/* fds.c - messages with descriptors, over a local socket. */
#include "supervisor/fds.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int
fds_send(int link, const void *bytes, size_t size, const int *fds, uint32_t count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(FDS_A_MESSAGE_MAX * sizeof(int))];
    } control = {.header = {CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec iov = {(void *)(uintptr_t)bytes, size}; /* nobody writes there */
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    assert(count <= FDS_A_MESSAGE_MAX);
    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    }
    return sendmsg(link, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int
fds_take(int link, void *bytes, size_t size)
{
    int fd;
    struct iovec iov = {bytes, size};
    union { /* room for one: the kernel closes any others */
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_LEN(sizeof(int))};
    ssize_t got = recvmsg(link, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got != (ssize_t)size || CMSG_FIRSTHDR(&message) == NULL)
        return -1;
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    return fd;
}
