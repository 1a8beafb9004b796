/* channel.c - what a worker says arrives through: its own notify socket, at an address that nobody
 * can guess, and its output pipe. */
#include <sys/random.h>

#include "supervisor/keeper/keeper.h"

void
channel_path(const struct keeper *k, const struct child *child, char *out, size_t size)
{
    const char *runtime = record_text(&k->record, k->record.header->runtime);
    int length =
        snprintf(out, size, "%s/w/%016llx%016llx", runtime, child->name[0], child->name[1]);
    assert(length > 0 && (size_t)length < size);
}

/* An end of a pipe that is open for reading and writing, which only /proc can do; without it the end
 * as it is has to do. */
static int
pipe_end(int end, int flags)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", end);
    int both = open(path, O_RDWR | O_CLOEXEC | flags);
    if (both < 0) {
        fcntl(end, F_SETFL, flags);
        return end;
    }
    close(end);
    return both;
}

int
channel_open(struct keeper *k, struct child *child, enum spawn_step *step)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int ends[2];
    const int on = 1;
    *step = STEP_NOTIFY_SOCKET;
    /* Never a guessable name: without random bytes there is no worker. */
    if (getrandom(child->name, sizeof child->name, GRND_NONBLOCK) != (ssize_t)sizeof child->name)
        return -EAGAIN;
    channel_path(k, child, address.sun_path, sizeof address.sun_path);
    child->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* fchmod before bind gives the path its mode from the first moment; poold-exec gives it the
     * worker's user. */
    if (child->notify < 0 ||
        setsockopt(child->notify, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        fchmod(child->notify, 0600) != 0 ||
        bind(child->notify, (const struct sockaddr *)&address, sizeof address) != 0)
        return -errno;
    *step = STEP_OUTPUT_PIPE;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    /* The worker's end never loses its last reader: one that writes while no engine runs is not killed
     * by SIGPIPE. Ours never loses its last writer: a death that the keeper tells of would wake the
     * engine by the end of the pipe, too. */
    child->output = pipe_end(ends[0], O_NONBLOCK);
    child->output_worker = pipe_end(ends[1], 0);
    return 0;
}

void
child_close(struct keeper *k, struct child *child)
{
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    if (child->notify >= 0) {
        channel_path(k, child, path, sizeof path);
        unlink(path);
    }
    fd_close(&child->notify);
    fd_close(&child->output);
    fd_close(&child->output_worker);
    fd_close(&child->link);
    fd_close(&child->pidfd);
}
