/* last_good.c - the last good configuration: a compiled one, as a file of the state directory. */
#include "supervisor/load/last_good.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/load/image.h"
#include "supervisor/load/write.h"

#define LAST_GOOD_NEW LAST_GOOD ".new"
#define SIZE_MAX_READ ((uint64_t)512 << 20) /* 5,000 pools need some 10 MiB */

/* --- the directory */

/* What cannot be made is missing for who opens it, who says so. */
static void
parents_make(const char *dir)
{
    char path[PATH_MAX];
    size_t len = strlen(dir);
    if (len >= sizeof path)
        return;
    memcpy(path, dir, len + 1);
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
}

static int
directory_open(const char *dir, struct err *err)
{
    struct stat st = {0};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
    if (fd < 0)
        return err_errno(err, -errno, "cannot open the state directory %s", dir);
    if (fstat(fd, &st) != 0)
        r = err_errno(err, -errno, "cannot examine the state directory %s", dir);
    else if (st.st_uid != geteuid())
        r = err_set(err, -EPERM, "the state directory %s belongs to user %u, not to poold's", dir,
                    st.st_uid);
    else if ((st.st_mode & 022) != 0)
        r = err_set(err, -EPERM,
                    "the state directory %s has mode %04o, so others can write to it: run chmod "
                    "go-w, or name one of poold's own",
                    dir, st.st_mode & 07777);
    else
        return fd;
    close(fd);
    return r;
}

/* --- storing */

/* A poold that was killed may have left one. */
static int
new_file_write(int directory, const void *image, size_t size)
{
    unlinkat(directory, LAST_GOOD_NEW, 0);
    int fd = openat(directory, LAST_GOOD_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, image, size);
    if (r == 0 && fsync(fd) != 0)
        r = -errno;
    if (close(fd) != 0 && r == 0)
        r = -errno;
    return r;
}

/* One at a time: of an engine that died while it was stored another one may be under way. */
static int
file_replace(int directory, const void *image, size_t size)
{
    int r = flock(directory, LOCK_EX) != 0 ? -errno : new_file_write(directory, image, size);
    if (r == 0 && renameat(directory, LAST_GOOD_NEW, directory, LAST_GOOD) != 0)
        r = -errno;
    if (r == 0 && fsync(directory) != 0)
        r = -errno;
    if (r != 0)
        unlinkat(directory, LAST_GOOD_NEW, 0);
    return r;
}

int
last_good_store(const char *dir, const void *image, size_t size, struct err *err)
{
    if (dir == NULL)
        return err_set(err, -ENOENT, "there is no state directory: name one with --state-dir");
    parents_make(dir);
    mkdir(dir, 0700);
    int directory = directory_open(dir, err);
    if (directory < 0)
        return directory;
    int r = file_replace(directory, image, size);
    if (r != 0)
        r = err_errno(err, r, "cannot write %s/" LAST_GOOD, dir);
    close(directory);
    return r;
}

/* --- reading */

/* Nobody else can have written it: not by its mode, and not through a name that they kept. */
static int
file_check(int fd, struct stat *st, struct err *err)
{
    if (fstat(fd, st) != 0)
        return err_set(err, -errno, "it cannot be examined");
    if (!S_ISREG(st->st_mode))
        return err_set(err, -EINVAL, "it is no regular file");
    if (st->st_uid != geteuid())
        return err_set(err, -EPERM, "it belongs to user %u, not to poold's", st->st_uid);
    if ((st->st_mode & 022) != 0)
        return err_set(err, -EPERM, "others can write it (mode %04o)", st->st_mode & 07777);
    if (st->st_nlink != 1)
        return err_set(err, -EMLINK, "it has %lu names", (unsigned long)st->st_nlink);
    if (st->st_size < (off_t)sizeof(struct record_header) || (uint64_t)st->st_size > SIZE_MAX_READ)
        return err_set(err, -EINVAL, "it has %lld bytes", (long long)st->st_size);
    return 0;
}

static int
bytes_read(int fd, void *bytes, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, (char *)bytes + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? -EIO : -errno;
        len += (size_t)n;
    }
    return 0;
}

static int
record_check(struct last_good *out, size_t size, struct err *err)
{
    const struct record_header *header = out->bytes;
    int r = record_open(&out->record, out->bytes, size);
    if (r == -EPROTO)
        return err_set(err, r, "it has version %u, and this poold reads version %u",
                       header->version, RECORD_VERSION);
    if (r != 0 || header->serial != image_serial(out->bytes, size))
        return err_set(err, -EINVAL, "it is damaged");
    if (header->errors > 0 || header->engine.count == 0)
        return err_set(err, -EINVAL, "it is no configuration that poold has run with");
    return 0;
}

static int
file_read_checked(int fd, struct last_good *out, struct err *err)
{
    struct stat st;
    int r = file_check(fd, &st, err);
    if (r != 0)
        return r;
    size_t size = (size_t)st.st_size;
    out->at = st.st_mtime;
    out->bytes = malloc(size);
    if (out->bytes == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    r = bytes_read(fd, out->bytes, size);
    if (r != 0)
        return err_errno(err, r, "it cannot be read");
    return record_check(out, size, err);
}

int
last_good_read(const char *dir, struct last_good *out, struct err *err)
{
    struct last_good kept = {0};
    struct err why;
    struct stat st;
    if (dir == NULL || stat(dir, &st) != 0)
        return err_set(err, -ENOENT, "nothing is kept");
    int directory = directory_open(dir, err);
    if (directory < 0)
        return directory;
    int fd = openat(directory, LAST_GOOD, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int error = errno;
    close(directory);
    if (fd < 0)
        return err_errno(err, -error, "cannot open %s/" LAST_GOOD, dir);
    int r = file_read_checked(fd, &kept, &why);
    close(fd);
    if (r == 0) {
        *out = kept;
        return 0;
    }
    last_good_fini(&kept);
    return err_set(err, r, "%s/" LAST_GOOD " is not used: %s", dir, why.text);
}

void
last_good_fini(struct last_good *kept)
{
    free(kept->bytes);
    *kept = (struct last_good){0};
}
