/* lookup.c - paths below a directory, resolved by openat2(2) or, where there is none, step by step. */
#include "worker/host/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, TRIES = 4 };

/* EAGAIN: something was renamed meanwhile, and the kernel cannot tell whether it is still below. */
static int
open_by_kernel(int directory, const char *path)
{
    struct open_how how = {.flags = FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    for (int i = 0; i < TRIES; i++) {
        long fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            return fd >= 0 ? (int)fd : -errno;
    }
    return -EAGAIN;
}

/* No step may be a link or "..", so no step can leave. */
static int
open_by_steps(int directory, const char *path)
{
    int at = directory;
    for (;;) {
        char name[NAME_MAX + 1];
        size_t len = strcspn(path, "/");
        bool is_last = path[len] == '\0';
        if (len > NAME_MAX)
            len = NAME_MAX + 1;
        int fd = -ENAMETOOLONG;
        if (len <= NAME_MAX) {
            memcpy(name, path, len);
            name[len] = '\0';
            fd = strcmp(name, "..") == 0 ? -EXDEV
                                         : openat(at, len == 0 ? "." : name,
                                                  FLAGS | O_NOFOLLOW | (is_last ? 0 : O_DIRECTORY));
            fd = fd == -1 ? -errno : fd;
        }
        if (at != directory)
            close(at);
        if (fd < 0 || is_last)
            return fd;
        at = fd;
        path += len + 1;
    }
}

int
lookup_open_by(enum lookup_way way, int directory, const char *path, struct stat *stat)
{
    path += strspn(path, "/");
    if (*path == '\0')
        path = ".";
    int fd =
        way == LOOKUP_BY_KERNEL ? open_by_kernel(directory, path) : open_by_steps(directory, path);
    if (fd >= 0 && fstat(fd, stat) != 0) {
        int code = -errno;
        close(fd);
        return code;
    }
    return fd;
}

/* ENOSYS: the kernel has no openat2. EPERM: a filter that does not know it. */
int
lookup_open(int directory, const char *path, struct stat *stat)
{
    static enum lookup_way way = LOOKUP_BY_KERNEL;
    int fd = lookup_open_by(way, directory, path, stat);
    if (way == LOOKUP_BY_KERNEL && (fd == -ENOSYS || fd == -EPERM)) {
        way = LOOKUP_BY_STEPS;
        fd = lookup_open_by(way, directory, path, stat);
    }
    return fd;
}
