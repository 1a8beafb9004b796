/* civil.c - clock times of the system's zone as instants. */
#include "supervisor/engine/civil.h"

#include <time.h>

#define DAY_S 86400

/* No zone is further from UTC, so beside a date's clock nothing else is within so many seconds; and a
 * zone does not change twice within that. */
#define REACH_S (26 * 3600)

/* Of the local clock from UTC, in s. */
static int64_t
offset_at(int64_t second)
{
    time_t at = (time_t)second;
    struct tm local = {0};
    localtime_r(&at, &local);
    return local.tm_gmtoff;
}

static int64_t
local_at(int64_t second)
{
    return second + offset_at(second);
}

struct civil_time
civil_at(int64_t second)
{
    int64_t local = MAX(local_at(second), 0);
    return (struct civil_time){.day = (uint32_t)(local / DAY_S),
                               .minute = (uint32_t)(local % DAY_S / 60)};
}

/* The clock jumps over `local` somewhere in (before, after]: the second at which it does. */
static int64_t
jump_between(int64_t before, int64_t after, int64_t local)
{
    while (after - before > 1) {
        int64_t middle = before + (after - before) / 2;
        if (local_at(middle) < local)
            before = middle;
        else
            after = middle;
    }
    return after;
}

int64_t
civil_instant(struct civil_time time)
{
    static const int64_t sides[] = {-REACH_S, -REACH_S / 2, 0, REACH_S / 2, REACH_S};
    int64_t local = (int64_t)time.day * DAY_S + (int64_t)time.minute * 60;
    int64_t first = INT64_MAX, least = INT64_MAX, most = INT64_MIN;
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        int64_t offset = offset_at(local + sides[i]);
        least = MIN(least, offset);
        most = MAX(most, offset);
        if (local_at(local - offset) == local)
            first = MIN(first, local - offset);
    }
    return first != INT64_MAX ? first : jump_between(local - most, local - least, local);
}

int64_t
civil_next(const uint16_t *minutes, uint32_t count, int64_t after)
{
    int64_t next = INT64_MAX;
    uint32_t today = civil_at(after).day;
    for (uint32_t i = 0; i < count; i++) {
        /* Yesterday's too: a time that does not exist may come on the next date. */
        for (uint32_t day = today - MIN(today, 1u); day <= today + 2; day++) {
            int64_t at = civil_instant((struct civil_time){.day = day, .minute = minutes[i]});
            if (at > after)
                next = MIN(next, at);
        }
    }
    return next;
}

bool
civil_is_due(uint16_t minute, int64_t instant, uint32_t *day)
{
    uint32_t today = civil_at(instant).day;
    for (*day = today - MIN(today, 1u); *day <= today; ++*day)
        if (civil_instant((struct civil_time){.day = *day, .minute = minute}) == instant)
            return true;
    return false;
}
