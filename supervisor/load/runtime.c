/* runtime.c - the runtime directory: lock, and the place of the notify sockets. */
#include "supervisor/load/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/load/give.h"

#define LOCK    "lock"
#define WORKERS "w"

/* Makes it where it is missing. Through descriptors, so that what was checked is what is used. As
 * root other users pass through it to sockets whose names they know (0711). Of one that is there
 * already no mode is changed beyond that: it may be a directory that others live by. */
static int
directory_open(int at, const char *path, struct err *err)
{
    bool root = geteuid() == 0;
    mode_t mode = root ? 0711 : 0700, pass = root ? 0011 : 0;
    struct stat status;
    mkdirat(at, path, mode); /* when that fails, so does what follows */
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), error;
    bool ok = fd >= 0 && fstat(fd, &status) == 0;
    if (fd < 0 && errno == ENOTDIR && fstatat(at, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(status.st_mode))
        error = err_set(err, -ENOTDIR, "%s is a symbolic link: name the directory itself", path);
    else if (ok && status.st_uid != geteuid())
        error = err_set(err, -EPERM, "the directory %s belongs to user %u, not to poold's", path,
                        status.st_uid);
    else if (ok && (status.st_mode & 022) != 0)
        error = err_set(err, -EPERM,
                        "the directory %s has mode %04o, so others can write to it: name one of "
                        "poold's own",
                        path, status.st_mode & 07777);
    else if (!ok ||
             ((status.st_mode & pass) != pass && fchmod(fd, (status.st_mode & 07777) | pass) != 0))
        error = err_errno(err, -errno, "cannot use %s as a directory", path);
    else
        return fd;
    if (fd >= 0)
        close(fd);
    return error;
}

/* Returns the locked file. The lock belongs to the open file, not to this process: it lasts as long
 * as the keeper holds that. */
static int
lock_take(int runtime, const char *path, pid_t keeper, struct err *err)
{
    char pid[16] = "";
    struct stat status = {0};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(runtime, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0 && fstat(fd, &status) == 0 &&
        status.st_nlink > 0 && ftruncate(fd, 0) == 0 && dprintf(fd, "%d\n", keeper) > 0)
        return fd;
    int error = errno;
    /* Without a name: its owner was still there when we opened it, and has removed it. */
    bool removed = status.st_ino != 0 && status.st_nlink == 0;
    if (fd >= 0 && (error == EAGAIN || error == EACCES || removed)) {
        ssize_t length = pread(fd, pid, sizeof pid - 1, 0);
        pid[length > 0 ? strcspn(pid, "\n") : 0] = '\0';
        error = err_set(err, -EAGAIN, "already running in %s, pid %s", path, pid);
    } else {
        error = err_errno(err, -error, "cannot lock %s/" LOCK, path);
    }
    if (fd >= 0)
        close(fd);
    return error;
}

/* The control socket of a poold that was killed, wherever it was; its engine may listen still, for as
 * long as it takes to end. A file that is no socket is somebody else's. */
static void
control_remove(int runtime)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    if (readlinkat(runtime, CONTROL_LINK, address.sun_path, sizeof address.sun_path - 1) > 0 &&
        lstat(address.sun_path, &status) == 0 && S_ISSOCK(status.st_mode))
        unlink(address.sun_path);
    unlinkat(runtime, CONTROL_LINK, 0);
}

/* Notify sockets of workers that have gone with their poold, and second names of unix listeners. */
static void
workers_remove(int fd)
{
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        close(fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        const char *name = entry->d_name;
        if (strlen(name) == 32 && strspn(name, "0123456789abcdef") == 32)
            unlinkat(dirfd(directory), name, 0);
    }
    closedir(directory);
}

/* What is in the directory: first the lock, until then all of it is another's. */
static int
contents_make(int runtime, const char *path, pid_t keeper, struct err *err)
{
    int fd = lock_take(runtime, path, keeper, err);
    int error = fd < 0 ? fd : give(LOADED_LOCK, fd, err);
    if (error != 0)
        return error;
    control_remove(runtime);
    fd = directory_open(runtime, WORKERS, err);
    if (fd < 0)
        return fd;
    workers_remove(fd);
    return 0;
}

static int
runtime_make(const char *path, pid_t keeper, struct err *err)
{
    int runtime = directory_open(AT_FDCWD, path, err);
    if (runtime < 0)
        return runtime;
    int copy = fcntl(runtime, F_DUPFD_CLOEXEC, 0);
    int error =
        copy < 0 ? err_errno(err, -errno, "cannot hold %s", path) : give(LOADED_RUNTIME, copy, err);
    if (error == 0)
        error = contents_make(runtime, path, keeper, err);
    close(runtime);
    return error;
}

int
runtime_open(const char *path, pid_t keeper, struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    /* A stop waits, or it could hit between a name that is made and the keeper's knowing of it. */
    sigprocmask(SIG_BLOCK, &all, &before);
    int error = runtime_make(path, keeper, err);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return error;
}
