/* notify.c - a worker's own notify socket: an address that nobody can guess, its user's alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"

static int owner_set(const char *path, uint32_t uid, uint32_t gid);

int
notify_open(struct keeper *k, struct worker *worker, const struct record_pool *pool)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int on = 1;
    /* Never a guessable name: without random bytes there is no worker. */
    if (getrandom(worker->notify_name, sizeof worker->notify_name, GRND_NONBLOCK) !=
        (ssize_t)sizeof worker->notify_name)
        return -EAGAIN;
    notify_path(k, worker, address.sun_path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* fchmod before bind gives the path its mode from the first moment. */
    int error = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 || fchmod(fd, 0600) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        error = -errno;
    else if (pool->drop_privileges && pool->uid != geteuid())
        error = owner_set(address.sun_path, pool->uid, pool->gid);
    if (error != 0) {
        close(fd);
        unlink(address.sun_path);
        return error;
    }
    worker->notify_fd = fd;
    return 0;
}

void
notify_close(struct keeper *k, struct worker *worker)
{
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    if (worker->notify_fd < 0)
        return;
    notify_path(k, worker, path, sizeof path);
    unlink(path);
    fd_close(&worker->notify_fd);
}

void
notify_path(const struct keeper *k, const struct worker *worker, char *out, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    int length = snprintf(out, size, "%.*s/" RUNTIME_NAME_W "/", (int)RUNTIME_PATH_MAX,
                          k->options.runtime);
    char *at = out + length;
    assert((size_t)length + 2 * sizeof worker->notify_name < size);
    for (size_t i = 0; i < sizeof worker->notify_name; i++) {
        *at++ = hex[worker->notify_name[i] >> 4];
        *at++ = hex[worker->notify_name[i] & 15];
    }
    *at = '\0';
}

/* Through a descriptor: only root can put anything into the directory, but a rule without an
 * exception is one that cannot be forgotten. */
static int
owner_set(const char *path, uint32_t uid, uint32_t gid)
{
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0 ? 0 : -errno;
    close(fd);
    return error;
}
