/* channel.c - the socket to poold: opened, read, written, and connected again. */
#include "worker/lib/inside.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* What sd_notify(3) knows: all that is said where there is no poold. */
#define NOTIFY_KEYS                                                                                \
    (MESSAGE_READY | MESSAGE_STOPPING | MESSAGE_STATUS | MESSAGE_WATCHDOG | MESSAGE_UNHEALTHY |    \
     MESSAGE_EXTEND)

static int
channel_connect(const struct poolworker *pw)
{
    const struct sockaddr *address = (const struct sockaddr *)&pw->address;
    return connect(pw->notify_fd, address, pw->address_len) == 0 ? 0 : -errno;
}

/* Bound to a name of the kernel's choice, so that poold can answer, and connected, so that nobody else
 * can. That nobody is there is found when something is said. */
int
channel_open(struct poolworker *pw)
{
    pw->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (pw->notify_fd < 0)
        return -errno;
    const struct sockaddr_un any = {.sun_family = AF_UNIX};
    if (pw->level == POOLWORKER_POOLD &&
        bind(pw->notify_fd, (const struct sockaddr *)&any, sizeof(sa_family_t)) != 0)
        return -errno;
    (void)channel_connect(pw);
    return 0;
}

/* --- Hearing. */

static void
heard_take(struct heard *heard, const struct message *message)
{
    if (message->keys & MESSAGE_PING) {
        heard->pinged = true;
        heard->ping = message->ping;
    }
    if (message->keys & MESSAGE_DRAIN) {
        heard->drained = true;
        heard->limit_ms =
            message->keys & MESSAGE_DEADLINE ? message->deadline_usec / 1000 : POOLWORKER_NO_LIMIT;
    }
}

void
channel_hear(struct poolworker *pw, struct heard *heard)
{
    char text[MESSAGE_MAX + 1]; /* one byte more than allowed, to see what is too long */
    struct message message;
    for (unsigned i = 0; i < TURN_MESSAGES; i++) {
        ssize_t n = recv(pw->notify_fd, text, sizeof text, MSG_DONTWAIT);
        if (n < 0 && errno != EINTR)
            return; /* EAGAIN; ECONNRESET, which the next message mends */
        if (n >= 0 && message_read(&message, text, (size_t)n))
            heard_take(heard, &message);
    }
}

/* --- Saying. */

static int
send_once(const struct poolworker *pw, const char *text, size_t len)
{
    return send(pw->notify_fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int
send_text(const struct poolworker *pw, const char *text, size_t len)
{
    int r = send_once(pw, text, len);
    if (r == -ECONNREFUSED || r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE) {
        r = channel_connect(pw);
        if (r == 0)
            r = send_once(pw, text, len);
    }
    return r;
}

/* Counts go when their time has come, or with whatever goes anyway: a loop that dispatches at each turn
 * must not make a datagram a request. */
static void
note_counts(struct poolworker *pw)
{
    if (!pw->counts_due && pw->said.keys == 0)
        return;
    /* Before the counters are read: who counts later finds no timer running, and sets it. Done each
     * time, because a child that is killed before it sets the timer leaves the mark behind. */
    atomic_store(&pw->shared->armed, 0);
    struct counts now = counts_now(pw);
    if (now.requests != pw->sent.requests || now.active != pw->sent.active)
        pw->said.keys |= MESSAGE_REQUESTS | MESSAGE_ACTIVE;
    pw->said.requests = now.requests;
    pw->said.active = now.active;
    pw->counts_due = false;
}

static void
note_sent(struct poolworker *pw)
{
    if (pw->said.keys & (MESSAGE_REQUESTS | MESSAGE_ACTIVE)) {
        pw->sent = (struct counts){pw->said.requests, pw->said.active};
        atomic_store(&pw->shared->reported_ms, pw_now());
    }
    pw->said.keys = 0;
    pw->retry_ms = 0;
    pw->retry_at = MSEC_NEVER;
}

void
channel_say(struct poolworker *pw)
{
    note_counts(pw);
    if (pw->level != POOLWORKER_POOLD)
        pw->said.keys &= NOTIFY_KEYS;
    if (pw->said.keys != 0) {
        char text[MESSAGE_MAX];
        size_t len = message_write(text, sizeof text, &pw->said);
        assert(len > 0); /* two texts are all that is long */
        if (send_text(pw, text, len) == 0)
            note_sent(pw);
        else {
            pw->retry_ms = pw->retry_ms == 0 ? RETRY_MS : MIN(pw->retry_ms * 2, RETRY_MAX_MS);
            pw->retry_at = pw_now() + pw->retry_ms;
        }
    }
    pw_timer(pw);
}
