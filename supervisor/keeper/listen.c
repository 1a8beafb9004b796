/* listen.c - the listening sockets: bound, held and closed here, because workers come and go. */
#include <netinet/in.h>
#include <sys/random.h>

#include "supervisor/keeper/keeper.h"

/* O_NONBLOCK is part of the hand-off: as the program needs it, and it stays so. */
#define STREAM(record) (SOCK_STREAM | SOCK_CLOEXEC | ((record)->blocking ? 0 : SOCK_NONBLOCK))

static int
inet_bind(struct keeper *k, const struct record_socket *record, bool beside)
{
    const int on = 1, only = !record->dual;
    int fd = socket(record->family, STREAM(record), 0), error;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (record->family == AF_INET ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0) &&
        bind(fd, (const struct sockaddr *)(const void *)record->sockaddr, record->length) == 0)
        return fd;
    error = -errno;
    if (error == -EADDRINUSE && beside)
        error = socket_bind_beside(k, fd, record);
    if (error == 0)
        return fd;
    fd_close(&fd);
    return error;
}

static const char *
unix_path(const struct record_socket *record)
{
    return (const char *)record->sockaddr + offsetof(struct sockaddr_un, sun_path);
}

/* A socket that nobody listens on: what a supervisor that was killed left behind. Anything else at
 * that place is somebody's. */
static bool
unix_path_is_stale(const char *path, const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    bool refused = result != 0 && errno == ECONNREFUSED;
    fd_close(&fd);
    return refused;
}

/* Workers do unlink the path. So that it can come back as what it was, its inode keeps a second
 * name, beside the notify sockets' and as hard to guess: the path's directory may be one that not
 * everybody may enter. Not on another filesystem, and not without /proc: then it has none. */
static void
unix_path_hold(const struct keeper *k, struct socket_slot *slot, int fd)
{
    unsigned long long name[2];
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (getrandom(name, sizeof name, GRND_NONBLOCK) == (ssize_t)sizeof name)
        snprintf(slot->link, sizeof slot->link, "w/%016llx%016llx", name[0], name[1]);
    if (linkat(AT_FDCWD, path, k->loaded[LOADED_RUNTIME], slot->link, AT_SYMLINK_FOLLOW) != 0)
        slot->link[0] = '\0';
}

/* Through a descriptor, and only of what bind has just made: the directory may be another user's,
 * who could have put something else in its place. */
static int
unix_owner_set(const struct keeper *k, struct socket_slot *slot, const struct record_socket *record)
{
    struct stat status = {0};
    int fd = open(unix_path(record), O_PATH | O_NOFOLLOW | O_CLOEXEC), error = 0;
    if (fd < 0 || fstat(fd, &status) != 0)
        error = -errno;
    else if (!S_ISSOCK(status.st_mode) || status.st_nlink != 1 || status.st_uid != geteuid() ||
             (status.st_mode & 07777) != record->mode)
        error = -EADDRINUSE;
    else if ((status.st_uid != record->uid || status.st_gid != record->gid) &&
             fchownat(fd, "", record->uid, record->gid, AT_EMPTY_PATH) != 0)
        error = -errno;
    slot->path_device = status.st_dev;
    slot->path_inode = status.st_ino;
    if (error == 0 && record->pool != NONE) /* no worker sees the control socket */
        unix_path_hold(k, slot, fd);
    fd_close(&fd);
    return error;
}

static bool
unix_path_is_ours(const struct socket_slot *slot, const struct record_socket *record)
{
    struct stat status;
    return lstat(unix_path(record), &status) == 0 && status.st_dev == slot->path_device &&
           status.st_ino == slot->path_inode;
}

static int
unix_bind(const struct keeper *k, struct socket_slot *slot, const struct record_socket *record)
{
    struct sockaddr_un address;
    const struct sockaddr *at = (const struct sockaddr *)&address;
    memcpy(&address, record->sockaddr, sizeof address);
    int fd = socket(AF_UNIX, STREAM(record), 0);
    /* The path gets the socket's mode less the umask, which is for everything else. */
    mode_t mask = umask(0);
    bool bound = fchmod(fd, record->mode) == 0 && bind(fd, at, record->length) == 0;
    int error = bound ? 0 : -errno;
    if (error == -EADDRINUSE && unix_path_is_stale(unix_path(record), &address)) {
        unlink(unix_path(record));
        error = bind(fd, at, record->length) == 0 ? 0 : -errno;
    }
    umask(mask);
    if (error == 0) {
        error = unix_owner_set(k, slot, record);
        if (error != 0)
            unlink(unix_path(record));
    }
    if (error != 0)
        fd_close(&fd);
    return error != 0 ? error : fd;
}

/* A path that is still what was bound gets mode and owner anew. */
static void
unix_path_adjust(const struct socket_slot *slot, const struct record_socket *record)
{
    char path[32];
    struct stat status;
    int fd = open(unix_path(record), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && fstat(fd, &status) == 0 && status.st_dev == slot->path_device &&
        status.st_ino == slot->path_inode &&
        (chmod(path, record->mode) != 0 ||
         fchownat(fd, "", record->uid, record->gid, AT_EMPTY_PATH) != 0))
        say("cannot give %s its mode and owner: %s", unix_path(record), strerror(errno));
    fd_close(&fd);
}

int
socket_open(struct keeper *k, struct socket_slot *slot, const struct record_socket *record,
            bool beside)
{
    bool is_unix = record->family == AF_UNIX;
    if (slot->fd >= 0 && is_unix)
        unix_path_adjust(slot, record);
    if (slot->fd < 0) {
        slot->fd = inherited_take(k, record);
        slot->given = slot->fd >= 0;
    }
    if (slot->fd < 0)
        slot->fd = is_unix ? unix_bind(k, slot, record) : inet_bind(k, record, beside);
    int error = MIN(slot->fd, 0);
    if (error == 0) /* as the hand-off wants it, which may have changed */
        fcntl(slot->fd, F_SETFL, record->blocking ? 0 : O_NONBLOCK);
    if (error == 0 && listen(slot->fd, (int)record->backlog) != 0) {
        error = -errno;
        socket_close(k, slot, record);
    }
    return error;
}

void
socket_bind(struct keeper *k, const struct verb *verb)
{
    if (verb->argument != 0)
        next_bind(k, verb);
    else if (verb->index < k->record.header->sockets)
        message_answer(
            k, *verb, VERB_BIND_RESULT, STEP_NONE,
            -socket_open(k, &k->sockets[verb->index], &k->record.sockets[verb->index], false));
}

/* listen() on a socket that listens just sets its backlog. Only of a path that was lost there is
 * something to tell. */
void
socket_listen(struct keeper *k, const struct verb *verb)
{
    if (verb->index >= k->record.header->sockets || k->sockets[verb->index].fd < 0)
        return;
    const struct socket_slot *slot = &k->sockets[verb->index];
    const struct record_socket *record = &k->record.sockets[verb->index];
    listen(slot->fd, (int)record->backlog);
    if (slot->path_inode == 0 || unix_path_is_ours(slot, record))
        return;
    int error = slot->link[0] == '\0' ? EXDEV : 0;
    if (error == 0 &&
        linkat(k->loaded[LOADED_RUNTIME], slot->link, AT_FDCWD, unix_path(record), 0) != 0)
        error = errno;
    message_answer(k, *verb, VERB_RESTORED, STEP_NONE, error);
}

void
socket_close(struct keeper *k, struct socket_slot *slot, const struct record_socket *record)
{
    if (slot->fd < 0)
        return;
    fd_close(&slot->fd);
    if (slot->path_inode != 0 && unix_path_is_ours(slot, record))
        unlink(unix_path(record));
    if (slot->link[0] != '\0')
        unlinkat(k->loaded[LOADED_RUNTIME], slot->link, 0);
}

void
socket_unbind(struct keeper *k, const struct verb *verb)
{
    if (verb->index < k->record.header->sockets)
        socket_close(k, &k->sockets[verb->index], &k->record.sockets[verb->index]);
}

int
control_open(struct keeper *k)
{
    uint32_t at = k->record.header->control - 1;
    const char *path = unix_path(&k->record.sockets[at]);
    int error = socket_open(k, &k->sockets[at], &k->record.sockets[at], false);
    if (error != 0)
        say("cannot make the control socket %s: %s", path, strerror(-error));
    unlinkat(k->loaded[LOADED_RUNTIME], CONTROL_LINK, 0);
    (void)!symlinkat(path, k->loaded[LOADED_RUNTIME], CONTROL_LINK);
    return error;
}

struct socket_slot *
sockets_map(const struct record *record)
{
    struct socket_slot *slots = table_map(record->header->sockets, sizeof *slots);
    for (uint32_t i = 0; slots != NULL && i < record->header->sockets; i++)
        slots[i].fd = -1;
    return slots;
}

void
sockets_close(struct keeper *k, struct socket_slot *slots, const struct record *record)
{
    for (uint32_t i = 0; slots != NULL && i < record->header->sockets; i++)
        socket_close(k, &slots[i], &record->sockets[i]);
    if (slots != NULL)
        munmap(slots, MAX(record->header->sockets, 1u) * sizeof *slots);
}
