/* test_core_failure.c - rapid-fail protection and the delay between starts. */
#include "test/unit/core_builder.h"

/* The worker of slot 0 dies as soon as it exists. Returns in how many ms the next one starts. */
static msec
when_worker_dies(uint32_t generation)
{
    when_worker(0, 0, generation, .kind = EV_EXITED, .status = exit_code_1);
    msec retry_ms = then_told(1009)->retry_ms;
    then_to(ACT_RELEASE, 0, generation);
    return retry_ms;
}

static void
when_next_starts(uint32_t generation, msec retry_ms)
{
    if (retry_ms > 0)
        when_due_after(retry_ms);
    then_to(ACT_SPAWN, 0, generation);
    when_worker(0, 0, generation, .kind = EV_SPAWNED);
    then_told(6020);
}

#define given_crashing(...)                                                                        \
    do {                                                                                           \
        given_core(1, 8, 4);                                                                       \
        given_pool(0, __VA_ARGS__);                                                                \
        when_pool(0, .kind = EV_POOL_START);                                                       \
        then_action(ACT_POOL_CHANGED);                                                             \
        then_action(ACT_POOL_CHANGED);                                                             \
        when_next_starts(1, 0);                                                                    \
    } while (0)

static uint32_t
failures_now(void)
{
    struct pool_view view;
    assert_true(core_pool(given.core, 0, given.now, &view));
    return view.failures;
}

static void
the_first_replacement_is_immediate_and_each_further_one_waits_twice_as_long(void **state)
{
    (void)state;
    given_crashing(.rapid_fail = 0);
    static const msec least[] = {0, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
    for (uint32_t i = 0; i < ARRAY_LEN(least); i++) {
        msec retry_ms = when_worker_dies(i + 1);
        assert_in_range(retry_ms, least[i], MIN(least[i] * 5 / 4, 30000));
        when_next_starts(i + 2, retry_ms);
    }
}

static void
too_many_failures_in_the_window_disable_the_pool(void **state)
{
    (void)state;
    given_crashing(.max_failures = 3);
    when_next_starts(2, when_worker_dies(1));
    when_next_starts(3, when_worker_dies(2));
    assert_int_equal(when_worker_dies(3), MSEC_NEVER);
    const struct action *disabled = then_told(1002);
    assert_int_equal(disabled->count, 3);
    assert_int_equal(disabled->limit, 3);
    assert_int_equal(disabled->limit_ms, 300000);
    then_action(ACT_POOL_CHANGED);
    then_nothing();
    then_pool_is(0, POOL_DISABLED);
    assert_int_equal(core_deadline(given.core), MSEC_NEVER);
}

static void
failures_that_left_the_window_are_not_counted(void **state)
{
    (void)state;
    given_crashing(.max_failures = 2, .failure_interval_ms = 20000);
    msec retry_ms = when_worker_dies(1);
    when_next_starts(2, retry_ms);
    when_due_after(5000);
    when_ms_pass(15000);
    assert_int_equal(failures_now(), 0);
    retry_ms = when_worker_dies(2);
    assert_int_equal(retry_ms, 0);
    assert_int_equal(failures_now(), 1);
    when_next_starts(3, retry_ms);
    then_pool_is(0, POOL_STARTING);
}

static void
without_rapid_fail_a_pool_is_never_disabled(void **state)
{
    (void)state;
    given_crashing(.rapid_fail = 0, .max_failures = 1);
    when_next_starts(2, when_worker_dies(1));
    when_next_starts(3, when_worker_dies(2));
    then_pool_is(0, POOL_STARTING);
}

static void
a_worker_that_was_ready_for_10_s_starts_the_delays_anew(void **state)
{
    (void)state;
    given_crashing(.rapid_fail = 0);
    when_next_starts(2, when_worker_dies(1));
    msec retry_ms = when_worker_dies(2);
    assert_in_range(retry_ms, 200, 250);
    when_next_starts(3, retry_ms);
    when_worker(0, 0, 3, .kind = EV_READY);
    then_told(6021);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    when_ms_pass(10000);
    assert_int_equal(when_worker_dies(3), 0);
    then_to(ACT_SPAWN, 0, 4);
    assert_int_equal(failures_now(), 3); /* the window forgets nothing */
}

static void
a_spawn_that_failed_is_not_counted(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .max_failures = 1);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
    then_told(1022);
    then_to(ACT_SPAWN, 0, 2);
    assert_int_equal(failures_now(), 0);
}

static void
a_requested_stop_is_not_counted_even_if_it_ends_in_a_kill(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .max_failures = 1);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    when_due_after(60000);
    then_told(1013);
    then_to(ACT_KILL, 0, 1);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 1);
    then_action(ACT_POOL_CHANGED);
    then_told(6011);
    assert_int_equal(failures_now(), 0);
}

static void
a_start_that_timed_out_is_counted_once(void **state)
{
    (void)state;
    given_crashing(.max_failures = 5);
    when_due_after(5000);
    when_due_after(85000);
    then_told(1012);
    then_to(ACT_KILL, 0, 1);
    then_to(ACT_SPAWN, 0, 2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 1);
    assert_int_equal(failures_now(), 1);
}

static void
given_disabled_garden(void)
{
    given_core(1, 12, 4);
    given_pool(0, .workers_min = 2, .max_failures = 1);
    given_pool_is_started(0, 2);
    when_worker_dies(1);
    then_told(1002);
    then_action(ACT_POOL_CHANGED);
    then_nothing();
}

static void
workers_of_a_disabled_pool_that_are_ready_keep_serving(void **state)
{
    (void)state;
    given_disabled_garden();
    then_worker_is(0, 1, 2, WORKER_READY);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    assert_int_equal(then_action(ACT_ROLL_ENDED)->outcome, ROLL_CANCELLED);
    then_nothing();
}

static void
only_an_operator_s_start_enables_a_disabled_pool(void **state)
{
    (void)state;
    given_disabled_garden();
    when_pool(0, .kind = EV_POOL_START);
    then_nothing();
    when_pool(0, .kind = EV_POOL_START, .by_operator = true);
    then_told(6012);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 3);
    assert_int_equal(failures_now(), 0);
    given_worker_is_ready(0, 0, 3);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
}

static void
a_disabled_pool_can_be_stopped(void **state)
{
    (void)state;
    given_disabled_garden();
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 1, 2);
    when_worker(0, 1, 2, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_to(ACT_RELEASE, 1, 2);
    then_action(ACT_POOL_CHANGED);
    then_told(6011);
}

static void
a_roll_is_cancelled_when_its_pool_is_disabled(void **state)
{
    (void)state;
    given_core(1, 12, 4);
    given_pool(0, .workers_min = 2, .max_failures = 1);
    given_pool_is_started(0, 2);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_SPAWN, 0, 3);
    given_worker_runs(0, 0, 3);
    when_worker(0, 1, 2, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, 1, 2);
    then_told(1002);
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_action(ACT_ROLL_ENDED)->outcome, ROLL_CANCELLED);
    then_told(1093);
    then_to(ACT_DRAIN, 0, 3);
    then_nothing();
    then_worker_is(0, 0, 1, WORKER_READY);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(the_first_replacement_is_immediate_and_each_further_one_waits_twice_as_long),
        CLAIM(too_many_failures_in_the_window_disable_the_pool),
        CLAIM(failures_that_left_the_window_are_not_counted),
        CLAIM(without_rapid_fail_a_pool_is_never_disabled),
        CLAIM(a_worker_that_was_ready_for_10_s_starts_the_delays_anew),
        CLAIM(a_spawn_that_failed_is_not_counted),
        CLAIM(a_requested_stop_is_not_counted_even_if_it_ends_in_a_kill),
        CLAIM(a_start_that_timed_out_is_counted_once),
        CLAIM(workers_of_a_disabled_pool_that_are_ready_keep_serving),
        CLAIM(only_an_operator_s_start_enables_a_disabled_pool),
        CLAIM(a_disabled_pool_can_be_stopped),
        CLAIM(a_roll_is_cancelled_when_its_pool_is_disabled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
