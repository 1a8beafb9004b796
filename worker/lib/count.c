/* count.c - requests in flight and served: counted without a lock, reported by the loop.
 *
 * Whoever counts sets a timer, if none is set; before it reads the counters for a report, dispatch
 * marks it as not set. All of it is sequentially consistent: a count that dispatch does not see was made
 * after the mark, and so finds the timer not set and sets it. */
#include "worker/lib/inside.h"

#include <errno.h>
#include <sched.h>
#include <sys/timerfd.h>
#include <time.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a signal handler may count");

static struct shard *
shard_of(struct poolworker *pw)
{
    return &pw->shared->shards[(unsigned)sched_getcpu() % SHARDS]; /* -1: any shard will do */
}

static void
timer_set(struct poolworker *pw)
{
    if (pw->level != POOLWORKER_POOLD || atomic_load(&pw->shared->armed) != 0 ||
        atomic_exchange(&pw->shared->armed, 1) != 0)
        return;
    msec at =
        MAX(pw_now() + COUNTS_SOON_MS, atomic_load(&pw->shared->reported_ms) + COUNTS_EVERY_MS);
    const struct itimerspec timer = {
        .it_value = {.tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000}};
    timerfd_settime(pw->counts_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

API void
poolworker_request_begin(struct poolworker *pw)
{
    atomic_fetch_add(&shard_of(pw)->begun, 1);
    timer_set(pw);
}

API void
poolworker_request_end(struct poolworker *pw)
{
    atomic_fetch_add(&shard_of(pw)->ended, 1);
    timer_set(pw);
}

/* The ends first: each of them has its begin before it, so there are never more of them. */
struct counts
counts_now(const struct poolworker *pw)
{
    uint64_t begun = 0, ended = 0;
    for (unsigned i = 0; i < SHARDS; i++)
        ended += atomic_load(&pw->shared->shards[i].ended);
    for (unsigned i = 0; i < SHARDS; i++)
        begun += atomic_load(&pw->shared->shards[i].begun);
    return (struct counts){.requests = ended, .active = begun > ended ? begun - ended : 0};
}

API uint64_t
poolworker_requests(const struct poolworker *pw)
{
    return counts_now(pw).requests;
}

API uint64_t
poolworker_active(const struct poolworker *pw)
{
    return counts_now(pw).active;
}
