/* test_hold.c - claims about the histograms of holds: steps, shares, bounds, and the two clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "supervisor/engine/hold.h"

static void
each_step_begins_where_the_one_before_ends(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < HOLD_STEPS - 1; i++) {
        struct hold_spans spans = {0};
        uint64_t limit = hold_step_limit(i);
        hold_spans_add(&spans, limit);
        assert_int_equal(spans.steps[i], 1);
        hold_spans_add(&spans, limit + 1);
        assert_int_equal(spans.steps[i + 1], 1);
    }
    assert_true(hold_step_limit(HOLD_STEPS - 2) > 30ull * 1000000000);
    assert_true(hold_step_limit(HOLD_STEPS - 1) == UINT64_MAX);
}

static void
a_share_is_at_most_an_eighth_too_high_and_never_above_the_longest(void **state)
{
    (void)state;
    for (uint64_t ns = 9000; ns < 20ull * 1000000000; ns = ns * 5 / 3) {
        struct hold_spans spans = {0};
        hold_spans_add(&spans, ns);
        assert_true(hold_spans_share(&spans, 500) == ns);
        hold_spans_add(&spans, ns * 2); /* no longer the longest */
        uint64_t half = hold_spans_share(&spans, 500);
        assert_true(half >= ns && half <= ns + ns / 8);
        assert_true(hold_spans_share(&spans, 1000) == ns * 2);
    }
}

static void
shares_count_spans_not_time(void **state)
{
    (void)state;
    struct hold_spans spans = {0};
    for (int i = 0; i < 998; i++)
        hold_spans_add(&spans, 20000);
    hold_spans_add(&spans, 500000);
    hold_spans_add(&spans, 9000000);
    assert_true(hold_spans_share(&spans, 500) < 23000);
    assert_true(hold_spans_share(&spans, 990) < 23000);
    uint64_t nearly = hold_spans_share(&spans, 999);
    assert_true(nearly >= 500000 && nearly < 570000);
    assert_true(hold_spans_share(&spans, 1000) == 9000000);
    assert_true(spans.max_ns == 9000000 && spans.count == 1000);
}

static void
without_a_span_there_is_no_time(void **state)
{
    (void)state;
    struct hold_spans spans = {0};
    assert_true(hold_spans_share(&spans, 0) == 0);
    assert_true(hold_spans_share(&spans, 999) == 0);
}

static void
the_shortest_the_longest_and_a_full_step_stay_within_bounds(void **state)
{
    (void)state;
    struct hold_spans spans = {0};
    hold_spans_add(&spans, 0);
    hold_spans_add(&spans, UINT64_MAX);
    assert_int_equal(spans.steps[0], 1);
    assert_int_equal(spans.steps[HOLD_STEPS - 1], 1);
    assert_true(hold_spans_share(&spans, 1000) == UINT64_MAX);
    spans.steps[0] = UINT32_MAX;
    hold_spans_add(&spans, 1);
    assert_true(spans.steps[0] == UINT32_MAX);
    assert_true(hold_spans_share(&spans, 999) == 8191);
}

/* What a sleep takes is no work; what a loop takes is both. */
static void
sleep_is_held_time_and_no_cpu_time(void **state)
{
    (void)state;
    struct hold slept = {0}, worked = {0};
    struct hold_mark from = hold_mark();
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
    struct hold_mark middle = hold_mark(), to = middle;
    while (to.cpu_ns - middle.cpu_ns < 3 * 1000000)
        to = hold_mark();
    hold_add(&slept, from, middle);
    hold_add(&worked, middle, to);
    assert_true(slept.wall.max_ns >= 20 * 1000000);
    assert_true(slept.cpu.max_ns < slept.wall.max_ns);
    assert_true(worked.cpu.max_ns >= 3 * 1000000);
    assert_int_equal(slept.wall.count, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_begins_where_the_one_before_ends),
        cmocka_unit_test(a_share_is_at_most_an_eighth_too_high_and_never_above_the_longest),
        cmocka_unit_test(shares_count_spans_not_time),
        cmocka_unit_test(without_a_span_there_is_no_time),
        cmocka_unit_test(the_shortest_the_longest_and_a_full_step_stay_within_bounds),
        cmocka_unit_test(sleep_is_held_time_and_no_cpu_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
