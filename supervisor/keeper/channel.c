/* channel.c - what a worker says arrives through: its own notify socket, at an address that nobody
 * can guess, and its output pipe.
 *
 * Some are made ahead, like children: a path costs a file system, and on a disk that is most of
 * what the keeper does between a death and its replacement. Only the owner is set when it is
 * used. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"

static int notify_open(struct keeper *k, struct channel *channel);
static int output_open(struct channel *channel);
static int owner_set(struct channel *channel, const struct record_pool *pool);

int
channel_open(struct keeper *k, struct channel *channel, enum spawn_step *step)
{
    *channel = CHANNEL_NONE;
    *step = STEP_NOTIFY_SOCKET;
    int error = notify_open(k, channel);
    if (error == 0) {
        *step = STEP_OUTPUT_PIPE;
        error = output_open(channel);
    }
    if (error != 0)
        channel_close(k, channel);
    return error;
}

int
channel_take(struct keeper *k, struct channel *channel, const struct record_pool *pool,
             enum spawn_step *step)
{
    if (k->spare_count > 0) {
        *channel = k->spares[--k->spare_count];
    } else {
        int error = channel_open(k, channel, step);
        if (error != 0)
            return error;
    }
    *step = STEP_NOTIFY_SOCKET;
    int error = pool->drop_privileges ? owner_set(channel, pool) : 0;
    fd_close(&channel->path);
    if (error != 0)
        channel_close(k, channel);
    return error;
}

void
channel_close(struct keeper *k, struct channel *channel)
{
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    if (channel->notify >= 0) {
        channel_path(k, channel, path, sizeof path);
        unlink(path);
    }
    fd_close(&channel->notify);
    fd_close(&channel->path);
    fd_close(&channel->output);
    fd_close(&channel->output_worker);
}

void
channel_path(const struct keeper *k, const struct channel *channel, char *out, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    int length =
        snprintf(out, size, "%.*s/" RUNTIME_NAME_W "/", (int)RUNTIME_PATH_MAX, k->options.runtime);
    char *at = out + length;
    assert((size_t)length + 2 * sizeof channel->name < size);
    for (size_t i = 0; i < sizeof channel->name; i++) {
        *at++ = hex[channel->name[i] >> 4];
        *at++ = hex[channel->name[i] & 15];
    }
    *at = '\0';
}

static int
notify_open(struct keeper *k, struct channel *channel)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int on = 1;
    /* Never a guessable name: without random bytes there is no worker. */
    if (getrandom(channel->name, sizeof channel->name, GRND_NONBLOCK) !=
        (ssize_t)sizeof channel->name)
        return -EAGAIN;
    channel_path(k, channel, address.sun_path, sizeof address.sun_path);
    channel->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* fchmod before bind gives the path its mode from the first moment. */
    if (channel->notify < 0 ||
        setsockopt(channel->notify, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        fchmod(channel->notify, 0600) != 0 ||
        bind(channel->notify, (const struct sockaddr *)&address, sizeof address) != 0)
        return -errno;
    channel->path = open(address.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return channel->path < 0 ? -errno : 0;
}

/* The worker's end is open for reading too, which only /proc can do: it then never loses its last
 * reader, and a worker that writes while no engine runs is not killed by SIGPIPE. Without /proc the
 * writing end has to do. */
static int
output_open(struct channel *channel)
{
    char path[32];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    channel->output = ends[0];
    channel->output_worker = ends[1];
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        return -errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
    int both = open(path, O_RDWR | O_CLOEXEC);
    if (both >= 0) {
        close(ends[1]);
        channel->output_worker = both;
    }
    return 0;
}

/* Through a descriptor: only root can put anything into the directory, but a rule without an
 * exception is one that cannot be forgotten. */
static int
owner_set(struct channel *channel, const struct record_pool *pool)
{
    if (pool->uid == geteuid() && pool->gid == getegid())
        return 0;
    return fchownat(channel->path, "", pool->uid, pool->gid, AT_EMPTY_PATH) == 0 ? 0 : -errno;
}
