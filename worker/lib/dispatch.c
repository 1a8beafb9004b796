/* dispatch.c - what the loop calls, and what the worker says. */
#include "worker/lib/inside.h"

#include <string.h>
#include <unistd.h>

/* --- What the worker says. */

static void
say(struct poolworker *pw, unsigned keys)
{
    if (!pw_speaks(pw))
        return;
    pthread_mutex_lock(&pw->lock);
    pw->said.keys |= keys;
    channel_say(pw);
    pthread_mutex_unlock(&pw->lock);
}

API void
poolworker_ready(struct poolworker *pw)
{
    say(pw, MESSAGE_READY);
}

API void
poolworker_unhealthy(struct poolworker *pw)
{
    say(pw, MESSAGE_UNHEALTHY);
}

API void
poolworker_alive(struct poolworker *pw)
{
    say(pw, MESSAGE_WATCHDOG);
}

static size_t
text_keep(char to[POOLWORKER_TEXT_MAX], const char *text)
{
    size_t len = strnlen(text, POOLWORKER_TEXT_MAX);
    memcpy(to, text, len);
    return len;
}

API void
poolworker_status(struct poolworker *pw, const char *text)
{
    if (!pw_speaks(pw))
        return;
    pthread_mutex_lock(&pw->lock);
    pw->said.status = pw->status;
    pw->said.status_len = text_keep(pw->status, text);
    pw->said.keys |= MESSAGE_STATUS;
    channel_say(pw);
    pthread_mutex_unlock(&pw->lock);
}

API void
poolworker_recycle(struct poolworker *pw, const char *reason)
{
    if (!pw_speaks(pw))
        return;
    pthread_mutex_lock(&pw->lock);
    pw->said.recycle = pw->reason;
    pw->said.recycle_len = text_keep(pw->reason, reason);
    pw->said.keys |= MESSAGE_RECYCLE;
    channel_say(pw);
    pthread_mutex_unlock(&pw->lock);
}

API void
poolworker_extend(struct poolworker *pw, uint64_t by_ms)
{
    if (!pw_speaks(pw))
        return;
    pthread_mutex_lock(&pw->lock);
    pw->said.extend_usec = MIN(by_ms, UINT64_MAX / 1000) * 1000;
    pw->said.keys |= MESSAGE_EXTEND;
    channel_say(pw);
    pthread_mutex_unlock(&pw->lock);
}

/* --- Leaving. */

API bool
poolworker_is_draining(const struct poolworker *pw)
{
    return atomic_load(&pw->shared->draining);
}

/* True the first time. */
static bool
leave(struct poolworker *pw)
{
    static const uint64_t one = 1;
    if (atomic_exchange(&pw->shared->draining, true))
        return false;
    pthread_mutex_lock(&pw->lock);
    watches_stop(pw);
    pthread_mutex_unlock(&pw->lock);
    ssize_t n = write(pw->leave_fd, &one, sizeof one); /* threads that wait, in children too */
    assert(n == sizeof one);
    return true;
}

API void
poolworker_stopping(struct poolworker *pw)
{
    if (getpid() != pw->pid)
        return;
    leave(pw);
    say(pw, MESSAGE_STOPPING);
}

/* --- The loop. */

API void
poolworker_on_drain(struct poolworker *pw, poolworker_drain_fn *call, void *context)
{
    pw->drain_call = call;
    pw->drain_context = context;
}

API void
poolworker_on_ping(struct poolworker *pw, poolworker_ping_fn *call, void *context)
{
    pw->ping_call = call;
    pw->ping_context = context;
}

/* Whether it has fired since it was asked last. */
static bool
timer_take(int fd)
{
    uint64_t times;
    return read(fd, &times, sizeof times) == sizeof times;
}

/* With the lock. */
static void
do_what_is_due(struct poolworker *pw)
{
    msec now = pw_now();
    (void)timer_take(pw->timer_fd); /* it stays readable otherwise */
    if (timer_take(pw->counts_fd))
        pw->counts_due = true;
    if (now >= pw->watchdog_at) {
        pw->said.keys |= MESSAGE_WATCHDOG;
        pw->watchdog_at = now + pw->watchdog_ms;
    }
    if (now >= pw->resume_at)
        watches_resume(pw);
}

API void
poolworker_dispatch(struct poolworker *pw)
{
    struct heard heard = {0};
    if (getpid() != pw->pid)
        return;
    if (pw->level != POOLWORKER_ALONE)
        channel_hear(pw, &heard);
    bool answers = heard.pinged && (pw->ping_call == NULL || pw->ping_call(pw, pw->ping_context));
    bool leaves = heard.drained && leave(pw);
    pthread_mutex_lock(&pw->lock);
    do_what_is_due(pw);
    if (answers) {
        pw->said.pong = heard.ping;
        pw->said.keys |= MESSAGE_PONG;
    }
    if (heard.drained)
        pw->said.keys |= MESSAGE_STOPPING; /* each time: poold asks twice when it has not heard */
    if (pw_speaks(pw))
        channel_say(pw);
    pthread_mutex_unlock(&pw->lock);
    if (leaves && pw->drain_call != NULL)
        pw->drain_call(pw, heard.limit_ms, pw->drain_context); /* it may destroy pw */
}
