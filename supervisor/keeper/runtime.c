/* runtime.c - the runtime directory: lock, control socket, and the place of the notify sockets. */
#include <dirent.h>

#include "supervisor/keeper/keeper.h"

#define CONTROL     "control"
#define CONTROL_NEW "control.new"
#define LOCK        "lock"
#define WORKERS     "w"

/* Makes it where it is missing. Through descriptors, so that what was checked is what is used. As
 * root other users pass through it to sockets whose names they know (0711). Of one that is there
 * already no mode is changed beyond that: it may be a directory that others live by. */
static int
directory_open(const struct keeper *k, int at, const char *path)
{
    mode_t mode = k->root ? 0711 : 0700, pass = k->root ? 0011 : 0;
    struct stat status;
    mkdirat(at, path, mode); /* when that fails, so does what follows */
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &status) == 0;
    if (fd < 0 && errno == ENOTDIR && fstatat(at, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(status.st_mode))
        say("%s is a symbolic link: name the directory itself", path);
    else if (ok && status.st_uid != geteuid())
        say("the directory %s belongs to user %u, not to poold's", path, status.st_uid);
    else if (ok && (status.st_mode & 022) != 0)
        say("the directory %s has mode %04o, so others can write to it: name one of poold's own",
            path, status.st_mode & 07777);
    else if (!ok || ((status.st_mode & pass) != pass &&
                     fchmod(fd, (status.st_mode & 07777) | pass) != 0))
        say("cannot use %s as a directory: %s", path, strerror(errno));
    else
        return fd;
    fd_close(&fd);
    return -1;
}

static int
lock_take(struct keeper *k)
{
    char pid[16] = "";
    struct stat status = {0};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    k->lock_fd = openat(k->runtime_fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (k->lock_fd >= 0 && fcntl(k->lock_fd, F_OFD_SETLK, &lock) == 0 &&
        fstat(k->lock_fd, &status) == 0 && status.st_nlink > 0 && ftruncate(k->lock_fd, 0) == 0 &&
        dprintf(k->lock_fd, "%d\n", getpid()) > 0)
        return 0;
    int error = errno;
    if (k->lock_fd >= 0 && (error == EAGAIN || error == EACCES || status.st_ino != 0)) {
        /* Without a name: its owner was still there when we opened it, and has removed it. */
        ssize_t length = pread(k->lock_fd, pid, sizeof pid - 1, 0);
        pid[length > 0 ? strcspn(pid, "\n") : 0] = '\0';
        say("already running in %s, pid %s", k->runtime, pid);
    } else {
        say("cannot lock %s/" LOCK ": %s", k->runtime, strerror(error));
    }
    fd_close(&k->lock_fd); /* what is in the directory is another's */
    return 1;
}

/* A file of that name that is no socket is somebody else's. */
static void
socket_remove(const struct keeper *k, const char *name)
{
    struct stat status;
    if (fstatat(k->runtime_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(status.st_mode))
        unlinkat(k->runtime_fd, name, 0);
}

static void
leftovers_remove(const struct keeper *k)
{
    socket_remove(k, CONTROL);
    socket_remove(k, CONTROL_NEW);
    int fd = openat(k->runtime_fd, WORKERS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL) {
        fd_close(&fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        const char *name = entry->d_name;
        if (strlen(name) == 32 && strspn(name, "0123456789abcdef") == 32) /* a notify socket's */
            unlinkat(fd, name, 0);
    }
    closedir(directory);
}

/* Made under another name and then renamed: who finds it finds it with its mode, listening. */
static int
control_open(struct keeper *k)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    if (fstatat(k->runtime_fd, CONTROL, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        say("%s/" CONTROL " is there and no socket: name another runtime directory", k->runtime);
        return 1;
    }
    snprintf(address.sun_path, sizeof address.sun_path, "%s/" CONTROL_NEW, k->runtime);
    k->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->control_fd >= 0 && fchmod(k->control_fd, 0600) == 0 &&
        bind(k->control_fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(k->control_fd, 128) == 0 &&
        renameat(k->runtime_fd, CONTROL_NEW, k->runtime_fd, CONTROL) == 0)
        return 0;
    say("cannot make the control socket %s/" CONTROL ": %s", k->runtime, strerror(errno));
    return 1;
}

int
runtime_open(struct keeper *k)
{
    k->runtime_fd = directory_open(k, AT_FDCWD, k->runtime);
    if (k->runtime_fd < 0 || lock_take(k) != 0)
        return 1;
    leftovers_remove(k);
    int fd = directory_open(k, k->runtime_fd, WORKERS);
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
    unlinkat(k->runtime_fd, WORKERS, AT_REMOVEDIR);
    unlinkat(k->runtime_fd, LOCK, 0);
    fd_close(&k->control_fd);
    fd_close(&k->lock_fd);
}
