/* workers.c - who is attached: the table of living workers and the epoll set of their descriptors. */
#include "supervisor/engine/workers_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/text.h"

/* Bounds, each with its reason. */
#define TURN_WORKERS     32u  /* descriptors read a loop turn: some 10 us each, 15 a death, */
#define TURN_US          500u /* ... and the rest waits when it has been more */
#define LAST_WORDS_READS 16u  /* 1 MiB: no user's pipe holds more */

/* --- what the epoll descriptor's data says: handle and which of the two descriptors */
static uint64_t
tag_of(uint32_t handle, bool is_output)
{
    return ((uint64_t)handle << 1) | is_output;
}

static int
epoll_do(struct workers *workers, int op, int fd, uint64_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    return epoll_ctl(workers->epoll_fd, op, fd, &event) == 0 ? 0 : -errno;
}

/* The keeper holds the same socket, so closing alone would not take it out of the epoll set. */
void
entry_close_fd(struct workers *workers, int *fd)
{
    if (*fd < 0)
        return;
    (void)epoll_do(workers, EPOLL_CTL_DEL, *fd, 0); /* ENOENT when it is paused */
    close(*fd);
    *fd = -1;
}

int
entry_watch_output(struct workers *workers, struct entry *entry)
{
    return epoll_do(workers, EPOLL_CTL_ADD, entry->output_fd,
                    tag_of((uint32_t)(entry - workers->entries), true));
}

void
entry_unwatch_output(struct workers *workers, struct entry *entry)
{
    (void)epoll_do(workers, EPOLL_CTL_DEL, entry->output_fd, 0);
}

int
entry_watch_messages(struct workers *workers, uint32_t handle)
{
    return epoll_do(workers, EPOLL_CTL_ADD, entry_of(workers, handle)->notify_fd,
                    tag_of(handle, false));
}

void
entry_unwatch_messages(struct workers *workers, uint32_t handle)
{
    (void)epoll_do(workers, EPOLL_CTL_DEL, entry_of(workers, handle)->notify_fd, 0);
}

struct entry *
entry_of(const struct workers *workers, uint32_t handle)
{
    assert(handle < workers->handles_max);
    return &workers->entries[handle];
}

static void
workers_on_io(void *ctx, unsigned events)
{
    struct portion portion = portion_of(TURN_WORKERS, TURN_US);
    (void)events;
    workers_read(ctx, &portion);
}

int
workers_create(struct workers **out, struct shell *shell, uint32_t handles_max, struct err *err)
{
    struct workers *workers = calloc(1, sizeof *workers);
    if (workers == NULL)
        return err_set(err, -ENOMEM, "out of memory for the table of workers");
    workers->shell = shell;
    workers->handles_max = handles_max;
    workers->paused_until = MSEC_NEVER;
    workers->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    void *map = mmap(NULL, handles_max * sizeof *workers->entries, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *paused = mmap(NULL, handles_max * sizeof *workers->paused, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED || paused == MAP_FAILED || workers->epoll_fd < 0)
        return err_errno(err, -errno, "make the table of workers");
    workers->entries = map;
    workers->paused = paused;
    int r = io_watch_open(shell_io(shell), &workers->watch, workers->epoll_fd, IO_WORKERS, IO_READ,
                          workers_on_io, workers);
    if (r != 0)
        return err_errno(err, r, "the workers' sockets cannot be watched");
    *out = workers;
    return 0;
}

void
workers_destroy(struct workers **at)
{
    struct workers *workers = *at;
    if (workers == NULL)
        return;
    for (uint32_t i = 0; i < workers->handles_max; i++) {
        workers_detach(workers, i);
        free(workers->entries[i].last);
    }
    io_watch_close(&workers->watch);
    close(workers->epoll_fd);
    munmap(workers->entries, workers->handles_max * sizeof *workers->entries);
    munmap(workers->paused, workers->handles_max * sizeof *workers->paused);
    free(workers);
    *at = NULL;
}

bool
workers_attached(const struct workers *workers, uint32_t handle, struct worker_id id)
{
    return entry_of(workers, handle)->id.generation == id.generation && id.generation != 0;
}

void
workers_attach(struct workers *workers, uint32_t handle, struct worker_id id, int32_t pid,
               uint32_t uid, int notify_fd, int output_fd)
{
    struct entry *entry = entry_of(workers, handle);
    assert(id.generation != 0);
    if (workers_attached(workers, handle, id)) {
        if (notify_fd >= 0)
            close(notify_fd);
        if (output_fd >= 0)
            close(output_fd);
        return;
    }
    assert(entry->id.generation == 0);
    free(entry->last);
    *entry = (struct entry){
        .id = id, .pid = pid, .uid = uid, .notify_fd = notify_fd, .output_fd = output_fd};
    entry_know_address(workers, entry);
    /* ENOSPC (max_user_watches) or ENOMEM: the worker serves on, we are deaf to it: it will miss
     * READY or be drained by signal, and both are told. */
    if (notify_fd >= 0 && entry_watch_messages(workers, handle) != 0)
        entry_close_fd(workers, &entry->notify_fd);
    if (output_fd >= 0 && entry_watch_output(workers, entry) != 0)
        entry_close_fd(workers, &entry->output_fd);
}

const char *
entry_pool(const struct workers *workers, const struct entry *entry)
{
    return shell_pool_name(workers->shell, entry->id.pool);
}

void
workers_detach(struct workers *workers, uint32_t handle)
{
    struct entry *entry = entry_of(workers, handle);
    if (entry->id.generation == 0)
        return;
    entry_tell_dropped_lines(workers, entry);
    entry_wait_end(workers, entry);
    entry_close_fd(workers, &entry->notify_fd);
    entry_close_fd(workers, &entry->output_fd);
    entry_drop_line(workers, entry);
    free(entry->address);
    free(entry->status);
    free(entry->malformed);
    /* A paused handle stays in the list; its entry says that it is not paused any more. Until the
     * handle is somebody else's, the pid is kept for the line that closes a recycle, and the last
     * line for the event that disables the pool, and what it said of its requests for both. */
    *entry = (struct entry){.pid = entry->pid,
                            .last = entry->last,
                            .counts = entry->counts,
                            .notify_fd = -1,
                            .output_fd = -1};
}

void
entry_second(struct workers *workers, struct entry *entry)
{
    uint32_t second = (uint32_t)(shell_now(workers->shell) / 1000);
    if (entry->second == second)
        return;
    entry->second = second;
    entry->messages = 0;
    entry->lines = 0;
    entry_tell_dropped_lines(workers, entry);
}

void
entry_keep_text(char **at, const char *text, size_t len)
{
    char escaped[STATUS_MAX];
    text_escape(escaped, sizeof escaped, text, len);
    char *copy = strdup(escaped);
    if (copy == NULL)
        return; /* the older text stays */
    free(*at);
    *at = copy;
}

static void
read_one(struct workers *workers, uint64_t tag, const struct portion *portion)
{
    uint32_t handle = (uint32_t)(tag >> 1);
    struct entry *entry = entry_of(workers, handle);
    if (entry->id.generation == 0)
        return; /* detached since the kernel said so */
    if (tag & 1)
        entry_read_outputs(workers, entry, portion);
    else if (!entry->paused)
        entry_read_messages(workers, handle, portion);
}

/* What the kernel said and is not read yet is kept for the next call: asked again it begins elsewhere,
 * and would pass over the same descriptors each time. A handle that is somebody else's by then has
 * nothing to read, which does no harm. */
bool
workers_read(struct workers *workers, struct portion *portion)
{
    for (;;) {
        if (workers->seen_at == workers->seen_len) {
            int n = epoll_wait(workers->epoll_fd, workers->seen, SEEN_MAX, 0);
            workers->seen_at = 0;
            workers->seen_len = (uint32_t)MAX(n, 0);
            if (n <= 0)
                return false;
        }
        if (!portion_take(portion))
            return true;
        read_one(workers, workers->seen[workers->seen_at++].data.u64, portion);
    }
}

void
workers_last_words(struct workers *workers, uint32_t handle)
{
    struct entry *entry = entry_of(workers, handle);
    if (entry->id.generation == 0)
        return;
    for (uint32_t i = 0; i < LAST_WORDS_READS; i++)
        if (!entry_read_output(workers, entry, sizeof workers->output))
            break;
    entry_end_line(workers, entry);
    for (uint32_t i = 0; i < TURN_MESSAGES && entry->notify_fd >= 0; i++)
        if (!entry_receive(workers, entry))
            break;
}

void
workers_note_command(struct workers *workers, uint32_t handle, struct exit_status status)
{
    struct entry *entry = entry_of(workers, handle);
    if (entry->id.generation == 0)
        return;
    entry->command_ended = true;
    entry->command = status;
}

void
workers_describe(const struct workers *workers, uint32_t handle, struct shell_worker *out)
{
    const struct entry *entry = entry_of(workers, handle);
    *out = (struct shell_worker){
        .pid = entry->pid,
        .status_text = entry->status != NULL ? entry->status : "",
        .last_line = entry->last != NULL ? entry->last : "",
        .asks = workers->asks == entry ? workers->asks_text : "",
        .foreign = entry->foreign,
        .counts = entry->counts,
        .command_ended = entry->command_ended,
        .command = entry->command,
    };
}
