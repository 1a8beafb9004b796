/* worker_messages.c - what workers say on their notify sockets, and DRAIN, the one thing said to them. */
#include "supervisor/engine/workers_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/text.h"
#include "supervisor/engine/state.h"

#define MESSAGES_SECOND 200u /* a worker and second; then it is not read until the next second */

static void
entry_feed(struct workers *workers, const struct entry *entry, enum event_kind kind)
{
    struct event event = {.kind = kind, .worker = entry->id};
    shell_feed(workers->shell, &event);
}

/* False: out of memory, the older address stays. */
static bool
entry_set_address(struct entry *entry, const struct sockaddr_un *address, socklen_t len)
{
    struct sockaddr_un *copy = malloc(len);
    if (copy == NULL)
        return false;
    memcpy(copy, address, len);
    free(entry->address);
    entry->address = copy;
    entry->address_len = (uint16_t)len;
    return true;
}

static void
entry_keep_address(struct workers *workers, struct entry *entry, const struct sockaddr_un *address,
                   socklen_t len)
{
    if (len <= sizeof(sa_family_t))
        return;                      /* it sent without a name: there is nowhere to answer */
    len = MIN(len, sizeof *address); /* without the NUL that does not fit */
    if (entry->address != NULL && entry->address_len == len &&
        memcmp(entry->address, address, len) == 0)
        return;
    if (entry_set_address(entry, address, len))
        state_address_keep(shell_state(workers->shell), (uint32_t)(entry - workers->entries),
                           entry->id, address->sun_path, len - sizeof(sa_family_t));
}

void
entry_know_address(struct workers *workers, struct entry *entry)
{
    char name[STATE_NAME_MAX];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = state_address(shell_state(workers->shell), (uint32_t)(entry - workers->entries),
                               entry->id, name);
    if (len == 0)
        return;
    memcpy(address.sun_path, name, len);
    (void)entry_set_address(entry, &address, (socklen_t)(sizeof(sa_family_t) + len));
}

static void
entry_malformed(struct workers *workers, struct entry *entry)
{
    if (entry->malformed == NULL)
        entry->malformed = calloc(1, sizeof *entry->malformed);
    if (entry->malformed == NULL)
        return; /* without memory to count it, it is forgiven */
    if (malformed_note(entry->malformed, shell_now(workers->shell)))
        entry_feed(workers, entry, EV_UNTRUSTED);
}

static void
entry_count(struct worker_counts *counts, const struct message *message)
{
    if (message->keys & MESSAGE_REQUESTS) {
        counts->requests = message->requests;
        counts->has_requests = true;
    }
    if (message->keys & MESSAGE_ACTIVE) {
        counts->active = (uint32_t)MIN(message->active, UINT32_MAX);
        counts->has_active = true;
    }
}

/* The core only hears of a count that has a limit: a report costs nothing else. */
static void
entry_say_requests(struct workers *workers, const struct entry *entry, uint64_t requests)
{
    const struct record *record = shell_record(workers->shell);
    struct event event = {.kind = EV_REQUESTS, .worker = entry->id, .count = requests};
    if (record->pools[entry->id.pool].settings.recycle_requests != 0)
        shell_feed(workers->shell, &event);
}

static void
entry_say_extend(struct workers *workers, const struct entry *entry, msec span)
{
    struct event event = {.kind = EV_EXTEND, .worker = entry->id, .count = span};
    shell_feed(workers->shell, &event);
}

/* It wants to be replaced, and says why; the event that tells it is told meanwhile. */
static void
entry_asks(struct workers *workers, const struct entry *entry, const char *why, size_t len)
{
    struct event event = {.kind = EV_RECYCLE, .worker = entry->id, .cause = CAUSE_UNHEALTHY};
    text_escape(workers->asks_text, sizeof workers->asks_text, why, len);
    workers->asks = entry;
    shell_feed(workers->shell, &event);
    workers->asks = NULL;
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
        entry_keep_address(workers, entry, address, address_len);
    if (message.keys & MESSAGE_STATUS)
        entry_keep_text(&entry->status, message.status, message.status_len);
    entry_count(&entry->counts, &message);
    if (message.keys & MESSAGE_READY)
        entry_feed(workers, entry, EV_READY);
    if (message.keys & MESSAGE_REQUESTS)
        entry_say_requests(workers, entry, message.requests);
    if (message.keys & MESSAGE_EXTEND)
        entry_say_extend(workers, entry, message.extend_usec / 1000);
    if (message.keys & MESSAGE_RECYCLE)
        entry_asks(workers, entry, message.recycle, message.recycle_len);
    if (message.keys & MESSAGE_UNHEALTHY)
        entry_asks(workers, entry, "WATCHDOG=trigger", strlen("WATCHDOG=trigger"));
    if (message.keys & MESSAGE_STOPPING)
        entry_feed(workers, entry, EV_STOPPING);
}

/* Peeks one datagram, acts on it, takes it. False when there is none. Descriptors that a worker sends
 * unasked find no room in the control buffer, and the kernel closes them. */
bool
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
entry_pause(struct workers *workers, uint32_t handle)
{
    struct entry *entry = entry_of(workers, handle);
    if (entry->paused || workers->paused_len == workers->handles_max)
        return;
    entry->paused = true;
    entry_unwatch_messages(workers, handle);
    workers->paused[workers->paused_len++] = handle;
    if (workers->paused_until == MSEC_NEVER)
        workers->paused_until = shell_now(workers->shell) + 1000;
}

void
entry_read_messages(struct workers *workers, uint32_t handle, const struct portion *portion)
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
        if (portion_is_over(portion))
            return;
    }
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
        if (entry->notify_fd >= 0 && entry_watch_messages(workers, handle) != 0)
            entry_close_fd(workers, &entry->notify_fd);
    }
}

int
workers_send_drain(struct workers *workers, uint32_t handle, msec limit)
{
    const struct entry *entry = entry_of(workers, handle);
    if (entry->notify_fd < 0 || entry->address == NULL)
        return -ENOTCONN;
    const struct message message = {.keys = MESSAGE_DRAIN | MESSAGE_DEADLINE,
                                    .deadline_usec = limit * 1000};
    char text[64];
    size_t len = message_write(text, sizeof text, &message);
    ssize_t n = sendto(entry->notify_fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL,
                       (const struct sockaddr *)entry->address, entry->address_len);
    return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EMSGSIZE;
}
