/* workers.c - the descriptors of living workers. */
#include "supervisor/engine/workers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/message.h"
#include "common/text.h"

/* Bounds, each with its reason. */
#define TURN_WORKERS     32u  /* workers read a loop turn: some 10 us each, 15 a death */
#define TURN_MESSAGES    16u  /* a worker and turn: one worker cannot hold up the others */
#define MESSAGES_SECOND  200u /* a worker and second; then it is not read until the next second */
#define MALFORMED_MAX    10u  /* in MALFORMED_WINDOW: the worker is not trusted (1127) */
#define MALFORMED_WINDOW 60000u
#define LINES_SECOND     100u  /* of output, a worker and second; the rest is counted, not told */
#define LINE_MAX_BYTES   800u  /* of output; the rest of a longer line begins a new one */
#define READ_BYTES       4096u /* of output a read */
#define LAST_WORDS_READS 16u   /* 64 KiB: a pipe holds no more */
#define STATUS_MAX       200u  /* of STATUS= and of the last line, escaped */

struct entry {
    struct worker_id id; /* generation 0: free */
    int32_t pid;
    int notify_fd, output_fd; /* -1: none */
    uint32_t uid;
    struct sockaddr_un *address; /* where the worker's own process sent from; NULL: nowhere */
    uint16_t address_len;
    uint16_t line_len;   /* of line */
    char *line;          /* an unfinished line of output, LINE_MAX_BYTES; NULL: none */
    char *status, *last; /* escaped; NULL: none */
    uint32_t second;     /* that messages and lines are counted in */
    uint16_t messages, lines;
    uint32_t lines_dropped;
    uint32_t malformed_since; /* seconds */
    uint16_t malformed;
    uint32_t foreign; /* datagrams of other users: dropped, and never held against the worker */
    bool paused;
    bool command_ended;         /* at least once */
    struct exit_status command; /* how its ready command ended last */
};

struct workers {
    struct shell *shell;
    struct io_watch *watch;
    int epoll_fd;
    uint32_t handles_max;
    struct entry *entries; /* a mapping: pages of handles that are never used are never touched */
    uint32_t *paused;      /* handles, handles_max of them at most */
    uint32_t paused_len;
    msec paused_until;
    char datagram[MESSAGE_MAX + 1]; /* one byte more than allowed, to see what is too long */
    char output[READ_BYTES];
};

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
static void
entry_close_fd(struct workers *workers, int *fd)
{
    if (*fd < 0)
        return;
    (void)epoll_do(workers, EPOLL_CTL_DEL, *fd, 0); /* ENOENT when it is paused */
    close(*fd);
    *fd = -1;
}

static struct entry *
entry_of(const struct workers *workers, uint32_t handle)
{
    assert(handle < workers->handles_max);
    return &workers->entries[handle];
}

static void
workers_on_io(void *ctx, unsigned events)
{
    (void)events;
    workers_read(ctx, TURN_WORKERS);
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
    /* ENOSPC (max_user_watches) or ENOMEM: the worker serves on, we are deaf to it: it will miss
     * READY or be drained by signal, and both are told. */
    if (notify_fd >= 0 && epoll_do(workers, EPOLL_CTL_ADD, notify_fd, tag_of(handle, false)) != 0)
        entry_close_fd(workers, &entry->notify_fd);
    if (output_fd >= 0 && epoll_do(workers, EPOLL_CTL_ADD, output_fd, tag_of(handle, true)) != 0)
        entry_close_fd(workers, &entry->output_fd);
}

static const char *
entry_pool(const struct workers *workers, const struct entry *entry)
{
    return shell_pool_name(workers->shell, entry->id.pool);
}

static void
entry_tell_dropped_lines(struct workers *workers, struct entry *entry)
{
    if (entry->lines_dropped == 0)
        return;
    struct event_fields fields = {0};
    fields_number(&fields, "lines", entry->lines_dropped);
    events_emit(shell_events(workers->shell), EVENT_EVENTS_DROPPED, entry_pool(workers, entry),
                entry->id, &fields, "%u lines of output were dropped: more than %u in a second",
                entry->lines_dropped, LINES_SECOND);
    entry->lines_dropped = 0;
}

void
workers_detach(struct workers *workers, uint32_t handle)
{
    struct entry *entry = entry_of(workers, handle);
    if (entry->id.generation == 0)
        return;
    entry_tell_dropped_lines(workers, entry);
    entry_close_fd(workers, &entry->notify_fd);
    entry_close_fd(workers, &entry->output_fd);
    free(entry->address);
    free(entry->line);
    free(entry->status);
    /* A paused handle stays in the list; its entry says that it is not paused any more. Until the
     * handle is somebody else's, the pid is kept for the line that closes a recycle, and the last
     * line for the event that disables the pool. */
    *entry =
        (struct entry){.pid = entry->pid, .last = entry->last, .notify_fd = -1, .output_fd = -1};
}

/* --- counting by the second */
static void
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

static void
entry_pause(struct workers *workers, uint32_t handle)
{
    struct entry *entry = entry_of(workers, handle);
    if (entry->paused || workers->paused_len == workers->handles_max)
        return;
    entry->paused = true;
    (void)epoll_do(workers, EPOLL_CTL_DEL, entry->notify_fd, 0);
    workers->paused[workers->paused_len++] = handle;
    if (workers->paused_until == MSEC_NEVER)
        workers->paused_until = shell_now(workers->shell) + 1000;
}

msec
workers_deadline(const struct workers *workers)
{
    return workers->paused_until;
}

void
workers_tick(struct workers *workers, msec now)
{
    if (now < workers->paused_until)
        return;
    workers->paused_until = MSEC_NEVER;
    uint32_t n = workers->paused_len;
    workers->paused_len = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t handle = workers->paused[i];
        struct entry *entry = entry_of(workers, handle);
        if (!entry->paused)
            continue;
        entry->paused = false;
        if (entry->notify_fd >= 0 &&
            epoll_do(workers, EPOLL_CTL_ADD, entry->notify_fd, tag_of(handle, false)) != 0)
            entry_close_fd(workers, &entry->notify_fd);
    }
}

/* --- messages */
static void
entry_feed(struct workers *workers, const struct entry *entry, enum event_kind kind)
{
    struct event event = {.kind = kind, .worker = entry->id};
    shell_feed(workers->shell, &event);
}

static void
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
entry_keep_address(struct entry *entry, const struct sockaddr_un *address, socklen_t len)
{
    if (len <= sizeof(sa_family_t))
        return;                      /* it sent without a name: there is nowhere to answer */
    len = MIN(len, sizeof *address); /* without the NUL that does not fit */
    if (entry->address != NULL && entry->address_len == len &&
        memcmp(entry->address, address, len) == 0)
        return;
    struct sockaddr_un *copy = malloc(len);
    if (copy == NULL)
        return;
    memcpy(copy, address, len);
    free(entry->address);
    entry->address = copy;
    entry->address_len = (uint16_t)len;
}

static void
entry_malformed(struct workers *workers, struct entry *entry)
{
    uint32_t second = (uint32_t)(shell_now(workers->shell) / 1000);
    if (entry->malformed == 0 || second - entry->malformed_since > MALFORMED_WINDOW / 1000) {
        entry->malformed = 0;
        entry->malformed_since = second;
    }
    if (++entry->malformed < MALFORMED_MAX)
        return;
    entry->malformed = 0;
    entry_feed(workers, entry, EV_UNTRUSTED);
}

/* What a datagram of the worker's own user means. Every effect is idempotent: the datagram is taken
 * from the socket only afterwards, so an engine that dies in between sees it again. */
static void
entry_message(struct workers *workers, struct entry *entry, size_t len, const struct ucred *from,
              const struct sockaddr_un *address, socklen_t address_len)
{
    struct message message;
    if (!message_read(&message, workers->datagram, len)) {
        entry_malformed(workers, entry);
        return;
    }
    if (from->pid == entry->pid)
        entry_keep_address(entry, address, address_len);
    if (message.keys & MESSAGE_STATUS)
        entry_keep_text(&entry->status, message.status, message.status_len);
    if (message.keys & MESSAGE_READY)
        entry_feed(workers, entry, EV_READY);
    if (message.keys & MESSAGE_STOPPING)
        entry_feed(workers, entry, EV_STOPPING);
}

/* Peeks one datagram, acts on it, takes it. False when there is none. Descriptors that a worker sends
 * unasked find no room in the control buffer, and the kernel closes them. */
static bool
entry_receive(struct workers *workers, struct entry *entry)
{
    struct {
        struct sockaddr_un un;
        char nul; /* behind a path that fills sun_path: the kernel counts one */
    } address;
    struct iovec iov = {.iov_base = workers->datagram, .iov_len = sizeof workers->datagram};
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {.msg_name = &address,
                         .msg_namelen = sizeof address.un,
                         .msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(entry->notify_fd, &msg, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    struct ucred from = {.pid = 0, .uid = UINT32_MAX};
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
        c->cmsg_len >= CMSG_LEN(sizeof from))
        memcpy(&from, CMSG_DATA(c), sizeof from);
    if (from.uid == entry->uid)
        entry_message(workers, entry, (size_t)n, &from, &address.un, msg.msg_namelen);
    else if (entry->foreign < UINT32_MAX)
        entry->foreign++;
    (void)recv(entry->notify_fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
    return true;
}

static void
entry_read_messages(struct workers *workers, uint32_t handle)
{
    struct entry *entry = entry_of(workers, handle);
    entry_second(workers, entry);
    for (uint32_t i = 0; i < TURN_MESSAGES && entry->notify_fd >= 0; i++) {
        if (!entry_receive(workers, entry))
            return;
        if (++entry->messages >= MESSAGES_SECOND) {
            entry_pause(workers, handle);
            return;
        }
    }
}

/* --- output */
static void
entry_tell_line(struct workers *workers, struct entry *entry, const char *line, size_t len)
{
    if (len == 0)
        return;
    entry_keep_text(&entry->last, line, len);
    entry_second(workers, entry);
    if (entry->lines >= LINES_SECOND) {
        entry->lines_dropped++;
        return;
    }
    entry->lines++;
    char escaped[EVENT_LINE_MAX];
    text_escape(escaped, sizeof escaped, line, len);
    events_emit(shell_events(workers->shell), EVENT_WORKER_OUTPUT, entry_pool(workers, entry),
                entry->id, NULL, "%s", escaped);
}

/* Bytes without a newline: kept until the rest comes, or told when the line is full. */
static void
entry_keep_part(struct workers *workers, struct entry *entry, const char *bytes, size_t len)
{
    while (len > 0) {
        if (entry->line == NULL && (entry->line = malloc(LINE_MAX_BYTES)) == NULL)
            return;
        size_t n = MIN(len, LINE_MAX_BYTES - entry->line_len);
        memcpy(entry->line + entry->line_len, bytes, n);
        entry->line_len = (uint16_t)(entry->line_len + n);
        bytes += n;
        len -= n;
        if (entry->line_len == LINE_MAX_BYTES) {
            entry_tell_line(workers, entry, entry->line, entry->line_len);
            entry->line_len = 0;
        }
    }
}

static void
entry_end_line(struct workers *workers, struct entry *entry)
{
    if (entry->line == NULL)
        return;
    entry_tell_line(workers, entry, entry->line, entry->line_len);
    free(entry->line);
    entry->line = NULL;
    entry->line_len = 0;
}

static void
entry_output(struct workers *workers, struct entry *entry, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end != NULL ? (size_t)(end - bytes) : len;
        if (end != NULL && entry->line == NULL && n <= LINE_MAX_BYTES) {
            entry_tell_line(workers, entry, bytes, n);
        } else {
            entry_keep_part(workers, entry, bytes, n);
            if (end != NULL)
                entry_end_line(workers, entry);
        }
        bytes += n + (end != NULL);
        len -= n + (end != NULL);
    }
}

/* One read. False when there is nothing (more). */
static bool
entry_read_output(struct workers *workers, struct entry *entry)
{
    if (entry->output_fd < 0)
        return false;
    ssize_t n = read(entry->output_fd, workers->output, sizeof workers->output);
    if (n > 0) {
        entry_output(workers, entry, workers->output, (size_t)n);
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    entry_end_line(workers, entry);
    entry_close_fd(workers, &entry->output_fd);
    return false;
}

bool
workers_read(struct workers *workers, uint32_t budget)
{
    struct epoll_event seen[TURN_WORKERS];
    int n = epoll_wait(workers->epoll_fd, seen, (int)MIN(budget, TURN_WORKERS), 0);
    for (int i = 0; i < n; i++) {
        uint32_t handle = (uint32_t)(seen[i].data.u64 >> 1);
        struct entry *entry = entry_of(workers, handle);
        if (entry->id.generation == 0)
            continue; /* detached by an event of this very turn */
        if (seen[i].data.u64 & 1)
            entry_read_output(workers, entry);
        else
            entry_read_messages(workers, handle);
    }
    return n > 0;
}

void
workers_last_words(struct workers *workers, uint32_t handle)
{
    struct entry *entry = entry_of(workers, handle);
    if (entry->id.generation == 0)
        return;
    for (uint32_t i = 0; i < LAST_WORDS_READS && entry_read_output(workers, entry); i++)
        ;
    entry_end_line(workers, entry);
    for (uint32_t i = 0; i < TURN_MESSAGES && entry->notify_fd >= 0; i++)
        if (!entry_receive(workers, entry))
            break;
}

int
workers_send_drain(struct workers *workers, uint32_t handle, msec limit)
{
    const struct entry *entry = entry_of(workers, handle);
    if (entry->notify_fd < 0 || entry->address == NULL)
        return -ENOTCONN;
    char text[64];
    int len = snprintf(text, sizeof text, "DRAIN=1\nDEADLINE_USEC=%llu\n",
                       (unsigned long long)limit * 1000);
    ssize_t n = sendto(entry->notify_fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL,
                       (const struct sockaddr *)entry->address, entry->address_len);
    return n == len ? 0 : n < 0 ? -errno : -EMSGSIZE;
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
        .foreign = entry->foreign,
        .command_ended = entry->command_ended,
        .command = entry->command,
    };
}
