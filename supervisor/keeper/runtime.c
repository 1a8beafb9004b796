/* runtime.c - the runtime directory: lock, control socket, and the place of the notify sockets. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"

#define CONTROL     "control"
#define CONTROL_NEW "control.new"
#define LOCK        "lock"

static int directory_open(struct keeper *k, int at, const char *path, const char *name);
static int lock_take(struct keeper *k);
static int lock_told(struct keeper *k, int error);
static void leftovers_remove(struct keeper *k);
static bool name_is_notify(const char *name);
static int control_open(struct keeper *k);

int
runtime_open(struct keeper *k)
{
    k->runtime_fd = directory_open(k, AT_FDCWD, k->options.runtime, k->options.runtime);
    if (k->runtime_fd < 0)
        return 1;
    int status = lock_take(k);
    if (status != 0)
        return status;
    leftovers_remove(k);
    int fd = directory_open(k, k->runtime_fd, RUNTIME_NAME_W, RUNTIME_NAME_W);
    if (fd < 0)
        return 1;
    close(fd);
    return control_open(k);
}

/* Only names of ours, and only while the lock is ours. */
void
runtime_clean(struct keeper *k)
{
    if (k->lock_fd < 0)
        return;
    leftovers_remove(k);
    unlinkat(k->runtime_fd, RUNTIME_NAME_W, AT_REMOVEDIR);
    unlinkat(k->runtime_fd, LOCK, 0);
    fd_close(&k->control_fd);
    fd_close(&k->lock_fd);
}

/* Makes it where it is missing. Through descriptors, so that what was checked is what is used. As
 * root other users pass through it to sockets whose names they know (0711). */
static int
directory_open(struct keeper *k, int at, const char *path, const char *name)
{
    mode_t mode = k->root ? 0711 : 0700;
    struct stat status;
    if (mkdirat(at, path, mode) != 0 && errno != EEXIST) {
        say("cannot make the directory %s: %s", name, strerror(errno));
        return -1;
    }
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        say("cannot use %s as a directory: %s", name, strerror(errno));
        return -1;
    }
    if (status.st_uid != geteuid()) {
        say("the directory %s belongs to user %u, not to poold's user %u", name, status.st_uid,
            geteuid());
        close(fd);
        return -1;
    }
    if ((status.st_mode & 07777) != mode && fchmod(fd, mode) != 0) {
        say("cannot set the mode of %s: %s", name, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

static int
lock_take(struct keeper *k)
{
    /* Another try when the file that was locked is not the one of that name any more: its owner
     * has removed it at its end. Bounded, because each try needs another poold that just ended. */
    for (int attempt = 0; attempt < 16; attempt++) {
        struct stat locked, named;
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        k->lock_fd = openat(k->runtime_fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (k->lock_fd < 0 || fcntl(k->lock_fd, F_OFD_SETLK, &lock) != 0)
            return lock_told(k, errno);
        if (fstat(k->lock_fd, &locked) == 0 &&
            fstatat(k->runtime_fd, LOCK, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            locked.st_ino == named.st_ino && locked.st_dev == named.st_dev) {
            if (ftruncate(k->lock_fd, 0) != 0 || dprintf(k->lock_fd, "%d\n", getpid()) < 0)
                return lock_told(k, errno);
            return 0;
        }
        close(k->lock_fd);
    }
    return lock_told(k, EAGAIN);
}

static int
lock_told(struct keeper *k, int error)
{
    char pid[16] = "";
    if (k->lock_fd >= 0 && (error == EAGAIN || error == EACCES)) {
        ssize_t length = pread(k->lock_fd, pid, sizeof pid - 1, 0);
        pid[length > 0 ? strcspn(pid, "\n") : 0] = '\0';
        say("already running in %s, pid %s", k->options.runtime, pid);
    } else {
        say("cannot lock %s/" LOCK ": %s", k->options.runtime, strerror(error));
    }
    fd_close(&k->lock_fd); /* what is in the directory is another's */
    return 1;
}

static void
leftovers_remove(struct keeper *k)
{
    unlinkat(k->runtime_fd, CONTROL, 0);
    unlinkat(k->runtime_fd, CONTROL_NEW, 0);
    int fd = openat(k->runtime_fd, RUNTIME_NAME_W, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL) {
        fd_close(&fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (name_is_notify(entry->d_name))
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}

static bool
name_is_notify(const char *name)
{
    return strlen(name) == 32 && strspn(name, "0123456789abcdef") == 32;
}

/* Made under another name and then renamed: who finds `control` finds it with its mode,
 * listening. */
static int
control_open(struct keeper *k)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.*s/" CONTROL_NEW, (int)RUNTIME_PATH_MAX,
             k->options.runtime);
    k->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->control_fd < 0 || fchmod(k->control_fd, 0600) != 0 ||
        bind(k->control_fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(k->control_fd, 128) != 0 ||
        renameat(k->runtime_fd, CONTROL_NEW, k->runtime_fd, CONTROL) != 0) {
        say("cannot make the control socket %s/" CONTROL ": %s", k->options.runtime,
            strerror(errno));
        return 1;
    }
    return 0;
}
