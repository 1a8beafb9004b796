/* util.c - what every part of the keeper uses: a word to a person, the clock, descriptors. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

void
say(const char *format, ...)
{
    char line[512] = "poold: ";
    int saved = errno, start = (int)strlen(line);
    va_list ap;
    va_start(ap, format);
    int length = start + vsnprintf(line + start, sizeof line - (size_t)start, format, ap);
    va_end(ap);
    length = MIN(length, (int)sizeof line - 1);
    line[length++] = '\n'; /* in place of the NUL */
    /* A pipe that is writable takes PIPE_BUF (4096) bytes at once, so this write cannot block, and
     * the flags of a descriptor that others share stay as they are. */
    struct pollfd where = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&where, 1, 0) == 1 && (where.revents & POLLOUT) != 0 &&
        write(STDERR_FILENO, line, (size_t)length) < 0)
        errno = saved; /* there is nobody else to tell */
    errno = saved;
}

msec
clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (msec)now.tv_sec * 1000 + (msec)now.tv_nsec / 1000000;
}

void
fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void *
table_map(size_t size)
{
    void *map = mmap(NULL, MAX(size, (size_t)1), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return map == MAP_FAILED ? NULL : map;
}

int
fds_send(int link, const void *bytes, size_t size, const int *fds, uint32_t count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(SPEC_FDS_MAX * sizeof(int))];
    } control;
    union {
        const void *from;
        void *to; /* sendmsg's own prototype wants it so; nobody writes */
    } at = {bytes};
    struct iovec iov = {at.to, size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    size_t fds_size = count * sizeof(int);
    assert(count <= SPEC_FDS_MAX);
    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(fds_size);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(fds_size);
        memcpy(CMSG_DATA(&control.header), fds, fds_size);
    }
    return sendmsg(link, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
