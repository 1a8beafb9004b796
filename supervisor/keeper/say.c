/* say.c - one line from the keeper to a person. */
#include "supervisor/keeper/say.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void
say(const char *format, ...)
{
    char line[512];
    int saved = errno;
    va_list ap;
    va_start(ap, format);
    int at = snprintf(line, sizeof line, "poold: ");
    int length = at + vsnprintf(line + at, sizeof line - (size_t)at, format, ap);
    va_end(ap);
    if (length >= (int)sizeof line)
        length = sizeof line - 1;
    line[length++] = '\n'; /* in place of the NUL */

    /* A pipe that is writable takes PIPE_BUF (4096) bytes at once, so this write cannot block, and
     * the flags of a descriptor that others share stay as they are. */
    struct pollfd where = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&where, 1, 0) == 1 && (where.revents & POLLOUT) != 0) {
        ssize_t written = write(STDERR_FILENO, line, (size_t)length);
        (void)written; /* there is nobody else to tell */
    }
    errno = saved;
}
