/* test_civil.c - clock times are the instants that people mean, also when the clock is changed. The zones
 * are rules of their own, so that no time-zone database is needed; test_clock.py compares with one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
/* After the four headers that it wants: */
#include <cmocka.h>

#include "supervisor/engine/civil.h"

#define BERLIN    "CET-1CEST,M3.5.0,M10.5.0/3" /* 02:00 to 03:00 in March, 03:00 to 02:00 in October */
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0" /* by half an hour */

static void
given_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

/* Seconds since 1970 of a moment in UTC. */
static int64_t
utc(int year, int month, int day, int hour, int minute)
{
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute};
    return (int64_t)timegm(&tm);
}

static uint32_t
day_of(int year, int month, int day)
{
    return (uint32_t)(utc(year, month, day, 0, 0) / 86400);
}

static int64_t
instant(int year, int month, int day, uint32_t hour, uint32_t minute)
{
    return civil_instant(
        (struct civil_time){.day = day_of(year, month, day), .minute = hour * 60 + minute});
}

static void
a_time_of_an_ordinary_day_is_its_instant(void **state)
{
    (void)state;
    given_zone(BERLIN);
    assert_int_equal(instant(2026, 1, 15, 3, 30), utc(2026, 1, 15, 2, 30));
    assert_int_equal(instant(2026, 7, 15, 3, 30), utc(2026, 7, 15, 1, 30));
    struct civil_time local = civil_at(utc(2026, 7, 15, 22, 30));
    assert_int_equal(local.day, day_of(2026, 7, 16));
    assert_int_equal(local.minute, 30);
}

static void
a_time_that_does_not_exist_is_the_next_instant_that_does(void **state)
{
    (void)state;
    given_zone(BERLIN);
    assert_int_equal(instant(2026, 3, 29, 2, 0), utc(2026, 3, 29, 1, 0));
    assert_int_equal(instant(2026, 3, 29, 2, 30), utc(2026, 3, 29, 1, 0));
    assert_int_equal(instant(2026, 3, 29, 2, 59), utc(2026, 3, 29, 1, 0));
    assert_int_equal(instant(2026, 3, 29, 3, 0), utc(2026, 3, 29, 1, 0));
    assert_int_equal(instant(2026, 3, 29, 1, 59), utc(2026, 3, 29, 0, 59));
}

static void
a_time_that_comes_twice_is_the_first(void **state)
{
    (void)state;
    given_zone(BERLIN);
    assert_int_equal(instant(2026, 10, 25, 2, 0), utc(2026, 10, 25, 0, 0));
    assert_int_equal(instant(2026, 10, 25, 2, 30), utc(2026, 10, 25, 0, 30));
    assert_int_equal(instant(2026, 10, 25, 3, 0), utc(2026, 10, 25, 2, 0));
}

static void
a_change_by_half_an_hour_is_one_too(void **state)
{
    (void)state;
    given_zone(LORD_HOWE);
    assert_int_equal(instant(2026, 10, 4, 2, 15), utc(2026, 10, 3, 15, 30));
    assert_int_equal(instant(2026, 4, 5, 1, 45), utc(2026, 4, 4, 14, 45));
}

/* A date on which a time comes twice has one instant of it, and the next is that of the next date. */
static void
the_next_of_a_doubled_time_is_on_the_next_date(void **state)
{
    (void)state;
    static const uint16_t half_past_two = 150;
    given_zone(BERLIN);
    int64_t first = civil_next(&half_past_two, 1, utc(2026, 10, 24, 12, 0));
    assert_int_equal(first, utc(2026, 10, 25, 0, 30));
    assert_int_equal(civil_next(&half_past_two, 1, first), utc(2026, 10, 26, 1, 30));
}

static void
the_earliest_of_several_times_is_next(void **state)
{
    (void)state;
    static const uint16_t times[] = {0, 12 * 60, 23 * 60 + 59};
    given_zone(BERLIN);
    assert_int_equal(civil_next(times, 3, utc(2026, 1, 1, 11, 0)), utc(2026, 1, 1, 22, 59));
    assert_int_equal(civil_next(times, 3, utc(2026, 1, 1, 10, 59)), utc(2026, 1, 1, 11, 0));
    assert_int_equal(civil_next(times, 3, utc(2026, 1, 1, 22, 59)), utc(2026, 1, 1, 23, 0));
    assert_int_equal(civil_next(times, 0, 0), INT64_MAX);
}

/* Each instant of ten years is that of its date, once: forwards as the shell goes. */
static void
in_ten_years_each_date_comes_once_in_order(void **state)
{
    (void)state;
    static const uint16_t times[] = {0, 90, 150, 180, 1439};
    static const char *const zones[] = {BERLIN, LORD_HOWE, "UTC0"};
    for (size_t zone = 0; zone < ARRAY_LEN(zones); zone++) {
        given_zone(zones[zone]);
        for (size_t i = 0; i < ARRAY_LEN(times); i++) {
            int64_t at = utc(2020, 1, 1, 12, 0), until = utc(2030, 1, 1, 12, 0);
            uint32_t before = 0, day, dates = 0;
            while ((at = civil_next(&times[i], 1, at)) < until) {
                assert_true(civil_is_due(times[i], at, &day));
                assert_true(before == 0 || day == before + 1);
                before = day;
                dates++;
            }
            assert_in_range(dates, 3652, 3654);
        }
    }
}

static void
two_times_that_do_not_exist_are_due_together(void **state)
{
    (void)state;
    uint32_t day;
    given_zone(BERLIN);
    int64_t at = instant(2026, 3, 29, 2, 15);
    assert_true(civil_is_due(2 * 60 + 15, at, &day));
    assert_int_equal(day, day_of(2026, 3, 29));
    assert_true(civil_is_due(2 * 60 + 45, at, &day));
    assert_true(civil_is_due(3 * 60, at, &day));
    assert_false(civil_is_due(3 * 60 + 1, at, &day));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_of_an_ordinary_day_is_its_instant),
        cmocka_unit_test(a_time_that_does_not_exist_is_the_next_instant_that_does),
        cmocka_unit_test(a_time_that_comes_twice_is_the_first),
        cmocka_unit_test(a_change_by_half_an_hour_is_one_too),
        cmocka_unit_test(the_next_of_a_doubled_time_is_on_the_next_date),
        cmocka_unit_test(the_earliest_of_several_times_is_next),
        cmocka_unit_test(in_ten_years_each_date_comes_once_in_order),
        cmocka_unit_test(two_times_that_do_not_exist_are_due_together),
    };
    return cmocka_run_group_tests_name("civil time", tests, NULL, NULL) != 0;
}
