/* civil.h - clock times of the system's zone as instants: which second a listed time of a date is.
 *
 * A time that does not exist on a date (the clock is set forward over it) is the next instant that
 * does; of a time that comes twice (the clock is set back) the first one counts. By localtime_r(3)
 * only, so the zone is that of TZ or of the system, and tzset(3) is the caller's. Seconds are those
 * since 1970, UTC. */
#ifndef POOLD_ENGINE_CIVIL_H
#define POOLD_ENGINE_CIVIL_H

#include "common/base.h"

struct civil_time {
    uint32_t day;    /* days since 1970-01-01, of the local date */
    uint32_t minute; /* of the day */
};

struct civil_time civil_at(int64_t second);

/* The instant of that time of that date. */
int64_t civil_instant(struct civil_time);

/* The first instant after `after` that is one of the times (count of them, minutes of the day);
 * INT64_MAX without any. */
int64_t civil_next(const uint16_t *minutes, uint32_t count, int64_t after);

/* Whether the time is one whose instant is that; then the date. */
bool civil_is_due(uint16_t minute, int64_t instant, uint32_t *day);

#endif
