/* write.h - all of some bytes into a descriptor. */
#ifndef POOLD_LOAD_WRITE_H
#define POOLD_LOAD_WRITE_H

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

/* Returns 0 or a negative errno. */
static inline int
write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? -EIO : -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

#endif
