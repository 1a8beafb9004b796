/* listen.c - the listening sockets: bound, held and closed here, because workers come and go. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "supervisor/keeper/keeper.h"

static const char *
unix_path(const struct record_socket *record)
{
    return (const char *)record->sockaddr + offsetof(struct sockaddr_un, sun_path);
}

/* Part of the hand-off of LISTEN_FDS and plain descriptors: O_NONBLOCK is set, and stays so. */
static int
bind_inet(const struct record_socket *record, bool dual, int *out)
{
    const int on = 1, only = !dual;
    int fd = socket(record->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (record->family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) ||
        bind(fd, (const struct sockaddr *)(const void *)record->sockaddr, record->length) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    *out = fd;
    return 0;
}

static int
bind_inet4_of(const struct record_socket *record, int *out)
{
    struct sockaddr_in6 six;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    struct record_socket instead = {.family = AF_INET, .length = sizeof four};
    memcpy(&six, record->sockaddr, sizeof six);
    four.sin_port = six.sin6_port;
    memcpy(instead.sockaddr, &four, sizeof four);
    return bind_inet(&instead, false, out);
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
    if (fd < 0)
        return false;
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    bool refused = result != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* Through a descriptor, and only of what bind has just made: the directory may be another user's,
 * who could have put something else in its place. */
static int
unix_owner_set(struct socket_slot *slot, const struct record_socket *record, const char *path)
{
    struct stat status;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = 0;
    if (fstat(fd, &status) != 0)
        error = -errno;
    else if (!S_ISSOCK(status.st_mode) || status.st_nlink != 1 || status.st_uid != geteuid() ||
             (status.st_mode & 07777) != record->mode)
        error = -EADDRINUSE;
    else if ((status.st_uid != record->uid || status.st_gid != record->gid) &&
             fchownat(fd, "", record->uid, record->gid, AT_EMPTY_PATH) != 0)
        error = -errno;
    slot->path_device = status.st_dev;
    slot->path_inode = status.st_ino;
    close(fd);
    return error;
}

static int
bind_unix(struct socket_slot *slot, const struct record_socket *record, int *out)
{
    const char *path = unix_path(record);
    struct sockaddr_un address;
    memcpy(&address, record->sockaddr, sizeof address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int error = fchmod(fd, record->mode) == 0 ? 0 : -errno;
    /* The path gets the socket's mode less the umask, which is for everything else. */
    mode_t mask = umask(0);
    if (error == 0 && bind(fd, (const struct sockaddr *)&address, record->length) != 0)
        error = -errno;
    if (error == -EADDRINUSE && unix_path_is_stale(path, &address)) {
        unlink(path);
        error = bind(fd, (const struct sockaddr *)&address, record->length) == 0 ? 0 : -errno;
    }
    umask(mask);
    if (error == 0) {
        error = unix_owner_set(slot, record, path);
        if (error != 0)
            unlink(path);
    }
    if (error == 0)
        *out = fd;
    else
        close(fd);
    return error;
}

static int
bind_record(struct socket_slot *slot, const struct record_socket *record)
{
    int fd = -1, error;
    if (record->family == AF_UNIX)
        error = bind_unix(slot, record, &fd);
    else
        error = bind_inet(record, record->dual, &fd);
    /* No IPv6 in this kernel, or none switched on: then "every address" is every IPv4 address. */
    if (record->dual && (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL))
        error = bind_inet4_of(record, &fd);
    if (error == 0 && listen(fd, (int)record->backlog) != 0)
        error = -errno;
    if (error == 0)
        slot->fd = fd;
    else if (fd >= 0)
        close(fd);
    return error;
}

static void
slot_close(struct socket_slot *slot, const struct record_socket *record)
{
    struct stat status;
    if (slot->fd < 0)
        return;
    fd_close(&slot->fd);
    if (record->family == AF_UNIX && lstat(unix_path(record), &status) == 0 &&
        status.st_dev == slot->path_device && status.st_ino == slot->path_inode)
        unlink(unix_path(record));
}

int
sockets_open(struct keeper *k)
{
    k->sockets = table_map(k->record.header->sockets, sizeof *k->sockets);
    for (uint32_t i = 0; k->sockets != NULL && i < k->record.header->sockets; i++)
        k->sockets[i].fd = -1;
    return k->sockets != NULL ? 0 : -errno;
}

void
sockets_close(struct keeper *k)
{
    for (uint32_t i = 0; i < k->record.header->sockets; i++)
        slot_close(&k->sockets[i], &k->record.sockets[i]);
}

void
socket_bind(struct keeper *k, const struct verb *verb)
{
    if (verb->index >= k->record.header->sockets)
        return;
    struct socket_slot *slot = &k->sockets[verb->index];
    int error = slot->fd >= 0 ? 0 : bind_record(slot, &k->record.sockets[verb->index]);
    message_answer(k, *verb, VERB_BIND_RESULT, 0, -error);
}

/* A backlog that changed: listen() on a socket that listens just sets it. */
void
socket_listen(struct keeper *k, const struct verb *verb)
{
    if (verb->index < k->record.header->sockets && k->sockets[verb->index].fd >= 0)
        listen(k->sockets[verb->index].fd, (int)k->record.sockets[verb->index].backlog);
}

void
socket_unbind(struct keeper *k, const struct verb *verb)
{
    if (verb->index < k->record.header->sockets)
        slot_close(&k->sockets[verb->index], &k->record.sockets[verb->index]);
}
