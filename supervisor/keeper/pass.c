/* pass.c - one message with descriptors, on a link that keeps messages whole. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

int
pass(int to, const void *bytes, size_t size, const int *fds, uint32_t count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(SPEC_FDS_MAX * sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    union {
        const void *from;
        void *unwritten; /* sendmsg only reads it */
    } base = {bytes};
    struct iovec iov = {base.unwritten, size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    assert(count <= SPEC_FDS_MAX);
    if (count > 0) {
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    }
    return sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
