/* test_core_reason.c - workers are replaced by themselves, for what they have reached or said. */
#include "test/unit/core_builder.h"

#define HOUR_MS 3600000u

/* A pool whose workers serve and have no jitter unless that is given. */
#define given_pool_that_serves(workers, ...)                                                       \
    do {                                                                                           \
        given_core(1, 16, 4);                                                                      \
        given_pool(0, .workers_min = (workers), __VA_ARGS__);                                      \
        given_pool_is_started(0, (workers));                                                       \
    } while (0)

#define when_applied(p, ...)                                                                       \
    do {                                                                                           \
        _Pragma("GCC diagnostic push") _Pragma(                                                    \
            "GCC diagnostic ignored \"-Woverride-init\"") struct pool_settings applied_ = {        \
            DEFAULT_SETTINGS, __VA_ARGS__};                                                        \
        _Pragma("GCC diagnostic pop") applied_.workers_max =                                       \
            MAX(applied_.workers_min, applied_.workers_max);                                       \
        when_pool(p, .kind = EV_POOL_ADD, .settings = &applied_, .by_operator = true);             \
    } while (0)

static struct worker_view
view_of(uint32_t slot, uint32_t generation)
{
    struct worker_view view;
    struct worker_id id = {0, slot, generation};
    assert_true(core_worker(given.core, core_handle(given.core, id), &view));
    return view;
}

static void
when_successor_takes_over(uint32_t slot, uint32_t old, uint32_t new)
{
    given_worker_is_ready(0, slot, new);
    then_to(ACT_DRAIN, slot, old);
    when_worker(0, slot, old, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
}

static void
when_spawn_fails(uint32_t slot, uint32_t generation)
{
    when_worker(0, slot, generation, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
    then_told(1022);
}

/* --- Age. */

static void
a_worker_that_has_reached_its_age_is_replaced(void **state)
{
    (void)state;
    given_pool_that_serves(1, .recycle_time_ms = HOUR_MS);
    when_due_after(HOUR_MS);
    const struct action *told = then_told(1074);
    assert_int_equal(told->cause, CAUSE_TIME);
    assert_int_equal(told->measured, HOUR_MS);
    assert_int_equal(told->limit_value, HOUR_MS);
    assert_int_equal(then_to(ACT_SPAWN, 0, 2)->cause, CAUSE_TIME);
    when_successor_takes_over(0, 1, 2);
    const struct action *done = then_told(6022);
    assert_int_equal(done->cause, CAUSE_TIME);
    assert_int_equal(done->measured, HOUR_MS);
    assert_int_equal(done->limit_value, HOUR_MS);
    then_to(ACT_RELEASE, 0, 1);
    then_nothing();
}

static void
only_the_worker_that_is_old_is_replaced(void **state)
{
    (void)state;
    given_pool_that_serves(2, .recycle_time_ms = HOUR_MS);
    when_ms_pass(HOUR_MS / 2);
    when_worker(0, 1, 2, .kind = EV_EXITED, .status = exit_code_1);
    then_told(1009);
    then_to(ACT_RELEASE, 1, 2);
    then_to(ACT_SPAWN, 1, 3);
    given_worker_is_ready(0, 1, 3);
    when_due_after(HOUR_MS / 2);
    then_told(1074);
    then_to(ACT_SPAWN, 0, 4);
    when_successor_takes_over(0, 1, 4);
    then_told(6022);
    then_to(ACT_RELEASE, 0, 1);
    then_worker_is(0, 1, 3, WORKER_READY);
    assert_int_equal(view_of(1, 3).leave, CAUSE_NONE);
}

static void
workers_of_one_age_are_replaced_one_after_the_other(void **state)
{
    (void)state;
    given_pool_that_serves(2, .recycle_time_ms = HOUR_MS);
    when_due_after(HOUR_MS);
    then_told(1074);
    then_told(1074);
    then_to(ACT_SPAWN, 0, 3);
    then_nothing();
    given_worker_is_ready(0, 0, 3);
    then_to(ACT_DRAIN, 0, 1);
    then_to(ACT_SPAWN, 1, 4);
}

static void
each_worker_has_an_age_limit_of_its_own_within_the_jitter(void **state)
{
    (void)state;
    given_core(1, 64, 32);
    given_pool(0, .workers_min = 32, .recycle_time_ms = HOUR_MS, .recycle_jitter = 10);
    given_pool_is_started(0, 32);
    msec least = MSEC_NEVER, most = 0;
    for (uint32_t i = 0; i < 32; i++) {
        msec limit = view_of(i, i + 1).age_limit_ms;
        assert_in_range(limit, HOUR_MS / 10 * 9, HOUR_MS / 10 * 11);
        least = MIN(least, limit);
        most = MAX(most, limit);
    }
    /* 32 even draws: that none is in the lower or upper third has odds of one to 400,000. */
    assert_true(least < HOUR_MS / 10 * 9 + HOUR_MS / 15);
    assert_true(most > HOUR_MS / 10 * 11 - HOUR_MS / 15);
}

static void
the_limit_of_a_worker_outlives_the_engine(void **state)
{
    (void)state;
    given_pool_that_serves(1, .recycle_time_ms = HOUR_MS, .recycle_jitter = 50);
    msec limit = view_of(0, 1).age_limit_ms;
    assert_int_equal(when_engine_dies(0), 0);
    assert_int_equal(view_of(0, 1).age_limit_ms, limit);
    assert_int_equal(core_deadline(given.core), given.now + limit);
}

static void
no_worker_of_a_pool_without_a_limit_has_a_deadline(void **state)
{
    (void)state;
    given_pool_that_serves(1);
    assert_int_equal(core_deadline(given.core), MSEC_NEVER);
    assert_int_equal(view_of(0, 1).age_limit_ms, MSEC_NEVER);
    assert_int_equal(view_of(0, 1).next_at, MSEC_NEVER);
}

static void
the_next_recycle_and_its_cause_are_known_beforehand(void **state)
{
    (void)state;
    given_pool_that_serves(1, .recycle_time_ms = HOUR_MS);
    struct worker_view view = view_of(0, 1);
    assert_int_equal(view.next_at, given.now + HOUR_MS);
    assert_int_equal(view.next_for, CAUSE_TIME);
}

/* --- Live changes. */

static void
a_shorter_age_holds_for_who_serves(void **state)
{
    (void)state;
    given_pool_that_serves(1, .recycle_time_ms = HOUR_MS);
    when_ms_pass(HOUR_MS / 2);
    when_applied(0, .recycle_time_ms = HOUR_MS / 4);
    then_nothing();
    assert_true(core_deadline(given.core) <= given.now);
    when((struct event){.kind = EV_TICK});
    assert_int_equal(then_told(1074)->measured, HOUR_MS / 2);
    then_to(ACT_SPAWN, 0, 2);
}

static void
a_longer_age_keeps_who_was_to_be_replaced_and_is_not_being(void **state)
{
    (void)state;
    given_pool_that_serves(2, .recycle_time_ms = HOUR_MS);
    when_due_after(HOUR_MS);
    then_told(1074);
    then_told(1074);
    then_to(ACT_SPAWN, 0, 3);
    when_applied(0, .workers_min = 2, .recycle_time_ms = 2 * HOUR_MS);
    then_nothing();
    assert_int_equal(view_of(0, 1).leave, CAUSE_TIME); /* its successor starts */
    assert_int_equal(view_of(1, 2).leave, CAUSE_NONE);
    when_successor_takes_over(0, 1, 3);
    then_told(6022);
    then_to(ACT_RELEASE, 0, 1);
    then_nothing();
    assert_int_equal(view_of(1, 2).next_at, given.now + HOUR_MS);
}

/* --- Tried again. */

static void
a_recycle_by_age_is_tried_again_after_the_failure_delay_until_it_succeeds(void **state)
{
    (void)state;
    given_pool_that_serves(1, .recycle_time_ms = HOUR_MS);
    when_due_after(HOUR_MS);
    then_told(1074);
    then_to(ACT_SPAWN, 0, 2);
    when_spawn_fails(0, 2);
    msec retry = then_told(1093)->retry_ms;
    assert_in_range(retry, 200, 250);
    then_nothing();
    when_due_after(retry);
    then_to(ACT_SPAWN, 0, 3);
    when_spawn_fails(0, 3);
    retry = then_told(1093)->retry_ms;
    assert_in_range(retry, 400, 500);
    when_due_after(retry);
    then_to(ACT_SPAWN, 0, 4);
    when_successor_takes_over(0, 1, 4);
    then_told(6022);
    then_to(ACT_RELEASE, 0, 1);
}

static void
an_operators_recycle_that_fails_leaves_the_age_a_reason(void **state)
{
    (void)state;
    given_pool_that_serves(1, .recycle_time_ms = HOUR_MS);
    when_due_after(HOUR_MS);
    then_told(1074);
    then_to(ACT_SPAWN, 0, 2);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    when_spawn_fails(0, 2);
    then_told(1093);
    assert_int_equal(then_action(ACT_ROLL_ENDED)->outcome, ROLL_FAILED);
    assert_int_equal(then_to(ACT_SPAWN, 0, 3)->cause, CAUSE_TIME);
    then_nothing(); /* 1074 was told before */
}

static void
who_grows_old_in_a_disabled_pool_is_replaced_when_it_is_enabled(void **state)
{
    (void)state;
    given_pool_that_serves(2, .recycle_time_ms = HOUR_MS, .max_failures = 1);
    when_worker(0, 1, 2, .kind = EV_EXITED, .status = exit_code_1);
    then_told(1009);
    then_to(ACT_RELEASE, 1, 2);
    then_told(1002);
    then_action(ACT_POOL_CHANGED);
    when_due_after(HOUR_MS);
    then_nothing();
    when_pool(0, .kind = EV_POOL_START, .by_operator = true);
    then_told(6012);
    then_action(ACT_POOL_CHANGED);
    then_told(1074);
    then_to(ACT_SPAWN, 1, 3);
    assert_int_equal(then_to(ACT_SPAWN, 0, 4)->cause, CAUSE_TIME);
    then_nothing();
}

/* --- Requests. */

static void
when_served(uint32_t slot, uint32_t generation, uint64_t requests)
{
    when_worker(0, slot, generation, .kind = EV_REQUESTS, .count = requests);
}

static void
a_worker_that_has_served_its_requests_is_replaced(void **state)
{
    (void)state;
    given_pool_that_serves(2, .recycle_requests = 1000);
    when_served(1, 2, 999);
    then_nothing();
    when_served(1, 2, 1001);
    const struct action *told = then_told(1075);
    assert_int_equal(told->worker.slot, 1);
    assert_int_equal(told->measured, 1001);
    assert_int_equal(told->limit_value, 1000);
    then_to(ACT_SPAWN, 1, 3);
    when_served(1, 2, 1040); /* it serves on meanwhile */
    then_nothing();
    when_successor_takes_over(1, 2, 3);
    assert_int_equal(then_told(6022)->measured, 1040);
    then_to(ACT_RELEASE, 1, 2);
}

/* 100 requests a second, a start of 4 s, a report a second: 500 more until it could leave. */
static void
a_successor_is_started_ahead_by_what_is_served_while_it_starts(void **state)
{
    (void)state;
    given_core(1, 16, 4);
    given_pool(0, .recycle_requests = 1000);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    given_worker_runs(0, 0, 1);
    when_ms_pass(4000);
    when_worker(0, 0, 1, .kind = EV_READY);
    then_told(6021);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    for (uint32_t second = 1; second <= 4; second++) {
        when_ms_pass(1000);
        when_served(0, 1, 100 * second);
        then_nothing();
    }
    when_ms_pass(1000);
    when_served(0, 1, 500);
    assert_int_equal(then_told(1075)->measured, 500);
    then_to(ACT_SPAWN, 0, 2);
}

static void
an_exclusive_recycle_waits_for_the_last_request(void **state)
{
    (void)state;
    given_pool_that_serves(1, .recycle_requests = 1000, .overlap = 0);
    when_ms_pass(1000);
    when_served(0, 1, 999);
    then_nothing();
    when_served(0, 1, 1000);
    then_told(1075);
    then_to(ACT_DRAIN, 0, 1);
}

static void
a_worker_that_counts_backwards_has_served_what_it_said_before(void **state)
{
    (void)state;
    given_pool_that_serves(1, .recycle_requests = 1000);
    when_served(0, 1, 900);
    when_served(0, 1, 5);
    when_served(0, 1, 950);
    then_nothing();
    when_served(0, 1, UINT64_MAX);
    then_told(1075);
    then_to(ACT_SPAWN, 0, 2);
}

static void
a_lower_number_of_requests_holds_for_who_serves(void **state)
{
    (void)state;
    given_pool_that_serves(1, .recycle_requests = 1000);
    when_served(0, 1, 600);
    when_applied(0, .recycle_requests = 500);
    assert_int_equal(then_told(1075)->limit_value, 500);
    then_to(ACT_SPAWN, 0, 2);
}

/* --- Asked for. */

static void
a_worker_that_asks_is_replaced_and_asks_again_in_vain(void **state)
{
    (void)state;
    given_pool_that_serves(2);
    when_worker(0, 1, 2, .kind = EV_RECYCLE, .cause = CAUSE_UNHEALTHY);
    then_told(1078);
    then_to(ACT_SPAWN, 1, 3);
    when_worker(0, 1, 2, .kind = EV_RECYCLE, .cause = CAUSE_UNHEALTHY);
    then_nothing();
    when_spawn_fails(1, 3);
    assert_in_range(then_told(1093)->retry_ms, 200, 250);
}

static void
an_operator_recycles_one_worker_and_no_other(void **state)
{
    (void)state;
    given_pool_that_serves(2);
    when_worker(0, 0, 1, .kind = EV_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_SPAWN, 0, 3);
    when_spawn_fails(0, 3);
    assert_int_equal(then_told(1093)->retry_ms, MSEC_NEVER);
    then_nothing();
    assert_int_equal(view_of(0, 1).leave, CAUSE_NONE);
}

/* --- Clock times. */

static void
when_clock_time_comes(uint32_t minute, uint32_t day)
{
    when_pool(0, .kind = EV_SCHEDULE, .count = minute, .day = day);
}

static void
when_roll_is_over(uint32_t old, uint32_t new)
{
    when_successor_takes_over(0, old, new);
    assert_int_equal(then_told(6022)->cause, CAUSE_SCHEDULE);
    then_to(ACT_RELEASE, 0, old);
    assert_int_equal(then_action(ACT_ROLL_ENDED)->cause, CAUSE_SCHEDULE);
}

static void
a_clock_time_replaces_every_worker_once_a_day(void **state)
{
    (void)state;
    given_pool_that_serves(1);
    when_clock_time_comes(210, 20000);
    assert_int_equal(then_told(1076)->measured, 210);
    then_to(ACT_SPAWN, 0, 2);
    when_roll_is_over(1, 2);
    when_clock_time_comes(210, 20000); /* the clock was set back */
    when_clock_time_comes(210, 19999);
    then_nothing();
    when_clock_time_comes(211, 20000);
    then_told(1076);
    then_to(ACT_SPAWN, 0, 3);
    when_roll_is_over(2, 3);
    when_clock_time_comes(210, 20001);
    then_told(1076);
    then_to(ACT_SPAWN, 0, 4);
}

static void
a_date_that_has_run_is_known_to_the_next_engine(void **state)
{
    (void)state;
    given_pool_that_serves(1);
    when_clock_time_comes(210, 20000);
    then_told(1076);
    then_to(ACT_SPAWN, 0, 2);
    when_roll_is_over(1, 2);
    assert_int_equal(when_engine_dies(0), 0);
    when_clock_time_comes(210, 20000);
    then_nothing();
}

static void
a_clock_that_was_far_ahead_holds_no_date_up(void **state)
{
    (void)state;
    given_pool_that_serves(1);
    when_clock_time_comes(210, 30000);
    then_told(1076);
    then_to(ACT_SPAWN, 0, 2);
    when_roll_is_over(1, 2);
    when_clock_time_comes(210, 20000);
    then_told(1076);
    then_to(ACT_SPAWN, 0, 3);
}

static void
a_clock_time_of_a_stopped_pool_is_over(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    when_clock_time_comes(210, 20000);
    then_nothing();
    given_pool_is_started(0, 1);
    when_clock_time_comes(210, 20000);
    then_nothing();
}

static void
a_scheduled_recycle_is_tried_again_until_it_succeeds(void **state)
{
    (void)state;
    given_pool_that_serves(1);
    when_clock_time_comes(210, 20000);
    then_told(1076);
    then_to(ACT_SPAWN, 0, 2);
    when_spawn_fails(0, 2);
    msec retry = then_told(1093)->retry_ms;
    assert_in_range(retry, 200, 250);
    when_due_after(retry);
    then_to(ACT_SPAWN, 0, 3);
    when_roll_is_over(1, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_worker_that_has_reached_its_age_is_replaced),
        CLAIM(only_the_worker_that_is_old_is_replaced),
        CLAIM(workers_of_one_age_are_replaced_one_after_the_other),
        CLAIM(each_worker_has_an_age_limit_of_its_own_within_the_jitter),
        CLAIM(the_limit_of_a_worker_outlives_the_engine),
        CLAIM(no_worker_of_a_pool_without_a_limit_has_a_deadline),
        CLAIM(the_next_recycle_and_its_cause_are_known_beforehand),
        CLAIM(a_shorter_age_holds_for_who_serves),
        CLAIM(a_longer_age_keeps_who_was_to_be_replaced_and_is_not_being),
        CLAIM(a_recycle_by_age_is_tried_again_after_the_failure_delay_until_it_succeeds),
        CLAIM(an_operators_recycle_that_fails_leaves_the_age_a_reason),
        CLAIM(who_grows_old_in_a_disabled_pool_is_replaced_when_it_is_enabled),
        CLAIM(a_worker_that_has_served_its_requests_is_replaced),
        CLAIM(a_successor_is_started_ahead_by_what_is_served_while_it_starts),
        CLAIM(an_exclusive_recycle_waits_for_the_last_request),
        CLAIM(a_worker_that_counts_backwards_has_served_what_it_said_before),
        CLAIM(a_lower_number_of_requests_holds_for_who_serves),
        CLAIM(a_worker_that_asks_is_replaced_and_asks_again_in_vain),
        CLAIM(an_operator_recycles_one_worker_and_no_other),
        CLAIM(a_clock_time_replaces_every_worker_once_a_day),
        CLAIM(a_date_that_has_run_is_known_to_the_next_engine),
        CLAIM(a_clock_that_was_far_ahead_holds_no_date_up),
        CLAIM(a_clock_time_of_a_stopped_pool_is_over),
        CLAIM(a_scheduled_recycle_is_tried_again_until_it_succeeds),
    };
    return cmocka_run_group_tests_name("core: reasons", tests, NULL, NULL) != 0;
}
