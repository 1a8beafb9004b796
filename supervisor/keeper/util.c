/* util.c - what every part of the keeper uses: a word to a person, the clock, descriptors. */
#include <poll.h>
#include <stdarg.h>

#include "supervisor/keeper/keeper.h"

void
say(const char *format, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    /* A pipe that is writable takes PIPE_BUF (4096) bytes at once, so this write cannot block, and
     * the flags of a descriptor that others share stay as they are. */
    struct pollfd where = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&where, 1, 0) == 1 && (where.revents & POLLOUT) != 0)
        dprintf(STDERR_FILENO, "poold: %s\n", line);
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
table_map(size_t count, size_t size)
{
    void *map = mmap(NULL, MAX(count, (size_t)1) * size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return map == MAP_FAILED ? NULL : map;
}
