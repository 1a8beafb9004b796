/* schedule.c - recycling.schedule: tells the core of each clock time that comes. */
#include "supervisor/engine/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/core/heap.h"
#include "supervisor/engine/civil.h"

#define MISSED_S     60  /* what came so lately is not late */
#define REFRESH_TURN 32u /* pools computed anew in a loop turn */
#define FIRE_TURN    16u /* pools told in a loop turn */

struct schedule {
    struct shell *shell;
    struct io_watch *watch;
    int timer_fd;
    uint32_t pools_max;
    uint32_t refresh; /* the next pool to compute anew, pools_max: none */
    struct heap next; /* node: pool; key: second since 1970 */
};

static void schedule_on_timer(void *ctx, unsigned events);

static int64_t
now_s(void)
{
    struct timespec now;
    int r = clock_gettime(CLOCK_REALTIME, &now);
    assert(r == 0);
    return now.tv_sec;
}

int
schedule_create(struct schedule **out, struct shell *shell, uint32_t pools_max, struct err *err)
{
    struct schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL)
        return err_errno(err, -ENOMEM, "clock times");
    *schedule = (struct schedule){
        .shell = shell, .pools_max = pools_max, .refresh = pools_max, .next.nodes_max = pools_max};
    schedule->next.entries = calloc(pools_max, sizeof *schedule->next.entries);
    schedule->next.places = calloc(pools_max, sizeof *schedule->next.places);
    schedule->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    int r = schedule->timer_fd < 0 ? -errno : 0;
    if (schedule->next.entries == NULL || schedule->next.places == NULL)
        r = -ENOMEM;
    if (r == 0)
        r = io_watch_open(shell_io(shell), &schedule->watch, schedule->timer_fd, IO_CONTROL,
                          IO_READ, schedule_on_timer, schedule);
    if (r != 0) {
        schedule_destroy(&schedule);
        return err_errno(err, r, "the timer of clock times");
    }
    *out = schedule;
    return 0;
}

void
schedule_destroy(struct schedule **at)
{
    struct schedule *schedule = *at;
    if (schedule == NULL)
        return;
    if (schedule->watch != NULL)
        io_watch_close(&schedule->watch);
    if (schedule->timer_fd >= 0)
        close(schedule->timer_fd);
    free(schedule->next.entries);
    free(schedule->next.places);
    free(schedule);
    *at = NULL;
}

/* For the earliest time. It is said that the clock was set before this too: then all is computed anew,
 * and the timer set again. */
static void
schedule_arm(struct schedule *schedule)
{
    uint64_t at = heap_first_key(&schedule->next);
    struct itimerspec spec = {0};
    if (at != UINT64_MAX)
        spec.it_value.tv_sec = (time_t)MAX(at, 1u);
    int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
    if (timerfd_settime(schedule->timer_fd, flags, &spec, NULL) == 0)
        return;
    assert(errno == ECANCELED);
    schedule->refresh = 0;
    io_watch_wake(schedule->watch);
}

/* The pool's first time after that second. */
static void
schedule_compute(struct schedule *schedule, uint32_t pool, int64_t after)
{
    const struct record *record = shell_record(schedule->shell);
    uint16_t minutes[SCHEDULE_MAX];
    uint32_t count = pool < record->header->pools ? record->pools[pool].schedule_count : 0;
    if (count == 0) {
        heap_remove(&schedule->next, pool);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        minutes[i] = record_time_at(record, &record->pools[pool], i);
    int64_t next = civil_next(minutes, count, after);
    assert(next > after && next != INT64_MAX);
    heap_set(&schedule->next, pool, (uint64_t)next);
}

void
schedule_pool(struct schedule *schedule, uint32_t pool, bool new_engine)
{
    uint64_t before = heap_first_key(&schedule->next), own = heap_key(&schedule->next, pool);
    if (own == UINT64_MAX && shell_record(schedule->shell)->pools[pool].schedule_count == 0)
        return;
    if (own <= (uint64_t)now_s())
        return; /* one has just come, and is told at the end of this turn */
    tzset();
    schedule_compute(schedule, pool, now_s() - (new_engine ? MISSED_S : 0));
    if (heap_first_key(&schedule->next) != before)
        schedule_arm(schedule);
}

int64_t
schedule_next_ms(const struct schedule *schedule, uint32_t pool)
{
    uint64_t at = heap_key(&schedule->next, pool);
    return at == UINT64_MAX ? INT64_MAX : (int64_t)at * 1000;
}

/* Every listed time that is that instant: after a gap, that may be several. */
static void
schedule_fire(struct schedule *schedule, uint32_t pool, int64_t instant)
{
    const struct record *record = shell_record(schedule->shell);
    uint32_t day;
    for (uint32_t i = 0; i < record->pools[pool].schedule_count; i++) {
        uint16_t minute = record_time_at(record, &record->pools[pool], i);
        if (!civil_is_due(minute, instant, &day))
            continue;
        struct event event = {
            .kind = EV_SCHEDULE, .worker.pool = pool, .count = minute, .day = day};
        shell_feed(schedule->shell, &event);
    }
    schedule_compute(schedule, pool, instant);
}

/* The clock was set, or the zone may be another one. */
static void
schedule_refresh(struct schedule *schedule, int64_t now)
{
    if (schedule->refresh == 0)
        tzset();
    for (uint32_t i = 0; i < REFRESH_TURN && schedule->refresh < schedule->pools_max; i++) {
        if (heap_key(&schedule->next, schedule->refresh) != UINT64_MAX)
            schedule_compute(schedule, schedule->refresh, now - MISSED_S);
        schedule->refresh++;
    }
}

static void
schedule_on_timer(void *ctx, unsigned events)
{
    struct schedule *schedule = ctx;
    uint64_t expirations;
    int64_t now = now_s();
    (void)events;
    if (read(schedule->timer_fd, &expirations, sizeof expirations) < 0 && errno == ECANCELED)
        schedule->refresh = 0;
    if (schedule->refresh < schedule->pools_max) {
        schedule_refresh(schedule, now);
        io_watch_wake(schedule->watch);
        return;
    }
    for (uint32_t i = 0; i < FIRE_TURN && heap_first_key(&schedule->next) <= (uint64_t)now; i++)
        schedule_fire(schedule, heap_first(&schedule->next),
                      (int64_t)heap_first_key(&schedule->next));
    if (heap_first_key(&schedule->next) <= (uint64_t)now)
        io_watch_wake(schedule->watch);
    else
        schedule_arm(schedule);
}
