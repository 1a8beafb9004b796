/* file.c - reading a configuration file that may be anything, and may change meanwhile. */
#include "supervisor/load/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
file_kind(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a directory";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    case S_IFBLK:
    case S_IFCHR:
        return "a device";
    default:
        return "no regular file";
    }
}

/* What is in the file runs with poold's rights, so nobody with fewer rights may have written it.
 * For an ordinary user a group may write: where each user has a group of his own, files are made
 * so. */
static int
file_check_owner(const struct stat *st, struct err *err)
{
    uid_t self = geteuid();
    unsigned mode = st->st_mode & 07777;
    if (st->st_uid != 0 && st->st_uid != self)
        return err_set(err, -EPERM,
                       "the file belongs to user %u; it must belong to root%s (chown it)",
                       (unsigned)st->st_uid, self == 0 ? "" : " or to you");
    if (self == 0 && (mode & 022) != 0)
        return err_set(err, -EPERM,
                       "others than root may write the file (mode %04o); run chmod go-w", mode);
    if ((mode & 02) != 0)
        return err_set(err, -EPERM, "everybody may write the file (mode %04o); run chmod o-w",
                       mode);
    return 0;
}

static int
file_check(const struct stat *st, size_t size_max, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return err_set(err, -EINVAL, "it is %s; a regular file is needed", file_kind(st->st_mode));
    int r = file_check_owner(st, err);
    if (r != 0)
        return r;
    if ((uint64_t)st->st_size > size_max)
        return err_set(err, -EFBIG, "it has %lld bytes; at most %zu are read",
                       (long long)st->st_size, size_max);
    return 0;
}

/* Reads at most cap bytes up to the end of the file. */
static ssize_t
read_all(int fd, char *bytes, size_t cap)
{
    size_t len = 0;
    while (len < cap) {
        ssize_t n = read(fd, bytes + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int
file_read_descriptor(int fd, const char *path, size_t size_max, struct file_text *out,
                     struct err *err)
{
    struct stat before, now;
    if (fstat(fd, &before) != 0)
        return err_errno(err, -errno, "cannot examine it");
    int r = file_check(&before, size_max, err);
    if (r != 0)
        return r;
    size_t size = (size_t)before.st_size;
    char *bytes = malloc(size + 1); /* one more, to see that it grew */
    if (bytes == NULL)
        return err_errno(err, -ENOMEM, "cannot read it");
    ssize_t len = read_all(fd, bytes, size + 1);
    if (len < 0) {
        r = err_errno(err, (int)len, "cannot read it");
    } else if ((size_t)len != size || stat(path, &now) != 0 || !same_file(&before, &now)) {
        r = err_set(err, -EAGAIN, "it changed while it was read, %d times in a row", FILE_TRIES);
    }
    if (r != 0) {
        free(bytes);
        return r;
    }
    *out = (struct file_text){
        .bytes = bytes, .len = size, .device = before.st_dev, .inode = before.st_ino};
    return 0;
}

int
file_read(const char *path, size_t size_max, struct file_text *out, struct err *err)
{
    int r = -EAGAIN;
    for (int i = 0; i < FILE_TRIES && r == -EAGAIN; i++) {
        /* O_NONBLOCK: the open of a FIFO without a writer, and of some devices, would wait. */
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            return err_errno(err, -errno, "cannot open it");
        r = file_read_descriptor(fd, path, size_max, out, err);
        close(fd);
    }
    return r;
}
